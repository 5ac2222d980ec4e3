//! systemd's calendar expressions, the values of `OnCalendar=`.
//!
//! The grammar is "CALENDAR EVENTS" of systemd.time(7); where the manual is silent, what systemd 252 does
//! (`calendarspec.c`). Some of that surprises: `Fri..Mon` and `*/15` are errors, `Mon-Fri` is not, and
//! `1..5/100` is `1`. [`Expression`] keeps the normalised meaning and prints it as
//! `systemd-analyze calendar` does; [`Calendar`] also keeps the text as written.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::text::ParseError;
use super::zone::{Zone, zone_named};

/// The first and the last year that systemd schedules.
pub(super) const YEARS: (u32, u32) = (1970, 2199);
/// Seconds fields count in microseconds.
pub(super) const SECOND: u32 = 1_000_000;
/// systemd refuses longer lists (`CALENDARSPEC_COMPONENTS_MAX`, counted from zero).
const LONGEST_LIST: usize = 241;
/// Numbers are C `int`s.
const LARGEST_NUMBER: u64 = i32::MAX as u64;

/// A schedule as the spec writes it, in systemd's `OnCalendar=` language.
///
/// Displays as written. Two calendars are equal when they are written alike; compare
/// [`expression`](Self::expression) for equal meaning.
///
/// ```
/// use moxc::calendar::Calendar;
///
/// let calendar: Calendar = "mon,Tue 4:00".parse().unwrap();
/// assert_eq!(calendar.to_string(), "mon,Tue 4:00");
/// assert_eq!(calendar.expression().to_string(), "Mon,Tue *-*-* 04:00:00");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    text: String,
    expression: Expression,
}

impl Calendar {
    /// What is meant.
    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What runs: as meant, with an end to every step, as [`for_systemd`](Self::for_systemd) writes it.
    pub fn runs(&self) -> Cow<'_, Expression> {
        self.expression
            .with_ends()
            .map_or(Cow::Borrowed(&self.expression), Cow::Owned)
    }

    /// As systemd runs it: as written, but for steps without an end, in which systemd gets stuck
    /// ([`with_ends`](Expression::with_ends)).
    pub fn for_systemd(&self) -> String {
        self.expression
            .with_ends()
            .map_or_else(|| self.text.clone(), |ended| ended.to_string())
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Calendar {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Ok(Self {
            text: text.to_owned(),
            expression: text.parse()?,
        })
    }
}

impl JsonSchema for Calendar {
    fn schema_name() -> Cow<'static, str> {
        "Calendar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "When something runs, in systemd's OnCalendar syntax (systemd.time(7)).",
            "examples": ["02:00", "Sun 04:00", "Mon..Fri *-*-* 03:30:00 UTC", "*-*-01 06:00 Europe/Berlin", "hourly"],
        })
    }
}

/// A set of weekdays, Monday first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weekdays(u8);

impl Weekdays {
    /// All seven days, which is also what an expression without weekdays means.
    pub const ALL: Self = Self(0b111_1111);
    const NONE: Self = Self(0);

    /// Whether day `index` (Monday is 0, Sunday is 6) is in the set.
    pub fn contains(self, index: usize) -> bool {
        index < 7 && self.0 & (1 << index) != 0
    }

    /// The indices in the set (Monday is 0), in order.
    pub fn indices(self) -> impl Iterator<Item = usize> {
        (0..7).filter(move |index| self.contains(*index))
    }

    fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }
}

/// The short English names, Monday first, as systemd prints them.
pub const WEEKDAY_NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// The whole English names, Monday first.
pub const WEEKDAY_LONG_NAMES: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

impl fmt::Display for Weekdays {
    /// `Mon..Wed,Sat,Sun`: three or more days in a row are a range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut day = 0;
        let mut separator = "";
        while day < 7 {
            if !self.contains(day) {
                day += 1;
                continue;
            }
            let first = day;
            while self.contains(day + 1) {
                day += 1;
            }
            write!(f, "{separator}{}", WEEKDAY_NAMES[first])?;
            if day > first {
                write!(
                    f,
                    "{}{}",
                    if day > first + 1 { ".." } else { "," },
                    WEEKDAY_NAMES[day]
                )?;
            }
            separator = ",";
            day += 1;
        }
        Ok(())
    }
}

/// One item of a field's list: `5`, `5..9`, `5/10` or `5..9/2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Component {
    /// The first value. Microseconds in the seconds field; counted from the end of the month (1 is the last
    /// day) when the expression says `~`.
    pub start: u32,
    /// The last value. `None` means that only `start` matches, or with a step, everything from `start` on.
    pub stop: Option<u32>,
    /// The distance between matches; 0 for a single value, 1 (or one second) for a range without a step.
    pub step: u32,
}

impl Component {
    fn next_from(self, value: i64) -> Option<i64> {
        next_in(
            self.start.into(),
            self.stop.map(i64::from),
            self.step.into(),
            value,
        )
    }

    const fn single(start: u32) -> Self {
        Self {
            start,
            stop: None,
            step: 0,
        }
    }
}

/// One field of an expression: `*`, or a list of components in ascending order without repetitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field(Vec<Component>);

impl Field {
    const ANY: Self = Self(Vec::new());

