//! Wishes that reach nothing: keys that say something only of what is not there.

use crate::diagnostics::{Diagnostic, Sink};
use crate::model::{
    Bridge, Container, Dataset, ExternalPlace, Guest, GuestKind, Host, PciDevice, StoreRef, Vm,
    VolumeSource, VzdumpBackup,
};
use crate::pve::PveOption;
use crate::pve::interfaces::stanza_line;
use crate::value::{Bus, Compress, DatasetUse, GuestAddress, Platform};

pub(super) fn check(host: &Host, sink: &mut Sink) {
    of_host(host, sink);
    for bridge in host.network.bridges.values() {
        handed_out(bridge, sink);
        of_linux_bridges(bridge, sink);
    }
    for dataset in host.storage.datasets.values() {
        volumes(dataset, sink);
    }
    for device in host.hardware.pci.values() {
        itself(device, sink);
    }
    for schedule in host.schedules.values() {
        if let Some(task) = schedule.backup() {
            backups(host, task, sink);
        }
    }
    for guest in host.guests.values() {
        cards(guest, sink);
        way_out(guest, sink);
        started_template(guest, sink);
        if let GuestKind::Container(container) = &guest.kind {
            features(guest, container, sink);
            at_creation(container, sink);
        }
        if let Some(vm) = guest.vm() {
            of_virtio(guest, sink);
            threads_of_disks(vm, sink);
        }
    }
}

/// What is said when a container is made, of one that is there.
fn at_creation(container: &Container, sink: &mut Sink) {
    if !matches!(container.rootfs.volume, VolumeSource::Existing { .. }) {
        return;
    }
    let password = container.password_secret.as_ref().map(|secret| secret.span);
    let keys = container.ssh_keys.first().map(|key| key.span);
    for (key, place) in [("password-secret", password), ("ssh-keys", keys)] {
        if let Some(place) = place {
            sink.push(
                Diagnostic::unheard(
                    key,
                    place,
                    "it is for making a container, and this one is there already",
                )
                .help("remove it; inside of the container `passwd` and `authorized_keys` say it"),
            );
        }
    }
}

/// ifupdown2 reads `bridge-…` where there are `bridge-ports`, which a bridge of Open vSwitch does not have.
fn of_linux_bridges(bridge: &Bridge, sink: &mut Sink) {
    for line in bridge.extra.iter().filter(|_| bridge.is_ovs()) {
        let Some((key, _)) = stanza_line(line.value.as_str()) else {
            continue;
        };
        let key = key.replace('_', "-");
        if key.starts_with("bridge-") {
            sink.push(
                Diagnostic::unheard(&key, line.span, "a bridge of Open vSwitch does not have it")
                    .help("remove it, or say it to Open vSwitch: `ovs-extra`"),
            );
        }
    }
}

/// Nothing runs of a template: the host tries to start it, and Proxmox VE refuses (`vm_start_nolock`).
fn started_template(guest: &Guest, sink: &mut Sink) {
    let Some(autostart) = guest.autostart.as_ref().filter(|_| guest.is_template()) else {
        return;
    };
    if autostart.enabled {
        sink.push(
            Diagnostic::unheard(
                "autostart",
                autostart.span,
                "a template never runs: each start of the host tries it, and fails",
            )
            .help("remove it; what is made from the template says it for itself"),
        );
    }
}

/// A Proxmox VE of Debian has no state of NixOS.
fn of_host(host: &Host, sink: &mut Sink) {
    if let (Platform::Proxmox, Some(written)) = (*host.platform, &host.state_version) {
        sink.push(
            Diagnostic::unheard(
                "state-version",
                written.span,
                "the host runs Debian, and this is of NixOS",
            )
            .help("a NixOS guest has a `state-version` of its own in its `nixos` table; leave this one out, or say `platform = \"nixos\"`"),
        );
    }
}

