//! Options on their way into a guest's file: each is held against Proxmox VE's schema at the place where the spec says it.

use std::fmt;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::Guest;
use crate::pve::{
    CannotCarry, ConfigFile, GuestConfig, GuestKind, PropertyString, PveOption, Refusal, Release,
    check_option,
};
use crate::source::Span;

pub(super) use crate::pve::{report_fault, report_refusal};

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
        self.config.mark(key, place);
        if let Err(fault) = check_option(self.file(), self.release, key, &value) {
            self.config.remove(key);
            report_fault(fault, place, self.sink);
        }
    }

    /// Sets an option that the spec has another word for: what is wrong with its value is told by that word.
    pub(super) fn set_by_word(
        &mut self,
        (key, word): (&str, &str),
        value: impl fmt::Display,
        place: Span,
    ) {
        let value = value.to_string();
        match check_option(self.file(), self.release, key, &value) {
            Ok(()) => self.set(key, value, place),
            Err(mut fault) => {
                let (own, said) = (format!("`{key}`"), format!("`{word}`"));
                fault.message = fault.message.replace(&own, &said);
                report_fault(fault, place, self.sink);
            }
        }
    }

    /// Sets an option that the spec may also say under Proxmox VE's own name, which then counts.
    pub(super) fn set_unless(
        &mut self,
        guest: &Guest,
        key: &str,
        value: impl fmt::Display,
        place: Span,
    ) {
        if guest.option(key).is_none() {
            self.set(key, value, place);
        }
    }

    /// Sets an option that has no value, which says something, too.
    pub(super) fn set_empty(&mut self, key: &str, place: Span) {
        if let Err(error) = self.config.set_empty(key) {
            report_refusal(&error, place, self.sink);
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
        self.config.mark(key, place);
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
            return report_refusal(&error, place, self.sink);
        }
        self.config.mark("description", place);
    }

    /// Takes in the options that the language has no word for.
    pub(super) fn others(&mut self, options: &[PveOption]) {
        for PveOption { key, value, .. } in options {
            if self.config.get(key).is_some() {
                self.sink.push(
                    Diagnostic::new(
                        Code::MOX0109,
                        key.span,
                        format!("`{}` is set by moxc itself", key.escape_debug()),
                    )
                    .help("the spec's own keys say it: remove it"),
                );
            } else if let Err(error) = self.config.set(key, &value.value) {
                let place = if error.why == Refusal::BadName {
                    key.span
                } else {
                    value.span
                };
                report_refusal(&error, place, self.sink);
            } else {
                self.config.mark(key, value.span);
            }
        }
    }

    /// Adds a raw line of LXC.
    pub(super) fn raw(&mut self, line: &PveOption) {
        if let Err(error) = self.config.add_raw(&line.key, &line.value.value) {
            report_refusal(&error, line.value.span, self.sink);
        } else {
            self.config.mark(&line.key, line.value.span);
        }
    }
}
