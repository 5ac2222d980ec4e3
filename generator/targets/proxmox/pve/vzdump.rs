//! `/etc/vzdump.conf`: what a backup does where neither the job nor the command line says otherwise.
//!
//! Proxmox VE never rewrites it, so that it has a header; and it ignores unknown keys without a word.

use std::fmt::Write as _;

use crate::diagnostics::Sink;
use crate::model::{ExternalPlace, Guest, Host, Id, StoreRef};
use crate::pve::{ConfigFile, check_option};
use crate::value::{BackupMode, Compress, DatasetUse};

use super::jobs::{compress_word, notification};
use super::options::report_fault;

/// The defaults, in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vzdump {
    lines: Vec<(&'static str, String)>,
    /// Lines of the host's own file.
    kept: Vec<String>,
}

impl Vzdump {
    /// The file's text below its header.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.lines {
            writeln!(text, "{key}: {value}").expect("a string takes all text");
        }
        for line in &self.kept {
            writeln!(text, "{line}").expect("a string takes all text");
        }
        text
    }
}

/// Plans the defaults: those of the first backup job, so that a backup by hand is like one of its.
pub(super) fn plan(host: &Host, sink: &mut Sink) -> Vzdump {
    let mut running = host.schedules.values().filter(|schedule| *schedule.enabled);
    let job = running.find_map(|schedule| Some((schedule.backup()?, schedule.span)));
    let (storage, mode, compress, place) = match job {
        Some((job, place)) => (job.storage.value, *job.mode, *job.compress, place),
        None => (None, BackupMode::Snapshot, Compress::Zstd, host.span),
    };
    let mut lines = vec![
        ("mode", mode.as_str().to_owned()),
        ("compress", compress_word(compress).to_owned()),
    ];
    if let Some(store) = storage.or_else(|| standing_store(host)) {
        lines.push(("storage", host.storage.store(store).name().value.clone()));
    }
    if gathers_on_a_share(host) {
        // vzdump gathers an unprivileged container's files as user 100000, who may not enter a folder of a share that is
        // root's alone (`PVE::VZDump::LXC`); a folder of the host's everybody may enter.
        lines.push(("tmpdir", "/var/tmp".to_owned()));
    }
    lines.extend(
        notification(host)
            .into_iter()
            .map(|(key, value, _)| (key, value)),
    );
    for (key, value) in &lines {
        if let Err(fault) = check_option(ConfigFile::Vzdump, *host.release, key, value) {
            report_fault(fault, place, sink);
        }
    }
    let own: Vec<&str> = lines.iter().map(|(key, _)| *key).collect();
    let kept = super::keep::lines(host, "etc/vzdump.conf", &own, sink)
        .into_iter()
        .map(|line| line.as_str().to_owned())
        .collect();
    Vzdump { lines, kept }
}

/// Whether a backup of an unprivileged container goes to a share, where vzdump would put its working folder, too.
fn gathers_on_a_share(host: &Host) -> bool {
    let mut jobs = host.schedules.values().filter(|schedule| *schedule.enabled);
    jobs.any(|schedule| {
        let Some(job) = schedule.backup() else {
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

/// The first store for backups that is always there.
fn standing_store(host: &Host) -> Option<StoreRef> {
    let mut stores = host.storage.stores();
    let found = stores.find(|(_, store)| {
        !store.is_removable() && !store.is_disabled() && store.is_for(DatasetUse::Backups)
    });
    found.map(|(id, _)| id)
}
