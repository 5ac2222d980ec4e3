//! `apply.sh`, which brings a host to what the tree says, and the tree's `README.md`.
//!
//! The script reads the guests' files of the tree itself when it runs, so that what it creates and what it compares is
//! what stands there; from here it gets only what no file of the tree says.

use serde::Serialize;

use crate::apply::Script;
use crate::apply::tree::{self, Situation, Wanted};
use crate::model::{External, ExternalPlace, GuestKind, Host};
use crate::output::Mode;
use crate::pve::Release;
use crate::targets::windows;
use crate::template::{BuiltIn, Templates, one_line};
use crate::value::{ContainerOs, Platform};

use super::{Plan, Tree};

/// What the script and the README say.
#[derive(Debug)]
pub(super) struct Apply {
    host: String,
    fqdn: String,
    release: Release,
    platform: Platform,
    containers: Vec<ContainerTemplate>,
    secrets: Vec<Secret>,
    left: Vec<String>,
    passes_devices: bool,
    has_shares: bool,
}

/// What a container is made from.
#[derive(Debug, Clone)]
struct ContainerTemplate {
    /// Its number.
    vmid: String,
    /// The volume: `local:vztmpl/nixos.tar.xz`.
    template: String,
}

/// A password that a storage needs.
#[derive(Debug, Clone, Serialize)]
pub struct Secret {
    /// The file below `/etc/moxc/secrets`.
    pub name: String,
    /// The storage.
    pub storage: String,
    /// What stands before the password where Proxmox VE keeps it.
    pub prefix: String,
    /// What it is, for people.
    pub what: String,
}

/// `README.md`. These fields are the contract with a user's template of the same name.
#[derive(askama::Template, Serialize)]
#[template(path = "README.md")]
pub struct Readme {
    /// The line that marks a generated file; safe in a comment.
    pub header: String,
    /// The host's name.
    pub host: String,
    /// Its name with its domain.
    pub fqdn: String,
    /// The Proxmox VE release.
    pub release: String,
    /// Whether the host is NixOS.
    pub nixos: bool,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Whether there are secrets.
    pub has_secrets: bool,
    /// Secrets to place.
    pub secrets: Vec<Secret>,
    /// What the user has to do.
    pub left: Vec<String>,
    /// Whether there are absent files.
    pub has_absent: bool,
    /// Files that other hosts have.
    pub absent: Vec<Absent>,
}

impl BuiltIn for Readme {
    const NAME: &'static str = "README.md";
}

/// A step of the README.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Its number, from 1.
    pub number: usize,
    /// What to do.
    pub text: String,
}

/// A file that this host does not get.
#[derive(Debug, Clone, Serialize)]
pub struct Absent {
    /// The file, below the tree.
    pub path: String,
    /// Why.
    pub why: String,
}

/// Plans the script and the README.
pub(super) fn plan(host: &Host) -> Apply {
    let containers = host
        .containers()
        .map(|(_, guest, container)| ContainerTemplate {
            vmid: guest.vmid.value.to_string(),
            template: container.template.to_string(),
        });
    Apply {
        host: host.name.as_str().to_owned(),
        fqdn: host.fqdn(),
        release: *host.release,
        platform: *host.platform,
        containers: containers.collect(),
        secrets: host.storage.external.values().filter_map(secret).collect(),
        left: left(host),
        passes_devices: host.vms().any(|(_, _, vm)| !vm.passthrough.is_empty()),
        has_shares: host.vms().any(|(_, _, vm)| !vm.shares.is_empty()),
    }
}

/// Where Proxmox VE keeps a password, the one of an SMB share stands behind its key (CIFSPlugin.pm), that of a backup
/// server alone (PBSPlugin.pm).
fn secret(store: &External) -> Option<Secret> {
    let (prefix, what) = match &store.place {
        ExternalPlace::Cifs { server, .. } => (
            "password=",
            format!("the password of the SMB server {}", server.value),
        ),
        ExternalPlace::Pbs { server, .. } => (
            "",
            format!("the password of the backup server {}", server.value),
        ),
        ExternalPlace::Nfs { .. } | ExternalPlace::Dir { .. } => return None,
    };
    store.secret.as_ref().map(|name| Secret {
        name: name.as_str().to_owned(),
        storage: store.name.value.clone(),
        prefix: prefix.to_owned(),
        what: format!("{what}, for the storage {}", store.name.value),
    })
}

