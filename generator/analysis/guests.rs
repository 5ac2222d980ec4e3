//! Guests: what their systems want, and in which order they start.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Facts;
use crate::facts::volumes::{owner, placements};
use crate::model::{
    Container, ContainerMount, ExternalPlace, Gateway, Guest, GuestKind, Host, Id, MountSource,
    StoreRef, Vm, VolumeSource,
};
use crate::pve::PveOption;
use crate::source::Span;
use crate::value::{
    AbsolutePath, Bus, ByteSize, ContainerOs, Firmware, HostAddress, SetupCheck, VmOs,
};

pub(super) fn check(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    volumes_twice(facts, sink);
    called_like_the_host(host, sink);
    for (id, guest) in host.guests.iter() {
        match &guest.kind {
            GuestKind::Vm(vm) => {
                windows_11(guest, vm, sink);
                secure_boot(guest, vm, sink);
                slots(guest, vm, sink);
                if host.complete {
                    tpm(guest, vm, sink);
                }
            }
            GuestKind::Container(container) => {
                // What a mount or a feature is said to be may not have been understood.
                let held = host.complete && !facts.backups.jobs(id).is_empty();
                bind_mounts(guest, container, held, sink);
                served_by_guest(facts.host, id, guest, container, sink);
                features(guest, container, sink);
            }
        }
        exclusive(host, id, guest, sink);
        volumes_of_others(facts, id, guest, sink);
    }
    order(host, sink);
    agent(facts, sink);
}

/// A name that a router's name server, `/etc/hosts` and a prompt know two machines by.
fn called_like_the_host(host: &Host, sink: &mut Sink) {
    if host.name.is_missing() {
        return;
    }
    for guest in host.guests.values() {
        let name = guest.shown_name();
        if name.value.eq_ignore_ascii_case(host.name.as_str()) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0118,
                    name.span,
                    format!("the guest `{}` has the name of its host", name.value),
                )
                .also(host.name.span, "the host")
                .help("give one of the two another name: whoever asks the network for it gets the one or the other"),
            );
        }
    }
}

/// What the setup of Windows 11 looks for before it installs (Microsoft's "Windows 11 specifications"). The machine type
/// is not of it: with i440fx Proxmox VE takes firmware without SMM, which has Secure Boot as well (`OVMF.pm`).
fn windows_11(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    if *vm.os != VmOs::Windows11 {
        return;
    }
    let looks = |check| {
        vm.windows
            .as_ref()
            .is_none_or(|windows| windows.looks_for(check))
    };
    let mut missing: Vec<(Span, String, &str)> = Vec::new();
    if !*vm.tpm && looks(SetupCheck::Tpm) {
        missing.push((vm.tpm.span, "no TPM".to_owned(), "`tpm = true`"));
    }
    if *vm.firmware != Firmware::Ovmf && looks(SetupCheck::SecureBoot) {
        missing.push((
            vm.firmware.span,
            format!("the firmware `{}`", *vm.firmware),
            "`firmware = \"ovmf\"`",
        ));
    }
    let memory = !guest.memory.is_missing() && *guest.memory < ByteSize::gib(4);
    if memory && looks(SetupCheck::Memory) {
        missing.push((
            guest.memory.span,
            format!("{} of memory", guest.memory.value),
            "at least 4 GiB",
        ));
    }
    let size = vm.boot_disk().and_then(|disk| disk.placement()?.size());
    let small = size.filter(|size| size.value < ByteSize::gib(64) && looks(SetupCheck::Disk));
    if let Some(size) = small {
        missing.push((
            size.span,
            format!("a first disk of {}", size.value),
            "at least 64 GiB",
        ));
    }
    // No word of `LabConfig` leaves this one out.
    let cores = vm.cores.value.saturating_mul(vm.sockets.value);
    if cores < 2 {
        missing.push((
            vm.cores.span,
            "one core".to_owned(),
            "at least two, of one socket or of two",
        ));
    }
    for (span, found, wanted) in missing {
        let diagnostic = Diagnostic::new(Code::MOX0601, span, format!("Windows 11 with {found}"))
            .also(vm.os.span, "its setup refuses such a machine")
            .help(format!(
                "it wants {wanted}; Windows 10 and Windows Server want less"
            ));
        // What is there has been installed somehow.
        sink.push(if *vm.installed {
            diagnostic.softened()
        } else {
            diagnostic
        });
    }
}

