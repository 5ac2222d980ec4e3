//! `[hardware]`: the machine, as far as the copy knows it.

use std::collections::{BTreeMap, BTreeSet};

use super::doc::{Doc, Part, Table, Toml};
use super::write::{NamedDisk, Writing, capacity, kebab, plain_name, schema_value, size};
use crate::live::hardware::{BlockDevice, PciDevice};
use crate::live::network::Link;
use crate::live::{Item, Snapshot};
use crate::pve::{ConfigFile, MappingKind, Section};
use crate::value::{InterfaceName, PciClass, SpecString};

/// The disks of the machine, and what they are called in the spec.
#[derive(Debug, Clone, Default)]
pub(super) struct Disks {
    disks: Vec<Disk>,
}

/// A disk, or the partition of one that a pool has.
#[derive(Debug, Clone)]
struct Disk {
    /// Its name in the spec.
    name: String,
    /// Below `/dev/disk/by-id`.
    device: String,
    partition: Option<u32>,
    /// What the kernel calls it now, as in `sda`; of a partition as in `sda3`.
    kernel: String,
    found: BlockDevice,
}

impl Disks {
    /// The disks that have a stable name.
    pub(super) fn of(live: &Snapshot) -> Self {
        let (Item::Present(found), Item::Present(by_id)) =
            (&live.machine.disks, &live.machine.by_id)
        else {
            return Self::default();
        };
        let mut stable: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, target) in by_id {
            let known = stable.entry(target).or_insert(name);
            if preference(name) < preference(known) {
                *known = name;
            }
        }
        let members = members(live);
        let mut disks = Vec::new();
        for disk in found.iter().filter(|disk| is_disk(disk)) {
            let kernel = kernel_name(&disk.path);
            let Some(id) = stable.get(kernel) else {
                continue;
            };
            let device = format!("/dev/disk/by-id/{id}");
            // A partition that a pool has is a disk of its own in the spec.
            let of_pools: Vec<(u32, &str)> = disk
                .children
                .iter()
                .filter(|child| child.kind == "part")
                .filter_map(|child| {
                    let own = kernel_name(&child.path);
                    let number = partition_number(kernel, own)?;
                    members
                        .iter()
                        .any(|member| is_member(member, own, by_id))
                        .then_some((number, own))
                })
                .collect();
            let mut push = |partition: Option<u32>, kernel: &str| {
                disks.push(Disk {
                    name: String::new(),
                    device: device.clone(),
                    partition,
                    kernel: kernel.to_owned(),
                    found: disk.clone(),
                });
            };
            // `zpool` partitions a whole disk by itself, and names the first.
            let whole = members.iter().any(|member| {
                member.rsplit('/').next() == Some(*id) || kernel_name(member) == kernel
            });
            match &of_pools[..] {
                [] => push(None, kernel),
                _ if whole => push(None, kernel),
                [(1, _)] if is_whole_zfs(disk) => push(None, kernel),
                several => {
                    for (number, own) in several {
                        push(Some(*number), own);
                    }
                }
            }
        }
        disks.sort_by(|one, other| {
            (&one.device, one.partition).cmp(&(&other.device, other.partition))
        });
        let mut disks = Self { disks };
        disks.name(live);
        disks
    }

    /// After the pool that they are of, else after what they are.
    fn name(&mut self, live: &Snapshot) {
        let pools: Vec<(String, Vec<String>)> = live
            .zfs
            .pools
            .present()
            .into_iter()
            .flatten()
            .map(|pool| {
                let members = pool.vdevs.iter().flat_map(|vdev| vdev.members.clone());
                (pool.name.clone(), members.collect())
            })
            .collect();
        for (pool, members) in pools {
            let mut number = 0;
            for member in members {
                if let Some(at) = self.position(&member)
                    && self.disks[at].name.is_empty()
                {
                    number += 1;
                    self.disks[at].name = format!("{}-{number}", plain_name(&pool, "pool"));
                }
            }
        }
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for disk in &mut self.disks {
            if disk.name.is_empty() {
                let kind = kind(&disk.found);
                let count = counts.entry(kind).or_default();
                *count += 1;
                disk.name = format!("{kind}-{count}");
            }
        }
    }

    fn position(&self, member: &str) -> Option<usize> {
        let last = member.rsplit('/').next()?;
        let is_it = |disk: &Disk| {
            let id = disk.device.rsplit('/').next().unwrap_or_default();
            let partition = disk
                .partition
                .map(|number| format!("-part{number}"))
                .unwrap_or_default();
            last == format!("{id}{partition}")
                || disk.partition.is_none() && last == format!("{id}-part1")
                || kernel_name(member) == disk.kernel
                || disk.partition.is_none() && is_first_partition(&disk.kernel, kernel_name(member))
        };
        self.disks.iter().position(is_it)
    }

    /// The name of the disk that a pool names as a member.
    pub(super) fn member(&self, member: &str) -> Option<String> {
        self.position(member).map(|at| self.disks[at].name.clone())
    }

    /// The disks by their stable paths.
    pub(super) fn by_path(&self) -> BTreeMap<String, NamedDisk> {
        let named = self.disks.iter().map(|disk| {
            let named = NamedDisk {
                name: disk.name.clone(),
                is_whole: disk.partition.is_none(),
            };
            (disk.device.clone(), named)
        });
        named.collect()
    }
}

