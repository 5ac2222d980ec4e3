//! The names that Windows has for time zones. `zones.txt` is made by `make.rs`, from the Unicode CLDR.

const TABLE: &str = include_str!("zones.txt");

/// The name that Windows has for a zone of the IANA database, where it has one.
pub(super) fn windows_name(iana: &str) -> Option<&'static str> {
    rows().find_map(|(windows, names)| names.split(' ').any(|name| name == iana).then_some(windows))
}

fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::value::{SpecString as _, TimeZoneName};

    #[test]
    fn zones_are_found_by_new_and_old_names() {
        for (iana, windows) in [
            ("Europe/Berlin", "W. Europe Standard Time"),
            ("America/New_York", "Eastern Standard Time"),
            ("US/Eastern", "Eastern Standard Time"),
            ("Asia/Kolkata", "India Standard Time"),
            ("Asia/Calcutta", "India Standard Time"),
            ("Europe/Kyiv", "FLE Standard Time"),
            ("Asia/Kathmandu", "Nepal Standard Time"),
            ("UTC", "UTC"),
            ("Etc/UTC", "UTC"),
        ] {
            assert_eq!(windows_name(iana), Some(windows), "{iana}");
        }
        assert_eq!(windows_name("Europe"), None);
        assert_eq!(windows_name(""), None);
    }

    #[test]
    fn no_zone_has_two_names() {
        let mut seen = BTreeMap::new();
        for (windows, names) in rows() {
            assert!(!names.is_empty() && names.split(' ').all(|name| !name.is_empty()));
            for name in names.split(' ') {
                if let Some(other) = seen.insert(name, windows) {
                    panic!("{name} is {other} and {windows}");
                }
            }
        }
        assert!(seen.len() > 400, "{}", seen.len());
    }

    /// Which zones of the spec language Windows does not know: none that people live in.
    #[test]
    fn only_zones_without_people_lack_a_name() {
        let lacking: Vec<String> = jiff::tz::db()
            .available()
            .map(|name| name.as_str().to_owned())
            .filter(|name| TimeZoneName::parse(name).is_ok() && windows_name(name).is_none())
            .collect();
        insta::assert_debug_snapshot!(lacking);
    }
}
