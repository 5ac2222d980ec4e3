//! Pools and datasets: snapshots, scrubs, trims.

use super::job::{Access, Job};
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Host, Id, Keep, Pool, ZfsSnapshot};
use crate::source::Spanned;

/// Takes snapshots that bear the schedule's name, and prunes those.
pub(super) fn snapshot(host: &Host, schedule: &str, task: &ZfsSnapshot) -> Job {
    let mut job = Job::new("zfs-snapshot", Access::Zfs).args(["--name", schedule]);
    if *task.recursive {
        job = job.args(["--recursive"]);
    }
    // Without a rule nothing is pruned.
    for (rule, number) in task
        .keep
        .map(|keep| keep.value)
        .filter(|keep| !keep.all)
        .iter()
        .flat_map(Keep::rules)
        .filter(|(_, number)| *number > 0)
    {
        job = job.args(["--keep".to_owned(), format!("{rule}={number}")]);
    }
    job.args(["--"])
        .args(task.datasets.iter().map(|id| host.zfs_name(id.value)))
}

/// Reads every block, and waits for what is found.
pub(super) fn scrub(host: &Host, pools: &[Spanned<Id<Pool>>]) -> Job {
    Job::new("zfs-scrub", Access::Zfs)
        .args(["--wait", "--"])
        .args(names(host, pools))
}

/// Tells flash what is free.
pub(super) fn trim(host: &Host, pools: &[Spanned<Id<Pool>>]) -> Job {
    Job::new("zfs-trim", Access::Zfs)
        .args(["--"])
        .args(names(host, pools))
}

/// Reports MOX0730.
pub(super) fn report_idle_trims(host: &Host, sink: &mut Sink) {
    for schedule in host.schedules.values() {
        let Some(task) = schedule.trim() else {
            continue;
        };
        for id in &task.pools {
            let pool = &host.storage.pools[id.value];
            let mut disks = pool
                .disks
                .iter()
                .map(|disk| &host.hardware.disks[disk.value]);
            // A pool whose disks were reported already has none here.
            if !pool.disks.is_empty() && disks.all(|disk| !disk.kind.is_flash()) {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0730,
                        id.span,
                        format!("no disk of `{}` can be trimmed", pool.name.as_str()),
                    )
                    .also(pool.name.span, "its disks spin")
                    .help("leave this pool out"),
                );
            }
        }
    }
}

fn names(host: &Host, pools: &[Spanned<Id<Pool>>]) -> impl Iterator<Item = String> {
    pools
        .iter()
        .map(|id| host.storage.pools[id.value].name.as_str().to_owned())
}
