//! Folders of the host inside virtual machines: who shares them, and under which tag.

use crate::model::{Host, Share};
use crate::pve::Release;

/// The first release with directory mappings and `virtiofsN`.
const NATIVE_SINCE: Release = Release::new(8, 4);

/// The longest tag in bytes (`struct virtio_fs_config` of the virtio specification).
pub const LONGEST_TAG: usize = 36;

/// Whether Proxmox VE itself shares a folder in this release; else a hook script does.
pub fn is_native(release: Release, share: &Share) -> bool {
    release >= NATIVE_SINCE && !*share.read_only
}

/// The tag by which the guest mounts a shared folder.
pub fn tag<'a>(host: &'a Host, share: &Share) -> &'a str {
    &host.storage.datasets[share.dataset.value].name.value
}
