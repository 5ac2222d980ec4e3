use std::fs;

use super::args::Plan as Args;
use super::load::{self, Loaded, Unit};
use super::terminal::Terminal;
use super::{Failure, Status, apply, images, live};
use crate::diagnostics::Sink;
use crate::diagnostics::render::Format;
use crate::facts::making::Making;
use crate::live::{Item, Snapshot};
use crate::plan::{self, Plan, Wanted, render};
use crate::targets::{self, Target};
use crate::template::Templates;

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<Status, Failure> {
    let loaded = load::load(&args.specs)?;
    terminal.diagnostics(&loaded.sources, &loaded.found);
    if loaded.has_errors() {
        return Ok(Status::Faulty);
    }
    let snapshot = of_spec(&loaded, live::read(&args.live)?);
    let unit = host_of(&loaded, &snapshot, &args.live)?;
    let plan = compare(unit, &snapshot)?;
    show(args.markdown, &plan, &loaded, terminal);
    images::tell_missing(&makings(unit), &plan, &[], terminal);
    if let Some(path) = &args.script {
        let script = apply::script(unit, &snapshot, &plan, &args.choice)?;
        fs::write(path, script).map_err(|error| Failure::io("write", path, &error))?;
        terminal.remark(&format!("`{}` is what would be run\n", path.display()));
    }
    let costly = |change| args.fail_on.iter().any(|cost| cost.is_of(change));
    Ok(if plan.is_same() {
        Status::Fine
    } else if plan.changes.iter().any(costly) {
        Status::Costly
    } else {
        Status::Differs
    })
}

/// A copy of a cluster holds what it knows of every node: where one spec is given, its own node is looked at.
fn of_spec(loaded: &Loaded, snapshot: Snapshot) -> Snapshot {
    let [unit] = &loaded.units[..] else {
        return snapshot;
    };
    let own = snapshot.node.present().map(String::as_str);
    match unit.checked.host.as_ref().map(|host| host.name.as_str()) {
        Some(name) if own != Some(name) && snapshot.nodes.contains_key(name) => {
            snapshot.of_node(name)
        }
        Some(_) | None => snapshot,
    }
}

/// The host of a call that a copy is of: the one that it names, or the only one.
pub(super) fn host_of<'a>(
    loaded: &'a Loaded,
    snapshot: &Snapshot,
    live: &str,
) -> Result<&'a Unit, Failure> {
    let name = |unit: &Unit| {
        let host = unit.checked.host.as_ref();
        host.map_or_else(String::new, |host| host.name.as_str().to_owned())
    };
    match (&snapshot.node, &loaded.units[..]) {
        (Item::Present(node), units) => units
            .iter()
            .find(|unit| name(unit).eq_ignore_ascii_case(node))
            .ok_or_else(|| {
                let names: Vec<String> = units
                    .iter()
                    .map(|unit| format!("`{}`", name(unit)))
                    .collect();
                Failure::new(format!(
                    "`{live}` is a copy of the host `{node}`, and the spec is of {}",
                    names.join(", ")
                ))
            }),
        (_, [only]) => Ok(only),
        _ => Err(Failure::new(format!(
            "`{live}` does not say which host it is a copy of: plan with the spec of one host"
        ))),
    }
}

/// What differs.
pub(super) fn compare(unit: &Unit, snapshot: &Snapshot) -> Result<Plan, Failure> {
    let (Some(host), Some(plan)) = (&unit.checked.host, &unit.checked.plan) else {
        return Err(Failure::new("the spec holds no host"));
    };
    let mut sink = Sink::new();
    let templates = Templates::built_in();
    let files = targets::emit(host, plan, &[Target::Proxmox], &templates, &mut sink);
    Ok(plan::compare(
        &Wanted {
            host,
            files: &files,
        },
        snapshot,
    ))
}

/// How the guests of a host are made.
pub(super) fn makings(unit: &Unit) -> Vec<Making> {
    let plan = unit.checked.plan.as_ref();
    plan.map_or_else(Vec::new, |plan| plan.apply_wanted().makings)
}

/// Shows what differs.
pub(super) fn show(markdown: bool, plan: &Plan, loaded: &Loaded, terminal: &mut Terminal) {
    let map = loaded.sources.map();
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
