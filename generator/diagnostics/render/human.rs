use std::fmt::Write as _;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::Found;
use crate::diagnostics::{Diagnostic, Label, Severity};
use crate::source::{FileId, SourceMap};
use crate::unseen::for_people;

/// The most that a person is shown at once: what comes after it is counted, and errors go before warnings.
const MOST_SHOWN: usize = 100;

pub(super) fn render(sources: &SourceMap, found: &Found) -> String {
    let renderer = Renderer::styled().decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    let shown = shown(found);
    for at in &shown {
        let (severity, diagnostic) = &found[*at];
        text.push_str(&renderer.render(&[group(sources, *severity, diagnostic)]));
        text.push_str("\n\n");
    }
    if shown.len() < found.len() {
        let more = found.len() - shown.len();
        let _ = writeln!(
            text,
            "and {more} more; `--message-format short` shows all\n"
        );
    }
    text
}

/// The places of what is shown, in order.
fn shown(found: &Found) -> Vec<usize> {
    let mut places: Vec<usize> = (0..found.len()).collect();
    places.sort_by_key(|at| found[*at].0 != Severity::Error);
    places.truncate(MOST_SHOWN);
    places.sort_unstable();
    places
}

fn group<'a>(sources: &'a SourceMap, severity: Severity, diagnostic: &'a Diagnostic) -> Group<'a> {
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(
        level
            .primary_title(&diagnostic.message)
            .id(diagnostic.code.as_str()),
    );
    // The primary label's file comes first; the others in the order in which they are named.
    let mut files: Vec<FileId> = Vec::new();
    for label in &diagnostic.labels {
        if !files.contains(&label.span.file()) {
            files.push(label.span.file());
        }
    }
    for file in files {
        group = group.element(snippet(sources, file, diagnostic));
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    group
}

/// The lines of one file that the labels point at.
fn snippet<'a>(
    sources: &'a SourceMap,
    file: FileId,
    diagnostic: &'a Diagnostic,
) -> Snippet<'a, Annotation<'a>> {
    let source = sources.file(file);
    let labels: Vec<(usize, &Label)> = diagnostic
        .labels
        .iter()
        .enumerate()
        .filter(|(_, label)| label.span.file() == file)
        .collect();
    // The renderer walks through all the text that it is given: give it no more than the lines between the labels.
    let ranges = || {
        labels
            .iter()
            .map(|(_, label)| source.clamp(label.span.range()))
    };
    let first = ranges().map(|range| range.start).min().unwrap_or(0);
    let last = ranges().map(|range| range.end).max().unwrap_or(0);
    let text = source.text();
    let from = text[..first].rfind('\n').map_or(0, |at| at + 1);
    let mut to = text[last..].find('\n').map_or(text.len(), |at| last + at);
    if to > last && text[..to].ends_with('\r') {
        to -= 1;
    }
    let annotations = labels.iter().map(|(at, label)| {
        let range = source.clamp(label.span.range());
        let kind = if *at == 0 {
            AnnotationKind::Primary
        } else {
            AnnotationKind::Context
        };
        kind.span(range.start - from..range.end - from)
            .label((!label.text.is_empty()).then_some(label.text.as_str()))
    });
    Snippet::source(&text[from..to])
        .line_start(source.line(from))
        .path(for_people(source.name()))
        .annotations(annotations)
}
