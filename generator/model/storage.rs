//! Pools, datasets and stores elsewhere.

use super::{Arena, Disk, Id, Item, Keep, Setting};
use crate::pve::PveOption;
use crate::source::{Span, Spanned};
use crate::value::{
    AbsolutePath, ByteSize, DatasetPath, DatasetUse, DevicePath, ExternalKind, HostAddress,
    ImageFormat, ImageSource, Line, LogLayout, Name, PoolLayout, SecretName, Sha256Sum, VolumeName,
    ZfsAclType, ZfsCipher, ZfsKey, ZfsSync, ZfsXattr,
};

/// Where bytes lie.
#[derive(Debug, Clone)]
pub struct Storage {
    /// The most that the ZFS cache takes.
    pub arc_max: Option<Spanned<ByteSize>>,
    /// The least that the ZFS cache keeps.
    pub arc_min: Option<Spanned<ByteSize>>,
    /// ZFS pools.
    pub pools: Arena<Pool>,
    /// Datasets.
    pub datasets: Arena<Dataset>,
    /// Volume groups and thin pools of LVM.
    pub lvm: Arena<Lvm>,
    /// Stores elsewhere.
    pub external: Arena<External>,
    /// Proxmox VE's own store `local`.
    pub local: Local,
}

/// A ZFS pool.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Its name.
    pub name: Spanned<String>,
    /// Where its table stands.
    pub span: Span,
    /// How its disks stand together.
    pub layout: Setting<PoolLayout>,
    /// Its disks.
    pub disks: Vec<Spanned<Id<Disk>>>,
    /// Whether Proxmox VE is installed on it.
    pub boot: Setting<bool>,
    /// The sector size as a power of two.
    pub ashift: Setting<u8>,
    /// The compression of its root dataset.
    pub compression: Setting<String>,
    /// Whether freed blocks are told to the disks.
    pub autotrim: Setting<bool>,
    /// Further vdevs, in the order special, log, cache, spare.
    pub vdevs: Vec<Vdev>,
}

impl Pool {
    /// Whether the spec says nothing of its disks: it is there, and moxc makes nothing of it.
    pub fn is_there(&self) -> bool {
        self.layout.given == super::Given::Default
    }
}

/// A further vdev of a pool.
#[derive(Debug, Clone)]
pub struct Vdev {
    /// What it is for.
    pub role: VdevRole,
    /// Where its table stands.
    pub span: Span,
    /// How its disks stand together; cache and spare disks stand alone.
    pub layout: Setting<LogLayout>,
    /// Its disks.
    pub disks: Vec<Spanned<Id<Disk>>>,
}

/// What a further vdev is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VdevRole {
    /// Metadata and small blocks: lost with it is the pool.
    Special,
    /// Synchronous writes.
    Log,
    /// Cached reads.
    Cache,
    /// Standing by.
    Spare,
}

impl VdevRole {
    /// The word of `zpool create`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Special => "special",
            Self::Log => "log",
            Self::Cache => "cache",
            Self::Spare => "spare",
        }
    }
}

/// A dataset; a storage of Proxmox VE of the same name.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Its name in the spec.
    pub name: Spanned<String>,
    /// Where its table stands.
    pub span: Span,
    /// Its pool.
    pub pool: Spanned<Id<Pool>>,
    /// What it is for.
    pub uses: Vec<Spanned<DatasetUse>>,
    /// Its name below the pool; none for the pool's own root.
    pub path: Setting<Option<DatasetPath>>,
    /// The most that it takes.
    pub quota: Option<Spanned<ByteSize>>,
    /// What is kept free for it.
    pub reservation: Option<Spanned<ByteSize>>,
    /// Where it is mounted, where the spec tells.
    pub mountpoint: Option<Spanned<AbsolutePath>>,
    /// The largest block of a file.
    pub recordsize: Option<Spanned<ByteSize>>,
    /// The block of a zvol.
    pub volblocksize: Option<Spanned<ByteSize>>,
    /// The compression, where it is not the pool's.
    pub compression: Option<Spanned<String>>,
    /// Whether volumes take space only as they fill.
    pub thin: Setting<bool>,
    /// Whether reading a file notes the time.
    pub atime: Option<Spanned<bool>>,
    /// When writes are on the disks.
    pub sync: Option<Spanned<ZfsSync>>,
    /// Which access lists it knows.
    pub acltype: Option<Spanned<ZfsAclType>>,
    /// How extended attributes lie in it.
    pub xattr: Option<Spanned<ZfsXattr>>,
    /// Its encryption.
    pub encryption: Option<Encryption>,
    /// Further properties of ZFS, and of the user's.
    pub properties: Vec<(Spanned<String>, Spanned<Line>)>,
    /// Whether Proxmox VE passes it over.
    pub disabled: Setting<bool>,
    /// Options of the storage that are said by Proxmox VE's own names.
    pub schema: Vec<PveOption>,
}

