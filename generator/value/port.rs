use std::fmt;

use super::{SpecString, ValueError, spec_string};
use crate::diagnostics::Code;

/// A port of TCP or UDP, or a range of them: `8080`, `8000-8010`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// One port; none for 0, which is no port, and beyond 65535.
    pub fn one(number: i64) -> Option<Self> {
        u16::try_from(number)
            .ok()
            .filter(|port| *port > 0)
            .map(|port| Self {
                first: port,
                last: port,
            })
    }

    /// How many ports it is.
    pub fn count(self) -> u32 {
        u32::from(self.last - self.first) + 1
    }

    /// Whether a port is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// Whether both have a port in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// With `separator` between the first and the last, where they differ.
    pub fn spelled(self, separator: char) -> String {
        if self.first == self.last {
            self.first.to_string()
        } else {
            format!("{}{separator}{}", self.first, self.last)
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled('-'))
    }
}

impl SpecString for PortRange {
    const CODE: Code = Code::MOX0021;
    const WHAT: &'static str = "a port, as `8080`, or a range of them, as `\"8000-8010\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let port = |part: &str| {
            part.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| part.parse().ok().and_then(Self::one))
                .flatten()
        };
        let (first, last) = text
            .split_once(['-', ':'])
            .map_or((text, text), |(first, last)| (first.trim(), last.trim()));
        match (port(first), port(last)) {
            (Some(first), Some(last)) if first.first <= last.first => Ok(Self {
                first: first.first,
                last: last.first,
            }),
            (Some(first), Some(last)) => {
                let meant = format!("{last}-{first}");
                Err(ValueError::whole(text, format!("`{text}` runs backwards"))
                    .help(format!("write `\"{meant}\"`"))
                    .meant(meant))
            }
            (None, _) | (_, None) => Err(ValueError::whole(
                text,
                format!("`{}` is no port", text.escape_debug()),
            )
            .help("write a number from 1 to 65535, or a range, as `\"8000-8010\"`")),
        }
    }

    fn examples() -> &'static [&'static str] {
        &["8000-8010"]
    }

    fn pattern() -> Option<&'static str> {
        Some("^[0-9]{1,5}( *[-:] *[0-9]{1,5})?$")
    }
}
spec_string!(PortRange, "PortRange");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges_read_and_print() {
        for text in ["1", "8080", "8000-8010", "65535"] {
            assert_eq!(text.parse::<PortRange>().unwrap().to_string(), text);
        }
        assert_eq!(
            "8000:8010".parse::<PortRange>().unwrap().spelled(':'),
            "8000:8010"
        );
        for text in [
            "",
            "0",
            "65536",
            "-1",
            "+1",
            "8010-8000",
            "http",
            "1-2-3",
            "1-",
        ] {
            assert!(text.parse::<PortRange>().is_err(), "{text}");
        }
        let range: PortRange = "8000-8010".parse().unwrap();
        assert!(range.contains(8010) && !range.contains(8011) && range.count() == 11);
        assert!(range.overlaps("8010-9000".parse().unwrap()));
        assert!(!range.overlaps("8011-9000".parse().unwrap()));
    }
}
