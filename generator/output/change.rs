//! What a build does to a file, and what stands in its way.

use std::fmt;

use super::files::{Mode, RelPath};
use super::folder::{Contents, Obstacle};
use super::text::DifferingLines;

/// What a file's way from the folder to the build's output is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub path: RelPath,
    /// What happens to it.
    pub kind: ChangeKind,
}

/// What happens to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is not there yet.
    Create,
    /// moxc wrote it, and now writes something else.
    Update {
        /// What stands there now.
        before: Contents,
    },
    /// moxc wrote it, and a checkout or an editor changed its line ends; nothing is lost by changing them back.
    LineEndings {
        /// What stands there now.
        before: Contents,
    },
    /// Only its permissions are not the right ones.
    ModeChange {
        /// The permission bits that it has.
        from: u32,
        /// The permissions that it gets.
        to: Mode,
    },
    /// It is as it should be.
    Unchanged,
    /// moxc wrote it, nobody edited it, and it is no longer generated: it goes.
    Stale {
        /// What stands there now.
        before: Contents,
    },
    /// moxc wrote it, and somebody edited it.
    HandEdited {
        /// What stands there now.
        before: Contents,
        /// Whether it is no longer generated.
        stale: bool,
    },
    /// It is in the way, and moxc never wrote it.
    Foreign {
        /// What stands there now.
        before: Contents,
    },
    /// A symbolic link is in the way. It is never followed, nor replaced.
    SymlinkInTheWay {
        /// The link: the file's own path, or one of its folders.
        at: RelPath,
    },
    /// Something is in the way that is no file, or a file is where a folder is needed. It is never replaced.
    NotAFile {
        /// Where it stands.
        at: RelPath,
        /// What it is.
        what: Obstacle,
    },
}

impl ChangeKind {
    /// Whether writing it would destroy something that moxc did not write, or cannot be done at all.
    pub(super) fn is_conflict(&self, force: bool) -> bool {
        match self {
            Self::Create
            | Self::Update { .. }
            | Self::LineEndings { .. }
            | Self::ModeChange { .. }
            | Self::Unchanged
            | Self::Stale { .. } => false,
            Self::HandEdited { .. } | Self::Foreign { .. } => !force,
            Self::SymlinkInTheWay { .. } | Self::NotAFile { .. } => true,
        }
    }
}

/// A file that stands in the way of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What stands in the way of what.
    pub change: Change,
    /// The lines of the file on the disk that differ from what moxc would write, where both are texts.
    pub lines: Option<DifferingLines>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remark = remark(&self.change).unwrap_or_default();
        write!(out, "{remark}")?;
        if let Some(lines) = &self.lines {
            write!(out, ": {lines}")?;
        }
        Ok(())
    }
}

/// What a change is, where its lines do not say it already.
pub(super) fn remark(change: &Change) -> Option<String> {
    let path = &change.path;
    match &change.kind {
        ChangeKind::Create | ChangeKind::Update { .. } | ChangeKind::Unchanged => None,
        ChangeKind::LineEndings { .. } => {
            Some(format!("`{path}` differs only in its line endings"))
        }
        ChangeKind::ModeChange { from, to } => {
            Some(format!("`{path}` has the mode {from:04o}, not {to}"))
        }
        ChangeKind::Stale { .. } => Some(format!("`{path}` is no longer generated")),
        ChangeKind::HandEdited { stale: false, .. } => Some(format!("`{path}` was edited by hand")),
        ChangeKind::HandEdited { stale: true, .. } => Some(format!(
            "`{path}` was edited by hand and is no longer generated"
        )),
        ChangeKind::Foreign { .. } => Some(format!("`{path}` was not written by moxc")),
        ChangeKind::SymlinkInTheWay { at } => Some(format!(
            "`{path}` cannot be written: `{at}` is a symbolic link"
        )),
        ChangeKind::NotAFile { at, what } => {
            Some(format!("`{path}` cannot be written: `{at}` is {what}"))
        }
    }
}
