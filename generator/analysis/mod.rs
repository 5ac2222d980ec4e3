//! What no schema can see, because it spans several parts of one host.
//!
//! Each module is one subject, each check one function that pushes diagnostics of its own code. Checks run on partial
//! models too ([`Host::complete`](crate::model::Host::complete) is false): one that argues from what is absent stays
//! silent there.

mod guests;
mod idmaps;
mod memory;
mod network;
mod passthrough;
mod processor;
mod release;
mod schedules;
mod storage;
mod usb;
#[cfg(test)]
mod variants;

use crate::diagnostics::{Diagnostic, Sink};
use crate::facts::Running;
use crate::model::Host;

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

/// A host and what several subjects ask about it, worked out once.
#[derive(Debug)]
pub struct Analysis<'a> {
    host: &'a Host,
    together: Running,
}

impl<'a> Analysis<'a> {
    /// Works out what the checks share: which guests can run at the same time.
    pub fn new(host: &'a Host) -> Self {
        Self {
            host,
            together: Running::new(host),
        }
    }

    /// Runs the checks of one subject.
    pub fn check(&self, subject: Subject, sink: &mut Sink) {
        let Self { host, together } = self;
        match subject {
            Subject::Release => release::check(host, sink),
            Subject::Network => network::check(host, together, sink),
            Subject::Storage => storage::check(host, sink),
            Subject::Memory => memory::check(host, together, sink),
            Subject::Processor => processor::check(host, together, sink),
            Subject::Passthrough => {
                passthrough::check(host, together, sink);
                usb::check(host, sink);
            }
            Subject::Guests => guests::check(host, sink),
            Subject::IdMaps => idmaps::check(host, sink),
            Subject::Schedules => schedules::check(host, sink),
        }
    }
}

/// Runs every check.
pub fn analyse(host: &Host, sink: &mut Sink) {
    let analysis = Analysis::new(host);
    for subject in Subject::ALL {
        analysis.check(subject, sink);
    }
}

/// What spans several hosts of a fleet beside what must be unique, which is [`resolve`](crate::resolve::fleet)'s. Each
/// problem comes with the place of the host that it is about, whose `[lints]` it follows.
pub fn analyse_fleet(hosts: &[&Host]) -> Vec<(usize, Diagnostic)> {
    schedules::backups_of_hosts(hosts)
}

#[cfg(test)]
mod testing {
    use crate::diagnostics::{Code, Sink};
    use crate::model::Host;
    use crate::source::SourceMap;
    use crate::spec::{self, document};

    /// A host in few words: a boot mirror of two disks of 1 TB, 64 GiB of memory, and what `more` adds.
    pub(super) fn host(more: &str) -> Host {
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
    pub(super) fn host_of(text: &str) -> Host {
        let mut sources = SourceMap::new();
        let file = sources.add("host.toml", text);
        let mut sink = Sink::new();
        let document = document::parse(&sources, file, &mut sink);
        let spec = spec::read(&sources, file, &document, &mut sink).expect("a spec");
        let host = crate::resolve::resolve(&spec, &mut sink);
        assert!(host.complete, "{sink:?}");
        host
    }

    /// What the checks tell of a code: its message and its notes.
    pub(super) fn told(host: &Host, code: Code) -> Vec<(String, Vec<String>)> {
        let mut sink = Sink::new();
        super::analyse(host, &mut sink);
        sink.finish(&crate::diagnostics::Lints::default(), false)
            .into_iter()
            .filter(|(_, diagnostic)| diagnostic.code == code)
            .map(|(_, diagnostic)| (diagnostic.message, diagnostic.notes))
            .collect()
    }
}
