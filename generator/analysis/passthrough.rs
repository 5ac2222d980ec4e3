//! What a virtual machine takes from the host.

use std::collections::BTreeMap;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, Host, Id, PciDevice, PortDevice, Vm};
use crate::source::Spanned;
use crate::value::{Firmware, PciAddress, PciClass};

/// A virtual machine has `hostpci0` to `hostpci15`.
const MOST_DEVICES: usize = 16;

pub(super) fn check(host: &Host, sink: &mut Sink) {
    let users = users(host);
    shared(host, &users, sink);
    same_address(host, sink);
    for (_, guest, vm) in host.vms() {
        if !vm.passthrough.is_empty() {
            groups(host, guest, vm, sink);
            cards(host, guest, vm, sink);
            machine(host, guest, vm, sink);
            needed_by_host(host, guest, vm, sink);
        }
    }
    console(host, &users, sink);
}

/// The guests that take each function, with the place where they say so.
type Users = BTreeMap<Id<PciDevice>, Vec<(Id<Guest>, Spanned<Id<PciDevice>>)>>;

fn users(host: &Host) -> Users {
    let mut users: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, _, vm) in host.vms() {
        for device in &vm.passthrough {
            users.entry(device.value).or_default().push((id, *device));
        }
    }
    users
}

/// Whether a guest says that it never runs while the other does; either side may say so.
fn exclusive(host: &Host, a: Id<Guest>, b: Id<Guest>) -> bool {
    let names = |one: Id<Guest>, other: Id<Guest>| {
        host.guests[one]
            .exclusive_with
            .iter()
            .any(|g| g.value == other)
    };
    names(a, b) || names(b, a)
}

/// One function, two guests that can run together; or one guest twice.
fn shared(
    host: &Host,
    users: &Users,
    sink: &mut Sink,
) {
    for (device, takers) in users {
        let item = &host.hardware.pci[*device];
        for (at, (guest, place)) in takers.iter().enumerate() {
            let Some((other, other_place)) = takers[..at]
                .iter()
                .find(|(other, _)| other == guest || !exclusive(host, *guest, *other))
            else {
                continue;
            };
            let name = &host.guests[*guest].name.value;
            let other_name = &host.guests[*other].name.value;
            let message = if guest == other {
                format!("`{}` is given to `{name}` twice", item.name.value)
            } else {
                format!(
                    "{} is given to `{other_name}` and `{name}`, which can run together",
                    item.address.value
                )
            };
            let help = if guest == other {
                "remove one of them".to_owned()
            } else {
                format!(
                    "if they never run at the same time, say so: `exclusive-with = [\"{other_name}\"]`"
                )
            };
            sink.push(
                Diagnostic::new(Code::MOX0501, place.span, message)
                    .label("given again")
                    .also(other_place.span, "given here")
                    .help(help),
            );
        }
    }
}

/// Two rows of the hardware table for one function.
fn same_address(host: &Host, sink: &mut Sink) {
    let mut seen: BTreeMap<PciAddress, &PciDevice> = BTreeMap::new();
    for device in host
        .hardware
        .pci
        .values()
        .filter(|d| !d.address.is_missing())
    {
        if let Some(first) = seen.insert(device.address.value, device) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0502,
                    device.address.span,
                    format!(
                        "`{}` and `{}` have one PCI address",
                        first.name.value, device.name.value
                    ),
                )
                .also(first.address.span, "the first")
                .help("`lspci -D` lists every function with its address"),
            );
        }
    }
}

