//! The user's own modules and scripts (`[….nixos] modules`, `[….nixos.scripts]`), copied into the tree with everything that they name.
//!
//! In: the paths that the spec names, and a view of what lies around it. Out: files for `nixos/modules/`, laid out to each
//! other as the originals are, so that a relative path in one of them means the same there. What a module names is read off
//! its text: every relative path literal. Nothing is evaluated, so a path that Nix computes is copied with the folder that
//! its literal part names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

use rnix::ast::{self, AstToken, InterpolPart};
use rowan::ast::AstNode;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::Host;
use crate::nix;
use crate::origin::{Found, Surroundings};
use crate::output::{FileSet, Manifest, Mode, OutputFile, RelPath};
use crate::source::Span;

/// The folder below `nixos/` that holds them.
const FOLDER: &str = "modules";
/// Stands for a folder whose name is not known: the spec's own, and those above it, where a module lies above the spec.
const UNNAMED: &str = "_";
/// What lies in a folder that moxc wrote.
const MANIFEST: &str = "manifest.json";
/// More than a person's modules ever are; a path that took in a whole disk is found here.
const MOST_FILES: usize = 2_000;
/// The same in bytes.
const MOST_BYTES: usize = 32 << 20;

/// Where something lies, seen from the spec's folder: so many folders up, then down. In its plain form, as Nix itself
/// takes `.` and `..` out of a path by its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    up: usize,
    down: Vec<String>,
}

impl Place {
    /// The spec's own folder.
    fn here() -> Self {
        Self {
            up: 0,
            down: Vec::new(),
        }
    }

    /// What `path` means inside this folder.
    fn step(&self, path: &str) -> Self {
        let mut place = self.clone();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    if place.down.pop().is_none() {
                        place.up += 1;
                    }
                }
                name => place.down.push(name.to_owned()),
            }
        }
        place
    }

    /// The folder that it lies in.
    fn folder(&self) -> Self {
        self.step("..")
    }

    /// Whether it is the spec's folder, or one above.
    fn holds_the_spec(&self) -> bool {
        self.down.is_empty()
    }

    /// Its path below the folder that lies `depth` above the spec's.
    fn below(&self, depth: usize) -> String {
        let unnamed = std::iter::repeat_n(UNNAMED, depth.saturating_sub(self.up));
        let parts: Vec<&str> = unnamed
            .chain(self.down.iter().map(String::as_str))
            .collect();
        parts.join("/")
    }
}

/// As it is written in a module: relative to the spec.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ups = std::iter::repeat_n("..", self.up);
        let parts: Vec<&str> = ups.chain(self.down.iter().map(String::as_str)).collect();
        if parts.is_empty() {
            return f.write_str(".");
        }
        f.write_str(&parts.join("/"))
    }
}

/// The copies, and where each module of the spec lies among them.
#[derive(Debug, Default)]
pub(super) struct UserModules {
    files: FileSet,
    /// How many folders above the spec's the highest file lies.
    depth: usize,
}

impl UserModules {
    /// The path by which a guest's module imports the one that the spec calls `written`.
    pub(super) fn path_of(&self, written: &str) -> String {
        let place = Place::here().step(written);
        format!("./{FOLDER}/{}", place.below(self.depth))
    }

    /// Whether one of them may declare an option of that name: it has the name in it, or what it imports is not seen.
    pub(super) fn may_declare(&self, name: &str) -> bool {
        self.files.is_empty()
            || self.files.iter().any(|file| {
                let text = String::from_utf8_lossy(&file.contents);
                text.contains(name) || text.contains("inputs.")
            })
    }

    /// The copies, with their paths in the tree.
    pub(super) fn into_files(self) -> FileSet {
        self.files
    }
}

/// Copies the modules of every guest. Reports those that are not there (MOX0847), that would take in too much (MOX0848),
/// or that are not Nix (MOX0849). Without a view of the surroundings nothing is copied, and nothing is missed.
pub(super) fn collect(
    host: &Host,
    around: Option<&dyn Surroundings>,
    target: &'static str,
    sink: &mut Sink,
) -> UserModules {
    let mut walk = Walk {
        around,
        copies: BTreeMap::new(),
        seen: BTreeSet::new(),
        bytes: 0,
        sink,
    };
    let mut depth = 0;
    for guest in host.guests.values() {
        let Some(nixos) = &guest.nixos else { continue };
        for module in &nixos.modules {
            let place = Place::here().step(&module.value.0);
            depth = depth.max(place.up);
            walk.module(&place, module.span);
        }
        for source in nixos
            .scripts
            .iter()
            .filter_map(|script| script.source.as_ref())
        {
            let place = Place::here().step(&source.value.0);
            depth = depth.max(place.up);
            walk.script(&place, source.span);
        }
    }
    let Walk { copies, sink, .. } = walk;
    let depth = copies.keys().map(|place| place.up).fold(depth, usize::max);
    let mut modules = UserModules {
        files: FileSet::new(),
        depth,
    };
    for (place, copy) in copies {
        let path = format!("{target}/{FOLDER}/{}", place.below(depth));
        let added = RelPath::new(path)
            .map_err(|error| error.to_string())
            .and_then(|path| {
                let mode = if copy.executable {
                    Mode::Executable
                } else {
                    Mode::Regular
                };
                let file = OutputFile::bytes(path, copy.contents, mode, target);
                modules
                    .files
                    .insert(file)
                    .map_err(|clash| clash.to_string())
            });
        if let Err(message) = added {
            sink.push(
                Diagnostic::new(
                    Code::MOX0848,
                    copy.span,
                    format!("`{place}` cannot be copied"),
                )
                .label("is used by this module")
                .help("give it a plain name")
                .note(message),
            );
        }
    }
    modules
}

