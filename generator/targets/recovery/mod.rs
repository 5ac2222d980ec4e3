//! `restore/` and `rollback/`: the way back of each guest.
//!
//! Comes in: the host. Goes out, for each guest: a runbook; a script that restores it, where a backup covers it; a script
//! that takes it back to a generation or a snapshot. What the host says at that time (which backups there are, what the
//! guest's settings are) the scripts ask Proxmox VE for; from here they get what only the spec says.

mod check;
mod restore;
mod rollback;

use crate::diagnostics::Sink;
use crate::facts::Volumes;
use crate::model::{Dataset, Guest, Host, Id, Schedule};
use crate::origin::Origin;
use crate::output::{FileSet, Mode, OutputFile, RelPath};
use crate::targets::Target;
use crate::template::{BuiltIn, Templates, one_line};

pub use restore::{Job, RestoreScript, Runbook, Store, Volume};
pub use rollback::{RollbackScript, ZfsStorage};

/// What will stand there.
#[derive(Debug)]
pub struct Plan {
    guests: Vec<GuestPlan>,
}

/// The files of one guest.
#[derive(Debug)]
struct GuestPlan {
    runbook: Runbook,
    restore: Option<RestoreScript>,
    rollback: RollbackScript,
}

/// Plans it. Reports guests that no restore can bring back: MOX0740 to MOX0742.
pub fn plan(host: &Host, sink: &mut Sink) -> Plan {
    let volumes = Volumes::of(host);
    let taken = restore::taken(host);
    let guests = host.guests.iter().map(|(id, guest)| {
        let jobs = jobs_of(host, id);
        if !jobs.is_empty() {
            check::backup(guest, sink);
        }
        GuestPlan {
            runbook: restore::runbook(host, (id, guest), &volumes, &jobs),
            restore: (!jobs.is_empty())
                .then(|| restore::script(host, (id, guest), &volumes, &taken)),
            rollback: rollback::script(host, guest),
        }
    });
    let guests = guests.collect();
    for schedule in host.schedules.values() {
        check::rehearsal(host, schedule, sink);
    }
    Plan { guests }
}

/// The backup jobs that run and cover a guest.
fn jobs_of(host: &Host, id: Id<Guest>) -> Vec<&Schedule> {
    let holds = |schedule: &&Schedule| {
        *schedule.enabled
            && schedule
                .backup()
                .is_some_and(|job| job.guests.iter().any(|guest| guest == id))
    };
    host.schedules.values().filter(holds).collect()
}

/// Whether a schedule takes snapshots of a dataset that holds volumes of a guest.
fn has_snapshots(host: &Host, datasets: &[Id<Dataset>]) -> bool {
    let mut running = host.schedules.values().filter(|schedule| *schedule.enabled);
    running.any(|schedule| {
        // A volume lies below its dataset.
        schedule.snapshots().is_some_and(|task| {
            *task.recursive
                && task
                    .datasets
                    .iter()
                    .any(|dataset| datasets.contains(&dataset.value))
        })
    })
}

/// Writes it down. Reports what a user's template cannot do.
pub fn emit(
    plan: &Plan,
    origin: &Origin,
    templates: &Templates,
    files: &mut FileSet,
    sink: &mut Sink,
) {
    let header = one_line(&origin.header());
    for guest in &plan.guests {
        let name = &guest.runbook.guest;
        let mut runbook = guest.runbook.clone();
        runbook.header.clone_from(&header);
        add(
            &format!("restore/{name}.md"),
            Mode::Regular,
            &runbook,
            templates,
            files,
            sink,
        );
        if let Some(restore) = &guest.restore {
            let mut restore = restore.clone();
            restore.header.clone_from(&header);
            add(
                &format!("restore/{name}.sh"),
                Mode::Executable,
                &restore,
                templates,
                files,
                sink,
            );
        }
        let mut rollback = guest.rollback.clone();
        rollback.header.clone_from(&header);
        add(
            &format!("rollback/{name}.sh"),
            Mode::Executable,
            &rollback,
            templates,
            files,
            sink,
        );
    }
}

fn add<T: BuiltIn>(
    path: &str,
    mode: Mode,
    data: &T,
    templates: &Templates,
    files: &mut FileSet,
    sink: &mut Sink,
) {
    let path = RelPath::new(path).expect("a guest's name is a DNS label");
    let text = templates.render(data, sink);
    files
        .insert(OutputFile::text(
            path,
            text,
            mode,
            Target::Recovery.as_str(),
        ))
        .expect("guests have different names, and nothing else is written below these folders");
}
