//! A spec in the making: tables whose entries know what of the host they say, and the text of it all.
//!
//! Quoting is the printer's work. Where an error of the compiler points into the text, [`Printed::at`] tells which part of
//! the host stands there.

use std::fmt::Write as _;
use std::ops::Range;

use crate::unseen::is_never_shown;

/// A value of TOML.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Toml {
    /// A string.
    Text(String),
    /// A string over several lines, for notes and files.
    Lines(String),
    /// A whole number.
    Number(i64),
    /// A number as it is spelt.
    Amount(String),
    /// `true` or `false`.
    Flag(bool),
    /// A list on one line, or one item a line where that is long.
    List(Vec<Toml>),
    /// `{ key = value }`.
    Table(Vec<(String, Toml)>),
}

impl From<&str> for Toml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Toml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Toml {
    fn from(on: bool) -> Self {
        Self::Flag(on)
    }
}

impl From<i64> for Toml {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Toml {
    fn from(number: u32) -> Self {
        Self::Number(i64::from(number))
    }
}

impl Toml {
    /// A list of strings.
    pub(super) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        let texts = texts.into_iter().map(|text| Self::Text(text.into()));
        Self::List(texts.collect())
    }

    /// A string as the number that it is, where it is one.
    pub(super) fn number(text: &str) -> Self {
        let plain = text
            .parse::<i64>()
            .ok()
            .filter(|number| number.to_string() == text);
        plain.map_or_else(|| Self::Text(text.to_owned()), Self::Number)
    }

    fn print(&self, text: &mut String) {
        match self {
            Self::Text(value) => quote(value, text),
            Self::Lines(value) => quote_lines(value, text),
            Self::Number(number) => write!(text, "{number}").expect("a string takes all text"),
            Self::Amount(number) => text.push_str(number),
            Self::Flag(on) => text.push_str(if *on { "true" } else { "false" }),
            Self::List(items) => list(items, text),
            Self::Table(entries) => {
                text.push('{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    text.push_str(if at == 0 { " " } else { ", " });
                    print_key(key, text);
                    text.push_str(" = ");
                    value.print(text);
                }
                text.push_str(if entries.is_empty() { "}" } else { " }" });
            }
        }
    }
}

/// The widest list that stands on one line.
const WIDEST_LIST: usize = 100;

fn list(items: &[Toml], text: &mut String) {
    let printed: Vec<String> = items
        .iter()
        .map(|item| {
            let mut text = String::new();
            item.print(&mut text);
            text
        })
        .collect();
    let width: usize = printed.iter().map(|item| item.len() + 2).sum();
    let is_narrow = width <= WIDEST_LIST && printed.iter().all(|item| !item.contains('\n'));
    if is_narrow {
        text.push('[');
        text.push_str(&printed.join(", "));
        text.push(']');
        return;
    }
    text.push_str("[\n");
    for item in printed {
        text.push_str("  ");
        text.push_str(&item);
        text.push_str(",\n");
    }
    text.push(']');
}

/// A string of TOML: a literal one where a basic one would be full of escapes.
fn quote(value: &str, text: &mut String) {
    let is_plain = value.chars().all(|c| c != '\'' && !is_never_shown(c));
    if is_plain && value.contains(['"', '\\']) {
        text.extend(["'", value, "'"]);
        return;
    }
    text.push('"');
    for c in value.chars() {
        escape(c, text);
    }
    text.push('"');
}

fn escape(c: char, text: &mut String) {
    match c {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\t' => text.push_str("\\t"),
        '\r' => text.push_str("\\r"),
        c if is_never_shown(c) => {
            write!(text, "\\U{:08X}", u32::from(c)).expect("a string takes all text");
        }
        c => text.push(c),
    }
}

fn quote_lines(value: &str, text: &mut String) {
    if !value.contains('\n') {
        return quote(value, text);
    }
    // The first line break after the quotes is no part of the string.
    text.push_str("\"\"\"\n");
    let mut chars = value.chars().peekable();
    let mut quotes = 0;
    while let Some(c) = chars.next() {
        // Two quotes in a row are text, three are the end.
        let is_text = c == '"' && quotes < 2 && chars.peek().is_some();
        quotes = if is_text { quotes + 1 } else { 0 };
        match c {
            '\n' | '\t' => text.push(c),
            '"' if is_text => text.push(c),
            c => escape(c, text),
        }
    }
    text.push_str("\"\"\"");
}

/// A key, in quotes where it has to be.
fn print_key(key: &str, text: &mut String) {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if bare {
        text.push_str(key);
    } else {
        quote(key, text);
    }
}

/// A comment's text, which TOML wants without control characters.
fn comment(line: &str) -> String {
    line.replace(is_never_shown, " ")
}

