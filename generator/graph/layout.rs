//! Where everything of a drawing lies: boxes in columns from left to right, wires in the channels between them.
//!
//! A node stands one column behind the furthest of those that lead to it. A wire leaves its box on the right, runs up or
//! down in the channel behind its column, and enters on the left; where it passes further columns, it has a lane there,
//! a row in which no box stands. So no wire crosses a foreign box. All wires that leave one node share its trunk. Rows
//! for what leaves, what enters and what passes are never the same, and trunks that meet have tracks of their own, so
//! no two other wires lie on each other.
//!
//! Boxes come in the order of the nodes, each as high as it can without passing an earlier one, and those that two lead to
//! behind those of the first alone: a new guest pushes those behind it down by its own height and leaves the rest alone.
//! Which trunk runs on which track is settled by how they would cross ([`channel`]).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use self::channel::Run;
use super::Graph;

mod channel;

/// The distance of two rows.
const ROW: i32 = 16;
/// Where in its row a wire enters, leaves, or passes by (columns with an even number, and with an odd one).
const ENTERS: i32 = 8;
const LEAVES: i32 = 12;
const PASSES: [i32; 2] = [0, 4];
/// The distance of two trunks.
const TRACK: i32 = 10;
/// What stays free above and below a box.
const GAP: i32 = ROW;
/// The room around the whole.
const MARGIN: i32 = 16;
/// The room that a box of boxes keeps around what it holds, and the height of its heading.
const INSET: i32 = 8;
const HEADING: i32 = 2 * ROW;

/// A drawing, in pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drawing {
    pub(super) width: i32,
    pub(super) height: i32,
    /// Boxes that hold others come before what they hold.
    pub(super) boxes: Vec<Rect>,
    pub(super) wires: Vec<Wire>,
}

/// The box of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    /// The place of the node in its graph.
    pub(super) node: usize,
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
    /// Whether it holds others.
    pub(super) holds: bool,
}

/// The way of an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wire {
    /// The place of the edge in its graph.
    pub(super) edge: usize,
    /// Its corners, from its start to its end.
    pub(super) points: Vec<(i32, i32)>,
    /// Where its label ends, at the baseline.
    pub(super) label: Option<(i32, i32)>,
}

/// How wide a text is, on the generous side: letters of a size, and those of East Asia twice as wide.
pub fn text_width(text: &str, size: i32) -> i32 {
    let units: i32 = text
        .chars()
        .map(|c| if u32::from(c) < 0x1100 { 62 } else { 105 })
        .sum();
    (units * size + 99) / 100
}

/// For each node the lines that stand in its box behind its name: the details, and what it does with itself.
pub(super) fn lines(graph: &Graph) -> Vec<Vec<String>> {
    let mut own: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for edge in graph.edges.iter().filter(|edge| edge.from == edge.to) {
        own.entry(&edge.from).or_default().push(&edge.label);
    }
    graph
        .nodes
        .iter()
        .map(|node| {
            let loops = own.get(node.id.as_str()).into_iter().flatten();
            let loops = loops.map(|label| format!("\u{21bb} {label}"));
            node.details.iter().cloned().chain(loops).collect()
        })
        .collect()
}

/// Where a wire arrives at the box of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    /// Enters the box of a node on the left, as so many-th.
    Enters { node: usize, port: i32 },
    /// Enters it on the right: both ends are in one column.
    Returns { node: usize, port: i32 },
}

/// All that leaves one node.
struct Trunk {
    node: usize,
    /// The port on the right.
    port: i32,
    /// The lanes that it has, by column.
    lanes: BTreeMap<usize, usize>,
    /// The edges: place, whether they are drawn from their end, and where they arrive.
    ends: Vec<(usize, bool, Stop)>,
}