/// Secure Boot is of OVMF: a BIOS starts whatever it finds.
fn secure_boot(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    if *vm.firmware == Firmware::Ovmf || !*vm.secure_boot || !vm.secure_boot.is_written() {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0659,
            vm.secure_boot.span,
            format!("`{}` has no Secure Boot", guest.name.value),
        )
        .also(
            vm.firmware.span,
            format!("its firmware is `{}`", *vm.firmware),
        )
        .help("add `firmware = \"ovmf\"`, or leave `secure-boot` out"),
    );
}

/// A TPM whose state lies nowhere.
fn tpm(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    if !*vm.tpm || vm.tpm_state.is_some() {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0108,
            vm.tpm.span,
            format!("no store for the TPM of `{}`", guest.name.value),
        )
        .help(
            "say where its state lies: `tpm = { store = \"…\" }`; or declare a store with `use = \"vm-disks\"`",
        ),
    );
}

/// How many drives Proxmox VE has numbers for, by bus (qm.json: `scsi[n]`, `virtio[n]`, `sata[n]`, `ide[n]`).
fn slots_of(bus: Bus) -> u32 {
    match bus {
        Bus::Scsi => 31,
        Bus::Virtio => 16,
        Bus::Sata => 6,
        Bus::Ide => 4,
    }
}

/// Drives that find no place on their bus. An image takes one as a disk does, and so does the drive of cloud-init.
fn slots(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let disks = vm
        .disks
        .iter()
        .map(|disk| (*disk.bus, disk.slot, disk.name.span));
    let images = vm
        .images
        .iter()
        .map(|image| (image.bus, image.slot, image.span));
    let cloud_init = vm.cloud_init.iter();
    let cloud_init = cloud_init.map(|drive| (drive.bus, drive.slot, drive.span));
    let drives: Vec<(Bus, u32, Span)> = disks.chain(images).chain(cloud_init).collect();
    for bus in [Bus::Scsi, Bus::Virtio, Bus::Sata, Bus::Ide] {
        let of_bus = drives.iter().filter(|(other, ..)| *other == bus);
        let Some((.., span)) = of_bus.clone().find(|(_, slot, _)| *slot >= slots_of(bus)) else {
            continue;
        };
        let images = vm.images.iter().filter(|image| image.bus == bus).count();
        let images = match images {
            0 => String::new(),
            1 => ", one of them for an image".to_owned(),
            more => format!(", {more} of them for images"),
        };
        let cloud_init = match &vm.cloud_init {
            Some(drive) if drive.bus == bus => ", one of them for cloud-init",
            Some(_) | None => "",
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0605,
                *span,
                format!(
                    "`{}` wants {} places on the bus `{bus}`{images}{cloud_init}: there is room for {}",
                    guest.name.value,
                    of_bus.count(),
                    slots_of(bus)
                ),
            )
            .help("put some of the disks on another bus: `scsi` takes 31, `virtio` 16"),
        );
    }
}

/// Below `/dev` lie devices, of which a container mounts the file system (`PVE::LXC::Config::classify_mountpoint`).
fn is_device(path: &AbsolutePath) -> bool {
    path.as_str().starts_with("/dev/")
}

/// Whether a folder of the host makes up its system (`pct.adoc`: "never bind mount system directories like /, /var or
/// /etc"). Sockets of services stand below `/run`, and Nix's store below `/nix`: both are given to containers on purpose.
fn makes_up_the_host(path: &AbsolutePath) -> bool {
    const ALONE: [&str; 4] = ["/", "/run", "/var", "/var/lib"];
    const TREES: [&str; 5] = [
        "/root",
        "/run/dbus",
        "/run/lock",
        "/run/systemd",
        "/var/lib/vz",
    ];
    let given = path.is_below("/run") || path.is_below("/nix");
    ALONE.contains(&path.as_str())
        || TREES.iter().any(|tree| path.is_below(tree))
        || path.is_of_the_system() && !given
}

/// What a container lives by, and a mount at this place would hide: a folder that is empty until the container is made holds
/// its system, and one that is shared does not; what LXC mounts itself is nobody's.
fn hides_the_container(mount: &ContainerMount) -> bool {
    const SYSTEM: [&str; 8] = [
        "/bin", "/etc", "/lib", "/lib64", "/run", "/sbin", "/usr", "/var",
    ];
    let lxc = ["/dev", "/proc", "/sys"];
    let shared = match mount.source {
        MountSource::Volume(_) => false,
        MountSource::Share(_) | MountSource::HostPath(_) => true,
    };
    lxc.iter().any(|tree| mount.path.is_below(tree))
        || shared && SYSTEM.contains(&mount.path.as_str())
}

