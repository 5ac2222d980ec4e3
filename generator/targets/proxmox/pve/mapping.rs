//! `mapping/pci.cfg`, `mapping/usb.cfg` and `mapping/directory.cfg`: the host's devices and folders under names of their
//! own, so that a guest that takes one starts only while it is still the same.
//!
//! The functions of one card become one mapping, which a guest sees as one card with several functions, where that is
//! certain to take nothing else along: every function that the spec declares is in the same IOMMU group, and each guest
//! that takes one takes them all. Otherwise each function has a mapping of its own.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, Host, Id, PassedDevice, PciDevice};
use crate::pve::{
    CannotCarry, ConfigFile, MappingKind, PropertyString, PveOption, Release, Section,
    SectionConfig, SectionFile, check_option,
};
use crate::source::Span;
use crate::value::{PciCard as Card, PciClass};

use super::options::{report_fault, report_refusal};
use crate::facts::shares;

/// A card or a function of one that guests take, or could take by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciMapping {
    /// The function that it is known by: of a whole card function 0.
    pub device: Id<PciDevice>,
    /// Every function of it.
    pub functions: Vec<Id<PciDevice>>,
    /// Its place as Proxmox VE names it: `0000:01:00` for a whole card, `0000:01:00.0` for a function.
    pub path: String,
}

impl PciMapping {
    /// Its name.
    pub fn name<'a>(&self, host: &'a Host) -> &'a str {
        &host.hardware.pci[self.device].name.value
    }

    /// Whether Proxmox VE maps it: it can where vendor and device are known, and the spec may not want it.
    pub fn is_mapped(&self, host: &Host) -> bool {
        let device = &host.hardware.pci[self.device];
        device.id.is_some() && device.may_be_mapped()
    }

    /// Whether the mapping says all that Proxmox VE asks for. At each start it compares vendor and device, those of the
    /// card's maker and the IOMMU group with the hardware, and refuses a mapping that leaves out one that the device has
    /// (`PVE::Mapping::PCI::assert_valid`); every PCI device has a subsystem in sysfs. What the spec does not say,
    /// apply.sh takes from the device.
    pub fn is_complete(&self, host: &Host) -> bool {
        let device = &host.hardware.pci[self.device];
        device.id.is_some() && device.subsystem.is_some() && device.iommu_group.is_some()
    }
}

/// What guests take of the host's PCI devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PciMappings {
    mappings: Vec<PciMapping>,
    /// Which of them each function that guests take is in.
    by_function: BTreeMap<Id<PciDevice>, usize>,
    /// The functions of which a guest has a part that the host's driver makes.
    mediated: BTreeSet<Id<PciDevice>>,
}

/// The guests that take each function.
type Takers = BTreeMap<Id<PciDevice>, BTreeSet<Id<Guest>>>;

impl PciMappings {
    /// The cards and functions that any guest of the host takes, or that the spec wants a mapping of, in the order of the
    /// hardware table.
    pub fn of(host: &Host) -> Self {
        let mut takers = Takers::new();
        let mut all = Self::default();
        for (guest, _, vm) in host.vms() {
            for entry in &vm.passthrough {
                for row in entry.rows() {
                    takers.entry(row.value).or_default().insert(guest);
                    if entry.is_mediated() {
                        all.mediated.insert(row.value);
                    }
                }
            }
        }
        let cards = cards(host);
        for (id, device) in host.hardware.pci.iter() {
            let is_wanted = takers.contains_key(&id) || device.is_mapping_wished();
            if !is_wanted || all.by_function.contains_key(&id) {
                continue;
            }
            let card = &cards[&device.address.card()];
            let mapping = match function_0(host, card) {
                Some(first) if is_one(host, card, &takers) => PciMapping {
                    device: first,
                    functions: card.clone(),
                    path: device.address.device_path(),
                },
                Some(_) | None => PciMapping {
                    device: id,
                    functions: vec![id],
                    path: device.path(),
                },
            };
            for function in &mapping.functions {
                all.by_function.insert(*function, all.mappings.len());
            }
            all.mappings.push(mapping);
        }
        all
    }

    /// The one that a function is in.
    fn holding(&self, function: Id<PciDevice>) -> Option<&PciMapping> {
        Some(&self.mappings[*self.by_function.get(&function)?])
    }

