//! What a rule of Proxmox VE's firewall compares with. A rule that it cannot read it leaves out, and says so nowhere but in its log
//! (`PVE::Firewall::verify_rule`, `parse_address_list`, `parse_port_name_number_or_range`).

use std::fmt;
use std::net::IpAddr;

use super::text::text;
use super::{FirewallMacro, SpecString, ValueError, spec_string};
use crate::diagnostics::Code;
use crate::near::nearest;

/// Names of aliases and of sets are no longer.
const LONGEST_NAME: usize = 64;

/// The names of `/etc/protocols` on Debian (netbase), and the one that Proxmox VE adds.
const PROTOCOLS: &str = " ah ax.25 dccp ddp egp eigrp encap esp etherip ethernet fc ggp gre hip hmp hopopt icmp icmpv6 idpr-cmtp idrp igmp \
    igp ip ipcomp ipencap ipip ipv6 ipv6-frag ipv6-icmp ipv6-nonxt ipv6-opts ipv6-route isis iso-tp4 l2tp manet mobility-header \
    mpls-in-ip mptcp ospf pim pup rdp rohc rspf rsvp sctp shim6 skip st tcp udp udplite vmtp vrrp wesp xns-idp xtp ";

/// Those that have ports, and their numbers.
const WITH_PORTS: [&str; 10] = [
    "tcp", "6", "udp", "17", "dccp", "33", "sctp", "132", "udplite", "136",
];

/// The protocols of `/etc/ethertypes` (netbase 6.4) as Proxmox VE reads that file: it takes a number of decimal digits alone
/// (`PVE::Firewall::parse_protocol_file`), so neither `IPv6` (86DD) nor another name of a protocol is one to it.
const ETHERTYPES: [(&str, &str); 18] = [
    ("IPv4", "0800"),
    ("X25", "0805"),
    ("ARP", "0806"),
    ("FR_ARP", "0808"),
    ("TEB", "6558"),
    ("RAW_FR", "6559"),
    ("RARP", "8035"),
    ("802_1Q", "8100"),
    ("IPX", "8137"),
    ("NetBEUI", "8191"),
    ("MPLS", "8847"),
    ("MPLS_MULTI", "8848"),
    ("PPP_DISC", "8863"),
    ("PPP_SES", "8864"),
    ("ATMFATE", "8884"),
    ("FCOE", "8906"),
    ("FIP", "8914"),
    ("ROCE", "8915"),
];

/// The types of ICMP, which stand where other protocols have ports.
const ICMP_TYPES: &str = " any echo-reply destination-unreachable network-unreachable host-unreachable protocol-unreachable \
    port-unreachable fragmentation-needed source-route-failed network-unknown host-unknown network-prohibited host-prohibited \
    TOS-network-unreachable TOS-host-unreachable communication-prohibited host-precedence-violation precedence-cutoff source-quench \
    redirect network-redirect host-redirect TOS-network-redirect TOS-host-redirect echo-request router-advertisement \
    router-solicitation time-exceeded ttl-zero-during-transit ttl-zero-during-reassembly parameter-problem ip-header-bad \
    required-option-missing timestamp-request timestamp-reply address-mask-request address-mask-reply ";

/// Those of ICMPv6.
const ICMPV6_TYPES: &str = " destination-unreachable no-route communication-prohibited beyond-scope address-unreachable \
    port-unreachable failed-policy reject-route packet-too-big time-exceeded ttl-zero-during-transit ttl-zero-during-reassembly \
    parameter-problem bad-header unknown-header-type unknown-option echo-request echo-reply router-solicitation \
    router-advertisement neighbor-solicitation neighbour-solicitation neighbor-advertisement neighbour-advertisement redirect ";

fn is_icmp_type(word: &str) -> bool {
    !word.is_empty() && (is_among(ICMP_TYPES, word) || is_among(ICMPV6_TYPES, word))
}

fn is_among(list: &str, word: &str) -> bool {
    list.split(' ').any(|known| known == word)
}

text!(
    /// A protocol of a firewall's rule: a name of `/etc/protocols`, or a number.
    FirewallProtocol,
    MOX0021,
    "a protocol, as `\"tcp\"`",
    firewall_protocol
);

/// The rule of [`FirewallProtocol`].
fn firewall_protocol(text: &str) -> Result<(), ValueError> {
    let is_number = text
        .parse::<u8>()
        .is_ok_and(|number| number.to_string() == text);
    if is_number || (!text.is_empty() && is_among(PROTOCOLS, text)) {
        return Ok(());
    }
    Err(ValueError::whole(text, format!("no protocol `{}`", text.escape_debug()))
            .help("write `tcp`, `udp`, `icmp`, `icmpv6`, or another name of `/etc/protocols`; a rule is for one of them"))
}

