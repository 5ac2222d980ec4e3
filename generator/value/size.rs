use std::fmt;
use std::ops::{Add, Sub};

use super::{SpecString, ValueError, spec_string};
use crate::diagnostics::Code;

/// An amount of bytes: IEC units (`GiB`) are powers of 1024, SI units (`GB`) of 1000; disks are sold in SI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(u64);

/// Units by name, largest first within each family.
const UNITS: [(&str, u64); 12] = [
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("kB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// So many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many KiB.
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    /// So many MiB.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// So many GiB.
    pub const fn gib(n: u64) -> Self {
        Self(n << 30)
    }

    /// The amount in bytes.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// The amount in whole MiB, if it is whole.
    pub fn whole_mib(self) -> Option<u64> {
        self.0.is_multiple_of(1 << 20).then_some(self.0 >> 20)
    }

    /// The sum, at most the largest amount there is.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The product, at most the largest amount there is.
    #[must_use]
    pub fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// For people: the largest binary unit that leaves one digit before the point, two decimals at most: `18.92 TiB`.
    pub fn human(self) -> String {
        let Some((unit, factor)) = UNITS[..5].iter().find(|(_, f)| self.0 >= *f) else {
            return format!("{} B", self.0);
        };
        let hundredths = u128::from(self.0) * 100 / u128::from(*factor);
        match (hundredths / 100, hundredths % 100) {
            (whole, 0) => format!("{whole} {unit}"),
            (whole, part) if part % 10 == 0 => format!("{whole}.{} {unit}", part / 10),
            (whole, part) => format!("{whole}.{part:02} {unit}"),
        }
    }
}

impl Add for ByteSize {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

impl Sub for ByteSize {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for ByteSize {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Self::saturating_add)
    }
}

/// The largest unit that divides the amount, IEC first: `128 GiB`, `2 TB`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let iec = UNITS[..5]
            .iter()
            .find(|(_, u)| self.0 >= *u && self.0.is_multiple_of(*u));
        let si = UNITS[5..10]
            .iter()
            .find(|(_, u)| self.0 >= *u && self.0.is_multiple_of(*u));
        let (unit, factor) = match (iec, si) {
            (Some(i), Some(s)) => {
                if s.1 > i.1 {
                    s
                } else {
                    i
                }
            }
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => &UNITS[11],
        };
        write!(f, "{} {unit}", self.0 / factor)
    }
}

