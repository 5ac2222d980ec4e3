//! One thing for each of many, on every core where there are enough of them.
//!
//! What is found is told in the order of the things, whichever core was done first.

use rayon::prelude::*;

use crate::diagnostics::Sink;

/// From so many things on they are worth more than one thread.
pub const MANY: usize = 200;

/// So many in a row are one thread's, at least.
const FEW: usize = 64;

/// What `make` makes of each of `things`, in their order.
pub fn each<'a, T: Sync, R: Send>(
    things: &'a [T],
    sink: &mut Sink,
    make: impl Fn(&'a T, &mut Sink) -> R + Sync,
) -> Vec<R> {
    if things.len() < MANY {
        return things.iter().map(|thing| make(thing, sink)).collect();
    }
    let (mut all, mut found) = (Vec::new(), Vec::new());
    things
        .par_iter()
        .with_min_len(FEW)
        .map(|thing| {
            let mut told = Sink::new();
            (make(thing, &mut told), told)
        })
        .unzip_into_vecs(&mut all, &mut found);
    for told in found {
        sink.extend(told);
    }
    all
}

/// What `make` makes of each of `things`, which are used up and of which nothing is to be told.
pub fn map<T: Send, R: Send>(things: Vec<T>, make: impl Fn(T) -> R + Sync) -> Vec<R> {
    if things.len() < MANY {
        return things.into_iter().map(make).collect();
    }
    let things = things.into_par_iter().with_min_len(FEW);
    things.map(&make).collect()
}

/// Does two things, at the same time where they are about `many` things.
pub fn both<A: Send, B: Send>(
    many: usize,
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    if many < MANY {
        (one(), other())
    } else {
        rayon::join(one, other)
    }
}

/// [`both`], of things that may report something: what the first one found is told first.
pub fn both_told<A: Send, B: Send>(
    many: usize,
    sink: &mut Sink,
    one: impl FnOnce(&mut Sink) -> A + Send,
    other: impl FnOnce(&mut Sink) -> B + Send,
) -> (A, B) {
    let mut later = Sink::new();
    let made = both(many, || one(sink), || other(&mut later));
    sink.extend(later);
    made
}

/// Frees what is no longer needed beside what comes next, where it is about `many` things.
pub fn put_away<T: Send + 'static>(many: usize, thing: T) {
    if many >= MANY {
        rayon::spawn(move || drop(thing));
    }
}
