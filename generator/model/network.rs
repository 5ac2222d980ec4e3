//! Bridges, bonds, the host's own addresses, and machines.

use std::net::IpAddr;

use super::{Arena, Gateway, Id, Item, Nic, Setting};
use crate::source::{Span, Spanned};
use crate::value::{
    AddressRange, BondMode, BridgeKind, BridgeName, Cidr, DnsName, GuestAddress, HashPolicy,
    InterfaceName, IpAddress, LacpRate, Line, MacAddress, PortRange, Protocol, RouteTarget, Text,
    VlanSet, VlanTag,
};

/// How the host and its guests reach each other and the world.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// DNS servers.
    pub nameservers: Vec<Spanned<IpAddress>>,
    /// DNS search domains; the host's own where the spec says none.
    pub search: Vec<Spanned<DnsName>>,
    /// Bridges, in the order of the spec.
    pub bridges: Arena<Bridge>,
    /// Bonds.
    pub bonds: Arena<Bond>,
    /// Addresses of the host beside those of its bridges.
    pub interfaces: Arena<HostInterface>,
    /// Machines that are no guests.
    pub machines: Arena<Machine>,
    /// Raw stanzas of `/etc/network/interfaces`.
    pub extra: Option<Spanned<Text>>,
}

/// A bridge.
#[derive(Debug, Clone)]
pub struct Bridge {
    /// Its name, in the kernel too.
    pub name: Spanned<String>,
    /// Where its table stands.
    pub span: Span,
    /// What it is for.
    pub description: Option<Spanned<Line>>,
    /// What makes it.
    pub kind: Setting<BridgeKind>,
    /// Whether someone else makes it: then nothing is written of it.
    pub external: Setting<bool>,
    /// Its ports.
    pub ports: Vec<Spanned<Port>>,
    /// The host's addresses on it.
    pub ip: Addressing,
    /// Whether it carries tagged frames.
    pub vlan_aware: Setting<bool>,
    /// The VLANs that it carries, where it is VLAN-aware.
    pub vids: Setting<VlanSet>,
    /// Addresses that another server hands out.
    pub dhcp_range: Option<Spanned<AddressRange>>,
    /// The largest packet, in bytes.
    pub mtu: Option<Spanned<u32>>,
    /// The spanning tree protocol.
    pub stp: Setting<bool>,
    /// The interface whose way out it shares by masquerading.
    pub nat: Option<Spanned<LegId>>,
    /// Ports of that interface that lead to machines on the bridge.
    pub forward: Vec<Forward>,
    /// Whether cards on it are filtered where they say nothing else.
    pub firewall: Setting<bool>,
    /// Further lines of its stanza, by keys and raw.
    pub extra: Vec<Spanned<Line>>,
    /// Further lines of its IPv6 stanza.
    pub extra6: Vec<Spanned<Line>>,
    /// Whether it comes up at boot.
    pub autostart: Setting<bool>,
}

/// The host's addresses on one interface, and the ways that begin there.
#[derive(Debug, Clone, Default)]
pub struct Addressing {
    /// IPv4.
    pub address: Option<Spanned<GuestAddress>>,
    /// IPv6.
    pub address6: Option<Spanned<GuestAddress>>,
    /// Further fixed addresses, of both families.
    pub more: Vec<Spanned<Cidr>>,
    /// The way out, IPv4.
    pub gateway: Option<Spanned<Gateway>>,
    /// The way out, IPv6.
    pub gateway6: Option<Spanned<Gateway>>,
    /// Networks that are reached by another way.
    pub routes: Vec<Route>,
}

/// A network that is reached by another way than the gateway.
#[derive(Debug, Clone)]
pub struct Route {
    /// Where its table stands.
    pub span: Span,
    /// The network.
    pub to: Spanned<RouteTarget>,
    /// The router; none where the network is on the cable itself.
    pub via: Option<Spanned<Gateway>>,
    /// Of two routes to one network the smaller wins.
    pub metric: Option<Spanned<u32>>,
}

