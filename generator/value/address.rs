use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{SpecString, ValueError, spec_string};
use crate::diagnostics::Code;

/// An address and the length of its network: `192.168.1.10/24`, `fd00::10/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr(IpNet);

impl Cidr {
    /// The address, as written.
    pub fn address(self) -> IpAddr {
        self.0.addr()
    }

    /// The length of the network's prefix, in bits.
    pub fn prefix(self) -> u8 {
        self.0.prefix_len()
    }

    /// The network: `192.168.1.0/24`.
    pub fn network(self) -> IpNet {
        self.0.trunc()
    }

    /// Whether an address lies in the network.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether it is an IPv6 network.
    pub fn is_v6(self) -> bool {
        matches!(self.0, IpNet::V6(_))
    }

    /// Whether the networks of both share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.0.contains(&other.0.network()) || other.0.contains(&self.0.network())
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.prefix())
    }
}

impl SpecString for Cidr {
    const CODE: Code = Code::MOX0009;
    const WHAT: &'static str =
        "an address with its prefix, as `\"192.168.1.10/24\"` or `\"fd00::10/64\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let Some((address, prefix)) = text.split_once('/') else {
            let address = parse_ip(text)?;
            let guess = if address.is_ipv4() { 24 } else { 64 };
            return Err(
                ValueError::whole(text, format!("`{text}` has no prefix length")).help(format!(
                    "write `\"{text}/{guess}\"` for a network of {guess} bits"
                )),
            );
        };
        let address = parse_ip(address)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = prefix
            .parse::<u8>()
            .ok()
            .filter(|length| {
                (1..=most).contains(length)
                    && prefix.bytes().all(|b| b.is_ascii_digit())
                    && !prefix.starts_with('0')
            })
            .ok_or_else(|| {
                ValueError::at(
                    text.len() - prefix.len()..text.len(),
                    format!("`{prefix}` is not a prefix length"),
                )
                .help(format!("it is a number from 1 to {most}"))
            })?;
        IpNet::new(address, length)
            .map(Self)
            .map_err(|error| ValueError::whole(text, error.to_string()))
    }

    fn examples() -> &'static [&'static str] {
        &["192.168.1.10/24", "fd00::10/64"]
    }
}
spec_string!(Cidr, "Cidr");

/// Where a route leads: a network, `10.8.0.0/24`, or one machine, `10.8.0.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteTarget(Cidr);

impl RouteTarget {
    /// The network; of one machine the one that it is alone in.
    pub fn network(self) -> IpNet {
        self.0.network()
    }

    /// Whether it is an IPv6 network.
    pub fn is_v6(self) -> bool {
        self.0.is_v6()
    }
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SpecString for RouteTarget {
    const CODE: Code = Code::MOX0009;
    const WHAT: &'static str = "a network or an address, as `\"10.8.0.0/24\"` or `\"10.8.0.1\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        if matches!(text, "default" | "0.0.0.0/0" | "::/0") {
            return Err(
                ValueError::whole(text, "the way to everything is not a route")
                    .help("write `gateway`, or `gateway6`, beside the address"),
            );
        }
        let cidr = if text.contains('/') {
            Cidr::parse(text)?
        } else {
            let address = parse_ip(text)?;
            Cidr(IpNet::from(address))
        };
        if cidr.network().addr() != cidr.address() {
            let meant = cidr.network().to_string();
            return Err(ValueError::whole(
                text,
                format!("`{text}` is an address in a network, not a network"),
            )
            .help(format!(
                "write `\"{meant}\"`, or `\"{}\"` for the one machine",
                cidr.address()
            )));
        }
        Ok(Self(cidr))
    }

    fn examples() -> &'static [&'static str] {
        &["10.8.0.0/24", "10.8.0.1"]
    }
}
spec_string!(RouteTarget, "RouteTarget");

