//! No wish of a spec is dropped in silence: every key of the language, at every place where it can stand, changes a file or is
//! told of.
//!
//! `tests/wishes/*.toml` are hosts that hold each kind of table. The test walks the JSON Schema along them, sets one key after
//! another to some values each, and looks at what comes out. One value of a key may come to what a spec without the key does (the
//! default), and no two may come to the same. `tests/wishes/values/samples.toml` has values where the schema does not say what one
//! looks like; `quiet.toml` beside it has what is right all the same, each with its reason.
//!
//! Where a key takes a text, texts that it cannot mean are tried, too: whatever they come to, it is told at the key, and never found
//! only in the output, as a fault of moxc's.
//!
//! A host's spec is compiled some thousand times, so the ordinary run takes one key of [`SHARE`]; `MOXC_WISHES=all` takes all of
//! them, and `MOXC_WISHES=VmSpec.` those whose name has this in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};

use moxc::check;
use moxc::compile::Compiled;
use moxc::diagnostics::Severity;
use moxc::targets::Target;
use moxc::template::Templates;
use serde_json::Value as Json;
use toml::{Table, Value};

use crate::program::{call, tests};

/// The ordinary run takes one key of so many.
const SHARE: usize = 40;

/// At so many places of each host a key is tried, once it was heard.
const PLACES: usize = 2;

/// What a spec comes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// It has errors.
    Refused(BTreeSet<String>),
    /// The warnings, and the files that a machine reads. Pages for people hold the spec's own lines: they differ always.
    Built { told: String, files: Digest },
}

impl Outcome {
    /// Whether more is told of it than of another.
    fn is_told(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Built { told, .. }, Self::Built { told: before, .. }) => told != before,
            _ => false,
        }
    }
}

/// The text of all files, in a few bytes: thousands of outcomes are held at once.
type Digest = (usize, u64);

/// What machines read. Pages for people are left out, as they hold the spec's own lines, and cost the most to write.
const READ: &[Target] = &[
    Target::Proxmox,
    Target::Nixos,
    Target::Windows,
    Target::Recovery,
];

fn outcome(spec: &Table) -> Outcome {
    let text = toml::to_string(spec).expect("TOML");
    let mut compiled = Compiled::of("host.toml", &text);
    let files = compiled.files(READ, &Templates::built_in());
    let Compiled {
        checked,
        mut sink,
        mut sources,
        ..
    } = compiled;
    let sound = files.as_ref().filter(|_| !sink.has_errors());
    if let Some(files) = sound {
        check::tell(check::check(&checked.host, files), &mut sources, &mut sink);
    }
    let lints = checked.host.lints;
    let (mut told, mut errors) = (String::new(), BTreeSet::new());
    for (severity, found) in sink.finish(&lints, false) {
        let line = format!("{severity:?} {} {}", found.code, found.message);
        if severity == Severity::Error {
            errors.insert(line);
        } else {
            let _ = writeln!(told, "{line}");
        }
    }
    if !errors.is_empty() {
        return Outcome::Refused(errors);
    }
    let mut length = 0;
    let mut read = DefaultHasher::new();
    for file in files.expect("files where there is no error").iter() {
        let path = file.path.as_str();
        if path == "manifest.json" || path.starts_with("docs/") || path.ends_with("README.md") {
            continue; // the manifest holds the hash of the spec
        }
        (path, file.mode.to_string(), &file.contents).hash(&mut read);
        length += file.contents.len();
    }
    let files = (length, read.finish());
    Outcome::Built { told, files }
}

/// The JSON Schema of a spec, and what is known beside it.
struct Language {
    schema: Json,
    samples: BTreeMap<String, Vec<Value>>,
}

/// A place of a spec where a key can stand.
#[derive(Debug, Clone)]
struct Place {
    /// The table's definition, or the key of the table that is written where it is used: `VmSpec`, `VmSpec.watchdog`.
    table: String,
    /// The way there from the top: keys, and numbers of items.
    path: Vec<String>,
    key: String,
}

impl Place {
    fn name(&self) -> String {
        format!("{}.{}", self.table, self.key)
    }
}

impl Language {
    fn read() -> Self {
        let said = call(&tests(), &["schema"]);
        let samples = fs::read_to_string(tests().join("wishes/values/samples.toml"));
        Self {
            schema: serde_json::from_str(&said.out).expect("JSON"),
            samples: toml::from_str(&samples.expect("samples")).expect("lists of values"),
        }
    }

