//! `moxc apply`: the plan, the question, the run on the host, and the confirmation of its network by a second connection.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead as _, Write as _};

use super::args::{Apply as Args, Choice};
use super::desired::{self, Desired};
use super::load;
use super::remote::Remote;
use super::terminal::Terminal;
use super::{Failure, Status, images, live};
use crate::apply::{Group, Step, planned};
use crate::diagnostics::Sink;
use crate::live::Snapshot;
use crate::model::Host;
use crate::plan::{Applied, Plan};
use crate::shell::{self, Command};
use crate::template::{Templates, one_line};

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<Status, Failure> {
    let mut loaded = load::load(&args.specs)?;
    terminal.diagnostics(&loaded.sources, &loaded.found);
    if loaded.has_errors() {
        return Ok(Status::Faulty);
    }
    let remote = Remote::parse(&args.live)?.ok_or_else(|| {
        Failure::new(format!(
            "`{}` is not a host: write `ssh://root@HOST`; for a copy of one, `moxc plan --script FILE` writes what would be run",
            args.live
        ))
    })?;
    let snapshot = live::read(&args.live)?;
    let unit = desired::host_of(&mut loaded.units, &snapshot, &args.live)?;
    let desired = Desired::of(unit)?;
    let differences = desired.compare(&snapshot);
    desired::show(false, &differences, &loaded.sources, terminal);
    let makings = &desired.wanted.makings;
    images::tell_missing(makings, &differences, &args.image, terminal);
    let mut images = images::find(&args.image, makings, &differences, terminal)?;
    let script = script(&desired, &snapshot, &differences, &args.choice)?;
    let unfinished = snapshot
        .tree
        .file("var/lib/moxc/unfinished")
        .present()
        .is_some();
    let is_asked = !args.choice.restart.is_empty() || !args.choice.adopt.is_empty();
    if differences.is_same() && !is_asked && !unfinished {
        return Ok(Status::Fine);
    }
    if unfinished {
        terminal.remark("an earlier run was cut off: what it left to do is done, too\n");
    }
    let mut command = Command::new("bash").args(["-s", "--", "--json"]);
    if args.dry_run {
        command = command.arg("--dry-run");
    } else if args.yes || agrees(&format!("Apply this to {}?", remote.host()), terminal) {
        command = command.args(["--yes", "--await"]);
        images = images::send(images, &remote, terminal)?;
    } else {
        return Ok(Status::Refused);
    }
    for image in &images {
        command = command.args(["--image", &image.word()]);
    }
    for name in &args.confirm {
        command = command.args(["--confirm", name]);
    }
    if args.download {
        command = command.arg("--download");
    }
    let status = converse(&remote, &command, &script, terminal);
    if !args.dry_run {
        images::remove(&images, &remote);
    }
    status
}

/// The script that brings the host of `snapshot` to what is desired.
pub(super) fn script(
    desired: &Desired<'_>,
    snapshot: &Snapshot,
    differences: &Plan,
    choice: &Choice,
) -> Result<String, Failure> {
    let host = desired.host;
    let mut prepared = planned::prepare(
        &desired.files,
        differences,
        &desired.wanted,
        snapshot,
        &left(snapshot),
        &choice.adopt,
    );
    for word in choice.only.iter().chain(&choice.skip) {
        let is_step = |step: &Step| *word == step.id || word == step.group.as_str();
        if !prepared.steps.iter().any(is_step)
            && !Group::ALL.iter().any(|group| word == group.as_str())
        {
            let steps: BTreeSet<&str> =
                prepared.steps.iter().map(|step| step.id.as_str()).collect();
            return Err(Failure::new(format!(
                "there is no step `{word}`; the steps of this host are {}, {}",
                Group::ALL.map(Group::as_str).join(", "),
                steps.into_iter().collect::<Vec<_>>().join(", ")
            )));
        }
    }
    named_guests(host, choice)?;
    prepared.steps.retain(|step| is_chosen(step, choice));
    let mut script = planned::script(
        one_line(&desired.origin.header()),
        host.name.as_str(),
        &host.release.to_string(),
        prepared,
    );
    script.restarts = choice.restart.join(",");
    Ok(Templates::built_in().render(&script, &mut Sink::new()))
}

/// Refuses what names no guest of the spec: nothing would come of it, and nobody would be told.
fn named_guests(host: &Host, choice: &Choice) -> Result<(), Failure> {
    let unknown = |word: &str| {
        let mut guests = host.guests.iter();
        !guests
            .any(|(_, guest)| guest.name.as_str() == word || guest.vmid.value.to_string() == word)
    };
    let adopted = choice.adopt.iter().map(ToString::to_string);
    let adopted = adopted.map(|word| ("--adopt", word));
    let restarted = choice.restart.iter().cloned();
    let restarted = restarted.map(|word| ("--restart", word));
    match adopted.chain(restarted).find(|(_, word)| unknown(word)) {
        None => Ok(()),
        Some((option, word)) => Err(Failure::new(format!(
            "{option}: the spec of `{}` has no guest `{word}`",
            host.name.value
        ))),
    }
}

