//! Triggers of the Windows Task Scheduler.
//!
//! The Task Scheduler has no expressions: a task carries up to 48 triggers, each of which names days in one
//! of a few ways, one time of day, and perhaps a repetition after it. This module finds triggers that start
//! a task at the instants of a calendar expression; the XML is written elsewhere. The rules are those of the
//! Task Scheduler schema (MS-TSCH 2.5): at most 48 triggers, repetitions of one minute at least, weeks
//! counted 1 to 4 and last, days of the month by number and last.

use jiff::Timestamp;
use jiff::civil;

use super::dialect::{CannotExpress, Frame, days_in_month};
use super::expression::{Expression, SECOND, WEEKDAY_NAMES, Weekdays, YEARS};
use super::zone::{Zone, zone_named};

/// The schema's `maxOccurs` of triggers in a task.
pub const MOST_TRIGGERS: usize = 48;
/// The shortest `Interval` of a repetition, in seconds (PT1M).
const SHORTEST_INTERVAL: u32 = 60;
/// So many times a day get a trigger each; more of them are looked at as repetitions.
const PLAIN_TIMES: usize = 4;
const SECONDS_A_DAY: u32 = 86_400;

/// One trigger: on `days`, at the time of day of `start`, and again as `repetition` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// `StartBoundary`. Its time is the time of day; its date is the first on which the trigger may start the
    /// task (the very date for [`Days::Once`]).
    pub start: civil::DateTime,
    /// `EndBoundary`: from this instant on the trigger starts nothing.
    pub end: Option<civil::DateTime>,
    /// Both boundaries are in UTC (written with `Z`) and not in the machine's local time.
    pub utc: bool,
    /// The days on which the trigger starts the task.
    pub days: Days,
    /// Further starts on the same day.
    pub repetition: Option<Repetition>,
}

/// The days of a trigger, in the terms of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Days {
    /// `TimeTrigger`: once, at the start.
    Once,
    /// `ScheduleByDay`: every so many days (always 1 here) from the start.
    Daily {
        /// `DaysInterval`.
        interval: u16,
    },
    /// `ScheduleByWeek` with a `WeeksInterval` of 1.
    Weekly {
        /// `DaysOfWeek`.
        weekdays: Weekdays,
    },
    /// `ScheduleByMonth`. A day that a month does not have is passed over.
    Monthly {
        /// `DaysOfMonth`, ascending.
        days: Vec<MonthDay>,
        /// `Months`, 1 to 12, ascending.
        months: Vec<u32>,
    },
    /// `ScheduleByMonthDayOfWeek`: certain weekdays in certain weeks of months.
    MonthlyDayOfWeek {
        /// `Weeks`, ascending.
        weeks: Vec<Week>,
        /// `DaysOfWeek`.
        weekdays: Weekdays,
        /// `Months`, 1 to 12, ascending.
        months: Vec<u32>,
    },
}

/// A day of `DaysOfMonth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MonthDay {
    /// 1 to 31.
    Day(u32),
    /// The last day, whichever that is.
    Last,
}

/// A week of `Weeks`: the first Sunday of a month is in week 1 whatever the weekday of the first day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Week {
    /// 1 to 4.
    Number(u32),
    /// The last occurrence of the weekday in the month.
    Last,
}

/// Starts that follow the one at the trigger's time, on the same day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repetition {
    /// `Interval`: seconds between two starts, at least 60.
    pub interval: u32,
    /// `Duration` in seconds. It ends half an interval after the last start that is meant, so that nothing
    /// depends on whether a start at the very end still counts.
    pub duration: u32,
}

