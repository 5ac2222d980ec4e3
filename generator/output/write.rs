//! Puts a build's files into their folder: all of them or none.
//!
//! The next tree is built beside the output folder (see [`super::staging`]) and then swapped with it by
//! `renameat2(RENAME_EXCHANGE)`, one step for every reader. A build that is killed at any moment, or that runs out of
//! space, leaves the former tree; one that is killed after the swap leaves the new one. The next build removes what is
//! left of the other.
//!
//! Where a file system cannot swap (NFS, FAT, many FUSE ones, ZFS before 2.2), two renames do it: the former tree moves
//! into the staging folder, the next one out of it. A build that is killed between them leaves no output folder at all;
//! the next build first puts the former tree back. A machine that loses power is covered as well, as the tree is on the
//! disk before it is swapped.
//!
//! What follows from the swap:
//! - The output folder is a new folder after each build that changes something. A shell that stands in it must `cd` again,
//!   and it cannot be a mount point itself; a folder below one can.
//! - The output folder itself must be no symbolic link, as the swap would replace the link. Links in the path above it are
//!   the user's own choice and followed; links below it are never followed, nor replaced by a file, even with force.
//! - Whatever else lies in the folder is carried over. It keeps its inode, where hard links are possible.
//! - Two builds do not meet: each holds a lock on the folder that the output folder lies in. On a network file system
//!   the lock holds among the builds of one machine only.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use super::carry::{self, Snapshot};
use super::change::ChangeKind;
use super::diff::{BadManifest, Comparison, Scope};
use super::error::{OutputError, Shown};
use super::files::{FileSet, RelPath};
use super::folder::{Folder, Seen, is};
use super::manifest::Provenance;
use super::place::{Lock, PATIENCE, Place};
use super::staging::{self, Resting, Staging};

/// How to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Overwrite files that were edited by hand or that moxc never wrote, and a manifest that cannot be read.
    pub force: bool,
    /// Which files of the folder the build answers for.
    pub scope: Scope,
    /// How long to wait for another build of the same folder.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            force: false,
            scope: Scope::Everything,
            patience: PATIENCE,
        }
    }
}

/// What a build did to its folder; each list is sorted. The manifest is in it like any other file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Files that were not there before.
    pub created: Vec<RelPath>,
    /// Files of moxc's that have new contents or permissions.
    pub updated: Vec<RelPath>,
    /// Files that force put in the place of somebody's edits or own file; and edited ones that it removed.
    pub overwritten: Vec<RelPath>,
    /// Files of moxc's that are no longer generated.
    pub removed: Vec<RelPath>,
    /// How many files stayed as they were.
    pub unchanged: usize,
    /// Files that are not moxc's and could not be carried over as the same inode: they are copies now, and belong to
    /// the user that built.
    pub copied: Vec<PathBuf>,
    /// What did not go as it should without harm to the tree, a sentence each.
    pub notes: Vec<String>,
}

impl Report {
    fn of(comparison: &Comparison<'_>) -> Self {
        let mut report = Self::default();
        for change in comparison.changes() {
            let list = match change.kind {
                ChangeKind::Create => &mut report.created,
                ChangeKind::Update { .. }
                | ChangeKind::LineEndings { .. }
                | ChangeKind::ModeChange { .. } => &mut report.updated,
                ChangeKind::Stale { .. } => &mut report.removed,
                ChangeKind::HandEdited { .. } | ChangeKind::Foreign { .. } => {
                    &mut report.overwritten
                }
                // The last two are refused before there is a report.
                ChangeKind::Unchanged
                | ChangeKind::SymlinkInTheWay { .. }
                | ChangeKind::NotAFile { .. } => {
                    report.unchanged += 1;
                    continue;
                }
            };
            list.push(change.path.clone());
        }
        report
    }
}

