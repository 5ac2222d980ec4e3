//! Schedules that meet: backups that start together, restarts amid jobs, updates amid backups.
//!
//! How long a run takes is not known: it hangs on what is in the disks, not on their size. So two tasks are held against
//! each other by their starts and by how long a run [may take](crate::facts::tasks::Work::reach): its `timeout` where the spec gives one, else an
//! estimate by its kind.
//!
//! Of hundreds of jobs that meet, not every pair is looked at or told: each job is told once with the first other that it
//! meets, so that time and words grow with the jobs and not with their square.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::{FREQUENT, Moment, Starts, Timed, moments};
use crate::calendar::zone_named;
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Facts;
use crate::facts::backups::running;
use crate::facts::tasks::Loss;
use crate::facts::times::{START, zone_of};
use crate::model::{
    ExternalPlace, Guest, Host, Id, Kinship, Schedule, StoreRef, TaskGuests, WindowsUpdate,
};
use crate::value::Reboot;

/// Up to so many snapshots in 400 days, one of them counts: four a day. One of an hourly row has a good one beside it.
pub(super) const FEW_SNAPSHOTS: usize = 4 * 400;

/// The updates of a guest, each with the zone that it is timed in.
type Updates<'a> = Vec<(usize, Option<&'a str>)>;

/// What starts within so many seconds of another starts together.
const TOGETHER: Moment = 30 * 60;

/// How many names a message has.
const MOST_NAMES: usize = 8;

pub(super) fn check(facts: &Facts<'_>, timed: &[Timed<'_>], zone: &TimeZone, sink: &mut Sink) {
    let rare: Vec<&Timed<'_>> = timed
        .iter()
        .filter(|one| one.starts.len() <= FREQUENT)
        .collect();
    backups_meet(&rare, zone, sink);
    restarts_meet_jobs(&rare, zone, sink);
    updates_meet_backups(facts, &rare, zone, sink);
    snapshots_bar_rollbacks(facts, &rare, timed, zone, sink);
}

// ---------------------------------------------------------------- runs beside each other

/// The starts of several schedules in one row, so that what another one meets is found in the time of a search.
struct Row {
    /// Each start, and whose it is.
    starts: Vec<(Moment, usize)>,
    /// For each of them, which run so far is under way the longest: its end, its start, whose.
    longest: Vec<(Moment, Moment, usize)>,
}

/// A run that meets another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meeting {
    first: Moment,
    second: Moment,
    /// Whose the run of the row is.
    other: usize,
    /// Whether that one comes second.
    other_second: bool,
}

impl Row {
    /// Of schedules, each with its starts and how long a run is under way.
    fn of<'a>(runs: impl IntoIterator<Item = (usize, &'a [Moment], Moment)>) -> Self {
        let mut all: Vec<(Moment, usize, Moment)> = Vec::new();
        for (whose, starts, reach) in runs {
            all.extend(
                starts
                    .iter()
                    .map(|start| (*start, whose, start.saturating_add(reach))),
            );
        }
        all.sort_unstable();
        let mut longest: Vec<(Moment, Moment, usize)> = Vec::with_capacity(all.len());
        for (start, whose, end) in &all {
            let so_far = longest.last().copied().unwrap_or_default();
            longest.push(if *end > so_far.0 {
                (*end, *start, *whose)
            } else {
                so_far
            });
        }
        Self {
            starts: all
                .into_iter()
                .map(|(start, whose, _)| (start, whose))
                .collect(),
            longest,
        }
    }

    /// The first run of the row that starts while one of these is under way, else the first that is under way when one of
    /// these starts.
    fn meets(&self, starts: &[Moment], reach: Moment) -> Option<Meeting> {
        let after = starts.iter().find_map(|start| {
            let at = self.starts.partition_point(|(other, _)| other < start);
            let (second, other) = *self.starts.get(at)?;
            (second - start < reach).then_some(Meeting {
                first: *start,
                second,
                other,
                other_second: true,
            })
        });
        let before = || {
            starts.iter().find_map(|start| {
                let at = self.starts.partition_point(|(other, _)| other <= start);
                let (end, first, other) = *self.longest.get(at.checked_sub(1)?)?;
                (end > *start).then_some(Meeting {
                    first,
                    second: *start,
                    other,
                    other_second: false,
                })
            })
        };
        after.or_else(before)
    }
}

