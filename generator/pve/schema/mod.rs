//! Every option of Proxmox VE's configuration files, since when and until when, and what values it
//! takes.
//!
//! The facts are data (`data/*.json`, packed by `pack.py`), built into the program and read once,
//! file by file, when first asked for. [`check_option`] judges one value by them.

mod fault;
mod format;
mod judge;
mod pattern;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;

use super::Release;
use pattern::Pattern;

pub use fault::{FaultKind, OptionFault, Place};
pub use judge::check_option;
pub(crate) use judge::check_requirements;

/// A configuration file, or one kind of section in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigFile<'a> {
    /// A virtual machine, `/etc/pve/qemu-server/<vmid>.conf`.
    Qm,
    /// A container, `/etc/pve/lxc/<vmid>.conf`.
    Pct,
    /// A storage of this type in `/etc/pve/storage.cfg`.
    Storage(&'a str),
    /// A job of this type in `/etc/pve/jobs.cfg`.
    Job(&'a str),
    /// A mapping in `/etc/pve/mapping/*.cfg`.
    Mapping(MappingKind),
    /// `/etc/vzdump.conf`.
    Vzdump,
    /// A stanza of `/etc/network/interfaces`, as ifupdown2 and Proxmox both take it.
    Interfaces,
    /// `/etc/pve/datacenter.cfg`.
    Datacenter,
    /// The installer's `answer.toml`; keys are dotted paths, `global.keyboard`.
    Answer,
}

/// What a mapping maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MappingKind {
    /// PCI devices, `mapping/pci.cfg`.
    Pci,
    /// USB devices, `mapping/usb.cfg`.
    Usb,
    /// Directories for virtio-fs, `mapping/directory.cfg`, from Proxmox VE 8.4.
    Dir,
}

impl MappingKind {
    /// The kind's name in Proxmox's own data.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pci => "pci",
            Self::Usb => "usb",
            Self::Dir => "dir",
        }
    }
}

impl fmt::Display for ConfigFile<'_> {
    /// What an option of this file is an option of: "a virtual machine", "a `dir` storage".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Qm => f.write_str("a virtual machine"),
            Self::Pct => f.write_str("a container"),
            Self::Storage(kind) => write!(f, "a `{kind}` storage"),
            Self::Job(kind) => write!(f, "a `{kind}` job"),
            Self::Mapping(kind) => write!(f, "a `{}` mapping", kind.name()),
            Self::Vzdump => f.write_str("vzdump.conf"),
            Self::Interfaces => f.write_str("a network interface"),
            Self::Datacenter => f.write_str("datacenter.cfg"),
            Self::Answer => f.write_str("answer.toml"),
        }
    }
}

impl ConfigFile<'_> {
    fn document(self) -> &'static Document {
        match self {
            Self::Qm => &QM,
            Self::Pct => &PCT,
            Self::Storage(_) => &STORAGE,
            Self::Job(_) => &JOBS,
            Self::Mapping(_) => &MAPPING,
            Self::Vzdump => &VZDUMP,
            Self::Interfaces => &INTERFACES,
            Self::Datacenter => &DATACENTER,
            Self::Answer => &ANSWER,
        }
    }

    /// The section type's own facts, for files that have section types.
    fn section_kind(self) -> Option<&'static SectionKind> {
        let name = match self {
            Self::Storage(kind) | Self::Job(kind) => kind,
            Self::Mapping(kind) => kind.name(),
            Self::Qm
            | Self::Pct
            | Self::Vzdump
            | Self::Interfaces
            | Self::Datacenter
            | Self::Answer => return None,
        };
        self.document().kinds.get(name)
    }

    /// The options, unless the section type is unknown or one that is gone.
    fn table(self) -> Option<&'static Options> {
        match self.section_kind() {
            Some(kind) => kind.options.as_ref(),
            None if self.document().kinds.is_empty() => Some(&self.document().options),
            None => None,
        }
    }

    /// What is known about an option; `scsi3` is found under `scsi[n]`. An index that is out of
    /// range finds nothing.
    pub fn option(self, key: &str) -> Option<&'static OptionSchema> {
        let found = self.indexed(key)?;
        found.in_range.then_some(found.option)
    }

    fn indexed(self, key: &str) -> Option<Indexed> {
        let table = self.table()?;
        let file = self.document();
        if let Some(option) = table.get(key) {
            // `scsi[n]` is this table's notation, not a name.
            return (!key.ends_with(']')).then_some(Indexed {
                option: option.in_file(file),
                in_range: true,
            });
        }
        if let Some((table_key, _)) = key.rsplit_once('.') {
            let option = table.get(table_key).filter(|option| option.any_key)?;
            return Some(Indexed {
                option: option.in_file(file),
                in_range: true,
            });
        }
        let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let index = &key[base.len()..];
        if index.is_empty() {
            return None;
        }
        let option = table.get(format!("{base}[n]").as_str())?;
        let canonical = index == "0" || !index.starts_with('0');
        let number: Option<u32> = index.parse().ok();
        let in_range = canonical && number.is_some_and(|n| n <= option.last_index.unwrap_or(0));
        Some(Indexed {
            option: option.in_file(file),
            in_range,
        })
    }

    /// What is known about an option by the name of [`option_names`](Self::option_names), `scsi[n]` included.
    pub fn schema_of(self, name: &str) -> Option<&'static OptionSchema> {
        let option = self.table()?.get(name)?;
        Some(option.in_file(self.document()))
    }

    /// The names of all options, sorted; indexed ones as `scsi[n]`.
    pub fn option_names(self) -> impl Iterator<Item = &'static str> {
        self.table().into_iter().flatten().map(|(name, _)| *name)
    }

    /// The names of this file's section types, sorted: storage types, job types, mapping kinds.
    pub fn section_kinds(self) -> impl Iterator<Item = &'static str> {
        self.document().kinds.keys().copied()
    }

    /// The contents that a storage of this type can hold in a release, sorted.
    pub fn storage_contents(self, release: Release) -> impl Iterator<Item = &'static str> {
        let contents = self.section_kind().and_then(|kind| kind.content.as_ref());
        contents
            .into_iter()
            .flatten()
            .filter(move |(_, life)| life.is_in(release))
            .map(|(name, _)| *name)
    }

    /// The contents of a storage of this type that says nothing of its contents.
    pub fn default_storage_contents(self) -> &'static [&'static str] {
        self.section_kind()
            .map_or(&[], |kind| &kind.content_default)
    }

    /// Whether booleans must be `1` or `0`: section files take no other spelling.
    fn only_numeric_booleans(self) -> bool {
        matches!(self, Self::Storage(_) | Self::Job(_) | Self::Mapping(_))
    }
}

