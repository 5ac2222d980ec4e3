//! Why a folder could not be compared or written, and what stayed as it was.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::ManifestError;
use super::change::Conflict;
use super::folder::Obstacle;

/// A build's output that cannot be compared with its folder, or not be written to it.
///
/// Each prints as one line, but for [`Refused`](Self::Refused), which has one line a file more.
#[derive(Debug)]
pub enum OutputError {
    /// Files stand in the way that moxc did not write as they are now. Nothing was touched.
    Refused {
        /// The output folder.
        folder: PathBuf,
        /// The files, sorted by path.
        conflicts: Vec<Conflict>,
    },
    /// The folder's manifest cannot be read. Nothing was touched.
    Manifest {
        /// The manifest's path.
        path: PathBuf,
        /// What is wrong with it.
        error: ManifestError,
    },
    /// The path has no last component that could be a folder's name, as `..`, `.` and `/` have none.
    Unnamed {
        /// The path as it was given.
        path: PathBuf,
    },
    /// Something else stands where the folder should be. Nothing was touched.
    NotAFolder {
        /// The output folder.
        folder: PathBuf,
        /// What stands there.
        what: Obstacle,
    },
    /// Another build holds the lock. Nothing was touched.
    Busy {
        /// The output folder.
        folder: PathBuf,
    },
    /// Somebody changed the folder while it was being rebuilt, so the former tree was kept.
    Changed {
        /// What changed.
        path: PathBuf,
    },
    /// A former build was killed between two renames, and since then somebody made a new folder. Nothing was touched.
    Interrupted {
        /// The output folder.
        folder: PathBuf,
        /// Where the former tree lies.
        former: PathBuf,
    },
    /// The system refused.
    Io {
        /// What was tried, such as "write".
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        error: io::Error,
        /// How the output folder stands now.
        standing: Standing,
    },
}

/// How an output folder stands after a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// As it was before.
    AsBefore,
    /// The former tree could be neither replaced nor put back; it lies here.
    SetAside(PathBuf),
}

impl OutputError {
    /// Makes an I/O error of what failed before anything was swapped in.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io {
            action,
            path,
            error,
            standing: Standing::AsBefore,
        }
    }
}

/// A path as it is shown: on one line, and unable to drive a terminal, whatever somebody called a file.
pub(super) struct Shown<'a>(pub(super) &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string_lossy().chars() {
            if c.is_control() {
                write!(out, "{}", c.escape_unicode())?;
            } else {
                write!(out, "{c}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { folder, conflicts } => {
                let files = if conflicts.len() == 1 {
                    "file stands"
                } else {
                    "files stand"
                };
                write!(
                    out,
                    "{} {files} in the way in `{}`; nothing was written",
                    conflicts.len(),
                    Shown(folder)
                )?;
                conflicts
                    .iter()
                    .try_for_each(|conflict| write!(out, "\n  {conflict}"))
            }
            Self::Manifest { path, error } => write!(
                out,
                "cannot use `{}`: {error}; nothing was written",
                Shown(path)
            ),
            Self::Unnamed { path } => write!(
                out,
                "`{}` cannot be an output folder: it must end in a name, so that it can be replaced at once",
                Shown(path)
            ),
            Self::NotAFolder { folder, what } => write!(
                out,
                "`{}` is {what}, not a folder that can be replaced; nothing was written",
                Shown(folder)
            ),
            Self::Busy { folder } => write!(
                out,
                "another moxc is writing `{}`; nothing was written",
                Shown(folder)
            ),
            Self::Changed { path } => write!(
                out,
                "`{}` changed during the build, so the folder was left as it was; build again",
                Shown(path)
            ),
            Self::Interrupted { folder, former } => write!(
                out,
                "a build that was killed left the former `{}` at `{}`, and a new folder stands there now; move one of \
                 them away; nothing was written",
                Shown(folder),
                Shown(former)
            ),
            Self::Io {
                action,
                path,
                error,
                standing,
            } => {
                write!(out, "cannot {action} `{}`: {error}; ", Shown(path))?;
                match standing {
                    Standing::AsBefore => write!(out, "the output folder is as it was"),
                    Standing::SetAside(former) => {
                        write!(out, "the former output folder lies at `{}`", Shown(former))
                    }
                }
            }
        }
    }
}

impl std::error::Error for OutputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Manifest { error, .. } => Some(error),
            Self::Io { error, .. } => Some(error),
            Self::Refused { .. }
            | Self::Unnamed { .. }
            | Self::NotAFolder { .. }
            | Self::Busy { .. }
            | Self::Changed { .. }
            | Self::Interrupted { .. } => None,
        }
    }
}