    fn single(value: u32) -> Self {
        Self(vec![Component::single(value)])
    }

    fn list(values: &[u32]) -> Self {
        Self(values.iter().copied().map(Component::single).collect())
    }

    /// Brings the list into systemd's normal form.
    fn normalised(mut components: Vec<Component>) -> Self {
        components.sort_unstable();
        components.dedup();
        Self(components)
    }

    /// Whether the field is `*`. (The `*` of seconds is the component `0/1s`.)
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// The components; none for `*`.
    pub fn components(&self) -> &[Component] {
        &self.0
    }

    /// All matching values from `first` to `last`, in order and each once. Not for days counted from the
    /// month's end.
    pub(super) fn values(&self, first: u32, last: u32) -> Vec<u32> {
        if self.is_any() {
            return (first..=last).collect();
        }
        let mut values = Vec::new();
        for component in &self.0 {
            match component.step {
                0 => values.push(component.start),
                step => values.extend(
                    (component.start..=component.stop.unwrap_or(last).min(last))
                        .step_by(step as usize),
                ),
            }
        }
        values.retain(|value| (first..=last).contains(value));
        values.sort_unstable();
        values.dedup();
        values
    }

    /// Whether `value` matches. Not for days counted from the month's end.
    pub(super) fn has(&self, value: i64) -> bool {
        self.is_any() || self.next_from(value) == Some(value)
    }

    /// The earliest match from `value` on; a step without an end goes beyond the field's range.
    pub(super) fn next_from(&self, value: i64) -> Option<i64> {
        if self.is_any() {
            return Some(value);
        }
        self.0
            .iter()
            .filter_map(|component| component.next_from(value))
            .min()
    }

    /// Gives steps an end that does not change what they match from `first` to `last`.
    fn add_ends(&mut self, first: u32, last: u32) {
        for component in &mut self.0 {
            let Component { start, stop, step } = *component;
            if step == 0 || stop.is_some() {
                continue;
            }
            // Running on, a step from the first value that comes out even meets that value again.
            let even = (last - first + 1).is_multiple_of(step) && start == first && last != 31;
            if !even {
                component.stop = Some(last - (last - start) % step);
            }
        }
        self.0.sort_unstable();
    }

    /// [`add_ends`](Self::add_ends) for days that count from the end of the month: up to the last day.
    fn add_ends_of_month(&mut self) {
        for component in &mut self.0 {
            let Component { start, stop, step } = *component;
            // systemd reads a range as starting with its smaller count, the later day.
            if step > 0 && stop.is_none() && (start - 1) % step == 0 {
                *component = Component {
                    start: 1,
                    stop: Some(start),
                    step,
                };
            }
        }
        self.0.sort_unstable();
    }

    fn print(&self, f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        if self.is_any() {
            return f.write_str("*");
        }
        for (index, component) in self.0.iter().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            write!(f, "{separator}{:0width$}", component.start)?;
            if let Some(stop) = component.stop {
                write!(f, "..{stop:0width$}")?;
            }
            if component.step > 1 || (component.step == 1 && component.stop.is_none()) {
                write!(f, "/{}", component.step)?;
            }
        }
        Ok(())
    }

    /// Seconds: whole ones, with six decimals where there is a fraction.
    fn print_seconds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn decimals(f: &mut fmt::Formatter<'_>, value: u32) -> fmt::Result {
            match value % SECOND {
                0 => Ok(()),
                fraction => write!(f, ".{fraction:06}"),
            }
        }
        // One component that covers all makes the whole list `*`.
        if self.0.contains(&Component {
            start: 0,
            stop: None,
            step: SECOND,
        }) {
            return f.write_str("*");
        }
        for (index, component) in self.0.iter().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            write!(f, "{separator}{:02}", component.start / SECOND)?;
            decimals(f, component.start)?;
            if let Some(stop) = component.stop {
                write!(f, "..{:02}", stop / SECOND)?;
                decimals(f, stop)?;
            }
            if component.step > 0 && !(component.stop.is_some() && component.step == SECOND) {
                write!(f, "/{}", component.step / SECOND)?;
            }
            decimals(f, component.step)?;
        }
        Ok(())
    }
}

/// The earliest of `start`, `start + step`, … up to `stop` that is not before `value`.
pub(super) fn next_in(start: i64, stop: Option<i64>, step: i64, value: i64) -> Option<i64> {
    if start >= value {
        return Some(start);
    }
    if step == 0 {
        return None;
    }
    let next = start + (value - start + step - 1) / step * step;
    stop.is_none_or(|stop| next <= stop).then_some(next)
}

/// The normalised meaning of a calendar expression. Displays as the "Normalized form" of
/// `systemd-analyze calendar`.
///
/// ```
/// use moxc::calendar::Expression;
///
/// let expression: Expression = "Sat,Thu,Mon..Wed,Sat..Sun".parse().unwrap();
/// assert_eq!(expression.to_string(), "Mon..Thu,Sat,Sun *-*-* 00:00:00");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// Days that are not in this set are passed over.
    pub weekdays: Weekdays,
    /// 1970 to 2199.
    pub year: Field,
    /// 1 to 12.
    pub month: Field,
    /// 1 to 31, or 1 to 28 counted from the end of the month.
    pub day: Field,
    /// Whether `day` counts from the end of the month (`~`).
    pub from_month_end: bool,
    /// 0 to 23.
    pub hour: Field,
    /// 0 to 59.
    pub minute: Field,
    /// The seconds in microseconds, 0 to 59,999,999. Never empty: `*` is the component `0/1s`.
    pub microsecond: Field,
    /// The zone of the wall times.
    pub zone: Zone,
}

