//! Tree → typed tables, every problem reported.
//!
//! A key is declared once, in a [`table!`](super::table::table): the struct's field, the reader and the JSON Schema come from
//! that one line. Nothing stops at the first error; what cannot be read is `None` and has been reported.

use std::net::IpAddr;

use super::document::Broken;
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::each::each;
use crate::near::{self, Near, certain, nearest};
use crate::source::{FileId, SourceMap, Span, Spanned};
use crate::value::{Choice, SpecString, ValueError, VlanTag, VmId};
use crate::value::{Node, Value};

/// What the readers share.
pub struct Reader<'a> {
    sources: &'a SourceMap,
    pub(super) sink: &'a mut Sink,
    /// The file that is read; a fleet's defaults stand in another.
    file: FileId,
    /// What is wrong there has been told.
    broken: &'a Broken,
}

impl<'a> Reader<'a> {
    /// A reader of `file` that reports into `sink`.
    pub fn new(
        sources: &'a SourceMap,
        sink: &'a mut Sink,
        file: FileId,
        broken: &'a Broken,
    ) -> Self {
        Self {
            sources,
            sink,
            file,
            broken,
        }
    }

    /// Reports a problem, unless it may only be a syntax error's shadow.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        if self.broken.is_empty() || !self.is_shadow(&diagnostic) {
            self.sink.push(diagnostic);
        }
    }

    /// Whether a syntax error may be the cause: the place is on a line that has one, or behind a bracket that is open, or
    /// nowhere; and after any, a missing key may only be misread.
    fn is_shadow(&self, diagnostic: &Diagnostic) -> bool {
        let span = diagnostic.span();
        if span.file() != self.file {
            return false;
        }
        let (first, last) = (self.sources.start(span).line, self.sources.end(span).line);
        diagnostic.code == Code::MOX0004
            || span.range() == (0..0)
            || self.broken.from.is_some_and(|from| last >= from)
            || self.broken.lines.range(first..=last).next().is_some()
    }

    /// Reports a string that is no value of its type, at the part that is wrong.
    pub fn report_value(&mut self, code: Code, span: Span, text: &str, error: ValueError) {
        let place = self.inside(span, text, &error);
        let mut diagnostic = Diagnostic::new(code, place, error.message).help_if(error.help);
        if let Some(meant) = error.meant.filter(|_| self.is_plain(span, text)) {
            let title = format!("write `{meant}`");
            diagnostic = diagnostic.replace(title, span, format!("\"{meant}\""));
        }
        self.report(diagnostic);
    }

    /// The place of a part of a string: only where the string is written as it reads, on one line without escapes.
    fn inside(&self, span: Span, text: &str, error: &ValueError) -> Span {
        let plain = self.is_plain(span, text);
        let bare = self.sources.text(span) == text;
        if error.range.is_empty() || error.range == (0..text.len()) {
            span
        } else if plain {
            span.slice(error.range.start + 1..error.range.end + 1)
        } else if bare {
            span.slice(error.range.clone())
        } else {
            span
        }
    }

    /// Whether a string stands at a place in quotes as it reads, on one line without escapes.
    fn is_plain(&self, span: Span, text: &str) -> bool {
        let source = self.sources.text(span);
        source.len() == text.len() + 2 && source[1..].starts_with(text)
    }

    /// Reports a value of the wrong type.
    pub fn wrong_type(&mut self, node: &Node, expected: &str) {
        let mut diagnostic = Diagnostic::new(
            Code::MOX0003,
            node.span,
            format!("expected {expected}, found {}", node.value.kind()),
        );
        let written = self.sources.text(node.span);
        diagnostic = match &node.value {
            // As TOML may have it, and no size: `1_024`, `0x400`, `1e3`, `-1`.
            Value::Integer(_) | Value::Float(_)
                if (expected.contains("size") || expected.contains("duration"))
                    && !written.bytes().all(|b| b.is_ascii_digit() || b == b'.') =>
            {
                diagnostic
            }
            Value::Integer(number) if expected.contains("size") => {
                // Proxmox VE counts memory in MiB, and nobody has 4096 GiB of it.
                let unit = if (256..1 << 24).contains(number) {
                    "MiB"
                } else {
                    "GiB"
                };
                diagnostic.help(format!("write its unit: `\"{written} {unit}\"`"))
            }
            Value::Float(_) if expected.contains("size") => {
                diagnostic.help(format!("write its unit: `\"{written} GiB\"`"))
            }
            Value::Integer(_) | Value::Float(_) if expected.contains("duration") => diagnostic
                .help(format!(
                    "write its unit: `\"{written}s\"`, `\"{written}min\"`"
                )),
            Value::Integer(_) | Value::Float(_) if expected.contains('`') => {
                diagnostic.help(format!("put it in quotes: `\"{written}\"`"))
            }
            Value::Array(_) if expected.contains("table") && written.starts_with("[[") => {
                let name = written.trim_start_matches('[').trim_end_matches(']');
                diagnostic.help(format!("write the header in single brackets: `[{name}]`"))
            }
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_) => diagnostic,
        };
        self.report(diagnostic);
    }
}

