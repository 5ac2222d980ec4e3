//! A copy that is a folder.

use std::fmt;
use std::io;

use super::layout::{Tops, clean};
use super::places::leads_somewhere;
use super::secrets::is_secret_file;
use super::tree::Tree;
use super::{CannotRead, MOST_ENTRIES, Snapshot};

/// A view of a folder. No link is ever followed by it; paths have `/` between the parts, and `""` is the folder itself.
pub trait Folder: fmt::Debug {
    /// What lies in the folder at `path`, by name.
    fn entries(&self, path: &str) -> io::Result<Vec<(String, FolderEntry)>>;

    /// The file at `path`; no more than one byte beyond `limit` is read.
    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>>;
}

/// What lies in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderEntry {
    /// A plain file.
    File,
    /// A folder.
    Folder,
    /// A link and its target.
    Link(String),
    /// Anything else: a device, a socket.
    Other,
}

/// Reads a copy that is a folder.
pub fn read_folder(folder: &dyn Folder) -> Result<Snapshot, CannotRead> {
    let failed = |error: io::Error| CannotRead(error.to_string());
    let mut tops = Tops::default();
    for (name, kind) in folder.entries("").map_err(failed)? {
        tops.note(&name);
        if kind != FolderEntry::Folder || name == ".git" {
            continue;
        }
        for (below, kind) in folder.entries(&name).unwrap_or_default() {
            let path = format!("{name}/{below}");
            tops.note(&path);
            if kind == FolderEntry::Folder && below == "etc" {
                for (last, _) in folder.entries(&path).unwrap_or_default() {
                    tops.note(&format!("{path}/{last}"));
                }
            }
        }
    }
    let layout = tops
        .layout()
        .ok_or_else(|| CannotRead("there is nothing of a Proxmox VE host in it".to_owned()))?;
    let mut tree = Tree::new();
    let mut seen = 0;
    // Depth first, folders on a stack of their own: a deep tree must not end the program.
    let mut open = vec![String::new()];
    while let Some(here) = open.pop() {
        let entries = match folder.entries(&here) {
            Ok(entries) => entries,
            Err(error) => {
                if let Some(path) = layout.on_host(&here) {
                    tree.add_unread(&path, &error.to_string());
                }
                continue;
            }
        };
        for (name, kind) in entries {
            seen += 1;
            if seen > MOST_ENTRIES {
                tree.cut_off(&format!(
                    "the folder holds more than {MOST_ENTRIES} entries"
                ));
                open.clear();
                break;
            }
            let path = if here.is_empty() {
                name
            } else {
                format!("{here}/{name}")
            };
            if kind == FolderEntry::Folder && layout.leads_to(&path) {
                open.push(path.clone());
            }
            let Some(on_host) = layout.on_host(&path).and_then(|path| clean(&path)) else {
                continue;
            };
            if is_secret_file(&on_host) || !leads_somewhere(&on_host) && !Tree::wants(&on_host) {
                open.retain(|open| *open != path);
                continue;
            }
            match kind {
                FolderEntry::Folder => tree.add_folder(&on_host),
                FolderEntry::Link(target) => tree.add_link(&on_host, &target),
                FolderEntry::File if Tree::wants(&on_host) => {
                    match folder.read(&path, Tree::limit(&on_host)) {
                        Ok(bytes) => tree.add_file(&on_host, &bytes),
                        Err(error) => tree.add_unread(&on_host, &error.to_string()),
                    }
                }
                FolderEntry::File => {}
                FolderEntry::Other => tree.add_unread(&on_host, "it is not a plain file"),
            }
        }
    }
    tree.take_digests();
    Ok(Snapshot::of(tree))
}
