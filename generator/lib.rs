//! moxc: one TOML file about a Proxmox host in, its whole configuration out.

pub mod nix;
