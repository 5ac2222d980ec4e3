use std::collections::BTreeMap;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{
    Addressing, Arena, Bond, Bridge, Forward, Gateway, HostInterface, LegId, Link, Machine,
    Network, Nic, Port, PortDevice, Route, Setting,
};
use crate::pve::{ConfigFile, PveOption, Release, check_option, report_fault};
use crate::source::{Span, Spanned};
use crate::spec::HostFile;
use crate::spec::network::{
    BondSpec, BridgeSpec, ForwardSpec, Inet6Spec, InterfaceSpec, LinkSpec, MachineSpec,
    NetworkSpec, RouteSpec,
};
use crate::spec::reader::{GatewayName, Int, List, Reference, unknown_reference};
use crate::value::{
    BondMode, BridgeKind, BridgePort, Cidr, GuestAddress, HashPolicy, InterfaceName, Line,
    Protocol, SpecString, VlanSet, VlanTag,
};

use super::references::Names;
use super::{Index, choice, list};

/// The keys of addresses of a table. A macro, as the tables have no type in common.
macro_rules! written {
    ($body:ident) => {
        Written {
            address: $body.address,
            address6: $body.address6,
            more: $body.addresses.as_ref(),
            gateway: $body.gateway.as_ref(),
            gateway6: $body.gateway6.as_ref(),
            routes: $body.routes.as_ref(),
        }
    };
}

pub(super) fn resolve(
    file: &HostFile,
    interfaces: Arena<HostInterface>,
    index: &Index<'_>,
    sink: &mut Sink,
) -> Network {
    let domain = file.host.as_ref().and_then(|host| host.domain.clone());
    let Some(spec) = &file.network else {
        return Network {
            search: domain.into_iter().collect(),
            ..Network::default()
        };
    };
    let mut search = list(spec.search.as_ref());
    if spec.search.is_none() {
        search.extend(domain);
    }
    Network {
        nameservers: list(spec.nameservers.as_ref()),
        search,
        bridges: bridges(spec, index, sink),
        bonds: bonds(spec, index, sink),
        interfaces,
        machines: machines(spec, index, sink),
        extra: spec.extra.clone(),
    }
}

fn bridges(spec: &NetworkSpec, index: &Index<'_>, sink: &mut Sink) -> Arena<Bridge> {
    let mut bridges = Vec::new();
    for row in spec.bridges.iter().flat_map(|table| &table.rows) {
        let Some(body) = row.body() else { continue };
        let kind = choice(body.kind, BridgeKind::Linux, body.span);
        let external = Setting::or_default(body.external, false, body.span);
        if *external {
            made_elsewhere(body, external.span, sink);
        }
        if *kind == BridgeKind::Ovs {
            not_of_ovs(body, kind.span, sink);
        }
        // Every bridge of Open vSwitch carries tagged frames.
        let aware = *kind == BridgeKind::Ovs;
        bridges.push(Bridge {
            name: row.key.clone(),
            span: body.span,
            description: body.description.clone(),
            kind,
            external,
            ports: body
                .ports
                .iter()
                .flat_map(|ports| &ports.value)
                .filter_map(|port| self::port(port, index, sink))
                .collect(),
            ip: written!(body).resolve(index, sink),
            vlan_aware: Setting::or_default(body.vlan_aware, aware, body.span),
            vids: Setting::or_default(
                body.vids
                    .as_ref()
                    .map(|v| Spanned::new(v.value.0.clone(), v.span)),
                VlanSet::all(),
                body.span,
            ),
            dhcp_range: body.dhcp_range,
            mtu: body.mtu.map(|m| m.map(Int::get)),
            stp: Setting::or_default(body.stp, false, body.span),
            nat: body.nat.as_ref().and_then(|nat| leg(nat, index, sink)),
            forward: forwards(body, index, sink),
            firewall: Setting::or_default(body.firewall, false, body.span),
            extra: lines(&body.schema, body.extra.as_ref(), sink),
            extra6: lines6(body.inet6.as_ref(), sink),
            autostart: Setting::or_default(body.autostart, true, body.span),
        });
    }
    Arena::new(bridges)
}

