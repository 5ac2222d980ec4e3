//! Windows guests that the host updates, with a snapshot before it.

use super::job::{Access, Job};
use crate::model::{Host, Schedule, WindowsUpdate};
use crate::value::Reboot;

/// The numbers of a task's guests; nothing where there is no Windows guest.
fn vmids(host: &Host, task: &WindowsUpdate) -> Option<Vec<String>> {
    let vmids: Vec<String> = task
        .guests
        .iter()
        .map(|id| host.guests[id].vmid.get().to_string())
        .collect();
    (!vmids.is_empty()).then_some(vmids)
}

/// Looks which updates wait in the guests of a schedule that installs some, and whether one wants a person.
pub(super) fn check(host: &Host, schedule: &Schedule) -> Option<Job> {
    let vmids = vmids(host, schedule.windows_update()?)?;
    let job = Job::new("windows-update", Access::System);
    Some(job.args(["--check", "--"]).args(vmids))
}

/// Updates guests by their own scheduled task, which has the schedule's name; nothing where there is no Windows guest.
pub(super) fn update(host: &Host, schedule: &Schedule, task: &WindowsUpdate) -> Option<Job> {
    let vmids = vmids(host, task)?;
    let mut job = Job::new("windows-update", Access::System).args([
        "--task",
        &schedule.name.value,
        "--snapshot",
    ]);
    if *task.rollback {
        job = job.args(["--rollback-on-failure"]);
    }
    if *task.reboot == Reboot::IfNeeded {
        job = job.args(["--restart"]);
    }
    let limit = schedule.timeout.as_ref().and_then(|t| t.duration());
    if let Some(limit) = limit.filter(|limit| !limit.is_zero()) {
        // The tool's own limit is a guest's, and leaves it the time to go back.
        job = job.args(["--timeout", &limit.as_secs().max(1).to_string()]);
    }
    Some(job.args(["--"]).args(vmids))
}
