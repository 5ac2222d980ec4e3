//! What the kernel is told when it starts: devices for guests, the ZFS cache, huge pages, the serial console.
//!
//! Comes in: the host. Goes out: files of `/etc/modprobe.d`, `/etc/modules-load.d`, `/etc/kernel/cmdline` and
//! `/etc/default/grub.d`. Rules of others: qm-pci-passthrough.adoc, pve-admin-guide "Editing the Kernel Commandline" and
//! "Limit ZFS Memory Usage", modprobe.d(5), kernel-parameters.txt, facts of `/sys/bus/pci` (`driver_override`).
//!
//! All of it takes effect with the next start, and most of it only once the initial RAM disk has been made anew: the
//! script that applies the tree sees to that.

use std::collections::BTreeSet;

use crate::facts::Facts;
use crate::model::{Id, ModuleOptions, PciDevice};
use crate::output::Mode;
use crate::source::{Span, Spanned};
use crate::targets::about::About;
use crate::value::{CpuVendor, ModuleName, PciClass, PciId};

use super::{Tree, push};

/// What the boot files will say.
#[derive(Debug, Default)]
pub(in crate::targets) struct Boot {
    /// Devices that vfio-pci takes by their id.
    ids: Vec<PciId>,
    /// Devices that vfio-pci takes by their address, with the name in the spec: the host needs another of the same id.
    by_address: Vec<(String, String)>,
    /// Drivers that must not take a device before vfio-pci does.
    later_drivers: BTreeSet<&'static str>,
    /// Drivers that the host has no device for.
    blacklist: BTreeSet<&'static str>,
    disable_vga: bool,
    arc_max: Option<u64>,
    arc_min: Option<u64>,
    parameters: Vec<String>,
    /// What the spec says of modules.
    modules: Vec<String>,
    options: Vec<String>,
    kept_out: Vec<String>,
    serial: bool,
    /// The ZFS pool that the host starts from.
    root_pool: Option<String>,
}

/// Speed and name of the serial console of a headless host.
const SERIAL: &str = "ttyS0,115200n8";

/// The modules that hand devices to guests.
const VFIO: &[&str] = &["vfio", "vfio_iommu_type1", "vfio_pci"];

/// Plans the boot files.
pub(in crate::targets) fn plan(facts: &Facts<'_>) -> Boot {
    let host = facts.host;
    let passed: BTreeSet<Id<PciDevice>> = host
        .vms()
        .flat_map(|(_, _, vm)| vm.passed().map(|device| device.value))
        .collect();
    let kept = |wanted: &dyn Fn(&PciDevice) -> bool| {
        host.hardware
            .pci
            .iter()
            .any(|(id, device)| !passed.contains(&id) && wanted(device))
    };
    let mut boot = Boot {
        serial: *host.headless,
        root_pool: host
            .storage
            .boot_pool()
            .map(|(_, pool)| pool.name.value.clone()),
        arc_max: host.storage.arc_max.map(|size| size.as_bytes()),
        arc_min: host.storage.arc_min.map(|size| size.as_bytes()),
        ..Boot::default()
    };
    let mut seen = BTreeSet::new();
    for id in &passed {
        let device = &host.hardware.pci[*id];
        let vendor = device.id.map(|id| id.vendor);
        // The host may need another device of the same make that no table names: the disk that it starts from, the card that it
        // is reached by.
        let told_by_make = match *device.class {
            PciClass::Gpu | PciClass::Audio => !device.all_functions,
            PciClass::Usb | PciClass::Nic | PciClass::Storage | PciClass::Other => false,
        };
        match device.id {
            Some(id)
                if told_by_make
                    && !kept(&|other| other.id.is_some_and(|other| other.value == id.value)) =>
            {
                if seen.insert(id.value) {
                    boot.ids.push(id.value);
                }
            }
            // Of a whole card the other functions have ids that the spec does not know.
            Some(_) | None => boot
                .by_address
                .push((kernel_name(device), device.name.value.clone())),
        }
        boot.later_drivers.extend(drivers(*device.class, vendor));
        if *device.class == PciClass::Gpu {
            boot.disable_vga |= *host.headless;
            let same_maker = |other: &PciDevice| {
                *other.class == PciClass::Gpu && other.id.is_none_or(|id| Some(id.vendor) == vendor)
            };
            if !kept(&same_maker) {
                boot.blacklist.extend(gpu_blacklist(vendor));
            }
        }
    }
    boot.by_address.sort();
    boot.parameters = parameters(facts, !passed.is_empty());
    // The kernel takes the last of two that contradict each other: the spec's own words.
    for parameter in &host.boot.kernel_params {
        let parameter = parameter.as_str().to_owned();
        boot.parameters.retain(|known| *known != parameter);
        boot.parameters.push(parameter);
    }
    let names = |modules: &[Spanned<ModuleName>]| -> Vec<String> {
        modules
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect()
    };
    boot.modules = names(&host.boot.modules);
    boot.kept_out = names(&host.boot.blacklist);
    boot.options = host.boot.module_options.iter().map(options_line).collect();
    boot
}

