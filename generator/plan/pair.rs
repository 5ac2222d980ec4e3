//! A guest on both sides, an option of it, and what its volumes are to each other.

use super::Object;
use super::value::{self, Parts};
use crate::facts::making::Making;
use crate::live::LiveGuest;
use crate::live::storage::StoredVolume;
use crate::pve::{GuestConfig, Release};
use crate::source::Span;

/// A guest on both sides, and what is known beside it.
pub(super) struct Pair<'a> {
    pub(super) host: &'a str,
    pub(super) vmid: u32,
    pub(super) release: Release,
    pub(super) wanted: &'a GuestConfig,
    pub(super) live: &'a LiveGuest,
    /// What the last run left of it; none where no run has made or changed it, so that nobody knows whose its options are.
    pub(super) applied: Option<&'a GuestConfig>,
    /// Whether it runs; none where nobody knows: then it is taken for running, which costs more.
    pub(super) running: Option<bool>,
    pub(super) volumes: &'a [StoredVolume],
    /// How it would be made: what allocates a volume that comes to it.
    pub(super) making: &'a Making,
}

/// The two sides of one option.
pub(super) struct Sides<'a> {
    pub(super) key: &'a str,
    pub(super) object: Object,
    /// What the host is to have, a change that waits included.
    pub(super) before: Option<String>,
    pub(super) waiting_parts: Option<Parts>,
    /// What is in force.
    pub(super) current: Option<String>,
    pub(super) before_parts: Option<Parts>,
    pub(super) after: Option<String>,
    pub(super) after_parts: Option<Parts>,
    pub(super) spec: Option<Span>,
}

pub(super) fn is_cd(parts: &Parts) -> bool {
    parts.get("media").is_some_and(|media| media == "cdrom")
}

pub(super) fn volume_of(parts: &Parts) -> Option<&str> {
    parts
        .get("file")
        .or_else(|| parts.get("volume"))
        .map(String::as_str)
}

/// Whether a drive's text names a volume of a storage, and no path or nothing.
pub(super) fn is_volume(text: &str) -> bool {
    text.contains(':') && !text.starts_with('/')
}

/// Whether one volume is the other on another storage. What it is called there is that storage's.
pub(super) fn moves(pair: &Pair<'_>, key: &str, old: &str, new: &str) -> bool {
    let (Some((from, name)), Some((to, wanted))) = (old.split_once(':'), new.split_once(':'))
    else {
        return false;
    };
    let is_any =
        || is_made_up(pair, key, new) && is_own_volume(pair, old) && !is_named_elsewhere(pair, old);
    from != to && (name == wanted || is_any())
}

/// Whether the name of a wanted volume is moxc's own guess, and not the spec's.
pub(super) fn is_made_up(pair: &Pair<'_>, key: &str, volume: &str) -> bool {
    !pair.making.existing.iter().any(|known| known == key)
        && !pair.making.vmid.is_empty()
        && is_own_volume(pair, volume)
}

/// Whether the spec names a volume in one of the guest's slots.
pub(super) fn is_named_elsewhere(pair: &Pair<'_>, volume: &str) -> bool {
    let file = pair.wanted.kind().config_file();
    pair.wanted.options().any(|(key, value)| {
        pair.making.existing.iter().any(|named| named == key)
            && volume_of(&value::parts(file, key, value)) == Some(volume)
    })
}

/// Whether a volume bears the guest's number, as those that are allocated do.
pub(super) fn is_own_volume(pair: &Pair<'_>, volume: &str) -> bool {
    let name = volume.rsplit([':', '/']).next().unwrap_or(volume);
    ["vm", "subvol"]
        .iter()
        .any(|kind| name.starts_with(&format!("{kind}-{}-disk-", pair.vmid)))
}
