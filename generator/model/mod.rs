//! The host as understood: defaults filled in, names replaced by references, guests of both kinds together.
//!
//! Comes in from [`resolve`](crate::resolve). Everything after it reads the model and never the spec. A model that was
//! built from a faulty spec is partial ([`Host::complete`] is false): checks run on it so that a user sees all errors at
//! once, targets never do.

mod arena;
pub mod boot;
pub mod guest;
pub mod hardware;
pub mod network;
pub mod schedule;
pub mod storage;

pub use arena::{Arena, Id, Item};
pub use boot::{Boot, Kept, KeptText, ModuleOptions};
pub use guest::{
    Autostart, CloudInit, CloudInitStated, Container, ContainerDevice, ContainerMount, DiskSource,
    EfiDisk, FirewallAction, FirewallAlias, FirewallOptions, FirewallRule, FirewallSet, Gateway,
    Guest, GuestFirewall, GuestKind, GuestNic, GuestUsb, Image, MountSource, NixosGuest,
    NixosScript, NixosUser, PassedDevice, Passthrough, RustSetup, Share, Steam, TpmState,
    UsbSource, Vm, VmDisk, WindowsAccount, WindowsDomain, WindowsGuest,
};
pub use hardware::{Cpu, Disk, Hardware, Memory, Nic, PciDevice, UsbDevice};
pub use network::{
    Addressing, Bond, Bridge, Forward, HostInterface, Leg, LegId, Link, Machine, Network, Port,
    PortDevice, Route, Segment,
};
pub use schedule::*;
pub use storage::{
    Dataset, Encryption, External, ExternalPlace, Import, Local, LocalStatement, Lvm, Medium,
    Placement, Pool, Storage, Store, StoreRef, Vdev, VdevRole, VolumeSource,
};

use crate::diagnostics::Lints;
use crate::pve::{PveOption, Release};
use crate::source::{Span, Spanned};
use crate::value::{
    AbsolutePath, ByteSize, CountryCode, DnsName, Email, HostName, HoursOff, KeyboardLayout,
    Platform, ReleaseTag, SecretName, SshKey, TimeZoneName,
};

/// What binds hosts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinship {
    /// They are compiled in one call: each needs a folder of its own.
    SameCall,
    /// They are one fleet: names, MAC addresses and addresses are unique.
    Fleet,
    /// They are one cluster of Proxmox VE: VMIDs are unique, too.
    Cluster,
}

/// A value of the model, where it stands in the spec, and whether the spec says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it stands; for a default, the table that leaves it out.
    pub span: Span,
    /// Who says it.
    pub given: Given,
}

/// Who says a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// The spec.
    Written,
    /// Nobody: a default.
    Default,
    /// Nobody, though it is required: reported, and the value is a stand-in.
    Missing,
}

impl<T> Setting<T> {
    /// A value of the spec.
    pub fn written(value: T, span: Span) -> Self {
        Self {
            value,
            span,
            given: Given::Written,
        }
    }

    /// A default of the table at `span`.
    pub fn default(value: T, span: Span) -> Self {
        Self {
            value,
            span,
            given: Given::Default,
        }
    }

    /// The spec's value, or the default of the table at `span`.
    pub fn or_default(written: Option<Spanned<T>>, default: T, span: Span) -> Self {
        written.map_or_else(
            || Self::default(default, span),
            |w| Self::written(w.value, w.span),
        )
    }

    /// The spec's value, or a stand-in for one whose absence has been reported.
    pub fn or_missing(written: Option<Spanned<T>>, stand_in: T, span: Span) -> Self {
        written.map_or(
            Self {
                value: stand_in,
                span,
                given: Given::Missing,
            },
            |w| Self::written(w.value, w.span),
        )
    }

    /// Whether the spec says it.
    pub fn is_written(&self) -> bool {
        self.given == Given::Written
    }

    /// Whether it is a stand-in: checks leave it alone.
    pub fn is_missing(&self) -> bool {
        self.given == Given::Missing
    }
}