/// A value that the spec can hold.
pub trait FromNode: Sized {
    /// Whether it says yes or no.
    const IS_FLAG: bool = false;

    /// Reads it; `None` where it was reported.
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self>;
}

// ---------------------------------------------------------------- leaves

impl<T: SpecString> FromNode for T {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::String(text) = &node.value else {
            reader.wrong_type(node, T::WHAT);
            return None;
        };
        // NUL ends a string in most formats and in Nix: no output could carry it.
        if let Some(at) = text.find('\0') {
            let error =
                ValueError::at(at..at + 1, "the text holds a NUL character").help("remove it");
            reader.report_value(Code::MOX0015, node.span, text, error);
            return None;
        }
        if text.contains("PRIVATE KEY-----") {
            reader.report(secret(node.span, "the spec holds a private key"));
            return None;
        }
        T::parse(text)
            .map_err(|error| reader.report_value(T::CODE, node.span, text, error))
            .ok()
    }
}

/// Whether a key asks for a secret itself, not for the name or the file of one. The last part of a dotted name counts,
/// as in `users.users.me.password`.
pub(super) fn asks_for_secret(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    let plain: String = last
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    matches!(
        plain.as_str(),
        "password"
            | "passwd"
            | "passphrase"
            | "initialpassword"
            | "cipassword"
            | "rootpassword"
            | "token"
            | "apitoken"
            | "apikey"
            | "privatekey"
            | "productkey"
            | "encryptionkey"
    )
}

/// Reports a secret. Its text is not repeated.
pub(super) fn secret(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::MOX0022, span, message)
        .label("known to everyone who sees this file")
        .help("take it out and change it; a spec names secrets alone, as `secret = \"NAME\"`, and the host reads them from a file of root's")
}

