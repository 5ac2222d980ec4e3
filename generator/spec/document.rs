//! TOML text → a tree in which every node knows its place.
//!
//! The parser is the `toml` crate's; the tree is ours so that it can outlive the text, name its file, and take in the
//! defaults of a fleet.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::unclosed::{self, Unclosed};
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::each::each;
use crate::source::{FileId, SourceMap, Span, Spanned};
use crate::unseen::{is_bidi_control, is_hidden};
use crate::value::{TableNode, Value};

/// A parsed file.
#[derive(Debug, Clone)]
pub struct Document {
    /// The whole file's table.
    pub root: Spanned<TableNode>,
    /// What cannot be trusted after syntax errors.
    pub broken: Broken,
}

/// What syntax errors leave unclear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Broken {
    /// The lines (from 1) with a syntax error: what else is wrong there is not told.
    pub lines: BTreeSet<usize>,
    /// The line from which on keys may stand in another table than it seems: a header or a bracket is not closed.
    pub from: Option<usize>,
}

impl Broken {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// At most so many syntax errors are shown: one open bracket makes fifteen.
const MOST_SYNTAX_ERRORS: usize = 8;

/// Parses one file. Reports every syntax error, the first of each line.
pub fn parse(sources: &SourceMap, file: FileId, sink: &mut Sink) -> Document {
    let source = sources.file(file);
    // Editors on Windows still write a byte-order mark; TOML has none.
    let bom = if source.text().starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let text = &source.text()[bom..];
    let place = |range: Range<usize>| Span::new(file, range.start + bom..range.end + bom);
    let mut broken = Broken::default();
    let (mut table, mut errors) = DeTable::parse_recoverable(text);
    let (opens, rest) = if errors.is_empty() {
        (Vec::new(), None)
    } else {
        open_values(text)
    };
    if let Some(rest) = &rest {
        (table, errors) = DeTable::parse_recoverable(rest);
    }
    errors.sort_by_key(|error| error.span().map_or(usize::MAX, |span| span.start));
    // Everything behind a bracket or a quote that nothing ends is read as a part of it.
    let end = opens.last().filter(|open| open.next.is_none());
    for error in errors {
        // An error without a place only sums up others.
        let Some(range) = error
            .span()
            .or((broken.is_empty() && opens.is_empty()).then_some(0..0))
        else {
            continue;
        };
        if end.is_some_and(|open| range.end >= open.at.start) {
            continue;
        }
        let span = place(range);
        let line = sources.start(span).line;
        if error.message().starts_with("unclosed") || error.message().contains("table") {
            broken.from.get_or_insert(line);
        }
        if !broken.lines.insert(line) {
            continue;
        }
        if broken.lines.len() <= MOST_SYNTAX_ERRORS {
            let slip = slip_of_line(text, sources, span);
            let told = syntax_error(error.message(), span, sources.text(span));
            sink.push(if told.help.is_none() {
                told.help_if(slip)
            } else {
                told
            });
        }
    }
    for open in opens {
        let at = place(open.at.clone());
        let line = sources.start(at).line;
        broken.lines.insert(line);
        let message = format!("this `{}` is not closed", &text[open.at]);
        let mut diagnostic = Diagnostic::new(Code::MOX0001, at, message);
        if let Some(next) = open.next {
            diagnostic = diagnostic.also(place(next), "something new begins here");
        } else {
            broken.from = Some(broken.from.map_or(line, |from| from.min(line)));
        }
        sink.push(diagnostic.help(format!("write `{}` at its end", open.close)));
    }
    report_unseen(text, place, sink);
    let convert = Convert { sources, file, bom };
    let root = convert.table(table.get_ref(), sink);
    let root = Spanned::new(root, Span::new(file, 0..0));
    Document { root, broken }
}

/// Reports characters that nobody sees, in comments too: what a person reads in the spec
/// is what the host gets. One a line is enough to find the rest.
fn report_unseen(text: &str, place: impl Fn(Range<usize>) -> Span, sink: &mut Sink) {
    // None of them is in ASCII, as nearly every spec is.
    if text.is_ascii() {
        return;
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some((at, c)) = line.char_indices().find(|(_, c)| is_hidden(*c)) {
            let at = start + at;
            sink.push(unseen(place(at..at + c.len_utf8()), c));
        }
        start += line.len();
    }
}

fn unseen(span: Span, c: char) -> Diagnostic {
    let does = if is_bidi_control(c) {
        "turns the direction of the text"
    } else {
        "is shown by nothing"
    };
    Diagnostic::new(
        Code::MOX0040,
        span,
        format!("U+{:04X} {does}", u32::from(c)),
    )
    .label("nobody sees it")
    .help("remove it: what a person reads in a spec is what its host gets")
}

/// The values whose brackets are open, and the text without those behind which something new begins: what follows them
/// is read in the same run.
fn open_values(text: &str) -> (Vec<Unclosed>, Option<String>) {
    let mut opens = Vec::new();
    let mut rest: Option<String> = None;
    while opens.len() < MOST_SYNTAX_ERRORS {
        let Some(open) = unclosed::find(rest.as_deref().unwrap_or(text)) else {
            break;
        };
        let next = open.next.as_ref().map(|next| next.start);
        let start = open.at.start;
        opens.push(open);
        let Some(next) = next else { break };
        rest = Some(unclosed::without(
            rest.as_deref().unwrap_or(text),
            start..next,
        ));
    }
    (opens, rest)
}

/// A syntax error in our words where the parser's are about its grammar, and with a word of advice for the commonest slips.
fn syntax_error(message: &str, span: Span, at: &str) -> Diagnostic {
    let error = |message: &str| Diagnostic::new(Code::MOX0001, span, message);
    if message.starts_with("duplicate key") {
        return Diagnostic::new(Code::MOX0001, span, format!("the key `{at}` is set twice"))
            .help("remove one of the two");
    }
    if message.starts_with("string values must be quoted") {
        return error("text stands in quotes").help_if(unquoted_help(at));
    }
    if message.starts_with("invalid basic string, expected `\"`") {
        return error("the string is not closed").help("write `\"` at its end");
    }
    if message.starts_with("invalid literal string, expected `'`") {
        return error("the string is not closed").help("write `'` at its end");
    }
    if message.contains("recurs") {
        return error("this is nested too deep");
    }
    if message.is_empty() {
        return error("this is not TOML");
    }
    Diagnostic::new(Code::MOX0001, span, message.replace('\n', ", "))
}

/// The slips of those who write other languages: a colon for the equals sign, a comma at the end of a line.
fn slip_of_line(text: &str, sources: &SourceMap, span: Span) -> Option<String> {
    let number = sources.start(span).line;
    let line = text.lines().nth(number.checked_sub(1)?)?.trim();
    let (key, value) = line.split_once(':').unwrap_or((line, ""));
    let key = key.trim_matches(['"', '\'', ' ']);
    let is_key = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if is_key && !value.is_empty() {
        let value = value.trim().trim_end_matches(',');
        return Some(format!("TOML writes `=` for the colon: `{key} = {value}`"));
    }
    if let Some(bare) = line.strip_suffix(',')
        && bare.contains('=')
    {
        return Some(format!("a line ends without a comma: `{bare}`"));
    }
    // `{ "cores": 1 }`
    let inner = line.split(['{', ',']).find(|part| {
        part.split_once(':')
            .is_some_and(|(key, _)| key.trim().starts_with('"') || !key.contains('"'))
    })?;
    line.contains('{').then(|| {
        format!(
            "TOML writes `=` for the colon: `{}`",
            inner.trim().replacen(':', " =", 1).replace('"', "")
        )
    })
}

/// What a bare word should be.
fn unquoted_help(at: &str) -> Option<String> {
    match at {
        "yes" | "on" | "True" | "TRUE" => Some("write `true`".to_owned()),
        "no" | "off" | "False" | "FALSE" => Some("write `false`".to_owned()),
        word if !word.is_empty()
            && word.bytes().all(|b| {
                b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'/' | b'-' | b':')
            }) =>
        {
            Some(format!("write `\"{word}\"`"))
        }
        _ => None,
    }
}

