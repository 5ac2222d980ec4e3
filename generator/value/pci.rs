use std::fmt;

use super::{SpecString, ValueError, spec_string};
use crate::diagnostics::Code;

/// The address of one PCI function: domain, bus, device, function. Domain `0000` is implied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    /// The segment group, nearly always 0.
    pub domain: u16,
    /// The bus.
    pub bus: u8,
    /// The device (slot), 0 to 31.
    pub device: u8,
    /// The function, 0 to 7.
    pub function: u8,
}

/// All functions of one card have it: domain, bus and device.
pub type PciCard = (u16, u8, u8);

impl PciAddress {
    /// The card that it is a function of.
    pub fn card(self) -> PciCard {
        (self.domain, self.bus, self.device)
    }

    /// Whether `other` is a function of the same card.
    pub fn same_device(self, other: Self) -> bool {
        self.card() == other.card()
    }

    /// Without the function, as Proxmox VE names all functions of a card: `0000:01:00`.
    pub fn device_path(self) -> String {
        format!("{:04x}:{:02x}:{:02x}", self.domain, self.bus, self.device)
    }
}

/// `0000:01:00.0`, in lower case: Proxmox VE refuses upper case.
impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04x}:{:02x}:{:02x}.{}",
            self.domain, self.bus, self.device, self.function
        )
    }
}

impl SpecString for PciAddress {
    const CODE: Code = Code::MOX0010;
    const WHAT: &'static str = "a PCI address, as `\"01:00.0\"` or `\"0000:01:00.0\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let form = || {
            ValueError::whole(text, format!("`{text}` is not a PCI address"))
                .help("write it as lspci does: `\"01:00.0\"` or `\"0000:01:00.0\"`")
        };
        let hex = |part: &str, width: usize| -> Result<u16, ValueError> {
            if part.len() == width && part.bytes().all(|b| b.is_ascii_hexdigit()) {
                u16::from_str_radix(part, 16).map_err(|_| form())
            } else {
                Err(form())
            }
        };
        let (slot, function) = text.rsplit_once('.').ok_or_else(|| {
            let whole = format!("{text}.0");
            if whole.parse::<Self>().is_ok() {
                form().help(format!("add the function: `\"{whole}\"`"))
            } else {
                form()
            }
        })?;
        let parts: Vec<&str> = slot.split(':').collect();
        let (domain, bus, device) = match parts[..] {
            [bus, device] => ("0000", bus, device),
            [domain, bus, device] => (domain, bus, device),
            _ => return Err(form()),
        };
        let (domain, bus, device, function) = (
            hex(domain, 4)?,
            hex(bus, 2)?,
            hex(device, 2)?,
            hex(function, 1)?,
        );
        let end = text.len();
        if device > 0x1f {
            return Err(ValueError::at(
                end - 4..end - 2,
                format!("a PCI device number is at most 1f, not {device:x}"),
            ));
        }
        if function > 7 {
            return Err(ValueError::at(
                end - 1..end,
                format!("a PCI function is at most 7, not {function:x}"),
            ));
        }
        let byte = |n: u16| u8::try_from(n).map_err(|_| form());
        Ok(Self {
            domain,
            bus: byte(bus)?,
            device: byte(device)?,
            function: byte(function)?,
        })
    }

    fn examples() -> &'static [&'static str] {
        &["01:00.0", "0000:01:00.0"]
    }

    fn pattern() -> Option<&'static str> {
        Some("^([0-9A-Fa-f]{4}:)?[0-9A-Fa-f]{2}:[01][0-9A-Fa-f]\\.[0-7]$")
    }
}
spec_string!(PciAddress, "PciAddress");

/// Where a PCI device sits: one function (`01:00.0`), or every function of a card (`01:00`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PciPlace {
    /// The function; of a whole card function 0.
    pub address: PciAddress,
    /// Whether every function of the card is meant.
    pub all_functions: bool,
}

impl PciPlace {
    /// As Proxmox VE names it: `0000:01:00.0`, and `0000:01:00` for a whole card.
    pub fn path(self) -> String {
        if self.all_functions {
            self.address.device_path()
        } else {
            self.address.to_string()
        }
    }

    /// Whether both have a function in common.
    pub fn meets(self, other: Self) -> bool {
        self.address == other.address
            || (self.all_functions || other.all_functions)
                && self.address.same_device(other.address)
    }
}

impl SpecString for PciPlace {
    const CODE: Code = Code::MOX0010;
    const WHAT: &'static str = "a PCI address, as `\"01:00.0\"`, or `\"01:00\"` for all functions";

    fn parse(text: &str) -> Result<Self, ValueError> {
        match format!("{text}.0").parse() {
            Ok(address) => Ok(Self {
                address,
                all_functions: true,
            }),
            Err(_) => PciAddress::parse(text).map(|address| Self {
                address,
                all_functions: false,
            }),
        }
    }

    fn examples() -> &'static [&'static str] {
        &["01:00.0", "0000:01:00.0", "01:00"]
    }

    fn pattern() -> Option<&'static str> {
        Some("^([0-9A-Fa-f]{4}:)?[0-9A-Fa-f]{2}:[01][0-9A-Fa-f](\\.[0-7])?$")
    }
}
spec_string!(PciPlace, "PciPlace");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_implied_and_the_print_is_whole_and_lower_case() {
        assert_eq!(
            "0A:1f.7".parse::<PciAddress>().unwrap().to_string(),
            "0000:0a:1f.7"
        );
        assert_eq!("10000:e1:00.0".parse::<PciAddress>().ok(), None);
    }

    #[test]
    fn an_address_without_a_function_is_the_whole_card() {
        let place = |text: &str| text.parse::<PciPlace>().unwrap();
        assert_eq!(place("0B:00").address, "0b:00.0".parse().unwrap());
        assert!(place("0B:00").all_functions && place("0000:0b:00").all_functions);
        assert!(!place("0b:00.0").all_functions);
        assert!(place("0b:00").meets(place("0b:00.3")) && place("0b:00.3").meets(place("0b:00")));
        assert!(!place("0b:00.0").meets(place("0b:00.3")) && !place("0b:00").meets(place("0c:00")));
        for text in ["", "0b", "0b:20", "0b:00.", "0b:00.0.0", "0b:00.8"] {
            assert!(text.parse::<PciPlace>().is_err(), "{text}");
        }
    }

    #[test]
    fn errors_mark_the_number_that_is_too_large() {
        assert_eq!("01:20.0".parse::<PciAddress>().unwrap_err().range, 3..5);
        assert_eq!("01:00.8".parse::<PciAddress>().unwrap_err().range, 6..7);
        assert_eq!(
            "01:00".parse::<PciAddress>().unwrap_err().help.unwrap(),
            "add the function: `\"01:00.0\"`"
        );
        for text in [
            "",
            ".",
            "1:0.0",
            "0000:01:00.ä",
            "01:00.00",
            "::.",
            "ä1:00.0",
        ] {
            assert!(text.parse::<PciAddress>().is_err(), "{text}");
        }
    }
}
