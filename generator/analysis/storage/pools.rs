//! Pools: how many disks of which sizes a layout takes, and what it bears.

use std::collections::BTreeSet;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::space::top_level;
use crate::model::{Disk, Host, Id, Pool, Vdev, VdevRole};
use crate::source::Spanned;
use crate::value::{ByteSize, DiskKind, LogLayout, Platform, PoolLayout};

use super::backups::pool_of;

/// The fewest disks of a layout: what `zpool create` takes, and what the installer asks for the pool that it makes
/// (`local-zfs.adoc`, "Installation as Root File System").
pub(super) fn fewest(layout: PoolLayout, installer: bool) -> usize {
    match (layout, installer) {
        (PoolLayout::Stripe, _) => 1,
        (PoolLayout::Mirror, _) | (PoolLayout::Raidz1, false) => 2,
        (PoolLayout::Raidz1, true) | (PoolLayout::Raidz2, false) => 3,
        (PoolLayout::Raid10, _) | (PoolLayout::Raidz2, true) | (PoolLayout::Raidz3, false) => 4,
        (PoolLayout::Raidz3, true) => 5,
    }
}

/// Fewer disks than the layout needs, or an odd one.
pub(super) fn too_few(host: &Host, pool: &Pool, sink: &mut Sink) {
    if !host.complete || pool.is_there() {
        return;
    }
    let installer = *pool.boot && *host.platform == Platform::Proxmox;
    let disks = pool.disks.len();
    let least = fewest(*pool.layout, installer);
    if disks < least {
        let who = if installer {
            "the installer wants"
        } else {
            "it needs"
        };
        let mut diagnostic = Diagnostic::new(
            Code::MOX0301,
            pool.layout.span,
            format!(
                "`{}` with {disks} {}: {who} {least}",
                pool.layout.value,
                if disks == 1 { "disk" } else { "disks" }
            ),
        );
        if let Some(disk) = pool.disks.last() {
            diagnostic = diagnostic.also(disk.span, "the last of them");
        }
        let fitting = match (disks, *pool.layout) {
            (1, _) => Some("stripe"),
            (2, _) => Some("mirror"),
            (4, PoolLayout::Raidz3) => Some("raid10"),
            _ => None,
        };
        diagnostic = diagnostic.help(match fitting {
            Some(fitting) => format!("add disks, or use `layout = \"{fitting}\"`"),
            None => "add disks, or use a layout that needs fewer".to_owned(),
        });
        // A stripe of mirrors that is one mirror is nothing else: the change loses nothing.
        if *pool.layout == PoolLayout::Raid10 && disks == 2 {
            diagnostic = diagnostic.replace("write `mirror`", pool.layout.span, "\"mirror\"");
        }
        sink.push(diagnostic);
    } else if *pool.layout == PoolLayout::Raid10 && !disks.is_multiple_of(2) {
        sink.push(
            Diagnostic::new(
                Code::MOX0301,
                pool.layout.span,
                format!("`raid10` with {disks} disks: one has no partner"),
            )
            .help("it is a stripe of mirrors of two: add a disk, or make one a spare"),
        );
    }
    for vdev in &pool.vdevs {
        let disks = vdev.disks.len();
        let (least, pairs) = match (vdev.role, *vdev.layout) {
            (VdevRole::Special | VdevRole::Log, LogLayout::Mirror) => (2, false),
            (VdevRole::Special | VdevRole::Log, LogLayout::Raid10) => (4, true),
            (VdevRole::Special | VdevRole::Log, LogLayout::Stripe)
            | (VdevRole::Cache | VdevRole::Spare, _) => (1, false),
        };
        if disks < least || (pairs && !disks.is_multiple_of(2)) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0301,
                    vdev.layout.span,
                    format!(
                        "`{}` of `{}` as a {} has {disks} {}",
                        vdev.role.as_str(),
                        pool.name.value,
                        vdev.layout.value,
                        if disks == 1 { "disk" } else { "disks" }
                    ),
                )
                .help(if pairs {
                    "a stripe of mirrors needs an even number, four at least".to_owned()
                } else {
                    format!("it needs at least {least}")
                }),
            );
        }
    }
}

/// How much smaller a disk may be before the rest of its vdev wastes something worth a word: one part in fifty.
const UNEVEN: u64 = 50;

