//! Virtual machines.

use crate::diagnostics::{Code, Diagnostic};
use crate::model::{CloudInit, Guest, GuestKind, GuestNic, Image, Setting, Vm, VmDisk};
use crate::pve::{ConfigFile, PveOption};
use crate::resolve::devices::{self, Bootable, ImageRow, Wanted};
use crate::resolve::raw::RawVm;
use crate::resolve::{choice, list, unset};
use crate::source::{Span, Spanned};
use crate::spec::guest::VmSpec;
use crate::spec::reader::{Int, ShortOrLong};
use crate::value::{Balloon, Bus, ByteSize, CpuSet, Firmware, HugePages, Line, VmOs};

use super::{Resolver, autostart, option, place, vmid};

/// What the spec says of memory, as a size with its companions beside it or as one table.
struct Memory {
    size: Setting<ByteSize>,
    balloon: Option<Spanned<Balloon>>,
    hugepages: Option<Spanned<HugePages>>,
    numa: Setting<bool>,
}

struct Processor {
    cores: Setting<u32>,
    sockets: Setting<u32>,
    model: Setting<String>,
    affinity: Option<Spanned<CpuSet>>,
}

/// What is plugged into its buses.
struct Drives {
    disks: Vec<VmDisk>,
    images: Vec<Image>,
    cloud_init: Option<CloudInit>,
}

