//! `[network]`: cards, bonds, bridges, VLANs; what has no word as the raw stanzas that they are.

use std::collections::{BTreeMap, BTreeSet};

use super::doc::{Doc, Part, Table, Toml};
use super::hardware::is_card_name;
use super::write::{NoteKind, Writing};
use crate::facts::network::ovs_bond_options;
use crate::live::secrets::is_blanked;
use crate::plan::value::parts;
use crate::pve::GuestKind;
use crate::pve::interfaces::{
    self, Family, Interface, InterfaceKind, IpVersion, Method, OvsPort, OvsPortKind,
};
use crate::pve::schema::{OptionSchema, ValueType};
use crate::pve::{ConfigFile, Release, check_option};
use crate::value::{BondMode, BridgeName, Name, SpecString};

/// The host's interfaces.
pub(super) const INTERFACES: &str = "etc/network/interfaces";

/// The interfaces of a host, sorted by how the spec says them.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    /// By name, those that the language has words for.
    typed: BTreeMap<String, Interface>,
    /// Names in the order of the file.
    order: Vec<String>,
    /// What is kept as stanzas.
    raw: BTreeSet<String>,
    /// Cards that a table names.
    pub(super) nics: BTreeSet<String>,
    /// What a bridge or a bond takes.
    ports: BTreeSet<String>,
    /// The ports that come up with what takes them.
    raised: BTreeSet<String>,
}

