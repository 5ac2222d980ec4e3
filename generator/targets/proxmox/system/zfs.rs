//! Pools, datasets and volume groups: the script that makes them on a Proxmox VE host, and pools as a disko module, too.
//!
//! The script never touches a disk that holds anything: `zpool create` itself takes a disk whose partitions hold no file
//! system, and one of a destroyed pool, without a word, so the script looks at every disk first. The pool that the host
//! starts from is the installer's work; only what the spec puts into it is made here.

use serde::Serialize;

use crate::facts::groups::{self, GroupPlan};
use crate::facts::pools::{DatasetPlan, PoolPlan, Pools, VdevGroup};
use crate::model::Host;
use crate::nix::{self, Attrs, BuildError, Built, Expr};
use crate::output::Mode;
use crate::source::Span;
use crate::template::{BuiltIn, Templates, one_line};
use crate::value::Platform;

use super::Tree;
use super::disko::{disk, esp};
use super::lvm::{self, RootGroupPlan};

/// The pools, datasets and volume groups of a host.
#[derive(Debug, Clone)]
pub(super) struct Zfs {
    host: String,
    is_nixos: bool,
    pools: Vec<PoolPlan>,
    datasets: Vec<DatasetPlan>,
    groups: Vec<GroupPlan>,
    root: Option<RootGroupPlan>,
}

/// `create.sh`. These fields are the contract with a user's template of the same name.
#[derive(askama::Template, Serialize)]
#[template(path = "proxmox/storage/create.sh")]
pub struct CreateScript {
    /// The line that marks a generated file; safe in a comment.
    pub header: String,
    /// The host's name.
    pub host: String,
    /// Pools, in the order of the spec.
    pub pools: Vec<PoolPlan>,
    /// Datasets, parents first.
    pub datasets: Vec<DatasetPlan>,
    /// Volume groups that are made of disks.
    pub groups: Vec<GroupPlan>,
}

impl BuiltIn for CreateScript {
    const NAME: &'static str = "proxmox/storage/create.sh";
}

/// Plans pools and datasets.
pub(super) fn plan(host: &Host) -> Zfs {
    let Pools { pools, datasets } = Pools::of(host);
    Zfs {
        host: host.name.as_str().to_owned(),
        is_nixos: *host.platform == Platform::Nixos,
        pools,
        datasets,
        groups: groups::of(host),
        root: lvm::root(host),
    }
}