/// Which of two stable names of a disk is the better one: model and serial number before numbers that say nothing.
fn preference(name: &str) -> (u32, usize, &str) {
    let rank = match name.split('-').next().unwrap_or_default() {
        "ata" => 0,
        "nvme" if !name.starts_with("nvme-eui.") && !name.starts_with("nvme-nvme.") => 0,
        "usb" => 1,
        "scsi" => 2,
        "wwn" => 3,
        _ => 4,
    };
    // `nvme-MODEL_SERIAL_1` is the same with the number of its namespace.
    (rank, name.len(), name)
}

fn is_disk(disk: &BlockDevice) -> bool {
    let name = kernel_name(&disk.path);
    disk.kind == "disk"
        && disk.size > 0
        && !["zd", "loop", "rbd", "nbd", "ram", "sr", "dm-"]
            .iter()
            .any(|other| name.starts_with(other))
}

fn is_whole_zfs(disk: &BlockDevice) -> bool {
    let last = disk.children.last();
    disk.children.len() == 2 && last.is_some_and(|last| last.size == 8 << 20)
}

fn kernel_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn partition_number(disk: &str, partition: &str) -> Option<u32> {
    let rest = partition.strip_prefix(disk)?;
    rest.strip_prefix('p').unwrap_or(rest).parse().ok()
}

fn is_first_partition(disk: &str, partition: &str) -> bool {
    partition_number(disk, partition) == Some(1)
}

fn members(live: &Snapshot) -> Vec<String> {
    let pools = live.zfs.pools.present().into_iter().flatten();
    pools
        .flat_map(|pool| {
            pool.vdevs
                .iter()
                .flat_map(|vdev| vdev.members.iter().cloned())
        })
        .collect()
}

fn is_member(member: &str, kernel: &str, by_id: &BTreeMap<String, String>) -> bool {
    let last = kernel_name(member);
    last == kernel || by_id.get(last).is_some_and(|target| target == kernel)
}

fn kind(disk: &BlockDevice) -> &'static str {
    if disk.transport.as_deref() == Some("nvme") || kernel_name(&disk.path).starts_with("nvme") {
        "nvme"
    } else if disk.rotational {
        "hdd"
    } else {
        "ssd"
    }
}

/// Writes the tables of the machine.
pub(super) fn write(
    writing: &mut Writing<'_>,
    disks: &Disks,
    nics: &BTreeSet<String>,
    doc: &mut Doc,
) {
    processor_and_memory(writing.live, doc);
    for disk in &disks.disks {
        let mut table = Table::new(
            ["hardware", "disks", disk.name.as_str()],
            Part::Device(disk.device.clone()),
        );
        table.set("kind", kind(&disk.found));
        table.set("size", capacity(disk.found.size));
        table.set("device", disk.device.as_str());
        if let Some(partition) = disk.partition {
            table.set("partition", partition);
        }
        table.set_some("model", line(disk.found.model.as_deref()));
        table.set_some("serial", line(disk.found.serial.as_deref()));
        doc.push(table);
    }
    cards(writing, nics, doc);
    pci(writing, doc);
    usb(writing, doc);
}

