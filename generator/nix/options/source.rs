//! The readable source of the index, `options.jsonl`, and its renewal.
//!
//! Each line is a JSON object. The first has `snapshots`: for each, by release, `"all"` if it has every option, `"listed"`
//! if it has every one below the prefixes of the second line's `listed`, or `"some"`; below those of its `complete` all
//! are known at every time: they are moxc's own. Every other line is an `option`, with what it is in the newest snapshot:
//!
//! * `type`: a word (`"bool"`, `"str"`, `"port"` …) or an object of one member: `{"listOf": T}`, `{"attrsOf": T}`,
//!   `{"nullOr": T}`, `{"oneOf": [T …]}`, `{"coercedTo": [from, to]}`, `{"enum": [value …]}`, `{"strMatching": regex}`,
//!   `{"intBetween": [least, most]}`, `{"separatedString": separator}`, and `{"submodule": T}` for a submodule that takes
//!   other attributes as well;
//! * `renamed`: the new name, under which the old one still works; `removed`: it is an error; neither of the three: there
//!   is no such option;
//! * `partial`: not all options of this submodule are listed.
//!
//! An older snapshot's release is a member where that one differs from the next newer: `false` if the option was not
//! there, its type, or an object with `renamed` or `removed`. In a name, `<name>` stands for any attribute and `*` for any
//! list element.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value as Json, json};

use super::Release;
use super::index::{Coverage, Index, NodeId, Reach, Snapshot, State, States};
use super::types::Types;
use crate::nix::expr::AttrPath;

/// A line of the source, or of the documentation of NixOS, that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError {
    /// The line, from 1; 0 for what is not about a line.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for SourceError {}

/// The source as it is written.
pub(super) struct Source {
    about: Json,
    pub(super) snapshots: Vec<Snapshot>,
    listed: Vec<AttrPath>,
    complete: Vec<AttrPath>,
    /// By name; the state in each snapshot as JSON, the oldest first.
    pub(super) options: BTreeMap<AttrPath, Row>,
}

#[derive(Clone)]
pub(super) struct Row {
    pub(super) partial: bool,
    pub(super) states: Vec<Json>,
}

impl Source {
    pub(super) fn read(text: &str) -> Result<Self, SourceError> {
        let mut source = Self {
            about: Json::Null,
            snapshots: Vec::new(),
            listed: Vec::new(),
            complete: Vec::new(),
            options: BTreeMap::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let fail = |message: String| SourceError {
                line: index + 1,
                message,
            };
            let Json::Object(members) =
                serde_json::from_str(line).map_err(|error| fail(error.to_string()))?
            else {
                return Err(fail("not an object".to_owned()));
            };
            source.line(members).map_err(fail)?;
        }
        if source.snapshots.is_empty() {
            return Err(SourceError {
                line: 1,
                message: "there is no snapshot".to_owned(),
            });
        }
        Ok(source)
    }

    fn line(&mut self, mut members: Map<String, Json>) -> Result<(), String> {
        let path = |json: &Json| {
            AttrPath::parse(json.as_str().unwrap_or_default()).map_err(|error| error.to_string())
        };
        if let Some(snapshots) = members.get("snapshots").and_then(Json::as_object) {
            for (release, kind) in snapshots {
                let coverage = Coverage::ALL
                    .into_iter()
                    .find(|coverage| kind.as_str() == Some(coverage.word()))
                    .ok_or_else(|| {
                        format!("{kind} is neither \"all\" nor \"listed\" nor \"some\"")
                    })?;
                self.snapshots.push(Snapshot {
                    release: release.parse()?,
                    coverage,
                });
            }
            self.snapshots.sort_by_key(|snapshot| snapshot.release);
            self.about = members.remove("about").unwrap_or_default();
        } else if let Some(listed) = members.get("listed").and_then(Json::as_array) {
            self.listed = listed.iter().map(path).collect::<Result<_, _>>()?;
            if let Some(complete) = members.get("complete").and_then(Json::as_array) {
                self.complete = complete.iter().map(path).collect::<Result<_, _>>()?;
            }
        } else if let Some(name) = members.remove("option") {
            let name = path(&name)?;
            let row = self.row(members)?;
            if self.options.insert(name.clone(), row).is_some() {
                return Err(format!("`{name}` is there twice"));
            }
        } else {
            return Err("neither snapshots nor prefixes nor an option".to_owned());
        }
        Ok(())
    }

