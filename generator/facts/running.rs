//! Which guests can run at the same time.
//!
//! Guests that exclude each other, and guests that need one that is excluded, make a graph of conflicts. A question such
//! as "how much memory at most" is its heaviest independent set: hard in general, and easy in practice, because few
//! guests exclude others. Groups of up to 64 guests in conflict are searched exactly, within a fixed number of steps;
//! past that the best set that was found is given. Either way it is a set that can really run, so what follows from it is
//! true; it may only not be the worst.

use std::collections::BTreeSet;

use crate::model::{Guest, Host, Id};

/// How many guests are followed from conflict to conflict before a group of them is left out.
const MOST_DERIVED: usize = 100_000;

/// How many steps the exact search of one group takes before it settles for what it has.
const MOST_STEPS: usize = 20_000;

/// The conflicts between the guests of a host.
#[derive(Debug)]
pub struct Running {
    /// For each guest, those that it never runs with, in order.
    conflicts: Vec<Vec<usize>>,
    /// Guests of which nothing certain can be said: they can never run, or too much hangs on them.
    left_out: BTreeSet<usize>,
}

impl Running {
    /// The conflicts of a host's guests.
    pub fn new(host: &Host) -> Self {
        let mut conflicts = vec![Vec::new(); host.guests.len()];
        let mut left_out = BTreeSet::new();
        let mut dependents = vec![Vec::new(); host.guests.len()];
        let mut pairs = BTreeSet::new();
        for (id, guest) in host.guests.iter() {
            for need in &guest.needs {
                dependents[need.index()].push(id.index());
            }
            for other in &guest.exclusive_with {
                pairs.insert((id.min(other.value).index(), id.max(other.value).index()));
            }
        }
        let mut derived = 0;
        for (a, b) in pairs {
            let with_a = all_that_need(a, &dependents, MOST_DERIVED.saturating_sub(derived));
            let with_b = all_that_need(b, &dependents, MOST_DERIVED.saturating_sub(derived));
            derived += with_a.len() * with_b.len();
            if derived > MOST_DERIVED {
                left_out.extend(with_a);
                left_out.extend(with_b);
                continue;
            }
            for one in &with_a {
                for other in &with_b {
                    if one == other {
                        left_out.insert(*one);
                    } else {
                        conflicts[*one].push(*other);
                        conflicts[*other].push(*one);
                    }
                }
            }
        }
        for list in &mut conflicts {
            list.sort_unstable();
            list.dedup();
        }
        Self {
            conflicts,
            left_out,
        }
    }

    /// Whether both can run at the same time.
    pub fn can_run(&self, a: Id<Guest>, b: Id<Guest>) -> bool {
        self.conflicts[a.index()].binary_search(&b.index()).is_err()
            && !self.left_out.contains(&a.index())
            && !self.left_out.contains(&b.index())
    }

    /// Whether a thing that only one can have is there for both: it is one guest twice, or both can run at the same time.
    pub fn meet(&self, a: Id<Guest>, b: Id<Guest>) -> bool {
        a == b || self.can_run(a, b)
    }

    /// Guests that can all run at the same time and weigh the most together, in order. Guests without weight are left out.
    pub fn heaviest(&self, weight: &[u64]) -> Vec<Id<Guest>> {
        let counts = |at: usize| weight[at] > 0 && !self.left_out.contains(&at);
        let mut chosen = Vec::new();
        let mut seen = vec![false; self.conflicts.len()];
        for start in 0..self.conflicts.len() {
            if seen[start] || !counts(start) {
                continue;
            }
            seen[start] = true;
            let mut group = vec![start];
            let mut next = 0;
            while let Some(at) = group.get(next).copied() {
                next += 1;
                for other in &self.conflicts[at] {
                    if !seen[*other] && counts(*other) {
                        seen[*other] = true;
                        group.push(*other);
                    }
                }
            }
            // Heavy ones first: the search finds good sets early, and the greedy one is heavy.
            group.sort_unstable_by_key(|at| (std::cmp::Reverse(weight[*at]), *at));
            chosen.extend(self.heaviest_of(&group, weight));
        }
        chosen.sort_unstable();
        chosen.into_iter().map(crate::model::Arena::id_at).collect()
    }

    /// The heaviest set of one group of guests in conflict.
    fn heaviest_of(&self, group: &[usize], weight: &[u64]) -> Vec<usize> {
        if group.len() > 64 {
            return self.greedy(group);
        }
        let bit = |at: usize| 1u64 << at;
        let against: Vec<u64> = group
            .iter()
            .map(|guest| {
                group
                    .iter()
                    .enumerate()
                    .filter(|(_, other)| self.conflicts[*guest].binary_search(other).is_ok())
                    .fold(0, |mask, (at, _)| mask | bit(at))
            })
            .collect();
        let weights: Vec<u64> = group.iter().map(|guest| weight[*guest]).collect();
        let mut search = Search {
            against: &against,
            weights: &weights,
            best: 0,
            best_weight: 0,
            steps: 0,
        };
        let all = if group.len() == 64 {
            u64::MAX
        } else {
            bit(group.len()) - 1
        };
        search.run(all, 0, 0);
        (0..group.len())
            .filter(|at| search.best & bit(*at) != 0)
            .map(|at| group[at])
            .collect()
    }

