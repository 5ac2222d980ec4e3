//! The error that every reader of this module reports.

use std::error::Error;
use std::fmt;
use std::ops::Range;

/// Why a calendar expression, a calendar event or a time span cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The bytes at fault, inside the string that was read. Both ends lie on character borders; the range
    /// is empty only where something is missing at the end.
    pub range: Range<usize>,
    /// What is wrong, in lower case and without a full stop.
    pub message: String,
    /// What to write instead, where that can be said. A replacement in backticks has itself been read
    /// without an error.
    pub help: Option<String>,
}

impl ParseError {
    /// An error at `range` of `text`, widened to whole characters.
    pub(super) fn new(text: &str, range: Range<usize>, message: impl Into<String>) -> Self {
        let mut start = range.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = range.end.clamp(start, text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        Self {
            range: start..end,
            message: message.into(),
            help: None,
        }
    }

    /// The same error with a help line.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_widened_to_whole_characters() {
        let error = ParseError::new("5µs", 2..2, "inside the micro sign");
        assert_eq!(error.range, 1..3);
        let error = ParseError::new("5", 7..9, "behind the end");
        assert_eq!(error.range, 1..1);
    }
}