impl Expression {
    /// Midnight of every day in local time: what every field is when nothing is written.
    fn daily() -> Self {
        Self {
            weekdays: Weekdays::ALL,
            year: Field::ANY,
            month: Field::ANY,
            day: Field::ANY,
            from_month_end: false,
            hour: Field::single(0),
            minute: Field::single(0),
            microsecond: Field::single(0),
            zone: Zone::Local,
        }
    }

    /// The expression that a shorthand such as `weekly` stands for.
    fn shorthand(word: &str) -> Option<Self> {
        let mut expression = Self::daily();
        match word.to_ascii_lowercase().as_str() {
            "minutely" => {
                expression.hour = Field::ANY;
                expression.minute = Field::ANY;
            }
            "hourly" => expression.hour = Field::ANY,
            "daily" => {}
            "weekly" => expression.weekdays = Weekdays(1),
            "monthly" => expression.day = Field::single(1),
            "quarterly" => {
                expression.month = Field::list(&[1, 4, 7, 10]);
                expression.day = Field::single(1);
            }
            "semiannually" | "semi-annually" | "biannually" | "bi-annually" => {
                expression.month = Field::list(&[1, 7]);
                expression.day = Field::single(1);
            }
            // The misspelling is systemd's own, kept for old units.
            "yearly" | "annually" | "anually" => {
                expression.month = Field::single(1);
                expression.day = Field::single(1);
            }
            _ => return None,
        }
        Some(expression)
    }

    /// The same expression with an end to every step, or `None` if there is none to add.
    ///
    /// A step without an end (`0/7`) runs on into the next larger unit, where systemd goes wrong: `*:0/7` never
    /// elapses at midnight, and `*-05/6-01` makes a timer fail for good in a zone with summer time (see
    /// [`Schedule::stuck_after`](super::Schedule::stuck_after)). With its end written (`*:0..56/7`) the same
    /// step is sound. Steps from the field's first value that come out even,
    /// such as `0/15`, need no end.
    pub fn with_ends(&self) -> Option<Self> {
        let mut ended = self.clone();
        ended.month.add_ends(1, 12);
        ended.hour.add_ends(0, 23);
        ended.minute.add_ends(0, 59);
        ended.microsecond.add_ends(0, 60 * SECOND - 1);
        if self.from_month_end {
            ended.day.add_ends_of_month();
        } else {
            // Months differ in length, so that no step of days comes out even.
            ended.day.add_ends(1, 31);
        }
        (ended != *self).then_some(ended)
    }

    /// Reads `text` without a word of advice in the error.
    pub(super) fn read(text: &str) -> Result<Self, ParseError> {
        let (end, zone) = split_zone(text);
        let mut reader = Reader { text, end, at: 0 };
        if end == 0 {
            return Err(reader.error(0..text.len(), "a calendar expression is empty"));
        }
        let mut expression = match Self::shorthand(&text[..end]) {
            Some(expression) => expression,
            None => reader.expression()?,
        };
        // An instant (`@…`) is already in UTC, whatever zone follows it.
        if expression.zone == Zone::Local {
            expression.zone = zone;
        }
        Ok(expression)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.weekdays != Weekdays::ALL {
            write!(f, "{} ", self.weekdays)?;
        }
        self.year.print(f, 4)?;
        f.write_str("-")?;
        self.month.print(f, 2)?;
        f.write_str(if self.from_month_end { "~" } else { "-" })?;
        self.day.print(f, 2)?;
        f.write_str(" ")?;
        self.hour.print(f, 2)?;
        f.write_str(":")?;
        self.minute.print(f, 2)?;
        f.write_str(":")?;
        self.microsecond.print_seconds(f)?;
        match &self.zone {
            Zone::Local => Ok(()),
            Zone::Utc => f.write_str(" UTC"),
            Zone::Named(name) => write!(f, " {name}"),
        }
    }
}

/// Cuts a zone off the end: where the rest ends, and the zone.
fn split_zone(text: &str) -> (usize, Zone) {
    let Some(space) = text.rfind(' ') else {
        return (text.len(), Zone::Local);
    };
    let word = &text[space + 1..];
    if word.eq_ignore_ascii_case("UTC") {
        (space, Zone::Utc)
    } else if let Some(name) = zone_named(word) {
        (space, Zone::Named(name))
    } else {
        (text.len(), Zone::Local)
    }
}

