//! Disks, pools, datasets: what lies where, what fits, and what is lost with what.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::calendar::zone_named;
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Facts;
use crate::facts::space::{self, Planned, Sized, geometry, top_level, volume_block};
use crate::model::{
    Dataset, Disk, External, ExternalPlace, Guest, Host, Id, Lvm, MountSource, Placement, Pool,
    Schedule, StoreRef, Vdev, VdevRole, ZfsScrub, ZfsSnapshot,
};
use crate::source::{Span, Spanned};
use crate::value::{ByteSize, DatasetUse, DiskKind, HostAddress, LogLayout, Platform, PoolLayout};
use crate::zfs::{PoolCapacity, VdevShape};

pub(super) fn check(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    one_disk_twice(host, sink);
    disks_twice(host, sink);
    disks_elsewhere(host, sink);
    unstable_names(host, sink);
    for pool in host.storage.pools.values() {
        too_few(host, pool, sink);
        uneven(host, pool, sink);
        sectors(host, pool, sink);
        for vdev in &pool.vdevs {
            weaker(pool, vdev, sink);
            lonely_log(vdev, sink);
        }
        long_rebuild(host, pool, sink);
        two_as_raidz(pool, sink);
    }
    pulled_out(host, sink);
    installers_own(host, sink);
    into_a_guest(host, sink);
    one_place(host, sink);
    hidden_datasets(host, sink);
    shares_of_root(host, sink);
    let volumes = space::volumes(host, &facts.volumes);
    let plans = space::plans(host, &volumes);
    for plan in plans.values() {
        promised(plan, sink);
        nearly_full(plan, sink);
        overcommitted(plan, sink);
    }
    super::lvm::check(host, &volumes, sink);
    snapshots(host, &volumes, &plans, sink);
    for (_, dataset) in host.storage.datasets.iter() {
        limits(dataset, sink);
        padding(host, dataset, sink);
    }
    same_pool(host, sink);
    nothing_outside(host, sink);
    cache_bounds(host, sink);
    cache_size(host, &plans, sink);
    scrubs(host, sink);
}

// ---------------------------------------------------------------- disks

/// Two rows of the hardware table for one disk.
fn one_disk_twice(host: &Host, sink: &mut Sink) {
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

/// Every disk of every pool, with the place that names it and what takes it.
fn members(host: &Host) -> impl Iterator<Item = (Spanned<Id<Disk>>, String)> + '_ {
    host.storage.pools.values().flat_map(|pool| {
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
    })
}

/// A disk in two places of the pools. One hot spare may stand by for several pools.
fn disks_twice(host: &Host, sink: &mut Sink) {
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
            .help("a disk is a member of one vdev; remove it from one of them"),
        );
    }
}

/// Whether `text` names this device or a partition of it: `ata-X-part1`, `sda1`, `nvme0n1p1`.
fn names_device(text: &str, device: &str) -> bool {
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

/// A disk of a pool that a guest or a folder writes to as well.
fn disks_elsewhere(host: &Host, sink: &mut Sink) {
    let mut uses: Vec<(String, Span, String)> = Vec::new();
    for guest in host.guests.values() {
        // Whole disks go to virtual machines as raw options: `scsi1 = "/dev/disk/by-id/…,backup=0"`.
        for option in &guest.options {
            let volume = option.value.split(',').next().unwrap_or_default();
            let volume = volume.strip_prefix("file=").unwrap_or(volume);
            if volume.starts_with("/dev/") {
                uses.push((
                    volume.to_owned(),
                    option.value.span,
                    format!("`{}` writes to it", guest.name.value),
                ));
            }
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
                .also(disk.span, "the pool writes to it")
                .note("two that write to one disk destroy what is on it")
                .help("give the guest a volume of the pool, or another disk"),
            );
        }
    }
}

/// Whether the kernel gives this name by the order in which it finds disks.
fn by_order(device: &str) -> bool {
    let Some(name) = device.strip_prefix("/dev/") else {
        return false;
    };
    ["sd", "vd", "hd", "xvd", "nvme"].iter().any(|prefix| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
    })
}

