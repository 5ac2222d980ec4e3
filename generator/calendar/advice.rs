//! Help for calendar expressions that cannot be read: what their author most likely meant.
//!
//! The rules know the neighbours of the language (cron, twelve-hour clocks, ISO 8601, plain English). A
//! replacement is offered only when it can itself be read.

use std::str::FromStr;

use super::expression::{Expression, WEEKDAY_LONG_NAMES, WEEKDAY_NAMES};
use super::span::TimeSpan;
use super::text::ParseError;
use super::zone::{nearest_zone, zone_named};

const SHORTHANDS: [&str; 8] = [
    "minutely",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "semiannually",
    "yearly",
];

/// Plain words and cron's nicknames for schedules that have an own spelling.
const PLAIN_WORDS: [(&str, &str); 21] = [
    ("@hourly", "hourly"),
    ("@daily", "daily"),
    ("@midnight", "daily"),
    ("@weekly", "Sun 00:00"),
    ("@monthly", "monthly"),
    ("@yearly", "yearly"),
    ("@annually", "yearly"),
    ("every minute", "minutely"),
    ("every hour", "hourly"),
    ("every day", "daily"),
    ("everyday", "daily"),
    ("nightly", "daily"),
    ("midnight", "00:00"),
    ("noon", "12:00"),
    ("every week", "weekly"),
    ("every month", "monthly"),
    ("every year", "yearly"),
    ("weekdays", "Mon..Fri"),
    ("weekday", "Mon..Fri"),
    ("weekends", "Sat,Sun"),
    ("weekend", "Sat,Sun"),
];

impl FromStr for Expression {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::read(text).map_err(|error| advise(text, error))
    }
}

/// One kind of mistake: what is known about it, or `None` when `text` has another one.
type Rule = fn(text: &str, error: &ParseError) -> Option<ParseError>;

/// The more particular mistake first.
const RULES: [Rule; 15] = [
    empty,
    stray_spaces,
    cron,
    plain_words,
    misspelt_shorthand,
    shorthand_with_time,
    wrapped_weekdays,
    nth_weekday,
    cron_step,
    twelve_hour_clock,
    midnight_as_24,
    clock_without_colon,
    iso_date_time,
    words_in_other_order,
    every_span,
];

/// The same error with the best help there is.
fn advise(text: &str, error: ParseError) -> ParseError {
    RULES
        .iter()
        .find_map(|rule| rule(text, &error))
        .or_else(|| misspelt_weekday(text))
        .or_else(|| unknown_zone(text))
        .unwrap_or(error)
}

/// `Did you mean`, if the replacement can be read.
fn did_you_mean(replacement: &str) -> Option<String> {
    Expression::read(replacement).ok()?;
    Some(format!("did you mean `{replacement}`?"))
}

/// The original error with a replacement, if that can be read.
fn replaced(error: &ParseError, replacement: &str) -> Option<ParseError> {
    Some(error.clone().help(did_you_mean(replacement)?))
}

/// An error about all of `text`, if the replacement can be read.
fn about_all(text: &str, message: &str, replacement: &str) -> Option<ParseError> {
    Some(ParseError::new(text, 0..text.len(), message).help(did_you_mean(replacement)?))
}

/// The text and, behind it, the zone with its space.
fn without_zone(text: &str) -> (&str, &str) {
    match text.rfind(' ') {
        Some(space)
            if text[space + 1..].eq_ignore_ascii_case("UTC")
                || zone_named(&text[space + 1..]).is_some() =>
        {
            text.split_at(space)
        }
        _ => (text, ""),
    }
}

fn empty(text: &str, error: &ParseError) -> Option<ParseError> {
    without_zone(text).0.trim().is_empty().then(|| {
        error
            .clone()
            .help("write a time such as `03:00`, a day and a time such as `Sun 04:00`, or `daily`")
    })
}