/// A text that fits on one line.
fn line(text: Option<&str>) -> Option<String> {
    let text: String = text?
        .chars()
        .filter(|c| !crate::unseen::is_never_shown(*c))
        .collect();
    let text = text.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn processor_and_memory(live: &Snapshot, doc: &mut Doc) {
    let mut table = Table::new(["hardware"], Part::Host);
    if let Item::Present(cpu) = &live.machine.processor {
        let mut entry = Vec::new();
        let mut put = |key: &str, value: Option<Toml>| {
            if let Some(value) = value {
                entry.push((key.to_owned(), value));
            }
        };
        put("model", line(Some(&cpu.model)).map(Toml::Text));
        put(
            "vendor",
            match cpu.vendor.as_str() {
                "AuthenticAMD" => Some("amd".into()),
                "GenuineIntel" => Some("intel".into()),
                _ => None,
            },
        );
        let sockets = cpu.sockets.unwrap_or(1).max(1);
        let cores = cpu
            .cores_per_socket
            .map(|cores| cores.saturating_mul(sockets));
        put("cores", cores.filter(|cores| *cores > 0).map(Toml::from));
        put(
            "threads",
            cpu.threads.filter(|threads| *threads > 0).map(Toml::from),
        );
        if sockets > 1 {
            put("sockets", Some(sockets.into()));
        }
        table.set("cpu", Toml::Table(entry));
    }
    if let Item::Present(bytes) = live.machine.memory {
        let entry = vec![("size".to_owned(), size(installed(bytes)))];
        table.set("memory", Toml::Table(entry));
    }
    doc.push(table);
}

/// The kernel keeps some of what is plugged in for itself before it counts: the next amount that modules add up to.
fn installed(bytes: u64) -> u64 {
    let step = match bytes >> 30 {
        0..8 => 1 << 30,
        8..32 => 2 << 30,
        32..128 => 4 << 30,
        _ => 8 << 30,
    };
    bytes.div_ceil(step).saturating_mul(step)
}

fn cards(writing: &Writing<'_>, nics: &BTreeSet<String>, doc: &mut Doc) {
    let links: Vec<&Link> = writing
        .live
        .network
        .present()
        .into_iter()
        .flatten()
        .collect();
    for name in nics {
        let mut table = Table::new(
            ["hardware", "nics", name.as_str()],
            Part::Interface(name.clone()),
        );
        table.set("interface", name.as_str());
        let link = links.iter().find(|link| link.name == *name);
        let mac = link.and_then(|link| link.permanent_mac.as_ref().or(link.mac.as_ref()));
        match (pinned(writing.live, name), mac) {
            (Some(mac), _) => {
                table.set("mac", mac);
            }
            (None, Some(mac)) => {
                let entry = table.set("mac", mac.as_str());
                entry.fault = Some(
                    "with its address the name would be pinned, which it is not on the host:"
                        .to_owned(),
                );
            }
            (None, None) => {}
        }
        let device = link.and_then(|link| link.device.as_deref());
        let pci = writing.live.machine.pci.present().into_iter().flatten();
        if let Some(card) =
            device.and_then(|device| pci.into_iter().find(|card| card.address == device))
        {
            table.set_some("model", line(Some(&card.device.name)));
        }
        doc.push(table);
    }
}

/// The address by which a `.link` file names a card as it is named, in the form in which moxc writes such a file.
fn pinned(live: &Snapshot, name: &str) -> Option<String> {
    live.links
        .values()
        .find_map(|file| {
            let value = |key: &str| {
                let lines = file.text.lines().map(str::trim);
                lines
                    .filter_map(|line| line.split_once('='))
                    .find(|(own, _)| own.trim() == key)
                    .map(|(_, value)| value.trim().to_owned())
            };
            (value("Name").as_deref() == Some(name)).then(|| value("MACAddress"))?
        })
        .map(|mac| mac.to_ascii_uppercase())
}

/// Which devices are mapped in a form that the language has: a name with one function or card of this node.
pub(super) fn mapped(
    live: &Snapshot,
    node: &str,
    kind: MappingKind,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let sections = live.mappings.get(&kind).and_then(|item| item.present());
    let sections = sections
        .into_iter()
        .flat_map(|sections| sections.config.sections());
    sections
        .filter_map(|section| {
            let map = own_map(section, node)?;
            let file = section.config_file();
            let plain = section
                .properties()
                .all(|(key, _)| file.option(key).is_some());
            let named = crate::value::Name::parse(section.id()).is_ok();
            let mut map = map;
            let options = section.properties().filter(|(key, _)| *key != "map");
            map.extend(options.map(|(key, value)| (key.to_owned(), value.to_owned())));
            (plain && named).then(|| (section.id().to_owned(), map))
        })
        .collect()
}

/// The lines of a mapping that are of this node.
fn own_lines<'a>(
    section: &'a Section,
    node: &'a str,
) -> impl Iterator<Item = BTreeMap<String, String>> + 'a {
    let lines = section.get_all("map").map(|line| {
        let pairs = line.split(',').filter_map(|part| part.split_once('='));
        pairs
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .collect::<BTreeMap<String, String>>()
    });
    lines.filter(move |line| line.get("node").is_none_or(|own| own == node))
}

