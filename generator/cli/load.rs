//! Files → hosts: what `check` and `build` share.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Failure;
use super::args::Specs;
use super::input;
use super::surroundings::SpecFolder;
use crate::analysis::analyse_fleet;
use crate::compile::{self, Checked};
use crate::diagnostics::render::Found;
use crate::diagnostics::{Code, Diagnostic, Lints, Severity, Sink, in_order};
use crate::model::Host;
use crate::origin::Origin;
use crate::resolve::fleet::{self, Kinship};
use crate::source::{FileId, SourceMap, Span, Spanned};
use crate::spec;
use crate::spec::document::{self, Document};
use crate::value::TableNode;

/// The most spec files of one call: a [`FileId`] counts to 65,535, and the last look at what is emitted may add twenty
/// files for each host.
const MOST_FILES: usize = 3_000;

/// The spec files of a call.
#[derive(Debug, Default)]
pub(super) struct Sources {
    map: SourceMap,
    /// Where a file can be written back; standard input cannot.
    paths: BTreeMap<FileId, PathBuf>,
}

impl Sources {
    pub(super) fn map(&self) -> &SourceMap {
        &self.map
    }

    /// For generated files that a diagnostic shows.
    pub(super) fn map_mut(&mut self) -> &mut SourceMap {
        &mut self.map
    }

    /// Where the file lies; none for standard input.
    pub(super) fn path(&self, file: FileId) -> Option<&Path> {
        self.paths.get(&file).map(PathBuf::as_path)
    }

    /// Reads a file that is no spec; none where it is no text, which is reported.
    pub(super) fn read(&mut self, path: &Path, sink: &mut Sink) -> Result<Option<FileId>, Failure> {
        let bytes = read(path).map_err(|error| Failure::io("read", path, &error))?;
        Ok(match self.add(path, bytes, sink)? {
            Text::Readable(file) => Some(file),
            Text::Garbled => None,
        })
    }

    fn add(&mut self, path: &Path, bytes: Vec<u8>, sink: &mut Sink) -> Result<Text, Failure> {
        if self.map.files().count() >= MOST_FILES {
            return Err(Failure::new(format!(
                "more than {MOST_FILES} files in one call"
            )));
        }
        let name = if is_standard_input(path) {
            "<stdin>".to_owned()
        } else {
            path.display().to_string()
        };
        let (text, bad) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                (
                    text,
                    Some((at, error.as_bytes().get(..2).map(<[u8]>::to_vec))),
                )
            }
        };
        let file = self.map.add(name, text);
        if !is_standard_input(path) {
            self.paths.insert(file, path.to_owned());
        }
        let Some((at, start)) = bad else {
            return Ok(Text::Readable(file));
        };
        let utf16 = matches!(start.as_deref(), Some([0xff, 0xfe] | [0xfe, 0xff]));
        let message = if utf16 {
            "the file is UTF-16"
        } else {
            "this is not UTF-8"
        };
        // The lossy text has one character of three bytes in the place of what is wrong.
        let span = Span::new(file, at..at + '\u{fffd}'.len_utf8());
        sink.push(
            Diagnostic::new(Code::MOX0001, span, message).help("write it as a text file in UTF-8"),
        );
        Ok(Text::Garbled)
    }
}

enum Text {
    Readable(FileId),
    /// Has been reported.
    Garbled,
}

/// One host of a call.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) file: FileId,
    pub(super) origin: Origin,
    pub(super) checked: Checked,
    /// How many warnings it has.
    pub(super) warnings: usize,
}

/// All hosts of a call, and all that is wrong with them.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) sources: Sources,
    pub(super) units: Vec<Unit>,
    pub(super) found: Vec<(Severity, Diagnostic)>,
}

impl Loaded {
    pub(super) fn has_errors(&self) -> bool {
        has_errors(&self.found)
    }
}

pub(super) fn has_errors(found: &Found) -> bool {
    found
        .iter()
        .any(|(severity, _)| *severity == Severity::Error)
}