/// What a word says where only yes and no are asked for.
fn yes_or_no(word: &str) -> Option<bool> {
    match word {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Whether somebody who writes this may mean yes or no: it is no name, no list and no table.
pub(super) fn may_be_flag(value: &Value) -> bool {
    match value {
        Value::Boolean(_) | Value::Integer(_) => true,
        Value::String(word) => yes_or_no(word).is_some(),
        Value::Float(_)
        | Value::TooLarge(_)
        | Value::Datetime(_)
        | Value::Array(_)
        | Value::Table(_) => false,
    }
}

impl FromNode for bool {
    const IS_FLAG: bool = true;

    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let said = match &node.value {
            Value::Boolean(value) => return Some(*value),
            Value::String(text) => yes_or_no(text),
            Value::Integer(_)
            | Value::Float(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_) => None,
        };
        match said {
            Some(meant) => reader.report(
                Diagnostic::new(
                    Code::MOX0003,
                    node.span,
                    "expected true or false, found a string",
                )
                .help(format!("write it without quotes: `{meant}`"))
                .replace(format!("write `{meant}`"), node.span, meant.to_string()),
            ),
            None => reader.wrong_type(node, "true or false"),
        }
        None
    }
}

/// What the bounds are of: no whole number as such has any.
fn bounded(what: &str) -> &str {
    if what == "a whole number" {
        "the number here"
    } else {
        what
    }
}

/// Reads a whole number within bounds.
fn integer(node: &Node, reader: &mut Reader<'_>, what: &str, least: i64, most: i64) -> Option<i64> {
    match &node.value {
        Value::Integer(number) if (least..=most).contains(number) => Some(*number),
        Value::Integer(number) => {
            reader.report(
                Diagnostic::new(
                    Code::MOX0013,
                    node.span,
                    format!("{number} is out of range"),
                )
                .help(format!("{} is from {least} to {most}", bounded(what))),
            );
            None
        }
        Value::TooLarge(_) => {
            reader.report(
                Diagnostic::new(Code::MOX0013, node.span, "the number is too large")
                    .help(format!("{} is from {least} to {most}", bounded(what))),
            );
            None
        }
        Value::String(text) if text.parse::<i64>().is_ok() => {
            let number = text.clone();
            reader.report(
                Diagnostic::new(
                    Code::MOX0003,
                    node.span,
                    format!("expected {what}, found a string"),
                )
                .help(format!("write it without quotes: `{number}`"))
                .replace("remove the quotes", node.span, number),
            );
            None
        }
        Value::String(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_)
        | Value::Table(_) => {
            reader.wrong_type(node, what);
            None
        }
    }
}

/// A whole number with bounds that the type carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Int<const LEAST: i64, const MOST: i64>(pub i64);

impl<const LEAST: i64, const MOST: i64> Int<LEAST, MOST> {
    /// As an unsigned number; the bounds of every use are within it.
    pub fn get(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

impl<const LEAST: i64, const MOST: i64> FromNode for Int<LEAST, MOST> {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        integer(node, reader, "a whole number", LEAST, MOST).map(Self)
    }
}

impl<const LEAST: i64, const MOST: i64> schemars::JsonSchema for Int<LEAST, MOST> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Int{LEAST}To{MOST}").into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": LEAST, "maximum": MOST })
    }
}

impl FromNode for VlanTag {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        integer(node, reader, "a VLAN tag", 1, 4094).and_then(Self::new)
    }
}

impl schemars::JsonSchema for VlanTag {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "VlanTag".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": 4094 })
    }
}

impl FromNode for VmId {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::TooLarge(text) = &node.value {
            let message = format!("VMID {text} is out of range");
            let diagnostic = Diagnostic::new(Code::MOX0102, node.span, message);
            let (least, most) = (Self::MIN, Self::MAX);
            reader.report(diagnostic.help(format!("a VMID is from {least} to {most}")));
            return None;
        }
        let number = integer(node, reader, "a VMID", i64::MIN, i64::MAX)?;
        let vmid = Self::new(number);
        if vmid.is_none() {
            let (message, help) = if (0..100).contains(&number) {
                (
                    format!("VMID {number} is reserved"),
                    "Proxmox VE keeps those below 100: use 100 or more".to_owned(),
                )
            } else {
                (
                    format!("VMID {number} is out of range"),
                    format!("a VMID is from {} to {}", Self::MIN, Self::MAX),
                )
            };
            reader.report(Diagnostic::new(Code::MOX0102, node.span, message).help(help));
        }
        vmid
    }
}

impl schemars::JsonSchema for VmId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "VmId".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": Self::MIN, "maximum": Self::MAX })
    }
}

/// A finite number above or equal to 0.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Amount(pub f64);

