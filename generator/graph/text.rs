//! The formats that say a graph in words: JSON, Mermaid, dot, and the page around a drawing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::json;

use super::{Edge, Graph, Node, NodeKind, State, svg};
use crate::source::SourceMap;
use crate::template::html as escape;

/// The graph itself. `spec` holds the line from 1, by the name under which the file was read.
pub fn json(graph: &Graph, sources: &SourceMap) -> String {
    let nodes: Vec<serde_json::Value> = graph
        .nodes
        .iter()
        .map(|node| {
            let spec = node.place.map(|place| {
                let file = sources.file_of(place).name();
                json!({ "file": file, "line": sources.start(place).line })
            });
            let mut node_json = json!({
                "id": node.id, "kind": node.kind.as_str(), "label": node.label, "details": node.details,
                "parent": node.parent, "file": node.file, "spec": spec,
            });
            if let Some(state) = node.state.as_str() {
                node_json["state"] = state.into();
            }
            node_json
        })
        .collect();
    let edges: Vec<serde_json::Value> = graph
        .edges
        .iter()
        .map(|edge| {
            let mut edge_json =
                json!({ "from": edge.from, "to": edge.to, "kind": edge.kind, "label": edge.label });
            if let Some(state) = edge.state.as_str() {
                edge_json["state"] = state.into();
            }
            edge_json
        })
        .collect();
    let whole =
        json!({ "view": graph.view.as_str(), "host": graph.host, "nodes": nodes, "edges": edges });
    let mut text = serde_json::to_string_pretty(&whole).expect("strings and lists are JSON");
    text.push('\n');
    text
}

/// Readers of Mermaid refuse a picture of more edges where nobody told them otherwise (`maxEdges`).
const MOST_EDGES: usize = 500;

/// A flowchart as GitHub shows it.
pub fn mermaid(graph: &Graph) -> String {
    let merged;
    let graph = if graph.edges.len() > MOST_EDGES {
        merged = merge_leaves(graph);
        &merged
    } else {
        graph
    };
    let names = names(graph);
    let mut out = "flowchart LR\n".to_owned();
    let mut held: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in &graph.nodes {
        if let Some(parent) = &node.parent {
            held.entry(parent).or_default().push(node);
        }
    }
    for node in &graph.nodes {
        let name = &names[node.id.as_str()];
        if let Some(inner) = held.get(node.id.as_str()) {
            line(
                &mut out,
                &format!("    subgraph {name}[\"{}\"]", said(node)),
            );
            for inner in inner {
                box_of(&mut out, inner, &names[inner.id.as_str()], "        ");
            }
            out.push_str("    end\n");
        } else if node.parent.is_none() {
            box_of(&mut out, node, name, "    ");
        }
    }
    for edge in &graph.edges {
        let (from, to) = (&names[edge.from.as_str()], &names[edge.to.as_str()]);
        let label = edge.words();
        let arrow = match edge.state {
            State::Gone | State::Foreign => "-.->",
            State::Come | State::Changed => "==>",
            State::Same => "-->",
        };
        if label.is_empty() {
            line(&mut out, &format!("    {from} {arrow} {to}"));
        } else {
            line(
                &mut out,
                &format!("    {from} {arrow}|\"{}\"| {to}", words(&label)),
            );
        }
    }
    if graph.is_plan() {
        classes(&mut out, graph, &names);
    }
    out
}

/// Frames for what becomes of each node; they are seen on a light ground and on a dark one.
fn classes(out: &mut String, graph: &Graph, names: &BTreeMap<&str, String>) {
    for (word, style) in [
        ("come", "stroke:#2da44e,stroke-width:3px"),
        ("changed", "stroke:#bf8700,stroke-width:3px"),
        (
            "gone",
            "stroke:#e5534b,stroke-width:3px,stroke-dasharray:7 4",
        ),
        ("foreign", "stroke-dasharray:2 3"),
    ] {
        let nodes: Vec<&str> = graph
            .nodes
            .iter()
            .filter(|node| node.state.as_str() == Some(word))
            .map(|node| names[node.id.as_str()].as_str())
            .collect();
        if !nodes.is_empty() {
            line(out, &format!("    classDef {word} {style}"));
            line(out, &format!("    class {} {word}", nodes.join(",")));
        }
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes all text");
}

fn box_of(out: &mut String, node: &Node, name: &str, indent: &str) {
    let (open, close) = match node.kind {
        NodeKind::Internet => ("((", "))"),
        NodeKind::Pool | NodeKind::Dataset | NodeKind::Store | NodeKind::Share => ("[(", ")]"),
        NodeKind::Schedule => ("([", "])"),
        NodeKind::Machine
        | NodeKind::Host
        | NodeKind::Nic
        | NodeKind::Bond
        | NodeKind::Bridge
        | NodeKind::Vm
        | NodeKind::Container
        | NodeKind::Device
        | NodeKind::Group => ("[", "]"),
    };
    line(
        out,
        &format!("{indent}{name}{open}\"{}\"{close}", said(node)),
    );
}

/// Label and details as Mermaid breaks lines.
fn said(node: &Node) -> String {
    let title = node.title();
    let lines: Vec<String> = std::iter::once(&title)
        .chain(&node.details)
        .map(|line| words(line))
        .collect();
    lines.join("<br/>")
}

/// Text between quotes of Mermaid: what could end it, or be taken for markup, is written by its number.
fn words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | '\\' | '*' | '_' | '~' | '[' | ']' | '{' | '}'
            | '|' => {
                write!(out, "#{};", u32::from(c)).expect("a string takes all text");
            }
            c if crate::unseen::is_unseen(c) => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A name for each node that is a word to Mermaid and to dot; each other.
fn names(graph: &Graph) -> BTreeMap<&str, String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut names = BTreeMap::new();
    for node in &graph.nodes {
        let plain: String = node
            .id
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let mut name = plain.clone();
        let mut count = 1;
        while !taken.insert(name.clone()) {
            count += 1;
            name = format!("{plain}_{count}");
        }
        names.insert(node.id.as_str(), name);
    }
    names
}

