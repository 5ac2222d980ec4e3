//! Windows guests: updates, which the host may drive with a snapshot before them, and tidying up.

use std::time::Duration;

use jiff::SignedDuration;

use super::job::{Access, Job};
use super::kind::{About, Kind, Limit, Loss, Runs};
use super::usual;
use crate::model::{Host, Schedule, TaskGuests, WindowsMaintenance, WindowsUpdate};
use crate::value::Reboot;

/// The longest that the tool waits for an update.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Updates guests by their own scheduled task, which has the schedule's name.
pub(super) fn update<'a>(host: &Host, schedule: &Schedule, task: &'a WindowsUpdate) -> Kind<'a> {
    let is_idle = task.guests.ids.is_empty();
    let kind = in_guests(&task.guests);
    Kind {
        runs: if *task.snapshot && !is_idle {
            Runs::OnHost(drive(host, schedule, task))
        } else {
            kind.runs
        },
        look: (!is_idle).then(|| look(host, &task.guests)),
        limit: Limit::EachGuest {
            guests: task.guests.ids.len(),
        },
        loss: (!is_idle).then_some(Loss::Guests),
        ..kind
    }
}

/// Tidies guests by their own scheduled task.
pub(super) fn maintenance(task: &WindowsMaintenance) -> Kind<'_> {
    in_guests(&task.guests)
}

fn in_guests(guests: &TaskGuests) -> Kind<'_> {
    Kind {
        about: About::Guests(&guests.ids),
        runs: if guests.ids.is_empty() {
            Runs::Nowhere
        } else {
            Runs::InWindows
        },
        look: None,
        // What has changed is fetched and installed within half an hour.
        estimate: SignedDuration::from_mins(30),
        limit: Limit::Run(usual::UPDATE),
        loss: None,
    }
}

fn vmids(host: &Host, guests: &TaskGuests) -> impl Iterator<Item = String> {
    guests
        .iter()
        .map(|id| host.guests[id].vmid.get().to_string())
}

/// Looks which updates wait in guests, and whether one wants a person.
fn look(host: &Host, guests: &TaskGuests) -> Job {
    let job = Job::new("windows-update", Access::System);
    job.args(["--check", "--"]).args(vmids(host, guests))
}

/// Has each guest run its task, with a snapshot before it.
fn drive(host: &Host, schedule: &Schedule, task: &WindowsUpdate) -> Job {
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
    let limit = schedule.timeout.as_ref();
    // The tool counts seconds, and looks every few of them: a year is as good as no end.
    let limit = limit.map(|limit| limit.duration().unwrap_or(A_YEAR));
    if let Some(limit) = limit.filter(|limit| !limit.is_zero()) {
        // The tool's own limit is a guest's, and leaves it the time to go back.
        let seconds = limit.min(A_YEAR).as_secs().max(1);
        job = job.args(["--timeout", &seconds.to_string()]);
    }
    job.args(["--"]).args(vmids(host, &task.guests))
}
