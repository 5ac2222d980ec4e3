//! The value formats that the schema names.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::pve::DiskSize;

/// What a format says of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fits,
    /// It does not fit; what the format wants, as "a unicast MAC address".
    Not(&'static str),
    /// The format is not known here, so nothing is said.
    Unknown,
}

/// Judges one value (lists are taken apart before) by the format's name.
pub(super) fn check(name: &str, value: &str) -> Verdict {
    match FORMATS.binary_search_by(|(known, ..)| (*known).cmp(name)) {
        Ok(at) if (FORMATS[at].1)(value) => Verdict::Fits,
        Ok(at) => Verdict::Not(FORMATS[at].2),
        Err(_) => Verdict::Unknown,
    }
}

type Format = (&'static str, fn(&str) -> bool, &'static str);

/// Sorted by name.
const FORMATS: &[Format] = &[
    (
        "CIDR",
        |v| cidr4(v) || cidr6(v),
        "an address with a prefix, such as `10.0.0.1/24`",
    ),
    (
        "CIDRv4",
        cidr4,
        "an IPv4 address with a prefix, such as `10.0.0.1/24`",
    ),
    (
        "CIDRv6",
        cidr6,
        "an IPv6 address with a prefix, such as `fd00::1/64`",
    ),
    ("address", host, "an address or a host name"),
    (
        "disk-size",
        |v| v.parse::<DiskSize>().is_ok(),
        "a size, such as `32G`",
    ),
    (
        "dns-name",
        dns_name,
        "a DNS name: letters, digits and `-`, separated by points",
    ),
    ("email", email, "a mail address"),
    (
        "email-or-username",
        |v| email(v) || email_user(v),
        "a mail address or a user name",
    ),
    (
        "ifname",
        ifname,
        "an interface name of at most 15 characters",
    ),
    ("ip", ip, "an IP address"),
    (
        "ip-cidr",
        |v| ip_prefix(v).is_some_and(|(_, prefix)| prefix.is_some()),
        "an address with a prefix",
    ),
    (
        "ip-or-cidr",
        |v| ip_prefix(v).is_some(),
        "an IP address, with or without a prefix",
    ),
    ("ipv4", ipv4, "an IPv4 address"),
    (
        "ipv4mask",
        ipv4_mask,
        "an IPv4 netmask, such as `255.255.255.0`",
    ),
    ("ipv6", ipv6, "an IPv6 address"),
    (
        "lxc-ip-with-ll-iface",
        |v| ip(v) || scoped_link_local(v),
        "an IP address",
    ),
    (
        "mac-addr",
        |v| mac_parts(v, 6..=6) && is_unicast(v),
        "a unicast MAC address, such as `BC:24:11:00:00:01`",
    ),
    (
        "mac-any",
        |v| mac_parts(v.strip_prefix("ether ").unwrap_or(v), 6..=6),
        "a MAC address",
    ),
    (
        "mac-prefix",
        |v| mac_parts(v.strip_suffix(':').unwrap_or(v), 1..=3) && is_unicast(v),
        "a unicast MAC prefix",
    ),
    ("number", |v| digits(v), "a number"),
    (
        "pve-bridge-id",
        |v| made_of(v, "_.-"),
        "a bridge name: letters, digits, `_`, `.`, `-`",
    ),
    (
        "pve-calendar-event",
        calendar::is_event,
        "a schedule, such as `mon..fri 02:30` or `*/15`",
    ),
    (
        "pve-configid",
        config_id,
        "an ID: a letter, then letters, digits, `_`, `-`; two characters at least",
    ),
    ("pve-cpuset", cpu_set, "a list of CPUs, such as `0-3,8`"),
    (
        "pve-ct-timezone",
        |v| matches!(v, "host" | "UTC") || time_zone(v),
        "a time zone, such as `Europe/Vienna`",
    ),
    (
        "pve-day-of-week",
        |v| calendar::WEEKDAYS.contains(&v),
        "a weekday: mon, tue, wed, thu, fri, sat, sun",
    ),
    (
        "pve-dir-override",
        directory_override,
        "`content=relative/path`",
    ),
    (
        "pve-hotplug-features",
        hotplug,
        "`0`, `1` or a list of network, disk, usb, memory, cpu, cloudinit",
    ),
    (
        "pve-iface",
        interface,
        "an interface name: a letter, then 1 to 20 letters, digits, `_`; no `-`",
    ),
    (
        "pve-ipv4-config",
        |v| matches!(v, "dhcp" | "manual") || cidr4(v),
        "`dhcp`, `manual` or an IPv4 address with a prefix",
    ),
    (
        "pve-ipv6-config",
        |v| matches!(v, "auto" | "dhcp" | "manual") || cidr6(v),
        "`auto`, `dhcp`, `manual` or an IPv6 address with a prefix",
    ),
    (
        "pve-lxc-dev-string",
        |v| v.starts_with("/dev/") && !has_dot_segment(v),
        "a path below /dev",
    ),
    (
        "pve-lxc-mp-string",
        |v| !has_dot_segment(v) && !v.starts_with("../"),
        "a path without `.` and `..`",
    ),
    ("pve-node", label, "a node name: letters, digits and `-`"),
    (
        "pve-phys-bits",
        |v| v == "host" || in_range(v, 8, 64),
        "`host` or a number from 8 to 64",
    ),
    ("pve-poolid", pool_id, "a pool name"),
    (
        "pve-qm-bootdev",
        |v| indexed(v, &[DRIVES, BOOT_ONLY].concat()),
        "a boot device, such as `scsi0` or `net0`",
    ),
    (
        "pve-qm-bootdisk",
        |v| indexed(v, DRIVES) || matches!(v, "efidisk0" | "tpmstate0"),
        "a disk, such as `scsi0`",
    ),
    (
        "pve-realm",
        |v| starts_alphabetic(v) && v.len() > 1 && made_of(v, "._-"),
        "a realm",
    ),
    (
        "pve-startup-order",
        startup,
        "a startup order, such as `order=1,up=30,down=60`",
    ),
    (
        "pve-storage-content",
        |v| CONTENTS.contains(&v),
        "a storage content, such as `images` or `backup`",
    ),
    (
        "pve-storage-id",
        storage_id,
        "a storage ID: a letter, then letters, digits, `_`, `.`, `-`; two characters at least",
    ),
    (
        "pve-storage-options",
        |v| !v.is_empty() && !v.contains(|c: char| c.is_ascii_whitespace()),
        "mount options without blanks",
    ),
    (
        "pve-storage-path",
        |v| absolute_path(v, ";()"),
        "an absolute path without `;`, `(`, `)`",
    ),
    (
        "pve-storage-path-in-property-string",
        |v| absolute_path(v, ";,=()"),
        "an absolute path without `;`, `,`, `=`, `(`, `)`",
    ),
    (
        "pve-storage-portal-dns",
        portal,
        "a host or address, with or without a port",
    ),
    ("pve-storage-server", host, "an address or a host name"),
    (
        "pve-storage-vgname",
        |v| v.len() > 1 && made_of(v, "_.-") && alphanumeric_ends(v),
        "a volume group name",
    ),
    (
        "pve-storage-zfs-blocksize",
        block_size,
        "a power of two from 512 to 16m, such as `16k`",
    ),
    (
        "pve-tag",
        |v| made_of(v, "_+.-") && !v.starts_with(['+', '.', '-']),
        "a tag: letters, digits, `_`, `+`, `.`, `-`",
    ),
    (
        "pve-vlan-id-or-range",
        vlan_range,
        "a VLAN from 2 to 4094, or a range of them",
    ),
    (
        "pve-vmid",
        |v| v.len() >= 3 && v.len() <= 9 && digits(v) && !v.starts_with('0'),
        "a VMID from 100 to 999999999",
    ),
    (
        "pve-volume-id",
        volume_id,
        "a volume, such as `local-zfs:vm-100-disk-0`",
    ),
    (
        "pve-volume-id-or-absolute-path",
        |v| v.starts_with('/') || volume_id(v),
        "a volume or an absolute path",
    ),
    (
        "pve-volume-id-or-qm-path",
        |v| matches!(v, "none" | "cdrom") || v.starts_with('/') || volume_id(v),
        "a volume, such as `local-zfs:vm-100-disk-0`, a path, `none` or `cdrom`",
    ),
    (
        "urlencoded",
        |v| {
            v.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-%_.!~*'()".contains(&b))
        },
        "percent-encoded text",
    ),
];

