//! The way back: guests that a restore cannot bring back, and rehearsals that cannot tell.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Facts;
use crate::model::{BackupRehearsal, Guest, Host, Schedule};

pub(super) fn check(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    for (id, guest) in host.guests.iter() {
        if !facts.backups.jobs(id).is_empty() {
            backup(guest, sink);
        }
    }
    for schedule in host.schedules.values().filter(|s| *s.enabled) {
        rehearsal(host, schedule, sink);
    }
}

/// Looks whether the backups of a guest that is backed up hold what it starts from. Reports MOX0740, MOX0742.
fn backup(guest: &Guest, sink: &mut Sink) {
    let Some(vm) = guest.vm() else { return };
    let Some(first) = vm.boot_disk().filter(|disk| !*disk.backup) else {
        return;
    };
    let name = &guest.name.value;
    if vm.disks.iter().any(|disk| *disk.backup) {
        sink.push(
            Diagnostic::new(
                Code::MOX0742,
                first.backup.span,
                format!("no backup of `{name}` holds the disk that it starts from"),
            )
            .also(first.name.span, "it starts from this one")
            .help("let this disk be backed up; or name another one in `boot`, if the guest starts from that"),
        );
    } else {
        sink.push(
            Diagnostic::new(
                Code::MOX0740,
                first.backup.span,
                format!("the backups of `{name}` hold no disk"),
            )
            .also(guest.name.span, "a backup covers this guest")
            .help("let a disk be backed up; or write `backup = false` in the guest's own table"),
        );
    }
}

/// Looks whether a rehearsal can tell how it went. Reports MOX0741.
fn rehearsal(host: &Host, schedule: &Schedule, sink: &mut Sink) {
    let Some(BackupRehearsal { guest, .. }) = schedule.rehearsal() else {
        return;
    };
    let rehearsed = &host.guests[guest.value];
    let Some(vm) = rehearsed.vm().filter(|vm| !*vm.agent) else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0741,
            guest.span,
            format!(
                "nothing in `{}` can answer a rehearsal",
                rehearsed.name.value
            ),
        )
        .also(vm.agent.span, "no guest agent")
        .note("the copy has no network: the agent alone could say that it has come up")
        .help("install the guest agent and leave `agent = false` out; or rehearse another guest"),
    );
}
