//! What Proxmox VE refuses → diagnostics at the place in the spec.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::source::Span;

use super::{CannotCarry, FaultKind, OptionFault, Refusal};

/// Reports an option that Proxmox VE refuses. `place` is where the fault stands in the spec.
pub fn report_fault(fault: OptionFault, place: Span, sink: &mut Sink) {
    let code = match fault.kind {
        FaultKind::NotYet { .. } => Code::MOX0107,
        FaultKind::UnknownKind
        | FaultKind::UnknownOption
        | FaultKind::IndexOutOfRange
        | FaultKind::AbsentHere
        | FaultKind::Gone { .. }
        | FaultKind::WrongType
        | FaultKind::NotListed
        | FaultKind::TooSmall
        | FaultKind::TooLarge
        | FaultKind::WrongLength
        | FaultKind::WrongForm
        | FaultKind::Missing
        | FaultKind::Twice
        | FaultKind::Conflict
        | FaultKind::Unreadable => Code::MOX0108,
    };
    let help = match fault.kind {
        FaultKind::NotYet { since } => Some(format!(
            "Proxmox VE {since} has it: raise `host.release`, or leave it out"
        )),
        FaultKind::UnknownKind
        | FaultKind::UnknownOption
        | FaultKind::IndexOutOfRange
        | FaultKind::AbsentHere
        | FaultKind::Gone { .. }
        | FaultKind::WrongType
        | FaultKind::NotListed
        | FaultKind::TooSmall
        | FaultKind::TooLarge
        | FaultKind::WrongLength
        | FaultKind::WrongForm
        | FaultKind::Missing
        | FaultKind::Twice
        | FaultKind::Conflict
        | FaultKind::Unreadable => None,
    };
    sink.push(Diagnostic::new(code, place, fault.message).help_if(fault.help.or(help)));
}

/// Reports a value that a file of Proxmox VE has no spelling for.
pub fn report_refusal(error: &CannotCarry, place: Span, sink: &mut Sink) {
    let code = match error.why {
        Refusal::Control(_)
        | Refusal::Comma
        | Refusal::EqualsSign
        | Refusal::Blank
        | Refusal::OuterBlank
        | Refusal::OuterQuotes
        | Refusal::NotAscii
        | Refusal::Continuation => Code::MOX0015,
        Refusal::Empty | Refusal::BadName | Refusal::Zero | Refusal::Twice => Code::MOX0108,
    };
    sink.push(
        Diagnostic::new(code, place, error.to_string())
            .help("Proxmox VE's file format has no quotes: write the value without it"),
    );
}
