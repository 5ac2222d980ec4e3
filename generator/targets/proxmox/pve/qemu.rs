//! `qemu-server/<vmid>.conf`: virtual machines.
//!
//! Everything that `qm create` would fill in by itself is said here (UUIDs, boot order, MAC addresses, a pinned machine
//! for Windows), so that the file and the guest that `qm create` makes of it agree.

use std::fmt::Write as _;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{
    CloudInit, DiskSource, EfiDisk, Guest, GuestNic, Host, Id, Image, TpmState, UsbSource, Vm,
    VmDisk,
};
use crate::pve::{
    CannotCarry, ConfigFile, DiskSize, GuestConfig, GuestKind, PropertyString, PveOption, since,
};
use crate::value::{Balloon, Bus, EfiType, Firmware, GuestAddress, VmOs};

use super::guest::{common, derived_uuid, mebibytes, memory, trunks};
use super::mapping;
use super::options::Options;
use super::virtiofs::Hook;
use crate::facts::mappings::{PciMappings, fits};
use crate::facts::volumes::{Volume, VolumeRole, Volumes};
use crate::facts::{drives, shares};

/// The machine version that a Windows guest keeps. QEMU 8.1 came with Proxmox VE 8.1, and every later release still
/// brings its machines, so that neither an upgrade of the host nor a new `host.release` changes the guest's hardware
/// under it (docs/decisions).
const WINDOWS_MACHINE: &str = "8.1";
/// The same for a host of Proxmox VE 8.0, which has no later one.
const WINDOWS_MACHINE_8_0: &str = "8.0";

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
    for nic in &guest.network {
        options.property(&format!("net{}", nic.slot), net(host, nic), nic.span);
    }
    let vga = passthrough(&mut options, host, guest, vm, mappings);
    usb(&mut options, host, vm);
    for (slot, port) in &vm.serial {
        options.set(&format!("serial{slot}"), &port.value, port.span);
    }
    display(&mut options, guest, vm, vga);
    shares(&mut options, host, guest, vm, (hook.as_ref(), memory));
    if hook.is_some() {
        hook_takes(&mut options, guest);
    } else {
        options.others(&guest.options);
    }
    options.config
}

/// A hook script that starts virtiofsd has the two options that would do it by hand.
fn hook_takes(options: &mut Options<'_>, guest: &Guest) {
    let (taken, others): (Vec<PveOption>, Vec<PveOption>) = guest
        .options
        .iter()
        .cloned()
        .partition(|option| matches!(option.key.as_str(), "args" | "hookscript"));
    for PveOption { key, .. } in taken {
        options.report(
            Diagnostic::new(
                Code::MOX0109,
                key.span,
                format!("`{}` is set by moxc itself", key.value),
            )
            .help("remove it: it starts virtiofsd for `shares`"),
        );
    }
    options.others(&others);
}

