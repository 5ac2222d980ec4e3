//! Finds what Nix would refuse in a Nix text, before Nix sees it.
//!
//! rnix reports syntax errors. What it lets pass, and Nix does not, is found here on its tree: attributes and arguments
//! defined twice, variables that nobody binds, numbers out of range, a NUL. Two things that Nix takes and nobody wants are
//! warnings: a URL or a `word:word` without quotes, and a binding that is never used.
//!
//! The types of values are not looked at; the option index does that for NixOS options. Nothing is evaluated.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use rnix::SyntaxKind;
use rnix::ast::{self, Expr, HasEntry};
use rowan::ast::AstNode;

use super::fault::{Fault, FaultKind, fault};
use super::library;
use super::parse::{parse, range_of, static_name, without_parentheses};
use crate::near::nearest_within;

/// All faults of a Nix text, in the order of their places.
pub fn check(text: &str) -> Vec<Fault> {
    match parse(text) {
        Ok(root) => check_tree(&root),
        Err(fault) => vec![fault],
    }
}

/// The faults of a tree that has no syntax error, in the order of their places.
pub(super) fn check_tree(root: &ast::Root) -> Vec<Fault> {
    let mut checker = Checker {
        faults: Vec::new(),
        unbound: 0,
    };
    if let Some(expr) = root.expr() {
        checker.expr(&expr, &Scope::Globals);
    }
    checker.faults.extend(library::faults(root));
    checker
        .faults
        .sort_by_key(|fault| (fault.range.start, fault.range.end, fault.kind));
    checker.faults
}

/// Names that Nix gives to every file. All builtins are there with two underscores in front as well.
const GLOBALS: [&str; 23] = [
    "abort",
    "baseNameOf",
    "break",
    "builtins",
    "derivation",
    "derivationStrict",
    "dirOf",
    "false",
    "fetchGit",
    "fetchMercurial",
    "fetchTarball",
    "fetchTree",
    "fromTOML",
    "import",
    "isNull",
    "map",
    "null",
    "placeholder",
    "removeAttrs",
    "scopedImport",
    "throw",
    "toString",
    "true",
];

/// For so many names that nobody has bound it is said which may be meant: no reader looks at more.
const MOST_MEANT: usize = 100;

/// What names mean at a place.
enum Scope<'a> {
    Globals,
    /// Bound by `let`, by `rec` or by a function.
    Names {
        names: BTreeMap<String, Binding>,
        outer: &'a Scope<'a>,
    },
    /// Inside `with`: any name may be there.
    With {
        outer: &'a Scope<'a>,
    },
}

struct Binding {
    range: Range<usize>,
    used: Cell<bool>,
    /// Whether to say so if it is not used.
    wanted: bool,
}

impl Scope<'_> {
    /// Whether the name is bound, as far as can be seen; notes its use.
    fn uses(&self, name: &str) -> bool {
        let mut scope = self;
        let mut with = false;
        loop {
            match scope {
                Scope::Globals => return with || GLOBALS.contains(&name) || name.starts_with("__"),
                Scope::With { outer } => {
                    with = true;
                    scope = outer;
                }
                Scope::Names { names, outer } => {
                    if let Some(binding) = names.get(name) {
                        binding.used.set(true);
                        return true;
                    }
                    scope = outer;
                }
            }
        }
    }

    /// The bound name that is spelled most like this one.
    fn nearest(&self, name: &str) -> Option<&str> {
        let mut candidates: Vec<&str> = GLOBALS.to_vec();
        let mut scope = self;
        loop {
            match scope {
                Scope::Globals => {
                    return nearest_within(name, name.len().div_ceil(4).max(1), candidates);
                }
                Scope::With { outer } => scope = outer,
                Scope::Names { names, outer } => {
                    candidates.extend(names.keys().map(String::as_str));
                    scope = outer;
                }
            }
        }
    }
}

/// What a name stands for while duplicates are looked for.
enum Slot {
    /// An attribute set in place, which takes more attributes by Nix's rules.
    Set(Slots),
    Other,
}

type Slots = BTreeMap<String, Slot>;

struct Checker {
    faults: Vec<Fault>,
    /// How many names nobody has bound, so far.
    unbound: usize,
}

impl Checker {
    fn report(&mut self, kind: FaultKind, range: Range<usize>, message: String) {
        self.faults.push(fault(kind, range, message));
    }

