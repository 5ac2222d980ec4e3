//! Options of Proxmox VE as keys of the spec.
//!
//! Every option that moxc has no word of its own for is a key of the table that it belongs to, under Proxmox VE's name in
//! kebab-case (`saferemove_throughput` is `saferemove-throughput`). A table takes them in by the last line of its
//! [`table!`](super::table::table), `..Options`, where `Options` says of which objects of the [schema](crate::pve::schema)
//! they are. Here a key is found and its value takes Proxmox VE's spelling; whether the release has it and takes the value
//! is judged where the whole option is written down, at the place that [`PveOption::place`] finds.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::marker::PhantomData;
use std::ops::{Deref, Range};

use schemars::Schema;
use serde_json::json;

use super::reader::Reader;
use crate::diagnostics::{Code, Diagnostic};
use crate::near::nearest;
use crate::pve::schema::{OptionSchema, SubOptions, ValueType};
use crate::pve::{ConfigFile, MappingKind, PropertyString, PveOption, is_state};
use crate::source::{Span, Spanned};
use crate::value::{Node, TableNode, Value};

/// Something of Proxmox VE's schema whose options a table of the spec takes as keys.
#[derive(Debug, Clone, Copy)]
pub enum SchemaObject {
    /// A file, or one kind of section in it.
    File(ConfigFile<'static>),
    /// The sub-options of one option: those of a drive, of a network card.
    Part(ConfigFile<'static>, &'static str),
}

impl SchemaObject {
    /// Every option, under Proxmox VE's name.
    fn options(self) -> Vec<(&'static str, &'static OptionSchema)> {
        match self {
            Self::File(file) => file
                .option_names()
                .filter_map(|name| Some((name, file.schema_of(name)?)))
                .collect(),
            Self::Part(file, option) => file
                .schema_of(option)
                .and_then(OptionSchema::sub_options)
                .map(|options| {
                    // A second name of a sub-option takes what that one takes.
                    let meant = |name, own| options.get(options.resolve(name)).unwrap_or(own);
                    let all = options.iter();
                    all.map(|(name, schema)| (name, meant(name, schema)))
                        .collect()
                })
                .unwrap_or_default(),
        }
    }
}

/// What a table takes in from Proxmox VE's schema.
pub trait SchemaTable {
    /// Where the options are from; of two with one name the first counts.
    const OBJECTS: &'static [SchemaObject];

    /// Options that a key of moxc's own says or that moxc writes by itself: Proxmox VE's name, and the way to say it.
    const SAID: &'static [(&'static str, &'static str)];
}

/// The keys of a table that are options of Proxmox VE.
#[derive(Debug, Clone)]
pub struct SchemaKeys<T> {
    keys: Vec<PveOption>,
    table: PhantomData<fn() -> T>,
}

impl<T> Default for SchemaKeys<T> {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            table: PhantomData,
        }
    }
}

impl<T> Deref for SchemaKeys<T> {
    type Target = [PveOption];
    fn deref(&self) -> &[PveOption] {
        &self.keys
    }
}

