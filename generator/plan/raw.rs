//! The raw lines of a container: each is a thing of its own, between those that somebody else wrote.
//!
//! The script's editor has the same rules (`merged_raw`): it holds what it finds against what is worked out here.

use std::collections::BTreeMap;

use super::Cause;
use crate::pve::guest_config::REPEATED;

/// What becomes of the lines of a container.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Merged {
    /// All lines as they will be.
    pub(super) lines: Vec<String>,
    /// What differs: before, after, by whom.
    pub(super) differences: Vec<(Option<String>, Option<String>, Cause)>,
    /// Lines that neither the spec nor an earlier run wrote: they stay.
    pub(super) foreign: Vec<String>,
}

/// The key of a line, or the name of a variable.
fn key(line: &str) -> &str {
    match line.split_once(':') {
        Some((key, _)) if key.starts_with("lxc.") => key,
        _ => line.split('=').next().unwrap_or(line),
    }
}

/// What tells a line from others: its key, and all of it where LXC takes several of a key; the name of a variable.
fn id(line: &str) -> &str {
    let key = key(line);
    if REPEATED.iter().any(|begin| key.starts_with(begin)) {
        line
    } else {
        key
    }
}

/// Of two lines of one name the last one counts.
fn by_id<'a>(lines: &[&'a str]) -> BTreeMap<&'a str, &'a str> {
    lines.iter().map(|line| (id(line), *line)).collect()
}

/// Holds the lines that are there against those that are wanted and those that the last run left.
pub(super) fn merge(now: &str, wanted: &str, left: Option<&str>) -> Merged {
    let here: Vec<&str> = now.lines().collect();
    let want: Vec<&str> = wanted.lines().collect();
    let was: Vec<&str> = left.unwrap_or_default().lines().collect();
    let (here_by, want_by, was_by) = (by_id(&here), by_id(&want), by_id(&was));
    let mut merged = Merged {
        lines: here.iter().map(|line| (*line).to_owned()).collect(),
        ..Merged::default()
    };
    for line in &here {
        if want_by.contains_key(id(line)) || was_by.contains_key(id(line)) {
            continue;
        }
        // Of a guest that no run has left, a key is what the spec says of it, as any option is: of half a table of IDs no
        // container starts.
        if left.is_none() && want.iter().any(|said| key(said) == key(line)) {
            merged.lines.retain(|own| own != line);
            let before = Some((*line).to_owned());
            merged.differences.push((before, None, Cause::Unknown));
        } else {
            merged.foreign.push((*line).to_owned());
        }
    }
    for (id, line) in &was_by {
        let Some(is) = here_by.get(id).filter(|_| !want_by.contains_key(id)) else {
            continue;
        };
        let cause = Cause::of(Some(line), Some(is), None);
        if cause == Cause::Spec {
            merged.lines.retain(|own| own != is);
        }
        let before = Some((*is).to_owned());
        merged.differences.push((before, None, cause));
    }
    for (at, line) in want.iter().enumerate() {
        let is = here_by.get(id(line)).copied();
        if is == Some(*line) || merged.lines.iter().any(|own| own == line) {
            continue;
        }
        let cause = match left {
            None => Cause::Unknown,
            Some(_) => Cause::of(was_by.get(id(line)).copied(), is, Some(*line)),
        };
        if cause != Cause::Host {
            match is {
                Some(is) => {
                    for own in merged.lines.iter_mut().filter(|own| *own == is) {
                        (*line).clone_into(own);
                    }
                }
                None => merged.insert(line, &want[..at], &want[at + 1..]),
            }
        }
        let (before, after) = (is.map(str::to_owned), Some((*line).to_owned()));
        merged.differences.push((before, after, cause));
    }
    merged.order(&want, &was, left.is_some());
    merged
}

impl Merged {
    /// A new line stands behind the nearest that the spec has before it, else before the nearest behind it.
    fn insert(&mut self, line: &str, before: &[&str], behind: &[&str]) {
        let place = |line: &&str| self.lines.iter().rposition(|own| own == line);
        let at = before
            .iter()
            .rev()
            .find_map(place)
            .map(|at| at + 1)
            .or_else(|| behind.iter().find_map(place))
            .unwrap_or(self.lines.len());
        self.lines.insert(at, line.to_owned());
    }

