//! `[network]`: cards, bonds, bridges, VLANs; what has no word as the raw stanzas that they are.

use std::collections::{BTreeMap, BTreeSet};

use super::doc::{Doc, Part, Table, Toml};
use super::hardware::is_card_name;
use super::write::{NoteKind, Writing};
use crate::live::secrets::is_blanked;
use crate::plan::value::parts;
use crate::pve::GuestKind;
use crate::pve::interfaces::{Family, Interface, InterfaceKind, IpVersion, Method};
use crate::value::{BridgeName, Name, SpecString};

/// The host's interfaces.
pub(super) const INTERFACES: &str = "etc/network/interfaces";

/// The interfaces of a host, sorted by how the spec says them.
#[derive(Debug, Default)]
pub(super) struct Interfaces<'a> {
    /// By name, those that the language has words for.
    typed: BTreeMap<String, &'a Interface>,
    /// Names in the order of the file.
    order: Vec<String>,
    /// What is kept as stanzas.
    raw: BTreeSet<String>,
    /// Cards that a table names.
    pub(super) nics: BTreeSet<String>,
}

impl<'a> Interfaces<'a> {
    /// Sorts the interfaces of a host.
    pub(super) fn of(writing: &Writing<'a>) -> Self {
        let mut sorted = Self::default();
        let Some(file) = writing.live.interfaces.present() else {
            return sorted;
        };
        for interface in file.interfaces.iter() {
            if matches!(interface.kind, InterfaceKind::Loopback) || interface.name.is_empty() {
                continue;
            }
            sorted.order.push(interface.name.clone());
            let kept = Part::Interface(interface.name.clone());
            if writing.decided.kept.contains_key(&kept) || !has_words(interface) {
                sorted.raw.insert(interface.name.clone());
            } else {
                sorted.typed.insert(interface.name.clone(), interface);
            }
        }
        // What stands on something raw is raw, too.
        while let Some(name) = sorted.unfounded() {
            sorted.typed.remove(&name);
            sorted.raw.insert(name);
        }
        sorted.nics = sorted
            .typed
            .values()
            .filter(|interface| {
                matches!(interface.kind, InterfaceKind::Card) || is_wireless(interface)
            })
            .map(|interface| interface.name.clone())
            .collect();
        // Ports that have no stanza of their own.
        for interface in sorted.typed.values() {
            for port in ports(interface) {
                let (device, _) = port_of(&port);
                if !sorted.typed.contains_key(device) && is_card_name(device) {
                    sorted.nics.insert(device.to_owned());
                }
            }
        }
        sorted
    }

    /// Whether a bridge that is kept as its stanza knows VLANs; Open vSwitch always does.
    fn is_aware(&self, writing: &Writing<'_>, name: &str) -> bool {
        let file = writing.live.interfaces.present();
        let kind = file.and_then(|file| Some(&file.interfaces.get(name)?.kind));
        self.raw.contains(name)
            && match kind {
                Some(InterfaceKind::Bridge(bridge)) => bridge.vids.is_some(),
                Some(InterfaceKind::OvsBridge(_)) => true,
                _ => false,
            }
    }

    /// An interface with a port or a carrier that is raw.
    fn unfounded(&self) -> Option<String> {
        let fits = |name: &str| {
            let (device, vlan) = port_of(name);
            let known = self.typed.contains_key(device)
                || !self.raw.contains(device) && is_card_name(device);
            // A VLAN of a card is said by the port alone, as long as it is nothing else.
            let plain = vlan.is_none()
                || self
                    .typed
                    .get(name)
                    .is_none_or(|own| own.families.iter().all(is_plain));
            known && plain && !(vlan.is_some() && self.raw.contains(name))
        };
        self.typed
            .values()
            .find(|interface| {
                let carrier = carrier(interface).is_some_and(|(on, _)| {
                    !self.typed.contains_key(on) && !is_card_name(on) || self.raw.contains(on)
                });
                carrier || !ports(interface).iter().all(|port| fits(port))
            })
            .map(|interface| interface.name.clone())
    }
}

/// A port and the VLAN of it that is meant.
fn port_of(port: &str) -> (&str, Option<u16>) {
    match port.rsplit_once('.') {
        Some((device, vlan)) => match vlan.parse() {
            Ok(vlan) => (device, Some(vlan)),
            Err(_) => (port, None),
        },
        None => (port, None),
    }
}

fn ports(interface: &Interface) -> Vec<String> {
    match &interface.kind {
        InterfaceKind::Bridge(bridge) => bridge.ports.clone(),
        InterfaceKind::Bond(bond) => bond.ports.clone(),
        InterfaceKind::OvsBridge(_)
        | InterfaceKind::OvsPort(_)
        | InterfaceKind::Loopback
        | InterfaceKind::Card
        | InterfaceKind::Vlan { .. }
        | InterfaceKind::Other => Vec::new(),
    }
}

