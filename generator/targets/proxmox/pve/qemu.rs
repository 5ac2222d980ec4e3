//! `qemu-server/<vmid>.conf`: virtual machines.
//!
//! Everything that `qm create` would fill in by itself is said here (UUIDs, boot order, MAC addresses, a pinned machine
//! for Windows), so that the file and the guest that `qm create` makes of it agree.

use std::fmt::Write as _;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, GuestNic, Host, Id, Vm, VmDisk};
use crate::pve::{CannotCarry, GuestConfig, GuestKind, PropertyString};
use crate::source::Span;
use crate::value::{Balloon, Bus, Firmware, PciClass, VmOs};

use super::guest::{common, derived_uuid, mebibytes, trunks};
use super::mapping::{self, PciMappings};
use super::options::Options;
use super::virtiofs::Hook;
use crate::facts::shares;
use crate::facts::volumes::{self, Volume, VolumeRole, Volumes};

/// The machine version that a Windows guest keeps. QEMU 8.1 came with Proxmox VE 8.1, and every later release still
/// brings its machines, so that neither an upgrade of the host nor a new `host.release` changes the guest's hardware
/// under it (docs/decisions).
const WINDOWS_MACHINE: &str = "8.1";
/// The same for a host of Proxmox VE 8.0, which has no later one.
const WINDOWS_MACHINE_8_0: &str = "8.0";

/// Options that a key of the spec decides, and that key. Numbered ones stand without their number.
const OWN: &[(&str, &str)] = &[
    ("affinity", "`cpu.affinity`"),
    ("agent", "`agent`"),
    ("balloon", "`memory.balloon`"),
    ("bios", "`firmware`"),
    ("cores", "`cpu.cores`"),
    ("cpu", "`cpu.type`"),
    ("cpulimit", "`cpu.limit`"),
    ("cpuunits", "`cpu.units`"),
    ("description", "`description`"),
    ("efidisk", "`firmware` and `secure-boot`"),
    ("hostpci", "`passthrough`"),
    ("hugepages", "`memory.hugepages`"),
    ("ide", "`disks` and `iso`"),
    ("machine", "`machine`"),
    ("memory", "`memory`"),
    ("name", "the table's own name"),
    ("net", "`network`"),
    ("numa", "`memory.numa`"),
    ("onboot", "`autostart`"),
    ("protection", "`protection`"),
    ("sata", "`disks` and `iso`"),
    ("scsi", "`disks`"),
    ("sockets", "`cpu.sockets`"),
    ("startup", "`autostart`"),
    ("tags", "`tags`"),
    ("tpmstate", "`tpm`"),
    ("vga", "`display`"),
    ("virtio", "`disks`"),
    ("virtiofs", "`shares`"),
];

/// Plans the file of one virtual machine.
pub(super) fn plan(
    host: &Host,
    id: Id<Guest>,
    guest: &Guest,
    vm: &Vm,
    (volumes, mappings): (&Volumes, &PciMappings),
    sink: &mut Sink,
) -> GuestConfig {
    let mut options = Options::new(GuestKind::Qm, *host.release, sink);
    let hook = Hook::of(host, guest, vm);
    common(&mut options, guest);
    identity(&mut options, host, guest, vm);
    let memory = processor_and_memory(&mut options, host, guest, vm);
    drives(&mut options, host, guest, vm, volumes.of_guest(id));
    for (at, nic) in guest.network.iter().enumerate() {
        options.property(&format!("net{at}"), net(host, nic), nic.span);
    }
    let vga = passthrough(&mut options, host, guest, vm, mappings);
    display(&mut options, guest, vm, vga);
    shares(&mut options, host, guest, vm, (hook.as_ref(), memory));
    let hooked = hook.is_some();
    options.extra(&guest.extra, |key| {
        if hooked && matches!(key, "args" | "hookscript") {
            return Some("nothing else: it starts virtiofsd for `shares`");
        }
        let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
        OWN.iter()
            .find(|(own, _)| *own == base || *own == key)
            .map(|(_, spec_key)| *spec_key)
    });
    options.config
}

