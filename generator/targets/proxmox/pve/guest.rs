//! What the files of virtual machines and of containers share.

use crate::calendar::TimeSpan;
use crate::diagnostics::{Code, Diagnostic};
use crate::digest::Sha256;
use crate::model::Guest;
use crate::source::{Span, Spanned};
use crate::value::{ByteSize, VlanSet};

use super::options::Options;

/// Name and numbers that every guest has: notes, tags, start, weight.
pub(super) fn common(options: &mut Options<'_>, guest: &Guest) {
    if let Some(description) = &guest.description {
        options.describe(description.as_str(), description.span);
    }
    let tags = tags(guest);
    if let (Some(first), false) = (guest.tags.first(), tags.is_empty()) {
        options.set("tags", tags, first.span);
    }
    if let Some(limit) = guest.cpu_limit {
        options.set_by_word(("cpulimit", "cpu.limit"), limit.value, limit.span);
    }
    if let Some(units) = guest.cpu_units {
        options.set_by_word(("cpuunits", "cpu.units"), units.value, units.span);
    }
    // What is said to be off is written, so that it goes where a host has it on.
    if guest.protection.is_written() {
        options.flag("protection", *guest.protection, guest.protection.span);
    }
    if let Some(autostart) = &guest.autostart {
        options.flag("onboot", autostart.enabled, autostart.span);
        let startup = startup(options, guest);
        if !startup.is_empty() {
            options.set("startup", startup, autostart.span);
        }
    }
}

/// In the form in which `qm set` writes them: lower case, each once, sorted.
fn tags(guest: &Guest) -> String {
    let mut tags: Vec<String> = guest
        .tags
        .iter()
        .map(|tag| tag.as_str().to_ascii_lowercase())
        .collect();
    tags.sort();
    tags.dedup();
    tags.join(";")
}

/// `order=1,up=30,down=60`. Not a property string: Proxmox VE has a parser of its own for it, and keeps what it gets.
fn startup(options: &mut Options<'_>, guest: &Guest) -> String {
    let Some(autostart) = &guest.autostart else {
        return String::new();
    };
    let mut parts = Vec::new();
    if let Some(order) = autostart.order {
        parts.push(format!("order={}", order.value));
    }
    for (key, delay) in [("up", &autostart.up_delay), ("down", &autostart.down_delay)] {
        if let Some(seconds) = delay
            .as_ref()
            .and_then(|delay| whole_seconds(options, delay))
        {
            parts.push(format!("{key}={seconds}"));
        }
    }
    parts.join(",")
}

/// Rounded up: a guest may wait longer, not shorter.
fn whole_seconds(options: &mut Options<'_>, delay: &Spanned<TimeSpan>) -> Option<u64> {
    if delay.is_infinite() {
        options.report(
            Diagnostic::new(Code::MOX0013, delay.span, "a delay without an end")
                .help("Proxmox VE counts it in seconds: write how many, as `\"30s\"`"),
        );
        return None;
    }
    Some(delay.microseconds().div_ceil(1_000_000))
}

/// An amount of memory in MiB, the unit of Proxmox VE's files.
pub(super) fn mebibytes(options: &mut Options<'_>, size: ByteSize, place: Span) -> Option<u64> {
    let whole = size.whole_mib();
    if whole.is_none() {
        let down = ByteSize::mib(size.as_bytes() >> 20);
        options.report(
            Diagnostic::new(
                Code::MOX0013,
                place,
                format!("{size} is not a whole number of MiB"),
            )
            .help(if size.as_bytes().is_multiple_of(1_000_000_000) {
                // Whoever says 32 GB of memory means what the module is sold as.
                format!(
                    "memory is counted in powers of two: write `\"{} GiB\"`",
                    size.as_bytes() / 1_000_000_000
                )
            } else {
                format!(
                    "Proxmox VE counts memory in MiB: `\"{} MiB\"` is the next below",
                    down.as_bytes() >> 20
                )
            }),
        );
    }
    whole
}

/// The least memory that Proxmox VE gives a guest.
const LEAST_MEMORY: ByteSize = ByteSize::mib(16);

/// A guest's memory in MiB, where Proxmox VE gives it so much.
pub(super) fn memory(options: &mut Options<'_>, guest: &Guest) -> Option<u64> {
    let place = guest.memory.span;
    let whole = mebibytes(options, *guest.memory, place)?;
    if *guest.memory < LEAST_MEMORY {
        options.report(
            Diagnostic::new(
                Code::MOX0013,
                place,
                format!("`memory` is less than {LEAST_MEMORY}"),
            )
            .help("Proxmox VE gives no guest less: write how much it needs, as `\"512 MiB\"`"),
        );
        return None;
    }
    Some(whole)
}

/// `20-29;40`, as Proxmox VE lists the VLANs that a card may tag.
pub(super) fn trunks(vlans: &VlanSet) -> String {
    let ranges = vlans.ranges().iter().map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    ranges.collect::<Vec<_>>().join(";")
}

/// A UUID that stays the same as long as host and VMID do: the first bytes of a SHA-256, as RFC 9562 has it for
/// name-based UUIDs of a newer hash (version 8).
pub(super) fn derived_uuid(what: &str, host: &str, vmid: u32) -> String {
    let digest = Sha256::of(format!("moxc {what} {host} {vmid}").as_bytes()).bytes();
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let number = u128::from_be_bytes(bytes);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        number >> 96,
        (number >> 80) & 0xffff,
        (number >> 64) & 0xffff,
        (number >> 48) & 0xffff,
        number & 0xffff_ffff_ffff,
    )
}
