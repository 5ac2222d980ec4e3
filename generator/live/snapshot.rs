//! What a copy says, as typed values.

use std::collections::{BTreeMap, BTreeSet};

use super::hardware::{self, BlockDevice, PciDevice, Processor, UsbDevice};
use super::network::{self, Link};
use super::storage::{self, LogicalVolume, Pool, Properties, StoredVolume, VolumeGroup};
use super::{FileText, Item, Tree, Unread};
use crate::pve::guest_config::SkippedLine;
use crate::pve::interfaces::Interfaces;
use crate::pve::section_config::SkippedSectionLine;
use crate::pve::{GuestConfig, GuestKind, MappingKind, Release, SectionConfig, SectionFile};

/// A host at one moment, as far as a copy tells.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The files that all else is read from.
    pub tree: Tree,
    /// The host's own name among the nodes of its cluster.
    pub node: Item<String>,
    /// Its version of Proxmox VE.
    pub version: Item<Version>,
    /// The VMIDs that run.
    pub running: Item<BTreeSet<u32>>,
    /// Every node of the cluster that the copy has guests of, by name; on its own a host is the only one.
    pub nodes: BTreeMap<String, LiveNode>,
    /// `storage.cfg`.
    pub storage: Item<Sections>,
    /// `jobs.cfg`.
    pub jobs: Item<Sections>,
    /// `mapping/pci.cfg`, `mapping/usb.cfg`, `mapping/directory.cfg`.
    pub mappings: BTreeMap<MappingKind, Item<Sections>>,
    /// `datacenter.cfg`.
    pub datacenter: Item<Options>,
    /// `vzdump.conf`.
    pub vzdump: Item<Options>,
    /// `cluster.fw`, the host's own `host.fw`, and the guests' files, by path.
    pub firewall: BTreeMap<String, FileText>,
    /// `/etc/network/interfaces`.
    pub interfaces: Item<LiveInterfaces>,
    /// The files of `/etc/network/interfaces.d`, by name.
    pub interfaces_more: BTreeMap<String, LiveInterfaces>,
    /// What the kernel is told at boot.
    pub boot: Boot,
    /// The units of `/etc/systemd/system`, by name.
    pub units: BTreeMap<String, FileText>,
    /// The files of `/etc/systemd/network`, by name.
    pub links: BTreeMap<String, FileText>,
    /// The machine.
    pub machine: Machine,
    /// Pools and datasets.
    pub zfs: Zfs,
    /// Volume groups.
    pub volume_groups: Item<Vec<VolumeGroup>>,
    /// Logical volumes.
    pub logical_volumes: Item<Vec<LogicalVolume>>,
    /// The volumes of every storage.
    pub volumes: Item<Vec<StoredVolume>>,
    /// The interfaces as they are now.
    pub network: Item<Vec<Link>>,
    /// The time zone, as in `Europe/Berlin`.
    pub timezone: Item<String>,
    /// What could not be read, sorted by path.
    pub unread: Vec<Unread>,
}

/// A version of Proxmox VE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// That of the package `pve-manager`, as in `8.4.1`.
    pub package: String,
    /// The release, where moxc knows it.
    pub release: Option<Release>,
}

/// A node's guests.
#[derive(Debug, Clone, Default)]
pub struct LiveNode {
    /// By VMID.
    pub guests: BTreeMap<u32, LiveGuest>,
    /// Why virtual machines of the node may be missing here.
    pub machines_unread: Option<String>,
    /// Why containers of the node may be missing here.
    pub containers_unread: Option<String>,
}

impl LiveNode {
    /// Why guests of this kind may be missing here.
    pub fn unread(&self, kind: GuestKind) -> Option<&str> {
        match kind {
            GuestKind::Qm => self.machines_unread.as_deref(),
            GuestKind::Pct => self.containers_unread.as_deref(),
        }
    }
}

