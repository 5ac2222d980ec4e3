use std::fs;

use super::args::Plan as Args;
use super::desired::{self, Desired};
use super::load::{self, Loaded};
use super::terminal::Terminal;
use super::{Failure, Status, apply, images, live};
use crate::live::Snapshot;

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<Status, Failure> {
    let mut loaded = load::load(&args.specs)?;
    terminal.diagnostics(&loaded.sources, &loaded.found);
    if loaded.has_errors() {
        return Ok(Status::Faulty);
    }
    let snapshot = of_spec(&loaded, live::read(&args.live)?);
    let unit = desired::host_of(&mut loaded.units, &snapshot, &args.live)?;
    let desired = Desired::of(unit)?;
    let plan = desired.compare(&snapshot);
    desired::show(args.markdown, &plan, &loaded.sources, terminal);
    images::tell_missing(&desired.wanted.makings, &plan, &[], terminal);
    if let Some(path) = &args.script {
        let script = apply::script(&desired, &snapshot, &plan, &args.choice)?;
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
    let name = unit.checked.host.name.as_str();
    if own != Some(name) && snapshot.nodes.contains_key(name) {
        snapshot.of_node(name)
    } else {
        snapshot
    }
}
