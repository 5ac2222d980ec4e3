//! Random trees for the property tests.

use proptest::collection::vec;
use proptest::prelude::*;

use super::expr::{
    Attrs, BinaryOp, Expr, Formals, IntoExpr, Part, apply, binary, block, block_of, function,
    has_attr, if_then_else, lambda, let_in, list, not, null, path, reference, select, select_or,
    text, with,
};

/// Texts with everything that means something to Nix, in double quotes, between `''`, or to a formatter.
pub(super) fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z ]{1,12}",
        1 => Just("${".to_owned()),
        1 => Just("$${".to_owned()),
        1 => Just("$".to_owned()),
        1 => Just("''".to_owned()),
        1 => Just("'".to_owned()),
        1 => Just("''${".to_owned()),
        1 => Just("\\".to_owned()),
        1 => Just("\"".to_owned()),
        1 => Just("\n".to_owned()),
        1 => Just("\n\n".to_owned()),
        1 => Just("\n  ".to_owned()),
        1 => Just("\r\n".to_owned()),
        1 => Just("\t".to_owned()),
        1 => Just("\\n".to_owned()),
        1 => Just("*/".to_owned()),
        1 => Just("#".to_owned()),
        1 => Just("{ } ; = .".to_owned()),
        1 => Just("\u{feff}".to_owned()),
        1 => Just("\u{2028}\u{a0}".to_owned()),
        1 => Just("日本".to_owned()),
        1 => any::<char>().prop_filter("no NUL", |c| *c != '\0').prop_map(String::from),
        1 => "[a-z]{60,130}",
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

pub(super) fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-z]{1,9}",
        1 => "[a-z]{40,110}",
        1 => proptest::sample::select(vec!["if", "or", "inherit", "null", "true", "import", "rec", "10-lan", "a.b", "", "a'b", "_x", "a-"])
            .prop_map(str::to_owned),
        2 => hostile_text(),
    ]
}

fn identifier() -> impl Strategy<Value = String> {
    prop_oneof![12 => "x[a-z]{1,9}", 1 => "x[a-z]{30,60}"]
}

/// Null, booleans, numbers and texts.
pub(super) fn scalar() -> impl Strategy<Value = Expr> {
    let built = |value: Result<Expr, _>| value.expect("the strategies give no NUL and no infinity");
    prop_oneof![
        1 => Just(null()),
        1 => any::<bool>().prop_map(move |v| built(v.into_expr())),
        2 => prop_oneof![any::<i64>(), -3..3i64, Just(i64::MIN), Just(i64::MAX)].prop_map(move |v| built(v.into_expr())),
        1 => proptest::num::f64::NORMAL.prop_map(move |v| built(v.into_expr())),
        1 => prop_oneof![Just(0.0), Just(-0.0), Just(1e10), Just(1.5e-7), Just(f64::MAX), Just(5e-324), Just(-1.1e-310)]
            .prop_map(move |v: f64| built(v.into_expr())),
        3 => hostile_text().prop_map(move |v| built(v.into_expr())),
        2 => hostile_text().prop_map(move |v| built(block(v))),
        2 => "([a-z ']{1,9}[a-z]\n){1,3}".prop_map(move |v| built(block(v))),
    ]
}

fn attrs_of(
    values: impl Strategy<Value = Expr>,
    names: impl Strategy<Value = String>,
) -> impl Strategy<Value = Attrs> {
    let path = vec(names, 1..4);
    vec(
        (
            path,
            values,
            proptest::option::weighted(0.1, hostile_text()),
        ),
        0..5,
    )
    .prop_map(|entries| {
        let mut attrs = Attrs::new();
        for (path, value, comment) in entries {
            if let Some(comment) = comment {
                attrs.comment(&comment);
            }
            // Where the path is taken already there is one attribute less.
            let _ = attrs.set(path, value);
        }
        attrs
    })
}