/// Makes the folder `root` hold `set` and its manifest, besides what is not moxc's; see the module for how.
///
/// Missing folders above `root` are made. Nothing is written where nothing changes.
pub fn write(
    root: &Path,
    set: &FileSet,
    provenance: &Provenance,
    options: &Options,
) -> Result<Report, OutputError> {
    let place = Place::of(root)?;
    let output = Output::of(&place, root, options.patience)?;
    let prepared = output.prepare_place(&place, root, set, provenance, options)?;
    let mut reports = output.put(vec![prepared]);
    reports.pop().expect("a report for each prepared tree")
}

/// The folder that the output folders of one build lie in, while nobody else may build there.
///
/// A build of many hosts first [prepares](Self::prepare) all of their trees, which holds none of their texts, and then
/// [puts](Self::put) them in their places; dropped before, a prepared tree goes away.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    lock: Lock,
    /// What looks like a killed build's.
    left: Vec<OsString>,
    _made: MadeFolders,
}

impl Output {
    /// Opens the folder that the output folders lie in, and makes it where it is missing.
    pub fn open(path: &Path, patience: Duration) -> Result<Self, OutputError> {
        let made = MadeFolders::down_to(path).map_err(OutputError::io("create", path))?;
        let parent = Folder::open(path).map_err(OutputError::io("open", path))?;
        let lock = Lock::exclusive(parent, path, patience)?;
        // Without a lock, what looks like a killed build's may be a running one's.
        let left = if lock.holds {
            staging::left_in(&lock.folder).map_err(OutputError::io("read", path))?
        } else {
            Vec::new()
        };
        Ok(Self {
            path: path.to_owned(),
            lock,
            left,
            _made: made,
        })
    }

    fn of(place: &Place, root: &Path, patience: Duration) -> Result<Self, OutputError> {
        Self::open(&place.parent, patience).map_err(|error| match error {
            OutputError::Busy { .. } => OutputError::Busy {
                folder: root.to_owned(),
            },
            error => error,
        })
    }

