//! Files that others write, too: what the plan found in them, as single items of the file, each with what it is expected
//! to be and what it becomes.

use std::collections::BTreeSet;

use crate::plan::{
    ALIASES, Cause, Change, Object, When, firewall_entry, node_of_map, section_texts,
};

use super::{Grammar, Item, Policy};

/// What is done to a file, and what is told and not done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Edits {
    /// The items that change.
    pub(super) items: Vec<Item>,
    /// What stays, and why.
    pub(super) stays: Vec<String>,
    /// What is in the way of the run.
    pub(super) refused: Vec<String>,
}

/// The three texts of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts<'a> {
    /// What the host has; nothing where the file is missing.
    pub(super) live: &'a str,
    /// What the spec wants.
    pub(super) wanted: &'a str,
    /// What the last run left.
    pub(super) left: &'a str,
}

/// The items of a file that `changes`, all of that file, are about.
pub(super) fn of(grammar: Grammar, policy: Policy, texts: Texts<'_>, changes: &[&Change]) -> Edits {
    let read = |text| items(grammar, text);
    let sides = Sides {
        grammar,
        policy,
        live: read(texts.live),
        wanted: read(texts.wanted),
        left: read(texts.left),
    };
    let mut edits = Edits::default();
    let others = others(changes);
    let kinds = changes.iter().filter(|change| is_of_another_kind(change));
    edits.refused.extend(kinds.map(|change| {
        let [_, before, after] = shown(change);
        format!(
            "{} on the host is another one, of the kind {before} and not {after}: give the spec's another name, or remove the host's",
            change.object
        )
    }));
    for change in changes {
        if others.contains(&change.object) && !is_made_anew(change) {
            let why = format!(
                "{} on the host is another one than the spec's: all of it stays as it is",
                change.object
            );
            if !edits.stays.contains(&why) {
                edits.stays.push(why);
            }
            continue;
        }
        sides.add(change, &mut edits);
    }
    edits
}

/// Whether the host has something of another kind under the name that the spec gives.
fn is_of_another_kind(change: &Change) -> bool {
    let is_of_sections = matches!(change.object, Object::Storage(_) | Object::Job(_));
    is_of_sections && change.option.as_deref() == Some("type") && change.cause != Cause::Host
}

/// The objects of which the host has another one of that name: nothing of it is changed into what belongs to the spec's.
fn others<'a>(changes: &[&'a Change]) -> BTreeSet<&'a Object> {
    changes
        .iter()
        .filter(|change| is_made_anew(change))
        .map(|change| &change.object)
        .collect()
}

/// An item of a text: its key as the script's editor knows it, the part of a plan that it belongs to, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    key: String,
    object: String,
    option: Option<String>,
    value: String,
}

/// Whether an option of the firewall is the order of a section.
fn is_order(option: &str) -> bool {
    option.eq_ignore_ascii_case("rules") || option.starts_with("group ")
}

/// Whether a part of an option that changes is the change's: the lines of a mapping are a node's each.
fn is_of_change(part: &Part, change: &Change) -> bool {
    let node = |text: &str| node_of_map(text.lines().next().unwrap_or_default()).map(str::to_owned);
    part.option.as_deref() != Some("map")
        || change
            .before
            .as_deref()
            .is_some_and(|before| node(before) == node(&part.value))
}

struct Sides {
    grammar: Grammar,
    policy: Policy,
    live: Vec<Part>,
    wanted: Vec<Part>,
    left: Vec<Part>,
}

fn value_of<'a>(parts: &'a [Part], key: &str) -> Option<&'a str> {
    let part = parts.iter().find(|part| part.key == key)?;
    Some(&part.value)
}

