//! The reference host is understood; what it leaves out of its hardware table is told.

use moxc::compile::{self, Origin};
use moxc::diagnostics::{Code, Lints, Sink};
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
        .map(|(_, d)| (d.code, sources.text(d.span()).to_owned()))
        .collect();
    // Proxmox VE refuses a mapping without the subsystem of the device.
    let incomplete = |name: &str| (Code::MOX0551, name.to_owned());
    assert_eq!(found, [incomplete("gpu"), incomplete("usb")]);
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