    /// A schema behind its `$ref`s, and the last name of them.
    fn behind<'a>(&'a self, mut schema: &'a Json) -> (&'a Json, Option<&'a str>) {
        let mut name = None;
        while let Some(to) = schema.get("$ref").and_then(Json::as_str) {
            let definition = to.rsplit('/').next().expect("a name");
            schema = &self.schema["$defs"][definition];
            name = Some(definition);
        }
        (schema, name)
    }

    /// Values that a key could have.
    fn values(&self, name: &str, schema: &Json, depth: usize) -> Vec<Value> {
        if let Some(samples) = self.samples.get(name) {
            return samples.clone();
        }
        let (schema, definition) = self.behind(schema);
        if let Some(samples) = definition.and_then(|name| self.samples.get(name)) {
            return samples.clone();
        }
        if let Some(value) = schema.get("const") {
            return vec![value_of(value)];
        }
        if let Some(choices) = schema["enum"].as_array() {
            return choices
                .iter()
                .filter(|one| !one.is_null())
                .map(value_of)
                .collect();
        }
        if let Some(ways) = schema["anyOf"].as_array() {
            // Words, and the same as a boolean or a number: two spellings of one value.
            if let Some(words) = ways.iter().find(|way| way["enum"][0].is_string()) {
                return self.values(name, words, depth);
            }
            return ways
                .iter()
                .flat_map(|way| self.values(name, way, depth))
                .collect();
        }
        let examples = schema["examples"].as_array().into_iter().flatten();
        let examples: Vec<Value> = examples.map(value_of).collect();
        match schema["type"].as_str() {
            Some("boolean") => vec![Value::Boolean(true), Value::Boolean(false)],
            Some("integer" | "number") => numbers(schema),
            Some("array") if depth < 2 => {
                let items = self.values(name, &schema["items"], depth + 1);
                items
                    .into_iter()
                    .map(|one| Value::Array(vec![one]))
                    .collect()
            }
            _ => examples,
        }
    }

    /// Every place of the schema that this spec has a table for, with the schema of its key.
    fn places<'a>(&'a self, spec: &Table) -> Vec<(Place, &'a Json)> {
        let mut places = Vec::new();
        let mut path = Vec::new();
        self.walk(
            "",
            &self.schema,
            Some(&Value::Table(spec.clone())),
            &mut path,
            &mut places,
        );
        places
    }

    fn walk<'a>(
        &'a self,
        name: &str,
        schema: &'a Json,
        value: Option<&Value>,
        path: &mut Vec<String>,
        places: &mut Vec<(Place, &'a Json)>,
    ) {
        let (schema, definition) = self.behind(schema);
        let name = definition.unwrap_or(name);
        for way in schema["anyOf"].as_array().into_iter().flatten() {
            self.walk(name, way, value, path, places);
        }
        if let (Some(items), Some(Value::Array(values))) = (schema.get("items"), value) {
            for (number, item) in values.iter().enumerate() {
                path.push(number.to_string());
                self.walk(name, items, Some(item), path, places);
                path.pop();
            }
        }
        let table = value.and_then(Value::as_table);
        if let (Some(every), Some(table)) = (schema.get("additionalProperties"), table) {
            for (key, value) in table.iter().filter(|_| every.is_object()) {
                path.push(key.clone());
                self.walk(name, every, Some(value), path, places);
                path.pop();
            }
        }
        let is_scalar = value.is_some_and(|value| !value.is_table());
        if path.len() > 8 || is_scalar {
            return;
        }
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            let place = Place {
                table: name.to_owned(),
                path: path.clone(),
                key: key.clone(),
            };
            path.push(key.clone());
            let inner = place.name();
            self.walk(
                &inner,
                below,
                table.and_then(|table| table.get(key)),
                path,
                places,
            );
            path.pop();
            places.push((place, below));
        }
    }
}

fn value_of(json: &Json) -> Value {
    Value::try_from(json).expect("a value of TOML")
}

/// Some numbers between a schema's bounds.
fn numbers(schema: &Json) -> Vec<Value> {
    #[allow(clippy::cast_possible_truncation)] // bounds of options
    let bound = |key: &str| schema[key].as_f64().map(|bound| bound as i64);
    let low = bound("minimum").unwrap_or(1);
    let high = bound("maximum").unwrap_or(i64::MAX);
    let some = [low, low.saturating_add(1), low.saturating_add(3)];
    some.into_iter()
        .filter(|one| *one <= high)
        .map(Value::Integer)
        .collect()
}

