//! The targets: what a host becomes.
//!
//! Each plans (`plan`: model → what the target will say, in its own words; may report what it cannot say) and emits
//! (`emit`: plan → files; pure. What is built in cannot fail there, but a user's template can).

pub mod nixos;
pub mod proxmox;
pub mod recovery;
pub mod windows;

use crate::diagnostics::Sink;
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
    origin: Origin,
    proxmox: proxmox::Plan,
    nixos: nixos::Plan,
    windows: windows::Plan,
    recovery: recovery::Plan,
}

/// Plans every target.
pub fn plan(host: &Host, origin: &Origin, sink: &mut Sink) -> Plan {
    Plan {
        origin: origin.clone(),
        proxmox: proxmox::plan(host, sink),
        nixos: nixos::plan(host, origin, sink),
        windows: windows::plan(host, sink),
        recovery: recovery::plan(host, sink),
    }
}

/// Writes down what is planned. Reports what a user's template cannot do, and two files of one name.
pub fn emit(plan: &Plan, targets: &[Target], templates: &Templates, sink: &mut Sink) -> FileSet {
    let mut files = FileSet::new();
    for target in targets {
        match target {
            Target::Proxmox => {
                proxmox::emit(&plan.proxmox, &plan.origin, templates, &mut files, sink);
            }
            Target::Nixos => nixos::emit(&plan.nixos, &mut files),
            Target::Windows => {
                windows::emit(&plan.windows, &plan.origin, templates, &mut files, sink);
            }
            Target::Recovery => {
                recovery::emit(&plan.recovery, &plan.origin, templates, &mut files, sink);
            }
        }
    }
    files
}
