//! The host's network: `interfaces` for ifupdown2, `.link` files that pin the names of cards, DNS, forwarding.
//!
//! Rules of others that are kept here: pve-network.adoc ("Masquerading (NAT) with iptables", "Pinning a specific interface
//! name", "VLAN for the host"), systemd.link(5), ifupdown-addons-interfaces(5). `/etc/hosts` is not written as a file:
//! pve-cluster wants the node's name to stand for its address, and whatever else is in it is the user's, so the script
//! that applies the tree mends that one line ([`Network::hosts_line`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::hosts_file::HostsLine;
use crate::facts::network::{self as facts, Forwarding};
use crate::model::{
    Bond, Bridge, Host, HostInterface, Id, Leg, LegId, Link as On, Nic, Port, PortDevice, Segment,
};
use crate::output::Mode;
use crate::pve::Refusal;
use crate::pve::interfaces::{
    self, Family, Interface, InterfaceKind, Interfaces, IpVersion, Method, OvsPort, OvsPortKind,
};
use crate::shell::Command;
use crate::source::{Places, Span, Spanned};
use crate::value::{GuestAddress, Line, MacAddress};

use super::{Tree, push};

/// What the network's files will say.
#[derive(Debug)]
pub(super) struct Network {
    interfaces: Interfaces,
    /// Where the spec says each.
    places: Places,
    links: Vec<Link>,
    nameservers: Vec<IpAddr>,
    search: Vec<String>,
    forwarding: Forwarding,
    /// Interfaces that listen to routers though the host is one.
    listeners: Vec<String>,
    /// The line of `/etc/hosts` that pve-cluster needs; none where no bridge has an address.
    pub(super) hosts_line: Option<HostsLine>,
    /// What must answer after the network has been brought up anew.
    pub(super) reachable: Vec<Reachable>,
}

/// An address of the host and, where it has one, the gateway behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reachable {
    pub(super) interface: String,
    pub(super) address: String,
    pub(super) gateway: Option<IpAddr>,
}

/// A card whose name is pinned.
#[derive(Debug)]
struct Link {
    interface: String,
    mac: MacAddress,
    span: Span,
}

/// Plans the network.
pub(super) fn plan(host: &Host, sink: &mut Sink) -> Network {
    let mut file = File {
        host,
        mtus: facts::mtus(host),
        interfaces: Interfaces::new(),
        places: Places::whole(host.name.span),
        sink,
    };
    for (id, nic) in host.hardware.nics.iter() {
        file.nic(id, nic);
    }
    for (id, bond) in host.network.bonds.iter() {
        file.bond(id, bond);
    }
    for (id, bridge) in host.network.bridges.iter() {
        if !*bridge.external {
            file.bridge(id, bridge);
        }
    }
    file.vlans();
    let raw = host.network.raw_stanzas(&host.kept);
    let texts: Vec<&str> = raw
        .iter()
        .map(|text| text.as_str().trim_matches('\n'))
        .collect();
    file.interfaces.set_raw(&texts.join("\n\n"));
    // SDN writes its bridges there, and so do people; Proxmox's own file has the line, too.
    if !texts
        .iter()
        .any(|text| text.lines().any(|line| line.trim() == SOURCE))
    {
        file.interfaces
            .push_line(SOURCE)
            .expect("a line that begins no stanza");
    }
    Network {
        interfaces: file.interfaces,
        places: file.places,
        links: links(host),
        nameservers: host
            .network
            .nameservers
            .iter()
            .map(|server| server.0)
            .collect(),
        search: host
            .network
            .search
            .iter()
            .map(|domain| domain.as_str().to_owned())
            .collect(),
        forwarding: facts::forwarding(host),
        listeners: facts::router_listeners(host),
        hosts_line: facts::hosts_line(host),
        reachable: reachable(host),
    }
}

/// The files that others put beside this one.
const SOURCE: &str = "source /etc/network/interfaces.d/*";

/// `/etc/network/interfaces` while it is made.
struct File<'a> {
    host: &'a Host,
    mtus: BTreeMap<String, u32>,
    interfaces: Interfaces,
    places: Places,
    sink: &'a mut Sink,
}

