//! The host's network in the words of systemd-networkd: cards, bonds, VLANs, bridges, masquerading.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::{Bridge, Host, Id};
use crate::nix::{Attrs, BuildError, mk_default};
use crate::targets::proxmox::system::network;

/// What is known of one interface before it is written: keys of its `.network` file.
#[derive(Default)]
struct Link {
    bridge: Option<(String, Option<String>)>,
    bond: Option<(String, bool)>,
    vlans: Vec<String>,
}

/// Sets the host's network.
pub(super) fn host(host: &Host, facts: &mut Attrs) -> Result<(), BuildError> {
    let mtus = network::mtus(host);
    let mut systemd = Attrs::new();
    systemd.set("enable", mk_default(true))?;
    let mut links: BTreeMap<String, Link> = BTreeMap::new();

    for nic in host.hardware.nics.values() {
        let name = nic.interface.as_str();
        if let (Some(mac), false) = (&nic.mac, links.contains_key(name)) {
            let link = format!("10-{name}");
            systemd.set(
                ["links", link.as_str(), "matchConfig", "PermanentMACAddress"],
                mk_default(mac.value.lower()),
            )?;
            systemd.set(
                ["links", link.as_str(), "linkConfig", "Name"],
                mk_default(name),
            )?;
        }
        links.entry(name.to_owned()).or_default();
    }
    for bond in host.network.bonds.values() {
        netdev(
            &mut systemd,
            &bond.name,
            "bond",
            mtus.get(bond.name.as_str()).copied(),
        )?;
        let mut config = Attrs::new();
        config.set("Mode", mk_default(bond.mode.as_str()))?;
        config.set("MIIMonitorSec", mk_default("100ms"))?;
        if let Some(hash) = &bond.hash_policy {
            config.set("TransmitHashPolicy", mk_default(hash.as_str()))?;
        }
        let file = format!("20-{}", bond.name.value);
        systemd.set(["netdevs", file.as_str(), "bondConfig"], config)?;
        for nic in &bond.ports {
            let primary = bond
                .primary
                .is_some_and(|primary| primary.value == nic.value);
            let card = host.hardware.nics[nic.value].interface.as_str();
            links.entry(card.to_owned()).or_default().bond =
                Some((bond.name.value.clone(), primary));
        }
        links.entry(bond.name.value.clone()).or_default();
    }
    for bridge in host.network.bridges.values() {
        let vids = bridge.vlan_aware.then(|| bridge.vids.to_string());
        for port in &bridge.ports {
            let name = host.network.port_interface(&host.hardware, port.value);
            if let Some(tag) = port.value.vlan {
                let whole = crate::model::Port {
                    vlan: None,
                    ..port.value
                };
                let below = host.network.port_interface(&host.hardware, whole);
                let below = links.entry(below).or_default();
                if !below.vlans.contains(&name) {
                    below.vlans.push(name.clone());
                    netdev(&mut systemd, &name, "vlan", mtus.get(&name).copied())?;
                    let file = format!("20-{name}");
                    systemd.set(
                        ["netdevs", file.as_str(), "vlanConfig", "Id"],
                        mk_default(tag.get()),
                    )?;
                }
            }
            links.entry(name).or_default().bridge = Some((bridge.name.value.clone(), vids.clone()));
        }
    }
    for (name, link) in &links {
        lower(&mut systemd, name, link, mtus.get(name).copied())?;
    }
    for (id, bridge) in host.network.bridges.iter() {
        upper(host, &mut systemd, id, bridge)?;
    }
    facts.set("systemd.network", systemd)?;

    facts.set("networking.useNetworkd", mk_default(true))?;
    facts.set("networking.useDHCP", mk_default(false))?;
    let nameservers: Vec<String> = host
        .network
        .nameservers
        .iter()
        .map(|server| server.value.to_string())
        .collect();
    if !nameservers.is_empty() {
        facts.set("networking.nameservers", nameservers)?;
    }
    let search: Vec<&str> = host
        .network
        .search
        .iter()
        .map(|domain| domain.value.as_str())
        .collect();
    if search.is_empty() {
        facts.set("networking.search", [host.domain.as_str()])?;
    } else {
        facts.set("networking.search", search)?;
    }
    masquerading(host, facts)
}

fn netdev(systemd: &mut Attrs, name: &str, kind: &str, mtu: Option<u32>) -> Result<(), BuildError> {
    let mut config = Attrs::new();
    config.set("Name", mk_default(name))?;
    config.set("Kind", mk_default(kind))?;
    if let Some(mtu) = mtu {
        config.set("MTUBytes", mk_default(mtu.to_string()))?;
    }
    let file = format!("20-{name}");
    systemd.set(["netdevs", file.as_str(), "netdevConfig"], config)
}

