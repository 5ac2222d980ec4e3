//! Space: what each pool offers, and what is planned on it.
//!
//! Rules of others: OpenZFS's arithmetic of vdevs ([`crate::zfs`]), its default of `volblocksize`.

use std::collections::BTreeMap;

use super::{VolumeRole, Volumes, nodes};
use crate::model::{
    Dataset, Disk, Guest, GuestKind, Host, Id, MountSource, Placement, Pool, StoreRef, VolumeSource,
};
use crate::pve::since;
use crate::source::{Span, Spanned};
use crate::value::{ByteSize, PoolLayout};
use crate::zfs::{Geometry, PoolCapacity, VdevShape, pool_capacity};

/// The disks of each top-level vdev, in the order in which `zpool create` takes them.
pub fn top_level(layout: PoolLayout, disks: &[Spanned<Id<Disk>>]) -> Vec<&[Spanned<Id<Disk>>]> {
    match layout {
        PoolLayout::Stripe => disks.chunks(1).collect(),
        PoolLayout::Raid10 => disks.chunks(2).collect(),
        PoolLayout::Mirror | PoolLayout::Raidz1 | PoolLayout::Raidz2 | PoolLayout::Raidz3 => {
            vec![disks]
        }
    }
}

/// An amount of space; of a partition the spec tells the size of its disk alone, which it cannot exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// How much there is.
    pub size: ByteSize,
    /// Whether there may be less.
    pub at_most: bool,
}

impl Room {
    /// How messages write it: `899 GiB`, `at most 899 GiB`.
    pub fn human(self) -> String {
        format!("{}{}", self.bound(), self.size.human())
    }

    /// What stands before the amount: `at most ` where there may be less.
    pub const fn bound(self) -> &'static str {
        if self.at_most { "at most " } else { "" }
    }

    /// What stands before a share of it: `at least ` where there may be less.
    pub const fn share(self) -> &'static str {
        if self.at_most { "at least " } else { "" }
    }
}

/// All that some disks have. Partitions of one disk have no more than the disk, however many they are.
pub fn of_disks<'a>(disks: impl IntoIterator<Item = &'a Disk>) -> Room {
    let mut devices: BTreeMap<&str, ByteSize> = BTreeMap::new();
    let mut at_most = false;
    for disk in disks {
        let size = devices.entry(disk.device.as_str()).or_default();
        *size = (*size).max(*disk.size);
        at_most |= disk.partition.is_some();
    }
    Room {
        size: devices.into_values().sum(),
        at_most,
    }
}

/// What guests and datasets take of the room that there is.
#[derive(Debug)]
pub struct Space<'a> {
    /// Every volume whose size is known.
    pub volumes: Vec<Sized<'a>>,
    /// What every pool offers and what is planned on it; pools of which a disk's size is unknown are left out.
    pub pools: BTreeMap<Id<Pool>, Planned<'a>>,
}

impl<'a> Space<'a> {
    pub(super) fn of(host: &'a Host, all: &Volumes) -> Self {
        let volumes = volumes(host, all);
        let pools = plans(host, &volumes);
        Self { volumes, pools }
    }
}

/// What is planned on a pool.
#[derive(Debug)]
pub struct Planned<'a> {
    /// The pool.
    pub pool: &'a Pool,
    /// How the disks of each of its vdevs share a block.
    pub geometry: Geometry,
    /// What it offers when it is empty.
    pub capacity: PoolCapacity,
    /// The same in one number.
    pub usable: ByteSize,
    /// Whether it may offer less: a partition is no larger than its disk.
    pub at_most: bool,
    /// What is kept free or taken at once, line by line.
    pub firm: Vec<(String, ByteSize)>,
    /// What everything can grow to.
    pub growth: Vec<(String, ByteSize)>,
    /// The places of the largest part of `firm`.
    pub places: Vec<Span>,
}

impl Planned<'_> {
    /// All of `firm`.
    pub fn firm_sum(&self) -> ByteSize {
        self.firm.iter().map(|(_, size)| *size).sum()
    }

    /// What it offers.
    pub const fn room(&self) -> Room {
        Room {
            size: self.usable,
            at_most: self.at_most,
        }
    }
}

