//! Pools and datasets: snapshots, scrubs, trims.

use super::job::{Access, Job};
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

fn names(host: &Host, pools: &[Spanned<Id<Pool>>]) -> impl Iterator<Item = String> {
    pools
        .iter()
        .map(|id| host.storage.pools[id.value].name.as_str().to_owned())
}