impl Interfaces {
    /// Sorts the interfaces of a host.
    pub(super) fn of(writing: &Writing<'_>) -> Self {
        let mut sorted = Self::default();
        let Some(file) = writing.live.interfaces.present() else {
            return sorted;
        };
        let file_as_brought_up = interfaces::Interfaces::parse(&without_gaps(&file.file.text));
        let file = &file_as_brought_up;
        let on_lo = file.iter().any(|one| one.name.starts_with("lo:"));
        for interface in file.iter() {
            let is_lo = matches!(interface.kind, InterfaceKind::Loopback);
            if is_lo && !on_lo && says_nothing(interface) || interface.name.is_empty() {
                continue;
            }
            sorted.order.push(interface.name.clone());
            let kept = Part::Interface(interface.name.clone());
            let one = normal(interface);
            if writing.decided.kept.contains_key(&kept) || !has_words(&one) {
                sorted.raw.insert(interface.name.clone());
            } else {
                sorted.typed.insert(interface.name.clone(), one);
            }
        }
        if on_lo && !sorted.order.iter().any(|name| name == "lo") {
            sorted.order.push("lo".to_owned());
            let lo = Interface::new("lo", InterfaceKind::Loopback);
            sorted.typed.insert("lo".to_owned(), lo);
        }
        // What stands on something raw is raw, too.
        while let Some(name) = sorted.unfounded() {
            sorted.typed.remove(&name);
            sorted.raw.insert(name);
        }
        sorted.nics = sorted
            .typed
            .values()
            .filter(|interface| is_card(interface))
            .map(|interface| interface.name.clone())
            .collect();
        // Ports, and cards among them that have no stanza of their own.
        for interface in sorted.typed.values() {
            for port in ports(interface) {
                sorted.ports.insert(port.clone());
                if interface.auto {
                    sorted.raised.insert(port.clone());
                }
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
            known && !(vlan.is_some() && self.raw.contains(name))
        };
        self.typed
            .values()
            .find(|interface| {
                let is_lost = |on: &str| {
                    !self.typed.contains_key(on) && !is_card_name(on) || self.raw.contains(on)
                };
                let carrier = carrier(interface).is_some_and(|(on, _)| is_lost(&on))
                    || alias(&interface.name).is_some_and(|(of, _)| is_lost(of))
                    || ovs_bridge(interface).is_some_and(|of| !self.typed.contains_key(of));
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
        InterfaceKind::OvsBridge(ports) => ports.clone(),
        InterfaceKind::OvsPort(OvsPort {
            kind: OvsPortKind::Bond(cards),
            ..
        }) => cards.clone(),
        InterfaceKind::OvsPort(_)
        | InterfaceKind::Loopback
        | InterfaceKind::Card
        | InterfaceKind::Vlan { .. }
        | InterfaceKind::Other => Vec::new(),
    }
}

/// What a VLAN or an alias lies on, and the VLAN's number.
fn carrier(interface: &Interface) -> Option<(String, Option<u16>)> {
    if let Some((of, _)) = alias(&interface.name) {
        let (on, vlan) = port_of(of);
        return Some((on.to_owned(), vlan));
    }
    match &interface.kind {
        InterfaceKind::Vlan { raw_device, id } => match port_of(&interface.name) {
            (on, Some(vlan)) => Some((on.to_owned(), Some(vlan))),
            (name, None) => {
                let named = name.strip_prefix("vlan").and_then(|id| id.parse().ok());
                Some((raw_device.clone()?, Some(named.or(*id)?)))
            }
        },
        InterfaceKind::OvsPort(
            port @ OvsPort {
                kind: OvsPortKind::Internal,
                ..
            },
        ) => Some((port.bridge.clone(), ovs_tag(port))),
        InterfaceKind::OvsPort(_)
        | InterfaceKind::Loopback
        | InterfaceKind::Card
        | InterfaceKind::Bond(_)
        | InterfaceKind::Bridge(_)
        | InterfaceKind::OvsBridge(_)
        | InterfaceKind::Other => None,
    }
}

/// The interface that a name is an alias of, and its number.
fn alias(name: &str) -> Option<(&str, u16)> {
    let (of, number) = name.rsplit_once(':')?;
    Some((of, number.parse().ok().filter(|number| *number <= 9999)?))
}

fn ovs_bridge(interface: &Interface) -> Option<&str> {
    match &interface.kind {
        InterfaceKind::OvsPort(port) => Some(&port.bridge),
        _ => None,
    }
}

/// The VLAN of a port of Open vSwitch.
fn ovs_tag(port: &OvsPort) -> Option<u16> {
    let mut options = port.options.as_deref()?.split_whitespace();
    options.find_map(|option| option.strip_prefix("tag=")?.parse().ok())
}

/// Whether a stanza says nothing but that the interface is there.
fn is_plain(family: &Family) -> bool {
    matches!(family.method, Method::Manual | Method::Loopback)
        && family.address.is_none()
        && family.options.is_empty()
}

fn says_nothing(interface: &Interface) -> bool {
    interface.families.iter().all(is_plain) && interface.comments.is_empty()
}

/// An interface with one stanza a family: those without a family are of both, and several of one are put together.
fn normal(interface: &Interface) -> Interface {
    let mut families: Vec<Family> = Vec::new();
    for family in &interface.families {
        for part in by_version(family) {
            let known = families
                .iter_mut()
                .find(|known| known.version == part.version && known.method == part.method);
            match known {
                Some(known) => {
                    known.more.extend(part.address.into_iter().chain(part.more));
                    if known.address.is_none() && !known.more.is_empty() {
                        known.address = Some(known.more.remove(0));
                    }
                    known.gateway = known.gateway.take().or(part.gateway);
                    known.options.extend(part.options);
                }
                None => families.push(part),
            }
        }
    }
    Interface {
        families,
        ..interface.clone()
    }
}

/// A stanza without a family, or with an address of the other, as those of both.
fn by_version(family: &Family) -> Vec<Family> {
    let mut addresses = family.address.iter().chain(&family.more);
    let is_v6 = family.version == IpVersion::V6;
    if family.version != IpVersion::Both && addresses.all(|one| one.contains(':') == is_v6) {
        return vec![family.clone()];
    }
    let mut found = Vec::new();
    for version in [IpVersion::V4, IpVersion::V6] {
        let own = |text: &&String| text.contains(':') == (version == IpVersion::V6);
        let mut addresses = family
            .address
            .iter()
            .chain(&family.more)
            .filter(own)
            .cloned();
        let mut gateways = family.gateway.iter().chain(&family.more_gateways);
        let mut part = Family::new(version, Method::Manual);
        part.address = addresses.next();
        part.more = addresses.collect();
        part.gateway = gateways.find(own).cloned();
        if part.address.is_some() {
            part.method = Method::Static;
        }
        let has_options = match family.version {
            IpVersion::V4 | IpVersion::Both => version == IpVersion::V4,
            IpVersion::V6 => version == IpVersion::V6,
        };
        if has_options {
            part.options.clone_from(&family.options);
        }
        if has_options || part.address.is_some() || part.gateway.is_some() {
            found.push(part);
        }
    }
    found
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
            (_, Method::Static) => {
                let mut addresses = family.address.iter().chain(&family.more);
                family.address.is_some() && addresses.all(|address| whole(address).is_some())
            }
            (_, Method::Manual | Method::Dhcp) | (IpVersion::V6, Method::Auto) => {
                family.address.is_none()
            }
            (_, Method::Loopback) => {
                let mut addresses = family.address.iter().chain(&family.more);
                interface.name == "lo" && addresses.all(|address| whole(address).is_some())
            }
            (_, Method::Auto | Method::Other(_)) => false,
        });
    let gateways = families
        .iter()
        .all(|family| family.more_gateways.is_empty());
    if !(once(IpVersion::V4) && once(IpVersion::V6) && known && gateways) || has_secret(interface) {
        return false;
    }
    let is_bridge_name = BridgeName::parse(&interface.name).is_ok();
    if let Some((of, _)) = alias(&interface.name) {
        return !of.contains(':') && matches!(interface.kind, InterfaceKind::Other);
    }
    match &interface.kind {
        InterfaceKind::Card
        | InterfaceKind::Loopback
        | InterfaceKind::Other
        | InterfaceKind::OvsPort(OvsPort {
            kind: OvsPortKind::Card,
            ..
        }) => is_card_name(&interface.name),
        InterfaceKind::Bond(bond) => is_bridge_name && !bond.ports.is_empty(),
        InterfaceKind::OvsPort(OvsPort {
            kind: OvsPortKind::Bond(ports),
            ..
        }) => is_bridge_name && !ports.is_empty(),
        InterfaceKind::OvsPort(OvsPort {
            kind: OvsPortKind::Internal,
            ..
        })
        | InterfaceKind::OvsBridge(_) => is_bridge_name,
        InterfaceKind::Bridge(bridge) => {
            is_bridge_name
                && bridge
                    .fd
                    .is_none_or(|fd| !bridge.stp || (2..=30).contains(&fd))
        }
        InterfaceKind::Vlan { .. } => {
            carrier(interface).is_some()
                && (port_of(&interface.name).1.is_some() || is_card_name(&interface.name))
        }
    }
}

/// Whether an interface is a card of the hardware table. Proxmox VE takes those of radio and USB for none, and its installer
/// writes `iface wlp3s0 inet manual` all the same.
fn is_card(interface: &Interface) -> bool {
    match &interface.kind {
        InterfaceKind::Card
        | InterfaceKind::OvsPort(OvsPort {
            kind: OvsPortKind::Card,
            ..
        }) => true,
        InterfaceKind::Other => {
            let hardware = ["wl", "ww", "usb", "eth"];
            alias(&interface.name).is_none()
                && hardware
                    .iter()
                    .any(|start| interface.name.starts_with(start))
        }
        InterfaceKind::OvsPort(_)
        | InterfaceKind::Loopback
        | InterfaceKind::Bond(_)
        | InterfaceKind::Bridge(_)
        | InterfaceKind::OvsBridge(_)
        | InterfaceKind::Vlan { .. } => false,
    }
}

/// Whether an interface is one of `[network.links]`.
fn is_link(interface: &Interface) -> bool {
    let no_card = match interface.kind {
        InterfaceKind::Loopback | InterfaceKind::Other => !is_card(interface),
        _ => false,
    };
    no_card && alias(&interface.name).is_none()
}

/// An address with its prefix, which is that of one address where the file says none.
fn whole(text: &str) -> Option<String> {
    match text.split_once('/') {
        Some((address, _)) => address
            .parse::<std::net::IpAddr>()
            .is_ok()
            .then(|| text.to_owned()),
        None => match text.parse().ok()? {
            std::net::IpAddr::V4(_) => Some(format!("{text}/32")),
            std::net::IpAddr::V6(_) => Some(format!("{text}/128")),
        },
    }
}

/// Writes cards' addresses, bonds, bridges, VLANs, and the raw stanzas.
pub(super) fn write(writing: &mut Writing<'_>, interfaces: &Interfaces, doc: &mut Doc) {
    let mut raw = Table::new(["network"], Part::File(INTERFACES.to_owned()));
    let containers = writing.own.guests.values();
    let mut containers = containers.filter(|guest| guest.kind == GuestKind::Pct);
    if containers.any(|guest| guest.wanted("searchdomain").is_none()) {
        // Else the host's domain would be written into a container that does not say any.
        raw.set("search", Toml::List(Vec::new()));
    }
    raw_stanzas(writing, interfaces, &mut raw);
    doc.push(raw);
    let all = || {
        interfaces
            .order
            .iter()
            .filter_map(|name| interfaces.typed.get(name))
    };
    for interface in all() {
        if let Some(table) = bond(interface) {
            doc.push(table.finished(interface, interfaces.comes_up_anyway(interface)));
        }
    }
    for interface in all() {
        if let Some(table) = bridge(interface, interfaces) {
            doc.push(table.finished(interface, false));
        }
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
    for interface in all().filter(|one| is_link(one)) {
        doc.push(link(interface).finished(interface, interface.name == "lo"));
    }
    for interface in all() {
        if let Some(table) = leg(interface, interfaces) {
            doc.push(table.finished(interface, interfaces.comes_up_anyway(interface)));
        }
    }
}

impl Table {
    /// The end of an interface's table: whether it comes up at boot.
    fn finished(mut self, interface: &Interface, anyway: bool) -> Self {
        if !interface.auto && !anyway {
            self.set("autostart", false);
        }
        self
    }
}

impl Interfaces {
    /// Whether an interface comes up with what stands on it.
    fn comes_up_anyway(&self, interface: &Interface) -> bool {
        matches!(interface.kind, InterfaceKind::OvsPort(_)) || self.raised.contains(&interface.name)
    }
}

fn table(interface: &Interface, kind: &str) -> Table {
    let name = row_name(&interface.name);
    Table::new(
        ["network", kind, name.as_str()],
        Part::Interface(interface.name.clone()),
    )
}

/// The name of a table for an interface.
fn row_name(name: &str) -> String {
    if Name::parse(name).is_ok() {
        return name.to_owned();
    }
    let plain = name.to_ascii_lowercase();
    plain.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-")
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

/// Addresses and gateways.
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
            (_, Some(cidr)) => table.set_some(address, whole(cidr)),
            (_, None) => {}
        }
        table.set_some(gateway, family.gateway.as_deref());
    }
    let more = interface.families.iter().flat_map(|family| &family.more);
    let more: Vec<String> = more.filter_map(|cidr| whole(cidr)).collect();
    if !more.is_empty() {
        table.set("addresses", Toml::texts(more));
    }
}

