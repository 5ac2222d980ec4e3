//! What the host does at set times: one service and one timer a schedule, the tools that they run, and the target that
//! ties them together.
//!
//! Comes in: the schedules of a host on Debian. Goes out: `usr/local/sbin/<tool>` and `etc/systemd/system/moxc-*`. Backups
//! are jobs of Proxmox VE's own scheduler (`jobs.cfg`), a guest's own tasks are in the guest, and a NixOS host has all this
//! in its module.
//!
//! Each task says by a [`Job`] what runs, and which of systemd's locks it can bear; everything else is the same for all.

use crate::diagnostics::Sink;
use crate::facts::Facts;
use crate::facts::tasks::{self, Access, Job, Work};
use crate::model::Schedule;
use crate::origin::Origin;
use crate::output::{FileSet, Mode};
use crate::source::Span;
use crate::tools;
use crate::value::Platform;

use super::system::Tree;
use crate::systemd::Unit;

/// What the host does by itself.
#[derive(Debug)]
pub struct Plan {
    span: Span,
    platform: Platform,
    email: Option<String>,
    tools: bool,
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
    timeout: String,
    span: Span,
}

#[derive(Debug)]
struct Timer {
    on: String,
    random_delay: Option<String>,
    persistent: bool,
}

/// Plans the units.
pub fn plan(facts: &Facts<'_>) -> Plan {
    let host = facts.host;
    Plan {
        span: host.name.span,
        platform: *host.platform,
        email: host.email.as_ref().map(|email| email.value.to_string()),
        tools: *host.tools,
        timed: host
            .schedules
            .iter()
            .flat_map(|(id, schedule)| {
                let work = facts.tasks.of_schedule(id);
                let job = work.job().map(|job| Timed::new(schedule, work, job));
                let look = work.look.as_ref();
                let look = look.map(|job| Timed::look(schedule, work, job));
                [job, look].into_iter().flatten()
            })
            .collect(),
    }
}

impl Timed {
    fn new(schedule: &Schedule, work: &Work<'_>, job: &Job) -> Self {
        Self {
            schedule: schedule.name.value.clone(),
            name: format!("moxc-{}", *schedule.name),
            kind: schedule.task.kind().as_str(),
            job: job.clone(),
            timer: schedule.enabled.then(|| Timer {
                on: schedule.on.for_systemd(),
                random_delay: schedule.random_delay.as_ref().map(|d| d.value.to_string()),
                persistent: *schedule.persistent,
            }),
            timeout: work.time_limit.clone(),
            span: schedule.span,
        }
    }
}

/// Locks a service in as far as its access allows.
fn lock_down(service: &mut Unit, access: Access) {
    for (key, value) in access.locks() {
        service.set(key, value);
    }
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
    if !plan.tools && plan.timed.is_empty() {
        return;
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
    lock_down(&mut unit, Access::Mail);
    add(tree, "moxc-failure@.service", &unit, plan.span);
}

impl Timed {
    /// The daily look that goes with a schedule of updates, and changes nothing.
    fn look(schedule: &Schedule, work: &Work<'_>, job: &Job) -> Self {
        Self {
            name: format!("moxc-{}-check", *schedule.name),
            kind: "what waits",
            timer: schedule.enabled.then(|| Timer {
                on: tasks::LOOK_AT.to_owned(),
                random_delay: Some(tasks::LOOK_DELAY.to_owned()),
                persistent: false,
            }),
            ..Self::new(schedule, work, job)
        }
    }

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
        let mut command = vec![tools::path(job.tool), "--yes".to_owned()];
        command.extend_from_slice(&job.arguments);
        service
            .section("Service")
            .set("Type", "oneshot")
            .command("ExecStart", &command)
            .set("TimeoutStartSec", &self.timeout)
            .set("Nice", 10)
            .set("IOSchedulingClass", "best-effort")
            .set("IOSchedulingPriority", 7);
        lock_down(&mut service, job.access);
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
