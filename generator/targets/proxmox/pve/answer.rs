//! `answer.toml`: the unattended installation of Proxmox VE.
//!
//! The installer wipes the disks that the file names, and leaves a machine that only its network and its keys lead
//! into. So the file is there only where both are certain, and where it is not, [`plan`] says why: disks are named by
//! their serial numbers, never as `sda`, which may be another disk at the next boot; the card by its MAC address or the
//! name that udev derives from its slot. No password stands in it: root's is locked, and the keys of the spec get in.

use std::fmt::Write as _;

use crate::diagnostics::{Diagnostic, Sink};
use crate::model::{Disk, Host, Id, Leg, Link, Nic, Pool, PortDevice};
use crate::pve::Release;
use crate::pve::schema::answer_key;
use crate::pve::since::{ANSWER_FILE, HASHED_PASSWORD};
use crate::value::{Cidr, Platform, PoolLayout};

/// The file, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Its text below its header.
    File(String),
    /// One sentence for the README.
    Absent(String),
}

/// Plans the file.
pub(super) fn plan(host: &Host, sink: &mut Sink) -> Answer {
    match answer(host) {
        Ok(text) => Answer::File(text),
        Err(why) => {
            tell_unheard(host, &why, sink);
            Answer::Absent(why)
        }
    }
}

/// The secret that only the installer is given, where it is told nothing. Country and keyboard are told of any host.
fn tell_unheard(host: &Host, why: &str, sink: &mut Sink) {
    if let Some(secret) = &host.root_password_secret {
        sink.push(
            Diagnostic::unheard(
                "root-password-secret",
                secret.span,
                "only an unattended installation reads it",
            )
            .note(format!("there is no `answer.toml`: {why}"))
            .help("leave it out, or say what the installation needs"),
        );
    }
}

fn answer(host: &Host) -> Result<String, String> {
    let release = *host.release;
    if *host.platform == Platform::Nixos {
        return Err("a NixOS host is not installed by Proxmox VE's installer".to_owned());
    }
    if release < ANSWER_FILE {
        return Err(format!(
            "the installer of Proxmox VE {release} asks its questions itself; {ANSWER_FILE} is the first that reads answers from a file"
        ));
    }
    if host.ssh_keys.is_empty() {
        return Err(
            "the spec has no `host.ssh-keys`: with root's password locked nobody could log in"
                .to_owned(),
        );
    }
    let disks = disk_setup(host)?;
    let network = network(host)?;
    let mut document = toml::Table::new();
    document.insert("global".to_owned(), global(host).into());
    document.insert("network".to_owned(), network.into());
    document.insert("disk-setup".to_owned(), disks.into());
    let document = spelled(release, document);
    let printed = toml::to_string(&document)
        .expect("a table of strings, numbers, lists and tables is a TOML document");
    Ok(format!("{}\n{printed}", comment(host)))
}

/// What the user must still do, and what the installer will do.
fn comment(host: &Host) -> String {
    let mut text = String::new();
    let secret = host
        .root_password_secret
        .as_ref()
        .map(|secret| format!(" (the secret `{}`)", secret.as_str()))
        .unwrap_or_default();
    let lines = if *host.release < HASHED_PASSWORD {
        vec![
            format!("root_password: fill in root's password{secret} in your own copy before the installation."),
            "The installer refuses the file while it is empty; it knows no hashed passwords before 8.3.".to_owned(),
        ]
    } else {
        vec![
            format!(
                "{}: `!` locks root's password, and the keys below get in.",
                answer_key(*host.release, "root-password-hashed")
            ),
            format!(
                "For a password, put its hash there{secret} in your own copy: `mkpasswd --method=yescrypt` prints one."
            ),
        ]
    };
    for line in lines {
        writeln!(text, "# {line}").expect("a string takes all text");
    }
    text.push_str(
        "# The installation destroys everything on the disks that `disk-setup.filter` matches.\n",
    );
    text
}

fn global(host: &Host) -> toml::Table {
    let mut global = toml::Table::new();
    let mut set = |key: &str, value: toml::Value| {
        global.insert(key.to_owned(), value);
    };
    set("keyboard", host.keyboard.as_str().into());
    set("country", host.country.as_str().into());
    set("fqdn", host.fqdn().into());
    let root = format!("root@{}", host.fqdn());
    let email = host
        .email
        .as_ref()
        .map_or(root, |email| email.value.to_string());
    set("mailto", email.into());
    set("timezone", timezone(host).into());
    if *host.release < HASHED_PASSWORD {
        set("root-password", "".into());
    } else {
        set("root-password-hashed", "!".into());
    }
    let keys: Vec<toml::Value> = host
        .ssh_keys
        .iter()
        .map(|key| key.as_str().into())
        .collect();
    set("root-ssh-keys", keys.into());
    global
}

