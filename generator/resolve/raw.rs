//! Options of Proxmox VE under their own names → the tables of the language.
//!
//! `extra` may say whatever Proxmox VE's files say. What the language has a word for becomes that word's key, at the place
//! where it stands, as if it had been written there: so every name is looked up, every budget counted and every check made
//! once, for all ways of saying a thing. What has no word stays an option. Each is held against Proxmox VE's schema first.

use std::ops::Deref;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::pve::guest_config::{ENVIRONMENT, parse_boolean};
use crate::pve::schema::takes_raw_lxc_key;
use crate::pve::{
    ConfigFile, DiskSize, PveOption, Release, check_option, is_state, place_inside, report_fault,
};
use crate::source::{Span, Spanned};
use crate::spec::guest::{
    AutostartSpec, ContainerCpuSpec, ContainerDeviceSpec, ContainerSpec, CpuAffinity, EfiSpec,
    GuestNicSpec, MountSpec, RootfsSpec, TemplateSpec, TpmSpec, VmCpuSpec, VmDiskSpec,
    VmMemorySpec, VmSpec,
};
use crate::spec::network::VlanIds;
use crate::spec::reader::{Amount, Int, List, OneOf, OneOrMany, Raw, Reference, ShortOrLong};
use crate::spec::schema_keys::SchemaKeys;
use crate::value::{
    Balloon, Bus, ByteSize, Choice, EfiType, HugePages, Node, OctalMode, SpecString, TpmVersion,
    Value, VolumeId, VolumeName,
};

/// A row of a table that an option says, and what of the option has no key there.
pub(super) struct RawRow<T> {
    /// The option's number.
    pub(super) slot: Spanned<u32>,
    /// What the language has words for.
    pub(super) spec: T,
    /// The rest.
    pub(super) more: Vec<PveOption>,
}

/// A guest's table: as it is written, until an option says more of it. The copy lies apart, as it is some kilobytes and
/// what holds it is moved.
pub(super) struct Table<'a, T> {
    written: &'a T,
    amended: Option<Box<T>>,
}

impl<'a, T: Clone> Table<'a, T> {
    fn new(written: &'a T) -> Self {
        Self {
            written,
            amended: None,
        }
    }

    fn to_mut(&mut self) -> &mut T {
        let written = self.written;
        self.amended
            .get_or_insert_with(|| Box::new(written.clone()))
    }
}

impl<T> Deref for Table<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.amended.as_deref().unwrap_or(self.written)
    }
}

/// A virtual machine's options of Proxmox VE, sorted by what becomes of them.
pub(super) struct RawVm<'a> {
    /// The table with what options say in its words.
    pub(super) body: Table<'a, VmSpec>,
    /// `net0` ….
    pub(super) cards: Vec<RawRow<GuestNicSpec>>,
    /// `scsi0` … that are disks.
    pub(super) disks: Vec<(Spanned<String>, RawRow<VmDiskSpec>)>,
    /// `ide2` … that are drives of discs.
    pub(super) images: Vec<RawImage>,
    /// A drive of cloud-init.
    pub(super) cloud_init: Option<RawCloudInit>,
    /// Drives that stay options: their numbers are taken.
    pub(super) drives: Vec<(Span, Bus, Spanned<u32>)>,
    /// `hostpci0` ….
    pub(super) passthrough: Vec<PveOption>,
    /// `usb0` ….
    pub(super) usb: Vec<PveOption>,
    /// `serial0` ….
    pub(super) serial: Vec<PveOption>,
    /// What else is said of the guest agent.
    pub(super) agent: Vec<PveOption>,
    /// What has no word.
    pub(super) options: Vec<PveOption>,
}

/// A drive of discs that an option says.
pub(super) struct RawImage {
    pub(super) span: Span,
    pub(super) bus: Bus,
    pub(super) slot: Spanned<u32>,
    pub(super) image: Option<Spanned<VolumeId>>,
    pub(super) more: Vec<PveOption>,
}

/// A drive of cloud-init that an option says.
pub(super) struct RawCloudInit {
    pub(super) span: Span,
    pub(super) bus: Bus,
    pub(super) slot: Spanned<u32>,
    pub(super) store: Spanned<Reference>,
    pub(super) more: Vec<PveOption>,
}

/// A container's options of Proxmox VE, sorted by what becomes of them.
pub(super) struct RawContainer<'a> {
    /// The table with what options say in its words.
    pub(super) body: Table<'a, ContainerSpec>,
    /// `net0` ….
    pub(super) cards: Vec<RawRow<GuestNicSpec>>,
    /// `mp0` ….
    pub(super) mounts: Vec<(Spanned<String>, RawRow<MountSpec>)>,
    /// What else is said of the root file system.
    pub(super) rootfs: Vec<PveOption>,
    /// `dev0` ….
    pub(super) devices: Vec<RawRow<ContainerDeviceSpec>>,
    /// Raw lines of LXC.
    pub(super) lxc: Vec<PveOption>,
    /// What has no word.
    pub(super) options: Vec<PveOption>,
}

/// The options of an `extra` table: names with strings, numbers or booleans. The raw keys of LXC may come several times:
/// they take lists.
pub(super) fn options_of(raw: Option<&Spanned<Raw>>, sink: &mut Sink) -> Vec<PveOption> {
    let mut options = Vec::new();
    let lines = raw.iter().flat_map(|raw| &raw.value.0);
    for (key, node) in lines.flat_map(|(key, node)| {
        let items = match &node.value {
            Value::Array(items) if key.starts_with("lxc.") => &items[..],
            Value::Array(_)
            | Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Table(_) => std::slice::from_ref(node),
        };
        items.iter().map(move |item| (key, item))
    }) {
        if let Some(value) = text_of(node, sink) {
            options.push(PveOption::new(key.clone(), Spanned::new(value, node.span)));
        }
    }
    options
}