impl Sides {
    fn add(&self, change: &Change, edits: &mut Edits) {
        let name = name_of(self.grammar, &change.object);
        let is_there = self.live.iter().any(|part| part.object == name);
        let option = change.option.as_deref();
        if let Some(why) = self.why_not(change) {
            if !edits.stays.contains(&why) {
                edits.stays.push(why);
            }
            return;
        }
        // Rules that change places.
        if self.grammar == Grammar::Firewall
            && let Some(option) = option
            && is_order(option)
        {
            let before = change.before.as_deref();
            push(edits, &format!("[{option}]"), before, change.after.clone());
            return;
        }
        // An option of an object that the file does not hold comes with the object.
        let whole = option.is_none() || !is_there && self.grammar == Grammar::Sections;
        let is_of =
            |part: &&Part| part.object == name && (whole || part.option.as_deref() == option);
        let goes = change.after.is_none();
        // What others put into a list stays: the plan has the union.
        let is_list = self.grammar == Grammar::Sections
            && matches!(option, Some("content" | "exclude" | "vmid"));
        for part in self.wanted.iter().filter(is_of).filter(|_| !goes) {
            let before = value_of(&self.live, &part.key);
            // The plan has it with what others wrote into it.
            let is_joined = !whole
                && matches!(self.grammar, Grammar::Sections | Grammar::Keys)
                && is_of_change(part, change);
            let after = match &change.after {
                Some(after) if is_joined => after,
                _ => &part.value,
            };
            if before != Some(after) {
                push(edits, &part.key, before, Some(after.clone()));
            }
        }
        // A list of which only others' words stay.
        if is_list && is_there && !goes {
            let key = format!("{name}\t{}", option.unwrap_or_default());
            push(
                edits,
                &key,
                value_of(&self.live, &key),
                change.after.clone(),
            );
        }
        let removals = self.live.iter().filter(is_of).filter(|part| {
            value_of(&self.wanted, &part.key).is_none()
                && (value_of(&self.left, &part.key).is_some()
                    // Another value of one and the same option, and no further word or line.
                    || option.is_some()
                        && matches!(self.grammar, Grammar::Sections | Grammar::Keys)
                        && is_of_change(part, change))
        });
        // A section goes last of all, and only where nobody has added to it.
        let mut header = None;
        for part in removals {
            if part.option.is_none() && self.grammar == Grammar::Sections {
                header = Some(part);
            } else {
                push(edits, &part.key, Some(&part.value), None);
            }
        }
        let added_to = self
            .live
            .iter()
            .any(|part| part.object == name && value_of(&self.left, &part.key).is_none());
        if let Some(header) = header.filter(|_| !added_to) {
            push(edits, &header.key, Some(&header.value), None);
        }
    }

    /// Why a change is told and not made.
    fn why_not(&self, change: &Change) -> Option<String> {
        if change.cause == Cause::Host {
            return Some(by_hand(change));
        }
        let [what, before, after] = shown(change);
        if is_made_anew(change) {
            let way_out = match &change.object {
                Object::Storage(name) => {
                    format!(
                        "`pvesm remove {name}`, and the next run adds it; what is on it is kept"
                    )
                }
                _ => "give the spec's another name, or remove the host's".to_owned(),
            };
            return Some(format!(
                "{what} is {before}, and only making it anew could make it {after}: it stays ({way_out})"
            ));
        }
        if change.after.is_some() {
            return None;
        }
        if change.option.is_none() && self.policy == Policy::Stores {
            return Some(format!("{what} is no longer in the spec, and stays"));
        }
        (change.cause == Cause::Both).then(|| no_longer_said(change))
    }
}

/// Whether something as a whole leaves the spec, and somebody changed it by hand since the last run.
pub(super) fn stays_though_gone(change: &Change) -> bool {
    change.option.is_none() && change.after.is_none() && change.cause == Cause::Both
}

/// What is told of something that leaves the spec and stays.
pub(super) fn no_longer_said(change: &Change) -> String {
    let [what, ..] = shown(change);
    format!("{what} is no longer in the spec, but changed by hand since: it stays")
}

/// What a change is about, with its two values.
fn shown(change: &Change) -> [String; 3] {
    let value = |value: &Option<String>| match value {
        Some(value) => format!("`{value}`"),
        None => "nothing".to_owned(),
    };
    let what = match &change.option {
        Some(option) => format!("{option} of {}", change.object),
        None => change.object.to_string(),
    };
    [what, value(&change.before), value(&change.after)]
}

