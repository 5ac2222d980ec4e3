use std::fs;
use std::path::{Path, PathBuf};

use super::args::LintNix;
use super::load::{self, Sources};
use super::terminal::Terminal;
use super::{Failure, Status};
use crate::diagnostics::{Code, Diagnostic, Lints, Sink};
use crate::nix::options::{
    Index, Release, Rules, check_module, declared_options, looks_like_module,
};
use crate::nix::{self, AttrPath};
use crate::nix::{Fault, FaultKind};
use crate::source::{FileId, Span};

pub(super) fn run(args: &LintNix, terminal: &mut Terminal) -> Result<Status, Failure> {
    let index = Index::builtin();
    let release = match &args.release {
        Some(text) => text.parse::<Release>().map_err(Failure::new)?,
        // Every release that the index knows is older than what people write modules for.
        None => index.releases().max().expect("the index knows a release"),
    };
    let mut allowed: Vec<AttrPath> = args
        .allow
        .iter()
        .map(|path| AttrPath::parse(path).map_err(|error| Failure::new(error.to_string())))
        .collect::<Result<_, _>>()?;
    let mut sources = Sources::default();
    let mut sink = Sink::new();
    let mut files = Vec::new();
    for path in &args.files {
        if path.is_dir() {
            collect(path, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    let mut read = Vec::new();
    for path in &files {
        if let Some(file) = load::read(&mut sources, path, &mut sink)? {
            read.push((path, file));
        }
    }
    // One module declares what another one defines.
    for (_, file) in &read {
        allowed.extend(declared_options(sources.map().file(*file).text(), index));
    }
    let rules = Rules {
        index,
        release,
        later: false,
        allowed: &allowed,
    };
    for (path, file) in read {
        lint(&sources, file, path, &rules, args.unused, &mut sink);
    }
    let found = sink.finish(&Lints::default(), args.deny_warnings);
    terminal.diagnostics(&sources, &found);
    Ok(if load::has_errors(&found) {
        Status::Faulty
    } else {
        Status::Fine
    })
}

/// Every Nix file below a folder, by name. What is hidden is nobody's source, and links may lead anywhere: `result` of a
/// build leads into the store.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let fail = |error| Failure::io("read", folder, &error);
    let mut entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(fail)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(fail)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if kind.is_dir() {
            collect(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "nix") {
            files.push(path);
        }
    }
    Ok(())
}

/// A file that sets options of NixOS is held against them; of any other, syntax and names are looked at.
fn lint(
    sources: &Sources,
    file: FileId,
    path: &Path,
    rules: &Rules,
    unused: bool,
    sink: &mut Sink,
) {
    let text = sources.map().file(file).text();
    let is_flake = path.file_name().is_some_and(|name| name == "flake.nix");
    let faults = if !is_flake && looks_like_module(text, rules.index) {
        check_module(text, rules)
    } else {
        nix::check(text)
    };
    // Arguments that a module names and does not use are common, and no fault.
    let wanted = |fault: &Fault| unused || fault.kind != FaultKind::UnusedBinding;
    for fault in faults.into_iter().filter(wanted) {
        sink.push(diagnostic(file, fault, rules));
    }
}

fn diagnostic(file: FileId, fault: Fault, rules: &Rules) -> Diagnostic {
    let (code, of_an_option) = match fault.kind {
        FaultKind::UnknownOption | FaultKind::OptionTooNew | FaultKind::RemovedOption => {
            (Code::MOX0841, true)
        }
        FaultKind::OptionType => (Code::MOX0842, true),
        FaultKind::RenamedOption | FaultKind::SuspectOption => (Code::MOX0843, true),
        FaultKind::UrlLiteral | FaultKind::UnusedBinding => (Code::MOX0846, false),
        FaultKind::Syntax
        | FaultKind::Nul
        | FaultKind::DuplicateAttribute
        | FaultKind::DuplicateFormal
        | FaultKind::UnboundName
        | FaultKind::UnknownFunction
        | FaultKind::IntegerRange
        | FaultKind::FloatRange => (Code::MOX0845, false),
    };
    let diagnostic =
        Diagnostic::new(code, Span::new(file, fault.range), fault.message).help_if(fault.help);
    if !of_an_option {
        return diagnostic;
    }
    let release = rules.release;
    diagnostic.note(match rules.index.newest_whole() {
        Some(whole) if whole < release => format!(
            "checked against what is known of NixOS {release}: every option of {whole}, and of the time since then a part"
        ),
        Some(_) | None => format!("checked against the options of NixOS {release}"),
    })
}
