//! Files of the firewall: the calls that change them.
//!
//! A rule has no name in Proxmox VE's API, only the place where it stands, which every call before it may have moved: so
//! the calls are worked out one after another, in the order of the plan, on a copy of the host's lists.

use super::classes::Kind;
use super::items::{Options, Rules};
use super::{Change, Class, Object, parse};
use crate::shell::Command;

/// How options of the firewall are compared and set.
pub(super) struct FirewallRules<'a> {
    /// Where the API has the file, such as `/cluster/firewall`; empty for a guest that nobody knows.
    pub(super) api: &'a str,
}

impl Rules for FirewallRules<'_> {
    fn class(&self, _: &Object, _: Option<&str>, _: Kind) -> Class {
        Class::NOW
    }

    fn is_same(&self, _: &Object, option: &str, live: Option<&str>, wanted: Option<&str>) -> bool {
        // A rule is its own text: where it stands among others' is not ours to say.
        if option.starts_with('[') && alias(option).is_none() {
            return live.is_some() == wanted.is_some();
        }
        live == wanted
    }

    fn is_left(
        &self,
        object: &Object,
        option: &str,
        left: Option<&str>,
        now: Option<&str>,
    ) -> bool {
        self.is_same(object, option, left, now)
    }

    fn set(&self, _: &Object, option: &str, value: Option<&str>, _: &Options) -> Vec<Command> {
        if option.starts_with('[') || self.api.is_empty() {
            return Vec::new();
        }
        vec![set_option(self.api, option, value)]
    }

    fn key(&self, _: &Object, option: Option<&str>) -> String {
        match option {
            None => String::new(),
            Some(option) => match option.split_once("] ") {
                Some((section, line)) => format!("{section}]\t{line}"),
                None => format!("[OPTIONS]\t{option}"),
            },
        }
    }

    fn shown(&self, _: &Object, options: &Options) -> String {
        options.keys().cloned().collect::<Vec<_>>().join("; ")
    }
}

/// The name of the alias that an option is about.
fn alias(option: &str) -> Option<&str> {
    option.strip_prefix(parse::ALIASES)?.strip_prefix(' ')
}

fn set_option(api: &str, option: &str, value: Option<&str>) -> Command {
    let command = Command::new("pvesh").arg("set");
    let command = command.arg(format!("{api}/options"));
    match value {
        Some(value) => command.arg(format!("--{option}")).arg(value),
        None => command.arg("--delete").arg(option),
    }
}

/// A section of a file, as the API has it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Section {
    Rules,
    Group(String),
    Aliases,
    Set(String),
}

impl Section {
    /// By what stands between the brackets.
    fn parse(text: &str) -> Option<Self> {
        let (word, name) = text.split_once(' ').unwrap_or((text, ""));
        let name = name.trim().to_owned();
        match word.to_ascii_lowercase().as_str() {
            "rules" => Some(Self::Rules),
            "aliases" => Some(Self::Aliases),
            "group" => Some(Self::Group(name)),
            "ipset" => Some(Self::Set(name)),
            _ => None,
        }
    }

    /// Where its entries are.
    fn path(&self, api: &str) -> String {
        match self {
            Self::Rules => format!("{api}/rules"),
            Self::Group(name) => format!("{api}/groups/{name}"),
            Self::Aliases => format!("{api}/aliases"),
            Self::Set(name) => format!("{api}/ipset/{name}"),
        }
    }

    /// What makes the section where the file has none, and what takes it away.
    fn made(&self, api: &str) -> Option<(Command, Command)> {
        let pvesh = |verb: &str, path: String| Command::new("pvesh").arg(verb).arg(path);
        let (list, key, name) = match self {
            Self::Rules | Self::Aliases => return None,
            Self::Group(name) => ("groups", "--group", name),
            Self::Set(name) => ("ipset", "--name", name),
        };
        let create = pvesh("create", format!("{api}/{list}"));
        let delete = pvesh("delete", format!("{api}/{list}/{name}"));
        Some((create.arg(key).arg(name), delete))
    }

    fn is_ordered(&self) -> bool {
        match self {
            Self::Rules | Self::Group(_) => true,
            Self::Aliases | Self::Set(_) => false,
        }
    }
}

/// What a change does, and what takes it back.
#[derive(Debug, Default)]
struct Calls {
    does: Vec<Command>,
    undoes: Vec<Command>,
}

impl Calls {
    /// Adds a call with its undo: what was done last is taken back first.
    fn push(&mut self, does: Command, undoes: Command) {
        self.does.push(does);
        self.undoes.insert(0, undoes);
    }
}

