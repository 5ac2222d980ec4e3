//! Proxmox's calendar events, the `schedule` of its jobs.
//!
//! The language looks like systemd's and differs where it hurts: `25:00` is valid and means minute 25 of
//! every hour, `*/15` is allowed, `~` and zones are not, and a step without an end loses a run when it does
//! not come out even (`0/5:00` never runs at midnight, because the search goes on at 25 o'clock). The rules
//! are those of the `proxmox-time` crate (`calendar_event.rs`, `tm_editor.rs`), through which Proxmox
//! VE reads schedules; lengths are those of the API schema.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::clock::{Clock, FixedClock, Wall, ZoneClock};
use super::dialect::{CannotExpress, Frame, runs};
use super::expression::{Expression, Field, SECOND, WEEKDAY_LONG_NAMES, WEEKDAY_NAMES, Weekdays};
use super::text::ParseError;
use super::zone::Zone;

/// The API's `maxLength` of a schedule.
const LONGEST: usize = 128;
/// Years end before this one (the limit of the crate).
const YEAR_LIMIT: u32 = 2200;
/// The search for the next run gives up after so many steps.
const MOST_STEPS: usize = 1001;

/// A calendar event as Proxmox takes it. Displays the text for the `schedule` option.
///
/// ```
/// use moxc::calendar::{Expression, ProxmoxSchedule};
///
/// let expression: Expression = "Mon..Fri 03:30:00".parse().unwrap();
/// let schedule = ProxmoxSchedule::express(&expression, None).unwrap();
/// assert_eq!(schedule.to_string(), "mon..fri 03:30");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxmoxSchedule {
    text: String,
    event: Event,
}

/// What an event says; empty lists stand for `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Event {
    utc: bool,
    /// Monday first.
    days: [bool; 7],
    years: Vec<Item>,
    months: Vec<Item>,
    month_days: Vec<Item>,
    hours: Vec<Item>,
    minutes: Vec<Item>,
    seconds: Vec<Item>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    first: u32,
    /// `None` for a step without an end.
    last: Option<u32>,
    /// 0 for a single value; a written step of 0 means the same.
    step: u32,
}

impl Item {
    fn single(value: u32) -> Self {
        Self {
            first: value,
            last: Some(value),
            step: 0,
        }
    }

    fn contains(self, value: i64) -> bool {
        let offset = value - i64::from(self.first);
        let in_step = match self.step {
            0 => offset == 0,
            step => offset >= 0 && offset % i64::from(step) == 0,
        };
        in_step && self.last.is_none_or(|last| value <= i64::from(last))
    }

    /// The next match after `value`; for a step without an end it may lie outside the field.
    fn after(self, value: i64) -> Option<i64> {
        let (first, step) = (i64::from(self.first), i64::from(self.step));
        if value < first {
            return Some(first);
        }
        if step == 0 {
            return None;
        }
        let next = first + ((value - first) / step + 1) * step;
        self.last
            .is_none_or(|last| next <= i64::from(last))
            .then_some(next)
    }
}

fn matches(items: &[Item], value: i64) -> bool {
    items.is_empty() || items.iter().any(|item| item.contains(value))
}

fn next(items: &[Item], value: i64) -> Option<i64> {
    items.iter().filter_map(|item| item.after(value)).min()
}

impl ProxmoxSchedule {
    /// Whether another one says the same times, in whatever spelling.
    pub fn runs_as(&self, other: &Self) -> bool {
        self.event == other.event
    }

