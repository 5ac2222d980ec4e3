//! Values as Proxmox VE understands them: spelling, order and defaults aside.

use std::collections::{BTreeMap, BTreeSet};

use crate::pve::guest_config::parse_boolean;
use crate::pve::schema::{ConfigFile, OptionSchema};
use crate::pve::{DiskSize, PropertyString, decode_text};
use crate::value::{CpuSet, PciPlace, SpecString as _};

/// The parts of a value, by their schema names; one part without a name where the option has no sub-options.
pub(crate) type Parts = BTreeMap<String, String>;

/// The name of the only part of an option without sub-options.
pub(super) const WHOLE: &str = "";

/// Takes a value apart.
pub(crate) fn parts(file: ConfigFile<'_>, key: &str, value: &str) -> Parts {
    let is_pci = |name: &str| name == "host" && key.starts_with("hostpci");
    apart(file, key, value, |schema, name, value| {
        if is_pci(name) {
            pci_path(value)
        } else {
            canonical(schema, name, value)
        }
    })
}

/// Takes a value apart, each part as it is spelled.
pub(super) fn spelled(file: ConfigFile<'_>, key: &str, value: &str) -> Parts {
    apart(file, key, value, |_, _, value| value.to_owned())
}

fn apart(
    file: ConfigFile<'_>,
    key: &str,
    value: &str,
    print: impl Fn(Option<&OptionSchema>, &str, &str) -> String,
) -> Parts {
    let schema = file.option(key);
    if schema.and_then(OptionSchema::format) == Some("pve-startup-order") {
        return startup(value);
    }
    // A machine's `memory` has one sub-option, and everybody calls it by the option's name.
    let keys = schema
        .and_then(OptionSchema::sub_options)
        .filter(|_| key != "memory");
    let parsed = keys.and_then(|keys| Some((keys, PropertyString::parse(value).ok()?)));
    let Some((keys, parsed)) = parsed else {
        let value = value
            .strip_prefix("current=")
            .filter(|_| key == "memory")
            .unwrap_or(value);
        return BTreeMap::from([(WHOLE.to_owned(), print(schema, key, value))]);
    };
    let mut parts = Parts::new();
    let mut put = |name: &str, value: &str| {
        parts.insert(name.to_owned(), print(keys.get(name), name, value));
    };
    if let (Some(name), Some(value)) = (keys.default_key(), parsed.default_value()) {
        put(name, value);
    }
    for (name, value) in parsed.iter() {
        match keys.get(name).and_then(OptionSchema::alias_of_two) {
            // `virtio=BC:…` says model and address.
            Some((first, second)) => {
                put(first, name);
                put(second, value);
            }
            None => put(keys.resolve(name), value),
        }
    }
    parts
}

/// `01:00.0` with its domain, as Proxmox VE itself reads it (`PVE::SysFSTools::normalize_pci_id`).
fn pci_path(value: &str) -> String {
    match PciPlace::parse(value) {
        Ok(place) => place.path(),
        Err(_) => value.to_owned(),
    }
}

/// `order=1,up=30`, and `1` for the order alone.
fn startup(value: &str) -> Parts {
    value
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| match part.split_once('=') {
            Some((key, value)) => (key.trim().to_owned(), value.trim().to_owned()),
            None => ("order".to_owned(), part.to_owned()),
        })
        .collect()
}

