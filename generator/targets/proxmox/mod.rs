//! `proxmox/`: what stands on the host itself.
//!
//! * [`pve`]: Proxmox VE's own files (guests, storage, jobs, mappings, firewall, vzdump, the installer's answers);
//! * [`automation`]: what the host does at set times, and the tools that do it;
//! * [`system`]: the Debian below it (network, boot, ZFS, the script that applies everything).

pub mod automation;
pub mod pve;
pub mod system;

use crate::diagnostics::Sink;
use crate::facts::Facts;
use crate::origin::Origin;
use crate::output::FileSet;
use crate::template::Templates;

/// What will stand on the host.
#[derive(Debug)]
pub struct Plan {
    origin: Origin,
    pve: pve::Plan,
    automation: automation::Plan,
    system: system::Plan,
}

/// Plans the host's files.
pub fn plan(facts: &Facts<'_>, origin: &Origin, sink: &mut Sink) -> Plan {
    Plan {
        origin: origin.clone(),
        pve: pve::plan(facts, sink),
        automation: automation::plan(facts),
        system: system::plan(facts, sink),
    }
}

/// Writes them down. Reports what a user's template cannot do.
pub fn emit(plan: &Plan, templates: &Templates, files: &mut FileSet, sink: &mut Sink) {
    let origin = &plan.origin;
    pve::emit(&plan.pve, origin, templates, files, sink);
    automation::emit(&plan.automation, origin, files, sink);
    // Last: its README says what is there.
    system::emit(&plan.system, origin, templates, files, sink);
}
