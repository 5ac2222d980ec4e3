use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Arena, Cpu, Disk, Hardware, Memory, Nic, PciDevice, Setting, UsbDevice};
use crate::source::Spanned;
use crate::spec::HostFile;
use crate::spec::hardware::{CpuSpec, HardwareSpec, PciSpec};
use crate::spec::reader::Int;
use crate::value::{ByteSize, DiskKind, InterfaceName, PciClass, SpecString};

use super::{Index, list};

pub(super) fn resolve(file: &HostFile, index: &Index<'_>, sink: &mut Sink) -> Hardware {
    let links = links(file, sink);
    let Some(spec) = &file.hardware else {
        return Hardware {
            nics: Arena::new(links),
            ..Hardware::default()
        };
    };
    let disks = disks(spec, index, sink);
    let nics = spec
        .nics
        .iter()
        .flat_map(|table| &table.rows)
        .filter_map(|row| {
            let body = row.body()?;
            Some(Nic {
                name: row.key.clone(),
                interface: Setting::or_missing(
                    body.interface.clone(),
                    "eth0".parse().expect("an interface"),
                    body.span,
                ),
                mac: body.mac,
                model: body.model.clone(),
                speed: body.speed,
                pci: body.pci.as_ref().and_then(|pci| index.pci.find(pci, sink)),
                is_link: false,
            })
        });
    let nics = Arena::new(nics.chain(links).collect());
    Hardware {
        cpu: spec.cpu.as_ref().map(|cpu| self::cpu(&cpu.value)),
        memory: spec.memory.as_ref().map(|memory| Memory {
            size: Setting::or_missing(memory.size, ByteSize::default(), memory.value.span),
            kind: memory.kind.clone(),
            ecc: memory.ecc,
        }),
        disks: Arena::new(disks),
        nics,
        pci: Arena::new(pci(spec, sink)),
        usb: Arena::new(usb(spec, sink)),
    }
}

fn disks(spec: &HardwareSpec, index: &Index<'_>, sink: &mut Sink) -> Vec<Disk> {
    let disks = spec
        .disks
        .iter()
        .flat_map(|table| &table.rows)
        .filter_map(|row| {
            let body = row.body()?;
            if let Some(sector) = body.sector.filter(|s| !s.get().is_power_of_two()) {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0013,
                        sector.span,
                        format!("no disk has sectors of {} bytes", sector.value.0),
                    )
                    .help("it is a power of two: 512 or 4096"),
                );
            }
            Some(Disk {
                name: row.key.clone(),
                kind: Setting::or_missing(
                    body.kind.map(|k| k.map(|k| k.0)),
                    DiskKind::Ssd,
                    body.span,
                ),
                size: Setting::or_missing(body.size, ByteSize::default(), body.span),
                device: Setting::or_missing(
                    body.device.clone(),
                    "/dev/null".parse().expect("a device"),
                    body.span,
                ),
                partition: body.partition.map(|p| p.map(Int::get)),
                model: body.model.clone(),
                serial: body.serial.clone(),
                sector: body.sector.map(|s| s.map(Int::get)),
                controller: body
                    .controller
                    .as_ref()
                    .and_then(|controller| index.pci.find(controller, sink)),
            })
        });
    disks.collect()
}

fn pci(spec: &HardwareSpec, sink: &mut Sink) -> Vec<PciDevice> {
    let pci = spec
        .pci
        .iter()
        .flat_map(|table| &table.rows)
        .filter_map(|row| {
            let body = row.body()?;
            let nowhere = "00:00.0".parse().expect("a PCI address");
            Some(PciDevice {
                name: row.key.clone(),
                address: Setting::or_missing(
                    body.address.map(|place| place.map(|place| place.address)),
                    nowhere,
                    body.span,
                ),
                all_functions: body.address.is_some_and(|place| place.all_functions),
                id: body.id,
                mapping: mapping(body, sink),
                subsystem: body.subsystem,
                class: super::choice(body.class, PciClass::Other, body.span),
                model: body.model.clone(),
                iommu_group: body.iommu_group.map(|g| g.map(Int::get)),
                group_members: list(body.group_members.as_ref()),
                schema: body.schema.to_vec(),
            })
        });
    pci.collect()
}

/// Interfaces that are no cards stand behind the cards: bridges, bonds and addresses take both.
fn links(file: &HostFile, sink: &mut Sink) -> Vec<Nic> {
    let table = file.network.iter().flat_map(|network| &network.links);
    let mut links = Vec::new();
    for row in table.flat_map(|table| &table.rows) {
        let Some(body) = row.body() else { continue };
        let interface = body.interface.clone().or_else(|| {
            let name = InterfaceName::parse(&row.key.value)
                .map_err(|error| {
                    sink.push(
                        Diagnostic::new(Code::MOX0012, row.key.span, error.message)
                            .label("the kernel's name, too")
                            .help("say the kernel's name: `interface = \"wg0\"`"),
                    );
                })
                .ok()?;
            Some(Spanned::new(name, row.key.span))
        });
        links.push(Nic {
            name: row.key.clone(),
            interface: Setting::or_missing(
                interface,
                "eth0".parse().expect("an interface"),
                body.span,
            ),
            mac: None,
            model: None,
            speed: None,
            pci: None,
            is_link: true,
        });
    }
    links
}

/// Whether the spec says that a function becomes a mapping; one that does not has no options of a mapping either.
fn mapping(body: &PciSpec, sink: &mut Sink) -> Option<Spanned<bool>> {
    let mapping = body.mapping?;
    if mapping.value {
        return Some(mapping);
    }
    for option in body.schema.iter() {
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                option.key.span,
                format!(
                    "`{}` is an option of a mapping, and this is none",
                    option.key.value
                ),
            )
            .also(mapping.span, "no mapping is made")
            .help("leave out one of the two"),
        );
    }
    Some(mapping)
}

/// A USB device is known by its make, its socket, or both.
fn usb(spec: &HardwareSpec, sink: &mut Sink) -> Vec<UsbDevice> {
    let mut devices = Vec::new();
    for row in spec.usb.iter().flat_map(|table| &table.rows) {
        let Some(body) = row.body() else { continue };
        if body.id.is_none() && body.port.is_none() && body.misread.is_empty() {
            sink.push(
                Diagnostic::new(Code::MOX0004, body.span, "the key `id` is missing")
                    .label("in this table")
                    .help(
                        "say its `id`, which `lsusb` prints, or the `port` that it is plugged into",
                    ),
            );
        }
        devices.push(UsbDevice {
            name: row.key.clone(),
            id: body.id,
            mapping: body.mapping,
            port: body.port.clone(),
            model: body.model.clone(),
            serial: body.serial.clone(),
        });
    }
    devices
}

fn cpu(spec: &CpuSpec) -> Cpu {
    let cores = spec.cores.map(|c| c.map(Int::get));
    let threads = spec.threads.map(|t| t.map(Int::get));
    Cpu {
        span: spec.span,
        model: spec.model.clone(),
        vendor: spec.vendor.map(|v| v.map(|v| v.0)),
        cores,
        threads: threads
            .map(|t| Setting::written(t.value, t.span))
            .or_else(|| cores.map(|c| Setting::default(c.value, c.span))),
        sockets: Setting::or_default(spec.sockets.map(|s| s.map(Int::get)), 1, spec.span),
    }
}