fn text_of(node: &Node, sink: &mut Sink) -> Option<String> {
    match &node.value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(boolean) => Some(u8::from(*boolean).to_string()),
        Value::TooLarge(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            let diagnostic = Diagnostic::new(
                Code::MOX0003,
                node.span,
                format!(
                    "expected a string, a number or a boolean, found {}",
                    node.value.kind()
                ),
            );
            sink.push(diagnostic.help("write the value as Proxmox VE's own files do, in quotes"));
            None
        }
    }
}

/// Sorts a virtual machine's options.
pub(super) fn vm<'a>(
    body: &'a VmSpec,
    options: Vec<PveOption>,
    release: Release,
    sink: &mut Sink,
) -> RawVm<'a> {
    let mut sorter = Sorter::new(ConfigFile::Qm, release, sink);
    let mut raw = RawVm {
        body: Table::new(body),
        cards: Vec::new(),
        disks: Vec::new(),
        images: Vec::new(),
        cloud_init: None,
        drives: Vec::new(),
        passthrough: Vec::new(),
        usb: Vec::new(),
        serial: Vec::new(),
        agent: Vec::new(),
        options: Vec::new(),
    };
    for option in options {
        if sorter.is_sound(&option) {
            sorter.vm_option(option, &mut raw);
        }
    }
    if let Some(start) = sorter.autostart() {
        sorter.fill(
            "startup",
            "autostart",
            &mut raw.body.to_mut().autostart,
            start,
        );
    }
    raw
}

/// Sorts a container's options.
pub(super) fn container<'a>(
    body: &'a ContainerSpec,
    options: Vec<PveOption>,
    release: Release,
    sink: &mut Sink,
) -> RawContainer<'a> {
    let mut sorter = Sorter::new(ConfigFile::Pct, release, sink);
    let mut raw = RawContainer {
        body: Table::new(body),
        cards: Vec::new(),
        mounts: Vec::new(),
        rootfs: Vec::new(),
        devices: Vec::new(),
        lxc: Vec::new(),
        options: Vec::new(),
    };
    for option in options {
        if option.key.starts_with("lxc.") {
            raw.lxc.push(option);
        } else if option.key.value == "env" && sorter.is_sound(&option) {
            raw.lxc.extend(variables(&option));
        } else if sorter.is_sound(&option) {
            sorter.container_option(option, &mut raw);
        }
    }
    if let Some(start) = sorter.autostart() {
        sorter.fill(
            "startup",
            "autostart",
            &mut raw.body.to_mut().autostart,
            start,
        );
    }
    raw
}

/// The lines of a container's file that its `env` is: one a variable, where the option has a NUL between two.
fn variables(option: &PveOption) -> impl Iterator<Item = PveOption> + '_ {
    option.value.split('\0').map(|variable| {
        PveOption::new(
            Spanned::new(ENVIRONMENT.to_owned(), option.key.span),
            Spanned::new(variable.to_owned(), option.value.span),
        )
    })
}

/// Sorts options one by one.
struct Sorter<'s> {
    file: ConfigFile<'static>,
    release: Release,
    sink: &'s mut Sink,
    onboot: Option<Spanned<bool>>,
    startup: Option<PveOption>,
}

impl<'s> Sorter<'s> {
    fn new(file: ConfigFile<'static>, release: Release, sink: &'s mut Sink) -> Self {
        Self {
            file,
            release,
            sink,
            onboot: None,
            startup: None,
        }
    }

    /// Holds an option against the schema, at the very part that is wrong.
    fn is_sound(&mut self, option: &PveOption) -> bool {
        if is_state(&option.key) {
            let message = format!(
                "`{}` is not an option to set, but state of the guest",
                option.key.value
            );
            self.sink.push(
                Diagnostic::new(Code::MOX0108, option.key.span, message)
                    .note("Proxmox VE keeps it in the file: of a task that runs, of snapshots, of volumes that no drive has")
                    .help("leave it out"),
            );
            return false;
        }
        match check_option(self.file, self.release, &option.key, &option.value) {
            Ok(()) => true,
            Err(fault) => {
                let place = option.place(&fault.place);
                report_fault(fault, place, self.sink);
                false
            }
        }
    }

    /// What is said once. Where a key of the language says it, too, one of the two must go. A value that was not understood
    /// fills nothing.
    fn fill<T>(
        &mut self,
        key: &str,
        word: &str,
        slot: &mut Option<Spanned<T>>,
        value: impl Into<Option<Spanned<T>>>,
    ) {
        let Some(value) = value.into() else { return };
        match slot {
            None => *slot = Some(value),
            Some(said) => self.sink.push(said_twice(key, word, value.span, said.span)),
        }
    }

    fn number<const LEAST: i64, const MOST: i64>(
        &mut self,
        value: &Spanned<String>,
    ) -> Option<Spanned<Int<LEAST, MOST>>> {
        let number = value.value.parse::<i64>().ok();
        let number = number.filter(|number| (LEAST..=MOST).contains(number));
        if number.is_none() {
            let message = format!("{} is out of range", value.value);
            let help = format!("the number here is from {LEAST} to {MOST}");
            self.sink
                .push(Diagnostic::new(Code::MOX0013, value.span, message).help(help));
        }
        Some(Spanned::new(Int(number?), value.span))
    }

    fn amount(value: &Spanned<String>) -> Option<Spanned<Amount>> {
        let amount = value.value.parse().ok().map(Amount)?;
        Some(Spanned::new(amount, value.span))
    }

    fn flag(value: &Spanned<String>) -> Option<Spanned<bool>> {
        parse_boolean(&value.value).map(|on| Spanned::new(on, value.span))
    }

