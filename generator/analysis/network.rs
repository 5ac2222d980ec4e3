//! The network: ports, addresses, gateways, VLANs, packet sizes, and who reaches what.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Running;
use crate::model::{
    Bond, Bridge, Gateway, Guest, GuestKind, GuestNic, Host, Id, Leg, LegId, Link, Nic, PortDevice,
    Segment,
};
use crate::source::{Span, Spanned};
use crate::value::{BondMode, Cidr, PciClass, Platform, VlanTag};

pub(super) fn check(host: &Host, together: &Running, sink: &mut Sink) {
    one_interface_twice(host, sink);
    ports_twice(host, sink);
    two_cables(host, sink);
    gateways(host, sink);
    two_ways_out(host, sink);
    let mut stations = stations(host);
    stations.sort_by_key(|s| (s.segment, s.address, s.span));
    addresses_twice(&stations, together, sink);
    handed_out(host, &stations, sink);
    overlapping(host, &stations, sink);
    alone(host, &stations, sink);
    let vlans = vlan_ports(host);
    for guest in host.guests.values() {
        for (at, nic) in guest.network.iter().enumerate() {
            let bridge = &host.network.bridges[nic.bridge.value];
            carried(bridge, nic, sink);
            vlan_without_port(host, bridge, nic, sink);
            vlan_elsewhere(bridge, nic, &vlans, sink);
            guest_names(host, guest, at, nic, bridge, sink);
            // What the bridge is said to be may stand there under a name that was not understood.
            if host.complete {
                trunks(bridge, nic, sink);
                guest_packets(guest, nic, bridge, sink);
            }
        }
    }
    if host.complete {
        for bridge in host.network.bridges.values() {
            vids_of_no_use(bridge, sink);
        }
        leg_packets(host, sink);
        names_by_slot(host, sink);
    }
    own_vlans_carried(host, sink);
    bridge_packets(host, sink);
    port_names(host, sink);
    let out = bridges_that_lead_out(host);
    internet(host, &out, sink);
    management(host, &out, sink);
    for bond in host.network.bonds.values() {
        lonely_bond(host, bond, sink);
        uneven_bond(host, bond, sink);
    }
}

// ---------------------------------------------------------------- ports

/// Two rows of the hardware table for one card.
fn one_interface_twice(host: &Host, sink: &mut Sink) {
    let mut seen: BTreeMap<&str, &Nic> = BTreeMap::new();
    for nic in host
        .hardware
        .nics
        .values()
        .filter(|nic| !nic.interface.is_missing())
    {
        if let Some(first) = seen.insert(nic.interface.as_str(), nic) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0201,
                    nic.interface.span,
                    format!(
                        "`{}` and `{}` are the same interface",
                        first.name.value, nic.name.value
                    ),
                )
                .also(first.interface.span, "the first")
                .help("`ip -br link` lists the interfaces of a host; remove one of the rows"),
            );
        }
    }
}

/// A card or a VLAN of it that two bridges or bonds take.
fn ports_twice(host: &Host, sink: &mut Sink) {
    let mut in_bond: BTreeMap<Id<Nic>, (&str, Span)> = BTreeMap::new();
    for bond in host.network.bonds.values() {
        for port in &bond.ports {
            if let Some((first, span)) = in_bond.insert(port.value, (&bond.name, port.span)) {
                let nic = &host.hardware.nics[port.value].name.value;
                sink.push(taken_twice(
                    nic,
                    port.span,
                    &bond.name,
                    span,
                    &format!("a port of the bond `{first}`"),
                ));
            }
        }
    }
    let mut in_bridge = BTreeMap::new();
    for bridge in host.network.bridges.values() {
        for port in &bridge.ports {
            let device = match port.device {
                PortDevice::Nic(nic) => host.hardware.nics[nic].name.value.as_str(),
                PortDevice::Bond(bond) => host.network.bonds[bond].name.value.as_str(),
            };
            let name = port
                .vlan
                .map_or_else(|| device.to_owned(), |tag| format!("{device}.{tag}"));
            if let Some((first, span)) =
                in_bridge.insert(port.value, (bridge.name.value.as_str(), port.span))
            {
                sink.push(taken_twice(
                    &name,
                    port.span,
                    &bridge.name,
                    span,
                    &format!("a port of the bridge `{first}`"),
                ));
            }
            if let PortDevice::Nic(nic) = port.device
                && let Some((bond, span)) = in_bond.get(&nic)
            {
                sink.push(
                    taken_twice(
                        &name,
                        port.span,
                        &bridge.name,
                        *span,
                        &format!("a port of the bond `{bond}`"),
                    )
                    .help(format!("make the bond the port: `ports = [\"{bond}\"]`")),
                );
            }
        }
    }
}

fn taken_twice(port: &str, span: Span, taker: &str, first: Span, what: &str) -> Diagnostic {
    Diagnostic::new(Code::MOX0201, span, format!("`{port}` has two masters"))
        .label(format!("taken by `{taker}`"))
        .also(first, what.to_owned())
        .note("the kernel gives an interface to one bridge or bond")
        .help("remove it from one of them; two networks on one cable are VLANs of it: `lan0.30`")
}

/// A bridge with two cables, and nothing that breaks a loop.
fn two_cables(host: &Host, sink: &mut Sink) {
    for bridge in host.network.bridges.values().filter(|b| !*b.stp) {
        let Some(first) = bridge.ports.first() else {
            continue;
        };
        let mut further = bridge
            .ports
            .iter()
            .filter(|port| port.device != first.device);
        let Some(second) = further.next() else {
            continue;
        };
        // Two cables may be meant as one; whoever plugs in three uses the host as a switch, and knows it.
        if further.any(|port| port.device != second.device) {
            continue;
        }
        sink.push(
            Diagnostic::new(
                Code::MOX0202,
                second.span,
                format!("`{}` joins two cables without the spanning tree protocol", bridge.name.value),
            )
            .also(first.span, "the other cable")
            .note("if both lead to one switch, every broadcast goes round for ever, and the network stops; a bridge is no bond")
            .help("for one faster or safer link, make a bond of them; to connect two networks, add `stp = true`"),
        );
    }
}