/// Reads an address and marks the octet that is wrong.
fn parse_ip(text: &str) -> Result<IpAddr, ValueError> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let wrong = |range| ValueError::at(range, format!("`{text}` is not an IP address"));
    let octets: Vec<&str> = text.split('.').collect();
    let numbers = || {
        octets
            .iter()
            .all(|octet| octet.bytes().all(|b| b.is_ascii_digit()))
    };
    if octets.len() == 4 && numbers() {
        let mut at = 0;
        for octet in octets {
            if octet.parse::<u8>().is_err()
                || (octet.len() > 1 && octet.starts_with('0'))
                || octet.starts_with('+')
            {
                return Err(wrong(at..at + octet.len())
                    .help("an octet is a number from 0 to 255, without leading zeros"));
            }
            at += octet.len() + 1;
        }
    }
    Err(wrong(0..text.len()).help("write `\"192.168.1.10\"` or `\"fd00::10\"`"))
}

/// A bare IP address, v4 or v6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpAddress(pub IpAddr);

impl fmt::Display for IpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SpecString for IpAddress {
    const CODE: Code = Code::MOX0009;
    const WHAT: &'static str = "an IP address, as `\"192.168.1.1\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        if let Some(slash) = text.find('/')
            && let Ok(address) = parse_ip(&text[..slash])
        {
            return Err(
                ValueError::at(slash..text.len(), "a bare address has no prefix length")
                    .help(format!("write `\"{address}\"`"))
                    .meant(&text[..slash]),
            );
        }
        parse_ip(text).map(Self)
    }

    fn examples() -> &'static [&'static str] {
        &["192.168.1.1", "fd00::1"]
    }
}
spec_string!(IpAddress, "IpAddress");

/// How a card of a guest or an interface of the host gets its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestAddress {
    /// It asks a DHCP server.
    Dhcp,
    /// IPv6 only: from router advertisements (SLAAC).
    Auto,
    /// It is set.
    Static(Cidr),
}

impl fmt::Display for GuestAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dhcp => f.write_str("dhcp"),
            Self::Auto => f.write_str("auto"),
            Self::Static(cidr) => cidr.fmt(f),
        }
    }
}

impl SpecString for GuestAddress {
    const CODE: Code = Code::MOX0009;
    const WHAT: &'static str = "an address with its prefix, `\"dhcp\"` or `\"auto\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "dhcp" => Ok(Self::Dhcp),
            "auto" | "slaac" => Ok(Self::Auto),
            _ if ["dhcp", "auto"].contains(&text.to_ascii_lowercase().as_str()) => {
                let lower = text.to_ascii_lowercase();
                Err(
                    ValueError::whole(text, format!("`{text}` is not an address"))
                        .help(format!("write it in lower case: `\"{lower}\"`")),
                )
            }
            _ => Cidr::parse(text).map(Self::Static).map_err(|error| {
                if error.help.is_some() {
                    error
                } else {
                    error.help(
                        "write an address with its prefix, as `\"192.168.1.20/24\"`, or `\"dhcp\"`",
                    )
                }
            }),
        }
    }

    fn examples() -> &'static [&'static str] {
        &["192.168.1.20/24", "dhcp"]
    }
}
spec_string!(GuestAddress, "GuestAddress");

/// A machine by address or by DNS name, as `server` of an external store takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostAddress {
    /// By address.
    Ip(IpAddr),
    /// By name.
    Name(String),
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl SpecString for HostAddress {
    const CODE: Code = Code::MOX0009;
    const WHAT: &'static str =
        "an address or a DNS name, as `\"192.168.1.5\"` or `\"nas.home.arpa\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        // What looks like an address is one: `192.168.1.300` must not pass as a name.
        if text.contains(':')
            || text
                .split('.')
                .all(|part| part.bytes().all(|b| b.is_ascii_digit()))
        {
            return parse_ip(text).map(Self::Ip).map_err(|error| match text.find(":/") {
                Some(at) => ValueError::at(at..text.len(), "a server is an address or a name alone")
                    .help("the export of an NFS server goes under `export`, the share of an SMB server under `share`"),
                None => error,
            });
        }
        super::DnsName::parse(text).map(|name| Self::Name(name.as_str().to_owned()))
    }

    fn examples() -> &'static [&'static str] {
        &["192.168.1.5", "nas.home.arpa"]
    }
}
spec_string!(HostAddress, "HostAddress");

/// Addresses that a DHCP server hands out, from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

