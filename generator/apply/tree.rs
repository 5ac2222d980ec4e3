//! The steps that bring a host to what its tree says: a fresh installation, or a host that a plan was made of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::digest::Sha256;
use crate::facts::hosts_file::HostsLine;
use crate::facts::making::{Making, Makings};
use crate::output::{FileSet, Mode};
use crate::plan::OTHER_SECTIONS;
use crate::pve::{GuestConfig, GuestKind, SectionConfig, SectionFile};
use crate::value::ImageSource;

use super::{Action, Base, Grammar, Group, Policy, Step};

/// What no file of the tree says.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The storages' passwords: the file below `/etc/moxc/secrets`, the storage, what stands before it.
    pub secrets: Vec<(String, String, String)>,
    /// How guests are made, where their files do not say it.
    pub makings: Arc<Makings>,
    /// Pools of which the spec names no disks: `storage/create.sh` makes nothing of them.
    pub bare_pools: Vec<String>,
    /// The node's own line in `/etc/hosts`.
    pub hosts_line: Option<HostsLine>,
    /// Cards whose names are pinned: `lan0=bc:24:…`.
    pub cards: Vec<String>,
    /// Addresses that must be up: `vmbr0=192.168.1.10/24`.
    pub addresses: Vec<String>,
    /// Gateways that are asked for an answer.
    pub gateways: Vec<String>,
}

/// What is known of the host that the steps are for.
#[derive(Debug, Clone)]
pub enum Situation {
    /// Nothing is there but what the installer made; anything else is refused.
    Fresh,
    /// A plan was made of it.
    Planned(Box<Planned>),
}

/// A host that a plan was made of.
#[derive(Debug, Clone, Default)]
pub struct Planned {
    /// The files that were there, by path: their SHA-1, `-` where absent.
    pub digests: Vec<(String, String)>,
    /// Guests of somebody else that are taken over, by VMID.
    pub adopt: Vec<u32>,
    /// Interfaces that an earlier run made, that are in use, and that would go.
    pub going: Vec<String>,
    /// What becomes of guests that are there and that an earlier run made, or that are taken over: by VMID.
    pub guests: BTreeMap<String, Vec<Action>>,
    /// What becomes of files that others write, too, by path.
    pub edits: BTreeMap<String, Vec<Action>>,
    /// What becomes of the pools and datasets.
    pub pools: Vec<Action>,
    /// Guests of somebody else that are as the spec says, by VMID: nothing is done to them.
    pub untouched: BTreeSet<String>,
    /// Whether the node's name stands for no address of its own.
    pub hosts: bool,
    /// Files that are all ours, where the plan leaves them as they are, with what is told of it.
    pub stays: BTreeMap<String, Option<String>>,
    /// Files that are all ours, and of which an edit by hand goes.
    pub by_hand: BTreeSet<String>,
    /// What is told of interfaces that somebody changed by hand, where their file is written for another change.
    pub interfaces: Vec<String>,
    /// What is in the way of a change of the interfaces.
    pub interfaces_refused: Vec<String>,
}

/// Files that others write, too, in the order in which they are merged.
const MERGED: &[(&str, Grammar, Policy, Group)] = &[
    (
        "etc/kernel/cmdline",
        Grammar::Tokens,
        Policy::Plain,
        Group::Files,
    ),
    (
        "etc/vzdump.conf",
        Grammar::Keys,
        Policy::Plain,
        Group::Files,
    ),
    (
        "etc/pve/datacenter.cfg",
        Grammar::Keys,
        Policy::Plain,
        Group::Datacenter,
    ),
    (
        "etc/pve/storage.cfg",
        Grammar::Sections,
        Policy::Stores,
        Group::Datacenter,
    ),
    (
        "etc/pve/mapping/pci.cfg",
        Grammar::Sections,
        Policy::Mapping,
        Group::Datacenter,
    ),
    (
        "etc/pve/mapping/usb.cfg",
        Grammar::Sections,
        Policy::Plain,
        Group::Datacenter,
    ),
    (
        "etc/pve/mapping/directory.cfg",
        Grammar::Sections,
        Policy::Plain,
        Group::Datacenter,
    ),
    (
        "etc/pve/jobs.cfg",
        Grammar::Sections,
        Policy::Plain,
        Group::Jobs,
    ),
    (
        "etc/pve/firewall/cluster.fw",
        Grammar::Firewall,
        Policy::Plain,
        Group::Jobs,
    ),
];

