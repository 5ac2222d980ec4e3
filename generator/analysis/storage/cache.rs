//! The cache of ZFS in the host's memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::space::{Planned, Room};
use crate::model::{Host, Id, Pool};
use crate::value::{ByteSize, Platform};

/// `MIN_ARC_MAX` of OpenZFS.
const LEAST_ARC_MAX: ByteSize = ByteSize::mib(64);

/// Bounds of the ZFS cache that ZFS ignores.
pub(super) fn cache_bounds(host: &Host, sink: &mut Sink) {
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
pub(super) fn cache_size(host: &Host, plans: &BTreeMap<Id<Pool>, Planned<'_>>, sink: &mut Sink) {
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
    let served = || served.iter().filter_map(|pool| plans.get(pool));
    let space = Room {
        size: served().map(|plan| plan.usable).sum(),
        at_most: served().any(|plan| plan.at_most),
    };
    // `local-zfs.adoc`: "at least 2 GiB Base + 1 GiB/TiB-Storage".
    let rule = ByteSize::gib(2) + ByteSize::bytes(space.size.as_bytes() >> 10);
    if space.size == ByteSize::default() || most.value >= rule {
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

#[cfg(test)]
mod tests {
    use crate::diagnostics::Code;
    use crate::value::ByteSize;

    /// 8 TB, mirror of 2: what OpenZFS 2.3.9 offers is 7851200217088 bytes; the rule of thumb gives 2 GiB and 7.14 GiB.
    #[test]
    fn a_tebibyte_wants_a_gibibyte() {
        let rule = ByteSize::gib(2) + ByteSize::bytes(7_851_200_217_088 >> 10);
        assert_eq!(rule.human(), "9.14 GiB");
    }

    #[test]
    fn a_nixos_host_limits_the_cache_itself() {
        use crate::analysis::testing::{host_of, told};
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
