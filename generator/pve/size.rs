//! Disk sizes as Proxmox spells them.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// A size in bytes, printed in the largest binary unit that divides it: `120G`, `1536M`, `528K`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskSize(u64);

const UNITS: [(char, u64); 4] = [
    ('T', 1 << 40),
    ('G', 1 << 30),
    ('M', 1 << 20),
    ('K', 1 << 10),
];

impl DiskSize {
    /// A size of this many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for DiskSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            // `format_size` divides nothing by everything and arrives at the largest unit.
            return f.write_str("0T");
        }
        match UNITS.iter().find(|(_, unit)| self.0.is_multiple_of(*unit)) {
            Some((letter, unit)) => write!(f, "{}{letter}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Why a text is no disk size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSizeError {
    /// Where in the text, in bytes.
    pub range: Range<usize>,
    /// What is wrong.
    pub message: &'static str,
}

impl fmt::Display for DiskSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for DiskSizeError {}

impl FromStr for DiskSize {
    type Err = DiskSizeError;

    /// Reads `8`, `1536M`, `1.5T`, `4GiB`: digits, an optional fraction, an optional unit; a
    /// fraction of a byte is dropped (`PVE::JSONSchema::parse_size`).
    fn from_str(text: &str) -> Result<Self, DiskSizeError> {
        let fail = |range, message| Err(DiskSizeError { range, message });
        let digits_from =
            |at: usize| at + text[at..].bytes().take_while(u8::is_ascii_digit).count();
        let whole_end = digits_from(0);
        if whole_end == 0 {
            return fail(0..text.len(), "a size starts with a digit");
        }
        let mut end = whole_end;
        let mut fraction = "";
        if text[end..].starts_with('.') {
            end = digits_from(whole_end + 1);
            fraction = &text[whole_end + 1..end];
            if fraction.is_empty() {
                return fail(whole_end..whole_end + 1, "no digit after the point");
            }
        }
        let unit = match &text[end..] {
            "" => 1,
            suffix => {
                let letter = suffix.strip_suffix("iB").unwrap_or(suffix);
                let known = UNITS
                    .iter()
                    .find(|(name, _)| letter.len() == 1 && letter.starts_with(*name));
                let Some((_, unit)) = known else {
                    return fail(end..text.len(), "a size's unit is K, M, G or T");
                };
                *unit
            }
        };
        let too_large = DiskSizeError {
            range: 0..text.len(),
            message: "this size is beyond 16 EiB",
        };
        let whole: u64 = text[..whole_end].parse().map_err(|_| too_large.clone())?;
        let mut bytes = u128::from(whole) * u128::from(unit);
        // Behind the 18th digit not even a tebibyte has a byte left.
        let fraction = &fraction[..fraction.len().min(18)];
        if let Ok(numerator) = fraction.parse::<u64>() {
            let digits = u32::try_from(fraction.len()).expect("at most 18 digits");
            bytes += u128::from(numerator) * u128::from(unit) / 10u128.pow(digits);
        }
        u64::try_from(bytes).map(Self).map_err(|_| too_large)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prints_the_largest_unit_that_divides() {
        for (text, printed) in [
            ("120G", "120G"),
            ("1024M", "1G"),
            ("1536M", "1536M"),
            ("1.5G", "1536M"),
            ("0.5G", "512M"),
            ("528K", "528K"),
            ("4MiB", "4M"),
            ("1000", "1000"),
            ("2048G", "2T"),
            ("0.0000001K", "0T"),
            ("16777215T", "16777215T"),
        ] {
            assert_eq!(
                text.parse::<DiskSize>().expect(text).to_string(),
                printed,
                "{text}"
            );
        }
    }

    #[test]
    fn says_where_a_size_is_wrong() {
        for (text, range) in [
            ("", 0..0),
            ("G", 0..1),
            ("-1G", 0..3),
            ("1.G", 1..2),
            ("12 G", 2..4),
            ("12g", 2..3),
            ("12GB", 2..4),
            ("12é", 2..4),
            ("99999999T", 0..9),
            ("99999999999999999999999", 0..23),
        ] {
            assert_eq!(
                text.parse::<DiskSize>().expect_err(text).range,
                range,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn round_trips(bytes: u64) {
            let size = DiskSize::from_bytes(bytes);
            prop_assert_eq!(size.to_string().parse::<DiskSize>(), Ok(size));
        }
    }
}