/// What a key is to a table.
enum Found {
    Option(String, &'static OptionSchema),
    Said(&'static str),
    Unknown,
}

/// Proxmox VE's name in the spelling of the spec.
fn kebab(name: &str) -> String {
    name.replace('_', "-")
}

/// How a table says an option in another way.
fn said<T: SchemaTable>(name: &str) -> Option<&'static str> {
    let said = T::SAID.iter().find(|(said, _)| *said == name);
    said.map(|(_, how)| *how)
        .or_else(|| is_state(name).then_some(STATE))
}

/// Every option of a table's objects by its key, in the spelling of the spec; those that come in numbers by `key[n]`.
fn options<T: SchemaTable>() -> BTreeMap<String, (&'static str, &'static OptionSchema)> {
    let mut options = BTreeMap::new();
    for (name, schema) in T::OBJECTS.iter().flat_map(|object| object.options()) {
        options.entry(kebab(name)).or_insert((name, schema));
    }
    options
}

fn find<T: SchemaTable>(
    options: &BTreeMap<String, (&'static str, &'static OptionSchema)>,
    key: &str,
) -> Found {
    let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let found = options
        .get(key)
        .filter(|_| !key.ends_with(']'))
        .map(|(name, schema)| (*name, (*name).to_owned(), *schema))
        .or_else(|| {
            let (name, schema) = options.get(&format!("{base}[n]"))?;
            let name = name
                .strip_suffix("[n]")
                .filter(|_| base.len() < key.len())?;
            Some((name, format!("{name}{}", &key[base.len()..]), *schema))
        });
    match found {
        None => Found::Unknown,
        Some((name, option, schema)) => {
            said::<T>(name).map_or(Found::Option(option, schema), Found::Said)
        }
    }
}

/// Every key that a table takes in, in the spelling of the spec, with its option; sorted.
fn keys<T: SchemaTable>() -> Vec<(String, &'static OptionSchema)> {
    options::<T>()
        .into_iter()
        .filter(|(_, (name, _))| said::<T>(name.strip_suffix("[n]").unwrap_or(name)).is_none())
        .map(|(key, (_, schema))| (key, schema))
        .collect()
}

/// What [`read`] leaves to the reader of the table: names that may be meant, and the ways to say what moxc has a key for.
pub(super) struct Beside {
    /// The keys that were read.
    pub(super) taken: HashSet<Span>,
    /// Options that are said in another way, by the place of the key.
    pub(super) said: HashMap<Span, &'static str>,
    /// The names that the table would take, for advice.
    pub(super) names: OnceCell<Vec<String>>,
    /// Works them out.
    pub(super) all_names: fn() -> Vec<String>,
}

impl Default for Beside {
    fn default() -> Self {
        Self {
            taken: HashSet::new(),
            said: HashMap::new(),
            names: OnceCell::new(),
            all_names: Vec::new,
        }
    }
}

/// Reads the keys of a table that are options of Proxmox VE and no keys of its own.
pub(super) fn read<T: SchemaTable>(
    table: &TableNode,
    own: &[&'static str],
    reader: &mut Reader<'_>,
) -> (SchemaKeys<T>, Beside) {
    let mut read = SchemaKeys::default();
    let mut beside = Beside {
        all_names: || keys::<T>().into_iter().map(|(key, _)| key).collect(),
        ..Beside::default()
    };
    let mut known = None;
    for (key, node) in &table.entries {
        if own.contains(&key.value.as_str()) {
            continue;
        }
        match find::<T>(known.get_or_insert_with(options::<T>), &key.value) {
            Found::Option(option, schema) => {
                beside.taken.insert(key.span);
                match &node.value {
                    Value::Array(items) if schema.is_repeatable() => {
                        for item in items {
                            let option = option.clone();
                            read.keys.extend(value(key, option, schema, item, reader));
                        }
                    }
                    Value::Array(_)
                    | Value::String(_)
                    | Value::Integer(_)
                    | Value::Float(_)
                    | Value::Boolean(_)
                    | Value::TooLarge(_)
                    | Value::Datetime(_)
                    | Value::Table(_) => {
                        read.keys.extend(value(key, option, schema, node, reader));
                    }
                }
            }
            Found::Said(how) => {
                beside.said.insert(key.span, how);
            }
            Found::Unknown => {}
        }
    }
    (read, beside)
}

fn value(
    key: &Spanned<String>,
    option: String,
    schema: &'static OptionSchema,
    node: &Node,
    reader: &mut Reader<'_>,
) -> Option<PveOption> {
    let mut parts = Vec::new();
    let text = match (&node.value, schema.sub_options()) {
        (Value::Table(table), Some(options)) => properties(table, options, &mut parts, reader)?,
        (Value::Array(items), None) if schema.is_list() => list(items, &mut parts, reader)?,
        _ => scalar(schema, node, reader)?,
    };
    Some(PveOption::in_pieces(
        Spanned::new(option, key.span),
        Spanned::new(text, node.span),
        parts,
    ))
}

/// A value of one type, in Proxmox VE's spelling.
fn scalar(schema: &OptionSchema, node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let expected = match schema.value_type() {
        ValueType::Boolean => "true or false",
        ValueType::Integer => "a whole number",
        ValueType::Number => "a number",
        ValueType::String | ValueType::Array if schema.sub_options().is_some() => {
            "a table, or a text in Proxmox VE's spelling"
        }
        ValueType::String | ValueType::Array if schema.is_list() => "a list, or a text",
        ValueType::String | ValueType::Array => "a text in quotes",
    };
    match (&node.value, schema.value_type()) {
        (Value::Boolean(on), ValueType::Boolean) => Some(u8::from(*on).to_string()),
        (Value::Integer(number), ValueType::Integer | ValueType::Number) => {
            Some(number.to_string())
        }
        (Value::Float(number), ValueType::Number) => Some(number.to_string()),
        (Value::String(text), ValueType::String | ValueType::Array) => Some(text.clone()),
        // Words for yes and no, and numbers that are among the words.
        (Value::Boolean(on), ValueType::String) if switch(schema, *on).is_some() => {
            switch(schema, *on).map(str::to_owned)
        }
        (Value::Integer(number), ValueType::String) if is_choice(schema, &number.to_string()) => {
            Some(number.to_string())
        }
        // The default sub-option of some is a switch: `agent`, `fleecing`.
        (Value::Boolean(on), ValueType::String | ValueType::Array)
            if schema.sub_options().is_some() =>
        {
            Some(u8::from(*on).to_string())
        }
        (
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_),
            _,
        ) => {
            reader.wrong_type(node, expected);
            None
        }
    }
}

/// Whether a text is one of the words that an option takes.
fn is_choice(schema: &OptionSchema, text: &str) -> bool {
    schema
        .choices()
        .is_some_and(|choices| choices.contains(&text))
}

/// The word of an option for yes or no, where it has words for both.
fn switch(schema: &OptionSchema, on: bool) -> Option<&'static str> {
    let pairs = [("yes", "no"), ("on", "off"), ("1", "0")];
    let (yes, no) = pairs
        .into_iter()
        .find(|(yes, no)| is_choice(schema, yes) && is_choice(schema, no))?;
    Some(if on { yes } else { no })
}