fn bind_mounts(guest: &Guest, container: &Container, held: bool, sink: &mut Sink) {
    let mut places: BTreeMap<&str, Span> = BTreeMap::new();
    for mount in &container.mounts {
        if let Some(first) = places
            .insert(mount.path.as_str(), mount.path.span)
            .filter(|_| !mount.path.is_missing())
        {
            sink.push(
                Diagnostic::new(
                    Code::MOX0604,
                    mount.path.span,
                    format!("two mounts at `{}`", mount.path.value),
                )
                .also(first, "the first")
                .help("give each mount a place of its own"),
            );
        }
        if mount.path.as_str() == "/" {
            sink.push(
                Diagnostic::new(Code::MOX0604, mount.path.span, "a mount at `/`")
                    .help("the root file system is `rootfs`: mount this below it"),
            );
        }
        if hides_the_container(mount) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0604,
                    mount.path.span,
                    format!("a mount over `{}`", mount.path.value),
                )
                .label("the container's own system lies here")
                .help("mount it below `/mnt`, `/srv` or a folder of its own"),
            );
        }
        let MountSource::HostPath(path) = &mount.source else {
            continue;
        };
        if makes_up_the_host(path) && !is_device(path) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0606,
                    path.span,
                    format!("`{}` is a folder of the host's system", path.value),
                )
                .label("the container could change the host")
                .help("make a dataset with `use = \"share\"` and mount that"),
            );
        }
    }
    // Only where a backup holds the guest is the hole worth a word.
    for mount in container
        .mounts
        .iter()
        .filter(|mount| held && !mount.backup.is_written() && !*mount.read_only)
    {
        let span = match &mount.source {
            MountSource::Volume { .. } => continue,
            MountSource::Share(dataset) => dataset.span,
            MountSource::HostPath(path) => path.span,
        };
        let mut diagnostic = Diagnostic::new(
            Code::MOX0607,
            span,
            format!(
                "what `{}` keeps in `{}` is in no backup",
                guest.name.value, mount.path.value
            ),
        )
        .note("vzdump backs up volumes; a folder that is only mounted stays out of every backup");
        if *container.unprivileged && PveOption::find(&container.lxc, "lxc.idmap").is_none() {
            diagnostic = diagnostic.note("the container is unprivileged: its user 0 is user 0 + 100000 = 100000 of the host, its user 1000 is 101000; what it writes there belongs to these");
        }
        sink.push(
            diagnostic
                .help("if that is known, write `backup = false` in this mount; else give the container a volume (`dataset` and `size`)"),
        );
    }
}

/// A folder that another guest of the host serves, in a container that starts before it.
fn served_by_guest(
    host: &Host,
    id: Id<Guest>,
    guest: &Guest,
    container: &Container,
    sink: &mut Sink,
) {
    let Some(own) = place(guest) else { return };
    for mount in &container.mounts {
        let MountSource::HostPath(path) = &mount.source else {
            continue;
        };
        for store in host.storage.external.values() {
            let server = match &store.place {
                ExternalPlace::Nfs { server, .. } | ExternalPlace::Cifs { server, .. } => server,
                ExternalPlace::Pbs { .. }
                | ExternalPlace::Dir { .. }
                | ExternalPlace::Btrfs { .. }
                | ExternalPlace::Cephfs { .. }
                | ExternalPlace::Rbd { .. }
                | ExternalPlace::Iscsi
                | ExternalPlace::Esxi { .. } => continue,
            };
            let Some(mounted) = store.folder() else {
                continue;
            };
            let server = match &server.value {
                HostAddress::Ip(address) => *address,
                HostAddress::Name(_) => continue,
            };
            let serves = |other: &Guest| {
                let mut cards = other
                    .network
                    .iter()
                    .flat_map(super::super::model::guest::GuestNic::static_addresses);
                cards.any(|address| address.value.address() == server)
            };
            let mut others = host.guests.iter();
            let serving = others.find(|(other, item)| *other != id && serves(item));
            let Some((_, serving)) = serving.filter(|_| path.is_below(mounted.as_str())) else {
                continue;
            };
            if place(serving).is_some_and(|theirs| theirs < own) {
                continue;
            }
            sink.push(
                Diagnostic::new(
                    Code::MOX0655,
                    path.span,
                    format!(
                        "`{}` starts before `{}`, which serves this folder",
                        guest.name.value, serving.name.value
                    ),
                )
                .also(store.name.span, format!("mounted at `{mounted}`"))
                .also(serving.name.span, "serves it")
                .note("a container that binds a folder of a store that is not mounted yet does not start, or keeps the empty folder below")
                .help(format!(
                    "give `{}` a lower `order` than `{}`, with an `up-delay` that its services need, and say `needs = [\"{}\"]`",
                    serving.name.value, guest.name.value, serving.name.value
                )),
            );
        }
    }
}

