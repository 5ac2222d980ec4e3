//! What runs when.

use super::{Dataset, Disk, Guest, Id, Item, Pool, Setting, StoreRef};
use crate::calendar::{Calendar, TimeSpan};
use crate::pve::PveOption;
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

/// The guests of a task.
#[derive(Debug, Clone)]
pub struct TaskGuests {
    /// Whether the spec says every guest that the task can be about, instead of names.
    pub all: bool,
    /// Those that it is about, in order, each with the place that says so. Of all, only those whose system fits, and for
    /// a backup that want one and are not excluded; of names, those whose system fits.
    pub ids: Vec<Spanned<Id<Guest>>>,
}

impl TaskGuests {
    /// The guests.
    pub fn iter(&self) -> impl Iterator<Item = Id<Guest>> + '_ {
        self.ids.iter().map(|id| id.value)
    }
}

/// What runs.
#[derive(Debug, Clone)]
pub enum Task {
    /// Updates the host.
    ProxmoxUpdate(ProxmoxUpdate),
    /// Tidies the host.
    ProxmoxMaintenance,
    /// Backs up guests.
    VzdumpBackup(VzdumpBackup),
    /// Restores a backup to try it.
    BackupRehearsal(BackupRehearsal),
    /// Takes and prunes snapshots.
    ZfsSnapshot(ZfsSnapshot),
    /// Reads every block of pools.
    ZfsScrub(ZfsScrub),
    /// Tells flash what is free.
    ZfsTrim(ZfsTrim),
    /// Runs disks' self-tests.
    SmartTest(SmartTest),
    /// Updates NixOS guests.
    NixosFlakeUpdate(NixosFlakeUpdate),
    /// Updates Windows guests.
    WindowsUpdate(WindowsUpdate),
    /// Tidies Windows guests.
    WindowsMaintenance(WindowsMaintenance),
}

/// An update of the host.
#[derive(Debug, Clone)]
pub struct ProxmoxUpdate {
    /// Whether it restarts.
    pub reboot: Setting<Reboot>,
}

/// A backup of guests.
#[derive(Debug, Clone)]
pub struct VzdumpBackup {
    /// Which: those that it holds.
    pub guests: Setting<TaskGuests>,
    /// Which not, of all.
    pub exclude: Vec<Spanned<Id<Guest>>>,
    /// Where to.
    pub storage: Setting<Option<StoreRef>>,
    /// How a guest is caught.
    pub mode: Setting<BackupMode>,
    /// How a backup is compressed.
    pub compress: Setting<Compress>,
    /// What is kept.
    pub keep: Option<Spanned<Keep>>,
    /// The notes of a backup.
    pub notes: Option<Spanned<Line>>,
    /// Further options of the job, by Proxmox VE's own names.
    pub schema: Vec<PveOption>,
    /// Options that stay out of the job.
    pub unset: Vec<Spanned<Line>>,
}

/// A restore of a backup, to try it.
#[derive(Debug, Clone)]
pub struct BackupRehearsal {
    /// Of which guest.
    pub guest: Spanned<Id<Guest>>,
    /// Where from.
    pub storage: Setting<Option<StoreRef>>,
}

/// Snapshots that are taken and pruned.
#[derive(Debug, Clone)]
pub struct ZfsSnapshot {
    /// Of which datasets.
    pub datasets: Vec<Spanned<Id<Dataset>>>,
    /// What is kept.
    pub keep: Option<Spanned<Keep>>,
    /// Also of what lies below.
    pub recursive: Setting<bool>,
}

/// Pools that are read through.
#[derive(Debug, Clone)]
pub struct ZfsScrub {
    /// Which.
    pub pools: Vec<Spanned<Id<Pool>>>,
}

/// Pools whose flash is told what is free.
#[derive(Debug, Clone)]
pub struct ZfsTrim {
    /// Which.
    pub pools: Vec<Spanned<Id<Pool>>>,
}

/// Self-tests of disks.
#[derive(Debug, Clone)]
pub struct SmartTest {
    /// Of which disks.
    pub disks: Vec<Spanned<Id<Disk>>>,
    /// Which test.
    pub kind: Setting<SmartKind>,
}

