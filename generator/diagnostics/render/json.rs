use serde::Serialize;

use super::{Found, Place, level};
use crate::diagnostics::{Diagnostic, Severity};
use crate::source::{LineColumn, SourceMap, Span};

/// One line of `--message-format json`; documented in `docs/command-line.md`, so fields are added, never renamed.
#[derive(Serialize)]
struct Message<'a> {
    code: &'a str,
    level: &'a str,
    #[serde(rename = "message")]
    text: &'a str,
    help: Option<&'a str>,
    notes: &'a [String],
    spans: Vec<Spot<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<Fix<'a>>,
}

#[derive(Serialize)]
struct Spot<'a> {
    file: &'a str,
    start: LineColumn,
    end: LineColumn,
    label: &'a str,
    primary: bool,
}

#[derive(Serialize)]
struct Fix<'a> {
    title: &'a str,
    edits: Vec<Edit<'a>>,
}

#[derive(Serialize)]
struct Edit<'a> {
    file: &'a str,
    start: LineColumn,
    end: LineColumn,
    replacement: &'a str,
}

pub(super) fn render(sources: &SourceMap, found: &Found) -> String {
    let mut text = String::new();
    for (severity, diagnostic) in found {
        let message = message(sources, *severity, diagnostic);
        text.push_str(
            &serde_json::to_string(&message).expect("strings and numbers have a JSON form"),
        );
        text.push('\n');
    }
    text
}

fn message<'a>(
    sources: &'a SourceMap,
    severity: Severity,
    diagnostic: &'a Diagnostic,
) -> Message<'a> {
    let spans = diagnostic.labels.iter().enumerate().map(|(at, label)| {
        let Place { file, start, end } = Place::of(sources, label.span);
        Spot {
            file,
            start,
            end,
            label: &label.text,
            primary: at == 0,
        }
    });
    let edit = |span: Span, replacement: &'a str| {
        let Place { file, start, end } = Place::of(sources, span);
        Edit {
            file,
            start,
            end,
            replacement,
        }
    };
    Message {
        code: diagnostic.code.as_str(),
        level: level(severity),
        text: &diagnostic.message,
        help: diagnostic.help.as_deref(),
        notes: &diagnostic.notes,
        spans: spans.collect(),
        fix: diagnostic.fix.as_ref().map(|fix| Fix {
            title: &fix.title,
            edits: fix
                .edits
                .iter()
                .map(|e| edit(e.span, &e.replacement))
                .collect(),
        }),
    }
}
