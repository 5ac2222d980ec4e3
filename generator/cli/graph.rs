//! `moxc graph`: a picture of a host.

use super::args::{Graph as Args, GraphFormat, Specs};
use super::desired::{self, Desired};
use super::load::{self, Unit};
use super::terminal::Terminal;
use super::{Failure, Status, live};
use crate::adopt;
use crate::compile::Compiled;
use crate::facts::Facts;
use crate::graph::{self, Graph, View};
use crate::live::Snapshot;
use crate::model::Host;
use crate::source::SourceMap;

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<Status, Failure> {
    let view = args.view.into();
    let snapshot = args.live.as_deref().map(live::read).transpose()?;
    if args.specs.is_empty() {
        if let Some(snapshot) = &snapshot {
            let host = running(snapshot, terminal)?;
            let graph = graph::of(view, &Facts::of(&host)).without_places();
            draw(args.format, &graph, &SourceMap::new(), terminal);
        }
        return Ok(Status::Fine);
    }
    let mut loaded = load::load(&Specs {
        specs: args.specs.clone(),
        deny_warnings: args.deny_warnings,
    })?;
    terminal.diagnostics(&loaded.sources, &loaded.found);
    if loaded.has_errors() {
        return Ok(Status::Faulty);
    }
    let map = loaded.sources.map();
    if let (Some(snapshot), Some(name)) = (&snapshot, &args.live) {
        let unit = desired::host_of(&mut loaded.units, snapshot, name)?;
        let graph = planned(view, unit, snapshot, terminal)?;
        draw(args.format, &graph, map, terminal);
        return Ok(Status::Fine);
    }
    for unit in &loaded.units {
        let graph = graph::of(view, &Facts::of(&unit.checked.host));
        draw(args.format, &graph, map, terminal);
    }
    Ok(Status::Fine)
}

/// The picture of what would come, go and change.
fn planned(
    view: View,
    unit: &mut Unit,
    snapshot: &Snapshot,
    terminal: &mut Terminal,
) -> Result<Graph, Failure> {
    let desired = Desired::of(unit)?;
    let (spec, plan) = (desired.host, desired.compare(snapshot));
    let host = running(snapshot, terminal)?;
    let wanted = graph::of(view, &Facts::of(spec));
    let live = graph::of(view, &Facts::of(&host));
    Ok(graph::changes((&wanted, spec), (&live, &host), &plan))
}

/// A host that runs, as the spec that would be written of it says it. What no spec can say is told.
fn running(snapshot: &Snapshot, terminal: &mut Terminal) -> Result<Host, Failure> {
    let adopted = adopt::adopt(snapshot, false);
    // Files are in no picture.
    for fault in adopted
        .faults
        .iter()
        .filter(|fault| !fault.starts_with('/'))
    {
        terminal.remark(&format!("not drawn: {fault}\n"));
    }
    let checked = Compiled::of("host.toml", &adopted.text).checked;
    let host = checked.plan.map(|_| checked.host);
    host.ok_or_else(|| {
        Failure::new("the copy does not hold what it takes to draw it: `moxc adopt` says why")
    })
}

fn draw(format: GraphFormat, graph: &Graph, sources: &SourceMap, terminal: &mut Terminal) {
    let text = match format {
        GraphFormat::Json => return terminal.json(&graph::json(graph, sources)),
        GraphFormat::Mermaid => graph::mermaid(graph),
        GraphFormat::Svg => graph::svg(graph),
        GraphFormat::Html => graph::html(graph),
        GraphFormat::Dot => graph::dot(graph),
    };
    terminal.result(&text);
}
