//! The stages strung together: every command goes through here.

use crate::analysis;
use crate::diagnostics::{Diagnostic, Lints, Severity, Sink};
use crate::each::put_away;
use crate::facts::Facts;
use crate::model::Host;
use crate::origin::Origin;
use crate::output::FileSet;
use crate::resolve;
use crate::resolve::Addresses;
use crate::source::{FileId, SourceMap};
use crate::spec;
use crate::spec::document::{self, Document};
use crate::targets::{self, Target};
use crate::template::Templates;

/// Parses, reads, resolves and analyses one host's spec, and plans every target, so that everything that can be wrong
/// has been told. The plan is there where nothing is.
pub fn check(sources: &SourceMap, file: FileId, origin: &Origin, sink: &mut Sink) -> Checked {
    let document = document::parse(sources, file, sink);
    check_document((sources, file), &document, origin, Addresses::OfHost, sink)
}

/// [`check`] for a document that has been parsed, and has taken in a fleet's defaults.
pub fn check_document(
    (sources, file): (&SourceMap, FileId),
    document: &Document,
    origin: &Origin,
    addresses: Addresses,
    sink: &mut Sink,
) -> Checked {
    let spec = spec::read(sources, file, document, sink);
    let broken = !document.broken.is_empty();
    // After a syntax error a name may only seem unknown, and a table empty: what the reader said is enough.
    let mut later = Sink::new();
    let host = resolve::resolve_for(&spec, addresses, if broken { &mut later } else { sink });
    put_away(host.guests.len(), spec);
    let mut plan = None;
    if !broken {
        let facts = Facts::of(&host);
        analysis::analyse(&facts, sink);
        // What a target cannot say is told beside every other error, as long as nothing of the model is a stand-in.
        if host.complete {
            plan = Some(targets::plan(&facts, origin, sink)).filter(|_| !sink.has_errors());
        }
    }
    Checked { host, plan }
}

/// What a host's spec means, as far as it goes, for others that are held against it: nothing is told, checked or planned.
pub fn understand(
    (sources, file): (&SourceMap, FileId),
    document: &Document,
    addresses: Addresses,
) -> Host {
    let mut untold = Sink::new();
    let spec = spec::read(sources, file, document, &mut untold);
    resolve::resolve_for(&spec, addresses, &mut untold)
}

/// What is known of a spec after its checks.
#[derive(Debug)]
pub struct Checked {
    /// The host, partial where the sink holds errors.
    pub host: Host,
    /// What every target will say; none where there are errors.
    pub plan: Option<targets::Plan>,
}

/// A spec that is there as a text, compiled by itself: for who has no file of it.
#[derive(Debug)]
pub struct Compiled {
    /// The text.
    pub sources: SourceMap,
    /// Which of the sources it is.
    pub file: FileId,
    /// What is known of it.
    pub checked: Checked,
    /// What is told of it.
    pub sink: Sink,
}

impl Compiled {
    /// Checks a spec that bears a name for what is told of it.
    pub fn of(name: &str, text: &str) -> Self {
        let mut sources = SourceMap::new();
        let file = sources.add(name, text);
        let mut sink = Sink::new();
        let origin = Origin::of(&sources, &[file]);
        let checked = check(&sources, file, &origin, &mut sink);
        Self {
            sources,
            file,
            checked,
            sink,
        }
    }

    /// All that is told so far, by the levels of moxc's own.
    pub fn found(&mut self) -> Vec<(Severity, Diagnostic)> {
        std::mem::take(&mut self.sink).finish(&Lints::default(), false)
    }

    /// The files of chosen targets; none of a spec with errors, and none a second time: a plan is used up.
    pub fn files(&mut self, targets: &[Target], templates: &Templates) -> Option<FileSet> {
        let plan = self.checked.plan.take()?;
        let host = &self.checked.host;
        Some(targets::emit(
            host,
            plan,
            targets,
            templates,
            &mut self.sink,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Code;

    /// Each guest is judged by its own table: a key of one that was not understood hides no fault of another.
    #[test]
    fn every_fault_is_told_in_one_run() {
        let spec = "[host]\nname = \"pve1\"\nrelease = \"9.2\"\ntimezone = \"Europe/Berlin\"\n\
            [hardware.memory]\nsize = \"64 GiB\"\n\
            [storage.local]\nuse = [\"iso\"]\n\
            [vms.one]\nos = \"linux\"\nvmid = 100\nmemory = \"1 GiB\"\nautostrt = true\ninstalled = true\n\
            [vms.two]\nos = \"nixos\"\nvmid = 101\nmemory = \"1 GiB\"\ninstalled = true\n\
            nixos = { immutable = true, state-version = \"25.11\" }\n\
            [vms.three]\nos = \"linux\"\nvmid = 102\nmemory = \"1 GiB\"\ninstalled = true\n\
            autostart = { order = 1 }\nneeds = [\"two\"]\n\
            [vms.four]\nos = \"linux\"\nvmid = 103\nmemory = \"1 GiB\"\ninstalled = true\n\
            autostart = { order = 1 }\nneeds = [\"one\"]\n";
        let errors = |spec: &str| {
            let found = Compiled::of("host.toml", spec).found();
            let errors = found
                .into_iter()
                .filter(|(severity, _)| *severity == Severity::Error);
            let mut codes: Vec<Code> = errors.map(|(_, told)| told.code).collect();
            codes.sort_unstable();
            codes
        };
        // What the misspelt guest seems to lack is not told: it may say it.
        assert_eq!(errors(spec), [Code::MOX0002, Code::MOX0612, Code::MOX0690]);
        let understood = spec.replace("autostrt = true\n", "");
        let all = [Code::MOX0612, Code::MOX0612, Code::MOX0690];
        assert_eq!(errors(&understood), all);
    }
}
