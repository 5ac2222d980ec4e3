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
    /// A date or a time: no key of a spec takes one. Or the digits of a number that is too large to be one.
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
            Self::Datetime(_) if self.too_large().is_some() => "a number that is too large",
            Self::Datetime(_) => "a date or time",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// The digits of a number that no output could hold: TOML's numbers have 64 bits.
    pub fn too_large(&self) -> Option<&str> {
        let Self::Datetime(text) = self else {
            return None;
        };
        let digits = text.trim_start_matches(['-', '+']);
        // No date begins like one of these.
        let (digits, radix) = match digits.get(..2) {
            Some("0x") => (&digits[2..], 16),
            Some("0o") => (&digits[2..], 8),
            Some("0b") => (&digits[2..], 2),
            Some(_) | None => (digits, 10),
        };
        let number = digits.chars().all(|c| c.is_digit(radix) || c == '_');
        (number && !digits.is_empty()).then_some(text)
    }

    /// As JSON, for raw options that outside programs define.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::String(s) | Self::Datetime(s) => s.clone().into(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_too_large_is_no_date() {
        for text in [
            "99999999999999999999",
            "-9_9",
            "0xffff_ffff",
            "0o7777",
            "0b1111",
        ] {
            let value = Value::Datetime(text.to_owned());
            assert_eq!(value.too_large(), Some(text));
            assert_eq!(value.kind(), "a number that is too large");
        }
        for text in ["2026-11-27", "07:32:00", "0x", ""] {
            assert_eq!(Value::Datetime(text.to_owned()).too_large(), None, "{text}");
        }
    }
}
