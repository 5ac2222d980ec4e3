//! NixOS guests and NixOS hosts: whether anybody gets in, whether updates can succeed and fail aloud, and what Proxmox VE on
//! NixOS does not do yet.

use std::collections::BTreeMap;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::logins::Logins;
use crate::facts::settings::{is_set_below, setting};
use crate::facts::tree;
use crate::model::{
    Container, DiskSource, Guest, GuestKind, Host, NixosFlakeUpdate, NixosGuest, Schedule, Vm,
    VmDisk, VolumeSource,
};
use crate::near;
use crate::nix::AttrPath;
use crate::source::{Span, Spanned};
use crate::value::{AbsolutePath, ContainerOs, Firmware, GuestPath, Platform, Value};

pub(super) fn check(host: &Host, sink: &mut Sink) {
    for guest in host.guests.values() {
        if let Some(nixos) = &guest.nixos {
            // A key, a user or a module that was not understood might be the way in.
            if host.understood && guest.understood {
                nobody(host, guest, nixos, sink);
                operators(guest, nixos, sink);
            }
            contradictions(guest, nixos, sink);
        }
        if let GuestKind::Vm(vm) = &guest.kind {
            disks(guest, vm, sink);
        }
    }
    templates(host, sink);
    updates(host, sink);
    if !host.name.is_missing() {
        called_like_the_host(host, sink);
    }
    match *host.platform {
        Platform::Nixos => nixos_host(host, sink),
        Platform::Proxmox => {}
    }
}

/// Reports an operator of a script whom nothing makes a user of the guest (MOX0686): sudo's rule is then for nobody.
fn operators(guest: &Guest, nixos: &NixosGuest, sink: &mut Sink) {
    if !nixos.modules.is_empty() || is_set_below(nixos, &["users"]) {
        return;
    }
    let users = nixos.users.iter().map(|user| user.name.value.as_str());
    let users = users.chain(["root"]);
    for operator in nixos.scripts.iter().flat_map(|script| &script.operators) {
        let name = operator.value.as_str();
        if users.clone().any(|user| user == name) {
            continue;
        }
        let help = near::certain(name, users.clone()).map_or_else(
            || "add a table of that name to `users`.".to_owned(),
            |meant| format!("did you mean `{meant}`?"),
        );
        sink.push(
            Diagnostic::new(
                Code::MOX0686,
                operator.span,
                format!("nothing of the spec makes `{name}` a user of `{}`", guest.name.value),
            )
            .note("who may run a script as root stands in a rule of sudo, and a rule for somebody who is not there is for nobody")
            .help(format!("{help} A user that your own flake brings needs nothing here: allow this warning")),
        );
    }
}

/// Reports a guest that nobody could log into: an immutable one is refused by NixOS (MOX0690), another one runs on without a
/// way in (MOX0693).
fn nobody(host: &Host, guest: &Guest, nixos: &NixosGuest, sink: &mut Sink) {
    let by_kind = match &guest.kind {
        GuestKind::Container(container) => {
            container.password_secret.is_some() || !container.ssh_keys.is_empty()
        }
        GuestKind::Vm(vm) => vm.cloud_init.is_some(),
    };
    let logins = Logins::of(host, nixos);
    let somebody = (logins.sshd && logins.administrator)
        || by_kind
        // A password may come from there.
        || !nixos.modules.is_empty()
        || is_set_below(nixos, &["users"])
        || is_set_below(nixos, &["services", "getty", "autologinUser"]);
    // A guest without a table has not been thought about yet.
    if somebody || nixos.span == guest.span {
        return;
    }
    let (place, label, help) = match logins.off {
        Some(off) if logins.administrator => (
            off,
            "keeps every key out: sshd does not run",
            "leave `services.openssh.enable` out of `settings`, or set a password in a module of your own",
        ),
        Some(_) | None => (
            host.span,
            "has no `ssh-keys`",
            "add `ssh-keys` to `[host]`, or a user with `admin = true` and `ssh-keys` to the guest",
        ),
    };
    if *nixos.immutable {
        sink.push(
            Diagnostic::new(
                Code::MOX0690,
                nixos.immutable.span,
                format!("nobody can log into `{}`", guest.name.value),
            )
            .label("no password can be set later")
            .also(place, label)
            .help(help),
        );
        return;
    }
    let console = match guest.kind {
        GuestKind::Container(_) => "`pct enter` on the host is the only way in",
        GuestKind::Vm(_) => "a console asks for a password",
    };
    let way = if logins.administrator {
        format!("no account has a password: {console}")
    } else {
        match guest.kind {
            GuestKind::Container(_) => {
                format!("root has neither a password nor a key: {console}")
            }
            GuestKind::Vm(_) => {
                "root has neither a password nor a key, and a console asks for one of them"
                    .to_owned()
            }
        }
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0693,
            nixos.span,
            format!("nobody can log into `{}`", guest.name.value),
        )
        .also(place, label)
        .note(way)
        .help(help),
    );
}

