//! The machine against its spec: what has moved, come or gone since the `[hardware]` tables were written.
//!
//! A thing is known by what it is, not by where it sits: a disk by its serial number or stable name, a network card by its
//! address, a PCI function by its ids, those of its maker among them. So a card in another slot has moved, and is not one
//! that is gone and one that has come.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::adopt::hardware::class;
use crate::live::hardware::{BlockDevice, PciDevice};
use crate::live::{Item, Snapshot};
use crate::model::{self, Hardware, Host};
use crate::source::Span;
use crate::value::PciClass;

/// What a difference is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The processor.
    Cpu,
    /// The memory.
    Memory,
    /// A disk.
    Disk,
    /// A network card.
    Nic,
    /// A PCI function.
    Pci,
    /// A USB device.
    Usb,
}

impl Kind {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Nic => "nic",
            Self::Pci => "pci",
            Self::Usb => "usb",
        }
    }
}

/// What has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It sits elsewhere, or has another name.
    Moved,
    /// It is the same thing with another property.
    Changed,
    /// It is not there.
    Gone,
    /// The spec does not know it.
    New,
}

impl What {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::New => "new",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is about.
    pub kind: Kind,
    /// Its name in the spec; where the spec does not know it, where it sits.
    pub name: String,
    /// What has become of it.
    pub what: What,
    /// What of it: `address`, `iommu-group`, `size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property: Option<&'static str>,
    /// What the spec says.
    pub before: Option<String>,
    /// What the machine says.
    pub after: Option<String>,
    /// Where the spec says so.
    #[serde(skip)]
    pub spec: Option<Span>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.kind.as_str(),
            self.name,
            self.what.as_str()
        )?;
        if let Some(property) = self.property {
            write!(f, ": {property}")?;
        }
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, " {before} → {after}"),
            (Some(one), None) | (None, Some(one)) => write!(f, " ({one})"),
            (None, None) => Ok(()),
        }
    }
}

/// What could not be compared, and why.
pub type Unknown = (&'static str, String);

/// The machine against its spec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// What differs.
    pub differences: Vec<Difference>,
    /// What the copy does not tell.
    pub unknown: Vec<Unknown>,
}

/// Compares a machine with its spec.
pub fn compare(host: &Host, live: &Snapshot) -> Compared {
    let mut compared = Compared::default();
    let hardware = &host.hardware;
    processor(hardware, live, &mut compared);
    disks(hardware, live, &mut compared);
    nics(hardware, live, &mut compared);
    pci(hardware, live, &mut compared);
    usb(hardware, live, &mut compared);
    compared
}

impl Compared {
    /// What is there; what is not read is noted.
    fn read<'a, T>(&mut self, what: &'static str, item: &'a Item<T>) -> Option<&'a T> {
        match item {
            Item::Present(value) => Some(value),
            Item::Absent => {
                self.unknown
                    .push((what, "the copy does not hold it".to_owned()));
                None
            }
            Item::Unread(why) => {
                self.unknown.push((what, why.clone()));
                None
            }
        }
    }

    fn push(&mut self, kind: Kind, name: &str, what: What, spec: Option<Span>) -> &mut Difference {
        self.differences.push(Difference {
            kind,
            name: name.to_owned(),
            what,
            property: None,
            before: None,
            after: None,
            spec,
        });
        self.differences.last_mut().expect("it was pushed just now")
    }

    fn property(
        &mut self,
        (kind, name): (Kind, &str),
        property: &'static str,
        before: Option<(String, Span)>,
        after: Option<String>,
    ) {
        let (Some((before, span)), Some(after)) = (before, after) else {
            return;
        };
        if before != after {
            let difference = self.push(kind, name, What::Changed, Some(span));
            difference.property = Some(property);
            difference.before = Some(before);
            difference.after = Some(after);
        }
    }
}

