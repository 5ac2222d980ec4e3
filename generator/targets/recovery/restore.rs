//! `restore/<guest>.sh` and its runbook.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::facts::{Facts, VolumeRole};
use crate::model::{
    External, ExternalPlace, Guest, GuestKind, Host, Id, Local, MountSource, StoreRef,
};
use crate::template::{BuiltIn, one_line};
use crate::value::DatasetUse;

/// A storage that may hold backups.
#[derive(Debug, Clone, Serialize)]
pub struct Store {
    /// Its name in Proxmox VE.
    pub name: String,
    /// What it is, for people.
    pub what: String,
    /// Whether it may be away.
    pub removable: bool,
}

/// A disk of the guest, and where it belongs.
#[derive(Debug, Clone, Serialize)]
pub struct Volume {
    /// The option that names it: `scsi0`, `rootfs`.
    pub key: String,
    /// The storage that it lies in.
    pub storage: String,
}

/// The script that restores a guest. These fields are the contract with a user's template of the same name.
#[derive(Debug, Clone, askama::Template, Serialize)]
#[template(path = "recovery/restore.sh")]
pub struct RestoreScript {
    /// The line that marks a generated file; safe in a comment.
    pub header: String,
    /// The guest's name.
    pub guest: String,
    /// Its number.
    pub vmid: String,
    /// What the API calls its kind: `qemu` or `lxc`.
    pub kind: String,
    /// Its disks.
    pub volumes: Vec<Volume>,
    /// Where a disk goes that the spec does not know.
    pub first_storage: String,
}

impl BuiltIn for RestoreScript {
    const NAME: &'static str = "recovery/restore.sh";
}

/// What the scripts that restore a guest share. These fields are the contract with a user's template of the same name.
#[derive(Debug, Clone, askama::Template, Serialize)]
#[template(path = "recovery/lib/restore.sh")]
pub struct RestoreLibrary {
    /// The line that marks a generated file; safe in a comment.
    pub header: String,
    /// The storages that may hold backups, in the order of the spec.
    pub stores: Vec<Store>,
    /// The numbers of the spec's guests, as ranges.
    pub taken: Vec<String>,
}

impl BuiltIn for RestoreLibrary {
    const NAME: &'static str = "recovery/lib/restore.sh";
}

/// A backup job that covers the guest.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// Where it writes to.
    pub storage: String,
    /// When it runs.
    pub on: String,
}

/// The runbook of a guest. These fields are the contract with a user's template of the same name.
#[derive(Debug, Clone, askama::Template, Serialize)]
#[template(path = "recovery/restore.md")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of the template, and both engines can only ask fields"
)]
pub struct Runbook {
    /// The line that marks a generated file; safe in a comment.
    pub header: String,
    /// The host's name.
    pub host: String,
    /// The guest's name.
    pub guest: String,
    /// What it is, for people.
    pub what: String,
    /// Its number.
    pub vmid: String,
    /// The program for its kind: `qm` or `pct`.
    pub tool: String,
    /// Whether a backup covers it.
    pub covered: bool,
    /// The jobs that do.
    pub jobs: Vec<Job>,
    /// Its disks, each with whether the backups hold it.
    pub disks: Vec<String>,
    /// The storages that may hold its backups, in the order of the spec.
    pub stores: Vec<Store>,
    /// Whether it needs other guests.
    pub has_needs: bool,
    /// Which, with commas.
    pub needs: String,
    /// Whether there are losses.
    pub has_losses: bool,
    /// What no backup brings back.
    pub losses: Vec<String>,
    /// Whether snapshots are taken of any of its disks.
    pub has_snapshots: bool,
    /// Whether there are disks beside those of which none are taken.
    pub lacks_snapshots: bool,
    /// Which, with commas.
    pub without_snapshots: String,
    /// Whether the spec says that it needs no backup.
    pub wants_none: bool,
    /// Whether it runs NixOS.
    pub nixos: bool,
}

impl BuiltIn for Runbook {
    const NAME: &'static str = "recovery/restore.md";
}

