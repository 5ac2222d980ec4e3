//! What is wrong with a Nix text.

use std::fmt;
use std::ops::Range;

/// A fault in a Nix text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is.
    pub kind: FaultKind,
    /// The bytes of the text at fault; on character boundaries, and inside the text.
    pub range: Range<usize>,
    /// One line, in lower case, without a full stop, with names in backticks.
    pub message: String,
    /// What to do about it, where that is known.
    pub help: Option<String>,
}

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nix or NixOS takes it.
    Warning,
    /// Nix or NixOS refuses it, or it does not mean what it looks like.
    Error,
}

macro_rules! fault_kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $level:ident,)*) => {
        /// The kinds of faults.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FaultKind {
            $($(#[$doc])* $kind,)*
        }

        impl FaultKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name, for machines.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// How bad it is.
            pub fn level(self) -> Level {
                match self {
                    $(Self::$kind => Level::$level,)*
                }
            }
        }
    };
}

fault_kinds! {
    /// Not Nix. Only the first such fault of a text is reported: those after it follow from it.
    Syntax "syntax" Error,
    /// A NUL: Nix 2.8 ends the text there, 2.26 refuses it.
    Nul "nul" Error,
    /// An attribute or a `let` binding defined twice, by path and value, after what Nix merges.
    DuplicateAttribute "duplicate-attribute" Error,
    /// A function with one argument name twice.
    DuplicateFormal "duplicate-formal" Error,
    /// A variable that nobody binds.
    UnboundName "unbound-name" Error,
    /// A function that nixpkgs' library does not have, one slip away from one that it has.
    UnknownFunction "unknown-function" Error,
    /// An integer of more than 63 bits.
    IntegerRange "integer-range" Error,
    /// A float too large for 64 bits, or too near to zero.
    FloatRange "float-range" Error,
    /// A URL, or any `word:word`, without quotes; a string to Nix.
    UrlLiteral "url-literal" Warning,
    /// A `let` binding or an argument that is never used.
    UnusedBinding "unused-binding" Warning,
    /// An option that NixOS does not have.
    UnknownOption "unknown-option" Error,
    /// An option that is not known, one slip away from one that is.
    SuspectOption "suspect-option" Warning,
    /// An option of a release newer than the one in question.
    OptionTooNew "option-too-new" Error,
    /// An option that has another name now; the old one still works, with a warning.
    RenamedOption "renamed-option" Warning,
    /// An option that is gone.
    RemovedOption "removed-option" Error,
    /// A value that the option does not take.
    OptionType "option-type" Error,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The line and column of a byte, both from 1; columns count characters.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

pub(super) fn fault(kind: FaultKind, range: Range<usize>, message: String) -> Fault {
    Fault {
        kind,
        range,
        message,
        help: None,
    }
}