/// Every file that others write, too, and that every host may have.
fn always_merged() -> impl Iterator<Item = (&'static str, Grammar, Policy, Group)> {
    let others = OTHER_SECTIONS.iter();
    let others = others.map(|path| (*path, Grammar::Sections, Policy::Plain, Group::Jobs));
    MERGED.iter().copied().chain(others)
}

/// How a file is merged; none where it is all ours.
pub fn merged(path: &str) -> Option<(Grammar, Policy, Group)> {
    if path.starts_with("etc/pve/nodes/") && path.ends_with("/host.fw") {
        return Some((Grammar::Firewall, Policy::New, Group::Jobs));
    }
    if path.starts_with("etc/pve/firewall/") && path.ends_with(".fw") {
        return Some((Grammar::Firewall, Policy::Plain, Group::Jobs));
    }
    always_merged()
        .find(|(merged, ..)| *merged == path)
        .map(|(_, grammar, policy, group)| (grammar, policy, group))
}

/// Files that the installer writes, and that are replaced whole; a copy of what was there is kept.
fn is_installers(path: &str) -> bool {
    matches!(path, "etc/resolv.conf" | "etc/modprobe.d/zfs.conf")
}

fn is_network(path: &str) -> bool {
    path == "etc/network/interfaces"
        || path.starts_with("etc/systemd/network/") && path.ends_with(".link")
}

/// A guest of the tree.
#[derive(Debug)]
struct Guest {
    kind: GuestKind,
    vmid: String,
    name: String,
    /// Discs, snippets: files of stores that its configuration names.
    images: Vec<String>,
    config: GuestConfig,
    /// Of its file.
    sha256: String,
}

