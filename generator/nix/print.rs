//! Prints a tree as text that nixfmt leaves as it is.
//!
//! Attribute sets and lists with something in them always take one line an element, which nixfmt keeps; everything else
//! follows its rules. A tree is first *lowered* to what stands in the file (parentheses, negative numbers, quoted
//! names, escapes), and that is laid out by [`super::layout`].

use std::ops::Range;

use super::expr::{AttrPath, Attrs, BinaryOp, Expr, Formals, Kind, Origin, Part, comment_lines};
use super::layout::{Document, GroupKind, Piece, flat_columns, on_one_line};
use super::name::{attribute_name, escaped, is_identifier};

/// A printed tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// The Nix text; ends in one line feed.
    pub text: String,
    /// Bytes of the text and where they came from, an outer range before the ranges in it.
    origins: Vec<(Range<usize>, Origin)>,
}

impl Printed {
    /// The innermost origin around the byte at `offset`.
    pub fn origin_at(&self, offset: usize) -> Option<Origin> {
        self.origins
            .iter()
            .filter(|(range, _)| range.contains(&offset))
            .min_by_key(|(range, _)| range.len())
            .map(|(_, origin)| *origin)
    }
}

/// The text of an expression, as a file of its own.
pub fn print(expr: &Expr) -> Printed {
    print_file("", expr)
}

/// The text of a file: the header as comment lines, then the expression.
pub fn print_file(header: &str, expr: &Expr) -> Printed {
    let mut document = Document::default();
    for line in comment_lines(header) {
        comment(&mut document, &line);
    }
    let node = lower(expr);
    document.group(GroupKind::Plain, |d| expression(d, &node));
    let (mut text, origins) = document.lay_out();
    text.push('\n');
    Printed { text, origins }
}

/// What stands in the file.
#[derive(Debug)]
struct Node {
    kind: NodeKind,
    origin: Option<Origin>,
}

