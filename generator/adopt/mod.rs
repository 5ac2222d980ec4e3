//! A host that runs → a spec of it, with the proof that it says the host as it is.
//!
//! Each part of the host is written down in the language's own words. The spec is then compiled, and its plan held against
//! the same copy. What the compiler refuses stands as a comment with its error; what the plan would change is said another
//! way: in Proxmox VE's own words, as sections or stanzas that are kept, or not at all. So the loop that proves the spec is
//! also what makes it right. It ends because each round decides something that stays decided.

mod boot;
mod cloud_init;
mod container;
mod devices;
mod doc;
mod files;
mod firewall;
mod guest;
mod guests;
pub(crate) mod hardware;
mod host;
mod jobs;
mod network;
mod risks;
mod storage;
mod timers;
mod vm;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crate::check;
use crate::compile::Compiled;
use crate::diagnostics::{Code, Diagnostic, Severity};
use crate::live::{Item, LiveNode, Snapshot};
use crate::plan::{self, Change, Object, Plan, Wanted};
use crate::pve::MappingKind;
use crate::source::{FileId, SourceMap};
use crate::targets::Target;
use crate::template::Templates;

use doc::{Doc, Part, Printed};
use write::{Decided, StoreKind, Writing};
pub use write::{Note, NoteKind};

/// After so many rounds what is left is told instead of mended.
const MOST_ROUNDS: usize = 40;

/// A spec of a host that runs.
#[derive(Debug)]
pub struct Adopted {
    /// The name of the host in the spec.
    pub host: String,
    /// The spec.
    pub text: String,
    /// What a person wants to know of it.
    pub notes: Vec<Note>,
    /// What of the host stands as a comment, with the error: the compiler refuses it.
    pub faults: Vec<String>,
    /// What the compiler says of the spec; its places are of the text, as the first file of a call.
    pub found: Vec<(Severity, Diagnostic)>,
    /// The generated files that it speaks of, by name and text: the next files of that call.
    pub generated: Vec<(String, String)>,
    /// What the spec would change on the host: nothing, where the proof has come out.
    pub plan: Option<Plan>,
}

impl Adopted {
    /// Whether the spec says the host as it is, whole.
    pub fn is_proved(&self) -> bool {
        self.faults.is_empty() && self.plan.as_ref().is_some_and(Plan::is_same)
    }
}

/// Writes the spec of a host.
pub fn adopt(live: &Snapshot, minimal: bool) -> Adopted {
    let mut decided = Decided::default();
    let mut round = 0;
    loop {
        round += 1;
        let (doc, notes) = write(live, minimal, &decided);
        let printed = doc::print(&doc);
        let compiled = compile(&printed, live);
        // What would be changed says more of a file than that it cannot be written.
        let mut next = match &compiled.plan {
            Some(plan) => after_plan(&decided, &plan.changes),
            None => decided.clone(),
        };
        if next == decided && !compiled.builds {
            next = after_errors(&decided, &printed, &compiled);
        }
        next.show_as_first_written();
        if next == decided || round == MOST_ROUNDS {
            return finish(live, &decided, printed, notes, compiled);
        }
        decided = next;
    }
}

/// The tables of the machine alone, and why something of it is not known.
pub fn hardware(live: &Snapshot) -> (String, Vec<Note>) {
    let decided = Decided::default();
    let nobody = LiveNode::default();
    let disks = hardware::Disks::of(live);
    let mut writing = Writing::of(live, live.own().unwrap_or(&nobody), false, &decided);
    let interfaces = network::Interfaces::of(&writing);
    let mut nics = interfaces.nics;
    let cards = live.network.present().into_iter().flatten();
    nics.extend(
        cards
            .filter(|link| link.kind.is_none() && link.device.is_some())
            .map(|link| link.name.clone())
            .filter(|name| hardware::is_card_name(name)),
    );
    let mut doc = Doc::default();
    hardware::write(&mut writing, &disks, &nics, &mut doc);
    let machine = &live.machine;
    let answers = [
        ("lspci", reason(&machine.pci)),
        ("lsusb", reason(&machine.usb)),
        ("lsblk", reason(&machine.disks)),
        ("/dev/disk/by-id", reason(&machine.by_id)),
        ("lscpu", reason(&machine.processor)),
        ("/proc/meminfo", reason(&machine.memory)),
        ("ip link", reason(&live.network)),
    ];
    let unread = answers.into_iter().filter_map(|(what, why)| {
        Some(Note {
            kind: NoteKind::Unread,
            what: what.to_owned(),
            why: why?.to_owned(),
        })
    });
    (doc::print(&doc).text, unread.collect())
}

