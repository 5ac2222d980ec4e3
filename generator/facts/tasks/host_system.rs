//! The host's own system: updates, tidying up.

use super::job::{Access, Job};
use crate::value::Reboot;

/// Brings the host's packages up to date.
pub(super) fn update(reboot: Reboot) -> Job {
    Job::new("proxmox-update", Access::System).args(["--reboot", reboot.as_str()])
}

/// Removes what is old, and reports how pools and disks are.
pub(super) fn maintenance() -> Job {
    Job::new("proxmox-maintenance", Access::System)
}