/// What storages hold, all types together.
const CONTENTS: &[&str] = &[
    "none", "images", "rootdir", "iso", "snippets", "backup", "vztmpl", "import",
];

/// Disks of a VM and how many of them there are.
const DRIVES: &[(&str, u32)] = &[
    ("ide", 4),
    ("sata", 6),
    ("scsi", 31),
    ("virtio", 16),
    ("unused", 256),
];

/// What else a VM can boot from.
const BOOT_ONLY: &[(&str, u32)] = &[("net", 32), ("usb", 14), ("hostpci", 16)];

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Not empty, and only ASCII letters, digits and `others`.
fn made_of(text: &str, others: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || others.as_bytes().contains(&b))
}

fn starts_alphabetic(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn alphanumeric_ends(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(alphanumeric) && text.ends_with(alphanumeric)
}

fn in_range(text: &str, least: u32, most: u32) -> bool {
    digits(text) && text.parse().is_ok_and(|n: u32| (least..=most).contains(&n))
}

fn label(text: &str) -> bool {
    made_of(text, "-") && alphanumeric_ends(text)
}

fn dns_name(text: &str) -> bool {
    text.split('.').all(label)
}

/// Perl takes the text "0" for no value at all.
fn host(text: &str) -> bool {
    text != "0" && (ip(text) || dns_name(text))
}

fn ipv4(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

fn ipv6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

fn ip(text: &str) -> bool {
    ipv4(text) || ipv6(text)
}

/// Proxmox refuses networks larger than a /8.
fn cidr4(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(address, prefix)| ipv4(address) && in_range(prefix, 8, 32))
}

fn cidr6(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(address, prefix)| ipv6(address) && in_range(prefix, 8, 128))
}

