//! Integration tests, one binary.
mod calendar;
mod output;
mod analysis;
mod reference_host;