    fn row(&self, mut members: Map<String, Json>) -> Result<Row, String> {
        let partial = members
            .remove("partial")
            .is_some_and(|partial| partial == Json::Bool(true));
        let older: Vec<Option<Json>> = self
            .snapshots
            .iter()
            .map(|snapshot| members.remove(&snapshot.release.to_string()))
            .collect();
        let mut state = match (
            members.remove("type"),
            members.remove("renamed"),
            members.remove("removed"),
        ) {
            (Some(one), None, None) => one,
            (None, Some(to), None) => json!({ "renamed": to }),
            (None, None, Some(_)) => json!({ "removed": true }),
            (None, Some(to), Some(_)) => json!({ "removed": true, "renamed": to }),
            (None, None, None) => Json::Bool(false),
            _ => return Err("a type, and yet renamed or removed".to_owned()),
        };
        if let Some((unknown, _)) = members.iter().next() {
            return Err(format!("{unknown:?} means nothing here"));
        }
        let mut states = Vec::new();
        for older in older.into_iter().rev() {
            if let Some(older) = older {
                state = older;
            }
            states.push(state.clone());
        }
        states.reverse();
        Ok(Row { partial, states })
    }

    pub(super) fn write(&self) -> String {
        let snapshots: Map<String, Json> = self
            .snapshots
            .iter()
            .map(|snapshot| {
                (
                    snapshot.release.to_string(),
                    json!(snapshot.coverage.word()),
                )
            })
            .collect();
        let names = |paths: &[AttrPath]| -> Vec<String> { paths.iter().map(source_name).collect() };
        let mut prefixes = json!({ "listed": names(&self.listed) });
        if !self.complete.is_empty() {
            prefixes["complete"] = json!(names(&self.complete));
        }
        let mut out = format!(
            "{}\n{prefixes}\n",
            json!({ "about": self.about, "snapshots": snapshots }),
        );
        for (name, row) in &self.options {
            let mut members = Map::new();
            members.insert("option".to_owned(), json!(source_name(name)));
            let mut newer = row.states.last().cloned().unwrap_or_default();
            match &newer {
                Json::Object(state)
                    if state.contains_key("renamed") || state.contains_key("removed") =>
                {
                    members.extend(state.clone());
                }
                Json::Bool(false) => {}
                one => {
                    members.insert("type".to_owned(), one.clone());
                }
            }
            if row.partial {
                members.insert("partial".to_owned(), json!(true));
            }
            for (snapshot, state) in self.snapshots.iter().zip(&row.states).rev().skip(1) {
                if *state != newer {
                    members.insert(snapshot.release.to_string(), state.clone());
                    newer = state.clone();
                }
            }
            out.push_str(&Json::Object(members).to_string());
            out.push('\n');
        }
        out
    }

    fn index(&self) -> Result<Index, SourceError> {
        let mut index = Index::of_snapshots(self.snapshots.clone());
        for (number, (name, row)) in self.options.iter().enumerate() {
            let fail = |message: String| SourceError {
                line: number + 3,
                message,
            };
            let states = row
                .states
                .iter()
                .map(|state| read_state(state, &mut index.types))
                .collect::<Result<Vec<_>, _>>();
            let id = place(&mut index, name);
            index.nodes[id].states = Some(States::new(states.map_err(fail)?));
            index.nodes[id].partial = row.partial;
        }
        for (prefixes, reach) in [
            (&self.listed, Reach::Listed),
            (&self.complete, Reach::Whole),
        ] {
            for prefix in prefixes {
                let id = place(&mut index, prefix);
                index.nodes[id].reach = reach;
            }
        }
        Ok(index)
    }
}

/// The node of that name, made if it is not there.
fn place(index: &mut Index, name: &AttrPath) -> NodeId {
    name.names()
        .iter()
        .fold(0, |parent, segment| index.place(parent, segment))
}

