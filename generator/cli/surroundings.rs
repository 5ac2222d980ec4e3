//! What lies around a spec on the disk.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::input;
use crate::origin::{Found, Surroundings};

/// The folder of a spec; of standard input, the working folder.
#[derive(Debug)]
pub(super) struct SpecFolder(PathBuf);

impl SpecFolder {
    pub(super) fn of(spec: Option<&Path>) -> Self {
        let folder = spec.and_then(Path::parent).unwrap_or(Path::new(""));
        Self(folder.to_owned())
    }
}

impl Surroundings for SpecFolder {
    fn look(&self, path: &str) -> io::Result<Found> {
        let path = self.0.join(path);
        let about = fs::metadata(&path)?;
        if about.is_dir() {
            let mut names = Vec::new();
            for entry in fs::read_dir(&path)? {
                names.extend(entry?.file_name().into_string().ok());
            }
            names.sort();
            return Ok(Found::Folder(names));
        }
        Ok(Found::File {
            contents: input::read(&path)?,
            executable: about.permissions().mode() & 0o100 != 0,
        })
    }
}