/// The spec with a key set; the tables on the way are made. None where something else is in the way.
fn with(spec: &Table, place: &Place, value: &Value) -> Option<Table> {
    let mut spec = Value::Table(spec.clone());
    let mut at = &mut spec;
    for step in &place.path {
        at = match at {
            Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?)?,
            Value::Table(table) => table
                .entry(step.clone())
                .or_insert_with(|| Value::Table(Table::new())),
            _ => return None,
        };
    }
    at.as_table_mut()?.insert(place.key.clone(), value.clone());
    match spec {
        Value::Table(spec) => Some(spec),
        _ => None,
    }
}

/// What became of the values of one key at one place.
#[derive(Debug, Default)]
struct Heard {
    /// Values that changed something.
    told: Vec<(Value, Outcome)>,
    /// Values that changed nothing.
    silent: Vec<Value>,
    refused: Vec<BTreeSet<String>>,
}

fn hear(spec: &Table, without: &Outcome, place: &Place, values: &[Value]) -> Heard {
    let mut heard = Heard::default();
    for value in values {
        let Some(changed) = with(spec, place, value).filter(|changed| changed != spec) else {
            continue;
        };
        let outcome = outcome(&changed);
        match &outcome {
            Outcome::Refused(errors) => heard.refused.push(errors.clone()),
            Outcome::Built { .. } if outcome == *without => heard.silent.push(value.clone()),
            Outcome::Built { .. } => heard.told.push((value.clone(), outcome)),
        }
    }
    heard
}

/// Texts that no key means, of one line and of several words: what is not taken must be told where it stands.
fn odd(values: &[Value]) -> Vec<Value> {
    let is_text = |value: &Value| match value {
        Value::Array(items) => items.first().is_some_and(Value::is_str),
        value => value.is_str(),
    };
    let Some(first) = values.iter().find(|value| is_text(value)) else {
        return Vec::new();
    };
    ODD.iter()
        .map(|text| {
            let text = Value::String((*text).to_owned());
            match first {
                Value::Array(_) => Value::Array(vec![text]),
                _ => text,
            }
        })
        .collect()
}

/// What each text is tried with: beginnings of options, ends of lines, what shells and files mark things by.
const ODD: [&str; 6] = ["1.2.3.999", "a b", "a,b=c;d", "#x:%y", "-o", "x\ny"];

/// A list of one is its item.
fn item(value: &Value) -> String {
    let one = value.as_array().filter(|items| items.len() == 1);
    one.map_or(value, |items| &items[0]).to_string()
}

impl Heard {
    /// What moxc finds only in its own output, where the spec's line is to blame.
    fn faults(&self) -> impl Iterator<Item = &String> {
        let errors = self.refused.iter().flatten();
        errors.filter(|error| error.starts_with("Error MOX08"))
    }

    /// Says what was not heard, or heard as something else.
    fn judge(&self, at: &str, before: &Outcome, report: &mut String) {
        let silent: BTreeSet<String> = self.silent.iter().map(item).collect();
        // The default alone, where every other value is refused.
        let is_default = silent.len() == 1 && !self.refused.is_empty();
        if silent.len() > 1 || (self.told.is_empty() && !silent.is_empty() && !is_default) {
            let _ = writeln!(report, "{at}: silent: {silent:?}");
        }
        let mut same: BTreeMap<&Outcome, BTreeSet<String>> = BTreeMap::new();
        for (value, outcome) in &self.told {
            if !outcome.is_told(before) {
                same.entry(outcome).or_default().insert(item(value));
            }
        }
        for values in same.values().filter(|values| values.len() > 1) {
            let _ = writeln!(report, "{at}: the same: {values:?}");
        }
    }
}

/// The hosts, in the order of their names.
fn hosts() -> Vec<Table> {
    let mut paths: Vec<_> = fs::read_dir(tests().join("wishes"))
        .expect("hosts")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    paths.sort();
    let texts = paths
        .iter()
        .map(|path| fs::read_to_string(path).expect("a host"));
    texts
        .map(|text| toml::from_str(&text).expect("TOML"))
        .collect()
}

/// What is asked of each key.
struct Search<'a> {
    language: &'a Language,
    quiet: &'a BTreeMap<String, String>,
    hosts: &'a [Table],
    is_whole: bool,
}