impl File<'_> {
    fn push(&mut self, interface: Interface, span: Span) {
        let name = interface.name.clone();
        self.places.set(name.as_str(), span);
        if let Err(why) = self.interfaces.push(interface) {
            // Two of one name are told by the analysis, and better.
            if why.why == Refusal::Twice && self.sink.has_errors() {
                return;
            }
            self.sink.push(Diagnostic::new(
                Code::MOX0825,
                span,
                format!("`/etc/network/interfaces` cannot hold `{name}`: {why}"),
            ));
        }
    }

    fn nic(&mut self, id: Id<Nic>, nic: &Nic) {
        let device = PortDevice::Nic(id);
        let name = nic.interface.as_str();
        let leg = leg_on(self.host, device);
        let kind = match ovs_bridge_of(self.host, device) {
            Some(bridge) => InterfaceKind::OvsPort(OvsPort {
                kind: OvsPortKind::Card,
                bridge,
                options: leg
                    .and_then(|leg| facts::ovs_options(leg.extra))
                    .map(str::to_owned),
            }),
            None if name == "lo" => InterfaceKind::Loopback,
            None if nic.is_link => InterfaceKind::Other,
            None => InterfaceKind::Card,
        };
        let model = nic.model.as_ref().map(|model| model.as_str());
        let mut families = leg.map(|leg| self.families(leg)).unwrap_or_default();
        if matches!(kind, InterfaceKind::Loopback) {
            for family in &mut families {
                family.method = Method::Loopback;
            }
        }
        let interface = Interface {
            auto: leg.is_some_and(|leg| *leg.autostart)
                && (nic.is_link || !is_port(self.host, device)),
            mtu: self.mtus.get(name).copied(),
            families,
            comments: comment(
                leg.and_then(|leg| leg.description)
                    .map_or(model, |text| Some(text.as_str())),
            ),
            ..Interface::new(name, kind)
        };
        self.push(interface, nic.name.span);
    }

    fn bond(&mut self, id: Id<Bond>, bond: &Bond) {
        let device = PortDevice::Bond(id);
        let card = |nic: Id<Nic>| self.host.hardware.nics[nic].interface.as_str().to_owned();
        let ports: Vec<String> = bond.ports.iter().map(|nic| card(nic.value)).collect();
        let leg = leg_on(self.host, device);
        let kind = match ovs_bridge_of(self.host, device) {
            Some(bridge) => InterfaceKind::OvsPort(OvsPort {
                kind: OvsPortKind::Bond(ports),
                bridge,
                options: Some(
                    facts::ovs_options(&bond.extra)
                        .unwrap_or_else(|| facts::ovs_bond_options(*bond.mode))
                        .to_owned(),
                ),
            }),
            None => InterfaceKind::Bond(interfaces::Bond {
                ports,
                mode: bond.mode.as_str().to_owned(),
                miimon: facts::link_interval(bond),
                xmit_hash_policy: bond.hash_policy.map(|hash| hash.as_str().to_owned()),
                primary: bond.primary.map(|nic| card(nic.value)),
            }),
        };
        let mut families = leg.map(|leg| self.families(leg)).unwrap_or_default();
        if let Some(rate) = bond.lacp_rate {
            first(&mut families)
                .options
                .push(("bond-lacp-rate".to_owned(), rate.as_str().to_owned()));
        }
        add_lines(first(&mut families), &bond.extra);
        add_lines6(&mut families, &bond.extra6);
        let interface = Interface {
            auto: *bond.autostart,
            mtu: self.mtus.get(bond.name.as_str()).copied(),
            comments: comment(leg.and_then(|leg| leg.description).map(Line::as_str)),
            families,
            ..Interface::new(bond.name.value.clone(), kind)
        };
        self.push(interface, bond.span);
    }

    fn bridge(&mut self, id: Id<Bridge>, bridge: &Bridge) {
        let mut ports: Vec<String> = bridge
            .ports
            .iter()
            .map(|port| port_name(self.host, port.value))
            .collect();
        let kind = if bridge.is_ovs() {
            let own = self.host.network.interfaces.iter();
            let own = own.filter(|(_, interface)| interface.on.value == On::Bridge(id));
            ports.extend(own.map(|(id, _)| leg_name(self.host, LegId::Interface(id))));
            InterfaceKind::OvsBridge(ports)
        } else {
            InterfaceKind::Bridge(interfaces::Bridge {
                ports,
                stp: *bridge.stp,
                fd: facts::forward_delay(bridge),
                vids: bridge.vlan_aware.then(|| bridge.vids.to_string()),
            })
        };
        let leg = self.host.network.leg(LegId::Bridge(id));
        let mut families = self.families(leg);
        for (rule, add) in own_rules(self.host, id)
            .iter()
            .flat_map(|rule| [(rule, true), (rule, false)])
        {
            let version = if rule.v6 {
                IpVersion::V6
            } else {
                IpVersion::V4
            };
            let at = families
                .iter()
                .position(|family| family.version == version)
                .unwrap_or(0);
            let option = if add { applied(rule) } else { taken_back(rule) };
            if let Some(family) = families.get_mut(at) {
                family.options.push(option);
            }
        }
        for family in &mut families {
            // All that comes up, then all that goes: people read the one without the other.
            family.options.sort_by_key(|(key, _)| key == "post-down");
        }
        add_lines(first(&mut families), leg.extra);
        add_lines6(&mut families, leg.extra6);
        let interface = Interface {
            auto: *bridge.autostart,
            mtu: bridge.mtu.map(|mtu| mtu.value),
            comments: comment(bridge.description.as_ref().map(|text| text.as_str())),
            families,
            ..Interface::new(bridge.name.value.clone(), kind)
        };
        self.push(interface, bridge.span);
    }

    /// VLANs: ports of bridges, and addresses of the host. One VLAN may be a port of one bridge only; a second is reported by
    /// the analysis.
    fn vlans(&mut self) {
        let mut named = BTreeSet::new();
        let host = self.host;
        for bridge in host.network.bridges.values() {
            for port in bridge.ports.iter().filter(|port| port.vlan.is_some()) {
                let name = port_name(host, port.value);
                // A row of its own says more of it.
                let has_row = host.network.interfaces.values().any(|row| {
                    row.on.value == On::Port(port.device)
                        && row.vlan.map(|tag| tag.value) == port.vlan
                });
                if !has_row && named.insert(name.clone()) {
                    let interface = Interface {
                        mtu: self.mtus.get(&name).copied(),
                        ..Interface::new(name, VLAN)
                    };
                    self.push(interface, port.span);
                }
            }
        }
        for (id, interface) in host.network.interfaces.iter() {
            let id = LegId::Interface(id);
            let name = leg_name(host, id);
            let kind = match self.internal_port(interface) {
                Some(port) => InterfaceKind::OvsPort(port),
                None if interface.label.is_some() => InterfaceKind::Other,
                None if interface.vlan.is_none() => continue,
                None if interface.interface.is_some() => InterfaceKind::Vlan {
                    raw_device: Some(host.network.segment_interface(
                        &host.hardware,
                        Segment {
                            vlan: None,
                            ..interface.segment()
                        },
                    )),
                    id: interface.vlan.map(|tag| tag.value.get()),
                },
                None => VLAN,
            };
            if !named.insert(name.clone()) {
                continue;
            }
            let leg = host.network.leg(id);
            let families = self.families(leg);
            let interface = Interface {
                auto: *leg.autostart,
                mtu: self.mtus.get(&name).copied(),
                comments: comment(leg.description.map(Line::as_str)),
                families,
                ..Interface::new(name, kind)
            };
            self.push(interface, leg.name.span);
        }
    }

    /// An interface of the host on a bridge of Open vSwitch is a port that the bridge itself makes.
    fn internal_port(&self, interface: &HostInterface) -> Option<OvsPort> {
        let On::Bridge(bridge) = interface.on.value else {
            return None;
        };
        self.host.network.is_ovs_port(interface).then(|| OvsPort {
            kind: OvsPortKind::Internal,
            bridge: self.host.network.bridges[bridge].name.value.clone(),
            options: facts::ovs_options(&interface.extra)
                .map(str::to_owned)
                .or_else(|| interface.vlan.map(|tag| format!("tag={}", tag.value))),
        })
    }

    /// The stanzas of a leg: one for each family that it has an address in.
    fn families(&self, leg: Leg<'_>) -> Vec<Family> {
        let mut families = Vec::new();
        for (v6, version) in [(false, IpVersion::V4), (true, IpVersion::V6)] {
            let gateway = self.host.leg_gateway(leg, v6);
            let family = match leg.ip.address_of(v6).map(|address| address.value) {
                Some(GuestAddress::Static(cidr)) => Family::fixed(version, cidr).gateway(gateway),
                Some(GuestAddress::Dhcp) => Family::new(version, Method::Dhcp),
                Some(GuestAddress::Auto) => Family::new(version, Method::Auto),
                // By its link-local address a router is reached without an address of the host's own.
                None => match gateway {
                    Some(gateway) => Family::new(version, Method::Manual).option(
                        "post-up",
                        ip(v6)
                            .args(["route", "replace", "default", "via", &gateway.to_string()])
                            .args(["dev", &leg_device(self.host, leg.id)]),
                    ),
                    None => continue,
                },
            };
            families.push(family);
        }
        for cidr in &leg.ip.more {
            let version = if cidr.is_v6() {
                IpVersion::V6
            } else {
                IpVersion::V4
            };
            let of_family = families
                .iter_mut()
                .find(|family| family.version == version && family.method == Method::Static);
            match of_family {
                Some(family) => family.more.push(cidr.value.to_string()),
                None => families.push(Family::fixed(version, cidr.value)),
            }
        }
        for route in facts::routes(self.host, leg) {
            let version = if route.v6 {
                IpVersion::V6
            } else {
                IpVersion::V4
            };
            let mut command = ip(route.v6).args(["route", "replace", &route.to]);
            if let Some(via) = route.via {
                command = command.args(["via", &via.to_string()]);
            }
            command = command.args(["dev", &leg_device(self.host, leg.id)]);
            if route.on_link {
                command = command.arg("onlink");
            }
            if let Some(metric) = route.metric {
                command = command.args(["metric", &metric.to_string()]);
            }
            let of_family = families.iter_mut().find(|family| family.version == version);
            let option = ("post-up".to_owned(), command.to_string());
            match of_family {
                Some(family) => family.options.push(option),
                None => first(&mut families).options.push(option),
            }
        }
        if leg.bridge().is_none() {
            add_lines(first(&mut families), leg.extra);
            add_lines6(&mut families, leg.extra6);
        }
        first(&mut families);
        families
    }
}