/// Files of stores that an option of a guest names.
fn files_of_option<'a>(key: &str, value: &'a str) -> Vec<&'a str> {
    match key {
        "hookscript" => vec![value],
        "cicustom" => value
            .split(',')
            .filter_map(|part| part.split_once('=').map(|(_, volume)| volume))
            .collect(),
        _ if value.split(',').any(|part| part == "media=cdrom") => value
            .split(',')
            .next()
            .filter(|volume| volume.contains(":iso/"))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// The files of a tree below `proxmox/`, by where they belong.
fn files(tree: &FileSet) -> impl Iterator<Item = (&str, &[u8], Mode)> {
    tree.iter().filter_map(|file| {
        let path = file.path.as_str().strip_prefix("proxmox/")?;
        Some((path, &file.contents[..], file.mode))
    })
}

fn guests(tree: &FileSet) -> Vec<Guest> {
    let snippets: BTreeSet<&str> = files(tree)
        .filter_map(|(path, ..)| Some(path.rsplit_once("/snippets/")?.1))
        .collect();
    let files: Vec<_> = files(tree).filter(|(path, ..)| is_guest(path)).collect();
    let mut guests: Vec<Guest> = files
        .into_par_iter()
        .filter_map(|(path, contents, _)| {
            let rest = path.strip_prefix("etc/pve/")?.strip_suffix(".conf")?;
            let (kind, vmid) = match rest.split_once('/')? {
                ("qemu-server", vmid) => (GuestKind::Qm, vmid),
                ("lxc", vmid) => (GuestKind::Pct, vmid),
                _ => return None,
            };
            let config = GuestConfig::parse(kind, &String::from_utf8_lossy(contents)).0;
            let name = match kind {
                GuestKind::Qm => config.get("name"),
                GuestKind::Pct => config.get("hostname"),
            };
            let name = name.unwrap_or(vmid).to_owned();
            let images = config
                .options()
                .flat_map(|(key, value)| files_of_option(key, value))
                // A snippet that the tree brings is there by then.
                .filter(|volume| {
                    let place = volume.split_once(":snippets/").map(|(_, name)| name);
                    place.is_none_or(|name| !snippets.contains(name))
                })
                .map(str::to_owned)
                .collect();
            Some(Guest {
                kind,
                vmid: vmid.to_owned(),
                name,
                images,
                sha256: Sha256::of(contents).to_string(),
                config,
            })
        })
        .collect();
    guests.sort_by_cached_key(|guest| guest.vmid.parse::<u32>().unwrap_or(u32::MAX));
    guests
}

/// Steps, in their order.
struct Steps(Vec<Step>);

impl Steps {
    /// A step, where there is anything to do.
    fn add(&mut self, id: &str, group: Group, title: &str, actions: Vec<Action>) {
        if !actions.is_empty() {
            self.0.push(Step {
                id: id.to_owned(),
                group,
                title: title.to_owned(),
                actions,
            });
        }
    }

    fn add_file(&mut self, group: Group, path: &str, actions: Vec<Action>) {
        self.add(&file_object(path), group, &format!("/{path}"), actions);
    }
}

/// What is done to each guest that is not left as it is.
fn touched<'a>(
    guests: &'a [Guest],
    wanted: &Wanted,
    situation: &Situation,
) -> Vec<(&'a Guest, Vec<Action>)> {
    let untouched = |guest: &Guest| match situation {
        Situation::Planned(planned) => planned.untouched.contains(&guest.vmid),
        Situation::Fresh => false,
    };
    guests
        .par_iter()
        .filter(|guest| !untouched(guest))
        .map(|guest| {
            let planned = match situation {
                Situation::Planned(planned) => planned.guests.get(&guest.vmid).cloned(),
                Situation::Fresh => None,
            };
            (guest, planned.unwrap_or_else(|| vec![make(guest, wanted)]))
        })
        .collect()
}

/// The steps of a whole tree.
pub fn steps(tree: &FileSet, host: &str, wanted: &Wanted, situation: &Situation) -> Vec<Step> {
    let guests = guests(tree);
    let mut steps = Steps(vec![check(tree, host, &guests, situation)]);
    if files(tree).any(|(path, ..)| path == "storage/create.sh") {
        let pools = match situation {
            Situation::Planned(planned) => planned.pools.clone(),
            Situation::Fresh => vec![Action::Pools],
        };
        steps.add("pools", Group::Storage, "pools and datasets", pools);
    }
    for (path, actions) in system_files(tree, situation) {
        steps.add_file(Group::Files, &path, actions);
    }
    let is_of_plan = match situation {
        Situation::Planned(planned) => planned.hosts,
        Situation::Fresh => true,
    };
    let hosts = wanted.hosts_line.iter().filter(|_| is_of_plan);
    let hosts = hosts.cloned().map(Action::HostsLine).collect();
    steps.add("file/etc/hosts", Group::Files, "/etc/hosts", hosts);
    steps.add(
        "stale-files",
        Group::Files,
        "files of earlier runs",
        vec![Action::DropStale],
    );
    steps.add("boot", Group::Boot, "start of the host", vec![Action::Boot]);
    let mut units = vec![Action::Reload];
    units.extend(self::units(tree));
    steps.add("units", Group::Units, "systemd units", units);
    for (path, actions) in merges(tree, host, Group::Datacenter, situation) {
        steps.add_file(Group::Datacenter, &path, actions);
    }
    let secrets = wanted
        .secrets
        .iter()
        .map(|(name, storage, prefix)| Action::Secret {
            name: name.clone(),
            storage: storage.clone(),
            prefix: prefix.clone(),
        });
    steps.add(
        "passwords",
        Group::Datacenter,
        "passwords of storages",
        secrets.collect(),
    );
    steps.add(
        "images",
        Group::Images,
        "templates and images",
        images(&guests, wanted),
    );
    for (guest, actions) in touched(&guests, wanted, situation) {
        let title = format!("guest {} ({})", guest.vmid, guest.name);
        steps.add(&object(guest), Group::Guests, &title, actions);
    }
    let mut jobs = merges(tree, host, Group::Jobs, situation);
    jobs.extend(
        files(tree)
            .filter(|(path, ..)| {
                path.starts_with("etc/pve/") && !is_guest(path) && merged(path).is_none()
            })
            .map(|(path, _, mode)| (path.to_owned(), put(path, mode, situation))),
    );
    for (path, actions) in jobs {
        steps.add_file(Group::Jobs, &path, actions);
    }
    steps.add(
        "network",
        Group::Network,
        "network",
        network(tree, wanted, situation),
    );
    let restarts = guests.iter().map(|guest| Action::Restart {
        kind: guest.kind,
        vmid: guest.vmid.clone(),
        name: guest.name.clone(),
    });
    steps.add("restart", Group::Restart, "restarts", restarts.collect());
    steps.0
}

