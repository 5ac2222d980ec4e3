//! What the setup of a Windows guest is told of it: an edition, a language, a time zone, a name.
//!
//! The analysis judges them, the target prints them.

pub mod editions;
pub mod languages;
mod zones;

use crate::model::{Guest, WindowsGuest};
use crate::source::Span;

/// The name that Windows has for the guest's time zone, where it has one.
pub fn time_zone(windows: &WindowsGuest) -> Option<&'static str> {
    zones::windows_name(windows.timezone.as_str())
}

/// The name that the machine gets in Windows, and where the spec says it: its own, else the guest's.
pub fn computer_name<'a>(guest: &'a Guest, windows: &'a WindowsGuest) -> (&'a str, Span) {
    match &windows.computer_name {
        Some(written) => (written.0.as_str(), written.span),
        None => (guest.name.as_str(), guest.name.span),
    }
}
