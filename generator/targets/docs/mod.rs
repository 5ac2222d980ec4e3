//! `docs/`: the host for people who look at it.
//!
//! Comes in: the facts of a host, and of the page the files of the other targets. Goes out: `ARCHITECTURE.md`, which GitHub and
//! the like render, diagrams included; and `index.html`, one page that needs nothing but itself. Both say what
//! [`told`] says, with the pictures of [`crate::graph`].

pub mod architecture;
pub mod page;
mod told;

use std::collections::BTreeMap;

use crate::diagnostics::Sink;
use crate::each::{both, both_told, put_away};
use crate::facts::Facts;
use crate::graph::{self, Graph, View};
use crate::origin::Origin;
use crate::output::{FileSet, Mode, OutputFile, RelPath};
use crate::targets::Target;
use crate::template::Templates;

pub use architecture::Architecture;
pub use page::Page;

/// The text that GitHub and the like render.
const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";

/// The most guests of which the host is drawn, and of which the page repeats the runbooks and tells what each change costs:
/// with more of them no browser shows it with ease, and it is most of the tree. The page leads to the runbooks then, and both files
/// name the command that draws.
const MOST_DRAWN: usize = 1_000;

/// What will stand there.
#[derive(Debug)]
pub struct Plan {
    /// How many guests the host has: it is worth more than one thread where there are many.
    guests: usize,
    architecture: Architecture,
    page: page::Plan,
}

/// Plans it.
pub fn plan(facts: &Facts<'_>, origin: &Origin) -> Plan {
    let drawn = View::ALL
        .iter()
        .filter(|_| facts.host.guests.len() <= MOST_DRAWN);
    let graphs: BTreeMap<View, Graph> =
        drawn.map(|view| (*view, graph::of(*view, facts))).collect();
    let (architecture, page) = both(
        facts.host.guests.len(),
        || architecture::plan(facts, &graphs, origin),
        || page::plan(facts, &graphs, origin),
    );
    Plan {
        guests: facts.host.guests.len(),
        architecture,
        page,
    }
}

/// Writes it down, both files at the same time; `files` holds what every other target has emitted. Reports what a user's
/// template cannot do.
pub fn render(
    plan: Plan,
    templates: &Templates,
    files: &FileSet,
    sink: &mut Sink,
) -> [OutputFile; 2] {
    let (architecture, page) = both_told(
        plan.guests,
        sink,
        |sink| format!("{}\n", templates.render(&plan.architecture, sink)),
        |sink| {
            let page = plan.page.finish(files);
            let text = templates.render(&page, sink);
            put_away(plan.guests, page);
            text
        },
    );
    [file(ARCHITECTURE, architecture), file(page::PATH, page)]
}

fn file(path: &str, text: String) -> OutputFile {
    let path = RelPath::new(path).expect("a fixed path");
    OutputFile::text(path, text, Mode::Regular, Target::Docs.as_str())
}