/// Folders that the system needs before anything else is mounted.
const OF_THE_SYSTEM: &[&str] = &[
    "/boot",
    "/nix",
    "/nix/store",
    "/etc",
    "/usr",
    "/proc",
    "/sys",
    "/dev",
    "/run",
];

/// Reports disks that cannot be mounted as the spec asks (MOX0697), and those of NixOS that nothing mounts (MOX0698).
fn disks(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let boot = vm.boot_disk().map(VmDisk::key);
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for share in &vm.shares {
        if let GuestPath::Unix(path) = &*share.mount {
            seen.insert(path, share.mount.span);
        }
    }
    for disk in &vm.disks {
        let disk = OneDisk {
            guest,
            vm,
            disk,
            boots: boot.as_deref() == Some(disk.key().as_str()),
        };
        let Some(nixos) = &guest.nixos else {
            disk.is_mounted_by_nobody(sink);
            continue;
        };
        disk.may_lose_its_boot_loader(sink);
        match &disk.disk.mount {
            Some(mount) => disk.mounted(mount, &mut seen, sink),
            None if disk.boots => {
                seen.insert("/", disk.disk.name.span);
            }
            None => disk.not_mounted(nixos, sink),
        }
    }
}

/// A disk of a virtual machine, and whether the machine boots from it.
struct OneDisk<'a> {
    guest: &'a Guest,
    vm: &'a Vm,
    disk: &'a VmDisk,
    boots: bool,
}

impl<'a> OneDisk<'a> {
    fn fault(&self, span: Span, message: String) -> Diagnostic {
        Diagnostic::new(Code::MOX0697, span, message).also(self.vm.os.span, "its system")
    }

    fn has_no_name_that_stays(&self, span: Span) -> Diagnostic {
        let message = format!("the disk `{}` has no name that stays", self.disk.name.value);
        self.fault(span, message)
            .help("give it a `serial`, or the bus `scsi`")
    }

    /// Keys that only the module of a NixOS guest heeds.
    fn is_mounted_by_nobody(&self, sink: &mut Sink) {
        let keys = [
            ("mount", self.disk.mount.as_ref().map(|mount| mount.span)),
            ("fs", self.disk.fs.is_written().then_some(self.disk.fs.span)),
        ];
        for (key, span) in keys {
            let Some(span) = span else { continue };
            let name = &self.guest.name.value;
            let message = format!("`{key}` of a disk of `{name}`, which is not NixOS");
            sink.push(
                self.fault(span, message)
                    .help("only the module of a NixOS guest mounts disks: remove the key"),
            );
        }
    }

