//! The reference host is understood, and warns of what is worth a word in it, and of nothing else.

use std::collections::BTreeSet;

use moxc::compile;
use moxc::compile::Compiled;
use moxc::diagnostics::{Code, Severity};
use moxc::facts::Facts;
use moxc::graph::{self, Graph, NodeKind, View};

/// What is found in an example: severity, code, and the line that it is about.
fn found(name: &str, text: &str) -> (compile::Checked, Vec<(Severity, Code, String)>) {
    let mut compiled = Compiled::of(name, text);
    let found = compiled.found();
    let Compiled {
        sources, checked, ..
    } = compiled;
    let found = found
        .into_iter()
        .map(|(severity, d)| {
            let line = sources.start(d.span()).line;
            let line = text.lines().nth(line - 1).unwrap_or_default();
            let key = line.split('=').next().unwrap_or_default().trim();
            (severity, d.code, key.to_owned())
        })
        .collect();
    (checked, found)
}

#[test]
fn the_reference_host_has_no_errors_and_exactly_these_warnings() {
    let (checked, found) = found("homelab.toml", include_str!("../examples/homelab.toml"));
    let found: Vec<_> = found
        .iter()
        .map(|(severity, code, key)| (*severity, *code, key.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            // Proxmox VE 8 is past its end of life.
            (Severity::Warning, Code::MOX0111, "release"),
            // The names of both cards hang on their slots, and no MAC address pins them.
            (Severity::Warning, Code::MOX0214, "lan0"),
            (Severity::Warning, Code::MOX0214, "lan1"),
            // Single parity over four disks of 8 TB.
            (Severity::Warning, Code::MOX0324, "layout"),
            // `local-backup` writes to the pool that the guests lie on.
            (Severity::Warning, Code::MOX0317, "storage"),
        ]
    );
    let host = checked.host;
    assert!(host.complete);
    assert_eq!(
        host.guests
            .values()
            .map(|g| g.name.value.as_str())
            .collect::<Vec<_>>(),
        ["services", "workstation", "windows"]
    );
    assert_eq!(host.schedules.len(), 12);
}

