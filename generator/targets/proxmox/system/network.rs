//! The host's network: `interfaces` for ifupdown2, `.link` files that pin the names of cards, DNS, forwarding.
//!
//! Rules of others that are kept here: pve-network.adoc ("Masquerading (NAT) with iptables", "Pinning a specific interface
//! name", "VLAN for the host"), systemd.link(5), ifupdown-addons-interfaces(5). `/etc/hosts` is not written as a file:
//! pve-cluster wants the node's name to stand for its address, and whatever else is in it is the user's, so the script
//! that applies the tree mends that one line ([`Network::hosts_line`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{self, Bridge, Host, Id, Port};
use crate::output::Mode;
use crate::pve::interfaces::{
    self, Family, Interface, InterfaceKind, Interfaces, IpVersion, Method,
};
use crate::shell::Command;
use crate::source::{Places, Span};
use crate::value::MacAddress;

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
    /// The line of `/etc/hosts` that pve-cluster needs; none where no bridge has an address.
    pub(super) hosts_line: Option<HostsLine>,
    /// What must answer after the network has been brought up anew.
    pub(super) reachable: Vec<Reachable>,
}

/// The node's own line of `/etc/hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::targets) struct HostsLine {
    pub(in crate::targets) address: IpAddr,
    pub(super) fqdn: String,
    pub(super) name: String,
}

/// An address of the host and, where it has one, the gateway behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reachable {
    pub(super) bridge: String,
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

/// The families in which the host passes packets on.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::targets) struct Forwarding {
    pub(in crate::targets) v4: bool,
    pub(in crate::targets) v6: bool,
}

