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

/// How long systemd lets a schedule's service run; none where it has all the time, or keeps the time itself.
pub fn time_limit(schedule: &Schedule) -> Option<String> {
    // The tool that updates Windows keeps the time guest by guest: systemd would end it on its way back.
    schedule
        .timeout
        .as_ref()
        .filter(|_| schedule.windows_update().is_none())
        .map(|limit| limit.value.to_string())
}