impl Trigger {
    /// Says a schedule as triggers, in the order of the days and times.
    ///
    /// `local_zone` is the IANA name of the zone that the Windows machine is in, where it is known. `from` is
    /// the date from which the triggers hold: any date in the past will do, and a fixed one keeps the output
    /// the same. Years before it are left out.
    ///
    /// In local time, Windows and not systemd decides what happens to times that a change of the clock skips
    /// or doubles.
    pub fn express(
        expression: &Expression,
        local_zone: Option<&str>,
        from: civil::Date,
    ) -> Result<Vec<Self>, CannotExpress> {
        let utc = match expression.frame(local_zone) {
            Frame::Local => false,
            Frame::Utc => true,
            Frame::Foreign => return Err(foreign_zone(expression)),
        };
        let starts = starts(&times_of_day(expression)?);
        let days = days(expression)?;
        let years = years(expression, from)?;
        if utc && !matches!(days, Days::Daily { .. }) {
            check_utc_dates(expression, &starts, local_zone)?;
        }

        let mut triggers = Vec::new();
        for (first, end) in years {
            triggers.extend(starts.iter().map(|(second, repetition)| Self {
                start: first.to_datetime(time_of_day(*second)),
                end: end.map(|end| end.to_datetime(civil::Time::midnight())),
                utc,
                days: days.clone(),
                repetition: *repetition,
            }));
        }
        if let Some(date) = single_date(expression, from) {
            for trigger in &mut triggers {
                trigger.start = date.to_datetime(trigger.start.time());
                trigger.end = None;
                trigger.days = Days::Once;
            }
        }
        if triggers.len() > MOST_TRIGGERS {
            return Err(CannotExpress::new(
                format!("a schedule that needs {} triggers", triggers.len()),
                format!("a Windows task has {MOST_TRIGGERS} at most"),
                "use times at equal distances (`0/2:00`), or fewer days and times",
            ));
        }
        Ok(triggers)
    }
}

fn foreign_zone(expression: &Expression) -> CannotExpress {
    let name = match &expression.zone {
        Zone::Named(name) => name.as_str(),
        Zone::Local | Zone::Utc => "",
    };
    CannotExpress::new(
        format!("the zone `{name}`"),
        "a Windows trigger is in the machine's local time or in UTC",
        "leave the zone out for the machine's local time, or write `UTC`",
    )
}

fn time_of_day(second: u32) -> civil::Time {
    // A second of the day has an hour below 24; `midnight` is never taken.
    let part = |value: u32| i8::try_from(value).unwrap_or(0);
    civil::Time::new(
        part(second / 3600),
        part(second / 60 % 60),
        part(second % 60),
        0,
    )
    .unwrap_or(civil::Time::midnight())
}

/// The seconds of the day at which the expression elapses, ascending.
fn times_of_day(expression: &Expression) -> Result<Vec<u32>, CannotExpress> {
    let microseconds = expression.microsecond.values(0, 60 * SECOND - 1);
    if microseconds.iter().any(|value| value % SECOND != 0) {
        return Err(CannotExpress::new(
            "a time with a fraction of a second",
            "Windows triggers count whole seconds",
            "write the time as hour, minute and second",
        ));
    }
    if microseconds.len() > 1 {
        return Err(CannotExpress::new(
            "several starts in one minute",
            "a Windows task is repeated once a minute at most",
            "write one second, such as `*:*:00`",
        ));
    }
    let hours = expression.hour.values(0, 23);
    let minutes = expression.minute.values(0, 59);
    let mut times = Vec::with_capacity(hours.len() * minutes.len());
    for hour in &hours {
        for minute in &minutes {
            times.extend(
                microseconds
                    .iter()
                    .map(|value| hour * 3600 + minute * 60 + value / SECOND),
            );
        }
    }
    Ok(times)
}

/// A time of day and what follows it.
type Start = (u32, Option<Repetition>);

/// Few times as they are, many as repetitions at equal distances.
fn starts(times: &[u32]) -> Vec<Start> {
    if times.len() <= PLAIN_TIMES {
        return times.iter().map(|time| (*time, None)).collect();
    }
    let mut rest = times.to_vec();
    let mut starts = Vec::new();
    while let Some(first) = rest.first().copied() {
        let (interval, count) = longest_repetition(&rest);
        if count > 2 {
            let last = first + interval * (count - 1);
            rest.retain(|time| *time > last || (*time - first) % interval != 0);
            let duration = interval * (count - 1) + interval / 2;
            starts.push((first, Some(Repetition { interval, duration })));
        } else {
            rest.remove(0);
            starts.push((first, None));
        }
    }
    starts
}

/// The interval at which most of the ascending `times` follow the first one, and how many those are with it.
fn longest_repetition(times: &[u32]) -> (u32, u32) {
    let first = times[0];
    let mut best = (SHORTEST_INTERVAL, 1);
    for second in &times[1..] {
        let interval = second - first;
        // Longer intervals cannot hold more starts than the best one has.
        if (SECONDS_A_DAY - first) / interval < best.1 {
            break;
        }
        let mut count = 1;
        while times.binary_search(&(first + interval * count)).is_ok() {
            count += 1;
        }
        if count > best.1 {
            best = (interval, count);
        }
    }
    best
}

