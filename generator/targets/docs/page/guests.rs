//! A guest on the page: what it is made of, what a change costs, and the ways back.

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};

use super::{FileLink, GuestPage, Lines, Table};
use crate::facts::{Facts, shares, tree};
use crate::model::{Guest, GuestKind, Host, Id, MountSource, Passthrough, UsbSource};
use crate::output::FileSet;
use crate::plan::{Data, Interrupts, costs, render};
use crate::pve::{self, GuestConfig, Release};
use crate::targets::docs::told;
use crate::value::ByteSize;

/// A guest before the files are there.
#[derive(Debug)]
pub(super) struct Planned {
    name: String,
    what: String,
    about: String,
    id: String,
    kind: pve::GuestKind,
    release: Release,
    file: String,
    facts: Table,
}

/// Plans every guest, `in_full` with the file beside each row.
pub(super) fn plan(facts: &Facts<'_>, lines: &Lines, in_full: bool) -> Vec<Planned> {
    let host = facts.host;
    host.guests
        .iter()
        .map(|(id, guest)| {
            let (kind, what) = match guest.kind {
                GuestKind::Vm(_) => (pve::GuestKind::Qm, "virtual machine"),
                GuestKind::Container(_) => (pve::GuestKind::Pct, "container"),
            };
            let words = told::guest(facts, id, guest);
            Planned {
                what: format!("{what} {}", words.number),
                id: format!("guest-{}", words.number),
                name: words.name.clone(),
                about: words.what.clone(),
                kind,
                release: *host.release,
                file: tree::guest(guest),
                facts: made_of(facts, (id, guest), words, lines, in_full),
            }
        })
        .collect()
}

fn made_of(
    facts: &Facts<'_>,
    (id, guest): (Id<Guest>, &Guest),
    words: told::GuestWords,
    lines: &Lines,
    in_full: bool,
) -> Table {
    let host = facts.host;
    let file = tree::guest(guest);
    let caption = format!("What {} is made of", guest.name.value);
    let mut table = Table::new(&caption, &["What", "Value"]);
    let mut row = |what: &str, value: String, place| {
        // All rows lead to the guest's one file: the first is enough where there are many guests.
        let file = if in_full || table.rows.is_empty() {
            &file
        } else {
            ""
        };
        table.row([what.to_owned(), value], file, lines.link(Some(place)));
    };
    row("System", words.system, guest.name.span);
    row("Processors", words.processors, guest.name.span);
    row("Memory", words.memory, guest.memory.span);
    let start = guest.autostart.as_ref().map(|start| start.span);
    row("Starts", words.starts, start.unwrap_or(guest.name.span));
    for card in &guest.network {
        let bridge = &host.network.bridges[card.bridge.value].name.value;
        let mut parts = vec![bridge.clone()];
        parts.extend(card.vlan.map(|tag| format!("VLAN {}", tag.value)));
        parts.extend(
            [card.address, card.address6]
                .into_iter()
                .flatten()
                .map(|address| address.value.to_string()),
        );
        parts.push(card.mac.value.to_string());
        if *card.firewall {
            parts.push("filtered".to_owned());
        }
        let what = format!("Card net{}", card.slot);
        row(&what, parts.join(", "), card.bridge.span);
    }
    for volume in facts.volumes.of_guest(id) {
        let size = volume.size.map_or_else(String::new, |size| {
            format!(", {}", ByteSize::bytes(size.bytes()).human())
        });
        let place = crate::facts::space::place_of(guest, volume.role).unwrap_or(guest.name.span);
        row(
            &format!("Disk {}", volume.key),
            format!("{}{size}", volume.id(host)),
            place,
        );
    }
    row("Backed up by", words.backups, guest.backup.span);
    devices(host, guest, &mut row);
    table
}

/// Devices and folders of the host that a guest has.
fn devices(host: &Host, guest: &Guest, row: &mut impl FnMut(&str, String, crate::source::Span)) {
    match &guest.kind {
        GuestKind::Vm(vm) => {
            for device in vm.passthrough.iter().flat_map(Passthrough::rows) {
                let known = &host.hardware.pci[device.value];
                let text = format!("{} ({})", known.name.value, known.path());
                row("Device", text, device.span);
            }
            for usb in &vm.usb {
                if let UsbSource::Known(known) = &usb.device {
                    let name = host.hardware.usb[known.value].name.value.clone();
                    row("USB device", name, usb.span);
                }
            }
            for share in &vm.shares {
                let how = if shares::is_native(*host.release, share) {
                    "virtio-fs"
                } else {
                    "virtio-fs by a hook"
                };
                let text = format!(
                    "{} at {}, {how}",
                    shares::tag(host, share),
                    share.mount.value
                );
                row("Folder", text, share.span);
            }
        }
        GuestKind::Container(container) => {
            for mount in &container.mounts {
                let from = match &mount.source {
                    MountSource::Volume(_) => continue,
                    MountSource::Share(id) => host.storage.datasets[id.value].name.value.clone(),
                    MountSource::HostPath(path) => path.value.to_string(),
                };
                let text = format!("{from} at {}", mount.path.value);
                row("Folder", text, mount.name.span);
            }
        }
    }
}

