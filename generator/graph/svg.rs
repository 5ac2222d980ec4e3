//! A graph as SVG: one file for light and dark, text as text.

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::layout::{self, Rect, Wire};
use super::{Graph, NodeKind, State};
use crate::template::html as escape;

/// The colours by light and by dark: ground, text, lines, a fill for each family of nodes, and what comes, changes and goes;
/// contrast of text at least 4.5:1, of lines 3:1.
const COLOURS: &[(&str, &str, &str)] = &[
    ("--ground", "#ffffff", "#0d1117"),
    ("--ink", "#1b1f24", "#e6edf3"),
    ("--soft", "#57606a", "#9da7b3"),
    ("--wire", "#6e7781", "#848d97"),
    ("--edge", "#8c959f", "#6e7681"),
    ("--net", "#ddf4ff", "#0c2d4a"),
    ("--guest", "#dafbe1", "#12361f"),
    ("--store", "#fff8c5", "#3a2f0b"),
    ("--metal", "#f6f8fa", "#21262d"),
    ("--task", "#fbefff", "#2e1a47"),
    ("--come", "#1a7f37", "#3fb950"),
    ("--changed", "#9a6700", "#d29922"),
    ("--gone", "#cf222e", "#f85149"),
];

const RULES: &str = "\
.moxc-graph .ground{fill:var(--ground)}.moxc-graph rect.box{stroke:var(--edge);stroke-width:1.2;fill:var(--metal)}\
.moxc-graph .net rect.box{fill:var(--net)}.moxc-graph .guest rect.box{fill:var(--guest)}\
.moxc-graph .store rect.box{fill:var(--store)}.moxc-graph .task rect.box{fill:var(--task)}\
.moxc-graph .holds rect.box{fill:none;stroke-dasharray:5 4}\
.moxc-graph text{font:13px ui-sans-serif,system-ui,sans-serif;fill:var(--ink)}\
.moxc-graph text.small{font-size:11px;fill:var(--soft)}\
.moxc-graph .wire{fill:none;stroke:var(--wire);stroke-width:1.4}\
.moxc-graph .come>rect.box,.moxc-graph .wire.come{stroke:var(--come);stroke-width:2.5}\
.moxc-graph .changed>rect.box,.moxc-graph .wire.changed{stroke:var(--changed);stroke-width:2.5}\
.moxc-graph .gone>rect.box,.moxc-graph .wire.gone{stroke:var(--gone);stroke-width:2.5;stroke-dasharray:7 4}\
.moxc-graph .foreign>rect.box,.moxc-graph .wire.foreign{stroke-dasharray:2 3}.moxc-graph .tip{fill:var(--wire)}";

const FORCED: &str = "\
@media (forced-colors:active){.moxc-graph .ground{fill:Canvas}.moxc-graph rect.box{fill:Canvas;stroke:CanvasText}\
.moxc-graph text,.moxc-graph text.small{fill:CanvasText}.moxc-graph .wire{stroke:CanvasText}.moxc-graph .tip{fill:CanvasText}}";

/// The style for a page, which may give the colours other values.
pub static STYLE: LazyLock<String> = LazyLock::new(|| {
    let values = |dark: bool| -> String {
        let value = |(name, on_light, on_dark): &(&str, &str, &str)| {
            format!("{name}:{};", if dark { on_dark } else { on_light })
        };
        COLOURS.iter().map(value).collect()
    };
    format!(
        ".moxc-graph{{{}}}@media (prefers-color-scheme:dark){{.moxc-graph{{{}}}}}{RULES}{FORCED}",
        values(false),
        values(true)
    )
});

/// The style for a file of its own. Programs that draw SVG and are no browser know no names for values: the colours stand in
/// each rule.
fn style_of_file() -> String {
    let rules = |dark: bool| {
        COLOURS
            .iter()
            .fold(RULES.to_owned(), |rules, (name, on_light, on_dark)| {
                let value = if dark { on_dark } else { on_light };
                rules.replace(&format!("var({name})"), value)
            })
    };
    format!(
        "{}@media (prefers-color-scheme:dark){{{}}}{FORCED}",
        rules(false),
        rules(true)
    )
}

/// The family of a node, for its colour.
fn family(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Internet | NodeKind::Machine | NodeKind::Bond | NodeKind::Bridge => "net",
        NodeKind::Vm | NodeKind::Container => "guest",
        NodeKind::Pool | NodeKind::Dataset | NodeKind::Store | NodeKind::Share => "store",
        NodeKind::Schedule => "task",
        NodeKind::Host | NodeKind::Nic | NodeKind::Device | NodeKind::Group => "metal",
    }
}

/// The drawing, as a file of its own.
pub fn svg(graph: &Graph) -> String {
    drawn(graph, &format!("<style>{}</style>", style_of_file()))
}

/// The drawing, for a page that has [`STYLE`] among its own.
pub fn svg_inside(graph: &Graph) -> String {
    drawn(graph, "")
}