/// How a dataset is encrypted. What lies below it is, too.
#[derive(Debug, Clone)]
pub struct Encryption {
    /// Where it stands.
    pub span: Span,
    /// Where the key is.
    pub key: Setting<ZfsKey>,
    /// The cipher, where the spec names one.
    pub cipher: Option<Spanned<ZfsCipher>>,
}

/// A volume group of LVM, or a thin pool in one; a storage of Proxmox VE of the same name.
#[derive(Debug, Clone)]
pub struct Lvm {
    /// Its name in the spec.
    pub name: Spanned<String>,
    /// Where its table stands.
    pub span: Span,
    /// The volume group.
    pub group: Setting<Name>,
    /// The thin pool in it; without one, volumes are thick.
    pub thin_pool: Option<Spanned<Name>>,
    /// What it is for.
    pub uses: Vec<Spanned<DatasetUse>>,
    /// The disks that the group is made of; none where it is there already.
    pub disks: Vec<Spanned<Id<Disk>>>,
    /// How large the thin pool is, or the part of the group that is for guests.
    pub size: Option<Spanned<ByteSize>>,
    /// Whether the installer made it, or disko where the host is NixOS and it has disks.
    pub boot: Setting<bool>,
    /// How large the root is that disko makes, where the spec tells.
    pub root_size: Option<Spanned<ByteSize>>,
    /// How large the swap is that disko makes.
    pub swap_size: Option<Spanned<ByteSize>>,
    /// Whether Proxmox VE passes it over.
    pub disabled: Setting<bool>,
    /// Options of the storage that are said by Proxmox VE's own names.
    pub schema: Vec<PveOption>,
}

impl Lvm {
    /// Whether the group is made on a host that runs: one that has disks, and that the host does not start from.
    pub fn is_made_later(&self) -> bool {
        !self.disks.is_empty() && !*self.boot
    }
}

/// Proxmox VE's own store `local`: a folder of the root file system.
#[derive(Debug, Clone)]
pub struct Local {
    /// `local`; at its table, or at the file's start where it has none.
    pub name: Spanned<String>,
    /// What it is for, where the spec has a table of it; else it is left as it is.
    pub stated: Option<LocalStatement>,
}

/// What the spec says of `local`.
#[derive(Debug, Clone)]
pub struct LocalStatement {
    /// Where its table stands.
    pub span: Span,
    /// What it is for.
    pub uses: Vec<Spanned<DatasetUse>>,
    /// How many backups are kept of each guest, where the job does not say.
    pub keep: Option<Spanned<Keep>>,
    /// Whether Proxmox VE passes it over.
    pub disabled: Setting<bool>,
    /// Options of the storage that are said by Proxmox VE's own names.
    pub schema: Vec<PveOption>,
}

impl Local {
    /// Where it lies.
    pub const PATH: &'static str = "/var/lib/vz";
}

/// A store elsewhere; a storage of Proxmox VE of the same name.
#[derive(Debug, Clone)]
pub struct External {
    /// Its name in the spec.
    pub name: Spanned<String>,
    /// Where its table stands.
    pub span: Span,
    /// Where it is.
    pub place: ExternalPlace,
    /// What it is for.
    pub uses: Vec<Spanned<DatasetUse>>,
    /// Whether its absence is no failure.
    pub removable: Setting<bool>,
    /// How many backups are kept of each guest, where the job does not say.
    pub keep: Option<Spanned<Keep>>,
    /// The secret that holds the password.
    pub secret: Option<Spanned<SecretName>>,
    /// Mount options.
    pub options: Option<Spanned<Line>>,
    /// The fingerprint of the key that encrypts backups.
    pub encryption_key: Option<Spanned<String>>,
    /// Whether Proxmox VE passes it over.
    pub disabled: Setting<bool>,
    /// Options of the storage that are said by Proxmox VE's own names.
    pub schema: Vec<PveOption>,
}