/// What a VLAN lies on, and its number.
fn carrier(interface: &Interface) -> Option<(&str, u16)> {
    match &interface.kind {
        InterfaceKind::Vlan { raw_device, id } => match port_of(&interface.name) {
            (on, Some(vlan)) => Some((on, vlan)),
            (name, None) => {
                let named = name.strip_prefix("vlan").and_then(|id| id.parse().ok());
                Some((raw_device.as_deref()?, named.or(*id)?))
            }
        },
        _ => None,
    }
}

/// Whether a stanza says nothing but that the interface is there.
fn is_plain(family: &Family) -> bool {
    family.method == Method::Manual && family.address.is_none() && family.options.is_empty()
}

/// Whether the language has words for an interface.
fn has_words(interface: &Interface) -> bool {
    let families = &interface.families;
    let once = |version| {
        families
            .iter()
            .filter(|family| family.version == version)
            .count()
            <= 1
    };
    let known = families
        .iter()
        .all(|family| match (family.version, &family.method) {
            (IpVersion::Both, _) => false,
            (_, Method::Static) => family.address.as_deref().is_some_and(is_cidr),
            (_, Method::Manual | Method::Dhcp) | (IpVersion::V6, Method::Auto) => {
                family.address.is_none()
            }
            (_, Method::Auto | Method::Loopback | Method::Other(_)) => false,
        });
    // Raw lines go to the first stanza, which is that of IPv4.
    let lines_first = families
        .iter()
        .skip(1)
        .all(|family| family.options.is_empty());
    if !(once(IpVersion::V4) && once(IpVersion::V6) && known && lines_first) {
        return false;
    }
    match &interface.kind {
        InterfaceKind::Card => is_card_name(&interface.name),
        // Proxmox VE takes it for no card, and its installer writes `iface wlp3s0 inet manual` all the same.
        InterfaceKind::Other => is_wireless(interface) && interface.families.iter().all(is_plain),
        InterfaceKind::Bond(bond) => {
            BridgeName::parse(&interface.name).is_ok()
                && !bond.ports.is_empty()
                && bond.miimon.is_none_or(|ms| ms == 100)
        }
        InterfaceKind::Bridge(bridge) => {
            BridgeName::parse(&interface.name).is_ok()
                && bridge
                    .fd
                    .is_none_or(|fd| fd == 0 || bridge.stp && (2..=30).contains(&fd))
        }
        InterfaceKind::Vlan { .. } => {
            carrier(interface).is_some() && Name::parse(&interface.name).is_ok()
        }
        InterfaceKind::OvsBridge(_) | InterfaceKind::OvsPort(_) | InterfaceKind::Loopback => false,
    }
}

fn is_wireless(interface: &Interface) -> bool {
    matches!(interface.kind, InterfaceKind::Other)
        && interface.name.starts_with("wl")
        && is_card_name(&interface.name)
}

fn is_cidr(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(address, _)| address.parse::<std::net::IpAddr>().is_ok())
}

/// Writes cards' addresses, bonds, bridges, VLANs, and the raw stanzas.
pub(super) fn write(writing: &mut Writing<'_>, interfaces: &Interfaces<'_>, doc: &mut Doc) {
    let mut raw = Table::new(["network"], Part::File(INTERFACES.to_owned()));
    let containers = writing.own.guests.values();
    let mut containers = containers.filter(|guest| guest.kind == GuestKind::Pct);
    if containers.any(|guest| guest.wanted("searchdomain").is_none()) {
        // Else the host's domain would be written into a container that does not say any.
        raw.set("search", Toml::List(Vec::new()));
    }
    raw_stanzas(writing, interfaces, &mut raw);
    doc.push(raw);
    let typed = |kind: fn(&InterfaceKind) -> bool| {
        let names = interfaces.order.iter();
        names
            .filter_map(|name| interfaces.typed.get(name).copied())
            .filter(move |interface| kind(&interface.kind))
    };
    for interface in typed(|kind| matches!(kind, InterfaceKind::Bond(_))) {
        doc.push(bond(writing, interface));
    }
    for interface in typed(|kind| matches!(kind, InterfaceKind::Bridge(_))) {
        doc.push(bridge(interface));
    }
    for name in outside(writing, interfaces) {
        let mut table = Table::new(
            ["network", "bridges", name.as_str()],
            Part::Interface(name.clone()),
        );
        table.set("external", true);
        if interfaces.is_aware(writing, &name) {
            table.set("vlan-aware", true);
        }
        table.comments.push(if interfaces.raw.contains(&name) {
            "its stanza is kept below `[network] extra`".to_owned()
        } else {
            "guests are on it, and /etc/network/interfaces does not make it".to_owned()
        });
        doc.push(table);
    }
    let carried: BTreeSet<String> = typed(|kind| matches!(kind, InterfaceKind::Bridge(_)))
        .flat_map(ports)
        .collect();
    for interface in typed(|kind| {
        matches!(
            kind,
            InterfaceKind::Card | InterfaceKind::Bond(_) | InterfaceKind::Vlan { .. }
        )
    }) {
        // The port of the bridge says all of such a VLAN.
        let plain = interface.families.iter().all(is_plain) && interface.mtu.is_none();
        if plain && carried.contains(&interface.name) {
            continue;
        }
        if let Some(table) = leg(interface) {
            doc.push(table);
        }
    }
}

