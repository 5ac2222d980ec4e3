//! What no schema can see, because it spans several parts of one host.
//!
//! Each module is one subject, each check one function that pushes diagnostics of its own code. Checks run on partial
//! models too ([`Host::complete`](crate::model::Host::complete) is false): one that argues from what is absent stays
//! silent there.

mod guests;
mod passthrough;
mod schedules;

use crate::diagnostics::Sink;
use crate::model::Host;

/// Runs every check.
pub fn analyse(host: &Host, sink: &mut Sink) {
    passthrough::check(host, sink);
    guests::check(host, sink);
    schedules::check(host, sink);
}
