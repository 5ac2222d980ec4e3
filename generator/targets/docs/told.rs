//! What is said of a host, in whichever document, with where it stands in the spec and in the tree.

use crate::facts::{Facts, tree};
use crate::graph::View;
use crate::model::{Guest, GuestKind, Host, Id, Passthrough, Schedule};
use crate::source::Span;
use crate::value::GuestAddress;

/// A part of the machine.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) place: Span,
}

/// A PCI function.
pub(super) struct Device {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) model: String,
    pub(super) class: String,
    /// The number of its IOMMU group.
    pub(super) group: String,
    /// Other functions of the group, which stay on the host.
    pub(super) members: String,
    /// The guests that have it.
    pub(super) guests: String,
    pub(super) place: Span,
}

/// An address.
pub(super) struct Address {
    pub(super) words: String,
    pub(super) whose: String,
    pub(super) on: String,
    /// The way out; empty where there is none.
    pub(super) gateway: String,
    pub(super) mac: String,
    pub(super) place: Span,
    pub(super) file: String,
}

/// A guest.
pub(super) struct GuestWords {
    pub(super) number: String,
    pub(super) name: String,
    pub(super) what: String,
    pub(super) system: String,
    pub(super) memory: String,
    pub(super) processors: String,
    pub(super) starts: String,
    pub(super) backups: String,
}

/// What a picture shows, and the command that draws it where none is `drawn` here.
pub(super) fn view(view: View, drawn: bool) -> String {
    let shows = match view {
        View::Network => {
            "How the host and its guests reach each other and the Internet; one line for each card of a guest."
        }
        View::Storage => "Pools, what lies in them, and whose disks lie there.",
        View::Flow => {
            "What is updated, what is caught before, where backups go, and the ways back."
        }
        View::Hardware => "What is in the machine, and which guest has it.",
        View::Dependencies => {
            "Who starts before whom, who never runs beside whom, and what runs at set times."
        }
    };
    if drawn {
        return shows.to_owned();
    }
    let name = view.as_str();
    format!(
        "{shows} There is no picture of so many guests here: `moxc graph --view {name} --format svg` draws it."
    )
}

/// The hardware table.
pub(super) fn hardware(host: &Host) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut part = |name: &str, text: String, place: Span| {
        parts.push(Part {
            name: name.to_owned(),
            text,
            place,
        });
    };
    let hardware = &host.hardware;
    if let Some(cpu) = &hardware.cpu {
        let mut words: Vec<String> = cpu.model.iter().map(|model| model.to_string()).collect();
        words.extend(cpu.cores.map(|cores| format!("{} cores", cores.value)));
        words.extend(
            cpu.threads
                .as_ref()
                .map(|threads| format!("{} threads", threads.value)),
        );
        part("Processor", words.join(", "), cpu.span);
    }
    if let Some(memory) = &hardware.memory {
        let ecc = memory.ecc.is_some_and(|ecc| ecc.value);
        let kind = memory
            .kind
            .as_ref()
            .map_or_else(String::new, |kind| format!(" {}", kind.value));
        let ecc = if ecc { " with ECC" } else { "" };
        let text = format!("{}{kind}{ecc}", *memory.size);
        part("Memory", text, memory.size.span);
    }
    for pool in host.storage.pools.values() {
        let disks: Vec<String> = pool
            .disks
            .iter()
            .map(|disk| {
                let disk = &hardware.disks[disk.value];
                format!("{} ({} {})", disk.name.value, *disk.size, *disk.kind)
            })
            .collect();
        let text = if pool.is_there() {
            format!("ZFS pool {}", pool.name.value)
        } else {
            format!(
                "ZFS pool {}, {}: {}",
                pool.name.value,
                *pool.layout,
                disks.join(", ")
            )
        };
        part("Storage", text, pool.name.span);
    }
    for nic in hardware.nics.values() {
        let mut words = vec![nic.name.value.clone(), nic.interface.to_string()];
        words.extend(nic.model.as_ref().map(|model| model.to_string()));
        words.extend(nic.speed.map(|speed| speed.value.to_string()));
        part("Network", words.join(", "), nic.name.span);
    }
    for device in hardware.pci.values() {
        let model = device
            .model
            .as_ref()
            .map_or_else(|| device.name.value.clone(), |model| model.to_string());
        part(&device.class.to_string(), model, device.name.span);
    }
    part("Proxmox VE", host.release.to_string(), host.release.span);
    parts
}

