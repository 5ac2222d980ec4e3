//! `[storage]`: pools, datasets, volume groups, stores elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::doc::{Doc, Part, Table, Toml};
use super::hardware::Disks;
use super::write::{NoteKind, StoreKind, Writing, kebab, schema_value, size};
use crate::live::Snapshot;
use crate::live::secrets::is_blanked;
use crate::live::storage::{Pool, Properties, Vdev, VdevClass};
use crate::pve::Section;
use crate::pve::schema::ConfigFile;
use crate::value::{DatasetUse, PoolName, SpecString, StorageName};

/// The file of Proxmox VE's storages.
pub(super) const STORAGE_CFG: &str = "etc/pve/storage.cfg";

/// Where Proxmox VE's own storage lies.
const LOCAL: &str = "/var/lib/vz";

/// In which table a storage of the host stands; none where it is kept word for word.
pub(super) fn kind_of(section: &Section) -> Option<StoreKind> {
    if section.id() == "local" {
        return (section.kind() == "dir" && section.get("path") == Some(LOCAL))
            .then_some(StoreKind::Store);
    }
    if StorageName::parse(section.id()).is_err() || uses(section).is_none() {
        return None;
    }
    match section.kind() {
        "zfspool" => pool_of(section)
            .filter(|pool| PoolName::parse(pool).is_ok())
            .map(|_| StoreKind::Dataset),
        "lvm" | "lvmthin" | "dir" | "nfs" | "cifs" | "pbs" | "btrfs" | "cephfs" | "rbd"
        | "iscsi" | "esxi" => Some(StoreKind::Store),
        _ => None,
    }
}

/// The table of `[storage.datasets]` that a dataset of ZFS gets.
pub(super) fn dataset_of<'a>(writing: &Writing<'a>, zfs: &str) -> Option<&'a str> {
    let storage = writing.live.storage.present()?;
    let own = |section: &&Section| {
        section.kind() == "zfspool"
            && section.get("pool") == Some(zfs)
            && writing.stores.contains_key(section.id())
    };
    storage.config.sections().find(own).map(Section::id)
}

/// The pool that a storage's dataset lies in.
fn pool_of(section: &Section) -> Option<&str> {
    section.get("pool")?.split('/').next()
}

/// Whether a storage lies in a pool that other nodes of the cluster have, and this one has not.
pub(super) fn is_of_others(live: &Snapshot, node: &str, section: &Section) -> bool {
    let mut nodes = section
        .get("nodes")
        .unwrap_or(node)
        .split(',')
        .map(str::trim);
    let pool = pool_of(section);
    let known = live.zfs.pools.present();
    section.kind() == "zfspool"
        && !nodes.any(|named| named == node)
        && known.is_some_and(|known| known.iter().all(|one| Some(one.name.as_str()) != pool))
}

/// What a storage is for, in the words of the language; none where one of its contents has no word.
fn uses(section: &Section) -> Option<Vec<&'static str>> {
    let content = section
        .get("content")
        .unwrap_or_else(|| default_content(section.kind()));
    let words = content
        .split([',', ' '])
        .filter(|word| !matches!(*word, "" | "none"));
    let mut uses = words
        .map(|word| {
            let wanted = match word {
                "images" => DatasetUse::VmDisks,
                "rootdir" => DatasetUse::Containers,
                "backup" => DatasetUse::Backups,
                "iso" => DatasetUse::Iso,
                "vztmpl" => DatasetUse::Templates,
                "snippets" => DatasetUse::Snippets,
                "import" => DatasetUse::Import,
                _ => return None,
            };
            Some(wanted)
        })
        .collect::<Option<Vec<DatasetUse>>>()?;
    uses.sort();
    uses.dedup();
    Some(uses.into_iter().map(DatasetUse::as_str).collect())
}

/// What a storage is for where its section does not say (the plugins' `plugindata`).
fn default_content(kind: &str) -> &'static str {
    match kind {
        "zfspool" | "lvm" | "lvmthin" => "images,rootdir",
        "pbs" | "cephfs" => "backup",
        "esxi" => "import",
        _ => "images",
    }
}

