//! The Debian below Proxmox VE: network, boot, ZFS, mounts, and the script that applies the whole tree.
//!
//! Comes in: the host. Goes out: files below `proxmox/`, laid out as on the host. A host of the platform
//! `nixos` gets what is not Debian's alone: the pools, and the script for Proxmox VE's own files; the rest of it is in its
//! NixOS module.

mod apply;
mod boot;
mod disko;
mod keep;
mod lvm;
mod mounts;
pub(in crate::targets) mod network;
mod zfs;

use std::collections::BTreeSet;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::{Facts, Kernel};
use crate::model::GuestKind;
use crate::origin::Origin;
use crate::output::{FileSet, Mode, OutputFile, RelPath};
use crate::shell::Command;
use crate::source::{Places, Span};
use crate::targets::Target;
use crate::targets::about::About;
use crate::template::{BuiltIn, Templates, one_line};
use crate::value::{ContainerOs, Platform};

pub use zfs::CreateScript;

/// What will be written.
#[derive(Debug)]
pub struct Plan {
    span: Span,
    platform: Platform,
    network: network::Network,
    kernel: Kernel,
    mounts: Vec<mounts::Mount>,
    zfs: zfs::Zfs,
    kept: Vec<keep::File>,
    apply: apply::Apply,
}

impl Plan {
    /// What the steps of an apply need to know and no file says.
    pub fn wanted(&self) -> crate::apply::tree::Wanted {
        self.apply.wanted(&self.network)
    }
}

impl Plan {
    /// What the guide of the tree tells of the host's own system.
    pub fn about(&self, facts: &Facts<'_>) -> About {
        let mut about = About {
            before: before(facts),
            left: left(facts),
            absent: Vec::new(),
        };
        match self.platform {
            Platform::Nixos => about.lacks(
                "proxmox/etc/network/, etc/modprobe.d/, etc/systemd/",
                "they are in the host's NixOS module",
            ),
            Platform::Proxmox => {
                boot::about(&self.kernel, &mut about);
                if !self.network.pins_names() {
                    about.lacks(
                        "proxmox/etc/systemd/network/",
                        "no network card has its MAC address in the spec, so no name is pinned",
                    );
                }
            }
        }
        about
    }

    /// What the guide of the tree tells of pools and datasets.
    pub fn about_storage(&self) -> About {
        let mut about = About::default();
        if self.zfs.is_empty() {
            about.lacks(
                "proxmox/storage/create.sh",
                "the spec has no pools, datasets or volume groups that the installer does not make",
            );
        }
        if !self.zfs.is_for_disko() {
            about.lacks(
                "proxmox/storage/disko.nix",
                "there is no pool but the one that the host starts from",
            );
        }
        about
    }
}

/// The systems whose templates Proxmox VE has for download, by the first word of the file's name.
const DOWNLOADED: &[&str] = &[
    "almalinux",
    "alpine",
    "archlinux",
    "centos",
    "debian",
    "devuan",
    "fedora",
    "gentoo",
    "opensuse",
    "rockylinux",
    "ubuntu",
];

/// What the script needs: containers are made of their templates, and bridges of Open vSwitch by its own programs.
fn before(facts: &Facts<'_>) -> Vec<String> {
    let host = facts.host;
    let mut before = Vec::new();
    let mut known = BTreeSet::new();
    for (_, guest, container) in host.containers() {
        let template = container.template.to_string();
        if container.template.is_missing()
            || matches!(
                container.rootfs.volume,
                crate::model::VolumeSource::Existing { .. }
            )
            || !known.insert(template.clone())
        {
            continue;
        }
        let (storage, path) = template.split_once(':').unwrap_or(("local", &template));
        let file = path.rsplit('/').next().unwrap_or(path);
        let system = file.split('-').next().unwrap_or(file);
        before.push(
            if DOWNLOADED.contains(&system) && *container.os != ContainerOs::Nixos {
                format!(
                    "Get the template of container {} ({}): `{}`.",
                    guest.vmid.value,
                    guest.name.value,
                    one_line(
                        &Command::new("pveam")
                            .args(["download", storage, file])
                            .to_string()
                    )
                )
            } else {
                let build = match *container.os {
                    ContainerOs::Nixos => format!(
                        " It is built from the guest's NixOS module: `nix build .#{0}-image` in the flake; `moxc apply` brings it by `--image {0}=result`, and `apply.sh`, where it lies on the host, by `--image {0}=FILE`.",
                        guest.name.value,
                    ),
                    ContainerOs::Debian
                    | ContainerOs::Ubuntu
                    | ContainerOs::Alpine
                    | ContainerOs::Archlinux
                    | ContainerOs::Fedora
                    | ContainerOs::Other => String::new(),
                };
                format!(
                    "Put the template `{}` of container {} ({}) into place.{build}",
                    one_line(&template),
                    guest.vmid.value,
                    guest.name.value
                )
            },
        );
    }
    let ovs =
        host.network.bridges.values().any(|bridge| {
            bridge.is_ovs() && !*bridge.external && *host.platform == Platform::Proxmox
        });
    if ovs {
        before.push("Install Open vSwitch: `apt install openvswitch-switch`.".to_owned());
    }
    before.extend(images_before(facts));
    before
}

