//! `README.md` of the tree: how it is applied, which secrets it needs, what is left to do, and why a file is not there.
//!
//! Made from what each target says of itself ([`About`]): nothing here guesses what another target did.

use serde::Serialize;

use super::about::{About, Absent};
use crate::diagnostics::Sink;
use crate::facts::Facts;
use crate::facts::root::{self, Root, boot_disks};
use crate::facts::secrets::{self, Needed};
use crate::origin::Origin;
use crate::output::{FileSet, Mode, OutputFile, RelPath};
use crate::source::Places;
use crate::targets::Target;
use crate::template::{BuiltIn, Templates, one_line};
use crate::value::Platform;

/// What the guide will say.
#[derive(Debug)]
pub struct Plan {
    places: Places,
    readme: Readme,
}

/// `README.md`. These fields are the contract with a user's template of the same name.
#[derive(Debug, askama::Template, Serialize)]
#[template(path = "README.md")]
#[expect(clippy::struct_excessive_bools, reason = "what a template asks for")]
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
    pub secrets: Vec<Needed>,
    /// Whether the host has moxc's own commands.
    pub has_tools: bool,
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

/// How a host becomes a node of a cluster.
#[derive(Debug)]
pub struct Joins {
    /// The cluster's name.
    pub cluster: String,
    /// The node that it joins; none where it is the first, which makes the cluster.
    pub first: Option<String>,
}

impl Joins {
    fn step(&self) -> String {
        let cluster = &self.cluster;
        match &self.first {
            None => format!(
                "Make the cluster, before the other hosts: `pvecm create {cluster}` on this host."
            ),
            Some(first) => format!(
                "Join the cluster `{cluster}` now, while the host has no guests (one that has some cannot): \
                 `pvecm add {first}` on this host. It takes over the files below `/etc/pve` of the nodes that are there."
            ),
        }
    }
}

/// Plans it from what the other targets say, in their order. `answers` says whether the tree holds `answer.toml`.
pub fn plan(
    facts: &Facts<'_>,
    origin: &Origin,
    about: Vec<About>,
    answers: bool,
    joins: Option<&Joins>,
) -> Plan {
    let host = facts.host;
    let mut all = About::default();
    for about in about {
        all.extend(about);
    }
    if !host.guests.is_empty() {
        all.left
            .push("start the guests: the script makes them and does not start them".to_owned());
    }
    let secrets = secrets::needed(host);
    let readme = Readme {
        header: one_line(&origin.header()),
        host: host.name.as_str().to_owned(),
        fqdn: host.fqdn(),
        release: host.release.to_string(),
        nixos: match *host.platform {
            Platform::Nixos => true,
            Platform::Proxmox => false,
        },
        steps: steps(facts, answers, !secrets.is_empty(), all.before, joins),
        has_secrets: !secrets.is_empty(),
        secrets,
        has_tools: *host.tools,
        left: all.left,
        has_absent: !all.absent.is_empty(),
        absent: all.absent,
    };
    Plan {
        places: Places::whole(host.name.span),
        readme,
    }
}

fn steps(
    facts: &Facts<'_>,
    answers: bool,
    has_secrets: bool,
    before: Vec<String>,
    joins: Option<&Joins>,
) -> Vec<Step> {
    let host = facts.host;
    let name = host.name.as_str();
    let first = match *host.platform {
        Platform::Proxmox if answers => "Install Proxmox VE with `proxmox/answer.toml` \
             (`proxmox-auto-install-assistant prepare-iso`), or go on with a host that runs."
            .to_owned(),
        Platform::Proxmox => format!(
            "Install Proxmox VE {} on the host, or go on with one that runs.",
            *host.release
        ),
        Platform::Nixos if !boot_disks(host).is_empty() => {
            "Install NixOS with the host's own module in `nixos/`: `proxmox/storage/disko.nix` lays out what it boots from."
                .to_owned()
        }
        Platform::Nixos => match root::of(host) {
            Some(Root::Pool(_)) => {
                "Install NixOS with the host's own module in `nixos/`, and say which EFI system partition it boots from \
                 (`services.moxc.hostSystem.espDevice`): the spec names a partition of each disk, and that one is not among them."
                    .to_owned()
            }
            Some(Root::Group(group)) if group.disks.is_empty() => format!(
                "Install NixOS with the host's own module in `nixos/`, its root in the logical volume `{}` of the volume group `{}`, \
                 and say which EFI system partition it boots from (`services.moxc.hostSystem.espDevice`): the spec does not say of \
                 which `disks` the group is, or disko would lay all of it out.",
                root::ROOT, group.name
            ),
            Some(Root::Group(_)) => {
                "Install NixOS with the host's own module in `nixos/`, and say which EFI system partition it boots from \
                 (`services.moxc.hostSystem.espDevice`): the volume group has partitions, and that one is not among them."
                    .to_owned()
            }
            None => "Install NixOS with the host's own module in `nixos/`, and one of yours that has its root and its \
                 boot loader: no pool and no volume group of the spec has `boot = true`."
                .to_owned(),
        },
    };
    let copy = format!(
        "Copy this folder to the host: `scp -r {name} root@{}:`.",
        host.fqdn()
    );
    let mut steps = vec![first];
    steps.extend(joins.map(Joins::step));
    steps.push(copy);
    if has_secrets {
        steps.push("Place the secrets that are listed below.".to_owned());
    }
    steps.extend(before);
    steps.push(format!(
        "Look at what would be done: `bash {name}/proxmox/apply.sh --dry-run`."
    ));
    steps.push(format!("Do it: `bash {name}/proxmox/apply.sh`."));
    (1..)
        .zip(steps)
        .map(|(number, text)| Step { number, text })
        .collect()
}

/// Writes it down. Reports what a user's template cannot do.
pub fn emit(plan: &Plan, templates: &Templates, files: &mut FileSet, sink: &mut Sink) {
    let text = templates.render(&plan.readme, sink);
    let path = RelPath::new("README.md").expect("a plain name");
    let file = OutputFile::text(path, text, Mode::Regular, Target::Guide.as_str());
    files
        .insert(file.with_places(plan.places.clone()))
        .expect("no other target writes a file of that name");
}
