//! What a virtual machine takes from the host.

use std::collections::BTreeMap;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Running;
use crate::model::{Disk, Guest, Host, Id, PassedDevice, Passthrough, PciDevice, PortDevice, Vm};
use crate::pve::PveOption;
use crate::source::{Span, Spanned};
use crate::value::{Firmware, PciAddress, PciClass, PciPlace};

/// A virtual machine has `hostpci0` to `hostpci15`.
const MOST_DEVICES: usize = 16;

pub(super) fn check(host: &Host, together: &Running, sink: &mut Sink) {
    let users = users(host);
    shared(host, together, &users, sink);
    shared_by_address(host, together, sink);
    same_address(host, sink);
    for (_, guest, vm) in host.vms() {
        if !vm.passthrough.is_empty() {
            groups(host, guest, vm, sink);
            cards(host, guest, vm, sink);
            machine(host, guest, vm, sink);
            express(vm, sink);
            resets(host, guest, vm, sink);
            virtual_functions(host, guest, vm, sink);
            needed_by_host(host, guest, vm, sink);
        }
    }
    console(host, &users, sink);
    keyboard(host, &users, sink);
    raw_functions(host, sink);
}

/// The guests that take each function, with the place where they say so.
type Users = BTreeMap<Id<PciDevice>, Vec<(Id<Guest>, Span, Taken)>>;

/// How a guest takes a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// It is the guest's alone.
    Whole,
    /// The host's driver makes a device of a part of it.
    InPart,
}

impl Taken {
    fn by(entry: &Passthrough) -> Self {
        if entry.is_mediated() {
            Self::InPart
        } else {
            Self::Whole
        }
    }

    /// Parts of one card go to several guests, and to one guest twice.
    fn goes_beside(self, other: Self) -> bool {
        self == Self::InPart && other == Self::InPart
    }
}

fn users(host: &Host) -> Users {
    let mut users: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, _, vm) in host.vms() {
        for entry in &vm.passthrough {
            for row in entry.rows() {
                let users = users.entry(row.value).or_default();
                users.push((id, row.span, Taken::by(entry)));
            }
        }
    }
    users
}

/// One function, two guests that can run together; or one guest twice.
fn shared(host: &Host, together: &Running, users: &Users, sink: &mut Sink) {
    for (device, takers) in users {
        let item = &host.hardware.pci[*device];
        for (at, (guest, place, taken)) in takers.iter().enumerate() {
            let Some((other, other_place, _)) = takers[..at]
                .iter()
                .find(|(other, _, its)| !taken.goes_beside(*its) && together.meet(*guest, *other))
            else {
                continue;
            };
            sink.push(given_twice(
                host,
                (&format!("`{}`", item.name.value), &item.path()),
                (*guest, *place),
                (*other, *other_place),
            ));
        }
    }
}

/// The guests that take something of a card by its address.
type Takers = Vec<(Id<Guest>, PciPlace, Span, Taken)>;

/// The same of functions that no row of the hardware table has: guests have them by their addresses.
fn shared_by_address(host: &Host, together: &Running, sink: &mut Sink) {
    let mut cards: BTreeMap<String, Takers> = BTreeMap::new();
    for (id, _, vm) in host.vms() {
        for entry in &vm.passthrough {
            let PassedDevice::Raw {
                mapping: false,
                name,
                known,
            } = &entry.device
            else {
                continue;
            };
            let words = name.value.split(';').filter(|_| known.is_empty());
            for place in words.filter_map(|word| word.parse::<PciPlace>().ok()) {
                let card = cards.entry(place.address.device_path()).or_default();
                card.push((id, place, name.span, Taken::by(entry)));
            }
        }
    }
    for takers in cards.values() {
        for (at, (guest, place, span, taken)) in takers.iter().enumerate() {
            let other = takers[..at].iter().find(|(other, its, _, is_taken)| {
                its.meets(*place) && !taken.goes_beside(*is_taken) && together.meet(*guest, *other)
            });
            if let Some((other, _, other_span, _)) = other {
                let path = place.path();
                sink.push(given_twice(
                    host,
                    (&path, &path),
                    (*guest, *span),
                    (*other, *other_span),
                ));
            }
        }
    }
}

