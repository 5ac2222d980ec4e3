//! What runs when: schedules that never run, that meet, and what they keep.
//!
//! How long a run takes is not known: it hangs on what is in the disks, not on their size. So two tasks are held against
//! each other by their starts and by how long a run [may take](may_run): its `timeout` where the spec gives one, else an
//! estimate by its kind.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::calendar::{ClockChangeKind, Elapse, Schedule as Times, zone_named};
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::space::pool_offers;
use crate::facts::times::{START, reach, zone_of};
use crate::model::{
    BackupRehearsal, ExternalPlace, Guest, GuestKind, Host, Id, Keep, MountSource,
    NixosFlakeUpdate, Placement, Schedule, StoreRef, Task, TaskGuests, WindowsUpdate,
};
use crate::source::Spanned;
use crate::value::{ByteSize, Reboot};

/// How far: more than a year, so that every change of the clock is in it.
const DAYS: i64 = 400;

/// A schedule and its starts.
struct Timed<'a> {
    schedule: &'a Schedule,
    /// At most the first 20,000; a task of every minute has no day of its own that others could meet.
    starts: Vec<Timestamp>,
}

/// Past so many starts in 400 days (every half hour) a schedule is frequent: it meets everything, and that is no fault.
const FREQUENT: usize = 19_200;

pub(super) fn check(host: &Host, sink: &mut Sink) {
    let zone = zone_of(host);
    let end = end();
    let mut timed = Vec::new();
    for schedule in host
        .schedules
        .values()
        .filter(|s| *s.enabled && !s.on.is_missing())
    {
        let times = schedule.on.expression().schedule(&zone);
        if !elapses(schedule, &times, end, sink) {
            continue;
        }
        let starts: Vec<_> = times.between(START, end).take(FREQUENT + 1).collect();
        clock_changes(schedule, &times, &starts, end, sink);
        timed.push(Timed { schedule, starts });
    }
    backups_meet(&timed, &zone, sink);
    restarts_meet_jobs(&timed, &zone, sink);
    asleep(host, &timed, &zone, sink);
    updates_meet_backups(host, &timed, &zone, sink);
    coverage(host, sink);
    unwanted(host, sink);
    for schedule in host.schedules.values() {
        retention(host, schedule, sink);
        growth(host, schedule, sink);
    }
    rehearsals(host, sink);
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
fn clock_changes(
    schedule: &Schedule,
    times: &Times,
    starts: &[Timestamp],
    end: Timestamp,
    sink: &mut Sink,
) {
    // What runs several times a day loses or repeats one of many.
    if starts.len() > usize::try_from(DAYS).unwrap_or(400) + 2 {
        return;
    }
    let (mut dates, mut harmless) = (Vec::new(), Vec::new());
    for change in times.clock_changes(START, end) {
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

/// The first pair of starts of which the later comes less than `within` after the earlier, each list in order.
fn near(
    first: &[Timestamp],
    second: &[Timestamp],
    within: SignedDuration,
) -> Option<(Timestamp, Timestamp)> {
    let mut at = 0;
    for start in first {
        while second.get(at).is_some_and(|s| s < start) {
            at += 1;
        }
        if let Some(next) = second
            .get(at)
            .filter(|next| next.duration_since(*start) < within)
        {
            return Some((*start, *next));
        }
    }
    None
}

fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone())
        .strftime("%a %Y-%m-%d %H:%M")
        .to_string()
}

fn first_on(first: Timestamp, second: Timestamp, zone: &TimeZone) -> String {
    if first == second {
        format!("first on {}", local(first, zone))
    } else {
        format!(
            "first on {} and {}",
            local(first, zone),
            local(second, zone)
        )
    }
}

fn rare(timed: &Timed<'_>) -> bool {
    timed.starts.len() <= FREQUENT
}

/// vzdump holds one lock on a node: the second job waits for the first, for 180 minutes (`lockwait` of vzdump.conf).
fn backups_meet(timed: &[Timed<'_>], zone: &TimeZone, sink: &mut Sink) {
    let within = SignedDuration::from_mins(30);
    let jobs: Vec<_> = timed
        .iter()
        .filter(|t| t.schedule.backup().is_some() && rare(t))
        .collect();
    for (at, job) in jobs.iter().enumerate() {
        for other in &jobs[..at] {
            let forth = near(&other.starts, &job.starts, within);
            let Some((first, second)) = forth.or_else(|| near(&job.starts, &other.starts, within))
            else {
                continue;
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0704,
                    job.schedule.on.span,
                    format!("the backups `{}` and `{}` start together", other.schedule.name.value, job.schedule.name.value),
                )
                .also(other.schedule.on.span, "the other one")
                .note(first_on(first, second, zone))
                .note("one node runs one vzdump at a time: the second job waits for the first, and fails after 180 minutes (`lockwait`)")
                .help("start them hours apart"),
            );
        }
    }
}

/// The first starts at which an update that may restart something, and a job that must not be broken off, meet; told in
/// the order of time.
fn meeting(
    update: &Timed<'_>,
    job: &Timed<'_>,
    what: &str,
    zone: &TimeZone,
) -> Option<(String, String)> {
    let length = |timed: &Timed<'_>| {
        let minutes = reach(timed.schedule).as_mins();
        let time = if minutes % 60 == 0 && minutes > 0 {
            format!("{} h", minutes / 60)
        } else {
            format!("{minutes} min")
        };
        let source = match (&timed.schedule.timeout, &timed.schedule.random_delay) {
            (Some(_), None) => "its `timeout`",
            (Some(_), Some(_)) => "its `timeout` and its `random-delay`",
            (None, Some(_)) => "an estimate and its `random-delay`",
            (None, None) => "an estimate",
        };
        format!(
            "`{}` may be under way for {time} ({source})",
            timed.schedule.name.value
        )
    };
    if let Some((first, second)) = near(&job.starts, &update.starts, reach(job.schedule)) {
        let when = format!(
            "{what} {}, update {}",
            local(first, zone),
            local(second, zone)
        );
        return Some((when, length(job)));
    }
    let (first, second) = near(&update.starts, &job.starts, reach(update.schedule))?;
    let when = format!(
        "update {}, {what} {}",
        local(first, zone),
        local(second, zone)
    );
    Some((when, length(update)))
}

