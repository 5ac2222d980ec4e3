//! Integration tests, one binary.

mod analysis;
mod broken;
mod calendar;
mod command_line;
mod errors;
mod mutations;
mod nix;
mod nixos;
mod output;
mod program;
mod reference_host;
mod virtiofs_hook;
