//! The drive letters of a Windows guest.
//!
//! Windows itself is on `C:`, on the first disk. Each further disk gets the next letter from `D:`, in the order of the
//! spec; letters of shared folders are left out. The first logon gives the discs in CD drives letters from the end of the
//! alphabet, since Windows hands them the first ones.

use crate::model::{Vm, VmDisk};
use crate::value::GuestPath;

/// The disks behind the first, each with its letter. One for which none is left is passed over.
pub fn of_disks(vm: &Vm) -> impl Iterator<Item = (char, &VmDisk)> {
    let shares: Vec<char> = of_shares(vm).collect();
    ('D'..='Z')
        .filter(move |letter| !shares.contains(letter))
        .zip(vm.disks.iter().skip(1))
}

/// The serial number by which a guest knows a disk: Windows counts its disks as it finds their controllers, so that a number
/// says nothing of which one it is. The spec's, else for Windows the disk's name; one that is installed already keeps what
/// it has. Proxmox VE takes 20 bytes.
pub fn serial(vm: &Vm, disk: &VmDisk) -> Option<String> {
    const MOST: usize = 20;
    if let Some(written) = &disk.serial {
        return Some(written.as_str().to_owned());
    }
    if vm.windows.is_none() || *vm.installed {
        return None;
    }
    let cut = |disk: &VmDisk| disk.name.chars().take(MOST).collect::<String>();
    let own = cut(disk);
    let taken = |other: &VmDisk| {
        let serial = other.serial.as_ref().map(|serial| serial.as_str());
        other.name != disk.name && serial.map_or_else(|| cut(other), str::to_owned) == own
    };
    if !vm.disks.iter().any(taken) {
        return Some(own);
    }
    let at = vm.disks.iter().position(|other| other.name == disk.name)?;
    Some(format!("moxc-disk{at}"))
}

/// The letters of shared folders.
pub fn of_shares(vm: &Vm) -> impl Iterator<Item = char> {
    vm.shares
        .iter()
        .filter_map(|share| match &share.mount.value {
            GuestPath::Drive(letter) => Some(*letter),
            GuestPath::Unix(_) | GuestPath::Windows(_) => None,
        })
}

/// The letter that a path begins with.
pub fn of_path(path: &GuestPath) -> Option<char> {
    match path {
        GuestPath::Unix(_) => None,
        GuestPath::Drive(letter) => Some(*letter),
        GuestPath::Windows(path) => path
            .chars()
            .next()
            .map(|letter| letter.to_ascii_uppercase()),
    }
}
