//! What a spec wants of a host, beside a copy of the host as it is: what `plan`, `apply` and `graph --live` begin with.

use super::Failure;
use super::load::{Sources, Unit};
use super::terminal::Terminal;
use crate::apply::tree::Wanted;
use crate::diagnostics::Sink;
use crate::diagnostics::render::Format;
use crate::live::{Item, Snapshot};
use crate::model::Host;
use crate::origin::Origin;
use crate::output::FileSet;
use crate::plan::{self, Plan, render};
use crate::targets::{self, Target};
use crate::template::Templates;

/// A host as its spec wants it.
#[derive(Debug)]
pub(super) struct Desired<'a> {
    pub(super) host: &'a Host,
    pub(super) origin: &'a Origin,
    /// Its files of Proxmox VE's.
    pub(super) files: FileSet,
    /// What no file says.
    pub(super) wanted: Wanted,
}

impl<'a> Desired<'a> {
    /// What a host that has been checked comes to.
    pub(super) fn of(unit: &'a mut Unit) -> Result<Self, Failure> {
        let host = &unit.checked.host;
        let Some(plan) = unit.checked.plan.take() else {
            return Err(Failure::new("the spec has errors"));
        };
        let wanted = plan.apply_wanted();
        let targets = [Target::Proxmox];
        let templates = Templates::built_in();
        Ok(Self {
            host,
            origin: &unit.origin,
            files: targets::emit(host, plan, &targets, &templates, &mut Sink::new()),
            wanted,
        })
    }

    /// What differs on the host that the copy is of.
    pub(super) fn compare(&self, snapshot: &Snapshot) -> Plan {
        let wanted = plan::Wanted {
            host: self.host,
            files: &self.files,
        };
        plan::compare(&wanted, snapshot)
    }
}

/// The host of a call that a copy is of: the one that it names, or the only one.
pub(super) fn host_of<'a>(
    units: &'a mut [Unit],
    snapshot: &Snapshot,
    live: &str,
) -> Result<&'a mut Unit, Failure> {
    let name = |unit: &Unit| unit.checked.host.name.as_str().to_owned();
    match (&snapshot.node, units) {
        (Item::Present(node), units) => {
            let Some(at) = units
                .iter()
                .position(|unit| name(unit).eq_ignore_ascii_case(node))
            else {
                let names: Vec<String> = units
                    .iter()
                    .map(|unit| format!("`{}`", name(unit)))
                    .collect();
                return Err(Failure::new(format!(
                    "`{live}` is a copy of the host `{node}`, and the spec is of {}",
                    names.join(", ")
                )));
            };
            Ok(&mut units[at])
        }
        (_, [only]) => Ok(only),
        _ => Err(Failure::new(format!(
            "`{live}` does not say which host it is a copy of: plan with the spec of one host"
        ))),
    }
}

/// Shows what differs.
pub(super) fn show(markdown: bool, plan: &Plan, sources: &Sources, terminal: &mut Terminal) {
    let map = sources.map();
    if markdown {
        terminal.result(&render::markdown(plan));
        return;
    }
    match terminal.format() {
        Format::Json => terminal.json(&format!("{}\n", render::json(plan, map))),
        Format::Sarif => terminal.json(&format!("{:#}\n", render::sarif(plan, map))),
        Format::Human | Format::Short => {
            terminal.result(&render::human(plan, terminal.is_verbose()));
        }
    }
}
