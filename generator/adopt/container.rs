//! `[containers]`.

use super::doc::Toml;
use super::guest::{
    DeviceRow, Guest, card, disk_size, identity, is_odd_card, mebibytes, start, volume, weights,
};
use super::write::{NoteKind, Writing, kebab, sub_value};
use crate::live::secrets::is_blanked;
use crate::spec::schema_keys::{ContainerOptions, SchemaTable};

/// Options that are keys of moxc's own, and no keys of the schema.
pub(super) const SAID: &[(&str, &str)] = ContainerOptions::SAID;

/// Writes the tables of a container.
pub(super) fn write(writing: &mut Writing<'_>, guest: &mut Guest<'_>) {
    os(guest);
    identity(writing, guest, "hostname");
    let mut cpu = Vec::new();
    if let Some(cores) = guest.take("cores") {
        cpu.push(("cores".to_owned(), Toml::number(&cores)));
    }
    weights(guest, &mut cpu);
    if !cpu.is_empty() {
        guest.table.set("cpu", Toml::Table(cpu));
    }
    // What a file leaves out is no swap: the 512 MiB that Proxmox VE documents are what its GUI offers.
    for (key, default) in [("memory", "512"), ("swap", "0")] {
        let value = guest.take(key);
        let value = value.as_deref().unwrap_or(default);
        let is_left_out = writing.minimal && key == "swap" && value == "512";
        if !guest.raw.contains_key(key) && !is_left_out {
            guest.table.set(key, mebibytes(value));
        }
    }
    start(writing, guest);
    let unprivileged = guest.take("unprivileged");
    if !guest.raw.contains_key("unprivileged") {
        let on = unprivileged.as_deref() == Some("1");
        if !on || !writing.minimal {
            guest.table.set("unprivileged", on);
        }
    }
    features(guest);
    if guest
        .options
        .get("arch")
        .is_some_and(|arch| arch == "amd64")
    {
        guest.take("arch");
    }
    for (option, key) in [
        ("nameserver", "nameserver"),
        ("searchdomain", "searchdomain"),
        ("timezone", "timezone"),
        ("cmode", "console-mode"),
    ] {
        if let Some(value) = guest.take(option) {
            let words: Vec<&str> = value
                .split([' ', ','])
                .filter(|word| !word.is_empty())
                .collect();
            let value = match &words[..] {
                [_, _, ..] if option != "timezone" && option != "cmode" => Toml::texts(words),
                _ => value.as_str().into(),
            };
            guest.table.set_as(key, value, option);
        }
    }
    devices(guest);
    raw_lines(writing, guest);
    rootfs(writing, guest);
    mounts(writing, guest);
    cards(guest);
}

fn os(guest: &mut Guest<'_>) {
    let ostype = guest.take("ostype");
    let (os, more) = match ostype.as_deref() {
        Some(os @ ("debian" | "ubuntu" | "alpine" | "archlinux" | "fedora")) => {
            (os.to_owned(), None)
        }
        None | Some("unmanaged") => ("other".to_owned(), None),
        Some(another) => ("other".to_owned(), Some(another.to_owned())),
    };
    guest.table.set_as("os", os, "ostype");
    if let Some(more) = more {
        guest.table.set("ostype", more);
    }
}

fn features(guest: &mut Guest<'_>) {
    let Some(features) = guest.take("features") else {
        return;
    };
    let words: Vec<String> = guest
        .parts("features", &features)
        .into_iter()
        .map(|(key, value)| match value.as_str() {
            "1" => key,
            _ => format!("{key}={value}"),
        })
        .collect();
    guest.table.set("features", Toml::texts(words));
}

fn devices(guest: &mut Guest<'_>) {
    let mut found = Vec::new();
    for (slot, option) in guest.numbered("dev") {
        let mut parts = guest.parts(&option, &guest.options[&option].clone());
        let Some(path) = parts.remove("path") else {
            guest.take_raw(&option);
            continue;
        };
        let mut table = Vec::new();
        for key in ["uid", "gid"] {
            if let Some(value) = parts.remove(key) {
                table.push((key.to_owned(), Toml::number(&value)));
            }
        }
        if let Some(mode) = parts.remove("mode") {
            table.push(("mode".to_owned(), mode.into()));
        }
        if let Some(deny) = parts.remove("deny-write") {
            table.push(("read-only".to_owned(), (deny == "1").into()));
        }
        if !parts.is_empty() {
            guest.take_raw(&option);
            continue;
        }
        guest.take(&option);
        found.push(DeviceRow {
            slot,
            option,
            device: path,
            more: table,
        });
    }
    guest.set_devices("dev", "devices", "path", found);
}

