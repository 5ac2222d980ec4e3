//! Guests: by VMID, option by option.

use std::collections::BTreeSet;

use super::classes::{self, Circumstances, Kind, slowest};
use super::judge::Judged;
use super::pair::{
    Pair, Sides, is_cd, is_made_up, is_named_elsewhere, is_own_volume, is_volume, moves, volume_of,
};
use super::raw;
use super::value::{self, Difference, Parts, WHOLE};
use super::{Cause, Change, Class, Data, Foreign, Interrupts, Line, Object, Shown, When};
use crate::live::Unread;
use crate::live::secrets::is_blanked;
use crate::pve::{
    DiskSize, GuestConfig, GuestKind, MachineVersion, PropertyString, Release,
    default_processor_and_machine, guest_config, holds_volume, is_drive, is_modern_system,
    is_state,
};
use crate::shell::Command;
use crate::source::Span;
use crate::value::MacAddress;

/// What a guest's comparison gives.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) changes: Vec<Change>,
    pub(super) foreign: Vec<Foreign>,
    pub(super) unread: Vec<Unread>,
}

impl Found {
    /// Notes that something was not read, and so is not compared.
    pub(super) fn not_read(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.unread.push(Unread {
            path: path.into(),
            reason: reason.into(),
        });
    }
}

/// The object of a guest.
pub(super) fn object(kind: GuestKind, vmid: u32) -> Object {
    match kind {
        GuestKind::Qm => Object::Vm(vmid),
        GuestKind::Pct => Object::Ct(vmid),
    }
}

/// The program that changes guests of a kind.
pub(super) fn program(kind: GuestKind) -> &'static str {
    match kind {
        GuestKind::Qm => "qm",
        GuestKind::Pct => "pct",
    }
}

const DESCRIPTION: &str = "description";
const RAW: &str = "lxc";
/// A container's variables, and how its file spells each of them.
const ENVIRONMENT: (&str, &str) = ("env", guest_config::ENVIRONMENT);

/// An option's value, the notes and the raw lines of a container among them.
fn option_of(config: &GuestConfig, key: &str) -> Option<String> {
    match key {
        DESCRIPTION => Some(config.description().to_owned()).filter(|text| !text.is_empty()),
        RAW => {
            let lines: Vec<String> = config
                .raw()
                .filter(|(key, _)| *key != ENVIRONMENT.1)
                .map(|(key, value)| format!("{key}: {value}").trim_end().to_owned())
                .collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        }
        _ if key == ENVIRONMENT.0 && config.kind() == GuestKind::Pct => {
            let own = config.raw().filter(|(key, _)| *key == ENVIRONMENT.1);
            let values: Vec<&str> = own.map(|(_, value)| value).collect();
            (!values.is_empty()).then(|| values.join("\n"))
        }
        _ => config.get(key).map(str::to_owned),
    }
}

/// Compares a guest.
pub(super) fn compare(pair: &Pair<'_>, place: &dyn Fn(&str) -> Option<Span>) -> Found {
    let mut found = Found::default();
    let live = &pair.live.config;
    let circumstances = circumstances_of(live, pair.release);
    let keys: BTreeSet<&str> = [DESCRIPTION, RAW, ENVIRONMENT.0]
        .into_iter()
        .chain(pair.wanted.options().map(|(key, _)| key))
        .chain(live.options().map(|(key, _)| key))
        .chain(pair.live.pending().into_iter().flat_map(|pending| {
            pending
                .options()
                .map(|(key, _)| key)
                .filter(|key| *key != "delete")
        }))
        .filter(|key| !is_state(key))
        .collect();
    for key in keys {
        if key == RAW || key == ENVIRONMENT.0 && live.kind() == GuestKind::Pct {
            raw_lines(pair, key, &circumstances, place(key), &mut found);
        } else {
            option(pair, key, &circumstances, place(key), &mut found);
        }
    }
    memory_with_balloon(&mut found);
    if live.get("lock").is_some() {
        refuse(&mut found);
    }
    found
}

/// Proxmox VE refuses a balloon above the memory, whichever of both is set first (`update_vm` of `PVE::API2::Qemu`): where both
/// change, one command sets them.
fn memory_with_balloon(found: &mut Found) {
    let at = |option: &str| {
        let mut changes = found.changes.iter();
        changes.position(|change| change.option.as_deref() == Some(option))
    };
    let (Some(memory), Some(balloon)) = (at("memory"), at("balloon")) else {
        return;
    };
    let sides: [fn(&mut Change) -> &mut Vec<Command>; 2] =
        [|change| &mut change.commands, |change| &mut change.undo];
    for side in sides {
        let first = side(&mut found.changes[balloon]).clone();
        let second = side(&mut found.changes[memory]).clone();
        let ([first], [second]) = (&first[..], &second[..]) else {
            continue;
        };
        // `qm set 100 --balloon 512`, `qm set 100 --memory 1024`.
        if first.words().get(3).is_some_and(|word| word == "--balloon")
            && let Some(rest) = second.words().get(3..)
        {
            let both = first.clone().args(rest);
            for change in [memory, balloon] {
                *side(&mut found.changes[change]) = vec![both.clone()];
            }
        }
    }
}