/// A file to be written.
struct Copy {
    contents: Vec<u8>,
    executable: bool,
    /// The module of the spec that needs it.
    span: Span,
}

struct Walk<'a> {
    around: Option<&'a dyn Surroundings>,
    copies: BTreeMap<Place, Copy>,
    /// Files and folders that have been looked at.
    seen: BTreeSet<Place>,
    bytes: usize,
    sink: &'a mut Sink,
}

/// Why a file is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// A module or a path literal names it.
    Named,
    /// It lies in a folder that one names.
    Beside,
}

/// Stops the walk for one module: what is wrong has been told.
struct Told;

impl Walk<'_> {
    /// A module that the spec names.
    fn module(&mut self, place: &Place, span: Span) {
        let Some(around) = self.around else { return };
        let missing = |message: String, help: String| {
            Diagnostic::new(Code::MOX0847, span, message)
                .label("is imported by the guest's module")
                .help(help)
        };
        let entry = if place.holds_the_spec() {
            Err(io::Error::from(io::ErrorKind::IsADirectory))
        } else {
            around.look(&place.to_string())
        };
        let found = match entry {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.sink.push(missing(
                    format!("there is no file `{place}`"),
                    "paths of modules are relative to the spec's folder".to_owned(),
                ));
                return;
            }
            Err(error) => {
                self.sink.push(missing(
                    format!("`{place}` cannot be read as a module"),
                    format!("name a file that can be read: {error}"),
                ));
                return;
            }
        };
        if let Found::Folder(names) = &found
            && !names.iter().any(|name| name == "default.nix")
        {
            self.sink.push(missing(
                format!("there is no file `{place}/default.nix`"),
                "a folder is imported by its `default.nix`: write one, or name a file".to_owned(),
            ));
            return;
        }
        // What is wrong with it has been told.
        let _: Result<(), Told> = self.take(place, found, Reason::Named, span);
    }

    /// A script that the spec names.
    fn script(&mut self, place: &Place, span: Span) {
        let Some(around) = self.around else { return };
        let found = around.look(&place.to_string());
        let message = match &found {
            Ok(Found::File { contents, .. }) if std::str::from_utf8(contents).is_ok() => None,
            Ok(Found::File { .. }) => Some(format!("`{place}` is not text")),
            Ok(Found::Folder(_)) => Some(format!("`{place}` is a folder")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some(format!("there is no file `{place}`"))
            }
            Err(_) => Some(format!("`{place}` cannot be read")),
        };
        match (message, found) {
            (None, Ok(found)) => {
                // What is wrong with it has been told.
                let _: Result<(), Told> = self.take(place, found, Reason::Named, span);
            }
            (message, _) => self.sink.push(
                Diagnostic::new(Code::MOX0847, span, message.unwrap_or_default())
                    .label("is installed as a command")
                    .help("name a script: its path is relative to the spec's folder"),
            ),
        }
    }

    /// Copies what was found at a place, and what its texts name.
    fn take(
        &mut self,
        place: &Place,
        found: Found,
        reason: Reason,
        span: Span,
    ) -> Result<(), Told> {
        if !self.seen.insert(place.clone()) {
            return Ok(());
        }
        match found {
            Found::File {
                contents,
                executable,
            } => self.file(place, contents, executable, reason, span),
            Found::Folder(names) => {
                // A folder that moxc wrote would hold copies of the copies.
                if self.is_output(place, &names) {
                    return Ok(());
                }
                for name in names.iter().filter(|name| !name.starts_with('.')) {
                    self.follow(&place.step(name), Reason::Beside, span)?;
                }
                Ok(())
            }
        }
    }

    /// Copies what lies at a place, if anything does: `pathExists` may ask for it.
    fn follow(&mut self, place: &Place, reason: Reason, span: Span) -> Result<(), Told> {
        let Some(around) = self.around.filter(|_| !self.seen.contains(place)) else {
            return Ok(());
        };
        match around.look(&place.to_string()) {
            Ok(found) => self.take(place, found, reason, span),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.tell(
                span,
                Code::MOX0847,
                format!("`{place}` cannot be read"),
                "is used by this module",
                error.to_string(),
            )),
        }
    }

    fn is_output(&self, folder: &Place, names: &[String]) -> bool {
        let manifest = names.iter().find(|name| *name == MANIFEST);
        let found = manifest
            .zip(self.around)
            .and_then(|(name, around)| around.look(&folder.step(name).to_string()).ok());
        match found {
            Some(Found::File { contents, .. }) => Manifest::from_json(&contents).is_ok(),
            Some(Found::Folder(_)) | None => false,
        }
    }

    fn file(
        &mut self,
        place: &Place,
        contents: Vec<u8>,
        executable: bool,
        reason: Reason,
        span: Span,
    ) -> Result<(), Told> {
        self.bytes += contents.len();
        if self.bytes > MOST_BYTES || self.copies.len() >= MOST_FILES {
            return Err(self.tell(
                span,
                Code::MOX0848,
                format!(
                    "more than {MOST_FILES} files, or {} MiB, would be copied",
                    MOST_BYTES >> 20
                ),
                "reached by this module",
                format!("the last one was `{place}`"),
            ));
        }
        let is_nix = place.down.last().is_some_and(|name| name.ends_with(".nix"));
        let Some(text) = std::str::from_utf8(&contents).ok().filter(|_| is_nix) else {
            let copy = Copy {
                contents,
                executable,
                span,
            };
            self.copies.insert(place.clone(), copy);
            return Ok(());
        };
        let named = match literals(text) {
            Ok(named) => named,
            // A file beside others may be anything, a template for example.
            Err(_) if reason == Reason::Beside => Vec::new(),
            Err(fault) => {
                let (line, column) = nix::line_and_column(text, fault.range.start);
                return Err(self.tell(
                    span,
                    Code::MOX0849,
                    format!("`{place}` is not Nix"),
                    "imports it",
                    format!("line {line}, column {column}: {}", fault.message),
                ));
            }
        };
        let copy = Copy {
            contents: with_header(place, text).into_bytes(),
            executable,
            span,
        };
        self.copies.insert(place.clone(), copy);
        let folder = place.folder();
        for literal in named {
            let target = folder.step(&literal);
            if target.holds_the_spec() {
                return Err(self.tell(
                    span,
                    Code::MOX0848,
                    format!("`{place}` names the folder of the spec"),
                    "uses it",
                    format!("its path `{literal}` would take in all that lies there"),
                ));
            }
            self.follow(&target, Reason::Named, span)?;
        }
        Ok(())
    }

    fn tell(
        &mut self,
        span: Span,
        code: Code,
        headline: String,
        label: &str,
        note: String,
    ) -> Told {
        let help = match code {
            Code::MOX0848 => {
                "name files one by one, or put what the module needs into a folder of its own"
            }
            _ => "correct the file, or take the module out of the spec",
        };
        self.sink.push(
            Diagnostic::new(code, span, headline)
                .label(label)
                .help(help)
                .note(note),
        );
        Told
    }
}

