//! The index in memory, and its compressed form in the program.

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use serde_json::Value as Json;

use super::Release;
use super::pattern::Pattern;
use super::types::{TextRule, Type, TypeId, Types};

/// The number of a node in the index; the root is 0.
pub(super) type NodeId = usize;

/// All that is known about the options of NixOS.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    pub(super) types: Types,
    /// The oldest first; at least one.
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) nodes: Vec<Node>,
    /// The names of all nodes, one after the other: twenty thousand texts of their own would take longer to make than
    /// the rest of a check.
    names: String,
}

/// NixOS at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) release: Release,
    pub(super) coverage: Coverage,
}

/// How much of a snapshot is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coverage {
    /// Nothing is known to be complete.
    Some,
    /// Every option below the listed prefixes.
    Listed,
    /// Every option.
    All,
}

impl Coverage {
    pub(super) const ALL: [Self; 3] = [Self::Some, Self::Listed, Self::All];

    /// The word for it in the readable source.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Some => "some",
            Self::Listed => "listed",
            Self::All => "all",
        }
    }
}

/// A name in the tree of options.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Node {
    /// Where its own name stands among all: `<name>` stands for any attribute, `*` for any list element.
    name: Range<u32>,
    /// What is known of it in each snapshot, if it is an option.
    pub(super) states: Option<States>,
    /// How much is known of what is below.
    pub(super) reach: Reach,
    /// Some options of this submodule are not known.
    pub(super) partial: bool,
    /// By their names.
    pub(super) children: Vec<NodeId>,
}

/// How much is known of what is below a name, whatever a snapshot knows as a whole. The weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Reach {
    /// What a snapshot knows.
    #[default]
    Open,
    /// Everything, in the snapshots that cover what is listed.
    Listed,
    /// Everything, in every snapshot: moxc's own options.
    Whole,
}

/// What is known of an option in each snapshot.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum States {
    /// The same in all of them.
    Same(State),
    /// The oldest first.
    Each(Vec<State>),
}

impl States {
    pub(super) fn new(states: Vec<State>) -> Self {
        match states.split_first() {
            Some((first, rest)) if rest.iter().all(|other| other == first) => {
                Self::Same(first.clone())
            }
            _ => Self::Each(states),
        }
    }

    pub(super) fn get(&self, snapshot: usize) -> &State {
        match self {
            Self::Same(state) => state,
            Self::Each(states) => states.get(snapshot).unwrap_or(&State::Absent),
        }
    }
}

/// An option in a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    Absent,
    Type(TypeId),
    /// Works still, under this new name.
    Renamed(String),
    /// Setting it is an error; perhaps something else took its place.
    Removed(Option<String>),
}

/// The compressed index cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexError(String);

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the option index cannot be read: {}", self.0)
    }
}

impl std::error::Error for IndexError {}

const MAGIC: &[u8] = b"moxc options 2\n";

/// Deeper than any option is.
const DEEPEST: usize = 64;

