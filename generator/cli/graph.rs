//! `moxc graph`: a picture of a host.

use super::args::{Graph, GraphFormat};
use super::load;
use super::terminal::Terminal;
use super::{Failure, Status};
use crate::facts::Facts;
use crate::graph;

pub(super) fn run(args: &Graph, terminal: &mut Terminal) -> Result<Status, Failure> {
    let loaded = load::load(&args.specs)?;
    terminal.diagnostics(&loaded.sources, &loaded.found);
    if loaded.has_errors() {
        return Ok(Status::Faulty);
    }
    for unit in &loaded.units {
        let Some(host) = &unit.checked.host else {
            continue;
        };
        let graph = graph::of(args.view.into(), &Facts::of(host));
        let text = match args.format {
            GraphFormat::Json => graph::json(&graph, loaded.sources.map()),
            GraphFormat::Mermaid => graph::mermaid(&graph),
            GraphFormat::Svg => graph::svg(&graph),
            GraphFormat::Html => graph::html(&graph),
            GraphFormat::Dot => graph::dot(&graph),
        };
        terminal.result(&text);
    }
    Ok(Status::Fine)
}
