//! A tree against a host, file by file.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::classes::Kind;
use super::firewall::{self, FirewallRules};
use super::guests::{self, Found, object, program};
use super::items::{self, Apart, Items, OfObject, Options, Rules, Sides};
use super::pair::Pair;
use super::parse::{self, TYPE};
use super::replication::Replication;
use super::{
    Cause, Change, Class, Foreign, Interrupts, Line, OTHER_SECTIONS, Object, Plan, Shown, When,
    in_order, storage, value,
};
use crate::calendar::ProxmoxSchedule;
use crate::digest::Sha256;
use crate::facts::Volumes;
use crate::facts::making::{Making, Makings};
use crate::facts::network::hosts_line;
use crate::live::{FileText, Item, Snapshot, Unread};
use crate::model::{Host, Store};
use crate::output::FileSet;
use crate::pve::interfaces::named_vlan;
use crate::pve::schema::{ConfigFile, OptionSchema};
use crate::pve::{GuestConfig, GuestKind, MappingKind, Release, SectionConfig, SectionFile};
use crate::shell::Command;
use crate::source::Span;
use crate::value::Platform;

/// What a spec wants of a host.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The host as understood.
    pub host: &'a Host,
    /// What a build emits for it.
    pub files: &'a FileSet,
}

/// What the last run left: `/var/lib/moxc/applied.json` on the host, which holds the tree's own files as they were.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Applied {
    /// By path, without the leading `/`.
    #[serde(default)]
    pub files: BTreeMap<String, AppliedFile>,
}

/// A file that the last run brought.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct AppliedFile {
    /// Its digest.
    #[serde(default)]
    pub sha256: String,
    /// Its text, where others write the file, too.
    #[serde(default)]
    pub text: Option<String>,
}

/// Where the record of the last run stands.
const RECORD: &str = "var/lib/moxc/applied.json";

impl Applied {
    /// Reads the record of a host; none where it has none, or one that cannot be read.
    pub fn of(live: &Snapshot) -> Option<Self> {
        serde_json::from_str(&live.tree.file(RECORD).present()?.text).ok()
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.text.as_deref()
    }
}

/// Compares what a spec wants with what a host is.
pub fn compare(wanted: &Wanted<'_>, live: &Snapshot) -> Plan {
    let mut compared = Comparison {
        wanted: *wanted,
        live,
        applied: Applied::of(live),
        makings: Makings::of(wanted.host, &Volumes::of(wanted.host)),
        replication: Replication::default(),
    };
    compared.replication = Replication::of(live, compared.file("etc/pve/storage.cfg"));
    let mut found = Found::default();
    if compared.applied.is_none() && live.tree.file(RECORD).present().is_some() {
        found.not_read(
            RECORD,
            "it is not a record of a run: nobody knows who changed what",
        );
    }
    compared.guests(&mut found);
    compared.section_files(&mut found);
    compared.other_sections(&mut found);
    compared.firewall(&mut found);
    compared.interfaces(&mut found);
    compared.boot(&mut found);
    compared.own_files(&mut found);
    compared.stale_files(&mut found);
    compared.hosts_file(&mut found);
    compared.unknown_files(&mut found);
    storage::compare(wanted.host, live, &mut found);
    let mut unread: BTreeSet<Unread> = live.unread.iter().cloned().collect();
    unread.extend(found.unread);
    found.changes.sort_by(in_order);
    let names = compared.names(&found.changes);
    Plan {
        names,
        host: wanted.host.name.as_str().to_owned(),
        changes: found.changes,
        foreign: found.foreign,
        unread: unread.into_iter().collect(),
    }
}

/// What it costs to make a guest that is `live` the one that is `wanted`, both as the texts of their files.
///
/// What the spec of a host does not say of a guest is somebody else's; here, all is taken for said.
pub fn changes_of_guest(
    kind: GuestKind,
    release: Release,
    running: Option<bool>,
    live: &str,
    wanted: &str,
) -> Vec<Change> {
    let vmid = 100;
    let live = crate::live::LiveGuest::of_text(vmid, kind, live);
    let wanted = GuestConfig::parse(kind, wanted).0;
    let applied = live.config.clone();
    let pair = Pair {
        host: "",
        vmid,
        release,
        wanted: &wanted,
        live: &live,
        applied: Some(&applied),
        running,
        volumes: &[],
        making: &Making::default(),
    };
    guests::compare(&pair, &|_| None).changes
}

/// The changes of interfaces whose lines stand in a file of their own below `interfaces.d`, with that file.
pub(crate) fn interfaces_elsewhere<'a>(
    plan: &'a Plan,
    live: &Snapshot,
) -> Vec<(&'a Change, String)> {
    let main = live.tree.file("etc/network/interfaces");
    let main = main
        .present()
        .map_or_else(Items::new, |file| parse::interfaces(&file.text));
    let more: Vec<(&str, Items)> = live
        .interfaces_more
        .iter()
        .map(|(name, file)| (name.as_str(), parse::interfaces(&file.file.text)))
        .collect();
    let changes = plan.changes.iter().filter(|change| {
        matches!(change.object, Object::Interface(_)) && change.cause != Cause::Host
    });
    changes
        .filter_map(|change| {
            let says = |items: &Items| match (&change.option, &change.before) {
                (Some(option), Some(_)) => items
                    .get(&change.object)
                    .is_some_and(|options| options.contains_key(option)),
                _ => items.contains_key(&change.object),
            };
            let (name, _) = more.iter().find(|(_, items)| says(items))?;
            let path = format!("etc/network/interfaces.d/{name}");
            (!says(&main)).then_some((change, path))
        })
        .collect()
}

struct Comparison<'a> {
    wanted: Wanted<'a>,
    live: &'a Snapshot,
    applied: Option<Applied>,
    makings: Makings,
    replication: Replication,
}

/// A file that is all moxc's is written as one: what somebody changed in it by hand stays while the spec changes nothing of it,
/// and goes with the first change.
fn written_as_one(changes: &mut [Change]) {
    if changes.iter().any(|change| change.cause != Cause::Host) {
        for change in changes {
            if change.cause == Cause::Host {
                change.cause = Cause::Both;
            }
        }
    }
}

/// Where a file of the tree stands on the host; none where it does not.
fn on_host(path: &str) -> Option<&str> {
    let path = path.strip_prefix("proxmox/")?;
    let known = ["etc/", "usr/", "var/"]
        .iter()
        .any(|top| path.starts_with(top));
    known.then_some(path)
}

impl<'a> Comparison<'a> {
    /// The tree's files below a folder of the host, by path.
    fn files(&self, below: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.wanted.files.iter().filter_map(move |file| {
            let path = on_host(file.path.as_str())?;
            let text = std::str::from_utf8(&file.contents).ok()?;
            path.starts_with(below).then_some((path, text))
        })
    }

