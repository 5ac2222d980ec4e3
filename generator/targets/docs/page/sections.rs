//! What the page says of the whole host.

use std::collections::BTreeMap;

use super::{Lines, Section, Table, week};
use crate::facts::backups::{Kept, keep_of};
use crate::facts::memory::{Amount, bill, demands};
use crate::facts::network::packet_rules;
use crate::facts::{Facts, space, tree};
use crate::graph::View;
use crate::model::{Host, Link, PortDevice, StoreRef};
use crate::targets::docs::told;
use crate::value::ByteSize;

/// The host in a few words.
pub(super) fn summary(facts: &Facts<'_>, lines: &Lines) -> Table {
    let host = facts.host;
    let mut table = Table::new("The host", &["What", "Value"]);
    let count = |number: usize, one: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{number} {one}{plural}")
    };
    let at = |place| lines.link(Some(place));
    table.row(
        ["Name".to_owned(), host.fqdn()],
        &tree::of_host(host, "etc/hosts"),
        at(host.name.span),
    );
    let system = format!("{}, Proxmox VE {}", *host.platform, *host.release);
    table.row(["System".to_owned(), system], "", at(host.release.span));
    let zone = host.timezone.to_string();
    table.row(["Time zone".to_owned(), zone], "", at(host.timezone.span));
    let vms = host.vms().count();
    let guests = format!(
        "{}, {}",
        count(vms, "virtual machine"),
        count(host.guests.len() - vms, "container")
    );
    table.row(["Guests".to_owned(), guests], "", at(host.span));
    let schedules = count(host.schedules.len(), "schedule");
    table.row(["Automation".to_owned(), schedules], "", at(host.span));
    for secret in crate::facts::secrets::of(host) {
        let text = format!("/etc/moxc/secrets/{}: {}", secret.name, secret.what);
        table.row(["Secret".to_owned(), text], tree::STORAGES, at(host.span));
    }
    table
}

/// Every section, in the order of the page; a view without a picture says how it is drawn.
pub(super) fn all(
    facts: &Facts<'_>,
    lines: &Lines,
    mut pictures: BTreeMap<View, String>,
) -> Vec<Section> {
    let mut of = |view: View, title: &str, tables: Vec<Table>| {
        let picture = pictures.remove(&view);
        Section {
            id: view.as_str().to_owned(),
            title: title.to_owned(),
            about: told::view(view, picture.is_some()),
            has_picture: picture.is_some(),
            picture: picture.unwrap_or_default(),
            tables,
        }
    };
    let plain = |id: &str, title: &str, about: &str, tables: Vec<Table>| Section {
        id: id.to_owned(),
        title: title.to_owned(),
        about: about.to_owned(),
        has_picture: false,
        picture: String::new(),
        tables,
    };
    let network = vec![
        addresses(facts.host, lines),
        links(facts.host, lines),
        forwards(facts.host, lines),
    ];
    let storage = vec![
        pools(facts, lines),
        planned(facts, lines),
        stores(facts.host, lines),
    ];
    let flow = vec![
        coverage(facts, lines),
        jobs(facts, lines),
        snapshots(facts, lines),
    ];
    let hardware = vec![
        machine(facts.host, lines),
        disks(facts.host, lines),
        devices(facts.host, lines),
        kernel(facts, lines),
    ];
    let needs = vec![needs(facts.host, lines)];
    vec![
        of(View::Network, "Network", network),
        of(View::Storage, "Storage", storage),
        plain(
            "memory",
            "Memory",
            "The memory that is taken when those guests run that together take the most.",
            memory(facts, lines),
        ),
        of(View::Flow, "Updates and backups", flow),
        week::section(facts, lines),
        of(View::Hardware, "Hardware and passthrough", hardware),
        of(View::Dependencies, "Dependencies", needs),
    ]
}

