//! What moxc reads of a running host and shows: hostile words in every place of a copy of one, its names of files included,
//! through every command that reads one.
//!
//! The places are learnt from the hosts of `tests/adopt`: each word of each of their files, and each part of each path. A
//! sample goes with every run, another one each day (`MOXC_DAY`); `MOXC_WORDS=all` tries all of them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::program::{Said, call, tests};

/// Words of many spellings.
const WORDS: &[&[u8]] = &[
    "\u{202e}\u{1b}[31m\u{200b}x".as_bytes(),
    b"\x1b]0;t\x07y",
    "\u{9b}2J\u{2028}\u{2066}x".as_bytes(),
    "\u{e0041}\u{ad}x".as_bytes(),
    b"</script><img/src=x>",
    b"`|[x](javascript:1)|`",
    b"--option",
    b"../../x",
    b"\xff\xfe",
    b"a\0b",
    b"x\rz",
    b"",
    b"-1",
    b"99999999999999999999",
    b"'''x\"\"\"",
];

/// A file of a host.
#[derive(Clone)]
struct File {
    path: Vec<u8>,
    /// Its bytes, or where it leads.
    held: Result<Vec<u8>, String>,
}

fn files(name: &str) -> Vec<File> {
    let path = tests().join("adopt").join(format!("{name}.host"));
    let text = fs::read_to_string(path).expect("a host");
    let files = text.split("==== ").filter(|file| !file.is_empty());
    files
        .map(|file| {
            let (head, body) = file.split_once('\n').expect("a line with the path");
            match head.split_once(" -> ") {
                Some((path, target)) => File {
                    path: path.into(),
                    held: Err(target.to_owned()),
                },
                None => File {
                    path: head.into(),
                    held: Ok(body.into()),
                },
            }
        })
        .collect()
}

/// A place: a file, and a stretch of its path or of its bytes.
#[derive(Clone, Copy)]
enum Place {
    Name(usize, usize, usize),
    Word(usize, usize, usize),
}

/// The stretches between blanks and signs.
fn stretches(bytes: &[u8], ends: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = None;
    for at in 0..=bytes.len() {
        let is_end = bytes.get(at).is_none_or(|byte| ends.contains(byte));
        match (is_end, from) {
            (false, None) => from = Some(at),
            (true, Some(start)) => {
                found.push((start, at));
                from = None;
            }
            (false, Some(_)) | (true, None) => {}
        }
    }
    found
}

fn places(files: &[File]) -> Vec<Place> {
    let mut places = Vec::new();
    for (at, file) in files.iter().enumerate() {
        for (from, to) in stretches(&file.path, b"/.") {
            places.push(Place::Name(at, from, to));
        }
        if let Ok(bytes) = &file.held {
            for (from, to) in stretches(bytes, b" \t\n,:=\"{}[]") {
                places.push(Place::Word(at, from, to));
            }
        }
    }
    places
}

/// The files with the word at the place; none where no file can have such a name.
fn with(files: &[File], place: Place, word: &[u8]) -> Option<Vec<File>> {
    let mut files = files.to_vec();
    let splice = |bytes: &mut Vec<u8>, from: usize, to: usize, word: &[u8]| {
        bytes.splice(from..to, word.iter().copied());
    };
    match place {
        Place::Name(at, from, to) => {
            let is_name = !word.is_empty() && !word.contains(&0) && !word.starts_with(b"..");
            let word: Vec<u8> = word
                .iter()
                .map(|byte| if *byte == b'/' { b'_' } else { *byte })
                .collect();
            splice(&mut files[at].path, from, to, &word);
            is_name.then_some(files)
        }
        Place::Word(at, from, to) => {
            let is_json = files[at].path.ends_with(b".json");
            let bytes = files[at].held.as_mut().expect("a file");
            if is_json {
                // As JSON says it, since nothing else is read of what is none.
                let text = serde_json::to_string(&String::from_utf8_lossy(word)).expect("text");
                splice(bytes, from, to, &text.as_bytes()[1..text.len() - 1]);
            } else {
                splice(bytes, from, to, word);
            }
            Some(files)
        }
    }
}