/// What has no effect on a bridge that somebody else makes.
fn made_elsewhere(body: &BridgeSpec, external: Span, sink: &mut Sink) {
    let written = [
        ("kind", body.kind.as_ref().map(|k| k.span)),
        ("ports", body.ports.as_ref().map(|p| p.span)),
        ("address", body.address.map(|a| a.span)),
        ("address6", body.address6.map(|a| a.span)),
        ("gateway", body.gateway.as_ref().map(|g| g.span)),
        ("gateway6", body.gateway6.as_ref().map(|g| g.span)),
        ("routes", body.routes.as_ref().map(|r| r.span)),
        ("vids", body.vids.as_ref().map(|v| v.span)),
        ("stp", body.stp.map(|s| s.span)),
        ("nat", body.nat.as_ref().map(|n| n.span)),
        ("forward", body.forward.as_ref().map(|f| f.span)),
        ("addresses", body.addresses.as_ref().map(|a| a.span)),
        ("extra", body.extra.as_ref().map(|e| e.span)),
        ("inet6", body.inet6.as_ref().map(|i| i.span)),
        ("autostart", body.autostart.map(|a| a.span)),
    ];
    let options = body.schema.iter();
    let options: Vec<(String, Option<Span>)> = options
        .map(|option| (option.key.value.replace('_', "-"), Some(option.key.span)))
        .collect();
    let written = written
        .into_iter()
        .map(|(key, span)| (key.to_owned(), span))
        .chain(options);
    for (key, span) in written {
        let Some(span) = span else { continue };
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                span,
                format!("`{key}` of a bridge that somebody else makes"),
            )
            .also(external, "`external`: moxc writes nothing of it")
            .help(format!("remove `{key}`, or `external`")),
        );
    }
}

/// What the kernel's bridges have and those of Open vSwitch do not.
fn not_of_ovs(body: &BridgeSpec, kind: Span, sink: &mut Sink) {
    let written = [
        (
            "vlan-aware",
            body.vlan_aware.map(|v| v.span),
            "remove it: every bridge of Open vSwitch carries tagged frames",
        ),
        (
            "vids",
            body.vids.as_ref().map(|v| v.span),
            "remove it: every bridge of Open vSwitch carries all VLANs",
        ),
        (
            "stp",
            body.stp.map(|s| s.span),
            "remove it, or say it to Open vSwitch: `extra = [\"ovs_extra set bridge NAME stp_enable=true\"]`, and on a NixOS host `networking.vswitches.NAME.extraOvsctlCmds` in a module of your own",
        ),
    ];
    for (key, span, help) in written {
        let Some(span) = span else { continue };
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                span,
                format!("`{key}` on a bridge of Open vSwitch"),
            )
            .also(kind, "the bridge's kind")
            .help(help),
        );
    }
}

fn forwards(body: &BridgeSpec, index: &Index<'_>, sink: &mut Sink) -> Vec<Forward> {
    let Some(written) = body.forward.as_ref() else {
        return Vec::new();
    };
    if body.nat.is_none() && !body.misread.contains(&"nat") {
        sink.push(
            Diagnostic::new(Code::MOX0016, written.span, "`forward` without `nat`")
                .label("ports of which interface?")
                .help("`nat` names the bridge or the interface whose ports lead here: add `nat = \"vmbr0\"`"),
        );
    }
    let items = written.value.iter();
    items
        .filter_map(|item| forward(&item.value, index, sink))
        .collect()
}

fn forward(body: &ForwardSpec, index: &Index<'_>, sink: &mut Sink) -> Option<Forward> {
    let to = match body.to.as_ref()? {
        to if to.value.is_v6() => gateway(to, true, index, sink),
        to => gateway(to, false, index, sink),
    };
    let port = body.port?.map(|port| port.0);
    let to_port = body.to_port.map(|port| port.map(|port| port.0));
    if let Some(other) = to_port.filter(|to| to.value != port.value)
        && (port.value.count() > 1 || other.value.count() > 1)
    {
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                other.span,
                "a range of ports that becomes others",
            )
            .also(port.span, "the host's")
            .note("the kernel would pick any port of the range for each connection")
            .help("leave out `to-port`, so that each port keeps its number, or forward the ports one by one"),
        );
    }
    Some(Forward {
        span: body.span,
        protocol: choice(body.protocol, Protocol::Tcp, body.span),
        port,
        to: to?,
        to_port,
    })
}

fn bonds(spec: &NetworkSpec, index: &Index<'_>, sink: &mut Sink) -> Arena<Bond> {
    let mut bonds = Vec::new();
    for row in spec.bonds.iter().flat_map(|table| &table.rows) {
        let Some(body) = row.body() else { continue };
        bonds.push(bond(row.key.clone(), body, index, sink));
    }
    Arena::new(bonds)
}