    fn mebibytes(value: &Spanned<String>) -> Option<Spanned<ByteSize>> {
        let number = value.value.parse::<u64>().ok()?;
        Some(Spanned::new(ByteSize::mib(number), value.span))
    }

    fn text<T: SpecString>(&mut self, value: &Spanned<String>) -> Option<Spanned<T>> {
        match T::parse(&value.value) {
            Ok(parsed) => Some(Spanned::new(parsed, value.span)),
            Err(error) => {
                let place = place_inside(value, error.range.clone());
                let diagnostic = Diagnostic::new(T::CODE, place, error.message);
                self.sink.push(diagnostic.help_if(error.help));
                None
            }
        }
    }

    /// When it starts, from `onboot` and `startup` together.
    fn autostart(&mut self) -> Option<Spanned<ShortOrLong<bool, AutostartSpec>>> {
        let onboot = self.onboot.take();
        let Some(startup) = self.startup.take() else {
            let on = onboot?;
            return Some(Spanned::new(ShortOrLong::Short(on.value), on.span));
        };
        let mut spec = AutostartSpec {
            span: startup.value.span,
            misread: Vec::new(),
            faulty: false,
            order: None,
            up_delay: None,
            down_delay: None,
            enabled: Some(onboot.unwrap_or(Spanned::new(false, startup.value.span))),
        };
        // Not a property string: a number alone is the order (`PVE::JSONSchema::pve_parse_startup_order`).
        for (key, value) in startup.parts().ok()? {
            let seconds = Spanned::new(format!("{}s", value.value), value.span);
            match key.as_deref() {
                None | Some("order") => spec.order = self.number(&value),
                Some("up") => spec.up_delay = self.text(&seconds),
                Some("down") => spec.down_delay = self.text(&seconds),
                Some(_) => {}
            }
        }
        Some(Spanned::new(ShortOrLong::Long(spec), startup.value.span))
    }

    fn vm_option(&mut self, option: PveOption, raw: &mut RawVm<'_>) {
        match option.numbered() {
            Some(("net", slot)) => match self.vm_card(&option, slot) {
                Some(card) => return raw.cards.push(card),
                None => return raw.options.push(option),
            },
            Some(("hostpci", _)) => return raw.passthrough.push(option),
            Some(("usb", _)) => return raw.usb.push(option),
            Some(("serial", _)) => return raw.serial.push(option),
            Some((base, slot)) => {
                if let Some(bus) = Bus::of(base) {
                    return self.drive(option, bus, slot, raw);
                }
                if base == "efidisk" {
                    return self.efi(&option, raw);
                }
                if base == "tpmstate" {
                    return self.tpm(&option, raw);
                }
            }
            None => {}
        }
        let value = &option.value;
        let place = value.span;
        let key = option.key.value.as_str();
        match key {
            "onboot" => self.onboot = Self::flag(value),
            "startup" => self.startup = Some(option),
            "name" => {
                let name = self.text(value);
                self.fill(key, "name", &mut raw.body.to_mut().name, name);
            }
            "description" => {
                let text = self.text(value);
                self.fill(key, "description", &mut raw.body.to_mut().description, text);
            }
            "tags" => {
                let tags = self.tags(value);
                self.fill(key, "tags", &mut raw.body.to_mut().tags, tags);
            }
            "protection" => {
                let on = Self::flag(value);
                self.fill(key, "protection", &mut raw.body.to_mut().protection, on);
            }
            "cores" | "sockets" | "cpu" | "cpulimit" | "cpuunits" | "affinity" => {
                self.vm_cpu(&option, raw);
            }
            "memory" => self.vm_memory(&option, raw),
            "balloon" | "hugepages" | "shares" | "numa" => self.vm_memory_key(option, raw),
            "bios" => {
                if let Some(firmware) = Choice::of(&value.value) {
                    let firmware = Spanned::new(OneOf(firmware), place);
                    self.fill(key, "firmware", &mut raw.body.to_mut().firmware, firmware);
                }
            }
            "machine" => {
                let machine = self.text(value);
                self.fill(key, "machine", &mut raw.body.to_mut().machine, machine);
            }
            "vga" => {
                let display = self.text(value);
                self.fill(key, "display", &mut raw.body.to_mut().display, display);
            }
            "scsihw" => {
                if let Some(controller) = self.text(value) {
                    let slot = &mut raw.body.to_mut().scsi_controller;
                    self.fill(key, "scsi-controller", slot, controller);
                }
            }
            "agent" => self.agent(&option, raw),
            "boot" => match boot_order(value) {
                Some(order) => {
                    let order = Spanned::new(order, place);
                    self.fill(key, "boot", &mut raw.body.to_mut().boot, order);
                }
                None => raw.options.push(option),
            },
            _ => raw.options.push(option),
        }
    }

    fn vm_cpu(&mut self, option: &PveOption, raw: &mut RawVm<'_>) {
        let value = &option.value;
        let key = option.key.value.as_str();
        let body = raw.body.to_mut();
        let cpu = body.cpu.get_or_insert_with(|| no_vm_cpu(value.span));
        let cpu = &mut cpu.value;
        match key {
            "cores" => {
                let number = self.number(value);
                self.fill(key, "cpu.cores", &mut cpu.cores, number);
            }
            "sockets" => {
                let number = self.number(value);
                self.fill(key, "cpu.sockets", &mut cpu.sockets, number);
            }
            "cpu" => {
                let model = self.text(value);
                self.fill(key, "cpu.type", &mut cpu.model, model);
            }
            "cpulimit" => {
                let limit = Self::amount(value);
                self.fill(key, "cpu.limit", &mut cpu.limit, limit);
            }
            "cpuunits" => {
                let units = self.number(value);
                self.fill(key, "cpu.units", &mut cpu.units, units);
            }
            _ => {
                if let Some(set) = self.text::<crate::value::CpuSet>(value) {
                    let set = set.map(CpuAffinity);
                    self.fill(key, "cpu.affinity", &mut cpu.affinity, set);
                }
            }
        }
    }