    /// The text for Proxmox.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Says a schedule in Proxmox's language.
    ///
    /// `host_zone` is the IANA name of the host's zone where it is known: an expression in that zone needs no
    /// zone in Proxmox, whose events are in local time. The result runs at the instants that the
    /// expression names: those of a systemd timer, and those that it loses after steps without an end (see
    /// [`Expression::with_ends`]).
    pub fn express(
        expression: &Expression,
        host_zone: Option<&str>,
    ) -> Result<Self, CannotExpress> {
        let utc = match expression.frame(host_zone) {
            Frame::Local => "",
            Frame::Utc => " UTC",
            Frame::Foreign => {
                let name = match &expression.zone {
                    Zone::Named(name) => name.as_str(),
                    Zone::Local | Zone::Utc => "",
                };
                return Err(CannotExpress::new(
                    format!("the zone `{name}`"),
                    "a Proxmox job runs in the host's local time or in UTC",
                    "leave the zone out for the host's local time, or write `UTC`",
                ));
            }
        };
        if expression.microsecond.values(0, 60 * SECOND - 1) != [0] {
            return Err(CannotExpress::new(
                "a time with seconds",
                "Proxmox looks for jobs that are due once a minute",
                "write the time as hour and minute",
            ));
        }

        let mut text = String::new();
        if expression.weekdays != Weekdays::ALL {
            text.push_str(&expression.weekdays.to_string().to_ascii_lowercase());
            text.push(' ');
        }
        let months = expression.month.values(1, 12);
        let Some(days) = expression.day_numbers() else {
            return Err(CannotExpress::new(
                "a day that counts from the end of the month (`~`)",
                "Proxmox counts days from the start of the month only",
                "name the day, such as `*-*-28`, or take the first day of the next month: `*-*-01`",
            ));
        };
        if !expression.day.is_any()
            && let Some((early, late)) = lost_in_march(&months, &days)
        {
            return Err(CannotExpress::new(
                format!("day {early} together with day {late}"),
                format!(
                    "Proxmox looks for day {late} of February, comes out in March, and loses {early} March"
                ),
                "write two schedules",
            ));
        }
        let year = list(
            &expression.year,
            &expression.year.values(1970, YEAR_LIMIT - 1),
            4,
            None,
        );
        let month = list(&expression.month, &months, 2, Some((1, 12)));
        // Months differ in length, so that no step of days comes out even.
        let day = list(&expression.day, &days, 2, None);
        if [&year, &month, &day] != ["*", "*", "*"] {
            text = format!("{text}{year}-{month}-{day} ");
        }
        let hour = list(
            &expression.hour,
            &expression.hour.values(0, 23),
            2,
            Some((0, 23)),
        );
        let minute = list(
            &expression.minute,
            &expression.minute.values(0, 59),
            2,
            Some((0, 59)),
        );
        text = format!("{text}{hour}:{minute}{utc}");

        if text.len() > LONGEST {
            return Err(CannotExpress::new(
                format!(
                    "a schedule of {} characters in Proxmox's language",
                    text.len()
                ),
                format!("Proxmox takes {LONGEST} at most"),
                "use ranges (`1..5`) and steps (`0/10`) in place of lists, or write two schedules",
            ));
        }
        // What was just printed is the language that is read below.
        text.parse().map_err(|error: ParseError| {
            CannotExpress::new(
                "this schedule",
                error.message,
                "write it as weekdays, date and time",
            )
        })
    }

    /// The first run after (and not at) `after`, in whole seconds, on a host in zone `host`; `None` when
    /// Proxmox finds none.
    pub fn next_after(&self, after: Timestamp, host: &TimeZone) -> Option<Timestamp> {
        // Proxmox counts whole seconds.
        let from = after.as_microsecond().div_euclid(SECOND.into()) + 1;
        let found = if self.event.utc {
            self.event.search(&mut FixedClock { offset: 0 }, from)
        } else {
            self.event.search(&mut ZoneClock::new(host), from)
        };
        Timestamp::from_second(found?).ok()
    }
}

impl fmt::Display for ProxmoxSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A day of March that the search for the next run jumps over, and the day that makes it jump.
///
/// After its last day in February the search goes to the next larger day of the list, which `mktime` turns
/// into a day of March.
fn lost_in_march(months: &[u32], days: &[u32]) -> Option<(u32, u32)> {
    if !(months.contains(&2) && months.contains(&3)) {
        return None;
    }
    let lengths = [28, 29].into_iter().filter(|length| !days.contains(length));
    lengths.into_iter().find_map(|length| {
        let late = *days.iter().find(|day| **day > length)?;
        let early = *days.iter().find(|day| **day < late - length)?;
        Some((early, late))
    })
}