fn table(interface: &Interface, kind: &str) -> Table {
    Table::new(
        ["network", kind, interface.name.as_str()],
        Part::Interface(interface.name.clone()),
    )
}

fn description(interface: &Interface, table: &mut Table) {
    let words: Vec<&str> = interface
        .comments
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
        .collect();
    let text: String = words
        .join(" ")
        .chars()
        .filter(|c| !crate::unseen::is_never_shown(*c))
        .collect();
    if !text.is_empty() {
        table.set("description", text);
    }
}

/// Addresses, gateways and raw lines.
fn addresses(interface: &Interface, table: &mut Table) {
    for family in &interface.families {
        let (address, gateway) = match family.version {
            IpVersion::V4 | IpVersion::Both => ("address", "gateway"),
            IpVersion::V6 => ("address6", "gateway6"),
        };
        match (&family.method, &family.address) {
            (Method::Dhcp, _) => {
                table.set(address, "dhcp");
            }
            (Method::Auto, _) => {
                table.set(address, "auto");
            }
            (_, Some(cidr)) => {
                table.set(address, cidr.as_str());
            }
            (_, None) => {}
        }
        table.set_some(gateway, family.gateway.as_deref());
    }
}

fn lines(interface: &Interface, table: &mut Table, said: &[&str], more: Option<String>) {
    let options = interface.families.iter();
    let options = options
        .flat_map(|family| &family.options)
        .filter(|(key, _)| !said.contains(&key.as_str()))
        .map(|(key, value)| format!("{key} {value}"));
    let lines: Vec<String> = options.chain(more).collect();
    if !lines.is_empty() {
        table.set("extra", Toml::texts(lines));
    }
}

fn bond(_writing: &Writing<'_>, interface: &Interface) -> Table {
    let mut table = table(interface, "bonds");
    let InterfaceKind::Bond(bond) = &interface.kind else {
        return table;
    };
    table.set("ports", Toml::texts(bond.ports.clone()));
    table.set("mode", bond.mode.as_str());
    table.set_some("hash-policy", bond.xmit_hash_policy.as_deref());
    table.set_some("primary", bond.primary.as_deref());
    let rate = interface
        .families
        .iter()
        .flat_map(|family| &family.options)
        .find(|(key, _)| key == "bond-lacp-rate");
    let rate = rate.map(|(_, rate)| match rate.as_str() {
        "1" => "fast",
        "0" => "slow",
        other => other,
    });
    table.set_some("lacp-rate", rate);
    table.set_some("mtu", interface.mtu);
    lines(interface, &mut table, &["bond-lacp-rate"], None);
    table
}

fn bridge(interface: &Interface) -> Table {
    let mut table = table(interface, "bridges");
    let InterfaceKind::Bridge(bridge) = &interface.kind else {
        return table;
    };
    description(interface, &mut table);
    table.set("ports", Toml::texts(bridge.ports.clone()));
    addresses(interface, &mut table);
    if let Some(vids) = &bridge.vids {
        table.set("vlan-aware", true);
        if vids != "2-4094" {
            let vids = vids.split([' ', ',']).filter(|vid| !vid.is_empty());
            table.set("vids", Toml::List(vids.map(Toml::number).collect()));
        }
    }
    if bridge.stp {
        table.set("stp", true);
    }
    table.set_some("mtu", interface.mtu);
    let delay = bridge.fd.filter(|fd| *fd != 0);
    let delay = delay.map(|fd| format!("bridge-fd {fd}"));
    lines(interface, &mut table, &[], delay);
    table
}

