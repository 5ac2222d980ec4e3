//! Proxmox VE releases.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// A release of Proxmox VE, such as 8.4; ordered by age.
///
/// Known are 8.0 to 9.2. A later 9.x is taken and treated as the newest known one, since minor
/// releases add options and rarely take any away; another major release is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    major: u8,
    minor: u8,
}

impl Release {
    /// The releases whose options are known, oldest first.
    pub const KNOWN: [Self; 8] = [
        Self::new(8, 0),
        Self::new(8, 1),
        Self::new(8, 2),
        Self::new(8, 3),
        Self::new(8, 4),
        Self::new(9, 0),
        Self::new(9, 1),
        Self::new(9, 2),
    ];

    /// The newest release whose options are known.
    pub const NEWEST: Self = Self::KNOWN[Self::KNOWN.len() - 1];

    /// `major.minor`, known or not: for comparisons in code, as `release < Release::new(8, 4)`.
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// The major number: 8 is on Debian 12, 9 on Debian 13.
    pub const fn major(self) -> u8 {
        self.major
    }

    /// The minor number.
    pub const fn minor(self) -> u8 {
        self.minor
    }

    /// The release whose facts stand for this one: itself, or the newest known for a later one.
    #[must_use]
    pub fn known(self) -> Self {
        self.min(Self::NEWEST)
    }

    /// The newest QEMU that a host of this release can have: what the next release came with, since it comes to this one as an
    /// update before. Not known of the newest. (The versions of `pve-qemu-kvm` in the release notes.)
    pub const fn newest_qemu(self) -> Option<(u32, u32)> {
        match (self.major, self.minor) {
            (8, 0) => Some((8, 1)),
            (8, 1) => Some((8, 2)),
            (8, 2) => Some((9, 0)),
            (8, 3) => Some((9, 2)),
            (8, _) => Some((10, 0)),
            (9, 0) => Some((10, 1)),
            (9, 1) => Some((11, 0)),
            _ => None,
        }
    }

    /// Year and month in which security updates end, where Proxmox has announced it
    /// (the support table of the Proxmox VE FAQ).
    pub const fn end_of_life(self) -> Option<(u16, u8)> {
        match self.major {
            8 => Some((2026, 8)),
            _ => None,
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Why a text is no usable release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseError {
    /// Where in the text, in bytes.
    pub range: Range<usize>,
    /// What is wrong, as a headline.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReleaseError {}

impl FromStr for Release {
    type Err = ReleaseError;

    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        let known = || {
            let names: Vec<String> = Self::KNOWN.iter().map(ToString::to_string).collect();
            format!("known releases are {}", names.join(", "))
        };
        let fail = |range: Range<usize>, message: String, help: String| {
            Err(ReleaseError {
                range,
                message,
                help,
            })
        };
        let Some((major, minor)) = text.split_once('.') else {
            let help = match text {
                "8" => "write the minor number too, as in `8.4`".to_owned(),
                "9" => format!("write the minor number too, as in `{}`", Self::NEWEST),
                _ => known(),
            };
            return fail(
                0..text.len(),
                format!("`{text}` is not a Proxmox VE release"),
                help,
            );
        };
        let number = |part: &str| {
            let plain = part == "0" || !part.starts_with('0');
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            (plain && digits).then(|| part.parse::<u8>().ok()).flatten()
        };
        let behind_dot = major.len() + 1..text.len();
        let Some(major_number) = number(major) else {
            return fail(
                0..major.len(),
                format!("`{text}` is not a Proxmox VE release"),
                known(),
            );
        };
        let Some(minor_number) = number(minor) else {
            // 8.1.3 is a version of the pve-manager package.
            let help = match minor.split_once('.') {
                Some((first, _)) if number(first).is_some() => format!("write `{major}.{first}`"),
                _ => known(),
            };
            return fail(
                behind_dot,
                format!("`{text}` is not a Proxmox VE release"),
                help,
            );
        };
        let release = Self::new(major_number, minor_number);
        if Self::KNOWN.contains(&release)
            || (major_number == Self::NEWEST.major && release > Self::NEWEST)
        {
            return Ok(release);
        }
        if Self::KNOWN.iter().any(|known| known.major == major_number) {
            return fail(
                behind_dot,
                format!("there is no Proxmox VE {release}"),
                known(),
            );
        }
        fail(
            0..major.len(),
            format!("Proxmox VE {release} is not supported"),
            known(),
        )
    }
}

impl<'de> Deserialize<'de> for Release {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_known_and_later_releases_in_order() {
        for (text, major, minor) in [
            ("8.0", 8, 0),
            ("8.4", 8, 4),
            ("9.2", 9, 2),
            ("9.7", 9, 7),
            ("9.11", 9, 11),
        ] {
            assert_eq!(text.parse(), Ok(Release::new(major, minor)), "{text}");
            assert_eq!(Release::new(major, minor).to_string(), text);
        }
        assert!(Release::new(8, 4) < Release::new(9, 0));
        assert!(Release::new(9, 2) < Release::new(9, 11));
        assert_eq!(Release::new(9, 11).known(), Release::NEWEST);
        assert!(Release::KNOWN.is_sorted());
        assert_eq!(Release::new(8, 1).end_of_life(), Some((2026, 8)));
        assert_eq!(Release::NEWEST.end_of_life(), None);
    }

    #[test]
    fn says_where_a_release_is_wrong() {
        for (text, range) in [
            ("", 0..0),
            ("8", 0..1),
            ("eight.1", 0..5),
            ("8.", 2..2),
            ("8.x", 2..3),
            ("8.01", 2..4),
            ("8.1.3", 2..5),
            ("8.5", 2..3),
            ("7.4", 0..1),
            ("10.0", 0..2),
            ("8.999", 2..5),
        ] {
            let error = text.parse::<Release>().expect_err(text);
            assert_eq!(error.range, range, "{text}");
        }
        assert_eq!(
            "8.1.3"
                .parse::<Release>()
                .expect_err("a package version")
                .help,
            "write `8.1`"
        );
        assert!(
            "7.4"
                .parse::<Release>()
                .expect_err("too old")
                .help
                .contains("8.0, 8.1")
        );
    }
}
