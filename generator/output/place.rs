//! Where an output folder is, and that no two builds meet there.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FileType, FlockOperation};
use rustix::io::Errno;

use super::error::OutputError;
use super::folder::{Folder, Obstacle, is};

/// How long a build waits for another one of the same folder.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Where an output folder is: a name in another folder.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) parent: PathBuf,
    pub(super) name: OsString,
}

impl Place {
    pub(super) fn of(root: &Path) -> Result<Self, OutputError> {
        let unnamed = || OutputError::Unnamed {
            path: root.to_owned(),
        };
        // `Path` drops a `.` at the end, which here would mean "this very folder".
        let name: &OsStr = root.file_name().ok_or_else(unnamed)?;
        let parent = root.parent().ok_or_else(unnamed)?;
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        Ok(Self {
            parent: parent.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Opens the output folder, if there is one.
    pub(super) fn open_root(&self, parent: &Folder) -> Result<Option<Folder>, OutputError> {
        let root = self.parent.join(&self.name);
        let not_a_folder = |what| OutputError::NotAFolder {
            folder: root.clone(),
            what,
        };
        match parent
            .look(&self.name)
            .map_err(OutputError::io("look at", &root))?
            .map(|seen| seen.kind)
        {
            None => Ok(None),
            Some(FileType::Directory) => match parent.open_folder(&self.name) {
                Ok(folder) => Ok(Some(folder)),
                Err(error) if is(&error, Errno::XDEV) => Err(not_a_folder(Obstacle::Mount)),
                Err(error) => Err(OutputError::io("open", &root)(error)),
            },
            Some(FileType::Symlink) => Err(not_a_folder(Obstacle::Symlink)),
            Some(FileType::RegularFile) => Err(not_a_folder(Obstacle::File)),
            Some(_) => Err(not_a_folder(Obstacle::Special)),
        }
    }
}

/// The folder that output folders lie in, locked; the lock goes with the process.
#[derive(Debug)]
pub(super) struct Lock {
    pub(super) folder: Folder,
    /// Whether the file system has locks.
    pub(super) holds: bool,
}

impl Lock {
    /// For a build: nobody else may read or write.
    pub(super) fn exclusive(
        parent: Folder,
        root: &Path,
        patience: Duration,
    ) -> Result<Self, OutputError> {
        Self::take(
            parent,
            root,
            FlockOperation::NonBlockingLockExclusive,
            patience,
        )
    }

    /// For a comparison: others may read.
    pub(super) fn shared(
        parent: Folder,
        root: &Path,
        patience: Duration,
    ) -> Result<Self, OutputError> {
        Self::take(
            parent,
            root,
            FlockOperation::NonBlockingLockShared,
            patience,
        )
    }

    fn take(
        folder: Folder,
        root: &Path,
        operation: FlockOperation,
        patience: Duration,
    ) -> Result<Self, OutputError> {
        let pause = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        loop {
            match rustix::fs::flock(&folder, operation) {
                Ok(()) => {
                    return Ok(Self {
                        folder,
                        holds: true,
                    });
                }
                Err(Errno::WOULDBLOCK) if waited >= patience => {
                    return Err(OutputError::Busy {
                        folder: root.to_owned(),
                    });
                }
                Err(Errno::WOULDBLOCK) => std::thread::sleep(pause),
                Err(Errno::INTR) => {}
                // The swap still is one step; only the clean-up has to be left to somebody with a lock.
                Err(
                    Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::BADF | Errno::INVAL,
                ) => {
                    return Ok(Self {
                        folder,
                        holds: false,
                    });
                }
                Err(error) => return Err(OutputError::io("lock", root)(error.into())),
            }
            waited += pause;
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.holds {
            // Closing the folder, which follows at once, would release it as well.
            let _ = rustix::fs::flock(&self.folder, FlockOperation::Unlock);
        }
    }
}
