//! What fits: amounts, limits, snapshots and padding.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Facts;
use crate::facts::space::{Planned, Room, Sized, geometry, volume_block};
use crate::model::{Dataset, Host, Id, Pool, Schedule};
use crate::source::Span;
use crate::value::{ByteSize, DatasetUse};
use crate::zfs::{PoolCapacity, VdevShape};

/// Amounts under each other, then what stands against their sum.
pub(in crate::analysis) fn sum_table(
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
        "`{}` offers {}: `zpool list` shows {}{beside}; ZFS keeps {} for itself{}",
        plan.pool.name.value,
        plan.room().human(),
        size.human(),
        slop.human(),
        whole_disks(plan.room())
    )
}

/// What the figures do not tell where there are partitions.
pub(super) const fn whole_disks(room: Room) -> &'static str {
    if room.at_most {
        "; a partition counts with the size of its whole disk, and has less"
    } else {
        ""
    }
}

/// The line of a table for what a pool offers.
fn offers(plan: &Planned<'_>) -> String {
    let bound = if plan.at_most { " at most" } else { "" };
    format!(
        "`{}` offers{bound} ({})",
        plan.pool.name.value, plan.pool.layout.value
    )
}

/// More kept free than there is.
pub(super) fn promised(plan: &Planned<'_>, sink: &mut Sink) {
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
            plan.room().human()
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
pub(super) fn nearly_full(plan: &Planned<'_>, sink: &mut Sink) {
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
            format!(
                "`{}` is planned to be {}{percent} % full",
                plan.pool.name.value,
                plan.room().share()
            ),
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
pub(super) fn overcommitted(plan: &Planned<'_>, sink: &mut Sink) {
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
                "what lies on `{}` can grow to {}{percent} % of it",
                plan.pool.name.value,
                plan.room().share()
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
pub(super) fn limits(dataset: &Dataset, sink: &mut Sink) {
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

/// A snapshot of a thick volume keeps what it holds, and the volume still reserves its whole size beside it. What shares a
/// pool shares its room, whichever schedule takes the snapshots.
pub(super) fn snapshots(
    facts: &Facts<'_>,
    volumes: &[Sized<'_>],
    plans: &BTreeMap<Id<Pool>, Planned<'_>>,
    sink: &mut Sink,
) {
    let host = facts.host;
    for (pool, plan) in plans {
        let mut rows = plan.firm.clone();
        let (mut more, mut datasets) = (ByteSize::default(), Vec::new());
        for volume in volumes.iter().filter(|volume| volume.block) {
            let Some(id) = volume.dataset() else { continue };
            let dataset = &host.storage.datasets[id];
            let is_taken = facts.backups.snapshots_in(id).next().is_some();
            if dataset.pool.value != *pool || *dataset.thin || !is_taken {
                continue;
            }
            let block = volume_block(host, dataset);
            let size = plan.geometry.thick_volume(volume.size, block);
            rows.push((format!("{}, written once over", volume.name()), size));
            more = more + size;
            if !datasets.contains(&id) {
                datasets.push(id);
            }
        }
        let kept = plan.firm_sum();
        // What does not fit even without a snapshot is told already.
        if kept > plan.usable || kept + more <= plan.usable {
            continue;
        }
        let mut places: Vec<(Id<Schedule>, Span)> = Vec::new();
        for place in datasets
            .iter()
            .flat_map(|id| facts.backups.snapshots_in(*id))
        {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let mut places = places.into_iter().take(MOST_PLACES).map(|(id, span)| {
            let name = &host.schedules[id].name.value;
            (span, format!("taken by `{name}`"))
        });
        let Some((place, label)) = places.next() else {
            continue;
        };
        let names: Vec<String> = datasets
            .iter()
            .map(|id| format!("`{}`", host.storage.datasets[*id].name.value))
            .collect();
        let mut diagnostic = Diagnostic::new(
            Code::MOX0311,
            place,
            format!(
                "snapshots of the thick volumes in {} fail when these are full",
                names.join(", ")
            ),
        )
        .label(label);
        for (place, label) in places {
            diagnostic = diagnostic.also(place, label);
        }
        for id in datasets.iter().take(MOST_PLACES) {
            let thin = &host.storage.datasets[*id].thin;
            diagnostic = diagnostic.also(thin.span, "`thin = false`");
        }
        let help = if datasets.len() == 1 {
            "make the dataset `thin = true`, or the volumes smaller"
        } else {
            "make the datasets `thin = true`, or the volumes smaller"
        };
        sink.push(
            diagnostic
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
                .help(help),
        );
    }
}

/// How many places of a kind one message shows.
const MOST_PLACES: usize = 4;

/// How far below a layout's best, in thousandths, blocks may lie.
const PADDING: u64 = 50;

/// Blocks so small that raidz fills a good part of its space with parity and padding.
pub(super) fn padding(host: &Host, dataset: &Dataset, sink: &mut Sink) {
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use crate::facts::Facts;

    /// The pool and the volumes of OpenZFS 2.3.9's own figures: raidz1 of four disks of 8 TB offers 23104508133376 bytes;
    /// a thick volume of 100 GiB reserves 118817125376 with blocks of 16 KiB and 107796234240 with 64 KiB.
    #[test]
    fn reservations_and_thick_volumes_are_counted_once() {
        use crate::analysis::testing::host;
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
            let facts = Facts::of(&host);
            let (id, _) = host.storage.pools.iter().nth(1).expect("the second pool");
            let plan = &facts.space().pools[&id];
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
}