    /// What may stand in the table `memory`, or beside a size alone.
    fn vm_memory_key(&mut self, option: PveOption, raw: &mut RawVm<'_>) {
        let value = &option.value;
        let place = value.span;
        let key = option.key.value.as_str();
        match key {
            "balloon" => {
                let balloon = match value.value.as_str() {
                    "0" => Some(Spanned::new(Balloon::Off, place)),
                    _ => Self::mebibytes(value).map(|size| size.map(Balloon::Least)),
                };
                if let Some(balloon) = balloon {
                    self.beside_memory(key, raw, balloon, |m| &mut m.balloon, |b| &mut b.balloon);
                }
            }
            "hugepages" => {
                let pages = match value.value.as_str() {
                    "any" => Some(Spanned::new(HugePages::Any, place)),
                    _ => Self::mebibytes(value).map(|size| size.map(HugePages::Of)),
                };
                if let Some(pages) = pages {
                    self.beside_memory(key, raw, pages, |m| &mut m.hugepages, |b| &mut b.hugepages);
                }
            }
            "numa" => {
                if let Some(on) = Self::flag(value) {
                    self.beside_memory(key, raw, on, |m| &mut m.numa, |b| &mut b.numa);
                }
            }
            _ => match raw
                .body
                .to_mut()
                .memory
                .as_mut()
                .map(|memory| &mut memory.value)
            {
                Some(ShortOrLong::Long(table)) => {
                    let shares = self.number(value);
                    self.fill(key, "memory.shares", &mut table.shares, shares);
                }
                Some(ShortOrLong::Short(_)) | None => raw.options.push(option),
            },
        }
    }

    fn container_option(&mut self, option: PveOption, raw: &mut RawContainer<'_>) {
        match option.numbered() {
            Some(("net", slot)) => match self.container_card(&option, slot) {
                Some(card) => return raw.cards.push(card),
                None => return raw.options.push(option),
            },
            Some(("dev", slot)) => {
                raw.devices.extend(self.device(&option, slot));
                return;
            }
            Some(("mp", slot)) => match self.mount(&option, slot) {
                Some(row) => return raw.mounts.push((option.key, row)),
                None => return raw.options.push(option),
            },
            Some(_) | None => {}
        }
        if option.key.value == "rootfs" {
            return self.rootfs(option, raw);
        }
        let value = &option.value;
        let place = value.span;
        let key = option.key.value.as_str();
        match key {
            "onboot" => self.onboot = Self::flag(value),
            "startup" => self.startup = Some(option),
            // One that is made from something, too, says so by the key.
            "template" if !is_made_from(&raw.body) => {
                if let Some(itself) = Self::flag(value) {
                    let itself = itself.map(TemplateSpec::Itself);
                    self.fill(key, "template", &mut raw.body.to_mut().template, itself);
                }
            }
            "hostname" => {
                let name = self.text(value);
                self.fill(key, "name", &mut raw.body.to_mut().name, name);
            }
            "description" => {
                let text = self.text(value);
                self.fill(key, "description", &mut raw.body.to_mut().description, text);
            }
            "tags" => {
                let tags = self.tags(value);
                self.fill(key, "tags", &mut raw.body.to_mut().tags, tags);
            }
            "protection" => {
                let on = Self::flag(value);
                self.fill(key, "protection", &mut raw.body.to_mut().protection, on);
            }
            "unprivileged" => {
                let on = Self::flag(value);
                self.fill(key, "unprivileged", &mut raw.body.to_mut().unprivileged, on);
            }
            "cores" | "cpulimit" | "cpuunits" => self.container_cpu(&option, raw),
            "memory" => {
                let size = Self::mebibytes(value);
                self.fill(key, "memory", &mut raw.body.to_mut().memory, size);
            }
            "swap" => {
                let size = Self::mebibytes(value);
                self.fill(key, "swap", &mut raw.body.to_mut().swap, size);
            }
            "features" => {
                let lines = option.parts().unwrap_or_default().into_iter();
                let lines = lines.filter_map(|(name, value)| {
                    let line = match name {
                        Some(name) => format!("{name}={}", value.value),
                        None => value.value,
                    };
                    self.text(&Spanned::new(line, value.span))
                });
                let features = Spanned::new(lines.collect(), place);
                self.fill(key, "features", &mut raw.body.to_mut().features, features);
            }
            "nameserver" | "searchdomain" => {
                if let Some(line) = self.text(value) {
                    let list = Spanned::new(OneOrMany(vec![line]), place);
                    let body = raw.body.to_mut();
                    let slot = if key == "nameserver" {
                        &mut body.nameserver
                    } else {
                        &mut body.searchdomain
                    };
                    self.fill(key, key, slot, list);
                }
            }
            "timezone" => {
                let zone = self.text(value);
                self.fill(key, "timezone", &mut raw.body.to_mut().timezone, zone);
            }
            "cmode" => {
                let mode = self.text(value);
                self.fill(
                    key,
                    "console-mode",
                    &mut raw.body.to_mut().console_mode,
                    mode,
                );
            }
            _ => raw.options.push(option),
        }
    }

    fn container_cpu(&mut self, option: &PveOption, raw: &mut RawContainer<'_>) {
        let value = &option.value;
        let key = option.key.value.as_str();
        let body = raw.body.to_mut();
        let cpu = body.cpu.get_or_insert_with(|| no_container_cpu(value.span));
        let cpu = &mut cpu.value;
        match key {
            "cores" => {
                let number = self.number(value);
                self.fill(key, "cpu.cores", &mut cpu.cores, number);
            }
            "cpulimit" => {
                let limit = Self::amount(value);
                self.fill(key, "cpu.limit", &mut cpu.limit, limit);
            }
            _ => {
                let units = self.number(value);
                self.fill(key, "cpu.units", &mut cpu.units, units);
            }
        }
    }

