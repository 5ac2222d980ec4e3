//! Answers as the program that `make.py` asks does, but from the table: to hold both against each other at random.
//!
//! Reads JSON lines `{"kind", "config", "set", "delete", "hotplug", "running", "release"}`, and prints for each
//! `{"results": {option: [{"option", "line", "when", "shown", "interrupts", "data"}]}}`, one for each sub-option that
//! differs; `line` is the whole value that would be set.

use std::io::{self, BufRead as _, Write as _};

use moxc::plan;
use moxc::pve::{GuestKind, Release};
use serde_json::{Map, Value, json};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let query: Value = serde_json::from_str(&line?).map_err(io::Error::other)?;
        writeln!(out, "{}", answer(&query))?;
    }
    Ok(())
}

fn answer(query: &Value) -> Value {
    let kind = match query["kind"].as_str() {
        Some("lxc") => GuestKind::Pct,
        _ => GuestKind::Qm,
    };
    let mut live = query["config"].as_str().unwrap_or_default().to_owned();
    if let Some(hotplug) = query["hotplug"].as_str() {
        live.insert_str(0, &format!("hotplug: {hotplug}\n"));
    }
    // What waits and what snapshots hold is the host's alone.
    let sections = live.find("\n[").map_or(live.len(), |at| at + 1);
    let mut wanted = live[..sections].to_owned();
    let empty = Map::new();
    let set = query["set"].as_object().unwrap_or(&empty);
    let deleted = query["delete"].as_array().map_or(&[][..], Vec::as_slice);
    let changed: Vec<&str> = set
        .keys()
        .map(String::as_str)
        .chain(deleted.iter().filter_map(Value::as_str))
        .collect();
    wanted = wanted
        .lines()
        .filter(|line| {
            !changed
                .iter()
                .any(|key| line.starts_with(&format!("{key}: ")))
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    for (key, value) in set {
        wanted.extend([key.as_str(), ": ", value.as_str().unwrap_or_default(), "\n"]);
    }
    let release = query["release"].as_str().and_then(|text| text.parse().ok());
    let changes = plan::changes_of_guest(
        kind,
        release.unwrap_or(Release::NEWEST),
        query["running"].as_bool(),
        &live,
        &wanted,
    );
    let mut results = Map::new();
    for change in changes {
        let key = change.option.as_deref().unwrap_or_default();
        let [when, shown, interrupts, data] = change.class.words();
        let key = key.split('.').next().unwrap_or_default();
        let line = change.line.as_ref().and_then(|line| line.after.as_deref());
        let class = json!({
            "option": change.option, "line": line,
            "when": when, "shown": shown, "interrupts": interrupts, "data": data,
        });
        let classes = results
            .entry(key)
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(classes) = classes {
            classes.push(class);
        }
    }
    json!({ "results": results })
}