/// The guests that take a volume by name, and where they say so.
type Takers<'h> = BTreeMap<(StoreRef, &'h str), Vec<(Id<Guest>, Span)>>;

/// A volume by name that two guests have, and whose number is of neither: what is of one of them is told of the other.
fn volumes_twice(facts: &Facts<'_>, sink: &mut Sink) {
    let mut seen = Takers::new();
    for (id, guest) in facts.host.guests.iter() {
        for placement in placements(guest) {
            let VolumeSource::Existing { name, .. } = &placement.volume else {
                continue;
            };
            let store = placement.store.value;
            let takers = seen.entry((store, name.value.as_str())).or_default();
            let number = owner(name.value.as_str());
            let is_of = |id: Id<Guest>| number == Some(facts.host.guests[id].vmid.get());
            // Of one that bears another guest's number the next check tells.
            let is_told = |other: Id<Guest>| other != id && (is_of(id) || is_of(other));
            let first = takers
                .iter()
                .find(|(other, _)| facts.running.meet(id, *other) && !is_told(*other));
            if let Some((_, place)) = first.filter(|(other, _)| *other == id) {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0657,
                        name.span,
                        format!(
                            "`{}` has the volume `{}` twice",
                            guest.name.value, name.value
                        ),
                    )
                    .also(*place, "here")
                    .note("two drives that write to one volume destroy it")
                    .help("name a volume of its own"),
                );
            } else if let Some((other, place)) = first {
                let other = &facts.host.guests[*other].name.value;
                sink.push(
                    Diagnostic::new(
                        Code::MOX0657,
                        name.span,
                        format!("`{}` has a volume that `{other}` has, too", guest.name.value),
                    )
                    .also(*place, "here")
                    .note("two guests that write to one volume destroy it")
                    .help(format!(
                        "name a volume of its own; if the two never run at the same time, say so: `exclusive-with = [\"{other}\"]`"
                    )),
                );
            }
            takers.push((id, name.span));
        }
    }
}

/// A volume by name that is another guest's.
fn volumes_of_others(facts: &Facts<'_>, id: Id<Guest>, guest: &Guest, sink: &mut Sink) {
    for placement in placements(guest) {
        let VolumeSource::Existing { name, .. } = &placement.volume else {
            continue;
        };
        let number = owner(name.value.as_str());
        let Some(number) = number.filter(|number| *number != guest.vmid.get()) else {
            continue;
        };
        let mut others = facts.host.guests.iter();
        let Some((other, owning)) =
            others.find(|(other, item)| *other != id && item.vmid.get() == number)
        else {
            continue;
        };
        if !facts.running.can_run(id, other) {
            continue;
        }
        sink.push(
            Diagnostic::new(
                Code::MOX0657,
                name.span,
                format!("`{}` has a volume of `{}`", guest.name.value, owning.name.value),
            )
            .also(owning.vmid.span, format!("the name says that it is {number}'s"))
            .note("two guests that write to one volume destroy it; and Proxmox VE removes it with the guest whose number it bears")
            .help(format!(
                "name a volume of its own; if the two never run at the same time, say so: `exclusive-with = [\"{}\"]`",
                owning.name.value
            )),
        );
    }
}

/// The first word of a feature: `mount=nfs` is `mount`.
fn feature<'a>(
    container: &'a Container,
    name: &str,
) -> Option<&'a crate::source::Spanned<crate::value::Line>> {
    container.features.iter().find(|feature| {
        feature.as_str().split('=').next() == Some(name) && !feature.as_str().ends_with("=0")
    })
}