fn addresses(host: &Host, lines: &Lines) -> Table {
    let columns = ["$Address", "Whose", "On", "$Way out", "$MAC address"];
    let mut table = Table::new("Every address", &columns).or("The spec names no address.");
    for address in told::addresses(host) {
        let line = lines.link(Some(address.place));
        let cells = [
            address.words,
            address.whose,
            address.on,
            address.gateway,
            address.mac,
        ];
        table.row(cells, &address.file, line);
    }
    table
}

/// Bridges, bonds, cards, and the host's own interfaces.
fn links(host: &Host, lines: &Lines) -> Table {
    let network = &host.network;
    let columns = ["Name", "Kind", "$On", "Details"];
    let mut table = Table::new("Bridges and cards", &columns).or("The spec names no card.");
    let file = tree::interfaces(host);
    for bridge in network.bridges.values() {
        let ports: Vec<String> = bridge
            .ports
            .iter()
            .map(|port| network.port_interface(&host.hardware, port.value))
            .collect();
        let mut words: Vec<String> = bridge
            .description
            .iter()
            .map(|text| text.to_string())
            .collect();
        if *bridge.vlan_aware {
            words.push(format!("carries VLANs {}", *bridge.vids));
        }
        if let Some(way) = bridge.nat {
            let way = network.leg_interface(&host.hardware, way.value);
            words.push(format!("shares the way out of {way}"));
        }
        words.extend(bridge.mtu.map(|mtu| format!("MTU {}", mtu.value)));
        let cells = [
            bridge.name.value.clone(),
            format!("bridge ({})", *bridge.kind),
            ports.join(", "),
            words.join("; "),
        ];
        table.row(cells, &file, lines.link(Some(bridge.name.span)));
    }
    for bond in network.bonds.values() {
        let ports: Vec<String> = bond
            .ports
            .iter()
            .map(|nic| host.hardware.nics[nic.value].interface.to_string())
            .collect();
        let cells = [
            bond.name.value.clone(),
            "bond".to_owned(),
            ports.join(", "),
            bond.mode.to_string(),
        ];
        table.row(cells, &file, lines.link(Some(bond.name.span)));
    }
    for interface in network.interfaces.values() {
        let on = match interface.on.value {
            Link::Bridge(id) => network.bridges[id].name.value.clone(),
            Link::Port(PortDevice::Nic(id)) => host.hardware.nics[id].interface.to_string(),
            Link::Port(PortDevice::Bond(id)) => network.bonds[id].name.value.clone(),
        };
        let vlan = interface
            .vlan
            .map_or_else(String::new, |tag| format!("VLAN {}", tag.value));
        let cells = [
            interface.name.value.clone(),
            "interface of the host".to_owned(),
            on,
            vlan,
        ];
        table.row(cells, &file, lines.link(Some(interface.name.span)));
    }
    for nic in host.hardware.nics.values() {
        let mut words: Vec<String> = nic.model.iter().map(|model| model.to_string()).collect();
        words.extend(nic.speed.map(|speed| speed.value.to_string()));
        words.extend(nic.mac.map(|mac| mac.value.to_string()));
        let cells = [
            nic.name.value.clone(),
            "network card".to_owned(),
            nic.interface.to_string(),
            words.join(", "),
        ];
        table.row(cells, &file, lines.link(Some(nic.name.span)));
    }
    table
}

fn forwards(host: &Host, lines: &Lines) -> Table {
    let mut table = Table::new("Rules for packets", &["Bridge", "$Rule"])
        .or("The host translates no address and leads no port on.");
    for (id, bridge) in host.network.bridges.iter() {
        for rule in packet_rules(host, id) {
            let program = if rule.v6 { "ip6tables" } else { "iptables" };
            let words = rule.words.join(" ");
            let text = format!("{program} -t {} -A {} {words}", rule.table, rule.chain);
            let cells = [bridge.name.value.clone(), text];
            let place = bridge.nat.map_or(bridge.name.span, |nat| nat.span);
            table.row(cells, &tree::interfaces(host), lines.link(Some(place)));
        }
    }
    table
}