fn stray_spaces(text: &str, _: &ParseError) -> Option<ParseError> {
    let clean = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if clean == text {
        return None;
    }
    let at = if text.starts_with(char::is_whitespace) {
        0
    } else if text.ends_with(char::is_whitespace) {
        text.trim_end().len()
    } else {
        text.find("  ").map_or_else(
            || text.find(|c: char| c.is_whitespace() && c != ' '),
            |at| Some(at + 1),
        )?
    };
    let end = at
        + text[at..]
            .chars()
            .take_while(|c| c.is_whitespace())
            .map(char::len_utf8)
            .sum::<usize>();
    Some(ParseError::new(text, at..end, "unexpected white space").help(did_you_mean(&clean)?))
}

/// `0 3 * * *`
fn cron(text: &str, _: &ParseError) -> Option<ParseError> {
    let (body, zone) = without_zone(text);
    let fields = body.split_whitespace().collect::<Vec<_>>();
    let looks_like_cron = (fields.len() == 5 || fields.len() == 6)
        && fields.iter().all(|field| {
            field
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "*,-/?#".contains(c))
        })
        && fields[..fields.len() - 2]
            .iter()
            .all(|field| !field.contains(|c: char| c.is_ascii_alphabetic()));
    if !looks_like_cron {
        return None;
    }
    let message = "this is a line of cron, not a calendar expression";
    let error = ParseError::new(text, 0..body.len(), message);
    // Six fields start with the seconds.
    let (second, fields) = if fields.len() == 6 {
        (fields[0], &fields[1..])
    } else {
        ("0", &fields[..])
    };
    let [minute, hour, day, month, weekday] = fields else {
        return None;
    };
    if !matches!(*day, "*" | "?") && !matches!(*weekday, "*" | "?") {
        return Some(error.help(
            "cron runs on the day of the month or the weekday, OnCalendar only where both agree: write two schedules",
        ));
    }
    let replacement = (|| {
        let weekday = cron_weekdays(weekday)?;
        let date = format!("*-{}-{}", cron_field(month, 1)?, cron_field(day, 1)?);
        let mut time = format!(
            "{}:{}",
            padded(&cron_field(hour, 0)?),
            padded(&cron_field(minute, 0)?)
        );
        if second != "0" {
            time = format!("{time}:{}", padded(&cron_field(second, 0)?));
        }
        let date = if date == "*-*-*" {
            String::new()
        } else {
            format!("{date} ")
        };
        did_you_mean(&format!("{weekday}{date}{time}{zone}"))
    })();
    Some(error.help(replacement.unwrap_or_else(|| {
        "write the weekday, date and time, such as `Mon..Fri *-*-* 03:00`".to_owned()
    })))
}

/// A single digit gets its zero, so that the advice reads like a time.
fn padded(field: &str) -> String {
    match field.parse::<u8>() {
        Ok(number) => format!("{number:02}"),
        Err(_) => field.to_owned(),
    }
}

/// A cron list in the spelling of `OnCalendar=`; `first` is where `*/n` starts.
fn cron_field(field: &str, first: u32) -> Option<String> {
    if field == "?" {
        return Some("*".to_owned());
    }
    let items = field.split(',').map(|item| match item.strip_prefix("*/") {
        Some("1") => "*".to_owned(),
        Some(step) => format!("{first}/{step}"),
        None => cron_month_names(item).replacen('-', "..", 1),
    });
    let joined = items.collect::<Vec<_>>().join(",");
    joined
        .chars()
        .all(|c| c.is_ascii_digit() || "*,./".contains(c))
        .then_some(joined)
}

fn cron_month_names(item: &str) -> String {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let mut item = item.to_ascii_lowercase();
    for (index, month) in MONTHS.iter().enumerate() {
        item = item.replace(month, &(index + 1).to_string());
    }
    item
}

/// Cron's weekdays (0 and 7 are Sunday) with a space behind them, or nothing for every day.
fn cron_weekdays(field: &str) -> Option<String> {
    if matches!(field, "*" | "?") {
        return Some(String::new());
    }
    let day = |word: &str| -> Option<usize> {
        match word.parse::<usize>() {
            Ok(number) if number <= 7 => Some((number + 6) % 7),
            Ok(_) => None,
            Err(_) => weekday(word),
        }
    };
    let mut days = [false; 7];
    for item in field.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let (first, last) = (day(first)?, day(last)?);
        let mut index = first;
        days[index] = true;
        while index != last {
            index = (index + 1) % 7;
            days[index] = true;
        }
    }
    Some(format!("{} ", weekday_list(days)))
}

