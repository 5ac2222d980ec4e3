use std::collections::{BTreeMap, HashSet};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::guest::RustProject;
use crate::model::{
    Arena, Autostart, CloudInit, CloudInitStated, Container, ContainerDevice, ContainerMount, Disk,
    DiskSource, EfiDisk, Guest, GuestKind, GuestNic, GuestUsb, Host, Id, Image, MountSource,
    NixosGuest, NixosScript, NixosUser, Passthrough, Placement, RustSetup, Setting, Share, Steam,
    StoreRef, TpmState, Vm, VmDisk, VolumeSource, WindowsGuest,
};
use crate::pve::{ConfigFile, PveOption, Release};
use crate::source::{Span, Spanned};
use crate::spec::HostFile;
use crate::spec::guest::{
    AutostartSpec, ContainerSpec, GuestNicSpec, MountSpec, NixosSpec, RootfsSpec, RustSpec,
    SteamSpec, VmDiskSpec, VmSpec, WindowsSpec,
};
use crate::spec::reader::{List, OneOrMany, Reference, ShortOrLong};
use crate::value::Node;
use crate::value::{
    Bus, ByteSize, ContainerOs, DatasetUse, EfiType, Firmware, GuestFileSystem, Line, MacAddress,
    TpmVersion, VmId, VmOs,
};

use super::devices::{self, Bootable, ImageRow, Wanted};
use super::place::{PlaceKeys, Purpose, expect_use};
use super::raw::{self, RawContainer, RawRow, RawVm};
use super::references::Names;
use super::{Addresses, Index, choice, list, network, windows};

/// Tells options that are to stay out and that Proxmox VE does not have.
pub(super) fn check_unset(unset: &[Spanned<Line>], file: ConfigFile<'static>, sink: &mut Sink) {
    for option in unset {
        let name = option.value.as_str();
        if file.option(name).is_some() {
            continue;
        }
        let known: Vec<&str> = file.option_names().collect();
        let help = crate::near::did_you_mean(name, known.iter().copied(), "option");
        let message = format!("no option `{}` in Proxmox VE", name.escape_debug());
        sink.push(Diagnostic::new(Code::MOX0002, option.span, message).help_if(help));
    }
}

/// A guest that is understood well enough to be named.
#[expect(
    clippy::large_enum_variant,
    reason = "one a guest, and only while guests are read"
)]
pub(super) enum GuestRow<'a> {
    Vm(&'a Spanned<String>, RawVm<'a>),
    /// With the store of its root file system.
    Container(&'a Spanned<String>, RawContainer<'a>, Spanned<StoreRef>),
}

impl<'a> GuestRow<'a> {
    fn key(&self) -> &'a Spanned<String> {
        match self {
            Self::Vm(key, _) | Self::Container(key, ..) => key,
        }
    }

    fn vmid(&self) -> Option<Spanned<VmId>> {
        match self {
            Self::Vm(_, raw) => raw.body.vmid,
            Self::Container(_, raw, _) => raw.body.vmid,
        }
    }
}

/// The guests in the order of their VMIDs, the containers without a root file system that is understood, and what the
/// guests' names stand for. Reports names that both tables have.
pub(super) fn rows<'a>(
    file: &'a HostFile,
    index: &Index<'_>,
    sink: &mut Sink,
) -> (Vec<GuestRow<'a>>, Vec<RawContainer<'a>>, Names<'a, Guest>) {
    let release = file.host.as_ref().and_then(|host| host.value.release);
    let release = release.map_or(Release::NEWEST, |release| release.value);
    let mut rows = Vec::new();
    let mut rootless = Vec::new();
    let mut broken = Vec::new();
    for row in file.vms.iter().flat_map(|table| &table.rows) {
        match &row.body {
            Some(body) => {
                let mut options = body.schema.to_vec();
                options.extend(raw::options_of(body.extra.as_ref(), sink));
                let body = raw::vm(body, options, release, sink);
                rows.push(GuestRow::Vm(&row.key, body));
            }
            None => broken.push(&row.key),
        }
    }
    for row in file.containers.iter().flat_map(|table| &table.rows) {
        let body = row.body.as_ref().map(|body| {
            let mut options = body.schema.to_vec();
            options.extend(raw::options_of(body.extra.as_ref(), sink));
            raw::container(body, options, release, sink)
        });
        let rootfs = body
            .as_ref()
            .and_then(|raw| raw.body.rootfs.as_ref())
            .and_then(|rootfs| rootfs_keys(&rootfs.value).required(index, sink));
        match (body, rootfs) {
            (Some(body), Some(rootfs)) => rows.push(GuestRow::Container(&row.key, body, rootfs)),
            (body, _) => {
                rootless.extend(body);
                broken.push(&row.key);
            }
        }
    }
    rows.sort_by_key(|row| row.vmid().map_or(u32::MAX, |vmid| vmid.get()));
    let mut names = Names::empty("guest");
    for key in broken {
        names.add(&key.value, None);
    }
    for (at, row) in rows.iter().enumerate() {
        names.add(&row.key().value, Some(Arena::id_at(at)));
    }
    let containers: BTreeMap<&str, &Spanned<String>> = file
        .containers
        .iter()
        .flat_map(|table| &table.rows)
        .map(|row| (row.key.value.as_str(), &row.key))
        .collect();
    for vm in file.vms.iter().flat_map(|table| &table.rows) {
        if let Some(container) = containers.get(vm.key.value.as_str()) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0103,
                    container.span,
                    format!("two guests are called `{}`", vm.key.value),
                )
                .label("a container")
                .also(vm.key.span, "a virtual machine")
                .help("rename one: guests' names are unique, in DNS and in backups"),
            );
        }
    }
    (rows, rootless, names)
}

/// The root file system of a container.
const ROOTFS: Purpose = Purpose {
    wanted: DatasetUse::Containers,
    what: "a container's root file system",
    fixed: None,
};
/// A further volume of a container.
const VOLUME: Purpose = Purpose {
    wanted: DatasetUse::Containers,
    what: "a container's volume",
    fixed: None,
};
/// A disk of a virtual machine.
const DISK: Purpose = Purpose {
    wanted: DatasetUse::VmDisks,
    what: "a virtual machine's disk",
    fixed: None,
};
/// The state of a TPM; its size is of `PVE::QemuServer::Drive`.
const TPM: Purpose = Purpose {
    wanted: DatasetUse::VmDisks,
    what: "the state of a TPM",
    fixed: Some(ByteSize::mib(4)),
};

fn rootfs_keys(spec: &RootfsSpec) -> PlaceKeys<'_> {
    PlaceKeys {
        span: spec.span,
        misread: &spec.misread,
        dataset: spec.dataset.as_ref(),
        store: spec.store.as_ref(),
        volume: spec.volume.as_ref(),
        size: spec.size,
        format: None,
        import: None,
    }
}

struct Resolver<'a> {
    host: &'a Host,
    index: &'a Index<'a>,
    sink: &'a mut Sink,
}

