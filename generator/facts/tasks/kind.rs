//! What a kind of task says of itself.

use jiff::SignedDuration;

use super::Job;
use crate::model::{Arena, Dataset, Disk, Guest, Host, Id, Item, Pool};
use crate::source::Spanned;

/// What is known of a schedule by the kind of its task.
pub(super) struct Kind<'a> {
    /// What it is about.
    pub about: About<'a>,
    /// Who runs it.
    pub runs: Runs,
    /// What looks each day for what it would do, and does nothing; nothing where there is no such look.
    pub look: Option<Job>,
    /// How long a run is thought to take where the spec does not say: on the long side of what is common. Zero where it goes on
    /// after a restart, or costs nothing when it is broken off.
    pub estimate: SignedDuration,
    /// How long systemd lets it run.
    pub limit: Limit,
    /// What is lost where the host restarts in the midst of a run.
    pub loss: Option<Loss>,
}

/// What a schedule is about.
#[derive(Debug, Clone, Copy)]
pub enum About<'a> {
    /// The host.
    Host,
    /// Guests.
    Guests(&'a [Spanned<Id<Guest>>]),
    /// Datasets.
    Datasets(&'a [Spanned<Id<Dataset>>]),
    /// Pools.
    Pools(&'a [Spanned<Id<Pool>>]),
    /// Disks.
    Disks(&'a [Spanned<Id<Disk>>]),
}

impl<'a> About<'a> {
    /// Whether there is nothing of what it is about.
    pub fn is_empty(self) -> bool {
        match self {
            Self::Host => false,
            Self::Guests(ids) => ids.is_empty(),
            Self::Datasets(ids) => ids.is_empty(),
            Self::Pools(ids) => ids.is_empty(),
            Self::Disks(ids) => ids.is_empty(),
        }
    }

    /// What one of them is called.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Guests(_) => "guest",
            Self::Datasets(_) => "dataset",
            Self::Pools(_) => "pool",
            Self::Disks(_) => "disk",
        }
    }

    /// The names that the spec gives to them, in its order.
    pub fn names(self, host: &'a Host) -> Vec<&'a str> {
        match self {
            Self::Host => vec![host.name.as_str()],
            Self::Guests(ids) => names(&host.guests, ids),
            Self::Datasets(ids) => names(&host.storage.datasets, ids),
            Self::Pools(ids) => names(&host.storage.pools, ids),
            Self::Disks(ids) => names(&host.hardware.disks, ids),
        }
    }
}

fn names<'a, T: Item>(items: &'a Arena<T>, ids: &[Spanned<Id<T>>]) -> Vec<&'a str> {
    ids.iter().map(|id| items[id.value].name()).collect()
}

/// Who runs a schedule.
#[derive(Debug)]
pub enum Runs {
    /// A tool of the host, by a timer of systemd.
    OnHost(Job),
    /// Proxmox VE's own scheduler: a job of `/etc/pve/jobs.cfg`.
    AsBackupJob,
    /// The timers of its NixOS guests.
    InNixos,
    /// The scheduled tasks of its Windows guests.
    InWindows,
    /// Nobody: nothing is left that it is about.
    Nowhere,
}

impl Runs {
    /// A tool of the host, where there is something that it is about: called with no name it fails.
    pub(super) fn tool(job: Job, about: About<'_>) -> Self {
        if about.is_empty() {
            Self::Nowhere
        } else {
            Self::OnHost(job)
        }
    }
}

/// How long systemd lets a run go on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    /// What the spec says, else so long.
    Run(&'static str),
    /// The tool keeps the time guest by guest, and systemd would end it on its way back: each has what the spec says, or six
    /// hours, and two for the way back.
    EachGuest {
        /// How many.
        guests: usize,
    },
}

/// What is lost where the host restarts in the midst of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The backup that runs.
    Backup,
    /// The rehearsal: a guest that is half restored stays.
    Rehearsal,
    /// Guests that are in the middle of an update.
    Guests,
}