/// An update of NixOS guests.
#[derive(Debug, Clone)]
pub struct NixosFlakeUpdate {
    /// Which.
    pub guests: Setting<TaskGuests>,
    /// From which flake.
    pub flake: Option<Spanned<FlakeReference>>,
    /// Whether the flake's inputs are moved to their newest; its own lock file is followed where not.
    pub update_inputs: Setting<bool>,
    /// Whether one that fails goes back.
    pub rollback: Setting<bool>,
    /// Units that must be active.
    pub health: Vec<Spanned<UnitName>>,
    /// Whether it restarts.
    pub reboot: Setting<Reboot>,
}

/// An update of Windows guests.
#[derive(Debug, Clone)]
pub struct WindowsUpdate {
    /// Which.
    pub guests: Setting<TaskGuests>,
    /// Whether it restarts.
    pub reboot: Setting<Reboot>,
    /// Whether the host drives it, with a snapshot before it.
    pub snapshot: Setting<bool>,
    /// Whether a guest that fails goes back to the snapshot.
    pub rollback: Setting<bool>,
}

/// Windows guests that are tidied.
#[derive(Debug, Clone)]
pub struct WindowsMaintenance {
    /// Which.
    pub guests: Setting<TaskGuests>,
    /// Whether it restarts.
    pub reboot: Setting<Reboot>,
}

impl Task {
    /// Its kind.
    pub fn kind(&self) -> TaskKind {
        match self {
            Self::ProxmoxUpdate(_) => TaskKind::ProxmoxUpdate,
            Self::ProxmoxMaintenance => TaskKind::ProxmoxMaintenance,
            Self::VzdumpBackup(_) => TaskKind::VzdumpBackup,
            Self::BackupRehearsal(_) => TaskKind::BackupRehearsal,
            Self::ZfsSnapshot(_) => TaskKind::ZfsSnapshot,
            Self::ZfsScrub(_) => TaskKind::ZfsScrub,
            Self::ZfsTrim(_) => TaskKind::ZfsTrim,
            Self::SmartTest(_) => TaskKind::SmartTest,
            Self::NixosFlakeUpdate(_) => TaskKind::NixosFlakeUpdate,
            Self::WindowsUpdate(_) => TaskKind::WindowsUpdate,
            Self::WindowsMaintenance(_) => TaskKind::WindowsMaintenance,
        }
    }

    /// The guests that it works on; none where it is about the host, or tries a backup.
    pub fn guests(&self) -> Option<&Setting<TaskGuests>> {
        match self {
            Self::VzdumpBackup(task) => Some(&task.guests),
            Self::NixosFlakeUpdate(task) => Some(&task.guests),
            Self::WindowsUpdate(task) => Some(&task.guests),
            Self::WindowsMaintenance(task) => Some(&task.guests),
            Self::ProxmoxUpdate(_)
            | Self::ProxmoxMaintenance
            | Self::BackupRehearsal(_)
            | Self::ZfsSnapshot(_)
            | Self::ZfsScrub(_)
            | Self::ZfsTrim(_)
            | Self::SmartTest(_) => None,
        }
    }
}

/// A schedule that runs one kind of task; none where it runs another.
macro_rules! task_of_kind {
    ($($(#[$doc:meta])* $name:ident: $kind:ident;)*) => {
        impl Schedule {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> Option<&$kind> {
                    if let Task::$kind(task) = &self.task {
                        Some(task)
                    } else {
                        None
                    }
                }
            )*
        }
    };
}

task_of_kind! {
    /// An update of the host.
    host_update: ProxmoxUpdate;
    /// A backup of guests.
    backup: VzdumpBackup;
    /// A restore of a backup, to try it.
    rehearsal: BackupRehearsal;
    /// Snapshots.
    snapshots: ZfsSnapshot;
    /// A scrub of pools.
    scrub: ZfsScrub;
    /// A trim of pools.
    trim: ZfsTrim;
    /// Self-tests of disks.
    disk_test: SmartTest;
    /// An update of NixOS guests.
    nixos_update: NixosFlakeUpdate;
    /// An update of Windows guests.
    windows_update: WindowsUpdate;
    /// Windows guests that are tidied.
    windows_maintenance: WindowsMaintenance;
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

    /// For people: `keeps 7 daily, 4 weekly`.
    pub fn words(&self) -> String {
        if self.all {
            return "keeps all".to_owned();
        }
        let rules: Vec<String> = self
            .rules()
            .map(|(word, number)| format!("{number} {word}"))
            .collect();
        format!("keeps {}", rules.join(", "))
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
