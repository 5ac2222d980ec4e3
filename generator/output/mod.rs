//! The last two stages: what the targets emitted, and how it gets to the disk.
//!
//! In comes a [`FileSet`]; out come a list of [`Change`](diff::Change)s or a finished folder. Nothing here knows the
//! spec: an [`Origin`] is a number that means something to the caller alone.

pub mod digest;
pub mod files;
pub mod manifest;

pub use digest::Sha256;
pub use files::{Clash, FileSet, Mode, Origin, OutputFile, PathError, RelPath};
pub use manifest::{Manifest, ManifestError, Provenance};
