//! What follows from the host's network, whoever writes it down: packet sizes, forwarding, rules for packets, routes, and
//! the address that the node's name stands for.

use std::collections::BTreeMap;

use std::net::IpAddr;

use super::hosts_file::HostsLine;
use crate::model::{Bond, Bridge, Forward, Host, Id, Leg, LegId, Link, Port, PortDevice};
use crate::pve::interfaces::{Interfaces, Method, stanza_line};
use crate::source::Spanned;
use crate::value::{BondMode, Cidr, Line, PortRange, Protocol, SpecString as _};

/// The families in which the host passes packets on.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Forwarding {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

/// A rule of `iptables`, or of `ip6tables`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketRule {
    /// Whether it is one of `ip6tables`.
    pub v6: bool,
    /// The table, as `nat`.
    pub table: &'static str,
    /// The chain, as `POSTROUTING`.
    pub chain: &'static str,
    /// Whether it comes before the rules that are there.
    pub first: bool,
    /// What it matches and what it does.
    pub words: Vec<String>,
}

/// A route of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRoute {
    /// The network.
    pub to: String,
    /// The router; none where the network is on the cable itself.
    pub via: Option<IpAddr>,
    /// Whether the router is on the cable though no network of the host says so.
    pub on_link: bool,
    /// Of two routes to one network the smaller wins.
    pub metric: Option<u32>,
    /// Whether it is one of IPv6.
    pub v6: bool,
}

/// What a card carries where nobody says otherwise.
const USUAL_MTU: u32 = 1500;

/// The MTU of whatever lies below a bridge, a bond or an address that has one: a port that carries less would drop the
/// packets.
pub fn mtus(host: &Host) -> BTreeMap<String, u32> {
    let mut mtus: BTreeMap<String, u32> = BTreeMap::new();
    let mut raise = |name: String, mtu: u32| {
        let known = mtus.entry(name).or_insert(mtu);
        *known = (*known).max(mtu);
    };
    let name = |device, vlan| {
        host.network
            .port_interface(&host.hardware, Port { device, vlan })
    };
    let mut of_bonds = BTreeMap::new();
    let mut own = Vec::new();
    // What lies below carries 1500 anyway.
    let mut raise_device = |device: PortDevice, mtu: u32| {
        if mtu <= USUAL_MTU {
            return;
        }
        if let PortDevice::Bond(bond) = device {
            let known = of_bonds.entry(bond).or_insert(mtu);
            *known = (*known).max(mtu);
        }
        raise(name(device, None), mtu);
    };
    for (id, bond) in host.network.bonds.iter() {
        if let Some(mtu) = bond.mtu {
            raise_device(PortDevice::Bond(id), mtu.value);
            own.push((PortDevice::Bond(id), mtu.value));
        }
    }
    for bridge in host.network.bridges.values() {
        let Some(mtu) = bridge.mtu else { continue };
        for port in &bridge.ports {
            raise_device(port.device, mtu.value);
        }
    }
    for interface in host.network.interfaces.values() {
        if let (Some(mtu), Link::Port(device)) = (interface.mtu, interface.on.value) {
            raise_device(device, mtu.value);
            if interface.vlan.is_none() {
                own.push((device, mtu.value));
            }
        }
    }
    for (device, mtu) in own {
        raise(name(device, None), mtu);
    }
    // VLANs of their own, once the devices below them are known.
    for bridge in host.network.bridges.values() {
        let Some(mtu) = bridge.mtu else { continue };
        let ports = bridge.ports.iter().filter(|port| port.vlan.is_some());
        for port in ports.filter(|_| mtu.value > USUAL_MTU) {
            raise(name(port.device, port.vlan), mtu.value);
        }
    }
    for (id, interface) in host.network.interfaces.iter() {
        if let Some(mtu) = interface.mtu {
            raise(
                host.network
                    .leg_interface(&host.hardware, LegId::Interface(id)),
                mtu.value,
            );
        }
    }
    for (bond, mtu) in of_bonds {
        for nic in &host.network.bonds[bond].ports {
            raise(name(PortDevice::Nic(nic.value), None), mtu);
        }
    }
    mtus
}