fn left(host: &Host) -> Vec<String> {
    let mut left = Vec::new();
    for (_, guest, container) in host.containers() {
        let build = match *container.os {
            ContainerOs::Nixos => " (built from the guest's NixOS module)",
            ContainerOs::Debian
            | ContainerOs::Ubuntu
            | ContainerOs::Alpine
            | ContainerOs::Archlinux
            | ContainerOs::Fedora
            | ContainerOs::Other => "",
        };
        left.push(format!(
            "put the template `{}` of container {} ({}) into place{build}",
            one_line(&container.template.to_string()),
            guest.vmid.value,
            guest.name.value
        ));
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
        if let (GuestKind::Vm(vm), None) = (&guest.kind, &guest.autostart)
            && vm.disks.is_empty()
        {
            left.push(format!(
                "install {} ({}): it has no disk yet",
                guest.vmid.value, guest.name.value
            ));
        }
    }
    for (_, guest, vm) in host.vms() {
        let Some(windows) = &vm.windows else { continue };
        let secrets: Vec<String> = windows::setup::Secrets::of(guest, windows)
            .all()
            .into_iter()
            .map(|name| format!("`/etc/moxc/secrets/{name}`"))
            .collect();
        left.push(format!(
            "for a new {} ({}), put its {} into {} (mode 600), and have it installed: `windows/{}/build-iso.sh --install`",
            guest.vmid.value,
            guest.name.value,
            if secrets.len() == 1 { "password" } else { "secrets" },
            secrets.join(" and "),
            guest.name.value,
        ));
    }
    left.push("start the guests: the script makes them and does not start them".to_owned());
    left
}

impl Apply {
    /// Writes the script and the README down.
    pub(super) fn emit(&self, plan: &Plan, templates: &Templates, tree: &mut Tree<'_>) {
        let header = one_line(&tree.header());
        let nixos = match self.platform {
            Platform::Nixos => true,
            Platform::Proxmox => false,
        };
        let network = &plan.network;
        let wanted = self.wanted(network);
        let steps = tree::steps(tree.files, &self.host, &wanted, &Situation::Fresh);
        let script = Script::in_tree(
            header.clone(),
            &self.host,
            &self.release.to_string(),
            &steps,
        );
        tree.render("apply.sh", &script, templates, Mode::Executable, plan.span);
        let absent = self.absent(plan, tree);
        let readme = Readme {
            header,
            host: self.host.clone(),
            fqdn: self.fqdn.clone(),
            release: self.release.to_string(),
            nixos,
            steps: self.steps(tree),
            has_secrets: !self.secrets.is_empty(),
            secrets: self.secrets.clone(),
            left: self.left.clone(),
            has_absent: !absent.is_empty(),
            absent,
        };
        let text = templates.render(&readme, tree.sink);
        tree.add_at("README.md", &text, Mode::Regular, plan.span);
    }

    /// What no file of the tree says.
    pub(super) fn wanted(&self, network: &super::network::Network) -> Wanted {
        let hosts = network.hosts_line.as_ref();
        let mut gateways: Vec<String> = network
            .reachable
            .iter()
            .filter_map(|one| one.gateway.map(|gateway| gateway.to_string()))
            .collect();
        gateways.dedup();
        Wanted {
            secrets: self
                .secrets
                .iter()
                .map(|one| (one.name.clone(), one.storage.clone(), one.prefix.clone()))
                .collect(),
            templates: self
                .containers
                .iter()
                .map(|one| (one.vmid.clone(), one.template.clone()))
                .collect(),
            create: Vec::new(),
            hosts_line: hosts
                .filter(|_| self.platform == Platform::Proxmox)
                .map(|line| format!("{} {} {}", line.address, line.fqdn, self.host)),
            cards: network.cards(),
            addresses: network
                .reachable
                .iter()
                .map(|one| format!("{}={}", one.bridge, one.address))
                .collect(),
            gateways,
        }
    }