/// Values without variables: what JSON can say.
pub(super) fn data() -> impl Strategy<Value = Expr> {
    scalar().prop_recursive(3, 30, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|items| list(items).expect("built already")),
            attrs_of(inner, name()).prop_map(|attrs| attrs.into_expr().expect("built already")),
        ]
    })
}

fn reference_to() -> impl Strategy<Value = Expr> {
    vec(identifier(), 1..4).prop_map(|names| reference(&names.join(".")).expect("identifiers"))
}

/// Short: `nixfmt_rs` 0.5.3 overflows where a parenthesis beyond column 100 is selected from.
fn selectable() -> impl Strategy<Value = Expr> {
    prop_oneof![
        2 => reference_to(),
        1 => "x[a-z]{1,9}".prop_map(|name| apply(reference(&name), 1).expect("an identifier")),
        1 => "x[a-z]{1,9}".prop_map(|name| Expr::from_json(&serde_json::json!({ name: [1.5] })).expect("JSON")),
    ]
}

/// Any tree of the language.
pub(super) fn tree() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        3 => scalar(),
        4 => reference_to(),
        1 => Just(path("./a/b.nix").expect("a path")),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let operator = proptest::sample::select(vec![
            BinaryOp::Concat,
            BinaryOp::Update,
            BinaryOp::Add,
            BinaryOp::Subtract,
            BinaryOp::Multiply,
            BinaryOp::Equal,
            BinaryOp::NotEqual,
            BinaryOp::And,
            BinaryOp::Or,
        ]);
        let built = |value: Result<Expr, _>| value.expect("built of what was built");
        prop_oneof![
            2 => vec(inner.clone(), 0..5).prop_map(move |items| built(list(items))),
            4 => attrs_of(inner.clone(), name()).prop_map(move |attrs| built(attrs.into_expr())),
            4 => (reference_to(), inner.clone()).prop_map(move |(f, a)| built(apply(f, a))),
            2 => (reference_to(), inner.clone(), inner.clone()).prop_map(move |(f, a, b)| built(apply(apply(f, a), b))),
            1 => (reference_to(), inner.clone(), inner.clone(), inner.clone())
                .prop_map(move |(f, a, b, c)| built(apply(apply(apply(f, a), b), c))),
            1 => (selectable(), identifier()).prop_map(move |(from, name)| built(select(from, [name]))),
            1 => (selectable(), name(), inner.clone()).prop_map(move |(from, name, or)| built(select_or(from, [name], or))),
            1 => (inner.clone(), name()).prop_map(move |(set, name)| built(has_attr(set, [name]))),
            2 => (operator, inner.clone(), inner.clone()).prop_map(move |(o, a, b)| built(binary(o, a, b))),
            1 => inner.clone().prop_map(move |a| built(not(a))),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(move |(a, b, c)| built(if_then_else(a, b, c))),
            1 => (identifier(), inner.clone()).prop_map(move |(name, body)| built(lambda(&name, body))),
            1 => (attrs_of(inner.clone(), identifier()), inner.clone()).prop_map(move |(b, body)| built(let_in(b, body))),
            1 => (reference_to(), inner.clone()).prop_map(move |(s, body)| built(with(s, body))),
            1 => (vec(identifier(), 0..5), any::<bool>(), proptest::option::of(inner.clone()), inner.clone()).prop_map(
                move |(mut names, open, default, body)| {
                    names.sort();
                    names.dedup();
                    let mut formals = if open { Formals::open(&names) } else { Formals::closed(&names) }.expect("identifiers");
                    if let Some(default) = default {
                        formals = formals.with_default("zz", default).expect("another name");
                    }
                    built(function(formals, body))
                }
            ),
            1 => (hostile_text(), reference_to(), hostile_text(), any::<bool>()).prop_map(move |(a, v, b, lines)| {
                let parts = [Part::Text(a), Part::Value(v), Part::Text(b)];
                built(if lines { block_of(parts) } else { text(parts) })
            }),
        ]
    })
}