/// A port of the host that leads to a machine behind it.
#[derive(Debug, Clone)]
pub struct Forward {
    /// Where its table stands.
    pub span: Span,
    /// The protocol.
    pub protocol: Setting<Protocol>,
    /// The host's port.
    pub port: Spanned<PortRange>,
    /// Who answers.
    pub to: Spanned<Gateway>,
    /// The port there; the host's where the spec says none.
    pub to_port: Option<Spanned<PortRange>>,
}

/// An address of the host on a card, a bond, or a VLAN of one or of a bridge.
#[derive(Debug, Clone)]
pub struct HostInterface {
    /// Its name in the spec.
    pub name: Spanned<String>,
    /// Where its table stands.
    pub span: Span,
    /// What it is for.
    pub description: Option<Spanned<Line>>,
    /// What it is on.
    pub on: Spanned<Link>,
    /// The VLAN of it.
    pub vlan: Option<Spanned<VlanTag>>,
    /// The number of an alias, which is a row for a further address alone: `vmbr0:1`.
    pub label: Option<Spanned<u16>>,
    /// The kernel's name of the VLAN, where it is not made of the two.
    pub interface: Option<Spanned<InterfaceName>>,
    /// The addresses.
    pub ip: Addressing,
    /// The largest packet, in bytes.
    pub mtu: Option<Spanned<u32>>,
    /// Further lines of its stanza, by keys and raw.
    pub extra: Vec<Spanned<Line>>,
    /// Further lines of its IPv6 stanza.
    pub extra6: Vec<Spanned<Line>>,
    /// Whether it comes up at boot.
    pub autostart: Setting<bool>,
}

/// What an interface of the host or a card of a guest is plugged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// A bridge.
    Bridge(Id<Bridge>),
    /// A card or a bond, without a bridge.
    Port(PortDevice),
}

/// One network on a cable or a bridge: what is in it hears each other's broadcasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// Where.
    pub link: Link,
    /// The VLAN there.
    pub vlan: Option<VlanTag>,
}

/// One of the host's interfaces that can have addresses: a leg that it stands on in a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LegId {
    /// A bridge.
    Bridge(Id<Bridge>),
    /// One of `[network.interfaces]`.
    Interface(Id<HostInterface>),
}

/// A leg of the host, with what bridges and `[network.interfaces]` have in common.
#[derive(Debug, Clone, Copy)]
pub struct Leg<'a> {
    /// Which it is.
    pub id: LegId,
    /// Its name in the spec.
    pub name: &'a Spanned<String>,
    /// The network that it is in.
    pub segment: Segment,
    /// Its addresses.
    pub ip: &'a Addressing,
    /// The largest packet, in bytes.
    pub mtu: Option<Spanned<u32>>,
    /// What it is for.
    pub description: Option<&'a Line>,
    /// Further lines of its stanza, by keys and raw.
    pub extra: &'a [Spanned<Line>],
    /// Further lines of its IPv6 stanza.
    pub extra6: &'a [Spanned<Line>],
    /// Whether it comes up at boot.
    pub autostart: Setting<bool>,
}

/// A port of a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The card or the bond.
    pub device: PortDevice,
    /// One VLAN of it.
    pub vlan: Option<VlanTag>,
}

/// What a port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortDevice {
    /// A network card.
    Nic(Id<Nic>),
    /// A bond.
    Bond(Id<Bond>),
}

/// A bond.
#[derive(Debug, Clone)]
pub struct Bond {
    /// Its name, in the kernel too.
    pub name: Spanned<String>,
    /// Where its table stands.
    pub span: Span,
    /// Its cards.
    pub ports: Vec<Spanned<Id<Nic>>>,
    /// How traffic is spread.
    pub mode: Setting<BondMode>,
    /// What is hashed.
    pub hash_policy: Option<Setting<HashPolicy>>,
    /// The card that is used while it has a link.
    pub primary: Option<Spanned<Id<Nic>>>,
    /// How often the switch is asked to answer.
    pub lacp_rate: Option<Spanned<LacpRate>>,
    /// The largest packet, in bytes.
    pub mtu: Option<Spanned<u32>>,
    /// Further lines of its stanza, by keys and raw.
    pub extra: Vec<Spanned<Line>>,
    /// Further lines of its IPv6 stanza.
    pub extra6: Vec<Spanned<Line>>,
    /// Whether it comes up at boot.
    pub autostart: Setting<bool>,
}

