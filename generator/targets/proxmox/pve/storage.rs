//! `storage.cfg`: where Proxmox VE finds and puts volumes, images and backups.

use std::fmt;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Dataset, External, ExternalPlace, Host, Id, Keep};
use crate::pve::{
    CannotCarry, PropertyString, Release, Section, SectionConfig, SectionFile, check_option,
};
use crate::source::{Span, Spanned};
use crate::value::DatasetUse;

use super::options::{report_fault, report_refusal};

/// Plans the whole file.
pub(super) fn plan(host: &Host, sink: &mut Sink) -> SectionConfig {
    let mut config = SectionConfig::new(SectionFile::Storage);
    let release = *host.release;
    // Proxmox VE adds it where it is absent, and writes it down with the next change. Hook scripts lie in it.
    let mut local = Storage::new("dir", "local", host.span, release, sink);
    local.set("path", "/var/lib/vz", host.span);
    local.set("content", "backup,iso,snippets,vztmpl", host.span);
    let local = local.section;
    let mut sections = vec![(local, host.span)];
    for (id, dataset) in host.storage.datasets.iter() {
        let storage = of_dataset(host, id, dataset, sink).and_then(|storage| storage.section);
        sections.push((storage, dataset.name.span));
    }
    for external in host.storage.external.values() {
        let name = &external.name;
        let dataset = host.storage.datasets.find(name);
        if let Some(dataset) = dataset.map(|id| &host.storage.datasets[id]) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0103,
                    name.span,
                    format!("two stores are called `{}`", name.value),
                )
                .label("a store elsewhere")
                .also(dataset.name.span, "a dataset")
                .help("rename one: each is the storage of its name in Proxmox VE"),
            );
            continue;
        }
        sections.push((of_external(external, release, sink).section, name.span));
    }
    for (section, place) in sections {
        if let Some(Err(error)) = section.map(|section| config.push(section)) {
            report_refusal(&error, place, sink);
        }
    }
    config
}

/// A storage in the making.
struct Storage<'a> {
    section: Option<Section>,
    release: Release,
    sink: &'a mut Sink,
}

impl<'a> Storage<'a> {
    fn new(kind: &str, id: &str, place: Span, release: Release, sink: &'a mut Sink) -> Self {
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
            sink,
        }
    }

    fn set(&mut self, key: &str, value: impl fmt::Display, place: Span) {
        let Some(section) = &mut self.section else {
            return;
        };
        let value = value.to_string();
        if let Err(fault) = check_option(section.config_file(), self.release, key, &value) {
            report_fault(fault, place, self.sink);
        } else if let Err(error) = section.set(key, &value) {
            report_refusal(&error, place, self.sink);
        } else {
            section.mark(key, place);
        }
    }

    /// The folder of a storage of the kind `dir`. Proxmox VE skips the whole section where it dislikes one (`DirPlugin.pm`,
    /// `check_config`).
    fn folder(&mut self, path: &str, place: Span) {
        let odd = path
            .chars()
            .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_' | '.' | '@')));
        match odd {
            None => self.set("path", path, place),
            Some(odd) => self.sink.push(
                Diagnostic::new(
                    Code::MOX0330,
                    place,
                    format!("Proxmox VE takes no folder `{path}` as a storage"),
                )
                .label(if odd.is_control() || odd.is_whitespace() {
                    format!("{odd:?}")
                } else {
                    format!("`{odd}`")
                })
                .help(
                    "letters without accents, digits, and `-`, `_`, `.`, `@` between the slashes",
                ),
            ),
        }
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

/// What of Proxmox VE's contents a use stands for; a shared folder is none of its business.
fn content(wanted: DatasetUse) -> Option<&'static str> {
    match wanted {
        DatasetUse::VmDisks => Some("images"),
        DatasetUse::Containers => Some("rootdir"),
        DatasetUse::Backups => Some("backup"),
        DatasetUse::Iso => Some("iso"),
        DatasetUse::Templates => Some("vztmpl"),
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

fn of_dataset<'a>(
    host: &Host,
    id: Id<Dataset>,
    dataset: &Dataset,
    sink: &'a mut Sink,
) -> Option<Storage<'a>> {
    let name = &dataset.name;
    let (words, place) = contents(&dataset.uses, dataset.span);
    let mountpoint = host.mountpoint(id);
    if !dataset.holds_volumes() {
        let mut storage = Storage::new("dir", name, name.span, *host.release, sink);
        let path_place = dataset
            .mountpoint
            .as_ref()
            .map_or(name.span, |path| path.span);
        storage.folder(mountpoint.as_str(), path_place);
        storage.set("content", words, place);
        // Else a pool that is not imported would fill the root file system.
        storage.set("is_mountpoint", 1, name.span);
        return Some(storage);
    }
    let volumes = |wanted: DatasetUse| match wanted {
        DatasetUse::VmDisks | DatasetUse::Containers => true,
        DatasetUse::Backups | DatasetUse::Share | DatasetUse::Iso | DatasetUse::Templates => false,
    };
    if let Some(files) = dataset.uses.iter().find(|wanted| !volumes(wanted.value)) {
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                files.span,
                format!("the dataset `{}` is for volumes and for files", name.value),
            )
            .also(name.span, "one storage of Proxmox VE")
            .help("a storage of volumes holds no files: declare a second dataset for them"),
        );
        return None;
    }
    let mut storage = Storage::new("zfspool", name, name.span, *host.release, sink);
    storage.set("pool", host.zfs_name(id), name.span);
    storage.set("content", words, place);
    storage.set("mountpoint", mountpoint, name.span);
    storage.set("sparse", u8::from(*dataset.thin), dataset.thin.span);
    if let Some(block) = dataset.volblocksize {
        storage.set("blocksize", block_size(block.as_bytes()), block.span);
    }
    Some(storage)
}

/// A power of two as ZFS and Proxmox VE take it: `16k`, `1m`.
fn block_size(bytes: u64) -> String {
    match bytes {
        0..1024 => bytes.to_string(),
        1024..0x10_0000 => format!("{}k", bytes >> 10),
        _ => format!("{}m", bytes >> 20),
    }
}

fn of_external<'a>(external: &External, release: Release, sink: &'a mut Sink) -> Storage<'a> {
    let name = &external.name;
    let (words, uses_place) = contents(&external.uses, external.span);
    let kind = match &external.place {
        ExternalPlace::Nfs { .. } => "nfs",
        ExternalPlace::Cifs { .. } => "cifs",
        ExternalPlace::Pbs { .. } => "pbs",
        ExternalPlace::Dir { .. } => "dir",
    };
    let mut storage = Storage::new(kind, name, name.span, release, sink);
    // Where Proxmox VE mounts by itself.
    let mounted = |path: &Option<Spanned<crate::value::AbsolutePath>>| {
        path.as_ref().map_or_else(
            || (format!("/mnt/pve/{}", name.value), name.span),
            |path| (path.value.to_string(), path.span),
        )
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
        }
        ExternalPlace::Dir { path, device, .. } => {
            storage.folder(path.as_str(), path.span);
            if device.is_some() || *external.removable {
                // While the disk is away, the store is offline and nothing is written below its folder.
                storage.set("is_mountpoint", 1, path.span);
            }
        }
    }
    storage.set("content", words, uses_place);
    if let Some(options) = &external.options {
        storage.set("options", &options.value, options.span);
    }
    storage.keep(external.keep.as_ref());
    storage
}