fn reason<T>(item: &Item<T>) -> Option<&str> {
    match item {
        Item::Present(_) => None,
        Item::Absent => Some("the copy does not hold it"),
        Item::Unread(why) => Some(why),
    }
}

/// The fleet that the nodes of a cluster are: their specs lie in `hosts`.
pub fn fleet(live: &Snapshot) -> String {
    let mut doc = Doc::default();
    let mut table = doc::Table::new([], Part::Host);
    table.set("hosts", doc::Toml::texts(["hosts/*.toml"]));
    doc.push(table);
    if live.nodes.len() > 1 {
        let mut table = doc::Table::new(["cluster"], Part::Host);
        table.set("name", cluster_name(live));
        doc.push(table);
    }
    doc::print(&doc).text
}

/// The name that `corosync.conf` gives the cluster.
fn cluster_name(live: &Snapshot) -> String {
    let file = live.tree.file("etc/pve/corosync.conf");
    let text = file.present().map_or("", |file| file.text.as_str());
    let mut names = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("cluster_name:"));
    write::plain_name(names.next().unwrap_or_default().trim(), "cluster")
}

fn finish(
    live: &Snapshot,
    decided: &Decided,
    printed: Printed,
    mut notes: BTreeSet<Note>,
    compiled: Tried,
) -> Adopted {
    let mut faults: Vec<String> = Vec::new();
    for ((part, says), why) in &decided.faulty {
        if decided.out.contains_key(part) {
            continue;
        }
        let what = format!("{} `{says}`", shown(part));
        if is_unknown(live, part, says, why) {
            notes.insert(Note {
                kind: NoteKind::Unknown,
                what,
                why: first_line(why).to_owned(),
            });
        } else {
            faults.push(format!("{what}: {}", first_line(why)));
        }
    }
    for (part, why) in &decided.out {
        faults.push(format!("{}: {}", shown(part), first_line(why)));
    }
    for unread in &live.unread {
        notes.insert(Note {
            kind: NoteKind::Unread,
            what: unread.path.clone(),
            why: unread.reason.clone(),
        });
    }
    let sources = compiled.sources.files();
    let generated = sources
        .filter(|(file, _)| *file != compiled.spec)
        .map(|(_, file)| (file.name().to_owned(), file.text().to_owned()))
        .collect();
    Adopted {
        host: host::host_name(node_of(live)),
        generated,
        text: printed.text,
        notes: notes.into_iter().collect(),
        faults,
        found: compiled.found,
        plan: compiled.plan.filter(|_| compiled.builds),
    }
}

