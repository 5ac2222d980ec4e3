//! Builds the next tree: what the build emitted, and beside it everything in the former tree that is not moxc's.
//!
//! A file that stays is hard-linked, so it keeps its contents, owner and times, and costs no space. A file that changes
//! is made anew, never written over: the former tree stays whole until it is swapped out.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{FileTimes, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fs::{Access, AtFlags, FileType, Gid, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;

use super::change::ChangeKind;
use super::diff::Comparison;
use super::error::OutputError;
use super::files::OutputFile;
use super::folder::{Folder, Seen, is};

/// The mode of a folder that moxc makes, as chmod(2) takes it.
const FOLDER_MODE: u32 = 0o755;

/// From so many files on a folder's are written last, on every core.
const MANY: usize = 256;
/// From so many bytes on, too.
const MUCH: usize = 1 << 20;

/// What the former tree was when the next one was made from it.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    entries: BTreeMap<PathBuf, Watched>,
    /// Files that could not be hard-linked, and so are copies now.
    pub(super) copied: Vec<PathBuf>,
}

/// One entry of the former tree.
#[derive(Debug)]
struct Watched {
    seen: Seen,
    /// Whether its contents must not have changed since: the next tree does not share them.
    exact: bool,
}

impl Snapshot {
    /// The first path at which the former tree `root` is no longer what it was.
    pub(super) fn first_change(&self, root: &Folder) -> io::Result<Option<PathBuf>> {
        let mut entries = 0;
        let change = self.first_change_below(root, Path::new(""), &mut entries)?;
        Ok(change.or_else(|| {
            // Nothing is there that was not there before, so something is missing.
            (entries != self.entries.len()).then(PathBuf::new)
        }))
    }

    fn first_change_below(
        &self,
        folder: &Folder,
        path: &Path,
        entries: &mut usize,
    ) -> io::Result<Option<PathBuf>> {
        for name in folder.names()? {
            let inner = path.join(&name);
            let Some(seen) = folder.look(&name)? else {
                return Ok(Some(inner));
            };
            let as_before = self.entries.get(&inner).is_some_and(|watched| {
                watched.seen.is_same_object(&seen)
                    && (!watched.exact
                        || (watched.seen.size, watched.seen.modified) == (seen.size, seen.modified))
            });
            if !as_before {
                return Ok(Some(inner));
            }
            *entries += 1;
            if seen.kind == FileType::Directory {
                let below =
                    self.first_change_below(&folder.open_folder(&name)?, &inner, entries)?;
                if below.is_some() {
                    return Ok(below);
                }
            }
        }
        Ok(None)
    }
}

/// Builds the next tree in the empty folder `new` from the former one, if any, and the build's files.
pub(super) fn build(
    root: &Path,
    old: Option<&Folder>,
    new: &Folder,
    comparison: &Comparison<'_>,
) -> Result<Snapshot, OutputError> {
    let mut carrier = Carrier {
        root,
        user: new.seen().map_err(OutputError::io("look at", root))?.owner,
        kept: BTreeMap::new(),
        replaced: BTreeMap::new(),
        files: BTreeMap::new(),
        folders: BTreeMap::new(),
        large: Vec::new(),
        comparison,
        snapshot: Snapshot::default(),
    };
    for change in comparison.changes() {
        let path = change.path.as_str();
        if let Some(seen) = comparison.seen.get(path) {
            let fate = if change.kind == ChangeKind::Unchanged {
                &mut carrier.kept
            } else {
                &mut carrier.replaced
            };
            fate.insert(path, *seen);
        }
    }
    for file in comparison.files_to_write() {
        carrier.plan_to_write(file);
    }
    carrier.build_folder(old, Some(new), Path::new(""))?;
    carrier.fill_large_folders()?;
    if let Some((missing, _)) = carrier.kept.pop_first() {
        return Err(carrier.changed(Path::new(missing)));
    }
    Ok(carrier.snapshot)
}

