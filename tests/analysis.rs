//! Each case under `tests/errors` yields its code, and its silent twin does not.
//!
//! Only what the analysis finds: the generic runner covers every code.

use std::fs;
use std::path::Path;

use moxc::compile::{self, Origin};
use moxc::diagnostics::{Code, Lints, Sink};
use moxc::source::SourceMap;

fn codes(path: &Path) -> Vec<(Code, String)> {
    let mut sources = SourceMap::new();
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = sources.add("host.toml", text);
    let mut sink = Sink::new();
    let origin = Origin::of(&sources, &[file]);
    compile::check(&sources, file, &origin, &mut sink);
    sink.finish(&Lints::default(), false)
        .into_iter()
        .map(|(_, d)| (d.code, d.message))
        .collect()
}

#[test]
fn every_case_of_the_analysis() {
    for code in Code::ALL
        .iter()
        .filter(|code| ("MOX02".."MOX08").contains(&code.as_str()))
    {
        let folder = Path::new("tests/errors").join(code.as_str());
        let found = codes(&folder.join("host.toml"));
        assert!(
            found.iter().any(|(c, _)| c == code),
            "{code} is not found: {found:?}"
        );
        let silent = codes(&folder.join("silent.toml"));
        assert!(
            !silent.iter().any(|(c, _)| c == code),
            "{code} is found in a sound host: {silent:?}"
        );
    }
}
