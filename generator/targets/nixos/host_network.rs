//! The host's network in the words of systemd-networkd: cards, bonds, VLANs, bridges, addresses, masquerading.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::network::resolver;
use crate::facts::network;
use crate::model::{Bridge, Host, HostInterface, Id, Leg, LegId, Link as On, Port, Segment};
use crate::nix::{Attrs, BuildError, mk_default};
use crate::value::{GuestAddress, VlanTag};

/// What is known of one interface before it is written: keys of its `.network` file.
#[derive(Default)]
struct Link {
    bridge: Option<(String, Option<String>)>,
    bond: Option<(String, bool)>,
    vlans: Vec<String>,
    leg: Option<LegId>,
    /// Labels of further addresses (`vmbr0:1`): these are the link's own.
    aliases: Vec<LegId>,
    /// Whether it waits until somebody brings it up.
    manual: bool,
    /// Whether Open vSwitch takes it: then it only has to be up.
    switched: bool,
}

/// The host's network while it is written.
struct Networkd<'a> {
    host: &'a Host,
    mtus: BTreeMap<String, u32>,
    links: BTreeMap<String, Link>,
    systemd: Attrs,
}

/// Sets the host's network.
pub(super) fn host(host: &Host, facts: &mut Attrs) -> Result<(), BuildError> {
    let mut networkd = Networkd {
        host,
        mtus: network::mtus(host),
        links: BTreeMap::new(),
        systemd: Attrs::new(),
    };
    networkd.systemd.set("enable", mk_default(true))?;
    networkd.cards()?;
    networkd.bonds()?;
    networkd.ports()?;
    networkd.interfaces()?;
    networkd.lower()?;
    for (id, bridge) in host.network.bridges.iter() {
        if !*bridge.external {
            networkd.bridge(id, bridge)?;
        }
    }
    facts.set("systemd.network", networkd.systemd)?;
    switches(host, facts)?;

    facts.set("networking.useNetworkd", mk_default(true))?;
    facts.set("networking.useDHCP", mk_default(false))?;
    for (name, words) in resolver(host) {
        facts.set(["networking", name], words)?;
    }
    packet_rules(host, facts)
}