/// What each pool offers, and how that comes about.
fn pools(facts: &Facts<'_>, lines: &Lines) -> Table {
    let host = facts.host;
    let columns = [
        "Pool",
        "Layout",
        "#Disks",
        "#Of the disks",
        "#Shown by zpool list",
        "#Beside parity",
        "#Kept by ZFS",
        "#Offered",
        "#Promised",
        "#Can grow to",
    ];
    let mut table = Table::new("What the pools offer", &columns).or("The host has no ZFS pool.");
    for plan in facts.space().pools.values() {
        let disks = plan.pool.disks.iter();
        let raw = space::of_disks(disks.map(|disk| &host.hardware.disks[disk.value]));
        let growth: ByteSize = plan.growth.iter().map(|(_, size)| *size).sum();
        let cells = [
            plan.pool.name.value.clone(),
            plan.pool.layout.to_string(),
            plan.pool.disks.len().to_string(),
            raw.human(),
            plan.capacity.size.human(),
            plan.capacity.usable.human(),
            plan.capacity.slop.human(),
            plan.room().human(),
            plan.firm_sum().human(),
            growth.human(),
        ];
        table.row(cells, tree::POOLS, lines.link(Some(plan.pool.name.span)));
    }
    table
}

/// What is planned on each pool.
fn planned(facts: &Facts<'_>, lines: &Lines) -> Table {
    let columns = ["Pool", "What", "How", "#Size"];
    let mut table = Table::new("What is planned on them", &columns).or("Nothing is planned.");
    for plan in facts.space().pools.values() {
        let pool = &plan.pool.name.value;
        let kept = plan.firm.iter().map(|row| (row, "kept free at once"));
        let grown = plan.growth.iter().map(|row| (row, "grows at most to"));
        for ((what, size), how) in kept.chain(grown) {
            let cells = [pool.clone(), what.clone(), how.to_owned(), size.human()];
            let mut datasets = facts.host.storage.datasets.values();
            let dataset = datasets.find(|dataset| dataset.name.value == *what);
            let place = dataset.map_or(plan.pool.name.span, |dataset| dataset.name.span);
            table.row(cells, tree::POOLS, lines.link(Some(place)));
        }
    }
    table
}

fn stores(host: &Host, lines: &Lines) -> Table {
    let columns = ["Name", "Kind", "Holds", "$Where", "#At most"];
    let mut table = Table::new("Storages and datasets", &columns).or("The host has no storage.");
    for (id, store) in host.storage.stores() {
        let words: Vec<&str> = store.uses().iter().map(|u| u.value.as_str()).collect();
        let (place, quota) = match id {
            StoreRef::Dataset(id) => (
                format!("{} at {}", host.zfs_name(id), host.mountpoint(id)),
                host.storage.datasets[id]
                    .quota
                    .map_or_else(String::new, |quota| quota.value.to_string()),
            ),
            StoreRef::External(id) => {
                let store = &host.storage.external[id];
                let server = store.server().map(|server| server.value.to_string());
                let folder = store.folder().map(|folder| folder.to_string());
                let words: Vec<String> = server.into_iter().chain(folder).collect();
                (words.join(", "), String::new())
            }
            StoreRef::Lvm(id) => (host.storage.lvm[id].group.to_string(), String::new()),
            StoreRef::Local => (crate::model::Local::PATH.to_owned(), String::new()),
        };
        let cells = [
            store.name().value.clone(),
            store.pve_type().to_owned(),
            words.join(", "),
            place,
            quota,
        ];
        table.row(cells, tree::STORAGES, lines.link(Some(store.name().span)));
    }
    table
}