/// `-` on the command line.
pub(super) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads and checks every spec of a call, those of fleets among them.
pub(super) fn load(specs: &Specs) -> Result<Loaded, Failure> {
    let mut loader = Loader {
        sources: Sources::default(),
        units: Vec::new(),
        found: Vec::new(),
        deny_warnings: specs.deny_warnings,
    };
    if specs
        .specs
        .iter()
        .filter(|path| is_standard_input(path))
        .count()
        > 1
    {
        return Err(Failure::new(
            "standard input can be read once: `-` is given twice",
        ));
    }
    for path in &specs.specs {
        let bytes = read(path).map_err(|error| Failure::io("read", path, &error))?;
        loader.spec(path, bytes)?;
    }
    // Two hosts of one name would be one folder of the output.
    loader.compare(0, Kinship::SameCall);
    Ok(Loaded {
        found: in_order(loader.found),
        sources: loader.sources,
        units: loader.units,
    })
}

struct Loader {
    sources: Sources,
    units: Vec<Unit>,
    found: Vec<(Severity, Diagnostic)>,
    deny_warnings: bool,
}

impl Loader {
    /// A host's spec, or a fleet's.
    fn spec(&mut self, path: &Path, bytes: Vec<u8>) -> Result<(), Failure> {
        let mut sink = Sink::new();
        let Text::Readable(file) = self.sources.add(path, bytes, &mut sink)? else {
            self.tell(sink, &Lints::default());
            return Ok(());
        };
        let document = document::parse(&self.sources.map, file, &mut sink);
        if spec::is_fleet(&document) {
            return self.fleet(path, file, &document, sink);
        }
        self.host(&[file], &document, sink);
        Ok(())
    }

    /// One host: its file, and its fleet's where it has one.
    fn host(&mut self, files: &[FileId], document: &Document, mut sink: Sink) {
        let folder = SpecFolder::of(self.sources.path(files[0]));
        let origin = Origin::of(&self.sources.map, files).amid(Arc::new(folder));
        let checked =
            compile::check_document(&self.sources.map, files[0], document, &origin, &mut sink);
        let lints = checked
            .host
            .as_ref()
            .map(|host| host.lints.clone())
            .unwrap_or_default();
        let told = self.found.len();
        self.tell(sink, &lints);
        self.units.push(Unit {
            file: files[0],
            origin,
            checked,
            warnings: self.found.len() - told,
        });
    }

    fn fleet(
        &mut self,
        path: &Path,
        file: FileId,
        document: &Document,
        mut sink: Sink,
    ) -> Result<(), Failure> {
        let fleet = spec::read_fleet(&self.sources.map, file, document, &mut sink);
        let Some(fleet) = fleet.filter(|_| document.broken.is_empty()) else {
            // Hosts without their defaults would have errors that are none.
            self.tell(sink, &Lints::default());
            return Ok(());
        };
        let defaults = TableNode {
            entries: fleet
                .defaults
                .as_ref()
                .map(|raw| raw.value.0.clone())
                .unwrap_or_default(),
        };
        let mut paths: Vec<PathBuf> = Vec::new();
        for pattern in fleet.hosts.iter().flat_map(|hosts| &hosts.value) {
            let pattern = Spanned::new(pattern.value.as_str(), pattern.span);
            for host in expand(path, pattern, &mut sink)? {
                if !paths.contains(&host) {
                    paths.push(host);
                }
            }
        }
        if let Some(hosts) = fleet.hosts.as_ref().filter(|hosts| hosts.value.is_empty()) {
            sink.push(
                Diagnostic::new(Code::MOX0023, hosts.span, "the fleet names no host")
                    .help("name the hosts' files: `hosts = [\"hosts/*.toml\"]`"),
            );
        }
        self.tell(sink, &Lints::default());
        let first = self.units.len();
        for host in paths {
            self.member(&host, file, &fleet, &defaults)?;
        }
        let kinship = if fleet.cluster.is_some() {
            Kinship::Cluster
        } else {
            Kinship::Fleet
        };
        self.compare(first, kinship);
        Ok(())
    }

    /// One host of a fleet.
    fn member(
        &mut self,
        path: &Path,
        fleet_file: FileId,
        fleet: &spec::fleet::FleetSpec,
        defaults: &TableNode,
    ) -> Result<(), Failure> {
        let bytes = read(path).map_err(|error| Failure::io("read", path, &error))?;
        let mut sink = Sink::new();
        let Text::Readable(file) = self.sources.add(path, bytes, &mut sink)? else {
            self.tell(sink, &Lints::default());
            return Ok(());
        };
        let mut document = document::parse(&self.sources.map, file, &mut sink);
        if spec::is_fleet(&document) {
            let hosts = document
                .root
                .get("hosts")
                .map_or(document.root.span, |n| n.span);
            let mut diagnostic = Diagnostic::new(Code::MOX0023, hosts, "this is a fleet itself");
            if let Some(named) = &fleet.hosts {
                diagnostic = diagnostic.also(named.span, "a fleet's hosts are named here");
            }
            sink.push(diagnostic.help("a fleet holds hosts: name their files in one fleet"));
            self.tell(sink, &Lints::default());
            return Ok(());
        }
        document.root.value.merge_below(defaults);
        let files = if defaults.entries.is_empty() {
            vec![file]
        } else {
            vec![file, fleet_file]
        };
        self.host(&files, &document, sink);
        Ok(())
    }

