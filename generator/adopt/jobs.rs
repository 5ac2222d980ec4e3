//! `[schedules]`: the backup jobs of Proxmox VE.

use std::collections::BTreeMap;

use super::doc::{Doc, Part, Table, Toml};
use super::storage::keep_of;
use super::write::{Writing, kebab, schema_value};
use crate::live::secrets::is_blanked;
use crate::pve::{ConfigFile, Section};
use crate::value::{Name, SpecString};

/// The file of Proxmox VE's jobs.
pub(super) const JOBS_CFG: &str = "etc/pve/jobs.cfg";

/// Whether a job is of this node, or of all.
pub(super) fn is_of_node(writing: &Writing<'_>, section: &Section) -> bool {
    section.get("node").is_none_or(|node| node == writing.node)
}

/// Whether the language has words for a job. Of those that run on every node of a cluster it is one for all guests: each host
/// says the same of it. One that names guests of several nodes is no single host's.
pub(super) fn has_words(writing: &Writing<'_>, section: &Section) -> bool {
    let part = Part::Job(section.id().to_owned());
    let file = ConfigFile::Job("vzdump");
    // `pool` names guests that another file knows; `maxfiles` is what `prune-backups` was before 7.0.
    let known = |key: &str| file.option(key).is_some() && !matches!(key, "pool" | "maxfiles");
    let stored = section
        .get("storage")
        .is_none_or(|storage| writing.stores.contains_key(storage));
    let is_for_all = section.get("all").is_some_and(|all| all == "1")
        && section.get("exclude").is_none_or(str::is_empty);
    let is_said_whole = section.get("node").is_some() || writing.live.nodes.len() < 2 || is_for_all;
    section.kind() == "vzdump"
        && is_of_node(writing, section)
        && is_said_whole
        && !writing.decided.kept.contains_key(&part)
        && Name::parse(section.id()).is_ok()
        && section.get("schedule").is_some()
        && section
            .properties()
            .all(|(key, value)| known(key) && !is_blanked(value))
        && stored
        && guests(writing, section).is_some()
}

/// The guests of a job by their names; none where one of them is no guest of this host.
fn guests(writing: &Writing<'_>, section: &Section) -> Option<(Toml, Vec<String>)> {
    let names = |list: Option<&str>| -> Option<Vec<String>> {
        let numbers = list
            .unwrap_or_default()
            .split([',', ';', ' '])
            .map(str::trim);
        numbers
            .filter(|number| !number.is_empty())
            .map(|number| {
                let vmid = number.parse().ok()?;
                let out = writing.decided.out.contains_key(&Part::Guest(vmid));
                writing.names.get(&vmid).filter(|_| !out).cloned()
            })
            .collect()
    };
    if section.get("all").is_some_and(|all| all == "1") {
        return Some((Toml::Text("all".to_owned()), names(section.get("exclude"))?));
    }
    let guests = names(section.get("vmid"))?;
    (!guests.is_empty()).then(|| (Toml::texts(guests), Vec::new()))
}

/// Writes the jobs that the language has words for.
pub(super) fn write(writing: &mut Writing<'_>, doc: &mut Doc) {
    let Some(jobs) = writing.live.jobs.present() else {
        return;
    };
    for section in jobs.config.sections() {
        if !has_words(writing, section) {
            continue;
        }
        let mut table = Table::new(
            ["schedules", section.id()],
            Part::Job(section.id().to_owned()),
        );
        let mut rest: BTreeMap<&str, &str> = section.properties().collect();
        table.set("task", "vzdump-backup");
        let on = rest.remove("schedule").unwrap_or_default();
        table.set_as("on", calendar(on), "schedule");
        if rest.remove("enabled") == Some("0") {
            table.set("enabled", false);
        }
        let missed = rest.remove("repeat-missed") == Some("1");
        table.set_as("persistent", missed, "repeat-missed");
        if let Some((guests, exclude)) = guests(writing, section) {
            table.set_as("guests", guests, "vmid");
            if !exclude.is_empty() {
                table.set("exclude", Toml::texts(exclude));
            }
        }
        table.set_some("storage", rest.remove("storage"));
        table.set_some("mode", rest.remove("mode"));
        let compress = match rest.remove("compress") {
            None | Some("0") => "none",
            Some("1") => "lzo",
            Some(word) => word,
        };
        table.set("compress", compress);
        if let Some(keep) = rest.remove("prune-backups") {
            table.set_as("keep", keep_of(keep), "prune-backups");
        }
        table.set_some("notes", rest.remove("notes-template").map(str::to_owned));
        rest.remove("all");
        rest.remove("vmid");
        rest.remove("exclude");
        let file = ConfigFile::Job("vzdump");
        for (key, value) in rest {
            let value = match file.option(key) {
                Some(schema) => schema_value(schema, value),
                None => value.into(),
            };
            table.set_as(&kebab(key), value, key);
        }
        let unset = writing
            .decided
            .unset
            .iter()
            .filter(|(part, _)| *part == table.part)
            .map(|(_, option)| option.clone());
        let unset: Vec<String> = unset.collect();
        if !unset.is_empty() {
            table.set("unset", Toml::texts(unset));
        }
        doc.push(table);
    }
}

/// Proxmox VE's own short forms in the words of systemd: `*/30` is every half hour, `22:30/…` the same.
fn calendar(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.strip_prefix("*/") {
        Some(minutes) if minutes.bytes().all(|b| b.is_ascii_digit()) => format!("*:0/{minutes}"),
        _ => text,
    }
}
