//! `qemu-server/<vmid>.conf` and `lxc/<vmid>.conf`.
//!
//! Both are `key: value` lines in ASCII order of the keys, below the description as `#` lines; a
//! container's raw `lxc.*` lines follow in their own order. Proxmox reads and writes the whole
//! file at every change, so a file printed here stays as it is until somebody changes the guest.

use std::collections::BTreeMap;
use std::fmt;

use crate::source::{Places, Span};

use super::refusal::check_line_value;
use super::schema::{ConfigFile, OptionSchema};
use super::{CannotCarry, PropertyString, Refusal, Release, decode_text, encode_text};

/// Which of Proxmox's two kinds of guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuestKind {
    /// A virtual machine, `qemu-server/<vmid>.conf`.
    Qm,
    /// A container, `lxc/<vmid>.conf`.
    Pct,
}

impl GuestKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Qm, Self::Pct];

    /// The folder of its files, below `/etc/pve` or a node's.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Qm => "qemu-server",
            Self::Pct => "lxc",
        }
    }

    /// The schema of this kind's options.
    pub const fn config_file(self) -> ConfigFile<'static> {
        match self {
            Self::Qm => ConfigFile::Qm,
            Self::Pct => ConfigFile::Pct,
        }
    }
}

/// The configuration of one guest.
///
/// ```
/// use moxc::pve::{CannotCarry, GuestConfig, GuestKind, PropertyString};
/// # fn main() -> Result<(), CannotCarry> {
/// let mut config = GuestConfig::new(GuestKind::Qm);
/// config.set_description("web: the front door")?;
/// config.set("memory", 4096)?;
/// config.set_flag("onboot", true)?;
/// let disk = PropertyString::with_default("local-zfs:vm-100-disk-0")?.with("ssd", 1)?.with("discard", "on")?;
/// config.set_property("scsi0", &disk)?;
/// assert_eq!(
///     config.to_string(),
///     "#web%3A the front door\nmemory: 4096\nonboot: 1\nscsi0: local-zfs:vm-100-disk-0,discard=on,ssd=1\n"
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestConfig {
    kind: GuestKind,
    release: Release,
    description: String,
    options: BTreeMap<String, String>,
    raw: Vec<(String, String)>,
    sections: BTreeMap<String, GuestConfig>,
    places: Places,
}

impl GuestConfig {
    /// A configuration without any line.
    pub fn new(kind: GuestKind) -> Self {
        Self {
            kind,
            release: Release::NEWEST,
            description: String::new(),
            options: BTreeMap::new(),
            raw: Vec::new(),
            sections: BTreeMap::new(),
            places: Places::default(),
        }
    }

    /// Prints as this release does; they differ in how `%` in the description is encoded.
    #[must_use]
    pub fn for_release(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// The kind of guest.
    pub fn kind(&self) -> GuestKind {
        self.kind
    }

    /// The notes of the guest, as one text; empty where there are none.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Sets the notes. Blanks and line breaks at the end are dropped, as Proxmox does.
    pub fn set_description(&mut self, text: &str) -> Result<(), CannotCarry> {
        let text = trim_description(text);
        if text == "0" {
            return Err(CannotCarry::new(text, Refusal::Zero));
        }
        text.clone_into(&mut self.description);
        Ok(())
    }

    /// Sets an option to a plain value, replacing an earlier one. A container's `env` has no line
    /// of its own: give each variable to [`add_raw`](Self::add_raw) as `lxc.environment.runtime`.
    pub fn set(&mut self, key: &str, value: impl fmt::Display) -> Result<(), CannotCarry> {
        let value = value.to_string();
        let elsewhere = key == "description" || (key == "env" && self.kind == GuestKind::Pct);
        if !is_option_key(self.kind, key) || elsewhere {
            return Err(CannotCarry::new(key, Refusal::BadName));
        }
        check_line_value(&value)?;
        if self.loses_quotes(key) && unquoted(&value).is_some() {
            return Err(CannotCarry::new(value, Refusal::OuterQuotes));
        }
        self.options.insert(key.to_owned(), value);
        Ok(())
    }

    /// Sets an option that Proxmox keeps without a value: it reads and writes one blank then.
    pub fn set_empty(&mut self, key: &str) -> Result<(), CannotCarry> {
        self.set(key, 0)?;
        self.options.insert(key.to_owned(), " ".to_owned());
        Ok(())
    }

    /// Sets an option to `1` or `0`.
    pub fn set_flag(&mut self, key: &str, on: bool) -> Result<(), CannotCarry> {
        self.set(key, u8::from(on))
    }

    /// Sets an option that has sub-options, in the order in which Proxmox keeps them.
    pub fn set_property(&mut self, key: &str, value: &PropertyString) -> Result<(), CannotCarry> {
        let sub_options = self.schema(key).and_then(OptionSchema::sub_options);
        match sub_options {
            Some(keys) if is_reprinted(self.kind, key) => self.set(key, value.canonical(keys)),
            _ => self.set(key, value),
        }
    }

    /// Says where the spec decides an option (`description` for the notes; the empty key for all of the guest).
    pub fn mark(&mut self, key: &str, place: Span) {
        self.places.set(key, place);
    }

    /// [`Self::places`], of a configuration that nobody needs any more.
    pub fn into_places(self) -> Places {
        self.places
    }

    /// Where the spec decides the options; of a configuration that was read, nowhere.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Removes an option, returning its value.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        self.options.remove(key)
    }