/// The models that `cpu:` takes, and the levels of the x86-64 psABI; custom models start with
/// `custom-`.
pub fn cpu_models() -> &'static [&'static str] {
    &QM.cpu_models
}

/// The CPU flags that a VM's own `cpu:` line may set or clear.
pub fn cpu_flags() -> &'static [&'static str] {
    &QM.cpu_flags
}

/// Whether Proxmox takes this raw `lxc.*` key in a container's file.
pub fn takes_raw_lxc_key(release: Release, key: &str) -> bool {
    let listed = PCT
        .raw_keys
        .get(key)
        .is_some_and(|life| life.is_in(release.known()));
    listed
        || PCT
            .raw_key_families
            .iter()
            .any(|family| key.starts_with(family))
}

/// How `answer.toml` spells a key in a release: with `_` up to 8.3, with `-` from 8.4.
pub fn answer_key(release: Release, key: &str) -> String {
    match ANSWER.snake_case_until {
        Some(last) if release <= last => key.replace('-', "_"),
        _ => key.to_owned(),
    }
}

struct Indexed {
    option: &'static OptionSchema,
    in_range: bool,
}

type Options = BTreeMap<&'static str, OptionSchema>;

/// One of the data files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(borrow, default)]
    groups: BTreeMap<&'static str, Options>,
    #[serde(borrow, default)]
    options: BTreeMap<&'static str, OptionSchema>,
    #[serde(borrow, default)]
    kinds: BTreeMap<&'static str, SectionKind>,
    #[serde(borrow, default)]
    cpu_models: Vec<&'static str>,
    #[serde(borrow, default)]
    cpu_flags: Vec<&'static str>,
    #[serde(borrow, default)]
    raw_keys: BTreeMap<&'static str, Life>,
    #[serde(borrow, default)]
    raw_key_families: Vec<&'static str>,
    #[serde(default)]
    snake_case_until: Option<Release>,
}

/// A storage type, job type or mapping kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionKind {
    #[serde(default)]
    since: Option<Release>,
    #[serde(default)]
    until: Option<Release>,
    #[serde(borrow, default)]
    content: Option<BTreeMap<&'static str, Life>>,
    #[serde(borrow, default)]
    content_default: Vec<&'static str>,
    #[serde(borrow, default)]
    image_formats: Vec<&'static str>,
    /// Missing for a type that the newest release no longer has.
    #[serde(borrow, default)]
    options: Option<BTreeMap<&'static str, OptionSchema>>,
}

impl SectionKind {
    fn life(&self) -> Life {
        Life {
            since: self.since,
            until: self.until,
            absent_in: Vec::new(),
        }
    }
}

