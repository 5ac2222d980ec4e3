//! A typed tree of the Nix language, and the small vocabulary to build it with.
//!
//! What cannot be said in Nix cannot be built: a string with a NUL, a number out of range, an attribute defined twice or a
//! name that is no identifier is a [`BuildError`] where it enters the tree. How the tree becomes text is [`print`](mod@super::print)'s
//! concern alone, so nobody who builds one quotes, escapes, indents or puts parentheses.
//!
//! Every constructor takes [`IntoExpr`], which is implemented for [`Built`] as well: calls nest without a `?` each.
//!
//! ```
//! use moxc::nix::{Attrs, Formals, call, function, mk_default, reference};
//!
//! let mut config = Attrs::new();
//! config.set("networking.hostName", mk_default("web"))?;
//! config.set(["boot", "kernel", "sysctl", "net.ipv4.ip_forward"], 1)?;
//! config.set("environment.systemPackages", [reference("pkgs.git"), reference("pkgs.zfs")])?;
//! config.set("services.hello.script", call(reference("lib.getExe"), [reference("pkgs.hello")]))?;
//! let module = function(Formals::open(["lib", "pkgs"])?, config)?;
//!
//! assert_eq!(
//!     moxc::nix::print(&module).text,
//!     r#"{ lib, pkgs, ... }:
//! {
//!   networking.hostName = lib.mkDefault "web";
//!   boot.kernel.sysctl."net.ipv4.ip_forward" = 1;
//!   environment.systemPackages = [
//!     pkgs.git
//!     pkgs.zfs
//!   ];
//!   services.hello.script = lib.getExe pkgs.hello;
//! }
//! "#
//! );
//! # Ok::<(), moxc::nix::BuildError>(())
//! ```

use std::fmt;

use super::name::is_identifier;
use crate::source::Span;

use indexmap::IndexMap;
use indexmap::map::Entry as MapEntry;

/// Where a value came from.
///
/// [`super::Printed`] tells which part of the text has which origin, so that a fault found in generated Nix can be shown at
/// the line of the spec that caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A line of the spec.
    Spec(Span),
    /// Options that a user wrote as they are: they are judged where they stand in the spec.
    Settings,
}

/// Why a tree could not be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildError {
    /// A string or an attribute name has a NUL: Nix 2.8 cuts it there without a word, 2.26 refuses it.
    Nul {
        /// The text as far as the NUL.
        before: String,
    },
    /// An attribute is already there; for a nested one the whole path.
    DuplicateAttribute(AttrPath),
    /// A path leads through an attribute whose value is not an attribute set.
    NotASet(AttrPath),
    /// Not an identifier of Nix, or one of its keywords.
    Identifier(String),
    /// Not an attribute path: empty, an empty segment without quotes, or an open quote.
    AttrPath(String),
    /// Not a path literal of Nix.
    PathLiteral(String),
    /// Nix's integers are 64 bits, signed.
    IntegerRange(String),
    /// Nix has neither infinities nor NaN.
    NotFinite,
    /// A function has one argument name twice.
    DuplicateFormal(String),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nul { before } => write!(f, "a Nix string cannot hold a NUL (after {before:?})"),
            Self::DuplicateAttribute(path) => write!(f, "attribute `{path}` is defined twice"),
            Self::NotASet(path) => write!(
                f,
                "`{path}` is not an attribute set, so nothing can be set below it"
            ),
            Self::Identifier(name) => write!(f, "{name:?} is not a Nix identifier"),
            Self::AttrPath(path) => write!(f, "{path:?} is not an attribute path"),
            Self::PathLiteral(path) => write!(f, "{path:?} cannot be written as a Nix path"),
            Self::IntegerRange(number) => write!(
                f,
                "{number} does not fit into a Nix integer (64 bits, signed)"
            ),
            Self::NotFinite => f.write_str("Nix has no infinity and no NaN"),
            Self::DuplicateFormal(name) => write!(f, "argument `{name}` is there twice"),
        }
    }
}

