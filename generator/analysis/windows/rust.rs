//! The Rust toolchain in Windows, and the projects that it builds.

use std::collections::BTreeMap;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, RustSetup, Setting, Vm};
use crate::source::{Span, Spanned};

use super::paths::{folder_of, is_reserved};

/// Reports MOX0620 and MOX0622 to MOX0625.
pub(super) fn check(guest: &Guest, vm: &Vm, rust: &RustSetup, sink: &mut Sink) {
    toolchain(rust, sink);
    environment(rust, sink);
    projects(guest, vm, rust, sink);
}

/// Names that cargo refuses, and folders that are none of a project's own.
fn projects(guest: &Guest, vm: &Vm, rust: &RustSetup, sink: &mut Sink) {
    let mut folders: BTreeMap<String, Span> = BTreeMap::new();
    for project in &rust.projects {
        if project.git.is_none() && !project.name.is_missing() {
            project_name(&project.name, sink);
        }
        if project.path.is_missing() {
            continue;
        }
        let folder = Spanned::new(project.path.value.clone(), project.path.span);
        let Some(text) = folder_of(guest, vm, &folder, "a project", sink) else {
            continue;
        };
        // Windows does not mind case.
        if let Some(first) = folders.insert(text.to_lowercase(), folder.span) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0624,
                    folder.span,
                    format!("two projects lie in `{text}`"),
                )
                .also(first, "the first")
                .help("give each project a folder of its own"),
            );
        }
    }
}

/// A toolchain is a channel with the host behind it, or without; rustup refuses a second host.
fn toolchain(rust: &RustSetup, sink: &mut Sink) {
    let host = rust.host.value.as_str();
    // Guests of Proxmox VE are of the architecture of the host, which is x86 wherever Windows is supported.
    if !(host.starts_with("x86_64-pc-windows-") || host.starts_with("i686-pc-windows-")) {
        sink.push(
            Diagnostic::new(
                Code::MOX0623,
                rust.host.span,
                format!("`{host}` does not run in a Windows guest"),
            )
            .help("take `x86_64-pc-windows-msvc` or `x86_64-pc-windows-gnu` as the host; what is compiled for goes into `targets`"),
        );
        return;
    }
    let toolchain = rust.toolchain.value.as_str();
    let names_a_host = ["x86_64-", "i686-", "aarch64-"]
        .iter()
        .any(|machine| toolchain.contains(&format!("-{machine}")));
    if names_a_host && !toolchain.ends_with(&format!("-{host}")) {
        sink.push(
            Diagnostic::new(
                Code::MOX0623,
                rust.toolchain.span,
                format!("the toolchain `{toolchain}` is for another host than `{host}`"),
            )
            .also(rust.host.span, "the host")
            .help("name the channel alone, as `\"stable\"`: the host is added"),
        );
    }
}

/// Variables that every program of the user needs as Windows sets them.
const OF_WINDOWS: [&str; 10] = [
    "path",
    "pathext",
    "temp",
    "tmp",
    "userprofile",
    "username",
    "systemroot",
    "comspec",
    "localappdata",
    "appdata",
];

/// Variables that are Windows' own, and those that it takes for one another.
fn environment(rust: &RustSetup, sink: &mut Sink) {
    let mut names: BTreeMap<String, Span> = BTreeMap::new();
    for (name, _) in &rust.environment {
        let lower = name.value.to_ascii_lowercase();
        if OF_WINDOWS.contains(&lower.as_str()) {
            let help = if lower == "path" {
                "leave it out: the scripts add cargo's folder to it"
            } else {
                "leave it out"
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0622,
                    name.span,
                    format!("the variable `{}` belongs to Windows", name.value),
                )
                .help(help),
            );
        } else if let Some(first) = names.insert(lower, name.span) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0622,
                    name.span,
                    format!(
                        "the variable `{}` is there twice for Windows, which does not mind case",
                        name.value
                    ),
                )
                .also(first, "the first")
                .help("keep one of them"),
            );
        }
    }
}

/// The keywords of Rust 2024, which cargo refuses as names of packages.
const KEYWORDS: [&str; 53] = [
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
    "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield", "_",
];

/// What `cargo new` refuses (cargo's `restricted_names.rs` and `cargo_new.rs`). A clone has a name already.
fn project_name(name: &Setting<String>, sink: &mut Sink) {
    let text = name.value.as_str();
    let why = if text.starts_with(|c: char| c.is_ascii_digit()) {
        "it begins with a digit"
    } else if text.contains('.') {
        "it holds a full stop"
    } else if KEYWORDS.contains(&text) {
        "it is a keyword of Rust"
    } else if matches!(text, "deps" | "examples" | "build" | "incremental") {
        "cargo keeps a folder of that name"
    } else if text == "test" {
        "Rust has a crate of that name"
    } else if is_reserved(text) {
        "Windows keeps the name for a device"
    } else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0620,
            name.span,
            format!("cargo makes no project called `{text}`: {why}"),
        )
        .help("letters first, then letters, digits, `-` and `_`; the folder may be called as you like"),
    );
}
