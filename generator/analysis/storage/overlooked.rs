//! What is easily overlooked: the installer's own dataset, folders that are hidden, shares that root owns.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{ExternalPlace, Guest, Host, MountSource};
use crate::value::Platform;

/// The dataset that the installer of Proxmox VE makes a storage of (`proxmox-installer`, `Proxmox::Install`).
pub(super) fn installers_own(host: &Host, sink: &mut Sink) {
    if *host.platform != Platform::Proxmox {
        return;
    }
    for (id, dataset) in host.storage.datasets.iter() {
        let pool = &host.storage.pools[dataset.pool.value];
        if !*pool.boot || host.zfs_name(id) != "rpool/data" || dataset.name.value == "local-zfs" {
            continue;
        }
        sink.push(
            Diagnostic::new(
                Code::MOX0327,
                dataset.name.span,
                format!("`{}` is the dataset of the installer's storage `local-zfs`", dataset.name.value),
            )
            .note("two storages over one dataset: Proxmox VE lists every volume twice, and a guest that is removed in one takes what the other shows")
            .help("call it `local-zfs`, with `path = \"data\"`, or give it another `path`"),
        );
    }
}

/// A pool's root is a dataset, and may stand in the spec as both: then they say one thing.
pub(super) fn root_twice(host: &Host, sink: &mut Sink) {
    let datasets = host.storage.datasets.values();
    for dataset in datasets.filter(|dataset| dataset.path.value.is_none()) {
        let pool = &host.storage.pools[dataset.pool.value];
        let Some(compression) = &dataset.compression else {
            continue;
        };
        if !pool.compression.is_written() || pool.compression.value == compression.value {
            continue;
        }
        sink.push(
            Diagnostic::new(
                Code::MOX0334,
                compression.span,
                format!(
                    "`{}` is the root of the pool `{}`, which has another compression",
                    dataset.name.value, pool.name.value
                ),
            )
            .also(pool.compression.span, "the pool's")
            .note("what a run sets by the one, the next one takes back by the other")
            .help("say it once: at the pool, or at the dataset"),
        );
    }
}

/// A folder in a container below which datasets are mounted: a bind mount shows what is in the folder itself, not what is
/// mounted below it (`PVE::LXC::__bindmount_do`: `mount -o bind`).
pub(super) fn hidden_datasets(host: &Host, sink: &mut Sink) {
    for container in host.guests.values().filter_map(Guest::container) {
        for mount in &container.mounts {
            let (path, span) = match &mount.source {
                MountSource::HostPath(path) => (path.value.clone(), path.span),
                MountSource::Share(dataset) => (host.mountpoint(dataset.value), dataset.span),
                MountSource::Volume(_) => continue,
            };
            let below: Vec<String> = host
                .storage
                .datasets
                .iter()
                .filter(|(_, dataset)| !dataset.holds_volumes())
                .filter(|(id, _)| {
                    let own = host.mountpoint(*id);
                    own != path && own.is_below(path.as_str())
                })
                .map(|(_, dataset)| format!("`{}`", dataset.name.value))
                .collect();
            if below.is_empty() || path.as_str() == "/" {
                continue;
            }
            sink.push(
                Diagnostic::new(
                    Code::MOX0329,
                    span,
                    format!("the container finds {} empty", below.join(", ")),
                )
                .label(format!("`{path}` alone is mounted"))
                .note("a bind mount holds the one file system that is named, and of those mounted below it the empty folders")
                .help("mount each of them by a mount of its own"),
            );
        }
    }
}

/// A folder of an SMB share in a container whose users the share does not know: all of it is root's, on the host.
pub(super) fn shares_of_root(host: &Host, sink: &mut Sink) {
    for guest in host.guests.values() {
        let Some(container) = guest.container().filter(|c| *c.unprivileged) else {
            continue;
        };
        for mount in container.mounts.iter().filter(|mount| !*mount.read_only) {
            let MountSource::HostPath(path) = &mount.source else {
                continue;
            };
            let store = host.storage.external.values().find(|store| {
                matches!(store.place, ExternalPlace::Cifs { .. })
                    && store
                        .folder()
                        .is_some_and(|own| path.is_below(own.as_str()))
            });
            let Some(store) = store else { continue };
            let owned = |options: &str| {
                let mut options = options.split(',');
                options.any(|option| option.trim().starts_with("uid="))
            };
            if store
                .options
                .as_ref()
                .is_some_and(|options| owned(options.as_str()))
            {
                continue;
            }
            sink.push(
                Diagnostic::new(
                    Code::MOX0331,
                    path.span,
                    format!("`{}` can write nothing in `{}`", guest.name.value, mount.path.value),
                )
                .also(store.name.span, "an SMB share: all of it belongs to the host's root")
                .note("the container is unprivileged: its user 0 is user 100000 of the host, for whom the files of root are read-only")
                .help(format!(
                    "give the share to it: `options = \"uid=100000,gid=100000\"` in `{}`; or mount it with `read-only = true`",
                    store.name.value
                )),
            );
        }
    }
}
