//! A plan for people, for programs, and for a pull request.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Change, Class, Cost, Data, Foreign, Interrupts, Object, Plan, When};
use crate::source::SourceMap;
use crate::unseen::is_never_shown;

/// The plan as one JSON object.
pub fn json(plan: &Plan, sources: &SourceMap) -> Value {
    let changes: Vec<Value> = plan
        .changes
        .iter()
        .map(|change| {
            json!({
                "object": change.object,
                "name": plan.names.get(&change.object),
                "option": change.option,
                "before": change.before,
                "after": change.after,
                "when": change.class.when,
                "shown": change.class.shown,
                "interrupts": change.class.interrupts,
                "data": change.class.data,
                "cause": change.cause,
                "commands": lines(&change.commands),
                "undo": lines(&change.undo),
                "spec": place(change, sources),
            })
        })
        .collect();
    json!({
        "host": plan.host,
        "same": plan.is_same(),
        "changes": changes,
        "foreign": plan.foreign,
        "unread": plan.unread,
    })
}

fn lines(commands: &[crate::shell::Command]) -> Vec<String> {
    commands.iter().map(ToString::to_string).collect()
}

fn place(change: &Change, sources: &SourceMap) -> Option<Value> {
    let span = change.spec?;
    let at = sources.start(span);
    let file = sources.file_of(span).name();
    Some(json!({ "file": file, "line": at.line, "column": at.column }))
}

/// What a change costs, in words.
pub fn words(class: Class) -> &'static str {
    group(class).1
}

/// What a change costs, cheapest first: the groups in which a person reads a plan.
fn group(class: Class) -> (usize, &'static str) {
    match (class.data, class.when, class.interrupts) {
        (Data::Destroyed, _, _) => (10, "destroys data"),
        (Data::Detached, _, _) => (9, "detaches a disk: its data stays, unused"),
        (_, When::Recreate, _) => (8, "only by making it anew"),
        (_, When::Refused, _) => (7, "refused as it is now"),
        (_, When::HostRestart, _) => (6, "at the host's next restart"),
        (_, _, Interrupts::Network) => (5, "at once, loads the network anew"),
        (_, When::Restart, _) => (4, "at the guest's next start"),
        (_, _, Interrupts::Guest | Interrupts::Host) => (3, "at once, interrupts the guest"),
        (_, _, Interrupts::Device) => (2, "at once, interrupts a device"),
        (_, When::Command, _) => (1, "at once, by a command of its own"),
        (_, When::Now, Interrupts::Nothing) => (0, "at once, interrupts nothing"),
    }
}

/// The plan for a person: what costs most comes last, one line a change.
pub fn human(plan: &Plan, verbose: bool) -> String {
    let mut text = String::new();
    let mut groups: BTreeMap<(usize, &str), Vec<&Change>> = BTreeMap::new();
    for change in &plan.changes {
        groups.entry(group(change.class)).or_default().push(change);
    }
    if plan.is_same() {
        let _ = writeln!(text, "{}: as the spec says", shown(&plan.host));
    }
    for ((_, title), changes) in &groups {
        let _ = writeln!(text, "{title}:");
        for change in changes {
            let _ = writeln!(text, "  {}", line(plan, change));
            if verbose {
                for command in &change.commands {
                    let _ = writeln!(text, "      {command}");
                }
                for command in &change.undo {
                    let _ = writeln!(text, "      undo: {command}");
                }
            }
        }
        text.push('\n');
    }
    let is_waiting = |foreign: &&Foreign| foreign.pending;
    let (pending, foreign): (Vec<&Foreign>, Vec<&Foreign>) =
        plan.foreign.iter().partition(is_waiting);
    for (title, listed) in [
        ("set already, and not yet in force:", pending),
        ("on the host alone, left as it is:", foreign),
    ] {
        if listed.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{title}");
        for foreign in listed {
            let mut words = foreign.object.to_string();
            if let Some(option) = &foreign.option {
                let _ = write!(words, " {option}");
            }
            if let Some(name) = &foreign.name {
                let _ = write!(words, " ({name})");
            }
            if foreign.pending {
                words.push_str(match foreign.object {
                    Object::File(_) => ", waits to be applied",
                    _ => ", waits for the next start",
                });
            }
            if let (true, Some(before)) = (verbose, &foreign.before) {
                let _ = write!(words, ": {}", short(before));
            }
            let _ = writeln!(text, "  {}", shown(&words));
        }
        text.push('\n');
    }
    if !plan.unread.is_empty() {
        let _ = writeln!(text, "not compared:");
        for unread in &plan.unread {
            let _ = writeln!(text, "  {}: {}", shown(&unread.path), shown(&unread.reason));
        }
        text.push('\n');
    }
    if !plan.is_same() {
        let _ = writeln!(text, "{}", count(plan));
        let waiting = waiting(plan);
        if !waiting.is_empty() {
            let most = if verbose { waiting.len() } else { MOST_NAMED };
            let named = &waiting[..most.min(waiting.len())];
            let more = match waiting.len() - named.len() {
                0 => String::new(),
                more => format!(" and {more} more; `-v` names all"),
            };
            let _ = writeln!(text, "to restart: {}{more}", shown(&named.join(", ")));
        }
    }
    text
}