#[derive(Debug)]
enum NodeKind {
    /// A name or a number.
    Word(String),
    /// In double quotes.
    Text(Vec<Fragment>),
    Path(String),
    /// The lines between `''`; the last one is empty where the text ends with a line feed.
    Block(Vec<Vec<Fragment>>),
    List(Vec<Node>),
    Set(Vec<Item>),
    Paren(Box<Node>),
    Select {
        from: Box<Node>,
        path: Vec<String>,
        or: Option<Box<Node>>,
    },
    HasAttr {
        set: Box<Node>,
        path: Vec<String>,
    },
    Apply(Box<Node>, Box<Node>),
    /// `-` or `!`
    Prefix(&'static str, Box<Node>),
    Binary(Box<Node>, &'static str, Box<Node>),
    Lambda(String, Box<Node>),
    Function {
        formals: Vec<Formal>,
        open: bool,
        body: Box<Node>,
    },
    Let(Vec<Item>, Box<Node>),
    With(Box<Node>, Box<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
}

/// A piece of a string.
#[derive(Debug)]
enum Fragment {
    /// Escaped.
    Text(String),
    /// Between `${` and `}`.
    Value(Node),
}

#[derive(Debug)]
struct Formal {
    name: String,
    default: Option<Node>,
}

/// A line, or several, of a set or a `let`.
#[derive(Debug)]
struct Item {
    comment: Vec<String>,
    origin: Option<Origin>,
    kind: ItemKind,
}

#[derive(Debug)]
enum ItemKind {
    Binding { path: Vec<String>, value: Node },
    Inherit { names: Vec<String> },
}

/// How tightly a construct holds together; a looser one inside a tighter one takes parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tightness {
    /// Functions, `let`, `with`, `if`: they reach as far right as they can.
    Open,
    Or,
    And,
    Equality,
    Update,
    Not,
    Sum,
    Product,
    Concat,
    HasAttr,
    Negation,
    Apply,
    Term,
}

fn tightness(node: &Node) -> Tightness {
    match &node.kind {
        NodeKind::Word(_)
        | NodeKind::Text(_)
        | NodeKind::Path(_)
        | NodeKind::Block(_)
        | NodeKind::List(_)
        | NodeKind::Set(_)
        | NodeKind::Paren(_)
        | NodeKind::Select { .. } => Tightness::Term,
        NodeKind::Apply(..) => Tightness::Apply,
        NodeKind::Prefix("-", _) => Tightness::Negation,
        NodeKind::Prefix(..) => Tightness::Not,
        NodeKind::HasAttr { .. } => Tightness::HasAttr,
        NodeKind::Binary(_, operator, _) => match *operator {
            "++" => Tightness::Concat,
            "*" => Tightness::Product,
            "+" | "-" => Tightness::Sum,
            "//" => Tightness::Update,
            "==" | "!=" => Tightness::Equality,
            "&&" => Tightness::And,
            _ => Tightness::Or,
        },
        NodeKind::Lambda(..)
        | NodeKind::Function { .. }
        | NodeKind::Let(..)
        | NodeKind::With(..)
        | NodeKind::If(..) => Tightness::Open,
    }
}

fn node(kind: NodeKind) -> Node {
    Node { kind, origin: None }
}

fn word(text: &str) -> Node {
    node(NodeKind::Word(text.to_owned()))
}

/// The node, in parentheses if it holds less tightly than `least`.
fn at_least(least: Tightness, inner: Node) -> Node {
    if tightness(&inner) < least {
        node(NodeKind::Paren(Box::new(inner)))
    } else {
        inner
    }
}

fn lower(expr: &Expr) -> Node {
    let kind = match &expr.kind {
        Kind::Null => NodeKind::Word("null".to_owned()),
        Kind::Bool(value) => NodeKind::Word(value.to_string()),
        Kind::Int(value) => integer(*value),
        Kind::Float(value) => float(*value),
        Kind::Str { parts, lines } => match lines.then(|| block_lines(parts)).flatten() {
            Some(between) => NodeKind::Block(between),
            None => NodeKind::Text(quoted(parts)),
        },
        Kind::Path(path) => NodeKind::Path(path.clone()),
        Kind::Ident(name) => NodeKind::Word(name.clone()),
        Kind::List(items) => NodeKind::List(
            items
                .iter()
                .map(|item| at_least(Tightness::Term, lower(item)))
                .collect(),
        ),
        Kind::Attrs(attrs) => NodeKind::Set(items(attrs)),
        Kind::Function {
            formals: Formals { names, open },
            body,
        } => NodeKind::Function {
            formals: names
                .iter()
                .map(|(name, default)| Formal {
                    name: name.clone(),
                    default: default.as_ref().map(lower),
                })
                .collect(),
            open: *open,
            body: Box::new(lower(body)),
        },
        Kind::Lambda { name, body } => NodeKind::Lambda(name.clone(), Box::new(lower(body))),
        Kind::Apply { function, argument } => NodeKind::Apply(
            Box::new(at_least(Tightness::Apply, lower(function))),
            Box::new(at_least(Tightness::Term, lower(argument))),
        ),
        Kind::Select { from, path, or } => selection(lower(from), path, or.as_deref()),
        Kind::HasAttr { set, path } => NodeKind::HasAttr {
            set: Box::new(at_least(Tightness::Negation, lower(set))),
            path: path
                .names()
                .iter()
                .map(|name| attribute_name(name))
                .collect(),
        },
        Kind::Let { bindings, body } => NodeKind::Let(items(bindings), Box::new(lower(body))),
        Kind::With { scope, body } => NodeKind::With(Box::new(lower(scope)), Box::new(lower(body))),
        Kind::If { condition, yes, no } => NodeKind::If(
            Box::new(lower(condition)),
            Box::new(lower(yes)),
            Box::new(lower(no)),
        ),
        Kind::Not(operand) => {
            NodeKind::Prefix("!", Box::new(at_least(Tightness::Not, lower(operand))))
        }
        Kind::Binary {
            operator,
            left,
            right,
        } => {
            let (sign, left_least, right_least) = binary_operator(*operator);
            NodeKind::Binary(
                Box::new(at_least(left_least, lower(left))),
                sign,
                Box::new(at_least(right_least, lower(right))),
            )
        }
    };
    Node {
        kind,
        origin: expr.origin,
    }
}

fn selection(from: Node, path: &AttrPath, or: Option<&Expr>) -> NodeKind {
    // `1.a` would be a number; a selection with `or` takes no further dot.
    let bare = match &from.kind {
        NodeKind::Word(word) => is_identifier(word),
        NodeKind::Paren(_) => true,
        _ => false,
    };
    let names = path.names().iter().map(|name| attribute_name(name));
    match from.kind {
        // `(a.b).c` is `a.b.c`.
        NodeKind::Select {
            from: inner,
            path: mut before,
            or: None,
        } => {
            before.extend(names);
            NodeKind::Select {
                from: inner,
                path: before,
                or: default(or),
            }
        }
        kind => {
            let from = Node {
                kind,
                origin: from.origin,
            };
            let from = if bare {
                from
            } else {
                node(NodeKind::Paren(Box::new(from)))
            };
            NodeKind::Select {
                from: Box::new(from),
                path: names.collect(),
                or: default(or),
            }
        }
    }
}

fn default(or: Option<&Expr>) -> Option<Box<Node>> {
    or.map(|or| Box::new(at_least(Tightness::Term, lower(or))))
}

/// The sign, and how tightly its sides must hold: one step more than itself where it does not associate to that side.
fn binary_operator(operator: BinaryOp) -> (&'static str, Tightness, Tightness) {
    match operator {
        BinaryOp::Concat => ("++", Tightness::HasAttr, Tightness::Concat),
        BinaryOp::Multiply => ("*", Tightness::Product, Tightness::Concat),
        BinaryOp::Add => ("+", Tightness::Sum, Tightness::Product),
        BinaryOp::Subtract => ("-", Tightness::Sum, Tightness::Product),
        BinaryOp::Update => ("//", Tightness::Not, Tightness::Update),
        BinaryOp::Equal => ("==", Tightness::Update, Tightness::Update),
        BinaryOp::NotEqual => ("!=", Tightness::Update, Tightness::Update),
        BinaryOp::And => ("&&", Tightness::And, Tightness::Equality),
        BinaryOp::Or => ("||", Tightness::Or, Tightness::And),
    }
}

fn negative(number: Node) -> NodeKind {
    NodeKind::Prefix("-", Box::new(number))
}

fn integer(value: i64) -> NodeKind {
    match (value.checked_abs(), value) {
        (Some(_), 0..) => NodeKind::Word(value.to_string()),
        (Some(positive), _) => negative(word(&positive.to_string())),
        // Nix reads the digits before the sign, and 9223372036854775808 is too large.
        (None, _) => {
            let almost = node(negative(word(&i64::MAX.to_string())));
            NodeKind::Binary(Box::new(almost), "-", Box::new(word("1")))
        }
    }
}

fn float(value: f64) -> NodeKind {
    if value == 0.0 && value.is_sign_negative() {
        // `-0.0` is `0 - 0.0`, which is positive.
        return NodeKind::Binary(
            Box::new(node(negative(word("1")))),
            "*",
            Box::new(word("0.0")),
        );
    }
    if value.is_subnormal() {
        // Nix takes no literal this near to zero; a product by a power of two is exact.
        let scale = 2_f64.powi(-200);
        let scaled = node(float(value / scale));
        return NodeKind::Binary(Box::new(scaled), "*", Box::new(word(&float_digits(scale))));
    }
    let digits = float_digits(value.abs());
    if value < 0.0 {
        negative(word(&digits))
    } else {
        NodeKind::Word(digits)
    }
}

/// The shortest digits that read back as the same number; `{:?}` leaves out the point before an exponent, where Nix wants one.
fn float_digits(value: f64) -> String {
    let digits = format!("{value:?}");
    match digits.split_once('e') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => {
            format!("{mantissa}.0e{exponent}")
        }
        _ => digits,
    }
}

fn items(attrs: &Attrs) -> Vec<Item> {
    let inherits = attrs.inherits.iter().map(|names| Item {
        comment: Vec::new(),
        origin: None,
        kind: ItemKind::Inherit {
            names: names.clone(),
        },
    });
    let bindings = attrs.entries.iter().map(|(name, entry)| {
        // A set that only leads to one attribute is written with a dot.
        let mut path = vec![attribute_name(name)];
        let mut value = &entry.value;
        while let Kind::Attrs(Attrs {
            entries,
            inherits,
            by_path: true,
            ..
        }) = &value.kind
            && value.origin.is_none()
            && inherits.is_empty()
            && let Some((name, only)) = entries.first()
            && entries.len() == 1
            && only.comment.is_empty()
        {
            path.push(attribute_name(name));
            value = &only.value;
        }
        let mut value = lower(value);
        Item {
            comment: entry.comment.clone(),
            origin: value.origin.take(),
            kind: ItemKind::Binding { path, value },
        }
    });
    inherits.chain(bindings).collect()
}

fn quoted(parts: &[Part]) -> Vec<Fragment> {
    let before_value = |index: usize| index + 1 < parts.len();
    parts
        .iter()
        .enumerate()
        .map(|(index, part)| match part {
            Part::Text(text) => Fragment::Text(escaped(text, before_value(index))),
            Part::Value(value) => Fragment::Value(lower(value)),
        })
        .collect()
}

/// The lines to stand between `''`, or `None` where that would not keep every character: `''` takes away the blanks that
/// all lines begin with, drops a line of blanks only, and has escapes that run into their neighbours.
fn block_lines(parts: &[Part]) -> Option<Vec<Vec<Fragment>>> {
    // As the text looks to the rule about common blanks: a value is something that is no blank.
    let mut shape = String::new();
    let mut lines = vec![Vec::new()];
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Text(text) => {
                let before_value = index + 1 < parts.len();
                let runs_on = text.contains("'''")
                    || text.contains("'$")
                    || text.contains("'\n")
                    || text.ends_with('\'');
                if runs_on
                    || (before_value && text.ends_with('$'))
                    || text
                        .chars()
                        .any(|c| c.is_control() && c != '\n' && c != '\t')
                {
                    return None;
                }
                shape.push_str(text);
                for (index, line) in text
                    .replace("''", "'''")
                    .replace("${", "''${")
                    .split('\n')
                    .enumerate()
                {
                    if index > 0 {
                        lines.push(Vec::new());
                    }
                    if let (Some(last), false) = (lines.last_mut(), line.is_empty()) {
                        last.push(Fragment::Text(line.to_owned()));
                    }
                }
            }
            Part::Value(value) => {
                shape.push('x');
                if let Some(last) = lines.last_mut() {
                    last.push(Fragment::Value(lower(value)));
                }
            }
        }
    }
    let blank_led = |line: &str| {
        line.trim_start_matches(' ')
            .starts_with(char::is_whitespace)
    };
    let kept = shape.contains('\n')
        && !shape.starts_with('\n')
        && shape
            .split('\n')
            .all(|line| !line.ends_with(char::is_whitespace) && !blank_led(line))
        && shape
            .split('\n')
            .any(|line| !line.is_empty() && !line.starts_with(' '));
    kept.then_some(lines)
}

