//! Disks: which one is meant, what else names it, and whether its name lasts.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Facts;
use crate::model::{Disk, DiskSource, ExternalPlace, Guest, Host, Id, VdevRole, Vm};
use crate::pve::is_drive;
use crate::source::{Span, Spanned};
use crate::value::DiskKind;

/// Two rows of the hardware table for one disk.
pub(super) fn one_disk_twice(host: &Host, sink: &mut Sink) {
    let mut by_device: BTreeMap<&str, &Disk> = BTreeMap::new();
    let mut by_serial: BTreeMap<&str, &Disk> = BTreeMap::new();
    for disk in host.hardware.disks.values() {
        let twice = |first: &Disk, at: Span, first_at: Span, what: &str| {
            Diagnostic::new(
                Code::MOX0302,
                at,
                format!(
                    "`{}` and `{}` are the same disk",
                    first.name.value, disk.name.value
                ),
            )
            .label(format!("the same {what}"))
            .also(first_at, "the first")
            .help("remove one of the rows, or correct it: `ls -l /dev/disk/by-id` lists the disks")
        };
        if !disk.device.is_missing()
            && let Some(first) = by_device.insert(disk.device.as_str(), disk)
        {
            sink.push(twice(first, disk.device.span, first.device.span, "device"));
            continue;
        }
        // Namespaces of one NVMe disk are disks of their own, and share its serial number.
        if let Some(serial) = disk
            .serial
            .as_ref()
            .filter(|_| *disk.kind != DiskKind::Nvme)
        {
            let first = by_serial.insert(serial.as_str(), disk);
            if let Some((first, first_serial)) =
                first.and_then(|first| Some((first, first.serial.as_ref()?)))
            {
                sink.push(twice(
                    first,
                    serial.span,
                    first_serial.span,
                    "serial number",
                ));
            }
        }
    }
}

/// Every disk of every pool and volume group, with the place that names it and what takes it.
fn members(host: &Host) -> impl Iterator<Item = (Spanned<Id<Disk>>, String)> + '_ {
    let groups = host.storage.lvm.values().flat_map(|store| {
        let what = format!("the volume group `{}`", *store.group);
        store.disks.iter().map(move |disk| (*disk, what.clone()))
    });
    let pools = host.storage.pools.values().flat_map(|pool| {
        let own = pool
            .disks
            .iter()
            .map(|disk| (*disk, format!("the pool `{}`", pool.name.value)));
        let further = pool.vdevs.iter().flat_map(|vdev| {
            vdev.disks.iter().map(|disk| {
                (
                    *disk,
                    format!("`{}` of the pool `{}`", vdev.role.as_str(), pool.name.value),
                )
            })
        });
        own.chain(further)
    });
    pools.chain(groups)
}

/// A disk in two places of the pools. One hot spare may stand by for several pools.
pub(super) fn disks_twice(host: &Host, sink: &mut Sink) {
    let spares: BTreeSet<Span> = host
        .storage
        .pools
        .values()
        .flat_map(|pool| &pool.vdevs)
        .filter(|vdev| vdev.role == VdevRole::Spare)
        .flat_map(|vdev| vdev.disks.iter().map(|disk| disk.span))
        .collect();
    let mut seen: BTreeMap<Id<Disk>, (Span, String)> = BTreeMap::new();
    for (disk, what) in members(host) {
        let Some((first, first_what)) = seen.get(&disk.value) else {
            seen.insert(disk.value, (disk.span, what));
            continue;
        };
        if spares.contains(&disk.span) && spares.contains(first) && *first_what != what {
            continue;
        }
        sink.push(
            Diagnostic::new(
                Code::MOX0302,
                disk.span,
                format!(
                    "the disk `{}` is used twice",
                    host.hardware.disks[disk.value].name.value
                ),
            )
            .label(format!("in {what}"))
            .also(*first, format!("in {first_what}"))
            .help("a disk is in one vdev, or in one volume group; remove it from one of them"),
        );
    }
}

