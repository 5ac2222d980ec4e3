//! What a guest's own system needs: something to start from, a processor that it can use, rights and devices of its services.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Container, Guest, GuestKind, Host, NixosGuest, Vm};
use crate::pve::PveOption;
use crate::source::Span;
use crate::value::{ContainerOs, CpuVendor, Firmware, VmOs};

pub(super) fn check(host: &Host, sink: &mut Sink) {
    for guest in host.guests.values() {
        match &guest.kind {
            GuestKind::Vm(vm) => {
                processor(host, guest, vm, sink);
                nothing_to_start_from(guest, vm, sink);
                if let Some(nixos) = &guest.nixos {
                    secure_boot(guest, vm, nixos, sink);
                    vector_instructions(guest, vm, nixos, sink);
                }
            }
            GuestKind::Container(container) => {
                if host.complete {
                    nesting(guest, container, sink);
                }
                profiles(container, sink);
                network_file_systems(guest, container, sink);
                render_nodes(guest, container, sink);
                if let Some(nixos) = &guest.nixos {
                    tunnel(guest, container, nixos, sink);
                }
            }
        }
    }
}

/// Whose processors have every feature of a model; none for those that both makers' have. QEMU's own table of models
/// (`target/i386/cpu.c`): the older ones of Intel ask for nothing that AMD's lack.
fn maker_of(model: &str) -> Option<CpuVendor> {
    const OF_INTEL: [&str; 13] = [
        "IvyBridge",
        "Haswell",
        "Broadwell",
        "Skylake",
        "Cascadelake",
        "Cooperlake",
        "Icelake",
        "KnightsMill",
        "SapphireRapids",
        "GraniteRapids",
        "SierraForest",
        "ClearwaterForest",
        "DiamondRapids",
    ];
    const OF_AMD: [&str; 6] = [
        "EPYC",
        "Opteron_G3",
        "Opteron_G4",
        "Opteron_G5",
        "phenom",
        "athlon",
    ];
    let is_of = |names: &[&str]| names.iter().any(|name| model.starts_with(name));
    if is_of(&OF_INTEL) {
        Some(CpuVendor::Intel)
    } else if is_of(&OF_AMD) {
        Some(CpuVendor::Amd)
    } else {
        None
    }
}

fn name_of(maker: CpuVendor) -> &'static str {
    match maker {
        CpuVendor::Amd => "AMD",
        CpuVendor::Intel => "Intel",
    }
}

/// A model of the other maker, or what only its processors can: Proxmox VE starts QEMU with `enforce`, which refuses a feature that the host lacks.
fn processor(host: &Host, guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let Some(vendor) = host.hardware.cpu.as_ref().and_then(|cpu| cpu.vendor) else {
        return;
    };
    let model = vm.cpu_model_name();
    let of_other = |maker| (maker != vendor.value).then(|| name_of(maker));
    // Memory that the host cannot read: each maker has a way of its own.
    for (key, maker) in [("amd-sev", CpuVendor::Amd), ("intel-tdx", CpuVendor::Intel)] {
        if let (Some(option), Some(maker)) = (guest.option(key), of_other(maker)) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0643,
                    option.key.span,
                    format!("`{}` wants a processor of {maker}", guest.name.value),
                )
                .also(vendor.span, "the host's is another maker's")
                .note(format!("Proxmox VE refuses to start it: the processor does not have what `{key}` asks for"))
                .help(format!("leave `{key}` out")),
            );
        }
    }
    let Some(maker) = maker_of(model).and_then(of_other) else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0643,
            vm.cpu_model.span,
            format!("`{}` wants a processor of {maker}", guest.name.value),
        )
        .label(format!("`{model}` is one"))
        .also(vendor.span, "the host's is another maker's")
        .note("Proxmox VE has QEMU refuse a model with features that the host's processor lacks: the guest does not start")
        .help("use `host`, or a level that both makers have: `x86-64-v2-AES`, `x86-64-v3`"),
    );
}