/// What a list of numbers stands for, known only when the delimiter behind it has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Year,
    Month,
    Day,
    /// A day counted from the end of the month.
    LastDay,
    Hour,
    Minute,
    Second,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::LastDay => "day before the end of the month",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        }
    }

    /// The smallest and largest value.
    fn bounds(self) -> (u64, u64) {
        match self {
            Self::Year => (YEARS.0.into(), YEARS.1.into()),
            Self::Month => (1, 12),
            Self::Day => (1, 31),
            // The end of February is as far away as systemd looks.
            Self::LastDay => (1, 28),
            Self::Hour => (0, 23),
            Self::Minute => (0, 59),
            Self::Second => (0, 60 * u64::from(SECOND) - 1),
        }
    }

    /// The bounds in words.
    fn limits(self) -> &'static str {
        match self {
            Self::Year => "years are 1970 to 2199",
            Self::Month => "months are 1 to 12",
            Self::Day => "days are 1 to 31",
            Self::LastDay => "days are counted from 1 (the last day) to 28",
            Self::Hour => "hours are 0 to 23",
            Self::Minute => "minutes are 0 to 59",
            Self::Second => "seconds are below 60",
        }
    }
}

/// A number with its place.
#[derive(Debug, Clone)]
struct Number {
    value: u64,
    range: Range<usize>,
}

/// A component before its unit is known.
#[derive(Debug)]
struct RawComponent {
    start: Number,
    stop: Option<Number>,
    /// Written behind a `/`.
    step: Option<Number>,
    range: Range<usize>,
}

/// A field before its unit is known; no components for `*`.
#[derive(Debug)]
struct RawField {
    components: Vec<RawComponent>,
}

/// Reads the text in front of the zone, from left to right.
struct Reader<'a> {
    text: &'a str,
    /// Where the zone starts.
    end: usize,
    at: usize,
}

