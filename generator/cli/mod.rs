//! The command line: the only part that knows files, streams and the environment.
//!
//! Results go to standard output, diagnostics and failures to standard error. The exit status is 0 where all is well,
//! 1 where a spec has errors or an output folder is not what it should be, 2 where the call is wrong or the system
//! refuses.

mod adopt;
mod apply;
mod args;
mod build;
mod check;
mod collect;
mod desired;
mod explain;
mod fix;
mod graph;
mod hardware;
mod images;
mod init;
mod input;
mod lint_nix;
mod live;
mod load;
mod manual;
mod next;
mod plan;
mod progress;
mod remote;
mod surroundings;
mod terminal;
mod undo;

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

pub use args::Args;
use args::Command;
use terminal::Terminal;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    /// All is well.
    Fine,
    /// A spec has errors, or a folder is not what it should be.
    Faulty,
    /// The call is wrong, or the system refuses.
    Failed,
    /// A person has to decide: nothing was done.
    Refused,
    /// A host differs from its spec.
    Differs,
    /// A host differs in a way that `--fail-on` names.
    Costly,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        match status {
            Status::Fine => Self::SUCCESS,
            Status::Faulty => Self::from(1),
            Status::Failed => Self::from(2),
            Status::Refused | Status::Differs => Self::from(3),
            Status::Costly => Self::from(4),
        }
    }
}

/// A failure that is no fault of a spec: one line that says what failed and what stayed as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure(String);

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What was tried with a file, and why the system refused.
    fn io(action: &str, path: &Path, error: &std::io::Error) -> Self {
        Self(format!("cannot {action} `{}`: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs the program: `args` are what the user wrote, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let mut terminal = Terminal::new(args.shared);
    let done = match &args.command {
        Command::Init(init) => init::run(init, &mut terminal),
        Command::Check(check) => check::run(check, &mut terminal),
        Command::Build(build) => build::run(build, &mut terminal),
        Command::Collect(collect) => collect::run(collect, &mut terminal),
        Command::Adopt(adopt) => adopt::run(adopt, &mut terminal),
        Command::Hardware(hardware) => hardware::run(hardware, &mut terminal),
        Command::Plan(plan) => plan::run(plan, &mut terminal),
        Command::Apply(apply) => apply::run(apply, &mut terminal),
        Command::Undo(undo) => undo::run(undo, &mut terminal),
        Command::Explain(explain) => explain::run(explain, &mut terminal),
        Command::Graph(graph) => graph::run(graph, &mut terminal),
        Command::LintNix(lint) => lint_nix::run(lint, &mut terminal),
        Command::Schema(schema) => Ok(manual::schema(schema, &mut terminal)),
        Command::Completions(completions) => Ok(manual::completions(completions, &mut terminal)),
        Command::Man(man) => manual::man(man, &mut terminal),
    };
    let status = done.unwrap_or_else(|failure| {
        terminal.failure(&failure);
        Status::Failed
    });
    if let Some(next) = next::step(&args.command, status) {
        terminal.hint(&next);
    }
    match terminal.finish() {
        Ok(()) => status.into(),
        Err(failure) => {
            // Standard output is gone; standard error may still be there.
            let mut terminal = Terminal::new(args.shared);
            terminal.failure(&failure);
            let _ = terminal.finish();
            Status::Failed.into()
        }
    }
}

/// Help and version go to standard output and are fine; anything else is wrong usage.
fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe is nobody's fault, and there is nothing else to tell.
    let _ = error.print();
    if error.use_stderr() {
        Status::Failed.into()
    } else {
        Status::Fine.into()
    }
}