fn identity(options: &mut Options<'_>, host: &Host, guest: &Guest, vm: &Vm) {
    let vmid = guest.vmid.get();
    options.set("name", &guest.name.value, guest.name.span);
    options.set("ostype", ostype(*vm.os), vm.os.span);
    options.set("machine", machine(host, vm), vm.machine.span);
    if *vm.firmware == Firmware::Ovmf {
        options.set("bios", "ovmf", vm.firmware.span);
    }
    options.flag("agent", *vm.agent, vm.agent.span);
    let host_name = host.name.as_str();
    options.set(
        "smbios1",
        format!("uuid={}", derived_uuid("smbios1", host_name, vmid)),
        guest.span,
    );
    options.set(
        "vmgenid",
        derived_uuid("vmgenid", host_name, vmid),
        guest.span,
    );
}

/// What Proxmox VE tunes for: Windows 11 and the servers from 2022 share `win11`, Windows 10 has its own.
fn ostype(os: VmOs) -> &'static str {
    match os {
        VmOs::Nixos | VmOs::Linux => "l26",
        VmOs::Windows11 | VmOs::WindowsServer2022 | VmOs::WindowsServer2025 => "win11",
        VmOs::Windows10 => "win10",
        VmOs::Other => "other",
    }
}

/// The machine as Proxmox VE names it; with a fixed version for Windows, which takes a new one for new hardware.
fn machine(host: &Host, vm: &Vm) -> String {
    let pinned = if host.release.value < crate::pve::Release::new(8, 1) {
        WINDOWS_MACHINE_8_0
    } else {
        WINDOWS_MACHINE
    };
    match (vm.machine.as_str(), vm.os.is_windows()) {
        ("q35", true) => format!("pc-q35-{pinned}"),
        ("i440fx" | "pc", true) => format!("pc-i440fx-{pinned}"),
        ("i440fx", false) => "pc".to_owned(),
        (written, _) => written.to_owned(),
    }
}

fn is_q35(vm: &Vm) -> bool {
    vm.machine.contains("q35")
}

/// Returns the memory in MiB.
fn processor_and_memory(
    options: &mut Options<'_>,
    host: &Host,
    guest: &Guest,
    vm: &Vm,
) -> Option<u64> {
    options.set("cores", *vm.cores, vm.cores.span);
    options.set("sockets", *vm.sockets, vm.sockets.span);
    options.set("cpu", &*vm.cpu_model, vm.cpu_model.span);
    if let Some(affinity) = &vm.affinity {
        options.set("affinity", &affinity.value, affinity.span);
    }
    let memory = mebibytes(options, *guest.memory, guest.memory.span);
    if let Some(memory) = memory {
        options.set("memory", memory, guest.memory.span);
    }
    match vm.balloon.map(|b| (b.value, b.span)) {
        Some((Balloon::Off, place)) => options.set("balloon", 0, place),
        Some((Balloon::Least(least), place)) => {
            if let Some(least) = mebibytes(options, least, place) {
                options.set("balloon", least, place);
            }
        }
        None => {}
    }
    if let Some(pages) = vm.hugepages {
        options.set("hugepages", pages.as_bytes() >> 20, pages.span);
    }
    let hook = Hook::of(host, guest, vm).is_some();
    let described_by_args = hook && Hook::takes_over_numa(vm, *host.release);
    // Huge pages need it: "numa needs to be enabled to use hugepages" (PVE::QemuServer::Memory).
    if (*vm.numa || vm.hugepages.is_some()) && !described_by_args {
        options.flag("numa", true, vm.numa.span);
    }
    memory
}

