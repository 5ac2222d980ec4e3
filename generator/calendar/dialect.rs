//! What the conversions to other schedulers have in common.

use std::error::Error;
use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::expression::{Expression, Field};
use super::zone::Zone;

/// Why another scheduler cannot be told a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotExpress {
    /// The part of the schedule, such as "the zone `Europe/Berlin`".
    pub what: String,
    /// What the scheduler lacks, as a clause: "Proxmox knows only the host's local time and UTC".
    pub why: String,
    /// What to write instead.
    pub help: String,
}

impl CannotExpress {
    pub(super) fn new(
        what: impl Into<String>,
        why: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
            help: help.into(),
        }
    }
}

impl fmt::Display for CannotExpress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be expressed: {}", self.what, self.why)
    }
}

impl Error for CannotExpress {}

/// The zone of a schedule as seen from a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// The machine's own wall clock.
    Local,
    Utc,
    /// Any other zone.
    Foreign,
}

impl Expression {
    /// The frame of this expression on a machine whose zone is `local`, where that is known.
    pub(super) fn frame(&self, local: Option<&str>) -> Frame {
        match &self.zone {
            Zone::Local => Frame::Local,
            Zone::Utc => Frame::Utc,
            Zone::Named(name) if is_utc(name.time_zone()) => Frame::Utc,
            Zone::Named(name) if local == Some(name.as_str()) => Frame::Local,
            Zone::Named(_) => Frame::Foreign,
        }
    }

    /// The days of the month as numbers, or `None` where days that count from the month's end have no
    /// number: in February, or in months of different length.
    pub(super) fn day_numbers(&self) -> Option<Vec<u32>> {
        if !self.from_month_end {
            return Some(self.day.values(1, 31));
        }
        let mut lengths = self.month.values(1, 12).into_iter().map(days_in_month);
        let length = lengths.next()?;
        if length < 30 || lengths.any(|other| other != length) {
            return None;
        }
        Some(days_before_end(&self.day, length))
    }
}

/// The longest that a month can be.
pub(super) fn days_in_month(month: u32) -> u32 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The numbers of days that count from the end of a month with `length` days.
fn days_before_end(day: &Field, length: u32) -> Vec<u32> {
    let mut days = Vec::new();
    for component in day.components() {
        let first = component.start;
        // Steps run forward in time: without an end up to the last day.
        let earliest = component.stop.unwrap_or(first);
        let latest = match (component.stop, component.step) {
            (Some(_), _) | (None, 0) => first,
            (None, _) => 1,
        };
        let numbers = length + 1 - earliest..=length + 1 - latest;
        days.extend(numbers.step_by(component.step.max(1) as usize));
    }
    days.sort_unstable();
    days.dedup();
    days
}

/// Whether a zone is UTC under another name.
fn is_utc(zone: &TimeZone) -> bool {
    let epoch = Timestamp::UNIX_EPOCH;
    zone.to_offset(epoch).is_zero() && zone.following(epoch).next().is_none()
}

/// A number of the list of a field as a run: `first`, or `first..=last` in equal steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) step: u32,
}

/// Ascending numbers as runs, the longest first match from the left; two numbers are no run.
pub(super) fn runs(values: &[u32]) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut rest = values;
    while let [first, tail @ ..] = rest {
        let step = tail.first().map_or(1, |second| second - first);
        let length = rest
            .iter()
            .zip((*first..).step_by(step as usize))
            .take_while(|(value, expected)| *value == expected)
            .count();
        let length = if length > 2 { length } else { 1 };
        runs.push(Run {
            first: *first,
            last: rest[length - 1],
            step,
        });
        rest = &rest[length..];
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::super::zone::zone_named;
    use super::*;

    fn expression(text: &str) -> Expression {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn days_from_the_end_have_numbers_where_months_are_alike() {
        for (text, days) in [
            ("*-12~01", Some(vec![31])),
            ("*-04,06~03", Some(vec![28])),
            ("*-05~07/1", Some((25..=31).collect())),
            ("*-05~01..05/2", Some(vec![27, 29, 31])),
            ("*-05~06/4", Some(vec![26, 30])),
            ("*-02~01", None),
            ("*-04,05~01", None),
            ("*-*~01", None),
            ("*-*-30/1", Some(vec![30, 31])),
        ] {
            assert_eq!(expression(text).day_numbers(), days, "{text}");
        }
    }

    #[test]
    fn zones_are_seen_from_the_machine() {
        for (zone, frame) in [
            ("", Frame::Local),
            (" UTC", Frame::Utc),
            (" Etc/UTC", Frame::Utc),
            (" GMT", Frame::Utc),
            (" Europe/Berlin", Frame::Local),
            (" Europe/London", Frame::Foreign),
            (" Africa/Abidjan", Frame::Utc),
        ] {
            let expression = expression(&format!("03:00{zone}"));
            assert_eq!(expression.frame(Some("Europe/Berlin")), frame, "{zone}");
        }
        assert_eq!(
            expression("03:00 Europe/Berlin").frame(None),
            Frame::Foreign
        );
        assert!(!is_utc(
            zone_named("Europe/London").expect("a zone").time_zone()
        ));
    }

    #[test]
    fn lists_are_folded_into_runs() {
        let run = |first, last, step| Run { first, last, step };
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[5]), [run(5, 5, 1)]);
        assert_eq!(runs(&[5, 6]), [run(5, 5, 1), run(6, 6, 1)]);
        assert_eq!(
            runs(&[1, 2, 3, 10, 20, 30, 31]),
            [run(1, 3, 1), run(10, 30, 10), run(31, 31, 1)]
        );
    }
}
