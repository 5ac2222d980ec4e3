//! `firewall/`: what Proxmox VE's firewall lets through to guests.
//!
//! A card with `firewall = true` is filtered once its guest has rules. moxc knows the ports of NixOS guests and writes
//! rules for these alone: a closed firewall around a guest whose services nobody declared would only break it. Then the
//! firewall must be on for the whole datacenter, and the host's own is switched off expressly: moxc cannot know from
//! where the host is administered, and a wrong guess locks its owner out.

use std::fmt::Write as _;

use crate::model::{Guest, Host};
use crate::value::GuestAddress;

/// The firewall's files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// VMID and text of each guest that has rules.
    pub guests: Vec<(u32, String)>,
}

impl Firewall {
    /// `firewall/cluster.fw`, where a guest has rules.
    pub fn cluster(&self) -> Option<&'static str> {
        (!self.guests.is_empty()).then_some("[OPTIONS]\n\nenable: 1\n\n")
    }

    /// `nodes/<node>/host.fw`, where a guest has rules.
    pub fn host(&self) -> Option<&'static str> {
        (!self.guests.is_empty()).then_some("[OPTIONS]\n\nenable: 0\n\n")
    }
}

/// Plans the firewall.
pub(super) fn plan(host: &Host) -> Firewall {
    let guests = host
        .guests
        .values()
        .filter(|guest| guest.network.iter().any(|nic| *nic.firewall));
    Firewall {
        guests: guests
            .filter_map(|guest| Some((guest.vmid.get(), rules(host, guest)?)))
            .collect(),
    }
}

fn rules(host: &Host, guest: &Guest) -> Option<String> {
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
    let by_dhcp = guest.network.iter().any(|nic| {
        let addresses = [nic.address, nic.address6];
        addresses
            .iter()
            .flatten()
            .any(|address| match address.value {
                GuestAddress::Dhcp | GuestAddress::Auto => true,
                GuestAddress::Static(_) => false,
            })
    });
    let mut text = String::from("[OPTIONS]\n\n");
    if by_dhcp {
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
