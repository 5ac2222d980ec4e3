//! "Did you mean": the names that are nearest to one that nobody has.
//!
//! Every such search of the compiler goes through here, so that they agree about what is near. [`Near`] is for names that
//! are looked up again and again: where there are many, it compares a name with a few dozen that resemble it instead of
//! with all of them, so that a spec with many wrong names costs no more than its length.

use std::collections::HashMap;
use std::sync::OnceLock;

/// The longest name that is compared with others: the comparison takes as much time as the two are long, multiplied.
const LONGEST_NAME: usize = 256;

/// The name of `known` that is nearest to `name`, if one is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let lower = name.to_lowercase();
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST_NAME)
        .map(|candidate| {
            let other = candidate.to_lowercase();
            let distance = strsim::damerau_levenshtein(&lower, &other);
            // A name that the user cut short or drew out is near, whatever the distance says.
            let affix = lower.len().min(other.len()) >= 3
                && (other.starts_with(&lower) || lower.starts_with(&other));
            (
                if affix { distance.min(1) } else { distance },
                distance,
                candidate,
            )
        })
        .filter(|(rank, _, candidate)| {
            // One letter of two may be any other name.
            let longer = candidate.chars().count().max(lower.chars().count());
            *rank == 0 || (longer >= 3 && *rank <= (longer / 3).max(1))
        })
        .min_by_key(|(rank, distance, _)| (*rank, *distance))
        .map(|(_, _, candidate)| candidate)
}

/// The name of `known` that is at most so many slips of a hand away; the first of equals. For names with rules of their own
/// about what is near.
pub fn nearest_within<'a>(
    name: &str,
    slips: usize,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let length = name.chars().count();
    known
        .into_iter()
        // A name so much longer or shorter is farther away, whatever its letters.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= slips)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The name of `known` that is certainly meant, so that a fix may write it: it differs in case or in `-` and `_` alone,
/// or by one slip of the keyboard in a name of four letters or more, and no other name is as near. Digits are no slips:
/// `vmbr3` may be any bridge.
pub fn certain<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let name = plain(name);
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST_NAME)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&name, &plain(candidate));
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= 2)
        .collect();
    near.sort_unstable();
    match near[..] {
        [(0, only)] | [(0, only), (1.., _), ..] => Some(only),
        [(1, only)] if name.chars().count() >= 4 && digits(&name) == digits(only) => Some(only),
        _ => None,
    }
}

/// "did you mean `near`?", or the list of what there is.
pub fn did_you_mean<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
    what: &str,
) -> Option<String> {
    if let Some(near) = nearest(name, known.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let names: Vec<String> = known
        .into_iter()
        .take(MOST_LISTED + 1)
        .map(|n| format!("`{n}`"))
        .collect();
    match names.len() {
        0 => Some(format!("the spec declares no {what}")),
        1 => Some(format!("there is {}", names[0])),
        2..=MOST_LISTED => Some(format!("there are {}", names.join(", "))),
        _ => None,
    }
}

/// At most so many names are listed in a help.
const MOST_LISTED: usize = 12;
/// Up to so many names are all compared.
const FEW: usize = 128;
/// At most so many names are compared where there are more.
const MOST_COMPARED: usize = 64;
/// A piece of a name that more names than this have tells them apart too little.
const COMMON: usize = 64;
/// So many neighbours in the order of names, and in that of their ends, are compared.
const NEIGHBOURS: usize = 8;

/// Names that are searched again and again.
#[derive(Debug, Clone, Default)]
pub struct Near<'a> {
    names: Vec<&'a str>,
    index: OnceLock<Index>,
}

impl<'a> Near<'a> {
    /// Those names.
    pub fn new(names: Vec<&'a str>) -> Self {
        Self {
            names,
            index: OnceLock::new(),
        }
    }

    /// One more name.
    pub fn push(&mut self, name: &'a str) {
        self.names.push(name);
        self.index.take();
    }

    /// All names, in the order in which they came.
    pub fn names(&self) -> &[&'a str] {
        &self.names
    }

    /// The names that `name` may be a slip of: all where they are few.
    pub fn candidates(&self, name: &str) -> Vec<&'a str> {
        if self.names.len() <= FEW {
            return self.names.clone();
        }
        if name.len() > LONGEST_NAME {
            return Vec::new();
        }
        let index = self.index.get_or_init(|| Index::of(&self.names));
        let found = index.like(name);
        found.into_iter().map(|at| self.names[at]).collect()
    }
}

/// [`did_you_mean`] among all these names.
pub fn did_you_mean_among(known: &[&Near<'_>], name: &str, what: &str) -> Option<String> {
    if known.iter().all(|near| near.names.len() <= FEW) {
        let names: Vec<&str> = known
            .iter()
            .flat_map(|near| near.names())
            .copied()
            .collect();
        return did_you_mean(name, names.iter().copied(), what);
    }
    let candidates = known.iter().flat_map(|near| near.candidates(name));
    nearest(name, candidates).map(|near| format!("did you mean `{near}`?"))
}

/// [`certain`] among all these names.
pub fn certain_among<'a>(known: &[&Near<'a>], name: &str) -> Option<&'a str> {
    certain(name, known.iter().flat_map(|near| near.candidates(name)))
}

/// Three letters of a name, its ends marked.
type Piece = [char; 3];

/// Where names that resemble each other stand.
#[derive(Debug, Clone)]
struct Index {
    /// The names in lower case, sorted, each with its place.
    forward: Vec<(String, usize)>,
    /// The same names back to front, sorted.
    backward: Vec<(String, usize)>,
    /// The names that have a piece.
    pieces: HashMap<Piece, Vec<usize>>,
}

