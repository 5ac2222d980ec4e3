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
