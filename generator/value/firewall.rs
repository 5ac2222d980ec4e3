//! What a rule of Proxmox VE's firewall compares with. A rule that it cannot read it leaves out, and says so nowhere but in its log
//! (`PVE::Firewall::verify_rule`, `parse_address_list`, `parse_port_name_number_or_range`).

use std::fmt;
use std::net::IpAddr;

use super::text::text;
use super::{SpecString, ValueError, spec_string};
use crate::diagnostics::Code;

/// The names of `/etc/protocols` on Debian (netbase), and the one that Proxmox VE adds.
const PROTOCOLS: &str = " ah ax.25 dccp ddp egp eigrp encap esp etherip ethernet fc ggp gre hip hmp hopopt icmp icmpv6 idpr-cmtp idrp igmp \
    igp ip ipcomp ipencap ipip ipv6 ipv6-frag ipv6-icmp ipv6-nonxt ipv6-opts ipv6-route isis iso-tp4 l2tp manet mobility-header \
    mpls-in-ip mptcp ospf pim pup rdp rohc rspf rsvp sctp shim6 skip st tcp udp udplite vmtp vrrp wesp xns-idp xtp ";

/// Those that have ports, and their numbers.
const WITH_PORTS: [&str; 10] = [
    "tcp", "6", "udp", "17", "dccp", "33", "sctp", "132", "udplite", "136",
];

/// The types of ICMP, which stand where other protocols have ports.
const ICMP_TYPES: &str = " any echo-reply destination-unreachable network-unreachable host-unreachable protocol-unreachable \
    port-unreachable fragmentation-needed source-route-failed network-unknown host-unknown network-prohibited host-prohibited \
    TOS-network-unreachable TOS-host-unreachable communication-prohibited host-precedence-violation precedence-cutoff source-quench \
    redirect network-redirect host-redirect TOS-network-redirect TOS-host-redirect echo-request router-advertisement \
    router-solicitation time-exceeded ttl-zero-during-transit ttl-zero-during-reassembly parameter-problem ip-header-bad \
    required-option-missing timestamp-request timestamp-reply address-mask-request address-mask-reply no-route beyond-scope \
    address-unreachable failed-policy reject-route packet-too-big bad-header unknown-header-type unknown-option neighbor-solicitation \
    neighbour-solicitation neighbor-advertisement neighbour-advertisement ";

fn is_among(list: &str, word: &str) -> bool {
    list.split(' ').any(|known| known == word)
}

text!(
    /// A protocol of a firewall's rule: a name of `/etc/protocols`, or a number.
    FirewallProtocol,
    MOX0021,
    "a protocol, as `\"tcp\"`",
    |text| {
        let is_number = text.parse::<u8>().is_ok_and(|number| number.to_string() == text);
        if is_number || (!text.is_empty() && is_among(PROTOCOLS, text)) {
            return Ok(());
        }
        Err(ValueError::whole(text, format!("no protocol `{}`", text.escape_debug()))
            .help("write `tcp`, `udp`, `icmp`, `icmpv6`, or another name of `/etc/protocols`; a rule is for one of them"))
    }
);

impl FirewallProtocol {
    /// Whether it has ports.
    fn has_ports(&self) -> bool {
        WITH_PORTS.contains(&self.as_str())
    }

    /// The family that it is of, where it is of one: it says so itself.
    fn family(&self) -> Option<Family> {
        match self.as_str() {
            "icmp" => Some(Family::V4),
            "icmpv6" | "ipv6-icmp" => Some(Family::V6),
            _ => None,
        }
    }
}

/// Addresses of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

text!(
    /// Where a rule's traffic comes from or goes: addresses, networks, one range, a set (`+lan`) or an alias.
    FirewallAddresses,
    MOX0021,
    "addresses, a set or an alias, as `\"192.168.1.0/24\"` or `\"+lan\"`",
    |text| {
        let help = "write `\"192.168.1.10\"`, `\"192.168.1.0/24,10.0.0.0/8\"`, `\"192.168.1.10-192.168.1.20\"`, or a set: `\"+lan\"`";
        let wrong = |why: String| Err(ValueError::whole(text, why).help(help));
        if is_name(text) {
            return Ok(());
        }
        let parts: Vec<&str> = text.split(',').collect();
        let mut family = None;
        for part in &parts {
            let found = match part_of(part) {
                Ok(found) => found,
                Err(why) => return wrong(why),
            };
            if family.is_some_and(|family| family != found) {
                return Err(ValueError::whole(text, "IPv4 and IPv6 in one rule").help("write a rule for each of the two"));
            }
            family = Some(found);
        }
        if parts.len() > 1 && text.contains('-') {
            return wrong("a range among several".to_owned());
        }
        Ok(())
    }
);

