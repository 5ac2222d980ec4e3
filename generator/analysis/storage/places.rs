//! Two storages in one place.

use std::collections::BTreeMap;
use std::fmt;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{External, ExternalPlace, Host, Lvm};
use crate::pve::PveOption;
use crate::source::Span;

/// What two storages of one place have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Folder(String),
    /// The same on a server, by what makes it the same there.
    Served(Vec<String>),
    /// What volumes are made in, in words.
    Volumes(String),
}

/// The places of a store, each with where the spec says it.
fn places(store: &External) -> Vec<(Place, Span)> {
    let served = |words: &[&dyn fmt::Display], span| {
        let words = words.iter().map(ToString::to_string).collect();
        (Place::Served(words), span)
    };
    let mut places = match &store.place {
        ExternalPlace::Nfs { server, export, .. } => {
            vec![served(&[&"nfs", &**server, &**export], export.span)]
        }
        ExternalPlace::Cifs { server, share, .. } => {
            vec![served(
                &[
                    &"cifs",
                    &**server,
                    &share.as_str(),
                    &option(store, "subdir"),
                ],
                share.span,
            )]
        }
        // Another user of a server may see other backups of it.
        ExternalPlace::Pbs {
            server,
            datastore,
            namespace,
            username,
            ..
        } => vec![served(
            &[
                &"pbs",
                &**server,
                &**datastore,
                &namespace.as_ref().map_or("", |name| name.as_str()),
                &username.as_str(),
            ],
            datastore.span,
        )],
        ExternalPlace::Rbd { namespace, .. } => {
            let monitors = option(store, "monhost");
            let cluster = if monitors.is_empty() {
                String::new()
            } else {
                format!(" of `{monitors}`")
            };
            let space = namespace.as_ref().map(|name| name.as_str());
            let space = space.map_or_else(String::new, |name| format!(", namespace `{name}`"));
            let pool = option(store, "pool");
            let pool = if pool.is_empty() { "rbd" } else { pool };
            let volumes = format!("the pool `{pool}` of Ceph{cluster}{space}");
            vec![(Place::Volumes(volumes), store.name.span)]
        }
        ExternalPlace::Dir { .. }
        | ExternalPlace::Btrfs { .. }
        | ExternalPlace::Cephfs { .. }
        | ExternalPlace::Iscsi
        | ExternalPlace::Esxi { .. } => Vec::new(),
    };
    if let Some(folder) = store.folder() {
        let span = match &store.place {
            ExternalPlace::Dir { path, .. } | ExternalPlace::Btrfs { path } => path.span,
            ExternalPlace::Nfs { path, .. }
            | ExternalPlace::Cifs { path, .. }
            | ExternalPlace::Cephfs { path, .. } => {
                path.as_ref().map_or(store.name.span, |path| path.span)
            }
            ExternalPlace::Pbs { .. }
            | ExternalPlace::Rbd { .. }
            | ExternalPlace::Iscsi
            | ExternalPlace::Esxi { .. } => store.name.span,
        };
        places.push((Place::Folder(folder.to_string()), span));
    }
    places
}

/// The volume group, or the thin pool in it. One that has no use is no storage.
fn place_of_volumes(store: &Lvm) -> Vec<(Place, Span)> {
    if store.uses.is_empty() || store.group.is_missing() {
        return Vec::new();
    }
    let (volumes, span) = match &store.thin_pool {
        Some(pool) => (
            format!("the thin pool `{}` of `{}`", pool.value, *store.group),
            pool.span,
        ),
        None => (
            format!("the volume group `{}`", *store.group),
            store.group.span,
        ),
    };
    vec![(Place::Volumes(volumes), span)]
}

/// An option that a store says by Proxmox VE's own name.
pub(super) fn option<'a>(store: &'a External, key: &str) -> &'a str {
    let mut options = store.schema.iter();
    options
        .find(|option| option.key.value == key)
        .map_or("", |option| option.value.as_str())
}

/// Two storages of one folder, export, share or datastore: what one of them holds the other one lists, too, and prunes.
pub(super) fn one_place(host: &Host, sink: &mut Sink) {
    let mut taken: BTreeMap<(Place, &str), (Span, &str)> = BTreeMap::new();
    let datasets = host.storage.datasets.iter().map(|(id, dataset)| {
        let span = dataset
            .mountpoint
            .as_ref()
            .map_or(dataset.name.span, |at| at.span);
        let place = Place::Folder(host.mountpoint(id).to_string());
        (&dataset.name, "", *dataset.disabled, vec![(place, span)])
    });
    let stores = host.storage.external.values().map(|store| {
        // Each node has its own folder of one name.
        let nodes = option(store, "nodes");
        (&store.name, nodes, *store.disabled, places(store))
    });
    let groups = host.storage.lvm.values().map(|store| {
        let nodes =
            PveOption::find(&store.schema, "nodes").map_or("", |nodes| nodes.value.as_str());
        (&store.name, nodes, *store.disabled, place_of_volumes(store))
    });
    for (name, nodes, disabled, places) in datasets.chain(groups).chain(stores) {
        if disabled {
            continue;
        }
        for (place, span) in places {
            let (what, does) = match &place {
                Place::Folder(path) => (format!("the folder `{path}`"), "lies in"),
                Place::Served(words) => (
                    format!("`{}` of `{}`", words[2], words[1]),
                    "keeps its files in",
                ),
                Place::Volumes(volumes) => (volumes.clone(), "makes its volumes in"),
            };
            let place = (place, nodes);
            let Some((first, other)) = taken.get(&place).copied() else {
                taken.insert(place, (span, name.value.as_str()));
                continue;
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0112,
                    span,
                    format!("`{}` {does} {what}, and so does `{other}`", name.value),
                )
                .label("here again")
                .also(first, format!("`{other}`"))
                .note("each of two storages lists what the other one holds, prunes its backups and takes its names; of two file systems on one folder the one that is mounted last hides the other")
                .help("keep one of the two, and say in its `use` what both are for"),
            );
            break;
        }
    }
}