    /// Makes an option, or the notes (`description`), what it is in another configuration: what stands there, or nothing.
    pub fn take(&mut self, key: &str, from: &Self) {
        if key == "description" {
            self.description.clone_from(&from.description);
        } else if let Some(value) = from.options.get(key) {
            self.options.insert(key.to_owned(), value.clone());
        } else {
            self.options.remove(key);
        }
    }

    /// Makes the raw lines whose keys are `of` a group those of another configuration, as far as `taken` says of their keys.
    pub fn take_raw(
        &mut self,
        from: &Self,
        of: impl Fn(&str) -> bool,
        taken: impl Fn(&str) -> bool,
    ) {
        self.raw.retain(|(key, _)| !of(key));
        for (key, value) in from.raw().filter(|(key, _)| of(key) && taken(key)) {
            self.push_raw(key, value.to_owned());
        }
    }

    /// The value of an option.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str)
    }

    /// All options in the order in which they are printed.
    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Adds a raw `lxc.*` line to a container; such keys may repeat, and their order is kept.
    pub fn add_raw(&mut self, key: &str, value: impl fmt::Display) -> Result<(), CannotCarry> {
        let value = value.to_string();
        if self.kind != GuestKind::Pct || !is_raw_key(key) {
            return Err(CannotCarry::new(key, Refusal::BadName));
        }
        // LXC knows empty values (they clear a list), and Proxmox lets them through.
        if !value.is_empty() {
            check_line_value(&value)?;
        }
        self.push_raw(key, value);
        Ok(())
    }

    /// Variables come before all other raw lines.
    fn push_raw(&mut self, key: &str, value: String) {
        let at = match key {
            ENVIRONMENT => self.raw.partition_point(|(key, _)| key == ENVIRONMENT),
            _ => self.raw.len(),
        };
        self.raw.insert(at, (key.to_owned(), value));
    }

    /// The raw `lxc.*` lines.
    pub fn raw(&self) -> impl Iterator<Item = (&str, &str)> {
        self.raw
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The sections below the configuration, by name: pending changes, snapshots and the like.
    /// Proxmox alone writes them; a printed configuration has them only if it was read with them.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &GuestConfig)> {
        self.sections
            .iter()
            .map(|(name, config)| (name.as_str(), config))
    }

    /// Reads a file as Proxmox does: booleans in any spelling become `1` and `0`, `cdrom` becomes
    /// `ide2`, a key given twice has its last value. Lines that Proxmox would skip are returned
    /// beside the configuration.
    pub fn parse(kind: GuestKind, text: &str) -> (Self, Vec<SkippedLine>) {
        let mut main = Self::new(kind);
        let mut skipped = Vec::new();
        let mut section: Option<(String, Self)> = None;
        let mut description = String::new();
        for line in lines(kind, text) {
            let current = section.as_mut().map_or(&mut main, |(_, config)| config);
            match line.content {
                GuestLine::Section(name) => {
                    trim_description(&description).clone_into(&mut current.description);
                    description.clear();
                    if let Some((name, config)) =
                        section.replace((name.to_owned(), Self::new(kind)))
                    {
                        main.sections.insert(name, config);
                    }
                }
                GuestLine::Description(text) => {
                    description.push_str(&decode_text(text));
                    description.push('\n');
                }
                GuestLine::Option { key: "env", value } if kind == GuestKind::Pct => {
                    current.push_raw(ENVIRONMENT, value.to_owned());
                }
                GuestLine::Option { key, value } => {
                    let key = if kind == GuestKind::Qm && key == "cdrom" {
                        "ide2"
                    } else {
                        key
                    };
                    let value = current.as_proxmox_reads(key, value);
                    current.options.insert(key.to_owned(), value);
                }
                GuestLine::Raw { key, value } => current.push_raw(key, value.to_owned()),
                GuestLine::Unreadable(content) => {
                    skipped.push(SkippedLine {
                        line: line.number,
                        content: content.to_owned(),
                    });
                }
            }
        }
        let current = section.as_mut().map_or(&mut main, |(_, config)| config);
        trim_description(&description).clone_into(&mut current.description);
        if let Some((name, config)) = section {
            main.sections.insert(name, config);
        }
        (main, skipped)
    }

    fn schema(&self, key: &str) -> Option<&'static OptionSchema> {
        self.kind.config_file().option(key)
    }

    /// qemu-server takes the quotes off plain strings, also at its next write.
    fn loses_quotes(&self, key: &str) -> bool {
        self.kind == GuestKind::Qm && self.schema(key).is_none_or(OptionSchema::is_plain_string)
    }

    fn as_proxmox_reads(&self, key: &str, value: &str) -> String {
        if self.schema(key).is_some_and(OptionSchema::is_boolean)
            && let Some(on) = parse_boolean(value)
        {
            return u8::from(on).to_string();
        }
        match unquoted(value) {
            Some(inner) if self.loses_quotes(key) => inner.to_owned(),
            _ => value.to_owned(),
        }
    }

    fn print_lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.description.is_empty() {
            for line in self.description.split('\n') {
                writeln!(f, "#{}", encode_text(self.release, line))?;
            }
        }
        for (key, value) in self.options().chain(self.raw()) {
            writeln!(f, "{key}: {value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for GuestConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print_lines(f)?;
        // Pending changes come first, then special sections, then snapshots by name.
        let rank = |name: &str| match name {
            "PENDING" | "pve:pending" => 0,
            special if special.starts_with("special:") => 1,
            _ => 2,
        };
        for wanted in 0..3 {
            for (name, section) in self.sections().filter(|(name, _)| rank(name) == wanted) {
                write!(f, "\n[{name}]\n")?;
                section.print_lines(f)?;
            }
        }
        Ok(())
    }
}