impl Index {
    /// The index that is built into the program.
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Index> = LazyLock::new(|| {
            Index::load(include_bytes!("index.bin")).expect("a test reads the same bytes")
        });
        &BUILTIN
    }

    /// The releases that it has snapshots of, the oldest first.
    pub fn releases(&self) -> impl Iterator<Item = Release> {
        self.snapshots.iter().map(|snapshot| snapshot.release)
    }

    /// The newest release of which it knows every option.
    pub fn newest_whole(&self) -> Option<Release> {
        let whole = self
            .snapshots
            .iter()
            .filter(|snapshot| snapshot.coverage == Coverage::All);
        whole.map(|snapshot| snapshot.release).max()
    }

    /// Whether there is anything of that name, in whatever snapshot.
    pub fn has(&self, names: &[impl AsRef<str>]) -> bool {
        names
            .iter()
            .try_fold(0, |node, name| self.child(node, name.as_ref()))
            .is_some()
    }

    /// Whether that is the name of a set of options, and not of an option.
    pub(super) fn is_folder(&self, names: &[String]) -> bool {
        let node = names
            .iter()
            .try_fold(0, |node, name| self.child(node, name));
        node.is_some_and(|node| self.node(node).states.is_none())
    }

    /// Whether a snapshot has an option below this one that can be set.
    pub(super) fn is_above(&self, id: NodeId, snapshot: usize) -> bool {
        self.node(id).children.iter().any(|&child| {
            let states = self.node(child).states.as_ref();
            let state = states.map(|states| states.get(snapshot));
            matches!(state, Some(State::Type(_) | State::Renamed(_)))
                || self.is_above(child, snapshot)
        })
    }

    /// Number of options, in whatever snapshot.
    pub fn len(&self) -> usize {
        self.nodes
            .iter()
            .filter(|node| node.states.is_some())
            .count()
    }

    /// Whether there is no option in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        // Numbers of nodes come from the index itself; the root is always there.
        self.nodes.get(id).unwrap_or(&self.nodes[0])
    }

    pub(super) fn name(&self, id: NodeId) -> &str {
        let name = &self.node(id).name;
        self.names
            .get(name.start as usize..name.end as usize)
            .unwrap_or_default()
    }

    /// The names below a node.
    pub(super) fn below(&self, id: NodeId) -> impl Iterator<Item = &str> {
        self.node(id).children.iter().map(|child| self.name(*child))
    }

    pub(super) fn child(&self, id: NodeId, name: &str) -> Option<NodeId> {
        let children = &self.node(id).children;
        children
            .binary_search_by(|child| self.name(*child).cmp(name))
            .ok()
            .map(|at| children[at])
    }

    /// An index without options.
    pub(super) fn of_snapshots(snapshots: Vec<Snapshot>) -> Self {
        Self {
            types: Types::default(),
            snapshots,
            nodes: vec![Node::default()],
            names: String::new(),
        }
    }

    /// The node of that name below another, made where it is not there.
    pub(super) fn place(&mut self, parent: NodeId, name: &str) -> NodeId {
        let at = self.nodes[parent]
            .children
            .binary_search_by(|child| self.name(*child).cmp(name));
        match at {
            Ok(at) => self.nodes[parent].children[at],
            Err(at) => {
                let child = self.add(name);
                self.nodes[parent].children.insert(at, child);
                child
            }
        }
    }

    fn add(&mut self, name: &str) -> NodeId {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let start = place(self.names.len());
        self.names.push_str(name);
        self.nodes.push(Node {
            name: start..place(self.names.len()),
            ..Node::default()
        });
        self.nodes.len() - 1
    }

    /// The numbers of the snapshots that a release lies between, or the one it is; `later`: and of all after them.
    pub(super) fn snapshots_for(
        &self,
        release: Release,
        later: bool,
    ) -> std::ops::RangeInclusive<usize> {
        let last = self.snapshots.len() - 1;
        if later {
            return *self.snapshots_for(release, false).start()..=last;
        }
        let after = self
            .snapshots
            .partition_point(|snapshot| snapshot.release < release);
        match after {
            0 => 0..=0,
            _ if after > last => last..=last,
            _ if self.snapshots[after].release == release => after..=after,
            _ => after - 1..=after,
        }
    }

    /// Reads what [`Self::store`] wrote.
    pub fn load(bytes: &[u8]) -> Result<Self, IndexError> {
        let packed = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| IndexError("it does not begin as one".to_owned()))?;
        let data = miniz_oxide::inflate::decompress_to_vec_zlib(packed)
            .map_err(|error| IndexError(error.to_string()))?;
        let mut reader = Reader { data: &data };
        let mut index = Self::of_snapshots(Vec::new());
        for _ in 0..reader.count()? {
            let release = reader.text()?.parse().map_err(IndexError)?;
            let coverage = *Coverage::ALL
                .get(reader.count()?)
                .ok_or_else(Reader::short)?;
            index.snapshots.push(Snapshot { release, coverage });
        }
        if index.snapshots.is_empty() {
            return Err(IndexError("it has no snapshot".to_owned()));
        }
        for _ in 0..reader.count()? {
            let read = reader.value_type()?;
            index.types.0.push(read);
        }
        reader.node(&mut index, 0, 0)?;
        if reader.data.is_empty() {
            Ok(index)
        } else {
            Err(IndexError("there is more behind its end".to_owned()))
        }
    }

    /// The compressed form; the same bytes for the same index.
    pub fn store(&self) -> Vec<u8> {
        let mut writer = Writer { data: Vec::new() };
        writer.count(self.snapshots.len());
        for snapshot in &self.snapshots {
            writer.text(&snapshot.release.to_string());
            writer.count(
                Coverage::ALL
                    .iter()
                    .position(|one| *one == snapshot.coverage)
                    .unwrap_or(0),
            );
        }
        writer.count(self.types.0.len());
        for one in &self.types.0 {
            writer.value_type(one);
        }
        writer.node(self, 0);
        let mut bytes = MAGIC.to_vec();
        bytes.extend(miniz_oxide::deflate::compress_to_vec_zlib(&writer.data, 10));
        bytes
    }
}

