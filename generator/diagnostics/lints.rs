use std::collections::BTreeMap;

use super::Code;

/// How loud a warning is, by the spec's `[lints]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LintLevel {
    /// Not told.
    Allow,
    /// Told.
    Warn,
    /// An error.
    Deny,
}

/// The levels that a spec gives to warnings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lints(BTreeMap<Code, LintLevel>);

impl Lints {
    /// Sets the level of one warning.
    pub fn set(&mut self, code: Code, level: LintLevel) {
        self.0.insert(code, level);
    }

    /// The level that the spec gives, if it gives one.
    pub fn level(&self, code: Code) -> Option<LintLevel> {
        self.0.get(&code).copied()
    }
}