// ---------------------------------------------------------------- gateways

fn family(v6: bool) -> &'static str {
    if v6 { "IPv6" } else { "IPv4" }
}

fn gateways(host: &Host, sink: &mut Sink) {
    for leg in host.network.legs() {
        for v6 in [false, true] {
            let own = leg.ip.fixed(v6);
            for route in leg.ip.routes.iter().filter(|route| route.to.is_v6() == v6) {
                let seen_from = (leg.segment, own.map(|own| own.value));
                let via = route.via.and_then(|via| {
                    let address = known_address(host, via, seen_from, v6, sink)?;
                    Some((via, address))
                });
                if let (Some((via, address)), Some(own)) = (via, own) {
                    reachable(via.span, address, own, sink);
                }
            }
            let Some(gateway) = leg.ip.gateway_of(v6) else {
                continue;
            };
            let seen_from = (leg.segment, own.map(|own| own.value));
            let Some(address) = known_address(host, gateway, seen_from, v6, sink) else {
                continue;
            };
            match own {
                Some(own) => reachable(gateway.span, address, own, sink),
                None if leg.ip.is_dynamic(v6) => {}
                // Without a whole spec the address may be one that was not understood. By its link-local address a router
                // is reached without one.
                None if host.complete && !is_link_local(address) => sink.push(
                    Diagnostic::new(
                        Code::MOX0203,
                        gateway.span,
                        format!(
                            "a gateway on `{}`, where the host has no {} address",
                            leg.name.value,
                            family(v6)
                        ),
                    )
                    .also(leg.name.span, "this interface")
                    .help(format!(
                        "add `{}`, or remove the gateway",
                        if v6 { "address6" } else { "address" }
                    )),
                ),
                None => {}
            }
        }
    }
    for guest in host.guests.values() {
        for nic in &guest.network {
            for (gateway, v6) in [(nic.gateway, false), (nic.gateway6, true)] {
                let Some(gateway) = gateway else { continue };
                let seen_from = (nic.segment(), nic.static_address(v6));
                let Some(address) = known_address(host, gateway, seen_from, v6, sink) else {
                    continue;
                };
                if let Some(own) = nic.static_addresses().find(|own| own.is_v6() == v6) {
                    reachable(gateway.span, address, own, sink);
                }
            }
        }
    }
}

/// The address that a gateway stands for; reports a name that stands for none.
fn known_address(
    host: &Host,
    gateway: Spanned<Gateway>,
    (segment, near): (Segment, Option<Cidr>),
    v6: bool,
    sink: &mut Sink,
) -> Option<IpAddr> {
    let address = host.gateway_address(gateway.value, segment, near, v6);
    if address.is_some() || !host.complete {
        return address;
    }
    let (message, place, label, help) = match gateway.value {
        Gateway::Address(_) => return None,
        Gateway::Machine(id) => {
            let machine = &host.network.machines[id];
            (
                format!(
                    "`{}` has no {} address to be a gateway by",
                    machine.name.value,
                    family(v6)
                ),
                machine.name.span,
                "the machine",
                format!(
                    "add `{}` to the machine",
                    if v6 { "address6" } else { "address" }
                ),
            )
        }
        Gateway::Guest(id) => {
            let guest = &host.guests[id];
            let place = match segment.link {
                Link::Bridge(bridge) => host.network.bridges[bridge].name.value.clone(),
                Link::Port(_) => host.network.segment_interface(&host.hardware, segment),
            };
            let help = match segment.link {
                Link::Bridge(_) => {
                    format!(
                        "give it a card on `{place}` with a fixed address, or name another gateway"
                    )
                }
                Link::Port(_) => "guests are on bridges: name the router's address".to_owned(),
            };
            (
                format!(
                    "`{}` has no fixed {} address on `{place}` to be a gateway by",
                    guest.name.value,
                    family(v6)
                ),
                guest.name.span,
                "the guest",
                help,
            )
        }
    };
    sink.push(
        Diagnostic::new(Code::MOX0203, gateway.span, message)
            .also(place, label)
            .help(help),
    );
    None
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// A gateway is another machine of the same network.
fn reachable(span: Span, address: IpAddr, own: Spanned<Cidr>, sink: &mut Sink) {
    let network = own.network();
    let single = network.prefix_len() == network.max_prefix_len();
    let (message, help) = if address == own.address() {
        (
            format!("{address} is its own gateway"),
            "name the router's address",
        )
    } else if is_link_local(address) || single {
        // Reached over the link whatever the network is, as providers of rented servers set it up.
        return;
    } else if !own.contains(address) {
        (
            format!("the gateway {address} is not in {network}"),
            "a gateway is in the network of the address: correct one of the two, or the prefix length",
        )
    } else if network.prefix_len() + 2 <= network.max_prefix_len()
        && address.is_ipv4()
        && (address == network.network() || address == network.broadcast())
    {
        let what = if address == network.network() {
            "the network"
        } else {
            "every machine"
        };
        (
            format!("{address} stands for {what} of {network}, not for a gateway"),
            "name the router's address",
        )
    } else {
        return;
    };
    sink.push(
        Diagnostic::new(Code::MOX0203, span, message)
            .also(own.span, "the address beside it")
            .help(help),
    );
}

/// Two default routes of the host.
fn two_ways_out(host: &Host, sink: &mut Sink) {
    for v6 in [false, true] {
        let mut ways = host.network.legs().filter_map(|leg| {
            let gateway = leg.ip.gateway_of(v6);
            gateway.map(|gateway| (leg, gateway.span))
        });
        let Some((first, first_span)) = ways.next() else {
            continue;
        };
        for (leg, span) in ways {
            sink.push(
                Diagnostic::new(
                    Code::MOX0206,
                    span,
                    format!(
                        "`{}` and `{}` both have the host's {} gateway",
                        first.name.value,
                        leg.name.value,
                        family(v6)
                    ),
                )
                .also(first_span, "the first")
                .note("the host has one default route; Proxmox VE refuses an interfaces file with two")
                .help("keep the gateway of the one that leads to the Internet; a single network behind the other is a route: `routes`"),
            );
        }
    }
}

// ---------------------------------------------------------------- addresses

/// Who has an address, and where.
struct Station<'a> {
    segment: Segment,
    address: IpAddr,
    span: Span,
    name: &'a str,
    owner: Owner,
    /// Whether it has no neighbours.
    is_single: bool,
    /// Whether the interface has routes.
    has_routes: bool,
}

