//! The raw options of a NixOS guest, looked up by their path: a key may be dotted, its value a table.

use crate::model::NixosGuest;
use crate::nix::AttrPath;
use crate::value::{Node, Value};

/// The value that the spec's raw settings give an option, and where.
pub fn setting<'a>(nixos: &'a NixosGuest, option: &[&str]) -> Option<&'a Node> {
    nixos.settings.iter().find_map(|(key, node)| {
        let path = AttrPath::parse(&key.value).ok()?;
        let below = starts_with(option, path.names())?;
        below.iter().try_fold(node, |node, name| match &node.value {
            Value::Table(table) => table.get(name),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Array(_) => None,
        })
    })
}

/// What is left of `option` behind `names`.
fn starts_with<'a, 'b>(option: &'b [&'a str], names: &[String]) -> Option<&'b [&'a str]> {
    let (head, rest) = option.split_at_checked(names.len())?;
    head.iter().eq(names).then_some(rest)
}

/// Whether a raw setting is about anything below `folder`.
pub fn is_set_below(nixos: &NixosGuest, folder: &[&str]) -> bool {
    setting(nixos, folder).is_some()
        || nixos.settings.iter().any(|(key, _)| {
            AttrPath::parse(&key.value).is_ok_and(|path| {
                path.names()
                    .get(..folder.len())
                    .is_some_and(|head| head.iter().eq(folder))
            })
        })
}

/// Each value that is no table, with the path that leads to it.
pub fn leaves(nixos: &NixosGuest) -> Vec<(Vec<String>, &Node)> {
    let mut found = Vec::new();
    for (key, node) in &nixos.settings {
        if let Ok(path) = AttrPath::parse(&key.value) {
            below(path.names().to_vec(), node, &mut found);
        }
    }
    found
}

fn below<'a>(path: Vec<String>, node: &'a Node, found: &mut Vec<(Vec<String>, &'a Node)>) {
    match &node.value {
        Value::Table(table) => {
            for (key, node) in &table.entries {
                let mut path = path.clone();
                path.push(key.value.clone());
                below(path, node, found);
            }
        }
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::TooLarge(_)
        | Value::Datetime(_)
        | Value::Array(_) => found.push((path, node)),
    }
}