/// The host passes packets on for a bridge with masquerading, and where it is a guest's gateway.
pub fn forwarding(host: &Host) -> Forwarding {
    let mut forwarding = Forwarding::default();
    for bridge in host
        .network
        .bridges
        .values()
        .filter(|bridge| bridge.nat.is_some())
    {
        forwarding.v4 |= bridge.ip.address.is_some();
        forwarding.v6 |= bridge.ip.address6.is_some();
    }
    let own: Vec<_> = host
        .network
        .legs()
        .flat_map(|leg| {
            leg.ip
                .fixed_addresses()
                .map(move |a| (leg.segment, a.address()))
        })
        .collect();
    for nic in host.guests.values().flat_map(|guest| &guest.network) {
        for (gateway, v6) in [(&nic.gateway, false), (&nic.gateway6, true)] {
            let gateway = gateway.as_ref().and_then(|gateway| {
                host.gateway_address(gateway.value, nic.segment(), nic.static_address(v6), v6)
            });
            let is_host = gateway.is_some_and(|gateway| own.contains(&(nic.segment(), gateway)));
            if v6 {
                forwarding.v6 |= is_host;
            } else {
                forwarding.v4 |= is_host;
            }
        }
    }
    forwarding
}

/// The interfaces whose IPv6 way out comes from a router: one that passes packets on listens to routers only where it is
/// told to (`accept_ra` of the kernel's ip-sysctl.rst).
pub fn router_listeners(host: &Host) -> Vec<String> {
    if !forwarding(host).v6 {
        return Vec::new();
    }
    host.network
        .legs()
        .filter(|leg| leg.ip.is_dynamic(true))
        .map(|leg| host.network.leg_device(&host.hardware, leg.id))
        .collect()
}

/// An address of a raw stanza of `/etc/network/interfaces`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAddress {
    /// The interface.
    pub interface: String,
    /// The address with its prefix.
    pub address: Cidr,
    /// The gateway of its family, where the stanza has one.
    pub gateway: Option<IpAddr>,
}

/// What the raw stanzas of a host say of its addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawAddresses {
    /// Those of interfaces that come up with the host.
    pub fixed: Vec<RawAddress>,
    /// Whether a server gives one.
    pub is_given: bool,
}

/// Reads the raw stanzas: those of `extra`, and those that are kept.
pub fn raw_addresses(host: &Host) -> RawAddresses {
    let mut all = RawAddresses::default();
    for text in host.network.raw_stanzas(&host.kept) {
        let read = Interfaces::parse(text.as_str());
        for interface in read.iter().filter(|one| one.auto && one.name != "lo") {
            for family in &interface.families {
                all.is_given |= matches!(family.method, Method::Dhcp | Method::Auto);
                let gateways: Vec<IpAddr> = family
                    .gateway
                    .iter()
                    .chain(&family.more_gateways)
                    .filter_map(|gateway| gateway.parse().ok())
                    .collect();
                let addresses = family.address.iter().chain(&family.more);
                let addresses = addresses.filter_map(|address| Cidr::parse(address).ok());
                all.fixed.extend(addresses.map(|address| {
                    RawAddress {
                        interface: interface.name.clone(),
                        gateway: gateways
                            .iter()
                            .find(|gateway| gateway.is_ipv6() == address.is_v6())
                            .copied(),
                        address,
                    }
                }));
            }
        }
    }
    all
}

/// The address that the node's name stands for: that of the way out, else the first there is. None where a server gives
/// the address of the way out: only the host knows it. None, either, where the spec leaves the file to the host.
pub fn hosts_line(host: &Host) -> Option<HostsLine> {
    if host.untouched().any(|path| path == "etc/hosts") {
        return None;
    }
    let legs = || host.network.legs();
    let raw = raw_addresses(host);
    let out = |v6: bool| {
        let mut raw = raw.fixed.iter();
        legs()
            .filter(|leg| leg.ip.gateway_of(v6).is_some())
            .find_map(|leg| leg.ip.fixed(v6))
            .map(|cidr| cidr.address())
            .or_else(|| {
                let out = raw.find(|one| one.gateway.is_some() && one.address.is_v6() == v6);
                out.map(|one| one.address.address())
            })
    };
    let fixed = || {
        let raw = raw.fixed.iter().map(|one| one.address.address());
        let of_legs = legs().flat_map(|leg| leg.ip.fixed_addresses());
        of_legs.map(|cidr| cidr.address()).chain(raw)
    };
    let address = out(false).or_else(|| out(true)).or_else(|| {
        let given =
            raw.is_given || legs().any(|leg| leg.ip.is_dynamic(false) || leg.ip.is_dynamic(true));
        fixed().next().filter(|_| !given)
    })?;
    Some(HostsLine {
        address,
        fqdn: host.fqdn(),
        name: host.name.as_str().to_owned(),
        own: fixed().collect(),
    })
}

