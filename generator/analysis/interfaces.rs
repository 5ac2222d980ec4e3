//! The host's own interfaces: what addresses are on, shared ways out, forwarded ports, Open vSwitch, raw lines.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::network::{
    delay_of_line, forward_address, number_of_line, own_service, text_of_line,
};
use crate::model::{
    Bond, Bridge, Forward, Host, HostInterface, Id, LegId, Link, Network, PortDevice, Segment,
};
use crate::pve::interfaces::{Interfaces, is_reserved, stanza_line};
use crate::pve::{ConfigFile, FaultKind, check_option, report_fault};
use crate::source::{Span, Spanned};
use crate::value::{BondMode, Line, Platform, Protocol};

pub(super) fn check(host: &Host, sink: &mut Sink) {
    for interface in host.network.interfaces.values() {
        on_its_own(host, interface, sink);
    }
    one_interface_twice(host, sink);
    for (id, bridge) in host.network.bridges.iter() {
        shared_way_out(host, id, bridge, sink);
        for forward in &bridge.forward {
            forwarded_to(host, id, bridge, forward, sink);
            host_needs(host, bridge, forward, sink);
        }
        ovs_ports(host, bridge, sink);
    }
    forwarded_twice(host, sink);
    for (id, bond) in host.network.bonds.iter() {
        bond_below_bridge(host, id, bond, sink);
    }
    match *host.platform {
        Platform::Proxmox => {
            raw_lines(host, sink);
            vxlans(host, sink);
            passed_over(host, sink);
            raw_stanzas(host, sink);
        }
        // Nobody reads them there: what ifupdown2 would make of one is no advice.
        Platform::Nixos => said_to_ifupdown(host, sink),
    }
}

// ---------------------------------------------------------------- what an address is on

/// An address is on an interface that nobody else has: no port of a bridge, no member of a bond, no bridge itself.
fn on_its_own(host: &Host, interface: &HostInterface, sink: &mut Sink) {
    let name = &interface.name.value;
    let taken = |place: Span, what: String, help: String| {
        Diagnostic::new(
            Code::MOX0227,
            interface.on.span,
            format!("`{name}` has no interface of its own"),
        )
        .also(place, what)
        .help(help)
    };
    match interface.on.value {
        Link::Bridge(id) => {
            let bridge = &host.network.bridges[id];
            let of = &bridge.name.value;
            if *bridge.external {
                sink.push(taken(
                    bridge.external.span,
                    format!("`{of}` is made elsewhere"),
                    "who makes the bridge gives the host its address there".to_owned(),
                ));
            } else if host.complete
                && interface.vlan.is_none()
                && interface.label.is_none()
                && !bridge.is_ovs()
            {
                sink.push(taken(
                    bridge.name.span,
                    format!("`{of}` itself"),
                    format!(
                        "write the address into `[network.bridges.{of}]`, or add `vlan` or `label`"
                    ),
                ));
            }
        }
        // Lines of a port are its own: what wakes it, or what its hardware does of a packet's work.
        Link::Port(_) if Network::is_lines_alone(interface) => {}
        Link::Port(device) => {
            if let PortDevice::Nic(nic) = device
                && let Some((bond, place)) = bond_of(host, nic)
            {
                sink.push(taken(
                    place,
                    format!("a port of the bond `{bond}`"),
                    format!("put it on the bond: `on = \"{bond}\"`"),
                ));
            } else if let Some((bridge, place)) = bridge_of(host, interface.segment()) {
                sink.push(
                    taken(
                        place,
                        format!("a port of the bridge `{bridge}`"),
                        format!("write the address into `[network.bridges.{bridge}]`"),
                    )
                    .note("what comes in by a port goes to its bridge: an address on the port hears nothing"),
                );
            }
        }
    }
}

fn bond_of(host: &Host, nic: Id<crate::model::Nic>) -> Option<(&str, Span)> {
    host.network.bonds.values().find_map(|bond| {
        let port = bond.ports.iter().find(|port| port.value == nic)?;
        Some((bond.name.value.as_str(), port.span))
    })
}