/// Gives each change of one file its calls, in the order in which a plan has them.
pub(super) fn give_calls(changes: &mut [Change], api: &str, live: &str, wanted: &str) {
    if api.is_empty() {
        return;
    }
    let mut lists = Lists {
        api,
        live: sections(live),
        wanted: sections(wanted),
    };
    changes.sort_by(super::in_order);
    for change in changes {
        let mut calls = Calls::default();
        match change.option.as_deref() {
            None => lists.whole(change.after.is_some(), live, wanted, &mut calls),
            Some(option) => {
                let entry = option
                    .strip_prefix('[')
                    .and_then(|text| text.split_once("] "));
                if let Some((section, text)) = entry {
                    let Some(section) = Section::parse(section) else {
                        continue;
                    };
                    let entry = |address: &String| format!("{text} {address}");
                    match (&section, &change.before, &change.after) {
                        (Section::Aliases, Some(before), Some(after)) => {
                            let path = section.path(api);
                            calls.push(address(&path, text, after), address(&path, text, before));
                        }
                        (Section::Aliases, None, Some(after)) => {
                            lists.add(&section, &entry(after), &mut calls);
                        }
                        (Section::Aliases, Some(before), None) => {
                            lists.remove(&section, &entry(before), &mut calls);
                        }
                        (_, _, Some(_)) => lists.add(&section, text, &mut calls),
                        (_, _, None) => lists.remove(&section, text, &mut calls),
                    }
                } else if let (Some(section), Some(after)) = (ordered(option), &change.after) {
                    lists.order(&section, &after.lines().collect::<Vec<_>>(), &mut calls);
                } else {
                    continue;
                }
            }
        }
        change.commands = calls.does;
        change.undo = calls.undoes;
    }
}

/// The section whose order an option of this name is.
fn ordered(option: &str) -> Option<Section> {
    Section::parse(option).filter(Section::is_ordered)
}

type Sections = Vec<(Section, Vec<String>)>;

/// The lists of a file, in its order, each entry as [`parse::firewall_entry`] reads it.
fn sections(text: &str) -> Sections {
    let mut found = Sections::new();
    let mut is_list = false;
    for line in text.lines() {
        let line = line.trim();
        if let Some(head) = line.strip_prefix('[') {
            let name = head.split(']').next().unwrap_or_default();
            let section = Section::parse(name);
            is_list = section.is_some();
            if let Some(section) = section {
                found.push((section, Vec::new()));
            }
            continue;
        }
        let entry = parse::firewall_entry(line);
        if let (Some(entry), true, Some((_, entries))) = (entry, is_list, found.last_mut()) {
            entries.push(entry);
        }
    }
    found
}

struct Lists<'a> {
    api: &'a str,
    /// As the host has them after the calls so far.
    live: Sections,
    wanted: Sections,
}

impl Lists<'_> {
    /// The file comes, or goes.
    fn whole(&mut self, comes: bool, live: &str, wanted: &str, calls: &mut Calls) {
        let text = if comes { wanted } else { live };
        for (option, value) in parse::firewall(text) {
            if option.starts_with('[') {
                continue;
            }
            let set = set_option(self.api, &option, Some(&value));
            let unset = set_option(self.api, &option, None);
            if comes {
                calls.push(set, unset);
            } else {
                calls.push(unset, set);
            }
        }
        for (section, entries) in sections(text) {
            for entry in entries {
                if comes {
                    self.add(&section, &entry, calls);
                } else {
                    self.remove(&section, &entry, calls);
                }
            }
        }
    }

    /// The entries of a section, which is made where there is none.
    fn list(&mut self, section: &Section, calls: &mut Calls) -> &mut Vec<String> {
        let at = self.live.iter().position(|(own, _)| own == section);
        let at = at.unwrap_or_else(|| {
            if let Some((create, delete)) = section.made(self.api) {
                calls.push(create, delete);
            }
            self.live.push((section.clone(), Vec::new()));
            self.live.len() - 1
        });
        &mut self.live[at].1
    }

    fn add(&mut self, section: &Section, entry: &str, calls: &mut Calls) {
        let path = section.path(self.api);
        let wanted = self.wanted.iter().find(|(own, _)| own == section);
        let order = wanted.map_or_else(Vec::new, |(_, entries)| entries.clone());
        let list = self.list(section, calls);
        if section.is_ordered() {
            let place = place_of(entry, &order, list);
            list.insert(place, entry.to_owned());
            insert(&path, entry, place, calls);
        } else {
            list.push(entry.to_owned());
            let (create, delete) = named(section, &path, entry);
            calls.push(create, delete);
        }
    }

    fn remove(&mut self, section: &Section, entry: &str, calls: &mut Calls) {
        let path = section.path(self.api);
        let Some((_, list)) = self.live.iter_mut().find(|(own, _)| own == section) else {
            return;
        };
        while let Some(place) = list.iter().position(|own| own == entry) {
            list.remove(place);
            if section.is_ordered() {
                let mut back = Calls::default();
                insert(&path, entry, place, &mut back);
                let delete = Command::new("pvesh").arg("delete");
                calls.does.push(delete.arg(format!("{path}/{place}")));
                calls.undoes.splice(0..0, back.does);
            } else {
                let (create, delete) = named(section, &path, entry);
                calls.push(delete, create);
            }
        }
    }

    /// Moves what stands before its predecessor behind it.
    fn order(&mut self, section: &Section, order: &[&str], calls: &mut Calls) {
        let path = section.path(self.api);
        let list = self.list(section, calls);
        let place = |list: &[String], entry: &str| list.iter().position(|own| own == entry);
        for pair in order.windows(2) {
            let (Some(first), Some(second)) = (place(list, pair[0]), place(list, pair[1])) else {
                continue;
            };
            if second < first {
                let entry = list.remove(second);
                list.insert(first, entry);
                calls.push(moved(&path, second, first + 1), moved(&path, first, second));
            }
        }
    }
}