fn identity(options: &mut Options<'_>, host: &Host, guest: &Guest, vm: &Vm) {
    let vmid = guest.vmid.get();
    let name = guest.shown_name();
    options.set("name", name.value, name.span);
    options.set_unless(guest, "ostype", ostype(*vm.os), vm.os.span);
    options.set("machine", machine(host, vm), vm.machine.span);
    if *vm.firmware == Firmware::Ovmf {
        options.set("bios", "ovmf", vm.firmware.span);
    }
    let agent = PropertyString::with_default(u8::from(*vm.agent));
    options.property(
        "agent",
        agent.and_then(|agent| more(agent, &vm.agent_more)),
        vm.agent.span,
    );
    let host_name = host.name.as_str();
    options.set_unless(
        guest,
        "smbios1",
        format!("uuid={}", derived_uuid("smbios1", host_name, vmid)),
        guest.span,
    );
    options.set_unless(
        guest,
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
    let pinned = if *host.release < since::QEMU_8_1 {
        WINDOWS_MACHINE_8_0
    } else {
        WINDOWS_MACHINE
    };
    // One that is there keeps what it has been running on.
    let pins = vm.os.is_windows() && !*vm.installed;
    match (vm.machine.as_str(), pins) {
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
    let memory = memory(options, guest);
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
        match pages.value.size() {
            Some(size) => options.set("hugepages", size.as_bytes() >> 20, pages.span),
            None => options.set("hugepages", pages.value, pages.span),
        }
    }
    let described_by_args = shares::hook_describes_memory(*host.release, vm);
    // Huge pages need it: "numa needs to be enabled to use hugepages" (PVE::QemuServer::Memory).
    if (*vm.numa || vm.hugepages.is_some()) && !described_by_args {
        options.flag("numa", true, vm.numa.span);
    } else if vm.numa.is_written() && !described_by_args {
        options.flag("numa", false, vm.numa.span);
    }
    memory
}

fn drives(options: &mut Options<'_>, host: &Host, guest: &Guest, vm: &Vm, volumes: &[Volume]) {
    for volume in volumes {
        let (value, place) = match volume.role {
            VolumeRole::Disk(at) => {
                let disk = &vm.disks[at];
                if !has_place(*disk.bus, disk.slot) {
                    continue;
                }
                (
                    drive(&volume.id(host), volume.size, vm, disk),
                    disk.name.span,
                )
            }
            VolumeRole::Efi => {
                let Some(efi) = &vm.efi else { continue };
                (efi_disk(host, volume, efi), efi.span)
            }
            VolumeRole::Tpm => {
                let Some(tpm) = &vm.tpm_state else { continue };
                (tpm_state(host, volume, tpm), tpm.span)
            }
            // Those of containers are not among a virtual machine's.
            VolumeRole::Rootfs | VolumeRole::Mount(_) => continue,
        };
        options.property(&volume.key, value, place);
    }
    for disk in vm
        .disks
        .iter()
        .filter(|disk| has_place(*disk.bus, disk.slot))
    {
        if let DiskSource::Device(device) = &disk.source {
            let path = host.hardware.disks[device.value].path();
            options.property(&disk.key(), drive(&path, None, vm, disk), device.span);
        }
    }
    for image in vm
        .images
        .iter()
        .filter(|image| has_place(image.bus, image.slot))
    {
        let what = image
            .image
            .as_ref()
            .map_or("none", |image| image.value.as_str());
        let value = PropertyString::with_default(what)
            .and_then(|drive| drive.with("media", "cdrom"))
            .and_then(|drive| more(drive, &image.more));
        options.property(&image.key(), value, image.span);
    }
    if let Some(drive) = vm.cloud_init.as_ref().filter(|d| has_place(d.bus, d.slot)) {
        cloud_init(options, host, guest, drive);
    }
    boot(options, guest, vm);
    let has_scsi = vm.disks.iter().any(|disk| *disk.bus == Bus::Scsi);
    if has_scsi || vm.disks.is_empty() || vm.scsi_controller.is_written() {
        options.set("scsihw", &*vm.scsi_controller, vm.scsi_controller.span);
    }
}

/// The drive of cloud-init, and what Proxmox VE writes to it.
fn cloud_init(options: &mut Options<'_>, host: &Host, guest: &Guest, drive: &CloudInit) {
    let store = &host.storage.store(drive.store.value).name().value;
    let volume = format!("{store}:{}", cloud_init_volume(host, guest, drive));
    let value = PropertyString::with_default(volume)
        .and_then(|value| value.with("media", "cdrom"))
        .and_then(|value| more(value, &drive.more));
    options.property(&drive.key(), value, drive.span);
    let Some(stated) = &drive.stated else { return };
    if let Some(user) = &stated.user {
        options.set("ciuser", user.as_str(), user.span);
    }
    if let Some(upgrade) = stated.upgrade {
        options.flag("ciupgrade", upgrade.value, upgrade.span);
    }
    if let Some(custom) = &stated.custom {
        options.set("cicustom", custom.as_str(), custom.span);
    }
    for (key, words) in [
        ("nameserver", &stated.nameserver),
        ("searchdomain", &stated.searchdomain),
    ] {
        if let Some(words) = words {
            options.set(key, &words.value, words.span);
        }
    }
    if let Some(first) = stated.ssh_keys.first() {
        let keys: Vec<&str> = stated
            .ssh_keys
            .iter()
            .map(|key| key.value.as_str())
            .collect();
        options.set("sshkeys", url_encoded(&keys.join("\n")), first.span);
    }
    for nic in &guest.network {
        let value = ipconfig(host, nic);
        if value.as_ref().is_ok_and(|value| !value.is_empty()) {
            options.property(&format!("ipconfig{}", nic.slot), value, nic.span);
        }
    }
}

/// As Proxmox VE names it (`PVE::QemuServer::Cloudinit`): on stores of files it is an image below the guest's folder.
fn cloud_init_volume(host: &Host, guest: &Guest, drive: &CloudInit) -> String {
    let vmid = guest.vmid.get();
    if host
        .storage
        .store(drive.store.value)
        .medium()
        .formats()
        .is_empty()
    {
        format!("vm-{vmid}-cloudinit")
    } else {
        format!("{vmid}/vm-{vmid}-cloudinit.qcow2")
    }
}

/// The addresses of a card.
fn ipconfig(host: &Host, nic: &GuestNic) -> Result<PropertyString, CannotCarry> {
    let address = |address: GuestAddress| match address {
        GuestAddress::Static(cidr) => cidr.to_string(),
        GuestAddress::Dhcp => "dhcp".to_owned(),
        GuestAddress::Auto => "auto".to_owned(),
    };
    let mut value = PropertyString::new();
    for (ip, gw, v6, written, gateway) in [
        ("ip", "gw", false, nic.address, nic.gateway),
        ("ip6", "gw6", true, nic.address6, nic.gateway6),
    ] {
        let Some(written) = written else { continue };
        value = value.with(ip, address(written.value))?;
        let way = gateway
            .filter(|_| nic.static_address(v6).is_some())
            .and_then(|gateway| {
                host.gateway_address(gateway.value, nic.segment(), nic.static_address(v6), v6)
            });
        value = value.with_some(gw, way)?;
    }
    Ok(value)
}

/// Percent-encoding as Perl's `URI::Escape` does it, in which Proxmox VE keeps the keys.
fn url_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => write!(encoded, "%{other:02X}").expect("a string takes all text"),
        }
    }
    encoded
}