    /// The heaviest guest, then the heaviest that runs with it, and so on.
    fn greedy(&self, group: &[usize]) -> Vec<usize> {
        let mut barred = BTreeSet::new();
        let mut chosen = Vec::new();
        for guest in group {
            if !barred.contains(guest) {
                chosen.push(*guest);
                barred.extend(self.conflicts[*guest].iter().copied());
            }
        }
        chosen
    }
}

/// A guest and all that need it, directly or not; at most one more than `most`.
fn all_that_need(guest: usize, dependents: &[Vec<usize>], most: usize) -> Vec<usize> {
    let mut found = BTreeSet::from([guest]);
    let mut open = vec![guest];
    while let Some(at) = open.pop() {
        for dependent in &dependents[at] {
            if found.len() <= most && found.insert(*dependent) {
                open.push(*dependent);
            }
        }
    }
    found.into_iter().collect()
}

/// Branch and bound over sets of at most 64 guests, as bits.
struct Search<'a> {
    against: &'a [u64],
    weights: &'a [u64],
    best: u64,
    best_weight: u64,
    steps: usize,
}

impl Search<'_> {
    fn run(&mut self, open: u64, chosen: u64, chosen_weight: u64) {
        self.steps += 1;
        if chosen_weight > self.best_weight {
            self.best = chosen;
            self.best_weight = chosen_weight;
        }
        if open == 0 || self.steps > MOST_STEPS {
            return;
        }
        let rest: u64 = (0..self.weights.len())
            .filter(|at| open & (1 << at) != 0)
            .fold(0, |sum, at| sum.saturating_add(self.weights[at]));
        if chosen_weight.saturating_add(rest) <= self.best_weight {
            return;
        }
        let at = open.trailing_zeros() as usize;
        let without = open & !(1 << at);
        self.run(
            without & !self.against[at],
            chosen | 1 << at,
            chosen_weight.saturating_add(self.weights[at]),
        );
        // A guest that nothing open excludes is in every heaviest set.
        if self.against[at] & without != 0 {
            self.run(without, chosen, chosen_weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(guests: usize, pairs: &[(usize, usize)]) -> Running {
        let mut conflicts = vec![Vec::new(); guests];
        for (a, b) in pairs.iter().filter(|(a, b)| a != b) {
            conflicts[*a].push(*b);
            conflicts[*b].push(*a);
        }
        for list in &mut conflicts {
            list.sort_unstable();
            list.dedup();
        }
        Running {
            conflicts,
            left_out: BTreeSet::new(),
        }
    }

    fn sum(together: &Running, weight: &[u64]) -> u64 {
        together
            .heaviest(weight)
            .iter()
            .map(|id| weight[id.index()])
            .sum()
    }

    #[test]
    fn the_middle_of_a_chain_can_weigh_less_than_its_ends() {
        let chain = graph(3, &[(0, 1), (1, 2)]);
        assert_eq!(sum(&chain, &[4, 5, 4]), 8);
        assert_eq!(sum(&chain, &[2, 5, 2]), 5);
        assert_eq!(sum(&chain, &[0, 0, 0]), 0);
    }

    #[test]
    fn of_guests_that_all_exclude_each_other_the_heaviest_runs() {
        let pairs: Vec<_> = (0..64).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
        let weight: Vec<u64> = (1..=64).collect();
        assert_eq!(sum(&graph(64, &pairs), &weight), 64);
    }

    #[test]
    fn a_large_group_still_gives_a_set_that_can_run() {
        let pairs: Vec<_> = (1..200).map(|at| (at - 1, at)).collect();
        let together = graph(200, &pairs);
        let found = together.heaviest(&vec![1; 200]);
        assert!(!found.is_empty());
        for pair in found.windows(2) {
            assert!(together.can_run(pair[0], pair[1]));
        }
    }

    proptest! {
        #[test]
        fn small_groups_are_exact(
            weight in proptest::collection::vec(0u64..20, 10),
            pairs in proptest::collection::vec((0usize..10, 0usize..10), 0..25),
        ) {
            let together = graph(10, &pairs);
            let best = (0u32..1 << 10)
                .filter(|set| {
                    (0..10).all(|at| {
                        set & (1 << at) == 0
                            || together.conflicts[at].iter().all(|other| set & (1 << other) == 0)
                    })
                })
                .map(|set| (0..10).filter(|at| set & (1 << at) != 0).map(|at| weight[at]).sum::<u64>())
                .max();
            prop_assert_eq!(Some(sum(&together, &weight)), best);
        }
    }
}