fn local(at: Moment, zone: &TimeZone) -> String {
    START
        .checked_add(SignedDuration::from_secs(at.into()))
        .unwrap_or(START)
        .to_zoned(zone.clone())
        .strftime("%a %Y-%m-%d %H:%M")
        .to_string()
}

fn first_on(first: Moment, second: Moment, zone: &TimeZone) -> String {
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

// ---------------------------------------------------------------- backups that start together

/// vzdump holds one lock on a node: the second job waits for the first, for 180 minutes (`lockwait` of vzdump.conf).
fn backups_meet(timed: &[&Timed<'_>], zone: &TimeZone, sink: &mut Sink) {
    let jobs: Vec<_> = timed
        .iter()
        .filter(|one| one.schedule.backup().is_some())
        .collect();
    let mut starts: Vec<(Moment, usize)> = jobs
        .iter()
        .enumerate()
        .flat_map(|(at, job)| job.starts.iter().map(move |start| (*start, at)))
        .collect();
    starts.sort_unstable();
    // Those that start together with one another, directly or by one between them, are told in one.
    let mut together = Together::new(jobs.len());
    for pair in starts.windows(2) {
        let [(first, one), (second, other)] = *pair else {
            continue;
        };
        if one != other && second - first < TOGETHER {
            together.join(one, other, (first, second));
        }
    }
    for (members, (first, second)) in together.groups() {
        let name = |at: usize| jobs[at].schedule.name.value.as_str();
        let last = members[members.len() - 1];
        let others = &members[..members.len() - 1];
        let headline = match *others {
            [other] => format!(
                "the backups `{}` and `{}` start together",
                name(other),
                name(last)
            ),
            _ => format!(
                "the backup `{}` and {} others start together",
                name(last),
                others.len()
            ),
        };
        let mut diagnostic = Diagnostic::new(Code::MOX0704, jobs[last].schedule.on.span, headline);
        for other in others.iter().take(MOST_NAMES) {
            let label = if others.len() == 1 {
                "the other one".to_owned()
            } else {
                format!("`{}`", name(*other))
            };
            diagnostic = diagnostic.also(jobs[*other].schedule.on.span, label);
        }
        if others.len() > MOST_NAMES {
            diagnostic = diagnostic.note(format!("and {} more", others.len() - MOST_NAMES));
        }
        sink.push(
            diagnostic
                .note(first_on(first, second, zone))
                .note("one node runs one vzdump at a time: the second job waits for the first, and fails after 180 minutes (`lockwait`)")
                .help("start them hours apart"),
        );
    }
}

/// Things that belong together by pairs of them.
struct Together {
    parent: Vec<usize>,
    /// The first pair that was joined, by root.
    first: HashMap<usize, (Moment, Moment)>,
}

impl Together {
    fn new(count: usize) -> Self {
        Self {
            parent: (0..count).collect(),
            first: HashMap::new(),
        }
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    fn join(&mut self, one: usize, other: usize, pair: (Moment, Moment)) {
        let (one, other) = (self.root(one), self.root(other));
        let (keep, gone) = (one.min(other), one.max(other));
        let known = [keep, gone].map(|at| self.first.get(&at).copied().unwrap_or(pair));
        if keep != gone {
            self.parent[gone] = keep;
            self.first.insert(keep, known[0].min(known[1]).min(pair));
        }
    }

    /// The groups of two and more, each with its members in order and the first pair.
    fn groups(mut self) -> Vec<(Vec<usize>, (Moment, Moment))> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in 0..self.parent.len() {
            let root = self.root(at);
            groups.entry(root).or_default().push(at);
        }
        groups
            .into_iter()
            .filter_map(|(root, members)| Some((members, *self.first.get(&root)?)))
            .collect()
    }
}

// ---------------------------------------------------------------- restarts amid jobs

fn reach_seconds(timed: &Timed<'_>) -> Moment {
    let reach = timed.work.reach;
    let seconds = reach.and_then(|reach| Moment::try_from(reach.as_secs()).ok());
    seconds.unwrap_or(Moment::MAX)
}

/// How long a run may be under way, and by which source, for people.
fn length(timed: &Timed<'_>) -> String {
    let time = match timed.work.reach.map(|reach| reach.as_mins()) {
        None => "without end".to_owned(),
        Some(minutes) if minutes % 60 == 0 && minutes > 0 => format!("for {} h", minutes / 60),
        Some(minutes) => format!("for {minutes} min"),
    };
    let source = match (&timed.schedule.timeout, &timed.schedule.random_delay) {
        (Some(_), None) => "its `timeout`",
        (Some(_), Some(_)) => "its `timeout` and its `random-delay`",
        (None, Some(_)) => "an estimate and its `random-delay`",
        (None, None) => "an estimate",
    };
    format!(
        "`{}` may be under way {time} ({source})",
        timed.schedule.name.value
    )
}

/// What a restart of the host breaks off.
struct Broken {
    code: Code,
    what: &'static str,
    label: &'static str,
    help: &'static str,
}

fn broken_off(loss: Loss) -> Broken {
    match loss {
        Loss::Backup => Broken {
            code: Code::MOX0705,
            what: "backup",
            label: "the backup",
            help: "let the update start well after the backup; a restart breaks off the backup that runs",
        },
        Loss::Rehearsal => Broken {
            code: Code::MOX0705,
            what: "rehearsal",
            label: "the rehearsal",
            help: "let the update start well after the rehearsal; a restart leaves the half-restored guest behind",
        },
        Loss::Guests => Broken {
            code: Code::MOX0712,
            what: "guests",
            label: "the guests' update",
            help: "start them hours apart: a guest that is shut down in the middle of an update may not come back",
        },
    }
}

/// A host that may restart while guests are backed up or updated, or a backup is tried.
fn restarts_meet_jobs(timed: &[&Timed<'_>], zone: &TimeZone, sink: &mut Sink) {
    let restarts: Vec<usize> = (0..timed.len())
        .filter(|at| {
            timed[*at]
                .schedule
                .host_update()
                .is_some_and(|task| *task.reboot == Reboot::IfNeeded)
        })
        .collect();
    let jobs: Vec<usize> = (0..timed.len())
        .filter(|at| timed[*at].work.loss.is_some())
        .collect();
    let run = |at: &usize| {
        let one = timed[*at];
        (*at, &*one.starts, reach_seconds(one))
    };
    let row = Row::of(restarts.iter().map(run));
    // Each pair of a restart and a job that is told, with the run that comes first.
    let mut met: BTreeMap<(usize, usize), (Moment, Moment, bool)> = BTreeMap::new();
    for job in &jobs {
        let (_, starts, reach) = run(job);
        if let Some(meeting) = row.meets(starts, reach) {
            let pair = (meeting.other, *job);
            met.insert(pair, (meeting.first, meeting.second, meeting.other_second));
        }
    }
    // And each restart that is no job's first.
    let row = Row::of(jobs.iter().map(run));
    for restart in &restarts {
        if met
            .range((*restart, 0)..=(*restart, usize::MAX))
            .next()
            .is_some()
        {
            continue;
        }
        let (_, starts, reach) = run(restart);
        if let Some(meeting) = row.meets(starts, reach) {
            let pair = (*restart, meeting.other);
            met.insert(pair, (meeting.first, meeting.second, !meeting.other_second));
        }
    }
    for ((restart, job), (first, second, job_first)) in met {
        let (update, job) = (timed[restart], timed[job]);
        let Some(broken) = job.work.loss.map(broken_off) else {
            continue;
        };
        let [first, second] = [first, second].map(|at| local(at, zone));
        let what = broken.what;
        let (when, length) = if job_first {
            (format!("{what} {first}, update {second}"), length(job))
        } else {
            (format!("update {first}, {what} {second}"), length(update))
        };
        sink.push(
            Diagnostic::new(
                broken.code,
                update.schedule.on.span,
                format!(
                    "`{}` may restart the host while `{}` runs",
                    update.schedule.name.value, job.schedule.name.value
                ),
            )
            .also(job.schedule.on.span, broken.label)
            .note(when)
            .note(length)
            .help(broken.help),
        );
    }
}

// ---------------------------------------------------------------- updates amid backups

/// A guest that is updated or tidied while it is backed up, or while its disks' only snapshot of the day is taken: the copy
/// holds a half-done update.
fn updates_meet_backups(facts: &Facts<'_>, timed: &[&Timed<'_>], zone: &TimeZone, sink: &mut Sink) {
    let host = facts.host;
    let mut copies: Vec<Vec<usize>> = vec![Vec::new(); host.guests.len()];
    let mut updates: Vec<Vec<usize>> = vec![Vec::new(); host.guests.len()];
    for (at, one) in timed.iter().enumerate() {
        if let Some(task) = one.schedule.backup() {
            for id in task.guests.iter() {
                copies[id.index()].push(at);
            }
        } else {
            for id in snapshotted(facts, one) {
                copies[id.index()].push(at);
            }
        }
        for id in updated(one.schedule).into_iter().flat_map(TaskGuests::iter) {
            updates[id.index()].push(at);
        }
    }
    // What guests share is looked at once.
    let mut elsewhere = Elsewhere::default();
    let mut rows: HashMap<&[usize], Row> = HashMap::new();
    let mut looked: HashSet<(&[usize], usize, Option<&str>)> = HashSet::new();
    let mut met: BTreeMap<(usize, usize), (Id<Guest>, Moment, Moment)> = BTreeMap::new();
    for (id, guest) in host.guests.iter() {
        let copies = copies[id.index()].as_slice();
        if copies.is_empty() {
            continue;
        }
        for update in &updates[id.index()] {
            let zone = zone_elsewhere(host, guest, timed[*update].schedule);
            if !looked.insert((copies, *update, zone)) {
                continue;
            }
            let row = rows.entry(copies).or_insert_with(|| {
                Row::of(copies.iter().map(|at| (*at, &*timed[*at].starts, TOGETHER)))
            });
            let starts = elsewhere.starts(timed[*update], zone);
            if let Some(meeting) = row.meets(&starts, TOGETHER) {
                met.entry((*update, meeting.other))
                    .or_insert((id, meeting.first, meeting.second));
            }
        }
    }
    // And each backup that is no update's first.
    let told: BTreeSet<usize> = met.keys().map(|(_, copy)| *copy).collect();
    let mut looked: HashSet<(Updates<'_>, usize)> = HashSet::new();
    for (id, guest) in host.guests.iter() {
        let with_zones: Vec<(usize, Option<&str>)> = updates[id.index()]
            .iter()
            .map(|at| (*at, zone_elsewhere(host, guest, timed[*at].schedule)))
            .collect();
        if with_zones.is_empty() {
            continue;
        }
        let mut row = None;
        for copy in copies[id.index()].iter().filter(|at| !told.contains(at)) {
            if !looked.insert((with_zones.clone(), *copy)) {
                continue;
            }
            let row = row.get_or_insert_with(|| {
                let all: Vec<(usize, Rc<[Moment]>)> = with_zones
                    .iter()
                    .map(|(at, zone)| (*at, elsewhere.starts(timed[*at], *zone)))
                    .collect();
                Row::of(all.iter().map(|(at, starts)| (*at, &**starts, TOGETHER)))
            });
            if let Some(meeting) = row.meets(&timed[*copy].starts, TOGETHER) {
                met.entry((meeting.other, *copy))
                    .or_insert((id, meeting.first, meeting.second));
            }
        }
    }
    for ((update, copy), (guest, first, second)) in met {
        sink.push(update_meets(
            host,
            (timed[update].schedule, timed[copy].schedule, guest),
            first_and(first, second, zone),
        ));
    }
}

fn first_and(first: Moment, second: Moment, zone: &TimeZone) -> String {
    format!(
        "first on {} and {}",
        local(first, zone),
        local(second, zone)
    )
}

fn update_meets(
    host: &Host,
    (update, copy, guest): (&Schedule, &Schedule, Id<Guest>),
    when: String,
) -> Diagnostic {
    let (backs_it_up, backup) = if copy.snapshots().is_some() {
        ("takes its snapshot", "snapshot")
    } else {
        ("backs it up", "backup")
    };
    let what = if update.windows_maintenance().is_some() {
        "tidied"
    } else {
        "updated"
    };
    Diagnostic::new(
        Code::MOX0706,
        update.on.span,
        format!(
            "`{}` is {what} by `{}` while `{}` {backs_it_up}",
            host.guests[guest].name.value, update.name.value, copy.name.value
        ),
    )
    .also(copy.on.span, format!("the {backup}"))
    .note(when)
    .help(format!(
        "start them hours apart: a {backup} of a half-done update is no good to go back to"
    ))
}

// ---------------------------------------------------------------- snapshots amid updates

/// Snapshots that are taken between an update's own snapshot and the way back to it: ZFS goes back to the newest snapshot
/// alone, and Proxmox VE refuses any other.
fn snapshots_bar_rollbacks(
    facts: &Facts<'_>,
    updates: &[&Timed<'_>],
    timed: &[Timed<'_>],
    zone: &TimeZone,
    sink: &mut Sink,
) {
    let host = facts.host;
    let mut rows: HashMap<Vec<usize>, Row> = HashMap::new();
    let places: HashMap<Id<Schedule>, usize> = timed
        .iter()
        .enumerate()
        .map(|(at, one)| (one.id, at))
        .collect();
    let snapshots = |guest| {
        let volumes = facts.volumes.of_guest(guest).iter();
        let taken = volumes.flat_map(|volume| facts.backups.snapshots(volume));
        taken.filter_map(|id| places.get(id).copied())
    };
    for update in updates {
        let Some(task) = update.schedule.windows_update().filter(|t| *t.snapshot) else {
            continue;
        };
        let of_guests: BTreeSet<usize> = task.guests.iter().flat_map(&snapshots).collect();
        let of_guests: Vec<usize> = of_guests.into_iter().collect();
        let row = rows
            .entry(of_guests.clone())
            .or_insert_with(|| Row::of(of_guests.iter().map(|at| (*at, &*timed[*at].starts, 0))));
        let reach = reach_seconds(update);
        let Some(meeting) = row.meets(&update.starts, reach) else {
            continue;
        };
        let mut guests = task.guests.iter();
        let barred = guests.find(|guest| snapshots(*guest).any(|at| at == meeting.other));
        if let Some(guest) = barred {
            let taken = timed[meeting.other].schedule;
            let when = format!(
                "update {}, snapshot {}",
                local(meeting.first, zone),
                local(meeting.second, zone)
            );
            sink.push(barred_way(
                update.schedule,
                task,
                taken,
                &host.guests[guest],
                when,
            ));
        }
    }
}

fn barred_way(
    update: &Schedule,
    task: &WindowsUpdate,
    snapshots: &Schedule,
    guest: &Guest,
    when: String,
) -> Diagnostic {
    let way = if *task.rollback {
        task.rollback.span
    } else {
        task.snapshot.span
    };
    Diagnostic::new(
        Code::MOX0721,
        way,
        format!(
            "the snapshots of `{}` bar the way back of `{}`",
            snapshots.name.value, update.name.value
        ),
    )
    .label("goes back to the snapshot before the update")
    .also(
        snapshots.on.span,
        format!("snapshots of `{}` are taken meanwhile", guest.name.value),
    )
    .note(when)
    .note("ZFS goes back to the newest snapshot alone: Proxmox VE refuses to go past a newer one")
    .help("take the snapshots hours apart from the update, or leave the dataset of this guest out of them")
}

/// The guests with a disk of which a schedule takes snapshots, where it takes so few that one counts.
fn snapshotted(facts: &Facts<'_>, job: &Timed<'_>) -> Vec<Id<Guest>> {
    if job.schedule.snapshots().is_none() || job.starts.len() > FEW_SNAPSHOTS {
        return Vec::new();
    }
    let holds = |guest: &Id<Guest>| {
        let mut volumes = facts.volumes.of_guest(*guest).iter();
        volumes.any(|volume| facts.backups.snapshots(volume).contains(&job.id))
    };
    let guests = facts.host.guests.iter().map(|(id, _)| id);
    guests.filter(holds).collect()
}

/// The time zone of a task that runs in a Windows guest of another zone than the host's. One that the host drives is in the
/// host's.
fn zone_elsewhere<'a>(host: &Host, guest: &'a Guest, schedule: &Schedule) -> Option<&'a str> {
    let driven = schedule.windows_update().is_some_and(|task| *task.snapshot);
    let zone = guest.windows()?.timezone.as_str();
    (!driven && zone != host.timezone.as_str()).then_some(zone)
}

/// The starts of tasks in time zones that are not the host's.
#[derive(Default)]
struct Elsewhere {
    known: HashMap<(String, String), Rc<[Moment]>>,
}

impl Elsewhere {
    fn starts(&mut self, timed: &Timed<'_>, zone: Option<&str>) -> Rc<[Moment]> {
        let Some((name, zone)) = zone.and_then(|name| Some((name, zone_named(name)?))) else {
            return Rc::clone(&timed.starts);
        };
        let on = timed.schedule.on.as_str().to_owned();
        let starts = self.known.entry((name.to_owned(), on)).or_insert_with(|| {
            let zone = zone.time_zone().clone();
            moments(&timed.schedule.on.runs().schedule(&zone), FREQUENT + 1)
        });
        Rc::clone(starts)
    }
}

/// The guests that a task updates or tidies.
fn updated(schedule: &Schedule) -> Option<&TaskGuests> {
    let update = schedule.nixos_update().map(|task| &task.guests);
    let update = update.or_else(|| schedule.windows_update().map(|task| &task.guests));
    let tidied = || schedule.windows_maintenance().map(|task| &task.guests);
    update.or_else(tidied).map(|guests| &guests.value)
}

// ---------------------------------------------------------------- hosts of a fleet

/// Backups of several hosts that start at one moment, to one server. Gives back each with the place of its host.
pub(in crate::analysis) fn backups_of_hosts(
    hosts: &[&Host],
    kinship: Kinship,
) -> Vec<(usize, Diagnostic)> {
    #[derive(Clone, Copy)]
    struct Job<'a> {
        host: usize,
        name: &'a str,
        schedule: &'a Schedule,
    }
    let mut told = Vec::new();
    // By server and moment: the first job, and the first of another host than that one.
    let mut known: HashMap<(String, Moment), (Job<'_>, Option<Job<'_>>)> = HashMap::new();
    for (at, host) in hosts.iter().enumerate() {
        let zone = zone_of(host);
        let mut starts = Starts {
            zone: zone.clone(),
            known: HashMap::new(),
        };
        for schedule in host.schedules.values().filter(|s| !s.on.is_missing()) {
            let target = running(host, schedule).and_then(|task| task.storage.value);
            let Some(StoreRef::External(id)) = target else {
                continue;
            };
            let (ExternalPlace::Nfs { server, .. }
            | ExternalPlace::Cifs { server, .. }
            | ExternalPlace::Pbs { server, .. }) = &host.storage.external[id].place
            else {
                continue;
            };
            let starts = starts.of(schedule);
            let Some(first) = starts.first().filter(|_| starts.len() <= FREQUENT) else {
                continue;
            };
            let job = Job {
                host: at,
                name: host.name.as_str(),
                schedule,
            };
            // A fleet has one rhythm for all: what starts together once does so every time.
            let key = (server.to_string().to_lowercase(), *first);
            let (one, another) = known.entry(key).or_insert((job, None));
            let other = if one.host == at { *another } else { Some(*one) };
            if one.host != at {
                another.get_or_insert(job);
            }
            // What two nodes of a cluster say under one name is one job, which has one time on all of them.
            let is_one = |other: &Job<'_>| {
                kinship == Kinship::Cluster && other.schedule.name.value == schedule.name.value
            };
            if let Some(other) = other.filter(|other| !is_one(other)) {
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
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{host, told};
    use super::*;

    /// The first meeting of two lists of starts, in minutes: the first that comes first, within half an hour.
    fn near(first: &[Moment], second: &[Moment]) -> Option<(Moment, Moment)> {
        let seconds = |list: &[Moment]| list.iter().map(|at| at * 60).collect::<Vec<_>>();
        let second = seconds(second);
        let row = Row::of([(7, second.as_slice(), 0)]);
        let meeting = row.meets(&seconds(first), TOGETHER)?;
        assert_eq!((meeting.other, meeting.other_second), (7, true));
        Some((meeting.first / 60, meeting.second / 60))
    }

    #[test]
    fn starts_are_near_when_the_later_comes_in_time() {
        let day = [0, 1440, 2880];
        assert_eq!(near(&day, &[1469]), Some((1440, 1469)));
        // What starts when the time is over is not near, nor what came before.
        assert_eq!(near(&day, &[30, 1430]), None);
        assert_eq!(near(&day, &[0]), Some((0, 0)));
        assert_eq!(near(&[], &day), None);
    }

    /// Against each pair of runs, one after the other.
    #[test]
    fn a_row_finds_a_meeting_where_there_is_one() {
        let mut random = 7_u32;
        let mut below = |most: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % most
        };
        for _ in 0..2_000 {
            let mut list = |most: u32| -> Vec<Moment> {
                let mut list: Vec<Moment> = (0..below(most)).map(|_| below(200)).collect();
                list.sort_unstable();
                list
            };
            let (own, others) = (list(5), [list(5), list(5), list(5)]);
            let reaches = [below(20), below(20), below(20)];
            let reach = below(20);
            let runs = others.iter().zip(reaches).enumerate();
            let row = Row::of(runs.map(|(at, (starts, reach))| (at, starts.as_slice(), reach)));
            let meet = |start: Moment, other: Moment, other_reach: Moment| {
                start <= other && other - start < reach
                    || other <= start && start - other < other_reach
            };
            let expected = own.iter().any(|start| {
                let all = others.iter().zip(reaches);
                all.clone().any(|(starts, other_reach)| {
                    starts.iter().any(|other| meet(*start, *other, other_reach))
                })
            });
            let found = row.meets(&own, reach);
            assert_eq!(
                found.is_some(),
                expected,
                "{own:?} {others:?} {reach} {reaches:?}"
            );
            if let Some(found) = found {
                let (start, other) = if found.other_second {
                    (found.first, found.second)
                } else {
                    (found.second, found.first)
                };
                assert!(own.contains(&start) && others[found.other].contains(&other));
                assert!(meet(start, other, reaches[found.other]), "{found:?}");
            }
        }
    }

    /// Words and work grow with the jobs: each is told once, however many it meets.
    #[test]
    fn what_meets_everything_is_told_once_a_job() {
        let count = 300;
        let mut spec = String::from(
            "[storage.datasets]\nvols = { pool = \"rpool\", use = \"vm-disks\" }\n\
             store = { pool = \"rpool\", use = \"backups\" }\n[vms.a]\nos = \"nixos\"\nvmid = 100\nmemory = \"1 GiB\"\n\
             [vms.a.disks]\nroot = { dataset = \"vols\", size = \"8 GiB\" }\n",
        );
        for at in 0..count {
            use std::fmt::Write as _;
            let minute = at % 29;
            write!(
                spec,
                "[schedules.b{at}]\ntask = \"vzdump-backup\"\non = \"01:{minute:02}\"\nstorage = \"store\"\nguests = [\"a\"]\nkeep = {{ daily = 1 }}\n\
                 [schedules.h{at}]\ntask = \"proxmox-update\"\non = \"01:{minute:02}\"\nreboot = \"if-needed\"\n\
                 [schedules.u{at}]\ntask = \"nixos-flake-update\"\non = \"01:{minute:02}\"\nguests = [\"a\"]\n"
            )
            .expect("a string takes all text");
        }
        let host = host(&spec);
        assert_eq!(told(&host, Code::MOX0704).len(), 1);
        for (code, jobs) in [
            (Code::MOX0705, 2 * count),
            (Code::MOX0712, 2 * count),
            (Code::MOX0706, 2 * count),
        ] {
            let found = told(&host, code).len();
            assert!((1..=jobs).contains(&found), "{code:?}: {found}");
        }
    }

    fn schedule(keys: &str) -> SignedDuration {
        let host = host(&format!("[schedules.s]\n{keys}\n"));
        let (id, _) = host.schedules.iter().next().expect("a schedule");
        let facts = Facts::of(&host);
        facts.tasks.of_schedule(id).reach.expect("an end")
    }

    #[test]
    fn a_run_without_end_meets_whatever_comes() {
        let spec = |timeout: &str| {
            format!(
                "[storage.datasets.vols]\npool = \"rpool\"\nuse = \"vm-disks\"\n\
                 [storage.external.box]\nkind = \"nfs\"\nserver = \"192.0.2.9\"\nexport = \"/b\"\nuse = \"backups\"\n\
                 [vms.web]\nos = \"linux\"\nvmid = 100\nmemory = \"1 GiB\"\ninstalled = true\n\
                 [schedules.try]\ntask = \"backup-rehearsal\"\non = \"Sat 01:00\"\nguest = \"web\"\nstorage = \"box\"\n\
                 {timeout}[schedules.up]\ntask = \"proxmox-update\"\non = \"Sat 23:00\"\nreboot = \"if-needed\"\n"
            )
        };
        assert_eq!(told(&host(&spec("")), Code::MOX0705).len(), 0);
        let (_, notes) = &told(&host(&spec("timeout = \"infinity\"\n")), Code::MOX0705)[0];
        let notes = notes.join("\n");
        assert!(
            notes.contains("`try` may be under way without end (its `timeout`)"),
            "{notes}"
        );
    }

    #[test]
    fn what_is_about_nothing_is_told_and_not_made() {
        // Called with no name, the tools fail.
        for (task, told_of) in [
            ("zfs-scrub", "pool"),
            ("zfs-trim", "pool"),
            ("smart-test", "disk"),
        ] {
            let host = crate::analysis::testing::host_of(&format!(
                "[host]\nname = \"pve1\"\nrelease = \"9.2\"\ntimezone = \"Europe/Berlin\"\n\
                 [hardware.memory]\nsize = \"64 GiB\"\n\
                 [schedules.s]\ntask = \"{task}\"\non = \"weekly\"\n"
            ));
            let told = told(&host, Code::MOX0743);
            assert_eq!(told[0].0, format!("`s` is about no {told_of}"), "{task}");
            let (id, _) = host.schedules.iter().next().expect("a schedule");
            assert!(Facts::of(&host).tasks.of_schedule(id).job().is_none());
        }
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
}
