//! Where the next tree is built, and what a killed build leaves behind.
//!
//! Beside the output folder `pve` stands, while a build runs, the staging folder `.pve.moxc-staging-0`. It holds a marker
//! file and the next `tree`. Swapping that with the output folder leaves the former tree in its place, to be removed.
//! The marker goes last. So whatever bears such a name and such a marker is a killed build's, and nothing else is.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, RenameFlags};
use rustix::io::Errno;

use super::error::{OutputError, Shown, Standing};
use super::folder::{Folder, Seen, is};
use crate::digest::Sha256;

/// The file that tells a staging folder.
const MARKER: &str = "MOXC-STAGING";
/// What stands in it; a machine that lost power may have kept only a part.
const MARKER_TEXT: &[u8] =
    b"moxc builds a folder's next tree here. A build that was killed leaves this behind,\n\
    and the next build of the same folder removes it.\n";
/// The next tree, and after a swap the former one.
const TREE: &str = "tree";
/// The former tree, where the file system cannot swap.
const FORMER: &str = "former";
/// What stands in the name of a staging folder between the output folder's and a number.
const INFIX: &[u8] = b".moxc-staging-";
/// The longest name of an output folder, in bytes, that the staging folder's name can contain.
const LONGEST_NAME: usize = 200;

/// The beginning of the names of the staging folders of the output folder `name`.
fn prefix(name: &OsStr) -> Vec<u8> {
    let mut prefix = b".".to_vec();
    if name.len() <= LONGEST_NAME {
        prefix.extend(name.as_bytes());
    } else {
        prefix.extend(Sha256::of(name.as_bytes()).to_string().bytes());
    }
    prefix.extend(INFIX);
    prefix
}

/// A staging folder; goes away with all that is in it when dropped.
#[derive(Debug)]
pub(super) struct Staging<'a> {
    parent: &'a Folder,
    /// The parent's path, for messages.
    parent_path: &'a Path,
    name: OsString,
    folder: Folder,
    /// Whether it stays when dropped.
    keep: bool,
}

impl<'a> Staging<'a> {
    /// Makes a staging folder in `parent` for the output folder `name`.
    pub(super) fn create(
        parent: &'a Folder,
        parent_path: &'a Path,
        name: &OsStr,
    ) -> Result<Self, OutputError> {
        let mut number = 0_u32;
        loop {
            let mut staging_name = prefix(name);
            staging_name.extend(number.to_string().bytes());
            let name = OsString::from_vec(staging_name);
            let failed = |action| OutputError::io(action, parent_path.join(&name));
            match parent.create_folder(&name) {
                Ok(folder) => {
                    let staging = Self {
                        parent,
                        parent_path,
                        name,
                        folder,
                        keep: false,
                    };
                    staging
                        .mark()
                        .map_err(OutputError::io("write", staging.path()))?;
                    return Ok(staging);
                }
                // Somebody's folder of this name that is not ours to remove.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => {
                    number += 1;
                }
                Err(error) => return Err(failed("create")(error)),
            }
        }
    }

    fn mark(&self) -> io::Result<()> {
        self.folder
            .create_file(MARKER.as_ref(), 0o600)?
            .write_all(MARKER_TEXT)
    }

    /// Where it is, for messages.
    pub(super) fn path(&self) -> PathBuf {
        self.parent_path.join(&self.name)
    }

    /// Makes the empty folder that the next tree is built in.
    pub(super) fn create_tree(&self) -> io::Result<Folder> {
        self.folder.create_folder(TREE.as_ref())
    }

    /// Puts the tree at `name`, where nothing must be.
    pub(super) fn put_tree(&self, name: &OsStr) -> io::Result<()> {
        rename_to_nothing(&self.folder, TREE.as_ref(), self.parent, name)
    }

    /// Swaps the tree with the folder at `name`, in one step that no reader sees the middle of.
    pub(super) fn exchange_tree(&self, name: &OsStr) -> io::Result<()> {
        let swap = RenameFlags::EXCHANGE;
        Ok(rustix::fs::renameat_with(
            &self.folder,
            TREE,
            self.parent,
            name,
            swap,
        )?)
    }

    /// What stands where the tree was, once it is swapped.
    pub(super) fn look_at_swapped(&self) -> io::Result<Option<Seen>> {
        self.folder.look(TREE.as_ref())
    }

    /// Takes the former tree in from `name`.
    pub(super) fn take_former(&self, name: &OsStr) -> io::Result<()> {
        rename_to_nothing(self.parent, name, &self.folder, FORMER.as_ref())
    }

    /// What was taken in.
    pub(super) fn look_at_former(&self) -> io::Result<Option<Seen>> {
        self.folder.look(FORMER.as_ref())
    }

    /// Gives the former tree back to `name`, where nothing must be.
    pub(super) fn give_former_back(&self, name: &OsStr) -> io::Result<()> {
        rename_to_nothing(&self.folder, FORMER.as_ref(), self.parent, name)
    }

    /// Leaves the staging folder for the user to look at, with a former tree in it that somebody changed.
    pub(super) fn abandon_swapped(mut self) -> Standing {
        self.keep = true;
        // Without the marker no build touches it; if the marker will not go, the name must.
        if self.folder.remove_file(MARKER.as_ref()).is_err() {
            let mut name = self.name.clone();
            name.push("-kept");
            if rename_to_nothing(self.parent, &self.name, self.parent, &name).is_ok() {
                self.name = name;
            }
        }
        Standing::SetAside(self.path().join(TREE))
    }

    /// Leaves the staging folder for the next build, which puts the former tree back first.
    pub(super) fn abandon_former(mut self) -> Standing {
        self.keep = true;
        Standing::SetAside(self.path().join(FORMER))
    }

    /// Closes the folder; what is to become of it stays the same.
    pub(super) fn rest(mut self) -> io::Result<Resting<'a>> {
        let seen = self.folder.seen()?;
        self.keep = true;
        Ok(Resting {
            parent: self.parent,
            parent_path: self.parent_path,
            name: std::mem::take(&mut self.name),
            seen,
        })
    }
}

