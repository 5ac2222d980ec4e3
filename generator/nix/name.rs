//! Names and texts as Nix reads them.

/// The names that Nix keeps for itself. `or` is none by the grammar, but several parsers trip over it.
const KEYWORDS: [&str; 10] = [
    "if", "then", "else", "assert", "with", "let", "in", "rec", "inherit", "or",
];

/// Whether `name` may stand without quotes, as a variable or as an attribute name.
pub fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'\''))
        && !KEYWORDS.contains(&name)
}

/// The name as it stands in front of `=` or after a dot.
pub(super) fn attribute_name(name: &str) -> String {
    if is_identifier(name) {
        name.to_owned()
    } else {
        format!("\"{}\"", escaped(name, false))
    }
}

/// A text between double quotes. Only `\`, `"`, `${` and a `$` before a value need an escape; line feed, carriage return
/// and tab have one, and a bare carriage return would become a line feed.
pub(super) fn escaped(text: &str, before_value: bool) -> String {
    if !text.contains(['"', '\\', '\n', '\r', '\t', '$']) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' if chars.peek() == Some(&'{') || (before_value && chars.peek().is_none()) => {
                out.push_str("\\$");
            }
            _ => out.push(c),
        }
    }
    out
}
