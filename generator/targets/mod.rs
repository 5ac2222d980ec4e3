//! The targets: what a host becomes.
//!
//! Each plans (`plan(facts, origin, sink)`: what the target will say, in its own words; reports what it cannot say, and leaves
//! to the [analysis](crate::analysis) what is wrong with a host, whatever is printed of it) and emits (`emit(plan, templates,
//! files, sink)`: files; pure. What is built in cannot fail there, but a user's template can). Recovery, the guide and the
//! documents have nothing to report of their own, and are planned as they are written; the documents, which show every other
//! file, are rendered last. What a host is about comes from its [facts](crate::facts); no target knows another.

pub mod about;
pub mod docs;
pub mod guide;
pub mod nixos;
pub mod proxmox;
pub mod recovery;
pub mod windows;

use std::sync::LazyLock;

use crate::diagnostics::Sink;
use crate::each::both_told;
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
    pub const fn as_str(self) -> &'static str {
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

/// What will be said by the targets that may have something to report. The others are planned as they are written: a
/// spec that is checked, and a fleet that is built, need not hold their texts.
#[derive(Debug)]
pub struct Plan {
    origin: Origin,
    proxmox: proxmox::Plan,
    nixos: nixos::Plan,
    windows: windows::Plan,
    /// The cluster that the host becomes a node of.
    joins: Option<guide::Joins>,
}

impl Plan {
    /// What the steps of an apply need to know and no file says.
    pub fn apply_wanted(&self) -> crate::apply::tree::Wanted {
        self.proxmox.wanted()
    }
}

/// Plans every target that may report something.
pub fn plan(facts: &Facts<'_>, origin: &Origin, sink: &mut Sink) -> Plan {
    let (proxmox, nixos) = both_told(
        facts.host.guests.len(),
        sink,
        |sink| proxmox::plan(facts, origin, sink),
        |sink| nixos::plan(facts, origin, sink),
    );
    Plan {
        origin: origin.clone(),
        proxmox,
        nixos,
        windows: windows::plan(facts, origin, sink),
        joins: None,
    }
}

/// Makes one of what the nodes of a cluster share, and tells each host's guide how it becomes a node. Reports what cannot
/// be one: MOX0117.
pub fn unite(cluster: &str, hosts: Vec<(&Host, &mut Plan)>, sink: &mut Sink) {
    let first = hosts.first().map(|(host, _)| host.fqdn());
    let mut nodes = Vec::new();
    for (host, plan) in hosts {
        let first = first.as_deref().filter(|first| *first != host.fqdn());
        plan.joins = Some(guide::Joins {
            cluster: cluster.to_owned(),
            first: first.map(str::to_owned),
        });
        nodes.push(proxmox::pve::cluster::Node {
            host,
            plan: &mut plan.proxmox.pve,
        });
    }
    proxmox::pve::cluster::unite(&mut nodes, sink);
}

/// Writes down what is planned of `host`. Reports what a user's template cannot do, and two files of one name.
///
/// `docs/` shows all files of a tree, so it needs those of every target, whichever are chosen.
pub fn emit(
    host: &Host,
    plan: Plan,
    targets: &[Target],
    templates: &Templates,
    sink: &mut Sink,
) -> FileSet {
    emit_beside(host, plan, targets, templates, sink, |_| ()).0
}

/// [`emit`], and what `look` makes of all files but those of `docs/`: the page of a large host takes one core as long as
/// a look at every other file takes the next.
pub fn emit_beside<R: Send>(
    host: &Host,
    plan: Plan,
    targets: &[Target],
    templates: &Templates,
    sink: &mut Sink,
    look: impl FnOnce(&FileSet) -> R + Send,
) -> (FileSet, R) {
    let facts = LazyLock::new(|| Facts::of(host));
    let needed = if targets.contains(&Target::Docs) {
        Target::ALL
    } else {
        targets
    };
    let is_needed = |target| needed.contains(&target);
    // What a target plans goes as soon as it is written down: of a large host the plans are as large as the files.
    let Plan {
        origin,
        proxmox,
        nixos,
        windows,
        joins,
    } = plan;
    let of_proxmox = |sink: &mut Sink| {
        let mut files = FileSet::new();
        // From what the other targets say of themselves.
        if is_needed(Target::Guide) {
            let about = vec![proxmox.about(&facts), windows::Plan::about(&facts)];
            let has_answers = proxmox.has_answers();
            let plan = guide::plan(&facts, &origin, about, has_answers, joins.as_ref());
            guide::emit(&plan, templates, &mut files, sink);
        }
        if is_needed(Target::Proxmox) {
            proxmox::emit(proxmox, templates, &mut files, sink);
        }
        files
    };
    let of_others = |sink: &mut Sink| {
        let mut files = FileSet::new();
        if is_needed(Target::Nixos) {
            nixos::emit(nixos, templates, &mut files, sink);
        }
        if is_needed(Target::Windows) {
            windows::emit(&windows, templates, &mut files, sink);
        }
        if is_needed(Target::Recovery) {
            let plan = recovery::plan(&facts, &origin);
            recovery::emit(&plan, templates, &mut files, sink);
        }
        let docs = is_needed(Target::Docs).then(|| docs::plan(&facts, &origin));
        (files, docs)
    };
    let (mut files, (others, docs)) = both_told(host.guests.len(), sink, of_proxmox, of_others);
    files
        .extend(others)
        .expect("each target has folders of its own");
    // Last: its page shows every other file.
    let (docs, looked) = both_told(
        host.guests.len(),
        sink,
        |sink| docs.map(|plan| docs::render(plan, templates, &files, sink)),
        |_| look(&files),
    );
    for file in docs.into_iter().flatten() {
        files.insert(file).expect("docs/ is the target's own");
    }
    if needed.len() == targets.len() {
        return (files, looked);
    }
    let mut chosen = FileSet::new();
    let wanted = |target: &str| targets.iter().any(|wanted| wanted.as_str() == target);
    for file in files.into_iter().filter(|file| wanted(file.target)) {
        chosen
            .insert(file)
            .expect("they have been in one set already");
    }
    (chosen, looked)
}