fn bond(name: Spanned<String>, body: &BondSpec, index: &Index<'_>, sink: &mut Sink) -> Bond {
    let mode = choice(body.mode, BondMode::ActiveBackup, body.span);
    let hash_policy = body
        .hash_policy
        .map(|h| Setting::written(h.value.0, h.span));
    let primary = body.primary.as_ref().and_then(|p| index.nics.find(p, sink));
    let lacp_rate = body.lacp_rate.map(|rate| rate.map(|rate| rate.0));
    // Whether a key goes with a mode that was not understood, nobody knows.
    if !body.misread.contains(&"mode") {
        let mut alone = |span: Option<Span>, what: &str, help: &str| {
            let Some(span) = span else { return };
            let message = format!("mode `{}` {what}", *mode);
            sink.push(
                Diagnostic::new(Code::MOX0016, span, message)
                    .also(mode.span, "the bond's mode")
                    .help(help),
            );
        };
        alone(
            hash_policy.map(|h| h.span).filter(|_| !hashes(*mode)),
            "hashes nothing",
            "`hash-policy` goes with `802.3ad` and `balance-xor`",
        );
        alone(
            primary
                .map(|p| p.span)
                .filter(|_| *mode != BondMode::ActiveBackup),
            "has no primary port",
            "`primary` goes with `active-backup`",
        );
        alone(
            lacp_rate
                .map(|r| r.span)
                .filter(|_| *mode != BondMode::Lacp),
            "does not speak LACP",
            "`lacp-rate` goes with `802.3ad`",
        );
    }
    Bond {
        name,
        span: body.span,
        ports: index
            .nics
            .find_all(body.ports.iter().flat_map(|p| &p.value), sink),
        hash_policy: hash_policy
            .or_else(|| hashes(*mode).then(|| Setting::default(HashPolicy::Layer23, body.span))),
        mode,
        primary,
        lacp_rate,
        mtu: body.mtu.map(|m| m.map(Int::get)),
        extra: lines(&body.schema, body.extra.as_ref(), sink),
        extra6: lines6(body.inet6.as_ref(), sink),
        autostart: Setting::or_default(body.autostart, true, body.span),
    }
}

/// The lines of a stanza: options by keys, then the raw ones.
fn lines(
    options: &[PveOption],
    raw: Option<&Spanned<List<Line>>>,
    sink: &mut Sink,
) -> Vec<Spanned<Line>> {
    let mut lines = Vec::new();
    for option in options {
        let (key, value) = (option.key.value.as_str(), option.value.value.as_str());
        // What it takes does not hang on the release: it is ifupdown2's.
        if let Err(fault) = check_option(ConfigFile::Interfaces, Release::NEWEST, key, value) {
            let place = option.place(&fault.place);
            report_fault(fault, place, sink);
            continue;
        }
        match Line::parse(&format!("{key} {value}")) {
            Ok(line) => lines.push(Spanned::new(line, option.value.span)),
            Err(error) => sink.push(
                Diagnostic::new(Line::CODE, option.value.span, error.message).help_if(error.help),
            ),
        }
    }
    lines.extend(list(raw));
    lines
}

fn lines6(spec: Option<&Spanned<Inet6Spec>>, sink: &mut Sink) -> Vec<Spanned<Line>> {
    spec.map_or_else(Vec::new, |spec| {
        lines(&spec.value.schema, spec.value.extra.as_ref(), sink)
    })
}

/// The names of cards and of interfaces that are none, in the order of their arena.
pub(super) fn nics<'a>(file: &'a HostFile, sink: &mut Sink) -> Names<'a, Nic> {
    let cards = file.hardware.as_ref().and_then(|h| h.nics.as_ref());
    let mut names = Names::of("network card", cards);
    let rows = cards.map_or(&[][..], |cards| &cards.value.rows);
    let mut next = rows.iter().filter(|row| row.body().is_some()).count();
    let table = file.network.iter().flat_map(|network| &network.links);
    let known: BTreeMap<&str, Span> = rows
        .iter()
        .map(|card| (card.key.value.as_str(), card.key.span))
        .collect();
    for row in table.flat_map(|table| &table.rows) {
        if let Some(card) = known.get(row.key.value.as_str()) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    row.key.span,
                    format!("`{}` is a card already", row.key.value),
                )
                .also(*card, "the card")
                .help("an interface is in one of the two: remove the link, or the card"),
            );
        }
        let id = row.body().is_some().then(|| Arena::id_at(next));
        next += usize::from(id.is_some());
        names.add(&row.key.value, id);
    }
    names
}