impl FirewallProtocol {
    /// Whether it has ports.
    fn has_ports(&self) -> bool {
        WITH_PORTS.contains(&self.as_str())
    }

    /// The types that it has in place of ports, where it is a protocol of ICMP.
    fn types(&self) -> Option<&'static str> {
        Some(match self.family()? {
            Family::V4 => ICMP_TYPES,
            Family::V6 => ICMPV6_TYPES,
        })
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
    firewall_addresses
);

/// The rule of [`FirewallAddresses`].
fn firewall_addresses(text: &str) -> Result<(), ValueError> {
    let help = "write `\"192.168.1.10\"`, `\"192.168.1.0/24,10.0.0.0/8\"`, `\"192.168.1.10-192.168.1.20\"`, or a set: `\"+lan\"`";
    let wrong = |why: String| Err(ValueError::whole(text, why).help(help));
    if is_name(text) {
        let set = text.strip_prefix('+');
        return set.map_or(Ok(()), |set| {
            lower_name(set.rsplit('/').next().unwrap_or(set), LONGEST_NAME)
        });
    }
    let parts: Vec<&str> = text.split(',').collect();
    let mut family = None;
    for part in &parts {
        let found = match part_of(part) {
            Ok(found) => found,
            Err(why) => return wrong(why),
        };
        if family.is_some_and(|family| family != found) {
            return Err(ValueError::whole(text, "IPv4 and IPv6 in one rule")
                .help("write a rule for each of the two"));
        }
        family = Some(found);
    }
    if parts.len() > 1 && text.contains('-') {
        return wrong("a range among several".to_owned());
    }
    Ok(())
}

/// Whether Proxmox VE's firewall takes it for a name.
fn is_plain_name(name: &str, longest: usize) -> bool {
    (2..=longest).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn plain_name(text: &str, longest: usize) -> Result<(), ValueError> {
    if is_plain_name(text, longest) {
        return Ok(());
    }
    let why = format!(
        "`{}` is not a name that Proxmox VE's firewall takes",
        text.escape_debug()
    );
    Err(ValueError::whole(text, why).help(format!(
        "2 to {longest} letters, digits, `-` and `_`, and a letter first"
    )))
}

/// Proxmox VE reads the names of sets and groups in lower case, and compares them with what rules write.
fn lower_name(text: &str, longest: usize) -> Result<(), ValueError> {
    plain_name(text, longest)?;
    let lower = text.to_ascii_lowercase();
    if lower == text {
        return Ok(());
    }
    let why = format!("`{text}` has capital letters");
    let help =
        format!("write `{lower}`: Proxmox VE knows sets and groups in lower-case letters only");
    Err(ValueError::whole(text, why).help(help))
}

text!(
    /// The name of an alias of a firewall.
    FirewallAliasName,
    MOX0012,
    "the name of an alias, as `\"router\"`",
    firewall_alias_name
);

/// The rule of [`FirewallAliasName`].
fn firewall_alias_name(text: &str) -> Result<(), ValueError> {
    plain_name(text, LONGEST_NAME)
}

text!(
    /// The name of a set of a firewall.
    FirewallSetName,
    MOX0012,
    "the name of a set, as `\"office\"`",
    firewall_set_name
);

/// The rule of [`FirewallSetName`].
fn firewall_set_name(text: &str) -> Result<(), ValueError> {
    lower_name(text, LONGEST_NAME)
}

text!(
    /// The name of a security group of the datacenter.
    FirewallGroup,
    MOX0012,
    "the name of a security group, as `\"web\"`",
    firewall_group
);

/// The rule of [`FirewallGroup`].
fn firewall_group(text: &str) -> Result<(), ValueError> {
    lower_name(text, 18)
}

text!(
    /// A type of ICMP or ICMPv6.
    FirewallIcmpType,
    MOX0005,
    "a type of ICMP, as `\"echo-request\"`",
    firewall_icmp_type
);

/// The rule of [`FirewallIcmpType`].
fn firewall_icmp_type(text: &str) -> Result<(), ValueError> {
    if is_icmp_type(text) {
        return Ok(());
    }
    let why = format!("no type of ICMP `{}`", text.escape_debug());
    let wrong = ValueError::whole(text, why);
    let known = ICMP_TYPES
        .split(' ')
        .chain(ICMPV6_TYPES.split(' '))
        .filter(|word| !word.is_empty());
    Err(match nearest(text, known) {
        Some(near) => wrong.help(format!("did you mean `{near}`?")),
        None => wrong.help(
            "write `echo-request`, `echo-reply`, or another name that `iptables -p icmp -h` knows",
        ),
    })
}

text!(
    /// A protocol of Ethernet that Proxmox VE knows.
    EtherType,
    MOX0005,
    "a protocol of Ethernet, as `\"ARP\"`",
    ether_type
);

/// The rule of [`EtherType`].
fn ether_type(text: &str) -> Result<(), ValueError> {
    let mut known = ETHERTYPES.iter();
    if known.any(|(name, number)| text == *name || text == *number) {
        return Ok(());
    }
    let why = format!(
        "Proxmox VE knows no protocol of Ethernet `{}`",
        text.escape_debug()
    );
    let wrong = ValueError::whole(text, why);
    let names = ETHERTYPES.iter().map(|(name, _)| *name);
    Err(match nearest(text, names) {
            Some(near) => wrong.help(format!("did you mean `{near}`?")),
            None => wrong.help("write `IPv4`, `ARP`, or another name of the host's `/etc/ethertypes` whose number has digits alone: Proxmox VE reads no others"),
        })
}

text!(
    /// Queues of the kernel's filter in which another program looks at packets: one, or a range.
    FirewallQueues,
    MOX0005,
    "a queue or a range of them, as `\"0\"` or `\"0:3\"`",
    firewall_queues
);

/// The rule of [`FirewallQueues`].
fn firewall_queues(text: &str) -> Result<(), ValueError> {
    let number = |text: &str| {
        text.bytes()
            .all(|one| one.is_ascii_digit())
            .then(|| text.parse::<u16>().ok())?
    };
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(()),
        _ => Err(
            ValueError::whole(text, format!("`{}` is no queue", text.escape_debug()))
                .help("write `\"0\"`, or `\"0:3\"` for four queues"),
        ),
    }
}