impl FromNode for Amount {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let number = match &node.value {
            // A rate or a limit is far below 2⁵³, where a float stops being exact.
            Value::Integer(number) => i32::try_from(*number).map_or(f64::NAN, f64::from),
            Value::Float(number) => *number,
            Value::String(_)
            | Value::Boolean(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_) => {
                reader.wrong_type(node, "a number");
                return None;
            }
        };
        if number.is_finite() && (0.0..=1e9).contains(&number) {
            return Some(Self(number));
        }
        reader.report(
            Diagnostic::new(Code::MOX0013, node.span, "the number is out of range")
                .help("it is from 0 to 1,000,000,000"),
        );
        None
    }
}

impl schemars::JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "minimum": 0 })
    }
}

fn synonym(word: &str, choices: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    const SYNONYMS: [(&str, &str); 31] = [
        ("single", "stripe"),
        ("jbod", "stripe"),
        ("striped", "stripe"),
        ("raid-0", "stripe"),
        ("raid-1", "mirror"),
        ("raid-10", "raid10"),
        ("bond", "active-backup"),
        ("failover", "active-backup"),
        ("openvswitch", "ovs"),
        ("raid0", "stripe"),
        ("raid1", "mirror"),
        ("raid5", "raidz1"),
        ("raidz", "raidz1"),
        ("raid6", "raidz2"),
        ("lacp", "802.3ad"),
        ("uefi", "ovmf"),
        ("efi", "ovmf"),
        ("bios", "seabios"),
        ("debian", "proxmox"),
        ("debian", "linux"),
        ("ubuntu", "linux"),
        ("windows", "windows11"),
        ("vga", "gpu"),
        ("graphics", "gpu"),
        ("network", "nic"),
        ("images", "vm-disks"),
        ("rootdir", "containers"),
        ("vztmpl", "templates"),
        ("backup", "vzdump-backup"),
        ("update", "proxmox-update"),
        ("smb", "cifs"),
    ];
    let word = word.to_ascii_lowercase();
    let choices: Vec<&'static str> = choices.collect();
    SYNONYMS
        .iter()
        .find(|(other, choice)| *other == word && choices.contains(choice))
        .map(|(_, choice)| *choice)
}

/// One of a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneOf<T>(pub T);

impl<T: Choice> FromNode for OneOf<T> {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::String(word) = &node.value else {
            reader.wrong_type(node, T::WHAT);
            return None;
        };
        let choice = T::of(word);
        if choice.is_none() {
            let words = || T::ALL.iter().map(|(_, word)| *word);
            let near = synonym(word, words()).or_else(|| nearest(word, words()));
            let mut diagnostic = Diagnostic::new(
                Code::MOX0005,
                node.span,
                format!("`{}` is not {}", word.escape_debug(), T::WHAT),
            );
            let all = words()
                .map(|w| format!("`{w}`"))
                .collect::<Vec<_>>()
                .join(", ");
            diagnostic = match near {
                Some(near) => diagnostic
                    .help(format!("did you mean `{near}`?"))
                    .note(format!("the choices are {all}")),
                None => diagnostic.help(format!("the choices are {all}")),
            };
            if let Some(sure) = certain(word, words()) {
                diagnostic =
                    diagnostic.replace(format!("write `{sure}`"), node.span, format!("\"{sure}\""));
            }
            reader.report(diagnostic);
        }
        choice.map(Self)
    }
}

impl<T: Choice + schemars::JsonSchema> schemars::JsonSchema for OneOf<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

// ---------------------------------------------------------------- lists and keyed tables

/// Whether a value would be one of a list.
fn is_item<T: FromNode>(node: &Node, reader: &Reader<'_>) -> bool {
    let mut sink = Sink::new();
    let mut trial = Reader {
        sources: reader.sources,
        sink: &mut sink,
        file: reader.file,
        broken: reader.broken,
    };
    T::from_node(node, &mut trial).is_some() && !sink.has_errors()
}

