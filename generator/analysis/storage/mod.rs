//! Disks, pools, datasets: what lies where, what fits, and what is lost with what.

mod backups;
mod cache;
mod disks;
mod lvm;
mod overlooked;
mod places;
mod pools;
mod room;
mod scrubs;
mod stores;

use crate::diagnostics::Sink;
use crate::facts::{Facts, Space};

use self::backups::{into_a_guest, nothing_outside, same_pool};
use self::cache::{cache_bounds, cache_size};
use self::disks::{disks_elsewhere, disks_of_guests, disks_twice, one_disk_twice, unstable_names};
use self::overlooked::{hidden_datasets, installers_own, root_twice, shares_of_root};
use self::places::one_place;
use self::pools::{
    lonely_log, long_rebuild, pulled_out, sectors, too_few, two_as_raidz, uneven, weaker,
};
use self::room::{limits, nearly_full, overcommitted, padding, promised, snapshots};
use self::scrubs::scrubs;

pub(super) fn check(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    stores::check(host, sink);
    one_disk_twice(host, sink);
    disks_twice(host, sink);
    disks_of_guests(facts, sink);
    disks_elsewhere(host, sink);
    unstable_names(host, sink);
    for pool in host.storage.pools.values() {
        too_few(host, pool, sink);
        uneven(host, pool, sink);
        sectors(host, pool, sink);
        for vdev in &pool.vdevs {
            if host.complete {
                weaker(pool, vdev, sink);
            }
            lonely_log(vdev, sink);
        }
        long_rebuild(host, pool, sink);
        two_as_raidz(pool, sink);
    }
    pulled_out(host, sink);
    installers_own(host, sink);
    root_twice(host, sink);
    into_a_guest(host, sink);
    one_place(host, sink);
    hidden_datasets(host, sink);
    shares_of_root(host, sink);
    let Space { volumes, pools } = facts.space();
    for plan in pools.values() {
        promised(plan, sink);
        nearly_full(plan, sink);
        overcommitted(plan, sink);
    }
    lvm::check(host, volumes, sink);
    snapshots(facts, volumes, pools, sink);
    for (_, dataset) in host.storage.datasets.iter() {
        limits(dataset, sink);
        padding(host, dataset, sink);
    }
    if host.complete {
        same_pool(host, sink);
    }
    nothing_outside(host, sink);
    cache_bounds(host, sink);
    cache_size(host, pools, sink);
    scrubs(host, sink);
}