text!(
    /// An address or a network that has a name: an alias stands for one of them.
    FirewallNetwork,
    MOX0009,
    "an address or a network, as `\"192.168.1.0/24\"`",
    firewall_network
);

/// The rule of [`FirewallNetwork`].
fn firewall_network(text: &str) -> Result<(), ValueError> {
    let help = "write `\"192.168.1.10\"` or `\"192.168.1.0/24\"`";
    if text.contains('-') {
        return Err(
            ValueError::whole(text, format!("`{}` is a range", text.escape_debug())).help(help),
        );
    }
    part_of(text)
        .map(|_| ())
        .map_err(|why| ValueError::whole(text, why).help(help))
}

text!(
    /// What is in a set: an address, a network, or an alias; behind a `!`, what is not.
    FirewallMember,
    MOX0009,
    "an address, a network or an alias, as `\"192.168.1.0/24\"`; `\"!192.168.1.1\"` for what is not in it",
    firewall_member
);

/// The rule of [`FirewallMember`].
fn firewall_member(text: &str) -> Result<(), ValueError> {
    let member = text.strip_prefix('!').unwrap_or(text);
    if is_name(member) && !member.starts_with('+') {
        return Ok(());
    }
    FirewallNetwork::parse(member).map(|_| ()).map_err(|wrong| ValueError::whole(text, wrong.message)
            .help("write `\"192.168.1.10\"`, `\"192.168.1.0/24\"` or an alias; with a `!` before it for what is not in the set"))
}

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
    is_plain_name(name, LONGEST_NAME)
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
            Err(format!("`{part}` is not a range"))
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
    /// The set or the alias that it names: whether it is a set, whose it is, and its name.
    pub fn named(&self) -> Option<(bool, Option<&str>, &str)> {
        let text = self.as_str();
        if !is_name(text) {
            return None;
        }
        let set = text.strip_prefix('+');
        let (scope, name) = match set.unwrap_or(text).split_once('/') {
            Some((scope, name)) => (Some(scope), name),
            None => (None, set.unwrap_or(text)),
        };
        Some((set.is_some(), scope, name))
    }

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
                number(part).is_some() || service(part) || is_icmp_type(part)
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

    /// Whether one of them is a type of ICMP.
    fn has_icmp_type(&self) -> bool {
        self.0.split(',').any(is_icmp_type)
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
    /// The macro that says the protocols and ports.
    pub service: Option<FirewallMacro>,
    /// The protocol.
    pub protocol: Option<&'a FirewallProtocol>,
    /// The ports that it is for.
    pub port: Option<&'a FirewallPorts>,
    /// The ports that it comes from.
    pub from_port: Option<&'a FirewallPorts>,
    /// The type of ICMP that it is for.
    pub icmp_type: Option<&'a FirewallIcmpType>,
    /// Where it comes from.
    pub from: Option<&'a FirewallAddresses>,
    /// Where it goes.
    pub to: Option<&'a FirewallAddresses>,
}