    fn file(&self, path: &str) -> Option<&'a str> {
        let file = self.wanted.files.get(&format!("proxmox/{path}"))?;
        std::str::from_utf8(&file.contents).ok()
    }

    /// The text of a file on the host: empty where it is missing, none where nobody knows, which is said.
    fn live_text(&self, path: &str, found: &mut Found) -> Option<String> {
        match self.live.tree.file(path) {
            Item::Present(file) => Some(file.text.clone()),
            Item::Absent => Some(String::new()),
            Item::Unread(reason) => {
                found.not_read(path.to_owned(), reason);
                None
            }
        }
    }

    fn release(&self) -> Release {
        let version = self.live.version.present();
        version
            .and_then(|version| version.release)
            .unwrap_or(self.wanted.host.release.value)
    }

    /// What the guests that change are called: on the host, else in the spec.
    fn names(&self, changes: &[Change]) -> BTreeMap<Object, String> {
        let of_host = |vmid| {
            self.live
                .own()?
                .guests
                .get(&vmid)?
                .name()
                .map(str::to_owned)
        };
        let of_spec = |vmid| {
            let mut guests = self.wanted.host.guests.values();
            let guest = guests.find(|guest| guest.vmid.get() == vmid)?;
            Some(guest.name.value.clone())
        };
        let mut names = BTreeMap::new();
        for change in changes {
            if let Object::Vm(vmid) | Object::Ct(vmid) = change.object
                && !names.contains_key(&change.object)
                && let Some(name) = of_host(vmid).or_else(|| of_spec(vmid))
            {
                names.insert(change.object.clone(), name);
            }
        }
        names
    }

    // Guests.

    fn guests(&self, found: &mut Found) {
        let empty = crate::live::LiveNode::default();
        let own = self.live.own().unwrap_or(&empty);
        let mut known = BTreeSet::new();
        for (kind, folder) in [
            (GuestKind::Qm, "etc/pve/qemu-server/"),
            (GuestKind::Pct, "etc/pve/lxc/"),
        ] {
            for (path, text) in self.files(folder) {
                let name = &path[folder.len()..];
                let Some(vmid) = name
                    .strip_suffix(".conf")
                    .and_then(|number| number.parse().ok())
                else {
                    continue;
                };
                known.insert(vmid);
                let config = GuestConfig::parse(kind, text).0;
                self.guest(vmid, kind, path, &config, own, found);
            }
        }
        for (vmid, guest) in &own.guests {
            if !known.contains(vmid) {
                found
                    .foreign
                    .push(Foreign::object(object(guest.kind, *vmid), guest.name()));
            }
        }
    }

    fn guest(
        &self,
        vmid: u32,
        kind: GuestKind,
        path: &str,
        wanted: &GuestConfig,
        own: &crate::live::LiveNode,
        found: &mut Found,
    ) {
        let applied = self.applied.as_ref().map(|applied| {
            let text = applied.text(path)?;
            Some(GuestConfig::parse(kind, text).0)
        });
        let span = self.place(path, "");
        if let Some(live) = own.guests.get(&vmid).filter(|live| live.kind == kind) {
            let pair = Pair {
                host: self.wanted.host.name.as_str(),
                vmid,
                release: self.release(),
                wanted,
                live,
                applied: applied.as_ref().and_then(Option::as_ref),
                running: self.live.runs(vmid),
                volumes: self.live.volumes.present().map_or(&[], Vec::as_slice),
                making: &self.making(vmid),
            };
            let mut of_guest = guests::compare(&pair, &|option| self.place(path, option));
            self.replication.refuse(&pair, &mut of_guest.changes);
            found.changes.extend(of_guest.changes);
            found.foreign.extend(of_guest.foreign);
            found.unread.extend(of_guest.unread);
            return;
        }
        let change = |before: Option<String>, class: Class, commands: Vec<Command>| Change {
            object: object(kind, vmid),
            option: None,
            before,
            after: Some(guest_name(wanted).unwrap_or_default().to_owned()),
            class,
            cause: match &applied {
                None => Cause::Unknown,
                Some(Some(_)) => Cause::Host,
                Some(None) => Cause::Spec,
            },
            commands,
            undo: Vec::new(),
            spec: span,
            line: None,
        };
        if let Some((node, other)) = self.live.guest(vmid) {
            // One number is one guest in a whole cluster.
            let name = other.name().unwrap_or("unnamed");
            let before = format!("{name}, {} on {node}", program(other.kind));
            found
                .changes
                .push(change(Some(before), Class::RECREATE, Vec::new()));
        } else if let Some(why) = own.unread(kind) {
            found.not_read(path.to_owned(), why.to_owned());
        } else {
            found.changes.push(change(
                None,
                Class::NOW,
                creation(&self.making(vmid), wanted),
            ));
        }
    }

    /// How a guest is made, beyond what its file says.
    fn making(&self, vmid: u32) -> Making {
        let making = self.makings.get(&vmid.to_string());
        making.cloned().unwrap_or_default()
    }

    /// Where the spec says a part of a file of the tree: an option, a section, an interface, or what is around it.
    fn place(&self, path: &str, part: &str) -> Option<Span> {
        let file = self.wanted.files.get(&format!("proxmox/{path}"))?;
        file.places.nearest(part)
    }

    // Files of sections.

    fn section_files(&self, found: &mut Found) {
        let mut files = vec![
            (
                SectionFile::Storage,
                "etc/pve/storage.cfg",
                &self.live.storage,
            ),
            (SectionFile::Jobs, "etc/pve/jobs.cfg", &self.live.jobs),
        ];
        for (kind, path) in [
            (MappingKind::Pci, "etc/pve/mapping/pci.cfg"),
            (MappingKind::Usb, "etc/pve/mapping/usb.cfg"),
            (MappingKind::Dir, "etc/pve/mapping/directory.cfg"),
        ] {
            if let Some(sections) = self.live.mappings.get(&kind) {
                files.push((SectionFile::Mapping(kind), path, sections));
            }
        }
        for (file, path, live) in files {
            let rules = SectionRules {
                file,
                node: self.wanted.host.name.as_str(),
                nodes: self.live.nodes.keys().map(String::as_str).collect(),
                local_is_ours: self.local_is_ours(),
                guests: self.vmids(),
                enabled: self.enabled_stores(),
            };
            let read = |text: &str| {
                let config = SectionConfig::parse(file, text).0;
                rules.items(&config)
            };
            let wanted = self.file(path).map(read).unwrap_or_default();
            let live = match live {
                Item::Present(sections) => rules.items(&sections.config),
                Item::Absent => Items::new(),
                Item::Unread(reason) => {
                    found.not_read(path.to_owned(), reason.clone());
                    continue;
                }
            };
            let applied = self
                .applied
                .as_ref()
                .map(|applied| applied.text(path).map(read).unwrap_or_default());
            let mut live = live;
            rules.add_local(&mut live);
            let mut wanted = wanted;
            self.jobs_of_others(&mut wanted, &mut live, applied.as_ref(), found);
            let sides = Sides {
                path,
                wanted: &wanted,
                live: &live,
                applied: applied.as_ref(),
            };
            items::compare(
                &sides,
                &rules,
                &|object, option| self.place_of(path, object, option),
                found,
            );
        }
    }

    /// Files of sections of which the spec keeps some, as they stand in the file: what others write there stays.
    fn other_sections(&self, found: &mut Found) {
        for path in OTHER_SECTIONS {
            let left = self.applied.as_ref().and_then(|applied| applied.text(path));
            let wanted = self.file(path);
            if wanted.is_none() && left.is_none() {
                continue;
            }
            let Some(live) = self.live_text(path, found) else {
                continue;
            };
            let read = |text: &str| parse::other_sections(path, text);
            let applied = left.map(read).unwrap_or_default();
            let sides = Sides {
                path,
                wanted: &wanted.map(read).unwrap_or_default(),
                live: &read(&live),
                applied: self.applied.as_ref().map(|_| &applied),
            };
            items::compare(
                &sides,
                &OtherSectionRules,
                &|_, _| self.place(path, ""),
                found,
            );
        }
    }

    fn enabled_stores(&self) -> BTreeSet<&'a str> {
        let stores = self.wanted.host.storage.stores();
        let says = |store: &Store<'_>| {
            let disabled = store.disabled();
            disabled.is_some_and(|disabled| disabled.is_written() && !**disabled)
        };
        stores
            .filter(|(_, store)| says(store))
            .map(|(_, store)| store.name().value.as_str())
            .collect()
    }

    /// The VMIDs of the spec's guests.
    fn vmids(&self) -> BTreeSet<String> {
        let guests = self.wanted.host.guests.values();
        guests.map(|guest| guest.vmid.get().to_string()).collect()
    }

    /// Whether the spec says what the storage `local` is.
    fn local_is_ours(&self) -> bool {
        let text = self.file("etc/pve/storage.cfg").unwrap_or_default();
        let config = SectionConfig::parse(SectionFile::Storage, text).0;
        config.get("local").is_some_and(|local| {
            local
                .properties()
                .any(|(key, _)| !matches!(key, "path" | "content"))
        })
    }

    /// Where the spec says an object of a file, or one option of it.
    fn place_of(&self, path: &str, object: &Object, option: Option<&str>) -> Option<Span> {
        let name = match object {
            Object::Storage(name)
            | Object::Job(name)
            | Object::Mapping(_, name)
            | Object::Interface(name) => name.as_str(),
            Object::Pool(_)
            | Object::Dataset(_)
            | Object::Lvm(_)
            | Object::Vm(_)
            | Object::Ct(_)
            | Object::Section(..)
            | Object::Firewall(_)
            | Object::Unit(_)
            | Object::File(_) => "",
        };
        match option {
            Some(option) if !name.is_empty() => self.place(path, &format!("{name}/{option}")),
            Some(option) => self.place(path, option),
            None => self.place(path, name),
        }
    }

    // The firewall.

    fn firewall(&self, found: &mut Found) {
        let mut wanted = Items::new();
        let mut live = Items::new();
        let mut applied = Items::new();
        let mut paths = BTreeMap::new();
        for (path, text) in self.files("etc/pve/") {
            let Some(object) = firewall_object(path) else {
                continue;
            };
            let rules = parse::firewall(text);
            // Where the spec says nothing of the host's own firewall, one that is there stays somebody's.
            let record = self.applied.as_ref();
            let is_ours = self
                .wanted
                .host
                .kept
                .iter()
                .any(|kept| kept.path.as_str() == path)
                || object != Object::Firewall("host".to_owned())
                || record.is_some_and(|applied| applied.files.contains_key(path))
                || self
                    .live
                    .firewall
                    .get(path)
                    .is_none_or(|file| parse::firewall(&file.text) == rules);
            if is_ours {
                wanted.insert(object.clone(), rules);
            }
            if let Item::Unread(reason) = self.live.tree.file(path) {
                wanted.remove(&object);
                found.not_read(path.to_owned(), reason);
            }
            paths.insert(object, path.to_owned());
        }
        let own = format!("etc/pve/nodes/{}/", self.wanted.host.name.as_str());
        for (path, file) in &self.live.firewall {
            if path.starts_with("etc/pve/nodes/") && !path.starts_with(&own) {
                continue;
            }
            if let Some(object) = firewall_object(path) {
                live.insert(object.clone(), parse::firewall(&file.text));
                paths.entry(object).or_insert_with(|| path.clone());
            }
        }
        let record = self.applied.as_ref();
        for (object, path) in &paths {
            if let Some(text) = record.and_then(|applied| applied.text(path)) {
                applied.insert(object.clone(), parse::firewall(text));
            }
        }
        for (object, path) in &paths {
            let only = |items: &Items| -> Items {
                let mine = items.iter().filter(|(own, _)| *own == object);
                mine.map(|(own, options)| (own.clone(), options.clone()))
                    .collect()
            };
            let (wanted, live, applied) = (only(&wanted), only(&live), only(&applied));
            let sides = Sides {
                path,
                wanted: &wanted,
                live: &live,
                applied: record.map(|_| &applied),
            };
            let api = self.firewall_api(object);
            let before = found.changes.len();
            items::compare(
                &sides,
                &FirewallRules { api: &api },
                &|object, option| self.place_of(path, object, option),
                found,
            );
            if let (Some(wanted), Some(live)) = (wanted.get(object), live.get(object)) {
                let left = applied.get(object);
                self.rule_order(object, path, [wanted, live], left, found);
            }
            let live = self.live.firewall.get(path);
            firewall::give_calls(
                &mut found.changes[before..],
                &api,
                live.map_or("", |file| file.text.as_str()),
                self.file(path).unwrap_or_default(),
            );
        }
    }

    /// Where the API has a file of the firewall; empty for a guest that nobody knows.
    fn firewall_api(&self, object: &Object) -> String {
        let node = self.wanted.host.name.as_str();
        let Object::Firewall(name) = object else {
            return String::new();
        };
        let of_guest = |vmid: u32| {
            let live = self.live.own().and_then(|own| own.guests.get(&vmid));
            let is_of_spec = |kind: &GuestKind| {
                let path = format!("etc/pve/{}/{vmid}.conf", kind.folder());
                self.file(&path).is_some()
            };
            let of_spec = || GuestKind::ALL.into_iter().find(is_of_spec);
            let kind = live.map(|guest| guest.kind).or_else(of_spec);
            let folder = match kind? {
                GuestKind::Qm => "qemu",
                GuestKind::Pct => "lxc",
            };
            Some(format!("/nodes/{node}/{folder}/{vmid}/firewall"))
        };
        match name.as_str() {
            "cluster" => "/cluster/firewall".to_owned(),
            "host" => format!("/nodes/{node}/firewall"),
            vmid => vmid.parse().ok().and_then(of_guest).unwrap_or_default(),
        }
    }

    /// The first rule that fits decides: the rules that both sides have must stand in one order.
    fn rule_order(
        &self,
        object: &Object,
        path: &str,
        [wanted, live]: [&Options; 2],
        left: Option<&Options>,
        found: &mut Found,
    ) {
        for (section, after) in parse::rules(wanted, live) {
            let rules = parse::rules(live, wanted).remove(section);
            let before = rules.unwrap_or_default();
            if after == before {
                continue;
            }
            let left = left.and_then(|left| parse::rules(left, wanted).remove(section));
            let cause = left.map_or(Cause::Unknown, |left| {
                let among = |rules: &[&str], others: &[&str]| {
                    let both = rules.iter().filter(|rule| others.contains(rule));
                    both.copied().collect::<Vec<_>>().join("\n")
                };
                let (was, now) = (among(&left, &before), among(&before, &left));
                let then = among(&after, &left);
                Cause::of(Some(&was), Some(&now), Some(&then))
            });
            let [before, after] = [before, after].map(|rules| Some(rules.join("\n")));
            found.changes.push(Change {
                object: object.clone(),
                option: Some(section.to_owned()),
                before: before.clone(),
                after: after.clone(),
                class: Class::NOW,
                cause,
                commands: Vec::new(),
                undo: Vec::new(),
                spec: self.place(path, ""),
                line: Some(Line {
                    path: path.to_owned(),
                    key: section.to_owned(),
                    before,
                    after,
                }),
            });
        }
    }

    // The network.

    fn interfaces(&self, found: &mut Found) {
        let path = "etc/network/interfaces";
        let Some(wanted) = self.file(path) else {
            return;
        };
        let Some(text) = self.live_text(path, found) else {
            return;
        };
        let mut live = parse::interfaces(&text);
        for file in self.live.interfaces_more.values() {
            for (object, options) in parse::interfaces(&file.file.text) {
                live.entry(object).or_default().extend(options);
            }
        }
        let waiting = "etc/network/interfaces.new";
        if self.live.tree.file(waiting).present().is_some() {
            found.foreign.push(Foreign {
                pending: true,
                ..Foreign::object(Object::File(waiting.to_owned()), None)
            });
        }
        let mut wanted = parse::interfaces(wanted);
        let applied = self.applied.as_ref().map(|applied| {
            applied
                .text(path)
                .map(parse::interfaces)
                .unwrap_or_default()
        });
        // It is in every file, whether something is said of it or not.
        let lo = Object::Interface("lo".to_owned());
        if live.contains_key(&lo) {
            wanted.entry(lo).or_default();
        }
        let sides = Sides {
            path,
            wanted: &wanted,
            live: &live,
            applied: applied.as_ref(),
        };
        items::compare(
            &sides,
            &InterfaceRules,
            &|object, option| self.place_of(path, object, option),
            found,
        );
    }

    // What the kernel is told.

    fn boot(&self, found: &mut Found) {
        self.command_lines(found);
        let boot = &self.live.boot;
        let all = |texts: &mut dyn Iterator<Item = &FileText>, read: fn(&str) -> Options| {
            texts.flat_map(|file| read(&file.text)).collect::<Options>()
        };
        let modprobe = all(&mut boot.modprobe.values(), parse::modprobe);
        for (path, text) in self.files("etc/modprobe.d/") {
            self.settings(
                path,
                parse::modprobe(text),
                &modprobe,
                parse::modprobe,
                found,
            );
        }
        let loaded = boot.modules_more.values().chain(boot.modules.present());
        let modules = all(&mut loaded.into_iter(), parse::modules);
        for (path, text) in self.files("etc/modules-load.d/") {
            self.settings(path, parse::modules(text), &modules, parse::modules, found);
        }
    }

    /// A job of another node that has the name of one of the spec's: neither is what the other one is.
    fn jobs_of_others(
        &self,
        wanted: &mut Items,
        live: &mut Items,
        applied: Option<&Items>,
        found: &mut Found,
    ) {
        let own = self.wanted.host.name.as_str();
        let is_of_other = |object: &Object, here: &Options| {
            let node = here.get("node").filter(|node| *node != own)?;
            let is_known = applied.is_some_and(|applied| applied.contains_key(object));
            let is_meant = wanted.get(object)?.get("node") == Some(node);
            (matches!(object, Object::Job(_)) && !is_known && !is_meant)
                .then(|| (object.clone(), node.clone()))
        };
        let others: Vec<(Object, String)> = live
            .iter()
            .filter_map(|(object, here)| is_of_other(object, here))
            .collect();
        for (object, node) in others {
            wanted.remove(&object);
            live.remove(&object);
            found.changes.push(Change {
                object: object.clone(),
                option: None,
                before: Some(format!("a job of {node}")),
                after: Some(format!("a job of {own}")),
                class: Class {
                    interrupts: Interrupts::Nothing,
                    ..Class::RECREATE
                },
                cause: Cause::Unknown,
                commands: Vec::new(),
                undo: Vec::new(),
                spec: self.place_of("etc/pve/jobs.cfg", &object, None),
                line: Some(super::Line {
                    path: "etc/pve/jobs.cfg".to_owned(),
                    key: object.to_string(),
                    before: None,
                    after: None,
                }),
            });
        }
    }

    /// A file of settings of which it does not matter in which file they stand.
    fn settings(
        &self,
        path: &str,
        wanted: Options,
        live: &Options,
        read: fn(&str) -> Options,
        found: &mut Found,
    ) {
        let object = Object::File(path.to_owned());
        let here = self.live.tree.file(path);
        if let Item::Unread(reason) = here {
            found.not_read(path.to_owned(), reason);
            return;
        }
        let own = here.present().map(|file| read(&file.text));
        let everywhere = wanted
            .iter()
            .all(|(key, value)| live.get(key) == Some(value));
        if own.is_none() && everywhere {
            return;
        }
        // Elsewhere set to the same is as good; what only the own file has is compared.
        let mut seen = own.clone().unwrap_or_default();
        for (key, value) in &wanted {
            if live.get(key) == Some(value) {
                seen.insert(key.clone(), value.clone());
            }
        }
        let applied = self.applied.as_ref().map(|applied| {
            let left = match (applied.files.get(path), applied.text(path)) {
                (None, _) => None,
                (Some(_), Some(text)) => Some(read(text)),
                // Only its digest is kept: it is as the last run left it, or nobody knows how it was.
                (Some(file), None) => here
                    .present()
                    .filter(|live| Sha256::of(live.text.as_bytes()).to_string() == file.sha256)
                    .map(|live| read(&live.text))
                    .or_else(|| Some(wanted.clone())),
            };
            left.map(|left| Items::from([(object.clone(), left)]))
                .unwrap_or_default()
        });
        let wanted = Items::from([(object.clone(), wanted)]);
        let live = match own {
            Some(_) => Items::from([(object, seen)]),
            None => Items::new(),
        };
        let sides = Sides {
            path,
            wanted: &wanted,
            live: &live,
            applied: applied.as_ref(),
        };
        let before = found.changes.len();
        items::compare(
            &sides,
            &BootRules,
            &|object, option| self.place_of(path, object, option),
            found,
        );
        written_as_one(&mut found.changes[before..]);
    }

    fn command_lines(&self, found: &mut Found) {
        let path = "etc/kernel/cmdline";
        let words = |text: &str| {
            let mut options = Options::new();
            parse::tokens(text.split_whitespace(), &mut options);
            options
        };
        let counts = self.reads_cmdline();
        if counts != Some(false)
            && let Some(wanted) = self.file(path)
            && let Some(live) = self.live_text(path, found)
        {
            let object = Object::File(path.to_owned());
            let wanted = words(wanted);
            self.words(path, object, wanted, words(&live), &words, found);
        }
        if counts == Some(true) && self.wanted.host.storage.boot_pool().is_some() {
            return;
        }
        let mut wanted = Options::new();
        for (_, text) in self.files("etc/default/grub") {
            parse::grub(text, &mut wanted);
        }
        let grub = "etc/default/grub";
        if self.files(grub).next().is_some()
            && let Some(text) = self.live_text(grub, found)
        {
            let mut live = Options::new();
            parse::grub(&text, &mut live);
            for file in self.live.boot.grub_more.values() {
                parse::grub(&file.text, &mut live);
            }
            let read = |text: &str| {
                let mut options = Options::new();
                parse::grub(text, &mut options);
                options
            };
            self.words(
                grub,
                Object::File(grub.to_owned()),
                wanted,
                live,
                &read,
                found,
            );
        }
    }

    /// Whether the host starts with what `/etc/kernel/cmdline` says, and not with GRUB's; none where nobody knows. GRUB tells
    /// the kernel which image it has loaded, systemd-boot does not.
    fn reads_cmdline(&self) -> Option<bool> {
        let boot = &self.live.boot;
        let running = boot.running.present()?;
        Some(boot.cmdline.present().is_some() && !running.contains("BOOT_IMAGE="))
    }

    fn words(
        &self,
        path: &str,
        object: Object,
        wanted: Options,
        live: Options,
        read: &dyn Fn(&str) -> Options,
        found: &mut Found,
    ) {
        let applied = self.applied.as_ref().map(|applied| {
            let text = applied
                .text(path)
                .or_else(|| applied.text("etc/default/grub.d/moxc.cfg"));
            text.map(|text| Items::from([(object.clone(), read(text))]))
                .unwrap_or_default()
        });
        let wanted = Items::from([(object.clone(), wanted)]);
        let live = Items::from([(object, live)]);
        let sides = Sides {
            path,
            wanted: &wanted,
            live: &live,
            applied: applied.as_ref(),
        };
        items::compare(
            &sides,
            &WordRules,
            &|object, option| self.place_of(path, object, option),
            found,
        );
    }

    // Everything else that moxc brings.

    fn own_files(&self, found: &mut Found) {
        for file in self.wanted.files.iter() {
            let (Some(path), Ok(text)) = (
                on_host(file.path.as_str()),
                std::str::from_utf8(&file.contents),
            ) else {
                continue;
            };
            let elsewhere = is_compared_apart(path)
                || path.starts_with("etc/modprobe.d/")
                || path.starts_with("etc/modules-load.d/")
                || path.starts_with("etc/default/grub")
                || matches!(path, "etc/network/interfaces" | "etc/kernel/cmdline");
            if !elsewhere {
                self.own_file(path, text, found);
            }
        }
    }

    fn own_file(&self, path: &str, wanted: &str, found: &mut Found) {
        let live = match self.live.tree.file(path) {
            Item::Present(file) => Some(file.text.clone()),
            Item::Absent => None,
            Item::Unread(reason) => {
                found.not_read(path.to_owned(), reason);
                return;
            }
        };
        let (object, read): (Object, fn(&str) -> Options) =
            if path.starts_with("etc/systemd/system/") {
                (object_of(path), parse::unit)
            } else if path.starts_with("etc/systemd/network/") {
                (Object::File(path.to_owned()), parse::unit)
            } else if has_keys(path) {
                (Object::File(path.to_owned()), keys)
            } else {
                (Object::File(path.to_owned()), content)
            };
        let of = |text: &str| Items::from([(object.clone(), read(text))]);
        let whole_is_ours = !has_keys(path);
        let applied = self
            .applied
            .as_ref()
            .map(|applied| match applied.files.get(path) {
                None => Items::new(),
                Some(file) => {
                    if let Some(text) = &file.text {
                        of(text)
                    } else {
                        // Only its digest is kept: it is as the last run left it, or nobody knows how it was.
                        let same = live.as_deref().is_some_and(|live| {
                            Sha256::of(live.as_bytes()).to_string() == file.sha256
                        });
                        match (&live, same) {
                            (Some(live), true) => of(live),
                            _ => of(wanted),
                        }
                    }
                }
            });
        let live = live.as_deref().map(of).unwrap_or_default();
        let wanted = of(wanted);
        let sides = Sides {
            path,
            wanted: &wanted,
            live: &live,
            applied: applied.as_ref(),
        };
        let before = found.changes.len();
        items::compare(
            &sides,
            &OwnRules {
                path,
                whole_is_ours,
            },
            &|object, option| self.place_of(path, object, option),
            found,
        );
        if whole_is_ours {
            written_as_one(&mut found.changes[before..]);
        }
    }

    /// Files that an earlier run brought and the spec no longer wants: they go, unless somebody has changed them since.
    fn stale_files(&self, found: &mut Found) {
        let files = self.applied.iter().flat_map(|applied| &applied.files);
        for (path, left) in files {
            let is_on_host = ["etc/", "usr/", "var/"]
                .iter()
                .any(|top| path.starts_with(top));
            let is_merged = is_compared_apart(path)
                || has_keys(path)
                || matches!(
                    path.as_str(),
                    "etc/network/interfaces" | "etc/kernel/cmdline"
                );
            if !is_on_host || is_merged || self.file(path).is_some() {
                continue;
            }
            let object = object_of(path);
            match self.live.tree.file(path) {
                Item::Absent => {}
                Item::Unread(reason) => found.not_read(path.clone(), reason),
                Item::Present(file) => {
                    if Sha256::of(file.text.as_bytes()).to_string() != left.sha256 {
                        found.foreign.push(Foreign::object(object, None));
                        continue;
                    }
                    let class = if at_boot(path) {
                        Class::HOST_RESTART
                    } else {
                        Class::NOW
                    };
                    found.changes.push(Change {
                        commands: removal(path, &object),
                        object,
                        option: None,
                        before: Some(format!("{} lines", file.text.lines().count())),
                        after: None,
                        class,
                        cause: Cause::Spec,
                        undo: Vec::new(),
                        spec: None,
                        line: None,
                    });
                }
            }
        }
    }

    /// The node's name, which has to stand for an address of its own.
    fn hosts_file(&self, found: &mut Found) {
        let path = "etc/hosts";
        let is_proxmox = self.wanted.host.platform.value == Platform::Proxmox;
        let Some(line) = hosts_line(self.wanted.host).filter(|_| is_proxmox) else {
            return;
        };
        // Where a server gives the host an address, the name may stand for that one, which the spec does not know.
        let mut legs = self.wanted.host.network.legs();
        if legs.any(|leg| leg.ip.is_dynamic(false)) {
            return;
        }
        // A copy without the file is no host without it.
        let Item::Present(file) = self.live.tree.file(path) else {
            return;
        };
        let Some(edited) = line.edited(&file.text) else {
            return;
        };
        // An address that stands in lines which are kept as they are is the host's own as well.
        let address = line
            .said(&file.text)
            .and_then(|line| line.split_whitespace().next());
        let path_of_interfaces = "etc/network/interfaces";
        let here = self.live.tree.file(path_of_interfaces);
        let here = here.present().map_or("", |file| file.text.as_str());
        let interfaces = self.file(path_of_interfaces).unwrap_or(here);
        let is_own = |line: &str| {
            let own = line.trim().strip_prefix("address").map(str::trim);
            own.and_then(|own| own.split('/').next()) == address || line.contains(" inet dhcp")
        };
        if address.is_some() && interfaces.lines().any(is_own) {
            return;
        }
        let said = |text: &str| line.said(text).map(|line| line.trim_end().to_owned());
        found.changes.push(Change {
            object: Object::File(path.to_owned()),
            option: Some(line.name.clone()),
            before: said(&file.text),
            after: said(&edited),
            class: Class::NOW,
            cause: Cause::Unknown,
            commands: Vec::new(),
            undo: Vec::new(),
            spec: None,
            line: None,
        });
    }

    /// Files of Proxmox VE that moxc has no word for.
    fn unknown_files(&self, found: &mut Found) {
        for file in self.live.tree.files() {
            let path = file.path.as_str();
            let Some(name) = path.strip_prefix("etc/pve/") else {
                if path.starts_with("etc/network/interfaces.d/") && self.file(path).is_none() {
                    found
                        .foreign
                        .push(Foreign::object(Object::File(path.to_owned()), None));
                }
                continue;
            };
            let known = name.starts_with("nodes/")
                || name.starts_with("qemu-server/")
                || name.starts_with("lxc/")
                || name.starts_with("firewall/")
                || name.starts_with('.')
                || matches!(
                    name,
                    "storage.cfg"
                        | "jobs.cfg"
                        | "mapping/pci.cfg"
                        | "mapping/usb.cfg"
                        | "mapping/directory.cfg"
                        | "pve-root-ca.pem"
                        | "user.cfg"
                        | "vzdump.cron"
                        | "local"
                        | "ha/manager_status"
                        | "ha/crm_commands"
                );
            if !known && !file.text.trim().is_empty() && self.file(path).is_none() {
                found
                    .foreign
                    .push(Foreign::object(Object::File(path.to_owned()), None));
            }
        }
    }
}

