//! When a calendar expression elapses in a time zone.
//!
//! The answers are systemd's, quirks included, because a timer does what systemd calculates and not what
//! the manual promises: `*-05/6-01` makes a timer fail for good in a zone with summer time, and `12:00 CET`
//! on a machine that is in that zone never elapses. The rules are those of `calendar_spec_next_usec`
//! in systemd 252 on top of glibc's `mktime` (see [`clock`](super::clock)), and were compared with
//! `systemd-analyze calendar --iterations`.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

use super::clock::{Clock, DAY, FixedClock, Period, Wall, ZoneClock};
use super::expression::{Expression, Field, SECOND, Weekdays, YEARS, next_in};
use super::plain::PlainCalendar;
use super::zone::Zone;

/// systemd gives up after so many steps (`MAX_CALENDAR_ITERATIONS`).
const MOST_STEPS: usize = 1000;

/// When a schedule elapses next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elapse {
    /// At this instant, exact to the microsecond.
    At(Timestamp),
    /// Not again before the year 2200.
    Never,
    /// systemd's calculation does not come to an end: the timer fails, and stays failed.
    Stuck,
}

/// A calendar expression on a machine in a certain time zone.
///
/// ```
/// use jiff::{Timestamp, tz::TimeZone};
/// use moxc::calendar::{Elapse, Expression, zone_named};
///
/// let expression: Expression = "Sun 04:00".parse().unwrap();
/// let zone = zone_named("Europe/Berlin").unwrap();
/// let schedule = expression.schedule(zone.time_zone());
/// let after: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
/// assert_eq!(schedule.next_after(after), Elapse::At("2026-01-04T03:00:00Z".parse().unwrap()));
/// ```
#[derive(Debug, Clone)]
pub struct Schedule {
    expression: Expression,
    /// The zone of the wall times; `None` for UTC.
    zone: Option<TimeZone>,
    /// The expression names the host's own zone by an abbreviation, and so one of its two clocks.
    dst: Option<bool>,
    /// How many seconds beyond its result a search may look.
    look_ahead: i64,
    /// The same without a search, where that gives the same.
    plain: Option<PlainCalendar>,
}

impl Expression {
    /// This expression on a machine whose local time is that of `host`.
    pub fn schedule(&self, host: &TimeZone) -> Schedule {
        let (zone, dst) = match &self.zone {
            Zone::Utc => (None, None),
            Zone::Local => (Some(host.clone()), None),
            // systemd tries the abbreviations of the machine's own zone before the names of all zones.
            Zone::Named(name) => match own_abbreviation(host, name.as_str()) {
                Some(dst) => (Some(host.clone()), Some(dst)),
                None => (Some(name.time_zone().clone()), None),
            },
        };
        let plain = PlainCalendar::new(self);
        Schedule {
            expression: self.clone(),
            zone,
            dst,
            look_ahead: look_ahead(self, plain.is_some()),
            plain,
        }
    }
}

/// How many seconds beyond the next elapse a search for it looks.
///
/// A step without an end runs on behind the end of its field (`10/10` goes to hour 30, which is six o'clock of
/// the next day), and the search for the end of the month tries the clock of that day.
fn look_ahead(expression: &Expression, plain: bool) -> i64 {
    let open = |field: &Field| {
        field
            .components()
            .iter()
            .any(|component| component.step > 0 && component.stop.is_none())
    };
    if plain && !expression.from_month_end {
        0
    } else if open(&expression.month) {
        800 * DAY
    } else if open(&expression.day) || expression.from_month_end {
        65 * DAY
    } else if open(&expression.hour) {
        3 * DAY
    } else if open(&expression.minute) || open(&expression.microsecond) {
        DAY
    } else {
        0
    }
}

/// Whether `name` is what `zone` calls its standard (`false`) or its summer time (`true`) today.
fn own_abbreviation(zone: &TimeZone, name: &str) -> Option<bool> {
    // glibc's `tzname` holds the last abbreviation of each kind. Ten years before the last year that is
    // scheduled, the zone follows its final rule.
    let mut clock = ZoneClock::new(zone);
    let mut at = Timestamp::from_second(6_900_000_000).ok()?;
    for _ in 0..3 {
        let info = zone.to_offset_info(at);
        if info.abbreviation().eq_ignore_ascii_case(name) {
            return clock.period(at.as_second()).map(|period| period.dst);
        }
        at = zone.following(at).next()?.timestamp();
    }
    None
}