/// Nothing of a locked guest can be changed.
fn refuse(found: &mut Found) {
    for change in &mut found.changes {
        change.class = Class::NOW.at(When::Refused);
    }
}

/// What of a guest decides on the class of its changes.
pub(super) fn circumstances_of(live: &GuestConfig, release: Release) -> Circumstances {
    Circumstances {
        kind: live.kind(),
        release,
        hotplug: hotplug(live.get("hotplug")),
        cloud_init_drive: live.options().any(|(_, value)| {
            let volume = value.split(',').next().unwrap_or_default();
            volume.rsplit([':', '/']).next().is_some_and(|name| {
                name == "cloudinit" || name.trim_end_matches(".qcow2").ends_with("-cloudinit")
            })
        }),
        modern_system: takes_usb(live, release),
    }
}

/// `parse_hotplug_features` of qemu-server: `1` is the default, `0` is nothing.
fn hotplug(value: Option<&str>) -> Vec<String> {
    match value.unwrap_or("1") {
        "0" => Vec::new(),
        "1" => ["network", "disk", "usb"].map(str::to_owned).to_vec(),
        list => list
            .split([',', ';', ' '])
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect(),
    }
}

/// Whether USB devices are plugged into a machine while it runs.
fn takes_usb(config: &GuestConfig, release: Release) -> bool {
    MachineVersion::at_start(config, release).has_usb_controller()
        && config.get("ostype").is_some_and(is_modern_system)
}

/// Whether an option, as it is or as it waits, holds a secret, which no copy of a host has: told where the spec says it, too.
fn is_secret(
    pair: &Pair<'_>,
    key: &str,
    values: [&Option<String>; 2],
    wanted: Option<&String>,
    found: &mut Found,
) -> bool {
    let is_secret = values.into_iter().flatten().any(|value| is_blanked(value));
    if is_secret && wanted.is_some() {
        let reason = format!("`{key}` holds a secret, which is not read");
        found.not_read(pair.live.file.path.clone(), reason);
    }
    is_secret
}

/// The raw lines of a container, one by one; no command of Proxmox VE sets them.
fn raw_lines(
    pair: &Pair<'_>,
    key: &str,
    circumstances: &Circumstances,
    spec: Option<Span>,
    found: &mut Found,
) {
    let object = object(pair.live.kind, pair.vmid);
    let current = option_of(&pair.live.config, key);
    let wanted = option_of(pair.wanted, key);
    if is_secret(pair, key, [&current, &current], wanted.as_ref(), found) {
        return;
    }
    let left = pair
        .applied
        .map(|applied| option_of(applied, key).unwrap_or_default());
    let merged = raw::merge(
        current.as_deref().unwrap_or_default(),
        wanted.as_deref().unwrap_or_default(),
        left.as_deref(),
    );
    let foreign = merged.foreign.iter();
    let foreign = foreign.map(|line| Foreign::option(object.clone(), key, line));
    found.foreign.extend(foreign);
    let line = Line {
        path: pair.live.file.path.clone(),
        key: key.to_owned(),
        before: current,
        after: (!merged.lines.is_empty()).then(|| merged.lines.join("\n")),
    };
    let parts = |value: &Option<String>| -> Option<Parts> {
        let value = value.clone()?;
        Some(Parts::from([(WHOLE.to_owned(), value)]))
    };
    for (before, after, cause) in merged.differences {
        let kind = Kind::of(before.as_ref(), after.as_ref());
        let sides = Sides {
            key,
            object: object.clone(),
            current: before.clone(),
            before_parts: parts(&before),
            waiting_parts: parts(&before),
            after_parts: parts(&after),
            before,
            after,
            spec,
        };
        let (before, after) = (sides.before_parts.clone(), sides.after_parts.clone());
        let judged = Judged {
            pair,
            circumstances,
            sides: &sides,
            kind,
            before: &before.unwrap_or_default(),
            after: &after.unwrap_or_default(),
            part: None,
        };
        let class = judged.class(classes::of_option(key, WHOLE, kind, circumstances));
        found.changes.push(Change {
            object: sides.object,
            option: Some(key.to_owned()),
            before: sides.before,
            after: sides.after,
            class,
            cause,
            commands: Vec::new(),
            undo: Vec::new(),
            spec,
            line: Some(line.clone()),
        });
    }
}

