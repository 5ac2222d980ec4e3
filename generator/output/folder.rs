//! One open folder and the names in it.
//!
//! Everything below an output folder is reached from its open file descriptor, one component after the other, and no
//! symbolic link is ever followed on the way. So a path checked a moment ago cannot be bent elsewhere before it is used.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::RelPath;
use crate::digest::Sha256;
use rustix::fs::{AtFlags, FileType, OFlags, Stat, Timespec};
use rustix::io::Errno;

/// Files above this size, in bytes, are hashed but not held in memory: no build emits such a file.
pub(super) const LARGEST_HELD: u64 = 64 << 20;

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Folder {
    /// Opens a folder that the user named: symbolic links on the way are the user's own choice.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(
            path,
            flags,
            rustix::fs::Mode::empty(),
        )?))
    }

    /// The same open folder once more.
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Opens the folder `name`: `ENOTDIR` or `ELOOP` where it is something else, `EXDEV` where a mount covers it.
    pub(super) fn open_folder(&self, name: &OsStr) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            use rustix::fs::ResolveFlags;
            let stay = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
            match rustix::fs::openat2(self, name, flags, rustix::fs::Mode::empty(), stay) {
                Ok(folder) => return Ok(Self(folder)),
                // Linux before 5.6, or a sandbox that does not know the call.
                Err(Errno::NOSYS | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let folder = Self(rustix::fs::openat(
            self,
            name,
            flags,
            rustix::fs::Mode::empty(),
        )?);
        // Without openat2 only mounts of other file systems can be told.
        if folder.seen()?.device != self.seen()?.device {
            return Err(Errno::XDEV.into());
        }
        Ok(folder)
    }

    /// What the folder itself is.
    pub(super) fn seen(&self) -> io::Result<Seen> {
        Ok(Seen::from(rustix::fs::fstat(self)?))
    }

    /// What stands at `name`, a symbolic link being one; `None` where nothing does.
    pub(super) fn look(&self, name: &OsStr) -> io::Result<Option<Seen>> {
        match rustix::fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Seen::from(stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The names in the folder, sorted.
    pub(super) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(self)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens the regular file `name` for reading.
    pub(super) fn open_file(&self, name: &OsStr) -> io::Result<File> {
        // NONBLOCK: a FIFO put there meanwhile must not hold us up until somebody writes to it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(
            self,
            name,
            flags,
            rustix::fs::Mode::empty(),
        )?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no longer a regular file"));
        }
        Ok(file)
    }

    /// Creates the file `name`, which must not exist, with at most these permission bits: the umask and the folder's default
    /// ACL may take some.
    pub(super) fn create_file(&self, name: &OsStr, bits: u32) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = rustix::fs::Mode::from_raw_mode(bits);
        Ok(File::from(rustix::fs::openat(self, name, flags, mode)?))
    }

    /// Creates the folder `name`, which must not exist, for its owner alone until its real mode is set.
    pub(super) fn create_folder(&self, name: &OsStr) -> io::Result<Self> {
        rustix::fs::mkdirat(self, name, rustix::fs::Mode::from_raw_mode(0o700))?;
        self.open_folder(name)
    }

    /// Sets the folder's own permission bits, whatever the umask is.
    pub(super) fn set_mode(&self, bits: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(
            self,
            rustix::fs::Mode::from_raw_mode(bits),
        )?)
    }

    /// Removes `name`, which is no folder.
    pub(super) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name, AtFlags::empty())?)
    }

    /// Removes the empty folder `name`.
    pub(super) fn remove_empty_folder(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes the folder `name` and all that is in it, but nothing behind a symbolic link or a mount.
    pub(super) fn remove_tree(&self, name: &OsStr) -> io::Result<()> {
        let folder = self.open_folder_to_empty(name)?;
        for inner in folder.names()? {
            match folder.look(&inner)? {
                Some(seen) if seen.kind == FileType::Directory => folder.remove_tree(&inner)?,
                Some(_) => folder.remove_file(&inner)?,
                None => {}
            }
        }
        self.remove_empty_folder(name)
    }

    /// Opens a folder that is to be emptied, giving its owner the right to do so where only that is missing.
    fn open_folder_to_empty(&self, name: &OsStr) -> io::Result<Self> {
        let folder = match self.open_folder(name) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                // Not readable; what is at `name` was seen to be a folder, and chmod cannot destroy anything.
                rustix::fs::chmodat(self, name, rustix::fs::Mode::RWXU, AtFlags::empty())?;
                self.open_folder(name)?
            }
            folder => folder?,
        };
        if folder.seen()?.mode & 0o300 != 0o300 {
            folder.set_mode(0o700)?;
        }
        Ok(folder)
    }

    /// Forces the folder's own entries onto the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(self) {
            // File systems that cannot sync a folder say so with one of these; there is nothing better to do there.
            Ok(()) | Err(Errno::INVAL | Errno::BADF | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What stood at a name when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) kind: FileType,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// The permission bits, as chmod(2) takes them.
    pub(super) mode: u32,
    pub(super) owner: u32,
    pub(super) group: u32,
    /// In bytes.
    pub(super) size: u64,
    /// When the contents changed. The time of the last change to anything else tells nothing, as a hard link made to
    /// the file counts as one.
    pub(super) modified: Timespec,
}

