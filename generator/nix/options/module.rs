//! Walks the definitions of a module and holds each against the index.

use std::ops::RangeInclusive;

use rnix::ast::{self, Expr, HasEntry};
use rowan::ast::AstNode;
use serde_json::Value as Json;

use super::index::{Coverage, Index, NodeId, Reach, State};
use super::types::{Type, TypeId};
use super::value::{Member, Shape, Value};
use super::{Rules, SettingFault};
use crate::near::nearest_within;
use crate::nix::expr::AttrPath;
use crate::nix::fault::{Fault, FaultKind, fault};
use crate::nix::parse::without_parentheses;
use crate::nix::slip;

/// What a module says about itself; no options.
const MODULE_KEYS: [&str; 10] = [
    "_class",
    "_file",
    "_module",
    "disabledModules",
    "freeformType",
    "imports",
    "key",
    "meta",
    "options",
    "require",
];

const ROOT: NodeId = 0;

/// What the definitions of a module say against the options.
pub(super) fn faults(value: &Value, rules: &Rules) -> Vec<Fault> {
    let mut judge = Judge::new(rules);
    let mut out = Vec::new();
    judge.module(value, &mut Vec::new(), &mut out);
    out
}

/// A module taken apart: each part says of one option, or of a name that is no option, what the whole module says. What a part
/// says is judged without the others; a module that declares options stays whole.
pub(super) fn by_option(module: Value, index: &Index) -> Vec<Value> {
    let members = match module.shape {
        Shape::Function(body) => return by_option(*body, index),
        Shape::Attrs(members) if !is_split(&members) => members,
        _ => return vec![module],
    };
    let mut parts = Vec::new();
    for member in members {
        let whole = |member| Value {
            shape: Shape::Attrs(vec![member]),
            place: module.place.clone(),
        };
        take_apart(member, ROOT, index, &whole, &mut parts);
    }
    parts
}

/// Takes apart what is defined of a name below `node`; `whole` makes a module of a member of it.
fn take_apart(
    member: Member,
    node: NodeId,
    index: &Index,
    whole: &dyn Fn(Member) -> Value,
    parts: &mut Vec<Value>,
) {
    let Member { name, place, value } = member;
    let child = name.as_deref().and_then(|name| index.child(node, name));
    let folder = child.filter(|child| index.node(*child).states.is_none());
    let inside = value.place;
    let of_shape = |name, place, shape| {
        let value = Value {
            shape,
            place: inside.clone(),
        };
        whole(Member { name, place, value })
    };
    match (folder, value.shape) {
        (Some(folder), Shape::Attrs(members)) => {
            for member in members {
                let above = |member| {
                    let shape = Shape::Attrs(vec![member]);
                    of_shape(name.clone(), place.clone(), shape)
                };
                take_apart(member, folder, index, &above, parts);
            }
        }
        (_, shape) => parts.push(of_shape(name, place, shape)),
    }
}

/// Whether a module has its definitions in `config`.
fn is_split(members: &[Member]) -> bool {
    members
        .iter()
        .any(|member| matches!(member.name.as_deref(), Some("config" | "options")))
}

/// What the `options` of a file declare, wherever they stand in it: a module may take them from a `let`. A name with nothing
/// below it that can be read stands for all below it.
pub(super) fn declared_options(root: &ast::Root) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    let bindings = root.syntax().descendants();
    for binding in bindings.filter_map(ast::AttrpathValue::cast) {
        let names: Option<Vec<String>> = binding.attrpath().map(|path| {
            let names = path.attrs().map_while(|name| match name {
                ast::Attr::Ident(name) => Some(name.to_string()),
                ast::Attr::Dynamic(_) | ast::Attr::Str(_) => None,
            });
            names.collect()
        });
        let mut names = names.unwrap_or_default().into_iter();
        if names.next().as_deref() == Some("options")
            && let Some(value) = binding.value()
        {
            declared(&Value::of(&value), &mut names.collect(), &mut out);
        }
    }
    out.retain(|names| !names.is_empty());
    out
}

pub(super) fn setting_faults(path: &AttrPath, json: &Json, rules: &Rules) -> Vec<SettingFault> {
    let mut places = Vec::new();
    let mut value = Value::of_json(json, &mut Vec::new(), &mut places);
    for name in path.names().iter().rev() {
        let member = Member {
            name: Some(name.clone()),
            place: 0..0,
            value,
        };
        value = Value {
            shape: Shape::Attrs(vec![member]),
            place: 0..0,
        };
    }
    let mut out = Vec::new();
    Judge::new(rules).namespace(ROOT, &value, &mut Vec::new(), Reach::Open, &mut out);
    out.into_iter()
        .map(
            |Fault {
                 kind,
                 range,
                 message,
                 help,
             }| SettingFault {
                kind,
                place: places.get(range.start).cloned().unwrap_or_default(),
                message,
                help,
            },
        )
        .collect()
}

/// Folders of options that a system has, and no user's home and no part of a flake.
const OF_A_SYSTEM: &[&str] = &[
    "boot",
    "console",
    "environment",
    "fileSystems",
    "hardware",
    "networking",
    "security",
    "swapDevices",
    "users",
    "virtualisation",
    "zramSwap",
];

