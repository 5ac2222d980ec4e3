//! What `nix-instantiate` says of what we print, and of what we call faults.
//!
//! It runs without daemon, store, network and root: `NIX_REMOTE=dummy://`.

use std::process::Command;

use moxc::nix::{
    Attrs, Expr, FaultKind, Formals, IntoExpr, Level, block, check, expr, function, list, print,
    reference,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value as Json;

#[expect(dead_code, reason = "the unit tests use all of it")]
#[path = "../generator/nix/trees.rs"]
mod trees;

/// Runs `nix-instantiate` on a text: what it prints, or what it complains about.
fn nix_instantiate(arguments: &[&str], text: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file.nix");
    std::fs::write(&file, text).expect("the folder is ours");
    let output = Command::new("nix-instantiate")
        .args(arguments)
        .arg(&file)
        .env("NIX_REMOTE", "dummy://")
        .output()
        .expect("nix-instantiate is installed");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).expect("Nix prints UTF-8"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn evaluated(text: &str) -> Json {
    let json = nix_instantiate(&["--eval", "--strict", "--json", "--readonly-mode"], text)
        .unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_str(&json).expect("Nix prints JSON")
}

/// Values with hostile texts and names. No floats: Nix 2.8 prints six digits of them.
fn hostile() -> impl Strategy<Value = Json> {
    // To Nix, and to its JSON, these are more than names.
    let name = trees::name()
        .prop_filter("a plain name", |name| {
            !matches!(name.as_str(), "outPath" | "__toString")
        })
        .boxed();
    let leaf = prop_oneof![
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::from),
        2 => prop_oneof![any::<i64>(), -3..3i64, Just(i64::MIN), Just(i64::MAX)].prop_map(Json::from),
        6 => trees::hostile_text().prop_map(Json::from),
        1 => "([a-z '\"$\\\\{}]{1,9}[a-z]\n){1,4}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::from),
            vec((name.clone(), inner), 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

/// The tree of a value, with its texts as blocks of lines where that is asked for.
fn tree_of(json: &Json, lines: bool) -> Expr {
    match json {
        Json::String(text) if lines => block(text.as_str()),
        Json::Array(items) => list(items.iter().map(|item| tree_of(item, lines))),
        Json::Object(members) => {
            let mut attrs = Attrs::new();
            for (name, member) in members {
                attrs
                    .set([name], tree_of(member, lines))
                    .expect("the names of a map differ");
            }
            attrs.into_expr()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => json.into_expr(),
    }
    .expect("the strategies give no NUL")
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn ten_thousand_values_come_out_of_nix_equal() {
    let mut runner = TestRunner::default();
    for batch in 0..10 {
        let values: Vec<Json> = (0..1_000)
            .map(|_| {
                hostile()
                    .new_tree(&mut runner)
                    .expect("the filters let most through")
                    .current()
            })
            .collect();
        let tree =
            list(values.iter().map(|value| tree_of(value, batch % 2 == 0))).expect("built already");
        let Json::Array(read) = evaluated(&print(&tree).text) else {
            panic!("not a list")
        };
        assert_eq!(read.len(), values.len());
        for (value, read) in values.iter().zip(&read) {
            assert_eq!(
                value,
                read,
                "{}",
                print(&tree_of(value, batch % 2 == 0)).text
            );
        }
    }
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn floats_are_the_same_number_in_nix() {
    let mut runner = TestRunner::default();
    let special = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        1e10,
        1e-7,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        0.1 + 0.2,
    ];
    let random = (0..2_000).map(|_| {
        proptest::num::f64::NORMAL
            .new_tree(&mut runner)
            .expect("no filter")
            .current()
    });
    let floats: Vec<f64> = special.into_iter().chain(random).collect();
    // `fromJSON` reads with another parser than the one under test.
    let pairs: Vec<String> = floats
        .iter()
        .map(|float| {
            let literal = print(&float.into_expr().expect("finite")).text;
            format!("  (({literal}) == builtins.fromJSON \"{float:e}\")")
        })
        .collect();
    let same = evaluated(&format!("[\n{}\n]\n", pairs.join("\n")));
    for (float, same) in floats.iter().zip(same.as_array().expect("a list")) {
        assert_eq!(same, &Json::Bool(true), "{float:?}");
    }
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn nix_parses_every_tree_and_binds_the_names_that_we_bind() {
    let mut runner = TestRunner::default();
    let mut items = Vec::new();
    let mut names = Vec::new();
    for _ in 0..2_000 {
        let tree = trees::tree()
            .new_tree(&mut runner)
            .expect("the filters let most through")
            .current();
        let text = print(&tree).text;
        for fault in check(&text) {
            if fault.kind == FaultKind::UnboundName {
                names.push(text[fault.range].to_owned());
            }
        }
        items.push(tree);
    }
    names.sort();
    names.dedup();
    let all =
        function(Formals::open(&names).expect("identifiers"), list(items)).expect("built already");
    let text = print(&all).text;
    nix_instantiate(&["--parse"], &text).unwrap_or_else(|error| panic!("{error}"));
    // The names were not idle: without them, Nix knows no better than we do.
    let unbound = print(&reference(&names[0]).expect("an identifier")).text;
    assert!(nix_instantiate(&["--parse"], &unbound).is_err());
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn nix_refuses_what_we_call_errors_and_nothing_else() {
    for text in [
        "{ a = 1 }",
        "{ a = 1; ",
        "\u{feff}{ }",
        "1 |> 2",
        "./a/",
        "{ a = 1; a = 2; }",
        "{ a = 1; \"a\" = 2; }",
        "{ a = 1; ${\"a\"} = 2; }",
        "{ a = 1; \"${\"a\"}\" = 2; }",
        "{ a = 1; a.b = 2; }",
        "{ a.b = 1; a.c = 2; }",
        "{ a.b = 1; a.\"b\" = 2; }",
        "{ a.b = 1; a = 2; }",
        "{ a = { c = 1; }; a = { d = 1; }; }",
        "{ a = ({ c = 1; }); a.d = 1; }",
        "{ a = rec { c = 1; }; a.d = 2; }",
        "{ a = { c = 1; }; a.c = 2; }",
        "{ a.b = 1; a = { b = 2; }; }",
        "{ a = { b.x = 1; }; a.b.y = 2; }",
        "{ a = { b = { x = 1; }; }; a = { b = { y = 1; }; }; }",
        "{ a.b = { c = 1; }; a = { d = 1; }; }",
        "{ a = let x = 1; in { c = x; }; a.d = 1; }",
        "{ a = { c = 1; c = 2; }; }",
        "{ ${toString 1} = { c = 1; c = 2; }; }",
        "{ inherit ({ }) a; a = 1; }",
        "{ inherit ({ }) a; a.b = 1; }",
        "{ inherit ({ }) a a; }",
        "let a = 1; a = 2; in a",
        "let a = { b = 1; }; a.c = 2; in a",
        "let { body = x; x = 1; }",
        "{ a, b, a }: [ a b ]",
        "a@{ a }: a",
        "a@{ b }: a",
        "{ inherit a; }",
        "{ inherit \"a\"; }",
        "{ a = 1; b = a; }",
        "rec { a = 1; b = a; }",
        "rec { inherit a; b = a; }",
        "rec { a.b = 1; c = a; }",
        "\"${a}\"",
        "\"$${a}\"",
        "''\n  ${a}\n''",
        "''$${a} ''${b}''",
        "{ \"${a}\" = 1; }",
        "{ }.${a}",
        "{ } ? ${a}",
        "./${a}",
        "(x: x) x",
        "with a; b",
        "with { }; b",
        "{ a ? b }: a",
        "{ a ? b, b ? 1 }: a",
        "assert a; 1",
        "0x10",
        "9223372036854775807",
        "9223372036854775808",
        "1.5e400",
        "1.0e-310",
        "1.0e-400",
        "0.0e-400",
        "2.3e-308",
        "https://example.org",
        "{ or = 1; if' = 2; }",
        "let _a = 1; in 2",
        "<nixpkgs>",
        "__curPos",
        "[ map toString import derivation __attrNames removeAttrs placeholder fetchTarball ]",
    ] {
        let ours: Vec<_> = check(text)
            .into_iter()
            .filter(|fault| fault.kind.level() == Level::Error)
            .collect();
        let theirs = nix_instantiate(&["--parse"], text);
        assert_eq!(
            ours.is_empty(),
            theirs.is_ok(),
            "{text}\nours: {ours:?}\ntheirs: {theirs:?}"
        );
    }
}