impl Networkd<'_> {
    fn cards(&mut self) -> Result<(), BuildError> {
        for nic in self.host.hardware.nics.values() {
            let name = nic.interface.as_str();
            if let (Some(mac), false) = (&nic.mac, self.links.contains_key(name)) {
                let link = format!("10-{name}");
                self.systemd.set(
                    ["links", link.as_str(), "matchConfig", "PermanentMACAddress"],
                    mk_default(mac.value.lower()),
                )?;
                self.systemd.set(
                    ["links", link.as_str(), "linkConfig", "Name"],
                    mk_default(name),
                )?;
            }
            self.links.entry(name.to_owned()).or_default();
        }
        Ok(())
    }

    fn bonds(&mut self) -> Result<(), BuildError> {
        for bond in self.host.network.bonds.values() {
            let mtu = self.mtus.get(bond.name.as_str()).copied();
            self.netdev(&bond.name, "bond", mtu)?;
            let mut config = Attrs::new();
            config.set("Mode", mk_default(bond.mode.as_str()))?;
            config.set("MIIMonitorSec", mk_default("100ms"))?;
            if let Some(hash) = &bond.hash_policy {
                config.set("TransmitHashPolicy", mk_default(hash.as_str()))?;
            }
            if let Some(rate) = bond.lacp_rate {
                config.set("LACPTransmitRate", mk_default(rate.as_str()))?;
            }
            let file = format!("20-{}", bond.name.value);
            self.systemd
                .set(["netdevs", file.as_str(), "bondConfig"], config)?;
            for nic in &bond.ports {
                let primary = bond
                    .primary
                    .is_some_and(|primary| primary.value == nic.value);
                let card = self.host.hardware.nics[nic.value].interface.as_str();
                self.links.entry(card.to_owned()).or_default().bond =
                    Some((bond.name.value.clone(), primary));
            }
            let link = self.links.entry(bond.name.value.clone()).or_default();
            link.manual = !*bond.autostart;
        }
        Ok(())
    }

    /// What bridges take in.
    fn ports(&mut self) -> Result<(), BuildError> {
        let host = self.host;
        for bridge in host.network.bridges.values() {
            let vids = bridge.vlan_aware.then(|| bridge.vids.to_string());
            for port in &bridge.ports {
                let name = host.network.port_interface(&host.hardware, port.value);
                if let Some(tag) = port.value.vlan {
                    let whole = Port {
                        vlan: None,
                        ..port.value
                    };
                    let below = host.network.port_interface(&host.hardware, whole);
                    self.vlan(&below, &name, tag)?;
                }
                let link = self.links.entry(name).or_default();
                if bridge.is_ovs() {
                    link.switched = true;
                } else {
                    link.bridge = Some((bridge.name.value.clone(), vids.clone()));
                }
            }
        }
        Ok(())
    }

    /// Addresses that are on no bridge itself.
    fn interfaces(&mut self) -> Result<(), BuildError> {
        let host = self.host;
        for (id, interface) in host.network.interfaces.iter() {
            let id = LegId::Interface(id);
            let name = host.network.leg_device(&host.hardware, id);
            if let (Some(tag), false) = (interface.vlan, host.network.is_ovs_port(interface)) {
                let below = Segment {
                    vlan: None,
                    ..interface.segment()
                };
                let below = host.network.segment_interface(&host.hardware, below);
                self.vlan(&below, &name, tag.value)?;
            }
            let link = self.links.entry(name).or_default();
            if interface.label.is_some() {
                link.aliases.push(id);
            } else {
                link.leg = Some(id);
            }
        }
        Ok(())
    }

    /// A VLAN of an interface, once.
    fn vlan(&mut self, below: &str, name: &str, tag: VlanTag) -> Result<(), BuildError> {
        let below = self.links.entry(below.to_owned()).or_default();
        if below.vlans.iter().any(|known| known == name) {
            return Ok(());
        }
        below.vlans.push(name.to_owned());
        self.netdev(name, "vlan", self.mtus.get(name).copied())?;
        let file = format!("20-{name}");
        self.systemd.set(
            ["netdevs", file.as_str(), "vlanConfig", "Id"],
            mk_default(tag.get()),
        )
    }

    fn netdev(&mut self, name: &str, kind: &str, mtu: Option<u32>) -> Result<(), BuildError> {
        let mut config = Attrs::new();
        config.set("Name", mk_default(name))?;
        config.set("Kind", mk_default(kind))?;
        if let Some(mtu) = mtu {
            config.set("MTUBytes", mk_default(mtu.to_string()))?;
        }
        let file = format!("20-{name}");
        self.systemd
            .set(["netdevs", file.as_str(), "netdevConfig"], config)
    }

    /// Cards, bonds and VLANs.
    fn lower(&mut self) -> Result<(), BuildError> {
        let links = std::mem::take(&mut self.links);
        let is_bridge = |name: &str| {
            let mut bridges = self.host.network.bridges.values();
            bridges.any(|bridge| bridge.name.value == name)
        };
        for (name, link) in &links {
            if !is_bridge(name) {
                let mtu = self.mtus.get(name).copied();
                lower(self.host, &mut self.systemd, name, link, mtu)?;
            }
        }
        self.links = links;
        Ok(())
    }

    fn bridge(&mut self, id: Id<Bridge>, bridge: &Bridge) -> Result<(), BuildError> {
        let name = bridge.name.as_str();
        if !bridge.is_ovs() {
            self.netdev(name, "bridge", bridge.mtu.map(|mtu| mtu.value))?;
            let file = format!("20-{name}");
            let mut config = Attrs::new();
            config.set("STP", mk_default(*bridge.stp))?;
            if !*bridge.stp {
                config.set("ForwardDelaySec", mk_default(0))?;
            }
            if *bridge.vlan_aware {
                config.set("VLANFiltering", mk_default(true))?;
            }
            self.systemd
                .set(["netdevs", file.as_str(), "bridgeConfig"], config)?;
        }
        let mut network = Attrs::new();
        if let Some(description) = &bridge.description {
            network.comment(description.value.as_str());
        }
        network.set("matchConfig.Name", mk_default(name))?;
        let link = self.links.get(name);
        let aliases = link.map(|link| &link.aliases[..]).unwrap_or_default();
        let leg = self.host.network.leg(LegId::Bridge(id));
        addresses(self.host, leg, aliases, &mut network)?;
        let vlans = link.map(|link| link.vlans.clone()).unwrap_or_default();
        // A bridge that carries VLANs lets the host into those that it has addresses in.
        let own: Vec<VlanTag> = self
            .host
            .network
            .interfaces
            .values()
            .filter(|interface| interface.on.value == On::Bridge(id))
            .filter_map(|interface| interface.vlan.map(|tag| tag.value))
            .collect();
        if !vlans.is_empty() {
            network.set("vlan", vlans)?;
            if *bridge.vlan_aware {
                let own: Vec<String> = own.iter().map(ToString::to_string).collect();
                network.set("bridgeVLANs", bridge_vlans(&own.join(" "))?)?;
            }
        }
        let file = format!("40-{name}");
        self.systemd.set(["networks", file.as_str()], network)
    }
}

