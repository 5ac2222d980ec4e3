//! The borders between the rooms of the compiler: who may name whom.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms, each with those that it must not name.
const BORDERS: &[(&str, &[&str])] = &[
    (
        "value",
        &["spec", "model", "resolve", "facts", "analysis", "targets"],
    ),
    (
        "pve",
        &["spec", "model", "resolve", "facts", "analysis", "targets"],
    ),
    (
        "nix",
        &["spec", "model", "resolve", "facts", "analysis", "targets"],
    ),
    (
        "calendar",
        &["spec", "model", "resolve", "facts", "analysis", "targets"],
    ),
    (
        "systemd",
        &["spec", "model", "resolve", "facts", "analysis", "targets"],
    ),
    (
        "output",
        &["spec", "model", "resolve", "facts", "analysis", "targets"],
    ),
    (
        "model",
        &["spec", "resolve", "facts", "analysis", "targets"],
    ),
    (
        "spec",
        &["model", "resolve", "facts", "analysis", "targets"],
    ),
    ("resolve", &["facts", "analysis", "targets"]),
    ("facts", &["spec", "resolve", "analysis", "targets", "plan"]),
    ("analysis", &["spec", "resolve", "targets"]),
    ("targets", &["spec", "resolve", "analysis", "compile"]),
    (
        "targets/proxmox",
        &[
            "targets::nixos",
            "targets::windows",
            "targets::recovery",
            "targets::guide",
        ],
    ),
    (
        "targets/nixos",
        &[
            "targets::proxmox",
            "targets::windows",
            "targets::recovery",
            "targets::guide",
        ],
    ),
    (
        "targets/windows",
        &[
            "targets::proxmox",
            "targets::nixos",
            "targets::recovery",
            "targets::guide",
        ],
    ),
    (
        "targets/recovery",
        &[
            "targets::proxmox",
            "targets::nixos",
            "targets::windows",
            "targets::guide",
        ],
    ),
    (
        "targets/guide",
        &[
            "targets::proxmox",
            "targets::nixos",
            "targets::windows",
            "targets::recovery",
        ],
    ),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file: without comments, and without its tests, which may look everywhere.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source");
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn no_room_names_one_that_it_must_not_know() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("generator");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut breaches = Vec::new();
    for file in files {
        let name = file
            .strip_prefix(&root)
            .expect("below the root")
            .display()
            .to_string();
        // Unit tests in files of their own, and the programs that make data.
        if name.ends_with("tests.rs") || name.ends_with("make.rs") || name.ends_with("variants.rs")
        {
            continue;
        }
        let code = code(&file);
        let in_room =
            |room: &str| name.starts_with(&format!("{room}/")) || name == format!("{room}.rs");
        for (room, barred) in BORDERS.iter().filter(|(room, _)| in_room(room)) {
            for other in *barred {
                if code.contains(&format!("crate::{other}::"))
                    || code.contains(&format!("crate::{other};"))
                {
                    breaches.push(format!("{name}: {room} names {other}"));
                }
            }
        }
        let command_line = in_room("cli") || name == "main.rs";
        if !command_line && (code.contains("crate::cli") || code.contains("super::cli")) {
            breaches.push(format!("{name} knows the command line"));
        }
        if !command_line
            && !in_room("output")
            && (code.contains("std::fs") || code.contains("std::env::"))
        {
            breaches.push(format!("{name} knows the disk or the environment"));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}