/// A staging folder that is not open, as many may lie beside each other; goes away with all that is in it when dropped.
#[derive(Debug)]
pub(super) struct Resting<'a> {
    parent: &'a Folder,
    parent_path: &'a Path,
    /// Empty once it has woken.
    name: OsString,
    seen: Seen,
}

impl<'a> Resting<'a> {
    /// Where it is, for messages.
    pub(super) fn path(&self) -> PathBuf {
        self.parent_path.join(&self.name)
    }

    /// Opens it again.
    pub(super) fn wake(mut self) -> io::Result<Staging<'a>> {
        let folder = self.parent.open_folder(&self.name)?;
        if !folder.seen()?.is_same_object(&self.seen) {
            // Somebody else's by now, so not ours to remove.
            self.name.clear();
            return Err(io::Error::other("it is another folder by now"));
        }
        Ok(Staging {
            parent: self.parent,
            parent_path: self.parent_path,
            name: std::mem::take(&mut self.name),
            folder,
            keep: false,
        })
    }

    /// Removes it and what is left in it.
    pub(super) fn discard(self) -> io::Result<()> {
        let mut staging = self.wake()?;
        staging.keep = true;
        remove_staging(staging.parent, &staging.name, &staging.folder)
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        if self.name.is_empty() {
            return;
        }
        // Woken, it goes away as it is dropped.
        let resting = Self {
            name: std::mem::take(&mut self.name),
            ..*self
        };
        let _ = resting.wake();
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if !self.keep {
            // The build has failed and says why; what cannot be removed now, the next build removes.
            let _ = remove_staging(self.parent, &self.name, &self.folder);
        }
    }
}

/// Renames where the new name must be free.
fn rename_to_nothing(from: &Folder, old: &OsStr, to: &Folder, new: &OsStr) -> io::Result<()> {
    match rustix::fs::renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        // A file system without the flag. All that the plain call would replace is an empty folder.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            Ok(rustix::fs::renameat(from, old, to, new)?)
        }
        result => Ok(result?),
    }
}

/// Removes a staging folder, the marker last.
fn remove_staging(parent: &Folder, name: &OsStr, folder: &Folder) -> io::Result<()> {
    for inner in [TREE, FORMER] {
        let inner = OsStr::new(inner);
        match folder.look(inner)? {
            Some(seen) if seen.kind == FileType::Directory => folder.remove_tree(inner)?,
            Some(_) => folder.remove_file(inner)?,
            None => {}
        }
    }
    match folder.remove_file(MARKER.as_ref()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => parent.remove_empty_folder(name),
    }
}

