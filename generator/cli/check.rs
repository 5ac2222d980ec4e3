use super::args::Check;
use super::load::{self, Loaded, Unit, is_standard_input};
use super::terminal::Terminal;
use super::{Failure, Status, fix};
use crate::model::GuestKind;

pub(super) fn run(args: &Check, terminal: &mut Terminal) -> Result<Status, Failure> {
    if args.fix && args.specs.specs.iter().any(|path| is_standard_input(path)) {
        return Err(Failure::new(
            "`--fix` cannot write to standard input: name the file",
        ));
    }
    let mut loaded = load::load(&args.specs)?;
    if args.fix && fix::apply(&loaded, terminal)? {
        loaded = load::load(&args.specs)?;
    }
    terminal.diagnostics(&loaded.sources, &loaded.found);
    if loaded.has_errors() {
        return Ok(Status::Faulty);
    }
    for unit in &loaded.units {
        summarize(&loaded, unit, terminal);
    }
    Ok(Status::Fine)
}

fn summarize(loaded: &Loaded, unit: &Unit, terminal: &mut Terminal) {
    let host = &unit.checked.host;
    let spec = loaded.sources.map().file(unit.file).name();
    let count =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    terminal.summary(&format!(
        "{spec}: no errors; `{}` has {} and {}\n",
        host.name.as_str(),
        count(host.guests.len(), "guest"),
        count(host.schedules.len(), "schedule"),
    ));
    for guest in host.guests.values() {
        let kind = match guest.kind {
            GuestKind::Vm(_) => "virtual machine",
            GuestKind::Container(_) => "container",
        };
        terminal.detail(format_args!(
            "  {} {} ({kind}, {})\n",
            guest.vmid.value, guest.name.value, guest.memory.value
        ));
    }
    for schedule in host.schedules.values() {
        terminal.detail(format_args!(
            "  {}: {} at {}\n",
            schedule.name.value,
            schedule.task.kind(),
            schedule.on.value
        ));
    }
}
