//! What a definition says, as far as it can be read without running it.

use std::ops::Range;

use rnix::SyntaxNode;
use rnix::ast::{self, Expr, HasEntry};
use rowan::ast::AstNode;
use serde_json::Value as Json;

use crate::nix::parse::{range_of, static_name, static_text, without_parentheses};

/// A value and its place: bytes of a Nix text, or for JSON the number of the place, twice.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) shape: Shape,
    pub(super) place: Range<usize>,
}

#[derive(Debug, Clone)]
pub(super) enum Shape {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// A text that is computed.
    SomeText,
    Path,
    List(Vec<Value>),
    Attrs(Vec<Member>),
    /// A function, and what it gives.
    Function(Box<Value>),
    /// A function of nixpkgs' library that says how a definition counts, without all its arguments.
    Unfinished(String),
    /// The same with more arguments than it takes: `mkForce toString 1`.
    Overfull(String),
    /// Computed; whatever it is, it is taken to be right.
    Unknown,
    /// All of these are definitions of the same option.
    Many(Vec<Value>),
}

/// An attribute; a path of several names is a set of one in a set.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// `None` if it is computed.
    pub(super) name: Option<String>,
    /// Where the name stands.
    pub(super) place: Range<usize>,
    pub(super) value: Value,
}

impl Value {
    fn new(shape: Shape, place: Range<usize>) -> Self {
        Self { shape, place }
    }

    /// What an expression says.
    pub(super) fn of(expr: &Expr) -> Self {
        let expr = without_parentheses(expr);
        let place = range_of(&expr);
        let shape = match &expr {
            Expr::Ident(ident) => match ident.syntax().text().to_string().as_str() {
                "null" => Shape::Null,
                "true" => Shape::Bool(true),
                "false" => Shape::Bool(false),
                _ => Shape::Unknown,
            },
            Expr::Literal(literal) => {
                let text = literal.syntax().text().to_string();
                match literal.kind() {
                    ast::LiteralKind::Integer(_) => text.parse().map_or(Shape::Unknown, Shape::Int),
                    ast::LiteralKind::Float(_) => text.parse().map_or(Shape::Unknown, Shape::Float),
                    ast::LiteralKind::Uri(_) => Shape::Text(text),
                }
            }
            Expr::Str(text) => static_text(text).map_or(Shape::SomeText, Shape::Text),
            Expr::PathAbs(_) | Expr::PathRel(_) | Expr::PathHome(_) | Expr::PathSearch(_) => {
                Shape::Path
            }
            Expr::List(list) => Shape::List(list.items().map(|item| Self::of(&item)).collect()),
            Expr::AttrSet(set) => Shape::Attrs(members(set)),
            Expr::Lambda(lambda) => match lambda.body() {
                Some(body) => Shape::Function(Box::new(Self::of(&body))),
                None => Shape::Unknown,
            },
            Expr::LetIn(inner) => {
                return inner
                    .body()
                    .map_or(Self::new(Shape::Unknown, place), |body| Self::of(&body));
            }
            Expr::With(inner) => {
                return inner
                    .body()
                    .map_or(Self::new(Shape::Unknown, place), |body| Self::of(&body));
            }
            Expr::Assert(inner) => {
                return inner
                    .body()
                    .map_or(Self::new(Shape::Unknown, place), |body| Self::of(&body));
            }
            Expr::IfElse(choice) if choice.condition().is_some_and(|of| by_release(&of)) => {
                Shape::Unknown
            }
            Expr::IfElse(choice) => {
                let branches = [choice.body(), choice.else_body()];
                Shape::Many(
                    branches
                        .into_iter()
                        .flatten()
                        .map(|branch| Self::of(&branch))
                        .collect(),
                )
            }
            Expr::UnaryOp(operation) => negated(operation),
            Expr::BinOp(operation) => combined(operation),
            Expr::Apply(_) | Expr::Select(_) => return applied(&expr, place),
            Expr::CurPos(_)
            | Expr::Error(_)
            | Expr::HasAttr(_)
            | Expr::LegacyLet(_)
            | Expr::Paren(_)
            | Expr::Root(_) => Shape::Unknown,
        };
        Self::new(shape, place)
    }

    /// Shows every text in it, with where it begins.
    pub(super) fn each_text(&mut self, show: &mut impl FnMut(usize, &mut String)) {
        match &mut self.shape {
            Shape::Text(text) => show(self.place.start, text),
            Shape::List(values) | Shape::Many(values) => {
                for value in values {
                    value.each_text(show);
                }
            }
            Shape::Attrs(members) => {
                for member in members {
                    member.value.each_text(show);
                }
            }
            Shape::Function(body) => body.each_text(show),
            Shape::Null
            | Shape::Bool(_)
            | Shape::Int(_)
            | Shape::Float(_)
            | Shape::SomeText
            | Shape::Path
            | Shape::Unfinished(_)
            | Shape::Overfull(_)
            | Shape::Unknown => {}
        }
    }

