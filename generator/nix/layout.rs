//! Lays out a document of texts, spacings and groups in lines, as the formatter of the Nix community does (RFC 166).
//!
//! A group stands on one line if it fits; else its own spacings become line breaks and its inner groups are asked in turn.
//! Three rules make it that formatter's layout and not just any:
//!
//! * the width of a line is counted without its indentation;
//! * text is indented by one step for each line break at a deeper nesting, however many levels deeper it is;
//! * a group that does not fit first tries to break in one *priority* group alone, the last first, with everything before
//!   and after it on one line: `lib.mkIf condition {` … `};`. A *transparent* group lends its priority groups to the
//!   group around it.

use std::borrow::Cow;
use std::ops::Range;

use super::expr::Origin;

/// Columns of a line, without indentation.
const WIDTH: usize = 100;
/// Columns of a step of indentation.
const STEP: usize = 2;

/// What a document is made of.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// `offset` more columns of indentation than its nesting gives.
    Text {
        nesting: usize,
        offset: usize,
        text: Cow<'static, str>,
    },
    /// Always a blank.
    Blank,
    /// A blank, or a line break in a broken group.
    Space,
    /// Nothing, or a line break in a broken group.
    Break,
    /// A blank if what follows fits up to the next possible line break, else a line break.
    SoftSpace,
    /// Nothing if what follows fits up to the next possible line break, else a line break.
    SoftBreak,
    /// So many line breaks.
    Line(usize),
    Group(GroupKind, Vec<Piece>),
    /// What follows comes from there.
    Enter(Origin),
    /// The end of what came from the last `Enter`.
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupKind {
    Plain,
    Priority,
    Transparent,
}

/// A document under construction.
#[derive(Debug, Default)]
pub(super) struct Document {
    pieces: Vec<Piece>,
    nesting: usize,
    offset: usize,
}

impl Document {
    pub(super) fn text(&mut self, text: impl Into<Cow<'static, str>>) {
        self.pieces.push(Piece::Text {
            nesting: self.nesting,
            offset: self.offset,
            text: text.into(),
        });
    }

    pub(super) fn push(&mut self, piece: Piece) {
        self.pieces.push(piece);
    }

    pub(super) fn nest(&mut self, content: impl FnOnce(&mut Self)) {
        self.nesting += 1;
        content(self);
        self.nesting -= 1;
    }

    /// Indents what begins a line by so many columns more.
    pub(super) fn indent(&mut self, columns: usize, content: impl FnOnce(&mut Self)) {
        self.offset += columns;
        content(self);
        self.offset -= columns;
    }

    pub(super) fn group(&mut self, kind: GroupKind, content: impl FnOnce(&mut Self)) {
        let inner = self.apart(content);
        self.pieces.push(Piece::Group(kind, inner));
    }

    /// The pieces of `content`, without adding them.
    pub(super) fn apart(&mut self, content: impl FnOnce(&mut Self)) -> Vec<Piece> {
        let outer = std::mem::take(&mut self.pieces);
        content(self);
        std::mem::replace(&mut self.pieces, outer)
    }

    pub(super) fn append(&mut self, pieces: Vec<Piece>) {
        self.pieces.extend(pieces);
    }

    /// The text, and which bytes of it came from where; of nested ranges the outer one comes first.
    pub(super) fn lay_out(self) -> (String, Vec<(Range<usize>, Origin)>) {
        let mut writer = Writer::default();
        writer.group(GroupKind::Plain, &self.pieces, None);
        (writer.out, spans(&writer.marks))
    }
}

/// The pieces on one line, or `None` if that cannot be.
pub(super) fn on_one_line(pieces: Vec<Piece>) -> Option<Vec<Piece>> {
    let mut flat = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match piece {
            Piece::Text { .. } | Piece::Enter(_) | Piece::Leave => flat.push(piece),
            Piece::Blank | Piece::Space | Piece::SoftSpace => flat.push(Piece::Blank),
            Piece::Break | Piece::SoftBreak => {}
            Piece::Line(_) => return None,
            Piece::Group(_, inner) => flat.extend(on_one_line(inner)?),
        }
    }
    Some(flat)
}

