//! What all writers of parts of a spec share: the copy of the host, what has been decided, names.

use std::collections::{BTreeMap, BTreeSet};

use super::doc::{Part, Toml};
use crate::live::{LiveGuest, LiveNode, Snapshot};
use crate::pve::schema::{ConfigFile, OptionSchema, ValueType};
use crate::pve::{GuestKind, Release};
use crate::value::ByteSize;

/// What has turned out so far: each round of the proof adds to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Decided {
    /// Entries that stand as comments, with the error.
    pub(super) faulty: BTreeMap<(Part, String), String>,
    /// Whole parts that stand as comments, with the error.
    pub(super) out: BTreeMap<Part, String>,
    /// Options that are said in Proxmox VE's own words.
    pub(super) raw: BTreeSet<(Part, String)>,
    /// Options that moxc would write by itself and the guest does not have.
    pub(super) unset: BTreeSet<(Part, String)>,
    /// Sections, stanzas and files that are kept word for word, and why.
    pub(super) kept: BTreeMap<Part, String>,
    /// Files of which moxc writes nothing, and what it would have changed.
    pub(super) untouched: BTreeMap<String, String>,
}

impl Decided {
    /// Whether an option of a part is said in Proxmox VE's own words.
    pub(super) fn is_raw(&self, part: &Part, option: &str) -> bool {
        self.raw.contains(&(part.clone(), option.to_owned()))
    }

    /// What stands as a comment is written as it was before other ways were tried: somebody mends it there.
    pub(super) fn show_as_first_written(&mut self) {
        let Self {
            out, raw, faulty, ..
        } = self;
        raw.retain(|(part, _)| !out.contains_key(part));
        faulty.retain(|(part, _), _| !out.contains_key(part));
    }
}

/// Something about the new spec that a person wants to know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// What kind of note it is.
    pub kind: NoteKind,
    /// What it is about.
    pub what: String,
    /// Why, or what about it.
    pub why: String,
}

/// A kind of note, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoteKind {
    /// The spec says it in another spelling.
    Normalised,
    /// The spec keeps it word for word.
    Kept,
    /// moxc does not know it: it stands as a comment, and stays on the host.
    Unknown,
    /// Nobody knows.
    Unread,
}

impl NoteKind {
    /// The title of its notes.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Normalised => "normalised",
            Self::Kept => "kept word for word",
            Self::Unknown => "not known to moxc, stays as it is",
            Self::Unread => "not read",
        }
    }
}

/// A spec that is being written.
pub(super) struct Writing<'a> {
    /// The copy.
    pub(super) live: &'a Snapshot,
    /// The node that the spec is of.
    pub(super) node: &'a str,
    /// Its guests.
    pub(super) own: &'a LiveNode,
    /// The release that the spec says.
    pub(super) release: Release,
    /// Whether what equals a default is left out.
    pub(super) minimal: bool,
    /// What has turned out so far.
    pub(super) decided: &'a Decided,
    /// The names of the guests' tables, by VMID.
    pub(super) names: BTreeMap<u32, String>,
    /// The storages that a guest can refer to.
    pub(super) stores: BTreeMap<String, StoreKind>,
    /// PCI devices that can be referred to by the name of their mapping.
    pub(super) pci: BTreeSet<String>,
    /// The names of PCI functions that guests name by their addresses, by the address.
    pub(super) passed: BTreeMap<String, String>,
    /// USB devices that can be referred to by the name of their mapping.
    pub(super) usb: BTreeSet<String>,
    /// The names of other USB devices in the spec, by what a guest says of them: `10c4:ea60`, `1-2`.
    pub(super) plugged: BTreeMap<String, String>,
    /// Guests that cannot run beside each other, each at the later of two.
    pub(super) exclusive: BTreeMap<u32, BTreeSet<u32>>,
    /// The disks of the spec, by their stable paths.
    pub(super) disks: BTreeMap<String, NamedDisk>,
    /// What a person wants to know.
    pub(super) notes: BTreeSet<Note>,
}

/// A disk of the spec.
#[derive(Debug)]
pub(super) struct NamedDisk {
    /// Its name there.
    pub(super) name: String,
    /// Whether its row is about the whole of it, so that a guest may have it, and not about one partition.
    pub(super) is_whole: bool,
}

/// In which table a storage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreKind {
    /// `[storage.datasets]`.
    Dataset,
    /// Another one, or `local`.
    Store,
}

impl StoreKind {
    /// The key by which a disk names it.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Store => "store",
        }
    }
}

impl Decided {
    /// Why a part is kept word for word.
    pub(super) fn why_kept(&self, part: &Part) -> String {
        match self.kept.get(part) {
            Some(why) => why.lines().next().unwrap_or(why).to_owned(),
            None => "the language has no words for all of it".to_owned(),
        }
    }
}

impl Writing<'_> {
    /// Notes something.
    pub(super) fn note(&mut self, kind: NoteKind, what: impl Into<String>, why: impl Into<String>) {
        self.notes.insert(Note {
            kind,
            what: what.into(),
            why: why.into(),
        });
    }
}

/// The names of the guests' tables: the names that they have, as far as a table can bear them, each once in a whole cluster.
pub(super) fn guest_names(live: &Snapshot, own: &LiveNode) -> BTreeMap<u32, String> {
    let all: BTreeMap<u32, &LiveGuest> = live
        .nodes
        .values()
        .flat_map(|node| node.guests.iter().map(|(vmid, guest)| (*vmid, guest)))
        .chain(own.guests.iter().map(|(vmid, guest)| (*vmid, guest)))
        .collect();
    let mut names = names_of(&all);
    names.retain(|vmid, _| own.guests.contains_key(vmid));
    names
}

