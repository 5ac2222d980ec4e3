//! The last two stages: what the targets emitted, and how it gets to the disk.
//!
//! In comes a [`FileSet`]; out come a list of [`Change`]s or a finished folder. Nothing here knows the
//! spec: the [`Places`](crate::source::Places) of a file are handed through to whoever asks.

mod carry;
mod change;
pub mod diff;
pub mod error;
pub mod files;
mod folder;
pub mod manifest;
mod place;
mod staging;
mod text;
pub mod write;

pub use change::{Change, ChangeKind, Conflict};
pub use diff::{Comparison, Scope, compare};
pub use error::{OutputError, Standing};
pub use files::{Clash, FileSet, Mode, OutputFile, PathError, RelPath};
pub use folder::{Contents, Obstacle};
pub use manifest::{Manifest, ManifestError, Provenance};
pub use text::DifferingLines;
pub use write::{Options, Output, Prepared, Report, write};