impl External {
    /// What kind of store it is.
    pub fn kind(&self) -> ExternalKind {
        match self.place {
            ExternalPlace::Nfs { .. } => ExternalKind::Nfs,
            ExternalPlace::Cifs { .. } => ExternalKind::Cifs,
            ExternalPlace::Pbs { .. } => ExternalKind::Pbs,
            ExternalPlace::Dir { .. } => ExternalKind::Dir,
            ExternalPlace::Btrfs { .. } => ExternalKind::Btrfs,
            ExternalPlace::Cephfs { .. } => ExternalKind::Cephfs,
            ExternalPlace::Rbd { .. } => ExternalKind::Rbd,
            ExternalPlace::Iscsi => ExternalKind::Iscsi,
            ExternalPlace::Esxi { .. } => ExternalKind::Esxi,
        }
    }

    /// The server that it is on, where it has one.
    pub fn server(&self) -> Option<&Setting<HostAddress>> {
        match &self.place {
            ExternalPlace::Nfs { server, .. }
            | ExternalPlace::Cifs { server, .. }
            | ExternalPlace::Pbs { server, .. }
            | ExternalPlace::Esxi { server, .. } => Some(server),
            ExternalPlace::Dir { .. }
            | ExternalPlace::Btrfs { .. }
            | ExternalPlace::Cephfs { .. }
            | ExternalPlace::Rbd { .. }
            | ExternalPlace::Iscsi => None,
        }
    }

    /// Where its files are on the host, for stores of files: as the spec says, or where Proxmox VE mounts by itself.
    pub fn folder(&self) -> Option<AbsolutePath> {
        match &self.place {
            ExternalPlace::Nfs { path, .. }
            | ExternalPlace::Cifs { path, .. }
            | ExternalPlace::Cephfs { path, .. } => Some(path.as_ref().map_or_else(
                || {
                    let path = format!("/mnt/pve/{}", self.name.value);
                    path.parse().expect("a storage's name is a plain component")
                },
                |path| path.value.clone(),
            )),
            ExternalPlace::Dir { path, .. } | ExternalPlace::Btrfs { path } => {
                Some(path.value.clone())
            }
            ExternalPlace::Pbs { .. }
            | ExternalPlace::Rbd { .. }
            | ExternalPlace::Iscsi
            | ExternalPlace::Esxi { .. } => None,
        }
    }
}

/// Where a store elsewhere is.
#[derive(Debug, Clone)]
pub enum ExternalPlace {
    /// An NFS export.
    Nfs {
        /// The server.
        server: Setting<HostAddress>,
        /// The export.
        export: Setting<AbsolutePath>,
        /// Where it is mounted, where the spec tells.
        path: Option<Spanned<AbsolutePath>>,
    },
    /// An SMB share.
    Cifs {
        /// The server.
        server: Setting<HostAddress>,
        /// The share.
        share: Setting<Line>,
        /// The user.
        username: Option<Spanned<Line>>,
        /// Where it is mounted, where the spec tells.
        path: Option<Spanned<AbsolutePath>>,
    },
    /// A Proxmox Backup Server.
    Pbs {
        /// The server.
        server: Setting<HostAddress>,
        /// The datastore.
        datastore: Setting<Name>,
        /// The namespace in it.
        namespace: Option<Spanned<Line>>,
        /// The user.
        username: Setting<Line>,
        /// The certificate's fingerprint.
        fingerprint: Option<Spanned<String>>,
    },
    /// A folder of the host.
    Dir {
        /// The folder.
        path: Setting<AbsolutePath>,
        /// What is mounted there.
        device: Option<Spanned<DevicePath>>,
        /// Its file system.
        fs: Option<Spanned<Name>>,
    },
    /// A folder of the host on btrfs.
    Btrfs {
        /// The folder.
        path: Setting<AbsolutePath>,
    },
    /// Ceph's file system; monitors are options of Proxmox VE.
    Cephfs {
        /// Where it is mounted, where the spec tells.
        path: Option<Spanned<AbsolutePath>>,
        /// The user.
        username: Option<Spanned<Line>>,
    },
    /// Ceph's block devices; pool and monitors are options of Proxmox VE.
    Rbd {
        /// The namespace in the pool.
        namespace: Option<Spanned<Line>>,
        /// The user.
        username: Option<Spanned<Line>>,
    },
    /// An iSCSI target; portal and target are options of Proxmox VE.
    Iscsi,
    /// An `ESXi` host.
    Esxi {
        /// The host.
        server: Setting<HostAddress>,
        /// The user.
        username: Option<Spanned<Line>>,
    },
}

