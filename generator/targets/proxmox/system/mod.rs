//! system.

use crate::compile::Origin;
use crate::diagnostics::Sink;
use crate::model::Host;
use crate::output::FileSet;

/// What will be written.
#[derive(Debug)]
pub struct Plan;

/// Plans.
pub fn plan(_host: &Host, _sink: &mut Sink) -> Plan {
    Plan
}

/// Writes it down.
pub fn emit(_plan: &Plan, _origin: &Origin, _files: &mut FileSet) {}
