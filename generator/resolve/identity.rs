//! What must be unique on a host: VMIDs and MAC addresses.

use std::collections::BTreeMap;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, Host, Id};
use crate::source::{Span, Spanned};
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

/// Who has a MAC address.
struct Holder {
    place: Span,
    /// Whether the spec says the address.
    written: bool,
    /// The guest whose card it is.
    guest: Option<Id<Guest>>,
}

fn macs(host: &Host, sink: &mut Sink) {
    let of_host = |mac: Spanned<MacAddress>| {
        let holder = Holder {
            place: mac.span,
            written: true,
            guest: None,
        };
        (mac.value, holder)
    };
    let nics = host.hardware.nics.values().filter_map(|nic| nic.mac);
    let machines = host.network.machines.values().filter_map(|m| m.mac);
    let mut all: Vec<(MacAddress, Holder)> = nics.chain(machines).map(of_host).collect();
    for (id, guest) in host.guests.iter() {
        for nic in &guest.network {
            if nic.mac.is_written() || !guest.vmid.is_missing() {
                let holder = Holder {
                    place: nic.mac.span,
                    written: nic.mac.is_written(),
                    guest: Some(id),
                };
                all.push((nic.mac.value, holder));
            }
        }
    }
    all.sort_by_key(|(mac, holder)| (*mac, holder.place));
    let mut rest = &all[..];
    while let Some((mac, _)) = rest.first() {
        let same = rest.iter().take_while(|(other, _)| other == mac).count();
        let (holders, behind) = rest.split_at(same);
        rest = behind;
        for (at, (mac, holder)) in holders.iter().enumerate() {
            let mut before = holders[..at].iter().map(|(_, other)| other);
            if let Some(first) = before.find(|other| meet(host, holder, other)) {
                sink.push(mac_twice(*mac, holder, first));
            }
        }
    }
}

/// Whether two cards can be on the network together.
fn meet(host: &Host, a: &Holder, b: &Holder) -> bool {
    let (Some(a), Some(b)) = (a.guest, b.guest) else {
        return true;
    };
    let excludes = |one: Id<Guest>, other: Id<Guest>| {
        let mut excluded = host.guests[one].exclusive_with.iter();
        excluded.any(|guest| guest.value == other)
    };
    a == b || !(excludes(a, b) || excludes(b, a))
}

fn mac_twice(mac: MacAddress, holder: &Holder, first: &Holder) -> Diagnostic {
    // Two derived ones of one host never meet.
    let help = if holder.written && first.written {
        "remove one of the lines: a guest's address is derived where it is left out; two guests that never run together say so by `exclusive-with`"
    } else {
        "the address of the other card is derived, and happens to be this one: write another `mac`, or leave it out"
    };
    Diagnostic::new(
        Code::MOX0104,
        holder.place,
        format!("the MAC address {mac} is used twice"),
    )
    .label("used again")
    .also(first.place, "used first")
    .help(help)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    use super::*;
    use crate::compile::Compiled;

    /// The addresses of guests with one card each, by VMID.
    fn addresses(vmids: &[u32]) -> BTreeMap<u32, MacAddress> {
        let mut text = String::from(
            "[host]\nname = \"pve1\"\nrelease = \"9.2\"\ntimezone = \"UTC\"\n[network.bridges.vmbr0]\n",
        );
        for vmid in vmids {
            write!(
                text,
                "[vms.g{vmid}]\nos = \"linux\"\nvmid = {vmid}\nmemory = \"1 GiB\"\n[[vms.g{vmid}.network]]\nbridge = \"vmbr0\"\n"
            )
            .expect("a string takes all text");
        }
        let mut compiled = Compiled::of("host.toml", &text);
        let found = compiled.found();
        assert!(found.iter().all(|(_, told)| told.code != Code::MOX0104));
        let host = compiled.checked.host;
        host.guests
            .values()
            .map(|guest| (guest.vmid.get(), *guest.network[0].mac))
            .collect()
    }

    /// Two VMIDs whose derived addresses are one, found by looking.
    fn that_meet() -> (u32, u32) {
        let mut seen = BTreeMap::new();
        (VmId::MIN..)
            .find_map(|vmid| {
                let first = seen.insert(MacAddress::derive("pve1", vmid, 0), vmid)?;
                Some((first, vmid))
            })
            .expect("of 2²⁴ + 1 addresses of three bytes, two are the same")
    }

    #[test]
    fn of_two_derived_addresses_that_meet_the_later_guest_takes_another() {
        let (first, second) = that_meet();
        let found = addresses(&[second, first]);
        assert_eq!(found[&first], MacAddress::derive("pve1", first, 0));
        assert_eq!(found[&second], MacAddress::derive_second("pve1", second, 0));
        // Unicast, and given locally.
        assert_eq!(found[&second].octets()[0] & 0b11, 0b10);
        // Alone it keeps the first.
        assert_eq!(
            addresses(&[second])[&second],
            MacAddress::derive("pve1", second, 0)
        );
    }

    #[test]
    fn ten_thousand_guests_have_ten_thousand_addresses_that_stay() {
        let vmids: Vec<u32> = (100..10_100).collect();
        let all = addresses(&vmids);
        let different: std::collections::BTreeSet<_> = all.values().collect();
        assert_eq!(different.len(), vmids.len());
        // A guest that is added changes no other.
        let before = addresses(&vmids[..9_999]);
        assert!(before.iter().all(|(vmid, mac)| all[vmid] == *mac));
    }
}
