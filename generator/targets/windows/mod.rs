//! `windows/<guest>/`: what turns an empty virtual machine into the Windows guest of the spec, and keeps it up to date.

use crate::compile::Origin;
use crate::diagnostics::Sink;
use crate::model::Host;
use crate::output::FileSet;
use crate::template::Templates;

/// What will stand there.
#[derive(Debug, Default)]
pub struct Plan {}

/// Plans it.
pub fn plan(_host: &Host, _sink: &mut Sink) -> Plan {
    Plan::default()
}

/// Writes it down. Reports what a user's template cannot do.
pub fn emit(
    _plan: &Plan,
    _origin: &Origin,
    _templates: &Templates,
    _files: &mut FileSet,
    _sink: &mut Sink,
) {
}