fn weekday_list(days: [bool; 7]) -> String {
    let names = (0..7)
        .filter(|day| days[*day])
        .map(|day| WEEKDAY_NAMES[day])
        .collect::<Vec<_>>()
        .join(",");
    // The printer of expressions folds runs into ranges.
    Expression::read(&names).map_or(names, |expression| expression.weekdays.to_string())
}

fn weekday(word: &str) -> Option<usize> {
    (0..7).find(|index| {
        word.eq_ignore_ascii_case(WEEKDAY_NAMES[*index])
            || word.eq_ignore_ascii_case(WEEKDAY_LONG_NAMES[*index])
    })
}

fn plain_words(text: &str, _: &ParseError) -> Option<ParseError> {
    let (body, zone) = without_zone(text);
    let lower = body.to_ascii_lowercase();
    if lower == "@reboot" {
        return Some(
            ParseError::new(text, 0..body.len(), "`@reboot` is not a point in time")
                .help("a calendar expression names times of day"),
        );
    }
    let (words, meaning) = PLAIN_WORDS.iter().find(|(words, _)| {
        lower
            .strip_prefix(words)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })?;
    let time = lower[words.len()..].trim_start().trim_start_matches("at ");
    let replacement = match (time, *meaning) {
        ("", meaning) => meaning.to_owned(),
        (time, "daily") => clock(time)?,
        (time, meaning) => format!("{meaning} {}", clock(time)?),
    };
    let message = format!(
        "`{}` is not part of a calendar expression",
        &body[..words.len()]
    );
    Some(
        ParseError::new(text, 0..words.len(), message)
            .help(did_you_mean(&format!("{replacement}{zone}"))?),
    )
}

fn misspelt_shorthand(text: &str, _: &ParseError) -> Option<ParseError> {
    let (body, zone) = without_zone(text);
    if body.len() < 4
        || !body.chars().all(|c| c.is_ascii_alphabetic() || c == '-')
        || weekday(body).is_some()
    {
        return None;
    }
    let lower = body.to_ascii_lowercase();
    // A misspelt long weekday (`Wendesday`) is nearer to its own name.
    let distance = |word: &&str| strsim::damerau_levenshtein(&lower, &word.to_ascii_lowercase());
    let nearest = SHORTHANDS
        .iter()
        .chain(&WEEKDAY_LONG_NAMES)
        .min_by_key(|word| distance(word))?;
    if distance(nearest) > 2 || !SHORTHANDS.contains(nearest) {
        return None;
    }
    let error = ParseError::new(text, 0..body.len(), format!("unknown shorthand `{body}`"));
    replaced(&error, &format!("{nearest}{zone}"))
}

/// `daily 03:00`
fn shorthand_with_time(text: &str, _: &ParseError) -> Option<ParseError> {
    let (body, zone) = without_zone(text);
    let (word, time) = body.split_once(' ')?;
    let date = match word.to_ascii_lowercase().as_str() {
        "daily" => "",
        "weekly" => "Mon ",
        "monthly" => "*-*-01 ",
        "quarterly" => "*-01,04,07,10-01 ",
        "semiannually" | "semi-annually" => "*-01,07-01 ",
        "yearly" | "annually" => "*-01-01 ",
        _ => return None,
    };
    let time = time.trim_start_matches("at ");
    let replacement = format!("{date}{}{zone}", clock(time)?);
    let message = format!("`{word}` stands alone: it says the time as well (00:00)");
    Some(ParseError::new(text, 0..word.len(), message).help(did_you_mean(&replacement)?))
}

/// `Fri..Mon`
fn wrapped_weekdays(text: &str, error: &ParseError) -> Option<ParseError> {
    let (first, last) = text.get(error.range.clone())?.split_once(['.', '-'])?;
    let (first, last) = (weekday(first)?, weekday(last.trim_start_matches('.'))?);
    if first <= last {
        return None;
    }
    let mut days = [false; 7];
    days[..=last].fill(true);
    days[first..].fill(true);
    let list = weekday_list(days);
    let (before, after) = (&text[..error.range.start], &text[error.range.end..]);
    replaced(error, &format!("{before}{list}{after}"))
}

