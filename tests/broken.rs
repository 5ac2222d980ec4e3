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

/// What SARIF's schema says of one of its objects: the properties that it needs, and those that it may have, with the
/// objects in them.
struct Shape {
    needs: &'static [&'static str],
    has: &'static [(&'static str, Option<&'static str>)],
}

/// The objects that moxc writes, as `sarif-schema-2.1.0.json` of OASIS has them; none takes a property of another name.
fn shape(kind: &str) -> Shape {
    let (needs, has): (&[_], &[_]) = match kind {
        "sarifLog" => (
            &["version", "runs"],
            &[("$schema", None), ("version", None), ("runs", Some("run"))],
        ),
        "run" => (
            &["tool"],
            &[
                ("tool", Some("tool")),
                ("columnKind", None),
                ("results", Some("result")),
            ],
        ),
        "tool" => (&["driver"], &[("driver", Some("toolComponent"))]),
        "toolComponent" => (
            &["name"],
            &[
                ("name", None),
                ("version", None),
                ("rules", Some("reportingDescriptor")),
            ],
        ),
        "reportingDescriptor" => (
            &["id"],
            &[
                ("id", None),
                ("shortDescription", Some("multiformatMessageString")),
                ("help", Some("multiformatMessageString")),
                ("defaultConfiguration", Some("reportingConfiguration")),
            ],
        ),
        "multiformatMessageString" => (&["text"], &[("text", None), ("markdown", None)]),
        "reportingConfiguration" => (&[], &[("level", None)]),
        "result" => (
            &["message"],
            &[
                ("ruleId", None),
                ("ruleIndex", None),
                ("level", None),
                ("message", Some("message")),
                ("locations", Some("location")),
                ("relatedLocations", Some("location")),
                ("fixes", Some("fix")),
            ],
        ),
        "message" => (&["text"], &[("text", None)]),
        "location" => (
            &[],
            &[
                ("physicalLocation", Some("physicalLocation")),
                ("message", Some("message")),
            ],
        ),
        "physicalLocation" => (
            &["artifactLocation"],
            &[
                ("artifactLocation", Some("artifactLocation")),
                ("region", Some("region")),
            ],
        ),
        "artifactLocation" => (&[], &[("uri", None)]),
        "region" => (
            &[],
            &[
                ("startLine", None),
                ("startColumn", None),
                ("endLine", None),
                ("endColumn", None),
            ],
        ),
        "fix" => (
            &["artifactChanges"],
            &[
                ("description", Some("message")),
                ("artifactChanges", Some("artifactChange")),
            ],
        ),
        "artifactChange" => (
            &["artifactLocation", "replacements"],
            &[
                ("artifactLocation", Some("artifactLocation")),
                ("replacements", Some("replacement")),
            ],
        ),
        "replacement" => (
            &["deletedRegion"],
            &[
                ("deletedRegion", Some("region")),
                ("insertedContent", Some("artifactContent")),
            ],
        ),
        "artifactContent" => (&[], &[("text", None)]),
        other => panic!("no shape of {other}"),
    };
    Shape { needs, has }
}

/// Holds an object, or a list of them, against its shape; counts the fixes.
fn hold(kind: &str, value: &serde_json::Value, fixes: &mut usize) {
    if let Some(items) = value.as_array() {
        // `minItems` of the lists of a fix; an empty list says nothing anywhere.
        assert!(!items.is_empty() || kind == "result", "no {kind}");
        for item in items {
            hold(kind, item, fixes);
        }
        return;
    }
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("{kind}: {value}"));
    let shape = shape(kind);
    for key in shape.needs {
        assert!(object.contains_key(*key), "{kind} without {key}");
    }
    for (key, value) in object {
        let (_, inner) = shape
            .has
            .iter()
            .find(|(known, _)| known == key)
            .unwrap_or_else(|| panic!("{kind} has no {key}"));
        if let Some(inner) = inner {
            hold(inner, value, fixes);
        }
    }
    *fixes += usize::from(kind == "fix");
    if kind == "region" {
        let number = |key: &str| value[key].as_u64().expect("a number");
        assert!(number("startLine") >= 1 && number("startColumn") >= 1);
        assert!(
            (number("startLine"), number("startColumn"))
                <= (number("endLine"), number("endColumn"))
        );
    }
}

#[test]
fn sarif_has_what_its_schema_requires_and_nothing_else() {
    let folder = tests().join("broken");
    let mut fixes = 0;
    for spec in [
        "keys",
        "references",
        "syntax",
        "types",
        "choices",
        "storage",
        "values",
    ] {
        let said = call(
            &folder,
            &[
                "check",
                &format!("{spec}.toml"),
                "--message-format",
                "sarif",
            ],
        );
        let document: serde_json::Value = serde_json::from_str(&said.err).expect("JSON");
        hold("sarifLog", &document, &mut fixes);
        let run = &document["runs"][0];
        assert_eq!(document["version"], "2.1.0");
        assert_eq!(run["columnKind"], "unicodeCodePoints");
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        for result in run["results"].as_array().expect("results") {
            assert!(["error", "warning"].contains(&result["level"].as_str().expect("a level")));
            let at = result["ruleIndex"].as_u64().expect("an index");
            let rule = &rules[usize::try_from(at).expect("a small number")];
            assert_eq!(rule["id"], result["ruleId"]);
        }
    }
    assert!(fixes >= 5, "{fixes} fixes");
}
