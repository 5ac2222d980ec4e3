//! Every code has a page and a case.
//!
//! `tests/errors/<code>/` holds `host.toml` (or `fleet.toml`), which must yield the code, and where a sound host could be
//! mistaken `silent.toml` (or `silent/fleet.toml`), which must not. What is told of the code is a snapshot.

use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use moxc::compile::Compiled;
use moxc::diagnostics::{Code, Severity};

use crate::program::{call, tests};

/// Codes that no spec yields alone, and where they are tested.
const ELSEWHERE: &[(Code, &str)] = &[
    (Code::MOX0801, "a fault of moxc: `generator/check.rs`"),
    (Code::MOX0821, "a user's template: `generator/template.rs`"),
    (Code::MOX0822, "a user's template: `generator/template.rs`"),
    (Code::MOX0823, "a user's template: `generator/template.rs`"),
    (Code::MOX0824, "a user's template: `generator/template.rs`"),
    (
        Code::MOX0844,
        "a fault of moxc: `generator/targets/nixos/check.rs`",
    ),
    (Code::MOX0845, "of `lint-nix`: `tests/command_line.rs`"),
    (Code::MOX0846, "of `lint-nix`: `tests/command_line.rs`"),
    (Code::MOX0901, "of `adopt`: `tests/adopt.rs`"),
    (Code::MOX0902, "of `adopt`: `tests/adopt.rs`"),
    (Code::MOX0903, "of `adopt`: `tests/adopt.rs`"),
    (Code::MOX0904, "of `adopt`: `tests/adopt.rs`"),
    (Code::MOX0905, "of `adopt`: `tests/adopt.rs`"),
    (Code::MOX0906, "of `adopt`: `tests/adopt.rs`"),
    (Code::MOX0907, "of `adopt`: `tests/adopt.rs`"),
    (Code::MOX0908, "of `adopt`: `tests/adopt.rs`"),
];

fn folder(code: Code) -> PathBuf {
    tests().join("errors").join(code.as_str())
}

/// The spec of a case: a host's or a fleet's.
fn spec(folder: &Path, host: &str, fleet: &str) -> Option<String> {
    [host, fleet]
        .into_iter()
        .find(|name| folder.join(name).is_file())
        .map(str::to_owned)
}

/// The lines of `--message-format short` that tell a code.
fn told(folder: &Path, spec: &str, code: Code) -> Vec<String> {
    let said = call(folder, &["check", spec, "--message-format", "short"]);
    let mark = format!("[{code}]: ");
    let lines = said.err.lines().filter(|line| line.contains(&mark));
    lines.map(str::to_owned).collect()
}

/// Runs `check` for every code, and names all for which it fails.
fn for_every_code(check: impl Fn(Code)) {
    let failed: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| catch_unwind(AssertUnwindSafe(|| check(**code))).is_err())
        .map(|code| code.as_str())
        .collect();
    assert!(failed.is_empty(), "see above: {}", failed.join(", "));
}

#[test]
fn every_code_has_a_case_that_yields_it() {
    for_every_code(|code| {
        let folder = folder(code);
        if ELSEWHERE.iter().any(|(other, _)| *other == code) {
            assert!(
                !folder.exists(),
                "{code} is tested elsewhere, and has a case"
            );
            return;
        }
        let spec = spec(&folder, "host.toml", "fleet.toml")
            .unwrap_or_else(|| panic!("{code} has no case: tests/errors/{code}/host.toml"));
        let lines = told(&folder, &spec, code);
        assert!(!lines.is_empty(), "{code} is not told of its case");
        let human = call(&folder, &["check", &spec]).err;
        let blocks = human.split("\n\n").filter(|block| {
            ["error", "warning"]
                .iter()
                .any(|level| block.starts_with(&format!("{level}[{code}]")))
        });
        let mut text = blocks.collect::<Vec<_>>().join("\n\n");
        text.push_str("\n\n");
        text.push_str(&lines.join("\n"));
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&folder);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("stderr", text));
    });
}

#[test]
fn a_sound_host_is_not_mistaken() {
    for_every_code(|code| {
        let folder = folder(code);
        let Some(spec) = spec(&folder, "silent.toml", "silent/fleet.toml") else {
            return;
        };
        assert_eq!(
            told(&folder, &spec, code),
            [""; 0],
            "{code} is told of a sound host"
        );
    });
}

