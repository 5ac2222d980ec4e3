//! Values of any kind, as a spec writes them: what is not yet typed, and raw options, which outside programs define.

use crate::source::Spanned;

/// A value of the spec, and where it stands.
pub type Node = Spanned<Value>;

/// A value of the spec.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A string.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number with a point.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// The digits of a number that no output could hold: TOML's numbers have 64 bits.
    TooLarge(String),
    /// A date or a time: no key of a spec takes one.
    Datetime(String),
    /// A list.
    Array(Vec<Node>),
    /// A table.
    Table(TableNode),
}

impl Value {
    /// What a diagnostic calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a point",
            Self::Boolean(_) => "a boolean",
            Self::TooLarge(_) => "a number that is too large",
            Self::Datetime(_) => "a date or time",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// As JSON, for raw options that outside programs define.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::String(s) | Self::TooLarge(s) | Self::Datetime(s) => s.clone().into(),
            Self::Integer(n) => (*n).into(),
            Self::Float(n) => (*n).into(),
            Self::Boolean(b) => (*b).into(),
            Self::Array(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Self::Table(table) => table
                .entries
                .iter()
                .map(|(key, node)| (key.value.clone(), node.value.to_json()))
                .collect(),
        }
    }
}

/// A table, with its keys in the order written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TableNode {
    /// Keys and values.
    pub entries: Vec<(Spanned<String>, Node)>,
}

impl TableNode {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries
            .iter()
            .find(|(k, _)| k.value == key)
            .map(|(_, node)| node)
    }

    /// Puts `defaults` below this table: what is missing here comes from there, tables are merged key by key.
    pub fn merge_below(&mut self, defaults: &Self) {
        for (key, default) in &defaults.entries {
            match self.entries.iter_mut().find(|(k, _)| k.value == key.value) {
                None => self.entries.push((key.clone(), default.clone())),
                Some((_, node)) => {
                    if let (Value::Table(own), Value::Table(below)) =
                        (&mut node.value, &default.value)
                    {
                        own.merge_below(below);
                    }
                }
            }
        }
    }
}