fn ip_prefix(text: &str) -> Option<(&str, Option<&str>)> {
    match text.split_once('/') {
        Some((address, prefix)) => {
            let most = if ipv4(address) { 32 } else { 128 };
            (ip(address) && in_range(prefix, 0, most)).then_some((address, Some(prefix)))
        }
        None => ip(text).then_some((text, None)),
    }
}

fn ipv4_mask(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok_and(|mask| {
        let bits = mask.to_bits();
        bits.leading_ones() + bits.trailing_zeros().min(32) >= 32
    })
}

/// `fe80::1%eth0`
fn scoped_link_local(text: &str) -> bool {
    text.split_once('%').is_some_and(|(address, scope)| {
        address.starts_with("fe80:") && ipv6(address) && interface(scope)
    })
}

fn mac_parts(text: &str, count: std::ops::RangeInclusive<usize>) -> bool {
    let pair = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    count.contains(&text.split(':').count()) && text.split(':').all(pair)
}

/// The lowest bit of the first byte marks a group address.
fn is_unicast(mac: &str) -> bool {
    mac.as_bytes().get(1).is_some_and(|b| {
        char::from(*b)
            .to_digit(16)
            .is_some_and(|digit| digit % 2 == 0)
    })
}

fn email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(user, host)| {
        email_user(user) && host.split('.').all(|part| made_of(part, "-"))
    })
}

fn email_user(text: &str) -> bool {
    text.split('.').all(|part| made_of(part, "_+-~"))
}

fn config_id(text: &str) -> bool {
    text.len() > 1 && starts_alphabetic(text) && made_of(text, "_-")
}

fn storage_id(text: &str) -> bool {
    text.len() > 1 && starts_alphabetic(text) && made_of(text, "_.-") && alphanumeric_ends(text)
}