impl std::error::Error for BuildError {}

/// What every constructor gives.
pub type Built = Result<Expr, BuildError>;

fn without_nul(text: &str) -> Result<&str, BuildError> {
    match text.find('\0') {
        None => Ok(text),
        Some(at) => Err(BuildError::Nul {
            before: text[..at].to_owned(),
        }),
    }
}

fn identifier(name: &str) -> Result<String, BuildError> {
    if is_identifier(name) {
        Ok(name.to_owned())
    } else {
        Err(BuildError::Identifier(name.to_owned()))
    }
}

/// A path of attribute names, at least one; each may be any text without NUL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrPath(Vec<String>);

impl AttrPath {
    /// The path of these names.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, BuildError> {
        let names = names
            .into_iter()
            .map(|name| without_nul(name.as_ref()).map(str::to_owned))
            .collect::<Result<Vec<_>, _>>()?;
        if names.is_empty() {
            Err(BuildError::AttrPath(String::new()))
        } else {
            Ok(Self(names))
        }
    }

    /// Reads a dotted path; a segment in double quotes may hold anything, with `\"` and `\\` for the quote and the
    /// backslash: `services.nginx.virtualHosts."a.example"`.
    pub fn parse(text: &str) -> Result<Self, BuildError> {
        let wrong = || BuildError::AttrPath(text.to_owned());
        if !text.contains('"') {
            let names: Vec<&str> = text.split('.').collect();
            if names.contains(&"") {
                return Err(wrong());
            }
            return Self::new(names);
        }
        let mut names = Vec::new();
        let mut chars = text.chars().peekable();
        loop {
            let mut name = String::new();
            if chars.next_if_eq(&'"').is_some() {
                loop {
                    match chars.next().ok_or_else(wrong)? {
                        '"' => break,
                        '\\' => name.push(chars.next().ok_or_else(wrong)?),
                        c => name.push(c),
                    }
                }
            } else {
                while let Some(c) = chars.next_if(|c| *c != '.') {
                    if c == '"' {
                        return Err(wrong());
                    }
                    name.push(c);
                }
                if name.is_empty() {
                    return Err(wrong());
                }
            }
            names.push(name);
            match chars.next() {
                None => return Self::new(names),
                Some('.') => {}
                Some(_) => return Err(wrong()),
            }
        }
    }

    /// The names, first the outermost.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

/// As it would stand in a Nix file.
impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(&super::name::attribute_name(name))?;
        }
        Ok(())
    }
}

/// What can name an attribute: a dotted text (read by [`AttrPath::parse`]) or the names themselves. Names from a spec
/// go in as names, since they may have dots.
pub trait IntoAttrPath {
    /// The path.
    fn into_attr_path(self) -> Result<AttrPath, BuildError>;
}

impl IntoAttrPath for AttrPath {
    fn into_attr_path(self) -> Result<AttrPath, BuildError> {
        Ok(self)
    }
}

impl IntoAttrPath for &str {
    fn into_attr_path(self) -> Result<AttrPath, BuildError> {
        AttrPath::parse(self)
    }
}

impl<S: AsRef<str>, const N: usize> IntoAttrPath for [S; N] {
    fn into_attr_path(self) -> Result<AttrPath, BuildError> {
        AttrPath::new(self)
    }
}

impl<S: AsRef<str>> IntoAttrPath for &[S] {
    fn into_attr_path(self) -> Result<AttrPath, BuildError> {
        AttrPath::new(self)
    }
}

impl<S: AsRef<str>> IntoAttrPath for Vec<S> {
    fn into_attr_path(self) -> Result<AttrPath, BuildError> {
        AttrPath::new(self)
    }
}