    /// What a JSON value says. `places` gets the way to each value in it; a value's place is its number there.
    pub(super) fn of_json(
        json: &Json,
        way: &mut Vec<super::Step>,
        places: &mut Vec<Vec<super::Step>>,
    ) -> Self {
        let number = places.len();
        let place = number..number;
        places.push(way.clone());
        let mut inside = |step: super::Step, inner: &Json| {
            way.push(step);
            let value = Self::of_json(inner, way, places);
            way.pop();
            value
        };
        let shape = match json {
            Json::Null => Shape::Null,
            Json::Bool(value) => Shape::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => Shape::Int(int),
                (None, Some(float)) => Shape::Float(float),
                (None, None) => Shape::Unknown,
            },
            Json::String(text) => Shape::Text(text.clone()),
            Json::Array(items) => Shape::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| inside(super::Step::Element(index), item))
                    .collect(),
            ),
            Json::Object(inner) => Shape::Attrs(
                inner
                    .iter()
                    .map(|(name, inner)| {
                        let value = inside(super::Step::Name(name.clone()), inner);
                        Member {
                            name: Some(name.clone()),
                            place: value.place.clone(),
                            value,
                        }
                    })
                    .collect(),
            ),
        };
        Self::new(shape, place)
    }
}

fn members(set: &ast::AttrSet) -> Vec<Member> {
    let mut members = Vec::new();
    for entry in set.entries() {
        match entry {
            ast::Entry::Inherit(inherit) => members.extend(inherit.attrs().map(|attr| {
                let place = range_of(&attr);
                Member {
                    name: static_name(&attr),
                    place: place.clone(),
                    value: Value::new(Shape::Unknown, place),
                }
            })),
            ast::Entry::AttrpathValue(binding) => {
                let (Some(path), Some(value)) = (binding.attrpath(), binding.value()) else {
                    continue;
                };
                let mut attrs: Vec<ast::Attr> = path.attrs().collect();
                let mut value = Value::of(&value);
                while let Some(attr) = attrs.pop() {
                    let place = range_of(&attr);
                    let member = Member {
                        name: static_name(&attr),
                        place: place.clone(),
                        value,
                    };
                    if attrs.is_empty() {
                        members.push(member);
                        break;
                    }
                    value = Value::new(Shape::Attrs(vec![member]), place);
                }
            }
        }
    }
    members
}

fn negated(operation: &ast::UnaryOp) -> Shape {
    let operand = operation.expr().map(|operand| Value::of(&operand).shape);
    match (operation.operator(), operand) {
        (Some(ast::UnaryOpKind::Negate), Some(Shape::Int(number))) => {
            number.checked_neg().map_or(Shape::Unknown, Shape::Int)
        }
        (Some(ast::UnaryOpKind::Negate), Some(Shape::Float(number))) => Shape::Float(-number),
        _ => Shape::Unknown,
    }
}

fn combined(operation: &ast::BinOp) -> Shape {
    let sides = || {
        [operation.lhs(), operation.rhs()]
            .into_iter()
            .flatten()
            .map(|side| Value::of(&side))
    };
    match operation.operator() {
        // Each side is a part of the list.
        Some(ast::BinOpKind::Concat) => Shape::Many(sides().collect()),
        // Of a set that is not known as a whole nothing is known: it may be a package.
        Some(ast::BinOpKind::Update) => {
            let sides: Vec<Value> = sides().collect();
            if sides
                .iter()
                .all(|side| matches!(side.shape, Shape::Attrs(_)))
            {
                Shape::Many(sides)
            } else {
                Shape::Unknown
            }
        }
        Some(ast::BinOpKind::Add) => {
            let mut shapes = sides().map(|side| side.shape);
            match (shapes.next(), shapes.next()) {
                (Some(Shape::Path), _) => Shape::Path,
                (Some(Shape::Text(_) | Shape::SomeText), _)
                | (_, Some(Shape::Text(_) | Shape::SomeText)) => Shape::SomeText,
                (Some(Shape::Int(a)), Some(Shape::Int(b))) => {
                    a.checked_add(b).map_or(Shape::Unknown, Shape::Int)
                }
                _ => Shape::Unknown,
            }
        }
        Some(ast::BinOpKind::Sub) => {
            let mut shapes = sides().map(|side| side.shape);
            match (shapes.next(), shapes.next()) {
                (Some(Shape::Int(a)), Some(Shape::Int(b))) => {
                    a.checked_sub(b).map_or(Shape::Unknown, Shape::Int)
                }
                _ => Shape::Unknown,
            }
        }
        _ => Shape::Unknown,
    }
}