    fn tags(&mut self, value: &Spanned<String>) -> Spanned<List<crate::value::Tag>> {
        let mut at = 0;
        let mut tags = Vec::new();
        for tag in value.value.split([';', ',', ' ']) {
            let range = at..at + tag.len();
            at = range.end + 1;
            if !tag.is_empty() {
                let tag = Spanned::new(tag.to_owned(), place_inside(value, range));
                tags.extend(self.text(&tag));
            }
        }
        Spanned::new(tags, value.span)
    }

    /// `memory: 4096`, and `memory: current=4096` since 8.1.
    fn vm_memory(&mut self, option: &PveOption, raw: &mut RawVm<'_>) {
        let parts = option.parts().unwrap_or_default();
        let size = parts.iter().find_map(|(_, value)| Self::mebibytes(value));
        if let Some(size) = size {
            let size = size.map(ShortOrLong::Short);
            self.fill("memory", "memory", &mut raw.body.to_mut().memory, size);
        }
    }

    /// What stands beside `memory`, or in its table.
    fn beside_memory<T>(
        &mut self,
        key: &str,
        raw: &mut RawVm<'_>,
        value: Spanned<T>,
        in_table: impl Fn(&mut VmMemorySpec) -> &mut Option<Spanned<T>>,
        beside: impl Fn(&mut VmSpec) -> &mut Option<Spanned<T>>,
    ) {
        let body = raw.body.to_mut();
        let word = format!("memory.{key}");
        match body.memory.as_mut().map(|memory| &mut memory.value) {
            Some(ShortOrLong::Long(table)) => self.fill(key, &word, in_table(table), value),
            Some(ShortOrLong::Short(_)) | None => self.fill(key, &word, beside(body), value),
        }
    }

    fn agent(&mut self, option: &PveOption, raw: &mut RawVm<'_>) {
        let mut more = Vec::new();
        let mut enabled = None;
        for (key, value) in option.parts().unwrap_or_default() {
            match key {
                None => enabled = Self::flag(&value),
                Some(key) if key == "enabled" => enabled = Self::flag(&value),
                Some(key) => more.push(sub_option(key, value)),
            }
        }
        if let Some(enabled) = enabled {
            let agent = enabled.map(ShortOrLong::Short);
            self.fill("agent", "agent", &mut raw.body.to_mut().agent, agent);
            raw.agent = more;
        }
    }

    /// A card on a bridge; one without any stays an option.
    fn vm_card(&mut self, option: &PveOption, slot: u32) -> Option<RawRow<GuestNicSpec>> {
        let parts = option.parts().ok()?;
        parts
            .iter()
            .find(|(key, _)| key.as_deref() == Some("bridge"))?;
        let mut card = self.card(option, slot);
        for (key, value) in parts {
            match key.as_deref() {
                None | Some("model") => card.spec.model = self.text(&value),
                Some("macaddr") => card.spec.mac = self.text(&value),
                Some(key) if self.is_card_model(key) => {
                    card.spec.model = self.text(&Spanned::new(key.to_owned(), value.span));
                    card.spec.mac = self.text(&value);
                }
                Some(key) => self.card_part(key, value, &mut card),
            }
        }
        Some(card)
    }

    /// `virtio=BC:24:…`: the name is the model, and its value the address.
    fn is_card_model(&self, key: &str) -> bool {
        let net = self.file.option("net0");
        net.and_then(crate::pve::schema::OptionSchema::sub_options)
            .and_then(|keys| keys.get(key))
            .is_some_and(|sub| sub.alias_of_two().is_some())
    }

    fn container_card(&mut self, option: &PveOption, slot: u32) -> Option<RawRow<GuestNicSpec>> {
        let parts = option.parts().ok()?;
        parts
            .iter()
            .find(|(key, _)| key.as_deref() == Some("bridge"))?;
        let mut card = self.card(option, slot);
        for (key, value) in parts {
            let Some(key) = key else { continue };
            match key.as_str() {
                "name" => card.spec.name = self.text(&value),
                "hwaddr" => card.spec.mac = self.text(&value),
                // `manual` leaves the address to the container: nothing to check, and nothing to say by a key.
                "ip" if value.value != "manual" => card.spec.address = self.text(&value),
                "ip6" if value.value != "manual" => card.spec.address6 = self.text(&value),
                "gw" => card.spec.gateway = self.text(&value),
                "gw6" => card.spec.gateway6 = self.text(&value),
                // All cards of containers are of this type.
                "type" => {}
                key => self.card_part(key, value, &mut card),
            }
        }
        Some(card)
    }

    #[expect(clippy::unused_self, reason = "as its neighbours, which report")]
    fn card(&mut self, option: &PveOption, slot: u32) -> RawRow<GuestNicSpec> {
        let span = option.value.span;
        let spec = GuestNicSpec {
            span,
            misread: Vec::new(),
            faulty: false,
            bridge: None,
            address: None,
            address6: None,
            gateway: None,
            gateway6: None,
            mac: None,
            vlan: None,
            trunks: None,
            // Not as the bridge has it: Proxmox VE's own default.
            firewall: Some(Spanned::new(false, span)),
            mtu: None,
            rate: None,
            model: None,
            name: None,
            slot: None,
            schema: SchemaKeys::default(),
        };
        RawRow {
            slot: Spanned::new(slot, option.key.span),
            spec,
            more: Vec::new(),
        }
    }

