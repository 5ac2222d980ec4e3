//! Judging one option: its name, its release, its value.

use std::ops::Range;

use super::format::{self, Verdict};
use super::{
    ConfigFile, FaultKind, Life, OptionFault, OptionSchema, Options, SubOptions, ValueType,
};
use crate::near::nearest;
use crate::pve::guest_config::parse_boolean;
use crate::pve::property::{PropertyPart, parts};
use crate::pve::{Release, since};

/// Judges an option as Proxmox's API would, for a release.
///
/// The file parser of Proxmox is more lenient: it lets values outside an option's list, limits or
/// pattern pass, and the guest then fails to start. What is not known is not judged: formats
/// without a name in the data, and options that only older releases had.
///
/// ```
/// use moxc::pve::{ConfigFile, FaultKind, Release, check_option};
///
/// let fault = check_option(ConfigFile::Qm, Release::new(8, 1), "bios", "uefi").unwrap_err();
/// assert_eq!(fault.kind, FaultKind::NotListed);
/// assert_eq!(fault.help.as_deref(), Some("write one of `seabios`, `ovmf`"));
/// ```
pub fn check_option(
    file: ConfigFile<'_>,
    release: Release,
    key: &str,
    value: &str,
) -> Result<(), OptionFault> {
    let judge = Judge {
        file,
        release: release.known(),
    };
    let Some(option) = judge.find(key)? else {
        return Ok(());
    };
    if option.is_only_a_name() || (key == "boot" && value.trim().is_empty()) {
        return Ok(());
    }
    if key == "content" {
        judge.contents(value)?;
    }
    if key == "format" {
        judge.image_format(value)?;
    }
    judge.value(option, key, value, 0, Spelling::of(file))
}

/// Judges the options of one section or file together: what is required, what needs another.
pub(crate) fn check_requirements<'k>(
    file: ConfigFile<'_>,
    keys: impl Iterator<Item = &'k str> + Clone,
) -> Vec<OptionFault> {
    let Some(table) = file.table() else {
        return Vec::new();
    };
    missing(table, keys, |name| format!("{file} needs `{name}`")).collect()
}

fn missing<'k>(
    table: &'static Options,
    keys: impl Iterator<Item = &'k str> + Clone,
    describe: impl Fn(&str) -> String,
) -> impl Iterator<Item = OptionFault> {
    let given = keys.clone();
    let has = move |name: &str| given.clone().any(|key| key == name);
    let needed = keys.filter_map(move |key| Some((key, table.get(key)?.requires?)));
    let has_needed = has.clone();
    table
        .iter()
        .filter(move |(name, spec)| spec.required && !has(name))
        .map(move |(name, _)| OptionFault::at_key(FaultKind::Missing, describe(name)))
        .chain(
            needed
                .filter(move |(_, other)| !has_needed(other))
                .map(|(key, other)| {
                    OptionFault::at_key(
                        FaultKind::Missing,
                        format!("`{key}` works only together with `{other}`"),
                    )
                }),
        )
}

/// How booleans and numbers may be spelt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// On a guest's own line: digits without a sign; any boolean.
    Line,
    /// Inside a property string: any number; any boolean.
    Part,
    /// In a section file: any number; `1` and `0`.
    Section,
}

impl Spelling {
    fn of(file: ConfigFile<'_>) -> Self {
        match file {
            ConfigFile::Qm | ConfigFile::Pct => Self::Line,
            _ if file.only_numeric_booleans() => Self::Section,
            _ => Self::Part,
        }
    }
}

struct Judge<'a> {
    file: ConfigFile<'a>,
    release: Release,
}

