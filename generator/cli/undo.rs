//! `moxc undo`: takes back what a run did to a host.

use super::apply::{agrees, converse};
use super::args::Undo as Args;
use super::remote::Remote;
use super::terminal::Terminal;
use super::{Failure, Status};
use crate::apply::Script;
use crate::diagnostics::Sink;
use crate::shell::Command;
use crate::template::Templates;

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<Status, Failure> {
    let remote = Remote::parse(&args.host)?.ok_or_else(|| {
        Failure::new(format!(
            "`{}` is not an address of a host: write `ssh://root@HOST`",
            args.host
        ))
    })?;
    let mut command = Command::new("bash").args(["-s", "--", "--json"]);
    if args.list {
        command = command.arg("--list");
    } else {
        command = command.arg("--undo");
        if let Some(run) = &args.run {
            command = command.arg(run);
        }
        let what = args.run.as_deref().unwrap_or("the last run");
        if args.dry_run {
            command = command.arg("--dry-run");
        } else if args.yes || agrees(&format!("Take {what} back on {}?", remote.host()), terminal) {
            command = command.args(["--yes", "--await"]);
        } else {
            return Ok(Status::Refused);
        }
    }
    // The engine without a step: what is taken back, the run itself has noted.
    let script = Script::without_steps(remote.host());
    let text = Templates::built_in().render(&script, &mut Sink::new());
    converse(&remote, &command, &text, terminal)
}
