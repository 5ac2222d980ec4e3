//! What the host does at set times: one service and one timer a schedule, the tools that they run, and the target that
//! ties them together.
//!
//! Comes in: the schedules of a host on Debian. Goes out: `usr/local/sbin/<tool>` and `etc/systemd/system/moxc-*`. Backups
//! are jobs of Proxmox VE's own scheduler (`jobs.cfg`), a guest's own tasks are in the guest, and a NixOS host has all this
//! in its module.
//!
//! Each task says by a [`Job`] what runs, and which of systemd's locks it can bear; everything else is the same for all.

mod disks;
mod guests;
mod host_system;
mod job;
mod windows;
mod zfs;

use crate::calendar::Calendar;
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Host, Schedule, Task};
use crate::origin::Origin;
use crate::output::{FileSet, Mode};
use crate::source::Span;
use crate::tools;
use crate::value::Platform;

use super::system::Tree;
use crate::systemd::Unit;
use job::Job;

/// What the host does by itself.
#[derive(Debug)]
pub struct Plan {
    span: Span,
    platform: Platform,
    email: Option<String>,
    timed: Vec<Timed>,
}

/// A job with its times.
#[derive(Debug)]
struct Timed {
    schedule: String,
    /// Of the units.
    name: String,
    kind: &'static str,
    job: Job,
    /// None where the schedule is switched off: its service can be started by hand.
    timer: Option<Timer>,
    timeout: Option<String>,
    span: Span,
}

#[derive(Debug)]
struct Timer {
    on: String,
    random_delay: Option<String>,
    persistent: bool,
}

/// Plans the units. Reports MOX0730 and MOX0731.
pub fn plan(host: &Host, sink: &mut Sink) -> Plan {
    zfs::report_idle_trims(host, sink);
    let plan = planned(host);
    let first = plan.timed.iter().find(|timed| timed.timer.is_some());
    if let (None, Some(first)) = (&plan.email, first) {
        sink.push(
            Diagnostic::new(
                Code::MOX0731,
                first.span,
                format!("nobody is told when `{}` fails", first.schedule),
            )
            .also(host.name.span, "this host has no `email`")
            .help("add `email = \"…\"` to `[host]`: what fails is then mailed there"),
        );
    }
    plan
}

fn planned(host: &Host) -> Plan {
    Plan {
        span: host.name.span,
        platform: *host.platform,
        email: host.email.as_ref().map(|email| email.value.to_string()),
        timed: host
            .schedules
            .values()
            .filter_map(|schedule| Some(Timed::new(schedule, job(host, schedule)?)))
            .collect(),
    }
}

/// The words behind a schedule's tool: for a host that starts its tools in another way.
pub(in crate::targets) fn arguments(host: &Host, schedule: &Schedule) -> Option<Vec<String>> {
    job(host, schedule).map(Job::into_arguments)
}

/// What runs on the host for a schedule; nothing where Proxmox VE or a guest does it.
fn job(host: &Host, schedule: &Schedule) -> Option<Job> {
    Some(match &schedule.task {
        Task::ProxmoxUpdate(task) => host_system::update(*task.reboot),
        Task::ProxmoxMaintenance => host_system::maintenance(),
        Task::ZfsSnapshot(task) => zfs::snapshot(host, &schedule.name, task),
        Task::ZfsScrub(task) => zfs::scrub(host, &task.pools),
        Task::ZfsTrim(task) => zfs::trim(host, &task.pools),
        Task::SmartTest(task) => disks::smart_test(host, task),
        Task::BackupRehearsal(task) => guests::rehearsal(host, task),
        Task::WindowsUpdate(task) if *task.snapshot => windows::update(host, schedule, task)?,
        // A job of Proxmox VE's own scheduler.
        Task::VzdumpBackup(_)
        // A guest's own timer or scheduled task.
        | Task::NixosFlakeUpdate(_)
        | Task::WindowsUpdate(_)
        | Task::WindowsMaintenance(_) => return None,
    })
}

impl Timed {
    fn new(schedule: &Schedule, job: Job) -> Self {
        Self {
            schedule: schedule.name.value.clone(),
            name: format!("moxc-{}", *schedule.name),
            kind: schedule.task.kind().as_str(),
            job,
            timer: schedule.enabled.then(|| Timer {
                on: on_calendar(schedule),
                random_delay: schedule.random_delay.as_ref().map(|d| d.value.to_string()),
                persistent: *schedule.persistent,
            }),
            // The tool that updates Windows keeps the time itself, guest by guest: systemd would end it on its way back.
            timeout: schedule
                .timeout
                .as_ref()
                .filter(|_| !matches!(schedule.task, Task::WindowsUpdate(_)))
                .map(|t| t.value.to_string()),
            span: schedule.span,
        }
    }
}

