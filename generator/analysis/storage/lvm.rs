//! Volume groups: what they have, and what is planned in them.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::root::{self, Root, RootGroup};
use crate::facts::space::{self, Room, Sized};
use crate::model::{Host, Id, Lvm, StoreRef};
use crate::value::{ByteSize, Platform};

use super::room::{sum_table, whole_disks};

pub(super) fn check(host: &Host, volumes: &[Sized<'_>], sink: &mut Sink) {
    if !host.complete {
        return;
    }
    for (id, lvm) in host.storage.lvm.iter() {
        root_of_unknown_size(host, lvm, sink);
        root_beyond_its_disks(host, lvm, sink);
        larger_than_its_disks(host, lvm, sink);
        planned(host, id, lvm, volumes, sink);
    }
}

/// The group of the root, where this store lies in it and disko makes it.
fn root_group<'a>(host: &'a Host, lvm: &Lvm) -> Option<RootGroup<'a>> {
    match (*host.platform, root::of(host)) {
        (Platform::Nixos, Some(Root::Group(group)))
            if group.name == lvm.group.as_str() && !group.disks.is_empty() =>
        {
            Some(group)
        }
        (Platform::Nixos | Platform::Proxmox, _) => None,
    }
}

/// What the disks of a group have for guests: not what the host itself takes.
fn for_guests(host: &Host, lvm: &Lvm) -> Option<Room> {
    let all = of_disks(host, lvm)?;
    let size = match root_group(host, lvm) {
        Some(group) if group.taken() < all.size => all.size - group.taken(),
        Some(_) => ByteSize::bytes(0),
        None => all.size,
    };
    Some(Room { size, ..all })
}

/// Reports a root that would be a part of disks of which the spec tells no size.
fn root_of_unknown_size(host: &Host, lvm: &Lvm, sink: &mut Sink) {
    let Some(group) = root_group(host, lvm).filter(|group| *lvm.boot && group.root.is_none())
    else {
        return;
    };
    let partitions = group
        .disks
        .iter()
        .filter_map(|id| host.hardware.disks[*id].partition)
        .take(4);
    let mut diagnostic = Diagnostic::new(Code::MOX0004, lvm.span, "the key `root-size` is missing")
        .also(lvm.boot.span, "so disko makes the root in it");
    for partition in partitions {
        diagnostic = diagnostic.also(
            partition.span,
            "how large this partition is the spec does not tell",
        );
    }
    sink.push(
        diagnostic
            .note("left out, the root takes a quarter of the whole disks of its group, and this group has partitions alone")
            .help("say how large it is to be: `root-size = \"32 GiB\"`"),
    );
}

/// Reports a root and a swap that leave nothing of the disks.
fn root_beyond_its_disks(host: &Host, lvm: &Lvm, sink: &mut Sink) {
    let (Some(group), Some(disks)) = (root_group(host, lvm), of_disks(host, lvm)) else {
        return;
    };
    let said = lvm.root_size.or(lvm.swap_size);
    if let (Some(said), true) = (said, group.taken() >= disks.size) {
        sink.push(
            Diagnostic::new(
                Code::MOX0310,
                said.span,
                format!(
                    "the host itself takes {} of `{}`, and its disks have {}",
                    group.taken().human(),
                    group.name,
                    disks.human()
                ),
            )
            .note(sum_table(
                "root, swap and what the firmware reads:",
                &[
                    ("root".to_owned(), group.root.unwrap_or_default()),
                    ("swap".to_owned(), group.swap.unwrap_or_default()),
                    ("EFI system partition".to_owned(), group.esp),
                ],
                &[("together".to_owned(), group.taken())],
            ))
            .help("make root or swap smaller"),
        );
    }
}

/// All that the disks of a group have; none where the spec names none, or does not know one.
fn of_disks(host: &Host, lvm: &Lvm) -> Option<Room> {
    let disks = || {
        lvm.disks
            .iter()
            .map(|disk| &host.hardware.disks[disk.value])
    };
    let known = !lvm.disks.is_empty() && disks().all(|disk| !disk.size.is_missing());
    known.then(|| space::of_disks(disks()))
}

fn larger_than_its_disks(host: &Host, lvm: &Lvm, sink: &mut Sink) {
    let (Some(size), Some(disks)) = (lvm.size, for_guests(host, lvm)) else {
        return;
    };
    if size.value > disks.size {
        let beside = root_group(host, lvm).map_or("", |_| " beside root, swap and boot loader");
        sink.push(
            Diagnostic::new(
                Code::MOX0310,
                size.span,
                format!(
                    "`{}` is to have {}, and its disks have {}{beside}",
                    lvm.name.value,
                    size.value.human(),
                    disks.human()
                ),
            )
            .help("make it smaller, or leave `size` out: all of the group is taken"),
        );
    }
}

/// Thick volumes take their size when they are made, thin ones as they fill.
fn planned(host: &Host, id: Id<Lvm>, lvm: &Lvm, volumes: &[Sized<'_>], sink: &mut Sink) {
    let Some(has) = lvm
        .size
        .map(|size| Room {
            size: size.value,
            at_most: false,
        })
        .or_else(|| for_guests(host, lvm))
    else {
        return;
    };
    let here: Vec<&Sized<'_>> = volumes
        .iter()
        .filter(|volume| volume.store == StoreRef::Lvm(id))
        .collect();
    let rows: Vec<(String, ByteSize)> = here
        .iter()
        .map(|volume| (volume.name(), volume.size))
        .collect();
    let wanted: ByteSize = rows.iter().map(|(_, size)| *size).sum();
    let name = &lvm.name;
    let table = |heading: &str| {
        let heading = format!("{heading}{}:", whole_disks(has));
        sum_table(
            &heading,
            &rows,
            &[
                ("together".to_owned(), wanted),
                (
                    format!("`{}` has {}", name.value, has.bound())
                        .trim_end()
                        .to_owned(),
                    has.size,
                ),
            ],
        )
    };
    if lvm.thin_pool.is_none() {
        if wanted > has.size {
            let mut diagnostic = Diagnostic::new(
                Code::MOX0310,
                name.span,
                format!(
                    "the volumes in `{}` take {}, and it has {}",
                    name.value,
                    wanted.human(),
                    has.human()
                ),
            );
            for volume in here.iter().take(4) {
                diagnostic = diagnostic.also(volume.span, "kept here");
            }
            sink.push(
                diagnostic
                    .note(table("thick volumes"))
                    .note("LVM refuses the volume that does not fit: \"insufficient free space\"")
                    .help("make volumes smaller, or the group a thin one: `thin-pool = \"data\"`"),
            );
        }
    // A group of which the host itself takes everything is told of above.
    } else if has.size > ByteSize::bytes(0)
        && u128::from(wanted.as_bytes()) * 2 > u128::from(has.size.as_bytes()) * 3
    {
        let percent = u128::from(wanted.as_bytes()) * 100 / u128::from(has.size.as_bytes().max(1));
        sink.push(
            Diagnostic::new(
                Code::MOX0312,
                name.span,
                format!(
                    "what lies in `{}` can grow to {}{percent} % of it",
                    name.value,
                    has.share()
                ),
            )
            .note(table("at the most, without snapshots"))
            .note("when a thin pool is full, every guest in it stops at its next write, and the pool may need repair")
            .help("make the volumes smaller; or allow this warning and watch the pool: `lvs` shows how full it is"),
        );
    }
}
