//! One table of the spec: its keys, those of Proxmox VE's schema beside them, and what is none.

use std::collections::HashSet;
use std::ops::Range;

use super::reader::{FromNode, Reader, asks_for_secret, may_be_flag, secret};
use super::schema_keys::{self, Beside, JsonKeys, SchemaKeys, SchemaTable};
use crate::diagnostics::{Code, Diagnostic};
use crate::near::{certain, nearest};
use crate::source::{Span, Spanned};
use crate::value::{Node, TableNode, Value};

/// A table of the spec.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    /// Its type.
    pub(crate) name: &'static str,
    /// Its keys, with whether each must be there.
    pub(crate) keys: &'static [(&'static str, bool)],
    /// The options of Proxmox VE that are keys of it.
    pub(crate) options: Option<fn() -> JsonKeys>,
}

/// Reads one table: asks for its keys, then reports those that nobody asked for.
pub struct TableReader<'n> {
    table: &'n TableNode,
    header: Span,
    asked: Vec<&'static str>,
    /// Those of them that say yes or no.
    flags: Vec<&'static str>,
    missing: Vec<&'static str>,
    misread: Vec<&'static str>,
    /// What was read by Proxmox VE's own names.
    beside: Beside,
    /// What was found while a key was read, as counts of the sink's problems.
    found: Vec<(&'static str, Range<usize>)>,
}

impl<'n> TableReader<'n> {
    /// Reads `table`, whose missing keys are reported at `header`.
    pub fn new(table: &'n TableNode, header: Span) -> Self {
        Self {
            table,
            header,
            asked: Vec::new(),
            flags: Vec::new(),
            missing: Vec::new(),
            misread: Vec::new(),
            beside: Beside::default(),
            found: Vec::new(),
        }
    }

    /// The keys that nobody asked for so far and that are options of Proxmox VE.
    pub fn schema<T: SchemaTable>(&mut self, reader: &mut Reader<'_>) -> SchemaKeys<T> {
        let (keys, beside) = schema_keys::read(self.table, &self.asked, reader);
        self.beside = beside;
        keys
    }

    /// A key that may be left out.
    pub fn optional<T: FromNode>(
        &mut self,
        key: &'static str,
        reader: &mut Reader<'_>,
    ) -> Option<Spanned<T>> {
        self.asked.push(key);
        if T::IS_FLAG {
            self.flags.push(key);
        }
        let node = self.table.get(key)?;
        let before = reader.sink.len();
        let read = T::from_node(node, reader).map(|value| Spanned::new(value, node.span));
        // A list or a table of which a part was reported is not what the spec says, either.
        if read.is_none() || reader.sink.len() > before {
            self.misread.push(key);
            self.found.push((key, before..reader.sink.len()));
        }
        read
    }

    /// A key that must be there.
    pub fn required<T: FromNode>(
        &mut self,
        key: &'static str,
        reader: &mut Reader<'_>,
    ) -> Option<Spanned<T>> {
        if self.table.get(key).is_none() && !self.says_raw(key) {
            self.missing.push(key);
        }
        self.optional(key, reader)
    }

    /// Whether `extra` says what a key says, under the same name.
    fn says_raw(&self, key: &str) -> bool {
        match self.table.get("extra").map(|extra| &extra.value) {
            Some(Value::Table(extra)) => extra.get(key).is_some(),
            Some(
                Value::String(_)
                | Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::TooLarge(_)
                | Value::Datetime(_)
                | Value::Array(_),
            )
            | None => false,
        }
    }