    /// A BIOS starts from a disk that the kernel may count as another one.
    fn may_lose_its_boot_loader(&self, sink: &mut Sink) {
        let disk = self.disk;
        if !self.boots || *self.vm.firmware != Firmware::Seabios || disk.stable_path().is_some() {
            return;
        }
        let mut others = self.vm.disks.iter();
        let other = others.find(|other| other.key() != disk.key() && disk.is_counted_with(other));
        if let Some(other) = other {
            sink.push(
                self.has_no_name_that_stays(disk.name.span)
                    .also(other.name.span, "the kernel counts it together with this one")
                    .note("the boot loader is written to it at each update, and might go to the other one"),
            );
        }
    }

    fn not_mounted(&self, nixos: &NixosGuest, sink: &mut Sink) {
        let (disk, guest) = (self.disk, &self.guest.name.value);
        if disk.fs.is_written() {
            let message = format!(
                "`{}` has a file system, and is mounted nowhere",
                disk.name.value
            );
            sink.push(
                self.fault(disk.fs.span, message)
                    .help("add where: `mount = \"/srv/data\"`"),
            );
        } else if nixos.modules.is_empty()
            && !is_set_below(nixos, &["fileSystems"])
            && !is_set_below(nixos, &["disko"])
            && !is_set_below(nixos, &["boot", "zfs"])
            && matches!(disk.source, DiskSource::Volume(_))
            && !*self.vm.installed
        {
            let message = format!("nothing mounts the disk `{}` of `{guest}`", disk.name.value);
            sink.push(
                Diagnostic::new(Code::MOX0698, disk.name.span, message)
                    .help("add where: `mount = \"/srv/data\"`; it is formatted at the first start where it is empty"),
            );
        }
    }

    /// `seen` has what is mounted already, and where the spec says so.
    fn mounted(
        &self,
        mount: &'a Spanned<AbsolutePath>,
        seen: &mut BTreeMap<&'a str, Span>,
        sink: &mut Sink,
    ) {
        let guest = &self.guest.name.value;
        if self.boots != (mount.as_str() == "/") {
            let message = if self.boots {
                format!("`{guest}` boots from this disk, so its root is on it")
            } else {
                format!("`{guest}` does not boot from this disk")
            };
            let help = match (&self.vm.boot, self.boots) {
                (_, true) => "remove `mount`, or say by `boot` which disk it boots from",
                (Some(_), false) => "name the disk first in `boot`, or mount it elsewhere",
                (None, false) => "name it in `boot`, or mount it elsewhere",
            };
            sink.push(self.fault(mount.span, message).help(help));
        } else if OF_THE_SYSTEM.contains(&mount.as_str()) {
            let message = format!(
                "`{}` is a folder of the system, and the system is on another disk",
                mount.value
            );
            sink.push(
                self.fault(mount.span, message)
                    .help("mount it where data lies: `/srv/data`, `/var/lib/postgresql`, `/home`"),
            );
        }
        if let Some(other) = seen.insert(mount.as_str(), mount.span) {
            let message = format!("`{}` is mounted twice in `{guest}`", mount.value);
            sink.push(
                self.fault(mount.span, message)
                    .also(other, "here, too")
                    .help("give each a place of its own"),
            );
        }
        if !self.boots && self.disk.stable_path().is_none() {
            sink.push(
                self.has_no_name_that_stays(mount.span)
                    .also(self.disk.bus.span, "its bus")
                    .note("the kernel numbers such disks as it finds them, and another one might be formatted"),
            );
        }
    }
}

