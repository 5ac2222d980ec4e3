//! Diagnostics as text, JSON and SARIF.
//!
//! In come what a [`Sink`](super::Sink) gave out at its end and the [`SourceMap`] that its spans point into; out comes
//! text, ready for one stream. Only [`human`] knows colours: it always writes them, and the stream takes them out where
//! it shows none.

mod human;
mod json;
mod sarif;
mod short;

use super::{Diagnostic, Severity};
use crate::source::{SourceMap, Span};
use crate::unseen::is_unseen;

/// How diagnostics are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// With the lines of the spec, as rustc does.
    Human,
    /// One line each: `file:line:column: error[MOX0106]: message`.
    Short,
    /// One JSON object a line.
    Json,
    /// One SARIF 2.1.0 document.
    Sarif,
}

/// Everything that was found, in the order in which it is told.
pub type Found = [(Severity, Diagnostic)];

/// Shows what was found. Empty where there is nothing to tell, but for SARIF, whose document has no results then.
pub fn render(format: Format, sources: &SourceMap, found: &Found) -> String {
    match format {
        Format::Human => human::render(sources, found),
        Format::Short => short::render(sources, found),
        Format::Json => json::render(sources, found),
        Format::Sarif => sarif::render(sources, found),
    }
}

/// How many errors and warnings there are: `2 errors, 1 warning`; none where there is nothing.
pub fn count(found: &Found) -> Option<String> {
    let errors = found
        .iter()
        .filter(|(severity, _)| *severity == Severity::Error)
        .count();
    let warnings = found.len() - errors;
    let plural = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    };
    let parts: Vec<String> = [plural(errors, "error"), plural(warnings, "warning")]
        .into_iter()
        .flatten()
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The word of a severity.
fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A place as every machine-readable format counts it: lines and columns from 1, columns in characters, the end after
/// the last character.
struct Place<'a> {
    file: &'a str,
    start: crate::source::LineColumn,
    end: crate::source::LineColumn,
}

impl<'a> Place<'a> {
    fn of(sources: &'a SourceMap, span: Span) -> Self {
        Self {
            file: sources.file_of(span).name(),
            start: sources.start(span),
            end: sources.end(span),
        }
    }
}

/// Text that a terminal can show without being told what to do: a spec's own words stand in messages.
fn tame(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if is_unseen(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Code;
    use crate::source::FileId;

    fn sample() -> (SourceMap, Vec<(Severity, Diagnostic)>) {
        let mut sources = SourceMap::new();
        let one = sources.add("a b.toml", "[ä]\nbridge = \"vmbr3\"\r\n\tother = 1\n");
        let two = sources.add("b.toml", "x = 1");
        let at = |file: FileId, start: usize, end: usize| Span::new(file, start..end);
        // A message is made one line on its way in; what shows it relies on nothing.
        let mut past = Diagnostic::new(Code::MOX0004, at(two, 900, 901), "");
        past.message = "past the \u{1b}[31mend".to_owned();
        let found = vec![
            (
                Severity::Error,
                Diagnostic::new(Code::MOX0106, at(one, 14, 21), "no bridge `vmbr3`")
                    .label("not declared")
                    .also(at(two, 0, 1), "the other file")
                    .also(at(one, 0, 4), "its table")
                    .help("did you mean `vmbr0`?")
                    .note("1 + 1 = 2\n2 + 2 = 4")
                    .replace("write `vmbr0`", at(one, 14, 21), "\"vmbr0\""),
            ),
            (Severity::Warning, past),
        ];
        (sources, found)
    }

    fn plain(format: Format) -> String {
        let (sources, found) = sample();
        anstream::adapter::strip_str(&render(format, &sources, &found)).to_string()
    }

    #[test]
    fn human_shows_each_file_with_its_lines() {
        insta::assert_snapshot!(plain(Format::Human));
    }

    #[test]
    fn short_is_one_line_each() {
        insta::assert_snapshot!(plain(Format::Short));
    }

    #[test]
    fn json_is_one_object_a_line() {
        insta::assert_snapshot!(plain(Format::Json));
        for line in plain(Format::Json).lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert!(value.get("code").is_some());
        }
    }

    #[test]
    fn sarif_is_one_document() {
        // The pages of the codes are texts of their own.
        let mut document: serde_json::Value =
            serde_json::from_str(&plain(Format::Sarif)).expect("JSON");
        for rule in document["runs"][0]["tool"]["driver"]["rules"]
            .as_array_mut()
            .expect("rules")
        {
            let help = rule["help"].take();
            assert!(
                help["markdown"]
                    .as_str()
                    .is_some_and(|text| text.starts_with("# MOX"))
            );
        }
        insta::assert_snapshot!(serde_json::to_string_pretty(&document).expect("JSON"));
        let empty = render(Format::Sarif, &SourceMap::new(), &[]);
        let value: serde_json::Value = serde_json::from_str(&empty).expect("JSON");
        assert_eq!(value["runs"][0]["results"], serde_json::json!([]));
    }

    #[test]
    fn an_empty_file_can_be_pointed_at() {
        let mut sources = SourceMap::new();
        let file = sources.add("empty.toml", "");
        let found = [(
            Severity::Error,
            Diagnostic::new(Code::MOX0004, Span::new(file, 0..0), "the key is missing"),
        )];
        for format in [Format::Human, Format::Short, Format::Json, Format::Sarif] {
            assert!(render(format, &sources, &found).contains("the key is missing"));
        }
    }

    #[test]
    fn counts_are_spelled() {
        let (_, found) = sample();
        assert_eq!(count(&found).as_deref(), Some("1 error, 1 warning"));
        assert_eq!(count(&[]), None);
        let twice = [found[0].clone(), found[0].clone()];
        assert_eq!(count(&twice).as_deref(), Some("2 errors"));
    }
}
