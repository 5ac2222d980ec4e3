//! The steps for a host that runs: those of its tree, held against a copy of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::live::{Item, Snapshot};
use crate::output::{FileSet, OutputFile, RelPath};
use crate::plan::{Cause, Change, Object, Plan, When, interfaces_elsewhere};

use super::edits::{self, Texts};
use super::guests;
use super::interfaces;
use super::tree::{self, Planned, Situation, Wanted};
use super::{Action, Grammar, Policy, Script, Step};

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
    let adopt = &with_unfinished(adopt, snapshot);
    let mut planned = Planned {
        digests: digests(files, host, snapshot, left),
        adopt: adopt.clone(),
        going: Vec::new(),
        guests: guests::actions(files, plan, wanted, snapshot, left, adopt),
        edits: edits(files, plan, snapshot, left),
        pools: pools(plan, &wanted.bare_pools),
        untouched: guests::untouched(plan, snapshot, left, adopt),
        hosts: plan.changes.iter().any(is_of_hosts),
        stays: stays(files, plan, snapshot),
        by_hand: by_hand(files, plan, snapshot),
        interfaces: interfaces_by_hand(plan),
        interfaces_refused: interfaces_refused(plan, snapshot),
    };
    let mut merged = FileSet::new();
    for file in files.iter() {
        let mut file = file.clone();
        if file.path.as_str() == "proxmox/etc/network/interfaces"
            && let Item::Present(now) = snapshot.tree.file("etc/network/interfaces")
            && !now.blanked
        {
            let own = String::from_utf8_lossy(&file.contents).into_owned();
            let left = left.get("etc/network/interfaces");
            let texts = interfaces::Texts {
                now: &now.text,
                own: &own,
                left: left.map_or("", String::as_str),
                // SDN writes a file of its own there (`/etc/network/interfaces.d/sdn`).
                has_more: files
                    .iter()
                    .any(|file| file.path.as_str().starts_with("proxmox/etc/pve/sdn/")),
            };
            let result = interfaces::merge(texts, &of_interfaces(plan));
            planned.going = result.going;
            let path =
                RelPath::new("proxmox/.own/etc/network/interfaces").expect("a path of fixed words");
            let kept = OutputFile::bytes(path, own, file.mode, file.target);
            merged.insert(kept).expect("no tree has such a folder");
            file.contents = result.text.into_bytes();
        }
        if let Some(text) =
            guests::noted(&file, plan, wanted, snapshot, left).or_else(|| noted(&file, plan, left))
        {
            let path = file.path.as_str().replacen("proxmox/", "proxmox/.own/", 1);
            let path = RelPath::new(&path).expect("it is one with another beginning");
            let kept = OutputFile::bytes(path, text, file.mode, file.target);
            merged.insert(kept).expect("no tree has such a folder");
        }
        merged.insert(file).expect("the tree has each path once");
    }
    Prepared {
        steps: tree::steps(
            &merged,
            host,
            wanted,
            &Situation::Planned(Box::new(planned)),
        ),
        files: merged,
    }
}

/// With the guests that a run has made and was cut off before it noted them, by the rules of the script's `is_marked`.
fn with_unfinished(adopt: &[u32], snapshot: &Snapshot) -> Vec<u32> {
    const MARKS: &str = "var/lib/moxc/making";
    let marks = snapshot.tree.names(MARKS).into_iter();
    let made = marks.filter_map(|mark| {
        let vmid = mark.strip_suffix(".conf")?.parse().ok()?;
        let guest = snapshot.own()?.guests.get(&vmid)?;
        let Item::Present(name) = snapshot.tree.file(&format!("{MARKS}/{mark}")) else {
            return None;
        };
        let is_ours = match guest.name() {
            Some(here) => here == name.text,
            None => guest.config.get("lock").is_some(),
        };
        (is_ours && !name.text.is_empty()).then_some(vmid)
    });
    let all: BTreeSet<u32> = adopt.iter().copied().chain(made).collect();
    all.into_iter().collect()
}

