//! What backups and snapshots hold, and for how long: guests that no backup covers, holes in what is kept, stores that do
//! not hold what they are to, rehearsals of backups that nobody makes.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Facts;
use crate::facts::backups::{self, Idle, Kept};
use crate::facts::space::pool_offers;
use crate::model::{
    BackupRehearsal, Guest, GuestKind, Host, Id, MountSource, Placement, Schedule, StoreRef,
    VzdumpBackup, ZfsSnapshot,
};
use crate::source::Span;
use crate::value::ByteSize;

pub(super) fn check(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    coverage(facts, sink);
    unwanted(host, sink);
    for schedule in host.schedules.values() {
        match backups::job(host, schedule) {
            Some((task, None)) => {
                let kept = backups::keep_of(host, task);
                retention(host, schedule, kept, sink);
                growth(host, schedule, task, kept, sink);
            }
            Some((_, Some(_))) => {}
            None => {
                if let Some(task) = schedule.snapshots().filter(|_| *schedule.enabled) {
                    without_volumes(host, schedule, task, sink);
                    let kept = task.keep.map_or(Kept::Unsaid, Kept::Rules);
                    retention(host, schedule, kept, sink);
                }
            }
        }
    }
    rehearsals(facts, sink);
}

/// Guests that no backup covers, though they do not say that they want none.
fn coverage(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    // A schedule that was not understood might cover them.
    if !host.complete {
        return;
    }
    // A job that is kept word for word may cover them, too.
    let keeps_jobs = |kept: &crate::model::Kept| kept.path.as_str() == "etc/pve/jobs.cfg";
    if host.kept.iter().any(keeps_jobs) {
        return;
    }
    let mut schedules = host.schedules.values();
    let has_jobs = schedules.any(|schedule| backups::running(host, schedule).is_some());
    for (id, guest) in host.guests.iter().filter(|(_, guest)| *guest.backup) {
        if !facts.backups.jobs(id).is_empty() {
            continue;
        }
        let diagnostic = Diagnostic::new(
            Code::MOX0707,
            guest.name.span,
            format!("no backup covers `{}`", guest.name.value),
        );
        let idle = idle_jobs(host).find(|(_, task, _)| task.guests.iter().any(|held| held == id));
        sink.push(match idle {
            Some((job, task, why)) => {
                let (place, reason, way) = idle_words(host, job, task, why);
                diagnostic
                    .also(place, format!("`{}` would, {reason}", job.name.value))
                    .help(format!("{way}; or write `backup = false` in the guest's table if it needs none"))
            }
            None if !has_jobs => diagnostic.help("add a schedule with `task = \"vzdump-backup\"`; or write `backup = false` in the guest's table if it needs none"),
            None => diagnostic.help("add it to a backup's `guests`; or write `backup = false` in its table if it needs none"),
        });
    }
}

/// The backup jobs that make no backups here, each with what keeps it from that.
fn idle_jobs(host: &Host) -> impl Iterator<Item = (&Schedule, &VzdumpBackup, Idle<'_>)> {
    let jobs = host.schedules.values();
    jobs.filter_map(|schedule| {
        let (task, idle) = backups::job(host, schedule)?;
        Some((schedule, task, idle?))
    })
}

/// What keeps a job from its backups: where that stands, in words, and what to do about it.
fn idle_words(
    host: &Host,
    job: &Schedule,
    task: &VzdumpBackup,
    why: Idle<'_>,
) -> (Span, String, String) {
    let store = task
        .storage
        .value
        .map(|store| host.storage.store(store).name().as_str());
    let store = store.unwrap_or_default();
    match why {
        Idle::Off(place) => (
            place,
            "and is switched off".to_owned(),
            format!(
                "switch `{}` on again: remove `enabled = false`",
                job.name.value
            ),
        ),
        Idle::OnOtherNode(node) => (
            node.value.span,
            format!("and runs on `{}`", node.value.as_str()),
            "add a job that runs here".to_owned(),
        ),
        Idle::StoreOff(place) => (
            place,
            format!("and its store `{store}` is switched off"),
            format!("switch `{store}` on again: remove `disabled = true`"),
        ),
        Idle::StoreElsewhere(nodes) => (
            nodes.value.span,
            format!("and its store `{store}` is not on this host"),
            "name a store of this host".to_owned(),
        ),
    }
}