impl Planned {
    /// With what only the files tell; in `full` with the runbook and what a change costs.
    pub(super) fn finish(self, files: &FileSet, lines: &Lines, full: bool) -> GuestPage {
        let runbook = files
            .get(&format!("restore/{}.md", self.name))
            .filter(|_| full)
            .map(|file| markup(&String::from_utf8_lossy(&file.contents)))
            .unwrap_or_default();
        let recovery = [
            format!("restore/{}.md", self.name),
            format!("restore/{}.sh", self.name),
            format!("rollback/{}.sh", self.name),
        ];
        let costs = if full {
            self.costs(files, lines)
        } else {
            Table::default()
        };
        let mut facts = self.facts;
        facts.keep_links_to(files);
        GuestPage {
            id: self.id,
            name: self.name,
            what: self.what,
            has_about: !self.about.is_empty(),
            about: self.about,
            facts,
            costs,
            has_costs: full,
            has_runbook: !runbook.is_empty(),
            runbook,
            recovery: recovery
                .iter()
                .filter(|path| files.get(path).is_some())
                .map(|path| FileLink::to(path))
                .collect(),
        }
    }

    /// What a change of each option costs while the guest runs.
    fn costs(&self, files: &FileSet, lines: &Lines) -> Table {
        let columns = ["$Option", "$Value", "A change takes effect", "Interrupts"];
        let caption = format!("What a change costs while {} runs", self.name);
        let mut table = Table::new(&caption, &columns);
        let Some(file) = files.get(&self.file) else {
            return table.or("The guest's file is not in the tree.");
        };
        let (config, _) = GuestConfig::parse(self.kind, &String::from_utf8_lossy(&file.contents));
        for cost in costs::of_guest(&config, self.release) {
            let line = lines.link(file.places.nearest(&cost.option));
            let said = |what: &dyn Fn(&crate::plan::Class) -> &'static str| {
                let words: Vec<String> = cost
                    .classes
                    .iter()
                    .map(|(class, parts)| {
                        let parts: Vec<&str> = parts
                            .iter()
                            .map(String::as_str)
                            .filter(|part| !part.is_empty())
                            .collect();
                        if parts.is_empty() {
                            what(class).to_owned()
                        } else {
                            format!("{}: {}", parts.join(", "), what(class))
                        }
                    })
                    .collect();
                words.join("; ")
            };
            let interrupts = |class: &crate::plan::Class| match class.data {
                Data::Destroyed => "its data are gone",
                Data::Detached => "its data stay, unused",
                Data::Kept => match class.interrupts {
                    Interrupts::Nothing => "nothing",
                    Interrupts::Device => "the device",
                    Interrupts::Guest => "the guest",
                    Interrupts::Network => "the network",
                    Interrupts::Host => "the host",
                },
            };
            let cells = [
                cost.option.clone(),
                cost.value.clone(),
                said(&|class| render::words(*class)),
                said(&interrupts),
            ];
            table.row(cells, "", line);
        }
        table
    }
}

/// A runbook as HTML. Its own heading goes, as the page has one; tags in it are text.
fn markup(text: &str) -> String {
    let mut events = Vec::new();
    let mut in_title = false;
    for event in Parser::new(text) {
        match event {
            Event::Start(Tag::Heading {
                level: HeadingLevel::H1,
                ..
            }) => in_title = true,
            Event::End(TagEnd::Heading(HeadingLevel::H1)) => in_title = false,
            _ if in_title => {}
            Event::Start(Tag::Heading { .. }) => {
                events.push(Event::Html("<h4>".into()));
            }
            Event::End(TagEnd::Heading(_)) => events.push(Event::Html("</h4>\n".into())),
            // The line that marks a generated file, and whatever a user's own template brings. A link of a runbook begins
            // in its own folder, and an image would be a request.
            Event::Html(_)
            | Event::InlineHtml(_)
            | Event::Start(Tag::Link { .. } | Tag::Image { .. })
            | Event::End(TagEnd::Link | TagEnd::Image) => {}
            other => events.push(other),
        }
    }
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events.into_iter());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runbook_is_text_and_nothing_that_acts() {
        let text = "<!-- mark -->\n\n# Restore of x\n\n## Steps\n\n1. `a <b>` and **c**\n\n<script>x</script>\n\n[d](javascript:e) ![f](g)\n";
        let html = markup(text);
        assert_eq!(
            html.split_whitespace().collect::<Vec<_>>().join(" "),
            "<h4>Steps</h4> <ol> <li><code>a &lt;b&gt;</code> and <strong>c</strong></li> </ol> <p>d f</p>"
        );
    }
}
