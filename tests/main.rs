//! Integration tests, one binary.
mod calendar;
