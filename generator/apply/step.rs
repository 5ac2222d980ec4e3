use std::net::IpAddr;

use crate::facts::hosts_file::HostsLine;
use crate::facts::making::Creation;
use crate::pve::GuestKind;
use crate::shell::Command;

/// One step: what a line of progress tells, and what `--only` and `--skip` name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The object: `vm/100`, `file/etc/vzdump.conf`.
    pub id: String,
    /// The part of the run that it belongs to.
    pub group: Group,
    /// For people: the object by its name.
    pub title: String,
    /// What it does, in order.
    pub actions: Vec<Action>,
}

/// The parts of a run, in the order in which they can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// This is the host, and secrets are in place.
    Check,
    /// Pools, datasets, volume groups.
    Storage,
    /// Files of the system.
    Files,
    /// The initial RAM disk and the boot loader.
    Boot,
    /// systemd.
    Units,
    /// Storages, mappings, passwords of Proxmox VE.
    Datacenter,
    /// What guests are made from.
    Images,
    /// Guests.
    Guests,
    /// Backup jobs and the firewall.
    Jobs,
    /// The network, guarded.
    Network,
    /// Restarts that were asked for.
    Restart,
}

impl Group {
    /// Every group, in order.
    pub const ALL: [Self; 11] = [
        Self::Check,
        Self::Storage,
        Self::Files,
        Self::Boot,
        Self::Units,
        Self::Datacenter,
        Self::Images,
        Self::Guests,
        Self::Jobs,
        Self::Network,
        Self::Restart,
    ];

    /// Its word for `--only` and `--skip`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Storage => "storage",
            Self::Files => "files",
            Self::Boot => "boot",
            Self::Units => "units",
            Self::Datacenter => "datacenter",
            Self::Images => "images",
            Self::Guests => "guests",
            Self::Jobs => "jobs",
            Self::Network => "network",
            Self::Restart => "restart",
        }
    }
}

/// What a whole file may be before it is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Anything.
    Any,
    /// Anything that no earlier run has left.
    Stranger,
    /// Not there.
    Absent,
    /// What an earlier run left.
    Left,
    /// A file of this SHA-1.
    Digest(String),
}

impl Base {
    fn word(&self) -> &str {
        match self {
            Self::Any => "any",
            Self::Stranger => "stranger",
            Self::Absent => "absent",
            Self::Left => "left",
            Self::Digest(digest) => digest,
        }
    }
}

/// How a file that others write, too, is made of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grammar {
    /// `type: id` and indented lines below: `storage.cfg`, `jobs.cfg`, mappings. An item is `ID` (its header) or
    /// `ID⇥property`; the `map` lines of a node are `ID⇥map of NODE`.
    Sections,
    /// `key: value` lines: `vzdump.conf`, `datacenter.cfg`.
    Keys,
    /// Words on a line: `kernel/cmdline`.
    Tokens,
    /// `[SECTION]` and lines below: `cluster.fw`. An item is `[OPTIONS]⇥key` or `[SECTION]⇥line`.
    Firewall,
}

impl Grammar {
    const fn word(self) -> &'static str {
        match self {
            Self::Sections => "sections",
            Self::Keys => "keys",
            Self::Tokens => "tokens",
            Self::Firewall => "firewall",
        }
    }
}

/// What is special about a merged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Nothing.
    Plain,
    /// A storage never goes, since volumes may lie on it.
    Stores,
    /// What a mapping does not say of its device is taken from the device.
    Mapping,
    /// The file is made where it is missing, and somebody else's is left alone.
    New,
}

impl Policy {
    const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Stores => "stores",
            Self::Mapping => "mapping",
            Self::New => "new",
        }
    }
}

/// One option of a guest: what it is expected to be and what it becomes; none is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The option.
    pub key: String,
    /// What it is expected to be.
    pub before: Option<String>,
    /// What it becomes.
    pub after: Option<String>,
    /// What allocates its volume, where that is new.
    pub volume: Option<String>,
    /// Whether its volume has moved or grown by then: the rest of the line changes, and this stays.
    pub follows: bool,
}

