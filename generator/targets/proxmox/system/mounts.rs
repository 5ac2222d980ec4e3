//! Mount units for folders elsewhere that a store lies in (`kind = "dir"` with `device`).
//!
//! A mount unit is started by its device: systemd starts what a device wants as soon as it is there, and stops it when it
//! is gone (systemd.device(5), `SYSTEMD_WANTS`). So a disk that is not plugged in is no failure, and nothing waits for it.
//! An automount would: Proxmox VE looks at every storage every few seconds, and each look would hang for as long as
//! systemd waits for the device. A disk that is not removable is wanted by `local-fs.target` too, so that its absence
//! shows as a failed unit; the host starts all the same, since nothing requires it.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts;
use crate::model::Host;
use crate::output::Mode;
use crate::source::Span;

use super::Tree;
use crate::systemd::unit::{self, Unit};

/// A folder that something is mounted at.
#[derive(Debug)]
pub(super) struct Mount {
    store: String,
    what: String,
    place: String,
    file_system: Option<String>,
    removable: bool,
    options: &'static [&'static str],
    span: Span,
}

/// Plans the mounts.
pub(super) fn plan(host: &Host, sink: &mut Sink) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for mount in facts::mounts::of(host) {
        let (path, device) = (mount.path, mount.device);
        // At the end of a line, it joins the next one to it (systemd.syntax(7)).
        if let Some((span, text)) = [(path.span, path.as_str()), (device.span, device.as_str())]
            .into_iter()
            .find(|(_, text)| unit::ends_badly(text))
        {
            sink.push(
                Diagnostic::new(
                    Code::MOX0825,
                    span,
                    format!("a mount unit cannot hold `{text}`"),
                )
                .note("a backslash at the end of a line joins the next one to it"),
            );
            continue;
        }
        mounts.push(Mount {
            store: mount.store.name.value.clone(),
            what: device.as_str().to_owned(),
            place: path.as_str().to_owned(),
            file_system: mount.file_system.map(|fs| fs.as_str().to_owned()),
            removable: *mount.store.removable,
            options: mount.options(),
            span: path.span,
        });
    }
    mounts
}

impl Mount {
    /// Writes the unit down.
    pub(super) fn emit(&self, tree: &mut Tree<'_>) {
        let mut file = Unit::new(&tree.header());
        file.section("Unit")
            .value("Description", &format!("Storage {}", self.store));
        file.section("Mount")
            .value("What", &self.what)
            .value("Where", &self.place);
        if let Some(fs) = &self.file_system {
            file.set("Type", fs);
        }
        if !self.options.is_empty() {
            file.set("Options", self.options.join(","));
        }
        file.section("Install");
        if !self.removable {
            file.set("WantedBy", "local-fs.target");
        }
        let device = unit::name_of_path(&self.what);
        file.set("WantedBy", format_args!("{device}.device"));
        let path = format!(
            "etc/systemd/system/{}.mount",
            unit::name_of_path(&self.place)
        );
        tree.add(&path, file.text(), Mode::Regular, self.span);
    }
}