/// The line of modprobe.d(5) with the options of a module.
fn options_line(of: &ModuleOptions) -> String {
    let mut line = format!("options {}", of.module.as_str());
    for (name, value) in &of.options {
        push(&mut line, format_args!(" {}={}", name.value, value.value));
    }
    line
}

/// What udev matches a device's name in the kernel with; `*` for each function of a whole card.
fn kernel_name(device: &PciDevice) -> String {
    if device.all_functions {
        format!("{}.*", device.address.device_path())
    } else {
        device.address.to_string()
    }
}

const NVIDIA: u16 = 0x10de;
const AMD: u16 = 0x1002;
const INTEL: u16 = 0x8086;

/// The kernel modules that would take a device of this class on the host.
fn drivers(class: PciClass, vendor: Option<u16>) -> Vec<&'static str> {
    match class {
        PciClass::Gpu => match vendor {
            Some(NVIDIA) => vec!["nouveau", "nvidia", "nvidiafb", "nvidia_drm"],
            Some(AMD) => vec!["amdgpu", "radeon"],
            Some(INTEL) => vec!["i915", "xe"],
            Some(_) | None => Vec::new(),
        },
        PciClass::Audio => vec!["snd_hda_intel"],
        PciClass::Usb => vec!["xhci_pci"],
        PciClass::Storage => vec!["ahci", "nvme", "mpt3sas"],
        // Their drivers are too many to list: Proxmox VE takes the device from its driver when the guest starts.
        PciClass::Nic | PciClass::Other => Vec::new(),
    }
}

/// The modules of graphics cards that the host has no other card for.
fn gpu_blacklist(vendor: Option<u16>) -> &'static [&'static str] {
    match vendor {
        Some(NVIDIA) => &["nouveau", "nvidia", "nvidiafb"],
        Some(AMD) => &["amdgpu", "radeon"],
        Some(INTEL) => &["i915", "xe"],
        Some(_) | None => &[],
    }
}

fn parameters(facts: &Facts<'_>, passes_devices: bool) -> Vec<String> {
    let host = facts.host;
    let mut parameters = Vec::new();
    if passes_devices {
        let vendor = host.hardware.cpu.as_ref().and_then(|cpu| cpu.vendor);
        // AMD's is on by itself, and does not know the parameter; Intel's needs it before kernel 6.8.
        match vendor.map(|vendor| vendor.value) {
            Some(CpuVendor::Amd) => {}
            Some(CpuVendor::Intel) | None => parameters.push("intel_iommu=on".to_owned()),
        }
        parameters.push("iommu=pt".to_owned());
    }
    for pages in &facts.pages {
        parameters.push(format!("hugepagesz={}", pages.word()));
        parameters.push(format!("hugepages={}", pages.count));
    }
    if *host.headless {
        parameters.push("console=tty0".to_owned());
        parameters.push(format!("console={SERIAL}"));
    }
    parameters
}

/// What a NixOS host is told, too.
impl Boot {
    /// Modules that are loaded early, so that no driver of the host takes a device first.
    pub(in crate::targets) fn modules(&self) -> &'static [&'static str] {
        if self.ids.is_empty() && self.by_address.is_empty() {
            &[]
        } else {
            VFIO
        }
    }

    /// The lines of modprobe.d(5), without blacklists.
    pub(in crate::targets) fn modprobe(&self) -> String {
        let mut body = self.vfio() + &self.zfs();
        for line in &self.options {
            push(&mut body, format_args!("{line}\n"));
        }
        body
    }

    /// Modules that the spec wants at boot.
    pub(in crate::targets) fn wanted_modules(&self) -> &[String] {
        &self.modules
    }

    /// Modules that are never loaded by themselves.
    pub(in crate::targets) fn blacklist(&self) -> impl Iterator<Item = &str> {
        let own = self.kept_out.iter().map(String::as_str);
        let known = self
            .kept_out
            .iter()
            .map(String::as_str)
            .collect::<BTreeSet<_>>();
        let gpus = self.blacklist.iter().copied();
        gpus.filter(move |module| !known.contains(module))
            .chain(own)
    }

    /// Parameters of the kernel.
    pub(in crate::targets) fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// Rules of udev(7) for devices that are taken by their address; empty where there are none.
    pub(in crate::targets) fn udev_rules(&self) -> String {
        if self.by_address.is_empty() {
            String::new()
        } else {
            self.rules()
        }
    }
}

impl Boot {
    /// Says which files this host has no reason for.
    pub(super) fn about(&self, about: &mut About) {
        if self.modules().is_empty() {
            about.lacks(
                "proxmox/etc/modprobe.d/vfio.conf, etc/modules-load.d/vfio.conf",
                "no guest gets a PCI device",
            );
        }
        if self.zfs().is_empty() {
            about.lacks(
                "proxmox/etc/modprobe.d/zfs.conf",
                "the spec leaves the bounds of the ZFS cache to ZFS",
            );
        }
        if self.parameters.is_empty() {
            about.lacks(
                "proxmox/etc/kernel/cmdline",
                "the kernel needs no parameter",
            );
        } else if self.root_pool.is_none() {
            about.lacks(
                "proxmox/etc/kernel/cmdline",
                "the spec has no ZFS pool that the host starts from; GRUB takes etc/default/grub.d/",
            );
        }
    }