fn bridge_of(host: &Host, segment: Segment) -> Option<(&str, Span)> {
    host.network.bridges.values().find_map(|bridge| {
        let port = bridge
            .ports
            .iter()
            .find(|port| Link::Port(port.device) == segment.link && port.vlan == segment.vlan)?;
        Some((bridge.name.value.as_str(), port.span))
    })
}

/// Two rows for one interface, or a port of Open vSwitch with the name of another interface.
fn one_interface_twice(host: &Host, sink: &mut Sink) {
    let cards = host.hardware.nics.values();
    let cards: BTreeMap<&str, Span> = cards
        .map(|card| (card.interface.as_str(), card.interface.span))
        .collect();
    let mut seen: BTreeMap<String, (&str, Span)> = BTreeMap::new();
    let bridges = host.network.bridges.values().map(|bridge| &bridge.name);
    let bonds = host.network.bonds.values().map(|bond| &bond.name);
    for name in bridges.chain(bonds) {
        let card = cards
            .get(name.value.as_str())
            .map(|card| ("a network card", *card));
        let other = seen.get(&name.value).map(|(_, place)| ("a bridge", *place));
        if let Some((what, place)) = card.or(other) {
            let message = format!("`{}` is the name of {what}, too", name.value);
            sink.push(
                Diagnostic::new(Code::MOX0224, name.span, message)
                    .also(place, "the first")
                    .help("give each a name of its own: `vmbr0`, `bond0`"),
            );
        }
        seen.insert(name.value.clone(), (&name.value, name.span));
    }
    let mut told = |name: &str, place: Span, first: &str, first_place: Span| {
        sink.push(
            Diagnostic::new(
                Code::MOX0224,
                place,
                format!("`{name}` and `{first}` are one interface"),
            )
            .also(first_place, "the first")
            .help("one interface has one row; a further address is one of its `addresses`: `addresses = [\"192.0.2.5/24\"]`"),
        );
    };
    for (id, interface) in host.network.interfaces.iter() {
        // The bridge itself is another check's.
        if interface.vlan.is_none()
            && interface.label.is_none()
            && matches!(interface.on.value, Link::Bridge(_))
            && !host.network.is_ovs_port(interface)
        {
            continue;
        }
        let kernel = host
            .network
            .leg_interface(&host.hardware, LegId::Interface(id));
        let name = (interface.name.value.as_str(), interface.name.span);
        match seen.get(&kernel) {
            // A bond may have its address by a row of its own name.
            Some((first, place)) if !is_bond(host, interface, first) => {
                told(name.0, name.1, first, *place);
            }
            Some(_) | None => {
                seen.insert(kernel, name);
            }
        }
    }
}

/// Whether an interface is the bond of this name itself.
fn is_bond(host: &Host, interface: &HostInterface, name: &str) -> bool {
    match interface.on.value {
        Link::Port(PortDevice::Bond(bond)) => {
            host.network.bonds[bond].name.value == name && interface.vlan.is_none()
        }
        Link::Port(PortDevice::Nic(_)) | Link::Bridge(_) => false,
    }
}

// ---------------------------------------------------------------- shared ways out