impl Schedule {
    /// The first elapse after (and not at) `after`.
    pub fn next_after(&self, after: Timestamp) -> Elapse {
        match self.search(&mut self.clock(), after.as_microsecond()) {
            Outcome::At(next) => {
                Timestamp::from_microsecond(next).map_or(Elapse::Never, Elapse::At)
            }
            Outcome::Never => Elapse::Never,
            Outcome::Stuck => Elapse::Stuck,
        }
    }

    /// All elapses from `start` up to and without `end`.
    pub fn between(&self, start: Timestamp, end: Timestamp) -> Occurrences<'_> {
        Occurrences {
            schedule: self,
            clock: self.clock(),
            period: None,
            // Elapses are whole microseconds.
            last: whole_microseconds(start) - 1,
            end: whole_microseconds(end),
            done: false,
            stuck: false,
        }
    }

    /// The last elapse before systemd's calculation gets stuck, if it does so for an elapse before `end`;
    /// `start` when it does at once.
    pub fn stuck_after(&self, start: Timestamp, end: Timestamp) -> Option<Timestamp> {
        let mut occurrences = self.between(start, end);
        let last = occurrences.by_ref().last();
        occurrences.stuck.then(|| last.unwrap_or(start))
    }

    /// Every change of the clock from `start` up to `end` that skips or doubles wall times of this schedule.
    pub fn clock_changes(&self, start: Timestamp, end: Timestamp) -> Vec<ClockChange> {
        let Some(zone) = &self.zone else {
            return Vec::new();
        };
        let mut clock = ZoneClock::new(zone);
        zone.following(start)
            .map(|transition| transition.timestamp())
            .take_while(|at| *at < end)
            .filter_map(|at| self.clock_change(&mut clock, at))
            .collect()
    }

    fn clock_change(&self, clock: &mut ZoneClock, at: Timestamp) -> Option<ClockChange> {
        let second = at.as_second();
        let (old, new) = (
            clock.period(second - 1)?.offset,
            clock.period(second)?.offset,
        );
        let kind = if new > old {
            ClockChangeKind::Skipped
        } else {
            ClockChangeKind::Doubled
        };
        let (from, to) = (second + old.min(new), second + old.max(new));

        // On a clock that does not change, these are the wall times that are asked for.
        let mut last = from * i64::from(SECOND) - 1;
        let mut times = Vec::new();
        while let Some(next) = self.on_fixed_clock(0, last)
            && next < to * i64::from(SECOND)
        {
            times.push(next);
            last = next;
        }
        let (first, last) = (civil_time(*times.first()?)?, civil_time(*times.last()?)?);

        let width = to - from;
        let elapses = |start: i64, end: i64| {
            let start = Timestamp::from_second(start).ok()?;
            let end = Timestamp::from_second(end).ok()?;
            Some(self.between(start, end).count())
        };
        let midnight = from - from.rem_euclid(DAY);
        Some(ClockChange {
            kind,
            at,
            first,
            last,
            wall_times: times.len(),
            elapses: match kind {
                ClockChangeKind::Skipped => 0,
                ClockChangeKind::Doubled => elapses(second - width, second + width)?,
            },
            elapses_that_day: elapses(midnight - old, midnight + DAY - new)?,
        })
    }

    fn clock(&self) -> ZoneClock {
        ZoneClock::new(self.zone.as_ref().unwrap_or(&TimeZone::UTC))
    }

    /// The next elapse after an instant in microseconds since 1970.
    fn search(&self, clock: &mut ZoneClock, after: i64) -> Outcome {
        // systemd knows no time before 1970.
        let after = after.max(-1);
        match self.within_period(clock, after) {
            Some(next) => Outcome::At(next),
            None if self.zone.is_none() => {
                find_next(&self.expression, &mut FixedClock { offset: 0 }, after, None)
            }
            None => self.through_changes(clock, after),
        }
    }

    /// The next elapse, whatever the clock does.
    fn through_changes(&self, clock: &mut ZoneClock, after: i64) -> Outcome {
        let mut from = after;
        loop {
            match find_next(&self.expression, clock, from, self.dst) {
                // mktime moved a time in a gap back before the time at which the search began. Since a fix of
                // March 2025 (systemd pull request 36897; it is in Debian's 252.38) systemd notices that and
                // goes on behind the gap.
                Outcome::At(next) if next <= after => {
                    let change = clock
                        .period((from + 1).div_euclid(SECOND.into()))
                        .map(|period| period.end)
                        .filter(|end| *end < i64::MAX);
                    match change {
                        Some(change) => from = change * i64::from(SECOND) - 1,
                        None => return Outcome::Stuck,
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// The next elapse if the zone's clock does not change before it: many times faster.
    ///
    /// The search then sees only times from `after` to its result, so that no step depends on the next
    /// period; [`look_ahead`] says how far it may look beyond.
    fn within_period(&self, clock: &mut ZoneClock, after: i64) -> Option<i64> {
        if self.dst.is_some() {
            return None;
        }
        if self.zone.is_none() {
            return self.on_fixed_clock(0, after);
        }
        let period = clock.period((after + 1).div_euclid(SECOND.into()))?;
        let next = self.on_fixed_clock(period.offset, after)?;
        let end = period.end.saturating_sub(self.look_ahead);
        (next.div_euclid(SECOND.into()) < end).then_some(next)
    }

    /// The next elapse on a clock that is always `offset` seconds ahead of UTC.
    fn on_fixed_clock(&self, offset: i64, after: i64) -> Option<i64> {
        if let Some(plain) = &self.plain {
            let shift = offset * i64::from(SECOND);
            return plain.next(after + 1 + shift).map(|next| next - shift);
        }
        match find_next(&self.expression, &mut FixedClock { offset }, after, None) {
            Outcome::At(next) => Some(next),
            Outcome::Never | Outcome::Stuck => None,
        }
    }
}

fn civil_time(microseconds: i64) -> Option<civil::DateTime> {
    let instant = Timestamp::from_microsecond(microseconds).ok()?;
    Some(TimeZone::UTC.to_datetime(instant))
}

/// What a change of the clock does to wall times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockChangeKind {
    /// The clock is put forward: the times do not come on that day.
    Skipped,
    /// The clock is put back: the times come twice on that day.
    Doubled,
}

/// Wall times of a schedule that a change of the clock skips or doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockChange {
    /// Whether the times do not come or come twice.
    pub kind: ClockChangeKind,
    /// The instant of the change.
    pub at: Timestamp,
    /// The first wall time concerned; its date is the date to name.
    pub first: civil::DateTime,
    /// The last wall time concerned.
    pub last: civil::DateTime,
    /// How many wall times are concerned; each is counted once.
    pub wall_times: usize,
    /// How often a systemd timer elapses in the two passes of a doubled stretch; 0 for a skipped one.
    pub elapses: usize,
    /// How often a systemd timer elapses on the whole local day of the change. 0 means that the day is lost.
    pub elapses_that_day: usize,
}

/// The instant rounded up to microseconds since 1970.
fn whole_microseconds(instant: Timestamp) -> i64 {
    let up = instant.subsec_nanosecond().rem_euclid(1000) > 0;
    instant
        .as_nanosecond()
        .div_euclid(1000)
        .try_into()
        .unwrap_or(i64::MAX - 1)
        + i64::from(up)
}

/// The elapses of a schedule in a stretch of time, in order.
#[derive(Debug, Clone)]
pub struct Occurrences<'a> {
    schedule: &'a Schedule,
    clock: ZoneClock,
    /// The period of the last elapse, once there was one.
    period: Option<Period>,
    /// Microseconds since 1970, as `end`.
    last: i64,
    end: i64,
    done: bool,
    stuck: bool,
}

impl Occurrences<'_> {
    /// The next elapse if it is on the day of the last one: that day need not be looked for.
    fn later_that_day(&self) -> Option<i64> {
        let (plain, period) = (self.schedule.plain.as_ref()?, self.period?);
        let next = plain.later_that_day(self.last, period.offset)?;
        let end = period.end.saturating_sub(self.schedule.look_ahead);
        (next.div_euclid(SECOND.into()) < end).then_some(next)
    }
}

