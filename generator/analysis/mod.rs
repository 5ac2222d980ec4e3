//! What no schema can see, because it spans several parts of one host.
//!
//! Each module is one subject, each check one function that pushes diagnostics of its own code. Checks run on partial
//! models too ([`Host::complete`](crate::model::Host::complete) is false): one that argues from what is absent stays
//! silent there.

mod guests;
mod memory;
mod network;
mod passthrough;
mod processor;
mod release;
mod schedules;
mod storage;
mod together;

use crate::diagnostics::Sink;
use crate::model::Host;
use together::Together;

/// Runs every check.
pub fn analyse(host: &Host, sink: &mut Sink) {
    let together = Together::new(host);
    release::check(host, sink);
    network::check(host, &together, sink);
    storage::check(host, sink);
    memory::check(host, &together, sink);
    processor::check(host, &together, sink);
    passthrough::check(host, sink);
    guests::check(host, sink);
    schedules::check(host, sink);
}