/// Whose an address is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Host,
    Machine,
    Guest(Id<Guest>),
}

/// Every fixed address of the host, of machines and of guests whose network is known; sorted by the caller, so that those
/// of one network stand together.
fn stations(host: &Host) -> Vec<Station<'_>> {
    let mut stations = Vec::new();
    for leg in host.network.legs() {
        stations.extend(leg.ip.fixed_addresses().map(|address| Station {
            segment: leg.segment,
            address: address.address(),
            span: address.span,
            name: host.name.as_str(),
            owner: Owner::Host,
            is_single: is_single(&address.value),
            has_routes: has_routes(leg),
        }));
    }
    for machine in host.network.machines.values() {
        let Some(bridge) = machine.bridge else {
            continue;
        };
        let addresses = machine.address.iter().chain(&machine.address6);
        stations.extend(addresses.map(|address| Station {
            segment: Segment {
                link: Link::Bridge(bridge.value),
                vlan: None,
            },
            address: address.value.0,
            span: address.span,
            name: &machine.name.value,
            owner: Owner::Machine,
            is_single: false,
            has_routes: false,
        }));
    }
    for (id, guest) in host.guests.iter() {
        for nic in &guest.network {
            stations.extend(nic.static_addresses().map(|address| Station {
                segment: nic.segment(),
                address: address.address(),
                span: address.span,
                name: &guest.name.value,
                owner: Owner::Guest(id),
                is_single: false,
                has_routes: false,
            }));
        }
    }
    stations
}

/// One address, two that have it in one network.
fn addresses_twice(stations: &[Station<'_>], together: &Running, sink: &mut Sink) {
    let same = |a: &Station<'_>, b: &Station<'_>| (a.segment, a.address) == (b.segment, b.address);
    for group in stations.chunk_by(same) {
        for (at, station) in group.iter().enumerate() {
            // Of guests that exclude each other one at a time has it, as a spare that stands in for another.
            let first = group[..at]
                .iter()
                .find(|first| match (first.owner, station.owner) {
                    (Owner::Guest(a), Owner::Guest(b)) => together.meet(a, b),
                    (Owner::Host | Owner::Machine, _) | (_, Owner::Host | Owner::Machine) => true,
                });
            if let Some(first) = first {
                sink.push(address_twice(first, station));
            }
        }
    }
    // The host answers for an address on every interface: it has each one once.
    let mut own: Vec<_> = stations.iter().filter(|s| s.owner == Owner::Host).collect();
    own.sort_by_key(|s| (s.address, s.span));
    for pair in own.windows(2) {
        if pair[0].address == pair[1].address
            && pair[0].segment != pair[1].segment
            && !pair[0].shares(pair[1])
        {
            sink.push(address_twice(pair[0], pair[1]));
        }
    }
}

impl Station<'_> {
    /// Whether the host has one address on two interfaces on purpose: one of them has no neighbours by it, as where a rented
    /// server leads single addresses on to its guests, or routes say which way each neighbour is, as in a mesh of nodes that
    /// are cabled to each other (pve-docs, "Full Mesh Network for Ceph Server").
    fn shares(&self, other: &Self) -> bool {
        self.is_single || other.is_single || self.has_routes && other.has_routes
    }
}

/// Whether an address has no neighbours: it is a network of its own.
fn is_single(own: &Cidr) -> bool {
    own.network().prefix_len() == own.network().max_prefix_len()
}

/// Whether a leg says which way some of its neighbours are.
fn has_routes(leg: Leg<'_>) -> bool {
    let mut lines = leg.extra.iter();
    !leg.ip.routes.is_empty() || lines.any(|line| line.as_str().contains(" route "))
}

fn address_twice(first: &Station<'_>, second: &Station<'_>) -> Diagnostic {
    let message = if first.name == second.name {
        format!("`{}` has {} twice", first.name, second.address)
    } else {
        format!(
            "`{}` and `{}` have the address {}",
            first.name, second.name, second.address
        )
    };
    Diagnostic::new(Code::MOX0204, second.span, message)
        .also(first.span, "the first")
        .help("give each an address of its own; guests that stand in for each other say so with `exclusive-with`")
}

/// A fixed address that a DHCP server may give to another.
fn handed_out(host: &Host, stations: &[Station<'_>], sink: &mut Sink) {
    for station in stations.iter().filter(|s| s.segment.vlan.is_none()) {
        let Link::Bridge(bridge) = station.segment.link else {
            continue;
        };
        let bridge = &host.network.bridges[bridge];
        let Some(range) = bridge
            .dhcp_range
            .filter(|range| range.contains(station.address))
        else {
            continue;
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0205,
                station.span,
                format!(
                    "the fixed address {} of `{}` is one that DHCP hands out",
                    station.address, station.name
                ),
            )
            .also(range.span, format!("handed out on `{}`", bridge.name.value))
            .help(format!(
                "choose an address outside {} to {}",
                range.first(),
                range.last()
            )),
        );
    }
}

