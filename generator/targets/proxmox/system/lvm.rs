//! Volume groups and thin pools that a host's spec makes of disks. `create.sh` makes them, and a plan shows the same commands;
//! the one that a NixOS host has its root in is disko's.

use serde::Serialize;

use super::disko;
use crate::facts::nodes;
use crate::facts::root::{self, ROOT, Root, SWAP};
use crate::model::{Host, Lvm};
use crate::nix::{Attrs, BuildError};
use crate::shell::Command;
use crate::value::{ByteSize, Platform};

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

/// The volume group that a NixOS host has its root in, in disko's words.
#[derive(Debug, Clone)]
pub(super) struct RootGroupPlan {
    name: String,
    disks: Vec<RootDisk>,
    root: Option<ByteSize>,
    swap: Option<ByteSize>,
    thin_pools: Vec<ThinPoolPlan>,
}

#[derive(Debug, Clone)]
struct RootDisk {
    name: String,
    device: String,
    partitioned: bool,
    boots: bool,
}

/// The volume group that disko makes: the one of the root, where the spec says what it is made of.
pub(super) fn root(host: &Host) -> Option<RootGroupPlan> {
    let Some(Root::Group(group)) = (match *host.platform {
        Platform::Nixos => root::of(host),
        Platform::Proxmox => None,
    }) else {
        return None;
    };
    if group.disks.is_empty() {
        return None;
    }
    let boots = root::boot_disks(host);
    Some(RootGroupPlan {
        name: group.name.to_owned(),
        root: group.root,
        swap: group.swap,
        thin_pools: group.thin.iter().filter_map(|lvm| thin_pool(lvm)).collect(),
        disks: group
            .disks
            .iter()
            .map(|id| &host.hardware.disks[*id])
            .map(|disk| RootDisk {
                name: disk.name.value.clone(),
                device: disk.path(),
                partitioned: disk.partition.is_some(),
                boots: boots
                    .iter()
                    .any(|other| other.name.value == disk.name.value),
            })
            .collect(),
    })
}

/// The groups that moxc makes. Two stores may lie in one group, as a thin pool and beside it.
pub(super) fn groups(host: &Host) -> Vec<GroupPlan> {
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

fn thin_pool(lvm: &Lvm) -> Option<ThinPoolPlan> {
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

impl RootGroupPlan {
    /// Adds its disks.
    pub(super) fn add_disks(&self, disks: &mut Attrs) -> Result<(), BuildError> {
        for disk in &self.disks {
            // One that a pool has, too, is reported by the analysis; here the pool has it.
            if disks.get(&[&disk.name]).is_some() {
                continue;
            }
            let mut content = Attrs::new();
            content.set("type", "lvm_pv")?;
            content.set("vg", self.name.as_str())?;
            let esp = disk.boots.then(|| disko::esp(true)).transpose()?;
            let laid_out = disko::disk(&disk.device, "lvm", content, disk.partitioned, esp)?;
            disks.set([&disk.name], laid_out)?;
        }
        Ok(())
    }

    /// Its name, and what is made in it. The root is made before what takes the rest.
    pub(super) fn group(&self) -> Result<(&str, Attrs), BuildError> {
        let mut volumes = Attrs::new();
        let mut root = Attrs::new();
        root.set("priority", 1)?;
        // One that nothing tells is reported by the analysis.
        root.set("size", in_bytes(self.root.unwrap_or_default()))?;
        root.set("content.type", "filesystem")?;
        root.set("content.format", "ext4")?;
        root.set("content.mountpoint", "/")?;
        volumes.set([ROOT], root)?;
        if let Some(size) = self.swap {
            let mut swap = Attrs::new();
            swap.set("priority", 2)?;
            swap.set("size", in_bytes(size))?;
            swap.set("content.type", "swap")?;
            volumes.set([SWAP], swap)?;
        }
        for pool in &self.thin_pools {
            // Two stores of one thin pool are reported by the analysis.
            if volumes.get(&[&pool.name]).is_some() {
                continue;
            }
            let mut volume = Attrs::new();
            volume.set("lvm_type", "thin-pool")?;
            volume.set("size", pool.extent[1].as_str())?;
            volumes.set([&pool.name], volume)?;
        }
        let mut group = Attrs::new();
        group.set("type", "lvm_vg")?;
        group.set("lvs", volumes)?;
        Ok((&self.name, group))
    }
}

fn in_bytes(size: ByteSize) -> String {
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