/// The bill: what guests keep whatever happens, and the most that they take.
fn memory(facts: &Facts<'_>, lines: &Lines) -> Vec<Table> {
    let host = facts.host;
    let demands = demands(host);
    let of = |amount| bill(facts, &demands, amount);
    let amounts = match (of(Amount::Kept), of(Amount::Most)) {
        (Some(kept), Some(most)) if kept.guests == most.guests && kept.wanted == most.wanted => {
            vec![(Amount::Kept, "What is taken; the host gets none of it back")]
        }
        _ => vec![
            (
                Amount::Kept,
                "What is kept, whatever the host would like to have back",
            ),
            (Amount::Most, "The most that is taken"),
        ],
    };
    amounts
        .into_iter()
        .map(|(amount, caption)| {
            let table = Table::new(caption, &["Who", "#Memory"]);
            let mut table = table.or("The spec does not say how much memory the host has.");
            let Some(bill) = of(amount) else {
                return table;
            };
            for (id, size) in &bill.guests {
                let guest = &host.guests[*id];
                let overhead = demands[id.index()].overhead;
                let who = if overhead == ByteSize::default() {
                    guest.name.value.clone()
                } else {
                    format!("{}, with {} for QEMU", guest.name.value, overhead.human())
                };
                let line = lines.link(Some(guest.memory.span));
                table.row([who, size.human()], &tree::guest(guest), line);
            }
            // The host's own part comes last.
            let last = bill.fixed.len().saturating_sub(1);
            for (at, (what, size)) in bill.fixed.iter().enumerate() {
                let place = if at == last {
                    Some(host.reserve.memory.span)
                } else {
                    let cache = host.storage.arc_max.map(|size| size.span);
                    cache.or_else(|| Some(host.hardware.memory.as_ref()?.size.span))
                };
                let what = what.replace('`', "");
                table.row([what, size.human()], "", lines.link(place));
            }
            table.sum(["together".to_owned(), bill.wanted.human()]);
            table.sum(["memory of the host".to_owned(), bill.memory.human()]);
            let left = if bill.wanted > bill.memory {
                ("too little", bill.wanted - bill.memory)
            } else {
                ("left", bill.memory - bill.wanted)
            };
            table.sum([left.0.to_owned(), left.1.human()]);
            table
        })
        .collect()
}

/// Which backup holds what: a row for each volume of a guest.
fn coverage(facts: &Facts<'_>, lines: &Lines) -> Table {
    let host = facts.host;
    let columns = [
        "Guest",
        "$Disk",
        "Lies in",
        "#Size",
        "Backed up by",
        "Snapshots by",
    ];
    let nothing = if host.guests.is_empty() {
        "There is no guest."
    } else {
        "No guest has a volume."
    };
    let mut table = Table::new("Which copy holds what", &columns).or(nothing);
    for (id, guest) in host.guests.iter() {
        let jobs: Vec<String> = facts
            .backups
            .jobs(id)
            .iter()
            .map(|job| host.schedules[*job].name.value.clone())
            .collect();
        for volume in facts.volumes.of_guest(id) {
            let snapshots = facts.backups.snapshots(volume).iter();
            let snapshots: Vec<&str> = snapshots
                .map(|id| host.schedules[*id].name.as_str())
                .collect();
            let backups = if volume.backup && !jobs.is_empty() {
                jobs.join(", ")
            } else {
                "no backup".to_owned()
            };
            let cells = [
                guest.name.value.clone(),
                volume.key.clone(),
                volume.store_name(host).to_owned(),
                volume
                    .size
                    .map_or_else(String::new, |size| ByteSize::bytes(size.bytes()).human()),
                backups,
                if snapshots.is_empty() {
                    "nothing".to_owned()
                } else {
                    snapshots.join(", ")
                },
            ];
            let line = lines.link(Some(guest.backup.span));
            table.row(cells, &tree::guest(guest), line);
        }
    }
    table
}