#[derive(Clone, Copy)]
struct Convert<'a> {
    sources: &'a SourceMap,
    file: FileId,
    bom: usize,
}

impl Convert<'_> {
    fn span(self, range: Range<usize>) -> Span {
        Span::new(self.file, range.start + self.bom..range.end + self.bom)
    }

    /// A text, which may hold by an escape what the file's own text does not: what is shown by nothing is seen so.
    fn text(self, text: &str, span: Span, sink: &mut Sink) -> String {
        let hidden = text.chars().find(|c| is_bidi_control(*c));
        if let Some(c) = hidden.filter(|_| !self.sources.text(span).contains(is_bidi_control)) {
            sink.push(unseen(span, c));
        }
        text.to_owned()
    }

    fn table(self, table: &DeTable<'_>, sink: &mut Sink) -> TableNode {
        let entries: Vec<_> = table.iter().collect();
        let entries = each(&entries, sink, |(key, value), sink| {
            let span = self.span(key.span());
            let name = Spanned::new(self.text(key.get_ref(), span, sink), span);
            let span = self.span(value.span());
            let value = self.value(value.get_ref(), span, sink);
            (name, Spanned::new(value, span))
        });
        TableNode { entries }
    }

    fn value(self, value: &DeValue<'_>, span: Span, sink: &mut Sink) -> Value {
        match value {
            DeValue::String(text) => Value::String(self.text(text, span, sink)),
            // A number that is too large keeps its text: the reader says that it is no number of the range.
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(
                    |_| {
                        let radix = match number.radix() {
                            16 => "0x",
                            8 => "0o",
                            2 => "0b",
                            _ => "",
                        };
                        Value::TooLarge(format!("{radix}{}", number.as_str()))
                    },
                    Value::Integer,
                ),
            DeValue::Float(number) => number.as_str().parse().map_or_else(
                |_| Value::TooLarge(number.as_str().to_owned()),
                Value::Float,
            ),
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(datetime) => Value::Datetime(datetime.to_string()),
            DeValue::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| {
                        let span = self.span(item.span());
                        Spanned::new(self.value(item.get_ref(), span, sink), span)
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table, sink)),
        }
    }
}