/// The names in a folder that staging folders may have, of whichever output folder. They are looked for once, as a build
/// may be one of many hosts.
pub(super) fn left_in(parent: &Folder) -> io::Result<Vec<OsString>> {
    let mut names = parent.names()?;
    names.retain(|name| {
        let mut windows = name.as_bytes().windows(INFIX.len());
        windows.any(|part| part == INFIX)
    });
    Ok(names)
}

/// Cleans up after builds of the output folder `name` that were killed: a former tree that was set aside goes back, and
/// the staging folders, which are among `left`, go away. What could not be removed is said in a line each.
pub(super) fn recover(
    parent: &Folder,
    parent_path: &Path,
    name: &OsStr,
    left: &[OsString],
) -> Result<Vec<String>, OutputError> {
    let failed = |action| OutputError::io(action, parent_path);
    let mut notes = Vec::new();
    for staging_name in left.iter().filter(|left| has_staging_name(left, name)) {
        let Some(folder) = open_if_staging(parent, staging_name).map_err(failed("look into"))?
        else {
            continue;
        };
        let path = parent_path.join(staging_name);
        put_former_back(parent, &folder, name, parent_path, &path)?;
        if let Err(error) = remove_staging(parent, staging_name, &folder) {
            notes.push(format!(
                "`{}`, which a former build left behind, could not be removed: {error}",
                Shown(&path)
            ));
        }
    }
    Ok(notes)
}

/// Where a build was killed between the two renames of a file system that cannot swap, undoes the first.
fn put_former_back(
    parent: &Folder,
    staging: &Folder,
    name: &OsStr,
    parent_path: &Path,
    staging_path: &Path,
) -> Result<(), OutputError> {
    let failed = |action| OutputError::io(action, staging_path);
    if staging
        .look(FORMER.as_ref())
        .map_err(failed("look into"))?
        .is_none()
    {
        return Ok(());
    }
    let has_target = parent.look(name).map_err(failed("look beside"))?.is_some();
    let has_tree = staging
        .look(TREE.as_ref())
        .map_err(failed("look into"))?
        .is_some();
    match (has_target, has_tree) {
        (false, _) => rename_to_nothing(staging, FORMER.as_ref(), parent, name)
            .and_then(|()| parent.sync())
            .map_err(failed("put the former tree back from")),
        // The second rename was made too; only the removal is missing.
        (true, false) => Ok(()),
        (true, true) => Err(OutputError::Interrupted {
            folder: parent_path.join(name),
            former: staging_path.join(FORMER),
        }),
    }
}

fn has_staging_name(staging_name: &OsStr, name: &OsStr) -> bool {
    let number = staging_name.as_bytes().strip_prefix(&prefix(name)[..]);
    number.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

/// Opens a folder with a staging folder's name if it is one.
fn open_if_staging(parent: &Folder, name: &OsStr) -> io::Result<Option<Folder>> {
    if parent.look(name)?.map(|seen| seen.kind) != Some(FileType::Directory) {
        return Ok(None);
    }
    let folder = match parent.open_folder(name) {
        Ok(folder) => folder,
        // Another user's, or a mount: not ours in either case.
        Err(error) if is(&error, Errno::ACCESS) || is(&error, Errno::XDEV) => return Ok(None),
        Err(error) => return Err(error),
    };
    let names = folder.names()?;
    if names.is_empty() {
        // Killed before the marker was made. An empty folder is all that can be lost.
        return Ok(Some(folder));
    }
    let only_ours = names
        .iter()
        .all(|name| [MARKER, TREE, FORMER].iter().any(|own| name == own));
    let marked = names.iter().any(|name| name == MARKER) && has_marker_text(&folder)?;
    Ok((only_ours && marked).then_some(folder))
}

fn has_marker_text(folder: &Folder) -> io::Result<bool> {
    if folder.look(MARKER.as_ref())?.map(|seen| seen.kind) != Some(FileType::RegularFile) {
        return Ok(false);
    }
    let mut text = Vec::new();
    let longest = MARKER_TEXT.len() as u64 + 1;
    folder
        .open_file(MARKER.as_ref())?
        .take(longest)
        .read_to_end(&mut text)?;
    Ok(MARKER_TEXT.starts_with(&text))
}
