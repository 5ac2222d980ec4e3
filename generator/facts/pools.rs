//! How pools and datasets are made: vdevs, and properties by name, in the words of `zpool` and `zfs`. What makes them, what
//! compares them with those that are there, and the module of disko say this.

use std::collections::BTreeSet;

use serde::Serialize;

use super::nodes;
use crate::model::{Dataset, Disk, Encryption, Host, Id, Pool, Vdev, VdevRole};
use crate::source::Spanned;
use crate::value::{LogLayout, PoolLayout, ZfsAclType, ZfsCipher, ZfsKey};

/// A pool, in `zpool`'s words.
#[derive(Debug, Clone, Serialize)]
pub struct PoolPlan {
    /// Its name.
    pub name: String,
    /// Whether the installer made it.
    pub boot: bool,
    /// Its own disks, by their stable paths.
    pub disks: Vec<String>,
    /// How they stand together, as `zpool create` takes it: `mirror`, disk, disk …
    pub vdevs: Vec<String>,
    /// Why `zpool create` is told to take unlike disks; empty where it is not.
    pub unlike: String,
    /// The sector size as a power of two.
    pub ashift: u8,
    /// `on` or `off`.
    pub autotrim: String,
    /// The compression of its root dataset.
    pub compression: String,
    /// Whether the spec says `autotrim`: then it is set on a pool that is there, too.
    pub states_autotrim: bool,
    /// Whether the spec says `compression`.
    pub states_compression: bool,
    /// Vdevs beside the data: special, log, cache, spare.
    pub further: Vec<FurtherPlan>,
    #[serde(skip)]
    pub(crate) layout: Vec<VdevGroup>,
    #[serde(skip)]
    pub(crate) names: Vec<(String, String)>,
    /// The disks of which it takes one partition, whichever vdev that is in.
    #[serde(skip)]
    pub(crate) partitioned: BTreeSet<String>,
}

/// A further vdev, in `zpool`'s words.
#[derive(Debug, Clone, Serialize)]
pub struct FurtherPlan {
    /// `special`, `log`, `cache` or `spare`.
    pub role: String,
    /// How many disks it has.
    pub count: usize,
    /// Its disks, by their stable paths.
    pub disks: Vec<String>,
    /// The role and how its disks stand together, as `zpool create` takes it.
    pub words: Vec<String>,
    #[serde(skip)]
    pub(crate) layout: Vec<VdevGroup>,
    #[serde(skip)]
    pub(crate) names: Vec<(String, String)>,
}

/// Disks that make one vdev: the word of `zpool`, empty for disks alone, and the disks' names in the spec.
#[derive(Debug, Clone)]
pub(crate) struct VdevGroup {
    pub(crate) word: &'static str,
    pub(crate) disks: Vec<(String, String)>,
}

/// A dataset.
#[derive(Debug, Clone, Serialize)]
pub struct DatasetPlan {
    /// Its name: `rpool/vm-disks`.
    pub name: String,
    /// What is set on it, sizes in bytes.
    pub properties: Vec<Property>,
    /// What is decided when it is made, and never later.
    pub creation: Vec<Property>,
}

/// A property of a dataset.
#[derive(Debug, Clone, Serialize)]
pub struct Property {
    /// Its name.
    pub key: String,
    /// Its value, as `zfs get -p` shows it.
    pub value: String,
}

/// The pools that a spec says the disks of, and the datasets.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    /// In the order of the spec.
    pub(crate) pools: Vec<PoolPlan>,
    /// Parents first.
    pub(crate) datasets: Vec<DatasetPlan>,
}

impl Pools {
    /// Works them out.
    pub(crate) fn of(host: &Host) -> Self {
        let storage = &host.storage;
        let pools = storage.pools.values().filter(|pool| !pool.is_there());
        let pools = pools.map(|pool| pool_plan(host, pool)).collect();
        let mut datasets: Vec<DatasetPlan> = storage
            .datasets
            .iter()
            .filter(|(_, dataset)| nodes::has_store(host, &dataset.schema))
            .map(|(id, dataset)| dataset_plan(host, id, dataset))
            .collect();
        // A parent sorts before what lies below it.
        datasets.sort_by(|a, b| a.name.cmp(&b.name));
        Self { pools, datasets }
    }

    /// A pool that the spec says the disks of.
    pub(crate) fn pool(&self, name: &str) -> Option<&PoolPlan> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// A dataset by its whole name.
    pub(crate) fn dataset(&self, name: &str) -> Option<&DatasetPlan> {
        self.datasets.iter().find(|dataset| dataset.name == name)
    }
}