/// The rows of `[network.interfaces]` that say what they are on, and the names of all.
pub(super) fn interfaces<'a>(
    file: &'a HostFile,
    index: &Index<'_>,
    sink: &mut Sink,
) -> (Arena<HostInterface>, Names<'a, HostInterface>) {
    let table = file.network.iter().flat_map(|n| &n.interfaces);
    let mut names = Names::empty("interface");
    let mut interfaces = Vec::new();
    for row in table.flat_map(|table| &table.rows) {
        let interface = row
            .body()
            .and_then(|body| interface(row.key.clone(), body, index, sink));
        let id = interface.is_some().then(|| Arena::id_at(interfaces.len()));
        names.add(&row.key.value, id);
        interfaces.extend(interface);
    }
    let table = file.network.iter().flat_map(|n| &n.links);
    for row in table.flat_map(|table| &table.rows) {
        let Some(body) = row.body() else { continue };
        let row_of_it = link_row(row.key.clone(), body, index, sink);
        if names.get(&row.key.value).is_none() {
            names.add(
                &row.key.value,
                row_of_it.is_some().then(|| Arena::id_at(interfaces.len())),
            );
        }
        interfaces.extend(row_of_it);
    }
    (Arena::new(interfaces), names)
}

/// What the host has on an interface that is no card: a link is both what carries and what has the addresses.
fn link_row(
    name: Spanned<String>,
    body: &LinkSpec,
    index: &Index<'_>,
    sink: &mut Sink,
) -> Option<HostInterface> {
    let nic = index.nics.get(&name.value)??;
    let ip = written!(body).resolve(index, sink);
    Some(HostInterface {
        on: Spanned::new(Link::Port(PortDevice::Nic(nic)), name.span),
        name,
        interface: None,
        span: body.span,
        description: body.description.clone(),
        vlan: None,
        label: None,
        ip,
        mtu: body.mtu.map(|m| m.map(Int::get)),
        extra: lines(&body.schema, None, sink),
        extra6: lines6(body.inet6.as_ref(), sink),
        autostart: Setting::or_default(body.autostart, true, body.span),
    })
}

fn interface(
    name: Spanned<String>,
    body: &InterfaceSpec,
    index: &Index<'_>,
    sink: &mut Sink,
) -> Option<HostInterface> {
    let vlan = body
        .vlan
        .and_then(|tag| VlanTag::new(tag.value.0).map(|value| Spanned::new(value, tag.span)));
    let on = body.on.as_ref().and_then(|on| link(on, index, sink));
    let ip = written!(body).resolve(index, sink);
    if let Some(interface) = &body.interface {
        named_vlan(interface, vlan, sink);
    }
    Some(HostInterface {
        name,
        interface: body.interface.clone(),
        span: body.span,
        description: body.description.clone(),
        on: on?,
        vlan,
        label: body
            .label
            .and_then(|label| Some(Spanned::new(u16::try_from(label.value.0).ok()?, label.span))),
        ip,
        mtu: body.mtu.map(|m| m.map(Int::get)),
        extra: lines(&body.schema, body.extra.as_ref(), sink),
        extra6: lines6(body.inet6.as_ref(), sink),
        autostart: Setting::or_default(body.autostart, true, body.span),
    })
}

/// A name of the kernel's own is a VLAN's, and says no other VLAN: ifupdown2 reads the number out of `vlan30` and `enp5s0.30`.
fn named_vlan(name: &Spanned<InterfaceName>, vlan: Option<Spanned<VlanTag>>, sink: &mut Sink) {
    let Some(vlan) = vlan else {
        sink.push(
            Diagnostic::new(Code::MOX0016, name.span, "`interface` without `vlan`")
                .note("a card has its name in `[hardware.nics]`, a bond or a bridge is named by its table")
                .help("leave it out, or say the `vlan`"),
        );
        return;
    };
    let text = name.value.as_str();
    let number = text
        .strip_prefix("vlan")
        .or_else(|| text.rsplit_once('.').map(|(_, number)| number));
    if number.is_some_and(|number| number != vlan.value.to_string()) {
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                name.span,
                format!("`{text}` is not the name of VLAN {}", vlan.value),
            )
            .also(vlan.span, "the VLAN")
            .help(format!(
                "ifupdown2 takes the VLAN from such a name: write `\"vlan{}\"`",
                vlan.value
            )),
        );
    }
}

fn machines(spec: &NetworkSpec, index: &Index<'_>, sink: &mut Sink) -> Arena<Machine> {
    let mut machines = Vec::new();
    for row in spec.machines.iter().flat_map(|table| &table.rows) {
        let Some(body) = row.body() else { continue };
        machines.push(machine(row.key.clone(), body, index, sink));
    }
    Arena::new(machines)
}

