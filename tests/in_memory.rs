//! Specs that are compiled in memory.

use moxc::compile::Compiled;
use moxc::output::FileSet;
use moxc::targets::Target;
use moxc::template::Templates;

/// Panics with the errors of a spec where there are any.
pub(crate) fn sound(compiled: &mut Compiled) {
    if !compiled.sink.has_errors() {
        return;
    }
    let told: Vec<_> = compiled
        .found()
        .into_iter()
        .map(|(_, d)| (d.code, d.message.clone(), compiled.sources.start(d.span())))
        .collect();
    let name = compiled.sources.file(compiled.file).name();
    panic!("{name}: {told:#?}");
}

/// The files of a sound spec; panics with its errors where it has any.
pub(crate) fn build(name: &str, text: &str, targets: &[Target]) -> FileSet {
    let mut compiled = Compiled::of(name, text);
    let files = compiled.files(targets, &Templates::built_in());
    sound(&mut compiled);
    files.expect("a spec without errors has a plan")
}
