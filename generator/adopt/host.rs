//! `[host]`: the machine itself.

use super::doc::{Doc, Part, Table};
use super::timers;
use super::write::{NoteKind, Writing};
use crate::live::{Item, Snapshot};
use crate::pve::Release;
use crate::value::{DnsName, HostName, SpecString, TimeZoneName};

/// The release that a spec of the host says: the host's own where moxc knows it, else the newest.
pub(super) fn release(live: &Snapshot) -> Release {
    live.version
        .present()
        .and_then(|version| version.release)
        .filter(|release| Release::KNOWN.contains(release))
        .unwrap_or(Release::NEWEST)
}

/// Writes `[host]`.
pub(super) fn write(writing: &mut Writing<'_>, doc: &mut Doc) {
    let live = writing.live;
    let mut table = Table::new(["host"], Part::Host);
    let name = host_name(writing.node);
    if name != writing.node {
        writing.note(
            NoteKind::Normalised,
            format!("host name `{}`", writing.node),
            format!("Proxmox VE's installer would not take it; the spec says `{name}`"),
        );
    }
    table.set("name", name);
    if let Some(domain) = domain(live, writing.node) {
        table.set("domain", domain);
    }
    let known = live.version.present().and_then(|version| version.release);
    let entry = table.set("release", writing.release.to_string());
    match (&live.version, known) {
        (Item::Present(version), Some(release)) if release == writing.release => {
            if !writing.minimal {
                entry.remark = Some(format!("pve-manager {}", version.package));
            }
        }
        (Item::Present(version), _) => {
            let why = format!(
                "pve-manager {}, which moxc does not know: the nearest that it does",
                version.package
            );
            entry.remark = Some(why.clone());
            writing.note(NoteKind::Unread, "release", why);
        }
        (Item::Absent | Item::Unread(_), _) => {
            entry.remark = Some("the copy does not say which: set the host's own".to_owned());
            writing.note(
                NoteKind::Unread,
                "release",
                "the copy does not say it; the newest that moxc knows is taken",
            );
        }
    }
    let zone = live
        .timezone
        .present()
        .filter(|zone| TimeZoneName::parse(zone).is_ok());
    if let Some(zone) = zone {
        table.set("timezone", zone.as_str());
    } else {
        table.set("timezone", "UTC").remark =
            Some("the copy does not say which: set the host's own".to_owned());
        writing.note(
            NoteKind::Unread,
            "timezone",
            "the copy does not say it; UTC is taken",
        );
    }
    table.set_some("email", timers::email(writing));
    let has_tools = live
        .tree
        .file("usr/local/sbin/moxc-notify")
        .present()
        .is_some();
    if !has_tools {
        let entry = table.set("tools", false);
        entry.remark = Some("moxc's own commands for the host, which it does not have".to_owned());
    }
    doc.push(table);
}

/// A host's name as the installer takes it.
pub(super) fn host_name(node: &str) -> String {
    let lower = node.to_ascii_lowercase();
    if HostName::parse(&lower).is_ok() {
        return lower;
    }
    let plain: String = lower
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let plain = plain.trim_matches('-').to_owned();
    if HostName::parse(&plain).is_ok() {
        plain
    } else {
        "pve".to_owned()
    }
}

/// The domain that `/etc/hosts` names the host with.
fn domain(live: &Snapshot, node: &str) -> Option<String> {
    let file = live.tree.file("etc/hosts");
    let text = &file.present()?.text;
    let words = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split_whitespace().skip(1));
    let mut domains = words.filter_map(|word| word.strip_prefix(node)?.strip_prefix('.'));
    let domain = domains.find(|domain| DnsName::parse(domain).is_ok())?;
    Some(domain.to_owned())
}