// From here on: where nixfmt would break a line. Its word for a value that may begin on the line of what it belongs to,
// and go on below, is "absorbed".

fn marked(d: &mut Document, origin: Option<Origin>, content: impl FnOnce(&mut Document)) {
    match origin {
        None => content(d),
        Some(origin) => {
            d.push(Piece::Enter(origin));
            content(d);
            d.push(Piece::Leave);
        }
    }
}

fn comment(d: &mut Document, line: &str) {
    d.text(if line.is_empty() {
        "#".to_owned()
    } else {
        format!("# {line}")
    });
    d.push(Piece::Line(1));
}

/// A term that opens on the line of what it belongs to.
fn is_absorbable_term(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Block(_) => true,
        NodeKind::List(items) => !items.is_empty(),
        NodeKind::Set(items) => !items.is_empty(),
        NodeKind::Paren(inner) => is_absorbable_term(inner),
        _ => false,
    }
}

fn is_absorbable(node: &Node) -> bool {
    match &node.kind {
        NodeKind::With(_, body) => is_absorbable_term(body),
        NodeKind::Lambda(_, body) => match &body.kind {
            NodeKind::Lambda(..) => is_absorbable(body),
            _ => is_absorbable_term(body),
        },
        _ => is_absorbable_term(node),
    }
}

/// A call that stays on one line whatever its length: two arguments at most, and nothing but words, texts and paths.
fn is_simple(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Word(_) | NodeKind::Text(_) | NodeKind::Block(_) | NodeKind::Path(_) => true,
        NodeKind::Select { from, path, or } => {
            is_simple(from) && or.is_none() && path.iter().all(|name| is_identifier(name))
        }
        NodeKind::Paren(inner) => is_simple(inner),
        NodeKind::Apply(function, argument) => is_simple_call(function, argument),
        _ => false,
    }
}

fn is_simple_call(function: &Node, argument: &Node) -> bool {
    let three_arguments = matches!(&function.kind, NodeKind::Apply(inner, _) if matches!(inner.kind, NodeKind::Apply(..)));
    !three_arguments && is_simple(function) && is_simple(argument)
}

fn expression(d: &mut Document, node: &Node) {
    marked(d, node.origin, |d| construct(d, node));
}

fn construct(d: &mut Document, node: &Node) {
    match &node.kind {
        NodeKind::Word(_)
        | NodeKind::Text(_)
        | NodeKind::Path(_)
        | NodeKind::Block(_)
        | NodeKind::Set(_)
        | NodeKind::Paren(_)
        | NodeKind::Select { .. } => bare_term(d, node),
        NodeKind::List(_) => d.group(GroupKind::Plain, |d| bare_term(d, node)),
        NodeKind::HasAttr { set, path } => d.group(GroupKind::Plain, |d| {
            expression(d, set);
            d.nest(|d| {
                d.push(Piece::Space);
                d.text("?");
                d.push(Piece::Blank);
                d.text(path.join("."));
            });
        }),
        NodeKind::Apply(function, argument) => call(d, function, argument, CallPlace::Elsewhere),
        NodeKind::Prefix(sign, operand) => {
            d.text(*sign);
            expression(d, operand);
        }
        NodeKind::Binary(left, operator @ ("==" | "!="), right) => {
            expression(d, left);
            d.push(Piece::SoftSpace);
            d.text(*operator);
            d.push(Piece::Blank);
            expression(d, right);
        }
        NodeKind::Binary(left, operator @ ("//" | "++" | "+"), right)
            if is_absorbable_term(right) =>
        {
            d.group(GroupKind::Plain, |d| {
                expression(d, left);
                d.push(Piece::Space);
                d.text(*operator);
                d.push(Piece::Blank);
                d.nest(|d| expression(d, right));
            });
        }
        NodeKind::Binary(_, operator, _) => operands(d, node, operator),
        NodeKind::Lambda(name, body) => opened_lambda(d, name, body, Piece::Break),
        NodeKind::Function {
            formals,
            open,
            body,
        } => {
            arguments(d, formals, *open);
            d.push(Piece::Line(1));
            expression(d, body);
        }
        NodeKind::Let(items, body) => {
            d.group(GroupKind::Plain, |d| {
                d.text("let");
                d.push(Piece::Line(1));
                d.nest(|d| set_items(d, items));
            });
            d.push(Piece::Line(1));
            d.group(GroupKind::Plain, |d| {
                d.text("in");
                d.push(Piece::Line(1));
                expression(d, body);
            });
        }
        NodeKind::With(scope, body) => {
            with_scope(d, scope);
            d.push(Piece::Space);
            expression(d, body);
        }
        NodeKind::If(condition, yes, no) => d.group(GroupKind::Plain, |d| {
            conditional(d, (condition, yes, no), Piece::Space);
        }),
    }
}

