//! Pools, datasets and stores elsewhere.

use super::{Arena, Disk, Id, Item, Keep, Setting};
use crate::source::{Span, Spanned};
use crate::value::{
    AbsolutePath, ByteSize, DatasetPath, DatasetUse, DevicePath, HostAddress, Line, LogLayout,
    Name, PoolLayout, SecretName,
};

/// Where bytes lie.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    /// The most that the ZFS cache takes.
    pub arc_max: Option<Spanned<ByteSize>>,
    /// The least that the ZFS cache keeps.
    pub arc_min: Option<Spanned<ByteSize>>,
    /// ZFS pools.
    pub pools: Arena<Pool>,
    /// Datasets.
    pub datasets: Arena<Dataset>,
    /// Stores elsewhere.
    pub external: Arena<External>,
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
    /// The compression.
    pub compression: Setting<String>,
    /// Whether freed blocks are told to the disks.
    pub autotrim: Setting<bool>,
    /// Further vdevs, in the order special, log, cache, spare.
    pub vdevs: Vec<Vdev>,
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
    /// Its name below the pool.
    pub path: Setting<DatasetPath>,
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
}

/// A reference to a dataset or to a store elsewhere, by the name that both share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreRef {
    /// A dataset.
    Dataset(Id<Dataset>),
    /// A store elsewhere.
    External(Id<External>),
}

/// A dataset or a store elsewhere.
#[derive(Debug, Clone, Copy)]
pub enum Store<'a> {
    /// A dataset.
    Dataset(&'a Dataset),
    /// A store elsewhere.
    External(&'a External),
}

impl Store<'_> {
    /// Its name; the storage's name in Proxmox VE.
    pub fn name(&self) -> &Spanned<String> {
        match self {
            Self::Dataset(dataset) => &dataset.name,
            Self::External(external) => &external.name,
        }
    }

    /// What it is for.
    pub fn uses(&self) -> &[Spanned<DatasetUse>] {
        match self {
            Self::Dataset(dataset) => &dataset.uses,
            Self::External(external) => &external.uses,
        }
    }

    /// Whether it is for `wanted`.
    pub fn is_for(&self, wanted: DatasetUse) -> bool {
        self.uses().iter().any(|u| u.value == wanted)
    }
}

impl Storage {
    /// The store that a reference names.
    pub fn store(&self, store: StoreRef) -> Store<'_> {
        match store {
            StoreRef::Dataset(id) => Store::Dataset(&self.datasets[id]),
            StoreRef::External(id) => Store::External(&self.external[id]),
        }
    }

    /// Every store: datasets, then those elsewhere.
    pub fn stores(&self) -> impl Iterator<Item = (StoreRef, Store<'_>)> {
        let datasets = self
            .datasets
            .iter()
            .map(|(id, dataset)| (StoreRef::Dataset(id), Store::Dataset(dataset)));
        datasets.chain(
            self.external
                .iter()
                .map(|(id, external)| (StoreRef::External(id), Store::External(external))),
        )
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
impl Item for External {
    fn name(&self) -> &str {
        &self.name
    }
}
