//! `LIVE`: a copy of a running host, wherever it is.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::Failure;
use super::input::{LARGEST_COPY, bounded};
use super::progress::Progress;
use super::remote::Remote;
use crate::live::{self, Folder, FolderEntry, Snapshot};

/// Reads what `LIVE` names: a folder, a tar, the text of `pvereport`, or a host by `ssh`.
pub(super) fn read(live: &str) -> Result<Snapshot, Failure> {
    let path = Path::new(live);
    let _progress = Progress::of(format!("reading `{live}`"));
    let read = if let Some(remote) = Remote::parse(live)? {
        live::read_file(&mut io::Cursor::new(remote.collect()?))
    } else if path.is_dir() {
        live::read_folder(&Disk(path.to_owned()))
    } else {
        let failed = |error| Failure::io("read", path, &error);
        let mut file = fs::File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_file() {
            live::read_file(&mut file)
        } else {
            // What comes through a pipe comes once.
            let bytes = bounded(file, 0, LARGEST_COPY).map_err(failed)?;
            live::read_file(&mut io::Cursor::new(bytes))
        }
    };
    read.map_err(|why| Failure::new(format!("cannot read `{live}` as a copy of a host: {why}")))
}

/// A folder of the disk. Links are seen, never followed.
#[derive(Debug)]
struct Disk(PathBuf);

impl Folder for Disk {
    fn entries(&self, path: &str) -> io::Result<Vec<(String, FolderEntry)>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.0.join(path))? {
            let entry = entry?;
            // A name that is no UTF-8 is none of Proxmox VE's.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let kind = entry.file_type()?;
            let kind = if kind.is_dir() {
                FolderEntry::Folder
            } else if kind.is_file() {
                FolderEntry::File
            } else if kind.is_symlink() {
                let target = fs::read_link(entry.path())?;
                FolderEntry::Link(target.to_string_lossy().into_owned())
            } else {
                FolderEntry::Other
            };
            entries.push((name, kind));
        }
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(entries)
    }

    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = fs::File::open(self.0.join(path))?;
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
