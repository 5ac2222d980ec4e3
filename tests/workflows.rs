//! The workflows for GitHub: ours, and the one of the template. Nothing here runs them; what is looked at is what breaks
//! one without a sound: a key that is none, a job that nobody waits for, an action without a version.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

use crate::nixos::root;

fn workflows() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in [".github/workflows", "nix/template/.github/workflows"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            files.push(entry.unwrap().path());
        }
    }
    files.sort();
    files
}

/// A YAML file as JSON, read by the library that pre-commit reads its own with.
fn read(path: &Path) -> Json {
    let tools = std::env::var("MOXC_TEST_TOOLS").map_or_else(
        |_| root().join("target/test-tools"),
        std::path::PathBuf::from,
    );
    let output = Command::new(tools.join("python/bin/python"))
        .args([
            "-c",
            "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout, default=str)",
        ])
        .arg(path)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", path.display());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The members of an object that are not among `known`.
fn strange(object: &Json, known: &[&str]) -> Vec<String> {
    let members = object.as_object().expect("an object");
    let strange = members.keys().filter(|key| !known.contains(&key.as_str()));
    strange.cloned().collect()
}

/// The strings of a value that is one, or a list of some.
fn strings(value: &Json) -> Vec<&str> {
    match value {
        Json::String(one) => vec![one],
        Json::Array(all) => all.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

#[test]
#[ignore = "needs Python's yaml; run by tests/run"]
fn the_workflows_are_what_github_takes() {
    for path in workflows() {
        let name = path.display();
        let workflow = read(&path);
        // YAML 1.1 takes the key `on` for a truth value.
        let top = [
            "name",
            "on",
            "true",
            "permissions",
            "concurrency",
            "env",
            "defaults",
            "jobs",
        ];
        assert_eq!(strange(&workflow, &top), [""; 0], "{name}");
        assert!(
            workflow["permissions"].is_object(),
            "{name}: asks for every permission"
        );
        let jobs = workflow["jobs"].as_object().unwrap();
        for (id, job) in jobs {
            let known = [
                "name",
                "needs",
                "if",
                "runs-on",
                "strategy",
                "container",
                "env",
                "steps",
                "timeout-minutes",
                "permissions",
                "defaults",
            ];
            assert_eq!(strange(job, &known), [""; 0], "{name}: {id}");
            for needed in strings(&job["needs"]) {
                assert!(jobs.contains_key(needed), "{name}: {id} needs {needed}");
            }
            let runner = job["runs-on"].as_str().expect("a runner");
            let matrix = &job["strategy"]["matrix"];
            match runner
                .strip_prefix("${{ matrix.")
                .and_then(|rest| rest.strip_suffix(" }}"))
            {
                Some(axis) => assert!(matrix[axis].is_array(), "{name}: {id}: no matrix.{axis}"),
                None => assert!(
                    runner.starts_with("ubuntu-") || runner.starts_with("windows-"),
                    "{name}: {id}: {runner}"
                ),
            }
            let steps = job["steps"].as_array().unwrap();
            for step in steps {
                let known = [
                    "name",
                    "id",
                    "if",
                    "uses",
                    "with",
                    "run",
                    "env",
                    "continue-on-error",
                    "timeout-minutes",
                    "shell",
                    "working-directory",
                ];
                assert_eq!(strange(step, &known), [""; 0], "{name}: {id}");
                assert!(
                    step["uses"].is_string() != step["run"].is_string(),
                    "{name}: {id}: {step}"
                );
                if let Some(action) = step["uses"].as_str() {
                    assert!(
                        action.contains("@v"),
                        "{name}: {id}: {action} has no version"
                    );
                }
                // Who opens a pull request names its title and its branch: none of these may become shell.
                let script = step["run"].as_str().unwrap_or_default();
                assert!(
                    !script.contains("${{"),
                    "{name}: {id}: an expression inside a script"
                );
            }
        }
    }
}

#[test]
#[ignore = "needs Python's yaml; run by tests/run"]
fn one_job_tells_how_all_others_ended() {
    let workflow = read(&root().join(".github/workflows/ci.yml"));
    let jobs = workflow["jobs"].as_object().unwrap();
    let others: BTreeSet<&str> = jobs
        .keys()
        .map(String::as_str)
        .filter(|id| *id != "results")
        .collect();
    let waited: BTreeSet<&str> = strings(&jobs["results"]["needs"]).into_iter().collect();
    assert_eq!(waited, others);
    assert_eq!(jobs["results"]["if"], "always()");
}

#[test]
#[ignore = "needs shellcheck and Python's yaml; run by tests/run"]
fn the_scripts_of_the_workflows_are_sound_and_what_they_call_is_there() {
    for path in workflows() {
        let workflow = read(&path);
        for (id, job) in workflow["jobs"].as_object().unwrap() {
            for step in job["steps"].as_array().unwrap() {
                // Other shells have checks of their own.
                if step["shell"].is_string()
                    || !job["runs-on"].as_str().unwrap().starts_with("ubuntu")
                {
                    continue;
                }
                let Some(script) = step["run"].as_str() else {
                    continue;
                };
                let folder = tempfile::tempdir().unwrap();
                let file = folder.path().join("step.sh");
                fs::write(&file, format!("#!/usr/bin/env bash\n{script}\n")).unwrap();
                let output = Command::new("shellcheck").arg(&file).output().unwrap();
                let said = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success(), "{}: {id}: {said}", path.display());
                for word in script
                    .split_whitespace()
                    .filter(|word| word.starts_with("tests/") || word.starts_with(".ci/"))
                {
                    assert!(
                        root().join(word).is_file(),
                        "{}: {id}: {word}",
                        path.display()
                    );
                }
            }
        }
    }
}

#[test]
#[ignore = "needs Python's yaml; run by tests/run"]
fn a_job_that_runs_some_of_the_tests_names_tests_that_there_are() {
    let modules = fs::read_to_string(root().join("tests/main.rs")).unwrap();
    let workflow = read(&root().join(".github/workflows/ci.yml"));
    let mut named = 0;
    for job in workflow["jobs"].as_object().unwrap().values() {
        for step in job["steps"].as_array().unwrap() {
            let script = step["run"].as_str().unwrap_or_default();
            let Some(filter) = script.strip_prefix("tests/run ") else {
                continue;
            };
            named += 1;
            let start = match filter.strip_suffix("::") {
                Some(whole) => format!("mod {whole};"),
                None => format!("mod {filter}"),
            };
            assert!(modules.contains(&start), "{script}");
        }
    }
    assert_eq!(named, 2, "the tests of Nushell and of NixOS");
}

#[test]
#[ignore = "needs Python's yaml; run by tests/run"]
fn the_oldest_rust_is_the_one_that_cargo_asks_for() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let version = manifest["package"]["rust-version"].as_str().unwrap();
    let workflow = read(&root().join(".github/workflows/ci.yml"));
    assert_eq!(
        workflow["jobs"]["oldest-rust"]["container"],
        format!("rust:{version}-bookworm")
    );
}

#[test]
#[ignore = "needs Python's yaml; run by tests/run"]
fn the_hooks_for_pre_commit_are_read() {
    let hooks = read(&root().join(".pre-commit-hooks.yaml"));
    for hook in hooks.as_array().unwrap() {
        let known = [
            "id",
            "name",
            "description",
            "entry",
            "language",
            "args",
            "files",
            "pass_filenames",
            "require_serial",
        ];
        assert_eq!(strange(hook, &known), [""; 0]);
        if hook["language"] == "script" {
            assert!(
                root().join(hook["entry"].as_str().unwrap()).is_file(),
                "{hook}"
            );
        }
    }
}

#[test]
fn whoever_names_the_project_names_the_place_of_its_package() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let cargo = read("Cargo.toml");
    let place = cargo
        .lines()
        .find_map(|line| line.strip_prefix("repository = \"")?.split('"').next())
        .expect("a package says where it lies");
    for (file, needed) in [
        (
            "nix/template/flake.nix",
            format!("moxc.url = \"git+{place}\""),
        ),
        ("README.md", format!("git+{place}|")),
        ("docs/how-to/nixos.md", format!("- repo: {place}\n")),
    ] {
        assert!(read(file).contains(&needed), "{file}: {needed}");
    }
}

#[test]
fn a_release_is_refused_elsewhere_than_where_the_package_says() {
    let refused = Command::new(root().join(".ci/release"))
        .env("GITHUB_REF_NAME", concat!("v", env!("CARGO_PKG_VERSION")))
        .env("GITHUB_SERVER_URL", "https://github.com")
        .env("GITHUB_REPOSITORY", "somebody/fork")
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("and not at https://github.com/somebody/fork"),
        "{told}"
    );
}