/// How a container's file spells its `env`, since Proxmox VE 9.1.
pub const ENVIRONMENT: &str = "lxc.environment.runtime";

/// How the raw keys begin of which LXC takes several lines; of any other, the last one counts (lxc.container.conf(5)).
pub const REPEATED: [&str; 10] = [
    "lxc.apparmor.raw",
    "lxc.cap.",
    "lxc.cgroup.devices.",
    "lxc.cgroup2.devices.",
    "lxc.environment",
    "lxc.group",
    "lxc.hook.",
    "lxc.idmap",
    "lxc.include",
    "lxc.mount.",
];

/// A line that Proxmox would skip with a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedLine {
    /// The line's number, from 1.
    pub line: usize,
    /// The line itself.
    pub content: String,
}

/// `1`, `on`, `yes`, `true` and their opposites, in any case.
pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    let is = |names: [&str; 4]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
    if is(["1", "on", "yes", "true"]) {
        Some(true)
    } else if is(["0", "off", "no", "false"]) {
        Some(false)
    } else {
        None
    }
}

/// Whether an option of a guest holds a volume, a container's root file system included.
pub fn holds_volume(key: &str) -> bool {
    key == "rootfs" || is_drive(key)
}

/// Whether an option of a guest is a drive or a mount point, which may stay `unusedN` when it goes.
pub fn is_drive(key: &str) -> bool {
    let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
    matches!(
        base,
        "ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate" | "mp"
    )
}

