//! Patterns as trees, and how they go through a text.
//!
//! The types of NixOS options (`nix::options`) and Proxmox VE's schema (`pve::schema`) write patterns in two dialects. Each
//! reads its own and says what one character of it takes; the way through a text is the same. A node maps the places at
//! which a match of it may start to those at which it may end, so no pattern takes more than the length of the text times
//! its own length, squared.

/// A part of a pattern; `One` is what takes one character.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<One> {
    /// One character.
    One(One),
    /// One part after the other.
    Sequence(Vec<Self>),
    /// Any of these.
    Choice(Vec<Self>),
    /// A part so many times.
    Repeat {
        /// The part.
        node: Box<Self>,
        /// At least so often.
        least: usize,
        /// At most so often.
        most: Option<usize>,
    },
    /// `^`
    Start,
    /// `$`
    End,
}

impl<One> Node<One> {
    /// These, one after the other.
    pub fn sequence(mut nodes: Vec<Self>) -> Self {
        if nodes.len() == 1 {
            nodes.remove(0)
        } else {
            Self::Sequence(nodes)
        }
    }

    /// Any of these.
    pub fn choice(mut nodes: Vec<Self>) -> Self {
        if nodes.len() == 1 {
            nodes.remove(0)
        } else {
            Self::Choice(nodes)
        }
    }

    /// Whether the whole of a text of `length` characters matches; `fits` says whether a part takes the one at a place.
    pub fn matches(&self, length: usize, fits: impl Fn(&One, usize) -> bool) -> bool {
        let fits = |one: &One, at| at < length && fits(one, at);
        self.ends(length, &fits, &Reached::start()).contains(length)
    }

    /// Where a match may end that starts at one of `starts`.
    fn ends(
        &self,
        length: usize,
        fits: &impl Fn(&One, usize) -> bool,
        starts: &Reached,
    ) -> Reached {
        match self {
            Self::One(one) => starts.behind(|at| fits(one, at)),
            Self::Sequence(nodes) => nodes.iter().fold(starts.clone(), |places, node| {
                node.ends(length, fits, &places)
            }),
            Self::Choice(nodes) => {
                let mut places = Reached::default();
                for node in nodes {
                    places.extend(&node.ends(length, fits, starts));
                }
                places
            }
            Self::Repeat { node, least, most } => {
                let mut places = starts.clone();
                for _ in 0..*least {
                    places = node.ends(length, fits, &places);
                }
                let mut all = places.clone();
                let mut rounds = *least;
                while !places.is_empty() && most.is_none_or(|most| rounds < most) {
                    // Going on from a place that was reached before would find nothing new.
                    places = node.ends(length, fits, &places).without(&all);
                    all.extend(&places);
                    rounds += 1;
                }
                all
            }
            Self::Start => starts.only(0),
            Self::End => starts.only(length),
        }
    }
}

/// Places in a text, from 0 to its length. Most texts have a few dozen characters, so a place is a bit, and no set of a
/// short text takes memory of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Reached {
    /// A bit for each of the first places.
    first: u64,
    /// The bits of those behind them, [`Self::BITS`] in each; none at the end is 0.
    rest: Vec<u64>,
}

impl Reached {
    const BITS: usize = u64::BITS as usize;

    /// The start of a text.
    fn start() -> Self {
        Self {
            first: 1,
            rest: Vec::new(),
        }
    }

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.first == 0 && self.rest.is_empty()
    }

    /// Whether `place` is one of them.
    fn contains(&self, place: usize) -> bool {
        self.word(place / Self::BITS) >> (place % Self::BITS) & 1 == 1
    }

    /// `place` alone, if it is one of them.
    #[must_use]
    fn only(&self, place: usize) -> Self {
        let mut only = Self::default();
        if self.contains(place) {
            only.insert(place);
        }
        only
    }

    /// The place behind each one that `fits`.
    #[must_use]
    fn behind(&self, fits: impl Fn(usize) -> bool) -> Self {
        let mut behind = Self::default();
        for at in 0..=self.rest.len() {
            let mut word = self.word(at);
            while word != 0 {
                let place = at * Self::BITS + word.trailing_zeros() as usize;
                if fits(place) {
                    behind.insert(place + 1);
                }
                word &= word - 1;
            }
        }
        behind
    }

    /// Takes in those of `more`.
    fn extend(&mut self, more: &Self) {
        self.first |= more.first;
        if self.rest.len() < more.rest.len() {
            self.rest.resize(more.rest.len(), 0);
        }
        for (word, more) in self.rest.iter_mut().zip(&more.rest) {
            *word |= more;
        }
    }

    /// Those that are not in `others`.
    #[must_use]
    fn without(mut self, others: &Self) -> Self {
        self.first &= !others.first;
        for (word, others) in self.rest.iter_mut().zip(&others.rest) {
            *word &= !others;
        }
        while self.rest.last() == Some(&0) {
            self.rest.pop();
        }
        self
    }

    fn word(&self, at: usize) -> u64 {
        match at.checked_sub(1) {
            None => self.first,
            Some(at) => self.rest.get(at).copied().unwrap_or_default(),
        }
    }

    fn insert(&mut self, place: usize) {
        let bit = 1 << (place % Self::BITS);
        match (place / Self::BITS).checked_sub(1) {
            None => self.first |= bit,
            Some(at) => {
                if self.rest.len() <= at {
                    self.rest.resize(at + 1, 0);
                }
                self.rest[at] |= bit;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Reached;

    proptest! {
        /// What the standard library's sets do.
        #[test]
        fn is_a_set(
            one in proptest::collection::btree_set(0_usize..200, 0..12),
            other in proptest::collection::btree_set(0_usize..200, 0..12),
        ) {
            let made = |places: &BTreeSet<usize>| {
                let mut set = Reached::default();
                for place in places {
                    set.insert(*place);
                }
                set
            };
            let (first, second) = (made(&one), made(&other));
            prop_assert_eq!(first.is_empty(), one.is_empty());
            for place in 0..300 {
                prop_assert_eq!(first.contains(place), one.contains(&place));
                let only = BTreeSet::from([place]);
                prop_assert_eq!(first.only(place), made(&one.intersection(&only).copied().collect()));
            }
            let behind = one.intersection(&other).map(|place| place + 1).collect();
            prop_assert_eq!(first.behind(|place| other.contains(&place)), made(&behind));
            let mut both = first.clone();
            both.extend(&second);
            prop_assert_eq!(both, made(&one.union(&other).copied().collect()));
            prop_assert_eq!(first.without(&second), made(&one.difference(&other).copied().collect()));
        }
    }
}
