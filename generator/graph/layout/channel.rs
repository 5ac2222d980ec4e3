//! The channel between two columns: which trunk runs on which track, so that few wires cross.
//!
//! A trunk comes in from the left at some rows, runs up and down on its track, and leaves to the right at others. Of two whose
//! rows overlap, the one on the left crosses the other with each row by which it leaves to the right within the other's
//! span, and is crossed by each row by which the other comes in from the left within its own.

use std::collections::BTreeMap;

/// The way of a trunk in one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// The trunk.
    trunk: usize,
    /// The rows that it joins on the left, and on the right; in order.
    pub(super) left: Vec<i32>,
    pub(super) right: Vec<i32>,
}

impl Run {
    pub(super) fn of(trunk: usize) -> Self {
        Self {
            trunk,
            left: Vec::new(),
            right: Vec::new(),
        }
    }

    pub(super) fn sorted(mut self) -> Self {
        self.left.sort_unstable();
        self.right.sort_unstable();
        self
    }

    /// From its highest to its lowest row.
    fn span(&self) -> (i32, i32) {
        let ends = |rows: &[i32]| Some((*rows.first()?, *rows.last()?));
        match (ends(&self.left), ends(&self.right)) {
            (Some(a), Some(b)) => (a.0.min(b.0), a.1.max(b.1)),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => (0, 0),
        }
    }

    /// How many wires cross where this one runs left of the other.
    fn crossings_left_of(&self, other: &Self) -> i32 {
        within(&self.right, other.span()) + within(&other.left, self.span())
    }
}

/// How many of some rows in order lie within a span.
fn within(rows: &[i32], (top, bottom): (i32, i32)) -> i32 {
    let from = rows.partition_point(|row| *row <= top);
    let to = rows.partition_point(|row| *row < bottom);
    i32::try_from(to.saturating_sub(from)).unwrap_or(i32::MAX)
}

/// Up to so many trunks each is tried at each place; more are only put in a good order to begin with, so that the work stays in
/// line with the drawing.
const TRIED: usize = 160;
/// How often every trunk is tried anew.
const PASSES: usize = 4;

/// The track of each trunk, from the left.
pub(super) fn tracks(mut runs: Vec<Run>) -> BTreeMap<usize, i32> {
    // What runs far and leaves seldom goes to the left: the many short ones then cross nothing on their way to the right.
    runs.sort_by_key(|run| {
        let (top, bottom) = run.span();
        let rows = i32::try_from(run.right.len()).unwrap_or(i32::MAX);
        (std::cmp::Reverse((bottom - top) / rows.max(1)), run.trunk)
    });
    if runs.len() <= TRIED {
        runs = sifted(&runs);
    }
    let mut skyline = Skyline::default();
    runs.iter()
        .map(|run| (run.trunk, skyline.put(run.span())))
        .collect()
}

/// How far to the right the tracks of a channel reach at each row.
#[derive(Debug, Default)]
struct Skyline {
    /// Stretches of rows, by the first one: the row behind the last, and the last track that is used there.
    stretches: BTreeMap<i32, (i32, i32)>,
}

impl Skyline {
    /// The first track behind all that is there between two rows; taken from now on.
    fn put(&mut self, (top, bottom): (i32, i32)) -> i32 {
        let end = bottom + 1;
        let first = self.stretches.range(..=top).next_back();
        let from = first
            .filter(|(_, (until, _))| *until > top)
            .map_or(top, |(from, _)| *from);
        let met: Vec<(i32, (i32, i32))> = self
            .stretches
            .range(from..end)
            .map(|(from, stretch)| (*from, *stretch))
            .collect();
        let track = met.iter().map(|(_, (_, track))| track + 1).max();
        let track = track.unwrap_or(0);
        for (from, (until, old)) in met {
            self.stretches.remove(&from);
            if from < top {
                self.stretches.insert(from, (top, old));
            }
            if until > end {
                self.stretches.insert(end, (until, old));
            }
        }
        self.stretches.insert(top, (end, track));
        track
    }
}

/// An order in which no trunk has a better place alone.
fn sifted(runs: &[Run]) -> Vec<Run> {
    let count = runs.len();
    // What it costs that the first runs left of the second, against the other way round.
    let cost: Vec<Vec<i32>> = runs
        .iter()
        .map(|a| {
            runs.iter()
                .map(|b| a.crossings_left_of(b) - b.crossings_left_of(a))
                .collect()
        })
        .collect();
    let mut order: Vec<usize> = (0..count).collect();
    for _ in 0..PASSES {
        let mut moved = false;
        for (one, _) in runs.iter().enumerate() {
            let Some(at) = order.iter().position(|other| *other == one) else {
                continue;
            };
            order.remove(at);
            // From the left end to the right one: each trunk that it passes changes sides.
            let (mut sum, mut best, mut place) = (0, 0, 0);
            let mut here = 0;
            for (next, other) in order.iter().enumerate() {
                if next == at {
                    here = sum;
                }
                sum += cost[*other][one];
                if sum < best {
                    (best, place) = (sum, next + 1);
                }
            }
            if at == order.len() {
                here = sum;
            }
            if best < here {
                moved = true;
                order.insert(place, one);
            } else {
                order.insert(at, one);
            }
        }
        if !moved {
            break;
        }
    }
    order.into_iter().map(|at| runs[at].clone()).collect()
}
