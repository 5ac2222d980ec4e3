//! `[vms]`.

use std::collections::BTreeMap;

use super::cloud_init::{self, Addresses};
use super::doc::Toml;
use super::guest::{
    DeviceRow, Guest, card, disk_size, identity, mebibytes, said_of_card, start, volume, weights,
};
use super::write::{Writing, kebab, sub_value};
use crate::pve::default_processor_and_machine;
use crate::spec::schema_keys::{SchemaTable, VmOptions};
use crate::value::{Bus, Choice as _, Name, SpecString, VolumeName};

/// Options that are keys of moxc's own, and no keys of the schema.
pub(super) const SAID: &[(&str, &str)] = VmOptions::SAID;

/// Writes the tables of a virtual machine.
pub(super) fn write(writing: &mut Writing<'_>, guest: &mut Guest<'_>) {
    os(guest);
    identity(writing, guest, "name");
    processor(writing, guest);
    memory(guest);
    start(writing, guest);
    firmware(writing, guest);
    guest.table.set("installed", true);
    small_things(writing, guest);
    let addresses = cloud_init::write(writing, guest);
    let drives = Drives::of(writing, guest);
    boot(guest, &drives);
    iso(guest, &drives);
    passthrough(writing, guest);
    usb(writing, guest);
    cards(guest, &addresses);
    disks(writing, guest, drives);
}

fn os(guest: &mut Guest<'_>) {
    let ostype = guest.take("ostype");
    let (os, more) = match ostype.as_deref() {
        Some("l26") => ("linux", None),
        Some("win11") => ("windows11", None),
        Some("win10") => ("windows10", None),
        None | Some("other") => ("other", None),
        Some(older) => ("other", Some(older.to_owned())),
    };
    guest.table.set_as("os", os, "ostype");
    if let Some(more) = more {
        guest.table.set("ostype", more);
    }
}

/// The processor and the machine of a guest that names none.
fn defaults(writing: &Writing<'_>, guest: &Guest<'_>) -> (&'static str, &'static str) {
    default_processor_and_machine(guest.live.wanted("arch"), writing.release)
}

fn processor(writing: &Writing<'_>, guest: &mut Guest<'_>) {
    let (default_processor, _) = defaults(writing, guest);
    let mut cpu = Vec::new();
    let mut put = |key: &str, value: Toml| cpu.push((key.to_owned(), value));
    // One core is Proxmox VE's own default, and not that of a Windows guest here.
    let cores = guest.take("cores");
    if !guest.raw.contains_key("cores") {
        put("cores", Toml::number(cores.as_deref().unwrap_or("1")));
    }
    if let Some(sockets) = guest.take("sockets").filter(|sockets| sockets != "1") {
        put("sockets", Toml::number(&sockets));
    }
    let model = guest.take("cpu");
    if !guest.raw.contains_key("cpu") {
        put(
            "type",
            model.unwrap_or_else(|| default_processor.to_owned()).into(),
        );
    }
    if let Some(affinity) = guest.take("affinity") {
        put("affinity", affinity.into());
    }
    weights(guest, &mut cpu);
    guest.table.set("cpu", Toml::Table(cpu));
}

fn memory(guest: &mut Guest<'_>) {
    let size = guest.take("memory");
    let size = size.as_deref().unwrap_or("512");
    let size = mebibytes(size.strip_prefix("current=").unwrap_or(size));
    let is_raw = guest.raw.contains_key("memory");
    let mut more = Vec::new();
    if let Some(balloon) = guest.take("balloon") {
        let value = match balloon.as_str() {
            "0" => Toml::Flag(false),
            least => mebibytes(least),
        };
        more.push(("balloon", value));
    }
    if let Some(pages) = guest.take("hugepages") {
        let value = match pages.as_str() {
            "any" => pages.into(),
            size => mebibytes(size),
        };
        more.push(("hugepages", value));
    }
    if guest.take("numa").as_deref() == Some("1") {
        more.push(("numa", Toml::Flag(true)));
    }
    if is_raw {
        guest.take_raw("shares");
    }
    // `shares` alone are folders.
    if let Some(shares) = guest.take("shares") {
        let mut table = vec![("size".to_owned(), size)];
        table.extend(more.into_iter().map(|(key, value)| (key.to_owned(), value)));
        table.push(("shares".to_owned(), Toml::number(&shares)));
        guest.table.set("memory", Toml::Table(table));
        return;
    }
    if !is_raw {
        guest.table.set("memory", size);
    }
    for (key, value) in more {
        guest.table.set(key, value);
    }
}

