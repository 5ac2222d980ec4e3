use std::fmt;

use jiff::civil::Time;

use super::{SpecString, ValueError, spec_string};
use crate::diagnostics::Code;

/// Hours of every day, in local time: from one time up to, and without, another, which may be of the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoursOff {
    from: Time,
    to: Time,
}

impl HoursOff {
    /// Whether a time of the day is one of them.
    pub fn contains(self, time: Time) -> bool {
        if self.from < self.to {
            self.from <= time && time < self.to
        } else {
            self.from <= time || time < self.to
        }
    }
}

impl fmt::Display for HoursOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from.hour(),
            from.minute(),
            to.hour(),
            to.minute()
        )
    }
}

impl SpecString for HoursOff {
    const CODE: Code = Code::MOX0021;
    const WHAT: &'static str = "hours of the day, as `\"23:30-06:30\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let wrong = |help: &str| {
            ValueError::whole(
                text,
                format!("`{}` are no hours of the day", text.escape_debug()),
            )
            .help(help)
        };
        let form = "write from when to when the host is off: `\"23:30-06:30\"`";
        let time = |text: &str| -> Option<Time> {
            let (hour, minute) = text.trim().split_once(':')?;
            let digits = |text: &str| {
                let plain =
                    (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
                plain.then(|| text.parse::<i8>().ok()).flatten()
            };
            Time::new(digits(hour)?, digits(minute)?, 0, 0).ok()
        };
        let (from, to) = text.split_once('-').ok_or_else(|| wrong(form))?;
        match (time(from), time(to)) {
            (Some(from), Some(to)) if from != to => Ok(Self { from, to }),
            (Some(_), Some(_)) => Err(wrong(
                "a host that is always off runs nothing: name two times",
            )),
            (None, _) | (_, None) => Err(wrong(form)),
        }
    }

    fn examples() -> &'static [&'static str] {
        &["23:30-06:30"]
    }
}
spec_string!(HoursOff, "HoursOff");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_goes_past_midnight() {
        let night: HoursOff = "23:30-6:30".parse().expect("hours");
        assert_eq!(night.to_string(), "23:30-06:30");
        let at = |hour, minute| Time::new(hour, minute, 0, 0).expect("a time");
        for (time, off) in [
            (at(23, 29), false),
            (at(23, 30), true),
            (at(0, 0), true),
            (at(6, 29), true),
            (at(6, 30), false),
            (at(12, 0), false),
        ] {
            assert_eq!(night.contains(time), off, "{time}");
        }
        let noon: HoursOff = "12:00-13:00".parse().expect("hours");
        assert!(noon.contains(at(12, 59)) && !noon.contains(at(13, 0)) && !noon.contains(at(0, 0)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "23:30",
            "24:00-06:00",
            "23:60-06:00",
            "6-7",
            "+1:00-2:00",
            "06:00-06:00",
            "a-b",
        ] {
            assert!(text.parse::<HoursOff>().is_err(), "{text}");
        }
    }
}