    /// Writes the files down.
    pub(super) fn emit(&self, span: Span, tree: &mut Tree<'_>) {
        let header = tree.header();
        let mut add = |path: &str, body: String, mode: Mode| {
            tree.add(path, &format!("# {header}\n{body}"), mode, span);
        };
        if !self.ids.is_empty() || !self.by_address.is_empty() {
            add(
                "etc/modules-load.d/vfio.conf",
                format!("{}\n", VFIO.join("\n")),
                Mode::Regular,
            );
            add("etc/modprobe.d/vfio.conf", self.vfio(), Mode::Regular);
        }
        if !self.blacklist.is_empty() {
            let mut body = "# The host has no card of its own for these drivers.\n".to_owned();
            for module in &self.blacklist {
                push(&mut body, format_args!("blacklist {module}\n"));
            }
            add("etc/modprobe.d/blacklist-gpu.conf", body, Mode::Regular);
        }
        if !self.modules.is_empty() {
            add(
                "etc/modules-load.d/moxc.conf",
                format!("{}\n", self.modules.join("\n")),
                Mode::Regular,
            );
        }
        if !self.options.is_empty() || !self.kept_out.is_empty() {
            let mut body = String::new();
            for line in &self.options {
                push(&mut body, format_args!("{line}\n"));
            }
            for module in &self.kept_out {
                push(&mut body, format_args!("blacklist {module}\n"));
            }
            add("etc/modprobe.d/moxc.conf", body, Mode::Regular);
        }
        if self.arc_max.is_some() || self.arc_min.is_some() {
            let body = format!("# The ZFS cache, in bytes.\n{}", self.zfs());
            add("etc/modprobe.d/zfs.conf", body, Mode::Regular);
        }
        if !self.by_address.is_empty() {
            add(
                "etc/udev/rules.d/10-vfio.rules",
                self.rules(),
                Mode::Regular,
            );
        }
        if !self.parameters.is_empty() {
            add("etc/default/grub.d/moxc.cfg", self.grub(), Mode::Regular);
        }
        if !self.by_address.is_empty() {
            let hook = format!("#!/bin/sh\n# {header}\n{HOOK}");
            tree.add(
                "etc/initramfs-tools/hooks/vfio",
                &hook,
                Mode::Executable,
                span,
            );
        }
        if let (Some(pool), false) = (&self.root_pool, self.parameters.is_empty()) {
            // The one file without a comment: the boot loader is handed all of it (proxmox-boot-tool reads one line).
            let line = format!(
                "root=ZFS={pool}/ROOT/pve-1 boot=zfs {}\n",
                self.parameters.join(" ")
            );
            tree.add("etc/kernel/cmdline", &line, Mode::Regular, span);
        }
    }

    fn zfs(&self) -> String {
        let mut body = String::new();
        for (name, value) in [("zfs_arc_min", self.arc_min), ("zfs_arc_max", self.arc_max)] {
            if let Some(value) = value {
                push(&mut body, format_args!("options zfs {name}={value}\n"));
            }
        }
        body
    }

    fn vfio(&self) -> String {
        let mut body = String::new();
        if !self.ids.is_empty() {
            let ids: Vec<String> = self.ids.iter().map(ToString::to_string).collect();
            let vga = if self.disable_vga {
                " disable_vga=1"
            } else {
                ""
            };
            push(
                &mut body,
                format_args!("options vfio-pci ids={}{vga}\n", ids.join(",")),
            );
        } else if self.disable_vga {
            body.push_str("options vfio-pci disable_vga=1\n");
        }
        for driver in &self.later_drivers {
            push(&mut body, format_args!("softdep {driver} pre: vfio-pci\n"));
        }
        body
    }

    fn rules(&self) -> String {
        let mut body =
            "# These are taken by their address: the host may have others of the same make.\n"
                .to_owned();
        for (address, name) in &self.by_address {
            push(
                &mut body,
                format_args!(
                    "# {name}\nACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"{address}\", ATTR{{driver_override}}=\"vfio-pci\"\n"
                ),
            );
        }
        body
    }

    /// GRUB sources the files of grub.d after its own, as shell.
    fn grub(&self) -> String {
        let mut body = format!(
            "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT {}\"\n",
            self.parameters.join(" ")
        );
        if self.serial {
            body.push_str("GRUB_TERMINAL=\"console serial\"\nGRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200\"\n");
        }
        body
    }
}

/// Takes the rule into the initial RAM disk: the drivers there would be faster otherwise (initramfs-tools(7)).
const HOOK: &str = r#"case "$1" in prereqs) exit 0 ;; esac
. /usr/share/initramfs-tools/hook-functions
copy_file rule /etc/udev/rules.d/10-vfio.rules
manual_add_modules vfio_pci
"#;