/// A set, `+dc/lan`, or an alias, `guest/router`.
fn is_name(text: &str) -> bool {
    let set = text.strip_prefix('+');
    let name = set.unwrap_or(text);
    let scopes: &[&str] = if set.is_some() {
        &["dc/", "guest/", "sdn/"]
    } else {
        &["dc/", "guest/"]
    };
    let name = scopes
        .iter()
        .find_map(|scope| name.strip_prefix(scope))
        .unwrap_or(name);
    name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// An address, a network without bits of a machine, or a range.
fn part_of(part: &str) -> Result<Family, String> {
    let nothing = || format!("`{}` is no address", part.escape_debug());
    let address = |text: &str| text.parse::<IpAddr>().map_err(|_| nothing());
    if let Some((first, last)) = part.split_once('-') {
        let (first, last) = (address(first)?, address(last)?);
        let ordered = Family::of(first) == Family::of(last) && first <= last;
        return if ordered {
            Ok(Family::of(first))
        } else {
            Err(format!("`{part}` is no range"))
        };
    }
    let Some((network, prefix)) = part.split_once('/') else {
        return address(part).map(Family::of);
    };
    let (network, prefix) = (
        address(network)?,
        prefix.parse::<u32>().map_err(|_| nothing())?,
    );
    let (bits, length) = match network {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    if prefix > length {
        return Err(nothing());
    }
    let machine = 1u128
        .checked_shl(length - prefix)
        .map_or(u128::MAX, |next| next - 1);
    if bits & machine != 0 {
        return Err(format!("`{part}` is a machine's address, not a network"));
    }
    Ok(Family::of(network))
}

impl FirewallAddresses {
    /// The family of its addresses; none of a set and of an alias.
    fn family(&self) -> Option<Family> {
        let first = self.as_str().split(',').next().unwrap_or_default();
        part_of(first).ok()
    }
}

/// The ports of a firewall's rule, as Proxmox VE writes them: a number, a range `137:138`, a list `80,443`; names of services; for
/// ICMP its types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallPorts(String);

impl FirewallPorts {
    /// Proxmox VE's rules hold so many; a range counts as two.
    const MOST: usize = 15;

    /// As Proxmox VE writes them.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One port.
    pub fn one(port: u16) -> Self {
        Self(port.to_string())
    }

    /// Reads a list.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        // A service's name, as `https`, is taken from /etc/services.
        let service = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_lowercase())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let mut count = 0;
        for part in text.split(',') {
            let fits = if let Some((first, last)) = part.split_once(':') {
                count += 2;
                number(first)
                    .zip(number(last))
                    .is_some_and(|(first, last)| first <= last)
            } else {
                count += usize::from(number(part).is_some());
                number(part).is_some() || service(part) || is_among(ICMP_TYPES, part)
            };
            if !fits || part.is_empty() {
                let why = format!("`{}` is not a list of ports", text.escape_debug());
                return Err(
                    ValueError::whole(text, why).help("write `22`, `\"80,443\"` or `\"137:138\"`")
                );
            }
        }
        if count > Self::MOST {
            let why = format!("{count} ports in one rule");
            let help = format!(
                "write several rules: one holds {}, and a range counts as two",
                Self::MOST
            );
            return Err(ValueError::whole(text, why).help(help));
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether all of them are types of ICMP.
    fn are_icmp_types(&self) -> bool {
        self.0.split(',').all(|part| is_among(ICMP_TYPES, part))
    }
}

impl schemars::JsonSchema for FirewallPorts {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FirewallPorts".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65535 },
            { "type": "string" },
        ] })
    }
}

/// What a rule compares with.
#[derive(Debug, Clone, Copy, Default)]
pub struct FirewallMatch<'a> {
    /// The protocol.
    pub protocol: Option<&'a FirewallProtocol>,
    /// The ports that it is for.
    pub port: Option<&'a FirewallPorts>,
    /// Where it comes from.
    pub from: Option<&'a FirewallAddresses>,
    /// Where it goes.
    pub to: Option<&'a FirewallAddresses>,
}