/// What a file of ours is called in a plan.
fn object_of(path: &str) -> Object {
    match path.strip_prefix("etc/systemd/system/") {
        Some(name) => Object::Unit(name.to_owned()),
        None => Object::File(path.to_owned()),
    }
}

/// Whether a file is read when the host starts.
fn at_boot(path: &str) -> bool {
    let folders = [
        "etc/systemd/network/",
        "etc/initramfs-tools/",
        "etc/modprobe.d/",
        "etc/modules-load.d/",
        "etc/default/grub",
        "etc/udev/rules.d/",
    ];
    folders.iter().any(|folder| path.starts_with(folder))
}

/// What takes a file of ours away.
fn removal(path: &str, object: &Object) -> Vec<Command> {
    let remove = Command::new("rm").arg(format!("/{path}"));
    match object {
        Object::Unit(name) if !name.contains('/') && !name.contains("@.") => {
            let disable = Command::new("systemctl")
                .arg("disable")
                .arg("--now")
                .arg(name);
            vec![
                disable,
                remove,
                Command::new("systemctl").arg("daemon-reload"),
            ]
        }
        _ => vec![remove],
    }
}

/// Files of `/etc/pve` that are taken apart: guests, sections, the firewall.
fn is_compared_apart(path: &str) -> bool {
    let Some(name) = path.strip_prefix("etc/pve/") else {
        return false;
    };
    let folders = ["qemu-server/", "lxc/", "mapping/"];
    matches!(name, "storage.cfg" | "jobs.cfg")
        || folders.iter().any(|folder| name.starts_with(folder))
        || firewall_object(path).is_some()
        || OTHER_SECTIONS.contains(&path)
}