/// A guest's configuration.
#[derive(Debug, Clone)]
pub struct LiveGuest {
    /// Its number.
    pub vmid: u32,
    /// What it is.
    pub kind: GuestKind,
    /// Its file, without secrets.
    pub file: FileText,
    /// What is in force, with the sections below it: pending changes, snapshots.
    pub config: GuestConfig,
    /// Lines that Proxmox VE itself skips.
    pub skipped: Vec<SkippedLine>,
}

impl LiveGuest {
    fn read(vmid: u32, kind: GuestKind, file: &FileText) -> Self {
        let (config, skipped) = GuestConfig::parse(kind, &file.text);
        Self {
            vmid,
            kind,
            file: file.clone(),
            config,
            skipped,
        }
    }

    /// A guest by the text of its file alone.
    pub fn of_text(vmid: u32, kind: GuestKind, text: &str) -> Self {
        let mut tree = Tree::new();
        let path = format!("etc/pve/{}/{vmid}.conf", kind.folder());
        tree.add_file(&path, text.as_bytes());
        let file = tree.file(&path);
        Self::read(vmid, kind, file.present().expect("it was added just now"))
    }

    /// Changes that wait for the next start.
    pub fn pending(&self) -> Option<&GuestConfig> {
        let name = match self.kind {
            GuestKind::Qm => "PENDING",
            GuestKind::Pct => "pve:pending",
        };
        self.section(name)
    }

    /// Options that will be gone at the next start.
    pub fn pending_deletions(&self) -> Vec<&str> {
        let list = self.pending().and_then(|pending| pending.get("delete"));
        list.into_iter()
            .flat_map(|list| list.split([',', ';', ' ']))
            // `!name` is a removal by force.
            .map(|name| name.trim_start_matches('!'))
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// The names of its snapshots.
    pub fn snapshots(&self) -> impl Iterator<Item = &str> {
        self.config
            .sections()
            .map(|(name, _)| name)
            .filter(|name| *name != "PENDING" && !name.contains(':'))
    }

    /// Its name, or a container's host name.
    pub fn name(&self) -> Option<&str> {
        match self.kind {
            GuestKind::Qm => self.config.get("name"),
            GuestKind::Pct => self.config.get("hostname"),
        }
    }

    /// What an option will be after the next start.
    pub fn wanted(&self, key: &str) -> Option<&str> {
        if let Some(value) = self.pending().and_then(|pending| pending.get(key)) {
            return Some(value);
        }
        if self.pending_deletions().contains(&key) {
            return None;
        }
        self.config.get(key)
    }

    fn section(&self, name: &str) -> Option<&GuestConfig> {
        let mut sections = self.config.sections();
        sections
            .find(|(own, _)| *own == name)
            .map(|(_, config)| config)
    }
}

/// A file of sections.
#[derive(Debug, Clone)]
pub struct Sections {
    /// The file, without secrets.
    pub file: FileText,
    /// What Proxmox VE reads in it.
    pub config: SectionConfig,
    /// What it skips.
    pub skipped: Vec<SkippedSectionLine>,
}

/// A file of `key: value` lines.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file, without secrets.
    pub file: FileText,
    /// The options; of one that is given twice the last.
    pub options: BTreeMap<String, String>,
}

/// A file of ifupdown2.
#[derive(Debug, Clone)]
pub struct LiveInterfaces {
    /// The file, without secrets.
    pub file: FileText,
    /// What Proxmox VE reads in it.
    pub interfaces: Interfaces,
}

/// What the kernel is told at boot.
#[derive(Debug, Clone)]
pub struct Boot {
    /// `/etc/kernel/cmdline`, which counts where `proxmox-boot-tool` sees to systemd-boot.
    pub cmdline: Item<FileText>,
    /// `/etc/default/grub`.
    pub grub: Item<FileText>,
    /// The files of `/etc/default/grub.d`, by name.
    pub grub_more: BTreeMap<String, FileText>,
    /// The files of `/etc/modprobe.d`, by name.
    pub modprobe: BTreeMap<String, FileText>,
    /// `/etc/modules`.
    pub modules: Item<FileText>,
    /// The files of `/etc/modules-load.d`, by name.
    pub modules_more: BTreeMap<String, FileText>,
    /// The command line of the kernel that runs.
    pub running: Item<String>,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its PCI functions.
    pub pci: Item<Vec<PciDevice>>,
    /// What is plugged in.
    pub usb: Item<Vec<UsbDevice>>,
    /// Its disks with what lies on them.
    pub disks: Item<Vec<BlockDevice>>,
    /// The names below `/dev/disk/by-id`, with what they are now.
    pub by_id: Item<BTreeMap<String, String>>,
    /// The processor.
    pub processor: Item<Processor>,
    /// Memory in bytes.
    pub memory: Item<u64>,
}