fn raw_lines(writing: &mut Writing<'_>, guest: &mut Guest<'_>) {
    let raw = || guest.live.config.raw();
    for (key, _) in raw().filter(|(_, value)| is_blanked(value)) {
        writing.note(
            NoteKind::Unread,
            format!("`{key}` of guest {}", guest.live.vmid),
            "a secret, which is not read; the lines of the guest stay as they are",
        );
    }
    let lines: Vec<String> = raw()
        .filter(|(_, value)| !is_blanked(value))
        .map(|(key, value)| format!("{key}: {value}").trim_end().to_owned())
        .collect();
    if !lines.is_empty() {
        guest.table.set("lxc", Toml::texts(lines));
    }
}

fn rootfs(writing: &Writing<'_>, guest: &mut Guest<'_>) {
    let Some(value) = guest.options.get("rootfs").cloned() else {
        return;
    };
    let file = guest.live.kind.config_file();
    let mut parts = guest.parts("rootfs", &value);
    let place = parts.remove("volume").unwrap_or_default();
    let Some((key, store, volume)) = volume(writing, &place) else {
        return guest.take_raw("rootfs");
    };
    guest.take("rootfs");
    let mut table = vec![
        (key.to_owned(), store.into()),
        ("volume".to_owned(), volume.into()),
    ];
    if let Some(size) = parts.remove("size") {
        table.push(("size".to_owned(), disk_size(&size)));
    }
    for (key, value) in &parts {
        table.push((kebab(key), sub_value(file, "rootfs", key, value)));
    }
    guest.table.set("rootfs", Toml::Table(table));
}

/// A mount point: its slot, its option, its row in the spec.
type MountRow = (u32, String, Vec<(String, Toml)>);

fn mounts(writing: &Writing<'_>, guest: &mut Guest<'_>) {
    let file = guest.live.kind.config_file();
    let mut table = guest.table_below("mounts");
    let mut found: Vec<MountRow> = Vec::new();
    for (slot, option) in guest.numbered("mp") {
        let mut parts = guest.parts(&option, &guest.options[&option].clone());
        let place = parts.remove("volume").unwrap_or_default();
        let Some(path) = parts.remove("mp") else {
            guest.take_raw(&option);
            continue;
        };
        let mut entry: Vec<(String, Toml)> = Vec::new();
        let mut put = |key: &str, value: Toml| entry.push((key.to_owned(), value));
        let is_volume = if place.starts_with('/') {
            put("host-path", place.as_str().into());
            false
        } else if let Some((key, store, volume)) = volume(writing, &place) {
            put(key, store.into());
            put("volume", volume.into());
            true
        } else {
            guest.take_raw(&option);
            continue;
        };
        guest.take(&option);
        put("path", path.into());
        if let Some(size) = parts.remove("size").filter(|_| is_volume) {
            put("size", disk_size(&size));
        }
        let backup = parts.remove("backup").as_deref() == Some("1");
        if is_volume && (!backup || !writing.minimal) {
            put("backup", backup.into());
        }
        if parts.remove("ro").as_deref() == Some("1") {
            put("read-only", true.into());
        }
        for (key, value) in &parts {
            put(&kebab(key), sub_value(file, &option, key, value));
        }
        found.push((slot, option, entry));
    }
    let follow = guest.follow("mp", found.iter().map(|(slot, ..)| *slot));
    for (slot, option, mut entry) in found {
        if !follow {
            entry.push(("slot".to_owned(), slot.into()));
        }
        table.set_as(&option, Toml::Table(entry), &option);
    }
    guest.below.push(table);
}

fn cards(guest: &mut Guest<'_>) {
    let mut found = Vec::new();
    for (slot, option) in guest.numbered("net") {
        let value = guest.options[&option].clone();
        let mut parts = guest.parts(&option, &value);
        let Some(bridge) = parts.remove("bridge") else {
            guest.take_raw(&option);
            continue;
        };
        let manual = ["ip", "ip6"]
            .iter()
            .any(|key| parts.get(*key).is_some_and(|ip| ip == "manual"));
        if manual || is_odd_card(&parts) {
            // Left to the container: the language has no word for it.
            guest.take_raw(&option);
            continue;
        }
        guest.take(&option);
        let mut table = guest.item_below("network", &option);
        let says = |part: &str| format!("{option}.{part}");
        table.set_as("bridge", bridge, &says("bridge"));
        if let Some(name) = parts.remove("name")
            && name != format!("eth{slot}")
        {
            table.set_as("name", name, &says("name"));
        }
        for (part, key) in [
            ("ip", "address"),
            ("gw", "gateway"),
            ("ip6", "address6"),
            ("gw6", "gateway6"),
            ("hwaddr", "mac"),
        ] {
            if let Some(value) = parts.remove(part) {
                table.set_as(key, value, &says(part));
            }
        }
        parts.remove("type");
        card(guest, &option, &mut parts, &mut table);
        found.push((slot, table));
    }
    guest.push_numbered("net", found);
}
