use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use super::args::Build;
use super::input;
use super::load::{self, Loaded, Sources, Unit};
use super::progress::Progress;
use super::terminal::Terminal;
use super::{Failure, Status};
use crate::check;
use crate::diagnostics::{Lints, Sink, in_order};
use crate::each::put_away;
use crate::output::{
    self, FileSet, Options, Output, OutputError, Prepared, Provenance, Report, Scope,
};
use crate::targets::{self, Target};
use crate::template::Templates;

/// What is told of a host once it stands in its folder.
struct Told {
    /// Its name, which is its folder's.
    host: String,
    warnings: usize,
    /// How many files there are of each target.
    files: BTreeMap<&'static str, usize>,
    /// What a user does with the tree, by what is in it.
    next: Option<&'static str>,
}

impl Told {
    fn of(host: &str, files: &FileSet, warnings: usize) -> Self {
        let mut targets = BTreeMap::new();
        for file in files.iter() {
            *targets.entry(file.target).or_default() += 1;
        }
        Self {
            host: host.to_owned(),
            warnings,
            files: targets,
            next: next_step(files),
        }
    }
}

/// A host that is compiled: its tree lies beside its place, or has been held against it. The texts are gone by now, as
/// those of a fleet take more memory than a machine may have.
enum Ready<'a> {
    Tree(Told, Box<Prepared<'a>>),
    Compared(Compared),
}

/// What `--check` says of a host.
struct Compared {
    current: bool,
    unified: String,
    summary: String,
}

pub(super) fn run(args: &Build, terminal: &mut Terminal) -> Result<Status, Failure> {
    let stays = |Failure(text)| {
        let folder = args.output.display();
        Failure::new(format!("{text}; `{folder}` stays as it is"))
    };
    let mut loaded = load::load_hosts(&args.specs, &args.host).map_err(stays)?;
    let targets = chosen_targets(&args.only);
    let options = Options {
        force: args.force,
        scope: scope(args, &targets),
        ..Options::default()
    };
    let output = if args.check || loaded.has_errors() {
        None
    } else {
        Some(Output::open(&args.output, options.patience))
    };
    let output = match output.transpose() {
        Ok(output) => output,
        Err(error) => {
            terminal.diagnostics(&loaded.sources, &loaded.found);
            terminal.failure(&Failure::new(error.to_string()));
            return Ok(Status::Failed);
        }
    };
    let mut ready = Vec::new();
    if !loaded.has_errors() {
        let by = By {
            targets: &targets,
            templates: args.templates.as_deref(),
            into: &args.output,
            output: output.as_ref(),
            options: &options,
        };
        ready = emit(&mut loaded, &by).map_err(stays)?;
    }
    terminal.diagnostics(&loaded.sources, &loaded.found);
    if loaded.has_errors() {
        terminal.remark(&format!(
            "nothing was built; `{}` stays as it is\n",
            args.output.display()
        ));
        return Ok(Status::Faulty);
    }
    let guests = loaded
        .units
        .iter()
        .map(|unit| unit.checked.host.guests.len());
    put_away(guests.sum(), loaded);
    Ok(finish(ready, output.as_ref(), &args.output, terminal))
}

/// Which files of a folder the build answers for.
fn scope(args: &Build, targets: &[Target]) -> Scope {
    if args.only.is_empty() {
        Scope::Everything
    } else {
        Scope::Targets(targets.iter().map(|t| t.as_str().to_owned()).collect())
    }
}

/// Puts the trees in their places, and says what was done, or what differs.
fn finish<'a>(
    ready: Vec<Result<Ready<'a>, OutputError>>,
    output: Option<&'a Output>,
    into: &Path,
    terminal: &mut Terminal,
) -> Status {
    let mut status = Status::Fine;
    let mut told = Vec::new();
    let mut trees = Vec::new();
    for host in ready {
        match host {
            Ok(Ready::Tree(host, tree)) => {
                told.push(host);
                trees.push(*tree);
            }
            Err(error) => status = status.max(failed(&error, terminal)),
            Ok(Ready::Compared(host)) => {
                terminal.result(&host.unified);
                terminal.remark(&format!("{}\n", host.summary));
                if !host.current {
                    status = status.max(Status::Faulty);
                }
            }
        }
    }
    let Some(output) = output else {
        return status;
    };
    let progress = Progress::of(format!("writing `{}`", into.display()));
    let reports = output.put(trees);
    drop(progress);
    for (host, report) in told.iter().zip(reports) {
        match report {
            Ok(report) => summarize(host, &into.join(&host.host), &report, terminal),
            Err(error) => status = status.max(failed(&error, terminal)),
        }
    }
    status
}