/// Whether a mapping has something of this node, or nothing at all: the others are other nodes'.
pub(super) fn is_of_node(section: &Section, node: &str) -> bool {
    section.get("map").is_none() || own_lines(section, node).next().is_some()
}

/// The one line of a mapping that is of this node; none where it has several.
fn own_map(section: &Section, node: &str) -> Option<BTreeMap<String, String>> {
    let mut lines = own_lines(section, node);
    let first = lines.next().filter(|first| first.contains_key("node"))?;
    lines.next().is_none().then_some(first)
}

fn pci(writing: &Writing<'_>, doc: &mut Doc) {
    let live = writing.live;
    let mapped = mapped(live, writing.node, MappingKind::Pci);
    let found: Vec<&PciDevice> = live.machine.pci.present().into_iter().flatten().collect();
    let mut said = BTreeSet::new();
    for (name, map) in mapped
        .iter()
        .filter(|(name, _)| writing.pci.contains(*name))
    {
        let mut table = Table::new(
            ["hardware", "pci", name.as_str()],
            Part::Device(name.clone()),
        );
        let path = map.get("path").map_or("", String::as_str);
        table.set("address", path.trim_start_matches("0000:"));
        let device = found
            .iter()
            .find(|device| device.address == path || device.address == format!("{path}.0"));
        said.insert(path.to_owned());
        table.set_some("id", map.get("id").cloned());
        table.set_some("subsystem", map.get("subsystem-id").cloned());
        if let Some(device) = device {
            table.set("class", class(device).as_str());
            table.comments.extend(line(Some(&device.device.name)));
        }
        // The mapping bears it as its description.
        table.set_some("model", map.get("description").cloned());
        table.set_some(
            "iommu-group",
            map.get("iommugroup").map(|group| Toml::number(group)),
        );
        for (key, value) in map.iter().filter(|(key, _)| *key != "description") {
            if let Some(schema) = ConfigFile::Mapping(MappingKind::Pci).option(key) {
                table.set_as(&kebab(key), schema_value(schema, value), key);
            }
        }
        doc.push(table);
    }
    for (place, name) in &writing.passed {
        let mut table = Table::new(
            ["hardware", "pci", name.as_str()],
            Part::Device(name.clone()),
        );
        said.insert(place.clone());
        let device = found
            .iter()
            .find(|device| device.address == *place || device.address == format!("{place}.0"));
        match device {
            Some(device) => {
                pci_table(device, &mut table);
                for entry in table
                    .entries
                    .iter_mut()
                    .filter(|entry| entry.key == "address")
                {
                    entry.value = place.trim_start_matches("0000:").into();
                }
                table.set("mapping", false);
            }
            None => {
                table.set("address", place.trim_start_matches("0000:"));
            }
        }
        doc.push(table);
    }
    let taken = mapped.keys().chain(writing.passed.values()).collect();
    for (name, device) in free_devices(&found, &said, &taken) {
        let mut table = Table::new(
            ["hardware", "pci", name.as_str()],
            Part::Device(device.address.clone()),
        );
        pci_table(device, &mut table);
        doc.push(table);
    }
}

