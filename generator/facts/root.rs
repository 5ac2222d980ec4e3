//! Where the root of a NixOS host lies, and what the host starts from.

use super::space::of_disks;
use crate::model::{Disk, Host, Id, Lvm, Pool};
use crate::source::Spanned;
use crate::value::ByteSize;

/// The dataset of the boot pool, or the logical volume, that holds the root.
pub const ROOT: &str = "root";
/// The logical volume that holds the swap.
pub const SWAP: &str = "swap";
/// What the firmware reads: a partition of the disk that the host starts from.
pub const ESP: ByteSize = ByteSize::gib(1);

/// What the root of a NixOS host lies in.
#[derive(Debug, Clone)]
pub enum Root<'a> {
    /// A ZFS pool.
    Pool(&'a Pool),
    /// A volume group of LVM.
    Group(RootGroup<'a>),
}

/// A volume group with the root in it.
#[derive(Debug, Clone)]
pub struct RootGroup<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is made of, in the order of the spec; nothing where it is there already.
    pub disks: Vec<Id<Disk>>,
    /// How large the root is; none where nothing tells, its disks being partitions.
    pub root: Option<ByteSize>,
    /// How large the swap is, where there is one.
    pub swap: Option<ByteSize>,
    /// What the firmware reads, on the disk that the host starts from; nothing where none is laid out as a whole.
    pub esp: ByteSize,
    /// The stores in it that have a thin pool.
    pub thin: Vec<&'a Lvm>,
}

/// Where the root of a NixOS host lies, where the spec tells.
pub fn of(host: &Host) -> Option<Root<'_>> {
    if let Some((_, pool)) = host.storage.boot_pool() {
        return Some(Root::Pool(pool));
    }
    let boots = host.storage.lvm.values().find(|lvm| *lvm.boot)?;
    let name = boots.group.as_str();
    let stores = || {
        host.storage
            .lvm
            .values()
            .filter(move |lvm| lvm.group.as_str() == name)
    };
    let said = |size: fn(&Lvm) -> Option<Spanned<ByteSize>>| stores().find_map(size);
    let mut disks = Vec::new();
    for disk in stores().flat_map(|lvm| &lvm.disks) {
        if !disks.contains(&disk.value) {
            disks.push(disk.value);
        }
    }
    // How large a partition is the spec does not tell.
    let mut whole = disks
        .iter()
        .map(|id| &host.hardware.disks[*id])
        .filter(|disk| disk.partition.is_none())
        .peekable();
    let has_whole = whole.peek().is_some();
    Some(Root::Group(RootGroup {
        name,
        root: said(|lvm| lvm.root_size)
            .map(|size| size.value)
            .or_else(|| has_whole.then(|| usual_root(of_disks(whole).size))),
        esp: if has_whole { ESP } else { ByteSize::default() },
        swap: said(|lvm| lvm.swap_size).map(|size| size.value),
        thin: stores().filter(|lvm| lvm.thin_pool.is_some()).collect(),
        disks,
    }))
}

/// As large as the installer of Proxmox VE makes it: a quarter of the whole disks, and at most 96 GiB. In whole GiB.
fn usual_root(disks: ByteSize) -> ByteSize {
    ByteSize::gib(((disks.as_bytes() / 4) >> 30).clamp(1, 96))
}

impl RootGroup<'_> {
    /// What the host itself takes of the disks.
    pub fn taken(&self) -> ByteSize {
        [Some(self.esp), self.root, self.swap]
            .into_iter()
            .flatten()
            .sum()
    }
}

/// The disks that a NixOS host starts from, on each of which disko makes an EFI system partition: those that its
/// boot pool has as a whole, or the first such one of its volume group, which no other disk could stand in for. The table of a
/// disk of which one partition is meant is somebody else's.
pub fn boot_disks(host: &Host) -> Vec<&Disk> {
    let (disks, most): (Vec<Id<Disk>>, usize) = match of(host) {
        Some(Root::Pool(pool)) => (
            pool.disks.iter().map(|disk| disk.value).collect(),
            usize::MAX,
        ),
        Some(Root::Group(group)) => (group.disks, 1),
        None => return Vec::new(),
    };
    disks
        .into_iter()
        .map(|id| &host.hardware.disks[id])
        .filter(|disk| disk.partition.is_none())
        .take(most)
        .collect()
}