/// Where an entry goes: behind the nearest before it that is there, else before the nearest behind it, else on top.
fn place_of(entry: &str, order: &[String], list: &[String]) -> usize {
    let there = |other: &String| list.iter().position(|own| own == other);
    let at = order.iter().position(|own| own == entry).unwrap_or(0);
    let before = order[..at].iter().rev().find_map(there);
    let behind = || order.iter().skip(at + 1).find_map(there);
    before.map(|place| place + 1).or_else(behind).unwrap_or(0)
}

/// A new rule comes on top (`create_rule` of pve-firewall), and is moved from there.
fn insert(path: &str, entry: &str, place: usize, calls: &mut Calls) {
    let create = Command::new("pvesh").arg("create").arg(path);
    let create = rule(entry)
        .into_iter()
        .fold(create, |command, (key, value)| {
            command.arg(format!("--{key}")).arg(value)
        });
    let delete = Command::new("pvesh").arg("delete");
    calls.push(create, delete.arg(format!("{path}/0")));
    if place > 0 {
        calls.push(moved(path, 0, place + 1), moved(path, place, 0));
    }
}

/// Moves a rule before the one that stands at `to` now.
fn moved(path: &str, from: usize, to: usize) -> Command {
    let command = Command::new("pvesh").arg("set");
    command
        .arg(format!("{path}/{from}"))
        .arg("--moveto")
        .arg(to)
}

/// A rule's parts by their names in the API (`parse_fw_rule` of pve-firewall).
fn rule(entry: &str) -> Vec<(&'static str, String)> {
    let (text, is_on) = match entry.strip_prefix('|') {
        Some(text) => (text, false),
        None => (entry, true),
    };
    let mut words = text.split_whitespace();
    let mut parts = vec![("enable", u8::from(is_on).to_string())];
    let kind = words.next().unwrap_or_default().to_ascii_lowercase();
    parts.push(("type", kind));
    let action = words.next().unwrap_or_default();
    match action
        .strip_suffix(')')
        .and_then(|text| text.split_once('('))
    {
        Some((name, action)) => {
            parts.push(("macro", name.to_owned()));
            parts.push(("action", action.to_owned()));
        }
        None => parts.push(("action", action.to_owned())),
    }
    while let (Some(option), Some(value)) = (words.next(), words.next()) {
        let name = match option.trim_start_matches('-') {
            "i" | "iface" => "iface",
            "p" | "proto" => "proto",
            "source" => "source",
            "dest" => "dest",
            "dport" => "dport",
            "sport" => "sport",
            "log" => "log",
            "icmp-type" => "icmp-type",
            _ => continue,
        };
        parts.push((name, value.to_owned()));
    }
    parts
}

/// What gives an alias its address.
fn address(path: &str, name: &str, address: &str) -> Command {
    let command = Command::new("pvesh").arg("set");
    let command = command.arg(format!("{path}/{name}"));
    command.arg("--cidr").arg(address)
}