/// A guest's address in a network in which nobody else is, and no way out of it, where the host has another on the same cable:
/// a slip of a digit. Of IPv6 several networks on one cable are usual.
fn alone(host: &Host, stations: &[Station<'_>], sink: &mut Sink) {
    if !host.complete {
        return;
    }
    // The host's own networks, of which one is enough.
    let homes: BTreeMap<Segment, &Station<'_>> = stations
        .iter()
        .rev()
        .filter(|one| one.owner == Owner::Host && one.address.is_ipv4() && !one.is_single)
        .map(|one| (one.segment, one))
        .collect();
    for (id, guest) in host.guests.iter() {
        for nic in guest.network.iter().filter(|nic| nic.gateway.is_none()) {
            let Some(own) = nic.static_address(false).filter(|own| !is_single(own)) else {
                continue;
            };
            let Some(of_host) = homes.get(&nic.segment()) else {
                continue;
            };
            // They stand in the order of their segments and addresses.
            let first = own.network().network();
            let from = stations
                .partition_point(|other| (other.segment, other.address) < (nic.segment(), first));
            let mut near = stations[from..]
                .iter()
                .take_while(|other| other.segment == nic.segment() && own.contains(other.address));
            let span = nic.address.map_or(nic.span, |address| address.span);
            if near.all(|other| other.owner == Owner::Guest(id)) {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0618,
                        span,
                        format!(
                            "`{}` is alone in {} on `{}`",
                            guest.name.value,
                            own.network(),
                            host.network.bridges[nic.bridge.value].name.value
                        ),
                    )
                    .label("no other address of the spec is in this network, and no gateway leads out of it")
                    .also(of_host.span, "the host's own network there")
                    .help("correct the address, add a `gateway`, or name who else is in this network in `[network.machines]`"),
                );
            }
        }
    }
}

/// Two networks of the host that share addresses: which one a packet takes is chance, or the smaller one takes it.
fn overlapping(host: &Host, stations: &[Station<'_>], sink: &mut Sink) {
    // An address without neighbours is a network of its own: rented servers lead single addresses on to their guests.
    let mut networks: Vec<(Leg<'_>, Spanned<Cidr>)> = host
        .network
        .legs()
        .flat_map(|leg| leg.ip.fixed_addresses().map(move |address| (leg, address)))
        .filter(|(_, own)| !is_single(&own.value))
        .collect();
    // Networks contain each other or are apart: in this order each comes behind those that contain it.
    networks.sort_by_key(|(_, own)| (own.is_v6(), own.network().network(), own.prefix(), own.span));
    let mut around: Vec<(Leg<'_>, Spanned<Cidr>)> = Vec::new();
    for (leg, own) in networks {
        while around
            .last()
            .is_some_and(|(_, outer)| !outer.overlaps(own.value))
        {
            around.pop();
        }
        // A row for a further address of the same interface is in its network.
        let outer = around.iter().rev().find(|(outer_leg, outer)| {
            let in_mesh = outer.value == own.value && has_routes(*outer_leg) && has_routes(leg);
            outer_leg.id != leg.id && outer_leg.segment != leg.segment && !in_mesh
        });
        if let Some((outer_leg, outer)) = outer {
            let (name, outer_name) = (&leg.name.value, &outer_leg.name.value);
            let lost = stations
                .iter()
                .find(|s| s.segment == outer_leg.segment && own.contains(s.address));
            if outer.network() == own.network() {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0207,
                        own.span,
                        format!("`{outer_name}` and `{name}` are both {}", own.network()),
                    )
                    .also(outer.span, "the first")
                    .note("the host sends what is for this network to one of them, whichever came up first")
                    .help("give each a network of its own; a VLAN or a second cable into one network needs no second address"),
                );
            } else if let Some(lost) = lost {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0207,
                        lost.span,
                        format!(
                            "the host looks for {} of `{}` on `{name}`, not on `{outer_name}`",
                            lost.address, lost.name
                        ),
                    )
                    .also(own.span, format!("{} is the nearer network", own.network()))
                    .also(outer.span, format!("{} contains it", outer.network()))
                    .help("move the address out of the smaller network, or make the networks disjoint"),
                );
            } else {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0207,
                        own.span,
                        format!(
                            "{} of `{name}` lies inside {} of `{outer_name}`",
                            own.network(),
                            outer.network()
                        ),
                    )
                    .also(outer.span, "contains it")
                    .note("the host looks for these addresses on the one alone, and all others of the larger network look for them on the other")
                    .help("give each a network of its own"),
                );
            }
        }
        around.push((leg, own));
    }
}

// ---------------------------------------------------------------- VLANs

fn trunks(bridge: &Bridge, nic: &GuestNic, sink: &mut Sink) {
    let Some(trunks) = nic.trunks.as_ref().filter(|_| !*bridge.vlan_aware) else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0208,
            trunks.span,
            format!("`trunks` on `{}`, which is not VLAN-aware", bridge.name.value),
        )
        .also(bridge.name.span, "this bridge")
        .note("Proxmox VE refuses to start the guest: \"vlan aware feature need to be enabled to use trunks\"")
        .help("add `vlan-aware = true` to the bridge, or give the guest one card for each VLAN"),
    );
}

/// VLANs of a bridge that tells none apart: ifupdown2 has no place for them.
fn vids_of_no_use(bridge: &Bridge, sink: &mut Sink) {
    if *bridge.vlan_aware || !bridge.vids.is_written() {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0229,
            bridge.vids.span,
            format!("`vids` of `{}` has no effect", bridge.name.value),
        )
        .also(bridge.name.span, "this bridge tells no VLANs apart")
        .help("add `vlan-aware = true` to the bridge, or leave `vids` out"),
    );
}