/// Snapshots of a dataset of guests' disks that take none of those: each volume is a dataset of its own below it.
fn without_volumes(host: &Host, schedule: &Schedule, task: &ZfsSnapshot, sink: &mut Sink) {
    if *task.recursive {
        return;
    }
    for id in &task.datasets {
        let dataset = &host.storage.datasets[id.value];
        if !dataset.holds_volumes() {
            continue;
        }
        sink.push(
            Diagnostic::new(
                Code::MOX0744,
                id.span,
                format!(
                    "the snapshots of `{}` hold no disk in `{}`",
                    schedule.name.value, dataset.name.value
                ),
            )
            .also(task.recursive.span, "takes nothing of what lies below")
            .note("each disk of a guest is a volume of its own, below the dataset")
            .help("remove `recursive = false`, or leave this dataset out"),
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

/// Rules that leave a time between them of which nothing is kept, and rules that are missing.
fn retention(host: &Host, schedule: &Schedule, kept: Kept, sink: &mut Sink) {
    let keep = match kept {
        Kept::Rules(keep) => keep,
        Kept::ByServer => return,
        Kept::Unsaid => {
            if host.complete {
                unpruned(schedule, sink);
            }
            return;
        }
    };
    // A rule that was not understood may fill the hole.
    if !host.complete {
        return;
    }
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

fn unpruned(schedule: &Schedule, sink: &mut Sink) {
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

/// How many guests a sum names.
const MOST_NAMES: usize = 8;

/// What a store of this host holds if every guest fills its disks.
fn growth(host: &Host, schedule: &Schedule, task: &VzdumpBackup, kept: Kept, sink: &mut Sink) {
    let (Some(StoreRef::Dataset(dataset)), Kept::Rules(keep)) = (task.storage.value, kept) else {
        return;
    };
    let dataset = &host.storage.datasets[dataset];
    let Some(copies) = keep.most() else { return };
    let pool = &host.storage.pools[dataset.pool.value];
    // A quota above the pool's size does not make the pool larger.
    let offers = pool_offers(host, dataset.pool.value).filter(|_| host.complete);
    let (most, place, what) = match (dataset.quota, offers) {
        (Some(quota), offers) if offers.is_none_or(|offers| quota.value <= offers.size) => (
            quota.value,
            quota.span,
            format!("a quota of {}", quota.human()),
        ),
        (Some(_) | None, Some(offers)) => (
            offers.size,
            pool.name.span,
            format!("the pool offers {}", offers.human()),
        ),
        (Some(_) | None, None) => return,
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
fn rehearsals(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    if !host.complete {
        return;
    }
    for schedule in host.schedules.values().filter(|s| *s.enabled) {
        let Some(BackupRehearsal { guest, storage }) = schedule.rehearsal() else {
            continue;
        };
        let makes = |job: &Id<Schedule>, store: StoreRef| {
            let task = host.schedules[*job].backup();
            task.is_some_and(|task| task.storage.value == Some(store))
        };
        let mut jobs = facts.backups.jobs(guest.value).iter();
        let made = storage
            .value
            .is_none_or(|store| jobs.any(|job| makes(job, store)));
        if !made {
            let store = storage.value.map_or(String::new(), |store| {
                host.storage.store(store).name().value.clone()
            });
            let diagnostic = Diagnostic::new(
                Code::MOX0711,
                guest.span,
                format!(
                    "nothing backs up `{}` to `{store}`",
                    host.guests[guest.value].name.value
                ),
            )
            .also(storage.span, "the rehearsal looks here");
            let idle = idle_jobs(host).find(|(_, task, _)| {
                let held = task.guests.iter().any(|held| held == guest.value);
                held && task.storage.value == storage.value
            });
            sink.push(match idle {
                Some((job, task, why)) => {
                    let (place, reason, way) = idle_words(host, job, task, why);
                    diagnostic
                        .also(place, format!("`{}` would, {reason}", job.name.value))
                        .help(format!(
                            "{way}; or name a store that a backup of this guest goes to"
                        ))
                }
                None => diagnostic.help("name a store that a backup of this guest goes to"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{host, told};
    use super::*;

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
}