/// What the API and the folders of Proxmox VE call a kind of guest.
pub(super) fn kind(guest: &Guest) -> &'static str {
    match &guest.kind {
        GuestKind::Vm(_) => "qemu",
        GuestKind::Container(_) => "lxc",
    }
}

/// Every storage of the spec for backups, in its order: a backup by hand may be in one that no job writes to.
fn stores(host: &Host) -> Vec<Store> {
    host.storage
        .stores()
        .filter(|(_, store)| store.is_for(DatasetUse::Backups))
        .map(|(id, store)| {
            let what = match id {
                StoreRef::Dataset(id) => format!("the dataset {}", host.zfs_name(id)),
                // Its type holds no backups; a use that says otherwise is reported.
                StoreRef::Lvm(id) => format!("the volume group {}", *host.storage.lvm[id].group),
                StoreRef::External(id) => describe(&host.storage.external[id]),
                StoreRef::Local => format!("the folder {}", Local::PATH),
            };
            Store {
                name: store.name().value.clone(),
                what: one_line(&what),
                removable: store.is_removable(),
            }
        })
        .collect()
}

fn describe(store: &External) -> String {
    match &store.place {
        ExternalPlace::Nfs { server, export, .. } => {
            format!("NFS, {}:{}", server.value, export.value)
        }
        ExternalPlace::Cifs { server, share, .. } => {
            format!("SMB, //{}/{}", server.value, share.value)
        }
        ExternalPlace::Pbs {
            server, datastore, ..
        } => format!(
            "the Proxmox Backup Server {}, datastore {}",
            server.value, datastore.value
        ),
        ExternalPlace::Dir { path, device, .. } => match device {
            Some(device) => format!("the disk {} at {}", device.value, path.value),
            None => format!("the folder {}", path.value),
        },
        ExternalPlace::Btrfs { path } => format!("the folder {} on btrfs", path.value),
        ExternalPlace::Cephfs { .. } => "CephFS".to_owned(),
        // Their types hold no backups; a use that says otherwise is reported.
        ExternalPlace::Rbd { .. } | ExternalPlace::Iscsi | ExternalPlace::Esxi { .. } => {
            store.kind().as_str().to_owned()
        }
    }
}

/// The numbers of the spec's guests as ranges, `110-112`: a large host numbers in a row.
fn taken(host: &Host) -> Vec<String> {
    let numbers: BTreeSet<u32> = host.guests.values().map(|guest| guest.vmid.get()).collect();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            Some(_) | None => ranges.push((number, number)),
        }
    }
    let ranges = ranges.into_iter();
    ranges
        .map(|(first, last)| format!("{first}-{last}"))
        .collect()
}

/// Plans what all scripts share.
pub(super) fn library(host: &Host, header: &str) -> RestoreLibrary {
    RestoreLibrary {
        header: header.to_owned(),
        stores: stores(host),
        taken: taken(host),
    }
}

/// Plans the script.
pub(super) fn script(
    facts: &Facts<'_>,
    (id, guest): (Id<Guest>, &Guest),
    header: &str,
) -> RestoreScript {
    let host = facts.host;
    let volumes: Vec<Volume> = facts
        .volumes
        .of_guest(id)
        .iter()
        .map(|volume| Volume {
            key: volume.key.clone(),
            storage: volume.store_name(host).to_owned(),
        })
        .collect();
    let first_storage = volumes
        .iter()
        .find(|volume| !matches!(volume.key.as_str(), "efidisk0" | "tpmstate0"))
        .or(volumes.first())
        .map_or_else(|| "local".to_owned(), |volume| volume.storage.clone());
    RestoreScript {
        header: header.to_owned(),
        guest: guest.name.value.clone(),
        vmid: guest.vmid.value.to_string(),
        kind: kind(guest).to_owned(),
        volumes,
        first_storage,
    }
}

