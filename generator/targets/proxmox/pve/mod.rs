//! Proxmox VE's own files: guests, storage, jobs, mappings, firewall, vzdump, the installer's answers.
//!
//! One module a file. Each plans with the types of [`crate::pve`], which print byte for byte as Proxmox VE does, and
//! holds every value against its schema at the place where the spec says it. Emitting cannot fail.
//!
//! What Proxmox VE itself rewrites has no header: it would be gone with the first change, and in a guest's file it
//! would be the guest's notes.

pub mod answer;
pub mod firewall;
mod guest;
mod jobs;
pub mod lxc;
pub mod mapping;
mod options;
mod qemu;
mod storage;
pub mod virtiofs;
pub mod volumes;
pub mod vzdump;

use crate::compile::Origin;
use crate::diagnostics::Sink;
use crate::model::{GuestKind, Host};
use crate::output::{FileSet, Mode, OutputFile, RelPath};
use crate::pve::{GuestConfig, SectionConfig};
use crate::targets::Target;

pub use answer::Answer;
pub use firewall::Firewall;
pub use mapping::{PciMapping, PciMappings};
pub use virtiofs::Hook;
pub use volumes::{Volume, VolumeRole, Volumes};
pub use vzdump::Vzdump;

/// What will be written.
#[derive(Debug)]
pub struct Plan {
    host: String,
    /// Every guest's file, by VMID.
    pub guests: Vec<(u32, GuestConfig)>,
    /// `storage.cfg`.
    pub storage: SectionConfig,
    /// `jobs.cfg`, where there are jobs.
    pub jobs: Option<SectionConfig>,
    /// `mapping/pci.cfg`, where a device is passed through.
    pub pci: Option<SectionConfig>,
    /// `mapping/directory.cfg`, where Proxmox VE itself shares a folder.
    pub directories: Option<SectionConfig>,
    /// `firewall/`.
    pub firewall: Firewall,
    /// `vzdump.conf`.
    pub vzdump: Vzdump,
    /// `answer.toml`, or why there is none.
    pub answer: Answer,
    /// Hook scripts that start virtiofsd.
    pub hooks: Vec<Hook>,
}