pub(super) fn resolve(
    rows: Vec<GuestRow<'_>>,
    rootless: &[RawContainer<'_>],
    host: &Host,
    index: &Index<'_>,
    addresses: Addresses,
    sink: &mut Sink,
) -> Arena<Guest> {
    let mut resolver = Resolver { host, index, sink };
    for body in rootless {
        resolver.look_over(body);
    }
    let mut guests: Vec<Guest> = rows
        .into_iter()
        .map(|row| match row {
            GuestRow::Vm(name, body) => resolver.vm(name, &body),
            GuestRow::Container(name, body, rootfs) => resolver.container(name, &body, rootfs),
        })
        .collect();
    part_addresses(host.name.as_str(), addresses, &mut guests);
    Arena::new(guests)
}

/// Gives a card whose derived MAC address an earlier guest's card has its second one. Guests come in the order of their
/// VMIDs, so a guest that is added changes the address of another only where the two meet and it has the lower VMID:
/// with one of 16 million for each card. In a fleet every card has its second one, of 46 bits, which hangs on the card alone
/// and meets none: hosts and guests come and go beside it. An address that is written stays, and so does one that it meets: a check tells.
fn part_addresses(host: &str, addresses: Addresses, guests: &mut [Guest]) {
    let mut taken = HashSet::new();
    for guest in guests.iter_mut().filter(|guest| !guest.vmid.is_missing()) {
        let vmid = guest.vmid.get();
        for (at, nic) in guest.network.iter_mut().enumerate() {
            if nic.mac.is_written() {
                continue;
            }
            let first_will_do = match addresses {
                Addresses::OfHost => taken.insert(*nic.mac),
                Addresses::OfFleet => false,
            };
            if first_will_do {
                continue;
            }
            nic.mac.value = MacAddress::derive_second(host, vmid, at);
            taken.insert(*nic.mac);
        }
    }
}

impl Resolver<'_> {
    /// Reports what is wrong with a container that is not understood as a whole, so that it is told in the same run.
    fn look_over(&mut self, raw: &RawContainer<'_>) {
        let body = &raw.body;
        self.guests(body.needs.as_ref());
        self.guests(body.exclusive_with.as_ref());
        let vmid = *vmid(body.vmid, body.span);
        self.network(body.network.as_ref(), &raw.cards, vmid);
        for row in body.mounts.iter().flat_map(|table| &table.rows) {
            if let Some(mount) = &row.body {
                self.mount(&row.key, mount);
            }
        }
    }

    fn vm(&mut self, name: &Spanned<String>, raw: &RawVm<'_>) -> Guest {
        let body = &*raw.body;
        let os = Setting::or_missing(body.os.map(|os| os.map(|os| os.0)), VmOs::Other, body.span);
        let windows = os.is_windows();
        // A system that was misread may be any.
        let known = !os.is_missing();
        let vmid = vmid(body.vmid, body.span);
        let (memory, balloon, hugepages, numa) = self.vm_memory(body);
        let cpu = body.cpu.as_ref();
        let cpu_span = cpu.map_or(body.span, |cpu| cpu.value.span);
        let cpu = cpu.map(|cpu| &cpu.value);
        // The Windows guide's settings are the defaults of a Windows guest: UEFI, q35, the host's processor.
        let model = if windows { "host" } else { "x86-64-v2-AES" };
        let firmware = choice(
            body.firmware,
            if windows {
                Firmware::Ovmf
            } else {
                Firmware::Seabios
            },
            body.span,
        );
        let tpm_default = match *os {
            VmOs::Windows11 | VmOs::WindowsServer2025 => true,
            VmOs::Windows10 | VmOs::WindowsServer2022 | VmOs::Nixos | VmOs::Linux | VmOs::Other => {
                false
            }
        };
        let scsi_controller = Setting::or_default(
            body.scsi_controller
                .as_ref()
                .map(|c| Spanned::new(c.value.as_str().to_owned(), c.span)),
            Vm::SINGLE_CONTROLLER.to_owned(),
            body.span,
        );
        let mut disks: Vec<VmDisk> = Vec::new();
        let mut wanted: Vec<Wanted> = Vec::new();
        for row in body.disks.iter().flat_map(|table| &table.rows) {
            let Some(spec) = &row.body else { continue };
            if let Some(disk) = self.vm_disk(&row.key, spec, &scsi_controller) {
                wanted.push(Wanted {
                    span: disk.name.span,
                    bus: Some(*disk.bus),
                    slot: devices::slot(spec.slot),
                });
                disks.push(disk);
            }
        }
        for (key, row) in &raw.disks {
            if let Some(mut disk) = self.vm_disk(key, &row.spec, &scsi_controller) {
                wanted.push(Wanted {
                    span: disk.name.span,
                    bus: Some(*disk.bus),
                    slot: Some(row.slot),
                });
                disk.more.clone_from(&row.more);
                disks.push(disk);
            }
        }
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
        let images: Vec<Image> = images
            .into_iter()
            .zip(image_places)
            .map(|(image, place)| image.plugged(place))
            .collect();
        let network = self.network(body.network.as_ref(), &raw.cards, *vmid);
        let passthrough = self.passthrough(raw);
        let usb = self.usb(raw);
        let boot = body.boot.as_ref().map(|written| {
            let bootable = Bootable {
                disks: &disks,
                images: &images,
                network: &network,
                passthrough: &passthrough,
                usb: &usb,
                raw: &raw.options,
            };
            bootable.order(written, self.sink)
        });
        let (agent, agent_more) = agent(body, raw);
        let secure_boot = Setting::or_default(
            body.secure_boot,
            windows && *firmware == Firmware::Ovmf,
            body.span,
        );
        let beside = disks
            .iter()
            .find_map(|disk| disk.placement().map(|placement| placement.store));
        let (tpm, tpm_state) = self.tpm(body, tpm_default, beside);
        let vm = Vm {
            os,
            cores: Setting::or_default(
                cpu.and_then(|c| c.cores.map(|c| c.map(super::super::spec::reader::Int::get))),
                // Windows 11 refuses one core, and every Windows is slow with it.
                if windows { 2 } else { 1 },
                cpu_span,
            ),
            sockets: Setting::or_default(
                cpu.and_then(|c| {
                    c.sockets
                        .map(|s| s.map(super::super::spec::reader::Int::get))
                }),
                1,
                cpu_span,
            ),
            cpu_model: Setting::or_default(
                cpu.and_then(|c| {
                    c.model
                        .as_ref()
                        .map(|m| Spanned::new(m.value.as_str().to_owned(), m.span))
                }),
                model.to_owned(),
                cpu_span,
            ),
            affinity: cpu.and_then(|c| {
                c.affinity
                    .as_ref()
                    .map(|a| Spanned::new(a.value.0.clone(), a.span))
            }),
            balloon,
            hugepages,
            numa,
            machine: Setting::or_default(
                body.machine
                    .as_ref()
                    .map(|m| Spanned::new(m.value.as_str().to_owned(), m.span)),
                "q35".to_owned(),
                body.span,
            ),
            efi: self.efi(body, &firmware, &secure_boot, beside),
            tpm,
            tpm_state,
            secure_boot,
            firmware,
            agent,
            agent_more,
            display: body.display.clone(),
            disks,
            images,
            cloud_init,
            boot,
            scsi_controller,
            serial: self.serial(raw),
            passthrough,
            usb,
            installed: Setting::or_default(body.installed, false, body.span),
            shares: body
                .shares
                .iter()
                .flat_map(|s| &s.value)
                .filter_map(|share| self.share(&share.value))
                .collect(),
            windows: self.windows(body, windows, known.then_some(os.span)),
        };
        let nixos = self.nixos(
            body.nixos.as_ref(),
            matches!(*vm.os, VmOs::Nixos),
            known.then_some(vm.os.span),
            name,
            body.span,
        );
        Guest {
            name: name.clone(),
            shown_as: body.name.clone(),
            span: body.span,
            vmid,
            description: body.description.clone(),
            tags: list(body.tags.as_ref()),
            memory,
            cpu_limit: cpu.and_then(|c| c.limit.map(|l| l.map(|l| l.0))),
            cpu_units: cpu
                .and_then(|c| c.units.map(|u| u.map(super::super::spec::reader::Int::get))),
            autostart: autostart(body.autostart.as_ref()),
            protection: Setting::or_default(body.protection, false, body.span),
            unset: self.unset(body.unset.as_ref(), ConfigFile::Qm),
            needs: self.guests(body.needs.as_ref()),
            exclusive_with: self.guests(body.exclusive_with.as_ref()),
            backup: Setting::or_default(body.backup, true, body.span),
            options: raw.options.clone(),
            network,
            firewall: body.firewall.as_ref().map(|f| devices::firewall(&f.value)),
            kind: GuestKind::Vm(Box::new(vm)),
            nixos,
        }
    }

    fn container(
        &mut self,
        name: &Spanned<String>,
        raw: &RawContainer<'_>,
        rootfs: Spanned<StoreRef>,
    ) -> Guest {
        let body = &*raw.body;
        let os = Setting::or_missing(
            body.os.map(|os| os.map(|os| os.0)),
            ContainerOs::Other,
            body.span,
        );
        let vmid = vmid(body.vmid, body.span);
        let cpu = body.cpu.as_ref().map(|cpu| &cpu.value);
        let rootfs = match &body.rootfs {
            Some(spec) => rootfs_keys(&spec.value).placement(rootfs, ROOTFS, self.host, self.sink),
            None => Placement::new(
                rootfs,
                Setting::or_missing(None, ByteSize::gib(8), body.span),
            ),
        };
        let schema = body
            .rootfs
            .iter()
            .flat_map(|rootfs| rootfs.value.schema.iter());
        let rootfs_more = schema.chain(&raw.rootfs).cloned().collect();
        let mut mounts: Vec<ContainerMount> = Vec::new();
        let mut wanted = Vec::new();
        for row in body.mounts.iter().flat_map(|table| &table.rows) {
            let Some(spec) = &row.body else { continue };
            if let Some(mount) = self.mount(&row.key, spec) {
                wanted.push((mount.name.span, devices::slot(spec.slot)));
                mounts.push(mount);
            }
        }
        for (key, row) in &raw.mounts {
            if let Some(mut mount) = self.mount(key, &row.spec) {
                wanted.push((mount.name.span, Some(row.slot)));
                mount.more.clone_from(&row.more);
                mounts.push(mount);
            }
        }
        let slots = devices::numbers("mp", &wanted, self.sink);
        for (mount, slot) in mounts.iter_mut().zip(slots) {
            mount.slot = slot;
        }
        let devices = self.devices(raw);
        let lxc = self.lxc(raw);
        let is_there = matches!(rootfs.volume, VolumeSource::Existing { .. });
        if body.template.is_none() && !is_there && !body.misread.contains(&"template") {
            self.sink.push(
                Diagnostic::new(Code::MOX0004, body.span, "the key `template` is missing")
                    .label("in this table")
                    .help(
                        "name what it is made from: `template = \"local:vztmpl/…\"`; a container that is there already names its \
                         volume instead: `rootfs = { …, volume = \"…\" }`",
                    ),
            );
        }
        let container = Container {
            os,
            cores: cpu.and_then(|c| c.cores.map(|c| c.map(super::super::spec::reader::Int::get))),
            // Proxmox VE's own default.
            swap: Setting::or_default(body.swap, ByteSize::mib(512), body.span),
            template: Setting::or_missing(
                body.template.clone(),
                "local:vztmpl/none.tar".parse().expect("a volume"),
                body.span,
            ),
            unprivileged: Setting::or_default(body.unprivileged, true, body.span),
            features: list(body.features.as_ref()),
            rootfs,
            rootfs_more,
            mounts,
            devices,
            lxc,
            password_secret: body.password_secret.clone(),
            ssh_keys: list(body.ssh_keys.as_ref()),
        };
        let nixos = self.nixos(
            body.nixos.as_ref(),
            matches!(*container.os, ContainerOs::Nixos),
            (!container.os.is_missing()).then_some(container.os.span),
            name,
            body.span,
        );
        Guest {
            name: name.clone(),
            shown_as: body.name.clone(),
            span: body.span,
            vmid,
            description: body.description.clone(),
            tags: list(body.tags.as_ref()),
            memory: Setting::or_missing(body.memory, ByteSize::gib(1), body.span),
            cpu_limit: cpu.and_then(|c| c.limit.map(|l| l.map(|l| l.0))),
            cpu_units: cpu
                .and_then(|c| c.units.map(|u| u.map(super::super::spec::reader::Int::get))),
            autostart: autostart(body.autostart.as_ref()),
            protection: Setting::or_default(body.protection, false, body.span),
            unset: self.unset(body.unset.as_ref(), ConfigFile::Pct),
            needs: self.guests(body.needs.as_ref()),
            exclusive_with: self.guests(body.exclusive_with.as_ref()),
            backup: Setting::or_default(body.backup, true, body.span),
            options: container_options(body, &raw.options),
            network: self.network(body.network.as_ref(), &raw.cards, *vmid),
            firewall: body.firewall.as_ref().map(|f| devices::firewall(&f.value)),
            kind: GuestKind::Container(Box::new(container)),
            nixos,
        }
    }

    /// Options that stay out.
    fn unset(
        &mut self,
        written: Option<&Spanned<List<Line>>>,
        file: ConfigFile<'static>,
    ) -> Vec<Spanned<Line>> {
        let unset = list(written);
        check_unset(&unset, file, self.sink);
        unset
    }

    /// Memory, as a size with its companions beside it or as one table.
    #[allow(
        clippy::type_complexity,
        reason = "four settings that belong together only here"
    )]
    fn vm_memory(
        &mut self,
        body: &VmSpec,
    ) -> (
        Setting<ByteSize>,
        Option<Spanned<crate::value::Balloon>>,
        Option<Spanned<ByteSize>>,
        Setting<bool>,
    ) {
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
        if let Some(pages) =
            hugepages.filter(|p| ![ByteSize::mib(2), ByteSize::gib(1)].contains(&p.value))
        {
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0013,
                    pages.span,
                    format!("there are no huge pages of {}", pages.value),
                )
                .help("x86-64 has huge pages of `\"2 MiB\"` and `\"1 GiB\"`"),
            );
        }
        (
            Setting::or_missing(size, ByteSize::gib(1), body.span),
            table.and_then(|t| t.balloon).or(body.balloon),
            hugepages,
            Setting::or_default(table.and_then(|t| t.numa).or(body.numa), false, body.span),
        )
    }

    fn vm_disk(
        &mut self,
        name: &Spanned<String>,
        body: &VmDiskSpec,
        controller: &Setting<String>,
    ) -> Option<VmDisk> {
        let bus = choice(body.bus, Bus::Scsi, body.span);
        // QEMU has I/O threads for VirtIO alone, and `ssd` for all but VirtIO block.
        let (has_iothread, has_ssd) = match *bus {
            Bus::Scsi => (true, true),
            Bus::Virtio => (true, false),
            Bus::Sata | Bus::Ide => (false, true),
        };
        for (key, written, has) in [
            ("iothread", body.iothread, has_iothread),
            ("ssd", body.ssd, has_ssd),
        ] {
            if let Some(written) = written.filter(|w| w.value && !has) {
                self.sink.push(
                    Diagnostic::new(
                        Code::MOX0016,
                        written.span,
                        format!("a disk on the bus `{}` has no `{key}`", *bus),
                    )
                    .also(bus.span, "its bus")
                    .help("remove the key, or use the bus `scsi`"),
                );
            }
        }
        let source = self.disk_source(body)?;
        let flash = self.is_flash(&source);
        Some(VmDisk {
            name: name.clone(),
            source,
            bus,
            ssd: Setting::or_default(body.ssd, flash && has_ssd, body.span),
            discard: Setting::or_default(body.discard, true, body.span),
            iothread: Setting::or_default(
                body.iothread,
                has_iothread && (*bus == Bus::Virtio || **controller == Vm::SINGLE_CONTROLLER),
                body.span,
            ),
            cache: body.cache.map(|c| c.map(|c| c.0)),
            backup: Setting::or_default(body.backup, true, body.span),
            mount: body.mount.clone(),
            fs: choice(body.fs, GuestFileSystem::Ext4, body.span),
            serial: body.serial.clone(),
            slot: 0,
            more: body.schema.to_vec(),
        })
    }

    /// What a disk is: a volume of a store, or a disk of the host.
    fn disk_source(&mut self, body: &VmDiskSpec) -> Option<DiskSource> {
        let keys = PlaceKeys {
            span: body.span,
            misread: &body.misread,
            dataset: body.dataset.as_ref(),
            store: body.store.as_ref(),
            volume: body.volume.as_ref(),
            size: body.size,
            format: body.format.map(|format| format.map(|one| one.0)),
            import: body.import.as_ref(),
        };
        let Some(device) = &body.device else {
            if body.misread.contains(&"device") {
                return None;
            }
            let store = keys.required(self.index, self.sink)?;
            let placement = keys.placement(store, DISK, self.host, self.sink);
            return Some(DiskSource::Volume(placement));
        };
        let beside = [
            ("dataset", keys.dataset.map(|k| k.span)),
            ("store", keys.store.map(|k| k.span)),
            ("volume", keys.volume.map(|k| k.span)),
            ("size", keys.size.map(|k| k.span)),
            ("format", keys.format.map(|k| k.span)),
            ("import", keys.import.map(|k| k.span)),
        ];
        for (key, span) in beside {
            if let Some(span) = span {
                self.sink.push(
                    Diagnostic::new(Code::MOX0016, span, format!("`{key}` beside `device`"))
                        .also(device.span, "a disk of the host, handed over whole")
                        .help("remove one of them"),
                );
            }
        }
        let disk = self.index.disks.find(device, self.sink)?;
        Some(DiskSource::Device(disk))
    }

    /// Whether a disk lies on flash, as far as the spec tells.
    fn is_flash(&self, source: &DiskSource) -> bool {
        let hardware = &self.host.hardware;
        let all_flash = |disks: &[Spanned<Id<Disk>>]| {
            !disks.is_empty()
                && disks
                    .iter()
                    .all(|disk| hardware.disks[disk.value].kind.is_flash())
        };
        match source {
            DiskSource::Device(disk) => hardware.disks[disk.value].kind.is_flash(),
            DiskSource::Volume(placement) => match placement.store.value {
                StoreRef::Dataset(id) => {
                    let storage = &self.host.storage;
                    all_flash(&storage.pools[storage.datasets[id].pool.value].disks)
                }
                StoreRef::Lvm(id) => all_flash(&self.host.storage.lvm[id].disks),
                StoreRef::External(_) | StoreRef::Local => false,
            },
        }
    }

    /// The drive of cloud-init before it has a number.
    fn cloud_init(&mut self, raw: &RawVm<'_>, disks: &[VmDisk]) -> Option<(Wanted, CloudInit)> {
        let drive = |span, store, stated, more| CloudInit {
            span,
            store,
            bus: Bus::Ide,
            slot: 0,
            stated,
            more,
        };
        let written = raw.body.cloud_init.as_ref();
        if let (Some(written), Some(option)) = (written, &raw.cloud_init) {
            self.sink.push(
                Diagnostic::new(Code::MOX0109, option.span, "a second drive of cloud-init")
                    .also(written.value.span, "the first")
                    .help("remove one of the two: `cloud-init` is the language's own word"),
            );
        }
        let Some(written) = written else {
            let option = raw.cloud_init.as_ref()?;
            let store = self.index.store_or_report(&option.store, self.sink)?;
            let wanted = Wanted {
                span: option.span,
                bus: Some(option.bus),
                slot: Some(option.slot),
            };
            return Some((wanted, drive(option.span, store, None, option.more.clone())));
        };
        let spec = &written.value;
        let keys = PlaceKeys {
            span: spec.span,
            misread: &spec.misread,
            dataset: spec.dataset.as_ref(),
            store: spec.store.as_ref(),
            volume: None,
            size: None,
            format: None,
            import: None,
        };
        let beside = disks.first().and_then(VmDisk::placement);
        let store = match beside.map(|placement| placement.store) {
            Some(store) if !keys.names_a_store() => store,
            Some(_) | None => keys.required(self.index, self.sink)?,
        };
        super::place::expect_use(
            self.host,
            store,
            DatasetUse::VmDisks,
            "the drive of cloud-init",
            self.sink,
        );
        let words = |lines: Option<&Spanned<OneOrMany<Line>>>| {
            lines.map(|lines| {
                let words = lines.value.0.iter().map(|line| line.value.as_str());
                Spanned::new(words.collect::<Vec<_>>().join(" "), lines.span)
            })
        };
        let stated = CloudInitStated {
            user: spec.user.clone(),
            password_secret: spec.password_secret.clone(),
            ssh_keys: spec
                .ssh_keys
                .as_ref()
                .map_or_else(|| self.host.ssh_keys.clone(), |keys| keys.value.clone()),
            upgrade: spec.upgrade,
            nameserver: words(spec.nameserver.as_ref()),
            searchdomain: words(spec.searchdomain.as_ref()),
            custom: spec.custom.clone(),
        };
        let wanted = Wanted {
            span: spec.span,
            bus: spec.bus.map(|bus| bus.value.0),
            slot: devices::slot(spec.slot),
        };
        Some((wanted, drive(spec.span, store, Some(stated), Vec::new())))
    }

    /// Where the settings of OVMF lie.
    fn efi(
        &mut self,
        body: &VmSpec,
        firmware: &Setting<Firmware>,
        secure_boot: &Setting<bool>,
        beside: Option<Spanned<StoreRef>>,
    ) -> Option<EfiDisk> {
        let written = body.efi.as_ref();
        if let (Some(written), Firmware::Seabios) = (written, **firmware) {
            if !matches!(written.value, ShortOrLong::Short(false)) {
                self.sink.push(
                    Diagnostic::new(Code::MOX0016, written.span, "`efi` of a guest without OVMF")
                        .also(firmware.span, "its firmware is `seabios`")
                        .help("set `firmware = \"ovmf\"`, or remove `efi`"),
                );
            }
            return None;
        }
        let table = match written.map(|written| &written.value) {
            _ if **firmware == Firmware::Seabios => return None,
            Some(ShortOrLong::Short(false)) => return None,
            Some(ShortOrLong::Short(true)) | None => None,
            Some(ShortOrLong::Long(table)) => Some(table),
        };
        let span = written.map_or(firmware.span, |written| written.span);
        let kind = choice(table.and_then(|t| t.kind), EfiType::Large, span);
        let purpose = Purpose {
            wanted: DatasetUse::VmDisks,
            what: "the settings of OVMF",
            // The file of OVMF's variables: `OVMF_VARS_4M.fd` has 528 KiB, `OVMF_VARS-pure-efi.fd` 128 KiB.
            fixed: Some(ByteSize::kib(match *kind {
                EfiType::Small => 128,
                EfiType::Large => 528,
            })),
        };
        let keys = PlaceKeys {
            span,
            misread: table.map_or(&[], |t| &t.misread),
            dataset: table.and_then(|t| t.dataset.as_ref()),
            store: table.and_then(|t| t.store.as_ref()),
            volume: table.and_then(|t| t.volume.as_ref()),
            size: table.and_then(|t| t.size),
            format: table.and_then(|t| t.format.map(|format| format.map(|one| one.0))),
            import: None,
        };
        let Some(placement) = self.state_volume(&keys, purpose, beside) else {
            // A store that is misspelt has been told, and after an error one may only seem to be missing.
            if !keys.names_a_store() && !self.sink.has_errors() {
                self.sink.push(lost_settings(body, firmware));
            }
            return None;
        };
        let pre_enrolled_keys = Setting::or_default(
            table.and_then(|t| t.pre_enrolled_keys),
            **secure_boot,
            secure_boot.span,
        );
        if pre_enrolled_keys.is_written()
            && secure_boot.is_written()
            && *pre_enrolled_keys != **secure_boot
        {
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    pre_enrolled_keys.span,
                    "`pre-enrolled-keys` and `secure-boot` differ",
                )
                .also(secure_boot.span, "they say the same")
                .help("remove one of them"),
            );
        }
        Some(EfiDisk {
            span,
            placement,
            kind,
            pre_enrolled_keys,
        })
    }

    /// Whether there is a TPM, and where its state lies.
    fn tpm(
        &mut self,
        body: &VmSpec,
        default: bool,
        beside: Option<Spanned<StoreRef>>,
    ) -> (Setting<bool>, Option<TpmState>) {
        let written = body.tpm.as_ref();
        let (on, table) = match written.map(|written| &written.value) {
            None => (Setting::default(default, body.span), None),
            Some(ShortOrLong::Short(on)) => (
                Setting::written(*on, written.map_or(body.span, |w| w.span)),
                None,
            ),
            Some(ShortOrLong::Long(table)) => (Setting::written(true, table.span), Some(table)),
        };
        if !*on {
            return (on, None);
        }
        let keys = PlaceKeys {
            span: on.span,
            misread: table.map_or(&[], |t| &t.misread),
            dataset: table.and_then(|t| t.dataset.as_ref()),
            store: table.and_then(|t| t.store.as_ref()),
            volume: table.and_then(|t| t.volume.as_ref()),
            size: table.and_then(|t| t.size),
            format: None,
            import: None,
        };
        let state = self
            .state_volume(&keys, TPM, beside)
            .map(|placement| TpmState {
                span: on.span,
                placement,
                version: choice(table.and_then(|t| t.version), TpmVersion::V20, on.span),
            });
        (on, state)
    }

    /// A small volume of the machine itself: where the spec says, or beside the first disk.
    fn state_volume(
        &mut self,
        keys: &PlaceKeys<'_>,
        purpose: Purpose,
        beside: Option<Spanned<StoreRef>>,
    ) -> Option<Placement> {
        if keys.names_a_store() {
            let store = keys.named(self.index, self.sink)?;
            return Some(keys.placement(store, purpose, self.host, self.sink));
        }
        let first = || {
            let mut stores = self.host.storage.stores();
            stores
                .find(|(_, store)| {
                    store.is_for(DatasetUse::VmDisks) && store.medium().makes_volumes()
                })
                .map(|(store, _)| store)
        };
        // Disks of an iSCSI target are there already: nothing is made beside them.
        let store = beside
            .map(|store| store.value)
            .filter(|store| self.host.storage.store(*store).medium().makes_volumes())
            .or_else(first)?;
        let store = Spanned::new(store, keys.span);
        Some(keys.placement(store, purpose, self.host, self.sink))
    }

    fn share(&mut self, body: &crate::spec::guest::ShareSpec) -> Option<Share> {
        let dataset = self
            .index
            .datasets
            .find(body.dataset.as_ref()?, self.sink)?;
        let store = dataset.map(StoreRef::Dataset);
        expect_use(
            self.host,
            store,
            DatasetUse::Share,
            "a shared folder",
            self.sink,
        );
        Some(Share {
            span: body.span,
            dataset,
            mount: Setting::or_missing(
                body.mount.clone(),
                "/mnt".parse().expect("a path"),
                body.span,
            ),
            read_only: Setting::or_default(body.read_only, false, body.span),
        })
    }

    fn mount(&mut self, name: &Spanned<String>, body: &MountSpec) -> Option<ContainerMount> {
        let source = self.mount_source(body)?;
        // Proxmox VE backs up volumes alone.
        let volume = matches!(source, MountSource::Volume(_));
        if let Some(backup) = body.backup.filter(|b| b.value && !volume) {
            self.sink.push(
                Diagnostic::new(Code::MOX0016, backup.span, "a bind mount is in no backup").help(
                    "back up the dataset itself by snapshots, or give the container a volume",
                ),
            );
        }
        Some(ContainerMount {
            name: name.clone(),
            source,
            path: Setting::or_missing(
                body.path.clone(),
                "/mnt".parse().expect("a path"),
                body.span,
            ),
            read_only: Setting::or_default(body.read_only, false, body.span),
            backup: Setting::or_default(body.backup, volume, body.span),
            slot: 0,
            more: body.schema.to_vec(),
        })
    }

    /// What is mounted: a volume, a shared dataset, or a folder of the host.
    fn mount_source(&mut self, body: &MountSpec) -> Option<MountSource> {
        let keys = PlaceKeys {
            span: body.span,
            misread: &body.misread,
            dataset: body.dataset.as_ref(),
            store: body.store.as_ref(),
            volume: body.volume.as_ref(),
            size: body.size,
            format: None,
            import: None,
        };
        let Some(path) = &body.host_path else {
            if body.misread.contains(&"host-path") {
                return None;
            }
            if !keys.names_a_store() {
                self.sink.push(
                    Diagnostic::new(
                        Code::MOX0004,
                        body.span,
                        "the key `dataset`, `store` or `host-path` is missing",
                    )
                    .label("in this table"),
                );
                return None;
            }
            let store = keys.named(self.index, self.sink)?;
            if let StoreRef::Dataset(id) = store.value
                && keys.size.is_none()
                && keys.volume.is_none()
                && self.host.storage.datasets[id].is_for(DatasetUse::Share)
            {
                return Some(MountSource::Share(store.map(|_| id)));
            }
            let placement = keys.placement(store, VOLUME, self.host, self.sink);
            return Some(MountSource::Volume(placement));
        };
        if let Some(size) = body.size {
            self.sink.push(
                Diagnostic::new(Code::MOX0016, size.span, "a folder of the host has no size")
                    .also(path.span, "the folder")
                    .help("remove `size`"),
            );
        }
        let beside = [
            ("dataset", keys.dataset.map(|k| k.span)),
            ("store", keys.store.map(|k| k.span)),
            ("volume", keys.volume.map(|k| k.span)),
        ];
        for (key, span) in beside {
            if let Some(span) = span {
                self.sink.push(
                    Diagnostic::new(
                        Code::MOX0016,
                        path.span,
                        format!("`host-path` beside `{key}`"),
                    )
                    .also(span, "the other source")
                    .help("a mount has one source: remove one of them"),
                );
                return None;
            }
        }
        Some(MountSource::HostPath(path.clone()))
    }

    fn guests(&mut self, names: Option<&Spanned<List<Reference>>>) -> Vec<Spanned<Id<Guest>>> {
        self.index
            .guests
            .find_all(names.iter().flat_map(|n| &n.value), self.sink)
    }

    /// The cards of the table and those of options, in the order of their numbers.
    fn network(
        &mut self,
        nics: Option<&Spanned<List<GuestNicSpec>>>,
        raw: &[RawRow<GuestNicSpec>],
        vmid: VmId,
    ) -> Vec<GuestNic> {
        let nics = nics.map(|n| &n.value[..]).unwrap_or_default();
        let wanted: Vec<_> = nics
            .iter()
            .map(|nic| (nic.value.span, devices::slot(nic.value.slot)))
            .chain(raw.iter().map(|row| (row.spec.span, Some(row.slot))))
            .collect();
        let slots = devices::numbers("net", &wanted, self.sink);
        let mut cards: Vec<GuestNic> = nics
            .iter()
            .map(|nic| (&nic.value, &nic.value.schema[..]))
            .chain(raw.iter().map(|row| (&row.spec, &row.more[..])))
            .zip(slots)
            .filter_map(|((spec, more), slot)| self.nic(spec, more, vmid, slot))
            .collect();
        cards.sort_by_key(|card| card.slot);
        cards
    }

    fn nic(
        &mut self,
        body: &GuestNicSpec,
        more: &[PveOption],
        vmid: VmId,
        slot: u32,
    ) -> Option<GuestNic> {
        let bridge = body
            .bridge
            .as_ref()
            .and_then(|bridge| self.index.bridges.find(bridge, self.sink));
        let at = usize::try_from(slot).expect("a card's number is small");
        let mac = MacAddress::derive(self.host.name.as_str(), vmid.get(), at);
        let gateway = body
            .gateway
            .as_ref()
            .and_then(|g| network::gateway(g, false, self.index, self.sink));
        let gateway6 = body
            .gateway6
            .as_ref()
            .and_then(|g| network::gateway(g, true, self.index, self.sink));
        let address = network::own_address(body.address, false, self.sink);
        let address6 = network::own_address(body.address6, true, self.sink);
        let bridge = bridge?;
        let firewall = self.host.network.bridges[bridge.value].firewall;
        let word = |written: Option<&Spanned<Line>>, default: String| {
            let written = written.map(|w| Spanned::new(w.value.as_str().to_owned(), w.span));
            Setting::or_default(written, default, body.span)
        };
        Some(GuestNic {
            span: body.span,
            bridge,
            address,
            address6,
            gateway,
            gateway6,
            mac: Setting::or_default(body.mac, mac, body.span),
            vlan: body.vlan,
            trunks: body
                .trunks
                .as_ref()
                .map(|t| Spanned::new(t.value.0.clone(), t.span)),
            firewall: Setting::or_default(body.firewall, *firewall, body.span),
            mtu: body
                .mtu
                .map(|m| m.map(super::super::spec::reader::Int::get)),
            rate: body.rate.map(|r| r.map(|r| r.0)),
            slot,
            model: word(body.model.as_ref(), "virtio".to_owned()),
            interface: word(body.name.as_ref(), format!("eth{slot}")),
            more: more.to_vec(),
        })
    }

    fn passthrough(&mut self, raw: &RawVm<'_>) -> Vec<Passthrough> {
        let entries = raw.body.passthrough.iter().flat_map(|p| &p.value);
        let typed = entries.filter_map(|entry| devices::passed(entry, self.index, self.sink));
        let mut passed: Vec<Passthrough> = typed.collect();
        let options = raw.passthrough.iter();
        passed.extend(options.filter_map(|option| devices::passed_raw(option, self.host)));
        passed
    }

    fn usb(&mut self, raw: &RawVm<'_>) -> Vec<GuestUsb> {
        let entries = raw.body.usb.iter().flat_map(|usb| &usb.value);
        let typed = entries.filter_map(|entry| devices::usb(entry, self.index, self.sink));
        let mut rows: Vec<devices::UsbRow> = typed.collect();
        let options = raw.usb.iter();
        rows.extend(options.filter_map(|option| devices::usb_raw(option, self.host)));
        let wanted: Vec<_> = rows.iter().map(devices::UsbRow::wanted).collect();
        let slots = devices::numbers("usb", &wanted, self.sink);
        rows.into_iter()
            .zip(slots)
            .map(|(row, slot)| row.plugged(slot))
            .collect()
    }

    /// A NixOS guest has the port that its kernel writes to, unless the spec says which ports there are.
    fn serial(&mut self, raw: &RawVm<'_>) -> Vec<(u32, Spanned<String>)> {
        let body = &raw.body;
        let nixos = body.os.is_some_and(|os| os.value.0 == VmOs::Nixos);
        let typed = body.serial.iter().flat_map(|serial| &serial.value);
        let mut ports: Vec<(Option<Spanned<u32>>, Spanned<String>)> = typed
            .map(|port| {
                (
                    None,
                    Spanned::new(port.value.as_str().to_owned(), port.span),
                )
            })
            .collect();
        ports.extend(raw.serial.iter().filter_map(|option| {
            let (_, number) = option.numbered()?;
            Some((
                Some(Spanned::new(number, option.key.span)),
                option.value.clone(),
            ))
        }));
        if ports.is_empty() && body.serial.is_none() && nixos {
            ports.push((None, Spanned::new("socket".to_owned(), body.span)));
        }
        let wanted: Vec<_> = ports
            .iter()
            .map(|(slot, port)| (port.span, *slot))
            .collect();
        let slots = devices::numbers("serial", &wanted, self.sink);
        slots
            .into_iter()
            .zip(ports.into_iter().map(|(_, port)| port))
            .collect()
    }

    fn devices(&mut self, raw: &RawContainer<'_>) -> Vec<ContainerDevice> {
        let typed = raw.body.devices.iter().flat_map(|d| &d.value);
        let mut devices: Vec<(ContainerDevice, Option<Spanned<u32>>)> =
            typed.map(container_device).collect();
        devices.extend(raw.devices.iter().map(|row| {
            let mut device = device_of(&row.spec);
            device.more.clone_from(&row.more);
            (device, Some(row.slot))
        }));
        let wanted: Vec<_> = devices
            .iter()
            .map(|(device, slot)| (device.path.span, *slot))
            .collect();
        let slots = devices::numbers("dev", &wanted, self.sink);
        devices
            .into_iter()
            .zip(slots)
            .map(|((device, _), slot)| ContainerDevice { slot, ..device })
            .collect()
    }

    /// Raw lines: those of `lxc`, and behind them those of `extra`.
    fn lxc(&mut self, raw: &RawContainer<'_>) -> Vec<PveOption> {
        let typed = raw.body.lxc.iter().flat_map(|lines| &lines.value);
        let mut lines: Vec<PveOption> = typed
            .filter_map(|line| raw::lxc_line(line, self.sink))
            .collect();
        lines.extend(raw.lxc.iter().cloned());
        let release = *self.host.release;
        lines.retain(|line| raw::check_lxc_key(line, release, self.sink));
        lines
    }

    fn nixos(
        &mut self,
        spec: Option<&Spanned<NixosSpec>>,
        is_nixos: bool,
        os: Option<Span>,
        name: &Spanned<String>,
        span: Span,
    ) -> Option<NixosGuest> {
        if let (Some(spec), false, Some(os)) = (spec, is_nixos, os) {
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    spec.value.span,
                    format!("`{}` is not a NixOS guest", name.value),
                )
                .also(os, "its system")
                .help("set `os = \"nixos\"`, or remove the table"),
            );
            return None;
        }
        if !is_nixos {
            return None;
        }
        let body = spec.map(|spec| &spec.value);
        let span = body.map_or(span, |body| body.span);
        let users = body
            .and_then(|b| b.users.as_ref())
            .into_iter()
            .flat_map(|users| &users.rows)
            .filter_map(|row| {
                let user = row.body.as_ref()?;
                Some(NixosUser {
                    name: row.key.clone(),
                    description: user.description.clone(),
                    groups: list(user.groups.as_ref()),
                    ssh_keys: list(user.ssh_keys.as_ref()),
                    admin: Setting::or_default(user.admin, false, user.span),
                })
            });
        let scripts = body
            .and_then(|b| b.scripts.as_ref())
            .into_iter()
            .flat_map(|scripts| &scripts.rows)
            .filter_map(|row| {
                let script = row.body.as_ref()?;
                Some(NixosScript {
                    name: row.key.clone(),
                    source: script.source.clone(),
                    packages: list(script.packages.as_ref()),
                    operators: list(script.operators.as_ref()),
                    on: script.on.clone(),
                    timeout: script.timeout.clone(),
                    arguments: list(script.arguments.as_ref()),
                    session: Setting::or_default(script.session, false, script.span),
                    writable: list(script.writable.as_ref()),
                })
            });
        let scripts: Vec<NixosScript> = scripts.collect();
        for script in &scripts {
            self.script(script);
        }
        Some(NixosGuest {
            span,
            state_version: body.and_then(|b| b.state_version.clone()),
            immutable: Setting::or_default(body.and_then(|b| b.immutable), false, span),
            modules: list(body.and_then(|b| b.modules.as_ref())),
            packages: list(body.and_then(|b| b.packages.as_ref())),
            ports: list(body.and_then(|b| b.ports.as_ref())),
            services: list(body.and_then(|b| b.services.as_ref())),
            user_services: list(body.and_then(|b| b.user_services.as_ref())),
            users: users.collect(),
            scripts,
            settings: settings(body),
        })
    }

    /// What a script says about runs that it never has, or that are not of the kind.
    fn script(&mut self, script: &NixosScript) {
        let name = &script.name;
        let session = script.session.span;
        let of_a_run = [
            (
                "timeout",
                script.timeout.as_ref().map(|timeout| timeout.span),
            ),
            ("arguments", script.arguments.first().map(|one| one.span)),
            ("writable", script.writable.first().map(|one| one.span)),
            ("session", script.session.then_some(session)),
        ];
        if script.on.is_none() {
            for (key, span) in of_a_run {
                if let Some(span) = span {
                    self.sink.push(
                        Diagnostic::new(
                            Code::MOX0016,
                            span,
                            format!("`{key}` is about runs that `{}` never has", name.value),
                        )
                        .also(name.span, "runs by itself only with `on`")
                        .help(format!(
                            "say when it runs, as `on = \"daily\"`, or remove `{key}`"
                        )),
                    );
                }
            }
        } else if let Some(writable) = script.writable.first().filter(|_| *script.session) {
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    writable.span,
                    "`writable` is about a service of the guest",
                )
                .also(session, "it runs in users' sessions")
                .help("remove one of the two: in a session a script may write what its user may"),
            );
        }
    }

    fn windows(
        &mut self,
        body: &VmSpec,
        is_windows: bool,
        os: Option<Span>,
    ) -> Option<WindowsGuest> {
        let spec = body.windows.as_ref();
        if let (Some(spec), false, Some(os)) = (spec, is_windows, os) {
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    spec.value.span,
                    "this is not a Windows guest",
                )
                .also(os, "its system")
                .help("set `os = \"windows11\"`, or remove the table"),
            );
            return None;
        }
        if !is_windows {
            return None;
        }
        let spec: Option<&WindowsSpec> = spec.map(|spec| &spec.value);
        let span = spec.map_or(body.span, |s| s.span);
        let text = |text: &str| -> crate::value::Locale { text.parse().expect("a locale") };
        Some(WindowsGuest {
            span,
            locale: Setting::or_default(spec.and_then(|s| s.locale.clone()), text("en-US"), span),
            user: Setting::or_default(
                spec.and_then(|s| s.user.clone()),
                "user".parse().expect("an account"),
                span,
            ),
            keyboard: spec.and_then(|s| s.keyboard.clone()),
            computer_name: spec.and_then(|s| s.computer_name.clone()),
            edition: spec.and_then(|s| s.edition.clone()),
            image_index: spec
                .and_then(|s| s.image_index)
                .map(|n| n.map(super::super::spec::reader::Int::get)),
            display_language: spec.and_then(|s| s.display_language.clone()),
            product_key_secret: spec.and_then(|s| s.product_key_secret.clone()),
            password_secret: spec.and_then(|s| s.password_secret.clone()),
            timezone: Setting::or_default(
                spec.and_then(|s| s.timezone.clone()),
                self.host.timezone.value.clone(),
                span,
            ),
            optional_updates: Setting::or_default(
                spec.and_then(|s| s.optional_updates),
                false,
                span,
            ),
            remote_access: spec
                .and_then(|s| s.remote_access)
                .map(|access| access.map(|word| word.0)),
            device_encryption: Setting::or_default(
                spec.and_then(|s| s.device_encryption),
                false,
                span,
            ),
            bypass: spec
                .and_then(|s| s.bypass.as_ref())
                .map(|checks| {
                    checks
                        .value
                        .iter()
                        .map(|check| Spanned::new(check.value.0, check.span))
                        .collect()
                })
                .unwrap_or_default(),
            users: spec
                .and_then(|s| s.users.as_ref())
                .map(|table| windows::accounts(table))
                .unwrap_or_default(),
            domain: spec
                .and_then(|s| s.domain.as_ref())
                .map(|domain| windows::domain(&domain.value)),
            winget: list(spec.and_then(|s| s.winget.as_ref())),
            steam: spec.and_then(|s| s.steam.as_ref()).map(|s| steam(&s.value)),
            rust: spec.and_then(|s| s.rust.as_ref()).map(|r| rust(&r.value)),
        })
    }
}