/// Reports settings that take back what a key says (MOX0699).
fn contradictions(guest: &Guest, nixos: &NixosGuest, sink: &mut Sink) {
    let mut told = |option: &[&str], differs: &dyn Fn(&Value) -> bool, place: Span, key: &str| {
        let Some(node) = setting(nixos, option).filter(|node| differs(&node.value)) else {
            return;
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0699,
                node.span,
                format!("`{}` is set against `{key}`", option.join(".")),
            )
            .label("this is what counts")
            .also(place, "says otherwise")
            .help(format!(
                "remove one of the two: `settings` win over `{key}`"
            )),
        );
    };
    let is_not = |wanted: bool| move |value: &Value| *value == Value::Boolean(!wanted);
    if let Some(version) = &nixos.state_version {
        let differs = |value: &Value| *value != Value::String(version.as_str().to_owned());
        told(
            &["system", "stateVersion"],
            &differs,
            version.span,
            "state-version",
        );
    }
    let name = guest.name.as_str();
    let differs = |value: &Value| *value != Value::String(name.to_owned());
    told(
        &["networking", "hostName"],
        &differs,
        guest.name.span,
        "the guest's name",
    );
    if *nixos.immutable {
        told(
            &["users", "mutableUsers"],
            &is_not(false),
            nixos.immutable.span,
            "immutable",
        );
    }
    if let GuestKind::Vm(vm) = &guest.kind
        && vm.agent.is_written()
    {
        told(
            &["services", "qemuGuest", "enable"],
            &is_not(*vm.agent),
            vm.agent.span,
            "agent",
        );
    }
    for service in &nixos.services {
        let mut path = vec!["services"];
        path.extend(service.value.0.split('.'));
        path.push("enable");
        told(&path, &is_not(true), service.span, "services");
    }
    if !nixos.ports.is_empty() {
        let place = nixos.ports[0].span;
        told(
            &["networking", "firewall", "enable"],
            &is_not(true),
            place,
            "ports",
        );
    }
}

/// Reports a template that two NixOS containers are made of (MOX0695).
fn templates(host: &Host, sink: &mut Sink) {
    let mut first: BTreeMap<String, (&Guest, Span)> = BTreeMap::new();
    for guest in host.guests.values() {
        let GuestKind::Container(container) = &guest.kind else {
            continue;
        };
        if *container.os != ContainerOs::Nixos || container.template.is_missing() {
            continue;
        }
        let span = container.template.span;
        other_archive(guest, container, sink);
        let Some((other, place)) = first.get(&container.template.to_string()) else {
            first.insert(container.template.to_string(), (guest, span));
            continue;
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0695,
                span,
                format!("`{}` is made of the template of `{}`", guest.name.value, other.name.value),
            )
            .also(*place, "the same file")
            .note("a template of NixOS holds one whole system: its name, its addresses, its keys; both containers would come up as one machine")
            .help(format!(
                "give each a file of its own, built by `nix build .#{}-image`: `template = \"…:vztmpl/{}.tar.xz\"`",
                guest.name.value, guest.name.value
            )),
        );
    }
}

/// What NixOS packs a container in.
const ARCHIVE: &str = ".tar.xz";

/// Reports a template of a NixOS container by the name of an archive that its flake does not make (MOX0688).
fn other_archive(guest: &Guest, container: &Container, sink: &mut Sink) {
    let template = container.template.to_string();
    let is_there = matches!(container.rootfs.volume, VolumeSource::Existing { .. });
    if is_there || template.ends_with(ARCHIVE) {
        return;
    }
    let plain = template
        .split_once(".tar")
        .map_or(template.as_str(), |(plain, _)| plain);
    sink.push(
        Diagnostic::new(
            Code::MOX0688,
            container.template.span,
            format!("no flake makes the template of `{}`", guest.name.value),
        )
        .label(format!("ends otherwise than in `{ARCHIVE}`"))
        .note(format!(
            "NixOS packs a container as `{ARCHIVE}`, and `nix build .#{}-image` refuses another name",
            guest.name.value
        ))
        .help(format!("write `template = \"{plain}{ARCHIVE}\"`")),
    );
}

/// The units of the services that a guest names.
fn units_of(nixos: &NixosGuest) -> impl Iterator<Item = String> {
    let services = nixos.services.iter();
    services.map(|service| format!("{}.service", service.value.0))
}

