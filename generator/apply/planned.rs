//! The steps for a host that runs: those of its tree, held against a copy of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::live::{Item, Snapshot};
use crate::output::{FileSet, OutputFile, RelPath};
use crate::plan::Plan;

use super::guests;
use super::interfaces;
use super::tree::{self, Planned, Situation, Wanted};
use super::{Script, Step};

/// What a plan becomes: steps, and the tree with what others wrote on the host merged in.
#[derive(Debug)]
pub struct Prepared {
    /// The steps.
    pub steps: Vec<Step>,
    /// The files that the steps bring along.
    pub files: FileSet,
}

/// The steps for the host of `snapshot`, of which `plan` says what differs. `adopt` names guests that are taken over;
/// `left` is what `applied.json` of the host holds, by path.
pub fn prepare(
    files: &FileSet,
    plan: &Plan,
    wanted: &Wanted,
    snapshot: &Snapshot,
    left: &BTreeMap<String, String>,
    adopt: &[u32],
) -> Prepared {
    let host = plan.host.as_str();
    let mut planned = Planned {
        digests: digests(files, host, snapshot, left),
        adopt: adopt.to_vec(),
        going: Vec::new(),
        guests: guests::actions(files, plan, wanted, snapshot, left, adopt),
    };
    let mut merged = FileSet::new();
    for file in files.iter() {
        let mut file = file.clone();
        if file.path.as_str() == "proxmox/etc/network/interfaces"
            && let Item::Present(now) = snapshot.tree.file("etc/network/interfaces")
        {
            let own = String::from_utf8_lossy(&file.contents).into_owned();
            let left = left
                .get("etc/network/interfaces")
                .map_or("", String::as_str);
            let result = interfaces::merge(&now.text, &own, left);
            planned.going = result.going;
            let path =
                RelPath::new("proxmox/.own/etc/network/interfaces").expect("a path of fixed words");
            let kept = OutputFile::bytes(path, own, file.mode, file.target);
            merged.insert(kept).expect("no tree has such a folder");
            file.contents = result.text.into_bytes();
        }
        merged.insert(file).expect("the tree has each path once");
    }
    Prepared {
        steps: tree::steps(&merged, host, wanted, &Situation::Planned(planned)),
        files: merged,
    }
}

/// The script of a plan: it brings along what it needs.
pub fn script(header: String, host: &str, release: &str, prepared: &Prepared) -> Script {
    Script::alone(header, host, release, &prepared.steps, &prepared.files)
}

/// The hashes of the files that a step may touch, as the copy has them. A file with a secret in it was never read whole.
fn digests(
    files: &FileSet,
    host: &str,
    snapshot: &Snapshot,
    left: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let wanted = files
        .iter()
        .filter_map(|file| file.path.as_str().strip_prefix("proxmox/"))
        .filter(|path| path.starts_with("etc/"));
    let paths: BTreeSet<&str> = wanted.chain(left.keys().map(String::as_str)).collect();
    paths
        .into_iter()
        .filter_map(|path| {
            // The guests' folders are links into the node's.
            let read = match path.strip_prefix("etc/pve/") {
                Some(guest) if guest.starts_with("qemu-server/") || guest.starts_with("lxc/") => {
                    format!("etc/pve/nodes/{host}/{guest}")
                }
                Some(_) | None => path.to_owned(),
            };
            match snapshot.tree.file(&read) {
                Item::Present(file) if file.blanked => None,
                Item::Present(file) => Some((path.to_owned(), file.digest.clone())),
                Item::Absent => Some((path.to_owned(), "-".to_owned())),
                Item::Unread(_) => None,
            }
        })
        .collect()
}
