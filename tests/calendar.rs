//! Calendars and time spans against the real `systemd-analyze`.

use std::collections::BTreeMap;
use std::process::Command;

use jiff::Timestamp;
use moxc::calendar::{Elapse, Expression, TimeSpan, zone_named};

/// Cuts a table of several expressions into one table each; a refused expression has an empty one.
fn tables(output: &str, count: usize) -> Vec<Vec<String>> {
    let mut tables = vec![Vec::new()];
    for line in output.lines() {
        if line.is_empty() {
            tables.push(Vec::new());
        } else if let Some(table) = tables.last_mut() {
            table.push(line.trim().to_owned());
        }
    }
    assert!(
        tables.len() <= count,
        "more tables than expressions:\n{output}"
    );
    tables.resize(count, Vec::new());
    tables
}

/// What `systemd-analyze calendar` says about the form of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Refused,
    Normalised(String),
    /// It is valid, but its next elapse cannot be calculated and nothing is printed.
    Stuck,
}

/// Asks systemd about many expressions with one call.
fn normal_forms(expressions: &[String]) -> Vec<Verdict> {
    let output = Command::new("systemd-analyze")
        .args(["calendar", "--base-time=2026-01-01 00:00:00", "--"])
        .args(expressions)
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .output()
        .expect("systemd-analyze is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    tables(&String::from_utf8_lossy(&output.stdout), expressions.len())
        .into_iter()
        .zip(expressions)
        .map(|(table, text)| {
            let form = table
                .iter()
                .find_map(|line| line.strip_prefix("Normalized form: "));
            match form {
                Some(form) => Verdict::Normalised(form.to_owned()),
                None if errors.contains(&format!("next elapse for '{text}'")) => Verdict::Stuck,
                None => Verdict::Refused,
            }
        })
        .collect()
}

/// A small generator of numbers, the same ones on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let index = self.below(choices.len() as u64);
        choices[usize::try_from(index).expect("an index is small")]
    }
}

/// A list of numbers around `from..=to`, sometimes outside.
fn field(random: &mut Random, from: u64, to: u64, fractions: bool) -> String {
    if random.one_in(3) {
        return "*".to_owned();
    }
    let number = |random: &mut Random| {
        let value = match random.below(40) {
            0 => to + 1,
            1 => from.saturating_sub(1),
            2 => to,
            3 => from,
            _ => from + random.below(to - from + 1),
        };
        let mut text = if random.one_in(4) {
            format!("{value:02}")
        } else {
            value.to_string()
        };
        if fractions && random.one_in(4) {
            text = format!("{text}.{}", random.below(20_000_000));
        }
        text
    };
    let mut items = Vec::new();
    let longest = if random.one_in(3) { 4 } else { 1 };
    for _ in 0..=random.below(longest) {
        let mut item = number(random);
        if random.one_in(4) {
            item = format!("{item}..{}", number(random));
        }
        if random.one_in(4) {
            item = format!(
                "{item}/{}",
                if random.one_in(10) {
                    number(random)
                } else {
                    (1 + random.below(12)).to_string()
                }
            );
        }
        items.push(item);
    }
    items.join(",")
}

fn weekdays(random: &mut Random) -> String {
    const NAMES: [&str; 16] = [
        "Mon",
        "tue",
        "Wed",
        "THU",
        "fri",
        "Sat",
        "Sun",
        "Monday",
        "tuesday",
        "Wednesday",
        "Thursday",
        "FRIDAY",
        "Saturday",
        "sunday",
        "Tues",
        "xyz",
    ];
    let name = |random: &mut Random| {
        let known = if random.one_in(30) { 16 } else { 14 };
        NAMES[usize::try_from(random.below(known)).expect("an index is small")]
    };
    let mut text = String::new();
    for item in 0..=random.below(3) {
        if item > 0 {
            text.push_str(random.pick(&[",", ",", ",", ",", ", "]));
        }
        text.push_str(name(random));
        if random.one_in(3) {
            text.push_str(random.pick(&["..", "..", "..", "-", "."]));
            text.push_str(name(random));
        }
    }
    text.push_str(random.pick(&["", "", "", "", ","]));
    text
}

