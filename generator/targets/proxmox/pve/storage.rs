//! `storage.cfg`: where Proxmox VE finds and puts volumes, images and backups.

use std::collections::BTreeSet;
use std::fmt;

use crate::diagnostics::Sink;
use crate::facts::Volumes;
use crate::model::{
    Dataset, External, ExternalPlace, GuestKind, Host, Id, Keep, Local, Lvm, Store, StoreRef,
};
use crate::pve::{
    CannotCarry, PropertyString, PveOption, Release, Section, SectionConfig, SectionFile,
    check_option,
};
use crate::source::{Span, Spanned};
use crate::value::{AbsolutePath, DatasetUse};

use super::options::{report_fault, report_refusal};
use super::virtiofs::Hook;

/// Plans the whole file, which is there without a section, too: a host without guests has no store of its own.
pub(super) fn plan(host: &Host, volumes: &Volumes, sink: &mut Sink) -> SectionConfig {
    let mut config = SectionConfig::new(SectionFile::Storage);
    let place = host.storage.local.name.span;
    let mut sections = vec![(local(host, volumes, sink), place)];
    let mut names = BTreeSet::new();
    for (id, store) in host.storage.stores() {
        let name = store.name();
        // Of two stores of one name, the analysis has told.
        if !names.insert(name.value.as_str()) {
            continue;
        }
        let section = match (id, store) {
            (StoreRef::Dataset(id), Store::Dataset(dataset)) => of_dataset(host, id, dataset, sink),
            (_, Store::Lvm(lvm)) => of_lvm(host, lvm, sink),
            (_, Store::External(external)) => of_external(host, external, sink),
            (_, Store::Dataset(_) | Store::Local(_)) => continue,
        };
        sections.push((section, name.span));
    }
    for (section, place) in sections {
        if let Some(Err(error)) = section.map(|section| config.push(section)) {
            report_refusal(&error, place, sink);
        }
    }
    config
}

/// Proxmox VE's own store. Where the spec has no table of it, the file says of it only what is put there from here:
/// applying adds that to what the host says. Proxmox VE brings the store itself, named in the file or not.
fn local(host: &Host, volumes: &Volumes, sink: &mut Sink) -> Option<Section> {
    let place = host.storage.local.name.span;
    let stated = host.storage.local.stated.as_ref();
    let (words, uses_place) = if let Some(stated) = stated {
        contents(&stated.uses, stated.span)
    } else {
        let words: Vec<&str> = put_into_local(host, volumes).into_iter().collect();
        if words.is_empty() {
            return None;
        }
        (words.join(","), place)
    };
    let schema = stated.map_or(&[][..], |stated| &stated.schema);
    let mut storage = Storage::new("dir", "local", place, *host.release, schema, sink);
    storage.set("path", Local::PATH, place);
    storage.set("content", words, uses_place);
    if let Some(stated) = stated {
        storage.disabled(&stated.disabled);
        storage.keep(stated.keep.as_ref());
    }
    storage.finish()
}

/// The contents of what the host puts into `local`: disks, root file systems, backups, hook scripts.
fn put_into_local(host: &Host, volumes: &Volumes) -> BTreeSet<&'static str> {
    let mut contents = BTreeSet::new();
    for (id, guest) in host.guests.iter() {
        let lies_there = volumes
            .of_guest(id)
            .iter()
            .any(|volume| volume.store == StoreRef::Local);
        match &guest.kind {
            GuestKind::Vm(vm) => {
                if lies_there {
                    contents.insert("images");
                }
                if Hook::of(host, guest, vm).is_some() {
                    contents.insert("snippets");
                }
            }
            GuestKind::Container(_) if lies_there => {
                contents.insert("rootdir");
            }
            GuestKind::Container(_) => {}
        }
    }
    let backups = host.schedules.values().any(|schedule| {
        schedule
            .backup()
            .is_some_and(|task| task.storage.value == Some(StoreRef::Local))
    });
    if backups {
        contents.insert("backup");
    }
    contents
}

/// A storage in the making.
struct Storage<'a> {
    section: Option<Section>,
    release: Release,
    /// What the spec says by Proxmox VE's own names: it stands instead of what is decided here.
    schema: &'a [PveOption],
    sink: &'a mut Sink,
}

impl<'a> Storage<'a> {
    fn new(
        kind: &str,
        id: &str,
        place: Span,
        release: Release,
        schema: &'a [PveOption],
        sink: &'a mut Sink,
    ) -> Self {
        let section = match Section::new(SectionFile::Storage, kind, id) {
            Ok(mut section) => {
                section.mark("", place);
                Some(section)
            }
            Err(error) => {
                report_refusal(&error, place, sink);
                None
            }
        };
        Self {
            section,
            release,
            schema,
            sink,
        }
    }