/// Whether Proxmox VE has the number on the bus. Where it has not, a check has told that the bus is full.
fn has_place(bus: Bus, slot: u32) -> bool {
    ConfigFile::Qm.option(&format!("{bus}{slot}")).is_some()
}

/// What it starts from.
fn boot(options: &mut Options<'_>, guest: &Guest, vm: &Vm) {
    if guest.option("boot").is_some() {
        return;
    }
    if let Some(order) = &vm.boot {
        if order.value.is_empty() {
            options.set_empty("boot", order.span);
            return;
        }
        options.set(
            "boot",
            format!("order={}", order.value.join(";")),
            order.span,
        );
        return;
    }
    // The disk first: an empty one is passed over, and then comes the installation image.
    let disk = vm.disks.iter().take(1).map(VmDisk::key);
    let order: Vec<String> = disk.chain(vm.images.iter().map(Image::key)).collect();
    if !order.is_empty() {
        options.set("boot", format!("order={}", order.join(";")), guest.span);
    }
}

/// Sub-options under Proxmox VE's own names, behind those that the language has words for.
pub(super) fn more(
    value: PropertyString,
    options: &[PveOption],
) -> Result<PropertyString, CannotCarry> {
    options.iter().try_fold(value, |value, option| {
        value.with(&option.key.value, &option.value.value)
    })
}

fn drive(
    file: &str,
    size: Option<DiskSize>,
    vm: &Vm,
    disk: &VmDisk,
) -> Result<PropertyString, CannotCarry> {
    let mut drive = PropertyString::with_default(file)?;
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
    drive = drive
        .with_some("serial", drives::serial(vm, disk).as_deref())?
        .with_some("size", size)?;
    more(drive, &disk.more)
}

/// 4 MB of flash: Proxmox VE's default of 2 MB has no room for Secure Boot.
fn efi_disk(host: &Host, volume: &Volume, efi: &EfiDisk) -> Result<PropertyString, CannotCarry> {
    let mut drive = PropertyString::with_default(volume.id(host))?;
    // Said by nothing, as Proxmox VE says its own default.
    if *efi.kind != EfiType::Small {
        drive = drive.with("efitype", *efi.kind)?;
    }
    if *efi.pre_enrolled_keys {
        drive = drive.with_flag("pre-enrolled-keys", true)?;
    }
    drive.with_some("size", volume.size)
}

