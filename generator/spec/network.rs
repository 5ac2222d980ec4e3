//! `[network]`.

use crate::diagnostics::{Code, Diagnostic};

use super::reader::{GatewayName, Int, List, Named, OneOf, Reference};
use super::schema_keys::InterfaceOptions;
use super::table::table;
use crate::value::{
    AddressRange, BondMode, BridgeKind, BridgeName, BridgePort, Cidr, DnsName, GuestAddress,
    HashPolicy, InterfaceName, IpAddress, LacpRate, Line, MacAddress, Name, PortRange, Protocol,
    RouteTarget, Text, VlanSet,
};

table! {
    /// `[network]`: how the host and its guests reach each other and the world.
    NetworkSpec {
        /// DNS servers.
        "nameservers" nameservers: opt List<IpAddress>;
        /// DNS search domains; the host's `domain` where left out, and none where that is left out, too.
        "search" search: opt List<DnsName>;
        /// Bridges by name.
        "bridges" bridges: opt Named<BridgeName, BridgeSpec>;
        /// Bonds by name.
        "bonds" bonds: opt Named<BridgeName, BondSpec>;
        /// Addresses of the host on a card, a bond, or a VLAN of one or of a bridge, by name.
        "interfaces" interfaces: opt Named<Name, InterfaceSpec>;
        /// Interfaces that are no cards: VXLAN, tunnels, dummies, and what others make (a `wg0`, USB tethering), by name; `lo`,
        /// too.
        "links" links: opt Named<Name, LinkSpec>;
        /// Machines that are no guests.
        "machines" machines: opt Named<Name, MachineSpec>;
        /// Raw stanzas at the end of `/etc/network/interfaces`, as text.
        "extra" extra: opt Text;
    }

    /// One of `[network.bridges]`.
    BridgeSpec {
        /// What it is for.
        "description" description: opt Line;
        /// What makes it: `linux` is the kernel's own, `ovs` Open vSwitch; `linux` where left out.
        "kind" kind: opt OneOf<BridgeKind>;
        /// Whether someone else makes it, SDN for example: nothing is written of it, and guests may use it.
        "external" external: opt bool;
        /// NICs, bonds, or one VLAN of them (`lan0.30`).
        "ports" ports: opt List<BridgePort>;
        /// The host's IPv4 address on it, or `dhcp`.
        "address" address: opt GuestAddress;
        /// The host's IPv6 address on it, `auto` (from router advertisements) or `dhcp`.
        "address6" address6: opt GuestAddress;
        /// Further addresses of the host on it, of both families. Proxmox VE's own interface knows one of each family: its next
        /// change of this interface leaves the last alone.
        "addresses" addresses: opt List<Cidr>;
        /// The host's way out, IPv4.
        "gateway" gateway: opt GatewayName;
        /// The host's way out, IPv6.
        "gateway6" gateway6: opt GatewayName;
        /// Networks that are reached by another way than the gateway.
        "routes" routes: opt List<RouteSpec>;
        /// Whether it carries tagged frames.
        "vlan-aware" vlan_aware: opt bool;
        /// The VLANs that a VLAN-aware bridge carries; 2 to 4094 where left out.
        "vids" vids: opt VlanIds;
        /// Addresses that another server hands out.
        "dhcp-range" dhcp_range: opt AddressRange;
        /// The largest packet, in bytes.
        "mtu" mtu: opt Int<1280, 65520>;
        /// The spanning tree protocol.
        "stp" stp: opt bool;
        /// A bridge or an interface of `[network.interfaces]` whose way out is shared by masquerading.
        "nat" nat: opt Reference;
        /// Ports of the way out that `nat` names, each with the machine on this bridge that answers there.
        "forward" forward: opt List<ForwardSpec>;
        /// Whether guests' cards on it are filtered by Proxmox VE's firewall where they say nothing else.
        "firewall" firewall: opt bool;
        /// Raw lines of its stanza in `/etc/network/interfaces`, for what a newer ifupdown2 has.
        "extra" extra: opt List<Line>;
        /// Options of its IPv6 stanza alone.
        "inet6" inet6: opt Inet6Spec;
        /// Whether it comes up at boot; yes where left out.
        "autostart" autostart: opt bool;
        ..InterfaceOptions
    }

    /// One of `[network.interfaces]`: an address of the host beside those of its bridges.
    InterfaceSpec {
        /// What it is for.
        "description" description: opt Line;
        /// The NIC, the bond or the bridge that it is on.
        "on" on: req Reference;
        /// The VLAN of it.
        "vlan" vlan: opt Int<1, 4094>;
        /// The number of an alias: a row of its own for a further address, `vmbr0:1`.
        "label" label: opt Int<0, 9999>;
        /// The kernel's name of the VLAN, `vlan30` as Proxmox VE has it, too; `enp5s0.30` where left out.
        "interface" interface: opt InterfaceName;
        /// The host's IPv4 address on it, or `dhcp`.
        "address" address: opt GuestAddress;
        /// The host's IPv6 address on it, `auto` (from router advertisements) or `dhcp`.
        "address6" address6: opt GuestAddress;
        /// Further addresses of the host on it, of both families. Proxmox VE's own interface knows one of each family: its next
        /// change of this interface leaves the last alone.
        "addresses" addresses: opt List<Cidr>;
        /// The host's way out, IPv4.
        "gateway" gateway: opt GatewayName;
        /// The host's way out, IPv6.
        "gateway6" gateway6: opt GatewayName;
        /// Networks that are reached by another way than the gateway.
        "routes" routes: opt List<RouteSpec>;
        /// The largest packet, in bytes.
        "mtu" mtu: opt Int<1280, 65520>;
        /// Raw lines of its stanza in `/etc/network/interfaces`, for what a newer ifupdown2 has.
        "extra" extra: opt List<Line>;
        /// Options of its IPv6 stanza alone.
        "inet6" inet6: opt Inet6Spec;
        /// Whether it comes up at boot; yes where left out.
        "autostart" autostart: opt bool;
        ..InterfaceOptions
    }

    /// One of `[network.links]`: an interface that is no card. What makes it is said by its options (`vxlan-id`, `link-type`,
    /// `tunnel-mode`, `pre-up`); without any of them somebody else does.
    LinkSpec {
        /// What it is for.
        "description" description: opt Line;
        /// The kernel's name; the table's where left out.
        "interface" interface: opt InterfaceName;
        /// The host's IPv4 address on it, or `dhcp`.
        "address" address: opt GuestAddress;
        /// The host's IPv6 address on it, `auto` (from router advertisements) or `dhcp`.
        "address6" address6: opt GuestAddress;
        /// Further addresses of the host on it, of both families.
        "addresses" addresses: opt List<Cidr>;
        /// The host's way out, IPv4.
        "gateway" gateway: opt GatewayName;
        /// The host's way out, IPv6.
        "gateway6" gateway6: opt GatewayName;
        /// Networks that are reached by another way than the gateway.
        "routes" routes: opt List<RouteSpec>;
        /// The largest packet, in bytes.
        "mtu" mtu: opt Int<1280, 65520>;
        /// Options of its IPv6 stanza alone.
        "inet6" inet6: opt Inet6Spec;
        /// Whether it comes up at boot; yes where left out.
        "autostart" autostart: opt bool;
        ..InterfaceOptions
    }

    /// `inet6` of an interface: options that stand in its IPv6 stanza.
    Inet6Spec {
        /// Raw lines of it, for what a newer ifupdown2 has.
        "extra" extra: opt List<Line>;
        ..InterfaceOptions
    }

    /// One of `routes`.
    RouteSpec {
        /// The network, or one machine.
        "to" to: req RouteTarget;
        /// The router: an address, a machine or a guest; left out where the network is on the cable itself.
        "via" via: opt GatewayName;
        /// Of two routes to one network the smaller wins.
        "metric" metric: opt Int<0, 4_294_967_295>;
    }

    /// One of `forward`.
    ForwardSpec {
        /// `tcp`, `udp` or `tcp+udp`; `tcp` where left out.
        "protocol" protocol: opt OneOf<Protocol>;
        /// The port of the host, or a range: `"8000-8010"`.
        "port" port: req PortNumbers;
        /// The machine on this bridge that answers: its address, or the name of a guest or a machine.
        "to" to: req GatewayName;
        /// The machine's port; the host's where left out.
        "to-port" to_port: opt PortNumbers;
    }

    /// One of `[network.bonds]`.
    BondSpec {
        /// NICs.
        "ports" ports: req List<Reference>;
        /// How traffic is spread; `active-backup` where left out.
        "mode" mode: opt OneOf<BondMode>;
        /// What is hashed, for `802.3ad` and `balance-xor`; `layer2+3` where left out.
        "hash-policy" hash_policy: opt OneOf<HashPolicy>;
        /// The port that is used while it has a link, for `active-backup`.
        "primary" primary: opt Reference;
        /// How often the switch is asked to answer, for `802.3ad`: `slow` or `fast`; the kernel's `slow` where left out.
        "lacp-rate" lacp_rate: opt OneOf<LacpRate>;
        /// The largest packet, in bytes.
        "mtu" mtu: opt Int<1280, 65520>;
        /// Raw lines of its stanza in `/etc/network/interfaces`, for what a newer ifupdown2 has.
        "extra" extra: opt List<Line>;
        /// Options of its IPv6 stanza alone.
        "inet6" inet6: opt Inet6Spec;
        /// Whether it comes up at boot; yes where left out.
        "autostart" autostart: opt bool;
        ..InterfaceOptions
    }

    /// One of `[network.machines]`: drawn, and usable as a gateway.
    MachineSpec {
        /// What it is.
        "description" description: opt Line;
        /// The bridge that it is reached by.
        "bridge" bridge: opt Reference;
        /// Its address.
        "address" address: opt IpAddress;
        /// Its IPv6 address.
        "address6" address6: opt IpAddress;
        /// Its MAC address.
        "mac" mac: opt MacAddress;
        /// Whether it is the way to the Internet.
        "uplink" uplink: opt bool;
    }
}