pub(super) fn looks_like_one(root: &ast::Root, index: &Index) -> bool {
    let Some(mut expr) = root.expr().map(|expr| without_parentheses(&expr)) else {
        return false;
    };
    let mut takes_module_arguments = false;
    let mut takes_others = false;
    loop {
        let inner = match &expr {
            Expr::Lambda(lambda) => {
                let Some(ast::Param::Pattern(pattern)) = lambda.param() else {
                    return false;
                };
                let arguments: Vec<String> = pattern
                    .pat_entries()
                    .filter_map(|entry| entry.ident())
                    .map(|ident| ident.to_string())
                    .collect();
                // Home Manager gives it the host's configuration, beside `config`, which is the user's.
                if arguments.iter().any(|name| name == "osConfig") {
                    return false;
                }
                let known = ["config", "lib", "modulesPath", "options", "pkgs"];
                // A module is given more arguments than it names; it may name none of them.
                takes_module_arguments = pattern.ellipsis_token().is_some()
                    && (arguments.is_empty()
                        || arguments.iter().any(|name| known.contains(&name.as_str())));
                // What `specialArgs` give is called as somebody likes.
                takes_others = !takes_module_arguments && pattern.ellipsis_token().is_some();
                if !takes_module_arguments && !takes_others {
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
    let Expr::AttrSet(set) = &expr else {
        return false;
    };
    if imports_foreign(set) {
        return false;
    }
    let Shape::Attrs(members) = Value::of(&expr).shape else {
        return false;
    };
    let named = |name: &str| {
        members
            .iter()
            .any(|member| member.name.as_deref() == Some(name))
    };
    // A private format of hosts may have such names, too; a module has nothing beside them, and `system` is a set there.
    let is_foreign = members.iter().any(|member| match member.name.as_deref() {
        Some("system") => !matches!(member.value.shape, Shape::Attrs(_) | Shape::Unknown),
        Some("modules") => true,
        Some("home") => is_of_home_manager(&member.value),
        Some(_) | None => false,
    }) || is_of_darwin(&members);
    if is_foreign {
        return false;
    }
    if takes_others {
        return members.iter().any(|member| {
            let of_a_system = |name: &str| OF_A_SYSTEM.contains(&name);
            member.name.as_deref().is_some_and(of_a_system) && leads_to_option(member, ROOT, index)
        });
    }
    takes_module_arguments
        || (!named("outputs") && ["imports", "config", "options"].into_iter().any(named))
        || members
            .iter()
            .any(|member| leads_to_option(member, ROOT, index))
        || members.len() == 1 && leads_close_to_option(&members[0], index)
}

/// Whether a single definition is that of an option but for a slip in one of its names: a file may hold nothing else.
fn leads_close_to_option(member: &Member, index: &Index) -> bool {
    let mut names = Vec::new();
    let mut at = member;
    loop {
        names.extend(at.name.as_deref());
        match &at.value.shape {
            Shape::Attrs(members) if members.len() == 1 => at = &members[0],
            _ => break,
        }
    }
    // A name alone is near to too many others.
    if names.len() < 2 {
        return false;
    }
    let mut node = ROOT;
    let mut slipped = false;
    for name in names {
        let exact = index.child(node, name);
        let near = || nearest_within(name, 1, index.below(node)).filter(|_| !slipped);
        let Some(child) = exact.or_else(|| near().and_then(|near| index.child(node, near))) else {
            return false;
        };
        slipped |= exact.is_none();
        if index.node(child).states.is_some() {
            return true;
        }
        node = child;
    }
    false
}

/// Whether what a module defines of `home` is Home Manager's: many options of its programs have the names of NixOS's.
fn is_of_home_manager(home: &Value) -> bool {
    let own = [
        "file",
        "homeDirectory",
        "packages",
        "stateVersion",
        "username",
    ];
    match &home.shape {
        Shape::Attrs(members) => members.iter().any(|member| {
            member
                .name
                .as_deref()
                .is_some_and(|name| own.contains(&name))
        }),
        _ => false,
    }
}

/// Whether a module imports what flakes call modules of Home Manager or of nix-darwin: then it is one itself.
fn imports_foreign(set: &ast::AttrSet) -> bool {
    let imports = set.attrpath_values().filter(|binding| {
        binding
            .attrpath()
            .is_some_and(|path| path.to_string() == "imports")
    });
    let named = imports
        .filter_map(|binding| binding.value())
        .flat_map(|value| {
            let below = value.syntax().descendants();
            below
                .filter_map(ast::Ident::cast)
                .map(|ident| ident.to_string())
        });
    let mut named = named;
    named
        .any(|name| ["darwinModules", "homeManagerModules", "homeModules"].contains(&name.as_str()))
}

/// Whether a module is one of nix-darwin, whose state versions are numbers, and which has options of macOS.
fn is_of_darwin(members: &[Member]) -> bool {
    fn at<'a>(members: &'a [Member], name: &str) -> impl Iterator<Item = &'a Value> {
        members
            .iter()
            .filter(move |member| member.name.as_deref() == Some(name))
            .map(|member| &member.value)
    }
    let system = |value: &Value| match &value.shape {
        Shape::Attrs(members) => {
            at(members, "stateVersion").any(|value| matches!(value.shape, Shape::Int(0..=15)))
                || at(members, "primaryUser").next().is_some()
        }
        _ => false,
    };
    let platform = |value: &Value| match &value.shape {
        Shape::Attrs(members) => at(members, "hostPlatform")
            .any(|value| matches!(&value.shape, Shape::Text(text) if text.ends_with("-darwin"))),
        _ => false,
    };
    // Users and groups that nix-darwin may touch, and the daemon that it may not.
    let only_there = |folder: &'static str, names: &'static [&'static str]| {
        move |members: &[Member]| {
            at(members, folder).any(|value| match &value.shape {
                Shape::Attrs(members) => {
                    names.iter().any(|name| at(members, name).next().is_some())
                }
                _ => false,
            })
        }
    };
    let of_users = only_there("users", &["knownUsers", "knownGroups"]);
    let of_nix = only_there("nix", &["useDaemon"]);
    let has = |members: &[Member]| {
        at(members, "system").any(system)
            || at(members, "nixpkgs").any(platform)
            || at(members, "launchd").next().is_some()
            || of_users(members)
            || of_nix(members)
    };
    has(members)
        || at(members, "config").any(|value| match &value.shape {
            Shape::Attrs(members) => has(members),
            _ => false,
        })
}

fn leads_to_option(member: &Member, node: NodeId, index: &Index) -> bool {
    let Some(child) = member
        .name
        .as_ref()
        .and_then(|name| index.child(node, name))
    else {
        return false;
    };
    if index.node(child).states.is_some() {
        return true;
    }
    match &member.value.shape {
        Shape::Attrs(members) => members
            .iter()
            .any(|member| leads_to_option(member, child, index)),
        _ => false,
    }
}

/// How sure it is that an unknown name is its neighbour misspelled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Certainty {
    None,
    Likely,
    Sure,
}

/// A name that the index does not have, where it stands.
struct Unknown<'a> {
    judge: &'a Judge<'a>,
    parent: NodeId,
    member: &'a Member,
    path: &'a [String],
    reach: Reach,
    complete: bool,
    name: &'a str,
}

impl Unknown<'_> {
    fn length(&self) -> usize {
        self.name.chars().count()
    }

    /// The option or folder that is meant, if any is near, with how sure that is: of several as near as each other the
    /// surest one.
    fn near(&self) -> Option<(Vec<String>, Certainty)> {
        let length = self.length();
        let slips = if self.complete {
            length.div_ceil(4).max(1)
        } else {
            1 + usize::from(length >= 8)
        };
        let names = || self.judge.index().below(self.parent);
        let meant = |near: &str| {
            let (_, folder) = self.path.split_last().unwrap_or((&self.path[0], &[]));
            let mut meant = folder.to_vec();
            meant.push(near.to_owned());
            meant
        };
        if let Some(near) = slip::certain(self.name, names()) {
            return Some((meant(near), Certainty::Sure));
        }
        let nearest = nearest_within(self.name, slips, names());
        let as_near = names().filter(|near| nearest_within(self.name, 1, [*near]).is_some());
        let several = names().filter(|known| slip::is_one_of(self.name, known));
        let mut best: Option<(&str, Certainty)> = None;
        for near in nearest.into_iter().chain(as_near).chain(several) {
            let certainty = self.certainty(near);
            if best.is_none_or(|(_, best)| (certainty as u8) > best as u8) {
                best = Some((near, certainty));
            }
        }
        best.map(|(near, certainty)| (meant(near), certainty))
    }

    fn certainty(&self, near: &str) -> Certainty {
        if self.reach == Reach::Listed || self.is_letter_of_option(near) || self.takes_several(near)
        {
            Certainty::Sure
        } else if self.is_long_enough(near)
            || self.path.len() > 1 && slip::is_doubled(self.name, near)
            || self.path.len() > 1 && slip::lacks_inner_letter(self.name, near)
            || self.goes_on(near)
            // A lost plural is a slip, however short.
            || self.path.len() > 1 && self.length() >= 4 && slip::is_one_of(self.name, near)
        {
            Certainty::Likely
        } else {
            Certainty::None
        }
    }

    fn is_option(&self, near: &str) -> bool {
        let index = self.judge.index();
        let child = index.child(self.parent, near);
        child.is_some_and(|child| index.node(child).states.is_some())
    }

    fn is_one_slip(&self, near: &str) -> bool {
        nearest_within(self.name, 1, [near]).is_some()
    }

    fn is_another(&self, near: &str) -> bool {
        slip::is_another(self.name, near)
    }

    /// One letter of an option's name may be another option of a newer release where it is the last one.
    fn is_letter_of_option(&self, near: &str) -> bool {
        self.is_option(near)
            && self.length() >= 5
            && self.is_one_slip(near)
            && !self.is_another(near)
    }

    /// A shorter name has too many neighbours to be called a slip of one; and a folder two letters away may be another's.
    fn is_long_enough(&self, near: &str) -> bool {
        self.length() >= 6
            && !self.is_another(near)
            && (self.is_one_slip(near) || self.is_option(near))
    }

    /// A newer release may have one thing beside several: but then it takes no list or set that the several take.
    fn takes_several(&self, near: &str) -> bool {
        slip::is_one_of(self.name, near)
            && matches!(self.member.value.shape, Shape::List(_) | Shape::Attrs(_))
            && self
                .judge
                .fits(self.parent, near, self.member, self.path, self.reach)
    }

    /// Whether what stands below the name goes on as below its neighbour: `bot.kernelParams`. Deeper down only by a name
    /// that few others have below them, since nearly each goes on with `enable`; and a short name with a letter more is
    /// one of its own: `tincr`, `swayr`.
    fn goes_on(&self, near: &str) -> bool {
        let index = self.judge.index();
        let is_first = self.path.len() == 1;
        if self.is_another(near) || !is_first && self.length() < 6 && self.name.starts_with(near) {
            return false;
        }
        let (Some(child), Shape::Attrs(inside)) =
            (index.child(self.parent, near), &self.member.value.shape)
        else {
            return false;
        };
        let siblings = &index.node(self.parent).children;
        let is_rare = |name: &str| {
            let having = siblings.iter();
            let having = having.filter(|sibling| index.child(**sibling, name).is_some());
            having.count() <= 1 + siblings.len() / 50
        };
        inside.iter().any(|member| {
            let name = member.name.as_deref().unwrap_or_default();
            leads_to_option(member, child, index) && (is_first || near == "moxc" || is_rare(name))
        })
    }
}

