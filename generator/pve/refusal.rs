//! Values that a format has no way to write down.

use std::fmt;

/// A value that a file format cannot carry, refused before anything is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotCarry {
    /// The value as it was handed over.
    pub value: String,
    /// What in it the format has no spelling for.
    pub why: Refusal,
}

/// Why a format cannot carry a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing to write: Proxmox has no empty values.
    Empty,
    /// A blank at either end, which Proxmox's readers cut off.
    OuterBlank,
    /// A line break or another control character.
    Control(char),
    /// A comma, which separates the parts of a property string.
    Comma,
    /// An equals sign in the part of a property string that has no name.
    EqualsSign,
    /// A blank, in a place where a blank ends the word.
    Blank,
    /// Quotes around the whole value, which Proxmox's reader takes off.
    OuterQuotes,
    /// A name that is not one the format can tell from a value.
    BadName,
    /// The text `0`, which Proxmox takes for "no text".
    Zero,
    /// A name or a part that is there already.
    Twice,
    /// A backslash at the end, which joins the next line to this one.
    Continuation,
    /// A character that is not ASCII, where Proxmox's rewrite spoils it.
    NotAscii,
}

impl CannotCarry {
    pub(crate) fn new(value: impl Into<String>, why: Refusal) -> Self {
        Self {
            value: value.into(),
            why,
        }
    }
}

impl fmt::Display for CannotCarry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` cannot be written: {}",
            self.value.escape_debug(),
            self.why
        )
    }
}

impl std::error::Error for CannotCarry {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::OuterBlank => f.write_str("Proxmox cuts off the blank at its end or start"),
            Self::Control(c) => write!(f, "it holds the control character {}", c.escape_unicode()),
            Self::Comma => f.write_str("a comma starts the next sub-option"),
            Self::EqualsSign => f.write_str("text before `=` is read as a sub-option's name"),
            Self::Blank => f.write_str("a blank ends it"),
            Self::OuterQuotes => f.write_str("Proxmox takes off the quotes around a whole value"),
            Self::BadName => f.write_str("it is not an option name"),
            Self::Zero => f.write_str("Proxmox reads `0` as no text at all"),
            Self::Twice => f.write_str("it is there already"),
            Self::Continuation => f.write_str("a `\\` at the end joins the next line to it"),
            Self::NotAscii => {
                f.write_str("Proxmox spoils what is not ASCII here when it rewrites the file")
            }
        }
    }
}

/// What no line of any of the formats can carry as a value.
pub(crate) fn check_line_value(value: &str) -> Result<(), CannotCarry> {
    let refuse = |why| Err(CannotCarry::new(value, why));
    if let Some(control) = value.chars().find(|c| c.is_control()) {
        return refuse(Refusal::Control(control));
    }
    if value.is_empty() {
        return refuse(Refusal::Empty);
    }
    if value.trim() != value {
        return refuse(Refusal::OuterBlank);
    }
    Ok(())
}
