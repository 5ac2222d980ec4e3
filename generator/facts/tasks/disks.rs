//! Disks: self-tests.

use super::job::{Access, Job};
use crate::model::{Host, SmartTest};

/// Has disks test themselves.
pub(super) fn smart_test(host: &Host, task: &SmartTest) -> Job {
    Job::new("smart-test", Access::Disks)
        .args(["--kind", task.kind.as_str(), "--"])
        .args(
            task.disks
                .iter()
                .map(|id| host.hardware.disks[id.value].device.as_str()),
        )
}