struct Layout<'g> {
    graph: &'g Graph,
    places: BTreeMap<&'g str, usize>,
    lines: Vec<Vec<String>>,
    /// How often each node leads to itself.
    loops: Vec<i32>,
    /// The outermost box around each node; itself where it stands alone.
    block: Vec<usize>,
    children: BTreeMap<usize, Vec<usize>>,
    /// Of blocks.
    column: Vec<usize>,
    trunks: Vec<Trunk>,
    enters: Vec<i32>,
    leaves: Vec<i32>,
    /// The column of each lane, and its row once it is placed.
    lanes: Vec<(usize, i32)>,
    rects: Vec<Option<Rect>>,
}

pub(super) fn draw(graph: &Graph) -> Drawing {
    let mut layout = Layout::new(graph);
    layout.columns();
    layout.wire();
    let widths = layout.place();
    layout.order_ports();
    layout.finish(&widths)
}

impl<'g> Layout<'g> {
    fn new(graph: &'g Graph) -> Self {
        let places: BTreeMap<&str, usize> = graph
            .nodes
            .iter()
            .enumerate()
            .map(|(at, node)| (node.id.as_str(), at))
            .collect();
        let mut children: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut block: Vec<usize> = (0..graph.nodes.len()).collect();
        for (at, node) in graph.nodes.iter().enumerate() {
            let parent = node.parent.as_deref().and_then(|id| places.get(id));
            if let Some(parent) = parent.filter(|parent| graph.nodes[**parent].parent.is_none()) {
                block[at] = *parent;
                children.entry(*parent).or_default().push(at);
            }
        }
        let count = graph.nodes.len();
        let mut loops = vec![0; count];
        for edge in graph.edges.iter().filter(|edge| edge.from == edge.to) {
            if let Some(at) = places.get(edge.from.as_str()) {
                loops[*at] += 1;
            }
        }
        Self {
            graph,
            places,
            lines: lines(graph),
            loops,
            block,
            children,
            column: vec![0; count],
            trunks: Vec::new(),
            enters: vec![0; count],
            leaves: vec![0; count],
            lanes: Vec::new(),
            rects: vec![None; count],
        }
    }

    /// The ends of the edges that lead from one node to another, by their places.
    fn links(&self) -> Vec<(usize, usize, usize)> {
        self.graph
            .edges
            .iter()
            .enumerate()
            .filter(|(_, edge)| edge.from != edge.to)
            .filter_map(|(at, edge)| {
                let from = self.places.get(edge.from.as_str())?;
                Some((at, *from, *self.places.get(edge.to.as_str())?))
            })
            .collect()
    }

    /// Gives each block its column: one behind the furthest that leads to it. An edge back into what leads to it, which
    /// a walk in the order of the nodes meets, does not count.
    fn columns(&mut self) {
        let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (_, from, to) in self.links() {
            let (from, to) = (self.block[from], self.block[to]);
            if from != to {
                next.entry(from).or_default().push(to);
            }
        }
        let mut order = Vec::new();
        let mut state = vec![0_u8; self.graph.nodes.len()];
        let mut forward: BTreeSet<(usize, usize)> = BTreeSet::new();
        for root in (0..self.graph.nodes.len()).filter(|at| self.block[*at] == *at) {
            if state[root] != 0 {
                continue;
            }
            state[root] = 1;
            let mut stack = vec![(root, 0)];
            while let Some((at, done)) = stack.pop() {
                match next.get(&at).and_then(|to| to.get(done)) {
                    None => {
                        state[at] = 2;
                        order.push(at);
                    }
                    Some(&to) => {
                        stack.push((at, done + 1));
                        if state[to] != 1 {
                            forward.insert((at, to));
                        }
                        if state[to] == 0 {
                            state[to] = 1;
                            stack.push((to, 0));
                        }
                    }
                }
            }
        }
        for at in order.into_iter().rev() {
            for to in next.get(&at).into_iter().flatten() {
                if forward.contains(&(at, *to)) {
                    self.column[*to] = self.column[*to].max(self.column[at] + 1);
                }
            }
        }
    }