/// `name` is what a device is called in a guest that has it twice, `path` what two guests have.
fn given_twice(
    host: &Host,
    (name, path): (&str, &str),
    (guest, span): (Id<Guest>, Span),
    (other, other_span): (Id<Guest>, Span),
) -> Diagnostic {
    let guest_name = &host.guests[guest].name.value;
    let other_name = &host.guests[other].name.value;
    let (message, help) = if guest == other {
        (
            format!("{name} is given to `{guest_name}` twice"),
            "remove one of them".to_owned(),
        )
    } else {
        (
            format!("{path} is given to `{other_name}` and `{guest_name}`, which can run together"),
            format!(
                "if they never run at the same time, say so: `exclusive-with = [\"{other_name}\"]`"
            ),
        )
    };
    Diagnostic::new(Code::MOX0501, span, message)
        .label("given again")
        .also(other_span, "given here")
        .help(help)
}

/// Two rows of the hardware table for one function.
fn same_address(host: &Host, sink: &mut Sink) {
    // Sorted, so that a whole card stands before the functions of it that other rows name.
    let mut devices: Vec<&PciDevice> = host
        .hardware
        .pci
        .values()
        .filter(|d| !d.address.is_missing())
        .collect();
    devices.sort_by_key(|device| (*device.address, !device.all_functions, device.name.span));
    let mut seen: Vec<&PciDevice> = Vec::new();
    for device in devices {
        let first = seen
            .iter()
            .rev()
            .take_while(|first| first.address.same_device(*device.address))
            .find(|first| first.place().meets(device.place()));
        if let Some(first) = first {
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
                .help("`lspci -D` lists every function with its address; one without a function stands for the whole card"),
            );
        }
        seen.push(device);
    }
}

