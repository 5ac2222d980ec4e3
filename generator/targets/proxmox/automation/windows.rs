//! Windows guests that the host updates, with a snapshot before it.

use super::job::{Access, Job};
use crate::model::{Guests, Host, Schedule};
use crate::value::Reboot;

/// Updates guests by their own scheduled task, which has the schedule's name; nothing where no guest is a Windows.
pub(super) fn update(
    host: &Host,
    schedule: &Schedule,
    guests: &Guests,
    reboot: Reboot,
    rollback: bool,
) -> Option<Job> {
    let vmids: Vec<String> = host
        .guests_of(guests)
        .map(|id| &host.guests[id])
        .filter(|guest| guest.windows().is_some())
        .map(|guest| guest.vmid.get().to_string())
        .collect();
    if vmids.is_empty() {
        return None;
    }
    let mut job = Job::new("windows-update", Access::System).args([
        "--task",
        &schedule.name.value,
        "--snapshot",
    ]);
    if rollback {
        job = job.args(["--rollback-on-failure"]);
    }
    if reboot == Reboot::IfNeeded {
        job = job.args(["--restart"]);
    }
    let limit = schedule.timeout.as_ref().and_then(|t| t.duration());
    if let Some(limit) = limit.filter(|limit| !limit.is_zero()) {
        // The tool's own limit is a guest's, and leaves it the time to go back.
        job = job.args(["--timeout", &limit.as_secs().max(1).to_string()]);
    }
    Some(job.args(["--"]).args(vmids))
}