/// Whether `text` names this device or a partition of it: `ata-X-part1`, `sda1`, `nvme0n1p1`.
pub(super) fn names_device(text: &str, device: &str) -> bool {
    let Some(rest) = text.strip_prefix(device) else {
        return false;
    };
    let number = if device.ends_with(|c: char| c.is_ascii_digit()) {
        rest.strip_prefix('p')
    } else {
        Some(rest)
    };
    rest.is_empty()
        || rest.starts_with("-part")
        || (by_order(device)
            && number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())))
}

/// The disks of the host that are handed over to a virtual machine.
fn whole_disks(vm: &Vm) -> impl Iterator<Item = Spanned<Id<Disk>>> + '_ {
    vm.disks.iter().filter_map(|disk| match &disk.source {
        DiskSource::Device(device) => Some(*device),
        DiskSource::Volume(_) => None,
    })
}

/// The devices of the host that a guest writes to by the options of its drives, `scsi1 = "/dev/disk/by-id/…,backup=0"`.
fn raw_devices(guest: &Guest) -> impl Iterator<Item = (&str, Span)> {
    guest.options.iter().filter_map(|option| {
        let volume = option.value.split(',').next().unwrap_or_default();
        let volume = volume.strip_prefix("file=").unwrap_or(volume);
        let is_drive = is_drive(&option.key) && volume.starts_with("/dev/");
        is_drive.then_some((volume, option.value.span))
    })
}

/// A disk that two guests have which can run together, or one guest twice.
pub(super) fn disks_of_guests(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    let mut seen: BTreeMap<&str, Vec<(Id<Guest>, Span)>> = BTreeMap::new();
    for (id, guest, vm) in host.vms() {
        let named = whole_disks(vm).filter_map(|disk| {
            let item = &host.hardware.disks[disk.value];
            (!item.device.is_missing()).then(|| (item.device.as_str(), disk.span))
        });
        for (device, span) in named.chain(raw_devices(guest)) {
            let takers = seen.entry(device).or_default();
            let first = takers
                .iter()
                .find(|(other, _)| facts.running.meet(id, *other));
            if let Some((other, place)) = first {
                let (message, help) = if *other == id {
                    (
                        format!("`{}` has the disk `{device}` twice", guest.name.value),
                        "remove one of the two".to_owned(),
                    )
                } else {
                    let other = &host.guests[*other].name.value;
                    (
                        format!(
                            "`{}` and `{other}` have the disk `{device}`",
                            guest.name.value
                        ),
                        format!(
                            "if they never run at the same time, say so: `exclusive-with = [\"{other}\"]`"
                        ),
                    )
                };
                sink.push(
                    Diagnostic::new(Code::MOX0302, span, message)
                        .also(*place, "the first")
                        .note("two that write to one disk destroy what is on it")
                        .help(help),
                );
            }
            takers.push((id, span));
        }
    }
}

/// A disk of a pool or a volume group that a guest or a folder writes to as well.
pub(super) fn disks_elsewhere(host: &Host, sink: &mut Sink) {
    let mut uses: Vec<(String, Span, String)> = Vec::new();
    for guest in host.guests.values() {
        for disk in guest.vm().into_iter().flat_map(whole_disks) {
            let device = &host.hardware.disks[disk.value].device;
            if !device.is_missing() {
                let what = format!("`{}` writes to it", guest.name.value);
                uses.push((device.to_string(), disk.span, what));
            }
        }
        for (device, span) in raw_devices(guest) {
            uses.push((
                device.to_owned(),
                span,
                format!("`{}` writes to it", guest.name.value),
            ));
        }
        for device in guest
            .container()
            .into_iter()
            .flat_map(|c| &c.devices)
            .filter(|device| !*device.read_only)
        {
            uses.push((
                device.path.as_str().to_owned(),
                device.path.span,
                format!("`{}` writes to it", guest.name.value),
            ));
        }
    }
    for external in host.storage.external.values() {
        if let ExternalPlace::Dir {
            device: Some(device),
            ..
        } = &external.place
        {
            uses.push((
                device.as_str().to_owned(),
                device.span,
                format!("mounted for `{}`", external.name.value),
            ));
        }
    }
    if uses.is_empty() {
        return;
    }
    for (disk, what) in members(host) {
        let item = &host.hardware.disks[disk.value];
        if item.device.is_missing() {
            continue;
        }
        for (path, span, use_) in uses
            .iter()
            .filter(|(path, ..)| names_device(path, item.device.as_str()))
        {
            sink.push(
                Diagnostic::new(
                    Code::MOX0303,
                    *span,
                    format!("`{path}` is a disk of {what}"),
                )
                .label(use_.clone())
                .also(disk.span, "so does this")
                .note("two that write to one disk destroy what is on it")
                .help("give the guest a volume of the pool, or another disk"),
            );
        }
    }
}

