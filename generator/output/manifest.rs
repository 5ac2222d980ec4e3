//! `manifest.json`: what moxc wrote into a folder, so that a later build knows its own files from everybody else's.
//!
//! A manifest found on a disk is input like any other: every path in it is checked again, and nothing else in it is
//! believed beyond "moxc once wrote this hash at this path".

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::folder;
use super::{FileSet, Mode, OutputFile, RelPath};
use crate::digest::Sha256;

/// The manifest's name at the top of an output folder.
pub const FILE_NAME: &str = "manifest.json";
/// The shape of the file; a reader refuses a later one.
const FORMAT: u64 = 1;

/// So many files are not worth another thread.
const FEW: usize = 1_000;
/// What a file's part of the text takes in bytes, about.
const ROW: usize = 320;

/// [`FILE_NAME`] as a path.
pub(super) fn path() -> RelPath {
    RelPath::new(FILE_NAME).expect("a plain file name")
}

/// What a tree was made by and from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The compiler's name.
    pub compiler: String,
    /// The compiler's version.
    pub version: String,
    /// The hash of the spec files, joined in the order in which they were given.
    pub spec_sha256: Sha256,
}

/// A tree's table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What the tree was made by and from.
    pub provenance: Provenance,
    /// Its files, sorted by path; the manifest itself is not among them.
    pub files: BTreeMap<RelPath, ManifestEntry>,
}

/// One file of a [`Manifest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Its permissions.
    pub mode: Mode,
    /// The hash of its contents.
    pub sha256: Sha256,
    /// How long it is, and how it ends; a manifest of before does not say it.
    pub end: Option<End>,
    /// The target that emitted it.
    pub target: Cow<'static, str>,
    /// The spec that it was made from, where that is not the manifest's: a later build of other targets left it as it was.
    pub spec_sha256: Option<Sha256>,
}

/// By what a file that was cut is told from one that somebody has edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Its length in bytes.
    pub size: u64,
    /// The hash of its last bytes, [`End::TAIL`] of them where it has so many.
    pub tail: Sha256,
}

impl End {
    const TAIL: usize = 64;

    /// That of a file.
    fn of(contents: &[u8]) -> Self {
        let tail = &contents[contents.len().saturating_sub(Self::TAIL)..];
        Self {
            size: contents.len() as u64,
            tail: Sha256::of(tail),
        }
    }
}

impl Manifest {
    /// The manifest of a whole build.
    pub fn of(set: &FileSet, provenance: Provenance) -> Self {
        // Of a large tree on every core.
        let files: Vec<&OutputFile> = set.iter().collect();
        let files = files
            .into_par_iter()
            .with_min_len(FEW)
            .map(|file| {
                let entry = ManifestEntry {
                    mode: file.mode,
                    sha256: Sha256::of(&file.contents),
                    end: Some(End::of(&file.contents)),
                    target: Cow::Borrowed(file.target),
                    spec_sha256: None,
                };
                (file.path.clone(), entry)
            })
            .collect::<Vec<_>>();
        Self {
            provenance,
            files: files.into_iter().collect(),
        }
    }

    /// The file's text: JSON, one key a line, the same for the same manifest.
    pub fn to_json(&self) -> String {
        let document = Document {
            format: FORMAT,
            compiler: Compiler {
                name: self.provenance.compiler.clone(),
                version: self.provenance.version.clone(),
            },
            spec: Spec {
                sha256: self.provenance.spec_sha256,
            },
            files: self.files.iter().map(Row::from).collect(),
        };
        let mut text = Vec::with_capacity(document.files.len() * ROW);
        serde_json::to_writer_pretty(&mut text, &document)
            .expect("a tree of strings and numbers has a JSON form");
        text.push(b'\n');
        String::from_utf8(text).expect("JSON is UTF-8")
    }

    /// Reads a manifest; keys that this version does not know are skipped.
    pub fn from_json(text: &[u8]) -> Result<Self, ManifestError> {
        // First of all the format, as a later one may have changed everything else.
        let head: Head = serde_json::from_slice(text)?;
        if head.format != FORMAT {
            return Err(ManifestError::Format(head.format));
        }
        let document: Document = serde_json::from_slice(text)?;
        let mut files = BTreeMap::new();
        for row in document.files {
            if row.path == path() {
                return Err(ManifestError::ListsItself);
            }
            let (path, entry) = row.into();
            if files.insert(path.clone(), entry).is_some() {
                return Err(ManifestError::ListedTwice(path));
            }
        }
        Ok(Self {
            provenance: Provenance {
                compiler: document.compiler.name,
                version: document.compiler.version,
                spec_sha256: document.spec.sha256,
            },
            files,
        })
    }
}

#[derive(Deserialize)]
struct Head {
    format: u64,
}

#[derive(Serialize, Deserialize)]
struct Document {
    format: u64,
    compiler: Compiler,
    spec: Spec,
    files: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Compiler {
    name: String,
    version: String,
}

#[derive(Serialize, Deserialize)]
struct Spec {
    sha256: Sha256,
}

#[derive(Serialize, Deserialize)]
struct Row {
    path: RelPath,
    mode: Mode,
    sha256: Sha256,
    #[serde(flatten)]
    end: Option<End>,
    target: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spec_sha256: Option<Sha256>,
}

impl From<(&RelPath, &ManifestEntry)> for Row {
    fn from((path, entry): (&RelPath, &ManifestEntry)) -> Self {
        Self {
            path: path.clone(),
            mode: entry.mode,
            sha256: entry.sha256,
            end: entry.end,
            target: entry.target.clone(),
            spec_sha256: entry.spec_sha256,
        }
    }
}

impl From<Row> for (RelPath, ManifestEntry) {
    fn from(row: Row) -> Self {
        let entry = ManifestEntry {
            mode: row.mode,
            sha256: row.sha256,
            end: row.end,
            target: row.target,
            spec_sha256: row.spec_sha256,
        };
        (row.path, entry)
    }
}

/// Why a `manifest.json` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestError {
    /// Not JSON, or not of a manifest's shape; the text says what and where.
    Malformed(String),
    /// A format that this version does not know.
    Format(u64),
    /// One path twice.
    ListedTwice(RelPath),
    /// The manifest as one of its own files.
    ListsItself,
    /// Larger than a manifest can be.
    TooLarge,
}