/// One value in one spelling.
fn canonical(schema: Option<&OptionSchema>, key: &str, value: &str) -> String {
    let value = value.trim();
    if let Some(schema) = schema {
        if schema.is_boolean()
            && let Some(on) = parse_boolean(value)
        {
            return u8::from(on).to_string();
        }
        match schema.format() {
            Some("disk-size") => {
                if let Ok(size) = value.parse::<DiskSize>() {
                    return size.to_string();
                }
            }
            Some("mac-addr") => return value.to_ascii_uppercase(),
            Some("pve-tag-list") => return tags(value),
            Some(format) if format.ends_with("-list") && format != "pve-qm-bootdev-list" => {
                let words: Vec<&str> = value
                    .split([',', ';', ' ', '\t'])
                    .filter(|word| !word.is_empty())
                    .collect();
                return words.join(" ");
            }
            _ => {}
        }
        if schema.is_number()
            && let Ok(number) = value.parse::<f64>()
        {
            return number.to_string();
        }
    }
    match key {
        // Lines, percent-encoded: of the last one the line break may be there or not.
        "sshkeys" => decode_text(value).trim().to_owned(),
        "affinity" => match CpuSet::parse(value) {
            Ok(threads) => threads.to_string(),
            Err(_) => value.to_owned(),
        },
        "flags" | "mountoptions" | "trunks" | "mount" => sorted(value, ';').join(";"),
        _ => value.to_owned(),
    }
}

fn tags(value: &str) -> String {
    let words = value.split([',', ';', ' ']).map(str::trim);
    let words: BTreeSet<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.into_iter().collect::<Vec<_>>().join(";")
}

fn sorted(value: &str, separator: char) -> Vec<&str> {
    let words: BTreeSet<&str> = value
        .split(separator)
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    words.into_iter().collect()
}

/// What an option or sub-option is where it is left out, as far as one value says it.
///
/// The schema's own defaults, and what Proxmox VE's code takes for unset where the schema is silent: a boolean is off,
/// but a few are neither on nor off then.
pub(super) fn default(file: ConfigFile<'_>, key: &str, part: &str) -> Option<String> {
    let option = file.option(key)?;
    let (schema, name) = if part == WHOLE {
        (option, key)
    } else {
        (option.sub_options()?.get(part)?, part)
    };
    if key == "memory" && file == ConfigFile::Qm {
        return Some("512".to_owned());
    }
    // PVE::LXC::update_lxc_config: the 512 MiB of the schema are what the GUI offers.
    if key == "swap" {
        return Some("0".to_owned());
    }
    let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let drive = matches!(base, "ide" | "sata" | "scsi" | "virtio") && file == ConfigFile::Qm;
    match name {
        // Neither is off: what is left out is left to QEMU, or to the folder that is mounted; a Windows guest's clock
        // shows local time, and its drift is mended, unless they say otherwise (PVE::QemuServer::Cfg2Cmd::Timer).
        "acl" | "enable-s3" | "enable-s4" | "localtime" | "tdf" => None,
        // PVE::QemuServer::Drive::detect_zeroes_cmdline_option: only `0` is off.
        "detect_zeroes" => Some("1".to_owned()),
        // PVE::QemuServer::Machine: the machine of x86-64 where none is said.
        "type" if base == "machine" => Some("pc".to_owned()),
        // PVE::QemuServer::Drive: a drive is backed up unless it says otherwise.
        "backup" if drive => Some("1".to_owned()),
        "cache" if drive => Some("none".to_owned()),
        "discard" if drive => Some("ignore".to_owned()),
        "type" if base == "net" => Some("veth".to_owned()),
        // A watchdog is a device: that one is there is no default.
        "model" if base == "watchdog" => None,
        // PVE::API2::Qemu: what a state without a version is taken for, whatever the installer of a release picks.
        "version" if base == "tpmstate" => Some("v1.2".to_owned()),
        "cpuunits" | "hotplug" if part == WHOLE && schema.default().is_none() => None,
        _ => match schema.default() {
            Some(default) => Some(canonical(Some(schema), name, default)),
            None if schema.is_boolean() => Some("0".to_owned()),
            None => None,
        },
    }
}

/// One part that differs: its name, what is there, what is wanted.
pub(super) type Difference = (String, Option<String>, Option<String>);