/// A reference to anything that is a storage of Proxmox VE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreRef {
    /// A dataset.
    Dataset(Id<Dataset>),
    /// A volume group of LVM, or a thin pool.
    Lvm(Id<Lvm>),
    /// A store elsewhere.
    External(Id<External>),
    /// Proxmox VE's own `local`.
    Local,
}

/// Anything that is a storage of Proxmox VE.
#[derive(Debug, Clone, Copy)]
pub enum Store<'a> {
    /// A dataset.
    Dataset(&'a Dataset),
    /// A volume group of LVM, or a thin pool.
    Lvm(&'a Lvm),
    /// A store elsewhere.
    External(&'a External),
    /// Proxmox VE's own `local`.
    Local(&'a Local),
}

/// How a store keeps volumes of guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Zvols, and datasets for containers.
    Zfs,
    /// Logical volumes, thick.
    Lvm,
    /// Logical volumes of a thin pool.
    LvmThin,
    /// Files in a folder for each guest.
    Files,
    /// Raw files, and subvolumes for containers.
    Btrfs,
    /// Block devices of Ceph.
    Rbd,
    /// The disks of a target, which are there already.
    Luns,
    /// None: backups, files or machines to import.
    Nothing,
}

impl Medium {
    /// The formats of images that a store of this kind holds; empty where the word has no place.
    pub fn formats(self) -> &'static [ImageFormat] {
        match self {
            Self::Files => &[ImageFormat::Qcow2, ImageFormat::Raw, ImageFormat::Vmdk],
            Self::Btrfs => &[ImageFormat::Raw],
            Self::Zfs | Self::Lvm | Self::LvmThin | Self::Rbd | Self::Luns | Self::Nothing => &[],
        }
    }

    /// Whether new volumes can be made in it.
    pub fn makes_volumes(self) -> bool {
        match self {
            Self::Zfs | Self::Lvm | Self::LvmThin | Self::Files | Self::Btrfs | Self::Rbd => true,
            Self::Luns | Self::Nothing => false,
        }
    }
}

impl<'a> Store<'a> {
    /// Its name; the storage's name in Proxmox VE.
    pub fn name(&self) -> &'a Spanned<String> {
        match self {
            Self::Dataset(dataset) => &dataset.name,
            Self::Lvm(lvm) => &lvm.name,
            Self::External(external) => &external.name,
            Self::Local(local) => &local.name,
        }
    }

    /// What it is for. Of a `local` without a table nothing is known.
    pub fn uses(&self) -> &'a [Spanned<DatasetUse>] {
        match self {
            Self::Dataset(dataset) => &dataset.uses,
            Self::Lvm(lvm) => &lvm.uses,
            Self::External(external) => &external.uses,
            Self::Local(local) => local.stated.as_ref().map_or(&[], |stated| &stated.uses),
        }
    }

    /// Whether it is for `wanted`. A `local` without a table is for whatever is put there.
    pub fn is_for(&self, wanted: DatasetUse) -> bool {
        match self {
            Self::Local(Local { stated: None, .. }) => wanted != DatasetUse::Share,
            Self::Dataset(_) | Self::Lvm(_) | Self::External(_) | Self::Local(_) => {
                self.uses().iter().any(|u| u.value == wanted)
            }
        }
    }

    /// What a diagnostic calls it.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Dataset(_) => "dataset",
            Self::Lvm(_) => "LVM store",
            Self::External(_) => "external store",
            Self::Local(_) => "store",
        }
    }

    /// How it keeps volumes of guests.
    pub fn medium(&self) -> Medium {
        match self {
            Self::Dataset(_) => Medium::Zfs,
            Self::Lvm(lvm) if lvm.thin_pool.is_some() => Medium::LvmThin,
            Self::Lvm(_) => Medium::Lvm,
            Self::External(external) => match external.kind() {
                ExternalKind::Nfs | ExternalKind::Cifs | ExternalKind::Dir => Medium::Files,
                ExternalKind::Btrfs => Medium::Btrfs,
                ExternalKind::Rbd => Medium::Rbd,
                ExternalKind::Iscsi => Medium::Luns,
                ExternalKind::Pbs | ExternalKind::Cephfs | ExternalKind::Esxi => Medium::Nothing,
            },
            Self::Local(_) => Medium::Files,
        }
    }

    /// The word of Proxmox VE's `storage.cfg` for its kind.
    pub fn pve_type(&self) -> &'static str {
        match self {
            Self::Dataset(dataset) if dataset.holds_volumes() => "zfspool",
            Self::Dataset(_) | Self::Local(_) => "dir",
            Self::Lvm(lvm) if lvm.thin_pool.is_some() => "lvmthin",
            Self::Lvm(_) => "lvm",
            Self::External(external) => external.kind().as_str(),
        }
    }

    /// Whether Proxmox VE passes it over.
    pub fn is_disabled(&self) -> bool {
        self.disabled().is_some_and(|disabled| **disabled)
    }

    /// The same, and who says it; nothing of Proxmox VE's own store without a table.
    pub fn disabled(&self) -> Option<&Setting<bool>> {
        match self {
            Self::Dataset(dataset) => Some(&dataset.disabled),
            Self::Lvm(lvm) => Some(&lvm.disabled),
            Self::External(external) => Some(&external.disabled),
            Self::Local(local) => local.stated.as_ref().map(|stated| &stated.disabled),
        }
    }

    /// Whether its absence is no failure.
    pub fn is_removable(&self) -> bool {
        match self {
            Self::External(external) => *external.removable,
            Self::Dataset(_) | Self::Lvm(_) | Self::Local(_) => false,
        }
    }

    /// How many backups it keeps of each guest, where the job does not say.
    pub fn keep(&self) -> Option<Spanned<Keep>> {
        match self {
            Self::External(external) => external.keep,
            Self::Local(local) => local.stated.as_ref().and_then(|stated| stated.keep),
            Self::Dataset(_) | Self::Lvm(_) => None,
        }
    }

    /// The formats of images that it holds; empty where the word has no place.
    pub fn formats(&self) -> &'static [ImageFormat] {
        if self.is_volume_chain() {
            &[ImageFormat::Qcow2, ImageFormat::Raw]
        } else {
            self.medium().formats()
        }
    }

    /// Whether it is thick LVM whose snapshots are volumes that build on each other. Those are images of qcow2, and so are
    /// new volumes where nothing else is said (`PVE::Storage::LVMPlugin::get_formats`).
    pub fn is_volume_chain(&self) -> bool {
        self.medium() == Medium::Lvm
            && PveOption::find(self.schema(), "snapshot-as-volume-chain")
                .is_some_and(|chain| chain.value.value == "1")
    }

    /// Options of the storage that are said by Proxmox VE's own names.
    pub fn schema(&self) -> &'a [PveOption] {
        match self {
            Self::Dataset(dataset) => &dataset.schema,
            Self::Lvm(lvm) => &lvm.schema,
            Self::External(external) => &external.schema,
            Self::Local(local) => local.stated.as_ref().map_or(&[], |stated| &stated.schema),
        }
    }
}