impl From<Stat> for Seen {
    // The field types differ between platforms, so that a conversion that is needed on one is useless on another.
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap
    )]
    fn from(stat: Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            mode: u32::from(stat.st_mode) & 0o7777,
            owner: stat.st_uid,
            group: stat.st_gid,
            size: stat.st_size as u64,
            modified: Timespec {
                tv_sec: stat.st_mtime as _,
                tv_nsec: stat.st_mtime_nsec as _,
            },
        }
    }
}

impl Seen {
    /// Whether it is the same file or folder, whatever stands in it now.
    pub(super) fn is_same_object(&self, other: &Self) -> bool {
        (self.kind, self.device, self.inode) == (other.kind, other.device, other.inode)
    }
}

/// What a path below a folder leads to.
#[derive(Debug)]
pub(super) enum Look {
    Nothing,
    /// A regular file in this folder.
    File(Seen),
    /// Something that a file cannot be written through or over.
    Obstacle {
        at: RelPath,
        what: Obstacle,
    },
}

/// What stands where a file or one of its folders should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// A symbolic link.
    Symlink,
    /// A folder where a file should be.
    Folder,
    /// A file where a folder should be.
    File,
    /// Something that is mounted there.
    Mount,
    /// A FIFO, a socket or a device.
    Special,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Symlink => "a symbolic link",
            Self::Folder => "a folder",
            Self::File => "a file",
            Self::Mount => "a mount point",
            Self::Special => "a FIFO, socket or device",
        })
    }
}

/// Looks paths up below a folder; cheap where they come sorted, as the folders of the last one stay open.
#[derive(Debug)]
pub(super) struct Lookup<'a> {
    root: &'a Folder,
    open: Vec<(String, Folder)>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(root: &'a Folder) -> Self {
        Self {
            root,
            open: Vec::new(),
        }
    }

    /// The innermost folder of the path looked up last.
    fn innermost(&self) -> &Folder {
        self.open.last().map_or(self.root, |(_, folder)| folder)
    }

    /// What stands at `path`.
    pub(super) fn look(&mut self, path: &RelPath) -> io::Result<Look> {
        if let Some(stop) = self.enter_folders_of(path)? {
            return Ok(stop);
        }
        let (_, name) = path.split();
        let Some(seen) = self.innermost().look(name.as_ref())? else {
            return Ok(Look::Nothing);
        };
        let obstacle = match seen.kind {
            FileType::RegularFile => return Ok(Look::File(seen)),
            FileType::Symlink => Obstacle::Symlink,
            FileType::Directory => Obstacle::Folder,
            _ => Obstacle::Special,
        };
        Ok(Look::Obstacle {
            at: path.clone(),
            what: obstacle,
        })
    }

    /// Opens the folders above `path`, or says what ends the way.
    fn enter_folders_of(&mut self, path: &RelPath) -> io::Result<Option<Look>> {
        let folders: Vec<&str> = path.folders().collect();
        let still_open = folders
            .iter()
            .zip(&self.open)
            .take_while(|(wanted, (open, _))| *wanted == open)
            .count();
        self.open.truncate(still_open);
        for folder in &folders[still_open..] {
            let name = folder
                .rsplit_once('/')
                .map_or(*folder, |(_, name)| name)
                .as_ref();
            let obstacle = match self.innermost().look(name)?.map(|seen| seen.kind) {
                None => return Ok(Some(Look::Nothing)),
                Some(FileType::Directory) => match self.innermost().open_folder(name) {
                    Ok(inner) => {
                        self.open.push(((*folder).to_owned(), inner));
                        continue;
                    }
                    Err(error) if is(&error, Errno::XDEV) => Obstacle::Mount,
                    Err(error) => return Err(error),
                },
                Some(FileType::Symlink) => Obstacle::Symlink,
                Some(FileType::RegularFile) => Obstacle::File,
                Some(_) => Obstacle::Special,
            };
            return Ok(Some(Look::Obstacle {
                at: path.folder(folder),
                what: obstacle,
            }));
        }
        Ok(None)
    }

    /// Reads the file at `path`, which was just looked up and found to be one.
    pub(super) fn read(&self, path: &RelPath, seen: &Seen) -> io::Result<Contents> {
        let (_, name) = path.split();
        let file = self.innermost().open_file(name.as_ref())?;
        if seen.size <= LARGEST_HELD {
            let mut bytes = Vec::with_capacity(usize::try_from(seen.size).unwrap_or_default());
            file.take(LARGEST_HELD + 1).read_to_end(&mut bytes)?;
            return Ok(Contents::Whole(bytes));
        }
        let (size, sha256) = Sha256::of_rest(&mut { file })?;
        Ok(Contents::Large { size, sha256 })
    }

    /// The names in the folder at `path`, which was just looked up and found to be one; `None` for a mount.
    pub(super) fn open_found(&self, path: &RelPath) -> io::Result<Option<Folder>> {
        let (_, name) = path.split();
        match self.innermost().open_folder(name.as_ref()) {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if is(&error, Errno::XDEV) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What stands in a file on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// All of it.
    Whole(Vec<u8>),
    /// Too much to hold or show.
    Large {
        /// In bytes.
        size: u64,
        /// The hash of it all.
        sha256: Sha256,
    },
}

impl Contents {
    /// The hash of the contents.
    pub fn sha256(&self) -> Sha256 {
        match self {
            Self::Whole(bytes) => Sha256::of(bytes),
            Self::Large { sha256, .. } => *sha256,
        }
    }

    /// The contents, where they are held.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Large { .. } => None,
        }
    }
}

/// Whether `error` is the system's `errno`.
pub(super) fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}