/// Files of `key: value` lines that others write, too.
fn has_keys(path: &str) -> bool {
    matches!(path, "etc/vzdump.conf" | "etc/pve/datacenter.cfg")
}

fn guest_name(config: &GuestConfig) -> Option<&str> {
    config.get("name").or(config.get("hostname"))
}

/// What makes a guest, with its volumes allocated anew.
fn creation(making: &Making, wanted: &GuestConfig) -> Vec<Command> {
    let kind = wanted.kind();
    let made = making.creation(wanted).command;
    // An image is as large as it is, and its disk as the spec says.
    let grown = making.imports.iter().filter_map(|import| {
        let parts = value::parts(kind.config_file(), &import.key, wanted.get(&import.key)?);
        let resize: &[&str] = match kind {
            GuestKind::Qm => &["disk", "resize"],
            GuestKind::Pct => &["resize"],
        };
        let command = Command::new(program(kind)).args(resize).arg(&making.vmid);
        Some(command.arg(&import.key).arg(parts.get("size")?))
    });
    made.into_iter().chain(grown).collect()
}

fn firewall_object(path: &str) -> Option<Object> {
    if let Some(name) = path.strip_prefix("etc/pve/firewall/") {
        return Some(Object::Firewall(name.strip_suffix(".fw")?.to_owned()));
    }
    (path.starts_with("etc/pve/nodes/") && path.ends_with("/host.fw"))
        .then(|| Object::Firewall("host".to_owned()))
}

