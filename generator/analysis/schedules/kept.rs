//! What backups and snapshots hold, and for how long: guests that no backup covers, holes in what is kept, stores that do
//! not hold what they are to, rehearsals of backups that nobody makes.

use std::collections::HashSet;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::space::pool_offers;
use crate::model::{
    BackupRehearsal, ExternalPlace, Guest, GuestKind, Host, Id, Keep, Kept, MountSource, Placement,
    Schedule, StoreRef, VzdumpBackup,
};
use crate::source::Spanned;
use crate::value::ByteSize;

pub(super) fn check(host: &Host, sink: &mut Sink) {
    coverage(host, sink);
    unwanted(host, sink);
    for schedule in host.schedules.values() {
        retention(host, schedule, sink);
        growth(host, schedule, sink);
    }
    rehearsals(host, sink);
}

/// Guests that no backup covers, though they do not say that they want none.
fn coverage(host: &Host, sink: &mut Sink) {
    // A schedule that was not understood might cover them.
    if !host.complete {
        return;
    }
    // A job that is kept word for word may cover them, too.
    let keeps_jobs = |kept: &Kept| kept.path.as_str() == "etc/pve/jobs.cfg";
    if host.kept.iter().any(keeps_jobs) {
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
        let diagnostic = Diagnostic::new(
            Code::MOX0707,
            guest.name.span,
            format!("no backup covers `{}`", guest.name.value),
        );
        let off = switched_off(host).find(|(_, task)| task.guests.iter().any(|held| held == id));
        sink.push(match off {
            Some((job, _)) => off_here(job, diagnostic).help(format!(
                "switch `{}` on again: remove `enabled = false`; or write `backup = false` in the guest's table if it needs none",
                job.name.value
            )),
            None if jobs == 0 => diagnostic.help("add a schedule with `task = \"vzdump-backup\"`; or write `backup = false` in the guest's table if it needs none"),
            None => diagnostic.help("add it to a backup's `guests`; or write `backup = false` in its table if it needs none"),
        });
    }
}

/// The backup jobs that would run, were they not switched off.
fn switched_off(host: &Host) -> impl Iterator<Item = (&Schedule, &VzdumpBackup)> {
    let off = host.schedules.values().filter(|job| !*job.enabled);
    off.filter_map(|job| Some((job, job.backup()?)))
}

/// Shows the job that would have done it.
fn off_here(job: &Schedule, diagnostic: Diagnostic) -> Diagnostic {
    let name = &job.name.value;
    diagnostic.also(
        job.enabled.span,
        format!("`{name}` would, and is switched off"),
    )
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
    let running = || host.schedules.values().filter(|s| *s.enabled);
    let made: HashSet<(StoreRef, Id<Guest>)> = running()
        .filter_map(Schedule::backup)
        .filter_map(|task| Some((task.storage.value?, &task.guests)))
        .flat_map(|(store, guests)| guests.iter().map(move |id| (store, id)))
        .collect();
    for schedule in running() {
        let Some(BackupRehearsal { guest, storage }) = schedule.rehearsal() else {
            continue;
        };
        let made = storage
            .value
            .is_none_or(|store| made.contains(&(store, guest.value)));
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
            let off = switched_off(host).find(|(_, task)| {
                let held = task.guests.iter().any(|held| held == guest.value);
                held && task.storage.value == storage.value
            });
            sink.push(match off {
                Some((job, _)) => off_here(job, diagnostic).help(format!(
                    "switch `{}` on again: remove `enabled = false`; or name a store that a backup of this guest goes to",
                    job.name.value
                )),
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
