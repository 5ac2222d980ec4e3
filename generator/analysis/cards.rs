//! Network cards of guests: addresses that are nobody's, and a firewall that filters nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::firewall::{FirewallNames, OpenPorts};
use crate::model::{FirewallAction, Guest, GuestNic, Host};
use crate::near::did_you_mean;
use crate::source::{Span, Spanned};
use crate::value::{Cidr, RuleKey, UnheardRule};

pub(super) fn check(host: &Host, sink: &mut Sink) {
    of_host(host, sink);
    let datacenter = FirewallNames::of_datacenter(host);
    for guest in host.guests.values() {
        addresses(guest, sink);
        // Neither a protocol nor a card's `firewall` is missing where it was not understood.
        if host.complete {
            firewall(guest, sink);
            unknown_ports(host, guest, sink);
            rules(guest, sink);
            rules_of_cards(guest, sink);
        }
        named(datacenter.as_ref(), guest, sink);
        members(guest, sink);
        ways_out(guest, sink);
    }
}

/// Two cards that both say where everything else goes.
fn ways_out(guest: &Guest, sink: &mut Sink) {
    if !guest.is_told_its_network() {
        return;
    }
    let of = |way: fn(&GuestNic) -> Option<Span>| guest.network.iter().filter_map(way);
    for (kind, ways) in [
        (
            "IPv4",
            of(|card| Some(card.gateway.as_ref()?.span)).collect::<Vec<_>>(),
        ),
        (
            "IPv6",
            of(|card| Some(card.gateway6.as_ref()?.span)).collect(),
        ),
    ] {
        if let [first, second, ..] = ways[..] {
            sink.push(
                Diagnostic::new(
                    Code::MOX0617,
                    second,
                    format!("`{}` has two ways out for {kind}", guest.name.value),
                )
                .also(first, "the first")
                .note("a system has one default route: it takes one of the two, or fails to bring the second card up")
                .help("keep the gateway of the card that leads to the Internet"),
            );
        }
    }
}

/// An address that stands for a whole network.
fn addresses(guest: &Guest, sink: &mut Sink) {
    for address in guest
        .network
        .iter()
        .flat_map(super::super::model::guest::GuestNic::static_addresses)
    {
        nobodys(&guest.name.value, address, sink);
    }
}

fn of_host(host: &Host, sink: &mut Sink) {
    for address in host.network.legs().flat_map(|leg| leg.ip.fixed_addresses()) {
        nobodys(host.name.as_str(), address, sink);
    }
}

fn nobodys(name: &str, address: Spanned<Cidr>, sink: &mut Sink) {
    if let Some((what, first, last)) = reserved(address.value) {
        sink.push(
            Diagnostic::new(
                Code::MOX0616,
                address.span,
                format!("`{name}` has the {what} of its network"),
            )
            .help(format!(
                "the machines of this network have {first} to {last}"
            )),
        );
    }
}

/// Whether an address is the network's or the broadcast address, and what machines may have. Networks of one or two
/// addresses (/31, /32) have neither.
fn reserved(cidr: Cidr) -> Option<(&'static str, Ipv4Addr, Ipv4Addr)> {
    let IpAddr::V4(address) = cidr.address() else {
        return None;
    };
    let prefix = u32::from(cidr.prefix());
    if prefix > 30 {
        return None;
    }
    let hosts = u32::MAX.checked_shr(prefix).unwrap_or(0);
    let number = u32::from(address);
    let network = number & !hosts;
    let what = match number & hosts {
        0 => "own address",
        own if own == hosts => "broadcast address",
        _ => return None,
    };
    let first = Ipv4Addr::from(network + 1);
    let last = Ipv4Addr::from((network | hosts) - 1);
    Some((what, first, last))
}

/// A setting of a NixOS guest that opens ports by no number, behind a card whose rules moxc makes of the numbers (MOX0663).
fn unknown_ports(host: &Host, guest: &Guest, sink: &mut Sink) {
    let (Some(nixos), None) = (&guest.nixos, &guest.firewall) else {
        return;
    };
    let Some(card) = guest.network.iter().find(|nic| *nic.firewall) else {
        return;
    };
    for (option, place) in OpenPorts::of(host, nixos).unknown {
        sink.push(
            Diagnostic::new(
                Code::MOX0663,
                place,
                format!("what `{option}` opens in `{}` stays closed in front of it", guest.name.value),
            )
            .label("says no port by its number")
            .also(card.firewall.span, "Proxmox VE drops here what no rule lets through")
            .note("moxc lets through `ports`, those of sshd where it runs, and the numbers in the guest's `networking.firewall`")
            .help(format!(
                "name the ports in `ports`, and leave this out; or say all that is let through in `[{}.{}.firewall]`",
                if guest.vm().is_some() { "vms" } else { "containers" },
                guest.name.value
            )),
        );
    }
}

