//! Property strings: `local-zfs:vm-100-disk-0,discard=on,size=120G`.
//!
//! Parts are separated by commas; one may come without a name and then belongs to the option's
//! default sub-option. There is no quoting, so [`PropertyString`] refuses what would be read back
//! as something else.

use std::fmt;
use std::ops::Range;

use super::refusal::check_line_value;
use super::schema::{OptionSchema, SubOptions};
use super::{CannotCarry, DiskSize, Refusal};

/// The value of an option that has sub-options.
///
/// `to_string` prints the parts in the order in which they were added (the nameless one first), as
/// Proxmox keeps `hostpci`, `cpu`, `agent` of a VM. Options that Proxmox parses and prints
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
        let mut named: Vec<(bool, &str, String)> = Vec::with_capacity(self.named.len());
        // A network card's `model=virtio,macaddr=BC:…` is written `virtio=BC:…`.
        let combined = keys.iter().find_map(|(_, spec)| spec.alias_of_two());
        let mut first = None;
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
            } else if spec.is_some_and(|s| s.alias_of_two().is_some()) {
                first = Some(format!("{key}={value}"));
            } else {
                named.push((!spec.is_some_and(OptionSchema::is_required), key, value));
            }
        }
        if let (Some(model), Some((_, second))) = (&default, combined)
            && let Some(at) = named.iter().position(|(_, key, _)| *key == second)
        {
            let (_, _, address) = named.remove(at);
            default = Some(format!("{model}={address}"));
        }
        if let (Some(_), Some(model), Some(name)) = (&first, &default, default_key) {
            // Both at once is refused by the schema, but nothing is lost here.
            named.push((false, name, model.clone()));
        }
        let default = first.or(default);
        named.sort();
        let parts = default.into_iter().chain(
            named
                .into_iter()
                .map(|(_, key, value)| format!("{key}={value}")),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pve::ConfigFile;

    fn keys(file: ConfigFile<'_>, option: &str) -> SubOptions {
        file.option(option)
            .and_then(super::super::schema::OptionSchema::sub_options)
            .expect("an option with sub-options")
    }

    fn reprinted(file: ConfigFile<'_>, option: &str, text: &str) -> String {
        PropertyString::parse(text)
            .expect(text)
            .canonical(keys(file, option))
    }

    #[test]
    fn prints_as_proxmox_reprints() {
        let qm = ConfigFile::Qm;
        let pct = ConfigFile::Pct;
        for (file, option, given, printed) in [
            (
                qm,
                "scsi0",
                "local-zfs:vm-100-disk-0,ssd=1,size=120G,iothread=1,discard=on",
                "local-zfs:vm-100-disk-0,discard=on,iothread=1,size=120G,ssd=1",
            ),
            (qm, "scsi1", "size=1024M,file=local:1", "local:1,size=1G"),
            (
                qm,
                "scsi1",
                "volume=local:1,size=1.5G",
                "local:1,size=1536M",
            ),
            (
                qm,
                "efidisk0",
                "local:1,size=0.5M,efitype=4m",
                "local:1,efitype=4m,size=512K",
            ),
            (
                pct,
                "net0",
                "bridge=vmbr0,type=veth,ip=10.0.0.2/24,hwaddr=BC:24:11:00:00:02,name=eth0,gw=10.0.0.1",
                "name=eth0,bridge=vmbr0,gw=10.0.0.1,hwaddr=BC:24:11:00:00:02,ip=10.0.0.2/24,type=veth",
            ),
            (
                pct,
                "mp0",
                "/tank/x,ro=1,mp=/x,backup=0",
                "/tank/x,mp=/x,backup=0,ro=1",
            ),
            (
                qm,
                "net0",
                "tag=2,firewall=1,virtio=BC:24:11:00:00:01,bridge=vmbr0",
                "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,tag=2",
            ),
            (
                qm,
                "net0",
                "bridge=vmbr0,macaddr=BC:24:11:00:00:01,model=e1000",
                "e1000=BC:24:11:00:00:01,bridge=vmbr0",
            ),
            (
                qm,
                "net0",
                "virtio,tag=2,bridge=vmbr0",
                "virtio,bridge=vmbr0,tag=2",
            ),
            (
                ConfigFile::Storage("dir"),
                "prune-backups",
                "keep-weekly=4,keep-daily=7",
                "keep-daily=7,keep-weekly=4",
            ),
        ] {
            assert_eq!(reprinted(file, option, given), printed);
            assert_eq!(reprinted(file, option, printed), printed);
        }
    }

    #[test]
    fn keeps_the_given_order_otherwise() {
        let text = "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,tag=10";
        let net = PropertyString::parse(text).expect(text);
        assert_eq!(net.to_string(), text);
        assert_eq!(net.get("tag"), Some("10"));
        assert_eq!(net.default_value(), None);
    }

    #[test]
    fn refuses_what_the_format_cannot_carry() {
        let named = |value: &str| {
            PropertyString::new()
                .with("a", value)
                .map_err(|error| error.why)
        };
        let first = |value: &str| PropertyString::with_default(value).map_err(|error| error.why);
        for (value, why) in [
            ("", Refusal::Empty),
            ("a,b", Refusal::Comma),
            ("a\nb", Refusal::Control('\n')),
            ("a\u{7f}", Refusal::Control('\u{7f}')),
            (" a", Refusal::OuterBlank),
            ("a\u{a0}", Refusal::OuterBlank),
        ] {
            assert_eq!(named(value), Err(why), "{value:?}");
            assert_eq!(first(value), Err(why), "{value:?}");
        }
        assert_eq!(first("a=b"), Err(Refusal::EqualsSign));
        assert!(named("a=b").is_ok());
        let twice = named("1").and_then(|part| part.with("a", 2).map_err(|error| error.why));
        assert_eq!(twice, Err(Refusal::Twice));
        for key in ["", "a b", "a=b", "a,b", "é"] {
            assert_eq!(
                PropertyString::new()
                    .with(key, 1)
                    .map_err(|error| error.why),
                Err(Refusal::BadName)
            );
        }
    }

    #[test]
    fn says_where_a_property_string_is_wrong() {
        for (text, range) in [
            ("a=1,=2", 4..6),
            ("a=1,b=", 4..6),
            ("a=1,a=2", 4..7),
            ("x,,y", 3..4),
        ] {
            assert_eq!(
                PropertyString::parse(text).expect_err(text).range,
                range,
                "{text}"
            );
        }
        assert_eq!(
            PropertyString::parse("a, ,b=1")
                .expect("a blank part")
                .to_string(),
            "a,b=1"
        );
    }

    proptest! {
        /// Whatever is accepted is read back as what it was.
        #[test]
        fn round_trips_or_refuses(first in "\\PC{0,12}|[,=\n a]{0,4}", values in proptest::collection::vec("\\PC{0,12}|[,=\n\" %:]{1,4}", 0..4)) {
            let mut property = PropertyString::with_default(&first).unwrap_or_default();
            for (at, value) in values.iter().enumerate() {
                if let Ok(more) = property.clone().with(&format!("k{at}"), value) {
                    property = more;
                }
            }
            let printed = property.to_string();
            prop_assert!(!printed.contains('\n'));
            let read = PropertyString::parse(&printed);
            prop_assert_eq!(read, Ok(property));
        }

        #[test]
        fn reprinting_is_a_fixed_point(text in "(local:1|size=[0-9]{1,4}[KMG]?|ssd=1|a=b=c|file=x=y|volume=local:2|discard=on|,){0,6}") {
            if let Ok(parsed) = PropertyString::parse(&text) {
                let keys = keys(ConfigFile::Qm, "scsi0");
                let once = parsed.canonical(keys);
                if let Ok(again) = PropertyString::parse(&once) {
                    prop_assert_eq!(again.canonical(keys), once);
                }
            }
        }
    }
}