fn pool_plan(host: &Host, pool: &Pool) -> PoolPlan {
    let disks = named(host, &pool.disks);
    let layout = data_vdevs(*pool.layout, &disks);
    PoolPlan {
        name: pool.name.value.clone(),
        boot: *pool.boot,
        disks: devices(&disks),
        vdevs: words(&layout),
        unlike: unlike(host, pool),
        ashift: *pool.ashift,
        autotrim: if *pool.autotrim { "on" } else { "off" }.to_owned(),
        compression: pool.compression.value.clone(),
        states_autotrim: pool.autotrim.is_written(),
        states_compression: pool.compression.is_written(),
        further: pool
            .vdevs
            .iter()
            .map(|vdev| further_plan(host, vdev))
            .collect(),
        partitioned: pool
            .vdevs
            .iter()
            .flat_map(|vdev| &vdev.disks)
            .chain(&pool.disks)
            .map(|disk| &host.hardware.disks[disk.value])
            .filter(|disk| disk.partition.is_some())
            .map(|disk| disk.name.value.clone())
            .collect(),
        layout,
        names: disks,
    }
}

fn further_plan(host: &Host, vdev: &Vdev) -> FurtherPlan {
    let disks = named(host, &vdev.disks);
    let layout = match *vdev.layout {
        LogLayout::Stripe => vec![VdevGroup {
            word: "",
            disks: disks.clone(),
        }],
        LogLayout::Mirror => vec![VdevGroup {
            word: "mirror",
            disks: disks.clone(),
        }],
        LogLayout::Raid10 => pairs(&disks),
    };
    let mut words = vec![vdev.role.as_str().to_owned()];
    words.extend(self::words(&layout));
    FurtherPlan {
        role: vdev.role.as_str().to_owned(),
        count: disks.len(),
        disks: devices(&disks),
        words,
        layout,
        names: disks,
    }
}

/// The disks of a vdev: name in the spec and stable path.
fn named(host: &Host, disks: &[Spanned<Id<Disk>>]) -> Vec<(String, String)> {
    disks
        .iter()
        .map(|disk| &host.hardware.disks[disk.value])
        .map(|disk| (disk.name.value.clone(), disk.path()))
        .collect()
}

fn devices(disks: &[(String, String)]) -> Vec<String> {
    disks.iter().map(|(_, device)| device.clone()).collect()
}

fn data_vdevs(layout: PoolLayout, disks: &[(String, String)]) -> Vec<VdevGroup> {
    let one = |word| {
        vec![VdevGroup {
            word,
            disks: disks.to_vec(),
        }]
    };
    match layout {
        PoolLayout::Stripe => one(""),
        PoolLayout::Mirror => one("mirror"),
        PoolLayout::Raid10 => pairs(disks),
        PoolLayout::Raidz1 => one("raidz1"),
        PoolLayout::Raidz2 => one("raidz2"),
        PoolLayout::Raidz3 => one("raidz3"),
    }
}

/// Mirrors of two, striped.
fn pairs(disks: &[(String, String)]) -> Vec<VdevGroup> {
    disks
        .chunks(2)
        .map(|pair| VdevGroup {
            word: "mirror",
            disks: pair.to_vec(),
        })
        .collect()
}

fn words(layout: &[VdevGroup]) -> Vec<String> {
    let mut words = Vec::new();
    for group in layout {
        if !group.word.is_empty() {
            words.push(group.word.to_owned());
        }
        words.extend(devices(&group.disks));
    }
    words
}