fn object(guest: &Guest) -> String {
    let kind = match guest.kind {
        GuestKind::Qm => "vm",
        GuestKind::Pct => "ct",
    };
    format!("{kind}/{}", guest.vmid)
}

/// A file as a plan names it.
fn file_object(path: &str) -> String {
    match path.strip_prefix("etc/systemd/system/") {
        Some(name) => format!("unit/{name}"),
        None => format!("file/{path}"),
    }
}

fn is_guest(path: &str) -> bool {
    path.starts_with("etc/pve/qemu-server/") || path.starts_with("etc/pve/lxc/")
}

fn check(tree: &FileSet, host: &str, guests: &[Guest], situation: &Situation) -> Step {
    let text = |path: &str| {
        files(tree)
            .find(|(here, ..)| *here == path)
            .map_or_else(String::new, |(_, contents, _)| {
                String::from_utf8_lossy(contents).into_owned()
            })
    };
    let (stores, _) = SectionConfig::parse(SectionFile::Storage, &text("etc/pve/storage.cfg"));
    let interfaces = crate::pve::interfaces::Interfaces::parse(&text("etc/network/interfaces"));
    let mut all: Vec<String> = files(tree)
        .map(|(path, ..)| path)
        .filter(|path| {
            path.starts_with("etc/") || path.starts_with("usr/") || path.starts_with("var/")
        })
        .map(str::to_owned)
        .collect();
    all.extend(always_merged().map(|(path, ..)| path.to_owned()));
    all.push(format!("etc/pve/nodes/{host}/host.fw"));
    all.sort();
    all.dedup();
    let mut actions = vec![Action::ThisHost, Action::Want(all)];
    match situation {
        Situation::Fresh => actions.push(Action::FreshHost {
            guests: guests.iter().map(|guest| guest.vmid.clone()).collect(),
            stores: stores
                .sections()
                .map(|section| section.id().to_owned())
                .collect(),
            interfaces: interfaces
                .iter()
                .map(|interface| interface.name.clone())
                .collect(),
        }),
        Situation::Planned(planned) => {
            actions.push(Action::PlannedFor(planned.digests.clone()));
            actions.extend(
                guests
                    .iter()
                    .filter(|guest| {
                        let vmid = guest.vmid.parse::<u32>();
                        vmid.is_ok_and(|vmid| planned.adopt.contains(&vmid))
                    })
                    .map(|guest| Action::Adopt {
                        kind: guest.kind,
                        vmid: guest.vmid.clone(),
                    }),
            );
            actions.extend(planned.going.iter().map(|name| Action::Typed {
                name: name.clone(),
                what: format!("the interface {name} is in use and goes"),
            }));
        }
    }
    Step {
        id: "check".to_owned(),
        group: Group::Check,
        title: format!("the host {host}"),
        actions,
    }
}

/// A file that a plan leaves as it is, with what is told of it.
fn stays_as_it_is(path: &str, told: Option<&String>) -> Action {
    match told {
        Some(told) => Action::Leave(told.clone()),
        None => Action::Note {
            path: path.to_owned(),
            has_text: path.starts_with("etc/"),
        },
    }
}