/// The version is always said: its default changed with Proxmox VE 8.3.
fn tpm_state(host: &Host, volume: &Volume, tpm: &TpmState) -> Result<PropertyString, CannotCarry> {
    PropertyString::with_default(volume.id(host))?
        .with_some("size", volume.size)?
        .with("version", *tpm.version)
}

fn net(host: &Host, nic: &GuestNic) -> Result<PropertyString, CannotCarry> {
    let bridge = &host.network.bridges[nic.bridge.value].name.value;
    let mut net = PropertyString::new()
        .with(&nic.model, *nic.mac)?
        .with("bridge", bridge)?;
    if *nic.firewall {
        net = net.with_flag("firewall", true)?;
    }
    let net = net
        .with_some("mtu", nic.mtu.map(|mtu| mtu.value))?
        .with_some("rate", nic.rate.map(|rate| rate.value))?
        .with_some("tag", nic.vlan.map(|tag| tag.value))?
        .with_some("trunks", nic.trunks.as_ref().map(|vlans| trunks(vlans)))?;
    more(net, &nic.more)
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
    for passed in mapping::passed(host, guest, mappings) {
        // Windows would put its desktop on the emulated card, which nobody sees. Elsewhere the emulated one stays as a
        // console: `x-vga` also hides from the guest that it is virtual, which costs Linux its paravirtual clock.
        let usual = passed.is_gpu(host)
            && !passed.is_mediated()
            && screen == Screen::Emulated
            && vm.os.is_windows()
            && vm
                .display
                .as_ref()
                .is_none_or(|display| display.as_str() == "none");
        let primary = passed.x_vga.unwrap_or(usual);
        if primary {
            screen = Screen::PassedThrough;
        }
        // "q35 machine model is not enabled", says Proxmox VE at the start of any other.
        let express = passed.pcie.unwrap_or_else(|| is_q35(vm));
        let value = || -> Result<PropertyString, CannotCarry> {
            let (key, name) = passed.option(host);
            let mut value = match key {
                "host" => PropertyString::with_default(name)?,
                key => PropertyString::new().with(key, name)?,
            };
            if express {
                value = value.with_flag("pcie", true)?;
            }
            if primary {
                value = value.with_flag("x-vga", true)?;
            }
            more(value, &passed.more)
        };
        // A name that no mapping can have is told where the device is declared.
        if passed.can_be_named(host) {
            options.property(&format!("hostpci{}", passed.slot), value(), passed.span);
        }
    }
    screen
}

fn usb(options: &mut Options<'_>, host: &Host, vm: &Vm) {
    for entry in &vm.usb {
        let named = match &entry.device {
            // A name that no mapping can have is told where the device is declared.
            UsbSource::Known(id) => host.hardware.usb[id.value]
                .option()
                .filter(|(key, name)| *key != "mapping" || fits(name)),
            UsbSource::Mapping(name) => Some(("mapping", name.value.clone())),
            UsbSource::Host(place) => Some(("host", place.value.clone())),
        };
        let Some((key, name)) = named else { continue };
        let mut value = PropertyString::new().with(key, name);
        if let Some(usb3) = entry.usb3.filter(|usb3| usb3.value) {
            value = value.and_then(|value| value.with_flag("usb3", usb3.value));
        }
        let value = value.and_then(|value| more(value, &entry.more));
        options.property(&format!("usb{}", entry.slot), value, entry.span);
    }
}

fn display(options: &mut Options<'_>, guest: &Guest, vm: &Vm, screen: Screen) {
    match (&vm.display, screen) {
        (Some(display), _) => {
            options.set("vga", display.as_str(), display.span);
            // A display on a serial port needs the port.
            let kind = display.as_str().split(',').next().unwrap_or_default();
            let kind = kind.strip_prefix("type=").unwrap_or(kind);
            if let Some(port) = kind
                .strip_prefix("serial")
                .and_then(|n| n.parse::<u32>().ok())
                && port < 4
                && vm.serial.iter().all(|(slot, _)| *slot != port)
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
    let native = vm
        .shares
        .iter()
        .filter(|share| shares::is_native(release, share));
    for (at, share) in native.enumerate() {
        let value = PropertyString::with_default(shares::tag(host, share))
            .and_then(|value| value.with("cache", "auto"));
        if fits(shares::tag(host, share)) {
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
