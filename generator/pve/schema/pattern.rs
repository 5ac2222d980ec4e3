//! Regular expressions of the schema.
//!
//! A spec's guests touch a handful of short patterns with short values. Compiling those into
//! automata costs twenty times what matching them does, and more than all the rest of a check, so
//! they are matched as they are read, by the way that [`crate::pattern`] has through a value. The
//! tests hold it against the `regex` crate.

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer};

use crate::pattern::Node;

/// A pattern that a whole value must match.
///
/// Proxmox matches with `^` and `$` glued to the pattern, which lets `a|b` match `axx` and `xxb`;
/// here the whole value counts, as is meant. Perl's `\d` and `\w` are ASCII, as for the undecoded
/// bytes that Proxmox reads.
pub(super) struct Pattern {
    text: String,
    parsed: OnceLock<Node<ByteSet>>,
}

impl Pattern {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, value: &str) -> bool {
        let node = self.parsed.get_or_init(|| {
            Parser::parse(&self.text).expect("a test reads every built-in pattern")
        });
        let bytes = value.as_bytes();
        node.matches(bytes.len(), |set, at| set.contains(bytes[at]))
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self {
            text: String::deserialize(deserializer)?,
            parsed: OnceLock::new(),
        })
    }
}

/// A set of bytes, as one bit each.
#[derive(Clone, Copy, Default)]
struct ByteSet([u64; 4]);

impl ByteSet {
    fn of(bytes: impl IntoIterator<Item = u8>) -> Self {
        let mut set = Self::default();
        bytes.into_iter().for_each(|byte| set.insert(byte));
        set
    }

    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte / 64)] |= 1 << (byte % 64);
    }

    fn contains(self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] >> (byte % 64) & 1 == 1
    }

    fn insert_all(&mut self, other: Self) {
        for (bits, more) in self.0.iter_mut().zip(other.0) {
            *bits |= more;
        }
    }

    fn inverted(self) -> Self {
        Self(self.0.map(|bits| !bits))
    }

    fn in_both_cases(self) -> Self {
        let letters = (0..=u8::MAX).filter(|byte| self.contains(*byte));
        Self::of(letters.flat_map(|byte| [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()]))
    }
}

impl fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = (0..=u8::MAX).filter(|byte| self.contains(*byte));
        f.debug_set().entries(bytes.map(char::from)).finish()
    }
}

/// Reads the part of the syntax that the schema uses.
struct Parser<'p> {
    rest: &'p [u8],
    any_case: bool,
}