    fn steps(&self, tree: &Tree<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        if tree.has("answer.toml") {
            steps.push("Install Proxmox VE with `proxmox/answer.toml` (`proxmox-auto-install-assistant prepare-iso`), or go on with a host that runs.".to_owned());
        } else {
            match self.platform {
                Platform::Proxmox => steps.push(format!(
                    "Install Proxmox VE {} on the host, or go on with one that runs.",
                    self.release
                )),
                Platform::Nixos => {
                    steps.push("Install NixOS with the host's own module in `nixos/`.".to_owned());
                }
            }
        }
        steps.push(format!(
            "Copy this folder to the host: `scp -r {} root@{}:`.",
            self.host, self.fqdn
        ));
        if !self.secrets.is_empty() {
            steps.push("Place the secrets that are listed below.".to_owned());
        }
        steps.push(format!(
            "Look at what would be done: `bash {}/proxmox/apply.sh --dry-run`.",
            self.host
        ));
        steps.push(format!("Do it: `bash {}/proxmox/apply.sh`.", self.host));
        (1..)
            .zip(steps)
            .map(|(number, text)| Step { number, text })
            .collect()
    }

    /// The files that a host may have and this one has not, each with its reason.
    fn absent(&self, plan: &Plan, tree: &Tree<'_>) -> Vec<Absent> {
        let mut absent = Vec::new();
        let mut unless = |there: bool, path: &str, why: &str| {
            if !there {
                absent.push(Absent {
                    path: format!("proxmox/{path}"),
                    why: why.to_owned(),
                });
            }
        };
        if self.platform == Platform::Nixos {
            unless(
                false,
                "answer.toml",
                "a NixOS host is not installed by Proxmox VE's installer",
            );
            unless(
                false,
                "etc/network/, etc/modprobe.d/, etc/systemd/",
                "they are in the host's NixOS module",
            );
        } else {
            let why = if self.release < Release::new(8, 2) {
                "the installer knows answer files from 8.2 on"
            } else {
                "the spec does not say enough for an unattended installation"
            };
            unless(tree.has("answer.toml"), "answer.toml", why);
            let vfio = "no guest gets a PCI device";
            unless(
                self.passes_devices,
                "etc/modprobe.d/vfio.conf, etc/modules-load.d/vfio.conf",
                vfio,
            );
            unless(
                tree.has("etc/modprobe.d/zfs.conf"),
                "etc/modprobe.d/zfs.conf",
                "the spec leaves the bounds of the ZFS cache to ZFS",
            );
            let why = if tree.has("etc/default/grub.d/moxc.cfg") {
                "the spec has no ZFS pool that the host starts from; GRUB takes etc/default/grub.d/"
            } else {
                "the kernel needs no parameter"
            };
            unless(tree.has("etc/kernel/cmdline"), "etc/kernel/cmdline", why);
            unless(
                plan.network.pins_names(),
                "etc/systemd/network/",
                "no network card has its MAC address in the spec, so no name is pinned",
            );
        }
        unless(
            tree.has("etc/pve/jobs.cfg"),
            "etc/pve/jobs.cfg",
            "no schedule is a backup",
        );
        unless(
            tree.has("etc/pve/mapping/pci.cfg"),
            "etc/pve/mapping/pci.cfg",
            "no guest gets a PCI device by a mapping",
        );
        let why = if self.has_shares && self.release < Release::new(8, 4) {
            "mappings of folders are known from 8.4 on; a hook script shares them"
        } else {
            "no guest shares a folder of the host"
        };
        unless(
            tree.has("etc/pve/mapping/directory.cfg"),
            "etc/pve/mapping/directory.cfg",
            why,
        );
        unless(
            tree.has("storage/create.sh"),
            "storage/create.sh",
            "the spec has no pools or datasets that the installer does not make",
        );
        unless(
            tree.has("storage/disko.nix"),
            "storage/disko.nix",
            "there is no pool but the one that the host starts from",
        );
        absent
    }
}
