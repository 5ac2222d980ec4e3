//! Passwords of stores elsewhere, which no spec holds: where each belongs.

use serde::Serialize;

use crate::model::{External, ExternalPlace, Host};

/// A password that a storage needs.
#[derive(Debug, Clone, Serialize)]
pub struct Secret {
    /// The file below `/etc/moxc/secrets`.
    pub name: String,
    /// The storage.
    pub storage: String,
    /// What stands before the password where Proxmox VE keeps it.
    pub prefix: String,
    /// What it is, for people.
    pub what: String,
}

/// The passwords that a host's stores need, in the order of the spec.
pub fn of(host: &Host) -> impl Iterator<Item = Secret> {
    host.storage.external.values().filter_map(secret)
}

/// Where Proxmox VE keeps a password, the one of an SMB share stands behind its key (CIFSPlugin.pm), that of a backup
/// server alone (PBSPlugin.pm).
fn secret(store: &External) -> Option<Secret> {
    let (prefix, what) = match &store.place {
        ExternalPlace::Cifs { server, .. } => (
            "password=",
            format!("the password of the SMB server {}", server.value),
        ),
        ExternalPlace::Pbs { server, .. } => (
            "",
            format!("the password of the backup server {}", server.value),
        ),
        // `ESXiPlugin.pm`, `on_add_hook`.
        ExternalPlace::Esxi { server, .. } => (
            "",
            format!("the password of the ESXi host {}", server.value),
        ),
        ExternalPlace::Nfs { .. }
        | ExternalPlace::Dir { .. }
        | ExternalPlace::Btrfs { .. }
        | ExternalPlace::Cephfs { .. }
        | ExternalPlace::Rbd { .. }
        | ExternalPlace::Iscsi => return None,
    };
    store.secret.as_ref().map(|name| Secret {
        name: name.as_str().to_owned(),
        storage: store.name.value.clone(),
        prefix: prefix.to_owned(),
        what: format!("{what}, for the storage {}", store.name.value),
    })
}
