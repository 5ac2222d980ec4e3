//! Folders elsewhere that a store lies in and that the host mounts (`kind = "dir"` with `device`).

use super::nodes;
use crate::model::{External, ExternalPlace, Host, Setting};
use crate::source::Spanned;
use crate::value::{AbsolutePath, DevicePath, Name};

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
    let stores = host.storage.external.values();
    let here = stores.filter(|store| nodes::has_store(host, &store.schema));
    here.filter_map(|store| {
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