    /// What cards of both kinds of guest have.
    fn card_part(&mut self, key: &str, value: Spanned<String>, card: &mut RawRow<GuestNicSpec>) {
        let spec = &mut card.spec;
        let mut take = |taken: bool, value| {
            if !taken {
                card.more.push(sub_option(key.to_owned(), value));
            }
        };
        match key {
            "bridge" => spec.bridge = self.text(&value),
            "firewall" => spec.firewall = Self::flag(&value),
            "rate" => spec.rate = Self::amount(&value),
            "tag" => {
                let tag = value
                    .value
                    .parse()
                    .ok()
                    .and_then(crate::value::VlanTag::new);
                spec.vlan = tag.map(|tag| Spanned::new(tag, value.span));
                take(spec.vlan.is_some(), value);
            }
            // VLAN 1, and 1 for the bridge's own size, have no words.
            "trunks" => {
                let trunks = crate::value::VlanSet::parse(&value.value).ok();
                spec.trunks = trunks.map(|set| Spanned::new(VlanIds(set), value.span));
                take(spec.trunks.is_some(), value);
            }
            "mtu" => {
                let mtu = value.value.parse().ok().filter(|mtu| *mtu >= 576);
                spec.mtu = mtu.map(|mtu| Spanned::new(Int(mtu), value.span));
                take(spec.mtu.is_some(), value);
            }
            _ => take(false, value),
        }
    }

    /// A drive: a disk, a drive of discs, or that of cloud-init.
    fn drive(&mut self, option: PveOption, bus: Bus, slot: u32, raw: &mut RawVm<'_>) {
        let span = option.value.span;
        let slot = Spanned::new(slot, option.key.span);
        let mut what = None;
        let mut disc = false;
        let mut rest = Vec::new();
        for (key, value) in option.parts().unwrap_or_default() {
            match key.as_deref() {
                None | Some("file" | "volume") => what = Some(value),
                Some("media") => disc = value.value == "cdrom",
                Some(key) => rest.push((key.to_owned(), value)),
            }
        }
        let Some(what) = what else {
            return raw.options.push(option);
        };
        let store = what.value.split_once(':');
        let is_cloud_init = store.is_some_and(|(_, volume)| volume.ends_with("cloudinit"));
        let more = |rest: Vec<(String, Spanned<String>)>| -> Vec<PveOption> {
            // The size of a disc is only a note of Proxmox VE's.
            let rest = rest.into_iter().filter(|(key, _)| key != "size");
            rest.map(|(key, value)| sub_option(key, value)).collect()
        };
        if let (Some((store, _)), true) = (store, is_cloud_init) {
            if let Some(first) = &raw.cloud_init {
                self.sink.push(
                    Diagnostic::new(Code::MOX0109, span, "a second drive of cloud-init")
                        .also(first.span, "the first")
                        .help("remove one of the two: Proxmox VE fills one"),
                );
            }
            let place = place_inside(&what, 0..store.len());
            raw.cloud_init = Some(RawCloudInit {
                span,
                bus,
                slot,
                store: Spanned::new(Reference(store.to_owned()), place),
                more: more(rest),
            });
        } else if disc && what.value != "cdrom" {
            let image = match what.value.as_str() {
                "none" => None,
                _ => match self.text::<VolumeId>(&what) {
                    Some(image) => Some(image),
                    None => return,
                },
            };
            raw.images.push(RawImage {
                span,
                bus,
                slot,
                image,
                more: more(rest),
            });
        } else if let Some((spec, more)) = self.disk(&what, rest, bus, span) {
            raw.disks.push((option.key, RawRow { slot, spec, more }));
        } else {
            // A path of the host, or its own drive of discs.
            raw.drives.push((span, bus, slot));
            raw.options.push(option);
        }
    }

    /// A disk that lies in a store. Proxmox VE's own defaults hold, not those of the language.
    fn disk(
        &mut self,
        what: &Spanned<String>,
        rest: Vec<(String, Spanned<String>)>,
        bus: Bus,
        span: Span,
    ) -> Option<(VmDiskSpec, Vec<PveOption>)> {
        // An image of a store of discs, plugged in as a disk: what people start other systems' installers from.
        if what.value.contains(":iso/") {
            return None;
        }
        let at = self.in_store(what)?;
        let off = || Some(Spanned::new(false, span));
        let mut spec = VmDiskSpec {
            span,
            misread: Vec::new(),
            faulty: false,
            dataset: None,
            store: Some(at.store),
            volume: at.volume,
            device: None,
            size: at.size,
            format: None,
            import: None,
            bus: Some(Spanned::new(OneOf(bus), span)),
            ssd: off(),
            discard: off(),
            iothread: off(),
            cache: None,
            backup: None,
            mount: None,
            fs: None,
            serial: None,
            slot: None,
            schema: SchemaKeys::default(),
        };
        let mut more = Vec::new();
        for (key, value) in rest {
            match key.as_str() {
                "size" => spec.size = disk_size(&value).or(spec.size),
                "ssd" => spec.ssd = Self::flag(&value),
                "discard" => {
                    spec.discard = Some(Spanned::new(value.value == "on", value.span));
                }
                "iothread" => spec.iothread = Self::flag(&value),
                "backup" => spec.backup = Self::flag(&value),
                "cache" => {
                    let cache = Choice::of(&value.value);
                    spec.cache = cache.map(|cache| Spanned::new(OneOf(cache), value.span));
                }
                _ => more.push(sub_option(key, value)),
            }
        }
        Some((spec, more))
    }