/// Whether a step is among those that were asked for. The look at the host is always, and a restart is asked for by name.
fn is_chosen(step: &Step, choice: &Choice) -> bool {
    let named = |words: &[String]| {
        words
            .iter()
            .any(|word| *word == step.id || word == step.group.as_str())
    };
    step.group == Group::Check
        || step.group == Group::Restart && !named(&choice.skip)
        || (choice.only.is_empty() || named(&choice.only)) && !named(&choice.skip)
}

/// What the last run left, by path: the texts in the host's `applied.json`.
fn left(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let applied = Applied::of(snapshot).unwrap_or_default();
    let files = applied.files.into_iter();
    files
        .map(|(path, file)| (path, file.text.unwrap_or_default()))
        .collect()
}

/// Asks at the terminal; without one nobody agrees.
pub(super) fn agrees(question: &str, terminal: &mut Terminal) -> bool {
    let Some(answer) = asked(question) else {
        terminal.failure(&Failure::new(format!(
            "{question} There is nobody to ask: say --yes"
        )));
        return false;
    };
    let agreed = matches!(answer.trim(), "y" | "Y" | "yes");
    if !agreed {
        terminal.remark("stopped: nothing was done\n");
    }
    agreed
}

fn asked(question: &str) -> Option<String> {
    let tty = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .ok()?;
    write!(&tty, "{question} [y/N] ").ok()?;
    let mut answer = String::new();
    io::BufReader::new(&tty).read_line(&mut answer).ok()?;
    Some(answer)
}

/// Runs the script on the host and tells what it says, line by line.
pub(super) fn converse(
    remote: &Remote,
    command: &Command,
    script: &str,
    terminal: &mut Terminal,
) -> Result<Status, Failure> {
    let mut ended = false;
    let status = remote.stream(&command.to_string(), script, |line| {
        let Ok(event) = serde_json::from_str::<serde_json::Value>(line) else {
            terminal.remark(&format!("{}\n", one_line(line)));
            return;
        };
        let kind = event["event"].as_str().unwrap_or_default();
        if kind == "confirm"
            && let Some(path) = event["path"].as_str()
        {
            confirm(remote, path, event["seconds"].as_u64(), terminal);
        }
        ended |= kind == "end";
        tell(line, kind, &event, terminal);
    })?;
    Ok(match status {
        Some(0) if ended => Status::Fine,
        Some(2) => Status::Failed,
        Some(3) => Status::Refused,
        Some(1) => Status::Faulty,
        Some(_) | None => {
            terminal.failure(&Failure::new(format!(
                "the connection to `{}` ended before the script did: what it did stands in the newest folder of \
                 /var/lib/moxc/runs, an unconfirmed network goes back by itself, and the next run goes on",
                remote.host()
            )));
            Status::Faulty
        }
    })
}

/// The new network carries a second connection: only then it stays, where that comes in time. The script says how it ends.
fn confirm(remote: &Remote, path: &str, seconds: Option<u64>, terminal: &mut Terminal) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !path.contains("/var/lib/moxc/runs/") || !path.chars().all(plain) || path.contains("..") {
        return;
    }
    let touch = format!("touch {}", shell::quote(path));
    if matches!(remote.stream(&touch, "", |_| {}), Ok(Some(0))) {
        terminal.remark("the new network carries a second connection: it is confirmed\n");
    } else {
        let when = seconds.map_or_else(String::new, |seconds| format!(" in {seconds} seconds"));
        terminal.remark(&format!(
            "the new network carries no second connection: the host goes back to the old one{when}\n"
        ));
    }
}

/// One event, for people or as it came.
fn tell(line: &str, kind: &str, event: &serde_json::Value, terminal: &mut Terminal) {
    if !terminal.is_for_people() {
        terminal.json(&format!("{line}\n"));
        return;
    }
    let text = |key: &str| one_line(event[key].as_str().unwrap_or_default());
    match kind {
        "change" => terminal.result(&format!("{}: {}\n", text("title"), text("text"))),
        "done" => terminal.result(&format!(
            "  done: {} ({} s)\n",
            text("title"),
            event["seconds"]
        )),
        "end" => match (event["run"].as_str(), event["undone"].as_str()) {
            (Some(run), _) => terminal.result(&format!(
                "{} changes made; `moxc undo` takes {} back\n",
                event["changes"],
                one_line(run)
            )),
            (None, Some(run)) => {
                terminal.result(&format!("{} is taken back\n", one_line(run)));
            }
            (None, None) if event["changes"].is_null() => {}
            (None, None) => terminal.result(&format!("{} changes\n", event["changes"])),
        },
        "run" => {
            let undone = if event["undone"] == true {
                " (taken back)"
            } else {
                ""
            };
            terminal.result(&format!("{}{undone}\n", text("run")));
        }
        "confirm" => {}
        // What the script's libraries tell has a message; the rest has a text.
        _ => {
            let said = if event["text"].is_string() {
                text("text")
            } else {
                text("message")
            };
            match kind {
                "failed" | "refused" | "usage" => terminal.failure(&Failure::new(said)),
                _ => terminal.remark(&format!("{said}\n")),
            }
        }
    }
}