/// The names that a table of switches turns on, as a list: what other tools write for `features`.
fn switched_on(value: &Value) -> Option<String> {
    let Value::Table(table) = value else {
        return None;
    };
    let mut names = Vec::new();
    for (key, node) in &table.entries {
        match node.value {
            Value::Boolean(true) => names.push(format!("{:?}", key.value)),
            Value::Boolean(false) => {}
            _ => return None,
        }
    }
    (!names.is_empty()).then(|| format!("[{}]", names.join(", ")))
}

/// The items of a list to which somebody has given names.
enum NamedItems {
    /// The list without them, where all stand on one line.
    Inline(String),
    /// What stands in the header of each without its name.
    Header(String),
}

/// The members of a table that stands for a list, where each would be one of it.
fn named_items<T: FromNode>(node: &Node, reader: &Reader<'_>) -> Option<NamedItems> {
    let Value::Table(table) = &node.value else {
        return None;
    };
    let is_named =
        |(_, item): &(_, Node)| matches!(item.value, Value::Table(_)) && is_item::<T>(item, reader);
    let (name, first) = table.entries.first()?;
    if !table.entries.iter().all(is_named) {
        return None;
    }
    if reader.sources.text(node.span).starts_with('{') {
        let items = table.entries.iter();
        let items: Vec<&str> = items
            .map(|(_, item)| reader.sources.text(item.span))
            .collect();
        let are_whole = items.iter().all(|item| item.starts_with('{'));
        return are_whole.then(|| NamedItems::Inline(format!("[{}]", items.join(", "))));
    }
    let header = reader.sources.text(first.span).strip_prefix('[')?;
    let above = header
        .strip_suffix(']')?
        .strip_suffix(name.value.as_str())?;
    Some(NamedItems::Header(above.strip_suffix('.')?.to_owned()))
}

/// A list; each element knows its place.
pub type List<T> = Vec<Spanned<T>>;

impl<T: FromNode> FromNode for Vec<Spanned<T>> {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Array(items) = &node.value else {
            let written = reader.sources.text(node.span);
            let mut diagnostic = Diagnostic::new(
                Code::MOX0003,
                node.span,
                format!("expected a list, found {}", node.value.kind()),
            );
            if matches!(node.value, Value::Table(_)) && written.starts_with('[') {
                diagnostic = diagnostic
                    .help(format!(
                        "write the header in double brackets: `[{written}]`"
                    ))
                    .replace("write double brackets", node.span, format!("[{written}]"));
            } else if let Some(names) =
                switched_on(&node.value).filter(|_| !is_item::<T>(node, reader))
            {
                diagnostic = diagnostic
                    .help(format!("write the names alone: `{names}`"))
                    .replace("write the names alone", node.span, names);
            } else if let Some(items) = named_items::<T>(node, reader) {
                diagnostic = match items {
                    NamedItems::Inline(list) => diagnostic
                        .help(format!("a list has no names: write `{list}`"))
                        .replace("leave the names out", node.span, list),
                    NamedItems::Header(header) => diagnostic.help(format!(
                        "a list has no names: write `[[{header}]]` above each of them"
                    )),
                };
            } else if matches!(node.value, Value::String(_) | Value::Table(_))
                && written.starts_with(['"', '\'', '{'])
                && !written.contains('\n')
            {
                diagnostic = diagnostic
                    .help(format!("put it in brackets: `[{written}]`"))
                    .replace("put it in brackets", node.span, format!("[{written}]"));
            }
            reader.report(diagnostic);
            return None;
        };
        Some(
            items
                .iter()
                .filter_map(|item| {
                    T::from_node(item, reader).map(|value| Spanned::new(value, item.span))
                })
                .collect(),
        )
    }
}

/// One value, or a list of them.
#[derive(Debug, Clone)]
pub struct OneOrMany<T>(pub List<T>);