fn processor(hardware: &Hardware, live: &Snapshot, compared: &mut Compared) {
    if let Some(cpu) = &hardware.cpu
        && let Some(now) = compared.read("lscpu", &live.machine.processor)
    {
        let model = cpu
            .model
            .as_ref()
            .map(|model| (model.as_str().to_owned(), model.span));
        compared.property((Kind::Cpu, "cpu"), "model", model, Some(now.model.clone()));
        let threads = cpu.threads.filter(model::Setting::is_written);
        let threads = threads.map(|threads| (threads.value.to_string(), threads.span));
        let now = now.threads.map(|threads| threads.to_string());
        compared.property((Kind::Cpu, "cpu"), "threads", threads, now);
    }
    if let Some(memory) = &hardware.memory
        && !memory.size.is_missing()
        && let Some(now) = compared.read("meminfo", &live.machine.memory)
    {
        // The kernel keeps up to a tenth for itself and for what is in the processor.
        let said = memory.size.as_bytes();
        let fits = *now <= said && said - now <= said / 10 + (1 << 30);
        if !fits {
            let difference = compared.push(
                Kind::Memory,
                "memory",
                What::Changed,
                Some(memory.size.span),
            );
            difference.property = Some("size");
            difference.before = Some(memory.size.value.to_string());
            difference.after = Some(format!("{} MiB", now >> 20));
        }
    }
}

fn disks(hardware: &Hardware, live: &Snapshot, compared: &mut Compared) {
    let Some(found) = compared.read("lsblk", &live.machine.disks) else {
        return;
    };
    let none = std::collections::BTreeMap::new();
    let by_id = live.machine.by_id.present().unwrap_or(&none);
    let kernel = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for disk in hardware
        .disks
        .values()
        .filter(|disk| !disk.device.is_missing())
    {
        let name = disk.name.value.as_str();
        let device = disk.device.as_str();
        let target = by_id
            .get(&kernel(device))
            .cloned()
            .unwrap_or_else(|| kernel(device));
        let by_path = found.iter().find(|one| kernel(&one.path) == target);
        let serial = disk.serial.as_ref().map(|serial| serial.as_str());
        let by_serial = found
            .iter()
            .find(|one| serial.is_some() && one.serial.as_deref() == serial);
        let Some(now) = by_serial.or(by_path) else {
            let difference = compared.push(Kind::Disk, name, What::Gone, Some(disk.name.span));
            difference.before = Some(device.to_owned());
            continue;
        };
        known.insert(kernel(&now.path));
        if by_serial.is_some() && by_path.is_none() {
            let difference = compared.push(Kind::Disk, name, What::Moved, Some(disk.device.span));
            difference.property = Some("device");
            difference.before = Some(device.to_owned());
            difference.after = Some(now.path.clone());
        }
        let said = disk.size.as_bytes();
        // What is sold as 500 GB has a little more or less.
        if !disk.size.is_missing() && said.abs_diff(now.size) > said / 50 {
            let difference = compared.push(Kind::Disk, name, What::Changed, Some(disk.size.span));
            difference.property = Some("size");
            difference.before = Some(disk.size.value.to_string());
            difference.after = Some(format!("{} bytes", now.size));
        }
    }
    let is_disk = |one: &&BlockDevice| {
        let name = kernel(&one.path);
        let made = ["zd", "loop", "rbd", "nbd", "ram", "sr", "dm-", "md"];
        one.kind == "disk" && one.size > 0 && !made.iter().any(|other| name.starts_with(other))
    };
    for one in found.iter().filter(is_disk) {
        if !known.contains(&kernel(&one.path)) {
            let difference = compared.push(Kind::Disk, &one.path, What::New, None);
            difference.after.clone_from(&one.model);
        }
    }
}