/// A silent case that is wrong in another way proves little.
#[test]
fn a_silent_case_has_no_error_at_all() {
    for_every_code(|code| {
        let folder = folder(code);
        let Some(spec) = spec(&folder, "silent.toml", "silent/fleet.toml") else {
            return;
        };
        let said = call(&folder, &["check", &spec, "--message-format", "short"]);
        let errors: Vec<&str> = said
            .err
            .lines()
            .filter(|line| line.contains(": error["))
            .collect();
        assert_eq!(errors, [""; 0]);
    });
}

/// What `check` tells of a spec: code, message, and whether it carries a fix.
fn with_fixes(folder: &Path, spec: &str) -> Vec<(String, String, bool)> {
    let said = call(folder, &["check", spec, "--message-format", "json"]).err;
    let told = said.lines().map(|line| {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let text = |key: &str| value[key].as_str().expect("a string").to_owned();
        (text("code"), text("message"), !value["fix"].is_null())
    });
    told.collect()
}

/// Every certain change of every case: it mends what it is about, makes no new error, and leaves comments and lines alone.
#[test]
fn every_fix_mends_what_it_is_about_and_keeps_the_rest() {
    let errors = Code::ALL.iter().map(|code| folder(*code).join("host.toml"));
    let broken = fs::read_dir(tests().join("broken")).expect("the broken specs");
    let broken = broken.map(|entry| entry.expect("a file").path());
    let mut mended = std::collections::BTreeSet::new();
    for spec in errors.chain(broken) {
        if spec.extension().is_none_or(|extension| extension != "toml") || !spec.is_file() {
            continue;
        }
        let here = tempfile::tempdir().expect("a folder");
        let before = fs::read_to_string(&spec).expect("a spec");
        fs::write(here.path().join("host.toml"), &before).expect("a copy");
        let first = with_fixes(here.path(), "host.toml");
        if first.iter().all(|(.., fix)| !fix) {
            continue;
        }
        // Fixes that touch each other are made one after the other.
        for _ in 0..4 {
            call(here.path(), &["check", "--fix", "host.toml"]);
        }
        let left = with_fixes(here.path(), "host.toml");
        let name = spec.display();
        assert!(left.iter().all(|(.., fix)| !fix), "{name}: {left:?}");
        for (code, message, _) in first.iter().filter(|(.., fix)| *fix) {
            let same = |(c, m, fix): &&(String, String, bool)| c == code && m == message && *fix;
            let alike = |(c, m, _): &&(String, String, bool)| c == code && m == message;
            let mend = first.iter().filter(same).count();
            assert_eq!(
                left.iter().filter(alike).count() + mend,
                first.iter().filter(alike).count(),
                "{name}: {code} {message}"
            );
            mended.insert(code.clone());
        }
        let after = fs::read_to_string(here.path().join("host.toml")).expect("the copy");
        assert_eq!(after.lines().count(), before.lines().count(), "{name}");
        for comment in before.lines().filter(|line| line.starts_with('#')) {
            assert!(after.contains(comment), "{name}: {comment}");
        }
    }
    for code in [
        "MOX0002", "MOX0011", "MOX0019", "MOX0106", "MOX0306", "MOX0404", "MOX0640",
    ] {
        assert!(
            mended.contains(code),
            "{code} is mended nowhere: {mended:?}"
        );
    }
}

#[test]
fn every_page_shows_what_is_wrong_and_what_is_right() {
    for_every_code(|code| {
        let page = code.explain();
        for (part, next) in [("## Wrong", "## Right"), ("## Right", "\u{0}")] {
            let text = page.split(part).nth(1).expect("the part is there");
            let text = text.split(next).next().expect("a text has a start");
            let example = text
                .split("```toml\n")
                .nth(1)
                .and_then(|rest| rest.split("```").next());
            assert!(
                example.is_some_and(|example| !example.trim().is_empty()),
                "{code}: `{part}` has no example"
            );
        }
        for (part, next) in [("## What", "## Why"), ("## Why", "## Wrong")] {
            let text = page.split(part).nth(1).expect("the part is there");
            let text = text.split(next).next().expect("a text has a start");
            assert!(
                text.trim().len() > 20,
                "{code}: `{part}` says next to nothing"
            );
        }
    });
}

