//! What the kernel is told when it starts: devices for guests, the ZFS cache, huge pages, the serial console.
//!
//! Rules of others: qm-pci-passthrough.adoc, pve-admin-guide "Limit ZFS Memory Usage", modprobe.d(5),
//! kernel-parameters.txt, facts of `/sys/bus/pci` (`driver_override`).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::HugePages;
use crate::model::{Host, Id, ModuleOptions, PciDevice};
use crate::source::Spanned;
use crate::value::{CpuVendor, ModuleName, PciClass, PciId};

/// What the kernel is told.
#[derive(Debug, Clone, Default)]
pub struct Kernel {
    /// Devices that vfio-pci takes by their id.
    pub ids: Vec<PciId>,
    /// Devices that vfio-pci takes by their address, with the name in the spec: the host needs another of the same id.
    pub by_address: Vec<(String, String)>,
    /// Drivers that must not take a device before vfio-pci does.
    pub later_drivers: BTreeSet<&'static str>,
    /// Drivers that the host has no device for.
    pub blacklist: BTreeSet<&'static str>,
    /// Whether vfio-pci keeps cards from being the console.
    pub disable_vga: bool,
    /// The most that the ZFS cache takes, in bytes.
    pub arc_max: Option<u64>,
    /// The least that it keeps, in bytes.
    pub arc_min: Option<u64>,
    /// Parameters of the kernel.
    pub parameters: Vec<String>,
    /// What the spec says of modules.
    pub modules: Vec<String>,
    /// Lines of modprobe.d(5) that the spec says.
    pub options: Vec<String>,
    /// Modules that the spec keeps out.
    pub kept_out: Vec<String>,
    /// Whether a guest gets a device, or a part of one that stays with the host's driver.
    pub passes: bool,
    /// Whether the console is a serial one, too.
    pub serial: bool,
    /// The ZFS pool that the host starts from.
    pub root_pool: Option<String>,
}

/// Speed and name of the serial console of a headless host.
const SERIAL: &str = "ttyS0,115200n8";

/// The modules that hand devices to guests.
const VFIO: &[&str] = &["vfio", "vfio_iommu_type1", "vfio_pci"];

/// What the kernel of a host is told.
pub(super) fn of(host: &Host, pages: &[HugePages]) -> Kernel {
    let names = |modules: &[Spanned<ModuleName>]| -> Vec<String> {
        modules
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect()
    };
    let passes = host
        .vms()
        .flat_map(|(_, _, vm)| &vm.passthrough)
        .any(|entry| !entry.rows().is_empty());
    let mut boot = Kernel {
        passes,
        serial: *host.headless,
        root_pool: host
            .storage
            .boot_pool()
            .map(|(_, pool)| pool.name.value.clone()),
        arc_max: host.storage.arc_max.map(|size| size.as_bytes()),
        arc_min: host.storage.arc_min.map(|size| size.as_bytes()),
        parameters: command_line(host, pages, passes),
        modules: names(&host.boot.modules),
        kept_out: names(&host.boot.blacklist),
        options: host.boot.module_options.iter().map(options_line).collect(),
        ..Kernel::default()
    };
    hand_over(host, &mut boot);
    boot
}

/// What keeps the host's drivers from the devices of guests.
fn hand_over(host: &Host, boot: &mut Kernel) {
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
}

/// The words of the kernel's command line.
fn command_line(host: &Host, pages: &[HugePages], passes: bool) -> Vec<String> {
    // A part of a card stays with the host's driver, and reaches memory as the whole would.
    let mut words = parameters(host, passes);
    let own_pages = pages
        .iter()
        .filter(|pages| pages.said.is_none())
        .flat_map(|pages| {
            [
                format!("hugepagesz={}", pages.word()),
                format!("hugepages={}", pages.count),
            ]
        });
    // A number of pages belongs to the size before it, or to the usual one: pairs stay together, and follow what the spec says.
    let is_of_pages = |word: &str| word.starts_with("hugepages");
    let said = &host.boot.kernel_params;
    let says_pages = said.iter().any(|word| is_of_pages(word.as_str()));
    if !says_pages {
        words.extend(own_pages.clone());
    }
    words.extend(console(host));
    // The kernel takes the last of two that contradict each other: the spec's own words.
    for word in said {
        let word = word.as_str().to_owned();
        words.retain(|known| *known != word || is_of_pages(known));
        words.push(word);
    }
    if says_pages {
        words.extend(own_pages);
    }
    words
}

/// The line of modprobe.d(5) with the options of a module.
fn options_line(of: &ModuleOptions) -> String {
    let mut line = format!("options {}", of.module.as_str());
    for (name, value) in &of.options {
        write!(line, " {}={}", name.value, value.value).expect("a string takes all text");
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

fn parameters(host: &Host, passes_devices: bool) -> Vec<String> {
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
    parameters
}

/// The consoles of a headless host.
fn console(host: &Host) -> Vec<String> {
    if *host.headless {
        vec!["console=tty0".to_owned(), format!("console={SERIAL}")]
    } else {
        Vec::new()
    }
}

impl Kernel {
    /// Modules that are loaded early, so that no driver of the host takes a device first.
    pub fn modules(&self) -> &'static [&'static str] {
        if self.ids.is_empty() && self.by_address.is_empty() {
            &[]
        } else {
            VFIO
        }
    }

    /// The lines of modprobe.d(5), without blacklists.
    pub fn modprobe(&self) -> String {
        let mut body = self.vfio() + &self.zfs();
        for line in &self.options {
            writeln!(body, "{line}").expect("a string takes all text");
        }
        body
    }

    /// Modules that the spec wants at boot.
    pub fn wanted_modules(&self) -> &[String] {
        &self.modules
    }

    /// Modules that are never loaded by themselves.
    pub fn blacklist(&self) -> impl Iterator<Item = &str> {
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
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// Rules of udev(7) for devices that are taken by their address; empty where there are none.
    pub fn udev_rules(&self) -> String {
        if self.by_address.is_empty() {
            String::new()
        } else {
            self.rules()
        }
    }

    /// The lines of modprobe.d(5) for the ZFS cache; empty where the spec leaves it alone.
    pub fn zfs(&self) -> String {
        let mut body = String::new();
        for (name, value) in [("zfs_arc_min", self.arc_min), ("zfs_arc_max", self.arc_max)] {
            if let Some(value) = value {
                writeln!(body, "options zfs {name}={value}").expect("a string takes all text");
            }
        }
        body
    }

    /// The lines of modprobe.d(5) for devices of guests.
    pub fn vfio(&self) -> String {
        let mut body = String::new();
        if !self.ids.is_empty() {
            let ids: Vec<String> = self.ids.iter().map(ToString::to_string).collect();
            let vga = if self.disable_vga {
                " disable_vga=1"
            } else {
                ""
            };
            writeln!(body, "options vfio-pci ids={}{vga}", ids.join(","))
                .expect("a string takes all text");
        } else if self.disable_vga {
            body.push_str("options vfio-pci disable_vga=1\n");
        }
        for driver in &self.later_drivers {
            writeln!(body, "softdep {driver} pre: vfio-pci").expect("a string takes all text");
        }
        body
    }

    /// The rules of udev(7), with their reason.
    pub fn rules(&self) -> String {
        let mut body =
            "# These are taken by their address: the host may have others of the same make.\n"
                .to_owned();
        for (address, name) in &self.by_address {
            write!(body, "# {name}\nACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"{address}\", ATTR{{driver_override}}=\"vfio-pci\"\n").expect("a string takes all text");
        }
        body
    }
}
