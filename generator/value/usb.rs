use std::fmt;

use super::id::{hex_pair, hex_pair_meant};
use super::{SpecString, ValueError, spec_string};
use crate::diagnostics::Code;

/// Vendor and product of a USB device: `10c4:ea60`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsbId {
    /// The vendor.
    pub vendor: u16,
    /// The product.
    pub product: u16,
}

/// In lower case, as lsusb prints it.
impl fmt::Display for UsbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.product)
    }
}

impl SpecString for UsbId {
    const CODE: Code = Code::MOX0010;
    const WHAT: &'static str = "a USB id, vendor:product in hexadecimal, as `\"10c4:ea60\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        hex_pair(text)
            .map(|(vendor, product)| Self { vendor, product })
            .ok_or_else(|| {
                let error = ValueError::whole(text, format!("`{text}` is not a USB id"));
                if text.parse::<UsbPort>().is_ok() {
                    error.help(format!("a socket is named by `port = \"{text}\"`"))
                } else if let Some(meant) = hex_pair_meant(text) {
                    error.help(format!("write `\"{meant}\"`"))
                } else {
                    error.help("write vendor and product, four hexadecimal digits each without `0x`, as `lsusb` prints them after `ID`: `10c4:ea60`")
                }
            })
    }

    fn examples() -> &'static [&'static str] {
        &["10c4:ea60"]
    }

    fn pattern() -> Option<&'static str> {
        Some("^[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}$")
    }
}
spec_string!(UsbId, "UsbId");

/// A USB socket as the kernel names it: bus, port, and the ports of the hubs between, `1-2.4`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsbPort(String);

impl UsbPort {
    /// The socket's name in the kernel and in Proxmox VE.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UsbPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SpecString for UsbPort {
    const CODE: Code = Code::MOX0010;
    const WHAT: &'static str = "a USB socket, as `\"1-2\"` or `\"1-2.4\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        // Numbers as the kernel counts: from 1, a root hub has at most 255 ports.
        let number = |part: &str| {
            part.len() <= 3
                && part.parse::<u8>().is_ok_and(|n| n > 0)
                && part.bytes().all(|b| b.is_ascii_digit())
                && !part.starts_with('0')
        };
        text.split_once('-')
            .filter(|(bus, ports)| number(bus) && ports.split('.').all(number))
            .map(|_| Self(text.to_owned()))
            .ok_or_else(|| {
                let error = ValueError::whole(text, format!("`{text}` is not a USB socket"));
                if hex_pair(text).is_some() {
                    error.help(format!("vendor and product are given by `id = \"{text}\"`"))
                } else {
                    error.help("write bus, `-` and the ports with `.` between: `\"1-2\"`, behind a hub `\"1-2.4\"`; `lsusb -t` shows them")
                }
            })
    }

    fn examples() -> &'static [&'static str] {
        &["1-2", "1-2.4"]
    }

    fn pattern() -> Option<&'static str> {
        Some("^[1-9][0-9]{0,2}-[1-9][0-9]{0,2}(\\.[1-9][0-9]{0,2})*$")
    }
}
spec_string!(UsbPort, "UsbPort");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_in_lower_case() {
        assert_eq!(
            "10C4:EA60".parse::<UsbId>().unwrap().to_string(),
            "10c4:ea60"
        );
        for text in ["", "10c4", "10c4:zzzz", "10c4:ea600", "ä:1", "1-2"] {
            assert!(text.parse::<UsbId>().is_err(), "{text}");
        }
    }

    #[test]
    fn ports_are_bus_and_a_path_of_sockets() {
        for text in ["1-2", "10-14", "1-2.4", "2-1.3.4"] {
            assert_eq!(text.parse::<UsbPort>().unwrap().as_str(), text);
        }
        for text in [
            "", "1", "1-", "-1", "1-2.", "1-.2", "0-1", "1-0", "01-2", "1-2-3", "1-300", "+1-2",
            "1-2:1.0",
        ] {
            assert!(text.parse::<UsbPort>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_one_says_where_the_other_belongs() {
        assert_eq!(
            "1-2".parse::<UsbId>().unwrap_err().help.unwrap(),
            "a socket is named by `port = \"1-2\"`"
        );
        assert_eq!(
            "10c4:ea60".parse::<UsbPort>().unwrap_err().help.unwrap(),
            "vendor and product are given by `id = \"10c4:ea60\"`"
        );
    }
}