fn option(
    pair: &Pair<'_>,
    key: &str,
    circumstances: &Circumstances,
    spec: Option<Span>,
    found: &mut Found,
) {
    let object = object(pair.live.kind, pair.vmid);
    let current = option_of(&pair.live.config, key);
    let wanted = option_of(pair.wanted, key);
    let waiting = match key {
        DESCRIPTION => current.clone(),
        _ => pair.live.wanted(key).map(str::to_owned),
    };
    if is_secret(pair, key, [&current, &waiting], wanted.as_ref(), found) {
        return;
    }
    let config_file = pair.live.kind.config_file();
    let parts = |value: &Option<String>| {
        let parts = value.as_deref().map(|value| {
            let mut parts = value::parts(config_file, key, value);
            without_state(key, &mut parts);
            parts
        });
        of_architecture(pair, key, parts)
    };
    let (now, later, after) = (parts(&current), parts(&waiting), parts(&wanted));
    let differ = |before: &Option<Parts>| {
        let differences = value::differences(config_file, key, before.as_ref(), after.as_ref());
        let real = differences.into_iter().filter(|difference| {
            !is_derived(pair, key, difference, before.is_some())
                && !is_ejected(pair, key, difference)
        });
        // What a file does not say of a disk's size is known elsewhere, or is no difference.
        let real = real.filter(|(part, old, new)| {
            part != "size"
                || !holds_volume(key)
                || new.is_some() && (old.is_some() || size_of(pair, before.as_ref()).is_some())
        });
        real.collect::<Vec<Difference>>()
    };
    if wanted.is_none() {
        return gone(
            pair,
            key,
            circumstances,
            &object,
            current.as_deref(),
            now.as_ref(),
            spec,
            found,
        );
    }
    let by_now = differ(&now);
    let by_then = differ(&later);
    if by_now.is_empty() || by_then.is_empty() {
        if current != waiting && by_now.is_empty() != by_then.is_empty() {
            found
                .foreign
                .push(Foreign::waiting(object, key, waiting.as_deref()));
        }
        return;
    }
    // What a change costs hangs on what is in force, and it replaces what waits.
    let sides = Sides {
        key,
        object,
        before: waiting,
        current,
        waiting_parts: later,
        before_parts: now,
        after: wanted,
        after_parts: after,
        spec,
    };
    changed(pair, circumstances, sides, by_now, found);
}

/// An option that the host has and the spec does not.
#[expect(clippy::too_many_arguments, reason = "one call")]
fn gone(
    pair: &Pair<'_>,
    key: &str,
    circumstances: &Circumstances,
    object: &Object,
    current: Option<&str>,
    now: Option<&Parts>,
    spec: Option<Span>,
    found: &mut Found,
) {
    let (Some(value), Some(_)) = (current, now) else {
        return;
    };
    let config_file = pair.live.kind.config_file();
    if value::differences(config_file, key, now, None).is_empty() {
        return;
    }
    if pair.live.pending_deletions().contains(&key) {
        found
            .foreign
            .push(Foreign::waiting(object.clone(), key, None));
        return;
    }
    let left = pair.applied.and_then(|applied| option_of(applied, key));
    if left.is_none() {
        found
            .foreign
            .push(Foreign::option(object.clone(), key, value));
        return;
    }
    let sides = Sides {
        key,
        object: object.clone(),
        before: Some(value.to_owned()),
        current: Some(value.to_owned()),
        waiting_parts: now.cloned(),
        before_parts: now.cloned(),
        after: None,
        after_parts: None,
        spec,
    };
    changed(pair, circumstances, sides, Vec::new(), found);
}

/// What Proxmox VE writes into a value by itself.
fn without_state(key: &str, parts: &mut Parts) {
    let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
    if parts.get("media").is_some_and(|media| media == "cdrom") || is_cloud_init(parts) {
        parts.remove("size");
    }
    if matches!(base, "efidisk" | "tpmstate") {
        parts.remove("size");
        parts.remove("ms-cert");
    }
}

fn is_cloud_init(parts: &Parts) -> bool {
    parts
        .get("file")
        .is_some_and(|file| file.contains("cloudinit"))
}

/// A MAC address or a UUID that moxc made up: the one that the host has will do.
fn is_derived(pair: &Pair<'_>, key: &str, difference: &Difference, there: bool) -> bool {
    if key == "vmgenid" {
        return is_any_generation(difference);
    }
    let (part, before, Some(after)) = difference else {
        return false;
    };
    // A card without an address has another one at each start: whichever will do.
    let is_address = matches!(part.as_str(), "macaddr" | "hwaddr") && key.starts_with("net");
    let Some(before) = before else {
        return is_address && there && derived_mac(pair, after);
    };
    let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
    match (base, part.as_str()) {
        _ if !there || before.is_empty() => false,
        ("net", "macaddr" | "hwaddr") => derived_mac(pair, after),
        // The name of a volume that the spec does not name is made up: the one that the last run left will do.
        (_, "file" | "volume") if holds_volume(key) => {
            let left = pair.applied.and_then(|left| left.get(key));
            let left = left.and_then(|left| left.split(',').next());
            // Where no run has filled the slot, or not from this storage, or was cut off, its own volume is the one that is meant.
            let is_meant = match left.filter(|left| store(left) == store(before)) {
                Some(left) => left == before,
                None => is_own_volume(pair, before),
            };
            is_made_up(pair, key, after)
                && store(before).is_some()
                && store(before) == store(after)
                && is_meant
                && !is_named_elsewhere(pair, before)
        }
        ("smbios", "uuid") => is_derived_uuid(after),
        _ => false,
    }
}