/// The parts that differ, defaults taken for what is left out.
pub(super) fn differences(
    file: ConfigFile<'_>,
    key: &str,
    before: Option<&Parts>,
    after: Option<&Parts>,
) -> Vec<Difference> {
    let empty = Parts::new();
    let (before, after) = (before.unwrap_or(&empty), after.unwrap_or(&empty));
    // PVE::QemuServer::device_bootorder: where there is an order, the old letters have no default.
    let is_ordered = key == "boot"
        && [before, after]
            .iter()
            .any(|side| side.contains_key("order"));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| {
            let (old, new) = (before.get(name), after.get(name));
            if old == new {
                return None;
            }
            let default = default(file, key, name).filter(|_| !(is_ordered && name == "legacy"));
            let same = old.or(default.as_ref()) == new.or(default.as_ref());
            (!same).then(|| (name.clone(), old.cloned(), new.cloned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(file: ConfigFile<'_>, key: &str, before: &str, after: &str) -> Vec<String> {
        let (before, after) = (parts(file, key, before), parts(file, key, after));
        differences(file, key, Some(&before), Some(&after))
            .into_iter()
            .map(|(name, _, _)| name)
            .collect()
    }

    #[test]
    fn spelling_order_and_defaults_are_no_difference() {
        for (file, key, one, other) in [
            (
                ConfigFile::Qm,
                "net0",
                "virtio=bc:24:11:00:00:01,bridge=vmbr0,firewall=0",
                "model=virtio,bridge=vmbr0,macaddr=BC:24:11:00:00:01",
            ),
            (
                ConfigFile::Qm,
                "scsi0",
                "local:1,size=1024M,backup=1,iothread=on",
                "size=1G,iothread=1,volume=local:1",
            ),
            (
                ConfigFile::Qm,
                "agent",
                "enabled=1",
                "1,fstrim_cloned_disks=0",
            ),
            (ConfigFile::Qm, "tags", "b;A", "a,b"),
            (ConfigFile::Qm, "startup", "1,up=5", "up=5,order=1"),
            (
                ConfigFile::Qm,
                "cpu",
                "host,flags=+aes;+pcid",
                "flags=+pcid;+aes,cputype=host",
            ),
            (ConfigFile::Qm, "onboot", "yes", "1"),
            (
                ConfigFile::Qm,
                "hostpci0",
                "01:00,pcie=1",
                "host=0000:01:00,pcie=on",
            ),
            (ConfigFile::Pct, "cpulimit", "1.50", "1.5"),
            (
                ConfigFile::Pct,
                "nameserver",
                "192.0.2.1, 192.0.2.2",
                "192.0.2.1 192.0.2.2",
            ),
            (
                ConfigFile::Pct,
                "net0",
                "name=eth0,type=veth",
                "name=eth0,link_down=0",
            ),
        ] {
            assert_eq!(
                differ(file, key, one, other),
                [""; 0],
                "{key}: {one} {other}"
            );
            assert_eq!(
                differ(file, key, other, one),
                [""; 0],
                "{key}: {other} {one}"
            );
        }
    }

    #[test]
    fn a_difference_bears_its_schema_name() {
        for (file, key, one, other, name) in [
            (
                ConfigFile::Qm,
                "net0",
                "virtio=BC:24:11:00:00:01",
                "virtio=BC:24:11:00:00:02",
                "macaddr",
            ),
            (
                ConfigFile::Qm,
                "net0",
                "virtio=BC:24:11:00:00:01",
                "e1000=BC:24:11:00:00:01",
                "model",
            ),
            (ConfigFile::Qm, "scsi0", "local:1", "local:2", "file"),
            (ConfigFile::Qm, "cpu", "host", "max", "cputype"),
            (
                ConfigFile::Qm,
                "scsi0",
                "local:1",
                "local:1,detect_zeroes=0",
                "detect_zeroes",
            ),
            (
                ConfigFile::Pct,
                "mp0",
                "a:1,mp=/x",
                "a:1,mp=/x,acl=0",
                "acl",
            ),
            (ConfigFile::Pct, "memory", "512", "1024", ""),
        ] {
            assert_eq!(
                differ(file, key, one, other),
                [name],
                "{key}: {one} {other}"
            );
        }
    }
}
