use proptest::prelude::*;

use super::super::{NodeKind, View};
use super::*;

/// A graph of so many nodes, with these edges; the first so many nodes lie in boxes of two.
fn graph(count: usize, held: usize, edges: &[(usize, usize, bool)]) -> Graph {
    let mut graph = Graph::new(View::Network, "pve1");
    for box_of_two in 0..held / 2 {
        graph.put(NodeKind::Group, &format!("g{box_of_two}"), "a box of two");
    }
    for at in 0..count {
        let node = graph.put(NodeKind::Vm, &at.to_string(), format!("guest {at}"));
        node.detail("a line");
        if at < held / 2 * 2 {
            node.inside(format!("group/g{}", at / 2));
        }
    }
    for (from, to, labelled) in edges {
        let label = if *labelled { "192.0.2.1/24" } else { "" };
        graph.connect(
            &format!("vm/{}", from % count),
            &format!("vm/{}", to % count),
            "card",
            label,
        );
    }
    graph
}

/// A straight piece of a wire.
type Piece = ((i32, i32), (i32, i32));

/// What is wrong with a drawing.
fn faults(graph: &Graph, drawing: &Drawing) -> Vec<String> {
    let mut faults = Vec::new();
    let rect = |id: &str| {
        let of = |rect: &&Rect| graph.nodes[rect.node].id == id;
        *drawing.boxes.iter().find(of).expect("a box")
    };
    for (at, one) in drawing.boxes.iter().enumerate() {
        for other in &drawing.boxes[at + 1..] {
            let apart = one.x + one.width <= other.x
                || other.x + other.width <= one.x
                || one.y + one.height <= other.y
                || other.y + other.height <= one.y;
            if !apart && !one.holds && !other.holds {
                faults.push(format!("boxes {one:?} and {other:?} overlap"));
            }
        }
    }
    let mut pieces: Vec<(Piece, usize)> = Vec::new();
    for wire in &drawing.wires {
        let edge = &graph.edges[wire.edge];
        let (from, to) = (rect(&edge.from), rect(&edge.to));
        let touches = |rect: Rect, (x, y): (i32, i32)| {
            let side = x == rect.x || x == rect.x + rect.width;
            let bottom = y == rect.y + rect.height;
            (side && (rect.y..=rect.y + rect.height).contains(&y))
                || (bottom && (rect.x..=rect.x + rect.width).contains(&x))
        };
        if !touches(from, wire.points[0]) || !touches(to, *wire.points.last().expect("an end")) {
            faults.push(format!("{edge:?} does not reach its boxes: {wire:?}"));
        }
        for pair in wire.points.windows(2) {
            let (a, b) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
            if a.0 != b.0 && a.1 != b.1 {
                faults.push(format!("{wire:?} is slanted"));
            }
            for other in drawing
                .boxes
                .iter()
                .filter(|r| !r.holds && r.node != from.node && r.node != to.node)
            {
                let crosses = a.0 < other.x + other.width
                    && b.0 > other.x
                    && a.1 < other.y + other.height
                    && b.1 > other.y;
                if crosses {
                    faults.push(format!("{edge:?} runs through {other:?}: {wire:?}"));
                }
            }
            pieces.push(((a, b), wire.edge));
        }
    }
    for (at, ((a, b), one)) in pieces.iter().enumerate() {
        for ((c, d), other) in &pieces[at + 1..] {
            let (e, f) = (&graph.edges[*one], &graph.edges[*other]);
            let akin = e.from == f.from || e.to == f.to || e.from == f.to || e.to == f.from;
            let lie = if a.0 == b.0 && c.0 == d.0 && a.0 == c.0 {
                a.1.max(c.1) < b.1.min(d.1)
            } else if a.1 == b.1 && c.1 == d.1 && a.1 == c.1 {
                a.0.max(c.0) < b.0.min(d.0)
            } else {
                false
            };
            if lie && !akin && one != other {
                faults.push(format!(
                    "{e:?} and {f:?} lie on each other at {a:?} {b:?} {c:?} {d:?}"
                ));
            }
        }
    }
    for wire in &drawing.wires {
        let alone = |point: &&[(i32, i32)]| {
            drawing
                .wires
                .iter()
                .filter(|other| other.edge != wire.edge)
                .all(|other| !other.points.windows(2).any(|pair| pair == *point))
        };
        if !wire.points.windows(2).any(|pair| alone(&pair)) {
            faults.push(format!(
                "all of {:?} lies on others",
                graph.edges[wire.edge]
            ));
        }
    }
    faults
}

#[test]
fn a_network_of_one_bridge_is_drawn_from_left_to_right() {
    let graph = graph(3, 0, &[(0, 1, true), (1, 2, false)]);
    let drawing = draw(&graph);
    assert_eq!(faults(&graph, &drawing), Vec::<String>::new());
    let x: Vec<i32> = drawing.boxes.iter().map(|rect| rect.x).collect();
    assert!(x.is_sorted(), "{x:?}");
}

#[test]
fn one_more_guest_moves_the_others_by_less_than_a_box_is_wide() {
    let edges = |count: usize| -> Vec<(usize, usize, bool)> {
        (1..count).map(|at| (0, at, true)).collect()
    };
    let (before, after) = (graph(20, 0, &edges(20)), graph(21, 0, &edges(21)));
    let (old, new) = (draw(&before), draw(&after));
    let widest = new
        .boxes
        .iter()
        .map(|rect| rect.width)
        .max()
        .expect("boxes");
    for (a, b) in old.boxes.iter().zip(&new.boxes) {
        assert!(
            (a.x - b.x).abs() < widest && (a.y - b.y).abs() < widest,
            "{a:?} {b:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_wire_runs_through_a_box_or_on_another(
        count in 1_usize..24,
        held in 0_usize..6,
        edges in prop::collection::vec((0_usize..24, 0_usize..24, any::<bool>()), 0..40),
    ) {
        let graph = graph(count, held.min(count), &edges);
        let drawing = draw(&graph);
        let found = faults(&graph, &drawing);
        prop_assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
