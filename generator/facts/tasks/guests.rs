//! Guests: whether their backups bring them back.

use super::job::{Access, Job};
use crate::facts::Facts;
use crate::model::BackupRehearsal;

/// How many spare numbers a rehearsal may choose from.
const SPARE: u32 = 100;
/// The first spare number, where no guest of the spec has one like it: far from those that people count up to.
const FIRST_SPARE: u32 = 990_000;

/// Restores the newest backup of a guest beside it, and sees whether it starts.
pub(super) fn rehearsal(facts: &Facts<'_>, task: &BackupRehearsal) -> Job {
    let host = facts.host;
    let guest = task.guest.value;
    let first = first_spare(host.guests.values().map(|guest| guest.vmid.get()));
    let mut job = Job::new("backup-rehearsal", Access::System)
        .args(["--guest", &host.guests[guest].vmid.value.to_string()])
        .args(["--range", &format!("{first}-{}", first + SPARE - 1)]);
    if let Some(volume) = facts.volumes.of_guest(guest).first() {
        job = job.args(["--disks-to", volume.store_name(host)]);
    }
    if let Some(store) = task.storage.map(|store| host.storage.store(store)) {
        job = job.args(["--storage", &store.name().value]);
        if store.is_removable() {
            job = job.args(["--removable"]);
        }
    }
    job
}

/// The first number of a range in which no guest of the spec is, whether it is there or not.
fn first_spare(taken: impl Iterator<Item = u32>) -> u32 {
    let mut taken: Vec<u32> = taken.collect();
    taken.sort_unstable();
    let mut first = FIRST_SPARE;
    for vmid in taken {
        if (first..first + SPARE).contains(&vmid) {
            first = vmid + 1;
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spare_numbers_are_none_of_the_specs() {
        for (taken, first) in [
            (&[100, 110][..], 990_000),
            (&[990_000], 990_001),
            (&[990_099], 990_100),
            (&[990_150, 990_050, 989_999], 990_151),
            (&[990_200, 990_050], 990_051),
        ] {
            assert_eq!(first_spare(taken.iter().copied()), first, "{taken:?}");
        }
    }
}
