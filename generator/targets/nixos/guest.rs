//! What a guest is.

use super::module::{Module, mk_fact};
use super::user_modules::UserModules;
use super::{network, scripts, services, settings, update, users};
use crate::facts::Facts;
use crate::model::{Container, Guest, GuestKind, Host, Id, NixosGuest, Vm, VmDisk};
use crate::nix::{
    Attrs, BinaryOp, BuildError, Built, Expr, Formals, IntoExpr, Origin, apply, at, binary, call,
    function, mk_before, mk_default, mk_merge, path, reference, select,
};
use crate::value::{Bus, Firmware, Value};

/// The module of a guest.
pub(super) fn module(
    (known, clients): (&Facts<'_>, &network::Clients),
    id: Id<Guest>,
    guest: &Guest,
    nixos: &NixosGuest,
    own: &UserModules,
    module: &mut Module,
) -> Built {
    let host = known.host;
    identity(host, guest, nixos, &mut module.facts)?;
    match &guest.kind {
        GuestKind::Container(container) => lxc(container, &mut module.facts)?,
        GuestKind::Vm(vm) => virtual_machine(host, vm, &mut module.facts)?,
    }
    network::guest((host, clients), id, guest, &mut module.facts)?;
    users::guest(host, nixos, &mut module.facts)?;
    services::guest(nixos, &mut module.facts)?;
    scripts::guest(nixos, own, &mut module.facts)?;
    let updates = update::guest(known, id, guest, &mut module.facts)?;
    if updates || nixos.scripts.iter().any(|script| script.on.is_some()) {
        update::notify(host, &mut module.facts)?;
    }
    settings::guest(nixos, module);

    // Where a table ends and a value begins, only the options of NixOS say.
    let has_tables = nixos
        .settings
        .iter()
        .any(|(_, node)| matches!(node.value, Value::Table(_)));
    let mut library = Attrs::new();
    library.inherit(["lib"])?;
    let mut body = Attrs::new();
    body.set("imports", imports(guest, nixos, own)?)?;
    if module.settings.is_empty() {
        body.merge_all(std::mem::take(&mut module.facts))?;
    } else {
        let mut settings = at(Origin::Settings, std::mem::take(&mut module.settings));
        if has_tables {
            let priorities = apply(
                apply(reference("import"), path("./moxc/priority.nix")?)?,
                library,
            );
            settings = call(
                select(priorities, "yielding")?,
                [reference("options"), settings],
            );
        }
        let parts = [std::mem::take(&mut module.facts).into_expr(), settings];
        body.set("config", mk_merge(parts))?;
    }
    let mut formals = vec!["lib", "modulesPath"];
    if has_tables {
        formals.push("options");
    }
    let calls_programs = nixos
        .scripts
        .iter()
        .any(|script| !script.packages.is_empty());
    if !nixos.packages.is_empty() || calls_programs {
        formals.push("pkgs");
    }
    function(Formals::open(formals)?, body)
}

/// The name of a disk inside the guest. Where nothing names it for good, it is the kernel's own for the first of its bus.
fn device(disk: &VmDisk) -> String {
    disk.stable_path().unwrap_or_else(|| {
        match *disk.bus {
            Bus::Virtio => "/dev/vda",
            Bus::Scsi | Bus::Sata | Bus::Ide => "/dev/sda",
        }
        .to_owned()
    })
}

/// The driver of the controller that a guest's SCSI disks are on, where NixOS does not take it into the initial RAM disk by
/// itself: it takes those of disks that real machines have, and `qemu-guest.nix` adds virtio's. Without it the guest waits for
/// its root until it gives up. What QEMU emulates is in its docs/system and hw/scsi: a 53c895a or 53c810, a MegaRAID, and one of
/// VMware's making.
fn scsi_driver(vm: &Vm) -> Option<&'static str> {
    vm.disks
        .iter()
        .any(|disk| *disk.bus == Bus::Scsi)
        .then_some(vm.scsi_controller.as_str())
        .and_then(|controller| match controller {
            "lsi" | "lsi53c810" => Some("sym53c8xx"),
            "megasas" => Some("megaraid_sas"),
            "pvscsi" => Some("vmw_pvscsi"),
            // virtio-scsi-pci and virtio-scsi-single.
            _ => None,
        })
}