    /// What one guest takes, each once, in the order of the spec, with numbers: those that the spec says, and to the others
    /// the lowest that are free.
    pub fn of_guest<'a>(&'a self, host: &'a Host, guest: &'a Guest) -> Vec<Passed<'a>> {
        let mut found: Vec<(Passed<'a>, Option<u32>)> = Vec::new();
        for entry in guest.vm().iter().flat_map(|vm| &vm.passthrough) {
            let what = match &entry.device {
                PassedDevice::Known(id) => {
                    let Some(mapping) = self.holding(id.value) else {
                        continue;
                    };
                    What::Mapped(mapping)
                }
                PassedDevice::Raw {
                    mapping,
                    name,
                    known,
                } => What::Raw {
                    mapping: *mapping,
                    name: &name.value,
                    is_gpu: known
                        .iter()
                        .any(|id| *host.hardware.pci[*id].class == PciClass::Gpu),
                },
            };
            let slot = entry.slot.map(|slot| slot.value);
            // The functions of one card are one device of the guest: what is said of one of them is said of it.
            // Each device that is made of a part of one is its own.
            let same = found.iter_mut().filter(|_| !entry.is_mediated());
            let same = same.into_iter().find(|(other, _)| {
                matches!((&other.what, &what), (What::Mapped(a), What::Mapped(b)) if std::ptr::eq(*a, *b))
            });
            if let Some((passed, slot_of_card)) = same {
                passed.x_vga = passed.x_vga.or(entry.x_vga.map(|on| on.value));
                passed.pcie = passed.pcie.or(entry.pcie.map(|on| on.value));
                let new = entry.more.iter();
                let new = new.filter(|o| PveOption::find(&passed.more, &o.key).is_none());
                let new: Vec<PveOption> = new.cloned().collect();
                passed.more.extend(new);
                *slot_of_card = slot_of_card.or(slot);
                continue;
            }
            let passed = Passed {
                what,
                slot: 0,
                pcie: entry.pcie.map(|on| on.value),
                x_vga: entry.x_vga.map(|on| on.value),
                more: entry.more.clone(),
                span: entry.span,
            };
            found.push((passed, slot));
        }
        let mut taken: BTreeSet<u32> = found.iter().filter_map(|(_, slot)| *slot).collect();
        let mut free = 0;
        found
            .into_iter()
            .map(|(passed, slot)| {
                let slot = slot.unwrap_or_else(|| {
                    while !taken.insert(free) {
                        free += 1;
                    }
                    free
                });
                Passed { slot, ..passed }
            })
            .collect()
    }

    /// Whether a guest has a part of it that the host's driver makes.
    fn is_shared(&self, mapping: &PciMapping) -> bool {
        mapping
            .functions
            .iter()
            .any(|function| self.mediated.contains(function))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &PciMapping> {
        self.mappings.iter()
    }
}

/// A card or a function as one guest takes it.
#[derive(Debug, Clone)]
pub struct Passed<'a> {
    what: What<'a>,
    /// Its number: `hostpci0`.
    pub slot: u32,
    /// Whether it is a PCI Express device, where the spec says it.
    pub pcie: Option<bool>,
    /// Whether it is the guest's display, where the spec says it.
    pub x_vga: Option<bool>,
    /// What else is said of it.
    pub more: Vec<PveOption>,
    /// Where the spec says it.
    pub span: Span,
}

#[derive(Debug, Clone)]
enum What<'a> {
    /// Of the hardware table.
    Mapped(&'a PciMapping),
    /// In Proxmox VE's own words.
    Raw {
        mapping: bool,
        name: &'a str,
        is_gpu: bool,
    },
}

impl Passed<'_> {
    /// The sub-option that names it, and the name: `mapping=gpu`, `host=0000:01:00`.
    pub fn option(&self, host: &Host) -> (&'static str, String) {
        match &self.what {
            What::Mapped(mapping) if mapping.is_mapped(host) => {
                ("mapping", mapping.name(host).to_owned())
            }
            What::Mapped(mapping) => ("host", mapping.path.clone()),
            What::Raw { mapping, name, .. } => (
                if *mapping { "mapping" } else { "host" },
                (*name).to_owned(),
            ),
        }
    }

    /// Whether Proxmox VE can name it so.
    pub fn can_be_named(&self, host: &Host) -> bool {
        match &self.what {
            What::Mapped(mapping) => !mapping.is_mapped(host) || fits(mapping.name(host)),
            What::Raw { .. } => true,
        }
    }

    /// Whether it is a part of a card that the host's driver makes.
    pub fn is_mediated(&self) -> bool {
        PveOption::find(&self.more, "mdev").is_some()
    }

    /// Whether it is a graphics card.
    pub fn is_gpu(&self, host: &Host) -> bool {
        match &self.what {
            What::Mapped(mapping) => *host.hardware.pci[mapping.device].class == PciClass::Gpu,
            What::Raw { is_gpu, .. } => *is_gpu,
        }
    }
}