/// What a step does. Each part looks first: what is so already is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Refuses another host, another release, a cluster without quorum.
    ThisHost,
    /// Refuses a host with guests, stores or interfaces other than these and an installer's.
    FreshHost {
        /// VMIDs.
        guests: Vec<String>,
        /// Storages.
        stores: Vec<String>,
        /// Interfaces.
        interfaces: Vec<String>,
    },
    /// The files of the host that was planned for, by path: their SHA-1, `-` where absent, `=` where not looked at.
    PlannedFor(Vec<(String, String)>),
    /// What is wanted at all, by path, so that the rest of what earlier runs brought can go.
    Want(Vec<String>),
    /// What an earlier run brought, nobody wants and nobody has changed, goes.
    DropStale,
    /// The tree's `storage/create.sh`.
    Pools,
    /// A file that is all ours.
    Put {
        /// Where, from `/`.
        path: String,
        /// Its mode, in octal.
        mode: String,
        /// What may be there before.
        base: Vec<Base>,
    },
    /// A file that others write, too.
    Merge {
        /// How it is written.
        grammar: Grammar,
        /// Where.
        path: String,
        /// What is special about it.
        policy: Policy,
    },
    /// Single items of a file that others write, too, as a plan found them.
    Edit {
        /// How it is written.
        grammar: Grammar,
        /// Where.
        path: String,
        /// What is special about it.
        policy: Policy,
        /// What changes.
        items: Vec<Item>,
    },
    /// A property of a pool or a dataset.
    Property {
        /// `zpool` or `zfs`.
        program: &'static str,
        /// The pool or the dataset.
        name: String,
        /// The property.
        property: String,
        /// What it is expected to be; nothing where nobody knows.
        before: String,
        /// What it becomes.
        after: String,
    },
    /// A file that stays as it is, since it means what is wanted: later runs know it by that.
    Note {
        /// Where.
        path: String,
        /// Whether its text is kept, for files that others write, too.
        has_text: bool,
    },
    /// The node's own line in `/etc/hosts`: address, name with domain, name.
    HostsLine(HostsLine),
    /// The initial RAM disk and the boot loader, where their files changed.
    Boot,
    /// systemd and the kernel's settings, where their files changed.
    Reload,
    /// A unit that says by whom it is wanted.
    Unit {
        /// Its name.
        name: String,
        /// Whether it is started, too.
        start: bool,
        /// What has to be there for that.
        device: Option<String>,
    },
    /// A storage's password, from `/etc/moxc/secrets`.
    Secret {
        /// The file there.
        name: String,
        /// The storage.
        storage: String,
        /// What stands before it where Proxmox VE keeps it.
        prefix: String,
    },
    /// A template or an image that a guest is made from.
    Image {
        /// The volume.
        volume: String,
        /// The guest.
        vmid: String,
        /// The name of the guest whose flake builds it.
        built: Option<String>,
    },
    /// A volume that is there already, and that a guest is made with.
    Volume {
        /// The volume.
        volume: String,
        /// The guest.
        vmid: String,
    },
    /// An image that fills a disk: proved, fetched and unpacked before the guest is made.
    Fetch {
        /// What the guest's disk is told: a path of the host.
        file: String,
        /// A path of the host, or a URL.
        from: String,
        /// Its SHA-256 sum, or nothing.
        sha256: String,
        /// The program that unpacks it, or nothing.
        packed: String,
        /// The guest.
        vmid: String,
    },
    /// A guest that is there as the tree's file says.
    Guest {
        /// Which kind.
        kind: GuestKind,
        /// Its number.
        vmid: String,
        /// Its name.
        name: String,
        /// Of the file that the command was made of.
        sha256: String,
        /// What makes it.
        creation: Creation,
        /// Disks that an image fills.
        imports: Vec<String>,
        /// Disks that `--image` can fill, the one that it boots from first.
        fills: Vec<String>,
        /// The secret that holds its password.
        password: Option<String>,
    },
    /// A guest of somebody else is taken over.
    Adopt {
        /// Which kind.
        kind: GuestKind,
        /// Its number.
        vmid: String,
    },
    /// Options of a guest.
    ChangeGuest {
        /// Which kind.
        kind: GuestKind,
        /// Its number.
        vmid: String,
        /// What changes.
        items: Vec<Item>,
    },
    /// A disk that grows.
    Grow {
        /// Which kind of guest.
        kind: GuestKind,
        /// Its number.
        vmid: String,
        /// The disk.
        key: String,
        /// How large it becomes.
        size: String,
    },
    /// A disk that moves to another storage.
    Move {
        /// Which kind of guest.
        kind: GuestKind,
        /// Its number.
        vmid: String,
        /// The disk.
        key: String,
        /// The storage that it lies in.
        from: String,
        /// The storage that it moves to.
        to: String,
    },
    /// Something of the plan that is told and not done.
    Leave(String),
    /// Something that is in the way: nothing is done until somebody has seen to it.
    InTheWay(String),
    /// A change of a guest that waits for its restart.
    Waits {
        /// The guest's number.
        vmid: String,
        /// Its name.
        name: String,
        /// The options.
        options: String,
    },
    /// A name that has to be typed before the run.
    Typed {
        /// The name.
        name: String,
        /// What happens to it.
        what: String,
    },
    /// The network's files, switched as one under guard.
    Network {
        /// `interfaces` and `.link` files.
        files: Vec<String>,
        /// Names that are pinned: `lan0=bc:24:…`.
        cards: Vec<String>,
        /// What must be up afterwards: `vmbr0=192.168.1.10/24`.
        addresses: Vec<String>,
        /// What must answer afterwards, where it did before.
        gateways: Vec<String>,
        /// What may be there before.
        base: Vec<Base>,
    },
    /// The restart of a guest, where `--restart` names it.
    Restart {
        /// Which kind.
        kind: GuestKind,
        /// Its number.
        vmid: String,
        /// Its name.
        name: String,
    },
}