/// A card, a bond or a VLAN: most have no address, only what is above them.
fn lower(
    host: &Host,
    systemd: &mut Attrs,
    name: &str,
    link: &Link,
    mtu: Option<u32>,
) -> Result<(), BuildError> {
    let idle = link.bridge.is_none() && link.bond.is_none() && link.vlans.is_empty();
    // One with labels alone has the addresses of the first, and those of the others beside them.
    let (own, aliases) = match (link.leg, link.aliases.split_first()) {
        (Some(leg), _) => (Some(leg), &link.aliases[..]),
        (None, Some((first, others))) => (Some(*first), others),
        (None, None) => (None, &[][..]),
    };
    if idle && own.is_none() && !link.switched {
        return Ok(());
    }
    let leg = own.map(|id| host.network.leg(id));
    let mut network = Attrs::new();
    if let Some(description) = leg.and_then(|leg| leg.description) {
        network.comment(description.as_str());
    }
    network.set("matchConfig.Name", mk_default(name))?;
    if let Some((bridge, vids)) = &link.bridge {
        network.set("networkConfig.Bridge", mk_default(bridge.as_str()))?;
        if let Some(vids) = vids {
            network.set("bridgeVLANs", bridge_vlans(vids)?)?;
        }
    }
    if let Some((bond, primary)) = &link.bond {
        network.set("networkConfig.Bond", mk_default(bond.as_str()))?;
        if *primary {
            network.set("networkConfig.PrimarySlave", mk_default(true))?;
        }
    }
    match leg {
        Some(leg) => addresses(host, leg, aliases, &mut network)?,
        None => network.set("networkConfig.LinkLocalAddressing", mk_default("no"))?,
    }
    if !link.vlans.is_empty() {
        network.set("vlan", link.vlans.clone())?;
    }
    if let Some(mtu) = mtu {
        network.set("linkConfig.MTUBytes", mk_default(mtu.to_string()))?;
    }
    if leg.is_none() {
        network.set("linkConfig.RequiredForOnline", mk_default("no"))?;
        if link.manual {
            network.set("linkConfig.ActivationPolicy", mk_default("manual"))?;
        }
    }
    let file = format!("30-{name}");
    systemd.set(["networks", file.as_str()], network)
}

fn bridge_vlans(vids: &str) -> Result<Vec<Attrs>, BuildError> {
    vids.split([' ', ','])
        .filter(|range| !range.is_empty())
        .map(|range| {
            let mut vlan = Attrs::new();
            vlan.set("VLAN", mk_default(range))?;
            Ok(vlan)
        })
        .collect()
}

