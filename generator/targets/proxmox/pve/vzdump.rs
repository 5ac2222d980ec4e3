//! `/etc/vzdump.conf`: what a backup does where neither the job nor the command line says otherwise.
//!
//! Proxmox VE never rewrites it, so that it has a header; and it ignores unknown keys without a word.

use crate::diagnostics::Sink;
use crate::facts::backups::running;
use crate::facts::nodes;
use crate::model::{ExternalPlace, Guest, Host, Id, StoreRef};
use crate::pve::ConfigFile;
use crate::value::{BackupMode, Compress, DatasetUse};

use super::jobs::{compress_word, notification, says_who_is_told};
use super::lines::{Making, OptionLines};

/// Plans the defaults: what the spec says, and otherwise those of the first backup job, so that a backup by hand is like
/// one of its.
pub(super) fn plan(host: &Host, sink: &mut Sink) -> OptionLines {
    let mut schedules = host.schedules.values();
    let job = schedules.find_map(|schedule| Some((running(host, schedule)?, schedule.span)));
    let (storage, mode, compress, place) = match job {
        Some((job, place)) => (job.storage.value, *job.mode, *job.compress, place),
        None => (None, BackupMode::Snapshot, Compress::Zstd, host.span),
    };
    let mut making = Making::new(ConfigFile::Vzdump, *host.release, &host.vzdump, sink);
    let stays_out = |key: &str| {
        let mut unset = host.vzdump_unset.iter();
        unset.any(|option| option.value.as_str() == key)
    };
    let mut set = |key: &str, value: &str, place| {
        if !stays_out(key) {
            making.set(key, value, place);
        }
    };
    set("mode", mode.as_str(), place);
    set("compress", compress_word(compress), place);
    if let Some(store) = storage.or_else(|| standing_store(host)) {
        let name = host.storage.store(store).name();
        set("storage", &name.value, place);
    }
    if gathers_on_a_share(host) {
        // vzdump gathers an unprivileged container's files as user 100000, who may not enter a folder of a share that is
        // root's alone (`PVE::VZDump::LXC`); a folder of the host's everybody may enter.
        set("tmpdir", "/var/tmp", place);
    }
    if !says_who_is_told(&host.vzdump) {
        for (key, value, _) in notification(host) {
            set(key, &value, place);
        }
    }
    making.finish(host, "etc/vzdump.conf")
}

/// Whether a backup of an unprivileged container goes to a share, where vzdump would put its working folder, too.
fn gathers_on_a_share(host: &Host) -> bool {
    host.schedules.values().any(|schedule| {
        let Some(job) = running(host, schedule) else {
            return false;
        };
        let Some(StoreRef::External(store)) = job.storage.value else {
            return false;
        };
        let on_a_share = match host.storage.external[store].place {
            ExternalPlace::Nfs { .. } | ExternalPlace::Cifs { .. } => true,
            ExternalPlace::Pbs { .. }
            | ExternalPlace::Dir { .. }
            | ExternalPlace::Btrfs { .. }
            | ExternalPlace::Cephfs { .. }
            | ExternalPlace::Rbd { .. }
            | ExternalPlace::Iscsi
            | ExternalPlace::Esxi { .. } => false,
        };
        let unprivileged = |guest: Id<Guest>| {
            let container = host.guests[guest].container();
            container.is_some_and(|container| *container.unprivileged)
        };
        on_a_share && job.guests.iter().any(unprivileged)
    })
}

/// The first store for backups that is always there, on this host.
fn standing_store(host: &Host) -> Option<StoreRef> {
    let mut stores = host.storage.stores();
    let found = stores.find(|(_, store)| {
        let is_there = !store.is_disabled() && nodes::has_store(host, store.schema());
        is_there && !store.is_removable() && store.is_for(DatasetUse::Backups)
    });
    found.map(|(id, _)| id)
}