/// The options of the stanzas: keys where ifupdown2 knows them, else raw lines. What a table says otherwise is left out.
fn options(interface: &Interface, table: &mut Table, said: &[&str]) {
    let families = &interface.families;
    let has_v4 = families
        .iter()
        .any(|family| family.version != IpVersion::V6 || matches!(family.method, Method::Manual));
    for family in families {
        let of_v6 = family.version == IpVersion::V6 && has_v4;
        let mut entries: Vec<(String, Toml)> = Vec::new();
        let mut raw = Vec::new();
        for (key, value) in &family.options {
            let spelt = key.replace('_', "-");
            // It follows from the address.
            if said.contains(&spelt.as_str()) || spelt == "network" {
                continue;
            }
            let Some(name) = option_name(&spelt, value) else {
                raw.push(format!("{key} {value}"));
                continue;
            };
            let schema = ConfigFile::Interfaces.schema_of(name);
            let repeats = schema.is_some_and(OptionSchema::is_repeatable);
            let is_number = schema.is_some_and(|schema| schema.value_type() == ValueType::Integer);
            let known = entries.iter_mut().find(|(known, _)| *known == spelt);
            match (known, repeats) {
                (Some((_, Toml::List(items))), true) => items.push(value.as_str().into()),
                (None, true) => entries.push((spelt, Toml::texts([value.as_str()]))),
                (None, false) if is_number => entries.push((spelt, Toml::number(value))),
                (None, false) => entries.push((spelt, value.as_str().into())),
                (Some(_), _) => raw.push(format!("{key} {value}")),
            }
        }
        if !raw.is_empty() {
            entries.push(("extra".to_owned(), Toml::texts(raw)));
        }
        if of_v6 {
            if !entries.is_empty() {
                table.set("inet6", Toml::Table(entries));
            }
            continue;
        }
        for (key, value) in entries {
            table.set(&key, value);
        }
    }
}