/// The PCI functions.
pub(super) fn devices(host: &Host) -> Vec<Device> {
    let of = |(id, device): (Id<crate::model::PciDevice>, &crate::model::PciDevice)| {
        let guests: Vec<&str> = host
            .vms()
            .filter(|(_, _, vm)| {
                vm.passthrough
                    .iter()
                    .flat_map(Passthrough::rows)
                    .any(|row| row.value == id)
            })
            .map(|(_, guest, _)| guest.name.value.as_str())
            .collect();
        let members: Vec<String> = device
            .group_members
            .iter()
            .map(|member| member.value.to_string())
            .collect();
        Device {
            name: device.name.value.clone(),
            address: device.path(),
            model: device
                .model
                .as_ref()
                .map_or_else(String::new, |model| model.to_string()),
            class: device.class.to_string(),
            group: device
                .iommu_group
                .map_or_else(String::new, |group| group.value.to_string()),
            members: members.join(", "),
            guests: guests.join(", "),
            place: device.name.span,
        }
    };
    host.hardware.pci.iter().map(of).collect()
}

/// What is said of one guest.
pub(super) fn guest(facts: &Facts<'_>, id: Id<Guest>, guest: &Guest) -> GuestWords {
    let processors = match &guest.kind {
        GuestKind::Vm(vm) => (*vm.cores * *vm.sockets).to_string(),
        GuestKind::Container(container) => container
            .cores
            .map_or_else(|| "all".to_owned(), |cores| cores.value.to_string()),
    };
    let starts = guest.starts().map_or_else(
        || "by hand".to_owned(),
        |start| {
            start.order.map_or_else(
                || "with the host".to_owned(),
                |order| format!("with the host, place {}", order.value),
            )
        },
    );
    let backups: Vec<&str> = facts
        .backups
        .jobs(id)
        .iter()
        .map(|job| facts.host.schedules[*job].name.value.as_str())
        .collect();
    GuestWords {
        number: guest.vmid.value.to_string(),
        name: guest.name.value.clone(),
        what: guest
            .description
            .as_ref()
            .map_or_else(String::new, |text| text.to_string()),
        system: guest.os().to_string(),
        memory: guest.memory.value.to_string(),
        processors,
        starts,
        backups: if backups.is_empty() {
            "nothing".to_owned()
        } else {
            backups.join(", ")
        },
    }
}

/// Every address: of the host, of machines that are no guests, and of guests.
pub(super) fn addresses(host: &Host) -> Vec<Address> {
    let mut rows = Vec::new();
    let name = host.name.as_str();
    for leg in host.network.legs() {
        for address in [leg.ip.address, leg.ip.address6].into_iter().flatten() {
            let v6 = leg.ip.address.map(|own| own.span) != Some(address.span);
            rows.push(Address {
                words: address_words(&address.value),
                whose: format!("{name} (the host)"),
                on: leg.name.value.clone(),
                gateway: host
                    .leg_gateway(leg, v6)
                    .map_or_else(String::new, |gateway| gateway.to_string()),
                mac: String::new(),
                place: address.span,
                file: tree::interfaces(host),
            });
        }
    }
    for machine in host.network.machines.values() {
        let on = machine.bridge.map_or_else(String::new, |id| {
            host.network.bridges[id.value].name.value.clone()
        });
        for address in [machine.address, machine.address6].into_iter().flatten() {
            rows.push(Address {
                words: address.value.to_string(),
                whose: machine.name.value.clone(),
                on: on.clone(),
                gateway: String::new(),
                mac: String::new(),
                place: address.span,
                file: String::new(),
            });
        }
    }
    for guest in host.guests.values() {
        for card in &guest.network {
            let on = &host.network.bridges[card.bridge.value].name.value;
            let families = [
                (card.address, card.gateway, false),
                (card.address6, card.gateway6, true),
            ];
            for (address, gateway, v6) in families {
                let Some(address) = address else { continue };
                let gateway = gateway.and_then(|gateway| {
                    let near = card.static_address(v6);
                    host.gateway_address(gateway.value, card.segment(), near, v6)
                });
                rows.push(Address {
                    words: address_words(&address.value),
                    whose: guest.name.value.clone(),
                    on: card
                        .vlan
                        .map_or_else(|| on.clone(), |tag| format!("{on}, VLAN {}", tag.value)),
                    gateway: gateway.map_or_else(String::new, |gateway| gateway.to_string()),
                    mac: card.mac.value.to_string(),
                    place: address.span,
                    file: tree::guest(guest),
                });
            }
        }
    }
    rows
}

fn address_words(address: &GuestAddress) -> String {
    match address {
        GuestAddress::Static(cidr) => cidr.to_string(),
        GuestAddress::Dhcp => "by DHCP".to_owned(),
        GuestAddress::Auto => "by router advertisement".to_owned(),
    }
}

/// A schedule's name, with a word where it does not run.
pub(super) fn named(schedule: &Schedule) -> String {
    if *schedule.enabled {
        schedule.name.value.clone()
    } else {
        format!("{} (disabled)", schedule.name.value)
    }
}

/// What a schedule is about.
pub(super) fn about(facts: &Facts<'_>, schedule: Id<Schedule>) -> String {
    let work = facts.tasks.of_schedule(schedule);
    work.about.names(facts.host).join(", ")
}
