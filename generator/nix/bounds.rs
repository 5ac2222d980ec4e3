//! How deep and how long a Nix text may be, seen on its tokens alone, before anything builds a tree of it.
//!
//! rnix bounds some of its recursions and not others: a hundred thousand `[` or `!` would end the program instead of the
//! parse, and as many terms of a sum would take minutes. No file that a person writes comes near these bounds.

use std::ops::Range;

use rnix::SyntaxKind;

/// So many brackets, braces, parentheses and `${` may be open at once.
const MOST_OPEN: usize = 600;
/// So many operands and operators may follow each other without a separator.
const MOST_IN_A_ROW: usize = 2_000;

/// What a text has too much of: where, and in words.
pub(super) type Excess = (Range<usize>, String);

/// What stands inside one pair of brackets.
#[derive(Clone, Copy)]
struct Level {
    /// Whether blanks separate: in a list and behind `inherit`.
    blanks_part: bool,
    /// Operands and operators since the last separator.
    in_a_row: usize,
}

/// The first place at which a text is too deep or too long to be parsed.
pub(super) fn excess(text: &str) -> Option<Excess> {
    // A text of so few bytes has no more tokens, and one of so few brackets none that are open: nearly every module.
    let opening = |byte: &u8| matches!(byte, b'[' | b'(' | b'{');
    if text.len() <= MOST_IN_A_ROW && text.bytes().filter(|byte| opening(byte)).count() < MOST_OPEN
    {
        return None;
    }
    let level = |blanks_part| Level {
        blanks_part,
        in_a_row: 0,
    };
    let mut levels = vec![level(false)];
    let mut at = 0;
    for (kind, token) in rnix::tokenize(text) {
        let range = at..at + token.len();
        at = range.end;
        match role(kind) {
            Role::Opens { list } => levels.push(level(list)),
            // A text that closes more than it opens is the parser's to refuse.
            Role::Closes if levels.len() > 1 => {
                levels.pop();
            }
            Role::Closes | Role::Nothing => {}
            Role::Separates => {
                let last = levels.last_mut().expect("the outermost level stays");
                last.in_a_row = 0;
                last.blanks_part &= kind != SyntaxKind::TOKEN_SEMICOLON;
            }
            Role::Inherits => *levels.last_mut().expect("the outermost level stays") = level(true),
            Role::Blank => {
                let last = levels.last_mut().expect("the outermost level stays");
                if last.blanks_part {
                    last.in_a_row = 0;
                }
            }
            Role::Joins => {
                levels
                    .last_mut()
                    .expect("the outermost level stays")
                    .in_a_row += 1;
            }
        }
        if levels.len() > MOST_OPEN {
            return Some((range, format!("more than {MOST_OPEN} brackets are open")));
        }
        if levels
            .last()
            .is_some_and(|last| last.in_a_row > MOST_IN_A_ROW)
        {
            let what = format!("more than {MOST_IN_A_ROW} terms in one expression");
            return Some((range, what));
        }
    }
    None
}

/// What a token does to the count.
enum Role {
    Opens { list: bool },
    Closes,
    Separates,
    Inherits,
    Blank,
    Joins,
    Nothing,
}

fn role(kind: SyntaxKind) -> Role {
    match kind {
        SyntaxKind::TOKEN_L_BRACK => Role::Opens { list: true },
        SyntaxKind::TOKEN_L_PAREN
        | SyntaxKind::TOKEN_L_BRACE
        | SyntaxKind::TOKEN_INTERPOL_START => Role::Opens { list: false },
        SyntaxKind::TOKEN_R_BRACK
        | SyntaxKind::TOKEN_R_PAREN
        | SyntaxKind::TOKEN_R_BRACE
        | SyntaxKind::TOKEN_INTERPOL_END => Role::Closes,
        SyntaxKind::TOKEN_SEMICOLON
        | SyntaxKind::TOKEN_COMMA
        | SyntaxKind::TOKEN_ASSIGN
        | SyntaxKind::TOKEN_THEN
        | SyntaxKind::TOKEN_ELSE
        | SyntaxKind::TOKEN_IN => Role::Separates,
        SyntaxKind::TOKEN_INHERIT => Role::Inherits,
        SyntaxKind::TOKEN_WHITESPACE => Role::Blank,
        SyntaxKind::TOKEN_COMMENT
        | SyntaxKind::TOKEN_STRING_CONTENT
        | SyntaxKind::TOKEN_STRING_END => Role::Nothing,
        // Operands, operators and keywords, and whatever rnix may add.
        _ => Role::Joins,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_overflow_a_stack_or_take_minutes_is_refused_at_its_place() {
        for (piece, what) in [
            ("[ ", "open"),
            ("(", "open"),
            ("{ a = ", "open"),
            ("\"${", "open"),
            ("!", "terms"),
            ("{}//", "terms"),
            ("1 + ", "terms"),
            ("f ", "terms"),
            ("a.", "terms"),
            ("x: ", "terms"),
            ("- ", "terms"),
        ] {
            let (range, message) = excess(&piece.repeat(5_000)).expect(piece);
            assert!(message.contains(what), "{piece}: {message}");
            assert!(range.end < 20_000, "{piece}: {range:?}");
        }
    }

    #[test]
    fn long_lists_and_many_bindings_are_no_excess() {
        for (open, piece, close) in [
            ("[ ", "a.b.c ", "]"),
            ("[ ", "(f x) ", "]"),
            ("{ ", "a = b.c + d; ", "}"),
            ("{ inherit (x) ", "name ", "; }"),
            ("{ ", "name ? 1, ", "... }: 1"),
            ("let ", "a = 1; ", "in 1"),
            ("\"", "text ${a} ", "\""),
        ] {
            let text = format!("{open}{}{close}", piece.repeat(3_000));
            assert_eq!(excess(&text), None, "{piece}");
        }
        assert_eq!(excess("]]]}})) x"), None);
    }
}