impl From<serde_json::Error> for ManifestError {
    fn from(error: serde_json::Error) -> Self {
        // The text may quote the file, which may hold anything.
        let text = error.to_string();
        let one_line = text
            .chars()
            .take(200)
            .map(|c| if c.is_control() { ' ' } else { c });
        Self::Malformed(one_line.collect())
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(out, "it is not a manifest of moxc: {what}"),
            Self::Format(format) => write!(
                out,
                "its format is {format}, and this moxc knows format {FORMAT}"
            ),
            Self::ListedTwice(path) => write!(out, "it lists `{path}` twice"),
            Self::ListsItself => write!(out, "it lists itself"),
            Self::TooLarge => write!(out, "it is larger than {} MiB", folder::LARGEST_HELD >> 20),
        }
    }
}

impl std::error::Error for ManifestError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::OutputFile;
    use proptest::prelude::*;

    fn provenance() -> Provenance {
        Provenance {
            compiler: "moxc".to_owned(),
            version: "1.2.3".to_owned(),
            spec_sha256: Sha256::of(b"spec"),
        }
    }

    fn manifest() -> Manifest {
        let mut set = FileSet::new();
        for (path, mode) in [("b/run.sh", Mode::Executable), ("a.conf", Mode::Regular)] {
            let path = RelPath::new(path).expect("a good path");
            set.insert(OutputFile::text(path, "text", mode, "proxmox"))
                .expect("no clash");
        }
        Manifest::of(&set, provenance())
    }

    /// The manifest's JSON with one change made to its first file.
    fn with_first_row(key: &str, value: serde_json::Value) -> Vec<u8> {
        let mut json: serde_json::Value =
            serde_json::from_str(&manifest().to_json()).expect("JSON");
        json["files"][0][key] = value;
        json.to_string().into_bytes()
    }

    #[test]
    fn prints_files_by_path_and_reads_them_back() {
        let text = manifest().to_json();
        let hash = Sha256::of(b"text\n");
        let expected = format!(
            r#"{{
  "format": 1,
  "compiler": {{
    "name": "moxc",
    "version": "1.2.3"
  }},
  "spec": {{
    "sha256": "{}"
  }},
  "files": [
    {{
      "path": "a.conf",
      "mode": "0644",
      "sha256": "{hash}",
      "size": 5,
      "tail": "{hash}",
      "target": "proxmox"
    }},
    {{
      "path": "b/run.sh",
      "mode": "0755",
      "sha256": "{hash}",
      "size": 5,
      "tail": "{hash}",
      "target": "proxmox"
    }}
  ]
}}
"#,
            Sha256::of(b"spec")
        );
        pretty_assertions::assert_eq!(text, expected);
        assert_eq!(Manifest::from_json(text.as_bytes()), Ok(manifest()));
    }

    #[test]
    fn skips_keys_that_it_does_not_know() {
        let json = with_first_row("colour", serde_json::json!({ "deep": [1, 2] }));
        assert_eq!(Manifest::from_json(&json), Ok(manifest()));
    }

    #[test]
    fn refuses_what_would_lead_out_of_the_folder() {
        for path in [
            "../../etc/passwd",
            "/etc/passwd",
            "",
            "a/../b",
            "a\\b",
            "\u{1b}[2J",
        ] {
            let error = Manifest::from_json(&with_first_row("path", path.into())).expect_err(path);
            let text = error.to_string();
            assert!(text.contains("the path"), "{text}");
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }

    #[test]
    fn says_on_one_line_what_is_wrong() {
        let cases: [(&[u8], &str); 7] = [
            (b"", "not a manifest of moxc: EOF"),
            (b"\xff\xfe", "not a manifest of moxc: expected value"),
            (b"{}", "missing field `format`"),
            (
                b"{\"format\": 2}",
                "its format is 2, and this moxc knows format 1",
            ),
            (b"{\"format\": 1}", "missing field `compiler`"),
            (
                &with_first_row("mode", "4755".into()),
                "unknown variant `4755`",
            ),
            (
                &with_first_row("path", "manifest.json".into()),
                "lists itself",
            ),
        ];
        for (text, expected) in cases {
            let error = Manifest::from_json(text).expect_err(expected).to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
        let twice = Manifest::from_json(&with_first_row("path", "b/run.sh".into()));
        let path = RelPath::new("b/run.sh").expect("a good path");
        assert_eq!(twice, Err(ManifestError::ListedTwice(path)));
    }

    proptest! {
        #[test]
        fn reads_no_text_with_a_panic(at in 0..600_usize, with in proptest::collection::vec(any::<u8>(), 0..4)) {
            let mut text = manifest().to_json().into_bytes();
            let at = at.min(text.len());
            let end = (at + 2).min(text.len());
            text.splice(at..end, with);
            if let Ok(read) = Manifest::from_json(&text) {
                prop_assert_eq!(Manifest::from_json(read.to_json().as_bytes()), Ok(read.clone()));
            }
        }
    }
}
