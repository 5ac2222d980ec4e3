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

/// Why Proxmox VE itself shares no folder of this host.
pub fn why_none_is_mapped(host: &Host) -> String {
    let shares: Vec<&Share> = host.vms().flat_map(|(_, _, vm)| &vm.shares).collect();
    if shares.is_empty() {
        "no guest shares a folder of the host".to_owned()
    } else if *host.release < NATIVE_SINCE {
        format!("mappings of folders are known from {NATIVE_SINCE} on; a hook script shares them")
    } else if shares.iter().all(|share| *share.read_only) {
        "no release maps a folder that the guest may only read; a hook script shares it".to_owned()
    } else {
        "Proxmox VE has no mapping of these names".to_owned()
    }
}
