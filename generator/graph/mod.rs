//! Pictures of a host: what is connected with what, as a graph, and the formats that draw it.
//!
//! In comes a host as understood; out comes a [`Graph`] of one [`View`], whose JSON is what every other format draws:
//! Mermaid, dot, SVG, and a page around the SVG. Nothing here reports; a host with errors has no picture.

mod changes;
mod layout;
mod svg;
mod text;
mod views;

use std::collections::BTreeMap;

use crate::source::Span;

/// What a picture is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// From the Internet by cards and bridges to the guests.
    Network,
    /// Pools, datasets and stores, and who lies in them.
    Storage,
    /// What is updated, backed up and brought back, and how.
    Flow,
    /// What is in the machine, and which guest has it.
    Hardware,
    /// Who needs whom, and what runs when.
    Dependencies,
}

impl View {
    /// Every view, in the order of the documents.
    pub const ALL: &'static [Self] = &[
        Self::Network,
        Self::Storage,
        Self::Flow,
        Self::Hardware,
        Self::Dependencies,
    ];

    /// Its word on the command line and in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Storage => "storage",
            Self::Flow => "flow",
            Self::Hardware => "hardware",
            Self::Dependencies => "dependencies",
        }
    }

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Network => "Network",
            Self::Storage => "Storage",
            Self::Flow => "Updates and backups",
            Self::Hardware => "Hardware",
            Self::Dependencies => "Dependencies",
        }
    }
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// The Internet.
    Internet,
    /// A machine that is no guest.
    Machine,
    /// The host itself.
    Host,
    /// A network card.
    Nic,
    /// A bond.
    Bond,
    /// A bridge.
    Bridge,
    /// A virtual machine.
    Vm,
    /// A container.
    Container,
    /// A ZFS pool.
    Pool,
    /// A dataset.
    Dataset,
    /// A store of another kind.
    Store,
    /// A shared folder.
    Share,
    /// A device: a disk, a PCI function, a USB device.
    Device,
    /// What belongs together: the functions of an IOMMU group, guests of one system.
    Group,
    /// Something that runs at set times.
    Schedule,
}

impl NodeKind {
    /// Its word in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internet => "internet",
            Self::Machine => "machine",
            Self::Host => "host",
            Self::Nic => "nic",
            Self::Bond => "bond",
            Self::Bridge => "bridge",
            Self::Vm => "vm",
            Self::Container => "container",
            Self::Pool => "pool",
            Self::Dataset => "dataset",
            Self::Store => "store",
            Self::Share => "share",
            Self::Device => "device",
            Self::Group => "group",
            Self::Schedule => "schedule",
        }
    }

    /// The first part of its nodes' ids: guests are `vm/VMID` and `ct/VMID`.
    fn prefix(self) -> &'static str {
        match self {
            Self::Container => "ct",
            other => other.as_str(),
        }
    }
}

/// What becomes of a node or an edge, in the picture of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It stays as it is, or there is no plan.
    #[default]
    Same,
    /// It comes.
    Come,
    /// It goes.
    Gone,
    /// It changes.
    Changed,
    /// The host has it and the spec does not: it is left alone.
    Foreign,
}

impl State {
    /// Its word in the JSON; none of what stays.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Same => None,
            Self::Come => Some("come"),
            Self::Gone => Some("gone"),
            Self::Changed => Some("changed"),
            Self::Foreign => Some("foreign"),
        }
    }

    /// What stands before its words, for who sees no colours.
    fn mark(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Come => "+ ",
            Self::Gone => "− ",
            Self::Changed => "± ",
            Self::Foreign => "· ",
        }
    }
}

/// What a node stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// `KIND/NAME`, unique in its graph.
    pub id: String,
    /// What it is.
    pub kind: NodeKind,
    /// What it is called; one line.
    pub label: String,
    /// More of it, a line each.
    pub details: Vec<String>,
    /// The node whose box it lies in.
    pub parent: Option<String>,
    /// The file of the tree in which it stands.
    pub file: Option<String>,
    /// Where the spec says it.
    pub place: Option<Span>,
    /// What becomes of it.
    pub state: State,
}

/// A connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The id of a node.
    pub from: String,
    /// The id of a node; the same one for what a thing does with itself.
    pub to: String,
    /// What it is: `cable`, `card`, `disk`.
    pub kind: &'static str,
    /// What is to be said of it; may be empty.
    pub label: String,
    /// What becomes of it.
    pub state: State,
}

/// A picture before it is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// What it is about.
    pub view: View,
    /// The host's name.
    pub host: String,
    /// In the order in which they are drawn.
    pub nodes: Vec<Node>,
    /// In the order in which they are drawn.
    pub edges: Vec<Edge>,
    places: BTreeMap<String, usize>,
}

impl Graph {
    fn new(view: View, host: &str) -> Self {
        Self {
            view,
            host: host.to_owned(),
            nodes: Vec::new(),
            edges: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    /// The node of an id.
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.places.get(id).map(|at| &self.nodes[*at])
    }

    /// The node of that kind and name, made where it is not there yet.
    fn put(&mut self, kind: NodeKind, name: &str, label: impl Into<String>) -> &mut Node {
        let id = format!("{}/{name}", kind.prefix());
        let at = *self.places.entry(id.clone()).or_insert(self.nodes.len());
        if at == self.nodes.len() {
            self.nodes.push(Node {
                id,
                kind,
                label: label.into(),
                details: Vec::new(),
                parent: None,
                file: None,
                place: None,
                state: State::Same,
            });
        }
        &mut self.nodes[at]
    }

    /// Connects two nodes.
    fn connect(&mut self, from: &str, to: &str, kind: &'static str, label: impl Into<String>) {
        self.edges.push(Edge {
            from: from.to_owned(),
            to: to.to_owned(),
            kind,
            label: label.into(),
            state: State::Same,
        });
    }

    /// The same of a host that has no spec: nothing stands in a line.
    #[must_use]
    pub fn without_places(mut self) -> Self {
        for node in &mut self.nodes {
            node.place = None;
            node.file = None;
        }
        self
    }

    /// Whether it is the picture of a plan.
    fn is_plan(&self) -> bool {
        let nodes = self.nodes.iter().map(|node| node.state);
        let mut states = nodes.chain(self.edges.iter().map(|edge| edge.state));
        states.any(|state| state != State::Same)
    }
}

impl Edge {
    /// Its words, with the mark of what becomes of it.
    fn words(&self) -> String {
        format!("{}{}", self.state.mark(), self.label)
            .trim_end()
            .to_owned()
    }
}

impl Node {
    /// Its name, with the mark of what becomes of it.
    fn title(&self) -> String {
        format!("{}{}", self.state.mark(), self.label)
    }

    fn at(&mut self, place: Span) -> &mut Self {
        self.place = Some(place);
        self
    }

    fn inside(&mut self, parent: impl Into<String>) -> &mut Self {
        self.parent = Some(parent.into());
        self
    }

    fn file(&mut self, file: impl Into<String>) -> &mut Self {
        self.file = Some(file.into());
        self
    }

    fn detail(&mut self, line: impl Into<String>) -> &mut Self {
        let line = line.into();
        if !line.is_empty() {
            self.details.push(line);
        }
        self
    }
}

pub use changes::changes;
pub use layout::text_width;
pub use svg::{STYLE, svg, svg_inside};
pub use text::{dot, html, json, mermaid};
pub use views::of;
