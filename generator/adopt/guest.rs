//! One guest while its tables are written: what those of machines and of containers share.

use std::collections::{BTreeMap, BTreeSet};

use super::doc::{Part, Table, Toml};
use super::write::{Writing, amount, kebab, schema_value, size};
use crate::live::LiveGuest;
use crate::live::secrets::is_blanked;
use crate::plan::value::parts;
use crate::pve::schema::OptionSchema;
use crate::pve::{DiskSize, GuestConfig, GuestKind};
use crate::value::{SpecString, VlanSet};

/// A guest while its tables are written.
pub(super) struct Guest<'a> {
    /// As it is on the host.
    pub(super) live: &'a LiveGuest,
    /// What it is in the spec.
    pub(super) part: Part,
    /// Its options, as they will be after its next start; those that have been said are gone.
    pub(super) options: BTreeMap<String, String>,
    /// Options in Proxmox VE's own words.
    pub(super) raw: BTreeMap<String, String>,
    /// Its own table.
    pub(super) table: Table,
    /// The tables below it.
    pub(super) below: Vec<Table>,
    /// The header of its own table.
    header: [String; 2],
}

/// A device in a list: its number, its option, what it is, and what else is said of it.
pub(super) struct DeviceRow {
    pub(super) slot: u32,
    pub(super) option: String,
    pub(super) device: String,
    pub(super) more: Vec<(String, Toml)>,
}

impl<'a> Guest<'a> {
    pub(super) fn new(writing: &Writing<'_>, live: &'a LiveGuest) -> Self {
        let folder = match live.kind {
            GuestKind::Qm => "vms",
            GuestKind::Pct => "containers",
        };
        let name = &writing.names[&live.vmid];
        let part = Part::Guest(live.vmid);
        let mut guest = Self {
            live,
            table: Table::new([folder, name.as_str()], part.clone()),
            part,
            options: options(live),
            raw: BTreeMap::new(),
            below: Vec::new(),
            header: [folder.to_owned(), name.clone()],
        };
        let raw: Vec<String> = guest
            .options
            .keys()
            .filter(|key| writing.decided.is_raw(&guest.part, key))
            .cloned()
            .collect();
        for key in raw {
            guest.take_raw(&key);
        }
        guest
    }

    /// Takes an option to say it.
    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        self.options.remove(key)
    }

    /// Takes an option to say it in Proxmox VE's own words.
    pub(super) fn take_raw(&mut self, key: &str) {
        if let Some(value) = self.options.remove(key) {
            self.raw.insert(key.to_owned(), value);
        }
    }

    /// The options `net0`, `net1`, … that are left, by their numbers.
    pub(super) fn numbered(&self, base: &str) -> Vec<(u32, String)> {
        let mut found: Vec<(u32, String)> = self
            .options
            .keys()
            .filter_map(|key| {
                let number = key.strip_prefix(base)?;
                let number = number.parse::<u32>().ok()?;
                Some((number, key.clone()))
            })
            .collect();
        found.sort();
        found
    }

    /// Whether moxc would give these numbers by itself: it takes the lowest that no option in Proxmox VE's own words has.
    pub(super) fn follow(&self, base: &str, slots: impl IntoIterator<Item = u32>) -> bool {
        let raw: BTreeSet<u32> = self
            .raw
            .keys()
            .filter_map(|key| key.strip_prefix(base)?.parse().ok())
            .collect();
        let mut free = (0..).filter(|slot| !raw.contains(slot));
        slots.into_iter().all(|slot| free.next() == Some(slot))
    }

    /// A list of devices: each is what it is alone, where nothing else is to be said of it, and a table otherwise.
    pub(super) fn set_devices(&mut self, base: &str, key: &str, main: &str, rows: Vec<DeviceRow>) {
        let follow = self.follow(base, rows.iter().map(|row| row.slot));
        let Some(first) = rows.first().map(|row| row.option.clone()) else {
            return;
        };
        let entries = rows.into_iter().map(|row| {
            if follow && row.more.is_empty() {
                return row.device.into();
            }
            let mut table = vec![(main.to_owned(), row.device.into())];
            if !follow {
                table.push(("slot".to_owned(), row.slot.into()));
            }
            table.extend(row.more);
            Toml::Table(table)
        });
        self.table
            .set_as(key, Toml::List(entries.collect()), &first);
    }

    /// A value by its parts.
    pub(super) fn parts(&self, key: &str, value: &str) -> BTreeMap<String, String> {
        parts(self.live.kind.config_file(), key, value)
    }

    /// A table below the guest's own.
    pub(super) fn table_below(&self, name: &str) -> Table {
        let header = self.header.iter().map(String::as_str).chain([name]);
        Table::new(header, self.part.clone())
    }

    /// One of an array of tables below the guest's own.
    pub(super) fn item_below(&self, name: &str, says: &str) -> Table {
        Table {
            is_item: true,
            says: Some(says.to_owned()),
            ..self.table_below(name)
        }
    }

    /// Adds the tables of options that have numbers, and the numbers where moxc would give others.
    pub(super) fn push_numbered(&mut self, base: &str, tables: Vec<(u32, Table)>) {
        let follow = self.follow(base, tables.iter().map(|(slot, _)| *slot));
        for (slot, mut table) in tables {
            if !follow {
                let says = format!("{base}{slot}.slot");
                table.set_as("slot", slot, &says);
            }
            self.below.push(table);
        }
    }

    /// The options that are keys of the schema, and what stays in Proxmox VE's own words.
    pub(super) fn rest(&mut self, said: &[(&str, &str)]) {
        let file = self.live.kind.config_file();
        for (key, value) in std::mem::take(&mut self.options) {
            let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
            let is_said = said.iter().any(|(said, _)| *said == key || *said == base);
            match file.option(&key) {
                Some(schema) if !is_said && !value.is_empty() => {
                    let value = schema_value(schema, &value);
                    self.table.set_as(&kebab(&key), value, &key);
                }
                Some(_) | None => {
                    self.raw.insert(key, value);
                }
            }
        }
    }
}

