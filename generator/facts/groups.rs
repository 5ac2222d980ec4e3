//! Volume groups and thin pools that a host's spec makes of disks: `create.sh` makes them, and a plan shows the same commands.

use serde::Serialize;

use super::nodes;
use crate::model::{Host, Lvm};
use crate::shell::Command;
use crate::value::ByteSize;

/// A volume group, in LVM's words.
#[derive(Debug, Clone, Serialize)]
pub struct GroupPlan {
    /// Its name.
    pub name: String,
    /// What it is made of: disks or partitions, by their stable paths.
    pub disks: Vec<String>,
    /// The thin pools in it.
    pub thin_pools: Vec<ThinPoolPlan>,
}

/// A thin pool.
#[derive(Debug, Clone, Serialize)]
pub struct ThinPoolPlan {
    /// Its name.
    pub name: String,
    /// How large it becomes, in `lvcreate`'s words: `-L 1073741824b`.
    pub extent: [String; 2],
}

/// The groups that moxc makes. Two stores may lie in one group, as a thin pool and beside it.
pub(crate) fn of(host: &Host) -> Vec<GroupPlan> {
    let mut groups: Vec<GroupPlan> = Vec::new();
    for lvm in host.storage.lvm.values() {
        if !lvm.is_made_later() || !nodes::has_store(host, &lvm.schema) {
            continue;
        }
        let plan = group(host, lvm);
        match groups.iter_mut().find(|other| other.name == plan.name) {
            Some(other) => {
                for disk in plan.disks {
                    if !other.disks.contains(&disk) {
                        other.disks.push(disk);
                    }
                }
                other.thin_pools.extend(plan.thin_pools);
            }
            None => groups.push(plan),
        }
    }
    groups
}

/// One store of LVM that is made of disks.
pub(crate) fn group(host: &Host, lvm: &Lvm) -> GroupPlan {
    let disks = lvm.disks.iter();
    GroupPlan {
        name: lvm.group.value.to_string(),
        disks: disks
            .map(|disk| host.hardware.disks[disk.value].path())
            .collect(),
        thin_pools: thin_pool(lvm).into_iter().collect(),
    }
}

pub(crate) fn thin_pool(lvm: &Lvm) -> Option<ThinPoolPlan> {
    let pool = lvm.thin_pool.as_ref()?;
    Some(ThinPoolPlan {
        name: pool.value.to_string(),
        extent: extent(lvm),
    })
}

/// A thin pool that is not told how large takes 95 % of what is free: what its metadata may grow by stays.
fn extent(lvm: &Lvm) -> [String; 2] {
    match lvm.size {
        Some(size) => ["-L".to_owned(), in_bytes(size.value)],
        None => ["-l".to_owned(), "95%FREE".to_owned()],
    }
}

/// A size in LVM's own words: `1073741824b`.
pub(crate) fn in_bytes(size: ByteSize) -> String {
    format!("{}b", size.as_bytes())
}

impl GroupPlan {
    /// What makes it: `vgcreate` gives the disks their labels itself, so that none is left with a label and no group.
    pub(crate) fn create(&self) -> [Command; 1] {
        [Command::new("vgcreate").arg(&self.name).args(&self.disks)]
    }

    /// What takes it away again.
    pub(crate) fn remove(&self) -> [Command; 2] {
        [
            Command::new("vgremove").arg(&self.name),
            Command::new("pvremove").args(&self.disks),
        ]
    }
}

impl ThinPoolPlan {
    /// What makes it in a group.
    pub(crate) fn create(&self, group: &str) -> Command {
        Command::new("lvcreate")
            .args(["--yes", "--type", "thin-pool"])
            .args(&self.extent)
            .args(["-n", &self.name, group])
    }
}