/// A group of the IOMMU goes to one guest as a whole.
fn groups(host: &Host, guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let taken = |id: Id<PciDevice>| vm.passed().any(|device| device.value == id);
    let mut told = Vec::new();
    for device in vm.passed() {
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
            .filter(|(_, other)| {
                !item.group_members.iter().any(|m| {
                    other.place().meets(PciPlace {
                        address: m.value,
                        all_functions: false,
                    })
                })
            })
            .map(|(_, other)| other)
            .collect();
        if members.is_empty() {
            continue;
        }
        told.push(group.value);
        let list = members
            .iter()
            .map(|m| format!("`{}` ({})", m.name.value, m.path()))
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
    let taken = |id: Id<PciDevice>| vm.passed().any(|device| device.value == id);
    let mut told: Vec<PciAddress> = Vec::new();
    for device in vm.passed() {
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
        .passed()
        .find(|device| *host.hardware.pci[device.value].class == PciClass::Gpu);
    // Of a system that was not understood nobody knows the firmware.
    let Some(gpu) = gpu.filter(|_| !vm.os.is_missing()) else {
        return;
    };
    let q35 = vm.machine.contains("q35");
    if !guest.understood || (q35 && *vm.firmware == Firmware::Ovmf) {
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

/// A function that the host itself needs.
fn needed_by_host(host: &Host, guest: &Guest, vm: &Vm, sink: &mut Sink) {
    for device in vm.passed() {
        let item = &host.hardware.pci[device.value];
        ports_behind(host, guest, device, item, sink);
        disks_behind(host, guest, device, item, sink);
    }
}

/// A network card that is a port of a bridge.
fn ports_behind(
    host: &Host,
    guest: &Guest,
    device: Spanned<Id<PciDevice>>,
    item: &PciDevice,
    sink: &mut Sink,
) {
    for (id, nic) in host.hardware.nics.iter() {
        let (place, why) = match nic.pci {
            Some(pci) if pci.value == device.value => {
                (pci.span, "the card is this function".to_owned())
            }
            None if *item.class == PciClass::Nic
                && address_in_name(nic.interface.as_str()).is_some_and(
                    |(bus, device, function)| {
                        (bus, device) == (item.address.bus, item.address.device)
                            && (item.all_functions || function == item.address.function)
                    },
                ) =>
            {
                (
                    nic.interface.span,
                    format!("the name says that it sits at {}", item.path()),
                )
            }
            Some(_) | None => continue,
        };
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
                .also(place, why)
                .help("give the guest another card, or take this one out of the bridge"),
            );
        }
    }
}

/// A controller, or an NVMe disk, that disks of a pool hang on.
fn disks_behind(
    host: &Host,
    guest: &Guest,
    device: Spanned<Id<PciDevice>>,
    item: &PciDevice,
    sink: &mut Sink,
) {
    let behind = |id: Id<Disk>| {
        let disk = &host.hardware.disks[id];
        match disk.controller {
            Some(controller) => (controller.value == device.value)
                .then(|| (controller.span, "hangs on it".to_owned())),
            None => (!item.address.is_missing()
                && address_in_path(disk.device.as_str()) == Some(*item.address))
            .then(|| {
                let sits = format!("the path says that it hangs on {}", item.address.value);
                (disk.device.span, sits)
            }),
        }
    };
    for pool in host.storage.pools.values() {
        let members = pool
            .disks
            .iter()
            .chain(pool.vdevs.iter().flat_map(|vdev| &vdev.disks));
        let lost: Vec<_> = members
            .filter_map(|disk| behind(disk.value).map(|(place, why)| (disk, place, why)))
            .collect();
        let Some((first, ..)) = lost.first() else {
            continue;
        };
        let name = &host.hardware.disks[first.value].name.value;

        let disks = match lost.len() - 1 {
            0 => format!("the disk `{name}`"),
            1 => format!("`{name}` and one more disk"),
            more => format!("`{name}` and {more} more disks"),
        };
        let starts = if *pool.boot {
            ", which the host starts from"
        } else {
            ""
        };
        let mut diagnostic = Diagnostic::new(
            Code::MOX0507,
            device.span,
            format!(
                "`{}` takes {disks} from the pool `{}`{starts}",
                guest.name.value, pool.name.value
            ),
        );
        for (disk, place, why) in lost.iter().take(3) {
            diagnostic = diagnostic
                .also(disk.span, "a member of the pool")
                .also(*place, why.clone());
        }
        sink.push(diagnostic.help(
            "give the guest another controller, or volumes of the pool instead of the controller",
        ));
    }
}

/// The PCI function in a stable path: `/dev/disk/by-path/pci-0000:03:00.0-nvme-1` hangs on 03:00.0 (udev's `path_id`).
fn address_in_path(device: &str) -> Option<PciAddress> {
    let rest = device.strip_prefix("/dev/disk/by-path/pci-")?;
    let (address, _) = rest.split_once('-')?;
    address.parse().ok()
}

/// Guests take every USB controller: no keyboard works on the host's console. A table with one of them may list no more
/// than what is passed through, so it says nothing of others.
fn keyboard(host: &Host, users: &Users, sink: &mut Sink) {
    if *host.headless || !host.complete {
        return;
    }
    let controllers: Vec<_> = host
        .hardware
        .pci
        .iter()
        .filter(|(_, device)| *device.class == PciClass::Usb)
        .collect();
    let taken: Option<Vec<_>> = controllers
        .iter()
        .map(|(id, _)| users.get(id)?.first())
        .collect();
    let (Some(taken), true) = (taken, controllers.len() > 1) else {
        return;
    };
    let Some((_, place, _)) = taken.last() else {
        return;
    };
    let mut diagnostic = Diagnostic::new(
        Code::MOX0509,
        *place,
        match controllers.len() {
            2 => "guests take both USB controllers of the hardware table".to_owned(),
            more => format!("guests take all {more} USB controllers of the hardware table"),
        },
    )
    .label("no keyboard works on the host's console");
    for (_, other, _) in &taken[..taken.len() - 1] {
        diagnostic = diagnostic.also(*other, "given away too");
    }
    sink.push(diagnostic.help(
        "keep one for the host; if there is a further one, add it to `[hardware.pci]`; if the host needs no keyboard, write `headless = true` in `[host]`",
    ));
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
fn console(host: &Host, users: &Users, sink: &mut Sink) {
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
    let whole = |(_, _, taken): &&(Id<Guest>, Span, Taken)| *taken == Taken::Whole;
    let Some((guest, place, _)) = users.get(&id).and_then(|users| users.iter().find(whole)) else {
        return;
    };
    let guest = &host.guests[*guest].name.value;
    sink.push(
        Diagnostic::new(Code::MOX0508, *place, format!("the only graphics card of the host goes to `{guest}`"))
            .label("the host's own console is lost while the guest runs, and often from the start")
            .also(card.name.span, "no other card of the class `gpu` is in the hardware table")
            .help("if that is meant, write `headless = true` in `[host]`; if the processor has graphics of its own, add it to `[hardware.pci]`"),
    );
}

/// Functions that guests get by an address or a mapping of Proxmox VE's own, past the hardware table and its checks.
fn raw_functions(host: &Host, sink: &mut Sink) {
    for (_, guest, vm) in host.vms() {
        for entry in &vm.passthrough {
            let PassedDevice::Raw {
                mapping,
                name,
                known,
            } = &entry.device
            else {
                continue;
            };
            refused(entry, *mapping, name, sink);
            let diagnostic = Diagnostic::new(
                Code::MOX0510,
                name.span,
                format!("`{}` gets a PCI function by a raw option", guest.name.value),
            );
            let diagnostic = match (mapping, known.first()) {
                (true, Some(_)) => continue,
                (true, None) => diagnostic,
                (false, _) => diagnostic
                    .note("without a mapping Proxmox VE does not notice when another card comes to sit at this address"),
            };
            sink.push(match known.first() {
                Some(device) => {
                    let device = &host.hardware.pci[*device].name;
                    diagnostic
                        .also(device.span, "the hardware table has it")
                        .help(format!("write `passthrough = [\"{}\"]` instead", device.value))
                }
                None => diagnostic
                    .note("no check of moxc looks at its IOMMU group, or at what the host needs")
                    .help("add the function to `[hardware.pci]` and name it in `passthrough`, which takes all that an option can say"),
            });
        }
    }
}

/// What Proxmox VE refuses when the guest starts, though each part has its form (`PVE::QemuServer::PCI`).
fn refused(entry: &Passthrough, mapping: bool, name: &Spanned<String>, sink: &mut Sink) {
    let several = !mapping && (name.value.contains(';') || !name.value.contains('.'));
    if several && PveOption::find(&entry.more, "mdev").is_some() {
        sink.push(
            Diagnostic::new(Code::MOX0016, name.span, "`mdev` for several functions at once")
                .note("Proxmox VE refuses to start the guest: \"cannot use mediated device with multifunction device\"")
                .help("name one function: `01:00.0`, not `01:00`"),
        );
    }
}

/// Graphics cards of AMD that do not reset, by the device's number: Hawaii, Tonga, Fiji, Polaris, Vega, Navi 10 to 14. Those
/// from Polaris on are the ones that the kernel module vendor-reset mends.
const WITHOUT_RESET: [std::ops::RangeInclusive<u16>; 10] = [
    0x67a0..=0x67be,
    0x6920..=0x693f,
    0x7300..=0x730f,
    0x67c0..=0x67ff,
    0x6980..=0x699f,
    0x6860..=0x687f,
    0x69a0..=0x69af,
    0x66a0..=0x66af,
    0x7310..=0x731f,
    0x7340..=0x7362,
];

/// The vendor AMD.
const AMD: u16 = 0x1002;

fn resets(host: &Host, guest: &Guest, vm: &Vm, sink: &mut Sink) {
    for device in vm.passed() {
        let item = &host.hardware.pci[device.value];
        let Some(id) = item.id.filter(|id| {
            id.vendor == AMD
                && *item.class == PciClass::Gpu
                && WITHOUT_RESET.iter().any(|range| range.contains(&id.device))
        }) else {
            continue;
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0513,
                id.span,
                format!("`{}` does not reset: `{}` starts with it once", item.name.value, guest.name.value),
            )
            .also(device.span, "given here")
            .note("cards of AMD up to Navi 14 stay as the guest has left them; its second start hangs or shows nothing until the host is restarted")
            .help("load the module vendor-reset on the host, or plan a restart of the host for each restart of the guest; then allow this warning"),
        );
    }
}

/// Functions that are not there until the driver of their card is told to make them.
fn virtual_functions(host: &Host, guest: &Guest, vm: &Vm, sink: &mut Sink) {
    // Vendor and device of common ones (pci.ids: "Virtual Function").
    const KNOWN: [(u16, u16); 14] = [
        (0x8086, 0x10ca),
        (0x8086, 0x10ed),
        (0x8086, 0x1515),
        (0x8086, 0x1520),
        (0x8086, 0x154c),
        (0x8086, 0x1565),
        (0x8086, 0x1889),
        (0x8086, 0x37cd),
        (0x15b3, 0x1004),
        (0x15b3, 0x1014),
        (0x15b3, 0x1016),
        (0x15b3, 0x1018),
        (0x15b3, 0x101a),
        (0x15b3, 0x101e),
    ];
    for device in vm.passed() {
        let item = &host.hardware.pci[device.value];
        let named = item.model.as_ref().is_some_and(|model| {
            model
                .as_str()
                .to_ascii_lowercase()
                .contains("virtual function")
        });
        let known = item
            .id
            .is_some_and(|id| KNOWN.contains(&(id.vendor, id.device)));
        if !named && !known {
            continue;
        }
        sink.push(
            Diagnostic::new(
                Code::MOX0514,
                item.address.span,
                format!("`{}` is a virtual function, which nothing makes at boot", item.name.value),
            )
            .also(device.span, format!("`{}` takes it", guest.name.value))
            .note("virtual functions are there once their number has been written to `sriov_numvfs` of the card, after each start of the host; until then the guest does not start")
            .help("write it by a unit or a udev rule of your own before the guests start, then allow this warning"),
        );
    }
}

/// PCI Express where the machine has none.
fn express(vm: &Vm, sink: &mut Sink) {
    if vm.machine.contains("q35") {
        return;
    }
    let wanted = vm.passthrough.iter().filter_map(|entry| entry.pcie);
    for pcie in wanted.filter(|pcie| pcie.value) {
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                pcie.span,
                format!("`pcie` with the machine type `{}`", vm.machine.value),
            )
            .also(vm.machine.span, "without PCI Express")
            .note("Proxmox VE refuses to start the guest: \"q35 machine model is not enabled\"")
            .help("use `machine = \"q35\"`, or leave `pcie` out"),
        );
    }
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

    #[test]
    fn stable_paths_tell_the_controller() {
        let address = |text: &str| Some(text.parse::<PciAddress>().expect("an address"));
        for (path, function) in [
            (
                "/dev/disk/by-path/pci-0000:03:00.0-nvme-1",
                address("03:00.0"),
            ),
            (
                "/dev/disk/by-path/pci-0000:00:17.0-ata-2",
                address("00:17.0"),
            ),
            (
                "/dev/disk/by-path/pci-0000:0b:00.0-sas-phy3-lun-0",
                address("0b:00.0"),
            ),
            ("/dev/disk/by-id/nvme-X", None),
            ("/dev/disk/by-path/platform-x", None),
        ] {
            assert_eq!(address_in_path(path), function, "{path}");
        }
    }
}
