//! Bridges, bonds and machines.

use std::net::IpAddr;

use super::{Arena, Gateway, Id, Item, Nic, Setting};
use crate::source::{Span, Spanned};
use crate::value::{
    AddressRange, BondMode, BridgeName, Cidr, DnsName, HashPolicy, IpAddress, Line, MacAddress,
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
    /// Machines that are no guests.
    pub machines: Arena<Machine>,
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
    /// Its ports.
    pub ports: Vec<Spanned<Port>>,
    /// The host's IPv4 address on it.
    pub address: Option<Spanned<Cidr>>,
    /// The host's IPv6 address on it.
    pub address6: Option<Spanned<Cidr>>,
    /// The host's way out, IPv4.
    pub gateway: Option<Spanned<Gateway>>,
    /// The host's way out, IPv6.
    pub gateway6: Option<Spanned<Gateway>>,
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
    /// The bridge whose way out it shares by masquerading.
    pub nat: Option<Spanned<Id<Bridge>>>,
    /// Whether cards on it are filtered where they say nothing else.
    pub firewall: Setting<bool>,
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
    /// The largest packet, in bytes.
    pub mtu: Option<Spanned<u32>>,
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

    /// The host's addresses on it.
    pub fn addresses(&self) -> impl Iterator<Item = Spanned<Cidr>> {
        self.address.into_iter().chain(self.address6)
    }
}

impl Network {
    /// The name of a port in the kernel: `enp5s0`, `enp5s0.30`, `bond0`.
    pub fn port_interface(&self, hardware: &super::Hardware, port: Port) -> String {
        let device = match port.device {
            PortDevice::Nic(nic) => hardware.nics[nic].interface.as_str(),
            PortDevice::Bond(bond) => self.bonds[bond].name.as_str(),
        };
        port.vlan
            .map_or_else(|| device.to_owned(), |tag| format!("{device}.{tag}"))
    }
}

impl super::Host {
    /// The address that a gateway stands for: of a machine its own, of a guest the one that it has on `bridge`.
    pub fn gateway_address(
        &self,
        gateway: Gateway,
        bridge: Id<Bridge>,
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
            Gateway::Guest(id) => self.guests[id]
                .network
                .iter()
                .filter(|nic| nic.bridge.value == bridge)
                .find_map(|nic| nic.static_address(v6))
                .map(Cidr::address),
        }
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
impl Item for Machine {
    fn name(&self) -> &str {
        &self.name
    }
}
