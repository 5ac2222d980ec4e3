use std::fmt;

use super::{InterfaceName, SpecString, ValueError, spec_string};
use crate::diagnostics::Code;

/// A VLAN tag, 1 to 4094.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanTag(u16);

impl VlanTag {
    /// `number`, if it is a tag.
    pub fn new(number: i64) -> Option<Self> {
        u16::try_from(number)
            .ok()
            .filter(|n| (1..=4094).contains(n))
            .map(Self)
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for VlanTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The VLANs that a VLAN-aware bridge carries: `2-4094`, `10 20 30-40`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VlanSet(Vec<(u16, u16)>);

impl VlanSet {
    /// Everything that `bridge-vids` takes; Proxmox VE's own default.
    pub fn all() -> Self {
        Self(vec![(2, 4094)])
    }

    /// From ranges, each from its first to its last tag.
    pub fn from_ranges(mut ranges: Vec<(u16, u16)>) -> Self {
        ranges.sort_unstable();
        Self(ranges)
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.0
    }

    /// Whether `tag` is one of them.
    pub fn contains(&self, tag: VlanTag) -> bool {
        self.0
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&tag.get()))
    }
}

/// As `bridge-vids` of ifupdown2 takes it.
impl fmt::Display for VlanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { " " };
            if first == last {
                write!(f, "{separator}{first}")?;
            } else {
                write!(f, "{separator}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

impl SpecString for VlanSet {
    const CODE: Code = Code::MOX0021;
    const WHAT: &'static str = "VLAN tags, as `\"2-4094\"` or `\"10,20,30-40\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let mut ranges = Vec::new();
        let mut at = 0;
        for part in text.split([',', ' ', ';']) {
            let range = at..at + part.len();
            at += part.len() + 1;
            if part.is_empty() {
                continue;
            }
            // 1 is the bridge's own untagged VLAN: Proxmox VE refuses it in `bridge-vids`.
            let number = |n: &str| n.parse::<u16>().ok().filter(|n| (2..=4094).contains(n));
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => ranges.push((first, last)),
                _ => {
                    return Err(ValueError::at(
                        range,
                        format!("`{part}` is not a VLAN tag from 2 to 4094, or a range of them"),
                    )
                    .help("write `\"2-4094\"` for all of them"));
                }
            }
        }
        if ranges.is_empty() {
            return Err(ValueError::whole(text, "no VLAN tag is given")
                .help("write `\"2-4094\"` for all of them"));
        }
        Ok(Self::from_ranges(ranges))
    }

    fn examples() -> &'static [&'static str] {
        &["2-4094", "10,20,30-40"]
    }
}
spec_string!(VlanSet, "VlanSet");

/// What a bridge takes in as a port: a NIC or a bond, whole or one VLAN of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgePort {
    /// The NIC or the bond, by its name in the spec.
    pub parent: String,
    /// The VLAN of it.
    pub vlan: Option<VlanTag>,
}

impl fmt::Display for BridgePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vlan {
            Some(tag) => write!(f, "{}.{tag}", self.parent),
            None => f.write_str(&self.parent),
        }
    }
}

impl SpecString for BridgePort {
    const CODE: Code = Code::MOX0021;
    const WHAT: &'static str = "a NIC, a bond, or one VLAN of them, as `\"lan0\"` or `\"lan0.30\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let (parent, tag) = text
            .split_once('.')
            .map_or((text, None), |(p, t)| (p, Some(t)));
        if parent.is_empty() {
            return Err(ValueError::whole(text, format!("`{text}` names no port"))
                .help("write the name of a NIC or a bond: `\"lan0\"`, or `\"lan0.30\"` for VLAN 30 of it"));
        }
        let vlan = tag
            .map(|tag| {
                tag.parse::<i64>()
                    .ok()
                    .filter(|_| tag.bytes().all(|b| b.is_ascii_digit()))
                    .and_then(VlanTag::new)
                    .ok_or_else(|| {
                        ValueError::at(
                            parent.len() + 1..text.len(),
                            format!("`{tag}` is not a VLAN tag"),
                        )
                        .help("a tag is a number from 1 to 4094")
                    })
            })
            .transpose()?;
        Ok(Self {
            parent: parent.to_owned(),
            vlan,
        })
    }

    fn examples() -> &'static [&'static str] {
        &["lan0", "lan0.30"]
    }
}
spec_string!(BridgePort, "BridgePort");

impl InterfaceName {
    /// The kernel's name of a VLAN of this interface: `enp5s0.30`.
    pub fn vlan(&self, tag: VlanTag) -> String {
        format!("{self}.{tag}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlan_sets_read_commas_and_blanks() {
        let set: VlanSet = "30-40,10 20".parse().unwrap();
        assert_eq!(set.to_string(), "10 20 30-40");
        assert!(set.contains(VlanTag::new(35).unwrap()));
        assert!(!set.contains(VlanTag::new(41).unwrap()));
        for text in ["", "1", "4095", "40-30", "a", "10-"] {
            assert!(text.parse::<VlanSet>().is_err(), "{text}");
        }
    }

    #[test]
    fn ports_carry_a_vlan() {
        let port: BridgePort = "lan0.30".parse().unwrap();
        assert_eq!(
            (port.parent.as_str(), port.vlan.map(VlanTag::get)),
            ("lan0", Some(30))
        );
        assert_eq!("lan0.0".parse::<BridgePort>().unwrap_err().range, 5..6);
        assert_eq!("lan0.+1".parse::<BridgePort>().unwrap_err().range, 5..7);
        assert!(".3".parse::<BridgePort>().is_err());
    }
}