/// Where a volume of a guest lies, and which it is.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The store.
    pub store: Spanned<StoreRef>,
    /// The volume in it.
    pub volume: VolumeSource,
}

impl Placement {
    /// A volume that is made, of a size.
    pub fn new(store: Spanned<StoreRef>, size: Setting<ByteSize>) -> Self {
        Self {
            store,
            volume: VolumeSource::New {
                size,
                format: None,
                import: None,
            },
        }
    }

    /// The dataset that it lies in, where it lies in one.
    pub fn dataset(&self) -> Option<Id<Dataset>> {
        match self.store.value {
            StoreRef::Dataset(id) => Some(id),
            StoreRef::Lvm(_) | StoreRef::External(_) | StoreRef::Local => None,
        }
    }

    /// Its size, where the spec tells.
    pub fn size(&self) -> Option<Spanned<ByteSize>> {
        match &self.volume {
            VolumeSource::New { size, .. } => {
                (!size.is_missing()).then(|| Spanned::new(size.value, size.span))
            }
            VolumeSource::Existing { size, .. } => *size,
        }
    }
}

/// Which volume of a store it is.
#[derive(Debug, Clone)]
pub enum VolumeSource {
    /// One that is made, with the next free number.
    New {
        /// Its size.
        size: Setting<ByteSize>,
        /// Its format, where the spec names one.
        format: Option<Spanned<ImageFormat>>,
        /// What fills it.
        import: Option<Import>,
    },
    /// One that is there.
    Existing {
        /// Its name in the store.
        name: Spanned<VolumeName>,
        /// Its size, where the spec tells.
        size: Option<Spanned<ByteSize>>,
    },
}