/// So many guests are named in one line; each of them stands above, by what changes.
const MOST_NAMED: usize = 12;

/// The guests that changes wait for.
fn waiting(plan: &Plan) -> Vec<String> {
    let waits = |change: &&Change| {
        change.class.when == When::Restart && matches!(change.object, Object::Vm(_) | Object::Ct(_))
    };
    let mut guests: Vec<String> = Vec::new();
    let mut named = BTreeSet::new();
    for change in plan.changes.iter().filter(waits) {
        if !named.insert(&change.object) {
            continue;
        }
        let guest = match plan.names.get(&change.object) {
            Some(name) => format!("{} ({name})", change.object),
            None => change.object.to_string(),
        };
        guests.push(guest);
    }
    guests
}

/// How many changes there are, and what they cost.
fn count(plan: &Plan) -> String {
    let plural =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let of = |cost: Cost| {
        plan.changes
            .iter()
            .filter(|change| cost.is_of(change))
            // What only making anew could change is left as it is, and waits for nothing.
            .filter(|change| !matches!(cost, Cost::Restart) || change.class.when != When::Recreate)
            .count()
    };
    let mut words = format!(
        "{}: {}",
        shown(&plan.host),
        plural(plan.changes.len(), "change")
    );
    for (cost, what) in [
        (Cost::Restart, "wait for a guest's restart"),
        (Cost::Network, "load the network anew"),
        (Cost::HostRestart, "wait for the host's restart"),
        (Cost::DataLoss, "take data away"),
    ] {
        if of(cost) > 0 {
            let _ = write!(words, ", {} {what}", of(cost));
        }
    }
    words
}

fn line(plan: &Plan, change: &Change) -> String {
    let mut words = change.object.to_string();
    let name = plan.names.get(&change.object);
    if let Some(name) = name.filter(|_| change.option.is_some() || change.after.is_none()) {
        let _ = write!(words, " ({name})");
    }
    match &change.option {
        Some(option) => {
            let _ = write!(words, " {option}: ");
            words.push_str(&values(change));
        }
        None => match (&change.before, &change.after) {
            (None, Some(after)) => {
                let _ = write!(words, " is new: {}", short(after));
            }
            (Some(before), None) => {
                let _ = write!(words, " goes: {}", short(before));
            }
            (Some(before), Some(after)) => {
                let _ = write!(
                    words,
                    ": {} is there, {} is wanted",
                    short(before),
                    short(after)
                );
            }
            (None, None) => {}
        },
    }
    match change.class.shown {
        super::Shown::Silent if change.class.when == When::Restart => {
            words.push_str(" (shown nowhere until then)");
        }
        super::Shown::Live | super::Shown::Pending | super::Shown::Silent => {}
    }
    match change.cause {
        super::Cause::Host => words.push_str(" (changed on the host)"),
        super::Cause::Both => words.push_str(" (changed in the spec and on the host)"),
        super::Cause::Spec | super::Cause::Unknown => {}
    }
    shown(&words)
}

