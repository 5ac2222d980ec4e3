//! Raw options of the spec: dotted path = value.

use super::module::Module;
use crate::model::NixosGuest;
use crate::nix::{AttrPath, BuildError, Built, IntoExpr, list, mk_override};
use crate::value::{Node, Value};

/// Weaker than a user's own line (100), stronger than a default of NixOS (1000) and than what moxc's own modules say to win
/// over such defaults (900).
pub(super) const PRIORITY: u32 = 850;

/// Sets them. What Nix cannot hold goes to the module's faults.
pub(super) fn guest(nixos: &NixosGuest, module: &mut Module) {
    for (key, node) in &nixos.settings {
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
}

/// The value of an option. In a table nobody but NixOS knows where the option ends and its value begins, so what lies in
/// one is plain.
fn option(node: &Node) -> Built {
    match &node.value {
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => mk_override(PRIORITY, plain(node)),
        Value::Array(_) | Value::Table(_) => plain(node),
    }
}

fn plain(node: &Node) -> Built {
    match &node.value {
        Value::Datetime(_) if node.value.too_large().is_some() => Err(BuildError::IntegerRange(
            node.value.too_large().unwrap_or_default().to_owned(),
        )),
        Value::String(text) | Value::Datetime(text) => text.into_expr(),
        Value::Integer(number) => number.into_expr(),
        Value::Float(number) => number.into_expr(),
        Value::Boolean(value) => value.into_expr(),
        Value::Array(items) => list(items.iter().map(plain)),
        Value::Table(table) => {
            let mut attrs = crate::nix::Attrs::new();
            for (key, value) in &table.entries {
                attrs.set([key.value.as_str()], plain(value))?;
            }
            attrs.into_expr()
        }
    }
}
