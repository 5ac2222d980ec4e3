//! The bracket or quote that is open: a parser only notices at the next thing that does not fit.

use std::ops::Range;

/// A bracket or a quote that is not closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unclosed {
    /// The bracket or the quote.
    pub(super) at: Range<usize>,
    /// What would close it.
    pub(super) close: &'static str,
    /// What shows that it is open: the header or the key that follows.
    pub(super) next: Option<Range<usize>>,
}

/// Finds the first bracket of a value, or quote of a text of several lines, that is open where a new table or a new key
/// begins, or at the end of the file.
///
/// Works on text that is no TOML, so it only knows strings, comments and brackets; a table's header is told from a list
/// by its bare word, which no list has.
pub(super) fn find(text: &str) -> Option<Unclosed> {
    let mut brackets: Vec<(usize, u8)> = Vec::new();
    // Where a text of several lines ends that began on a line before.
    let mut string_end = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let from = start.max(string_end);
        if from >= at {
            continue;
        }
        if from == start {
            let body = line.trim();
            let indent = line.len() - line.trim_start().len();
            let begins = start + indent..start + indent + body.len();
            // Only an inline table may hold `key = value` on a line of its own.
            let in_list = brackets.iter().all(|(_, kind)| *kind == b'[');
            match brackets.first() {
                Some((bracket, kind)) if is_header(body) || (in_list && is_assignment(body)) => {
                    return Some(unclosed(*bracket, *kind, Some(begins)));
                }
                // A header's own brackets are no value's.
                None if body.starts_with('[') => continue,
                Some(_) | None => {}
            }
        }
        match scan(text.as_bytes(), from, at, &mut brackets) {
            Ok(end) => string_end = end,
            Err(quote) => return Some(quote),
        }
    }
    let (bracket, kind) = brackets.first()?;
    Some(unclosed(*bracket, *kind, None))
}

/// The text with a number in place of the value whose bracket is open, and of the lines that it runs on to, so that what
/// follows can be read. Every other byte stays where it is.
pub(super) fn without(text: &str, value: Range<usize>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (at, byte) in bytes
        .iter_mut()
        .enumerate()
        .take(value.end)
        .skip(value.start)
    {
        *byte = match *byte {
            _ if at == value.start => b'0',
            kept @ (b'\n' | b'\r') => kept,
            _ => b' ',
        };
    }
    // Whole characters have gone, so none is cut.
    String::from_utf8(bytes).unwrap_or_default()
}

fn unclosed(at: usize, kind: u8, next: Option<Range<usize>>) -> Unclosed {
    Unclosed {
        at: at..at + 1,
        close: if kind == b'[' { "]" } else { "}" },
        next,
    }
}

/// Reads the brackets and strings from `at` to the end of its line. Gives back how far it read, which is further where a
/// text of several lines begins; or the quotes of one that never ends.
fn scan(
    bytes: &[u8],
    mut at: usize,
    end: usize,
    brackets: &mut Vec<(usize, u8)>,
) -> Result<usize, Unclosed> {
    while at < end {
        match bytes[at] {
            b'#' => return Ok(end),
            quote @ (b'"' | b'\'') if bytes[at..].starts_with(&[quote; 3]) => {
                let Some(length) = find_close(&bytes[at + 3..], quote) else {
                    return Err(Unclosed {
                        at: at..at + 3,
                        close: if quote == b'"' { "\"\"\"" } else { "'''" },
                        next: None,
                    });
                };
                at += 3 + length + 3;
            }
            quote @ (b'"' | b'\'') => {
                at += 1;
                while at < end && bytes[at] != quote {
                    at += character(bytes[at], quote);
                }
                at += 1;
            }
            bracket @ (b'[' | b'{') => {
                brackets.push((at, bracket));
                at += 1;
            }
            b']' | b'}' => {
                brackets.pop();
                at += 1;
            }
            _ => at += 1,
        }
    }
    Ok(at)
}

/// Where the three quotes stand that close a text of several lines.
fn find_close(bytes: &[u8], quote: u8) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(&[quote; 3]) {
            return Some(at);
        }
        at += character(bytes[at], quote);
    }
    None
}

/// How far a byte inside a string reaches: a basic string has escapes, a literal one has none.
fn character(byte: u8, quote: u8) -> usize {
    if quote == b'"' && byte == b'\\' { 2 } else { 1 }
}

/// `[vms.web]`, `[[vms.web.network]]`: brackets around a bare word.
fn is_header(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or(line).trim_end();
    let inner = line
        .strip_prefix("[[")
        .and_then(|rest| rest.strip_suffix("]]"))
        .or_else(|| {
            line.strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
        });
    let bare = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
            && !matches!(word, "true" | "false" | "inf" | "nan")
    };
    inner.is_some_and(|inner| bare(inner.split('.').next().unwrap_or_default().trim()))
}

/// `key = value`.
fn is_assignment(line: &str) -> bool {
    line.split_once('=').is_some_and(|(key, _)| {
        let key = key.trim();
        !key.is_empty()
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<(&str, Option<&str>)> {
        find(text).map(|open| (&text[open.at], open.next.map(|next| &text[next])))
    }

    #[test]
    fn the_open_bracket_is_found_not_what_follows() {
        assert_eq!(found("a = [\n 1,\n[b]\nc = 1\n"), Some(("[", Some("[b]"))));
        assert_eq!(found("a = [\n 1,\nb = 2\n"), Some(("[", Some("b = 2"))));
        assert_eq!(found("a = { b = [ 1 ]\n[c]\n"), Some(("{", Some("[c]"))));
        assert_eq!(found("a = [1, 2"), Some(("[", None)));
        assert_eq!(found("a = \"\"\"\nb = 1\n[c]\n"), Some(("\"\"\"", None)));
    }

    #[test]
    fn the_open_value_goes_and_nothing_moves() {
        let text = "a = [ # ü\r\n \"x\",\n[b]\nc = 1\n";
        let open = find(text).expect("an open bracket");
        let next = open.next.expect("a header").start;
        let rest = without(text, open.at.start..next);
        assert_eq!(rest, "a = 0     \r\n     \n[b]\nc = 1\n");
        assert_eq!(rest.find("[b]"), Some(next));
        assert_eq!(find(&rest), None);
    }

    #[test]
    fn what_is_closed_is_not_found() {
        for text in [
            "a = [\n [1, 2],\n [\"]\", '['], # [\n]\n[b]\n[[c.d]]\ne = 1\n",
            "a = {\n b = 1,\n c = 2,\n}\n",
            "a = \"\"\"\n[b]\n\\\"\"\" [\n\"\"\"\nb = [1]\n",
            "a = '''\n[b\n'''\n",
            "[a",
            "a = \"[\nb = 1\n",
            "",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