/// `first Sunday 03:00`
fn nth_weekday(text: &str, _: &ParseError) -> Option<ParseError> {
    let (body, zone) = without_zone(text);
    let mut words = body
        .split(' ')
        .skip_while(|word| matches!(word.to_ascii_lowercase().as_str(), "every" | "the"));
    let which = words.next()?;
    let days = match which.to_ascii_lowercase().as_str() {
        "first" | "1st" => "*-*-01..07",
        "second" | "2nd" => "*-*-08..14",
        "third" | "3rd" => "*-*-15..21",
        "fourth" | "4th" => "*-*-22..28",
        "last" => "*-*~07/1",
        _ => return None,
    };
    let day = WEEKDAY_NAMES[weekday(words.next()?)?];
    let time = words
        .filter(|word| !word.eq_ignore_ascii_case("at"))
        .collect::<Vec<_>>()
        .join(" ");
    let time = if time.is_empty() {
        "00:00".to_owned()
    } else {
        clock(&time)?
    };
    let at = body.find(which)?;
    let error = ParseError::new(
        text,
        at..at + which.len(),
        format!("`{which}` is not part of a calendar expression"),
    );
    replaced(&error, &format!("{day} {days} {time}{zone}"))
}

/// `*/15`
fn cron_step(text: &str, _: &ParseError) -> Option<ParseError> {
    let (body, zone) = without_zone(text);
    let at = body.find("*/")?;
    let end = at
        + 2
        + body[at + 2..]
            .chars()
            .take_while(char::is_ascii_digit)
            .count();
    let error = ParseError::new(
        text,
        at..end,
        "a step needs a first value, which `*` is not",
    );
    let words = body.split(' ').map(|word| {
        if word.contains(':') {
            word.replace("*/", "0/")
        } else if word.contains('-') || word.contains('~') {
            word.replace("*/", "1/")
        } else {
            // Alone, Proxmox and cron mean minutes.
            word.replace("*/", "*:0/")
        }
    });
    replaced(
        &error,
        &format!("{}{zone}", words.collect::<Vec<_>>().join(" ")),
    )
}

/// A time of day in one of the usual spellings, as `HH:MM` with what may follow it.
fn clock(time: &str) -> Option<String> {
    let lower = time.trim().to_ascii_lowercase();
    match lower.as_str() {
        "midnight" => return Some("00:00".to_owned()),
        "noon" | "midday" => return Some("12:00".to_owned()),
        _ => {}
    }
    let compact = lower
        .replace(' ', "")
        .replace("a.m.", "am")
        .replace("p.m.", "pm")
        .replace("o'clock", "");
    let (digits, half) = match (compact.strip_suffix("am"), compact.strip_suffix("pm")) {
        (Some(digits), _) => (digits, Some(0)),
        (_, Some(digits)) => (digits, Some(12)),
        _ => (compact.trim_end_matches("uhr"), None),
    };
    let digits = digits.strip_suffix('h').unwrap_or(digits);
    let parts = match digits.split_once([':', '.', 'h']) {
        Some(parts) => parts,
        // `0300`
        None if digits.len() == 4 && half.is_none() && digits.is_ascii() => digits.split_at(2),
        None => (digits, "00"),
    };
    let (hour, minute) = (parts.0.parse::<u32>().ok()?, parts.1);
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    let plain = minute.len() == 2 && minute.bytes().all(|byte| byte.is_ascii_digit());
    (hour <= 24 && (plain || (half.is_none() && digits.contains(':'))))
        .then(|| format!("{:02}:{minute}", hour % 24))
}

/// Splits `Sun 3am` into what precedes the time (with its space) and the time.
fn before_time(body: &str) -> (&str, &str) {
    match body.split_once(' ') {
        // A weekday or a date stands before the time, at most both.
        Some((first, rest))
            if starts_with_weekday(first) || first.contains('-') || first.contains('~') =>
        {
            let (inner, time) = before_time(rest);
            (&body[..first.len() + 1 + inner.len()], time)
        }
        _ => ("", body),
    }
}