/// The declared functions of each card, in the order of their addresses.
fn cards(host: &Host) -> BTreeMap<Card, Vec<Id<PciDevice>>> {
    let mut cards: BTreeMap<Card, Vec<Id<PciDevice>>> = BTreeMap::new();
    for (id, device) in host.hardware.pci.iter() {
        cards.entry(device.address.card()).or_default().push(id);
    }
    for card in cards.values_mut() {
        card.sort_by_key(|id| *host.hardware.pci[*id].address);
    }
    cards
}

fn function_0(host: &Host, card: &[Id<PciDevice>]) -> Option<Id<PciDevice>> {
    card.iter()
        .copied()
        .find(|id| host.hardware.pci[*id].address.function == 0)
}

fn is_one(host: &Host, card: &[Id<PciDevice>], takers: &Takers) -> bool {
    let group = |id: &Id<PciDevice>| host.hardware.pci[*id].iommu_group.map(|group| group.value);
    let one_group = card.first().and_then(group).is_some()
        && card
            .windows(2)
            .all(|pair| group(&pair[0]) == group(&pair[1]));
    let all_or_none = card
        .windows(2)
        .all(|pair| takers.get(&pair[0]) == takers.get(&pair[1]));
    card.len() > 1 && one_group && all_or_none
}

/// Writes `mapping/pci.cfg`, where there is something to map.
pub(super) fn pci(host: &Host, mappings: &PciMappings, sink: &mut Sink) -> Option<SectionConfig> {
    let mut config = SectionConfig::new(SectionFile::Mapping(MappingKind::Pci));
    for mapping in mappings.iter() {
        let device = &host.hardware.pci[mapping.device];
        if !mapping.is_mapped(host) {
            if device.id.is_none() && device.may_be_mapped() {
                tell_unmapped(host, device, sink);
            }
            continue;
        }
        if !check_name(&device.name.value, device.name.span, "PCI device", sink) {
            continue;
        }
        let value = || -> Result<Section, CannotCarry> {
            let map = PropertyString::new()
                .with_some("id", device.id.as_ref().map(|id| id.value))?
                .with_some("iommugroup", device.iommu_group.map(|group| group.value))?
                .with("node", host.name.as_str())?
                .with("path", &mapping.path)?
                .with_some("subsystem-id", device.subsystem.as_ref().map(|id| id.value))?;
            let mut section = Section::new(
                SectionFile::Mapping(MappingKind::Pci),
                "",
                &device.name.value,
            )?;
            if let Some(model) = &device.model {
                section.set("description", &model.value)?;
            }
            section.add("map", map)?;
            // Else Proxmox VE finds at the guest's start that the card has changed (`PVE::Mapping::PCI::assert_valid`).
            if mappings.is_shared(mapping) && PveOption::find(&device.schema, "mdev").is_none() {
                section.set("mdev", "1")?;
            }
            for option in &device.schema {
                section.set(&option.key.value, &option.value.value)?;
                section.mark(&option.key.value, option.key.span);
            }
            Ok(section)
        };
        push(&mut config, value(), device.name.span, *host.release, sink);
    }
    let empty = config.sections().next().is_none();
    (!empty).then_some(config)
}

/// A device that has no id in the spec cannot be mapped.
fn tell_unmapped(host: &Host, device: &PciDevice, sink: &mut Sink) {
    let message = if device.is_mapping_wished() {
        format!("`{}` is no mapping, as it has no `id`", device.name.value)
    } else {
        format!(
            "`{}` is passed through by its address alone",
            device.name.value
        )
    };
    let wish = device.mapping.map(|mapping| mapping.span);
    sink.push(
        Diagnostic::new(Code::MOX0551, wish.unwrap_or(device.name.span), message)
        .help(format!(
            "say its `id`: `pvesh get /nodes/{}/hardware/pci` on the host prints it for {}",
            host.name.as_str(),
            *device.address
        ))
        .note("without vendor and device there is no mapping, and after a change of hardware the guest takes whatever sits there"),
    );
}

