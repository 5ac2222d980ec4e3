use std::collections::BTreeSet;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{
    Arena, BackupRehearsal, Guest, GuestKind, Host, Id, Keep, NixosFlakeUpdate, ProxmoxUpdate,
    Schedule, Setting, SmartTest, Storage, StoreRef, Task, TaskGuests, VzdumpBackup,
    WindowsMaintenance, WindowsUpdate, ZfsScrub, ZfsSnapshot, ZfsTrim,
};
use crate::pve::{ConfigFile, PveOption};
use crate::source::{Span, Spanned};
use crate::spec::HostFile;
use crate::spec::reader::{List, Reference};
use crate::spec::schedule::{GuestList, ScheduleSpec};
use crate::value::{BackupMode, Compress, DatasetUse, Reboot, SmartKind, TaskKind};

use super::{Index, choice, list, storage};

pub(super) fn resolve(
    file: &HostFile,
    host: &Host,
    index: &Index<'_>,
    sink: &mut Sink,
) -> Arena<Schedule> {
    let mut resolver = Resolver { host, index, sink };
    let rows = file.schedules.iter().flat_map(|table| &table.rows);
    Arena::new(
        rows.filter_map(|row| resolver.schedule(&row.key, row.body()?))
            .collect(),
    )
}

struct Resolver<'a> {
    host: &'a Host,
    index: &'a Index<'a>,
    sink: &'a mut Sink,
}

/// A key of one task: whether it stands in the spec, which tasks need it, and which know it.
type TaskKey = (
    &'static str,
    Option<Span>,
    &'static [TaskKind],
    &'static [TaskKind],
);