    fn expr(&mut self, expr: &Expr, scope: &Scope) {
        match expr {
            Expr::Ident(ident) => {
                self.variable(&ident.syntax().text().to_string(), range_of(ident), scope);
            }
            Expr::Literal(literal) => self.literal(literal),
            Expr::AttrSet(set) => {
                self.duplicates(set);
                self.attribute_set(set, scope);
            }
            Expr::LegacyLet(set) => {
                self.duplicates(set);
                self.bindings(set, true, scope, false, |_, _| {});
            }
            Expr::LetIn(set) => {
                self.duplicates(set);
                self.bindings(set, true, scope, true, |checker, scope| {
                    if let Some(body) = set.body() {
                        checker.expr(&body, scope);
                    }
                });
            }
            Expr::Lambda(lambda) => self.lambda(lambda, scope),
            Expr::With(with) => {
                if let Some(namespace) = with.namespace() {
                    self.expr(&namespace, scope);
                }
                if let Some(body) = with.body() {
                    self.expr(&body, &Scope::With { outer: scope });
                }
            }
            Expr::BinOp(operation) => {
                if let Some(ast::BinOpKind::PipeLeft | ast::BinOpKind::PipeRight) =
                    operation.operator()
                {
                    let message =
                        "the pipe operator is an experiment that Nix does not take by itself";
                    self.report(FaultKind::Syntax, range_of(operation), message.to_owned());
                }
                self.children(expr.syntax(), scope);
            }
            Expr::Apply(_)
            | Expr::Assert(_)
            | Expr::CurPos(_)
            | Expr::Error(_)
            | Expr::HasAttr(_)
            | Expr::IfElse(_)
            | Expr::List(_)
            | Expr::Paren(_)
            | Expr::PathAbs(_)
            | Expr::PathHome(_)
            | Expr::PathRel(_)
            | Expr::PathSearch(_)
            | Expr::Root(_)
            | Expr::Select(_)
            | Expr::Str(_)
            | Expr::UnaryOp(_) => self.children(expr.syntax(), scope),
        }
    }

    /// The expressions directly below a node, also those inside attribute paths and strings.
    fn children(&mut self, node: &rnix::SyntaxNode, scope: &Scope) {
        for child in node.children() {
            if child.kind() == SyntaxKind::NODE_ATTRPATH {
                // Plain names in it are no variables.
                for part in child.children() {
                    if part.kind() != SyntaxKind::NODE_IDENT {
                        self.children(&part, scope);
                    }
                }
            } else if let Some(expr) = Expr::cast(child.clone()) {
                self.expr(&expr, scope);
            } else {
                self.children(&child, scope);
            }
        }
    }

    fn variable(&mut self, name: &str, range: Range<usize>, scope: &Scope) {
        if !scope.uses(name) {
            let mut fault = fault(
                FaultKind::UnboundName,
                range,
                format!("nothing is called `{}` here", name.escape_debug()),
            );
            // Each is held against all names there are, so of very many only the first.
            self.unbound += 1;
            if self.unbound <= MOST_MEANT {
                fault.help = scope
                    .nearest(name)
                    .map(|near| format!("did you mean `{near}`?"));
            }
            self.faults.push(fault);
        }
    }

    fn literal(&mut self, literal: &ast::Literal) {
        let text = literal.syntax().text().to_string();
        let range = range_of(literal);
        match literal.kind() {
            ast::LiteralKind::Integer(_) if text.parse::<i64>().is_err() => {
                self.report(
                    FaultKind::IntegerRange,
                    range,
                    format!("`{text}` is more than Nix's largest integer, {}", i64::MAX),
                );
            }
            ast::LiteralKind::Float(_) if !is_in_range(&text) => {
                self.report(
                    FaultKind::FloatRange,
                    range,
                    format!("`{text}` is beyond what Nix reads as a float"),
                );
            }
            ast::LiteralKind::Uri(_) => {
                let mut fault = fault(
                    FaultKind::UrlLiteral,
                    range,
                    format!("`{text}` is a string without quotes"),
                );
                fault.help = Some("put it in quotes".to_owned());
                self.faults.push(fault);
            }
            ast::LiteralKind::Integer(_) | ast::LiteralKind::Float(_) => {}
        }
    }

    /// Names and values of a set; what is defined twice has been looked for already.
    fn attribute_set(&mut self, set: &ast::AttrSet, scope: &Scope) {
        self.bindings(set, set.rec_token().is_some(), scope, false, |_, _| {});
    }

