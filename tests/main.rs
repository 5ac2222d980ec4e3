//! Integration tests, one binary.
#![allow(clippy::disallowed_methods)] // it reads and writes files, as nothing of the compiler does

mod adopt;
mod applied;
mod applied_faults;
mod applied_plan;
mod borders;
mod broken;
mod calendar;
mod checks;
mod command_line;
mod errors;
mod fuzz;
mod gate;
mod graph;
mod growth;
mod in_memory;
mod manual;
mod mutations;
mod nix;
mod nix_print;
mod nixos;
mod nixos_scripts;
mod nu;
mod output;
mod pages;
mod program;
mod random_hosts;
mod recovery;
mod reference_host;
mod system;
mod terminal;
mod tools;
mod virtiofs_hook;
mod windows_setup;
mod wishes;
mod workflows;