impl<T: FromNode> FromNode for OneOrMany<T> {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Array(items) if items.is_empty() => {
                reader.report(
                    Diagnostic::new(Code::MOX0021, node.span, "the list is empty")
                        .help("name at least one"),
                );
                None
            }
            Value::Array(_) => List::from_node(node, reader).map(Self),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Table(_) => {
                T::from_node(node, reader).map(|value| Self(vec![Spanned::new(value, node.span)]))
            }
        }
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({ "anyOf": [one.clone(), { "type": "array", "items": one }] })
    }
}

/// One of two shapes: a short one and a long one.
#[derive(Debug, Clone)]
pub enum ShortOrLong<S, L> {
    /// The short form.
    Short(S),
    /// The table.
    Long(L),
}

impl<S: FromNode, L: FromNode> FromNode for ShortOrLong<S, L> {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Table(_) => L::from_node(node, reader).map(Self::Long),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Array(_) => S::from_node(node, reader).map(Self::Short),
        }
    }
}

impl<S: schemars::JsonSchema, L: schemars::JsonSchema> schemars::JsonSchema for ShortOrLong<S, L> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{}_or_{}", S::schema_name(), L::schema_name()).into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (short, long) = (
            generator.subschema_for::<S>(),
            generator.subschema_for::<L>(),
        );
        schemars::json_schema!({ "anyOf": [short, long] })
    }
}

/// A table of rows by name: `[vms.web]`.
#[derive(Debug, Clone)]
pub struct Named<K, T> {
    /// The rows in the order written. A row whose name or body was reported is kept, so that references to it are not
    /// reported too.
    pub rows: Vec<Row<K, T>>,
}

/// One row of a [`Named`].
#[derive(Debug, Clone)]
pub struct Row<K, T> {
    /// The name as written.
    pub key: Spanned<String>,
    /// The name, where it is one.
    pub name: Option<K>,
    /// Apart, as a guest's is some kilobytes and rows are moved.
    body: Option<Box<T>>,
    /// The row's header or its value.
    pub span: Span,
}

impl<K, T> Row<K, T> {
    /// The body, where it is a table.
    pub fn body(&self) -> Option<&T> {
        self.body.as_deref()
    }
}

/// What a table of rows is called.
const NAMED: &str = "a table with a row for each name";

/// Whether a table is itself what its rows should be.
fn is_nameless<T: FromNode>(node: &Node, reader: &Reader<'_>) -> bool {
    let Value::Table(table) = &node.value else {
        return false;
    };
    let is_plain = |(_, value): &(_, Node)| !matches!(value.value, Value::Table(_));
    table.entries.iter().any(is_plain) && is_item::<T>(node, reader)
}

/// Reports rows without names: a list of them, or one alone.
fn nameless(node: &Node, reader: &mut Reader<'_>) {
    let (found, first) = match &node.value {
        Value::Array(items) => ("a list", items.first().unwrap_or(node)),
        _ => ("a row without its name", node),
    };
    let written = reader.sources.text(first.span);
    let header = written.trim_start_matches('[').trim_end_matches(']');
    let diagnostic = Diagnostic::new(
        Code::MOX0003,
        node.span,
        format!("expected {NAMED}, found {found}"),
    );
    reader.report(match written.as_bytes() {
        [b'{', ..] if !written.contains('\n') => {
            diagnostic.help(format!("each row has a name: `{{ NAME = {written} }}`"))
        }
        [b'[', .., b']'] if !header.is_empty() && !header.contains(['\n', '{', '"']) => {
            diagnostic.help(format!("each row has a name: `[{header}.NAME]`"))
        }
        _ => diagnostic,
    });
}

