//! Specs → hosts: those of one call, and the fleets among them.
//!
//! A fleet's file names its hosts' files, which share its defaults and are held against each other. Everything is read
//! by a [`Files`], so that a library's user compiles a fleet from wherever its files are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::analysis::{analyse_cluster, analyse_fleet};
use crate::compile::{self, Checked};
use crate::diagnostics::render::Found;
use crate::diagnostics::{Code, Diagnostic, Lints, Severity, Sink, in_order};
use crate::each::put_away;
use crate::model::{Host, Kinship};
use crate::near::nearest;
use crate::origin::{Origin, Surroundings};
use crate::resolve::Addresses;
use crate::resolve::fleet;
use crate::source::{FileId, SourceMap, Span, Spanned};
use crate::spec;
use crate::spec::document::{self, Document};
use crate::value::{TableNode, Value};

/// Where specs are read from. The command line has one of the disk.
pub trait Files: Sync {
    /// What stands in a file; `-` is standard input.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names of what is in a folder. Names that are no UTF-8 are left out.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Whether there is a file at `path`.
    fn is_file(&self, path: &Path) -> bool;

    /// What lies around a spec; of standard input (none), around the working folder.
    fn around(&self, spec: Option<&Path>) -> Arc<dyn Surroundings>;
}

/// Why a call's specs cannot be read at all.
#[derive(Debug)]
pub enum LoadError {
    /// A file or a folder that the system does not give.
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// More files than one call takes.
    TooMany,
    /// Standard input is named twice.
    StandardInputTwice,
    /// A host that is chosen and is none of the call's.
    NoSuchHost {
        /// Its name.
        name: String,
        /// The one that may be meant.
        near: Option<String>,
    },
}

