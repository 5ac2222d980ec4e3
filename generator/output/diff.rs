//! Compares what a build emitted with what stands in its folder.
//!
//! Only the files concerned are read: those of the build and those that the folder's manifest lists. Whatever else lies
//! there is not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::change::{Change, ChangeKind, Conflict, remark};
use super::error::{OutputError, Shown};
use super::files::{FileSet, Mode, OutputFile, RelPath};
use super::folder::{Contents, Folder, Look, Lookup, Obstacle, Seen, is};
use super::manifest::{self, Manifest, ManifestEntry, ManifestError, Provenance};
use super::place::{Lock, PATIENCE, Place};
use super::text::{self, DifferingLines};
use crate::digest::Sha256;
use crate::each;

/// Which files of a folder a build answers for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of them: what the build did not emit is no longer generated.
    #[default]
    Everything,
    /// Those of these targets. A file of another target stays as it is, and stays in the manifest.
    Targets(BTreeSet<String>),
}

impl Scope {
    fn covers(&self, target: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Targets(targets) => targets.contains(target),
        }
    }
}

/// How a build's output and its folder differ.
#[derive(Debug)]
pub struct Comparison<'a> {
    folder: PathBuf,
    folder_exists: bool,
    set: &'a FileSet,
    pub(super) manifest: OutputFile,
    changes: Vec<Change>,
    /// Every file of moxc's that stands in the folder, as it was when it was read.
    pub(super) seen: BTreeMap<RelPath, Seen>,
}

/// Compares `set` with the folder `root` and the manifest in it. Nothing is written.
///
/// Waits up to [`PATIENCE`] for a build that is writing the folder just now.
pub fn compare<'a>(
    root: &Path,
    set: &'a FileSet,
    provenance: &Provenance,
    scope: &Scope,
) -> Result<Comparison<'a>, OutputError> {
    let place = Place::of(root)?;
    let parent = match Folder::open(&place.parent) {
        Ok(parent) => parent,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Comparison::of(root, None, set, provenance, scope, BadManifest::Report);
        }
        Err(error) => return Err(OutputError::io("open", &place.parent)(error)),
    };
    let lock = Lock::shared(parent, root, PATIENCE)?;
    let folder = place.open_root(&lock.folder)?;
    Comparison::of(
        root,
        folder.as_ref(),
        set,
        provenance,
        scope,
        BadManifest::Report,
    )
}

/// What to do about a manifest that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadManifest {
    Report,
    /// Take everything in the folder for foreign.
    Distrust,
}

impl<'a> Comparison<'a> {
    pub(super) fn of(
        root: &Path,
        folder: Option<&Folder>,
        set: &'a FileSet,
        provenance: &Provenance,
        scope: &Scope,
        bad_manifest: BadManifest,
    ) -> Result<Self, OutputError> {
        let mut manifest = Manifest::of(set, provenance.clone());
        let Some(folder) = folder else {
            let (manifest, changes) =
                each::both(set.len(), || manifest_file(&manifest), || all_created(set));
            return Ok(Self {
                folder: root.to_owned(),
                folder_exists: false,
                set,
                manifest,
                changes,
                seen: BTreeMap::new(),
            });
        };

        let mut disk = Disk {
            root,
            lookup: Lookup::new(folder),
            seen: BTreeMap::new(),
        };
        let found = disk.find(&manifest::path())?;
        let (former, trusted) = match found.as_manifest() {
            Ok(former) => (former, true),
            Err(_) if bad_manifest == BadManifest::Distrust => (None, false),
            Err(error) => {
                let path = root.join(manifest::FILE_NAME);
                return Err(OutputError::Manifest { path, error });
            }
        };
        let (kept, gone) = split_entries(former, set, scope, provenance);
        manifest.files.extend(kept);
        let mut comparison = Self {
            folder: root.to_owned(),
            folder_exists: true,
            set,
            manifest: manifest_file(&manifest),
            changes: Vec::new(),
            seen: BTreeMap::new(),
        };

        // Whatever parses as a manifest is moxc's to rewrite, be it reformatted: nothing in it is anybody else's.
        let kind = found.compared_with(
            &comparison.manifest,
            trusted.then_some(Wrote::Whatever),
            &gone,
        );
        comparison.push(manifest::path(), kind);
        for file in set.iter() {
            let found = disk.find(&file.path)?;
            let wrote = gone.former.get(&file.path).map(Wrote::Entry);
            let kind = found.compared_with(file, wrote, &gone);
            comparison.push(file.path.clone(), kind);
        }
        for (path, entry) in gone
            .former
            .iter()
            .filter(|(path, _)| gone.stale.contains(*path))
        {
            // A link or a folder at that place is the user's own: moxc writes neither.
            if let Found::File {
                contents: before, ..
            } = disk.find(path)?
            {
                let kind = if Wrote::Entry(entry).is(&before) {
                    ChangeKind::Stale { before }
                } else {
                    ChangeKind::HandEdited {
                        before,
                        stale: true,
                    }
                };
                comparison.push(path.clone(), kind);
            }
        }
        comparison
            .changes
            .sort_by(|one, other| one.path.cmp(&other.path));
        comparison.seen = disk.seen;
        Ok(comparison)
    }

