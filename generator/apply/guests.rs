//! What becomes of guests that are there: what the plan found, as actions.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::making::Making;
use crate::live::Snapshot;
use crate::output::{FileSet, OutputFile};
use crate::plan::{Cause, Change, Data, Object, Plan, Shown, When};
use crate::pve::guest_config::ENVIRONMENT;
use crate::pve::{GuestConfig, GuestKind, holds_volume};

use super::tree::Wanted;
use super::{Action, Item};

/// What is done to each guest of the tree that is there, by VMID, where an earlier run made it or it is taken over. Of the
/// others the script itself says whose they are.
pub(super) fn actions(
    files: &FileSet,
    plan: &Plan,
    wanted: &Wanted,
    snapshot: &Snapshot,
    left: &BTreeMap<String, String>,
    adopt: &[u32],
) -> BTreeMap<String, Vec<Action>> {
    let Some(own) = snapshot.own() else {
        return BTreeMap::new();
    };
    let ours = own.guests.iter().filter_map(|(vmid, live)| {
        let object = match live.kind {
            GuestKind::Qm => Object::Vm(*vmid),
            GuestKind::Pct => Object::Ct(*vmid),
        };
        let path = format!("etc/pve/{}/{vmid}.conf", live.kind.folder());
        let file = files.get(&format!("proxmox/{path}"))?;
        if !left.contains_key(&path) && !adopt.contains(vmid) {
            return None;
        }
        let text = String::from_utf8_lossy(&file.contents);
        let guest = Guest {
            kind: live.kind,
            vmid: vmid.to_string(),
            live: &live.config,
            wanted: GuestConfig::parse(live.kind, &text).0,
            making: wanted
                .makings
                .get(&vmid.to_string())
                .cloned()
                .unwrap_or_default(),
            runs: snapshot.runs(*vmid) != Some(false),
        };
        let changes: Vec<&Change> = plan
            .changes
            .iter()
            .filter(|change| change.object == object)
            .collect();
        Some((vmid.to_string(), guest.actions(&changes)))
    });
    ours.collect()
}

/// Guests that no run made, nobody takes over, and that are as the spec says.
pub(super) fn untouched(
    plan: &Plan,
    snapshot: &Snapshot,
    left: &BTreeMap<String, String>,
    adopt: &[u32],
) -> BTreeSet<String> {
    let own = snapshot.own().into_iter().flat_map(|own| &own.guests);
    own.filter(|(vmid, live)| {
        // The spec's guest of the number may be of the other kind.
        let of_number = [Object::Vm(**vmid), Object::Ct(**vmid)];
        !left.contains_key(&format!("etc/pve/{}/{vmid}.conf", live.kind.folder()))
            && !adopt.contains(vmid)
            && plan
                .changes
                .iter()
                .all(|change| !of_number.contains(&change.object))
    })
    .map(|(vmid, _)| vmid.to_string())
    .collect()
}