impl Judge<'_> {
    /// The option by its name; nothing if it belongs to a section type of the past.
    fn find(&self, key: &str) -> Result<Option<&'static OptionSchema>, OptionFault> {
        let Self { file, release } = *self;
        if !file.document().kinds.is_empty() {
            let Some(kind) = file.section_kind() else {
                return Err(unknown(
                    FaultKind::UnknownKind,
                    &format!("Proxmox knows no {file}", file = kind_phrase(file)),
                    match file {
                        ConfigFile::Storage(name) | ConfigFile::Job(name) => name,
                        _ => key,
                    },
                    file.section_kinds(),
                ));
            };
            self.life(&kind.life(), || kind_phrase(file))?;
            if kind.options.is_none() {
                return Ok(None);
            }
        }
        let dashed;
        let mut key = key;
        if file == ConfigFile::Answer {
            // The installer of 8.2 and 8.3 spells keys with `_`, the data with `-`.
            let (section, leaf) = key.rsplit_once('.').unwrap_or(("", key));
            dashed = format!("{section}.{}", leaf.replace('_', "-"));
            if file
                .table()
                .is_some_and(|table| table.contains_key(dashed.as_str()))
            {
                let wanted = super::answer_key(release, &dashed[section.len() + 1..]);
                if leaf != wanted {
                    let message = format!("the installer of {release} has no `{leaf}`");
                    return Err(OptionFault::at_key(FaultKind::UnknownOption, message)
                        .with_help(format!("write `{wanted}`")));
                }
                key = &dashed;
            }
        }
        let Some(found) = file.indexed(key) else {
            let message = format!("{file} has no option `{key}`");
            return Err(unknown(
                FaultKind::UnknownOption,
                &message,
                key,
                file.option_names(),
            ));
        };
        if !found.in_range {
            let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
            let last = found.option.last_index.unwrap_or(0);
            let message = format!("{file} has no option `{key}`");
            return Err(OptionFault::at_key(FaultKind::IndexOutOfRange, message)
                .with_help(format!("use `{base}0` to `{base}{last}`")));
        }
        self.life(&found.option.life(), || format!("`{key}`"))?;
        match found.option.alias.and_then(|alias| file.option(alias)) {
            Some(meant) => Ok(Some(meant)),
            None => Ok(Some(found.option)),
        }
    }

    /// Whether the release has something; the fault is at the key.
    fn life(&self, life: &Life, name: impl FnOnce() -> String) -> Result<(), OptionFault> {
        let release = self.release;
        if life.is_in(release) {
            return Ok(());
        }
        let name = name();
        let (kind, message, help) = match (life.since, life.until) {
            (Some(since), _) if release < since => (
                FaultKind::NotYet { since },
                format!("Proxmox VE {release} does not have {name} yet"),
                format!("it has existed since {since}"),
            ),
            (_, Some(until)) if release > until => (
                FaultKind::Gone { until },
                format!("Proxmox VE {release} no longer has {name}"),
                format!("{until} was the last release that had it"),
            ),
            _ => (
                FaultKind::AbsentHere,
                format!("Proxmox VE {release} does not have {name}"),
                "releases before and after have it".to_owned(),
            ),
        };
        Err(OptionFault::at_key(kind, message).with_help(help))
    }

    /// `offset` is where `value` starts in the option's whole value.
    fn value(
        &self,
        spec: &'static OptionSchema,
        key: &str,
        value: &str,
        offset: usize,
        spelling: Spelling,
    ) -> Result<(), OptionFault> {
        let range = offset..offset + value.len();
        self.kind_of_value(spec, key, value, &range, spelling)?;
        if let Some(keys) = spec.sub_options_of(self.file) {
            self.property_string(spec, keys, key, value, offset)?;
        } else if let Some(name) = spec.format
            && spec.format_since.is_none_or(|since| self.release >= since)
        {
            named_format(name, key, value, offset)?;
        }
        if let Some(pattern) = spec.pattern_in(self.release)
            && !pattern.matches(value)
        {
            let message = format!("`{value}` is not a valid value of `{key}`");
            let fault = OptionFault::at(FaultKind::WrongForm, range, message);
            return Err(match form_of(key, pattern.text()) {
                Some(form) => fault.with_help(form),
                None => fault,
            });
        }
        length(spec, key, value, &range)?;
        limits(spec, key, value, &range)?;
        self.listed(spec, key, value, range)
    }

    fn kind_of_value(
        &self,
        spec: &OptionSchema,
        key: &str,
        value: &str,
        range: &Range<usize>,
        spelling: Spelling,
    ) -> Result<(), OptionFault> {
        let fail = |wanted: &str, help: &str| {
            let message = format!("`{key}` takes {wanted}, not `{value}`");
            Err(OptionFault::at(FaultKind::WrongType, range.clone(), message).with_help(help))
        };
        match spec.value_type {
            ValueType::String | ValueType::Array => Ok(()),
            ValueType::Boolean => match (parse_boolean(value), self.file) {
                // In TOML, booleans have a spelling of their own.
                (_, ConfigFile::Answer) if matches!(value, "true" | "false") => Ok(()),
                (_, ConfigFile::Answer) => fail("`true` or `false`", "write `true` or `false`"),
                (Some(_), _) if spelling != Spelling::Section || matches!(value, "0" | "1") => {
                    Ok(())
                }
                _ => fail("`1` or `0`", "write `1` for yes and `0` for no"),
            },
            ValueType::Integer => {
                let digits = if spelling == Spelling::Line {
                    value
                } else {
                    value.trim_start_matches(['+', '-'])
                };
                let signs = value.len() - digits.len();
                if signs <= 1 && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Ok(());
                }
                fail("a whole number", "write digits only")
            }
            ValueType::Number => {
                let plain = |b: u8| b.is_ascii_digit() || b == b'.';
                let shape = match spelling {
                    Spelling::Line => {
                        value.bytes().all(plain) && !value.starts_with('.') && !value.ends_with('.')
                    }
                    Spelling::Part | Spelling::Section => value
                        .bytes()
                        .all(|b| plain(b) || matches!(b, b'+' | b'-' | b'e' | b'E')),
                };
                if shape && value.parse::<f64>().is_ok() {
                    return Ok(());
                }
                fail("a number", "write digits, with a point where needed")
            }
        }
    }

    fn listed(
        &self,
        spec: &OptionSchema,
        key: &str,
        value: &str,
        range: Range<usize>,
    ) -> Result<(), OptionFault> {
        let Some(values) = &spec.values else {
            return Ok(());
        };
        let at_value = |mut fault: OptionFault| {
            fault.place = super::Place::Value(range.clone());
            fault
        };
        if let Some(life) = spec.value_lives.get(value) {
            return self
                .life(life, || format!("`{value}` for `{key}`"))
                .map_err(at_value);
        }
        if values.contains(&value) {
            return Ok(());
        }
        let usable: Vec<&str> = values
            .iter()
            .copied()
            .filter(|name| {
                spec.value_lives
                    .get(name)
                    .is_none_or(|life| life.is_in(self.release))
            })
            .collect();
        Err(not_listed(key, value, range, &usable))
    }

    fn property_string(
        &self,
        spec: &OptionSchema,
        keys: SubOptions,
        key: &str,
        value: &str,
        offset: usize,
    ) -> Result<(), OptionFault> {
        let whole = offset..offset + value.len();
        let mut given: Vec<(&str, &str, Range<usize>)> = Vec::new();
        for part in parts(value) {
            let part = part.map_err(|error| {
                let range = offset + error.range.start..offset + error.range.end;
                OptionFault::at(FaultKind::WrongForm, range, error.message)
            })?;
            let range = offset + part.range.start..offset + part.range.end;
            let twice = |name: &str| {
                OptionFault::at(
                    FaultKind::Twice,
                    range.clone(),
                    format!("`{name}` is given twice in `{key}`"),
                )
            };
            let (name, sub) = sub_option(keys, key, &part, &range)?;
            let at_name = |mut fault: OptionFault| {
                fault.place = super::Place::Value(
                    range.start..range.start + part.key.map_or(part.value.len(), str::len),
                );
                fault
            };
            self.life(&sub.life(), || format!("`{name}` in `{key}`"))
                .map_err(at_name)?;
            // The name itself can be a value: `virtio=BC:…` says `model=virtio,macaddr=BC:…`.
            if let Some(also) = sub.key_alias {
                if given.iter().any(|(other, ..)| *other == also) {
                    return Err(twice(also));
                }
                given.push((also, name, range.clone()));
            }
            let (name, sub) = match sub.alias.and_then(|alias| Some((alias, keys.get(alias)?))) {
                Some(meant) => meant,
                None => (name, sub),
            };
            if given.iter().any(|(other, ..)| *other == name) {
                return Err(twice(name));
            }
            let untranslated = part.key.is_none() && self.release < since::KEYLESS_BOOLEANS;
            let spelling = if untranslated {
                Spelling::Section
            } else {
                Spelling::Part
            };
            if !sub.is_only_a_name() {
                self.value(sub, name, part.value, offset + part.value_start(), spelling)?;
            }
            given.push((name, part.value, range));
        }
        let describe = |name: &str| format!("`{key}` needs `{name}`");
        if let Some(mut fault) =
            missing(keys.keys, given.iter().map(|(name, ..)| *name), describe).next()
        {
            fault.place = super::Place::Value(whole);
            return Err(fault);
        }
        combination(spec, key, &given, whole)
    }

    /// `content`: which contents a storage holds depends on its type.
    fn contents(&self, value: &str) -> Result<(), OptionFault> {
        let Some(contents) = self
            .file
            .section_kind()
            .and_then(|kind| kind.content.as_ref())
        else {
            return Ok(());
        };
        let mut entries = 0;
        for (start, entry) in list_entries(value) {
            entries += 1;
            let range = start..start + entry.len();
            match contents.get(entry) {
                None => {
                    let usable: Vec<&str> = self.file.storage_contents(self.release).collect();
                    let mut fault = not_listed("content", entry, range, &usable);
                    fault.message = format!("{} cannot hold `{entry}`", self.file);
                    return Err(fault);
                }
                Some(life) => self
                    .life(life, || format!("`{entry}` for {}", self.file))
                    .map_err(|mut fault| {
                        fault.place = super::Place::Value(range.clone());
                        fault
                    })?,
            }
            if entry == "none" && value.trim() != "none" {
                let message = "`none` cannot be combined with other contents".to_owned();
                return Err(OptionFault::at(FaultKind::Conflict, range, message));
            }
        }
        if entries == 0 {
            let message = "`content` is empty".to_owned();
            return Err(OptionFault::at(FaultKind::Missing, 0..value.len(), message)
                .with_help("write `none`"));
        }
        Ok(())
    }

    /// `format`: a storage's default image format, of those its type can hold.
    fn image_format(&self, value: &str) -> Result<(), OptionFault> {
        match self.file.section_kind().map(|kind| &kind.image_formats) {
            Some(formats) if !formats.is_empty() && !formats.contains(&value) => {
                let mut fault = not_listed("format", value, 0..value.len(), formats);
                fault.message = format!("{} cannot hold `{value}` images", self.file);
                Err(fault)
            }
            _ => Ok(()),
        }
    }
}

