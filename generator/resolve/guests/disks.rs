//! Disks, root file systems, mount points and shares of guests, and the small volumes of firmware, TPM and cloud-init.

use crate::diagnostics::{Code, Diagnostic};
use crate::model::{
    CloudInit, CloudInitStated, ContainerMount, Dataset, Disk, DiskSource, EfiDisk, Id,
    MountSource, Placement, Setting, Share, StoreRef, TpmState, Vm, VmDisk,
};
use crate::resolve::choice;
use crate::resolve::devices::{self, Wanted};
use crate::resolve::place::{PlaceKeys, Purpose, expect_use};
use crate::resolve::raw::RawVm;
use crate::source::Spanned;
use crate::spec::guest::{EfiSpec, MountSpec, RootfsSpec, VmDiskSpec, VmSpec};
use crate::spec::reader::{OneOrMany, ShortOrLong};
use crate::value::{
    Bus, ByteSize, DatasetUse, EfiType, Firmware, GuestFileSystem, Line, TpmVersion,
};

use super::Resolver;

impl Resolver<'_> {
    pub(super) fn vm_disk(
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
    pub(super) fn cloud_init(
        &mut self,
        raw: &RawVm<'_>,
        disks: &[VmDisk],
    ) -> Option<(Wanted, CloudInit)> {
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
        crate::resolve::place::expect_use(
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

    /// Whether the settings begin with the keys of Secure Boot.
    fn pre_enrolled_keys(
        &mut self,
        table: Option<&EfiSpec>,
        kind: &Setting<EfiType>,
        secure_boot: &Setting<bool>,
    ) -> Setting<bool> {
        let pre_enrolled_keys = Setting::or_default(
            table.and_then(|t| t.pre_enrolled_keys),
            **secure_boot,
            secure_boot.span,
        );
        // `PVE::QemuServer::OVMF` passes over the wish for keys where the type is another.
        if (pre_enrolled_keys.is_written() || secure_boot.is_written())
            && *pre_enrolled_keys
            && **kind == EfiType::Small
        {
            let key = if pre_enrolled_keys.is_written() {
                "pre-enrolled-keys"
            } else {
                "secure-boot"
            };
            let why = "variables of OVMF with keys of Secure Boot are of the type `4m`";
            self.sink.push(
                Diagnostic::unheard(key, pre_enrolled_keys.span, why)
                    .also(kind.span, "these are of another")
                    .help("take `type = \"4m\"`, or remove the key"),
            );
        }
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
        pre_enrolled_keys
    }

    /// Where the settings of OVMF lie.
    pub(super) fn efi(
        &mut self,
        body: &VmSpec,
        firmware: &Setting<Firmware>,
        secure_boot: &Setting<bool>,
        beside: Option<Spanned<StoreRef>>,
    ) -> Option<EfiDisk> {
        let written = body.efi.as_ref();
        let ovmf = **firmware == Firmware::Ovmf;
        let table = match written.map(|written| &written.value) {
            Some(ShortOrLong::Short(false)) => {
                if let (true, true, Some(off)) =
                    (ovmf && **secure_boot, secure_boot.is_written(), written)
                {
                    self.sink.push(
                        Diagnostic::new(
                            Code::MOX0016,
                            secure_boot.span,
                            "`secure-boot` beside `efi = false`",
                        )
                        .also(off.span, "its keys lie in that disk")
                        .help("remove one of the two"),
                    );
                }
                return None;
            }
            // One that is there already is left from a time with OVMF, or waits for it.
            Some(ShortOrLong::Long(table)) if !ovmf && table.volume.is_some() => {
                self.sink.push(
                    Diagnostic::unheard("efi", table.span, "the guest starts without OVMF")
                        .also(firmware.span, "its firmware is `seabios`")
                        .help("set `firmware = \"ovmf\"`, or remove `efi`"),
                );
                Some(table)
            }
            Some(ShortOrLong::Short(true) | ShortOrLong::Long(_)) if !ovmf => {
                // A system or a firmware that was misread has been told, and may want OVMF.
                let is_known = !body
                    .misread
                    .iter()
                    .any(|key| matches!(*key, "os" | "firmware"));
                if is_known {
                    let span = written.map_or(firmware.span, |written| written.span);
                    self.sink.push(
                        Diagnostic::new(Code::MOX0016, span, "`efi` of a guest without OVMF")
                            .also(firmware.span, "its firmware is `seabios`")
                            .help("set `firmware = \"ovmf\"`, or remove `efi`"),
                    );
                }
                return None;
            }
            None if !ovmf => return None,
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
            if !keys.names_a_store() && self.is_sound && !self.sink.has_errors() {
                self.sink.push(lost_settings(body, firmware));
            }
            return None;
        };
        let pre_enrolled_keys = self.pre_enrolled_keys(table, &kind, secure_boot);
        Some(EfiDisk {
            span,
            placement,
            kind,
            pre_enrolled_keys,
        })
    }

    /// Whether there is a TPM, and where its state lies.
    pub(super) fn tpm(
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

    pub(super) fn share(&mut self, body: &crate::spec::guest::ShareSpec) -> Option<Share> {
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

    /// Whether a dataset is a folder that guests share, or may be one: its uses may have been misread.
    fn may_be_shared(&self, id: Id<Dataset>) -> bool {
        let dataset = &self.host.storage.datasets[id];
        dataset.is_for(DatasetUse::Share) || (dataset.uses.is_empty() && !self.is_sound)
    }

    pub(super) fn mount(
        &mut self,
        name: &Spanned<String>,
        body: &MountSpec,
    ) -> Option<ContainerMount> {
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
                && self.may_be_shared(id)
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
}

/// The root file system of a container.
pub(super) const ROOTFS: Purpose = Purpose {
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

pub(super) fn rootfs_keys(spec: &RootfsSpec) -> PlaceKeys<'_> {
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
