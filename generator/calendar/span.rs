//! systemd's time spans: `15m`, `2h 30min`, `1.5h`, `infinity`.
//!
//! The rules are those of "PARSING TIME SPANS" in systemd.time(7) and of what `systemd-analyze timespan`
//! answers where the manual is silent.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::text::ParseError;

/// systemd's largest value, which stands for "never ends".
const INFINITY: u64 = u64::MAX;
const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
/// 30.44 days, systemd.time(7).
const MONTH: u64 = 2_629_800 * SECOND;
/// 365.25 days, systemd.time(7).
const YEAR: u64 = 31_557_600 * SECOND;

/// The units in the order in which systemd tries them: the longer of two names with one beginning first.
const UNITS: [(&str, u64); 30] = [
    ("seconds", SECOND),
    ("second", SECOND),
    ("sec", SECOND),
    ("s", SECOND),
    ("minutes", MINUTE),
    ("minute", MINUTE),
    ("min", MINUTE),
    ("months", MONTH),
    ("month", MONTH),
    ("M", MONTH),
    ("msec", 1000),
    ("ms", 1000),
    ("m", MINUTE),
    ("hours", HOUR),
    ("hour", HOUR),
    ("hr", HOUR),
    ("h", HOUR),
    ("days", DAY),
    ("day", DAY),
    ("d", DAY),
    ("weeks", WEEK),
    ("week", WEEK),
    ("w", WEEK),
    ("years", YEAR),
    ("year", YEAR),
    ("y", YEAR),
    ("usec", 1),
    ("us", 1),
    ("\u{3bc}s", 1), // Greek small letter mu
    ("\u{b5}s", 1),  // micro sign
];

/// The units of [`TimeSpan::canonical`], largest first.
const PRINTED: [(&str, u64); 9] = [
    ("y", YEAR),
    ("month", MONTH),
    ("w", WEEK),
    ("d", DAY),
    ("h", HOUR),
    ("min", MINUTE),
    ("s", SECOND),
    ("ms", 1000),
    ("us", 1),
];

const KNOWN_UNITS: &str =
    "the units are `us`, `ms`, `s`, `min` (or `m`), `h`, `d`, `w`, `month` (or `M`) and `y`";

/// A length of time as the spec writes it.
///
/// Displays as written; [`canonical`](Self::canonical) is the form for unit files. Two spans are equal when
/// they are written alike; compare [`microseconds`](Self::microseconds) for equal length.
///
/// ```
/// use moxc::calendar::TimeSpan;
///
/// let span: TimeSpan = "1.5h".parse().unwrap();
/// assert_eq!(span.to_string(), "1.5h");
/// assert_eq!(span.canonical(), "1h 30min");
/// assert_eq!(span.microseconds(), 5_400_000_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSpan {
    text: String,
    microseconds: u64,
}

impl TimeSpan {
    /// The length in microseconds; `u64::MAX` for `infinity`, as in systemd.
    pub fn microseconds(&self) -> u64 {
        self.microseconds
    }

    /// Whether this is `infinity`.
    pub fn is_infinite(&self) -> bool {
        self.microseconds == INFINITY
    }

    /// The length, or `None` for `infinity`.
    pub fn duration(&self) -> Option<Duration> {
        (!self.is_infinite()).then(|| Duration::from_micros(self.microseconds))
    }

    /// The span as systemd prints it (the `Human:` line of `systemd-analyze timespan`), such as `2h 30min`.
    /// Reading it gives the same length again.
    pub fn canonical(&self) -> String {
        canonical(self.microseconds)
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for TimeSpan {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Ok(Self {
            text: text.to_owned(),
            microseconds: read(text)?,
        })
    }
}

impl JsonSchema for TimeSpan {
    fn schema_name() -> Cow<'static, str> {
        "TimeSpan".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time in systemd's time-span syntax (systemd.time(7)); a number without a unit is seconds.",
            "examples": ["30s", "15m", "2h 30min", "7d", "infinity"],
        })
    }
}