fn drawn(graph: &Graph, style: &str) -> String {
    let drawing = layout::draw(graph);
    let lines = layout::lines(graph);
    let (width, height) = (drawing.width, drawing.height);
    let view = graph.view.as_str();
    let title = escape(&format!("{} of {}", graph.view.title(), graph.host));
    let mut out = String::new();
    push(
        &mut out,
        &format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"moxc-graph\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"t-{view} d-{view}\">"
        ),
    );
    push(&mut out, &format!("<title id=\"t-{view}\">{title}</title>"));
    push(
        &mut out,
        &format!("<desc id=\"d-{view}\">{}</desc>", escape(&described(graph))),
    );
    if !style.is_empty() {
        push(&mut out, style);
    }
    push(
        &mut out,
        &format!(
            "<defs><marker id=\"tip-{view}\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"10\" markerHeight=\"10\" markerUnits=\"userSpaceOnUse\" \
         orient=\"auto-start-reverse\"><path class=\"tip\" d=\"M0 0 8 4 0 8z\"/></marker></defs>"
        ),
    );
    push(
        &mut out,
        &format!("<rect class=\"ground\" x=\"0\" y=\"0\" width=\"{width}\" height=\"{height}\"/>"),
    );
    let (holders, boxes): (Vec<&Rect>, Vec<&Rect>) =
        drawing.boxes.iter().partition(|rect| rect.holds);
    for rect in holders {
        node(&mut out, graph, rect, &lines[rect.node]);
    }
    for wire in &drawing.wires {
        edge(&mut out, graph, wire);
    }
    for rect in boxes {
        node(&mut out, graph, rect, &lines[rect.node]);
    }
    out.push_str("</svg>\n");
    out
}

fn push(out: &mut String, line: &str) {
    writeln!(out, "{line}").expect("a string takes all text");
}

/// What a person who does not see the picture is told.
fn described(graph: &Graph) -> String {
    let name = |id: &str| {
        graph
            .node(id)
            .map_or(id, |node| node.label.as_str())
            .to_owned()
    };
    let edges: Vec<String> = graph
        .edges
        .iter()
        .map(|edge| {
            let words: Vec<&str> = edge
                .state
                .as_str()
                .into_iter()
                .chain(Some(edge.label.as_str()).filter(|label| !label.is_empty()))
                .collect();
            let how = if words.is_empty() {
                String::new()
            } else {
                format!(" ({})", words.join(", "))
            };
            format!("{} to {}{how}", name(&edge.from), name(&edge.to))
        })
        .collect();
    format!(
        "{} things, {} connections: {}.",
        graph.nodes.len(),
        edges.len(),
        edges.join("; ")
    )
}

/// The class of what becomes of a thing.
fn class(state: State) -> String {
    state
        .as_str()
        .map_or_else(String::new, |word| format!(" {word}"))
}

fn node(out: &mut String, graph: &Graph, rect: &Rect, lines: &[String]) {
    let node = &graph.nodes[rect.node];
    let name: String = node
        .id
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let holds = if rect.holds { " holds" } else { "" };
    push(
        out,
        &format!(
            "<g id=\"n-{}-{name}-{}\" class=\"{}{holds}{}\" data-id=\"{}\" data-kind=\"{}\">",
            graph.view.as_str(),
            rect.node,
            family(node.kind),
            class(node.state),
            escape(&node.id),
            node.kind.as_str()
        ),
    );
    push(
        out,
        &format!(
            "<rect class=\"box\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"5\"/>",
            rect.x, rect.y, rect.width, rect.height
        ),
    );
    let x = rect.x + 10;
    push(
        out,
        &format!(
            "<text x=\"{x}\" y=\"{}\">{}</text>",
            rect.y + 19,
            escape(&node.title())
        ),
    );
    for (at, line) in (0..).zip(lines) {
        let y = rect.y + 35 + 16 * at;
        push(
            out,
            &format!(
                "<text class=\"small\" x=\"{x}\" y=\"{y}\">{}</text>",
                escape(line)
            ),
        );
    }
    push(out, "</g>");
}

fn edge(out: &mut String, graph: &Graph, wire: &Wire) {
    let edge = &graph.edges[wire.edge];
    let mut way = String::new();
    for (at, (x, y)) in wire.points.iter().enumerate() {
        let letter = if at == 0 { 'M' } else { 'L' };
        write!(way, "{letter}{x} {y}").expect("a string takes all text");
    }
    push(
        out,
        &format!(
            "<path class=\"wire{}\" d=\"{way}\" marker-end=\"url(#tip-{})\" data-from=\"{}\" data-to=\"{}\"/>",
            class(edge.state),
            graph.view.as_str(),
            escape(&edge.from),
            escape(&edge.to)
        ),
    );
    if let Some((x, y)) = wire.label {
        push(
            out,
            &format!(
                "<text class=\"small\" x=\"{x}\" y=\"{y}\" text-anchor=\"end\">{}</text>",
                escape(&edge.words())
            ),
        );
    }
}
