//! The borders between the rooms of the compiler: who may name whom.

use std::collections::{BTreeMap, BTreeSet};
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
    ("live", &["spec", "resolve", "facts", "analysis", "targets"]),
    ("plan", &["spec", "resolve", "analysis", "targets"]),
    ("apply", &["spec", "resolve", "analysis", "targets"]),
    ("graph", &["spec", "resolve", "analysis", "targets"]),
    ("adopt", &["resolve", "analysis"]),
    (
        "xml",
        &["spec", "model", "resolve", "facts", "analysis", "targets"],
    ),
    (
        "nu",
        &["spec", "model", "resolve", "facts", "analysis", "targets"],
    ),
    (
        "shell",
        &["spec", "model", "resolve", "facts", "analysis", "targets"],
    ),
    (
        "powershell",
        &["spec", "model", "resolve", "facts", "analysis", "targets"],
    ),
    (
        "zfs",
        &["spec", "model", "resolve", "facts", "analysis", "targets"],
    ),
];

/// The targets, of which none names another.
const TARGETS: &[&str] = &["proxmox", "nixos", "windows", "recovery", "guide", "docs"];

/// Codes that the analysis and a target both report: what a line of `interfaces` is, the analysis reads; whether a file says
/// an option already, only the target that has printed it knows.
const OF_BOTH: &[&str] = &["MOX0109"];

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