/// In which releases something exists.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Life {
    #[serde(default)]
    since: Option<Release>,
    #[serde(default)]
    until: Option<Release>,
    /// Releases after `since` that lack it: a backport went to a maintained older one first.
    #[serde(default)]
    absent_in: Vec<Release>,
}

impl Life {
    fn is_in(&self, release: Release) -> bool {
        self.since.is_none_or(|since| release >= since)
            && self.until.is_none_or(|until| release <= until)
            && !self.absent_in.contains(&release)
    }
}

/// The type of an option's value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// A text.
    #[default]
    String,
    /// `1` or `0`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number, with a point where needed.
    Number,
    /// The option may be given several times; the rest of its schema is that of one value.
    Array,
}

/// What is known about one option or sub-option.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are keys of the data files"
)]
pub struct OptionSchema {
    #[serde(rename = "type", default)]
    value_type: ValueType,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    fixed: bool,
    #[serde(default)]
    default_key: bool,
    #[serde(default)]
    repeats: bool,
    /// A table with free keys, of `answer.toml`.
    #[serde(default)]
    any_key: bool,
    #[serde(default)]
    last_index: Option<u32>,
    #[serde(borrow, default)]
    alias: Option<&'static str>,
    #[serde(borrow, default)]
    key_alias: Option<&'static str>,
    #[serde(borrow, default)]
    keys: Option<&'static str>,
    #[serde(borrow, default, rename = "enum")]
    values: Option<Vec<&'static str>>,
    #[serde(borrow, default, rename = "values")]
    value_lives: BTreeMap<&'static str, Life>,
    #[serde(default)]
    minimum: Option<f64>,
    #[serde(default)]
    maximum: Option<f64>,
    #[serde(default, rename = "minLength")]
    min_length: Option<usize>,
    #[serde(default, rename = "maxLength")]
    max_length: Option<usize>,
    #[serde(default)]
    pattern: Option<Pattern>,
    /// Earlier patterns and the last release they held in.
    #[serde(default)]
    old_patterns: Vec<(Release, Pattern)>,
    #[serde(borrow, default)]
    format: Option<&'static str>,
    #[serde(default)]
    format_since: Option<Release>,
    #[serde(borrow, default)]
    requires: Option<&'static str>,
    #[serde(borrow, default)]
    default: Option<&'static str>,
    #[serde(default)]
    since: Option<Release>,
    #[serde(default)]
    until: Option<Release>,
    #[serde(default)]
    absent_in: Vec<Release>,
    /// Filled in after reading: the sub-options that `keys` names.
    #[serde(skip)]
    sub_options: std::sync::OnceLock<SubOptions>,
}

impl OptionSchema {
    /// Ties the option to its file, whose groups hold its sub-options.
    fn in_file(&'static self, file: &'static Document) -> &'static Self {
        if let Some(keys) = self.keys.and_then(|name| file.groups.get(name)) {
            self.sub_options.get_or_init(|| SubOptions { keys });
        }
        self
    }

    /// The first release that has the option, if that is later than 8.0.
    pub fn since(&self) -> Option<Release> {
        self.since
    }

    /// The last release that has the option, if it is gone.
    pub fn until(&self) -> Option<Release> {
        self.until
    }

    /// Whether a release has the option.
    pub fn is_in(&self, release: Release) -> bool {
        self.life().is_in(release)
    }

    /// Whether a section or property string without it is refused.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// The option without which Proxmox VE does not take this one.
    pub fn requires(&self) -> Option<&'static str> {
        self.requires
    }

    /// Whether Proxmox refuses to change it later.
    pub fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// Whether it may be given several times.
    pub fn is_repeatable(&self) -> bool {
        self.repeats || self.value_type == ValueType::Array
    }

    /// The type of its value; of one value, where it may be given several times.
    pub fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// Whether its value is a list of words with commas between.
    pub fn is_list(&self) -> bool {
        self.format.is_some_and(|name| name.ends_with("-list"))
    }

    /// The words that it takes, where they are few.
    pub fn choices(&self) -> Option<&[&'static str]> {
        self.values.as_deref()
    }

    /// The least and the most that it takes.
    pub fn bounds(&self) -> (Option<f64>, Option<f64>) {
        (self.minimum, self.maximum)
    }

    /// Whether it is `1` or `0`.
    pub fn is_boolean(&self) -> bool {
        self.value_type == ValueType::Boolean
    }

    /// Whether it is a number, with or without a fraction.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self.value_type, ValueType::Integer | ValueType::Number)
    }

    /// What Proxmox assumes where the option is missing; booleans as `1` and `0`.
    pub fn default(&self) -> Option<&'static str> {
        self.default
    }

    /// The name of its format, such as `pve-storage-id`.
    pub fn format(&self) -> Option<&'static str> {
        self.format
    }

    /// The sub-options, if its value is a property string.
    pub fn sub_options(&self) -> Option<SubOptions> {
        self.sub_options.get().copied()
    }

    /// For a name that says two things, as `virtio=BC:…` does: the sub-options that its name and
    /// its value are values of.
    pub(crate) fn alias_of_two(&self) -> Option<(&'static str, &'static str)> {
        self.key_alias.zip(self.alias)
    }

    /// A string that Proxmox takes as it is, without a format.
    pub(crate) fn is_plain_string(&self) -> bool {
        self.value_type == ValueType::String && self.format.is_none() && self.keys.is_none()
    }

    fn life(&self) -> Life {
        Life {
            since: self.since,
            until: self.until,
            absent_in: self.absent_in.clone(),
        }
    }

    /// Nothing but its name is known: the newest release no longer has it.
    fn is_only_a_name(&self) -> bool {
        self.until.is_some()
    }

    fn pattern_in(&self, release: Release) -> Option<&Pattern> {
        let old = self.old_patterns.iter().find(|(last, _)| release <= *last);
        old.map(|(_, pattern)| pattern).or(self.pattern.as_ref())
    }
}