/// What of a host something in the spec says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The host itself.
    Host,
    /// A guest.
    Guest(u32),
    /// A storage.
    Store(String),
    /// A pool.
    Pool(String),
    /// An interface of the host.
    Interface(String),
    /// A job.
    Job(String),
    /// A device under its name in the spec.
    Device(String),
    /// A file, by its path without the leading `/`.
    File(String),
    /// What the kernel is told.
    Boot,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Comment lines above it.
    pub(super) comments: Vec<String>,
    /// The key.
    pub(super) key: String,
    /// The value.
    pub(super) value: Toml,
    /// What of the part it says, as in `scsi0`; the key where that has no other name.
    pub(super) says: String,
    /// A word behind it.
    pub(super) remark: Option<String>,
    /// Why it stands as a comment.
    pub(super) fault: Option<String>,
}

/// A table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Its header's words.
    pub(super) header: Vec<String>,
    /// Whether it is one of an array.
    pub(super) is_item: bool,
    /// Comment lines above it.
    pub(super) comments: Vec<String>,
    /// What of the host it says.
    pub(super) part: Part,
    /// What of the part the whole table says, where it is one thing.
    pub(super) says: Option<String>,
    /// Its entries.
    pub(super) entries: Vec<Entry>,
    /// Why it stands as a comment.
    pub(super) fault: Option<String>,
}