/// What Proxmox takes as an interface, `.` and `:` for VLANs and aliases.
fn interface(text: &str) -> bool {
    let (base, child) = match text.split_once(['.', ':']) {
        Some((base, child)) => (base, Some(child)),
        None => (text, None),
    };
    (2..=21).contains(&base.len())
        && starts_alphabetic(base)
        && made_of(base, "_")
        && child.is_none_or(digits)
}

/// What the kernel takes as an interface.
fn ifname(text: &str) -> bool {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || c == '/';
    !text.is_empty() && text.len() <= 15 && !matches!(text, "." | "..") && !text.contains(forbidden)
}

fn cpu_set(text: &str) -> bool {
    text.is_empty()
        || text
            .split(',')
            .all(|part| match part.trim().split_once('-') {
                Some((from, to)) => {
                    let numbers = from.parse::<u32>().ok().zip(to.parse::<u32>().ok());
                    digits(from) && digits(to) && numbers.is_some_and(|(from, to)| from <= to)
                }
                None => digits(part.trim()),
            })
}

fn time_zone(text: &str) -> bool {
    // Proxmox looks into zone.tab, which has no names without an area.
    text.contains('/') && jiff::tz::db().get(text).is_ok()
}

fn directory_override(text: &str) -> bool {
    text.split_once('=').is_some_and(|(content, path)| {
        let segment = |part: &str| part.len() < 255;
        CONTENTS.contains(&content)
            && !path.is_empty()
            && path.len() < 1023
            && !path.contains("..")
            && !path.ends_with('.')
            && path.split('/').all(segment)
    })
}

fn hotplug(text: &str) -> bool {
    let feature = |name: &str| {
        matches!(
            name,
            "network" | "disk" | "cpu" | "memory" | "usb" | "cloudinit"
        )
    };
    let separator = |c: char| c.is_ascii_whitespace() || matches!(c, ',' | ';');
    matches!(text, "0" | "1")
        || text
            .split(separator)
            .filter(|name| !name.is_empty())
            .all(feature)
}

/// `/./` or `/../`, also at the end.
fn has_dot_segment(path: &str) -> bool {
    path.split('/')
        .skip(1)
        .any(|segment| matches!(segment, "." | ".."))
}

fn pool_id(text: &str) -> bool {
    text.split('/').count() <= 3 && text.split('/').all(|part| made_of(part, "._-"))
}

fn indexed(text: &str, names: &[(&str, u32)]) -> bool {
    names.iter().any(|(name, count)| {
        text.strip_prefix(name).is_some_and(|index| {
            let canonical = index == "0" || !index.starts_with('0');
            canonical && digits(index) && index.parse().is_ok_and(|n: u32| n < *count)
        })
    })
}

fn startup(text: &str) -> bool {
    // As for hosts, "0" is no value.
    text != "0"
        && !text.is_empty()
        && text
            .split(',')
            .filter(|part| !part.trim().is_empty())
            .all(|part| {
                let number = ["order=", "up=", "down="]
                    .iter()
                    .find_map(|name| part.strip_prefix(name));
                digits(number.unwrap_or(part))
            })
}

fn absolute_path(text: &str, forbidden: &str) -> bool {
    text.len() > 1 && text.starts_with('/') && !text.contains(|c| forbidden.contains(c))
}