/// A field in Proxmox's spelling. Steps get an end unless they come out even in the field `bounds`.
fn list(field: &Field, values: &[u32], width: usize, bounds: Option<(u32, u32)>) -> String {
    if field.is_any() {
        return "*".to_owned();
    }
    if let Some((from, to)) = bounds
        && values.len() == (to - from + 1) as usize
    {
        return "*".to_owned();
    }
    let items = runs(values).into_iter().map(|run| {
        let even = bounds.is_some_and(|(from, to)| {
            run.first - from < run.step
                && run.last + run.step > to
                && (to - from + 1) % run.step == 0
        });
        match (run.first == run.last, run.step) {
            (true, _) => format!("{:0width$}", run.first),
            (false, 1) => format!("{:0width$}..{:0width$}", run.first, run.last),
            (false, step) if even => format!("{}/{step}", run.first),
            (false, step) => format!("{:0width$}..{:0width$}/{step}", run.first, run.last),
        }
    });
    items.collect::<Vec<_>>().join(",")
}

impl Event {
    /// The crate's own way to the next run: fields are compared from the year down, and each jump goes
    /// through `mktime`.
    fn search<C: Clock>(&self, clock: &mut C, from: i64) -> Option<i64> {
        let mut wall = clock.wall(from)?;
        let some_days = self.days.contains(&true) && self.days.contains(&false);
        for _ in 0..MOST_STEPS {
            let midnight = Wall {
                hour: 0,
                minute: 0,
                second: 0,
                ..wall
            };
            let weekday = usize::try_from(wall.weekday()).ok()?;
            let target = if !matches(&self.years, wall.year) {
                Wall {
                    year: next(&self.years, wall.year)?,
                    month: 1,
                    day: 1,
                    ..midnight
                }
            } else if !matches(&self.months, wall.month) {
                let (year, month) = match next(&self.months, wall.month) {
                    Some(month) => (wall.year, month),
                    None => (wall.year + 1, 1),
                };
                Wall {
                    year,
                    month,
                    day: 1,
                    ..midnight
                }
            } else if !matches(&self.month_days, wall.day) {
                match next(&self.month_days, wall.day) {
                    Some(day) => Wall { day, ..midnight },
                    None => Wall {
                        month: wall.month + 1,
                        day: 1,
                        ..midnight
                    },
                }
            } else if some_days && !self.days[weekday] {
                let ahead = (1..7).find(|ahead| self.days[(weekday + ahead) % 7])?;
                // No jump goes past Sunday: the search looks at the Monday in between.
                let ahead = ahead.min(7 - weekday);
                Wall {
                    day: wall.day + i64::try_from(ahead).ok()?,
                    ..midnight
                }
            } else if !matches(&self.hours, wall.hour) {
                match next(&self.hours, wall.hour) {
                    Some(hour) => Wall { hour, ..midnight },
                    None => Wall {
                        day: wall.day + 1,
                        ..midnight
                    },
                }
            } else if !matches(&self.minutes, wall.minute) {
                match next(&self.minutes, wall.minute) {
                    Some(minute) => Wall {
                        minute,
                        second: 0,
                        ..wall
                    },
                    None => Wall {
                        hour: wall.hour + 1,
                        ..midnight
                    },
                }
            } else if !matches(&self.seconds, wall.second) {
                match next(&self.seconds, wall.second) {
                    Some(second) => Wall { second, ..wall },
                    None => Wall {
                        minute: wall.minute + 1,
                        second: 0,
                        ..wall
                    },
                }
            } else {
                wall.dst = None;
                return clock.settle(&mut wall);
            };
            wall = Wall {
                dst: None,
                ..target
            };
            clock.settle(&mut wall)?;
        }
        None
    }
}

impl FromStr for ProxmoxSchedule {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut reader = Reader {
            text,
            end: text.len(),
            at: 0,
        };
        let event = reader.event()?;
        if text.len() > LONGEST {
            let message = format!(
                "a schedule has at most {LONGEST} characters, this one has {}",
                text.len()
            );
            return Err(ParseError::new(text, 0..text.len(), message));
        }
        Ok(Self {
            text: text.to_owned(),
            event,
        })
    }
}

