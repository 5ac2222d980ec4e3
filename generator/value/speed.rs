use std::fmt;

use super::{SpecString, ValueError, spec_string};
use crate::diagnostics::Code;

/// The speed of a link, in Mbit/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkSpeed(u32);

impl LinkSpeed {
    /// In Mbit/s.
    pub fn mbit(self) -> u32 {
        self.0
    }
}

impl fmt::Display for LinkSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 1000, self.0 % 1000) {
            (0, mbit) => write!(f, "{mbit} Mbit/s"),
            (gbit, 0) => write!(f, "{gbit} Gbit/s"),
            (gbit, rest) => write!(
                f,
                "{gbit}.{} Gbit/s",
                format!("{rest:03}").trim_end_matches('0')
            ),
        }
    }
}

impl SpecString for LinkSpeed {
    const CODE: Code = Code::MOX0021;
    const WHAT: &'static str = "a link speed, as `\"2.5 Gbit/s\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let wrong = || {
            ValueError::whole(text, format!("`{text}` is not a link speed"))
                .help("write it as `\"2.5 Gbit/s\"` or `\"100 Mbit/s\"`")
        };
        let digits = text.len()
            - text
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
                .len();
        let (number, unit) = text.split_at(digits);
        let factor: u32 = match unit.trim_start().to_ascii_lowercase().as_str() {
            "gbit/s" | "gbit" | "gbps" | "gb/s" | "g" | "gbe" => 1000,
            "mbit/s" | "mbit" | "mbps" | "mb/s" | "m" => 1,
            _ => return Err(wrong()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if fraction.is_empty() || fraction.len() > 3 {
            return Err(wrong());
        }
        let whole: u32 = whole.parse().map_err(|_| wrong())?;
        let thousandths: u32 = format!("{fraction:0<3}").parse().map_err(|_| wrong())?;
        let mbit = u64::from(whole) * u64::from(factor)
            + u64::from(thousandths) * u64::from(factor) / 1000;
        match u32::try_from(mbit) {
            Ok(mbit @ 1..) => Ok(Self(mbit)),
            Ok(0) | Err(_) => Err(wrong()),
        }
    }

    fn examples() -> &'static [&'static str] {
        &["1 Gbit/s", "2.5 Gbit/s", "10 Gbit/s"]
    }
}
spec_string!(LinkSpeed, "LinkSpeed");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        for (text, mbit) in [
            ("2.5 Gbit/s", 2500),
            ("100 Mbit/s", 100),
            ("1 Gbit/s", 1000),
            ("10G", 10_000),
        ] {
            let speed: LinkSpeed = text.parse().unwrap();
            assert_eq!(speed.mbit(), mbit);
            assert_eq!(speed.to_string().parse(), Ok(speed));
        }
        for text in [
            "",
            "2.5",
            "fast",
            "0 Gbit/s",
            "1..2 Gbit/s",
            "99999999999 Gbit/s",
        ] {
            assert!(text.parse::<LinkSpeed>().is_err(), "{text}");
        }
    }
}