/// The script of a plan: it brings along what it needs.
pub fn script(header: String, host: &str, release: &str, prepared: Prepared) -> Script {
    Script::alone(header, host, release, prepared.steps, &prepared.files)
}

fn is_of_hosts(change: &Change) -> bool {
    matches!(&change.object, Object::File(path) if path == "etc/hosts")
}

/// What later runs have to know of a file of sections, where that is not all of it.
fn noted(file: &OutputFile, plan: &Plan, left: &BTreeMap<String, String>) -> Option<String> {
    let path = file.path.as_str().strip_prefix("proxmox/")?;
    let (Grammar::Sections, ..) = tree::merged(path)? else {
        return None;
    };
    let left = left.get(path).map_or("", String::as_str);
    edits::noted(
        &String::from_utf8_lossy(&file.contents),
        left,
        &of_file(plan, path),
    )
}

/// The changes of a file that others write, too.
fn of_file<'a>(plan: &'a Plan, path: &str) -> Vec<&'a Change> {
    let is_of = |change: &&Change| change.line.as_ref().is_some_and(|line| line.path == path);
    plan.changes.iter().filter(is_of).collect()
}

/// What becomes of the interfaces: what somebody changed by hand and what the spec never said is not among it.
fn of_interfaces(plan: &Plan) -> interfaces::Differences<'_> {
    let mut all = interfaces::Differences::new();
    for change in &plan.changes {
        let Object::Interface(name) = &change.object else {
            continue;
        };
        if change.cause == Cause::Host {
            continue;
        }
        let differs = all.entry(name.as_str()).or_default();
        match (&change.option, &change.after) {
            (Some(option), _) => {
                differs.options.insert(option.clone());
            }
            (None, Some(_)) => differs.comes = true,
            (None, None) => differs.stays = edits::stays_though_gone(change),
        }
    }
    for foreign in &plan.foreign {
        let (Object::Interface(name), Some(option), Some(value)) =
            (&foreign.object, &foreign.option, &foreign.before)
        else {
            continue;
        };
        let differs = all.entry(name.as_str()).or_default();
        differs.others.extend(value.lines().map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            (option.clone(), words.join(" "))
        }));
    }
    all
}

/// What of the interfaces somebody changed by hand, where the file is written for another change.
fn interfaces_by_hand(plan: &Plan) -> Vec<String> {
    let changes = plan.changes.iter();
    let of_interfaces = changes.filter(|change| matches!(change.object, Object::Interface(_)));
    of_interfaces
        .filter_map(|change| {
            if change.cause == Cause::Host {
                Some(edits::by_hand(change))
            } else {
                edits::stays_though_gone(change).then(|| edits::no_longer_said(change))
            }
        })
        .collect()
}

/// Changes of interfaces whose lines stand in another file: a second stanza beside theirs would take nothing of them back.
fn interfaces_refused(plan: &Plan, snapshot: &Snapshot) -> Vec<String> {
    let elsewhere = interfaces_elsewhere(plan, snapshot).into_iter();
    let mut refused: Vec<String> = elsewhere
        .map(|(change, path)| {
            format!(
                "{} stands in /{path}, which moxc leaves alone: change it there, or move its stanza to /etc/network/interfaces",
                change.object
            )
        })
        .collect();
    refused.dedup();
    refused
}

