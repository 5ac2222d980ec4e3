//! Files that a user names, read within bounds.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The largest text that is read: ten thousand guests take a tenth of it.
const LARGEST: u64 = 64 << 20;
/// The largest copy of a host that comes through a pipe or a connection, packed or not.
pub(super) const LARGEST_COPY: u64 = 1 << 30;
/// A folder of templates has no more files; more is another folder.
const MOST_FILES: usize = 1_000;

/// What stands in a file. A pipe, a device or a socket is refused: one of them could wait for ever, or never end.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other(
            "it is not an ordinary file (`-` reads standard input)",
        ));
    }
    bounded(fs::File::open(path)?, metadata.len(), LARGEST)
}

/// What comes by standard input.
pub(super) fn read_standard_input() -> io::Result<Vec<u8>> {
    bounded(io::stdin().lock(), 0, LARGEST)
}

/// All of it, which is about as long as `expected`; fails where it is longer than `largest`.
pub(super) fn bounded(from: impl io::Read, expected: u64, largest: u64) -> io::Result<Vec<u8>> {
    // One more, so that the end is found without growing.
    let capacity = usize::try_from(expected.min(largest)).unwrap_or_default() + 1;
    let mut bytes = Vec::with_capacity(capacity);
    from.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        let megabytes = largest >> 20;
        return Err(io::Error::other(format!(
            "it is larger than {megabytes} MiB"
        )));
    }
    Ok(bytes)
}

/// The files below a folder with their names relative to it, by `/`, sorted. Hidden files and editors' backups (`x~`)
/// are passed over.
pub(super) fn files_below(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), dir.to_path_buf())];
    while let Some((prefix, folder)) = folders.pop() {
        let in_folder = |error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", folder.display()))
        };
        for entry in fs::read_dir(&folder).map_err(in_folder)? {
            let entry = entry.map_err(in_folder)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || name.ends_with('~') {
                continue;
            }
            if found.len() + folders.len() >= MOST_FILES {
                return Err(io::Error::other(format!(
                    "{}: more than {MOST_FILES} files",
                    dir.display()
                )));
            }
            let path = entry.path();
            // Follows links: the user's folder is the user's.
            if fs::metadata(&path).map_err(in_folder)?.is_dir() {
                folders.push((format!("{prefix}{name}/"), path));
            } else {
                found.push((format!("{prefix}{name}"), path));
            }
        }
    }
    found.sort();
    Ok(found)
}
