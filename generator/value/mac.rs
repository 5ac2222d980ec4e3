use std::fmt;

use super::{SpecString, ValueError, spec_string};
use crate::diagnostics::Code;
use crate::digest::Sha256;

/// A unicast MAC address; printed in upper case, as Proxmox VE writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// The address of a guest's card that the spec leaves out: the same on every run, in Proxmox's own prefix BC:24:11.
    ///
    /// Three bytes of a hash leave 16 million addresses: of two cards of one host that meet, one takes
    /// [its second address](Self::derive_second).
    pub fn derive(host: &str, vmid: u32, index: usize) -> Self {
        let hash = Self::hash(host, vmid, index);
        Self([0xBC, 0x24, 0x11, hash[0], hash[1], hash[2]])
    }

    /// The address of a card whose first one is another card's: 46 bits of the same hash, in the space of addresses that
    /// are given locally (IEEE 802, the second lowest bit of the first byte), which never meets the first kind.
    pub fn derive_second(host: &str, vmid: u32, index: usize) -> Self {
        let hash = Self::hash(host, vmid, index);
        let first = hash[3] & 0b1111_1100 | 0b0000_0010;
        Self([first, hash[4], hash[5], hash[6], hash[7], hash[8]])
    }

    fn hash(host: &str, vmid: u32, index: usize) -> [u8; 32] {
        // The separator cannot occur in a host name, so no two inputs hash alike.
        Sha256::of(format!("moxc mac\n{host}\n{vmid}\n{index}").as_bytes()).bytes()
    }

    /// The six bytes.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }

    /// In lower case, as systemd and the kernel write it.
    pub fn lower(self) -> String {
        self.to_string().to_ascii_lowercase()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let o = self.0;
        write!(
            f,
            "{:02X}:{:02X}:{:02X}:{:02X}:{:02X}:{:02X}",
            o[0], o[1], o[2], o[3], o[4], o[5]
        )
    }
}

impl SpecString for MacAddress {
    const CODE: Code = Code::MOX0011;
    const WHAT: &'static str = "a unicast MAC address, as `\"BC:24:11:00:00:01\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let form = || {
            let error = ValueError::whole(text, format!("`{text}` is not a MAC address"))
                .help("write six bytes in hexadecimal: `\"BC:24:11:00:00:01\"`");
            // Windows writes `BC-24-11-00-00-01`.
            let colons = text.replace('-', ":");
            if text.contains('-') && Self::parse(&colons).is_ok() {
                error.meant(colons)
            } else {
                error
            }
        };
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().ok_or_else(form)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(form());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| form())?;
        }
        if parts.next().is_some() {
            return Err(form());
        }
        if octets[0] & 1 == 1 {
            return Err(ValueError::at(
                0..2,
                format!("`{text}` is a multicast address, not a unicast one"),
            )
            .help("the first byte must be even; a guest's address is derived where the line is left out"));
        }
        if octets == [0; 6] {
            return Err(ValueError::whole(text, "the MAC address is all zeros")
                .help("a guest's address is derived where the line is left out"));
        }
        Ok(Self(octets))
    }

    fn examples() -> &'static [&'static str] {
        &["BC:24:11:00:00:01"]
    }

    fn pattern() -> Option<&'static str> {
        Some("^[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}$")
    }
}
spec_string!(MacAddress, "MacAddress");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_case_and_prints_upper_case() {
        let mac: MacAddress = "bc:24:11:0a:ff:01".parse().unwrap();
        assert_eq!(mac.to_string(), "BC:24:11:0A:FF:01");
        assert_eq!(mac.lower(), "bc:24:11:0a:ff:01");
    }

    #[test]
    fn what_windows_writes_is_known() {
        let meant = |text: &str| text.parse::<MacAddress>().unwrap_err().meant;
        assert_eq!(
            meant("BC-24-11-00-00-01").as_deref(),
            Some("BC:24:11:00:00:01")
        );
        assert_eq!(meant("BD-24-11-00-00-01"), None);
        assert_eq!(meant("BC-24"), None);
    }

    #[test]
    fn refuses_multicast_zero_and_other_forms() {
        assert_eq!(
            "01:00:5e:00:00:01".parse::<MacAddress>().unwrap_err().range,
            0..2
        );
        for text in [
            "",
            "00:00:00:00:00:00",
            "bc-24-11-00-00-01",
            "bc:24:11:00:00",
            "bc:24:11:00:00:01:02",
            "bc:24:11:00:00:+1",
            "ff:ff:ff:ff:ff:ff",
        ] {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn derived_addresses_are_stable_and_unicast() {
        assert_eq!(
            MacAddress::derive("pve1", 110, 0),
            MacAddress::derive("pve1", 110, 0)
        );
        assert_ne!(
            MacAddress::derive("pve1", 110, 0),
            MacAddress::derive("pve1", 110, 1)
        );
        assert_ne!(
            MacAddress::derive("pve1", 110, 0),
            MacAddress::derive("pve2", 110, 0)
        );
        // A change here changes the cards of every machine that was built before.
        assert_eq!(
            MacAddress::derive("pve1", 110, 0).to_string(),
            "BC:24:11:72:09:33"
        );
    }
}