/// The columns that the pieces take on one line, if they can stand on one.
pub(super) fn flat_columns(pieces: &[Piece]) -> Option<usize> {
    flat_width(&[pieces], false, usize::MAX)
}

fn spans(marks: &[(usize, Option<Origin>)]) -> Vec<(Range<usize>, Origin)> {
    let mut open = Vec::new();
    let mut spans: Vec<(Range<usize>, Origin)> = Vec::new();
    for (at, mark) in marks {
        match mark {
            Some(origin) => {
                open.push(spans.len());
                spans.push((*at..*at, *origin));
            }
            None => {
                if let Some(index) = open.pop() {
                    spans[index].0.end = *at;
                }
            }
        }
    }
    spans
}

fn columns(text: &str) -> usize {
    text.chars().count()
}

/// What follows the place in hand, innermost first.
#[derive(Clone, Copy)]
struct Rest<'a> {
    pieces: &'a [Piece],
    /// Its own spacings are known to stay on one line.
    flat: bool,
    next: Option<&'a Rest<'a>>,
}

/// Calls `then` with `slices`, one after the other, before `rest`.
fn with_rest<T>(
    slices: &[&[Piece]],
    flat: bool,
    rest: Option<&Rest>,
    then: &mut dyn FnMut(Option<&Rest>) -> T,
) -> T {
    match slices.split_last() {
        None => then(rest),
        Some((last, before)) => {
            let with_last = Rest {
                pieces: last,
                flat,
                next: rest,
            };
            with_rest(before, flat, Some(&with_last), then)
        }
    }
}

/// The columns up to the next possible line break.
fn width_to_break(rest: Option<&Rest>) -> usize {
    struct Sum {
        width: usize,
        blanks: usize,
    }
    /// Whether the next possible line break was met.
    fn add(pieces: &[Piece], flat: bool, sum: &mut Sum) -> bool {
        pieces.iter().any(|piece| match piece {
            Piece::Text { text, .. } => {
                sum.width += std::mem::take(&mut sum.blanks) + columns(text);
                false
            }
            Piece::Blank => {
                sum.blanks = 1;
                false
            }
            Piece::Space | Piece::SoftSpace if flat => {
                sum.blanks = 1;
                false
            }
            Piece::Break | Piece::SoftBreak if flat => false,
            Piece::Space | Piece::SoftSpace | Piece::Break | Piece::SoftBreak | Piece::Line(_) => {
                true
            }
            Piece::Group(_, inner) => add(inner, false, sum),
            Piece::Enter(_) | Piece::Leave => false,
        })
    }
    let mut sum = Sum {
        width: 0,
        blanks: 0,
    };
    let mut rest = rest;
    while let Some(here) = rest {
        if add(here.pieces, here.flat, &mut sum) {
            break;
        }
        rest = here.next;
    }
    sum.width
}

/// The columns that the pieces take on one line; `None` if there is a line break in them or they take more than `budget`.
fn flat_width(slices: &[&[Piece]], at_line_start: bool, budget: usize) -> Option<usize> {
    struct Sum {
        width: usize,
        blanks: usize,
        started: bool,
    }
    fn add(pieces: &[Piece], sum: &mut Sum, budget: usize) -> bool {
        pieces.iter().all(|piece| {
            match piece {
                Piece::Text { text, .. } => {
                    sum.width += std::mem::take(&mut sum.blanks) + columns(text);
                    sum.started = true;
                }
                // Blanks at the start of a line are not written.
                Piece::Blank | Piece::Space | Piece::SoftSpace => {
                    sum.blanks = usize::from(sum.started);
                }
                Piece::Break | Piece::SoftBreak | Piece::Enter(_) | Piece::Leave => {}
                Piece::Line(_) => return false,
                Piece::Group(_, inner) => return add(inner, sum, budget),
            }
            sum.width + sum.blanks <= budget
        })
    }
    let mut sum = Sum {
        width: 0,
        blanks: 0,
        started: !at_line_start,
    };
    slices
        .iter()
        .all(|pieces| add(pieces, &mut sum, budget))
        .then_some(sum.width + sum.blanks)
}