/// Plans the network.
pub(super) fn plan(host: &Host, sink: &mut Sink) -> Network {
    let mut interfaces = Interfaces::new();
    let mut places = Places::default();
    let mut push = |interface: Interface, span: Span| {
        let name = interface.name.clone();
        places.set(name.as_str(), span);
        if let Err(why) = interfaces.push(interface) {
            sink.push(Diagnostic::new(
                Code::MOX0825,
                span,
                format!("`/etc/network/interfaces` cannot hold `{name}`: {why}"),
            ));
        }
    };
    let mtus = mtus(host);
    let mtu = |name: &str| mtus.get(name).copied();
    for nic in host.hardware.nics.values() {
        push(
            Interface {
                auto: false,
                mtu: mtu(nic.interface.as_str()),
                comments: comment(nic.model.as_ref().map(|model| model.as_str())),
                ..Interface::new(nic.interface.as_str(), InterfaceKind::Card)
            },
            nic.name.span,
        );
    }
    for bond in host.network.bonds.values() {
        let card = |nic: Id<model::Nic>| host.hardware.nics[nic].interface.as_str().to_owned();
        push(
            Interface {
                mtu: mtu(&bond.name),
                ..Interface::new(
                    bond.name.value.clone(),
                    InterfaceKind::Bond(interfaces::Bond {
                        ports: bond.ports.iter().map(|nic| card(nic.value)).collect(),
                        mode: bond.mode.as_str().to_owned(),
                        miimon: None,
                        xmit_hash_policy: bond.hash_policy.map(|hash| hash.as_str().to_owned()),
                        primary: bond.primary.map(|nic| card(nic.value)),
                    }),
                )
            },
            bond.span,
        );
    }
    for (id, bridge) in host.network.bridges.iter() {
        push(
            Interface {
                mtu: bridge.mtu.map(|mtu| mtu.value),
                families: families(host, id, bridge),
                comments: comment(bridge.description.as_ref().map(|text| text.as_str())),
                ..Interface::new(
                    bridge.name.value.clone(),
                    InterfaceKind::Bridge(interfaces::Bridge {
                        ports: bridge
                            .ports
                            .iter()
                            .map(|port| port_name(host, port.value))
                            .collect(),
                        stp: *bridge.stp,
                        fd: None,
                        vids: bridge.vlan_aware.then(|| bridge.vids.to_string()),
                    }),
                )
            },
            bridge.span,
        );
    }
    // One VLAN may be a port of one bridge only; a second is reported by the analysis.
    let mut vlans = BTreeSet::new();
    for bridge in host.network.bridges.values() {
        for port in bridge.ports.iter().filter(|port| port.vlan.is_some()) {
            let name = port_name(host, port.value);
            if vlans.insert(name.clone()) {
                push(
                    Interface {
                        auto: true,
                        mtu: mtu(&name),
                        ..Interface::new(
                            name,
                            InterfaceKind::Vlan {
                                raw_device: None,
                                id: None,
                            },
                        )
                    },
                    port.span,
                );
            }
        }
    }
    Network {
        interfaces,
        places,
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
        forwarding: forwarding(host),
        hosts_line: hosts_line(host),
        reachable: reachable(host),
    }
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

/// The MTU of whatever lies below a bridge that has one: a port that carries less would drop the bridge's packets.
pub(in crate::targets) fn mtus(host: &Host) -> BTreeMap<String, u32> {
    let mut mtus: BTreeMap<String, u32> = BTreeMap::new();
    let mut raise = |name: String, mtu: u32| {
        let known = mtus.entry(name).or_insert(mtu);
        *known = (*known).max(mtu);
    };
    for bond in host.network.bonds.values() {
        if let Some(mtu) = bond.mtu {
            raise(bond.name.value.clone(), mtu.value);
        }
    }
    for bridge in host.network.bridges.values() {
        let Some(mtu) = bridge.mtu else { continue };
        for port in &bridge.ports {
            raise(port_name(host, port.value), mtu.value);
            raise(
                port_name(
                    host,
                    Port {
                        vlan: None,
                        ..port.value
                    },
                ),
                mtu.value,
            );
        }
    }
    for bond in host.network.bonds.values() {
        if let Some(mtu) = mtus.get(bond.name.value.as_str()).copied() {
            for nic in &bond.ports {
                let name = host.hardware.nics[nic.value].interface.as_str().to_owned();
                let known = mtus.entry(name).or_insert(mtu);
                *known = (*known).max(mtu);
            }
        }
    }
    mtus
}

/// The stanzas of a bridge: one for each family that it has an address in.
fn families(host: &Host, id: Id<Bridge>, bridge: &Bridge) -> Vec<Family> {
    let mut families = Vec::new();
    for (cidr, gateway, v6) in [
        (bridge.address, &bridge.gateway, false),
        (bridge.address6, &bridge.gateway6, true),
    ] {
        let Some(cidr) = cidr else { continue };
        let version = if v6 { IpVersion::V6 } else { IpVersion::V4 };
        let gateway = gateway
            .as_ref()
            .and_then(|gateway| host.gateway_address(gateway.value, id, v6));
        let mut family = Family::fixed(version, cidr.value).gateway(gateway);
        if let Some(out) = bridge.nat {
            for (key, command) in
                masquerading(host, id, &cidr.network().trunc().to_string(), out.value, v6)
            {
                family = family.option(key, command);
            }
        }
        families.push(family);
    }
    if families.is_empty() {
        families.push(Family::new(IpVersion::V4, Method::Manual));
    }
    families
}

/// The commands that share `out`'s way out with a bridge, as pve-network.adoc has them. `ifreload` runs `post-up` again on
/// an interface that is up, so a rule that is there is not added a second time.
fn masquerading(
    host: &Host,
    bridge: Id<Bridge>,
    network: &str,
    out: Id<Bridge>,
    v6: bool,
) -> Vec<(&'static str, String)> {
    let program = if v6 { "ip6tables" } else { "iptables" };
    let rule = |table: &str, action: &str, chain: &str, rest: &[&str]| {
        Command::new(program)
            .args(["-t", table, action, chain])
            .args(rest)
    };
    let out = host.network.bridges[out].name.as_str();
    let mut rules = vec![(
        "nat",
        "-A",
        "POSTROUTING",
        vec!["-s", network, "-o", out, "-j", "MASQUERADE"],
    )];
    // A guest's packets pass the firewall bridge (`fwbr…`) first, and would be tracked there before they are translated.
    let filtered = host
        .guests
        .values()
        .flat_map(|guest| &guest.network)
        .any(|nic| nic.bridge.value == bridge && *nic.firewall);
    if filtered {
        rules.push((
            "raw",
            "-I",
            "PREROUTING",
            vec!["-i", "fwbr+", "-j", "CT", "--zone", "1"],
        ));
    }
    let mut commands = Vec::new();
    for (table, add, chain, rest) in &rules {
        let there = rule(table, "-C", chain, rest);
        let add = rule(table, add, chain, rest);
        commands.push(("post-up", format!("{there} 2>/dev/null || {add}")));
    }
    for (table, _, chain, rest) in &rules {
        commands.push(("post-down", rule(table, "-D", chain, rest).to_string()));
    }
    commands
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

/// The host passes packets on for a bridge with masquerading, and where it is a guest's gateway.
pub(in crate::targets) fn forwarding(host: &Host) -> Forwarding {
    let mut forwarding = Forwarding::default();
    for bridge in host
        .network
        .bridges
        .values()
        .filter(|bridge| bridge.nat.is_some())
    {
        forwarding.v4 |= bridge.address.is_some();
        forwarding.v6 |= bridge.address6.is_some();
    }
    for nic in host.guests.values().flat_map(|guest| &guest.network) {
        let bridge = &host.network.bridges[nic.bridge.value];
        for (gateway, v6) in [(&nic.gateway, false), (&nic.gateway6, true)] {
            let gateway = gateway
                .as_ref()
                .and_then(|gateway| host.gateway_address(gateway.value, nic.bridge.value, v6));
            let is_host = gateway.is_some_and(|gateway| {
                bridge
                    .addresses()
                    .any(|address| address.address() == gateway)
            });
            if v6 {
                forwarding.v6 |= is_host;
            } else {
                forwarding.v4 |= is_host;
            }
        }
    }
    forwarding
}

/// The address that the node's name stands for: that of the way out, else the first there is.
pub(in crate::targets) fn hosts_line(host: &Host) -> Option<HostsLine> {
    let bridges = || host.network.bridges.values();
    let address = bridges()
        .filter(|bridge| bridge.gateway.is_some())
        .find_map(|bridge| bridge.address)
        .or_else(|| {
            bridges()
                .filter(|bridge| bridge.gateway6.is_some())
                .find_map(|bridge| bridge.address6)
        })
        .or_else(|| bridges().find_map(|bridge| bridge.addresses().next()))?;
    Some(HostsLine {
        address: address.address(),
        fqdn: host.fqdn(),
        name: host.name.as_str().to_owned(),
    })
}

fn reachable(host: &Host) -> Vec<Reachable> {
    let mut reachable = Vec::new();
    for (id, bridge) in host.network.bridges.iter() {
        for (cidr, gateway, v6) in [
            (bridge.address, &bridge.gateway, false),
            (bridge.address6, &bridge.gateway6, true),
        ] {
            let Some(cidr) = cidr else { continue };
            reachable.push(Reachable {
                bridge: bridge.name.value.clone(),
                address: cidr.value.to_string(),
                gateway: gateway
                    .as_ref()
                    .and_then(|gateway| host.gateway_address(gateway.value, id, v6)),
            });
        }
    }
    reachable
}

impl Network {
    /// Whether a card's name is pinned.
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
            tree.add(
                "etc/sysctl.d/80-forwarding.conf",
                &text,
                Mode::Regular,
                span,
            );
        }
    }
}
