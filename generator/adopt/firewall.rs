//! `[….firewall]`: what a guest's cards let through, where the language has words for every line of it.

use super::doc::{Part, Toml};
use super::guest::Guest;
use super::write::Writing;
use crate::value::{
    Choice as _, EtherType, FirewallAddresses, FirewallAliasName, FirewallGroup, FirewallIcmpType,
    FirewallLog, FirewallMacro, FirewallMatch, FirewallMember, FirewallNetwork, FirewallPolicy,
    FirewallPorts, FirewallProtocol, FirewallQueues, FirewallSetName, SpecString as _,
};

/// The file of a guest's rules.
pub(super) fn path(vmid: u32) -> String {
    format!("etc/pve/firewall/{vmid}.fw")
}

/// The guest whose rules a file holds.
pub(super) fn guest_of(path: &str) -> Option<u32> {
    let name = path.strip_prefix("etc/pve/firewall/")?;
    name.strip_suffix(".fw")?.parse().ok()
}

/// Whether a file of rules is said by its guest's table.
pub(super) fn has_words(writing: &Writing<'_>, vmid: u32) -> bool {
    let part = Part::File(path(vmid));
    let decided = writing.decided;
    let is_left = decided.kept.contains_key(&part)
        || decided.out.contains_key(&Part::Guest(vmid))
        || decided.untouched.contains_key(&path(vmid));
    !is_left && read(writing, vmid).is_some()
}

/// A guest's rules in the words of its table.
type Said = Vec<(&'static str, Toml)>;

/// Writes the table.
pub(super) fn write(writing: &Writing<'_>, guest: &mut Guest<'_>) {
    let vmid = guest.live.vmid;
    if !has_words(writing, vmid) {
        return;
    }
    let mut table = guest.table_below("firewall");
    table.part = Part::File(path(vmid));
    for (key, value) in read(writing, vmid).unwrap_or_default() {
        table.set(key, value);
    }
    guest.below.push(table);
}

/// Reads the file; none where a line of it has no word.
fn read(writing: &Writing<'_>, vmid: u32) -> Option<Said> {
    let file = writing.live.firewall.get(&path(vmid))?;
    let mut said: Said = vec![("enabled", false.into())];
    let (mut rules, mut aliases, mut sets) = (Vec::new(), Vec::new(), Vec::<Set>::new());
    let mut section = Section::None;
    for line in file.text.lines().map(str::trim) {
        if line.is_empty() {
            continue;
        }
        if line.starts_with('[') {
            section = head(line, &mut sets)?;
            continue;
        }
        match section {
            Section::None => return None,
            Section::Options => {
                let (key, value) = line.split_once(':')?;
                option(key.trim(), value.trim(), &mut said)?;
            }
            Section::Aliases => aliases.push(alias(line)?),
            Section::Set => sets.last_mut()?.members.push(member(line)?),
            Section::Rules => rules.push(rule(line)?),
        }
    }
    if !aliases.is_empty() {
        said.push(("aliases", Toml::Table(aliases)));
    }
    if !sets.is_empty() {
        let sets = sets.into_iter().map(Set::said).collect();
        said.push(("sets", Toml::Table(sets)));
    }
    if !rules.is_empty() {
        said.push(("rules", Toml::List(rules)));
    }
    Some(said)
}

#[derive(Clone, Copy)]
enum Section {
    None,
    Options,
    Aliases,
    Set,
    Rules,
}

/// The line above a section's own.
fn head(line: &str, sets: &mut Vec<Set>) -> Option<Section> {
    let (line, comment) = remark(line);
    Some(match line {
        "[OPTIONS]" => Section::Options,
        "[ALIASES]" => Section::Aliases,
        "[RULES]" => Section::Rules,
        _ => {
            let name = line.strip_prefix("[IPSET ")?.strip_suffix(']')?;
            sets.push(Set {
                name: FirewallSetName::parse(name).ok()?.to_string(),
                members: Vec::new(),
                comment: comment.map(str::to_owned),
            });
            Section::Set
        }
    })
}

/// A line, and the remark behind it.
fn remark(line: &str) -> (&str, Option<&str>) {
    match line.split_once('#') {
        Some((line, comment)) => {
            let comment = comment.trim();
            (line.trim(), Some(comment).filter(|text| !text.is_empty()))
        }
        None => (line, None),
    }
}

/// A table of an address and a remark; the address alone where there is none.
fn with_remark(key: &str, value: Toml, comment: Option<&str>) -> Toml {
    match comment {
        Some(comment) => Toml::Table(vec![
            (key.to_owned(), value),
            ("comment".to_owned(), comment.into()),
        ]),
        None => value,
    }
}

/// A set: its members with their remarks.
struct Set {
    name: String,
    members: Vec<Toml>,
    comment: Option<String>,
}

impl Set {
    fn said(self) -> (String, Toml) {
        let is_remarked = self.members.iter().any(|one| matches!(one, Toml::Table(_)));
        let members = Toml::List(self.members);
        let said = match self.comment {
            Some(comment) => Toml::Table(vec![
                ("members".to_owned(), members),
                ("comment".to_owned(), Toml::Text(comment)),
            ]),
            // The short form has no place for what is said of a member.
            None if is_remarked => Toml::Table(vec![("members".to_owned(), members)]),
            None => members,
        };
        (self.name, said)
    }
}

fn alias(line: &str) -> Option<(String, Toml)> {
    let (line, comment) = remark(line);
    let (name, address) = line.split_once(' ')?;
    let name = FirewallAliasName::parse(name).ok()?;
    let address = FirewallNetwork::parse(address).ok()?;
    let said = with_remark("address", address.as_str().into(), comment);
    Some((name.to_string(), said))
}

fn member(line: &str) -> Option<Toml> {
    let (line, comment) = remark(line);
    let member = FirewallMember::parse(line).ok()?;
    Some(with_remark("address", member.as_str().into(), comment))
}

fn option(key: &str, value: &str, said: &mut Said) -> Option<()> {
    let flag = match value {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    };
    let level = || FirewallLog::of(value).map(FirewallLog::as_str);
    match key {
        "enable" => said[0].1 = (value == "1").into(),
        "policy_in" => said.push(("in", policy(value)?.into())),
        "policy_out" => said.push(("out", policy(value)?.into())),
        "dhcp" => said.push(("dhcp", flag?.into())),
        "ndp" => said.push(("ndp", flag?.into())),
        "radv" => said.push(("radv", flag?.into())),
        "macfilter" => said.push(("macfilter", flag?.into())),
        "ipfilter" => said.push(("ipfilter", flag?.into())),
        "ips" => said.push(("ips", flag?.into())),
        "ips_queues" => {
            let queues = FirewallQueues::parse(value).ok()?;
            said.push(("ips-queues", queues.as_str().into()));
        }
        "layer2_protocols" => {
            let protocols = value.split(',').map(str::trim);
            let protocols =
                protocols.map(|one| EtherType::parse(one).ok().map(|one| one.to_string()));
            let protocols: Vec<String> = protocols.collect::<Option<_>>()?;
            said.push(("layer2-protocols", Toml::texts(protocols)));
        }
        "log_level_in" => said.push(("log-level-in", level()?.into())),
        "log_level_out" => said.push(("log-level-out", level()?.into())),
        _ => return None,
    }
    Some(())
}

fn policy(word: &str) -> Option<&'static str> {
    FirewallPolicy::of(&word.to_ascii_lowercase()).map(FirewallPolicy::as_str)
}