/// Disks of one vdev that differ in size.
pub(super) fn uneven(host: &Host, pool: &Pool, sink: &mut Sink) {
    let size = |disk: &Spanned<Id<Disk>>| *host.hardware.disks[disk.value].size;
    // How large a partition is the spec does not tell.
    let known = |disk: &&Spanned<Id<Disk>>| {
        let disk = &host.hardware.disks[disk.value];
        !disk.size.is_missing() && disk.partition.is_none()
    };
    for vdev in top_level(*pool.layout, &pool.disks) {
        let (Some(smallest), Some(largest)) = (
            vdev.iter().filter(known).min_by_key(|disk| size(disk)),
            vdev.iter().filter(known).max_by_key(|disk| size(disk)),
        ) else {
            continue;
        };
        if size(largest) - size(smallest)
            < ByteSize::bytes(size(largest).as_bytes() / UNEVEN).max(ByteSize::bytes(1))
        {
            continue;
        }
        let lost: ByteSize = vdev
            .iter()
            .filter(known)
            .map(|disk| size(disk) - size(smallest))
            .sum();
        let smallest_disk = &host.hardware.disks[smallest.value];
        let largest_disk = &host.hardware.disks[largest.value];
        sink.push(
            Diagnostic::new(
                Code::MOX0305,
                smallest.span,
                format!(
                    "the disks of `{}` differ in size: {} stay unused",
                    pool.name.value,
                    lost.human()
                ),
            )
            .also(smallest_disk.size.span, format!("{}, the smallest", smallest_disk.size.value))
            .also(largest_disk.size.span, format!("{}, the largest", largest_disk.size.value))
            .note("of each disk of a mirror or raidz vdev ZFS uses as much as the smallest has; `zpool create` takes such disks only with `-f`")
            .help("use disks of one size, or pair those that are alike"),
        );
    }
}

/// A pool that writes smaller pieces than its disks.
pub(super) fn sectors(host: &Host, pool: &Pool, sink: &mut Sink) {
    let coarse = pool
        .disks
        .iter()
        .chain(pool.vdevs.iter().flat_map(|vdev| &vdev.disks))
        .filter_map(|disk| host.hardware.disks[disk.value].sector)
        .filter(|sector| sector.is_power_of_two())
        .max_by_key(|sector| sector.value);
    let Some(sector) = coarse.filter(|sector| u64::from(sector.value) > 1 << *pool.ashift) else {
        return;
    };
    let fitting = sector.ilog2();
    let diagnostic = Diagnostic::new(
        Code::MOX0306,
        pool.ashift.span,
        format!(
            "`{}` writes pieces of {} bytes to disks with sectors of {}",
            pool.name.value,
            1u64 << *pool.ashift,
            sector.value
        ),
    )
    .also(sector.span, "this disk")
    .note(format!(
        "2^{} = {}: for every such piece the disk reads a sector and writes it again; `ashift` never changes once the pool is made",
        pool.ashift.value,
        1u64 << *pool.ashift
    ))
    .help(format!("use `ashift = {fitting}`"));
    sink.push(if pool.ashift.is_written() {
        diagnostic.replace(
            format!("write {fitting}"),
            pool.ashift.span,
            fitting.to_string(),
        )
    } else {
        diagnostic
    });
}

/// How many disks of a vdev may fail.
fn redundancy(layout: PoolLayout, disks: usize) -> usize {
    match layout {
        PoolLayout::Stripe => 0,
        PoolLayout::Mirror => disks.saturating_sub(1),
        PoolLayout::Raid10 | PoolLayout::Raidz1 => 1,
        PoolLayout::Raidz2 => 2,
        PoolLayout::Raidz3 => 3,
    }
}

/// A special vdev that fails before the data does: the pool is lost with it.
pub(super) fn weaker(pool: &Pool, vdev: &Vdev, sink: &mut Sink) {
    if vdev.role != VdevRole::Special {
        return;
    }
    let own = match *vdev.layout {
        LogLayout::Stripe => 0,
        LogLayout::Mirror => vdev.disks.len().saturating_sub(1),
        LogLayout::Raid10 => 1,
    };
    let data = redundancy(*pool.layout, pool.disks.len());
    if own >= data {
        return;
    }
    let survives = |count: usize| match count {
        0 => "no disk may fail".to_owned(),
        1 => "one disk may fail".to_owned(),
        n => format!("{n} disks may fail"),
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0315,
            vdev.layout.span,
            format!("the special vdev of `{}` is weaker than its data", pool.name.value),
        )
        .label(survives(own))
        .also(pool.layout.span, survives(data))
        .note("metadata lies on it alone: when it is lost, so is the pool; `zpool create` refuses the mix (\"mismatched replication level\")")
        .help(format!(
            "make it a mirror of {} disks",
            data + 1
        )),
    );
}

