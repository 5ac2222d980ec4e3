//! The drive letters of a Windows guest.
//!
//! Windows itself is on `C:`, on the first disk. Each further disk gets the next letter from `D:`, in the order of the
//! spec; letters of shared folders are left out. The first logon gives the discs in CD drives letters from the end of the
//! alphabet, since Windows hands them the first ones.

use crate::model::{Vm, VmDisk};
use crate::value::{Bus, GuestPath};

/// The disks beside the one that the guest boots from, each with its letter. One for which none is left is passed over.
pub fn of_disks(vm: &Vm) -> impl Iterator<Item = (char, &VmDisk)> {
    let system = vm.boot_disk().map(VmDisk::key);
    let shares: Vec<char> = of_shares(vm).collect();
    ('D'..='Z')
        .filter(move |letter| !shares.contains(letter))
        .zip(
            vm.disks
                .iter()
                .filter(move |disk| Some(disk.key()) != system),
        )
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

/// The buses for whose controllers Windows Setup has no driver, in the order in which `drivers.cmd` loads those of the
/// virtio-win disc.
pub const LOADED: [Bus; 2] = [Bus::Scsi, Bus::Virtio];

/// The number that Windows Setup gives the disk that Windows goes onto, which is the one that the guest boots from; nothing where that cannot be
/// told.
///
/// Windows numbers disks as it finds them: at the start of Windows PE those for which it brings a driver itself, then those
/// of each driver of the virtio-win disc, in the order of [`LOADED`]; on one bus by their slots.
/// Before anything is wiped, `disk.vbs` compares serial number and size, so that a wrong one stops the setup and no more.
pub fn setup_number(vm: &Vm) -> Option<u32> {
    let system = vm.boot_disk()?;
    // Those of Windows' own drivers come before all of them.
    let rank = |disk: &VmDisk| LOADED.iter().position(|bus| *bus == *disk.bus);
    // Which of the two controllers of Windows' own drivers comes first is nowhere promised.
    if vm
        .disks
        .iter()
        .any(|disk| rank(disk) == rank(system) && *disk.bus != *system.bus)
    {
        return None;
    }
    let place = |disk: &VmDisk| (rank(disk), disk.slot);
    let before = vm.disks.iter().filter(|disk| place(disk) < place(system));
    u32::try_from(before.count()).ok()
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::analysis::testing;

    fn number(disks: &[(&str, &str)]) -> Option<u32> {
        let mut text = String::from(
            "[storage.datasets]\nvm-disks = { pool = \"rpool\", use = \"vm-disks\" }\n\
             [vms.windows]\nos = \"windows11\"\nvmid = 100\nmemory = \"8 GiB\"\n[vms.windows.windows]\n[vms.windows.disks]\n",
        );
        for (name, more) in disks {
            writeln!(
                text,
                "{name} = {{ dataset = \"vm-disks\", size = \"64 GiB\"{more} }}"
            )
            .expect("a string takes all text");
        }
        let host = testing::host(&text);
        let guest = host.guests.values().next()?;
        setup_number(guest.vm()?)
    }

    #[test]
    fn setup_numbers_disks_by_driver_and_slot() {
        assert_eq!(number(&[("system", "")]), Some(0));
        assert_eq!(number(&[("system", ""), ("data", "")]), Some(0));
        let sata = ", bus = \"sata\"";
        let virtio = ", bus = \"virtio\"";
        // A driver of Windows itself comes before those of the virtio-win disc, and vioscsi before viostor.
        assert_eq!(number(&[("system", ""), ("data", sata)]), Some(1));
        assert_eq!(
            number(&[("system", virtio), ("data", sata), ("more", "")]),
            Some(2)
        );
        assert_eq!(number(&[("system", sata), ("data", virtio)]), Some(0));
        // On one bus the slots count, not the order of the spec.
        assert_eq!(
            number(&[("system", ", slot = 3"), ("data", ", slot = 1")]),
            Some(1)
        );
        // Which of Windows' own two comes first is nowhere promised.
        assert_eq!(
            number(&[("system", sata), ("data", ", bus = \"ide\"")]),
            None
        );
        assert_eq!(
            number(&[("system", ""), ("a", sata), ("b", ", bus = \"ide\"")]),
            Some(2)
        );
    }
}
