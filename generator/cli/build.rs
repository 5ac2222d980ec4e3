use std::collections::BTreeMap;
use std::path::Path;

use super::args::Build;
use super::input;
use super::load::{self, Loaded, Sources, Unit};
use super::progress::Progress;
use super::terminal::Terminal;
use super::{Failure, Status};
use crate::check;
use crate::diagnostics::{Lints, Sink, in_order};
use crate::output::{self, FileSet, Options, OutputError, Provenance, Report, Scope};
use crate::targets::{self, Target};
use crate::template::Templates;

/// A host that is ready to be written.
struct Ready {
    /// Its name, which is its folder's.
    host: String,
    files: FileSet,
    provenance: Provenance,
    warnings: usize,
}

pub(super) fn run(args: &Build, terminal: &mut Terminal) -> Result<Status, Failure> {
    let mut loaded = load::load(&args.specs).map_err(|Failure(text)| {
        let folder = args.output.display();
        Failure::new(format!("{text}; `{folder}` stays as it is"))
    })?;
    let targets = chosen_targets(&args.only);
    let ready = if loaded.has_errors() {
        Vec::new()
    } else {
        emit(&mut loaded, &targets, args.templates.as_deref()).map_err(|Failure(text)| {
            let folder = args.output.display();
            Failure::new(format!("{text}; `{folder}` stays as it is"))
        })?
    };
    terminal.diagnostics(&loaded.sources, &loaded.found);
    if loaded.has_errors() {
        terminal.remark(&format!(
            "nothing was built; `{}` stays as it is\n",
            args.output.display()
        ));
        return Ok(Status::Faulty);
    }
    let scope = if args.only.is_empty() {
        Scope::Everything
    } else {
        Scope::Targets(targets.iter().map(|t| t.as_str().to_owned()).collect())
    };
    let mut status = Status::Fine;
    for host in &ready {
        let folder = args.output.join(&host.host);
        let done = if args.check {
            compare(host, &folder, &scope, terminal)
        } else {
            write(host, &folder, &scope, args.force, terminal)
        };
        status = status.max(done.unwrap_or_else(|error| {
            let faulty = matches!(error, OutputError::Refused { .. });
            terminal.failure(&Failure::new(error.to_string()));
            if faulty {
                terminal.remark(
                    "`moxc build --check` shows the differences, `--force` overwrites the files\n",
                );
                Status::Faulty
            } else {
                Status::Failed
            }
        }));
    }
    Ok(status)
}

/// The targets of `--only`, in the order in which they are built; all where there is none.
fn chosen_targets(only: &[Target]) -> Vec<Target> {
    Target::ALL
        .iter()
        .copied()
        .filter(|target| only.is_empty() || only.contains(target))
        .collect()
}

/// The built-in templates, of which those in `folder` are replaced. Each file below it must be named as a built-in one.
fn replaced(folder: &Path, sources: &mut Sources, sink: &mut Sink) -> Result<Templates, Failure> {
    let names = input::files_below(folder)
        .map_err(|error| Failure::new(format!("cannot read the templates: {error}")))?;
    let mut files = Vec::new();
    for (name, path) in names {
        // One that is no text has been reported.
        if let Some(file) = load::read(sources, &path, sink)? {
            files.push((name, file));
        }
    }
    Ok(Templates::replacing(files, sources.map(), sink))
}

/// Emits every host by the built-in templates and those of `folder`, and takes the last look at what was emitted.
fn emit(
    loaded: &mut Loaded,
    targets: &[Target],
    folder: Option<&Path>,
) -> Result<Vec<Ready>, Failure> {
    let _progress = Progress::of("compiling");
    let mut sink = Sink::new();
    let templates = match folder {
        None => Templates::built_in(),
        Some(folder) => replaced(folder, &mut loaded.sources, &mut sink)?,
    };
    let mut ready = Vec::new();
    for unit in &loaded.units {
        let (Some(host), Some(plan)) = (&unit.checked.host, &unit.checked.plan) else {
            continue;
        };
        // A template that cannot be read gives no output: what is wrong with it has been told.
        if sink.has_errors() {
            break;
        }
        let files = targets::emit(plan, targets, &templates, &mut sink);
        check::check(host, &files, loaded.sources.map_mut(), &mut sink);
        ready.push(Ready {
            host: host.name.as_str().to_owned(),
            files,
            provenance: provenance(unit),
            warnings: unit.warnings,
        });
    }
    let faults = sink.finish(&Lints::default(), false);
    loaded.found.extend(faults);
    loaded.found = in_order(std::mem::take(&mut loaded.found));
    Ok(ready)
}