    /// The lines of the spec in its order, in the places that they have among the others.
    fn order(&mut self, want: &[&str], was: &[&str], is_known: bool) {
        let stand: Vec<String> = {
            let is_wanted = |line: &&String| want.contains(&line.as_str());
            self.lines.iter().filter(is_wanted).cloned().collect()
        };
        let among = |lines: &[&str]| -> Vec<String> {
            let stands = |line: &&&str| stand.iter().any(|own| own == **line);
            lines
                .iter()
                .filter(stands)
                .map(|&line| line.to_owned())
                .collect()
        };
        let order = among(want);
        if order == stand || order.len() != stand.len() {
            return;
        }
        let cause = match (is_known, among(was) == order) {
            (false, _) => Cause::Unknown,
            (true, true) => Cause::Host,
            (true, false) => Cause::Spec,
        };
        if cause != Cause::Host {
            let mut next = order.iter();
            for own in &mut self.lines {
                if stand.contains(own)
                    && let Some(line) = next.next()
                {
                    own.clone_from(line);
                }
            }
        }
        let text = |lines: &[String]| Some(lines.join("\n"));
        self.differences.push((text(&stand), text(&order), cause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &[&str]) -> String {
        lines.join("\n")
    }

    #[test]
    fn a_line_of_somebody_else_stays_among_those_of_the_spec() {
        let (a, b, c) = ("lxc.idmap: a", "lxc.idmap: b", "lxc.idmap: c");
        let (theirs, limit) = ("lxc.mount.entry: /x", "lxc.tty.max: 2");
        let merged = merge(
            &text(&[a, theirs, b, limit]),
            &text(&[a, c, "lxc.tty.max: 3"]),
            Some(&text(&[a, b, limit])),
        );
        assert_eq!(merged.lines, [a, c, theirs, "lxc.tty.max: 3"]);
        assert_eq!(merged.foreign, [theirs]);
        assert_eq!(merged.differences.len(), 3);
        assert!(
            merged
                .differences
                .iter()
                .all(|(.., cause)| *cause == Cause::Spec)
        );
    }

    #[test]
    fn of_a_guest_that_no_run_has_left_a_key_is_what_the_spec_says() {
        let (old, theirs) = ("lxc.idmap: u 0 100000 65536", "lxc.mount.entry: /x");
        let new = ["lxc.idmap: u 0 100000 1000", "lxc.idmap: u 1000 1000 1"];
        let merged = merge(&text(&[old, theirs]), &text(&new), None);
        assert_eq!(merged.lines, [theirs, new[0], new[1]]);
        assert_eq!(merged.foreign, [theirs]);
        let gone = (Some(old.to_owned()), None, Cause::Unknown);
        assert!(merged.differences.contains(&gone));
        // A record that has none of its lines says that they are somebody else's.
        let merged = merge(&text(&[old, theirs]), &text(&new), Some(""));
        assert_eq!(merged.foreign, [old, theirs]);
    }

    #[test]
    fn what_somebody_took_away_or_changed_stays_so_until_the_spec_says_otherwise() {
        let (a, b) = ("lxc.mount.entry: a", "lxc.mount.entry: b");
        let spec = text(&[a, b, "lxc.tty.max: 2"]);
        let merged = merge("lxc.mount.entry: a\nlxc.tty.max: 9", &spec, Some(&spec));
        assert_eq!(merged.lines, [a, "lxc.tty.max: 9"]);
        assert!(
            merged
                .differences
                .iter()
                .all(|(.., cause)| *cause == Cause::Host)
        );
        let merged = merge("lxc.tty.max: 9", "lxc.tty.max: 3", Some("lxc.tty.max: 2"));
        assert_eq!(merged.lines, ["lxc.tty.max: 3"]);
        let merged = merge("lxc.tty.max: 9", "", Some("lxc.tty.max: 2"));
        assert_eq!(merged.lines, ["lxc.tty.max: 9"]);
        assert_eq!(merged.differences[0].2, Cause::Both);
    }

    #[test]
    fn a_variable_is_told_by_its_name_and_the_order_is_the_specs() {
        let merged = merge("B=1\nC=3\nA=1", "A=2\nB=1", Some("B=1\nA=1"));
        assert_eq!(merged.lines, ["A=2", "C=3", "B=1"]);
        assert_eq!(merged.foreign, ["C=3"]);
        let spec = "lxc.hook.start: a\nlxc.hook.start: b";
        let moved = "lxc.hook.start: b\nlxc.hook.start: a";
        assert_eq!(merge(moved, spec, Some(spec)).lines.join("\n"), moved);
        assert_eq!(merge(moved, spec, Some(moved)).lines.join("\n"), spec);
        assert_eq!(merge(moved, spec, None).lines.join("\n"), spec);
    }
}