    /// Builds the next tree of the output folder `name` beside it, where it is not what it should be.
    pub fn prepare(
        &self,
        name: &str,
        set: &FileSet,
        provenance: &Provenance,
        options: &Options,
    ) -> Result<Prepared<'_>, OutputError> {
        let root = self.path.join(name);
        let place = Place::of(&root)?;
        self.prepare_place(&place, &root, set, provenance, options)
    }

    fn prepare_place(
        &self,
        place: &Place,
        root: &Path,
        set: &FileSet,
        provenance: &Provenance,
        options: &Options,
    ) -> Result<Prepared<'_>, OutputError> {
        let parent = &self.lock.folder;
        let notes = staging::recover(parent, &self.path, &place.name, &self.left)?;
        let old = place.open_root(parent)?;
        let bad_manifest = if options.force {
            BadManifest::Distrust
        } else {
            BadManifest::Report
        };
        let comparison = Comparison::of(
            root,
            old.as_ref(),
            set,
            provenance,
            &options.scope,
            bad_manifest,
        )?;
        let conflicts = comparison.conflicts(options.force);
        if !conflicts.is_empty() {
            return Err(OutputError::Refused {
                folder: root.to_owned(),
                conflicts,
            });
        }
        let mut report = Report::of(&comparison);
        report.notes = notes;
        let mut prepared = Prepared {
            root: root.to_owned(),
            report,
            next: None,
        };
        if comparison.is_current() {
            return Ok(prepared);
        }
        let staging = Staging::create(parent, &self.path, &place.name)?;
        let tree = staging
            .create_tree()
            .map_err(OutputError::io("create", staging.path()))?;
        let snapshot = carry::build(root, old.as_ref(), &tree, &comparison)?;
        let former = old.as_ref().map(Folder::seen).transpose();
        prepared.next = Some(Next {
            former: former.map_err(OutputError::io("look at", root))?,
            staging: staging.rest().map_err(OutputError::io("look at", root))?,
            snapshot,
        });
        Ok(prepared)
    }

    /// Puts prepared trees in their places, one after the other; a report, or what stood in the way, for each.
    pub fn put(&self, prepared: Vec<Prepared<'_>>) -> Vec<Result<Report, OutputError>> {
        // One commit of the file system's journal for all.
        let synced = if prepared.iter().any(|tree| tree.next.is_some()) {
            carry::sync_all(&self.lock.folder)
        } else {
            Ok(())
        };
        let put: Vec<_> = prepared
            .into_iter()
            .map(|tree| match &synced {
                Ok(()) => self.put_one(tree),
                // What is to be in the place of a sound tree must be on the disk.
                Err(error) => Err(OutputError::io("write", &tree.root)(again(error))),
            })
            .collect();
        let swapped = put.iter().any(|put| matches!(put, Ok((_, Some(_)))));
        let kept = if swapped {
            carry::sync_all(&self.lock.folder)
        } else {
            Ok(())
        };
        put.into_iter()
            .map(|put| {
                let (mut report, former) = put?;
                // The new tree is in place. What fails from here on is worth a word, but no failure.
                if let (Some(_), Err(error)) = (&former, &kept) {
                    report.notes.push(format!(
                        "the folder may be lost if the machine loses power now: {error}"
                    ));
                }
                if let Some(left) = former
                    && let path = left.path()
                    && let Err(error) = left.discard()
                {
                    report.notes.push(format!(
                        "the former tree could not be removed from `{}`: {error}; the next build tries again",
                        Shown(&path)
                    ));
                }
                Ok(report)
            })
            .collect()
    }

    /// Swaps one tree in; what it did, and the former tree on its way out.
    fn put_one<'a>(
        &'a self,
        prepared: Prepared<'a>,
    ) -> Result<(Report, Option<Resting<'a>>), OutputError> {
        let Prepared {
            root,
            mut report,
            next,
        } = prepared;
        let Some(next) = next else {
            return Ok((report, None));
        };
        let place = Place::of(&root)?;
        let old = place.open_root(&self.lock.folder)?;
        let swapped = Swapping {
            staging: next
                .staging
                .wake()
                .map_err(OutputError::io("open", &root))?,
            place: &place,
            root: &root,
            snapshot: &next.snapshot,
        };
        let staging = match (&old, &next.former) {
            (None, None) => swapped.put_first()?,
            (Some(old), Some(former)) => {
                let found = old.seen().map_err(OutputError::io("look at", &root))?;
                if !found.is_same_object(former) {
                    return Err(swapped.changed(Path::new("")));
                }
                swapped.exchange(old)?
            }
            (None, Some(_)) | (Some(_), None) => return Err(swapped.changed(Path::new(""))),
        };
        report.copied = next.snapshot.copied;
        let left = staging.rest().map_err(OutputError::io("look at", &root))?;
        Ok((report, Some(left)))
    }
}

/// The same error for another tree.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// A tree that lies beside its place, finished; goes away when dropped. It holds no file open, as there may be many.
#[derive(Debug)]
pub struct Prepared<'a> {
    root: PathBuf,
    report: Report,
    /// None where the output folder already is what it should be.
    next: Option<Next<'a>>,
}

#[derive(Debug)]
struct Next<'a> {
    staging: Resting<'a>,
    /// The former tree, if there is one.
    former: Option<Seen>,
    snapshot: Snapshot,
}

/// A finished tree on its way to its place.
struct Swapping<'a, 's> {
    staging: Staging<'a>,
    place: &'s Place,
    root: &'s Path,
    snapshot: &'s Snapshot,
}