fn jobs(facts: &Facts<'_>, lines: &Lines) -> Table {
    let host = facts.host;
    let columns = [
        "Backup",
        "$When",
        "Of",
        "To",
        "How",
        "Kept",
        "#Copies at most",
    ];
    let mut table = Table::new("Backups and how long they are kept", &columns)
        .or("No schedule backs anything up.");
    for (id, schedule) in host.schedules.iter() {
        let Some(task) = schedule.backup() else {
            continue;
        };
        let store = task.storage.value.map(|store| host.storage.store(store));
        let (kept, copies) = match keep_of(host, task) {
            Kept::Rules(keep) => (keep.words(), keep.most()),
            Kept::ByServer => (
                "keeps what the server's own prune jobs leave".to_owned(),
                None,
            ),
            Kept::Unsaid => ("keeps all: nothing is said".to_owned(), None),
        };
        let cells = [
            told::named(schedule),
            schedule.on.value.to_string(),
            told::about(facts, id),
            store.map_or_else(
                || "the storage of /etc/vzdump.conf".to_owned(),
                |store| store.name().value.clone(),
            ),
            format!("{}, {}", *task.mode, *task.compress),
            kept,
            copies.map_or_else(|| "no bound".to_owned(), |copies| copies.to_string()),
        ];
        let place = task.keep.map_or(schedule.name.span, |keep| keep.span);
        table.row(cells, tree::JOBS, lines.link(Some(place)));
    }
    table
}

fn snapshots(facts: &Facts<'_>, lines: &Lines) -> Table {
    let host = facts.host;
    let columns = ["Snapshots", "$When", "Of", "Kept"];
    let mut table = Table::new("Snapshots and how long they are kept", &columns)
        .or("No schedule takes snapshots.");
    for (id, schedule) in host.schedules.iter() {
        let Some(task) = schedule.snapshots() else {
            continue;
        };
        let cells = [
            told::named(schedule),
            schedule.on.value.to_string(),
            told::about(facts, id),
            task.keep.map_or_else(
                || "keeps all: nothing is said".to_owned(),
                |keep| keep.words(),
            ),
        ];
        let file = facts.tasks.of_schedule(id).file.as_deref();
        let place = task.keep.map_or(schedule.name.span, |keep| keep.span);
        table.row(cells, file.unwrap_or_default(), lines.link(Some(place)));
    }
    table
}

fn machine(host: &Host, lines: &Lines) -> Table {
    let mut table = Table::new("The machine", &["Component", "Model and details"]);
    for part in told::hardware(host) {
        let line = lines.link(Some(part.place));
        table.row([part.name, part.text], "", line);
    }
    table
}

fn disks(host: &Host, lines: &Lines) -> Table {
    let columns = ["Disk", "Kind", "#Size", "$Device", "Used by"];
    let mut table = Table::new("Disks", &columns).or("The spec names no disk.");
    for (id, disk) in host.hardware.disks.iter() {
        let pools = host
            .storage
            .pools
            .values()
            .filter(|pool| pool.disks.iter().any(|own| own.value == id))
            .map(|pool| format!("pool {}", pool.name.value));
        let groups = host
            .storage
            .lvm
            .values()
            .filter(|lvm| lvm.disks.iter().any(|own| own.value == id))
            .map(|lvm| format!("volume group {}", *lvm.group));
        let used: Vec<String> = pools.chain(groups).collect();
        let cells = [
            disk.name.value.clone(),
            disk.kind.to_string(),
            disk.size.to_string(),
            disk.path(),
            used.join(", "),
        ];
        let file = if used.is_empty() { "" } else { tree::POOLS };
        table.row(cells, file, lines.link(Some(disk.name.span)));
    }
    table
}

/// PCI functions by their IOMMU groups, and USB devices.
fn devices(host: &Host, lines: &Lines) -> Table {
    let columns = [
        "Device",
        "Kind",
        "$Address",
        "Model",
        "#IOMMU group",
        "$Others of the group",
        "Guest",
    ];
    let mut table = Table::new("Devices and passthrough", &columns)
        .or("The spec names no device that a guest could have.");
    for device in told::devices(host) {
        let line = lines.link(Some(device.place));
        let file = if device.guests.is_empty() {
            ""
        } else {
            tree::PCI
        };
        let cells = [
            device.name,
            device.class,
            device.address,
            device.model,
            device.group,
            device.members,
            device.guests,
        ];
        table.row(cells, file, line);
    }
    for (id, device) in host.hardware.usb.iter() {
        let guests: Vec<&str> = host
            .vms()
            .filter(|(_, _, vm)| {
                vm.usb.iter().any(|usb| {
                    matches!(&usb.device, crate::model::UsbSource::Known(own) if own.value == id)
                })
            })
            .map(|(_, guest, _)| guest.name.value.as_str())
            .collect();
        let port = device.port.as_ref().map(|port| port.value.to_string());
        let usb = device.id.map(|id| id.value.to_string());
        let address: Vec<String> = usb.into_iter().chain(port).collect();
        let cells = [
            device.name.value.clone(),
            "usb device".to_owned(),
            address.join(" at "),
            device
                .model
                .as_ref()
                .map_or_else(String::new, |model| model.to_string()),
            String::new(),
            String::new(),
            guests.join(", "),
        ];
        table.row(cells, tree::USB, lines.link(Some(device.name.span)));
    }
    table
}

