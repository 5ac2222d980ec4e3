//! `windows/<guest>/`: what turns an empty virtual machine into the Windows guest of the spec, and keeps it up to date.

pub mod setup;

use crate::compile::Origin;
use crate::diagnostics::Sink;
use crate::model::Host;
use crate::output::FileSet;
use crate::template::Templates;

/// What will stand there.
#[derive(Debug, Default)]
pub struct Plan {
    guests: Vec<setup::Plan>,
}

/// Plans it. Reports what a Windows guest cannot be told.
pub fn plan(host: &Host, sink: &mut Sink) -> Plan {
    let mut plan = Plan::default();
    for (id, guest, vm) in host.vms() {
        let Some(windows) = &vm.windows else { continue };
        plan.guests
            .push(setup::plan(host, id, guest, vm, windows, sink));
    }
    plan
}

/// Writes it down. Reports what a user's template cannot do.
pub fn emit(
    plan: &Plan,
    origin: &Origin,
    templates: &Templates,
    files: &mut FileSet,
    sink: &mut Sink,
) {
    for guest in &plan.guests {
        setup::emit(guest, origin, templates, files, sink);
    }
}