fn named_format(name: &str, key: &str, value: &str, offset: usize) -> Result<(), OptionFault> {
    let one = |format: &str, start: usize, entry: &str| match format::check(format, entry) {
        Verdict::Fits | Verdict::Unknown => Ok(()),
        Verdict::Not(wanted) => {
            let range = offset + start..offset + start + entry.len();
            let message = format!("`{entry}` in `{key}` is not {wanted}");
            Err(OptionFault::at(FaultKind::WrongForm, range, message))
        }
    };
    if let Some(base) = name.strip_suffix("-list") {
        return list_entries(value).try_for_each(|(start, entry)| one(base, start, entry));
    }
    match name.strip_suffix("-opt") {
        Some(_) if value.is_empty() => Ok(()),
        Some(base) => one(base, 0, value),
        None => one(name, 0, value),
    }
}

impl OptionSchema {
    fn sub_options_of(&'static self, file: ConfigFile<'_>) -> Option<SubOptions> {
        self.in_file(file.document()).sub_options()
    }
}

fn sub_option<'p>(
    keys: SubOptions,
    key: &str,
    part: &PropertyPart<'p>,
    range: &Range<usize>,
) -> Result<(&'p str, &'static OptionSchema), OptionFault> {
    match part.key {
        Some(name) => {
            if let Some(sub) = keys.get(name) {
                Ok((name, sub))
            } else {
                let mut fault = unknown(
                    FaultKind::UnknownOption,
                    &format!("`{key}` has no sub-option `{name}`"),
                    name,
                    keys.iter().map(|(name, _)| name),
                );
                fault.place = super::Place::Value(range.start..range.start + name.len());
                Err(fault)
            }
        }
        None => {
            if let Some(default) = keys
                .default_key()
                .and_then(|name| Some((name, keys.get(name)?)))
            {
                Ok(default)
            } else {
                let message = format!("`{}` in `{key}` has no name", part.value);
                Err(
                    OptionFault::at(FaultKind::WrongForm, range.clone(), message).with_help(
                        format!(
                            "write `name=value`, separated by commas; {}",
                            names_of(keys)
                        ),
                    ),
                )
            }
        }
    }
}