/// What is mounted of a guest's disks: the root of the one that it boots from, the others where the spec says it.
fn disks(vm: &Vm, facts: &mut Attrs) -> Result<(), BuildError> {
    let boot = vm.boot_disk().map(VmDisk::key);
    for disk in &vm.disks {
        let boots = boot.as_deref() == Some(disk.key().as_str());
        let mount = match &disk.mount {
            Some(mount) => mount.as_str(),
            None if boots => "/",
            None => continue,
        };
        let mut options = Attrs::new();
        options.set("device", mk_default(device(disk)))?;
        options.set("mountPoint", mk_default(mount))?;
        options.set("fsType", mk_default(disk.fs.as_str()))?;
        facts.set(
            [
                "services",
                "moxc",
                "virtualMachine",
                "disks",
                disk.name.as_str(),
            ],
            at(Origin::Spec(disk.name.span), options),
        )?;
    }
    Ok(())
}

/// NixOS's own module for the kind of guest, ours, and the user's.
fn imports(guest: &Guest, nixos: &NixosGuest, own: &UserModules) -> Result<Vec<Expr>, BuildError> {
    let profile = match &guest.kind {
        GuestKind::Container(_) => "/virtualisation/proxmox-lxc.nix",
        GuestKind::Vm(_) => "/profiles/qemu-guest.nix",
    };
    let mut imports = vec![
        binary(BinaryOp::Add, reference("modulesPath"), profile)?,
        path("./moxc")?,
    ];
    for module in &nixos.modules {
        imports.push(path(&own.path_of(&module.value.0))?);
    }
    Ok(imports)
}

fn identity(
    host: &Host,
    guest: &Guest,
    nixos: &NixosGuest,
    facts: &mut Attrs,
) -> Result<(), BuildError> {
    facts.set("networking.hostName", mk_default(guest.name.as_str()))?;
    facts.set("networking.domain", mk_default(host.domain.as_str()))?;
    facts.set("time.timeZone", mk_default(host.timezone.as_str()))?;
    if let Some(version) = &nixos.state_version {
        // Set by everybody who makes images, as a default: the spec's is the one that counts.
        facts.set("system.stateVersion", mk_fact(version.as_str()))?;
    }
    if *nixos.immutable {
        facts.set("services.moxc.immutable.enable", mk_default(true))?;
    }
    Ok(())
}

fn lxc(container: &Container, facts: &mut Attrs) -> Result<(), BuildError> {
    facts.set(
        "proxmoxLXC.privileged",
        mk_default(!*container.unprivileged),
    )?;
    // Name and addresses come from here, not from the files that Proxmox VE writes into the container at its start: one
    // source for both halves.
    facts.set("proxmoxLXC.manageHostName", mk_default(true))?;
    facts.set("proxmoxLXC.manageNetwork", mk_default(true))
}

fn virtual_machine(host: &Host, vm: &Vm, facts: &mut Attrs) -> Result<(), BuildError> {
    facts.set("services.qemuGuest.enable", mk_default(*vm.agent))?;
    // The last one is `/dev/console`, and one of the user's comes behind these. One without a device is one all the same, and
    // every write to it fails (register_console of the kernel takes a ttyS0 that no UART stands behind): so it is named only
    // where the guest has the port.
    let serial = vm.serial.iter().any(|(slot, _)| *slot == 0);
    let consoles: &[&str] = if serial {
        &["console=tty0", "console=ttyS0,115200"]
    } else {
        &["console=tty0"]
    };
    facts.set("boot.kernelParams", mk_before(consoles.to_vec()))?;
    facts.set("services.moxc.virtualMachine.enable", mk_default(true))?;
    facts.set(
        "services.moxc.virtualMachine.efi",
        mk_default(match *vm.firmware {
            Firmware::Ovmf => true,
            Firmware::Seabios => false,
        }),
    )?;
    if let Some(disk) = vm.boot_disk() {
        facts.set(
            "services.moxc.virtualMachine.bootDevice",
            mk_default(device(disk)),
        )?;
    }
    disks(vm, facts)?;
    if let Some(driver) = scsi_driver(vm) {
        facts.set("boot.initrd.availableKernelModules", vec![driver])?;
    }
    for share in &vm.shares {
        let mount = share.mount.to_string();
        let mut folder = Attrs::new();
        folder.set(
            "tag",
            mk_default(host.storage.datasets[share.dataset.value].name.as_str()),
        )?;
        if *share.read_only {
            folder.set("readOnly", mk_default(true))?;
        }
        facts.set(
            ["services", "moxc", "shares", "folders", mount.as_str()],
            at(Origin::Spec(share.span), folder),
        )?;
    }
    Ok(())
}