/// A way out is shared in the families that it has.
fn shared_way_out(host: &Host, id: Id<Bridge>, bridge: &Bridge, sink: &mut Sink) {
    let Some(nat) = bridge.nat else { return };
    let name = &bridge.name.value;
    if nat.value == LegId::Bridge(id) {
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                nat.span,
                format!("`{name}` shares its own way out"),
            )
            .help("name the bridge or the interface that leads to the Internet"),
        );
        return;
    }
    let out = host.network.leg(nat.value);
    if !bridge.ip.is_any() && host.complete {
        sink.push(
            Diagnostic::new(
                Code::MOX0219,
                nat.span,
                format!("`{name}` shares a way out, and the host has no address on it"),
            )
            .also(bridge.name.span, "this bridge")
            .note("the host passes on only what its guests send to it")
            .help("add `address`, as `\"10.10.0.1/24\"`: it is the guests' gateway"),
        );
    }
    for v6 in [false, true] {
        let Some(own) = bridge.ip.address_of(v6) else {
            continue;
        };
        if out.ip.address_of(v6).is_some() || !host.complete {
            continue;
        }
        let (family, key, examples) = if v6 {
            ("IPv6", "address6", "`\"auto\"`, `\"dhcp\"` or an address")
        } else {
            ("IPv4", "address", "`\"dhcp\"` or an address")
        };
        let mut diagnostic = Diagnostic::new(
            Code::MOX0219,
            own.span,
            format!(
                "`{name}` shares an {family} way out that `{}` does not have",
                out.name.value
            ),
        )
        .also(nat.span, format!("`{}` has no `{key}`", out.name.value));
        if v6 {
            diagnostic = diagnostic.note(
                "a host that passes IPv6 on no longer listens to the advertisements of routers, unless it is told to: an address that the kernel found by itself would go",
            );
        }
        sink.push(diagnostic.help(format!(
            "say `{key}` of `{}`: {examples}; or remove `{key}` here",
            out.name.value
        )));
    }
}

// ---------------------------------------------------------------- forwarded ports

/// A forwarded port leads to another machine on the bridge.
fn forwarded_to(host: &Host, id: Id<Bridge>, bridge: &Bridge, forward: &Forward, sink: &mut Sink) {
    if !host.complete {
        return;
    }
    let found = [false, true]
        .into_iter()
        .find_map(|v6| forward_address(host, id, forward, v6));
    let wrong = |message: String| {
        Diagnostic::new(Code::MOX0220, forward.to.span, message)
            .also(bridge.name.span, "on this bridge")
    };
    let name = &bridge.name.value;
    let Some(address) = found else {
        sink.push(
            wrong(format!("nobody on `{name}` answers for this port"))
                .label("no fixed address there")
                .help("give the guest a card on the bridge with a fixed address, or write an address of its network"),
        );
        return;
    };
    let own = bridge.ip.fixed(address.is_ipv6());
    match own {
        Some(own) if own.address() == address => sink.push(
            wrong(format!("{address} is the host itself")).help("name the guest that answers"),
        ),
        Some(own) if !own.contains(address) => sink.push(
            wrong(format!("{address} is not in {}", own.network()))
                .also(own.span, "the bridge's network")
                .help(
                    "forward to a machine on this bridge; a port for another bridge stands there",
                ),
        ),
        Some(_) => {}
        None => sink.push(
            wrong(format!(
                "{address} cannot be on `{name}`, where the host has no {} address",
                if address.is_ipv6() { "IPv6" } else { "IPv4" }
            ))
            .help(format!(
                "add `{}` to the bridge",
                if address.is_ipv6() {
                    "address6"
                } else {
                    "address"
                }
            )),
        ),
    }
}

/// A port at which the host itself is looked after.
fn host_needs(host: &Host, bridge: &Bridge, forward: &Forward, sink: &mut Sink) {
    let by_tcp = match *forward.protocol {
        Protocol::Tcp | Protocol::Both => true,
        Protocol::Udp => false,
    };
    let Some((port, service)) = own_service(forward.port.value).filter(|_| by_tcp) else {
        return;
    };
    // By another address it is still there.
    let others = host
        .network
        .legs()
        .filter(|leg| Some(leg.id) != bridge.nat.map(|nat| nat.value) && leg.ip.gateway.is_some());
    if others.count() > 0 {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0222,
            forward.port.span,
            format!("port {port} is where the host answers with {service}"),
        )
        .note("from outside the guest answers there, and the host no longer")
        .help("choose another port: `port = 2222`, `to-port = 22`"),
    );
}

