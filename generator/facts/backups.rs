//! Backups: which jobs that run hold a guest, and whose snapshots hold its disks.

use super::Volumes;
use crate::model::{Guest, Host, Id, Schedule};

/// The copies that a host makes of its guests.
#[derive(Debug)]
pub struct Backups {
    /// For each guest, the jobs that hold it.
    jobs: Vec<Vec<Id<Schedule>>>,
    /// For each guest, whether a schedule takes snapshots of a volume of it.
    snapshots: Vec<bool>,
}

impl Backups {
    pub(super) fn of(host: &Host, volumes: &Volumes) -> Self {
        let mut jobs = vec![Vec::new(); host.guests.len()];
        let mut taken = vec![false; host.storage.datasets.len()];
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
                    taken[dataset.value.index()] = true;
                }
            }
        }
        let holds = |(id, _): (Id<Guest>, &Guest)| {
            let mut volumes = volumes.of_guest(id).iter();
            volumes.any(|volume| volume.dataset().is_some_and(|id| taken[id.index()]))
        };
        Self {
            jobs,
            snapshots: host.guests.iter().map(holds).collect(),
        }
    }

    /// The jobs that run and hold a guest, in the order of the spec.
    pub fn jobs(&self, guest: Id<Guest>) -> &[Id<Schedule>] {
        &self.jobs[guest.index()]
    }

    /// Whether any job runs, whomever it holds.
    pub fn are_made(&self) -> bool {
        self.jobs.iter().any(|jobs| !jobs.is_empty())
    }

    /// Whether a schedule that runs takes snapshots of a volume of the guest.
    pub fn has_snapshots(&self, guest: Id<Guest>) -> bool {
        self.snapshots[guest.index()]
    }
}