struct Judge<'a> {
    rules: &'a Rules<'a>,
    snapshots: RangeInclusive<usize>,
    /// Options that the module itself declares.
    declared: Vec<Vec<String>>,
}

impl<'a> Judge<'a> {
    fn new(rules: &'a Rules<'a>) -> Self {
        Self {
            rules,
            snapshots: rules.index.snapshots_for(rules.release, rules.later),
            declared: Vec::new(),
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
                for member in members
                    .iter()
                    .filter(|member| member.name.as_deref() == Some("options"))
                {
                    declared(&member.value, &mut Vec::new(), &mut self.declared);
                }
                let split = is_split(members);
                for member in members {
                    match member.name.as_deref() {
                        Some(name) if MODULE_KEYS.contains(&name) => {}
                        Some("config") => {
                            self.namespace(ROOT, &member.value, path, Reach::Open, out);
                        }
                        Some(name) if split => {
                            let message = format!(
                                "`{name}` stands beside `config` or `options`, where NixOS takes no options"
                            );
                            let mut fault =
                                fault(FaultKind::UnknownOption, member.place.clone(), message);
                            fault.help = Some(format!("move `{name}` into `config`"));
                            out.push(fault);
                        }
                        Some(_) | None => self.member(ROOT, member, path, Reach::Open, out),
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
            | Shape::Unfinished(_)
            | Shape::Overfull(_)
            | Shape::Unknown => {}
        }
    }

    /// Definitions below a name that is no option itself.
    fn namespace(
        &self,
        node: NodeId,
        value: &Value,
        path: &mut Vec<String>,
        reach: Reach,
        out: &mut Vec<Fault>,
    ) {
        match &value.shape {
            Shape::Attrs(members) => {
                for member in members {
                    self.member(node, member, path, reach, out);
                }
            }
            Shape::Many(values) => {
                for value in values {
                    self.namespace(node, value, path, reach, out);
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
            | Shape::Unfinished(_)
            | Shape::Overfull(_)
            | Shape::List(_) => {
                let message = format!(
                    "`{}` is a set of options, not {}",
                    shown(path),
                    described(&value.shape)
                );
                out.push(fault(FaultKind::OptionType, value.place.clone(), message));
            }
        }
    }

    fn member(
        &self,
        node: NodeId,
        member: &Member,
        path: &mut Vec<String>,
        reach: Reach,
        out: &mut Vec<Fault>,
    ) {
        // A computed name can be any.
        let Some(name) = &member.name else { return };
        path.push(name.clone());
        if !self.is_allowed(path) {
            match self.index().child(node, name) {
                Some(child) => {
                    let reach = reach.max(self.index().node(child).reach);
                    self.definition(child, member, path, reach, out);
                }
                None => self.unknown(node, member, path, reach, out),
            }
        }
        path.pop();
    }

    /// Whether another module, or this one, declares the option, or one below it.
    fn is_allowed(&self, path: &[String]) -> bool {
        let names = self
            .rules
            .allowed
            .iter()
            .map(AttrPath::names)
            .chain(self.declared.iter().map(Vec::as_slice));
        names.into_iter().any(|names| {
            path.iter().zip(names).all(|(a, b)| a == b)
                && !(names.len() > path.len() && self.index().is_folder(path))
        })
    }

    /// Whether every option of the release is known there.
    fn is_complete(&self, reach: Reach) -> bool {
        let needed = match reach {
            Reach::Whole => return true,
            Reach::Listed => Coverage::Listed,
            Reach::Open => Coverage::All,
        };
        let snapshots = &self.index().snapshots[self.snapshots.clone()];
        snapshots.iter().all(|snapshot| snapshot.coverage >= needed)
    }

    fn definition(
        &self,
        node: NodeId,
        member: &Member,
        path: &mut Vec<String>,
        reach: Reach,
        out: &mut Vec<Fault>,
    ) {
        let Some(states) = &self.index().node(node).states else {
            self.namespace(node, &member.value, path, reach, out);
            return;
        };
        let name = shown(path);
        let place = member.place.clone();
        let here: Vec<&State> = self.snapshots.clone().map(|at| states.get(at)).collect();
        let types: Vec<TypeId> = here
            .iter()
            .filter_map(|state| match state {
                State::Type(id) => Some(*id),
                State::Absent | State::Renamed(_) | State::Removed(_) => None,
            })
            .collect();
        if !types.is_empty() {
            out.extend(self.any_of(&types, &member.value, node, path, reach));
            return;
        }
        // A name that one release gave up can be a module's again in the next.
        let mut snapshots = self.snapshots.clone();
        if snapshots.any(|at| *states.get(at) == State::Absent && self.index().is_above(node, at)) {
            self.namespace(node, &member.value, path, reach, out);
            return;
        }
        let new_name = here.iter().find_map(|state| match state {
            State::Renamed(to) => Some((to, false)),
            State::Removed(Some(to)) => Some((to, true)),
            State::Absent | State::Type(_) | State::Removed(None) => None,
        });
        if let Some((to, gone)) = new_name {
            let to = with_names(to, path);
            let kind = if gone {
                FaultKind::RemovedOption
            } else {
                FaultKind::RenamedOption
            };
            let mut fault = fault(kind, place, format!("`{name}` is now called `{to}`"));
            fault.help = Some(format!("write `{to}`"));
            out.push(fault);
        } else if here.iter().any(|state| matches!(state, State::Removed(_))) {
            out.push(fault(
                FaultKind::RemovedOption,
                place,
                format!("`{name}` is gone from NixOS {}", self.rules.release),
            ));
        } else if self.is_complete(reach) {
            let later = (*self.snapshots.end() + 1..self.index().snapshots.len())
                .any(|at| matches!(states.get(at), State::Type(_)));
            let kind = if later {
                FaultKind::OptionTooNew
            } else {
                FaultKind::RemovedOption
            };
            let message = if later {
                format!("`{name}` is not in NixOS {} yet", self.rules.release)
            } else {
                format!("`{name}` is not in NixOS {} any more", self.rules.release)
            };
            out.push(fault(kind, place, message));
        }
    }

    fn unknown(
        &self,
        parent: NodeId,
        member: &Member,
        path: &[String],
        reach: Reach,
        out: &mut Vec<Fault>,
    ) {
        let node = self.index().node(parent);
        if node.partial || self.is_below_free(path) {
            return;
        }
        if is_of_home_manager_alone(path) {
            return;
        }
        let unknown = Unknown {
            judge: self,
            parent,
            member,
            path,
            reach,
            complete: self.is_complete(reach),
            name: path.last().map_or("", String::as_str),
        };
        let (kind, near) = match unknown.near() {
            Some((near, Certainty::Sure)) => (FaultKind::UnknownOption, Some(near)),
            near if unknown.complete => (FaultKind::UnknownOption, near.map(|(near, _)| near)),
            Some((near, Certainty::Likely)) => (FaultKind::SuspectOption, Some(near)),
            Some((_, Certainty::None)) | None => match self.in_renamed_folder(parent, path) {
                Some(meant) => (FaultKind::SuspectOption, Some(meant)),
                None => return,
            },
        };
        let message = match kind {
            FaultKind::UnknownOption => format!("NixOS has no option `{}`", shown(path)),
            _ => format!("`{}` is not known as an option of NixOS", shown(path)),
        };
        let mut fault = fault(kind, member.place.clone(), message);
        fault.help = near.map(|meant| format!("did you mean `{}`?", shown(&meant)));
        out.push(fault);
    }

    /// Where all that is known of a folder has another name now, the option of that name in the new one:
    /// `services.sshd.settings`.
    fn in_renamed_folder(&self, parent: NodeId, path: &[String]) -> Option<Vec<String>> {
        let index = self.index();
        // Home Manager has some of the folders that NixOS gave up, below `programs`.
        path.first().filter(|first| *first == "services")?;
        let (name, newest) = (path.last()?, *self.snapshots.end());
        let mut folder: Option<Vec<String>> = None;
        for child in &index.node(parent).children {
            let State::Renamed(to) = index.node(*child).states.as_ref()?.get(newest) else {
                return None;
            };
            let to = AttrPath::parse(to).ok()?;
            let (_, to) = to.names().split_last()?;
            if *folder.get_or_insert_with(|| to.to_vec()) != to {
                return None;
            }
        }
        let mut meant = folder?;
        meant.push(name.clone());
        index.has(&meant).then_some(meant)
    }

    /// Whether the value of an unknown name is one that its neighbour, an option, takes.
    fn fits(
        &self,
        parent: NodeId,
        near: &str,
        member: &Member,
        path: &[String],
        reach: Reach,
    ) -> bool {
        let Some(child) = self.index().child(parent, near) else {
            return false;
        };
        let node = self.index().node(child);
        if node.states.is_none() {
            return false;
        }
        let mut meant = path[..path.len() - 1].to_vec();
        meant.push(near.to_owned());
        let mut found = Vec::new();
        self.definition(child, member, &mut meant, reach.max(node.reach), &mut found);
        found.is_empty()
    }

    /// Judges an attribute of a set in which some names have types of their own, where it is one of them or a slip of one.
    fn is_own(
        &self,
        node: NodeId,
        member: &Member,
        path: &mut Vec<String>,
        reach: Reach,
        out: &mut Vec<Fault>,
    ) -> bool {
        let before = out.len();
        self.member(node, member, path, reach, out);
        out.len() > before
            || member
                .name
                .as_ref()
                .is_some_and(|name| self.index().child(node, name).is_some())
    }

    /// Whether a name stands somewhere below a set that takes any name, although not in it itself.
    fn is_below_free(&self, path: &[String]) -> bool {
        let mut node = ROOT;
        for name in path.iter().take(path.len().saturating_sub(1)) {
            let next = [name.as_str(), "<name>", "*"]
                .into_iter()
                .find_map(|name| self.index().child(node, name));
            let Some(next) = next else { return false };
            node = next;
            let is_free = |at| {
                let states = self.index().node(node).states.as_ref();
                states.is_some_and(|states| match states.get(at) {
                    State::Type(id) => matches!(self.index().types.get(*id), Type::Freeform(_)),
                    State::Absent | State::Renamed(_) | State::Removed(_) => false,
                })
            };
            if self.snapshots.clone().any(is_free) {
                return true;
            }
        }
        false
    }

    /// What is wrong with a value that may be of any of these types.
    fn any_of(
        &self,
        types: &[TypeId],
        value: &Value,
        node: NodeId,
        path: &mut Vec<String>,
        reach: Reach,
    ) -> Vec<Fault> {
        let mut deeper = None;
        let mut last = Vec::new();
        for id in types {
            let mut found = Vec::new();
            self.judge(*id, *id, value, node, path, reach, &mut found);
            if !found.iter().any(is_serious) {
                return found;
            }
            // The alternative that the value is of, but for something inside it, tells more.
            if !found
                .iter()
                .any(|fault| fault.kind == FaultKind::OptionType && fault.range == value.place)
            {
                deeper.get_or_insert_with(|| found.clone());
            }
            last = found;
        }
        deeper.unwrap_or(last)
    }

    /// Holds a value against a type; `whole` is the type to name if it is not of it.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a value is held against, and where"
    )]
    fn judge(
        &self,
        id: TypeId,
        whole: TypeId,
        value: &Value,
        node: NodeId,
        path: &mut Vec<String>,
        reach: Reach,
        out: &mut Vec<Fault>,
    ) {
        match &value.shape {
            Shape::Unknown => return,
            Shape::Many(values) => {
                for value in values {
                    self.judge(id, whole, value, node, path, reach, out);
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
            | Shape::Unfinished(_)
            | Shape::Overfull(_)
            | Shape::Function(_) => {}
        }
        let fits = match (self.index().types.get(id), &value.shape) {
            (Type::List(inner), Shape::List(items)) => {
                let below = self.index().child(node, "*").unwrap_or(node);
                path.push("*".to_owned());
                for item in items {
                    self.judge(*inner, *inner, item, below, path, reach, out);
                }
                path.pop();
                true
            }
            (Type::AttrsOf(inner), Shape::Attrs(members)) => {
                let below = self.index().child(node, "<name>").unwrap_or(node);
                // What networkd takes in its sections has names and types.
                let has_own = below == node && !self.index().node(node).children.is_empty();
                for member in members {
                    if has_own && self.is_own(node, member, path, reach, out) {
                        continue;
                    }
                    path.push(member.name.clone().unwrap_or_else(|| "<name>".to_owned()));
                    self.judge(*inner, *inner, &member.value, below, path, reach, out);
                    path.pop();
                }
                true
            }
            (Type::NullOr(_), Shape::Null) => true,
            (Type::NullOr(inner), _) => {
                self.judge(*inner, whole, value, node, path, reach, out);
                true
            }
            (Type::OneOf(types), _) => {
                let found = self.any_of(types, value, node, path, reach);
                let direct = found
                    .iter()
                    .any(|fault| fault.kind == FaultKind::OptionType && fault.range == value.place);
                if !direct {
                    out.extend(found);
                }
                !direct
            }
            (Type::Submodule, Shape::Attrs(members)) => {
                self.submodule(None, members, value, node, path, reach, out);
                true
            }
            (Type::Freeform(other), Shape::Attrs(members)) => {
                self.submodule(Some(*other), members, value, node, path, reach, out);
                true
            }
            (Type::Submodule | Type::Freeform(_), Shape::Function(body)) => {
                self.judge(id, whole, body, node, path, reach, out);
                true
            }
            (Type::System, Shape::Attrs(_) | Shape::Function(_)) => {
                let mut inner = Judge::new(self.rules);
                inner.module(value, &mut Vec::new(), out);
                true
            }
            (plain, shape) => fits(plain, shape),
        };
        if !fits {
            out.push(self.misfit(whole, value, path));
        }
    }

    /// What is said of a value that is not of the type `whole`.
    fn misfit(&self, whole: TypeId, value: &Value, path: &[String]) -> Fault {
        let wanted = self.index().types.describe(whole);
        let message = format!(
            "`{}` takes {wanted}, not {}",
            shown(path),
            described(&value.shape)
        );
        let mut fault = fault(FaultKind::OptionType, value.place.clone(), message);
        if let Shape::Unfinished(name) = &value.shape
            && path.last().is_some_and(|last| last == "*")
        {
            fault.help = Some(format!(
                "put the call in parentheses: in a list, `{name}` and what follows it are two elements"
            ));
        }
        if let Shape::Overfull(name) = &value.shape {
            fault.help = Some(format!(
                "where its last argument is to be a call, put that in parentheses: `{name} (f x)`"
            ));
        }
        fault
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a value is held against, and where"
    )]
    fn submodule(
        &self,
        other: Option<TypeId>,
        members: &[Member],
        value: &Value,
        node: NodeId,
        path: &mut Vec<String>,
        reach: Reach,
        out: &mut Vec<Fault>,
    ) {
        // What a submodule takes freely in one release and declares in the next may be of either type.
        let is_declared = |child: NodeId| {
            other.is_none()
                || self
                    .index()
                    .node(child)
                    .states
                    .as_ref()
                    .is_none_or(|states| {
                        self.snapshots
                            .clone()
                            .all(|at| *states.get(at) != State::Absent)
                    })
        };
        let known = |member: &&Member| {
            member
                .name
                .as_ref()
                .and_then(|name| self.index().child(node, name))
                .is_some_and(is_declared)
        };
        let has_options = !self.index().node(node).children.is_empty();
        for member in members
            .iter()
            .filter(|member| known(member) || (other.is_none() && has_options))
        {
            let module_key = member
                .name
                .as_deref()
                .is_some_and(|name| MODULE_KEYS.contains(&name) || name == "config");
            if known(&member) || !module_key {
                self.member(node, member, path, reach, out);
            }
        }
        if let Some(other) = other {
            let rest: Vec<Member> = members
                .iter()
                .filter(|member| !known(member))
                .cloned()
                .collect();
            let rest = Value {
                shape: Shape::Attrs(rest),
                place: value.place.clone(),
            };
            self.judge(other, other, &rest, node, path, reach, out);
        }
    }
}

/// What Home Manager calls as NixOS calls something else but for a letter or two: its modules look as those of NixOS do.
const OF_HOME_MANAGER: [&str; 24] = [
    "programs.btop",
    "programs.cava",
    "programs.crush",
    "programs.gcc",
    "programs.gh",
    "programs.i3blocks",
    "programs.mr",
    "programs.ne",
    "programs.nom",
    "programs.pazi",
    "programs.sesh",
    "programs.swayr",
    "programs.vifm",
    "programs.vivid.themes",
    "programs.waybar.systemd.targets",
    "programs.yambar",
    "programs.zsh.autosuggestion",
    "services.picom.opacityRule",
    "services.pipewire.configs",
    "services.skhd",
    "services.ssh-agent",
    "services.syncthing.allProxy",
    "services.tomat",
    "services.trayer",
];

fn is_of_home_manager_alone(path: &[String]) -> bool {
    OF_HOME_MANAGER
        .iter()
        .any(|option| option.split('.').eq(path.iter()))
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
        | Shape::Unfinished(_)
        | Shape::Overfull(_)
        | Shape::Unknown => out.push(path.clone()),
    }
}

/// A new name with the names of attributes in it, where the old path has them.
fn with_names(to: &str, path: &[String]) -> String {
    let Ok(to) = AttrPath::parse(to) else {
        return to.to_owned();
    };
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
        .map(|name| {
            if matches!(name.as_str(), "*" | "<name>") {
                name.clone()
            } else {
                crate::nix::name::attribute_name(name)
            }
        })
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
        Shape::Unfinished(name) => format!("`{name}` without all its arguments"),
        Shape::Overfull(name) => format!("`{name}` with more arguments than it takes"),
        Shape::Unknown | Shape::Many(_) => "that".to_owned(),
    }
}

/// Whether a value that holds no others is of a type, or is a path where a module may be one.
fn fits(kind: &Type, shape: &Shape) -> bool {
    match (kind, shape) {
        (Type::Any, _)
        | (Type::Bool, Shape::Bool(_))
        | (Type::Float, Shape::Float(_))
        | (Type::Number(false), Shape::Int(_) | Shape::Float(_))
        | (
            Type::Text(_) | Type::Matching(_) | Type::Path(_) | Type::Package | Type::Enum(_),
            Shape::SomeText,
        )
        | (
            Type::Path(_) | Type::Package | Type::Submodule | Type::Freeform(_) | Type::System,
            Shape::Path,
        )
        | (Type::Attrs, Shape::Attrs(_))
        | (Type::Function, Shape::Function(_) | Shape::Unfinished(_)) => true,
        (Type::Int { least, most }, Shape::Int(number)) => {
            least.is_none_or(|least| *number >= least) && most.is_none_or(|most| *number <= most)
        }
        (Type::Number(true), Shape::Int(number)) => *number >= 0,
        (Type::Number(true), Shape::Float(number)) => *number >= 0.0,
        (Type::Text(rule), Shape::Text(text)) => rule.takes(text),
        (Type::Matching(pattern), Shape::Text(text)) => pattern.matches(text),
        (Type::Path(false), Shape::Text(text)) => text.starts_with('/'),
        (Type::Path(true) | Type::Package, Shape::Text(text)) => text.starts_with("/nix/store/"),
        // A package is a set with a mark to Nix.
        (Type::Package, Shape::Attrs(members)) => members.iter().any(|member| {
            member
                .name
                .as_deref()
                .is_none_or(|name| matches!(name, "type" | "outPath"))
        }),
        (Type::Enum(values), shape) => values.iter().any(|one| is_equal(one, shape)),
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
            | Type::NullOr(_)
            | Type::OneOf(_)
            | Type::Function,
            _,
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value as Json, json};

    use super::super::{
        Index, Release, Rules, Step, check_module, check_setting, looks_like_module,
    };
    use crate::nix::AttrPath;
    use crate::nix::Fault;

    fn path(text: &str) -> AttrPath {
        AttrPath::parse(text).unwrap()
    }

    fn faults_for(release: &str, text: &str) -> Vec<Fault> {
        let allowed = [path("services.moxc"), path("services.proxmox-ve")];
        // "24.05 on": that release or a later one.
        let (release, later) = release
            .strip_suffix(" on")
            .map_or((release, false), |release| (release, true));
        let release: Release = release.parse().unwrap();
        check_module(
            text,
            &Rules {
                index: Index::builtin(),
                release,
                later,
                allowed: &allowed,
            },
        )
    }

    /// The kinds of the faults with the text at fault.
    fn faults(release: &str, text: &str) -> Vec<(&'static str, String)> {
        let found = faults_for(release, text);
        found
            .into_iter()
            .map(|fault| (fault.kind.name(), text[fault.range].to_owned()))
            .collect()
    }

    /// A module with these definitions.
    fn module(body: &str) -> String {
        format!("{{ config, lib, pkgs, ... }}@args: {{ imports = [ ./a.nix ]; {body} }}")
    }

    #[test]
    fn a_function_of_the_library_has_all_its_arguments_and_no_more() {
        for body in [
            "networking.hostName = lib.mkForce toString 1;",
            "boot.kernelParams = lib.mkIf config.x [ \"a\" ] [ \"b\" ];",
            "boot.kernelModules = lib.optional config.x;",
            "environment.etc = lib.optionalAttrs { };",
        ] {
            let found = faults("25.11", &module(body));
            assert_eq!(found.len(), 1, "{body}: {found:?}");
            assert_eq!(found[0].0, "option-type", "{body}");
        }
    }

    #[test]
    fn good_definitions_have_no_faults() {
        for body in [
            "networking.hostName = \"a\"; networking.firewall.allowedTCPPorts = [ 22 ];",
            "networking = { hostName = lib.mkDefault \"web\"; useDHCP = false; };",
            "systemd.services.x = { description = \"d\"; script = \"true\"; startAt = \"daily\"; serviceConfig.Type = \"oneshot\"; };",
            "systemd.timers.x = { wantedBy = [ \"timers.target\" ]; timerConfig = { OnCalendar = \"daily\"; Persistent = true; }; };",
            "services.openssh = { enable = true; settings.PasswordAuthentication = false; settings.Anything = \"a\"; };",
            "boot.kernelParams = [ \"intel_iommu=on\" \"iommu=pt\" \"vfio-pci.ids=10de:2204,10de:1aef\" ];",
            "boot.kernel.sysctl.\"vm.swappiness\" = 10;",
            "boot.supportedFilesystems = [ \"zfs\" ]; networking.hostId = \"deadbeef\"; services.zfs.autoScrub = { enable = true; interval = \"monthly\"; pools = [ \"tank\" ]; };",
            "users.users.a = { isNormalUser = true; openssh.authorizedKeys.keys = [ \"ssh-ed25519 A\" ]; };",
            "systemd.network.networks.\"10-lan\" = { matchConfig.Name = \"ens18\"; networkConfig.DHCP = \"ipv4\"; linkConfig.RequiredForOnline = \"routable\"; };",
            "nix.settings.experimental-features = [ \"nix-command\" \"flakes\" ]; nix.gc = { automatic = true; dates = \"weekly\"; };",
            "environment.systemPackages = [ pkgs.a ] ++ lib.optional config.x pkgs.b; environment.etc.\"a b\".text = \"x\";",
            "environment.etc = lib.mkMerge [ { a.text = \"x\"; } (lib.mkIf true { b.source = ./b; }) ];",
            "services.moxc.web.enable = 12; services.proxmox-ve = { anything = 1; }; disko.devices = { }; home-manager.users.a = { };",
            "services.something-else.enable = true; programs.foo.bar = 1;",
            "boot.loader.limine.enable = true; users.users.a.enable = true; services.dnsmasq.configFile = ./x;",
            "services.envfs.enable = true; services.pcscd.enable = true; services.postgresql.enableJIT = true;",
            "fileSystems.\"/x\" = { device = \"tank/x\"; fsType = \"zfs\"; options = [ \"nofail\" ]; neededForBoot = true; };",
            "networking.defaultGateway = \"10.0.0.1\"; networking.defaultGateway6 = { address = \"fe80::1\"; interface = \"eth0\"; };",
            "swapDevices = [ { device = \"/dev/x\"; size = 1024; randomEncryption = true; } ];",
            "${config.x} = 1; networking.${config.y} = 2; networking.hosts.${config.z} = [ \"a\" ];",
            "boot.initrd.compressor = x: \"gzip\"; nixpkgs.overlays = [ (final: prev: { }) ];",
            "networking.firewall.enable = config.x && true; networking.hostName = \"a-${config.y}\";",
            "networking.firewall.allowedTCPPorts = if config.x then [ 1 ] else [ ];",
            "networking.firewall.allowedTCPPorts = let p = 1; in [ p 2 ];",
            "services.openssh.settings.AcceptEnv = if lib.versionAtLeast lib.version \"26.05pre\" then [ \"LANG\" ] else \"LANG\";",
            "services.openssh.settings.AcceptEnv = let isOld = lib.versionOlder lib.version \"26.05\"; in lib.mkIf isOld \"LANG\";",
            "services.openssh = lib.optionalAttrs (args.options ? services.openssh.passwordAuthentication) { passwordAuthentication = false; };",
            "time.timeZone = null; virtualisation.docker.storageDriver = lib.mkForce \"zfs\";",
            "containers.a = { autoStart = true; config = { lib, ... }: { networking.hostName = lib.mkForce \"a\"; }; };",
            "services.syncoid.commands.\"a/b\" = { target = \"x\"; recursive = true; };",
            "users.users = lib.genAttrs [ \"a\" ] (n: { });",
            "systemd.services.x.serviceConfig = { User = null; ExecStart = [ [ \"a\" ] \"b\" ]; Type = null; };",
            "systemd.network.networks.a.networkConfig = { Address = \"10.0.0.1/24\"; NewKeyOfALaterSystemd = 1; };",
            "services.dendrite.settings.sync_api.search.enabled = true;",
            "services.minecraft-servers.enable = true; services.some-thing.enable = true;",
            "services.immich.enable = true; services.immich.port = 2283;",
        ] {
            let text = module(&format!("config_ = args; {body}"));
            let found = faults("26.05", &text.replace("config_ = args; ", ""));
            let found: Vec<_> = found
                .into_iter()
                .filter(|(kind, _)| *kind != "unused-binding")
                .collect();
            assert_eq!(found, [], "{body}");
        }
    }

    #[test]
    fn slips_of_short_names_are_told_where_nothing_else_can_be_meant() {
        for (body, name, help) in [
            (
                "services.zffs.autoScrub.enable = true;",
                "zffs",
                "services.zfs",
            ),
            (
                "services.gety.autologinUser = \"a\";",
                "gety",
                "services.getty",
            ),
            (
                "services.sshd.settings.PermitRootLogin = \"no\";",
                "settings",
                "services.openssh.settings",
            ),
            ("services.ollma.enable = true;", "ollma", "services.ollama"),
            ("services.samab.enable = true;", "samab", "services.samba"),
            ("programs.gitt.enable = true;", "gitt", "programs.git"),
            (
                "programs.fisch.interactiveShellInit = \"x\";",
                "fisch",
                "programs.fish",
            ),
            (
                "networking.firewal.allowedTCPPorts = [ 22 ];",
                "firewal",
                "networking.firewall",
            ),
            (
                "virtualisation.dockr.enable = true;",
                "dockr",
                "virtualisation.docker",
            ),
        ] {
            let text = module(body);
            let found = faults_for("26.05", &text);
            let [fault] = found
                .iter()
                .filter(|fault| fault.kind.name() != "unused-binding")
                .collect::<Vec<_>>()[..]
            else {
                panic!("{body}: {found:?}");
            };
            assert!(
                text[fault.range.clone()].starts_with(name),
                "{body}: {fault:?}"
            );
            assert_eq!(
                fault.help.as_deref(),
                Some(&*format!("did you mean `{help}`?")),
                "{body}"
            );
        }
    }

    #[test]
    fn short_names_of_others_are_no_slips() {
        for body in [
            // Home Manager's, beside `htop`, `sway`, `sshd` and `java`.
            "programs.btop.enable = true;",
            "programs.swayr.enable = true;",
            "services.skhd.skhdConfig = \"x\";",
            "programs.cava.settings = { };",
            "programs.zsh.autosuggestion.enable = true;",
            // Those of other flakes, beside `tinc` and `code-server`.
            "services.tincr.networks.a = { };",
            "services.vscode-server.enable = true;",
            // What a module declares itself.
            "options.services.zffs.pools = lib.mkOption { }; config.services.zffs.pools = [ ];",
            // An option of NixOS that a module makes anew, as a folder.
            "options.services.bitcoind.enable = lib.mkOption { }; config.services.bitcoind.enable = true;",
        ] {
            let text = module(body);
            let found = faults("26.05", &text);
            let found: Vec<_> = found
                .into_iter()
                .filter(|(kind, _)| *kind != "unused-binding")
                .collect();
            assert_eq!(found, [], "{body}");
        }
    }

    #[test]
    fn what_a_file_declares_is_read_wherever_it_stands() {
        let declared = |text: &str| -> Vec<String> {
            let found = super::super::declared_options(text, Index::builtin());
            found.iter().map(|path| path.names().join(".")).collect()
        };
        assert_eq!(
            declared("{ lib, ... }: { options.services.mine.port = lib.mkOption { }; }"),
            ["services.mine.port"]
        );
        assert_eq!(
            declared(
                "{ lib, ... }: let options = { services.bitcoind = { enable = lib.mkOption { }; }; }; in { inherit options; }"
            ),
            ["services.bitcoind.enable"]
        );
        // All services, if it counted.
        assert_eq!(
            declared("{ lib, ... }@x: { options.services = lib.mkOption { }; }"),
            [""; 0]
        );
        assert_eq!(declared("{ options.services.${x} = 1; }"), [""; 0]);
    }

    #[test]
    fn seeded_faults_are_caught_by_name_and_place() {
        let cases: &[(&str, &str, &str, &str)] = &[
            (
                "networking.hostNam = \"a\";",
                "unknown-option",
                "hostNam",
                "NixOS has no option `networking.hostNam`",
            ),
            (
                "networkin.hostName = \"a\";",
                "suspect-option",
                "networkin",
                "`networkin` is not known as an option of NixOS",
            ),
            (
                "netwroking.hostName = \"a\";",
                "unknown-option",
                "netwroking",
                "NixOS has no option `netwroking`",
            ),
            (
                "networking.hostname = \"a\";",
                "unknown-option",
                "hostname",
                "NixOS has no option `networking.hostname`",
            ),
            (
                "services.ngnix.enable = true;",
                "unknown-option",
                "ngnix",
                "NixOS has no option `services.ngnix`",
            ),
            (
                "services.jellyfn.enable = true;",
                "suspect-option",
                "jellyfn",
                "`services.jellyfn` is not known as an option of NixOS",
            ),
            (
                "users.user.a.isNormalUser = true;",
                "unknown-option",
                "user",
                "",
            ),
            (
                "networking.nameserver = [ \"1.1.1.1\" ];",
                "unknown-option",
                "nameserver",
                "",
            ),
            (
                "networking.interfaces.eth0.ipv4.address = [ ];",
                "unknown-option",
                "address",
                "",
            ),
            // One thing, which a newer release may have beside several.
            (
                "networking.nameserver = \"1.1.1.1\";",
                "suspect-option",
                "nameserver",
                "",
            ),
            (
                "services.jellyfin.openFirewal = true;",
                "unknown-option",
                "openFirewal",
                "",
            ),
            (
                "services.jellyfin.enable = \"yes\";",
                "option-type",
                "\"yes\"",
                "",
            ),
            ("sound.enable = true;", "removed-option", "sound", ""),
            (
                "boot.kernelModules = [ lib.mkDefault \"a\" ];",
                "option-type",
                "lib.mkDefault",
                "",
            ),
            (
                "networking.hostName = lib.mkIf config.x;",
                "option-type",
                "lib.mkIf config.x",
                "",
            ),
            (
                "systemd.services.x.serviceConfig.Type = \"oneshoot\";",
                "option-type",
                "\"oneshoot\"",
                "",
            ),
            (
                "systemd.network.networks.a.networkConfig.Addres = \"10.0.0.1/24\";",
                "unknown-option",
                "Addres",
                "",
            ),
            (
                "systemd.network.networks.a.networkConfig.DHCP = \"maybe\";",
                "option-type",
                "\"maybe\"",
                "",
            ),
            (
                "networking.firewall.allowedTCPPort = [ 22 ];",
                "unknown-option",
                "allowedTCPPort",
                "NixOS has no option `networking.firewall.allowedTCPPort`",
            ),
            (
                "networking.firewall.allowedTCPPorts = \"22\";",
                "option-type",
                "\"22\"",
                "`networking.firewall.allowedTCPPorts` takes a list of integers from 0 to 65535, not \"22\"",
            ),
            (
                "networking.firewall.allowedTCPPorts = [ 22 70000 ];",
                "option-type",
                "70000",
                "`networking.firewall.allowedTCPPorts.*` takes an integer from 0 to 65535, not 70000",
            ),
            (
                "networking.firewall.allowedTCPPorts = [ 22 ] ++ lib.optionals config.x [ \"a\" ];",
                "option-type",
                "\"a\"",
                "`networking.firewall.allowedTCPPorts.*` takes an integer from 0 to 65535, not \"a\"",
            ),
            (
                "systemd.services.x.descripton = \"d\";",
                "unknown-option",
                "descripton",
                "NixOS has no option `systemd.services.x.descripton`",
            ),
            (
                "systemd.timers.x.wantedBy = \"timers.target\";",
                "option-type",
                "\"timers.target\"",
                "`systemd.timers.x.wantedBy` takes a list of strings that match \
                 `[a-zA-Z0-9@%:_.\\\\\\\\-]+[.](service|socket|device|mount|automount|swap|target|path|timer|scope|slice)`, \
                 not \"timers.target\"",
            ),
            (
                "services.openssh = { enable = true; settings.PermitRootLogin = \"maybe\"; };",
                "option-type",
                "\"maybe\"",
                "`services.openssh.settings.PermitRootLogin` takes null or one of \"yes\", \"without-password\", \"prohibit-password\", \
                 \"forced-commands-only\", \"no\", not \"maybe\"",
            ),
            (
                "services.openssh.passwordAuthentication = false;",
                "renamed-option",
                "passwordAuthentication",
                "`services.openssh.passwordAuthentication` is now called `services.openssh.settings.PasswordAuthentication`",
            ),
            (
                "systemd.extraConfig = \"a\";",
                "removed-option",
                "extraConfig",
                "`systemd.extraConfig` is gone from NixOS 26.05",
            ),
            (
                "zramSwap.numDevices = 1;",
                "removed-option",
                "numDevices",
                "`zramSwap.numDevices` is gone from NixOS 26.05",
            ),
            (
                "networking.interfaces.eth0.ip4 = [ ];",
                "renamed-option",
                "ip4",
                "`networking.interfaces.eth0.ip4` is now called `networking.interfaces.eth0.ipv4.addresses`",
            ),
            (
                "services.openssh.enable = lib.mkIf config.x (lib.mkDefault \"yes\");",
                "option-type",
                "\"yes\"",
                "`services.openssh.enable` takes true or false, not \"yes\"",
            ),
            (
                "environment.etc = lib.mkMerge [ { a.tex = \"x\"; } ];",
                "unknown-option",
                "tex",
                "NixOS has no option `environment.etc.a.tex`",
            ),
            (
                "networking = [ ];",
                "option-type",
                "[ ]",
                "`networking` is a set of options, not a list",
            ),
            (
                "swapDevices = [ { devise = \"/x\"; } ];",
                "unknown-option",
                "devise",
                "NixOS has no option `swapDevices.*.devise`",
            ),
            (
                "networking.hostName = \"a b\";",
                "option-type",
                "\"a b\"",
                "",
            ),
            (
                "containers.a.config = { networking.firewall.enabled = true; };",
                "unknown-option",
                "enabled",
                "NixOS has no option `networking.firewall.enabled`",
            ),
            ("fileSystems.\"/x\".device = 1;", "option-type", "1", ""),
            (
                "networking.extraHosts = null;",
                "option-type",
                "null",
                "`networking.extraHosts` takes a string, not null",
            ),
            (
                "fileSystems.\"/x\" = if config.x then { fsTyp = \"a\"; } else { };",
                "unknown-option",
                "fsTyp",
                "",
            ),
            (
                "swapDevices = { };",
                "option-type",
                "{ }",
                "`swapDevices` takes a list of sets of options, not a set",
            ),
            (
                "boot.kernelParams = [ \"intel_iommu=on iommu=pt\" ];",
                "option-type",
                "\"intel_iommu=on iommu=pt\"",
                "",
            ),
        ];
        for (body, kind, place, message) in cases {
            let text = module(body);
            let found: Vec<_> = faults_for("26.05", &text)
                .into_iter()
                .filter(|fault| fault.kind.name() != "unused-binding")
                .collect();
            assert_eq!(
                found
                    .iter()
                    .map(|f| (f.kind.name(), &text[f.range.clone()]))
                    .collect::<Vec<_>>(),
                [(*kind, *place)],
                "{body}"
            );
            if !message.is_empty() {
                assert_eq!(found[0].message, *message);
            }
        }
    }

    #[test]
    fn help_says_what_was_meant() {
        let help = |body: &str| {
            faults_for("26.05", &format!("{{ {body} }}"))[0]
                .help
                .clone()
                .unwrap_or_default()
        };
        assert_eq!(
            help("networking.hostNam = \"a\";"),
            "did you mean `networking.hostName`?"
        );
        assert_eq!(
            help("systemd.services.\"a b\".scrpt = \"\";"),
            "did you mean `systemd.services.\"a b\".script`?"
        );
        assert_eq!(
            help("services.openssh.permitRootLogin = \"no\";"),
            "write `services.openssh.settings.PermitRootLogin`"
        );
    }

    #[test]
    fn the_release_decides() {
        let logind = "{ services.logind.lidSwitch = \"ignore\"; }";
        assert_eq!(faults("24.05", logind), []);
        assert_eq!(
            faults("25.05", logind),
            [],
            "between what is known, either is right"
        );
        assert_eq!(
            faults("26.05", logind),
            [("renamed-option", "lidSwitch".to_owned())]
        );
        let unheard_of = "{ boot.loader.someloader.enable = true; }";
        assert_eq!(faults("24.05", unheard_of)[0].0, "unknown-option");
        for release in ["25.05", "25.11", "26.05", "26.11"] {
            assert_eq!(faults(release, unheard_of), [], "it may have come since");
        }
        let settings = "{ systemd.settings.Manager.RuntimeWatchdogSec = \"30s\"; }";
        assert_eq!(faults("24.05", settings)[0].0, "option-too-new");
        assert_eq!(faults("25.11", settings), []);
        assert_eq!(faults("26.11", settings), []);
        let servers = "{ services.timesyncd.servers = null; }";
        assert_eq!(
            faults("24.05", servers),
            [("option-type", "null".to_owned())]
        );
        assert_eq!(faults("25.05", servers), []);
        assert_eq!(faults("26.05", servers), []);
    }

    #[test]
    fn a_machine_may_run_a_later_release_than_its_state_version() {
        for body in [
            "systemd.settings.Manager.RuntimeWatchdogSec = \"30s\";",
            "boot.loader.limine.enable = true;",
            "services.logind.lidSwitch = \"ignore\";",
            "services.timesyncd.servers = null;",
        ] {
            for state_version in ["20.09 on", "24.05 on", "24.11 on", "25.11 on"] {
                let found = faults(state_version, &format!("{{ {body} }}"));
                assert_eq!(found, [], "{state_version}: {body}");
            }
        }
        // What no release takes is told whatever the state version is.
        for (body, kind) in [
            (
                "networking.firewall.allowedTCPPort = [ 22 ];",
                "unknown-option",
            ),
            (
                "networking.firewall.allowedTCPPorts = \"22\";",
                "option-type",
            ),
            (
                "services.openssh.passwordAuthentication = false;",
                "renamed-option",
            ),
            ("zramSwap.numDevices = 1;", "removed-option"),
        ] {
            for state_version in ["20.09 on", "24.05 on", "24.11 on", "25.11 on", "26.05 on"] {
                let found = faults(state_version, &format!("{{ {body} }}"));
                assert_eq!(found.len(), 1, "{state_version}: {body}");
                assert_eq!(found[0].0, kind, "{state_version}: {body}");
            }
        }
    }

    #[test]
    fn a_name_that_was_given_up_can_be_a_module_again() {
        for service in ["bird", "dnscrypt-proxy"] {
            let text = format!("{{ services.{service}.enable = true; }}");
            for release in ["24.11", "25.11", "26.05", "26.11"] {
                assert_eq!(faults(release, &text), [], "{service} in {release}");
            }
            assert_eq!(
                faults("24.05", &text),
                [("removed-option", service.to_owned())]
            );
        }
        let slip = faults("26.05", "{ services.bird.enabel = true; }");
        assert_eq!(slip[0].0, "unknown-option");
    }

    #[test]
    fn a_module_declares_its_own_options() {
        let text = "{ config, lib, ... }: {
          options.networking.firewall.extra = lib.mkOption { };
          options.services.mine = { enable = lib.mkEnableOption \"x\"; };
          config = lib.mkIf config.services.mine.enable { networking.firewall = { extra = 1; enabel = true; }; services.mine.enable = 3; };
        }";
        assert_eq!(
            faults("26.05", text),
            [("unknown-option", "enabel".to_owned())]
        );
        let beside = "{ options.a = { }; config = { }; networking.hostName = \"a\"; }";
        assert_eq!(
            faults("26.05", beside),
            [("unknown-option", "networking".to_owned())]
        );
    }

    #[test]
    fn a_slip_in_a_name_at_the_top_is_told_where_the_rest_is_right() {
        for (body, found) in [
            ("bot.kernelParams = [ ];", Some("bot")),
            ("uses.mutableUsers = true;", Some("uses")),
            ("ttime.timeZone = \"UTC\";", Some("ttime")),
            ("services.mox.virtualMachine.enable = true;", Some("mox")),
            ("bot.token = 1;", None),
            // A namespace of the user's own.
            ("user.packages = [ ];", None),
            ("user.users.a.name = \"a\";", None),
            ("programs.gh.enable = true;", None),
        ] {
            let told = faults("26.05", &format!("{{ {body} }}"));
            let wanted = found.map(|name| ("suspect-option", name.to_owned()));
            assert_eq!(told, Vec::from_iter(wanted), "{body}");
        }
    }

    #[test]
    fn a_setting_is_judged_like_a_module() {
        let check = |name: &str, value: &Json| {
            let rules = Rules {
                index: Index::builtin(),
                release: "26.05".parse().unwrap(),
                later: false,
                allowed: &[],
            };
            check_setting(&path(name), value, &rules)
                .into_iter()
                .map(|fault| (fault.kind.name(), fault.place))
                .collect::<Vec<_>>()
        };
        let name = |name: &str| Step::Name(name.to_owned());
        assert_eq!(
            check("networking.firewall.allowedTCPPorts", &json!([22, 80])),
            []
        );
        assert_eq!(
            check("networking.firewall.allowedTCPPorts", &json!([22, "80"])),
            [("option-type", vec![Step::Element(1)])]
        );
        assert_eq!(
            check("systemd.services.x", &json!({"script": 1})),
            [("option-type", vec![name("script")])]
        );
        assert_eq!(
            check(
                "systemd.services.x",
                &json!({"serviceConfig": {"Type": {"a": 1}}})
            ),
            [("option-type", vec![name("serviceConfig"), name("Type")])]
        );
        assert_eq!(
            check("services.opensh.enable", &json!(true)),
            [("suspect-option", vec![])]
        );
        assert_eq!(
            check("boot.kernel.sysctl.\"net.ipv4.ip_forward\"", &json!(1)),
            []
        );
        assert_eq!(
            check(
                "services.openssh.settings",
                &json!({"PermitRootLogin": "no", "X": 1})
            ),
            []
        );
        assert_eq!(
            check("fileSystems./x.fsType", &json!("")),
            [("option-type", vec![])]
        );
        assert_eq!(check("anything.else", &json!({"a": [1]})), []);
        assert_eq!(
            check("networking.enableIPv6", &json!(0)),
            [("option-type", vec![])]
        );
        assert_eq!(
            check("networking", &json!({"firewall": {"enabel": true}})),
            [("unknown-option", vec![name("firewall"), name("enabel")])]
        );
    }

    #[test]
    fn modules_are_told_from_other_nix() {
        let module = |text: &str| looks_like_module(text, Index::builtin());
        assert!(module("{ config, lib, ... }: { }"));
        assert!(module("{ lib, ... }: let x = 1; in { a = x; }"));
        assert!(module("{ networking.hostName = \"a\"; }"));
        assert!(module("{ imports = [ ./a.nix ]; }"));
        // Arguments that a flake gives, beside what only a system has.
        assert!(module(
            "{ inputs, vars, ... }: { imports = [ inputs.a.b ]; networking.hostName = vars.name; }"
        ));
        assert!(!module("{ inputs, ... }: { programs.git.enable = true; }"));
        assert!(!module(
            "{ inputs, ... }: { flake.nixosModules.a = { }; networking = 1; }"
        ));
        assert!(!module(
            "{ system, hardware }: { networking.hostName = \"a\"; }"
        ));
        // Its only name may have a slip in it, and no second one.
        assert!(module("{ services.opnessh.enable = true; }"));
        assert!(module("{ serivces.jellyfin.enable = true; }"));
        assert!(!module("{ serivces.jelyfin.enable = true; }"));
        assert!(!module("{ time = 1; }"));
        // Home Manager's and nix-darwin's have options of the same names, of other types.
        let of_others = [
            "{ lib, ... }: { home.stateVersion = \"25.11\"; programs.nh.flake = \"git+https://example.org\"; }",
            "{ osConfig, pkgs, ... }: { programs.nh.flake = \"git+https://example.org\"; }",
            "{ flake, pkgs, ... }: { imports = [ flake.homeModules.keys ]; programs.tmux.plugins = [ { } ]; }",
            "{ lib, ... }: { imports = [ inputs.self.darwinModules.default ]; users.users.a.gid = 20; }",
            "{ lib, ... }: { nixpkgs.hostPlatform = \"aarch64-darwin\"; users.users.a.gid = 20; }",
            "{ lib, ... }: { users.knownUsers = [ \"a\" ]; users.users.a.gid = 20; }",
            "{ lib, ... }: { nix.useDaemon = true; system.checks.verifyBuildUsers = false; }",
            "{ lib, ... }: { config = { system.primaryUser = \"a\"; users.users.a.gid = 20; }; }",
        ];
        for text in of_others {
            assert!(!module(text), "{text}");
        }
        for text in [
            "{ lib, ... }: { nixpkgs.hostPlatform = \"aarch64-linux\"; users.users.a.gid = 20; }",
            "{ lib, ... }: { imports = [ inputs.self.nixosModules.default ]; home-manager.users.a.home.stateVersion = \"25.11\"; }",
        ] {
            assert!(module(text), "{text}");
        }
        assert!(!module(
            "{ inputs.nixpkgs.url = \"x\"; outputs = { self, ... }: { }; }"
        ));
        assert!(!module("{ lib, stdenv, ... }: stdenv.mkDerivation { }"));
        assert!(!module("{ pkgs }: { a = 1; }"));
        assert!(!module("final: prev: { a = 1; }"));
        assert!(!module("[ 1 ]"));
        assert!(!module("{ a = "));
    }
}