/// One port, two machines.
fn forwarded_twice(host: &Host, sink: &mut Sink) {
    let mut seen: Vec<(LegId, &Forward, bool)> = Vec::new();
    for (id, bridge) in host.network.bridges.iter() {
        let Some(nat) = bridge.nat else { continue };
        for forward in &bridge.forward {
            let v6 = forward_address(host, id, forward, true).is_some();
            let first = seen.iter().find(|(out, first, family)| {
                *out == nat.value
                    && *family == v6
                    && first.port.overlaps(forward.port.value)
                    && meet(*first.protocol, *forward.protocol)
            });
            if let Some((_, first, _)) = first {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0221,
                        forward.port.span,
                        format!("port {} is forwarded twice", forward.port.value),
                    )
                    .also(first.port.span, "forwarded first")
                    .note("the first rule takes every connection")
                    .help("give one of them another port of the host"),
                );
            }
            seen.push((nat.value, forward, v6));
        }
    }
}

fn meet(a: Protocol, b: Protocol) -> bool {
    a == b || a == Protocol::Both || b == Protocol::Both
}

// ---------------------------------------------------------------- bonds and Open vSwitch

/// Modes that change or multiply the addresses of guests (kernel documentation, networking/bonding.rst: `balance-alb`
/// rewrites answers to ARP, `balance-tlb` and `balance-rr` send one machine's frames by several cards, so that the switch
/// sees its address jump).
fn bond_below_bridge(host: &Host, id: Id<Bond>, bond: &Bond, sink: &mut Sink) {
    let why = match *bond.mode {
        BondMode::BalanceAlb => {
            "it answers for the cards with addresses in turn, and rewrites the answers of guests with them: guests lose their connections"
        }
        BondMode::BalanceTlb | BondMode::BalanceRr => {
            "it sends the frames of one guest by several cards, and the switch sees the guest's address jump from port to port"
        }
        BondMode::ActiveBackup | BondMode::BalanceXor | BondMode::Broadcast | BondMode::Lacp => {
            return;
        }
    };
    let below = host.network.bridges.values().find(|bridge| {
        !bridge.is_ovs()
            && bridge
                .ports
                .iter()
                .any(|port| port.device == PortDevice::Bond(id))
    });
    let Some(bridge) = below else { return };
    sink.push(
        Diagnostic::new(
            Code::MOX0225,
            bond.mode.span,
            format!(
                "mode `{}` below the bridge `{}`",
                bond.mode.value, bridge.name.value
            ),
        )
        .also(bridge.name.span, "its guests send by this bond")
        .note(why)
        .help("use `active-backup`, or `802.3ad` where the switch speaks LACP"),
    );
}

/// What Open vSwitch takes as a port, and in which words.
fn ovs_ports(host: &Host, bridge: &Bridge, sink: &mut Sink) {
    if !bridge.is_ovs() {
        return;
    }
    for port in &bridge.ports {
        if let Some(tag) = port.vlan {
            sink.push(
                Diagnostic::new(
                    Code::MOX0223,
                    port.span,
                    format!("VLAN {tag} of a card as a port of Open vSwitch"),
                )
                .also(bridge.kind.span, "the bridge's kind")
                .help("make the whole card the port, and give guests' cards and `[network.interfaces]` the `vlan`"),
            );
        }
        let PortDevice::Bond(id) = port.device else {
            continue;
        };
        // A NixOS host has no such bond at all, which is told once.
        if *host.platform == Platform::Nixos {
            continue;
        }
        let bond = &host.network.bonds[id];
        let known = match *bond.mode {
            BondMode::ActiveBackup | BondMode::BalanceXor | BondMode::Lacp => true,
            BondMode::BalanceRr
            | BondMode::Broadcast
            | BondMode::BalanceTlb
            | BondMode::BalanceAlb => false,
        };
        if !known {
            sink.push(
                Diagnostic::new(
                    Code::MOX0223,
                    bond.mode.span,
                    format!("Open vSwitch has no bond of the mode `{}`", bond.mode.value),
                )
                .also(port.span, "a port of Open vSwitch")
                .help("use `active-backup`, `balance-xor` (by the guests' addresses) or `802.3ad`"),
            );
        }
        for (key, span) in [
            (
                "hash-policy",
                bond.hash_policy
                    .filter(super::super::model::Setting::is_written)
                    .map(|h| h.span),
            ),
            ("primary", bond.primary.map(|primary| primary.span)),
            ("lacp-rate", bond.lacp_rate.map(|rate| rate.span)),
        ] {
            if let Some(span) = span {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0223,
                        span,
                        format!("`{key}` of a bond that Open vSwitch makes"),
                    )
                    .also(port.span, "a port of Open vSwitch")
                    .help(format!(
                        "remove `{key}`, or write it raw: `extra = [\"ovs_extra …\"]`"
                    )),
                );
            }
        }
    }
    for interface in host.network.interfaces.values() {
        if interface.on.value == Link::Bridge(bridge_id(host, bridge))
            && let Err(error) = interface.name.value.parse::<crate::value::BridgeName>()
        {
            sink.push(
                Diagnostic::new(Code::MOX0012, interface.name.span, error.message)
                    .label("the name of the port in the kernel, too")
                    .help_if(error.help),
            );
        }
    }
}