const VLAN: InterfaceKind = InterfaceKind::Vlan {
    raw_device: None,
    id: None,
};

/// The first stanza, which is `inet manual` where there is none yet.
fn first(families: &mut Vec<Family>) -> &mut Family {
    if families.is_empty() {
        families.push(Family::new(IpVersion::V4, Method::Manual));
    }
    &mut families[0]
}

/// Adds raw lines, whose form the analysis has looked at.
fn add_lines(family: &mut Family, lines: &[Spanned<Line>]) {
    let lines = lines
        .iter()
        .filter_map(|line| interfaces::stanza_line(line.as_str()))
        // Those that moxc writes itself are told, or have been taken.
        .filter(|(key, _)| !interfaces::is_reserved(key));
    family
        .options
        .extend(lines.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

/// Adds lines of the IPv6 stanza, which is `inet6 manual` where there is none yet.
fn add_lines6(families: &mut Vec<Family>, lines: &[Spanned<Line>]) {
    if lines.is_empty() {
        return;
    }
    first(families);
    let at = families
        .iter()
        .position(|family| family.version == IpVersion::V6)
        .unwrap_or_else(|| {
            families.push(Family::new(IpVersion::V6, Method::Manual));
            families.len() - 1
        });
    add_lines(&mut families[at], lines);
}

fn ip(v6: bool) -> Command {
    if v6 {
        Command::new("ip").args(["-6"])
    } else {
        Command::new("ip")
    }
}

/// The rules that a bridge sets when it comes up, and takes back when it goes. One that another bridge needs too is set by
/// each under its own name: neither finds the other's in its own place, nor takes it away.
fn own_rules(host: &Host, id: Id<Bridge>) -> Vec<facts::PacketRule> {
    let others: Vec<facts::PacketRule> = host
        .network
        .bridges
        .iter()
        .filter(|(other, bridge)| *other != id && !*bridge.external)
        .flat_map(|(other, _)| facts::packet_rules(host, other))
        .collect();
    let mut rules = facts::packet_rules(host, id);
    for rule in rules.iter_mut().filter(|rule| others.contains(rule)) {
        let name = &host.network.bridges[id].name.value;
        let words = ["-m", "comment", "--comment", name];
        rule.words.extend(words.map(str::to_owned));
    }
    rules
}

/// A rule as a command of `iptables`, with `-A`, `-C` or `-D`.
fn packet_filter(rule: &facts::PacketRule, action: &str) -> Command {
    Command::new(if rule.v6 { "ip6tables" } else { "iptables" })
        .args(["-t", rule.table, action, rule.chain])
        .args(&rule.words)
}

/// `ifreload` runs `post-up` again on an interface that is up, so a rule that is there is not added a second time.
fn applied(rule: &facts::PacketRule) -> (String, String) {
    let there = packet_filter(rule, "-C");
    let add = packet_filter(rule, if rule.first { "-I" } else { "-A" });
    (
        "post-up".to_owned(),
        format!("{there} 2>/dev/null || {add}"),
    )
}

fn taken_back(rule: &facts::PacketRule) -> (String, String) {
    (
        "post-down".to_owned(),
        packet_filter(rule, "-D").to_string(),
    )
}

/// The leg that is a card or a bond itself.
fn leg_on(host: &Host, device: PortDevice) -> Option<Leg<'_>> {
    host.network.legs().find(|leg| {
        let is_alias = match leg.id {
            LegId::Interface(id) => host.network.interfaces[id].label.is_some(),
            LegId::Bridge(_) => true,
        };
        !is_alias && leg.segment.vlan.is_none() && leg.segment.link == On::Port(device)
    })
}

/// The device of a leg as `ip` knows it.
fn leg_device(host: &Host, leg: LegId) -> String {
    host.network.leg_device(&host.hardware, leg)
}

fn leg_name(host: &Host, leg: LegId) -> String {
    host.network.leg_interface(&host.hardware, leg)
}

/// Whether a bridge or a bond takes it whole: then it comes up with that.
fn is_port(host: &Host, device: PortDevice) -> bool {
    let mut bridges = host
        .network
        .bridges
        .values()
        .flat_map(|bridge| &bridge.ports);
    let mut bonds = host.network.bonds.values().flat_map(|bond| &bond.ports);
    bridges.any(|port| port.device == device && port.vlan.is_none())
        || bonds.any(|port| PortDevice::Nic(port.value) == device)
}

/// The bridge of Open vSwitch that takes a card or a bond.
fn ovs_bridge_of(host: &Host, device: PortDevice) -> Option<String> {
    let mut bridges = host
        .network
        .bridges
        .values()
        .filter(|bridge| bridge.is_ovs());
    bridges
        .find(|bridge| bridge.ports.iter().any(|port| port.device == device))
        .map(|bridge| bridge.name.value.clone())
}

fn port_name(host: &Host, port: Port) -> String {
    host.network.port_interface(&host.hardware, port)
}

/// What Proxmox's interface shows as an interface's comment, where the file can hold it as it is. Left out is
///
/// * a text with a `%`: ifupdown2 takes a file with one anywhere in it for a Mako template (`networkinterfaces.py`,
///   `read_filedata`), and `${…}` in it, be it in a comment, for Python that root runs;
/// * one that is not ASCII: Proxmox writes it back as Latin-1 with its next change;
/// * one that ends in a backslash, which would join the next line to it.
///
/// A comment that nothing reads is no reason to refuse a host.
fn comment(text: Option<&str>) -> Vec<String> {
    text.map(str::trim)
        .filter(|text| {
            !text.is_empty() && text.is_ascii() && !text.contains('%') && !text.ends_with('\\')
        })
        .map(str::to_owned)
        .into_iter()
        .collect()
}

/// The cards whose names are pinned: those with an address. Of two of one name the first counts; the analysis tells.
fn links(host: &Host) -> Vec<Link> {
    let mut names = BTreeSet::new();
    host.hardware
        .nics
        .values()
        .filter_map(|nic| {
            let mac = nic.mac.as_ref()?;
            names.insert(nic.interface.as_str()).then(|| Link {
                interface: nic.interface.as_str().to_owned(),
                mac: mac.value,
                span: mac.span,
            })
        })
        .collect()
}

fn reachable(host: &Host) -> Vec<Reachable> {
    let mut reachable = Vec::new();
    for leg in host.network.legs() {
        for cidr in leg.ip.fixed_addresses() {
            reachable.push(Reachable {
                interface: leg_name(host, leg.id),
                address: cidr.value.to_string(),
                gateway: host.leg_gateway(leg, cidr.is_v6()),
            });
        }
    }
    let raw = facts::raw_addresses(host).fixed.into_iter();
    reachable.extend(raw.map(|one| Reachable {
        interface: one.interface,
        address: one.address.to_string(),
        gateway: one.gateway,
    }));
    reachable
}

impl Network {
    /// The cards whose names are pinned: `lan0=bc:24:…`.
    pub(super) fn cards(&self) -> Vec<String> {
        self.links
            .iter()
            .map(|link| format!("{}={}", link.interface, link.mac))
            .collect()
    }

    pub(super) fn pins_names(&self) -> bool {
        !self.links.is_empty()
    }

    /// Writes the files down.
    pub(super) fn emit(&self, span: Span, tree: &mut Tree<'_>) {
        let mut interfaces = self.interfaces.clone();
        // A spec's file name may hold a `%` too: see `comment`.
        interfaces.set_header(&tree.header().replace('%', " percent"));
        tree.add_with(
            "proxmox/etc/network/interfaces",
            &interfaces.to_string(),
            Mode::Regular,
            span,
            self.places.clone(),
        );
        for link in &self.links {
            // `Type=ether` leaves out bridges and VLANs, which have their port's address.
            let text = format!(
                "# {}\n# The card keeps this name wherever it is plugged in.\n[Match]\nMACAddress={}\nType=ether\n\n[Link]\nName={}\n",
                tree.header(),
                link.mac.lower(),
                link.interface
            );
            let path = format!("etc/systemd/network/10-{}.link", link.interface);
            tree.add(&path, &text, Mode::Regular, link.span);
        }
        if !self.nameservers.is_empty() {
            let mut text = format!("# {}\n", tree.header());
            if !self.search.is_empty() {
                push(
                    &mut text,
                    format_args!("search {}\n", self.search.join(" ")),
                );
            }
            for server in &self.nameservers {
                push(&mut text, format_args!("nameserver {server}\n"));
            }
            tree.add("etc/resolv.conf", &text, Mode::Regular, span);
        }
        if self.forwarding != Forwarding::default() {
            let mut text = format!("# {}\n# The host routes for its guests.\n", tree.header());
            if self.forwarding.v4 {
                text.push_str("net.ipv4.ip_forward = 1\n");
            }
            if self.forwarding.v6 {
                text.push_str("net.ipv6.conf.all.forwarding = 1\n");
            }
            for interface in &self.listeners {
                // With slashes a dot belongs to the interface's name (sysctl.d(5)).
                push(
                    &mut text,
                    format_args!("net/ipv6/conf/{interface}/accept_ra = 2\n"),
                );
            }
            tree.add(
                "etc/sysctl.d/80-forwarding.conf",
                &text,
                Mode::Regular,
                span,
            );
        }
    }
}