/// What is told of an edit by hand.
pub(super) fn by_hand(change: &Change) -> String {
    let [what, before, after] = shown(change);
    format!("{what} is {before} by hand, and not {after}")
}

/// Whether a section would have to be made anew for a change: a storage or a job that is another one.
fn is_made_anew(change: &Change) -> bool {
    change.class.when == When::Recreate
}

/// What later runs have to know of a file of sections, where that is not all of it: an option that was told and not changed
/// is as the last run left it, or as it was found.
pub(super) fn noted(wanted: &str, left: &str, changes: &[&Change]) -> Option<String> {
    let left = sections(left);
    let others = others(changes);
    // Of one that no run has made, later runs know nothing, either.
    let unknown: BTreeSet<&str> = others
        .iter()
        .map(|object| name_of(Grammar::Sections, object))
        .filter(|name| left.iter().all(|part| part.object != *name))
        .collect();
    let stays: Vec<(String, Option<String>)> = changes
        .iter()
        .filter(|change| others.contains(&change.object) && change.cause != Cause::Host)
        .filter_map(|change| {
            let key = format!(
                "{}\t{}",
                name_of(Grammar::Sections, &change.object),
                change.option.as_deref()?
            );
            let was = value_of(&left, &key).map(str::to_owned);
            Some((key, was.or_else(|| change.before.clone())))
        })
        .collect();
    if stays.is_empty() && unknown.is_empty() {
        return None;
    }
    let mut noted = String::new();
    let mut id = String::new();
    for line in wanted.split_inclusive('\n') {
        if !line.starts_with(char::is_whitespace) {
            let name = line.split_once(':').map_or(line, |(_, name)| name);
            name.trim().clone_into(&mut id);
        }
        if unknown.contains(id.as_str()) {
            continue;
        }
        let option = line.split_whitespace().next().unwrap_or_default();
        let key = format!("{id}\t{option}");
        match stays.iter().find(|(stays, _)| *stays == key) {
            Some((_, Some(value))) if line.starts_with('\t') => {
                noted.extend(["\t", option, " ", value, "\n"]);
            }
            Some((_, None)) if line.starts_with('\t') => {}
            Some(_) | None => noted.push_str(line),
        }
    }
    Some(noted)
}

fn push(edits: &mut Edits, key: &str, before: Option<&str>, after: Option<String>) {
    if !edits.items.iter().any(|item| item.key == key) {
        edits.items.push(Item {
            key: key.to_owned(),
            before: before.map(str::to_owned),
            after,
            volume: None,
            follows: false,
        });
    }
}

/// The name of an object in its file; nothing where the file is one object.
fn name_of(grammar: Grammar, object: &Object) -> &str {
    match (grammar, object) {
        (
            Grammar::Sections,
            Object::Storage(name)
            | Object::Job(name)
            | Object::Mapping(_, name)
            | Object::Section(_, name),
        ) => name,
        _ => "",
    }
}

/// The items of a text, by the rules of the script's editor.
fn items(grammar: Grammar, text: &str) -> Vec<Part> {
    match grammar {
        Grammar::Sections => sections(text),
        Grammar::Keys => keys(text),
        Grammar::Tokens => tokens(text),
        Grammar::Firewall => firewall(text),
    }
}

fn sections(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for section in section_texts(text) {
        let id = section.id;
        parts.push(Part {
            key: id.to_owned(),
            object: id.to_owned(),
            option: None,
            value: match section.kind {
                Some(kind) => format!("{kind}: {id}"),
                None => id.to_owned(),
            },
        });
        for (option, value) in section.properties {
            let key = if option == "map" {
                format!("{id}\tmap of {}", node_of_map(value).unwrap_or_default())
            } else {
                format!("{id}\t{option}")
            };
            // An option may have several lines, a device several of one node.
            if let Some(known) = parts.iter_mut().find(|part| part.key == key) {
                known.value.push('\n');
                known.value.push_str(value);
                continue;
            }
            parts.push(Part {
                key,
                object: id.to_owned(),
                option: Some(option.to_owned()),
                value: value.to_owned(),
            });
        }
    }
    parts
}

