//! `[boot]`: what the kernel is told.

use std::collections::BTreeSet;

use super::doc::{Doc, Part, Table, Toml};
use super::write::Writing;
use crate::live::{FileText, Snapshot};
use crate::value::{KernelParameter, ModuleName, SpecString};

/// Files of modprobe.d that Debian and Proxmox VE bring.
const SYSTEMS_OWN: &[&str] = &[
    "amd64-microcode-blacklist.conf",
    "dkms.conf",
    "fb-blacklist.conf",
    "intel-microcode-blacklist.conf",
    "iwlwifi.conf",
    "mdadm.conf",
    "nvme.conf",
    "pve-blacklist.conf",
];

/// A line of modprobe.d.
enum Directive<'a> {
    Options(&'a str, Vec<(&'a str, &'a str)>),
    Blacklist(&'a str),
    Other,
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn directive(line: &str) -> Directive<'_> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["options", module, ref rest @ ..] if !rest.is_empty() => {
            let options: Option<Vec<(&str, &str)>> =
                rest.iter().map(|word| word.split_once('=')).collect();
            options.map_or(Directive::Other, |options| {
                Directive::Options(module, options)
            })
        }
        ["blacklist", module] => Directive::Blacklist(module),
        _ => Directive::Other,
    }
}

/// The files of modprobe.d that are the host's own.
pub(super) fn modprobe_files(live: &Snapshot) -> impl Iterator<Item = (&str, &FileText)> {
    live.boot
        .modprobe
        .iter()
        .filter(|(name, _)| !SYSTEMS_OWN.contains(&name.as_str()) && name.ends_with(".conf"))
        .map(|(name, file)| (name.as_str(), file))
}

/// Whether the language has words for a whole file of modprobe.d.
pub(super) fn has_words(text: &str) -> bool {
    let plain = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '#'))
    };
    lines(text).all(|line| match directive(line) {
        Directive::Options(module, options) => {
            ModuleName::parse(module).is_ok() && options.iter().all(|(_, value)| plain(value))
        }
        Directive::Blacklist(module) => ModuleName::parse(module).is_ok(),
        Directive::Other => false,
    })
}

/// The bounds of the ZFS cache: the key, and bytes.
pub(super) fn arc(live: &Snapshot) -> Vec<(&'static str, u64)> {
    let mut found = Vec::new();
    for (key, option) in [("arc-max", "zfs_arc_max"), ("arc-min", "zfs_arc_min")] {
        let mut values = modprobe_files(live)
            .filter(|(_, file)| has_words(&file.text))
            .flat_map(|(_, file)| lines(&file.text))
            .filter_map(|line| match directive(line) {
                Directive::Options("zfs", options) => options
                    .iter()
                    .find(|(name, _)| *name == option)
                    .and_then(|(_, value)| value.parse::<u64>().ok()),
                Directive::Options(..) | Directive::Blacklist(_) | Directive::Other => None,
            })
            .filter(|bytes| *bytes > 0);
        if let (Some(bytes), None) = (values.next(), values.next()) {
            found.push((key, bytes));
        }
    }
    found
}

/// Writes what the kernel is told.
pub(super) fn write(writing: &mut Writing<'_>, doc: &mut Doc) {
    let live = writing.live;
    let mut table = Table::new(["boot"], Part::Boot);
    let parameters = parameters(live);
    if !parameters.is_empty() {
        table.set("kernel-params", Toml::texts(parameters));
    }
    let mut modules = BTreeSet::new();
    let files = live
        .boot
        .modules
        .present()
        .into_iter()
        .chain(live.boot.modules_more.values());
    for name in files.flat_map(|file| lines(&file.text)) {
        let name = name.split_whitespace().next().unwrap_or_default();
        if ModuleName::parse(name).is_ok() {
            modules.insert(name.to_owned());
        }
    }
    if !modules.is_empty() {
        table.set("modules", Toml::texts(modules));
    }
    let said = |(path, file): &(&str, &FileText)| {
        has_words(&file.text)
            && !writing
                .decided
                .kept
                .contains_key(&Part::File(format!("etc/modprobe.d/{path}")))
    };
    let files: Vec<&FileText> = modprobe_files(live)
        .filter(said)
        .map(|(_, file)| file)
        .collect();
    let mut blacklist = BTreeSet::new();
    let mut options: Vec<(&str, Vec<(String, Toml)>)> = Vec::new();
    let bounds: BTreeSet<&str> = arc(live).iter().map(|(key, _)| *key).collect();
    for line in files.iter().flat_map(|file| lines(&file.text)) {
        match directive(line) {
            Directive::Blacklist(module) => {
                blacklist.insert(module.to_owned());
            }
            Directive::Options(module, of_module) => {
                for (name, value) in of_module {
                    let is_bound = module == "zfs"
                        && (name == "zfs_arc_max" && bounds.contains("arc-max")
                            || name == "zfs_arc_min" && bounds.contains("arc-min"));
                    if is_bound {
                        continue;
                    }
                    let at = options.iter().position(|(known, _)| *known == module);
                    let at = at.unwrap_or_else(|| {
                        options.push((module, Vec::new()));
                        options.len() - 1
                    });
                    let of_module = &mut options[at].1;
                    // Of two values the last counts.
                    of_module.retain(|(known, _)| known != name);
                    of_module.push((name.to_owned(), Toml::number(value)));
                }
            }
            Directive::Other => {}
        }
    }
    if !blacklist.is_empty() {
        table.set("blacklist", Toml::texts(blacklist));
    }
    doc.push(table);
    options.retain(|(_, options)| !options.is_empty());
    if !options.is_empty() {
        let mut table = Table::new(["boot", "module-options"], Part::Boot);
        for (module, options) in options {
            table.set(module, Toml::Table(options));
        }
        doc.push(table);
    }
}

/// The parameters of the kernel's command line that somebody chose.
pub(super) fn parameters(live: &Snapshot) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    if let Some(file) = live.boot.cmdline.present() {
        words.extend(file.text.split_whitespace().map(str::to_owned));
    } else {
        let grub = live
            .boot
            .grub
            .present()
            .into_iter()
            .chain(live.boot.grub_more.values());
        for line in grub.flat_map(|file| lines(&file.text)) {
            let line = line.strip_prefix("export ").unwrap_or(line);
            let Some((name, value)) = line.split_once('=') else {
                continue;
            };
            if matches!(name, "GRUB_CMDLINE_LINUX" | "GRUB_CMDLINE_LINUX_DEFAULT") {
                let value = value.trim().trim_matches(['"', '\'']);
                words.extend(value.split_whitespace().map(str::to_owned));
            }
        }
    }
    let mut seen = BTreeSet::new();
    words.retain(|word| {
        let key = word.split('=').next().unwrap_or_default();
        !matches!(key, "root" | "boot" | "initrd" | "BOOT_IMAGE")
            && KernelParameter::parse(word).is_ok()
            && seen.insert(word.clone())
    });
    words
}