/// Whether the generation that a machine has will do: Proxmox VE gives it a new one at each rollback and clone. `1` asks
/// for one, `0` is none.
fn is_any_generation((_, before, after): &Difference) -> bool {
    match (before.as_deref(), after.as_deref()) {
        (Some("0"), _) | (_, None) => false,
        (before, Some("1")) => before.is_some(),
        (_, Some(after)) => is_derived_uuid(after),
    }
}

/// Version 8 is what moxc writes; Proxmox VE's own are of version 4.
fn is_derived_uuid(uuid: &str) -> bool {
    uuid.as_bytes().get(14) == Some(&b'8')
}

/// The storage of a volume.
fn store(volume: &str) -> Option<&str> {
    volume.split_once(':').map(|(store, _)| store)
}

fn derived_mac(pair: &Pair<'_>, mac: &str) -> bool {
    (0..64).any(|card| {
        [
            MacAddress::derive(pair.host, pair.vmid, card),
            MacAddress::derive_second(pair.host, pair.vmid, card),
        ]
        .iter()
        .any(|derived| derived.to_string() == mac)
    })
}

/// With what a guest of another architecture has where it names none: the schema's defaults are a PC's.
fn of_architecture(pair: &Pair<'_>, key: &str, parts: Option<Parts>) -> Option<Parts> {
    let arch = pair.live.config.get("arch");
    let (processor, machine) = default_processor_and_machine(arch, pair.release);
    let (part, default) = match key {
        "cpu" => ("cputype", processor),
        "machine" => ("type", machine),
        _ => return parts,
    };
    if arch.is_none_or(|arch| arch == "x86_64") {
        return parts;
    }
    let mut parts = parts.unwrap_or_default();
    parts
        .entry(part.to_owned())
        .or_insert_with(|| default.to_owned());
    Some(parts)
}

/// A disc that was put in by the last run and has been taken out since.
fn is_ejected(pair: &Pair<'_>, key: &str, difference: &Difference) -> bool {
    let (part, Some(before), Some(after)) = difference else {
        return false;
    };
    let left = pair.applied.and_then(|applied| applied.get(key));
    part == "file"
        && before == "none"
        && left.is_some_and(|left| left.split(',').next() == Some(after))
}

/// A disk's size as its storage tells it.
fn size_of(pair: &Pair<'_>, parts: Option<&Parts>) -> Option<DiskSize> {
    let parts = parts?;
    let volume = parts.get("file").or_else(|| parts.get("volume"))?;
    let stored = pair.volumes.iter().find(|stored| stored.id == *volume)?;
    Some(DiskSize::from_bytes(stored.size))
}

/// A line of a guest's file that comes, goes or becomes another one.
struct Changed<'a> {
    pair: &'a Pair<'a>,
    circumstances: &'a Circumstances,
    sides: Sides<'a>,
    before: Parts,
    after: Parts,
    line: Line,
    /// Whether a volume goes that waits in the line's place.
    drops: bool,
}

fn changed(
    pair: &Pair<'_>,
    circumstances: &Circumstances,
    mut sides: Sides<'_>,
    differences: Vec<Difference>,
    found: &mut Found,
) {
    let kind = Kind::of(sides.current.as_ref(), sides.after.as_ref());
    let by_hand = edits_beside(pair, &sides, &differences);
    let after = sides.after.as_deref();
    let line = Line {
        path: pair.live.file.path.clone(),
        key: sides.key.to_owned(),
        before: sides.before.clone(),
        after: after.map(|after| keeping(pair, &sides, after, &by_hand)),
    };
    let before = sides.before_parts.take().unwrap_or_default();
    let after = sides.after_parts.take().unwrap_or_default();
    let changed = Changed {
        drops: drops_what_waits(pair, &sides, &before, &after),
        pair,
        circumstances,
        sides,
        before,
        after,
        line,
    };
    match kind {
        Kind::Change => changed.by_parts(differences, &by_hand, found),
        Kind::Add | Kind::Remove => found.changes.push(changed.whole_line(kind)),
    }
}