/// The options of a guest after its next start, without what Proxmox VE keeps there for itself and without secrets.
fn options(live: &LiveGuest) -> BTreeMap<String, String> {
    let pending = live.pending().into_iter();
    let keys = live
        .config
        .options()
        .chain(pending.flat_map(GuestConfig::options))
        .map(|(key, _)| key)
        .filter(|key| *key != "delete" && !crate::pve::is_state(key));
    keys.filter_map(|key| {
        let value = live.wanted(key)?;
        // Any generation that a machine has will do; none is a wish.
        let is_kept = !is_blanked(value) && (key != "vmgenid" || value == "0");
        is_kept.then(|| (key.to_owned(), value.to_owned()))
    })
    .collect()
}

/// Name, number, notes and tags.
pub(super) fn identity(writing: &Writing<'_>, guest: &mut Guest<'_>, name_key: &str) {
    let vmid = guest.live.vmid;
    if let Some(name) = guest.take(name_key)
        && name != writing.names[&vmid]
    {
        guest.table.set_as("name", name, name_key);
    }
    guest.table.set("vmid", vmid);
    let description = guest.live.config.description().to_owned();
    guest.take("description");
    if !description.is_empty() {
        guest.table.set("description", Toml::Lines(description));
    }
    if let Some(tags) = guest.take("tags") {
        let tags = tags.split([';', ',', ' ']).filter(|tag| !tag.is_empty());
        let tags: Vec<String> = tags.map(str::to_ascii_lowercase).collect();
        guest.table.set("tags", Toml::texts(tags));
    }
}

/// Whether it starts with the host, and whether it may be removed.
pub(super) fn start(writing: &Writing<'_>, guest: &mut Guest<'_>) {
    let onboot = guest.take("onboot");
    let on = onboot.as_deref() == Some("1");
    match guest.take("startup") {
        None if on => {
            guest.table.set_as("autostart", true, "onboot");
        }
        None if onboot.is_some() && !writing.minimal => {
            guest.table.set_as("autostart", false, "onboot");
        }
        None => {}
        Some(startup) => {
            let mut table = Vec::new();
            for (key, value) in guest.parts("startup", &startup) {
                let entry = match key.as_str() {
                    "order" => ("order", Toml::number(&value)),
                    "up" => ("up-delay", Toml::Text(format!("{value}s"))),
                    "down" => ("down-delay", Toml::Text(format!("{value}s"))),
                    _ => continue,
                };
                table.push((entry.0.to_owned(), entry.1));
            }
            let order = ["order", "up-delay", "down-delay"];
            table.sort_by_key(|(key, _): &(String, Toml)| {
                order.iter().position(|known| known == key)
            });
            if !on {
                table.push(("enabled".to_owned(), false.into()));
            }
            guest
                .table
                .set_as("autostart", Toml::Table(table), "startup");
        }
    }
    if let Some(others) = writing.exclusive.get(&guest.live.vmid) {
        let names = others.iter().map(|vmid| writing.names[vmid].clone());
        let entry = guest.table.set("exclusive-with", Toml::texts(names));
        entry
            .comments
            .push("one device is given to both".to_owned());
    }
    if let Some(protection) = guest.take("protection")
        && (protection == "1" || !writing.minimal)
    {
        guest.table.set("protection", protection == "1");
    }
}