/// A term without a group of its own around a list.
fn bare_term(d: &mut Document, node: &Node) {
    match &node.kind {
        NodeKind::Word(text) | NodeKind::Path(text) => d.text(text.clone()),
        NodeKind::Text(fragments) => d.group(GroupKind::Plain, |d| {
            d.text("\"");
            string_line(d, fragments);
            d.text("\"");
        }),
        NodeKind::Block(lines) => d.group(GroupKind::Plain, |d| {
            d.text("''");
            d.nest(|d| {
                let mut breaks = 1;
                for line in lines {
                    if line.is_empty() {
                        // An empty line has no indentation either.
                        breaks += 1;
                    } else {
                        d.push(Piece::Line(breaks));
                        string_line(d, line);
                        breaks = 1;
                    }
                }
                if breaks > 1 {
                    d.push(Piece::Line(breaks - 1));
                }
            });
            d.text("''");
        }),
        NodeKind::List(items) if items.is_empty() => d.text("[ ]"),
        NodeKind::List(items) => {
            d.text("[");
            d.push(Piece::Line(1));
            d.nest(|d| {
                for item in items {
                    d.group(GroupKind::Plain, |d| expression(d, item));
                    d.push(Piece::Line(1));
                }
            });
            d.text("]");
        }
        NodeKind::Set(items) if items.is_empty() => d.text("{ }"),
        NodeKind::Set(items) => {
            d.text("{");
            d.push(Piece::Line(1));
            d.nest(|d| set_items(d, items));
            d.push(Piece::Line(1));
            d.text("}");
        }
        NodeKind::Paren(inner) => d.group(GroupKind::Plain, |d| {
            d.text("(");
            d.nest(|d| in_parentheses(d, inner));
            d.text(")");
        }),
        NodeKind::Select { from, path, or } => {
            expression(d, from);
            if !matches!(from.kind, NodeKind::Word(_)) {
                d.push(Piece::SoftBreak);
            }
            d.text(format!(".{}", path.join(".")));
            if let Some(or) = or {
                d.push(Piece::SoftSpace);
                d.nest(|d| {
                    d.text("or");
                    d.push(Piece::Blank);
                    expression(d, or);
                });
            }
        }
        NodeKind::HasAttr { .. }
        | NodeKind::Apply(..)
        | NodeKind::Prefix(..)
        | NodeKind::Binary(..)
        | NodeKind::Lambda(..)
        | NodeKind::Function { .. }
        | NodeKind::Let(..)
        | NodeKind::With(..)
        | NodeKind::If(..) => construct(d, node),
    }
}

/// A line of a string. Where a value in it takes several lines, they are indented like the text before it.
fn string_line(d: &mut Document, fragments: &[Fragment]) {
    let (text, fragments) = match fragments {
        [Fragment::Text(text), rest @ ..] => (text.as_str(), rest),
        all => ("", all),
    };
    if !text.is_empty() {
        d.text(text.to_owned());
    }
    let blanks = text.chars().take_while(|c| c.is_whitespace()).count();
    d.indent(blanks, |d| match fragments {
        [Fragment::Value(only)] if blanks == text.chars().count() => {
            d.group(GroupKind::Plain, |d| {
                d.text("${");
                d.nest(|d| in_parentheses(d, only));
                d.text("}");
            });
        }
        _ => {
            for fragment in fragments {
                match fragment {
                    Fragment::Text(text) => d.text(text.clone()),
                    Fragment::Value(value) => string_value(d, value),
                }
            }
        }
    });
}

/// What nixfmt keeps on one line between `${` and `}` even where the line is too long.
const SHORT_VALUE: usize = 30;

fn string_value(d: &mut Document, value: &Node) {
    d.group(GroupKind::Plain, |d| {
        d.text("${");
        let pieces = d.apart(|d| expression(d, value));
        let flat = if is_simple(value)
            || flat_columns(&pieces).is_some_and(|columns| columns <= SHORT_VALUE)
        {
            on_one_line(pieces.clone())
        } else {
            None
        };
        match flat {
            Some(flat) => d.append(flat),
            None if is_simple(value) || is_absorbable_term(value) => d.append(pieces),
            None => d.nest(|d| {
                d.push(Piece::Break);
                d.group(GroupKind::Plain, |d| expression(d, value));
                d.push(Piece::Break);
            }),
        }
        d.text("}");
    });
}

/// Something absorbable, where it opens on the line before it, after `opening`.
fn absorbed(d: &mut Document, node: &Node, opening: Opening) {
    let soft = match opening {
        Opening::Nothing => Piece::Break,
        Opening::Blank => Piece::Space,
    };
    marked(d, node.origin, |d| match &node.kind {
        NodeKind::With(scope, body) if is_absorbable_term(body) => d.group(GroupKind::Plain, |d| {
            d.push(soft);
            with_scope(d, scope);
            d.push(Piece::Blank);
            d.group(GroupKind::Priority, |d| {
                marked(d, body.origin, |d| bare_term(d, body));
            });
        }),
        NodeKind::Lambda(name, body) => opened_lambda(d, name, body, soft),
        _ => {
            if opening == Opening::Blank {
                d.push(Piece::Blank);
            }
            d.group(GroupKind::Plain, |d| bare_term(d, node));
        }
    });
}

/// What separates something absorbable from what it belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    Nothing,
    /// A blank; in front of a function or a `with` the line may break there.
    Blank,
}

fn opened_lambda(d: &mut Document, name: &str, body: &Node, opening: Piece) {
    d.group(GroupKind::Plain, |d| {
        d.push(opening);
        d.text(format!("{name}:"));
        lambda_body(d, body, 1);
    });
}

fn with_scope(d: &mut Document, scope: &Node) {
    d.group(GroupKind::Plain, |d| {
        d.text("with");
        d.push(Piece::Blank);
        d.nest(|d| d.group(GroupKind::Plain, |d| expression(d, scope)));
        d.text(";");
    });
}

/// What follows the colon of `name:`; `depth` names are there already.
fn lambda_body(d: &mut Document, body: &Node, depth: usize) {
    match &body.kind {
        NodeKind::Lambda(name, inner) => {
            d.push(Piece::Blank);
            d.text(format!("{name}:"));
            lambda_body(d, inner, depth + 1);
        }
        _ if is_absorbable(body) => {
            d.push(Piece::Blank);
            d.group(GroupKind::Priority, |d| absorbed(d, body, Opening::Nothing));
        }
        _ => {
            d.push(if depth <= 2 {
                Piece::Space
            } else {
                Piece::Line(1)
            });
            expression(d, body);
        }
    }
}

/// `{ a, b, ... }:` up to two names, else one a line.
fn arguments(d: &mut Document, formals: &[Formal], open: bool) {
    if formals.is_empty() && !open {
        d.text("{ }:");
        return;
    }
    let short = formals.len() <= 2 && formals.iter().all(|formal| formal.default.is_none());
    let separator = || if short { Piece::Space } else { Piece::Line(1) };
    d.group(GroupKind::Plain, |d| {
        d.text("{");
        d.push(separator());
        d.nest(|d| {
            for (index, Formal { name, default }) in formals.iter().enumerate() {
                if index > 0 {
                    d.push(separator());
                }
                d.group(GroupKind::Plain, |d| {
                    d.text(name.clone());
                    if let Some(default) = default {
                        d.push(Piece::Blank);
                        d.nest(|d| {
                            d.text("?");
                            assigned(d, default);
                        });
                    }
                    if open || index + 1 < formals.len() || !short {
                        d.text(",");
                    }
                });
            }
            if open {
                if !formals.is_empty() {
                    d.push(separator());
                }
                d.text("...");
            }
        });
        d.push(separator());
        d.text("}");
    });
    d.text(":");
}