/// A card, a bond or a VLAN: it has no address, only what is above it.
fn lower(systemd: &mut Attrs, name: &str, link: &Link, mtu: Option<u32>) -> Result<(), BuildError> {
    if link.bridge.is_none() && link.bond.is_none() && link.vlans.is_empty() {
        return Ok(());
    }
    let mut network = Attrs::new();
    network.set("matchConfig.Name", mk_default(name))?;
    if let Some((bridge, vids)) = &link.bridge {
        network.set("networkConfig.Bridge", mk_default(bridge.as_str()))?;
        if let Some(vids) = vids {
            network.set("bridgeVLANs", vlans(vids)?)?;
        }
    }
    if let Some((bond, primary)) = &link.bond {
        network.set("networkConfig.Bond", mk_default(bond.as_str()))?;
        if *primary {
            network.set("networkConfig.PrimarySlave", mk_default(true))?;
        }
    }
    network.set("networkConfig.LinkLocalAddressing", mk_default("no"))?;
    if !link.vlans.is_empty() {
        network.set("vlan", link.vlans.clone())?;
    }
    if let Some(mtu) = mtu {
        network.set("linkConfig.MTUBytes", mk_default(mtu.to_string()))?;
    }
    network.set("linkConfig.RequiredForOnline", mk_default("no"))?;
    let file = format!("30-{name}");
    systemd.set(["networks", file.as_str()], network)
}

fn vlans(vids: &str) -> Result<Vec<Attrs>, BuildError> {
    vids.split([' ', ','])
        .filter(|range| !range.is_empty())
        .map(|range| {
            let mut vlan = Attrs::new();
            vlan.set("VLAN", mk_default(range))?;
            Ok(vlan)
        })
        .collect()
}

fn upper(
    host: &Host,
    systemd: &mut Attrs,
    id: Id<Bridge>,
    bridge: &Bridge,
) -> Result<(), BuildError> {
    let name = bridge.name.as_str();
    netdev(systemd, name, "bridge", bridge.mtu.map(|mtu| mtu.value))?;
    let file = format!("20-{name}");
    let mut config = Attrs::new();
    config.set("STP", mk_default(*bridge.stp))?;
    if !*bridge.stp {
        config.set("ForwardDelaySec", mk_default(0))?;
    }
    if *bridge.vlan_aware {
        config.set("VLANFiltering", mk_default(true))?;
    }
    systemd.set(["netdevs", file.as_str(), "bridgeConfig"], config)?;

    let mut network = Attrs::new();
    if let Some(description) = &bridge.description {
        network.comment(description.value.as_str());
    }
    network.set("matchConfig.Name", mk_default(name))?;
    let addresses: Vec<String> = bridge
        .addresses()
        .map(|cidr| cidr.value.to_string())
        .collect();
    if addresses.is_empty() {
        network.set("networkConfig.LinkLocalAddressing", mk_default("no"))?;
    } else {
        network.set("address", addresses)?;
    }
    network.set("networkConfig.IPv6AcceptRA", mk_default(false))?;
    // Guests come and go: the bridge keeps its address while nothing is plugged into it.
    network.set("networkConfig.ConfigureWithoutCarrier", mk_default(true))?;
    let gateways: Vec<String> = [(&bridge.gateway, false), (&bridge.gateway6, true)]
        .into_iter()
        .filter_map(|(gateway, v6)| host.gateway_address(gateway.as_ref()?.value, id, v6))
        .map(|gateway| gateway.to_string())
        .collect();
    if gateways.is_empty() {
        network.set("linkConfig.RequiredForOnline", mk_default("no"))?;
    } else {
        network.set("gateway", gateways)?;
    }
    let file = format!("40-{name}");
    systemd.set(["networks", file.as_str()], network)
}

/// Bridges whose way out is another bridge's. NixOS knows one such other; the rules for a further one are added.
fn masquerading(host: &Host, facts: &mut Attrs) -> Result<(), BuildError> {
    let bridges = &host.network.bridges;
    let mut by_way_out: BTreeMap<&str, Vec<&Bridge>> = BTreeMap::new();
    for bridge in bridges.values() {
        if let Some(out) = bridge.nat {
            by_way_out
                .entry(bridges[out.value].name.as_str())
                .or_default()
                .push(bridge);
        }
    }
    let mut ways_out = by_way_out.into_iter();
    let Some((first, inside)) = ways_out.next() else {
        return Ok(());
    };
    let names: Vec<&str> = inside.iter().map(|bridge| bridge.name.as_str()).collect();
    let mut nat = Attrs::new();
    nat.set("enable", mk_default(true))?;
    nat.set("externalInterface", mk_default(first))?;
    nat.set("internalInterfaces", names)?;
    if inside.iter().any(|bridge| bridge.address6.is_some()) {
        nat.set("enableIPv6", mk_default(true))?;
    }
    let mut further = String::new();
    for (out, inside) in ways_out {
        for cidr in inside.iter().flat_map(|bridge| bridge.addresses()) {
            let program = if cidr.value.is_v6() {
                "ip6tables"
            } else {
                "iptables"
            };
            writeln!(
                further,
                "{program} -w -t nat -A nixos-nat-post -s {} -o {out} -j MASQUERADE",
                cidr.value.network()
            )
            .expect("a string takes all text");
        }
    }
    if !further.is_empty() {
        nat.set("extraCommands", crate::nix::block(further))?;
    }
    facts.set("networking.nat", nat)
}