impl Index {
    fn of(names: &[&str]) -> Self {
        let mut forward: Vec<(String, usize)> = names
            .iter()
            .enumerate()
            .filter(|(_, name)| name.len() <= LONGEST_NAME)
            .map(|(at, name)| (name.to_lowercase(), at))
            .collect();
        let mut backward: Vec<(String, usize)> = forward
            .iter()
            .map(|(name, at)| (name.chars().rev().collect(), *at))
            .collect();
        let mut by_piece: HashMap<Piece, Vec<usize>> = HashMap::new();
        for (name, at) in &forward {
            for piece in pieces(name) {
                by_piece.entry(piece).or_default().push(*at);
            }
        }
        forward.sort_unstable();
        backward.sort_unstable();
        Self {
            forward,
            backward,
            pieces: by_piece,
        }
    }

    /// The places of the names that resemble `name`, in the order of the names.
    fn like(&self, name: &str) -> Vec<usize> {
        let lower = name.to_lowercase();
        let reversed: String = lower.chars().rev().collect();
        let mut shared: HashMap<usize, usize> = HashMap::new();
        for piece in pieces(&lower) {
            let having = self.pieces.get(&piece).map_or(&[][..], Vec::as_slice);
            for at in having.iter().take(COMMON) {
                *shared.entry(*at).or_default() += 1;
            }
        }
        let mut ranked: Vec<(usize, usize)> =
            shared.into_iter().map(|(at, hits)| (hits, at)).collect();
        ranked.sort_unstable_by_key(|(hits, at)| (std::cmp::Reverse(*hits), *at));
        ranked.truncate(MOST_COMPARED);
        let mut found: Vec<usize> = ranked.into_iter().map(|(_, at)| at).collect();
        found.extend(neighbours(&self.forward, &lower));
        found.extend(neighbours(&self.backward, &reversed));
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The names around where `name` would stand.
fn neighbours<'i>(sorted: &'i [(String, usize)], name: &str) -> impl Iterator<Item = usize> + 'i {
    let at = sorted.partition_point(|(other, _)| other.as_str() < name);
    let around = at.saturating_sub(NEIGHBOURS)..(at + NEIGHBOURS).min(sorted.len());
    sorted[around].iter().map(|(_, at)| *at)
}

/// Every three letters in a row, the ends marked by NUL.
fn pieces(name: &str) -> Vec<Piece> {
    let letters: Vec<char> = std::iter::once('\0')
        .chain(name.chars())
        .chain(std::iter::once('\0'))
        .collect();
    let mut pieces: Vec<Piece> = letters.windows(3).map(|w| [w[0], w[1], w[2]]).collect();
    pieces.sort_unstable();
    pieces.dedup();
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_typos_and_cut_names_and_nothing_else() {
        assert_eq!(nearest("vmbr3", ["vmbr0", "lan"]), Some("vmbr0"));
        assert_eq!(nearest("cors", ["cores", "sockets"]), Some("cores"));
        assert_eq!(
            nearest("descr", ["description", "disks"]),
            Some("description")
        );
        assert_eq!(nearest("banana", ["cores", "sockets"]), None);
        assert_eq!(nearest("Windows", ["windows", "window"]), Some("windows"));
        assert_eq!(nearest(&"a".repeat(1 << 20), ["a"]), None);
        let long = "a".repeat(1 << 20);
        assert_eq!(nearest("a", [long.as_str()]), None);
    }

    #[test]
    fn so_many_slips_are_counted() {
        assert_eq!(nearest_within("naem", 1, ["name", "game"]), Some("name"));
        assert_eq!(nearest_within("nam", 1, ["name", "nam2"]), Some("name"));
        assert_eq!(nearest_within("nm", 1, ["name"]), None);
        assert_eq!(nearest_within(&"a".repeat(300), 90, ["a"]), None);
    }

    #[test]
    fn only_what_is_certain_is_a_fix() {
        assert_eq!(certain("cors", ["cores", "sockets"]), Some("cores"));
        assert_eq!(
            certain("Vm_Disks", ["vm-disks", "vm-disk"]),
            Some("vm-disks")
        );
        assert_eq!(certain("vmbr3", ["vmbr0", "lan"]), None);
        assert_eq!(certain("vm-disk", ["vm-disks", "vm-dish"]), None);
        assert_eq!(certain("lan", ["wan"]), None);
        assert_eq!(certain("descr", ["description"]), None);
    }

    #[test]
    fn among_many_names_the_nearest_is_still_found() {
        let names: Vec<String> = (0..5_000)
            .map(|n| format!("guest-{:04}-{}", n, ["web", "mail", "files", "game"][n % 4]))
            .collect();
        let near = Near::new(names.iter().map(String::as_str).collect());
        for (at, name) in names.iter().enumerate().step_by(97) {
            let mut slips = vec![
                name.to_uppercase(),
                format!("{name}x"),
                name[1..].to_owned(),
                name[..name.len() - 2].to_owned(),
            ];
            let mut letters: Vec<char> = name.chars().collect();
            letters.swap(2, 3);
            slips.push(letters.into_iter().collect());
            for slip in slips {
                assert_eq!(
                    nearest(&slip, near.candidates(&slip)),
                    nearest(&slip, near.names().iter().copied()),
                    "{slip} of {at}"
                );
            }
            assert!(near.candidates(name).len() <= MOST_COMPARED + 4 * NEIGHBOURS);
        }
        assert_eq!(
            did_you_mean_among(&[&near], "completely-else", "guest"),
            None
        );
    }
}
