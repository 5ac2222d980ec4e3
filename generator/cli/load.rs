//! The specs of a call, from the disk.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Failure;
use super::args::Specs;
use super::input;
use super::progress::Progress;
use super::surroundings::SpecFolder;
use crate::diagnostics::Sink;
use crate::fleet::{self, Files, LoadError};
use crate::origin::Surroundings;
use crate::source::FileId;

pub(super) use crate::fleet::{Loaded, Sources, Unit, has_errors, is_standard_input};

/// The disk, and standard input.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if is_standard_input(path) {
            input::read_standard_input()
        } else {
            input::read(path)
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn around(&self, spec: Option<&Path>) -> Arc<dyn Surroundings> {
        Arc::new(SpecFolder::of(spec))
    }
}

/// Reads and checks every spec of a call, those of fleets among them.
pub(super) fn load(specs: &Specs) -> Result<Loaded, Failure> {
    load_hosts(specs, &[])
}

/// The same for these hosts alone, where there are any names.
pub(super) fn load_hosts(specs: &Specs, wanted: &[String]) -> Result<Loaded, Failure> {
    let _progress = Progress::of("checking");
    fleet::load_hosts(&specs.specs, &Disk, specs.deny_warnings, wanted)
        .map_err(|error| failure(&error))
}

/// Reads a file that is no spec; none where it is no text, which is reported.
pub(super) fn read(
    sources: &mut Sources,
    path: &Path,
    sink: &mut Sink,
) -> Result<Option<FileId>, Failure> {
    let bytes = Disk
        .read(path)
        .map_err(|error| Failure::io("read", path, &error))?;
    sources
        .take(path, bytes, sink)
        .map_err(|error| failure(&error))
}

fn failure(error: &LoadError) -> Failure {
    Failure::new(error.to_string())
}