/// An expression that is right more often than not.
fn expression(random: &mut Random) -> String {
    let mut words = Vec::new();
    if random.one_in(15) {
        words.push(
            random
                .pick(&[
                    "daily",
                    "Weekly",
                    "monthly",
                    "hourly",
                    "minutely",
                    "yearly",
                    "anually",
                    "quarterly",
                    "bi-annually",
                    "dail",
                ])
                .to_owned(),
        );
    } else {
        if random.one_in(3) {
            words.push(weekdays(random));
        }
        if random.one_in(2) {
            let dash = |random: &mut Random| if random.one_in(4) { "~" } else { "-" };
            let mut date = String::new();
            if random.one_in(2) {
                let years = if random.one_in(5) {
                    field(random, 0, 99, false)
                } else {
                    field(random, 2025, 2040, false)
                };
                date = format!("{years}{}", if random.one_in(20) { "~" } else { "-" });
            }
            let (month, day) = (field(random, 1, 12, false), field(random, 1, 31, false));
            date = format!("{date}{month}{}{day}", dash(random));
            words.push(date);
        }
        if !random.one_in(4) {
            let (hour, minute) = (field(random, 0, 23, false), field(random, 0, 59, false));
            let mut time = format!("{hour}:{minute}");
            if random.one_in(3) {
                time = format!("{time}:{}", field(random, 0, 59, true));
            }
            words.push(time);
        }
        if random.one_in(60) {
            words = vec![format!("@{}", random.below(9_000_000_000))];
        }
    }
    if random.one_in(5) {
        words.push(
            random
                .pick(&[
                    "UTC",
                    "utc",
                    "Europe/Berlin",
                    "America/New_York",
                    "Asia/Kolkata",
                    "Etc/GMT+5",
                    "europe/berlin",
                    "CEST",
                    "Mars/Base",
                ])
                .to_owned(),
        );
    }
    let mut text = words.join(if random.one_in(20) { "  " } else { " " });
    // One wrong character.
    if random.one_in(12) && !text.is_empty() {
        let at = usize::try_from(random.below(text.len() as u64)).expect("an index is small");
        text.replace_range(
            at..=at,
            random.pick(&["", "*", "/", ".", ":", "-", "~", ",", " ", "0", "x", "+"]),
        );
    }
    text
}

