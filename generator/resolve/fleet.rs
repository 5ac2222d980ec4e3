//! Hosts against each other: what must be unique in a fleet, in a cluster, or in one call.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Host, Kinship, Link};
use crate::source::Span;
use crate::value::{Cidr, MacAddress, VmId};

/// Holds hosts against each other. What is used twice on one host has been told by [`super::resolve`].
pub fn check(hosts: &[&Host], kinship: Kinship, sink: &mut Sink) {
    match kinship {
        Kinship::SameCall => host_names(hosts, sink),
        Kinship::Fleet | Kinship::Cluster => {
            guest_names(hosts, sink);
            macs(hosts, sink);
            addresses(hosts, sink);
        }
    }
    if kinship == Kinship::Cluster {
        vmids(hosts, sink);
    }
}

fn host_names(hosts: &[&Host], sink: &mut Sink) {
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    for host in hosts.iter().filter(|host| !host.name.is_missing()) {
        let name = host.name.as_str().to_ascii_lowercase();
        match seen.get(&name) {
            None => {
                seen.insert(name, host.name.span);
            }
            Some(first) => sink.push(
                Diagnostic::new(
                    Code::MOX0103,
                    host.name.span,
                    format!("two hosts are called `{}`", host.name.as_str()),
                )
                .label("used again")
                .also(*first, "used first")
                .help("rename one: each host's files go to a folder of its name"),
            ),
        }
    }
}

/// Names in one domain: guests of different hosts, and guests and hosts.
fn guest_names(hosts: &[&Host], sink: &mut Sink) {
    let mut seen: BTreeMap<(String, String), (usize, Span, &str)> = BTreeMap::new();
    let domain = |host: &Host| host.domain.as_str().to_ascii_lowercase();
    for (at, host) in hosts.iter().enumerate() {
        if !host.name.is_missing() {
            let key = (domain(host), host.name.as_str().to_ascii_lowercase());
            seen.entry(key).or_insert((at, host.name.span, "a host"));
        }
    }
    for (at, host) in hosts.iter().enumerate() {
        for guest in host.guests.values() {
            let key = (domain(host), guest.name.value.to_ascii_lowercase());
            match seen.get(&key) {
                None => {
                    seen.insert(key, (at, guest.name.span, "a guest"));
                }
                // Two guests of one host have been told.
                Some((other, ..)) if *other == at => {}
                Some((other, first, what)) => sink.push(
                    Diagnostic::new(
                        Code::MOX0103,
                        guest.name.span,
                        format!(
                            "`{}` is a name on `{}` and on `{}`",
                            guest.name.value,
                            hosts[*other].name.as_str(),
                            host.name.as_str()
                        ),
                    )
                    .label("used again")
                    .also(*first, *what)
                    .help(format!(
                        "rename one: both would be `{}.{}`",
                        guest.name.value,
                        host.domain.as_str()
                    )),
                ),
            }
        }
    }
}

/// One card is in one host. Machines are left out: each host describes the same ones.
fn macs(hosts: &[&Host], sink: &mut Sink) {
    let mut seen: BTreeMap<MacAddress, (usize, Span)> = BTreeMap::new();
    for (at, host) in hosts.iter().enumerate() {
        let nics = host
            .hardware
            .nics
            .values()
            .filter_map(|nic| nic.mac.map(|mac| (mac.value, mac.span)));
        let guests = host.guests.values().flat_map(|guest| {
            guest
                .network
                .iter()
                .filter(|nic| nic.mac.is_written() || !guest.vmid.is_missing())
                .map(|nic| (nic.mac.value, nic.mac.span))
        });
        // A host without a name has no addresses that could be derived.
        let nameless = host.name.is_missing();
        for (mac, span) in nics.chain(guests.filter(|_| !nameless)) {
            match seen.get(&mac) {
                None => {
                    seen.insert(mac, (at, span));
                }
                Some((other, _)) if *other == at => {}
                Some((_, first)) => sink.push(
                    Diagnostic::new(
                        Code::MOX0104,
                        span,
                        format!("the MAC address {mac} is used on two hosts"),
                    )
                    .label("used again")
                    .also(*first, "used first")
                    .help(
                        "give one of them another `mac`; a guest's is derived where it is left out",
                    ),
                ),
            }
        }
    }
}

/// Static addresses of hosts and guests in one network. A bridge without ports is a network of its own host, where the
/// same addresses are as good on every host.
fn addresses(hosts: &[&Host], sink: &mut Sink) {
    let mut seen: BTreeMap<(IpNet, IpAddr), (usize, Span)> = BTreeMap::new();
    for (at, host) in hosts.iter().enumerate() {
        let outside = |link: Link| match link {
            Link::Bridge(bridge) => !host.network.bridges[bridge].ports.is_empty(),
            Link::Port(_) => true,
        };
        let own = host
            .network
            .legs()
            .filter(|leg| outside(leg.segment.link))
            .flat_map(|leg| leg.ip.fixed_addresses());
        let guests = host
            .guests
            .values()
            .flat_map(|guest| &guest.network)
            .filter(|nic| outside(Link::Bridge(nic.bridge.value)))
            .flat_map(super::super::model::guest::GuestNic::static_addresses);
        for address in own.chain(guests) {
            let cidr: Cidr = address.value;
            let key = (cidr.network().trunc(), cidr.address());
            match seen.get(&key) {
                None => {
                    seen.insert(key, (at, address.span));
                }
                Some((other, _)) if *other == at => {}
                Some((_, first)) => sink.push(
                    Diagnostic::new(
                        Code::MOX0105,
                        address.span,
                        format!("the address {} is used on two hosts", cidr.address()),
                    )
                    .label("used again")
                    .also(*first, "used first")
                    .help("give one of them another address of the network"),
                ),
            }
        }
    }
}

fn vmids(hosts: &[&Host], sink: &mut Sink) {
    let known = || {
        hosts
            .iter()
            .flat_map(|host| host.guests.values())
            .filter(|guest| !guest.vmid.is_missing())
    };
    let mut taken: Vec<u32> = known().map(|guest| guest.vmid.value.get()).collect();
    taken.sort_unstable();
    let mut next = taken.first().copied().unwrap_or(VmId::MIN);
    let mut seen: BTreeMap<VmId, (usize, Span)> = BTreeMap::new();
    for (at, host) in hosts.iter().enumerate() {
        for guest in host.guests.values().filter(|g| !g.vmid.is_missing()) {
            match seen.get(&guest.vmid.value) {
                None => {
                    seen.insert(guest.vmid.value, (at, guest.vmid.span));
                }
                Some((other, _)) if *other == at => {}
                Some((other, first)) => {
                    while taken.binary_search(&next).is_ok() {
                        next += 1;
                    }
                    let mut diagnostic = Diagnostic::new(
                        Code::MOX0101,
                        guest.vmid.span,
                        format!(
                            "VMID {} is used on `{}` and on `{}`",
                            guest.vmid.value,
                            hosts[*other].name.as_str(),
                            host.name.as_str()
                        ),
                    )
                    .label("used again")
                    .also(*first, "used first")
                    .note("VMIDs are unique in a cluster");
                    if let Some(free) = VmId::new(i64::from(next)) {
                        diagnostic = diagnostic.help(format!("the next free one is {free}"));
                        next += 1;
                    }
                    sink.push(diagnostic);
                }
            }
        }
    }
}