impl Iterator for Occurrences<'_> {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        if self.done {
            return None;
        }
        let next = match self.later_that_day() {
            Some(next) => Outcome::At(next),
            None => self.schedule.search(&mut self.clock, self.last),
        };
        if let Outcome::At(next) = next
            && next < self.end
            && let Ok(instant) = Timestamp::from_microsecond(next)
        {
            self.last = next;
            if self
                .period
                .is_none_or(|period| period.end <= instant.as_second())
            {
                self.period = match self.schedule.dst {
                    Some(_) => None,
                    None => self.clock.period(instant.as_second()),
                };
            }
            return Some(instant);
        }
        self.stuck = next == Outcome::Stuck;
        self.done = true;
        None
    }
}

/// [`Elapse`] in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    At(i64),
    Never,
    Stuck,
}

/// What became of a wall time when it was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bounds {
    /// It exists as it is.
    Within,
    /// It was out of range or in a gap and is now later.
    Moved,
    /// It is out of reach: before what was asked for, or not to be calculated.
    Out,
}

/// The first match of `expression` after `after` (microseconds since 1970).
fn find_next<C: Clock>(
    expression: &Expression,
    clock: &mut C,
    after: i64,
    dst: Option<bool>,
) -> Outcome {
    let from = after + 1;
    let Some(wall) = clock.wall(from.div_euclid(SECOND.into())) else {
        return Outcome::Never;
    };
    let mut search = Search {
        expression,
        clock,
        wall,
        fraction: from.rem_euclid(SECOND.into()),
    };
    for _ in 0..MOST_STEPS {
        // Where mktime fails it leaves the fields alone, and the checks that follow notice.
        let _ = search.clock.settle(&mut search.wall);
        search.wall.dst = dst;
        if !search.year() {
            return Outcome::Never;
        }
        let fits = search.month()
            && search.day()
            && search.weekday()
            && search.hour()
            && search.minute()
            && search.second();
        if !fits {
            continue;
        }
        return match search.clock.settle(&mut search.wall) {
            Some(at) if at >= 0 => Outcome::At(at * i64::from(SECOND) + search.fraction),
            _ => Outcome::Never,
        };
    }
    Outcome::Stuck
}

