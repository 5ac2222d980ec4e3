//! The scheduled tasks of a guest: one for each schedule that is about it, and what runs when its user logs on.

use jiff::civil::{Date, date};
use serde::Serialize;

use super::Folder;
use super::task::{Principal, Start, Task};
use crate::calendar::windows::Trigger;
use crate::calendar::{CannotExpress, Expression, TimeSpan};
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, Host, Id, Schedule, Vm, WindowsGuest};
use crate::output::Mode;
use crate::powershell;
use crate::source::{Span, Spanned};
use crate::template::{BuiltIn, Templates};
use crate::value::Reboot;

/// From when on the triggers hold: a fixed day, so that the same spec gives the same bytes, and one in the past, so that
/// they hold at once.
const FROM: Date = date(2024, 1, 1);
/// How long a task may take that says nothing, in seconds. The Task Scheduler's own 72 hours would let a hung update keep
/// the runs of two more nights away.
const LIMIT: u64 = 6 * 3600;
/// How long the first logon's may take: it downloads games and build tools.
const FIRST_LOGON_LIMIT: u64 = 12 * 3600;
/// The first logon's task.
const FIRST_LOGON: &str = "first-logon";

/// The task that mounts several shared folders.
const SHARES: &str = "virtiofs";

/// A task, and the schedule or the guest that it comes from.
#[derive(Debug)]
pub(super) struct Planned {
    task: Task,
    span: Span,
}

/// Plans the tasks of a guest. Reports MOX0630.
pub(super) fn plan(
    host: &Host,
    id: Id<Guest>,
    vm: &Vm,
    windows: &WindowsGuest,
    sink: &mut Sink,
) -> Vec<Planned> {
    let mut tasks = Vec::new();
    for schedule in host.schedules.values() {
        tasks.extend(of_schedule(host, id, windows, schedule, sink));
    }
    if vm.shares.len() > 1 {
        tasks.push(Planned {
            task: Task {
                name: SHARES.to_owned(),
                description:
                    "Mounts the shared folders, which the service of virtio-fs does for one alone"
                        .to_owned(),
                principal: Principal::System,
                start: Start::Boot,
                limit: Some(LIMIT),
                catches_up: false,
                needs_network: false,
                enabled: true,
                script: "virtiofs.nu",
                arguments: Vec::new(),
            },
            span: vm.shares[0].span,
        });
    }
    tasks.push(Planned {
        task: Task {
            name: FIRST_LOGON.to_owned(),
            description: format!(
                "Installs what {} is described to have, when {} logs on",
                host.guests[id].name.value, windows.user.0
            ),
            principal: Principal::User(windows.user.0.clone()),
            start: Start::Logon,
            limit: Some(FIRST_LOGON_LIMIT),
            catches_up: false,
            needs_network: false,
            enabled: true,
            script: "first-logon.nu",
            arguments: Vec::new(),
        },
        span: windows.user.span,
    });
    tasks
}

/// The task that upgrades packages when Windows is updated. winget is a package of each user and does not work for
/// `SYSTEM`, so that this one runs in the session of the guest's user, and only while there is one.
fn upgrade(update: &Task, windows: &WindowsGuest) -> Task {
    Task {
        name: format!("{}-winget", update.name),
        description: "Upgrades the packages of winget".to_owned(),
        principal: Principal::User(windows.user.0.clone()),
        script: "winget.nu",
        arguments: vec!["--upgrade".to_owned()],
        ..update.clone()
    }
}

/// The task that only looks for updates, once a day: what it finds stands in the event log, and where the host asks for it.
fn look(update: &Task, windows: &WindowsGuest) -> Option<Task> {
    let noon: Expression = "*-*-* 12:00".parse().ok()?;
    let triggers = Trigger::express(&noon, Some(windows.timezone.as_str()), FROM).ok()?;
    Some(Task {
        name: format!("{}-check", update.name),
        description: "Looks which updates of Windows wait, and installs none".to_owned(),
        start: Start::Times(triggers, Some(3600)),
        limit: Some(LIMIT),
        catches_up: true,
        enabled: true,
        arguments: vec!["--event".to_owned()],
        ..update.clone()
    })
}

