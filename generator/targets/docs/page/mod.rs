//! `docs/index.html`: the whole host on one page that asks for nothing.
//!
//! Comes in: the facts of a host and, at the end, the files that every other target has emitted. What the page says leads
//! to the file of the tree that holds it and to the line of the spec that says so; the spec itself stands at its end, without
//! its comments. Style and script are in the page, allowed by their hashes and by nothing else.

mod guests;
mod policy;
mod sections;
mod spec;
mod week;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::each::{both, map};
use crate::facts::Facts;
use crate::graph::{self, Graph, View};
use crate::origin::Origin;
use crate::output::FileSet;
use crate::source::Span;
use crate::template::{BuiltIn, one_line};

/// Where it lies.
pub(super) const PATH: &str = "docs/index.html";

/// From its folder up to the tree.
const UP: &str = "../";

/// The page. These fields are the contract with a user's template of the same name.
#[derive(Debug, askama::Template, Serialize)]
#[template(path = "docs/index.html")]
pub struct Page {
    /// The line that marks a generated file; safe in a comment.
    pub header: String,
    /// The host's name.
    pub host: String,
    /// Its name with its domain.
    pub fqdn: String,
    /// What a browser may load: nothing, and of scripts and styles those of the page.
    pub policy: String,
    /// The style, as it is.
    pub style: String,
    /// The script, as it is.
    pub script: String,
    /// The host in a few words.
    pub summary: Table,
    /// What is said of the whole host.
    pub sections: Vec<Section>,
    /// The guests, in the order of their numbers.
    pub guests: Vec<GuestPage>,
    /// Whether there are too many to say all of each.
    pub in_brief: bool,
    /// Every file of the tree.
    pub folders: Vec<Folder>,
    /// The spec, and a fleet's.
    pub specs: Vec<spec::Listing>,
}

impl BuiltIn for Page {
    const NAME: &'static str = "docs/index.html";

    /// By what the pages of large hosts have for a guest and for a line of the spec.
    fn size(&self) -> usize {
        let lines: usize = self.specs.iter().map(|spec| spec.lines.len()).sum();
        <Self as askama::Template>::SIZE_HINT + self.guests.len() * 2_400 + lines * 56
    }
}

/// A part of the page.
#[derive(Debug, Clone, Serialize)]
pub struct Section {
    /// What a link names it by.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What it shows.
    pub about: String,
    /// Whether it begins with a picture.
    pub has_picture: bool,
    /// The picture, in SVG.
    pub picture: String,
    /// Its tables.
    pub tables: Vec<Table>,
}

/// A table whose rows lead to where they come from.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Table {
    /// What it is about.
    pub caption: String,
    /// Its columns, without those that lead elsewhere.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Row>,
    /// Whether a row names a file.
    pub has_files: bool,
    /// What is said where there are no rows.
    pub empty: String,
    /// Whether there are rows.
    pub has_rows: bool,
}

/// A column.
#[derive(Debug, Clone, Serialize)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Whether it holds amounts.
    pub number: bool,
    /// Whether it holds what programs read.
    pub code: bool,
}

/// A row.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its cells, one a column.
    pub cells: Vec<Cell>,
    /// The file of the tree that holds it.
    pub file: FileLink,
    /// The line of the spec that says so.
    pub line: LineLink,
    /// Whether it is a sum.
    pub sum: bool,
}

/// A cell.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// What stands in it.
    pub text: String,
    /// Whether it is an amount.
    pub number: bool,
    /// Whether it is what programs read.
    pub code: bool,
}

/// A link to a file of the tree.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FileLink {
    /// Whether there is one.
    pub is: bool,
    /// Its path in the tree.
    pub path: String,
    /// Its name without its folder.
    pub name: String,
    /// From the page to it.
    pub href: String,
}

/// A link to a line of the spec.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LineLink {
    /// Whether there is one.
    pub is: bool,
    /// The line, from 1; of a fleet's file with the file's name.
    pub text: String,
    /// What the line is named by on the page.
    pub anchor: String,
}

/// A guest.
#[derive(Debug, Clone, Serialize)]
pub struct GuestPage {
    /// What a link names it by.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is, and its number.
    pub what: String,
    /// Whether it is said what it is for.
    pub has_about: bool,
    /// What it is for.
    pub about: String,
    /// What it is made of.
    pub facts: Table,
    /// Whether it is said what changes cost.
    pub has_costs: bool,
    /// What a change of each option costs.
    pub costs: Table,
    /// Whether there is a runbook.
    pub has_runbook: bool,
    /// How it is brought back and taken back, step by step; HTML.
    pub runbook: String,
    /// The files for that.
    pub recovery: Vec<FileLink>,
}

/// A folder of the tree.
#[derive(Debug, Clone, Serialize)]
pub struct Folder {
    /// Its path; empty for the tree's own.
    pub path: String,
    /// Its files.
    pub files: Vec<FileLink>,
}

/// The page without what only the files tell.
#[derive(Debug)]
pub(super) struct Plan {
    header: String,
    host: String,
    fqdn: String,
    summary: Table,
    sections: Vec<Section>,
    guests: Vec<guests::Planned>,
    /// Whether all of each guest is said.
    in_full: bool,
    specs: Vec<spec::Listing>,
    lines: Lines,
}

/// Which line of which text a place is, once the spec is gone.
#[derive(Debug, Clone)]
struct Lines(Origin);