/// Numbers are written in groups of seven bits, the lowest first; texts with their length before them.
struct Writer {
    data: Vec<u8>,
}

impl Writer {
    fn count(&mut self, mut number: usize) {
        loop {
            let low = u8::try_from(number & 0x7f).expect("seven bits");
            number >>= 7;
            self.data.push(if number == 0 { low } else { low | 0x80 });
            if number == 0 {
                return;
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.data.extend_from_slice(text.as_bytes());
    }

    fn bound(&mut self, bound: Option<i64>) {
        self.text(&bound.map_or_else(String::new, |bound| bound.to_string()));
    }

    fn value_type(&mut self, one: &Type) {
        let mut tag = |tag: u8| self.data.push(tag);
        match one {
            Type::Any => tag(0),
            Type::Bool => tag(1),
            Type::Int { least, most } => {
                tag(2);
                self.bound(*least);
                self.bound(*most);
            }
            Type::Float => tag(3),
            Type::Number(not_negative) => {
                tag(4);
                self.count(usize::from(*not_negative));
            }
            Type::Text(rule) => {
                tag(5);
                self.count(
                    TextRule::ALL
                        .iter()
                        .position(|one| one == rule)
                        .unwrap_or(0),
                );
            }
            Type::Matching(pattern) => {
                tag(6);
                self.text(pattern.text());
            }
            Type::Path(in_store) => {
                tag(7);
                self.count(usize::from(*in_store));
            }
            Type::Package => tag(8),
            Type::Attrs => tag(9),
            Type::Submodule => tag(10),
            Type::Freeform(inner) => {
                tag(11);
                self.count(*inner);
            }
            Type::System => tag(12),
            Type::Enum(values) => {
                tag(13);
                self.text(&Json::Array(values.clone()).to_string());
            }
            Type::List(inner) => {
                tag(14);
                self.count(*inner);
            }
            Type::AttrsOf(inner) => {
                tag(15);
                self.count(*inner);
            }
            Type::NullOr(inner) => {
                tag(16);
                self.count(*inner);
            }
            Type::OneOf(all) => {
                tag(17);
                self.count(all.len());
                for one in all {
                    self.count(*one);
                }
            }
            Type::Function => tag(18),
        }
    }

    fn node(&mut self, index: &Index, id: NodeId) {
        let node = index.node(id);
        let states: &[State] = match &node.states {
            None => &[],
            Some(States::Same(state)) => std::slice::from_ref(state),
            Some(States::Each(states)) => states,
        };
        let form = match &node.states {
            None => 0,
            Some(States::Same(_)) => 1,
            Some(States::Each(_)) => 2,
        };
        let reach = match node.reach {
            Reach::Open => 0,
            Reach::Listed => 1,
            Reach::Whole => 2,
        };
        self.data
            .push(form | reach << 2 | u8::from(node.partial) << 4);
        for state in states {
            match state {
                State::Absent => self.data.push(0),
                State::Type(id) => {
                    self.data.push(1);
                    self.count(*id);
                }
                State::Renamed(to) => {
                    self.data.push(2);
                    self.text(to);
                }
                State::Removed(None) => self.data.push(3),
                State::Removed(Some(to)) => {
                    self.data.push(4);
                    self.text(to);
                }
            }
        }
        self.count(node.children.len());
        for child in &node.children {
            self.text(index.name(*child));
            self.node(index, *child);
        }
    }
}

struct Reader<'a> {
    data: &'a [u8],
}

impl<'a> Reader<'a> {
    fn slice(&mut self) -> Result<&'a str, IndexError> {
        let length = self.count()?;
        let (text, rest) = self.data.split_at_checked(length).ok_or_else(Self::short)?;
        self.data = rest;
        std::str::from_utf8(text).map_err(|error| IndexError(error.to_string()))
    }

