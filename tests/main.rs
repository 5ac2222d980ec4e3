//! Integration tests, one binary.
mod analysis;
mod calendar;
mod output;
mod reference_host;
