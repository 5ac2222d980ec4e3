//! Integration tests, one binary.
mod analysis;
mod calendar;
mod output;
mod nixos;
mod reference_host;