/// `key: value` lines of a file that Proxmox VE never writes.
fn keys(text: &str) -> Options {
    let object = Object::File(String::new());
    parse::colon_lines(text, object)
        .into_values()
        .next()
        .unwrap_or_default()
}

/// A whole file, without the line that says who made it.
fn content(text: &str) -> Options {
    let ours = text
        .lines()
        .filter(|line| !line.contains("Generated by moxc "));
    let text: Vec<&str> = ours.map(str::trim_end).collect();
    Options::from([("content".to_owned(), text.join("\n").trim().to_owned())])
}

// The rules of each file.

struct SectionRules<'a> {
    file: SectionFile,
    node: &'a str,
    /// Every node of the cluster: a store that names them all names none.
    nodes: BTreeSet<&'a str>,
    local_is_ours: bool,
    /// The VMIDs of the spec's guests.
    guests: BTreeSet<String>,
    /// Stores of which the spec says that they are not disabled.
    enabled: BTreeSet<&'a str>,
}

impl SectionRules<'_> {
    fn object(&self, id: &str) -> Object {
        match self.file {
            SectionFile::Storage => Object::Storage(id.to_owned()),
            SectionFile::Jobs => Object::Job(id.to_owned()),
            SectionFile::Mapping(kind) => Object::Mapping(kind, id.to_owned()),
        }
    }

    fn items(&self, config: &SectionConfig) -> Items {
        let mut items = parse::sections(config, |id| self.object(id));
        match self.file {
            SectionFile::Storage => add_mountpoints(&mut items),
            SectionFile::Jobs => add_notifications(&mut items),
            SectionFile::Mapping(_) => {}
        }
        if let SectionFile::Mapping(_) = self.file {
            // A node sees to its own lines.
            for options in items.values_mut() {
                if let Some(map) = options.get_mut("map") {
                    let own = map.lines().filter(|line| self.is_own_map(line));
                    *map = own.collect::<Vec<_>>().join("\n");
                }
            }
            items.retain(|_, options| options.get("map").is_none_or(|map| !map.is_empty()));
        }
        items
    }

    fn is_own_map(&self, line: &str) -> bool {
        parse::node_of_map(line).is_none_or(|node| node == self.node)
    }

    /// `local` is there even where `storage.cfg` does not say so (`PVE::Storage::Plugin`).
    fn add_local(&self, live: &mut Items) {
        if self.file == SectionFile::Storage {
            live.entry(Object::Storage("local".to_owned()))
                .or_insert_with(|| {
                    [
                        (TYPE, "dir"),
                        ("path", "/var/lib/vz"),
                        ("content", "backup,iso,vztmpl"),
                    ]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into()
                });
        }
    }

    fn schema_file<'k>(&self, kind: &'k str) -> ConfigFile<'k> {
        self.file.config_file(kind)
    }

    fn is_added_to(&self, object: &Object) -> bool {
        !self.local_is_ours && *object == Object::Storage("local".to_owned())
    }
}

