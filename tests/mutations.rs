//! Specs with random faults: nothing panics, and every place that is told lies in the text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use moxc::compile::Compiled;
use moxc::diagnostics::Code;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const SPECS: [&str; 8] = [
    include_str!("../examples/homelab.toml"),
    include_str!("../examples/bighost.toml"),
    include_str!("../examples/mini.toml"),
    include_str!("../examples/nixos-host.toml"),
    include_str!("../templates/init/homelab.toml"),
    include_str!("broken/references.toml"),
    include_str!("broken/raw-devices.toml"),
    include_str!("errors/MOX0640/host.toml"),
];

/// Text that means something somewhere in a spec, or to a parser.
const TOKENS: [&str; 56] = [
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "#",
    "\n",
    "\r\n",
    "\r",
    "\0",
    "\\",
    "\\u0000",
    "\u{feff}",
    "ä",
    "日本",
    "\u{202e}",
    "-",
    "+",
    "0",
    "1",
    "-1",
    "99999999999999999999",
    "1e999",
    "nan",
    "inf",
    "0x_",
    "true",
    "2026-01-01",
    "\"\"",
    "[]",
    "{}",
    "\"all\"",
    "\"dhcp\"",
    "\"9.1\"",
    "\"8.0\"",
    "\"0 B\"",
    "\"18446744073709551615 B\"",
    "\"::/0\"",
    "\"0.0.0.0/0\"",
    "\"*-*-31 02:30:00 Europe/Berlin\"",
    "\"*-02-30\"",
    "\"0-4294967295\"",
    "\"ff:1f.7\"",
    "\"/\"",
    "\"1 - 1\"",
    "[vms.x]\n",
    "[storage.pools.p]\n",
    "vmid = 999999999\n",
];