/// An image that fills a new disk.
#[derive(Debug, Clone)]
pub struct Import {
    /// Where it stands.
    pub span: Span,
    /// Where the image is.
    pub from: Setting<ImageSource>,
    /// Its checksum.
    pub sha256: Option<Spanned<Sha256Sum>>,
    /// Its format, where its name does not tell.
    pub format: Option<Spanned<ImageFormat>>,
}

impl Storage {
    /// The store that a reference names.
    pub fn store(&self, store: StoreRef) -> Store<'_> {
        match store {
            StoreRef::Dataset(id) => Store::Dataset(&self.datasets[id]),
            StoreRef::Lvm(id) => Store::Lvm(&self.lvm[id]),
            StoreRef::External(id) => Store::External(&self.external[id]),
            StoreRef::Local => Store::Local(&self.local),
        }
    }

    /// Every store of the spec: datasets, LVM, those elsewhere; `local` last, where it has a table.
    pub fn stores(&self) -> impl Iterator<Item = (StoreRef, Store<'_>)> {
        let datasets = self
            .datasets
            .iter()
            .map(|(id, dataset)| (StoreRef::Dataset(id), Store::Dataset(dataset)));
        let lvm = self
            .lvm
            .iter()
            .map(|(id, lvm)| (StoreRef::Lvm(id), Store::Lvm(lvm)));
        let external = self
            .external
            .iter()
            .map(|(id, external)| (StoreRef::External(id), Store::External(external)));
        let local = self
            .local
            .stated
            .iter()
            .map(|_| (StoreRef::Local, Store::Local(&self.local)));
        datasets.chain(lvm).chain(external).chain(local)
    }

    /// The store of a name; `local` is always one.
    pub fn find(&self, name: &str) -> Option<StoreRef> {
        let dataset = self.datasets.find(name).map(StoreRef::Dataset);
        dataset
            .or_else(|| self.lvm.find(name).map(StoreRef::Lvm))
            .or_else(|| self.external.find(name).map(StoreRef::External))
            .or_else(|| (name == "local").then_some(StoreRef::Local))
    }

    /// The pool that Proxmox VE is installed on.
    pub fn boot_pool(&self) -> Option<(Id<Pool>, &Pool)> {
        self.pools.iter().find(|(_, pool)| *pool.boot)
    }
}

impl Dataset {
    /// Whether it is for `wanted`.
    pub fn is_for(&self, wanted: DatasetUse) -> bool {
        self.uses.iter().any(|u| u.value == wanted)
    }

    /// Whether volumes of guests lie in it, so that Proxmox VE manages it as a `zfspool`.
    pub fn holds_volumes(&self) -> bool {
        self.is_for(DatasetUse::VmDisks) || self.is_for(DatasetUse::Containers)
    }

    /// The first of its uses that is for files.
    pub fn file_use(&self) -> Option<Spanned<DatasetUse>> {
        let is_of_files = |wanted: DatasetUse| match wanted {
            DatasetUse::VmDisks | DatasetUse::Containers => false,
            DatasetUse::Backups
            | DatasetUse::Share
            | DatasetUse::Iso
            | DatasetUse::Templates
            | DatasetUse::Snippets
            | DatasetUse::Import => true,
        };
        let mut uses = self.uses.iter();
        uses.find(|wanted| is_of_files(wanted.value)).copied()
    }
}

impl Item for Pool {
    fn name(&self) -> &str {
        &self.name
    }
}
impl Item for Dataset {
    fn name(&self) -> &str {
        &self.name
    }
}
impl Item for Lvm {
    fn name(&self) -> &str {
        &self.name
    }
}
impl Item for External {
    fn name(&self) -> &str {
        &self.name
    }
}