/// Addresses that a server hands out in another network than the bridge's.
fn handed_out(bridge: &Bridge, sink: &mut Sink) {
    let Some(range) = bridge.dhcp_range else {
        return;
    };
    let own: Vec<_> = bridge.ip.fixed_addresses().collect();
    let is_inside = |address| own.iter().any(|own| own.value.contains(address));
    let (first, last) = (range.first(), range.last());
    let Some(address) = own
        .first()
        .filter(|_| !is_inside(first) && !is_inside(last))
    else {
        return;
    };
    sink.push(
        Diagnostic::unheard(
            "dhcp-range",
            range.span,
            format!(
                "no address of `{}` is between {first} and {last}",
                bridge.name.value
            ),
        )
        .also(address.span, "its network")
        .help("write the first and the last address that the server in this network hands out"),
    );
}

/// What is said of files of containers, and of what is pruned, in a job that has none of it.
fn backups(host: &Host, task: &VzdumpBackup, sink: &mut Sink) {
    let option = |key: &str| PveOption::find(&task.schema, key);
    let mut held = task.guests.iter().map(|id| &host.guests[id]);
    let has_containers = !host.complete || held.any(|guest| guest.vm().is_none());
    for key in ["exclude-path", "pbs-change-detection-mode", "stdexcludes"] {
        if let Some(option) = option(key).filter(|_| !has_containers) {
            sink.push(
                Diagnostic::unheard(
                    key,
                    option.key.span,
                    "it is of the files of containers, and the job holds none",
                )
                .help("leave it out"),
            );
        }
    }
    let is_server = match *task.storage {
        Some(StoreRef::External(id)) => {
            matches!(host.storage.external[id].place, ExternalPlace::Pbs { .. })
        }
        Some(StoreRef::Dataset(_) | StoreRef::Lvm(_) | StoreRef::Local) => false,
        None => true,
    };
    let by_server = option("pbs-change-detection-mode").filter(|_| has_containers && !is_server);
    if let Some(mode) = by_server {
        sink.push(
            Diagnostic::unheard(
                "pbs-change-detection-mode",
                mode.key.span,
                "the backups do not go to a Proxmox Backup Server",
            )
            .help("leave it out"),
        );
    }
    if task.compress.is_written() && task.storage.is_some() && is_server {
        sink.push(
            Diagnostic::unheard(
                "compress",
                task.compress.span,
                "a Proxmox Backup Server takes chunks, and compresses each in its own way",
            )
            .help("leave it out"),
        );
    }
    for (key, of) in [("pigz", Compress::Gzip), ("zstd", Compress::Zstd)] {
        if let Some(option) = option(key).filter(|_| *task.compress != of) {
            sink.push(
                Diagnostic::unheard(key, option.key.span, format!("it is the threads of `{of}`"))
                    .also(
                        task.compress.span,
                        format!("backups are compressed by `{}`", *task.compress),
                    )
                    .help(format!("leave it out, or write `compress = \"{of}\"`")),
            );
        }
    }
    let protected = option("protected").filter(|on| on.value.as_str() == "1");
    if let (Some(keep), Some(protected)) = (&task.keep, protected) {
        sink.push(
            Diagnostic::unheard("keep", keep.span, "no backup of the job is ever pruned")
                .also(protected.value.span, "each is protected")
                .help(
                    "leave one of the two out: what is protected stays until somebody removes it",
                ),
        );
    }
}

/// Volumes lie only in datasets that a storage of guests' disks is made of.
fn volumes(dataset: &Dataset, sink: &mut Sink) {
    let has = |wanted| dataset.uses.iter().any(|uses| uses.value == wanted);
    let (disks, roots) = (has(DatasetUse::VmDisks), has(DatasetUse::Containers));
    if let Some(block) = dataset.volblocksize.filter(|_| !disks) {
        sink.push(
            Diagnostic::unheard(
                "volblocksize",
                block.span,
                "no disk of a virtual machine lies in this dataset",
            )
            .help("the blocks of files are `recordsize`; leave this out, or add `vm-disks` to its `use`"),
        );
    }
    if dataset.thin.is_written() && !disks && !roots {
        sink.push(
            Diagnostic::unheard(
                "thin",
                dataset.thin.span,
                "no volume of a guest lies in this dataset",
            )
            .help("leave it out: files take space only as they are written; what must stay free is `reservation`"),
        );
    }
}

/// A function that says of itself that it may stay on the host.
fn itself(device: &PciDevice, sink: &mut Sink) {
    for member in &device.group_members {
        if member.value == *device.address {
            sink.push(
                Diagnostic::unheard(
                    "group-members",
                    member.span,
                    format!("this is `{}` itself", device.name.value),
                )
                .help("name the other functions of its IOMMU group that stay on the host and are harmless there"),
            );
        }
    }
}