/// Reads an event from left to right; readers of parts answer `None` and stay where they were if the part is
/// not there, because the language finds out by trying whether it is.
struct Reader<'a> {
    text: &'a str,
    end: usize,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..self.end]
    }

    fn take(&mut self, wanted: &str) -> Option<()> {
        self.rest()
            .starts_with(wanted)
            .then(|| self.at += wanted.len())
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    /// Runs `part`, and goes back if it is not there.
    fn attempt<T>(&mut self, part: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let before = self.at;
        let found = part(self);
        if found.is_none() {
            self.at = before;
        }
        found
    }

    fn event(&mut self) -> Result<Event, ParseError> {
        let mut event = Event::default();
        if let Some(rest) = self.text.strip_suffix("UTC") {
            event.utc = true;
            self.end = rest.trim_end_matches(' ').len();
        }
        if let Some(event) = shorthand(self.rest(), event.utc) {
            return Ok(event);
        }
        let mut something = false;
        if self.rest().starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.weekdays(&mut event)?;
            something = true;
            self.skip_blanks();
        }
        if let Some((years, months, days)) = self.date() {
            (event.years, event.months, event.month_days) = (years, months, days);
            something = true;
            self.skip_blanks();
        }
        if let Some(time) = self.time() {
            event.hours = time.hours.unwrap_or_default();
            event.minutes = time.minutes;
            event.seconds = time.seconds.unwrap_or_else(|| vec![Item::single(0)]);
            something = true;
        } else {
            let midnight = || vec![Item::single(0)];
            (event.hours, event.minutes, event.seconds) = (midnight(), midnight(), midnight());
        }
        if self.at < self.end || !something {
            return Err(self.unreadable(something));
        }
        Ok(event)
    }

    fn unreadable(&self, something: bool) -> ParseError {
        let rest = self.rest();
        if rest.is_empty() {
            return ParseError::new(self.text, 0..self.text.len(), "a calendar event is empty")
                .help("write a time such as `03:00`, or weekdays and a time such as `sat 03:00`");
        }
        let message = if something {
            format!("Proxmox cannot read `{rest}` here")
        } else {
            format!("Proxmox finds no date or time in `{rest}`")
        };
        let error = ParseError::new(self.text, self.at..self.end, message);
        if rest.contains('~') {
            return error.help("Proxmox counts days from the start of the month only");
        }
        if rest
            .trim_start()
            .starts_with(|c: char| c.is_ascii_alphabetic())
        {
            return error
                .help("the order is weekdays, date, time, `UTC`; other zones are not known");
        }
        error.help("numbers are years below 2200, months 1 to 12, days 1 to 31, hours below 24, minutes below 60")
    }

    fn weekdays(&mut self, event: &mut Event) -> Result<(), ParseError> {
        loop {
            let first = self.weekday()?;
            let mut last = first;
            if self
                .rest()
                .strip_prefix("..")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
            {
                self.at += 2;
                last = self.weekday()?;
            }
            // A range may go past Sunday.
            let mut day = first;
            event.days[day] = true;
            while day != last {
                day = (day + 1) % 7;
                event.days[day] = true;
            }
            let more = self
                .rest()
                .strip_prefix(',')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
            if !more {
                return Ok(());
            }
            self.at += 1;
        }
    }

    fn weekday(&mut self) -> Result<usize, ParseError> {
        let length = self
            .rest()
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(self.rest().len());
        let range = self.at..self.at + length;
        let word = &self.text[range.clone()];
        let day = (0..7).find(|day| {
            word.eq_ignore_ascii_case(WEEKDAY_NAMES[*day])
                || word.eq_ignore_ascii_case(WEEKDAY_LONG_NAMES[*day])
        });
        self.at = range.end;
        day.ok_or_else(|| {
            ParseError::new(
                self.text,
                range,
                format!("`{word}` is not a weekday that Proxmox knows"),
            )
            .help("weekdays are `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`, ranges `mon..fri`")
        })
    }

    fn date(&mut self) -> Option<(Vec<Item>, Vec<Item>, Vec<Item>)> {
        let with_year = self.attempt(|reader| {
            let years = reader.list(0, YEAR_LIMIT)?;
            reader.take("-")?;
            let months = reader.list(1, 13)?;
            reader.take("-")?;
            Some((years, months, reader.list(1, 32)?))
        });
        with_year.or_else(|| {
            self.attempt(|reader| {
                let months = reader.list(1, 13)?;
                reader.take("-")?;
                Some((Vec::new(), months, reader.list(1, 32)?))
            })
        })
    }

    fn time(&mut self) -> Option<Time> {
        self.attempt(|reader| {
            let hours = reader.attempt(|reader| {
                let hours = reader.list(0, 24)?;
                reader.take(":")?;
                Some(hours)
            });
            let minutes = reader.list(0, 60)?;
            let seconds = reader.attempt(|reader| {
                reader.take(":")?;
                reader.list(0, 60)
            });
            Some(Time {
                hours,
                minutes,
                seconds,
            })
        })
    }

    /// A field: `*`, `*/n`, or a list; empty for `*`.
    fn list(&mut self, start: u32, limit: u32) -> Option<Vec<Item>> {
        self.attempt(|reader| {
            if reader.take("*").is_some() {
                if !reader.rest().starts_with('/') {
                    return Some(Vec::new());
                }
                let before = reader.at;
                reader.at += 1;
                let step = reader.number(limit)?;
                if step == 0 {
                    // A step of 0 is left standing, and nothing can follow there.
                    reader.at = before;
                    return Some(Vec::new());
                }
                return Some(vec![Item {
                    first: start,
                    last: None,
                    step,
                }]);
            }
            let mut items = vec![reader.item(limit)?];
            while let Some(item) = reader.attempt(|reader| {
                reader.take(",")?;
                reader.item(limit)
            }) {
                items.push(item);
            }
            Some(items)
        })
    }

    fn item(&mut self, limit: u32) -> Option<Item> {
        self.attempt(|reader| {
            let first = reader.number(limit)?;
            let last = reader.attempt(|reader| {
                reader.take("..")?;
                reader.number(limit)
            });
            if last.is_some_and(|last| last < first) {
                return None;
            }
            if reader.take("/").is_some() {
                let step = reader.number(limit)?;
                return Some(match step {
                    // The crate takes a step of 0 for the single value.
                    0 => Item::single(first),
                    step => Item { first, last, step },
                });
            }
            Some(match last {
                Some(last) => Item {
                    first,
                    last: Some(last),
                    step: 1,
                },
                None => Item::single(first),
            })
        })
    }

    fn number(&mut self, limit: u32) -> Option<u32> {
        let rest = self.rest();
        let length = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let number = rest[..length]
            .parse::<u32>()
            .ok()
            .filter(|number| *number < limit)?;
        self.at += length;
        Some(number)
    }
}