    /// The entries of a set or a `let`. With `recursive` they see each other; `body` sees what they bind.
    fn bindings(
        &mut self,
        set: &impl HasEntry,
        recursive: bool,
        scope: &Scope,
        wanted: bool,
        body: impl FnOnce(&mut Self, &Scope),
    ) {
        let mut names = BTreeMap::new();
        if recursive {
            for (name, range) in bound_names(set) {
                names.entry(name).or_insert(Binding {
                    range,
                    used: Cell::new(false),
                    wanted,
                });
            }
        }
        let inner = Scope::Names {
            names,
            outer: scope,
        };
        let here = if recursive { &inner } else { scope };
        for entry in set.entries() {
            match entry {
                ast::Entry::AttrpathValue(binding) => {
                    if let Some(path) = binding.attrpath() {
                        for part in path.attrs() {
                            if !matches!(part, ast::Attr::Ident(_)) {
                                self.children(part.syntax(), here);
                            }
                        }
                    }
                    if let Some(value) = binding.value() {
                        self.value(&value, here);
                    }
                }
                ast::Entry::Inherit(inherit) => match inherit.from() {
                    Some(from) => self.children(from.syntax(), here),
                    None => {
                        // `inherit x` means the `x` outside, also in a recursive set.
                        for attr in inherit.attrs() {
                            if let Some(name) = static_name(&attr) {
                                self.variable(&name, range_of(&attr), scope);
                            }
                        }
                    }
                },
            }
        }
        body(self, &inner);
        self.unused(inner);
    }

    /// A value of an attribute: if it is a set, its duplicates were counted with those of the set around it.
    fn value(&mut self, value: &Expr, scope: &Scope) {
        match without_parentheses(value) {
            Expr::AttrSet(set) => self.attribute_set(&set, scope),
            other => self.expr(&other, scope),
        }
    }

    fn unused(&mut self, scope: Scope) {
        let Scope::Names { names, .. } = scope else {
            return;
        };
        for (name, binding) in names {
            if binding.wanted && !binding.used.get() && !name.starts_with('_') {
                self.report(
                    FaultKind::UnusedBinding,
                    binding.range,
                    format!("`{}` is never used", name.escape_debug()),
                );
            }
        }
    }

