//! Replicated guests: Proxmox VE keeps their volumes where a copy of them can be sent from.

use std::collections::BTreeSet;

use super::pair::Pair;
use super::value::{self, Parts};
use super::{Change, Class, When};
use crate::live::Snapshot;
use crate::pve::section_config::{SectionLine, lines};
use crate::pve::{Section, SectionConfig, SectionFile, holds_volume};

const REPLICATION_CFG: &str = "etc/pve/replication.cfg";

/// The types of storages that are the same on every node, whatever else they say (`@SHARED_STORAGE` of `PVE::Storage::Plugin`).
const SHARED: &[&str] = &[
    "iscsi",
    "nfs",
    "cifs",
    "rbd",
    "cephfs",
    "iscsidirect",
    "glusterfs",
    "zfs",
    "drbd",
    "pbs",
];

/// Which guests are replicated, and where their volumes may be.
#[derive(Default)]
pub(super) struct Replication {
    guests: BTreeSet<u32>,
    storages: BTreeSet<String>,
}

impl Replication {
    /// Of a host as it is, with the storages that its spec adds.
    pub(super) fn of(live: &Snapshot, wanted: Option<&str>) -> Self {
        let jobs = live.tree.file(REPLICATION_CFG);
        let guests = jobs
            .present()
            .map(|jobs| guests(&jobs.text))
            .unwrap_or_default();
        if guests.is_empty() {
            return Self::default();
        }
        let wanted = wanted.map(|text| SectionConfig::parse(SectionFile::Storage, text).0);
        let there = live.storage.present().map(|sections| &sections.config);
        let sections = there
            .into_iter()
            .chain(&wanted)
            .flat_map(SectionConfig::sections);
        let storages = sections.filter(|storage| may_hold(storage));
        Self {
            guests,
            storages: storages.map(|storage| storage.id().to_owned()).collect(),
        }
    }

    /// Takes the changes for refused that set a volume which no copy can be made of (`$check_replication` of
    /// `PVE::API2::Qemu`, and `update_vm` of `PVE::API2::LXC::Config`).
    pub(super) fn refuse(&self, pair: &Pair<'_>, changes: &mut [Change]) {
        if !self.guests.contains(&pair.vmid) {
            return;
        }
        let file = pair.live.kind.config_file();
        for change in changes {
            let line = change.line.as_ref();
            let set = line.and_then(|line| Some((&line.key, line.after.as_ref()?)));
            let is_refused = set.is_some_and(|(key, after)| {
                holds_volume(key) && !self.allows(&value::parts(file, key, after))
            });
            if is_refused {
                change.class = Class::NOW.at(When::Refused).with_data(change.class.data);
            }
        }
    }

    fn allows(&self, parts: &Parts) -> bool {
        let volume = parts.get("file").or_else(|| parts.get("volume"));
        let storage = volume.and_then(|volume| volume.split_once(':'));
        parts.get("media").is_some_and(|media| media == "cdrom")
            || parts
                .get("replicate")
                .is_some_and(|replicate| replicate == "0")
            || storage.is_some_and(|(storage, _)| self.storages.contains(storage))
    }
}

/// The guests that jobs name: `local: 100-0`. The file has the grammar of `jobs.cfg`.
fn guests(text: &str) -> BTreeSet<u32> {
    let lines = lines(SectionFile::Jobs, text);
    let named = lines.filter_map(|line| match line.content {
        SectionLine::Header { id, .. } => id.split_once('-')?.0.parse().ok(),
        SectionLine::Property { .. } | SectionLine::End | SectionLine::Unreadable => None,
    });
    named.collect()
}

/// ZFS sends what it holds (`storage_can_replicate` of `PVE::Storage::ZFSPoolPlugin`); what all nodes share needs no copy.
fn may_hold(storage: &Section) -> bool {
    storage.kind() == "zfspool"
        || storage.get("shared") == Some("1")
        || SHARED.contains(&storage.kind())
}
