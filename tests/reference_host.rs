//! The reference host is understood, and warns of what is worth a word in it, and of nothing else.

use moxc::compile;
use moxc::diagnostics::{Code, Lints, Severity, Sink};
use moxc::origin::Origin;
use moxc::source::SourceMap;

/// What is found in an example: severity, code, and the line that it is about.
fn found(name: &str, text: &str) -> (compile::Checked, Vec<(Severity, Code, String)>) {
    let mut sources = SourceMap::new();
    let file = sources.add(name, text.to_owned());
    let mut sink = Sink::new();
    let origin = Origin::of(&sources, &[file]);
    let checked = compile::check(&sources, file, &origin, &mut sink);
    let found = sink
        .finish(&Lints::default(), false)
        .into_iter()
        .map(|(severity, d)| {
            let line = sources.start(d.span()).line;
            let line = text.lines().nth(line - 1).unwrap_or_default();
            let key = line.split('=').next().unwrap_or_default().trim();
            (severity, d.code, key.to_owned())
        })
        .collect();
    (checked, found)
}

#[test]
fn the_reference_host_has_no_errors_and_exactly_these_warnings() {
    let (checked, found) = found("homelab.toml", include_str!("../examples/homelab.toml"));
    let found: Vec<_> = found
        .iter()
        .map(|(severity, code, key)| (*severity, *code, key.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            // Proxmox VE 8 is past its end of life.
            (Severity::Warning, Code::MOX0111, "release"),
            // The names of both cards hang on their slots, and no MAC address pins them.
            (Severity::Warning, Code::MOX0214, "lan0"),
            (Severity::Warning, Code::MOX0214, "lan1"),
            // Single parity over four disks of 8 TB.
            (Severity::Warning, Code::MOX0324, "layout"),
            // `local-backup` writes to the pool that the guests lie on.
            (Severity::Warning, Code::MOX0317, "storage"),
        ]
    );
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

#[test]
fn the_other_examples_have_no_errors() {
    for (name, text) in [
        ("mini.toml", include_str!("../examples/mini.toml")),
        ("bighost.toml", include_str!("../examples/bighost.toml")),
        (
            "nixos-host.toml",
            include_str!("../examples/nixos-host.toml"),
        ),
    ] {
        let (_, found) = found(name, text);
        let errors: Vec<_> = found
            .iter()
            .filter(|(severity, ..)| *severity == Severity::Error)
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}