/// A name as it stands in the source: `<name>` and `*` need no quotes there.
pub(super) fn source_name(name: &AttrPath) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let segments: Vec<String> = name
        .names()
        .iter()
        .map(|segment| {
            if matches!(segment.as_str(), "<name>" | "*")
                || (!segment.is_empty() && segment.bytes().all(plain))
            {
                segment.clone()
            } else {
                format!("\"{}\"", segment.replace('\\', "\\\\").replace('"', "\\\""))
            }
        })
        .collect();
    segments.join(".")
}

fn read_state(state: &Json, types: &mut Types) -> Result<State, String> {
    let to = state
        .get("renamed")
        .and_then(Json::as_str)
        .map(str::to_owned);
    match (state, to) {
        (Json::Bool(false), _) => Ok(State::Absent),
        (Json::Object(members), to) if members.contains_key("removed") => Ok(State::Removed(to)),
        (_, Some(to)) => Ok(State::Renamed(to)),
        (one, None) => types.read(one).map(State::Type),
    }
}

impl Index {
    /// The index of a readable source.
    pub fn from_source(text: &str) -> Result<Self, SourceError> {
        Source::read(text)?.index()
    }
}

/// Adds a snapshot to a readable source: the `options.json` that `nix build nixpkgs#nixosOptionsDoc` gives for a release.
///
/// That file has no hidden options, and renamed and removed ones are hidden: what it does not mention is taken to be as in
/// the next newer snapshot, or else in the next older. A snapshot of the same release is replaced.
pub fn add_snapshot(
    source: &str,
    release: Release,
    options_json: &str,
) -> Result<String, SourceError> {
    let fail = |message: String| SourceError { line: 0, message };
    let mut source = Source::read(source)?;
    let documented: Map<String, Json> =
        serde_json::from_str(options_json).map_err(|error| fail(error.to_string()))?;
    let at = match source
        .snapshots
        .binary_search_by_key(&release, |snapshot| snapshot.release)
    {
        Ok(at) => {
            source.snapshots[at].coverage = Coverage::All;
            at
        }
        Err(at) => {
            source.snapshots.insert(
                at,
                Snapshot {
                    release,
                    coverage: Coverage::All,
                },
            );
            for row in source.options.values_mut() {
                let near = if at < row.states.len() {
                    at
                } else {
                    row.states.len() - 1
                };
                row.states.insert(at, row.states[near].clone());
            }
            at
        }
    };
    let nowhere = Row {
        partial: false,
        states: vec![Json::Bool(false); source.snapshots.len()],
    };
    for (name, option) in &documented {
        let loc = option
            .get("loc")
            .and_then(Json::as_array)
            .ok_or_else(|| fail(format!("{name} has no loc")))?;
        let segments: Vec<&str> = loc.iter().filter_map(Json::as_str).collect();
        let path = AttrPath::new(segments).map_err(|error| fail(error.to_string()))?;
        let prose = option
            .get("type")
            .and_then(Json::as_str)
            .unwrap_or("unspecified value");
        let row = source
            .options
            .entry(path)
            .or_insert_with(|| nowhere.clone());
        row.states[at] = type_from_prose(prose);
    }
    Ok(source.write())
}

/// The type that the documentation describes in words; `anything` for words that are not known.
fn type_from_prose(prose: &str) -> Json {
    let (one, rest) = prose_type(prose);
    if rest.trim().is_empty() {
        one
    } else {
        json!("anything")
    }
}

/// A type at the start of the text, and what follows it.
fn prose_type(text: &str) -> (Json, &str) {
    let (first, mut rest) = prose_single(text);
    let mut all = vec![first];
    while let Some(next) = rest.strip_prefix(" or ") {
        let (one, after) = prose_single(next);
        all.push(one);
        rest = after;
    }
    if let Some(after) = rest.strip_prefix(" convertible to it") {
        rest = after;
    }
    match (all.len(), all.pop()) {
        (1, Some(only)) => (only, rest),
        (_, Some(last)) => {
            all.push(last);
            (json!({ "oneOf": all }), rest)
        }
        (_, None) => (json!("anything"), rest),
    }
}