fn machine(
    name: Spanned<String>,
    body: &MachineSpec,
    index: &Index<'_>,
    sink: &mut Sink,
) -> Machine {
    Machine {
        name,
        description: body.description.clone(),
        bridge: body
            .bridge
            .as_ref()
            .and_then(|b| index.bridges.find(b, sink)),
        address: machine_address(body.address, false, sink),
        address6: machine_address(body.address6, true, sink),
        mac: body.mac,
        uplink: Setting::or_default(body.uplink, false, body.span),
    }
}

/// The host's addresses on one interface as the spec writes them.
struct Written<'a> {
    address: Option<Spanned<GuestAddress>>,
    address6: Option<Spanned<GuestAddress>>,
    more: Option<&'a Spanned<List<Cidr>>>,
    gateway: Option<&'a Spanned<GatewayName>>,
    gateway6: Option<&'a Spanned<GatewayName>>,
    routes: Option<&'a Spanned<List<RouteSpec>>>,
}

impl Written<'_> {
    fn resolve(&self, index: &Index<'_>, sink: &mut Sink) -> Addressing {
        let routes = self.routes.iter().flat_map(|routes| &routes.value);
        let ip = Addressing {
            address: own_address(self.address, false, sink),
            address6: own_address(self.address6, true, sink),
            more: list(self.more),
            gateway: self.gateway.and_then(|g| gateway(g, false, index, sink)),
            gateway6: self.gateway6.and_then(|g| gateway(g, true, index, sink)),
            routes: routes
                .filter_map(|route| self::route(&route.value, index, sink))
                .collect(),
        };
        for v6 in [false, true] {
            if let (Some(address), Some(gateway)) = (ip.address_of(v6), ip.gateway_of(v6))
                && ip.is_dynamic(v6)
            {
                let key = if v6 { "gateway6" } else { "gateway" };
                sink.push(
                    Diagnostic::new(
                        Code::MOX0016,
                        gateway.span,
                        format!("`{key}` beside an address that comes with one"),
                    )
                    .also(address.span, format!("`{}`", address.value))
                    .help(format!(
                        "remove `{key}`: whoever gives the address names the way out, too"
                    )),
                );
            }
        }
        ip
    }
}

fn route(body: &RouteSpec, index: &Index<'_>, sink: &mut Sink) -> Option<Route> {
    let to = body.to?;
    let via = match &body.via {
        Some(via) => Some(gateway(via, to.value.is_v6(), index, sink)?),
        None => None,
    };
    Some(Route {
        span: body.span,
        to,
        via,
        metric: body.metric.map(|metric| metric.map(Int::get)),
    })
}

fn hashes(mode: BondMode) -> bool {
    match mode {
        BondMode::Lacp | BondMode::BalanceXor => true,
        BondMode::ActiveBackup
        | BondMode::BalanceRr
        | BondMode::Broadcast
        | BondMode::BalanceTlb
        | BondMode::BalanceAlb => false,
    }
}

/// An address under the key of the other family.
fn other_family(span: Span, v6: bool) -> Diagnostic {
    if v6 {
        Diagnostic::new(Code::MOX0009, span, "`address6` is an IPv4 address")
            .help("write it under `address`")
    } else {
        Diagnostic::new(Code::MOX0009, span, "`address` is an IPv6 address")
            .help("write it under `address6`")
    }
}

/// An address of another machine under the key of its family.
fn machine_address(
    written: Option<Spanned<crate::value::IpAddress>>,
    v6: bool,
    sink: &mut Sink,
) -> Option<Spanned<crate::value::IpAddress>> {
    let address = written?;
    if address.value.0.is_ipv6() == v6 {
        return Some(address);
    }
    sink.push(other_family(address.span, v6));
    None
}

/// An address under the key of its family, of a guest's card and of the host.
pub(super) fn own_address(
    written: Option<Spanned<GuestAddress>>,
    v6: bool,
    sink: &mut Sink,
) -> Option<Spanned<GuestAddress>> {
    let address = written?;
    let wrong = match address.value {
        GuestAddress::Dhcp => return Some(address),
        GuestAddress::Auto if v6 => return Some(address),
        GuestAddress::Static(cidr) if cidr.is_v6() == v6 => return Some(address),
        GuestAddress::Auto => Diagnostic::new(Code::MOX0009, address.span, "IPv4 has no `auto`")
            .help("write `\"dhcp\"`, or `address6 = \"auto\"`"),
        GuestAddress::Static(_) => other_family(address.span, v6),
    };
    sink.push(wrong);
    None
}