/// The addresses of a leg, and the ways that begin there.
fn addresses(
    host: &Host,
    leg: Leg<'_>,
    aliases: &[LegId],
    network: &mut Attrs,
) -> Result<(), BuildError> {
    // systemd-networkd brings up what it is told of, unless it is told this (systemd.network(5)).
    if !*leg.autostart {
        network.set("linkConfig.ActivationPolicy", mk_default("manual"))?;
    }
    let aliases = aliases.iter().map(|id| host.network.leg(*id));
    let legs: Vec<Leg<'_>> = std::iter::once(leg).chain(aliases).collect();
    let fixed: Vec<String> = legs
        .iter()
        .flat_map(|leg| leg.ip.fixed_addresses())
        .map(|cidr| cidr.value.to_string())
        .collect();
    if !legs.iter().any(|leg| leg.ip.is_any()) {
        network.set("networkConfig.LinkLocalAddressing", mk_default("no"))?;
    } else if !fixed.is_empty() {
        network.set("address", fixed)?;
    }
    let is_dhcp = |v6| {
        leg.ip
            .address_of(v6)
            .is_some_and(|address| address.value == GuestAddress::Dhcp)
    };
    match (is_dhcp(false), is_dhcp(true)) {
        (true, true) => network.set("networkConfig.DHCP", mk_default("yes"))?,
        (true, false) => network.set("networkConfig.DHCP", mk_default("ipv4"))?,
        (false, true) => network.set("networkConfig.DHCP", mk_default("ipv6"))?,
        (false, false) => {}
    }
    network.set(
        "networkConfig.IPv6AcceptRA",
        mk_default(leg.ip.is_dynamic(true)),
    )?;
    if leg.bridge().is_some() {
        // Guests come and go: the bridge keeps its address while nothing is plugged into it.
        network.set("networkConfig.ConfigureWithoutCarrier", mk_default(true))?;
    }
    let gateways = [false, true]
        .into_iter()
        .filter_map(|v6| host.leg_gateway(leg, v6));
    let (far, near): (Vec<_>, Vec<_>) =
        gateways.partition(|gateway| network::is_beyond(leg, *gateway));
    let gateways: Vec<String> = near.iter().map(ToString::to_string).collect();
    if gateways.is_empty() && far.is_empty() {
        if !leg.ip.is_dynamic(false) && !leg.ip.is_dynamic(true) {
            network.set("linkConfig.RequiredForOnline", mk_default("no"))?;
        }
    } else if !gateways.is_empty() {
        network.set("gateway", gateways)?;
    }
    // `Gateway=` of a network has no word for a router that is in none of its own.
    let far = far.into_iter().map(|gateway| {
        let mut attrs = Attrs::new();
        attrs.set("Gateway", mk_default(gateway.to_string()))?;
        attrs.set("GatewayOnLink", mk_default(true))?;
        Ok(attrs)
    });
    let routes = legs
        .iter()
        .flat_map(|leg| network::routes(host, *leg))
        .map(|route| {
            let mut attrs = Attrs::new();
            attrs.set("Destination", mk_default(route.to))?;
            match route.via {
                Some(via) => {
                    attrs.set("Gateway", mk_default(via.to_string()))?;
                    if route.on_link {
                        attrs.set("GatewayOnLink", mk_default(true))?;
                    }
                }
                None => attrs.set("Scope", mk_default("link"))?,
            }
            if let Some(metric) = route.metric {
                attrs.set("Metric", mk_default(metric))?;
            }
            Ok(attrs)
        })
        .chain(far)
        .collect::<Result<Vec<_>, BuildError>>()?;
    if !routes.is_empty() {
        network.set("routes", routes)?;
    }
    Ok(())
}

/// Bridges of Open vSwitch, which systemd-networkd does not make.
fn switches(host: &Host, facts: &mut Attrs) -> Result<(), BuildError> {
    for (id, bridge) in host.network.bridges.iter() {
        if !bridge.is_ovs() || *bridge.external {
            continue;
        }
        let mut interfaces = Attrs::new();
        for port in &bridge.ports {
            let name = host.network.port_interface(&host.hardware, port.value);
            interfaces.set([name.as_str()], Attrs::new())?;
        }
        let own = host.network.interfaces.values();
        for interface in own.filter(|interface| interface.on.value == On::Bridge(id)) {
            interfaces.set([interface.name.as_str()], internal_port(interface)?)?;
        }
        let mut switch = Attrs::new();
        switch.set("interfaces", interfaces)?;
        facts.set(["networking", "vswitches", bridge.name.as_str()], switch)?;
    }
    Ok(())
}

fn internal_port(interface: &HostInterface) -> Result<Attrs, BuildError> {
    let mut port = Attrs::new();
    port.set("type", mk_default("internal"))?;
    if let Some(tag) = interface.vlan {
        port.set("vlan", mk_default(tag.value.get()))?;
    }
    Ok(port)
}