/// A wall time on its way to the next match.
///
/// Field by field from the year down: each takes the earliest value that matches, the smaller fields start over when one
/// changed, and the search starts over (the answer of a field is then false) whenever a value does not exist.
struct Search<'a, C> {
    expression: &'a Expression,
    clock: &'a mut C,
    wall: Wall,
    /// Microseconds beyond the second.
    fraction: i64,
}

impl<C: Clock> Search<'_, C> {
    /// A first of January that is not there ends the search, as it does in systemd.
    fn year(&mut self) -> bool {
        let Some(year) = self.expression.year.next_from(self.wall.year) else {
            return false;
        };
        let changed = year != self.wall.year;
        if changed {
            self.start(Wall {
                year,
                month: 1,
                ..midnight(self.wall, 1)
            });
        }
        settle_within(self.clock, &mut self.wall, changed) == Bounds::Within
    }

    fn month(&mut self) -> bool {
        let month = self.expression.month.next_from(self.wall.month);
        let start = |wall: Wall, month| Wall {
            month,
            ..midnight(wall, 1)
        };
        let next = |wall: Wall| Wall {
            year: wall.year + 1,
            month: 1,
            ..midnight(wall, 1)
        };
        self.field(self.wall.month, month, start, next)
    }

    fn day(&mut self) -> bool {
        let days = &self.expression.day;
        let day = if self.expression.from_month_end {
            matching_from_month_end(days, self.clock, &self.wall)
        } else {
            days.next_from(self.wall.day)
        };
        let next = |wall: Wall| Wall {
            month: wall.month + 1,
            ..midnight(wall, 1)
        };
        self.field(self.wall.day, day, midnight, next)
    }

    fn weekday(&mut self) -> bool {
        let fits = on_weekday(self.expression.weekdays, &self.wall);
        if !fits {
            self.start(midnight(self.wall, self.wall.day + 1));
        }
        fits
    }

    fn hour(&mut self) -> bool {
        let hour = self.expression.hour.next_from(self.wall.hour);
        let start = |wall: Wall, hour| Wall {
            hour,
            ..midnight(wall, wall.day)
        };
        let next = |wall: Wall| midnight(wall, wall.day + 1);
        self.field(self.wall.hour, hour, start, next)
    }

    fn minute(&mut self) -> bool {
        let minute = self.expression.minute.next_from(self.wall.minute);
        let start = |wall: Wall, minute| Wall {
            minute,
            second: 0,
            ..wall
        };
        let next = |wall: Wall| Wall {
            hour: wall.hour + 1,
            minute: 0,
            second: 0,
            ..wall
        };
        self.field(self.wall.minute, minute, start, next)
    }

    /// With what is beyond the second, as an expression says both in one.
    fn second(&mut self) -> bool {
        let second = i64::from(SECOND);
        let now = self.wall.second * second + self.fraction;
        let Some(microsecond) = self.expression.microsecond.next_from(now) else {
            return self.next_minute();
        };
        let changed = microsecond / second != self.wall.second;
        self.wall.second = microsecond / second;
        self.fraction = microsecond % second;
        match settle_within(self.clock, &mut self.wall, changed) {
            Bounds::Within => true,
            Bounds::Moved => false,
            Bounds::Out => self.next_minute(),
        }
    }

    fn next_minute(&mut self) -> bool {
        self.start(Wall {
            minute: self.wall.minute + 1,
            second: 0,
            ..self.wall
        });
        false
    }

    /// Goes on from the beginning of a second.
    fn start(&mut self, wall: Wall) {
        self.wall = wall;
        self.fraction = 0;
    }

    /// Gives a field, which is `now`, its next value: where that is another, what is smaller starts over. Where there is
    /// none, the `next` larger field goes on by one.
    fn field(
        &mut self,
        now: i64,
        value: Option<i64>,
        start: impl Fn(Wall, i64) -> Wall,
        next: impl Fn(Wall) -> Wall,
    ) -> bool {
        let bounds = value.map_or(Bounds::Out, |value| {
            let changed = value != now;
            if changed {
                self.start(start(self.wall, value));
            }
            settle_within(self.clock, &mut self.wall, changed)
        });
        if bounds == Bounds::Out {
            self.start(next(self.wall));
        }
        bounds == Bounds::Within
    }
}

