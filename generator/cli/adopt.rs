use std::fs;
use std::path::Path;

use super::args::Adopt as Args;
use super::load::Sources;
use super::terminal::Terminal;
use super::{Failure, Status, live};
use crate::adopt::{self, Adopted, Note, NoteKind};
use crate::diagnostics::Sink;

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<Status, Failure> {
    let snapshot = live::read(&args.live)?;
    let adopted = adopt::adopt(&snapshot, args.minimal);
    match &args.output {
        Some(path) => {
            if path.exists() && !args.force {
                return Err(Failure::new(format!(
                    "`{}` is there already; write to another file, or overwrite it with `--force`",
                    path.display()
                )));
            }
            fs::write(path, &adopted.text).map_err(|error| Failure::io("write", path, &error))?;
        }
        None => terminal.result(&adopted.text),
    }
    let name = args.output.as_deref().unwrap_or(Path::new("host.toml"));
    tell(&adopted, name, terminal)?;
    Ok(if adopted.is_proved() {
        Status::Fine
    } else {
        Status::Faulty
    })
}

/// What a person wants to know of a spec: what the compiler says of it, and what it took to write it.
fn tell(adopted: &Adopted, path: &Path, terminal: &mut Terminal) -> Result<(), Failure> {
    let mut sources = Sources::default();
    let text = adopted.text.clone().into_bytes();
    sources
        .take(path, text, &mut Sink::new())
        .map_err(|error| Failure::new(error.to_string()))?;
    terminal.diagnostics(&sources, &adopted.found);
    for fault in &adopted.faults {
        terminal.remark(&format!("stands as a comment: {fault}\n"));
    }
    let kinds = [
        NoteKind::Normalised,
        NoteKind::Kept,
        NoteKind::Unread,
        NoteKind::Risk,
    ];
    for kind in kinds {
        let notes: Vec<&Note> = adopted
            .notes
            .iter()
            .filter(|note| note.kind == kind)
            .collect();
        if notes.is_empty() {
            continue;
        }
        terminal.remark(&format!("{}:\n", kind.title()));
        for note in notes {
            terminal.remark(&format!(
                "  {}: {}\n",
                note.what.escape_debug(),
                note.why.escape_debug()
            ));
        }
    }
    match &adopted.plan {
        Some(plan) if plan.is_same() => {
            terminal.remark("the spec changes nothing on the host\n");
        }
        Some(plan) => {
            for change in &plan.changes {
                let option = change.option.as_deref().unwrap_or("");
                terminal.remark(&format!("would still change: {} {option}\n", change.object));
            }
        }
        None => {
            terminal.remark("the spec has errors: nothing can be said of what it would change\n")
        }
    }
    Ok(())
}
