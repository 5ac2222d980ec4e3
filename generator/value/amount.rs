//! Values that a spec writes as a number, a size or a word, whichever fits.

use super::ByteSize;

/// The least memory that ballooning leaves, or `false`: no ballooning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balloon {
    /// No balloon device.
    Off,
    /// The least that stays.
    Least(ByteSize),
}

impl schemars::JsonSchema for Balloon {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Balloon".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let size = generator.subschema_for::<ByteSize>();
        schemars::json_schema!({ "anyOf": [size, { "const": false }, { "const": 0 }] })
    }
}

/// The size of a guest's memory pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HugePages {
    /// Whichever the host has at its start.
    Any,
    /// Of one size.
    Of(ByteSize),
}

impl HugePages {
    /// Their size, where it is known before the start.
    pub fn size(self) -> Option<ByteSize> {
        match self {
            Self::Any => None,
            Self::Of(size) => Some(size),
        }
    }
}

impl std::fmt::Display for HugePages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Of(size) => size.fmt(f),
        }
    }
}

impl schemars::JsonSchema for HugePages {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HugePages".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let size = generator.subschema_for::<ByteSize>();
        schemars::json_schema!({ "anyOf": [size, { "const": "any" }] })
    }
}

/// A port that the guest's firewall opens: a number for TCP, `"53/udp"` for UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The number, from 1.
    pub number: u16,
    /// Whether it is UDP.
    pub udp: bool,
}

impl schemars::JsonSchema for Port {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Port".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65535 },
            { "type": "string", "pattern": "^[0-9]{1,5}(/(tcp|udp))?$" },
        ] })
    }
}