impl Resolver<'_> {
    fn schedule(&mut self, name: &Spanned<String>, body: &ScheduleSpec) -> Option<Schedule> {
        let Some(kind) = body.task.map(|task| task.map(|task| task.0)) else {
            // What the names stand for can be told without the task.
            self.look_up(body);
            return None;
        };
        self.check_keys(kind, body);
        self.empty_lists(body);
        let task = self.task(kind.value, body)?;
        Some(Schedule {
            name: name.clone(),
            span: body.span,
            on: Setting::or_missing(
                body.on.clone(),
                "daily".parse().expect("a calendar expression"),
                body.span,
            ),
            random_delay: body.random_delay.clone(),
            persistent: Setting::or_default(body.persistent, true, body.span),
            timeout: body.timeout.clone(),
            enabled: Setting::or_default(body.enabled, true, body.span),
            task,
            task_span: kind.span,
        })
    }

    /// Reports unknown names of a schedule whose task is unknown.
    fn look_up(&mut self, body: &ScheduleSpec) {
        let index = self.index;
        if let Some(GuestList::Names(names)) = body.guests.as_ref().map(|guests| &guests.value) {
            index.guests.find_all(names, self.sink);
        }
        index.guests.find_all(
            references(body.exclude.as_ref()).chain(&body.guest),
            self.sink,
        );
        index
            .datasets
            .find_all(references(body.datasets.as_ref()), self.sink);
        index
            .pools
            .find_all(references(body.pools.as_ref()), self.sink);
        index
            .disks
            .find_all(references(body.disks.as_ref()), self.sink);
        self.storage(body);
    }

    /// A list that names nothing: the schedule would run, and do nothing.
    fn empty_lists(&mut self, body: &ScheduleSpec) {
        let names = body.guests.as_ref().and_then(|guests| match &guests.value {
            GuestList::Names(names) => Some(("guests", guests.span, names.is_empty())),
            GuestList::All => None,
        });
        let lists = [
            ("datasets", &body.datasets),
            ("pools", &body.pools),
            ("disks", &body.disks),
        ];
        let lists = lists.into_iter().filter_map(|(key, list)| {
            let list = list.as_ref()?;
            Some((key, list.span, list.value.is_empty()))
        });
        for (key, place, is_empty) in lists.chain(names) {
            // An item that was not understood has been told, and names something.
            if is_empty && !body.misread.contains(&key) {
                self.sink.push(
                    Diagnostic::new(Code::MOX0021, place, "the list is empty")
                        .help("name at least one"),
                );
            }
        }
    }

    fn check_keys(&mut self, kind: Spanned<TaskKind>, body: &ScheduleSpec) {
        for (key, present, needed_by, known_to) in keys(body) {
            match present {
                None if needed_by.contains(&kind.value) && !body.misread.contains(&key) => {
                    self.sink.push(
                        Diagnostic::new(
                            Code::MOX0004,
                            body.span,
                            format!("the key `{key}` is missing"),
                        )
                        .label("in this table")
                        .also(kind.span, format!("the task `{}` needs it", kind.value)),
                    );
                }
                Some(span) if !known_to.contains(&kind.value) => {
                    let tasks = known_to
                        .iter()
                        .map(|task| format!("`{task}`"))
                        .collect::<Vec<_>>()
                        .join(", ");
                    self.sink.push(
                        Diagnostic::new(
                            Code::MOX0016,
                            span,
                            format!("the task `{}` has no `{key}`", kind.value),
                        )
                        .also(kind.span, "the task")
                        .help(format!("`{key}` goes with {tasks}")),
                    );
                }
                Some(_) | None => {}
            }
        }
        if kind.value != TaskKind::VzdumpBackup {
            self.check_options(kind, body);
        }
        if let (Some(exclude), Some(guests)) = (
            &body.exclude,
            body.guests
                .as_ref()
                .filter(|g| matches!(g.value, GuestList::Names(_))),
        ) {
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    exclude.span,
                    "`exclude` beside a list of guests",
                )
                .also(guests.span, "only these are backed up")
                .help("remove one of the two: `exclude` goes with `guests = \"all\"`"),
            );
        }
    }

    /// No other task has options of Proxmox VE's backup jobs.
    fn check_options(&mut self, kind: Spanned<TaskKind>, body: &ScheduleSpec) {
        for option in body.schema.iter() {
            let key = &option.key;
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    key.span,
                    format!("the task `{}` has no `{}`", kind.value, key.value),
                )
                .also(kind.span, "the task")
                .help("an option of Proxmox VE's backup jobs goes with `vzdump-backup`"),
            );
        }
    }

    fn task(&mut self, kind: TaskKind, body: &ScheduleSpec) -> Option<Task> {
        let reboot = choice(body.reboot, Reboot::Never, body.span);
        let is_windows = |guest: &Guest| guest.os().is_windows();
        Some(match kind {
            TaskKind::ProxmoxUpdate => Task::ProxmoxUpdate(ProxmoxUpdate { reboot }),
            TaskKind::ProxmoxMaintenance => Task::ProxmoxMaintenance,
            TaskKind::VzdumpBackup => Task::VzdumpBackup(self.backup(body)),
            TaskKind::BackupRehearsal => Task::BackupRehearsal(BackupRehearsal {
                guest: self.index.guests.find(body.guest.as_ref()?, self.sink)?,
                storage: self.storage(body),
            }),
            TaskKind::ZfsSnapshot => Task::ZfsSnapshot(ZfsSnapshot {
                datasets: self
                    .index
                    .datasets
                    .find_all(references(body.datasets.as_ref()), self.sink),
                keep: self.keep(body),
                recursive: Setting::or_default(body.recursive, true, body.span),
            }),
            TaskKind::ZfsScrub => Task::ZfsScrub(ZfsScrub {
                pools: self.pools(body, false),
            }),
            TaskKind::ZfsTrim => Task::ZfsTrim(ZfsTrim {
                pools: self.pools(body, true),
            }),
            TaskKind::SmartTest => Task::SmartTest(SmartTest {
                disks: self.disks(body),
                kind: choice(body.kind, SmartKind::Short, body.span),
            }),
            TaskKind::NixosFlakeUpdate => Task::NixosFlakeUpdate(NixosFlakeUpdate {
                guests: self.guests(body, |guest| guest.os().is_nixos(), "a NixOS guest"),
                flake: body.flake.clone(),
                update_inputs: Setting::or_default(body.update_inputs, true, body.span),
                rollback: Setting::or_default(body.rollback, true, body.span),
                health: list(body.health.as_ref()),
                reboot,
            }),
            TaskKind::WindowsUpdate => {
                let snapshot = body.snapshot.is_some_and(|snapshot| snapshot.value);
                if let Some(rollback) = body.rollback.filter(|r| r.value && !snapshot) {
                    self.sink.push(
                        Diagnostic::new(
                            Code::MOX0016,
                            rollback.span,
                            "`rollback` without a snapshot to go back to",
                        )
                        .help("write `snapshot = true` beside it"),
                    );
                }
                Task::WindowsUpdate(WindowsUpdate {
                    guests: self.guests(body, is_windows, "a Windows guest"),
                    reboot,
                    snapshot: Setting::or_default(body.snapshot, false, body.span),
                    rollback: Setting::or_default(body.rollback, false, body.span),
                })
            }
            TaskKind::WindowsMaintenance => Task::WindowsMaintenance(WindowsMaintenance {
                guests: self.guests(body, is_windows, "a Windows guest"),
                reboot,
            }),
        })
    }

    fn backup(&mut self, body: &ScheduleSpec) -> VzdumpBackup {
        let mut guests = self.guests(body, |_| true, "a guest");
        let exclude = self
            .index
            .guests
            .find_all(body.exclude.iter().flat_map(|e| &e.value), self.sink);
        // Who is named is backed up, whatever its table says: the analysis tells of the two.
        if guests.value.all {
            let excluded: BTreeSet<Id<Guest>> = exclude.iter().map(|guest| guest.value).collect();
            let every = &self.host.guests;
            guests
                .value
                .ids
                .retain(|id| *every[id.value].backup && !excluded.contains(&id.value));
        }
        find_stores(&body.schema, &self.host.storage, self.index, self.sink);
        for key in ["dumpdir", "stdout"] {
            if let Some(option) = PveOption::find(&body.schema, key) {
                self.elsewhere(option, body);
            }
        }
        let keep = self.keep(body);
        let words = [
            ("schedule", body.on.as_ref().map(|on| on.span)),
            ("enabled", body.enabled.map(|enabled| enabled.span)),
            (
                "repeat-missed",
                body.persistent.map(|persistent| persistent.span),
            ),
            ("vmid", body.guests.as_ref().map(|guests| guests.span)),
            ("exclude", body.exclude.as_ref().map(|exclude| exclude.span)),
            ("storage", body.storage.as_ref().map(|storage| storage.span)),
            ("mode", body.mode.map(|mode| mode.span)),
            ("compress", body.compress.map(|compress| compress.span)),
            ("prune-backups", body.keep.as_ref().map(|keep| keep.span)),
            (
                "notes-template",
                body.notes.as_ref().map(|notes| notes.span),
            ),
        ];
        let unset = super::unset(
            body.unset.as_ref(),
            (&words, &body.schema),
            ConfigFile::Job("vzdump"),
            self.sink,
        );
        let host = self.host;
        let left_out = || {
            host.guests
                .iter()
                .any(|(id, _)| !guests.iter().any(|g| g == id))
        };
        for option in &unset {
            let why = match option.as_str() {
                "all" if guests.all => "the job is about all guests: without it it names none",
                "exclude" if guests.all && body.exclude.is_none() && left_out() => {
                    "the job leaves out guests by it: without it they are backed up"
                }
                _ => continue,
            };
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    option.span,
                    format!("`{}` cannot stay out of this job", option.value),
                )
                .label(why)
                .help("remove it from `unset`; `guests` and `exclude` say whom the job is about"),
            );
        }
        VzdumpBackup {
            guests,
            exclude,
            storage: self.storage(body),
            mode: choice(body.mode, BackupMode::Snapshot, body.span),
            compress: choice(body.compress, Compress::Zstd, body.span),
            keep,
            notes: body.notes.clone(),
            schema: body.schema.to_vec(),
            unset,
        }
    }

    fn keep(&mut self, body: &ScheduleSpec) -> Option<Spanned<Keep>> {
        body.keep
            .as_ref()
            .map(|keep| Spanned::new(storage::keep(&keep.value, self.sink), keep.span))
    }

    /// The disks of a task: those named, or all.
    fn disks(&mut self, body: &ScheduleSpec) -> Vec<Spanned<Id<crate::model::Disk>>> {
        let written = self
            .index
            .disks
            .find_all(references(body.disks.as_ref()), self.sink);
        if body.disks.is_some() {
            return written;
        }
        let every = self.host.hardware.disks.iter();
        every.map(|(id, _)| Spanned::new(id, body.span)).collect()
    }

    /// The pools of a task: those named, or all; for a trim all of flash.
    fn pools(
        &mut self,
        body: &ScheduleSpec,
        flash_only: bool,
    ) -> Vec<Spanned<Id<crate::model::Pool>>> {
        let written = self
            .index
            .pools
            .find_all(references(body.pools.as_ref()), self.sink);
        if body.pools.is_some() {
            return written;
        }
        let flash = |pool: &crate::model::Pool| {
            pool.disks
                .iter()
                .any(|disk| self.host.hardware.disks[disk.value].kind.is_flash())
        };
        self.host
            .storage
            .pools
            .iter()
            .filter(|(_, pool)| !flash_only || flash(pool))
            .map(|(id, _)| Spanned::new(id, body.span))
            .collect()
    }

    /// The guests of a task, all fitting ones where the spec leaves them out. Reports those that do not fit.
    fn guests(
        &mut self,
        body: &ScheduleSpec,
        fits: impl Fn(&Guest) -> bool,
        what: &str,
    ) -> Setting<TaskGuests> {
        let every = |place: Span| {
            let fitting = self.host.guests.iter().filter(|(_, guest)| fits(guest));
            TaskGuests {
                all: true,
                ids: fitting.map(|(id, _)| Spanned::new(id, place)).collect(),
            }
        };
        let (names, span) = match &body.guests {
            None => return Setting::default(every(body.span), body.span),
            Some(written) => match &written.value {
                GuestList::All => return Setting::written(every(written.span), written.span),
                GuestList::Names(names) => (names, written.span),
            },
        };
        let mut ids = self.index.guests.find_all(names, self.sink);
        ids.retain(|id| {
            let guest = &self.host.guests[id.value];
            if fits(guest) {
                return true;
            }
            let (os_span, is_known) = match &guest.kind {
                GuestKind::Vm(vm) => (vm.os.span, !vm.os.is_missing()),
                GuestKind::Container(container) => (container.os.span, !container.os.is_missing()),
            };
            // One that was not understood has been told.
            if !is_known {
                return false;
            }
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0110,
                    id.span,
                    format!("`{}` is not {what}", guest.name.value),
                )
                .also(os_span, format!("it runs `{}`", guest.os().as_str()))
                .help("remove it from the list"),
            );
            false
        });
        Setting::written(TaskGuests { all: false, ids }, span)
    }

    /// A job has one place for its backups: `vzdump` refuses to run with two (`PVE::VZDump::new`).
    fn elsewhere(&mut self, option: &PveOption, body: &ScheduleSpec) {
        let Some(storage) = &body.storage else { return };
        let key = &option.key.value;
        let message = format!("`{key}` beside `storage`");
        self.sink.push(
            Diagnostic::new(Code::MOX0016, option.key.span, message)
                .also(storage.span, "where its backups go")
                .note(format!("each run of the job fails: \"cannot use options 'storage' and '{key}' at the same time\""))
                .help("leave it out: a folder is a store too, of the kind `dir`"),
        );
    }

    /// The store that backups go to or come from.
    fn storage(&mut self, body: &ScheduleSpec) -> Setting<Option<StoreRef>> {
        let Some(written) = &body.storage else {
            return Setting {
                value: None,
                span: body.span,
                given: crate::model::Given::Missing,
            };
        };
        let name = &written.value.0;
        let store = self
            .index
            .store_or_report(written, self.sink)
            .map(|store| store.value);
        if let Some(store) = store {
            let item = self.host.storage.store(store);
            if let (false, Some(found)) = (item.is_for(DatasetUse::Backups), item.uses().first()) {
                self.sink.push(
                    Diagnostic::new(
                        Code::MOX0110,
                        written.span,
                        format!("`{name}` is not for backups"),
                    )
                    .also(found.span, format!("it is for `{}`", found.value))
                    .help("name a store with `use = \"backups\"`, or add that use to this one"),
                );
            }
        }
        Setting::written(store, written.span)
    }
}