/// Tags as one string or as a list of numbers and strings.
#[derive(Debug, Clone)]
pub struct VlanIds(pub VlanSet);

impl super::reader::FromNode for VlanIds {
    fn from_node(
        node: &crate::value::Node,
        reader: &mut super::reader::Reader<'_>,
    ) -> Option<Self> {
        use crate::value::Value;
        match &node.value {
            Value::Array(items) if items.is_empty() => {
                reader.report(
                    Diagnostic::new(Code::MOX0021, node.span, "no VLAN tag is given")
                        .help("leave `vids` out for 2 to 4094, or `vlan-aware` for a bridge without VLANs"),
                );
                None
            }
            Value::Array(items) => {
                let mut ranges = Vec::new();
                let mut whole = true;
                for item in items {
                    let read = match &item.value {
                        Value::Integer(_) => Int::<2, 4094>::from_node(item, reader).map(|tag| {
                            let tag = u16::try_from(tag.0).unwrap_or(u16::MAX);
                            vec![(tag, tag)]
                        }),
                        Value::String(_)
                        | Value::Float(_)
                        | Value::Boolean(_)
                        | Value::TooLarge(_)
                        | Value::Datetime(_)
                        | Value::Array(_)
                        | Value::Table(_) => {
                            VlanSet::from_node(item, reader).map(|set| set.ranges().to_vec())
                        }
                    };
                    whole &= read.is_some();
                    ranges.extend(read.unwrap_or_default());
                }
                whole.then(|| Self(VlanSet::from_ranges(ranges)))
            }
            Value::Integer(_) => Int::<2, 4094>::from_node(node, reader).map(|tag| {
                let tag = u16::try_from(tag.0).unwrap_or(u16::MAX);
                Self(VlanSet::from_ranges(vec![(tag, tag)]))
            }),
            Value::String(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Table(_) => VlanSet::from_node(node, reader).map(Self),
        }
    }
}

impl schemars::JsonSchema for VlanIds {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "VlanIds".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let set = generator.subschema_for::<VlanSet>();
        let tag = serde_json::json!({ "type": "integer", "minimum": 2, "maximum": 4094 });
        schemars::json_schema!({ "anyOf": [set.clone(), tag, { "type": "array", "items": { "anyOf": [set, tag] } }] })
    }
}

/// A port as a number, or a range of ports as a string.
#[derive(Debug, Clone, Copy)]
pub struct PortNumbers(pub PortRange);

impl super::reader::FromNode for PortNumbers {
    fn from_node(
        node: &crate::value::Node,
        reader: &mut super::reader::Reader<'_>,
    ) -> Option<Self> {
        use crate::value::Value;
        match &node.value {
            Value::Integer(_) => Int::<1, 65535>::from_node(node, reader)
                .and_then(|port| PortRange::one(port.0))
                .map(Self),
            Value::String(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_) => PortRange::from_node(node, reader).map(Self),
        }
    }
}

impl schemars::JsonSchema for PortNumbers {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PortNumbers".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let range = generator.subschema_for::<PortRange>();
        let port = serde_json::json!({ "type": "integer", "minimum": 1, "maximum": 65535 });
        schemars::json_schema!({ "anyOf": [range, port] })
    }
}