/// Whether an entry is refused because moxc does not know it, and not because it is wrong: an option of a newer release.
fn is_unknown(live: &Snapshot, part: &Part, says: &str, why: &str) -> bool {
    match part {
        Part::Guest(vmid) => {
            let guest = live.own().and_then(|own| own.guests.get(vmid));
            guest.is_some_and(|guest| {
                guest.config.get(says).is_some() && guest.kind.config_file().option(says).is_none()
            })
        }
        Part::Store(_) => why.starts_with(Code::MOX0002.as_str()),
        _ => false,
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}

/// A part of a host for people.
fn shown(part: &Part) -> String {
    match part {
        Part::Host => "the host".to_owned(),
        Part::Guest(vmid) => format!("guest {vmid}"),
        Part::Store(name) => format!("storage `{name}`"),
        Part::Pool(name) => format!("pool `{name}`"),
        Part::Interface(name) => format!("interface `{name}`"),
        Part::Job(name) => format!("job `{name}`"),
        Part::Device(name) => format!("device `{name}`"),
        Part::File(path) => format!("/{path}"),
        Part::Boot => "what the kernel is told".to_owned(),
    }
}

/// The name of the host among its nodes; empty where nobody knows it.
fn node_of(live: &Snapshot) -> &str {
    live.node.present().map_or("", String::as_str)
}

/// Writes all tables, and hides what has turned out to be faulty.
fn write(live: &Snapshot, minimal: bool, decided: &Decided) -> (Doc, BTreeSet<Note>) {
    let nobody = LiveNode::default();
    let own = live.own().unwrap_or(&nobody);
    let disks = hardware::Disks::of(live);
    let mut writing = Writing::of(live, own, minimal, decided);
    writing.disks = disks.by_path();
    let mut doc = Doc {
        preamble: vec![
            "A host that runs, as moxc has found it: `moxc plan` of this file against the host changes nothing."
                .to_owned(),
        ],
        ..Doc::default()
    };
    let interfaces = network::Interfaces::of(&writing);
    host::write(&mut writing, &mut doc);
    hardware::write(&mut writing, &disks, &interfaces.nics, &mut doc);
    boot::write(&mut writing, &mut doc);
    network::write(&mut writing, &interfaces, &mut doc);
    storage::write(&mut writing, &disks, &mut doc);
    guests::write(&mut writing, &mut doc);
    jobs::write(&mut writing, &mut doc);
    timers::write(&writing, &mut doc);
    files::write(&mut writing, &mut doc);
    hide(&mut doc, decided);
    (doc, writing.notes)
}

impl<'a> Writing<'a> {
    fn of(live: &'a Snapshot, own: &'a LiveNode, minimal: bool, decided: &'a Decided) -> Self {
        let node = node_of(live);
        let pci = mapped(live, node, decided, MappingKind::Pci, "hostpci");
        let usb = mapped(live, node, decided, MappingKind::Usb, "usb");
        let exclusive = devices::exclusive(live, own, &pci, &usb);
        Self {
            live,
            node,
            own,
            release: host::release(live),
            minimal,
            decided,
            names: write::guest_names(live, own),
            stores: stores(live, decided),
            passed: devices::passed(live, own, &pci, decided),
            pci,
            usb,
            plugged: devices::plugged(own, decided),
            exclusive,
            disks: BTreeMap::new(),
            notes: BTreeSet::new(),
        }
    }
}

/// The storages that a guest can refer to.
fn stores(live: &Snapshot, decided: &Decided) -> BTreeMap<String, StoreKind> {
    let mut stores = BTreeMap::from([("local".to_owned(), StoreKind::Store)]);
    for section in live
        .storage
        .present()
        .into_iter()
        .flat_map(|storage| storage.config.sections())
    {
        let part = Part::Store(section.id().to_owned());
        let is_said = !decided.kept.contains_key(&part)
            && !decided.out.contains_key(&part)
            && !storage::is_of_others(live, node_of(live), section);
        if let Some(kind) = storage::kind_of(section).filter(|_| is_said) {
            stores.insert(section.id().to_owned(), kind);
        }
    }
    stores
}

/// The mappings that are said by a table of the hardware: those that a guest has.
fn mapped(
    live: &Snapshot,
    node: &str,
    decided: &Decided,
    kind: MappingKind,
    option: &str,
) -> BTreeSet<String> {
    let guests = live.own().into_iter().flat_map(|own| own.guests.values());
    let mut used = BTreeSet::new();
    for guest in guests {
        for (key, value) in guest
            .config
            .options()
            .filter(|(key, _)| key.starts_with(option))
        {
            let parts = plan::value::parts(
                guest.kind.config_file(),
                key,
                guest.wanted(key).unwrap_or(value),
            );
            used.extend(parts.get("mapping").cloned());
        }
    }
    hardware::mapped(live, node, kind)
        .into_keys()
        .filter(|name| {
            used.contains(name) && !decided.kept.contains_key(&Part::Device(name.clone()))
        })
        .collect()
}

/// What the compiler refuses stands as a comment.
fn hide(doc: &mut Doc, decided: &Decided) {
    for table in &mut doc.tables {
        if let Some(why) = decided.out.get(&table.part) {
            table.fault = Some(why.clone());
            continue;
        }
        let fault = |says: &str| {
            decided
                .faulty
                .get(&(table.part.clone(), says.to_owned()))
                .cloned()
        };
        if let Some(why) = table.says.as_deref().and_then(fault) {
            table.fault = Some(why);
            continue;
        }
        let faults: Vec<Option<String>> = table
            .entries
            .iter()
            .map(|entry| fault(&entry.says))
            .collect();
        for (entry, fault) in table.entries.iter_mut().zip(faults) {
            if entry.fault.is_none() {
                entry.fault = fault;
            }
        }
    }
}

/// A spec after its compilation.
struct Tried {
    /// The spec among the files that were found faulty.
    spec: FileId,
    found: Vec<(Severity, Diagnostic)>,
    /// The spec, and what was written and is faulty.
    sources: SourceMap,
    /// What it would change; none where it has errors.
    plan: Option<Plan>,
    /// Whether a build takes it.
    builds: bool,
}

fn compile(printed: &Printed, live: &Snapshot) -> Tried {
    let mut compiled = Compiled::of("host.toml", &printed.text);
    // As a build does it, up to the disk: what is written must build.
    let files = compiled.files(&[Target::Proxmox], &Templates::built_in());
    let plan = files.map(|files| {
        let host = &compiled.checked.host;
        let faults = check::check(host, &files);
        check::tell(faults, &mut compiled.sources, &mut compiled.sink);
        let wanted = Wanted {
            host,
            files: &files,
        };
        plan::compare(&wanted, live)
    });
    let builds = plan.is_some() && !compiled.sink.has_errors();
    risks::tell(live, printed, compiled.file, &mut compiled.sink);
    Tried {
        spec: compiled.file,
        found: compiled.found(),
        sources: compiled.sources,
        plan,
        builds,
    }
}

/// What is decided once the compiler has refused something.
fn after_errors(decided: &Decided, printed: &Printed, compiled: &Tried) -> Decided {
    let mut next = decided.clone();
    let errors = compiled
        .found
        .iter()
        .filter(|(severity, _)| *severity == Severity::Error);
    for (_, error) in errors {
        // What is wrong with a generated file is shown there first.
        let mut places = error.labels.iter().map(|label| label.span);
        let in_spec = places.find(|place| place.file() == compiled.spec);
        let Some((part, says)) = in_spec.and_then(|place| printed.at(&place.range())) else {
            continue;
        };
        let why = format!("{}: {}", error.code, error.message);
        match part {
            // What the hardware table says of a function may be what is refused, and not that the guest has it.
            Part::Guest(vmid)
                if says.is_some_and(|says| is_typed_function(decided, *vmid, says)) =>
            {
                let options = (0..16).map(|slot| (part.clone(), format!("hostpci{slot}")));
                next.raw.extend(options);
            }
            // An address that the cards' checks refuse may stand in the words that cloud-init gets.
            Part::Guest(_) if says.is_some_and(|says| says.starts_with("ipconfig")) => {
                let entry = (part.clone(), says.unwrap_or_default().to_owned());
                if decided.raw.contains(&entry) {
                    refuse(decided, &mut next, part, says, why);
                } else {
                    next.raw.insert(entry);
                }
            }
            // moxc writes the file itself: the host's own stays.
            Part::File(path)
                if error.code == Code::MOX0029 && !decided.untouched.contains_key(path) =>
            {
                let why = "it stands there in other words".to_owned();
                next.untouched.insert(path.clone(), why);
            }
            // A key of a release that moxc does not know is no reason to take the storage from its guests.
            Part::Store(_) if error.code == Code::MOX0002 => {
                refuse(decided, &mut next, part, says, why);
            }
            // The stanza, the section or the mapping as it is may still do.
            Part::Store(_)
            | Part::Job(_)
            | Part::Interface(_)
            | Part::Device(_)
            | Part::File(_)
            | Part::Pool(_)
                if !decided.kept.contains_key(part) =>
            {
                next.kept.insert(part.clone(), why);
            }
            Part::Host
            | Part::Guest(_)
            | Part::Store(_)
            | Part::Pool(_)
            | Part::Interface(_)
            | Part::Job(_)
            | Part::Device(_)
            | Part::File(_)
            | Part::Boot => refuse(decided, &mut next, part, says, why),
        }
    }
    next
}

fn is_typed_function(decided: &Decided, vmid: u32, says: &str) -> bool {
    says.starts_with("hostpci") && !decided.is_raw(&Part::Guest(vmid), says)
}

/// The entry that is refused goes, then what is around it.
fn refuse(decided: &Decided, next: &mut Decided, part: &Part, says: Option<&str>, why: String) {
    if let Some(says) = says {
        let entry = (part.clone(), says.to_owned());
        if !decided.faulty.contains_key(&entry) {
            next.faulty.insert(entry, why);
            return;
        }
    }
    if *part == Part::Host {
        return;
    }
    let why = first_fault(decided, part).unwrap_or(why);
    next.out.entry(part.clone()).or_insert(why);
}

/// What was refused first of a part is the reason; that something is missing or differs now only follows from it.
fn first_fault(decided: &Decided, part: &Part) -> Option<String> {
    let mut faults = decided.faulty.iter().filter(|((own, _), _)| own == part);
    faults.next().map(|(_, why)| why.clone())
}

/// What is decided once the plan would change something.
fn after_plan(decided: &Decided, changes: &[Change]) -> Decided {
    let mut next = decided.clone();
    for change in changes {
        match &change.object {
            Object::Vm(vmid) | Object::Ct(vmid) => guest_differs(decided, &mut next, *vmid, change),
            Object::Storage(name) => keep(decided, &mut next, Part::Store(name.clone()), change),
            Object::Job(name) => job_differs(decided, &mut next, name, change),
            Object::Mapping(_, name) => {
                keep(decided, &mut next, Part::Device(name.clone()), change);
            }
            Object::Interface(name) => {
                keep(decided, &mut next, Part::Interface(name.clone()), change);
            }
            Object::Pool(name) | Object::Lvm(name) => {
                keep(decided, &mut next, Part::Pool(name.clone()), change);
            }
            Object::Dataset(name) => {
                let why = format!("`{name}` would be changed: {}", told(change));
                next.out.insert(Part::Pool(name.clone()), why);
            }
            Object::Unit(name) if is_of_schedule(name, decided) => {
                let job = timers::schedule_of(name).unwrap_or(name).to_owned();
                keep(decided, &mut next, Part::Job(job), change);
            }
            Object::Section(..) | Object::Firewall(_) | Object::Unit(_) | Object::File(_) => {
                let Some(line) = &change.line else {
                    // What no file of the tree says: the node's line in `/etc/hosts`.
                    if let Object::File(path) = &change.object {
                        let why = || told(change);
                        next.untouched.entry(path.clone()).or_insert_with(why);
                    }
                    continue;
                };
                let part = Part::File(line.path.clone());
                // What moxc would add by itself to what backups do stays out.
                if line.path == files::VZDUMP_CONF
                    && let (Some(option), None) = (&change.option, &change.before)
                    && next.unset.insert((part.clone(), option.clone()))
                {
                    continue;
                }
                if firewall::guest_of(&line.path).is_some() && !decided.kept.contains_key(&part) {
                    keep(decided, &mut next, part, change);
                } else {
                    let path = written_as(&line.path).to_owned();
                    next.untouched.entry(path).or_insert_with(|| told(change));
                }
            }
        }
    }
    next
}

/// Whether a unit is of a schedule that may be kept as its units instead.
fn is_of_schedule(unit: &str, decided: &Decided) -> bool {
    let name = timers::schedule_of(unit);
    name.is_some_and(|name| !decided.kept.contains_key(&Part::Job(name.to_owned())))
}

/// The file that moxc writes for what a file of the host says: GRUB reads a folder beside its own.
fn written_as(path: &str) -> &str {
    match path {
        "etc/default/grub" => "etc/default/grub.d/moxc.cfg",
        path => path,
    }
}

/// What moxc would add to a job by itself stays out; a job that differs otherwise is kept as it is.
fn job_differs(decided: &Decided, next: &mut Decided, name: &str, change: &Change) {
    let part = Part::Job(name.to_owned());
    if let (Some(option), None) = (&change.option, &change.before) {
        let entry = (part.clone(), option.clone());
        if !decided.unset.contains(&entry) {
            next.unset.insert(entry);
            return;
        }
    }
    keep(decided, next, part, change);
}

fn keep(decided: &Decided, next: &mut Decided, part: Part, change: &Change) {
    let why = format!("moxc would write it otherwise: {}", told(change));
    if decided.kept.contains_key(&part) {
        let why = first_fault(decided, &part).unwrap_or(why);
        next.out.insert(part, why);
    } else {
        next.kept.insert(part, why);
    }
}

/// A change in a few words.
fn told(change: &Change) -> String {
    let value = |value: &Option<String>| {
        let value = value.as_deref().unwrap_or("nothing");
        plan::render::short(value)
    };
    let option = change.option.as_deref().map(|option| format!(" {option}"));
    format!(
        "{}{}: {} → {}",
        change.object,
        option.unwrap_or_default(),
        value(&change.before),
        value(&change.after)
    )
}

fn guest_differs(decided: &Decided, next: &mut Decided, vmid: u32, change: &Change) {
    let part = Part::Guest(vmid);
    let otherwise = || format!("moxc would write it otherwise: {}", told(change));
    let why = || first_fault(decided, &Part::Guest(vmid)).unwrap_or_else(otherwise);
    let Some(option) = &change.option else {
        next.out.insert(part, why());
        return;
    };
    let key = option.split('.').next().unwrap_or(option).to_owned();
    let entry = (part.clone(), key);
    if change.before.is_none() && !option.contains('.') && !decided.unset.contains(&entry) {
        next.unset.insert(entry);
    } else if change.before.is_some() && !decided.raw.contains(&entry)
        || option.contains('.') && !decided.raw.contains(&entry)
    {
        next.raw.insert(entry);
    } else {
        next.out.insert(part, why());
    }
}