/// An expression, perhaps with the place it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub(super) kind: Kind,
    pub(super) origin: Option<Origin>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str {
        parts: Vec<Part>,
        lines: bool,
    },
    Path(String),
    Ident(String),
    List(Vec<Expr>),
    Attrs(Attrs),
    Function {
        formals: Formals,
        body: Box<Expr>,
    },
    Lambda {
        name: String,
        body: Box<Expr>,
    },
    Apply {
        function: Box<Expr>,
        argument: Box<Expr>,
    },
    Select {
        from: Box<Expr>,
        path: AttrPath,
        or: Option<Box<Expr>>,
    },
    HasAttr {
        set: Box<Expr>,
        path: AttrPath,
    },
    Let {
        bindings: Attrs,
        body: Box<Expr>,
    },
    With {
        scope: Box<Expr>,
        body: Box<Expr>,
    },
    If {
        condition: Box<Expr>,
        yes: Box<Expr>,
        no: Box<Expr>,
    },
    Not(Box<Expr>),
    Binary {
        operator: BinaryOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
}

/// A part of a string.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// A value put in by `${…}`. It is written on one line whatever its length: meant for references and short calls.
    Value(Expr),
}

/// An operator with two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    /// `++`, of lists.
    Concat,
    /// `//`, of attribute sets: the right side wins.
    Update,
    /// `+`, of numbers, strings and paths.
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `&&`
    And,
    /// `||`
    Or,
}

impl Expr {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, origin: None }
    }

    /// The same expression, known to come from `origin`.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Where it came from, as far as it was said.
    pub fn origin(&self) -> Option<Origin> {
        self.origin
    }

    /// The attribute set that it is, if it is one.
    pub fn as_attrs(&self) -> Option<&Attrs> {
        match &self.kind {
            Kind::Attrs(attrs) => Some(attrs),
            _ => None,
        }
    }

    /// The tree of a JSON value; the order of objects is kept.
    pub fn from_json(value: &serde_json::Value) -> Built {
        use serde_json::Value;
        match value {
            Value::Null => Ok(null()),
            Value::Bool(value) => value.into_expr(),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => int.into_expr(),
                (None, Some(float)) if number.is_f64() => float.into_expr(),
                _ => Err(BuildError::IntegerRange(number.to_string())),
            },
            Value::String(text) => text.into_expr(),
            Value::Array(items) => list(items.iter().map(Self::from_json)),
            Value::Object(members) => {
                let mut attrs = Attrs::new();
                for (name, member) in members {
                    attrs.set([name], Self::from_json(member))?;
                }
                attrs.into_expr()
            }
        }
    }
}

/// What can stand where an expression is wanted.
pub trait IntoExpr {
    /// The expression.
    fn into_expr(self) -> Built;
}

impl IntoExpr for Expr {
    fn into_expr(self) -> Built {
        Ok(self)
    }
}

impl IntoExpr for Built {
    fn into_expr(self) -> Built {
        self
    }
}

impl IntoExpr for Attrs {
    fn into_expr(self) -> Built {
        Ok(Expr::new(Kind::Attrs(self)))
    }
}

impl IntoExpr for bool {
    fn into_expr(self) -> Built {
        Ok(Expr::new(Kind::Bool(self)))
    }
}

impl IntoExpr for &bool {
    fn into_expr(self) -> Built {
        (*self).into_expr()
    }
}

impl IntoExpr for i64 {
    fn into_expr(self) -> Built {
        Ok(Expr::new(Kind::Int(self)))
    }
}

macro_rules! small_integers {
    ($($number:ty),*) => {$(
        impl IntoExpr for $number {
            fn into_expr(self) -> Built {
                i64::from(self).into_expr()
            }
        }
    )*};
}
small_integers!(u8, u16, u32, i32);

macro_rules! large_integers {
    ($($number:ty),*) => {$(
        impl IntoExpr for $number {
            fn into_expr(self) -> Built {
                i64::try_from(self).map_err(|_| BuildError::IntegerRange(self.to_string()))?.into_expr()
            }
        }
    )*};
}
large_integers!(u64, usize);

