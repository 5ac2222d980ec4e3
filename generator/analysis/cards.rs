//! Network cards of guests: addresses that are nobody's, and a firewall that filters nothing.

use std::net::{IpAddr, Ipv4Addr};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, GuestNic, Host};
use crate::source::Span;
use crate::value::{Cidr, UnheardRule};

pub(super) fn check(host: &Host, sink: &mut Sink) {
    for guest in host.guests.values() {
        addresses(guest, sink);
        firewall(guest, sink);
        rules(guest, sink);
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
        let Some((what, first, last)) = reserved(address.value) else {
            continue;
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0616,
                address.span,
                format!("`{}` has the {what} of its network", guest.name.value),
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
        let Some(why) = rule.compared().unheard() else {
            continue;
        };
        let port = rule.port.as_ref().map(|port| port.span);
        let protocol = rule.protocol.as_ref();
        let (message, help, also) = match why {
            UnheardRule::NoProtocol => (
                "ports of no protocol".to_owned(),
                "add `protocol = \"tcp\"`, or `\"udp\"`: a rule is for one of the two",
                None,
            ),
            UnheardRule::NoPorts => (
                "ports of a protocol that has none".to_owned(),
                "leave `port` out, or name a protocol that has it: `tcp`, `udp`, `sctp`; types are of `icmp`",
                protocol,
            ),
            UnheardRule::NoTypes => (
                "ports of ICMP".to_owned(),
                "leave `port` out, or name a type there: `port = \"echo-request\"`",
                protocol,
            ),
            UnheardRule::MixedFamilies => (
                "IPv4 and IPv6 in one rule".to_owned(),
                "write a rule for each of the two",
                None,
            ),
        };
        let place = port.filter(|_| why != UnheardRule::MixedFamilies);
        let mut told = Diagnostic::new(Code::MOX0662, place.unwrap_or(rule.span), message);
        if let Some(protocol) = also {
            told = told.also(protocol.span, "the protocol");
        }
        sink.push(
            told.note("Proxmox VE leaves such a rule out, and tells nobody: what it should let through is cut off, what it should stop comes in")
                .help(help),
        );
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
