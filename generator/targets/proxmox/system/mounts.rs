//! Mount units for folders elsewhere that a store lies in (`kind = "dir"` with `device`).
//!
//! A mount unit is started by its device: systemd starts what a device wants as soon as it is there, and stops it when it
//! is gone (systemd.device(5), `SYSTEMD_WANTS`). So a disk that is not plugged in is no failure, and nothing waits for it.
//! An automount would: Proxmox VE looks at every storage every few seconds, and each look would hang for as long as
//! systemd waits for the device. A disk that is not removable is wanted by `local-fs.target` too, so that its absence
//! shows as a failed unit; the host starts all the same, since nothing requires it.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{ExternalPlace, Host};
use crate::output::Mode;
use crate::source::Span;

use super::{Tree, push};

/// A folder that something is mounted at.
#[derive(Debug)]
pub(super) struct Mount {
    store: String,
    what: String,
    place: String,
    file_system: Option<String>,
    removable: bool,
    span: Span,
}

/// Plans the mounts.
pub(super) fn plan(host: &Host, sink: &mut Sink) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for store in host.storage.external.values() {
        let ExternalPlace::Dir {
            path,
            device: Some(device),
            fs,
        } = &store.place
        else {
            continue;
        };
        // At the end of a line, it joins the next one to it (systemd.syntax(7)).
        if let Some((span, text)) = [(path.span, path.as_str()), (device.span, device.as_str())]
            .into_iter()
            .find(|(_, text)| text.ends_with('\\'))
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
            store: store.name.value.clone(),
            what: device.as_str().to_owned(),
            place: path.as_str().to_owned(),
            file_system: fs.as_ref().map(|fs| fs.as_str().to_owned()),
            removable: *store.removable,
            span: path.span,
        });
    }
    mounts
}

/// The name of the unit of a path, without its suffix: systemd-escape(1) with `--path`.
pub(super) fn unit_name(path: &str) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return "-".to_owned();
    }
    let mut name = String::new();
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at == 0 => name.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => name.push(byte.into()),
            other => push(&mut name, format_args!("\\x{other:02x}")),
        }
    }
    name
}

/// A value of a unit file: `%` opens a specifier (systemd.unit(5)).
fn unit_value(text: &str) -> String {
    text.replace('%', "%%")
}

impl Mount {
    /// Writes the unit down.
    pub(super) fn emit(&self, tree: &mut Tree<'_>) {
        let mut text = format!(
            "# {}\n[Unit]\nDescription=Storage {}\n\n[Mount]\nWhat={}\nWhere={}\n",
            tree.header(),
            unit_value(&self.store),
            unit_value(&self.what),
            unit_value(&self.place)
        );
        if let Some(fs) = &self.file_system {
            push(&mut text, format_args!("Type={fs}\n"));
        }
        // What comes from outside brings no device nodes and no set-user-id programs.
        if self.removable {
            text.push_str("Options=nodev,nosuid,noatime\n");
        }
        text.push_str("\n[Install]\n");
        if !self.removable {
            text.push_str("WantedBy=local-fs.target\n");
        }
        push(
            &mut text,
            format_args!("WantedBy={}.device\n", unit_name(&self.what)),
        );
        let path = format!("etc/systemd/system/{}.mount", unit_name(&self.place));
        tree.add(&path, &text, Mode::Regular, self.span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_names_are_those_of_systemd_escape() {
        for (path, name) in [
            ("/mnt/usb-backup", "mnt-usb\\x2dbackup"),
            ("/", "-"),
            ("/.a/.b", "\\x2ea-.b"),
            ("/mnt/a b%", "mnt-a\\x20b\\x25"),
            ("/ä", "\\xc3\\xa4"),
            ("/dev/disk/by-label/x:y_z", "dev-disk-by\\x2dlabel-x:y_z"),
        ] {
            assert_eq!(unit_name(path), name);
        }
    }
}
