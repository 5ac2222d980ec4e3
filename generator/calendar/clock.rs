//! Wall clocks: from a date and time of day to an instant and back, as the C library does it.
//!
//! systemd and Proxmox both step through wall times with `mktime(3)`, so what they do around a change to or
//! from summer time is what glibc's `mktime` does there: a time in a gap moves by the width of the gap, and
//! of a doubled time the pass is taken that fits the offset of the previous call. [`ZoneClock`] repeats
//! that; [`FixedClock`] is the plain arithmetic of a clock that never changes.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// A date and time of day. Fields may lie outside their range until a [`Clock`] settles them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wall {
    pub(super) year: i64,
    /// January is 1.
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    /// Whether summer time is asked for; `None` lets the clock decide (`tm_isdst` of -1).
    pub(super) dst: Option<bool>,
}

impl Wall {
    /// The wall time that a clock without offset shows at `seconds` since 1970.
    pub(super) fn from_linear(seconds: i64, dst: Option<bool>) -> Self {
        let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        // The proleptic Gregorian calendar in years that begin in March, counted in eras of 400 years.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        Self {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
            hour: rest / HOUR,
            minute: rest % HOUR / MINUTE,
            second: rest % MINUTE,
            dst,
        }
    }

    /// The days since 1970 of the date; month and day may be out of range.
    fn days(&self) -> i64 {
        let year = self.year + (self.month - 1).div_euclid(12);
        let month = (self.month - 1).rem_euclid(12) + 1;
        let year = year - i64::from(month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let march_month = (month + 9) % 12;
        let day_of_year = (153 * march_month + 2) / 5 + self.day - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
            - 719_468
    }

    /// The seconds since 1970 at which a clock without offset shows this.
    pub(super) fn linear(&self) -> i64 {
        self.days() * DAY + self.hour * HOUR + self.minute * MINUTE + self.second
    }

    /// Monday is 0.
    pub(super) fn weekday(&self) -> i64 {
        (self.days() + 3).rem_euclid(7)
    }

    /// Everything but the wish for summer time.
    pub(super) fn fields(&self) -> [i64; 6] {
        [
            self.year,
            self.month,
            self.day,
            self.hour,
            self.minute,
            self.second,
        ]
    }
}

/// Settles wall times.
pub(super) trait Clock {
    /// Whether every wall time comes exactly once, so that a settled one need not be settled again.
    const UNIFORM: bool;

    /// Brings the fields into range and answers the instant in seconds since 1970, as `mktime(3)` does.
    /// `None` where `mktime` fails.
    fn settle(&mut self, wall: &mut Wall) -> Option<i64>;

    /// The wall time of an instant in seconds since 1970, with the summer time flag that it has. A doubled
    /// time that is settled next is taken to be in the same pass. `None` beyond the years of the calendar.
    fn wall(&mut self, at: i64) -> Option<Wall>;
}

/// A clock with one offset from UTC for all time.
#[derive(Debug, Clone, Copy)]
pub(super) struct FixedClock {
    /// Seconds east of UTC.
    pub(super) offset: i64,
}

impl Clock for FixedClock {
    const UNIFORM: bool = true;

    fn settle(&mut self, wall: &mut Wall) -> Option<i64> {
        let linear = wall.linear();
        *wall = Wall::from_linear(linear, wall.dst);
        Some(linear - self.offset)
    }

    fn wall(&mut self, at: i64) -> Option<Wall> {
        Some(Wall::from_linear(at + self.offset, Some(false)))
    }
}

/// A stretch of time in which a zone does not change its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    /// The first second.
    pub(super) start: i64,
    /// The first second of the next period.
    pub(super) end: i64,
    /// Seconds east of UTC.
    pub(super) offset: i64,
    /// The summer time flag, as the zone files of Debian have it.
    pub(super) dst: bool,
}

/// Zones in which Debian's data calls the *winter* clock daylight saving, with the first second from which
/// that holds for schedules. The built-in data ("rearguard") turns the flag around.
const NEGATIVE_DST: [(&str, i64); 4] = [
    ("Europe/Dublin", 0),
    ("Eire", 0),
    ("Africa/Casablanca", 1_540_692_000),
    ("Africa/El_Aaiun", 1_540_692_000),
];

