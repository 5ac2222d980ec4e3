//! Pools and datasets: snapshots, scrubs, trims.

use jiff::SignedDuration;

use super::job::{Access, Job};
use super::kind::{About, Kind, Limit, Runs};
use super::usual;
use crate::model::{Host, Id, Keep, Pool, ZfsScrub, ZfsSnapshot, ZfsTrim};
use crate::source::Spanned;

/// Takes snapshots that bear the schedule's name, and prunes those.
pub(super) fn snapshot<'a>(host: &Host, schedule: &str, task: &'a ZfsSnapshot) -> Kind<'a> {
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
    let job = job
        .args(["--"])
        .args(task.datasets.iter().map(|id| host.zfs_name(id.value)));
    of_zfs(About::Datasets(&task.datasets), job, usual::SNAPSHOT)
}

/// Reads every block, and waits for what is found.
pub(super) fn scrub<'a>(host: &Host, task: &'a ZfsScrub) -> Kind<'a> {
    let job = Job::new("zfs-scrub", Access::Zfs).args(["--wait", "--"]);
    of_pools(host, &task.pools, job, usual::SCRUB)
}

/// Tells flash what is free.
pub(super) fn trim<'a>(host: &Host, task: &'a ZfsTrim) -> Kind<'a> {
    let job = Job::new("zfs-trim", Access::Zfs).args(["--"]);
    of_pools(host, &task.pools, job, usual::TRIM)
}

fn of_pools<'a>(
    host: &Host,
    pools: &'a [Spanned<Id<Pool>>],
    job: Job,
    limit: &'static str,
) -> Kind<'a> {
    let about = About::Pools(pools);
    let job = job.args(about.names(host));
    of_zfs(about, job, limit)
}

/// ZFS goes on with what a restart breaks off.
fn of_zfs<'a>(about: About<'a>, job: Job, limit: &'static str) -> Kind<'a> {
    Kind {
        about,
        runs: Runs::tool(job, about),
        look: None,
        estimate: SignedDuration::ZERO,
        limit: Limit::Run(limit),
        loss: None,
    }
}
