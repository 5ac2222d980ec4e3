//! Integration tests, one binary.

mod analysis;
mod broken;
mod calendar;
mod errors;
mod nix;
mod nixos;
mod output;
mod program;
mod reference_host;
mod virtiofs_hook;