/// The days of the expression within a year.
fn days(expression: &Expression) -> Result<Days, CannotExpress> {
    let months = expression.month.values(1, 12);
    let weekdays = expression.weekdays;
    let every_month = months.len() == 12;
    if weekdays == Weekdays::ALL {
        if every_month && expression.day.is_any() {
            return Ok(Days::Daily { interval: 1 });
        }
        return days_by_number(expression, months);
    }
    if expression.day.is_any() {
        if every_month {
            return Ok(Days::Weekly { weekdays });
        }
        return Err(CannotExpress::new(
            "weekdays in certain months",
            "Windows counts the weeks of a month (first to fourth and last) and cannot take all of them",
            "leave the months out, or write one week, such as the first: `Sun *-01,07-01..07`",
        ));
    }
    match weeks(expression) {
        Some(weeks) => Ok(Days::MonthlyDayOfWeek {
            weeks,
            weekdays,
            months,
        }),
        None => Err(CannotExpress::new(
            "weekdays on certain days of the month",
            "Windows counts whole weeks of a month (first to fourth and last)",
            "write a whole week, such as the first Sunday: `Sun *-*-01..07`, or the last: `Sun *-*~07/1`",
        )),
    }
}

fn days_by_number(expression: &Expression, months: Vec<u32>) -> Result<Days, CannotExpress> {
    let only_last = expression
        .day
        .components()
        .iter()
        .all(|day| day.start == 1 && day.step == 0);
    let days = match expression.day_numbers() {
        Some(days) => {
            let longest = months
                .iter()
                .copied()
                .map(days_in_month)
                .max()
                .unwrap_or(31);
            days.into_iter()
                .filter(|day| *day <= longest)
                .map(MonthDay::Day)
                .collect::<Vec<_>>()
        }
        None if only_last => vec![MonthDay::Last],
        None => {
            return Err(CannotExpress::new(
                "a day before the last that counts from the end of the month (`~`)",
                "Windows knows days by number and the last day",
                "write the last day (`*-*~01`) or a number, such as `*-*-28`",
            ));
        }
    };
    if days.is_empty() {
        return Err(CannotExpress::new(
            "a day that none of its months has",
            "the schedule never comes",
            "write a day that exists",
        ));
    }
    Ok(Days::Monthly { days, months })
}

/// The weeks of the month that the days make up, if they make up whole weeks.
fn weeks(expression: &Expression) -> Option<Vec<Week>> {
    if expression.from_month_end {
        let [last_week] = expression.day.components() else {
            return None;
        };
        let whole = (last_week.start, last_week.stop, last_week.step);
        return matches!(whole, (7, None, 1) | (1, Some(7), 1)).then(|| vec![Week::Last]);
    }
    let days = expression.day.values(1, 31);
    let weeks = (1..=4)
        .filter(|week| (1..=7).all(|day| days.binary_search(&((week - 1) * 7 + day)).is_ok()));
    let weeks = weeks.collect::<Vec<u32>>();
    (weeks.len() * 7 == days.len()).then(|| weeks.into_iter().map(Week::Number).collect())
}

/// The stretches of years: first date and, where they end, the date behind them.
fn years(
    expression: &Expression,
    from: civil::Date,
) -> Result<Vec<(civil::Date, Option<civil::Date>)>, CannotExpress> {
    if expression.year.is_any() {
        return Ok(vec![(from, None)]);
    }
    let new_year = |year: u32| civil::Date::new(i16::try_from(year).unwrap_or(i16::MAX), 1, 1).ok();
    let mut stretches: Vec<(u32, u32)> = Vec::new();
    for year in expression.year.values(YEARS.0, YEARS.1) {
        match stretches.last_mut() {
            Some((_, last)) if *last + 1 == year => *last = year,
            _ => stretches.push((year, year)),
        }
    }
    let stretches = stretches
        .into_iter()
        .filter_map(|(first, last)| Some((new_year(first)?.max(from), new_year(last + 1)?)))
        .filter(|(first, end)| first < end)
        .map(|(first, end)| (first, Some(end)))
        .collect::<Vec<_>>();
    if stretches.is_empty() {
        return Err(CannotExpress::new(
            "a schedule whose years are past",
            format!("the triggers hold from {from} on"),
            "leave the year out, or write one to come",
        ));
    }
    Ok(stretches)
}