/// An address on a card, a bond or a VLAN.
fn leg(interface: &Interface) -> Option<Table> {
    let mut table = table(interface, "interfaces");
    let (on, vlan) = carrier(interface).map_or((interface.name.as_str(), None), |(on, vlan)| {
        (on, Some(vlan))
    });
    let has_address = interface.families.iter().any(|family| !is_plain(family));
    let is_port_alone = !has_address && interface.mtu.is_none();
    // A bond's own lines and MTU are said where the bond is.
    let is_bond = matches!(interface.kind, InterfaceKind::Bond(_));
    let addressed = interface
        .families
        .iter()
        .any(|family| family.address.is_some() || !matches!(family.method, Method::Manual));
    if is_port_alone && vlan.is_none() || is_bond && !addressed {
        return None;
    }
    description(interface, &mut table);
    table.set("on", on);
    table.set_some("vlan", vlan.map(u32::from));
    if vlan.is_some() && !interface.name.contains('.') {
        table.set("interface", interface.name.as_str());
    }
    addresses(interface, &mut table);
    if !is_bond {
        table.set_some("mtu", interface.mtu);
        lines(interface, &mut table, &[], None);
    }
    Some(table)
}

/// Bridges that guests are on and that no table makes.
fn outside(writing: &Writing<'_>, interfaces: &Interfaces<'_>) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for guest in writing.own.guests.values() {
        let file = guest.kind.config_file();
        let cards = guest.config.options().filter(|(key, _)| {
            key.strip_prefix("net")
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        });
        for (key, _) in cards {
            let value = guest.wanted(key).unwrap_or_default();
            used.extend(parts(file, key, value).remove("bridge"));
        }
    }
    used.retain(|name| {
        let made = interfaces
            .typed
            .get(name)
            .is_some_and(|interface| matches!(interface.kind, InterfaceKind::Bridge(_)));
        !made && BridgeName::parse(name).is_ok()
    });
    used
}

/// Whether a stanza holds a secret, as of a wireless network.
fn has_secret(interface: &Interface) -> bool {
    let mut options = interface.families.iter().flat_map(|family| &family.options);
    options.any(|(_, value)| is_blanked(value))
}

/// What stands in the file word for word.
fn raw_stanzas(writing: &mut Writing<'_>, interfaces: &Interfaces<'_>, table: &mut Table) {
    let Some(file) = writing.live.interfaces.present() else {
        return;
    };
    let mut raw = interfaces.raw.clone();
    for interface in file.interfaces.iter().filter(|one| has_secret(one)) {
        if raw.remove(&interface.name) {
            writing.note(
                NoteKind::Unread,
                format!("interface {}", interface.name),
                "its stanza holds a secret, which is not read; it stays on the host as it is",
            );
        }
    }
    let text = stanzas(&file.file.text, &raw);
    if text.is_empty() {
        return;
    }
    for name in &raw {
        let why = writing.decided.why_kept(&Part::Interface(name.clone()));
        writing.note(NoteKind::Kept, format!("interface {name}"), why);
    }
    table
        .set("extra", Toml::Lines(text))
        .comments
        .push("stanzas of /etc/network/interfaces that are kept as they are".to_owned());
}

/// The stanzas of these interfaces, as they stand in the file; lines that start several name those alone.
pub(super) fn stanzas(text: &str, names: &BTreeSet<String>) -> String {
    let mut kept = String::new();
    let mut open = false;
    let mut continued = false;
    for line in text.lines() {
        let is_continuation = std::mem::replace(&mut continued, line.ends_with('\\'));
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if is_continuation {
            // It belongs to the line above.
        } else if first == "auto" || first.starts_with("allow-") {
            open = false;
            let own: Vec<&str> = words.filter(|name| names.contains(*name)).collect();
            if !own.is_empty() {
                if !kept.is_empty() && !kept.ends_with("\n\n") {
                    kept.push('\n');
                }
                kept.extend([first, " ", &own.join(" "), "\n"]);
            }
            continue;
        } else if first == "iface" {
            open = words.next().is_some_and(|name| names.contains(name));
        } else if first == "mapping" || first.starts_with("source") {
            open = false;
        }
        if open {
            kept.push_str(line.trim_end());
            kept.push('\n');
        }
    }
    kept.trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_are_kept_as_they_stand() {
        let text = "auto lo\niface lo inet loopback\n\nauto eno1 vmbr9\niface eno1 inet manual\n\niface vmbr9 inet manual\n\tovs_type \
                    OVSBridge\n\t# odd\n\tpost-up a \\\n  b\n\nsource /etc/network/interfaces.d/*\n";
        let names = BTreeSet::from(["vmbr9".to_owned()]);
        assert_eq!(
            stanzas(text, &names),
            "auto vmbr9\niface vmbr9 inet manual\n\tovs_type OVSBridge\n\t# odd\n\tpost-up a \\\n  b"
        );
    }
}