/// Whether two schedules run at the same times.
fn same_schedules(live: &str, wanted: &str) -> bool {
    let read = |text: &str| text.parse::<ProxmoxSchedule>();
    match (read(live), read(wanted)) {
        (Ok(live), Ok(wanted)) => live.runs_as(&wanted),
        _ => live.split_whitespace().eq(wanted.split_whitespace()),
    }
}

/// How sections are compared of which moxc has no schema.
struct OtherSectionRules;

impl Rules for OtherSectionRules {
    fn has_parts(&self, _: &Object, option: &str) -> bool {
        option != TYPE
    }

    fn class(&self, object: &Object, option: Option<&str>, _: Kind) -> Class {
        // HA starts and stops a guest by it.
        let is_state = option == Some("state")
            && matches!(object, Object::Section("etc/pve/ha/resources.cfg", _));
        if is_state {
            return Class {
                interrupts: Interrupts::Guest,
                ..Class::NOW
            };
        }
        Class::NOW
    }

    fn key(&self, object: &Object, option: Option<&str>) -> String {
        let id = match object {
            Object::Section(_, id) => id.as_str(),
            _ => "",
        };
        option.map_or_else(|| id.to_owned(), |option| format!("{id}\t{option}"))
    }

    fn shown(&self, _: &Object, options: &Options) -> String {
        options.get(TYPE).cloned().unwrap_or_default()
    }
}

/// A kind of storage that has an option.
fn storage_kind(option: &str) -> &'static str {
    let kinds = [
        "dir", "nfs", "cifs", "pbs", "zfspool", "lvm", "lvmthin", "btrfs", "cephfs", "rbd",
        "iscsi", "esxi",
    ];
    let found = kinds
        .into_iter()
        .find(|kind| ConfigFile::Storage(kind).option(option).is_some());
    found.unwrap_or("dir")
}

/// What tells how a backup went where the job does not say it: Proxmox VE's own notifications, unless an address is named
/// (`PVE::VZDump`, the mode `auto`).
fn add_notifications(items: &mut Items) {
    for options in items.values_mut() {
        let by_mail = options.get("mailto").is_some_and(|to| !to.is_empty());
        let mode = options.get("notification-mode").map(String::as_str);
        if !by_mail && matches!(mode, None | Some("auto")) {
            options.insert(
                "notification-mode".to_owned(),
                "notification-system".to_owned(),
            );
        }
    }
}

/// Where Proxmox VE finds or mounts a storage whose section does not say it: `ZFSPoolPlugin`, and `check_config` of the
/// plugins of NFS, SMB and `CephFS`.
fn add_mountpoints(items: &mut Items) {
    for (object, options) in items {
        let Object::Storage(name) = object else {
            continue;
        };
        let (key, place) = match options.get(TYPE).map(String::as_str) {
            Some("zfspool") => match options.get("pool") {
                Some(pool) => ("mountpoint", format!("/{pool}")),
                None => continue,
            },
            Some("nfs" | "cifs" | "cephfs") => ("path", format!("/mnt/pve/{name}")),
            _ => continue,
        };
        options.entry(key.to_owned()).or_insert(place);
    }
}

/// Lists whose order does not matter.
fn as_set(value: &str) -> BTreeSet<&str> {
    value
        .split([',', ';', ' ', '\n'])
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect()
}

