//! What differs between what a spec wants of a host and what the host is, and what it costs to change it.
//!
//! Comes in: the files that a build emits, and a [`Snapshot`](crate::live::Snapshot). Goes out: a [`Plan`] of
//! [`Change`]s by identity, each with when it takes effect, what it interrupts, what becomes of data, the commands and
//! their undo; and what is foreign. Everything is compared as Proxmox VE understands it, so that spelling, order and
//! defaults are no difference. Nothing here decides what is done: that is [`crate::apply`]'s.

pub mod classes;
mod compare;
pub mod costs;
mod firewall;
mod guests;
mod items;
mod judge;
mod pair;
mod parse;
mod pools;
mod raw;
pub mod render;
mod replication;
mod storage;
pub(crate) mod value;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

pub use classes::Class;
pub(crate) use compare::interfaces_elsewhere;
pub use compare::{Applied, Wanted, changes_of_guest, compare};
pub(crate) use parse::{
    ALIASES, firewall_entry, node_of_map, option_of as option_of_interface, section_texts,
    unbroken, whole_lines,
};

use crate::live::Unread;
use crate::pve::MappingKind;
use crate::shell::Command;
use crate::source::Span;

/// What differs on one host.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The host's name.
    pub host: String,
    /// What would change, by object.
    pub changes: Vec<Change>,
    /// What the host has and the spec does not: it is left alone.
    pub foreign: Vec<Foreign>,
    /// What could not be compared.
    pub unread: Vec<Unread>,
    /// The names of the guests that change.
    pub names: BTreeMap<Object, String>,
}

impl Plan {
    /// Whether nothing differs.
    pub fn is_same(&self) -> bool {
        self.changes.is_empty()
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is about.
    pub object: Object,
    /// Proxmox VE's own name of the option, a sub-option behind a dot; none where the whole object comes or goes.
    pub option: Option<String>,
    /// What the host has; none where the option is absent.
    pub before: Option<String>,
    /// What the spec wants; none where it is to go.
    pub after: Option<String>,
    /// When it takes effect, and what it costs.
    pub class: Class,
    /// Who changed something since the last run.
    pub cause: Cause,
    /// What brings it about.
    pub commands: Vec<Command>,
    /// What takes it back.
    pub undo: Vec<Command>,
    /// Where the spec says so.
    pub spec: Option<Span>,
    /// The line that holds it, for who changes the host.
    pub line: Option<Line>,
}

/// A line of a file on the host, before and after a change: several changes may be of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The file, without the leading `/`.
    pub path: String,
    /// An option of a guest; `SECTION⇥property`; a word of a command line.
    pub key: String,
    /// The whole value on the host.
    pub before: Option<String>,
    /// The whole value that is wanted.
    pub after: Option<String>,
}

/// Files of sections that the web interface writes, and of which moxc writes what the spec keeps of them.
pub const OTHER_SECTIONS: &[&str] = &[
    "etc/pve/ha/groups.cfg",
    "etc/pve/ha/resources.cfg",
    "etc/pve/ha/rules.cfg",
    "etc/pve/replication.cfg",
    "etc/pve/sdn/controllers.cfg",
    "etc/pve/sdn/dns.cfg",
    "etc/pve/sdn/ipams.cfg",
    "etc/pve/sdn/zones.cfg",
    "etc/pve/sdn/vnets.cfg",
    "etc/pve/sdn/subnets.cfg",
    "etc/pve/notifications.cfg",
    "etc/pve/domains.cfg",
    "etc/pve/status.cfg",
];

/// What a change is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A pool.
    Pool(String),
    /// A dataset.
    Dataset(String),
    /// A volume group, or a thin pool in one.
    Lvm(String),
    /// A storage of Proxmox VE.
    Storage(String),
    /// A mapping of devices or folders.
    Mapping(MappingKind, String),
    /// A virtual machine.
    Vm(u32),
    /// A container.
    Ct(u32),
    /// A job.
    Job(String),
    /// A section of another file of the cluster that many write, by the file's path: HA, replication, SDN, notifications.
    Section(&'static str, String),
    /// A file of the firewall: `cluster`, `host`, a VMID.
    Firewall(String),
    /// A unit of systemd.
    Unit(String),
    /// Any other file, by its path without the leading `/`.
    File(String),
    /// An interface.
    Interface(String),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(name) => write!(f, "pool/{name}"),
            Self::Dataset(name) => write!(f, "dataset/{name}"),
            Self::Lvm(name) => write!(f, "lvm/{name}"),
            Self::Storage(name) => write!(f, "storage/{name}"),
            Self::Mapping(kind, name) => write!(f, "mapping/{}/{name}", kind.name()),
            Self::Vm(vmid) => write!(f, "vm/{vmid}"),
            Self::Ct(vmid) => write!(f, "ct/{vmid}"),
            Self::Job(name) => write!(f, "job/{name}"),
            Self::Section(path, id) => {
                let name = path.trim_start_matches("etc/pve/").trim_end_matches(".cfg");
                write!(f, "{name}/{id}")
            }
            Self::Firewall(name) => write!(f, "firewall/{name}"),
            Self::Unit(name) => write!(f, "unit/{name}"),
            Self::File(path) => write!(f, "file/{path}"),
            Self::Interface(name) => write!(f, "interface/{name}"),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// When a change takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// As soon as it is made.
    Now,
    /// A command of its own makes it: growing or moving a disk.
    Command,
    /// At the guest's next start.
    Restart,
    /// At the host's next start.
    HostRestart,
    /// Not while the guest runs, or not at all as it is.
    Refused,
    /// Only by making the thing anew.
    Recreate,
}