    fn push(&mut self, path: RelPath, kind: ChangeKind) {
        self.changes.push(Change { path, kind });
    }

    /// What happens to each file, sorted by path; the manifest is one of them.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether the folder is what the build would write.
    pub fn is_current(&self) -> bool {
        self.changes
            .iter()
            .all(|change| change.kind == ChangeKind::Unchanged)
    }

    /// The files that keep the build from being written; with `force`, those that it cannot overwrite at all.
    pub fn conflicts(&self, force: bool) -> Vec<Conflict> {
        self.changes
            .iter()
            .filter(|change| change.kind.is_conflict(force))
            .map(|change| Conflict {
                change: change.clone(),
                lines: self.differing_lines(change),
            })
            .collect()
    }

    fn differing_lines(&self, change: &Change) -> Option<DifferingLines> {
        match &change.kind {
            ChangeKind::HandEdited {
                before,
                stale: false,
            }
            | ChangeKind::Foreign { before } => {
                DifferingLines::between(before.bytes()?, &self.file(&change.path)?.contents)
            }
            ChangeKind::Create
            | ChangeKind::Update { .. }
            | ChangeKind::LineEndings { .. }
            | ChangeKind::ModeChange { .. }
            | ChangeKind::Unchanged
            | ChangeKind::Stale { .. }
            | ChangeKind::HandEdited { stale: true, .. }
            | ChangeKind::SymlinkInTheWay { .. }
            | ChangeKind::NotAFile { .. } => None,
        }
    }

    /// The file that the build emitted at `path`, or its manifest.
    pub(super) fn file(&self, path: &RelPath) -> Option<&OutputFile> {
        if *path == self.manifest.path {
            return Some(&self.manifest);
        }
        self.set.get(path.as_str())
    }

    /// The files that are to be written afresh.
    pub(super) fn files_to_write(&self) -> impl Iterator<Item = &OutputFile> {
        // Both are sorted, so that no path is looked up among all others.
        let mut changes = self.changes.iter();
        let files = self.set.iter().filter(move |file| {
            changes
                .find(|change| change.path == file.path)
                .is_some_and(|change| change.kind != ChangeKind::Unchanged)
        });
        let manifest = self
            .changes
            .iter()
            .find(|change| change.path == self.manifest.path);
        let is_written = |change: &&Change| change.kind != ChangeKind::Unchanged;
        files.chain(manifest.filter(is_written).map(|_| &self.manifest))
    }

    /// Whether the build, or its manifest, has a file at `path`.
    pub(super) fn needs_file(&self, path: &str) -> bool {
        path == manifest::FILE_NAME || self.set.get(path).is_some()
    }

    /// Whether the build has a file at `path` or below it.
    pub(super) fn needs(&self, path: &str) -> bool {
        self.needs_file(path) || self.set.has_folder(path)
    }

