//! Where `/` is in a copy: copies of `/etc` and of `/etc/pve` alone are common, and so is a folder around it all.

use std::collections::BTreeSet;

/// How a copy's paths become a host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// What stands in front of every path of the copy that counts.
    prefix: String,
    /// What is put in its place.
    base: &'static str,
}

/// The names near a copy's top: what its layout is known by.
#[derive(Debug, Default)]
pub(super) struct Tops {
    names: BTreeSet<String>,
}

/// How many names are kept: a copy's top is known long before.
const MOST_NAMES: usize = 20_000;

impl Tops {
    /// Notes a path of the copy.
    pub(super) fn note(&mut self, path: &str) {
        let mut end = 0;
        for part in path.split('/').take(4) {
            end += part.len();
            if self.names.len() >= MOST_NAMES {
                return;
            }
            if !self.names.contains(&path[..end]) {
                self.names.insert(path[..end].to_owned());
            }
            end += 1;
        }
    }

    fn has(&self, path: &str) -> bool {
        self.names.contains(path)
    }

    /// The layout, unless nothing here is a host's.
    pub(super) fn layout(&self) -> Option<Layout> {
        let folders = self
            .names
            .iter()
            .filter(|name| !name.contains('/'))
            .map(|name| format!("{name}/"));
        let prefixes: Vec<String> = std::iter::once(String::new()).chain(folders).collect();
        // A folder around the copy is looked into only where the top itself is none.
        let of = |bases: fn(&Self, &str) -> Option<&'static str>| {
            prefixes.iter().find_map(|prefix| {
                bases(self, prefix).map(|base| Layout {
                    prefix: prefix.clone(),
                    base,
                })
            })
        };
        let top = Self::base_at(self, "").map(|base| Layout {
            prefix: String::new(),
            base,
        });
        top.or_else(|| of(|tops, prefix| tops.has(&format!("{prefix}etc/pve")).then_some("")))
            .or_else(|| of(Self::base_at))
    }

    fn base_at(&self, prefix: &str) -> Option<&'static str> {
        let has = |names: &[&str]| {
            names
                .iter()
                .any(|name| self.has(&format!("{prefix}{name}")))
        };
        if has(&["etc/pve", "etc/hostname", "etc/network", ".moxc"]) {
            Some("")
        } else if has(&[
            "pve/storage.cfg",
            "pve/nodes",
            "pve/datacenter.cfg",
            "network/interfaces",
        ]) {
            Some("etc/")
        } else if has(&["storage.cfg", "datacenter.cfg", "jobs.cfg"])
            && has(&["nodes", "qemu-server", "lxc", "user.cfg", "local"])
        {
            Some("etc/pve/")
        } else {
            None
        }
    }
}

impl Layout {
    /// Whether the folder `path` of the copy is, holds, or lies in what counts.
    pub(super) fn leads_to(&self, path: &str) -> bool {
        self.prefix.starts_with(&format!("{path}/")) || path.starts_with(self.prefix.as_str())
    }

    /// The path on the host of a path in the copy.
    pub(super) fn on_host(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(self.prefix.as_str())?;
        // Some keep the files of `etc/network` beside `pve`.
        if self.base == "etc/" && rest == "interfaces" {
            return Some("etc/network/interfaces".to_owned());
        }
        Some(format!("{}{rest}", self.base))
    }
}

/// The parts of a path, as one clean path; none for one that leaves the copy.
pub(super) fn clean(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part => parts.push(part),
        }
    }
    (!path.contains('\0')).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_path(all: &[&str], path: &str) -> Option<String> {
        let mut tops = Tops::default();
        for path in all {
            tops.note(path);
        }
        tops.layout()?.on_host(path)
    }

    #[test]
    fn finds_the_root_of_a_copy() {
        let storage = "etc/pve/storage.cfg";
        for (all, path) in [
            (&["etc/pve/storage.cfg"][..], "etc/pve/storage.cfg"),
            (
                &["host/etc/pve/storage.cfg", "host/README"],
                "host/etc/pve/storage.cfg",
            ),
            (&["pve/storage.cfg", "hosts"], "pve/storage.cfg"),
            (
                &["nodes/a/qemu-server/1.conf", "storage.cfg"],
                "storage.cfg",
            ),
            (
                &["config/etc/hosts", "proxmox/etc/pve/storage.cfg"],
                "proxmox/etc/pve/storage.cfg",
            ),
        ] {
            assert_eq!(host_path(all, path).as_deref(), Some(storage), "{all:?}");
        }
        assert_eq!(host_path(&["README.md", "src/main.rs"], "README.md"), None);
        assert_eq!(
            host_path(&["pve/storage.cfg", "interfaces"], "interfaces").as_deref(),
            Some("etc/network/interfaces")
        );
    }

    #[test]
    fn cleans_paths_and_keeps_them_inside() {
        assert_eq!(clean("./etc//pve/").as_deref(), Some("etc/pve"));
        assert_eq!(clean("/etc/x").as_deref(), Some("etc/x"));
        assert_eq!(clean("etc/../x"), None);
        assert_eq!(clean("../x"), None);
    }
}
