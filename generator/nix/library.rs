//! Names of functions in nixpkgs' library that are one slip away from one that there is: `lib.mkDefualt`.
//!
//! A file's own `lib` may have more than nixpkgs' does, so only a slip is told, and nothing in a file that binds `lib` itself.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use rnix::SyntaxKind;
use rnix::ast::{self, Expr, HasEntry};
use rowan::ast::AstNode;

use super::fault::{Fault, FaultKind, fault};
use super::parse::{range_of, static_name, without_parentheses};
use super::slip;

/// What stands in `lib` itself, of the library of August 2024 and that of June 2026.
static NAMES: LazyLock<BTreeSet<&'static str>> =
    LazyLock::new(|| include_str!("library.txt").lines().collect());

/// Folders of it whose functions mostly stand in `lib` itself, too.
const FOLDERS: &[&str] = &[
    "attrsets", "lists", "modules", "options", "strings", "trivial",
];

/// The faults of a tree that has no syntax error.
pub(super) fn faults(root: &ast::Root) -> Vec<Fault> {
    if binds_lib(root) {
        return Vec::new();
    }
    let mut out = Vec::new();
    for node in root.syntax().descendants() {
        match node.kind() {
            SyntaxKind::NODE_SELECT => {
                let Some(select) = ast::Select::cast(node) else {
                    continue;
                };
                if select.or_token().is_none()
                    && select.expr().is_some_and(|base| is_lib(&base))
                    && let Some(path) = select.attrpath()
                {
                    let mut attrs = path.attrs();
                    let first = attrs.next();
                    let folder = first.as_ref().and_then(static_name);
                    let is_folder = folder.is_some_and(|name| FOLDERS.contains(&name.as_str()));
                    let named = if is_folder { attrs.next() } else { first };
                    out.extend(named.and_then(|named| misspelled(&named)));
                }
            }
            SyntaxKind::NODE_INHERIT => {
                let Some(inherit) = ast::Inherit::cast(node) else {
                    continue;
                };
                let from = inherit.from().and_then(|from| from.expr());
                if from.is_some_and(|from| is_lib(&without_parentheses(&from))) {
                    out.extend(inherit.attrs().filter_map(|attr| misspelled(&attr)));
                }
            }
            _ => {}
        }
    }
    out
}

fn is_lib(expr: &Expr) -> bool {
    matches!(expr, Expr::Ident(ident) if ident.syntax().text() == "lib")
}

/// Whether a `let` or a set that sees itself gives the name a meaning of the file's own.
fn binds_lib(root: &ast::Root) -> bool {
    root.syntax().descendants().any(|node| match node.kind() {
        SyntaxKind::NODE_LET_IN => ast::LetIn::cast(node)
            .is_some_and(|set| set.entries().any(|entry| is_named_lib(&entry))),
        SyntaxKind::NODE_ATTR_SET => ast::AttrSet::cast(node).is_some_and(|set| {
            set.rec_token().is_some() && set.entries().any(|entry| is_named_lib(&entry))
        }),
        _ => false,
    })
}

fn is_named_lib(entry: &ast::Entry) -> bool {
    let is_lib = |attr: &ast::Attr| static_name(attr).as_deref() == Some("lib");
    match entry {
        ast::Entry::Inherit(inherit) => inherit.attrs().any(|attr| is_lib(&attr)),
        ast::Entry::AttrpathValue(binding) => binding
            .attrpath()
            .and_then(|path| path.attrs().next())
            .is_some_and(|attr| is_lib(&attr)),
    }
}

fn misspelled(attr: &ast::Attr) -> Option<Fault> {
    let name = static_name(attr)?;
    if NAMES.contains(name.as_str()) {
        return None;
    }
    // `mapAttr`: the library is known whole, and few have a function of their own that lacks the plural of one.
    let several = || {
        let plural = format!("{name}s");
        NAMES
            .get(plural.as_str())
            .copied()
            .filter(|_| name.len() >= 7)
    };
    // `mkkIf`: nobody gives a function of their own such a name.
    let doubled = || {
        let mut names = NAMES.iter().copied();
        names.find(|known| slip::is_doubled(&name, known))
    };
    let meant = slip::likely(&name, || NAMES.iter().copied())
        .or_else(several)
        .or_else(doubled)?;
    let mut fault = fault(
        FaultKind::UnknownFunction,
        range_of(attr),
        format!("nixpkgs' library has no `{name}`"),
    );
    fault.help = Some(format!("did you mean `lib.{meant}`?"));
    Some(fault)
}

#[cfg(test)]
mod tests {
    use crate::nix::check::check;

    fn faults(text: &str) -> Vec<(String, String)> {
        check(text)
            .into_iter()
            .filter(|fault| fault.kind.name() == "unknown-function")
            .map(|fault| (fault.message, fault.help.unwrap_or_default()))
            .collect()
    }

    #[test]
    fn a_slip_in_a_function_of_the_library_is_told() {
        for text in [
            "{ lib, ... }: { a = lib.mkDefualt 1; }",
            "{ lib, ... }: { a = lib.mkDefalt 1; }",
            "{ lib, ... }: { a = lib.mkdefault 1; }",
            "{ lib, ... }: let inherit (lib) mkDefalt; in mkDefalt 1",
        ] {
            let found = faults(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!(found[0].1, "did you mean `lib.mkDefault`?", "{text}");
        }
        for (name, meant) in [
            ("mapAttr", "mapAttrs"),
            ("mkkIf", "mkIf"),
            ("modules.mkIff", "mkIf"),
            ("attrsets.filterAttr", "filterAttrs"),
            ("lists.flaten", "flatten"),
        ] {
            let found = faults(&format!("{{ lib, ... }}: {{ a = lib.{name} 1; }}"));
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert_eq!(found[0].1, format!("did you mean `lib.{meant}`?"));
        }
    }

    #[test]
    fn what_a_library_may_have_besides_is_left_alone() {
        for text in [
            "{ lib, ... }: { a = lib.mkDefault 1; b = lib.strings.toUpper \"a\"; }",
            "{ lib, ... }: { a = lib.mkOpt 1; b = lib.my.thing; c = lib.mkDefalt or 1; }",
            "{ lib, ... }: { a = lib.optionals' 1; b = lib.mkMerges 1; }",
            "{ ... }: let lib = import ./lib.nix; in lib.mkDefalt",
            "{ ... }: rec { lib = 1; a = lib.mkDefalt; }",
        ] {
            assert_eq!(faults(text), [], "{text}");
        }
    }
}
