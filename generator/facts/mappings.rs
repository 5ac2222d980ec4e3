//! What Proxmox VE maps: the host's devices and folders under names of their own, so that a guest that takes one starts only
//! while it is still the same.
//!
//! The functions of one card become one mapping, which a guest sees as one card with several functions, where that is
//! certain to take nothing else along: every function that the spec declares is in the same IOMMU group, and each guest
//! that takes one takes them all. Otherwise each function has a mapping of its own.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Dataset, Guest, Host, Id, PciDevice};
use crate::pve::{ConfigFile, Release, check_option};
use crate::value::PciCard;

use super::shares;

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
    pub fn holding(&self, function: Id<PciDevice>) -> Option<&PciMapping> {
        Some(&self.mappings[*self.by_function.get(&function)?])
    }

    /// Whether a guest has a part of it that the host's driver makes.
    pub fn is_shared(&self, mapping: &PciMapping) -> bool {
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

/// The declared functions of each card, in the order of their addresses.
fn cards(host: &Host) -> BTreeMap<PciCard, Vec<Id<PciDevice>>> {
    let mut cards: BTreeMap<PciCard, Vec<Id<PciDevice>>> = BTreeMap::new();
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

/// Whether Proxmox VE takes a name as a mapping's (`pve-configid`).
pub fn fits(name: &str) -> bool {
    // `parent` of a virtual machine is an option with that format.
    check_option(ConfigFile::Qm, Release::NEWEST, "parent", name).is_ok()
}

/// Whether Proxmox VE itself shares a dataset with a guest, by a mapping of its name.
pub fn is_folder_mapped(host: &Host, id: Id<Dataset>) -> bool {
    host.vms().any(|(_, _, vm)| {
        let mut shares = vm.shares.iter();
        shares.any(|share| share.dataset.value == id && shares::is_native(*host.release, share))
    })
}
