//! What an evaluation of NixOS declared, put into the newest snapshot of the index.
//!
//! `evaluated.nix` prints it: a list of `{ "loc": [name …] }` with `type` in the words of the source, or `renamedTo`, or
//! `removed`. It has what no documentation has: renamed and removed options, and types in full. A branch of NixOS goes on, so a
//! snapshot of it counts as a part, and what a person has read in a module's file stays where the evaluation says less.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use super::source::{Row, Source, SourceError, source_name};
use super::types::Types;
use crate::nix::expr::AttrPath;

/// Options by their names, each with its state.
type Declared = BTreeMap<AttrPath, Json>;

/// Options of which NixOS makes a choice among its packages: one evaluation with other packages knows others.
const OF_PACKAGES: &[[&str; 3]] = &[
    ["services", "home-assistant", "extraComponents"],
    ["services", "home-assistant", "defaultIntegrations"],
];

/// Puts what evaluations of NixOS declared into the newest snapshot of a readable source. What `home_manager` declares under the
/// same name in another way is not judged: modules of both look alike.
pub fn add_evaluation(
    source: &str,
    nixos: &[String],
    home_manager: &[String],
) -> Result<String, SourceError> {
    let mut source = Source::read(source)?;
    let mut declared = Declared::new();
    for (name, state) in entries(nixos)? {
        let stays = declared
            .get(&name)
            .is_some_and(|there| *there != state && there.get("removed").is_none());
        if !stays {
            declared.insert(name, state);
        }
    }
    let renamed: Vec<(AttrPath, Json)> = declared
        .iter()
        .filter_map(|(name, state)| Some((name.clone(), inside_of_each(name, state, &declared)?)))
        .collect();
    declared.extend(renamed);
    for name in OF_PACKAGES {
        if let Some(state) = declared.get_mut(&path(name)?) {
            *state = json!({ "listOf": "str" });
        }
    }
    // Of what Home Manager has renamed or removed nothing is known but the name.
    let mut homes: Declared = entries(home_manager)?
        .into_iter()
        .map(|(name, state)| {
            let known = if is_change(&state) {
                json!("anything")
            } else {
                state
            };
            (name, known)
        })
        .collect();
    let beside: Vec<AttrPath> = homes
        .keys()
        .flat_map(ancestors)
        .filter(|name| declared.contains_key(name) && !homes.contains_key(name))
        .collect();
    homes.extend(beside.into_iter().map(|name| (name, json!("anything"))));
    let folders: BTreeSet<AttrPath> = declared.keys().flat_map(ancestors).collect();
    let alive: BTreeSet<AttrPath> = declared
        .iter()
        .filter(|(_, state)| state.get("removed").is_none())
        .flat_map(|(name, _)| ancestors(name))
        .collect();

    for (name, row) in &mut source.options {
        // What a person has read of an option that is newer than the other snapshots.
        let is_read = row.states.first() == Some(&Json::Bool(false));
        let Some(newest) = row.states.last_mut() else {
            continue;
        };
        let is_own = starts_with(name, &["services", "moxc"])
            || starts_with(name, &["systemd", "network"]) && !declared.contains_key(name);
        if is_own {
            continue;
        }
        match (declared.get(name), homes.get(name)) {
            (Some(now), Some(home)) if is_contested(name, newest, now, home) => {
                if !is_change(newest) && newest != home {
                    *newest = json!("anything");
                }
            }
            (Some(now), _) => {
                if let Some(now) = told_better(newest, now) {
                    *newest = now;
                }
            }
            // A name that was given up, and under which another module has its options now.
            (None, _) if is_change(newest) && alive.contains(name) => {
                *newest = Json::Bool(false);
            }
            (None, _) => {
                if !is_read && !is_change(newest) && !is_below_any_name(name, &declared, &folders) {
                    *newest = Json::Bool(false);
                }
            }
        }
    }
    let older = source.snapshots.len().saturating_sub(1);
    for (name, state) in declared {
        if source.options.contains_key(&name) {
            continue;
        }
        let state = match homes.get(&name) {
            Some(home) if *home != state => json!("anything"),
            Some(_) | None => state,
        };
        let mut states = vec![Json::Bool(false); older];
        states.push(state);
        let row = Row {
            partial: false,
            states,
        };
        source.options.insert(name, row);
    }
    Ok(source.write())
}