/// What becomes of the files that others write, too, by path.
fn edits(
    files: &FileSet,
    plan: &Plan,
    snapshot: &Snapshot,
    left: &BTreeMap<String, String>,
) -> BTreeMap<String, Vec<Action>> {
    let all = tree::merged_files(files, &plan.host).into_iter();
    all.filter_map(|(path, grammar, policy, _)| {
        let wanted = files.get(&format!("proxmox/{path}"));
        let left_text = left.get(&path).map(String::as_str);
        if wanted.is_none() && left_text.is_none() {
            return None;
        }
        let live = match snapshot.tree.file(&path) {
            Item::Present(file) => file.text.clone(),
            Item::Absent => String::new(),
            Item::Unread(reason) => {
                let told = format!("it was not read ({reason}), and stays as it is");
                return Some((path, vec![Action::Leave(told)]));
            }
        };
        let wanted = wanted.map(|file| String::from_utf8_lossy(&file.contents).into_owned());
        let texts = Texts {
            live: &live,
            wanted: wanted.as_deref().unwrap_or_default(),
            left: left_text.unwrap_or_default(),
        };
        let changes = of_file(plan, &path);
        let edits = edits::of(grammar, policy, texts, &changes);
        let refused = edits.refused.into_iter().map(Action::InTheWay);
        let mut actions: Vec<Action> = refused
            .chain(edits.stays.into_iter().map(Action::Leave))
            .collect();
        // What is as it should be is noted, too, as what the spec wanted.
        if policy != Policy::New || left_text.is_some() || live.is_empty() || !changes.is_empty() {
            actions.push(Action::Edit {
                grammar,
                path: path.clone(),
                policy,
                items: edits.items,
            });
        }
        Some((path, actions))
    })
    .collect()
}

/// What becomes of pools and datasets: properties one by one; what is missing is made by the tree's script, which looks at
/// every disk before it touches one. So it does where nobody knows what is there.
fn pools(plan: &Plan, bare: &[String]) -> Vec<Action> {
    let of_storage = |change: &&Change| {
        matches!(
            change.object,
            Object::Pool(_) | Object::Dataset(_) | Object::Lvm(_)
        )
    };
    let (by_hand, changes): (Vec<&Change>, Vec<&Change>) = plan
        .changes
        .iter()
        .filter(of_storage)
        .partition(|change| is_by_hand(change));
    let told: Vec<Action> = by_hand.into_iter().map(told_by_hand).collect();
    let is_unread = plan.unread.iter().any(|unread| {
        [".moxc/zfs-get", ".moxc/vgs.json", ".moxc/lvs.json"].contains(&unread.path.as_str())
    });
    let by_script = is_unread || changes.iter().any(|change| change.option.is_none());
    let is_bare =
        |change: &&Change| matches!(&change.object, Object::Pool(name) if bare.contains(name));
    let single = changes
        .into_iter()
        .filter(|change| !by_script || is_bare(change));
    let actions = single.filter_map(|change| {
        let (program, name) = match &change.object {
            // The root of a pool is a dataset, too.
            Object::Pool(name) if change.option.as_deref() == Some("compression") => ("zfs", name),
            Object::Pool(name) => ("zpool", name),
            Object::Dataset(name) | Object::Lvm(name) => ("zfs", name),
            _ => return None,
        };
        let property = change.option.clone()?;
        let after = change.after.clone()?;
        let before = change.before.clone().unwrap_or_default();
        if change.class.when == When::Recreate {
            return Some(Action::Leave(format!(
                "{property} of {name} is `{before}`, and only making it anew could make it `{after}`: it stays"
            )));
        }
        Some(Action::Property {
            program,
            name: name.clone(),
            property,
            before,
            after,
        })
    });
    let script = by_script.then_some(Action::Pools);
    script.into_iter().chain(actions).chain(told).collect()
}

/// Disks of a pool, and a thin pool that is there: nothing of them is changed without a person who looks at them first.
fn is_by_hand(change: &Change) -> bool {
    let of_disks = change
        .option
        .as_deref()
        .is_some_and(|option| option.ends_with("disks"));
    match change.object {
        Object::Lvm(_) => change.option.is_some(),
        Object::Pool(_) => of_disks,
        _ => false,
    }
}

fn told_by_hand(change: &Change) -> Action {
    let commands: Vec<String> = change
        .commands
        .iter()
        .map(|command| format!("`{command}`"))
        .collect();
    Action::Leave(format!(
        "{} is not as the spec says, and only somebody who has looked at the disks may change it: {}",
        change.object,
        commands.join(", ")
    ))
}

