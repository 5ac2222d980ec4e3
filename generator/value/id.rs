use std::fmt;

use super::{SpecString, ValueError, spec_string};
use crate::diagnostics::Code;

/// The number of a guest, unique on a host and in a cluster: 100 to 999,999,999 (`pve-vmid` of Proxmox VE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmId(u32);

impl VmId {
    /// The smallest that a guest may have; those below are Proxmox's own.
    pub const MIN: u32 = 100;
    /// The largest.
    pub const MAX: u32 = 999_999_999;

    /// `number`, if a guest may have it.
    pub fn new(number: i64) -> Option<Self> {
        u32::try_from(number)
            .ok()
            .filter(|n| (Self::MIN..=Self::MAX).contains(n))
            .map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Two numbers of four hexadecimal digits with a colon between, as PCI and USB name a make of device.
pub(super) fn hex_pair(text: &str) -> Option<(u16, u16)> {
    let number = |part: &str| {
        (part.len() == 4 && part.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| u16::from_str_radix(part, 16).ok())
            .flatten()
    };
    let (first, second) = text.split_once(':')?;
    Some((number(first)?, number(second)?))
}

/// How a pair that is written otherwise is written: `0x10de:0x2504`, `10de2504` and `10de 2504` are `10de:2504`.
pub(super) fn hex_pair_meant(text: &str) -> Option<String> {
    let bare = text.to_ascii_lowercase().replace("0x", "");
    let bare = bare.trim_matches(|c: char| matches!(c, '[' | ']' | ' '));
    let (first, second) = bare
        .split_once([':', ' ', '-', '/', '.'])
        .or_else(|| bare.split_at_checked(4))?;
    let pair = format!("{}:{}", first.trim(), second.trim());
    hex_pair(&pair).map(|_| pair)
}

/// Vendor and device of a PCI function: `10de:2504`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciId {
    /// The vendor.
    pub vendor: u16,
    /// The device, or for a subsystem the subsystem.
    pub device: u16,
}

impl fmt::Display for PciId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

impl SpecString for PciId {
    const CODE: Code = Code::MOX0010;
    const WHAT: &'static str = "a PCI id, vendor:device in hexadecimal, as `\"10de:2504\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        hex_pair(text)
            .map(|(vendor, device)| Self { vendor, device })
            .ok_or_else(|| {
                let error = ValueError::whole(text, format!("`{text}` is not a PCI id"));
                match hex_pair_meant(text) {
                    Some(meant) => error.help(format!("write `\"{meant}\"`")),
                    None => error.help("write vendor and device, four hexadecimal digits each without `0x`, as `lspci -nn` prints them in brackets: `[10de:2504]`"),
                }
            })
    }

    fn examples() -> &'static [&'static str] {
        &["10de:2504"]
    }

    fn pattern() -> Option<&'static str> {
        Some("^[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}$")
    }
}
spec_string!(PciId, "PciId");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vmids_start_at_100() {
        assert_eq!(VmId::new(99), None);
        assert_eq!(VmId::new(100).map(VmId::get), Some(100));
        assert_eq!(VmId::new(1_000_000_000), None);
        assert_eq!(VmId::new(-1), None);
    }

    #[test]
    fn pci_ids_print_in_lower_case() {
        assert_eq!(
            "10DE:228E".parse::<PciId>().unwrap().to_string(),
            "10de:228e"
        );
        for text in ["10de", "10de:", "10de:25041", "ä:1"] {
            assert!(text.parse::<PciId>().is_err(), "{text}");
        }
        for (text, help) in [
            ("0x10de:0x2504", "write `\"10de:2504\"`"),
            ("10DE2504", "write `\"10de:2504\"`"),
            ("[10de:2504]", "write `\"10de:2504\"`"),
            ("10de 2504", "write `\"10de:2504\"`"),
            ("0x10de", "write vendor and device, four"),
            ("10de:250", "write vendor and device, four"),
            ("0xä", "write vendor and device, four"),
        ] {
            let told = text.parse::<PciId>().unwrap_err().help.unwrap();
            assert!(told.starts_with(help), "{text}: {told}");
        }
    }
}