/// What makes an alias or a member of a set, and what takes it away.
fn named(section: &Section, path: &str, entry: &str) -> (Command, Command) {
    let create = Command::new("pvesh").arg("create").arg(path);
    let delete = |name: &str| {
        Command::new("pvesh")
            .arg("delete")
            .arg(format!("{path}/{name}"))
    };
    let mut words = entry.split_whitespace();
    let first = words.next().unwrap_or_default();
    match section {
        Section::Aliases => {
            let address = words.next().unwrap_or_default();
            let create = create.arg("--name").arg(first);
            (create.arg("--cidr").arg(address), delete(first))
        }
        Section::Set(_) | Section::Rules | Section::Group(_) => match first.strip_prefix('!') {
            Some(address) => {
                let create = create.arg("--cidr").arg(address);
                (create.arg("--nomatch").arg("1"), delete(address))
            }
            None => (create.arg("--cidr").arg(first), delete(first)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Cause;

    fn change(option: Option<&str>, before: Option<&str>, after: Option<&str>) -> Change {
        Change {
            object: Object::Firewall("cluster".to_owned()),
            option: option.map(str::to_owned),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            class: Class::NOW,
            cause: Cause::Unknown,
            commands: Vec::new(),
            undo: Vec::new(),
            spec: None,
            line: None,
        }
    }

    fn lines(commands: &[Command]) -> Vec<String> {
        commands.iter().map(ToString::to_string).collect()
    }

    fn calls(change_of: Change, live: &str, wanted: &str) -> (Vec<String>, Vec<String>) {
        let mut changes = [change_of];
        give_calls(&mut changes, "/cluster/firewall", live, wanted);
        (lines(&changes[0].commands), lines(&changes[0].undo))
    }

    const LIVE: &str =
        "[RULES]\n\nIN ACCEPT -p tcp -dport 1 # theirs\nIN ACCEPT -p tcp -dport 2 -log nolog\n";

    #[test]
    fn a_rule_goes_where_the_spec_has_it() {
        let wanted = "[RULES]\nIN ACCEPT -p tcp -dport 2\nIN SSH(ACCEPT) -source 192.0.2.0/24\n";
        let (does, undoes) = calls(
            change(
                Some("[RULES] IN SSH(ACCEPT) -source 192.0.2.0/24"),
                None,
                Some("2"),
            ),
            LIVE,
            wanted,
        );
        assert_eq!(
            does,
            [
                "pvesh create /cluster/firewall/rules --enable 1 --type in --macro SSH --action ACCEPT --source 192.0.2.0/24",
                "pvesh set /cluster/firewall/rules/0 --moveto 3",
            ]
        );
        assert_eq!(
            undoes,
            [
                "pvesh set /cluster/firewall/rules/2 --moveto 0",
                "pvesh delete /cluster/firewall/rules/0",
            ]
        );
    }

    #[test]
    fn a_rule_that_goes_comes_back_to_its_place() {
        let (does, undoes) = calls(
            change(Some("[RULES] IN ACCEPT -p tcp -dport 2"), Some("2"), None),
            LIVE,
            "",
        );
        assert_eq!(does, ["pvesh delete /cluster/firewall/rules/1"]);
        assert_eq!(
            undoes,
            [
                "pvesh create /cluster/firewall/rules --enable 1 --type in --action ACCEPT --proto tcp --dport 2",
                "pvesh set /cluster/firewall/rules/0 --moveto 2",
            ]
        );
    }

    #[test]
    fn sets_groups_and_aliases_are_made_with_their_first_member() {
        let (does, undoes) = calls(
            change(Some("[IPSET lan] !192.0.2.0/28"), None, Some("1")),
            "",
            "[IPSET lan]\n!192.0.2.0/28\n",
        );
        assert_eq!(
            does,
            [
                "pvesh create /cluster/firewall/ipset --name lan",
                "pvesh create /cluster/firewall/ipset/lan --cidr 192.0.2.0/28 --nomatch 1",
            ]
        );
        assert_eq!(
            undoes,
            [
                "pvesh delete /cluster/firewall/ipset/lan/192.0.2.0/28",
                "pvesh delete /cluster/firewall/ipset/lan",
            ]
        );
        let (does, _) = calls(
            change(Some("[ALIASES] web"), None, Some("192.0.2.7")),
            "",
            "[ALIASES]\nweb 192.0.2.7\n",
        );
        assert_eq!(
            does,
            ["pvesh create /cluster/firewall/aliases --name web --cidr 192.0.2.7"]
        );
    }

    #[test]
    fn an_alias_has_one_address() {
        let (does, undoes) = calls(
            change(Some("[ALIASES] web"), Some("192.0.2.7"), Some("192.0.2.8")),
            "[ALIASES]\nweb 192.0.2.7\n",
            "[ALIASES]\nweb 192.0.2.8\n",
        );
        assert_eq!(
            does,
            ["pvesh set /cluster/firewall/aliases/web --cidr 192.0.2.8"]
        );
        assert_eq!(
            undoes,
            ["pvesh set /cluster/firewall/aliases/web --cidr 192.0.2.7"]
        );
    }

    #[test]
    fn only_what_stands_wrong_is_moved() {
        let live = "[RULES]\nIN ACCEPT -dport 1\nIN ACCEPT -dport 9\nIN ACCEPT -dport 2\n";
        let order = "IN ACCEPT -dport 2\nIN ACCEPT -dport 1";
        let (does, undoes) = calls(change(Some("RULES"), Some(""), Some(order)), live, "");
        assert_eq!(does, ["pvesh set /cluster/firewall/rules/0 --moveto 3"]);
        assert_eq!(undoes, ["pvesh set /cluster/firewall/rules/2 --moveto 0"]);
    }
}