/// Pools and datasets.
#[derive(Debug, Clone)]
pub struct Zfs {
    /// The pools with their members.
    pub pools: Item<Vec<Pool>>,
    /// The properties of pools.
    pub pool_properties: Item<Properties>,
    /// The properties of datasets and volumes.
    pub properties: Item<Properties>,
}

impl Snapshot {
    /// Reads the files of a copy.
    pub(super) fn of(tree: Tree) -> Self {
        let mut unread: BTreeSet<Unread> = tree.unread().into_iter().collect();
        let node = node_name(&tree);
        let nodes = nodes(&tree, node.present().map(String::as_str), &mut unread);
        let answer = |name: &str| {
            let path = format!(".moxc/{name}");
            tree.file(&path).map(|file| file.text.clone())
        };
        let sections = |path: &str, file: SectionFile| {
            tree.file(path).map(|text| {
                let (config, skipped) = SectionConfig::parse(file, &text.text);
                Sections {
                    file: text.clone(),
                    config,
                    skipped,
                }
            })
        };
        let mappings = [
            (MappingKind::Pci, "etc/pve/mapping/pci.cfg"),
            (MappingKind::Usb, "etc/pve/mapping/usb.cfg"),
            (MappingKind::Dir, "etc/pve/mapping/directory.cfg"),
        ]
        .map(|(kind, path)| (kind, sections(path, SectionFile::Mapping(kind))));
        let groups = answer("iommu").map(|text| hardware::read_iommu(&text));
        let shown_on = answer("boot-vga");
        let pci = answer("lspci").map(|text| {
            let mut devices = hardware::read_lspci(&text);
            for device in &mut devices {
                let is_shown =
                    |text: &String| text.lines().any(|line| line.trim() == device.address);
                device.boot_vga = shown_on.present().map(is_shown);
                let group = groups
                    .present()
                    .and_then(|groups| groups.get(&device.address));
                device.iommu_group = device.iommu_group.or(group.copied());
            }
            devices
        });
        let addresses = answer("ip-addr.json");
        let snapshot = Self {
            version: answer("pveversion").and_then(|text| read_version(&text)),
            running: answer("running").map(|text| read_numbers(&text)),
            storage: sections("etc/pve/storage.cfg", SectionFile::Storage),
            jobs: sections("etc/pve/jobs.cfg", SectionFile::Jobs),
            mappings: mappings.into_iter().collect(),
            datacenter: options(&tree, "etc/pve/datacenter.cfg"),
            vzdump: options(&tree, "etc/vzdump.conf"),
            firewall: firewall(&tree),
            interfaces: tree.file("etc/network/interfaces").map(interfaces),
            interfaces_more: texts(&tree, "etc/network/interfaces.d")
                .into_iter()
                .map(|(name, file)| (name, interfaces(&file)))
                .collect(),
            boot: Boot {
                cmdline: tree.file("etc/kernel/cmdline").map(FileText::clone),
                grub: tree.file("etc/default/grub").map(FileText::clone),
                grub_more: texts(&tree, "etc/default/grub.d"),
                modprobe: texts(&tree, "etc/modprobe.d"),
                modules: tree.file("etc/modules").map(FileText::clone),
                modules_more: texts(&tree, "etc/modules-load.d"),
                running: answer("cmdline").map(|text| text.trim().to_owned()),
            },
            units: texts(&tree, "etc/systemd/system"),
            links: texts(&tree, "etc/systemd/network"),
            machine: Machine {
                pci,
                usb: answer("lsusb").map(|text| hardware::read_lsusb(&text)),
                disks: answer("lsblk.json").and_then(|text| hardware::read_lsblk(&text)),
                by_id: answer("by-id").map(|text| hardware::read_by_id(&text)),
                processor: answer("lscpu.json").and_then(|text| hardware::read_lscpu(&text)),
                memory: answer("meminfo").and_then(|text| hardware::read_meminfo(&text)),
            },
            zfs: Zfs {
                pools: answer("zpool-status").map(|text| storage::read_zpool_status(&text)),
                pool_properties: answer("zpool-get").map(|text| storage::read_properties(&text)),
                properties: answer("zfs-get").map(|text| storage::read_properties(&text)),
            },
            volume_groups: answer("vgs.json").and_then(|text| storage::read_vgs(&text)),
            logical_volumes: answer("lvs.json").and_then(|text| storage::read_lvs(&text)),
            volumes: answer("pvesm").map(|text| storage::read_pvesm(&text)),
            network: answer("ip-link.json").and_then(|text| {
                network::read_links(&text, addresses.present().map(String::as_str))
            }),
            timezone: timezone(&tree),
            node,
            nodes,
            unread: Vec::new(),
            tree,
        };
        snapshot.note_broken_answers(&mut unread);
        Self {
            unread: unread.into_iter().collect(),
            ..snapshot
        }
    }

