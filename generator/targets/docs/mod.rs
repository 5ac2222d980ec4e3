//! `docs/`: the host for people who look at it.
//!
//! Comes in: the facts of a host, and of the page the files of the other targets. Goes out: `ARCHITECTURE.md`, which GitHub and
//! the like render, diagrams included; and `index.html`, one page that needs nothing but itself. Both say what
//! [`told`] says, with the pictures of [`crate::graph`].

pub mod architecture;
pub mod page;
mod told;

use crate::diagnostics::Sink;
use crate::facts::Facts;
use crate::graph::{self, Graph, View};
use crate::origin::Origin;
use crate::output::{FileSet, Mode, OutputFile, RelPath};
use crate::targets::{Target, both};
use crate::template::Templates;

pub use architecture::Architecture;
pub use page::Page;

/// What will stand there.
#[derive(Debug)]
pub struct Plan {
    architecture: Architecture,
    page: page::Plan,
}

/// Plans it.
pub fn plan(facts: &Facts<'_>, origin: &Origin) -> Plan {
    let graphs: Vec<(View, Graph)> = View::ALL
        .iter()
        .map(|view| (*view, graph::of(*view, facts)))
        .collect();
    let (architecture, page) = both(
        facts.host,
        || architecture::plan(facts, &graphs, origin),
        || page::plan(facts, &graphs, origin),
    );
    Plan { architecture, page }
}

/// Writes it down; `files` holds what every other target has emitted. Reports what a user's template cannot do.
pub fn emit(plan: Plan, templates: &Templates, files: &mut FileSet, sink: &mut Sink) {
    let text = format!("{}\n", templates.render(&plan.architecture, sink));
    add("docs/ARCHITECTURE.md", text, files);
    let page = plan.page.finish(files);
    let text = templates.render(&page, sink);
    add(page::PATH, text, files);
}

fn add(path: &str, text: String, files: &mut FileSet) {
    let path = RelPath::new(path).expect("a fixed path");
    let file = OutputFile::text(path, text, Mode::Regular, Target::Docs.as_str());
    files.insert(file).expect("one file of that name");
}
