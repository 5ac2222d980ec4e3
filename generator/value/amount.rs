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