/// Writes `mapping/usb.cfg`, where a USB device is known by its make. A socket alone is no mapping: Proxmox VE wants an id
/// (`PVE::Mapping::USB`), so a guest takes it as `host=PORT`.
pub(super) fn usb(host: &Host, sink: &mut Sink) -> Option<SectionConfig> {
    let file = SectionFile::Mapping(MappingKind::Usb);
    let mut config = SectionConfig::new(file);
    for device in host.hardware.usb.values() {
        if !device.may_be_mapped() {
            continue;
        }
        let Some(id) = device.id else {
            if let Some(wish) = device.mapping {
                let name = &device.name.value;
                sink.push(
                    Diagnostic::new(
                        Code::MOX0551,
                        wish.span,
                        format!("`{name}` is no mapping, as it has no `id`"),
                    )
                    .help("say its `id`, which `lsusb` prints")
                    .note("a guest takes whatever is plugged into the socket"),
                );
            }
            continue;
        };
        if !check_name(&device.name.value, device.name.span, "USB device", sink) {
            continue;
        }
        let value = || -> Result<Section, CannotCarry> {
            let map = PropertyString::new()
                .with("id", id.value)?
                .with("node", host.name.as_str())?
                .with_some("path", device.port.as_ref().map(|port| port.as_str()))?;
            let mut section = Section::new(file, "", &device.name.value)?;
            if let Some(model) = &device.model {
                section.set("description", &model.value)?;
            }
            section.add("map", map)?;
            Ok(section)
        };
        push(&mut config, value(), device.name.span, *host.release, sink);
    }
    let empty = config.sections().next().is_none();
    (!empty).then_some(config)
}

/// Whether Proxmox VE takes a name as a mapping's (`pve-configid`).
pub(super) fn fits(name: &str) -> bool {
    // `parent` of a virtual machine is an option with that format.
    check_option(ConfigFile::Qm, Release::NEWEST, "parent", name).is_ok()
}

/// Tells a name that no mapping can have.
fn check_name(name: &str, place: Span, what: &str, sink: &mut Sink) -> bool {
    let fits = fits(name);
    if !fits {
        sink.push(
            Diagnostic::new(
                Code::MOX0012,
                place,
                format!(
                    "Proxmox VE has no mapping of the name `{}`",
                    name.escape_debug()
                ),
            )
            .label(format!("this {what} is mapped under its own name"))
            .help("use a letter, then letters, digits, `-` and `_`, two characters at least"),
        );
    }
    fits
}

/// Writes `mapping/directory.cfg`, where a guest shares a folder by Proxmox VE's own means.
pub(super) fn directories(host: &Host, sink: &mut Sink) -> Option<SectionConfig> {
    let file = SectionFile::Mapping(MappingKind::Dir);
    let mut config = SectionConfig::new(file);
    for (id, dataset) in host.storage.datasets.iter() {
        let shared = host.vms().any(|(_, _, vm)| {
            let mut shares = vm.shares.iter();
            shares.any(|s| s.dataset.value == id && shares::is_native(*host.release, s))
        });
        if !shared || !check_name(&dataset.name.value, dataset.name.span, "dataset", sink) {
            continue;
        }
        let place = dataset
            .mountpoint
            .as_ref()
            .map_or(dataset.name.span, |path| path.span);
        let value = || -> Result<Section, CannotCarry> {
            let path = host.mountpoint(id);
            let map = PropertyString::new()
                .with("node", host.name.as_str())?
                .with("path", path)?;
            let mut section = Section::new(file, "", &dataset.name.value)?;
            section.add("map", map)?;
            Ok(section)
        };
        push(&mut config, value(), place, *host.release, sink);
    }
    let empty = config.sections().next().is_none();
    (!empty).then_some(config)
}

/// Adds a section that Proxmox VE takes.
fn push(
    config: &mut SectionConfig,
    section: Result<Section, CannotCarry>,
    place: Span,
    release: Release,
    sink: &mut Sink,
) {
    let mut section = match section {
        Ok(section) => section,
        Err(error) => return report_refusal(&error, place, sink),
    };
    let mut sound = true;
    for (key, value) in section.properties() {
        if let Err(fault) = check_option(section.config_file(), release, key, value) {
            sound = false;
            report_fault(fault, section.place(key).unwrap_or(place), sink);
        }
    }
    if !sound {
        return;
    }
    section.mark("", place);
    if let Err(error) = config.push(section) {
        report_refusal(&error, place, sink);
    }
}
