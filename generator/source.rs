//! Source files and places in them.
//!
//! Comes in: the text of spec files. Goes out: [`Span`]s that any later stage can carry, and the way from a span back
//! to a line and a column. Reading files from disk is the command line's work.

use std::collections::BTreeMap;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// One file of a [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u16);

/// A range of bytes in one source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    file: FileId,
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes `range` of `file`. A range past the end of the file is clamped when it is shown.
    pub fn new(file: FileId, range: Range<usize>) -> Self {
        let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            file,
            start: clamp(range.start),
            end: clamp(range.end.max(range.start)),
        }
    }

    /// The file that the span lies in.
    pub fn file(self) -> FileId {
        self.file
    }

    /// The bytes of the file.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The part of this span that starts `range.start` bytes after its own start.
    #[must_use]
    pub fn slice(self, range: Range<usize>) -> Self {
        let start = (self.start as usize + range.start).min(self.end as usize);
        let end = (self.start as usize + range.end).min(self.end as usize);
        Self::new(self.file, start..end.max(start))
    }

    /// From the start of this span to the end of `other`, which lies in the same file.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self {
            file: self.file,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// A value and the place where a spec says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `value`, written at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// The same place with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned {
            value: f(self.value),
            span: self.span,
        }
    }

    /// The same place with a reference to the value.
    pub fn as_ref(&self) -> Spanned<&T> {
        Spanned {
            value: &self.value,
            span: self.span,
        }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// Where the spec says what a generated file holds, by the parts of the file.
///
/// A part is named by its way in the file, with `/` between the steps: an option of a guest (`scsi0`), a section (`nas`)
/// and its property (`nas/server`), an interface (`vmbr0`). The empty name is the whole file. Two files that differ in
/// their places alone are the same file, so places compare as equal.
#[derive(Debug, Clone, Default)]
pub struct Places(BTreeMap<String, Span>);

impl Places {
    /// The places of a file of which only the whole is known.
    pub fn whole(place: Span) -> Self {
        Self(BTreeMap::from([(String::new(), place)]))
    }

    /// Says where a part comes from; what was said of it before is forgotten.
    pub fn set(&mut self, part: impl Into<String>, place: Span) {
        self.0.insert(part.into(), place);
    }

    /// Takes in the parts of a section, below its name.
    pub fn extend_below(&mut self, section: &str, parts: &Self) {
        for (part, place) in &parts.0 {
            let part = if part.is_empty() {
                section.to_owned()
            } else {
                format!("{section}/{part}")
            };
            self.0.insert(part, *place);
        }
    }

    /// Where exactly this part comes from.
    pub fn get(&self, part: &str) -> Option<Span> {
        self.0.get(part).copied()
    }

    /// Where a part comes from, or else what it lies in.
    pub fn nearest(&self, part: &str) -> Option<Span> {
        let mut part = part;
        loop {
            if let Some(place) = self.get(part) {
                return Some(place);
            }
            if part.is_empty() {
                return None;
            }
            part = part.rsplit_once('/').map_or("", |(outer, _)| outer);
        }
    }

    /// Every part whose place is known, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Span)> {
        self.0.iter().map(|(part, place)| (part.as_str(), *place))
    }
}

impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Places {}

/// A place as people count: lines and columns from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct LineColumn {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// One source file.
#[derive(Debug)]
pub struct SourceFile {
    name: String,
    text: String,
    line_starts: Vec<usize>,
    /// How many characters begin before each [`STRIDE`]th byte: one long line with many errors is counted once.
    characters: Vec<usize>,
}

/// The bytes between two counts of characters.
const STRIDE: usize = 1024;