/// Whether what follows fits into `room` columns up to the next line break. A group in it is taken to stand on one line
/// if it did so at the start of a line, as nixfmt has it.
fn fits_to_break(rest: Option<&Rest>, room: usize) -> bool {
    /// Whether the line break was met, or the line is full.
    fn walk(pieces: &[Piece], flat: bool, after: Option<&Rest>, used: &mut usize) -> bool {
        pieces.iter().enumerate().any(|(index, piece)| {
            match piece {
                Piece::Text { text, .. } => *used += columns(text),
                Piece::Blank => *used += 1,
                Piece::Space | Piece::SoftSpace if flat => *used += 1,
                Piece::Break | Piece::SoftBreak if flat => {}
                Piece::Space
                | Piece::SoftSpace
                | Piece::Break
                | Piece::SoftBreak
                | Piece::Line(_) => return true,
                Piece::Group(_, inner) => {
                    let here = Rest {
                        pieces: &pieces[index + 1..],
                        flat,
                        next: after,
                    };
                    let room = WIDTH.checked_sub(*used + width_to_break(Some(&here)));
                    match room.and_then(|room| flat_width(&[inner], false, room)) {
                        Some(width) => *used += width,
                        None => return walk(inner, false, Some(&here), used),
                    }
                }
                Piece::Enter(_) | Piece::Leave => {}
            }
            *used > WIDTH
        })
    }
    let mut used = 0;
    let mut rest = rest;
    while let Some(here) = rest {
        if walk(here.pieces, here.flat, here.next, &mut used) {
            break;
        }
        rest = here.next;
    }
    used <= room
}

/// The pieces of a group, cut at its priority groups (`true`).
fn segments<'a>(pieces: &'a [Piece], out: &mut Vec<(bool, &'a [Piece])>) {
    let mut start = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let Piece::Group(kind @ (GroupKind::Priority | GroupKind::Transparent), inner) = piece
        else {
            continue;
        };
        if start < index {
            out.push((false, &pieces[start..index]));
        }
        start = index + 1;
        if *kind == GroupKind::Priority {
            out.push((true, inner));
        } else {
            segments(inner, out);
        }
    }
    if start < pieces.len() {
        out.push((false, &pieces[start..]));
    }
}

#[derive(Default)]
struct Writer {
    out: String,
    marks: Vec<(usize, Option<Origin>)>,
    /// Columns written in this line, without indentation.
    column: usize,
    /// Indentation and nesting of the lines around, the innermost last.
    indents: Vec<(usize, usize)>,
}

impl Writer {
    fn write(&mut self, pieces: &[Piece], rest: Option<&Rest>) {
        for (index, piece) in pieces.iter().enumerate() {
            let after = Rest {
                pieces: &pieces[index + 1..],
                flat: false,
                next: rest,
            };
            match piece {
                Piece::Text {
                    nesting,
                    offset,
                    text,
                } => self.text(*nesting, *offset, text),
                Piece::Group(kind, inner) => self.group(*kind, inner, Some(&after)),
                Piece::Enter(origin) => self.mark(Some(*origin)),
                Piece::Leave => self.mark(None),
                // A line starts with a text: spacing before it is of no use.
                Piece::Blank
                | Piece::Space
                | Piece::Break
                | Piece::SoftSpace
                | Piece::SoftBreak
                | Piece::Line(_)
                    if self.column == 0 => {}
                Piece::Blank => self.blank(),
                Piece::Line(count) => self.lines(*count),
                Piece::SoftSpace
                    if fits_to_break(Some(&after), (WIDTH - 1).saturating_sub(self.column)) =>
                {
                    self.blank();
                }
                Piece::SoftBreak
                    if fits_to_break(Some(&after), WIDTH.saturating_sub(self.column)) => {}
                Piece::Space | Piece::Break | Piece::SoftSpace | Piece::SoftBreak => self.lines(1),
            }
        }
    }

