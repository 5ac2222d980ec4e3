//! Folders of the host inside virtual machines: who shares them, and under which tag.

use crate::model::{Host, Share, Vm};
use crate::pve::Release;
use crate::pve::since::MAPPED_FOLDERS;

/// The longest tag in bytes (`struct virtio_fs_config` of the virtio specification).
pub const LONGEST_TAG: usize = 36;

/// Whether Proxmox VE itself shares a folder in this release; else a hook script does.
pub fn is_native(release: Release, share: &Share) -> bool {
    release >= MAPPED_FOLDERS && !*share.read_only
}

/// Whether the hook script of a guest describes the guest's memory to QEMU (by `args`), so that its file must not (by `numa`). The
/// folders' memory must be a file that another process can map: huge pages are that already, and so is the memory of a guest with
/// `virtiofsN`.
pub fn hook_describes_memory(release: Release, vm: &Vm) -> bool {
    let has_mapped = vm.shares.iter().any(|share| is_native(release, share));
    !vm.shares.is_empty() && !has_mapped && vm.hugepages.is_none()
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
    } else if *host.release < MAPPED_FOLDERS {
        format!("mappings of folders are known from {MAPPED_FOLDERS} on; a hook script shares them")
    } else if shares.iter().all(|share| *share.read_only) {
        "no release maps a folder that the guest may only read; a hook script shares it".to_owned()
    } else {
        "Proxmox VE has no mapping of these names".to_owned()
    }
}
