//! Walks the definitions of a module and holds each against the index.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use rnix::ast::{self, Expr};
use serde_json::Value as Json;

use super::index::{Index, NodeId, State};
use super::pattern::Pattern;
use super::types::{Type, TypeId};
use super::value::{Member, Shape, Value};
use super::{Rules, SettingFault};
use crate::nix::check::{Fault, FaultKind, fault, without_parentheses};
use crate::nix::expr::AttrPath;
use crate::nix::nearest;

/// What a module says about itself; no options.
const MODULE_KEYS: [&str; 10] =
    ["_class", "_file", "_module", "disabledModules", "freeformType", "imports", "key", "meta", "options", "require"];

const ROOT: NodeId = 0;

pub(super) fn faults(root: &ast::Root, rules: &Rules) -> Vec<Fault> {
    let Some(expr) = root.expr() else { return Vec::new() };
    let mut judge = Judge::new(rules);
    let mut out = Vec::new();
    judge.module(&Value::of(&expr), &mut Vec::new(), &mut out);
    out
}

pub(super) fn setting_faults(path: &AttrPath, json: &Json, rules: &Rules) -> Vec<SettingFault> {
    let mut places = Vec::new();
    let mut value = Value::of_json(json, &mut Vec::new(), &mut places);
    for name in path.names().iter().rev() {
        let member = Member { name: Some(name.clone()), place: 0..0, value };
        value = Value { shape: Shape::Attrs(vec![member]), place: 0..0 };
    }
    let mut out = Vec::new();
    Judge::new(rules).namespace(ROOT, &value, &mut Vec::new(), false, &mut out);
    out.into_iter()
        .map(|Fault { kind, range, message, help }| SettingFault {
            kind,
            place: places.get(range.start).cloned().unwrap_or_default(),
            message,
            help,
        })
        .collect()
}

pub(super) fn looks_like_one(root: &ast::Root, index: &Index) -> bool {
    let Some(mut expr) = root.expr().map(|expr| without_parentheses(&expr)) else { return false };
    let mut takes_module_arguments = false;
    loop {
        let inner = match &expr {
            Expr::Lambda(lambda) => {
                let Some(ast::Param::Pattern(pattern)) = lambda.param() else { return false };
                let arguments: Vec<String> =
                    pattern.pat_entries().filter_map(|entry| entry.ident()).map(|ident| ident.to_string()).collect();
                let known = ["config", "lib", "modulesPath", "options", "pkgs"];
                // A module is given more arguments than it names.
                takes_module_arguments =
                    pattern.ellipsis_token().is_some() && arguments.iter().any(|name| known.contains(&name.as_str()));
                if !takes_module_arguments {
                    return false;
                }
                lambda.body()
            }
            Expr::LetIn(inner) => inner.body(),
            Expr::With(inner) => inner.body(),
            _ => break,
        };
        match inner {
            Some(inner) => expr = without_parentheses(&inner),
            None => return false,
        }
    }
    if !matches!(expr, Expr::AttrSet(_)) {
        return false;
    }
    let Shape::Attrs(members) = Value::of(&expr).shape else { return false };
    let named = |name: &str| members.iter().any(|member| member.name.as_deref() == Some(name));
    takes_module_arguments
        || (!named("outputs") && ["imports", "config", "options"].into_iter().any(named))
        || members.iter().any(|member| leads_to_option(member, ROOT, index))
}

fn leads_to_option(member: &Member, node: NodeId, index: &Index) -> bool {
    let Some(child) = member.name.as_ref().and_then(|name| index.child(node, name)) else { return false };
    if index.node(child).states.is_some() {
        return true;
    }
    match &member.value.shape {
        Shape::Attrs(members) => members.iter().any(|member| leads_to_option(member, child, index)),
        _ => false,
    }
}

struct Judge<'a> {
    rules: &'a Rules<'a>,
    snapshots: RangeInclusive<usize>,
    /// Options that the module itself declares.
    declared: Vec<Vec<String>>,
    patterns: RefCell<BTreeMap<String, Option<Pattern>>>,
}

impl<'a> Judge<'a> {
    fn new(rules: &'a Rules<'a>) -> Self {
        Self {
            rules,
            snapshots: rules.index.snapshots_for(rules.release),
            declared: Vec::new(),
            patterns: RefCell::default(),
        }
    }