    /// Reports unknown and missing keys. An unknown key that is nearly a missing one explains it: told once. Gives the keys that
    /// are there and could not be read, those under such a name among them.
    pub fn finish(mut self, reader: &mut Reader<'_>) -> Vec<&'static str> {
        let written: HashSet<&str> = self
            .table
            .entries
            .iter()
            .map(|(key, _)| key.value.as_str())
            .collect();
        let free: Vec<&'static str> = self
            .asked
            .iter()
            .copied()
            .filter(|known| !written.contains(known))
            .collect();
        let mut explained: Vec<Range<usize>> = Vec::new();
        let mut unknown = Vec::new();
        let table = self.table;
        for (key, node) in &table.entries {
            if self.asked.contains(&key.value.as_str()) || self.beside.taken.contains(&key.span) {
                continue;
            }
            if asks_for_secret(&key.value) {
                let message = format!("`{}` stands in the spec", key.value.escape_debug());
                reader.report(secret(key.span, message));
                continue;
            }
            unknown.push(self.unknown(key, node, &free, &mut explained));
        }
        explained.sort_by_key(|found| std::cmp::Reverse(found.start));
        for found in explained {
            reader.sink.withdraw(found, Code::MOX0004);
        }
        for diagnostic in unknown {
            reader.report(diagnostic);
        }
        for key in &self.missing {
            reader.report(self.missing(key));
        }
        self.misread
    }

    /// What is told of a key that nobody asked for. What stands under the name that is meant is missing nowhere, and is not found
    /// wanting: it goes to `explained`.
    fn unknown(
        &mut self,
        key: &Spanned<String>,
        node: &Node,
        free: &[&'static str],
        explained: &mut Vec<Range<usize>>,
    ) -> Diagnostic {
        let diagnostic = Diagnostic::new(
            Code::MOX0002,
            key.span,
            format!("unknown key `{}`", key.value.escape_debug()),
        );
        if let Some(how) = self.beside.said.get(&key.span) {
            return diagnostic.help(format!("Proxmox VE's word: here it is given by {how}"));
        }
        // A name, a list or a table under a key that says yes or no is another key misspelled.
        let may_be_flag = may_be_flag(&node.value);
        let is_meant = |known: &&str| may_be_flag || !self.flags.contains(known);
        let near = other_word(&key.value, &self.asked)
            .or_else(|| nearest(&key.value, free.iter().copied().filter(is_meant)))
            .or_else(|| nearest(&key.value, self.asked.iter().copied().filter(is_meant)));
        let Some(near) = near else {
            return self.unlike_any(key, diagnostic);
        };
        // What stands under the one name is missing under the other.
        let found = self.found.iter().filter(|(key, _)| *key == near);
        explained.extend(found.map(|(_, found)| found.clone()));
        let diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        self.missing.retain(|missing| *missing != near);
        if !free.contains(&near) {
            return diagnostic;
        }
        self.misread.push(near);
        if certain(&key.value, self.asked.iter().copied()) == Some(near) {
            diagnostic.replace(format!("write `{near}`"), key.span, near)
        } else {
            diagnostic
        }
    }

    /// A key that is like none of the table's own: one of Proxmox VE's, or whatever.
    fn unlike_any(&self, key: &Spanned<String>, diagnostic: Diagnostic) -> Diagnostic {
        let names = self.beside.names.get_or_init(self.beside.all_names);
        let names = || names.iter().map(String::as_str);
        if let Some(near) = nearest(&key.value, names()) {
            let diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            return if certain(&key.value, names()) == Some(near) {
                diagnostic.replace(format!("write `{near}`"), key.span, near)
            } else {
                diagnostic
            };
        }
        let mut known = self.asked.clone();
        known.sort_unstable();
        let own = known.join(", ");
        diagnostic.help(match (names().next().is_none(), known.is_empty()) {
            (true, _) => format!("known here: {own}"),
            (false, true) => "known here: the options of Proxmox VE, in kebab-case".to_owned(),
            (false, false) => {
                format!("known here: {own}; and the options of Proxmox VE, in kebab-case")
            }
        })
    }

    /// What is told of a key that must be there.
    fn missing(&self, key: &str) -> Diagnostic {
        let told = |what: String| Diagnostic::new(Code::MOX0004, self.header, what);
        // The file itself has no header to point at.
        if self.header.range().is_empty() {
            told(format!("the table `[{key}]` is missing"))
                .help("`moxc init` writes a spec to start from")
        } else {
            told(format!("the key `{key}` is missing")).label("in this table")
        }
    }
}

/// Declares a table of the spec: the struct, its reader and its JSON Schema from one line a key.
///
/// `"key" field: req Type;` must be there, `opt` may be left out. Every field is an `Option`: a required one is `None`
/// where its absence or its fault has been reported. A last line `..Options` takes in the options of Proxmox VE that
/// [`Options`](super::schema_keys::SchemaTable) names, as the field `schema`.
macro_rules! table {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $key:literal $field:ident: $need:ident $type:ty;)* $(..$options:ident)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub struct $name {
            /// Where the table stands: its header, or the whole inline table.
            #[schemars(skip)]
            pub span: $crate::source::Span,
            /// Keys that are there but could not be read, which has been reported: they are not missing.
            #[schemars(skip)]
            pub misread: Vec<&'static str>,
            /// Whether anything was reported of it, or of what lies in it: what it lacks may be there, and only not understood.
            #[schemars(skip)]
            pub faulty: bool,
            $(
                $(#[$fdoc])*
                #[schemars(rename = $key)]
                pub $field: Option<$crate::source::Spanned<$type>>,
            )*
            $(
                /// Options that are said by Proxmox VE's own names.
                #[schemars(skip)]
                pub schema: $crate::spec::schema_keys::SchemaKeys<$options>,
            )?
        }

        impl $name {
            /// Every key of the table, and whether it must be there.
            pub const KEYS: &'static [(&'static str, bool)] = &[$(($key, $crate::spec::table::table!(@required $need))),*];

            /// Reads the table that stands at `span`.
            pub(super) fn from_table(
                table: &$crate::value::TableNode,
                span: $crate::source::Span,
                reader: &mut $crate::spec::reader::Reader<'_>,
            ) -> Self {
                let told = reader.sink.len();
                let mut keys = $crate::spec::table::TableReader::new(table, span);
                let mut read = Self {
                    span,
                    misread: Vec::new(),
                    faulty: false,
                    $($field: $crate::spec::table::table!(@read $need keys, $key, reader),)*
                    $(schema: keys.schema::<$options>(reader),)?
                };
                read.misread = keys.finish(reader);
                read.faulty = reader.sink.has_errors_since(told);
                read
            }
        }

