use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Arena, Bond, Bridge, Gateway, Machine, Network, Port, PortDevice, Setting};
use crate::source::Spanned;
use crate::spec::HostFile;
use crate::spec::reader::{GatewayName, unknown_reference};
use crate::value::{BondMode, BridgePort, HashPolicy, VlanSet};

use super::{Index, choice, list};

pub(super) fn resolve(file: &HostFile, index: &Index<'_>, sink: &mut Sink) -> Network {
    let domain = file.host.as_ref().and_then(|host| host.domain.clone());
    let Some(spec) = &file.network else {
        return Network {
            search: domain.into_iter().collect(),
            ..Network::default()
        };
    };
    let mut bridges = Vec::new();
    for row in spec.bridges.iter().flat_map(|table| &table.rows) {
        let Some(body) = &row.body else { continue };
        let ports = body
            .ports
            .iter()
            .flat_map(|ports| &ports.value)
            .filter_map(|port| self::port(port, index, sink))
            .collect();
        bridges.push(Bridge {
            name: row.key.clone(),
            span: body.span,
            description: body.description.clone(),
            ports,
            address: family(body.address, false, "address", sink),
            address6: family(body.address6, true, "address6", sink),
            gateway: body
                .gateway
                .as_ref()
                .and_then(|g| gateway(g, false, index, sink)),
            gateway6: body
                .gateway6
                .as_ref()
                .and_then(|g| gateway(g, true, index, sink)),
            vlan_aware: Setting::or_default(body.vlan_aware, false, body.span),
            vids: Setting::or_default(
                body.vids
                    .as_ref()
                    .map(|v| Spanned::new(v.value.0.clone(), v.span)),
                VlanSet::all(),
                body.span,
            ),
            dhcp_range: body.dhcp_range,
            mtu: body
                .mtu
                .map(|m| m.map(super::super::spec::reader::Int::get)),
            stp: Setting::or_default(body.stp, false, body.span),
            nat: body
                .nat
                .as_ref()
                .and_then(|nat| index.bridges.find(nat, sink)),
            firewall: Setting::or_default(body.firewall, false, body.span),
        });
    }
    let mut bonds = Vec::new();
    for row in spec.bonds.iter().flat_map(|table| &table.rows) {
        let Some(body) = &row.body else { continue };
        let mode = choice(body.mode, BondMode::ActiveBackup, body.span);
        let hash_policy = body
            .hash_policy
            .map(|h| Setting::written(h.value.0, h.span));
        if let Some(hash) = hash_policy.filter(|_| !hashes(*mode)) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    hash.span,
                    format!("mode `{}` hashes nothing", *mode),
                )
                .also(mode.span, "the bond's mode")
                .help("`hash-policy` goes with `802.3ad` and `balance-xor`"),
            );
        }
        let primary = body.primary.as_ref().and_then(|p| index.nics.find(p, sink));
        if let Some(primary) = primary.filter(|_| *mode != BondMode::ActiveBackup) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    primary.span,
                    format!("mode `{}` has no primary port", *mode),
                )
                .also(mode.span, "the bond's mode")
                .help("`primary` goes with `active-backup`"),
            );
        }
        bonds.push(Bond {
            name: row.key.clone(),
            span: body.span,
            ports: index
                .nics
                .find_all(body.ports.iter().flat_map(|p| &p.value), sink),
            hash_policy: hash_policy.or_else(|| {
                hashes(*mode).then(|| Setting::default(HashPolicy::Layer23, body.span))
            }),
            mode,
            primary,
            mtu: body
                .mtu
                .map(|m| m.map(super::super::spec::reader::Int::get)),
        });
    }
    let mut machines = Vec::new();
    for row in spec.machines.iter().flat_map(|table| &table.rows) {
        let Some(body) = &row.body else { continue };
        machines.push(Machine {
            name: row.key.clone(),
            description: body.description.clone(),
            bridge: body
                .bridge
                .as_ref()
                .and_then(|b| index.bridges.find(b, sink)),
            address: body.address,
            address6: body.address6,
            mac: body.mac,
            uplink: Setting::or_default(body.uplink, false, body.span),
        });
    }
    let mut search = list(spec.search.as_ref());
    if spec.search.is_none() {
        search.extend(domain);
    }
    Network {
        nameservers: list(spec.nameservers.as_ref()),
        search,
        bridges: Arena::new(bridges),
        bonds: Arena::new(bonds),
        machines: Arena::new(machines),
    }
}

fn hashes(mode: BondMode) -> bool {
    match mode {
        BondMode::Lacp | BondMode::BalanceXor => true,
        BondMode::ActiveBackup
        | BondMode::BalanceRr
        | BondMode::Broadcast
        | BondMode::BalanceTlb
        | BondMode::BalanceAlb => false,
    }
}

/// An address under the key of its family.
fn family(
    written: Option<Spanned<crate::value::Cidr>>,
    v6: bool,
    key: &str,
    sink: &mut Sink,
) -> Option<Spanned<crate::value::Cidr>> {
    let cidr = written?;
    if cidr.is_v6() == v6 {
        return Some(cidr);
    }
    let (found, other) = if v6 {
        ("IPv4", "address")
    } else {
        ("IPv6", "address6")
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0009,
            cidr.span,
            format!("`{key}` is an {found} address"),
        )
        .help(format!("write it under `{other}`")),
    );
    None
}

fn port(port: &Spanned<BridgePort>, index: &Index<'_>, sink: &mut Sink) -> Option<Spanned<Port>> {
    let device = match (index.nics.get(&port.parent), index.bonds.get(&port.parent)) {
        (Some(nic), _) => PortDevice::Nic(nic?),
        (None, Some(bond)) => PortDevice::Bond(bond?),
        (None, None) => {
            let known = [index.nics.names(), index.bonds.names()];
            let mut diagnostic =
                unknown_reference(port.span, "network card or bond", &port.parent, &known);
            // The edit would lose the VLAN: keep it.
            if let (Some(fix), Some(tag)) = (&mut diagnostic.fix, port.vlan) {
                for edit in &mut fix.edits {
                    edit.replacement = format!("\"{}.{tag}\"", edit.replacement.trim_matches('"'));
                }
            }
            sink.push(diagnostic);
            return None;
        }
    };
    Some(Spanned::new(
        Port {
            device,
            vlan: port.vlan,
        },
        port.span,
    ))
}

/// What a gateway stands for: an address, a machine, or a guest.
pub(super) fn gateway(
    written: &Spanned<GatewayName>,
    v6: bool,
    index: &Index<'_>,
    sink: &mut Sink,
) -> Option<Spanned<Gateway>> {
    let gateway = match &written.value {
        GatewayName::Address(address) if address.is_ipv6() != v6 => {
            let (key, other) = if v6 {
                ("gateway6", "gateway")
            } else {
                ("gateway", "gateway6")
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0009,
                    written.span,
                    format!("`{key}` is an {} address", if v6 { "IPv4" } else { "IPv6" }),
                )
                .help(format!("write it under `{other}`")),
            );
            return None;
        }
        GatewayName::Address(address) => Gateway::Address(*address),
        GatewayName::Name(name) => match (index.machines.get(name), index.guests.get(name)) {
            (Some(machine), _) => Gateway::Machine(machine?),
            (None, Some(guest)) => Gateway::Guest(guest?),
            (None, None) => {
                let known = [index.machines.names(), index.guests.names()];
                sink.push(unknown_reference(
                    written.span,
                    "machine or guest",
                    name,
                    &known,
                ));
                return None;
            }
        },
    };
    Some(Spanned::new(gateway, written.span))
}
