//! The files that all nodes of a cluster share: `storage.cfg`, `jobs.cfg`, `mapping/*` are one on all of them, so what each
//! host's spec says of them has to be one, too.
//!
//! Comes in: the plans of all hosts of a cluster. Goes out: the same plans, with jobs that say their node unless several say the
//! same of them, stores that say their nodes, and mappings that hold a line for each node; equal names of different content are
//! told.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Host, KeptText, Schedule};
use crate::pve::{CannotCarry, Section, SectionConfig, SectionFile};
use crate::source::Span;

use super::options::report_refusal;
use super::{Plan, keep};

/// One host of a cluster, and what is planned for it.
pub struct Node<'a> {
    /// The host.
    pub host: &'a Host,
    /// Its files of Proxmox VE.
    pub plan: &'a mut Plan,
}

/// Kinds of stores that are somewhere in the network: what all nodes say of one needs no list of nodes.
const OF_THE_NETWORK: &[&str] = &["nfs", "cifs", "pbs", "rbd", "cephfs", "iscsi", "esxi"];

/// Makes one of what all nodes share. Reports what cannot be one: MOX0117.
pub fn unite(nodes: &mut [Node<'_>], sink: &mut Sink) {
    unite_jobs(nodes, sink);
    tell_different(nodes, "backup job", |plan| &plan.jobs, &[], sink);
    tell_different_options(nodes, sink);
    tell_different_texts(nodes, sink);
    unite_stores(nodes, sink);
    for (what, file) in [
        (
            "PCI mapping",
            (|plan| &mut plan.pci) as fn(&mut Plan) -> &mut Option<SectionConfig>,
        ),
        ("USB mapping", |plan| &mut plan.usb),
        ("folder", |plan| &mut plan.directories),
    ] {
        unite_mappings(nodes, what, file, sink);
    }
}

/// Lists of guests: each host says of a job those that it has.
const LISTS_OF_GUESTS: [&str; 2] = ["vmid", "exclude"];

/// A job that one host says runs on its node. What several say alike is one job without a node: it runs on every node, each
/// time for the guests that are there.
fn unite_jobs(nodes: &mut [Node<'_>], sink: &mut Sink) {
    #[derive(Default)]
    struct Job {
        hosts: usize,
        of_every_node: bool,
        guests: BTreeMap<&'static str, BTreeSet<u32>>,
        first: Option<Section>,
    }
    let every = nodes.len();
    let mut jobs: BTreeMap<String, Job> = BTreeMap::new();
    for node in nodes.iter_mut() {
        let host = node.host;
        for section in own_jobs(node) {
            let job = jobs.entry(section.id().to_owned()).or_default();
            job.hosts += 1;
            job.of_every_node |= is_of_every_node(host, section.id());
            for list in LISTS_OF_GUESTS {
                let numbers = section.get(list).unwrap_or_default().split(',');
                let numbers = numbers.filter_map(|number| number.parse::<u32>().ok());
                job.guests.entry(list).or_default().extend(numbers);
            }
            job.first.get_or_insert_with(|| section.clone());
        }
    }
    let mut told = BTreeSet::new();
    for node in nodes.iter_mut() {
        let host = node.host;
        for section in own_jobs(node) {
            let Job {
                hosts,
                of_every_node,
                guests,
                first,
            } = &jobs[section.id()];
            let is_one_nodes = *hosts == 1 && !of_every_node;
            if is_one_nodes {
                put(section, |job| job.set("node", host.name.as_str()), sink);
                continue;
            }
            let alike = first.as_ref().is_some_and(|first| {
                content(first, &LISTS_OF_GUESTS) == content(section, &LISTS_OF_GUESTS)
            });
            if !alike {
                continue;
            }
            if section.get("all").is_some() && *hosts < every {
                if told.insert(section.id().to_owned()) {
                    sink.push(
                        Diagnostic::new(
                            Code::MOX0117,
                            place(section, host),
                            format!(
                                "the backup job `{}` would run on nodes whose specs do not say it",
                                section.id()
                            ),
                        )
                        .label(format!("said by {hosts} of the {every} hosts"))
                        .note("a job that several hosts say is one job of the cluster, and `guests = \"all\"` means the guests of every node")
                        .help("say it in `[defaults]` of the fleet, or give it a name of its own on each host"),
                    );
                }
                continue;
            }
            for (list, numbers) in guests.iter().filter(|(_, numbers)| !numbers.is_empty()) {
                let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
                put(section, |job| job.set(list, numbers.join(",")), sink);
            }
        }
    }
}

/// The jobs of a host that say no node; those that its spec keeps word for word are what the cluster has already.
fn own_jobs<'a>(node: &'a mut Node<'_>) -> impl Iterator<Item = &'a mut Section> {
    let kept = keep::ids(node.host, "etc/pve/jobs.cfg", SectionFile::Jobs);
    sections(&mut node.plan.jobs)
        .filter(move |job| !kept.contains(job.id()) && job.get("node").is_none())
}

/// Whether a host says that its job has no node: `unset = ["node"]`.
fn is_of_every_node(host: &Host, name: &str) -> bool {
    let job = host
        .schedules
        .values()
        .find(|job| job.name.as_str() == name);
    let task = job.and_then(Schedule::backup);
    task.is_some_and(|task| task.unset.iter().any(|option| option.as_str() == "node"))
}

fn sections(config: &mut Option<SectionConfig>) -> impl Iterator<Item = &mut Section> {
    config.iter_mut().flat_map(SectionConfig::sections_mut)
}

fn place(section: &Section, host: &Host) -> Span {
    section.place("").unwrap_or(host.name.span)
}

fn put(
    section: &mut Section,
    change: impl FnOnce(&mut Section) -> Result<(), CannotCarry>,
    sink: &mut Sink,
) {
    let at = section.place("");
    if let (Err(error), Some(at)) = (change(section), at) {
        report_refusal(&error, at, sink);
    }
}

/// What a section says, beside the keys that nodes may say each for themselves.
fn content<'a>(section: &'a Section, but: &[&str]) -> Vec<(&'a str, BTreeSet<&'a str>)> {
    let properties = section.properties().filter(|(key, _)| !but.contains(key));
    properties
        .map(|(key, value)| {
            // Proxmox VE writes the contents of a store in any order.
            let words = if key == "content" {
                value.split(',').collect()
            } else {
                BTreeSet::from([value])
            };
            (key, words)
        })
        .collect()
}

/// Tells sections of one name that say different things on two nodes.
fn tell_different(
    nodes: &[Node<'_>],
    what: &str,
    file: impl Fn(&Plan) -> &Option<SectionConfig>,
    but: &[&str],
    sink: &mut Sink,
) {
    let mut seen: BTreeMap<&str, (&Section, &Host)> = BTreeMap::new();
    for node in nodes {
        for section in file(node.plan).iter().flat_map(SectionConfig::sections) {
            let Some((first, host)) = seen.get(section.id()) else {
                seen.insert(section.id(), (section, node.host));
                continue;
            };
            if first.kind() == section.kind() && content(first, but) == content(section, but) {
                continue;
            }
            let differing = |(key, words): &(&str, BTreeSet<&str>)| {
                (!content(first, but).contains(&(*key, words.clone()))).then(|| (*key).to_owned())
            };
            let key = content(section, but).iter().find_map(differing);
            sink.push(
                Diagnostic::new(
                    Code::MOX0117,
                    key.as_deref()
                        .and_then(|key| section.place(key))
                        .unwrap_or_else(|| place(section, node.host)),
                    format!(
                        "the {what} `{}` differs between `{}` and `{}`",
                        section.id(),
                        host.name.as_str(),
                        node.host.name.as_str()
                    ),
                )
                .also(place(first, host), "the other one")
                .note("the nodes of a cluster share this file: each host would write over the other's")
                .help("give one of them another name, or say the same of both"),
            );
        }
    }
}

/// Options of the datacenter are one each: what only one host says holds on all nodes, and two cannot say two things.
fn tell_different_options(nodes: &[Node<'_>], sink: &mut Sink) {
    let mut seen: BTreeMap<&str, (&str, Span, &Host)> = BTreeMap::new();
    for node in nodes {
        let Some(datacenter) = &node.plan.datacenter else {
            continue;
        };
        let places = datacenter.places();
        for (key, value) in datacenter.options() {
            let place = places.get(key).unwrap_or(node.host.name.span);
            let Some((first, first_place, host)) = seen.get(key) else {
                seen.insert(key, (value, place, node.host));
                continue;
            };
            if *first != value {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0117,
                        place,
                        format!(
                            "`{key}` of the datacenter differs between `{}` and `{}`",
                            host.name.as_str(),
                            node.host.name.as_str()
                        ),
                    )
                    .also(*first_place, "the other one")
                    .note("the nodes of a cluster share `datacenter.cfg`: each host would write over the other's")
                    .help("say the same of both, or leave it to one of them"),
                );
            }
        }
    }
}

/// A whole file that two specs keep as text is one file, as the datacenter's firewall is.
fn tell_different_texts(nodes: &[Node<'_>], sink: &mut Sink) {
    let mut seen: BTreeMap<&str, (&str, Span, &Host)> = BTreeMap::new();
    for node in nodes {
        for kept in &node.host.kept {
            let path = kept.path.value.as_str();
            let KeptText::Text(text) = &kept.what else {
                continue;
            };
            if !is_of_all_nodes(path) {
                continue;
            }
            let own = text.value.as_str().trim();
            let Some((first, first_place, host)) = seen.get(path) else {
                seen.insert(path, (own, text.span, node.host));
                continue;
            };
            if *first != own {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0117,
                        text.span,
                        format!(
                            "`{path}` differs between `{}` and `{}`",
                            host.name.as_str(),
                            node.host.name.as_str()
                        ),
                    )
                    .also(*first_place, "the other one")
                    .note("the nodes of a cluster share this file: each host would write over the other's")
                    .help("say the same of both, or leave it to one of them"),
                );
            }
        }
    }
}