impl Changed<'_> {
    fn whole_line(self, kind: Kind) -> Change {
        let (pair, sides) = (self.pair, &self.sides);
        let parts = if kind == Kind::Add {
            &self.after
        } else {
            &self.before
        };
        let turned = turned(pair, sides, kind, &self.before, &self.after);
        let mut class =
            classes::of_option(sides.key, whole_part(parts), turned, self.circumstances);
        let holds_none = || !volume_of(parts).is_some_and(is_volume);
        if is_drive(sides.key)
            && kind == Kind::Remove
            && (is_cd(parts) || holds_none() || before_is_elsewhere(pair, parts))
        {
            class.data = Data::Kept;
        }
        let class = self.judged(class, kind, None);
        let class = self.with_dropped(class);
        // A volume that comes is allocated.
        let argument = match kind {
            Kind::Add if !comes_from_another_slot(pair, &self.after) => {
                let after = self.line.after.as_deref();
                after.map(|after| pair.making.argument(sides.key, after))
            }
            Kind::Add | Kind::Remove | Kind::Change => self.line.after.clone(),
        };
        let (before, after) = (sides.before.as_deref(), sides.after.as_deref());
        Change {
            cause: cause(pair, sides.key, None, before, after),
            commands: set(pair, sides.key, argument.as_deref(), class),
            undo: set(pair, sides.key, before, class),
            object: self.sides.object,
            option: Some(self.sides.key.to_owned()),
            before: self.sides.before,
            after: self.sides.after,
            class,
            spec: self.sides.spec,
            line: Some(self.line),
        }
    }

    /// Growing and moving have commands of their own; what somebody changed by hand stays; the rest of the line is set as one.
    fn by_parts(
        &self,
        differences: Vec<Difference>,
        by_hand: &BTreeSet<String>,
        found: &mut Found,
    ) {
        let (pair, sides) = (self.pair, &self.sides);
        let is_another = differences.iter().any(|(part, old, new)| {
            matches!(part.as_str(), "file" | "volume")
                && !by_hand.contains(part)
                && !matches!((old, new), (Some(old), Some(new)) if moves(pair, sides.key, old, new))
        });
        let (own, rest): (Vec<Difference>, Vec<Difference>) = differences
            .into_iter()
            // Another volume has its own size.
            .filter(|(part, _, _)| !(is_another && holds_volume(sides.key) && part == "size"))
            .partition(|difference| is_own_command(pair, sides.key, difference, &self.before));
        let (edits, set_as_one): (Vec<Difference>, Vec<Difference>) = rest
            .into_iter()
            .partition(|(part, _, _)| by_hand.contains(part));
        let is_done = |one: &&Difference| !is_by_hand(pair, sides.key, one);
        let done: Vec<Difference> = own.iter().filter(is_done).cloned().collect();
        let own = own.into_iter();
        let own = own.map(|one| own_command(pair, sides, &self.line, &self.before, one));
        found.changes.extend(own);
        found
            .changes
            .extend(edits.into_iter().map(|edit| self.edit(edit)));
        self.set_as_one(set_as_one, is_another, &done, found);
    }

    /// What somebody changed by hand. The line as a whole would be set, and the rest of it is another change.
    fn edit(&self, edit: Difference) -> Change {
        let class = self.class_of(&edit);
        let (part, before, after) = edit;
        Change {
            object: self.sides.object.clone(),
            option: Some(option_name(&self.sides, &part)),
            before,
            after,
            class,
            cause: Cause::Host,
            commands: Vec::new(),
            undo: Vec::new(),
            spec: self.sides.spec,
            line: Some(self.line.clone()),
        }
    }

    /// The parts that one command sets, once those of `done` have commands of their own.
    fn set_as_one(
        &self,
        differences: Vec<Difference>,
        is_another: bool,
        done: &[Difference],
        found: &mut Found,
    ) {
        let (pair, sides) = (self.pair, &self.sides);
        let mut classes: Vec<Class> = differences.iter().map(|one| self.class_of(one)).collect();
        let parts = differences.iter().map(|(part, _, _)| part.as_str());
        if let Some(anew) = made_anew(pair.live.kind, sides.key, parts.zip(&classes)) {
            classes.fill(anew);
        }
        for class in &mut classes {
            *class = self.with_dropped(*class);
        }
        let Some(slow) = slowest(classes.iter().copied()) else {
            return;
        };
        let argument = self.line.after.as_deref().map(|after| {
            if is_another && !comes_from_another_slot(pair, &self.after) {
                // A volume that nobody has yet is allocated.
                pair.making.argument(sides.key, after)
            } else {
                once_done(after, done)
            }
        });
        // What is taken back last is what was done first.
        let undone = sides.before.as_deref();
        let undone = undone.map(|before| once_done(before, done));
        // One part that waits, or is refused, holds the whole line back. Else each is in force when it is.
        let whole =
            slow.shown == Shown::Pending || matches!(slow.when, When::Refused | When::Recreate);
        for ((part, before, after), own) in differences.into_iter().zip(classes) {
            let class = if whole { slow } else { own };
            let (old, new) = (before.as_deref(), after.as_deref());
            found.changes.push(Change {
                object: sides.object.clone(),
                option: Some(option_name(sides, &part)),
                cause: cause(pair, sides.key, Some(&part), old, new),
                before,
                after,
                class,
                commands: set(pair, sides.key, argument.as_deref(), class),
                undo: set(pair, sides.key, undone.as_deref(), class),
                spec: sides.spec,
                line: Some(self.line.clone()),
            });
        }
    }

    /// The class of one part.
    fn class_of(&self, (part, old, new): &Difference) -> Class {
        let of = if part == "file" && is_cd(&self.after) && is_cd(&self.before) {
            "cd"
        } else {
            part
        };
        let kind = Kind::of(old.as_ref(), new.as_ref());
        let turned = turned(self.pair, &self.sides, kind, &self.before, &self.after);
        let class = classes::of_option(self.sides.key, of, turned, self.circumstances);
        self.judged(class, kind, Some(part))
    }

    fn judged(&self, class: Class, kind: Kind, part: Option<&str>) -> Class {
        let judged = Judged {
            pair: self.pair,
            circumstances: self.circumstances,
            sides: &self.sides,
            kind,
            before: &self.before,
            after: &self.after,
            part,
        };
        judged.class(class)
    }

    fn with_dropped(&self, mut class: Class) -> Class {
        if self.drops {
            class.data = class.data.max(Data::Detached);
        }
        class
    }
}