fn firmware(writing: &Writing<'_>, guest: &mut Guest<'_>) {
    let bios = guest.take("bios");
    let ovmf = bios.as_deref() == Some("ovmf");
    if !guest.raw.contains_key("bios") {
        guest
            .table
            .set_as("firmware", if ovmf { "ovmf" } else { "seabios" }, "bios");
    }
    let machine = guest.take("machine");
    let (_, default_machine) = defaults(writing, guest);
    if !guest.raw.contains_key("machine") {
        let default = match default_machine {
            "pc" => "i440fx", // as people call it
            other => other,
        };
        guest
            .table
            .set("machine", machine.unwrap_or_else(|| default.to_owned()));
    }
    let efi = guest.options.get("efidisk0").cloned();
    match efi {
        Some(value) => match efi_table(writing, guest, &value) {
            Some(table) => {
                guest.take("efidisk0");
                guest.table.set_as("efi", table, "efidisk0");
            }
            None => guest.take_raw("efidisk0"),
        },
        None if ovmf && !guest.raw.contains_key("efidisk0") => {
            guest.table.set_as("efi", false, "efidisk0");
        }
        None => {}
    }
    match guest.options.get("tpmstate0").cloned() {
        Some(value) => match tpm_table(writing, guest, &value) {
            Some(table) => {
                guest.take("tpmstate0");
                guest.table.set_as("tpm", table, "tpmstate0");
            }
            None => guest.take_raw("tpmstate0"),
        },
        None if !guest.raw.contains_key("tpmstate0") => {
            let windows = guest.table.entries.iter().any(|entry| {
                entry.key == "os" && entry.value == Toml::Text("windows11".to_owned())
            });
            if windows || !writing.minimal {
                guest.table.set_as("tpm", false, "tpmstate0");
            }
        }
        None => {}
    }
}

/// Where a small disk of the firmware lies, and its size.
fn placed(
    writing: &Writing<'_>,
    parts: &mut BTreeMap<String, String>,
) -> Option<Vec<(String, Toml)>> {
    let file = parts.remove("file")?;
    let (key, store, volume) = volume(writing, &file)?;
    let mut table = vec![
        (key.to_owned(), store.into()),
        ("volume".to_owned(), volume.into()),
    ];
    if let Some(size) = parts.remove("size") {
        table.push(("size".to_owned(), disk_size(&size)));
    }
    Some(table)
}

fn efi_table(writing: &Writing<'_>, guest: &Guest<'_>, value: &str) -> Option<Toml> {
    let mut parts = guest.parts("efidisk0", value);
    let mut table = placed(writing, &mut parts)?;
    let kind = parts.remove("efitype").unwrap_or_else(|| "2m".to_owned());
    table.push(("type".to_owned(), kind.into()));
    let keys = parts.remove("pre-enrolled-keys").as_deref() == Some("1");
    table.push(("pre-enrolled-keys".to_owned(), keys.into()));
    parts.remove("ms-cert");
    parts.is_empty().then_some(Toml::Table(table))
}

fn tpm_table(writing: &Writing<'_>, guest: &Guest<'_>, value: &str) -> Option<Toml> {
    let mut parts = guest.parts("tpmstate0", value);
    let mut table = placed(writing, &mut parts)?;
    // What Proxmox VE takes a state without a version for (PVE::QemuServer::Drive).
    let version = parts.remove("version").unwrap_or_else(|| "v1.2".to_owned());
    table.push(("version".to_owned(), version.into()));
    parts.is_empty().then_some(Toml::Table(table))
}