/// A machine that is no guest.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its name in the spec.
    pub name: Spanned<String>,
    /// What it is.
    pub description: Option<Spanned<Line>>,
    /// The bridge that it is reached by.
    pub bridge: Option<Spanned<Id<Bridge>>>,
    /// Its IPv4 address.
    pub address: Option<Spanned<IpAddress>>,
    /// Its IPv6 address.
    pub address6: Option<Spanned<IpAddress>>,
    /// Its MAC address.
    pub mac: Option<Spanned<MacAddress>>,
    /// Whether it is the way to the Internet.
    pub uplink: Setting<bool>,
}

impl Bridge {
    /// The name as the type that it was checked against.
    pub fn interface(&self) -> Option<BridgeName> {
        self.name.value.parse().ok()
    }

    /// The host's fixed addresses on it.
    pub fn addresses(&self) -> impl Iterator<Item = Spanned<Cidr>> {
        self.ip.fixed_addresses()
    }

    /// Whether Open vSwitch makes it.
    pub fn is_ovs(&self) -> bool {
        *self.kind == BridgeKind::Ovs
    }
}

impl Addressing {
    /// The address of one family as the spec says it.
    pub fn address_of(&self, v6: bool) -> Option<Spanned<GuestAddress>> {
        if v6 { self.address6 } else { self.address }
    }

    /// The way out of one family.
    pub fn gateway_of(&self, v6: bool) -> Option<Spanned<Gateway>> {
        if v6 { self.gateway6 } else { self.gateway }
    }

    /// The fixed address of one family.
    pub fn fixed(&self, v6: bool) -> Option<Spanned<Cidr>> {
        self.address_of(v6).and_then(|address| match address.value {
            GuestAddress::Static(cidr) => Some(Spanned::new(cidr, address.span)),
            GuestAddress::Dhcp | GuestAddress::Auto => None,
        })
    }

    /// The fixed addresses.
    pub fn fixed_addresses(&self) -> impl Iterator<Item = Spanned<Cidr>> {
        let first = [self.fixed(false), self.fixed(true)].into_iter().flatten();
        first.chain(self.more.iter().copied())
    }

    /// Whether a server or a router gives the address of one family.
    pub fn is_dynamic(&self, v6: bool) -> bool {
        self.address_of(v6).is_some() && self.fixed(v6).is_none()
    }

    /// Whether there is an address of any kind.
    pub fn is_any(&self) -> bool {
        self.address.is_some() || self.address6.is_some() || !self.more.is_empty()
    }

    /// Whether the host's way out may begin here: a gateway is said, or whoever gives the address names one.
    pub fn leads_out(&self, v6: bool) -> bool {
        self.gateway_of(v6).is_some() || self.is_dynamic(v6)
    }
}

impl Leg<'_> {
    /// The bridge, where it is one.
    pub fn bridge(&self) -> Option<Id<Bridge>> {
        match self.id {
            LegId::Bridge(id) => Some(id),
            LegId::Interface(_) => None,
        }
    }
}