/// Reports a unit that nothing of the spec brings to a guest, and that is a slip away from one that something does, or another
/// guest's of the same updates (MOX0687). What a module or the flake's own defines is known when it is evaluated: there each such
/// unit is an assertion.
fn no_such_unit(
    host: &Host,
    update: &NixosFlakeUpdate,
    guest: &Guest,
    nixos: &NixosGuest,
    sink: &mut Sink,
) {
    const OF_ALL: [&str; 8] = [
        "sshd.service",
        "sshd.socket",
        "systemd-networkd.service",
        "systemd-resolved.service",
        "nix-daemon.service",
        "multi-user.target",
        "network-online.target",
        "moxc.target",
    ];
    if !nixos.modules.is_empty() {
        return;
    }
    let mut known: Vec<String> = units_of(nixos).collect();
    known.extend(OF_ALL.map(str::to_owned));
    for (key, _) in &nixos.settings {
        let Ok(path) = AttrPath::parse(&key.value) else {
            continue;
        };
        match path.names() {
            [services, name, ..] if services == "services" => known.push(format!("{name}.service")),
            [systemd, kind, name, ..] if systemd == "systemd" => {
                known.push(format!("{name}.{}", kind.trim_end_matches('s')));
            }
            _ => {}
        }
    }
    let others = || {
        let guests = update.guests.value.ids.iter();
        guests.map(|id| &host.guests[id.value])
    };
    for unit in &update.health {
        let name = unit.value.0.as_str();
        // `chronyd.service` is of `services.chrony`.
        let base = |unit: &str| unit.rsplit_once('.').map(|(base, _)| base.to_owned());
        let is_of = |other: &String| {
            other == name
                || matches!((base(name), base(other)), (Some(one), Some(other)) if one.starts_with(&other))
        };
        if known.iter().any(is_of) {
            continue;
        }
        let has = |other: &&Guest| {
            let mut services = other.nixos.iter().flat_map(units_of);
            services.any(|service| service == name)
        };
        let help = if let Some(other) = others().find(has) {
            format!(
                "`{}` has it: leave the unit out, or give each of the two a schedule of its own.",
                other.name.value
            )
        } else if let Some(meant) = near::certain(name, known.iter().map(String::as_str)) {
            format!("did you mean `{meant}`?")
        } else {
            continue;
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0687,
                unit.span,
                format!("nothing of the spec gives `{}` a unit `{name}`", guest.name.value),
            )
            .note("an update is healthy where all of these units run: one that is not there lets each update fail, so NixOS refuses it when the flake is evaluated")
            .help(format!("{help} A unit that your own flake brings needs nothing here: allow this warning")),
        );
    }
}

fn updates(host: &Host, sink: &mut Sink) {
    for schedule in host.schedules.values().filter(|s| *s.enabled) {
        let Some(update) = schedule.nixos_update() else {
            continue;
        };
        let mut unheard = Vec::new();
        for guest in &update.guests.value.ids {
            let place = guest.span;
            let guest = &host.guests[guest.value];
            // All of these tell of something that the spec does not say.
            let Some(nixos) = guest.nixos.as_ref().filter(|_| guest.understood) else {
                continue;
            };
            if let GuestKind::Container(container) = &guest.kind {
                builds(schedule, guest, nixos, container, place, sink);
            }
            no_such_unit(host, update, guest, nixos, sink);
            if nixos.modules.is_empty() && !is_set_below(nixos, &["services", "moxc", "notify"]) {
                unheard.push(guest.name.value.as_str());
            }
        }
        if host.understood && host.email.is_none() && !unheard.is_empty() {
            sink.push(
                Diagnostic::new(
                    Code::MOX0692,
                    schedule.name.span,
                    format!(
                        "nobody is told when the update of `{}` fails",
                        unheard.join("`, `")
                    ),
                )
                .also(host.span, "has no `email`")
                .help("add `email` to `[host]`, or say in a guest's `settings` what is run instead: `\"services.moxc.notify.command\" = \"/run/current-system/sw/bin/tell\"`"),
            );
        }
    }
}