#[test]
#[ignore = "needs systemd-analyze; run by tests/run"]
fn normal_forms_and_refusals_are_systemds() {
    let mut random = Random(0x6d6f_7863);
    let mut valid = 0;
    let mut differences = Vec::new();
    for _ in 0..20 {
        let batch = (0..500)
            .map(|_| expression(&mut random))
            .collect::<Vec<_>>();
        for (text, theirs) in batch.iter().zip(normal_forms(&batch)) {
            let ours = text
                .parse::<Expression>()
                .ok()
                .map(|expression| expression.to_string());
            valid += usize::from(ours.is_some());
            let same = match (&ours, &theirs) {
                (Some(ours), Verdict::Normalised(theirs)) => ours == theirs,
                (Some(_), Verdict::Stuck) | (None, Verdict::Refused) => true,
                (Some(_), Verdict::Refused) | (None, Verdict::Normalised(_) | Verdict::Stuck) => {
                    false
                }
            };
            if !same {
                differences.push(format!("{text:?}: ours {ours:?}, systemd's {theirs:?}"));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(
        (2_500..9_500).contains(&valid),
        "the generator is out of balance: {valid} of 10000 are valid"
    );
}

#[test]
#[ignore = "needs systemd-analyze; run by tests/run"]
fn every_replacement_offered_is_taken_by_systemd() {
    let mut random = Random(0x6164_7669);
    let mut offered = BTreeMap::new();
    while offered.len() < 400 {
        let text = expression(&mut random);
        let Err(error) = text.parse::<Expression>() else {
            continue;
        };
        let Some(help) = error.help else { continue };
        if let Some(replacement) = help
            .strip_prefix("did you mean `")
            .and_then(|rest| rest.strip_suffix("`?"))
            && replacement.contains([':', '-', '~'])
        {
            offered.insert(replacement.to_owned(), text);
        }
    }
    let replacements = offered.keys().cloned().collect::<Vec<_>>();
    for (replacement, verdict) in replacements.iter().zip(normal_forms(&replacements)) {
        assert!(
            verdict != Verdict::Refused,
            "offered `{replacement}` for `{}`",
            offered[replacement]
        );
    }
}

#[test]
#[ignore = "needs systemd-analyze; run by tests/run"]
fn time_spans_are_systemds() {
    const UNITS: [&str; 34] = [
        "usec", "us", "µs", "msec", "ms", "seconds", "second", "sec", "s", "minutes", "minute",
        "min", "m", "hours", "hour", "hr", "h", "days", "day", "d", "weeks", "week", "w", "months",
        "month", "M", "years", "year", "y", "", "", "mins", "H", "ns",
    ];
    let mut random = Random(0x7370_616e);
    let mut valid = 0;
    for _ in 0..8 {
        let batch = (0..250)
            .map(|_| {
                let mut text = String::new();
                for _ in 0..=random.below(3) {
                    let shift = random.below(60);
                    text.push_str(random.pick(&["", "", "", "", "", "+", "-"]));
                    text.push_str(&((random.below(1 << 32) << 31) >> shift).to_string());
                    if random.one_in(4) {
                        text.push('.');
                        text.push_str(&random.below(100_000).to_string());
                    }
                    text.push_str(random.pick(&["", "", " "]));
                    text.push_str(random.pick(&UNITS));
                    text.push_str(random.pick(&["", " ", " ", "\t", ","]));
                }
                if random.one_in(50) {
                    random
                        .pick(&["infinity", " infinity ", "infinity 5", "5 infinity"])
                        .to_owned()
                } else {
                    text
                }
            })
            .collect::<Vec<_>>();
        // The tool stops at the first span that it refuses: start again behind it.
        let mut answers = Vec::new();
        while answers.len() < batch.len() {
            let output = Command::new("systemd-analyze")
                .args(["timespan", "--"])
                .args(&batch[answers.len()..])
                .env("LC_ALL", "C.UTF-8")
                .output()
                .expect("systemd-analyze is installed");
            let said = tables(&String::from_utf8_lossy(&output.stdout), batch.len() + 1);
            let answered = said.iter().take_while(|table| !table.is_empty()).count();
            answers.extend(said.into_iter().take(answered));
            if !output.status.success() {
                answers.push(Vec::new());
            }
        }
        for (text, answer) in batch.iter().zip(answers) {
            let value = |label: &str| {
                answer
                    .iter()
                    .find_map(|line| line.strip_prefix(label))
                    .map(|value| value.trim().to_owned())
            };
            let ours = text.parse::<TimeSpan>().ok();
            valid += usize::from(ours.is_some());
            assert_eq!(
                ours.as_ref().map(|span| span.microseconds().to_string()),
                value("μs:"),
                "{text:?}"
            );
            assert_eq!(
                ours.as_ref().map(TimeSpan::canonical),
                value("Human:"),
                "{text:?}"
            );
        }
    }
    assert!(
        (300..1_800).contains(&valid),
        "the generator is out of balance: {valid} of 2000 are valid"
    );
}

/// What `systemd-analyze calendar --iterations` says about the elapses of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Elapses {
    /// Whole seconds, as the tool prints them.
    At(Vec<String>),
    Stuck,
}

const ITERATIONS: usize = 6;

/// Asks systemd when many expressions elapse after `base` on a machine in `zone`.
fn elapses(expressions: &[String], base: i64, zone: &str) -> Vec<Elapses> {
    let output = Command::new("systemd-analyze")
        .arg("calendar")
        .arg(format!("--iterations={ITERATIONS}"))
        .arg(format!("--base-time=@{base}"))
        .arg("--")
        .args(expressions)
        .env("TZ", zone)
        .env("LC_ALL", "C")
        .output()
        .expect("systemd-analyze is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    tables(&String::from_utf8_lossy(&output.stdout), expressions.len())
        .into_iter()
        .zip(expressions)
        .map(|(table, text)| {
            if errors.contains(&format!("next elapse for '{text}'")) {
                return Elapses::Stuck;
            }
            assert!(!table.is_empty(), "systemd refuses {text:?}:\n{errors}");
            let utc = table.iter().filter_map(|line| {
                let (label, value) = line.split_once(": ")?;
                let wanted = if zone == "UTC" {
                    label.starts_with("Next elapse") || label.starts_with("Iter.")
                } else {
                    label == "(in UTC)"
                };
                // `Sun 2026-01-04 03:00:00 UTC`
                let time = value.trim().strip_suffix(" UTC")?.get(4..)?;
                wanted.then(|| time.to_owned())
            });
            Elapses::At(utc.collect())
        })
        .collect()
}

/// The same from our own calculation.
fn our_elapses(expression: &Expression, base: i64, zone: &str) -> Elapses {
    let zone = zone_named(zone).expect("a known zone");
    let schedule = expression.schedule(zone.time_zone());
    let mut last = Timestamp::from_second(base).expect("an instant of this century");
    let mut times = Vec::new();
    for _ in 0..ITERATIONS {
        match schedule.next_after(last) {
            Elapse::At(next) => {
                times.push(next.strftime("%Y-%m-%d %H:%M:%S").to_string());
                last = next;
            }
            Elapse::Never => break,
            Elapse::Stuck => return Elapses::Stuck,
        }
    }
    Elapses::At(times)
}

const ZONES: [&str; 12] = [
    "Europe/Berlin",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Asia/Kolkata",
    "UTC",
    "Australia/Sydney",
];

/// An instant from 2024 to 2036, often in the hours around a change of the clock.
fn base(random: &mut Random, zone: &str) -> i64 {
    let from = 1_704_067_200 + i64::try_from(random.below(12 * 31_557_600)).expect("below 2^63");
    let instant = Timestamp::from_second(from).expect("an instant of this century");
    let zone = zone_named(zone).expect("a known zone");
    match zone.time_zone().following(instant).next() {
        Some(change) if !random.one_in(3) => {
            let around = i64::try_from(random.below(200_000)).expect("below 2^63");
            change.timestamp().as_second() - 140_000 + around
        }
        _ => from,
    }
}

fn assert_elapses_agree(
    random: &mut Random,
    calls: usize,
    mut text: impl FnMut(&mut Random) -> String,
) {
    let mut differences = Vec::new();
    let (mut compared, mut stuck) = (0, 0);
    for _ in 0..calls {
        let zone = random.pick(&ZONES);
        let base = base(random, zone);
        let mut batch = Vec::new();
        while batch.len() < 60 {
            let text = text(random);
            if let Ok(expression) = text.parse::<Expression>() {
                batch.push((text, expression));
            }
        }
        let texts = batch
            .iter()
            .map(|(text, _)| text.clone())
            .collect::<Vec<_>>();
        for ((text, expression), theirs) in batch.iter().zip(elapses(&texts, base, zone)) {
            let ours = our_elapses(expression, base, zone);
            compared += 1;
            stuck += usize::from(ours == Elapses::Stuck);
            if ours != theirs {
                differences.push(format!(
                    "TZ={zone} --base-time=@{base} {text:?}:\n  ours      {ours:?}\n  systemd's {theirs:?}"
                ));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {compared} differ ({stuck} stuck):\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
#[ignore = "needs systemd-analyze; run by tests/run"]
fn elapses_are_systemds() {
    assert_elapses_agree(&mut Random(0x656c_6170), 100, expression);
}

#[test]
#[ignore = "needs systemd-analyze; run by tests/run"]
fn elapses_in_the_nights_of_clock_changes_are_systemds() {
    assert_elapses_agree(&mut Random(0x6473_7421), 100, |random| {
        let date = random.pick(&[
            "",
            "",
            "",
            "",
            "Sun ",
            "*-*~07/1 ",
            "Sun *-*~07/1 ",
            "*-*-25..31 ",
            "Mon,Sun ",
        ]);
        let hour = random.pick(&[
            "*", "00", "01", "02", "03", "0..3", "0/2", "1,2", "2,3", "1/3", "0,23", "2/5", "5/13",
        ]);
        let minute = random.pick(&["*", "00", "15", "30", "59", "0/20", "0,30", "15/30", "7/40"]);
        let second = random.pick(&["", "", "", ":00", ":30", ":*", ":0/7.5", ":15,45.5"]);
        let zone = random.pick(&[
            "",
            "",
            "",
            "",
            " UTC",
            " Europe/Berlin",
            " America/New_York",
            " CET",
            " IST",
        ]);
        format!("{date}{hour}:{minute}{second}{zone}")
    });
}