/// A log on one disk.
pub(super) fn lonely_log(vdev: &Vdev, sink: &mut Sink) {
    let redundant = match *vdev.layout {
        LogLayout::Stripe => false,
        LogLayout::Mirror | LogLayout::Raid10 => true,
    };
    if vdev.role != VdevRole::Log || redundant || vdev.disks.is_empty() {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0316,
            vdev.span,
            "a log without redundancy",
        )
        .note("it is read after a crash alone: if its disk fails together with the host, the last seconds of synchronous writes are lost, as those of databases and of NFS")
        .help("make it a mirror of two disks"),
    );
}

/// From this size on, reading all other disks once takes a day and more.
const LONG_REBUILD: ByteSize = ByteSize::bytes(8_000_000_000_000);

/// Single parity over disks that take long to replace.
pub(super) fn long_rebuild(host: &Host, pool: &Pool, sink: &mut Sink) {
    if *pool.layout != PoolLayout::Raidz1 {
        return;
    }
    let large = pool.disks.iter().find(|disk| {
        let disk = &host.hardware.disks[disk.value];
        !disk.size.is_missing()
            && disk.partition.is_none()
            && *disk.size >= LONG_REBUILD
            && *disk.kind == DiskKind::Hdd
    });
    let Some(large) = large else { return };
    let disk = &host.hardware.disks[large.value];
    // 150 MB/s over the whole disk is what a rotating one reads on average; a busy pool is slower.
    let hours = disk.size.as_bytes() / 150_000_000 / 3600;
    sink.push(
        Diagnostic::new(
            Code::MOX0324,
            pool.layout.span,
            format!("`raidz1` with disks of {}", disk.size.value),
        )
        .also(disk.size.span, "this disk")
        .note(format!(
            "when one fails, the others are read from end to end with no redundancy left: {hours} hours at 150 MB/s, if nothing else reads; a second failure in that time loses the pool, one bad sector loses what is in it"
        ))
        .help("use `raidz2`, or mirrors; or let nothing lie there that has no other copy"),
    );
}

/// raidz1 of two disks: a mirror in which every write is two with arithmetic between.
pub(super) fn two_as_raidz(pool: &Pool, sink: &mut Sink) {
    if *pool.layout != PoolLayout::Raidz1 || pool.disks.len() != 2 || !pool.layout.is_written() {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0325,
            pool.layout.span,
            "raidz1 of two disks: a mirror holds as much, and is better at everything",
        )
        .note("either bears the loss of one disk; a mirror reads from both, wastes nothing on padding, and takes a third disk at any time")
        .help("use `layout = \"mirror\"`; an existing raidz1 cannot be changed into one"),
    );
}

/// Guests that start at boot, and a pool whose disk hangs on USB: it is not there when pools are imported.
pub(super) fn pulled_out(host: &Host, sink: &mut Sink) {
    let starting: BTreeSet<Id<Pool>> = host
        .guests
        .values()
        .filter(|guest| guest.starts().is_some())
        .flat_map(crate::facts::volumes::placements)
        .filter_map(|placement| pool_of(host, placement.store.value))
        .collect();
    for (id, pool) in host.storage.pools.iter() {
        let usb = pool.disks.iter().find(|disk| {
            let device = host.hardware.disks[disk.value].device.as_str();
            device.starts_with("/dev/disk/by-id/usb-") || device.contains("-usb-")
        });
        let Some(disk) = usb.filter(|_| starting.contains(&id)) else {
            continue;
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0326,
                disk.span,
                format!("guests start at boot from `{}`, which is on USB", pool.name.value),
            )
            .also(host.hardware.disks[disk.value].device.span, "a USB disk")
            .note("USB disks are found seconds after pools are imported: the guests on it do not start, and a boot without the disk forgets the pool")
            .help("put guests that start at boot on an inner disk; keep a USB disk for backups, as a `dir` store with `removable = true`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::fewest;
    use crate::value::PoolLayout;

    #[test]
    fn the_installer_wants_more_disks_than_zpool() {
        assert_eq!(fewest(PoolLayout::Raidz2, false), 3);
        assert_eq!(fewest(PoolLayout::Raidz2, true), 4);
    }
}