impl Network {
    /// Every interface on which the host can have addresses: its own bridges, then `[network.interfaces]`.
    pub fn legs(&self) -> impl Iterator<Item = Leg<'_>> {
        let bridges = self
            .bridges
            .iter()
            .filter(|(_, bridge)| !*bridge.external)
            .map(|(id, _)| LegId::Bridge(id));
        let interfaces = self.interfaces.iter().map(|(id, _)| LegId::Interface(id));
        bridges.chain(interfaces).map(|id| self.leg(id))
    }

    /// One of them.
    pub fn leg(&self, id: LegId) -> Leg<'_> {
        match id {
            LegId::Bridge(bridge) => {
                let item = &self.bridges[bridge];
                Leg {
                    id,
                    name: &item.name,
                    segment: Segment {
                        link: Link::Bridge(bridge),
                        vlan: None,
                    },
                    ip: &item.ip,
                    mtu: item.mtu,
                    description: item.description.as_ref().map(|text| &text.value),
                    extra: &item.extra,
                    extra6: &item.extra6,
                    autostart: item.autostart,
                }
            }
            LegId::Interface(interface) => {
                let item = &self.interfaces[interface];
                Leg {
                    id,
                    name: &item.name,
                    segment: item.segment(),
                    ip: &item.ip,
                    mtu: item.mtu,
                    description: item.description.as_ref().map(|text| &text.value),
                    extra: &item.extra,
                    extra6: &item.extra6,
                    autostart: item.autostart,
                }
            }
        }
    }

    /// The name of a leg in the kernel: `vmbr0`, `enp5s0`, `bond0.20`. On Open vSwitch a VLAN of a bridge is a port of its
    /// own, which has the name of the spec.
    pub fn leg_interface(&self, hardware: &super::Hardware, id: LegId) -> String {
        match id {
            LegId::Bridge(bridge) => self.bridges[bridge].name.value.clone(),
            LegId::Interface(interface) => {
                let item = &self.interfaces[interface];
                let name = self.device_of(hardware, item);
                item.label
                    .map_or_else(|| name.clone(), |label| format!("{name}:{}", label.value))
            }
        }
    }

    /// The kernel's device that an interface is, without the number of an alias.
    fn device_of(&self, hardware: &super::Hardware, item: &HostInterface) -> String {
        if let Some(name) = &item.interface {
            return name.value.as_str().to_owned();
        }
        if self.is_ovs_port(item) {
            return item.name.value.clone();
        }
        self.segment_interface(hardware, item.segment())
    }

    /// The kernel's device of a leg, as `ip` knows it: an alias is none of its own.
    pub fn leg_device(&self, hardware: &super::Hardware, id: LegId) -> String {
        match id {
            LegId::Bridge(_) => self.leg_interface(hardware, id),
            LegId::Interface(interface) => self.device_of(hardware, &self.interfaces[interface]),
        }
    }

    /// Whether nothing is said of an interface but lines and a packet size: it has no address, so that a port of a bridge or a
    /// bond can have them, too.
    pub fn is_lines_alone(interface: &HostInterface) -> bool {
        let Addressing {
            address,
            address6,
            more,
            gateway,
            gateway6,
            routes,
        } = &interface.ip;
        let has_none =
            address.is_none() && address6.is_none() && gateway.is_none() && gateway6.is_none();
        has_none && more.is_empty() && routes.is_empty()
    }

    /// Whether an interface is an internal port of Open vSwitch.
    pub fn is_ovs_port(&self, interface: &HostInterface) -> bool {
        match interface.on.value {
            Link::Bridge(bridge) => self.bridges[bridge].is_ovs() && interface.label.is_none(),
            Link::Port(_) => false,
        }
    }

    /// The kernel's name of a card, a bond or a bridge, or of a VLAN of it.
    pub fn segment_interface(&self, hardware: &super::Hardware, segment: Segment) -> String {
        match segment.link {
            Link::Port(device) => self.port_interface(
                hardware,
                Port {
                    device,
                    vlan: segment.vlan,
                },
            ),
            Link::Bridge(bridge) => {
                let name = self.bridges[bridge].name.as_str();
                segment
                    .vlan
                    .map_or_else(|| name.to_owned(), |tag| format!("{name}.{tag}"))
            }
        }
    }
}

impl Network {
    /// Raw lines of stanzas that moxc writes.
    pub fn raw_lines(&self) -> impl Iterator<Item = &Spanned<Line>> {
        let legs = self
            .legs()
            .flat_map(|leg| leg.extra.iter().chain(leg.extra6));
        let bonds = self.bonds.values();
        legs.chain(bonds.flat_map(|bond| bond.extra.iter().chain(&bond.extra6)))
    }

