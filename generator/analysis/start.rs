//! What Proxmox VE, QEMU or LXC refuses when a guest starts: every line of its file is right, and it does not run.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, Host, PassedDevice, Passthrough, Vm, VolumeSource};
use crate::pve::{
    PropertyString, PveOption, USB_CONTROLLER, is_modern_system, machine_version, since,
};
use crate::source::Span;
use crate::value::{Bus, CacheMode, Firmware, VmOs};

pub(super) fn check(host: &Host, sink: &mut Sink) {
    // Of a template nothing runs.
    for (_, guest, vm) in host.vms().filter(|(_, guest, _)| !guest.is_template()) {
        let found = [
            thirty_two_bits(vm),
            encrypted_memory(guest, vm),
            without_kvm(guest, vm),
            processors(guest, vm),
            clipboard(vm),
            usb_sockets(guest, vm),
            newer_machine(host, vm),
            state_of_tpm(host, vm),
        ];
        let found = found.into_iter().flatten();
        let of_disks = disks(host, vm);
        let found = found.chain(virtual_iommu(vm)).chain(of_disks);
        for refusal in found
            .chain(legacy_graphics(host, vm))
            .chain(architecture(guest, vm))
        {
            sink.push(refusal.told_of(guest));
        }
    }
    for (_, guest, _) in host.containers() {
        for refusal in names_of_cards(guest) {
            sink.push(refusal.told_of(guest));
        }
    }
}

/// Why a guest does not start.
struct Refusal {
    place: Span,
    /// What is wrong, in a half sentence.
    why: String,
    /// Another place that it hangs on, and what stands there.
    also: Option<(Span, String)>,
    /// The words of Proxmox VE, or of QEMU.
    said: &'static str,
    help: &'static str,
}

impl Refusal {
    fn new(place: Span, why: impl Into<String>, said: &'static str, help: &'static str) -> Self {
        Self {
            place,
            why: why.into(),
            also: None,
            said,
            help,
        }
    }

    fn also(mut self, place: Span, text: impl Into<String>) -> Self {
        self.also = Some((place, text.into()));
        self
    }

    fn told_of(self, guest: &Guest) -> Diagnostic {
        let headline = format!("`{}` cannot start: {}", guest.name.value, self.why);
        let mut told = Diagnostic::new(Code::MOX0661, self.place, headline);
        if let Some((place, text)) = self.also {
            told = told.also(place, text);
        }
        told.note(format!("it is refused: \"{}\"", self.said))
            .help(self.help)
    }
}

/// A part of a property string, by its name or as the one that comes without.
fn part<'a>(properties: &'a PropertyString, name: &str) -> Option<&'a str> {
    properties.get(name).or_else(|| properties.default_value())
}

/// A machine type of a QEMU that the release does not have (`vm_start_nolock`).
fn newer_machine(host: &Host, vm: &Vm) -> Option<Refusal> {
    let newest = host.release.newest_qemu()?;
    let wanted = crate::pve::machine_version(&vm.machine).filter(|wanted| *wanted > newest)?;
    let why = format!(
        "its machine is of QEMU {}.{}, and Proxmox VE {} has {}.{} at most",
        wanted.0, wanted.1, *host.release, newest.0, newest.1
    );
    let said = "Installed QEMU version is too old to run machine type, please upgrade node";
    let help = "name an older machine type, or one without a version: `q35`";
    Some(Refusal::new(vm.machine.span, why, said, help).also(host.release.span, "the release"))
}

/// `swtpm` reads raw bytes alone, so that an older release starts it with no other image.
fn state_of_tpm(host: &Host, vm: &Vm) -> Option<Refusal> {
    let state = vm.tpm_state.as_ref();
    let state = state.filter(|_| *host.release < since::TPM_IN_ANY_IMAGE)?;
    let VolumeSource::Existing { name, .. } = &state.placement.volume else {
        return None;
    };
    let format = [".qcow2", ".vmdk"]
        .into_iter()
        .find(|format| name.value.as_str().ends_with(format))?;
    let why = format!("the state of its TPM is an image of {}", &format[1..]);
    let said = "swtpm currently only supports 'raw' state volumes";
    let help =
        "give it a raw one: `qm disk move VMID tpmstate0 STORE --format raw` while it is off";
    Some(Refusal::new(name.span, why, said, help).also(host.release.span, "the release"))
}

/// LXC gives each card of a container its name in there.
fn names_of_cards(guest: &Guest) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for (at, card) in guest.network.iter().enumerate() {
        let mut before = guest.network[..at].iter();
        if let Some(first) = before.find(|other| *other.interface == *card.interface) {
            let span = if card.interface.is_written() {
                card.interface.span
            } else {
                card.span
            };
            refusals.push(
                Refusal::new(
                    span,
                    format!("two cards are called `{}`", *card.interface),
                    "File exists",
                    "give each card a name of its own",
                )
                .also(first.interface.span, "the first"),
            );
        }
    }
    refusals
}