/// The tasks of a schedule, where it is about the guest.
fn of_schedule(
    host: &Host,
    id: Id<Guest>,
    windows: &WindowsGuest,
    schedule: &Schedule,
    sink: &mut Sink,
) -> Vec<Planned> {
    let (guests, reboot, driven) = match (schedule.windows_update(), schedule.windows_maintenance())
    {
        (Some(task), _) => (&task.guests, *task.reboot, *task.snapshot),
        (None, Some(task)) => (&task.guests, *task.reboot, false),
        (None, None) => return Vec::new(),
    };
    if !guests.iter().any(|other| other == id) {
        return Vec::new();
    }
    let updates = schedule.windows_update().is_some();
    let packages = updates && !windows.winget.is_empty();
    // What is wrong with a schedule is wrong for each of its guests: it is reported of the first one alone, and of those
    // whose time zone is their own.
    let mut silent = Sink::new();
    let tells = guests.iter().next() == Some(id) || windows.timezone.is_written();
    let sink = if tells { sink } else { &mut silent };
    let times = if driven && !packages {
        Some(Start::OnDemand)
    } else {
        times(host, id, windows, schedule, sink)
    };
    let limit = match &schedule.timeout {
        None => Some(Some(LIMIT)),
        Some(timeout) if timeout.is_infinite() => Some(None),
        Some(timeout) => seconds_of(timeout, "limit", schedule, sink).map(Some),
    };
    let (Some(times), Some(limit)) = (times, limit) else {
        return Vec::new();
    };
    let mut arguments: Vec<&str> = Vec::new();
    if updates {
        // A host that drives the update restarts the guest itself, and then looks whether it is well.
        let reboot = if driven { Reboot::Never } else { reboot };
        arguments.extend(["--install", "--reboot", reboot.as_str()]);
    } else if reboot != Reboot::Never {
        arguments.extend(["--reboot", reboot.as_str()]);
    }
    let mut update = Task {
        name: schedule.name.value.clone(),
        description: format!(
            "{}: {}",
            if updates {
                "Updates Windows"
            } else {
                "Tidies Windows"
            },
            schedule.on.as_str()
        ),
        principal: Principal::System,
        start: times,
        limit,
        catches_up: *schedule.persistent,
        needs_network: updates,
        enabled: *schedule.enabled,
        script: if updates {
            "windows-update.nu"
        } else {
            "maintenance.nu"
        },
        arguments: arguments.into_iter().map(str::to_owned).collect(),
    };
    let upgrade = packages.then(|| upgrade(&update, windows));
    if driven {
        update.start = Start::OnDemand;
        update.description = format!(
            "Updates Windows, when the host says so: {}",
            schedule.on.as_str()
        );
        // The host's timer is what is switched off.
        update.enabled = true;
    }
    let span = schedule.name.span;
    let look = (updates && *schedule.enabled)
        .then(|| look(&update, windows))
        .flatten();
    let tasks = [Some(update), upgrade, look].into_iter().flatten();
    tasks.map(|task| Planned { task, span }).collect()
}

/// The triggers of a schedule.
fn times(
    host: &Host,
    id: Id<Guest>,
    windows: &WindowsGuest,
    schedule: &Schedule,
    sink: &mut Sink,
) -> Option<Start> {
    let triggers = Trigger::express(
        schedule.on.expression(),
        Some(windows.timezone.as_str()),
        FROM,
    );
    let triggers = match triggers {
        Ok(triggers) => triggers,
        Err(error) => {
            cannot_express(schedule, &host.guests[id], windows, error, sink);
            return None;
        }
    };
    let delay = match &schedule.random_delay {
        Some(delay) => Some(seconds_of(delay, "random delay", schedule, sink)?),
        None => None,
    };
    Some(Start::Times(triggers, delay.filter(|delay| *delay > 0)))
}

/// A length in whole seconds, rounded up: that of a time limit that is not 0 must not become 0, which is "no limit".
fn seconds_of(
    span: &Spanned<TimeSpan>,
    what: &str,
    schedule: &Schedule,
    sink: &mut Sink,
) -> Option<u64> {
    /// The longest `duration` that is certain to fit: ten years.
    const LONGEST: u64 = 3650 * 86_400;
    let seconds = span.microseconds().div_ceil(1_000_000);
    if span.is_infinite() || seconds > LONGEST {
        sink.push(
            Diagnostic::new(
                Code::MOX0630,
                span.span,
                format!("a Windows task has no {what} of `{}`", span.value),
            )
            .also(schedule.task_span, "runs as such a task")
            .help("ten years at most; leave the key out for none"),
        );
        return None;
    }
    Some(seconds)
}

/// Tells a schedule that is sound, and that the format of a task cannot carry.
fn cannot_express(
    schedule: &Schedule,
    guest: &Guest,
    windows: &WindowsGuest,
    error: CannotExpress,
    sink: &mut Sink,
) {
    let mut diagnostic = Diagnostic::new(
        Code::MOX0630,
        schedule.on.span,
        format!(
            "a task of Windows cannot have the schedule `{}`",
            schedule.on.as_str()
        ),
    )
    .label(error.what.clone())
    .also(
        schedule.task_span,
        format!("runs in `{}`", guest.name.value),
    )
    .note(error.why);
    if error.what.starts_with("the zone") {
        diagnostic = diagnostic.note(format!(
            "`{}` is in the zone `{}`",
            guest.name.value, *windows.timezone
        ));
    }
    sink.push(diagnostic.help(error.help));
}

/// Writes them down, with the script that registers them.
pub(super) fn emit(tasks: &[Planned], span: Span, templates: &Templates, folder: &mut Folder<'_>) {
    for Planned { task, span } in tasks {
        let document = task.document(&folder.header());
        folder.add_bytes(
            &format!("tasks/{}.xml", task.name),
            document.to_utf16(),
            *span,
        );
    }
    let script = RegisterScript {
        header: powershell::comment(&folder.header()),
    };
    let text = templates.render(&script, folder.sink);
    folder.add("tasks/register.ps1", &text, Mode::Regular, span);
}

/// The data of the template of the script that registers the tasks. The script registers what lies beside it, so that a
/// task that the spec no longer has needs no list.
#[derive(Debug, askama::Template, Serialize)]
#[template(path = "windows/register.ps1")]
pub struct RegisterScript {
    /// The line that marks a generated file.
    header: String,
}

impl BuiltIn for RegisterScript {
    const NAME: &'static str = "windows/register.ps1";
}
