//! The volume group that a NixOS host has its root in: disko makes it.

use super::disko;
use crate::facts::groups::{ThinPoolPlan, in_bytes, thin_pool};
use crate::facts::root::{self, ROOT, Root, SWAP};
use crate::model::Host;
use crate::nix::{Attrs, BuildError};
use crate::value::{ByteSize, Platform};

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