fn names_of(guests: &BTreeMap<u32, &LiveGuest>) -> BTreeMap<u32, String> {
    let mut taken = BTreeSet::new();
    let mut names = BTreeMap::new();
    // Whoever has its name as it is keeps it, whatever its number.
    for exact in [true, false] {
        for (vmid, guest) in guests {
            let name = guest.name().unwrap_or_default();
            let label = label(name);
            let wanted = match label {
                Some(label) if (label == name) == exact => label,
                None if !exact => match guest.kind {
                    GuestKind::Qm => format!("vm-{vmid}"),
                    GuestKind::Pct => format!("ct-{vmid}"),
                },
                Some(_) | None => continue,
            };
            let name = if taken.contains(&wanted) {
                let cut = &wanted[..wanted.len().min(50)];
                format!("{}-{vmid}", cut.trim_end_matches('-'))
            } else {
                wanted
            };
            taken.insert(name.clone());
            names.insert(*vmid, name);
        }
    }
    names
}

/// A text as a DNS label in lower case; none where nothing is left of it.
fn label(text: &str) -> Option<String> {
    let mut label = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            label.push(c);
        } else if !label.ends_with('-') && !label.is_empty() {
            label.push('-');
        }
    }
    label.truncate(63);
    let label = label.trim_end_matches('-');
    (!label.is_empty()).then(|| label.to_owned())
}

/// A text as the key of a table that takes letters, digits, `-`, `_` and `.`.
pub(super) fn plain_name(text: &str, otherwise: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            name.push(c);
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_matches(['-', '_', '.']);
    let name = &name[..name.len().min(60)];
    if name.is_empty() {
        otherwise.to_owned()
    } else {
        name.to_owned()
    }
}

/// A size in the words of a spec.
pub(super) fn size(bytes: u64) -> Toml {
    let iec = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    // A size of a computer is a power of two, whatever else it divides.
    let found = iec
        .iter()
        .find(|(_, shift)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    Toml::Text(match found {
        Some((unit, shift)) => format!("{} {unit}", bytes >> shift),
        None => ByteSize::bytes(bytes).to_string(),
    })
}

/// The capacity of a disk, as it is sold.
pub(super) fn capacity(bytes: u64) -> Toml {
    let gigabytes = bytes.div_ceil(1_000_000_000);
    // 500107862016 bytes are sold as 500 GB, 3840755982336 as 3.84 TB.
    let sold = [
        128, 256, 240, 250, 480, 500, 512, 960, 1000, 1920, 2000, 3000, 3840, 4000, 6000, 7680,
        8000, 10000, 12000, 14000, 16000, 18000, 20000, 22000, 24000,
    ];
    let near = sold.iter().find(|sold| {
        bytes >= **sold * 1_000_000_000 && bytes - **sold * 1_000_000_000 < **sold * 1_500_000
    });
    Toml::Text(match near {
        Some(sold) if sold % 1000 == 0 => format!("{} TB", sold / 1000),
        Some(sold) => format!("{sold} GB"),
        None if bytes.is_multiple_of(1 << 30) => return size(bytes),
        None => format!("{gigabytes} GB"),
    })
}

/// Proxmox VE's name in the spelling of the spec.
pub(super) fn kebab(name: &str) -> String {
    name.replace('_', "-")
}

/// A value of Proxmox VE under a key of the schema: a number, a boolean, a text.
pub(super) fn schema_value(schema: &OptionSchema, value: &str) -> Toml {
    match schema.value_type() {
        ValueType::Boolean => match crate::pve::guest_config::parse_boolean(value) {
            Some(on) => Toml::Flag(on),
            None => value.into(),
        },
        ValueType::Integer => Toml::number(value),
        ValueType::Number => match Toml::number(value) {
            Toml::Text(text) if text.parse::<f64>().is_ok_and(f64::is_finite) => amount(&text),
            other => other,
        },
        ValueType::String | ValueType::Array => value.into(),
    }
}

/// A number with a fraction as TOML has it.
pub(super) fn amount(text: &str) -> Toml {
    let number = text.parse::<f64>().unwrap_or_default();
    if number.fract() == 0.0 && number.abs() < 1e9 {
        return Toml::Amount(format!("{number:.0}"));
    }
    let printed = format!("{number}");
    Toml::Amount(if printed.contains('.') {
        printed
    } else {
        format!("{printed}.0")
    })
}

/// A sub-option under a key of a table of the spec.
pub(super) fn sub_value(file: ConfigFile<'_>, option: &str, key: &str, value: &str) -> Toml {
    let schema = file
        .option(option)
        .and_then(OptionSchema::sub_options)
        .and_then(|keys| keys.get(key));
    schema.map_or_else(|| value.into(), |schema| schema_value(schema, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_spelt_as_people_do() {
        for (bytes, text) in [
            (8 << 30, "8 GiB"),
            (528 << 10, "528 KiB"),
            (1 << 40, "1 TiB"),
            (1536 << 20, "1536 MiB"),
            (0, "0 B"),
        ] {
            let Toml::Text(spelt) = size(bytes) else {
                panic!("a text")
            };
            assert_eq!(spelt, text);
            assert_eq!(spelt.parse::<ByteSize>().expect("a size").as_bytes(), bytes);
        }
        assert_eq!(capacity(500_107_862_016), "500 GB".into());
        assert_eq!(capacity(4_000_787_030_016), "4 TB".into());
        assert_eq!(capacity(32 << 30), "32 GiB".into());
    }

    #[test]
    fn names_fit_a_table() {
        assert_eq!(label("Home Assistant").as_deref(), Some("home-assistant"));
        assert_eq!(label("haos-16.3").as_deref(), Some("haos-16-3"));
        assert_eq!(label("---"), None);
        assert_eq!(plain_name("My job!", "job"), "My-job");
    }
}