/// The functions that say how a definition counts, and a few others whose result has the shape of an argument.
fn applied(expr: &Expr, place: Range<usize>) -> Value {
    let mut arguments = Vec::new();
    let mut function = expr.clone();
    while let Expr::Apply(apply) = &function {
        let (Some(inner), Some(argument)) = (apply.lambda(), apply.argument()) else {
            break;
        };
        arguments.push(argument);
        function = without_parentheses(&inner);
    }
    arguments.reverse();
    let argument = |index: usize| arguments.get(index).map(Value::of);
    let name = library_function(&function);
    // How many arguments make a definition of it, the last of which is the value.
    let wanted = match name.as_deref() {
        Some(
            "mkDefault"
            | "mkForce"
            | "mkBefore"
            | "mkAfter"
            | "mkVMOverride"
            | "mkImageMediaOverride"
            | "mkOptionDefault"
            | "mkMerge",
        ) => 1,
        Some("mkIf" | "mkOverride" | "mkOrder") => 2,
        _ => 0,
    };
    let least = match name.as_deref() {
        Some("optional" | "optionals" | "optionalAttrs" | "optionalString") => 2,
        _ => wanted,
    };
    if let Some(name) = &name {
        if arguments.len() < least {
            return Value::new(Shape::Unfinished(name.clone()), place);
        }
        if arguments.len() > least && least > 0 {
            return Value::new(Shape::Overfull(name.clone()), place);
        }
    }
    let result = match (name.as_deref(), arguments.len()) {
        (Some("mkIf" | "optional" | "optionals" | "optionalAttrs"), 2)
            if by_release(&arguments[0]) =>
        {
            None
        }
        (Some("optional"), 2) => {
            argument(1).map(|item| Value::new(Shape::List(vec![item]), place.clone()))
        }
        (Some("mkMerge"), 1) => argument(0).map(|list| match list.shape {
            Shape::List(values) => Value::new(Shape::Many(values), list.place),
            _ => Value::new(Shape::Unknown, list.place),
        }),
        (Some("optionalAttrs" | "optionals"), 2) => argument(1),
        (_, given) if wanted > 0 && given == wanted => argument(wanted - 1),
        (Some("optionalString" | "concatStringsSep" | "concatMapStrings"), 2)
        | (Some("toString" | "concatStrings" | "concatLines" | "toJSON"), 1)
        | (Some("concatMapStringsSep"), 3) => Some(Value::new(Shape::SomeText, place.clone())),
        _ => None,
    };
    result.unwrap_or(Value::new(Shape::Unknown, place))
}

/// Whether a condition asks which release of NixOS there is, or which options it has: what follows is for one of them, which
/// need not be the one that the file is held against.
fn by_release(condition: &Expr) -> bool {
    let asks = |node: &SyntaxNode| {
        let mut below = node.descendants();
        below.any(|node| {
            let name = ast::Ident::cast(node.clone()).map(|ident| ident.to_string());
            let asks_for_an_option = ast::HasAttr::cast(node)
                .and_then(|has| has.expr())
                .is_some_and(|of| of.to_string().ends_with("options"));
            asks_for_an_option
                || name.is_some_and(|name| {
                    ["versionAtLeast", "versionOlder", "compareVersions"].contains(&name.as_str())
                })
        })
    };
    if asks(condition.syntax()) {
        return true;
    }
    // The answer may have a name: `let isNew = lib.versionAtLeast …; in`.
    let names: Vec<String> = condition
        .syntax()
        .descendants()
        .filter_map(ast::Ident::cast)
        .map(|ident| ident.to_string())
        .collect();
    let around = condition.syntax().ancestors().filter_map(ast::LetIn::cast);
    let mut bindings = around.flat_map(|around| around.attrpath_values());
    bindings.any(|binding| {
        let name = binding.attrpath().map(|path| path.to_string());
        name.is_some_and(|name| names.contains(&name))
            && binding.value().is_some_and(|value| asks(value.syntax()))
    })
}

/// The name of a function of nixpkgs' library or of Nix: `mkIf`, `lib.mkIf`, `lib.modules.mkIf`, `builtins.toJSON`.
fn library_function(function: &Expr) -> Option<String> {
    match function {
        Expr::Ident(ident) => Some(ident.syntax().text().to_string()),
        Expr::Select(select) => {
            let Some(Expr::Ident(base)) = select.expr() else {
                return None;
            };
            if !matches!(
                base.syntax().text().to_string().as_str(),
                "lib" | "builtins"
            ) {
                return None;
            }
            static_name(&select.attrpath()?.attrs().last()?)
        }
        _ => None,
    }
}