/// A drive's line once its volume was moved or has grown.
fn once_done(line: &str, done: &[Difference]) -> String {
    let mut line = line.to_owned();
    for (part, before, after) in done {
        let (Some(before), Some(after)) = (before, after) else {
            continue;
        };
        if part == "size" {
            line = line.replacen(&format!("size={before}"), &format!("size={after}"), 1);
        } else {
            line = line.replacen(before, after, 1);
        }
    }
    line
}

fn option_name(sides: &Sides<'_>, part: &str) -> String {
    if part == WHOLE {
        sides.key.to_owned()
    } else {
        format!("{}.{part}", sides.key)
    }
}

/// Whether somebody changed that part of an option on the host, and the spec did not.
fn is_by_hand(pair: &Pair<'_>, key: &str, (part, before, after): &Difference) -> bool {
    let (before, after) = (before.as_deref(), after.as_deref());
    cause(pair, key, Some(part), before, after) == Cause::Host
}

/// The parts of a line that somebody changed by hand, where the spec has changed others since: they stay as they are when the
/// line is set.
fn edits_beside(
    pair: &Pair<'_>,
    sides: &Sides<'_>,
    differences: &[Difference],
) -> BTreeSet<String> {
    let (by_hand, others): (Vec<&Difference>, Vec<&Difference>) = differences
        .iter()
        .partition(|one| is_by_hand(pair, sides.key, one));
    if others.is_empty() {
        return BTreeSet::new();
    }
    by_hand.into_iter().map(|(part, ..)| part.clone()).collect()
}

/// The class of a device that is taken out and put in again, which brings every part of its line into force: a disk with
/// another volume, a card with another model or address (`vmconfig_update_disk` and `vmconfig_update_net` of qemu-server,
/// `update_net` of pve-container).
fn made_anew<'a>(
    kind: GuestKind,
    key: &str,
    classes: impl Iterator<Item = (&'a str, &'a Class)>,
) -> Option<Class> {
    let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let makes_anew = |part: &str| match (kind, base) {
        (GuestKind::Qm, "scsi" | "virtio") => part == "file",
        (GuestKind::Qm, "net") => matches!(part, "model" | "macaddr" | "queues" | "mtu"),
        (GuestKind::Pct, "net") => matches!(part, "hwaddr" | "name"),
        (GuestKind::Qm | GuestKind::Pct, _) => false,
    };
    let mut anew = None;
    for (part, class) in classes {
        if class.when == When::Refused || class.when == When::Recreate {
            return None;
        }
        if makes_anew(part) && class.when == When::Now && class.interrupts == Interrupts::Device {
            anew = Some(*class);
        }
    }
    anew
}

/// What becomes of a switch: it is turned on or off, whether the file says so or a default does.
fn turned(pair: &Pair<'_>, sides: &Sides<'_>, kind: Kind, before: &Parts, after: &Parts) -> Kind {
    let config_file = pair.live.kind.config_file();
    let is_switch = config_file
        .option(sides.key)
        .is_some_and(crate::pve::schema::OptionSchema::is_boolean);
    let default = value::default(config_file, sides.key, WHOLE);
    match default {
        Some(default) if is_switch => {
            let is_on = |parts: &Parts| parts.get(WHOLE).unwrap_or(&default) == "1";
            match (is_on(before), is_on(after)) {
                (false, true) => Kind::Add,
                (true, false) => Kind::Remove,
                (true, true) | (false, false) => kind,
            }
        }
        _ => kind,
    }
}

fn whole_part(parts: &Parts) -> &'static str {
    if is_cd(parts) { "cd" } else { WHOLE }
}

/// Whether the volume goes on in another slot, as a disk that changes its bus does.
fn before_is_elsewhere(pair: &Pair<'_>, parts: &Parts) -> bool {
    let config_file = pair.wanted.kind().config_file();
    let Some(volume) = volume_of(parts) else {
        return false;
    };
    pair.wanted.options().any(|(key, value)| {
        // The name of a volume that the spec does not name means nothing in a slot that has one already.
        let is_meant = pair.making.vmid.is_empty()
            || pair.making.existing.iter().any(|named| named == key)
            || pair.live.config.get(key).is_none();
        is_drive(key)
            && is_meant
            && volume_of(&value::parts(config_file, key, value)) == Some(volume)
    })
}