/// A card that goes through the firewall of a guest for which it has no rules, and the other way round.
fn firewall(guest: &Guest, sink: &mut Sink) {
    let card = guest.network.iter().find(|nic| *nic.firewall);
    match (&guest.firewall, card) {
        (None, Some(card)) if guest.nixos.is_none() => sink.push(
            Diagnostic::new(
                Code::MOX0648,
                card.firewall.span,
                format!("the firewall lets everything through to `{}`", guest.name.value),
            )
            .label("a card alone filters nothing")
            .note("Proxmox VE filters a guest once its own firewall is switched on; only of NixOS guests moxc knows the ports, and writes rules")
            .help(format!(
                "say what is let through in `[{}.{}.firewall]`, or leave `firewall` out",
                if guest.vm().is_some() { "vms" } else { "containers" },
                guest.name.value
            )),
        ),
        (Some(firewall), None) => sink.push(
            Diagnostic::new(
                Code::MOX0648,
                firewall.span,
                format!("no card of `{}` goes through its firewall", guest.name.value),
            )
            .help("write `firewall = true` at the cards that it filters"),
        ),
        (None, None | Some(_)) | (Some(_), Some(_)) => {}
    }
}

/// Rules that Proxmox VE leaves out.
fn rules(guest: &Guest, sink: &mut Sink) {
    let rules = guest.firewall.iter().flat_map(|firewall| &firewall.rules);
    for rule in rules {
        let Some(why) = rule.unheard() else {
            continue;
        };
        let place = |key: RuleKey| match key {
            RuleKey::Protocol => rule.protocol.as_ref().map(|key| key.span),
            RuleKey::Port => rule.port.as_ref().map(|key| key.span),
            RuleKey::FromPort => rule.from_port.as_ref().map(|key| key.span),
            RuleKey::IcmpType => rule.icmp_type.as_ref().map(|key| key.span),
        };
        let protocol = rule.protocol.as_ref().map(|protocol| protocol.span);
        let (message, help, key, also) = match why {
            UnheardRule::NoProtocol(key) => (
                match key {
                    RuleKey::IcmpType => "a type of ICMP without its protocol",
                    RuleKey::Protocol | RuleKey::Port | RuleKey::FromPort => "ports of no protocol",
                }
                .to_owned(),
                match key {
                    RuleKey::IcmpType => "add `protocol = \"icmp\"`, or `\"icmpv6\"`".to_owned(),
                    RuleKey::Protocol | RuleKey::Port | RuleKey::FromPort => {
                        "add `protocol = \"tcp\"`, or `\"udp\"`: a rule is for one of the two".to_owned()
                    }
                },
                Some(key),
                None,
            ),
            UnheardRule::NoPorts(key) => (
                "ports of a protocol that has none".to_owned(),
                format!(
                    "leave `{}` out, or name a protocol that has it: `tcp`, `udp`, `sctp`; types are of `icmp`",
                    key.as_str()
                ),
                Some(key),
                protocol.map(|span| (span, "the protocol")),
            ),
            UnheardRule::NoTypes => (
                "ports of ICMP".to_owned(),
                "leave `port` out, or name a type: `icmp-type = \"echo-request\"`".to_owned(),
                Some(RuleKey::Port),
                protocol.map(|span| (span, "the protocol")),
            ),
            UnheardRule::OtherType(key) => (
                "a type of ICMP that its protocol does not have".to_owned(),
                "name one type of this protocol: `icmp` and `icmpv6` have types of their own, and other protocols have none".to_owned(),
                Some(key),
                protocol.map(|span| (span, "the protocol")),
            ),
            UnheardRule::TypeTwice => (
                "`icmp-type` beside `port`".to_owned(),
                "remove `port`: ICMP has types in place of ports".to_owned(),
                Some(RuleKey::IcmpType),
                place(RuleKey::Port).map(|span| (span, "the port")),
            ),
            UnheardRule::InMacro(key) => (
                format!("`{}` beside a macro that says it in another way", key.as_str()),
                format!(
                    "remove `{}`, or say the rule without `macro`: `protocol`, `port`",
                    key.as_str()
                ),
                Some(key),
                rule.service.map(|service| (service.span, "the macro")),
            ),
            UnheardRule::MixedFamilies => (
                "IPv4 and IPv6 in one rule".to_owned(),
                "write a rule for each of the two".to_owned(),
                None,
                None,
            ),
        };
        let at = key.and_then(place).unwrap_or(rule.span);
        let mut told = Diagnostic::new(Code::MOX0662, at, message);
        if let Some((span, what)) = also {
            told = told.also(span, what);
        }
        sink.push(told.note(LEFT_OUT).help(help));
    }
}

