//! `firewall/`: what Proxmox VE's firewall lets through to guests.
//!
//! A card with `firewall = true` is filtered once its guest has rules: those of `[….firewall]`, or the ports of a NixOS
//! guest, which moxc knows: `ports`, sshd's, and those that its settings name. Around a guest whose services nobody declared a closed firewall would only break it. Then the
//! firewall must be on for the whole datacenter, and the host's own is switched off expressly: moxc cannot know from
//! where the host is administered, and a wrong guess locks its owner out.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::keep;
use crate::facts::firewall::OpenPorts;
use crate::model::{FirewallAction, FirewallRule, FirewallSet, Guest, GuestFirewall, Host};
use crate::source::Spanned;
use crate::value::{GuestAddress, Line, PortRange};

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
    let mut add = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("a string takes all text");
    };
    let options = &firewall.options;
    match options.dhcp {
        Some(dhcp) => add(format_args!("dhcp: {}", u8::from(dhcp.value))),
        None if by_dhcp(guest) => add(format_args!("dhcp: 1")),
        None => {}
    }
    add(format_args!("enable: {}", u8::from(*firewall.enabled)));
    for (key, level) in [
        ("log_level_in", options.log_in),
        ("log_level_out", options.log_out),
    ] {
        if let Some(level) = level {
            add(format_args!("{key}: {}", level.value.as_str()));
        }
    }
    for (key, flag) in [
        ("ipfilter", options.ipfilter),
        ("ips", options.ips),
        ("macfilter", options.macfilter),
        ("ndp", options.ndp),
        ("radv", options.radv),
    ] {
        if let Some(flag) = flag {
            add(format_args!("{key}: {}", u8::from(flag.value)));
        }
    }
    if let Some(queues) = &options.ips_queues {
        add(format_args!("ips_queues: {}", queues.value));
    }
    if !options.layer2_protocols.is_empty() {
        let protocols = options.layer2_protocols.iter();
        let protocols: Vec<&str> = protocols.map(|one| one.value.as_str()).collect();
        add(format_args!("layer2_protocols: {}", protocols.join(",")));
    }
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
    let mut aliases: Vec<_> = firewall.aliases.iter().collect();
    aliases.sort_by_key(|alias| alias.name.value.as_str().to_ascii_lowercase());
    if !aliases.is_empty() {
        add(format_args!("\n[ALIASES]\n"));
    }
    for alias in aliases {
        let remark = remark(alias.comment.as_ref());
        add(format_args!(
            "{} {}{remark}",
            alias.name.value, alias.address
        ));
    }
    let mut sets: Vec<_> = firewall.sets.iter().collect();
    sets.sort_by_key(|set| set.name.value.as_str());
    for set in sets {
        let remark = remark(set.comment.as_ref());
        add(format_args!("\n[IPSET {}]{remark}\n", set.name.value));
        for line in member_lines(set) {
            add(format_args!("{line}"));
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

fn remark(comment: Option<&Spanned<Line>>) -> String {
    comment.map_or_else(String::new, |comment| format!(" # {}", comment.as_str()))
}

/// The members of a set, in Proxmox VE's order: by their addresses.
fn member_lines(set: &FirewallSet) -> Vec<String> {
    let mut members: Vec<_> = set.members.iter().collect();
    members.sort_by_key(|(member, _)| member.value.as_str().trim_start_matches('!'));
    let lines = members.into_iter();
    lines
        .map(|(member, comment)| format!("{}{}", member.value, remark(comment.as_ref())))
        .collect()
}

/// `IN SSH(ACCEPT) -i net0 -source 192.0.2.0/24 -log nolog # ssh`: the order of `$format_rules`.
fn rule_line(rule: &FirewallRule) -> String {
    let mut line = String::from(if *rule.enabled { "" } else { "|" });
    let mut add = |text: std::fmt::Arguments<'_>| {
        line.write_fmt(text).expect("a string takes all text");
    };
    let is_group = match &rule.action {
        FirewallAction::Group(group) => {
            add(format_args!("GROUP {}", group.value));
            true
        }
        FirewallAction::Policy(policy) => {
            let direction = rule.direction.as_str().to_ascii_uppercase();
            let policy = policy.as_str().to_ascii_uppercase();
            match rule.service {
                Some(service) => add(format_args!("{direction} {}({policy})", service.value)),
                None => add(format_args!("{direction} {policy}")),
            }
            false
        }
    };
    if let Some(card) = rule.card {
        add(format_args!(" -i net{}", card.value));
    }
    let words = [
        ("source", rule.from.as_ref().map(|from| from.as_str())),
        ("dest", rule.to.as_ref().map(|to| to.as_str())),
        (
            "p",
            rule.protocol.as_ref().map(|protocol| protocol.as_str()),
        ),
        ("dport", rule.port.as_ref().map(|port| port.as_str())),
        ("sport", rule.from_port.as_ref().map(|port| port.as_str())),
        ("log", Some(rule.log.as_str())),
        (
            "icmp-type",
            rule.icmp_type.as_ref().map(|kind| kind.as_str()),
        ),
    ];
    for (key, word) in words.into_iter().filter(|_| !is_group) {
        if let Some(word) = word {
            add(format_args!(" -{key} {word}"));
        }
    }
    line + &remark(rule.comment.as_ref())
}

fn ports(host: &Host, guest: &Guest) -> Option<String> {
    let nixos = guest.nixos.as_ref()?;
    let open = OpenPorts::of(host, nixos);
    let mut text = String::from("[OPTIONS]\n\n");
    if by_dhcp(guest) {
        text.push_str("dhcp: 1\n");
    }
    // What comes in is dropped and what goes out accepted by default. Few options: Proxmox VE writes them in no order.
    text.push_str("enable: 1\n\n[RULES]\n\n");
    text.push_str("IN Ping(ACCEPT) -log nolog\n");
    for (protocol, ports) in [("tcp", &open.tcp), ("udp", &open.udp)] {
        for ports in rules_of(ports) {
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

/// The ports in as many rules as they need: iptables takes fifteen in one, and a range counts as two of them.
fn rules_of(ports: &BTreeSet<PortRange>) -> Vec<Vec<String>> {
    let mut rules: Vec<Vec<String>> = Vec::new();
    let mut room = 0;
    for port in ports {
        let takes = if port.count() == 1 { 1 } else { 2 };
        if takes > room {
            rules.push(Vec::new());
            room = 15;
        }
        room -= takes;
        if let Some(rule) = rules.last_mut() {
            rule.push(port.spelled(':'));
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use crate::analysis::testing::{host, told};
    use crate::diagnostics::Code;

    const KEY: &str = "ssh-keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFDYWOCYXsx/YEGKrwzFq1h/QsJXCohAlanozKzQ9lRc me@laptop\"]";

    /// What is let through to a NixOS guest with these lines in its table.
    fn let_through(lines: &str) -> String {
        let host = host(&format!(
            "[network.bridges.vmbr0]\n[vms.web]\nos = \"nixos\"\nvmid = 100\nmemory = \"2 GiB\"\n\
             network = [{{ bridge = \"vmbr0\", firewall = true }}]\n[vms.web.nixos]\nstate-version = \"25.11\"\n{lines}\n"
        ));
        assert!(told(&host, Code::MOX0663).is_empty(), "{lines}");
        let firewall = super::plan(&host);
        let rules = firewall.guests[0].1.lines();
        let rules: Vec<&str> = rules
            .filter_map(|line| line.strip_prefix("IN ACCEPT -p "))
            .map(|line| line.trim_end_matches(" -log nolog"))
            .collect();
        rules.join("; ")
    }

    #[test]
    fn what_opens_in_the_guest_is_let_through_to_it() {
        let user = |more: &str| format!("users.me = {{ admin = true, {KEY} }}\n{more}");
        for (lines, ports) in [
            (String::new(), ""),
            (user(""), "tcp -dport 22"),
            ("services = [\"openssh\"]".to_owned(), "tcp -dport 22"),
            (
                user("settings = { \"services.openssh.enable\" = false }"),
                "",
            ),
            (
                user("settings = { \"services.openssh\" = { openFirewall = false } }"),
                "",
            ),
            (
                user("settings = { \"services.openssh.ports\" = [2222] }"),
                "tcp -dport 2222",
            ),
            (
                user(
                    "ports = [443, \"53/udp\"]\nsettings = { \"networking.firewall\" = { allowedTCPPorts = [80], \
                      allowedUDPPortRanges = [{ from = 6000, to = 6010 }] } }",
                ),
                "tcp -dport 22,80,443; udp -dport 53,6000:6010",
            ),
        ] {
            assert_eq!(let_through(&lines), ports, "{lines}");
        }
    }

    #[test]
    fn a_range_takes_the_room_of_two_ports() {
        let ports: Vec<String> = (1..=14).map(|port| port.to_string()).collect();
        let lines = format!(
            "ports = [{}]\nsettings = {{ \"networking.firewall.allowedTCPPortRanges\" = [{{ from = 90, to = 99 }}] }}",
            ports.join(", ")
        );
        let rules = let_through(&lines);
        assert_eq!(
            rules,
            format!("tcp -dport {}; tcp -dport 90:99", ports.join(","))
        );
    }
}