    fn set(&mut self, key: &str, value: impl fmt::Display, place: Span) {
        let Some(section) = &mut self.section else {
            return;
        };
        if PveOption::find(self.schema, key).is_some() {
            return;
        }
        let value = value.to_string();
        if let Err(fault) = check_option(section.config_file(), self.release, key, &value) {
            report_fault(fault, place, self.sink);
        } else if let Err(error) = section.set(key, &value) {
            report_refusal(&error, place, self.sink);
        } else {
            section.mark(key, place);
        }
    }

    fn disabled(&mut self, disabled: &crate::model::Setting<bool>) {
        // Said, it is what the host's own `disable` becomes.
        if disabled.is_written() {
            self.set("disable", u8::from(**disabled), disabled.span);
        }
    }

    /// Adds what the spec says by Proxmox VE's own names.
    fn finish(mut self) -> Option<Section> {
        let mut section = self.section.take()?;
        for option in self.schema {
            let checked = check_option(
                section.config_file(),
                self.release,
                &option.key.value,
                &option.value.value,
            );
            if let Err(fault) = checked {
                let place = option.place(&fault.place);
                report_fault(fault, place, self.sink);
            } else if let Err(error) = section.set(&option.key.value, &option.value.value) {
                report_refusal(&error, option.value.span, self.sink);
            }
        }
        Some(section)
    }

    fn keep(&mut self, keep: Option<&Spanned<Keep>>) {
        if let Some(keep) = keep {
            match prune_backups(keep) {
                Ok(value) => self.set("prune-backups", value, keep.span),
                Err(error) => report_refusal(&error, keep.span, self.sink),
            }
        }
    }
}

/// `keep-daily=7,keep-last=3`, or `keep-all=1` alone; sorted, as Proxmox VE writes it.
pub(super) fn prune_backups(keep: &Keep) -> Result<PropertyString, CannotCarry> {
    if keep.all {
        return PropertyString::new().with_flag("keep-all", true);
    }
    let mut rules: Vec<(&str, u32)> = keep.rules().collect();
    rules.sort_unstable();
    rules
        .into_iter()
        .try_fold(PropertyString::new(), |value, (word, number)| {
            value.with(&format!("keep-{word}"), number)
        })
}

/// Which of Proxmox VE's contents a use stands for; none for a shared folder, which Proxmox VE keeps nothing in.
fn content(wanted: DatasetUse) -> Option<&'static str> {
    match wanted {
        DatasetUse::VmDisks => Some("images"),
        DatasetUse::Containers => Some("rootdir"),
        DatasetUse::Backups => Some("backup"),
        DatasetUse::Iso => Some("iso"),
        DatasetUse::Templates => Some("vztmpl"),
        DatasetUse::Snippets => Some("snippets"),
        DatasetUse::Import => Some("import"),
        DatasetUse::Share => None,
    }
}

/// The contents of a store, and where the spec names the first of its uses.
fn contents(uses: &[Spanned<DatasetUse>], otherwise: Span) -> (String, Span) {
    let mut words: Vec<&str> = uses
        .iter()
        .filter_map(|wanted| content(wanted.value))
        .collect();
    words.sort_unstable();
    words.dedup();
    let place = uses.first().map_or(otherwise, |wanted| wanted.span);
    if words.is_empty() {
        // Known to Proxmox VE, and used for nothing: it makes no folders of its own there.
        return ("none".to_owned(), place);
    }
    (words.join(","), place)
}

fn of_dataset(host: &Host, id: Id<Dataset>, dataset: &Dataset, sink: &mut Sink) -> Option<Section> {
    let name = &dataset.name;
    let (words, place) = contents(&dataset.uses, dataset.span);
    let mountpoint = host.mountpoint(id);
    let kind = Store::Dataset(dataset).pve_type();
    if !dataset.holds_volumes() {
        let mut storage = Storage::new(kind, name, name.span, *host.release, &dataset.schema, sink);
        let path_place = dataset
            .mountpoint
            .as_ref()
            .map_or(name.span, |path| path.span);
        storage.set("path", mountpoint, path_place);
        storage.set("content", words, place);
        // Else a pool that is not imported would fill the root file system.
        storage.set("is_mountpoint", 1, name.span);
        storage.disabled(&dataset.disabled);
        return storage.finish();
    }
    // One storage of Proxmox VE is for volumes or for files; of one for both, the analysis has told.
    if dataset.file_use().is_some() {
        return None;
    }
    let mut storage = Storage::new(kind, name, name.span, *host.release, &dataset.schema, sink);
    storage.set("pool", host.zfs_name(id), name.span);
    storage.set("content", words, place);
    storage.set("mountpoint", mountpoint, name.span);
    storage.set("sparse", u8::from(*dataset.thin), dataset.thin.span);
    if let Some(block) = dataset.volblocksize {
        storage.set("blocksize", block_size(block.as_bytes()), block.span);
    }
    storage.disabled(&dataset.disabled);
    storage.finish()
}