/// The program of a kind of guest.
const fn tool(kind: GuestKind) -> &'static str {
    match kind {
        GuestKind::Qm => "qm",
        GuestKind::Pct => "pct",
    }
}

impl Step {
    /// The lines of the script, each a verb of its runtime and what it is about; what a line needs as a file goes to
    /// `files`.
    pub(super) fn lines(self, files: &mut Vec<(String, String)>) -> Vec<Vec<String>> {
        let mut lines = vec![vec![
            "step".to_owned(),
            self.id,
            self.group.as_str().to_owned(),
            self.title,
        ]];
        let actions = self.actions.into_iter();
        lines.extend(actions.map(|action| action.words(files)));
        lines
    }
}

/// `items` as a file for the editor; its name.
fn items_file(items: &[Item], files: &mut Vec<(String, String)>) -> String {
    let name = format!(".items/{}", files.len());
    let rows: Vec<_> = items
        .iter()
        .map(|item| {
            (
                &item.key,
                &item.before,
                &item.after,
                &item.volume,
                item.follows,
            )
        })
        .collect();
    let text = serde_json::to_string(&rows).expect("texts have a JSON form");
    files.push((name.clone(), text));
    name
}

/// How a guest is made: words and what each is about, and behind `--` the command.
fn made(
    creation: Creation,
    imports: Vec<String>,
    fills: Vec<String>,
    password: Option<String>,
) -> Vec<String> {
    let mut words = Vec::new();
    let mut say = |word: &str, what: String| words.extend([word.to_owned(), what]);
    if creation.is_placed {
        say("placed", "1".to_owned());
    }
    for (key, argument) in creation.allocated {
        say("volume", format!("{key}={argument}"));
    }
    for key in imports {
        say("import", key);
    }
    for key in fills {
        say("built", key);
    }
    if let Some(secret) = password {
        say("password", secret);
    }
    if let Some(keys) = creation.keys {
        say("keys", keys);
    }
    words.push("--".to_owned());
    words.extend(creation.command.into_iter().flat_map(Command::into_words));
    words
}

