//! Integration tests, one binary.
mod analysis;
mod calendar;
mod nixos;
mod output;
mod reference_host;