/// The entries of `cpu` that both kinds of guests have.
pub(super) fn weights(guest: &mut Guest<'_>, cpu: &mut Vec<(String, Toml)>) {
    if let Some(limit) = guest.take("cpulimit") {
        cpu.push(("limit".to_owned(), amount(&limit)));
    }
    if let Some(units) = guest.take("cpuunits") {
        cpu.push(("units".to_owned(), Toml::number(&units)));
    }
}

/// An amount of MiB, as Proxmox VE counts memory.
pub(super) fn mebibytes(text: &str) -> Toml {
    match text.parse::<u64>() {
        Ok(number) if number < 1 << 40 => size(number << 20),
        Ok(_) | Err(_) => text.into(),
    }
}

/// A disk's size.
pub(super) fn disk_size(text: &str) -> Toml {
    match text.parse::<DiskSize>() {
        Ok(bytes) => size(bytes.bytes()),
        Err(_) => text.into(),
    }
}

/// Where a volume lies: the store's key and name, and the volume's name; none where it is no volume of a storage that the
/// spec says.
pub(super) fn volume<'v>(
    writing: &Writing<'_>,
    value: &'v str,
) -> Option<(&'static str, &'v str, &'v str)> {
    let (store, volume) = value.split_once(':')?;
    let kind = writing.stores.get(store)?;
    Some((kind.key(), store, volume))
}

/// Whether a card says something that the language has no word for: an MTU of 1 is the bridge's own, VLAN 1 is none.
pub(super) fn is_odd_card(parts: &BTreeMap<String, String>) -> bool {
    let below = |key: &str, least: u32| {
        let value = parts.get(key).and_then(|value| value.parse::<u32>().ok());
        parts.contains_key(key) && value.is_none_or(|value| value < least)
    };
    let trunks = parts.get("trunks").map(|trunks| VlanSet::parse(trunks));
    below("mtu", 576) || below("tag", 2) || trunks.is_some_and(|trunks| trunks.is_err())
}

/// What a card says, and the bridge that it is on; none where the language has no word for something of it.
pub(super) fn said_of_card(
    guest: &Guest<'_>,
    option: &str,
) -> Option<(String, BTreeMap<String, String>)> {
    let mut parts = guest.parts(option, guest.options.get(option)?);
    let file = guest.live.kind.config_file();
    file.option(option).and_then(OptionSchema::sub_options)?;
    let bridge = parts.remove("bridge")?;
    let is_known = !is_odd_card(&parts) && parts.values().all(|part| !is_blanked(part));
    is_known.then_some((bridge, parts))
}

/// A card's bridge, VLAN and what else both kinds of guests say of one.
pub(super) fn card(
    guest: &Guest<'_>,
    option: &str,
    parts: &mut BTreeMap<String, String>,
    table: &mut Table,
) {
    let file = guest.live.kind.config_file();
    let says = |part: &str| format!("{option}.{part}");
    if let Some(tag) = parts.remove("tag") {
        table.set_as("vlan", Toml::number(&tag), &says("tag"));
    }
    if let Some(trunks) = parts.remove("trunks") {
        let list = trunks.split(';').map(Toml::number).collect();
        table.set_as("trunks", Toml::List(list), &says("trunks"));
    }
    if let Some(firewall) = parts.remove("firewall")
        && firewall == "1"
    {
        table.set_as("firewall", true, &says("firewall"));
    }
    for key in ["mtu", "rate"] {
        if let Some(value) = parts.remove(key) {
            let value = if key == "rate" {
                amount(&value)
            } else {
                Toml::number(&value)
            };
            table.set_as(key, value, &says(key));
        }
    }
    let keys = file.option(option).and_then(OptionSchema::sub_options);
    for (key, value) in parts.iter() {
        let value = match keys.as_ref().and_then(|keys| keys.get(key)) {
            Some(schema) => schema_value(schema, value),
            None => value.as_str().into(),
        };
        table.set_as(&kebab(key), value, &says(key));
    }
}
