//! `[keep]`: sections and files that the language has no words for, word for word.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::boot;
use super::doc::{Doc, Part, Table, Toml};
use super::firewall;
use super::hardware;
use super::jobs::{self, JOBS_CFG};
use super::storage::{STORAGE_CFG, is_of_others};
use super::timers;
use super::write::{NoteKind, Writing, kebab, schema_value};
use crate::live::secrets::is_blanked;
use crate::live::{FileText, Sections};
use crate::pve::check::check_section_config;
use crate::pve::{ConfigFile, MappingKind, Section, SectionFile};
use crate::value::{KeptPath, SpecString};

/// Files that belong to the system or to the cluster: they stay on the host as they are, and a spec that brought them to
/// another host would break it.
const LEFT: &[(&str, &str)] = &[
    ("etc/apt/", "the system's own; the release decides it"),
    (
        "etc/default/grub",
        "what it tells the kernel is in `[boot]`; the rest is the system's own",
    ),
    ("etc/fstab", "it names file systems of this installation"),
    ("etc/hostname", "`host.name`"),
    (
        "etc/hosts",
        "the system's own; moxc sees to the host's line",
    ),
    ("etc/initramfs-tools/", "the system's own"),
    ("etc/kernel/cmdline", "its parameters are in `[boot]`"),
    ("etc/localtime", "`host.timezone`"),
    ("etc/modules", "its modules are in `[boot]`"),
    ("etc/modules-load.d/", "its modules are in `[boot]`"),
    (
        "etc/network/interfaces",
        "its interfaces are in `[network]`",
    ),
    (
        "etc/network/interfaces.d/",
        "it stays as it is, beside the interfaces of `[network]`",
    ),
    ("etc/network/", "the system's own"),
    ("etc/pve/corosync.conf", "the cluster's own"),
    (
        "etc/pve/user.cfg",
        "users and rights, which moxc does not manage",
    ),
    ("etc/subgid", "the system's own"),
    ("etc/subuid", "the system's own"),
    ("etc/timezone", "`host.timezone`"),
    (
        "usr/local/sbin/",
        "a program of the host's own, which stays",
    ),
    ("var/lib/vz/snippets/", "it stays, and guests name it"),
];

/// Why something is left out that another node's spec says.
const OF_ANOTHER_NODE: &str = "another node's, which has a spec of its own";

/// The path of a mapping's file.
fn mapping_path(kind: MappingKind) -> &'static str {
    match kind {
        MappingKind::Pci => "etc/pve/mapping/pci.cfg",
        MappingKind::Usb => "etc/pve/mapping/usb.cfg",
        MappingKind::Dir => "etc/pve/mapping/directory.cfg",
    }
}

