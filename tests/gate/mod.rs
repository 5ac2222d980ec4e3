//! Nothing from outside is trusted: the check over all shell sources, the gate itself, and every script with a hostile word
//! in each place from which it reads, and with each call failing in turn.
//!
//! The places and the calls are learnt from the scripts' own runs (`tests/fakes/outside`), so that a new one is tried as
//! soon as it is there.

mod outside;
mod scenes;
mod shell;
mod tree;
mod values;

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::tests;

fn root() -> PathBuf {
    tests().join("..")
}

fn scripts() -> PathBuf {
    root().join("nix/modules/scripts")
}

fn gate() -> String {
    fs::read_to_string(scripts().join("gate.sh")).expect("the gate")
}

/// Parts of scripts, which stand in those that include them.
const PARTS: &[&str] = &["gate.sh", "tool.sh", "guests.sh", "agent.sh"];

/// The shell scripts below a folder.
fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            below(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "sh") {
            found.push(path);
        }
    }
}

/// A template's text as the shell would get it: what it includes stands in it, without the gate, and each value is `0`.
fn expanded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = match from.as_bytes().get(1) {
            Some(b'%') => "%>",
            Some(b'@') => "@>",
            Some(b'*') => "*>",
            _ => {
                out.push('<');
                rest = &from[1..];
                continue;
            }
        };
        let Some(length) = from.find(end) else {
            out.push('<');
            rest = &from[1..];
            continue;
        };
        let tag = &from[2..length];
        if end == "@>" {
            out.push('0');
        } else if let Some(name) = tag.trim().strip_prefix("include ") {
            let name = name.trim().trim_matches('"');
            if name != "gate.sh" {
                let path = [scripts(), root().join("templates")]
                    .map(|folder| folder.join(name))
                    .into_iter()
                    .find(|path| path.exists())
                    .unwrap_or_else(|| panic!("{name}"));
                out.push_str(&expanded(&fs::read_to_string(path).expect("a part")));
            }
        }
        rest = &from[length + 2..];
    }
    out + rest
}

/// Every program in shell that goes to a host, with what it is made of but the gate.
fn programs() -> Vec<(String, String)> {
    let read = |path: &Path| fs::read_to_string(path).expect("a script");
    let mut found = Vec::new();
    let mut paths = Vec::new();
    below(&scripts(), &mut paths);
    // Each with the libraries that it is put together with, which is told by what it calls.
    let libraries = |text: &str| -> String {
        [
            ("tool.sh", "begin "),
            ("guests.sh", "read_guests"),
            ("agent.sh", "in_guest "),
        ]
        .iter()
        .filter(|(_, called)| text.contains(called))
        .filter_map(|(name, _)| fs::read_to_string(scripts().join(name)).ok())
        .collect()
    };
    for path in paths {
        let name = path.file_name().expect("a name").to_string_lossy();
        if !PARTS.contains(&&*name) {
            let text = read(&path);
            found.push((name.into_owned(), format!("{}\n{text}", libraries(&text))));
        }
    }
    let templates = root().join("templates");
    let mut paths = Vec::new();
    below(&templates, &mut paths);
    for path in paths {
        let name = path
            .strip_prefix(&templates)
            .expect("below")
            .to_string_lossy()
            .into_owned();
        let mut text = expanded(&read(&path));
        if let Some(thin) = name.strip_prefix("recovery/lib/") {
            // The data of a guest come first.
            text = expanded(&read(&templates.join("recovery").join(thin))) + &text;
        }
        found.push((name, text));
    }
    for entry in fs::read_dir(root().join("nix/hooks")).expect("a folder") {
        let path = entry.expect("an entry").path();
        found.push((path.display().to_string(), read(&path)));
    }
    found
}