fn list(
    items: &[Node],
    parts: &mut Vec<(Range<usize>, Span)>,
    reader: &mut Reader<'_>,
) -> Option<String> {
    let mut text = String::new();
    let mut sound = true;
    for item in items {
        let Value::String(word) = &item.value else {
            reader.wrong_type(item, "a text in quotes");
            sound = false;
            continue;
        };
        if !text.is_empty() {
            text.push(',');
        }
        let start = text.len();
        text.push_str(word);
        parts.push((start..text.len(), item.span));
    }
    sound.then_some(text)
}

fn properties(
    table: &TableNode,
    options: SubOptions,
    parts: &mut Vec<(Range<usize>, Span)>,
    reader: &mut Reader<'_>,
) -> Option<String> {
    let mut text = String::new();
    let mut sound = true;
    // Proxmox VE writes the sub-option that is meant without a name first, and without its name.
    let is_default = |key: &str| {
        let name = options.default_key();
        name.is_some_and(|name| kebab(name) == key)
    };
    let mut entries: Vec<&(Spanned<String>, Node)> = table.entries.iter().collect();
    entries.sort_by_key(|(key, _)| !is_default(&key.value));
    for (key, node) in entries {
        let Some((name, schema)) = options.iter().find(|(name, _)| kebab(name) == key.value) else {
            let names: Vec<String> = options.iter().map(|(name, _)| kebab(name)).collect();
            let help = match nearest(&key.value, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", names.join(", ")),
            };
            let message = format!("unknown key `{}`", key.value.escape_debug());
            reader.report(Diagnostic::new(Code::MOX0002, key.span, message).help(help));
            sound = false;
            continue;
        };
        let Some(value) = scalar(schema, node, reader) else {
            sound = false;
            continue;
        };
        let written = if is_default(&key.value) {
            PropertyString::with_default(&value)
        } else {
            PropertyString::new().with(name, &value)
        };
        match written {
            Ok(part) => {
                if !text.is_empty() {
                    text.push(',');
                }
                let start = text.len();
                text.push_str(&part.to_string());
                parts.push((start..text.len(), node.span));
            }
            Err(error) => {
                let diagnostic = Diagnostic::new(Code::MOX0015, node.span, error.to_string());
                reader
                    .report(diagnostic.help(
                        "Proxmox VE's file format has no quotes: write the value without it",
                    ));
                sound = false;
            }
        }
    }
    sound.then_some(text)
}

// ---------------------------------------------------------------- JSON Schema

/// The keys of a table for the JSON Schema: plain ones, and patterns for those that come in numbers.
#[derive(Debug, Default)]
pub(crate) struct JsonKeys {
    /// By key.
    pub(super) properties: Vec<(String, Schema)>,
    /// By pattern.
    pub(super) patterns: Vec<(String, Schema)>,
}