fn bridge_id(host: &Host, wanted: &Bridge) -> Id<Bridge> {
    let mut bridges = host.network.bridges.iter();
    bridges
        .find(|(_, bridge)| bridge.name.span == wanted.name.span)
        .map(|(id, _)| id)
        .expect("a bridge of the host")
}

// ---------------------------------------------------------------- raw lines

/// The lines that the spec adds to stanzas, by keys and raw.
fn lines_of(host: &Host) -> impl Iterator<Item = (&Spanned<Line>, Stanza)> {
    let bridges = host.network.bridges.values().filter(|b| b.is_ovs());
    let ports_of_ovs: BTreeSet<Link> = bridges
        .flat_map(|bridge| bridge.ports.iter().map(|port| Link::Port(port.device)))
        .collect();
    let of_ovs = move |interface: &HostInterface| {
        host.network.is_ovs_port(interface) || ports_of_ovs.contains(&interface.on.value)
    };
    let legs = host.network.legs().flat_map(move |leg| {
        let stanza = match (leg.bridge(), leg.id) {
            (Some(id), _) => Stanza::Bridge {
                tree: *host.network.bridges[id].stp,
            },
            (None, LegId::Interface(id)) if of_ovs(&host.network.interfaces[id]) => Stanza::OvsPort,
            (None, _) => Stanza::Other,
        };
        let lines = leg.extra.iter().map(move |line| (line, stanza));
        lines.chain(leg.extra6.iter().map(|line| (line, Stanza::Other)))
    });
    let bonds = host.network.bonds.values().flat_map(|bond| {
        let lines = bond.extra.iter().map(|line| (line, Stanza::Bond));
        lines.chain(bond.extra6.iter().map(|line| (line, Stanza::Other)))
    });
    legs.chain(bonds)
}

/// A line of a bridge, a bond or a port of Open vSwitch that stands where there is none, or says what none of them takes.
fn of_another(key: &str, place: Span, stanza: Stanza) -> Option<Diagnostic> {
    let (message, help) = match (key.replace('_', "-").as_str(), stanza) {
        ("bridge-fd", Stanza::Bridge { tree: true }) => (
            "a bridge with the spanning tree waits 2 to 30 seconds".to_owned(),
            "write a number from 2 to 30",
        ),
        ("bond-miimon", Stanza::Bond) | ("bridge-fd", Stanza::Bridge { tree: false }) => {
            (format!("`{key}` takes a number"), "write a whole number")
        }
        ("bridge-fd", _) => (
            "`bridge-fd` is of a bridge".to_owned(),
            "write it into `[network.bridges.NAME]`, beside the `ports`",
        ),
        ("bond-miimon", _) => (
            "`bond-miimon` is of a bond".to_owned(),
            "write it into `[network.bonds.NAME]`, beside the `ports`",
        ),
        ("ovs-options", _) => (
            "`ovs-options` is of a port of Open vSwitch".to_owned(),
            "a bridge with `kind = \"ovs\"` makes its ports ones: write it into the row of the port",
        ),
        _ => return None,
    };
    Some(Diagnostic::new(Code::MOX0109, place, message).help(help))
}