impl Search<'_> {
    /// The keys of these names that are not heard, a line each.
    fn faults(&self, names: &BTreeSet<String>) -> String {
        let mut report = String::new();
        let (mut ever_heard, mut tried) = (BTreeSet::new(), BTreeMap::new());
        let mut own_heard = BTreeSet::new();
        for spec in self.hosts {
            let without = outcome(spec);
            assert!(
                matches!(without, Outcome::Built { .. }),
                "a host does not build: {without:#?}"
            );
            let mut places_tried: BTreeMap<String, usize> = BTreeMap::new();
            for (place, schema) in self.language.places(spec) {
                let name = place.name();
                // An option of Proxmox VE's own goes the same way at every place: once is enough.
                let own = schema["description"]
                    .as_str()
                    .is_some_and(|text| text.contains("` of Proxmox VE"));
                if !names.contains(&name) || (own && ever_heard.contains(&name)) {
                    continue;
                }
                // One that several tables take goes by the same way in each: some of each table are enough.
                let is_sampled = place.key.len() % 8 == place.table.len() % 8;
                if own && own_heard.contains(&place.key) && !is_sampled && self.is_whole {
                    ever_heard.insert(name.clone());
                    continue;
                }
                // A key is tried where it stands in a host for the first time, and once more.
                let so_far = places_tried.entry(name.clone()).or_insert(0);
                *so_far += 1;
                if *so_far > PLACES && ever_heard.contains(&name) {
                    continue;
                }
                let base = without_key(spec, &place);
                let before = base.as_ref().map(outcome);
                // A key that a spec cannot be without is held against what stands there.
                let (base, before) = match (&base, &before) {
                    (Some(base), Some(before @ Outcome::Built { .. })) => (base, before),
                    _ => (spec, &without),
                };
                let values = self.language.values(&name, schema, 0);
                if values.is_empty() {
                    continue; // a table, whose keys are tried
                }
                let heard = hear(base, before, &place, &values);
                let at = format!("{} {name}", place.path.join("."));
                // Once of each host is enough of what no key means.
                let odd = if *so_far == 1 {
                    odd(&values)
                } else {
                    Vec::new()
                };
                let odd = hear(base, before, &place, &odd);
                for fault in heard.faults().chain(odd.faults()) {
                    let _ = writeln!(report, "{at}: told as a fault of moxc: {fault}");
                }
                if heard.told.is_empty() {
                    let why = heard.refused.first().cloned().unwrap_or_default();
                    tried
                        .entry(name.clone())
                        .or_insert_with(|| (at.clone(), BTreeSet::new()))
                        .1
                        .extend(why);
                } else {
                    ever_heard.insert(name.clone());
                    if own {
                        own_heard.insert(place.key.clone());
                    }
                }
                if !self.quiet.contains_key(&name) {
                    heard.judge(&at, before, &mut report);
                }
            }
        }
        for (name, (at, why)) in tried {
            if !ever_heard.contains(&name) && !self.quiet.contains_key(&name) {
                let _ = writeln!(report, "{at}: no value changes anything anywhere: {why:?}");
            }
        }
        report
    }
}

#[test]
fn no_wish_is_dropped_in_silence() {
    let language = Language::read();
    let quiet = fs::read_to_string(tests().join("wishes/values/quiet.toml")).expect("reasons");
    let quiet: BTreeMap<String, String> = toml::from_str(&quiet).expect("a reason for a name");
    let hosts = hosts();
    let names: BTreeSet<String> = hosts
        .iter()
        .flat_map(|host| language.places(host))
        .map(|(place, _)| place.name())
        .collect();
    let wanted = std::env::var("MOXC_WISHES").unwrap_or_default();
    let names: BTreeSet<String> = match wanted.as_str() {
        "" => names.into_iter().step_by(SHARE).collect(),
        "all" => names,
        part => names
            .into_iter()
            .filter(|name| name.contains(part))
            .collect(),
    };
    let search = Search {
        language: &language,
        quiet: &quiet,
        hosts: &hosts,
        is_whole: wanted == "all",
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut shares = vec![BTreeSet::new(); threads];
    for name in names {
        // One key goes the same way in each table that has it: what was heard of it once is known to one thread.
        let key = name.rsplit('.').next().unwrap_or_default();
        let share = key.bytes().map(usize::from).sum::<usize>() % threads;
        shares[share].insert(name);
    }
    let report: String = std::thread::scope(|scope| {
        let searches: Vec<_> = shares
            .iter()
            .map(|names| scope.spawn(|| search.faults(names)))
            .collect();
        let faults = searches.into_iter();
        faults
            .map(|faults| faults.join().expect("a report"))
            .collect()
    });
    assert!(report.is_empty(), "{report}");
}

/// The spec without a key, where it has the key.
fn without_key(spec: &Table, place: &Place) -> Option<Table> {
    let mut spec = Value::Table(spec.clone());
    let mut at = &mut spec;
    for step in &place.path {
        at = match at {
            Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?)?,
            Value::Table(table) => table.get_mut(step)?,
            _ => return None,
        };
    }
    at.as_table_mut()?.remove(&place.key)?;
    match spec {
        Value::Table(spec) => Some(spec),
        _ => None,
    }
}
