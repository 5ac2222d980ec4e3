//! Raw options of the spec: dotted path = value.

use super::module::{Module, SETTING};
use crate::model::NixosGuest;
use crate::nix::{AttrPath, Attrs, BuildError, Built, IntoExpr, list, mk_override};
use crate::value::{Node, Value};

/// Sets them. What Nix cannot hold goes to the module's faults.
pub(super) fn guest(nixos: &NixosGuest, module: &mut Module) {
    let mut told = Vec::new();
    for (key, node) in &nixos.settings {
        if let Ok(path) = AttrPath::parse(&key.value) {
            singles(path.names(), node, &mut told);
        }
        let set = AttrPath::parse(&key.value).and_then(|path| {
            let value = option(node)?;
            module.settings.merge(path, value)
        });
        if let Err(error) = set {
            let span = match error {
                BuildError::AttrPath(_)
                | BuildError::DuplicateAttribute(_)
                | BuildError::NotASet(_) => key.span,
                BuildError::Nul { .. }
                | BuildError::Identifier(_)
                | BuildError::PathLiteral(_)
                | BuildError::IntegerRange(_)
                | BuildError::NotFinite
                | BuildError::DuplicateFormal(_) => node.span,
            };
            module.faults.push((span, error));
        }
    }
    if !told.is_empty()
        && let Err(error) = module.facts.set("services.moxc.settings", told)
    {
        module.faults.push((nixos.span, error));
    }
}

/// The single values with what leads to them, for the module that looks whether each is what counts in the end.
fn singles(path: &[String], node: &Node, into: &mut Vec<Attrs>) {
    match &node.value {
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => {
            let entry = || -> Result<Attrs, BuildError> {
                let mut entry = Attrs::new();
                entry.set("option", path.to_vec())?;
                entry.set("value", plain(node)?)?;
                Ok(entry)
            };
            into.extend(entry());
        }
        Value::Table(table) => {
            for (key, value) in &table.entries {
                let mut path = path.to_vec();
                path.push(key.value.clone());
                singles(&path, value, into);
            }
        }
        Value::TooLarge(_) | Value::Datetime(_) | Value::Array(_) => {}
    }
}

/// The value of an option. In a table nobody but NixOS knows where the option ends and its value begins: what lies in one
/// gets its strength there, by `yielding` of `nix/modules/priority.nix`.
fn option(node: &Node) -> Built {
    match &node.value {
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::TooLarge(_)
        | Value::Datetime(_) => mk_override(SETTING, plain(node)),
        Value::Array(_) | Value::Table(_) => plain(node),
    }
}

fn plain(node: &Node) -> Built {
    match &node.value {
        Value::TooLarge(text) => Err(BuildError::IntegerRange(text.clone())),
        Value::String(text) | Value::Datetime(text) => text.into_expr(),
        Value::Integer(number) => number.into_expr(),
        Value::Float(number) => number.into_expr(),
        Value::Boolean(value) => value.into_expr(),
        Value::Array(items) => list(items.iter().map(plain)),
        Value::Table(table) => {
            let mut attrs = Attrs::new();
            for (key, value) in &table.entries {
                attrs.set([key.value.as_str()], plain(value))?;
            }
            attrs.into_expr()
        }
    }
}