    /// `local-lvm:vm-100-disk-0`, or `local-lvm:32`, a new volume of so many GiB.
    fn in_store(&mut self, what: &Spanned<String>) -> Option<InStore> {
        let (store, volume) = what.value.split_once(':')?;
        if store.starts_with('/') {
            return None;
        }
        let at = store.len() + 1;
        let volume = Spanned::new(volume.to_owned(), place_inside(what, at..what.value.len()));
        let store = Spanned::new(
            Reference(store.to_owned()),
            place_inside(what, 0..store.len()),
        );
        let size = volume.value.parse::<f64>().ok().map(|_| {
            let size = format!("{} GiB", volume.value);
            Spanned::new(size.parse().unwrap_or_default(), volume.span)
        });
        Some(InStore {
            store,
            volume: match size {
                Some(_) => None,
                None => Some(self.text(&volume)?),
            },
            size,
        })
    }

    fn efi(&mut self, option: &PveOption, raw: &mut RawVm<'_>) {
        let span = option.value.span;
        let mut spec = EfiSpec {
            span,
            misread: Vec::new(),
            faulty: false,
            dataset: None,
            store: None,
            volume: None,
            size: None,
            format: None,
            // Proxmox VE's own default.
            kind: Some(Spanned::new(OneOf(EfiType::Small), span)),
            pre_enrolled_keys: Some(Spanned::new(false, span)),
        };
        for (key, value) in option.parts().unwrap_or_default() {
            match key.as_deref() {
                None | Some("file" | "volume") => {
                    let Some(at) = self.in_store(&value) else {
                        return raw.options.push(option.clone());
                    };
                    spec.store = Some(at.store);
                    spec.volume = at.volume;
                }
                Some("size") => spec.size = disk_size(&value),
                Some("efitype") => {
                    let kind = Choice::of(&value.value);
                    spec.kind = kind.map(|kind| Spanned::new(OneOf(kind), value.span));
                }
                Some("pre-enrolled-keys") => spec.pre_enrolled_keys = Self::flag(&value),
                // What Proxmox VE adds by itself.
                Some(_) => {}
            }
        }
        if spec.volume.is_none() {
            spec.size = None;
        }
        let efi = Spanned::new(ShortOrLong::Long(spec), span);
        self.fill("efidisk0", "efi", &mut raw.body.to_mut().efi, efi);
    }

    fn tpm(&mut self, option: &PveOption, raw: &mut RawVm<'_>) {
        let span = option.value.span;
        let mut spec = TpmSpec {
            span,
            misread: Vec::new(),
            faulty: false,
            dataset: None,
            store: None,
            volume: None,
            size: None,
            // Proxmox VE's own default.
            version: Some(Spanned::new(OneOf(TpmVersion::V12), span)),
        };
        for (key, value) in option.parts().unwrap_or_default() {
            match key.as_deref() {
                None | Some("file" | "volume") => {
                    let Some(at) = self.in_store(&value) else {
                        return raw.options.push(option.clone());
                    };
                    spec.store = Some(at.store);
                    spec.volume = at.volume;
                }
                Some("size") => spec.size = disk_size(&value),
                Some("version") => {
                    let version = Choice::of(&value.value);
                    spec.version = version.map(|one| Spanned::new(OneOf(one), value.span));
                }
                Some(_) => {}
            }
        }
        // What Proxmox VE takes a state without a version for (PVE::QemuServer::Drive).
        let oldest = Choice::of("v1.2").map(|one| Spanned::new(OneOf(one), span));
        spec.version = spec.version.or(oldest);
        if spec.volume.is_none() {
            spec.size = None;
        }
        let tpm = Spanned::new(ShortOrLong::Long(spec), span);
        self.fill("tpmstate0", "tpm", &mut raw.body.to_mut().tpm, tpm);
    }

    /// `mp0 = "/srv/a,mp=/a"`, `mp1 = "local-lvm:vm-101-disk-1,mp=/b,size=8G"`.
    fn mount(&mut self, option: &PveOption, slot: u32) -> Option<RawRow<MountSpec>> {
        let span = option.value.span;
        let mut spec = MountSpec {
            span,
            misread: Vec::new(),
            faulty: false,
            dataset: None,
            store: None,
            volume: None,
            host_path: None,
            path: None,
            size: None,
            read_only: None,
            backup: None,
            slot: None,
            schema: SchemaKeys::default(),
        };
        let mut more = Vec::new();
        for (key, value) in option.parts().ok()? {
            match key.as_deref() {
                None | Some("volume") if value.value.starts_with('/') => {
                    spec.host_path = Some(self.text(&value)?);
                }
                None | Some("volume") => {
                    let at = self.in_store(&value)?;
                    spec.store = Some(at.store);
                    spec.volume = at.volume;
                    spec.size = at.size;
                    // Only what is told to be is in a backup.
                    spec.backup = spec.backup.or(Some(Spanned::new(false, span)));
                }
                Some("mp") => spec.path = self.text(&value),
                Some("size") => spec.size = disk_size(&value).or(spec.size),
                Some("ro") => spec.read_only = Self::flag(&value),
                Some("backup") => spec.backup = Self::flag(&value),
                Some(key) => more.push(sub_option(key.to_owned(), value)),
            }
        }
        if spec.host_path.is_some() {
            spec.size = None;
            // Proxmox VE passes over what a file says of backups here.
            if let Some(backup) = spec.backup.take() {
                let value = u8::from(backup.value).to_string();
                more.push(sub_option(
                    "backup".to_owned(),
                    Spanned::new(value, backup.span),
                ));
            }
        }
        Some(RawRow {
            slot: Spanned::new(slot, option.key.span),
            spec,
            more,
        })
    }