/// NixOS guests whose disk nothing fills: their flake builds it. Only one that is made anew needs it.
fn left_of_nixos(facts: &Facts<'_>) -> Vec<String> {
    let (host, volumes) = (facts.host, &facts.volumes);
    let mut left = Vec::new();
    for (id, guest) in host.guests.iter() {
        let (GuestKind::Vm(vm), Some(_)) = (&guest.kind, &guest.nixos) else {
            continue;
        };
        let Some(disk) = crate::facts::making::filled_by_image(vm).first().copied() else {
            continue;
        };
        let Some(volume) = volumes.of_guest(id).iter().find(|v| v.key == disk.key()) else {
            continue;
        };
        let name = &guest.name.value;
        let to = volume.format.unwrap_or(crate::value::ImageFormat::Raw);
        left.push(format!(
            "fill the disk {} of {} ({name}) before its first start, unless `--image {name}=…` of `moxc apply` or `apply.sh` has made it full: `nix build .#{name}-image` in the flake, `scp result/{name}.qcow2 root@{}:/var/tmp/`, and on the host `qemu-img convert -n -p -f qcow2 -O {to} /var/tmp/{name}.qcow2 \"$(pvesm path {})\"`",
            volume.key,
            guest.vmid.value,
            host.name.as_str(),
            volume.id(host),
        ));
    }
    left
}

/// Images of the host that fill disks: nobody but the user can put them there.
fn images_before(facts: &Facts<'_>) -> Vec<String> {
    let (host, volumes) = (facts.host, &facts.volumes);
    let mut before = Vec::new();
    for (id, guest) in host.guests.iter() {
        for volume in volumes.of_guest(id) {
            let Some(import) = &volume.import else {
                continue;
            };
            if matches!(*import.from, crate::value::ImageSource::Url(_)) {
                continue;
            }
            let sum = import.sha256.as_ref().map_or_else(String::new, |sum| {
                format!(" (SHA-256 {})", sum.value.as_str())
            });
            before.push(format!(
                "Put the image `{}`{sum} into place, which fills the disk {} of {} ({}).",
                one_line(&import.from.to_string()),
                volume.key,
                guest.vmid.value,
                guest.name.value
            ));
        }
    }
    before
}

/// What a guest needs that no file brings, and what the firmware has to be told.
fn left(facts: &Facts<'_>) -> Vec<String> {
    let host = facts.host;
    let mut left = left_of_nixos(facts);
    if *host.platform == Platform::Proxmox {
        if let Some(email) = &host.email {
            left.push(format!(
                "say who gets the mail of backups and of Proxmox VE itself: `pveum user modify root@pam --email {}` (the installer asked for it)",
                one_line(&email.value.to_string())
            ));
        }
        left.push(
            "without a subscription, let updates come from `pve-no-subscription` (Updates, Repositories): those of the enterprise repository end with 401"
                .to_owned(),
        );
        let pinned = host.hardware.nics.values().any(|nic| nic.mac.is_some());
        if pinned {
            left.push(
                "a network card has its pinned name from the next start on: where `ip -br link` does not show it yet, restart the host before the network is brought up anew"
                    .to_owned(),
            );
        }
        let given = |leg: crate::model::Leg<'_>| leg.ip.is_dynamic(false);
        if host.network.legs().any(given) {
            left.push(format!(
                "let the DHCP server always give the host the same address, and have `/etc/hosts` say it of `{}`: Proxmox VE looks itself up there",
                host.name.as_str()
            ));
        }
    }
    for (_, guest, vm) in host.vms() {
        for iso in vm.images.iter().filter_map(|image| image.image.as_ref()) {
            left.push(format!(
                "put the image `{}` of {} ({}) into place",
                one_line(&iso.value.to_string()),
                guest.vmid.value,
                guest.name.value
            ));
        }
    }
    if host.vms().any(|(_, _, vm)| !vm.passthrough.is_empty()) {
        left.push("switch the IOMMU on in the firmware of the host (VT-d, AMD-Vi)".to_owned());
        left.push("restart the host once, so that the devices of the guests are free".to_owned());
    }
    for guest in host.guests.values() {
        if let (GuestKind::Vm(vm), None) = (&guest.kind, guest.starts())
            && vm.disks.is_empty()
        {
            left.push(format!(
                "install {} ({}): it has no disk yet",
                guest.vmid.value, guest.name.value
            ));
        }
    }
    left
}

