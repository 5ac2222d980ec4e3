//! Calendars and time spans: what the spec says about *when*.
//!
//! In go the strings of the spec: systemd's `OnCalendar=` expressions and systemd's time spans. Out come
//! their meaning ([`Expression`], microseconds), the instants at which they elapse in a time zone, and the
//! same schedule in the words of two other schedulers: Proxmox's calendar events and the triggers of the
//! Windows Task Scheduler. What one of them cannot say is a value that tells what and why.
//!
//! This module knows neither the spec's tables nor any output file; it reads no clock and no zone files
//! (the time zone data is built in). Rules are those of systemd 252, which Proxmox VE 8 ships, and were
//! compared with its `systemd-analyze calendar` and `systemd-analyze timespan`.

mod advice;
mod clock;
mod dialect;
mod elapse;
mod expression;
mod plain;
mod proxmox;
mod span;
mod text;
pub mod windows;
mod zone;

pub use dialect::CannotExpress;
pub use elapse::{ClockChange, ClockChangeKind, Elapse, Occurrences, Schedule};
pub use expression::{
    Calendar, Component, Expression, Field, WEEKDAY_LONG_NAMES, WEEKDAY_NAMES, Weekdays,
};
pub use proxmox::ProxmoxSchedule;
pub use span::TimeSpan;
pub use text::ParseError;
pub use zone::{Zone, ZoneName, zone_named};