/// A description without the end that Proxmox drops.
fn trim_description(text: &str) -> &str {
    text.trim_end()
}

/// The value between the quotes around it.
fn unquoted(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"')
}

/// Whether Proxmox parses this option and prints it anew whenever it changes it.
fn is_reprinted(kind: GuestKind, key: &str) -> bool {
    let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
    match kind {
        GuestKind::Qm => {
            matches!(
                base,
                "ide"
                    | "net"
                    | "sata"
                    | "scsi"
                    | "virtio"
                    | "efidisk"
                    | "tpmstate"
                    | "unused"
                    | "cdrom"
            )
        }
        GuestKind::Pct => matches!(base, "rootfs" | "mp" | "net" | "unused"),
    }
}

/// `[a-z][a-z_]*\d*`, and `-` for VMs.
fn is_option_key(kind: GuestKind, key: &str) -> bool {
    let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let inner = |b: u8| b.is_ascii_lowercase() || b == b'_' || (b == b'-' && kind == GuestKind::Qm);
    base.bytes().next().is_some_and(|b| b.is_ascii_lowercase()) && base.bytes().all(inner)
}

fn is_raw_key(key: &str) -> bool {
    let inner =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.');
    key.strip_prefix("lxc.")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(inner))
}

pub(crate) struct NumberedLine<'a> {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) content: GuestLine<'a>,
}