fn small_things(writing: &Writing<'_>, guest: &mut Guest<'_>) {
    let agent = guest.take("agent");
    if !guest.raw.contains_key("agent") {
        let mut parts = agent.map_or_else(BTreeMap::new, |agent| guest.parts("agent", &agent));
        let on = parts.remove("enabled").as_deref() == Some("1");
        if parts.is_empty() {
            if !on || !writing.minimal {
                guest.table.set("agent", on);
            }
        } else {
            let mut table = vec![("enabled".to_owned(), Toml::Flag(on))];
            for (key, value) in parts {
                let file = guest.live.kind.config_file();
                table.push((kebab(&key), sub_value(file, "agent", &key, &value)));
            }
            guest.table.set("agent", Toml::Table(table));
        }
    }
    if let Some(display) = guest.take("vga") {
        guest.table.set_as("display", display, "vga");
    }
    let controller = guest.take("scsihw");
    if !guest.raw.contains_key("scsihw") {
        let controller = controller.unwrap_or_else(|| "lsi".to_owned());
        // moxc writes its usual one where a disk is on it.
        let is_disk = |(key, value): (&str, &str)| {
            key != "scsihw" && key.starts_with("scsi") && !value.contains("media=cdrom")
        };
        let is_used = guest.live.config.options().any(is_disk);
        if controller != "virtio-scsi-single" || !is_used || !writing.minimal {
            guest.table.set_as("scsi-controller", controller, "scsihw");
        }
    }
    let ports: Vec<(u32, String)> = guest.numbered("serial");
    let in_order = ports
        .iter()
        .enumerate()
        .all(|(at, (n, _))| at == *n as usize);
    if in_order && !ports.is_empty() {
        let ports: Vec<String> = ports
            .iter()
            .filter_map(|(_, key)| guest.take(key))
            .collect();
        guest.table.set_as("serial", Toml::texts(ports), "serial0");
    }
}

/// Drives, sorted by what they are.
struct Drives {
    /// Option, name in the spec, bus, slot, where it lies, and its parts.
    disks: Vec<Disk>,
    /// Option, bus, slot, image, and its parts.
    images: Vec<Image>,
}

struct Disk {
    option: String,
    name: String,
    bus: Bus,
    slot: u32,
    place: (String, String),
    volume: Option<String>,
    parts: BTreeMap<String, String>,
}

struct Image {
    option: String,
    bus: Bus,
    slot: u32,
    volume: Option<String>,
    parts: BTreeMap<String, String>,
}

const BUSES: [&str; 4] = ["scsi", "virtio", "sata", "ide"];

impl Drives {
    fn of(writing: &Writing<'_>, guest: &mut Guest<'_>) -> Self {
        let mut drives = Self {
            disks: Vec::new(),
            images: Vec::new(),
        };
        let mut raw = Vec::new();
        for base in BUSES {
            let Some(bus) = Bus::of(base) else { continue };
            for (slot, option) in guest.numbered(base) {
                let value = guest.options[&option].clone();
                let mut parts = guest.parts(&option, &value);
                let file = parts.remove("file").unwrap_or_default();
                let is_disc = parts.get("media").is_some_and(|media| media == "cdrom");
                if is_disc && file != "cdrom" && !file.contains("cloudinit") && !file.is_empty() {
                    parts.remove("media");
                    parts.remove("size");
                    drives.images.push(Image {
                        option,
                        bus,
                        slot,
                        volume: Some(file).filter(|file| file != "none"),
                        parts,
                    });
                    continue;
                }
                // The language has no word for one in percent signs.
                let is_told = parts
                    .get("serial")
                    .is_none_or(|serial| Name::parse(serial).is_ok());
                let place = match volume(writing, &file) {
                    _ if !is_told => None,
                    Some((key, store, volume))
                        if !is_disc
                            && !file.ends_with("cloudinit")
                            && !volume.starts_with("iso/")
                            && VolumeName::parse(volume).is_ok() =>
                    {
                        Some(((key.to_owned(), store.to_owned()), Some(volume.to_owned())))
                    }
                    Some(_) => None,
                    None => writing
                        .disks
                        .get(&file)
                        .filter(|disk| disk.is_whole)
                        .map(|disk| (("device".to_owned(), disk.name.clone()), None)),
                };
                match place {
                    Some((place, volume)) if parts.remove("media").is_none_or(|m| m == "disk") => {
                        drives.disks.push(Disk {
                            name: option.clone(),
                            option,
                            bus,
                            slot,
                            place,
                            volume,
                            parts,
                        });
                    }
                    Some(_) | None => raw.push(option),
                }
            }
        }
        for option in raw {
            guest.take_raw(&option);
        }
        for option in drives.options() {
            guest.take(&option);
        }
        drives.name_root(guest);
        drives
    }

    fn options(&self) -> Vec<String> {
        let disks = self.disks.iter().map(|disk| disk.option.clone());
        let images = self.images.iter().map(|image| image.option.clone());
        disks.chain(images).collect()
    }