/// The options of such lists; the state of each in the words of the source.
fn entries(lists: &[String]) -> Result<Vec<(AttrPath, Json)>, SourceError> {
    let fail = |message: String| SourceError { line: 0, message };
    let mut all = Vec::new();
    for list in lists {
        let list: Vec<Map<String, Json>> =
            serde_json::from_str(list).map_err(|error| fail(error.to_string()))?;
        for entry in list {
            let names = entry.get("loc").and_then(Json::as_array);
            let names = names
                .into_iter()
                .flatten()
                .filter_map(Json::as_str)
                .map(|name| {
                    let is_any = name.starts_with('<') && name.ends_with('>');
                    if is_any { "<name>" } else { name }
                });
            let state = if entry.contains_key("removed") {
                json!({ "removed": true })
            } else if let Some(to) = entry.get("renamedTo") {
                json!({ "renamed": to })
            } else {
                known_type(entry.get("type").unwrap_or(&Json::Null))
            };
            all.push((path(&names.collect::<Vec<_>>())?, state));
        }
    }
    Ok(all)
}

fn path<S: AsRef<str>>(names: &[S]) -> Result<AttrPath, SourceError> {
    AttrPath::new(names).map_err(|error| SourceError {
        line: 0,
        message: error.to_string(),
    })
}

/// A type in words that the source has; `anything` for what it has no word for.
fn known_type(json: &Json) -> Json {
    match json {
        Json::String(word) => match word.as_str() {
            "function" => json!({ "functionTo": "anything" }),
            "signedInt16" => json!("int"),
            "absolutePath" => json!("path"),
            _ if Types::default().read(json).is_ok() => json.clone(),
            _ => json!("anything"),
        },
        Json::Object(members) => match members.iter().next() {
            Some((word, inner)) => known_compound(word, inner),
            None => json!("anything"),
        },
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => json!("anything"),
    }
}

fn known_compound(word: &str, inner: &Json) -> Json {
    match (word, inner) {
        ("enum", Json::Array(values))
            if !values.is_empty()
                && !values.iter().any(|one| one.is_array() || one.is_object()) =>
        {
            json!({ "enum": values })
        }
        ("strMatching", Json::String(pattern)) => json!({ "strMatching": pattern }),
        ("strMatching", _) => json!("str"),
        ("separatedString", _) => {
            let separator = inner.get("sep").unwrap_or(inner);
            match separator.as_str() {
                Some("\n") => json!("lines"),
                Some(",") => json!("commas"),
                Some(":") => json!("envVar"),
                Some(other) => json!({ "separatedString": other }),
                None => json!("str"),
            }
        }
        ("intBetween", Json::Array(bounds)) if bounds.len() == 2 => json!({ "intBetween": bounds }),
        ("intBetween", _) => json!("int"),
        ("oneOf" | "coercedTo", Json::Array(all)) => {
            json!({ word: all.iter().map(known_type).collect::<Vec<_>>() })
        }
        ("functionTo", _) => json!({ "functionTo": "anything" }),
        ("listOf" | "attrsOf" | "lazyAttrsOf" | "nullOr" | "submodule" | "uniq", inner) => {
            json!({ word: known_type(inner) })
        }
        _ => json!("anything"),
    }
}

/// What an option inside of each of a set is renamed to: NixOS says it from there, the source from the top.
fn inside_of_each(name: &AttrPath, state: &Json, declared: &Declared) -> Option<Json> {
    let to = AttrPath::parse(state.get("renamed")?.as_str()?).ok()?;
    let names = name.names();
    let last = names.iter().rposition(|name| name == "<name>")?;
    let whole = AttrPath::new(names[..=last].iter().chain(to.names())).ok()?;
    declared
        .contains_key(&whole)
        .then(|| json!({ "renamed": source_name(&whole) }))
}

/// Whether NixOS and Home Manager have it in different ways, and the source has not what NixOS has.
fn is_contested(name: &AttrPath, known: &Json, now: &Json, home: &Json) -> bool {
    let differs = known != now || starts_with(name, &["programs"]) && !is_change(known);
    differs && (is_change(now) || now != home)
}

/// What the newest snapshot says of an option that is declared; nothing where it says more already.
fn told_better(known: &Json, now: &Json) -> Option<Json> {
    if is_change(known) {
        if now.get("removed").is_some() && known.get("renamed").is_some() {
            let to = &known["renamed"];
            return Some(json!({ "removed": true, "renamed": to }));
        }
        return (!matches!(now.as_str(), Some("unspecified" | "anything"))).then(|| now.clone());
    }
    let checks_text = |state: &Json| state.to_string().contains("strMatching");
    (!checks_text(known) || checks_text(now)).then(|| now.clone())
}

/// Whether it is renamed or removed.
fn is_change(state: &Json) -> bool {
    state.get("renamed").is_some() || state.get("removed").is_some()
}