fn starts_with_weekday(word: &str) -> bool {
    word.split([',', '.', '-'])
        .next()
        .is_some_and(|word| weekday(word).is_some())
}

/// `Sun 3am`
fn twelve_hour_clock(text: &str, _: &ParseError) -> Option<ParseError> {
    let (body, zone) = without_zone(text);
    let (before, time) = before_time(body);
    let lower = time.trim_end_matches('.').to_ascii_lowercase();
    if !["am", "pm", "a.m", "p.m", "noon", "midnight"]
        .iter()
        .any(|half| lower.ends_with(half))
    {
        return None;
    }
    let error = ParseError::new(
        text,
        before.len()..body.len(),
        "a calendar expression has a 24-hour clock",
    );
    replaced(&error, &format!("{before}{}{zone}", clock(time)?))
}

/// `24:00`
fn midnight_as_24(text: &str, error: &ParseError) -> Option<ParseError> {
    let rest = text[error.range.end..].strip_prefix(":0")?;
    (text.get(error.range.clone()) == Some("24") && error.message.starts_with("hour") && rest.trim_start_matches('0').is_empty())
        .then(|| error.clone().help("midnight is `00:00` and belongs to the day that begins: for the end of Saturday write `Sun 00:00`"))
}

/// `Sun 4`, `0300`, `3h30`, `03.30`
fn clock_without_colon(text: &str, _: &ParseError) -> Option<ParseError> {
    let (body, zone) = without_zone(text);
    let (before, time) = before_time(body);
    if time.contains(':') || !time.starts_with(|c: char| c.is_ascii_digit()) || time.contains("..")
    {
        return None;
    }
    let error = ParseError::new(
        text,
        before.len()..body.len(),
        "a time is written with a colon",
    );
    let hours_as_span = time.ends_with('h') && time.parse::<TimeSpan>().is_ok();
    let replacement = format!("{before}{}{zone}", clock(time)?);
    if hours_as_span && before.is_empty() {
        // `6h` may be a time of day or a distance.
        let every = every_span(text, &error).and_then(|error| error.help);
        return Some(error.help(match every {
            Some(every) => format!("at that hour: `{replacement}`; {every}"),
            None => did_you_mean(&replacement)?,
        }));
    }
    replaced(&error, &replacement)
}

/// `2026-01-31T03:00`
fn iso_date_time(text: &str, _: &ParseError) -> Option<ParseError> {
    let at = text
        .find(['T', 't'])
        .filter(|at| text[..*at].ends_with(|c: char| c.is_ascii_digit()))?;
    let (date, time) = (&text[..at], &text[at + 1..]);
    let replacement = match time.strip_suffix(['Z', 'z']) {
        Some(time) => format!("{date} {time} UTC"),
        None => format!("{date} {time}"),
    };
    let error = ParseError::new(text, at..at + 1, "a space divides date and time");
    replaced(&error, &replacement)
}

/// `03:00 Sun`, `Berlin 03:00`
fn words_in_other_order(text: &str, _: &ParseError) -> Option<ParseError> {
    let (body, zone) = without_zone(text);
    let words = body.split(' ').collect::<Vec<_>>();
    if !(2..=3).contains(&words.len()) {
        return None;
    }
    let rank = |word: &str| {
        if starts_with_weekday(word) {
            0
        } else if word.contains(':') {
            2
        } else if zone_named(word).is_some() {
            3
        } else {
            1
        }
    };
    let mut sorted = words.clone();
    sorted.sort_by_key(|word| rank(word));
    if sorted == words {
        return None;
    }
    about_all(
        text,
        "the order is weekday, date, time, zone",
        &format!("{}{zone}", sorted.join(" ")),
    )
}

