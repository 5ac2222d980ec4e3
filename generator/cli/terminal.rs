use std::fmt;
use std::io::{self, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};

use super::args::{Color, Shared};
use super::{Failure, load::Sources, progress};
use crate::diagnostics::render::{self, Format, Found};
use crate::unseen;

/// Standard output and standard error, each locked once. A pipe that its reader has closed is no failure: what is
/// written from then on goes nowhere.
pub(super) struct Terminal {
    out: Stream<AutoStream<io::StdoutLock<'static>>>,
    err: Stream<AutoStream<io::StderrLock<'static>>>,
    format: Format,
    quiet: bool,
    verbose: bool,
}

impl Terminal {
    pub(super) fn new(shared: Shared) -> Self {
        let choice = match shared.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        // `auto` looks at the stream itself and at NO_COLOR, CLICOLOR and TERM.
        let auto = |chosen: ColorChoice, seen: ColorChoice| match chosen {
            ColorChoice::Auto => seen,
            ColorChoice::Always | ColorChoice::AlwaysAnsi | ColorChoice::Never => chosen,
        };
        let format: Format = shared.message_format.into();
        if shared.quiet || matches!(format, Format::Json | Format::Sarif) {
            progress::be_silent();
        }
        let (out, err) = (io::stdout(), io::stderr());
        let (out_choice, err_choice) = (
            auto(choice, AutoStream::choice(&out)),
            auto(choice, AutoStream::choice(&err)),
        );
        Self {
            out: Stream::new(AutoStream::new(out.lock(), out_choice)),
            err: Stream::new(AutoStream::new(err.lock(), err_choice)),
            format,
            quiet: shared.quiet,
            verbose: shared.verbose,
        }
    }

    /// A result: standard output.
    pub(super) fn result(&mut self, text: &str) {
        self.out.write(&unseen::for_people(text));
    }

    /// A result in JSON.
    pub(super) fn json(&mut self, text: &str) {
        self.out.write(&unseen::in_json(text));
    }

    /// A result that is no text.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.write_bytes(bytes);
    }

    /// How results are shown.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Whether more is to be said.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// What a person likes to read at the end of a result: left out with `-q` and where a program reads the diagnostics.
    pub(super) fn summary(&mut self, text: &str) {
        if !self.quiet && self.is_for_people() {
            self.out.write(&unseen::for_people(text));
        }
    }

    /// More of a summary, with `-v`.
    pub(super) fn detail(&mut self, text: fmt::Arguments<'_>) {
        if self.verbose {
            self.summary(&text.to_string());
        }
    }

    /// A word beside the result: standard error.
    pub(super) fn remark(&mut self, text: &str) {
        if !self.quiet && self.is_for_people() {
            self.err.write(&unseen::for_people(text));
        }
    }

    /// What may come next: only where a person sees it, as a pipe has no next step.
    pub(super) fn hint(&mut self, text: &str) {
        if io::stderr().is_terminal() {
            self.remark(&format!("next: {text}\n"));
        }
    }

    pub(super) fn is_for_people(&self) -> bool {
        match self.format {
            Format::Human | Format::Short => true,
            Format::Json | Format::Sarif => false,
        }
    }

    /// Errors and warnings: standard error.
    pub(super) fn diagnostics(&mut self, sources: &Sources, found: &Found) {
        let text = render::render(self.format, sources.map(), found);
        self.err.write(&match self.format {
            Format::Human | Format::Short => unseen::in_colours(&text),
            Format::Json | Format::Sarif => unseen::in_json(&text),
        });
        if self.format != Format::Human {
            return;
        }
        if let Some(count) = render::count(found) {
            let first = found[0].1.code;
            self.err.write(&format!(
                "{count}; `moxc explain {first}` tells more about the first\n"
            ));
            let fixes = found.iter().filter(|(_, d)| d.fix.is_some()).count();
            if fixes > 0 {
                self.remark(&format!("`moxc check --fix` mends {fixes} of them\n"));
            }
        }
    }

    /// Something that failed, whatever the flags say.
    pub(super) fn failure(&mut self, failure: &Failure) {
        self.err
            .write(&unseen::for_people(&format!("moxc: {failure}\n")));
    }

    /// Writes out what is left, and tells of a stream that takes no more.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.out.flush();
        self.err.flush();
        match self.out.error {
            Some(error) => Err(Failure::new(format!(
                "cannot write to standard output: {error}"
            ))),
            None => Ok(()),
        }
    }
}

struct Stream<W> {
    inner: W,
    closed: bool,
    error: Option<io::Error>,
}

impl<W: Write> Stream<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            closed: false,
            error: None,
        }
    }

    fn write(&mut self, text: &str) {
        self.write_bytes(text.as_bytes());
    }

    fn write_bytes(&mut self, bytes: &[u8]) {
        if !self.closed {
            let written = self.inner.write_all(bytes);
            self.note(written);
        }
    }

    fn flush(&mut self) {
        if !self.closed {
            let flushed = self.inner.flush();
            self.note(flushed);
        }
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.closed = true;
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.error = Some(error);
            }
        }
    }
}
