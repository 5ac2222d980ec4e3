//! moxc: one TOML file about a Proxmox host in, its whole configuration out.

pub mod calendar;
pub mod pve;
pub mod output;
pub mod nix;
