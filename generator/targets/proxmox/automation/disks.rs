//! Disks: self-tests.

use super::job::{Access, Job};
use crate::model::{Disk, Host, Id};
use crate::source::Spanned;
use crate::value::SmartKind;

/// Has disks test themselves.
pub(super) fn smart_test(host: &Host, disks: &[Spanned<Id<Disk>>], kind: SmartKind) -> Job {
    Job::new("smart-test", Access::Disks)
        .args(["--kind", kind.as_str(), "--"])
        .args(
            disks
                .iter()
                .map(|id| host.hardware.disks[id.value].device.as_str()),
        )
}
