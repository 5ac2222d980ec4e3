//! Specs that are compiled in memory.

use moxc::compile::{self, Checked};
use moxc::diagnostics::{Diagnostic, Lints, Severity, Sink};
use moxc::origin::Origin;
use moxc::output::FileSet;
use moxc::source::{FileId, SourceMap};
use moxc::targets::{self, Target};
use moxc::template::Templates;

/// A spec that went through the compiler, and what is told of it.
pub(crate) struct Compiled {
    pub(crate) sources: SourceMap,
    pub(crate) file: FileId,
    pub(crate) checked: Checked,
    pub(crate) sink: Sink,
}

impl Compiled {
    pub(crate) fn of(name: &str, text: &str) -> Self {
        let mut sources = SourceMap::new();
        let file = sources.add(name, text);
        let mut sink = Sink::new();
        let origin = Origin::of(&sources, &[file]);
        let checked = compile::check(&sources, file, &origin, &mut sink);
        Self {
            sources,
            file,
            checked,
            sink,
        }
    }

    /// Its files; none of a spec with errors.
    pub(crate) fn files(&mut self, targets: &[Target]) -> Option<FileSet> {
        self.files_by(targets, &Templates::built_in())
    }

    pub(crate) fn files_by(&mut self, targets: &[Target], by: &Templates) -> Option<FileSet> {
        let plan = self.checked.plan.take()?;
        let host = &self.checked.host;
        Some(targets::emit(host, plan, targets, by, &mut self.sink))
    }

    /// All that is told, by the levels of moxc's own.
    pub(crate) fn found(&mut self) -> Vec<(Severity, Diagnostic)> {
        std::mem::take(&mut self.sink).finish(&Lints::default(), false)
    }

    /// Panics with the errors where there are any.
    pub(crate) fn sound(&mut self) {
        if !self.sink.has_errors() {
            return;
        }
        let told: Vec<_> = self
            .found()
            .into_iter()
            .map(|(_, d)| (d.code, d.message.clone(), self.sources.start(d.span())))
            .collect();
        panic!("{}: {told:#?}", self.sources.file(self.file).name());
    }
}

/// The files of a sound spec; panics with its errors where it has any.
pub(crate) fn build(name: &str, text: &str, targets: &[Target]) -> FileSet {
    let mut compiled = Compiled::of(name, text);
    let files = compiled.files(targets);
    compiled.sound();
    files.expect("a spec without errors has a plan")
}