/// The installer knows the zones of places, and `UTC` in this spelling.
fn timezone(host: &Host) -> &str {
    match host.timezone.as_str() {
        "Etc/UTC" | "Etc/UCT" | "Etc/Universal" | "Etc/Zulu" | "UCT" | "Universal" | "Zulu" => {
            "UTC"
        }
        zone => zone,
    }
}

fn network(host: &Host) -> Result<toml::Table, String> {
    let mut table = toml::Table::new();
    let Some((leg, address, gateway)) = management(host) else {
        // The installer asks a server, too, and keeps what it was given as a fixed address.
        if host.network.legs().any(|leg| leg.ip.is_dynamic(false)) {
            table.insert("source".to_owned(), "from-dhcp".into());
            return Ok(table);
        }
        return Err(
            "no bridge and no interface has a fixed address and a gateway, which the installed machine would be reached by"
                .to_owned(),
        );
    };
    let nic = installation_nic(host, leg)?;
    let (property, pattern) = nic_filter(nic)?;
    let dns = host
        .network
        .nameservers
        .first()
        .map_or(gateway, |server| server.value.0);
    let mut filter = toml::Table::new();
    filter.insert(property.to_owned(), pattern.into());
    table.insert("source".to_owned(), "from-answer".into());
    table.insert("cidr".to_owned(), address.to_string().into());
    table.insert("gateway".to_owned(), gateway.to_string().into());
    table.insert("dns".to_owned(), dns.to_string().into());
    table.insert("filter".to_owned(), filter.into());
    Ok(table)
}

/// The interface that the host's way out is on, its address and its gateway there; IPv4 first.
pub fn management(host: &Host) -> Option<(Leg<'_>, Cidr, std::net::IpAddr)> {
    [false, true].into_iter().find_map(|v6| {
        host.network.legs().find_map(|leg| {
            let address = leg.ip.fixed(v6)?;
            Some((leg, address.value, host.leg_gateway(leg, v6)?))
        })
    })
}

/// The card that the installer puts its own bridge on. Of a bond one card does until the bond is there.
fn installation_nic<'a>(host: &'a Host, leg: Leg<'_>) -> Result<&'a Nic, String> {
    let name = &leg.name.value;
    let (device, vlan) = match leg.segment.link {
        Link::Port(device) => (device, leg.segment.vlan),
        Link::Bridge(bridge) => {
            let bridge = &host.network.bridges[bridge];
            let port = bridge.ports.first().ok_or_else(|| {
                format!(
                    "the bridge `{}` has no port, so that the installer has no card for its address",
                    bridge.name.value
                )
            })?;
            (port.device, port.vlan.or(leg.segment.vlan))
        }
    };
    if vlan.is_some() {
        return Err(format!(
            "the address of `{name}` is in a VLAN, and the installer knows none"
        ));
    }
    match device {
        PortDevice::Nic(id) => Ok(&host.hardware.nics[id]),
        PortDevice::Bond(id) => {
            let first = host.network.bonds[id].ports.first();
            first
                .map(|nic| &host.hardware.nics[nic.value])
                .ok_or_else(|| format!("the bond below `{name}` has no card"))
        }
    }
}