/// What later runs have to know of a guest's file, where that is not all of it: a change that is told and not made was not
/// applied. There it holds what the last run left, or what is there where this one takes the guest over: the next plan takes
/// it for the change of the spec that it is, and not for an edit by hand.
pub(super) fn noted(
    file: &OutputFile,
    plan: &Plan,
    wanted: &Wanted,
    snapshot: &Snapshot,
    left: &BTreeMap<String, String>,
) -> Option<String> {
    let path = file.path.as_str().strip_prefix("proxmox/")?;
    let (kind, object) = if let Some(name) = path.strip_prefix("etc/pve/qemu-server/") {
        let vmid = name.strip_suffix(".conf")?.parse().ok()?;
        (GuestKind::Qm, Object::Vm(vmid))
    } else {
        let name = path.strip_prefix("etc/pve/lxc/")?;
        let vmid = name.strip_suffix(".conf")?.parse().ok()?;
        (GuestKind::Pct, Object::Ct(vmid))
    };
    let not_made: BTreeSet<&str> = plan
        .changes
        .iter()
        .filter(|change| change.object == object && change.cause != Cause::Host)
        .filter(|change| matches!(change.class.when, When::Recreate | When::Refused))
        .filter_map(|change| Some(change.line.as_ref()?.key.as_str()))
        .collect();
    let vmid = path.rsplit('/').next()?.strip_suffix(".conf")?;
    let making = wanted.makings.get(vmid);
    // A volume that the spec does not name stays, and from now on it is the one that was left.
    let kept: BTreeMap<&str, (&str, &str)> = plan
        .changes
        .iter()
        .filter(|change| change.object == object)
        .filter_map(|change| {
            let key = change.line.as_ref()?.key.as_str();
            let part = change.option.as_deref()?.strip_prefix(key)?;
            let (before, after) = (change.before.as_deref()?, change.after.as_deref()?);
            let store = |volume: &str| volume.split(':').next().map(str::to_owned);
            let names = making.is_some_and(|making| making.existing.iter().any(|one| one == key));
            (matches!(part, ".file" | ".volume")
                && holds_volume(key)
                && !names
                && store(before) == store(after))
            .then_some((key, (after, before)))
        })
        .collect();
    if not_made.is_empty() && kept.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(&file.contents);
    let mut noted = String::new();
    for line in text.split_inclusive('\n') {
        match line.split_once(": ").and_then(|(key, _)| kept.get(key)) {
            Some((made_up, volume)) => noted.push_str(&line.replacen(made_up, volume, 1)),
            None => noted.push_str(line),
        }
    }
    if not_made.is_empty() {
        return Some(noted);
    }
    let left = left.get(path).map(|text| GuestConfig::parse(kind, text).0);
    let here = || Some(&snapshot.own()?.guests.get(&vmid.parse().ok()?)?.config);
    let mut noted = GuestConfig::parse(kind, &noted).0;
    let Some(was) = left.as_ref().or_else(here) else {
        return Some(noted.to_string());
    };
    // Of a guest that no run has left, raw lines of keys that the spec does not say are somebody else's.
    let said: BTreeSet<String> = noted.raw().map(|(key, _)| key.to_owned()).collect();
    let is_known = |key: &str| left.is_some() || said.contains(key);
    for key in not_made {
        match key {
            "lxc" => noted.take_raw(was, |key| key != ENVIRONMENT, is_known),
            "env" if kind == GuestKind::Pct => {
                noted.take_raw(was, |key| key == ENVIRONMENT, is_known);
            }
            _ => noted.take(key, was),
        }
    }
    Some(noted.to_string())
}

struct Guest<'a> {
    kind: GuestKind,
    vmid: String,
    live: &'a GuestConfig,
    wanted: GuestConfig,
    making: Making,
    /// Whether it runs, as far as anybody knows.
    runs: bool,
}