/// Whether a file holds tests alone, or is a program that makes data.
fn is_aside(name: &str) -> bool {
    ["tests.rs", "make.rs", "variants.rs"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// The code of a file: without comments, and without its tests, which may look everywhere.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source");
    // A module of tests is the last of a file.
    let modules = ["\nmod tests {\n", "\npub(crate) mod testing {\n"];
    let ends = modules.map(|module| text.find(module));
    let end = ends.into_iter().flatten().min().unwrap_or(text.len());
    let lines = text[..end]
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
        if is_aside(&name) {
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
        for target in TARGETS
            .iter()
            .filter(|target| in_room(&format!("targets/{target}")))
        {
            for other in TARGETS.iter().filter(|other| *other != target) {
                if code.contains(&format!("targets::{other}")) {
                    breaches.push(format!("{name}: the target {target} names {other}"));
                }
            }
        }
        // What is looked for above begins with `crate::` and a room's name.
        if code.contains("use crate::{") {
            breaches.push(format!("{name} names rooms in braces"));
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

/// The codes that a room names.
fn codes(room: &str) -> BTreeSet<String> {
    let mut files = Vec::new();
    let generator = Path::new(env!("CARGO_MANIFEST_DIR")).join("generator");
    sources(&generator.join(room), &mut files);
    let files = files
        .iter()
        .filter(|file| !is_aside(&file.display().to_string()));
    let mut found = BTreeSet::new();
    for file in files {
        let code = code(file);
        let named = code.split("Code::").skip(1);
        let digits = |c: char| c.is_ascii_alphanumeric();
        found.extend(named.map(|rest| rest.chars().take_while(|c| digits(*c)).collect::<String>()));
    }
    found
}

/// What a target cannot say is another thing than what is wrong with a host, and has another code.
#[test]
fn a_code_is_of_the_analysis_or_of_the_targets() {
    let (analysis, targets) = (codes("analysis"), codes("targets"));
    let both: Vec<&String> = analysis.intersection(&targets).collect();
    assert_eq!(both, OF_BOTH);
}

/// A module by the names on the way to it.
type Module = Vec<String>;

/// The module that a file is.
fn module_of(name: &str) -> Module {
    let path = name.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// The paths of a `use`, with its braces written out.
fn written_out(tree: &str) -> Vec<String> {
    let Some((front, rest)) = tree.split_once('{') else {
        return vec![tree.trim().to_owned()];
    };
    let inner = rest.trim_end().strip_suffix('}').expect("a closing brace");
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in inner.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            c => parts.last_mut().expect("a part").push(c),
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| written_out(part.trim()))
        .map(|part| format!("{}{part}", front.trim()))
        .collect()
}

/// The modules that a file uses. What a module hands on (`pub use`) is not its own use, and what lies below a module is
/// a part of it.
fn uses(own: &Module, code: &str, modules: &BTreeSet<Module>) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let statements = code.split(';').map(str::trim);
    let stated = statements
        .clone()
        .filter_map(|statement| statement.strip_prefix("use "));
    let is_use =
        |statement: &&str| statement.starts_with("use ") || statement.starts_with("pub use ");
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let in_code = statements
        .filter(|statement| !is_use(statement))
        .flat_map(|statement| statement.split(|c: char| !word(c)))
        .filter(|path| path.starts_with("crate::") || path.starts_with("super::"));
    for tree in stated.chain(in_code) {
        for path in written_out(tree) {
            let mut at = own.clone();
            let mut steps = path.split("::").peekable();
            match steps.next() {
                Some("crate") => at.clear(),
                Some("self") => {}
                Some("super") => {
                    at.pop();
                    while steps.next_if_eq(&"super").is_some() {
                        at.pop();
                    }
                }
                Some(_) | None => continue,
            }
            for step in steps {
                at.push(step.to_owned());
                if !modules.contains(&at) {
                    at.pop();
                    break;
                }
            }
            if !at.starts_with(own) && modules.contains(&at) {
                found.insert(at);
            }
        }
    }
    found
}

/// Takes away what uses nothing that is left, and what nothing that is left uses: what stays is in a circle, or between two.
fn circles(mut uses: BTreeMap<Module, BTreeSet<Module>>) -> BTreeMap<Module, BTreeSet<Module>> {
    loop {
        let used: BTreeSet<Module> = uses.values().flatten().cloned().collect();
        let before = uses.len();
        uses.retain(|module, uses| !uses.is_empty() && used.contains(module));
        if uses.len() == before {
            return uses;
        }
        let left: BTreeSet<Module> = uses.keys().cloned().collect();
        for uses in uses.values_mut() {
            uses.retain(|module| left.contains(module));
        }
    }
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("generator");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let named = files.iter().map(|path| {
        let name = path.strip_prefix(&root).expect("below the root");
        (module_of(&name.display().to_string()), path)
    });
    let named: Vec<_> = named
        .filter(|(module, _)| module.last().is_some_and(|last| last != "tests"))
        .collect();
    let modules: BTreeSet<Module> = named.iter().map(|(module, _)| module.clone()).collect();
    let used = named
        .iter()
        .map(|(module, path)| (module.clone(), uses(module, &code(path), &modules)));
    let left = circles(used.collect());
    let left: Vec<String> = left
        .iter()
        .map(|(module, used)| {
            let used: Vec<String> = used.iter().map(|module| module.join("::")).collect();
            format!("{} uses {}", module.join("::"), used.join(", "))
        })
        .collect();
    assert!(left.is_empty(), "{}", left.join("\n"));
}

#[test]
fn circles_and_uses_are_found() {
    assert_eq!(
        written_out("super::{a::{B, c::D}, E}"),
        ["super::a::B", "super::a::c::D", "super::E"]
    );
    let name = |text: &str| module_of(text);
    let modules = [name("a/b.rs"), name("a/c.rs"), name("d.rs")].into();
    let found = uses(
        &name("a/b.rs"),
        "use super::c::X;\npub use crate::d::Y;\nuse std::fmt;",
        &modules,
    );
    assert_eq!(found, [name("a/c.rs")].into());
    let graph = |rows: &[(&str, &[&str])]| {
        let rows = rows.iter().map(|(from, to)| {
            let to = to.iter().map(|to| module_of(to)).collect();
            (module_of(from), to)
        });
        rows.collect::<BTreeMap<Module, BTreeSet<Module>>>()
    };
    assert_eq!(
        circles(graph(&[("a", &["b"]), ("b", &["c"]), ("c", &[])])),
        BTreeMap::new()
    );
    assert_eq!(
        circles(graph(&[("a", &["b"]), ("b", &["a"]), ("c", &["d"])])).len(),
        2
    );
}