    fn index(&self) -> &'a Index {
        self.rules.index
    }

    /// A module: a set of definitions, or one with `config` and `options`, or a function that gives it.
    fn module(&mut self, value: &Value, path: &mut Vec<String>, out: &mut Vec<Fault>) {
        match &value.shape {
            Shape::Function(body) => self.module(body, path, out),
            Shape::Many(values) => {
                for value in values {
                    self.module(value, path, out);
                }
            }
            Shape::Attrs(members) => {
                for member in members.iter().filter(|member| member.name.as_deref() == Some("options")) {
                    declared(&member.value, &mut Vec::new(), &mut self.declared);
                }
                let split = members.iter().any(|member| matches!(member.name.as_deref(), Some("config" | "options")));
                for member in members {
                    match member.name.as_deref() {
                        Some(name) if MODULE_KEYS.contains(&name) => {}
                        Some("config") => self.namespace(ROOT, &member.value, path, false, out),
                        Some(name) if split => {
                            let message = format!("`{name}` stands beside `config` or `options`, where NixOS takes no options");
                            let mut fault = fault(FaultKind::UnknownOption, member.place.clone(), message);
                            fault.help = Some(format!("move `{name}` into `config`"));
                            out.push(fault);
                        }
                        Some(_) | None => self.member(ROOT, member, path, false, out),
                    }
                }
            }
            Shape::Null
            | Shape::Bool(_)
            | Shape::Int(_)
            | Shape::Float(_)
            | Shape::Text(_)
            | Shape::SomeText
            | Shape::Path
            | Shape::List(_)
            | Shape::Unknown => {}
        }
    }

    /// Definitions below a name that is no option itself.
    fn namespace(&self, node: NodeId, value: &Value, path: &mut Vec<String>, listed: bool, out: &mut Vec<Fault>) {
        match &value.shape {
            Shape::Attrs(members) => {
                for member in members {
                    self.member(node, member, path, listed, out);
                }
            }
            Shape::Many(values) => {
                for value in values {
                    self.namespace(node, value, path, listed, out);
                }
            }
            Shape::Unknown | Shape::Function(_) => {}
            Shape::Null
            | Shape::Bool(_)
            | Shape::Int(_)
            | Shape::Float(_)
            | Shape::Text(_)
            | Shape::SomeText
            | Shape::Path
            | Shape::List(_) => {
                let message = format!("`{}` is a set of options, not {}", shown(path), described(&value.shape));
                out.push(fault(FaultKind::OptionType, value.place.clone(), message));
            }
        }
    }

    fn member(&self, node: NodeId, member: &Member, path: &mut Vec<String>, listed: bool, out: &mut Vec<Fault>) {
        // A computed name can be any.
        let Some(name) = &member.name else { return };
        path.push(name.clone());
        if !self.is_allowed(path) {
            match self.index().child(node, name) {
                Some(child) => {
                    let listed = listed || self.index().node(child).listed;
                    self.definition(child, member, path, listed, out);
                }
                None => self.unknown(node, member, path, listed, out),
            }
        }
        path.pop();
    }

    /// Whether another module, or this one, declares the option, or one below it.
    fn is_allowed(&self, path: &[String]) -> bool {
        let names = self.rules.allowed.iter().map(AttrPath::names).chain(self.declared.iter().map(Vec::as_slice));
        names.into_iter().any(|names| path.iter().zip(names).all(|(a, b)| a == b) && !(names.len() > path.len() && self.is_known(path)))
    }

    /// Whether the index has a node of that path, names of submodules aside.
    fn is_known(&self, path: &[String]) -> bool {
        path.iter().try_fold(ROOT, |node, name| self.index().child(node, name)).is_some()
    }

    /// Whether every option of the release is known there.
    fn is_complete(&self, listed: bool) -> bool {
        self.index().snapshots[self.snapshots.clone()].iter().all(|snapshot| listed || snapshot.all)
    }

    fn definition(&self, node: NodeId, member: &Member, path: &mut Vec<String>, listed: bool, out: &mut Vec<Fault>) {
        let Some(states) = &self.index().node(node).states else {
            self.namespace(node, &member.value, path, listed, out);
            return;
        };
        let name = shown(path);
        let place = member.place.clone();
        let here = &states[self.snapshots.clone()];
        let types: Vec<TypeId> = here
            .iter()
            .filter_map(|state| match state {
                State::Type(id) => Some(*id),
                State::Absent | State::Renamed(_) | State::Removed(_) => None,
            })
            .collect();
        if !types.is_empty() {
            out.extend(self.any_of(&types, &member.value, node, path, listed));
            return;
        }
        let new_name = here.iter().find_map(|state| match state {
            State::Renamed(to) => Some((to, false)),
            State::Removed(Some(to)) => Some((to, true)),
            State::Absent | State::Type(_) | State::Removed(None) => None,
        });
        if let Some((to, gone)) = new_name {
            let to = with_names(to, path);
            let kind = if gone { FaultKind::RemovedOption } else { FaultKind::RenamedOption };
            let mut fault = fault(kind, place, format!("`{name}` is now called `{to}`"));
            fault.help = Some(format!("write `{to}`"));
            out.push(fault);
        } else if here.iter().any(|state| matches!(state, State::Removed(_))) {
            out.push(fault(FaultKind::RemovedOption, place, format!("`{name}` is gone from NixOS {}", self.rules.release)));
        } else if self.is_complete(listed) {
            let later = states[*self.snapshots.end() + 1..].iter().any(|state| matches!(state, State::Type(_)));
            let kind = if later { FaultKind::OptionTooNew } else { FaultKind::RemovedOption };
            let message = if later {
                format!("`{name}` is not in NixOS {} yet", self.rules.release)
            } else {
                format!("`{name}` is not in NixOS {} any more", self.rules.release)
            };
            out.push(fault(kind, place, message));
        }
    }

    fn unknown(&self, parent: NodeId, member: &Member, path: &[String], listed: bool, out: &mut Vec<Fault>) {
        let node = self.index().node(parent);
        if node.partial {
            return;
        }
        let name = path.last().map_or("", String::as_str);
        let near = nearest(name, node.children.keys().map(AsRef::as_ref));
        let complete = self.is_complete(listed);
        // A short name has too many neighbours to be called a slip.
        let suspect = near.is_some() && name.chars().count() > 4;
        if complete || suspect {
            let message = if complete {
                format!("NixOS has no option `{}`", shown(path))
            } else {
                format!("`{}` is not known as an option of NixOS", shown(path))
            };
            let kind = if complete { FaultKind::UnknownOption } else { FaultKind::SuspectOption };
            let mut fault = fault(kind, member.place.clone(), message);
            fault.help = near.map(|near| {
                let mut meant = path[..path.len() - 1].to_vec();
                meant.push(near);
                format!("did you mean `{}`?", shown(&meant))
            });
            out.push(fault);
        }
    }

    /// What is wrong with a value that may be of any of these types.
    fn any_of(&self, types: &[TypeId], value: &Value, node: NodeId, path: &mut Vec<String>, listed: bool) -> Vec<Fault> {
        let mut deeper = None;
        let mut last = Vec::new();
        for id in types {
            let mut found = Vec::new();
            self.judge(*id, *id, value, node, path, listed, &mut found);
            if !found.iter().any(is_serious) {
                return found;
            }
            // The alternative that the value is of, but for something inside it, tells more.
            if !found.iter().any(|fault| fault.kind == FaultKind::OptionType && fault.range == value.place) {
                deeper.get_or_insert_with(|| found.clone());
            }
            last = found;
        }
        deeper.unwrap_or(last)
    }

    /// Holds a value against a type; `whole` is the type to name if it is not of it.
    #[expect(clippy::too_many_arguments, reason = "what a value is held against, and where")]
    fn judge(
        &self,
        id: TypeId,
        whole: TypeId,
        value: &Value,
        node: NodeId,
        path: &mut Vec<String>,
        listed: bool,
        out: &mut Vec<Fault>,
    ) {
        match &value.shape {
            Shape::Unknown => return,
            Shape::Many(values) => {
                for value in values {
                    self.judge(id, whole, value, node, path, listed, out);
                }
                return;
            }
            Shape::Null
            | Shape::Bool(_)
            | Shape::Int(_)
            | Shape::Float(_)
            | Shape::Text(_)
            | Shape::SomeText
            | Shape::Path
            | Shape::List(_)
            | Shape::Attrs(_)
            | Shape::Function(_) => {}
        }
        let fits = match (self.index().types.get(id), &value.shape) {
            (Type::Any, _)
            | (Type::Bool, Shape::Bool(_))
            | (Type::Float | Type::Number(false), Shape::Float(_))
            | (Type::Number(false), Shape::Int(_))
            | (Type::Text(_) | Type::Matching(_) | Type::Path(_) | Type::Package, Shape::SomeText)
            | (Type::Path(_) | Type::Package | Type::Submodule | Type::Freeform(_) | Type::System, Shape::Path)
            | (Type::Attrs, Shape::Attrs(_))
            | (Type::Function, Shape::Function(_))
            | (Type::NullOr(_), Shape::Null)
            | (Type::Enum(_), Shape::SomeText) => true,
            (Type::Int { least, most }, Shape::Int(number)) => {
                least.is_none_or(|least| *number >= least) && most.is_none_or(|most| *number <= most)
            }
            (Type::Number(true), Shape::Int(number)) => *number >= 0,
            (Type::Number(true), Shape::Float(number)) => *number >= 0.0,
            (Type::Text(rule), Shape::Text(text)) => rule.takes(text),
            (Type::Matching(pattern), Shape::Text(text)) => self.matches(pattern, text),
            (Type::Path(false), Shape::Text(text)) => text.starts_with('/'),
            (Type::Path(true) | Type::Package, Shape::Text(text)) => text.starts_with("/nix/store/"),
            // A package is a set to Nix.
            (Type::Package, Shape::Attrs(_)) => true,
            (Type::Enum(values), shape) => values.iter().any(|one| is_equal(one, shape)),
            (Type::List(inner), Shape::List(items)) => {
                let below = self.index().child(node, "*").unwrap_or(node);
                path.push("*".to_owned());
                for item in items {
                    self.judge(*inner, *inner, item, below, path, listed, out);
                }
                path.pop();
                true
            }
            (Type::AttrsOf(inner), Shape::Attrs(members)) => {
                let below = self.index().child(node, "<name>").unwrap_or(node);
                for member in members {
                    path.push(member.name.clone().unwrap_or_else(|| "<name>".to_owned()));
                    self.judge(*inner, *inner, &member.value, below, path, listed, out);
                    path.pop();
                }
                true
            }
            (Type::NullOr(inner), _) => {
                self.judge(*inner, whole, value, node, path, listed, out);
                true
            }
            (Type::OneOf(types), _) => {
                let found = self.any_of(types, value, node, path, listed);
                let direct = found.iter().any(|fault| fault.kind == FaultKind::OptionType && fault.range == value.place);
                if !direct {
                    out.extend(found);
                }
                !direct
            }
            (Type::Submodule, Shape::Attrs(members)) => {
                self.submodule(None, members, value, node, path, listed, out);
                true
            }
            (Type::Freeform(other), Shape::Attrs(members)) => {
                self.submodule(Some(*other), members, value, node, path, listed, out);
                true
            }
            (Type::Submodule | Type::Freeform(_), Shape::Function(body)) => {
                self.judge(id, whole, body, node, path, listed, out);
                true
            }
            (Type::System, Shape::Attrs(_) | Shape::Function(_)) => {
                let mut inner = Judge::new(self.rules);
                inner.module(value, &mut Vec::new(), out);
                true
            }
            (
                Type::Bool
                | Type::Int { .. }
                | Type::Float
                | Type::Number(_)
                | Type::Text(_)
                | Type::Matching(_)
                | Type::Path(_)
                | Type::Package
                | Type::Attrs
                | Type::Submodule
                | Type::Freeform(_)
                | Type::System
                | Type::List(_)
                | Type::AttrsOf(_)
                | Type::Function,
                _,
            ) => false,
        };
        if !fits {
            let wanted = self.index().types.describe(whole);
            let message = format!("`{}` takes {wanted}, not {}", shown(path), described(&value.shape));
            out.push(fault(FaultKind::OptionType, value.place.clone(), message));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what a value is held against, and where")]
    fn submodule(
        &self,
        other: Option<TypeId>,
        members: &[Member],
        value: &Value,
        node: NodeId,
        path: &mut Vec<String>,
        listed: bool,
        out: &mut Vec<Fault>,
    ) {
        let known = |member: &&Member| member.name.as_ref().is_some_and(|name| self.index().child(node, name).is_some());
        let has_options = !self.index().node(node).children.is_empty();
        for member in members.iter().filter(|member| known(member) || (other.is_none() && has_options)) {
            let module_key = member.name.as_deref().is_some_and(|name| MODULE_KEYS.contains(&name) || name == "config");
            if known(&member) || !module_key {
                self.member(node, member, path, listed, out);
            }
        }
        if let Some(other) = other {
            let rest: Vec<Member> = members.iter().filter(|member| !known(member)).cloned().collect();
            let rest = Value { shape: Shape::Attrs(rest), place: value.place.clone() };
            self.judge(other, other, &rest, node, path, listed, out);
        }
    }

    fn matches(&self, pattern: &str, text: &str) -> bool {
        let mut patterns = self.patterns.borrow_mut();
        let parsed = patterns.entry(pattern.to_owned()).or_insert_with(|| Pattern::parse(pattern));
        parsed.as_ref().is_none_or(|pattern| pattern.matches(text))
    }
}

fn is_serious(fault: &Fault) -> bool {
    fault.kind.level() == crate::nix::Level::Error
}

/// The paths that an `options` attribute declares: as far as sets in place lead.
fn declared(value: &Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    match &value.shape {
        Shape::Attrs(members) => {
            for member in members {
                match &member.name {
                    Some(name) => {
                        path.push(name.clone());
                        declared(&member.value, path, out);
                        path.pop();
                    }
                    // Any name may be declared here.
                    None => out.push(path.clone()),
                }
            }
        }
        Shape::Many(values) => {
            for value in values {
                declared(value, path, out);
            }
        }
        Shape::Null
        | Shape::Bool(_)
        | Shape::Int(_)
        | Shape::Float(_)
        | Shape::Text(_)
        | Shape::SomeText
        | Shape::Path
        | Shape::List(_)
        | Shape::Function(_)
        | Shape::Unknown => out.push(path.clone()),
    }
}

/// A new name with the names of attributes in it, where the old path has them.
fn with_names(to: &str, path: &[String]) -> String {
    let Ok(to) = AttrPath::parse(to) else { return to.to_owned() };
    let names: Vec<String> = to
        .names()
        .iter()
        .enumerate()
        .map(|(index, name)| match path.get(index) {
            Some(actual) if name == "<name>" => actual.clone(),
            _ => name.clone(),
        })
        .collect();
    shown(&names)
}

/// A path as it stands in a Nix file, with `*` for a list element.
fn shown(path: &[String]) -> String {
    let names: Vec<String> = path
        .iter()
        .map(|name| if matches!(name.as_str(), "*" | "<name>") { name.clone() } else { crate::nix::print::attribute_name(name) })
        .collect();
    names.join(".")
}

fn is_equal(one: &Json, shape: &Shape) -> bool {
    match (one, shape) {
        (Json::Null, Shape::Null) => true,
        (Json::Bool(a), Shape::Bool(b)) => a == b,
        (Json::String(a), Shape::Text(b)) => a == b,
        (Json::Number(a), Shape::Int(b)) => a.as_i64() == Some(*b),
        (Json::Number(a), Shape::Float(b)) => a.is_f64() && a.as_f64() == Some(*b),
        _ => false,
    }
}

/// A value as a person would name it.
fn described(shape: &Shape) -> String {
    const LONGEST: usize = 40;
    match shape {
        Shape::Null => "null".to_owned(),
        Shape::Bool(value) => value.to_string(),
        Shape::Int(value) => value.to_string(),
        Shape::Float(value) => format!("{value:?}"),
        Shape::Text(text) if text.chars().count() <= LONGEST => format!("{text:?}"),
        Shape::Text(_) | Shape::SomeText => "a string".to_owned(),
        Shape::Path => "a path".to_owned(),
        Shape::List(_) => "a list".to_owned(),
        Shape::Attrs(_) => "a set".to_owned(),
        Shape::Function(_) => "a function".to_owned(),
        Shape::Unknown | Shape::Many(_) => "that".to_owned(),
    }
}
