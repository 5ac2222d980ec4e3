//! Pools that nothing scrubs.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::times::{START, zone_of};
use crate::model::{Host, Id, Pool, ZfsScrub};
use crate::source::Span;
use crate::value::Platform;

/// The longest time between two scrubs: a month and a few days.
const SCRUB_DAYS: i64 = 35;

/// Pools that are never read through, or seldom. Debian's zfsutils-linux, and Proxmox VE's, bring a cron job that scrubs
/// every pool on the second Sunday of the month; NixOS scrubs only what it is told to.
pub(super) fn scrubs(host: &Host, sink: &mut Sink) {
    if !host.complete || *host.platform != Platform::Nixos {
        return;
    }
    let zone = zone_of(host);
    let Ok(end) = START.checked_add(SignedDuration::from_hours(24 * 400)) else {
        return;
    };
    let mut starts: BTreeMap<Id<Pool>, (Vec<Timestamp>, Span)> = BTreeMap::new();
    for schedule in host.schedules.values().filter(|s| *s.enabled) {
        let Some(ZfsScrub { pools }) = schedule.scrub() else {
            continue;
        };
        let times = schedule.on.runs().schedule(&zone);
        let own: Vec<Timestamp> = times.between(START, end).take(1000).collect();
        for pool in pools {
            let entry = starts
                .entry(pool.value)
                .or_insert_with(|| (Vec::new(), schedule.on.span));
            entry.0.extend(own.iter().copied());
        }
    }
    for (id, pool) in host.storage.pools.iter() {
        let Some((mut times, span)) = starts.remove(&id) else {
            let diagnostic = Diagnostic::new(
                Code::MOX0323,
                pool.name.span,
                format!("nothing scrubs `{}`", pool.name.value),
            )
            .note("what is never read goes bad unseen, until a disk fails and the copy is needed");
            let off = host.schedules.values().find(|schedule| {
                let scrub = schedule.scrub().filter(|_| !*schedule.enabled);
                scrub.is_some_and(|scrub| scrub.pools.iter().any(|pool| pool.value == id))
            });
            sink.push(match off {
                Some(schedule) => {
                    let name = &schedule.name.value;
                    diagnostic
                        .also(
                            schedule.enabled.span,
                            format!("`{name}` would, and is switched off"),
                        )
                        .help(format!(
                            "switch `{name}` on again: remove `enabled = false`"
                        ))
                }
                None => diagnostic
                    .help("add a schedule with `task = \"zfs-scrub\"` and `on = \"monthly\"`"),
            });
            continue;
        };
        times.sort_unstable();
        let longest = [START]
            .iter()
            .chain(&times)
            .zip(times.iter().chain([&end]))
            .map(|(from, to)| to.duration_since(*from).as_hours() / 24)
            .max()
            .unwrap_or(0);
        if longest <= SCRUB_DAYS {
            continue;
        }
        sink.push(
            Diagnostic::new(
                Code::MOX0323,
                span,
                format!("`{}` is not scrubbed for {longest} days", pool.name.value),
            )
            .also(pool.name.span, "the pool")
            .note("what is never read goes bad unseen, until a disk fails and the copy is needed")
            .help("scrub once a month: `on = \"monthly\"`"),
        );
    }
}