pub(crate) enum GuestLine<'a> {
    /// `[name]`
    Section(&'a str),
    /// `#text`, or the old `description: text`; still encoded.
    Description(&'a str),
    /// `key: value`
    Option { key: &'a str, value: &'a str },
    /// `lxc.key: value` of a container.
    Raw { key: &'a str, value: &'a str },
    /// Anything else.
    Unreadable(&'a str),
}

/// The lines of a guest's file that are not blank.
pub(crate) fn lines(kind: GuestKind, text: &str) -> impl Iterator<Item = NumberedLine<'_>> {
    let read = move |line| read_line(kind, line);
    text.split('\n')
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(move |(index, line)| NumberedLine {
            number: index + 1,
            content: read(line),
        })
}

fn read_line(kind: GuestKind, line: &str) -> GuestLine<'_> {
    if let Some(text) = line.strip_prefix('#') {
        return GuestLine::Description(text);
    }
    if let Some(name) = line
        .trim_end()
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return GuestLine::Section(name);
    }
    if kind == GuestKind::Pct && line.starts_with("lxc.") {
        let end = line.find([':', '=', ' ', '\t']).unwrap_or(line.len());
        let (key, rest) = line.split_at(end);
        // LXC's own spelling with `=` is read too, and written with `:`.
        let value = rest
            .strip_prefix(':')
            .or_else(|| rest.trim_start().strip_prefix('='));
        return match value {
            Some(value) if is_raw_key(key) => GuestLine::Raw {
                key,
                value: value.trim(),
            },
            _ => GuestLine::Unreadable(line),
        };
    }
    match line.split_once(':') {
        Some((key, value)) if is_option_key(kind, key) && !value.is_empty() => match key {
            "description" => GuestLine::Description(value.trim()),
            // Of blanks alone the last is left (`:\s*(.+?)\s*$`).
            _ if value.trim().is_empty() => {
                let last = value.char_indices().next_back().map_or(0, |(at, _)| at);
                let value = &value[last..];
                GuestLine::Option { key, value }
            }
            _ => GuestLine::Option {
                key,
                value: value.trim(),
            },
        },
        _ => GuestLine::Unreadable(line),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(kind: GuestKind, text: &str) -> GuestConfig {
        let (config, skipped) = GuestConfig::parse(kind, text);
        assert_eq!(skipped, [], "{text}");
        config
    }

    #[test]
    fn sorts_keys_as_ascii_does() {
        let mut config = GuestConfig::new(GuestKind::Qm);
        for key in [
            "scsi2",
            "scsi10",
            "hostpci2",
            "hostpci10",
            "name",
            "vmgenid",
            "efidisk0",
        ] {
            config.set(key, "x").expect(key);
        }
        let keys: Vec<&str> = config.options().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "efidisk0",
                "hostpci10",
                "hostpci2",
                "name",
                "scsi10",
                "scsi2",
                "vmgenid"
            ]
        );
    }

    #[test]
    fn writes_the_description_as_encoded_comment_lines() {
        let mut config = GuestConfig::new(GuestKind::Qm);
        config
            .set_description("a: 100 %\n\nä\n\n")
            .expect("a description");
        config.set("cores", 2).expect("cores");
        let printed = "#a%3A 100 %25\n#\n#%C3%A4\ncores: 2\n";
        assert_eq!(config.to_string(), printed);
        assert_eq!(read(GuestKind::Qm, printed), config);
        // `qm config` prints it on one line.
        assert_eq!(
            read(
                GuestKind::Qm,
                "cores: 2\ndescription: a%3A 100 %25%0A%0A%C3%A4\n"
            ),
            config
        );
        assert_eq!(
            config.set_description("0").map_err(|error| error.why),
            Err(Refusal::Zero)
        );
    }

    #[test]
    fn puts_raw_lines_last_in_their_order() {
        let mut config = GuestConfig::new(GuestKind::Pct);
        config
            .add_raw(
                "lxc.mount.entry",
                "/dev/net/tun dev/net/tun none bind,create=file",
            )
            .expect("a raw line");
        config
            .add_raw("lxc.cgroup2.devices.allow", "c 10:200 rwm")
            .expect("a raw line");
        config.set_flag("unprivileged", true).expect("unprivileged");
        let printed = "unprivileged: 1\nlxc.mount.entry: /dev/net/tun dev/net/tun none bind,create=file\n\
                       lxc.cgroup2.devices.allow: c 10:200 rwm\n";
        assert_eq!(config.to_string(), printed);
        assert_eq!(read(GuestKind::Pct, printed), config);
        assert_eq!(
            read(GuestKind::Pct, "lxc.idmap = u 0 100000 65536\n").to_string(),
            "lxc.idmap: u 0 100000 65536\n"
        );
        config.add_raw(ENVIRONMENT, "A=b").expect("a variable");
        config.add_raw(ENVIRONMENT, "B=c d").expect("a variable");
        let lines: Vec<_> = config.raw().map(|(_, value)| value).collect();
        assert_eq!(lines[..2], ["A=b", "B=c d"]);
        assert_eq!(
            config.set("env", "A=b").map_err(|error| error.why),
            Err(Refusal::BadName)
        );
        let mut vm = GuestConfig::new(GuestKind::Qm);
        assert_eq!(
            vm.add_raw("lxc.idmap", "x").map_err(|error| error.why),
            Err(Refusal::BadName)
        );
    }

    #[test]
    fn reprints_what_proxmox_reprints_and_keeps_the_rest() {
        let property = |text: &str| PropertyString::parse(text).expect(text);
        let mut vm = GuestConfig::new(GuestKind::Qm);
        vm.set_property("scsi0", &property("local:1,ssd=1,discard=on"))
            .expect("a drive");
        vm.set_property("hostpci0", &property("01:00,x-vga=1,pcie=1"))
            .expect("a device");
        vm.set_property(
            "net0",
            &property("virtio=BC:24:11:00:00:01,tag=2,bridge=vmbr0"),
        )
        .expect("a card");
        assert_eq!(
            vm.to_string(),
            "hostpci0: 01:00,x-vga=1,pcie=1\nnet0: virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=2\n\
             scsi0: local:1,discard=on,ssd=1\n"
        );
        let mut container = GuestConfig::new(GuestKind::Pct);
        container
            .set_property("net0", &property("bridge=vmbr0,name=eth0"))
            .expect("a card");
        container
            .set_property("features", &property("nesting=1,keyctl=1"))
            .expect("features");
        assert_eq!(
            container.to_string(),
            "features: nesting=1,keyctl=1\nnet0: name=eth0,bridge=vmbr0\n"
        );
    }

    #[test]
    fn reads_as_proxmox_reads() {
        let config = read(
            GuestKind::Qm,
            "onboot: yes\ncdrom: none,media=cdrom\nname:x  \n\nciuser: \"me\"\nname: y\n",
        );
        assert_eq!(
            config.to_string(),
            "ciuser: me\nide2: none,media=cdrom\nname: y\nonboot: 1\n"
        );
        let (_, skipped) = GuestConfig::parse(GuestKind::Qm, "cores: 2\nname\n lock: x\nname:\n");
        assert_eq!(
            skipped.iter().map(|line| line.line).collect::<Vec<_>>(),
            [2, 3, 4]
        );
    }

    #[test]
    fn keeps_the_sections_of_a_file_it_read() {
        let text = "#main\ncores: 2\n\n[PENDING]\ncores: 4\n\n[special:cloudinit]\nname: x\n\n[a]\n#snap\ncores: 1\n\n[b]\ncores: 1\n";
        let config = read(GuestKind::Qm, text);
        assert_eq!(config.description(), "main");
        assert_eq!(config.get("cores"), Some("2"));
        assert_eq!(config.to_string(), text);
    }

    #[test]
    fn refuses_quotes_that_proxmox_takes_off() {
        let mut config = GuestConfig::new(GuestKind::Qm);
        let why = |result: Result<(), CannotCarry>| result.map_err(|error| error.why);
        assert_eq!(
            why(config.set("args", "\"-a\" \"-b\"")),
            Err(Refusal::OuterQuotes)
        );
        assert_eq!(why(config.set("args", "-a \"-b\"")), Ok(()));
        assert_eq!(
            why(config.set("args", "a\nb: c")),
            Err(Refusal::Control('\n'))
        );
        assert_eq!(why(config.set("Args", "a")), Err(Refusal::BadName));
        assert_eq!(why(config.set("description", "a")), Err(Refusal::BadName));
    }

    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\PC{0,20}",
            "[ \n\t\"%:#=,\\[\\]äa0]{0,12}",
            Just("[PENDING]".to_owned()),
            Just("0".to_owned())
        ]
    }

    proptest! {
        /// Whatever is accepted is read back as what it was, and printing it again changes nothing.
        #[test]
        fn round_trips_or_refuses(
            pct: bool,
            description in hostile(),
            values in proptest::collection::vec(("name|args|tags|env|ciuser|hostname|onboot|scsi[0-9]|zzz", hostile()), 0..6),
            raw in proptest::collection::vec(hostile(), 0..3),
        ) {
            let kind = if pct { GuestKind::Pct } else { GuestKind::Qm };
            let mut config = GuestConfig::new(kind);
            let _ = config.set_description(&description);
            for (key, value) in &values {
                // Booleans are rewritten on purpose.
                if key != "onboot" || parse_boolean(value).is_none() {
                    let _ = config.set(key, value);
                }
            }
            for value in &raw {
                let _ = config.add_raw("lxc.hook.mount", value);
                let _ = config.add_raw(ENVIRONMENT, value);
            }
            let printed = config.to_string();
            let (read, skipped) = GuestConfig::parse(kind, &printed);
            prop_assert_eq!(skipped, []);
            prop_assert_eq!(read.to_string(), printed);
            prop_assert_eq!(read, config);
        }

        #[test]
        fn reading_anything_prints_a_fixed_point(pct: bool, text in "(#|\\[|\\]|[a-z]{1,4}[0-9]?: ?|lxc\\.|\n|\\PC{0,5}|\"|PENDING|on){0,30}") {
            let kind = if pct { GuestKind::Pct } else { GuestKind::Qm };
            let once = GuestConfig::parse(kind, &text).0.to_string();
            let twice = GuestConfig::parse(kind, &once).0.to_string();
            prop_assert_eq!(GuestConfig::parse(kind, &twice).0.to_string(), twice);
        }
    }
}