    /// The same copy as that of another node of the cluster: what all nodes share, and the node's own guests. Of the machine
    /// itself nothing is known; release and time zone are taken for those of the cluster.
    #[must_use]
    pub fn of_node(&self, node: &str) -> Self {
        if self.node.present().is_some_and(|own| own == node) {
            return self.clone();
        }
        Self {
            version: self.version.clone(),
            timezone: self.timezone.clone(),
            ..Self::of(self.tree.of_node(node))
        }
    }

    /// The guests of the host itself; none where nobody knows which node it is.
    pub fn own(&self) -> Option<&LiveNode> {
        // Guests of a copy that does not name its host stand under no name.
        self.nodes
            .get(self.node.present().map_or("", String::as_str))
    }

    /// A guest of any node.
    pub fn guest(&self, vmid: u32) -> Option<(&str, &LiveGuest)> {
        self.nodes
            .iter()
            .find_map(|(node, guests)| Some((node.as_str(), guests.guests.get(&vmid)?)))
    }

    /// Whether a guest runs; none where nobody knows.
    pub fn runs(&self, vmid: u32) -> Option<bool> {
        self.running
            .present()
            .map(|running| running.contains(&vmid))
    }

    /// An answer that is there and cannot be understood is said, too.
    fn note_broken_answers(&self, unread: &mut BTreeSet<Unread>) {
        let mut note = |name: &str, why: Option<&str>| {
            let path = format!(".moxc/{name}");
            if let (Some(why), Item::Present(_)) = (why, self.tree.file(&path)) {
                unread.insert(Unread {
                    path,
                    reason: why.to_owned(),
                });
            }
        };
        note("pveversion", reason(&self.version));
        note("lsblk.json", reason(&self.machine.disks));
        note("lscpu.json", reason(&self.machine.processor));
        note("meminfo", reason(&self.machine.memory));
        note("vgs.json", reason(&self.volume_groups));
        note("lvs.json", reason(&self.logical_volumes));
        note("ip-link.json", reason(&self.network));
    }
}

fn reason<T>(item: &Item<T>) -> Option<&str> {
    match item {
        Item::Unread(why) => Some(why),
        Item::Present(_) | Item::Absent => None,
    }
}