/// Files that are all ours and that the plan leaves: as they are wanted but for the line that says who made them, or changed by
/// hand, which is told.
fn stays(files: &FileSet, plan: &Plan, snapshot: &Snapshot) -> BTreeMap<String, Option<String>> {
    let own = files.iter().filter_map(|file| {
        let path = file.path.as_str().strip_prefix("proxmox/")?;
        let ours = path.starts_with("etc/") || path.starts_with("usr/") || path.starts_with("var/");
        if !ours
            || tree::merged(path).is_some()
            || path.starts_with("etc/pve/qemu-server/")
            || path.starts_with("etc/pve/lxc/")
        {
            return None;
        }
        match snapshot.tree.file(path) {
            Item::Unread(_) => return None,
            // What is not read cannot be written again.
            Item::Present(live) if live.blanked && path == "etc/network/interfaces" => {
                let told = format!(
                    "/{path} holds a secret, which is not read: the network stays as it is"
                );
                return Some((path.to_owned(), Some(told)));
            }
            Item::Present(live) if live.text == String::from_utf8_lossy(&file.contents) => {
                return None;
            }
            // Settings of modules may stand in any file, and not every host starts by GRUB.
            Item::Absent
                if !path.starts_with("etc/mod") && !path.starts_with("etc/default/grub.d/") =>
            {
                return None;
            }
            Item::Present(_) | Item::Absent => {}
        }
        let changes: Vec<&Change> = of_own_file(plan, path).collect();
        if changes.iter().any(|change| change.cause != Cause::Host) {
            return None;
        }
        let told = (!changes.is_empty())
            .then(|| format!("/{path} was changed by hand and stays as it is"));
        Some((path.to_owned(), told))
    });
    own.collect()
}

/// The changes of a file that is all ours, or of the interfaces.
fn of_own_file<'a>(plan: &'a Plan, path: &'a str) -> impl Iterator<Item = &'a Change> {
    let is_of = move |change: &&Change| match &change.object {
        Object::Unit(name) => path.strip_prefix("etc/systemd/system/") == Some(name),
        Object::File(name) => {
            name == path || name == "etc/default/grub" && path.starts_with("etc/default/grub.d/")
        }
        Object::Interface(_) => path == "etc/network/interfaces",
        _ => false,
    };
    plan.changes.iter().filter(is_of)
}

/// Files that are all ours, that somebody changed since the last run, and that the spec changes: they are written as one, and
/// the edit goes.
fn by_hand(files: &FileSet, plan: &Plan, snapshot: &Snapshot) -> BTreeSet<String> {
    let own = files.iter().filter_map(|file| {
        let path = file.path.as_str().strip_prefix("proxmox/")?;
        let is_edited = path != "etc/network/interfaces"
            && tree::merged(path).is_none()
            && snapshot.tree.file(path).present().is_some()
            && of_own_file(plan, path).any(|change| change.cause == Cause::Both);
        is_edited.then(|| path.to_owned())
    });
    own.collect()
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
    let paths: BTreeSet<&str> = wanted
        .chain(
            left.keys()
                .map(String::as_str)
                .filter(|path| path.starts_with("etc/")),
        )
        .chain(["etc/hosts"])
        .collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Class;

    fn of_pool(option: Option<&str>) -> Change {
        Change {
            object: Object::Pool("tank".to_owned()),
            option: option.map(str::to_owned),
            before: option.map(|_| "lz4".to_owned()),
            after: Some("zstd".to_owned()),
            class: Class::NOW,
            cause: Cause::Unknown,
            commands: Vec::new(),
            undo: Vec::new(),
            spec: None,
            line: None,
        }
    }

    #[test]
    fn what_the_trees_script_leaves_of_a_pool_is_set_beside_it() {
        let missing = Change {
            object: Object::Dataset("tank/new".to_owned()),
            ..of_pool(None)
        };
        let plan = Plan {
            names: BTreeMap::new(),
            host: "pve1".to_owned(),
            changes: vec![missing, of_pool(Some("compression"))],
            foreign: Vec::new(),
            unread: Vec::new(),
        };
        let of = |bare: &[String]| pools(&plan, bare);
        assert!(matches!(of(&[])[..], [Action::Pools]));
        assert!(matches!(
            of(&["tank".to_owned()])[..],
            [Action::Pools, Action::Property { .. }]
        ));
    }
}