impl<'a> Swapping<'a, '_> {
    fn changed(&self, path: &Path) -> OutputError {
        // Joining an empty path would append a slash.
        let path = if path.as_os_str().is_empty() {
            self.root.to_owned()
        } else {
            self.root.join(path)
        };
        OutputError::Changed { path }
    }

    fn put_first(self) -> Result<Staging<'a>, OutputError> {
        match self.staging.put_tree(&self.place.name) {
            Ok(()) => Ok(self.staging),
            Err(error)
                if is(&error, Errno::EXIST)
                    || is(&error, Errno::NOTEMPTY)
                    || is(&error, Errno::NOTDIR) =>
            {
                Err(self.changed(Path::new("")))
            }
            Err(error) => Err(OutputError::io("create", self.root)(error)),
        }
    }

    fn exchange(self, old: &Folder) -> Result<Staging<'a>, OutputError> {
        let name = &self.place.name;
        match self.staging.exchange_tree(name) {
            Ok(()) => {}
            Err(error)
                if [Errno::NOSYS, Errno::INVAL, Errno::OPNOTSUPP]
                    .iter()
                    .any(|lack| is(&error, *lack)) =>
            {
                return self.rename_twice(old);
            }
            Err(error) => return Err(OutputError::io("replace", self.root)(error)),
        }
        let Some(problem) = self.problem_with(old, self.staging.look_at_swapped()) else {
            return Ok(self.staging);
        };
        // Nobody's edit may be lost, so the former tree returns.
        match self.staging.exchange_tree(name) {
            Ok(()) => Err(problem),
            Err(error) => Err(OutputError::Io {
                action: "put the former tree back to",
                path: self.root.to_owned(),
                error,
                standing: self.staging.abandon_swapped(),
            }),
        }
    }

    fn rename_twice(self, old: &Folder) -> Result<Staging<'a>, OutputError> {
        let name = &self.place.name;
        self.staging
            .take_former(name)
            .map_err(OutputError::io("replace", self.root))?;
        let problem = match self.problem_with(old, self.staging.look_at_former()) {
            Some(problem) => problem,
            None => match self.staging.put_tree(name) {
                Ok(()) => return Ok(self.staging),
                Err(error) => OutputError::io("replace", self.root)(error),
            },
        };
        match self.staging.give_former_back(name) {
            Ok(()) => Err(problem),
            Err(error) => Err(OutputError::Io {
                action: "put the former tree back to",
                path: self.root.to_owned(),
                error,
                standing: self.staging.abandon_former(),
            }),
        }
    }

    /// Why the tree that was taken out must go back: it is not what the next one was made from.
    fn problem_with(
        &self,
        old: &Folder,
        taken_out: io::Result<Option<super::folder::Seen>>,
    ) -> Option<OutputError> {
        let check = || -> io::Result<Option<PathBuf>> {
            let same = match taken_out? {
                Some(seen) => seen.is_same_object(&old.seen()?),
                None => false,
            };
            if same {
                self.snapshot.first_change(old)
            } else {
                Ok(Some(PathBuf::new()))
            }
        };
        match check() {
            Ok(None) => None,
            Ok(Some(path)) => Some(self.changed(&path)),
            Err(error) => Some(OutputError::io("look at", self.root)(error)),
        }
    }
}

/// Folders made on the way to the output folder, outermost first; dropped, those that are empty go away again.
#[derive(Debug)]
struct MadeFolders(Vec<PathBuf>);

impl MadeFolders {
    fn down_to(folder: &Path) -> io::Result<Self> {
        let missing = folder.ancestors().take_while(|above| {
            !above.as_os_str().is_empty() && std::fs::symlink_metadata(above).is_err()
        });
        let mut made = Self(missing.map(Path::to_owned).collect());
        made.0.reverse();
        // What was missing a moment ago may be there now, so this must not mind.
        match std::fs::create_dir_all(folder) {
            // Something stands there that is no folder, or a link that leads nowhere.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Errno::NOTDIR.into()),
            result => result.map(|()| made),
        }
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            // Not empty: somebody else uses it by now.
            let _ = std::fs::remove_dir(folder);
        }
    }
}
