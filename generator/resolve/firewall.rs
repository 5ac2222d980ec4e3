//! `[….firewall]`: what is let through at a guest's cards.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{
    FirewallAction, FirewallAlias, FirewallOptions, FirewallRule, FirewallSet, GuestFirewall,
    GuestNic, Setting,
};
use crate::near::did_you_mean;
use crate::source::{Span, Spanned};
use crate::spec::guest::{FirewallRuleSpec, FirewallSetSpec, GuestFirewallSpec};
use crate::spec::reader::{OneOf, ShortOrLong};
use crate::value::{FirewallDirection, FirewallLog, FirewallMember, FirewallPolicy, Line};

use super::choice;

/// The cards of a guest, and whether all that its table names are among them.
#[derive(Clone, Copy)]
pub(super) struct Cards<'a> {
    pub(super) known: &'a [GuestNic],
    pub(super) all: bool,
}

pub(super) fn firewall(
    spec: &GuestFirewallSpec,
    cards: Cards<'_>,
    sink: &mut Sink,
) -> GuestFirewall {
    let log =
        |level: Option<Spanned<OneOf<FirewallLog>>>| level.map(|level| level.map(|one| one.0));
    let rules = spec.rules.iter().flat_map(|rules| &rules.value);
    GuestFirewall {
        span: spec.span,
        enabled: Setting::or_default(spec.enabled, true, spec.span),
        // What Proxmox VE does where its file says nothing.
        policy_in: choice(spec.policy_in, FirewallPolicy::Drop, spec.span),
        policy_out: choice(spec.policy_out, FirewallPolicy::Accept, spec.span),
        options: FirewallOptions {
            dhcp: spec.dhcp,
            ndp: spec.ndp,
            radv: spec.radv,
            macfilter: spec.macfilter,
            ipfilter: spec.ipfilter,
            log_in: log(spec.log_in),
            log_out: log(spec.log_out),
            ips: spec.ips,
            ips_queues: spec.ips_queues.clone(),
            layer2_protocols: spec
                .layer2_protocols
                .iter()
                .flat_map(|list| list.value.clone())
                .collect(),
        },
        aliases: aliases(spec, sink),
        sets: sets(spec),
        rules: rules
            .filter_map(|rule| firewall_rule(&rule.value, cards, sink))
            .collect(),
    }
}

fn aliases(spec: &GuestFirewallSpec, sink: &mut Sink) -> Vec<FirewallAlias> {
    let mut aliases: Vec<FirewallAlias> = Vec::new();
    for row in spec.aliases.iter().flat_map(|aliases| &aliases.value.rows) {
        let (Some(name), Some(body)) = (&row.name, row.body()) else {
            continue;
        };
        let twin = |other: &&FirewallAlias| {
            other
                .name
                .value
                .as_str()
                .eq_ignore_ascii_case(name.as_str())
        };
        if let Some(other) = aliases.iter().find(twin) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    row.key.span,
                    format!("alias `{name}` beside `{}`", other.name.value),
                )
                .also(other.name.span, "the other one")
                .help("remove one of them: capital letters do not tell aliases apart"),
            );
            continue;
        }
        let (address, comment) = match body {
            ShortOrLong::Short(address) => (address.clone(), None),
            ShortOrLong::Long(table) => match &table.address {
                Some(address) => (address.value.clone(), table.comment.clone()),
                None => continue,
            },
        };
        aliases.push(FirewallAlias {
            name: Spanned::new(name.clone(), row.key.span),
            address,
            comment,
        });
    }
    aliases
}

fn sets(spec: &GuestFirewallSpec) -> Vec<FirewallSet> {
    let rows = spec.sets.iter().flat_map(|sets| &sets.value.rows);
    rows.filter_map(|row| {
        let (members, comment) = match row.body()? {
            ShortOrLong::Short(members) => (
                members.iter().map(|one| (one.clone(), None)).collect(),
                None,
            ),
            ShortOrLong::Long(table) => (members(table), table.comment.clone()),
        };
        Some(FirewallSet {
            name: Spanned::new(row.name.clone()?, row.key.span),
            members,
            comment,
        })
    })
    .collect()
}

