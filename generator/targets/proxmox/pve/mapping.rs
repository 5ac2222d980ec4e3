//! `mapping/pci.cfg`, `mapping/usb.cfg` and `mapping/directory.cfg`: the host's devices and folders under names of their
//! own, so that a guest that takes one starts only while it is still the same.

use std::collections::BTreeSet;

use crate::diagnostics::Sink;
use crate::facts::mappings::{PciMapping, PciMappings, fits, is_folder_mapped};
use crate::model::{Guest, Host, PassedDevice};
use crate::pve::{
    CannotCarry, MappingKind, PropertyString, PveOption, Release, Section, SectionConfig,
    SectionFile, check_option,
};
use crate::source::Span;
use crate::value::PciClass;

use super::options::{report_fault, report_refusal};

/// What one guest takes, each once, in the order of the spec, with numbers: those that the spec says, and to the others
/// the lowest that are free.
pub(super) fn passed<'a>(
    host: &'a Host,
    guest: &'a Guest,
    mappings: &'a PciMappings,
) -> Vec<Passed<'a>> {
    let mut found: Vec<(Passed<'a>, Option<u32>)> = Vec::new();
    for entry in guest.vm().iter().flat_map(|vm| &vm.passthrough) {
        let what = match &entry.device {
            PassedDevice::Known(id) => {
                let Some(mapping) = mappings.holding(id.value) else {
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

/// Writes `mapping/pci.cfg`, where there is something to map.
pub(super) fn pci(host: &Host, mappings: &PciMappings, sink: &mut Sink) -> Option<SectionConfig> {
    let mut config = SectionConfig::new(SectionFile::Mapping(MappingKind::Pci));
    for mapping in mappings.iter() {
        let device = &host.hardware.pci[mapping.device];
        // Of a name that no mapping can have, and of a device that cannot be one, the analysis has told.
        if !mapping.is_mapped(host) || !fits(&device.name.value) {
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

/// Writes `mapping/usb.cfg`, where a USB device is known by its make. A socket alone is no mapping: Proxmox VE wants an id
/// (`PVE::Mapping::USB`), so a guest takes it as `host=PORT`.
pub(super) fn usb(host: &Host, sink: &mut Sink) -> Option<SectionConfig> {
    let file = SectionFile::Mapping(MappingKind::Usb);
    let mut config = SectionConfig::new(file);
    for device in host.hardware.usb.values() {
        let Some(id) = device
            .id
            .filter(|_| device.may_be_mapped() && fits(&device.name.value))
        else {
            continue;
        };
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

/// Writes `mapping/directory.cfg`, where a guest shares a folder by Proxmox VE's own means.
pub(super) fn directories(host: &Host, sink: &mut Sink) -> Option<SectionConfig> {
    let file = SectionFile::Mapping(MappingKind::Dir);
    let mut config = SectionConfig::new(file);
    for (id, dataset) in host.storage.datasets.iter() {
        if !is_folder_mapped(host, id) || !fits(&dataset.name.value) {
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
