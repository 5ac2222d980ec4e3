//! The tables of every guest.

use std::collections::BTreeSet;

use super::doc::{Doc, Toml};
use super::guest::Guest;
use super::write::{NoteKind, Writing};
use super::{container, firewall, vm};
use crate::pve::GuestKind;

/// Writes the tables of every guest.
pub(super) fn write(writing: &mut Writing<'_>, doc: &mut Doc) {
    let own = writing.own;
    for live in own.guests.values() {
        let mut guest = Guest::new(writing, live);
        match live.kind {
            GuestKind::Qm => {
                vm::write(writing, &mut guest);
                guest.rest(vm::SAID);
            }
            GuestKind::Pct => {
                container::write(writing, &mut guest);
                guest.rest(container::SAID);
            }
        }
        firewall::write(writing, &mut guest);
        finish(writing, guest, doc);
    }
}

/// What moxc writes into every guest's file, as far as this one does not have it.
fn written_by_itself(guest: &Guest<'_>) -> Vec<&'static str> {
    let live = guest.live;
    let missing = |key: &&str| live.wanted(key).is_none();
    match live.kind {
        GuestKind::Qm => {
            let boots = guest.table.entries.iter().any(|entry| entry.key == "iso")
                || guest.below.iter().any(|table| {
                    table.header.last().is_some_and(|last| last == "disks") && !table.is_empty()
                });
            let mut keys: Vec<&str> = ["name", "smbios1"].into_iter().filter(missing).collect();
            if boots && live.wanted("boot").is_none() {
                keys.push("boot");
            }
            keys
        }
        GuestKind::Pct => ["hostname"].into_iter().filter(missing).collect(),
    }
}

fn finish(writing: &mut Writing<'_>, mut guest: Guest<'_>, doc: &mut Doc) {
    let vmid = guest.live.vmid;
    let mut unset: BTreeSet<&str> = writing
        .decided
        .unset
        .iter()
        .filter(|(part, _)| *part == guest.part)
        .map(|(_, key)| key.as_str())
        .collect();
    unset.extend(written_by_itself(&guest));
    if !unset.is_empty() {
        guest.table.set("unset", Toml::texts(unset));
    }
    let mut extra = guest.table_below("extra");
    for (key, value) in &guest.raw {
        extra.set_as(key, value.as_str(), key);
    }
    if guest.live.snapshots().next().is_some() {
        writing.note(
            NoteKind::Normalised,
            format!("snapshots of {vmid}"),
            "they stay on the host; a spec says nothing of them",
        );
    }
    doc.push(guest.table);
    for table in guest.below {
        doc.push(table);
    }
    doc.push(extra);
}