#[derive(Debug, Clone)]
enum Mutation {
    Byte(prop::sample::Index, u8),
    Insert(prop::sample::Index, &'static str),
    Cut(prop::sample::Index, usize),
    Truncate(prop::sample::Index),
    DeleteLine(prop::sample::Index),
    DoubleLine(prop::sample::Index, prop::sample::Index),
    SwapLines(prop::sample::Index, prop::sample::Index),
    /// The value of a line becomes another line's, or a token.
    SwapValues(prop::sample::Index, prop::sample::Index),
    SetValue(prop::sample::Index, &'static str),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    let token = || prop::sample::select(&TOKENS[..]);
    prop_oneof![
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        1 => (at(), token()).prop_map(|(at, token)| Mutation::Insert(at, token)),
        1 => (at(), 1..40_usize).prop_map(|(at, length)| Mutation::Cut(at, length)),
        1 => at().prop_map(Mutation::Truncate),
        1 => at().prop_map(Mutation::DeleteLine),
        1 => (at(), at()).prop_map(|(one, other)| Mutation::DoubleLine(one, other)),
        1 => (at(), at()).prop_map(|(one, other)| Mutation::SwapLines(one, other)),
        3 => (at(), at()).prop_map(|(one, other)| Mutation::SwapValues(one, other)),
        3 => (at(), token()).prop_map(|(at, token)| Mutation::SetValue(at, token)),
    ]
}

fn mutate(spec: &str, mutations: &[Mutation]) -> String {
    let mut text = spec.as_bytes().to_vec();
    for mutation in mutations {
        if text.is_empty() {
            break;
        }
        let length = text.len();
        match mutation {
            Mutation::Byte(at, byte) => text[at.index(length)] = *byte,
            Mutation::Insert(at, token) => {
                let at = at.index(length);
                text.splice(at..at, token.bytes());
            }
            Mutation::Cut(at, count) => {
                let at = at.index(length);
                text.drain(at..(at + count).min(length));
            }
            Mutation::Truncate(at) => text.truncate(at.index(length)),
            Mutation::DeleteLine(_)
            | Mutation::DoubleLine(..)
            | Mutation::SwapLines(..)
            | Mutation::SwapValues(..)
            | Mutation::SetValue(..) => text = mutate_lines(&text, mutation),
        }
    }
    // The command line tells of bytes that are no text, and goes no further.
    String::from_utf8_lossy(&text).into_owned()
}

fn mutate_lines(text: &[u8], mutation: &Mutation) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = text
        .split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let count = lines.len();
    let value = |line: &[u8]| line.iter().position(|b| *b == b'=').map(|at| at + 1);
    match mutation {
        Mutation::DeleteLine(at) => {
            lines.remove(at.index(count));
        }
        Mutation::DoubleLine(one, other) => {
            let line = lines[one.index(count)].clone();
            lines.insert(other.index(count), line);
        }
        Mutation::SwapLines(one, other) => lines.swap(one.index(count), other.index(count)),
        Mutation::SwapValues(one, other) => {
            let (one, other) = (one.index(count), other.index(count));
            if let (Some(to), Some(from)) = (value(&lines[one]), value(&lines[other])) {
                let taken = lines[other][from..].to_vec();
                lines[one].truncate(to);
                lines[one].extend(taken);
            }
        }
        Mutation::SetValue(at, token) => {
            let at = at.index(count);
            if let Some(to) = value(&lines[at]) {
                lines[at].truncate(to);
                lines[at].extend(token.bytes());
                lines[at].push(b'\n');
            }
        }
        Mutation::Byte(..) | Mutation::Insert(..) | Mutation::Cut(..) | Mutation::Truncate(_) => {}
    }
    lines.concat()
}

fn compile(text: &str) {
    crate::fuzz::checks::spec(text.as_bytes());
}

fn cases() -> impl Strategy<Value = String> {
    (
        prop::sample::select(&SPECS[..]),
        prop::collection::vec(mutation(), 1..8),
    )
        .prop_map(|(spec, mutations)| mutate(spec, &mutations))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_specs_do_not_panic(text in cases()) {
        compile(&text);
    }

    #[test]
    fn noise_does_not_panic(text in "\\PC{0,200}") {
        compile(&text);
    }
}

#[test]
#[ignore = "runs for a minute or two; run by tests/run"]
fn thousands_of_mutated_specs_do_not_panic() {
    let config = Config {
        cases: 2_000,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&cases(), |text| {
            compile(&text);
            Ok(())
        })
        .expect("no spec makes the compiler panic");
}

/// Where the keys of a spec stand, each once: before a `=`, at the start of a line or of a part of a table in one line.
fn keys(spec: &str) -> Vec<(usize, &str)> {
    let mut known = BTreeSet::new();
    let ends = spec.match_indices('=').map(|(at, _)| at);
    ends.filter_map(|at| {
        let before = spec[..at].trim_end();
        let key = before.rsplit(['\n', ' ', '{', ',']).next()?;
        let start = before.len() - key.len();
        let line = spec[..start].rsplit('\n').next()?;
        // In a string or a comment stands no key.
        let is_free = line.matches('"').count() % 2 == 0 && !line.contains('#');
        let is_key = key.len() > 3 && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        (is_free && is_key && known.insert(key)).then_some((start, key))
    })
    .collect()
}

#[test]
fn a_misspelt_key_is_told_and_not_what_follows_from_it() {
    let codes = |text: &str| -> BTreeMap<Code, usize> {
        let mut told = BTreeMap::new();
        for (_, diagnostic) in Compiled::of("host.toml", text).found() {
            *told.entry(diagnostic.code).or_default() += 1;
        }
        told
    };
    let mut misspelt = 0;
    let mut faults = String::new();
    for spec in &SPECS[..4] {
        let before = codes(spec);
        for (start, key) in keys(spec) {
            // Two letters change places.
            let wrong = format!("{}{}{}{}", &key[..1], &key[2..3], &key[1..2], &key[3..]);
            let text = format!("{}{wrong}{}", &spec[..start], &spec[start + key.len()..]);
            let told = codes(&text);
            // A name is no key: what names it is told.
            if wrong == key || !told.contains_key(&Code::MOX0002) {
                continue;
            }
            misspelt += 1;
            let more = |code: &Code, count: usize| before.get(code).is_none_or(|old| count > *old);
            for (code, _) in told
                .iter()
                .filter(|(code, count)| **code != Code::MOX0002 && more(code, **count))
            {
                writeln!(faults, "{wrong}: {code}").expect("a string takes all text");
            }
        }
    }
    assert!(misspelt > 150, "{misspelt}");
    assert!(faults.is_empty(), "told beside the misspelt key:\n{faults}");
}