/// Writes what is kept.
pub(super) fn write(writing: &mut Writing<'_>, doc: &mut Doc) {
    let live = writing.live;
    let mut kept = Vec::new();
    if let Some(storage) = live.storage.present() {
        let left = sections(storage, |section| {
            !writing.stores.contains_key(section.id())
                && section.id() != "local"
                && !is_of_others(live, writing.node, section)
        });
        kept.push((STORAGE_CFG, left));
        for section in storage.config.sections() {
            if is_of_others(live, writing.node, section) {
                let what = format!("{STORAGE_CFG}: {}", section.id());
                writing.note(NoteKind::Normalised, what, OF_ANOTHER_NODE);
            }
        }
    }
    if let Some(jobs) = live.jobs.present() {
        let left = sections(jobs, |section| {
            !jobs::has_words(writing, section)
                && jobs::is_of_node(writing, section)
                && !writing
                    .decided
                    .out
                    .contains_key(&Part::Job(section.id().to_owned()))
        });
        kept.push((JOBS_CFG, left));
    }
    for (kind, item) in &live.mappings {
        let Some(mappings) = item.present() else {
            continue;
        };
        let left = sections(mappings, |section| {
            let is_said = match kind {
                MappingKind::Pci => writing.pci.contains(section.id()),
                MappingKind::Usb => writing.usb.contains(section.id()),
                MappingKind::Dir => false,
            };
            !is_said && hardware::is_of_node(section, writing.node)
        });
        let path = mapping_path(*kind);
        let mut sound = Vec::new();
        for (id, text) in left {
            // A section that Proxmox VE drops as it reads the file is nothing to bring to another one.
            let faults = check_section_config(SectionFile::Mapping(*kind), writing.release, &text);
            match faults.first() {
                None => sound.push((id, text)),
                Some(fault) => {
                    let why = format!("Proxmox VE does not read it: {}", fault.fault.message);
                    writing.note(NoteKind::Unread, format!("{path}: {id}"), why);
                }
            }
        }
        kept.push((path, sound));
    }
    for (path, sections) in kept {
        if sections.is_empty() {
            continue;
        }
        let mut table = Table::new(["keep", path], Part::File(path.to_owned()));
        for (id, _) in &sections {
            let part = match path {
                STORAGE_CFG => Part::Store(id.clone()),
                JOBS_CFG => Part::Job(id.clone()),
                _ => Part::Device(id.clone()),
            };
            let why = writing.decided.why_kept(&part);
            writing.note(NoteKind::Kept, format!("{path}: {id}"), why);
        }
        let texts = sections.into_iter().map(|(_, text)| Toml::Lines(text));
        table.set("sections", Toml::List(texts.collect()));
        doc.push(table);
    }
    let said = options(writing, doc);
    files(writing, &said, doc);
    untouched(writing, &said, doc);
}