impl SpecString for ByteSize {
    const CODE: Code = Code::MOX0006;
    const WHAT: &'static str = "a size with its unit, as `\"128 GiB\"` or `\"2 TB\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let digits = text.len()
            - text
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
                .len();
        let (number, rest) = text.split_at(digits);
        if number.is_empty() {
            return Err(ValueError::whole(text, format!("`{text}` is not a size"))
                .help("write a number and a unit, as `\"32 GiB\"`"));
        }
        let unit = rest.trim_start_matches(' ');
        let unit_at = text.len() - unit.len();
        if unit.is_empty() && number == "0" {
            return Ok(Self(0)); // nothing needs no unit
        }
        if unit.is_empty() {
            return Err(ValueError::whole(text, format!("the size `{text}` has no unit"))
                .help(format!("write `\"{number} GiB\"`, or another of KiB, MiB, GiB, TiB (powers of 1024), KB, MB, GB, TB (powers of 1000)")));
        }
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            let help = match unit.to_ascii_lowercase().as_str() {
                "g" | "gib" | "gb" => "write `GiB` (1024³ bytes) or `GB` (1000³ bytes)",
                "m" | "mib" | "mb" => "write `MiB` (1024² bytes) or `MB` (1000² bytes)",
                "t" | "tib" | "tb" => "write `TiB` (1024⁴ bytes) or `TB` (1000⁴ bytes)",
                "k" | "kib" | "kb" => "write `KiB` (1024 bytes) or `KB` (1000 bytes)",
                _ if unit.starts_with(',') => "write a point instead of the comma: `1.5 TB`",
                _ => {
                    "units are KiB, MiB, GiB, TiB (powers of 1024) and KB, MB, GB, TB (powers of 1000)"
                }
            };
            return Err(ValueError::at(
                unit_at..text.len(),
                format!("`{unit}` is not a unit of size"),
            )
            .help(help));
        };
        let wrong = || ValueError::at(0..digits, format!("`{number}` is not a number"));
        let (whole, fraction) = number
            .split_once('.')
            .map_or((number, None), |(w, f)| (w, Some(f)));
        // The bytes of 16 EiB are one more than 64 bits count.
        let too_large = || {
            ValueError::whole(text, format!("{text} is too large"))
                .help("a size is less than 16384 PiB")
        };
        let whole: u64 = whole.parse().map_err(|_| {
            if whole.is_empty() {
                wrong()
            } else {
                too_large()
            }
        })?;
        let mut bytes = whole.checked_mul(*factor).ok_or_else(too_large)?;
        if let Some(fraction) = fraction {
            if fraction.is_empty() || fraction.contains('.') || fraction.len() > 15 {
                return Err(wrong());
            }
            let scale = 10u128.pow(u32::try_from(fraction.len()).expect("at most 15 digits"));
            let part: u128 = fraction.parse().map_err(|_| wrong())?;
            let part = part * u128::from(*factor);
            if !part.is_multiple_of(scale) {
                return Err(ValueError::whole(
                    text,
                    format!("{text} is not a whole number of bytes"),
                )
                .help("write it in a smaller unit"));
            }
            let part = u64::try_from(part / scale).map_err(|_| too_large())?;
            bytes = bytes.checked_add(part).ok_or_else(too_large)?;
        }
        Ok(Self(bytes))
    }

    fn examples() -> &'static [&'static str] {
        &["128 GiB", "2 TB", "1.5 TiB"]
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^(0|[0-9]+(\.[0-9]+)? *([KMGTP]iB|[KkMGTP]?B))$")
    }
}
spec_string!(ByteSize, "Size");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iec_and_si_differ_and_the_space_is_optional() {
        assert_eq!("2 TB".parse(), Ok(ByteSize::bytes(2_000_000_000_000)));
        assert_eq!("2TiB".parse(), Ok(ByteSize::bytes(2 << 40)));
        assert_eq!("1.5 GiB".parse(), Ok(ByteSize::mib(1536)));
        assert_eq!("0".parse(), Ok(ByteSize::default()));
        assert_eq!("0.5 B".parse::<ByteSize>().unwrap_err().range, 0..5);
    }

    #[test]
    fn errors_mark_the_unit_or_the_number() {
        assert_eq!("32 Gib".parse::<ByteSize>().unwrap_err().range, 3..6);
        assert_eq!(
            "32".parse::<ByteSize>().unwrap_err().help.unwrap()[..17],
            *"write `\"32 GiB\"`,"
        );
        assert_eq!("1.2.3 GiB".parse::<ByteSize>().unwrap_err().range, 0..5);
        for text in [
            "16384 PiB",
            "99999999999 TiB",
            "18446744073709551616 B",
            "99999999999999999999999 B",
        ] {
            let error = text.parse::<ByteSize>().unwrap_err();
            assert_eq!(error.message, format!("{text} is too large"));
            assert_eq!(error.range, 0..text.len());
        }
        assert!("16383.5 PiB".parse::<ByteSize>().is_ok());
        assert!("".parse::<ByteSize>().is_err());
        assert!("-1 GiB".parse::<ByteSize>().is_err());
    }

    #[test]
    fn display_reads_back() {
        for bytes in [
            0,
            1,
            999,
            1024,
            1_000_000,
            128 << 30,
            2_000_000_000_000,
            1536 << 20,
            u64::MAX,
        ] {
            let size = ByteSize::bytes(bytes);
            assert_eq!(size.to_string().parse(), Ok(size), "{size}");
        }
    }

    #[test]
    fn human_rounds_down_to_two_decimals() {
        assert_eq!(ByteSize::bytes(2_000_000_000_000).human(), "1.81 TiB");
        assert_eq!(ByteSize::gib(32).human(), "32 GiB");
        assert_eq!(ByteSize::mib(1536).human(), "1.5 GiB");
        assert_eq!(ByteSize::bytes(12).human(), "12 B");
    }
}
