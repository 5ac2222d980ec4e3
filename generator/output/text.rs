//! Two versions of a file as lines: what differs, shown or counted.

use std::fmt;
use std::ops::RangeInclusive;

use similar::{DiffOp, TextDiff};

/// The most work that a line diff may be: lines before times lines after, without those that both begin and end with. Five
/// thousand against five thousand, all of them different, take a fifth of a second.
const MOST_PAIRS: usize = 25_000_000;

/// `bytes` as a text that a terminal can show without being told what to do.
pub(super) fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' | '\t' => {}
            '\r' if rest.peek() == Some(&'\n') => {}
            _ if c.is_control() => return None,
            _ => {}
        }
    }
    Some(text)
}

/// Whether `bytes` begin as UTF-16 does, as Windows writes XML.
pub(super) fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])
}

/// `bytes` with each line end as LF.
pub(super) fn with_lf(bytes: &[u8]) -> Vec<u8> {
    let mut lf = Vec::with_capacity(bytes.len());
    for (at, &byte) in bytes.iter().enumerate() {
        if byte != b'\r' || bytes.get(at + 1) != Some(&b'\n') {
            lf.push(byte);
        }
    }
    lf
}

/// `bytes` with each line end as CRLF.
pub(super) fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut crlf = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    for byte in with_lf(bytes) {
        if byte == b'\n' {
            crlf.push(b'\r');
        }
        crlf.push(byte);
    }
    crlf
}

/// Whether the two differ in their line ends and nothing else.
pub(super) fn differ_in_line_ends_alone(one: &[u8], other: &[u8]) -> bool {
    one != other && with_lf(one) == with_lf(other)
}

/// The line diff of two texts; `None` where one is no text, or both are too long to compare in a moment.
pub(super) fn line_diff<'a>(
    before: &'a [u8],
    after: &'a [u8],
) -> Option<TextDiff<'a, 'a, 'a, str>> {
    let (before, after) = (as_text(before)?, as_text(after)?);
    let pairs = pairs(before, after);
    (pairs <= MOST_PAIRS).then(|| TextDiff::from_lines(before, after))
}

fn pairs(before: &str, after: &str) -> usize {
    let (before, after): (Vec<&str>, Vec<&str>) =
        (before.lines().collect(), after.lines().collect());
    let is_same = |(one, other): &(&&str, &&str)| one == other;
    let head = before.iter().zip(&after).take_while(is_same).count();
    let (before, after) = (&before[head..], &after[head..]);
    let tail = before.iter().rev().zip(after.iter().rev());
    let tail = tail.take_while(is_same).count();
    (before.len() - tail).saturating_mul(after.len() - tail)
}

/// The lines of a file on the disk that differ from what would be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferingLines(Vec<Difference>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Difference {
    /// Lines that would be replaced or removed, counted from 1.
    Lines(RangeInclusive<usize>),
    /// Lines that would be added after this one; 0 is the top.
    After(usize),
}

/// How many places are named before "and more".
const MOST_PLACES: usize = 8;

impl DifferingLines {
    /// Where `before` differs from `after`; `None` where a line diff of them cannot be made.
    pub(super) fn between(before: &[u8], after: &[u8]) -> Option<Self> {
        let diff = line_diff(before, after)?;
        let places = diff.ops().iter().filter_map(|op| {
            let old = op.old_range();
            match op {
                DiffOp::Equal { .. } => None,
                DiffOp::Insert { .. } => Some(Difference::After(old.start)),
                DiffOp::Delete { .. } | DiffOp::Replace { .. } => {
                    Some(Difference::Lines(old.start + 1..=old.end))
                }
            }
        });
        Some(Self(places.collect()))
    }
}

impl fmt::Display for DifferingLines {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, place) in self.0.iter().take(MOST_PLACES).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            match place {
                Difference::Lines(lines) if lines.start() == lines.end() => {
                    write!(out, "{comma}line {}", lines.start())?;
                }
                Difference::Lines(lines) => {
                    write!(out, "{comma}lines {}-{}", lines.start(), lines.end())?;
                }
                Difference::After(0) => write!(out, "{comma}above line 1")?,
                Difference::After(line) => write!(out, "{comma}below line {line}")?,
            }
        }
        let more = self.0.len().saturating_sub(MOST_PLACES);
        if more > 0 {
            write!(out, " and {more} more places")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(before: &str, after: &str) -> String {
        DifferingLines::between(before.as_bytes(), after.as_bytes())
            .expect("two texts")
            .to_string()
    }

    /// A line a number.
    fn numbers(numbers: impl Iterator<Item = u32>) -> String {
        let lines: Vec<_> = numbers.map(|number| number.to_string()).collect();
        lines.join("\n") + "\n"
    }

    #[test]
    fn names_the_lines_of_the_file_on_the_disk() {
        assert_eq!(lines("a\nb\nc\n", "a\nB\nc\n"), "line 2");
        assert_eq!(lines("a\nb\nc\nd\n", "a\nX\nd\n"), "lines 2-3");
        assert_eq!(lines("a\nc\n", "a\nb\nc\n"), "below line 1");
        assert_eq!(lines("b\n", "a\nb\n"), "above line 1");
        assert_eq!(lines("a\nx\nb\ny\n", "a\nb\n"), "line 2, line 4");
        assert_eq!(lines("a", "a\n"), "line 1");
    }

    #[test]
    fn names_no_more_places_than_fit_a_line() {
        let before = numbers(0..40);
        let after = numbers((0..40).filter(|n| n % 2 == 0));
        let shown = lines(&before, &after);
        assert!(
            shown.starts_with("line 2, line 4, ") && shown.ends_with(" and 12 more places"),
            "{shown}"
        );
    }

    #[test]
    fn shows_no_text_that_would_drive_a_terminal() {
        for text in ["", "a\tb\r\n", "é\n"] {
            assert_eq!(as_text(text.as_bytes()), Some(text));
        }
        for bytes in [
            &b"\x1b[2J"[..],
            b"evil\rgood",
            b"\r",
            b"a\0b",
            b"\xff",
            "\u{9b}2J".as_bytes(),
        ] {
            assert_eq!(as_text(bytes), None, "{bytes:?}");
        }
        assert!(DifferingLines::between(b"\0", b"a").is_none());
    }

    #[test]
    fn line_ends_go_both_ways() {
        assert_eq!(with_crlf(b"a\nb\r\nc"), b"a\r\nb\r\nc");
        assert_eq!(with_lf(b"a\nb\r\nc\r"), b"a\nb\nc\r");
        assert!(differ_in_line_ends_alone(b"a\r\n", b"a\n"));
        assert!(!differ_in_line_ends_alone(b"a\n", b"a\n"));
        assert!(!differ_in_line_ends_alone(b"a\r\nb", b"a\nc"));
    }

    #[test]
    fn gives_up_on_texts_that_would_take_minutes() {
        let before = numbers(0..20_000);
        let after = numbers(20_000..40_000);
        assert!(line_diff(before.as_bytes(), after.as_bytes()).is_none());
    }
}
