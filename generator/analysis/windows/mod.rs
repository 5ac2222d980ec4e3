//! What a spec asks of a Windows guest that Windows, its setup, an installer or cargo would not do: told at the spec, and
//! not by a script in the guest.

mod editions;
mod names;
mod paths;
mod programs;
mod rust;
mod setup;

use crate::diagnostics::Sink;
use crate::model::{Guest, Host};

pub(super) fn check(host: &Host, sink: &mut Sink) {
    // Where a key was not understood, Windows gets another edition, disc, drive, name or time zone than the spec says.
    let understood = |guest: &Guest| host.understood && guest.understood;
    for (_, guest, vm) in host.vms().filter(|(_, guest, _)| understood(guest)) {
        let Some(windows) = &vm.windows else { continue };
        editions::check(guest, vm, windows, sink);
        names::check(guest, vm, windows, sink);
        setup::check(guest, vm, windows, sink);
        programs::check(guest, vm, windows, sink);
        if let Some(rust) = &windows.rust {
            rust::check(guest, vm, rust, sink);
        }
    }
}