/// What the JSON Schema says of the keys that a table takes in.
pub(crate) fn json_keys<T: SchemaTable>() -> JsonKeys {
    let mut found = JsonKeys::default();
    let is_of_interfaces =
        |object: &SchemaObject| matches!(object, SchemaObject::File(ConfigFile::Interfaces));
    let owner = if T::OBJECTS.iter().any(is_of_interfaces) {
        "ifupdown2"
    } else {
        "Proxmox VE"
    };
    for (key, schema) in keys::<T>() {
        let json = json_of(owner, &key, schema);
        match key.strip_suffix("[n]") {
            Some(base) => found.patterns.push((format!("^{base}[0-9]{{1,3}}$"), json)),
            None => found.properties.push((key, json)),
        }
    }
    found
}

/// `owner` is whose option it is.
fn json_of(owner: &str, key: &str, schema: &'static OptionSchema) -> Schema {
    let text = json!({ "type": "string" });
    let mut value = match schema.value_type() {
        ValueType::Boolean => json!({ "type": "boolean" }),
        ValueType::Integer | ValueType::Number => {
            let kind = if schema.value_type() == ValueType::Integer {
                "integer"
            } else {
                "number"
            };
            let mut value = json!({ "type": kind });
            let (least, most) = schema.bounds();
            for (word, bound) in [("minimum", least), ("maximum", most)] {
                if let Some(bound) = bound {
                    value[word] = json!(bound);
                }
            }
            value
        }
        ValueType::String | ValueType::Array => match (schema.sub_options(), schema.choices()) {
            (Some(options), _) => {
                let properties: serde_json::Map<String, serde_json::Value> = options
                    .iter()
                    .map(|(name, sub)| (kebab(name), json_of(owner, &kebab(name), sub).to_value()))
                    .collect();
                json!({ "anyOf": [
                    text,
                    { "type": "boolean" },
                    { "type": "object", "properties": properties, "additionalProperties": false },
                ] })
            }
            (None, Some(choices)) => {
                let numbers: Vec<i64> = choices.iter().filter_map(|c| c.parse().ok()).collect();
                let mut more = Vec::new();
                if switch(schema, true).is_some() {
                    more.push(json!({ "type": "boolean" }));
                }
                if !numbers.is_empty() {
                    more.push(json!({ "type": "integer", "enum": numbers }));
                }
                let words = json!({ "type": "string", "enum": choices });
                if more.is_empty() {
                    words
                } else {
                    more.insert(0, words);
                    json!({ "anyOf": more })
                }
            }
            (None, None) if schema.is_list() || schema.is_repeatable() => {
                json!({ "anyOf": [text.clone(), { "type": "array", "items": text }] })
            }
            (None, None) => text,
        },
    };
    let since = schema
        .since()
        .map(|since| format!(", from {since}"))
        .unwrap_or_default();
    let until = schema
        .until()
        .map(|until| format!(", up to {until}"))
        .unwrap_or_default();
    value["description"] = json!(format!(
        "`{}` of {owner}{since}{until}.",
        key.strip_suffix("[n]").unwrap_or(key)
    ));
    Schema::try_from(value).expect("an object is a schema")
}

// ---------------------------------------------------------------- storages

/// What every storage says by keys of moxc's own.
macro_rules! said_of_storages {
    ($($more:expr),* $(,)?) => {
        &[
            ("content", "`use`"),
            ("disable", "`disabled = true`"),
            ("prune-backups", "`keep`"),
            ("maxfiles", "`keep = { last = … }`"),
            ("password", "`secret`"),
            ("keyring", "a file of root's, `/etc/pve/priv/ceph/NAME.keyring`"),
            ("type", "`kind`"),
            $($more),*
        ]
    };
}

/// Options of a dataset's storage: `zfspool` for volumes, `dir` for files.
#[derive(Debug, Clone, Copy)]
pub struct DatasetOptions;

impl SchemaTable for DatasetOptions {
    const OBJECTS: &'static [SchemaObject] = &[
        SchemaObject::File(ConfigFile::Storage("zfspool")),
        SchemaObject::File(ConfigFile::Storage("dir")),
    ];
    const SAID: &'static [(&'static str, &'static str)] = said_of_storages![
        ("blocksize", "`volblocksize`"),
        ("sparse", "`thin`"),
        ("path", "`mountpoint`"),
        ("is_mountpoint", "nothing: moxc sets it"),
        ("pool", "`pool` and `path`"),
    ];
}