/// Looks up the stores that options of backups name: `storage` itself, and that of `fleecing`.
pub(super) fn find_stores(
    options: &[PveOption],
    storage: &Storage,
    index: &Index<'_>,
    sink: &mut Sink,
) {
    for option in options {
        if option.key.value == "storage" {
            index.store_or_report(&option.value.clone().map(Reference), sink);
        }
        if option.key.value == "fleecing" {
            // What is no property string is told where the option is written.
            for (key, value) in option.parts().unwrap_or_default() {
                if key.as_deref() != Some("storage") {
                    continue;
                }
                let name = value.clone().map(Reference);
                let Some(store) = index.store_or_report(&name, sink) else {
                    continue;
                };
                let store = storage.store(store.value);
                if let (false, Some(found)) =
                    (store.is_for(DatasetUse::VmDisks), store.uses().first())
                {
                    let message = format!("`{}` is not for images of disks", value.value);
                    sink.push(
                        Diagnostic::new(Code::MOX0110, value.span, message)
                            .also(found.span, format!("it is for `{}`", found.value))
                            .note("what a guest overwrites while it is backed up is kept in an image")
                            .help("name a store with `use = \"vm-disks\"`, or add that use to this one"),
                    );
                }
            }
        }
    }
}

fn references(
    written: Option<&Spanned<List<Reference>>>,
) -> impl Iterator<Item = &Spanned<Reference>> {
    written.into_iter().flat_map(|list| &list.value)
}

