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

/// One problem of a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of problem; severity and explanation hang on it.
    pub code: Code,
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
    if message.len() <= LONGEST_MESSAGE && !message.chars().any(char::is_control) {
        return message;
    }
    let mut tidied = String::with_capacity(LONGEST_MESSAGE);
    for (at, c) in message.chars().enumerate() {
        if at == LONGEST_MESSAGE {
            tidied.push('…');
            break;
        }
        if c.is_control() {
            tidied.extend(c.escape_default());
        } else {
            tidied.push(c);
        }
    }
    tidied
}

/// The longest name that is compared with others: the comparison takes as much memory as the two are long, multiplied.
const LONGEST_NAME: usize = 256;

/// The name of `known` that is nearest to `name`, if one is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            let other = candidate.to_lowercase();
            let distance = strsim::damerau_levenshtein(&lower, &other);
            // A name that the user cut short or drew out is near, whatever the distance says.
            let affix = lower.len().min(other.len()) >= 3
                && (other.starts_with(&lower) || lower.starts_with(&other));
            (
                if affix { distance.min(1) } else { distance },
                distance,
                candidate,
            )
        })
        .filter(|(rank, _, candidate)| {
            // One letter of two may be any other name.
            let longer = candidate.chars().count().max(lower.chars().count());
            *rank == 0 || (longer >= 3 && *rank <= (longer / 3).max(1))
        })
        .min_by_key(|(rank, distance, _)| (*rank, *distance))
        .map(|(_, _, candidate)| candidate)
}

/// The name of `known` that is certainly meant, so that a fix may write it: it differs in case or in `-` and `_` alone,
/// or by one slip of the keyboard in a name of four letters or more, and no other name is as near. Digits are no slips:
/// `vmbr3` may be any bridge.
pub fn certain<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let name = plain(name);
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&name, &plain(candidate));
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= 2)
        .collect();
    near.sort_unstable();
    match near[..] {
        [(0, only)] | [(0, only), (1.., _), ..] => Some(only),
        [(1, only)] if name.chars().count() >= 4 && digits(&name) == digits(only) => Some(only),
        _ => None,
    }
}

/// "did you mean `near`?", or the list of what there is.
pub fn did_you_mean<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
    what: &str,
) -> Option<String> {
    if let Some(near) = nearest(name, known.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let names: Vec<String> = known
        .into_iter()
        .take(13)
        .map(|n| format!("`{n}`"))
        .collect();
    match names.len() {
        0 => Some(format!("the spec declares no {what}")),
        1 => Some(format!("there is {}", names[0])),
        2..=12 => Some(format!("there are {}", names.join(", "))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_typos_and_cut_names_and_nothing_else() {
        assert_eq!(nearest("vmbr3", ["vmbr0", "lan"]), Some("vmbr0"));
        assert_eq!(nearest("cors", ["cores", "sockets"]), Some("cores"));
        assert_eq!(
            nearest("descr", ["description", "disks"]),
            Some("description")
        );
        assert_eq!(nearest("banana", ["cores", "sockets"]), None);
        assert_eq!(nearest("Windows", ["windows", "window"]), Some("windows"));
        assert_eq!(nearest(&"a".repeat(1 << 20), ["a"]), None);
    }

    #[test]
    fn only_what_is_certain_is_a_fix() {
        assert_eq!(certain("cors", ["cores", "sockets"]), Some("cores"));
        assert_eq!(
            certain("Vm_Disks", ["vm-disks", "vm-disk"]),
            Some("vm-disks")
        );
        assert_eq!(certain("vmbr3", ["vmbr0", "lan"]), None);
        assert_eq!(certain("vm-disk", ["vm-disks", "vm-dish"]), None);
        assert_eq!(certain("lan", ["wan"]), None);
        assert_eq!(certain("descr", ["description"]), None);
    }
}