#[test]
fn the_other_examples_have_no_errors() {
    for (name, text) in [
        ("mini.toml", include_str!("../examples/mini.toml")),
        ("bighost.toml", include_str!("../examples/bighost.toml")),
        (
            "nixos-host.toml",
            include_str!("../examples/nixos-host.toml"),
        ),
    ] {
        let (_, found) = found(name, text);
        let errors: Vec<_> = found
            .iter()
            .filter(|(severity, ..)| *severity == Severity::Error)
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

// ---------------------------------------------------------------- the diagrams of the architecture document

/// A picture of the reference host.
fn drawn(view: View) -> Graph {
    let (checked, _) = found("homelab.toml", include_str!("../examples/homelab.toml"));
    let host = checked.host;
    graph::of(view, &Facts::of(&host))
}

/// An edge of a diagram as the document has it: from, words on it, to.
type Said = (&'static str, &'static str, &'static str);

/// Network Topology.
const NETWORK: &[Said] = &[
    ("Internet", "", "Router"),
    ("Router", "", "Proxmox Host"),
    ("Proxmox Host", "vmbr0", "NixOS LXC"),
    ("Proxmox Host", "vmbr1", "Windows VM"),
    ("Proxmox Host", "vmbr2", "Admin PC"),
    ("NixOS LXC", "", "NixOS VM"),
];

/// Storage Layout.
const STORAGE: &[Said] = &[
    ("ZFS Pool: rpool", "", "VM Disks"),
    ("VM Disks", "", "NixOS VM"),
    ("VM Disks", "", "Windows VM"),
    ("ZFS Pool: rpool", "", "LXC Containers"),
    ("ZFS Pool: rpool", "", "Backups (Proxmox)"),
    (
        "ZFS Pool: rpool",
        "",
        "Shared Storage (/mnt/windows, virtio-fs)",
    ),
];

/// Update & Backup Flow.
const FLOW: &[Said] = &[
    ("Internet", "", "Proxmox Host"),
    ("Proxmox Host", "nix flake update", "NixOS LXC/VM"),
    ("NixOS LXC/VM", "nixos-rebuild switch", "NixOS LXC/VM"),
    ("NixOS LXC/VM", "ZFS snapshot", "NixOS LXC/VM"),
    ("Proxmox Host", "Windows Update", "Windows VM"),
    ("Windows VM", "QEMU guest agent", "Windows VM"),
    ("Windows VM", "ZFS snapshot", "Windows VM"),
    ("Proxmox Host", "vzdump backups", "Proxmox Backups"),
    ("Proxmox Backups", "store", "rpool or external (NAS, USB)"),
    ("Proxmox Backups", "restore", "Proxmox Host"),
    ("NixOS LXC/VM", "rollback", "NixOS LXC/VM"),
    ("Windows VM", "rollback", "Windows VM"),
];

/// What moxc draws for a node of a document's diagram; several where it draws each alone.
fn ids(view: View, name: &str) -> &'static [&'static str] {
    match (view, name) {
        (_, "Internet") => &["internet/internet"],
        (_, "Router") => &["machine/router"],
        (_, "Admin PC") => &["machine/admin-pc"],
        (_, "Proxmox Host") => &["host/pve1"],
        (_, "NixOS LXC") => &["ct/110"],
        (_, "NixOS VM") => &["vm/111"],
        (View::Flow, "NixOS LXC/VM") => &["group/nixos"],
        (View::Flow, "Windows VM") => &["group/windows"],
        (_, "Windows VM") => &["vm/120"],
        (_, "ZFS Pool: rpool") => &["pool/rpool"],
        (_, "VM Disks") => &["dataset/vm-disks"],
        (_, "LXC Containers") => &["dataset/containers"],
        (_, "Backups (Proxmox)") => &["dataset/backups"],
        (_, "Shared Storage (/mnt/windows, virtio-fs)") => &["share/windows"],
        (_, "Proxmox Backups") => &[
            "schedule/nightly-backup",
            "schedule/local-backup",
            "schedule/offsite-backup",
        ],
        (_, "rpool or external (NAS, USB)") => &["dataset/archive", "dataset/backups", "store/nas"],
        _ => panic!("{name} is no node of {view:?}"),
    }
}

/// The way between two nodes over cards, bonds and bridges alone, as the places of its edges.
fn way(graph: &Graph, from: &str, to: &str) -> Option<Vec<usize>> {
    let edges = graph.edges.iter().enumerate();
    for (at, edge) in edges.filter(|(_, edge)| edge.from == from && edge.from != edge.to) {
        if edge.to == to {
            return Some(vec![at]);
        }
        let inner = matches!(
            graph.node(&edge.to).expect("a node").kind,
            NodeKind::Nic | NodeKind::Bond | NodeKind::Bridge
        );
        if inner && let Some(mut rest) = way(graph, &edge.to, to) {
            rest.insert(0, at);
            return Some(rest);
        }
    }
    None
}

/// Every edge of a document's diagram is drawn, with its words; what else is drawn is `more`.
fn holds(view: View, said: &[Said], more: &[(&str, &str)]) {
    let graph = drawn(view);
    let mut used = BTreeSet::new();
    for (from, words, to) in said {
        let mut any = false;
        for from in ids(view, from) {
            for to in ids(view, to) {
                let ways: Vec<Vec<usize>> = if from == to {
                    let own = graph.edges.iter().enumerate();
                    own.filter(|(_, edge)| edge.from == *from && edge.to == *to)
                        .map(|(at, _)| vec![at])
                        .collect()
                } else {
                    way(&graph, from, to).into_iter().collect()
                };
                for way in ways {
                    let told = way.iter().any(|at| {
                        let edge = &graph.edges[*at];
                        edge.label.starts_with(words) || edge.to == format!("bridge/{words}")
                    });
                    if told {
                        any = true;
                        used.extend(way);
                    }
                }
            }
        }
        assert!(any, "{view:?}: {from} -- {words} --> {to} is not drawn");
    }
    let rest: Vec<(&str, &str)> = graph
        .edges
        .iter()
        .enumerate()
        .filter(|(at, _)| !used.contains(at))
        .map(|(_, edge)| (edge.from.as_str(), edge.to.as_str()))
        .collect();
    assert_eq!(rest, more, "{view:?}");
    // No node of the document is drawn without the others.
    let names: BTreeSet<&str> = said.iter().flat_map(|(from, _, to)| [*from, *to]).collect();
    for id in names.iter().flat_map(|name| ids(view, name)) {
        assert!(graph.node(id).is_some(), "{view:?}: {id} is not drawn");
    }
}

#[test]
fn the_network_is_drawn_as_in_the_architecture_document() {
    // The VM's own card, which the document leaves out for the way that its packets take.
    holds(View::Network, NETWORK, &[("bridge/vmbr0", "vm/111")]);
}

#[test]
fn the_storage_is_drawn_as_in_the_architecture_document() {
    // The second pool, which the document has in its hardware table alone, and who lies in what the document ends at.
    holds(
        View::Storage,
        STORAGE,
        &[
            ("pool/tank", "dataset/archive"),
            ("dataset/containers", "ct/110"),
            ("share/windows", "vm/120"),
        ],
    );
    let graph = drawn(View::Storage);
    let share = graph.node("share/windows").expect("the shared folder");
    assert!(share.details.iter().any(|line| line == "/mnt/windows"));
    let edge = graph.edges.iter().find(|edge| edge.from == share.id);
    assert!(edge.expect("its guest").label.starts_with("virtio-fs"));
}

#[test]
fn updates_and_backups_are_drawn_as_in_the_architecture_document() {
    // Updates of the host itself, the agent of the NixOS VM, and which guests each backup holds.
    holds(
        View::Flow,
        FLOW,
        &[
            ("host/pve1", "host/pve1"),
            ("group/nixos", "group/nixos"),
            ("group/nixos", "schedule/nightly-backup"),
            ("group/windows", "schedule/nightly-backup"),
            ("group/nixos", "schedule/local-backup"),
            ("group/nixos", "schedule/offsite-backup"),
            ("group/windows", "schedule/offsite-backup"),
        ],
    );
    let graph = drawn(View::Flow);
    let within = |group: &str| -> Vec<&str> {
        let nodes = graph.nodes.iter();
        nodes
            .filter(|node| node.parent.as_deref() == Some(group))
            .map(|node| node.id.as_str())
            .collect()
    };
    assert_eq!(within("group/nixos"), ["ct/110", "vm/111"]);
    assert_eq!(within("group/windows"), ["vm/120"]);
}