impl Resolver<'_> {
    pub(super) fn vm(&mut self, name: &Spanned<String>, raw: &RawVm<'_>) -> Guest {
        let body = &*raw.body;
        let vmid = vmid(body.vmid, body.span);
        let cpu = body.cpu.as_ref().map(|cpu| &cpu.value);
        let memory = self.memory(body);
        let network = self.network(body.network.as_ref(), &raw.cards, &raw.options, *vmid);
        let vm = self.machine(raw, &network, &memory);
        let named = body.network.as_ref().map_or(0, |nics| nics.value.len()) + raw.cards.len();
        let firewall = self.firewall(body.firewall.as_ref(), &network, named);
        let nixos = self.nixos(
            body.nixos.as_ref(),
            matches!(*vm.os, VmOs::Nixos),
            (!vm.os.is_missing()).then_some(vm.os.span),
            name,
            body.span,
        );
        let options = options(body, &raw.options);
        let said = (&words(body)[..], &options[..]);
        let unset = unset(body.unset.as_ref(), said, ConfigFile::Qm, self.sink);
        let memory = memory.size;
        let kind = GuestKind::Vm(Box::new(vm));
        guest!(self, name, body, cpu; vmid, memory, unset, options, network, firewall, kind, nixos)
    }

    /// The machine itself. The Windows guide's settings are the defaults of a Windows guest: UEFI, q35, the host's processor.
    fn machine(&mut self, raw: &RawVm<'_>, network: &[GuestNic], memory: &Memory) -> Vm {
        let body = &*raw.body;
        let os = Setting::or_missing(body.os.map(|os| os.map(|os| os.0)), VmOs::Other, body.span);
        let windows = os.is_windows();
        let usual = if windows {
            Firmware::Ovmf
        } else {
            Firmware::Seabios
        };
        let firmware = choice(body.firmware, usual, body.span);
        let secure_boot = windows && *firmware == Firmware::Ovmf;
        let secure_boot = Setting::or_default(body.secure_boot, secure_boot, body.span);
        let scsi_controller = text_or(
            body.scsi_controller.as_ref(),
            Vm::SINGLE_CONTROLLER,
            body.span,
        );
        let drives = self.drives(raw, &scsi_controller);
        let passthrough = self.passthrough(raw);
        let usb = self.usb(raw);
        let boot = body.boot.as_ref().map(|written| {
            let bootable = Bootable {
                disks: &drives.disks,
                images: &drives.images,
                network,
                passthrough: &passthrough,
                usb: &usb,
                cloud_init: drives.cloud_init.as_ref(),
                raw: &raw.options,
            };
            bootable.order(written, self.sink)
        });
        let mut placements = drives.disks.iter().filter_map(VmDisk::placement);
        let beside = placements.next().map(|placement| placement.store);
        let (tpm, tpm_state) = self.tpm(body, has_tpm(*os), beside);
        let (agent, agent_more) = agent(body, raw);
        let processor = processor(body, windows);
        let shares = body.shares.iter().flat_map(|shares| &shares.value);
        let starts_from = ["installed", "disks", "iso", "boot", "passthrough", "extra"];
        let starts_unknown = starts_from.iter().any(|key| body.misread.contains(key));
        Vm {
            cores: processor.cores,
            sockets: processor.sockets,
            cpu_model: processor.model,
            affinity: processor.affinity,
            balloon: memory.balloon,
            hugepages: memory.hugepages,
            numa: memory.numa,
            machine: text_or(body.machine.as_ref(), "q35", body.span),
            efi: self.efi(body, &firmware, &secure_boot, beside),
            tpm,
            tpm_state,
            secure_boot,
            firmware,
            agent,
            agent_more,
            display: body.display.clone(),
            disks: drives.disks,
            images: drives.images,
            cloud_init: drives.cloud_init,
            boot,
            scsi_controller,
            serial: self.serial(raw),
            passthrough,
            usb,
            installed: if starts_unknown {
                Setting::or_missing(body.installed, true, body.span)
            } else {
                Setting::or_default(body.installed, false, body.span)
            },
            shares: shares
                .filter_map(|share| self.share(&share.value))
                .collect(),
            // A system that was misread may be any.
            windows: self.windows(body, windows, (!os.is_missing()).then_some(os.span)),
            os,
        }
    }

    fn drives(&mut self, raw: &RawVm<'_>, controller: &Setting<String>) -> Drives {
        let body = &*raw.body;
        let mut disks: Vec<VmDisk> = Vec::new();
        let mut wanted: Vec<Wanted> = Vec::new();
        for row in body.disks.iter().flat_map(|table| &table.rows) {
            let Some(spec) = row.body() else { continue };
            if let Some(disk) = self.vm_disk(&row.key, spec, controller) {
                let bus = *disk.bus;
                let by_name = || devices::named(&disk.name, &bus.to_string(), ConfigFile::Qm);
                wanted.push(Wanted {
                    span: disk.name.span,
                    bus: Some(bus),
                    slot: devices::slot(spec.slot).or_else(by_name),
                });
                disks.push(disk);
            }
        }
        for (key, row) in &raw.disks {
            if let Some(mut disk) = self.vm_disk(key, &row.spec, controller) {
                wanted.push(Wanted {
                    span: disk.name.span,
                    bus: Some(*disk.bus),
                    slot: Some(row.slot),
                });
                disk.more.clone_from(&row.more);
                disks.push(disk);
            }
        }
        disks.shrink_to_fit(); // most guests have one, and a list is made with room for four
        wanted.extend(raw.drives.iter().map(|(span, bus, slot)| Wanted {
            span: *span,
            bus: Some(*bus),
            slot: Some(*slot),
        }));
        let entries = body.iso.iter().flat_map(|iso| &iso.value.0);
        let mut images: Vec<ImageRow> = entries
            .filter_map(|entry| devices::image(entry, self.sink))
            .collect();
        images.extend(raw.images.iter().map(|image| ImageRow {
            span: image.span,
            bus: Some(image.bus),
            slot: Some(image.slot),
            image: image.image.clone(),
            more: image.more.clone(),
        }));
        let mut wanted_images: Vec<Wanted> = images.iter().map(ImageRow::wanted).collect();
        let cloud_init = self.cloud_init(raw, &disks);
        wanted_images.extend(cloud_init.iter().map(|(wanted, _)| *wanted));
        let (places, image_places) = devices::plug(&wanted, &wanted_images, self.sink);
        for (disk, (_, slot)) in disks.iter_mut().zip(places) {
            disk.slot = slot;
        }
        let cloud_init = cloud_init.map(|(_, drive)| {
            let (bus, slot) = image_places.last().copied().unwrap_or((Bus::Ide, 2));
            CloudInit { bus, slot, ..drive }
        });
        let images = images.into_iter().zip(image_places);
        Drives {
            disks,
            images: images.map(|(image, place)| image.plugged(place)).collect(),
            cloud_init,
        }
    }

    fn memory(&mut self, body: &VmSpec) -> Memory {
        let table = body.memory.as_ref().and_then(|memory| match &memory.value {
            ShortOrLong::Short(_) => None,
            ShortOrLong::Long(table) => Some(table),
        });
        let size = body.memory.as_ref().and_then(|memory| match &memory.value {
            ShortOrLong::Short(size) => Some(Spanned::new(*size, memory.span)),
            ShortOrLong::Long(table) => table.size,
        });
        if let Some(table) = table {
            let twice = [
                ("balloon", body.balloon.as_ref().map(|b| b.span)),
                ("hugepages", body.hugepages.map(|h| h.span)),
                ("numa", body.numa.map(|n| n.span)),
            ];
            for (key, span) in twice {
                if let Some(span) = span {
                    self.sink.push(
                        Diagnostic::new(
                            Code::MOX0016,
                            span,
                            format!("`{key}` beside a `memory` table"),
                        )
                        .also(table.span, "the table")
                        .help(format!(
                            "write it inside: `memory = {{ size = …, {key} = … }}`"
                        )),
                    );
                }
            }
        }
        let hugepages = table.and_then(|t| t.hugepages).or(body.hugepages);
        let known = [
            HugePages::Any,
            HugePages::Of(ByteSize::mib(2)),
            HugePages::Of(ByteSize::gib(1)),
        ];
        if let Some(pages) = hugepages.filter(|pages| !known.contains(&pages.value)) {
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0013,
                    pages.span,
                    format!("there are no huge pages of {}", pages.value),
                )
                .help("x86-64 has huge pages of `\"2 MiB\"` and `\"1 GiB\"`"),
            );
        }
        Memory {
            size: Setting::or_missing(size, ByteSize::gib(1), body.span),
            balloon: table.and_then(|t| t.balloon).or(body.balloon),
            hugepages,
            numa: Setting::or_default(table.and_then(|t| t.numa).or(body.numa), false, body.span),
        }
    }
}