/// Reports an update in a container that cannot build anything (MOX0691).
fn builds(
    schedule: &Schedule,
    guest: &Guest,
    nixos: &NixosGuest,
    container: &Container,
    place: Span,
    sink: &mut Sink,
) {
    let nests = container.features.iter().any(|feature| {
        feature.as_str().split('=').next() == Some("nesting") && !feature.as_str().ends_with("=0")
    });
    let by_hand = setting(nixos, &["nix", "settings", "sandbox"]).is_some()
        || !nixos.modules.is_empty()
        || crate::pve::PveOption::find(&container.lxc, "lxc.apparmor.profile").is_some();
    if nests || by_hand || *container.os != ContainerOs::Nixos {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0691,
            place,
            format!(
                "`{}` cannot build the updates of `{}`",
                guest.name.value, schedule.name.value
            ),
        )
        .also(container.os.span, "a container without `nesting`")
        .note("Nix builds in a sandbox of its own namespaces, which such a container may not make: every build ends with \"this system does not support the kernel namespaces that are required for sandboxing\"")
        .help("add `features = [\"nesting\"]` to the container, or build without a sandbox: `settings = { \"nix.settings.sandbox\" = false }`"),
    );
}

/// A guest whose module would have the name of the host's.
fn called_like_the_host(host: &Host, sink: &mut Sink) {
    let Some(guest) = tree::module_namesake(host) else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0103,
            guest.name.span,
            format!("the guest `{}` has the host's name", guest.name.value),
        )
        .also(host.name.span, "the host, which is NixOS too")
        .help("give the guest another name: both get a module of their name"),
    );
}

/// Reports what a host that is NixOS itself lacks (MOX0689, MOX0694) or cannot do (MOX0696).
fn nixos_host(host: &Host, sink: &mut Sink) {
    if host.understood && host.state_version.is_none() {
        sink.push(
            Diagnostic::new(
                Code::MOX0689,
                host.platform.span,
                format!(
                    "nothing says which release the state of `{}` is of",
                    host.name.as_str()
                ),
            )
            .label("needs a `state-version`")
            .note("NixOS takes the newest release then, another one after each upgrade: services look for their data where the new one keeps it")
            .help("add `state-version` to `[host]`: the release that the host was installed with, or is going to be"),
        );
    }
    if host.understood && host.ssh_keys.is_empty() {
        sink.push(
            Diagnostic::new(
                Code::MOX0694,
                host.platform.span,
                format!("nobody can log into `{}`", host.name.as_str()),
            )
            .label("root has neither a password nor a key")
            .help("add `ssh-keys` to `[host]`; a password comes from a module of your own: `mkHost { modules.<host> = [ … ]; }`"),
        );
    }
    let container = host
        .guests
        .values()
        .find(|guest| matches!(guest.kind, GuestKind::Container(_)));
    if let Some(guest) = container {
        sink.push(
            Diagnostic::new(
                Code::MOX0696,
                guest.name.span,
                "Proxmox VE on NixOS does not start containers yet",
            )
            .label("a container")
            .also(host.platform.span, "the host is NixOS")
            .note("proxmox-nixos leaves out what runs LXC (its issue 140): the files are written, and `pct start` fails")
            .help("make it a virtual machine, or take `platform = \"proxmox\"`"),
        );
    }
    let filtered = host
        .guests
        .values()
        .flat_map(|guest| &guest.network)
        .find(|nic| nic.firewall.is_written() && *nic.firewall);
    if let Some(nic) = filtered {
        sink.push(
            Diagnostic::new(
                Code::MOX0696,
                nic.firewall.span,
                "Proxmox VE on NixOS does not filter guests' cards yet",
            )
            .also(host.platform.span, "the host is NixOS")
            .note("proxmox-nixos leaves Proxmox VE's firewall out: the rules are written, and nothing applies them")
            .help("filter inside the guest, or take `platform = \"proxmox\"`"),
        );
    }
}