/// The interface whose way out is shared: a bridge or one of `[network.interfaces]`.
fn leg(name: &Spanned<Reference>, index: &Index<'_>, sink: &mut Sink) -> Option<Spanned<LegId>> {
    let text = name.value.0.as_str();
    let leg = match (index.bridges.get(text), index.interfaces.get(text)) {
        (Some(bridge), _) => LegId::Bridge(bridge?),
        (None, Some(interface)) => LegId::Interface(interface?),
        (None, None) => {
            let known = [index.bridges.names(), index.interfaces.names()];
            sink.push(unknown_reference(
                name.span,
                "bridge or interface",
                text,
                &known,
            ));
            return None;
        }
    };
    Some(Spanned::new(leg, name.span))
}

/// What an interface of the host is on: a card, a bond or a bridge.
fn link(name: &Spanned<Reference>, index: &Index<'_>, sink: &mut Sink) -> Option<Spanned<Link>> {
    let text = name.value.0.as_str();
    let link = if let Some(nic) = index.nics.get(text) {
        Link::Port(PortDevice::Nic(nic?))
    } else if let Some(bond) = index.bonds.get(text) {
        Link::Port(PortDevice::Bond(bond?))
    } else if let Some(bridge) = index.bridges.get(text) {
        Link::Bridge(bridge?)
    } else {
        let known = [
            index.nics.names(),
            index.bonds.names(),
            index.bridges.names(),
        ];
        let mut diagnostic =
            unknown_reference(name.span, "network card, bond or bridge", text, &known);
        if let Some((parent, tag)) = text.split_once('.')
            && (index.nics.get(parent).is_some()
                || index.bonds.get(parent).is_some()
                || index.bridges.get(parent).is_some())
        {
            diagnostic = diagnostic.help(format!(
                "a VLAN is given by `vlan`: `on = \"{parent}\"`, `vlan = {tag}`"
            ));
        }
        sink.push(diagnostic);
        return None;
    };
    Some(Spanned::new(link, name.span))
}

fn port(port: &Spanned<BridgePort>, index: &Index<'_>, sink: &mut Sink) -> Option<Spanned<Port>> {
    let device = match (index.nics.get(&port.parent), index.bonds.get(&port.parent)) {
        (Some(nic), _) => PortDevice::Nic(nic?),
        (None, Some(bond)) => PortDevice::Bond(bond?),
        (None, None) => {
            let known = [index.nics.names(), index.bonds.names()];
            let mut diagnostic =
                unknown_reference(port.span, "network card or bond", &port.parent, &known);
            // The edit would lose the VLAN: keep it.
            if let (Some(fix), Some(tag)) = (&mut diagnostic.fix, port.vlan) {
                for edit in &mut fix.edits {
                    edit.replacement = format!("\"{}.{tag}\"", edit.replacement.trim_matches('"'));
                }
            }
            sink.push(diagnostic);
            return None;
        }
    };
    Some(Spanned::new(
        Port {
            device,
            vlan: port.vlan,
        },
        port.span,
    ))
}

/// What a gateway stands for: an address, a machine, or a guest.
pub(super) fn gateway(
    written: &Spanned<GatewayName>,
    v6: bool,
    index: &Index<'_>,
    sink: &mut Sink,
) -> Option<Spanned<Gateway>> {
    let gateway = match &written.value {
        GatewayName::Address(address) if address.is_ipv6() != v6 => {
            let (key, other) = if v6 {
                ("gateway6", "gateway")
            } else {
                ("gateway", "gateway6")
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0009,
                    written.span,
                    format!("`{key}` is an {} address", if v6 { "IPv4" } else { "IPv6" }),
                )
                .help(format!("write it under `{other}`")),
            );
            return None;
        }
        GatewayName::Address(address) => Gateway::Address(*address),
        GatewayName::Name(name) => match (index.machines.get(name), index.guests.get(name)) {
            (Some(machine), _) => Gateway::Machine(machine?),
            (None, Some(guest)) => Gateway::Guest(guest?),
            (None, None) => {
                let known = [index.machines.names(), index.guests.names()];
                sink.push(unknown_reference(
                    written.span,
                    "machine or guest",
                    name,
                    &known,
                ));
                return None;
            }
        },
    };
    Some(Spanned::new(gateway, written.span))
}