impl Zfs {
    /// Whether there is anything to make.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
            && self.datasets.is_empty()
            && self
                .pools
                .iter()
                .all(|pool| pool.boot && pool.further.is_empty())
    }

    /// Whether disko has anything to make: on Debian the installer makes what the host starts from.
    pub(super) fn is_for_disko(&self) -> bool {
        self.root.is_some() || self.for_disko().next().is_some()
    }

    fn for_disko(&self) -> impl Iterator<Item = &PoolPlan> {
        self.pools.iter().filter(|pool| !pool.boot || self.is_nixos)
    }

    /// Writes the script and the module down.
    pub(super) fn emit(&self, span: Span, templates: &Templates, tree: &mut Tree<'_>) {
        if !self.is_empty() {
            let script = CreateScript {
                header: one_line(&tree.header()),
                host: self.host.clone(),
                pools: self.pools.clone(),
                datasets: self.datasets.clone(),
                groups: self.groups.clone(),
            };
            tree.render(
                "storage/create.sh",
                &script,
                templates,
                Mode::Executable,
                span,
            );
        }
        if self.is_for_disko() {
            let module = self.disko().expect(
                "names and sizes of pools are plain text, and each stands once in the spec",
            );
            let header = format!(
                "{}\nThe {} of the host for disko, which EMPTIES the disks that it is run on.{}",
                tree.header(),
                match (&self.root, self.for_disko().next()) {
                    (Some(_), Some(_)) => "root and pools",
                    (Some(_), None) => "root",
                    (None, _) => "pools",
                },
                if self.is_nixos {
                    ""
                } else {
                    " The pool that the host starts from is the installer's."
                },
            );
            let text = nix::print_file(&header, &module).text;
            tree.add("storage/disko.nix", &text, Mode::Regular, span);
        }
    }

    fn disko(&self) -> Built {
        let mut disks = Attrs::new();
        let mut pools = Attrs::new();
        for pool in self.for_disko() {
            let mut first = pool.boot;
            let members = pool
                .names
                .iter()
                .chain(pool.further.iter().flat_map(|further| &further.names));
            for (name, device) in members {
                // One that stands in two pools is reported by the analysis; here the first has it.
                if disks.get(&[name]).is_none() {
                    let partitioned = pool.partitioned.contains(name);
                    let mut content = Attrs::new();
                    content.set("type", "zfs")?;
                    content.set("pool", pool.name.as_str())?;
                    let esp = (pool.boot && !partitioned)
                        .then(|| esp(std::mem::take(&mut first)))
                        .transpose()?;
                    let disk = disk(device, "zfs", content, partitioned, esp)?;
                    disks.set([name], disk)?;
                }
            }
            pools.set([&pool.name], self.disko_pool(pool)?)?;
        }
        let group = match &self.root {
            Some(root) => {
                root.add_disks(&mut disks)?;
                Some(root.group()?)
            }
            None => None,
        };
        let mut root = Attrs::new();
        root.set("disko.devices.disk", disks)?;
        if let Some((name, group)) = group {
            root.set(["disko", "devices", "lvm_vg", name], group)?;
        }
        if self.for_disko().next().is_some() {
            root.set("disko.devices.zpool", pools)?;
        }
        nix::IntoExpr::into_expr(root)
    }

    fn disko_pool(&self, pool: &PoolPlan) -> Result<Attrs, BuildError> {
        let mut set = Attrs::new();
        set.set("type", "zpool")?;
        match (&pool.layout[..], pool.further.is_empty()) {
            ([one], true) => set.set("mode", one.word)?,
            (groups, _) => {
                set.set("mode.topology.type", "topology")?;
                set.set("mode.topology.vdev", vdev_list(groups)?)?;
                for further in &pool.further {
                    let path = ["mode", "topology", further.role.as_str()];
                    match (further.role.as_str(), &further.layout[..]) {
                        ("cache" | "spare", _) => {
                            let names: Vec<&str> = further
                                .names
                                .iter()
                                .map(|(name, _)| name.as_str())
                                .collect();
                            set.set(path, nix::list(names)?)?;
                        }
                        ("special", [one]) => set.set(path, vdev(one)?)?,
                        (_, groups) => set.set(path, vdev_list(groups)?)?,
                    }
                }
            }
        }
        set.set("options.ashift", pool.ashift.to_string())?;
        set.set("options.autotrim", pool.autotrim.as_str())?;
        set.set("rootFsOptions.compression", pool.compression.as_str())?;
        if pool.boot {
            let root = ["datasets", crate::facts::root::ROOT];
            let mut fs = Attrs::new();
            fs.set("type", "zfs_fs")?;
            fs.set("mountpoint", "/")?;
            fs.set("options.mountpoint", "legacy")?;
            set.set(root, fs)?;
            set.set("rootFsOptions.mountpoint", "none")?;
        }
        let prefix = format!("{}/", pool.name);
        for dataset in &self.datasets {
            let Some(path) = dataset.name.strip_prefix(&prefix) else {
                continue;
            };
            let mut fs = Attrs::new();
            fs.set("type", "zfs_fs")?;
            for property in dataset.properties.iter().chain(&dataset.creation) {
                if property.key == "mountpoint" {
                    fs.set("mountpoint", property.value.as_str())?;
                }
                fs.set(["options", property.key.as_str()], property.value.as_str())?;
            }
            set.set(["datasets", path], fs)?;
        }
        Ok(set)
    }
}

/// A list of vdevs; disks alone are a vdev each.
fn vdev_list(groups: &[VdevGroup]) -> Built {
    nix::list(groups.iter().map(vdev).collect::<Result<Vec<_>, _>>()?)
}

fn vdev(group: &VdevGroup) -> Result<Expr, BuildError> {
    let mut set = Attrs::new();
    set.set("mode", group.word)?;
    let names: Vec<&str> = group.disks.iter().map(|(name, _)| name.as_str()).collect();
    set.set("members", nix::list(names)?)?;
    nix::IntoExpr::into_expr(set)
}
