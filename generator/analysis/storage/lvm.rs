//! Volume groups: what they have, and what is planned in them.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::space::Sized;
use crate::model::{Host, Id, Lvm, StoreRef};
use crate::value::ByteSize;

use super::room::sum_table;

pub(super) fn check(host: &Host, volumes: &[Sized<'_>], sink: &mut Sink) {
    if !host.complete {
        return;
    }
    for (id, lvm) in host.storage.lvm.iter() {
        larger_than_its_disks(host, lvm, sink);
        planned(host, id, lvm, volumes, sink);
    }
}

/// All that the disks of a group have; none where the spec names none, or does not know one.
fn of_disks(host: &Host, lvm: &Lvm) -> Option<ByteSize> {
    let mut sizes = lvm
        .disks
        .iter()
        .map(|disk| &host.hardware.disks[disk.value].size);
    let known = !lvm.disks.is_empty() && sizes.clone().all(|size| !size.is_missing());
    known.then(|| sizes.by_ref().map(|size| **size).sum())
}

fn larger_than_its_disks(host: &Host, lvm: &Lvm, sink: &mut Sink) {
    let (Some(size), Some(disks)) = (lvm.size, of_disks(host, lvm)) else {
        return;
    };
    if size.value > disks {
        sink.push(
            Diagnostic::new(
                Code::MOX0310,
                size.span,
                format!(
                    "`{}` is to have {}, and its disks have {}",
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
        .map(|size| size.value)
        .or_else(|| of_disks(host, lvm))
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
        sum_table(
            heading,
            &rows,
            &[
                ("together".to_owned(), wanted),
                (format!("`{}` has", name.value), has),
            ],
        )
    };
    if lvm.thin_pool.is_none() {
        if wanted > has {
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
                    .note(table("thick volumes:"))
                    .note("LVM refuses the volume that does not fit: \"insufficient free space\"")
                    .help("make volumes smaller, or the group a thin one: `thin-pool = \"data\"`"),
            );
        }
    } else if u128::from(wanted.as_bytes()) * 2 > u128::from(has.as_bytes()) * 3 {
        let percent = u128::from(wanted.as_bytes()) * 100 / u128::from(has.as_bytes().max(1));
        sink.push(
            Diagnostic::new(
                Code::MOX0312,
                name.span,
                format!("what lies in `{}` can grow to {percent} % of it", name.value),
            )
            .note(table("at the most, without snapshots:"))
            .note("when a thin pool is full, every guest in it stops at its next write, and the pool may need repair")
            .help("make the volumes smaller; or allow this warning and watch the pool: `lvs` shows how full it is"),
        );
    }
}
