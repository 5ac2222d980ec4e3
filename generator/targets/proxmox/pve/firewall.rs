//! `firewall/`: what Proxmox VE's firewall lets through to guests.
//!
//! A card with `firewall = true` is filtered once its guest has rules: those of `[….firewall]`, or the ports of a NixOS
//! guest, which moxc knows. Around a guest whose services nobody declared a closed firewall would only break it. Then the
//! firewall must be on for the whole datacenter, and the host's own is switched off expressly: moxc cannot know from
//! where the host is administered, and a wrong guess locks its owner out.

use std::fmt::Write as _;

use super::keep;
use crate::model::{FirewallRule, Guest, GuestFirewall, Host};
use crate::value::GuestAddress;

/// Below the host's root.
pub(super) const CLUSTER: &str = "etc/pve/firewall/cluster.fw";

/// Below the host's root.
pub(super) fn host_file(node: &str) -> String {
    format!("etc/pve/nodes/{node}/host.fw")
}

/// The firewall's files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// VMID and text of each guest that has rules.
    pub guests: Vec<(u32, String)>,
    /// Whether the spec keeps the host's own `cluster.fw`.
    keeps_cluster: bool,
    /// Whether the spec keeps the host's own `host.fw`.
    keeps_host: bool,
}

impl Firewall {
    /// `firewall/cluster.fw`, where a guest has rules and the host has no file of its own.
    pub fn cluster(&self) -> Option<&'static str> {
        (!self.guests.is_empty() && !self.keeps_cluster).then_some("[OPTIONS]\n\nenable: 1\n\n")
    }

    /// `nodes/<node>/host.fw`, likewise.
    pub fn host(&self) -> Option<&'static str> {
        (!self.guests.is_empty() && !self.keeps_host).then_some("[OPTIONS]\n\nenable: 0\n\n")
    }
}

/// Plans the firewall.
pub(super) fn plan(host: &Host) -> Firewall {
    let files = host.guests.values().filter_map(|guest| {
        let filtered = guest.network.iter().any(|nic| *nic.firewall);
        let text = match &guest.firewall {
            Some(firewall) => Some(stated(guest, firewall)),
            None if filtered => ports(host, guest),
            None => None,
        };
        Some((guest.vmid.get(), text?))
    });
    Firewall {
        guests: files.collect(),
        keeps_cluster: keep::of(host, CLUSTER).is_some(),
        keeps_host: keep::of(host, &host_file(host.name.as_str())).is_some(),
    }
}

/// Whether a card takes its address from another machine.
fn by_dhcp(guest: &Guest) -> bool {
    guest.network.iter().any(|nic| {
        let addresses = [nic.address, nic.address6];
        addresses
            .iter()
            .flatten()
            .any(|address| match address.value {
                GuestAddress::Dhcp | GuestAddress::Auto => true,
                GuestAddress::Static(_) => false,
            })
    })
}

/// What the spec says itself, as Proxmox VE writes it (`PVE::Firewall::save_vmfw_conf`).
fn stated(guest: &Guest, firewall: &GuestFirewall) -> String {
    let mut text = String::from("[OPTIONS]\n\n");
    if by_dhcp(guest) {
        text.push_str("dhcp: 1\n");
    }
    let mut add = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("a string takes all text");
    };
    add(format_args!("enable: {}", u8::from(*firewall.enabled)));
    for (key, policy) in [
        ("policy_in", firewall.policy_in),
        ("policy_out", firewall.policy_out),
    ] {
        if policy.is_written() {
            add(format_args!(
                "{key}: {}",
                policy.as_str().to_ascii_uppercase()
            ));
        }
    }
    if !firewall.rules.is_empty() {
        add(format_args!("\n[RULES]\n"));
    }
    for rule in &firewall.rules {
        add(format_args!("{}", rule_line(rule)));
    }
    text.push('\n');
    text
}

/// `IN ACCEPT -source 192.0.2.0/24 -p tcp -dport 22 -log nolog # ssh`: the order of `generate_fw_rules`.
fn rule_line(rule: &FirewallRule) -> String {
    let off = if *rule.enabled { "" } else { "|" };
    let mut line = format!(
        "{off}{} {}",
        rule.direction.as_str().to_ascii_uppercase(),
        rule.action.as_str().to_ascii_uppercase()
    );
    let words = [
        ("source", rule.from.as_ref().map(|from| from.as_str())),
        ("dest", rule.to.as_ref().map(|to| to.as_str())),
        (
            "p",
            rule.protocol.as_ref().map(|protocol| protocol.as_str()),
        ),
        ("dport", rule.port.as_ref().map(|port| port.as_str())),
        ("log", Some(rule.log.as_str())),
    ];
    for (key, word) in words {
        if let Some(word) = word {
            write!(line, " -{key} {word}").expect("a string takes all text");
        }
    }
    if let Some(comment) = &rule.comment {
        write!(line, " # {}", comment.as_str()).expect("a string takes all text");
    }
    line
}

fn ports(host: &Host, guest: &Guest) -> Option<String> {
    let nixos = guest.nixos.as_ref()?;
    let numbers = |udp: bool| {
        let mut ports: Vec<u16> = nixos
            .ports
            .iter()
            .filter(|port| port.udp == udp)
            .map(|port| port.number)
            .collect();
        // The keys of `host.ssh-keys` are for something: NixOS opens this port by itself.
        if !udp && !host.ssh_keys.is_empty() {
            ports.push(22);
        }
        ports.sort_unstable();
        ports.dedup();
        ports.iter().map(u16::to_string).collect::<Vec<_>>()
    };
    let mut text = String::from("[OPTIONS]\n\n");
    if by_dhcp(guest) {
        text.push_str("dhcp: 1\n");
    }
    // What comes in is dropped and what goes out accepted by default. Few options: Proxmox VE writes them in no order.
    text.push_str("enable: 1\n\n[RULES]\n\n");
    text.push_str("IN Ping(ACCEPT) -log nolog\n");
    for (protocol, udp) in [("tcp", false), ("udp", true)] {
        // iptables takes fifteen ports in one rule.
        for ports in numbers(udp).chunks(15) {
            writeln!(
                text,
                "IN ACCEPT -p {protocol} -dport {} -log nolog",
                ports.join(",")
            )
            .expect("a string takes all text");
        }
    }
    text.push('\n');
    Some(text)
}