fn conditional(d: &mut Document, (condition, yes, no): (&Node, &Node, &Node), around_yes: Piece) {
    d.group(GroupKind::Plain, |d| {
        d.text("if");
        d.push(Piece::Space);
        d.nest(|d| expression(d, condition));
        d.push(Piece::Space);
        d.text("then");
    });
    d.push(around_yes.clone());
    d.nest(|d| d.group(GroupKind::Plain, |d| expression(d, yes)));
    d.push(around_yes);
    d.text("else");
    if let NodeKind::If(condition, yes, no_again) = &no.kind {
        d.push(Piece::Blank);
        marked(d, no.origin, |d| {
            conditional(d, (condition, yes, no_again), Piece::Line(1));
        });
    } else {
        d.push(Piece::Space);
        d.nest(|d| d.group(GroupKind::Plain, |d| expression(d, no)));
    }
}

fn in_parentheses(d: &mut Document, inner: &Node) {
    match &inner.kind {
        _ if is_absorbable(inner) => absorbed(d, inner, Opening::Nothing),
        NodeKind::Apply(function, argument) => {
            marked(d, inner.origin, |d| {
                call(d, function, argument, CallPlace::Parentheses);
            });
        }
        NodeKind::Select { .. } => {
            d.group(GroupKind::Plain, |d| expression(d, inner));
            d.push(Piece::Break);
        }
        _ => {
            d.push(Piece::Break);
            d.group(GroupKind::Plain, |d| expression(d, inner));
            d.push(Piece::Break);
        }
    }
}

/// Where a call stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CallPlace {
    /// After `=` or an operator: it may begin on the next line.
    Assigned,
    Parentheses,
    Elsewhere,
}

/// The function and the first list, if the last two arguments are lists: those break together.
fn before_two_lists<'a>(function: &'a Node, last: &Node) -> Option<(&'a Node, &'a Node)> {
    match &function.kind {
        NodeKind::Apply(function, first)
            if matches!(
                (&first.kind, &last.kind),
                (NodeKind::List(_), NodeKind::List(_))
            ) =>
        {
            Some((function, first))
        }
        _ => None,
    }
}

fn call(d: &mut Document, function: &Node, last: &Node, place: CallPlace) {
    if let Some((function, first)) = before_two_lists(function, last) {
        d.group(GroupKind::Plain, |d| {
            if place == CallPlace::Assigned {
                d.push(Piece::Space);
            }
            d.group(GroupKind::Transparent, |d| call_start(d, function, place));
            for list in [first, last] {
                d.push(Piece::Space);
                d.nest(|d| expression(d, list));
            }
            if place == CallPlace::Parentheses {
                d.push(Piece::Break);
            }
        });
        return;
    }
    let start = d.apart(|d| {
        if place == CallPlace::Assigned {
            d.push(Piece::Space);
        }
        d.group(GroupKind::Transparent, |d| call_start(d, function, place));
    });
    let start = if is_simple_call(function, last) {
        match on_one_line(start.clone()) {
            Some(flat) => {
                d.group(GroupKind::Plain, |d| {
                    d.append(flat);
                    d.push(Piece::Blank);
                    last_argument(d, last);
                });
                return;
            }
            None => start,
        }
    } else {
        start
    };
    d.group(GroupKind::Plain, |d| {
        d.append(start);
        d.push(Piece::Space);
        last_argument(d, last);
        if place == CallPlace::Parentheses {
            d.push(Piece::Break);
        }
    });
}

/// The function and all arguments but the last one.
fn call_start(d: &mut Document, node: &Node, place: CallPlace) {
    match &node.kind {
        NodeKind::Apply(function, argument) => {
            if let Some((function, first)) = before_two_lists(function, argument) {
                d.group(GroupKind::Transparent, |d| call_start(d, function, place));
                d.nest(|d| {
                    d.group(GroupKind::Plain, |d| {
                        for list in [first, argument] {
                            d.push(Piece::Space);
                            expression(d, list);
                        }
                    });
                });
                return;
            }
            d.group(GroupKind::Transparent, |d| call_start(d, function, place));
            d.push(Piece::Space);
            let kind = if matches!(argument.kind, NodeKind::Select { .. }) {
                GroupKind::Plain
            } else {
                GroupKind::Priority
            };
            d.nest(|d| d.group(kind, |d| expression(d, argument)));
        }
        _ if place == CallPlace::Parentheses => d.nest(|d| {
            d.group(GroupKind::Plain, |d| {
                d.push(Piece::Break);
                expression(d, node);
            });
        }),
        _ => expression(d, node),
    }
}

fn last_argument(d: &mut Document, node: &Node) {
    if is_absorbable_term(node) {
        d.group(GroupKind::Priority, |d| {
            d.nest(|d| absorbed(d, node, Opening::Nothing));
        });
        return;
    }
    let NodeKind::Paren(inner) = &node.kind else {
        d.group(GroupKind::Plain, |d| d.nest(|d| expression(d, node)));
        return;
    };
    // `(name: {` and `(name {` open in the same line too.
    let opening = match &inner.kind {
        NodeKind::Lambda(name, body) if is_absorbable_term(body) => {
            Some((format!("({name}:"), body))
        }
        NodeKind::Apply(function, body) if is_absorbable_term(body) => match &function.kind {
            NodeKind::Word(name) if is_identifier(name) => Some((format!("({name}"), body)),
            _ => None,
        },
        _ => None,
    };
    match opening {
        Some((opening, body)) => d.group(GroupKind::Priority, |d| {
            d.nest(|d| {
                d.text(opening);
                d.push(Piece::Blank);
                absorbed(d, body, Opening::Nothing);
                d.text(")");
            });
        }),
        None => parenthesised_value(d, inner),
    }
}

/// A value in parentheses which may break inside them.
fn parenthesised_value(d: &mut Document, inner: &Node) {
    d.group(GroupKind::Priority, |d| {
        d.nest(|d| {
            d.text("(");
            d.push(Piece::Break);
            d.group(GroupKind::Plain, |d| d.nest(|d| expression(d, inner)));
            d.push(Piece::Break);
            d.text(")");
        });
    });
}