impl<K: SpecString + Send, T: FromNode + Send> FromNode for Named<K, T> {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let table = match &node.value {
            Value::Table(table) if !is_nameless::<T>(node, reader) => table,
            Value::Table(_) | Value::Array(_) => {
                nameless(node, reader);
                return None;
            }
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::TooLarge(_)
            | Value::Datetime(_) => {
                reader.wrong_type(node, NAMED);
                return None;
            }
        };
        let (sources, file, broken) = (reader.sources, reader.file, reader.broken);
        let rows = each(&table.entries, reader.sink, |(key, node), sink| {
            let reader = &mut Reader::new(sources, sink, file, broken);
            let name = K::parse(&key.value)
                .map_err(|error| reader.report_value(K::CODE, key.span, &key.value, error))
                .ok();
            Row {
                key: key.clone(),
                name,
                body: T::from_node(node, reader).map(Box::new),
                span: node.span,
            }
        });
        Some(Self { rows })
    }
}

impl<K: SpecString, T: schemars::JsonSchema> schemars::JsonSchema for Named<K, T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Named_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let row = generator.subschema_for::<T>();
        let mut schema = schemars::json_schema!({ "type": "object", "additionalProperties": row });
        if let Some(pattern) = K::pattern() {
            schema.insert(
                "propertyNames".into(),
                serde_json::json!({ "pattern": pattern }),
            );
        }
        schema
    }
}

/// A name of something else in the spec, resolved later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference(pub String);

impl SpecString for Reference {
    const CODE: Code = Code::MOX0106;
    const WHAT: &'static str = "a name, as `\"vmbr0\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        Ok(Self(text.to_owned()))
    }
}
crate::value::spec_string!(Reference, "Reference");

/// Raw options of an outside program: names with strings, numbers and booleans.
#[derive(Debug, Clone, Default)]
pub struct Raw(pub Vec<(Spanned<String>, Node)>);

impl FromNode for Raw {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            reader.wrong_type(node, "a table of raw options");
            return None;
        };
        for (key, value) in &table.entries {
            if asks_for_secret(&key.value) && matches!(value.value, Value::String(_)) {
                let message = format!("`{}` stands in the spec", key.value.escape_debug());
                reader.report(secret(key.span, message));
            }
        }
        Some(Self(table.entries.clone()))
    }
}

impl schemars::JsonSchema for Raw {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Raw".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "object" })
    }
}

/// A gateway as written: an address, or the name of a machine or a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayName {
    /// An address.
    Address(IpAddr),
    /// A machine of `[network.machines]`, or a guest.
    Name(String),
}

impl GatewayName {
    /// Whether it is an IPv6 address; a name is of either family.
    pub fn is_v6(&self) -> bool {
        match self {
            Self::Address(address) => address.is_ipv6(),
            Self::Name(_) => false,
        }
    }
}

impl SpecString for GatewayName {
    const CODE: Code = Code::MOX0009;
    const WHAT: &'static str =
        "an address, a machine or a guest, as `\"192.168.1.1\"` or `\"router\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        // What looks like an address is one, so that `192.168.1.300` is not looked up as a name.
        if text.contains([':', '/'])
            || (text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
        {
            return crate::value::IpAddress::parse(text).map(|address| Self::Address(address.0));
        }
        Ok(Self::Name(text.to_owned()))
    }
}
crate::value::spec_string!(GatewayName, "Gateway");

/// Reports a name that nothing in the spec has.
pub fn unknown_reference(span: Span, what: &str, name: &str, known: &[&Near<'_>]) -> Diagnostic {
    let mut diagnostic = Diagnostic::new(
        Code::MOX0106,
        span,
        format!("no {what} `{}`", name.escape_debug()),
    )
    .label("not declared")
    .help_if(near::did_you_mean_among(known, name, what));
    if let Some(sure) = near::certain_among(known, name) {
        // Inside an option of Proxmox VE the name stands without quotes of its own.
        let written = if span.range().len() == name.len() {
            sure.to_owned()
        } else {
            format!("\"{sure}\"")
        };
        diagnostic = diagnostic.replace(format!("write `{sure}`"), span, written);
    }
    diagnostic
}
