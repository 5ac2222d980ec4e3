//! What runs when: schedules that never run, that meet, and what they keep.

mod kept;
mod meetings;

use std::collections::HashMap;
use std::rc::Rc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub(super) use self::meetings::backups_of_hosts;
use crate::calendar::{ClockChangeKind, Elapse, Schedule as Times};
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::tasks::Work;
use crate::facts::times::{START, zone_of};
use crate::facts::{Facts, backups};
use crate::model::{Host, Id, Schedule};

/// How far: more than a year, so that every change of the clock is in it.
const DAYS: i64 = 400;

/// How many runs come in that time where there is one a day; the clock may give one more on each end.
const DAILY: usize = 402;

/// Past so many starts in 400 days (every half hour) a schedule is frequent: it meets everything, and that is no fault.
const FREQUENT: usize = 19_200;

/// A start, in seconds after [`START`].
type Moment = u32;

/// A schedule and its starts.
struct Timed<'a> {
    id: Id<Schedule>,
    schedule: &'a Schedule,
    /// What follows from it.
    work: &'a Work<'a>,
    /// No more than are looked at.
    starts: Rc<[Moment]>,
}

/// The starts of what runs, worked out once for each expression: many schedules may share one, and a year of them is long.
struct Starts {
    zone: TimeZone,
    known: HashMap<(String, usize), Rc<[Moment]>>,
}

impl Starts {
    fn of(&mut self, schedule: &Schedule) -> Rc<[Moment]> {
        let most = most_starts(schedule);
        let key = (schedule.on.as_str().to_owned(), most);
        let starts = self.known.entry(key).or_insert_with(|| {
            let times = schedule.on.runs().schedule(&self.zone);
            moments(&times, most)
        });
        Rc::clone(starts)
    }
}

/// The first of a schedule's starts.
fn moments(times: &Times, most: usize) -> Rc<[Moment]> {
    times
        .between(START, end())
        .take(most)
        .map(|at| Moment::try_from(at.duration_since(START).as_secs()).unwrap_or(Moment::MAX))
        .collect()
}

/// How many starts of a schedule are looked at: all, unless it is frequent.
fn most_starts(schedule: &Schedule) -> usize {
    if schedule.snapshots().is_some() {
        // Of snapshots only a row of few counts.
        meetings::FEW_SNAPSHOTS + 1
    } else {
        FREQUENT + 1
    }
}

/// What moxc has units of beside those of schedules, `moxc-NAME.service`: the network that waits to be confirmed, a guest that goes
/// back, a machine that an update has restarted.
const OWN_UNITS: [&str; 3] = ["network-back", "rollback", "update-after-restart"];

/// Reports schedules whose unit would be another one of moxc's own. A backup is a job of Proxmox VE, and has none.
fn units_twice(host: &Host, sink: &mut Sink) {
    let schedules = host.schedules.values();
    let taken = schedules.filter(|schedule| {
        schedule.backup().is_none() && OWN_UNITS.contains(&schedule.name.as_str())
    });
    for schedule in taken {
        sink.push(
            Diagnostic::new(
                Code::MOX0103,
                schedule.name.span,
                format!("`moxc-{}.service` is a unit of moxc's own", *schedule.name),
            )
            .label("the schedule's unit would be the same")
            .help("give the schedule another name"),
        );
    }
}

/// What a timer of systemd has, and a backup job of Proxmox VE has not.
fn unknown_to_jobs(schedule: &Schedule, sink: &mut Sink) {
    let delay = schedule.random_delay.as_ref().map(|delay| delay.span);
    let timeout = schedule.timeout.as_ref().map(|timeout| timeout.span);
    for (key, place) in [("random-delay", delay), ("timeout", timeout)] {
        let Some(place) = place else { continue };
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                place,
                format!("a backup job of Proxmox VE has no `{key}`"),
            )
            .also(schedule.task_span, "runs as such a job")
            .help("remove the key"),
        );
    }
}

