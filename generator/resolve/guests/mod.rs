//! Guests: virtual machines and containers, each from its table and its rows of raw options.

mod disks;
mod hardware;
mod systems;

use std::collections::{BTreeMap, HashSet};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{
    Arena, Autostart, CloudInit, Container, ContainerMount, Guest, GuestKind, Host, Id, Image,
    Placement, Setting, StoreRef, Vm, VmDisk, VolumeSource,
};
use crate::pve::{ConfigFile, PveOption, Release, check_option, report_fault};
use crate::source::{Span, Spanned};
use crate::spec::HostFile;
use crate::spec::guest::{AutostartSpec, ContainerSpec, TemplateSpec, VmSpec};
use crate::spec::reader::{List, OneOrMany, Reference, ShortOrLong};
use crate::value::{Bus, ByteSize, ContainerOs, Firmware, HugePages, Line, MacAddress, VmId, VmOs};

use self::disks::{ROOTFS, rootfs_keys};
use super::devices::{self, Bootable, ImageRow, Wanted};
use super::raw::{self, RawContainer, RawVm};
use super::references::Names;
use super::{Addresses, Index, choice, list, unset};

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
        self.network(body.network.as_ref(), &raw.cards, &raw.options, vmid);
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
        let images: Vec<Image> = images
            .into_iter()
            .zip(image_places)
            .map(|(image, place)| image.plugged(place))
            .collect();
        let network = self.network(body.network.as_ref(), &raw.cards, &raw.options, *vmid);
        let passthrough = self.passthrough(raw);
        let usb = self.usb(raw);
        let boot = body.boot.as_ref().map(|written| {
            let bootable = Bootable {
                disks: &disks,
                images: &images,
                network: &network,
                passthrough: &passthrough,
                usb: &usb,
                cloud_init: cloud_init.as_ref(),
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
        let named = body.network.as_ref().map_or(0, |nics| nics.value.len()) + raw.cards.len();
        let firewall = self.firewall(body.firewall.as_ref(), &network, named);
        let nixos = self.nixos(
            body.nixos.as_ref(),
            matches!(*vm.os, VmOs::Nixos),
            known.then_some(vm.os.span),
            name,
            body.span,
        );
        let options = vm_options(body, &raw.options);
        let words = [
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
        ];
        let said = (&words[..], &options[..]);
        let unset = unset(body.unset.as_ref(), said, ConfigFile::Qm, self.sink);
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
            unset,
            needs: self.guests(body.needs.as_ref()),
            exclusive_with: self.guests(body.exclusive_with.as_ref()),
            backup: Setting::or_default(body.backup, true, body.span),
            options,
            network,
            firewall,
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
        if let Some(zone) = body
            .timezone
            .as_ref()
            .filter(|zone| zone.as_str() != "host")
        {
            let read: Result<crate::value::TimeZoneName, _> = zone.as_str().parse();
            if let Err(wrong) = read {
                let diagnostic = Diagnostic::new(Code::MOX0019, zone.span, wrong.message);
                let help = "name a zone of the IANA database, as `Europe/Berlin`; or `host`";
                self.sink.push(diagnostic.help(help));
            }
        }
        let devices = self.devices(raw);
        let lxc = self.lxc(raw);
        let is_there = matches!(rootfs.volume, VolumeSource::Existing { .. });
        let template = body
            .template
            .as_ref()
            .and_then(|template| match &template.value {
                TemplateSpec::From(volume) => Some(Spanned::new(volume.clone(), template.span)),
                TemplateSpec::Itself(_) => None,
            });
        let itself = body.template.as_ref().filter(|_| template.is_none());
        if let Some(itself) = itself.filter(|_| !is_there) {
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    itself.span,
                    "`template` without what the container is made from",
                )
                .also(body.span, "it is not there yet")
                .help(
                    "name what it is made from: `template = \"local:vztmpl/…\"`, and once it is there make it a template by \
                     `pct template`; one that is there names its volume: `rootfs = { …, volume = \"…\" }`",
                ),
            );
        } else if template.is_none() && !is_there && !body.misread.contains(&"template") {
            self.sink.push(
                Diagnostic::new(Code::MOX0004, body.span, "the key `template` is missing")
                    .label("in this table")
                    .help(
                        "name what it is made from: `template = \"local:vztmpl/…\"`; a container that is there already names its \
                         volume instead: `rootfs = { …, volume = \"…\" }`",
                    ),
            );
        }
        let network = self.network(body.network.as_ref(), &raw.cards, &raw.options, *vmid);
        let named = body.network.as_ref().map_or(0, |nics| nics.value.len()) + raw.cards.len();
        let firewall = self.firewall(body.firewall.as_ref(), &network, named);
        let container = Container {
            os,
            cores: cpu.and_then(|c| c.cores.map(|c| c.map(super::super::spec::reader::Int::get))),
            // Proxmox VE's own default.
            swap: Setting::or_default(body.swap, ByteSize::mib(512), body.span),
            template: Setting::or_missing(
                template,
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
        let options = container_options(body, &raw.options, *self.host.release, self.sink);
        let words = [
            ("description", place(body.description.as_ref())),
            ("tags", place(body.tags.as_ref())),
            ("onboot", place(body.autostart.as_ref())),
            ("protection", place(body.protection.as_ref())),
            ("hostname", place(body.name.as_ref())),
            ("swap", place(body.swap.as_ref())),
        ];
        let said = (&words[..], &options[..]);
        let unset = unset(body.unset.as_ref(), said, ConfigFile::Pct, self.sink);
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
            unset,
            needs: self.guests(body.needs.as_ref()),
            exclusive_with: self.guests(body.exclusive_with.as_ref()),
            backup: Setting::or_default(body.backup, true, body.span),
            options,
            network,
            firewall,
            kind: GuestKind::Container(Box::new(container)),
            nixos,
        }
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
        Option<Spanned<HugePages>>,
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
        (
            Setting::or_missing(size, ByteSize::gib(1), body.span),
            table.and_then(|t| t.balloon).or(body.balloon),
            hugepages,
            Setting::or_default(table.and_then(|t| t.numa).or(body.numa), false, body.span),
        )
    }

    fn guests(&mut self, names: Option<&Spanned<List<Reference>>>) -> Vec<Spanned<Id<Guest>>> {
        self.index
            .guests
            .find_all(names.iter().flat_map(|n| &n.value), self.sink)
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
        ShortOrLong::Short(enabled) => Some(Autostart {
            span: written.span,
            enabled: *enabled,
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

/// What a virtual machine has options for under another name.
fn vm_options(body: &VmSpec, options: &[PveOption]) -> Vec<PveOption> {
    let shares = body.memory.as_ref().and_then(|memory| match &memory.value {
        ShortOrLong::Short(_) => None,
        ShortOrLong::Long(table) => table.shares,
    });
    let shares = shares.map(|shares| option("shares", shares.value.0.to_string(), shares.span));
    shares.into_iter().chain(options.iter().cloned()).collect()
}

fn option(key: &str, value: String, span: Span) -> PveOption {
    PveOption::new(
        Spanned::new(key.to_owned(), span),
        Spanned::new(value, span),
    )
}

/// Where a key stands that may be left out.
fn place<T>(key: Option<&Spanned<T>>) -> Option<Span> {
    key.map(|key| key.span)
}

/// What a container has options for under another name.
fn container_options(
    body: &ContainerSpec,
    options: &[PveOption],
    release: Release,
    sink: &mut Sink,
) -> Vec<PveOption> {
    let one = |key: &str, line: Option<&Spanned<Line>>| {
        line.map(|line| option(key, line.value.as_str().to_owned(), line.span))
    };
    let many = |key: &str, lines: Option<&Spanned<OneOrMany<Line>>>| {
        lines.map(|lines| {
            let words = lines.value.0.iter().map(|line| line.value.as_str());
            option(key, words.collect::<Vec<_>>().join(" "), lines.span)
        })
    };
    let named = [
        one("cmode", body.console_mode.as_ref()),
        many("nameserver", body.nameserver.as_ref()),
        many("searchdomain", body.searchdomain.as_ref()),
        one("timezone", body.timezone.as_ref()),
        body.template.as_ref().and_then(|template| {
            let is_itself = matches!(template.value, TemplateSpec::Itself(true));
            is_itself.then(|| option("template", "1".to_owned(), template.span))
        }),
    ];
    let named = named.into_iter().flatten().filter(|option| {
        let fault = check_option(ConfigFile::Pct, release, &option.key, &option.value).err();
        let is_sound = fault.is_none();
        if let Some(fault) = fault {
            report_fault(fault, option.value.span, sink);
        }
        is_sound
    });
    named.chain(options.iter().cloned()).collect()
}