fn members(table: &FirewallSetSpec) -> Vec<(Spanned<FirewallMember>, Option<Spanned<Line>>)> {
    let members = table.members.iter().flat_map(|members| &members.value);
    members
        .filter_map(|member| match &member.value {
            ShortOrLong::Short(address) => Some((Spanned::new(address.clone(), member.span), None)),
            ShortOrLong::Long(table) => Some((table.address.clone()?, table.comment.clone())),
        })
        .collect()
}

fn firewall_rule(
    spec: &FirewallRuleSpec,
    cards: Cards<'_>,
    sink: &mut Sink,
) -> Option<FirewallRule> {
    let card = spec.card.as_ref().and_then(|card| slot(card, cards, sink));
    Some(FirewallRule {
        span: spec.span,
        action: action(spec, sink)?,
        direction: choice(spec.direction, FirewallDirection::In, spec.span),
        card,
        service: spec.service,
        protocol: spec.protocol.clone(),
        port: spec.port.clone(),
        from_port: spec.from_port.clone(),
        icmp_type: spec.icmp_type.clone(),
        from: spec.from.clone(),
        to: spec.to.clone(),
        log: choice(spec.log, FirewallLog::Nolog, spec.span),
        comment: spec.comment.clone(),
        enabled: Setting::or_default(spec.enabled, true, spec.span),
    })
}

/// What a rule does: an action, or a group in its place, beside which nothing else is heard (`generate_group_rules`).
fn action(spec: &FirewallRuleSpec, sink: &mut Sink) -> Option<FirewallAction> {
    let Some(group) = &spec.group else {
        if spec.action.is_none()
            && !spec
                .misread
                .iter()
                .any(|key| matches!(*key, "action" | "group"))
        {
            sink.push(
                Diagnostic::new(
                    Code::MOX0004,
                    spec.span,
                    "the key `action` or `group` is missing",
                )
                .label("in this rule"),
            );
        }
        let written = spec.action?.map(|action| action.0);
        return Some(FirewallAction::Policy(Setting::or_missing(
            Some(written),
            FirewallPolicy::Drop,
            spec.span,
        )));
    };
    if let Some(action) = spec.action {
        sink.push(
            Diagnostic::new(Code::MOX0016, group.span, "`group` beside `action`")
                .also(action.span, "the action")
                .help("remove one of them: the rules of a group have actions of their own"),
        );
    }
    for (key, place) in beside_group(spec) {
        if let Some(place) = place {
            sink.push(
                Diagnostic::unheard(key, place, "the rules of the group say it themselves")
                    .help("remove it here, or write a rule with an `action`"),
            );
        }
    }
    Some(FirewallAction::Group(group.clone()))
}

fn beside_group(spec: &FirewallRuleSpec) -> [(&'static str, Option<Span>); 9] {
    fn at<T>(key: Option<&Spanned<T>>) -> Option<Span> {
        key.map(|key| key.span)
    }
    [
        ("direction", at(spec.direction.as_ref())),
        ("macro", at(spec.service.as_ref())),
        ("protocol", at(spec.protocol.as_ref())),
        ("port", at(spec.port.as_ref())),
        ("from-port", at(spec.from_port.as_ref())),
        ("icmp-type", at(spec.icmp_type.as_ref())),
        ("from", at(spec.from.as_ref())),
        ("to", at(spec.to.as_ref())),
        ("log", at(spec.log.as_ref())),
    ]
}

/// The number of a card by its name in Proxmox VE.
fn slot(card: &Spanned<Line>, cards: Cards<'_>, sink: &mut Sink) -> Option<Spanned<u32>> {
    let name = |slot: u32| format!("net{slot}");
    let mut slots = cards.known.iter().map(|nic| nic.slot);
    if let Some(slot) = slots.find(|slot| name(*slot) == card.value.as_str()) {
        return Some(Spanned::new(slot, card.span));
    }
    if cards.all {
        let names: Vec<String> = cards.known.iter().map(|nic| name(nic.slot)).collect();
        let help = did_you_mean(
            card.value.as_str(),
            names.iter().map(String::as_str),
            "card of this guest",
        );
        let card_name = card.value.as_str().escape_debug();
        sink.push(
            Diagnostic::new(Code::MOX0106, card.span, format!("no card `{card_name}`"))
                .help_if(help),
        );
    }
    None
}