/// The host's name, and where the copy has none, the only node that it can be.
fn node_name(tree: &Tree) -> Item<String> {
    if let Item::Present(file) = tree.file("etc/hostname") {
        let lines = file.text.lines().map(str::trim);
        let mut names = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        if let Some(name) = names.next() {
            // Proxmox VE goes by the name without its domain.
            let name = name.split('.').next().unwrap_or(name);
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            return if !name.is_empty() && name.chars().all(plain) {
                Item::Present(name.to_owned())
            } else {
                Item::Unread("`/etc/hostname` holds no name".to_owned())
            };
        }
    }
    if let Some(target) = tree.link("etc/pve/local")
        && let Some(name) = target.trim_end_matches('/').rsplit('/').next()
    {
        return Item::Present(name.to_owned());
    }
    match tree.names("etc/pve/nodes")[..] {
        [only] => Item::Present(only.to_owned()),
        [] => only_node_of_stores(tree).map_or_else(
            || Item::Unread("there is no `/etc/hostname`".to_owned()),
            Item::Present,
        ),
        _ => Item::Unread("there is no `/etc/hostname`, and more than one node".to_owned()),
    }
}

/// The node that `storage.cfg` names where it names no other: a store that is one node's says whose copy this is.
fn only_node_of_stores(tree: &Tree) -> Option<String> {
    let file = tree.file("etc/pve/storage.cfg");
    let lines = file.present()?.text.lines().map(str::trim);
    let nodes: BTreeSet<&str> = lines
        .filter_map(|line| line.strip_prefix("nodes "))
        .flat_map(|nodes| nodes.split([',', ' ']))
        .filter(|node| !node.is_empty())
        .collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match nodes.first() {
        Some(only) if nodes.len() == 1 && only.chars().all(plain) => Some((*only).to_owned()),
        Some(_) | None => None,
    }
}

fn nodes(
    tree: &Tree,
    own: Option<&str>,
    unread: &mut BTreeSet<Unread>,
) -> BTreeMap<String, LiveNode> {
    let mut nodes: BTreeMap<String, LiveNode> = BTreeMap::new();
    for name in tree.names("etc/pve/nodes") {
        let node = nodes.entry(name.to_owned()).or_default();
        for kind in GuestKind::ALL {
            let folder = kind.folder();
            let folder = format!("etc/pve/nodes/{name}/{folder}");
            guests(tree, kind, &folder, node, unread);
        }
    }
    // Where the copy has only what the links of `/etc/pve` lead to, it is the host's own.
    let own = own.unwrap_or("");
    for kind in GuestKind::ALL {
        let folder = kind.folder();
        let path = format!("etc/pve/{folder}");
        let below = format!("etc/pve/nodes/{own}/{folder}");
        if tree.link(&path).is_none() && tree.has_folder(&path) && !tree.has_folder(&below) {
            let node = nodes.entry(own.to_owned()).or_default();
            guests(tree, kind, &path, node, unread);
        }
    }
    let node = nodes.entry(own.to_owned()).or_default();
    for kind in GuestKind::ALL {
        let folder = kind.folder();
        let found = [
            format!("etc/pve/{folder}"),
            format!("etc/pve/nodes/{own}/{folder}"),
            format!("etc/pve/nodes/{own}"),
        ]
        .iter()
        .any(|path| tree.has_folder(path));
        let known = tree.missing::<()>("etc/pve/nodes");
        let why = match (found, known) {
            (true, _) => continue,
            (false, Item::Unread(why)) => why,
            // A folder in git is there only with a file in it.
            (false, _) if tree.has_folder("etc/pve") && tree.link("etc/pve/local").is_none() => {
                continue;
            }
            (false, _) => format!("the copy has nothing of `/etc/pve/{folder}`"),
        };
        let path = format!("etc/pve/{folder}");
        unread.insert(Unread {
            path,
            reason: why.clone(),
        });
        match kind {
            GuestKind::Qm => node.machines_unread = Some(why),
            GuestKind::Pct => node.containers_unread = Some(why),
        }
    }
    nodes.retain(|name, node| !name.is_empty() || !node.guests.is_empty());
    nodes
}