/// The operands of one operator, however they are nested.
fn operands(d: &mut Document, node: &Node, operator: &'static str) {
    fn rest(d: &mut Document, node: &Node, operator: &'static str, leading: bool) {
        match &node.kind {
            NodeKind::Binary(left, inner, right) if *inner == operator => {
                marked(d, node.origin, |d| {
                    rest(d, left, operator, leading);
                    rest(d, right, operator, false);
                });
            }
            _ if leading => expression(d, node),
            _ => {
                d.push(Piece::Space);
                d.text(operator);
                d.nest(|d| match &node.kind {
                    NodeKind::Binary(..) => d.group(GroupKind::Plain, |d| {
                        d.push(Piece::Space);
                        expression(d, node);
                    }),
                    NodeKind::Apply(function, argument) => d.group(GroupKind::Plain, |d| {
                        marked(d, node.origin, |d| {
                            call(d, function, argument, CallPlace::Assigned);
                        });
                    }),
                    _ => {
                        d.push(Piece::Blank);
                        expression(d, node);
                    }
                });
            }
        }
    }
    d.group(GroupKind::Plain, |d| {
        if let NodeKind::Binary(left, _, right) = &node.kind {
            rest(d, left, operator, true);
            rest(d, right, operator, false);
        }
    });
}

fn set_items(d: &mut Document, items: &[Item]) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            d.push(Piece::Line(if item.comment.is_empty() { 1 } else { 2 }));
        }
        for line in &item.comment {
            comment(d, line);
        }
        d.group(GroupKind::Plain, |d| {
            marked(d, item.origin, |d| match &item.kind {
                ItemKind::Inherit { names } => inherit(d, names),
                ItemKind::Binding { path, value } => binding(d, path, value),
            });
        });
    }
}

fn inherit(d: &mut Document, names: &[String]) {
    let few = names.len() < 4;
    let (between, end) = if few {
        (Piece::Space, Piece::Break)
    } else {
        (Piece::Line(1), Piece::Line(1))
    };
    d.text("inherit");
    d.nest(|d| {
        for name in names {
            d.push(between.clone());
            d.text(name.clone());
        }
        d.push(end);
        d.text(";");
    });
}

fn binding(d: &mut Document, path: &[String], value: &Node) {
    d.text(path.join("."));
    d.nest(|d| {
        d.push(Piece::Blank);
        d.text("=");
        // After a long or quoted name the value may begin on the next line.
        if path.len() <= 4 && path.iter().all(|name| is_identifier(name)) {
            assigned(d, value);
        } else {
            let pieces = d.apart(|d| assigned(d, value));
            let pieces = if let Some((Piece::Blank, value)) = pieces.split_first() {
                d.push(Piece::Space);
                value.to_vec()
            } else {
                d.push(Piece::Break);
                pieces
            };
            d.push(Piece::Group(GroupKind::Priority, pieces));
        }
    });
    d.text(";");
}