/// Why Proxmox VE leaves a rule out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnheardRule {
    /// Ports, or a type of ICMP, of no protocol.
    NoProtocol(RuleKey),
    /// Ports of a protocol that has none.
    NoPorts(RuleKey),
    /// Ports of ICMP, which has types.
    NoTypes,
    /// A type of ICMP of a protocol that has none of this name.
    OtherType(RuleKey),
    /// A type of ICMP said twice.
    TypeTwice,
    /// What the macro says in another way already.
    InMacro(RuleKey),
    /// IPv4 and IPv6 at once.
    MixedFamilies,
}

/// A key of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKey {
    /// `protocol`
    Protocol,
    /// `port`
    Port,
    /// `from-port`
    FromPort,
    /// `icmp-type`
    IcmpType,
}

impl RuleKey {
    /// As a spec writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Port => "port",
            Self::FromPort => "from-port",
            Self::IcmpType => "icmp-type",
        }
    }
}

impl FirewallMatch<'_> {
    /// Why Proxmox VE would leave the rule out: when it reads it (`verify_rule`), or when it makes iptables' rules of it
    /// (`ipt_rule_to_cmds`).
    pub fn unheard(&self) -> Option<UnheardRule> {
        self.unheard_ports()
            .or_else(|| self.unheard_families())
            .or_else(|| self.unheard_macro())
    }

    fn unheard_ports(&self) -> Option<UnheardRule> {
        let keys = [
            (RuleKey::Port, self.port.is_some()),
            (RuleKey::FromPort, self.from_port.is_some()),
            (RuleKey::IcmpType, self.icmp_type.is_some()),
        ];
        let mut written = keys.into_iter().filter(|(_, is_there)| *is_there);
        let Some(protocol) = self.protocol else {
            return written.next().map(|(key, _)| UnheardRule::NoProtocol(key));
        };
        let Some(types) = protocol.types() else {
            if self.icmp_type.is_some() {
                return Some(UnheardRule::OtherType(RuleKey::IcmpType));
            }
            let has_type = self.port.is_some_and(FirewallPorts::has_icmp_type);
            return written
                .find(|(key, _)| !protocol.has_ports() || (has_type && *key == RuleKey::Port))
                .map(|(key, _)| UnheardRule::NoPorts(key));
        };
        if self.from_port.is_some() {
            return Some(UnheardRule::NoPorts(RuleKey::FromPort));
        }
        match (self.port, self.icmp_type) {
            (Some(_), Some(_)) => Some(UnheardRule::TypeTwice),
            // `ipv6-icmp` has no ports to iptables' rules, in which types are one.
            (Some(port), None) if !port.has_icmp_type() || protocol.as_str() == "ipv6-icmp" => {
                Some(UnheardRule::NoTypes)
            }
            (Some(port), None) if !is_among(types, port.as_str()) => {
                Some(UnheardRule::OtherType(RuleKey::Port))
            }
            (None, Some(kind)) if !is_among(types, kind.as_str()) => {
                Some(UnheardRule::OtherType(RuleKey::IcmpType))
            }
            (Some(_) | None, None) | (None, Some(_)) => None,
        }
    }

    fn families(&self) -> impl Iterator<Item = Family> {
        let families = [
            self.protocol.and_then(FirewallProtocol::family),
            self.from.and_then(FirewallAddresses::family),
            self.to.and_then(FirewallAddresses::family),
        ];
        families.into_iter().flatten()
    }

    fn unheard_families(&self) -> Option<UnheardRule> {
        let mut families = self.families();
        let first = families.next()?;
        let own = self
            .service
            .filter(|service| service.parts(Some(first)).is_empty());
        (own.is_some() || families.any(|family| family != first))
            .then_some(UnheardRule::MixedFamilies)
    }

    /// A macro's own words stay as they are (`$apply_macro`): what the rule says beside it, each of its parts leaves open, or
    /// says in the same way.
    fn unheard_macro(&self) -> Option<UnheardRule> {
        let parts = self.service?.parts(self.families().next());
        let said = [
            (
                RuleKey::Protocol,
                self.protocol.map(FirewallProtocol::as_str),
            ),
            (RuleKey::Port, self.port.map(FirewallPorts::as_str)),
            (RuleKey::FromPort, self.from_port.map(FirewallPorts::as_str)),
        ];
        let (key, _) = said.into_iter().find(|(key, said)| {
            said.is_some_and(|said| {
                parts.iter().any(|(protocol, port, from_port)| {
                    let own = match key {
                        RuleKey::Protocol => protocol,
                        RuleKey::Port => port,
                        RuleKey::FromPort | RuleKey::IcmpType => from_port,
                    };
                    !own.is_empty() && *own != said
                })
            })
        })?;
        Some(UnheardRule::InMacro(key))
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
        use RuleKey::{FromPort, IcmpType, Port, Protocol};
        use UnheardRule::{
            InMacro, MixedFamilies, NoPorts, NoProtocol, NoTypes, OtherType, TypeTwice,
        };
        // `key=value` a word, by the options of Proxmox VE's own rules.
        let why = |rule: &str| {
            let word = |key: &str| {
                rule.split(' ')
                    .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
            };
            let protocol = word("p").map(|word| FirewallProtocol::parse(word).expect(word));
            let ports = ["dport", "sport"]
                .map(|key| word(key).map(|word| FirewallPorts::parse(word).expect(word)));
            let icmp_type = word("icmp").map(|word| FirewallIcmpType::parse(word).expect(word));
            let [from, to] = ["source", "dest"]
                .map(|key| word(key).map(|word| FirewallAddresses::parse(word).expect(word)));
            FirewallMatch {
                service: word("macro").map(|word| FirewallMacro::parse(word).expect(word)),
                protocol: protocol.as_ref(),
                port: ports[0].as_ref(),
                from_port: ports[1].as_ref(),
                icmp_type: icmp_type.as_ref(),
                from: from.as_ref(),
                to: to.as_ref(),
            }
            .unheard()
        };
        for (rule, expected) in [
            ("p=tcp dport=22 sport=1024:65535 source=10.0.0.1", None),
            ("dport=22", Some(NoProtocol(Port))),
            ("sport=22", Some(NoProtocol(FromPort))),
            ("icmp=any", Some(NoProtocol(IcmpType))),
            ("p=icmp dport=22", Some(NoTypes)),
            ("p=icmp dport=echo-request", None),
            (
                "p=icmp dport=echo-request,echo-reply",
                Some(OtherType(Port)),
            ),
            ("p=icmp dport=no-route", Some(OtherType(Port))),
            ("p=icmpv6 dport=no-route", None),
            ("p=ipv6-icmp dport=no-route", Some(NoTypes)),
            ("p=ipv6-icmp icmp=no-route", None),
            ("p=icmp icmp=echo-request", None),
            (
                "p=icmp icmp=echo-request dport=echo-request",
                Some(TypeTwice),
            ),
            ("p=icmp icmp=no-route", Some(OtherType(IcmpType))),
            ("p=tcp icmp=echo-request", Some(OtherType(IcmpType))),
            ("p=icmp sport=22", Some(NoPorts(FromPort))),
            ("p=tcp dport=echo-request", Some(NoPorts(Port))),
            ("p=gre dport=22", Some(NoPorts(Port))),
            ("p=icmpv6 source=10.0.0.1", Some(MixedFamilies)),
            ("source=10.0.0.1 dest=fd00::1", Some(MixedFamilies)),
            ("source=+lan dest=fd00::1", None),
            ("macro=SSH source=10.0.0.1", None),
            ("macro=SSH p=tcp sport=1024:65535", None),
            ("macro=SSH p=tcp dport=22", None),
            ("macro=SSH p=udp", Some(InMacro(Protocol))),
            ("macro=SSH p=tcp dport=2222", Some(InMacro(Port))),
            ("macro=DNS p=udp", Some(InMacro(Protocol))),
            ("macro=IPsec p=udp sport=4500", Some(InMacro(Protocol))),
            ("macro=GRE source=fd00::1", None),
            ("macro=Ping source=fd00::1", None),
            ("macro=NeighborDiscovery", None),
            (
                "macro=NeighborDiscovery source=10.0.0.1",
                Some(MixedFamilies),
            ),
        ] {
            assert_eq!(why(rule), expected, "{rule}");
        }
    }
}