impl<T> std::ops::Deref for Setting<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// One host and everything on it.
#[derive(Debug, Clone)]
pub struct Host {
    /// Whether the whole spec was understood.
    pub complete: bool,
    /// Whether all of `[host]` was understood.
    pub understood: bool,
    /// Where `[host]` stands.
    pub span: Span,
    /// The host's name; Proxmox VE's node name.
    pub name: Setting<HostName>,
    /// Its DNS domain.
    pub domain: Setting<DnsName>,
    /// What runs on the metal.
    pub platform: Setting<Platform>,
    /// The Proxmox VE release.
    pub release: Setting<Release>,
    /// The time zone.
    pub timezone: Setting<TimeZoneName>,
    /// The country, for the installation.
    pub country: Setting<CountryCode>,
    /// The keyboard of the console.
    pub keyboard: Setting<KeyboardLayout>,
    /// Where reports go.
    pub email: Option<Spanned<Email>>,
    /// The release that the state of a NixOS host is kept for.
    pub state_version: Option<Spanned<ReleaseTag>>,
    /// Keys that may log in as root.
    pub ssh_keys: Vec<Spanned<SshKey>>,
    /// The secret that holds root's hashed password for the installation.
    pub root_password_secret: Option<Spanned<SecretName>>,
    /// What every budget keeps for the host.
    pub reserve: Reserve,
    /// Whether the lost console is accepted.
    pub headless: Setting<bool>,
    /// Whether moxc's own commands come with it.
    pub tools: Setting<bool>,
    /// The hours of the day in which it is switched off.
    pub powered_off: Option<Spanned<HoursOff>>,
    /// The levels of warnings.
    pub lints: Lints,
    /// What is in the machine.
    pub hardware: Hardware,
    /// What the kernel is told.
    pub boot: Boot,
    /// What every backup does, by Proxmox VE's own names.
    pub vzdump: Vec<PveOption>,
    /// Options of it that moxc would write by itself and that stay out.
    pub vzdump_unset: Vec<Spanned<crate::value::Line>>,
    /// What holds on every node, by Proxmox VE's own names.
    pub datacenter: Vec<PveOption>,
    /// What is kept of the host's own files.
    pub kept: Vec<Kept>,
    /// Bridges, bonds, machines.
    pub network: Network,
    /// Pools, datasets, stores.
    pub storage: Storage,
    /// Virtual machines and containers, in the order of their VMIDs.
    pub guests: Arena<Guest>,
    /// What runs when.
    pub schedules: Arena<Schedule>,
}

/// What every budget keeps for the host itself.
#[derive(Debug, Clone)]
pub struct Reserve {
    /// Memory.
    pub memory: Setting<ByteSize>,
    /// Threads.
    pub threads: Setting<u32>,
}

impl Host {
    /// Name and domain: `pve1.home.arpa`.
    pub fn fqdn(&self) -> String {
        format!("{}.{}", self.name.as_str(), self.domain.as_str())
    }

    /// The files that the spec leaves to the host, by their paths without the first `/`.
    pub fn untouched(&self) -> impl Iterator<Item = &str> {
        let left = self.kept.iter().filter(|kept| match &kept.what {
            KeptText::Untouched => true,
            KeptText::Lines(_) | KeptText::Text(_) | KeptText::Sections(_) => false,
        });
        left.map(|kept| kept.path.as_str())
    }

    /// The virtual machines, in the order of their VMIDs.
    pub fn vms(&self) -> impl Iterator<Item = (Id<Guest>, &Guest, &Vm)> {
        self.guests
            .iter()
            .filter_map(|(id, guest)| match &guest.kind {
                GuestKind::Vm(vm) => Some((id, guest, &**vm)),
                GuestKind::Container(_) => None,
            })
    }

    /// The containers, in the order of their VMIDs.
    pub fn containers(&self) -> impl Iterator<Item = (Id<Guest>, &Guest, &Container)> {
        self.guests
            .iter()
            .filter_map(|(id, guest)| match &guest.kind {
                GuestKind::Container(container) => Some((id, guest, &**container)),
                GuestKind::Vm(_) => None,
            })
    }

    /// The name of a dataset in ZFS: `rpool/vm-disks`, or `tank` for a pool's root.
    pub fn zfs_name(&self, dataset: Id<Dataset>) -> String {
        let dataset = &self.storage.datasets[dataset];
        let pool = self.storage.pools[dataset.pool.value].name.as_str();
        match &dataset.path.value {
            Some(path) => format!("{pool}/{}", path.as_str()),
            None => pool.to_owned(),
        }
    }

    /// Where a dataset is mounted on the host. A dataset of zvols alone has no files but the same rule.
    pub fn mountpoint(&self, dataset: Id<Dataset>) -> AbsolutePath {
        let item = &self.storage.datasets[dataset];
        item.mountpoint.as_ref().map_or_else(
            || {
                let path = format!("/{}", self.zfs_name(dataset));
                path.parse()
                    .expect("names of pools and datasets make a plain path")
            },
            |path| path.value.clone(),
        )
    }
}
