//! Backups: which jobs make any here, which guests they hold, and whose snapshots hold a guest's disks.

use std::collections::HashMap;

use super::{Volume, nodes};
use crate::model::{Dataset, Guest, Host, Id, Keep, Schedule, Store, VzdumpBackup};
use crate::pve::{PropertyString, PveOption};
use crate::source::{Span, Spanned};
use crate::value::ExternalKind;

/// Why a backup job makes no backups of this host's guests.
#[derive(Debug, Clone, Copy)]
pub enum Idle<'a> {
    /// It is switched off, here.
    Off(Span),
    /// It runs on the node that this option names, of the guests that are there.
    OnOtherNode(&'a PveOption),
    /// Its store is switched off, here.
    StoreOff(Span),
    /// Its store is on the nodes that this option names.
    StoreElsewhere(&'a PveOption),
}

/// The backup of a schedule that is a job, and what keeps it from making any.
pub fn job<'a>(
    host: &'a Host,
    schedule: &'a Schedule,
) -> Option<(&'a VzdumpBackup, Option<Idle<'a>>)> {
    let task = schedule.backup()?;
    Some((task, idle(host, schedule, task)))
}

/// The backup of a schedule that makes backups of this host's guests; none of a schedule of another task, of a job that
/// Proxmox VE does not run here, and of one whose store is not there.
pub fn running<'a>(host: &'a Host, schedule: &'a Schedule) -> Option<&'a VzdumpBackup> {
    let (task, idle) = job(host, schedule)?;
    idle.is_none().then_some(task)
}

fn idle<'a>(host: &'a Host, schedule: &Schedule, task: &'a VzdumpBackup) -> Option<Idle<'a>> {
    if !*schedule.enabled {
        return Some(Idle::Off(schedule.enabled.span));
    }
    if let Some(node) = nodes::other_node(host, task) {
        return Some(Idle::OnOtherNode(node));
    }
    let store = host.storage.store(task.storage.value?);
    if let Some(off) = store.disabled().filter(|off| ***off) {
        return Some(Idle::StoreOff(off.span));
    }
    nodes::elsewhere(host, store.schema()).map(Idle::StoreElsewhere)
}

/// What is kept of backups or snapshots.
#[derive(Debug, Clone, Copy)]
pub enum Kept {
    /// So many, by these rules.
    Rules(Spanned<Keep>),
    /// What a Proxmox Backup Server leaves, by prune jobs of its own.
    ByServer,
    /// All: nobody says anything.
    Unsaid,
}

/// What is kept of a job's backups: as the job says, else its store, else `vzdump.conf` (`PVE::VZDump::new`).
pub fn keep_of(host: &Host, task: &VzdumpBackup) -> Kept {
    let store = task.storage.value.map(|store| host.storage.store(store));
    let of_store = || store.and_then(|store| store.keep());
    let of_defaults = || rules_of(PveOption::find(&host.vzdump, "prune-backups")?);
    let keep = task.keep.or_else(of_store).or_else(of_defaults);
    let is_server = store.is_some_and(|store| match store {
        Store::External(external) => external.kind() == ExternalKind::Pbs,
        Store::Dataset(_) | Store::Lvm(_) | Store::Local(_) => false,
    });
    match keep {
        Some(keep) => Kept::Rules(keep),
        None if is_server => Kept::ByServer,
        None => Kept::Unsaid,
    }
}

/// The rules of an option `prune-backups`; none where it cannot be read, which is told where it is printed.
fn rules_of(option: &PveOption) -> Option<Spanned<Keep>> {
    let written = PropertyString::parse(&option.value.value).ok()?;
    // A rule that keeps nothing is none, and where there is no other all is kept (`validate_prune_backups`).
    let rule = |key: &str| written.get(key)?.parse().ok().filter(|number| *number > 0);
    let keep = Keep {
        last: rule("keep-last"),
        hourly: rule("keep-hourly"),
        daily: rule("keep-daily"),
        weekly: rule("keep-weekly"),
        monthly: rule("keep-monthly"),
        yearly: rule("keep-yearly"),
        all: false,
    };
    let all = keep.rules().next().is_none();
    Some(Spanned::new(Keep { all, ..keep }, option.value.span))
}

/// The copies that a host makes of its guests.
#[derive(Debug)]
pub struct Backups {
    /// For each guest, the jobs that hold it.
    jobs: Vec<Vec<Id<Schedule>>>,
    /// For each dataset, the schedules that take snapshots of the volumes in it.
    snapshots: Vec<Vec<Id<Schedule>>>,
    /// Where each of them names the dataset, or one above it.
    named: Vec<Vec<Span>>,
}

impl Backups {
    pub(super) fn of(host: &Host) -> Self {
        let mut jobs = vec![Vec::new(); host.guests.len()];
        let mut taken: HashMap<String, Vec<(Id<Schedule>, Span)>> = HashMap::new();
        for (id, schedule) in host.schedules.iter().filter(|(_, s)| *s.enabled) {
            if let Some(task) = running(host, schedule) {
                for guest in task.guests.iter() {
                    let own: &mut Vec<_> = &mut jobs[guest.index()];
                    if own.last() != Some(&id) {
                        own.push(id);
                    }
                }
            }
            // A volume lies below its dataset.
            if let Some(task) = schedule.snapshots().filter(|task| *task.recursive) {
                for dataset in &task.datasets {
                    let own = taken.entry(host.zfs_name(dataset.value)).or_default();
                    own.push((id, dataset.span));
                }
            }
        }
        let datasets = host.storage.datasets.iter();
        let snapshots = datasets.map(|(id, _)| {
            // With a dataset goes what lies below it.
            let name = host.zfs_name(id);
            let ends = name.match_indices('/').map(|(at, _)| at);
            let above = ends.chain([name.len()]).map(|end| &name[..end]);
            let mut all: Vec<_> = above
                .filter_map(|name| taken.get(name))
                .flatten()
                .copied()
                .collect();
            all.sort_by_key(|(id, _)| *id);
            all.dedup_by_key(|(id, _)| *id);
            all.into_iter().unzip()
        });
        let (snapshots, named) = snapshots.unzip();
        Self {
            jobs,
            snapshots,
            named,
        }
    }

    /// The jobs that make backups of a guest, in the order of the spec.
    pub fn jobs(&self, guest: Id<Guest>) -> &[Id<Schedule>] {
        &self.jobs[guest.index()]
    }

    /// The schedules that run and take snapshots of a volume, in the order of the spec.
    pub fn snapshots(&self, volume: &Volume) -> &[Id<Schedule>] {
        let of = |dataset: Id<Dataset>| self.snapshots[dataset.index()].as_slice();
        volume.dataset().map_or(&[], of)
    }

    /// The schedules that run and take snapshots of the volumes in a dataset, each with the place where it names the dataset
    /// or one above it.
    pub fn snapshots_in(
        &self,
        dataset: Id<Dataset>,
    ) -> impl Iterator<Item = (Id<Schedule>, Span)> + '_ {
        let places = self.named[dataset.index()].iter().copied();
        self.snapshots[dataset.index()].iter().copied().zip(places)
    }
}
