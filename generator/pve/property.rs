//! Property strings: `local-zfs:vm-100-disk-0,discard=on,size=120G`.
//!
//! Parts are separated by commas; one may come without a name and then belongs to the option's
//! default sub-option. There is no quoting, so [`PropertyString`] refuses what would be read back
//! as something else.

use std::fmt;
use std::ops::Range;

use super::refusal::check_line_value;
use super::schema::SubOptions;
use super::{CannotCarry, DiskSize, Refusal};

/// The value of an option that has sub-options.
///
/// `to_string` prints the parts in the order in which they were added (the nameless one first), as
/// Proxmox keeps `net`, `hostpci`, `cpu`, `agent` of a VM. Options that Proxmox parses and prints
/// anew are printed by [`canonical`](Self::canonical); [`GuestConfig`](super::GuestConfig) and
/// [`SectionConfig`](super::SectionConfig) know which those are.
///
/// ```
/// use moxc::pve::{CannotCarry, PropertyString};
/// # fn main() -> Result<(), CannotCarry> {
/// let net = PropertyString::new()
///     .with("virtio", "BC:24:11:2C:00:01")?
///     .with("bridge", "vmbr0")?
///     .with_flag("firewall", true)?;
/// assert_eq!(net.to_string(), "virtio=BC:24:11:2C:00:01,bridge=vmbr0,firewall=1");
/// assert!(PropertyString::with_default("a,b").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertyString {
    default: Option<String>,
    named: Vec<(String, String)>,
}

impl PropertyString {
    /// No parts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts with the part that has no name: a drive's volume, a machine's type.
    pub fn with_default(value: impl fmt::Display) -> Result<Self, CannotCarry> {
        let value = value.to_string();
        check_part(&value)?;
        if value.contains('=') {
            return Err(CannotCarry::new(value, Refusal::EqualsSign));
        }
        Ok(Self {
            default: Some(value),
            named: Vec::new(),
        })
    }

    /// Adds `key=value`.
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Result<Self, CannotCarry> {
        let value = value.to_string();
        check_part(&value)?;
        check_key(key)?;
        if self.get(key).is_some() {
            return Err(CannotCarry::new(key, Refusal::Twice));
        }
        self.named.push((key.to_owned(), value));
        Ok(self)
    }

    /// Adds `key=value` if there is a value.
    pub fn with_some(
        self,
        key: &str,
        value: Option<impl fmt::Display>,
    ) -> Result<Self, CannotCarry> {
        match value {
            Some(value) => self.with(key, value),
            None => Ok(self),
        }
    }

    /// Adds `key=1` or `key=0`.
    pub fn with_flag(self, key: &str, on: bool) -> Result<Self, CannotCarry> {
        self.with(key, u8::from(on))
    }

    /// The part without a name.
    pub fn default_value(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// The value of the part named `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    /// The named parts in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.named
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there are no parts at all.
    pub fn is_empty(&self) -> bool {
        self.default.is_none() && self.named.is_empty()
    }

    /// Reads a property string. Only its shape is judged: what the names mean is the schema's.
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let mut parsed = Self::new();
        for part in parts(text) {
            let PropertyPart { key, value, range } = part?;
            let twice = |name: &str| PropertyError {
                range: range.clone(),
                message: format!("`{name}` is given twice"),
            };
            match key {
                Some(key) if parsed.get(key).is_some() => return Err(twice(key)),
                Some(key) => parsed.named.push((key.to_owned(), value.to_owned())),
                None if parsed.default.is_some() => return Err(twice("the part without a name")),
                None => parsed.default = Some(value.to_owned()),
            }
        }
        Ok(parsed)
    }

    /// Prints the parts as Proxmox does after having parsed them: the default sub-option first and
    /// without its name, then the required ones sorted, then the others sorted; sizes in the
    /// largest unit that divides them (`PVE::JSONSchema::print_property_string`).
    pub fn canonical(&self, keys: SubOptions) -> String {
        let default_key = keys.default_key();
        let mut default = self.default.clone();
        let mut named: Vec<(&str, bool, String)> = Vec::with_capacity(self.named.len());
        for (key, value) in self.iter() {
            let key = keys.resolve(key);
            let spec = keys.get(key);
            let value = match value.parse::<DiskSize>() {
                Ok(size) if spec.is_some_and(|s| s.format() == Some("disk-size")) => {
                    size.to_string()
                }
                _ => value.to_owned(),
            };
            // A value with `=` in it is safe only behind its name.
            if Some(key) == default_key && default.is_none() && !value.contains('=') {
                default = Some(value);
            } else {
                named.push((key, !spec.is_some_and(|s| s.is_required()), value));
            }
        }
        named.sort();
        let parts = default.into_iter().chain(
            named
                .into_iter()
                .map(|(key, _, value)| format!("{key}={value}")),
        );
        parts.collect::<Vec<_>>().join(",")
    }
}

impl fmt::Display for PropertyString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(default) = &self.default {
            f.write_str(default)?;
            separator = ",";
        }
        for (key, value) in self.iter() {
            write!(f, "{separator}{key}={value}")?;
            separator = ",";
        }
        Ok(())
    }
}

fn check_part(value: &str) -> Result<(), CannotCarry> {
    check_line_value(value)?;
    if value.contains(',') {
        return Err(CannotCarry::new(value, Refusal::Comma));
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), CannotCarry> {
    if key.is_empty()
        || !key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    {
        return Err(CannotCarry::new(key, Refusal::BadName));
    }
    Ok(())
}

/// Why a text is no property string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyError {
    /// Where in the text, in bytes.
    pub range: Range<usize>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for PropertyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PropertyError {}

/// One part of a property string, and where it stands.
pub(crate) struct PropertyPart<'a> {
    pub(crate) key: Option<&'a str>,
    pub(crate) value: &'a str,
    pub(crate) range: Range<usize>,
}

impl PropertyPart<'_> {
    /// Where the value stands.
    pub(crate) fn value_start(&self) -> usize {
        self.range.end - self.value.len()
    }
}

/// Splits a property string at its commas; blank parts are skipped, as Proxmox does.
pub(crate) fn parts(text: &str) -> impl Iterator<Item = Result<PropertyPart<'_>, PropertyError>> {
    let mut at = 0;
    text.split(',').filter_map(move |part| {
        let range = at..at + part.len();
        at = range.end + 1;
        if part
            .trim_matches(|c: char| c.is_ascii_whitespace())
            .is_empty()
        {
            return None;
        }
        let fail = |message: String| {
            Some(Err(PropertyError {
                range: range.clone(),
                message,
            }))
        };
        Some(Ok(match part.split_once('=') {
            Some(("", _)) => return fail("there is no name before `=`".to_owned()),
            Some((key, "")) => return fail(format!("`{key}` has no value")),
            Some((key, value)) => PropertyPart {
                key: Some(key),
                value,
                range,
            },
            None => PropertyPart {
                key: None,
                value: part,
                range,
            },
        }))
    })
}
