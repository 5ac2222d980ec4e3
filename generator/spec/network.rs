//! `[network]`.

use super::reader::{GatewayName, Int, List, Named, OneOf, Reference, table};
use crate::value::{
    AddressRange, BondMode, BridgeName, BridgePort, Cidr, DnsName, HashPolicy, IpAddress, Line,
    MacAddress, Name, VlanSet,
};

table! {
    /// `[network]`: how the host and its guests reach each other and the world.
    NetworkSpec {
        /// DNS servers.
        "nameservers" nameservers: opt List<IpAddress>;
        /// DNS search domains; the host's own domain where left out.
        "search" search: opt List<DnsName>;
        /// Bridges by name.
        "bridges" bridges: opt Named<BridgeName, BridgeSpec>;
        /// Bonds by name.
        "bonds" bonds: opt Named<BridgeName, BondSpec>;
        /// Machines that are no guests.
        "machines" machines: opt Named<Name, MachineSpec>;
    }

    /// One of `[network.bridges]`.
    BridgeSpec {
        /// What it is for.
        "description" description: opt Line;
        /// NICs, bonds, or one VLAN of them (`lan0.30`).
        "ports" ports: opt List<BridgePort>;
        /// The host's IPv4 address on it.
        "address" address: opt Cidr;
        /// The host's IPv6 address on it.
        "address6" address6: opt Cidr;
        /// The host's way out, IPv4.
        "gateway" gateway: opt GatewayName;
        /// The host's way out, IPv6.
        "gateway6" gateway6: opt GatewayName;
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
        /// A bridge whose way out is shared by masquerading.
        "nat" nat: opt Reference;
        /// Whether guests' cards on it are filtered by Proxmox VE's firewall where they say nothing else.
        "firewall" firewall: opt bool;
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
        /// The largest packet, in bytes.
        "mtu" mtu: opt Int<1280, 65520>;
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