/// `IN SSH(ACCEPT) -i net0 -source 192.0.2.0/24 -log nolog # ssh`.
fn rule(line: &str) -> Option<Toml> {
    let (line, comment) = remark(line);
    let (line, enabled) = match line.strip_prefix('|') {
        Some(line) => (line, false),
        None => (line, true),
    };
    let mut words = line.split_whitespace();
    let mut rule = Vec::new();
    let mut put = |key: &str, value: Toml| rule.push((key.to_owned(), value));
    let (kind, what) = (words.next()?, words.next()?);
    let mut service = None;
    match kind {
        "GROUP" => put("group", FirewallGroup::parse(what).ok()?.as_str().into()),
        "IN" | "OUT" => {
            let action = match what.strip_suffix(')').and_then(|text| text.split_once('(')) {
                Some((name, action)) => {
                    service = Some(FirewallMacro::parse(name).ok()?);
                    action
                }
                None => what,
            };
            put("action", policy(action)?.into());
            if kind == "OUT" {
                put("direction", "out".into());
            }
            if let Some(service) = service {
                put("macro", service.as_str().into());
            }
        }
        _ => return None,
    }
    let is_group = kind == "GROUP";
    let (mut protocol, mut port, mut from_port) = (None, None, None);
    let (mut icmp_type, mut from, mut to) = (None, None, None);
    while let Some(key) = words.next() {
        let value = words.next()?;
        match key {
            "-i" => put("card", value.into()),
            _ if is_group => return None,
            "-p" => {
                protocol = Some(FirewallProtocol::parse(value).ok()?);
                put("protocol", value.into());
            }
            "-dport" => {
                port = Some(FirewallPorts::parse(value).ok()?);
                put("port", Toml::number(value));
            }
            "-sport" => {
                from_port = Some(FirewallPorts::parse(value).ok()?);
                put("from-port", Toml::number(value));
            }
            "-icmp-type" => {
                icmp_type = Some(FirewallIcmpType::parse(value).ok()?);
                put("icmp-type", value.into());
            }
            "-source" => {
                from = Some(FirewallAddresses::parse(value).ok()?);
                put("from", value.into());
            }
            "-dest" => {
                to = Some(FirewallAddresses::parse(value).ok()?);
                put("to", value.into());
            }
            "-log" if value == "nolog" => {}
            "-log" => put("log", FirewallLog::of(value)?.as_str().into()),
            _ => return None,
        }
    }
    let compared = FirewallMatch {
        service,
        protocol: protocol.as_ref(),
        port: port.as_ref(),
        from_port: from_port.as_ref(),
        icmp_type: icmp_type.as_ref(),
        from: from.as_ref(),
        to: to.as_ref(),
    };
    // One that Proxmox VE leaves out stays in its file as it is.
    if compared.unheard().is_some() {
        return None;
    }
    if let Some(comment) = comment {
        put("comment", comment.into());
    }
    if !enabled {
        put("enabled", false.into());
    }
    Some(Toml::Table(rule))
}