/// The option of ifupdown2 that a line is, where it takes the value.
fn option_name(spelt: &str, value: &str) -> Option<&'static str> {
    let name = ConfigFile::Interfaces
        .option_names()
        .find(|name| name.replace('_', "-") == spelt)?;
    check_option(ConfigFile::Interfaces, Release::NEWEST, name, value).ok()?;
    Some(name)
}

fn bond(interface: &Interface) -> Option<Table> {
    let mut table = table(interface, "bonds");
    match &interface.kind {
        InterfaceKind::Bond(bond) => {
            table.set("ports", Toml::texts(bond.ports.clone()));
            table.set("mode", bond.mode.as_str());
            let hashes = matches!(bond.mode.as_str(), "802.3ad" | "balance-xor");
            let policy = bond.xmit_hash_policy.as_deref();
            // The kernel's own, where the file says none.
            let policy = policy.or_else(|| hashes.then_some("layer2"));
            table.set_some(
                "hash-policy",
                policy.map(|policy| match policy {
                    "0" => "layer2",
                    "1" => "layer3+4",
                    "2" => "layer2+3",
                    other => other,
                }),
            );
            table.set_some("primary", bond.primary.as_deref());
            if let Some(interval) = bond.miimon.filter(|ms| *ms != 100) {
                table.set("bond-miimon", interval);
            }
        }
        InterfaceKind::OvsPort(
            port @ OvsPort {
                kind: OvsPortKind::Bond(ports),
                ..
            },
        ) => {
            table.set("ports", Toml::texts(ports.clone()));
            let said = port.options.as_deref().unwrap_or_default();
            let (mode, whole) = ovs_mode(said);
            table.set("mode", mode.as_str());
            if !whole {
                table.set("ovs-options", said);
            }
        }
        _ => return None,
    }
    let rate = interface
        .families
        .iter()
        .flat_map(|family| &family.options)
        .find(|(key, _)| key.replace('_', "-") == "bond-lacp-rate");
    let rate = rate.map(|(_, rate)| match rate.as_str() {
        "1" => "fast",
        "0" => "slow",
        other => other,
    });
    table.set_some("lacp-rate", rate);
    table.set_some("mtu", interface.mtu);
    options(interface, &mut table, &["bond-lacp-rate"]);
    Some(table)
}

