//! Nix texts → syntax trees, and what all that reads a tree asks of it.
//!
//! rnix takes some things that Nix does not; they are refused here.

use std::ops::Range;

use rnix::SyntaxKind;
use rnix::ast::{self, Expr, InterpolPart};
use rowan::ast::AstNode;

use super::fault::{Fault, FaultKind, fault};

/// Deeper than any file a person writes; beyond it the recursion below would need a larger stack than a thread has.
pub(super) const DEEPEST: usize = 600;

/// The syntax tree of a text, or the first thing that keeps it from being Nix.
pub(crate) fn parse(text: &str) -> Result<ast::Root, Fault> {
    if let Some(at) = text.find('\0') {
        return Err(fault(
            FaultKind::Nul,
            at..at + 1,
            "a NUL in the text".to_owned(),
        ));
    }
    if text.starts_with('\u{feff}') {
        return Err(fault(
            FaultKind::Syntax,
            0..3,
            "a byte order mark".to_owned(),
        ));
    }
    if let Some((range, message)) = super::bounds::excess(text) {
        return Err(fault(FaultKind::Syntax, range, message));
    }
    let parsed = rnix::Root::parse(text);
    if let Some(error) = parsed.errors().first() {
        return Err(syntax_fault(text, error));
    }
    let root = parsed.tree();
    let mut depth = 0_usize;
    for event in root.syntax().preorder() {
        match event {
            rowan::WalkEvent::Enter(node) => {
                depth += 1;
                if let Some(fault) = passed_by_rnix(&node) {
                    return Err(fault);
                }
            }
            rowan::WalkEvent::Leave(_) => depth -= 1,
        }
        if depth > DEEPEST {
            return Err(fault(
                FaultKind::Syntax,
                0..0,
                format!("nested deeper than {DEEPEST} levels"),
            ));
        }
    }
    Ok(root)
}

/// What the grammar of Nix (`parser.y`, `lexer.l`) has no place for, and rnix takes.
fn passed_by_rnix(node: &rnix::SyntaxNode) -> Option<Fault> {
    let syntax = |message: &str, help: &str| {
        let range = node.text_range();
        let mut fault = fault(
            FaultKind::Syntax,
            range.start().into()..range.end().into(),
            message.to_owned(),
        );
        fault.help = Some(help.to_owned());
        fault
    };
    let words = match node.kind() {
        SyntaxKind::NODE_LAMBDA => "a function",
        SyntaxKind::NODE_LET_IN => "a `let`",
        SyntaxKind::NODE_WITH => "a `with`",
        SyntaxKind::NODE_ASSERT => "an `assert`",
        SyntaxKind::NODE_IF_ELSE => "an `if`",
        SyntaxKind::NODE_INHERIT => {
            let attrs = ast::Inherit::cast(node.clone())?.attrs();
            let computed = attrs.into_iter().find(|attr| static_name(attr).is_none())?;
            let mut fault = fault(
                FaultKind::Syntax,
                range_of(&computed),
                "`inherit` takes no name that is computed".to_owned(),
            );
            fault.help = Some("write an attribute of its own: `${name} = …;`".to_owned());
            return Some(fault);
        }
        SyntaxKind::NODE_PATH_SEARCH => {
            let text = node.text().to_string();
            let inner = text.trim_start_matches('<').trim_end_matches('>');
            return inner
                .split('/')
                .any(str::is_empty)
                .then(|| syntax("no path between `<` and `>`", "remove the slash too many"));
        }
        _ => return None,
    };
    let operand = matches!(
        node.parent()?.kind(),
        SyntaxKind::NODE_APPLY
            | SyntaxKind::NODE_BIN_OP
            | SyntaxKind::NODE_HAS_ATTR
            | SyntaxKind::NODE_LIST
            | SyntaxKind::NODE_SELECT
            | SyntaxKind::NODE_UNARY_OP
    );
    operand.then(|| {
        syntax(
            &format!("{words} among operands, without parentheses"),
            "put it in parentheses",
        )
    })
}

