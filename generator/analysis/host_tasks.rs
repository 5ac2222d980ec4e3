//! What the host does by itself: work that does nothing, and failures that nobody hears of.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Facts;
use crate::model::Host;

pub(super) fn check(facts: &Facts<'_>, sink: &mut Sink) {
    idle_trims(facts.host, sink);
    unheard(facts, sink);
}

/// A host whose tools run, and which says no address that a failure is mailed to.
fn unheard(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    let mut running = host.schedules.iter().filter(|(_, it)| *it.enabled);
    let first = running.find(|(id, _)| facts.tasks.of_schedule(*id).job().is_some());
    let (None, Some((_, first))) = (&host.email, first) else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0731,
            first.span,
            format!("nobody is told when `{}` fails", first.name.value),
        )
        .also(host.name.span, "this host has no `email`")
        .help("add `email = \"…\"` to `[host]`: what fails is then mailed there"),
    );
}

/// Trims of pools without flash.
fn idle_trims(host: &Host, sink: &mut Sink) {
    for schedule in host.schedules.values().filter(|s| *s.enabled) {
        let Some(task) = schedule.trim() else {
            continue;
        };
        for id in &task.pools {
            let pool = &host.storage.pools[id.value];
            let mut disks = pool
                .disks
                .iter()
                .map(|disk| &host.hardware.disks[disk.value]);
            // A pool whose disks were reported already has none here.
            if !pool.disks.is_empty() && disks.all(|disk| !disk.kind.is_flash()) {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0730,
                        id.span,
                        format!("no disk of `{}` can be trimmed", pool.name.as_str()),
                    )
                    .also(pool.name.span, "its disks spin")
                    .help("leave this pool out"),
                );
            }
        }
    }
}