impl IntoExpr for f64 {
    fn into_expr(self) -> Built {
        if self.is_finite() {
            Ok(Expr::new(Kind::Float(self)))
        } else {
            Err(BuildError::NotFinite)
        }
    }
}

impl IntoExpr for &str {
    fn into_expr(self) -> Built {
        self.to_owned().into_expr()
    }
}

impl IntoExpr for String {
    fn into_expr(self) -> Built {
        text([Part::Text(self)])
    }
}

impl IntoExpr for &String {
    fn into_expr(self) -> Built {
        self.as_str().into_expr()
    }
}

impl IntoExpr for &serde_json::Value {
    fn into_expr(self) -> Built {
        Expr::from_json(self)
    }
}

impl<T: IntoExpr> IntoExpr for Vec<T> {
    fn into_expr(self) -> Built {
        list(self)
    }
}

impl<T: IntoExpr, const N: usize> IntoExpr for [T; N] {
    fn into_expr(self) -> Built {
        list(self)
    }
}

/// `null`
pub fn null() -> Expr {
    Expr::new(Kind::Null)
}

/// A value together with the place it came from.
pub fn at(origin: Origin, value: impl IntoExpr) -> Built {
    value.into_expr().map(|expr| expr.with_origin(origin))
}

/// A list.
pub fn list<T: IntoExpr>(items: impl IntoIterator<Item = T>) -> Built {
    Ok(Expr::new(Kind::List(
        items
            .into_iter()
            .map(IntoExpr::into_expr)
            .collect::<Result<_, _>>()?,
    )))
}

fn parts(parts: impl IntoIterator<Item = Part>, lines: bool) -> Built {
    // Neighbouring texts become one: what must be escaped depends on the next character.
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        match (joined.last_mut(), part) {
            (_, Part::Text(text)) if text.is_empty() => {}
            (Some(Part::Text(before)), Part::Text(text)) => before.push_str(without_nul(&text)?),
            (_, Part::Text(text)) => {
                without_nul(&text)?;
                joined.push(Part::Text(text));
            }
            (_, value @ Part::Value(_)) => joined.push(value),
        }
    }
    Ok(Expr::new(Kind::Str {
        parts: joined,
        lines,
    }))
}

/// A string of parts, written in double quotes.
pub fn text(of: impl IntoIterator<Item = Part>) -> Built {
    parts(of, false)
}

/// A string of several lines, a script for example, written between `''` where that keeps every character.
pub fn block(text: impl Into<String>) -> Built {
    parts([Part::Text(text.into())], true)
}

/// Like [`block`], of parts.
pub fn block_of(of: impl IntoIterator<Item = Part>) -> Built {
    parts(of, true)
}

/// A part of a string that Nix puts in: `${…}`.
pub fn value(expr: impl IntoExpr) -> Result<Part, BuildError> {
    expr.into_expr().map(Part::Value)
}

/// A path literal: `./file`, `../file` or `/absolute`. Nix copies what it names into the store; the path of a file on the
/// host is a string.
pub fn path(literal: &str) -> Built {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
    let (start, rest) = literal.split_once('/').unwrap_or((literal, ""));
    let good = matches!(start, "" | "." | "..")
        && !rest.is_empty()
        && rest
            .split('/')
            .all(|segment| !segment.is_empty() && segment.bytes().all(allowed));
    if good {
        Ok(Expr::new(Kind::Path(literal.to_owned())))
    } else {
        Err(BuildError::PathLiteral(literal.to_owned()))
    }
}

/// A variable, or attributes of one, as a dotted text: `lib`, `config.networking.hostName`.
pub fn reference(dotted: &str) -> Built {
    let AttrPath(mut names) = AttrPath::parse(dotted)?;
    let attributes = names.split_off(1);
    // `AttrPath` has at least one name, and `split_off` leaves it.
    let variable = Expr::new(Kind::Ident(identifier(&names.remove(0))?));
    if attributes.is_empty() {
        Ok(variable)
    } else {
        select(variable, attributes)
    }
}