impl Action {
    fn words(self, files: &mut Vec<(String, String)>) -> Vec<String> {
        let bases = |base: Vec<Base>| base.into_iter().map(|one| one.word().to_owned());
        let (verb, words): (&str, Vec<String>) = match self {
            Self::ThisHost => ("this_host", Vec::new()),
            Self::FreshHost {
                guests,
                stores,
                interfaces,
            } => (
                "fresh_host",
                vec![guests.join(" "), stores.join(" "), interfaces.join(" ")],
            ),
            Self::PlannedFor(files) => (
                "planned_for",
                files
                    .into_iter()
                    .flat_map(|(path, digest)| [path, digest])
                    .collect(),
            ),
            Self::Want(paths) => ("want", paths),
            Self::DropStale => ("drop_stale", Vec::new()),
            Self::Pools => ("pools", Vec::new()),
            Self::Put { path, mode, base } => {
                let mut words = vec![path, mode];
                words.extend(bases(base));
                ("put", words)
            }
            Self::Merge {
                grammar,
                path,
                policy,
            } => (
                "merge",
                vec![grammar.word().to_owned(), path, policy.word().to_owned()],
            ),
            Self::Edit {
                grammar,
                path,
                policy,
                items,
            } => {
                let file = items_file(&items, files);
                (
                    "edit",
                    vec![
                        grammar.word().to_owned(),
                        path,
                        policy.word().to_owned(),
                        file,
                    ],
                )
            }
            Self::Property {
                program,
                name,
                property,
                before,
                after,
            } => (
                "property",
                vec![program.to_owned(), name, property, before, after],
            ),
            Self::Note { path, has_text } => {
                let mut words = vec![path];
                words.extend(has_text.then(|| "text".to_owned()));
                ("stays", words)
            }
            Self::HostsLine(line) => {
                let own: Vec<String> = line.own.iter().map(IpAddr::to_string).collect();
                ("hosts_line", vec![line.line(), own.join(" ")])
            }
            Self::Boot => ("boot", Vec::new()),
            Self::Reload => ("reload", Vec::new()),
            Self::Unit {
                name,
                start,
                device,
            } => {
                let how = if start { "start" } else { "wait" };
                let mut words = vec![name, how.to_owned()];
                words.extend(device);
                ("unit", words)
            }
            Self::Secret {
                name,
                storage,
                prefix,
            } => ("secret", vec![name, storage, prefix]),
            Self::Image {
                volume,
                vmid,
                built,
            } => {
                let mut words = vec![volume, vmid];
                words.extend(built);
                ("image", words)
            }
            Self::Volume { volume, vmid } => ("volume", vec![volume, vmid]),
            Self::Fetch {
                file,
                from,
                sha256,
                packed,
                vmid,
            } => ("fetch", vec![file, from, sha256, packed, vmid]),
            Self::Guest {
                kind,
                vmid,
                name,
                sha256,
                creation,
                imports,
                fills,
                password,
            } => {
                let mut words = vec![tool(kind).to_owned(), vmid, name, sha256];
                words.extend(made(creation, imports, fills, password));
                ("guest", words)
            }
            Self::Adopt { kind, vmid } => ("adopt", vec![tool(kind).to_owned(), vmid]),
            Self::ChangeGuest { kind, vmid, items } => {
                let file = items_file(&items, files);
                ("change_guest", vec![tool(kind).to_owned(), vmid, file])
            }
            Self::Grow {
                kind,
                vmid,
                key,
                size,
            } => ("grow_disk", vec![tool(kind).to_owned(), vmid, key, size]),
            Self::Move {
                kind,
                vmid,
                key,
                from,
                to,
            } => (
                "move_disk",
                vec![tool(kind).to_owned(), vmid, key, from, to],
            ),
            Self::Leave(text) => ("leave", vec![text]),
            Self::InTheWay(text) => ("in_the_way", vec![text]),
            Self::Waits {
                vmid,
                name,
                options,
            } => ("waits", vec![vmid, name, options]),
            Self::Typed { name, what } => ("needs_name", vec![name, what]),
            Self::Network {
                files,
                cards,
                addresses,
                gateways,
                base,
            } => {
                let mut words = vec![
                    files.join(" "),
                    cards.join(" "),
                    addresses.join(" "),
                    gateways.join(" "),
                ];
                words.extend(bases(base));
                ("network", words)
            }
            Self::Restart { kind, vmid, name } => {
                ("restart_guest", vec![tool(kind).to_owned(), vmid, name])
            }
        };
        std::iter::once(verb.to_owned()).chain(words).collect()
    }
}