#[test]
fn no_word_from_outside_reaches_what_bash_evaluates() {
    let gate = gate();
    let programs = programs();
    assert!(programs.len() > 20, "{}", programs.len());
    let mut wrong = Vec::new();
    for (name, text) in programs {
        for one in shell::check(&gate, &text) {
            wrong.push(format!("{name}: {one}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_program_is_called_without_a_limit_of_time() {
    let gate = gate();
    let mut wrong = Vec::new();
    for (name, text) in programs() {
        // A developer's own hook calls that developer's git, and parts are looked at with what they are parts of.
        let part = name.starts_with("proxmox/apply/")
            || matches!(&*name, "recovery/restore.sh" | "recovery/rollback.sh");
        if !part && !name.ends_with("moxc-regenerate") {
            for one in shell::unbounded(&gate, &text) {
                wrong.push(format!("{name}: {one}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for text in [
        "zfs list",
        "x=$(zfs list)",
        "if ! zfs list; then :; fi",
        "cat x | zfs receive y",
        "while read -r x; do :; done < <(zfs list)",
        "timeout 60 zfs list",
        "flock 9",
        "\"$x\" list",
        "exec zfs list",
        "f() { zfs list; }; f",
    ] {
        assert!(!shell::unbounded("", text).is_empty(), "not caught: {text}");
    }
    for text in [
        "hear() { :; }; hear zfs list",
        "zfs() { :; }; zfs list",
        "timeout -k 5 60 zfs list | head -c 4096",
        "flock --timeout 20 \"$fd\"",
        "exec {fd}>>x",
        "x=(zfs list); echo 'zfs list' # zfs list",
    ] {
        assert_eq!(shell::unbounded("", text), Vec::<String>::new(), "{text}");
    }
}

/// The check itself: what it must catch.
#[test]
fn what_the_check_must_catch_it_catches() {
    for text in [
        "read -r x <f; ((x > 1))",
        "x=$(f); echo $((x + 1))",
        "x=$(f)\nif ((1 < x)); then :; fi",
        "f() { echo $(($1 + 1)); }",
        "f() { local n=$1; ((n)); }",
        "while IFS= read -r at; do echo \"${list[at]}\"; done",
        "x=$(f); list[$x]=1",
        "x=$(f); list[x]=1",
        "declare -A map=(); for x in $(f); do map[$x]=1; done",
        "declare -A map=(); f() { echo \"${map[$1]}\"; }",
        "declare -A map=(); ((map[a] > 1))",
        "[[ $x =~ ([0-9]+) ]]; ((BASH_REMATCH[1]))",
        "x=$(f); [[ $x -gt 3 ]]",
        "x=$(f); [[ 3 -lt \"$x\" ]]",
        "[[ -v map[$x] ]]",
        "x=$(f); echo \"${text:x}\"",
        "x=$(f); echo \"${text:0:$x}\"",
        "eval \"$x\"",
        "let x=y",
        "declare \"$x=1\"",
        "local -n y=x",
        "unset \"$x\"",
        "unset 'map[$x]'",
        "printf -v \"$x\" 1",
        "read -r \"$x\"",
        "f() { return \"$1\"; }",
        "x=$(f); exit \"$x\"",
        "x=$(f); exit $x",
        "echo \"${!x}\"",
        "echo `f`",
        "gate number \"$x\" \"$y\"",
        "gate \"$kind\" x \"$y\"",
        "gate name x \"$y\"; ((x > 1))",
        "gate text x \"$y\"; declare -A map=(); map[$x]=1",
        "take what \"$x\":number",
        "while take what a:text; do ((a)); done",
        // What is good at one place and bad at another.
        "gate number x \"$y\"; f() { x=$(g); }; ((x))",
        // A name of another's own.
        "f() { local x; gate number x 1; }; x=$(g); ((x))",
        "x=5; y=$(f); x=$y; ((x))",
        "for ((i = 0; i < n; i++)); do :; done; n=$(f)",
        "cat <<END\n$((x))\nEND\nx=$(f)",
        "echo \"$(echo \"$((x))\")\"; x=$(f)",
        "list=(\"$(f)\"); for x in \"${list[@]}\"; do ((x)); done",
        "x=1; x+=$(f); ((x))",
        "mapfile -t list < <(f); for x in \"${list[@]}\"; do ((x)); done",
    ] {
        assert!(!shell::check("", text).is_empty(), "not caught: {text}");
    }
}

/// And what it must let pass, so that nobody writes around it.
#[test]
fn what_the_check_must_let_pass_it_lets_pass() {
    for text in [
        "x=1; ((x > 1))",
        "must number x \"$y\" what; echo $((x + 1))",
        "f() { local status=0; g || status=$?; return \"$status\"; }",
        "for ((i = 0; i < ${#list[@]}; i++)); do echo \"${list[i]}\"; done",
        "declare -A map=(); while take what key:name; do map[$key]=1; done",
        "declare -A map=(); while take what key:name n:number; do map[$key]=$n; done; echo \"${map[$key]:-}\"",
        "list=(); while take what n:number; do list+=(\"$n\"); done; for n in \"${list[@]}\"; do ((n)); done",
        "declare -A map=(); must key k a b; map[$k]=1; for key in \"${!map[@]}\"; do echo \"${map[$key]}\"; done",
        "printf -v now '%(%s)T' -1; echo $((now / 60))",
        "echo \"${1:-x}${2#*=}${3:?no}\"",
        "echo '$((x))' # ((y))",
        "cat <<'END'\n$((x))\nEND",
        "[[ $x =~ ^[0-9]+$ && $y == *a* ]]",
        "case $x in a) echo ((;; esac",
        "exit 3",
        "((SECONDS > 3))",
        "x=; [[ -n $x ]] && exit",
    ] {
        let text = text.replace("echo ((;;", "echo a ;;");
        assert_eq!(shell::check("", &text), Vec::<String>::new(), "{text}");
    }
}

/// A service that runs once has no limit of its own: what hangs in it holds its lock for ever.
#[test]
fn every_unit_that_runs_once_has_a_limit_of_time() {
    let mut units = 0;
    for (name, spec) in crate::system::specs() {
        let folder = tempfile::tempdir().expect("a folder");
        crate::system::tree(&spec, folder.path());
        let Ok(entries) = fs::read_dir(folder.path().join("proxmox/etc/systemd/system")) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("an entry").path();
            let text = fs::read_to_string(&path).unwrap_or_default();
            if text.contains("\nType=oneshot\n") {
                units += 1;
                let limit = text
                    .lines()
                    .find_map(|line| line.strip_prefix("TimeoutStartSec="));
                assert!(
                    limit.is_some_and(|limit| !matches!(limit, "" | "0" | "infinity")),
                    "{name}: {}",
                    path.display()
                );
            }
        }
    }
    assert!(units > 10, "{units}");
    // Units that scripts write, and those of NixOS.
    let mut texts = programs();
    for entry in fs::read_dir(root().join("nix/modules")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ext| ext == "nix") {
            let text = fs::read_to_string(&path).expect("a module");
            texts.push((path.display().to_string(), text));
        }
    }
    let mut found = 0;
    for (name, text) in texts {
        let places: Vec<usize> = ["Type = \"oneshot\"", "\nType=oneshot\n", "=Type=oneshot "]
            .iter()
            .flat_map(|part| text.match_indices(part).map(|(at, _)| at))
            .collect();
        found += places.len();
        for at in places {
            let near: String = text[at..].chars().take(120).collect();
            assert!(near.contains("TimeoutStartSec"), "{name}: {near}");
        }
    }
    assert!(found >= 6, "{found}");
}
