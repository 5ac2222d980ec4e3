//! `restore/` and `rollback/`: the way back of each guest.
//!
//! Comes in: the host. Goes out, for each guest: a runbook; a script that restores it, where a backup covers it; a script
//! that takes it back to a generation or a snapshot. A script holds the data of its guest; how it is done stands once a tree,
//! in `restore/lib/` and `rollback/lib/`. What the host says at that time (which backups there are, what the
//! guest's settings are) the scripts ask Proxmox VE for; from here they get what only the spec says.

mod restore;
mod rollback;

use crate::diagnostics::Sink;
use crate::facts::Facts;
use crate::origin::Origin;
use crate::output::{FileSet, Mode, OutputFile, RelPath};
use crate::targets::Target;
use crate::template::{BuiltIn, Templates, one_line};

pub use restore::{Job, RestoreLibrary, RestoreScript, Runbook, Store, Volume};
pub use rollback::{RollbackLibrary, RollbackScript, ZfsStorage};

/// What will stand there.
#[derive(Debug)]
pub struct Plan {
    guests: Vec<GuestPlan>,
    restore: RestoreLibrary,
    rollback: RollbackLibrary,
}

/// The files of one guest.
#[derive(Debug)]
struct GuestPlan {
    runbook: Runbook,
    restore: Option<RestoreScript>,
    rollback: RollbackScript,
}

/// Plans it.
pub fn plan(facts: &Facts<'_>, origin: &Origin) -> Plan {
    let host = facts.host;
    let header = one_line(&origin.header());
    let guests = host.guests.iter().map(|(id, guest)| GuestPlan {
        runbook: restore::runbook(facts, (id, guest), &header),
        restore: (!facts.backups.jobs(id).is_empty())
            .then(|| restore::script(facts, (id, guest), &header)),
        rollback: rollback::script(guest, &header),
    });
    Plan {
        guests: guests.collect(),
        restore: restore::library(host, &header),
        rollback: rollback::library(host, &header),
    }
}

/// Writes it down. Reports what a user's template cannot do.
pub fn emit(plan: &Plan, templates: &Templates, files: &mut FileSet, sink: &mut Sink) {
    if plan.guests.iter().any(|guest| guest.restore.is_some()) {
        let path = "restore/lib/restore.sh";
        add(path, Mode::Regular, &plan.restore, templates, files, sink);
    }
    if !plan.guests.is_empty() {
        let path = "rollback/lib/rollback.sh";
        add(path, Mode::Regular, &plan.rollback, templates, files, sink);
    }
    for guest in &plan.guests {
        let name = &guest.runbook.guest;
        let runbook = format!("restore/{name}.md");
        add(
            &runbook,
            Mode::Regular,
            &guest.runbook,
            templates,
            files,
            sink,
        );
        if let Some(restore) = &guest.restore {
            let path = format!("restore/{name}.sh");
            add(&path, Mode::Executable, restore, templates, files, sink);
        }
        let path = format!("rollback/{name}.sh");
        add(
            &path,
            Mode::Executable,
            &guest.rollback,
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
