//! `rollback/<guest>.sh`.

use serde::Serialize;

use crate::model::{Guest, Host};
use crate::template::BuiltIn;

use super::restore::kind;

/// A storage of volumes.
#[derive(Debug, Clone, Serialize)]
pub struct ZfsStorage {
    /// Its name in Proxmox VE.
    pub name: String,
    /// Its name in ZFS: `rpool/vm-disks`.
    pub zfs: String,
}

/// The script that takes a guest back. These fields are the contract with a user's template of the same name.
#[derive(Debug, Clone, askama::Template, Serialize)]
#[template(path = "recovery/rollback.sh")]
pub struct RollbackScript {
    /// The line that marks a generated file; safe in a comment.
    pub header: String,
    /// The guest's name.
    pub guest: String,
    /// Its number.
    pub vmid: String,
    /// What the API calls its kind: `qemu` or `lxc`.
    pub kind: String,
    /// Whether it runs NixOS, so that it has generations.
    pub nixos: bool,
    /// Whether devices or folders of the host keep its memory out of every snapshot.
    pub has_no_memory_state: bool,
}

impl BuiltIn for RollbackScript {
    const NAME: &'static str = "recovery/rollback.sh";
}

/// What the scripts that take a guest back share. These fields are the contract with a user's template of the same name.
#[derive(Debug, Clone, askama::Template, Serialize)]
#[template(path = "recovery/lib/rollback.sh")]
pub struct RollbackLibrary {
    /// The line that marks a generated file; safe in a comment.
    pub header: String,
    /// The storages that disks of a guest may lie in.
    pub storages: Vec<ZfsStorage>,
}

impl BuiltIn for RollbackLibrary {
    const NAME: &'static str = "recovery/lib/rollback.sh";
}

/// Plans what all scripts share.
pub(super) fn library(host: &Host, header: &str) -> RollbackLibrary {
    // Every one of the host, since a disk may have been moved.
    let storages = host
        .storage
        .datasets
        .iter()
        .filter(|(_, dataset)| dataset.holds_volumes())
        .map(|(id, dataset)| ZfsStorage {
            name: dataset.name.value.clone(),
            zfs: host.zfs_name(id),
        });
    RollbackLibrary {
        header: header.to_owned(),
        storages: storages.collect(),
    }
}

/// Plans the script.
pub(super) fn script(guest: &Guest, header: &str) -> RollbackScript {
    RollbackScript {
        header: header.to_owned(),
        guest: guest.name.value.clone(),
        vmid: guest.vmid.value.to_string(),
        kind: kind(guest).to_owned(),
        nixos: guest.os().is_nixos(),
        has_no_memory_state: guest
            .vm()
            .is_some_and(|vm| !vm.passthrough.is_empty() || !vm.shares.is_empty()),
    }
}