/// A file that is all ours.
fn put(path: &str, mode: Mode, situation: &Situation) -> Vec<Action> {
    let mut base = vec![Base::Absent, Base::Left];
    match situation {
        Situation::Fresh if is_installers(path) => base.push(Base::Stranger),
        Situation::Fresh => {}
        Situation::Planned(planned) => {
            if let Some(told) = planned.stays.get(path) {
                return vec![stays_as_it_is(path, told.as_ref())];
            }
            base.extend(
                planned
                    .digests
                    .iter()
                    .filter(|(seen, digest)| seen == path && digest != "-")
                    .map(|(_, digest)| Base::Digest(digest.clone())),
            );
        }
    }
    let mut actions = Vec::new();
    if let Situation::Planned(planned) = situation
        && planned.by_hand.contains(path)
    {
        actions.push(Action::Typed {
            name: file_object(path),
            what: format!("/{path} was changed by hand, and is written anew: the edit goes"),
        });
    }
    actions.push(Action::Put {
        path: path.to_owned(),
        mode: format!("{:o}", mode.bits()),
        base,
    });
    actions
}

/// The files of the system, by path.
fn system_files(tree: &FileSet, situation: &Situation) -> Vec<(String, Vec<Action>)> {
    let mut all = merges(tree, "", Group::Files, situation);
    all.extend(
        files(tree)
            .filter(|(path, ..)| {
                (path.starts_with("etc/") || path.starts_with("usr/") || path.starts_with("var/"))
                    && !path.starts_with("etc/pve/")
                    && !is_network(path)
                    && merged(path).is_none()
            })
            .map(|(path, _, mode)| (path.to_owned(), put(path, mode, situation))),
    );
    all
}

/// The merged files of a group: those of the tree, and those that an earlier tree may have had.
fn merges(
    tree: &FileSet,
    host: &str,
    group: Group,
    situation: &Situation,
) -> Vec<(String, Vec<Action>)> {
    let merge = |path: String, grammar, policy| {
        let actions = match situation {
            Situation::Planned(planned) => planned.edits.get(&path).cloned().unwrap_or_default(),
            Situation::Fresh => vec![Action::Merge {
                grammar,
                path: path.clone(),
                policy,
            }],
        };
        (path, actions)
    };
    merged_files(tree, host)
        .into_iter()
        .filter(|(.., of)| *of == group)
        .map(|(path, grammar, policy, _)| merge(path, grammar, policy))
        .collect()
}

/// Every file that is merged: those of the tree, and those that an earlier tree may have had.
pub(super) fn merged_files(tree: &FileSet, host: &str) -> Vec<(String, Grammar, Policy, Group)> {
    let own = format!("etc/pve/nodes/{host}/host.fw");
    let own = files(tree).any(|(path, ..)| path == own).then_some(own);
    always_merged()
        .map(|(path, ..)| path.to_owned())
        .chain(own)
        .chain(
            files(tree)
                .map(|(path, ..)| path.to_owned())
                .filter(|path| {
                    path.starts_with("etc/pve/firewall/") && path != "etc/pve/firewall/cluster.fw"
                }),
        )
        .filter_map(|path| {
            let (grammar, policy, group) = merged(&path)?;
            Some((path, grammar, policy, group))
        })
        .collect()
}

/// Every unit that says by whom it is wanted. A template waits for its instance; a service is started by its timer or
/// with the host; a mount needs its device.
fn units(tree: &FileSet) -> Vec<Action> {
    files(tree)
        .filter_map(|(path, contents, _)| {
            let name = path.strip_prefix("etc/systemd/system/")?;
            let text = String::from_utf8_lossy(contents);
            if name.contains('/')
                || name.contains("@.")
                || !text.lines().any(|line| line == "[Install]")
            {
                return None;
            }
            let kind = name.rsplit('.').next().unwrap_or_default();
            let device = text
                .lines()
                .find_map(|line| line.strip_prefix("What="))
                .map(|what| what.replace("%%", "%"))
                .filter(|_| kind == "mount");
            Some(Action::Unit {
                name: name.to_owned(),
                start: matches!(kind, "target" | "timer" | "path" | "socket" | "mount"),
                device,
            })
        })
        .collect()
}