/// Why Proxmox VE leaves a rule out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnheardRule {
    /// Ports of no protocol.
    NoProtocol,
    /// Ports of a protocol that has none.
    NoPorts,
    /// Ports of ICMP, which has types.
    NoTypes,
    /// IPv4 and IPv6 at once.
    MixedFamilies,
}

impl FirewallMatch<'_> {
    /// Why Proxmox VE would leave the rule out.
    pub fn unheard(&self) -> Option<UnheardRule> {
        let is_icmp = self
            .protocol
            .is_some_and(|protocol| protocol.family().is_some());
        match (self.port, self.protocol) {
            (Some(_), None) => return Some(UnheardRule::NoProtocol),
            (Some(port), Some(_)) if is_icmp && !port.are_icmp_types() => {
                return Some(UnheardRule::NoTypes);
            }
            (Some(port), Some(protocol))
                if !is_icmp && (!protocol.has_ports() || port.are_icmp_types()) =>
            {
                return Some(UnheardRule::NoPorts);
            }
            (Some(_) | None, _) => {}
        }
        let families = [
            self.protocol.and_then(FirewallProtocol::family),
            self.from.and_then(FirewallAddresses::family),
            self.to.and_then(FirewallAddresses::family),
        ];
        let mut families = families.into_iter().flatten();
        let first = families.next()?;
        families
            .any(|family| family != first)
            .then_some(UnheardRule::MixedFamilies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_proxmox_ve_reads() {
        for right in [
            "192.168.1.10",
            "192.168.1.0/24",
            "192.168.1.0/24,10.0.0.1",
            "192.168.1.10-192.168.1.20",
            "fd00::/64,fe80::1",
            "+lan",
            "+dc/lan_2",
            "router",
            "guest/router",
            "0.0.0.0/0",
            "::/0",
        ] {
            assert!(FirewallAddresses::parse(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "300.1.1.1",
            "192.168.1.10/24",
            "192.168.1.0/33",
            "192.168.1.20-192.168.1.10",
            "10.0.0.1-10.0.0.2,10.0.0.9",
            "192.168.1.0/24,fd00::/64",
            "192.168.1.1,",
            "+",
            "a b",
            "-x",
            "x#y",
        ] {
            assert!(FirewallAddresses::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ports_are_numbers_ranges_services_and_types() {
        for right in [
            "22",
            "80,443",
            "137:138",
            "https",
            "echo-request",
            "TOS-host-redirect",
        ] {
            assert!(FirewallPorts::parse(right).is_ok(), "{right}");
        }
        let sixteen = vec!["1"; 16].join(",");
        for wrong in ["", "0", "65536", "30:20", "20-30", "80,", "SSH", &sixteen] {
            assert!(FirewallPorts::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rule_is_of_one_family_and_has_ports_where_there_are_some() {
        let why = |protocol: &str, port: &str, from: &str, to: &str| {
            let protocol = FirewallProtocol::parse(protocol).ok();
            let port = FirewallPorts::parse(port).ok();
            let (from, to) = (
                FirewallAddresses::parse(from).ok(),
                FirewallAddresses::parse(to).ok(),
            );
            FirewallMatch {
                protocol: protocol.as_ref(),
                port: port.as_ref(),
                from: from.as_ref(),
                to: to.as_ref(),
            }
            .unheard()
        };
        assert_eq!(why("tcp", "22", "10.0.0.1", ""), None);
        assert_eq!(why("", "22", "", ""), Some(UnheardRule::NoProtocol));
        assert_eq!(why("icmp", "22", "", ""), Some(UnheardRule::NoTypes));
        assert_eq!(why("icmp", "echo-request", "", ""), None);
        assert_eq!(
            why("tcp", "echo-request", "", ""),
            Some(UnheardRule::NoPorts)
        );
        assert_eq!(why("gre", "22", "", ""), Some(UnheardRule::NoPorts));
        assert_eq!(
            why("icmpv6", "", "10.0.0.1", ""),
            Some(UnheardRule::MixedFamilies)
        );
        assert_eq!(
            why("", "", "10.0.0.1", "fd00::1"),
            Some(UnheardRule::MixedFamilies)
        );
        assert_eq!(why("", "", "+lan", "fd00::1"), None);
    }
}