/// What the kernel is told, and by which file.
fn kernel(facts: &Facts<'_>, lines: &Lines) -> Table {
    let (host, kernel) = (facts.host, &facts.kernel);
    let mut table = Table::new("What the kernel is told", &["What", "$Value"])
        .or("Nothing beyond what the installation tells it.");
    let blacklist: Vec<&str> = kernel.blacklist().collect();
    let ids: Vec<String> = kernel.ids.iter().map(ToString::to_string).collect();
    let addresses: Vec<String> = kernel
        .by_address
        .iter()
        .map(|(address, name)| format!("{address} ({name})"))
        .collect();
    let rows = [
        (
            "parameters",
            kernel.parameters().join(" "),
            "etc/kernel/cmdline",
        ),
        (
            "modules at boot",
            kernel.modules().join(" "),
            "etc/modules-load.d/vfio.conf",
        ),
        (
            "devices for guests",
            ids.join(" "),
            "etc/modprobe.d/vfio.conf",
        ),
        (
            "devices by their address",
            addresses.join(", "),
            "etc/udev/rules.d/10-vfio.rules",
        ),
        (
            "modules kept out",
            blacklist.join(" "),
            "etc/modprobe.d/blacklist-gpu.conf",
        ),
        (
            "ZFS cache",
            kernel.zfs().trim().replace('\n', "; "),
            "etc/modprobe.d/zfs.conf",
        ),
    ];
    let mut vms = host.vms();
    let device = vms.find_map(|(_, _, vm)| vm.passed().next());
    let device = device.map_or(host.span, |device| device.span);
    for (what, value, file) in rows {
        if !value.is_empty() {
            let place = match host.storage.arc_max {
                Some(cache) if what == "ZFS cache" => cache.span,
                Some(_) | None => device,
            };
            let line = lines.link(Some(place));
            table.row([what.to_owned(), value], &tree::of_host(host, file), line);
        }
    }
    table
}

fn needs(host: &Host, lines: &Lines) -> Table {
    let columns = ["Guest", "Starts", "Needs first", "Never beside"];
    let mut table = Table::new("Who starts when, and with whom", &columns).or("There is no guest.");
    let names = |ids: &[crate::source::Spanned<crate::model::Id<crate::model::Guest>>]| {
        let names: Vec<&str> = ids
            .iter()
            .map(|id| host.guests[id.value].name.value.as_str())
            .collect();
        names.join(", ")
    };
    for guest in host.guests.values() {
        let starts = guest.starts().map_or_else(
            || "by hand".to_owned(),
            |start| {
                let order = start.order.map(|order| format!("place {}", order.value));
                let delay = start
                    .up_delay
                    .as_ref()
                    .map(|delay| format!("the next waits {}", delay.value));
                let words: Vec<String> = std::iter::once("with the host".to_owned())
                    .chain(order)
                    .chain(delay)
                    .collect();
                words.join(", ")
            },
        );
        let place = guest
            .autostart
            .as_ref()
            .map_or(guest.name.span, |start| start.span);
        let cells = [
            guest.name.value.clone(),
            starts,
            names(&guest.needs),
            names(&guest.exclusive_with),
        ];
        table.row(cells, &tree::guest(guest), lines.link(Some(place)));
    }
    table
}
