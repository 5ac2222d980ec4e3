//! What the rules of a firewall can name.

use std::collections::BTreeSet;

use crate::model::{GuestFirewall, Host, KeptText};

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
