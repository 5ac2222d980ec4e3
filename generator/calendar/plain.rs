//! The elapses of an expression on a clock that never changes, found without trial.
//!
//! [`elapse`](super::elapse) walks from field to field as systemd does, which costs half a microsecond an
//! elapse. Between two changes of a clock the answer of an expression without open steps is the obvious one,
//! and is looked up in bit sets here. A property test holds the two against each other.

use super::clock::{DAY, Wall};
use super::dialect::days_in_month;
use super::expression::{Expression, Field, SECOND, Weekdays, YEARS};

const MINUTE: i64 = 60 * SECOND as i64;
const HOUR: i64 = 60 * MINUTE;
const DAY_IN_MICROSECONDS: i64 = DAY * SECOND as i64;
/// More moments in a minute are left to the search: their list would take long to build.
const MOST_MOMENTS: u32 = 600;

/// An expression as sets; local time in microseconds since 1970.
#[derive(Debug, Clone)]
pub(super) struct PlainCalendar {
    year: Field,
    /// Bit `n` for month `n`.
    months: u64,
    /// Bit `n` for day `n`, or for the `n`th last day.
    days: u64,
    from_month_end: bool,
    weekdays: Weekdays,
    hours: u64,
    minutes: u64,
    /// Microseconds of a minute, ascending.
    moments: Vec<u32>,
}

impl PlainCalendar {
    /// The sets of an expression, or `None` if it has open steps, whose elapses are not the obvious ones.
    pub(super) fn new(expression: &Expression) -> Option<Self> {
        let day = &expression.day;
        let open_to_month_end = expression.from_month_end
            && day
                .components()
                .iter()
                .any(|day| day.step > 0 && day.stop.is_none());
        let fine = expression.microsecond.components().iter().any(|component| {
            let last = component.stop.unwrap_or(60 * SECOND);
            component.step > 0
                && last.saturating_sub(component.start) / component.step > MOST_MOMENTS
        });
        if expression.with_ends().is_some() || open_to_month_end || fine {
            return None;
        }
        let days = if expression.from_month_end {
            // A range steps forward in time, from its larger count down.
            let mut counts = 0;
            for component in day.components() {
                let last = component.stop.unwrap_or(component.start);
                for count in (component.start..=last)
                    .rev()
                    .step_by(component.step.max(1) as usize)
                {
                    counts |= 1 << count;
                }
            }
            counts
        } else {
            set(day, 1, 31)
        };
        Some(Self {
            year: expression.year.clone(),
            months: set(&expression.month, 1, 12),
            days,
            from_month_end: expression.from_month_end,
            weekdays: expression.weekdays,
            hours: set(&expression.hour, 0, 23),
            minutes: set(&expression.minute, 0, 59),
            moments: expression.microsecond.values(0, 60 * SECOND - 1),
        })
    }

    /// The first elapse at or after `from`, which must not be before 1970; `None` after the last year.
    pub(super) fn next(&self, from: i64) -> Option<i64> {
        let mut day = from.div_euclid(DAY_IN_MICROSECONDS);
        let mut wall = Wall::from_linear(day * DAY, None);
        let mut time = from.rem_euclid(DAY_IN_MICROSECONDS);
        loop {
            if !self.year.has(wall.year) {
                wall = Wall {
                    year: self.year.next_from(wall.year)?,
                    month: 1,
                    day: 1,
                    ..wall
                };
                day = wall.linear() / DAY;
                time = 0;
            }
            if wall.year > i64::from(YEARS.1) {
                return None;
            }
            let length = month_length(&wall);
            if contains(self.months, wall.month) {
                // The day's weekday is needed for days that match only.
                while wall.day <= length {
                    let named = if self.from_month_end {
                        length + 1 - wall.day
                    } else {
                        wall.day
                    };
                    if contains(self.days, named)
                        && self.on_weekday(day)
                        && let Some(time) = self.next_time(time)
                    {
                        return Some(day * DAY_IN_MICROSECONDS + time);
                    }
                    wall.day += 1;
                    day += 1;
                    time = 0;
                }
            } else {
                day += length - wall.day + 1;
                time = 0;
            }
            wall.day = 1;
            wall.month += 1;
            if wall.month > 12 {
                wall.month = 1;
                wall.year += 1;
            }
        }
    }

    /// The next elapse on the same day of a clock `offset` seconds ahead of UTC, after an elapse at `last`
    /// (microseconds since 1970, UTC).
    pub(super) fn later_that_day(&self, last: i64, offset: i64) -> Option<i64> {
        let time = (last + offset * i64::from(SECOND)).rem_euclid(DAY_IN_MICROSECONDS);
        Some(last - time + self.next_time(time + 1)?)
    }

    fn on_weekday(&self, day: i64) -> bool {
        // 1970 began on a Thursday.
        usize::try_from((day + 3).rem_euclid(7))
            .is_ok_and(|weekday| self.weekdays.contains(weekday))
    }

    /// The first time of day at or after `time`, in microseconds.
    fn next_time(&self, time: i64) -> Option<i64> {
        let (hour, minute, moment) = (time / HOUR, time % HOUR / MINUTE, time % MINUTE);
        let first_moment = i64::from(*self.moments.first()?);
        let first_minute = from_bit(self.minutes, 0)?;
        if contains(self.hours, hour) {
            if contains(self.minutes, minute) {
                let index = self
                    .moments
                    .partition_point(|candidate| i64::from(*candidate) < moment);
                if let Some(moment) = self.moments.get(index) {
                    return Some(hour * HOUR + minute * MINUTE + i64::from(*moment));
                }
            }
            if let Some(minute) = from_bit(self.minutes, minute + 1) {
                return Some(hour * HOUR + minute * MINUTE + first_moment);
            }
        }
        let hour = from_bit(self.hours, hour + 1)?;
        Some(hour * HOUR + first_minute * MINUTE + first_moment)
    }
}

fn set(field: &Field, first: u32, last: u32) -> u64 {
    field
        .values(first, last)
        .into_iter()
        .fold(0, |set, value| set | 1 << value)
}

fn contains(set: u64, value: i64) -> bool {
    (0..64).contains(&value) && set >> value & 1 == 1
}

/// The first member from `value` on.
fn from_bit(set: u64, value: i64) -> Option<i64> {
    let value = u32::try_from(value).ok().filter(|value| *value < 64)?;
    let rest = set >> value << value;
    (rest != 0).then(|| i64::from(rest.trailing_zeros()))
}

fn month_length(wall: &Wall) -> i64 {
    let leap = wall.year % 4 == 0 && (wall.year % 100 != 0 || wall.year % 400 == 0);
    match wall.month {
        2 if !leap => 28,
        month => u32::try_from(month).map_or(31, |month| i64::from(days_in_month(month))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_steps_are_left_to_the_search() {
        for (text, plain) in [
            ("hourly", true),
            ("*:*:*", true),
            ("*:0/15", true),
            ("*-02~01..03", true),
            ("*:0/7", false),
            ("*-05/6-01", false),
            ("Sun *-*~07/1", false),
            ("*:*:0/0.01", false),
        ] {
            let expression: Expression = text.parse().expect(text);
            assert_eq!(PlainCalendar::new(&expression).is_some(), plain, "{text}");
        }
    }

    #[test]
    fn bits_are_found_in_order() {
        assert_eq!(from_bit(0b1010, 0), Some(1));
        assert_eq!(from_bit(0b1010, 2), Some(3));
        assert_eq!(from_bit(0b1010, 4), None);
        assert_eq!(from_bit(u64::MAX, 63), Some(63));
        assert_eq!(from_bit(u64::MAX, 64), None);
    }
}
