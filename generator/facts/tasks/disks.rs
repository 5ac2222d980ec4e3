//! Disks: self-tests.

use jiff::SignedDuration;

use super::job::{Access, Job};
use super::kind::{About, Kind, Limit, Runs};
use super::usual;
use crate::model::{Host, SmartTest};

/// Has disks test themselves.
pub(super) fn smart_test<'a>(host: &Host, task: &'a SmartTest) -> Kind<'a> {
    let disks = task.disks.iter();
    let devices = disks.map(|id| host.hardware.disks[id.value].device.as_str());
    let job = Job::new("smart-test", Access::Disks)
        .args(["--kind", task.kind.as_str(), "--"])
        .args(devices);
    let about = About::Disks(&task.disks);
    Kind {
        about,
        runs: Runs::tool(job, about),
        look: None,
        estimate: SignedDuration::ZERO,
        limit: Limit::Run(usual::DISK_TEST),
        loss: None,
    }
}