fn canonical(microseconds: u64) -> String {
    if microseconds == INFINITY {
        return "infinity".to_owned();
    }
    if microseconds == 0 {
        return "0".to_owned();
    }
    let mut rest = microseconds;
    let mut out = String::new();
    for (unit, length) in PRINTED {
        if rest == 0 {
            break;
        }
        if rest < length {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        let (whole, part) = (rest / length, rest % length);
        // Below a minute systemd prints one number with a fraction instead of further units.
        if rest < MINUTE && part > 0 {
            let digits = if length == SECOND { 6 } else { 3 };
            write!(out, "{whole}.{part:0digits$}{unit}").expect("writing to a String cannot fail");
            rest = 0;
        } else {
            write!(out, "{whole}{unit}").expect("writing to a String cannot fail");
            rest = part;
        }
    }
    out
}

/// systemd's `WHITESPACE`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Where the run of bytes that are `wanted` ends, starting at `at`.
fn run(text: &str, at: usize, wanted: impl Fn(u8) -> bool) -> usize {
    at + text.as_bytes()[at..]
        .iter()
        .take_while(|byte| wanted(**byte))
        .count()
}

fn read(text: &str) -> Result<u64, ParseError> {
    let bytes = text.as_bytes();
    let start = run(text, 0, is_blank);
    if let Some(rest) = text[start..].strip_prefix("infinity") {
        let end = text.len() - rest.len();
        return if run(text, end, is_blank) == text.len() {
            Ok(INFINITY)
        } else {
            Err(
                ParseError::new(text, end..text.len(), "`infinity` stands alone")
                    .help("write `infinity`, or a span such as `2h 30min`"),
            )
        };
    }

    let mut at = start;
    let mut total: u64 = 0;
    let mut something = false;
    loop {
        at = run(text, at, is_blank);
        if at == text.len() {
            return if something {
                Ok(total)
            } else {
                Err(ParseError::new(text, 0..text.len(), "a time span is empty")
                    .help("write a number with a unit, such as `15m` or `2h 30min`"))
            };
        }
        let item = at;
        if bytes[at] == b'-' {
            return Err(ParseError::new(
                text,
                at..at + 1,
                "a time span cannot be negative",
            ));
        }
        // A plus sign is taken only before a digit.
        if bytes[at] == b'+' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        let digits = at..run(text, at, |byte| byte.is_ascii_digit());
        at = digits.end;
        let mut fraction = at..at;
        let dotted = bytes.get(at) == Some(&b'.');
        if dotted {
            fraction = at + 1..run(text, at + 1, |byte| byte.is_ascii_digit());
            at = fraction.end;
            if fraction.is_empty() {
                return Err(ParseError::new(
                    text,
                    item..at,
                    "a digit must follow the decimal point",
                ));
            }
        } else if digits.is_empty() {
            return Err(not_a_number(text, item));
        }

        let unit_at = run(text, at, is_blank);
        let unit = UNITS
            .iter()
            .find(|(name, _)| text[unit_at..].starts_with(name));
        let length = match unit {
            Some((name, length)) => {
                at = unit_at + name.len();
                *length
            }
            // Without a unit, something must still divide this number from the next one.
            None if unit_at == at && at < text.len() => return Err(unknown_unit(text, item, at)),
            None => {
                at = unit_at;
                SECOND
            }
        };
        if let Some(tail) = unit_tail(text, unit_at, at) {
            return Err(unknown_unit(text, item, tail));
        }

        let too_long = || {
            ParseError::new(
                text,
                item..at,
                "this time span is longer than systemd can count (about 584,000 years)",
            )
            .help("write `infinity` for a span without end")
        };
        let whole = if digits.is_empty() {
            0
        } else {
            // systemd reads a signed 64-bit number.
            text[digits]
                .parse::<i64>()
                .map_err(|_| too_long())?
                .unsigned_abs()
        };
        if whole >= INFINITY / length {
            return Err(too_long());
        }
        total = add(total, whole * length).ok_or_else(too_long)?;
        // Each digit counts with its own truncated share of the unit, so that `0.5us` is nothing.
        let mut share = length / 10;
        for digit in &bytes[fraction] {
            total = add(total, u64::from(digit - b'0') * share).ok_or_else(too_long)?;
            share /= 10;
        }
        something = true;
    }
}

/// The sum, unless it reaches systemd's infinity.
fn add(total: u64, more: u64) -> Option<u64> {
    total.checked_add(more).filter(|sum| *sum != INFINITY)
}

/// Where the word at `unit_at` starts, if letters follow directly behind the unit that ends at `end`.
fn unit_tail(text: &str, unit_at: usize, end: usize) -> Option<usize> {
    text[end..]
        .starts_with(char::is_alphabetic)
        .then_some(unit_at)
}

fn word_at(text: &str, at: usize) -> &str {
    let rest = &text[at..];
    let end = rest
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(rest.len());
    &rest[..end]
}

fn not_a_number(text: &str, at: usize) -> ParseError {
    let word = word_at(text, at);
    if word.is_empty() {
        let length = text[at..].chars().next().map_or(0, char::len_utf8);
        let error = ParseError::new(
            text,
            at..at + length,
            "a time span is made of numbers with units",
        );
        return match &text[at..at + length] {
            "," => error.help("parts are divided by a space or by nothing: `2h 30min`"),
            ":" => error.help("a time of day has colons, a time span has units: `2h 30min`"),
            _ => error,
        };
    }
    if word.eq_ignore_ascii_case("never")
        || word.eq_ignore_ascii_case("inf")
        || word.eq_ignore_ascii_case("infinity")
    {
        return ParseError::new(
            text,
            at..at + word.len(),
            format!("`{word}` is not a time span"),
        )
        .help("write `infinity`");
    }
    ParseError::new(
        text,
        at..at + word.len(),
        format!("a number must stand before `{word}`"),
    )
}

fn unknown_unit(text: &str, item: usize, at: usize) -> ParseError {
    let word = word_at(text, at);
    if word.is_empty() {
        return not_a_number(text, at);
    }
    let error = ParseError::new(text, at..at + word.len(), format!("unknown unit `{word}`"));
    let number = text[item..at].trim_end();
    let meant = match word.to_lowercase().as_str() {
        "mins" | "minuten" => Some("min"),
        "secs" | "sek" => Some("s"),
        "hrs" | "std" => Some("h"),
        "mo" | "mon" | "mos" | "mth" => Some("month"),
        "wk" | "wks" => Some("w"),
        "yr" | "yrs" => Some("y"),
        "millis" | "millisecond" | "milliseconds" => Some("ms"),
        "micros" | "microsecond" | "microseconds" => Some("us"),
        "ns" | "nsec" => None,
        // `Min`, `H`, `Days`: units are written in lower case.
        lower => UNITS
            .iter()
            .map(|(name, _)| *name)
            .find(|name| *name == lower),
    };
    match meant {
        Some(unit) => error.help(format!("did you mean `{number}{unit}`?")),
        None => error.help(KNOWN_UNITS),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn microseconds(text: &str) -> u64 {
        text.parse::<TimeSpan>()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .microseconds()
    }

    fn error(text: &str) -> ParseError {
        text.parse::<TimeSpan>().expect_err(text)
    }

    #[test]
    fn the_examples_of_systemd_time_are_read() {
        assert_eq!(microseconds("2 h"), 2 * HOUR);
        assert_eq!(microseconds("2hours"), 2 * HOUR);
        assert_eq!(microseconds("48hr"), 48 * HOUR);
        assert_eq!(microseconds("1y 12month"), 2 * YEAR);
        assert_eq!(microseconds("55s500ms"), 55_500_000);
        assert_eq!(microseconds("300ms20s 5day"), 5 * DAY + 20_300_000);
    }

    #[test]
    fn units_and_fractions_are_systemds() {
        assert_eq!(microseconds("5"), 5 * SECOND);
        assert_eq!(microseconds("5m"), 5 * MINUTE);
        assert_eq!(microseconds("5M"), 5 * MONTH);
        assert_eq!(microseconds("5\u{b5}s 5\u{3bc}s"), 10);
        assert_eq!(microseconds("1.5h"), 90 * MINUTE);
        assert_eq!(microseconds(".5s"), 500_000);
        assert_eq!(microseconds("0.5us"), 0);
        assert_eq!(microseconds("1.0000001s"), SECOND);
        assert_eq!(microseconds("12.34 .56"), 12_900_000);
        assert_eq!(microseconds(" +5 \n"), 5 * SECOND);
        assert_eq!(microseconds(" infinity\t"), INFINITY);
        assert_eq!(
            "infinity".parse::<TimeSpan>().expect("a span").duration(),
            None
        );
        assert_eq!(
            "1ms".parse::<TimeSpan>().expect("a span").duration(),
            Some(Duration::from_millis(1))
        );
    }

    #[test]
    fn the_canonical_form_is_systemds() {
        for (written, canonical) in [
            ("15m", "15min"),
            ("90m", "1h 30min"),
            ("36h", "1d 12h"),
            ("12.9", "12.900000s"),
            ("60.5", "1min 500ms"),
            ("1500us", "1.500ms"),
            ("7us", "7us"),
            ("0", "0"),
            ("2y", "2y"),
            ("infinity", "infinity"),
        ] {
            assert_eq!(
                written.parse::<TimeSpan>().expect(written).canonical(),
                canonical
            );
        }
    }

    #[test]
    fn errors_point_at_their_place() {
        for (text, range) in [
            ("", 0..0),
            ("  ", 0..2),
            ("2h -5m", 3..4),
            ("2h 5q", 4..5),
            ("5minfoo", 1..7),
            ("1.5.5", 3..4),
            ("1h,2m", 2..3),
            ("5.s", 0..2),
            ("1h 9999999y", 3..11),
            ("99999999999999999999", 0..20),
            ("infinity5", 8..9),
            ("h", 0..1),
        ] {
            assert_eq!(error(text).range, range, "{text}: {}", error(text));
        }
        assert_eq!(error("5Min").help.as_deref(), Some("did you mean `5min`?"));
        assert_eq!(
            error("1h 10 mins").help.as_deref(),
            Some("did you mean `10min`?")
        );
        assert_eq!(error("forever").help, None);
        assert_eq!(error("never").help.as_deref(), Some("write `infinity`"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_in_place(text in "\\PC{0,20}") {
            if let Err(error) = text.parse::<TimeSpan>() {
                prop_assert!(text.get(error.range.clone()).is_some(), "{error:?}");
            }
        }

        #[test]
        fn span_like_text_is_read_or_refused_in_place(text in "[0-9 .+µsmhdwyM-]{0,12}") {
            if let Err(error) = text.parse::<TimeSpan>() {
                prop_assert!(text.get(error.range.clone()).is_some(), "{error:?}");
            }
        }

        #[test]
        fn canonical_text_keeps_the_length(microseconds in any::<u64>(), shift in 0u32..64) {
            let microseconds = microseconds >> shift;
            let text = canonical(microseconds);
            prop_assert_eq!(text.parse::<TimeSpan>().map(|span| span.microseconds()), Ok(microseconds));
        }
    }
}
