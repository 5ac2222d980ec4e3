//! Where in the tree a thing of the host stands, for who leads there.

use crate::model::{Guest, GuestKind, Host};
use crate::value::Platform;

/// Storages of Proxmox VE.
pub const STORAGES: &str = "proxmox/etc/pve/storage.cfg";
/// Jobs of Proxmox VE's scheduler.
pub const JOBS: &str = "proxmox/etc/pve/jobs.cfg";
/// Mappings of PCI functions.
pub const PCI: &str = "proxmox/etc/pve/mapping/pci.cfg";
/// Mappings of USB devices.
pub const USB: &str = "proxmox/etc/pve/mapping/usb.cfg";
/// What makes pools and datasets.
pub const POOLS: &str = "proxmox/storage/create.sh";

/// A file of the host's own, by its path on Debian: of a NixOS host it stands in its module.
pub fn of_host(host: &Host, debian: &str) -> String {
    match *host.platform {
        Platform::Proxmox => format!("proxmox/{debian}"),
        Platform::Nixos => format!("nixos/{}.nix", host.name.as_str()),
    }
}

/// The host's network.
pub fn interfaces(host: &Host) -> String {
    of_host(host, "etc/network/interfaces")
}

/// The guest of NixOS whose module would stand where that of a NixOS host does, on a file system without case, too.
pub fn module_namesake(host: &Host) -> Option<&Guest> {
    match *host.platform {
        Platform::Proxmox => None,
        Platform::Nixos => host.guests.values().find(|guest| {
            guest.nixos.is_some() && guest.name.eq_ignore_ascii_case(host.name.as_str())
        }),
    }
}

/// A guest's settings.
pub fn guest(guest: &Guest) -> String {
    let folder = match guest.kind {
        GuestKind::Vm(_) => "qemu-server",
        GuestKind::Container(_) => "lxc",
    };
    format!("proxmox/etc/pve/{folder}/{}.conf", guest.vmid.value)
}