impl Reader<'_> {
    fn error(&self, range: Range<usize>, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, range, message)
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes()[..self.end]
            .get(self.at + ahead)
            .copied()
    }

    fn skip_spaces(&mut self) {
        while self.peek(0) == Some(b' ') {
            self.at += 1;
        }
    }

    /// The character at the current place, for "unexpected …".
    fn here(&self) -> (Range<usize>, String) {
        match self.text[self.at..self.end].chars().next() {
            None => (self.at..self.at, "the end".to_owned()),
            Some(' ') => (self.at..self.at + 1, "a space".to_owned()),
            Some(c) => (
                self.at..self.at + c.len_utf8(),
                format!("`{}`", c.escape_debug()),
            ),
        }
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        let (range, what) = self.here();
        self.error(range, format!("expected {wanted}, found {what}"))
    }

    fn expression(&mut self) -> Result<Expression, ParseError> {
        let mut expression = Expression::daily();
        expression.weekdays = self.weekdays()?;
        if self.peek(0) == Some(b'@') {
            self.instant(&mut expression)?;
        } else {
            self.date(&mut expression)?;
            self.time(&mut expression)?;
        }
        if self.at < self.end {
            return Err(self.unexpected("the end of the expression"));
        }
        Ok(expression)
    }

    fn weekdays(&mut self) -> Result<Weekdays, ParseError> {
        let mut days = Weekdays::NONE;
        let mut range_start: Option<(usize, usize)> = None;
        let mut first = true;
        loop {
            let at = self.at;
            let rest = &self.text.as_bytes()[at..self.end];
            let found = (0..7).find_map(|index| {
                [WEEKDAY_LONG_NAMES[index], WEEKDAY_NAMES[index]]
                    .into_iter()
                    .find(|name| {
                        rest.len() >= name.len()
                            && rest[..name.len()].eq_ignore_ascii_case(name.as_bytes())
                    })
                    .map(|name| (index, name.len()))
            });
            let Some((day, length)) = found else {
                return if first {
                    Ok(Weekdays::ALL)
                } else {
                    Err(self.unexpected("a weekday"))
                };
            };
            self.at += length;
            if !matches!(self.peek(0), None | Some(b'-' | b'.' | b',' | b' ')) {
                return Err(self.error(at..self.word_end(at), "unknown weekday"));
            }
            days.insert(day);
            if let Some((from, from_at)) = range_start {
                if from > day {
                    return Err(self.error(
                        from_at..self.at,
                        "a range of weekdays cannot go past Sunday",
                    ));
                }
                (from..day).for_each(|index| days.insert(index));
            }
            match self.peek(0) {
                None => return Ok(days),
                Some(b' ') => {
                    self.skip_spaces();
                    return Ok(days);
                }
                Some(b',') => {
                    range_start = None;
                    self.at += 1;
                }
                // `Mon-Fri` is an old spelling that systemd still takes.
                Some(delimiter) => {
                    if range_start.is_some() {
                        return Err(self.unexpected("`,` or a space after a range of weekdays"));
                    }
                    if delimiter == b'.' && self.peek(1) != Some(b'.') {
                        return Err(self.error(
                            self.at..self.at + 1,
                            "a range of weekdays is written with two dots",
                        ));
                    }
                    self.at += if delimiter == b'.' { 2 } else { 1 };
                    range_start = Some((day, at));
                }
            }
            // A trailing comma is fine (`Wed, 17:48`), an open range is not.
            if matches!(self.peek(0), None | Some(b' ')) {
                if range_start.is_some() {
                    return Err(self.unexpected("the last weekday of the range"));
                }
                self.skip_spaces();
                return Ok(days);
            }
            first = false;
        }
    }

    fn word_end(&self, at: usize) -> usize {
        let rest = &self.text[at..self.end];
        at + rest
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(rest.len())
    }

    /// `@1700000000`: seconds since 1970, UTC.
    fn instant(&mut self, expression: &mut Expression) -> Result<(), ParseError> {
        let at = self.at;
        self.at += 1;
        // systemd reads the number with strtoul(3), which takes blanks and a sign.
        while self
            .peek(0)
            .is_some_and(|byte| byte.is_ascii_whitespace() || byte == 0x0b)
        {
            self.at += 1;
        }
        let negative = self.peek(0) == Some(b'-');
        if matches!(self.peek(0), Some(b'+' | b'-')) {
            self.at += 1;
        }
        let number = self
            .digits()
            .ok_or_else(|| self.unexpected("a number of seconds since 1970"))?;
        let seconds = i64::try_from(number.value)
            .ok()
            .filter(|seconds| !negative || *seconds == 0);
        let instant = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        let civil = instant.map(|instant| jiff::tz::TimeZone::UTC.to_datetime(instant));
        let Some(civil) =
            civil.filter(|civil| u32::try_from(civil.year()).is_ok_and(|year| year <= YEARS.1))
        else {
            return Err(self.error(at..self.at, "this instant is not in the years 1970 to 2199"));
        };
        // The casts cannot lose anything: a civil date from 1970 to 2199 has no negative part.
        expression.year = Field::single(u32::from(civil.year().unsigned_abs()));
        expression.month = Field::single(u32::from(civil.month().unsigned_abs()));
        expression.day = Field::single(u32::from(civil.day().unsigned_abs()));
        expression.hour = Field::single(u32::from(civil.hour().unsigned_abs()));
        expression.minute = Field::single(u32::from(civil.minute().unsigned_abs()));
        expression.microsecond = Field::single(u32::from(civil.second().unsigned_abs()) * SECOND);
        expression.zone = Zone::Utc;
        Ok(())
    }

    /// The date, if there is one; otherwise nothing is consumed.
    fn date(&mut self, expression: &mut Expression) -> Result<(), ParseError> {
        if self.at == self.end {
            return Ok(());
        }
        let before = self.at;
        let first = self.field(Unit::Month)?;
        if matches!(self.peek(0), None | Some(b':')) {
            self.at = before;
            return Ok(());
        }
        let first_delimiter = self.date_delimiter()?;
        let second = self.field(Unit::Day)?;
        if matches!(self.peek(0), None | Some(b' ')) {
            self.skip_spaces();
            expression.month = self.resolve(&first, Unit::Month)?;
            return self.day(&second, first_delimiter, expression);
        }
        if first_delimiter == b'~' {
            return Err(self.unexpected("a space: `~` stands in front of the day"));
        }
        let second_delimiter = self.date_delimiter()?;
        let third = self.field(Unit::Day)?;
        if !matches!(self.peek(0), None | Some(b' ')) {
            return Err(self.unexpected("a space after the date"));
        }
        self.skip_spaces();
        expression.year = self.resolve(&first, Unit::Year)?;
        expression.month = self.resolve(&second, Unit::Month)?;
        self.day(&third, second_delimiter, expression)
    }

    fn date_delimiter(&mut self) -> Result<u8, ParseError> {
        match self.peek(0) {
            Some(delimiter @ (b'-' | b'~')) => {
                self.at += 1;
                Ok(delimiter)
            }
            _ => Err(self.unexpected("`-` in a date or `:` in a time")),
        }
    }

    fn day(
        &self,
        field: &RawField,
        delimiter: u8,
        expression: &mut Expression,
    ) -> Result<(), ParseError> {
        let unit = if delimiter == b'~' {
            Unit::LastDay
        } else {
            Unit::Day
        };
        expression.day = self.resolve(field, unit)?;
        if unit == Unit::LastDay {
            self.last_day_list(field, &expression.day)?;
        }
        // `*-*~*` is every day from either end.
        expression.from_month_end = unit == Unit::LastDay && !expression.day.is_any();
        Ok(())
    }

    /// systemd's check of a list after `~` lowers the limit by three days with each item.
    fn last_day_list(&self, raw: &RawField, field: &Field) -> Result<(), ParseError> {
        for (index, component) in field.components().iter().enumerate() {
            let limit =
                28_u32.saturating_sub(u32::try_from(index).unwrap_or(u32::MAX).saturating_mul(3));
            let largest = component.stop.unwrap_or(component.start);
            if largest > limit || component.step >= limit {
                let first = raw
                    .components
                    .first()
                    .map_or(self.at, |first| first.range.start);
                let last = raw.components.last().map_or(self.at, |last| last.range.end);
                let message = format!(
                    "systemd refuses this list: value {} of a list after `~` may be {limit} at most",
                    index + 1
                );
                return Err(self
                    .error(first..last, message)
                    .help("write two schedules, or count from the start of the month"));
            }
        }
        Ok(())
    }

    fn time(&mut self, expression: &mut Expression) -> Result<(), ParseError> {
        if self.at == self.end {
            return Ok(());
        }
        let hour = self.field(Unit::Hour)?;
        if self.peek(0) != Some(b':') {
            return Err(self.unexpected("`:` after the hour"));
        }
        self.at += 1;
        let minute = self.field(Unit::Minute)?;
        let second = match self.peek(0) {
            None => None,
            Some(b':') => {
                self.at += 1;
                Some(self.field(Unit::Second)?)
            }
            Some(_) => return Err(self.unexpected("`:` or the end after the minute")),
        };
        if self.at < self.end {
            return Err(self.unexpected("the end after the time"));
        }
        expression.hour = self.resolve(&hour, Unit::Hour)?;
        expression.minute = self.resolve(&minute, Unit::Minute)?;
        if let Some(second) = second {
            expression.microsecond = self.resolve(&second, Unit::Second)?;
        }
        Ok(())
    }

    /// A run of digits; a value that does not fit is u64's largest, which no unit allows.
    fn digits(&mut self) -> Option<Number> {
        let start = self.at;
        while self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let range = start..self.at;
        (!range.is_empty()).then(|| Number {
            value: self.text[range.clone()].parse().unwrap_or(u64::MAX),
            range,
        })
    }

    /// A number; in the seconds field with decimals, in microseconds, rounded at the sixth.
    fn number(&mut self, unit: Unit) -> Result<Number, ParseError> {
        let Some(mut number) = self.digits() else {
            return Err(self.unexpected(match unit {
                Unit::Hour => "an hour",
                Unit::Minute => "a minute",
                Unit::Second => "a second",
                // Whether it is a date at all is seen behind the number.
                Unit::Year | Unit::Month => "a weekday, a date or a time",
                Unit::Day | Unit::LastDay => "a day or month",
            }));
        };
        if unit == Unit::Second {
            number.value = number.value.saturating_mul(SECOND.into());
            // Two dots are a range.
            if self.peek(0) == Some(b'.') && self.peek(1) != Some(b'.') {
                self.at += 1;
                let decimals = self
                    .digits()
                    .ok_or_else(|| self.unexpected("a digit after the decimal point"))?;
                let decimals = &self.text[decimals.range];
                let mut fraction = 0;
                for place in 0..6 {
                    fraction = fraction * 10
                        + decimals
                            .as_bytes()
                            .get(place)
                            .map_or(0, |digit| u64::from(digit - b'0'));
                }
                if decimals
                    .as_bytes()
                    .get(6)
                    .is_some_and(|digit| *digit >= b'5')
                {
                    fraction += 1;
                }
                number.value = number.value.saturating_add(fraction);
                number.range.end = self.at;
            }
        }
        if number.value > LARGEST_NUMBER {
            return Err(self.error(number.range, "this number is too large"));
        }
        Ok(number)
    }

    /// A field; `unit` only says how numbers are read and how errors speak.
    fn field(&mut self, unit: Unit) -> Result<RawField, ParseError> {
        let mut components = Vec::new();
        if self.peek(0) == Some(b'*') {
            self.at += 1;
            if unit == Unit::Second {
                let range = self.at - 1..self.at;
                components.push(RawComponent {
                    start: Number {
                        value: 0,
                        range: range.clone(),
                    },
                    stop: None,
                    step: Some(Number {
                        value: SECOND.into(),
                        range: range.clone(),
                    }),
                    range,
                });
            }
            return Ok(RawField { components });
        }
        loop {
            let component = self.component(unit)?;
            let range = component.range.clone();
            components.push(component);
            if components.len() > LONGEST_LIST {
                return Err(self.error(
                    range,
                    format!("systemd takes at most {LONGEST_LIST} values in a list"),
                ));
            }
            if self.peek(0) != Some(b',') {
                return Ok(RawField { components });
            }
            self.at += 1;
        }
    }

    fn component(&mut self, unit: Unit) -> Result<RawComponent, ParseError> {
        let start = self.number(unit)?;
        let mut stop = None;
        let mut step = None;
        if self.peek(0) == Some(b'.') && self.peek(1) == Some(b'.') {
            self.at += 2;
            stop = Some(self.number(unit)?);
        }
        if self.peek(0) == Some(b'/') {
            self.at += 1;
            let number = self.number(unit)?;
            if number.value == 0 {
                return Err(self.error(number.range, "a step cannot be 0"));
            }
            step = Some(number);
        }
        let range = start.range.start..self.at;
        if !matches!(self.peek(0), None | Some(b' ' | b',' | b'-' | b'~' | b':')) {
            return Err(self.unexpected("`,`, `..`, `/` or the end of the number"));
        }
        // Between two seconds without a step there must be one whole second.
        if let (Unit::Second, Some(stop), None) = (unit, &stop, &step)
            && start.value + u64::from(SECOND) > stop.value
        {
            return Err(self.error(range, "a range of seconds must be at least one second long"));
        }
        Ok(RawComponent {
            start,
            stop,
            step,
            range,
        })
    }

    /// Checks a field against its unit and normalises it.
    fn resolve(&self, field: &RawField, unit: Unit) -> Result<Field, ParseError> {
        field
            .components
            .iter()
            .map(|component| self.resolve_component(component, unit))
            .collect::<Result<Vec<_>, _>>()
            .map(Field::normalised)
    }

    fn resolve_component(&self, raw: &RawComponent, unit: Unit) -> Result<Component, ParseError> {
        let (from, to) = unit.bounds();
        let start = full_year(raw.start.value, unit);
        let mut stop = raw.stop.as_ref().map(|stop| full_year(stop.value, unit));
        let one = if unit == Unit::Second {
            SECOND.into()
        } else {
            1
        };
        let mut step = match (&raw.step, stop) {
            (Some(step), _) => step.value,
            (None, Some(_)) => one,
            (None, None) => 0,
        };

        // The range ends at its last match; a range with one match is that value.
        if let Some(last) = stop
            && last >= start
        {
            let last = if step > 0 {
                last - (last - start) % step
            } else {
                last
            };
            stop = Some(last).filter(|last| *last > start);
            if stop.is_none() {
                step = 0;
            }
        }

        let written = |number: &Number| &self.text[number.range.clone()];
        let outside = |number: &Number| {
            let message = format!("{} `{}` does not exist", unit.name(), written(number));
            self.error(number.range.clone(), message)
                .help(unit.limits())
        };
        if start < from || start > to {
            return Err(outside(&raw.start));
        }
        if let (Some(value), Some(number)) = (stop, &raw.stop)
            && (value < from || value > to)
        {
            // A range that shrank to its last match ends at an allowed value only if that match is one.
            return Err(outside(number));
        }
        if let Some(last) = stop
            && last < start
        {
            return Err(self.error(
                raw.range.clone(),
                format!("this range of {}s goes backwards", unit.name()),
            ));
        }
        if let Some(number) = &raw.step {
            let reaches = match (stop, unit) {
                (Some(_), _) => true,
                (None, Unit::LastDay) => start >= step + from,
                (None, _) => start + step <= to,
            };
            if step > to - from || !reaches {
                let message = format!(
                    "the step `{}` never reaches a second {}",
                    written(number),
                    unit.name()
                );
                return Err(self.error(number.range.clone(), message));
            }
        }
        // The bounds are below 2^32.
        let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Ok(Component {
            start: narrow(start),
            stop: stop.map(narrow),
            step: narrow(step),
        })
    }
}