fn prose_single(text: &str) -> (Json, &str) {
    if let Some(inner) = text.strip_prefix('(') {
        let (one, rest) = prose_type(inner);
        return match rest.strip_prefix(')') {
            Some(rest) => (one, rest),
            None => (json!("anything"), ""),
        };
    }
    for (words, member) in [
        ("list of ", "listOf"),
        ("non-empty list of ", "listOf"),
        ("attribute set of ", "attrsOf"),
        ("lazy attribute set of ", "attrsOf"),
        ("null or ", "nullOr"),
        ("function that evaluates to a(n) ", "functionTo"),
    ] {
        if let Some(inner) = text.strip_prefix(words) {
            // "null or A or B" is null or either; the others hold only what is next.
            let (one, rest) = if member == "nullOr" {
                prose_type(inner)
            } else {
                prose_single(inner)
            };
            return (json!({ member: one }), rest);
        }
    }
    if let Some(values) = text.strip_prefix("one of ") {
        return prose_values(values);
    }
    if let Some(pattern) = text.strip_prefix("string matching the pattern ") {
        // The pattern has no end mark: it is the rest, or, in parentheses, not to be told apart.
        let known =
            !pattern.contains(')') || pattern.matches('(').count() == pattern.matches(')').count();
        return if known {
            (json!({ "strMatching": pattern }), "")
        } else {
            (json!("str"), "")
        };
    }
    if let Some((bounds, rest)) = text
        .strip_prefix("integer between ")
        .and_then(|text| text.split_once(" (both inclusive)"))
        && let Some((least, most)) = bounds.split_once(" and ")
        && let (Ok(least), Ok(most)) = (least.parse::<i64>(), most.parse::<i64>())
    {
        return (json!({ "intBetween": [least, most] }), rest);
    }
    // Longer words before those that they begin with.
    for (words, one) in [
        ("boolean", json!("bool")),
        ("signed integer", json!("int")),
        (
            "8 bit unsigned integer; between 0 and 255 (both inclusive)",
            json!("u8"),
        ),
        (
            "16 bit unsigned integer; between 0 and 65535 (both inclusive)",
            json!("port"),
        ),
        (
            "32 bit unsigned integer; between 0 and 4294967295 (both inclusive)",
            json!("u32"),
        ),
        ("unsigned integer, meaning >=0", json!("unsigned")),
        ("positive integer, meaning >0", json!("positive")),
        ("floating point number", json!("float")),
        ("integer or floating point number", json!("number")),
        (
            "(optionally newline-terminated) single-line string",
            json!("singleLineStr"),
        ),
        ("non-empty string", json!("nonEmptyStr")),
        ("strings concatenated with \"\\n\"", json!("lines")),
        ("strings concatenated with \",\"", json!("commas")),
        (
            "strings concatenated with \" \"",
            json!({ "separatedString": " " }),
        ),
        ("strings concatenated with \":\"", json!("envVar")),
        ("string", json!("str")),
        ("absolute path", json!("path")),
        ("path in the Nix store", json!("pathInStore")),
        ("path", json!("path")),
        ("package", json!("package")),
        ("attribute set", json!("attrs")),
        ("open submodule of ", json!(null)),
        ("submodule", json!("submodule")),
        ("anything", json!("anything")),
        ("raw value", json!("raw")),
        ("unspecified value", json!("unspecified")),
    ] {
        if let Some(rest) = text.strip_prefix(words) {
            if one.is_null() {
                let (inner, rest) = prose_single(rest);
                return (json!({ "submodule": inner }), rest);
            }
            return (one, rest);
        }
    }
    (json!("anything"), "")
}

