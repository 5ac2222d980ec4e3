//! `check --fix`: the edits that diagnostics carry, put into the files.
//!
//! An edit replaces a range of the source, so everything around it (comments, blanks, the order of keys) stays.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::Failure;
use super::load::Loaded;
use super::terminal::Terminal;
use crate::diagnostics::{Edit, Fix};
use crate::source::FileId;

/// Mends what can be mended, file by file, and says what it did. False where nothing was to be done.
pub(super) fn apply(loaded: &Loaded, terminal: &mut Terminal) -> Result<bool, Failure> {
    let fixes: Vec<&Fix> = loaded
        .found
        .iter()
        .filter_map(|(_, diagnostic)| diagnostic.fix.as_ref())
        .collect();
    let chosen = choose(&fixes);
    let mut edits: BTreeMap<FileId, Vec<&Edit>> = BTreeMap::new();
    for edit in chosen.iter().flat_map(|fix| &fix.edits) {
        edits.entry(edit.span.file()).or_default().push(edit);
    }
    let mut mended = Vec::new();
    for (file, edits) in edits {
        let Some(path) = loaded.sources.path(file) else {
            continue;
        };
        let before = loaded.sources.map().file(file).text();
        let after = edited(before, &edits);
        // A file that could be read must be readable still. Where it could not, there is nothing to compare.
        if parses(before) && !parses(&after) {
            return Err(Failure::new(format!(
                "the fixes would break `{}`, which is a fault of moxc; it stays as it is",
                path.display()
            )));
        }
        replace(path, &after)?;
        mended.push(file);
    }
    for fix in chosen {
        let Some(edit) = fix.edits.first() else {
            continue;
        };
        if !mended.contains(&edit.span.file()) {
            continue;
        }
        let map = loaded.sources.map();
        let start = map.start(edit.span);
        terminal.summary(&format!(
            "{}:{}:{}: fixed: {}\n",
            map.file_of(edit.span).name(),
            start.line,
            start.column,
            fix.title
        ));
    }
    if mended.is_empty() {
        terminal.summary("nothing can be fixed with certainty\n");
    }
    Ok(!mended.is_empty())
}

/// The fixes that can all be made: one that overlaps an earlier one waits for the next call, whole.
fn choose<'a>(fixes: &[&'a Fix]) -> Vec<&'a Fix> {
    let mut chosen: Vec<&Fix> = Vec::new();
    for fix in fixes {
        let free = fix.edits.iter().all(|edit| {
            chosen
                .iter()
                .flat_map(|other| &other.edits)
                .all(|other| apart(edit, other))
        });
        if free {
            chosen.push(fix);
        }
    }
    chosen
}

/// Whether two edits touch different text; two insertions at one place do not.
fn apart(one: &Edit, other: &Edit) -> bool {
    let (a, b) = (one.span.range(), other.span.range());
    one.span.file() != other.span.file()
        || ((a.end <= b.start || b.end <= a.start) && a.start != b.start)
}

fn edited(text: &str, edits: &[&Edit]) -> String {
    let mut edits = edits.to_vec();
    edits.sort_by_key(|edit| edit.span);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        let range = edit.span.range();
        // A range that is not one of the text is a fault of the diagnostic: better no edit than a wrong one.
        let Some(kept) = text.get(at..range.start) else {
            continue;
        };
        if text.get(range.clone()).is_none() {
            continue;
        }
        out.push_str(kept);
        out.push_str(&edit.replacement);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

fn parses(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    toml::de::DeTable::parse(text).is_ok()
}

/// Puts `text` into the file at once: it is the old one or the new one, never half of each.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: &std::io::Error| {
        Failure::new(format!(
            "cannot write `{}`: {error}; it stays as it is",
            path.display()
        ))
    };
    // A link stays a link: what it points at is the file.
    let target = fs::canonicalize(path).map_err(|error| failed(&error))?;
    let folder = target.parent().unwrap_or(Path::new("/"));
    let write = || -> std::io::Result<()> {
        let permissions = fs::metadata(&target)?.permissions();
        let mut file = tempfile::Builder::new()
            .prefix(".moxc-fix-")
            .tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(permissions)?;
        file.as_file().sync_all()?;
        file.persist(&target)?;
        Ok(())
    };
    write().map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceMap, Span};

    fn fix(file: FileId, start: usize, end: usize, replacement: &str) -> Fix {
        Fix {
            title: String::new(),
            edits: vec![Edit {
                span: Span::new(file, start..end),
                replacement: replacement.to_owned(),
            }],
        }
    }

    #[test]
    fn edits_leave_the_rest_as_it_is() {
        let mut sources = SourceMap::new();
        let file = sources.add("a", "one # ä\ntwo\n");
        let fixes = [fix(file, 9, 12, "2"), fix(file, 0, 3, "1")];
        let edits: Vec<&Edit> = fixes.iter().flat_map(|fix| &fix.edits).collect();
        assert_eq!(edited("one # ä\ntwo\n", &edits), "1 # ä\n2\n");
    }

    #[test]
    fn fixes_that_overlap_wait() {
        let mut sources = SourceMap::new();
        let file = sources.add("a", "0123456789");
        let fixes = [
            fix(file, 2, 4, "x"),
            fix(file, 3, 5, "y"),
            fix(file, 4, 6, "z"),
            fix(file, 4, 4, "w"),
        ];
        let fixes: Vec<&Fix> = fixes.iter().collect();
        let chosen: Vec<&str> = choose(&fixes)
            .iter()
            .map(|fix| fix.edits[0].replacement.as_str())
            .collect();
        assert_eq!(chosen, ["x", "z"]);
    }

    #[test]
    fn a_range_outside_the_text_changes_nothing() {
        let mut sources = SourceMap::new();
        let file = sources.add("a", "ä");
        for (start, end) in [(1, 2), (5, 9)] {
            let fix = fix(file, start, end, "x");
            assert_eq!(edited("ä", &[&fix.edits[0]]), "ä");
        }
    }
}