    /// Holds the hosts from the one at `first` on against each other.
    fn compare(&mut self, first: usize, kinship: Kinship) {
        let hosts: Vec<&Host> = self.units[first..]
            .iter()
            .filter_map(|unit| unit.checked.host.as_ref())
            .collect();
        let mut sink = Sink::new();
        fleet::check(&hosts, kinship, &mut sink);
        let mut told = vec![(Lints::default(), sink)];
        match kinship {
            Kinship::SameCall => {}
            Kinship::Fleet | Kinship::Cluster => {
                for (at, diagnostic) in analyse_fleet(&hosts) {
                    let mut sink = Sink::new();
                    sink.push(diagnostic);
                    told.push((hosts[at].lints.clone(), sink));
                }
            }
        }
        for (lints, sink) in told {
            self.tell(sink, &lints);
        }
    }

    fn tell(&mut self, sink: Sink, lints: &Lints) {
        self.found.extend(sink.finish(lints, self.deny_warnings));
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if is_standard_input(path) {
        input::read_standard_input()
    } else {
        input::read(path)
    }
}

/// The files that a pattern of a fleet stands for, sorted by name. `*` stands for any part of a file name.
fn expand(fleet: &Path, pattern: Spanned<&str>, sink: &mut Sink) -> Result<Vec<PathBuf>, Failure> {
    let base = if is_standard_input(fleet) {
        Path::new("")
    } else {
        fleet.parent().unwrap_or(Path::new(""))
    };
    let (folder, name) = match pattern.value.rsplit_once('/') {
        Some(("", name)) => (PathBuf::from("/"), name),
        Some((folder, name)) => (base.join(folder), name),
        None => (base.to_owned(), pattern.value),
    };
    let wrong = |message: String, help: &str| {
        Diagnostic::new(Code::MOX0023, pattern.span, message).help(help)
    };
    if folder.to_string_lossy().contains('*') {
        sink.push(wrong(
            format!("`*` in the folder of `{}`", pattern.value),
            "`*` stands for a part of a file's name: write a pattern for each folder",
        ));
        return Ok(Vec::new());
    }
    if !name.contains('*') {
        let path = folder.join(name);
        if path.is_file() {
            return Ok(vec![path]);
        }
        sink.push(wrong(
            format!("there is no file `{}`", path.display()),
            "paths are relative to the fleet's file",
        ));
        return Ok(Vec::new());
    }
    let shown = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &folder
    };
    let entries = match fs::read_dir(shown) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            sink.push(wrong(
                format!("there is no folder `{}`", shown.display()),
                "paths are relative to the fleet's file",
            ));
            return Ok(Vec::new());
        }
        Err(error) => return Err(Failure::io("read", shown, &error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Failure::io("read", shown, &error))?;
        let found = entry.file_name();
        let Some(found) = found.to_str() else {
            continue;
        };
        // As in a shell, `*` leaves hidden files alone; and a fleet is no host of its own.
        let hidden = found.starts_with('.') && !name.starts_with('.');
        let path = folder.join(found);
        if matches(name, found) && !hidden && path.is_file() && path != fleet {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        sink.push(wrong(
            format!("no file is called `{}`", pattern.value),
            "paths are relative to the fleet's file",
        ));
    }
    Ok(paths)
}

/// Whether `name` is one that `pattern` stands for.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_part_of_a_name() {
        for (pattern, name) in [
            ("*.toml", "a.toml"),
            ("*.toml", ".toml"),
            ("pve*.toml", "pve.toml"),
            ("a*b*c", "aXbYbZc"),
            ("*", ""),
            ("plain", "plain"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.toml", "a.tom"),
            ("a*a", "a"),
            ("a*b*c", "acb"),
            ("plain", "plainer"),
            ("pve*.toml", "xpve.toml"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