/// Whether a volume was to come at the next start, and no longer is (`vmconfig_register_unused_drive` of qemu-server).
fn drops_what_waits(pair: &Pair<'_>, sides: &Sides<'_>, before: &Parts, after: &Parts) -> bool {
    // Of a container, it is left where it is, and no line names it.
    let is_told = pair.live.kind == GuestKind::Qm && is_drive(sides.key);
    let Some(waiting) = sides.waiting_parts.as_ref().filter(|_| is_told) else {
        return false;
    };
    let volume = volume_of(waiting);
    volume.is_some_and(is_volume)
        && !is_cd(waiting)
        && volume != volume_of(before)
        && volume != volume_of(after)
        && !before_is_elsewhere(pair, waiting)
}

/// Whether the volume is in a slot that goes: a disk that changes its bus.
fn comes_from_another_slot(pair: &Pair<'_>, parts: &Parts) -> bool {
    let config_file = pair.wanted.kind().config_file();
    let volume = volume_of(parts);
    volume.is_some()
        && pair.live.config.options().any(|(key, value)| {
            is_drive(key)
                && pair.wanted.get(key).is_none()
                && volume_of(&value::parts(config_file, key, value)) == volume
        })
}

/// Whether a difference is a disk that grows, shrinks, or moves to another storage.
fn is_own_command(pair: &Pair<'_>, key: &str, difference: &Difference, before: &Parts) -> bool {
    if !holds_volume(key) || is_cd(before) {
        return false;
    }
    match difference {
        (part, old, Some(_)) if part == "size" => {
            old.is_some() || size_of(pair, Some(before)).is_some()
        }
        (part, Some(old), Some(new)) if part == "file" || part == "volume" => {
            moves(pair, key, old, new)
        }
        _ => false,
    }
}

fn own_command(
    pair: &Pair<'_>,
    sides: &Sides<'_>,
    line: &Line,
    before_parts: &Parts,
    (part, before, after): Difference,
) -> Change {
    let kind = pair.live.kind;
    let call = |verb: &[&str], what: &str| {
        let command = Command::new(program(kind)).args(verb).arg(pair.vmid);
        command.arg(sides.key).arg(what)
    };
    let wanted = after.clone().unwrap_or_default();
    let (class, commands, undo) = if part == "size" {
        let known = before.as_ref().and_then(|size| size.parse().ok());
        let old: Option<DiskSize> = known.or_else(|| size_of(pair, Some(before_parts)));
        let new: Option<DiskSize> = wanted.parse().ok();
        if new > old {
            let verb: &[&str] = match kind {
                GuestKind::Qm => &["disk", "resize"],
                GuestKind::Pct => &["resize"],
            };
            (Class::COMMAND, vec![call(verb, &wanted)], Vec::new())
        } else {
            (Class::RECREATE, Vec::new(), Vec::new())
        }
    } else {
        let store = |volume: &str| volume.split(':').next().unwrap_or_default().to_owned();
        let verb: &[&str] = match kind {
            GuestKind::Qm => &["disk", "move"],
            GuestKind::Pct => &["move-volume"],
        };
        let to = |volume: &str| vec![call(verb, &store(volume)).args(["--delete", "1"])];
        let class = if kind == GuestKind::Pct && pair.running != Some(false) {
            Class::NOW.at(When::Refused)
        } else {
            Class::COMMAND
        };
        (
            class,
            to(&wanted),
            to(before.as_deref().unwrap_or_default()),
        )
    };
    Change {
        object: sides.object.clone(),
        option: Some(format!("{}.{part}", sides.key)),
        cause: cause(
            pair,
            sides.key,
            Some(&part),
            before.as_deref(),
            after.as_deref(),
        ),
        before,
        after,
        class,
        commands,
        undo,
        spec: sides.spec,
        line: Some(line.clone()),
    }
}

