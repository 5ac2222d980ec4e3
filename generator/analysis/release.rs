//! The host's release.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::Host;
use crate::pve::Release;

/// Year and month of the newest look at Proxmox's support table. A fixed one: the same spec has the same warnings on
/// every day, and a build never reads the clock.
const LOOKED_AT: (u16, u8) = (2026, 11);

pub(super) fn check(host: &Host, sink: &mut Sink) {
    end_of_life(host, sink);
}

/// A release that gets no security updates any more.
fn end_of_life(host: &Host, sink: &mut Sink) {
    let Some(end) = host
        .release
        .end_of_life()
        .filter(|end| *end < LOOKED_AT && host.release.is_written())
    else {
        return;
    };
    let major = host.release.major();
    sink.push(
        Diagnostic::new(
            Code::MOX0111,
            host.release.span,
            format!("Proxmox VE {major} has had no security updates since {}-{:02}", end.0, end.1),
        )
        .note("the support table of the Proxmox VE FAQ, read in 2026-11")
        .help(format!(
            "upgrade the host, then raise `release` (the newest that moxc knows is {}); Proxmox's guide leads from {major} to {}",
            Release::NEWEST,
            major + 1
        )),
    );
}
