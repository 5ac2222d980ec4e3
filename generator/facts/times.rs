//! Times: when schedules run by the host's clock.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};

use super::backups;
use crate::calendar::{Elapse, zone_named};
use crate::model::{Host, Id, Schedule};

/// The day from which schedules are played forward: a fixed one, so that one spec has the same warnings on every day.
pub const START: Timestamp = Timestamp::constant(1_796_083_200, 0); // 2026-12-01T00:00:00Z

/// The host's time zone.
pub fn zone_of(host: &Host) -> TimeZone {
    zone_named(host.timezone.as_str()).map_or(TimeZone::UTC, |zone| zone.time_zone().clone())
}

/// A week of a host: what starts in it, and what does not.
#[derive(Debug)]
pub struct Week {
    /// Midnight of its Monday.
    pub start: Zoned,
    /// What runs, in the order of the spec.
    pub runs: Vec<Runs>,
}

/// A schedule in a week.
#[derive(Debug, Clone)]
pub struct Runs {
    /// Which.
    pub schedule: Id<Schedule>,
    /// Its starts, in minutes from the week's own start; at most [`MOST_STARTS`].
    pub starts: Vec<i64>,
    /// Its next start, where none is in the week.
    pub next: Option<Zoned>,
}

/// More starts in a week (every ten minutes) are not told apart.
pub const MOST_STARTS: usize = 1008;

/// The first whole week after [`START`], by the host's clock. What is disabled is left out, and so is a job that makes no
/// backups here.
pub fn week(host: &Host) -> Week {
    let zone = zone_of(host);
    let day = START.to_zoned(zone.clone()).date();
    let ahead = (8 - i64::from(day.weekday().to_monday_one_offset())) % 7;
    let monday = |days: i64| {
        let day = day.checked_add(days.days()).unwrap_or(day);
        day.to_zoned(zone.clone())
    };
    let start = monday(ahead).unwrap_or_else(|_| START.to_zoned(zone.clone()));
    let end = monday(ahead + 7).map_or(Timestamp::MAX, |end| end.timestamp());
    let first = start.timestamp();
    let runs = |schedule: &Schedule| match backups::job(host, schedule) {
        Some((_, idle)) => idle.is_none(),
        None => *schedule.enabled,
    };
    let runs = host
        .schedules
        .iter()
        .filter(|(_, schedule)| runs(schedule) && !schedule.on.is_missing())
        .map(|(id, schedule)| {
            let times = schedule.on.runs().schedule(&zone);
            let starts: Vec<i64> = times
                .between(first, end)
                .take(MOST_STARTS)
                .map(|at| at.duration_since(first).as_mins())
                .collect();
            // To look for the next start of a rare time takes a while: only where the week has none.
            let next = match starts.is_empty().then(|| times.next_after(first)) {
                Some(Elapse::At(at)) => Some(at.to_zoned(zone.clone())),
                Some(Elapse::Never | Elapse::Stuck) | None => None,
            };
            Runs {
                schedule: id,
                starts,
                next,
            }
        })
        .collect();
    Week { start, runs }
}