/// The wanted value with what the host adds to it by itself.
fn keeping(pair: &Pair<'_>, sides: &Sides<'_>, after: &str, by_hand: &BTreeSet<String>) -> String {
    let config_file = pair.live.kind.config_file();
    let Some(keys) = config_file
        .option(sides.key)
        .and_then(crate::pve::schema::OptionSchema::sub_options)
    else {
        return after.to_owned();
    };
    let (Some(before), Ok(_)) = (sides.current.as_deref(), PropertyString::parse(after)) else {
        return after.to_owned();
    };
    let old = value::parts(config_file, sides.key, before);
    let mut new = value::parts(config_file, sides.key, after);
    let same_volume = volume_of(&old) == volume_of(&new)
        || matches!((volume_of(&old), volume_of(&new)), (Some(old), Some(new)) if moves(pair, sides.key, old, new))
        || ["file", "volume"].iter().any(|part| {
            let difference = (
                (*part).to_owned(),
                old.get(*part).cloned(),
                new.get(*part).cloned(),
            );
            is_derived(pair, sides.key, &difference, true)
        });
    if holds_volume(sides.key) {
        // `disk move` and `disk resize` see to these.
        for part in ["file", "volume", "size", "ms-cert"] {
            match old.get(part) {
                Some(value) if same_volume => {
                    new.insert(part.to_owned(), value.clone());
                }
                _ => {}
            }
        }
    }
    for part in by_hand {
        match old.get(part) {
            Some(value) => new.insert(part.clone(), value.clone()),
            None => new.remove(part),
        };
        // A volume has its own size.
        if let ("file" | "volume", Some(size)) = (part.as_str(), old.get("size")) {
            new.insert("size".to_owned(), size.clone());
        }
    }
    // What the host spells out and is meant anyhow stays, so that the line changes where it has to and nowhere else.
    for (part, value) in &old {
        if !new.contains_key(part)
            && value::default(config_file, sides.key, part).as_ref() == Some(value)
        {
            new.insert(part.clone(), value.clone());
        }
    }
    // What is meant anyhow and nobody spelled out is not spelled out now: Proxmox VE would take it for a change.
    new.retain(|part, value| {
        old.contains_key(part)
            || value::default(config_file, sides.key, part).as_ref() != Some(value)
            || keys
                .get(part)
                .is_some_and(crate::pve::schema::OptionSchema::is_required)
    });
    for part in ["macaddr", "hwaddr", "uuid"] {
        if let (Some(value), Some(given)) = (old.get(part), new.get(part)) {
            let difference = (part.to_owned(), Some(value.clone()), Some(given.clone()));
            if is_derived(pair, sides.key, &difference, true) {
                new.insert(part.to_owned(), value.clone());
            }
        }
    }
    // What stays is spelled as it was: a MAC address in small letters is another one to Proxmox VE.
    for (part, value) in value::spelled(config_file, sides.key, before) {
        if let Some(new) = new
            .get_mut(&part)
            .filter(|new| old.get(&part) == Some(*new))
        {
            *new = value;
        }
    }
    let mut printed = PropertyString::new();
    for (name, value) in &new {
        match printed.clone().with(name, value) {
            Ok(more) => printed = more,
            Err(_) => return after.to_owned(),
        }
    }
    if new.is_empty() {
        return after.to_owned();
    }
    printed.canonical(keys)
}

/// The command that sets an option, or takes it away.
fn set(pair: &Pair<'_>, key: &str, value: Option<&str>, class: Class) -> Vec<Command> {
    // What is made anew is not set.
    if class.when == When::Recreate {
        return Vec::new();
    }
    let call = || {
        Command::new(program(pair.live.kind))
            .arg("set")
            .arg(pair.vmid)
    };
    let mut commands = vec![match value {
        Some(value) => call().arg(format!("--{key}")).arg(value),
        None => call().arg("--delete").arg(key),
    }];
    if let Some(boot) = value.and_then(|value| boot_without(pair, key, value)) {
        commands.push(call().arg("--boot").arg(boot));
    }
    commands
}

/// The order of boot devices that is to stay, where setting a disc's drive would append the drive to it (`update_vm_api` of
/// qemu-server).
fn boot_without<'a>(pair: &'a Pair<'_>, key: &str, value: &str) -> Option<&'a str> {
    let file = pair.live.kind.config_file();
    let parts = value::parts(file, key, value);
    if pair.live.kind != GuestKind::Qm || !is_drive(key) || !is_cd(&parts) || is_cloud_init(&parts)
    {
        return None;
    }
    let order_of = |boot: &str| value::parts(file, "boot", boot).remove("order");
    let live = pair.live.config.get("boot")?;
    let boot = pair.wanted.get("boot").unwrap_or(live);
    let lacks = |boot: &str| {
        order_of(boot).is_some_and(|order| !order.split([';', ',', ' ']).any(|own| own == key))
    };
    (lacks(live) && lacks(boot)).then_some(boot)
}

/// Who changed a value since the last run.
fn cause(
    pair: &Pair<'_>,
    key: &str,
    part: Option<&str>,
    before: Option<&str>,
    after: Option<&str>,
) -> Cause {
    let Some(applied) = pair.applied else {
        return Cause::Unknown;
    };
    let left = option_of(applied, key);
    let config_file = pair.live.kind.config_file();
    if let Some(part) = part {
        let parts = left.map(|left| value::parts(config_file, key, &left));
        let left = parts.as_ref().and_then(|parts| parts.get(part));
        let left = left.map(String::as_str);
        // Of a name that is made up the spec wants none in particular.
        let is_any = |after: &&str| {
            matches!(part, "file" | "volume")
                && holds_volume(key)
                && is_made_up(pair, key, after)
                && left.and_then(store) == store(after)
        };
        let after = if after.as_ref().is_some_and(is_any) {
            left
        } else {
            after
        };
        return Cause::of(left, before, after);
    }
    let parts = |value: Option<&str>| value.map(|value| value::parts(config_file, key, value));
    let (old, now) = (parts(left.as_deref()), parts(before));
    // Another order of the same is no change.
    if value::differences(config_file, key, old.as_ref(), now.as_ref()).is_empty() {
        return Cause::Spec;
    }
    Cause::of(left.as_deref(), before, after)
}