/// `15m`: a distance instead of times.
fn every_span(text: &str, _: &ParseError) -> Option<ParseError> {
    let (body, zone) = without_zone(text);
    let lower = body.to_ascii_lowercase();
    let written = lower.strip_prefix("every ").unwrap_or(&lower);
    let span = written
        .parse::<TimeSpan>()
        .ok()
        .filter(|_| !written.ends_with(|c: char| c.is_ascii_digit()))?;
    let message = "this is a time span; a calendar expression names times";
    let error = ParseError::new(text, 0..body.len(), message);
    let minutes = span.microseconds() / 60_000_000;
    let replacement = match minutes {
        1 => "minutely".to_owned(),
        2..60 if 60 % minutes == 0 => format!("*:0/{minutes}"),
        60 => "hourly".to_owned(),
        1440 => "daily".to_owned(),
        10080 => "weekly".to_owned(),
        61..1440 if 1440 % minutes == 0 && minutes % 60 == 0 => format!("0/{}:00", minutes / 60),
        _ => return Some(error.help("only times that are the same in every hour or day can be written, such as `*:0/15` or `0/6:00`")),
    };
    let replacement = format!("{replacement}{zone}");
    Expression::read(&replacement).ok()?;
    Some(error.help(format!("every {}: `{replacement}`", span.canonical())))
}

/// `Tues`, `Thurs 03:00`, `Sonday`
fn misspelt_weekday(text: &str) -> Option<ParseError> {
    let first = text.split([' ', ',']).next()?;
    let mut at = 0;
    for part in first.split("..") {
        if weekday(part).is_none()
            && part.len() >= 2
            && part.chars().all(|c| c.is_ascii_alphabetic())
        {
            let lower = part.to_ascii_lowercase();
            // `Tues` and `Mo` are beginnings or nearly so; a longer word may have two letters wrong.
            let distance = |index: &usize| {
                let long = WEEKDAY_LONG_NAMES[*index].to_ascii_lowercase();
                if long.starts_with(&lower) {
                    0
                } else {
                    strsim::damerau_levenshtein(&lower, &long)
                }
            };
            let nearest = (0..7).min_by_key(distance)?;
            if distance(&nearest) <= 2
                || lower.starts_with(&WEEKDAY_NAMES[nearest].to_ascii_lowercase())
            {
                let error = ParseError::new(
                    text,
                    at..at + part.len(),
                    format!("unknown weekday `{part}`"),
                );
                let (before, after) = (&text[..at], &text[at + part.len()..]);
                let name = WEEKDAY_NAMES[nearest];
                return replaced(&error, &format!("{before}{name}{after}"))
                    .or_else(|| Some(error.help(format!("did you mean `{name}`?"))));
            }
        }
        at += part.len() + 2;
    }
    None
}

