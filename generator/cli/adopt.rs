use std::fs;
use std::path::Path;

use super::args::Adopt as Args;
use super::load::Sources;
use super::terminal::Terminal;
use super::{Failure, Status, live};
use crate::adopt::{self, Adopted, Note, NoteKind};
use crate::diagnostics::Sink;
use crate::live::Snapshot;
use crate::plan::render;

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<Status, Failure> {
    let snapshot = live::read(&args.live)?;
    let nodes: Vec<&str> = snapshot.nodes.keys().map(String::as_str).collect();
    match &args.output {
        Some(path) if is_folder(path) => fleet(args, path, &snapshot, &nodes, terminal),
        output => {
            if snapshot.node.present().is_none() && nodes.len() > 1 {
                return Err(Failure::new(format!(
                    "`{}` does not say which of the nodes {} it is a copy of: name a folder with `-o`, for a spec of each",
                    args.live,
                    nodes.join(", ")
                )));
            }
            let adopted = adopt::adopt(&snapshot, args.minimal);
            match output {
                Some(path) => write(args, path, &adopted.text)?,
                None => terminal.result(&adopted.text),
            }
            let name = output.as_deref().unwrap_or(Path::new("host.toml"));
            tell(&adopted, name, terminal)?;
            if nodes.len() > 1 {
                terminal.remark(&format!(
                    "the cluster has the nodes {}; `-o DIR` writes a spec of each\n",
                    nodes.join(", ")
                ));
            }
            Ok(status(&adopted))
        }
    }
}

/// Whether `-o` names a folder: one that is there, or a name without an ending.
fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.extension().is_none()
}

fn status(adopted: &Adopted) -> Status {
    if adopted.is_proved() {
        Status::Fine
    } else {
        Status::Faulty
    }
}

/// Writes a file that is not there yet.
fn write(args: &Args, path: &Path, text: &str) -> Result<(), Failure> {
    if path.exists() && !args.force {
        return Err(Failure::new(format!(
            "`{}` is there already; write to another file, or overwrite it with `--force`",
            path.display()
        )));
    }
    fs::write(path, text).map_err(|error| Failure::io("write", path, &error))
}

/// A spec of each node, and the fleet that they are.
fn fleet(
    args: &Args,
    folder: &Path,
    snapshot: &Snapshot,
    nodes: &[&str],
    terminal: &mut Terminal,
) -> Result<Status, Failure> {
    let hosts = folder.join("hosts");
    fs::create_dir_all(&hosts).map_err(|error| Failure::io("create", &hosts, &error))?;
    let mut worst = Status::Fine;
    for node in nodes {
        let adopted = adopt::adopt(&snapshot.of_node(node), args.minimal);
        let path = hosts.join(format!("{}.toml", adopted.host));
        write(args, &path, &adopted.text)?;
        terminal.remark(&format!("`{}`:\n", path.display()));
        tell(&adopted, &path, terminal)?;
        worst = worst.max(status(&adopted));
    }
    write(args, &folder.join("fleet.toml"), &adopt::fleet(snapshot))?;
    Ok(worst)
}

/// What a person wants to know of a spec: what the compiler says of it, and what it took to write it.
fn tell(adopted: &Adopted, path: &Path, terminal: &mut Terminal) -> Result<(), Failure> {
    let mut sources = Sources::default();
    let text = adopted.text.clone().into_bytes();
    sources
        .take(path, text, &mut Sink::new())
        .map_err(|error| Failure::new(error.to_string()))?;
    for (name, text) in &adopted.generated {
        sources.map_mut().add(name, text);
    }
    terminal.diagnostics(&sources, &adopted.found);
    for fault in &adopted.faults {
        terminal.remark(&format!("stands as a comment: {fault}\n"));
    }
    let kinds = [
        NoteKind::Normalised,
        NoteKind::Kept,
        NoteKind::Unknown,
        NoteKind::Unread,
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
                render::shown(&note.what),
                render::shown(&note.why)
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
            terminal.remark("the spec has errors: nothing can be said of what it would change\n");
        }
    }
    Ok(())
}