fn guests(
    tree: &Tree,
    kind: GuestKind,
    folder: &str,
    node: &mut LiveNode,
    unread: &mut BTreeSet<Unread>,
) {
    for (name, item) in tree.files_in(folder) {
        let vmid = name.strip_suffix(".conf").filter(|number| {
            number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0')
        });
        // `.conf.bak`, `.conf.tmp.1234`: Proxmox VE does not look at them either.
        let Some(vmid) = vmid.and_then(|number| number.parse::<u32>().ok()) else {
            continue;
        };
        match item {
            Item::Present(file) if !node.guests.contains_key(&vmid) => {
                node.guests.insert(vmid, LiveGuest::read(vmid, kind, file));
            }
            Item::Present(file) => {
                unread.insert(Unread {
                    path: file.path.clone(),
                    reason: format!("the node has another guest {vmid}"),
                });
            }
            Item::Absent => {}
            Item::Unread(reason) => {
                unread.insert(Unread {
                    path: format!("{folder}/{name}"),
                    reason,
                });
            }
        }
    }
}

/// The files directly in a folder, by name.
fn texts(tree: &Tree, folder: &str) -> BTreeMap<String, FileText> {
    tree.files_in(folder)
        .into_iter()
        .filter_map(|(name, item)| Some((name.to_owned(), (*item.present()?).clone())))
        .collect()
}

fn firewall(tree: &Tree) -> BTreeMap<String, FileText> {
    let mut files: BTreeMap<String, FileText> = texts(tree, "etc/pve/firewall")
        .into_iter()
        .map(|(name, file)| (format!("etc/pve/firewall/{name}"), file))
        .collect();
    for node in tree.names("etc/pve/nodes") {
        let path = format!("etc/pve/nodes/{node}/host.fw");
        if let Item::Present(file) = tree.file(&path) {
            files.insert(path, file.clone());
        }
    }
    files
}

fn interfaces(file: &FileText) -> LiveInterfaces {
    LiveInterfaces {
        interfaces: Interfaces::parse(&file.text),
        file: file.clone(),
    }
}

fn options(tree: &Tree, path: &str) -> Item<Options> {
    tree.file(path).map(|file| Options {
        options: read_options(&file.text),
        file: file.clone(),
    })
}

/// Reads `key: value` lines.
fn read_options(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// Reads `pveversion`, plain or with `--verbose`: `pve-manager/8.4.1/2a5f…` or `pve-manager: 8.4.1 (…)`.
fn read_version(text: &str) -> Result<Version, String> {
    let package = text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("pve-manager")?;
        let rest = rest.trim_start_matches(['/', ':', ' ']);
        let end = rest.find(['/', ' ', '~']).unwrap_or(rest.len());
        (!rest[..end].is_empty()).then(|| rest[..end].to_owned())
    });
    let package = package.ok_or_else(|| "there is no version of pve-manager in it".to_owned())?;
    let mut numbers = package.splitn(3, ['.', '-']);
    let release = match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => format!("{major}.{minor}").parse().ok(),
        _ => None,
    };
    Ok(Version { package, release })
}

fn read_numbers(text: &str) -> BTreeSet<u32> {
    text.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// From `timedatectl`, from `/etc/timezone`, or from where `/etc/localtime` leads.
fn timezone(tree: &Tree) -> Item<String> {
    if let Item::Present(answer) = tree.file(".moxc/timedate") {
        let zone = answer.text.lines().find_map(|line| {
            let line = line.trim();
            line.strip_prefix("Timezone=")
                .or_else(|| line.strip_prefix("Time zone: "))
        });
        if let Some(zone) = zone.and_then(|zone| zone.split_whitespace().next()) {
            return Item::Present(zone.to_owned());
        }
    }
    if let Some((_, zone)) = tree
        .link("etc/localtime")
        .and_then(|target| target.split_once("zoneinfo/"))
    {
        return Item::Present(zone.to_owned());
    }
    tree.file("etc/timezone").and_then(|file| {
        let zone = file.text.trim();
        (!zone.is_empty())
            .then(|| zone.to_owned())
            .ok_or_else(|| "it is empty".to_owned())
    })
}
