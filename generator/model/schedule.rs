//! What runs when.

use super::{Dataset, Disk, Guest, Id, Item, Pool, Setting, StoreRef};
use crate::calendar::{Calendar, TimeSpan};
use crate::source::{Span, Spanned};
use crate::value::{
    BackupMode, Compress, FlakeReference, Line, Reboot, SmartKind, TaskKind, UnitName,
};

/// A schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Its name in the spec.
    pub name: Spanned<String>,
    /// Where its table stands.
    pub span: Span,
    /// When it runs.
    pub on: Setting<Calendar>,
    /// How much later at random, at most.
    pub random_delay: Option<Spanned<TimeSpan>>,
    /// Whether a missed run is made up for.
    pub persistent: Setting<bool>,
    /// How long it may take.
    pub timeout: Option<Spanned<TimeSpan>>,
    /// Whether it runs at all.
    pub enabled: Setting<bool>,
    /// What runs.
    pub task: Task,
    /// Where the task is named.
    pub task_span: Span,
}

/// Guests of a task.
#[derive(Debug, Clone)]
pub enum Guests {
    /// Every guest of the host that the task can be about.
    All,
    /// By name.
    Named(Vec<Spanned<Id<Guest>>>),
}

/// What runs.
#[derive(Debug, Clone)]
pub enum Task {
    /// Updates the host.
    ProxmoxUpdate {
        /// Whether it restarts.
        reboot: Setting<Reboot>,
    },
    /// Tidies the host.
    ProxmoxMaintenance,
    /// Backs up guests.
    VzdumpBackup {
        /// Which.
        guests: Setting<Guests>,
        /// Which not.
        exclude: Vec<Spanned<Id<Guest>>>,
        /// Where to.
        storage: Setting<Option<StoreRef>>,
        /// How a guest is caught.
        mode: Setting<BackupMode>,
        /// How a backup is compressed.
        compress: Setting<Compress>,
        /// What is kept.
        keep: Option<Spanned<Keep>>,
        /// The notes of a backup.
        notes: Option<Spanned<Line>>,
    },
    /// Restores a backup to try it.
    BackupRehearsal {
        /// Of which guest.
        guest: Spanned<Id<Guest>>,
        /// Where from.
        storage: Setting<Option<StoreRef>>,
    },
    /// Takes and prunes snapshots.
    ZfsSnapshot {
        /// Of which datasets.
        datasets: Vec<Spanned<Id<Dataset>>>,
        /// What is kept.
        keep: Option<Spanned<Keep>>,
        /// Also of what lies below.
        recursive: Setting<bool>,
    },
    /// Reads every block of pools.
    ZfsScrub {
        /// Which.
        pools: Vec<Spanned<Id<Pool>>>,
    },
    /// Tells flash what is free.
    ZfsTrim {
        /// Of which pools.
        pools: Vec<Spanned<Id<Pool>>>,
    },
    /// Runs disks' self-tests.
    SmartTest {
        /// Of which disks.
        disks: Vec<Spanned<Id<Disk>>>,
        /// Which test.
        kind: Setting<SmartKind>,
    },
    /// Updates NixOS guests.
    NixosFlakeUpdate {
        /// Which.
        guests: Setting<Guests>,
        /// From which flake.
        flake: Option<Spanned<FlakeReference>>,
        /// Whether one that fails goes back.
        rollback: Setting<bool>,
        /// Units that must be active.
        health: Vec<Spanned<UnitName>>,
        /// Whether it restarts.
        reboot: Setting<Reboot>,
    },
    /// Updates Windows guests.
    WindowsUpdate {
        /// Which.
        guests: Setting<Guests>,
        /// Whether it restarts.
        reboot: Setting<Reboot>,
        /// Whether the host drives it, with a snapshot before it.
        snapshot: Setting<bool>,
        /// Whether a guest that fails goes back to the snapshot.
        rollback: Setting<bool>,
    },
    /// Tidies Windows guests.
    WindowsMaintenance {
        /// Which.
        guests: Setting<Guests>,
        /// Whether it restarts.
        reboot: Setting<Reboot>,
    },
}

impl Task {
    /// Its kind.
    pub fn kind(&self) -> TaskKind {
        match self {
            Self::ProxmoxUpdate { .. } => TaskKind::ProxmoxUpdate,
            Self::ProxmoxMaintenance => TaskKind::ProxmoxMaintenance,
            Self::VzdumpBackup { .. } => TaskKind::VzdumpBackup,
            Self::BackupRehearsal { .. } => TaskKind::BackupRehearsal,
            Self::ZfsSnapshot { .. } => TaskKind::ZfsSnapshot,
            Self::ZfsScrub { .. } => TaskKind::ZfsScrub,
            Self::ZfsTrim { .. } => TaskKind::ZfsTrim,
            Self::SmartTest { .. } => TaskKind::SmartTest,
            Self::NixosFlakeUpdate { .. } => TaskKind::NixosFlakeUpdate,
            Self::WindowsUpdate { .. } => TaskKind::WindowsUpdate,
            Self::WindowsMaintenance { .. } => TaskKind::WindowsMaintenance,
        }
    }
}

/// What is kept of backups or snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// The newest so many.
    pub last: Option<u32>,
    /// The newest of each of so many hours.
    pub hourly: Option<u32>,
    /// The newest of each of so many days.
    pub daily: Option<u32>,
    /// The newest of each of so many weeks.
    pub weekly: Option<u32>,
    /// The newest of each of so many months.
    pub monthly: Option<u32>,
    /// The newest of each of so many years.
    pub yearly: Option<u32>,
    /// Everything.
    pub all: bool,
}

impl Keep {
    /// The rules with their words, in Proxmox VE's order, without `all`.
    pub fn rules(&self) -> impl Iterator<Item = (&'static str, u32)> {
        [
            ("last", self.last),
            ("hourly", self.hourly),
            ("daily", self.daily),
            ("weekly", self.weekly),
            ("monthly", self.monthly),
            ("yearly", self.yearly),
        ]
        .into_iter()
        .filter_map(|(word, number)| number.map(|n| (word, n)))
    }

    /// The most copies that are kept at once, as the rules add up; none where everything is kept.
    pub fn most(&self) -> Option<u64> {
        (!self.all).then(|| self.rules().map(|(_, n)| u64::from(n)).sum())
    }
}

impl Item for Schedule {
    fn name(&self) -> &str {
        &self.name
    }
}
