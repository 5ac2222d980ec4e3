//! `moxc graph` of a spec, of a host that runs, and of both.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::system::tree;

const REFERENCE: &str = include_str!("../examples/homelab.toml");

/// A host that is as the reference host's spec wants it: the files of its tree, where they belong.
fn live(folder: &Path) -> String {
    let built = folder.join("built");
    tree(REFERENCE, &built);
    let root = built.join("proxmox");
    fs::write(root.join("etc/hostname"), "pve1\n").expect("a file");
    root.to_str().expect("a path").to_owned()
}

fn graph(args: &[&str]) -> Value {
    let done = Command::new(env!("CARGO_BIN_EXE_moxc"))
        .arg("graph")
        .args(args)
        .args(["--format", "json"])
        .output()
        .expect("moxc starts");
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{told}");
    serde_json::from_slice(&done.stdout).expect("JSON")
}

/// What comes, goes, changes or is foreign, by id; of edges by their ends.
fn states(graph: &Value) -> BTreeMap<String, String> {
    let word = |value: &Value| value["state"].as_str().map(str::to_owned);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let nodes = graph["nodes"].as_array().expect("nodes").iter();
    let nodes = nodes.filter_map(|node| Some((text(&node["id"]), word(node)?)));
    let edges = graph["edges"].as_array().expect("edges").iter();
    let edges = edges.filter_map(|edge| {
        let ends = format!("{} {}", text(&edge["from"]), text(&edge["to"]));
        Some((ends, word(edge)?))
    });
    nodes.chain(edges).collect()
}

#[test]
fn a_host_that_runs_is_drawn_without_a_spec() {
    let folder = tempfile::tempdir().expect("a folder");
    let graph = graph(&["--live", &live(folder.path())]);
    let ids: Vec<&str> = graph["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| node["id"].as_str().expect("an id"))
        .collect();
    for id in [
        "bridge/vmbr0",
        "bridge/vmbr1",
        "bridge/vmbr2",
        "ct/110",
        "vm/111",
        "vm/120",
    ] {
        assert!(ids.contains(&id), "{id}: {ids:?}");
    }
    // There is no spec to lead to.
    assert!(
        graph["nodes"]
            .as_array()
            .expect("nodes")
            .iter()
            .all(|node| node["spec"].is_null())
    );
    assert_eq!(states(&graph), BTreeMap::new());
}

#[test]
fn a_plan_is_a_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = live(folder.path());
    let spec = folder.path().join("host.toml");
    let path = spec.to_str().expect("a path");
    for view in ["network", "storage", "flow", "hardware", "dependencies"] {
        // The spec that the host was made from changes nothing.
        fs::write(&spec, REFERENCE).expect("a spec");
        let same = graph(&[path, "--live", &host, "--view", view]);
        let told = states(&same);
        assert!(
            told.values().all(|state| state == "foreign"),
            "{view}: {told:?}"
        );
    }
    let changed = REFERENCE
        .replace("cpu         = { cores = 8, type = \"host\" }", "cpu = { cores = 6, type = \"host\" }")
        .replace(
            "[vms.workstation.nixos]",
            "[vms.extra]\nos = \"linux\"\nvmid = 130\nmemory = \"1 GiB\"\nbackup = false\nnetwork = [{ bridge = \"vmbr1\" }]\n\n[vms.workstation.nixos]",
        );
    let without = |text: &str, start: &str| {
        let (before, rest) = text.split_once(start).expect("the table");
        let after = rest.split_once("\n\n").expect("its end").1;
        format!("{before}{after}")
    };
    let changed = without(&changed, "[network.bridges.vmbr2]");
    let changed = without(&changed, "[network.machines.admin-pc]");
    fs::write(&spec, changed).expect("a spec");
    let network = graph(&[path, "--live", &host]);
    let told = states(&network);
    let told: Vec<(&str, &str)> = told.iter().map(|(id, state)| (&**id, &**state)).collect();
    assert_eq!(
        told,
        [
            ("bridge/vmbr1 vm/130", "come"),
            ("bridge/vmbr2", "foreign"),
            ("nic/lan1 bridge/vmbr2", "foreign"),
            ("vm/111", "changed"),
            ("vm/130", "come"),
        ]
    );
    let nodes = network["nodes"].as_array().expect("nodes");
    let node = nodes.iter().find(|node| node["id"] == "vm/111");
    let details = node.expect("the guest")["details"].to_string();
    assert!(details.contains("cores: 8 → 6"), "{details}");
}

/// Snapshots are of a group of guests where they hold a disk of one: a dataset above is enough, its own without what lies
/// below is not.
#[test]
fn snapshots_are_drawn_where_they_hold_a_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = folder.path().join("host.toml");
    let path = spec.to_str().expect("a path");
    let of = |datasets: &str, recursive: bool| {
        let text = format!(
            "[host]\nname = \"pve1\"\nrelease = \"9.2\"\ntimezone = \"Europe/Berlin\"\n\
             [hardware.memory]\nsize = \"64 GiB\"\n\
             [hardware.disks.one]\nkind = \"nvme\"\nsize = \"1 TB\"\ndevice = \"/dev/disk/by-id/nvme-1\"\n\
             [storage.pools.tank]\nlayout = \"stripe\"\ndisks = [\"one\"]\n\
             [storage.datasets]\nall = {{ pool = \"tank\", path = \"all\", use = \"share\" }}\n\
             vols = {{ pool = \"tank\", path = \"all/vols\", use = \"vm-disks\" }}\n\
             [vms.web]\nos = \"linux\"\nvmid = 100\nmemory = \"1 GiB\"\ndisks.root = {{ dataset = \"vols\", size = \"8 GiB\" }}\n\
             [schedules.snap]\ntask = \"zfs-snapshot\"\non = \"daily\"\ndatasets = [\"{datasets}\"]\n\
             recursive = {recursive}\nkeep = {{ last = 2 }}\n"
        );
        fs::write(&spec, text).expect("a spec");
        let drawn = graph(&[path, "--view", "flow"]);
        let edges = drawn["edges"].as_array().expect("edges");
        edges.iter().any(|edge| edge["kind"] == "snapshot")
    };
    assert!(of("vols", true));
    assert!(of("all", true));
    assert!(!of("vols", false));
    assert!(!of("all", false));
}