/// A VLAN that its bridge's ports do not carry. VLAN 1 is the bridge's own, which they carry untagged.
fn carries(bridge: &Bridge, tag: Spanned<VlanTag>, sink: &mut Sink) {
    if tag.get() == 1 || bridge.vids.contains(tag.value) {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0209,
            tag.span,
            format!("`{}` does not carry VLAN {}", bridge.name.value, tag.value),
        )
        .also(
            bridge.vids.span,
            format!("it carries {}", bridge.vids.value),
        )
        .help(format!("add {} to `vids`", tag.value)),
    );
}

/// A VLAN that stays inside the host, because the bridge does not carry it to its ports.
fn carried(bridge: &Bridge, nic: &GuestNic, sink: &mut Sink) {
    if !*bridge.vlan_aware || bridge.ports.is_empty() {
        return;
    }
    if let Some(tag) = nic.vlan {
        carries(bridge, tag, sink);
    }
    if let Some(trunks) = &nic.trunks {
        // A range that is wider than the bridge's is harmless: a router may be ready for VLANs to come.
        let lost = trunks.ranges().iter().find(|(first, last)| {
            (*first..=*last).all(|tag| {
                VlanTag::new(i64::from(tag)).is_none_or(|tag| !bridge.vids.contains(tag))
            })
        });
        if let Some((tag, _)) = lost {
            sink.push(
                Diagnostic::new(
                    Code::MOX0209,
                    trunks.span,
                    format!("`{}` does not carry VLAN {tag}", bridge.name.value),
                )
                .also(
                    bridge.vids.span,
                    format!("it carries {}", bridge.vids.value),
                )
                .help("name only VLANs of the bridge's `vids`"),
            );
        }
    }
}

/// Proxmox VE makes the bridge of a VLAN from the VLANs of the ports: without a port there is none.
fn vlan_without_port(host: &Host, bridge: &Bridge, nic: &GuestNic, sink: &mut Sink) {
    let Some(tag) = nic.vlan.filter(|_| {
        !*bridge.vlan_aware && !*bridge.external && bridge.ports.is_empty() && host.complete
    }) else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0217,
            tag.span,
            format!(
                "VLAN {} on `{}`, which has no port",
                tag.value, bridge.name.value
            ),
        )
        .also(bridge.name.span, "this bridge")
        .note("Proxmox VE refuses to start the guest: \"no physical interface on bridge\"")
        .help("add `vlan-aware = true` to the bridge, or make a bridge for this VLAN"),
    );
}

/// Who takes a VLAN of a card or a bond, and where that is said.
struct VlanPort<'a> {
    name: &'a str,
    span: Span,
    /// Whether it is a bridge, which guests can be on.
    is_bridge: bool,
}

/// The bridges and the addresses of the host that take a VLAN of a card or a bond.
fn vlan_ports(host: &Host) -> BTreeMap<(PortDevice, VlanTag), VlanPort<'_>> {
    let mut ports = BTreeMap::new();
    for bridge in host.network.bridges.values() {
        for port in &bridge.ports {
            if let Some(tag) = port.vlan {
                ports.entry((port.device, tag)).or_insert(VlanPort {
                    name: &bridge.name.value,
                    span: port.span,
                    is_bridge: true,
                });
            }
        }
    }
    for interface in host.network.interfaces.values() {
        if let (Link::Port(device), Some(tag)) = (interface.on.value, interface.vlan) {
            ports.entry((device, tag.value)).or_insert(VlanPort {
                name: &interface.name.value,
                span: tag.span,
                is_bridge: false,
            });
        }
    }
    ports
}

/// A VLAN that another interface takes off the cable before this bridge sees it.
fn vlan_elsewhere(
    bridge: &Bridge,
    nic: &GuestNic,
    vlans: &BTreeMap<(PortDevice, VlanTag), VlanPort<'_>>,
    sink: &mut Sink,
) {
    let Some(tag) = nic.vlan else { return };
    let taken = bridge
        .ports
        .iter()
        .filter(|port| port.vlan.is_none())
        .find_map(|port| vlans.get(&(port.device, tag.value)));
    let Some(other) = taken else { return };
    let note = if *bridge.vlan_aware {
        "the kernel gives tagged frames to the VLAN interface before the bridge of the card sees them: nothing arrives"
    } else {
        "Proxmox VE refuses to start the guest: the interface of this VLAN \"already exist in bridge\""
    };
    let help = if other.is_bridge {
        format!(
            "put the card on the bridge `{}`, without `vlan`",
            other.name
        )
    } else {
        format!(
            "put the host's address on the VLAN of the bridge: `on = \"{}\"`",
            bridge.name.value
        )
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0218,
            tag.span,
            format!(
                "VLAN {} of `{}` goes to `{}`",
                tag.value, bridge.name.value, other.name
            ),
        )
        .also(other.span, format!("taken by `{}`", other.name))
        .note(note)
        .help(help),
    );
}

/// An address of the host in a VLAN that its bridge does not carry.
fn own_vlans_carried(host: &Host, sink: &mut Sink) {
    for interface in host.network.interfaces.values() {
        let (Link::Bridge(bridge), Some(tag)) = (interface.on.value, interface.vlan) else {
            continue;
        };
        let bridge = &host.network.bridges[bridge];
        if *bridge.vlan_aware && !bridge.is_ovs() {
            carries(bridge, tag, sink);
        }
    }
}

// ---------------------------------------------------------------- names

/// The kernel's names of interfaces have 15 bytes (`IFNAMSIZ`, with the byte that ends them).
const LONGEST_NAME: usize = 15;

