//! Integration tests, one binary.
mod analysis;
mod broken;
mod calendar;
mod errors;
mod output;
mod nixos;
mod program;
mod reference_host;