impl When {
    /// Its word in the plan's JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Command => "command",
            Self::Restart => "restart",
            Self::HostRestart => "host-restart",
            Self::Refused => "refused",
            Self::Recreate => "recreate",
        }
    }

    /// What it means, in a sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Now => "a change that takes effect at once",
            Self::Command => "a change that a command of its own makes",
            Self::Restart => "a change that takes effect at the guest's next start",
            Self::HostRestart => "a change that takes effect at the host's next start",
            Self::Refused => "a change that Proxmox VE refuses as things are",
            Self::Recreate => "a change for which the thing has to be made anew",
        }
    }
}

/// How Proxmox VE shows a change until it is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// It is in force.
    Live,
    /// As a pending change.
    Pending,
    /// Nowhere.
    Silent,
}

impl Shown {
    /// Its word in the plan's JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Pending => "pending",
            Self::Silent => "silent",
        }
    }
}

/// What a change interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interrupts {
    /// Nothing.
    Nothing,
    /// A device of the guest.
    Device,
    /// The guest.
    Guest,
    /// The network.
    Network,
    /// The host.
    Host,
}

impl Interrupts {
    /// Its word in the plan's JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Device => "device",
            Self::Guest => "guest",
            Self::Network => "network",
            Self::Host => "host",
        }
    }
}

/// What becomes of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// It stays where it is.
    Kept,
    /// It stays, and nothing uses it any more.
    Detached,
    /// It is gone.
    Destroyed,
}

impl Data {
    /// Its word in the plan's JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Detached => "detached",
            Self::Destroyed => "destroyed",
        }
    }
}

/// Who changed something since the last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The spec.
    Spec,
    /// Somebody on the host.
    Host,
    /// Both, to different values.
    Both,
    /// Nobody knows: the host has no record of a last run.
    Unknown,
}

impl Cause {
    /// Of three sides: what the last run left, what is there, what is wanted.
    fn of(left: Option<&str>, before: Option<&str>, after: Option<&str>) -> Self {
        if left == before {
            Self::Spec
        } else if left == after {
            Self::Host
        } else {
            Self::Both
        }
    }

    /// Its word in the plan's JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Host => "host",
            Self::Both => "both",
            Self::Unknown => "unknown",
        }
    }
}

/// Something that the host has and the spec does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Foreign {
    /// What it is, or what it is of.
    pub object: Object,
    /// Its own name, where its object's is a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The option; none where the whole object is foreign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Whether it is a change that waits for the guest's next start.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
}

impl Foreign {
    /// A whole object.
    pub fn object(object: Object, name: Option<&str>) -> Self {
        Self {
            object,
            name: name.map(str::to_owned),
            option: None,
            before: None,
            pending: false,
        }
    }

    /// An option of a guest that becomes this, or goes, at its next start.
    pub fn waiting(object: Object, option: &str, becomes: Option<&str>) -> Self {
        Self {
            pending: true,
            ..Self::option(object, option, becomes.unwrap_or_default())
        }
    }

    /// An option of an object.
    pub fn option(object: Object, option: &str, before: &str) -> Self {
        Self {
            object,
            name: None,
            option: Some(option.to_owned()),
            before: Some(before.to_owned()),
            pending: false,
        }
    }
}

impl Change {
    /// What a guest's disk is moved and resized by comes before what is set of it then, as it is done.
    fn place(&self) -> (&Object, Option<&str>, bool, &Option<String>) {
        let option = self.option.as_deref();
        let of_guest = matches!(self.object, Object::Vm(_) | Object::Ct(_));
        let key = option.map(|option| match option.split_once('.') {
            Some((key, _)) if of_guest => key,
            Some(_) | None => option,
        });
        let is_set = self.class.when != When::Command;
        (&self.object, key, is_set, &self.option)
    }
}

/// Objects in the order in which they are built on each other, options by their names.
fn in_order(one: &Change, other: &Change) -> Ordering {
    one.place().cmp(&other.place())
}

/// What `--fail-on` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cost {
    /// The restart of a guest, or making it anew.
    Restart,
    /// The restart of the host.
    HostRestart,
    /// The network.
    Network,
    /// Data that is detached, destroyed, or on something that is made anew.
    DataLoss,
}

impl Cost {
    /// Every cost.
    pub const ALL: [Self; 4] = [
        Self::Restart,
        Self::HostRestart,
        Self::Network,
        Self::DataLoss,
    ];

    /// Its word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::HostRestart => "host-restart",
            Self::Network => "network",
            Self::DataLoss => "data-loss",
        }
    }

    /// Whether a change costs this.
    pub fn is_of(self, change: &Change) -> bool {
        let class = &change.class;
        match self {
            Self::Restart => class.when == When::Restart || class.interrupts == Interrupts::Guest,
            Self::HostRestart => class.when == When::HostRestart,
            Self::Network => class.interrupts == Interrupts::Network,
            Self::DataLoss => class.data != Data::Kept,
        }
    }
}

#[cfg(test)]
mod tests;