    fn short() -> IndexError {
        IndexError("it ends too early".to_owned())
    }

    fn byte(&mut self) -> Result<u8, IndexError> {
        let (first, rest) = self.data.split_first().ok_or_else(Self::short)?;
        self.data = rest;
        Ok(*first)
    }

    fn count(&mut self) -> Result<usize, IndexError> {
        let mut number = 0_usize;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(IndexError("a number in it is too large".to_owned()))
    }

    fn text(&mut self) -> Result<String, IndexError> {
        self.slice().map(str::to_owned)
    }

    fn bound(&mut self) -> Result<Option<i64>, IndexError> {
        let text = self.text()?;
        if text.is_empty() {
            Ok(None)
        } else {
            text.parse()
                .map(Some)
                .map_err(|_| IndexError(format!("{text:?} is no bound")))
        }
    }

    fn value_type(&mut self) -> Result<Type, IndexError> {
        Ok(match self.byte()? {
            0 => Type::Any,
            1 => Type::Bool,
            2 => Type::Int {
                least: self.bound()?,
                most: self.bound()?,
            },
            3 => Type::Float,
            4 => Type::Number(self.count()? == 1),
            5 => Type::Text(*TextRule::ALL.get(self.count()?).ok_or_else(Self::short)?),
            6 => Type::Matching(Pattern::new(self.text()?)),
            7 => Type::Path(self.count()? == 1),
            8 => Type::Package,
            9 => Type::Attrs,
            10 => Type::Submodule,
            11 => Type::Freeform(self.count()?),
            12 => Type::System,
            13 => Type::Enum(
                serde_json::from_str(&self.text()?)
                    .map_err(|error| IndexError(error.to_string()))?,
            ),
            14 => Type::List(self.count()?),
            15 => Type::AttrsOf(self.count()?),
            16 => Type::NullOr(self.count()?),
            17 => {
                let mut all = Vec::new();
                for _ in 0..self.count()? {
                    all.push(self.count()?);
                }
                Type::OneOf(all)
            }
            18 => Type::Function,
            other => return Err(IndexError(format!("{other} is no kind of type"))),
        })
    }

    /// What is written of a node that is there by its name.
    fn node(&mut self, index: &mut Index, id: NodeId, depth: usize) -> Result<(), IndexError> {
        if depth > DEEPEST {
            return Err(IndexError("it is too deep".to_owned()));
        }
        let flags = self.byte()?;
        let states = match flags & 0b11 {
            0 => None,
            1 => Some(States::Same(self.state()?)),
            2 => Some(States::Each(
                (0..index.snapshots.len())
                    .map(|_| self.state())
                    .collect::<Result<_, _>>()?,
            )),
            other => return Err(IndexError(format!("{other} is no form of states"))),
        };
        let node = &mut index.nodes[id];
        node.states = states;
        node.reach = match flags >> 2 & 0b11 {
            0 => Reach::Open,
            1 => Reach::Listed,
            2 => Reach::Whole,
            other => return Err(IndexError(format!("{other} is no reach"))),
        };
        node.partial = flags >> 4 != 0;
        let children = self.count()?;
        for _ in 0..children {
            let child = index.add(self.slice()?);
            index.nodes[id].children.push(child);
            self.node(index, child, depth + 1)?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<State, IndexError> {
        Ok(match self.byte()? {
            0 => State::Absent,
            1 => State::Type(self.count()?),
            2 => State::Renamed(self.text()?),
            3 => State::Removed(None),
            4 => State::Removed(Some(self.text()?)),
            other => return Err(IndexError(format!("{other} is no state of an option"))),
        })
    }
}
