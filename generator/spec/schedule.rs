//! `[schedules.<name>]`.

use super::reader::{FromNode, Int, List, OneOf, Reader, Reference};
use super::schema_keys::JobOptions;
use super::table::table;
use crate::calendar::{Calendar, TimeSpan};
use crate::value::{
    BackupMode, Compress, FlakeReference, Line, Reboot, SmartKind, TaskKind, UnitName,
};
use crate::value::{Node, Value};

table! {
    /// One of `[schedules]`.
    ScheduleSpec {
        /// What runs.
        "task" task: req OneOf<TaskKind>;
        /// When.
        "on" on: req Calendar;
        /// How much later at random, at most.
        "random-delay" random_delay: opt TimeSpan;
        /// Whether a run that was missed is made up for; on where left out.
        "persistent" persistent: opt bool;
        /// How long it may take.
        "timeout" timeout: opt TimeSpan;
        /// Whether it runs at all; on where left out.
        "enabled" enabled: opt bool;
        /// The guests that it is about, or `"all"`.
        "guests" guests: opt GuestList;
        /// Whether the machine restarts: updates.
        "reboot" reboot: opt OneOf<Reboot>;
        /// The store that backups go to or come from.
        "storage" storage: opt Reference;
        /// How a guest is caught for a backup; `snapshot` where left out.
        "mode" mode: opt OneOf<BackupMode>;
        /// How a backup is compressed; `zstd` where left out.
        "compress" compress: opt OneOf<Compress>;
        /// What is kept: backups, snapshots.
        "keep" keep: opt KeepSpec;
        /// The notes of a backup, with Proxmox VE's variables.
        "notes" notes: opt Line;
        /// Guests that a backup of all leaves out.
        "exclude" exclude: opt List<Reference>;
        /// The guest that is rehearsed.
        "guest" guest: opt Reference;
        /// Datasets that snapshots are taken of.
        "datasets" datasets: opt List<Reference>;
        /// Whether snapshots are taken of what lies below, too; on where left out.
        "recursive" recursive: opt bool;
        /// Pools that are scrubbed or trimmed.
        "pools" pools: opt List<Reference>;
        /// Disks that are tested.
        "disks" disks: opt List<Reference>;
        /// The kind of test; `short` where left out.
        "kind" kind: opt OneOf<SmartKind>;
        /// The flake that a NixOS guest is built from.
        "flake" flake: opt FlakeReference;
        /// Whether an update of NixOS moves the flake's inputs to their newest; off, it follows the flake's own lock file. On
        /// where left out.
        "update-inputs" update_inputs: opt bool;
        /// Whether a guest that fails its health check goes back; for NixOS on where left out, for Windows off.
        "rollback" rollback: opt bool;
        /// Whether the host drives an update of Windows, with a snapshot before it; off where left out.
        "snapshot" snapshot: opt bool;
        /// Units that must be active after an update.
        "health" health: opt List<UnitName>;
        /// Options of Proxmox VE that moxc would write into a backup job by itself and that stay out, as `notes-template`.
        "unset" unset: opt List<Line>;
        ..JobOptions
    }

    /// What is kept of backups and snapshots.
    KeepSpec {
        /// The newest so many.
        "last" last: opt Int<0, 100_000>;
        /// The newest of each of so many hours.
        "hourly" hourly: opt Int<0, 100_000>;
        /// The newest of each of so many days.
        "daily" daily: opt Int<0, 100_000>;
        /// The newest of each of so many weeks.
        "weekly" weekly: opt Int<0, 100_000>;
        /// The newest of each of so many months.
        "monthly" monthly: opt Int<0, 100_000>;
        /// The newest of each of so many years.
        "yearly" yearly: opt Int<0, 100_000>;
        /// Everything.
        "all" all: opt bool;
    }
}

/// Guests by name, or all.
#[derive(Debug, Clone)]
pub enum GuestList {
    /// `"all"`.
    All,
    /// By name.
    Names(List<Reference>),
}

impl FromNode for GuestList {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::String(text) if text == "all" => Some(Self::All),
            Value::Array(_) => List::from_node(node, reader).map(Self::Names),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Table(_) => {
                reader.wrong_type(node, "a list of guests, or \"all\"");
                None
            }
        }
    }
}

impl schemars::JsonSchema for GuestList {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "GuestList".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [{ "const": "all" }, { "type": "array", "items": { "type": "string" } }] })
    }
}