/// A copy says that it is one. A comment before a Nix expression changes nothing but the numbers of its lines.
fn with_header(place: &Place, text: &str) -> String {
    format!(
        "# Copied by moxc {} from {place}: edit that file, not this one.\n{text}",
        env!("CARGO_PKG_VERSION")
    )
}

/// The relative paths that a Nix text holds, each once, in their order; of one that goes on with `${…}`, the folder that
/// it is known to lie in.
fn literals(text: &str) -> Result<Vec<String>, nix::Fault> {
    let root = nix::parse::parse(text)?;
    let mut found: Vec<String> = Vec::new();
    for node in root.syntax().descendants() {
        let Some(path) = ast::PathRel::cast(node) else {
            continue;
        };
        let parts = path.parts();
        let Some(InterpolPart::Literal(first)) = parts.first() else {
            continue;
        };
        let first = first.syntax().text();
        let known = if parts.len() == 1 {
            first
        } else {
            first.rsplit_once('/').map_or("", |(folder, _)| folder)
        };
        if !found.iter().any(|other| other == known) {
            found.push(known.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_their_plain_form() {
        let place = |path: &str| Place::here().step(path);
        assert_eq!(place("./a/b.nix").to_string(), "a/b.nix");
        assert_eq!(place("a/../../b.nix").to_string(), "../b.nix");
        assert_eq!(place("a/./..").to_string(), ".");
        assert!(place("../..").holds_the_spec());
        assert!(!place("../b").holds_the_spec());
        assert_eq!(place("web.nix").below(0), "web.nix");
        assert_eq!(place("web.nix").below(2), "_/_/web.nix");
        assert_eq!(place("../common/a.nix").below(2), "_/common/a.nix");
        assert_eq!(place("../common/a.nix").folder(), place("../common"));
    }

    #[test]
    fn a_text_names_its_relative_paths() {
        let text = r#"
          { lib, ... }: {
            imports = [ ./a.nix ../common (./hosts + "/x.nix") ];
            # ./comment.nix
            environment.etc.x.source = ./files/${lib.trivial.release}.conf;
            a = "./string.nix"; b = <nixpkgs>; c = /etc/passwd; d = ~/x; e = ./a.nix;
            f = import ./..;
          }"#;
        assert_eq!(
            literals(text).unwrap(),
            ["./a.nix", "../common", "./hosts", "./files", "./.."]
        );
        assert!(literals("{ a = ; }").is_err());
    }
}
