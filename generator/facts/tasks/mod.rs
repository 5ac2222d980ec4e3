//! What the host does at set times: the tool that each schedule runs, its words, and what it has to reach.
//!
//! The same for every platform: a host on Debian has units of these ([`automation`](crate::targets::proxmox::automation)),
//! a NixOS host the same in its module.

mod disks;
mod guests;
mod host_system;
mod job;
mod windows;
mod zfs;

use super::Facts;
use crate::model::{Schedule, Task};

pub use job::{Access, Job};

/// What runs on the host for a schedule; nothing where Proxmox VE or a guest does it.
pub fn job(facts: &Facts<'_>, schedule: &Schedule) -> Option<Job> {
    let host = facts.host;
    Some(match &schedule.task {
        Task::ProxmoxUpdate(task) => host_system::update(*task.reboot),
        Task::ProxmoxMaintenance => host_system::maintenance(),
        Task::ZfsSnapshot(task) => zfs::snapshot(host, &schedule.name, task),
        Task::ZfsScrub(task) => zfs::scrub(host, &task.pools),
        Task::ZfsTrim(task) => zfs::trim(host, &task.pools),
        Task::SmartTest(task) => disks::smart_test(host, task),
        Task::BackupRehearsal(task) => guests::rehearsal(facts, task),
        Task::WindowsUpdate(task) if *task.snapshot => windows::update(host, schedule, task)?,
        // A job of Proxmox VE's own scheduler.
        Task::VzdumpBackup(_)
        // A guest's own timer or scheduled task.
        | Task::NixosFlakeUpdate(_)
        | Task::WindowsUpdate(_)
        | Task::WindowsMaintenance(_) => return None,
    })
}

/// When such a look runs: after the guests' own, which is about noon.
pub const LOOK_AT: &str = "*-*-* 14:00";
/// How much later at most, at random.
pub const LOOK_DELAY: &str = "1h";

/// What looks each day for what a schedule would do, and does nothing; nothing where there is no such look.
pub fn look(facts: &Facts<'_>, schedule: &Schedule) -> Option<Job> {
    windows::check(facts.host, schedule)
}

/// How long systemd lets a schedule's service run. A service that runs once has no limit of its own (systemd.service(5),
/// `TimeoutStartSec`), and what hangs for ever holds its lock for ever: so each has one, far beyond what its work takes.
pub fn time_limit(schedule: &Schedule) -> String {
    let written = schedule.timeout.as_ref();
    match (&schedule.task, written) {
        // The tool that updates Windows keeps the time guest by guest: systemd would end it on its way back.
        (Task::WindowsUpdate(task), _) => {
            let one = written
                .and_then(|limit| limit.duration())
                .map_or(6, |limit| limit.as_secs().div_ceil(3_600));
            let guests = u64::try_from(task.guests.ids.len()).unwrap_or(u64::MAX);
            format!("{}h", guests.max(1).saturating_mul(one.saturating_add(2)))
        }
        (_, Some(limit)) => limit.value.to_string(),
        // A scrub reads every block of a pool; so much takes days where disks are large and busy.
        (Task::ZfsScrub(_), None) => "14d".to_owned(),
        // An archive of terabytes comes back at the speed of a network.
        (Task::BackupRehearsal(_) | Task::VzdumpBackup(_), None) => "2d".to_owned(),
        (
            Task::ProxmoxUpdate(_)
            | Task::NixosFlakeUpdate(_)
            | Task::ProxmoxMaintenance
            | Task::WindowsMaintenance(_)
            | Task::ZfsTrim(_),
            None,
        ) => "1d".to_owned(),
        // These start something, or take an instant.
        (Task::ZfsSnapshot(_) | Task::SmartTest(_), None) => "6h".to_owned(),
    }
}
