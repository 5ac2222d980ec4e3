//! Regular expressions of the schema, compiled when first needed.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer};

/// A pattern that a whole value must match.
///
/// Proxmox matches with `^` and `$` glued to the pattern, which lets `a|b` match `axx` and `xxb`;
/// here the whole value counts, as is meant.
pub(super) struct Pattern {
    text: String,
    compiled: OnceLock<Regex>,
}

impl Pattern {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, value: &str) -> bool {
        let regex = self.compiled.get_or_init(|| {
            // Perl's `\d` and `\w` are ASCII here: Proxmox matches undecoded bytes.
            let whole = format!(r"\A(?:{})\z", self.text);
            let built = RegexBuilder::new(&whole).unicode(false).build();
            built.expect("a test compiles every built-in pattern")
        });
        regex.is_match(value.as_bytes())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self {
            text: String::deserialize(deserializer)?,
            compiled: OnceLock::new(),
        })
    }
}