    /// Raw stanzas of `/etc/network/interfaces`: those of `extra`, and those that are kept.
    pub fn raw_stanzas<'a>(&'a self, kept: &'a [super::Kept]) -> Vec<&'a Spanned<Text>> {
        let kept = kept
            .iter()
            .filter(|kept| kept.path.as_str() == "etc/network/interfaces")
            .filter_map(|kept| match &kept.what {
                super::KeptText::Text(text) => Some(text),
                super::KeptText::Lines(_)
                | super::KeptText::Sections(_)
                | super::KeptText::Untouched => None,
            });
        self.extra.iter().chain(kept).collect()
    }
}

impl HostInterface {
    /// The network that it is in.
    pub fn segment(&self) -> Segment {
        Segment {
            link: self.on.value,
            vlan: self.vlan.map(|tag| tag.value),
        }
    }
}

impl Network {
    /// The name of a port in the kernel: `enp5s0`, `enp5s0.30`, `bond0`.
    pub fn port_interface(&self, hardware: &super::Hardware, port: Port) -> String {
        let device = match port.device {
            PortDevice::Nic(nic) => hardware.nics[nic].interface.as_str(),
            PortDevice::Bond(bond) => self.bonds[bond].name.as_str(),
        };
        let Some(tag) = port.vlan else {
            return device.to_owned();
        };
        // A row of `[network.interfaces]` may give the VLAN a name.
        let named = self.interfaces.values().find_map(|row| {
            let is_it = row.on.value == Link::Port(port.device)
                && row.vlan.is_some_and(|vlan| vlan.value == tag);
            row.interface.as_ref().filter(|_| is_it)
        });
        named.map_or_else(
            || format!("{device}.{tag}"),
            |name| name.value.as_str().to_owned(),
        )
    }
}

impl super::Host {
    /// The address that a gateway stands for, seen from a card in `segment` whose own address is `near`: of a machine its
    /// own, of a guest the one that it has in that network.
    pub fn gateway_address(
        &self,
        gateway: Gateway,
        segment: Segment,
        near: Option<Cidr>,
        v6: bool,
    ) -> Option<IpAddr> {
        match gateway {
            Gateway::Address(address) => Some(address),
            Gateway::Machine(id) => {
                let machine = &self.network.machines[id];
                let address = if v6 {
                    &machine.address6
                } else {
                    &machine.address
                };
                address
                    .as_ref()
                    .map(|address| address.value.0)
                    .or_else(|| machine.address.as_ref().map(|a| a.value.0))
                    .filter(|address| address.is_ipv6() == v6)
            }
            Gateway::Guest(id) => {
                // A card on a trunk has the VLANs' addresses inside the guest, so a VLAN is a preference, not a must.
                let on_link = self.guests[id]
                    .network
                    .iter()
                    .filter(|nic| Link::Bridge(nic.bridge.value) == segment.link)
                    .filter_map(|nic| {
                        let address = nic.static_address(v6)?.address();
                        let near = near.is_some_and(|near| near.contains(address));
                        let same = nic.vlan.map(|tag| tag.value) == segment.vlan;
                        Some(((!near, !same), address))
                    });
                on_link.min_by_key(|(rank, _)| *rank).map(|(_, a)| a)
            }
        }
    }

    /// The address of a leg's gateway.
    pub fn leg_gateway(&self, leg: Leg<'_>, v6: bool) -> Option<IpAddr> {
        let near = leg.ip.fixed(v6).map(|cidr| cidr.value);
        let gateway = leg.ip.gateway_of(v6)?;
        self.gateway_address(gateway.value, leg.segment, near, v6)
    }
}

impl Item for Bridge {
    fn name(&self) -> &str {
        &self.name
    }
}
impl Item for Bond {
    fn name(&self) -> &str {
        &self.name
    }
}
impl Item for HostInterface {
    fn name(&self) -> &str {
        &self.name
    }
}
impl Item for Machine {
    fn name(&self) -> &str {
        &self.name
    }
}