/// Two-digit years are those from 1970 to 2069.
fn full_year(value: u64, unit: Unit) -> u64 {
    match (unit, value) {
        (Unit::Year, 0..=69) => value + 2000,
        (Unit::Year, 70..=99) => value + 1900,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(text: &str) -> String {
        text.parse::<Expression>()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .to_string()
    }

    #[test]
    fn what_runs_is_what_is_written_for_systemd() {
        for text in ["*:0/7", "Mon..Fri 0/22:3", "*-*-5/25", "02:00", "*:0/15"] {
            let calendar: Calendar = text.parse().expect(text);
            let written: Calendar = calendar.for_systemd().parse().expect(text);
            assert_eq!(*calendar.runs(), *written.expression(), "{text}");
        }
    }

    #[test]
    fn the_examples_of_systemd_time_are_normalised() {
        for (written, normalised) in [
            (
                "Sat,Thu,Mon..Wed,Sat..Sun",
                "Mon..Thu,Sat,Sun *-*-* 00:00:00",
            ),
            ("Mon,Sun 12-*-* 2,1:23", "Mon,Sun 2012-*-* 01,02:23:00"),
            ("Wed *-1", "Wed *-*-01 00:00:00"),
            ("Wed..Wed,Wed *-1", "Wed *-*-01 00:00:00"),
            ("Wed, 17:48", "Wed *-*-* 17:48:00"),
            (
                "Wed..Sat,Tue 12-10-15 1:2:3",
                "Tue..Sat 2012-10-15 01:02:03",
            ),
            ("*-*-7 0:0:0", "*-*-07 00:00:00"),
            ("10-15", "*-10-15 00:00:00"),
            ("monday *-12-* 17:00", "Mon *-12-* 17:00:00"),
            ("Mon,Fri *-*-3,1,2 *:30:45", "Mon,Fri *-*-01,02,03 *:30:45"),
            ("12,14,13,12:20,10,30", "*-*-* 12,13,14:10,20,30:00"),
            ("12..14:10,20,30", "*-*-* 12..14:10,20,30:00"),
            ("mon,fri *-1/2-1,3 *:30:45", "Mon,Fri *-01/2-01,03 *:30:45"),
            ("03-05 08:05:40", "*-03-05 08:05:40"),
            ("08:05:40", "*-*-* 08:05:40"),
            ("05:40", "*-*-* 05:40:00"),
            ("Sat,Sun 12-05 08:05:40", "Sat,Sun *-12-05 08:05:40"),
            ("2003-03-05 05:40", "2003-03-05 05:40:00"),
            (
                "05:40:23.4200004/3.1700005",
                "*-*-* 05:40:23.420000/3.170001",
            ),
            ("2003-02..04-05", "2003-02..04-05 00:00:00"),
            ("2003-03-05 05:40 UTC", "2003-03-05 05:40:00 UTC"),
            ("hourly", "*-*-* *:00:00"),
            ("daily UTC", "*-*-* 00:00:00 UTC"),
            (
                "weekly Pacific/Auckland",
                "Mon *-*-* 00:00:00 Pacific/Auckland",
            ),
            ("annually", "*-01-01 00:00:00"),
            ("Semi-Annually", "*-01,07-01 00:00:00"),
            ("*:2/3", "*-*-* *:02/3:00"),
        ] {
            assert_eq!(normal(written), normalised, "{written}");
        }
    }

    #[test]
    fn the_corners_of_systemd_are_kept() {
        for (written, normalised) in [
            ("Mon-Fri", "Mon..Fri *-*-* 00:00:00"),
            ("Mon..Sun 4:00", "*-*-* 04:00:00"),
            ("*-02~03", "*-02~03 00:00:00"),
            ("Mon *-05~07/1", "Mon *-05~07/1 00:00:00"),
            ("*~1", "*-*~01 00:00:00"),
            ("*-*~*", "*-*-* 00:00:00"),
            ("1..40/50:00", "*-*-* 01:00:00"),
            ("1..6/2:00", "*-*-* 01..05/2:00:00"),
            ("5..5:00", "*-*-* 05:00:00"),
            ("69..70-1-1", "*-*-* 00:00:00"),
            ("1:1:*", "*-*-* 01:01:*"),
            ("1:1:5,0/1", "*-*-* 01:01:*"),
            ("1:1:0..0.5/0.1", "*-*-* 01:01:00..00.500000/0.100000"),
            ("@100000 Europe/Berlin", "1970-01-02 03:46:40 UTC"),
            ("Mon @ +0", "Mon 1970-01-01 00:00:00 UTC"),
        ] {
            if written.starts_with("69") {
                // 2069 to 1970 goes backwards.
                assert!(written.parse::<Expression>().is_err());
            } else {
                assert_eq!(normal(written), normalised, "{written}");
            }
        }
    }

    #[test]
    fn errors_point_at_their_place() {
        for (text, range) in [
            ("", 0..0),
            (" UTC", 0..4),
            ("Sun 24:30", 4..6),
            ("03:60", 3..5),
            ("2026-13-01", 5..7),
            ("*-*~29", 4..6),
            ("1950-01-01", 0..4),
            ("5..2:00", 0..4),
            ("*~28,3,11", 2..9),
            ("*:0/60", 4..6),
            ("*:0/0", 4..5),
            ("*:*:1..1", 4..8),
            ("*:*:1.", 6..6),
            ("Mon.Fri", 3..4),
            ("Mon..", 5..5),
            ("Mon..Wed..Fri", 8..9),
            ("Mon,,Tue", 4..5),
            ("03:00 ä", 5..6),
            ("03:ä", 3..5),
            ("*~1-2", 3..4),
            ("99999999999999999999:00", 0..20),
            ("@x", 1..2),
            ("@7300000000", 0..11),
        ] {
            let error = Expression::read(text).expect_err(text);
            assert_eq!(error.range, range, "{text}: {error}");
        }
    }

    #[test]
    fn steps_get_ends_where_they_need_them() {
        for (written, ended) in [
            ("*:0/7", "*-*-* *:00..56/7:00"),
            ("0/5:30", "*-*-* 00..20/5:30:00"),
            ("*-05/6-01", "*-05..11/6-01 00:00:00"),
            ("*-*-1/2", "*-*-01..31/2 00:00:00"),
            ("Mon *-05~07/1", "Mon *-05~01..07 00:00:00"),
            ("*:*:30/7", "*-*-* *:*:30..58/7"),
            ("5/10:1,5/20", "*-*-* 05..15/10:01,05..45/20:00"),
        ] {
            let expression = written.parse::<Expression>().expect(written);
            let with_ends = expression.with_ends().expect(written);
            assert_eq!(with_ends.to_string(), ended);
            assert_eq!(ended.parse(), Ok(with_ends.clone()));
            assert_eq!(with_ends.with_ends(), None);
        }
        for even in [
            "*:0/15",
            "0/6:00",
            "*-1/3-01",
            "minutely",
            "*:*:*",
            "*-05~07/4",
            "1..9/2:00",
            "2020/3-1-1",
        ] {
            assert_eq!(
                even.parse::<Expression>().expect(even).with_ends(),
                None,
                "{even}"
            );
        }
    }

    #[test]
    fn a_calendar_keeps_its_text() {
        let calendar: Calendar = "mon 4:00".parse().expect("a calendar");
        assert_eq!(calendar.to_string(), "mon 4:00");
        assert_ne!(calendar, "Mon 04:00".parse().expect("a calendar"));
        assert_eq!(
            *calendar.expression(),
            "Mon 04:00".parse().expect("an expression")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_in_place(text in "\\PC{0,30}") {
            if let Err(error) = text.parse::<Expression>() {
                prop_assert!(text.get(error.range.clone()).is_some(), "{error:?}");
            }
        }

        #[test]
        fn near_text_is_read_or_refused_in_place(text in "((mon|Tue|Fri)(\\.\\.|,|-| )?){0,3} ?[0-9*.,/:~@ -]{0,20}( UTC|am|PM| CET|h)?") {
            match text.parse::<Expression>() {
                Ok(expression) => prop_assert_eq!(expression.to_string().parse::<Expression>(), Ok(expression)),
                Err(error) => prop_assert!(text.get(error.range.clone()).is_some(), "{error:?}"),
            }
        }
    }
}