const LEFT_OUT: &str = "Proxmox VE leaves such a rule out, and tells nobody: what it should let through is cut off, what it should stop comes in";

/// Rules for a card that is not filtered.
fn rules_of_cards(guest: &Guest, sink: &mut Sink) {
    let rules = guest.firewall.iter().flat_map(|firewall| &firewall.rules);
    for rule in rules {
        let Some(card) = rule.card else { continue };
        let nic = guest.network.iter().find(|nic| nic.slot == card.value);
        let Some(nic) = nic.filter(|nic| !*nic.firewall) else {
            continue;
        };
        // Where no card is filtered, that is told once.
        if guest.network.iter().any(|nic| *nic.firewall) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0648,
                    card.span,
                    format!("a rule for `net{}`, which is not filtered", card.value),
                )
                .also(nic.span, "the card")
                .help("write `firewall = true` at the card, or remove the rule"),
            );
        }
    }
}

/// Sets, aliases and groups that rules name, and that are nowhere.
fn named(datacenter: Option<&FirewallNames>, guest: &Guest, sink: &mut Sink) {
    let Some(firewall) = &guest.firewall else {
        return;
    };
    let own = FirewallNames::of_guest(firewall);
    for rule in &firewall.rules {
        if let (FirewallAction::Group(group), Some(datacenter)) = (&rule.action, datacenter)
            && !datacenter.groups.contains(group.value.as_str())
        {
            let known = datacenter.groups.iter().map(String::as_str);
            let help = did_you_mean(
                group.value.as_str(),
                known,
                "group in the `cluster.fw` that it keeps",
            );
            sink.push(
                Diagnostic::new(
                    Code::MOX0662,
                    group.span,
                    format!("no security group `{}`", group.value),
                )
                .note("Proxmox VE passes over the rule")
                .help_if(help),
            );
        }
        for addresses in [&rule.from, &rule.to].into_iter().flatten() {
            let Some((is_set, scope, name)) = addresses.value.named() else {
                continue;
            };
            let kind = if is_set { "set" } else { "alias" };
            let all = match scope {
                Some("guest") => vec![own.kind(is_set)],
                Some("dc") => match datacenter {
                    Some(datacenter) => vec![datacenter.kind(is_set)],
                    None => continue,
                },
                // Those of SDN are made by it.
                Some(_) => continue,
                None => match datacenter {
                    Some(datacenter) => vec![own.kind(is_set), datacenter.kind(is_set)],
                    None => continue,
                },
            };
            let name = name.to_ascii_lowercase();
            if all.iter().any(|names| names.contains(&name)) {
                continue;
            }
            let known = all
                .iter()
                .flat_map(|names| names.iter().map(String::as_str));
            let help = did_you_mean(
                &name,
                known.collect::<Vec<_>>(),
                &format!("{kind} of a firewall"),
            );
            sink.push(
                Diagnostic::new(Code::MOX0662, addresses.span, format!("no {kind} `{name}`"))
                    .note(LEFT_OUT)
                    .help_if(help),
            );
        }
    }
}

/// A member of a set that stands in it twice, of which Proxmox VE takes the first.
fn members(guest: &Guest, sink: &mut Sink) {
    for set in guest.firewall.iter().flat_map(|firewall| &firewall.sets) {
        let mut seen = BTreeMap::new();
        for (member, _) in &set.members {
            let address = member.value.as_str().trim_start_matches('!');
            if let Some(first) = seen.insert(address, member.span) {
                sink.push(
                    Diagnostic::unheard(
                        member.value.as_str(),
                        member.span,
                        "it is in the set already",
                    )
                    .also(first, "the first, which counts")
                    .help("remove one of them"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_address_of_a_network_are_nobodys() {
        let found = |text: &str| reserved(text.parse().expect(text)).map(|(what, ..)| what);
        assert_eq!(found("192.0.2.0/24"), Some("own address"));
        assert_eq!(found("192.0.2.255/24"), Some("broadcast address"));
        assert_eq!(found("192.0.2.255/23"), None);
        assert_eq!(found("10.0.0.0/8"), Some("own address"));
        assert_eq!(found("10.0.0.4/30"), Some("own address"));
        assert_eq!(found("10.0.0.7/30"), Some("broadcast address"));
        for none in ["192.0.2.1/24", "10.0.0.0/31", "10.0.0.0/32", "fd00::/64"] {
            assert_eq!(found(none), None, "{none}");
        }
    }
}