fn lay_out(files: &[File]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for file in files {
        let path = folder
            .path()
            .join("live")
            .join(PathBuf::from(OsString::from_vec(file.path.clone())));
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        match &file.held {
            Err(target) => std::os::unix::fs::symlink(target, path).expect("a link"),
            Ok(bytes) => fs::write(path, bytes).expect("a file"),
        }
    }
    folder
}

/// What is wrong with what was said of a host.
fn looks_wrong(args: &[&str], said: &Said) -> Option<String> {
    let is_unseen = |c: char| {
        c.is_control() && c != '\n' && c != '\t'
            || matches!(
                c,
                '\u{61c}' | '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            )
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
            || matches!(c, '\u{e0000}'..='\u{e0fff}')
    };
    let all = format!("{}{}", said.out, said.err);
    if let Some(c) = all.chars().find(|c| is_unseen(*c)) {
        return Some(format!("{c:?} is shown"));
    }
    if !matches!(said.status, Some(0..=5)) || all.contains("panicked") {
        return Some(format!("it ends with {:?}", said.status));
    }
    let is_page = args.contains(&"html") || args.contains(&"svg");
    if is_page && said.out.contains("<img/src") {
        return Some("a tag of the host".to_owned());
    }
    let is_json = args.contains(&"json") || args.contains(&"sarif");
    if is_json
        && !said.out.is_empty()
        && serde_json::from_str::<serde_json::Value>(&said.out).is_err()
    {
        return Some("no JSON".to_owned());
    }
    let is_spec = args[0] == "adopt" && said.status == Some(0);
    if is_spec && let Err(error) = said.out.parse::<toml::Table>() {
        return Some(format!("no TOML: {error}"));
    }
    None
}

const COMMANDS: &[&[&str]] = &[
    &["adopt", "live"],
    &["hardware", "live"],
    &["hardware", "live", "host.toml"],
    &["plan", "host.toml", "--live", "live"],
    &["plan", "host.toml", "--live", "live", "--markdown"],
    crate::adopt::PLAN,
    &[
        "plan",
        "host.toml",
        "--live",
        "live",
        "--message-format",
        "sarif",
    ],
    &[
        "graph", "--live", "live", "--format", "html", "--view", "storage",
    ],
    &["graph", "--live", "live", "--format", "svg"],
    &[
        "graph", "--live", "live", "--format", "json", "--view", "hardware",
    ],
    &["graph", "--live", "live", "--view", "dependencies"],
];

#[test]
fn a_hostile_word_anywhere_on_a_host_is_shown_as_what_it_is() {
    let all = std::env::var("MOXC_WORDS").is_ok_and(|wish| wish == "all");
    let day: usize = std::env::var("MOXC_DAY").map_or(0, |day| day.parse().unwrap_or(0));
    let mut wrong = Vec::new();
    let mut trials = 0;
    for (name, most) in [("zfs", 12), ("lvm-thin", 6)] {
        let files = files(name);
        let adopted = lay_out(&files);
        let said = call(
            adopted.path(),
            &["adopt", "live", "-o", "host.toml", "--force", "-q"],
        );
        assert_eq!(said.status, Some(0), "{}", said.err);
        let spec = fs::read(adopted.path().join("host.toml")).expect("a spec");
        let places = places(&files);
        assert!(places.len() > 200, "{name}: {}", places.len());
        let count = if all { places.len() } else { most };
        for step in 0..count {
            let at = (step * places.len() / count + day) % places.len();
            for turn in 0..if all { WORDS.len() } else { 1 } {
                let word = WORDS[(step + day + turn) % WORDS.len()];
                let Some(files) = with(&files, places[at], word) else {
                    continue;
                };
                let folder = lay_out(&files);
                fs::write(folder.path().join("host.toml"), &spec).expect("a spec");
                for args in COMMANDS {
                    trials += 1;
                    let said = call(folder.path(), args);
                    if let Some(why) = looks_wrong(args, &said) {
                        let place = match places[at] {
                            Place::Name(file, ..) => format!("the name of file {file}"),
                            Place::Word(file, from, _) => {
                                format!("{} at {from}", String::from_utf8_lossy(&files[file].path))
                            }
                        };
                        wrong.push(format!(
                            "{name} {place} {:?}: {args:?}: {why}\n{}{}",
                            String::from_utf8_lossy(word),
                            said.out,
                            said.err
                        ));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {trials}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
