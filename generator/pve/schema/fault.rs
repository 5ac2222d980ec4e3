//! What is wrong with an option.

use std::fmt;
use std::ops::Range;

use super::Release;

/// An option that Proxmox would refuse, ignore or misread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionFault {
    /// What kind of mistake.
    pub kind: FaultKind,
    /// Where it is.
    pub place: Place,
    /// What is wrong: one line, lower case, names in backticks.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Where in an option a fault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The option's name.
    Key,
    /// These bytes of its value.
    Value(Range<usize>),
}

/// The kinds of [`OptionFault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// There is no such section type.
    UnknownKind,
    /// There is no such option or sub-option.
    UnknownOption,
    /// The option exists, but not with this index.
    IndexOutOfRange,
    /// A later release has it.
    NotYet {
        /// The first release that has it.
        since: Release,
    },
    /// Releases before and after have it.
    AbsentHere,
    /// It was dropped.
    Gone {
        /// The last release that has it.
        until: Release,
    },
    /// Not a number, not a boolean.
    WrongType,
    /// Not one of the listed values.
    NotListed,
    /// Below the minimum.
    TooSmall,
    /// Above the maximum.
    TooLarge,
    /// Fewer or more characters than allowed.
    WrongLength,
    /// The value does not look as it must.
    WrongForm,
    /// A sub-option or option that must be there is missing.
    Missing,
    /// Given twice.
    Twice,
    /// It excludes another one that is given too.
    Conflict,
    /// The line is no line of this file.
    Unreadable,
}

impl OptionFault {
    pub(crate) fn at_key(kind: FaultKind, message: String) -> Self {
        Self {
            kind,
            place: Place::Key,
            message,
            help: None,
        }
    }

    pub(crate) fn at(kind: FaultKind, range: Range<usize>, message: String) -> Self {
        Self {
            kind,
            place: Place::Value(range),
            message,
            help: None,
        }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for OptionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OptionFault {}
