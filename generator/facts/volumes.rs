//! Which volume each disk of a guest is.
//!
//! A written `.conf` and a `qm create` or `pct create` of the same guest must agree, and so must a restore, a rollback
//! and a snapshot. So volumes are numbered as Proxmox VE allocates them: the drives of a virtual machine in the ASCII
//! order of their keys (`efidisk0`, `scsi0`, `scsi1`, `scsi10`, `scsi2`, `tpmstate0`), those of a container `rootfs`
//! first and then its mounts in order, each with the lowest number that is free for the guest in its storage.

use std::collections::BTreeMap;

use crate::model::{Dataset, Guest, GuestKind, Host, Id, MountSource, Vm};
use crate::pve::DiskSize;
use crate::value::{ByteSize, DatasetUse, Firmware};

/// A volume of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The option that names it in the guest's file: `scsi0`, `rootfs`, `mp1`.
    pub key: String,
    /// The dataset that it lies in; the storage has the same name.
    pub dataset: Id<Dataset>,
    /// Its name in the storage: `vm-111-disk-0`.
    pub name: String,
    /// Its size as Proxmox VE makes it.
    pub size: DiskSize,
    /// What it is for.
    pub role: VolumeRole,
    /// Whether backups hold it.
    pub backup: bool,
}

/// What a volume is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VolumeRole {
    /// The firmware's settings.
    Efi,
    /// The state of the TPM.
    Tpm,
    /// A disk, by its place in the spec.
    Disk(usize),
    /// A container's root file system.
    Rootfs,
    /// A further file system of a container, by its place in the spec.
    Mount(usize),
}

impl Volume {
    /// As Proxmox VE names it: `vm-disks:vm-111-disk-0`.
    pub fn id(&self, host: &Host) -> String {
        format!(
            "{}:{}",
            host.storage.datasets[self.dataset].name.value, self.name
        )
    }

    /// As ZFS names it: `rpool/vm-disks/vm-111-disk-0`.
    pub fn zfs_name(&self, host: &Host) -> String {
        format!("{}/{}", host.zfs_name(self.dataset), self.name)
    }
}

/// The volumes of every guest of a host.
#[derive(Debug, Clone)]
pub struct Volumes {
    guests: Vec<Vec<Volume>>,
}

impl Volumes {
    /// The volumes of a host's guests.
    pub fn of(host: &Host) -> Self {
        Self {
            guests: host
                .guests
                .values()
                .map(|guest| allocate(host, guest))
                .collect(),
        }
    }

    /// The volumes of one guest, in the order in which they are allocated.
    pub fn of_guest(&self, guest: Id<Guest>) -> &[Volume] {
        &self.guests[guest.index()]
    }

    /// The volume of one guest that an option names.
    pub fn find(&self, guest: Id<Guest>, key: &str) -> Option<&Volume> {
        self.of_guest(guest).iter().find(|volume| volume.key == key)
    }
}

/// Whether a virtual machine keeps the settings of its firmware, and in which dataset: beside its first disk.
pub fn efi_dataset(host: &Host, vm: &Vm) -> Option<Id<Dataset>> {
    match *vm.firmware {
        Firmware::Ovmf => state_dataset(host, vm),
        Firmware::Seabios => None,
    }
}

/// Where the state of a virtual machine's TPM lies: beside its first disk.
pub fn tpm_dataset(host: &Host, vm: &Vm) -> Option<Id<Dataset>> {
    if *vm.tpm {
        state_dataset(host, vm)
    } else {
        None
    }
}

fn state_dataset(host: &Host, vm: &Vm) -> Option<Id<Dataset>> {
    let of_first = vm.disks.first().map(|disk| disk.dataset.value);
    of_first.or_else(|| {
        let mut datasets = host.storage.datasets.iter();
        datasets
            .find(|(_, dataset)| dataset.is_for(DatasetUse::VmDisks))
            .map(|(id, _)| id)
    })
}

/// The OVMF variables of 4 MB flash take 528 KiB; a zvol is rounded up to 1 MiB (`ZFSPoolPlugin::zfs_create_zvol`).
const EFI_SIZE: u64 = 1 << 20;
/// `PVE::QemuServer::Drive`: the size of a TPM's state.
const TPM_SIZE: u64 = 4 << 20;

/// The size that a volume of a ZFS storage gets: whole MiB (`ZFSPoolPlugin::zfs_create_zvol` aligns it).
fn volume_size(size: ByteSize) -> DiskSize {
    DiskSize::from_bytes(
        size.as_bytes()
            .div_ceil(1 << 20)
            .max(1)
            .saturating_mul(1 << 20),
    )
}

/// A volume that waits for its number.
struct Wanted {
    key: String,
    dataset: Id<Dataset>,
    size: DiskSize,
    role: VolumeRole,
    backup: bool,
}

fn allocate(host: &Host, guest: &Guest) -> Vec<Volume> {
    let (prefix, wanted) = match &guest.kind {
        GuestKind::Vm(vm) => ("vm", wanted_by_vm(host, vm)),
        GuestKind::Container(container) => {
            let rootfs = Wanted {
                key: "rootfs".to_owned(),
                dataset: container.rootfs.value,
                size: volume_size(*container.rootfs_size),
                role: VolumeRole::Rootfs,
                backup: true,
            };
            let mounts = container
                .mounts
                .iter()
                .enumerate()
                .filter_map(|(at, mount)| match &mount.source {
                    MountSource::Volume { dataset, size } => Some(Wanted {
                        key: format!("mp{}", mount.slot),
                        dataset: dataset.value,
                        size: volume_size(**size),
                        role: VolumeRole::Mount(at),
                        backup: *mount.backup,
                    }),
                    MountSource::Share(_) | MountSource::HostPath(_) => None,
                });
            ("subvol", std::iter::once(rootfs).chain(mounts).collect())
        }
    };
    let mut next: BTreeMap<Id<Dataset>, u32> = BTreeMap::new();
    let volumes = wanted.into_iter().map(|wanted| {
        let number = next.entry(wanted.dataset).or_default();
        let name = format!("{prefix}-{}-disk-{number}", *guest.vmid);
        *number += 1;
        Volume {
            key: wanted.key,
            dataset: wanted.dataset,
            name,
            size: wanted.size,
            role: wanted.role,
            backup: wanted.backup,
        }
    });
    volumes.collect()
}

fn wanted_by_vm(host: &Host, vm: &Vm) -> Vec<Wanted> {
    let disks = vm.disks.iter().enumerate().map(|(at, disk)| Wanted {
        key: disk.key(),
        dataset: disk.dataset.value,
        size: volume_size(*disk.size),
        role: VolumeRole::Disk(at),
        backup: *disk.backup,
    });
    let state = |key: &str, dataset: Option<Id<Dataset>>, size, role| {
        dataset.map(|dataset| Wanted {
            key: key.to_owned(),
            dataset,
            size: DiskSize::from_bytes(size),
            role,
            backup: true,
        })
    };
    let efi = state("efidisk0", efi_dataset(host, vm), EFI_SIZE, VolumeRole::Efi);
    let tpm = state(
        "tpmstate0",
        tpm_dataset(host, vm),
        TPM_SIZE,
        VolumeRole::Tpm,
    );
    let mut wanted: Vec<Wanted> = disks.chain(efi).chain(tpm).collect();
    // `qm create` goes through the options sorted as text: scsi10 comes before scsi2.
    wanted.sort_by(|a, b| a.key.cmp(&b.key));
    wanted
}
