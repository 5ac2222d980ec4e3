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
use crate::model::Host;
use crate::origin::Origin;
use crate::output::FileSet;
use crate::targets::about::About;
use crate::template::Templates;

/// What will stand on the host.
#[derive(Debug)]
pub struct Plan {
    origin: Origin,
    /// Proxmox VE's own files.
    pub(super) pve: pve::Plan,
    automation: automation::Plan,
    system: system::Plan,
    /// Files of the tree that are left to the host.
    left: Vec<String>,
}

impl Plan {
    /// What the steps of an apply need to know and no file says.
    pub fn wanted(&self) -> crate::apply::tree::Wanted {
        self.system.wanted()
    }
}

/// Plans the host's files.
pub fn plan(facts: &Facts<'_>, origin: &Origin, sink: &mut Sink) -> Plan {
    Plan {
        origin: origin.clone(),
        pve: pve::plan(facts, sink),
        automation: automation::plan(facts),
        system: system::plan(facts, sink),
        left: left(facts.host),
    }
}

/// The files of which the spec says that the host's own stay.
fn left(host: &Host) -> Vec<String> {
    host.untouched()
        .map(|path| format!("proxmox/{path}"))
        .collect()
}

impl Plan {
    /// What the guide of the tree tells of these files.
    pub fn about(&self, facts: &Facts<'_>) -> About {
        let mut about = self.pve.about_installation();
        about.extend(self.system.about(facts));
        about.extend(self.pve.about(facts.host));
        about.extend(self.system.about_storage());
        about
    }

    /// Whether the tree holds answers for Proxmox VE's installer.
    pub fn has_answers(&self) -> bool {
        self.pve.has_answers()
    }
}

/// Writes them down. Reports what a user's template cannot do.
pub fn emit(plan: Plan, templates: &Templates, files: &mut FileSet, sink: &mut Sink) {
    let origin = &plan.origin;
    files.leave(plan.left);
    pve::emit(plan.pve, origin, templates, files, sink);
    automation::emit(&plan.automation, origin, files, sink);
    // Last: the script that applies the tree is made from its files.
    system::emit(&plan.system, origin, templates, files, sink);
}
