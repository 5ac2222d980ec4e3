//! `jobs.cfg`: backups at fixed times.

use std::collections::BTreeSet;
use std::fmt;

use crate::calendar::ProxmoxSchedule;
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, Host, Id, Schedule, VzdumpBackup};
use crate::pve::schema::OptionSchema;
use crate::pve::since::NOTIFICATIONS;
use crate::pve::{PveOption, Release, Section, SectionConfig, SectionFile, check_option};
use crate::source::{Span, Spanned};
use crate::value::{Compress, Line};

use super::options::{report_fault, report_refusal};
use super::storage::prune_backups;

/// Plans the whole file, where there is a job.
pub(super) fn plan(host: &Host, sink: &mut Sink) -> Option<SectionConfig> {
    let mut config = SectionConfig::new(SectionFile::Jobs);
    for schedule in host.schedules.values() {
        if let Some(task) = schedule.backup() {
            let Some(section) = job(host, schedule, task, sink) else {
                continue;
            };
            if let Err(error) = config.push(section) {
                report_refusal(&error, schedule.name.span, sink);
            }
        }
    }
    let empty = config.sections().next().is_none();
    (!empty).then_some(config)
}

/// A job in the making.
struct Job<'a> {
    section: Section,
    release: Release,
    /// What stays out.
    unset: &'a [Spanned<Line>],
    sink: &'a mut Sink,
}

impl Job<'_> {
    fn set(&mut self, key: &str, value: impl fmt::Display, place: Span) {
        if self.unset.iter().any(|option| option.as_str() == key) {
            return;
        }
        let value = value.to_string();
        if let Err(fault) = check_option(self.section.config_file(), self.release, key, &value) {
            report_fault(fault, place, self.sink);
        } else if let Err(error) = self.section.set(key, &value) {
            report_refusal(&error, place, self.sink);
        } else {
            self.section.mark(key, place);
        }
    }
}

impl Job<'_> {
    /// Adds an option by Proxmox VE's own name. The names that keys of moxc's own say are none of them.
    fn option(&mut self, option: &PveOption) {
        let (key, value) = (&option.key.value, &option.value.value);
        let file = self.section.config_file();
        if let Err(fault) = check_option(file, self.release, key, value) {
            let place = option.place(&fault.place);
            return report_fault(fault, place, self.sink);
        }
        let repeats = file.option(key).is_some_and(OptionSchema::is_repeatable);
        let written = if repeats {
            self.section.add(key, value)
        } else {
            self.section.set(key, value)
        };
        match written {
            Ok(()) => self.section.mark(key, option.key.span),
            Err(error) => report_refusal(&error, option.value.span, self.sink),
        }
    }
}

/// Whether options of backups say who is told of the outcome: then nothing is added to them.
pub(super) fn says_who_is_told(options: &[PveOption]) -> bool {
    ["mailto", "mailnotification", "notification-mode"]
        .iter()
        .any(|key| PveOption::find(options, key).is_some())
}

/// The word that `vzdump` takes for a compression.
pub(super) fn compress_word(compress: Compress) -> &'static str {
    match compress {
        Compress::None => "0",
        Compress::Zstd | Compress::Gzip | Compress::Lzo => compress.as_str(),
    }
}

/// How the outcome is told, by release: key, value.
///
/// From 8.1 Proxmox VE's own notifications do it, which reach root's mailbox and from there the address of the
/// installation; `mailto` is deprecated since. Before, the job itself names the address.
pub(super) fn notification(host: &Host) -> Vec<(&'static str, String, Span)> {
    if *host.release >= NOTIFICATIONS {
        return vec![(
            "notification-mode",
            "notification-system".to_owned(),
            host.span,
        )];
    }
    let Some(email) = &host.email else {
        return Vec::new();
    };
    vec![
        ("mailto", email.value.to_string(), email.span),
        ("mailnotification", "always".to_owned(), email.span),
    ]
}

fn job(host: &Host, schedule: &Schedule, task: &VzdumpBackup, sink: &mut Sink) -> Option<Section> {
    // Nothing is wrong with the expression: a limit of this file's format, which other schedules do not have.
    let on = match ProxmoxSchedule::express(schedule.on.expression(), Some(host.timezone.as_str()))
    {
        Ok(on) => on,
        Err(error) => {
            sink.push(
                Diagnostic::new(
                    Code::MOX0720,
                    schedule.on.span,
                    format!("a backup job cannot have {}", error.what),
                )
                .label(error.why)
                .also(schedule.task_span, "runs as a job of Proxmox VE")
                .help(error.help),
            );
            return None;
        }
    };
    let mut section = match Section::new(SectionFile::Jobs, "vzdump", &schedule.name) {
        Ok(section) => section,
        Err(error) => {
            report_refusal(&error, schedule.name.span, sink);
            return None;
        }
    };
    section.mark("", schedule.name.span);
    let mut job = Job {
        section,
        release: *host.release,
        unset: &task.unset,
        sink,
    };
    job.set("schedule", on.as_str(), schedule.on.span);
    job.set(
        "enabled",
        u8::from(*schedule.enabled),
        schedule.enabled.span,
    );
    job.set(
        "repeat-missed",
        u8::from(*schedule.persistent),
        schedule.persistent.span,
    );
    guests_of(&mut job, host, task);
    what_it_makes(&mut job, host, schedule, task);
    if !says_who_is_told(&task.schema) {
        for (key, value, place) in notification(host) {
            job.set(key, value, place);
        }
    }
    for option in &task.schema {
        job.option(option);
    }
    Some(job.section)
}

/// Where the backups go, how they are made, what is kept, and what they are called.
fn what_it_makes(job: &mut Job<'_>, host: &Host, schedule: &Schedule, task: &VzdumpBackup) {
    let VzdumpBackup {
        storage,
        mode,
        compress,
        keep,
        notes,
        guests: _,
        exclude: _,
        schema: _,
        unset: _,
    } = task;
    if let Some(store) = storage.value {
        job.set(
            "storage",
            &host.storage.store(store).name().value,
            storage.span,
        );
    }
    job.set("mode", mode.as_str(), mode.span);
    job.set("compress", compress_word(**compress), compress.span);
    if let Some(keep) = keep {
        match prune_backups(keep) {
            Ok(value) => job.set("prune-backups", value, keep.span),
            Err(error) => report_refusal(&error, keep.span, job.sink),
        }
    }
    match notes {
        Some(notes) => job.set("notes-template", &notes.value, notes.span),
        // Else a backup does not say whose it is once the guest is gone.
        None => job.set("notes-template", "{{guestname}}", schedule.span),
    }
}

fn guests_of(job: &mut Job<'_>, host: &Host, task: &VzdumpBackup) {
    let numbers = |ids: &mut dyn Iterator<Item = Id<Guest>>| {
        let mut numbers: Vec<u32> = ids.map(|id| host.guests[id].vmid.get()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
            .iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    let guests = &task.guests;
    if !guests.all {
        job.set("vmid", numbers(&mut guests.iter()), guests.span);
        return;
    }
    job.set("all", 1, guests.span);
    let held: BTreeSet<Id<Guest>> = guests.iter().collect();
    let left_out = host.guests.iter().map(|(id, _)| id);
    let excluded = numbers(&mut left_out.filter(|id| !held.contains(id)));
    if !excluded.is_empty() {
        job.set("exclude", excluded, guests.span);
    }
}