/// Whether the kernel gives this name by the order in which it finds disks.
pub(super) fn by_order(device: &str) -> bool {
    let Some(name) = device.strip_prefix("/dev/") else {
        return false;
    };
    ["sd", "vd", "hd", "xvd", "nvme"].iter().any(|prefix| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
    })
}

/// Disks that are named by the order of finding.
pub(super) fn unstable_names(host: &Host, sink: &mut Sink) {
    let mut told = BTreeSet::new();
    let of_guests = host.vms().flat_map(|(_, guest, vm)| {
        let what = format!("`{}`", guest.name.value);
        whole_disks(vm).map(move |disk| (disk, what.clone()))
    });
    for (disk, what) in members(host).chain(of_guests) {
        let item = &host.hardware.disks[disk.value];
        if item.device.is_missing() || !by_order(item.device.as_str()) || !told.insert(disk.value) {
            continue;
        }
        sink.push(
            unstable(item.device.as_str(), item.device.span).also(disk.span, format!("in {what}")),
        );
    }
    for external in host.storage.external.values() {
        if let ExternalPlace::Dir {
            device: Some(device),
            ..
        } = &external.place
            && by_order(device.as_str())
        {
            sink.push(unstable(device.as_str(), device.span));
        }
    }
}

fn unstable(device: &str, span: Span) -> Diagnostic {
    Diagnostic::new(
        Code::MOX0304,
        span,
        format!("`{device}` is another disk after the next change"),
    )
    .note("the kernel numbers disks in the order in which it finds them")
    .help("`ls -l /dev/disk/by-id` shows the name that stays with the disk")
}

#[cfg(test)]
mod tests {
    use super::{by_order, names_device};

    #[test]
    fn names_by_the_order_of_finding() {
        for name in ["/dev/sda", "/dev/nvme0n1", "/dev/vdb1"] {
            assert!(by_order(name), "{name}");
        }
        for name in [
            "/dev/disk/by-id/ata-X",
            "/dev/disk/by-path/pci-0",
            "/dev/mapper/x",
            "/dev/sd",
        ] {
            assert!(!by_order(name), "{name}");
        }
    }

    #[test]
    fn partitions_are_parts_of_their_disk() {
        let disk = "/dev/disk/by-id/ata-A_1";
        assert!(names_device("/dev/disk/by-id/ata-A_1", disk));
        assert!(names_device("/dev/disk/by-id/ata-A_1-part3", disk));
        assert!(!names_device("/dev/disk/by-id/ata-A_12-part3", disk));
        assert!(names_device("/dev/nvme0n1p2", "/dev/nvme0n1"));
        assert!(names_device("/dev/sda1", "/dev/sda"));
        assert!(!names_device("/dev/sdab", "/dev/sda"));
        assert!(!names_device("/dev/disk/by-id/ata-A_12", disk));
        assert!(!names_device("/dev/nvme0n12", "/dev/nvme0n1"));
    }
}
