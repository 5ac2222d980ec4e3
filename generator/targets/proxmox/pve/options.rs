//! Options on their way into a guest's file: each is held against Proxmox VE's schema at the place where the spec says
//! it, and so are the raw ones of `extra`.

use std::fmt;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::Extra;
use crate::pve::schema::takes_raw_lxc_key;
use crate::pve::{
    CannotCarry, ConfigFile, FaultKind, GuestConfig, GuestKind, OptionFault, Place, PropertyString,
    Refusal, Release, check_option,
};
use crate::source::{Span, Spanned};

/// Reports an option that Proxmox VE refuses. `place` is where the fault stands in the spec.
pub(super) fn report_fault(fault: OptionFault, place: Span, sink: &mut Sink) {
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
pub(super) fn report_refusal(error: &CannotCarry, place: Span, sink: &mut Sink) {
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

/// A guest's file in the making.
pub(super) struct Options<'a> {
    /// What has been set.
    pub(super) config: GuestConfig,
    release: Release,
    sink: &'a mut Sink,
}

impl<'a> Options<'a> {
    pub(super) fn new(kind: GuestKind, release: Release, sink: &'a mut Sink) -> Self {
        Self {
            config: GuestConfig::new(kind),
            release,
            sink,
        }
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.sink.push(diagnostic);
    }

    fn file(&self) -> ConfigFile<'static> {
        self.config.kind().config_file()
    }

    /// Sets an option that the spec decides at `place`.
    pub(super) fn set(&mut self, key: &str, value: impl fmt::Display, place: Span) {
        let value = value.to_string();
        if let Err(error) = self.config.set(key, &value) {
            return report_refusal(&error, place, self.sink);
        }
        if let Err(fault) = check_option(self.file(), self.release, key, &value) {
            self.config.remove(key);
            report_fault(fault, place, self.sink);
        }
    }

    /// Sets an option to `1` or `0`.
    pub(super) fn flag(&mut self, key: &str, on: bool, place: Span) {
        self.set(key, u8::from(on), place);
    }

    /// Sets an option that has sub-options, in the order in which Proxmox VE keeps them.
    pub(super) fn property(
        &mut self,
        key: &str,
        value: Result<PropertyString, CannotCarry>,
        place: Span,
    ) {
        let set = value.and_then(|value| self.config.set_property(key, &value));
        if let Err(error) = set {
            return report_refusal(&error, place, self.sink);
        }
        let written = self.config.get(key).unwrap_or_default().to_owned();
        if let Err(fault) = check_option(self.file(), self.release, key, &written) {
            self.config.remove(key);
            report_fault(fault, place, self.sink);
        }
    }

    /// Holds a value against the schema without setting it.
    pub(super) fn check(&mut self, key: &str, value: &str, place: Span) -> bool {
        match check_option(self.file(), self.release, key, value) {
            Ok(()) => true,
            Err(fault) => {
                report_fault(fault, place, self.sink);
                false
            }
        }
    }

    /// Sets the notes.
    pub(super) fn describe(&mut self, text: &str, place: Span) {
        if let Err(error) = self.config.set_description(text) {
            report_refusal(&error, place, self.sink);
        }
    }

    /// Takes in the raw options of a spec. `own` names the key of the spec that sets an option, where one does.
    pub(super) fn extra(&mut self, extra: &[Extra], own: impl Fn(&str) -> Option<&'static str>) {
        for Extra { key, value } in extra {
            if let Some(spec_key) = own(key).filter(|_| {
                // Of options that come in numbers, the free ones are open to all.
                !key.ends_with(|c: char| c.is_ascii_digit()) || self.config.get(key).is_some()
            }) {
                self.sink.push(
                    Diagnostic::new(
                        Code::MOX0109,
                        key.span,
                        format!("`{}` is set by moxc itself", key.escape_debug()),
                    )
                    .help(format!("remove it, and say what you want by {spec_key}")),
                );
                continue;
            }
            if self.config.kind() == GuestKind::Pct && key.starts_with("lxc.") {
                self.raw(key, value);
                continue;
            }
            if let Err(fault) = check_option(self.file(), self.release, key, value) {
                let place = match &fault.place {
                    Place::Key => key.span,
                    Place::Value(range) => inside(value, range.clone()),
                };
                report_fault(fault, place, self.sink);
            } else if let Err(error) = self.config.set(key, &value.value) {
                let place = if error.why == Refusal::BadName {
                    key.span
                } else {
                    value.span
                };
                report_refusal(&error, place, self.sink);
            }
        }
    }

    fn raw(&mut self, key: &Spanned<String>, value: &Spanned<String>) {
        if !takes_raw_lxc_key(self.release, key) {
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0108,
                    key.span,
                    format!(
                        "Proxmox VE does not take the raw key `{}`",
                        key.escape_debug()
                    ),
                )
                .help("it sets this part of a container itself: use its own options"),
            );
        } else if let Err(error) = self.config.add_raw(key, &value.value) {
            report_refusal(&error, value.span, self.sink);
        }
    }
}

/// The place of a part of a value: inside the quotes, where the value is written without escapes.
pub(super) fn inside(value: &Spanned<String>, part: std::ops::Range<usize>) -> Span {
    let quotes = (value.span.range().len()).checked_sub(value.value.len());
    if part.is_empty() || part.end > value.value.len() {
        return value.span;
    }
    match quotes {
        Some(0) => value.span.slice(part),
        Some(2) => value.span.slice(part.start + 1..part.end + 1),
        Some(_) | None => value.span,
    }
}