/// What follows `=`.
fn assigned(d: &mut Document, value: &Node) {
    match &value.kind {
        _ if is_absorbable(value) => {
            d.nest(|d| absorbed(d, value, Opening::Blank));
        }
        NodeKind::Paren(inner) => {
            d.push(Piece::Blank);
            d.nest(|d| parenthesised_value(d, inner));
        }
        NodeKind::Text(_) | NodeKind::Block(_) | NodeKind::Path(_) => {
            d.push(Piece::Blank);
            d.nest(|d| d.group(GroupKind::Plain, |d| expression(d, value)));
        }
        NodeKind::Apply(function, argument) => {
            d.nest(|d| {
                marked(d, value.origin, |d| {
                    call(d, function, argument, CallPlace::Assigned);
                });
            });
        }
        NodeKind::Binary(left, operator @ ("//" | "++" | "+"), _) if is_absorbable_term(left) => {
            d.push(Piece::Blank);
            marked(d, value.origin, |d| operands(d, value, operator));
        }
        NodeKind::Binary(left, operator @ ("//" | "++" | "+"), right)
            if is_absorbable_term(right) =>
        {
            d.nest(|d| {
                d.group(GroupKind::Plain, |d| {
                    marked(d, value.origin, |d| {
                        d.push(Piece::Space);
                        expression(d, left);
                        d.push(Piece::Space);
                        d.group(GroupKind::Transparent, |d| {
                            d.text(*operator);
                            d.push(Piece::Blank);
                            d.group(GroupKind::Priority, |d| {
                                absorbed(d, right, Opening::Nothing);
                            });
                        });
                    });
                });
            });
        }
        NodeKind::Binary(..)
        | NodeKind::Prefix(..)
        | NodeKind::HasAttr { .. }
        | NodeKind::Function { .. }
        | NodeKind::Lambda(..)
        | NodeKind::Let(..)
        | NodeKind::If(..) => d.nest(|d| {
            d.push(Piece::Space);
            d.group(GroupKind::Plain, |d| expression(d, value));
        }),
        NodeKind::Word(_)
        | NodeKind::Select { .. }
        | NodeKind::List(_)
        | NodeKind::Set(_)
        | NodeKind::With(..) => {
            d.nest(|d| {
                d.group(GroupKind::Plain, |d| {
                    d.push(Piece::Space);
                    expression(d, value);
                });
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pretty_assertions::assert_eq;
    use proptest::prelude::*;
    use rnix::ast::{self, AstToken, HasEntry, InterpolPart};

    use super::super::check::check;
    use super::super::expr::{Kind, Part};
    use super::super::parse::static_name;
    use super::super::{
        Attrs, BinaryOp, BuildError, Expr, Formals, IntoExpr, Origin, apply, at, binary, block,
        call, function, if_then_else, lambda, let_in, list, mk_default, mk_merge, mk_override,
        path, reference, text, trees, value, with,
    };
    use super::{print, print_file};

    /// A value without variables, for comparison.
    #[derive(Debug, Clone, PartialEq)]
    enum Data {
        Null,
        Bool(bool),
        Int(i64),
        /// Its bits: `-0.0` is not `0.0` here.
        Float(u64),
        Text(String),
        List(Vec<Data>),
        Set(BTreeMap<String, Data>),
    }

    fn of_tree(expr: &Expr) -> Data {
        match &expr.kind {
            Kind::Null => Data::Null,
            Kind::Bool(value) => Data::Bool(*value),
            Kind::Int(value) => Data::Int(*value),
            Kind::Float(value) => Data::Float(value.to_bits()),
            Kind::Str { parts, .. } => Data::Text(
                parts
                    .iter()
                    .map(|part| match part {
                        Part::Text(text) => text.as_str(),
                        Part::Value(value) => panic!("no data: {value:?}"),
                    })
                    .collect(),
            ),
            Kind::List(items) => Data::List(items.iter().map(of_tree).collect()),
            Kind::Attrs(attrs) => Data::Set(
                attrs
                    .iter()
                    .map(|(name, value)| (name.to_owned(), of_tree(value)))
                    .collect(),
            ),
            other => panic!("no data: {other:?}"),
        }
    }

    /// Reads the text back, with rnix's reading of strings and numbers.
    fn of_text(expr: &ast::Expr) -> Data {
        match expr {
            ast::Expr::Ident(ident) => match ident.to_string().as_str() {
                "null" => Data::Null,
                word => Data::Bool(word.parse().unwrap()),
            },
            ast::Expr::Literal(literal) => match literal.kind() {
                ast::LiteralKind::Integer(number) => {
                    Data::Int(number.syntax().text().parse().unwrap())
                }
                ast::LiteralKind::Float(number) => {
                    Data::Float(number.syntax().text().parse::<f64>().unwrap().to_bits())
                }
                ast::LiteralKind::Uri(uri) => panic!("{}", uri.syntax().text()),
            },
            ast::Expr::Str(text) => Data::Text(
                text.normalized_parts()
                    .into_iter()
                    .map(|part| match part {
                        InterpolPart::Literal(text) => text,
                        InterpolPart::Interpolation(value) => panic!("{value}"),
                    })
                    .collect(),
            ),
            ast::Expr::List(list) => Data::List(list.items().map(|item| of_text(&item)).collect()),
            ast::Expr::Paren(paren) => of_text(&paren.expr().unwrap()),
            ast::Expr::UnaryOp(operation) => match of_text(&operation.expr().unwrap()) {
                Data::Int(number) => Data::Int(-number),
                Data::Float(bits) => Data::Float((-f64::from_bits(bits)).to_bits()),
                other => panic!("- {other:?}"),
            },
            ast::Expr::BinOp(operation) => {
                match (
                    of_text(&operation.lhs().unwrap()),
                    operation.operator().unwrap(),
                    of_text(&operation.rhs().unwrap()),
                ) {
                    (Data::Int(a), ast::BinOpKind::Sub, Data::Int(b)) => Data::Int(a - b),
                    (Data::Int(-1), ast::BinOpKind::Mul, Data::Float(b)) => {
                        Data::Float((-f64::from_bits(b)).to_bits())
                    }
                    (Data::Float(a), ast::BinOpKind::Mul, Data::Float(b)) => {
                        Data::Float((f64::from_bits(a) * f64::from_bits(b)).to_bits())
                    }
                    other => panic!("{other:?}"),
                }
            }
            ast::Expr::AttrSet(set) => {
                let mut out = BTreeMap::new();
                for entry in set.attrpath_values() {
                    let names: Vec<_> = entry
                        .attrpath()
                        .unwrap()
                        .attrs()
                        .map(|attr| static_name(&attr).unwrap())
                        .collect();
                    let (last, before) = names.split_last().unwrap();
                    let mut place = &mut out;
                    for name in before {
                        let below = place
                            .entry(name.clone())
                            .or_insert_with(|| Data::Set(BTreeMap::new()));
                        place = match below {
                            Data::Set(below) => below,
                            other => panic!("{other:?}"),
                        };
                    }
                    assert_eq!(
                        place.insert(last.clone(), of_text(&entry.value().unwrap())),
                        None
                    );
                }
                Data::Set(out)
            }
            other => panic!("{other}"),
        }
    }

    fn is_fixed_point(value: &Expr) -> Result<(), TestCaseError> {
        let text = print(value).text;
        // nixfmt_rs 0.5.3 subtracts below zero where a line that is too long has a parenthesis with a dot after it.
        let Ok(formatted) = std::panic::catch_unwind(|| nixfmt_rs::format(&text)) else {
            return Err(TestCaseError::reject("nixfmt_rs overflows"));
        };
        let formatted =
            formatted.map_err(|error| TestCaseError::fail(format!("{error:?} in\n{text}")))?;
        prop_assert!(
            formatted == text,
            "printed:\n{}\nnixfmt:\n{}",
            text,
            formatted
        );
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn data_is_a_fixed_point_of_nixfmt(value in trees::data()) {
            is_fixed_point(&value)?;
        }

        #[test]
        fn every_tree_is_a_fixed_point_of_nixfmt(value in trees::tree()) {
            is_fixed_point(&value)?;
        }

        #[test]
        fn data_reads_back_equal_and_without_faults(value in trees::data()) {
            let text = print(&value).text;
            prop_assert_eq!(check(&text), vec![]);
            prop_assert_eq!(of_text(&rnix::Root::parse(&text).tree().expr().unwrap()), of_tree(&value));
        }

        #[test]
        fn every_tree_has_only_names_that_nobody_binds(value in trees::tree()) {
            use super::super::FaultKind;
            let text = print(&value).text;
            for fault in check(&text) {
                prop_assert!(matches!(fault.kind, FaultKind::UnboundName | FaultKind::UnusedBinding), "{fault:?} in\n{text}");
            }
        }
    }

    fn printed(value: impl IntoExpr) -> String {
        print(&value.into_expr().unwrap()).text
    }

    #[test]
    fn a_module_reads_as_if_written_by_hand() -> Result<(), BuildError> {
        let mut options = Attrs::new();
        options.set("networking.hostName", mk_default("web"))?;
        options.set("networking.firewall.allowedTCPPorts", [80, 443])?;
        options.comment("Routes for the guests behind this one.\nTwo lines.");
        options.set(["boot", "kernel", "sysctl", "net.ipv4.ip_forward"], 1)?;
        options.set(
            "services.zfs.autoScrub.enable",
            apply(reference("lib.mkForce"), true),
        )?;
        options.set(["systemd", "services", "10-x"], {
            let mut unit = Attrs::new();
            unit.set("script", block("set -u\n\nzpool status ${1:-tank}\n"))?;
            unit.set(
                "path",
                list([
                    reference("pkgs.zfs"),
                    apply(reference("lib.getBin"), reference("pkgs.curl")),
                ])?,
            )?;
            unit.set(
                "serviceConfig.ExecStart",
                text([
                    value(reference("pkgs.zfs"))?,
                    Part::Text("/bin/zpool \"a\"".into()),
                ]),
            )?;
            unit
        })?;
        options.set(
            "imports",
            [
                path("./network.nix")?,
                binary(
                    BinaryOp::Add,
                    reference("modulesPath"),
                    "/virtualisation/proxmox-lxc.nix",
                )?,
            ],
        )?;
        options.set("limits", [-1, i32::MIN])?;
        options.set("empty", Attrs::new())?;
        let mut body = Attrs::new();
        body.inherit(["pkgs"])?;
        body.set(
            "config",
            apply(
                apply(
                    reference("lib.mkIf"),
                    reference("config.services.moxc.enable"),
                ),
                options,
            ),
        )?;
        let module = function(
            Formals::open(["config", "lib", "modulesPath", "pkgs"])?,
            body,
        )?;
        assert_eq!(
            print_file(
                "Generated by moxc. Do not edit.\n\nSecond paragraph.",
                &module
            )
            .text,
            r#"# Generated by moxc. Do not edit.
#
# Second paragraph.
{
  config,
  lib,
  modulesPath,
  pkgs,
  ...
}:
{
  inherit pkgs;
  config = lib.mkIf config.services.moxc.enable {
    networking = {
      hostName = lib.mkDefault "web";
      firewall.allowedTCPPorts = [
        80
        443
      ];
    };

    # Routes for the guests behind this one.
    # Two lines.
    boot.kernel.sysctl."net.ipv4.ip_forward" = 1;
    services.zfs.autoScrub.enable = lib.mkForce true;
    systemd.services."10-x" = {
      script = ''
        set -u

        zpool status ''${1:-tank}
      '';
      path = [
        pkgs.zfs
        (lib.getBin pkgs.curl)
      ];
      serviceConfig.ExecStart = "${pkgs.zfs}/bin/zpool \"a\"";
    };
    imports = [
      ./network.nix
      (modulesPath + "/virtualisation/proxmox-lxc.nix")
    ];
    limits = [
      (-1)
      (-2147483648)
    ];
    empty = { };
  };
}
"#
        );
        is_fixed_point(&module).unwrap();
        Ok(())
    }

    #[test]
    fn parentheses_stand_where_nix_needs_them_and_nowhere_else() -> Result<(), BuildError> {
        let name = |name: &str| reference(name);
        let sum = |a, b| binary(BinaryOp::Add, a, b);
        assert_eq!(
            printed(sum(sum(name("a"), name("b")), name("c"))),
            "a + b + c\n"
        );
        assert_eq!(
            printed(sum(name("a"), sum(name("b"), name("c")))),
            "a + (b + c)\n"
        );
        assert_eq!(
            printed(binary(
                BinaryOp::Concat,
                name("a"),
                binary(BinaryOp::Concat, name("b"), name("c"))
            )),
            "a ++ b ++ c\n"
        );
        assert_eq!(
            printed(call(apply(name("f"), name("a")), [apply(name("g"), -1)])),
            "f a (g (-1))\n"
        );
        assert_eq!(printed(apply(lambda("x", name("x")), 1)), "(x: x) 1\n");
        assert_eq!(
            printed(binary(
                BinaryOp::And,
                name("a"),
                binary(BinaryOp::Or, name("b"), name("c"))
            )),
            "a && (b || c)\n"
        );
        assert_eq!(
            printed(mk_override(60, i64::MIN)),
            "lib.mkOverride 60 (-9223372036854775807 - 1)\n"
        );
        assert_eq!(
            printed(mk_default(if_then_else(true, 1, 2))),
            "lib.mkDefault (if true then 1 else 2)\n"
        );
        assert_eq!(
            printed(mk_merge([apply(
                apply(reference("lib.mkIf"), name("a")),
                Attrs::new()
            )])),
            "lib.mkMerge [\n  (lib.mkIf a { })\n]\n"
        );
        assert_eq!(printed(-0.0), "-1 * 0.0\n");
        assert_eq!(printed(1e300), "1.0e300\n");
        let mut bindings = Attrs::new();
        bindings.set("a", 1)?;
        assert_eq!(
            printed(let_in(bindings, with(name("lib"), name("a")))),
            "let\n  a = 1;\nin\nwith lib;\na\n"
        );
        assert_eq!(printed(let_in(Attrs::new(), name("a"))), "a\n");
        Ok(())
    }

    #[test]
    fn a_place_in_the_text_leads_back_to_its_origin() -> Result<(), BuildError> {
        let mut attrs = Attrs::new();
        let file = crate::source::SourceMap::new().add("host.toml", "abcd");
        let [one, two, three] =
            [1, 2, 3].map(|at| Origin::Spec(crate::source::Span::new(file, at..at + 1)));
        attrs.set("a.b", at(one, 1))?;
        attrs.set("c", at(two, [at(three, "x")?, "y".into_expr()?]))?;
        attrs.set("d", at(Origin::Settings, 1))?;
        attrs.set("e", 1)?;
        let printed = print(&attrs.into_expr()?);
        assert_eq!(
            printed.text,
            "{\n  a.b = 1;\n  c = [\n    \"x\"\n    \"y\"\n  ];\n  d = 1;\n  e = 1;\n}\n"
        );
        for (what, origin) in [
            ("a.b", Some(one)),
            ("c", Some(two)),
            ("\"x", Some(three)),
            ("\"y", Some(two)),
            ("d", Some(Origin::Settings)),
            ("e", None),
        ] {
            assert_eq!(
                printed.origin_at(printed.text.find(what).unwrap()),
                origin,
                "{what}"
            );
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_nix_cannot_be_built() {
        let mut attrs = Attrs::new();
        attrs.set("a.b", 1).unwrap();
        let message = |result: Result<(), BuildError>| result.unwrap_err().to_string();
        assert_eq!(
            message(attrs.set("a.b", 2)),
            "attribute `a.b` is defined twice"
        );
        assert_eq!(message(attrs.set("a", 2)), "attribute `a` is defined twice");
        assert_eq!(
            message(attrs.set("a.b.c", 2)),
            "`a.b` is not an attribute set, so nothing can be set below it"
        );
        assert_eq!(
            message(attrs.set(["a", "x\0"], 2)),
            "a Nix string cannot hold a NUL (after \"x\")"
        );
        assert_eq!(
            message(attrs.inherit(["a"])),
            "attribute `a` is defined twice"
        );
        assert_eq!(
            message(attrs.inherit(["if"])),
            "\"if\" is not a Nix identifier"
        );
        let mut more = Attrs::new();
        more.set("b", 3).unwrap();
        assert_eq!(
            message(attrs.merge("a", more)),
            "attribute `a.b` is defined twice"
        );
        let mut more = Attrs::new();
        more.set("c", 3).unwrap();
        attrs.merge("a", more).unwrap();
        assert_eq!(attrs.get(&["a", "c"]).map(print).unwrap().text, "3\n");
        assert!("a\0".into_expr().is_err());
        assert!(f64::NAN.into_expr().is_err());
        assert!(u64::MAX.into_expr().is_err());
        for bad in ["", "a..b", "a.", "\"a", "a\"b\""] {
            assert_eq!(attrs.set(bad, 1), Err(BuildError::AttrPath(bad.to_owned())));
        }
        for bad in ["a", "/", "./", "./a/", "./a b", ".a/b", ".//a", "./a/${b}"] {
            assert_eq!(path(bad), Err(BuildError::PathLiteral(bad.to_owned())));
        }
        assert_eq!(
            Formals::open(["a", "a"]),
            Err(BuildError::DuplicateFormal("a".to_owned()))
        );
    }
}