fn name_too_long(span: Span, name: &str) -> Diagnostic {
    Diagnostic::new(
        Code::MOX0210,
        span,
        format!(
            "the interface `{name}` would have {} characters",
            name.len()
        ),
    )
    .note(format!("the kernel takes {LONGEST_NAME}"))
}

/// The interfaces that Proxmox VE makes for a guest's card (`PVE::Network`).
fn guest_names(
    host: &Host,
    guest: &Guest,
    at: usize,
    nic: &GuestNic,
    bridge: &Bridge,
    sink: &mut Sink,
) {
    let prefix = match (&guest.kind, *nic.firewall) {
        (_, true) => "fwln",
        (GuestKind::Container(_), false) => "veth",
        (GuestKind::Vm(_), false) => "tap",
    };
    let name = format!("{prefix}{}i{at}", guest.vmid.value);
    if name.len() > LONGEST_NAME && !guest.vmid.is_missing() {
        sink.push(
            name_too_long(nic.span, &name)
                .also(guest.vmid.span, "the VMID is part of it")
                .help("give the guest a shorter VMID"),
        );
    }
    let Some(tag) = nic.vlan.filter(|_| !*bridge.vlan_aware) else {
        return;
    };
    let name = format!("{}v{}", bridge.name.value, tag.value);
    if name.len() > LONGEST_NAME {
        sink.push(
            name_too_long(tag.span, &name)
                .also(bridge.name.span, "the bridge's name is part of it")
                .help("give the bridge a shorter name, or make it `vlan-aware`"),
        );
    }
    for port in &bridge.ports {
        let name = format!(
            "{}.{}",
            host.network.port_interface(&host.hardware, port.value),
            tag.value
        );
        if name.len() > LONGEST_NAME {
            sink.push(
                name_too_long(tag.span, &name)
                    .also(port.span, "the port's name is part of it")
                    .help("make the bridge `vlan-aware`, or pin a shorter name of the card by its `mac`"),
            );
        }
    }
}

/// The VLAN interfaces that are ports of bridges.
fn port_names(host: &Host, sink: &mut Sink) {
    for port in host.network.bridges.values().flat_map(|b| &b.ports) {
        let name = host.network.port_interface(&host.hardware, port.value);
        if port.vlan.is_some() && name.len() > LONGEST_NAME {
            sink.push(
                name_too_long(port.span, &name)
                    .help("pin a shorter name of the card by its `mac`, or put it behind a bond"),
            );
        }
    }
    for (id, interface) in host.network.interfaces.iter() {
        let name = host
            .network
            .leg_interface(&host.hardware, LegId::Interface(id));
        if name.len() > LONGEST_NAME {
            let place = interface.vlan.map_or(interface.name.span, |vlan| vlan.span);
            sink.push(
                name_too_long(place, &name)
                    .also(interface.on.span, "the name below is part of it")
                    .help("give the bridge or the card a shorter name"),
            );
        }
    }
}

// ---------------------------------------------------------------- packet sizes

/// Ethernet's own.
const USUAL_MTU: u32 = 1500;

fn guest_packets(guest: &Guest, nic: &GuestNic, bridge: &Bridge, sink: &mut Sink) {
    // Of a bridge that somebody else makes only its spec knows what it takes.
    if *bridge.external && bridge.mtu.is_none() {
        return;
    }
    let most = bridge.mtu.map_or(USUAL_MTU, |mtu| mtu.value);
    let Some(mtu) = nic.mtu.filter(|mtu| mtu.value > most) else {
        return;
    };
    let (place, label) = match bridge.mtu {
        Some(written) => (written.span, "the bridge's".to_owned()),
        None => (
            bridge.name.span,
            format!("the bridge has the usual {USUAL_MTU}"),
        ),
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0211,
            mtu.span,
            format!(
                "`{}` sends packets of {} bytes, `{}` takes {most}",
                guest.name.value, mtu.value, bridge.name.value
            ),
        )
        .also(place, label)
        .help(format!(
            "raise the bridge's `mtu` to {}, or lower this one",
            mtu.value
        )),
    );
}

/// A bond says less than the bridge on it.
fn bridge_packets(host: &Host, sink: &mut Sink) {
    for bridge in host.network.bridges.values() {
        let Some(mtu) = bridge.mtu else { continue };
        for port in &bridge.ports {
            let PortDevice::Bond(id) = port.device else {
                continue;
            };
            let bond = &host.network.bonds[id];
            let Some(less) = bond.mtu.filter(|bond| bond.value < mtu.value) else {
                continue;
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0211,
                    mtu.span,
                    format!(
                        "`{}` sends packets of {} bytes, its port `{}` takes {}",
                        bridge.name.value, mtu.value, bond.name.value, less.value
                    ),
                )
                .also(less.span, "the bond's")
                .help(format!("raise the bond's `mtu` to {}", mtu.value)),
            );
        }
    }
}

/// An address of the host whose packets are larger than what it is on takes.
fn leg_packets(host: &Host, sink: &mut Sink) {
    for interface in host.network.interfaces.values() {
        let Some(mtu) = interface.mtu else { continue };
        let (name, most) = match interface.on.value {
            Link::Bridge(bridge) => {
                let bridge = &host.network.bridges[bridge];
                let most = bridge
                    .mtu
                    .map_or((USUAL_MTU, bridge.name.span), |mtu| (mtu.value, mtu.span));
                (&bridge.name.value, most)
            }
            Link::Port(PortDevice::Bond(bond)) => {
                let bond = &host.network.bonds[bond];
                // A bond without one takes what is above it.
                let Some(most) = bond.mtu else { continue };
                (&bond.name.value, (most.value, most.span))
            }
            Link::Port(PortDevice::Nic(_)) => continue,
        };
        if mtu.value > most.0 {
            sink.push(
                Diagnostic::new(
                    Code::MOX0211,
                    mtu.span,
                    format!(
                        "`{}` sends packets of {} bytes, `{name}` takes {}",
                        interface.name.value, mtu.value, most.0
                    ),
                )
                .also(most.1, format!("{} bytes", most.0))
                .help(format!("raise the `mtu` of `{name}` to {}", mtu.value)),
            );
        }
    }
}