/// The same graph with the ends that hang on one node by edges of one kind drawn as one.
fn merge_leaves(graph: &Graph) -> Graph {
    let mut degree: BTreeMap<&str, usize> = BTreeMap::new();
    for edge in &graph.edges {
        *degree.entry(&edge.from).or_default() += 1;
        *degree.entry(&edge.to).or_default() += 1;
    }
    let holders: BTreeSet<&str> = graph
        .nodes
        .iter()
        .filter_map(|node| node.parent.as_deref())
        .collect();
    let is_leaf = |id: &str| degree.get(id) == Some(&1) && !holders.contains(id);
    let mut groups: BTreeMap<(&str, &str, NodeKind), Vec<&Edge>> = BTreeMap::new();
    for edge in graph.edges.iter().filter(|edge| is_leaf(&edge.to)) {
        if let Some(node) = graph.node(&edge.to) {
            let key = (edge.from.as_str(), edge.kind, node.kind);
            groups.entry(key).or_default().push(edge);
        }
    }
    groups.retain(|_, edges| edges.len() > 1);
    let gone: BTreeSet<&str> = groups
        .values()
        .flatten()
        .map(|edge| edge.to.as_str())
        .collect();
    let mut merged = Graph::new(graph.view, &graph.host);
    for node in graph
        .nodes
        .iter()
        .filter(|node| !gone.contains(node.id.as_str()))
    {
        merged.places.insert(node.id.clone(), merged.nodes.len());
        merged.nodes.push(node.clone());
    }
    merged.edges = graph
        .edges
        .iter()
        .filter(|edge| !gone.contains(edge.to.as_str()))
        .cloned()
        .collect();
    for ((from, kind, node_kind), edges) in groups {
        let labels = edges
            .iter()
            .filter_map(|edge| graph.node(&edge.to))
            .map(|node| node.label.as_str());
        let name = format!("{from}-{kind}-{}", node_kind.as_str());
        let label = format!("{} of kind {}", edges.len(), node_kind.as_str());
        let node = merged.put(NodeKind::Group, &name, label);
        node.detail(labels.collect::<Vec<_>>().join(", "));
        let id = node.id.clone();
        merged.connect(from, &id, edges[0].kind, "");
    }
    merged
}

/// For Graphviz.
pub fn dot(graph: &Graph) -> String {
    let names = names(graph);
    let mut out = format!(
        "digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n",
        quoted(graph.view.as_str())
    );
    for node in &graph.nodes {
        let title = node.title();
        let lines: Vec<&str> = std::iter::once(title.as_str())
            .chain(node.details.iter().map(String::as_str))
            .collect();
        line(
            &mut out,
            &format!(
                "  {} [label={}];",
                names[node.id.as_str()],
                quoted(&lines.join("\n"))
            ),
        );
    }
    for edge in &graph.edges {
        let (from, to) = (&names[edge.from.as_str()], &names[edge.to.as_str()]);
        line(
            &mut out,
            &format!("  {from} -> {to} [label={}];", quoted(&edge.words())),
        );
    }
    out.push_str("}\n");
    out
}

/// A string of dot: a backslash begins an escape of its own there.
fn quoted(text: &str) -> String {
    let inner = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{inner}\"")
}

/// A page of its own around the drawing. It asks for nothing: its policy allows no source at all.
pub fn html(graph: &Graph) -> String {
    let title = escape(&format!("{} of {}", graph.view.title(), graph.host));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n</head>\n<body>\n\
         <main>\n<h1>{title}</h1>\n{}</main>\n</body>\n</html>\n",
        svg::svg(graph)
    )
}