fn making<'a>(guest: &Guest, wanted: &'a Wanted) -> Option<&'a Making> {
    wanted.makings.get(&guest.vmid)
}

/// What guests are made from: templates, discs, volumes that are there, images that fill disks.
fn images(guests: &[Guest], wanted: &Wanted) -> Vec<Action> {
    guests
        .iter()
        .flat_map(|guest| {
            let image = |volume: String| Action::Image {
                volume,
                vmid: guest.vmid.clone(),
                built: None,
            };
            let mut actions: Vec<Action> = guest.images.iter().cloned().map(image).collect();
            let Some(making) = making(guest, wanted) else {
                return actions;
            };
            actions.extend(making.template.clone().map(|volume| Action::Image {
                volume,
                vmid: guest.vmid.clone(),
                built: making.built.clone(),
            }));
            actions.extend(
                guest
                    .config
                    .options()
                    .filter(|(key, _)| making.existing.iter().any(|existing| existing == key))
                    .filter_map(|(_, value)| value.split(',').next())
                    .map(|volume| Action::Volume {
                        volume: volume.to_owned(),
                        vmid: guest.vmid.clone(),
                    }),
            );
            actions.extend(making.imports.iter().map(|import| match &import.from {
                ImageSource::Volume(volume) => image(volume.as_str().to_owned()),
                ImageSource::Path(_) | ImageSource::Url(_) => Action::Fetch {
                    file: import.source(),
                    from: import.from.to_string(),
                    sha256: import.sha256.clone().unwrap_or_default(),
                    packed: import.packed().to_owned(),
                    vmid: guest.vmid.clone(),
                },
            }));
            actions
        })
        .collect()
}

fn make(guest: &Guest, wanted: &Wanted) -> Action {
    let alone = Making::default();
    let making = making(guest, wanted).unwrap_or(&alone);
    let imports = making.imports.iter();
    let fills = making.fills.iter();
    Action::Guest {
        kind: guest.kind,
        vmid: guest.vmid.clone(),
        name: guest.name.clone(),
        sha256: guest.sha256.clone(),
        creation: making.creation(&guest.config),
        imports: imports.map(|import| import.key.clone()).collect(),
        fills: fills.map(|(key, _)| key.clone()).collect(),
        password: making.password.clone(),
    }
}

fn network(tree: &FileSet, wanted: &Wanted, situation: &Situation) -> Vec<Action> {
    let none = BTreeMap::new();
    let stays = match situation {
        Situation::Fresh => &none,
        Situation::Planned(planned) => &planned.stays,
    };
    let base = match situation {
        Situation::Fresh => vec![Base::Any],
        Situation::Planned(planned) => planned
            .digests
            .iter()
            .filter(|(path, digest)| is_network(path) && digest != "-")
            .map(|(_, digest)| Base::Digest(digest.clone()))
            .collect(),
    };
    let files: Vec<String> = files(tree)
        .map(|(path, ..)| path)
        .filter(|path| is_network(path) && !stays.contains_key(*path))
        .map(str::to_owned)
        .collect();
    let told = stays.iter().filter(|(path, _)| is_network(path));
    let mut actions: Vec<Action> = told
        .map(|(path, told)| stays_as_it_is(path, told.as_ref()))
        .collect();
    if !files.is_empty() {
        if let Situation::Planned(planned) = situation {
            actions.extend(planned.interfaces.iter().cloned().map(Action::Leave));
            let refused = planned.interfaces_refused.iter().cloned();
            actions.extend(refused.map(Action::InTheWay));
        }
        actions.push(Action::Network {
            files,
            cards: wanted.cards.clone(),
            addresses: wanted.addresses.clone(),
            gateways: wanted.gateways.clone(),
            base,
        });
    }
    actions
}