/// Disks that are named by the order of finding.
fn unstable_names(host: &Host, sink: &mut Sink) {
    let mut told = BTreeSet::new();
    for (disk, what) in members(host) {
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

// ---------------------------------------------------------------- pools

/// The fewest disks of a layout: what `zpool create` takes, and what the installer asks for the pool that it makes
/// (`local-zfs.adoc`, "Installation as Root File System").
fn fewest(layout: PoolLayout, installer: bool) -> usize {
    match (layout, installer) {
        (PoolLayout::Stripe, _) => 1,
        (PoolLayout::Mirror, _) | (PoolLayout::Raidz1, false) => 2,
        (PoolLayout::Raidz1, true) | (PoolLayout::Raidz2, false) => 3,
        (PoolLayout::Raid10, _) | (PoolLayout::Raidz2, true) | (PoolLayout::Raidz3, false) => 4,
        (PoolLayout::Raidz3, true) => 5,
    }
}

/// Fewer disks than the layout needs, or an odd one.
fn too_few(host: &Host, pool: &Pool, sink: &mut Sink) {
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
fn uneven(host: &Host, pool: &Pool, sink: &mut Sink) {
    let size = |disk: &Spanned<Id<Disk>>| *host.hardware.disks[disk.value].size;
    let known = |disk: &&Spanned<Id<Disk>>| !host.hardware.disks[disk.value].size.is_missing();
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
fn sectors(host: &Host, pool: &Pool, sink: &mut Sink) {
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
fn weaker(pool: &Pool, vdev: &Vdev, sink: &mut Sink) {
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
fn lonely_log(vdev: &Vdev, sink: &mut Sink) {
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
fn long_rebuild(host: &Host, pool: &Pool, sink: &mut Sink) {
    if *pool.layout != PoolLayout::Raidz1 {
        return;
    }
    let large = pool.disks.iter().find(|disk| {
        let disk = &host.hardware.disks[disk.value];
        !disk.size.is_missing() && *disk.size >= LONG_REBUILD && *disk.kind == DiskKind::Hdd
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

// ---------------------------------------------------------------- space

/// Amounts under each other, then what stands against their sum.
pub(super) fn sum_table(
    heading: &str,
    rows: &[(String, ByteSize)],
    below: &[(String, ByteSize)],
) -> String {
    const MOST_ROWS: usize = 16;
    let mut rows = rows.to_vec();
    if rows.len() > MOST_ROWS + 1 {
        rows.sort_by_key(|row| std::cmp::Reverse(row.1));
        let rest = rows.split_off(MOST_ROWS);
        rows.push((
            format!("{} more", rest.len()),
            rest.iter().map(|(_, size)| *size).sum(),
        ));
    }
    rows.extend(below.iter().cloned());
    let width = rows
        .iter()
        .map(|(what, _)| what.chars().count())
        .max()
        .unwrap_or(0);
    // One unit for all, so that the eye can add them up.
    let largest = rows.iter().map(|(_, size)| *size).max().unwrap_or_default();
    let (unit, factor) = if largest < ByteSize::gib(10_000) {
        ("GiB", 1 << 30)
    } else {
        ("TiB", 1 << 40)
    };
    let number = |size: ByteSize| {
        let hundredths = u128::from(size.as_bytes()) * 100 / factor;
        format!("{}.{:02} {unit}", hundredths / 100, hundredths % 100)
    };
    let digits = rows
        .iter()
        .map(|(_, size)| number(*size).len())
        .max()
        .unwrap_or(0);
    let mut text = heading.to_owned();
    for (what, size) in rows {
        let pad = width - what.chars().count();
        write!(text, "\n  {what}{:pad$}  {:>digits$}", "", number(size))
            .expect("a string takes all text");
    }
    text
}

/// How the usable space of a pool comes about, from what `zpool list` will show.
fn comes_from(plan: &Planned<'_>) -> String {
    let PoolCapacity { size, usable, slop } = plan.capacity;
    let beside = if usable < size {
        format!(", of which {} are left beside parity", usable.human())
    } else {
        String::new()
    };
    format!(
        "`{}` offers {}: `zpool list` shows {}{beside}; ZFS keeps {} for itself",
        plan.pool.name.value,
        plan.usable.human(),
        size.human(),
        slop.human()
    )
}

/// The line of a table for what a pool offers.
fn offers(plan: &Planned<'_>) -> String {
    format!(
        "`{}` offers ({})",
        plan.pool.name.value, plan.pool.layout.value
    )
}

/// More kept free than there is.
fn promised(plan: &Planned<'_>, sink: &mut Sink) {
    let wanted = plan.firm_sum();
    if wanted <= plan.usable || plan.usable == ByteSize::default() {
        return;
    }
    let mut diagnostic = Diagnostic::new(
        Code::MOX0310,
        plan.pool.name.span,
        format!(
            "`{}` is to keep {} free, and offers {}",
            plan.pool.name.value,
            wanted.human(),
            plan.usable.human()
        ),
    );
    for place in plan.places.iter().take(4) {
        diagnostic = diagnostic.also(*place, "kept here");
    }
    sink.push(
        diagnostic
            .note(sum_table(
                "thick volumes (with padding and metadata) and reservations:",
                &plan.firm,
                &[
                    ("together".to_owned(), wanted),
                    (offers(plan), plan.usable),
                    ("too little".to_owned(), wanted - plan.usable),
                ],
            ))
            .note(comes_from(plan))
            .note("ZFS refuses the volume that does not fit: \"out of space\"")
            .help("make the dataset `thin = true`, or the volumes smaller"),
    );
}

/// Space that is kept and leaves less than a fifth.
fn nearly_full(plan: &Planned<'_>, sink: &mut Sink) {
    let wanted = plan.firm_sum();
    let limit = ByteSize::bytes(plan.usable.as_bytes() / 10 * 8);
    if wanted <= limit || wanted > plan.usable || plan.usable == ByteSize::default() {
        return;
    }
    let percent = u128::from(wanted.as_bytes()) * 100 / u128::from(plan.usable.as_bytes());
    sink.push(
        Diagnostic::new(
            Code::MOX0313,
            plan.pool.name.span,
            format!("`{}` is planned to be {percent} % full", plan.pool.name.value),
        )
        .note(sum_table(
            "thick volumes (with padding and metadata) and reservations:",
            &plan.firm,
            &[("together".to_owned(), wanted), (offers(plan), plan.usable)],
        ))
        .note(comes_from(plan))
        .note("past about 80 %, ZFS finds room for new blocks ever more slowly, and snapshots have none")
        .help("make the volumes smaller, or the pool larger"),
    );
}

/// Thin volumes and quotas that can fill the pool one and a half times.
fn overcommitted(plan: &Planned<'_>, sink: &mut Sink) {
    let wanted: ByteSize = plan.growth.iter().map(|(_, size)| *size).sum();
    let usable = plan.usable.as_bytes();
    if usable == 0 || u128::from(wanted.as_bytes()) * 2 <= u128::from(usable) * 3 {
        return;
    }
    let percent = u128::from(wanted.as_bytes()) * 100 / u128::from(usable);
    sink.push(
        Diagnostic::new(
            Code::MOX0312,
            plan.pool.name.span,
            format!(
                "what lies on `{}` can grow to {percent} % of it",
                plan.pool.name.value
            ),
        )
        .note(sum_table(
            "at the most, by dataset (volumes with padding, else the quota), without snapshots:",
            &plan.growth,
            &[("together".to_owned(), wanted), (offers(plan), plan.usable)],
        ))
        .note(comes_from(plan))
        .note("when the pool is full, every guest on it stops at its next write")
        .help("make the volumes or quotas smaller; or allow this warning and watch the pool"),
    );
}

/// A dataset that promises more than it allows.
fn limits(dataset: &Dataset, sink: &mut Sink) {
    let (Some(quota), Some(reservation)) = (dataset.quota, dataset.reservation) else {
        return;
    };
    if reservation.value <= quota.value {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0314,
            reservation.span,
            format!(
                "`{}` keeps {} free and may take {}",
                dataset.name.value, reservation.value, quota.value
            ),
        )
        .also(quota.span, "the most that it takes")
        .note("ZFS refuses a reservation above the quota")
        .help("lower the reservation, or raise the quota"),
    );
}

/// A snapshot of a thick volume keeps what it holds, and the volume still reserves its whole size beside it.
fn snapshots(
    host: &Host,
    volumes: &[Sized<'_>],
    plans: &BTreeMap<Id<Pool>, Planned<'_>>,
    sink: &mut Sink,
) {
    let mut told = BTreeSet::new();
    for schedule in host.schedules.values().filter(|s| *s.enabled) {
        let Some(ZfsSnapshot { datasets, .. }) = schedule.snapshots() else {
            continue;
        };
        for named in datasets {
            let dataset = &host.storage.datasets[named.value];
            let Some(plan) = plans
                .get(&dataset.pool.value)
                .filter(|_| !*dataset.thin && told.insert(named.value))
            else {
                continue;
            };
            let block = volume_block(host, dataset);
            let own: Vec<(String, ByteSize)> = volumes
                .iter()
                .filter(|volume| volume.block && volume.dataset() == Some(named.value))
                .map(|volume| {
                    (
                        format!("{}, written once over", volume.name()),
                        plan.geometry.thick_volume(volume.size, block),
                    )
                })
                .collect();
            let more: ByteSize = own.iter().map(|(_, size)| *size).sum();
            let kept = plan.firm_sum();
            // What does not fit even without a snapshot is told already.
            if own.is_empty() || kept > plan.usable || kept + more <= plan.usable {
                continue;
            }
            let mut rows = plan.firm.clone();
            rows.extend(own);
            sink.push(
                Diagnostic::new(
                    Code::MOX0311,
                    named.span,
                    format!(
                        "snapshots of the thick volumes in `{}` fail when these are full",
                        dataset.name.value
                    ),
                )
                .label(format!("taken by `{}`", schedule.name.value))
                .also(dataset.thin.span, "`thin = false`")
                .note(sum_table(
                    "kept already, and what a first snapshot of full volumes keeps beside it:",
                    &rows,
                    &[
                        ("together".to_owned(), kept + more),
                        (offers(plan), plan.usable),
                        ("too little".to_owned(), kept + more - plan.usable),
                    ],
                ))
                .note(comes_from(plan))
                .note("a snapshot keeps the blocks that the volume holds, and the volume reserves its whole size for new ones: ZFS refuses a snapshot for which that does not fit")
                .help("make the dataset `thin = true`, or the volumes smaller"),
            );
        }
    }
}

/// How far below a layout's best, in thousandths, blocks may lie.
const PADDING: u64 = 50;

/// Blocks so small that raidz fills a good part of its space with parity and padding.
fn padding(host: &Host, dataset: &Dataset, sink: &mut Sink) {
    let pool = &host.storage.pools[dataset.pool.value];
    let Some(geometry) = geometry(pool).filter(|geometry| {
        matches!(geometry.shape, VdevShape::Raidz(_)) && dataset.is_for(DatasetUse::VmDisks)
    }) else {
        return;
    };
    let block = volume_block(host, dataset);
    let nominal = geometry.nominal_permille();
    let reached = geometry.efficiency_permille(block);
    if reached + PADDING >= nominal {
        return;
    }
    let percent = |permille: u64| format!("{}.{} %", permille / 10, permille % 10);
    let table = [8, 16, 32, 64, 128]
        .map(ByteSize::kib)
        .map(|size| format!("{}: {}", size, percent(geometry.efficiency_permille(size))))
        .join(", ");
    let better = [16, 32, 64, 128]
        .map(ByteSize::kib)
        .into_iter()
        .find(|size| geometry.efficiency_permille(*size) + PADDING >= nominal);
    let help = match better {
        Some(better) => format!(
            "use `volblocksize = \"{better}\"` for large sequential data; for guests' systems and databases use mirrors (`raid10`)"
        ),
        None => "use mirrors (`raid10`) for volumes".to_owned(),
    };
    let diagnostic = Diagnostic::new(
        Code::MOX0341,
        dataset.volblocksize.map_or(dataset.pool.span, |b| b.span),
        format!(
            "volumes in `{}` use {} of the disks, not {}",
            dataset.name.value,
            percent(reached),
            percent(nominal)
        ),
    )
    .label(format!("blocks of {block}"))
    .also(
        pool.layout.span,
        format!("`{}` of {} disks", pool.layout.value, geometry.disks),
    )
    .note(format!(
        "a block of {block} takes {} there, with parity and padding",
        geometry.allocated(block).human()
    ))
    .note(format!("by block: {table}"));
    sink.push(diagnostic.help(help));
}

// ---------------------------------------------------------------- what is easily overlooked

/// raidz1 of two disks: a mirror in which every write is two with arithmetic between.
fn two_as_raidz(pool: &Pool, sink: &mut Sink) {
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
fn pulled_out(host: &Host, sink: &mut Sink) {
    let starting: BTreeSet<Id<Pool>> = host
        .guests
        .values()
        .filter(|guest| guest.autostart.is_some())
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

/// The dataset that the installer of Proxmox VE makes a storage of (`proxmox-installer`, `Proxmox::Install`).
fn installers_own(host: &Host, sink: &mut Sink) {
    if *host.platform != Platform::Proxmox {
        return;
    }
    for (id, dataset) in host.storage.datasets.iter() {
        let pool = &host.storage.pools[dataset.pool.value];
        if !*pool.boot || host.zfs_name(id) != "rpool/data" || dataset.name.value == "local-zfs" {
            continue;
        }
        sink.push(
            Diagnostic::new(
                Code::MOX0327,
                dataset.name.span,
                format!("`{}` is the dataset of the installer's storage `local-zfs`", dataset.name.value),
            )
            .note("two storages over one dataset: Proxmox VE lists every volume twice, and a guest that is removed in one takes what the other shows")
            .help("call it `local-zfs`, with `path = \"data\"`, or give it another `path`"),
        );
    }
}

/// The guest that has an address, where one has.
fn guest_at(host: &Host, server: &HostAddress) -> Option<Id<Guest>> {
    let HostAddress::Ip(server) = server else {
        return None;
    };
    let has = |guest: &Guest| {
        let mut cards = guest
            .network
            .iter()
            .flat_map(super::super::model::guest::GuestNic::static_addresses);
        cards.any(|address| address.value.address() == *server)
    };
    let mut guests = host.guests.iter();
    guests.find(|(_, guest)| has(guest)).map(|(id, _)| id)
}

/// Backups that go to a store which a guest of this host serves.
fn into_a_guest(host: &Host, sink: &mut Sink) {
    let mut told = BTreeSet::new();
    for schedule in host.schedules.values() {
        let Some((held, StoreRef::External(store), span)) = job(schedule) else {
            continue;
        };
        let external = &host.storage.external[store];
        let Some(server) = external.server() else {
            continue;
        };
        let Some(serving) = guest_at(host, server).filter(|_| told.insert(store)) else {
            continue;
        };
        let name = &host.guests[serving].name;
        let own = if held.contains(&serving) {
            format!("`{}` is backed up into itself", name.value)
        } else {
            format!("none of them comes back before `{}` runs", name.value)
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0328,
                server.span,
                format!(
                    "`{}` is served by `{}`, a guest of this host",
                    external.name.value, name.value
                ),
            )
            .label("its address")
            .also(span, "backups go there")
            .also(name.span, "the guest")
            .note(format!(
                "what takes this host takes the guests and these backups of them; {own}"
            ))
            .help("add a job to a store on another machine, or on a disk of its own that the host mounts itself"),
        );
    }
}

/// What two storages of one place have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Folder(String),
    /// The same on a server, by what makes it the same there.
    Served(Vec<String>),
}

/// The places of a store, each with where the spec says it.
fn places(store: &External) -> Vec<(Place, Span)> {
    let served = |words: &[&dyn fmt::Display], span| {
        let words = words.iter().map(ToString::to_string).collect();
        (Place::Served(words), span)
    };
    let mut places = match &store.place {
        ExternalPlace::Nfs { server, export, .. } => {
            vec![served(&[&"nfs", &**server, &**export], export.span)]
        }
        ExternalPlace::Cifs { server, share, .. } => {
            vec![served(
                &[
                    &"cifs",
                    &**server,
                    &share.as_str(),
                    &option(store, "subdir"),
                ],
                share.span,
            )]
        }
        // Another user of a server may see other backups of it.
        ExternalPlace::Pbs {
            server,
            datastore,
            namespace,
            username,
            ..
        } => vec![served(
            &[
                &"pbs",
                &**server,
                &**datastore,
                &namespace.as_ref().map_or("", |name| name.as_str()),
                &username.as_str(),
            ],
            datastore.span,
        )],
        ExternalPlace::Dir { .. }
        | ExternalPlace::Btrfs { .. }
        | ExternalPlace::Cephfs { .. }
        | ExternalPlace::Rbd { .. }
        | ExternalPlace::Iscsi
        | ExternalPlace::Esxi { .. } => Vec::new(),
    };
    if let Some(folder) = store.folder() {
        let span = match &store.place {
            ExternalPlace::Dir { path, .. } | ExternalPlace::Btrfs { path } => path.span,
            ExternalPlace::Nfs { path, .. }
            | ExternalPlace::Cifs { path, .. }
            | ExternalPlace::Cephfs { path, .. } => {
                path.as_ref().map_or(store.name.span, |path| path.span)
            }
            ExternalPlace::Pbs { .. }
            | ExternalPlace::Rbd { .. }
            | ExternalPlace::Iscsi
            | ExternalPlace::Esxi { .. } => store.name.span,
        };
        places.push((Place::Folder(folder.to_string()), span));
    }
    places
}

/// An option that a store says by Proxmox VE's own name.
fn option<'a>(store: &'a External, key: &str) -> &'a str {
    let mut options = store.schema.iter();
    options
        .find(|option| option.key.value == key)
        .map_or("", |option| option.value.as_str())
}

/// Two storages of one folder, export, share or datastore: what one of them holds the other one lists, too, and prunes.
fn one_place(host: &Host, sink: &mut Sink) {
    let mut taken: BTreeMap<(Place, &str), (Span, &str)> = BTreeMap::new();
    let datasets = host.storage.datasets.iter().map(|(id, dataset)| {
        let span = dataset
            .mountpoint
            .as_ref()
            .map_or(dataset.name.span, |at| at.span);
        let place = Place::Folder(host.mountpoint(id).to_string());
        (&dataset.name, "", *dataset.disabled, vec![(place, span)])
    });
    let stores = host.storage.external.values().map(|store| {
        // Each node has its own folder of one name.
        let nodes = option(store, "nodes");
        (&store.name, nodes, *store.disabled, places(store))
    });
    for (name, nodes, disabled, places) in datasets.chain(stores) {
        if disabled {
            continue;
        }
        for (place, span) in places {
            let (what, does) = match &place {
                Place::Folder(path) => (format!("the folder `{path}`"), "lies in"),
                Place::Served(words) => (
                    format!("`{}` of `{}`", words[2], words[1]),
                    "keeps its files in",
                ),
            };
            let place = (place, nodes);
            let Some((first, other)) = taken.get(&place).copied() else {
                taken.insert(place, (span, name.value.as_str()));
                continue;
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0112,
                    span,
                    format!("`{}` {does} {what}, and so does `{other}`", name.value),
                )
                .label("here again")
                .also(first, format!("`{other}`"))
                .note("each of two storages lists what the other one holds, prunes its backups and takes its names; of two file systems on one folder the one that is mounted last hides the other")
                .help("keep one of the two, and say in its `use` what both are for"),
            );
            break;
        }
    }
}

/// A folder in a container below which datasets are mounted: a bind mount shows what is in the folder itself, not what is
/// mounted below it (`PVE::LXC::__bindmount_do`: `mount -o bind`).
fn hidden_datasets(host: &Host, sink: &mut Sink) {
    for container in host.guests.values().filter_map(Guest::container) {
        for mount in &container.mounts {
            let (path, span) = match &mount.source {
                MountSource::HostPath(path) => (path.value.clone(), path.span),
                MountSource::Share(dataset) => (host.mountpoint(dataset.value), dataset.span),
                MountSource::Volume(_) => continue,
            };
            let below: Vec<String> = host
                .storage
                .datasets
                .iter()
                .filter(|(_, dataset)| !dataset.holds_volumes())
                .filter(|(id, _)| {
                    let own = host.mountpoint(*id);
                    own != path && own.is_below(path.as_str())
                })
                .map(|(_, dataset)| format!("`{}`", dataset.name.value))
                .collect();
            if below.is_empty() || path.as_str() == "/" {
                continue;
            }
            sink.push(
                Diagnostic::new(
                    Code::MOX0329,
                    span,
                    format!("the container finds {} empty", below.join(", ")),
                )
                .label(format!("`{path}` alone is mounted"))
                .note("a bind mount holds the one file system that is named, and of those mounted below it the empty folders")
                .help("mount each of them by a mount of its own"),
            );
        }
    }
}

/// A folder of an SMB share in a container whose users the share does not know: all of it is root's, on the host.
fn shares_of_root(host: &Host, sink: &mut Sink) {
    for guest in host.guests.values() {
        let Some(container) = guest.container().filter(|c| *c.unprivileged) else {
            continue;
        };
        for mount in container.mounts.iter().filter(|mount| !*mount.read_only) {
            let MountSource::HostPath(path) = &mount.source else {
                continue;
            };
            let store = host.storage.external.values().find(|store| {
                matches!(store.place, ExternalPlace::Cifs { .. })
                    && store
                        .folder()
                        .is_some_and(|own| path.is_below(own.as_str()))
            });
            let Some(store) = store else { continue };
            let owned = |options: &str| {
                let mut options = options.split(',');
                options.any(|option| option.trim().starts_with("uid="))
            };
            if store
                .options
                .as_ref()
                .is_some_and(|options| owned(options.as_str()))
            {
                continue;
            }
            sink.push(
                Diagnostic::new(
                    Code::MOX0331,
                    path.span,
                    format!("`{}` can write nothing in `{}`", guest.name.value, mount.path.value),
                )
                .also(store.name.span, "an SMB share: all of it belongs to the host's root")
                .note("the container is unprivileged: its user 0 is user 100000 of the host, for whom the files of root are read-only")
                .help(format!(
                    "give the share to it: `options = \"uid=100000,gid=100000\"` in `{}`; or mount it with `read-only = true`",
                    store.name.value
                )),
            );
        }
    }
}

// ---------------------------------------------------------------- backups

/// The pool that a store of this host lies on.
fn pool_of(host: &Host, store: StoreRef) -> Option<Id<Pool>> {
    match store {
        StoreRef::Dataset(id) => Some(host.storage.datasets[id].pool.value),
        StoreRef::Lvm(_) => None,
        // The root file system: on the pool that the host starts from, where it has one.
        StoreRef::Local => host.storage.boot_pool().map(|(id, _)| id),
        StoreRef::External(id) => {
            let ExternalPlace::Dir {
                path, device: None, ..
            } = &host.storage.external[id].place
            else {
                return None;
            };
            // A folder of a dataset is on its pool.
            host.storage
                .datasets
                .iter()
                .find(|(dataset, _)| path.is_below(host.mountpoint(*dataset).as_str()))
                .map(|(_, dataset)| dataset.pool.value)
        }
    }
}

/// What is lost at once: a pool, or a volume group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ground {
    Pool(Id<Pool>),
    Group(Id<Lvm>),
}

impl Ground {
    /// What a store of this host lies on.
    fn of(host: &Host, store: StoreRef) -> Option<Self> {
        match (pool_of(host, store), store) {
            (Some(pool), _) => Some(Self::Pool(pool)),
            (None, StoreRef::Lvm(id)) => Some(Self::first(host, id)),
            // The installer puts its root file system into the group that it makes.
            (None, StoreRef::Local) => {
                let mut groups = host.storage.lvm.iter();
                let (id, _) = groups.find(|(_, lvm)| *lvm.boot)?;
                Some(Self::first(host, id))
            }
            (None, StoreRef::Dataset(_) | StoreRef::External(_)) => None,
        }
    }

    /// Two stores may be of one group.
    fn first(host: &Host, id: Id<Lvm>) -> Self {
        let group = &*host.storage.lvm[id].group;
        let same = host
            .storage
            .lvm
            .iter()
            .find(|(_, lvm)| &*lvm.group == group);
        Self::Group(same.map_or(id, |(id, _)| id))
    }

    /// What it is, and its name.
    fn named(self, host: &Host) -> (&'static str, &Spanned<String>) {
        match self {
            Self::Pool(pool) => ("pool", &host.storage.pools[pool].name),
            Self::Group(lvm) => ("volume group", &host.storage.lvm[lvm].name),
        }
    }
}

/// The guests that a backup job holds, and where to.
fn job(schedule: &Schedule) -> Option<(Vec<Id<Guest>>, StoreRef, Span)> {
    let task = schedule.backup().filter(|_| *schedule.enabled)?;
    Some((
        task.guests.iter().collect(),
        task.storage.value?,
        task.storage.span,
    ))
}

/// What a guest's backed-up data lies on.
fn data_grounds(host: &Host, guest: &Guest) -> BTreeSet<Ground> {
    backed_up(guest)
        .filter_map(|placement| Ground::of(host, placement.store.value))
        .collect()
}

/// Where the volumes of a guest lie that backups hold.
fn backed_up(guest: &Guest) -> impl Iterator<Item = &Placement> {
    let disks = guest
        .vm()
        .into_iter()
        .flat_map(|vm| &vm.disks)
        .filter(|disk| *disk.backup)
        .filter_map(|disk| disk.placement());
    let mounts = guest
        .container()
        .into_iter()
        .flat_map(|container| &container.mounts)
        .filter(|mount| *mount.backup)
        .filter_map(|mount| match &mount.source {
            MountSource::Volume(placement) => Some(placement),
            MountSource::Share(_) | MountSource::HostPath(_) => None,
        });
    let rootfs = guest
        .container()
        .into_iter()
        .map(|container| &container.rootfs);
    disks.chain(mounts).chain(rootfs)
}

/// Names of guests, a few of many.
fn names(host: &Host, guests: &[Id<Guest>]) -> String {
    let mut words: Vec<String> = guests
        .iter()
        .take(6)
        .map(|id| format!("`{}`", host.guests[*id].name.value))
        .collect();
    if guests.len() > 6 {
        words.push(format!("and {} more", guests.len() - 6));
    }
    words.join(", ")
}

/// Backups on the pool of what they are the backup of.
fn same_pool(host: &Host, sink: &mut Sink) {
    for schedule in host.schedules.values() {
        let Some((held, store, span)) = job(schedule) else {
            continue;
        };
        let Some(ground) = Ground::of(host, store) else {
            continue;
        };
        let beside: Vec<Id<Guest>> = held
            .into_iter()
            .filter(|id| data_grounds(host, &host.guests[*id]).contains(&ground))
            .collect();
        if beside.is_empty() {
            continue;
        }
        let (what, name) = ground.named(host);
        sink.push(
            Diagnostic::new(
                Code::MOX0317,
                span,
                format!(
                    "backups of `{}` lie on the {what} of the guests",
                    schedule.name.value
                ),
            )
            .also(name.span, format!("`{}` holds both", name.value))
            .note(format!(
                "when the {what} is lost, so are {} and these backups of them",
                names(host, &beside)
            ))
            .help("back up to another pool or another machine; what is kept here only helps against mistakes, for which snapshots are cheaper"),
        );
    }
}

/// Guests of which every backup is in this machine.
fn nothing_outside(host: &Host, sink: &mut Sink) {
    if !host.complete {
        return;
    }
    let mut inside: BTreeMap<Id<Guest>, Span> = BTreeMap::new();
    let mut outside = BTreeSet::new();
    for schedule in host.schedules.values() {
        let Some((held, store, span)) = job(schedule) else {
            continue;
        };
        let stays = match store {
            StoreRef::Dataset(_) | StoreRef::Lvm(_) | StoreRef::Local => true,
            // A folder without a device of its own may be anything, as a share that the host mounts itself.
            StoreRef::External(_) => pool_of(host, store).is_some(),
        };
        for id in held {
            if stays {
                inside.entry(id).or_insert(span);
            } else {
                outside.insert(id);
            }
        }
    }
    inside.retain(|id, _| !outside.contains(id));
    let guests: Vec<Id<Guest>> = inside.keys().copied().collect();
    let Some(span) = inside.values().min().copied() else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0318,
            span,
            format!("no backup of {} leaves this machine", names(host, &guests)),
        )
        .note("fire, theft, a lightning stroke or a mistake of root take the guests and all their backups")
        .help("add a job to a store elsewhere: a NAS, a Proxmox Backup Server, a USB disk (`[storage.external]`)"),
    );
}

// ---------------------------------------------------------------- the cache

/// `MIN_ARC_MAX` of OpenZFS.
const LEAST_ARC_MAX: ByteSize = ByteSize::mib(64);

/// Bounds of the ZFS cache that ZFS ignores.
fn cache_bounds(host: &Host, sink: &mut Sink) {
    let Some(most) = host.storage.arc_max else {
        return;
    };
    if let Some(least) = host
        .storage
        .arc_min
        .filter(|least| least.value > most.value)
    {
        sink.push(
            Diagnostic::new(
                Code::MOX0320,
                least.span,
                format!("`arc-min` is {}, above `arc-max`", least.value),
            )
            .also(most.span, format!("{}", most.value))
            .note("ZFS ignores a least that is above the most")
            .help("lower `arc-min`, or leave it out"),
        );
    }
    let memory = host
        .hardware
        .memory
        .as_ref()
        .filter(|memory| !memory.size.is_missing());
    if most.value < LEAST_ARC_MAX {
        sink.push(
            Diagnostic::new(
                Code::MOX0320,
                most.span,
                format!("`arc-max` is {}: ZFS ignores it", most.value),
            )
            .note("the cache has at least 64 MiB")
            .help("use `\"1 GiB\"` or more"),
        );
    } else if let Some(memory) = memory.filter(|memory| most.value >= *memory.size) {
        sink.push(
            Diagnostic::new(
                Code::MOX0320,
                most.span,
                format!("`arc-max` is {}: ZFS ignores it", most.value),
            )
            .also(memory.size.span, "the whole memory of the host")
            .help("use a part of the memory: a tenth is what the installer sets"),
        );
    }
}

/// A cache that is small for what it serves, or leaves too little.
fn cache_size(host: &Host, plans: &BTreeMap<Id<Pool>, Planned<'_>>, sink: &mut Sink) {
    if !host.complete {
        return;
    }
    let Some(most) = host.storage.arc_max else {
        return unlimited_cache(host, sink);
    };
    if let Some(memory) = host
        .hardware
        .memory
        .as_ref()
        .filter(|memory| !memory.size.is_missing())
    {
        let half = ByteSize::bytes(memory.size.as_bytes() / 2);
        if most.value >= half && most.value < *memory.size && !host.guests.is_empty() {
            sink.push(
                Diagnostic::new(
                    Code::MOX0322,
                    most.span,
                    format!(
                        "the ZFS cache may take {}, half of the memory or more",
                        most.value
                    ),
                )
                .also(memory.size.span, format!("{}", memory.size.value))
                .note(
                    "the cache gives memory back, but not as fast as a guest that starts wants it",
                )
                .help("lower `arc-max`: a tenth of the memory is what the installer sets"),
            );
            return;
        }
    }
    // Backups, images and media are read and written from end to end: a cache helps them little.
    let served: BTreeSet<Id<Pool>> = host
        .storage
        .datasets
        .values()
        .filter(|dataset| dataset.holds_volumes())
        .map(|dataset| dataset.pool.value)
        .collect();
    let space: ByteSize = served
        .iter()
        .filter_map(|pool| plans.get(pool))
        .map(|plan| plan.usable)
        .sum();
    // `local-zfs.adoc`: "at least 2 GiB Base + 1 GiB/TiB-Storage".
    let rule = ByteSize::gib(2) + ByteSize::bytes(space.as_bytes() >> 10);
    if space == ByteSize::default() || most.value >= rule {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0321,
            most.span,
            format!("the ZFS cache of {} is small for {} of storage", most.value, space.human()),
        )
        .note(format!(
            "Proxmox VE's rule of thumb: 2 GiB, and 1 GiB for each TiB of space: {} (pools without volumes of guests are not counted)",
            rule.human()
        ))
        .help("raise `arc-max` if the memory is there; a smaller cache is slower, not wrong"),
    );
}

/// A cache that nothing limits. Proxmox VE's installer writes a limit; on NixOS there is only ZFS's own, half of the memory
/// or more (`local-zfs.adoc`, "Limit ZFS Memory Usage").
fn unlimited_cache(host: &Host, sink: &mut Sink) {
    let (Some(memory), Some(pool)) = (
        host.hardware
            .memory
            .as_ref()
            .filter(|memory| !memory.size.is_missing()),
        host.storage.pools.values().next(),
    ) else {
        return;
    };
    // The installer writes a limit since 8.1; a host that is older, or was made without ZFS, has none. Huge pages are taken
    // at once, and the cache does not give back that fast.
    let pages = host
        .guests
        .values()
        .any(|guest| guest.vm().is_some_and(|vm| vm.hugepages.is_some()));
    let unsure = *host.platform == Platform::Proxmox && !pages;
    if unsure || host.guests.is_empty() {
        return;
    }
    let tenth = (memory.size.as_bytes() / 10).div_ceil(1 << 30);
    sink.push(
        Diagnostic::new(
            Code::MOX0322,
            pool.name.span,
            "nothing limits the ZFS cache, which may take half of the memory or more",
        )
        .also(memory.size.span, format!("{}", memory.size.value))
        .note("the cache gives memory back, but not as fast as a guest that starts wants it")
        .help(format!(
            "add `arc-max = \"{tenth} GiB\"` to `[storage]`: a tenth of the memory is what Proxmox VE's installer sets"
        )),
    );
}

// ---------------------------------------------------------------- scrubs

/// The day from which scrubs are played forward: a fixed one.
const START: Timestamp = Timestamp::constant(1_796_083_200, 0); // 2026-12-01T00:00:00Z

/// The longest time between two scrubs: a month and a few days.
const SCRUB_DAYS: i64 = 35;

/// Pools that are never read through, or seldom. Debian's zfsutils-linux, and Proxmox VE's, bring a cron job that scrubs
/// every pool on the second Sunday of the month; NixOS scrubs only what it is told to.
fn scrubs(host: &Host, sink: &mut Sink) {
    if !host.complete || *host.platform != Platform::Nixos {
        return;
    }
    let zone =
        zone_named(host.timezone.as_str()).map_or(TimeZone::UTC, |zone| zone.time_zone().clone());
    let Ok(end) = START.checked_add(SignedDuration::from_hours(24 * 400)) else {
        return;
    };
    let mut starts: BTreeMap<Id<Pool>, (Vec<Timestamp>, Span)> = BTreeMap::new();
    for schedule in host.schedules.values().filter(|s| *s.enabled) {
        let Some(ZfsScrub { pools }) = schedule.scrub() else {
            continue;
        };
        let times = schedule.on.runs().schedule(&zone);
        let own: Vec<Timestamp> = times.between(START, end).take(1000).collect();
        for pool in pools {
            let entry = starts
                .entry(pool.value)
                .or_insert_with(|| (Vec::new(), schedule.on.span));
            entry.0.extend(own.iter().copied());
        }
    }
    for (id, pool) in host.storage.pools.iter() {
        let Some((mut times, span)) = starts.remove(&id) else {
            sink.push(
                Diagnostic::new(
                    Code::MOX0323,
                    pool.name.span,
                    format!("nothing scrubs `{}`", pool.name.value),
                )
                .note(
                    "what is never read goes bad unseen, until a disk fails and the copy is needed",
                )
                .help("add a schedule with `task = \"zfs-scrub\"` and `on = \"monthly\"`"),
            );
            continue;
        };
        times.sort_unstable();
        let longest = [START]
            .iter()
            .chain(&times)
            .zip(times.iter().chain([&end]))
            .map(|(from, to)| to.duration_since(*from).as_hours() / 24)
            .max()
            .unwrap_or(0);
        if longest <= SCRUB_DAYS {
            continue;
        }
        sink.push(
            Diagnostic::new(
                Code::MOX0323,
                span,
                format!("`{}` is not scrubbed for {longest} days", pool.name.value),
            )
            .also(pool.name.span, "the pool")
            .note("what is never read goes bad unseen, until a disk fails and the copy is needed")
            .help("scrub once a month: `on = \"monthly\"`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Volumes;

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

    /// 8 TB, mirror of 2: what OpenZFS 2.3.9 offers is 7851200217088 bytes; the rule of thumb gives 2 GiB and 7.14 GiB.
    #[test]
    fn a_tebibyte_wants_a_gibibyte() {
        let rule = ByteSize::gib(2) + ByteSize::bytes(7_851_200_217_088 >> 10);
        assert_eq!(rule.human(), "9.14 GiB");
    }

    #[test]
    fn the_installer_wants_more_disks_than_zpool() {
        assert_eq!(fewest(PoolLayout::Raidz2, false), 3);
        assert_eq!(fewest(PoolLayout::Raidz2, true), 4);
    }

    /// The pool and the volumes of OpenZFS 2.3.9's own figures: raidz1 of four disks of 8 TB offers 23104508133376 bytes;
    /// a thick volume of 100 GiB reserves 118817125376 with blocks of 16 KiB and 107796234240 with 64 KiB.
    #[test]
    fn reservations_and_thick_volumes_are_counted_once() {
        use super::super::testing::host;
        let mut disks = String::new();
        for at in 0..4 {
            writeln!(
                disks,
                "[hardware.disks.hdd{at}]\nkind = \"hdd\"\nsize = \"8 TB\"\ndevice = \"/dev/disk/by-id/ata-{at}\""
            )
            .expect("a string takes all text");
        }
        let planned = |dataset: &str| {
            let host = host(&format!(
                "{disks}\
                 [storage.pools.tank]\nlayout = \"raidz1\"\ndisks = [\"hdd0\", \"hdd1\", \"hdd2\", \"hdd3\"]\n\
                 [storage.datasets]\nvols = {{ pool = \"tank\", use = \"vm-disks\", {dataset} }}\n\
                 [vms.a]\nos = \"linux\"\nvmid = 100\nmemory = \"1 GiB\"\n\
                 [vms.a.disks]\none = {{ dataset = \"vols\", size = \"100 GiB\" }}\ntwo = {{ dataset = \"vols\", size = \"100 GiB\" }}\n"
            ));
            let volumes = space::volumes(&host, &Volumes::of(&host));
            let plans = space::plans(&host, &volumes);
            let (id, _) = host.storage.pools.iter().nth(1).expect("the second pool");
            let plan = &plans[&id];
            (
                plan.usable.as_bytes(),
                plan.firm_sum().as_bytes(),
                plan.growth
                    .iter()
                    .map(|(_, size)| size.as_bytes())
                    .sum::<u64>(),
            )
        };
        let usable = 23_104_508_133_376;
        assert_eq!(
            planned("thin = false"),
            (usable, 2 * 118_817_125_376, 2 * 118_817_125_376)
        );
        assert_eq!(
            planned("thin = false, volblocksize = \"64 KiB\""),
            (usable, 2 * 107_796_234_240, 2 * 107_796_234_240)
        );
        // Nothing is kept for thin volumes, and a quota bounds what they grow to.
        assert_eq!(planned("quota = \"150 GiB\""), (usable, 0, 150 << 30));
        // Volumes use a reservation up before they take more.
        assert_eq!(
            planned("thin = false, reservation = \"300 GiB\""),
            (usable, 300 << 30, 2 * 118_817_125_376)
        );
        assert_eq!(
            planned("thin = false, reservation = \"100 GiB\""),
            (usable, 2 * 118_817_125_376, 2 * 118_817_125_376)
        );
    }

    #[test]
    fn a_nixos_host_limits_the_cache_itself() {
        use super::super::testing::{host_of, told};
        let host = |platform: &str, arc: &str| {
            host_of(&format!(
                "[host]\nname = \"n\"\nrelease = \"9.2\"\nplatform = \"{platform}\"\ntimezone = \"UTC\"\n\
                 [hardware.memory]\nsize = \"64 GiB\"\n\
                 [hardware.disks]\na = {{ kind = \"ssd\", size = \"1 TB\", device = \"/dev/disk/by-id/ata-a\" }}\n\
                 [storage]\n{arc}\n\
                 [storage.pools.rpool]\nlayout = \"stripe\"\ndisks = [\"a\"]\nboot = true\n\
                 [vms.a]\nos = \"linux\"\nvmid = 100\nmemory = \"1 GiB\"\n"
            ))
        };
        let found = told(&host("nixos", ""), Code::MOX0322);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(told(&host("nixos", "arc-max = \"7 GiB\""), Code::MOX0322).is_empty());
        assert!(told(&host("proxmox", ""), Code::MOX0322).is_empty());
    }
}