fn of_lvm(host: &Host, lvm: &Lvm, sink: &mut Sink) -> Option<Section> {
    let name = &lvm.name;
    let (words, place) = contents(&lvm.uses, lvm.span);
    let kind = Store::Lvm(lvm).pve_type();
    let mut storage = Storage::new(kind, name, name.span, *host.release, &lvm.schema, sink);
    storage.set("vgname", &lvm.group.value, lvm.group.span);
    if let Some(thin_pool) = &lvm.thin_pool {
        storage.set("thinpool", &thin_pool.value, thin_pool.span);
    }
    storage.set("content", words, place);
    storage.disabled(&lvm.disabled);
    storage.finish()
}

/// A power of two as ZFS and Proxmox VE take it: `16k`, `1m`.
fn block_size(bytes: u64) -> String {
    match bytes {
        0..1024 => bytes.to_string(),
        1024..0x10_0000 => format!("{}k", bytes >> 10),
        _ => format!("{}m", bytes >> 20),
    }
}

fn of_external(host: &Host, external: &External, sink: &mut Sink) -> Option<Section> {
    let name = &external.name;
    let (words, uses_place) = contents(&external.uses, external.span);
    let kind = Store::External(external).pve_type();
    let mut storage = Storage::new(kind, name, name.span, *host.release, &external.schema, sink);
    // Where Proxmox VE mounts by itself.
    let mounted = |path: &Option<Spanned<AbsolutePath>>| {
        let place = path.as_ref().map_or(name.span, |path| path.span);
        let path = external.folder().map(|path| path.to_string());
        (path.unwrap_or_default(), place)
    };
    match &external.place {
        ExternalPlace::Nfs {
            server,
            export,
            path,
        } => {
            storage.set("server", &server.value, server.span);
            storage.set("export", &export.value, export.span);
            let (path, place) = mounted(path);
            storage.set("path", path, place);
        }
        ExternalPlace::Cifs {
            server,
            share,
            username,
            path,
        } => {
            storage.set("server", &server.value, server.span);
            storage.set("share", &share.value, share.span);
            let (path, place) = mounted(path);
            storage.set("path", path, place);
            if let Some(username) = username {
                storage.set("username", &username.value, username.span);
            }
        }
        ExternalPlace::Pbs {
            server,
            datastore,
            namespace,
            username,
            fingerprint,
        } => {
            storage.set("server", &server.value, server.span);
            storage.set("datastore", &datastore.value, datastore.span);
            storage.set("username", &username.value, username.span);
            if let Some(namespace) = namespace {
                storage.set("namespace", &namespace.value, namespace.span);
            }
            if let Some(fingerprint) = fingerprint {
                storage.set("fingerprint", &fingerprint.value, fingerprint.span);
            }
            if let Some(key) = &external.encryption_key {
                storage.set("encryption-key", &key.value, key.span);
            }
        }
        ExternalPlace::Dir { path, device, .. } => {
            storage.set("path", &path.value, path.span);
            if device.is_some() || *external.removable {
                // While the disk is away, the store is offline and nothing is written below its folder.
                storage.set("is_mountpoint", 1, path.span);
            }
        }
        ExternalPlace::Btrfs { path } => {
            storage.set("path", &path.value, path.span);
            if *external.removable {
                storage.set("is_mountpoint", 1, path.span);
            }
        }
        ExternalPlace::Cephfs { path, username } => {
            let (path, place) = mounted(path);
            storage.set("path", path, place);
            if let Some(username) = username {
                storage.set("username", &username.value, username.span);
            }
        }
        ExternalPlace::Rbd {
            namespace,
            username,
        } => {
            if let Some(namespace) = namespace {
                storage.set("namespace", &namespace.value, namespace.span);
            }
            if let Some(username) = username {
                storage.set("username", &username.value, username.span);
            }
        }
        ExternalPlace::Iscsi => {}
        ExternalPlace::Esxi { server, username } => {
            storage.set("server", &server.value, server.span);
            if let Some(username) = username {
                storage.set("username", &username.value, username.span);
            }
        }
    }
    storage.set("content", words, uses_place);
    if let Some(options) = &external.options {
        storage.set("options", &options.value, options.span);
    }
    storage.disabled(&external.disabled);
    storage.keep(external.keep.as_ref());
    storage.finish()
}