fn names_of(keys: SubOptions) -> String {
    let names: Vec<String> = keys.iter().map(|(name, _)| format!("`{name}`")).collect();
    format!("names are {}", names.join(", "))
}

/// What Proxmox checks of several sub-options together.
fn combination(
    spec: &OptionSchema,
    key: &str,
    given: &[(&str, &str, Range<usize>)],
    whole: Range<usize>,
) -> Result<(), OptionFault> {
    let find = |name: &str| given.iter().find(|(other, ..)| *other == name);
    let is_on = |name: &str| find(name).is_some_and(|(_, on, _)| parse_boolean(on) == Some(true));
    match spec.keys {
        Some("hostpci" | "usb") => match (find("host"), find("mapping")) {
            (Some(_), Some((.., range))) => {
                let message = format!("`{key}` has both `host` and `mapping`");
                Err(OptionFault::at(FaultKind::Conflict, range.clone(), message)
                    .with_help("keep one of them"))
            }
            (None, None) => {
                let message = format!("`{key}` needs `host` or `mapping`");
                Err(OptionFault::at(FaultKind::Missing, whole, message))
            }
            _ => Ok(()),
        },
        Some("prune-backups") => {
            let all = find("keep-all").filter(|(_, value, _)| parse_boolean(value) == Some(true));
            let other = given
                .iter()
                .any(|(name, value, _)| *name != "keep-all" && value.parse() != Ok(0u64));
            match all {
                Some((.., range)) if other => {
                    let message =
                        "`keep-all=1` cannot be combined with the other `keep-…`".to_owned();
                    Err(OptionFault::at(FaultKind::Conflict, range.clone(), message))
                }
                _ => Ok(()),
            }
        }
        Some("fleecing") => {
            let enabled =
                find("enabled").filter(|(_, value, _)| parse_boolean(value) == Some(true));
            match enabled {
                Some((.., range)) if find("storage").is_none() => {
                    let message = "fleecing needs a `storage`".to_owned();
                    Err(OptionFault::at(FaultKind::Missing, range.clone(), message))
                }
                _ => Ok(()),
            }
        }
        Some("cpu") => cpu(key, given),
        Some("cdrom" | "sata" | "scsi" | "virtio") => drive(spec.keys, key, given),
        // PVE::LXC::Config::update_pct_config
        Some("dev") if find("path").is_none() => {
            let message = format!("`{key}` needs `path`");
            Err(OptionFault::at(FaultKind::Missing, whole, message))
        }
        Some("net") => match find("ip6") {
            Some((_, "auto", range)) if is_on("host-managed") && !is_on("link_down") => {
                let message = "`ip6=auto` cannot be combined with `host-managed=1`".to_owned();
                Err(OptionFault::at(FaultKind::Conflict, range.clone(), message)
                    .with_help("the host takes no part in SLAAC: give an address, or `dhcp`"))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// A line of a drive that Proxmox VE does not read, though each of its parts is right (`PVE::QemuServer::Drive::parse_drive`):
/// it refuses to set it, and leaves the drive out where a file has it. QEMU itself refuses a burst of operations without a
/// limit.
fn drive(
    keys: Option<&str>,
    key: &str,
    given: &[(&str, &str, Range<usize>)],
) -> Result<(), OptionFault> {
    let find = |name: &str| given.iter().find(|(other, ..)| *other == name);
    // A nought limits nothing; `0.0` does, since Perl takes it for true.
    let limits = |name: &str| find(name).filter(|(_, value, _)| *value != "0");
    // A limit in bytes becomes one in mebibytes, of whatever number: a nought, too, is `0.000` by then.
    let limits_at_all = |what: &str, side: &str| {
        let in_bytes = || find(&format!("bps{side}")).filter(|_| what == "mbps");
        limits(&format!("{what}{side}")).or_else(in_bytes)
    };
    let conflict = |one: &str, other: &str, range: &Range<usize>, help: &str| {
        let message = format!("`{one}` cannot be combined with `{other}`");
        Err(OptionFault::at(FaultKind::Conflict, range.clone(), message).with_help(help))
    };
    for side in ["", "_rd", "_wr"] {
        let (bytes, mebibytes) = (format!("bps{side}"), format!("mbps{side}"));
        if let (Some(_), Some((.., range))) = (find(&bytes), find(&mebibytes)) {
            return conflict(&mebibytes, &bytes, range, "both are one limit: keep one");
        }
        for (what, length) in [("mbps", "bps"), ("iops", "iops")] {
            let limit = format!("{what}{side}");
            let most = format!("{limit}_max");
            let length = format!("{length}{side}_max_length");
            let is_limited = limits_at_all(what, side).is_some();
            for (name, needed, is_met) in [
                (&most, &limit, is_limited),
                (&length, &most, limits(&most).is_some()),
            ] {
                if let (false, Some((.., range))) = (is_met, limits(name)) {
                    let message = format!("`{name}` needs `{needed}`");
                    return Err(OptionFault::at(FaultKind::Missing, range.clone(), message));
                }
            }
            if let (false, Some((whole, ..)), Some((one, _, range))) = (
                side.is_empty(),
                limits_at_all(what, ""),
                limits_at_all(what, side),
            ) {
                let help = "limit all of it, or reading and writing each";
                return conflict(one, whole, range, help);
            }
        }
    }
    let is_on = |name: &str| find(name).filter(|(_, on, _)| parse_boolean(on) == Some(true));
    if let Some((.., range)) = find("media").filter(|(_, media, _)| *media == "cdrom") {
        if keys == Some("virtio") {
            let message = format!("`{key}` cannot be a drive of discs");
            return Err(OptionFault::at(FaultKind::Conflict, range.clone(), message)
                .with_help("`ide`, `sata` and `scsi` have them"));
        }
        if let Some((name, _, range)) = is_on("snapshot").or_else(|| find("format")) {
            return conflict(name, "media=cdrom", range, "leave it out");
        }
    }
    // `assert_scsi_feature_compatibility` of PVE::API2::Qemu: the disk tells its own.
    if is_on("scsiblock").is_some()
        && let Some((name, _, range)) = find("product").or_else(|| find("vendor"))
    {
        return conflict(name, "scsiblock=1", range, "leave one of them out");
    }
    Ok(())
}

/// A VM's own CPU line: the model must exist, the flags must be those that VMs may set, and only
/// custom models may report another model.
fn cpu(key: &str, given: &[(&str, &str, Range<usize>)]) -> Result<(), OptionFault> {
    for (name, value, range) in given {
        let range = range.clone();
        let start = range.end - value.len();
        match *name {
            "cputype" if !value.starts_with("custom-") && !super::cpu_models().contains(value) => {
                let message = format!("there is no CPU model `{value}`");
                let mut fault = OptionFault::at(FaultKind::NotListed, start..range.end, message);
                if let Some(name) = nearest(value, super::cpu_models().iter().copied()) {
                    fault = fault.with_help(format!("did you mean `{name}`?"));
                }
                return Err(fault);
            }
            "reported-model" => {
                let message = format!("`{key}` cannot set `reported-model`");
                let help = "only custom models in cpu-models.conf can";
                return Err(
                    OptionFault::at(FaultKind::UnknownOption, range, message).with_help(help)
                );
            }
            "flags" => {
                for (at, flag) in split_with_offsets(value, |c| c == ';') {
                    let flag_name = flag.trim_start_matches(['+', '-']);
                    if !super::cpu_flags().contains(&flag_name) {
                        let range = start + at..start + at + flag.len();
                        return Err(not_listed("flags", flag_name, range, super::cpu_flags()));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn length(
    spec: &OptionSchema,
    key: &str,
    value: &str,
    range: &Range<usize>,
) -> Result<(), OptionFault> {
    let count = value.chars().count();
    let limit = match (spec.min_length, spec.max_length) {
        (Some(least), _) if count < least => format!("at least {least}"),
        (_, Some(most)) if count > most => format!("at most {most}"),
        _ => return Ok(()),
    };
    let message = format!("`{key}` takes {limit} characters, this has {count}");
    Err(OptionFault::at(
        FaultKind::WrongLength,
        range.clone(),
        message,
    ))
}

fn limits(
    spec: &OptionSchema,
    key: &str,
    value: &str,
    range: &Range<usize>,
) -> Result<(), OptionFault> {
    let Ok(number) = value.parse::<f64>() else {
        return Ok(());
    };
    let (kind, what, limit) = match (spec.minimum, spec.maximum) {
        (Some(least), _) if number < least => (FaultKind::TooSmall, "at least", least),
        (_, Some(most)) if number > most => (FaultKind::TooLarge, "at most", most),
        _ => return Ok(()),
    };
    Err(OptionFault::at(
        kind,
        range.clone(),
        format!("`{key}` must be {what} {limit}, not {value}"),
    ))
}

fn not_listed(key: &str, value: &str, range: Range<usize>, values: &[&str]) -> OptionFault {
    let message = format!("`{key}` cannot be `{value}`");
    let list = || {
        values
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let help = match nearest(value, values.iter().copied()) {
        Some(name) if values.len() > 1 => format!("did you mean `{name}`? Values are {}", list()),
        _ if values.len() == 1 => format!("write {}", list()),
        _ => format!("write one of {}", list()),
    };
    OptionFault::at(FaultKind::NotListed, range, message).with_help(help)
}

fn unknown<'a>(
    kind: FaultKind,
    message: &str,
    name: &str,
    names: impl Iterator<Item = &'a str>,
) -> OptionFault {
    let fault = OptionFault::at_key(kind, message.to_owned());
    // `scsi[n]` is near to `scis0` by its base.
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let index = if base.is_empty() {
        ""
    } else {
        &name[base.len()..]
    };
    let base = if base.is_empty() { name } else { base };
    let names: Vec<&str> = names.collect();
    let plain =
        nearest(name, names.iter().copied().filter(|n| !n.ends_with("[n]"))).map(str::to_owned);
    let indexed = || {
        let near = nearest(base, names.iter().filter_map(|n| n.strip_suffix("[n]")))?;
        Some(format!(
            "{near}{}",
            if index.is_empty() { "0" } else { index }
        ))
    };
    match plain.or_else(indexed) {
        Some(near) => fault.with_help(format!("did you mean `{near}`?")),
        None => fault,
    }
}

fn kind_phrase(file: ConfigFile<'_>) -> String {
    match file {
        ConfigFile::Storage(name) => format!("storage type `{name}`"),
        ConfigFile::Job(name) => format!("job type `{name}`"),
        ConfigFile::Mapping(kind) => format!("`{}` mappings", kind.name()),
        _ => file.to_string(),
    }
}

/// The entries of a list separated by commas, semicolons or blanks, and where they start.
fn list_entries(value: &str) -> impl Iterator<Item = (usize, &str)> {
    split_with_offsets(value, |c| {
        c.is_ascii_whitespace() || matches!(c, ',' | ';' | '\0')
    })
    .filter(|(_, entry)| !entry.is_empty())
}

fn split_with_offsets(
    value: &str,
    separator: impl Fn(char) -> bool,
) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    value.split(separator).map(move |entry| {
        let start = at;
        at += entry.len() + 1;
        (start, entry)
    })
}

/// A form in words. A pattern that only a machine reads helps nobody.
fn form_of(key: &str, pattern: &str) -> Option<String> {
    let plain = |text: &str| !text.contains(['\\', '[', '(', '?', '|', '*']);
    match key {
        "host" if pattern.contains("spice") => Some(
            "write vendor and product, as `10c4:ea60`, a socket, as `1-2.4`, or `spice`".to_owned(),
        ),
        "id" | "subsystem-id" => Some("write vendor and device, as `10de:2504`".to_owned()),
        _ if plain(pattern) => Some(format!("it must match `{pattern}`")),
        _ => None,
    }
}