fn boxed(expr: impl IntoExpr) -> Result<Box<Expr>, BuildError> {
    expr.into_expr().map(Box::new)
}

/// `from.path`
pub fn select(from: impl IntoExpr, path: impl IntoAttrPath) -> Built {
    Ok(Expr::new(Kind::Select {
        from: boxed(from)?,
        path: path.into_attr_path()?,
        or: None,
    }))
}

/// `from.path or default`
pub fn select_or(from: impl IntoExpr, path: impl IntoAttrPath, default: impl IntoExpr) -> Built {
    Ok(Expr::new(Kind::Select {
        from: boxed(from)?,
        path: path.into_attr_path()?,
        or: Some(boxed(default)?),
    }))
}

/// `set ? path`
pub fn has_attr(set: impl IntoExpr, path: impl IntoAttrPath) -> Built {
    Ok(Expr::new(Kind::HasAttr {
        set: boxed(set)?,
        path: path.into_attr_path()?,
    }))
}

/// `function argument`
pub fn apply(function: impl IntoExpr, argument: impl IntoExpr) -> Built {
    Ok(Expr::new(Kind::Apply {
        function: boxed(function)?,
        argument: boxed(argument)?,
    }))
}

/// `function argument argument …`; arguments of different types go through [`apply`], or are built before.
pub fn call<T: IntoExpr>(function: impl IntoExpr, arguments: impl IntoIterator<Item = T>) -> Built {
    arguments.into_iter().try_fold(function.into_expr()?, apply)
}

/// `{ formals }: body`
pub fn function(formals: Formals, body: impl IntoExpr) -> Built {
    Ok(Expr::new(Kind::Function {
        formals,
        body: boxed(body)?,
    }))
}

/// `name: body`
pub fn lambda(name: &str, body: impl IntoExpr) -> Built {
    Ok(Expr::new(Kind::Lambda {
        name: identifier(name)?,
        body: boxed(body)?,
    }))
}

/// `let bindings in body`; without bindings just the body.
pub fn let_in(bindings: Attrs, body: impl IntoExpr) -> Built {
    if bindings.is_empty() {
        return body.into_expr();
    }
    Ok(Expr::new(Kind::Let {
        bindings,
        body: boxed(body)?,
    }))
}

/// `with scope; body`
pub fn with(scope: impl IntoExpr, body: impl IntoExpr) -> Built {
    Ok(Expr::new(Kind::With {
        scope: boxed(scope)?,
        body: boxed(body)?,
    }))
}

/// `if condition then yes else no`
pub fn if_then_else(condition: impl IntoExpr, yes: impl IntoExpr, no: impl IntoExpr) -> Built {
    Ok(Expr::new(Kind::If {
        condition: boxed(condition)?,
        yes: boxed(yes)?,
        no: boxed(no)?,
    }))
}

/// `!operand`
pub fn not(operand: impl IntoExpr) -> Built {
    Ok(Expr::new(Kind::Not(boxed(operand)?)))
}

/// `left operator right`
pub fn binary(operator: BinaryOp, left: impl IntoExpr, right: impl IntoExpr) -> Built {
    Ok(Expr::new(Kind::Binary {
        operator,
        left: boxed(left)?,
        right: boxed(right)?,
    }))
}

/// `lib.mkDefault value`, priority 1000: for scalars, so that a user's plain line wins. On a list or a set it would lose
/// all of it to the first other definition.
pub fn mk_default(value: impl IntoExpr) -> Built {
    apply(reference("lib.mkDefault"), value)
}

/// `lib.mkOverride priority value`; a smaller number wins, a plain definition has 100.
pub fn mk_override(priority: u32, value: impl IntoExpr) -> Built {
    apply(apply(reference("lib.mkOverride"), priority), value)
}

