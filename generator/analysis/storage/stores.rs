//! Stores: whether each can be a storage of Proxmox VE.

use std::collections::BTreeMap;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Dataset, External, ExternalPlace, Host, Id, Store};
use crate::pve::schema::OptionSchema;
use crate::pve::{ConfigFile, PveOption};
use crate::source::Span;

pub(super) fn check(host: &Host, sink: &mut Sink) {
    names_twice(host, sink);
    for (id, dataset) in host.storage.datasets.iter() {
        volumes_and_files(dataset, sink);
        folder_of_dataset(host, id, dataset, sink);
    }
    for external in host.storage.external.values() {
        folder_elsewhere(external, sink);
        if host.complete {
            lacking(external, sink);
        }
    }
}

/// Two stores of one name, of whatever kinds.
fn names_twice(host: &Host, sink: &mut Sink) {
    let label = |store: Store<'_>| match store {
        Store::Dataset(_) => "a dataset",
        Store::Lvm(_) => "a store of LVM",
        Store::External(_) => "a store elsewhere",
        Store::Local(_) => "Proxmox VE's own",
    };
    let mut names: BTreeMap<&str, Store<'_>> = BTreeMap::new();
    for (_, store) in host.storage.stores() {
        let name = store.name();
        let Some(first) = names.get(name.value.as_str()) else {
            names.insert(&name.value, store);
            continue;
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0103,
                name.span,
                format!("two stores are called `{}`", name.value),
            )
            .label(label(store))
            .also(first.name().span, label(*first))
            .help("rename one: each is the storage of its name in Proxmox VE"),
        );
    }
}

/// A dataset for volumes and for files, which no one storage is.
fn volumes_and_files(dataset: &Dataset, sink: &mut Sink) {
    let name = &dataset.name;
    let Some(files) = dataset.file_use().filter(|_| dataset.holds_volumes()) else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0016,
            files.span,
            format!("the dataset `{}` is for volumes and for files", name.value),
        )
        .also(name.span, "one storage of Proxmox VE")
        .help("a storage of volumes holds no files: declare a second dataset for them"),
    );
}

/// The folder of a dataset for files.
fn folder_of_dataset(host: &Host, id: Id<Dataset>, dataset: &Dataset, sink: &mut Sink) {
    if !dataset.holds_volumes() {
        let mountpoint = dataset.mountpoint.as_ref();
        let place = mountpoint.map_or(dataset.name.span, |path| path.span);
        folder(host.mountpoint(id).as_str(), place, sink);
    }
}

/// The folder of a store elsewhere, where the spec names one that Proxmox VE does not mount itself.
fn folder_elsewhere(external: &External, sink: &mut Sink) {
    match &external.place {
        ExternalPlace::Dir { path, .. } | ExternalPlace::Btrfs { path } => {
            folder(path.as_str(), path.span, sink);
        }
        ExternalPlace::Nfs { .. }
        | ExternalPlace::Cifs { .. }
        | ExternalPlace::Pbs { .. }
        | ExternalPlace::Cephfs { .. }
        | ExternalPlace::Rbd { .. }
        | ExternalPlace::Iscsi
        | ExternalPlace::Esxi { .. } => {}
    }
}

/// Proxmox VE skips the whole section of a storage where it dislikes its folder (`DirPlugin.pm`, `check_config`).
fn folder(path: &str, place: Span, sink: &mut Sink) {
    let taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_' | '.' | '@');
    let Some(odd) = path.chars().find(|c| !taken(*c)) else {
        return;
    };
    sink.push(
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
        .help("letters without accents, digits, and `-`, `_`, `.`, `@` between the slashes"),
    );
}

/// What a kind of storage needs and only Proxmox VE's own names say.
fn lacking(external: &External, sink: &mut Sink) {
    let file = ConfigFile::Storage(Store::External(external).pve_type());
    for option in ["portal", "target"] {
        let is_required = file.option(option).is_some_and(OptionSchema::is_required);
        if is_required && PveOption::find(&external.schema, option).is_none() {
            sink.push(
                Diagnostic::new(
                    Code::MOX0004,
                    external.span,
                    format!("the key `{option}` is missing"),
                )
                .label("in this table")
                .note(format!("{file} needs it")),
            );
        }
    }
}