impl Rules for SectionRules<'_> {
    fn has_parts(&self, _: &Object, option: &str) -> bool {
        option != TYPE
    }

    /// What a mapping does not say of its device Proxmox VE takes from the device.
    fn fills_in(&self, option: &str, part: &str) -> bool {
        option == "map" && is_of_device(part)
    }

    fn class(&self, object: &Object, option: Option<&str>, kind: Kind) -> Class {
        let schema = |option: &str| match object {
            Object::Storage(_) => ConfigFile::Storage(storage_kind(option)).option(option),
            _ => None,
        };
        match (self.file, option) {
            (SectionFile::Storage | SectionFile::Jobs, Some(TYPE)) => Class {
                interrupts: Interrupts::Nothing,
                ..Class::RECREATE
            },
            (SectionFile::Storage, Some(option))
                if schema(option).is_some_and(OptionSchema::is_fixed) =>
            {
                Class {
                    interrupts: Interrupts::Nothing,
                    ..Class::RECREATE
                }
            }
            (SectionFile::Mapping(_), Some("map")) if kind != Kind::Add => Class {
                shown: Shown::Silent,
                ..Class::RESTART
            },
            _ => Class::NOW,
        }
    }

    fn is_same(
        &self,
        object: &Object,
        option: &str,
        live: Option<&str>,
        wanted: Option<&str>,
    ) -> bool {
        if live == wanted {
            return true;
        }
        if self.is_added_to(object) && wanted.is_none() {
            return true;
        }
        let kind = match object {
            // One name is one option, whichever plugin has it.
            Object::Storage(_) => storage_kind(option),
            Object::Job(_) => "vzdump",
            _ => "",
        };
        let sets = matches!(
            option,
            "content" | "nodes" | "vmid" | "exclude" | "exclude-path"
        );
        match (live, wanted) {
            (None, Some(wanted)) if option == "nodes" => as_set(wanted) == self.nodes,
            (Some(live), Some(wanted)) if sets => as_set(live) == as_set(wanted),
            (Some(live), Some(wanted)) if option == "map" => same_maps(live, wanted),
            (Some(live), Some(wanted)) if option == "schedule" => same_schedules(live, wanted),
            _ => {
                let file = self.schema_file(kind);
                let of = |value: Option<&str>| value.map(|value| value::parts(file, option, value));
                value::differences(file, option, of(live).as_ref(), of(wanted).as_ref()).is_empty()
            }
        }
    }

    /// Which guests a job backs up is one thing: it cannot be all, or those of a pool, and those that the spec names, too. That a
    /// store is not disabled is said by no line.
    fn owns(&self, object: &Object, option: &str, _: &OfObject<'_>) -> bool {
        match object {
            Object::Job(_) => ["all", "exclude", "pool", "vmid"].contains(&option),
            Object::Storage(name) => option == "disable" && self.enabled.contains(name.as_str()),
            _ => false,
        }
    }

    fn apart(&self, object: &Object, option: &str, of: &OfObject<'_>) -> Apart {
        let Some(live) = of.live.get(option) else {
            return Apart::default();
        };
        let wanted = of.wanted.get(option);
        // Of a mapping that no run has left, the lines are what the spec says.
        if option == "map" && of.left.is_some() && of.is_said(option) {
            let (wanted, left) = (
                wanted.map_or("", String::as_str),
                of.left(option).unwrap_or(""),
            );
            // Of one line the device may be another one by hand.
            let is_one = |text: &str| text.lines().count() <= 1;
            if is_one(live) && is_one(wanted) && is_one(left) {
                return Apart::ours(Some(live.clone()));
            }
            let said: BTreeSet<&str> = wanted.lines().chain(left.lines()).map(device_of).collect();
            return Apart::parts(live.lines(), "\n", |line| !said.contains(device_of(line)));
        }
        let is_list = match object {
            Object::Storage(_) => option == "content" && self.is_added_to(object),
            // Those that a job leaves out, where it takes all others.
            Object::Job(_) if option == "exclude" => of.wanted.contains_key("all"),
            Object::Job(_) => option == "vmid" && wanted.is_some(),
            _ => false,
        };
        if !is_list {
            let is_ours = of.is_said(option) || self.owns(object, option, of);
            let value = Some(live.clone());
            return if is_ours {
                Apart::ours(value)
            } else {
                Apart::others(value)
            };
        }
        let said = wanted.map(|wanted| as_set(wanted)).unwrap_or_default();
        let left = of.left(option).map(as_set).unwrap_or_default();
        Apart::parts(words(live), ",", |word| {
            let is_guest = matches!(object, Object::Job(_)) && self.guests.contains(word);
            !said.contains(word) && !left.contains(word) && !is_guest
        })
    }

    fn joined(&self, option: &str, live: &str, ours: Option<&str>, others: &str) -> String {
        if option == "map" {
            let lines = ours.unwrap_or_default().lines().chain(others.lines());
            return lines.collect::<Vec<_>>().join("\n");
        }
        let (said, others) = (ours.map(as_set).unwrap_or_default(), as_set(others));
        let stays = |word: &&str| said.contains(word) || others.contains(word);
        let mut all: Vec<&str> = words(live).filter(stays).collect();
        for word in words(ours.unwrap_or_default()) {
            if !all.contains(&word) {
                all.push(word);
            }
        }
        all.join(",")
    }

    fn set(
        &self,
        object: &Object,
        option: &str,
        value: Option<&str>,
        options: &Options,
    ) -> Vec<Command> {
        if option == TYPE || self.class(object, Some(option), Kind::Change).when == When::Recreate {
            return Vec::new();
        }
        let command = match (self.file, object) {
            (SectionFile::Storage, Object::Storage(name)) => {
                Command::new("pvesm").arg("set").arg(name)
            }
            (_, object) => Command::new("pvesh").arg("set").arg(api_path(object)),
        };
        let say = |command: Command, option: &str, value: &str| {
            value.lines().fold(command, |command, line| {
                command.arg(format!("--{option}")).arg(line)
            })
        };
        let command = match value {
            Some(value) => say(command, option, value),
            None => command.arg("--delete").arg(option),
        };
        // The API takes some options only together with another, and a mapping only with all that it maps.
        let along = match object {
            Object::Mapping(..) => Some("map"),
            Object::Job(_) if value.is_some() => {
                let schema = self.schema_file("vzdump").option(option);
                schema.and_then(OptionSchema::requires)
            }
            _ => None,
        };
        let along = along.filter(|along| *along != option);
        vec![
            match along.and_then(|along| Some((along, options.get(along)?))) {
                Some((along, value)) => say(command, along, value),
                None => command,
            },
        ]
    }

    fn create(&self, object: &Object, options: &Options) -> Vec<Command> {
        let kind = options.get(TYPE).map_or("", String::as_str);
        let mut command = match object {
            Object::Storage(name) => Command::new("pvesm").arg("add").arg(kind).arg(name),
            Object::Job(name) => {
                let command = Command::new("pvesh").arg("create").arg("/cluster/backup");
                command.arg("--id").arg(name)
            }
            Object::Mapping(kind, name) => {
                let path = format!("/cluster/mapping/{}", kind.name());
                let command = Command::new("pvesh").arg("create").arg(path);
                command.arg("--id").arg(name)
            }
            _ => return Vec::new(),
        };
        for (key, value) in options.iter().filter(|(key, _)| *key != TYPE) {
            for line in value.lines() {
                command = command.arg(format!("--{key}")).arg(line);
            }
        }
        vec![command]
    }

    fn remove(&self, object: &Object) -> Vec<Command> {
        vec![match object {
            Object::Storage(name) => Command::new("pvesm").arg("remove").arg(name),
            object => Command::new("pvesh").arg("delete").arg(api_path(object)),
        }]
    }

    fn key(&self, object: &Object, option: Option<&str>) -> String {
        let name = match object {
            Object::Storage(name) | Object::Job(name) | Object::Mapping(_, name) => name.as_str(),
            _ => "",
        };
        option.map_or_else(|| name.to_owned(), |option| format!("{name}\t{option}"))
    }

    fn shown(&self, _: &Object, options: &Options) -> String {
        options.get(TYPE).cloned().unwrap_or_default()
    }

    fn tells_foreign(&self, object: &Object, option: Option<&str>) -> bool {
        !(self.is_added_to(object)
            || option.is_none() && *object == Object::Storage("local".to_owned()))
    }
}

/// The words of a list.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';', ' ']).filter(|word| !word.is_empty())
}

/// What a line of a mapping is about: its path, else the device's kind.
fn device_of(line: &str) -> &str {
    let part = |name| parse::part_of_map(line, name);
    part("path").or_else(|| part("id")).unwrap_or(line)
}

/// Whether a part of a line of a mapping follows from its device.
fn is_of_device(part: &str) -> bool {
    matches!(part, "iommugroup" | "subsystem-id" | "id")
}

/// What a mapping says of its device must be what the device is; what it does not say Proxmox VE fills in.
fn same_maps(live: &str, wanted: &str) -> bool {
    let parts = |line: &str| -> BTreeMap<String, String> {
        let pairs = line.split(',').filter_map(|part| part.split_once('='));
        pairs
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .collect()
    };
    let read = |text: &str| text.lines().map(parts).collect::<Vec<_>>();
    let (live, wanted) = (read(live), read(wanted));
    live.len() == wanted.len()
        && wanted.iter().all(|wanted| {
            live.iter().any(|live| {
                wanted
                    .iter()
                    .all(|(key, value)| live.get(key) == Some(value))
                    && live
                        .keys()
                        .all(|key| wanted.contains_key(key) || is_of_device(key))
            })
        })
}

fn api_path(object: &Object) -> String {
    match object {
        Object::Job(name) => format!("/cluster/backup/{name}"),
        Object::Mapping(kind, name) => format!("/cluster/mapping/{}/{name}", kind.name()),
        Object::Storage(name) => format!("/storage/{name}"),
        Object::Pool(_)
        | Object::Dataset(_)
        | Object::Lvm(_)
        | Object::Vm(_)
        | Object::Ct(_)
        | Object::Section(..)
        | Object::Firewall(_)
        | Object::Unit(_)
        | Object::File(_)
        | Object::Interface(_) => String::new(),
    }
}

/// Whether an option says what an interface is, what it is made of or where it stands in the network: an address that the spec
/// has moved to another interface must go from here, and a port that it has given to another bridge. What it is not is as good.
fn is_what_it_is(option: &str, live: &Options, wanted: &Options) -> bool {
    let option = option.strip_prefix("inet6 ").unwrap_or(option);
    // Options of a bridge, where it is none any more.
    let kinds = [
        ("bridge-", "bridge-ports"),
        ("bond-", "bond-slaves"),
        ("ovs-", "ovs-type"),
        ("vlan-", "vlan-raw-device"),
        ("vxlan-", "vxlan-id"),
    ];
    let is_another = kinds.iter().any(|(kind, key)| {
        option.starts_with(kind) && live.contains_key(*key) && !wanted.contains_key(*key)
    });
    let in_network = [
        "auto",
        "method",
        "address",
        "netmask",
        "gateway",
        "pointopoint",
    ];
    let made_of = ["bridge-ports", "bond-slaves", "bond-mode", "bond-primary"];
    let of_bridge = ["bridge-vlan-aware", "bridge-vids"];
    let of_vlan = ["vlan-id", "vlan-raw-device", "vlan-protocol", "link-type"];
    let of_ovs = [
        "ovs-type",
        "ovs-bridge",
        "ovs-ports",
        "ovs-bonds",
        "ovs-options",
    ];
    is_another
        || in_network.contains(&option)
        || made_of.contains(&option)
        || of_bridge.contains(&option) && live.contains_key("bridge-ports")
        || of_vlan.contains(&option)
        || of_ovs.contains(&option)
        || option.starts_with("vxlan-")
}

