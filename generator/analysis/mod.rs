//! What no schema can see, because it spans several parts of one host.
//!
//! Each module is one subject, each check one function that pushes diagnostics of its own code. Checks run on partial
//! models too ([`Host::complete`](crate::model::Host::complete) is false): one that argues from what is absent stays
//! silent there.

mod cards;
mod guests;
mod host_tasks;
mod idmaps;
mod interfaces;
mod keys;
mod mappings;
mod memory;
mod network;
mod nixos;
mod nodes;
mod passthrough;
mod processor;
mod recovery;
mod release;
mod schedules;
mod shares;
mod start;
mod storage;
mod systems;
mod unheard;
mod usb;
#[cfg(test)]
mod variants;
mod windows;

use crate::diagnostics::{Diagnostic, Sink};
use crate::each::both_told;
use crate::facts::Facts;
use crate::model::{Host, Kinship};

/// What a group of checks is about; each is a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The release of Proxmox VE.
    Release,
    /// Ports, addresses, VLANs, ways out.
    Network,
    /// Disks, pools, datasets, and where backups lie.
    Storage,
    /// The memory of the host and what is taken of it.
    Memory,
    /// Threads and who is pinned to them.
    Processor,
    /// PCI functions and USB devices that go to guests.
    Passthrough,
    /// What guests' systems want, and in which order they start.
    Guests,
    /// Numbers of users that containers have on the host.
    IdMaps,
    /// What runs when.
    Schedules,
}

impl Subject {
    /// Every subject, in the order in which their checks run.
    pub const ALL: [Self; 9] = [
        Self::Release,
        Self::Network,
        Self::Storage,
        Self::Memory,
        Self::Processor,
        Self::Passthrough,
        Self::Guests,
        Self::IdMaps,
        Self::Schedules,
    ];

    /// The subject in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Network => "network",
            Self::Storage => "storage",
            Self::Memory => "memory",
            Self::Processor => "processor",
            Self::Passthrough => "passthrough",
            Self::Guests => "guests",
            Self::IdMaps => "idmaps",
            Self::Schedules => "schedules",
        }
    }
}

impl Subject {
    /// Runs the checks of this subject.
    pub fn check(self, facts: &Facts<'_>, sink: &mut Sink) {
        let (host, together) = (facts.host, &facts.running);
        match self {
            Self::Release => {
                release::check(host, sink);
                // What a key goes with may stand there under a name that was not understood.
                if host.complete {
                    unheard::check(host, sink);
                }
            }
            Self::Network => {
                network::check(host, together, sink);
                cards::check(host, sink);
                interfaces::check(host, sink);
            }
            Self::Storage => {
                storage::check(facts, sink);
                nodes::check(facts, sink);
            }
            Self::Memory => memory::check(facts, sink),
            Self::Processor => processor::check(host, together, sink),
            Self::Passthrough => {
                passthrough::check(host, together, sink);
                usb::check(host, together, sink);
                mappings::check(facts, sink);
            }
            Self::Guests => {
                guests::check(facts, sink);
                shares::check(host, sink);
                systems::check(host, sink);
                start::check(host, sink);
                nixos::check(host, sink);
                keys::check(host, sink);
                windows::check(host, sink);
            }
            Self::IdMaps => idmaps::check(host, sink),
            Self::Schedules => {
                schedules::check(facts, sink);
                // A rehearsal or a backup that was not understood might be another.
                if host.complete {
                    host_tasks::check(facts, sink);
                    recovery::check(facts, sink);
                }
            }
        }
    }
}

/// Runs every check.
pub fn analyse(facts: &Facts<'_>, sink: &mut Sink) {
    // The network of a large host takes as long as all that follows.
    let network = Subject::ALL.iter().position(|one| *one == Subject::Network);
    let (one, other) = Subject::ALL.split_at(network.map_or(0, |at| at + 1));
    let check = |subjects: &[Subject], sink: &mut Sink| {
        for subject in subjects {
            subject.check(facts, sink);
        }
    };
    both_told(
        facts.host.guests.len(),
        sink,
        |sink| check(one, sink),
        |sink| check(other, sink),
    );
}

/// What spans several hosts of a fleet beside what must be unique, which is [`resolve`](crate::resolve::fleet)'s. Each
/// problem comes with the place of the host that it is about, whose `[lints]` it follows.
pub fn analyse_fleet(hosts: &[&Host], kinship: Kinship) -> Vec<(usize, Diagnostic)> {
    schedules::backups_of_hosts(hosts, kinship)
}

/// What only the hosts of a whole cluster show, once each of them is understood. Each problem comes with the place of the
/// host that it is about, whose `[lints]` it follows.
pub fn analyse_cluster(hosts: &[&Host]) -> Vec<(usize, Diagnostic)> {
    nodes::strangers(hosts)
}

#[cfg(test)]
pub(crate) mod testing {
    use crate::compile::Compiled;
    use crate::diagnostics::{Code, Sink};
    use crate::model::Host;

    /// A host in few words: a boot mirror of two disks of 1 TB, 64 GiB of memory, and what `more` adds.
    pub(crate) fn host(more: &str) -> Host {
        host_of(&format!(
            "[host]\nname = \"pve1\"\nrelease = \"9.2\"\ntimezone = \"Europe/Berlin\"\n\
             [hardware.memory]\nsize = \"64 GiB\"\n\
             [hardware.disks]\n\
             nvme0 = {{ kind = \"nvme\", size = \"1 TB\", device = \"/dev/disk/by-id/nvme-0\" }}\n\
             nvme1 = {{ kind = \"nvme\", size = \"1 TB\", device = \"/dev/disk/by-id/nvme-1\" }}\n\
             [storage.pools.rpool]\nlayout = \"mirror\"\ndisks = [\"nvme0\", \"nvme1\"]\nboot = true\n{more}"
        ))
    }

    /// A host without a fault.
    pub(crate) fn host_of(text: &str) -> Host {
        let Compiled { checked, sink, .. } = Compiled::of("host.toml", text);
        let host = checked.host;
        assert!(host.complete, "{sink:?}");
        host
    }

    /// What the checks tell of a code: its message and its notes.
    pub(crate) fn told(host: &Host, code: Code) -> Vec<(String, Vec<String>)> {
        let mut sink = Sink::new();
        super::analyse(&crate::facts::Facts::of(host), &mut sink);
        sink.finish(&crate::diagnostics::Lints::default(), false)
            .into_iter()
            .filter(|(_, diagnostic)| diagnostic.code == code)
            .map(|(_, diagnostic)| (diagnostic.message, diagnostic.notes))
            .collect()
    }
}
