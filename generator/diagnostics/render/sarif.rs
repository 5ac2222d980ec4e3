//! SARIF 2.1.0 (OASIS, Static Analysis Results Interchange Format).

use std::fmt::Write as _;

use indexmap::{IndexMap, IndexSet};
use serde_json::{Value, json};

use super::{Found, Place, level};
use crate::diagnostics::{Code, Diagnostic, Fix, Severity};
use crate::source::{SourceMap, Span};

pub(super) fn render(sources: &SourceMap, found: &Found) -> String {
    let codes: IndexSet<Code> = found.iter().map(|(_, d)| d.code).collect();
    let results: Vec<Value> = found
        .iter()
        .map(|(severity, diagnostic)| {
            let rule = codes.get_index_of(&diagnostic.code).unwrap_or_default();
            result(sources, *severity, diagnostic, rule)
        })
        .collect();
    let document = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "moxc",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
            } },
            // Columns count characters, not UTF-16 units.
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    let mut text =
        serde_json::to_string_pretty(&document).expect("strings and numbers have a JSON form");
    text.push('\n');
    text
}

fn rule(code: Code) -> Value {
    let page = code.explain();
    json!({
        "id": code.as_str(),
        "shortDescription": { "text": code.title() },
        "help": { "text": page, "markdown": page },
        "defaultConfiguration": { "level": level(code.severity()) },
    })
}

fn result(sources: &SourceMap, severity: Severity, diagnostic: &Diagnostic, rule: usize) -> Value {
    let mut text = diagnostic.message.clone();
    for line in diagnostic.notes.iter().chain(&diagnostic.help) {
        text.push('\n');
        text.push_str(line);
    }
    let mut result = json!({
        "ruleId": diagnostic.code.as_str(),
        "ruleIndex": rule,
        "level": level(severity),
        "message": { "text": text },
        "locations": [location(sources, diagnostic.span(), &diagnostic.labels[0].text)],
    });
    if diagnostic.labels.len() > 1 {
        let related = diagnostic.labels[1..]
            .iter()
            .map(|label| location(sources, label.span, &label.text));
        result["relatedLocations"] = related.collect();
    }
    if let Some(fix) = &diagnostic.fix {
        result["fixes"] = json!([self::fix(sources, fix)]);
    }
    result
}

fn location(sources: &SourceMap, span: Span, label: &str) -> Value {
    let mut location = json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(Place::of(sources, span).file) },
        "region": region(sources, span),
    } });
    if !label.is_empty() {
        location["message"] = json!({ "text": label });
    }
    location
}

fn region(sources: &SourceMap, span: Span) -> Value {
    let place = Place::of(sources, span);
    json!({
        "startLine": place.start.line,
        "startColumn": place.start.column,
        "endLine": place.end.line,
        "endColumn": place.end.column,
    })
}

fn fix(sources: &SourceMap, fix: &Fix) -> Value {
    let mut files: IndexMap<&str, Vec<Value>> = IndexMap::new();
    for edit in &fix.edits {
        files
            .entry(sources.file_of(edit.span).name())
            .or_default()
            .push(json!({
                "deletedRegion": region(sources, edit.span),
                "insertedContent": { "text": edit.replacement },
            }));
    }
    let changes: Vec<Value> = files
        .into_iter()
        .map(|(file, replacements)| {
            json!({ "artifactLocation": { "uri": uri(file) }, "replacements": replacements })
        })
        .collect();
    json!({ "description": { "text": fix.title }, "artifactChanges": changes })
}

/// A file's name as a URI reference: what RFC 3986 does not leave as it is goes in percents.
fn uri(name: &str) -> String {
    let mut uri = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("a string takes all text");
        }
    }
    uri
}
