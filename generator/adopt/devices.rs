//! Devices that guests name by where they are: each becomes a row of the hardware table, and guests that take one device
//! exclude each other.

use std::collections::{BTreeMap, BTreeSet};

use super::doc::Part;
use super::hardware::class;
use super::write::Decided;
use crate::live::{LiveGuest, LiveNode, Snapshot};
use crate::plan::value::parts;
use crate::value::{PciClass, PciPlace, SpecString as _, UsbId, UsbPort};

/// What a guest's options of one kind say, each by its parts, after its next start.
fn parts_of<'a>(
    guest: &'a LiveGuest,
    base: &'a str,
) -> impl Iterator<Item = BTreeMap<String, String>> + 'a {
    let file = guest.kind.config_file();
    let options = guest.config.options();
    options
        .filter(move |(key, _)| key.starts_with(base))
        .map(move |(key, value)| parts(file, key, guest.wanted(key).unwrap_or(value)))
}

/// The PCI functions that guests name by their addresses, with a name for each.
pub(super) fn passed(
    live: &Snapshot,
    own: &LiveNode,
    mapped: &BTreeSet<String>,
    decided: &Decided,
) -> BTreeMap<String, String> {
    let mut places = BTreeSet::new();
    for guest in own.guests.values() {
        let hosts = parts_of(guest, "hostpci").filter_map(|mut parts| parts.remove("host"));
        places.extend(hosts.filter(|place| PciPlace::parse(place).is_ok()));
    }
    let mut taken = mapped.clone();
    let mut passed = BTreeMap::new();
    for place in places {
        let device = live.machine.pci.present().and_then(|devices| {
            let first = format!("{place}.0");
            let mut devices = devices.iter();
            devices.find(|device| device.address == place || device.address == first)
        });
        let name = match device.map(class).map(PciClass::as_str) {
            Some(class) if class != "other" => {
                let mut names = (1..).map(|number| format!("{class}-{number}"));
                names.find(|name| !taken.contains(name))
            }
            Some(_) | None => None,
        };
        let name = name.unwrap_or_else(|| {
            let place = place.trim_start_matches("0000:");
            format!("pci-{}", place.replace([':', '.'], "-"))
        });
        taken.insert(name.clone());
        if !decided.kept.contains_key(&Part::Device(name.clone())) {
            passed.insert(place, name);
        }
    }
    passed
}

/// The USB devices that guests name by their ids or sockets, with a name for each.
pub(super) fn plugged(own: &LiveNode, decided: &Decided) -> BTreeMap<String, String> {
    let mut plugged = BTreeMap::new();
    for guest in own.guests.values() {
        for place in parts_of(guest, "usb").filter_map(|mut parts| parts.remove("host")) {
            let is_known = UsbId::parse(&place).is_ok() || UsbPort::parse(&place).is_ok();
            let name = format!(
                "usb-{}",
                place.to_ascii_lowercase().replace([':', '.'], "-")
            );
            if is_known && !decided.kept.contains_key(&Part::Device(name.clone())) {
                plugged.insert(place, name);
            }
        }
    }
    plugged
}

/// Guests that take one device cannot run at the same time: it is said of those of which not both start with the host, nor
/// run now. Each stands at the later of the two.
pub(super) fn exclusive(
    live: &Snapshot,
    own: &LiveNode,
    pci: &BTreeSet<String>,
    usb: &BTreeSet<String>,
) -> BTreeMap<u32, BTreeSet<u32>> {
    let mut takers: BTreeMap<(&str, String), Vec<&LiveGuest>> = BTreeMap::new();
    for guest in own.guests.values() {
        for (base, mapped) in [("hostpci", pci), ("usb", usb)] {
            for mut parts in parts_of(guest, base) {
                // A mediated device is a part of a card that many have.
                let shared = parts.contains_key("mdev");
                // A mapping of several devices serves as many guests.
                let mapping = parts.remove("mapping").filter(|name| mapped.contains(name));
                let mapping = mapping.map(|name| format!("mapping {name}"));
                let device = parts.remove("host").or(mapping);
                if let Some(device) =
                    device.filter(|device| !shared && !device.starts_with("spice"))
                {
                    takers.entry((base, device)).or_default().push(guest);
                }
            }
        }
    }
    // A serial or parallel port of the host is one guest's.
    for guest in own.guests.values() {
        for (key, value) in guest.config.options() {
            let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
            let port = guest.wanted(key).unwrap_or(value);
            if matches!(base, "serial" | "parallel") && port.starts_with('/') {
                let takers = takers.entry(("port", port.to_owned())).or_default();
                takers.push(guest);
            }
        }
    }
    let mut exclusive: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    let starts = |guest: &LiveGuest| guest.wanted("onboot") == Some("1");
    let runs = |guest: &LiveGuest| live.runs(guest.vmid) == Some(true);
    for guests in takers.values() {
        for (at, guest) in guests.iter().enumerate() {
            for other in &guests[..at] {
                let both = starts(guest) && starts(other) || runs(guest) && runs(other);
                if guest.vmid != other.vmid && !both {
                    exclusive.entry(guest.vmid).or_default().insert(other.vmid);
                }
            }
        }
    }
    exclusive
}