fn drives(options: &mut Options<'_>, host: &Host, guest: &Guest, vm: &Vm, volumes: &[Volume]) {
    for volume in volumes {
        let (value, place) = match volume.role {
            VolumeRole::Disk(at) => {
                let disk = &vm.disks[at];
                (drive(host, volume, disk), disk.name.span)
            }
            VolumeRole::Efi => (efi_disk(host, volume, vm), vm.firmware.span),
            VolumeRole::Tpm => (tpm_state(host, volume), vm.tpm.span),
            // Those of containers are not among a virtual machine's.
            VolumeRole::Rootfs | VolumeRole::Mount(_) => continue,
        };
        options.property(&volume.key, value, place);
    }
    if *vm.tpm && volumes::tpm_dataset(host, vm).is_none() {
        options.report(
            Diagnostic::new(
                Code::MOX0108,
                vm.tpm.span,
                format!("no dataset for the TPM of `{}`", guest.name.value),
            )
            .help("give the guest a disk, or declare a dataset with `use = \"vm-disks\"`"),
        );
    }
    let slots = volumes::slots(vm);
    for (image, key) in vm.iso.iter().zip(&slots.iso) {
        let value = PropertyString::with_default(image.as_str())
            .and_then(|drive| drive.with("media", "cdrom"));
        options.property(key, value, image.span);
    }
    // The disk first: an empty one is passed over, and then comes the installation image.
    let order: Vec<&str> = slots
        .disks
        .iter()
        .take(1)
        .chain(&slots.iso)
        .map(String::as_str)
        .collect();
    if !order.is_empty() {
        options.set("boot", format!("order={}", order.join(";")), guest.span);
    }
    if vm.disks.iter().any(|disk| *disk.bus == Bus::Scsi) || vm.disks.is_empty() {
        // The one controller that gives each disk a thread of its own.
        options.set("scsihw", "virtio-scsi-single", guest.span);
    }
}

fn drive(host: &Host, volume: &Volume, disk: &VmDisk) -> Result<PropertyString, CannotCarry> {
    let mut drive = PropertyString::with_default(volume.id(host))?;
    if let Some(cache) = disk.cache {
        drive = drive.with("cache", cache.value)?;
    }
    if *disk.discard {
        drive = drive.with("discard", "on")?;
    }
    if *disk.iothread {
        drive = drive.with_flag("iothread", true)?;
    }
    if *disk.ssd {
        drive = drive.with_flag("ssd", true)?;
    }
    if !*disk.backup {
        drive = drive.with_flag("backup", false)?;
    }
    drive
        .with_some("serial", disk.serial.as_ref().map(|serial| serial.as_str()))?
        .with("size", volume.size)
}

/// 4 MB of flash: Proxmox VE's default of 2 MB has no room for Secure Boot.
fn efi_disk(host: &Host, volume: &Volume, vm: &Vm) -> Result<PropertyString, CannotCarry> {
    let mut drive = PropertyString::with_default(volume.id(host))?.with("efitype", "4m")?;
    if *vm.secure_boot {
        drive = drive.with_flag("pre-enrolled-keys", true)?;
    }
    drive.with("size", volume.size)
}

/// The version is always said: its default changed with Proxmox VE 8.3.
fn tpm_state(host: &Host, volume: &Volume) -> Result<PropertyString, CannotCarry> {
    PropertyString::with_default(volume.id(host))?
        .with("size", volume.size)?
        .with("version", "v2.0")
}

fn net(host: &Host, nic: &GuestNic) -> Result<PropertyString, CannotCarry> {
    let bridge = &host.network.bridges[nic.bridge.value].name.value;
    let mut net = PropertyString::new()
        .with("virtio", *nic.mac)?
        .with("bridge", bridge)?;
    if *nic.firewall {
        net = net.with_flag("firewall", true)?;
    }
    net.with_some("mtu", nic.mtu.map(|mtu| mtu.value))?
        .with_some("rate", nic.rate.map(|rate| rate.value))?
        .with_some("tag", nic.vlan.map(|tag| tag.value))?
        .with_some("trunks", nic.trunks.as_ref().map(|vlans| trunks(vlans)))
}

/// Whether a passed-through card becomes the guest's display.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Screen {
    Emulated,
    PassedThrough,
}