fn nics(hardware: &Hardware, live: &Snapshot, compared: &mut Compared) {
    let Some(found) = compared.read("ip link", &live.network) else {
        return;
    };
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for nic in hardware
        .nics
        .values()
        .filter(|nic| !nic.interface.is_missing())
    {
        let name = nic.name.value.as_str();
        let interface = nic.interface.as_str();
        let mac = nic.mac.as_ref().map(|mac| mac.value.to_string());
        let has = |link: &&crate::live::network::Link| {
            mac.is_some()
                && (link.permanent_mac.as_ref().or(link.mac.as_ref()) == mac.as_ref())
                && link.kind.is_none()
        };
        let by_mac = found.iter().find(has);
        let by_name = found.iter().find(|link| link.name == interface);
        match (by_mac, by_name, &nic.mac) {
            (Some(link), _, Some(mac)) => {
                known.insert(&link.name);
                if link.name != interface {
                    let difference = compared.push(Kind::Nic, name, What::Moved, Some(mac.span));
                    difference.property = Some("interface");
                    difference.before = Some(interface.to_owned());
                    difference.after = Some(link.name.clone());
                }
            }
            (_, Some(link), None) => {
                known.insert(&link.name);
            }
            (_, Some(link), Some(mac)) => {
                known.insert(&link.name);
                let difference = compared.push(Kind::Nic, name, What::Changed, Some(mac.span));
                difference.property = Some("mac");
                difference.before = Some(mac.value.to_string());
                difference.after = link.permanent_mac.clone().or_else(|| link.mac.clone());
            }
            (_, None, _) => {
                let difference = compared.push(Kind::Nic, name, What::Gone, Some(nic.name.span));
                difference.before = Some(interface.to_owned());
            }
        }
    }
    for link in found
        .iter()
        .filter(|link| link.kind.is_none() && link.device.is_some())
    {
        if !known.contains(link.name.as_str()) {
            let difference = compared.push(Kind::Nic, &link.name, What::New, None);
            difference.after.clone_from(&link.mac);
        }
    }
}

/// What a PCI function is known by.
fn identity(device: &PciDevice) -> (String, Option<String>) {
    let maker = device
        .subsystem_vendor
        .as_ref()
        .zip(device.subsystem_device.as_ref());
    (
        device.id(),
        maker.map(|(vendor, card)| format!("{}:{}", vendor.id, card.id)),
    )
}

fn pci(hardware: &Hardware, live: &Snapshot, compared: &mut Compared) {
    let Some(found) = compared.read("lspci", &live.machine.pci) else {
        return;
    };
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let mut elsewhere = Vec::new();
    let followed = followed(hardware, live);
    let goes_to = |device: &model::PciDevice| followed.get(&device.address.to_string());
    let rows = hardware.pci.values();
    let mut rows: Vec<&model::PciDevice> =
        rows.filter(|device| !device.address.is_missing()).collect();
    // Where a card's own address says which of several equal ones it is, the others are what is left.
    rows.sort_by_key(|device| goes_to(device).is_none());
    for device in rows {
        let address = device.address.to_string();
        // Several rows may be of one function, but not of one that has come from elsewhere.
        let came = followed
            .iter()
            .any(|(before, now)| *now == address && *before != address);
        let here = found.iter().find(|one| one.address == address && !came);
        let stays = goes_to(device).is_none_or(|place| *place == address);
        match here.filter(|one| stays && is_it(device, one)) {
            Some(now) => {
                known.insert(&now.address);
                if device.all_functions {
                    let card = device.address.device_path();
                    let functions = found.iter().filter(|one| one.address.starts_with(&card));
                    known.extend(functions.map(|one| one.address.as_str()));
                }
                same_pci(device, now, compared);
            }
            None => elsewhere.push(device),
        }
    }
    for device in elsewhere {
        let name = device.name.value.as_str();
        let address = device.path();
        let is_free = |one: &&PciDevice| {
            device.id.is_some() && is_it(device, one) && !known.contains(one.address.as_str())
        };
        let its_own = found
            .iter()
            .find(|one| is_free(one) && goes_to(device) == Some(&one.address));
        let moved = its_own.or_else(|| found.iter().find(is_free));
        let Some(now) = moved else {
            let here = found
                .iter()
                .find(|one| one.address == device.address.to_string());
            let difference = compared.push(Kind::Pci, name, What::Gone, Some(device.address.span));
            difference.before = Some(address);
            difference.after = here.map(|other| format!("{}, {}", other.id(), other.device.name));
            continue;
        };
        known.insert(&now.address);
        let difference = compared.push(Kind::Pci, name, What::Moved, Some(device.address.span));
        difference.property = Some("address");
        difference.before = Some(address);
        difference.after = Some(if device.all_functions {
            now.address
                .split('.')
                .next()
                .unwrap_or(&now.address)
                .to_owned()
        } else {
            now.address.clone()
        });
        same_pci(device, now, compared);
    }
    let mut new: Vec<&PciDevice> = found.iter().collect();
    new.retain(|one| {
        let wanted = match class(one) {
            PciClass::Gpu | PciClass::Nic | PciClass::Storage => true,
            PciClass::Audio | PciClass::Usb | PciClass::Other => false,
        };
        wanted && !known.contains(one.address.as_str())
    });
    for one in new {
        let difference = compared.push(Kind::Pci, &one.address, What::New, None);
        let driver = one.driver.as_deref().unwrap_or("no driver");
        difference.after = Some(format!("{}, {}, {driver}", one.id(), one.device.name));
    }
}