struct Carrier<'a> {
    root: &'a Path,
    /// The user that the new tree belongs to.
    user: u32,
    comparison: &'a Comparison<'a>,
    /// Files of the build that stand in the former tree as they should be, and have not been met yet.
    kept: BTreeMap<&'a str, Seen>,
    /// Files of the former tree that do not stay as they are.
    replaced: BTreeMap<&'a str, Seen>,
    /// The files to write, by the folder that they lie in.
    files: BTreeMap<&'a str, Vec<&'a OutputFile>>,
    /// The names of the folders that they need, by the folder that those lie in.
    folders: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Folders that have been made and not yet filled.
    large: Vec<LargeFolder<'a>>,
    snapshot: Snapshot,
}

/// A folder of the new tree with much to write.
struct LargeFolder<'a> {
    path: PathBuf,
    /// The one that it replaces.
    old: Option<Folder>,
    new: Folder,
    files: Vec<&'a OutputFile>,
}

/// What became of the entries of one folder of the former tree, and of the folders in it.
#[derive(Debug, Default, Clone, Copy)]
struct Outcome {
    /// Entries that the new folder has.
    has: usize,
    /// Files that the build wrote.
    written: usize,
    /// Files that were not carried over.
    dropped: usize,
}

impl<'a> Carrier<'a> {
    fn plan_to_write(&mut self, file: &'a OutputFile) {
        let (folder, _) = file.path.split();
        let files = self.files.entry(folder.unwrap_or_default()).or_default();
        files.push(file);
        // The first file of a folder has named those above it.
        if files.len() > 1 {
            return;
        }
        for folder in file.path.folders() {
            let (above, name) = folder.rsplit_once('/').unwrap_or(("", folder));
            self.folders.entry(above).or_default().insert(name);
        }
    }