/// The start of day `day` in the month of `wall`.
fn midnight(wall: Wall, day: i64) -> Wall {
    Wall {
        day,
        hour: 0,
        minute: 0,
        second: 0,
        ..wall
    }
}

fn on_weekday(weekdays: Weekdays, wall: &Wall) -> bool {
    usize::try_from(wall.weekday()).is_ok_and(|day| weekdays.contains(day))
}

/// Settles `wall`; if that moved it, the fields below the largest one that changed start over.
fn settle_within<C: Clock>(clock: &mut C, wall: &mut Wall, changed: bool) -> Bounds {
    if wall.year > i64::from(YEARS.1) {
        return Bounds::Out;
    }
    if C::UNIFORM && !changed {
        return Bounds::Within;
    }
    let mut settled = *wall;
    match clock.settle(&mut settled) {
        Some(at) if at >= 0 => {}
        _ => return Bounds::Out,
    }
    let (asked, got) = (wall.fields(), settled.fields());
    let Some(differing) = asked.iter().zip(&got).position(|(asked, got)| asked != got) else {
        return Bounds::Within;
    };
    // Going back is refused: it would never end.
    if got[differing] < asked[differing] {
        return Bounds::Out;
    }
    match differing {
        0 => settled.month = 1,
        1 => settled.day = 1,
        2 => settled.hour = 0,
        3 => settled.minute = 0,
        4 => settled.second = 0,
        _ => {}
    }
    *wall = settled;
    Bounds::Moved
}

/// [`Field::next_from`] for days that count from the end of the month.
fn matching_from_month_end<C: Clock>(field: &Field, clock: &mut C, wall: &Wall) -> Option<i64> {
    let mut earliest = None;
    for component in field.components() {
        let start = day_from_month_end(clock, wall, component.start.into());
        // Without a last day systemd still looks one up, which no month has.
        let stop = day_from_month_end(clock, wall, component.stop.map_or(-1, i64::from));
        // The larger count is the earlier day.
        let (start, stop) = match (start, stop) {
            (start, Some(stop)) => (Some(stop), start),
            (start, None) => (start, None),
        };
        let next = next_in(start.unwrap_or(-1), stop, component.step.into(), wall.day);
        earliest = match (earliest, next) {
            (Some(earliest), Some(next)) => Some(i64::min(earliest, next)),
            (earliest, next) => earliest.or(next),
        };
    }
    earliest
}