/// The clock of a time zone.
#[derive(Debug, Clone)]
pub(super) struct ZoneClock {
    zone: TimeZone,
    negative_dst_since: Option<i64>,
    /// The periods that were asked for, in order.
    periods: Vec<Period>,
    /// The offset that glibc tries first: that of the previous call.
    guess: i64,
}

impl ZoneClock {
    pub(super) fn new(zone: &TimeZone) -> Self {
        let name = zone.iana_name().unwrap_or_default();
        Self {
            zone: zone.clone(),
            negative_dst_since: NEGATIVE_DST
                .iter()
                .find(|(negative, _)| *negative == name)
                .map(|(_, since)| *since),
            periods: Vec::new(),
            guess: 0,
        }
    }

    /// The period around an instant; `None` beyond the years that can be represented.
    pub(super) fn period(&mut self, at: i64) -> Option<Period> {
        let behind = self.periods.partition_point(|period| period.start <= at);
        if let Some(period) = behind.checked_sub(1).map(|index| self.periods[index])
            && at < period.end
        {
            return Some(period);
        }
        let instant = Timestamp::from_second(at).ok()?;
        let info = self.zone.to_offset_info(instant);
        let next_second = Timestamp::from_second(at + 1).ok()?;
        let start = self.zone.preceding(next_second).next();
        let end = self.zone.following(instant).next();
        let start = start.map_or(i64::MIN, |transition| transition.timestamp().as_second());
        let negative = self.negative_dst_since.is_some_and(|since| start >= since);
        let period = Period {
            start,
            end: end.map_or(i64::MAX, |transition| transition.timestamp().as_second()),
            offset: i64::from(info.offset().seconds()),
            dst: info.dst().is_dst() != negative,
        };
        self.periods.insert(behind, period);
        Some(period)
    }

    /// The instant for a wall time that is not the clock's (`linear`, all seconds counted), near `at`.
    fn with_dst(&mut self, linear: i64, at: i64, dst: bool) -> Option<i64> {
        // glibc looks in both directions in strides of a little less than a week, and answers with the
        // offset of the first neighbour that has the flag.
        const STRIDE: i64 = 601_200;
        const FARTHEST: i64 = 536_454_000 / 2 + STRIDE;
        let mut delta = STRIDE;
        while delta < FARTHEST {
            for neighbour in [at - delta, at + delta] {
                let period = self.period(neighbour)?;
                if period.dst == dst {
                    return Some(linear - period.offset);
                }
            }
            delta += STRIDE;
        }
        None
    }
}

impl Clock for ZoneClock {
    const UNIFORM: bool = false;

    fn settle(&mut self, wall: &mut Wall) -> Option<i64> {
        // Seconds beyond 59 are added at the end: a minute has 60 for the search.
        let excess = wall.second - wall.second.clamp(0, 59);
        let linear = wall.linear() - excess;

        let mut at = linear - self.guess;
        let (mut before, mut last) = (at, at);
        let mut last_dst = false;
        let mut probes = 6;
        let mut found = loop {
            let period = self.period(at)?;
            let error = linear - (at + period.offset);
            if error == 0 {
                break match wall.dst {
                    Some(dst) if dst != period.dst => self.with_dst(linear, at, dst)?,
                    _ => at,
                };
            }
            // Going to and fro between two instants, the time lies in a gap. Summer time wins.
            let settled = match wall.dst {
                None => last_dst <= period.dst,
                Some(dst) => dst != period.dst,
            };
            if at == before && at != last && settled {
                break at;
            }
            probes -= 1;
            if probes == 0 {
                return None;
            }
            (before, last, last_dst) = (last, at, period.dst);
            at += error;
        };
        self.guess = linear - found;
        found += excess;
        let period = self.period(found)?;
        *wall = Wall::from_linear(found + period.offset, Some(period.dst));
        Some(found)
    }