    /// The disk that it boots from is its root.
    fn name_root(&mut self, guest: &Guest<'_>) {
        let boot = guest.options.get("boot").or(guest.raw.get("boot"));
        let words = boot.map_or("", String::as_str);
        let first = words
            .trim_start_matches("order=")
            .split(';')
            .find_map(|word| self.disks.iter().position(|disk| disk.option == word));
        let old = guest.options.get("bootdisk").or(guest.raw.get("bootdisk"));
        let old = old.and_then(|word| self.disks.iter().position(|disk| disk.option == *word));
        if let Some(at) = first.or(old).or((!self.disks.is_empty()).then_some(0)) {
            "root".clone_into(&mut self.disks[at].name);
        }
    }
}

fn boot(guest: &mut Guest<'_>, drives: &Drives) {
    let Some(boot) = guest.options.get("boot") else {
        return;
    };
    let words = match boot.strip_prefix("order=") {
        Some(words) => words,
        None if boot.trim().is_empty() => "",
        // The older form, letters for kinds of devices.
        None => return guest.take_raw("boot"),
    };
    let names: Vec<String> = words
        .split(';')
        .filter(|word| !word.is_empty())
        .map(|word| {
            let disk = drives.disks.iter().find(|disk| disk.option == word);
            disk.map_or(word, |disk| &disk.name).to_owned()
        })
        .collect();
    guest.take("boot");
    guest.table.set("boot", Toml::texts(names));
}

fn iso(guest: &mut Guest<'_>, drives: &Drives) {
    let file = guest.live.kind.config_file();
    let entries: Vec<Toml> = drives
        .images
        .iter()
        .map(|image| {
            let usual = image.bus == Bus::Ide && image.slot == 2 && drives.images.len() == 1;
            if let (Some(path), true, true) = (&image.volume, usual, image.parts.is_empty()) {
                return path.as_str().into();
            }
            let mut table = vec![match &image.volume {
                Some(path) => ("image".to_owned(), path.as_str().into()),
                None => ("empty".to_owned(), Toml::Flag(true)),
            }];
            table.push(("bus".to_owned(), image.bus.as_str().into()));
            table.push(("slot".to_owned(), image.slot.into()));
            for (key, value) in &image.parts {
                table.push((kebab(key), sub_value(file, &image.option, key, value)));
            }
            Toml::Table(table)
        })
        .collect();
    let Some(first) = drives.images.first() else {
        return;
    };
    guest
        .table
        .set_as("iso", Toml::List(entries), &first.option);
}

fn disks(writing: &Writing<'_>, guest: &mut Guest<'_>, drives: Drives) {
    let file = guest.live.kind.config_file();
    let mut table = guest.table_below("disks");
    let follow: BTreeMap<Bus, bool> = BUSES
        .iter()
        .filter_map(|base| Bus::of(base))
        .map(|bus| {
            let of_bus = drives.disks.iter().filter(|disk| disk.bus == bus);
            let alone = drives
                .images
                .iter()
                .all(|image| image.bus != bus || bus == Bus::Ide && image.slot == 2);
            let slots = of_bus.map(|disk| disk.slot);
            (bus, alone && guest.follow(bus.as_str(), slots))
        })
        .collect();
    for mut disk in drives.disks {
        let mut entry: Vec<(String, Toml)> = vec![(disk.place.0, disk.place.1.into())];
        let mut put = |key: &str, value: Toml| entry.push((key.to_owned(), value));
        let volume = disk.volume.is_some();
        if let Some(volume) = disk.volume {
            put("volume", volume.into());
        }
        let size = disk.parts.remove("size");
        if let Some(size) = size.filter(|_| volume) {
            put("size", disk_size(&size));
        }
        if disk.bus != Bus::Scsi {
            put("bus", disk.bus.as_str().into());
        }
        if !follow[&disk.bus] {
            put("slot", disk.slot.into());
        }
        let on = |part: Option<String>| part.as_deref() == Some("1");
        let ssd = on(disk.parts.remove("ssd"));
        if disk.bus != Bus::Virtio && (ssd || !writing.minimal || disk.bus == Bus::Scsi) {
            put("ssd", ssd.into());
        }
        let discard = disk.parts.remove("discard").as_deref() == Some("on");
        if !discard || !writing.minimal {
            put("discard", discard.into());
        }
        let iothread = on(disk.parts.remove("iothread"));
        if matches!(disk.bus, Bus::Scsi | Bus::Virtio) && (!iothread || !writing.minimal) {
            put("iothread", iothread.into());
        }
        if let Some(cache) = disk.parts.remove("cache") {
            put("cache", cache.into());
        }
        if let Some(backup) = disk.parts.remove("backup")
            && backup == "0"
        {
            put("backup", false.into());
        }
        if let Some(serial) = disk.parts.remove("serial") {
            put("serial", serial.into());
        }
        for (key, value) in &disk.parts {
            put(&kebab(key), sub_value(file, &disk.option, key, value));
        }
        table.set_as(&disk.name, Toml::Table(entry), &disk.option);
    }
    guest.below.push(table);
}

