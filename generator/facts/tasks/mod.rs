//! What the host does at set times: for each schedule who runs it, with which words, how long it may take, and what it is about.
//!
//! [`kind_of`] is the one place that asks each kind of task, and a [`Kind`] has no defaults: a new one says all of it. The
//! same for every platform: a host on Debian has units of these
//! ([`automation`](crate::targets::proxmox::automation)), a NixOS host the same in its module.

mod disks;
mod guests;
mod host_system;
mod job;
mod kind;
pub mod usual;
mod windows;
mod zfs;

use jiff::SignedDuration;

use super::{Volumes, tree};
use crate::calendar::TimeSpan;
use crate::model::{Host, Id, Schedule, Task};
use crate::source::Spanned;

pub use job::{Access, Job};
pub use kind::{About, Loss, Runs};
use kind::{Kind, Limit};

/// What follows from each schedule.
#[derive(Debug)]
pub struct Tasks<'a>(Vec<Work<'a>>);

/// What follows from a schedule.
#[derive(Debug)]
pub struct Work<'a> {
    /// What it is about.
    pub about: About<'a>,
    /// Who runs it.
    pub runs: Runs,
    /// What looks each day for what it would do, and does nothing.
    pub look: Option<Job>,
    /// The file of the tree that has it run; none where nothing is left to run.
    pub file: Option<String>,
    /// From its start on, how long a run may be under way, its random delay included: what the spec allows it, else an
    /// estimate on the long side of what is common; none where the spec sets it no end.
    pub reach: Option<SignedDuration>,
    /// How long systemd lets its service run (`TimeoutStartSec` of systemd.service(5)). A service that runs once has no limit
    /// of its own, and what hangs for ever holds its lock for ever: so each has one, far beyond what its work takes.
    pub time_limit: String,
    /// What is lost where the host restarts in the midst of a run.
    pub loss: Option<Loss>,
}

impl<'a> Tasks<'a> {
    /// Asks each schedule's kind.
    pub(super) fn of(host: &'a Host, volumes: &Volumes) -> Self {
        let schedules = host.schedules.values();
        Self(
            schedules
                .map(|schedule| Work::of(host, volumes, schedule))
                .collect(),
        )
    }

    /// What follows from a schedule.
    pub fn of_schedule(&self, id: Id<Schedule>) -> &Work<'a> {
        &self.0[id.index()]
    }
}

impl<'a> Work<'a> {
    fn of(host: &Host, volumes: &Volumes, schedule: &'a Schedule) -> Self {
        let Kind {
            about,
            runs,
            look,
            estimate,
            limit,
            loss,
        } = kind_of(host, volumes, schedule);
        let span = |written: &Spanned<TimeSpan>| SignedDuration::try_from(written.duration()?).ok();
        let takes = schedule.timeout.as_ref().map_or(Some(estimate), span);
        let delay = schedule.random_delay.as_ref();
        let delay = delay.map_or(Some(SignedDuration::ZERO), span);
        Self {
            file: file_of(host, schedule, &runs),
            about,
            runs,
            look,
            reach: takes
                .zip(delay)
                .and_then(|(takes, delay)| takes.checked_add(delay)),
            time_limit: time_limit(schedule, limit),
            loss,
        }
    }

    /// What runs on the host; nothing where Proxmox VE or a guest does it.
    pub fn job(&self) -> Option<&Job> {
        match &self.runs {
            Runs::OnHost(job) => Some(job),
            Runs::AsBackupJob | Runs::InNixos | Runs::InWindows | Runs::Nowhere => None,
        }
    }
}

/// What each kind of task says of itself.
fn kind_of<'a>(host: &Host, volumes: &Volumes, schedule: &'a Schedule) -> Kind<'a> {
    match &schedule.task {
        Task::ProxmoxUpdate(task) => host_system::update(task),
        Task::ProxmoxMaintenance => host_system::maintenance(),
        Task::VzdumpBackup(task) => guests::backup(task),
        Task::BackupRehearsal(task) => guests::rehearsal(host, volumes, task),
        Task::ZfsSnapshot(task) => zfs::snapshot(host, &schedule.name, task),
        Task::ZfsScrub(task) => zfs::scrub(host, task),
        Task::ZfsTrim(task) => zfs::trim(host, task),
        Task::SmartTest(task) => disks::smart_test(host, task),
        Task::NixosFlakeUpdate(task) => guests::nixos_update(task),
        Task::WindowsUpdate(task) => windows::update(host, schedule, task),
        Task::WindowsMaintenance(task) => windows::maintenance(task),
    }
}

/// The file that has a schedule run; none where no guest is left that it is about.
fn file_of(host: &Host, schedule: &Schedule, runs: &Runs) -> Option<String> {
    let name = schedule.name.value.as_str();
    let first = || {
        let id = schedule.task.guests()?.iter().next()?;
        Some(host.guests[id].name.value.as_str())
    };
    Some(match runs {
        Runs::OnHost(_) => tree::of_host(host, &format!("etc/systemd/system/moxc-{name}.timer")),
        Runs::AsBackupJob => tree::JOBS.to_owned(),
        Runs::InNixos => format!("nixos/{}.nix", first()?),
        Runs::InWindows => format!("windows/{}/tasks/{name}.xml", first()?),
        Runs::Nowhere => return None,
    })
}

fn time_limit(schedule: &Schedule, limit: Limit) -> String {
    let written = schedule.timeout.as_ref();
    match (limit, written) {
        (_, Some(limit)) if limit.value.is_infinite() => limit.value.to_string(),
        (Limit::EachGuest { guests }, _) => {
            let one = written
                .and_then(|limit| limit.duration())
                .map_or(6, |limit| limit.as_secs().div_ceil(3_600));
            let guests = u64::try_from(guests).unwrap_or(u64::MAX);
            format!("{}h", guests.max(1).saturating_mul(one.saturating_add(2)))
        }
        (Limit::Run(_), Some(limit)) => limit.value.to_string(),
        (Limit::Run(limit), None) => limit.to_owned(),
    }
}

/// When a [look](Work::look) runs: after the guests' own, which is about noon.
pub const LOOK_AT: &str = "*-*-* 14:00";
/// How much later at most, at random.
pub const LOOK_DELAY: &str = "1h";