    fn lambda(&mut self, lambda: &ast::Lambda, scope: &Scope) {
        let mut names: BTreeMap<String, Binding> = BTreeMap::new();
        let pattern = match lambda.param() {
            None => None,
            Some(ast::Param::IdentParam(param)) => {
                if let Some(ident) = param.ident() {
                    let binding = Binding {
                        range: range_of(&ident),
                        used: Cell::new(false),
                        wanted: false,
                    };
                    names.insert(ident.syntax().text().to_string(), binding);
                }
                None
            }
            Some(ast::Param::Pattern(pattern)) => Some(pattern),
        };
        if let Some(pattern) = &pattern {
            let whole = pattern.pat_bind().and_then(|bind| bind.ident());
            // What is not named may still be used through the name of the whole.
            let wanted = whole.is_none();
            let formals = pattern
                .pat_entries()
                .filter_map(|entry| entry.ident())
                .map(|ident| (ident, wanted));
            for (ident, wanted) in formals.chain(whole.map(|ident| (ident, false))) {
                let name = ident.syntax().text().to_string();
                let binding = Binding {
                    range: range_of(&ident),
                    used: Cell::new(false),
                    wanted,
                };
                match names.entry(name) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(binding);
                    }
                    Entry::Occupied(name) => {
                        let message = format!("argument `{}` is there twice", name.key());
                        self.report(FaultKind::DuplicateFormal, binding.range, message);
                    }
                }
            }
        }
        let inner = Scope::Names {
            names,
            outer: scope,
        };
        for entry in pattern.iter().flat_map(ast::Pattern::pat_entries) {
            if let Some(default) = entry.default() {
                self.expr(&default, &inner);
            }
        }
        if let Some(body) = lambda.body() {
            self.expr(&body, &inner);
        }
        self.unused(inner);
    }

    fn duplicates(&mut self, set: &impl HasEntry) {
        let mut slots = Slots::new();
        self.add_entries(set, &mut slots, &mut Vec::new());
    }

    fn add_entries(&mut self, set: &impl HasEntry, slots: &mut Slots, around: &mut Vec<String>) {
        for entry in set.entries() {
            match entry {
                ast::Entry::Inherit(inherit) => {
                    for attr in inherit.attrs() {
                        let Some(name) = static_name(&attr) else {
                            continue;
                        };
                        let range = range_of(&attr);
                        match slots.entry(name) {
                            Entry::Vacant(vacant) => {
                                vacant.insert(Slot::Other);
                            }
                            Entry::Occupied(name) => {
                                self.defined_twice(around, std::slice::from_ref(name.key()), range);
                            }
                        }
                    }
                }
                ast::Entry::AttrpathValue(binding) => {
                    let Some(path) = binding.attrpath() else {
                        continue;
                    };
                    let value = binding.value().map(|value| without_parentheses(&value));
                    match path
                        .attrs()
                        .map(|attr| static_name(&attr))
                        .collect::<Option<Vec<_>>>()
                    {
                        Some(names) => {
                            self.add(slots, &names, range_of(&path), value.as_ref(), around);
                        }
                        // A computed name is not known before Nix runs: what is below it is a set of its own.
                        None => {
                            if let Some(Expr::AttrSet(set)) = &value {
                                self.add_entries(set, &mut Slots::new(), around);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Adds `names = value` by the rules of Nix: a path leads through any set in place, and two sets in place under one name
    /// become one if they share no attribute.
    fn add(
        &mut self,
        slots: &mut Slots,
        names: &[String],
        range: Range<usize>,
        value: Option<&Expr>,
        around: &mut Vec<String>,
    ) {
        let depth = around.len();
        let mut slots = slots;
        for (index, name) in names.iter().enumerate() {
            if index + 1 < names.len() {
                let slot = slots
                    .entry(name.clone())
                    .or_insert_with(|| Slot::Set(Slots::new()));
                let Slot::Set(below) = slot else {
                    self.defined_twice(around, std::slice::from_ref(name), range);
                    break;
                };
                slots = below;
                around.push(name.clone());
                continue;
            }
            let mut new = Slots::new();
            let set = match value {
                Some(Expr::AttrSet(set)) => {
                    around.push(name.clone());
                    self.add_entries(set, &mut new, around);
                    around.pop();
                    Some(set)
                }
                _ => None,
            };
            match (slots.get_mut(name), set) {
                (None, Some(_)) => {
                    slots.insert(name.clone(), Slot::Set(new));
                }
                (None, None) => {
                    slots.insert(name.clone(), Slot::Other);
                }
                (Some(Slot::Set(present)), Some(_)) => {
                    for (inner, slot) in new {
                        match present.entry(inner) {
                            Entry::Vacant(vacant) => {
                                vacant.insert(slot);
                            }
                            Entry::Occupied(inner) => {
                                let names = [name.clone(), inner.key().clone()];
                                self.defined_twice(around, &names, range.clone());
                            }
                        }
                    }
                }
                (Some(_), _) => {
                    self.defined_twice(around, std::slice::from_ref(name), range.clone());
                }
            }
        }
        around.truncate(depth);
    }

    fn defined_twice(&mut self, around: &[String], names: &[String], range: Range<usize>) {
        let path: Vec<String> = around
            .iter()
            .chain(names)
            .map(|name| super::name::attribute_name(name))
            .collect();
        self.report(
            FaultKind::DuplicateAttribute,
            range,
            format!("`{}` is defined twice", path.join(".")),
        );
    }
}

/// Whether Nix reads the digits: neither too large for a float, nor so near to zero that digits are lost.
fn is_in_range(digits: &str) -> bool {
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    let is_zero = !mantissa.bytes().any(|b| matches!(b, b'1'..=b'9'));
    digits
        .parse::<f64>()
        .is_ok_and(|value| value.is_normal() || is_zero)
}

/// The names that the entries bind, for a recursive set or a `let`.
fn bound_names(set: &impl HasEntry) -> Vec<(String, Range<usize>)> {
    let mut names = Vec::new();
    for entry in set.entries() {
        match entry {
            ast::Entry::AttrpathValue(binding) => {
                let first = binding.attrpath().and_then(|path| path.attrs().next());
                names.extend(first.and_then(|attr| Some((static_name(&attr)?, range_of(&attr)))));
            }
            ast::Entry::Inherit(inherit) => {
                names.extend(
                    inherit
                        .attrs()
                        .filter_map(|attr| Some((static_name(&attr)?, range_of(&attr)))),
                );
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::nix::parse::DEEPEST;
    use crate::nix::{Level, line_and_column};

    /// The kinds of the faults with the text at fault.
    fn faults(text: &str) -> Vec<(&'static str, &str)> {
        check(text)
            .into_iter()
            .map(|Fault { kind, range, .. }| (kind.name(), &text[range]))
            .collect()
    }

    #[test]
    fn seeded_faults_are_caught_by_name_and_place() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("{ a = 1 }", &[("syntax", "}")]),
            ("{ a = 1; ", &[("syntax", "")]),
            ("{ a = ; b = ; }", &[("syntax", ";")]),
            ("\u{feff}{ }", &[("syntax", "\u{feff}")]),
            ("\"a\0b\"", &[("nul", "\0")]),
            ("1 |> 2", &[("syntax", "1 |> 2")]),
            ("./a/", &[("syntax", "./a/")]),
            ("map x: x [ 1 ]", &[("syntax", "x: x [ 1 ]")]),
            ("[ x: x ]", &[("syntax", "x: x")]),
            ("map { a }: a", &[("syntax", "{ a }: a")]),
            ("1 + x: x", &[("syntax", "x: x")]),
            ("! x: x", &[("syntax", "x: x")]),
            ("true -> x: x", &[("syntax", "x: x")]),
            ("a: { inherit ${a}; }", &[("syntax", "${a}")]),
            ("a: { inherit (a) \"${a}\"; }", &[("syntax", "\"${a}\"")]),
            ("<a/>", &[("syntax", "<a/>")]),
            ("{ a = 1; a = 2; }", &[("duplicate-attribute", "a")]),
            ("{ a = 1; \"a\" = 2; }", &[("duplicate-attribute", "\"a\"")]),
            (
                "{ a = 1; ${\"a\"} = 2; }",
                &[("duplicate-attribute", "${\"a\"}")],
            ),
            ("{ a = 1; a.b = 2; }", &[("duplicate-attribute", "a.b")]),
            (
                "{ a.b = 1; a.\"b\" = 2; }",
                &[("duplicate-attribute", "a.\"b\"")],
            ),
            ("{ a.b = 1; a = 2; }", &[("duplicate-attribute", "a")]),
            (
                "{ a = { c = 1; }; a.c = 2; }",
                &[("duplicate-attribute", "a.c")],
            ),
            (
                "{ a.b = 1; a = { b = 2; }; }",
                &[("duplicate-attribute", "a")],
            ),
            (
                "{ a = { b = { x = 1; }; }; a = { b = { y = 1; }; }; }",
                &[("duplicate-attribute", "a")],
            ),
            (
                "{ a = let x = 1; in { c = x; }; a.d = 1; }",
                &[("duplicate-attribute", "a.d")],
            ),
            (
                "{ a = { c = 1; c = 2; }; }",
                &[("duplicate-attribute", "c")],
            ),
            (
                "{ ${toString 1} = { c = 1; c = 2; }; }",
                &[("duplicate-attribute", "c")],
            ),
            (
                "[ (rec { c = 1; c = 2; }) ]",
                &[("duplicate-attribute", "c")],
            ),
            (
                "{ inherit ({ }) a; a = 1; }",
                &[("duplicate-attribute", "a")],
            ),
            (
                "{ inherit ({ }) a; a.b = 1; }",
                &[("duplicate-attribute", "a.b")],
            ),
            ("{ inherit ({ }) a a; }", &[("duplicate-attribute", "a")]),
            ("let a = 1; a = 2; in a", &[("duplicate-attribute", "a")]),
            ("{ a, b, a }: [ a b ]", &[("duplicate-formal", "a")]),
            ("a@{ a }: a", &[("duplicate-formal", "a")]),
            (
                "{ config, lib, ... }: [ confg config lib ]",
                &[("unbound-name", "confg")],
            ),
            ("{ inherit a; }", &[("unbound-name", "a")]),
            ("{ inherit \"a\"; }", &[("unbound-name", "\"a\"")]),
            ("{ a = 1; b = a; }", &[("unbound-name", "a")]),
            ("rec { inherit a; b = a; }", &[("unbound-name", "a")]),
            ("\"${a}\"", &[("unbound-name", "a")]),
            ("''\n  ${a}\n''", &[("unbound-name", "a")]),
            ("{ \"${a}\" = 1; }", &[("unbound-name", "a")]),
            ("{ }.${a}", &[("unbound-name", "a")]),
            ("{ } ? ${a}", &[("unbound-name", "a")]),
            ("./${a}", &[("unbound-name", "a")]),
            ("(x: x) x", &[("unbound-name", "x")]),
            ("with a; b", &[("unbound-name", "a")]),
            ("{ a ? b }: a", &[("unbound-name", "b")]),
            ("assert a; 1", &[("unbound-name", "a")]),
            ("if a then 1 else 2", &[("unbound-name", "a")]),
            ("0x10", &[("unbound-name", "x10")]),
            (
                "9223372036854775808",
                &[("integer-range", "9223372036854775808")],
            ),
            ("1.5e400", &[("float-range", "1.5e400")]),
            ("1.0e-310", &[("float-range", "1.0e-310")]),
            ("1.0e-400", &[("float-range", "1.0e-400")]),
            (
                "[ https://example.org dead:beef ]",
                &[
                    ("url-literal", "https://example.org"),
                    ("url-literal", "dead:beef"),
                ],
            ),
            ("let a = 1; in 2", &[("unused-binding", "a")]),
            (
                "let a = 1; in x: let b = a; in x",
                &[("unused-binding", "b")],
            ),
            ("{ config, lib, ... }: config", &[("unused-binding", "lib")]),
            ("let inherit ({ }) a b; in a", &[("unused-binding", "b")]),
            (
                "{ b = x; a = y; }",
                &[("unbound-name", "x"), ("unbound-name", "y")],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(faults(text), *expected, "{text}");
        }
    }

    #[test]
    fn what_nix_takes_is_no_fault() {
        for text in [
            "{ a.b = 1; a.c = 2; }",
            "{ a = { c = 1; }; a = { d = 1; }; }",
            "{ a = ({ c = 1; }); a.d = 1; }",
            "{ a = rec { c = 1; }; a.d = 2; }",
            "{ a = { b.x = 1; }; a.b.y = 2; }",
            "{ a.b = { c = 1; }; a = { d = 1; }; }",
            "{ \"${\"a\"}\" = 1; a = 2; }",
            "let a = { b = 1; }; a.c = 2; in a",
            "let { body = x; x = 1; }",
            "rec { a.b = 1; c = a; }",
            "with { }; a",
            "a: with a; b",
            "{ a ? b, b ? 1 }: a",
            "args@{ a, ... }: args",
            "{ a, ... }@args: args.b",
            "{ }.a or null",
            "map toString [ 1 (-1) 1.5 .5 ] ++ __attrNames { }",
            "import ./a.nix { }",
            "{ or = 1; if' = 2; }",
            "9223372036854775807",
            "[ 0.0 0.0e-400 2.3e-308 ]",
            "let x = 1; in { inherit x; }",
            "_: 1",
            "let _a = 1; in 2",
            "builtins.storeDir",
            "__curPos",
            "<nixpkgs>",
            "<nixpkgs/lib>",
            "map (x: x) [ (y: y) ]",
            "x: y: if x then y else z: z",
            "{ inherit (builtins) \"map\" ${\"add\"}; }",
            "\"$${a}\"",
            "''$${a} ''${b}''",
        ] {
            assert_eq!(faults(text), [], "{text}");
        }
    }

    #[test]
    fn a_name_of_several_lines_is_told_in_one() {
        for text in ["let \"a\\nb\" = 1; in 2", "{ inherit \"a\nb\"; }"] {
            let found = check(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].message.contains(r"`a\nb`"), "{found:?}");
        }
    }

    #[test]
    fn help_names_what_was_meant() {
        let fault = &check("{ config, ... }: confg.x + config.y")[0];
        assert_eq!(fault.message, "nothing is called `confg` here");
        assert_eq!(fault.help.as_deref(), Some("did you mean `config`?"));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = format!("{}1{}", "[ ".repeat(DEEPEST * 2), " ]".repeat(DEEPEST * 2));
        assert_eq!(check(&nested)[0].kind, FaultKind::Syntax);
        let sum = format!("1{}", " + 1".repeat(3 * DEEPEST));
        assert_eq!(check(&sum)[0].kind, FaultKind::Syntax);
        let as_deep_as_allowed = format!("1{}", " + 1".repeat(DEEPEST - 5));
        assert_eq!(check(&as_deep_as_allowed), []);
    }

    #[test]
    fn names_of_kinds_are_unique() {
        let mut names: Vec<_> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FaultKind::ALL.len());
        assert_eq!(FaultKind::UnusedBinding.level(), Level::Warning);
    }

    #[test]
    fn lines_and_columns_count_from_one() {
        assert_eq!(line_and_column("ä\nbö x", 0), (1, 1));
        assert_eq!(line_and_column("ä\nböx", 6), (2, 3));
        assert_eq!(line_and_column("a", 99), (1, 2));
    }
}
