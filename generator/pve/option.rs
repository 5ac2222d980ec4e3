//! An option under Proxmox VE's own name, and where a spec says it.

use std::ops::Range;

use super::property::{PropertyError, parts};
use crate::source::{Span, Spanned};

/// An option of one of Proxmox VE's files, or a sub-option of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PveOption {
    /// Its name, as Proxmox VE spells it.
    pub key: Spanned<String>,
    /// Its value, as Proxmox VE's files write it.
    pub value: Spanned<String>,
}

impl PveOption {
    /// The option of a list, by its name.
    pub fn find<'a>(options: &'a [Self], key: &str) -> Option<&'a Self> {
        options.iter().find(|option| option.key.value == key)
    }

    /// The name without its number, and the number: `scsi10` is number 10 of `scsi`.
    pub fn numbered(&self) -> Option<(&str, u32)> {
        let base = self
            .key
            .value
            .trim_end_matches(|c: char| c.is_ascii_digit());
        let number = self.key.value[base.len()..].parse().ok()?;
        Some((base, number))
    }

    /// The sub-options of a property string, each at its own place; the one without a name has none.
    pub fn parts(&self) -> Result<Vec<(Option<String>, Spanned<String>)>, PropertyError> {
        parts(&self.value.value)
            .map(|part| {
                let part = part?;
                let start = part.value_start();
                let place = place_inside(&self.value, start..part.range.end);
                let value = Spanned::new(part.value.to_owned(), place);
                Ok((part.key.map(str::to_owned), value))
            })
            .collect()
    }
}

/// The place of a part of a value: inside the quotes, where the value is written without escapes.
pub fn place_inside(value: &Spanned<String>, part: Range<usize>) -> Span {
    let quotes = (value.span.range().len()).checked_sub(value.value.len());
    if part.is_empty() || part.end > value.value.len() {
        return value.span;
    }
    match quotes {
        Some(0) => value.span.slice(part),
        Some(2) => value.span.slice(part.start + 1..part.end + 1),
        Some(_) | None => value.span,
    }
}