/// What a line is of, as far as it says something there that is no option of every interface.
#[derive(Debug, Clone, Copy)]
enum Stanza {
    Bridge { tree: bool },
    Bond,
    OvsPort,
    Other,
}

impl Stanza {
    /// Whether a line of a key that moxc writes itself says here what to write.
    fn hears(self, line: &str) -> bool {
        match self {
            Self::Bridge { tree } => delay_of_line(line, tree).is_some(),
            Self::Bond => number_of_line(line, "bond-miimon").is_some() || is_ovs_options(line),
            Self::OvsPort => is_ovs_options(line),
            Self::Other => false,
        }
    }
}

fn is_ovs_options(line: &str) -> bool {
    text_of_line(line, "ovs-options").is_some()
}

/// A raw line is one line of the stanza, and none that moxc writes itself.
fn raw_lines(host: &Host, sink: &mut Sink) {
    for (line, stanza) in lines_of(host) {
        let text = line.value.as_str();
        let Some((key, value)) = stanza_line(text).filter(|_| !text.ends_with('\\')) else {
            sink.push(
                Diagnostic::new(Code::MOX0226, line.span, "no line of a stanza")
                    .note("a line has a key and a value; `auto`, `iface`, `source` and comments end a stanza, a `\\` at the end would join the next line to it")
                    .help("write one option, as `post-up ethtool -K enp1s0 tso off`; whole stanzas go into `[network] extra`"),
            );
            continue;
        };
        if let Some(diagnostic) = of_another(key, line.span, stanza).filter(|_| !stanza.hears(text))
        {
            sink.push(diagnostic);
        } else if is_reserved(key) && !stanza.hears(text) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0109,
                    line.span,
                    format!("`{key}` is a line that moxc writes itself"),
                )
                .help("the spec has a key for it: `address`, `gateway`, `ports`, `mtu`, `vids`, `mode`, `vlan` …; further addresses are `addresses`"),
            );
        } else if !stanza.hears(text) {
            judge(host, line, (key, value), sink);
        }
        as_template(text, line.span, sink);
    }
}

/// Holds a line against what ifupdown2 and Proxmox VE know of its option.
fn judge(host: &Host, line: &Spanned<Line>, (key, value): (&str, &str), sink: &mut Sink) {
    let spelt = key.replace('_', "-");
    if PASSED_OVER.contains(&spelt.as_str()) {
        return; // the next check's
    }
    let Err(fault) = check_option(ConfigFile::Interfaces, *host.release, key, value) else {
        return;
    };
    if fault.kind == FaultKind::UnknownOption {
        sink.push(
            Diagnostic::new(
                Code::MOX0231,
                line.span,
                format!("ifupdown2 passes over `{spelt}`"),
            )
            .note("it knows no such option; scripts of `/etc/network/if-up.d` get the line, where one asks for it")
            .help("correct the name, or write what shall be run: `post-up …`"),
        );
    } else {
        report_fault(fault, line.span, sink);
    }
}

/// Options of Debian's ifupdown that ifupdown2 does not know, and none of the scripts that it hands the others to.
const PASSED_OVER: [&str; 8] = [
    "accept-ra",
    "autoconf",
    "bond-ad-select",
    "dad-attempts",
    "hostname",
    "metric",
    "privext",
    "request-prefix",
];

