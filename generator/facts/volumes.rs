//! Which volume each disk of a guest is.
//!
//! A written `.conf` and a `qm create` or `pct create` of the same guest must agree, and so must a restore, a rollback
//! and a snapshot. So volumes are numbered as Proxmox VE allocates them: the drives of a virtual machine in the ASCII
//! order of their keys (`efidisk0`, `scsi0`, `scsi1`, `scsi10`, `scsi2`, `tpmstate0`), those of a container `rootfs`
//! first and then its mounts in order, each with the lowest number that is free for the guest in its storage. A volume
//! that the spec gives by its name has that name, and its number is not free.

use std::collections::{BTreeMap, BTreeSet};

use crate::each::map;
use crate::model::{
    Container, Dataset, Guest, GuestKind, Host, Id, Import, Medium, MountSource, Placement,
    StoreRef, Vm, VolumeSource,
};
use crate::pve::{DiskSize, PveOption};
use crate::value::{ByteSize, Choice, ImageFormat};

/// A volume of a guest.
#[derive(Debug, Clone)]
pub struct Volume {
    /// The option that names it in the guest's file: `scsi0`, `rootfs`, `mp1`.
    pub key: String,
    /// The store that it lies in.
    pub store: StoreRef,
    /// Its name in the store: `vm-111-disk-0`, `111/vm-111-disk-0.qcow2`.
    pub name: String,
    /// Its size as Proxmox VE makes it; none of one that is there already where the spec does not tell.
    pub size: Option<DiskSize>,
    /// The format of its image, on a store that has several.
    pub format: Option<ImageFormat>,
    /// Whether it is there already: then nothing makes it.
    pub exists: bool,
    /// What fills it when it is made.
    pub import: Option<Import>,
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
        format!("{}:{}", self.store_name(host), self.name)
    }

    /// The name of its store.
    pub fn store_name<'a>(&self, host: &'a Host) -> &'a str {
        &host.storage.store(self.store).name().value
    }

    /// The dataset that it lies in, where it lies in one.
    pub fn dataset(&self) -> Option<Id<Dataset>> {
        match self.store {
            StoreRef::Dataset(id) => Some(id),
            StoreRef::Lvm(_) | StoreRef::External(_) | StoreRef::Local => None,
        }
    }

    /// As ZFS names it, where it lies in a dataset: `rpool/vm-disks/vm-111-disk-0`.
    pub fn zfs_name(&self, host: &Host) -> Option<String> {
        let dataset = self.dataset()?;
        Some(format!("{}/{}", host.zfs_name(dataset), self.name))
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
        let given = given_names(host);
        Self {
            guests: map(host.guests.values().collect(), |guest| {
                allocate(host, guest, &given)
            }),
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

/// An extent of LVM, to which it rounds every volume up (`lvm.conf`, `vgcreate --physicalextentsize`).
const LVM_EXTENT: u64 = 4 << 20;

/// The size that a store gives a volume. Proxmox VE counts the disks that it makes in whole MiB
/// (`ZFSPoolPlugin::zfs_create_zvol`, `RBDPlugin::alloc_image`, `PVE::LXC::create_disks`).
fn volume_size(medium: Medium, size: ByteSize, role: VolumeRole) -> DiskSize {
    let unit = match (medium, role) {
        (Medium::Lvm | Medium::LvmThin, _) => LVM_EXTENT,
        // The file of OVMF's variables is copied as it is.
        (Medium::Files | Medium::Btrfs, VolumeRole::Efi | VolumeRole::Tpm) => 1 << 10,
        (
            Medium::Zfs
            | Medium::Files
            | Medium::Btrfs
            | Medium::Rbd
            | Medium::Luns
            | Medium::Nothing,
            _,
        ) => 1 << 20,
    };
    DiskSize::from_bytes(size.as_bytes().div_ceil(unit).max(1).saturating_mul(unit))
}

/// The format of a new image in a store, where it has several: as the spec says, or the store's own. Proxmox VE mounts
/// containers from raw files alone (`PVE::LXC::alloc_disk`), and a TPM's state is one.
fn image_format(host: &Host, placement: &Placement, role: VolumeRole) -> Option<ImageFormat> {
    let store = host.storage.store(placement.store.value);
    let VolumeSource::New { format, .. } = &placement.volume else {
        return None;
    };
    match store.medium() {
        Medium::Files => {
            let own = || {
                let own = PveOption::find(store.schema(), "format")?;
                ImageFormat::of(&own.value)
            };
            Some(match role {
                VolumeRole::Tpm | VolumeRole::Rootfs | VolumeRole::Mount(_) => ImageFormat::Raw,
                VolumeRole::Efi | VolumeRole::Disk(_) => format
                    .map(|format| format.value)
                    .or_else(own)
                    .unwrap_or(ImageFormat::Raw),
            })
        }
        Medium::Btrfs => Some(ImageFormat::Raw),
        Medium::Lvm => match role {
            VolumeRole::Tpm | VolumeRole::Rootfs | VolumeRole::Mount(_) => None,
            VolumeRole::Efi | VolumeRole::Disk(_) => format
                .map(|format| format.value)
                .or_else(|| store.is_volume_chain().then_some(ImageFormat::Qcow2))
                .filter(|format| *format != ImageFormat::Raw),
        },
        Medium::Zfs | Medium::LvmThin | Medium::Rbd | Medium::Luns | Medium::Nothing => None,
    }
}

/// The name of a new volume (`PVE::Storage::Plugin::get_next_vm_diskname` and its like).
fn volume_name(medium: Medium, guest: &Guest, number: u32, format: Option<ImageFormat>) -> String {
    let vmid = *guest.vmid;
    let prefix = match (&guest.kind, medium) {
        (GuestKind::Container(_), Medium::Zfs) => "subvol",
        (GuestKind::Container(_) | GuestKind::Vm(_), _) => "vm",
    };
    let plain = format!("{prefix}-{vmid}-disk-{number}");
    match (medium, format) {
        (Medium::Files | Medium::Btrfs, format) => {
            format!("{vmid}/{plain}.{}", format.unwrap_or(ImageFormat::Raw))
        }
        (Medium::Lvm, Some(format)) => format!("{plain}.{format}"),
        (
            Medium::Zfs
            | Medium::Lvm
            | Medium::LvmThin
            | Medium::Rbd
            | Medium::Luns
            | Medium::Nothing,
            _,
        ) => plain,
    }
}

/// Whose a volume is, by the VMID in its name: Proxmox VE goes by that, whoever has the volume in its file.
pub fn owner(name: &str) -> Option<u32> {
    let (owner, _) = owner_and_rest(name)?;
    Some(owner)
}

/// Whose a volume is and which number it has, by its name: `100/base-100-disk-3.qcow2` is the third of guest 100.
pub fn owner_and_number(name: &str) -> Option<(u32, u32)> {
    let (owner, rest) = owner_and_rest(name)?;
    let number = rest?.strip_prefix("disk-")?;
    let number = number.split(['-', '.']).next()?.parse().ok()?;
    Some((owner, number))
}

/// Whose a volume is, and what its name says behind that: `cloudinit`, `disk-3.qcow2`.
fn owner_and_rest(name: &str) -> Option<(u32, Option<&str>)> {
    let file = name.rsplit('/').next()?;
    let (kind, rest) = file.split_once('-')?;
    if !matches!(kind, "vm" | "base" | "subvol" | "basevol") {
        return None;
    }
    match rest.split_once('-') {
        Some((owner, rest)) => Some((owner.parse().ok()?, Some(rest))),
        None => Some((rest.parse().ok()?, None)),
    }
}

/// The numbers that are not free, by store and owner: those of volumes that the spec names.
type Given = BTreeMap<(StoreRef, u32), BTreeSet<u32>>;

fn given_names(host: &Host) -> Given {
    let mut given = Given::new();
    for placement in host.guests.values().flat_map(placements) {
        if let VolumeSource::Existing { name, .. } = &placement.volume
            && let Some((owner, number)) = owner_and_number(name.as_str())
        {
            given
                .entry((placement.store.value, owner))
                .or_default()
                .insert(number);
        }
    }
    given
}

/// Every volume of a guest, as the spec places it.
pub fn placements(guest: &Guest) -> Vec<&Placement> {
    match &guest.kind {
        GuestKind::Vm(vm) => {
            let disks = vm.disks.iter().filter_map(|disk| disk.placement());
            let efi = vm.efi.iter().map(|efi| &efi.placement);
            let tpm = vm.tpm_state.iter().map(|tpm| &tpm.placement);
            disks.chain(efi).chain(tpm).collect()
        }
        GuestKind::Container(container) => {
            let mounts = container
                .mounts
                .iter()
                .filter_map(|mount| match &mount.source {
                    MountSource::Volume(placement) => Some(placement),
                    MountSource::Share(_) | MountSource::HostPath(_) => None,
                });
            std::iter::once(&container.rootfs).chain(mounts).collect()
        }
    }
}

/// A volume that waits for its number.
struct Wanted<'a> {
    key: String,
    placement: &'a Placement,
    role: VolumeRole,
    backup: bool,
}

fn allocate(host: &Host, guest: &Guest, given: &Given) -> Vec<Volume> {
    let wanted = match &guest.kind {
        GuestKind::Vm(vm) => wanted_by_vm(vm),
        GuestKind::Container(container) => wanted_by_container(container),
    };
    let mut next: BTreeMap<StoreRef, u32> = BTreeMap::new();
    let volumes = wanted.into_iter().map(|wanted| {
        let placement = wanted.placement;
        let store = placement.store.value;
        let medium = host.storage.store(store).medium();
        let (name, size, format, import) = match &placement.volume {
            VolumeSource::Existing { name, size } => (
                name.as_str().to_owned(),
                size.map(|size| DiskSize::from_bytes(size.as_bytes())),
                None,
                None,
            ),
            VolumeSource::New { size, import, .. } => {
                let taken = given.get(&(store, guest.vmid.get()));
                let number = next.entry(store).or_default();
                while taken.is_some_and(|taken| taken.contains(number)) {
                    *number += 1;
                }
                let format = image_format(host, placement, wanted.role);
                let name = volume_name(medium, guest, *number, format);
                *number += 1;
                let size = volume_size(medium, **size, wanted.role);
                (name, Some(size), format, import.clone())
            }
        };
        Volume {
            key: wanted.key,
            store,
            exists: matches!(placement.volume, VolumeSource::Existing { .. }),
            name,
            size,
            format,
            import,
            role: wanted.role,
            backup: wanted.backup,
        }
    });
    volumes.collect()
}

fn wanted_by_container(container: &Container) -> Vec<Wanted<'_>> {
    let rootfs = Wanted {
        key: "rootfs".to_owned(),
        placement: &container.rootfs,
        role: VolumeRole::Rootfs,
        backup: true,
    };
    let mut mounts: Vec<(u32, Wanted<'_>)> = container
        .mounts
        .iter()
        .enumerate()
        .filter_map(|(at, mount)| match &mount.source {
            MountSource::Volume(placement) => Some((
                mount.slot,
                Wanted {
                    key: format!("mp{}", mount.slot),
                    placement,
                    role: VolumeRole::Mount(at),
                    backup: *mount.backup,
                },
            )),
            MountSource::Share(_) | MountSource::HostPath(_) => None,
        })
        .collect();
    // `pct create` goes through them by number.
    mounts.sort_by_key(|(number, _)| *number);
    std::iter::once(rootfs)
        .chain(mounts.into_iter().map(|(_, wanted)| wanted))
        .collect()
}

fn wanted_by_vm(vm: &Vm) -> Vec<Wanted<'_>> {
    let disks = vm.disks.iter().enumerate().filter_map(|(at, disk)| {
        Some(Wanted {
            key: disk.key(),
            placement: disk.placement()?,
            role: VolumeRole::Disk(at),
            backup: *disk.backup,
        })
    });
    let state = |key: &str, placement, role| Wanted {
        key: key.to_owned(),
        placement,
        role,
        backup: true,
    };
    let efi = vm
        .efi
        .iter()
        .map(|efi| state("efidisk0", &efi.placement, VolumeRole::Efi));
    let tpm = vm
        .tpm_state
        .iter()
        .map(|tpm| state("tpmstate0", &tpm.placement, VolumeRole::Tpm));
    let mut wanted: Vec<Wanted<'_>> = disks.chain(efi).chain(tpm).collect();
    // `qm create` goes through the options sorted as text: scsi10 comes before scsi2.
    wanted.sort_by(|a, b| a.key.cmp(&b.key));
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_owned_by_their_name() {
        assert_eq!(owner_and_number("vm-100-disk-3"), Some((100, 3)));
        assert_eq!(owner_and_number("subvol-101-disk-0"), Some((101, 0)));
        assert_eq!(
            owner_and_number("100/vm-100-disk-12.qcow2"),
            Some((100, 12))
        );
        assert_eq!(
            owner_and_number("base-9000-disk-0/vm-100-disk-1"),
            Some((100, 1))
        );
        for other in [
            "vm-100-cloudinit",
            "0.0.0.scsi-3600",
            "vm-100-disk-x",
            "",
            "iso/a.iso",
        ] {
            assert_eq!(owner_and_number(other), None, "{other}");
        }
        // Whose it is can be told of more.
        assert_eq!(owner("basevol-101-disk-0"), Some(101));
        assert_eq!(owner("100/vm-100-cloudinit.qcow2"), Some(100));
        assert_eq!(owner("0.0.0.scsi-3600"), None);
    }
}