fn passthrough(writing: &Writing<'_>, guest: &mut Guest<'_>) {
    let devices = guest.numbered("hostpci");
    let file = guest.live.kind.config_file();
    let mut found = Vec::new();
    for (slot, option) in devices {
        let parts = guest.parts(&option, &guest.options[&option].clone());
        let Some((device, more)) = device(writing, &option, parts, file) else {
            guest.take_raw(&option);
            continue;
        };
        guest.take(&option);
        found.push(DeviceRow {
            slot,
            option,
            device,
            more,
        });
    }
    guest.set_devices("hostpci", "passthrough", "device", found);
}

/// A device of the hardware table: its name in the spec, and what else is said of it.
fn device(
    writing: &Writing<'_>,
    option: &str,
    mut parts: BTreeMap<String, String>,
    file: crate::pve::ConfigFile<'static>,
) -> Option<(String, Vec<(String, Toml)>)> {
    let name = match (parts.remove("mapping"), parts.remove("host")) {
        (Some(name), None) => writing.pci.get(&name),
        (None, Some(place)) => writing.passed.get(&place),
        (_, Some(_)) | (None, None) => None,
    }?
    .clone();
    let mut table = Vec::new();
    for flag in ["pcie", "x-vga"] {
        let on = parts.remove(flag).as_deref() == Some("1");
        table.push((flag.to_owned(), on.into()));
    }
    if let Some(rom) = parts.remove("romfile") {
        table.push(("rom-file".to_owned(), rom.into()));
    }
    for (key, value) in &parts {
        table.push((kebab(key), sub_value(file, option, key, value)));
    }
    Some((name, table))
}

fn usb(writing: &Writing<'_>, guest: &mut Guest<'_>) {
    let mut found = Vec::new();
    for (slot, option) in guest.numbered("usb") {
        let mut parts = guest.parts(&option, &guest.options[&option].clone());
        let usb3 = parts.remove("usb3").as_deref() == Some("1");
        let mapped = parts
            .remove("mapping")
            .filter(|name| writing.usb.contains(name));
        let host = parts
            .remove("host")
            .and_then(|place| writing.plugged.get(&place).cloned());
        let Some(name) = mapped.or(host).filter(|_| parts.is_empty()) else {
            guest.take_raw(&option);
            continue;
        };
        guest.take(&option);
        found.push(DeviceRow {
            slot,
            option,
            device: name,
            more: usb3
                .then(|| ("usb3".to_owned(), true.into()))
                .into_iter()
                .collect(),
        });
    }
    guest.set_devices("usb", "usb", "device", found);
}

fn cards(guest: &mut Guest<'_>, addresses: &Addresses) {
    let mut found = Vec::new();
    for (slot, option) in guest.numbered("net") {
        let Some((bridge, mut parts)) = said_of_card(guest, &option) else {
            guest.take_raw(&option);
            continue;
        };
        guest.take(&option);
        let mut table = guest.item_below("network", &option);
        let says = |part: &str| format!("{option}.{part}");
        table.set_as("bridge", bridge, &says("bridge"));
        match parts.remove("model") {
            Some(model) if model == "virtio" => {}
            Some(model) => {
                table.set_as("model", model, &says("model"));
            }
            None => {}
        }
        if let Some(mac) = parts.remove("macaddr") {
            table.set_as("mac", mac, &says("macaddr"));
        }
        for (key, value, says) in addresses.get(&slot).into_iter().flatten() {
            table.set_as(key, value.as_str(), says);
        }
        card(guest, &option, &mut parts, &mut table);
        found.push((slot, table));
    }
    guest.push_numbered("net", found);
}