/// The routes that begin at a leg.
pub fn routes(host: &Host, leg: Leg<'_>) -> Vec<HostRoute> {
    leg.ip
        .routes
        .iter()
        .map(|route| {
            let v6 = route.to.is_v6();
            let near = leg.ip.fixed(v6).map(|cidr| cidr.value);
            let via = route
                .via
                .and_then(|via| host.gateway_address(via.value, leg.segment, near, v6));
            HostRoute {
                to: route.to.to_string(),
                // A route to the router's own network hides that it is near, once it is there.
                on_link: via
                    .is_some_and(|via| is_beyond(leg, via) || route.to.network().contains(&via)),
                via,
                metric: route.metric.map(|metric| metric.value),
                v6,
            }
        })
        .collect()
}

/// Whether a machine with these addresses reaches a router without being told that it is on its cable, as providers of rented
/// servers have it: the kernel takes no route by one that is in no network of its own (`fib_check_nh`). By its link-local
/// address every router is near.
pub fn is_near(router: IpAddr, own: &[Cidr]) -> bool {
    let is_local = matches!(router, IpAddr::V6(router) if router.is_unicast_link_local());
    is_local || own.iter().any(|cidr| cidr.contains(router))
}

/// Whether a router of the host is on a leg's cable, and in none of its networks. Where a server gives the address, only it
/// knows.
pub fn is_beyond(leg: Leg<'_>, router: IpAddr) -> bool {
    let addresses = leg.ip.fixed_addresses().map(|cidr| cidr.value);
    let own: Vec<Cidr> = addresses
        .filter(|cidr| cidr.is_v6() == router.is_ipv6())
        .collect();
    !own.is_empty() && !is_near(router, &own)
}

/// The rules that a bridge needs: its way out shared, and ports of that way out led to it. The masquerading is that of
/// pve-network.adoc.
pub fn packet_rules(host: &Host, id: Id<Bridge>) -> Vec<PacketRule> {
    let bridge = &host.network.bridges[id];
    let Some(nat) = bridge.nat else {
        return Vec::new();
    };
    let out = host.network.leg_device(&host.hardware, nat.value);
    let mut rules = Vec::new();
    for v6 in [false, true] {
        let Some(own) = bridge.ip.fixed(v6) else {
            continue;
        };
        let network = own.network().to_string();
        rules.push(rule(
            v6,
            "nat",
            "POSTROUTING",
            &["-s", &network, "-o", &out, "-j", "MASQUERADE"],
        ));
        // A guest's packets pass the firewall bridge (`fwbr…`) first, and would be tracked there before they are translated.
        let filtered = host
            .guests
            .values()
            .flat_map(|guest| &guest.network)
            .any(|nic| nic.bridge.value == id && *nic.firewall);
        if filtered {
            let zone = ["-i", "fwbr+", "-j", "CT", "--zone", "1"];
            rules.push(PacketRule {
                first: true,
                ..rule(v6, "raw", "PREROUTING", &zone)
            });
        }
        let wanted = host
            .network
            .leg(nat.value)
            .ip
            .fixed(v6)
            .map(|own| own.address().to_string());
        let before = rules.len();
        for forward in &bridge.forward {
            rules.extend(forwards(host, id, forward, (&out, wanted.as_deref()), v6));
        }
        // A guest that asks for the host's own address is answered by its neighbour, which would answer it past the host:
        // such a connection comes from the host. Where a server gives the host's address, guests ask each other.
        if rules.len() > before && wanted.is_some() {
            rules.push(rule(
                v6,
                "nat",
                "POSTROUTING",
                &[
                    "-s",
                    &network,
                    "-d",
                    &network,
                    "-m",
                    "conntrack",
                    "--ctstate",
                    "DNAT",
                    "-j",
                    "MASQUERADE",
                ],
            ));
        }
    }
    rules
}