/// The `count`th last day of the month of `wall`, unless the month is shorter.
fn day_from_month_end<C: Clock>(clock: &mut C, wall: &Wall, count: i64) -> Option<i64> {
    let mut day = Wall {
        month: wall.month + 1,
        day: 1 - count,
        ..*wall
    };
    let settled = clock.settle(&mut day);
    (settled.is_some_and(|at| at >= 0) && day.month == wall.month).then_some(day.day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::zone::zone_named;
    use super::*;

    fn schedule(text: &str, zone: &str) -> Schedule {
        let expression: Expression = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        expression.schedule(zone_named(zone).expect("a zone").time_zone())
    }

    fn instant(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    /// The first `count` elapses from `start` on.
    fn first(schedule: &Schedule, start: &str, count: usize) -> Vec<String> {
        let end = instant("2300-01-01T00:00:00Z");
        schedule
            .between(instant(start), end)
            .take(count)
            .map(|at| at.to_string())
            .collect()
    }

    #[test]
    fn wall_times_follow_the_zone() {
        let sunday = schedule("Sun 04:00", "Europe/Berlin");
        assert_eq!(
            first(&sunday, "2026-03-22T00:00:00Z", 2),
            ["2026-03-22T03:00:00Z", "2026-03-29T02:00:00Z"]
        );
        let utc = schedule("Sun 04:00 UTC", "Europe/Berlin");
        assert_eq!(
            first(&utc, "2026-03-22T00:00:00Z", 2),
            ["2026-03-22T04:00:00Z", "2026-03-29T04:00:00Z"]
        );
        let named = schedule("04:00 America/New_York", "Europe/Berlin");
        assert_eq!(
            first(&named, "2026-01-01T00:00:00Z", 1),
            ["2026-01-01T09:00:00Z"]
        );
    }

    #[test]
    fn an_elapse_is_strictly_later_and_a_start_is_included() {
        let daily = schedule("daily", "UTC");
        let midnight = instant("2026-01-01T00:00:00Z");
        assert_eq!(
            daily.next_after(midnight),
            Elapse::At(instant("2026-01-02T00:00:00Z"))
        );
        assert_eq!(
            first(&daily, "2026-01-01T00:00:00Z", 1),
            ["2026-01-01T00:00:00Z"]
        );
        assert_eq!(
            daily
                .between(midnight, instant("2026-01-03T00:00:00Z"))
                .count(),
            2
        );
    }

    #[test]
    fn impossible_and_past_dates_never_elapse() {
        let now = instant("2026-01-01T00:00:00Z");
        for text in [
            "*-02-31",
            "2025-12-31",
            "*-02-30 *:*:*",
            "Mon *-02-30",
            "2026-02-29",
        ] {
            for zone in ["UTC", "Europe/Berlin"] {
                assert_eq!(
                    schedule(text, zone).next_after(now),
                    Elapse::Never,
                    "{text} {zone}"
                );
            }
        }
        assert_eq!(
            first(
                &schedule("Fri *-02-29", "Europe/Berlin"),
                "2026-01-01T00:00:00Z",
                2
            ),
            ["2036-02-28T23:00:00Z", "2064-02-28T23:00:00Z"]
        );
        assert_eq!(
            schedule("yearly", "UTC")
                .between(now, Timestamp::MAX)
                .count(),
            174
        );
    }

    #[test]
    fn days_count_from_the_end_of_the_month() {
        assert_eq!(
            first(&schedule("*-02~01 12:00", "UTC"), "2027-01-01T00:00:00Z", 2),
            ["2027-02-28T12:00:00Z", "2028-02-29T12:00:00Z"]
        );
        assert_eq!(
            first(&schedule("Sun *-*~07/1", "UTC"), "2026-01-01T00:00:00Z", 3),
            [
                "2026-01-25T00:00:00Z",
                "2026-02-22T00:00:00Z",
                "2026-03-29T00:00:00Z"
            ]
        );
        assert_eq!(
            first(
                &schedule("*-12~01..03", "Europe/Berlin"),
                "2026-01-01T00:00:00Z",
                4
            ),
            [
                "2026-12-28T23:00:00Z",
                "2026-12-29T23:00:00Z",
                "2026-12-30T23:00:00Z",
                "2027-12-28T23:00:00Z"
            ]
        );
    }

    #[test]
    fn fractions_of_seconds_elapse() {
        assert_eq!(
            first(&schedule("*:*:0/0.4", "UTC"), "2026-01-01T00:00:00Z", 3),
            [
                "2026-01-01T00:00:00Z",
                "2026-01-01T00:00:00.4Z",
                "2026-01-01T00:00:00.8Z"
            ]
        );
    }

    #[test]
    fn clock_changes_are_systemds() {
        // The night to summer time has no 02:30.
        assert_eq!(
            first(
                &schedule("02:30", "Europe/Berlin"),
                "2026-03-28T12:00:00Z",
                1
            ),
            ["2026-03-30T00:30:00Z"]
        );
        // The doubled 02:30 elapses once, and an hourly timer passes over the second pass.
        assert_eq!(
            first(
                &schedule("02:30", "Europe/Berlin"),
                "2026-10-24T12:00:00Z",
                2
            ),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
        assert_eq!(
            first(
                &schedule("*:30", "Europe/Berlin"),
                "2026-10-25T00:00:00Z",
                2
            ),
            ["2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"]
        );
        // In Dublin a time in the gap costs the rest of the day.
        assert_eq!(
            first(
                &schedule("1,5:30", "Europe/Dublin"),
                "2026-03-28T12:00:00Z",
                1
            ),
            ["2026-03-30T00:30:00Z"]
        );
    }

    #[test]
    fn what_gets_systemd_stuck_is_told() {
        let start = instant("2026-03-28T11:00:00Z");
        let end = instant("2028-01-01T00:00:00Z");
        // The month after November is looked for in May of the next year, with the flag of summer time.
        let half_yearly = schedule("*-05/6-01", "Europe/Berlin");
        assert_eq!(
            half_yearly.stuck_after(start, end),
            Some(instant("2026-10-31T23:00:00Z"))
        );
        assert_eq!(
            half_yearly.next_after(instant("2026-12-01T00:00:00Z")),
            Elapse::Stuck
        );
        assert_eq!(schedule("*-05/6-01", "UTC").stuck_after(start, end), None);
        assert_eq!(
            schedule("5/13:00", "Europe/Berlin").next_after(start),
            Elapse::At(instant("2026-03-28T17:00:00Z"))
        );
        assert_eq!(
            schedule("5/13:00", "Europe/Berlin").next_after(instant("2026-03-28T18:00:00Z")),
            Elapse::Stuck
        );
    }

    #[test]
    fn steps_without_an_end_lose_runs() {
        let open = schedule("*:0/7", "UTC");
        assert_eq!(
            first(&open, "2026-01-01T23:55:00Z", 2),
            ["2026-01-01T23:56:00Z", "2026-01-02T00:07:00Z"]
        );
        let with_ends = open
            .expression
            .with_ends()
            .expect("a step")
            .schedule(&TimeZone::UTC);
        assert_eq!(
            first(&with_ends, "2026-01-01T23:55:00Z", 2),
            ["2026-01-01T23:56:00Z", "2026-01-02T00:00:00Z"]
        );
        let (start, end) = (
            instant("2026-01-01T00:00:00Z"),
            instant("2036-01-01T00:00:00Z"),
        );
        for text in ["*-05/6-01", "5/13:00", "*-*-5/25"] {
            let expression: Expression = text.parse().expect(text);
            let with_ends = expression.with_ends().expect(text);
            let zone = zone_named("Europe/Berlin").expect("a zone");
            assert_eq!(
                with_ends.schedule(zone.time_zone()).stuck_after(start, end),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn the_hosts_own_abbreviation_is_one_of_its_clocks() {
        let noon = schedule("12:00 CET", "Europe/Berlin");
        assert_eq!(
            first(&noon, "2026-01-01T00:00:00Z", 1),
            ["2026-01-01T11:00:00Z"]
        );
        assert_eq!(
            noon.next_after(instant("2026-03-28T12:00:00Z")),
            Elapse::Never
        );
        // Elsewhere it is the zone of that name.
        let zone = schedule("12:00 CET", "Europe/London");
        assert_eq!(
            first(&zone, "2026-03-28T12:00:00Z", 1),
            ["2026-03-29T10:00:00Z"]
        );
    }

    #[test]
    fn skipped_and_doubled_wall_times_are_reported() {
        let (start, end) = (
            instant("2026-01-01T00:00:00Z"),
            instant("2027-01-01T00:00:00Z"),
        );
        let changes = schedule("02:30", "Europe/Berlin").clock_changes(start, end);
        assert_eq!(changes.len(), 2);
        assert_eq!(
            changes[0],
            ClockChange {
                kind: ClockChangeKind::Skipped,
                at: instant("2026-03-29T01:00:00Z"),
                first: civil::date(2026, 3, 29).at(2, 30, 0, 0),
                last: civil::date(2026, 3, 29).at(2, 30, 0, 0),
                wall_times: 1,
                elapses: 0,
                elapses_that_day: 0,
            }
        );
        assert_eq!(changes[1].kind, ClockChangeKind::Doubled);
        assert_eq!(
            (
                changes[1].wall_times,
                changes[1].elapses,
                changes[1].elapses_that_day
            ),
            (1, 1, 1)
        );
        let changes = schedule("*:0/15", "Europe/Berlin").clock_changes(start, end);
        assert_eq!(
            (changes[0].wall_times, changes[0].elapses_that_day),
            (4, 92)
        );
        assert_eq!((changes[1].wall_times, changes[1].elapses), (4, 4));
        for text in ["02:30 UTC", "03:30", "Mon 02:30"] {
            assert_eq!(
                schedule(text, "Europe/Berlin").clock_changes(start, end),
                [],
                "{text}"
            );
        }
        assert_eq!(
            schedule("02:30", "Asia/Kolkata").clock_changes(start, end),
            []
        );
        // Santiago's clocks change at midnight.
        let changes = schedule("00,23:30", "America/Santiago").clock_changes(start, end);
        let told = changes
            .iter()
            .map(|change| {
                (
                    change.kind,
                    change.first.to_string(),
                    change.elapses_that_day,
                )
            })
            .collect::<Vec<_>>();
        assert_eq!(
            told,
            [
                (
                    ClockChangeKind::Doubled,
                    "2026-04-04T23:30:00".to_owned(),
                    2
                ),
                (
                    ClockChangeKind::Skipped,
                    "2026-09-06T00:30:00".to_owned(),
                    1
                ),
            ]
        );
    }

    proptest! {
        /// The short cuts inside a period must not change an answer.
        #[test]
        fn short_cuts_agree_with_the_full_search(
            days in r"((Mon|Tue\.\.Fri) )?",
            date in r"((2026\.\.2030|2028/2|\*)-(\*|[1-9]|3,9|2\.\.12/5|1/[2-6])(-|~)(\*|[1-9]|1[0-9]/2|1\.\.9/[24]|25\.\.28) )?",
            time in r"(\*|[0-9]|1[0-9]|2/3|[03]\.\.23/[57]|0/[46]):(\*|[1-5][0-9]|0/7|0/20|5\.\.50/15)(:(\*|[0-5]|0/15|7\.5,30))?",
            seconds in 1_700_000_000_i64..2_000_000_000,
        ) {
            let expression = format!("{days}{date}{time}").parse::<Expression>();
            prop_assume!(expression.is_ok());
            let berlin = zone_named("Europe/Berlin").expect("a zone");
            let schedule = expression.expect("checked above").schedule(berlin.time_zone());
            // One by one, and as a sequence.
            let start = Timestamp::from_second(seconds).expect("in range");
            let mut at = start;
            for occurrence in schedule.between(start, Timestamp::MAX).take(30).skip_while(|first| *first == start) {
                prop_assert_eq!(schedule.next_after(at), Elapse::At(occurrence), "{}", schedule.expression);
                at = occurrence;
            }
            let mut last = seconds * 1_000_000;
            for _ in 0..5 {
                let mut clock = schedule.clock();
                let short = schedule.within_period(&mut clock, last);
                let full = find_next(&schedule.expression, &mut clock, last, None);
                if let Some(short) = short {
                    prop_assert_eq!(full, Outcome::At(short), "{}", schedule.expression);
                }
                let Outcome::At(next) = full else { break };
                prop_assert!(next > last);
                last = next;
            }
            // The same on a clock without changes, where no answer may be missing.
            if schedule.plain.is_some() {
                let short = schedule.on_fixed_clock(3600, last);
                let full = find_next(&schedule.expression, &mut FixedClock { offset: 3600 }, last, None);
                match full {
                    Outcome::At(next) => prop_assert_eq!(short, Some(next), "{}", schedule.expression),
                    Outcome::Never | Outcome::Stuck => prop_assert_eq!(short, None, "{}", schedule.expression),
                }
            }
        }
    }
}