/// A machine whose disks are empty, and nothing that could fill them.
fn nothing_to_start_from(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let filled = vm
        .disks
        .iter()
        .any(super::super::model::guest::VmDisk::is_filled);
    let boots_otherwise = vm.boot.as_ref().is_some_and(|order| {
        let others = ["net", "hostpci", "usb"];
        let mut order = order.value.iter();
        order.any(|option| others.iter().any(|other| option.starts_with(other)))
    });
    if *vm.installed
        || filled
        || boots_otherwise
        || vm.images.iter().any(|image| image.image.is_some())
        || !vm.passthrough.is_empty()
        || guest.nixos.is_some()
        // What the setup of Windows needs is another check's.
        || vm.os.is_windows()
        || vm.disks.is_empty()
        || ["args", "boot"]
            .iter()
            .any(|key| guest.option(key).is_some())
    {
        return;
    }
    let place = vm.disks.first().map_or(guest.span, |disk| disk.name.span);
    sink.push(
        Diagnostic::new(
            Code::MOX0651,
            place,
            format!("`{}` has nothing to start from", guest.name.value),
        )
        .label("its disks are empty, and no image is in a drive")
        .help("name an installation image (`iso = \"local:iso/…\"`), or an image that fills the disk (`import = { from = … }`); for a guest that is there already, the volumes (`volume`) or `installed = true`"),
    );
}

/// Firmware with Microsoft's keys, and a boot loader that nobody has signed.
fn secure_boot(guest: &Guest, vm: &Vm, nixos: &NixosGuest, sink: &mut Sink) {
    let signed = nixos
        .settings
        .iter()
        .any(|(path, _)| path.value.starts_with("boot.lanzaboote"));
    if *vm.firmware != Firmware::Ovmf || !*vm.secure_boot || signed || vm.os.value != VmOs::Nixos {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0653,
            vm.secure_boot.span,
            format!("the firmware of `{}` refuses the boot loader of NixOS", guest.name.value),
        )
        .also(vm.os.span, "its system")
        .note("with the keys of Secure Boot OVMF starts only what Microsoft has signed; NixOS signs its boot loader by lanzaboote alone, with keys of your own")
        .help("remove `secure-boot`, or sign by lanzaboote: `settings = { \"boot.lanzaboote.enable\" = true }`, and enrol its keys"),
    );
}

/// Models without AVX.
fn lacks_avx(model: &str) -> bool {
    [
        "486",
        "pentium",
        "coreduo",
        "core2duo",
        "Conroe",
        "Penryn",
        "Nehalem",
        "Westmere",
        "kvm32",
        "kvm64",
        "qemu32",
        "qemu64",
        "x86-64-v2",
        "Opteron_G1",
        "Opteron_G2",
        "Opteron_G3",
        "phenom",
        "athlon",
    ]
    .iter()
    .any(|name| model.starts_with(name))
}

/// Services that end with an illegal instruction where the guest sees no AVX.
fn vector_instructions(guest: &Guest, vm: &Vm, nixos: &NixosGuest, sink: &mut Sink) {
    let Some((service, place)) = service(nixos, &["mongodb"]) else {
        return;
    };
    let model = vm.cpu_model_name();
    if !lacks_avx(model) {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0644,
            place,
            format!("`{service}` needs AVX, which the processor of `{}` does not have", guest.name.value),
        )
        .also(vm.cpu_model.span, format!("it sees `{model}`"))
        .note("MongoDB is built for processors with AVX since version 5, and ends with \"illegal instruction\" on others")
        .help("use `cpu.type = \"host\"`, or `x86-64-v3`"),
    );
}

/// A service that a NixOS guest enables, and where it says so.
fn service<'a>(nixos: &NixosGuest, names: &[&'a str]) -> Option<(&'a str, Span)> {
    let listed = nixos.services.iter().find_map(|service| {
        let name = names.iter().find(|name| service.value.0 == **name)?;
        Some((*name, service.span))
    });
    listed.or_else(|| {
        nixos.settings.iter().find_map(|(path, _)| {
            let name = names
                .iter()
                .find(|name| path.value == format!("services.{name}.enable"))?;
            Some((*name, path.span))
        })
    })
}

/// The first word of a feature: `mount=nfs` is `mount`.
fn has_feature(container: &Container, name: &str) -> bool {
    container.features.iter().any(|feature| {
        feature.as_str().split('=').next() == Some(name) && !feature.as_str().ends_with("=0")
    })
}