/// Why `zpool create` must be told `-f`: it refuses disks of different sizes in one vdev, and a special vdev that bears
/// fewer lost disks than the data. The spec says so, and the script has looked at every disk itself.
fn unlike(host: &Host, pool: &Pool) -> String {
    let differ = |disks: &[Spanned<Id<Disk>>]| {
        let mut sizes = disks
            .iter()
            .map(|disk| host.hardware.disks[disk.value].size.as_bytes());
        let first = sizes.next();
        sizes.any(|size| Some(size) != first)
    };
    let mut reasons = Vec::new();
    let groups = |disks: &[Spanned<Id<Disk>>], pairs: bool, redundant: bool| {
        redundant
            && if pairs {
                disks.chunks(2).any(differ)
            } else {
                differ(disks)
            }
    };
    let redundant = !matches!(*pool.layout, PoolLayout::Stripe);
    if groups(&pool.disks, *pool.layout == PoolLayout::Raid10, redundant) {
        reasons.push("disks of different sizes");
    }
    let parity = |layout: LogLayout, disks: usize| match layout {
        LogLayout::Stripe => 0,
        LogLayout::Mirror => disks.saturating_sub(1),
        LogLayout::Raid10 => 1,
    };
    let data = match *pool.layout {
        PoolLayout::Stripe => 0,
        PoolLayout::Mirror => pool.disks.len().saturating_sub(1),
        PoolLayout::Raid10 | PoolLayout::Raidz1 => 1,
        PoolLayout::Raidz2 => 2,
        PoolLayout::Raidz3 => 3,
    };
    for vdev in &pool.vdevs {
        let mirrored = *vdev.layout != LogLayout::Stripe;
        if groups(&vdev.disks, *vdev.layout == LogLayout::Raid10, mirrored) {
            reasons.push("disks of different sizes");
        }
        if vdev.role == VdevRole::Special && parity(*vdev.layout, vdev.disks.len()) != data {
            reasons.push("a special vdev of another redundancy than the data");
        }
    }
    reasons.sort_unstable();
    reasons.dedup();
    reasons.join(", ")
}

fn dataset_plan(host: &Host, id: Id<Dataset>, dataset: &Dataset) -> DatasetPlan {
    let mut properties = Vec::new();
    let mut set = |key: &str, value: Option<String>| {
        properties.extend(value.map(|value| Property {
            key: key.to_owned(),
            value,
        }));
    };
    set(
        "compression",
        dataset.compression.as_ref().map(|c| c.value.clone()),
    );
    set(
        "mountpoint",
        dataset
            .mountpoint
            .as_ref()
            .map(|path| path.value.to_string()),
    );
    set(
        "quota",
        dataset.quota.map(|size| size.as_bytes().to_string()),
    );
    set(
        "recordsize",
        dataset.recordsize.map(|size| size.as_bytes().to_string()),
    );
    set(
        "reservation",
        dataset.reservation.map(|size| size.as_bytes().to_string()),
    );
    set(
        "atime",
        dataset
            .atime
            .map(|atime| if atime.value { "on" } else { "off" }.to_owned()),
    );
    set("sync", dataset.sync.map(|sync| sync.value.to_string()));
    set(
        "acltype",
        dataset.acltype.map(|acltype| match acltype.value {
            ZfsAclType::Off => "off".to_owned(),
            // The older name is shown as this one.
            ZfsAclType::Posix | ZfsAclType::PosixAcl => "posix".to_owned(),
        }),
    );
    set("xattr", dataset.xattr.map(|xattr| xattr.value.to_string()));
    for (key, value) in &dataset.properties {
        set(&key.value, Some(value.as_str().to_owned()));
    }
    DatasetPlan {
        name: host.zfs_name(id),
        properties,
        creation: dataset
            .encryption
            .as_ref()
            .map_or_else(Vec::new, encryption),
    }
}

/// How a dataset is encrypted: a key in a file has 32 bytes, one that somebody types is a passphrase (zfsprops(7)).
fn encryption(encryption: &Encryption) -> Vec<Property> {
    let cipher = encryption
        .cipher
        .map_or(ZfsCipher::On, |cipher| cipher.value);
    let format = match &encryption.key.value {
        ZfsKey::File(_) => "raw",
        ZfsKey::Prompt => "passphrase",
    };
    [
        ("encryption", cipher.to_string()),
        ("keyformat", format.to_owned()),
        ("keylocation", encryption.key.to_string()),
    ]
    .map(|(key, value)| Property {
        key: key.to_owned(),
        value,
    })
    .into()
}

impl PoolPlan {
    /// Its vdevs: the role (empty for the data), `mirror`, `raidz1`, … (empty for disks alone), and the disks.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, &'static str, Vec<String>)> {
        let data = self.layout.iter().map(|group| ("", group));
        let further = self.further.iter().flat_map(|further| {
            let groups = further.layout.iter();
            groups.map(|group| (further.role.as_str(), group))
        });
        data.chain(further)
            .map(|(role, group)| (role, group.word, devices(&group.disks)))
    }

    /// Every disk of it.
    pub(crate) fn disks_of_all(&self) -> impl Iterator<Item = &String> {
        let further = self.further.iter().flat_map(|further| &further.disks);
        self.disks.iter().chain(further)
    }
}
