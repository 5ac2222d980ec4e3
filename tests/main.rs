//! Integration tests, one binary.
mod calendar;
mod reference_host;

mod output;
mod analysis;
