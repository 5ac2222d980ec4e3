//! systemd's files, as systemd reads them.

pub mod unit;

pub use unit::Unit;
