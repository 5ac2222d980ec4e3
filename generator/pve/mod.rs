//! Proxmox VE's own file formats, as a pure library: no disk, no network, no knowledge of the spec but the places in it.
//!
//! * [`schema`] knows every option of every file in every release, and judges values by it;
//! * [`property`], [`guest_config`], [`section_config`] and [`interfaces`] print and read the
//!   formats, byte for byte as Proxmox writes them, so that its own rewrite changes nothing;
//! * [`check`] holds a whole printed file against the schema;
//! * [`since`] says what came with which release.
//!
//! The printers refuse a value that their format cannot carry ([`CannotCarry`]) when it is handed
//! over; printing itself cannot fail.

pub mod check;
mod encode;
pub mod guest_config;
pub mod interfaces;
mod machine;
mod option;
pub mod property;
mod refusal;
mod release;
mod report;
pub mod schema;
pub mod section_config;
pub mod since;
mod size;

pub use encode::{decode_text, encode_text};
pub use guest_config::{GuestConfig, GuestKind, holds_volume, is_drive};
pub use machine::{
    MachineVersion, USB_CONTROLLER, default_processor_and_machine, is_modern_system,
    machine_version,
};
pub use option::{PveOption, is_state, place_inside};
pub use property::PropertyString;
pub use refusal::{CannotCarry, Refusal};
pub use release::{Release, ReleaseError};
pub use report::{report_fault, report_refusal};
pub use schema::{ConfigFile, FaultKind, MappingKind, OptionFault, Place, check_option};
pub use section_config::{Section, SectionConfig, SectionFile};
pub use size::{DiskSize, DiskSizeError};
