//! An option under Proxmox VE's own name, and where a spec says it.

use std::ops::Range;

use super::Place;
use super::property::{PropertyError, parts};
use crate::source::{Span, Spanned};

/// Whether Proxmox VE keeps an option in a guest's file by itself: of a task that runs (`lock`), of snapshots, of
/// volumes that no drive has (`unused0`). Nobody sets it.
pub fn is_state(option: &str) -> bool {
    let base = option.trim_end_matches(|c: char| c.is_ascii_digit());
    base == "unused"
        || matches!(
            option,
            "digest"
                | "lock"
                | "meta"
                | "parent"
                | "running-nets-host-mtu"
                | "runningcpu"
                | "runningmachine"
                | "snapstate"
                | "snaptime"
                | "vmstate"
        )
}

/// An option of one of Proxmox VE's files, or a sub-option of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PveOption {
    /// Its name, as Proxmox VE spells it.
    pub key: Spanned<String>,
    /// Its value, as Proxmox VE's files write it.
    pub value: Spanned<String>,
    /// Which bytes of the value stand where, for one that the spec says in pieces: a table, a list.
    pieces: Vec<(Range<usize>, Span)>,
}

impl PveOption {
    /// An option whose value the spec says in one piece.
    pub fn new(key: Spanned<String>, value: Spanned<String>) -> Self {
        Self::in_pieces(key, value, Vec::new())
    }

    /// An option whose value the spec says in pieces: which bytes of it stand where.
    pub fn in_pieces(
        key: Spanned<String>,
        value: Spanned<String>,
        pieces: Vec<(Range<usize>, Span)>,
    ) -> Self {
        Self { key, value, pieces }
    }

    /// Where a fault of the option stands in the spec.
    pub fn place(&self, place: &Place) -> Span {
        match place {
            Place::Key => self.key.span,
            Place::Value(range) => self.place_of(range.clone()),
        }
    }

    /// Where some bytes of the value stand in the spec.
    fn place_of(&self, range: Range<usize>) -> Span {
        let piece = self
            .pieces
            .iter()
            .find(|(piece, _)| piece.start <= range.start && range.end <= piece.end);
        piece.map_or_else(|| place_inside(&self.value, range), |(_, span)| *span)
    }

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
    #[expect(clippy::type_complexity, reason = "names and values, once")]
    pub fn parts(&self) -> Result<Vec<(Option<String>, Spanned<String>)>, PropertyError> {
        parts(&self.value.value)
            .map(|part| {
                let part = part?;
                let start = part.value_start();
                let place = self.place_of(start..part.range.end);
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