impl Guest<'_> {
    fn name(&self) -> &str {
        let option = match self.kind {
            GuestKind::Qm => "name",
            GuestKind::Pct => "hostname",
        };
        self.wanted.get(option).unwrap_or(&self.vmid)
    }

    fn actions(&self, changes: &[&Change]) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut items: Vec<Item> = Vec::new();
        let mut own = Vec::new();
        let mut waiting = BTreeSet::new();
        for change in changes {
            let Some(line) = &change.line else { continue };
            let option = change.option.as_deref().unwrap_or(&line.key);
            if let Some(why) = Self::why_not(change, option) {
                actions.push(Action::Leave(why));
                continue;
            }
            if let Some(action) = self.own_command(change, &line.key) {
                own.push(action);
                continue;
            }
            if let Some(action) = self.kept_volume(change, &line.key) {
                own.push(action);
                continue;
            }
            if self.runs && change.class.shown != Shown::Live {
                waiting.insert(option);
            }
            let item = self.item(line.key.as_str(), line.before.as_ref(), line.after.as_ref());
            let volume = first_part(item.before.as_ref());
            if change.class.data != Data::Kept && first_part(item.after.as_ref()) != volume {
                let typed = Action::Typed {
                    name: volume.to_owned(),
                    what: format!("the volume {volume} is taken from guest {}", self.vmid),
                };
                if !actions.contains(&typed) {
                    actions.push(typed);
                }
            }
            if !items.iter().any(|known| known.key == item.key) {
                items.push(item);
            }
        }
        for item in &mut items {
            item.follows = own.iter().any(|action| match action {
                Action::Grow { key, .. } | Action::Move { key, .. } => *key == item.key,
                _ => false,
            });
        }
        // What cannot come back goes first: the rest is not put back over it.
        actions.append(&mut own);
        let change = |items| Action::ChangeGuest {
            kind: self.kind,
            vmid: self.vmid.clone(),
            items,
        };
        // In one call, a balloon that goes is still held against the memory that comes (`update_vm` of PVE::API2::Qemu).
        let goes = |item: &Item| item.key == "balloon" && item.after.is_none();
        if items.iter().any(|item| item.key == "memory")
            && let Some(at) = items.iter().position(goes)
        {
            let balloon = items.remove(at);
            actions.push(change(vec![balloon]));
        }
        actions.push(change(items));
        if !waiting.is_empty() {
            actions.push(Action::Waits {
                vmid: self.vmid.clone(),
                name: self.name().to_owned(),
                options: waiting.into_iter().collect::<Vec<_>>().join(", "),
            });
        }
        actions
    }

    /// Why a change is told and not made.
    fn why_not(change: &Change, option: &str) -> Option<String> {
        let shown = |value: &Option<String>| match value {
            Some(value) => format!("`{value}`"),
            None => "nothing".to_owned(),
        };
        let (before, after) = (shown(&change.before), shown(&change.after));
        if change.cause == Cause::Host {
            return Some(format!("{option} is {before} by hand, and not {after}"));
        }
        // A part of a value goes with the rest of it.
        if change.cause == Cause::Both && change.after.is_none() && !option.contains('.') {
            return Some(format!(
                "{option} is no longer in the spec, but changed by hand since: it stays {before}"
            ));
        }
        match change.class.when {
            When::Recreate => Some(format!(
                "{option} is {before}, and only making it anew could make it {after}: it stays"
            )),
            When::Refused => {
                let is = match change.before {
                    Some(_) => format!("is {before} and stays"),
                    None => "stays unset".to_owned(),
                };
                let refuses = match change.after {
                    Some(_) => format!("refuses {after} as it is"),
                    None => "takes nothing away as it is".to_owned(),
                };
                Some(format!(
                    "{option} {is} until the guest is shut down, unlocked or unprotected: Proxmox VE {refuses}"
                ))
            }
            When::Now | When::Command | When::Restart | When::HostRestart => None,
        }
    }

    /// The name of a volume that the spec does not name is made up: the volume that is there will do.
    fn kept_volume(&self, change: &Change, key: &str) -> Option<Action> {
        let option = change.option.as_deref()?;
        let of_volume = [format!("{key}.file"), format!("{key}.volume")]
            .iter()
            .any(|own| own == option);
        let (before, after) = (change.before.as_deref()?, change.after.as_deref()?);
        if !of_volume || !self.is_made_up(key, before, after) {
            return None;
        }
        let (from, to) = (before.split_once(':')?.0, after.split_once(':')?.0);
        (from == to).then(|| {
            Action::Leave(format!(
                "{key} stays on its volume {before}: `volume` in the spec names it"
            ))
        })
    }

    /// Whether both are volumes of a disk whose volume the spec does not name.
    fn is_made_up(&self, key: &str, before: &str, after: &str) -> bool {
        let is_volume = |text: &str| {
            text.contains(":vm-") || text.contains(":subvol-") || text.contains("/vm-")
        };
        holds_volume(key)
            && is_volume(before)
            && is_volume(after)
            && !self.making.existing.iter().any(|one| one == key)
    }

    /// Whether the volume is in a slot that goes: a disk that changes its bus.
    fn comes_from_another_slot(&self, volume: &str) -> bool {
        self.live.options().any(|(slot, value)| {
            holds_volume(slot)
                && value.split(',').next() == Some(volume)
                && self.wanted.get(slot).is_none()
        })
    }

    /// A disk that grows or moves.
    fn own_command(&self, change: &Change, key: &str) -> Option<Action> {
        if change.class.when != When::Command {
            return None;
        }
        let store = |volume: &Option<String>| {
            let volume = volume.as_deref().unwrap_or_default();
            volume.split(':').next().unwrap_or_default().to_owned()
        };
        Some(
            if change.option.as_deref() == Some(&format!("{key}.size")) {
                Action::Grow {
                    kind: self.kind,
                    vmid: self.vmid.clone(),
                    key: key.to_owned(),
                    size: change.after.clone().unwrap_or_default(),
                }
            } else {
                Action::Move {
                    kind: self.kind,
                    vmid: self.vmid.clone(),
                    key: key.to_owned(),
                    from: store(&change.before),
                    to: store(&change.after),
                }
            },
        )
    }

    fn item(&self, key: &str, before: Option<&String>, after: Option<&String>) -> Item {
        let trimmed = |value: Option<&String>| {
            let value = value?;
            Some(match key {
                "description" => value.trim_end().to_owned(),
                _ => value.clone(),
            })
        };
        let (here, there) = (first_part(before), first_part(after));
        let volume = after
            .filter(|_| before.is_none() && !self.comes_from_another_slot(there))
            .map(|after| self.making.argument(key, after))
            .filter(|argument| Some(argument) != after);
        let after = if self.is_made_up(key, here, there) {
            trimmed(after).map(|after| after.replacen(there, here, 1))
        } else {
            trimmed(after)
        };
        Item {
            key: key.to_owned(),
            before: trimmed(before),
            volume,
            follows: false,
            after,
        }
    }
}

/// The volume of a drive.
fn first_part(value: Option<&String>) -> &str {
    let value = value.map(String::as_str).unwrap_or_default();
    value.split(',').next().unwrap_or_default()
}