    /// The differences in unified form, from the folder to the build's output: what `patch` would do to the folder.
    ///
    /// What is not a difference in lines is said in one line before or instead of them. A private file's contents are
    /// not shown, as this goes to terminals and logs.
    pub fn unified(&self) -> String {
        let mut out = String::new();
        if !self.folder_exists {
            let files = self.changes.len();
            let folder = Shown(&self.folder);
            // A text about a text cannot fail to be written.
            let _ = writeln!(out, "`{folder}` does not exist; it would get {files} files");
            return out;
        }
        let others_differ = self.changes.iter().any(|change| {
            change.path != self.manifest.path && change.kind != ChangeKind::Unchanged
        });
        for change in &self.changes {
            if let Some(remark) = remark(change) {
                let _ = writeln!(out, "{remark}");
            }
            if change.path == self.manifest.path && others_differ {
                if matches!(change.kind, ChangeKind::Create | ChangeKind::Update { .. }) {
                    let _ = writeln!(out, "`{}` follows from the other files", change.path);
                }
            } else {
                self.write_lines_of(change, &mut out);
            }
        }
        out
    }

    /// Appends what the lines of a changed file do.
    fn write_lines_of(&self, change: &Change, out: &mut String) {
        let empty = Contents::Whole(Vec::new());
        let before = match &change.kind {
            ChangeKind::Create => &empty,
            ChangeKind::Update { before }
            | ChangeKind::Stale { before }
            | ChangeKind::HandEdited { before, .. }
            | ChangeKind::Foreign { before } => before,
            ChangeKind::LineEndings { .. }
            | ChangeKind::ModeChange { .. }
            | ChangeKind::Unchanged
            | ChangeKind::SymlinkInTheWay { .. }
            | ChangeKind::NotAFile { .. } => return,
        };
        let path = &change.path;
        let file = self.file(path);
        let after = file.map_or(&[][..], |file| &file.contents);
        // A stale file's mode is no longer known, so what nobody else may read on the disk is not shown either.
        let private = match file {
            Some(file) => file.mode == Mode::Private,
            None => self
                .seen
                .get(path)
                .is_some_and(|seen| seen.mode | 0o700 == 0o700),
        };
        let old_name = if change.kind == ChangeKind::Create {
            "/dev/null".to_owned()
        } else {
            format!("a/{path}")
        };
        let new_name = file.map_or("/dev/null".to_owned(), |_| format!("b/{path}"));
        let diff = before
            .bytes()
            .and_then(|before| text::line_diff(before, after));
        // A text about a text cannot fail to be written.
        let _ = match (private, diff) {
            (true, _) => writeln!(out, "`{path}` is private: its lines are not shown"),
            (false, Some(diff)) => {
                write!(out, "{}", diff.unified_diff().header(&old_name, &new_name))
            }
            (false, None) => writeln!(out, "`{path}` {}", why_no_lines(before, after)),
        };
    }

    /// One line: how many files would be written, removed, and so on.
    pub fn summary(&self) -> String {
        let folder = Shown(&self.folder);
        let count = |counts: fn(&ChangeKind) -> bool| {
            self.changes
                .iter()
                .filter(|change| counts(&change.kind))
                .count()
        };
        let unchanged = count(|kind| matches!(kind, ChangeKind::Unchanged));
        if unchanged == self.changes.len() {
            return format!("`{folder}` is up to date: {unchanged} files");
        }
        let counts = [
            (
                count(|kind| matches!(kind, ChangeKind::Create)),
                "to create",
            ),
            (
                count(|kind| matches!(kind, ChangeKind::Update { .. })),
                "to update",
            ),
            (
                count(|kind| matches!(kind, ChangeKind::LineEndings { .. })),
                "with other line endings",
            ),
            (
                count(|kind| matches!(kind, ChangeKind::ModeChange { .. })),
                "with another mode",
            ),
            (
                count(|kind| matches!(kind, ChangeKind::Stale { .. })),
                "to remove",
            ),
            (
                count(|kind| matches!(kind, ChangeKind::HandEdited { .. })),
                "edited by hand",
            ),
            (
                count(|kind| matches!(kind, ChangeKind::Foreign { .. })),
                "not written by moxc",
            ),
            (
                count(|kind| {
                    matches!(
                        kind,
                        ChangeKind::SymlinkInTheWay { .. } | ChangeKind::NotAFile { .. }
                    )
                }),
                "that cannot be written",
            ),
            (unchanged, "unchanged"),
        ];
        let mut parts = Vec::new();
        for (files, what) in counts {
            if files > 0 {
                parts.push(format!("{files} {what}"));
            }
        }
        format!("`{folder}` is out of date: {}", parts.join(", "))
    }
}

