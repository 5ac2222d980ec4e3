//! The targets: what a host becomes.
//!
//! Each plans (`plan(facts, origin, sink)`: what the target will say, in its own words; reports what it cannot say) and
//! emits (`emit(plan, templates, files, sink)`: files; pure. What is built in cannot fail there, but a user's template
//! can). What a host is about comes from its [facts](crate::facts); no target knows another.

pub mod nixos;
pub mod proxmox;
pub mod recovery;
pub mod windows;

use crate::diagnostics::Sink;
use crate::facts::Facts;
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
}

impl Target {
    /// Every target, in the order in which they are built.
    pub const ALL: &'static [Self] = &[Self::Proxmox, Self::Nixos, Self::Windows, Self::Recovery];

    /// Its word on the command line and in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proxmox => "proxmox",
            Self::Nixos => "nixos",
            Self::Windows => "windows",
            Self::Recovery => "recovery",
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
}

/// Plans every target.
pub fn plan(facts: &Facts<'_>, origin: &Origin, sink: &mut Sink) -> Plan {
    Plan {
        proxmox: proxmox::plan(facts, origin, sink),
        nixos: nixos::plan(facts, origin, sink),
        windows: windows::plan(facts, origin, sink),
        recovery: recovery::plan(facts, origin),
    }
}

/// Writes down what is planned. Reports what a user's template cannot do, and two files of one name.
pub fn emit(plan: &Plan, targets: &[Target], templates: &Templates, sink: &mut Sink) -> FileSet {
    let mut files = FileSet::new();
    for target in targets {
        match target {
            Target::Proxmox => proxmox::emit(&plan.proxmox, templates, &mut files, sink),
            Target::Nixos => nixos::emit(&plan.nixos, templates, &mut files, sink),
            Target::Windows => windows::emit(&plan.windows, templates, &mut files, sink),
            Target::Recovery => recovery::emit(&plan.recovery, templates, &mut files, sink),
        }
    }
    files
}