pub(super) fn check(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    units_twice(host, sink);
    for schedule in host.schedules.values().filter(|s| s.backup().is_some()) {
        unknown_to_jobs(schedule, sink);
    }
    let zone = zone_of(host);
    let mut starts = Starts {
        zone: zone.clone(),
        known: HashMap::new(),
    };
    let mut timed = Vec::new();
    for (id, schedule) in host
        .schedules
        .iter()
        .filter(|(_, s)| *s.enabled && !s.on.is_missing())
    {
        let written = schedule.on.expression().schedule(&zone);
        if !elapses(schedule, &written, end(), sink) {
            continue;
        }
        let times = schedule.on.runs().schedule(&zone);
        let starts = starts.of(schedule);
        clock_changes(schedule, &times, starts.len(), sink);
        asleep(host, schedule, &times, &zone, sink);
        // A job that makes no backups here is in nobody's way.
        if schedule.backup().is_some() && backups::running(host, schedule).is_none() {
            continue;
        }
        timed.push(Timed {
            id,
            schedule,
            work: facts.tasks.of_schedule(id),
            starts,
        });
    }
    meetings::check(facts, &timed, &zone, sink);
    kept::check(facts, sink);
    for (id, schedule) in host.schedules.iter() {
        about_nothing(host, schedule, facts.tasks.of_schedule(id), sink);
    }
}

/// How many guests one message shows the place of.
const MOST_PLACES: usize = 4;

/// A schedule for all that it can be about, of which there is nothing.
fn about_nothing(host: &Host, schedule: &Schedule, work: &Work<'_>, sink: &mut Sink) {
    let guests = schedule.task.guests();
    // Of names, each that does not fit has been told.
    let is_of_all = guests.is_none_or(|guests| guests.all);
    if !host.complete || !*schedule.enabled || !is_of_all || !work.about.is_empty() {
        return;
    }
    let noun = work.about.noun();
    let of_windows =
        schedule.windows_update().is_some() || schedule.windows_maintenance().is_some();
    let why = if schedule.backup().is_some() {
        "no guest is left to back up".to_owned()
    } else if schedule.nixos_update().is_some() {
        "no guest runs NixOS".to_owned()
    } else if of_windows {
        "no guest runs Windows".to_owned()
    } else if schedule.trim().is_some() && !host.storage.pools.is_empty() {
        "no pool is on flash".to_owned()
    } else {
        format!("the host has no {noun}")
    };
    let help = if schedule.backup().is_none() {
        "remove it until there is one, or switch it off: `enabled = false`"
    } else if host.guests.is_empty() {
        // There may be some that the spec does not know: the job is about these.
        return;
    } else {
        "take a guest out of `exclude`, remove a `backup = false`, or switch the job off: `enabled = false`"
    };
    let written = guests.filter(|guests| guests.is_written());
    let mut diagnostic = Diagnostic::new(
        Code::MOX0743,
        written.map_or(schedule.name.span, |guests| guests.span),
        format!("`{}` is about no {noun}", schedule.name.value),
    )
    .label(why);
    if let Some(task) = schedule.backup() {
        let out = task.exclude.iter().map(|guest| (guest.span, guest.value));
        let own = host.guests.iter().filter(|(_, guest)| !*guest.backup);
        let own = own.map(|(id, guest)| (guest.backup.span, id));
        for (place, id) in out.chain(own).take(MOST_PLACES) {
            let name = &host.guests[id].name.value;
            diagnostic = diagnostic.also(place, format!("`{name}` is left out"));
        }
    }
    sink.push(diagnostic.help(help));
}

/// Whether a schedule runs at all.
fn elapses(schedule: &Schedule, times: &Times, end: Timestamp, sink: &mut Sink) -> bool {
    if let Some(last) = times.stuck_after(START, end) {
        sink.push(
            Diagnostic::new(
                Code::MOX0702,
                schedule.on.span,
                format!(
                    "the timer of `{}` fails and stays failed",
                    schedule.name.value
                ),
            )
            .note(format!(
                "after {last} systemd's calculation of the next start does not come to an end"
            ))
            .help("write the expression without a step that reaches past the end of its field"),
        );
        return false;
    }
    if times.next_after(START) == Elapse::Never {
        sink.push(
            Diagnostic::new(
                Code::MOX0701,
                schedule.on.span,
                format!("`{}` never runs", schedule.name.value),
            )
            .label("no such date comes")
            .help("check the date; or switch the schedule off: `enabled = false`"),
        );
        return false;
    }
    true
}