fn vmid(written: Option<Spanned<VmId>>, span: Span) -> Setting<VmId> {
    Setting::or_missing(
        written,
        VmId::new(i64::from(VmId::MAX)).expect("the largest VMID is one"),
        span,
    )
}

fn autostart(written: Option<&Spanned<ShortOrLong<bool, AutostartSpec>>>) -> Option<Autostart> {
    let written = written?;
    match &written.value {
        ShortOrLong::Short(false) => None,
        ShortOrLong::Short(true) => Some(Autostart {
            span: written.span,
            enabled: true,
            order: None,
            up_delay: None,
            down_delay: None,
        }),
        ShortOrLong::Long(spec) => Some(Autostart {
            span: spec.span,
            enabled: spec.enabled.is_none_or(|enabled| enabled.value),
            order: spec
                .order
                .map(|o| o.map(super::super::spec::reader::Int::get)),
            up_delay: spec.up_delay.clone(),
            down_delay: spec.down_delay.clone(),
        }),
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

/// What a container has options for under another name.
fn container_options(body: &ContainerSpec, options: &[PveOption]) -> Vec<PveOption> {
    let option = |key: &str, value: String, span: Span| {
        PveOption::new(
            Spanned::new(key.to_owned(), span),
            Spanned::new(value, span),
        )
    };
    let one = |key: &str, line: Option<&Spanned<Line>>| {
        line.map(|line| option(key, line.value.as_str().to_owned(), line.span))
    };
    let many = |key: &str, lines: Option<&Spanned<OneOrMany<Line>>>| {
        lines.map(|lines| {
            let words = lines.value.0.iter().map(|line| line.value.as_str());
            option(key, words.collect::<Vec<_>>().join(" "), lines.span)
        })
    };
    [
        one("cmode", body.console_mode.as_ref()),
        many("nameserver", body.nameserver.as_ref()),
        many("searchdomain", body.searchdomain.as_ref()),
        one("timezone", body.timezone.as_ref()),
    ]
    .into_iter()
    .flatten()
    .chain(options.iter().cloned())
    .collect()
}

fn container_device(
    written: &Spanned<
        ShortOrLong<crate::value::DevicePath, crate::spec::guest::ContainerDeviceSpec>,
    >,
) -> (ContainerDevice, Option<Spanned<u32>>) {
    match &written.value {
        ShortOrLong::Short(path) => {
            let device = ContainerDevice {
                path: Setting::written(path.clone(), written.span),
                uid: None,
                gid: None,
                mode: None,
                read_only: Setting::default(false, written.span),
                slot: 0,
                more: Vec::new(),
            };
            (device, None)
        }
        ShortOrLong::Long(spec) => (device_of(spec), devices::slot(spec.slot)),
    }
}

fn device_of(spec: &crate::spec::guest::ContainerDeviceSpec) -> ContainerDevice {
    ContainerDevice {
        path: Setting::or_missing(
            spec.path.clone(),
            "/dev/null".parse().expect("a device"),
            spec.span,
        ),
        uid: spec
            .uid
            .map(|n| n.map(super::super::spec::reader::Int::get)),
        gid: spec
            .gid
            .map(|n| n.map(super::super::spec::reader::Int::get)),
        mode: spec
            .mode
            .as_ref()
            .map(|m| Spanned::new(m.value.0.clone(), m.span)),
        read_only: Setting::or_default(spec.read_only, false, spec.span),
        slot: 0,
        more: Vec::new(),
    }
}

fn settings(spec: Option<&NixosSpec>) -> Vec<(Spanned<String>, Node)> {
    spec.and_then(|s| s.settings.as_ref())
        .map(|raw| raw.value.0.clone())
        .unwrap_or_default()
}

fn steam(spec: &SteamSpec) -> Steam {
    let games = spec.games.iter().flat_map(|g| &g.value).filter_map(|game| {
        let id = game.value.app_id?;
        Some((
            id.map(super::super::spec::reader::Int::get),
            game.value.name.clone(),
        ))
    });
    Steam {
        span: spec.span,
        install_dir: spec.install_dir.clone(),
        login_secret: spec.login_secret.clone(),
        libraries: list(spec.libraries.as_ref()),
        games: games.collect(),
    }
}

fn rust(spec: &RustSpec) -> RustSetup {
    let name = |written: Option<&Spanned<crate::value::Name>>, default: &str| {
        Setting::or_default(
            written.map(|w| Spanned::new(w.value.as_str().to_owned(), w.span)),
            default.to_owned(),
            spec.span,
        )
    };
    let environment = spec.environment.iter().flat_map(|table| &table.rows);
    RustSetup {
        span: spec.span,
        toolchain: name(spec.toolchain.as_ref(), "stable"),
        host: name(spec.host.as_ref(), "x86_64-pc-windows-msvc"),
        components: list(spec.components.as_ref()),
        targets: list(spec.targets.as_ref()),
        environment: environment
            .filter_map(|row| Some((row.key.clone(), Spanned::new(row.body.clone()?, row.span))))
            .collect(),
        projects: spec
            .projects
            .iter()
            .flat_map(|p| &p.value)
            .map(|project| RustProject {
                name: Setting::or_missing(
                    project
                        .value
                        .name
                        .as_ref()
                        .map(|n| Spanned::new(n.value.as_str().to_owned(), n.span)),
                    "project".to_owned(),
                    project.span,
                ),
                path: Setting::or_missing(
                    project.value.path.clone(),
                    "C:\\project".parse().expect("a path"),
                    project.span,
                ),
                git: project.value.git.clone(),
            })
            .collect(),
    }
}

/// OVMF without a place for its settings: Proxmox VE starts it with a disk that lasts until the guest stops.
fn lost_settings(body: &VmSpec, firmware: &Setting<Firmware>) -> Diagnostic {
    let place = if firmware.is_written() {
        firmware.span
    } else {
        body.span
    };
    Diagnostic::new(
        Code::MOX0658,
        place,
        "the settings of OVMF are lost at each stop of this guest",
    )
    .label("no store of the host can hold them")
    .help("declare a store with `use = \"vm-disks\"`, or write `efi = false` if that is meant")
}