impl Lines {
    fn link(&self, place: Option<Span>) -> LineLink {
        let found = place.and_then(|place| self.0.line(place));
        let Some((file, line)) = found else {
            return LineLink::default();
        };
        let name = self.0.texts().nth(file).map_or("", |(name, _)| name);
        LineLink {
            is: true,
            text: if file == 0 {
                line.to_string()
            } else {
                format!("{name}, {line}")
            },
            anchor: spec::anchor(file, line),
        }
    }
}

/// Plans it.
pub(super) fn plan(facts: &Facts<'_>, graphs: &BTreeMap<View, Graph>, origin: &Origin) -> Plan {
    let lines = Lines(origin.clone());
    let host = facts.host;
    let in_full = host.guests.len() <= super::MOST_DRAWN;
    let (sections, guests) = both(
        host.guests.len(),
        || {
            let pictures = graphs.iter();
            let pictures = pictures.map(|(view, graph)| (*view, graph::svg_inside(graph)));
            sections::all(facts, &lines, pictures.collect())
        },
        || guests::plan(facts, &lines, in_full),
    );
    Plan {
        header: one_line(&origin.header()),
        host: host.name.as_str().to_owned(),
        fqdn: host.fqdn(),
        summary: sections::summary(facts, &lines),
        sections,
        guests,
        in_full,
        specs: spec::listings(origin),
        lines,
    }
}

impl Plan {
    /// The whole page.
    pub(super) fn finish(self, files: &FileSet) -> Page {
        let mut sections = self.sections;
        let tables = sections.iter_mut().flat_map(|section| &mut section.tables);
        for table in tables {
            table.keep_links_to(files);
        }
        let mut summary = self.summary;
        summary.keep_links_to(files);
        let guests = map(self.guests, |guest| {
            guest.finish(files, &self.lines, self.in_full)
        });
        Page {
            header: self.header,
            host: self.host,
            fqdn: self.fqdn,
            policy: policy::POLICY.clone(),
            style: policy::STYLE.clone(),
            script: policy::SCRIPT.to_owned(),
            summary,
            sections,
            guests,
            in_brief: !self.in_full,
            folders: folders(files),
            specs: self.specs,
        }
    }
}

/// Every file of the tree by its folder; the page itself, what is written beside it and the manifest are among them.
fn folders(files: &FileSet) -> Vec<Folder> {
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let own = [
        PATH,
        super::ARCHITECTURE,
        crate::output::manifest::FILE_NAME,
    ];
    let paths = files.iter().map(|file| file.path.as_str()).chain(own);
    for path in paths {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.entry(folder).or_default().push(path);
    }
    folders
        .into_iter()
        .map(|(path, mut files)| {
            files.sort_unstable();
            Folder {
                path: path.to_owned(),
                files: files.into_iter().map(FileLink::to).collect(),
            }
        })
        .collect()
}

impl FileLink {
    /// The link to a path of the tree; none to the empty one.
    fn to(path: &str) -> Self {
        if path.is_empty() {
            return Self::default();
        }
        Self {
            is: true,
            path: path.to_owned(),
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            href: format!("{UP}{}", percent_encoded(path)),
        }
    }
}

/// A path of the tree as a URL has it (RFC 3986): a backslash of systemd's, a blank, a `#` would be something else there.
fn percent_encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => write!(out, "%{byte:02X}").expect("a string takes all text"),
        }
    }
    out
}

impl Table {
    /// A table without rows. A column's name says by what stands before it what it holds: `#` amounts, `$` what programs
    /// read.
    fn new(caption: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|name| Column {
            name: name.trim_start_matches(['#', '$']).to_owned(),
            number: name.starts_with('#'),
            code: name.starts_with('$'),
        });
        Self {
            caption: caption.to_owned(),
            columns: columns.collect(),
            ..Self::default()
        }
    }

    /// The same, with what it says where nothing is in it.
    fn or(mut self, empty: &str) -> Self {
        empty.clone_into(&mut self.empty);
        self
    }

    /// Adds a row.
    fn row<T: Into<String>>(
        &mut self,
        cells: impl IntoIterator<Item = T>,
        file: &str,
        line: LineLink,
    ) -> &mut Row {
        let cells = self.columns.iter().zip(cells).map(|(column, text)| Cell {
            text: text.into(),
            number: column.number,
            code: column.code,
        });
        let row = Row {
            cells: cells.collect(),
            file: FileLink::to(file),
            line,
            sum: false,
        };
        self.has_files |= row.file.is;
        self.has_rows = true;
        self.rows.push(row);
        self.rows.last_mut().expect("it was pushed")
    }

    /// Adds a sum: it stands in no file.
    fn sum<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.row(cells, "", LineLink::default()).sum = true;
    }

    /// Leaves out links to what this host has no reason to have.
    fn keep_links_to(&mut self, files: &FileSet) {
        for row in &mut self.rows {
            if row.file.is && files.get(&row.file.path).is_none() {
                row.file = FileLink::default();
            }
        }
        self.has_files = self.rows.iter().any(|row| row.file.is);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_percent_encoded() {
        let path = "etc/systemd/system/mnt-usb\\x2dbackup.mount";
        assert_eq!(
            FileLink::to(path).href,
            "../etc/systemd/system/mnt-usb%5Cx2dbackup.mount"
        );
        assert_eq!(percent_encoded("a b/c#d?e%f@g"), "a%20b/c%23d%3Fe%25f%40g");
    }
}