/// Another architecture than a PC's is played by QEMU, on a machine that has no name of a PC.
fn architecture(guest: &Guest, vm: &Vm) -> Vec<Refusal> {
    let Some(arch) = guest
        .option("arch")
        .filter(|arch| arch.value.as_str() == "aarch64")
    else {
        return Vec::new();
    };
    let mut refusals = Vec::new();
    let mut refuse = |place: Span, why: String, said, help| {
        refusals
            .push(Refusal::new(place, why, said, help).also(arch.value.span, "the architecture"));
    };
    if !vm.machine.contains("virt") {
        refuse(
            vm.machine.span,
            format!(
                "there is no machine `{}` of this architecture",
                vm.machine.split(',').next().unwrap_or_default()
            ),
            "unsupported machine type",
            "write `machine = \"virt\"`",
        );
    }
    let model = vm.cpu_model_name();
    if model.starts_with("x86-64")
        || matches!(model, "kvm64" | "kvm32" | "qemu64" | "qemu32" | "host")
    {
        refuse(
            vm.cpu_model.span,
            format!("`{model}` is a processor of another architecture"),
            "CPU model does not exist for configured vCPU architecture 'aarch64'",
            "name one that QEMU can play: `cpu = { type = \"max\" }`",
        );
    }
    let disk = vm
        .disks
        .iter()
        .find(|disk| *disk.bus == Bus::Ide)
        .map(|disk| disk.bus.span);
    let image = || {
        vm.images
            .iter()
            .find(|image| image.bus == Bus::Ide)
            .map(|image| image.span)
    };
    if let Some(place) = disk.or_else(image) {
        refuse(
            place,
            "it has no IDE".to_owned(),
            "aarch64 cannot use IDE devices",
            "write `bus = \"scsi\"`",
        );
    }
    refusals
}

/// OVMF is for processors of 64 bits (`PVE::QemuServer::CPUConfig::get_cpu_bitness`).
fn thirty_two_bits(vm: &Vm) -> Option<Refusal> {
    const MODELS: [&str; 8] = [
        "486", "athlon", "coreduo", "kvm32", "pentium", "pentium2", "pentium3", "qemu32",
    ];
    let of_32 = *vm.firmware == Firmware::Ovmf && MODELS.contains(&vm.cpu_model_name());
    of_32.then(|| {
        Refusal::new(
            vm.cpu_model.span,
            format!("`{}` is a processor of 32 bits", vm.cpu_model_name()),
            "OVMF (UEFI) BIOS is not supported on 32-bit CPU types",
            "take a processor of 64 bits, or `firmware = \"seabios\"`",
        )
        .also(vm.firmware.span, "which wants 64 bits")
    })
}

/// Memory that the host cannot read is set up by OVMF (`PVE::QemuServer::CPUConfig::get_amd_sev_object`).
fn encrypted_memory(guest: &Guest, vm: &Vm) -> Option<Refusal> {
    if *vm.firmware == Firmware::Ovmf {
        return None;
    }
    let (option, said) = if let Some(option) = guest.option("amd-sev") {
        (
            option,
            "To use AMD SEV, you need to change the BIOS to OVMF.",
        )
    } else {
        (
            guest.option("intel-tdx")?,
            "To use Intel TDX, you need to change the BIOS to OVMF.",
        )
    };
    let why = format!("`{}` without OVMF", option.key.value);
    let help = "add `firmware = \"ovmf\"`, or leave it out";
    let refusal = Refusal::new(option.value.span, why, said, help);
    Some(refusal.also(
        vm.firmware.span,
        format!("the firmware is `{}`", *vm.firmware),
    ))
}

/// `host` hands the host's processor through, which is KVM's to do.
fn without_kvm(guest: &Guest, vm: &Vm) -> Option<Refusal> {
    let kvm = guest.option("kvm")?;
    let handed_through = kvm.value.as_str() == "0" && vm.cpu_model_name() == "host";
    handed_through.then(|| {
        Refusal::new(
            kvm.value.span,
            "the processor `host` without KVM",
            "CPU model 'host' requires KVM or HVF",
            "leave `kvm = false` out, or name a processor that QEMU can play: `cpu = { type = \"max\" }`",
        )
        .also(vm.cpu_model.span, "the processor")
    })
}