/// The sub-options of an option.
#[derive(Clone, Copy)]
pub struct SubOptions {
    keys: &'static Options,
}

impl SubOptions {
    /// What is known about a sub-option.
    pub fn get(self, key: &str) -> Option<&'static OptionSchema> {
        self.keys.get(key)
    }

    /// The sub-option that the part without a name belongs to.
    pub fn default_key(self) -> Option<&'static str> {
        self.iter()
            .find(|(_, spec)| spec.default_key)
            .map(|(key, _)| key)
    }

    /// All sub-options, sorted.
    pub fn iter(self) -> impl Iterator<Item = (&'static str, &'static OptionSchema)> {
        self.keys.iter().map(|(key, spec)| (*key, spec))
    }

    /// The name that another name stands for: a drive's `volume` is its `file`. A name that also
    /// says something itself (a network card's model in `virtio=BC:…`) stays.
    pub(crate) fn resolve(self, key: &str) -> &str {
        match self.keys.get(key) {
            Some(OptionSchema {
                alias: Some(alias),
                key_alias: None,
                ..
            }) => alias,
            _ => key,
        }
    }
}

fn load(data: &'static str) -> Document {
    serde_json::from_str(data).expect("a test reads every built-in data file")
}

/// Reads a file's option data anew and counts its options; for benchmarks of the first use.
#[doc(hidden)]
pub fn read_data_anew(file: ConfigFile<'_>) -> usize {
    let data = match file {
        ConfigFile::Qm => QM_DATA,
        ConfigFile::Pct => PCT_DATA,
        ConfigFile::Storage(_) => STORAGE_DATA,
        ConfigFile::Job(_) => JOBS_DATA,
        ConfigFile::Mapping(_) => MAPPING_DATA,
        ConfigFile::Vzdump => VZDUMP_DATA,
        ConfigFile::Interfaces => INTERFACES_DATA,
        ConfigFile::Datacenter => DATACENTER_DATA,
        ConfigFile::Answer => ANSWER_DATA,
    };
    let document = load(data);
    document.options.len() + document.kinds.len()
}

static QM: LazyLock<Document> = LazyLock::new(|| load(QM_DATA));
static PCT: LazyLock<Document> = LazyLock::new(|| load(PCT_DATA));
static STORAGE: LazyLock<Document> = LazyLock::new(|| load(STORAGE_DATA));
static JOBS: LazyLock<Document> = LazyLock::new(|| load(JOBS_DATA));
static MAPPING: LazyLock<Document> = LazyLock::new(|| load(MAPPING_DATA));
static VZDUMP: LazyLock<Document> = LazyLock::new(|| load(VZDUMP_DATA));
static INTERFACES: LazyLock<Document> = LazyLock::new(|| load(INTERFACES_DATA));
static DATACENTER: LazyLock<Document> = LazyLock::new(|| load(DATACENTER_DATA));
static ANSWER: LazyLock<Document> = LazyLock::new(|| load(ANSWER_DATA));

const QM_DATA: &str = include_str!("data/qm.json");
const PCT_DATA: &str = include_str!("data/pct.json");
const STORAGE_DATA: &str = include_str!("data/storage.json");
const JOBS_DATA: &str = include_str!("data/jobs.json");
const MAPPING_DATA: &str = include_str!("data/mapping.json");
const VZDUMP_DATA: &str = include_str!("data/vzdump.json");
const INTERFACES_DATA: &str = include_str!("data/interfaces.json");
const DATACENTER_DATA: &str = include_str!("data/datacenter.json");
const ANSWER_DATA: &str = include_str!("data/answer.json");

#[cfg(test)]
mod tests;