/// Writes pools and storages.
pub(super) fn write(writing: &mut Writing<'_>, disks: &Disks, doc: &mut Doc) {
    let live = writing.live;
    arc(writing, doc);
    let sections: Vec<&Section> = match &live.storage {
        crate::live::Item::Present(storage) => storage.config.sections().collect(),
        crate::live::Item::Absent | crate::live::Item::Unread(_) => Vec::new(),
    };
    let sections: Vec<&Section> = sections
        .into_iter()
        .filter(|section| writing.stores.contains_key(section.id()))
        .collect();
    pools(writing, &sections, disks, doc);
    for kind in ["zfspool", "lvmthin", "lvm"] {
        for section in sections.iter().filter(|section| section.kind() == kind) {
            let table = match kind {
                "zfspool" => dataset(writing, section),
                _ => lvm(writing, section),
            };
            doc.push(table);
        }
    }
    for section in &sections {
        if section.id() == "local" {
            doc.push(local(writing, section));
        } else if !matches!(section.kind(), "zfspool" | "lvmthin" | "lvm") {
            let table = external(writing, section);
            doc.push(table);
        }
    }
}

/// The bounds of the ZFS cache, where one file of modprobe.d says them and nothing else.
fn arc(writing: &Writing<'_>, doc: &mut Doc) {
    let mut table = Table::new(["storage"], Part::Boot);
    for (key, bytes) in super::boot::arc(writing.live) {
        table.set(key, size(bytes));
    }
    doc.push(table);
}

fn part(section: &Section) -> Part {
    Part::Store(section.id().to_owned())
}

/// The keys of a section that the table of the language says in its own way are gone from `rest`.
struct Rest<'a> {
    kind: String,
    properties: BTreeMap<String, String>,
    section: &'a Section,
}

impl<'a> Rest<'a> {
    fn of(section: &'a Section) -> Self {
        let properties = section.properties();
        Self {
            kind: section.kind().to_owned(),
            properties: properties
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            section,
        }
    }

    fn take(&mut self, key: &str) -> Option<String> {
        self.properties.remove(key)
    }

    /// What it is for, how long it keeps, whether it is passed over, and everything else.
    fn finish(mut self, writing: &mut Writing<'_>, table: &mut Table) {
        self.take("content");
        table.set_as(
            "use",
            Toml::texts(uses(self.section).unwrap_or_default()),
            "content",
        );
        if let Some(keep) = self.take("prune-backups") {
            table.set_as("keep", keep_of(&keep), "prune-backups");
        }
        if let Some(disabled) = self.take("disable")
            && disabled != "0"
        {
            table.set_as("disabled", true, "disable");
        }
        let file = ConfigFile::Storage(&self.kind);
        for (key, value) in &self.properties {
            if is_blanked(value) {
                writing.note(
                    NoteKind::Unread,
                    format!("`{key}` of the storage `{}`", self.section.id()),
                    "a secret, which is not read",
                );
                continue;
            }
            let value = match file.option(key) {
                Some(schema) => schema_value(schema, value),
                None => value.as_str().into(),
            };
            table.set_as(&kebab(key), value, key);
        }
    }
}

/// `keep-last=3,keep-daily=7` as a table.
pub(super) fn keep_of(text: &str) -> Toml {
    let mut table = Vec::new();
    for part in text.split(',') {
        let Some((key, value)) = part.trim().split_once('=') else {
            continue;
        };
        let word = key.trim_start_matches("keep-").to_owned();
        let value = match word.as_str() {
            "all" => Toml::Flag(value == "1"),
            _ => Toml::number(value),
        };
        table.push((word, value));
    }
    let order = [
        "last", "hourly", "daily", "weekly", "monthly", "yearly", "all",
    ];
    table.sort_by_key(|(word, _)| order.iter().position(|known| known == word));
    // A rule that keeps nothing is none.
    let says_more = table
        .iter()
        .any(|(_, value)| !matches!(value, Toml::Number(0) | Toml::Flag(false)));
    if says_more {
        table.retain(|(_, value)| *value != Toml::Flag(false));
    }
    Toml::Table(table)
}

fn local(writing: &mut Writing<'_>, section: &Section) -> Table {
    let mut table = Table::new(["storage", "local"], part(section));
    let mut rest = Rest::of(section);
    rest.take("path");
    rest.finish(writing, &mut table);
    table
}