/// `[datacenter]` and `[vzdump]`: files of options, where each line is one that the language has a key for. Gives the paths of
/// those that are said so.
fn options(writing: &Writing<'_>, doc: &mut Doc) -> BTreeSet<&'static str> {
    let live = writing.live;
    let mut said = BTreeSet::new();
    for (path, header, file, item) in [
        (VZDUMP_CONF, "vzdump", ConfigFile::Vzdump, &live.vzdump),
        (
            DATACENTER_CFG,
            "datacenter",
            ConfigFile::Datacenter,
            &live.datacenter,
        ),
    ] {
        let part = Part::File(path.to_owned());
        let unset = writing.decided.unset.iter();
        let unset: Vec<&str> = unset
            .filter(|(own, _)| *own == part)
            .map(|(_, option)| option.as_str())
            .collect();
        let found = item.present();
        let Some(found) = found.filter(|found| !found.options.is_empty() || !unset.is_empty())
        else {
            continue;
        };
        // A comment of `datacenter.cfg` is its description.
        let comments =
            path == DATACENTER_CFG && found.file.text.lines().any(|line| line.starts_with('#'));
        let known = found.options.iter().all(|(key, value)| {
            file.option(key).is_some() && !value.is_empty() && !is_blanked(value)
        });
        let left = writing.decided.untouched.contains_key(path)
            || writing.decided.kept.contains_key(&part);
        if comments || !known || left || writing.decided.out.contains_key(&part) {
            continue;
        }
        let mut table = Table::new([header], part);
        for (key, value) in &found.options {
            let value = match file.option(key) {
                Some(schema) => schema_value(schema, value),
                None => value.as_str().into(),
            };
            table.set_as(&kebab(key), value, key);
        }
        if !unset.is_empty() {
            table.set("unset", Toml::texts(unset));
        }
        doc.push(table);
        said.insert(path);
    }
    said
}

pub(super) const VZDUMP_CONF: &str = "etc/vzdump.conf";
const DATACENTER_CFG: &str = "etc/pve/datacenter.cfg";

/// The text of the sections that are kept, by their ids.
fn sections(of: &Sections, is_kept: impl Fn(&Section) -> bool) -> Vec<(String, String)> {
    let kept = of.config.sections().filter(|section| is_kept(section));
    kept.map(|section| {
        let is_secret = section.properties().any(|(_, value)| is_blanked(value));
        let mut text = String::new();
        if is_secret {
            writeln!(text, "{}: {}", section.kind(), section.id())
                .expect("a string takes all text");
            for (key, value) in section.properties().filter(|(_, value)| !is_blanked(value)) {
                writeln!(text, "\t{key} {value}").expect("a string takes all text");
            }
        } else {
            writeln!(text, "{}", section.to_string().trim_end()).expect("a string takes all text");
        }
        (section.id().to_owned(), text)
    })
    .collect()
}

/// Whole files that are the host's own.
fn files(writing: &mut Writing<'_>, said: &BTreeSet<&str>, doc: &mut Doc) {
    let mut kept: BTreeMap<&str, &FileText> = BTreeMap::new();
    let of_schedules = timers::paths(&timers::said(writing));
    for file in writing.live.tree.files() {
        let path = file.path.as_str();
        let left = writing.decided.untouched.contains_key(path);
        if file.text.trim().is_empty() || said.contains(path) || left {
            continue;
        }
        if !is_own(path, writing.node) {
            if let Some((what, why)) = passed_over(path, writing.node) {
                writing.note(NoteKind::Normalised, what, why);
            }
            continue;
        }
        let is_moxcs = path.starts_with("usr/local/") && file.text.contains("Generated by moxc ");
        if is_moxcs || of_schedules.contains(path) {
            continue;
        }
        let other = firewall::guest_of(path).filter(|vmid| !writing.own.guests.contains_key(vmid));
        if let Some((node, _)) = other.and_then(|vmid| writing.live.guest(vmid)) {
            let what = format!("etc/pve/nodes/{node}");
            writing.note(NoteKind::Normalised, what, OF_ANOTHER_NODE);
            continue;
        }
        let rules_of =
            firewall::guest_of(path).filter(|vmid| writing.own.guests.contains_key(vmid));
        if rules_of.is_some_and(|vmid| firewall::has_words(writing, vmid)) {
            continue;
        }
        if let Some((_, why)) = LEFT
            .iter()
            .find(|(left, _)| path == *left || left.ends_with('/') && path.starts_with(left))
        {
            writing.note(NoteKind::Normalised, path, *why);
            continue;
        }
        if path.starts_with("etc/modprobe.d/") {
            let name = path.trim_start_matches("etc/modprobe.d/");
            let own = boot::modprobe_files(writing.live).any(|(own, _)| own == name);
            if !own {
                writing.note(NoteKind::Normalised, path, "the system's own");
            }
            let said = boot::has_words(&file.text)
                && !writing
                    .decided
                    .kept
                    .contains_key(&Part::File(path.to_owned()));
            if !own || said {
                continue;
            }
        }
        kept.insert(path, file);
    }
    for (path, file) in kept {
        let part = Part::File(path.to_owned());
        if KeptPath::parse(path).is_err() || writing.decided.untouched.contains_key(path) {
            continue;
        }
        if file.text.lines().any(is_blanked_line) {
            writing.note(
                NoteKind::Unread,
                path,
                "it holds a secret, which is not read; the file stays as it is",
            );
            continue;
        }
        let why = writing.decided.why_kept(&part);
        writing.note(NoteKind::Kept, path, why);
        let mut table = Table::new(["keep", path], part);
        table.set("text", Toml::Lines(file.text.clone()));
        doc.push(table);
    }
}

fn is_blanked_line(line: &str) -> bool {
    is_blanked(line) || line.split([' ', '=', ':', '\t']).any(is_blanked)
}

/// Whether a file is one that somebody wrote on the host, and that no other part of the spec sees to.
fn is_own(path: &str, node: &str) -> bool {
    if let Some(name) = path.strip_prefix("etc/pve/") {
        let elsewhere = [
            "qemu-server/",
            "lxc/",
            "nodes/",
            "mapping/",
            "openvz/",
            "local/",
            "ha/crm_commands",
        ]
        .iter()
        .any(|folder| name.starts_with(folder))
            || name.starts_with('.')
            || matches!(
                name,
                "storage.cfg" | "jobs.cfg" | "vzdump.cron" | "authkey.pub"
            )
            || [
                ".pem", ".pub", ".key", ".pw", ".new", ".bak", ".sig", ".old",
            ]
            .iter()
            .any(|end| name.ends_with(end));
        let text = [".cfg", ".fw", ".conf"]
            .iter()
            .any(|end| name.ends_with(end));
        let own_rules = path == format!("etc/pve/nodes/{node}/host.fw");
        return own_rules || !elsewhere && text;
    }
    let folders = ["etc/modprobe.d/", "etc/network/interfaces.d/"];
    // What does not end so is read by nobody, such as the package's own README.
    let endings = [("etc/sysctl.d/", ".conf"), ("etc/udev/rules.d/", ".rules")];
    let whole = ["etc/resolv.conf"];
    let unit = path
        .strip_prefix("etc/systemd/system/")
        .is_some_and(|name| !name.contains(".wants/") && !name.contains(".requires/"));
    let link = path.starts_with("etc/systemd/network/");
    let is_read = |(folder, end): &(&str, &str)| path.starts_with(folder) && path.ends_with(end);
    folders.iter().any(|folder| path.starts_with(folder))
        || endings.iter().any(is_read)
        || whole.contains(&path)
        || unit
        || link
        || LEFT
            .iter()
            .any(|(left, _)| path == *left || left.ends_with('/') && path.starts_with(left))
}

/// What is told of a file that no part of the spec says: what it is, and why; nothing of those that other parts say.
fn passed_over(path: &str, node: &str) -> Option<(String, &'static str)> {
    let Some(name) = path.strip_prefix("etc/pve/") else {
        let is_told = [".moxc/", "var/lib/moxc/"]
            .iter()
            .any(|top| path.starts_with(top));
        return (!is_told).then(|| (path.to_owned(), "it stays as it is"));
    };
    let name = match name.strip_prefix("nodes/") {
        None => name,
        Some(below) => {
            let (of, below) = below.split_once('/').unwrap_or((below, ""));
            if of != node {
                return Some((format!("etc/pve/nodes/{of}"), OF_ANOTHER_NODE));
            }
            below
        }
    };
    let of_guest = |folder: &str| {
        let name = name.strip_prefix(folder)?;
        let number = name.strip_suffix(".conf").unwrap_or_default();
        Some(!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    let why = match of_guest("qemu-server/").or_else(|| of_guest("lxc/")) {
        Some(true) => return None,
        Some(false) => "no guest's file: Proxmox VE does not read it",
        None if matches!(name, "storage.cfg" | "jobs.cfg") || name.starts_with("mapping/") => {
            return None;
        }
        None if last.starts_with('.') || last.contains("_status") => {
            return Some((
                "etc/pve: state".to_owned(),
                "what the cluster notes for itself",
            ));
        }
        None if [".pem", ".pub", ".srl"]
            .iter()
            .any(|end| last.contains(end)) =>
        {
            return Some(("etc/pve: certificates".to_owned(), "Proxmox VE makes them"));
        }
        None => "moxc does not manage it; it stays as it is",
    };
    Some((path.to_owned(), why))
}

/// Files of which moxc would write something else than the host has.
fn untouched(writing: &mut Writing<'_>, said: &BTreeSet<&str>, doc: &mut Doc) {
    let decided = writing.decided;
    for (path, change) in &decided.untouched {
        let mut table = Table::new(["keep", path.as_str()], Part::File(path.clone()));
        if let Some(file) = writing
            .live
            .tree
            .file(path)
            .present()
            .filter(|_| !said.contains(path.as_str()))
        {
            let said = file.text.lines().map(str::trim_end).filter(|line| {
                let line = line.trim_start();
                !line.is_empty() && !line.starts_with('#')
            });
            table.comments.extend(said.map(str::to_owned));
        }
        if !table.comments.is_empty() {
            table.comments.insert(0, "on the host:".to_owned());
        }
        table.set("untouched", true);
        writing.note(
            NoteKind::Kept,
            path.as_str(),
            format!("moxc would write something else, and leaves the file as it is: {change}"),
        );
        doc.push(table);
    }
}