fn processor(body: &VmSpec, windows: bool) -> Processor {
    let span = body.cpu.as_ref().map_or(body.span, |cpu| cpu.value.span);
    let cpu = body.cpu.as_ref().map(|cpu| &cpu.value);
    let cores = cpu.and_then(|cpu| cpu.cores.map(|cores| cores.map(Int::get)));
    let sockets = cpu.and_then(|cpu| cpu.sockets.map(|sockets| sockets.map(Int::get)));
    let affinity = cpu.and_then(|cpu| cpu.affinity.as_ref());
    let model = if windows { "host" } else { "x86-64-v2-AES" };
    Processor {
        // Windows 11 refuses one core, and every Windows is slow with it.
        cores: Setting::or_default(cores, if windows { 2 } else { 1 }, span),
        sockets: Setting::or_default(sockets, 1, span),
        model: text_or(cpu.and_then(|cpu| cpu.model.as_ref()), model, span),
        affinity: affinity.map(|affinity| Spanned::new(affinity.value.0.clone(), affinity.span)),
    }
}

/// A line as written, or what holds where it is left out.
fn text_or(written: Option<&Spanned<Line>>, default: &str, span: Span) -> Setting<String> {
    let written = written.map(|line| Spanned::new(line.value.as_str().to_owned(), line.span));
    Setting::or_default(written, default.to_owned(), span)
}

/// Whether a system wants a TPM.
fn has_tpm(os: VmOs) -> bool {
    match os {
        VmOs::Windows11 | VmOs::WindowsServer2025 => true,
        VmOs::Windows10 | VmOs::WindowsServer2022 | VmOs::Nixos | VmOs::Linux | VmOs::Other => {
            false
        }
    }
}

/// Whether the agent runs, and how it is used.
fn agent(body: &VmSpec, raw: &RawVm<'_>) -> (Setting<bool>, Vec<PveOption>) {
    let (enabled, more) = match body.agent.as_ref().map(|agent| (&agent.value, agent.span)) {
        None => (None, Vec::new()),
        Some((ShortOrLong::Short(on), span)) => (Some(Spanned::new(*on, span)), raw.agent.clone()),
        Some((ShortOrLong::Long(spec), span)) => {
            let enabled = spec.enabled.unwrap_or(Spanned::new(true, span));
            (Some(enabled), spec.schema.to_vec())
        }
    };
    (Setting::or_default(enabled, true, body.span), more)
}

/// The options that keys of the table stand for, and where these are.
fn words(body: &VmSpec) -> [(&'static str, Option<Span>); 11] {
    [
        ("description", place(body.description.as_ref())),
        ("tags", place(body.tags.as_ref())),
        ("onboot", place(body.autostart.as_ref())),
        ("protection", place(body.protection.as_ref())),
        ("name", place(body.name.as_ref())),
        ("machine", place(body.machine.as_ref())),
        ("bios", place(body.firmware.as_ref())),
        ("agent", place(body.agent.as_ref())),
        ("vga", place(body.display.as_ref())),
        ("boot", place(body.boot.as_ref())),
        ("scsihw", place(body.scsi_controller.as_ref())),
    ]
}

/// What a virtual machine has options for under another name.
fn options(body: &VmSpec, options: &[PveOption]) -> Vec<PveOption> {
    let shares = body.memory.as_ref().and_then(|memory| match &memory.value {
        ShortOrLong::Short(_) => None,
        ShortOrLong::Long(table) => table.shares,
    });
    let shares = shares.map(|shares| option("shares", shares.value.0.to_string(), shares.span));
    shares.into_iter().chain(options.iter().cloned()).collect()
}