fn syntax_fault(text: &str, error: &rnix::ParseError) -> Fault {
    use rnix::ParseError;
    let place = |range: &rowan::TextRange| usize::from(range.start())..usize::from(range.end());
    let end = text.len()..text.len();
    let wanted = |kinds: &[SyntaxKind]| {
        kinds
            .iter()
            .map(|kind| spoken(*kind))
            .collect::<Vec<_>>()
            .join(" or ")
    };
    let (range, message) = match error {
        ParseError::Unexpected(range) | ParseError::UnexpectedExtra(range) => {
            (place(range), "this does not belong here".to_owned())
        }
        ParseError::UnexpectedWanted(got, range, kinds) => (
            place(range),
            format!("found {}, expected {}", spoken(*got), wanted(kinds)),
        ),
        ParseError::UnexpectedDoubleBind(range) => (
            place(range),
            "the arguments are bound to two names".to_owned(),
        ),
        ParseError::UnexpectedEOF => (
            end,
            "the text ends in the middle of an expression".to_owned(),
        ),
        ParseError::UnexpectedEOFWanted(kinds) => (
            end,
            format!("the text ends where {} is expected", wanted(kinds)),
        ),
        ParseError::DuplicatedArgs(range, name) => {
            return fault(
                FaultKind::DuplicateFormal,
                place(range),
                format!("argument `{name}` is there twice"),
            );
        }
        ParseError::RecursionLimitExceeded => (end, "nested too deeply".to_owned()),
        // The enum may grow.
        other => (end, other.to_string()),
    };
    fault(FaultKind::Syntax, range, message)
}

/// A token as a person would name it.
fn spoken(kind: SyntaxKind) -> String {
    let text = match kind {
        SyntaxKind::TOKEN_SEMICOLON => "`;`",
        SyntaxKind::TOKEN_ASSIGN => "`=`",
        SyntaxKind::TOKEN_COLON => "`:`",
        SyntaxKind::TOKEN_COMMA => "`,`",
        SyntaxKind::TOKEN_DOT => "`.`",
        SyntaxKind::TOKEN_AT => "`@`",
        SyntaxKind::TOKEN_L_BRACE => "`{`",
        SyntaxKind::TOKEN_R_BRACE => "`}`",
        SyntaxKind::TOKEN_L_BRACK => "`[`",
        SyntaxKind::TOKEN_R_BRACK => "`]`",
        SyntaxKind::TOKEN_L_PAREN => "`(`",
        SyntaxKind::TOKEN_R_PAREN => "`)`",
        SyntaxKind::TOKEN_IN => "`in`",
        SyntaxKind::TOKEN_THEN => "`then`",
        SyntaxKind::TOKEN_ELSE => "`else`",
        SyntaxKind::TOKEN_IDENT => "a name",
        SyntaxKind::TOKEN_STRING_START => "a string",
        SyntaxKind::TOKEN_STRING_END => "the end of the string",
        SyntaxKind::TOKEN_ELLIPSIS => "`...`",
        SyntaxKind::TOKEN_QUESTION => "`?`",
        other => {
            let name = format!("{other:?}").to_lowercase();
            return name
                .trim_start_matches("token_")
                .trim_start_matches("node_")
                .replace('_', " ");
        }
    };
    text.to_owned()
}

pub(super) fn range_of<N: AstNode<Language = rnix::NixLanguage>>(node: &N) -> Range<usize> {
    let range = node.syntax().text_range();
    range.start().into()..range.end().into()
}

/// The expression inside parentheses, however many.
pub(super) fn without_parentheses(expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    while let Expr::Paren(paren) = &expr {
        match paren.expr() {
            Some(inner) => expr = inner,
            None => break,
        }
    }
    expr
}

/// The name of an attribute, if it does not have to be computed: `a`, `"a"` and `${"a"}` are one.
pub(super) fn static_name(attr: &ast::Attr) -> Option<String> {
    match attr {
        ast::Attr::Ident(ident) => Some(ident.syntax().text().to_string()),
        ast::Attr::Str(text) => static_text(text),
        ast::Attr::Dynamic(dynamic) => match without_parentheses(&dynamic.expr()?) {
            Expr::Str(text) => static_text(&text),
            _ => None,
        },
    }
}

/// The value of a string, if there is nothing to compute in it.
pub(super) fn static_text(text: &ast::Str) -> Option<String> {
    let mut out = String::new();
    for part in text.normalized_parts() {
        match part {
            InterpolPart::Literal(literal) => out.push_str(&literal),
            InterpolPart::Interpolation(_) => return None,
        }
    }
    Some(out)
}