/// Options of a volume group's or a thin pool's storage.
#[derive(Debug, Clone, Copy)]
pub struct LvmOptions;

impl SchemaTable for LvmOptions {
    const OBJECTS: &'static [SchemaObject] = &[
        SchemaObject::File(ConfigFile::Storage("lvm")),
        SchemaObject::File(ConfigFile::Storage("lvmthin")),
    ];
    const SAID: &'static [(&'static str, &'static str)] =
        said_of_storages![("vgname", "`group`"), ("thinpool", "`thin-pool`")];
}

/// Options of Proxmox VE's own `local`.
#[derive(Debug, Clone, Copy)]
pub struct LocalOptions;

impl SchemaTable for LocalOptions {
    const OBJECTS: &'static [SchemaObject] = &[SchemaObject::File(ConfigFile::Storage("dir"))];
    const SAID: &'static [(&'static str, &'static str)] =
        said_of_storages![("path", "nothing: it is `/var/lib/vz`")];
}

/// Options of stores elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct ExternalOptions;

impl SchemaTable for ExternalOptions {
    const OBJECTS: &'static [SchemaObject] = &[
        SchemaObject::File(ConfigFile::Storage("dir")),
        SchemaObject::File(ConfigFile::Storage("nfs")),
        SchemaObject::File(ConfigFile::Storage("cifs")),
        SchemaObject::File(ConfigFile::Storage("pbs")),
        SchemaObject::File(ConfigFile::Storage("btrfs")),
        SchemaObject::File(ConfigFile::Storage("rbd")),
        SchemaObject::File(ConfigFile::Storage("cephfs")),
        SchemaObject::File(ConfigFile::Storage("iscsi")),
        SchemaObject::File(ConfigFile::Storage("esxi")),
    ];
    const SAID: &'static [(&'static str, &'static str)] = said_of_storages![];
}
/// What writes itself: Proxmox VE keeps it in a guest's file for its own use.
const STATE: &str = "nothing: Proxmox VE writes it itself";

/// The options of virtual machines.
#[derive(Debug, Clone)]
pub struct VmOptions;

impl SchemaTable for VmOptions {
    const OBJECTS: &'static [SchemaObject] = &[SchemaObject::File(ConfigFile::Qm)];
    const SAID: &'static [(&'static str, &'static str)] = &[
        ("affinity", "`cpu.affinity`"),
        // The language's own word for what Proxmox VE calls `onboot`.
        ("autostart", "`extra`"),
        ("bios", "`firmware`"),
        ("cdrom", "`iso`"),
        ("cicustom", "`cloud-init.custom`"),
        ("ciupgrade", "`cloud-init.upgrade`"),
        ("ciuser", "`cloud-init.user`"),
        ("cores", "`cpu.cores`"),
        ("cpulimit", "`cpu.limit`"),
        ("cpuunits", "`cpu.units`"),
        ("efidisk0", "`efi`"),
        ("hostpci", "`passthrough`"),
        ("ide", "`disks` and `iso`"),
        ("ipconfig", "`address` and `gateway` of the cards"),
        ("net", "`network`"),
        ("onboot", "`autostart`"),
        ("sata", "`disks` and `iso`"),
        ("scsi", "`disks`"),
        ("scsihw", "`scsi-controller`"),
        ("smp", "`cpu.cores`"),
        ("sockets", "`cpu.sockets`"),
        ("sshkeys", "`cloud-init.ssh-keys`"),
        ("startup", "`autostart`"),
        ("tpmstate0", "`tpm`"),
        ("vga", "`display`"),
        ("virtio", "`disks`"),
        ("virtiofs", "`shares`"),
    ];
}

/// The options of containers.
#[derive(Debug, Clone)]
pub struct ContainerOptions;

impl SchemaTable for ContainerOptions {
    const OBJECTS: &'static [SchemaObject] = &[SchemaObject::File(ConfigFile::Pct)];
    const SAID: &'static [(&'static str, &'static str)] = &[
        ("cmode", "`console-mode`"),
        ("cores", "`cpu.cores`"),
        ("cpulimit", "`cpu.limit`"),
        ("cpuunits", "`cpu.units`"),
        ("dev", "`devices`"),
        ("hostname", "`name`"),
        ("mp", "`mounts`"),
        ("net", "`network`"),
        ("onboot", "`autostart`"),
        ("startup", "`autostart`"),
    ];
}

