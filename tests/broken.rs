//! Specs that are broken in several places: each shows all its errors in one run, in order, once.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::program::{call, tests};

#[test]
fn broken_specs_show_all_their_errors() {
    let folder = tests().join("broken");
    let mut specs: Vec<String> = fs::read_dir(&folder)
        .expect("the folder of broken specs")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    specs.sort();
    assert!(specs.len() >= 20, "{} broken specs", specs.len());
    let mut failed = Vec::new();
    for spec in &specs {
        let checked = catch_unwind(AssertUnwindSafe(|| {
            let said = call(&folder, &["check", spec]);
            assert_eq!(said.status, Some(1), "{spec}");
            assert_eq!(said.out, "", "{spec}");
            // Warnings grow with the checks; what is wrong here are errors.
            let errors: Vec<&str> = said
                .err
                .split("\n\n")
                .filter(|block| block.starts_with("error["))
                .collect();
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path(&folder);
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            let name = spec.trim_end_matches(".toml");
            settings.bind(|| insta::assert_snapshot!(name, errors.join("\n\n")));
        }));
        if checked.is_err() {
            failed.push(spec.as_str());
        }
    }
    assert!(failed.is_empty(), "see above: {}", failed.join(", "));
}

/// The same places in the same order, in every format.
#[test]
fn every_format_tells_the_same() {
    let folder = tests().join("broken");
    let said = |format: &str| {
        call(
            &folder,
            &["check", "references.toml", "--message-format", format],
        )
        .err
    };
    let short: Vec<String> = said("short").lines().map(str::to_owned).collect();
    let json: Vec<String> = said("json")
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let start = &value["spans"][0]["start"];
            format!(
                "{}:{}:{}: {}[{}]: {}",
                value["spans"][0]["file"].as_str().expect("a file"),
                start["line"],
                start["column"],
                value["level"].as_str().expect("a level"),
                value["code"].as_str().expect("a code"),
                value["message"].as_str().expect("a message")
            )
        })
        .collect();
    assert_eq!(short, json);
    let sarif: serde_json::Value = serde_json::from_str(&said("sarif")).expect("JSON");
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let places: Vec<String> = results
        .iter()
        .map(|result| {
            let region = &result["locations"][0]["physicalLocation"]["region"];
            format!("{}:{}", region["startLine"], region["startColumn"])
        })
        .collect();
    let expected: Vec<String> = short
        .iter()
        .map(|line| {
            line.split(':')
                .skip(1)
                .take(2)
                .collect::<Vec<_>>()
                .join(":")
        })
        .collect();
    assert_eq!(places, expected);
}
