//! The memory bill: what guests, the ZFS cache and the host take of the machine's memory together.

use std::cmp::Reverse;

use super::{Facts, HugePages, pages};
use crate::model::{Guest, GuestKind, Host, Id};
use crate::pve::since;
use crate::value::{Balloon, ByteSize, Platform};

/// What QEMU takes beside the memory of its guest: tables that grow with it (3 %), and devices, buffers and the program
/// itself (128 MiB). Measured values differ by guest; these are on the safe side of common ones.
pub fn qemu_overhead(memory: ByteSize) -> ByteSize {
    ByteSize::bytes(memory.as_bytes() / 100 * 3) + ByteSize::mib(128)
}

/// What a guest takes of the host's memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Demand {
    /// What it keeps, whatever the host would like to have back.
    pub kept: ByteSize,
    /// The most that it can take.
    pub most: ByteSize,
    /// What QEMU takes beside it.
    pub overhead: ByteSize,
    /// Whether its memory is in huge pages, which are set aside whether it runs or not.
    pub in_pages: bool,
}

/// What a guest takes.
pub fn demand(guest: &Guest) -> Demand {
    // A template is only cloned: Proxmox VE does not start it.
    if guest.memory.is_missing() || guest.is_template() {
        return Demand::default();
    }
    let most = *guest.memory;
    match &guest.kind {
        // Its memory is set aside whether it runs or not: see `kept_pages`.
        GuestKind::Vm(vm) if pages::of_guest(guest, vm).is_some() => Demand {
            overhead: qemu_overhead(most),
            in_pages: true,
            ..Demand::default()
        },
        GuestKind::Vm(vm) => {
            let kept = match vm.balloon.as_ref().map(|balloon| &balloon.value) {
                // A passed-through device reaches all of the guest's memory, so that the balloon gives nothing back.
                Some(Balloon::Least(least)) if vm.passthrough.is_empty() => (*least).min(most),
                Some(Balloon::Least(_) | Balloon::Off) | None => most,
            };
            Demand {
                kept,
                most,
                overhead: qemu_overhead(most),
                in_pages: false,
            }
        }
        // A container's memory is a limit: nothing is taken before it is used.
        GuestKind::Container(_) => Demand {
            most,
            ..Demand::default()
        },
    }
}

/// The ZFS cache's part, with the words of its line.
pub fn cache(host: &Host, memory: ByteSize) -> Option<(ByteSize, &'static str)> {
    if host.storage.pools.is_empty() {
        return None;
    }
    if let Some(arc_max) = host.storage.arc_max {
        return Some((arc_max.value, "ZFS cache (`arc-max`)"));
    }
    let installed = *host.platform == Platform::Proxmox
        && *host.release >= since::LIMIT_OF_ARC
        && host.storage.boot_pool().is_some();
    Some(if installed {
        let tenth = ByteSize::bytes(memory.as_bytes() / 10);
        (
            tenth.min(ByteSize::gib(16)),
            "ZFS cache (the installer's limit)",
        )
    } else {
        // Above its least, a cache without a limit gives memory back when others want it.
        (
            ByteSize::bytes(memory.as_bytes() / 32),
            "ZFS cache (its least)",
        )
    })
}

/// The huge pages of one size, with the words of their line.
fn kept_pages(pages: &HugePages) -> (String, ByteSize) {
    let words = format!(
        "huge pages, kept from the start ({} of {})",
        pages.count, pages.page
    );
    (words, pages.size())
}

/// Which part of what a guest takes a bill is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// What it keeps, whatever the host would like to have back.
    Kept,
    /// The most that it can take.
    Most,
}

impl Amount {
    /// That part, without what QEMU takes.
    pub fn of(self, demand: &Demand) -> ByteSize {
        match self {
            Self::Kept => demand.kept,
            Self::Most => demand.most,
        }
    }
}

/// What is taken of a host's memory when the guests run that take the most together.
#[derive(Debug, Clone)]
pub struct Bill {
    /// Those guests, the heaviest first, each with all that it takes.
    pub guests: Vec<(Id<Guest>, ByteSize)>,
    /// What else is taken, whoever runs, with its words.
    pub fixed: Vec<(String, ByteSize)>,
    /// All of it.
    pub wanted: ByteSize,
    /// What there is.
    pub memory: ByteSize,
}

/// What each guest takes, in the order of the guests.
pub fn demands(host: &Host) -> Vec<Demand> {
    host.guests.values().map(demand).collect()
}

/// The bill of a host; none where the spec does not tell its memory, or is not whole.
pub fn bill(facts: &Facts<'_>, demands: &[Demand], amount: Amount) -> Option<Bill> {
    let host = facts.host;
    let memory = host
        .hardware
        .memory
        .as_ref()
        .filter(|memory| !memory.size.is_missing() && host.complete)?;
    let weight: Vec<u64> = demands
        .iter()
        .map(|demand| {
            let amount = amount.of(demand);
            if amount == ByteSize::default() && !demand.in_pages {
                0
            } else {
                (amount + demand.overhead).as_bytes()
            }
        })
        .collect();
    let mut fixed: Vec<(String, ByteSize)> = facts.pages.iter().map(kept_pages).collect();
    fixed.extend(cache(host, *memory.size).map(|(size, what)| (what.to_owned(), size)));
    fixed.push((
        "the host itself (`reserve`)".to_owned(),
        *host.reserve.memory,
    ));
    let mut running = facts.running.heaviest(&weight);
    running.sort_by_key(|id| (Reverse(weight[id.index()]), *id));
    let guests: Vec<(Id<Guest>, ByteSize)> = running
        .into_iter()
        .map(|id| (id, ByteSize::bytes(weight[id.index()])))
        .collect();
    let taken: ByteSize = guests.iter().map(|(_, size)| *size).sum();
    Some(Bill {
        wanted: taken + fixed.iter().map(|(_, size)| *size).sum(),
        memory: *memory.size,
        guests,
        fixed,
    })
}