    fn rootfs(&mut self, option: PveOption, raw: &mut RawContainer<'_>) {
        let span = option.value.span;
        let mut spec = RootfsSpec {
            span,
            misread: Vec::new(),
            faulty: false,
            dataset: None,
            store: None,
            volume: None,
            size: None,
            schema: SchemaKeys::default(),
        };
        let mut more = Vec::new();
        for (key, value) in option.parts().unwrap_or_default() {
            match key.as_deref() {
                None | Some("volume") => {
                    let Some(at) = self.in_store(&value) else {
                        return raw.options.push(option);
                    };
                    spec.store = Some(at.store);
                    spec.volume = at.volume;
                    spec.size = at.size;
                }
                Some("size") => spec.size = disk_size(&value).or(spec.size),
                Some(key) => more.push(sub_option(key.to_owned(), value)),
            }
        }
        let rootfs = Spanned::new(spec, span);
        self.fill("rootfs", "rootfs", &mut raw.body.to_mut().rootfs, rootfs);
        raw.rootfs = more;
    }

    fn device(&mut self, option: &PveOption, slot: u32) -> Option<RawRow<ContainerDeviceSpec>> {
        let mut row = RawRow {
            slot: Spanned::new(slot, option.key.span),
            spec: ContainerDeviceSpec {
                span: option.value.span,
                misread: Vec::new(),
                faulty: false,
                path: None,
                uid: None,
                gid: None,
                mode: None,
                read_only: None,
                slot: None,
            },
            more: Vec::new(),
        };
        for (key, value) in option.parts().ok()? {
            let spec = &mut row.spec;
            match key.as_deref() {
                None | Some("path") => spec.path = self.text(&value),
                Some("uid") => spec.uid = self.number(&value),
                Some("gid") => spec.gid = self.number(&value),
                Some("mode") => spec.mode = self.text::<OctalMode>(&value),
                Some("deny-write") => spec.read_only = Self::flag(&value),
                Some(key) => row.more.push(sub_option(key.to_owned(), value)),
            }
        }
        row.spec.path.is_some().then_some(row)
    }
}

/// A volume of a store, by name or by its size.
struct InStore {
    store: Spanned<Reference>,
    volume: Option<Spanned<VolumeName>>,
    size: Option<Spanned<ByteSize>>,
}

/// `32G`, as Proxmox VE writes it.
fn disk_size(value: &Spanned<String>) -> Option<Spanned<ByteSize>> {
    let size: DiskSize = value.value.parse().ok()?;
    Some(Spanned::new(ByteSize::bytes(size.bytes()), value.span))
}

/// A sub-option at the place of its value.
fn sub_option(key: String, value: Spanned<String>) -> PveOption {
    PveOption::new(Spanned::new(key, value.span), value)
}

/// `order=scsi0;net0`, each at its place; nothing behind it is no device. The older form, letters for kinds of devices, is
/// none.
fn boot_order(value: &Spanned<String>) -> Option<List<crate::value::Line>> {
    if value.value.trim().is_empty() || value.value == "order=" {
        return Some(Vec::new());
    }
    let order = value.value.strip_prefix("order=")?;
    let mut at = value.value.len() - order.len();
    let mut list = Vec::new();
    for device in order.split(';') {
        let range = at..at + device.len();
        at = range.end + 1;
        list.push(Spanned::new(
            device.parse().ok()?,
            place_inside(value, range),
        ));
    }
    Some(list)
}

fn no_vm_cpu(span: Span) -> Spanned<VmCpuSpec> {
    let cpu = VmCpuSpec {
        span,
        misread: Vec::new(),
        faulty: false,
        cores: None,
        sockets: None,
        model: None,
        affinity: None,
        limit: None,
        units: None,
    };
    Spanned::new(cpu, span)
}

fn no_container_cpu(span: Span) -> Spanned<ContainerCpuSpec> {
    let cpu = ContainerCpuSpec {
        span,
        misread: Vec::new(),
        faulty: false,
        cores: None,
        limit: None,
        units: None,
    };
    Spanned::new(cpu, span)
}

/// A raw line of LXC: `lxc.cap.drop:`, `lxc.cgroup2.devices.allow: c 226:0 rwm`.
pub(super) fn lxc_line(line: &Spanned<crate::value::Line>, sink: &mut Sink) -> Option<PveOption> {
    let text = Spanned::new(line.value.as_str().to_owned(), line.span);
    let Some((key, value)) = text.value.split_once(':') else {
        let message = format!("`{}` is not a line of LXC", text.value.escape_debug());
        sink.push(
            Diagnostic::new(Code::MOX0108, line.span, message)
                .help("write key, `:` and value: `\"lxc.cgroup2.devices.allow: c 226:0 rwm\"`"),
        );
        return None;
    };
    let at = text.value.len() - value.trim_start().len();
    let value_place = place_inside(&text, at..text.value.trim_end().len().max(at));
    Some(PveOption::new(
        Spanned::new(key.trim().to_owned(), place_inside(&text, 0..key.len())),
        Spanned::new(value.trim().to_owned(), value_place),
    ))
}

/// Reports a raw key of LXC that Proxmox VE does not take.
pub(super) fn check_lxc_key(option: &PveOption, release: Release, sink: &mut Sink) -> bool {
    let takes = takes_raw_lxc_key(release, &option.key);
    if !takes {
        let key = option.key.escape_debug();
        let message = format!("Proxmox VE does not take the raw key `{key}`");
        sink.push(
            Diagnostic::new(Code::MOX0108, option.key.span, message)
                .help("it sets this part of a container itself: use its own options"),
        );
    }
    takes
}

fn is_made_from(body: &ContainerSpec) -> bool {
    let template = body.template.as_ref();
    template.is_some_and(|template| matches!(template.value, TemplateSpec::From(_)))
}

fn said_twice(key: &str, word: &str, place: Span, said: Span) -> Diagnostic {
    Diagnostic::new(
        Code::MOX0109,
        place,
        format!("`{}` says what `{word}` says", key.escape_debug()),
    )
    .also(said, "said here")
    .help(format!(
        "remove one of the two: `{word}` is the language's own word"
    ))
}