/// Why a difference is not shown line by line.
fn why_no_lines(before: &Contents, after: &[u8]) -> &'static str {
    let Some(before) = before.bytes() else {
        return "differs, and is too large to show";
    };
    if text::is_utf16(before) || text::is_utf16(after) {
        "differs, and is UTF-16"
    } else if text::as_text(before).is_some() && text::as_text(after).is_some() {
        "differs, in too many lines to show"
    } else {
        "differs, and is not text that can be shown"
    }
}

fn manifest_file(manifest: &Manifest) -> OutputFile {
    OutputFile::text(manifest::path(), manifest.to_json(), Mode::Regular, "moxc")
}

/// What happens to the files of `set`, and to their manifest, where no folder is yet: sorted by path.
fn all_created(set: &FileSet) -> Vec<Change> {
    let manifest = manifest::path();
    let paths = set.iter().map(|file| &file.path).chain([&manifest]);
    let mut changes: Vec<Change> = paths
        .map(|path| Change {
            path: path.clone(),
            kind: ChangeKind::Create,
        })
        .collect();
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    changes
}

/// The former manifest's files that this build answers for.
struct Gone {
    former: BTreeMap<RelPath, ManifestEntry>,
    /// Those of them that it no longer generates.
    stale: BTreeSet<RelPath>,
}

/// Splits the former manifest's files in those that another target keeps, and those that this build answers for.
fn split_entries(
    former: Option<Manifest>,
    set: &FileSet,
    scope: &Scope,
    provenance: &Provenance,
) -> (BTreeMap<RelPath, ManifestEntry>, Gone) {
    let mut kept = BTreeMap::new();
    let mut gone = Gone {
        former: BTreeMap::new(),
        stale: BTreeSet::new(),
    };
    let Some(former) = former else {
        return (kept, gone);
    };
    for (path, mut entry) in former.files {
        if set.get(path.as_str()).is_some() {
            gone.former.insert(path, entry);
        } else if scope.covers(&entry.target) {
            gone.stale.insert(path.clone());
            gone.former.insert(path, entry);
        } else {
            let spec = entry.spec_sha256.unwrap_or(former.provenance.spec_sha256);
            entry.spec_sha256 = (spec != provenance.spec_sha256).then_some(spec);
            kept.insert(path, entry);
        }
    }
    (kept, gone)
}

/// What moxc is known to have written at a path.
#[derive(Clone, Copy)]
enum Wrote<'a> {
    Entry(&'a ManifestEntry),
    /// The manifest itself, of which no hash is kept.
    Whatever,
}

impl Wrote<'_> {
    /// Whether `contents` are what moxc wrote, give or take line ends: git may change those on checkout.
    fn is(self, contents: &Contents) -> bool {
        let Self::Entry(entry) = self else {
            return true;
        };
        let as_written = contents.sha256() == entry.sha256;
        as_written
            || contents.bytes().is_some_and(|bytes| {
                Sha256::of(&text::with_lf(bytes)) == entry.sha256
                    || Sha256::of(&text::with_crlf(bytes)) == entry.sha256
            })
    }
}

/// The folder on the disk, and what was read of it.
struct Disk<'a> {
    root: &'a Path,
    lookup: Lookup<'a>,
    seen: BTreeMap<RelPath, Seen>,
}

/// What was found at a path.
enum Found {
    Nothing,
    File {
        seen: Seen,
        contents: Contents,
    },
    Obstacle {
        at: RelPath,
        what: Obstacle,
        /// The files in it, where it is a folder: that can make room if all of them go.
        holds: Option<BTreeSet<RelPath>>,
    },
}