fn values(change: &Change) -> String {
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{} → {}", short(before), short(after)),
        (None, Some(after)) if after.is_empty() => "+".to_owned(),
        (None, Some(after)) => format!("+ {}", short(after)),
        (Some(before), None) if before.is_empty() => "-".to_owned(),
        (Some(before), None) => format!("- {}", short(before)),
        (None, None) => String::new(),
    }
}

/// The longest value that is shown on a line.
const LONGEST: usize = 80;

/// A value on one line, cut where it is long.
pub(crate) fn short(value: &str) -> String {
    let first = value.lines().next().unwrap_or_default();
    let cut: String = first.chars().take(LONGEST).collect();
    if cut.len() < value.trim_end().len() {
        format!("{cut}…")
    } else {
        cut
    }
}

/// Text of a host, as it may go to a terminal.
pub(crate) fn shown(text: &str) -> String {
    text.chars()
        .map(|c| if is_never_shown(c) { '\u{fffd}' } else { c })
        .collect()
}

/// The plan as Markdown, for a pull request.
pub fn markdown(plan: &Plan) -> String {
    let mut text = format!("### Plan for `{}`\n\n", code(&plan.host));
    if plan.is_same() {
        text.push_str("The host is as the spec says.\n");
    } else {
        let _ = writeln!(text, "{}\n", count(plan).replace('`', ""));
        text.push_str("| object | option | before | after | when | interrupts | data | cause |\n");
        text.push_str("|---|---|---|---|---|---|---|---|\n");
    }
    let mut changes: Vec<&Change> = plan.changes.iter().collect();
    changes.sort_by_key(|change| std::cmp::Reverse(group(change.class).0));
    for change in changes {
        let value = |value: &Option<String>| match value {
            Some(value) => format!("`{}`", code(&short(value))),
            None => "–".to_owned(),
        };
        let [when, _, interrupts, data] = change.class.words();
        let _ = writeln!(
            text,
            "| `{}`{} | {} | {} | {} | {when} | {interrupts} | {data} | {} |",
            code(&change.object.to_string()),
            plan.names
                .get(&change.object)
                .map_or_else(String::new, |name| format!(" `{}`", code(name))),
            value(&change.option),
            value(&change.before),
            value(&change.after),
            change.cause.as_str(),
        );
    }
    if !plan.foreign.is_empty() {
        let _ = writeln!(
            text,
            "\nOn the host alone, left as it is: {}.",
            plan.foreign.len()
        );
    }
    if !plan.unread.is_empty() {
        let _ = writeln!(text, "\nNot compared: {}.", plan.unread.len());
    }
    text
}

/// Text between backquotes in a table's cell.
fn code(text: &str) -> String {
    shown(text).replace('`', "'").replace('|', "\\|")
}

/// The plan as a SARIF 2.1.0 document: a result a change, at its place in the spec.
pub fn sarif(plan: &Plan, sources: &SourceMap) -> Value {
    let results: Vec<Value> = plan
        .changes
        .iter()
        .map(|change| {
            let level = match group(change.class).0 {
                0..=2 => "note",
                3..=7 => "warning",
                _ => "error",
            };
            let locations: Vec<Value> = place(change, sources)
                .into_iter()
                .map(|place| {
                    json!({ "physicalLocation": {
                        "artifactLocation": { "uri": place["file"] },
                        "region": { "startLine": place["line"], "startColumn": place["column"] },
                    }})
                })
                .collect();
            json!({
                "ruleId": format!("plan/{}", change.class.when.as_str()),
                "level": level,
                "message": { "text": line(plan, change) },
                "locations": locations,
            })
        })
        .collect();
    let times: BTreeSet<When> = plan
        .changes
        .iter()
        .map(|change| change.class.when)
        .collect();
    let rules: Vec<Value> = times
        .into_iter()
        .map(|when| {
            json!({
                "id": format!("plan/{}", when.as_str()),
                "shortDescription": { "text": when.meaning() },
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "moxc", "version": env!("CARGO_PKG_VERSION"), "rules": rules,
            } },
            "results": results,
        }],
    })
}