/// Codes that say that an example is not of the language, whatever stands around it.
const NOT_OF_THE_LANGUAGE: [&str; 19] = [
    "MOX0001", "MOX0002", "MOX0003", "MOX0005", "MOX0006", "MOX0007", "MOX0008", "MOX0009",
    "MOX0010", "MOX0011", "MOX0012", "MOX0013", "MOX0014", "MOX0015", "MOX0016", "MOX0018",
    "MOX0020", "MOX0021", "MOX0108",
];

/// Pages whose example is two specs, the inside of a table, or right only beside what it leaves out.
const IN_PARTS: [Code; 5] = [
    Code::MOX0117,
    Code::MOX0315,
    Code::MOX0648,
    Code::MOX0656,
    Code::MOX0709,
];

/// What is right on a page is of the language, and its own code is silent there. It is a part of a spec: of what is missing around
/// it nothing is said here.
#[test]
fn what_a_page_calls_right_is_right() {
    let mut wrong = Vec::new();
    for code in Code::ALL {
        if ELSEWHERE.iter().any(|(other, _)| other == code) || IN_PARTS.contains(code) {
            continue;
        }
        let right = code.explain().split("## Right").nth(1).unwrap_or_default();
        let blocks = right.split("```toml\n").skip(1);
        for text in blocks.filter_map(|rest| rest.split("```").next()) {
            if text.contains("[defaults]")
                || text.contains("[cluster]")
                || text.contains("hosts = [")
            {
                continue; // a fleet's
            }
            let host = "[host]\nname = \"pve1\"\nrelease = \"9.1\"\ntimezone = \"UTC\"\n";
            let host = if text.contains("[host]") { "" } else { host };
            let text = format!("{text}\n{host}");
            for (_, found) in Compiled::of("host.toml", &text).found() {
                let told = found.code.as_str();
                if found.code == *code || NOT_OF_THE_LANGUAGE.contains(&told) {
                    wrong.push(format!("{code}: {told}: {}", found.message));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where the docs of a code are.
fn pages() -> PathBuf {
    tests().join("../docs/errors")
}

/// The index, as it must be: set `MOXC_WRITE_INDEX` to write it.
#[test]
fn the_index_lists_every_page() {
    let groups = [
        ("00", "Syntax and shape of the file"),
        ("01", "Identity and references"),
        ("02", "Network"),
        ("03", "Storage"),
        ("04", "Processor and memory"),
        ("05", "Passthrough"),
        ("06", "Guests"),
        ("07", "Schedules, backup and update"),
        ("08", "Generated output, templates and the output folder"),
        ("09", "A live host"),
    ];
    let mut index = String::from(
        "# Errors and warnings\n\nEach has a code, which is never given to another. `moxc explain CODE` prints its page. An error stops the build; a\n\
         warning does not, and a spec's `[lints]` set its level. [What is checked](../checks.md) lists the questions behind them.\n",
    );
    for (start, title) in groups {
        let prefix = format!("MOX{start}");
        let codes: Vec<Code> = Code::ALL
            .iter()
            .copied()
            .filter(|code| code.as_str().starts_with(&prefix))
            .collect();
        if codes.is_empty() {
            continue;
        }
        write!(index, "\n## {title}\n\n| code | | |\n|---|---|---|\n")
            .expect("a string takes all text");
        for code in codes {
            let level = match code.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            writeln!(
                index,
                "| [{code}]({code}.md) | {level} | {} |",
                code.title()
            )
            .expect("a string takes all text");
        }
    }
    let path = pages().join("README.md");
    if std::env::var_os("MOXC_WRITE_INDEX").is_some() {
        fs::write(&path, &index).expect("the index can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    pretty_assertions::assert_eq!(
        written,
        index,
        "docs/errors/README.md is not the register: `MOXC_WRITE_INDEX=1 cargo test the_index` writes it"
    );
}

#[test]
fn no_page_and_no_case_is_left_over() {
    let known = |name: &str| Code::ALL.iter().any(|code| code.as_str() == name);
    for entry in fs::read_dir(pages()).expect("the pages") {
        let name = entry.expect("a page").file_name();
        let name = name.to_string_lossy();
        let code = name.strip_suffix(".md").unwrap_or(&name);
        assert!(
            known(code) || code == "README",
            "docs/errors/{name} explains no code"
        );
    }
    for entry in fs::read_dir(tests().join("errors")).expect("the cases") {
        let name = entry.expect("a case").file_name();
        let name = name.to_string_lossy().into_owned();
        assert!(known(&name), "tests/errors/{name} is no code's");
    }
}