/// How the disks of one top-level vdev share a block; none where the layout cannot be made of them.
pub fn geometry(pool: &Pool) -> Option<Geometry> {
    let disks = pool.disks.len() as u64;
    let (shape, disks, least) = match *pool.layout {
        PoolLayout::Stripe => (VdevShape::Plain, 1, 1),
        PoolLayout::Mirror => (VdevShape::Plain, disks, 1),
        PoolLayout::Raid10 => (VdevShape::Plain, 2, 1),
        PoolLayout::Raidz1 => (VdevShape::Raidz(1), disks, 2),
        PoolLayout::Raidz2 => (VdevShape::Raidz(2), disks, 3),
        PoolLayout::Raidz3 => (VdevShape::Raidz(3), disks, 4),
    };
    (pool.disks.len() >= least).then_some(Geometry {
        shape,
        disks,
        ashift: *pool.ashift,
    })
}

/// The block of a volume: the dataset's, or OpenZFS's default.
pub fn volume_block(host: &Host, dataset: &Dataset) -> ByteSize {
    dataset.volblocksize.map_or_else(
        || {
            if *host.release >= since::BLOCKS_OF_16_KIB {
                ByteSize::kib(16)
            } else {
                ByteSize::kib(8)
            }
        },
        |block| block.value,
    )
}

/// A volume of a guest whose size is known.
#[derive(Debug)]
pub struct Sized<'a> {
    /// Whose it is.
    pub guest: &'a str,
    /// Its name in the spec.
    pub disk: &'a str,
    /// Where it lies.
    pub store: StoreRef,
    /// Its size.
    pub size: ByteSize,
    /// Where the spec says so.
    pub span: Span,
    /// Whether it is a block device; a container's on ZFS is a file system, of which nothing is reserved.
    pub block: bool,
}

impl Sized<'_> {
    /// Guest and disk: `web.root`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.guest, self.disk)
    }

    /// The dataset that it lies in, where it lies in one.
    pub fn dataset(&self) -> Option<Id<Dataset>> {
        match self.store {
            StoreRef::Dataset(id) => Some(id),
            StoreRef::Lvm(_) | StoreRef::External(_) | StoreRef::Local => None,
        }
    }
}

fn volumes<'a>(host: &'a Host, all: &Volumes) -> Vec<Sized<'a>> {
    let mut volumes = Vec::new();
    for (id, guest) in host.guests.iter() {
        for volume in all.of_guest(id) {
            let Some(size) = volume.size else { continue };
            let Some((disk, placement)) = of_role(guest, volume.role) else {
                continue;
            };
            let missing = match &placement.volume {
                VolumeSource::New { size, .. } => size.is_missing(),
                VolumeSource::Existing { .. } => false,
            };
            if missing {
                continue;
            }
            volumes.push(Sized {
                guest: guest.name.value.as_str(),
                disk,
                store: volume.store,
                size: ByteSize::bytes(size.bytes()),
                span: placement
                    .size()
                    .map_or(placement.store.span, |size| size.span),
                block: guest.vm().is_some(),
            });
        }
    }
    volumes
}

/// What a volume is called, and where the spec places it.
fn of_role(guest: &Guest, role: VolumeRole) -> Option<(&str, &Placement)> {
    match (&guest.kind, role) {
        (GuestKind::Vm(vm), VolumeRole::Disk(at)) => {
            let disk = vm.disks.get(at)?;
            Some((disk.name.value.as_str(), disk.placement()?))
        }
        (GuestKind::Vm(vm), VolumeRole::Efi) => Some(("efi", &vm.efi.as_ref()?.placement)),
        (GuestKind::Vm(vm), VolumeRole::Tpm) => Some(("tpm", &vm.tpm_state.as_ref()?.placement)),
        (GuestKind::Container(container), VolumeRole::Rootfs) => {
            Some(("rootfs", &container.rootfs))
        }
        (GuestKind::Container(container), VolumeRole::Mount(at)) => {
            let mount = container.mounts.get(at)?;
            match &mount.source {
                MountSource::Volume(placement) => Some((mount.name.value.as_str(), placement)),
                MountSource::Share(_) | MountSource::HostPath(_) => None,
            }
        }
        (GuestKind::Vm(_), VolumeRole::Rootfs | VolumeRole::Mount(_))
        | (GuestKind::Container(_), VolumeRole::Efi | VolumeRole::Tpm | VolumeRole::Disk(_)) => {
            None
        }
    }
}

/// Where the spec places a volume.
pub fn place_of(guest: &Guest, role: VolumeRole) -> Option<Span> {
    let (_, placement) = of_role(guest, role)?;
    let size = placement.size().map(|size| size.span);
    Some(size.unwrap_or(placement.store.span))
}