    fn wall(&mut self, at: i64) -> Option<Wall> {
        let period = self.period(at)?;
        self.guess = period.offset;
        Some(Wall::from_linear(at + period.offset, Some(period.dst)))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil;
    use proptest::prelude::*;

    use super::super::zone::zone_named;
    use super::*;

    fn clock(name: &str) -> ZoneClock {
        ZoneClock::new(zone_named(name).expect("a zone").time_zone())
    }

    fn settle(clock: &mut ZoneClock, fields: [i64; 5], dst: Option<bool>) -> (i64, [i64; 6]) {
        let [year, month, day, hour, minute] = fields;
        let mut wall = Wall {
            year,
            month,
            day,
            hour,
            minute,
            second: 0,
            dst,
        };
        let at = clock.settle(&mut wall).expect("a time of this century");
        (at, wall.fields())
    }

    #[test]
    fn a_time_in_a_gap_moves_into_summer_time() {
        let berlin = &mut clock("Europe/Berlin");
        // 02:30 does not exist on the last Sunday of March.
        let (at, fields) = settle(berlin, [2026, 3, 29, 2, 30], None);
        assert_eq!((at, fields), (1_774_747_800, [2026, 3, 29, 3, 30, 0]));
        // In Dublin summer is the standard time, so the time moves back.
        let dublin = &mut clock("Europe/Dublin");
        let (_, fields) = settle(dublin, [2026, 3, 29, 1, 30], None);
        assert_eq!(fields, [2026, 3, 29, 0, 30, 0]);
    }

    #[test]
    fn a_doubled_time_follows_the_previous_call() {
        let berlin = &mut clock("Europe/Berlin");
        settle(berlin, [2026, 10, 25, 0, 0], None);
        let (first, _) = settle(berlin, [2026, 10, 25, 2, 30], None);
        settle(berlin, [2026, 10, 26, 0, 0], None);
        let (second, _) = settle(berlin, [2026, 10, 25, 2, 30], None);
        assert_eq!(second - first, HOUR);
        assert_eq!(settle(berlin, [2026, 10, 25, 2, 30], Some(true)).0, first);
        assert_eq!(settle(berlin, [2026, 10, 25, 2, 30], Some(false)).0, second);
    }

    proptest! {
        #[test]
        fn the_calendar_is_gregorian(seconds in -60_000_000_000_i64..250_000_000_000) {
            let wall = Wall::from_linear(seconds, None);
            prop_assert_eq!(wall.linear(), seconds);
            let theirs = TimeZone::UTC.to_datetime(Timestamp::from_second(seconds).expect("in range"));
            let ours = [wall.year, wall.month, wall.day].map(|field| field.to_string()).join("-");
            prop_assert_eq!(ours, format!("{}-{}-{}", theirs.year(), theirs.month(), theirs.day()));
            prop_assert_eq!(wall.weekday(), i64::from(theirs.weekday().to_monday_zero_offset()));
        }

        #[test]
        fn existing_times_settle_on_themselves(seconds in 0_i64..7_000_000_000, zone in 0..4_usize) {
            let zone = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Europe/Dublin"][zone];
            let clock = &mut clock(zone);
            let mut wall = clock.wall(seconds).expect("in range");
            let civil = clock.zone.to_datetime(Timestamp::from_second(seconds).expect("in range"));
            let fields: [i64; 6] = [civil.year().into(), civil.month().into(), civil.day().into(),
                civil.hour().into(), civil.minute().into(), civil.second().into()];
            prop_assert_eq!(wall.fields(), fields);
            prop_assert_eq!(clock.settle(&mut wall), Some(seconds));
            wall.dst = None;
            prop_assert_eq!(clock.settle(&mut wall), Some(seconds));
        }
    }

    #[test]
    fn overflowing_fields_are_carried() {
        let mut wall = Wall {
            year: 2026,
            month: 14,
            day: 0,
            hour: 24,
            minute: -1,
            second: 61,
            dst: None,
        };
        let at = FixedClock { offset: 3600 }
            .settle(&mut wall)
            .expect("plain arithmetic");
        assert_eq!(wall.fields(), [2027, 2, 1, 0, 0, 1]);
        let civil = civil::date(2027, 2, 1)
            .at(0, 0, 1, 0)
            .to_zoned(TimeZone::UTC)
            .expect("in range");
        assert_eq!(at, civil.timestamp().as_second() - 3600);
    }
}
