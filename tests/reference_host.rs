//! The reference host is understood without a word.

use moxc::compile::{self, Origin};
use moxc::diagnostics::{Lints, Sink};
use moxc::source::SourceMap;

#[test]
fn the_reference_host_has_no_errors() {
    let mut sources = SourceMap::new();
    let file = sources.add("homelab.toml", include_str!("../examples/homelab.toml"));
    let mut sink = Sink::new();
    let origin = Origin::of(&sources, &[file]);
    let checked = compile::check(&sources, file, &origin, &mut sink);
    let found: Vec<_> = sink
        .finish(&Lints::default(), false)
        .into_iter()
        .map(|(_, d)| (d.message.clone(), sources.start(d.span())))
        .collect();
    assert_eq!(found, []);
    let host = checked.host.expect("a host");
    assert!(host.complete);
    assert_eq!(
        host.guests
            .values()
            .map(|g| g.name.value.as_str())
            .collect::<Vec<_>>(),
        ["services", "workstation", "windows"]
    );
    assert_eq!(host.schedules.len(), 12);
}