impl Disk<'_> {
    fn find(&mut self, path: &RelPath) -> Result<Found, OutputError> {
        let failed = |action| OutputError::io(action, self.root.join(path.as_str()));
        match self.lookup.look(path).map_err(failed("look at"))? {
            Look::Nothing => Ok(Found::Nothing),
            Look::File(seen) => {
                let contents = self.lookup.read(path, &seen).map_err(failed("read"))?;
                self.seen.insert(path.clone(), seen);
                Ok(Found::File { seen, contents })
            }
            Look::Obstacle { at, what } => {
                let mut holds = None;
                if what == Obstacle::Folder
                    && let Some(folder) = self.lookup.open_found(path).map_err(failed("open"))?
                {
                    holds = files_in(&folder, path).map_err(failed("read"))?;
                }
                Ok(Found::Obstacle { at, what, holds })
            }
        }
    }
}

/// The files in `folder`, which lies at `path`; `None` where something is in it that moxc cannot have written.
fn files_in(folder: &Folder, path: &RelPath) -> io::Result<Option<BTreeSet<RelPath>>> {
    let mut files = BTreeSet::new();
    for name in folder.names()? {
        let Some(inner) = name.to_str().and_then(|name| path.join(name).ok()) else {
            return Ok(None);
        };
        match folder.look(&name)?.map(|seen| seen.kind) {
            Some(FileType::RegularFile) => {
                files.insert(inner);
            }
            Some(FileType::Directory) => {
                let below = match folder.open_folder(&name) {
                    Ok(folder) => files_in(&folder, &inner)?,
                    Err(error) if is(&error, Errno::XDEV) => None,
                    Err(error) => return Err(error),
                };
                match below {
                    Some(below) => files.extend(below),
                    None => return Ok(None),
                }
            }
            Some(_) => return Ok(None),
            None => {}
        }
    }
    Ok(Some(files))
}

impl Found {
    /// The manifest that was found, if any.
    fn as_manifest(&self) -> Result<Option<Manifest>, ManifestError> {
        match self {
            Self::File { contents, .. } => {
                let bytes = contents.bytes().ok_or(ManifestError::TooLarge)?;
                Manifest::from_json(bytes).map(Some)
            }
            Self::Nothing | Self::Obstacle { .. } => Ok(None),
        }
    }

    /// What happens when `file` is written there.
    fn compared_with(self, file: &OutputFile, wrote: Option<Wrote<'_>>, gone: &Gone) -> ChangeKind {
        match self {
            Self::Nothing => ChangeKind::Create,
            Self::File { seen, contents } => compare_file(file, wrote, seen, contents),
            Self::Obstacle { at, what, holds } => match what {
                Obstacle::Symlink => ChangeKind::SymlinkInTheWay { at },
                // They make room, or have a conflict of their own.
                Obstacle::File if gone.stale.contains(&at) => ChangeKind::Create,
                Obstacle::Folder if holds.is_some_and(|files| files.is_subset(&gone.stale)) => {
                    ChangeKind::Create
                }
                Obstacle::File | Obstacle::Folder | Obstacle::Mount | Obstacle::Special => {
                    ChangeKind::NotAFile { at, what }
                }
            },
        }
    }
}

fn compare_file(
    file: &OutputFile,
    wrote: Option<Wrote<'_>>,
    seen: Seen,
    before: Contents,
) -> ChangeKind {
    if before.bytes() == Some(&file.contents) {
        return if file.mode.accepts(seen.mode) {
            ChangeKind::Unchanged
        } else {
            ChangeKind::ModeChange {
                from: seen.mode,
                to: file.mode,
            }
        };
    }
    let Some(wrote) = wrote else {
        return ChangeKind::Foreign { before };
    };
    let line_ends_alone = before
        .bytes()
        .is_some_and(|bytes| text::differ_in_line_ends_alone(bytes, &file.contents));
    if line_ends_alone {
        ChangeKind::LineEndings { before }
    } else if wrote.is(&before) {
        ChangeKind::Update { before }
    } else {
        ChangeKind::HandEdited {
            before,
            stale: false,
        }
    }
}