/// More processors at the start than the guest can ever have.
fn processors(guest: &Guest, vm: &Vm) -> Option<Refusal> {
    let vcpus = guest.option("vcpus")?;
    let most = u64::from(*vm.cores) * u64::from((*vm.sockets).max(1));
    let started: u64 = vcpus.value.parse().ok()?;
    (started > most && !vm.cores.is_missing()).then(|| {
        Refusal::new(
            vcpus.value.span,
            format!("{started} processors at the start, and {most} in all"),
            "Invalid CPU topology: maxcpus must be equal to or greater than smp",
            "`vcpus` is how many of `cores` times `sockets` there are at the start; give the guest more cores, or lower it",
        )
        .also(vm.cores.span, "the cores")
    })
}

/// A clipboard by VNC wants a display (`PVE::QemuServer::assert_clipboard_config`).
fn clipboard(vm: &Vm) -> Option<Refusal> {
    const DISPLAYS: [&str; 5] = ["std", "cirrus", "vmware", "virtio", "qxl"];
    let display = vm.display.as_ref()?;
    let properties = PropertyString::parse(display.as_str()).ok()?;
    let kind = part(&properties, "type")?;
    let refused = properties.get("clipboard") == Some("vnc")
        && !DISPLAYS.iter().any(|known| kind.starts_with(known));
    refused.then(|| {
        Refusal::new(
            display.span,
            format!("a clipboard on the display `{kind}`"),
            "vga type is not compatible with VNC clipboard",
            "leave `clipboard` out, or take a display: `std`, `virtio`, `qxl`",
        )
    })
}

/// The first five sockets are those of an old controller (`PVE::QemuServer::USB::assert_usb_index_is_useable`).
const OLD_SOCKETS: u32 = 5;

/// The system that Proxmox VE is told of, where an option says another one than `os`.
fn is_of_today(guest: &Guest, vm: &Vm) -> bool {
    match guest.option("ostype") {
        Some(kind) => is_modern_system(&kind.value),
        None => *vm.os != VmOs::Other,
    }
}

fn usb_sockets(guest: &Guest, vm: &Vm) -> Option<Refusal> {
    let socket = vm.usb.iter().find(|usb| usb.slot >= OLD_SOCKETS)?;
    let said = "using usb5 is only possible with machine type >= 7.1 and ostype l26 or windows > 7";
    let why = format!("`usb{}` is beyond the first {OLD_SOCKETS}", socket.slot);
    if !is_of_today(guest, vm) && !vm.os.is_missing() {
        let at = guest.option("ostype");
        let at = at.map_or(vm.os.span, |option| option.value.span);
        let help = "a system of another kind has `usb0` to `usb4`; give it a hub, or say what it is with `os`";
        return Some(Refusal::new(socket.span, why, said, help).also(at, "the system"));
    }
    let old = machine_version(&vm.machine).is_some_and(|version| version < USB_CONTROLLER);
    old.then(|| {
        let help = "take a machine type from 7.1 on, or the sockets `usb0` to `usb4`";
        Refusal::new(socket.span, why, said, help).also(vm.machine.span, "the machine type")
    })
}

/// An IOMMU of the guest's own (`PVE::QemuServer::Machine::assert_valid_machine_property`).
fn virtual_iommu(vm: &Vm) -> Option<Refusal> {
    let properties = PropertyString::parse(vm.machine.as_str()).ok()?;
    let iommu = properties.get("viommu");
    let bits = properties.get("aw-bits");
    if iommu == Some("intel") && !vm.machine.contains("q35") {
        return Some(Refusal::new(
            vm.machine.span,
            "Intel's IOMMU in a machine that is not `q35`",
            "to use Intel vIOMMU please set the machine type to q35",
            "use `q35`, or `viommu=virtio`",
        ));
    }
    match (iommu, bits) {
        (None, Some(_)) => Some(Refusal::new(
            vm.machine.span,
            "`aw-bits` without `viommu`",
            "cannot set aw-bits if no vIOMMU is configured",
            "add `viommu=intel`, or leave `aw-bits` out",
        )),
        (Some("intel"), Some(bits)) if !matches!(bits, "39" | "48") => Some(Refusal::new(
            vm.machine.span,
            format!("Intel's IOMMU has no addresses of {bits} bits"),
            "Intel vIOMMU supports only 39 or 48 bits as address width",
            "write `aw-bits=39` or `aw-bits=48`",
        )),
        _ => None,
    }
}