/// Shared ways out and forwarded ports: the rules that a Debian host has, in the chains that NixOS empties before it fills
/// them again.
fn packet_rules(host: &Host, facts: &mut Attrs) -> Result<(), BuildError> {
    let mut rules: Vec<network::PacketRule> = Vec::new();
    for (id, _) in host.network.bridges.iter() {
        for rule in network::packet_rules(host, id) {
            // All come and go together, so one serves every bridge that needs it.
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
    }
    if rules.is_empty() {
        return Ok(());
    }
    let mut nat = Attrs::new();
    nat.set("enable", mk_default(true))?;
    if rules.iter().any(|rule| rule.v6) {
        nat.set("enableIPv6", mk_default(true))?;
    }
    let (mut start, mut stop) = (String::new(), String::new());
    for rule in &rules {
        let command = |action: &str, chain: &str| {
            let program = if rule.v6 { "ip6tables" } else { "iptables" };
            crate::shell::Command::new(program)
                .args(["-w", "-t", rule.table, action, chain])
                .args(&rule.words)
        };
        if let Some(chain) = own_chain(rule) {
            line(&mut start, command("-A", chain));
        } else {
            let there = command("-C", rule.chain);
            let add = command(if rule.first { "-I" } else { "-A" }, rule.chain);
            line(&mut start, format_args!("{there} 2>/dev/null || {add}"));
            let delete = command("-D", rule.chain);
            line(&mut stop, format_args!("{delete} 2>/dev/null || true"));
        }
    }
    nat.set("extraCommands", crate::nix::block(start))?;
    if !stop.is_empty() {
        nat.set("extraStopCommands", crate::nix::block(stop))?;
    }
    facts.set("networking.nat", nat)
}

fn line(text: &mut String, line: impl std::fmt::Display) {
    writeln!(text, "{line}").expect("a string takes all text");
}

/// The chain of NixOS' own that hangs on one of the table `nat`.
fn own_chain(rule: &network::PacketRule) -> Option<&'static str> {
    match (rule.table, rule.chain) {
        ("nat", "PREROUTING") => Some("nixos-nat-pre"),
        ("nat", "POSTROUTING") => Some("nixos-nat-post"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::compile::Compiled;
    use crate::targets::Target;
    use crate::template::Templates;

    /// On a Debian host ifupdown2 brings up what has `auto`.
    #[test]
    fn what_does_not_start_with_the_host_waits_for_somebody() {
        let spec = "[host]\nname = \"pve1\"\nrelease = \"9.2\"\ntimezone = \"UTC\"\nplatform = \"nixos\"\nstate-version = \"25.11\"\n\
            ssh-keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFDYWOCYXsx/YEGKrwzFq1h/QsJXCohAlanozKzQ9lRc me\"]\n\
            [hardware]\nmemory = { size = \"64 GiB\" }\ncpu = { cores = 4, vendor = \"amd\" }\n\
            [hardware.disks.one]\nkind = \"nvme\"\nsize = \"1 TB\"\ndevice = \"/dev/disk/by-id/nvme-1\"\n\
            [storage.pools.rpool]\nlayout = \"stripe\"\ndisks = [\"one\"]\nboot = true\n\
            [hardware.nics.lan]\ninterface = \"enp5s0\"\nmac = \"00:00:5E:00:53:01\"\n\
            [hardware.nics.two]\ninterface = \"enp6s0\"\nmac = \"00:00:5E:00:53:02\"\n\
            [network.bridges.vmbr0]\nports = [\"lan\"]\naddress = \"10.0.0.2/24\"\ngateway = \"10.0.0.1\"\n\
            [network.bridges.vmbr1]\nports = [\"bond0\"]\naddress = \"10.9.0.1/24\"\nautostart = false\n\
            [network.bonds.bond0]\nports = [\"two\"]\nmode = \"active-backup\"\nautostart = false\n";
        let manual = |spec: &str| {
            let mut compiled = Compiled::of("host.toml", spec);
            let files = compiled.files(Target::ALL, &Templates::built_in());
            let files = files.unwrap_or_else(|| panic!("{:?}", compiled.found()));
            let module = files.get("nixos/pve1.nix").expect("the host's module");
            let text = String::from_utf8_lossy(&module.contents).into_owned();
            text.matches("ActivationPolicy = lib.mkDefault \"manual\"")
                .count()
        };
        assert_eq!(manual(spec), 2);
        assert_eq!(manual(&spec.replace("autostart = false\n", "")), 0);
    }
}
