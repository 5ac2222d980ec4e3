//! What the rules of a firewall can name, and which ports of a NixOS guest are open.

use std::collections::BTreeSet;

use super::logins::Logins;
use super::settings::leaves;
use crate::model::{GuestFirewall, Host, KeptText, NixosGuest};
use crate::source::Span;
use crate::value::{Node, PortRange, SpecString as _, Value};

/// Names of a firewall's file, in small letters: so they are compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirewallNames {
    /// Security groups.
    pub groups: BTreeSet<String>,
    sets: BTreeSet<String>,
    aliases: BTreeSet<String>,
}

impl FirewallNames {
    /// Those of the datacenter, where the spec keeps its file: else the host has one that moxc does not know.
    pub fn of_datacenter(host: &Host) -> Option<Self> {
        let path = "etc/pve/firewall/cluster.fw";
        let kept = host.kept.iter().find(|kept| kept.path.as_str() == path)?;
        match &kept.what {
            KeptText::Text(text) => Some(Self::read(text.value.as_str())),
            KeptText::Lines(lines) => {
                let lines: Vec<&str> = lines.iter().map(|line| line.as_str()).collect();
                Some(Self::read(&lines.join("\n")))
            }
            KeptText::Sections(_) | KeptText::Untouched => None,
        }
    }

    /// Those of a guest.
    pub fn of_guest(firewall: &GuestFirewall) -> Self {
        let sets = firewall.sets.iter().map(|set| set.name.value.as_str());
        let aliases = firewall
            .aliases
            .iter()
            .map(|alias| alias.name.value.as_str());
        Self {
            groups: BTreeSet::new(),
            sets: sets.map(str::to_ascii_lowercase).collect(),
            aliases: aliases.map(str::to_ascii_lowercase).collect(),
        }
    }

    /// Its sets, or its aliases.
    pub fn kind(&self, sets: bool) -> &BTreeSet<String> {
        if sets { &self.sets } else { &self.aliases }
    }

    fn read(text: &str) -> Self {
        let mut names = Self::default();
        let mut in_aliases = false;
        for line in text.lines().map(str::trim) {
            if let Some(head) = line.strip_prefix('[') {
                let head = head.split(']').next().unwrap_or_default();
                let mut words = head.split_whitespace().map(str::to_ascii_lowercase);
                let (kind, name) = (words.next().unwrap_or_default(), words.next());
                in_aliases = kind == "aliases";
                match (kind.as_str(), name) {
                    ("group", Some(name)) => names.groups.insert(name),
                    ("ipset", Some(name)) => names.sets.insert(name),
                    _ => false,
                };
            } else if let (true, Some(name)) = (in_aliases, line.split_whitespace().next())
                && !name.starts_with('#')
            {
                names.aliases.insert(name.to_ascii_lowercase());
            }
        }
        names
    }
}

/// The ports that a NixOS guest opens, as far as the spec says them by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenPorts {
    /// Those of TCP.
    pub tcp: BTreeSet<PortRange>,
    /// Those of UDP.
    pub udp: BTreeSet<PortRange>,
    /// Settings that open ports whose numbers they do not say: path and place.
    pub unknown: Vec<(String, Span)>,
}

impl OpenPorts {
    /// Those of a guest: `ports`, those of sshd where it runs, and what the settings of its firewall say.
    pub fn of(host: &Host, nixos: &NixosGuest) -> Self {
        let mut open = Self::default();
        for port in &nixos.ports {
            let of_protocol = if port.udp {
                &mut open.udp
            } else {
                &mut open.tcp
            };
            of_protocol.extend(PortRange::one(i64::from(port.number)));
        }
        // What NixOS has where no setting says otherwise.
        let mut sshd: Vec<PortRange> = PortRange::one(22).into_iter().collect();
        let mut is_sshd_open = Logins::of(host, nixos).sshd;
        for (path, node) in leaves(nixos) {
            let names: Vec<&str> = path.iter().map(String::as_str).collect();
            match names[..] {
                ["services", "openssh", "openFirewall"] => {
                    is_sshd_open &= node.value != Value::Boolean(false);
                }
                ["services", "openssh", "ports"] => sshd = ranges(node),
                [.., "openFirewall"] if node.value == Value::Boolean(true) => {
                    open.unknown.push((path.join("."), node.span));
                }
                // The guest's own firewall looks which of its cards a port is open at.
                ["networking", "firewall", option]
                | ["networking", "firewall", "interfaces", _, option] => {
                    open.option(option, node, &path);
                }
                _ => {}
            }
        }
        if is_sshd_open {
            open.tcp.extend(sshd);
        }
        open
    }

    /// What an option of the guest's own firewall opens.
    fn option(&mut self, option: &str, node: &Node, path: &[String]) {
        match option {
            "allowedTCPPorts" | "allowedTCPPortRanges" => self.tcp.extend(ranges(node)),
            "allowedUDPPorts" | "allowedUDPPortRanges" => self.udp.extend(ranges(node)),
            "trustedInterfaces" | "extraCommands" | "extraInputRules" => {
                self.unknown.push((path.join("."), node.span));
            }
            _ => {}
        }
    }
}

/// The ports of a list: numbers, or tables with `from` and `to`. NixOS refuses whatever else stands there.
fn ranges(node: &Node) -> Vec<PortRange> {
    let Value::Array(items) = &node.value else {
        return Vec::new();
    };
    let items = items.iter().filter_map(|item| match &item.value {
        Value::Integer(number) => PortRange::one(*number),
        Value::Table(table) => match (&table.get("from")?.value, &table.get("to")?.value) {
            (Value::Integer(from), Value::Integer(to)) => {
                PortRange::parse(&format!("{from}-{to}")).ok()
            }
            _ => None,
        },
        Value::String(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::TooLarge(_)
        | Value::Datetime(_)
        | Value::Array(_) => None,
    });
    items.collect()
}
