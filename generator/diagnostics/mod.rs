//! What is wrong with a spec, as data.
//!
//! A stage runs to its end and pushes every [`Diagnostic`] into a [`Sink`]; [`render`] turns them into text, JSON or
//! SARIF. Nothing here knows colours or terminals but `render`.

mod code;
mod lints;
pub mod render;
mod sink;

pub use code::{Code, Severity};
pub use lints::{LintLevel, Lints};
pub use sink::{Sink, in_order};

use crate::source::Span;
use crate::unseen::is_unseen;

/// One problem of a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of problem; the explanation hangs on it.
    pub code: Code,
    /// Whether it stops the build: as the code says, unless it is [softened](Self::softened).
    pub severity: Severity,
    /// One line: lower case, no full stop, names in backticks, says what is wrong.
    pub message: String,
    /// The places; the first is the primary one.
    pub labels: Vec<Label>,
    /// The way out.
    pub help: Option<String>,
    /// Facts behind it: arithmetic, sources, tables. May have several lines.
    pub notes: Vec<String>,
    /// The change that is certainly right, if there is one.
    pub fix: Option<Fix>,
}

/// A place and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What; may be empty.
    pub text: String,
}

/// Edits that mend a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What the edits do: "write `vmbr0`".
    pub title: String,
    /// Replacements of source text; they do not overlap.
    pub edits: Vec<Edit>,
}

/// One replacement of source text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What goes; empty to insert.
    pub span: Span,
    /// What comes in its place.
    pub replacement: String,
}

impl Diagnostic {
    /// A problem at `span`.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: tidy(message.into()),
            labels: vec![Label {
                span,
                text: String::new(),
            }],
            help: None,
            notes: Vec::new(),
            fix: None,
        }
    }

    /// A key that changes nothing where it stands, and why.
    pub fn unheard(key: &str, place: Span, why: impl Into<String>) -> Self {
        let headline = format!("`{key}` changes nothing here");
        Self::new(Code::MOX0024, place, headline).label(why)
    }

    /// Only a warning here: an error's reason does not hold for what is there already.
    #[must_use]
    pub fn softened(mut self) -> Self {
        debug_assert!(self.code.has_level(), "{} can be a warning", self.code);
        self.severity = Severity::Warning;
        self
    }

    /// What stands under the primary place.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.labels[0].text = text.into();
        self
    }

    /// A further place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// The way out.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// The way out, if one is known.
    #[must_use]
    pub fn help_if(mut self, text: Option<String>) -> Self {
        self.help = text.or(self.help);
        self
    }

    /// A fact behind the problem.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// The certain change: `replacement` in the place of `span`.
    #[must_use]
    pub fn replace(
        mut self,
        title: impl Into<String>,
        span: Span,
        replacement: impl Into<String>,
    ) -> Self {
        let edit = Edit {
            span,
            replacement: replacement.into(),
        };
        match &mut self.fix {
            Some(fix) => fix.edits.push(edit),
            None => {
                self.fix = Some(Fix {
                    title: title.into(),
                    edits: vec![edit],
                });
            }
        }
        self
    }

    /// The primary place.
    pub fn span(&self) -> Span {
        self.labels[0].span
    }
}

/// The longest headline, in characters; a value that a spec repeats in it may be a whole file.
const LONGEST_MESSAGE: usize = 300;

/// A headline as one line: a spec's own words may stand in it.
fn tidy(message: String) -> String {
    if message.len() <= LONGEST_MESSAGE && !message.chars().any(is_unseen) {
        return message;
    }
    let mut tidied = String::with_capacity(LONGEST_MESSAGE);
    for (at, c) in message.chars().enumerate() {
        if at == LONGEST_MESSAGE {
            tidied.push('…');
            break;
        }
        if is_unseen(c) {
            tidied.extend(c.escape_default());
        } else {
            tidied.push(c);
        }
    }
    tidied
}