/// A schedule's time as systemd runs it: as written, but for steps without an end, in which systemd gets stuck
/// ([`with_ends`](crate::calendar::Expression::with_ends)).
pub(in crate::targets) fn on_calendar(schedule: &Schedule) -> String {
    for_systemd(&schedule.on)
}

/// A time as systemd runs it, as [`on_calendar`] says.
pub(in crate::targets) fn for_systemd(on: &Calendar) -> String {
    on.expression()
        .with_ends()
        .map_or_else(|| on.as_str().to_owned(), |ended| ended.to_string())
}

/// Writes units and tools down. Reports two files of one name.
pub fn emit(plan: &Plan, origin: &Origin, files: &mut FileSet, sink: &mut Sink) {
    let mut tree = Tree {
        origin,
        files,
        sink,
    };
    match plan.platform {
        Platform::Proxmox => {}
        Platform::Nixos => return,
    }
    for tool in tools::ALL {
        let text = tool.script(&tree.header());
        let path = format!("usr/local/sbin/{}", tool.name);
        tree.add(&path, &text, Mode::Executable, plan.span);
    }
    if plan.timed.is_empty() {
        return;
    }
    for timed in &plan.timed {
        timed.emit(&mut tree);
    }
    failure(plan, &mut tree);
    let mut target = Unit::new(&tree.header());
    target
        .section("Unit")
        .value("Description", "What moxc does by itself on this host");
    target
        .section("Install")
        .set("WantedBy", "multi-user.target");
    add(&mut tree, "moxc.target", &target, plan.span);
}

fn add(tree: &mut Tree<'_>, name: &str, unit: &Unit, span: Span) {
    let path = format!("etc/systemd/system/{name}");
    tree.add(&path, unit.text(), Mode::Regular, span);
}

/// What runs where a job has failed. It names no unit for its own failure, so that nothing goes round in circles.
fn failure(plan: &Plan, tree: &mut Tree<'_>) {
    let mut command = vec![tools::path("moxc-notify"), "--yes".to_owned()];
    if let Some(email) = &plan.email {
        command.extend(["--to".to_owned(), email.clone()]);
    }
    let mut unit = Unit::new(&tree.header());
    unit.section("Unit")
        .set("Description", "Tell that %i has failed")
        .set("After", "postfix.service");
    unit.section("Service").set("Type", "oneshot");
    unit.command_with("ExecStart", &command, "%i")
        .set("TimeoutStartSec", "5min")
        .set("Nice", 10);
    job::lock_down(&mut unit, job::Access::Mail);
    add(tree, "moxc-failure@.service", &unit, plan.span);
}

impl Timed {
    fn emit(&self, tree: &mut Tree<'_>) {
        let Self { name, job, .. } = self;
        let mut service = Unit::new(&tree.header());
        service
            .section("Unit")
            .value(
                "Description",
                &format!("The schedule {} ({})", self.schedule, self.kind),
            )
            .set("OnFailure", "moxc-failure@%n.service");
        for (key, value) in job.access.needs() {
            service.set(key, value);
        }
        service
            .section("Service")
            .set("Type", "oneshot")
            .command("ExecStart", &job.command);
        if let Some(timeout) = &self.timeout {
            service.set("TimeoutStartSec", timeout);
        }
        service
            .set("Nice", 10)
            .set("IOSchedulingClass", "best-effort")
            .set("IOSchedulingPriority", 7);
        job::lock_down(&mut service, job.access);
        add(tree, &format!("{name}.service"), &service, self.span);

        let Some(timer) = &self.timer else { return };
        let mut file = Unit::new(&tree.header());
        file.section("Unit")
            .value(
                "Description",
                &format!("When the schedule {} runs", self.schedule),
            )
            .set("PartOf", "moxc.target");
        file.section("Timer").set("OnCalendar", &timer.on);
        if let Some(delay) = &timer.random_delay {
            file.set("RandomizedDelaySec", delay);
        }
        if timer.persistent {
            file.set("Persistent", "true");
        }
        file.section("Install").set("WantedBy", "moxc.target");
        add(tree, &format!("{name}.timer"), &file, self.span);
    }
}
