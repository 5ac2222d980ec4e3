//! Files of `key: value` lines: `vzdump.conf`, `datacenter.cfg`.

use std::fmt::{self, Write as _};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::pve::{ConfigFile, PveOption, Release, check_option};
use crate::source::{Places, Span};
use crate::value::Line;

use super::options::report_fault;

/// Such a file, in the order in which its lines are written.
#[derive(Debug, Clone, Default)]
pub struct OptionLines {
    lines: Vec<(String, String)>,
    /// Lines of the host's own file.
    kept: Vec<Line>,
    places: Places,
}

impl OptionLines {
    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.lines {
            writeln!(text, "{key}: {value}").expect("a string takes all text");
        }
        for line in &self.kept {
            writeln!(text, "{}", line.as_str()).expect("a string takes all text");
        }
        text
    }

    /// Where the spec decides its lines.
    pub fn places(&self) -> Places {
        self.places.clone()
    }

    /// Every key with its value.
    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.lines.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
}

/// Such a file in the making: what the spec says by Proxmox VE's own names stands instead of what is decided here.
pub(super) struct Making<'a> {
    file: ConfigFile<'static>,
    release: Release,
    stated: &'a [PveOption],
    made: OptionLines,
    sink: &'a mut Sink,
}

impl<'a> Making<'a> {
    pub(super) fn new(
        file: ConfigFile<'static>,
        release: Release,
        stated: &'a [PveOption],
        sink: &'a mut Sink,
    ) -> Self {
        Self {
            file,
            release,
            stated,
            made: OptionLines::default(),
            sink,
        }
    }

    /// Sets a value that is decided at `place`, unless the spec says the option itself.
    pub(super) fn set(&mut self, key: &str, value: impl fmt::Display, place: Span) {
        if PveOption::find(self.stated, key).is_some() {
            return;
        }
        let value = value.to_string();
        match check_option(self.file, self.release, key, &value) {
            Ok(()) => self.add(key, value, place),
            Err(fault) => report_fault(fault, place, self.sink),
        }
    }

    fn add(&mut self, key: &str, value: String, place: Span) {
        self.made.lines.push((key.to_owned(), value));
        self.made.places.set(key, place);
    }

    /// Adds what the spec says, and what is kept of the host's own file at `path`.
    pub(super) fn finish(mut self, host: &crate::model::Host, path: &str) -> OptionLines {
        for option in self.stated {
            let (key, value) = (&option.key.value, &option.value.value);
            if value.is_empty() || value.contains(char::is_control) || value.trim() != value {
                self.sink.push(
                    Diagnostic::new(
                        Code::MOX0015,
                        option.value.span,
                        format!("`{key}` cannot have this value in `{path}`"),
                    )
                    .help("write one line without blanks at its ends"),
                );
            } else if let Err(fault) = check_option(self.file, self.release, key, value) {
                let place = option.place(&fault.place);
                report_fault(fault, place, self.sink);
            } else {
                self.add(key, value.clone(), option.key.span);
            }
        }
        let own: Vec<&str> = self
            .made
            .lines
            .iter()
            .map(|(key, _)| key.as_str())
            .collect();
        let kept = super::keep::lines(host, path, &own, self.sink);
        self.made.kept = kept.into_iter().map(|line| line.value.clone()).collect();
        self.made
    }
}