/// Lines that stand in the file and do nothing.
fn passed_over(host: &Host, sink: &mut Sink) {
    for (line, _) in lines_of(host) {
        let Some((key, value)) = stanza_line(line.value.as_str()) else {
            continue;
        };
        let spelt = key.replace('_', "-");
        if !PASSED_OVER.contains(&spelt.as_str()) {
            continue;
        }
        let help = match spelt.as_str() {
            "accept-ra" | "autoconf" | "dad-attempts" => format!(
                "remove it, or say it to the kernel: `post-up = [\"sysctl -w net.ipv6.conf.INTERFACE.{}={value}\"]`",
                spelt
                    .replace("dad-attempts", "dad_transmits")
                    .replace('-', "_")
            ),
            "privext" => format!(
                "remove it, or say it to the kernel: `post-up = [\"sysctl -w net.ipv6.conf.INTERFACE.use_tempaddr={value}\"]`"
            ),
            "metric" => {
                "remove it; a route with a metric is one of `routes`: `{ to, via, metric }`"
                    .to_owned()
            }
            _ => "remove it".to_owned(),
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0231,
                line.span,
                format!("ifupdown2 passes over `{spelt}`"),
            )
            .note("the line would stand in `/etc/network/interfaces` and do nothing")
            .help(help),
        );
    }
}

/// What Proxmox VE asks of a VXLAN before it writes the file (`PVE::Network::Interfaces`, "check vxlan").
fn vxlans(host: &Host, sink: &mut Sink) {
    const ENDS: [&str; 3] = ["vxlan-remoteip", "vxlan-local-tunnelip", "vxlan-svcnodeip"];
    let mut ids: BTreeMap<&str, Span> = BTreeMap::new();
    for leg in host.network.legs() {
        let lines = leg.extra.iter().filter_map(|line| {
            let (key, value) = stanza_line(line.value.as_str())?;
            Some((key, value, line.span))
        });
        let options: Vec<(&str, &str, Span)> = lines
            .filter(|(key, ..)| key.starts_with("vxlan-"))
            .collect();
        let find = |wanted: &str| options.iter().find(|(key, ..)| *key == wanted);
        let mut ends = ENDS.into_iter().filter_map(find);
        if let (Some((first, _, place)), Some((second, _, span))) = (ends.next(), ends.next()) {
            sink.push(
                Diagnostic::new(Code::MOX0230, *span, format!("`{second}` beside `{first}`"))
                    .also(*place, "the other end is said here already")
                    .help(format!(
                        "remove one of them: with `{first}` alone the kernel chooses the rest"
                    )),
            );
        }
        let (node, device) = (find("vxlan-svcnodeip"), find("vxlan-physdev"));
        if let (Some((alone, _, span)), None) | (None, Some((alone, _, span))) = (node, device) {
            let missing = if node.is_some() {
                "vxlan-physdev"
            } else {
                "vxlan-svcnodeip"
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0230,
                    *span,
                    format!("`{alone}` without `{missing}`"),
                )
                .help(format!("add `{missing}`, or remove `{alone}`")),
            );
        }
        if let Some((_, id, span)) = find("vxlan-id")
            && let Some(first) = ids.insert(id, *span)
        {
            sink.push(
                Diagnostic::new(Code::MOX0230, *span, format!("`vxlan-id` {id} twice"))
                    .also(first, "the first")
                    .help("give each VXLAN a number of its own"),
            );
        }
    }
}

/// ifupdown2 hands a file with a `%` anywhere in it to Mako, a language of templates: there `${…}` is Python that root runs,
/// and a line that begins with `%` a statement (`networkinterfaces.py`, `read_filedata`).
fn as_template(text: &str, place: Span, sink: &mut Sink) {
    if text.contains('%') {
        sink.push(
            Diagnostic::new(
                Code::MOX0226,
                place,
                "a `%` in `/etc/network/interfaces`",
            )
            .note("ifupdown2 takes the whole file for a template then, and runs what it finds in `${…}`")
            .help("put the command into a script of its own, and name the script here"),
        );
    }
}

