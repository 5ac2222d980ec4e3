//! What must be unique on a host: VMIDs and MAC addresses.

use std::collections::BTreeMap;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::Host;
use crate::source::Span;
use crate::value::{MacAddress, VmId};

pub(super) fn check(host: &Host, sink: &mut Sink) {
    vmids(host, sink);
    macs(host, sink);
}

fn vmids(host: &Host, sink: &mut Sink) {
    let mut seen: BTreeMap<VmId, (&str, Span)> = BTreeMap::new();
    let mut twice = Vec::new();
    for guest in host
        .guests
        .values()
        .filter(|guest| !guest.vmid.is_missing())
    {
        match seen.get(&guest.vmid.value) {
            Some(first) => twice.push((*first, guest)),
            None => {
                seen.insert(guest.vmid.value, (&guest.name, guest.vmid.span));
            }
        }
    }
    let mut next = seen.keys().next().map_or(VmId::MIN, |first| first.get());
    for ((name, span), guest) in twice {
        while VmId::new(i64::from(next)).is_some_and(|vmid| seen.contains_key(&vmid)) {
            next += 1;
        }
        let mut diagnostic = Diagnostic::new(
            Code::MOX0101,
            guest.vmid.span,
            format!(
                "VMID {} is used by `{name}` and `{}`",
                guest.vmid.value, guest.name.value
            ),
        )
        .label("used again")
        .also(span, "used first");
        if let Some(free) = VmId::new(i64::from(next)) {
            diagnostic = diagnostic.help(format!("the next free one is {free}"));
            seen.insert(free, (&guest.name, guest.vmid.span));
        }
        sink.push(diagnostic);
    }
}

fn macs(host: &Host, sink: &mut Sink) {
    let guests = host.guests.values().flat_map(|guest| {
        guest.network.iter().map(|nic| {
            (
                nic.mac.value,
                nic.mac.span,
                nic.mac.is_written() || !guest.vmid.is_missing(),
                nic.mac.is_written(),
            )
        })
    });
    let nics = host
        .hardware
        .nics
        .values()
        .filter_map(|nic| nic.mac.map(|mac| (mac.value, mac.span, true, true)));
    let machines = host
        .network
        .machines
        .values()
        .filter_map(|machine| machine.mac.map(|mac| (mac.value, mac.span, true, true)));
    let mut seen: BTreeMap<MacAddress, (Span, bool)> = BTreeMap::new();
    let mut all: Vec<_> = nics
        .chain(machines)
        .chain(guests)
        .filter(|(_, _, known, _)| *known)
        .collect();
    all.sort_by_key(|(mac, span, ..)| (*mac, *span));
    for (mac, span, _, written) in all {
        if let Some((first, first_written)) = seen.insert(mac, (span, written)) {
            // Of ten thousand derived addresses, three pairs meet.
            let help = if written && first_written {
                "remove one of the lines: a guest's address is derived where it is left out"
            } else {
                "the address of a card is derived where it is left out, and here two meet: give one of them a `mac`"
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0104,
                    span,
                    format!("the MAC address {mac} is used twice"),
                )
                .label("used again")
                .also(first, "used first")
                .help(help),
            );
        }
    }
}