/// `lib.mkMerge [ … ]`
pub fn mk_merge<T: IntoExpr>(values: impl IntoIterator<Item = T>) -> Built {
    apply(reference("lib.mkMerge"), list(values))
}

/// `lib.mkBefore value`: a list or lines before those of others.
pub fn mk_before(value: impl IntoExpr) -> Built {
    apply(reference("lib.mkBefore"), value)
}

/// The arguments of a function that takes an attribute set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Formals {
    pub(super) names: IndexMap<String, Option<Expr>>,
    pub(super) open: bool,
}

impl Formals {
    /// `{ a, b }`: no other argument is taken.
    pub fn closed<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, BuildError> {
        let mut formals = Self::default();
        for name in names {
            formals.add(name.as_ref(), None)?;
        }
        Ok(formals)
    }

    /// `{ a, b, ... }`: what a module is.
    pub fn open<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, BuildError> {
        Ok(Self {
            open: true,
            ..Self::closed(names)?
        })
    }

    /// One more, `name ? default`.
    pub fn with_default(mut self, name: &str, default: impl IntoExpr) -> Result<Self, BuildError> {
        self.add(name, Some(default.into_expr()?))?;
        Ok(self)
    }

    fn add(&mut self, name: &str, default: Option<Expr>) -> Result<(), BuildError> {
        match self.names.insert(identifier(name)?, default) {
            None => Ok(()),
            Some(_) => Err(BuildError::DuplicateFormal(name.to_owned())),
        }
    }
}

/// An attribute set, or the bindings of a `let`. Names stay in the order in which they came, and none is there twice.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attrs {
    pub(super) entries: IndexMap<String, Entry>,
    /// The names of each `inherit`.
    pub(super) inherits: Vec<Vec<String>>,
    /// Made by a path that leads through it: `a.b = 1` may be written with a dot.
    pub(super) by_path: bool,
    /// For the next attribute.
    comment: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) value: Expr,
    pub(super) comment: Vec<String>,
}

