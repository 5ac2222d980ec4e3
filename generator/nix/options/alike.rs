//! Modules that differ in nothing but the words between their quotes: the first is read, of the others the options whose
//! words are other ones.
//!
//! Of a host with thousands of guests nearly every module is one of a few with other names and addresses. Two texts that
//! are the same but for the contents of plain strings have the same tree but for these. So what was read of one says of the
//! other all but whether its options take these contents; and what an option takes, no other option has a say in.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use super::module;
use super::value::Value;
use super::{Index, Release, Rules, check_module, read_module};
use crate::nix::fault::Fault;

/// So many different modules are remembered.
const MOST: usize = 256;

/// Modules that were read and have no fault.
#[derive(Debug, Default)]
pub struct Alike {
    known: RwLock<BTreeMap<Key, Arc<Known>>>,
}

/// What must be the same: the text without its comments and words, and what it is held against.
type Key = (String, Release, bool);

#[derive(Debug)]
struct Known {
    /// Its words, each with where its string begins, in their order.
    words: Vec<(usize, String)>,
    /// What it says, option by option.
    options: Vec<Defined>,
}

/// What a module says of one option.
#[derive(Debug)]
struct Defined {
    /// As a module that says nothing else.
    value: Value,
    /// The numbers of the words that stand in it.
    words: Vec<usize>,
}

impl Alike {
    /// As [`check_module`]. All modules must be held against the same index, and the same options of
    /// other modules.
    pub fn check_module(&self, text: &str, rules: &Rules) -> Vec<Fault> {
        let Some((code, words)) = taken_apart(text) else {
            return check_module(text, rules);
        };
        let key = (code, rules.release, rules.later);
        let known = self
            .known
            .read()
            .expect("nobody panics with it")
            .get(&key)
            .cloned();
        if let Some(known) = known {
            if known.takes(&words, rules) {
                return Vec::new();
            }
            // The whole text has the places of its faults.
            return check_module(text, rules);
        }
        let (value, faults) = read_module(text, rules);
        if let (Some(value), true) = (value, faults.is_empty()) {
            let mut known = self.known.write().expect("nobody panics with it");
            if known.len() < MOST {
                known.insert(key, Arc::new(Known::of(value, &words, rules.index)));
            }
        }
        faults
    }
}

impl Known {
    fn of(value: Value, words: &[(usize, &str)], index: &Index) -> Self {
        let words: Vec<(usize, String)> = words
            .iter()
            .map(|(start, word)| (*start, (*word).to_owned()))
            .collect();
        let defined = |mut value: Value| {
            let mut own = Vec::new();
            value.each_text(&mut |start, _| own.extend(number(&words, start)));
            Defined { value, words: own }
        };
        let parts = module::by_option(value, index).into_iter();
        let options = parts.map(defined).collect();
        Self { words, options }
    }

    /// Whether options take what a module says that has these words instead. Those of which it says the same do.
    fn takes(&self, words: &[(usize, &str)], rules: &Rules) -> bool {
        let is_other = |number: &usize| self.words[*number].1 != words[*number].1;
        let mut others = self
            .options
            .iter()
            .filter(|option| option.words.iter().any(is_other));
        others.all(|option| {
            let mut value = option.value.clone();
            value.each_text(&mut |start, text| {
                if let Some(number) = number(&self.words, start) {
                    words[number].1.clone_into(text);
                }
            });
            module::faults(&value, rules).is_empty()
        })
    }
}

/// The number of the word whose string begins there.
fn number(words: &[(usize, String)], start: usize) -> Option<usize> {
    words.binary_search_by_key(&start, |(start, _)| *start).ok()
}

/// What stands for a word in a text without words: no other text has it.
const WORD: char = '\u{1}';

