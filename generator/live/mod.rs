//! A host that runs: what can be known of it from a copy of its files and the answers of its commands.
//!
//! A copy is a folder laid out as `/`, a tar of one, what the [collector](collect) writes, or the text of `pvereport`.
//! All of them become one [`Tree`] of files, and that a [`Snapshot`] of typed values. Nothing here reads a disk or runs
//! a program: the command line hands over bytes, and a [`Folder`] to walk.
//!
//! What is not in a copy may be missing on the host, or only in the copy. So everything is an [`Item`]: present,
//! absent, or unread with the reason; unread is never taken for absent. Secrets are never kept ([`secrets`]).

pub mod archive;
pub mod collect;
mod folder;
pub mod hardware;
mod layout;
pub mod network;
mod places;
mod report;
pub mod secrets;
pub mod snapshot;
pub mod storage;
mod tree;

use std::fmt;
use std::io::{self, Read, Seek};

pub use folder::{Folder, FolderEntry, read_folder};
pub use snapshot::{LiveGuest, LiveNode, Sections, Snapshot};
pub use tree::{FileText, Tree};

/// The largest file that is read.
pub const LARGEST_FILE: usize = 1 << 20;
/// The largest answer of a command that is read: the properties of a few thousand datasets.
pub const LARGEST_ANSWER: usize = 16 << 20;
/// How much is kept of one copy, all files together.
pub const LARGEST_COPY: usize = 192 << 20;
/// How many files and folders of a copy are looked at.
pub const MOST_ENTRIES: usize = 200_000;

/// Something that a host may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<T> {
    /// It is there.
    Present(T),
    /// It is not on the host.
    Absent,
    /// Nobody knows, and why.
    Unread(String),
}

impl<T> Item<T> {
    /// What is there.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unread(_) => None,
        }
    }

    /// Whether it is known to be missing.
    #[cfg(test)]
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The same with what is there made into something else.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Item<U> {
        match self {
            Self::Present(value) => Item::Present(make(value)),
            Self::Absent => Item::Absent,
            Self::Unread(why) => Item::Unread(why),
        }
    }

    /// The same with what is there read further, which may fail.
    pub fn and_then<U>(self, read: impl FnOnce(T) -> Result<U, String>) -> Item<U> {
        match self {
            Self::Present(value) => match read(value) {
                Ok(value) => Item::Present(value),
                Err(why) => Item::Unread(why),
            },
            Self::Absent => Item::Absent,
            Self::Unread(why) => Item::Unread(why),
        }
    }

    /// A view of it.
    pub fn as_ref(&self) -> Item<&T> {
        match self {
            Self::Present(value) => Item::Present(value),
            Self::Absent => Item::Absent,
            Self::Unread(why) => Item::Unread(why.clone()),
        }
    }
}

/// Something of a host that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Unread {
    /// The path on the host without the leading `/`, or the answer below `.moxc/`.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Why a copy cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotRead(pub String);

impl fmt::Display for CannotRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CannotRead {}

/// The longest text of `pvereport`, in bytes: one of a host with hundreds of guests has a few MiB.
const LARGEST_REPORT: u64 = 64 << 20;

/// Reads a copy that is one file: a tar, plain or gzipped, or the text of `pvereport`. A tar is gone through as it lies on
/// the disk, and only what moxc reads of it comes to memory.
pub fn read_file(file: &mut (impl Read + Seek)) -> Result<Snapshot, CannotRead> {
    let failed = |error: io::Error| CannotRead(error.to_string());
    let mut head = Vec::new();
    let mut beginning = file.by_ref().take(report::HEAD);
    beginning.read_to_end(&mut head).map_err(failed)?;
    if !report::is_report(&head) {
        return Ok(Snapshot::of(archive::read(file)?));
    }
    let rest = LARGEST_REPORT - report::HEAD;
    file.take(rest + 1).read_to_end(&mut head).map_err(failed)?;
    if head.len() as u64 > LARGEST_REPORT {
        return Err(CannotRead(format!(
            "a report of more than {} MiB",
            LARGEST_REPORT >> 20
        )));
    }
    Ok(Snapshot::of(report::read(&head)))
}

#[cfg(test)]
mod tests;