impl Parser<'_> {
    fn parse(pattern: &str) -> Result<Node<ByteSet>, String> {
        let mut parser = Parser {
            rest: pattern.as_bytes(),
            any_case: false,
        };
        let node = parser.choice()?;
        match parser.rest {
            [] => Ok(node),
            _ => Err(format!("a `)` too many in `{pattern}`")),
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text.as_bytes()) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn choice(&mut self) -> Result<Node<ByteSet>, String> {
        let mut choices = vec![self.sequence()?];
        while self.take("|") {
            choices.push(self.sequence()?);
        }
        Ok(Node::choice(choices))
    }

    fn sequence(&mut self) -> Result<Node<ByteSet>, String> {
        let mut nodes = Vec::new();
        while !matches!(self.rest.first(), None | Some(b'|' | b')')) {
            let node = self.atom()?;
            nodes.push(self.repeated(node)?);
        }
        Ok(Node::sequence(nodes))
    }

    fn repeated(&mut self, node: Node<ByteSet>) -> Result<Node<ByteSet>, String> {
        let (least, most) = if self.take("*") {
            (0, None)
        } else if self.take("+") {
            (1, None)
        } else if self.take("?") {
            (0, Some(1))
        } else if self.take("{") {
            let least = self.number().ok_or("a repetition without a number")?;
            let most = if self.take(",") {
                self.number()
            } else {
                Some(least)
            };
            if !self.take("}") {
                return Err("a repetition without its end".to_owned());
            }
            (least, most)
        } else {
            return Ok(node);
        };
        Ok(Node::Repeat {
            node: Box::new(node),
            least,
            most,
        })
    }

    fn number(&mut self) -> Option<usize> {
        let digits = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        std::str::from_utf8(number).ok()?.parse().ok()
    }

    fn atom(&mut self) -> Result<Node<ByteSet>, String> {
        let set = match self.next() {
            Some(b'^') => return Ok(Node::Start),
            Some(b'$') => return Ok(Node::End),
            Some(b'(') => return self.group(),
            Some(b'[') => self.class()?,
            Some(b'.') => ByteSet::of([b'\n']).inverted(),
            Some(b'\\') => self.escape()?,
            Some(special @ (b'*' | b'+' | b'?' | b'{')) => {
                return Err(format!("`{}` repeats nothing", char::from(special)));
            }
            Some(plain) => ByteSet::of([plain]),
            None => return Err("the pattern ends early".to_owned()),
        };
        Ok(Node::One(if self.any_case {
            set.in_both_cases()
        } else {
            set
        }))
    }

    fn group(&mut self) -> Result<Node<ByteSet>, String> {
        let outer = self.any_case;
        if self.take("?i:") {
            self.any_case = true;
        } else if !self.take("?:") && self.rest.first() == Some(&b'?') {
            return Err("an unknown kind of group".to_owned());
        }
        let node = self.choice()?;
        self.any_case = outer;
        if self.take(")") {
            Ok(node)
        } else {
            Err("a group without its end".to_owned())
        }
    }

    /// What is behind `[`.
    fn class(&mut self) -> Result<ByteSet, String> {
        let inverted = self.take("^");
        let mut set = ByteSet::default();
        loop {
            let first = match self.next() {
                Some(b']') => break,
                Some(b'\\') => self.escape()?,
                Some(byte) => ByteSet::of([byte]),
                None => return Err("a class without its end".to_owned()),
            };
            // A `-` at the end of a class is a plain one, and so is one behind a range.
            if let [b'-', last, ..] = *self.rest
                && last != b']'
            {
                self.rest = &self.rest[2..];
                let last = if last == b'\\' {
                    self.escape()?
                } else {
                    ByteSet::of([last])
                };
                let single = |set: ByteSet| (0..=u8::MAX).find(|byte| set.contains(*byte));
                if let (Some(from), Some(to)) = (single(first), single(last)) {
                    set.insert_all(ByteSet::of(from..=to));
                }
            } else {
                set.insert_all(first);
            }
        }
        Ok(if inverted { set.inverted() } else { set })
    }

    /// What is behind `\`.
    fn escape(&mut self) -> Result<ByteSet, String> {
        let digits = b'0'..=b'9';
        Ok(match self.next() {
            Some(b'd') => ByteSet::of(digits),
            Some(b'w') => ByteSet::of((b'a'..=b'z').chain(b'A'..=b'Z').chain(digits).chain([b'_'])),
            Some(b's') => ByteSet::of(*b" \t\n\r\x0b\x0c"),
            Some(b'x') => {
                let hex = self
                    .rest
                    .get(..2)
                    .and_then(|hex| std::str::from_utf8(hex).ok());
                let byte = hex
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
                    .ok_or("`\\x` without two digits")?;
                self.rest = &self.rest[2..];
                ByteSet::of([byte])
            }
            Some(plain) if !plain.is_ascii_alphanumeric() => ByteSet::of([plain]),
            other => return Err(format!("an unknown escape: {other:?}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    use regex::bytes::RegexBuilder;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern {
            text: text.to_owned(),
            parsed: OnceLock::new(),
        }
    }

    /// All patterns of the schema, once each.
    fn built_in() -> Vec<String> {
        let mut all: Vec<String> = super::super::tests::every_pattern()
            .map(|pattern| pattern.text.clone())
            .collect();
        all.sort();
        all.dedup();
        assert!(all.len() > 40, "{}", all.len());
        all
    }

    #[test]
    fn agrees_with_the_regex_crate_on_every_pattern() {
        let mut runner = TestRunner::deterministic();
        let noise = proptest::string::string_regex("[a-z0-9:;.,=/+-]{0,6}|\\PC{0,4}")
            .expect("a pattern that generates");
        for text in built_in() {
            let ours = pattern(&text);
            let whole = format!(r"\A(?:{text})\z");
            let theirs = RegexBuilder::new(&whole)
                .unicode(false)
                .build()
                .expect("a pattern of the regex crate");
            // Anchors generate nothing, and `\w` would generate letters of all scripts.
            let ascii = text
                .replace(['^', '$'], "")
                .replace(r"\w", "[a-z_]")
                .replace(r"\d", "[0-9]");
            let ascii = if text.contains("[^") {
                "[ -~]{0,8}".to_owned()
            } else {
                ascii
            };
            let fitting = proptest::string::string_regex(&ascii).expect("a pattern that generates");
            let strategy = (fitting, &noise, any::<prop::sample::Index>(), 0..4u8);
            for _ in 0..40 {
                let tree = strategy.new_tree(&mut runner).expect("a value");
                let (fitting, noise, at, change) = tree.current();
                let mut value = fitting.clone();
                let at = if value.is_empty() {
                    0
                } else {
                    at.index(value.len())
                };
                if value.is_char_boundary(at) {
                    match change {
                        0 => value.insert_str(at, &noise),
                        1 => value.truncate(at),
                        2 => value = value.to_uppercase(),
                        _ => {}
                    }
                }
                assert_eq!(
                    ours.matches(&value),
                    theirs.is_match(value.as_bytes()),
                    "{text}: {value:?}"
                );
            }
        }
    }

    #[test]
    fn reads_the_syntax_and_no_more() {
        for (text, good, bad) in [
            ("a|bc", "bc", "abc"),
            ("a{2,3}", "aaa", "a"),
            ("a{2}", "aa", "aaa"),
            ("a{2,}", "aaaa", "a"),
            ("[a-]", "-", "b"),
            ("[-a]+", "-a", ""),
            (r"[\]x]", "]", "[]"),
            (r"[^\x00-\x08]", "\t", "\x08"),
            ("(?i:ab)c", "ABc", "ABC"),
            (
                "(?:(?:a*)*)*b",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaac",
            ),
            ("(?:^a$)", "a", "aa"),
            ("", "", "a"),
            ("é?", "é", "è"),
        ] {
            assert!(pattern(text).matches(good), "{text}: {good}");
            assert!(!pattern(text).matches(bad), "{text}: {bad}");
        }
        for text in [
            "(", ")", "[a", "a{", "a{1", "*", r"\q", r"\x0", r"\", "(?=a)",
        ] {
            assert!(Parser::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_anything_does_not_panic(text in "[()\\[\\]{}*+?|^$.\\\\a-c0-9,:-]{0,12}|\\PC{0,8}", value in "[a-c]{0,6}") {
            if Parser::parse(&text).is_ok() {
                // Large repetitions are the schema's own business.
                prop_assume!(!text.contains('{'));
                let _ = pattern(&text).matches(&value);
            }
        }
    }
}