impl LoadError {
    fn of(path: &Path, error: io::Error) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            error,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(f, "cannot read `{}`: {error}", path.display())
            }
            Self::TooMany => write!(f, "more than {MOST_FILES} files in one call"),
            Self::StandardInputTwice => {
                f.write_str("standard input can be read once: `-` is given twice")
            }
            Self::NoSuchHost { name, near } => {
                write!(f, "no host is called `{}`", name.escape_debug())?;
                match near {
                    Some(near) => write!(f, ": did you mean `{near}`?"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// The most spec files of one call: a [`FileId`] counts to 65,535, and the last look at what is emitted may add twenty
/// files for each host.
const MOST_FILES: usize = 3_000;

/// The spec files of a call.
#[derive(Debug, Default)]
pub struct Sources {
    map: SourceMap,
    /// Where a file can be written back; standard input cannot.
    paths: BTreeMap<FileId, PathBuf>,
}

impl Sources {
    /// The texts.
    pub fn map(&self) -> &SourceMap {
        &self.map
    }

    /// For generated files that a diagnostic shows.
    pub fn map_mut(&mut self) -> &mut SourceMap {
        &mut self.map
    }

    /// Where the file lies; none for standard input.
    pub fn path(&self, file: FileId) -> Option<&Path> {
        self.paths.get(&file).map(PathBuf::as_path)
    }

    /// Takes in a file that is no spec; none where it is no text, which is reported.
    pub fn take(
        &mut self,
        path: &Path,
        bytes: Vec<u8>,
        sink: &mut Sink,
    ) -> Result<Option<FileId>, LoadError> {
        Ok(match self.add(path, bytes, sink)? {
            Text::Readable(file) => Some(file),
            Text::Garbled => None,
        })
    }

    fn add(&mut self, path: &Path, bytes: Vec<u8>, sink: &mut Sink) -> Result<Text, LoadError> {
        if self.map.files().count() >= MOST_FILES {
            return Err(LoadError::TooMany);
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
pub struct Unit {
    /// Its file.
    pub file: FileId,
    /// Where it came from.
    pub origin: Origin,
    /// What is known of it.
    pub checked: Checked,
    /// How many warnings it has.
    pub warnings: usize,
    /// Its part of what has been found so far.
    told: Range<usize>,
}

/// All hosts of a call, and all that is wrong with them.
#[derive(Debug)]
pub struct Loaded {
    /// The texts of the specs.
    pub sources: Sources,
    /// The hosts.
    pub units: Vec<Unit>,
    /// What was found, in the order of its places.
    pub found: Vec<(Severity, Diagnostic)>,
}

impl Loaded {
    /// Whether any of it is an error.
    pub fn has_errors(&self) -> bool {
        has_errors(&self.found)
    }
}

/// Whether any of what was found is an error.
pub fn has_errors(found: &Found) -> bool {
    found
        .iter()
        .any(|(severity, _)| *severity == Severity::Error)
}

/// `-` on the command line.
pub fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads and checks every spec of a call, those of fleets among them.
pub fn load(
    specs: &[PathBuf],
    files: &dyn Files,
    deny_warnings: bool,
) -> Result<Loaded, LoadError> {
    load_hosts(specs, files, deny_warnings, &[])
}

/// [`load`] for these hosts alone, where there are any names. Of the others only what they mean is understood, and so
/// much that those that are wanted are held against them; what is wrong with them alone is not told. All nodes of a
/// cluster are compiled, as they share files.
pub fn load_hosts(
    specs: &[PathBuf],
    files: &dyn Files,
    deny_warnings: bool,
    wanted: &[String],
) -> Result<Loaded, LoadError> {
    let mut loader = Loader {
        wanted,
        files,
        sources: Sources::default(),
        units: Vec::new(),
        found: Vec::new(),
        deny_warnings,
    };
    let standard_input = specs.iter().filter(|path| is_standard_input(path));
    if standard_input.count() > 1 {
        return Err(LoadError::StandardInputTwice);
    }
    for path in specs {
        let bytes = loader.read(path)?;
        loader.spec(path, bytes)?;
    }
    // Two hosts of one name would be one folder of the output.
    loader.compare(0, Kinship::SameCall);
    // With errors a name may be one that was not understood.
    if !has_errors(&loader.found) {
        loader.keep_wanted()?;
    }
    Ok(Loaded {
        found: in_order(loader.found),
        sources: loader.sources,
        units: loader.units,
    })
}

/// What became of one host's document.
struct Compiled {
    unit: Option<Unit>,
    /// What is wrong with it.
    sink: Sink,
    /// How much its spec wants to be told.
    lints: Lints,
}

impl Compiled {
    /// What holds no host; why has been told.
    fn none(sink: Sink) -> Self {
        Self {
            unit: None,
            sink,
            lints: Lints::default(),
        }
    }
}

struct Loader<'a> {
    /// The names of the hosts that the call is about; all where there is none.
    wanted: &'a [String],
    files: &'a dyn Files,
    sources: Sources,
    units: Vec<Unit>,
    found: Vec<(Severity, Diagnostic)>,
    deny_warnings: bool,
}

impl Loader<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, LoadError> {
        self.files
            .read(path)
            .map_err(|error| LoadError::of(path, error))
    }

    /// A host's spec, or a fleet's.
    fn spec(&mut self, path: &Path, bytes: Vec<u8>) -> Result<(), LoadError> {
        let mut sink = Sink::new();
        let Text::Readable(file) = self.sources.add(path, bytes, &mut sink)? else {
            self.tell(sink, &Lints::default());
            return Ok(());
        };
        let document = document::parse(&self.sources.map, file, &mut sink);
        if spec::is_fleet(&document) {
            return self.fleet(path, file, &document, sink);
        }
        let wanted = self.wants(&document);
        let compiled = self.host(&[file], document, Addresses::OfHost, wanted, sink);
        self.add(compiled);
        Ok(())
    }

    /// Takes in a host, and tells what is wrong with it.
    fn add(&mut self, compiled: Compiled) {
        let Compiled { unit, sink, lints } = compiled;
        let told = self.found.len();
        self.tell(sink, &lints);
        self.units.extend(unit.map(|unit| Unit {
            warnings: self.found.len() - told,
            told: told..self.found.len(),
            ..unit
        }));
    }

    /// Whether the call is about this host.
    fn wants(&self, document: &Document) -> bool {
        let name = document
            .root
            .get("host")
            .and_then(|host| match &host.value {
                Value::Table(table) => table.get("name"),
                _ => None,
            });
        let name = name.and_then(|name| match &name.value {
            Value::String(name) => Some(name),
            _ => None,
        });
        self.wanted.is_empty() || name.is_some_and(|name| self.wanted.contains(name))
    }

    /// Leaves the hosts that the call is about.
    fn keep_wanted(&mut self) -> Result<(), LoadError> {
        let name = |unit: &Unit| unit.checked.host.name.as_str().to_owned();
        let names: Vec<String> = self.units.iter().map(name).collect();
        for wanted in self.wanted {
            if !names.contains(wanted) {
                let near = nearest(wanted, names.iter().map(String::as_str));
                return Err(LoadError::NoSuchHost {
                    name: wanted.clone(),
                    near: near.map(str::to_owned),
                });
            }
        }
        if !self.wanted.is_empty() {
            let wanted = self.wanted;
            self.units.retain(|unit| wanted.contains(&name(unit)));
        }
        Ok(())
    }

    /// One host: its file, and its fleet's where it has one.
    fn host(
        &self,
        files: &[FileId],
        document: Document,
        addresses: Addresses,
        wanted: bool,
        mut sink: Sink,
    ) -> Compiled {
        let around = self.files.around(self.sources.path(files[0]));
        let origin = Origin::of(&self.sources.map, files).with_surroundings(around);
        let source = (&self.sources.map, files[0]);
        let checked = if wanted {
            compile::check_document(source, &document, &origin, addresses, &mut sink)
        } else {
            // What is wrong with it alone is not told.
            sink = Sink::new();
            Checked {
                host: compile::understand(source, &document, addresses),
                plan: None,
            }
        };
        let lints = checked.host.lints.clone();
        put_away(checked.host.guests.len(), document);
        Compiled {
            unit: Some(Unit {
                file: files[0],
                origin,
                checked,
                warnings: 0,
                told: 0..0,
            }),
            sink,
            lints,
        }
    }

    fn fleet(
        &mut self,
        path: &Path,
        file: FileId,
        document: &Document,
        mut sink: Sink,
    ) -> Result<(), LoadError> {
        let fleet = spec::read_fleet(&self.sources.map, file, document, &mut sink);
        if !document.broken.is_empty() {
            // Hosts without their defaults would have errors that are none.
            self.tell(sink, &Lints::default());
            return Ok(());
        }
        let defaults = TableNode {
            entries: fleet
                .defaults
                .as_ref()
                .map(|raw| raw.value.0.clone())
                .unwrap_or_default(),
        };
        let mut paths: Vec<PathBuf> = Vec::new();
        let mut seen = BTreeSet::new();
        for pattern in fleet.hosts.iter().flat_map(|hosts| &hosts.value) {
            let pattern = Spanned::new(pattern.value.as_str(), pattern.span);
            for host in expand(self.files, path, pattern, &mut sink)? {
                if seen.insert(host.clone()) {
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
        let mut members = Vec::new();
        for host in paths {
            let bytes = self.read(&host)?;
            let mut sink = Sink::new();
            match self.sources.add(&host, bytes, &mut sink)? {
                Text::Readable(file) => members.push(file),
                Text::Garbled => self.tell(sink, &Lints::default()),
            }
        }
        let compile = |host: &FileId| self.member(*host, file, &fleet, &defaults);
        let compiled: Vec<Compiled> = members.par_iter().map(compile).collect();
        for host in compiled {
            self.add(host);
        }
        let hosts: Vec<Range<usize>> = self.units[first..]
            .iter()
            .filter(|unit| self.wanted.is_empty() || unit.checked.plan.is_some())
            .map(|unit| unit.told.clone())
            .collect();
        say_once(&mut self.found, &hosts);
        let kinship = if fleet.cluster.is_some() {
            Kinship::Cluster
        } else {
            Kinship::Fleet
        };
        self.compare(first, kinship);
        if let Some(name) = fleet.cluster.as_ref().and_then(|c| c.value.name.as_ref()) {
            self.unite(first, name.value.as_str());
        }
        Ok(())
    }

    /// Makes one of what the nodes of a cluster share, once nothing is wrong with any of them.
    fn unite(&mut self, first: usize, cluster: &str) {
        let units = &mut self.units[first..];
        let every = units.len();
        let hosts = units.iter_mut().filter_map(|unit| {
            let Checked { host, plan } = &mut unit.checked;
            Some((&*host, plan.as_mut()?))
        });
        let hosts: Vec<_> = hosts.collect();
        if hosts.len() < every {
            return;
        }
        let nodes: Vec<&Host> = hosts.iter().map(|(host, _)| *host).collect();
        let mut told = of_each(&nodes, analyse_cluster(&nodes));
        let mut sink = Sink::new();
        crate::targets::unite(cluster, hosts, &mut sink);
        told.push((Lints::default(), sink));
        for (lints, sink) in told {
            self.tell(sink, &lints);
        }
    }

    /// One host of a fleet.
    fn member(
        &self,
        file: FileId,
        fleet_file: FileId,
        fleet: &spec::fleet::FleetSpec,
        defaults: &TableNode,
    ) -> Compiled {
        let mut sink = Sink::new();
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
            return Compiled::none(sink);
        }
        document.root.value.merge_below(defaults);
        let files = if defaults.entries.is_empty() {
            vec![file]
        } else {
            vec![file, fleet_file]
        };
        let wanted = fleet.cluster.is_some() || self.wants(&document);
        self.host(&files, document, Addresses::OfFleet, wanted, sink)
    }

    /// Holds the hosts from the one at `first` on against each other.
    fn compare(&mut self, first: usize, kinship: Kinship) {
        let hosts: Vec<&Host> = self.units[first..]
            .iter()
            .map(|unit| &unit.checked.host)
            .collect();
        let mut sink = Sink::new();
        fleet::check(&hosts, kinship, &mut sink);
        let mut told = vec![(Lints::default(), sink)];
        match kinship {
            Kinship::SameCall => {}
            Kinship::Fleet | Kinship::Cluster => {
                told.extend(of_each(&hosts, analyse_fleet(&hosts, kinship)));
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

/// What is told of hosts together, each with the levels of the host that it is about.
fn of_each(hosts: &[&Host], found: Vec<(usize, Diagnostic)>) -> Vec<(Lints, Sink)> {
    let found = found.into_iter().map(|(at, diagnostic)| {
        let mut sink = Sink::new();
        sink.push(diagnostic);
        (hosts[at].lints.clone(), sink)
    });
    found.collect()
}

/// The fewest hosts of which a remark is said once for all.
const FEW_HOSTS: usize = 3;

/// Leaves one of the warnings that every host of a fleet has, but for names, with a word on how many there are. What
/// only some hosts have stays, and so does every error.
fn say_once(found: &mut Vec<(Severity, Diagnostic)>, hosts: &[Range<usize>]) {
    if hosts.len() < FEW_HOSTS {
        return;
    }
    let mut alike: BTreeMap<(Code, String), Vec<usize>> = BTreeMap::new();
    let mut having: BTreeMap<(Code, String), usize> = BTreeMap::new();
    for range in hosts {
        let mut own = BTreeSet::new();
        for at in range.clone() {
            let (severity, diagnostic) = &found[at];
            if *severity != Severity::Error {
                let key = (diagnostic.code, without_names(&diagnostic.message));
                own.insert(key.clone());
                alike.entry(key).or_default().push(at);
            }
        }
        for key in own {
            *having.entry(key).or_default() += 1;
        }
    }
    let mut again = BTreeSet::new();
    for (key, places) in alike {
        if having.get(&key) != Some(&hosts.len()) {
            continue;
        }
        let (first, others) = places
            .split_first()
            .expect("a key comes with its first place");
        let note = if others.len() + 1 == hosts.len() {
            format!("all {} hosts of the fleet have this", hosts.len())
        } else {
            format!(
                "all {} hosts of the fleet have this, {} times together",
                hosts.len(),
                others.len() + 1
            )
        };
        found[*first].1.notes.push(note);
        again.extend(others.iter().copied());
    }
    let mut at = 0;
    found.retain(|_| {
        at += 1;
        !again.contains(&(at - 1))
    });
}

/// A message with its names left out: what stands between backticks, and numbers.
fn without_names(message: &str) -> String {
    let outside = message.split('`').step_by(2);
    let words: Vec<&str> = outside.collect();
    words.join("`").replace(|c: char| c.is_ascii_digit(), "0")
}

/// The files that a pattern of a fleet stands for, sorted by name. `*` stands for any part of a file name.
fn expand(
    files: &dyn Files,
    fleet: &Path,
    pattern: Spanned<&str>,
    sink: &mut Sink,
) -> Result<Vec<PathBuf>, LoadError> {
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
        if files.is_file(&path) {
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
    let entries = match files.list(shown) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            sink.push(wrong(
                format!("there is no folder `{}`", shown.display()),
                "paths are relative to the fleet's file",
            ));
            return Ok(Vec::new());
        }
        Err(error) => return Err(LoadError::of(shown, error)),
    };
    let mut paths = Vec::new();
    for found in entries {
        let found = found.as_str();
        // As in a shell, `*` leaves hidden files alone; and a fleet is no host of its own.
        let hidden = found.starts_with('.') && !name.starts_with('.');
        let path = folder.join(found);
        if matches(name, found) && !hidden && files.is_file(&path) && path != fleet {
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
