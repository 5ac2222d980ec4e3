//! What follows from a host: worked out once, read by the analysis and by every target.
//!
//! Comes in: a [`Host`]. Goes out: facts that more than one reader needs, such as which guests run
//! together, which volumes a guest has, who shares a folder. Pure: nothing here reports, and nothing knows a target.

pub mod backups;
pub mod drives;
pub mod firewall;
pub(crate) mod groups;
pub mod hosts_file;
pub mod kernel;
pub mod logins;
pub mod making;
pub mod mappings;
pub mod memory;
pub mod mounts;
pub mod network;
pub mod nodes;
pub mod pages;
pub(crate) mod pools;
pub mod root;
pub mod running;
pub mod secrets;
pub mod settings;
pub mod shares;
pub mod space;
pub mod tasks;
pub mod times;
pub mod tree;
pub mod volumes;
pub mod windows;

pub use backups::Backups;
pub use kernel::Kernel;
pub use mappings::PciMappings;
pub use pages::HugePages;
pub use running::Running;
pub use space::Space;
pub use tasks::Tasks;
pub use volumes::{Volume, VolumeRole, Volumes};

use std::sync::OnceLock;

use crate::model::Host;

/// A host, and what follows from it.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The host itself.
    pub host: &'a Host,
    /// Which guests can run at the same time.
    pub running: Running,
    /// The huge pages that the host keeps from its start on, larger ones first.
    pub pages: Vec<HugePages>,
    /// What its kernel is told when it starts.
    pub kernel: Kernel,
    /// Which volume each disk of a guest is.
    pub volumes: Volumes,
    /// What guests take of its PCI devices.
    pub mappings: PciMappings,
    /// Which copies are made of which guest.
    pub backups: Backups,
    /// What the host does at set times.
    pub tasks: Tasks<'a>,
    /// Worked out for who asks: it costs most, and few do.
    space: OnceLock<Space<'a>>,
}

impl<'a> Facts<'a> {
    /// Works out what follows from a host.
    pub fn of(host: &'a Host) -> Self {
        let running = Running::new(host);
        let volumes = Volumes::of(host);
        let pages = pages::of(host, &running);
        Self {
            host,
            kernel: kernel::of(host, &pages),
            pages,
            backups: Backups::of(host),
            mappings: PciMappings::of(host),
            tasks: Tasks::of(host, &volumes),
            running,
            volumes,
            space: OnceLock::new(),
        }
    }

    /// What volumes and datasets take of the room that there is.
    pub fn space(&self) -> &Space<'a> {
        self.space
            .get_or_init(|| Space::of(self.host, &self.volumes))
    }
}