/// A group of the IOMMU goes to one guest as a whole.
fn groups(host: &Host, guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let taken = |id: Id<PciDevice>| vm.passthrough.iter().any(|device| device.value == id);
    let mut told = Vec::new();
    for device in &vm.passthrough {
        let item = &host.hardware.pci[device.value];
        let Some(group) = item.iommu_group else {
            continue;
        };
        if told.contains(&group.value) {
            continue;
        }
        let members: Vec<&PciDevice> = host
            .hardware
            .pci
            .iter()
            .filter(|(id, other)| {
                other.iommu_group.is_some_and(|g| g.value == group.value) && !taken(*id)
            })
            // Functions of the same card are the next check's; what the spec calls harmless is.
            .filter(|(_, other)| !other.address.same_device(*item.address))
            .filter(|(_, other)| !item.group_members.iter().any(|m| m.value == *other.address))
            .map(|(_, other)| other)
            .collect();
        if members.is_empty() {
            continue;
        }
        told.push(group.value);
        let list = members
            .iter()
            .map(|m| format!("`{}` ({})", m.name.value, m.address.value))
            .collect::<Vec<_>>()
            .join(", ");
        let mut diagnostic = Diagnostic::new(
            Code::MOX0503,
            device.span,
            format!(
                "IOMMU group {} of `{}` holds more than `{}` takes",
                group.value, item.name.value, guest.name.value
            ),
        )
        .label(format!("{list} stays behind"));
        for member in &members {
            diagnostic = diagnostic.also(member.name.span, format!("in group {} too", group.value));
        }
        sink.push(diagnostic.note("the kernel gives a group to one guest as a whole: with a part of it the guest does not start").help(
            format!(
                "pass {} too, or move the card to a slot with a group of its own; a function that is no obstacle (a PCI bridge) goes into `group-members`",
                members.iter().map(|m| format!("`{}`", m.name.value)).collect::<Vec<_>>().join(", ")
            ),
        ));
    }
}

/// The functions of one card go together.
fn cards(host: &Host, guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let taken = |id: Id<PciDevice>| vm.passthrough.iter().any(|device| device.value == id);
    let mut told: Vec<PciAddress> = Vec::new();
    for device in &vm.passthrough {
        let item = &host.hardware.pci[device.value];
        if told.iter().any(|t| t.same_device(*item.address)) {
            continue;
        }
        let behind: Vec<&PciDevice> = host
            .hardware
            .pci
            .iter()
            .filter(|(id, other)| other.address.same_device(*item.address) && !taken(*id))
            // Functions in groups of their own, as of a card with virtual functions, can be given one by one.
            .filter(|(_, other)| match (other.iommu_group, item.iommu_group) {
                (Some(a), Some(b)) => a.value == b.value,
                (None, _) | (_, None) => true,
            })
            .map(|(_, other)| other)
            .collect();
        if behind.is_empty() {
            continue;
        }
        told.push(*item.address);
        let names = behind
            .iter()
            .map(|d| format!("\"{}\"", d.name.value))
            .collect::<Vec<_>>()
            .join(", ");
        let mut diagnostic = Diagnostic::new(
            Code::MOX0504,
            device.span,
            format!(
                "`{}` takes a part of the card {}",
                guest.name.value,
                item.address.device_path()
            ),
        );
        for other in &behind {
            diagnostic = diagnostic.also(other.name.span, "the same card, left on the host");
        }
        sink.push(diagnostic.help(format!(
            "pass its other functions too: add {names} to `passthrough`"
        )));
    }
}

/// What QEMU needs for it.
fn machine(host: &Host, guest: &Guest, vm: &Vm, sink: &mut Sink) {
    if let Some(too_many) = vm.passthrough.get(MOST_DEVICES) {
        sink.push(
            Diagnostic::new(
                Code::MOX0505,
                too_many.span,
                format!(
                    "`{}` takes {} PCI functions: Proxmox VE has room for {MOST_DEVICES}",
                    guest.name.value,
                    vm.passthrough.len()
                ),
            )
            .help("pass a controller instead of its devices, or divide them between guests"),
        );
    }
    let gpu = vm
        .passthrough
        .iter()
        .find(|device| *host.hardware.pci[device.value].class == PciClass::Gpu);
    let Some(gpu) = gpu else { return };
    let q35 = vm.machine.contains("q35");
    if q35 && *vm.firmware == Firmware::Ovmf {
        return;
    }
    let (place, what) = if q35 {
        (vm.firmware.span, "the firmware `seabios`")
    } else {
        (vm.machine.span, "a machine type without PCI Express")
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0506,
            gpu.span,
            format!("a graphics card with {what}"),
        )
        .also(place, "here")
        .note("most cards of today have no firmware for a BIOS, and want a PCI Express port")
        .help("use `firmware = \"ovmf\"` and `machine = \"q35\"`"),
    );
}