impl SourceFile {
    /// The name as the user gave it; `<stdin>` for standard input.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line of byte `at`, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= at)
    }

    /// The line and column of byte `at`.
    pub fn line_column(&self, at: usize) -> LineColumn {
        let at = self.boundary(at);
        let line = self.line(at);
        let start = self.line_starts[line - 1];
        LineColumn {
            line,
            column: self.characters_before(at) - self.characters_before(start) + 1,
        }
    }

    /// How many characters begin before byte `at`.
    fn characters_before(&self, at: usize) -> usize {
        let counted = at / STRIDE;
        self.characters[counted] + beginnings(&self.text.as_bytes()[counted * STRIDE..at])
    }

    /// The largest character boundary that is not past `at` or the end.
    fn boundary(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    /// `range`, made to lie inside the text and on character boundaries.
    pub fn clamp(&self, range: Range<usize>) -> Range<usize> {
        let start = self.boundary(range.start);
        let end = self.boundary(range.end).max(start);
        start..end
    }
}

/// How many characters begin in these bytes of UTF-8.
fn beginnings(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// All source files of a run.
#[derive(Debug, Default)]
pub struct SourceMap {
    files: Vec<Arc<SourceFile>>,
}

impl SourceMap {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a file. `name` is what diagnostics call it.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(
                text.bytes()
                    .enumerate()
                    .filter(|(_, b)| *b == b'\n')
                    .map(|(i, _)| i + 1),
            )
            .collect();
        let id = FileId(
            u16::try_from(self.files.len())
                .expect("a run has fewer than 65,536 spec files: the command line refuses more"),
        );
        let mut before = 0;
        let mut characters = vec![0];
        for bytes in text.as_bytes().chunks_exact(STRIDE) {
            before += beginnings(bytes);
            characters.push(before);
        }
        self.files.push(Arc::new(SourceFile {
            name: name.into(),
            text,
            line_starts,
            characters,
        }));
        id
    }

    /// The file of an id that this map gave out.
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    /// The same, to be kept beside the map.
    pub fn shared(&self, id: FileId) -> Arc<SourceFile> {
        Arc::clone(&self.files[id.0 as usize])
    }

    /// The file that a span lies in.
    pub fn file_of(&self, span: Span) -> &SourceFile {
        self.file(span.file)
    }

    /// Every file, in the order added.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        (0u16..)
            .map(FileId)
            .zip(self.files.iter().map(|file| &**file))
    }

    /// Where a span starts.
    pub fn start(&self, span: Span) -> LineColumn {
        self.file_of(span).line_column(span.range().start)
    }

    /// Where a span ends: the column after its last character.
    pub fn end(&self, span: Span) -> LineColumn {
        self.file_of(span).line_column(span.range().end)
    }

    /// The text of a span.
    pub fn text(&self, span: Span) -> &str {
        let file = self.file_of(span);
        &file.text[file.clamp(span.range())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let mut map = SourceMap::new();
        let id = map.add("a.toml", "ä = 1\nöü = 2\n");
        let span = Span::new(id, 7..9);
        assert_eq!(map.start(span), LineColumn { line: 2, column: 1 });
        assert_eq!(map.end(span), LineColumn { line: 2, column: 2 });
        assert_eq!(map.text(span), "ö");
    }

    #[test]
    fn columns_of_long_lines_count_characters_too() {
        let mut map = SourceMap::new();
        let line = "aä€😀".repeat(700);
        let id = map.add("a.toml", format!("first\n{line}\nlast"));
        for (count, (at, _)) in line.char_indices().enumerate() {
            let place = map.start(Span::new(id, 6 + at..6 + at));
            assert_eq!((place.line, place.column), (2, count + 1));
        }
        let end = map.start(Span::new(id, 6 + line.len()..6 + line.len()));
        assert_eq!((end.line, end.column), (2, 2_801));
    }

    #[test]
    fn spans_past_the_end_or_inside_a_character_are_clamped() {
        let mut map = SourceMap::new();
        let id = map.add("a.toml", "ä");
        assert_eq!(map.text(Span::new(id, 1..900)), "ä");
        assert_eq!(
            map.end(Span::new(id, 1..900)),
            LineColumn { line: 1, column: 2 }
        );
    }
}
