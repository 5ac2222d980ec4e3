//! Disks: self-tests.

use jiff::SignedDuration;

use super::job::{Access, Job};
use super::kind::{About, Kind, Limit, Runs};
use crate::model::{Host, SmartTest};

/// Has disks test themselves.
pub(super) fn smart_test<'a>(host: &Host, task: &'a SmartTest) -> Kind<'a> {
    let disks = task.disks.iter();
    let devices = disks.map(|id| host.hardware.disks[id.value].device.as_str());
    let job = Job::new("smart-test", Access::Disks)
        .args(["--kind", task.kind.as_str(), "--"])
        .args(devices);
    Kind {
        about: About::Disks(&task.disks),
        runs: Runs::OnHost(job),
        look: None,
        estimate: SignedDuration::ZERO,
        // It starts the tests, and the disks go on by themselves.
        limit: Limit::Run("6h"),
        loss: None,
    }
}