/// Where a network card of the spec sits now, by where it sat: the address of the card itself tells equal ones apart, and its
/// name by its slot says where it was.
fn followed(hardware: &Hardware, live: &Snapshot) -> BTreeMap<String, String> {
    let links = live.network.present().map_or(&[][..], Vec::as_slice);
    let mut places = BTreeMap::new();
    for nic in hardware.nics.values() {
        let Some(mac) = nic.mac.as_ref().map(|mac| mac.value.to_string()) else {
            continue;
        };
        let mut links = links.iter().filter(|link| link.kind.is_none());
        let link = links.find(|link| {
            let own = link.permanent_mac.as_ref().or(link.mac.as_ref());
            own.is_some_and(|own| own.eq_ignore_ascii_case(&mac))
        });
        let now = link.and_then(|link| link.device.clone());
        if let (Some(before), Some(now)) = (slot_of(nic.interface.as_str()), now) {
            places.insert(before, now);
        }
    }
    places
}

/// The PCI address in a name such as `enp5s0f1` (systemd.net-naming-scheme(7): all numbers are decimal).
fn slot_of(interface: &str) -> Option<String> {
    let (bus, rest) = interface.strip_prefix("enp")?.split_once('s')?;
    let slot: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let function = rest[slot.len()..].strip_prefix('f').map_or("0", |rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        &rest[..end]
    });
    let number = |text: &str| text.parse::<u8>().ok();
    let (bus, slot, function) = (number(bus)?, number(&slot)?, number(function)?);
    Some(format!("0000:{bus:02x}:{slot:02x}.{function:x}"))
}

/// Whether a function is the one that the spec means, as far as the spec says what that is.
fn is_it(device: &model::PciDevice, now: &PciDevice) -> bool {
    let (id, subsystem) = identity(now);
    device.id.is_none_or(|own| own.value.to_string() == id)
        && device
            .subsystem
            .zip(subsystem)
            .is_none_or(|(own, now)| own.value.to_string() == now)
}

fn same_pci(device: &model::PciDevice, now: &PciDevice, compared: &mut Compared) {
    let group = device
        .iommu_group
        .map(|group| (group.value.to_string(), group.span));
    let now = now.iommu_group.map(|group| group.to_string());
    compared.property((Kind::Pci, &device.name.value), "iommu-group", group, now);
}

fn usb(hardware: &Hardware, live: &Snapshot, compared: &mut Compared) {
    if hardware.usb.is_empty() {
        return;
    }
    let Some(found) = compared.read("lsusb", &live.machine.usb) else {
        return;
    };
    for device in hardware.usb.values() {
        let Some(id) = &device.id else { continue };
        if !found.iter().any(|one| one.id == id.value.to_string()) {
            let difference =
                compared.push(Kind::Usb, &device.name.value, What::Gone, Some(id.span));
            difference.before = Some(id.value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_by_its_slot_says_where_the_card_sits() {
        for (name, address) in [
            ("enp5s0", Some("0000:05:00.0")),
            ("enp10s31f6", Some("0000:0a:1f.6")),
            ("enp1s0f1np1", Some("0000:01:00.1")),
            ("eno1", None),
            ("enpxs0", None),
            ("enp999s0", None),
        ] {
            assert_eq!(slot_of(name).as_deref(), address, "{name}");
        }
    }
}