/// Raw stanzas are of interfaces that the spec does not make.
fn raw_stanzas(host: &Host, sink: &mut Sink) {
    let own = own_interfaces(host);
    for text in host.network.raw_stanzas(&host.kept) {
        as_template(text.as_str(), text.span, sink);
        let raw = Interfaces::parse(text.as_str());
        for interface in raw.iter() {
            let Some((name, place)) = own.get_key_value(&interface.name) else {
                continue;
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0224,
                    text.span,
                    format!("`{name}` has a stanza here, and one that the spec makes"),
                )
                .also(*place, "made from this")
                .note("Proxmox VE puts both together with its next change, and keeps one address of each family")
                .help("write what is missing as `extra` of the interface"),
            );
        }
    }
}

/// The interfaces that moxc writes stanzas of.
fn own_interfaces(host: &Host) -> BTreeMap<String, Span> {
    let mut own = BTreeMap::new();
    for nic in host.hardware.nics.values() {
        own.insert(nic.interface.as_str().to_owned(), nic.name.span);
    }
    for bond in host.network.bonds.values() {
        own.insert(bond.name.value.clone(), bond.name.span);
    }
    for port in host.network.bridges.values().flat_map(|b| &b.ports) {
        let name = host.network.port_interface(&host.hardware, port.value);
        own.entry(name).or_insert(port.span);
    }
    for leg in host.network.legs() {
        let name = host.network.leg_interface(&host.hardware, leg.id);
        own.insert(name, leg.name.span);
    }
    own
}

/// What says to systemd-networkd what a line says to ifupdown2.
fn on_nixos(key: Option<&str>) -> String {
    let option = match key {
        // systemd-networkd listens by itself, whatever the kernel was told of forwarding.
        Some("accept-ra") => {
            return "remove it: the host listens to routers where `address6` is `\"auto\"` or `\"dhcp\"`, also while it forwards for guests, and nowhere else".to_owned();
        }
        Some("metric") => {
            return "remove it; a route with a metric is one of `routes`: `{ to, via, metric }`"
                .to_owned();
        }
        Some("autoconf") => "networks.<name>.ipv6AcceptRAConfig.UseAutonomousPrefix",
        Some("privext") => "networks.<name>.networkConfig.IPv6PrivacyExtensions",
        Some("dad-attempts") => "networks.<name>.networkConfig.IPv6DuplicateAddressDetection",
        Some("bridge-fd") => "netdevs.<name>.bridgeConfig.ForwardDelaySec",
        Some("bond-miimon") => "netdevs.<name>.bondConfig.MIIMonitorSec",
        Some(key) if is_reserved(key) && key != "ovs-options" => {
            return "remove it: the spec has a key for it, as `address`, `gateway`, `ports`, `mtu`, `vids`, `mode` or `vlan`; further addresses are `addresses`".to_owned();
        }
        Some(_) | None => {
            return "remove it here, and set the options of `systemd.network` in a module of your own beside the generated one".to_owned();
        }
    };
    format!(
        "remove it here, and set `systemd.network.{option}` in a module of your own beside the generated one"
    )
}

/// Raw lines are ifupdown2's, which a NixOS host does not have.
fn said_to_ifupdown(host: &Host, sink: &mut Sink) {
    let stanzas = host.network.raw_stanzas(&host.kept);
    let stanzas = stanzas.into_iter().map(|text| (text.span, None));
    let lines = lines_of(host).map(|(line, _)| {
        let key = stanza_line(line.value.as_str()).map(|(key, _)| key.replace('_', "-"));
        (line.span, key)
    });
    for (place, key) in lines.chain(stanzas) {
        sink.push(
            Diagnostic::new(
                Code::MOX0228,
                place,
                "a raw line for ifupdown2 on a NixOS host",
            )
            .note("the host's network is made by systemd-networkd")
            .help(on_nixos(key.as_deref())),
        );
    }
    for bridge in host.network.bridges.values().filter(|b| b.is_ovs()) {
        for port in &bridge.ports {
            if let PortDevice::Bond(_) = port.device {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0228,
                        port.span,
                        "a bond of Open vSwitch on a NixOS host",
                    )
                    .note("`networking.vswitches` has no bonds")
                    .help("make the bond the port of a bridge of the kernel: remove `kind`"),
                );
            }
        }
    }
}