/// The mode that comes nearest to what Open vSwitch is told of a bond, and whether that is all it says.
fn ovs_mode(options: &str) -> (BondMode, bool) {
    let words: BTreeSet<&str> = options.split_whitespace().collect();
    let modes = [BondMode::Lacp, BondMode::BalanceXor, BondMode::ActiveBackup];
    let same = modes.into_iter().find(|mode| {
        let wanted: BTreeSet<&str> = ovs_bond_options(*mode).split_whitespace().collect();
        wanted == words
    });
    let nearest = if words.contains("lacp=active") {
        BondMode::Lacp
    } else if words.contains("bond_mode=balance-slb") {
        BondMode::BalanceXor
    } else {
        BondMode::ActiveBackup
    };
    (same.unwrap_or(nearest), same.is_some())
}

fn bridge(interface: &Interface, interfaces: &Interfaces) -> Option<Table> {
    let mut table = table(interface, "bridges");
    match &interface.kind {
        InterfaceKind::Bridge(bridge) => {
            description(interface, &mut table);
            let ports = bridge.ports.iter().map(|port| interfaces.port(port));
            table.set("ports", Toml::texts(ports));
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
            table.set_some("bridge-fd", bridge.fd.filter(|fd| *fd != 0));
        }
        InterfaceKind::OvsBridge(ports) => {
            description(interface, &mut table);
            table.set("kind", "ovs");
            // Its internal ports say themselves that they are on it.
            let outer = ports.iter().filter(|port| {
                let own = interfaces.typed.get(port.as_str());
                own.is_none_or(|own| carrier(own).is_none())
            });
            table.set("ports", Toml::texts(outer.cloned()));
            addresses(interface, &mut table);
            table.set_some("mtu", interface.mtu);
        }
        _ => return None,
    }
    options(interface, &mut table, &[]);
    Some(table)
}

impl Interfaces {
    /// How a bridge names a port: a VLAN by what it lies on.
    fn port(&self, name: &str) -> String {
        let vlan = self.typed.get(name).and_then(carrier);
        match vlan {
            Some((on, Some(vlan))) => format!("{on}.{vlan}"),
            Some((_, None)) | None => name.to_owned(),
        }
    }
}

/// An interface that is no card.
fn link(interface: &Interface) -> Table {
    let mut table = table(interface, "links");
    description(interface, &mut table);
    table.set("interface", interface.name.as_str());
    addresses(interface, &mut table);
    table.set_some("mtu", interface.mtu);
    options(interface, &mut table, &[]);
    table
}

