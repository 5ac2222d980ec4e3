//! What a person may want to do next, after each command: a line where standard error is a terminal.

use std::path::{Path, PathBuf};

use super::Status;
use super::args::{Command, Graph};
use super::remote::Remote;

/// The hint; none where the command has said it itself, or there is nothing to do.
pub(super) fn step(command: &Command, status: Status) -> Option<String> {
    let went_well = matches!(status, Status::Fine);
    Some(match command {
        Command::Check(args) if went_well => {
            format!("`moxc build {}`", words(&args.specs.specs))
        }
        Command::Check(_) => "fix what is reported, and check again".to_owned(),
        Command::Collect(args) => {
            let Some(file) = &args.output else {
                return None;
            };
            let file = file.display();
            format!("`moxc adopt {file} -o host.toml`, or `moxc plan SPEC --live {file}`")
        }
        Command::Adopt(args) => {
            let spec = args.output.as_deref().unwrap_or(Path::new("host.toml"));
            let live = &args.live;
            format!("read it, then `moxc plan {} --live {live}`", spec.display())
        }
        Command::Hardware(_) => "put the tables into the spec, then `moxc check SPEC`".to_owned(),
        Command::Plan(args) => match status {
            Status::Differs | Status::Costly if is_host(&args.live) => format!(
                "`moxc apply {} --live {}`",
                words(&args.specs.specs),
                args.live
            ),
            Status::Differs | Status::Costly => {
                "`--script FILE` writes what would be run on the host".to_owned()
            }
            Status::Fine | Status::Faulty | Status::Failed | Status::Refused => return None,
        },
        Command::Apply(args) if went_well && !args.dry_run => {
            format!(
                "check that all is well; `moxc undo {}` takes it back",
                args.live
            )
        }
        Command::Undo(args) if went_well => {
            format!(
                "`moxc plan SPEC --live {}` says how it differs now",
                args.host
            )
        }
        Command::Explain(args) if args.code.is_none() => {
            "`moxc explain CODE` tells more about one".to_owned()
        }
        Command::Explain(_) => "`moxc check SPEC` once it is fixed".to_owned(),
        Command::Graph(args) if went_well => picture(args),
        Command::LintNix(_) if !went_well => "`moxc explain CODE` tells more about one".to_owned(),
        Command::Schema(_) => "save it, and begin a spec with `#:schema ./FILE`".to_owned(),
        Command::Completions(_) => {
            "save it where your shell looks for completions, or `source` it".to_owned()
        }
        // The first two say it in what they print, as it belongs to what they wrote.
        Command::Init(_)
        | Command::Build(_)
        | Command::Apply(_)
        | Command::Undo(_)
        | Command::Graph(_)
        | Command::LintNix(_) => return None,
        Command::Man(args) => match &args.output {
            Some(folder) => format!("`man -l {}/moxc.1`", folder.display()),
            None => "`moxc man -o DIR` writes a page for each command".to_owned(),
        },
    })
}

fn picture(args: &Graph) -> String {
    match args.format {
        super::args::GraphFormat::Html => "save it, and open it in a browser".to_owned(),
        super::args::GraphFormat::Mermaid
        | super::args::GraphFormat::Svg
        | super::args::GraphFormat::Json
        | super::args::GraphFormat::Dot => {
            "`--format html` makes a page for a browser; `--view` shows another side".to_owned()
        }
    }
}

fn is_host(live: &str) -> bool {
    matches!(Remote::parse(live), Ok(Some(_)))
}

fn words(specs: &[PathBuf]) -> String {
    let words: Vec<String> = specs
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    words.join(" ")
}
