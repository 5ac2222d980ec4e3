//! Time zones by name, from the zone data that is built into the program.

use std::fmt;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::near::nearest_within;

/// The zone in which the wall times of an expression are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zone {
    /// No zone is written: the zone of the machine that runs the schedule.
    Local,
    /// `UTC`, which never changes its clock.
    Utc,
    /// A zone of the IANA time zone database.
    Named(ZoneName),
}

/// The name of a zone that exists, spelled as the IANA database spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneName {
    name: String,
    zone: TimeZone,
}

impl ZoneName {
    /// The name, such as `Europe/Berlin`.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The zone's rules.
    pub fn time_zone(&self) -> &TimeZone {
        &self.zone
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The zone that the IANA database lists under exactly this name.
///
/// systemd looks for a file of that name (`verify_timezone` in `time-util.c`), so case matters.
pub fn zone_named(name: &str) -> Option<ZoneName> {
    let zone = TimeZoneDatabase::bundled().get(name).ok()?;
    // jiff looks names up without regard to case and answers with the right spelling.
    (zone.iana_name() == Some(name)).then(|| ZoneName {
        name: name.to_owned(),
        zone,
    })
}

/// The known zone whose name is nearest to `name`, unless none is near.
pub(super) fn nearest_zone(name: &str) -> Option<String> {
    let wanted = name.to_ascii_lowercase();
    let database = TimeZoneDatabase::bundled();
    let farthest = name.len() / 4;
    let mut known: Vec<String> = database
        .available()
        .map(|known| known.to_string())
        .collect();
    known.sort_unstable();
    let lower: Vec<String> = known.iter().map(|name| name.to_ascii_lowercase()).collect();
    if let Some(near) = nearest_within(&wanted, farthest, lower.iter().map(String::as_str)) {
        return known
            .into_iter()
            .find(|name| name.eq_ignore_ascii_case(near));
    }
    // A city without its continent, `Berlin`, is the last part of exactly one name.
    let city = wanted.replace(' ', "_");
    known.into_iter().find(|name| {
        name.rsplit('/')
            .next()
            .is_some_and(|last| last.eq_ignore_ascii_case(&city))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_by_their_exact_name() {
        for name in [
            "Europe/Berlin",
            "UTC",
            "Etc/GMT+5",
            "America/Argentina/Buenos_Aires",
            "CET",
            "GB-Eire",
        ] {
            assert_eq!(zone_named(name).expect(name).as_str(), name);
        }
        for name in [
            "europe/berlin",
            "Europe/Berln",
            "Berlin",
            "CEST",
            "",
            "/Europe/Berlin",
            "../UTC",
        ] {
            assert_eq!(zone_named(name), None, "{name}");
        }
    }

    #[test]
    fn near_names_are_found() {
        assert_eq!(
            nearest_zone("europe/berlin").as_deref(),
            Some("Europe/Berlin")
        );
        assert_eq!(
            nearest_zone("Europe/Berln").as_deref(),
            Some("Europe/Berlin")
        );
        assert_eq!(nearest_zone("Berlin").as_deref(), Some("Europe/Berlin"));
        assert_eq!(nearest_zone("Mars/Olympus_Mons"), None);
    }
}