/// A text without its comments and without its words, and the words, each with where its string begins. None where a string
/// is more than its words, or where what stands between quotes may be a name.
fn taken_apart(text: &str) -> Option<(String, Vec<(usize, &str)>)> {
    // What may end a comment, or may not stand in a text at all.
    if text.contains(|c: char| c.is_control() && c != '\n' || c == '\u{feff}') {
        return None;
    }
    let mut code = String::with_capacity(text.len());
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(['"', '#']) {
        code.push_str(&text[at..at + found]);
        at += found;
        if text[at..].starts_with('#') {
            at += text[at..].find('\n').unwrap_or(text.len() - at);
            continue;
        }
        let word = &text[at + 1..];
        let word = &word[..word.find('"')?];
        if word.contains(['\\', '$', '\n']) {
            return None;
        }
        let end = at + word.len() + 2;
        let next = text[end..].trim_start().chars().next();
        if code.ends_with('.') || !matches!(next, Some(';' | ']' | ')' | '"')) {
            code.push_str(&text[at..end]);
        } else {
            code.push(WORD);
            words.push((at, word));
        }
        at = end;
    }
    code.push_str(&text[at..]);
    // Strings of several lines, what is computed within strings and names, comments of several lines; names in quotes that
    // nothing tells from words.
    let holds_more = ["''", "${", "/*", "inherit", "?"]
        .iter()
        .any(|what| code.contains(what));
    (!holds_more).then_some((code, words))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> Rules<'static> {
        Rules {
            index: Index::builtin(),
            release: "25.11".parse().expect("a release"),
            later: true,
            allowed: &[],
        }
    }

    fn module(host: &str, keys: &[String], zone: &str, about: &str) -> String {
        let keys: Vec<String> = keys.iter().map(|key| format!("    \"{key}\"\n")).collect();
        format!(
            "# {about}\n{{ lib, ... }}:\n{{\n  networking.hostName = lib.mkDefault \"{host}\"; # \"\n  time.timeZone = \"{zone}\";\n  \
             environment.etc.\"{host}\".text = \"{zone}\";\n  boot.kernelParams = [\n{}  ];\n}}\n",
            keys.concat()
        )
    }

    #[test]
    fn what_is_alike_is_read_once_and_judged_by_its_own_words() {
        let alike = Alike::default();
        let rules = rules();
        let keys = ["a".to_owned(), "b".to_owned()];
        let first = module("one", &keys, "Europe/Vienna", "x");
        assert_eq!(alike.check_module(&first, &rules), []);
        // A word that its option does not take is told where it stands.
        let bad = module("one", &keys, "Europe/Vienna", "y \"")
            .replace("mkDefault \"one\"", "mkDefault \"-\"");
        let told = alike.check_module(&bad, &rules);
        assert_eq!(told, check_module(&bad, &rules));
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(&bad[told[0].range.clone()], "\"-\"");
        // The name of the file in quotes is no word.
        let other = module("two", &keys, "Europe/Paris", "z");
        assert_eq!(alike.check_module(&other, &rules), []);
        assert_eq!(alike.known.read().expect("sound").len(), 2);
        let third = module("one", &keys, "Europe/Rome", "");
        assert_eq!(alike.check_module(&third, &rules), []);
        assert_eq!(alike.known.read().expect("sound").len(), 2);
    }

    #[test]
    fn an_empty_string_that_is_no_word_is_not_taken_for_one() {
        let alike = Alike::default();
        let rules = rules();
        let first = "{\n  networking.hostName = \"\" # none\n;\n}\n";
        let bad = "{\n  networking.hostName = \"-\" \n;\n}\n";
        assert_eq!(alike.check_module(first, &rules), []);
        assert_eq!(alike.check_module(bad, &rules), check_module(bad, &rules));
        assert_eq!(check_module(bad, &rules).len(), 1);
        assert_eq!(alike.check_module(first, &rules), []);
    }

    #[test]
    fn what_may_be_more_than_words_is_not_taken_apart() {
        for text in [
            "{ a = \"\\n\"; }",
            "{ a = \"${b}\"; }",
            "{ a = ''b''; }",
            "{ a = \"b\n\"; }",
            "{ inherit (x) \"a\"; }",
            "{ a = x ? \"b\"; }",
            "{ a = /* \" */ 1; }",
            "{ a = \"b; }",
            "{ a = \"b\"; }\0",
            "\u{feff}{ a = \"b\"; }",
        ] {
            assert_eq!(taken_apart(text), None, "{text}");
        }
        let (code, words) =
            taken_apart("{ \"a\".b = \"c\"; d.\"e\" = [ \"f\" \"#\" ]; } # \"g").expect("plain");
        assert_eq!(code, "{ \"a\".b = \u{1}; d.\"e\" = [ \u{1} \u{1} ]; } ");
        let words: Vec<&str> = words.into_iter().map(|(_, word)| word).collect();
        assert_eq!(words, ["c", "f", "#"]);
    }

    proptest! {
        #[test]
        fn no_fault_is_lost_and_none_made_up(
            texts in prop::collection::vec(
                (".{0,4}", prop::collection::vec("[ -~]{0,4}", 0..3), "[A-Za-z/\"$\\\\{}';=# ]{0,6}", "[^\n]{0,6}"),
                1..6,
            )
        ) {
            let alike = Alike::default();
            let rules = rules();
            for (host, keys, zone, about) in &texts {
                let text = module(host, keys, zone, about);
                prop_assert_eq!(alike.check_module(&text, &rules), check_module(&text, &rules), "{}", text);
            }
        }
    }
}