    fn column_of(&self, node: usize) -> usize {
        self.column[self.block[node]]
    }

    /// Puts the edges on trunks, and gives them ports and lanes.
    fn wire(&mut self) {
        let mut of_node: BTreeMap<(usize, bool), usize> = BTreeMap::new();
        for (edge, from, to) in self.links() {
            let back = self.column_of(to) < self.column_of(from);
            let (start, end) = if back { (to, from) } else { (from, to) };
            let (first, last) = (self.column_of(start), self.column_of(end));
            let trunk = *of_node.entry((start, back)).or_insert_with(|| {
                self.trunks.push(Trunk {
                    node: start,
                    port: self.leaves[start],
                    lanes: BTreeMap::new(),
                    ends: Vec::new(),
                });
                self.leaves[start] += 1;
                self.trunks.len() - 1
            });
            for column in first + 1..last {
                if !self.trunks[trunk].lanes.contains_key(&column) {
                    self.trunks[trunk].lanes.insert(column, self.lanes.len());
                    self.lanes.push((column, 0));
                }
            }
            let same_column = first == last;
            let ports = if same_column {
                &mut self.leaves
            } else {
                &mut self.enters
            };
            let (node, port) = (end, ports[end]);
            ports[end] += 1;
            let stop = if same_column {
                Stop::Returns { node, port }
            } else {
                Stop::Enters { node, port }
            };
            self.trunks[trunk].ends.push((edge, back, stop));
        }
    }

    /// The size of a node's own box, without what it holds.
    fn own_size(&self, node: usize) -> (i32, i32) {
        let lines = &self.lines[node];
        let label = text_width(&self.graph.nodes[node].title(), 13);
        let widest = lines
            .iter()
            .map(|line| text_width(line, 11))
            .max()
            .unwrap_or(0);
        let count = i32::try_from(lines.len()).unwrap_or(i32::MAX / ROW);
        let loops = self.loops[node] * 2 * ROW;
        let width = (label.max(widest) + 2 * ROW).max(loops + ROW).max(6 * ROW);
        let ports = self.enters[node].max(self.leaves[node]);
        let height = (count + 2).max(ports + 1) * ROW;
        (width, height)
    }

    /// The size of a block with all that it holds.
    fn size(&self, block: usize) -> (i32, i32) {
        let (mut width, mut height) = self.own_size(block);
        let Some(children) = self.children.get(&block) else {
            return (width, height);
        };
        height = height.max(HEADING);
        for child in children {
            let (w, h) = self.own_size(*child);
            width = width.max(w + 2 * INSET);
            height += h + GAP;
        }
        (width, height)
    }

