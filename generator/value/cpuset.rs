use std::collections::BTreeSet;
use std::fmt;

use super::{SpecString, ValueError, spec_string};
use crate::diagnostics::Code;

/// A set of host threads, in the kernel's list form: `0-3,8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuSet(BTreeSet<u32>);

/// More threads than any host has; keeps `0-4000000000` from filling the memory.
const MAX_THREAD: u32 = 8191;

impl CpuSet {
    /// The threads, in order.
    pub fn threads(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// How many threads.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: an empty set does not parse.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The largest thread number.
    pub fn max(&self) -> u32 {
        self.0.last().copied().unwrap_or(0)
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut threads = self.threads().peekable();
        let mut separator = "";
        while let Some(first) = threads.next() {
            let mut last = first;
            while let Some(next) = threads.next_if_eq(&(last + 1)) {
                last = next;
            }
            f.write_str(separator)?;
            separator = ",";
            match last - first {
                0 => write!(f, "{first}")?,
                1 => write!(f, "{first},{last}")?,
                _ => write!(f, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl SpecString for CpuSet {
    const CODE: Code = Code::MOX0021;
    const WHAT: &'static str = "a list of host threads, as `\"0-3,8\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let mut set = BTreeSet::new();
        let mut at = 0;
        for part in text.split(',') {
            let range = at..at + part.len();
            at += part.len() + 1;
            let wrong = || {
                ValueError::at(
                    range.clone(),
                    format!("`{part}` is not a thread or a range of threads"),
                )
                .help("write `\"0-3,8\"`: threads 0 to 3, and 8")
            };
            let number = |n: &str| {
                n.trim()
                    .parse::<u32>()
                    .ok()
                    .filter(|n| *n <= MAX_THREAD)
                    .ok_or_else(wrong)
            };
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                return Err(wrong());
            }
            set.extend(first..=last);
        }
        Ok(Self(set))
    }

    fn examples() -> &'static [&'static str] {
        &["0-3,8", "4-7,20-23"]
    }
}
spec_string!(CpuSet, "CpuSet");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_shortest_list() {
        for (text, printed) in [
            ("0-3,8", "0-3,8"),
            ("3,2,1", "1-3"),
            ("0,1", "0,1"),
            (" 4 - 6 ", "4-6"),
        ] {
            assert_eq!(text.parse::<CpuSet>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn errors_mark_the_part() {
        assert_eq!("0-3,x".parse::<CpuSet>().unwrap_err().range, 4..5);
        for text in ["", "3-1", "0-4000000000", "1,,2", "-1"] {
            assert!(text.parse::<CpuSet>().is_err(), "{text}");
        }
    }
}
