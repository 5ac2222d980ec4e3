//! The host's own system: updates, tidying up.

use jiff::SignedDuration;

use super::job::{Access, Job};
use super::kind::{About, Kind, Limit, Runs};
use super::usual;
use crate::model::ProxmoxUpdate;

/// Brings the host's packages up to date.
pub(super) fn update(task: &ProxmoxUpdate) -> Kind<'static> {
    let job = Job::new("proxmox-update", Access::System);
    of_host(job.args(["--reboot", task.reboot.as_str()]))
}

/// Removes what is old, and reports how pools and disks are.
pub(super) fn maintenance() -> Kind<'static> {
    of_host(Job::new("proxmox-maintenance", Access::System))
}

fn of_host(job: Job) -> Kind<'static> {
    Kind {
        about: About::Host,
        runs: Runs::OnHost(job),
        look: None,
        // Packages are fetched and unpacked within half an hour.
        estimate: SignedDuration::from_mins(30),
        limit: Limit::Run(usual::UPDATE),
        loss: None,
    }
}