/// A property of udev that finds the card, and the value. The installer's kernel may name cards in another way than the
/// installed system, but udev derives these names on both.
fn nic_filter(nic: &Nic) -> Result<(&'static str, String), String> {
    if let Some(mac) = &nic.mac {
        return Ok((
            "ID_NET_NAME_MAC",
            format!("*{}", mac.lower().replace(':', "")),
        ));
    }
    let interface = nic.interface.as_str();
    // systemd.net-naming-scheme(7)
    let numbered = |prefix: &str| {
        interface
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let property = if numbered("eno") {
        "ID_NET_NAME_ONBOARD"
    } else if numbered("ens") {
        "ID_NET_NAME_SLOT"
    } else if numbered("enp") || numbered("enP") {
        "ID_NET_NAME_PATH"
    } else if interface.starts_with("enx") {
        "ID_NET_NAME_MAC"
    } else {
        return Err(format!(
            "the card `{}` has no `mac`, and `{interface}` is not a name that udev derives: the installer could not find it",
            nic.name.value
        ));
    };
    Ok((property, interface.to_owned()))
}

fn disk_setup(host: &Host) -> Result<toml::Table, String> {
    let (_, pool) = host
        .storage
        .boot_pool()
        .ok_or("no pool has `boot = true`")?;
    let (property, pattern) = disk_filter(host, pool)?;
    let mut zfs = toml::Table::new();
    zfs.insert("raid".to_owned(), raid(pool)?.into());
    zfs.insert("ashift".to_owned(), i64::from(*pool.ashift).into());
    zfs.insert("compress".to_owned(), compress(&pool.compression).into());
    if let Some(most) = host.storage.arc_max {
        let mib = (most.as_bytes() >> 20).max(64);
        zfs.insert(
            "arc-max".to_owned(),
            i64::try_from(mib).unwrap_or(i64::MAX).into(),
        );
    }
    let mut filter = toml::Table::new();
    filter.insert(property.to_owned(), pattern.into());
    let mut table = toml::Table::new();
    table.insert("filesystem".to_owned(), "zfs".into());
    table.insert("filter".to_owned(), filter.into());
    table.insert("zfs".to_owned(), zfs.into());
    Ok(table)
}

fn raid(pool: &Pool) -> Result<&'static str, String> {
    let (word, least) = match *pool.layout {
        PoolLayout::Stripe => ("raid0", 1),
        PoolLayout::Mirror => ("raid1", 2),
        PoolLayout::Raid10 => ("raid10", 4),
        PoolLayout::Raidz1 => ("raidz-1", 3),
        PoolLayout::Raidz2 => ("raidz-2", 4),
        PoolLayout::Raidz3 => ("raidz-3", 5),
    };
    if pool.disks.len() < least {
        return Err(format!(
            "the installer makes a pool of the layout `{}` of {least} disks or more",
            *pool.layout
        ));
    }
    Ok(word)
}

/// The installer knows the families of compression, not their levels.
fn compress(compression: &str) -> &'static str {
    let families = ["zstd", "gzip", "lz4", "lzjb", "zle", "off"];
    families
        .into_iter()
        .find(|family| compression == *family || compression.starts_with(&format!("{family}-")))
        .unwrap_or("on")
}

/// What a disk's path below `/dev/disk/by-id` says: the property of udev that the link is made of, and its value
/// (`60-persistent-storage.rules` of systemd).
fn serial(disk: &Disk) -> Option<(&'static str, &str)> {
    let name = disk.device.as_str().strip_prefix("/dev/disk/by-id/")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '+');
    if !name.chars().all(plain) || name.contains("-part") {
        return None;
    }
    let (bus, id) = name.split_once('-')?;
    match bus {
        "nvme" if id.starts_with("eui.") || id.starts_with("nvme.") => Some(("ID_WWN", id)),
        // A namespace's number at the end came later, and is a link of its own: the pattern leaves it open.
        "nvme" => Some(("ID_SERIAL", without_namespace(id))),
        "ata" | "scsi" | "usb" | "virtio" | "mmc" => Some(("ID_SERIAL", id)),
        "wwn" => Some(("ID_WWN", id)),
        _ => None,
    }
}

fn without_namespace(id: &str) -> &str {
    match id.rsplit_once('_') {
        Some((serial, "1")) => serial,
        Some(_) | None => id,
    }
}

/// One pattern that matches the disks of the pool and no other of the machine: the filter has one value a property, so
/// that several serial numbers become one with the letters that differ in brackets.
fn disk_filter(host: &Host, pool: &Pool) -> Result<(&'static str, String), String> {
    let wanted: Vec<Id<Disk>> = pool.disks.iter().map(|disk| disk.value).collect();
    let disk = |id: &Id<Disk>| &host.hardware.disks[*id];
    let unfit = |disk: &Disk| {
        format!(
            "the installer could not tell the disk `{}` by `{}`: name it by its model and serial number below /dev/disk/by-id",
            disk.name.value, *disk.device
        )
    };
    let mut serials: Vec<&str> = Vec::new();
    let mut property = None;
    for id in &wanted {
        let (found, value) = serial(disk(id)).ok_or_else(|| unfit(disk(id)))?;
        if *property.get_or_insert(found) != found {
            return Err(unfit(disk(id)));
        }
        serials.push(value);
    }
    let (Some(property), Some(first)) = (property, serials.first()) else {
        return Err("the boot pool has no disks".to_owned());
    };
    if serials.iter().any(|serial| serial.len() != first.len()) {
        return Err(
            "the serial numbers of the boot pool's disks differ in length, and the installer takes one pattern for all of them"
                .to_owned(),
        );
    }
    let columns = columns(&serials);
    let matches = |serial: &str| matches(&columns, serial);
    let other = host.hardware.disks.iter().find(|(id, other)| {
        !wanted.contains(id)
            && serial(other).is_some_and(|(found, value)| found == property && matches(value))
    });
    if let Some((_, other)) = other {
        return Err(format!(
            "the one pattern that finds the boot pool's disks would find `{}` too, and the installer would wipe it",
            other.name.value
        ));
    }
    let mut pattern = pattern(&columns);
    if host.hardware.disks[wanted[0]]
        .device
        .as_str()
        .starts_with("/dev/disk/by-id/nvme-")
        && property == "ID_SERIAL"
    {
        pattern.push('*');
    }
    Ok((property, pattern))
}

