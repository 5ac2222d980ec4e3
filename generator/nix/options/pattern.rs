//! POSIX extended regular expressions, as far as the types of NixOS options use them (`types.strMatching`).
//!
//! Their bracket expressions differ from those of the `regex` crate (a backslash is itself there), and compiling a pattern
//! of that crate costs more than all that is matched here.
//!
//! A text matches if the whole of it does, as `builtins.match` has it.

use std::sync::OnceLock;

use crate::pattern::Node;

/// A pattern, which is read when the first text is held against it.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    /// None of it if something in it is not known here.
    parsed: OnceLock<Option<Node<Class>>>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Characters: of these ranges, or of none of them.
#[derive(Debug, Clone, PartialEq)]
struct Class {
    ranges: Vec<(char, char)>,
    not: bool,
}

impl Class {
    fn only(c: char) -> Self {
        Self {
            ranges: vec![(c, c)],
            not: false,
        }
    }

    fn takes(&self, c: char) -> bool {
        self.ranges
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&c))
            != self.not
    }
}

impl Pattern {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            parsed: OnceLock::new(),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the whole text matches; every text does where something in the pattern is not known here.
    pub(super) fn matches(&self, text: &str) -> bool {
        let parsed = self.parsed.get_or_init(|| parse(&self.text));
        parsed.as_ref().is_none_or(|node| {
            let text: Vec<char> = text.chars().collect();
            node.matches(text.len(), |class, at| class.takes(text[at]))
        })
    }
}

/// Reads a pattern; `None` if something in it is not known here.
fn parse(text: &str) -> Option<Node<Class>> {
    let mut reader = Reader {
        chars: text.chars().collect(),
        at: 0,
    };
    let node = reader.either()?;
    (reader.at == reader.chars.len()).then_some(node)
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }

    fn take(&mut self, c: char) -> bool {
        let there = self.peek() == Some(c);
        self.at += usize::from(there);
        there
    }

    fn either(&mut self) -> Option<Node<Class>> {
        let mut branches = vec![self.sequence()?];
        while self.take('|') {
            branches.push(self.sequence()?);
        }
        Some(Node::choice(branches))
    }

    fn sequence(&mut self) -> Option<Node<Class>> {
        let mut nodes = Vec::new();
        while let Some(c) = self.peek() {
            if matches!(c, '|' | ')') {
                break;
            }
            let mut node = self.one()?;
            loop {
                let (least, most) = match self.peek() {
                    Some('*') => (0, None),
                    Some('+') => (1, None),
                    Some('?') => (0, Some(1)),
                    Some('{') => {
                        self.at += 1;
                        let bounds = self.bounds()?;
                        node = Node::Repeat {
                            node: Box::new(node),
                            least: bounds.0,
                            most: bounds.1,
                        };
                        continue;
                    }
                    _ => break,
                };
                self.at += 1;
                node = Node::Repeat {
                    node: Box::new(node),
                    least,
                    most,
                };
            }
            nodes.push(node);
        }
        Some(Node::sequence(nodes))
    }

    /// `2}`, `2,}` or `2,5}`
    fn bounds(&mut self) -> Option<(usize, Option<usize>)> {
        let least = self.number()?;
        let most = if self.take(',') {
            if self.peek() == Some('}') {
                None
            } else {
                Some(self.number()?)
            }
        } else {
            Some(least)
        };
        self.take('}').then_some((least, most))
    }

    fn number(&mut self) -> Option<usize> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        self.chars[start..self.at]
            .iter()
            .collect::<String>()
            .parse()
            .ok()
            .filter(|number| *number <= 1000)
    }

    fn one(&mut self) -> Option<Node<Class>> {
        match self.next()? {
            '^' => Some(Node::Start),
            '$' => Some(Node::End),
            '(' => {
                let inner = self.either()?;
                self.take(')').then_some(inner)
            }
            '.' => Some(Node::One(Class {
                ranges: Vec::new(),
                not: true,
            })),
            '[' => self.class(),
            '\\' => {
                // A backslash before a letter is an extension.
                let c = self.next().filter(|c| !c.is_alphanumeric())?;
                Some(Node::One(Class::only(c)))
            }
            '*' | '+' | '?' | '{' => None,
            c => Some(Node::One(Class::only(c))),
        }
    }

    /// What follows `[`.
    fn class(&mut self) -> Option<Node<Class>> {
        let not = self.take('^');
        let mut ranges = Vec::new();
        loop {
            let c = self.next()?;
            match c {
                ']' if !ranges.is_empty() => return Some(Node::One(Class { ranges, not })),
                '[' if self.take(':') => {
                    let start = self.at;
                    while self.peek().is_some_and(char::is_alphabetic) {
                        self.at += 1;
                    }
                    let name: String = self.chars[start..self.at].iter().collect();
                    ranges.extend_from_slice(named_class(&name)?);
                    if !(self.take(':') && self.take(']')) {
                        return None;
                    }
                }
                _ if self.peek() == Some('-')
                    && self.chars.get(self.at + 1).is_some_and(|c| *c != ']') =>
                {
                    self.at += 1;
                    ranges.push((c, self.next()?));
                }
                _ => ranges.push((c, c)),
            }
        }
    }
}

/// The classes of the C locale, which Nix uses.
fn named_class(name: &str) -> Option<&'static [(char, char)]> {
    Some(match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "digit" => &[('0', '9')],
        "lower" => &[('a', 'z')],
        "upper" => &[('A', 'Z')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "print" => &[(' ', '~')],
        "graph" => &[('!', '~')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Pattern, parse};

    #[test]
    fn the_patterns_of_nixos() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            (
                "^$|^[[:alnum:]]([[:alnum:]_-]{0,61}[[:alnum:]])?$",
                &["", "a", "web-1", "a_b"],
                &["-a", "a-", "a.b", "a b", "ä"],
            ),
            (
                "([^\"[:space:]]|\"[^\"]*\")+",
                &["a=b", "a=\"b c\"", "vfio-pci.ids=10de:2204,10de:1aef"],
                &["a b", "", "\""],
            ),
            (".*[^ \t\n].*", &["x", " x "], &["", " \n"]),
            (
                "[[:digit:]]{2}:[[:digit:]]{2}",
                &["01:30"],
                &["1:30", "01:300"],
            ),
            ("[0-7]{1,5}", &["0755"], &["", "0855", "000755"]),
            ("[a-zA-Z0-9:_\\.-]*", &["", "a.b-c"], &["a/b"]),
            ("[]a]+", &["a]"], &["b"]),
            ("a+?|(b|c){2,}", &["", "aa", "bcb"], &["b", "ab"]),
        ];
        for (pattern, good, bad) in cases {
            assert!(parse(pattern).is_some(), "{pattern}");
            let parsed = Pattern::new(*pattern);
            for text in *good {
                assert!(parsed.matches(text), "{pattern} {text:?}");
            }
            for text in *bad {
                assert!(!parsed.matches(text), "{pattern} {text:?}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for pattern in [
            "(",
            "[a",
            "a{",
            "a{1",
            "\\w",
            "*a",
            "[[:cntrl:]]",
            "a)",
            "a{1001}",
        ] {
            assert_eq!(parse(pattern), None, "{pattern}");
            assert!(Pattern::new(pattern).matches("anything"), "{pattern}");
        }
    }
}
