//! `[….firewall]`: what a guest's cards let through, where the language has words for every line of it.

use super::doc::{Part, Toml};
use super::guest::Guest;
use super::write::Writing;
use crate::value::{
    Choice as _, FirewallAddresses, FirewallLog, FirewallMatch, FirewallPolicy, FirewallPorts,
    FirewallProtocol, SpecString as _,
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
    let mut rules = Vec::new();
    let mut section = "";
    for line in file.text.lines().map(str::trim) {
        if line.is_empty() {
            continue;
        }
        match (line, section) {
            ("[OPTIONS]" | "[RULES]", _) => section = line,
            (_, "[OPTIONS]") => {
                let (key, value) = line.split_once(':')?;
                option(key.trim(), value.trim(), &mut said)?;
            }
            (_, "[RULES]") => rules.push(rule(line)?),
            _ => return None,
        }
    }
    if !rules.is_empty() {
        said.push(("rules", Toml::List(rules)));
    }
    Some(said)
}

fn option(key: &str, value: &str, said: &mut Said) -> Option<()> {
    match key {
        "enable" => said[0].1 = (value == "1").into(),
        // It follows from the cards' addresses; the proof holds it against the file.
        "dhcp" => {}
        "policy_in" => said.push(("in", policy(value)?.into())),
        "policy_out" => said.push(("out", policy(value)?.into())),
        _ => return None,
    }
    Some(())
}

fn policy(word: &str) -> Option<&'static str> {
    FirewallPolicy::of(&word.to_ascii_lowercase()).map(FirewallPolicy::as_str)
}

/// `IN ACCEPT -source 192.0.2.0/24 -p tcp -dport 22 -log nolog # ssh`.
fn rule(line: &str) -> Option<Toml> {
    let (line, comment) = match line.split_once('#') {
        Some((line, comment)) => (line, Some(comment.trim())),
        None => (line, None),
    };
    let (line, enabled) = match line.strip_prefix('|') {
        Some(line) => (line, false),
        None => (line, true),
    };
    let mut words = line.split_whitespace();
    let direction = match words.next()? {
        "IN" => None,
        "OUT" => Some("out"),
        _ => return None,
    };
    let mut rule = vec![("action".to_owned(), policy(words.next()?)?.into())];
    let (mut protocol, mut port, mut from, mut to) = (None, None, None, None);
    let mut put = |key: &str, value: Toml| rule.push((key.to_owned(), value));
    if let Some(direction) = direction {
        put("direction", direction.into());
    }
    while let Some(key) = words.next() {
        let value = words.next()?;
        match key {
            "-p" => {
                protocol = Some(FirewallProtocol::parse(value).ok()?);
                put("protocol", value.into());
            }
            "-dport" => {
                port = Some(FirewallPorts::parse(value).ok()?);
                put("port", Toml::number(value));
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
        protocol: protocol.as_ref(),
        port: port.as_ref(),
        from: from.as_ref(),
        to: to.as_ref(),
    };
    // One that Proxmox VE leaves out stays in its file as it is.
    if compared.unheard().is_some() {
        return None;
    }
    if let Some(comment) = comment.filter(|comment| !comment.is_empty()) {
        put("comment", comment.into());
    }
    if !enabled {
        put("enabled", false.into());
    }
    Some(Toml::Table(rule))
}