// ---------------------------------------------------------------- who reaches what

/// Whether a guest has a network card of the host for itself.
fn has_own_card(host: &Host, guest: &Guest) -> bool {
    guest.vm().is_some_and(|vm| {
        vm.passed()
            .any(|device| *host.hardware.pci[device.value].class == PciClass::Nic)
    })
}

/// The bridges from which there may be a way out of the host: by a cable, by masquerading, by a machine that is the
/// uplink, or through a guest that has a card on them and another way.
fn bridges_that_lead_out(host: &Host) -> BTreeSet<Id<Bridge>> {
    let mut out: BTreeSet<Id<Bridge>> = host
        .network
        .bridges
        .iter()
        .filter(|(_, bridge)| !bridge.ports.is_empty() || *bridge.external)
        .map(|(id, _)| id)
        .collect();
    for machine in host.network.machines.values().filter(|m| *m.uplink) {
        out.extend(machine.bridge.map(|bridge| bridge.value));
    }
    // Each round adds a bridge or is the last: rounds are few, as chains of bridges are short.
    loop {
        let before = out.len();
        for (id, bridge) in host.network.bridges.iter() {
            let leads_out = bridge
                .nat
                .is_some_and(|nat| leg_leads_out(host, nat.value, &out));
            if leads_out {
                out.insert(id);
            }
        }
        for guest in host.guests.values() {
            let cards = guest.network.iter().map(|nic| nic.bridge.value);
            if has_own_card(host, guest)
                || (guest.network.len() > 1 && cards.clone().any(|bridge| out.contains(&bridge)))
            {
                out.extend(cards);
            }
        }
        if out.len() == before {
            return out;
        }
    }
}

/// Whether a cable, or whatever a bridge has, leads on from an interface of the host.
fn leg_leads_out(host: &Host, leg: LegId, out: &BTreeSet<Id<Bridge>>) -> bool {
    match host.network.leg(leg).segment.link {
        Link::Bridge(bridge) => out.contains(&bridge),
        Link::Port(_) => true,
    }
}

/// Guests that a task or their setup sends to the Internet, and where that is said.
fn wants_internet(host: &Host) -> BTreeMap<Id<Guest>, (Span, String)> {
    let mut wants: BTreeMap<Id<Guest>, (Span, String)> = BTreeMap::new();
    for schedule in host.schedules.values().filter(|s| *s.enabled) {
        let guests = match (schedule.windows_update(), schedule.nixos_update()) {
            (Some(task), _) => &task.guests,
            (None, Some(task)) => {
                // A flake of the guest's own disk may need nothing from outside.
                let remote = task.flake.as_ref().is_some_and(|flake| {
                    ["github:", "gitlab:", "sourcehut:", "https:", "git+https:"]
                        .iter()
                        .any(|scheme| flake.0.starts_with(scheme))
                });
                if !remote {
                    continue;
                }
                &task.guests
            }
            (None, None) => continue,
        };
        for id in guests.iter() {
            wants
                .entry(id)
                .or_insert_with(|| (schedule.task_span, format!("`{}`", schedule.name.value)));
        }
    }
    for (id, _, vm) in host.vms() {
        let Some(windows) = &vm.windows else { continue };
        if !windows.winget.is_empty() || windows.steam.is_some() || windows.rust.is_some() {
            wants
                .entry(id)
                .or_insert_with(|| (windows.span, "its setup".to_owned()));
        }
    }
    wants
}

fn internet(host: &Host, out: &BTreeSet<Id<Bridge>>, sink: &mut Sink) {
    if !host.complete {
        return;
    }
    for (id, (span, what)) in wants_internet(host) {
        let guest = &host.guests[id];
        if has_own_card(host, guest)
            || guest
                .network
                .iter()
                .any(|nic| out.contains(&nic.bridge.value))
        {
            continue;
        }
        let (place, label, help) = match guest.network.first() {
            Some(nic) => {
                let bridge = &host.network.bridges[nic.bridge.value];
                let uplink = host
                    .network
                    .legs()
                    .find(|leg| {
                        leg.ip.leads_out(false)
                            && leg_leads_out(host, leg.id, out)
                            && leg.id != LegId::Bridge(nic.bridge.value)
                    })
                    .map_or("vmbr0", |leg| leg.name.value.as_str());
                (
                    nic.bridge.span,
                    format!("`{}` has no port and no `nat`", bridge.name.value),
                    format!(
                        "add `nat = \"{uplink}\"` to `{}`, or give it a port",
                        bridge.name.value
                    ),
                )
            }
            None => (
                guest.name.span,
                "it has no network card".to_owned(),
                "give it a `network`".to_owned(),
            ),
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0212,
                place,
                format!("`{}` has no way to the Internet", guest.name.value),
            )
            .label(label)
            .also(span, format!("{what} needs one"))
            .help(help),
        );
    }
}

