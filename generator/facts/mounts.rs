//! Folders elsewhere that a store lies in and that the host mounts (`kind = "dir"` with `device`).

use crate::model::{External, ExternalPlace, Host, Setting};
use crate::source::Spanned;
use crate::value::{AbsolutePath, DevicePath, Name};

/// The dataset of the boot pool that holds a NixOS host's root.
pub const ROOT_DATASET: &str = "root";

/// A folder that the host mounts.
#[derive(Debug, Clone, Copy)]
pub struct Mount<'a> {
    /// The store that lies in it.
    pub store: &'a External,
    /// Where it is mounted.
    pub path: &'a Setting<AbsolutePath>,
    /// What is mounted.
    pub device: &'a Spanned<DevicePath>,
    /// Its file system; found out by the host where the spec says none.
    pub file_system: Option<&'a Spanned<Name>>,
}

impl Mount<'_> {
    /// The options of mount(8), in order. What comes from outside brings no device nodes and no set-user-id programs.
    pub fn options(&self) -> &'static [&'static str] {
        if *self.store.removable {
            &["nodev", "nosuid", "noatime"]
        } else {
            &[]
        }
    }
}

/// The folders that a host mounts, in the order of the spec.
pub fn of(host: &Host) -> impl Iterator<Item = Mount<'_>> {
    host.storage.external.values().filter_map(|store| {
        let ExternalPlace::Dir {
            path,
            device: Some(device),
            fs,
        } = &store.place
        else {
            return None;
        };
        Some(Mount {
            store,
            path,
            device,
            file_system: fs.as_ref(),
        })
    })
}

/// The disks that a NixOS host starts from, by their names: those that its boot pool has as a whole, on each of which disko makes
/// an EFI system partition. The table of a disk of which the pool has one partition is somebody else's.
pub fn boot_disks(host: &Host) -> Vec<&str> {
    host.storage
        .pools
        .values()
        .find(|pool| *pool.boot)
        .into_iter()
        .flat_map(|pool| &pool.disks)
        .map(|disk| &host.hardware.disks[disk.value])
        .filter(|disk| disk.partition.is_none())
        .map(|disk| disk.name.as_str())
        .collect()
}