fn portal(text: &str) -> bool {
    let name = |text: &str| made_of(text, "-.");
    if let Some((inner, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (ip(inner) || name(inner))
            && (rest.is_empty() || rest.strip_prefix(':').is_some_and(digits));
    }
    // An IPv6 address without brackets has its port behind a point.
    if ipv6(text)
        || text
            .rsplit_once('.')
            .is_some_and(|(address, port)| ipv6(address) && digits(port))
    {
        return true;
    }
    match text.split_once(':') {
        Some((host, port)) => name(host) && digits(port),
        None => name(text),
    }
}

fn block_size(text: &str) -> bool {
    let (number, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    text.is_empty()
        || (digits(number)
            && !number.starts_with('0')
            && bytes.is_some_and(|n| n.is_power_of_two() && (512..=16 << 20).contains(&n)))
}

fn vlan_range(text: &str) -> bool {
    let vlan = |text: &str| in_range(text, 2, 4094);
    match text.split_once('-') {
        Some((from, to)) => {
            vlan(from) && vlan(to) && from.parse::<u32>().ok() < to.parse::<u32>().ok()
        }
        None => vlan(text),
    }
}

fn volume_id(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(storage, volume)| storage_id(storage) && !volume.is_empty())
}

/// The shape of Proxmox's calendar events: `[days] [[year-]month-day] [[hour:]minute[:second]] [UTC]`.
/// An hour above 23 is no error there: `25:00` is read as minute and second.
mod calendar {
    pub(super) const WEEKDAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    const LONG_WEEKDAYS: &[&str] = &[
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];

    const NAMED: &[&str] = &[
        "minutely",
        "hourly",
        "daily",
        "weekly",
        "monthly",
        "yearly",
        "annually",
        "quarterly",
        "semiannually",
        "semi-annually",
    ];

    pub(super) fn is_event(text: &str) -> bool {
        let rest = text
            .strip_suffix("UTC")
            .map_or(text, |rest| rest.trim_end_matches(' '));
        if NAMED.contains(&rest) {
            return true;
        }
        let (rest, has_days) = match days(rest) {
            Some(rest) => (spaces(rest), true),
            None => (rest, false),
        };
        if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return false;
        }
        let (rest, has_date) = match date(rest) {
            Some(rest) => (spaces(rest), true),
            None => (rest, false),
        };
        match time(rest) {
            Some(rest) => rest.is_empty(),
            None => rest.is_empty() && (has_days || has_date),
        }
    }

    fn spaces(text: &str) -> &str {
        text.trim_start_matches([' ', '\t'])
    }

    fn days(text: &str) -> Option<&str> {
        let mut rest = weekday(text)?;
        loop {
            if let Some(end) = rest.strip_prefix("..").and_then(weekday) {
                rest = end;
            }
            match rest.strip_prefix(',').and_then(weekday) {
                Some(next) => rest = next,
                None => return Some(rest),
            }
        }
    }

    fn weekday(text: &str) -> Option<&str> {
        let end = text.bytes().take_while(u8::is_ascii_alphabetic).count();
        let name = text[..end].to_ascii_lowercase();
        let known = WEEKDAYS.contains(&name.as_str()) || LONG_WEEKDAYS.contains(&name.as_str());
        known.then_some(&text[end..])
    }

    fn date(text: &str) -> Option<&str> {
        let dash = |rest: &'_ str, below| {
            rest.strip_prefix('-')
                .and_then(|rest| values(rest, below))
                .map(str::len)
        };
        let tail = |len: usize| &text[text.len() - len..];
        let with_year = values(text, 2200)
            .and_then(|rest| dash(rest, 13))
            .and_then(|len| dash(tail(len), 32));
        let without = || values(text, 13).and_then(|rest| dash(rest, 32));
        with_year.or_else(without).map(tail)
    }

    fn time(text: &str) -> Option<&str> {
        let hour = values(text, 24).and_then(|rest| rest.strip_prefix(':'));
        let rest = values(hour.unwrap_or(text), 60)?;
        Some(
            rest.strip_prefix(':')
                .and_then(|seconds| values(seconds, 60))
                .unwrap_or(rest),
        )
    }

    /// `*`, `*/5`, or values, ranges `1..5` and steps `0/5` separated by commas, all below a limit.
    fn values(text: &str, below: u32) -> Option<&str> {
        if let Some(rest) = text.strip_prefix('*') {
            return match rest.strip_prefix('/') {
                Some(step) => number(step, below).map(|(_, rest)| rest),
                None => Some(rest),
            };
        }
        let mut rest = value(text, below)?;
        while let Some(next) = rest.strip_prefix(',').and_then(|next| value(next, below)) {
            rest = next;
        }
        Some(rest)
    }

    fn value(text: &str, below: u32) -> Option<&str> {
        let (from, mut rest) = number(text, below)?;
        if let Some((to, behind)) = rest.strip_prefix("..").and_then(|end| number(end, below)) {
            if from > to {
                return None;
            }
            rest = behind;
        }
        match rest.strip_prefix('/') {
            Some(step) => number(step, below).map(|(_, rest)| rest),
            None => Some(rest),
        }
    }

    fn number(text: &str, below: u32) -> Option<(u32, &str)> {
        let end = text.bytes().take_while(u8::is_ascii_digit).count();
        let number = text[..end].parse().ok().filter(|n| *n < below)?;
        Some((number, &text[end..]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn formats_are_sorted() {
        assert!(FORMATS.is_sorted_by(|a, b| a.0 < b.0));
    }

    /// What Proxmox's own checks took and refused, recorded.
    #[test]
    fn agrees_with_proxmox_on_recorded_samples() {
        let samples: Value =
            serde_json::from_str(include_str!("data/format_samples.json")).expect("valid JSON");
        let samples = samples.as_object().expect("an object");
        let mut wrong = Vec::new();
        for (name, sample) in samples {
            for (list, fits) in [("accepts", true), ("rejects", false)] {
                for value in sample[list].as_array().expect("a list") {
                    let value = value.as_str().expect("a text");
                    match check(name, value) {
                        Verdict::Unknown => wrong.push(format!("{name} is not known")),
                        verdict if (verdict == Verdict::Fits) != fits => {
                            wrong.push(format!(
                                "{name}: `{value}` should {}fit",
                                if fits { "" } else { "not " }
                            ));
                        }
                        _ => {}
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn judges_what_the_samples_lack() {
        for (name, good, bad) in [
            ("CIDR", "fd00::1/8", "fd00::1/7"),
            ("CIDRv4", "10.0.0.1/32", "10.0.0.1/33"),
            ("CIDRv4", "10.0.0.1/8", "10.0.0.1/024x"),
            ("ifname", "br-lan", "sixteen-letters-"),
            ("ipv4mask", "255.255.255.0", "255.0.255.0"),
            ("ipv4mask", "0.0.0.0", "0.0.0.255"),
            ("lxc-ip-with-ll-iface", "fe80::1%eth0", "fd00::1%eth0"),
            ("mac-addr", "02:00:00:00:00:01", "03:00:00:00:00:01"),
            ("mac-prefix", "BC:24:11:", "BD:24:11"),
            ("pve-calendar-event", "fri..mon 02:30", "mon-fri 02:30"),
            ("pve-calendar-event", "sat 3:00 UTC", "3:00 sat"),
            ("pve-calendar-event", "*-1..7 2:00", "0 2 * * *"),
            ("pve-calendar-event", "2026-1-1 */2:00:30", "every day"),
            ("pve-calendar-event", "*/15", "*/60"),
            ("pve-cpuset", "0-3,8", "3-0"),
            ("pve-ct-timezone", "host", "Europe/Wien"),
            ("pve-dir-override", "backup=dumps/here", "backup=../dumps"),
            ("pve-iface", "vmbr0.10", "br-lan"),
            ("pve-iface", "vmbr0:1", "vmbr0.x"),
            ("pve-lxc-mp-string", "/tank/x", "/tank/./x"),
            ("pve-phys-bits", "64", "65"),
            ("pve-poolid", "a/b/c", "a/b/c/d"),
            ("pve-qm-bootdev", "scsi30", "scsi31"),
            ("pve-qm-bootdev", "ide2", "efidisk0"),
            ("pve-startup-order", "order=0", "0"),
            (
                "pve-storage-path-in-property-string",
                "/tank/shared",
                "/tank/a;b",
            ),
            ("pve-storage-portal-dns", "[fd00::1]:3260", "[fd00::1"),
            ("pve-storage-zfs-blocksize", "16K", "12k"),
            ("pve-storage-zfs-blocksize", "16m", "32m"),
            ("pve-vlan-id-or-range", "2-4094", "1-4094"),
            ("pve-vlan-id-or-range", "10-20", "20-10"),
        ] {
            assert_eq!(check(name, good), Verdict::Fits, "{name}: {good}");
            assert!(matches!(check(name, bad), Verdict::Not(_)), "{name}: {bad}");
        }
        assert_eq!(check("pve-no-such-format", "x"), Verdict::Unknown);
    }
}