fn disks(host: &Host, vm: &Vm) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for disk in &vm.disks {
        let of = |key| PveOption::find(&disk.more, key);
        let cached = disk.cache.filter(|cache| match cache.value {
            CacheMode::Writethrough | CacheMode::Writeback | CacheMode::Unsafe => true,
            CacheMode::None | CacheMode::Directsync => false,
        });
        let native = of("aio").filter(|aio| aio.value.as_str() == "native");
        if let (Some(cache), Some(aio)) = (cached, native) {
            refusals.push(
                Refusal::new(
                    aio.value.span,
                    format!("`aio = \"native\"` of `{}` through a cache", disk.key()),
                    "aio=native was specified, but it requires cache.direct=on, which was not specified.",
                    "leave `aio` out: Proxmox VE takes what fits; or write `cache = \"none\"`",
                )
                .also(cache.span, "the host's page cache is in between"),
            );
        }
        // What a new volume is made as is held against its store where it is read.
        let existing = disk
            .placement()
            .and_then(|placement| match &placement.volume {
                VolumeSource::Existing { name, .. } => Some((placement, name)),
                VolumeSource::New { .. } => None,
            });
        if let (Some((placement, name)), Some(format)) = (existing, of("format")) {
            let store = host.storage.store(placement.store.value);
            let has = |wanted: &str| match store.formats() {
                [] => wanted == "raw",
                formats => formats.iter().any(|own| own.as_str() == wanted),
            };
            if !has(format.value.as_str()) {
                refusals.push(
                    Refusal::new(
                        format.value.span,
                        format!(
                            "`{}` is no image of `{}`",
                            name.value,
                            format.value.as_str()
                        ),
                        "'format' option different from storage format",
                        "leave `format` out: the store knows what its volumes are",
                    )
                    .also(placement.store.span, "its store has none of the kind"),
                );
            }
        }
    }
    refusals
}

/// Graphics of Intel as the guest's first card (`PVE::QemuServer::PCI::parse_hostpci_devices`).
fn legacy_graphics(host: &Host, vm: &Vm) -> Vec<Refusal> {
    let is_on = |entry: &Passthrough| {
        PveOption::find(&entry.more, "legacy-igd").is_some_and(|on| on.value.as_str() == "1")
    };
    let entries: Vec<&Passthrough> = vm.passthrough.iter().filter(|entry| is_on(entry)).collect();
    let Some(entry) = entries.first() else {
        return Vec::new();
    };
    let mut refusals = Vec::new();
    let mut refuse = |also: Option<(Span, &str)>, why: &str, said, help| {
        let refusal = Refusal::new(entry.span, format!("`legacy-igd` {why}"), said, help);
        refusals.push(match also {
            Some((place, text)) => refusal.also(place, text),
            None => refusal,
        });
    };
    if let Some(second) = entries.get(1) {
        refuse(
            Some((second.span, "the second")),
            "of two devices",
            "only one device can be assigned in legacy-igd mode",
            "leave it out of one of them",
        );
    }
    if vm
        .display
        .as_ref()
        .is_none_or(|display| display.as_str() != "none")
    {
        refuse(
            vm.display
                .as_ref()
                .map(|display| (display.span, "the display")),
            "beside a display of QEMU's",
            "legacy IGD assignment requires VGA mode to be 'none'",
            "write `display = \"none\"`",
        );
    }
    if vm.machine.contains("q35") {
        refuse(
            Some((vm.machine.span, "the machine type")),
            "in a machine of the type `q35`",
            "legacy IGD assignment is not compatible with q35",
            "write `machine = \"i440fx\"`, or leave `legacy-igd` out",
        );
    }
    if PveOption::find(&entry.more, "rombar").is_some_and(|on| on.value.as_str() == "0") {
        refuse(
            None,
            "without the card's ROM",
            "legacy IGD assignment requires rombar to be enabled",
            "leave `rombar = false` out",
        );
    }
    if let Some(primary) = entry.x_vga.filter(|x_vga| x_vga.value) {
        refuse(
            Some((primary.span, "here")),
            "with `x-vga`",
            "legacy IGD assignment is not compatible with x-vga",
            "leave `x-vga` out",
        );
    }
    if entry.is_mediated() {
        refuse(
            None,
            "of a part of the card",
            "legacy IGD assignment is not compatible with mdev",
            "leave `mdev` out, or `legacy-igd`",
        );
    }
    // The first graphics of Intel's processors sit there.
    let is_first = match &entry.device {
        PassedDevice::Known(id) => {
            let row = &host.hardware.pci[id.value];
            row.address.is_missing()
                || (row.address.device_path().ends_with(":02") && row.address.function == 0)
        }
        PassedDevice::Raw { mapping, name, .. } => *mapping || name.value.ends_with("02.0"),
    };
    if !is_first {
        refuse(
            None,
            "of another card than 00:02.0",
            "legacy IGD assignment only works for devices on host bus 00:02.0",
            "leave it out: it is of the graphics in Intel's processors",
        );
    }
    refusals
}