/// Nobody reaches the host itself.
fn management(host: &Host, out: &BTreeSet<Id<Bridge>>, sink: &mut Sink) {
    // A NixOS host may have further interfaces in modules of its own.
    if !host.complete || *host.platform != Platform::Proxmox {
        return;
    }
    let mut own = host.network.bridges.values();
    let Some(first) = own.find(|bridge| !*bridge.external) else {
        return;
    };
    // What raw stanzas say, nobody here knows.
    if !host.network.raw_stanzas(&host.kept).is_empty() {
        return;
    }
    let mut addressed = host.network.legs().filter(|leg| leg.ip.is_any()).peekable();
    let Some(leg) = addressed.peek().copied() else {
        sink.push(
            Diagnostic::new(
                Code::MOX0213,
                first.name.span,
                "no interface has an address: nobody reaches the host",
            )
            .note("Proxmox VE needs an address of the host to start its own services")
            .help("give a bridge with a port an `address`, as `\"192.168.1.10/24\"` or `\"dhcp\"`"),
        );
        return;
    };
    if addressed.any(|leg| leg_leads_out(host, leg.id, out)) {
        return;
    }
    let own = [leg.ip.address, leg.ip.address6]
        .into_iter()
        .flatten()
        .next()
        .map_or(leg.name.span, |address| address.span);
    sink.push(
        Diagnostic::new(
            Code::MOX0213,
            own,
            "no cable leads to the host's address: nobody reaches the host",
        )
        .also(leg.name.span, "this bridge has no port")
        .help("give the bridge a port, put the address on a bridge that has one, or on a card: `[network.interfaces]`"),
    );
}

// ---------------------------------------------------------------- cards and bonds

/// Cards whose name changes with the hardware around them.
fn names_by_slot(host: &Host, sink: &mut Sink) {
    let mut used: BTreeMap<Id<Nic>, (Span, &str)> = BTreeMap::new();
    for bridge in host.network.bridges.values() {
        for port in &bridge.ports {
            if let PortDevice::Nic(nic) = port.device {
                used.entry(nic).or_insert((port.span, &bridge.name));
            }
        }
    }
    for bond in host.network.bonds.values() {
        for port in &bond.ports {
            used.entry(port.value).or_insert((port.span, &bond.name));
        }
    }
    for interface in host.network.interfaces.values() {
        if let Link::Port(PortDevice::Nic(nic)) = interface.on.value {
            used.entry(nic)
                .or_insert((interface.on.span, &interface.name));
        }
    }
    for (id, (span, user)) in used {
        let nic = &host.hardware.nics[id];
        if nic.mac.is_some() || nic.interface.is_missing() {
            continue;
        }
        let Some(by) = named_by(nic.interface.as_str()) else {
            continue;
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0214,
                nic.interface.span,
                format!("`{}` is named by {by}, and no `mac` pins the name", nic.interface.value),
            )
            .also(span, format!("`{user}` loses its port when the name changes"))
            .note("a new card, a firmware update or another kernel can change the name, and the host is off the network")
            .help("add the card's `mac` (`ip link` shows it): the name is then pinned to the card"),
        );
    }
}

/// What a name of the kernel or of udev hangs on, where that changes: `enp5s0` is a slot's number on the bus
/// (systemd.net-naming-scheme(7)), `eth0` the order of finding.
fn named_by(interface: &str) -> Option<&'static str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if interface.strip_prefix("eth").is_some_and(digits) {
        return Some("the order in which the kernel finds cards");
    }
    let rest = interface
        .strip_prefix("en")
        .or_else(|| interface.strip_prefix("wl"))?;
    // `enP1p5s0` has the number of its PCI domain first.
    let rest = match rest.strip_prefix('P') {
        Some(domain) => domain.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let (bus, slot) = rest.strip_prefix('p')?.split_once('s')?;
    (digits(bus) && slot.starts_with(|c: char| c.is_ascii_digit()))
        .then_some("its slot on the PCI bus")
}

fn lonely_bond(host: &Host, bond: &Bond, sink: &mut Sink) {
    if bond.ports.len() >= 2 || !host.complete {
        return;
    }
    let (place, message) = match bond.ports.first() {
        Some(port) => (
            port.span,
            format!("the bond `{}` has one port", bond.name.value),
        ),
        None => (
            bond.name.span,
            format!("the bond `{}` has no port", bond.name.value),
        ),
    };
    sink.push(
        Diagnostic::new(Code::MOX0215, place, message)
            .note("it is no faster and no safer than the card alone")
            .help("add a second card, or make the card itself the port of the bridge"),
    );
}

/// Cards of different speeds in a mode that treats them alike.
fn uneven_bond(host: &Host, bond: &Bond, sink: &mut Sink) {
    let what = match *bond.mode {
        // Linux' bonding.rst: an aggregator has slaves of one speed and duplex; one aggregator is active.
        BondMode::Lacp => "LACP bundles cards of one speed, and leaves the others idle",
        BondMode::BalanceXor | BondMode::BalanceRr => {
            "the mode gives each card the same share: the slow one holds up the rest"
        }
        // The first uses one card at a time, the second sends everything twice, the others weigh by speed.
        BondMode::ActiveBackup
        | BondMode::Broadcast
        | BondMode::BalanceTlb
        | BondMode::BalanceAlb => return,
    };
    let mut speeds = bond
        .ports
        .iter()
        .filter_map(|port| host.hardware.nics[port.value].speed.map(|s| (port, s)));
    let Some((first, speed)) = speeds.next() else {
        return;
    };
    let Some((port, other)) = speeds.find(|(_, other)| other.value != speed.value) else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0216,
            port.span,
            format!(
                "the bond `{}` has cards of {} and {}",
                bond.name.value, speed.value, other.value
            ),
        )
        .also(first.span, format!("{}", speed.value))
        .also(bond.mode.span, format!("the mode is `{}`", bond.mode.value))
        .note(what)
        .help("use cards of one speed, or `mode = \"active-backup\"` with the faster card as `primary`"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hardware_changes() {
        for name in ["enp5s0", "enp65s0f0np0", "enP1p5s0", "wlp3s0", "eth0"] {
            assert!(named_by(name).is_some(), "{name}");
        }
        for name in [
            "eno1",
            "ens18",
            "lan0",
            "nic0",
            "enx001122334455",
            "ethernet",
            "enps0",
        ] {
            assert_eq!(named_by(name), None, "{name}");
        }
    }
}