/// A row for an address on a card, a bond, a VLAN or an alias, or for what else a card or a VLAN says of itself.
fn leg(interface: &Interface, interfaces: &Interfaces) -> Option<Table> {
    let mut table = table(interface, "interfaces");
    let is_bond = match &interface.kind {
        InterfaceKind::Bridge(_) | InterfaceKind::OvsBridge(_) => return None,
        InterfaceKind::Bond(_) => true,
        InterfaceKind::OvsPort(port) => matches!(port.kind, OvsPortKind::Bond(_)),
        InterfaceKind::Loopback
        | InterfaceKind::Card
        | InterfaceKind::Vlan { .. }
        | InterfaceKind::Other => false,
    };
    if is_link(interface) {
        return None;
    }
    let carrier = carrier(interface);
    let dotted = port_of(&interface.name).1.is_some();
    let ovs_options = match &interface.kind {
        InterfaceKind::OvsPort(port) if !is_bond => {
            let tag = carrier.as_ref().and_then(|(_, tag)| *tag);
            let derived = tag.map(|tag| format!("tag={tag}"));
            port.options
                .clone()
                .filter(|options| Some(options) != derived.as_ref())
        }
        _ => None,
    };
    let says_more = !interface.families.iter().all(is_plain)
        || interface.mtu.is_some()
        || !interface.comments.is_empty()
        || ovs_options.is_some();
    let is_port = interfaces.ports.contains(&interface.name);
    let needed = match &carrier {
        // The port of the bridge says all of such a VLAN.
        Some(_) => says_more || !(dotted && is_port),
        // A bond's own lines and MTU are said where the bond is.
        None if is_bond => interface
            .families
            .iter()
            .any(|family| family.address.is_some() || !is_manual(family)),
        // A card alone that comes up at boot.
        None => says_more || interface.auto && !is_port,
    };
    if !needed {
        return None;
    }
    description(interface, &mut table);
    match carrier {
        Some((on, vlan)) => {
            table.set("on", on);
            table.set_some("vlan", vlan.map(u32::from));
            match alias(&interface.name) {
                Some((_, number)) => {
                    table.set("label", u32::from(number));
                }
                None if !dotted && matches!(interface.kind, InterfaceKind::Vlan { .. }) => {
                    table.set("interface", interface.name.as_str());
                }
                None => {}
            }
        }
        None => {
            table.set("on", interface.name.as_str());
        }
    }
    addresses(interface, &mut table);
    if !is_bond {
        table.set_some("mtu", interface.mtu);
        table.set_some("ovs-options", ovs_options);
        options(interface, &mut table, &[]);
    }
    Some(table)
}

fn is_manual(family: &Family) -> bool {
    matches!(family.method, Method::Manual)
}

/// Bridges that guests are on and that no table makes.
fn outside(writing: &Writing<'_>, interfaces: &Interfaces) -> BTreeSet<String> {
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
        let made = interfaces.typed.get(name).is_some_and(|interface| {
            matches!(
                interface.kind,
                InterfaceKind::Bridge(_) | InterfaceKind::OvsBridge(_)
            )
        });
        !made && BridgeName::parse(name).is_ok()
    });
    used
}

/// Whether a stanza holds a secret, as of a wireless network.
fn has_secret(interface: &Interface) -> bool {
    let mut options = interface.families.iter().flat_map(|family| &family.options);
    options.any(|(_, value)| is_blanked(value))
}

/// The file as ifupdown2 reads it: an empty line ends no stanza, and the options behind it belong to the one above.
fn without_gaps(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept = String::new();
    for (at, line) in lines.iter().enumerate() {
        let mut rest = lines[at..].iter().map(|line| line.trim());
        let next = rest.find(|line| !line.is_empty() && !line.starts_with('#'));
        let goes_on = next.is_some_and(|next| {
            let word = next.split_whitespace().next().unwrap_or_default();
            let starts = ["iface", "auto", "mapping", "source", "source-directory"];
            !starts.contains(&word) && !word.starts_with("allow-")
        });
        if line.trim().is_empty() && goes_on {
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// What stands in the file word for word.
fn raw_stanzas(writing: &mut Writing<'_>, interfaces: &Interfaces, table: &mut Table) {
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