impl AddressRange {
    /// The first address.
    pub fn first(self) -> IpAddr {
        self.first
    }

    /// The last address.
    pub fn last(self) -> IpAddr {
        self.last
    }

    /// Whether `address` is one of them.
    pub fn contains(self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && (self.first..=self.last).contains(&address)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl SpecString for AddressRange {
    const CODE: Code = Code::MOX0009;
    const WHAT: &'static str = "a range of addresses, as `\"192.168.1.100-192.168.1.199\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let wrong = || {
            ValueError::whole(text, format!("`{text}` is not a range of addresses"))
                .help("write the first and the last: `\"192.168.1.100-192.168.1.199\"`")
        };
        let (first, last) = text
            .split_once("..")
            .or_else(|| text.split_once('-'))
            .ok_or_else(wrong)?;
        let first = parse_ip(first.trim())?;
        // `192.168.1.100-199`: the last octet alone.
        let last = match (first, last.trim().parse::<u8>()) {
            (IpAddr::V4(v4), Ok(octet)) => {
                let [a, b, c, _] = v4.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, octet))
            }
            _ => parse_ip(last.trim()).map_err(|_| wrong())?,
        };
        if first.is_ipv4() != last.is_ipv4() {
            return Err(wrong());
        }
        if first > last {
            return Err(ValueError::whole(text, format!("`{text}` runs backwards"))
                .help(format!("write `\"{last}-{first}\"`"))
                .meant(format!("{last}-{first}")));
        }
        Ok(Self { first, last })
    }

    fn examples() -> &'static [&'static str] {
        &["192.168.1.100-192.168.1.199"]
    }
}
spec_string!(AddressRange, "AddressRange");

/// The unspecified address of the family, for defaults.
impl Default for IpAddress {
    fn default() -> Self {
        Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_mark_the_octet() {
        let error = "192.168.300.10/24".parse::<Cidr>().unwrap_err();
        assert_eq!(error.range, 8..11);
        assert_eq!("192.168.1.10/33".parse::<Cidr>().unwrap_err().range, 13..15);
        assert!(
            "192.168.1.10"
                .parse::<Cidr>()
                .unwrap_err()
                .help
                .unwrap()
                .contains("/24")
        );
    }

    #[test]
    fn both_families_read_and_print() {
        for text in ["192.168.1.10/24", "fd00::10/64", "10.0.0.1/32"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "/24",
            "1.2.3.4/",
            "1.2.3.4/+8",
            "1.2.3.4/08",
            "1.2.3/8",
            "fd00::10/129",
            "1.2.3.4/24/1",
        ] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }

    #[test]
    fn routes_lead_to_networks_and_machines() {
        let print = |text: &str| text.parse::<RouteTarget>().map(|to| to.to_string());
        assert_eq!(print("10.8.0.0/24").unwrap(), "10.8.0.0/24");
        assert_eq!(print("10.8.0.1").unwrap(), "10.8.0.1/32");
        assert_eq!(print("fd00:1::").unwrap(), "fd00:1::/128");
        let error = |text: &str| text.parse::<RouteTarget>().unwrap_err().help.unwrap();
        assert!(error("10.8.0.1/24").contains("\"10.8.0.0/24\""));
        assert!(error("default").contains("gateway"));
        for text in ["", "10.8.0/24", "10.8.0.0/33", "x"] {
            assert!(print(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_take_the_last_octet_alone() {
        let range: AddressRange = "192.168.1.100-199".parse().unwrap();
        assert_eq!(range.to_string(), "192.168.1.100-192.168.1.199");
        assert!(range.contains("192.168.1.150".parse().unwrap()));
        assert!(!range.contains("192.168.1.200".parse().unwrap()));
        assert!("192.168.1.9-192.168.1.5".parse::<AddressRange>().is_err());
        assert!("192.168.1.9".parse::<AddressRange>().is_err());
    }

    #[test]
    fn what_looks_like_an_address_is_no_name() {
        assert!("192.168.1.300".parse::<HostAddress>().is_err());
        assert_eq!(
            "nas.home.arpa".parse::<HostAddress>(),
            Ok(HostAddress::Name("nas.home.arpa".into()))
        );
    }
}
