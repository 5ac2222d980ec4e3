use std::collections::HashMap;

use super::{Code, Diagnostic, LintLevel, Lints, Severity};

/// Where the stages put what they find.
#[derive(Debug, Default)]
pub struct Sink {
    diagnostics: Vec<Diagnostic>,
}

impl Sink {
    /// An empty sink.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one problem.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Takes in what another one holds.
    pub fn extend(&mut self, other: Self) {
        self.diagnostics.extend(other.diagnostics);
    }

    /// Whether an error, not only a warning, was found.
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|d| d.severity == Severity::Error)
    }

    /// Whether an error was found since there were so many problems.
    pub fn has_errors_since(&self, count: usize) -> bool {
        let since = self.diagnostics.iter().skip(count);
        since.into_iter().any(|d| d.severity == Severity::Error)
    }

    /// How many problems there are so far.
    pub fn len(&self) -> usize {
        self.diagnostics.len()
    }

    /// Takes back what was found of one code from one count of problems to another: something else explains it.
    pub fn withdraw(&mut self, found: std::ops::Range<usize>, code: Code) {
        let mut at = 0;
        self.diagnostics.retain(|diagnostic| {
            let keep = diagnostic.code != code || !found.contains(&at);
            at += 1;
            keep
        });
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Whether a problem of this code was found.
    pub fn has(&self, code: Code) -> bool {
        self.diagnostics.iter().any(|d| d.code == code)
    }

    /// Everything found, by place, with the severity that the spec's `[lints]` give it; what they allow is left out.
    /// The same problem at the same place is told once.
    pub fn finish(self, lints: &Lints, deny_warnings: bool) -> Vec<(Severity, Diagnostic)> {
        let found = self
            .diagnostics
            .into_iter()
            .filter_map(|d| {
                let severity = match (d.severity, lints.level(d.code)) {
                    (Severity::Error, _) | (Severity::Warning, Some(LintLevel::Deny)) => {
                        Severity::Error
                    }
                    (Severity::Warning, Some(LintLevel::Allow)) => return None,
                    (Severity::Warning, Some(LintLevel::Warn) | None) if deny_warnings => {
                        Severity::Error
                    }
                    (Severity::Warning, Some(LintLevel::Warn) | None) => Severity::Warning,
                };
                Some((severity, d))
            })
            .collect();
        in_order(found)
    }
}

/// Sorts what was found by its place, and tells the same problem at the same place once: the defaults of a fleet are
/// read with each of its hosts.
pub fn in_order(mut found: Vec<(Severity, Diagnostic)>) -> Vec<(Severity, Diagnostic)> {
    // A stable sort: of two problems at one place, the one found first stays first.
    found.sort_by_key(|(_, d)| (d.span(), d.code));
    let mut told: Vec<(Severity, Diagnostic)> = Vec::with_capacity(found.len());
    // What stands at the place and under the code of the last one, by message: there may be thousands.
    let mut alike: HashMap<String, Vec<usize>> = HashMap::new();
    for (severity, diagnostic) in found {
        let same =
            |other: &Diagnostic| (other.span(), other.code) == (diagnostic.span(), diagnostic.code);
        if told.last().is_some_and(|(_, last)| !same(last)) {
            alike.clear();
        }
        let known = alike.entry(diagnostic.message.clone()).or_default();
        if !known.iter().any(|at| told[*at].1 == diagnostic) {
            known.push(told.len());
            told.push((severity, diagnostic));
        }
    }
    told
}