/// The system of a virtual machine names its cards itself, and a container has no card whose model one could choose.
fn cards(guest: &Guest, sink: &mut Sink) {
    for card in &guest.network {
        match &guest.kind {
            GuestKind::Vm(_) if card.interface.is_written() => sink.push(
                Diagnostic::unheard(
                    "name",
                    card.interface.span,
                    format!(
                        "the system of `{}` names its cards itself",
                        guest.name.value
                    ),
                )
                .help("leave it out; the cards of containers are named by Proxmox VE"),
            ),
            GuestKind::Container(_) if card.model.is_written() => sink.push(
                Diagnostic::unheard(
                    "model",
                    card.model.span,
                    format!("`{}` is a container, and has no machine", guest.name.value),
                )
                .help("leave it out"),
            ),
            GuestKind::Vm(_) | GuestKind::Container(_) => {}
        }
    }
}

/// A way out is of an address that is set: one by DHCP brings its own.
fn way_out(guest: &Guest, sink: &mut Sink) {
    if !guest.is_told_its_network() {
        return;
    }
    for card in &guest.network {
        let ways = [
            ("gateway", &card.address, card.gateway.as_ref()),
            ("gateway6", &card.address6, card.gateway6.as_ref()),
        ];
        for (key, address, way) in ways {
            let Some(way) = way else { continue };
            let why = match address.as_ref().map(|address| address.value) {
                Some(GuestAddress::Static(_)) => continue,
                Some(GuestAddress::Dhcp) => "the address comes by DHCP, and the way out with it",
                Some(GuestAddress::Auto) => "the router that gives the address is the way out",
                None => "the card has no address of this kind",
            };
            sink.push(
                Diagnostic::unheard(key, way.span, why)
                    .help("leave it out, or set the card's address, with its prefix length"),
            );
        }
    }
}

/// Keys of the kernel are kept from the users of an unprivileged container alone (`PVE::LXC::make_seccomp_config`).
fn features(guest: &Guest, container: &Container, sink: &mut Sink) {
    let keyctl = container
        .features
        .iter()
        .find(|feature| matches!(feature.as_str(), "keyctl" | "keyctl=1"));
    if let Some(keyctl) = keyctl.filter(|_| !*container.unprivileged) {
        sink.push(
            Diagnostic::unheard(
                "keyctl",
                keyctl.span,
                format!(
                    "`{}` is privileged, and has the call anyway",
                    guest.name.value
                ),
            )
            .help("leave it out, or write `unprivileged = true`"),
        );
    }
}

/// Only virtio cards have queues and a size of packets that Proxmox VE tells them (`PVE::QemuServer::print_netdevice_full`).
fn of_virtio(guest: &Guest, sink: &mut Sink) {
    for card in guest.network.iter().filter(|card| *card.model != "virtio") {
        let queues = PveOption::find(&card.more, "queues").map(|option| option.value.span);
        let mtu = card.mtu.map(|mtu| mtu.span);
        for (key, place) in [("queues", queues), ("mtu", mtu)] {
            let Some(place) = place else { continue };
            sink.push(
                Diagnostic::unheard(
                    key,
                    place,
                    format!(
                        "Proxmox VE leaves it out of a card of the model `{}`",
                        *card.model
                    ),
                )
                .help("leave it out, or take a virtio card: `model = \"virtio\"`"),
            );
        }
    }
}

/// A thread of its own for a SCSI disk needs a controller of its own (`PVE::QemuServer::config_to_command`).
fn threads_of_disks(vm: &Vm, sink: &mut Sink) {
    if *vm.scsi_controller == Vm::SINGLE_CONTROLLER {
        return;
    }
    for disk in &vm.disks {
        if *disk.bus == Bus::Scsi && disk.iothread.is_written() && *disk.iothread {
            sink.push(
                Diagnostic::unheard(
                    "iothread",
                    disk.iothread.span,
                    format!("Proxmox VE ignores it with `{}`", *vm.scsi_controller),
                )
                .help("leave it out, or write `scsi-controller = \"virtio-scsi-single\"`"),
            );
        }
    }
}