/// Plans the host's system files. Reports MOX0825.
pub fn plan(facts: &Facts<'_>, sink: &mut Sink) -> Plan {
    let host = facts.host;
    Plan {
        span: host.name.span,
        platform: *host.platform,
        network: network::plan(host, sink),
        kernel: facts.kernel.clone(),
        mounts: mounts::plan(host, sink),
        zfs: zfs::plan(host),
        kept: keep::plan(host, sink),
        apply: apply::plan(facts),
    }
}

/// Writes them down, after every other file of `proxmox/`: the script that applies the tree is made from them. Reports
/// what a user's template cannot do, and two files of one name.
pub fn emit(
    plan: &Plan,
    origin: &Origin,
    templates: &Templates,
    files: &mut FileSet,
    sink: &mut Sink,
) {
    let mut tree = Tree {
        origin,
        files,
        sink,
    };
    match plan.platform {
        Platform::Proxmox => {
            plan.network.emit(plan.span, &mut tree);
            boot::emit(&plan.kernel, plan.span, &mut tree);
            for mount in &plan.mounts {
                mount.emit(&mut tree);
            }
        }
        Platform::Nixos => {}
    }
    plan.zfs.emit(plan.span, templates, &mut tree);
    for file in &plan.kept {
        file.emit(&mut tree);
    }
    plan.apply.emit(plan, templates, &mut tree);
}

/// Adds to a text that grows.
fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    use std::fmt::Write as _;
    text.write_fmt(more).expect("a string takes all text");
}

/// The tree that is being written.
pub(super) struct Tree<'a> {
    pub(super) origin: &'a Origin,
    pub(super) files: &'a mut FileSet,
    pub(super) sink: &'a mut Sink,
}

impl Tree<'_> {
    /// The line that marks a generated file, without its comment sign.
    pub(super) fn header(&self) -> String {
        self.origin.header()
    }

    /// Adds a file below `proxmox/`; `span` is what it was made from.
    pub(super) fn add(&mut self, path: &str, text: &str, mode: Mode, span: Span) {
        self.add_at(&format!("proxmox/{path}"), text, mode, span);
    }

    /// Renders a template to a file below `proxmox/`.
    fn render<T: BuiltIn>(
        &mut self,
        path: &str,
        data: &T,
        templates: &Templates,
        mode: Mode,
        span: Span,
    ) {
        let text = templates.render(data, self.sink);
        self.add(path, &text, mode, span);
    }

    fn add_at(&mut self, path: &str, text: &str, mode: Mode, span: Span) {
        self.add_with(path, text, mode, span, Places::whole(span));
    }

    /// Adds a file at the top of the tree, of which more is known than what the whole was made from.
    pub(super) fn add_with(
        &mut self,
        path: &str,
        text: &str,
        mode: Mode,
        span: Span,
        places: Places,
    ) {
        let problem = match RelPath::new(path) {
            Err(error) => error.to_string(),
            Ok(path) => match self.files.insert(
                OutputFile::text(path, text, mode, Target::Proxmox.as_str()).with_places(places),
            ) {
                Ok(()) => return,
                Err(clash) => clash.to_string(),
            },
        };
        self.sink.push(Diagnostic::new(
            Code::MOX0825,
            span,
            format!("this gives a file that cannot be written: {problem}"),
        ));
    }
}