/// Wall times that a night in spring leaves out, and one in autumn doubles.
fn clock_changes(schedule: &Schedule, times: &Times, starts: usize, sink: &mut Sink) {
    // What runs several times a day loses or repeats one of many.
    if starts > DAILY {
        return;
    }
    let (mut dates, mut harmless) = (Vec::new(), Vec::new());
    for change in times.clock_changes(START, end()) {
        let date = change.first.date();
        match change.kind {
            ClockChangeKind::Skipped if change.elapses_that_day == 0 => {
                dates.push(format!("{date}: the hour is left out, and the run with it"));
            }
            ClockChangeKind::Skipped => dates.push(format!(
                "{date}: the hour is left out, the run comes at another time"
            )),
            ClockChangeKind::Doubled if change.elapses > 1 => {
                dates.push(format!("{date}: the hour comes twice, and so does the run"));
            }
            // A timer of systemd runs once in the doubled hour.
            ClockChangeKind::Doubled if schedule.backup().is_none() => {
                harmless.push(format!("{date}: the hour comes twice, the run once"));
            }
            ClockChangeKind::Doubled => {}
        }
    }
    if dates.is_empty() {
        return;
    }
    dates.extend(harmless);
    dates.sort();
    let mut diagnostic = Diagnostic::new(
        Code::MOX0703,
        schedule.on.span,
        format!(
            "`{}` runs in the hour that the clock changes in",
            schedule.name.value
        ),
    );
    for date in dates {
        diagnostic = diagnostic.note(date);
    }
    sink.push(diagnostic.help(format!(
        "choose a time before 02:00 or after 03:00, or give it in UTC: `\"{} UTC\"`",
        schedule.on.as_str()
    )));
}

/// A run that is not made up for, at a time at which the host is off.
fn asleep(host: &Host, schedule: &Schedule, times: &Times, zone: &TimeZone, sink: &mut Sink) {
    let Some(off) = host.powered_off.filter(|_| !*schedule.persistent) else {
        return;
    };
    let mut starts = times.between(START, end()).peekable();
    let sleeps = |start: Timestamp| off.contains(start.to_zoned(zone.clone()).time());
    if starts.peek().is_none() || !starts.all(sleeps) {
        return;
    }
    sink.push(
            Diagnostic::new(
                Code::MOX0713,
                schedule.on.span,
                format!("`{}` never runs: the host is off at that time", schedule.name.value),
            )
            .also(off.span, "off")
            .also(schedule.persistent.span, "a run that is missed is not made up for")
            .help("choose a time at which the host is on, or remove `persistent = false`: then the run comes when the host is back"),
    );
}

/// The end of the days that are looked at.
fn end() -> Timestamp {
    START
        .checked_add(SignedDuration::from_hours(24 * DAYS))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{host, host_of, told};
    use super::*;

    /// `on` for a trim in `zone`: the notes of the warning, if there is one.
    fn clock(zone: &str, on: &str) -> Vec<String> {
        let host = host(&format!(
            "[schedules.trim]\ntask = \"zfs-trim\"\non = \"{on}\"\npools = [\"rpool\"]\n"
        ));
        let host = crate::model::Host {
            timezone: crate::model::Setting::written(
                zone.parse().expect("a zone"),
                host.timezone.span,
            ),
            ..host
        };
        let mut found = told(&host, Code::MOX0703);
        found.pop().map(|(_, notes)| notes).unwrap_or_default()
    }

    /// The dates are those of the IANA database: the United States change on the second Sunday of March and the first of
    /// November, the European Union on the last Sundays of March and October, Lord Howe by half an hour.
    #[test]
    fn both_dates_of_a_clock_change_are_told() {
        assert_eq!(
            clock("Europe/Berlin", "02:30"),
            [
                "2027-03-28: the hour is left out, and the run with it",
                "2027-10-31: the hour comes twice, the run once"
            ]
        );
        assert_eq!(
            clock("America/New_York", "02:15"),
            ["2027-03-14: the hour is left out, and the run with it"]
        );
        assert_eq!(
            clock("Australia/Lord_Howe", "02:15"),
            ["2027-10-03: the hour is left out, and the run with it"]
        );
        for (zone, on) in [
            ("Europe/Berlin", "01:59"),
            ("Europe/Berlin", "03:00"),
            ("Europe/Berlin", "02:30 UTC"),
            ("Asia/Tokyo", "02:30"),
            // Of many runs a day one more or less is nothing.
            ("Europe/Berlin", "hourly"),
            // Never on a Sunday.
            ("Europe/Berlin", "Mon..Sat 02:30"),
        ] {
            assert_eq!(clock(zone, on), [""; 0], "{zone} {on}");
        }
    }

    #[test]
    fn a_host_that_never_sleeps_misses_nothing() {
        let host = host_of(
            "[host]\nname = \"a\"\nrelease = \"9.2\"\ntimezone = \"UTC\"\n\
             [schedules.m]\ntask = \"proxmox-maintenance\"\non = \"02:00\"\npersistent = false\n",
        );
        assert_eq!(told(&host, Code::MOX0713), []);
    }
}