/// Where a key stands.
fn place<T>(key: Option<&Spanned<T>>) -> Option<Span> {
    key.map(|key| key.span)
}

/// The keys that not every task has, where they stand, which tasks need them and which know them.
fn keys(body: &ScheduleSpec) -> [TaskKey; 20] {
    use TaskKind::{
        BackupRehearsal, NixosFlakeUpdate, ProxmoxUpdate, SmartTest, VzdumpBackup,
        WindowsMaintenance, WindowsUpdate, ZfsScrub, ZfsSnapshot, ZfsTrim,
    };
    [
        (
            "guests",
            place(body.guests.as_ref()),
            &[],
            &[
                VzdumpBackup,
                NixosFlakeUpdate,
                WindowsUpdate,
                WindowsMaintenance,
            ],
        ),
        (
            "reboot",
            place(body.reboot.as_ref()),
            &[],
            &[
                ProxmoxUpdate,
                NixosFlakeUpdate,
                WindowsUpdate,
                WindowsMaintenance,
            ],
        ),
        (
            "storage",
            place(body.storage.as_ref()),
            &[VzdumpBackup, BackupRehearsal],
            &[VzdumpBackup, BackupRehearsal],
        ),
        ("mode", place(body.mode.as_ref()), &[], &[VzdumpBackup]),
        (
            "compress",
            place(body.compress.as_ref()),
            &[],
            &[VzdumpBackup],
        ),
        (
            "keep",
            place(body.keep.as_ref()),
            &[],
            &[VzdumpBackup, ZfsSnapshot],
        ),
        ("notes", place(body.notes.as_ref()), &[], &[VzdumpBackup]),
        ("unset", place(body.unset.as_ref()), &[], &[VzdumpBackup]),
        (
            "exclude",
            place(body.exclude.as_ref()),
            &[],
            &[VzdumpBackup],
        ),
        (
            "guest",
            place(body.guest.as_ref()),
            &[BackupRehearsal],
            &[BackupRehearsal],
        ),
        (
            "datasets",
            place(body.datasets.as_ref()),
            &[ZfsSnapshot],
            &[ZfsSnapshot],
        ),
        (
            "recursive",
            place(body.recursive.as_ref()),
            &[],
            &[ZfsSnapshot],
        ),
        (
            "pools",
            place(body.pools.as_ref()),
            &[],
            &[ZfsScrub, ZfsTrim],
        ),
        ("disks", place(body.disks.as_ref()), &[], &[SmartTest]),
        ("kind", place(body.kind.as_ref()), &[], &[SmartTest]),
        (
            "flake",
            place(body.flake.as_ref()),
            &[],
            &[NixosFlakeUpdate],
        ),
        (
            "update-inputs",
            place(body.update_inputs.as_ref()),
            &[],
            &[NixosFlakeUpdate],
        ),
        (
            "rollback",
            place(body.rollback.as_ref()),
            &[],
            &[NixosFlakeUpdate, WindowsUpdate],
        ),
        (
            "snapshot",
            place(body.snapshot.as_ref()),
            &[],
            &[WindowsUpdate],
        ),
        (
            "health",
            place(body.health.as_ref()),
            &[],
            &[NixosFlakeUpdate],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use crate::compile::Compiled;
    use crate::diagnostics::Lints;

    /// What is told of a schedule with these keys, on a host with two guests of which one wants no backup.
    fn told(keys: &str) -> Vec<String> {
        let guest = |name: &str, vmid: u32, more: &str| {
            format!(
                "[vms.{name}]\nos = \"linux\"\nvmid = {vmid}\nmemory = \"1 GiB\"\ninstalled = true\n{more}"
            )
        };
        let text = format!(
            "[host]\nname = \"pve1\"\nrelease = \"9.1\"\ntimezone = \"UTC\"\n{}{}[schedules.s]\non = \"01:00\"\n{keys}\n",
            guest("a", 100, ""),
            guest("b", 101, "backup = false\n")
        );
        let diagnostics = Compiled::of("host.toml", &text)
            .sink
            .finish(&Lints::default(), false);
        diagnostics.into_iter().map(|(_, it)| it.message).collect()
    }

    #[test]
    fn whom_a_job_is_about_does_not_stay_out() {
        let job = "task = \"vzdump-backup\"\nstorage = \"local\"\nkeep = { last = 2 }\n";
        let refused = |keys: &str, option: &str| {
            let message = format!("`{option}` cannot stay out of this job");
            told(&format!("{job}{keys}")).contains(&message)
        };
        assert!(refused("unset = [\"all\"]", "all"));
        assert!(refused("unset = [\"exclude\"]", "exclude"));
        assert!(!refused("guests = [\"a\"]\nunset = [\"all\"]", "all"));
        assert!(!refused(
            "guests = [\"a\"]\nunset = [\"exclude\"]",
            "exclude"
        ));
    }

    #[test]
    fn a_list_of_what_was_not_understood_is_not_empty() {
        let empty = "the list is empty".to_owned();
        let snapshots = "task = \"zfs-snapshot\"\nkeep = { last = 2 }\ndatasets = ";
        assert!(told(&format!("{snapshots}[]")).contains(&empty));
        assert!(!told(&format!("{snapshots}[5]")).contains(&empty));
        let update = "task = \"nixos-flake-update\"\nguests = ";
        assert!(told(&format!("{update}[]")).contains(&empty));
        assert!(!told(&format!("{update}[100]")).contains(&empty));
    }
}