    fn failed(
        &self,
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> OutputError + use<> {
        OutputError::io(action, self.root.join(path))
    }

    fn changed(&self, path: &Path) -> OutputError {
        OutputError::Changed {
            path: self.root.join(path),
        }
    }

    /// Builds the folder `path`; without `new`, everything in `old` must be dropped, as a file takes its place.
    fn build_folder(
        &mut self,
        old: Option<&Folder>,
        new: Option<&Folder>,
        path: &Path,
    ) -> Result<Outcome, OutputError> {
        let mut outcome = Outcome::default();
        let mut wanted = path
            .to_str()
            .and_then(|path| self.folders.get(path))
            .cloned()
            .unwrap_or_default();
        if let Some(old) = old {
            for name in old.names().map_err(self.failed("read", path))? {
                let inner = path.join(&name);
                let is_folder = self.carry(old, new, &name, &inner, &mut outcome)?;
                if let (true, Some(name)) = (is_folder, name.to_str()) {
                    wanted.remove(name);
                }
            }
        }
        let Some(new) = new else {
            return Ok(outcome);
        };
        let files = path.to_str().and_then(|path| self.files.remove(path));
        let files = files.unwrap_or_default();
        outcome.has += files.len();
        outcome.written += files.len();
        let bytes: usize = files.iter().map(|file| file.contents.len()).sum();
        let is_large = files.len() >= MANY || bytes >= MUCH;
        if is_large {
            let again = |folder: &Folder| folder.again().map_err(self.failed("open", path));
            self.large.push(LargeFolder {
                path: path.to_owned(),
                old: old.map(again).transpose()?,
                new: again(new)?,
                files,
            });
        } else {
            for file in files {
                self.write(file, new)?;
            }
        }
        for name in wanted {
            let inner = path.join(name);
            let folder = new
                .create_folder(name.as_ref())
                .map_err(self.failed("create", &inner))?;
            let below = self.build_folder(None, Some(&folder), &inner)?;
            outcome.has += 1;
            outcome.written += below.written;
        }
        if !is_large {
            let untouched = outcome.written == 0 && outcome.dropped == 0;
            finish_folder(old, new, untouched).map_err(self.failed("set the mode of", path))?;
        }
        Ok(outcome)
    }

    /// Writes the files that were left for the end. They come folder by folder, so that no two cores begin in the same one:
    /// a file system makes one file of a folder at a time.
    fn fill_large_folders(&self) -> Result<(), OutputError> {
        let files: Vec<(&Folder, &OutputFile)> = self
            .large
            .iter()
            .flat_map(|folder| folder.files.iter().map(|file| (&folder.new, *file)))
            .collect();
        files
            .par_iter()
            .with_min_len(MANY)
            .try_for_each(|(folder, file)| self.write(file, folder))?;
        for LargeFolder { path, old, new, .. } in &self.large {
            finish_folder(old.as_ref(), new, false)
                .map_err(self.failed("set the mode of", path))?;
        }
        Ok(())
    }

    /// Brings one entry of the former tree over; whether it is a folder, so that what belongs in it has been built.
    fn carry(
        &mut self,
        old: &Folder,
        new: Option<&Folder>,
        name: &OsStr,
        path: &Path,
        outcome: &mut Outcome,
    ) -> Result<bool, OutputError> {
        let Some(seen) = old.look(name).map_err(self.failed("look at", path))? else {
            return Err(self.changed(path));
        };
        let text = path.to_str().unwrap_or_default();
        let mut exact = false;
        if let Some(expected) = self.replaced.get(text) {
            let as_before = expected.is_same_object(&seen)
                && (expected.size, expected.modified) == (seen.size, seen.modified);
            if !as_before {
                return Err(self.changed(path));
            }
            exact = true;
            outcome.dropped += 1;
        } else if seen.kind == FileType::Directory {
            self.carry_folder(old, new, name, path, outcome)?;
        } else {
            let as_read = match self.kept.remove(text) {
                Some(expected) => expected.is_same_object(&seen),
                // The build has a file there, and nothing stood there when its folder was read.
                None => !self.comparison.needs(text),
            };
            // Without a new folder, all in the old one was to go.
            let (true, Some(new)) = (as_read, new) else {
                return Err(self.changed(path));
            };
            exact = self.carry_file(old, new, name, path, &seen)?;
            outcome.has += 1;
        }
        self.snapshot
            .entries
            .insert(path.to_owned(), Watched { seen, exact });
        Ok(seen.kind == FileType::Directory)
    }

    fn carry_folder(
        &mut self,
        old: &Folder,
        new: Option<&Folder>,
        name: &OsStr,
        path: &Path,
        outcome: &mut Outcome,
    ) -> Result<(), OutputError> {
        let old_inner = old.open_folder(name).map_err(|error| {
            let error = if is(&error, Errno::XDEV) {
                io::Error::new(error.kind(), "something is mounted there")
            } else {
                error
            };
            self.failed("carry over", path)(error)
        })?;
        self.check_removable(&old_inner, path)?;
        let gives_way = path
            .to_str()
            .is_some_and(|path| self.comparison.needs_file(path));
        let new = new.filter(|_| !gives_way);
        let new_inner = match new {
            Some(new) => Some(
                new.create_folder(name)
                    .map_err(self.failed("create", path))?,
            ),
            None => None,
        };
        let below = self.build_folder(Some(&old_inner), new_inner.as_ref(), path)?;
        outcome.written += below.written;
        outcome.dropped += below.dropped;
        let Some(new) = new else {
            return Ok(());
        };
        // All that it held was moxc's and is gone; an empty folder of the user's stays.
        if below.has == 0 && below.dropped > 0 {
            new.remove_empty_folder(name)
                .map_err(self.failed("remove", path))?;
        } else {
            outcome.has += 1;
        }
        Ok(())
    }

    /// Refuses a folder of somebody else's that could not be removed from the former tree afterwards.
    fn check_removable(&self, folder: &Folder, path: &Path) -> Result<(), OutputError> {
        let seen = folder.seen().map_err(self.failed("look at", path))?;
        if seen.owner == self.user {
            return Ok(());
        }
        let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::accessat(folder, ".", all, AtFlags::EACCESS)
            .map_err(|error| self.failed("carry over", path)(error.into()))
    }

    /// Brings a file over that stays as it is; whether the new tree has a copy of its own.
    fn carry_file(
        &mut self,
        old: &Folder,
        new: &Folder,
        name: &OsStr,
        path: &Path,
        seen: &Seen,
    ) -> Result<bool, OutputError> {
        match rustix::fs::linkat(old, name, new, name, AtFlags::empty()) {
            Ok(()) => {
                let linked = new.look(name).map_err(self.failed("look at", path))?;
                return match linked {
                    Some(linked) if linked.is_same_object(seen) => Ok(false),
                    _ => Err(self.changed(path)),
                };
            }
            // Another user's file, where fs.protected_hardlinks is set; a file system without hard links, or no more.
            Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {}
            Err(Errno::XDEV) => {
                let error =
                    io::Error::new(io::ErrorKind::CrossesDevices, "something is mounted there");
                return Err(self.failed("carry over", path)(error));
            }
            Err(error) => return Err(self.failed("carry over", path)(error.into())),
        }
        let copied = match seen.kind {
            FileType::RegularFile => copy_file(old, new, name, seen, self.user),
            FileType::Symlink => copy_symlink(old, new, name),
            _ => Err(io::Error::other("it can be neither linked nor copied")),
        };
        copied.map_err(self.failed("carry over", path))?;
        self.snapshot.copied.push(path.to_owned());
        Ok(true)
    }

    fn write(&self, file: &OutputFile, folder: &Folder) -> Result<(), OutputError> {
        let (_, name) = file.path.split();
        write_file(folder, name.as_ref(), file)
            .map_err(|error| self.failed("write", Path::new(file.path.as_str()))(error))
    }
}

fn write_file(folder: &Folder, name: &OsStr, file: &OutputFile) -> io::Result<()> {
    let bits = file.mode.bits();
    let mut out = folder.create_file(name, bits)?;
    out.write_all(&file.contents)?;
    // Asking costs less than setting, which a file system writes to its journal, and nearly always is all.
    if rustix::fs::fstat(&out)?.st_mode & 0o7777 != bits {
        out.set_permissions(Permissions::from_mode(bits))?;
    }
    sync_one(|| out.sync_all())
}

fn copy_file(old: &Folder, new: &Folder, name: &OsStr, seen: &Seen, user: u32) -> io::Result<()> {
    let mut from = old.open_file(name)?;
    // For its owner alone until it is whole.
    let mut to = new.create_file(name, 0o600)?;
    io::copy(&mut from, &mut to)?;
    let metadata = from.metadata()?;
    // The copy is ours; another user's setuid bit on it would mean something else.
    let bits = if seen.owner == user {
        seen.mode
    } else {
        seen.mode & 0o777
    };
    to.set_permissions(Permissions::from_mode(bits))?;
    to.set_times(FileTimes::new().set_modified(metadata.modified()?))?;
    sync_one(|| to.sync_all())
}

fn copy_symlink(old: &Folder, new: &Folder, name: &OsStr) -> io::Result<()> {
    let target = rustix::fs::readlinkat(old, name, Vec::new())?;
    Ok(rustix::fs::symlinkat(target, new, name)?)
}

/// Gives a finished folder the mode, owner and, where nothing in it changed, time of the one that it replaces.
fn finish_folder(old: Option<&Folder>, new: &Folder, untouched: bool) -> io::Result<()> {
    let created = new.seen()?;
    let Some(old) = old else {
        // A folder in a setgid folder is one too, which chmod would undo.
        new.set_mode(FOLDER_MODE | created.mode & 0o2000)?;
        return sync_one(|| new.sync());
    };
    let seen = old.seen()?;
    if (seen.owner, seen.group) != (created.owner, created.group) {
        // Only root may give files away; a member may give them to a group. Without either they are the user's own.
        let group = Some(Gid::from_raw(seen.group));
        if rustix::fs::fchown(new, Some(Uid::from_raw(seen.owner)), group).is_err() {
            let _ = rustix::fs::fchown(new, None, group);
        }
    }
    new.set_mode(seen.mode)?;
    if untouched {
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: seen.modified,
        };
        rustix::fs::futimens(new, &times)?;
    }
    sync_one(|| new.sync())
}

/// Forces one file or folder onto the disk, where [`sync_all`] cannot do it for all of them at the end.
fn sync_one(sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    if cfg!(any(target_os = "linux", target_os = "android")) {
        Ok(())
    } else {
        sync()
    }
}

/// Forces a finished tree onto the disk.
///
/// syncfs(2) takes one commit of the file system's journal, fsync(2) one a file: for 3000 files a fifth of a second
/// against one.
pub(super) fn sync_all(tree: &Folder) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    rustix::fs::syncfs(tree)?;
    tree.sync()
}