fn rule(v6: bool, table: &'static str, chain: &'static str, words: &[&str]) -> PacketRule {
    PacketRule {
        v6,
        table,
        chain,
        first: false,
        words: words.iter().map(|word| (*word).to_owned()).collect(),
    }
}

/// The rules of one forwarded port, one a protocol. Only what asks for the host's own address there is led on: by its
/// address, and where a server gives that, by its being an address of the host. A rule for all that comes in by the
/// interface would also take what a bridge passes on to its other guests.
fn forwards(
    host: &Host,
    bridge: Id<Bridge>,
    forward: &Forward,
    (out, wanted): (&str, Option<&str>),
    v6: bool,
) -> Vec<PacketRule> {
    let Some(to) = forward_address(host, bridge, forward, v6) else {
        return Vec::new();
    };
    let to_port = forward
        .to_port
        .map(|port| port.value)
        .or_else(|| Some(forward.port.value).filter(|port| port.count() == 1))
        .filter(|port| port.count() == 1);
    let answer = match (to, to_port) {
        (IpAddr::V4(_), Some(port)) => format!("{to}:{port}"),
        (IpAddr::V6(_), Some(port)) => format!("[{to}]:{port}"),
        (IpAddr::V4(_) | IpAddr::V6(_), None) => to.to_string(),
    };
    let port = forward.port.spelled(':');
    let protocols: &[&str] = match *forward.protocol {
        Protocol::Tcp => &["tcp"],
        Protocol::Udp => &["udp"],
        Protocol::Both => &["tcp", "udp"],
    };
    protocols
        .iter()
        .map(|protocol| {
            let mut words = match wanted {
                Some(address) => vec!["-d", address],
                None => vec!["-i", out, "-m", "addrtype", "--dst-type", "LOCAL"],
            };
            words.extend(["-p", protocol, "--dport", &port, "-j", "DNAT"]);
            words.extend(["--to-destination", &answer]);
            rule(v6, "nat", "PREROUTING", &words)
        })
        .collect()
}

/// The address of one family that a forwarded port leads to.
pub fn forward_address(
    host: &Host,
    bridge: Id<Bridge>,
    forward: &Forward,
    v6: bool,
) -> Option<IpAddr> {
    let leg = host.network.leg(LegId::Bridge(bridge));
    let near = leg.ip.fixed(v6).map(|cidr| cidr.value);
    host.gateway_address(forward.to.value, leg.segment, near, v6)
        .filter(|address| address.is_ipv6() == v6)
}

/// Ports of the host at which it is looked after: SSH, and Proxmox VE's web interface.
pub fn own_service(port: PortRange) -> Option<(u16, &'static str)> {
    [(22, "SSH"), (8006, "Proxmox VE's web interface")]
        .into_iter()
        .find(|(number, _)| port.contains(*number))
}

/// How many seconds a bridge listens before it forwards, where the spec says it of the bridge; else the kernel's 15 with the
/// spanning tree, and 0 without.
pub fn forward_delay(bridge: &Bridge) -> Option<u32> {
    let mut lines = bridge.extra.iter();
    lines.find_map(|line| delay_of_line(line.value.as_str(), *bridge.stp))
}

/// The seconds of the line `bridge-fd SECONDS`, where the kernel takes them: of a bridge with the spanning tree 2 to 30 (IEEE
/// 802.1D), of one without any, since it does not wait.
pub fn delay_of_line(line: &str, with_tree: bool) -> Option<u32> {
    let delay = number_of_line(line, "bridge-fd")?;
    Some(delay).filter(|delay| !with_tree || (2..=30).contains(delay))
}

/// How often a bond looks at its links, in milliseconds, where the spec says it.
pub fn link_interval(bond: &Bond) -> Option<u32> {
    let mut lines = bond.extra.iter();
    lines.find_map(|line| number_of_line(line.value.as_str(), "bond-miimon"))
}