/// `"a", 1, null` as an enum; each value is JSON in the documentation.
fn prose_values(text: &str) -> (Json, &str) {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Json>();
        match stream.next() {
            Some(Ok(value)) => {
                values.push(value);
                rest = &rest[stream.byte_offset()..];
            }
            _ => return (json!("anything"), ""),
        }
        match rest.strip_prefix(", ") {
            Some(next) => rest = next,
            None => return (json!({ "enum": values }), rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::super::Release;
    use super::super::index::Index;
    use super::{Source, add_snapshot, type_from_prose};

    const SOURCE: &str = include_str!("options.jsonl");

    #[test]
    fn the_index_in_the_program_is_that_of_the_source() {
        let index = Index::from_source(SOURCE).unwrap();
        let stored = index.store();
        assert!(
            stored == include_bytes!("index.bin"),
            "run: cargo run --example option-index"
        );
        let loaded = Index::load(&stored).unwrap();
        assert_eq!(loaded.len(), index.len());
        assert_eq!(loaded.store(), stored);
        assert!(Index::load(&stored[..stored.len() / 2]).is_err());
        assert!(Index::load(b"x").is_err());
    }

    #[test]
    fn the_source_is_written_as_it_was_read() {
        assert_eq!(Source::read(SOURCE).unwrap().write(), SOURCE);
    }

    #[test]
    fn types_are_read_from_the_documentation() {
        for (prose, one) in [
            ("boolean", json!("bool")),
            ("null or string", json!({"nullOr": "str"})),
            (
                "null or signed integer or string",
                json!({"nullOr": {"oneOf": ["int", "str"]}}),
            ),
            (
                "list of (string or package)",
                json!({"listOf": {"oneOf": ["str", "package"]}}),
            ),
            (
                "list of 16 bit unsigned integer; between 0 and 65535 (both inclusive)",
                json!({"listOf": "port"}),
            ),
            (
                "attribute set of (submodule)",
                json!({"attrsOf": "submodule"}),
            ),
            (
                "one of \"a\", \"b, c\", 3, null",
                json!({"enum": ["a", "b, c", 3, null]}),
            ),
            (
                "null or one of \"a\", \"b\"",
                json!({"nullOr": {"enum": ["a", "b"]}}),
            ),
            ("strings concatenated with \"\\n\"", json!("lines")),
            (
                "integer between 1 and 4094 (both inclusive)",
                json!({"intBetween": [1, 4094]}),
            ),
            (
                "string matching the pattern [a-z]+",
                json!({"strMatching": "[a-z]+"}),
            ),
            (
                "open submodule of attribute set of string",
                json!({"submodule": {"attrsOf": "str"}}),
            ),
            (
                "INI atom (null, bool, int, float or string)",
                json!("anything"),
            ),
            ("string, a new kind of it", json!("anything")),
        ] {
            assert_eq!(type_from_prose(prose), one, "{prose}");
        }
    }

    #[test]
    fn a_snapshot_is_added_between_others() {
        let release = |text: &str| text.parse::<Release>().unwrap();
        let source = concat!(
            "{\"about\":null,\"snapshots\":{\"24.08\":\"listed\",\"26.05\":\"listed\"}}\n",
            "{\"listed\":[\"a\"]}\n",
            "{\"option\":\"a.gone\",\"removed\":true,\"24.08\":\"bool\"}\n",
            "{\"option\":\"a.kept\",\"type\":\"str\"}\n",
            "{\"option\":\"a.new\",\"type\":\"str\",\"24.08\":false}\n",
        );
        let documentation = json!({
            "a.gone": { "loc": ["a", "gone"], "type": "boolean" },
            "a.kept": { "loc": ["a", "kept"], "type": "null or string" },
            "b.\"c.d\"": { "loc": ["b", "c.d"], "type": "signed integer" },
        });
        let grown = add_snapshot(source, release("25.05"), &documentation.to_string()).unwrap();
        assert_eq!(
            grown,
            concat!(
                "{\"about\":null,\"snapshots\":{\"24.08\":\"listed\",\"25.05\":\"all\",\"26.05\":\"listed\"}}\n",
                "{\"listed\":[\"a\"]}\n",
                "{\"option\":\"a.gone\",\"removed\":true,\"25.05\":\"bool\"}\n",
                "{\"option\":\"a.kept\",\"type\":\"str\",\"25.05\":{\"nullOr\":\"str\"},\"24.08\":\"str\"}\n",
                "{\"option\":\"a.new\",\"type\":\"str\",\"24.08\":false}\n",
                "{\"option\":\"b.\\\"c.d\\\"\",\"25.05\":\"int\",\"24.08\":false}\n",
            )
        );
        assert_eq!(
            add_snapshot(&grown, release("25.05"), &documentation.to_string()).unwrap(),
            grown
        );
    }

    #[test]
    fn a_bad_line_is_named() {
        let bad = format!(
            "{}\n{{\"option\":\"a\",\"type\":\"strng\"}}\n",
            SOURCE.lines().next().unwrap()
        );
        assert!(Index::from_source(&bad).is_err());
        assert_eq!(Index::from_source("x").unwrap_err().line, 1);
    }
}