struct InterfaceRules;

impl Rules for InterfaceRules {
    fn owns(&self, object: &Object, option: &str, of: &OfObject<'_>) -> bool {
        // What is there anyway is the spec's only where it says something of it.
        if *object == Object::Interface("lo".to_owned()) && of.wanted.is_empty() {
            return false;
        }
        is_what_it_is(option, of.live, of.wanted)
    }

    /// What somebody has written below the lines of an earlier run stays below the spec's.
    fn apart(&self, object: &Object, option: &str, of: &OfObject<'_>) -> Apart {
        let live = of.live.get(option);
        if self.owns(object, option, of) {
            return Apart::ours(live.cloned());
        }
        let (Some(live), Some(left)) = (live, of.left(option)) else {
            return match of.wanted.get(option) {
                Some(_) => Apart::ours(live.cloned()),
                None => Apart::others(live.cloned()),
            };
        };
        let spaced = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = |text: &str| text.lines().map(spaced).collect::<BTreeSet<_>>();
        let left = said(left);
        // A line that an earlier run wrote and somebody changed is no line of theirs.
        if !left.is_subset(&said(live)) {
            return Apart::ours(Some(live.clone()));
        }
        let wanted = of.wanted.get(option).map(|wanted| said(wanted));
        let wanted = wanted.unwrap_or_default();
        Apart::parts(live.lines(), "\n", |line| {
            let line = spaced(line);
            !left.contains(&line) && !wanted.contains(&line)
        })
    }

    fn joined(&self, _: &str, _: &str, ours: Option<&str>, others: &str) -> String {
        match ours {
            Some(ours) => format!("{ours}\n{others}"),
            None => others.to_owned(),
        }
    }

    fn class(&self, _: &Object, _: Option<&str>, _: Kind) -> Class {
        Class::NETWORK
    }

    fn is_same(
        &self,
        object: &Object,
        option: &str,
        live: Option<&str>,
        wanted: Option<&str>,
    ) -> bool {
        let named = match object {
            Object::Interface(name) => named_vlan(name),
            _ => None,
        };
        let canonical = |value: Option<&str>| {
            let value = value.unwrap_or("");
            match option {
                // What the name says already.
                "vlan-raw-device" if value.is_empty() => {
                    named.map_or_else(String::new, |(parent, _)| parent.to_owned())
                }
                "vlan-id" if value.is_empty() => {
                    named.map_or_else(String::new, |(_, id)| id.to_string())
                }
                "bridge-ports" | "bond-slaves" | "bridge-vids" | "ovs-ports" | "ovs-bonds"
                | "ovs-options" => {
                    let words = as_set(value);
                    words
                        .into_iter()
                        .filter(|word| *word != "none")
                        .collect::<Vec<_>>()
                        .join(" ")
                }
                // The kernel's own, where nothing is said.
                "bond-xmit-hash-policy" if value.is_empty() => "layer2".to_owned(),
                "bridge-stp" | "bridge-vlan-aware" => {
                    let on = matches!(value, "yes" | "on" | "1" | "true");
                    u8::from(on).to_string()
                }
                "bridge-fd" | "bond-miimon" => {
                    let default = if option == "bridge-fd" { "0" } else { "100" };
                    if value.is_empty() {
                        default.to_owned()
                    } else {
                        value.to_owned()
                    }
                }
                "mtu" if value.is_empty() => "1500".to_owned(),
                // Lines of commands stand for themselves.
                _ if value.contains('\n') => {
                    let lines = value.lines();
                    let lines =
                        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
                    lines.collect::<Vec<_>>().join("\n")
                }
                _ => value.split_whitespace().collect::<Vec<_>>().join(" "),
            }
        };
        canonical(live) == canonical(wanted)
    }

    fn set(&self, _: &Object, _: &str, _: Option<&str>, _: &Options) -> Vec<Command> {
        vec![Command::new("ifreload").arg("-a")]
    }

    fn create(&self, _: &Object, _: &Options) -> Vec<Command> {
        vec![Command::new("ifreload").arg("-a")]
    }

    fn remove(&self, _: &Object) -> Vec<Command> {
        vec![Command::new("ifreload").arg("-a")]
    }

    fn key(&self, object: &Object, option: Option<&str>) -> String {
        let Object::Interface(name) = object else {
            return String::new();
        };
        option.map_or_else(|| name.clone(), |option| format!("{name}\t{option}"))
    }
}

struct BootRules;

impl Rules for BootRules {
    /// The file is written as a whole.
    fn owns(&self, _: &Object, _: &str, _: &OfObject<'_>) -> bool {
        true
    }

    fn class(&self, _: &Object, option: Option<&str>, kind: Kind) -> Class {
        // The module takes these two while it runs.
        let at_once = option.is_some_and(|option| option.starts_with("options zfs zfs_arc_m"));
        if at_once && kind != Kind::Remove {
            Class::NOW
        } else {
            Class::HOST_RESTART
        }
    }

    fn set(&self, _: &Object, option: &str, value: Option<&str>, _: &Options) -> Vec<Command> {
        let parameter = option.strip_prefix("options zfs ");
        match (parameter, value) {
            (Some(parameter), Some(value)) if parameter.starts_with("zfs_arc_m") => {
                let path = format!("/sys/module/zfs/parameters/{parameter}");
                vec![
                    Command::new("sh")
                        .arg("-c")
                        .arg(format!("echo {value} > {path}")),
                ]
            }
            _ => vec![
                Command::new("update-initramfs")
                    .arg("-u")
                    .arg("-k")
                    .arg("all"),
            ],
        }
    }
}

struct WordRules;

impl Rules for WordRules {
    fn class(&self, _: &Object, _: Option<&str>, _: Kind) -> Class {
        Class::HOST_RESTART
    }

    fn set(&self, object: &Object, _: &str, _: Option<&str>, _: &Options) -> Vec<Command> {
        // The boot loader is told; until then a file is only a file.
        vec![match object {
            Object::File(path) if path == "etc/kernel/cmdline" => {
                Command::new("proxmox-boot-tool").arg("refresh")
            }
            _ => Command::new("update-grub"),
        }]
    }

    fn is_same(&self, _: &Object, _: &str, live: Option<&str>, wanted: Option<&str>) -> bool {
        match (live, wanted) {
            (Some(live), Some(wanted)) => as_set(wanted).is_subset(&as_set(live)),
            (live, wanted) => live == wanted,
        }
    }
}

struct OwnRules<'a> {
    path: &'a str,
    whole_is_ours: bool,
}

impl Rules for OwnRules<'_> {
    fn has_parts(&self, _: &Object, _: &str) -> bool {
        !self.whole_is_ours
    }

    fn class(&self, _: &Object, _: Option<&str>, _: Kind) -> Class {
        if at_boot(self.path) {
            Class::HOST_RESTART
        } else {
            Class::NOW
        }
    }

    fn create(&self, object: &Object, _: &Options) -> Vec<Command> {
        reload(object)
    }

    fn remove(&self, object: &Object) -> Vec<Command> {
        reload(object)
    }

    fn set(&self, object: &Object, option: &str, value: Option<&str>, _: &Options) -> Vec<Command> {
        if self.path != "etc/pve/datacenter.cfg" {
            return reload(object);
        }
        let command = Command::new("pvesh").arg("set").arg("/cluster/options");
        vec![match value {
            Some(value) => command.arg(format!("--{option}")).arg(value),
            None => command.arg("--delete").arg(option),
        }]
    }

    fn shown(&self, _: &Object, options: &Options) -> String {
        match options.get("content") {
            Some(content) => format!("{} lines", content.lines().count()),
            None => options.keys().cloned().collect::<Vec<_>>().join(" "),
        }
    }

    fn owns(&self, _: &Object, _: &str, _: &OfObject<'_>) -> bool {
        self.whole_is_ours
    }
}

fn reload(object: &Object) -> Vec<Command> {
    match object {
        Object::Unit(_) => vec![Command::new("systemctl").arg("daemon-reload")],
        _ => Vec::new(),
    }
}