/// What Open vSwitch is told of a port in a line `ovs_options …`.
pub fn ovs_options(lines: &[Spanned<Line>]) -> Option<&str> {
    let mut lines = lines.iter();
    lines.find_map(|line| text_of_line(line.value.as_str(), "ovs-options"))
}

/// The number of a line, where the line has this key.
pub fn number_of_line(line: &str, wanted: &str) -> Option<u32> {
    text_of_line(line, wanted)?.parse().ok()
}

/// What a line says of the option `wanted`, which may be spelt with underscores in the file.
pub fn text_of_line<'a>(line: &'a str, wanted: &str) -> Option<&'a str> {
    let (key, text) = stanza_line(line)?;
    (key.replace('_', "-") == wanted).then_some(text)
}

/// A bond's mode in the words of Open vSwitch (ovs-vswitchd.conf.db(5), `bond_mode` and `lacp`).
pub fn ovs_bond_options(mode: BondMode) -> &'static str {
    match mode {
        BondMode::Lacp => "bond_mode=balance-tcp lacp=active",
        BondMode::BalanceXor => "bond_mode=balance-slb",
        // The others are reported by the analysis: Open vSwitch has no word for them.
        BondMode::ActiveBackup
        | BondMode::BalanceRr
        | BondMode::Broadcast
        | BondMode::BalanceTlb
        | BondMode::BalanceAlb => "bond_mode=active-backup",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::Compiled;
    use crate::targets::Target;
    use crate::template::Templates;

    /// An alias (`vmbr0:1`) is a label of addresses: packets leave by its device, and no link has its name.
    #[test]
    fn what_an_alias_says_is_said_of_its_device() {
        for platform in ["proxmox", "nixos"] {
            let spec = format!(
                "[host]\nname = \"pve1\"\nrelease = \"9.2\"\ntimezone = \"UTC\"\nplatform = \"{platform}\"\nstate-version = \"25.11\"\n\
                 ssh-keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMUEqCxWzZ/JQsNYXXpTw1PQcZZ9kjRiQyrPqTm1K2Oy me\"]\n\
                 [hardware]\nmemory = {{ size = \"64 GiB\" }}\ncpu = {{ cores = 4, vendor = \"amd\" }}\n\
                 [hardware.disks.one]\nkind = \"nvme\"\nsize = \"1 TB\"\ndevice = \"/dev/disk/by-id/nvme-1\"\n\
                 [storage.pools.rpool]\nlayout = \"stripe\"\ndisks = [\"one\"]\nboot = true\n\
                 [hardware.nics.lan]\ninterface = \"enp5s0\"\nmac = \"00:00:5E:00:53:01\"\n\
                 [network.bridges.vmbr0]\nports = [\"lan\"]\naddress = \"10.0.0.2/24\"\ngateway = \"10.0.0.1\"\n\
                 [network.interfaces.pub]\non = \"vmbr0\"\nlabel = 1\naddress = \"192.0.2.9/29\"\n\
                 [network.bridges.vmbr1]\naddress = \"10.9.0.1/24\"\nnat = \"pub\"\n"
            );
            let mut compiled = Compiled::of("host.toml", &spec);
            let (id, _) = compiled
                .checked
                .host
                .network
                .bridges
                .iter()
                .nth(1)
                .expect("vmbr1");
            let words: Vec<String> = packet_rules(&compiled.checked.host, id)
                .into_iter()
                .flat_map(|rule| rule.words)
                .collect();
            assert!(
                words.windows(2).any(|pair| pair == ["-o", "vmbr0"]),
                "{words:?}"
            );
            let files = compiled.files(Target::ALL, &Templates::built_in());
            let files = files.unwrap_or_else(|| panic!("{:?}", compiled.found()));
            if platform == "nixos" {
                let module = files.get("nixos/pve1.nix").expect("the host's module");
                let text = String::from_utf8_lossy(&module.contents);
                assert!(!text.contains("vmbr0:1"), "{text}");
                assert!(text.contains("192.0.2.9/29"), "{text}");
            }
        }
    }
}