    /// Gives every box and lane its row, and returns the width of each column.
    fn place(&mut self) -> Vec<i32> {
        let columns = self.column.iter().max().map_or(0, |last| last + 1);
        let mut widths = vec![0; columns];
        for block in (0..self.graph.nodes.len()).filter(|at| self.block[*at] == *at) {
            let width = &mut widths[self.column[block]];
            *width = (*width).max(self.size(block).0);
        }
        let mut free = vec![MARGIN; columns];
        let mut of_block: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, trunk) in self.trunks.iter().enumerate() {
            of_block.entry(self.block[trunk.node]).or_default().push(at);
        }
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); self.graph.nodes.len()];
        for (_, from, to) in self.links() {
            before[self.block[to]].push(self.block[from]);
        }
        let is_led_to = |block: &usize| before[*block].iter().any(|from| from != block);
        let blocks = (0..self.graph.nodes.len()).filter(|at| self.block[*at] == *at);
        let (later, roots): (Vec<usize>, Vec<usize>) = blocks.partition(is_led_to);
        // A walk from each block to what it leads to, in order, that begins with those that nothing leads to.
        for root in roots.into_iter().chain(later) {
            let mut stack = vec![root];
            while let Some(block) = stack.pop() {
                if self.rects[block].is_some() {
                    continue;
                }
                let onward = self.onward(block, &of_block, &before);
                let y = self.first_row(block, onward.first(), &of_block, &before, &free);
                let column = self.column[block];
                free[column] = self.put(block, y, &widths);
                let trunks = of_block.get(&block).map_or(&[][..], Vec::as_slice);
                let lanes: Vec<(usize, usize)> = trunks
                    .iter()
                    .flat_map(|trunk| &self.trunks[*trunk].lanes)
                    .map(|(column, lane)| (*column, *lane))
                    .collect();
                for (column, lane) in lanes {
                    free[column] = free[column].max(y);
                    self.lanes[lane].1 = free[column] + PASSES[column % 2];
                    free[column] += ROW;
                }
                stack.extend(onward.into_iter().rev());
            }
        }
        widths
    }

    /// What a block leads to and has no place yet, in order; what it shares with a later one comes last, so that it lies
    /// between the two: the nearer that one, the later.
    fn onward(
        &self,
        block: usize,
        of_block: &BTreeMap<usize, Vec<usize>>,
        before: &[Vec<usize>],
    ) -> Vec<usize> {
        let trunks = of_block.get(&block).map_or(&[][..], Vec::as_slice);
        let mut onward: Vec<usize> = trunks
            .iter()
            .flat_map(|trunk| &self.trunks[*trunk].ends)
            .filter_map(|(_, _, stop)| match stop {
                Stop::Enters { node, .. } => Some(self.block[*node]),
                Stop::Returns { .. } => None,
            })
            .filter(|to| self.rects[*to].is_none())
            .collect();
        let waits = |from: &&usize| **from != block && self.rects[**from].is_none();
        // `None`, what waits for nobody else, comes first.
        onward.sort_by_key(|to| before[*to].iter().filter(waits).min().map(Reverse));
        onward
    }

    /// The row in which a block begins: beside the first that it leads to, and the first that this one leads to, so that the
    /// wires between them are short.
    fn first_row(
        &self,
        block: usize,
        first: Option<&usize>,
        of_block: &BTreeMap<usize, Vec<usize>>,
        before: &[Vec<usize>],
        free: &[i32],
    ) -> i32 {
        let mut y = free[self.column[block]];
        let (mut at, mut next) = (block, first.copied());
        // One that leads back is placed from where it is.
        while let Some(behind) = next.filter(|next| self.column[*next] > self.column[at]) {
            y = y.max(free[self.column[behind]]);
            at = behind;
            next = self.onward(at, of_block, before).first().copied();
        }
        y
    }

    /// Gives what enters a box on the left its ports anew, in the order of the rows that it comes from: then no two cross on
    /// their way in.
    fn order_ports(&mut self) {
        let mut of_node: BTreeMap<usize, Vec<(i32, usize, usize)>> = BTreeMap::new();
        for (at, trunk) in self.trunks.iter().enumerate() {
            for (place, (_, _, stop)) in trunk.ends.iter().enumerate() {
                let Stop::Enters { node, .. } = stop else {
                    continue;
                };
                let column = self.column_of(*node);
                let lane = column.checked_sub(1).and_then(|c| trunk.lanes.get(&c));
                let from = lane.map_or_else(
                    || {
                        self.row(Stop::Returns {
                            node: trunk.node,
                            port: trunk.port,
                        })
                    },
                    |lane| self.lanes[*lane].1,
                );
                of_node.entry(*node).or_default().push((from, at, place));
            }
        }
        for (node, mut ends) in of_node {
            ends.sort_unstable();
            for (port, (_, trunk, place)) in (0..).zip(ends) {
                self.trunks[trunk].ends[place].2 = Stop::Enters { node, port };
            }
        }
    }

    /// Places a block and what it holds; the x of a column comes later. Returns where the next box may begin.
    fn put(&mut self, block: usize, y: i32, widths: &[i32]) -> i32 {
        let width = widths[self.column[block]];
        let (_, height) = self.size(block);
        let children = self.children.get(&block).cloned().unwrap_or_default();
        self.rects[block] = Some(Rect {
            node: block,
            x: 0,
            y,
            width,
            height,
            holds: !children.is_empty(),
        });
        let mut at = y + self.own_size(block).1.max(HEADING);
        for child in children {
            let (_, height) = self.own_size(child);
            self.rects[child] = Some(Rect {
                node: child,
                x: INSET,
                y: at,
                width: width - 2 * INSET,
                height,
                holds: false,
            });
            at += height + GAP;
        }
        y + height + 2 * GAP
    }

    /// The row of a stop.
    fn row(&self, stop: Stop) -> i32 {
        let top = |node: usize| self.rects[node].map_or(0, |rect| rect.y);
        match stop {
            Stop::Enters { node, port } => top(node) + port * ROW + ENTERS,
            Stop::Returns { node, port } => top(node) + port * ROW + LEAVES,
        }
    }

    fn finish(mut self, widths: &[i32]) -> Drawing {
        let tracks: Vec<BTreeMap<usize, i32>> = self
            .runs(widths.len())
            .into_iter()
            .map(channel::tracks)
            .collect();
        let labels = self.label_widths(widths.len());
        let mut x = MARGIN;
        let mut starts = Vec::new();
        for (column, width) in widths.iter().enumerate() {
            starts.push(x);
            x += width;
            let count = tracks[column].values().max().map_or(0, |last| last + 1);
            if column + 1 < widths.len() || count > 0 {
                x += 2 * TRACK + count * TRACK + labels[column];
            }
        }
        for node in 0..self.rects.len() {
            let start = starts[self.column_of(node)];
            if let Some(rect) = &mut self.rects[node] {
                rect.x += start;
            }
        }
        let trunk_x = |column: usize, trunk: usize| {
            let track = tracks[column].get(&trunk).copied().unwrap_or(0);
            starts[column] + widths[column] + TRACK + track * TRACK
        };
        let mut wires: Vec<Wire> = Vec::new();
        for (at, trunk) in self.trunks.iter().enumerate() {
            for (edge, back, stop) in &trunk.ends {
                let mut points = self.way(trunk, *stop, |column| trunk_x(column, at), &starts);
                let label = self.label(*edge, &points);
                points.dedup();
                if *back {
                    points.reverse();
                }
                wires.push(Wire {
                    edge: *edge,
                    points,
                    label,
                });
            }
        }
        wires.extend(self.loop_wires());
        wires.sort_by_key(|wire| wire.edge);
        let bottom = self.rects.iter().flatten().map(|rect| rect.y + rect.height);
        let lowest = bottom
            .chain(self.lanes.iter().map(|lane| lane.1))
            .max()
            .unwrap_or(0);
        let mut boxes: Vec<Rect> = self.rects.into_iter().flatten().collect();
        boxes.sort_by_key(|rect| !rect.holds);
        Drawing {
            width: x + MARGIN,
            height: lowest + MARGIN + ROW,
            boxes,
            wires,
        }
    }

    /// For each channel: where the trunks that run in it come in, and where they leave it.
    fn runs(&self, columns: usize) -> Vec<Vec<Run>> {
        let mut runs: Vec<Vec<Run>> = vec![Vec::new(); columns];
        for (at, trunk) in self.trunks.iter().enumerate() {
            let first = self.column_of(trunk.node);
            let start = self.row(Stop::Returns {
                node: trunk.node,
                port: trunk.port,
            });
            let mut sides: BTreeMap<usize, Run> = BTreeMap::new();
            let mut add = |channel: usize, row: i32, is_left: bool| {
                let run = sides.entry(channel).or_insert_with(|| Run::of(at));
                let rows = if is_left {
                    &mut run.left
                } else {
                    &mut run.right
                };
                rows.push(row);
            };
            add(first, start, true);
            for (column, lane) in &trunk.lanes {
                let row = self.lanes[*lane].1;
                add(column - 1, row, false);
                add(*column, row, true);
            }
            for (_, _, stop) in &trunk.ends {
                let row = self.row(*stop);
                match stop {
                    Stop::Enters { node, .. } => add(self.column_of(*node) - 1, row, false),
                    Stop::Returns { node, .. } => add(self.column_of(*node), row, true),
                }
            }
            for (channel, run) in sides {
                runs[channel].push(run.sorted());
            }
        }
        runs
    }

    /// The room for labels at the end of each channel.
    fn label_widths(&self, columns: usize) -> Vec<i32> {
        let mut widths = vec![0; columns];
        for trunk in &self.trunks {
            for (edge, _, stop) in &trunk.ends {
                let channel = match stop {
                    Stop::Enters { node, .. } => self.column_of(*node) - 1,
                    Stop::Returns { node, .. } => self.column_of(*node),
                };
                let label = self.graph.edges[*edge].words();
                if !label.is_empty() {
                    widths[channel] = widths[channel].max(text_width(&label, 11) + ROW);
                }
            }
        }
        widths
    }

    /// The corners of the way from a trunk's node to a stop.
    fn way(
        &self,
        trunk: &Trunk,
        stop: Stop,
        trunk_x: impl Fn(usize) -> i32,
        starts: &[i32],
    ) -> Vec<(i32, i32)> {
        let rect = self.rects[trunk.node].expect("every node has a box");
        let mut row = self.row(Stop::Returns {
            node: trunk.node,
            port: trunk.port,
        });
        let mut points = vec![(rect.x + rect.width, row)];
        let first = self.column_of(trunk.node);
        let last = match stop {
            Stop::Enters { node, .. } => self.column_of(node),
            Stop::Returns { .. } => first + 1,
        };
        for column in first..last {
            let x = trunk_x(column);
            points.push((x, row));
            row = if column + 1 == last {
                self.row(stop)
            } else {
                self.lanes[trunk.lanes[&(column + 1)]].1
            };
            points.push((x, row));
        }
        match stop {
            Stop::Enters { node, .. } => {
                let end = self.rects[node].map_or(starts[last], |rect| rect.x);
                points.push((end, row));
            }
            Stop::Returns { node, .. } => {
                let end = self.rects[node].map_or(0, |rect| rect.x + rect.width);
                points.push((end, row));
            }
        }
        points
    }

    /// Above the last piece of a way, before the arrow.
    fn label(&self, edge: usize, points: &[(i32, i32)]) -> Option<(i32, i32)> {
        let [.., before, end] = points else {
            return None;
        };
        let label = self.graph.edges[edge].words();
        let right = if end.0 > before.0 {
            end.0 - TRACK
        } else {
            before.0 + ROW / 2 + text_width(&label, 11)
        };
        (!label.is_empty()).then_some((right, end.1 - 3))
    }

    /// What a node does with itself: a small loop below its box; its words stand in the box.
    fn loop_wires(&self) -> Vec<Wire> {
        let mut wires = Vec::new();
        let mut used: BTreeMap<usize, i32> = BTreeMap::new();
        for (edge, of) in self.graph.edges.iter().enumerate() {
            let Some(node) = self
                .places
                .get(of.from.as_str())
                .filter(|_| of.from == of.to)
            else {
                continue;
            };
            let Some(rect) = self.rects[*node] else {
                continue;
            };
            let count = used.entry(*node).or_default();
            let left = rect.x + ROW / 2 + *count * 2 * ROW;
            *count += 1;
            let below = rect.y + rect.height;
            wires.push(Wire {
                edge,
                points: vec![
                    (left, below),
                    (left, below + ROW / 2),
                    (left + ROW, below + ROW / 2),
                    (left + ROW, below),
                ],
                label: None,
            });
        }
        wires
    }
}

#[cfg(test)]
mod tests;