fn features(guest: &Guest, container: &Container, sink: &mut Sink) {
    if *container.os != ContainerOs::Nixos {
        return;
    }
    if let Some(keyctl) = feature(container, "keyctl").filter(|_| *container.unprivileged) {
        sink.push(
            Diagnostic::new(Code::MOX0608, keyctl.span, format!("`keyctl` in the NixOS container `{}`", guest.name.value))
                .also(container.os.span, "systemd-networkd configures its network")
                .note("Proxmox VE's documentation: with `keyctl` one chooses between systemd-networkd and Docker in an unprivileged container")
                .help("remove it, or run Docker in a virtual machine"),
        );
    }
    if guest.understood && feature(container, "nesting").is_none() {
        sink.push(
            Diagnostic::new(Code::MOX0609, container.os.span, format!("the NixOS container `{}` has no `nesting`", guest.name.value))
                .note("systemd gives services namespaces of their own: without nesting, units with LoadCredential= or PrivateMounts= fail to start")
                .help("add `features = [\"nesting\"]`"),
        );
    }
}

fn exclusive(host: &Host, id: Id<Guest>, guest: &Guest, sink: &mut Sink) {
    for other in &guest.exclusive_with {
        let name = &host.guests[other.value].name.value;
        if other.value == id {
            sink.push(
                Diagnostic::new(
                    Code::MOX0610,
                    other.span,
                    format!("`{name}` excludes itself"),
                )
                .help("remove it from the list"),
            );
            continue;
        }
        let both_ways = host.guests[other.value]
            .exclusive_with
            .iter()
            .any(|back| back.value == id);
        if let Some(need) = guest
            .needs
            .iter()
            .chain(&host.guests[other.value].needs)
            .find(|need| need.value == other.value || need.value == id)
        {
            sink.push(
                Diagnostic::new(
                    Code::MOX0610,
                    other.span,
                    format!(
                        "`{}` and `{name}` exclude and need each other",
                        guest.name.value
                    ),
                )
                .also(need.span, "needed here")
                .help("remove one of the two"),
            );
        } else if let (Some(own), Some(theirs), true) = (
            guest.starts(),
            host.guests[other.value].starts(),
            !both_ways || id < other.value,
        ) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0611,
                    own.span,
                    format!(
                        "`{}` and `{name}` exclude each other, and both start with the host",
                        guest.name.value
                    ),
                )
                .also(theirs.span, "starts too")
                .also(other.span, "never at the same time")
                .help("let one of them start with the host"),
            );
        }
    }
}

/// What a guest needs, and where it says so: its `needs`, and the guests that route for it.
fn needs(guest: &Guest) -> impl Iterator<Item = (Id<Guest>, Span, &'static str)> + '_ {
    let routed = guest
        .network
        .iter()
        .flat_map(|nic| [nic.gateway, nic.gateway6])
        .flatten()
        .filter_map(|gateway| match gateway.value {
            Gateway::Guest(id) => Some((id, gateway.span, "its gateway")),
            Gateway::Address(_) | Gateway::Machine(_) => None,
        });
    guest
        .needs
        .iter()
        .map(|need| (need.value, need.span, "needed"))
        .chain(routed)
}

/// The place of a guest when the host starts: Proxmox VE starts by `order`, those without one last, and of one order by
/// VMID, one after the other.
fn place(guest: &Guest) -> Option<(u32, u32)> {
    let autostart = guest.starts()?;
    Some((
        autostart.order.map_or(u32::MAX, |order| order.value),
        guest.vmid.get(),
    ))
}

fn order(host: &Host, sink: &mut Sink) {
    cycles(host, sink);
    // An `autostart` or an `order` that was not understood is not missing.
    for guest in host.guests.values().filter(|guest| guest.understood) {
        let Some(own) = place(guest) else { continue };
        let own_span = guest
            .autostart
            .as_ref()
            .map_or(guest.span, |a| a.order.map_or(a.span, |order| order.span));
        for (id, span, why) in needs(guest) {
            let needed = &host.guests[id];
            if !needed.understood {
                continue;
            }
            let Some(theirs) = place(needed) else {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0612,
                        span,
                        format!(
                            "`{}` starts with the host, but `{}`, which it needs, does not",
                            guest.name.value, needed.name.value
                        ),
                    )
                    .label(why)
                    .also(needed.name.span, "has no `autostart`")
                    .help(format!(
                        "give `{}` an `autostart` with a lower `order`",
                        needed.name.value
                    )),
                );
                continue;
            };
            if theirs < own
                || guest.vmid.is_missing()
                || needed.vmid.is_missing()
                || std::ptr::eq(guest, needed)
            {
                continue;
            }
            let their_span = needed
                .autostart
                .as_ref()
                .map_or(needed.span, |a| a.order.map_or(a.span, |order| order.span));
            let note = match (own.0, theirs.0) {
                (_, u32::MAX) if own.0 != u32::MAX => {
                    "a guest without an `order` starts after all that have one".to_owned()
                }
                (a, b) if a == b => format!(
                    "of one order, the lower VMID starts first: {} before {}",
                    own.1, theirs.1
                ),
                (a, b) => format!("order {a} is before order {b}"),
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0613,
                    own_span,
                    format!(
                        "`{}` starts before `{}`, which it needs",
                        guest.name.value, needed.name.value
                    ),
                )
                .also(their_span, "starts later")
                .also(span, why)
                .note(note)
                .help(format!(
                    "give `{}` a lower `order` than `{}`",
                    needed.name.value, guest.name.value
                )),
            );
        }
    }
}