        impl $crate::spec::reader::FromNode for $name {
            fn from_node(node: &$crate::value::Node, reader: &mut $crate::spec::reader::Reader<'_>) -> Option<Self> {
                let $crate::value::Value::Table(table) = &node.value else {
                    reader.wrong_type(node, "a table");
                    return None;
                };
                Some(Self::from_table(table, node.span, reader))
            }
        }
    )*

        /// The tables of this module, with their keys: for the JSON Schema.
        pub(super) const TABLES: &[$crate::spec::table::Table] = &[$($crate::spec::table::Table {
            name: stringify!($name),
            keys: $name::KEYS,
            options: $crate::spec::table::table!(@options $($options)?),
        }),*];
    };
    (@options) => { None };
    (@options $options:ident) => { Some($crate::spec::schema_keys::json_keys::<$options>) };
    (@required req) => { true };
    (@required opt) => { false };
    (@read req $keys:ident, $key:literal, $reader:ident) => { $keys.required($key, $reader) };
    (@read opt $keys:ident, $key:literal, $reader:ident) => { $keys.optional($key, $reader) };
}
pub(crate) use table;

/// A key by the name that others have for it: Proxmox VE, terraform, or the shops.
fn other_word(key: &str, known: &[&'static str]) -> Option<&'static str> {
    const WORDS: [(&str, &str); 41] = [
        ("ram", "memory"),
        ("mem", "memory"),
        ("cpus", "cpu"),
        ("vcpus", "cpu"),
        ("processors", "cpu"),
        ("cores", "cpu"),
        ("sockets", "cpu"),
        ("disk", "disks"),
        ("hdd", "disks"),
        ("drives", "disks"),
        ("nic", "network"),
        ("nics", "network"),
        ("net", "network"),
        ("net0", "network"),
        ("networks", "network"),
        ("interfaces", "network"),
        ("cdrom", "iso"),
        ("image", "iso"),
        ("onboot", "autostart"),
        ("start", "autostart"),
        ("startup", "autostart"),
        ("ostype", "os"),
        ("id", "vmid"),
        ("bios", "firmware"),
        ("uefi", "firmware"),
        ("vga", "display"),
        ("hostpci", "passthrough"),
        ("pci", "passthrough"),
        ("hostname", "name"),
        ("ip", "address"),
        ("cidr", "address"),
        ("ipv6", "address6"),
        ("gw", "gateway"),
        ("hwaddr", "mac"),
        ("macaddr", "mac"),
        ("tag", "vlan"),
        ("vlan-id", "vlan"),
        ("dns", "nameservers"),
        ("slaves", "ports"),
        ("schedule", "on"),
        ("share", "dataset"),
    ];
    let key = key.to_ascii_lowercase();
    WORDS
        .iter()
        .find(|(other, word)| *other == key && known.contains(word))
        .map(|(_, word)| *word)
}
