//! Backups: which jobs that run hold a guest, and whose snapshots hold its disks.

use std::collections::HashMap;

use super::Volume;
use crate::model::{Dataset, Guest, Host, Id, Schedule};
use crate::source::Span;

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
            if let Some(task) = schedule.backup() {
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

    /// The jobs that run and hold a guest, in the order of the spec.
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
