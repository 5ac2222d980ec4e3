//! A module under construction.

use crate::nix::{Attrs, BuildError};
use crate::source::Span;

/// What a module sets, and what of the spec it cannot set.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// Options that the compiler sets.
    pub(super) facts: Attrs,
    /// Options that the spec sets raw: a definition of its own, so that an option of both is merged by NixOS.
    pub(super) settings: Attrs,
    /// Values of the spec that no Nix text holds, with their places.
    pub(super) faults: Vec<(Span, BuildError)>,
}