/// Whether it stands below an option whose type takes any name, of which a person has read what the names are.
fn is_below_any_name(name: &AttrPath, declared: &Declared, folders: &BTreeSet<AttrPath>) -> bool {
    let mut above: Vec<AttrPath> = ancestors(name).collect();
    above.reverse();
    above
        .into_iter()
        .find_map(|above| Some((declared.get(&above)?, above)))
        .is_some_and(|(state, above)| {
            !folders.contains(&above) && state.is_object() && !is_change(state)
        })
}

/// The folders that a name stands in, the outermost first.
fn ancestors(name: &AttrPath) -> impl Iterator<Item = AttrPath> + '_ {
    let names = name.names();
    (1..names.len()).filter_map(|length| AttrPath::new(&names[..length]).ok())
}

fn starts_with(name: &AttrPath, folder: &[&str]) -> bool {
    let head = name.names().get(..folder.len());
    head.is_some_and(|head| head.iter().eq(folder))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::add_evaluation;

    #[test]
    fn an_evaluation_renews_the_newest_snapshot_and_no_other() {
        let source = concat!(
            "{\"about\":null,\"snapshots\":{\"24.08\":\"all\",\"26.05\":\"some\"}}\n",
            "{\"listed\":[\"a\"]}\n",
            "{\"option\":\"a.gone\",\"type\":\"str\"}\n",
            "{\"option\":\"a.read\",\"type\":\"str\",\"24.08\":false}\n",
            "{\"option\":\"a.renamed\",\"renamed\":\"a.kept\"}\n",
            "{\"option\":\"a.returned\",\"removed\":true}\n",
            "{\"option\":\"a.stricter\",\"type\":\"bool\"}\n",
            "{\"option\":\"free.name\",\"type\":\"str\"}\n",
            "{\"option\":\"programs.both\",\"type\":\"bool\"}\n",
            "{\"option\":\"services.moxc.own\",\"type\":\"str\"}\n",
        );
        let nixos = json!([
            { "loc": ["a", "new", "<user>", "old"], "renamedTo": "now" },
            { "loc": ["a", "new", "<user>", "now"], "type": { "listOf": "a word of its own" } },
            { "loc": ["a", "renamed"], "removed": true },
            { "loc": ["a", "returned", "enable"], "type": "bool" },
            { "loc": ["a", "stricter"], "type": { "enum": [true, "auto"] } },
            { "loc": ["free"], "type": { "attrsOf": "anything" } },
            { "loc": ["programs", "both"], "type": "str" },
        ]);
        let home = json!([{ "loc": ["programs", "both"], "type": { "attrsOf": "str" } }]);
        let grown = add_evaluation(source, &[nixos.to_string()], &[home.to_string()]).unwrap();
        assert_eq!(
            grown,
            concat!(
                "{\"about\":null,\"snapshots\":{\"24.08\":\"all\",\"26.05\":\"some\"}}\n",
                "{\"listed\":[\"a\"]}\n",
                "{\"option\":\"a.gone\",\"24.08\":\"str\"}\n",
                "{\"option\":\"a.new.<name>.now\",\"type\":{\"listOf\":\"anything\"},\"24.08\":false}\n",
                "{\"option\":\"a.new.<name>.old\",\"renamed\":\"a.new.<name>.now\",\"24.08\":false}\n",
                "{\"option\":\"a.read\",\"type\":\"str\",\"24.08\":false}\n",
                "{\"option\":\"a.renamed\",\"removed\":true,\"renamed\":\"a.kept\",\"24.08\":{\"renamed\":\"a.kept\"}}\n",
                "{\"option\":\"a.returned\",\"24.08\":{\"removed\":true}}\n",
                "{\"option\":\"a.returned.enable\",\"type\":\"bool\",\"24.08\":false}\n",
                "{\"option\":\"a.stricter\",\"type\":{\"enum\":[true,\"auto\"]},\"24.08\":\"bool\"}\n",
                "{\"option\":\"free\",\"type\":{\"attrsOf\":\"anything\"},\"24.08\":false}\n",
                "{\"option\":\"free.name\",\"type\":\"str\"}\n",
                "{\"option\":\"programs.both\",\"type\":\"anything\",\"24.08\":\"bool\"}\n",
                "{\"option\":\"services.moxc.own\",\"type\":\"str\"}\n",
            )
        );
        let again = add_evaluation(&grown, &[nixos.to_string()], &[home.to_string()]).unwrap();
        assert_eq!(again, grown);
    }
}