/// What a guest needs that has not been followed yet.
type Edges = Vec<(Id<Guest>, Span)>;

/// Guests that need each other in a circle, each circle told once.
fn cycles(host: &Host, sink: &mut Sink) {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        OnPath,
        Done,
    }
    let mut state = vec![State::New; host.guests.len()];
    for (start, _) in host.guests.iter() {
        if state[start.index()] != State::New {
            continue;
        }
        // Depth first without recursion: a chain of needs can be as long as a spec.
        let mut path: Vec<(Id<Guest>, Span, Edges)> = Vec::new();
        // Most guests need none: they are in no circle, and cost no step.
        if needs(&host.guests[start]).next().is_none() {
            state[start.index()] = State::Done;
            continue;
        }
        let edges = |id: Id<Guest>| {
            let mut seen = BTreeSet::new();
            let mut edges: Vec<_> = needs(&host.guests[id])
                .filter(|(to, ..)| seen.insert(*to))
                .map(|(to, span, _)| (to, span))
                .collect();
            edges.reverse();
            edges
        };
        state[start.index()] = State::OnPath;
        path.push((start, host.guests[start].span, edges(start)));
        while let Some((id, _, rest)) = path.last_mut() {
            let Some((next, span)) = rest.pop() else {
                state[id.index()] = State::Done;
                path.pop();
                continue;
            };
            match state[next.index()] {
                State::Done => {}
                State::New => {
                    state[next.index()] = State::OnPath;
                    path.push((next, span, edges(next)));
                }
                State::OnPath => {
                    let from = path.iter().position(|(id, ..)| *id == next).unwrap_or(0);
                    let names: Vec<&str> = path[from..]
                        .iter()
                        .map(|(id, ..)| host.guests[*id].name.value.as_str())
                        .chain([host.guests[next].name.value.as_str()])
                        .collect();
                    let mut diagnostic = Diagnostic::new(
                        Code::MOX0614,
                        span,
                        format!(
                            "guests need each other in a circle: `{}`",
                            names.join("` → `")
                        ),
                    );
                    for (id, span, _) in path[from..].iter().skip(1) {
                        diagnostic = diagnostic
                            .also(*span, format!("needs `{}`", host.guests[*id].name.value));
                    }
                    sink.push(
                        diagnostic.help("none of them could start first: remove one of the needs"),
                    );
                }
            }
        }
    }
}

/// Tasks by which the host reaches into a Windows guest: it drives an update with a snapshot, and looks how the guest's own
/// went. What the guest does by itself needs no agent.
fn agent(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    for (id, schedule) in host.schedules.iter().filter(|(_, s)| *s.enabled) {
        let Some(task) = schedule.windows_update() else {
            continue;
        };
        let work = facts.tasks.of_schedule(id);
        if work.job().is_none() && work.look.is_none() {
            continue;
        }
        for id in task.guests.iter() {
            let guest = &host.guests[id];
            let Some(vm) = guest.vm().filter(|vm| !*vm.agent) else {
                continue;
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0615,
                    vm.agent.span,
                    format!(
                        "the task `{}` reaches `{}` by its guest agent, which is off",
                        schedule.name.value, guest.name.value
                    ),
                )
                .also(schedule.task_span, "the task")
                .help("remove `agent = false`"),
            );
        }
    }
}