/// The thick volumes of a dataset.
#[derive(Default)]
struct Thick {
    sum: ByteSize,
    lines: Vec<(String, ByteSize)>,
    places: Vec<Span>,
}

/// What an empty pool offers; none where the spec does not tell enough of it.
pub fn pool_offers(host: &Host, pool: Id<Pool>) -> Option<Room> {
    let pool = &host.storage.pools[pool];
    let known = pool
        .disks
        .iter()
        .all(|disk| !host.hardware.disks[disk.value].size.is_missing());
    capacity(host, pool)
        .map(|(_, capacity)| capacity.available())
        .filter(|size| known && *size > ByteSize::default())
        .map(|size| Room {
            size,
            at_most: has_partition(host, pool),
        })
}

fn has_partition(host: &Host, pool: &Pool) -> bool {
    pool.disks
        .iter()
        .any(|disk| host.hardware.disks[disk.value].partition.is_some())
}

fn capacity(host: &Host, pool: &Pool) -> Option<(Geometry, PoolCapacity)> {
    let geometry = geometry(pool)?;
    let vdevs = top_level(*pool.layout, &pool.disks)
        .into_iter()
        .map(|disks| {
            let smallest = disks
                .iter()
                .map(|disk| *host.hardware.disks[disk.value].size)
                .min()
                .unwrap_or_default();
            (geometry, smallest)
        });
    Some((geometry, pool_capacity(vdevs)))
}

fn plans<'a>(host: &'a Host, volumes: &[Sized<'_>]) -> BTreeMap<Id<Pool>, Planned<'a>> {
    let mut plans = BTreeMap::new();
    if !host.complete {
        return plans;
    }
    for (id, pool) in host.storage.pools.iter() {
        let Some((geometry, capacity)) = capacity(host, pool) else {
            continue;
        };
        plans.insert(
            id,
            Planned {
                pool,
                geometry,
                capacity,
                usable: capacity.available(),
                at_most: has_partition(host, pool),
                firm: Vec::new(),
                growth: Vec::new(),
                places: Vec::new(),
            },
        );
    }
    // Thick volumes by dataset: what they reserve, and a line for each.
    let mut thick: BTreeMap<Id<Dataset>, Thick> = BTreeMap::new();
    let mut grown: BTreeMap<Id<Dataset>, ByteSize> = BTreeMap::new();
    for volume in volumes {
        let Some(id) = volume.dataset() else { continue };
        let dataset = &host.storage.datasets[id];
        let Some(plan) = plans.get(&dataset.pool.value) else {
            continue;
        };
        let full = if volume.block {
            plan.geometry
                .thick_volume(volume.size, volume_block(host, dataset))
        } else {
            volume.size
        };
        let sum = grown.entry(id).or_default();
        *sum = *sum + full;
        if volume.block && !*dataset.thin {
            let entry = thick.entry(id).or_default();
            entry.sum = entry.sum + full;
            entry.lines.push((
                format!(
                    "{}, a thick volume of {}",
                    volume.name(),
                    volume.size.human()
                ),
                full,
            ));
            entry.places.push(volume.span);
        }
    }
    let here = host.storage.datasets.iter();
    for (id, dataset) in here.filter(|(_, dataset)| nodes::has_store(host, &dataset.schema)) {
        let Some(plan) = plans.get_mut(&dataset.pool.value) else {
            continue;
        };
        let growth = match (grown.get(&id), dataset.quota) {
            (Some(volumes), Some(quota)) => Some((*volumes).min(quota.value)),
            (Some(volumes), None) => Some(*volumes),
            (None, Some(quota)) if !dataset.holds_volumes() => Some(quota.value),
            (None, Some(_) | None) => None,
        };
        if let Some(growth) = growth {
            plan.growth.push((dataset.name.value.clone(), growth));
        }
        // A reservation holds for everything below it: volumes use it up before they take more.
        let thick = thick.remove(&id).unwrap_or_default();
        match dataset.reservation {
            Some(reservation) if reservation.value >= thick.sum => {
                plan.firm.push((
                    format!("{}, a reservation", dataset.name.value),
                    reservation.value,
                ));
                plan.places.push(reservation.span);
            }
            Some(_) | None => {
                plan.firm.extend(thick.lines);
                plan.places.extend(thick.places);
            }
        }
    }
    plans
}