fn passthrough(
    options: &mut Options<'_>,
    host: &Host,
    guest: &Guest,
    vm: &Vm,
    mappings: &PciMappings,
) -> Screen {
    let mut screen = Screen::Emulated;
    for (at, mapping) in mappings.of_guest(guest).into_iter().enumerate() {
        let device = &host.hardware.pci[mapping.device];
        // Windows would put its desktop on the emulated card, which nobody sees. Elsewhere the emulated one stays as a
        // console: `x-vga` also hides from the guest that it is virtual, which costs Linux its paravirtual clock.
        let primary = *device.class == PciClass::Gpu
            && screen == Screen::Emulated
            && vm.os.is_windows()
            && vm
                .display
                .as_ref()
                .is_none_or(|display| display.as_str() == "none");
        if primary {
            screen = Screen::PassedThrough;
        }
        let value = || -> Result<PropertyString, CannotCarry> {
            let mut value = if mapping.is_mapped(host) {
                PropertyString::new().with("mapping", mapping.name(host))?
            } else {
                PropertyString::with_default(&mapping.path)?
            };
            if is_q35(vm) {
                // "q35 machine model is not enabled", says Proxmox VE at the start of any other.
                value = value.with_flag("pcie", true)?;
            }
            if primary {
                value = value.with_flag("x-vga", true)?;
            }
            Ok(value)
        };
        let place = vm
            .passthrough
            .iter()
            .find(|taken| mapping.functions.contains(&taken.value))
            .map_or(guest.span, |taken| taken.span);
        // A name that no mapping can have is told where the device is declared.
        if !mapping.is_mapped(host) || mapping::fits(mapping.name(host)) {
            options.property(&format!("hostpci{at}"), value(), place);
        }
    }
    screen
}

fn display(options: &mut Options<'_>, guest: &Guest, vm: &Vm, screen: Screen) {
    match (&vm.display, screen) {
        (Some(display), _) => {
            options.set("vga", display.as_str(), display.span);
            // A display on a serial port needs the port.
            let kind = display.as_str().split(',').next().unwrap_or_default();
            let kind = kind.strip_prefix("type=").unwrap_or(kind);
            if kind
                .strip_prefix("serial")
                .is_some_and(|n| matches!(n, "0" | "1" | "2" | "3"))
            {
                options.set(kind, "socket", display.span);
            }
        }
        (None, Screen::PassedThrough) => options.set("vga", "none", guest.span),
        (None, Screen::Emulated) => {}
    }
}

fn shares(
    options: &mut Options<'_>,
    host: &Host,
    guest: &Guest,
    vm: &Vm,
    (hook, memory): (Option<&Hook>, Option<u64>),
) {
    let release = *host.release;
    let mut tags: Vec<(&str, Span)> = Vec::new();
    for share in &vm.shares {
        let tag = shares::tag(host, share);
        if let Some((_, first)) = tags.iter().find(|(known, _)| *known == tag) {
            options.report(
                Diagnostic::new(
                    Code::MOX0016,
                    share.dataset.span,
                    format!("`{}` gets `{tag}` twice", guest.name.value),
                )
                .also(*first, "here too")
                .help("a guest mounts a shared folder by its dataset's name: share it once"),
            );
        }
        if tag.len() > shares::LONGEST_TAG {
            options.report(
                Diagnostic::new(
                    Code::MOX0012,
                    share.dataset.span,
                    format!("`{tag}` is too long for a shared folder"),
                )
                .help("a virtio-fs tag has 36 bytes at most: shorten the dataset's name"),
            );
        }
        tags.push((tag, share.dataset.span));
    }
    let native = vm
        .shares
        .iter()
        .filter(|share| shares::is_native(release, share));
    for (at, share) in native.enumerate() {
        let value = PropertyString::with_default(shares::tag(host, share))
            .and_then(|value| value.with("cache", "auto"));
        if mapping::fits(shares::tag(host, share)) {
            options.property(&format!("virtiofs{at}"), value, share.span);
        }
    }
    if let (Some(hook), Some(memory)) = (hook, memory) {
        let place = vm.shares.first().map_or(guest.span, |share| share.span);
        let mut args = String::new();
        write!(args, "{}", hook.args(vm, memory, release)).expect("a string takes all text");
        options.set("args", args, place);
        options.set("hookscript", hook.volume(), place);
    }
}
