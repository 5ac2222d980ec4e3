//! The spec on the page: its lines without comments, for what leads there.

use serde::Serialize;

use crate::origin::Origin;

/// A file of the spec.
#[derive(Debug, Clone, Serialize)]
pub struct Listing {
    /// Its name.
    pub name: String,
    /// Its lines; those without anything but a comment are left out.
    pub lines: Vec<Line>,
}

/// A line.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// What it is named by on the page, its number in it; the page shows this beside it.
    pub anchor: String,
    /// What stands in it.
    pub text: String,
}

/// What a line is named by on the page.
pub(super) fn anchor(file: usize, line: usize) -> String {
    if file == 0 {
        format!("L{line}")
    } else {
        format!("F{file}L{line}")
    }
}

/// The files of a host's spec.
pub(super) fn listings(origin: &Origin) -> Vec<Listing> {
    origin
        .texts()
        .enumerate()
        .map(|(file, (name, text))| Listing {
            name: name.to_owned(),
            lines: without_comments(text)
                .map(|(number, text)| Line {
                    anchor: anchor(file, number),
                    text: text.to_owned(),
                })
                .collect(),
        })
        .collect()
}

/// The lines of a spec that say something, each with its number: a page is shown around, and comments are for who writes
/// the spec.
fn without_comments(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut open: Option<&str> = None;
    (1..).zip(text.lines()).filter_map(move |(number, line)| {
        let within = open.is_some();
        let end = comment(line, &mut open);
        let kept = if open.is_some() {
            &line[..end]
        } else {
            line[..end].trim_end()
        };
        (within || !kept.is_empty()).then_some((number, kept))
    })
}

/// Where the comment of a line begins, or the line's end. `open` is the string of several lines that it lies in.
fn comment<'a>(line: &'a str, open: &mut Option<&'a str>) -> usize {
    let mut at = 0;
    // What means something: elsewhere a quote or a comment's sign, within a string its quote or an escape.
    while let Some(found) = line[at..].find(['"', '\'', '#', '\\']) {
        at += found;
        let rest = &line[at..];
        if let Some(quote) = *open {
            let escapes = quote.starts_with('"');
            if escapes && rest.starts_with('\\') {
                at += 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            } else if rest.starts_with(quote) {
                at += quote.len();
                *open = None;
            } else {
                at += 1;
            }
            continue;
        }
        if rest.starts_with('#') {
            return at;
        }
        let quote = ["\"\"\"", "'''", "\"", "'"]
            .into_iter()
            .find(|quote| rest.starts_with(quote));
        at += quote.map_or(1, str::len);
        *open = quote;
    }
    // A string of one line ends with it.
    if open.is_some_and(|quote| quote.len() == 1) {
        *open = None;
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_strings_stay() {
        let text = "# all\nspec = 1 # one\n\na = \"# no \\\" #\" # yes\nb = '#\\'# yes\nc = \"\"\"\n# kept\n  x # kept \n\"\"\" # gone\nd = '''# kept'''\n[e] # gone\n";
        let found: Vec<_> = without_comments(text).collect();
        assert_eq!(
            found,
            [
                (2, "spec = 1"),
                (4, "a = \"# no \\\" #\""),
                (5, "b = '#\\'"),
                (6, "c = \"\"\""),
                (7, "# kept"),
                (8, "  x # kept "),
                (9, "\"\"\""),
                (10, "d = '''# kept'''"),
                (11, "[e]"),
            ]
        );
    }
}