struct Time {
    hours: Option<Vec<Item>>,
    minutes: Vec<Item>,
    seconds: Option<Vec<Item>>,
}

fn shorthand(word: &str, utc: bool) -> Option<Event> {
    let at = |values: &[u32]| values.iter().copied().map(Item::single).collect::<Vec<_>>();
    let daily = Event {
        utc,
        hours: at(&[0]),
        minutes: at(&[0]),
        seconds: at(&[0]),
        ..Event::default()
    };
    let of_months = |months: &[u32]| Event {
        months: at(months),
        month_days: at(&[1]),
        ..daily.clone()
    };
    Some(match word {
        "minutely" => Event {
            hours: Vec::new(),
            minutes: Vec::new(),
            ..daily
        },
        "hourly" => Event {
            hours: Vec::new(),
            ..daily
        },
        "daily" => daily,
        "weekly" => Event {
            days: [true, false, false, false, false, false, false],
            ..daily
        },
        "monthly" => of_months(&[]),
        "quarterly" => of_months(&[1, 4, 7, 10]),
        "semiannually" | "semi-annually" => of_months(&[1, 7]),
        "yearly" | "annually" => of_months(&[1]),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::elapse::Elapse;
    use super::super::zone::zone_named;
    use super::*;

    fn event(text: &str) -> ProxmoxSchedule {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn express(text: &str) -> Result<String, CannotExpress> {
        let expression: Expression = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        ProxmoxSchedule::express(&expression, Some("Europe/Berlin"))
            .map(|schedule| schedule.to_string())
    }

    /// The first runs after the start of 2026, UTC.
    fn runs_of(text: &str, count: usize) -> Vec<String> {
        let event = event(text);
        let mut last: Timestamp = "2025-12-31T23:59:59Z".parse().expect("a timestamp");
        (0..count)
            .map_while(|_| {
                last = event.next_after(last, &TimeZone::UTC)?;
                Some(last.to_string())
            })
            .collect()
    }

    #[test]
    fn schedules_are_said_in_proxmoxs_words() {
        for (written, proxmox) in [
            ("01:00", "01:00"),
            ("Sun 04:00", "sun 04:00"),
            ("Mon..Fri *-*-* 03:30:00 UTC", "mon..fri 03:30 UTC"),
            ("Fri,Sat,Sun,Mon 3:00", "mon,fri..sun 03:00"),
            ("hourly", "*:00"),
            ("minutely", "*:*"),
            ("daily", "00:00"),
            ("monthly", "*-*-01 00:00"),
            ("quarterly", "*-1/3-01 00:00"),
            ("*:0/15", "*:0/15"),
            ("*:0/7", "*:00..56/7"),
            ("0/5:00", "00..20/5:00"),
            ("2/4:10,20", "2/4:10,20"),
            ("9..17:00", "09..17:00"),
            ("*-*-1/2 6:00", "*-*-01..31/2 06:00"),
            ("*-12~01 23:00", "*-12-31 23:00"),
            ("2030-01-31 12:00", "2030-01-31 12:00"),
            ("*-*-1..7 12:00 Europe/Berlin", "*-*-01..07 12:00"),
            ("12:00 Etc/UTC", "12:00 UTC"),
        ] {
            assert_eq!(express(written), Ok(proxmox.to_owned()), "{written}");
        }
    }

    #[test]
    fn what_proxmox_cannot_say_is_told() {
        for (written, what) in [
            ("12:00 America/New_York", "the zone `America/New_York`"),
            ("12:00:30", "a time with seconds"),
            ("*:*:*", "a time with seconds"),
            (
                "*-*~01",
                "a day that counts from the end of the month (`~`)",
            ),
            (
                "*-02~01",
                "a day that counts from the end of the month (`~`)",
            ),
            ("*-*-1,15,31", "day 1 together with day 31"),
            ("*-*-1/5", "day 1 together with day 31"),
        ] {
            assert_eq!(express(written).expect_err(written).what, what);
        }
        let minutes = (0..60)
            .filter(|minute| minute % 3 != 1)
            .map(|minute| minute.to_string())
            .collect::<Vec<_>>();
        let long = express(&format!("1,2,4,5,7,8:{}", minutes.join(","))).expect_err("too long");
        assert!(
            long.what.ends_with("characters in Proxmox's language"),
            "{long}"
        );
    }

    #[test]
    fn the_dialect_is_read_as_proxmox_reads_it() {
        for text in [
            "daily UTC",
            "21:00UTC",
            "mon..fri",
            "fri..mon 3:00",
            "MONDAY,tue 1:00",
            "*/15",
            "15",
            "*/2:00",
            "2..4/2:0/15",
            "*-1..7",
            "sat *-1..7 15:00",
            "2015-10-21",
            "*-*-* *:00",
            "1:2:3",
            "sat\t3:00",
            "5..9/0:00",
            "semi-annually",
        ] {
            event(text);
        }
        for text in [
            "",
            " ",
            "UTC",
            "03:00 mon",
            "Daily",
            "mon-fri",
            "*-*~01",
            "5..2:00",
            "60",
            "*-13-01",
            "2200-01-01",
            "12:00 Europe/Berlin",
            "0 3 * * *",
            "*/0",
            "mon,",
            "1:2:3:4",
            "mon 3:00 ",
            "xyz",
        ] {
            let error = text.parse::<ProxmoxSchedule>().expect_err(text);
            assert!(text.get(error.range.clone()).is_some(), "{text}: {error:?}");
        }
        // The first number is no hour, so the two are minute and second of every hour.
        assert!(event("25:00").runs_as(&event("*:25:00")));
        assert!(event("24:00 UTC").runs_as(&event("*:24:00 UTC")));
        assert!("a".repeat(200).parse::<ProxmoxSchedule>().is_err());
        assert!(
            format!("{}1:00", "1,".repeat(64))
                .parse::<ProxmoxSchedule>()
                .is_err()
        );
    }

    #[test]
    fn the_traps_of_the_dialect_are_modelled() {
        // Not an hour: minute 25 of every hour.
        assert_eq!(
            runs_of("25:00", 2),
            ["2026-01-01T00:25:00Z", "2026-01-01T01:25:00Z"]
        );
        assert_eq!(
            runs_of("*/30", 3),
            [
                "2026-01-01T00:00:00Z",
                "2026-01-01T00:30:00Z",
                "2026-01-01T01:00:00Z"
            ]
        );
        // A step that does not come out even loses the first value of the next day.
        assert_eq!(runs_of("10/5:00", 4)[3], "2026-01-02T10:00:00Z");
        assert_eq!(runs_of("0/10:00", 4)[3], "2026-01-02T10:00:00Z");
        assert_eq!(runs_of("00..20/10:00", 4)[3], "2026-01-02T00:00:00Z");
        // After February the search for day 31 lands on 3 March.
        assert_eq!(
            runs_of("*-*-1,31", 5)[2..],
            [
                "2026-02-01T00:00:00Z",
                "2026-03-31T00:00:00Z",
                "2026-04-01T00:00:00Z"
            ]
        );
        assert_eq!(runs_of("*-02-31", 1), [""; 0]);
        assert_eq!(runs_of("2025-01-01", 1), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_in_place(text in "\\PC{0,30}") {
            if let Err(error) = text.parse::<ProxmoxSchedule>() {
                prop_assert!(text.get(error.range.clone()).is_some(), "{error:?}");
            }
        }

        #[test]
        fn a_converted_schedule_runs_when_the_timer_elapses(
            days in "((Mon|Tue\\.\\.Thu|Sat,Sun|Mon,Fri\\.\\.Sun) )?",
            date in "((20(2[6-9]|3[0-9])|\\*)-(\\*|[1-9]|1[0-2]|3,9|1/[2-5]|4\\.\\.10/3)-(\\*|[1-9]|2[0-9]|1/[2-9]|3,5\\.\\.9) )?",
            hour in "\\*|[0-9]|1[0-9]|2[0-3]|[0-4]/[1-9]|0?2,3|8\\.\\.18(/[2-5])?",
            minute in "\\*|[0-5][0-9]|[0-9]/[1-9]|0/1[0-9]|5\\.\\.55/10",
            seconds in 1_760_000_000_i64..2_100_000_000,
            utc in any::<bool>(),
        ) {
            let expression: Expression = format!("{days}{date}{hour}:{minute}{}", if utc { " UTC" } else { "" })
                .parse()
                .expect("the pattern makes expressions");
            let berlin = zone_named("Europe/Berlin").expect("a zone");
            let schedule = match ProxmoxSchedule::express(&expression, None) {
                Ok(schedule) => schedule,
                Err(error) => {
                    let told = error.what.contains("characters") || error.what.contains("together");
                    prop_assert!(told, "{error}");
                    return Ok(());
                }
            };
            // systemd itself loses runs of steps without an end.
            let timer = expression.with_ends().unwrap_or(expression).schedule(berlin.time_zone());
            let mut last = Timestamp::from_second(seconds).expect("in range");
            for _ in 0..10 {
                let theirs = schedule.next_after(last, berlin.time_zone());
                match timer.next_after(last) {
                    Elapse::At(next) => {
                        prop_assert_eq!(theirs, Some(next), "{} after {}", schedule, last);
                        last = next;
                    }
                    Elapse::Never => {
                        prop_assert_eq!(theirs, None, "{} after {}", schedule, last);
                        break;
                    }
                    Elapse::Stuck => prop_assert!(false, "{} is stuck after {}", schedule, last),
                }
            }
        }
    }
}