fn dataset(writing: &mut Writing<'_>, section: &Section) -> Table {
    let mut table = Table::new(["storage", "datasets", section.id()], part(section));
    let mut rest = Rest::of(section);
    let zfs = rest.take("pool").unwrap_or_default();
    let (pool, path) = zfs.split_once('/').unwrap_or((&zfs, ""));
    table.set("pool", pool);
    if path != section.id() {
        table.set_as("path", path, "pool");
    }
    let mountpoint = rest.take("mountpoint");
    let own = writing
        .live
        .zfs
        .properties
        .present()
        .and_then(|all| all.get(&zfs));
    let mounted = own
        .and_then(|own| own.get("mountpoint"))
        .filter(|property| property.is_set_here() && property.value.starts_with('/'))
        .map(|property| property.value.clone());
    if let Some(mountpoint) = mounted.or(mountpoint)
        && mountpoint != format!("/{zfs}")
    {
        table.set("mountpoint", mountpoint);
    }
    let sparse = rest.take("sparse");
    let thin = sparse.as_deref() == Some("1");
    if !thin || !writing.minimal {
        table.set_as("thin", thin, "sparse");
    }
    if let Some(block) = rest.take("blocksize") {
        table.set_as("volblocksize", block.to_ascii_uppercase(), "blocksize");
    }
    properties(own, &mut table);
    rest.finish(writing, &mut table);
    table
}

/// What somebody set on a dataset.
fn properties(own: Option<&BTreeMap<String, crate::live::storage::Property>>, table: &mut Table) {
    let Some(own) = own else { return };
    let set = |name: &str| {
        let property = own.get(name)?;
        (property.is_set_here() && property.value != "none" && property.value != "0")
            .then(|| property.value.clone())
    };
    for name in ["quota", "reservation"] {
        if let Some(bytes) = set(name).and_then(|value| value.parse().ok()) {
            table.set(name, size(bytes));
        }
    }
    if let Some(bytes) = set("recordsize").and_then(|value| value.parse().ok()) {
        table.set("recordsize", size(bytes));
    }
    for name in ["compression", "sync", "acltype", "xattr"] {
        table.set_some(name, set(name));
    }
    if let Some(atime) = own.get("atime").filter(|atime| atime.is_set_here()) {
        table.set("atime", atime.value == "on");
    }
}

fn lvm(writing: &mut Writing<'_>, section: &Section) -> Table {
    let mut table = Table::new(["storage", "lvm", section.id()], part(section));
    let mut rest = Rest::of(section);
    table.set_as("group", rest.take("vgname").unwrap_or_default(), "vgname");
    if let Some(pool) = rest.take("thinpool") {
        table.set_as("thin-pool", pool, "thinpool");
    }
    // The group that the root file system lies in is the installer's.
    if section.get("vgname") == Some("pve") && section.get("thinpool") == Some("data") {
        table.set("boot", true);
    }
    rest.finish(writing, &mut table);
    table
}

fn external(writing: &mut Writing<'_>, section: &Section) -> Table {
    let mut table = Table::new(["storage", "external", section.id()], part(section));
    let mut rest = Rest::of(section);
    table.set_as("kind", section.kind(), "type");
    let usual = format!("/mnt/pve/{}", section.id());
    for key in [
        "server",
        "export",
        "share",
        "datastore",
        "namespace",
        "username",
        "fingerprint",
        "path",
        "options",
    ] {
        let Some(value) = rest.take(key) else {
            continue;
        };
        let is_usual =
            matches!(section.kind(), "nfs" | "cifs" | "cephfs") && key == "path" && value == usual;
        if !is_usual {
            table.set(key, value);
        }
    }
    if let Some(key) = rest.take("encryption-key") {
        table.set("encryption-key", key);
    }
    if matches!(section.kind(), "pbs" | "esxi")
        || section.kind() == "cifs" && section.get("username").is_some()
    {
        let entry = table.set("secret", format!("{}-password", section.id()));
        entry.comments.push(format!(
            "the password, which Proxmox VE keeps in /etc/pve/priv/storage/{}.pw",
            section.id()
        ));
    }
    rest.finish(writing, &mut table);
    table
}