impl Table {
    /// An empty one.
    pub(super) fn new<'a>(header: impl IntoIterator<Item = &'a str>, part: Part) -> Self {
        Self {
            header: header.into_iter().map(str::to_owned).collect(),
            is_item: false,
            comments: Vec::new(),
            part,
            says: None,
            entries: Vec::new(),
            fault: None,
        }
    }

    /// Adds a key.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Toml>) -> &mut Entry {
        self.set_as(key, value, key)
    }

    /// Adds a key that says an option of Proxmox VE.
    pub(super) fn set_as(&mut self, key: &str, value: impl Into<Toml>, says: &str) -> &mut Entry {
        self.entries.push(Entry {
            comments: Vec::new(),
            key: key.to_owned(),
            value: value.into(),
            says: says.to_owned(),
            remark: None,
            fault: None,
        });
        self.entries.last_mut().expect("it was pushed just now")
    }

    /// Adds a key where there is a value.
    pub(super) fn set_some(&mut self, key: &str, value: Option<impl Into<Toml>>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// Whether it says nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A spec.
#[derive(Debug, Clone, Default)]
pub(super) struct Doc {
    /// Comment lines at the top.
    pub(super) preamble: Vec<String>,
    /// Its tables in their order.
    pub(super) tables: Vec<Table>,
}

impl Doc {
    /// Adds a table that says something.
    pub(super) fn push(&mut self, table: Table) {
        if !table.is_empty() {
            self.tables.push(table);
        }
    }
}

/// A place in the text.
#[derive(Debug, Clone)]
struct Mark {
    range: Range<usize>,
    part: Part,
    says: Option<String>,
}

/// The text of a spec.
#[derive(Debug, Clone)]
pub(super) struct Printed {
    /// The text.
    pub(super) text: String,
    marks: Vec<Mark>,
}

impl Printed {
    /// The part of the host that a place of the text says, and what of it.
    pub(super) fn at(&self, range: &Range<usize>) -> Option<(&Part, Option<&str>)> {
        // Tables and entries are marked in their order, an entry behind its table: the last that holds the place is the
        // innermost.
        let behind = self
            .marks
            .partition_point(|mark| mark.range.start <= range.start);
        let found = self.marks[..behind]
            .iter()
            .rev()
            .take(400)
            .find(|mark| mark.range.end > range.start);
        found.map(|mark| (&mark.part, mark.says.as_deref()))
    }
}

impl Printed {
    /// Where the text says something of a part of the host: the line of that, else the first of the part, else the top.
    pub(super) fn place(&self, part: &Part, says: Option<&str>) -> Range<usize> {
        let is_it = |mark: &&Mark| {
            let own = mark.says.as_deref();
            // A card's table is known by `net0`, what stands in it by `net0.bridge`.
            let base = own.and_then(|own| own.split('.').next());
            mark.part == *part && says.is_some() && (own == says || base == says)
        };
        let mut marks = self.marks.iter();
        let found = marks
            .find(is_it)
            .or_else(|| self.marks.iter().find(|mark| mark.part == *part))
            .or(self.marks.first());
        let Some(mark) = found else { return 0..0 };
        let text = &self.text[mark.range.clone()];
        mark.range.start..mark.range.start + text.find('\n').unwrap_or(text.len())
    }
}

/// Prints a spec.
pub(super) fn print(doc: &Doc) -> Printed {
    let mut text = String::new();
    let mut marks = Vec::new();
    for line in &doc.preamble {
        push_comment(line, &mut text);
    }
    for table in &doc.tables {
        if !text.is_empty() {
            text.push('\n');
        }
        print_table(table, &mut text, &mut marks);
    }
    Printed { text, marks }
}

fn push_comment(line: &str, text: &mut String) {
    let line = comment(line);
    if line.is_empty() {
        text.push_str("#\n");
    } else {
        writeln!(text, "# {line}").expect("a string takes all text");
    }
}

fn print_table(table: &Table, text: &mut String, marks: &mut Vec<Mark>) {
    for line in &table.comments {
        push_comment(line, text);
    }
    if let Some(fault) = &table.fault {
        let mut body = String::new();
        let plain = Table {
            comments: Vec::new(),
            fault: None,
            ..table.clone()
        };
        print_table(&plain, &mut body, &mut Vec::new());
        for line in fault.lines() {
            push_comment(line, text);
        }
        for line in body.lines() {
            push_comment(line, text);
        }
        return;
    }
    let start = text.len();
    let at = marks.len();
    if !table.header.is_empty() {
        text.push_str(if table.is_item { "[[" } else { "[" });
        for (at, word) in table.header.iter().enumerate() {
            if at > 0 {
                text.push('.');
            }
            print_key(word, text);
        }
        text.push_str(if table.is_item { "]]\n" } else { "]\n" });
    }
    marks.push(Mark {
        range: start..start,
        part: table.part.clone(),
        says: table.says.clone(),
    });
    for entry in &table.entries {
        print_entry(entry, table, text, marks);
    }
    marks[at].range.end = text.len();
}

fn print_entry(entry: &Entry, table: &Table, text: &mut String, marks: &mut Vec<Mark>) {
    for line in &entry.comments {
        push_comment(line, text);
    }
    let mut line = String::new();
    print_key(&entry.key, &mut line);
    line.push_str(" = ");
    entry.value.print(&mut line);
    if let Some(fault) = &entry.fault {
        for part in fault.lines().chain(line.lines()) {
            push_comment(part, text);
        }
        return;
    }
    let start = text.len();
    text.push_str(&line);
    if let Some(remark) = &entry.remark {
        write!(text, "  # {}", comment(remark)).expect("a string takes all text");
    }
    text.push('\n');
    marks.push(Mark {
        range: start..text.len(),
        part: table.part.clone(),
        says: Some(entry.says.clone()),
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn knows_what_a_place_says() {
        let mut doc = Doc::default();
        let mut table = Table::new(["vms", "web"], Part::Guest(100));
        table.set("vmid", 100u32);
        table.set_as("memory", "8 GiB", "memory");
        doc.push(table);
        let mut table = Table::new(
            ["storage", "external", "a.b"],
            Part::Store("a.b".to_owned()),
        );
        table.set("kind", "dir").fault = Some("MOX0005: no".to_owned());
        table.set("use", Toml::texts(["iso"]));
        doc.push(table);
        let printed = print(&doc);
        assert_eq!(
            printed.text,
            "[vms.web]\nvmid = 100\nmemory = \"8 GiB\"\n\n[storage.external.\"a.b\"]\n# MOX0005: no\n# kind = \"dir\"\nuse = \
             [\"iso\"]\n"
        );
        let at = |word: &str| {
            let start = printed.text.find(word).expect("the word");
            printed.at(&(start..start + word.len()))
        };
        assert_eq!(at("8 GiB"), Some((&Part::Guest(100), Some("memory"))));
        assert_eq!(at("vms.web"), Some((&Part::Guest(100), None)));
        assert_eq!(
            at("\"iso\""),
            Some((&Part::Store("a.b".to_owned()), Some("use")))
        );
    }

    proptest! {
        #[test]
        fn every_string_comes_back(key in ".{0,12}", value in "(?s).{0,40}", note in "(?s).{0,20}") {
            let mut doc = Doc { preamble: vec![note.clone()], tables: Vec::new() };
            let mut table = Table::new(["a", key.as_str()], Part::Host);
            table.set("one", value.as_str());
            table.set("lines", Toml::Lines(value.clone())).remark = Some(note.clone());
            table.set("list", Toml::texts(vec![value.clone(); 4]));
            table.set("gone", value.as_str()).fault = Some(note);
            doc.push(table);
            let text = print(&doc).text;
            let read: toml::Table = toml::from_str(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            let table = read["a"][key.as_str()].as_table().expect("a table");
            prop_assert_eq!(table["one"].as_str(), Some(value.as_str()));
            prop_assert_eq!(table["lines"].as_str(), Some(value.as_str()));
            prop_assert_eq!(table["list"][3].as_str(), Some(value.as_str()));
            prop_assert!(!table.contains_key("gone"));
        }
    }
}