/// Plans the runbook.
pub(super) fn runbook(
    facts: &Facts<'_>,
    (id, guest): (Id<Guest>, &Guest),
    header: &str,
) -> Runbook {
    let host = facts.host;
    let jobs: Vec<Job> = facts
        .backups
        .jobs(id)
        .iter()
        .map(|job| &host.schedules[*job])
        .filter_map(|schedule| {
            let storage = &schedule.backup()?.storage;
            Some(Job {
                name: one_line(&schedule.name.value),
                storage: storage.value.map_or_else(
                    || "the storage of /etc/vzdump.conf".to_owned(),
                    |store| host.storage.store(store).name().value.clone(),
                ),
                on: one_line(&schedule.on.to_string()),
            })
        })
        .collect();
    let disks = facts
        .volumes
        .of_guest(id)
        .iter()
        .map(|volume| {
            format!(
                "`{}` ({}in `{}`): {}",
                volume.key,
                volume
                    .size
                    .map_or_else(String::new, |size| format!("{size}, ")),
                volume.store_name(host),
                if volume.backup {
                    "in the backups"
                } else {
                    "**in no backup**"
                }
            )
        })
        .collect();
    // What its firmware and its TPM keep brings no guest back.
    let own = facts.volumes.of_guest(id).iter();
    let own = own.filter(|volume| !matches!(volume.role, VolumeRole::Efi | VolumeRole::Tpm));
    let (without, held): (Vec<_>, Vec<_>) =
        own.partition(|volume| facts.backups.snapshots(volume).is_empty());
    let has_snapshots = !held.is_empty();
    let without: Vec<String> = without
        .iter()
        .map(|volume| format!("`{}`", volume.key))
        .collect();
    let needs: Vec<&str> = guest
        .needs
        .iter()
        .map(|need| host.guests[need.value].name.value.as_str())
        .collect();
    let losses = losses(host, guest);
    Runbook {
        header: header.to_owned(),
        host: host.name.as_str().to_owned(),
        guest: guest.name.value.clone(),
        what: match &guest.kind {
            GuestKind::Vm(_) => "virtual machine",
            GuestKind::Container(_) => "container",
        }
        .to_owned(),
        vmid: guest.vmid.value.to_string(),
        tool: match &guest.kind {
            GuestKind::Vm(_) => "qm",
            GuestKind::Container(_) => "pct",
        }
        .to_owned(),
        covered: !jobs.is_empty(),
        jobs,
        disks,
        stores: stores(host),
        has_needs: !needs.is_empty(),
        needs: needs.join(", "),
        has_losses: !losses.is_empty(),
        losses,
        has_snapshots,
        lacks_snapshots: has_snapshots && !without.is_empty(),
        without_snapshots: without.join(", "),
        wants_none: guest.backup.is_written() && !*guest.backup,
        nixos: guest.os().is_nixos(),
    }
}

/// What no backup of the guest holds.
fn losses(host: &Host, guest: &Guest) -> Vec<String> {
    let mut losses = Vec::new();
    match &guest.kind {
        GuestKind::Vm(vm) => {
            for disk in vm.disks.iter().filter(|disk| !*disk.backup) {
                losses.push(format!(
                    "the disk `{}`: a restore over the guest leaves it as it is and plugs it in again; a copy, and a guest on a new host, are without it",
                    one_line(&disk.name.value)
                ));
            }
            for share in &vm.shares {
                losses.push(format!(
                    "the folder of `{}`, which lies on the host: it stays as it is",
                    host.storage.datasets[share.dataset.value].name.value
                ));
            }
        }
        GuestKind::Container(container) => {
            for mount in &container.mounts {
                let name = one_line(&mount.name.value);
                match &mount.source {
                    MountSource::Volume(_) if !*mount.backup => losses.push(format!(
                        "the mount `{name}`: pct empties it in a restore over the container, so the script refuses that; restore beside it (`--vmid new`) and move the mount over (`pct move-volume`)"
                    )),
                    MountSource::Volume(_) => {}
                    MountSource::Share(_) | MountSource::HostPath(_) => losses.push(format!(
                        "the mount `{name}`, which lies on the host: it stays as it is"
                    )),
                }
            }
        }
    }
    losses
}