impl Attrs {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.inherits.is_empty()
    }

    /// Defines the attribute at `path`, making the sets on the way. `a.b` and `a.c` share `a`; the same path twice, or a
    /// path through something that is not a set, is an error and changes nothing that was there.
    pub fn set(&mut self, path: impl IntoAttrPath, value: impl IntoExpr) -> Result<(), BuildError> {
        let path = path.into_attr_path()?;
        let value = value.into_expr()?;
        let comment = std::mem::take(&mut self.comment);
        self.put(&path, 0, value, comment, false)
    }

    /// Like [`Self::set`], and where both the old and the new value are attribute sets, they become one: attribute by
    /// attribute, each of which must be new.
    pub fn merge(
        &mut self,
        path: impl IntoAttrPath,
        value: impl IntoExpr,
    ) -> Result<(), BuildError> {
        let path = path.into_attr_path()?;
        let value = value.into_expr()?;
        let comment = std::mem::take(&mut self.comment);
        self.put(&path, 0, value, comment, true)
    }

    /// All attributes of `other`, merged as by [`Self::merge`].
    pub fn merge_all(&mut self, other: Attrs) -> Result<(), BuildError> {
        for names in other.inherits {
            for name in &names {
                self.refuse_present(name)?;
            }
            self.inherits.push(names);
        }
        for (name, entry) in other.entries {
            self.put(&AttrPath::new([name])?, 0, entry.value, entry.comment, true)?;
        }
        Ok(())
    }

    /// `inherit names;`
    pub fn inherit<S: AsRef<str>>(
        &mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<(), BuildError> {
        let mut inherited = Vec::new();
        for name in names {
            let name = identifier(name.as_ref())?;
            self.refuse_present(&name)?;
            if inherited.contains(&name) {
                return Err(BuildError::DuplicateAttribute(AttrPath(vec![name])));
            }
            inherited.push(name);
        }
        if !inherited.is_empty() {
            self.inherits.push(inherited);
        }
        Ok(())
    }

    /// Lines above the next attribute that is defined here, set off by an empty line. Control characters are left out: a
    /// comment can hold nothing that ends it.
    pub fn comment(&mut self, text: &str) {
        self.comment.extend(comment_lines(text));
    }

    /// The value at `path`.
    pub fn get(&self, path: &[impl AsRef<str>]) -> Option<&Expr> {
        let (first, rest) = path.split_first()?;
        let value = &self.entries.get(first.as_ref())?.value;
        if rest.is_empty() {
            Some(value)
        } else {
            value.as_attrs()?.get(rest)
        }
    }

    /// The names and values, in order; inherited names are not among them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Expr)> {
        self.entries
            .iter()
            .map(|(name, entry)| (name.as_str(), &entry.value))
    }

    fn refuse_present(&self, name: &str) -> Result<(), BuildError> {
        if self.entries.contains_key(name)
            || self.inherits.iter().flatten().any(|other| other == name)
        {
            return Err(BuildError::DuplicateAttribute(AttrPath(vec![
                name.to_owned(),
            ])));
        }
        Ok(())
    }

    /// Defines `path.names()[depth..]` in this set; the names before are those of the sets around it, for the error text.
    fn put(
        &mut self,
        path: &AttrPath,
        depth: usize,
        value: Expr,
        comment: Vec<String>,
        merge: bool,
    ) -> Result<(), BuildError> {
        let so_far = || AttrPath(path.0[..=depth].to_vec());
        let name = &path.0[depth];
        let last = depth + 1 == path.0.len();
        if self.inherits.iter().flatten().any(|other| other == name) {
            return Err(BuildError::DuplicateAttribute(so_far()));
        }
        match self.entries.entry(name.clone()) {
            MapEntry::Vacant(vacant) if last => {
                vacant.insert(Entry { value, comment });
            }
            MapEntry::Vacant(vacant) => {
                let mut below = Attrs {
                    by_path: true,
                    ..Attrs::default()
                };
                below.put(path, depth + 1, value, Vec::new(), merge)?;
                vacant.insert(Entry {
                    value: Expr::new(Kind::Attrs(below)),
                    comment,
                });
            }
            MapEntry::Occupied(occupied) => {
                let present = &mut occupied.into_mut().value;
                match (&mut present.kind, value.kind) {
                    (Kind::Attrs(present), kind) if !last => {
                        present.put(
                            path,
                            depth + 1,
                            Expr {
                                kind,
                                origin: value.origin,
                            },
                            comment,
                            merge,
                        )?;
                    }
                    (_, _) if !last => return Err(BuildError::NotASet(so_far())),
                    (Kind::Attrs(present), Kind::Attrs(more)) if merge => {
                        present
                            .merge_all(more)
                            .map_err(|error| below(&so_far(), error))?;
                    }
                    (_, _) => return Err(BuildError::DuplicateAttribute(so_far())),
                }
            }
        }
        Ok(())
    }
}

/// An error inside the set at `path`, as seen from outside.
fn below(path: &AttrPath, error: BuildError) -> BuildError {
    let joined = |inner: AttrPath| AttrPath(path.0.iter().cloned().chain(inner.0).collect());
    match error {
        BuildError::DuplicateAttribute(inner) => BuildError::DuplicateAttribute(joined(inner)),
        BuildError::NotASet(inner) => BuildError::NotASet(joined(inner)),
        BuildError::Nul { .. }
        | BuildError::Identifier(_)
        | BuildError::AttrPath(_)
        | BuildError::PathLiteral(_)
        | BuildError::IntegerRange(_)
        | BuildError::NotFinite
        | BuildError::DuplicateFormal(_) => error,
    }
}

/// A text as lines of a comment.
pub(super) fn comment_lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| {
            let line: String = line
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            line.trim_end().to_owned()
        })
        .collect()
}