fn provenance(unit: &Unit) -> Provenance {
    Provenance {
        compiler: "moxc".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        spec_sha256: unit.origin.sha256,
    }
}

/// `--check`: what differs, and whether anything does.
fn compare(
    host: &Ready,
    folder: &Path,
    scope: &Scope,
    terminal: &mut Terminal,
) -> Result<Status, OutputError> {
    let comparison = output::compare(folder, &host.files, &host.provenance, scope)?;
    if comparison.is_current() {
        terminal.remark(&format!("{}\n", comparison.summary()));
        return Ok(Status::Fine);
    }
    terminal.result(&comparison.unified());
    terminal.remark(&format!("{}\n", comparison.summary()));
    Ok(Status::Faulty)
}

fn write(
    host: &Ready,
    folder: &Path,
    scope: &Scope,
    force: bool,
    terminal: &mut Terminal,
) -> Result<Status, OutputError> {
    let options = Options {
        force,
        scope: scope.clone(),
        ..Options::default()
    };
    let progress = Progress::of(format!("writing `{}`", folder.display()));
    let report = output::write(folder, &host.files, &host.provenance, &options)?;
    drop(progress);
    summarize(host, folder, &report, terminal);
    Ok(Status::Fine)
}

fn summarize(host: &Ready, folder: &Path, report: &Report, terminal: &mut Terminal) {
    let folder = folder.display();
    let mut changes: Vec<String> = [
        (report.created.len(), "new"),
        (report.updated.len(), "changed"),
        (report.overwritten.len(), "overwritten"),
        (report.removed.len(), "removed"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    if changes.is_empty() {
        changes.push("nothing changed".to_owned());
    }
    // The manifest is a file of the folder, though of no target.
    let count = host.files.len() + 1;
    let warnings = match host.warnings {
        0 => String::new(),
        1 => "; 1 warning".to_owned(),
        count => format!("; {count} warnings"),
    };
    terminal.summary(&format!(
        "{}: {count} file{} in `{folder}` ({}){warnings}\n",
        host.host,
        if count == 1 { "" } else { "s" },
        changes.join(", ")
    ));
    let mut targets: BTreeMap<&str, usize> = BTreeMap::new();
    for file in host.files.iter() {
        *targets.entry(file.target).or_default() += 1;
    }
    for (target, files) in targets {
        let plural = if files == 1 { "" } else { "s" };
        terminal.summary(&format!("  {target:<10} {files} file{plural}\n"));
    }
    let lists = [
        ("new", &report.created),
        ("changed", &report.updated),
        ("overwritten", &report.overwritten),
        ("removed", &report.removed),
    ];
    for (what, paths) in lists {
        for path in paths {
            terminal.detail(&format!("  {what}: {path}\n"));
        }
    }
    for path in &report.copied {
        terminal.remark(&format!(
            "`{}` is not moxc's and had to be copied: it is a new file of yours now\n",
            path.display()
        ));
    }
    for note in &report.notes {
        terminal.remark(&format!("{note}\n"));
    }
    if let Some(next) = next_step(&host.files) {
        terminal.summary(&format!("next: {next}\n").replace("{folder}", &folder.to_string()));
    }
}

/// What a user does with the tree, by what is in it.
fn next_step(files: &FileSet) -> Option<&'static str> {
    if files.get("README.md").is_some() {
        Some("read `{folder}/README.md`: it has the steps in their order")
    } else if files.get("proxmox/apply.sh").is_some() {
        Some(
            "copy `{folder}` to the host, and see what `proxmox/apply.sh --dry-run` would do there",
        )
    } else {
        None
    }
}
