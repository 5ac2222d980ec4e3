//! Passwords of stores elsewhere and of guests, which no spec holds: where each belongs.

use serde::Serialize;

use crate::model::{External, ExternalPlace, Guest, GuestKind, Host};
use crate::value::SecretName;

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

/// A file below `/etc/moxc/secrets` that has to be there.
#[derive(Debug, Clone, Serialize)]
pub struct Needed {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub what: String,
}

/// Every file below `/etc/moxc/secrets` that the host needs: its stores' first, then its guests'.
pub fn needed(host: &Host) -> Vec<Needed> {
    let mut needed: Vec<Needed> = Vec::new();
    let stores = of(host).map(|one| (one.name, one.what));
    let guests = host.guests.values().filter_map(|guest| {
        let name = of_guest(guest)?;
        let whose = match &guest.kind {
            GuestKind::Vm(_) => "cloud-init's user",
            GuestKind::Container(_) => "root",
        };
        let what = format!(
            "the password of {whose} in {} ({}), which it is made with",
            guest.vmid.value, guest.name.value
        );
        Some((name.as_str().to_owned(), what))
    });
    for (name, what) in stores.chain(guests) {
        match needed.iter_mut().find(|one| one.name == name) {
            Some(one) => one.what = format!("{}; {what}", one.what),
            None => needed.push(Needed { name, what }),
        }
    }
    needed
}

/// The secret that a guest is made with: the password of root, or of cloud-init's user.
pub fn of_guest(guest: &Guest) -> Option<&SecretName> {
    let secret = match &guest.kind {
        GuestKind::Vm(vm) => {
            let stated = vm.cloud_init.as_ref()?.stated.as_ref()?;
            stated.password_secret.as_ref()
        }
        GuestKind::Container(container) => container.password_secret.as_ref(),
    };
    secret.map(|name| &name.value)
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