/// The pools that storages or datasets lie in, and those that are imported.
fn pools(writing: &mut Writing<'_>, sections: &[&Section], disks: &Disks, doc: &mut Doc) {
    let live = writing.live;
    let mut names: BTreeSet<&str> = sections
        .iter()
        .filter(|section| section.kind() == "zfspool")
        .filter_map(|section| pool_of(section))
        .collect();
    let known: Vec<&Pool> = live.zfs.pools.present().into_iter().flatten().collect();
    names.extend(
        known
            .iter()
            .map(|pool| pool.name.as_str())
            .filter(|name| PoolName::parse(name).is_ok()),
    );
    for name in names {
        let mut table = Table::new(["storage", "pools", name], Part::Pool(name.to_owned()));
        let pool = known.iter().find(|pool| pool.name == name);
        match pool.map(|pool| vdevs(pool, disks)) {
            Some(Ok(entries)) => {
                for (key, value) in entries {
                    table.set(key, value);
                }
            }
            Some(Err(why)) => table
                .comments
                .push(format!("{why}: moxc makes nothing of it")),
            None => table
                .comments
                .push("its disks are not in the copy: moxc makes nothing of it".to_owned()),
        }
        if is_root(live, name) {
            table.set("boot", true);
        }
        let of_pool = live
            .zfs
            .pool_properties
            .present()
            .and_then(|all| all.get(name));
        if let Some(properties) = of_pool {
            pool_properties(properties, &mut table);
        }
        let own = live
            .zfs
            .properties
            .present()
            .and_then(|all: &Properties| all.get(name));
        if let Some(compression) = own
            .and_then(|own| own.get("compression"))
            .filter(|p| p.is_set_here())
        {
            table.set("compression", compression.value.as_str());
        }
        if table.is_empty() {
            // A table with nothing in it is still one.
            table.set("boot", false);
        }
        doc.push(table);
    }
}

/// Whether the host starts from a pool.
fn is_root(live: &crate::live::Snapshot, pool: &str) -> bool {
    let root = format!("ZFS={pool}/ROOT/");
    let texts = [
        live.boot.running.present().map(String::as_str),
        live.boot.cmdline.present().map(|file| file.text.as_str()),
    ];
    texts.iter().flatten().any(|text| text.contains(&root))
}

fn pool_properties(
    properties: &BTreeMap<String, crate::live::storage::Property>,
    table: &mut Table,
) {
    let value = |name: &str| properties.get(name).map(|property| property.value.as_str());
    if let Some(ashift) = value("ashift").filter(|ashift| *ashift != "0") {
        table.set("ashift", Toml::number(ashift));
    }
    if let Some(autotrim) = value("autotrim") {
        table.set("autotrim", autotrim == "on");
    }
}

/// How the disks of a pool stand together.
fn vdevs(pool: &Pool, disks: &Disks) -> Result<Vec<(&'static str, Toml)>, String> {
    let names = |vdev: &Vdev| {
        vdev.members
            .iter()
            .map(|member| {
                disks
                    .member(member)
                    .ok_or_else(|| format!("its member `{member}` is no disk that the copy knows"))
            })
            .collect::<Result<Vec<String>, String>>()
    };
    let of = |class: VdevClass| pool.vdevs.iter().filter(move |vdev| vdev.class == class);
    let data: Vec<&Vdev> = of(VdevClass::Data).collect();
    let levels: BTreeSet<&str> = data.iter().map(|vdev| vdev.level.as_str()).collect();
    let layout = match (&levels.iter().copied().collect::<Vec<_>>()[..], data.len()) {
        (["disk"], _) => "stripe",
        (["mirror"], 1) => "mirror",
        (["mirror"], _) if data.iter().all(|vdev| vdev.members.len() == 2) => "raid10",
        (["raidz1" | "raidz"], 1) => "raidz1",
        (["raidz2"], 1) => "raidz2",
        (["raidz3"], 1) => "raidz3",
        _ => {
            return Err(
                "its disks stand together in a way that the language has no word for".to_owned(),
            );
        }
    };
    if of(VdevClass::Dedup).next().is_some() {
        return Err("it has vdevs that the language has no word for".to_owned());
    }
    let mut members = Vec::new();
    for vdev in &data {
        members.extend(names(vdev)?);
    }
    let mut entries = vec![("layout", layout.into()), ("disks", Toml::texts(members))];
    for (key, class) in [
        ("special", VdevClass::Special),
        ("log", VdevClass::Log),
        ("cache", VdevClass::Cache),
        ("spare", VdevClass::Spare),
    ] {
        let further: Vec<&Vdev> = of(class).collect();
        let mut members = Vec::new();
        for vdev in &further {
            members.extend(names(vdev)?);
        }
        let Some(first) = further.first() else {
            continue;
        };
        let layout = match first.level.as_str() {
            "disk" => "stripe",
            "mirror" if further.len() == 1 => "mirror",
            _ => return Err("it has vdevs that the language has no word for".to_owned()),
        };
        let mut table = Vec::new();
        if members.len() > 1 && matches!(class, VdevClass::Special | VdevClass::Log) {
            table.push(("layout".to_owned(), layout.into()));
        }
        table.push(("disks".to_owned(), Toml::texts(members)));
        entries.push((key, Toml::Table(table)));
    }
    Ok(entries)
}