/// The sub-options of a card, of a virtual machine or of a container.
#[derive(Debug, Clone)]
pub struct CardOptions;

impl SchemaTable for CardOptions {
    const OBJECTS: &'static [SchemaObject] = &[
        SchemaObject::Part(ConfigFile::Qm, "net[n]"),
        SchemaObject::Part(ConfigFile::Pct, "net[n]"),
    ];
    const SAID: &'static [(&'static str, &'static str)] = &[
        ("e1000", "`model`"),
        ("e1000-82540em", "`model`"),
        ("e1000-82544gc", "`model`"),
        ("e1000-82545em", "`model`"),
        ("e1000e", "`model`"),
        ("gw", "`gateway`"),
        ("gw6", "`gateway6`"),
        ("hwaddr", "`mac`"),
        ("i82551", "`model`"),
        ("i82557b", "`model`"),
        ("i82559er", "`model`"),
        ("ip", "`address`"),
        ("ip6", "`address6`"),
        ("macaddr", "`mac`"),
        ("ne2k_isa", "`model`"),
        ("ne2k_pci", "`model`"),
        ("pcnet", "`model`"),
        ("rtl8139", "`model`"),
        ("tag", "`vlan`"),
        ("type", "nothing: it is always `veth`"),
        ("virtio", "`model`"),
        ("vmxnet3", "`model`"),
    ];
}

/// The sub-options of a disk of a virtual machine, on whatever bus.
#[derive(Debug, Clone)]
pub struct DriveOptions;

impl SchemaTable for DriveOptions {
    const OBJECTS: &'static [SchemaObject] = &[
        SchemaObject::Part(ConfigFile::Qm, "scsi[n]"),
        SchemaObject::Part(ConfigFile::Qm, "virtio[n]"),
        SchemaObject::Part(ConfigFile::Qm, "sata[n]"),
        SchemaObject::Part(ConfigFile::Qm, "ide[n]"),
    ];
    const SAID: &'static [(&'static str, &'static str)] = &[
        ("file", "`volume`"),
        ("import-from", "`import`"),
        ("media", "`iso` of the guest, for a drive of discs"),
    ];
}

/// The sub-options of a drive of discs.
#[derive(Debug, Clone)]
pub struct ImageOptions;

impl SchemaTable for ImageOptions {
    const OBJECTS: &'static [SchemaObject] = &[
        SchemaObject::Part(ConfigFile::Qm, "ide[n]"),
        SchemaObject::Part(ConfigFile::Qm, "sata[n]"),
        SchemaObject::Part(ConfigFile::Qm, "scsi[n]"),
    ];
    const SAID: &'static [(&'static str, &'static str)] = &[
        ("file", "`image`"),
        ("format", "nothing: a disc has none"),
        ("import-from", "nothing: a disc is no disk"),
        ("media", "nothing: it is always a disc"),
        ("volume", "`image`"),
    ];
}

/// The sub-options of a PCI device.
#[derive(Debug, Clone)]
pub struct PassthroughOptions;

impl SchemaTable for PassthroughOptions {
    const OBJECTS: &'static [SchemaObject] = &[SchemaObject::Part(ConfigFile::Qm, "hostpci[n]")];
    const SAID: &'static [(&'static str, &'static str)] = &[
        ("host", "`device`"),
        ("mapping", "`device`"),
        ("romfile", "`rom-file`"),
    ];
}

/// The sub-options of the guest agent.
#[derive(Debug, Clone)]
pub struct AgentOptions;

impl SchemaTable for AgentOptions {
    const OBJECTS: &'static [SchemaObject] = &[SchemaObject::Part(ConfigFile::Qm, "agent")];
    const SAID: &'static [(&'static str, &'static str)] = &[];
}

/// The sub-options of a mount of a container.
#[derive(Debug, Clone)]
pub struct MountOptions;

impl SchemaTable for MountOptions {
    const OBJECTS: &'static [SchemaObject] = &[SchemaObject::Part(ConfigFile::Pct, "mp[n]")];
    const SAID: &'static [(&'static str, &'static str)] =
        &[("mp", "`path`"), ("ro", "`read-only`")];
}

/// The sub-options of a container's root file system.
#[derive(Debug, Clone)]
pub struct RootfsOptions;

impl SchemaTable for RootfsOptions {
    const OBJECTS: &'static [SchemaObject] = &[SchemaObject::Part(ConfigFile::Pct, "rootfs")];
    const SAID: &'static [(&'static str, &'static str)] = &[];
}

