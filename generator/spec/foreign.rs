//! Values of other modules that a spec writes as strings: how their errors become diagnostics.

use crate::calendar::{Calendar, TimeSpan};
use crate::diagnostics::Code;
use crate::pve::Release;
use crate::value::{SpecString, ValueError};

impl SpecString for Calendar {
    const CODE: Code = Code::MOX0008;
    const WHAT: &'static str = "a calendar expression of systemd, as `\"Sun 04:00\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        text.parse()
            .map_err(|error: crate::calendar::ParseError| ValueError {
                range: error.range,
                message: error.message,
                help: error.help.or_else(|| {
                    Some("write it as systemd does: `\"02:00\"`, `\"Sun 04:00\"`, `\"*-*-01 03:30\"`, `\"hourly\"`".to_owned())
                }),
                meant: None,
            })
    }
}

impl SpecString for TimeSpan {
    const CODE: Code = Code::MOX0007;
    const WHAT: &'static str = "a duration, as `\"15m\"` or `\"2h\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        text.parse()
            .map_err(|error: crate::calendar::ParseError| ValueError {
                range: error.range,
                message: error.message,
                help: error.help.or_else(|| {
                    Some(
                        "write a number and its unit: `\"30s\"`, `\"15m\"`, `\"1h 30m\"`"
                            .to_owned(),
                    )
                }),
                meant: None,
            })
    }
}

impl SpecString for Release {
    const CODE: Code = Code::MOX0018;
    const WHAT: &'static str = "a release of Proxmox VE, as `\"9.1\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        // `9.1.4` is a package of 9.1.
        let meant = text
            .rsplit_once('.')
            .filter(|(release, patch)| {
                release.parse::<Self>().is_ok() && patch.bytes().all(|b| b.is_ascii_digit())
            })
            .map(|(release, _)| release.to_owned());
        text.parse()
            .map_err(|error: crate::pve::ReleaseError| ValueError {
                range: error.range,
                message: error.message,
                help: Some(error.help),
                meant,
            })
    }
}

impl schemars::JsonSchema for Release {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Release".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": Self::WHAT, "examples": ["8.4", "9.1"] })
    }
}
