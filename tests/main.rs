//! Integration tests, one binary.
mod analysis;
mod calendar;
mod nix;
mod output;
mod reference_host;