/// Whether a file is one on all nodes: those below `/etc/pve` are, but for what stands below a node's name, and its links.
fn is_of_all_nodes(path: &str) -> bool {
    let of_a_node = ["nodes/", "local/", "qemu-server/", "lxc/"];
    path.strip_prefix("etc/pve/")
        .is_some_and(|rest| !of_a_node.iter().any(|own| rest.starts_with(own)))
}

/// Each host says of `local` what it puts there itself, unless its spec has a table of it: together they put all of that.
fn unite_local(nodes: &mut [Node<'_>], sink: &mut Sink) {
    let mut contents: BTreeSet<String> = BTreeSet::new();
    for node in nodes.iter() {
        let local = node
            .plan
            .storage
            .as_ref()
            .and_then(|file| file.get("local"));
        let words = local
            .and_then(|local| local.get("content"))
            .unwrap_or_default();
        contents.extend(words.split(',').map(str::to_owned));
    }
    let contents = contents.into_iter().collect::<Vec<_>>().join(",");
    for node in nodes
        .iter_mut()
        .filter(|node| node.host.storage.local.stated.is_none())
    {
        let local = sections(&mut node.plan.storage).find(|store| store.id() == "local");
        if let Some(local) = local {
            put(local, |local| local.set("content", &contents), sink);
        }
    }
}

fn unite_stores(nodes: &mut [Node<'_>], sink: &mut Sink) {
    unite_local(nodes, sink);
    tell_different(nodes, "store", |plan| &plan.storage, &["nodes"], sink);
    let mut on: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in nodes.iter_mut() {
        let name = node.host.name.as_str();
        for store in sections(&mut node.plan.storage) {
            let nodes = on.entry(store.id().to_owned()).or_default();
            nodes.push(name.to_owned());
        }
    }
    let every = nodes.len();
    for node in nodes.iter_mut() {
        for store in sections(&mut node.plan.storage) {
            let names = &on[store.id()];
            let everywhere = names.len() == every && OF_THE_NETWORK.contains(&store.kind());
            if store.id() == "local" || everywhere || store.get("nodes").is_some() {
                continue;
            }
            let names = names.join(",");
            put(store, |store| store.set("nodes", names), sink);
        }
    }
}

/// Gives each mapping the lines of all nodes, and one description.
fn unite_mappings(
    nodes: &mut [Node<'_>],
    what: &str,
    file: fn(&mut Plan) -> &mut Option<SectionConfig>,
    sink: &mut Sink,
) {
    #[derive(Default)]
    struct Mapping {
        lines: Vec<String>,
        descriptions: Vec<String>,
        first: Option<(Section, Span)>,
    }
    let mut mappings: BTreeMap<String, Mapping> = BTreeMap::new();
    for node in nodes.iter_mut() {
        for section in sections(file(node.plan)) {
            let mapping = mappings.entry(section.id().to_owned()).or_default();
            let lines = section.get_all("map").map(str::to_owned);
            mapping.lines.extend(lines);
            for text in section.get_all("description") {
                if !mapping.descriptions.iter().any(|known| known == text) {
                    mapping.descriptions.push(text.to_owned());
                }
            }
            let here = place(section, node.host);
            let but = ["map", "description"];
            match &mapping.first {
                None => mapping.first = Some((section.clone(), here)),
                Some((first, at)) if content(first, &but) != content(section, &but) => sink.push(
                    Diagnostic::new(
                        Code::MOX0117,
                        here,
                        format!(
                            "the {what} `{}` has other options on `{}` than on another node",
                            section.id(),
                            node.host.name.as_str()
                        ),
                    )
                    .also(*at, "the other one")
                    .note("a mapping is one for the whole cluster, with a line for each node")
                    .help("give one of them another name, or say the same of both"),
                ),
                Some(_) => {}
            }
        }
    }
    for node in nodes.iter_mut() {
        for section in sections(file(node.plan)) {
            let mapping = &mappings[section.id()];
            let description = mapping.descriptions.join(", ");
            put(
                section,
                |section| {
                    section.set_all("map", &mapping.lines)?;
                    if description.is_empty() {
                        return Ok(());
                    }
                    section.set("description", description)
                },
                sink,
            );
        }
    }
}
