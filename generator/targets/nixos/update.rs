//! Updates from a flake.

use crate::facts::Facts;
use crate::facts::tasks::Work;
use crate::model::{Guest, Host, Id, Schedule};
use crate::nix::{Attrs, BuildError, Origin, at, mk_default};

/// Sets the schedules that update a guest. Says whether there are any.
pub(super) fn guest(
    known: &Facts<'_>,
    id: Id<Guest>,
    guest: &Guest,
    facts: &mut Attrs,
) -> Result<bool, BuildError> {
    let mut found = false;
    for (of, schedule) in known.host.schedules.iter() {
        let Some(task) = schedule.nixos_update() else {
            continue;
        };
        if !task.guests.iter().any(|other| other == id) {
            continue;
        }
        found = true;
        let mut update = timing(schedule, known.tasks.of_schedule(of))?;
        if let Some(flake) = &task.flake {
            update.set("flake", mk_default(flake.value.0.as_str()))?;
        }
        if !*task.update_inputs {
            update.set("updateInputs", mk_default(false))?;
        }
        update.set("attribute", mk_default(guest.name.as_str()))?;
        update.set("rollback", mk_default(*task.rollback))?;
        if !task.health.is_empty() {
            let units: Vec<&str> = task
                .health
                .iter()
                .map(|unit| unit.value.0.as_str())
                .collect();
            update.set("health", units)?;
        }
        update.set("reboot", mk_default(task.reboot.as_str()))?;
        let name = schedule.name.as_str();
        facts.set(
            ["services", "moxc", "update", "schedules", name],
            at(Origin::Spec(schedule.name.span), update),
        )?;
    }
    Ok(found)
}

/// Whom a machine tells what fails.
pub(super) fn notify(host: &Host, facts: &mut Attrs) -> Result<(), BuildError> {
    let Some(email) = &host.email else {
        return Ok(());
    };
    facts.set(
        "services.moxc.notify.email",
        mk_default(email.value.to_string()),
    )
}

/// What every schedule says about its timer.
pub(super) fn timing(schedule: &Schedule, work: &Work<'_>) -> Result<Attrs, BuildError> {
    let mut timing = Attrs::new();
    if !*schedule.enabled {
        timing.set("enable", mk_default(false))?;
    }
    timing.set("onCalendar", mk_default(schedule.on.for_systemd()))?;
    if let Some(delay) = &schedule.random_delay {
        timing.set("randomizedDelay", mk_default(delay.value.to_string()))?;
    }
    if !*schedule.persistent {
        timing.set("persistent", mk_default(false))?;
    }
    timing.set("timeout", mk_default(work.time_limit.as_str()))?;
    Ok(timing)
}
