//! `cloud-init` of a virtual machine, and the addresses of its cards.

use std::collections::BTreeMap;

use super::doc::Toml;
use super::guest::{Guest, said_of_card, volume};
use super::write::{NoteKind, Writing};
use crate::pve::decode_text;
use crate::value::{Bus, Choice as _, GuestAddress, Name, SpecString, SshKey};

/// What a card's `ipconfigN` says, in the words of a card's table: key, value, and the option.
pub(super) type Addresses = BTreeMap<u32, Vec<(&'static str, String, String)>>;

/// Options that Proxmox VE hands to cloud-init and that the table has words for.
const WORDS: &[&str] = &[
    "cicustom",
    "ciupgrade",
    "ciuser",
    "nameserver",
    "searchdomain",
    "sshkeys",
];

/// A drive of cloud-init.
struct Drive {
    option: String,
    bus: Bus,
    slot: u32,
    place: (&'static str, String),
}

/// Writes the table, unless something of it has no word there: then all of it is said in Proxmox VE's own words, since the
/// two do not go together. Gives what is said of the cards.
pub(super) fn write(writing: &mut Writing<'_>, guest: &mut Guest<'_>) -> Addresses {
    let vmid = guest.live.vmid;
    if guest.live.config.get("cipassword").is_some() {
        writing.note(
            NoteKind::Unread,
            format!("`cipassword` of guest {vmid}"),
            "a secret, which is not read; it stays on the host",
        );
    }
    let Some(drive) = drive(writing, guest) else {
        return Addresses::new();
    };
    let addresses = addresses(guest);
    let keys = keys(guest);
    let is_raw = guest
        .raw
        .keys()
        .any(|key| WORDS.contains(&key.as_str()) || key.starts_with("ipconfig"));
    let (Some(addresses), Some(keys), false) = (addresses, keys, is_raw) else {
        let all: Vec<String> = guest
            .options
            .keys()
            .filter(|key| WORDS.contains(&key.as_str()) || key.starts_with("ipconfig"))
            .cloned()
            .collect();
        for key in all.iter().chain([&drive.option]) {
            guest.take_raw(key);
        }
        return Addresses::new();
    };
    guest.take(&drive.option);
    let (key, store) = drive.place;
    let mut table = vec![(key.to_owned(), store.into())];
    let mut put = |key: &str, value: Toml| table.push((key.to_owned(), value));
    if let Some(user) = guest.take("ciuser") {
        put("user", user.into());
    }
    if guest.take("sshkeys").is_some() {
        put("ssh-keys", Toml::texts(keys));
    }
    if let Some(upgrade) = guest.take("ciupgrade") {
        put("upgrade", (upgrade == "1").into());
    }
    for key in ["nameserver", "searchdomain"] {
        if let Some(value) = guest.take(key) {
            let words: Vec<&str> = value.split_whitespace().collect();
            put(
                key,
                match words[..] {
                    [only] => only.into(),
                    _ => Toml::texts(words),
                },
            );
        }
    }
    if let Some(custom) = guest.take("cicustom") {
        put("custom", custom.into());
    }
    put("bus", drive.bus.as_str().into());
    put("slot", drive.slot.into());
    for slot in addresses.keys() {
        guest.take(&format!("ipconfig{slot}"));
    }
    let mut below = guest.table_below("cloud-init");
    for (key, value) in table {
        below.set_as(&key, value, &drive.option);
    }
    guest.below.push(below);
    addresses
}

/// The drive, where it is called as Proxmox VE calls it.
fn drive(writing: &Writing<'_>, guest: &Guest<'_>) -> Option<Drive> {
    let vmid = guest.live.vmid;
    let names = [
        format!("vm-{vmid}-cloudinit"),
        format!("{vmid}/vm-{vmid}-cloudinit.qcow2"),
    ];
    ["scsi", "virtio", "sata", "ide"]
        .iter()
        .filter_map(|base| Some((base, Bus::of(base)?)))
        .flat_map(|(base, bus)| {
            let drives = guest.numbered(base).into_iter();
            drives.map(move |(slot, option)| (bus, slot, option))
        })
        .find_map(|(bus, slot, option)| {
            let mut parts = guest.parts(&option, &guest.options[&option]);
            let file = parts.remove("file")?;
            let (key, store, volume) = volume(writing, &file)?;
            parts.remove("size");
            let is_plain =
                parts.remove("media").is_some_and(|media| media == "cdrom") && parts.is_empty();
            (is_plain && names.iter().any(|name| name == volume)).then(|| Drive {
                option,
                bus,
                slot,
                place: (key, store.to_owned()),
            })
        })
}

/// The keys, each as a line; none where one of them is no key.
fn keys(guest: &Guest<'_>) -> Option<Vec<String>> {
    if let Some(user) = guest.options.get("ciuser") {
        Name::parse(user).ok()?;
    }
    let Some(keys) = guest.options.get("sshkeys") else {
        return Some(Vec::new());
    };
    let text = decode_text(keys);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<String> = lines.map(str::to_owned).collect();
    let known = !keys.is_empty() && keys.iter().all(|key| SshKey::parse(key).is_ok());
    known.then_some(keys)
}

/// What is said of each card; none where something of it has no word.
fn addresses(guest: &Guest<'_>) -> Option<Addresses> {
    let mut addresses = Addresses::new();
    for (slot, option) in guest.numbered("ipconfig") {
        // A card in Proxmox VE's own words has its address in these, too.
        said_of_card(guest, &format!("net{slot}"))?;
        let mut said = Vec::new();
        for (key, value) in guest.parts(&option, &guest.options[&option]) {
            let (key, is_address) = match key.as_str() {
                "ip" => ("address", true),
                "gw" => ("gateway", false),
                "ip6" => ("address6", true),
                "gw6" => ("gateway6", false),
                _ => return None,
            };
            if is_address {
                GuestAddress::parse(&value).ok()?;
            }
            said.push((key, value, option.clone()));
        }
        let order = ["address", "gateway", "address6", "gateway6"];
        said.sort_by_key(|(key, ..)| order.iter().position(|known| known == key));
        addresses.insert(slot, said);
    }
    Some(addresses)
}