/// The date of an expression that has only one.
fn single_date(expression: &Expression, from: civil::Date) -> Option<civil::Date> {
    let one = |values: Vec<u32>| match values[..] {
        [value] => Some(value),
        _ => None,
    };
    if expression.weekdays != Weekdays::ALL || expression.year.is_any() {
        return None;
    }
    let year = one(expression.year.values(YEARS.0, YEARS.1))?;
    let month = one(expression.month.values(1, 12))?;
    let day = one(expression.day_numbers()?)?;
    let date = civil::Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    );
    date.ok().filter(|date| *date >= from)
}

/// Weekdays and dates in UTC must be the same ones on the machine: which of the two clocks Windows takes
/// them from is not documented.
fn check_utc_dates(
    expression: &Expression,
    starts: &[Start],
    local_zone: Option<&str>,
) -> Result<(), CannotExpress> {
    let offsets = local_zone.and_then(zone_named).map(|zone| {
        let zone = zone.time_zone();
        // The offsets of the decades to come; zones with summer time have two of them.
        let start = Timestamp::from_second(1_704_067_200).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut offsets = vec![zone.to_offset(start).seconds()];
        offsets.extend(
            zone.following(start)
                .take(40)
                .map(|transition| transition.offset().seconds()),
        );
        offsets
    });
    let day = i64::from(SECONDS_A_DAY);
    let same_date = |start: &Start| {
        let last = start
            .1
            .map_or(start.0, |repetition| start.0 + repetition.duration);
        offsets.as_ref().is_some_and(|offsets| {
            offsets.iter().all(|offset| {
                let local = |second: u32| i64::from(second) + i64::from(*offset);
                (0..day).contains(&local(start.0)) && (0..day).contains(&local(last))
            })
        })
    };
    if starts.iter().all(same_date) {
        return Ok(());
    }
    let days = if expression.weekdays == Weekdays::ALL {
        "dates".to_owned()
    } else {
        let names = expression
            .weekdays
            .indices()
            .map(|day| WEEKDAY_NAMES[day])
            .collect::<Vec<_>>();
        format!("the weekdays {}", names.join(", "))
    };
    Err(CannotExpress::new(
        format!("{days} in UTC at a time that is another day on the machine"),
        "Windows does not say which clock decides the day",
        "leave `UTC` out, or choose a time that is on the same day in both",
    ))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;

    const FROM: civil::Date = civil::date(2024, 1, 1);

    fn expression(text: &str) -> Expression {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn express(text: &str) -> Result<Vec<Trigger>, CannotExpress> {
        Trigger::express(&expression(text), Some("Europe/Berlin"), FROM)
    }

    fn triggers(text: &str) -> Vec<Trigger> {
        express(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn months() -> Vec<u32> {
        (1..=12).collect()
    }

    /// Whether a trigger starts its task at a wall time: what the schema says, for a clock that never
    /// changes.
    fn starts_at(trigger: &Trigger, wall: civil::DateTime) -> bool {
        let date = wall.date();
        if wall < trigger.start || trigger.end.is_some_and(|end| wall >= end) {
            return false;
        }
        let month = u32::from(date.month().unsigned_abs());
        let day = u32::from(date.day().unsigned_abs());
        let weekday = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs());
        let last_day = u32::from(date.days_in_month().unsigned_abs());
        let on_day = match &trigger.days {
            Days::Once => date == trigger.start.date(),
            Days::Daily { interval } => *interval == 1,
            Days::Weekly { weekdays } => weekdays.contains(weekday),
            Days::Monthly { days, months } => {
                let named = days.iter().any(|named| match named {
                    MonthDay::Day(number) => *number == day,
                    MonthDay::Last => day == last_day,
                });
                named && months.contains(&month)
            }
            Days::MonthlyDayOfWeek {
                weeks,
                weekdays,
                months,
            } => {
                let named = weeks.iter().any(|week| match week {
                    Week::Number(number) => (day - 1) / 7 + 1 == *number,
                    Week::Last => day + 7 > last_day,
                });
                named && weekdays.contains(weekday) && months.contains(&month)
            }
        };
        let second = |time: civil::Time| {
            u32::from(time.hour().unsigned_abs()) * 3600
                + u32::from(time.minute().unsigned_abs()) * 60
                + u32::from(time.second().unsigned_abs())
        };
        let (first, at) = (second(trigger.start.time()), second(wall.time()));
        let on_time = match trigger.repetition {
            None => at == first,
            Some(Repetition { interval, duration }) => {
                at >= first && at - first <= duration && (at - first).is_multiple_of(interval)
            }
        };
        on_day && on_time
    }

    #[test]
    fn days_are_said_in_the_schedulers_terms() {
        let weekdays = |text: &str| expression(text).weekdays;
        for (text, days) in [
            ("03:00", Days::Daily { interval: 1 }),
            (
                "Wed 05:00",
                Days::Weekly {
                    weekdays: weekdays("Wed"),
                },
            ),
            (
                "Mon..Fri 05:00",
                Days::Weekly {
                    weekdays: weekdays("Mon..Fri"),
                },
            ),
            (
                "monthly",
                Days::Monthly {
                    days: vec![MonthDay::Day(1)],
                    months: months(),
                },
            ),
            (
                "quarterly",
                Days::Monthly {
                    days: vec![MonthDay::Day(1)],
                    months: vec![1, 4, 7, 10],
                },
            ),
            (
                "*-*~01 12:00",
                Days::Monthly {
                    days: vec![MonthDay::Last],
                    months: months(),
                },
            ),
            (
                "*-04,06-30..31 12:00",
                Days::Monthly {
                    days: vec![MonthDay::Day(30)],
                    months: vec![4, 6],
                },
            ),
            (
                "*-12~02 12:00",
                Days::Monthly {
                    days: vec![MonthDay::Day(30)],
                    months: vec![12],
                },
            ),
            (
                "Sun *-*-01..07 12:00",
                Days::MonthlyDayOfWeek {
                    weeks: vec![Week::Number(1)],
                    weekdays: weekdays("Sun"),
                    months: months(),
                },
            ),
            (
                "Tue *-*-8..14,22..28 12:00",
                Days::MonthlyDayOfWeek {
                    weeks: vec![Week::Number(2), Week::Number(4)],
                    weekdays: weekdays("Tue"),
                    months: months(),
                },
            ),
            (
                "Sun *-*~07/1 12:00",
                Days::MonthlyDayOfWeek {
                    weeks: vec![Week::Last],
                    weekdays: weekdays("Sun"),
                    months: months(),
                },
            ),
        ] {
            let triggers = triggers(text);
            assert_eq!(triggers.len(), 1, "{text}");
            assert_eq!(triggers[0].days, days, "{text}");
        }
    }

    #[test]
    fn times_are_triggers_or_repetitions() {
        let one = &triggers("Wed 05:00")[0];
        assert_eq!(one.start, civil::date(2024, 1, 1).at(5, 0, 0, 0));
        assert_eq!((one.end, one.utc, one.repetition), (None, false, None));
        assert_eq!(triggers("1,5,13:00").len(), 3);
        for (text, repetitions) in [
            ("hourly", vec![(0, 3600, 84_600)]),
            ("minutely", vec![(0, 60, 86_370)]),
            ("*:0/15", vec![(0, 900, 85_950)]),
            ("9..17:00", vec![(32_400, 3600, 30_600)]),
            ("*:0,20", vec![(0, 3600, 84_600), (1200, 3600, 84_600)]),
            ("0/5:00", vec![(0, 18_000, 81_000)]),
        ] {
            let found = triggers(text)
                .iter()
                .map(|trigger| {
                    let repetition = trigger.repetition.expect(text);
                    let second = trigger
                        .start
                        .duration_since(FROM.to_datetime(civil::Time::midnight()));
                    (second.as_secs(), repetition.interval, repetition.duration)
                })
                .collect::<Vec<_>>();
            assert_eq!(found, repetitions, "{text}");
        }
    }

    #[test]
    fn years_are_boundaries() {
        let once = triggers("2030-02-03 04:05:06 UTC");
        assert_eq!(once.len(), 1);
        assert_eq!(once[0].start, civil::date(2030, 2, 3).at(4, 5, 6, 0));
        assert_eq!(
            (&once[0].days, once[0].end, once[0].utc),
            (&Days::Once, None, true)
        );
        let years = triggers("2020..2025,2030-*-* 12:00");
        assert_eq!(years.len(), 2);
        assert_eq!(years[0].start, civil::date(2024, 1, 1).at(12, 0, 0, 0));
        assert_eq!(years[0].end, Some(civil::date(2026, 1, 1).at(0, 0, 0, 0)));
        assert_eq!(years[1].start, civil::date(2030, 1, 1).at(12, 0, 0, 0));
    }

    #[test]
    fn what_windows_cannot_say_is_told() {
        for (text, what) in [
            ("12:00 America/New_York", "the zone `America/New_York`"),
            ("12:00:00.5", "a time with a fraction of a second"),
            ("*:*:*", "several starts in one minute"),
            ("Sun *-01-* 12:00", "weekdays in certain months"),
            ("Fri *-*-13", "weekdays on certain days of the month"),
            (
                "*-*~02",
                "a day before the last that counts from the end of the month (`~`)",
            ),
            ("*-02-30", "a day that none of its months has"),
            ("2020-01-01", "a schedule whose years are past"),
            ("*:1,2,5,7,11,13,17,19,23,29,31,37,41,43,47,53,59", ""),
            (
                "2026,2028,2030,2032,2034-*-* *:1,2,5,7,11,13,17,19,23,29,31,37,41,43,47,53,59",
                "a schedule that needs ",
            ),
            (
                "Sun 23:00 UTC",
                "the weekdays Sun in UTC at a time that is another day on the machine",
            ),
        ] {
            match express(text) {
                Ok(triggers) => assert!(what.is_empty(), "{text}: {triggers:?}"),
                Err(error) => assert!(
                    !what.is_empty() && error.what.starts_with(what),
                    "{text}: {error}"
                ),
            }
        }
        assert!(express("Sun 12:00 UTC").is_ok());
        assert!(express("23:00 UTC").is_ok());
        assert!(Trigger::express(&expression("Sun 12:00 UTC"), None, FROM).is_err());
    }

    proptest! {
        #[test]
        fn triggers_start_when_the_expression_elapses(
            days in r"((Mon|Tue\.\.Thu|Sat,Sun) )?",
            date in r"((20(2[4-9]|30)(,2032)?|\*)-(\*|[1-9]|1[0-2]|3,9|1/[2-5])(-(\*|[1-9]|2[0-9]|1/[2-9]|1\.\.7|8\.\.21)|~(1|2|7/1|1\.\.7)) )?",
            hour in r"\*|[0-9]|1[0-9]|2[0-3]|[0-4]/[1-9]|8\.\.18(/[2-5])?|2,3,5,7,11,13",
            minute in r"\*|[0-5][0-9]|[0-9]/[1-9]|0/1[0-9]|5\.\.55/10",
            second in "(:[0-5][0-9])?",
            start in 1_704_067_200_i64..2_000_000_000,
        ) {
            let expression = expression(&format!("{days}{date}{hour}:{minute}{second}"));
            let Ok(triggers) = Trigger::express(&expression, None, FROM) else { return Ok(()) };
            prop_assert!(triggers.len() <= MOST_TRIGGERS);
            // On a clock without changes, every minute of three days is a start of both or of neither.
            let schedule = expression.with_ends().unwrap_or_else(|| expression.clone()).schedule(&TimeZone::UTC);
            let second = i64::from(expression.microsecond.components()[0].start / SECOND);
            let start = start - start % 60 + second;
            let first = match schedule.next_after(Timestamp::from_second(start - 1).expect("in range")) {
                // Look where something happens.
                super::super::elapse::Elapse::At(next) => next.as_second() - 86_400 - 600,
                _ => start,
            };
            let first = (first - first.rem_euclid(60) + second).max(1_704_067_200 + second);
            let elapses = schedule
                .between(
                    Timestamp::from_second(first).expect("in range"),
                    Timestamp::from_second(first + 3 * 86_400).expect("in range"),
                )
                .map(jiff::Timestamp::as_second)
                .collect::<std::collections::BTreeSet<_>>();
            for at in (first..first + 3 * 86_400).step_by(60) {
                let wall = TimeZone::UTC.to_datetime(Timestamp::from_second(at).expect("in range"));
                let started = triggers.iter().filter(|trigger| starts_at(trigger, wall)).count();
                prop_assert_eq!(started, usize::from(elapses.contains(&at)), "{} at {}: {:?}", expression, wall, triggers);
            }
        }
    }
}