    fn group(&mut self, kind: GroupKind, pieces: &[Piece], rest: Option<&Rest>) {
        if self.write_flat(&[pieces], rest) {
            return;
        }
        if kind != GroupKind::Transparent && self.break_one(pieces, rest) {
            return;
        }
        self.write(pieces, rest);
    }

    /// Breaks in one priority group alone, if that is enough.
    fn break_one(&mut self, pieces: &[Piece], rest: Option<&Rest>) -> bool {
        let mut parts = Vec::new();
        segments(pieces, &mut parts);
        let slices: Vec<&[Piece]> = parts.iter().map(|(_, slice)| *slice).collect();
        for index in (0..parts.len()).rev().filter(|index| parts[*index].0) {
            let before = (
                self.out.len(),
                self.marks.len(),
                self.column,
                self.indents.clone(),
            );
            let start = with_rest(&slices[index..], false, rest, &mut |rest| {
                self.write_flat(&slices[..index], rest)
            });
            if start {
                with_rest(&slices[index + 1..], true, rest, &mut |rest| {
                    self.write(slices[index], rest);
                });
                if self.write_flat(&slices[index + 1..], rest) {
                    return true;
                }
            }
            self.out.truncate(before.0);
            self.marks.truncate(before.1);
            self.column = before.2;
            self.indents = before.3;
        }
        false
    }

    /// Writes the pieces in this line if they fit, together with what must follow in it.
    fn write_flat(&mut self, slices: &[&[Piece]], rest: Option<&Rest>) -> bool {
        fn each(writer: &mut Writer, pieces: &[Piece]) {
            for piece in pieces {
                match piece {
                    Piece::Text {
                        nesting,
                        offset,
                        text,
                    } => {
                        if writer.column == 0 {
                            writer.text(*nesting, *offset, text);
                        } else {
                            writer.out.push_str(text);
                            writer.column += columns(text);
                        }
                    }
                    Piece::Blank | Piece::Space | Piece::SoftSpace => {
                        if writer.column > 0 {
                            writer.blank();
                        }
                    }
                    Piece::Break | Piece::SoftBreak | Piece::Line(_) => {}
                    Piece::Group(_, inner) => each(writer, inner),
                    Piece::Enter(origin) => writer.mark(Some(*origin)),
                    Piece::Leave => writer.mark(None),
                }
            }
        }
        let room = WIDTH
            .saturating_sub(self.column)
            .checked_sub(width_to_break(rest));
        if room
            .and_then(|room| flat_width(slices, self.column == 0, room))
            .is_none()
        {
            return slices.iter().all(|pieces| pieces.is_empty());
        }
        for pieces in slices {
            each(self, pieces);
        }
        true
    }

    fn text(&mut self, nesting: usize, offset: usize, text: &str) {
        while self
            .indents
            .last()
            .is_some_and(|(_, outer)| *outer > nesting)
        {
            self.indents.pop();
        }
        let (indent, outer) = self.indents.last().copied().unwrap_or((0, 0));
        let mut here = indent;
        if outer < nesting {
            here += if self.column == 0 { STEP } else { 0 };
            self.indents.push((here, nesting));
        }
        if self.column == 0 {
            self.out.extend(std::iter::repeat_n(' ', here + offset));
        }
        self.out.push_str(text);
        self.column += columns(text);
    }

    fn blank(&mut self) {
        self.out.push(' ');
        self.column += 1;
    }

    fn lines(&mut self, count: usize) {
        self.out.extend(std::iter::repeat_n('\n', count));
        self.column = 0;
    }

    fn mark(&mut self, mark: Option<Origin>) {
        self.marks.push((self.out.len(), mark));
    }
}
