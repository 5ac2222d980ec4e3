//! The targets: what a host becomes.
//!
//! Each plans (`plan(facts, origin, sink)`: what the target will say, in its own words; reports what it cannot say) and
//! emits (`emit(plan, templates, files, sink)`: files; pure. What is built in cannot fail there, but a user's template
//! can). What a host is about comes from its [facts](crate::facts); no target knows another.

pub mod about;
pub mod docs;
pub mod guide;
pub mod nixos;
pub mod proxmox;
pub mod recovery;
pub mod windows;

use crate::diagnostics::Sink;
use crate::facts::Facts;
use crate::model::Host;
use crate::origin::Origin;
use crate::output::FileSet;
use crate::template::Templates;

/// A part of the output tree that can be built alone (`--only`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// `proxmox/`: Proxmox VE's own files and the host's system files.
    Proxmox,
    /// `nixos/`: modules for the NixOS guests, and for a NixOS host.
    Nixos,
    /// `windows/`: scripts, tasks and the unattended setup of each Windows guest.
    Windows,
    /// `restore/` and `rollback/`: the way back of each guest.
    Recovery,
    /// `docs/`: the host's architecture with its pictures.
    Docs,
    /// `README.md`: how the tree is applied, and what is left to do.
    Guide,
}

impl Target {
    /// Every target, in the order in which they are built.
    pub const ALL: &'static [Self] = &[
        Self::Proxmox,
        Self::Nixos,
        Self::Windows,
        Self::Recovery,
        Self::Guide,
        Self::Docs,
    ];

    /// Its word on the command line and in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proxmox => "proxmox",
            Self::Nixos => "nixos",
            Self::Windows => "windows",
            Self::Recovery => "recovery",
            Self::Docs => "docs",
            Self::Guide => "guide",
        }
    }
}

/// What every target will say.
#[derive(Debug)]
pub struct Plan {
    proxmox: proxmox::Plan,
    nixos: nixos::Plan,
    windows: windows::Plan,
    recovery: recovery::Plan,
    docs: docs::Plan,
    guide: guide::Plan,
}

impl Plan {
    /// What the steps of an apply need to know and no file says.
    pub fn apply_wanted(&self) -> crate::apply::tree::Wanted {
        self.proxmox.wanted()
    }
}

/// Plans every target.
pub fn plan(facts: &Facts<'_>, origin: &Origin, sink: &mut Sink) -> Plan {
    let proxmox = proxmox::plan(facts, origin, sink);
    let about = vec![proxmox.about(facts), windows::Plan::about(facts)];
    Plan {
        guide: guide::plan(facts, origin, about, proxmox.has_answers()),
        nixos: nixos::plan(facts, origin, sink),
        windows: windows::plan(facts, origin, sink),
        recovery: recovery::plan(facts, origin),
        docs: docs::plan(facts, origin),
        proxmox,
    }
}

/// Makes one of what the nodes of a cluster share, and tells each host's guide how it becomes a node. Reports what cannot
/// be one: MOX0117.
pub fn unite(cluster: &str, hosts: Vec<(&Host, &mut Plan)>, sink: &mut Sink) {
    let first = hosts.first().map(|(host, _)| host.fqdn());
    let mut nodes = Vec::new();
    for (host, plan) in hosts {
        let first = first.as_deref().filter(|first| *first != host.fqdn());
        plan.guide.joins(cluster, first);
        nodes.push(proxmox::pve::cluster::Node {
            host,
            plan: &mut plan.proxmox.pve,
        });
    }
    proxmox::pve::cluster::unite(&mut nodes, sink);
}

/// Writes down what is planned. Reports what a user's template cannot do, and two files of one name.
///
/// `docs/` shows all files of a tree, so it needs those of every target, whichever are chosen.
pub fn emit(plan: &Plan, targets: &[Target], templates: &Templates, sink: &mut Sink) -> FileSet {
    let needed = if targets.contains(&Target::Docs) {
        Target::ALL
    } else {
        targets
    };
    let mut files = FileSet::new();
    for target in needed {
        match target {
            Target::Proxmox => proxmox::emit(&plan.proxmox, templates, &mut files, sink),
            Target::Nixos => nixos::emit(&plan.nixos, templates, &mut files, sink),
            Target::Windows => windows::emit(&plan.windows, templates, &mut files, sink),
            Target::Recovery => recovery::emit(&plan.recovery, templates, &mut files, sink),
            Target::Docs => docs::emit(&plan.docs, templates, &mut files, sink),
            Target::Guide => guide::emit(&plan.guide, templates, &mut files, sink),
        }
    }
    if needed.len() == targets.len() {
        return files;
    }
    let mut chosen = FileSet::new();
    let wanted = |target: &str| targets.iter().any(|wanted| wanted.as_str() == target);
    for file in files.into_iter().filter(|file| wanted(file.target)) {
        chosen
            .insert(file)
            .expect("they have been in one set already");
    }
    chosen
}