/// What is known of a function.
fn pci_table(device: &PciDevice, table: &mut Table) {
    let mut now = Vec::new();
    if let Some(driver) = &device.driver {
        now.push(format!("driver now: {driver}"));
    }
    if device.boot_vga == Some(true) {
        now.push("the host's screen".to_owned());
    }
    if !now.is_empty() {
        table.comments.push(now.join("; "));
    }
    table.set("address", device.address.trim_start_matches("0000:"));
    table.set("id", device.id());
    if let (Some(vendor), Some(card)) = (&device.subsystem_vendor, &device.subsystem_device) {
        table.set("subsystem", format!("{}:{}", vendor.id, card.id));
    }
    table.set("class", class(device).as_str());
    table.set_some("model", line(Some(&device.device.name)));
    table.set_some("iommu-group", device.iommu_group);
}

/// The functions that people hand over, by names that say what they are: graphics, sound of graphics, network, disks.
fn free_devices<'a>(
    found: &[&'a PciDevice],
    said: &BTreeSet<String>,
    taken: &BTreeSet<&String>,
) -> Vec<(String, &'a PciDevice)> {
    let card = |device: &PciDevice| {
        device
            .address
            .split('.')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let graphics: BTreeSet<String> = found
        .iter()
        .filter(|device| class(device) == PciClass::Gpu)
        .map(|device| card(device))
        .collect();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut devices = Vec::new();
    for device in found {
        let is_said = said.contains(&device.address) || said.contains(&card(device));
        let class = class(device);
        let wanted = match class {
            PciClass::Gpu | PciClass::Nic | PciClass::Storage | PciClass::Usb => true,
            PciClass::Audio => graphics.contains(&card(device)),
            PciClass::Other => false,
        };
        if !wanted || is_said {
            continue;
        }
        let count = counts.entry(class.as_str()).or_default();
        let mut name = String::new();
        while name.is_empty() || taken.contains(&name) {
            *count += 1;
            name = format!("{}-{count}", class.as_str());
        }
        devices.push((name, *device));
    }
    devices
}

/// What a function is, by the class that it names itself (PCI Code and ID Assignment Specification).
pub(crate) fn class(device: &PciDevice) -> PciClass {
    let id = device.class.id.as_str();
    match (id.get(..2), id) {
        (Some("03"), _) => PciClass::Gpu,
        (_, "0401" | "0403") => PciClass::Audio,
        (_, "0c03") => PciClass::Usb,
        (Some("02"), _) => PciClass::Nic,
        (Some("01"), _) => PciClass::Storage,
        _ => PciClass::Other,
    }
}

fn usb(writing: &Writing<'_>, doc: &mut Doc) {
    let mapped = mapped(writing.live, writing.node, MappingKind::Usb);
    for (name, map) in mapped
        .iter()
        .filter(|(name, _)| writing.usb.contains(*name))
    {
        let mut table = Table::new(
            ["hardware", "usb", name.as_str()],
            Part::Device(name.clone()),
        );
        table.set_some("id", map.get("id").cloned());
        table.set_some("port", map.get("path").cloned());
        let plugged = writing.live.machine.usb.present().into_iter().flatten();
        let model = plugged
            .into_iter()
            .find(|device| Some(&device.id) == map.get("id"))
            .and_then(|device| line(Some(&device.name)));
        table.comments.extend(model);
        table.set_some("model", map.get("description").cloned());
        doc.push(table);
    }
    for (place, name) in &writing.plugged {
        let mut table = Table::new(
            ["hardware", "usb", name.as_str()],
            Part::Device(name.clone()),
        );
        if place.contains(':') {
            table.set("id", place.to_ascii_lowercase());
            table.set("mapping", false);
        } else {
            table.set("port", place.as_str());
        }
        let plugged = writing.live.machine.usb.present().into_iter().flatten();
        let model = plugged
            .into_iter()
            .find(|device| device.id.eq_ignore_ascii_case(place))
            .and_then(|device| line(Some(&device.name)));
        table.set_some("model", model);
        doc.push(table);
    }
}

/// Whether an interface of the host can be a card of the hardware table.
pub(super) fn is_card_name(name: &str) -> bool {
    InterfaceName::parse(name).is_ok()
}