// ---------------------------------------------------------------- backups

/// Options of a backup job.
#[derive(Debug, Clone, Copy)]
pub struct JobOptions;

impl SchemaTable for JobOptions {
    const OBJECTS: &'static [SchemaObject] = &[SchemaObject::File(ConfigFile::Job("vzdump"))];
    const SAID: &'static [(&'static str, &'static str)] = &[
        ("all", "`guests = \"all\"`"),
        ("maxfiles", "`keep = { last = … }`"),
        ("notes-template", "`notes`"),
        ("pool", "`guests`, which names them"),
        ("prune-backups", "`keep`"),
        ("repeat-missed", "`persistent`"),
        ("schedule", "`on`"),
        ("vmid", "`guests`"),
    ];
}

/// What backups do where neither a job nor the command line says otherwise: `vzdump.conf`.
#[derive(Debug, Clone, Copy)]
pub struct VzdumpOptions;

impl SchemaTable for VzdumpOptions {
    const OBJECTS: &'static [SchemaObject] = &[SchemaObject::File(ConfigFile::Vzdump)];
    const SAID: &'static [(&'static str, &'static str)] = &[];
}

/// What holds for the whole datacenter: `datacenter.cfg`.
#[derive(Debug, Clone, Copy)]
pub struct DatacenterOptions;

impl SchemaTable for DatacenterOptions {
    const OBJECTS: &'static [SchemaObject] = &[SchemaObject::File(ConfigFile::Datacenter)];
    const SAID: &'static [(&'static str, &'static str)] =
        &[("description", "the datacenter's notes in the web interface")];
}

/// Options of the mapping of a PCI device.
#[derive(Debug, Clone, Copy)]
pub struct PciMappingOptions;

impl SchemaTable for PciMappingOptions {
    const OBJECTS: &'static [SchemaObject] =
        &[SchemaObject::File(ConfigFile::Mapping(MappingKind::Pci))];
    const SAID: &'static [(&'static str, &'static str)] = &[
        ("description", "`model`"),
        ("map", "`address`, `id`, `subsystem` and `iommu-group`"),
    ];
}

// ---------------------------------------------------------------- the host's network

/// What ifupdown2 takes of an interface, and what it hands to the scripts of other packages.
#[derive(Debug, Clone, Copy)]
pub struct InterfaceOptions;

impl SchemaTable for InterfaceOptions {
    const OBJECTS: &'static [SchemaObject] = &[SchemaObject::File(ConfigFile::Interfaces)];
    const SAID: &'static [(&'static str, &'static str)] = &[
        ("address", "`address`, `address6` and `addresses`"),
        ("bond-lacp-rate", "`lacp-rate` of the bond"),
        ("bond-mode", "`mode` of the bond"),
        ("bond-ports", "`ports` of the bond"),
        ("bond-primary", "`primary` of the bond"),
        ("bond-slaves", "`ports` of the bond"),
        ("bond-xmit-hash-policy", "`hash-policy` of the bond"),
        ("bridge-ports", "`ports` of the bridge"),
        ("bridge-stp", "`stp` of the bridge"),
        ("bridge-trunk", "`vids` of the bridge"),
        ("bridge-vids", "`vids` of the bridge"),
        ("bridge-vlan-aware", "`vlan-aware` of the bridge"),
        ("broadcast", "nothing: it follows from the address"),
        ("endpoint", "`tunnel-endpoint`"),
        ("gateway", "`gateway` and `gateway6`"),
        ("local", "`tunnel-local`"),
        ("mode", "`tunnel-mode`"),
        ("mtu", "`mtu`"),
        ("netmask", "the address: `\"192.0.2.10/24\"`"),
        ("network", "nothing: it follows from the address"),
        ("ovs_bonds", "`ports` of the bond"),
        ("ovs_bridge", "`ports` of the bridge"),
        ("ovs_mtu", "`mtu`"),
        ("ovs_ports", "`ports` of the bridge"),
        ("ovs_type", "`kind` of the bridge"),
        ("ttl", "`tunnel-ttl`"),
        ("tunnel-physdev", "`tunnel-dev`"),
        ("uplink-id", "nothing: Proxmox VE drops it"),
        ("vlan-id", "`vlan`"),
        ("vlan-raw-device", "`on`"),
    ];
}