/// Says why a host's folder stays as it was.
fn failed(error: &OutputError, terminal: &mut Terminal) -> Status {
    let faulty = matches!(error, OutputError::Refused { .. });
    terminal.failure(&Failure::new(error.to_string()));
    if !faulty {
        return Status::Failed;
    }
    terminal.remark("`moxc build --check` shows the differences, `--force` overwrites the files\n");
    Status::Faulty
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

/// How hosts are built.
struct By<'a, 'o> {
    targets: &'a [Target],
    /// The folder of a user's templates.
    templates: Option<&'a Path>,
    /// The folder of the hosts' folders.
    into: &'a Path,
    /// Where trees are built; none where they are only held against what is there.
    output: Option<&'o Output>,
    options: &'a Options,
}

/// Emits every host, takes the last look at what was emitted, and lays its tree beside its place or holds it against what
/// stands there. Each core has one host at a time, so that no other host's texts are in memory.
fn emit<'o>(
    loaded: &mut Loaded,
    by: &By<'_, 'o>,
) -> Result<Vec<Result<Ready<'o>, OutputError>>, Failure> {
    let _progress = Progress::of("compiling");
    let mut sink = Sink::new();
    let templates = match by.templates {
        None => Templates::built_in(),
        Some(folder) => replaced(folder, &mut loaded.sources, &mut sink)?,
    };
    let mut ready = Vec::new();
    // A template that cannot be read gives no output: what is wrong with it has been told.
    if !sink.has_errors() {
        let one = |unit| emit_one(unit, by, &templates);
        let emitted: Vec<Emitted<'_>> = match &mut loaded.units[..] {
            // No other thread, whose memory would be another's.
            [unit] => one(unit).into_iter().collect(),
            units => units.par_iter_mut().filter_map(one).collect(),
        };
        for Emitted { tree, told, faulty } in emitted {
            sink.extend(told);
            check::tell(faulty, loaded.sources.map_mut(), &mut sink);
            // What is wrong with a template or a printer is so for every host: the first one shows it.
            if sink.has_errors() {
                break;
            }
            ready.extend(tree);
        }
    }
    let faults = sink.finish(&Lints::default(), false);
    loaded.found.extend(faults);
    loaded.found = in_order(std::mem::take(&mut loaded.found));
    Ok(ready)
}

/// What came of one host.
struct Emitted<'o> {
    /// None where something is wrong with it.
    tree: Option<Result<Ready<'o>, OutputError>>,
    told: Sink,
    faulty: Vec<check::Faulty>,
}

/// None for a host without a plan.
fn emit_one<'o>(unit: &mut Unit, by: &By<'_, 'o>, templates: &Templates) -> Option<Emitted<'o>> {
    let plan = unit.checked.plan.take()?;
    let host = &unit.checked.host;
    let mut told = Sink::new();
    let (files, faulty) =
        targets::emit_beside(host, plan, by.targets, templates, &mut told, |files| {
            check::check(host, files)
        });
    let is_sound = !told.has_errors() && faulty.is_empty();
    let tree = is_sound.then(|| {
        let name = host.name.as_str();
        let provenance = provenance(unit);
        if let Some(output) = by.output {
            output
                .prepare(name, &files, &provenance, by.options)
                .map(|tree| Ready::Tree(Told::of(name, &files, unit.warnings), Box::new(tree)))
        } else {
            let folder = by.into.join(name);
            compare(&folder, &files, &provenance, &by.options.scope).map(Ready::Compared)
        }
    });
    put_away(host.guests.len(), files);
    Some(Emitted { tree, told, faulty })
}

fn provenance(unit: &Unit) -> Provenance {
    Provenance {
        compiler: "moxc".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        spec_sha256: unit.origin.sha256,
    }
}

/// `--check`: what differs.
fn compare(
    folder: &Path,
    files: &FileSet,
    provenance: &Provenance,
    scope: &Scope,
) -> Result<Compared, OutputError> {
    let comparison = output::compare(folder, files, provenance, scope)?;
    let current = comparison.is_current();
    Ok(Compared {
        current,
        unified: if current {
            String::new()
        } else {
            comparison.unified()
        },
        summary: comparison.summary(),
    })
}

fn summarize(host: &Told, folder: &Path, report: &Report, terminal: &mut Terminal) {
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
    let count = host.files.values().sum::<usize>() + 1;
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
    for (target, &files) in &host.files {
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
            terminal.detail(format_args!("  {what}: {path}\n"));
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
    if let Some(next) = host.next {
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