/// The different bytes at each place of serial numbers of one length, sorted; `-` last, where a pattern takes it for
/// itself.
fn columns(serials: &[&str]) -> Vec<Vec<u8>> {
    let length = serials.first().map_or(0, |serial| serial.len());
    let column = |at: usize| {
        let mut bytes: Vec<u8> = serials.iter().map(|serial| serial.as_bytes()[at]).collect();
        bytes.sort_unstable_by_key(|byte| (*byte == b'-', *byte));
        bytes.dedup();
        bytes
    };
    (0..length).map(column).collect()
}

/// Whether the pattern of these columns, with anything behind it, matches a serial number.
fn matches(columns: &[Vec<u8>], serial: &str) -> bool {
    serial.len() >= columns.len()
        && serial
            .bytes()
            .zip(columns)
            .all(|(byte, column)| column.contains(&byte))
}

fn pattern(columns: &[Vec<u8>]) -> String {
    columns.iter().map(|column| bracket(column)).collect()
}

fn bracket(column: &[u8]) -> String {
    let letters: String = column.iter().map(|byte| char::from(*byte)).collect();
    if column.len() == 1 {
        letters
    } else {
        format!("[{letters}]")
    }
}

/// The same document with its keys as the release spells them; names of udev's properties stay.
fn spelled(release: Release, table: toml::Table) -> toml::Table {
    let spell = |table: toml::Table, is_section: bool| -> toml::Table {
        table
            .into_iter()
            .map(|(key, value)| {
                let key = if is_section {
                    key
                } else {
                    answer_key(release, &key)
                };
                (key, value)
            })
            .collect()
    };
    let sections = table.into_iter().map(|(name, section)| {
        let section = match section {
            toml::Value::Table(section) => {
                let section = section
                    .into_iter()
                    .map(|(key, value)| match (key.as_str(), value) {
                        ("zfs", toml::Value::Table(zfs)) => (key, spell(zfs, false).into()),
                        (_, value) => (key, value),
                    });
                spell(section.collect(), false).into()
            }
            other => other,
        };
        (name, section)
    });
    spell(sections.collect(), true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A second reading of the installer's patterns: letters stand for themselves, `[…]` for one of them.
    fn glob(pattern: &str, text: &str) -> bool {
        let mut rest = pattern;
        for c in text.chars() {
            rest = if let Some(class) = rest.strip_prefix('[') {
                let Some((letters, behind)) = class.split_once(']') else {
                    return false;
                };
                if !letters.contains(c) {
                    return false;
                }
                behind
            } else if let Some(behind) = rest.strip_prefix(c) {
                behind
            } else {
                return false;
            };
        }
        rest.is_empty()
    }

    proptest! {
        #[test]
        fn a_pattern_matches_its_serial_numbers_and_knows_what_else(
            serials in prop::collection::vec("[A-Z0-9_-]{6}", 1..5),
            other in "[A-Z0-9_-]{6}",
        ) {
            let serials: Vec<&str> = serials.iter().map(String::as_str).collect();
            let columns = columns(&serials);
            let pattern = pattern(&columns);
            for serial in &serials {
                prop_assert!(glob(&pattern, serial), "{} of {}", pattern, serial);
            }
            prop_assert_eq!(glob(&pattern, &other), matches(&columns, &other));
            // `[a-c]` would be a range of letters.
            prop_assert!(!pattern.contains('-') || serials.iter().any(|serial| serial.contains('-')));
            for class in pattern.split('[').skip(1) {
                let letters = class.split(']').next().unwrap_or_default();
                prop_assert!(!letters[..letters.len() - 1].contains('-'), "{}", pattern);
            }
        }
    }
}
