//! When a change takes effect and what it costs.
//!
//! The facts are data (`classes.json`, made by `make.py` from Proxmox VE's own code), with the releases that they hold
//! for. [`of_option`] looks one up; [`slowest`] is what several changes of one line come to, since Proxmox VE applies a
//! line as a whole.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::{Data, Interrupts, Shown, When};
use crate::pve::{GuestKind, Release};

/// When a change takes effect, and what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class {
    /// When it takes effect.
    pub when: When,
    /// How it shows until then.
    pub shown: Shown,
    /// What it interrupts.
    pub interrupts: Interrupts,
    /// What becomes of data.
    pub data: Data,
}

impl Class {
    /// In force at once, and nobody notices.
    pub const NOW: Self = Self {
        when: When::Now,
        shown: Shown::Live,
        interrupts: Interrupts::Nothing,
        data: Data::Kept,
    };

    /// At the guest's next start, and shown as pending.
    pub const RESTART: Self = Self {
        when: When::Restart,
        shown: Shown::Pending,
        interrupts: Interrupts::Guest,
        data: Data::Kept,
    };

    /// At the host's next start.
    pub const HOST_RESTART: Self = Self {
        when: When::HostRestart,
        shown: Shown::Silent,
        interrupts: Interrupts::Host,
        data: Data::Kept,
    };

    /// The network is loaded anew.
    pub const NETWORK: Self = Self {
        interrupts: Interrupts::Network,
        ..Self::NOW
    };

    /// A command of its own does it.
    pub const COMMAND: Self = Self {
        when: When::Command,
        ..Self::NOW
    };

    /// Only a guest made anew has it, from its backup.
    pub const RECREATE: Self = Self {
        when: When::Recreate,
        shown: Shown::Live,
        interrupts: Interrupts::Guest,
        data: Data::Kept,
    };

    /// The same with another fate of data.
    #[must_use]
    pub const fn with_data(self, data: Data) -> Self {
        Self { data, ..self }
    }

    /// The same at another time.
    #[must_use]
    pub const fn at(self, when: When) -> Self {
        Self { when, ..self }
    }

    /// Its four words.
    pub fn words(&self) -> [&'static str; 4] {
        [
            self.when.as_str(),
            self.shown.as_str(),
            self.interrupts.as_str(),
            self.data.as_str(),
        ]
    }
}

/// What becomes of an option or a sub-option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It comes.
    Add,
    /// It has another value.
    Change,
    /// It goes.
    Remove,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
        }
    }

    /// By what is there before and after.
    pub fn of<T>(before: Option<&T>, after: Option<&T>) -> Self {
        match (before, after) {
            (None, _) => Self::Add,
            (Some(_), Some(_)) => Self::Change,
            (Some(_), None) => Self::Remove,
        }
    }
}

/// What of a guest decides on the class of its changes.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// Which kind of guest.
    pub kind: GuestKind,
    /// The host's release.
    pub release: Release,
    /// What may be plugged while the guest runs: `network`, `disk`, `usb`, `memory`, `cpu`, `cloudinit`.
    pub hotplug: Vec<String>,
    /// Whether the guest has a cloud-init drive.
    pub cloud_init_drive: bool,
    /// Whether the guest's system and machine take USB devices while they run.
    pub modern_system: bool,
}

impl Circumstances {
    fn hold(&self, condition: &str) -> bool {
        match condition {
            "cloud-init drive" => self.cloud_init_drive,
            "modern system" => self.modern_system,
            _ => condition
                .strip_prefix("hotplug ")
                .is_some_and(|feature| self.hotplug.iter().any(|own| own == feature)),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Table {
    releases: Vec<Release>,
    sources: BTreeMap<String, BTreeMap<String, String>>,
    qemu: Rows,
    lxc: Rows,
}

/// By option, sub-option and kind of change.
type Rows = BTreeMap<String, BTreeMap<String, BTreeMap<String, Cell>>>;

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Cell {
    Word(String),
    If {
        #[serde(rename = "if")]
        condition: String,
        then: Box<Cell>,
        #[serde(rename = "else")]
        or: Box<Cell>,
    },
    Since {
        since: Vec<(Release, Cell)>,
    },
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(include_str!("classes.json")).expect("a test reads the built-in table")
});

/// The releases that the table was made from, oldest first.
pub fn releases() -> &'static [Release] {
    &TABLE.releases
}

/// The versions of Proxmox VE's packages that a release's rows were made from.
pub fn sources(release: &str) -> Option<&'static BTreeMap<String, String>> {
    TABLE.sources.get(release)
}

/// The class of one change of a guest that runs; `part` is the sub-option, empty for the option as a whole.
pub fn of_option(key: &str, part: &str, kind: Kind, circumstances: &Circumstances) -> Class {
    let rows = match circumstances.kind {
        GuestKind::Qm => &TABLE.qemu,
        GuestKind::Pct => &TABLE.lxc,
    };
    let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let row = rows.get(&format!("{base}[n]")).or_else(|| rows.get(key));
    let cell = row.and_then(|row| {
        let of = |part: &str| {
            let cells = row.get(part)?;
            cells
                .get("any")
                .or_else(|| cells.get(kind.as_str()))
                .or_else(|| cells.get("change"))
                .or_else(|| cells.values().next())
        };
        of(part).or_else(|| of(""))
    });
    // Proxmox VE's own default branch: what it knows no better for waits for the next start.
    cell.map_or(Class::RESTART, |cell| read(cell, circumstances))
}

fn read(cell: &Cell, circumstances: &Circumstances) -> Class {
    match cell {
        Cell::Word(word) => class(word),
        Cell::If {
            condition,
            then,
            or,
        } => read(
            if circumstances.hold(condition) {
                then
            } else {
                or
            },
            circumstances,
        ),
        Cell::Since { since } => {
            let fits = since
                .iter()
                .rev()
                .find(|(from, _)| circumstances.release >= *from);
            fits.or(since.first())
                .map_or(Class::RESTART, |(_, cell)| read(cell, circumstances))
        }
    }
}

fn class(words: &str) -> Class {
    let mut class = Class::NOW;
    for word in words.split(' ') {
        match word {
            "restart" => class.when = When::Restart,
            "refused" => class.when = When::Refused,
            "pending" => class.shown = Shown::Pending,
            "silent" => class.shown = Shown::Silent,
            "device" => class.interrupts = Interrupts::Device,
            "guest" => class.interrupts = Interrupts::Guest,
            "detached" => class.data = Data::Detached,
            "destroyed" => class.data = Data::Destroyed,
            _ => {}
        }
    }
    class
}

/// What changes of one line come to: as late as the latest of them, as costly as the costliest.
pub fn slowest(classes: impl IntoIterator<Item = Class>) -> Option<Class> {
    classes.into_iter().reduce(|one, other| {
        let (slow, fast) = if (other.when, other.shown == Shown::Pending)
            > (one.when, one.shown == Shown::Pending)
        {
            (other, one)
        } else {
            (one, other)
        };
        Class {
            interrupts: slow.interrupts.max(if slow.when == When::Now {
                fast.interrupts
            } else {
                slow.interrupts
            }),
            data: one.data.max(other.data),
            ..slow
        }
    })
}