/// `03:00 europe/berlin`, `03:00 CEST`, `03:00 +02:00`
fn unknown_zone(text: &str) -> Option<ParseError> {
    let (body, zone) = text.rsplit_once(' ')?;
    // Only where the rest is right is the last word the mistake.
    Expression::read(body).ok()?;
    // `Sun 25:00` is a wrong time, not a wrong zone.
    if zone.bytes().all(|b| b.is_ascii_digit() || b == b':') {
        return None;
    }
    let at = body.len() + 1;
    let error = ParseError::new(text, at..text.len(), format!("unknown time zone `{zone}`"));
    if zone.starts_with(['+', '-']) || zone.eq_ignore_ascii_case("Z") {
        return Some(error.help(match zone {
            "Z" | "z" | "+0" | "+00" | "+00:00" | "+0000" | "-00:00" => {
                format!("did you mean `{body} UTC`?")
            }
            _ => {
                "an offset is not a zone: write `UTC` or a name such as `Europe/Berlin`".to_owned()
            }
        }));
    }
    if zone.len() <= 5 && zone.chars().all(|c| c.is_ascii_uppercase()) {
        return Some(error.help("an abbreviation is taken only by machines in that zone: name the zone, such as `Europe/Berlin`, or leave it out for the host's own"));
    }
    if let Some(known) = nearest_zone(zone) {
        return replaced(&error, &format!("{body} {known}"));
    }
    Some(error.help("write `UTC`, a name of the IANA time zone database such as `Europe/Berlin`, or nothing for the host's own zone"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The help for `text`, which must be wrong.
    fn help(text: &str) -> String {
        let error = text.parse::<Expression>().expect_err(text);
        error
            .help
            .unwrap_or_else(|| format!("(no help: {})", error.message))
    }

    #[test]
    fn common_mistakes_get_a_replacement() {
        for (written, meant) in [
            // cron
            ("0 3 * * *", "03:00"),
            ("*/15 * * * *", "*:0/15"),
            ("30 2 * * 0", "Sun 02:30"),
            ("0 9-17 * * 1-5", "Mon..Fri 9..17:00"),
            ("0 0 1 */3 *", "*-1/3-1 00:00"),
            ("0 0 1 jan,jul ?", "*-1,7-1 00:00"),
            ("0 4 * * fri-mon", "Mon,Fri..Sun 04:00"),
            ("15 0 4 * * 6", "Sat 04:00:15"),
            ("0 3 * * * Europe/Berlin", "03:00 Europe/Berlin"),
            ("@daily", "daily"),
            // other spellings of the same thing
            ("Fri..Mon 03:00", "Mon,Fri..Sun 03:00"),
            ("*/15", "*:0/15"),
            ("*:*/15", "*:0/15"),
            ("*/2:00", "0/2:00"),
            ("*-*/3-01", "*-1/3-01"),
            ("3am", "03:00"),
            ("Sun 3:30 PM", "Sun 15:30"),
            ("12 am UTC", "00:00 UTC"),
            ("Mon..Fri noon", "Mon..Fri 12:00"),
            ("03", "03:00"),
            ("Sun 4", "Sun 04:00"),
            ("0330", "03:30"),
            ("03.30", "03:30"),
            ("Sun 3h30", "Sun 03:30"),
            ("2026-01-31T03:00Z", "2026-01-31 03:00 UTC"),
            ("03:00 Sun", "Sun 03:00"),
            ("Europe/Berlin 03:00", "03:00 Europe/Berlin"),
            ("daily 03:00", "03:00"),
            ("weekly at 4", "Mon 04:00"),
            ("monthly 04:00", "*-*-01 04:00"),
            ("every day at 3am", "03:00"),
            ("weekdays 22:00", "Mon..Fri 22:00"),
            ("first sunday 03:00", "Sun *-*-01..07 03:00"),
            ("last fri", "Fri *-*~07/1 00:00"),
            (" 03:00", "03:00"),
            ("Sun  03:00 ", "Sun 03:00"),
            ("dayly", "daily"),
            ("montly UTC", "monthly UTC"),
            ("Tues 03:00", "Tue 03:00"),
            ("Mo..Fridays 03:00", "Mon"),
            ("Wendesday", "Wed"),
            ("03:00 europe/berlin", "03:00 Europe/Berlin"),
            ("03:00 Europe/Berln", "03:00 Europe/Berlin"),
            ("03:00 Berlin", "03:00 Europe/Berlin"),
            ("03:00 Z", "03:00 UTC"),
        ] {
            assert_eq!(
                help(written),
                format!("did you mean `{meant}`?"),
                "{written}"
            );
        }
    }

    #[test]
    fn mistakes_without_one_meaning_are_explained() {
        assert!(help("0 3 1 * 1").contains("write two schedules"));
        assert!(help("Sun 24:00").contains("`00:00`"));
        assert_eq!(help("25:00"), "hours are 0 to 23");
        assert_eq!(help("15m"), "every 15min: `*:0/15`");
        assert_eq!(help("every 6h"), "every 6h: `0/6:00`");
        assert_eq!(help("6h"), "at that hour: `06:00`; every 6h: `0/6:00`");
        assert!(help("7min").contains("the same in every hour"));
        assert!(help("03:00 CEST").contains("abbreviation"));
        assert!(help("03:00 +02:00").contains("offset"));
        assert!(help("").contains("`03:00`"));
        assert!(help("@reboot").contains("times of day"));
    }

    #[test]
    fn the_place_of_a_better_explained_mistake_is_the_mistake() {
        for (text, range) in [
            ("Sun 3pm UTC", 4..7),
            ("03:00 europe/berlin", 6..19),
            ("Tues 03:00", 0..4),
            ("Mon..Frid 03:00", 5..9),
            ("Fri..Mon 03:00", 0..8),
            ("Sun  03:00 ", 10..11),
            ("*:*/15", 2..6),
        ] {
            assert_eq!(
                text.parse::<Expression>().expect_err(text).range,
                range,
                "{text}"
            );
        }
    }
}