/// A host that may restart while guests are backed up or updated, or a backup is tried.
fn restarts_meet_jobs(timed: &[Timed<'_>], zone: &TimeZone, sink: &mut Sink) {
    let updates = timed.iter().filter(|t| {
        t.schedule
            .host_update()
            .is_some_and(|task| *task.reboot == Reboot::IfNeeded)
            && rare(t)
    });
    for update in updates {
        for job in timed.iter().filter(|t| rare(t)) {
            let (code, what, label, help) = match &job.schedule.task {
                Task::VzdumpBackup(_) => (
                    Code::MOX0705,
                    "backup",
                    "the backup",
                    "let the update start well after the backup; a restart breaks off the backup that runs",
                ),
                Task::BackupRehearsal(_) => (
                    Code::MOX0705,
                    "rehearsal",
                    "the rehearsal",
                    "let the update start well after the rehearsal; a restart leaves the half-restored guest behind",
                ),
                Task::NixosFlakeUpdate(NixosFlakeUpdate { guests, .. })
                | Task::WindowsUpdate(WindowsUpdate { guests, .. })
                    if !guests.ids.is_empty() =>
                {
                    (
                        Code::MOX0712,
                        "guests",
                        "the guests' update",
                        "start them hours apart: a guest that is shut down in the middle of an update may not come back",
                    )
                }
                Task::NixosFlakeUpdate(_)
                | Task::WindowsUpdate(_)
                | Task::ProxmoxUpdate(_)
                | Task::ProxmoxMaintenance
                | Task::ZfsSnapshot(_)
                | Task::ZfsScrub(_)
                | Task::ZfsTrim(_)
                | Task::SmartTest(_)
                | Task::WindowsMaintenance(_) => continue,
            };
            let Some((when, length)) = meeting(update, job, what, zone) else {
                continue;
            };
            sink.push(
                Diagnostic::new(
                    code,
                    update.schedule.on.span,
                    format!(
                        "`{}` may restart the host while `{}` runs",
                        update.schedule.name.value, job.schedule.name.value
                    ),
                )
                .also(job.schedule.on.span, label)
                .note(when)
                .note(length)
                .help(help),
            );
        }
    }
}

/// A run that is not made up for, at a time at which the host is off.
fn asleep(host: &Host, timed: &[Timed<'_>], zone: &TimeZone, sink: &mut Sink) {
    let Some(off) = host.powered_off else { return };
    for Timed { schedule, starts } in timed.iter().filter(|t| !*t.schedule.persistent) {
        let sleeps = |start: &Timestamp| {
            let local = start.to_zoned(zone.clone());
            off.contains(local.time())
        };
        if starts.is_empty() || !starts.iter().all(sleeps) {
            continue;
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
}

/// Backups of several hosts that start at one moment, to one server. Gives back each with the place of its host.
pub(super) fn backups_of_hosts(hosts: &[&Host]) -> Vec<(usize, Diagnostic)> {
    struct Job<'a> {
        host: usize,
        name: &'a str,
        schedule: &'a Schedule,
        first: Timestamp,
    }
    let mut told = Vec::new();
    let mut by_server: BTreeMap<String, Vec<Job<'_>>> = BTreeMap::new();
    for (at, host) in hosts.iter().enumerate() {
        let zone = zone_of(host);
        for schedule in host
            .schedules
            .values()
            .filter(|s| *s.enabled && !s.on.is_missing())
        {
            let target = schedule.backup().and_then(|task| task.storage.value);
            let Some(StoreRef::External(id)) = target else {
                continue;
            };
            let (ExternalPlace::Nfs { server, .. }
            | ExternalPlace::Cifs { server, .. }
            | ExternalPlace::Pbs { server, .. }) = &host.storage.external[id].place
            else {
                continue;
            };
            let times = schedule.on.expression().schedule(&zone);
            let starts: Vec<_> = times.between(START, end()).take(FREQUENT + 1).collect();
            let Some(first) = starts.first().filter(|_| starts.len() <= FREQUENT) else {
                continue;
            };
            let jobs = by_server
                .entry(server.to_string().to_lowercase())
                .or_default();
            // A fleet has one rhythm for all: what starts together once does so every time.
            let other = jobs
                .iter()
                .find(|job| job.host != at && job.first == *first);
            if let Some(other) = other {
                let diagnostic = Diagnostic::new(
                    Code::MOX0714,
                    schedule.on.span,
                    format!(
                        "`{}` and `{}` back up to `{}` at the same moment",
                        other.name,
                        host.name.as_str(),
                        **server
                    ),
                )
                .also(other.schedule.on.span, format!("of `{}`", other.name))
                .note(format!("first on {}", local(*first, &zone)))
                .note("a backup job has no random delay; each host takes the time that the others leave it, and guests wait longer while they are read")
                .help("start them at different times");
                told.push((at, diagnostic));
            }
            jobs.push(Job {
                host: at,
                name: host.name.as_str(),
                schedule,
                first: *first,
            });
        }
    }
    told
}

/// The end of the days that are looked at.
fn end() -> Timestamp {
    START
        .checked_add(SignedDuration::from_hours(24 * DAYS))
        .unwrap_or(Timestamp::MAX)
}

/// A guest that is updated or tidied while it is backed up, or while its disks' only snapshot of the day is taken: the copy
/// holds a half-done update.
fn updates_meet_backups(host: &Host, timed: &[Timed<'_>], zone: &TimeZone, sink: &mut Sink) {
    let within = SignedDuration::from_mins(30);
    for update in timed.iter().filter(|t| rare(t)) {
        let Some(guests) = updated(update.schedule) else {
            continue;
        };
        for job in timed.iter().filter(|t| rare(t)) {
            let held = job
                .schedule
                .backup()
                .map(|task| task.guests.iter().collect());
            let Some(held): Option<BTreeSet<Id<Guest>>> = held.or_else(|| snapshotted(host, job))
            else {
                continue;
            };
            let met = guests.iter().filter(|id| held.contains(id)).find_map(|id| {
                let elsewhere = starts_elsewhere(host, &host.guests[id], update.schedule);
                let starts = elsewhere.as_deref().unwrap_or(&update.starts);
                let pair = near(&job.starts, starts, within)
                    .or_else(|| near(starts, &job.starts, within))?;
                Some((id, pair))
            });
            let Some((guest, (first, second))) = met else {
                continue;
            };
            let (backs_it_up, backup) = if job.schedule.snapshots().is_some() {
                ("takes its snapshot", "snapshot")
            } else {
                ("backs it up", "backup")
            };
            let what = if update.schedule.windows_maintenance().is_some() {
                "tidied"
            } else {
                "updated"
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0706,
                    update.schedule.on.span,
                    format!("`{}` is {what} by `{}` while `{}` {backs_it_up}", host.guests[guest].name.value, update.schedule.name.value, job.schedule.name.value),
                )
                .also(job.schedule.on.span, format!("the {backup}"))
                .note(format!("first on {} and {}", local(first, zone), local(second, zone)))
                .help(format!("start them hours apart: a {backup} of a half-done update is no good to go back to")),
            );
        }
    }
}

/// The guests with a disk of whose dataset a schedule takes snapshots, where it takes so few that one counts: up to four
/// a day. One of an hourly row has a good one beside it.
fn snapshotted(host: &Host, job: &Timed<'_>) -> Option<BTreeSet<Id<Guest>>> {
    let datasets = &job.schedule.snapshots()?.datasets;
    if job.starts.len() > 4 * usize::try_from(DAYS).unwrap_or(400) {
        return None;
    }
    let holds = |guest: &Guest| {
        guest.vm().is_some_and(|vm| {
            let mut disks = vm.disks.iter();
            disks.any(|disk| datasets.iter().any(|d| Some(d.value) == disk.dataset()))
        })
    };
    let guests = host.guests.iter().filter(|(_, guest)| holds(guest));
    Some(guests.map(|(id, _)| id).collect())
}

/// The starts of a task that runs in a Windows guest of another time zone than the host's, where the schedule names none.
/// One that the host drives is in the host's.
fn starts_elsewhere(host: &Host, guest: &Guest, schedule: &Schedule) -> Option<Vec<Timestamp>> {
    let driven = schedule.windows_update().is_some_and(|task| *task.snapshot);
    let zone = guest.windows()?.timezone.as_str();
    if driven || zone == host.timezone.as_str() {
        return None;
    }
    let zone = zone_named(zone)?.time_zone().clone();
    let end = START
        .checked_add(SignedDuration::from_hours(24 * DAYS))
        .ok()?;
    let times = schedule.on.expression().schedule(&zone);
    Some(times.between(START, end).take(FREQUENT + 1).collect())
}

/// The guests that a task updates or tidies.
fn updated(schedule: &Schedule) -> Option<&TaskGuests> {
    let update = schedule.nixos_update().map(|task| &task.guests);
    let update = update.or_else(|| schedule.windows_update().map(|task| &task.guests));
    let tidied = || schedule.windows_maintenance().map(|task| &task.guests);
    update.or_else(tidied).map(|guests| &guests.value)
}

/// Guests that no backup covers, though they do not say that they want none.
fn coverage(host: &Host, sink: &mut Sink) {
    // A schedule that was not understood might cover them.
    if !host.complete {
        return;
    }
    let mut backed_up = vec![false; host.guests.len()];
    let mut jobs = 0;
    for task in host
        .schedules
        .values()
        .filter(|schedule| *schedule.enabled)
        .filter_map(Schedule::backup)
    {
        for id in task.guests.iter() {
            backed_up[id.index()] = true;
        }
        jobs += 1;
    }
    for (id, guest) in host.guests.iter().filter(|(_, guest)| *guest.backup) {
        if backed_up[id.index()] {
            continue;
        }
        let help = if jobs == 0 {
            "add a schedule with `task = \"vzdump-backup\"`; or write `backup = false` in the guest's table if it needs none"
        } else {
            "add it to a backup's `guests`; or write `backup = false` in its table if it needs none"
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0707,
                guest.name.span,
                format!("no backup covers `{}`", guest.name.value),
            )
            .help(help),
        );
    }
}

/// Guests that a backup names, and whose own table says that they want none.
fn unwanted(host: &Host, sink: &mut Sink) {
    for schedule in host.schedules.values() {
        let Some(task) = schedule.backup().filter(|task| !task.guests.all) else {
            continue;
        };
        for id in &task.guests.ids {
            let guest = &host.guests[id.value];
            if *guest.backup {
                continue;
            }
            sink.push(
                Diagnostic::new(
                    Code::MOX0715,
                    id.span,
                    format!(
                        "the backup `{}` names `{}`, which wants none",
                        schedule.name.value, guest.name.value
                    ),
                )
                .also(guest.backup.span, "`backup = false`")
                .help(format!(
                    "remove `backup = false` from `{0}`; or take `{0}` out of `guests`",
                    guest.name.value
                )),
            );
        }
    }
}

/// The store of a job, and what is kept there: by the job, or by the store.
fn kept(host: &Host, schedule: &Schedule) -> Option<(StoreRef, Option<Spanned<Keep>>)> {
    let task = schedule.backup()?;
    let store = task.storage.value?;
    Some((store, task.keep.or(host.storage.store(store).keep())))
}

/// Whether a store prunes by jobs of its own.
fn prunes_itself(host: &Host, store: StoreRef) -> bool {
    match store {
        StoreRef::External(id) => {
            matches!(host.storage.external[id].place, ExternalPlace::Pbs { .. })
        }
        StoreRef::Dataset(_) | StoreRef::Lvm(_) | StoreRef::Local => false,
    }
}

/// Rules that leave a time between them of which nothing is kept, and rules that are missing.
fn retention(host: &Host, schedule: &Schedule, sink: &mut Sink) {
    let keep = match schedule.snapshots() {
        Some(task) => Some((task.keep, false)),
        None => kept(host, schedule).map(|(store, keep)| (keep, prunes_itself(host, store))),
    };
    let Some((keep, prunes_itself)) = keep else {
        return;
    };
    let Some(keep) = keep else {
        // A Proxmox Backup Server has prune jobs of its own.
        if host.complete && !prunes_itself {
            let what = if schedule.snapshots().is_some() {
                "snapshots"
            } else {
                "backups"
            };
            let mut diagnostic = Diagnostic::new(
                Code::MOX0708,
                schedule.name.span,
                format!("nothing removes the {what} of `{}`", schedule.name.value),
            );
            if let Some(task) = schedule.backup()
                && task.storage.is_written()
            {
                diagnostic = diagnostic.also(task.storage.span, "it fills up");
            }
            sink.push(
                diagnostic
                    .help("say what is kept: `keep = { daily = 7, weekly = 4 }`; or that it is everything: `keep = { all = true }`"),
            );
        }
        return;
    };
    // Days that a rule's copies stand for, and days between them.
    let periods = [
        ("hourly", keep.hourly, 1.0 / 24.0),
        ("daily", keep.daily, 1.0),
        ("weekly", keep.weekly, 7.0),
        ("monthly", keep.monthly, 30.0),
        ("yearly", keep.yearly, 365.0),
    ];
    let mut reach: Option<(f64, String)> = None;
    for (rule, number, days) in periods {
        let Some(number) = number.filter(|n| *n > 0) else {
            continue;
        };
        if let Some((so_far, by)) = &reach {
            // Where the finer rules reach back a fifth of the coarser one's period, most ages have no copy.
            if days > 5.0 * so_far {
                sink.push(
                    Diagnostic::new(Code::MOX0709, keep.span, format!("a hole in what `{}` keeps", schedule.name.value))
                        .note(format!("`{by}` reaches back {so_far:.0} days, and the next copies are those of `{rule}`, {days:.0} days apart"))
                        .help("add a rule between them, or keep more of the finer one"),
                );
            }
        }
        let own = f64::from(number) * days;
        if reach.as_ref().is_none_or(|(so_far, _)| own > *so_far) {
            reach = Some((own, format!("{rule} = {number}")));
        }
    }
}

/// How many guests a sum names.
const MOST_NAMES: usize = 8;

/// What a store of this host holds if every guest fills its disks.
fn growth(host: &Host, schedule: &Schedule, sink: &mut Sink) {
    let Some((StoreRef::Dataset(dataset), Some(keep))) = kept(host, schedule) else {
        return;
    };
    let dataset = &host.storage.datasets[dataset];
    let Some(copies) = keep.most() else { return };
    let pool = &host.storage.pools[dataset.pool.value];
    // A quota above the pool's size does not make the pool larger.
    let offers = pool_offers(host, dataset.pool.value).filter(|_| host.complete);
    let (most, place, what) = match (dataset.quota, offers) {
        (Some(quota), offers) if offers.is_none_or(|offers| quota.value <= offers) => (
            quota.value,
            quota.span,
            format!("a quota of {}", quota.human()),
        ),
        (Some(_) | None, Some(offers)) => (
            offers,
            pool.name.span,
            format!("the pool offers {}", offers.human()),
        ),
        (Some(_) | None, None) => return,
    };
    let Some(task) = schedule.backup() else {
        return;
    };
    let sizes: Vec<(&str, ByteSize)> = task
        .guests
        .iter()
        .map(|id| &host.guests[id])
        .map(|guest| (guest.name.value.as_str(), backed_up_size(guest)))
        .collect();
    let one: ByteSize = sizes.iter().map(|(_, size)| *size).sum();
    // Compression halves what is compressible, and disks are seldom full: four full copies of the quota are a sure fault.
    let all = one.saturating_mul(copies);
    if all.as_bytes() / 4 <= most.as_bytes() {
        return;
    }
    let mut sizes = sizes;
    sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let rest = sizes.split_off(sizes.len().min(MOST_NAMES));
    let mut words: Vec<String> = sizes
        .iter()
        .map(|(name, size)| format!("{name} {}", size.human()))
        .collect();
    if !rest.is_empty() {
        let size: ByteSize = rest.iter().map(|(_, size)| *size).sum();
        words.push(format!("{} more guests {}", rest.len(), size.human()));
    }
    let sum = words.join(" + ");
    sink.push(
        Diagnostic::new(Code::MOX0710, schedule.name.span, format!("the backups of `{}` do not fit into `{}`", schedule.name.value, dataset.name.value))
            .also(place, what)
            .note(format!("{sum} = {} a run", one.human()))
            .note(format!("× {copies} copies = {}; a quarter of that, for disks half full and compression by half: {}", all.human(), ByteSize::bytes(all.as_bytes() / 4).human()))
            .help("give them more room, keep fewer, or leave out disks that need no backup (`backup = false`)"),
    );
}

/// The size of a guest's volumes that backups hold.
fn backed_up_size(guest: &Guest) -> ByteSize {
    let told = |placement: &Placement| {
        placement
            .size()
            .map_or_else(ByteSize::default, |size| size.value)
    };
    match &guest.kind {
        GuestKind::Vm(vm) => vm
            .disks
            .iter()
            .filter(|disk| *disk.backup)
            .filter_map(|disk| disk.placement()?.size())
            .map(|size| size.value)
            .sum(),
        GuestKind::Container(container) => {
            let volumes = container
                .mounts
                .iter()
                .filter(|mount| *mount.backup)
                .map(|mount| match &mount.source {
                    MountSource::Volume(placement) => told(placement),
                    MountSource::Share(_) | MountSource::HostPath(_) => ByteSize::default(),
                });
            volumes.sum::<ByteSize>() + told(&container.rootfs)
        }
    }
}

/// A rehearsal of backups that nobody makes.
fn rehearsals(host: &Host, sink: &mut Sink) {
    if !host.complete {
        return;
    }
    for schedule in host.schedules.values().filter(|s| *s.enabled) {
        let Some(BackupRehearsal { guest, storage }) = schedule.rehearsal() else {
            continue;
        };
        let mut running = host.schedules.values().filter(|s| *s.enabled);
        let made = running.any(|job| {
            job.backup().is_some_and(|task| {
                task.storage.value == storage.value
                    && task.guests.iter().any(|id| id == guest.value)
            })
        });
        if !made {
            let store = storage.value.map_or(String::new(), |store| {
                host.storage.store(store).name().value.clone()
            });
            sink.push(
                Diagnostic::new(
                    Code::MOX0711,
                    guest.span,
                    format!(
                        "nothing backs up `{}` to `{store}`",
                        host.guests[guest.value].name.value
                    ),
                )
                .also(storage.span, "the rehearsal looks here")
                .help("name a store that a backup of this guest goes to"),
            );
        }
    }
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
    fn starts_are_near_when_the_later_comes_in_time() {
        let at = |minutes: i64| {
            START
                .checked_add(SignedDuration::from_mins(minutes))
                .expect("a time")
        };
        let within = SignedDuration::from_mins(30);
        let day = [at(0), at(1440), at(2880)];
        assert_eq!(near(&day, &[at(1469)], within), Some((at(1440), at(1469))));
        // What starts when the time is over is not near, nor what came before.
        assert_eq!(near(&day, &[at(30), at(1430)], within), None);
        assert_eq!(near(&day, &[at(0)], within), Some((at(0), at(0))));
        assert_eq!(near(&[], &day, within), None);
    }

    fn schedule(keys: &str) -> SignedDuration {
        let host = host(&format!("[schedules.s]\n{keys}\n"));
        let schedule = host.schedules.values().next().expect("a schedule");
        reach(schedule)
    }

    #[test]
    fn a_run_lasts_as_long_as_the_spec_allows_it() {
        let minutes = |keys: &str| schedule(keys).as_mins();
        let update = "task = \"proxmox-update\"\non = \"04:00\"\n";
        assert_eq!(minutes(update), 30);
        assert_eq!(minutes(&format!("{update}random-delay = \"15m\"")), 45);
        assert_eq!(minutes(&format!("{update}timeout = \"2h\"")), 120);
        assert_eq!(
            minutes(&format!("{update}timeout = \"2h\"\nrandom-delay = \"1h\"")),
            180
        );
        assert_eq!(
            minutes("task = \"zfs-scrub\"\non = \"monthly\"\npools = [\"rpool\"]"),
            0
        );
    }

    /// Hand-worked: 64 GiB × 7 copies = 448 GiB, a quarter of it 112 GiB: more than a quota of 100 GiB, and less than the
    /// 899 GiB that the mirror of two disks of 1 TB offers.
    #[test]
    fn copies_times_size_are_held_against_quota_and_pool() {
        let found = |dataset: &str, size: &str, keep: &str| {
            let host = host(&format!(
                "[storage.datasets]\nvols = {{ pool = \"rpool\", use = \"vm-disks\" }}\nstore = {{ pool = \"rpool\", use = \"backups\"{dataset} }}\n\
                 [vms.a]\nos = \"linux\"\nvmid = 100\nmemory = \"1 GiB\"\n\
                 [vms.a.disks]\nroot = {{ dataset = \"vols\", size = \"{size}\" }}\nscratch = {{ dataset = \"vols\", size = \"8 TiB\", backup = false }}\n\
                 [schedules.s]\ntask = \"vzdump-backup\"\non = \"01:00\"\nstorage = \"store\"\nkeep = {{ {keep} }}\n"
            ));
            told(&host, Code::MOX0710)
        };
        let quota = ", quota = \"100 GiB\"";
        let told = found(quota, "64 GiB", "daily = 7");
        assert_eq!(told.len(), 1);
        assert_eq!(
            told[0].1,
            [
                "a 64 GiB = 64 GiB a run",
                "× 7 copies = 448 GiB; a quarter of that, for disks half full and compression by half: 112 GiB"
            ]
        );
        assert_eq!(found(quota, "64 GiB", "daily = 6"), []);
        assert_eq!(found("", "64 GiB", "daily = 7"), []);
        // 1 TiB × 4 copies is 4 TiB, a quarter of it 1024 GiB.
        assert_eq!(found("", "1 TiB", "daily = 4").len(), 1);
        assert_eq!(found("", "1 TiB", "all = true"), []);
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