/// A card that the host itself needs.
fn needed_by_host(host: &Host, guest: &Guest, vm: &Vm, sink: &mut Sink) {
    for device in &vm.passthrough {
        let item = &host.hardware.pci[device.value];
        if *item.class != PciClass::Nic {
            continue;
        }
        for (id, nic) in host.hardware.nics.iter() {
            if address_in_name(nic.interface.as_str()).is_none_or(|named| {
                named != (item.address.bus, item.address.device, item.address.function)
            }) {
                continue;
            }
            let bond_of = |bond| {
                host.network.bonds[bond]
                    .ports
                    .iter()
                    .any(|port| port.value == id)
            };
            let bridge = host.network.bridges.values().find_map(|bridge| {
                let port = bridge.ports.iter().find(|port| match port.value.device {
                    PortDevice::Nic(nic) => nic == id,
                    PortDevice::Bond(bond) => bond_of(bond),
                })?;
                Some((bridge, port))
            });
            if let Some((bridge, port)) = bridge {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0507,
                        device.span,
                        format!(
                            "`{}` takes the network card `{}`, which is a port of `{}`",
                            guest.name.value, nic.name.value, bridge.name.value
                        ),
                    )
                    .also(port.span, "the port")
                    .also(
                        nic.interface.span,
                        format!("the name says that it sits at {}", item.address.value),
                    )
                    .help("give the guest another card, or take this one out of the bridge"),
                );
            }
        }
    }
}

/// Bus, device and function in a predictable name: `enp5s0` is 05:00.0, `enp1s0f1` is 01:00.1 (systemd.net-naming-scheme).
fn address_in_name(interface: &str) -> Option<(u8, u8, u8)> {
    let rest = interface.strip_prefix("enp")?;
    let (bus, rest) = rest.split_once('s')?;
    let (slot, function) = rest.split_once('f').unwrap_or((rest, "0"));
    // `np0` behind it names a port of the card.
    let function = function.split_once("np").map_or(function, |(f, _)| f);
    let slot = slot.split_once("np").map_or(slot, |(s, _)| s);
    Some((
        bus.parse().ok()?,
        slot.parse().ok()?,
        function.parse().ok()?,
    ))
}

/// The only graphics card of the host is given away.
fn console(
    host: &Host,
    users: &Users,
    sink: &mut Sink,
) {
    if *host.headless || !host.complete {
        return;
    }
    let mut cards = host
        .hardware
        .pci
        .iter()
        .filter(|(_, device)| *device.class == PciClass::Gpu);
    let (Some((id, card)), None) = (cards.next(), cards.next()) else {
        return;
    };
    let Some((guest, place)) = users.get(&id).and_then(|users| users.first()) else {
        return;
    };
    let guest = &host.guests[*guest].name.value;
    sink.push(
        Diagnostic::new(Code::MOX0508, place.span, format!("the only graphics card of the host goes to `{guest}`"))
            .label("the host's own console is lost while the guest runs, and often from the start")
            .also(card.name.span, "no other card of the class `gpu` is in the hardware table")
            .help("if that is meant, write `headless = true` in `[host]`; if the processor has graphics of its own, add it to `[hardware.pci]`"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictable_names_tell_the_slot() {
        assert_eq!(address_in_name("enp5s0"), Some((5, 0, 0)));
        assert_eq!(address_in_name("enp10s0f1"), Some((10, 0, 1)));
        assert_eq!(address_in_name("enp65s0f0np0"), Some((65, 0, 0)));
        assert_eq!(address_in_name("eth0"), None);
        assert_eq!(address_in_name("eno1"), None);
    }
}