/// A raw profile in place of what Proxmox VE makes of features (`PVE::LXC`: `make_apparmor_config`, `make_seccomp_config`).
fn profiles(container: &Container, sink: &mut Sink) {
    let parts: [(&str, &[&str]); 2] = [
        ("lxc.apparmor.profile", &["nesting", "fuse", "mount"]),
        ("lxc.seccomp.profile", &["keyctl", "mknod"]),
    ];
    for (key, features) in parts {
        let Some(line) = PveOption::find(&container.lxc, key) else {
            continue;
        };
        let mut lost = container.features.iter().filter(|feature| {
            let name = feature.as_str().split('=').next().unwrap_or_default();
            features.contains(&name) && has_feature(container, name)
        });
        let Some(first) = lost.next() else { continue };
        sink.push(
            Diagnostic::new(
                Code::MOX0660,
                line.value.span,
                format!("`{key}` takes the place of what `{}` allows", first.as_str()),
            )
            .also(first.span, "without effect on the profile")
            .note("Proxmox VE leaves its own rules out where a profile is said, and tells of it in the log of the start alone")
            .help(format!("remove the line with `{key}`, or the feature")),
        );
    }
}

/// systemd in a container that may not make namespaces. NixOS has a warning of its own.
fn nesting(guest: &Guest, container: &Container, sink: &mut Sink) {
    let with_systemd = match *container.os {
        ContainerOs::Debian
        | ContainerOs::Ubuntu
        | ContainerOs::Archlinux
        | ContainerOs::Fedora => true,
        ContainerOs::Nixos | ContainerOs::Alpine | ContainerOs::Other => false,
    };
    // Who says what LSM confines it has thought of it.
    let by_hand = PveOption::find(&container.lxc, "lxc.apparmor.profile").is_some();
    if !with_systemd || !*container.unprivileged || by_hand || has_feature(container, "nesting") {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0645,
            container.os.span,
            format!("the container `{}` has no `nesting`", guest.name.value),
        )
        .note("systemd gives its own services namespaces: without nesting logind fails, a login takes 25 seconds, and units with credentials do not start")
        .help("add `features = [\"nesting\"]`, as Proxmox VE's own dialogue does"),
    );
}

/// A right that does nothing: the kernel lets no user namespace mount these.
fn network_file_systems(guest: &Guest, container: &Container, sink: &mut Sink) {
    if !*container.unprivileged {
        return;
    }
    let of_network = ["nfs", "cifs"];
    let feature = container.features.iter().find(|feature| {
        let mut kinds = feature.as_str().strip_prefix("mount=").into_iter();
        kinds.any(|kinds| {
            kinds
                .split([';', ' '])
                .any(|kind| of_network.contains(&kind))
        })
    });
    let Some(feature) = feature else { return };
    sink.push(
        Diagnostic::new(
            Code::MOX0646,
            feature.span,
            format!("the unprivileged container `{}` cannot mount it all the same", guest.name.value),
        )
        .note("the kernel lets only root of the host mount NFS and SMB, whatever AppArmor allows")
        .help("mount it on the host (`[storage.external]`) and the folder in the container, or write `unprivileged = false`"),
    );
}

/// A render node that belongs to root inside.
fn render_nodes(guest: &Guest, container: &Container, sink: &mut Sink) {
    for device in &container.devices {
        let path = device.path.as_str();
        let of_group = path.starts_with("/dev/dri/") || path == "/dev/kfd";
        if !of_group || device.gid.is_some() || device.uid.is_some() || device.mode.is_some() {
            continue;
        }
        sink.push(
            Diagnostic::new(
                Code::MOX0650,
                device.path.span,
                format!("only root of `{}` may use `{path}`", guest.name.value),
            )
            .note("a device without `gid` belongs to root inside; services that render or transcode run as others, in the group `render`")
            .help(format!(
                "give it the number of the group inside, which `getent group render` prints there: `devices = [{{ path = \"{path}\", gid = 992 }}]`"
            )),
        );
    }
}

/// A virtual network without the device that makes it.
fn tunnel(guest: &Guest, container: &Container, nixos: &NixosGuest, sink: &mut Sink) {
    let wanted = ["tailscale", "zerotierone", "netbird"];
    let Some((service, place)) = service(nixos, &wanted) else {
        return;
    };
    let device = container
        .devices
        .iter()
        .any(|device| device.path.as_str() == "/dev/net/tun");
    let bound = container
        .lxc
        .iter()
        .any(|line| line.key.value == "lxc.mount.entry" && line.value.contains("dev/net/tun"));
    if device || bound {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0649,
            place,
            format!(
                "`{service}` needs `/dev/net/tun`, which `{}` does not have",
                guest.name.value
            ),
        )
        .note("a container has only the devices that it is given: the service does not start")
        .help("add `devices = [\"/dev/net/tun\"]`"),
    );
}