fn part(key: &str, option: &str, value: &str) -> Part {
    Part {
        key: key.to_owned(),
        object: String::new(),
        option: Some(option.to_owned()),
        value: value.to_owned(),
    }
}

fn keys(text: &str) -> Vec<Part> {
    let is_word = |key: &str| {
        !key.is_empty()
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.trim_end(), value.trim()))
        .filter(|(key, _)| is_word(key))
        .map(|(key, value)| part(key, key, value))
        .collect()
}

fn tokens(text: &str) -> Vec<Part> {
    let mut seen = BTreeSet::new();
    text.split_ascii_whitespace()
        .filter(|word| seen.insert(*word))
        .map(|word| part(word, word.split('=').next().unwrap_or(word), word))
        .collect()
}

fn firewall(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut section = None;
    for line in text.lines().map(str::trim_end) {
        let bare = line.trim_start();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        if bare.starts_with('[')
            && let Some(end) = bare.find(']')
        {
            let name = &bare[..=end];
            let known = ["[OPTIONS]", ALIASES];
            let known = known
                .into_iter()
                .find(|known| name.eq_ignore_ascii_case(known));
            section = Some(known.unwrap_or(name));
            continue;
        }
        let Some(section) = section else { continue };
        let new = match bare.split_once(':') {
            Some((key, value))
                if section == "[OPTIONS]" && !key.trim_end().contains(char::is_whitespace) =>
            {
                let key = key.trim_end();
                part(&format!("{section}\t{key}"), key, value.trim_start())
            }
            _ => {
                let Some(rule) = firewall_entry(line) else {
                    continue;
                };
                if section == ALIASES {
                    let name = rule.split(' ').next().unwrap_or_default();
                    part(
                        &format!("{section}\t{name}"),
                        &format!("{section} {name}"),
                        line,
                    )
                } else {
                    part(
                        &format!("{section}\t{line}"),
                        &format!("{section} {rule}"),
                        line,
                    )
                }
            }
        };
        if value_of(&parts, &new.key).is_none() {
            parts.push(new);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Class;
    use crate::pve::MappingKind;

    fn change(object: Object, option: Option<&str>, sides: (Option<&str>, Option<&str>)) -> Change {
        Change {
            object,
            option: option.map(str::to_owned),
            before: sides.0.map(str::to_owned),
            after: sides.1.map(str::to_owned),
            class: Class::NOW,
            cause: Cause::Spec,
            commands: Vec::new(),
            undo: Vec::new(),
            spec: None,
            line: None,
        }
    }

    fn shown(edits: &Edits) -> Vec<String> {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let item = |item: &Item| {
            format!(
                "{}: {} > {}",
                item.key,
                value(&item.before),
                value(&item.after)
            )
        };
        edits.items.iter().map(item).collect()
    }

    fn store(name: &str) -> Object {
        Object::Storage(name.to_owned())
    }

    #[test]
    fn a_section_comes_whole_and_an_option_alone() {
        let texts = Texts {
            live: "dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\nnfs: nas\n\tserver 10.0.0.9\n",
            wanted: "dir: local\n\tpath /var/lib/vz\n\tcontent backup\n\ndir: new\n\tpath /mnt\n",
            left: "",
        };
        let comes = change(store("new"), None, (None, Some("dir")));
        let content = change(
            store("local"),
            Some("content"),
            (Some("iso"), Some("backup,iso")),
        );
        let edits = of(
            Grammar::Sections,
            Policy::Stores,
            texts,
            &[&comes, &content],
        );
        assert_eq!(
            shown(&edits),
            [
                "new: - > dir: new",
                "new\tpath: - > /mnt",
                "local\tcontent: iso > backup,iso"
            ]
        );
        assert_eq!(edits.stays, [""; 0]);
    }

    #[test]
    fn what_goes_was_left_by_a_run_and_a_storage_stays() {
        let left = "dir: old\n\tpath /mnt\n\n";
        let texts = Texts {
            live: "dir: old\n\tpath /mnt\n\tnodes b\n\n",
            wanted: "",
            left,
        };
        let goes = change(store("old"), None, (Some("dir"), None));
        let edits = of(Grammar::Sections, Policy::Stores, texts, &[&goes]);
        assert_eq!(edits.items, []);
        assert_eq!(
            edits.stays,
            ["storage/old is no longer in the spec, and stays"]
        );
        // Somebody has added to it: only what a run left goes.
        let edits = of(Grammar::Sections, Policy::Plain, texts, &[&goes]);
        assert_eq!(shown(&edits), ["old\tpath: /mnt > -"]);
        let own = Texts {
            live: left,
            ..texts
        };
        let edits = of(Grammar::Sections, Policy::Plain, own, &[&goes]);
        assert_eq!(shown(&edits), ["old\tpath: /mnt > -", "old: dir: old > -"]);
    }

    #[test]
    fn lines_of_other_nodes_are_theirs() {
        let texts = Texts {
            live: "gpu\n\tmap node=a,path=0000:01:00\n",
            wanted: "gpu\n\tmap node=b,path=0000:02:00\n",
            left: "",
        };
        let object = Object::Mapping(MappingKind::Pci, "gpu".to_owned());
        let comes = change(object, None, (None, Some("")));
        let edits = of(Grammar::Sections, Policy::Mapping, texts, &[&comes]);
        assert_eq!(shown(&edits), ["gpu\tmap of b: - > node=b,path=0000:02:00"]);
        // The node's own line changes, or goes.
        let texts = Texts {
            live: "gpu\n\tmap node=a,path=0000:01:00\n\tmap node=b,path=0000:01:00\n",
            ..texts
        };
        let object = Object::Mapping(MappingKind::Pci, "gpu".to_owned());
        let own = Some("node=b,path=0000:01:00");
        let moves = change(
            object.clone(),
            Some("map"),
            (own, Some("node=b,path=0000:02:00")),
        );
        let edits = of(Grammar::Sections, Policy::Mapping, texts, &[&moves]);
        assert_eq!(
            shown(&edits),
            ["gpu\tmap of b: node=b,path=0000:01:00 > node=b,path=0000:02:00"]
        );
        let goes = change(object, Some("map"), (own, None));
        let texts = Texts {
            wanted: "gpu\n\tdescription none here\n",
            ..texts
        };
        let edits = of(Grammar::Sections, Policy::Mapping, texts, &[&goes]);
        assert_eq!(shown(&edits), ["gpu\tmap of b: node=b,path=0000:01:00 > -"]);
    }

    #[test]
    fn words_and_rules_are_added_and_those_of_a_run_go() {
        let file = Object::File("etc/kernel/cmdline".to_owned());
        let texts = Texts {
            live: "root=a quiet console=tty0 iommu=soft",
            wanted: "root=a console=ttyS0 iommu=pt",
            left: "root=a iommu=soft",
        };
        let console = change(file.clone(), Some("console"), (Some("tty0"), Some("ttyS0")));
        let iommu = change(file, Some("iommu"), (Some("soft"), Some("pt")));
        let edits = of(Grammar::Tokens, Policy::Plain, texts, &[&console, &iommu]);
        assert_eq!(
            shown(&edits),
            [
                "console=ttyS0: - > console=ttyS0",
                "iommu=pt: - > iommu=pt",
                "iommu=soft: iommu=soft > -"
            ]
        );
        let texts = Texts {
            live: "[OPTIONS]\nenable: 0\n[RULES]\nIN  DROP # mine\n",
            wanted: "[OPTIONS]\n\nenable: 1\n\n[RULES]\n\nIN ACCEPT -p tcp # ssh\n",
            left: "",
        };
        let cluster = Object::Firewall("cluster".to_owned());
        let enable = change(cluster.clone(), Some("enable"), (Some("0"), Some("1")));
        let rule = change(cluster, Some("[RULES] IN ACCEPT -p tcp"), (None, Some("1")));
        let edits = of(Grammar::Firewall, Policy::Plain, texts, &[&enable, &rule]);
        assert_eq!(
            shown(&edits),
            [
                "[OPTIONS]\tenable: 0 > 1",
                "[RULES]\tIN ACCEPT -p tcp # ssh: - > IN ACCEPT -p tcp # ssh"
            ]
        );
        // An alias has one address, and rules have an order.
        let cluster = Object::Firewall("cluster".to_owned());
        let alias = change(
            cluster.clone(),
            Some("[ALIASES] web"),
            (Some("192.0.2.7"), Some("192.0.2.8")),
        );
        let order = change(cluster, Some("RULES"), (Some("a\nb"), Some("b\na")));
        let texts = Texts {
            live: "[aliases]\nweb 192.0.2.7 # mine\n",
            wanted: "[ALIASES]\nweb 192.0.2.8\n",
            left: "",
        };
        let edits = of(Grammar::Firewall, Policy::Plain, texts, &[&alias, &order]);
        assert_eq!(
            shown(&edits),
            [
                "[ALIASES]\tweb: web 192.0.2.7 # mine > web 192.0.2.8",
                "[RULES]: a\nb > b\na"
            ]
        );
    }

    #[test]
    fn a_rule_is_one_however_it_says_that_it_is_not_logged() {
        let rule = change(
            Object::Firewall("301".to_owned()),
            Some("[RULES] IN ACCEPT -p tcp -dport 22"),
            (None, Some("1")),
        );
        let texts = Texts {
            live: "[RULES]\n\nIN ACCEPT -p tcp -dport 99 # theirs\n",
            wanted: "[RULES]\n\nIN ACCEPT -p tcp -dport 22 -log nolog\n",
            left: "",
        };
        let edits = of(Grammar::Firewall, Policy::Plain, texts, &[&rule]);
        assert_eq!(
            shown(&edits),
            [
                "[RULES]\tIN ACCEPT -p tcp -dport 22 -log nolog: - > IN ACCEPT -p tcp -dport 22 -log nolog"
            ]
        );
    }

    #[test]
    fn nothing_of_another_section_of_the_same_name_is_changed() {
        let texts = Texts {
            live: "cifs: nas\n\tserver 10.0.0.9\n\tcontent images\n",
            wanted: "nfs: nas\n\tserver 10.0.0.8\n\tcontent backup\n\ndir: new\n\tpath /mnt\n",
            left: "",
        };
        let mut server = change(
            store("nas"),
            Some("server"),
            (Some("10.0.0.9"), Some("10.0.0.8")),
        );
        server.class = Class::RECREATE;
        let content = change(
            store("nas"),
            Some("content"),
            (Some("images"), Some("backup")),
        );
        let changes = [&server, &content];
        let edits = of(Grammar::Sections, Policy::Stores, texts, &changes);
        assert_eq!(edits.items, []);
        assert!(
            edits.stays[1].contains("storage/nas on the host is another one"),
            "{:?}",
            edits.stays
        );
        // No run has made it, so later runs do not take it for theirs.
        assert_eq!(
            noted(texts.wanted, texts.left, &changes).as_deref(),
            Some("dir: new\n\tpath /mnt\n")
        );
        // Of one that a run has made they know what it is.
        let left = "nfs: nas\n\tserver 10.0.0.9\n\tcontent images\n\n";
        assert_eq!(
            noted(texts.wanted, left, &changes).as_deref(),
            Some("nfs: nas\n\tserver 10.0.0.9\n\tcontent images\n\ndir: new\n\tpath /mnt\n")
        );
    }

    #[test]
    fn an_edit_by_hand_stays() {
        let file = Object::File("etc/vzdump.conf".to_owned());
        let texts = Texts {
            live: "bwlimit: 1\n",
            wanted: "bwlimit: 2\n",
            left: "bwlimit: 2\n",
        };
        let mut by_hand = change(file, Some("bwlimit"), (Some("1"), Some("2")));
        by_hand.cause = Cause::Host;
        let edits = of(Grammar::Keys, Policy::Plain, texts, &[&by_hand]);
        assert_eq!(edits.items, []);
        assert_eq!(
            edits.stays,
            ["bwlimit of file/etc/vzdump.conf is `1` by hand, and not `2`"]
        );
    }
}
