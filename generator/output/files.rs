//! The files that a build emits, before anything looks at a disk.
//!
//! A [`RelPath`] cannot leave the folder it is resolved in, and a [`FileSet`] cannot hold two files of which one would
//! hide the other, on any file system that people check a repository out on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::manifest;
use crate::source::Places;

/// The longest component in bytes: `NAME_MAX` of Linux, and the limit of ext4, XFS, Btrfs, ZFS, APFS and NTFS alike.
const LONGEST_COMPONENT: usize = 255;
/// The longest path in bytes: half of Linux's `PATH_MAX`, so that the folder in front of it has room.
const LONGEST_PATH: usize = 2048;

/// A path below the output folder: printable ASCII, components joined by `/`, none of them empty, `.`, `..` or `.git`.
///
/// A backslash is let through only as systemd's `\xHH` (systemd.unit(5), "String Escaping for Inclusion in Unit
/// Names"): the mount unit of `/mnt/my-disk` must be called `mnt-my\x2ddisk.mount`. Where Windows takes it as a
/// separator, the parts are still ordinary names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct RelPath(
    /// Shared: each file's path stands in its set, in what is compared and in the manifest.
    Arc<str>,
);

impl RelPath {
    /// Checks `path`; [`PathError`] says which rule it breaks.
    pub fn new(path: impl Into<String>) -> Result<Self, PathError> {
        let path = path.into();
        match broken_rule(&path) {
            None => Ok(Self(path.into())),
            Some(rule) => Err(PathError { path, rule }),
        }
    }

    /// The path of `name`, which may itself have several components, below this one.
    pub fn join(&self, name: &str) -> Result<Self, PathError> {
        Self::new(format!("{}/{name}", self.0))
    }

    /// The path as text, with `/` between the components.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components, outermost first; there is at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The folder that the file lies in (`None` at the top) and the file's own name.
    pub fn split(&self) -> (Option<&str>, &str) {
        match self.0.rsplit_once('/') {
            Some((folder, name)) => (Some(folder), name),
            None => (None, self.as_str()),
        }
    }

    /// The folders above the file, outermost first: `a` and `a/b` for `a/b/c`.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(slash, _)| &self.0[..slash])
    }

    /// One of the [`folders`](Self::folders) as a path of its own: the rules hold for each component alone.
    pub(super) fn folder(&self, folder: &str) -> Self {
        debug_assert!(self.folders().any(|own| own == folder));
        Self(folder.into())
    }

    /// What file systems that ignore case see. ASCII is enough, as a path holds nothing else.
    fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl AsRef<str> for RelPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for RelPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for RelPath {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        Self::new(path)
    }
}

impl TryFrom<String> for RelPath {
    type Error = PathError;

    fn try_from(path: String) -> Result<Self, PathError> {
        Self::new(path)
    }
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The first rule that `path` breaks.
fn broken_rule(path: &str) -> Option<PathRule> {
    if path.len() > LONGEST_PATH {
        return Some(PathRule::PathTooLong);
    }
    if path.starts_with('/') {
        return Some(PathRule::Absolute);
    }
    if !path.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Some(PathRule::NotPrintableAscii);
    }
    path.split('/').find_map(broken_component_rule)
}

fn broken_component_rule(component: &str) -> Option<PathRule> {
    if component.len() > LONGEST_COMPONENT {
        return Some(PathRule::ComponentTooLong);
    }
    if !backslashes_are_systemd_escapes(component) {
        return Some(PathRule::Backslash);
    }
    // What Windows would make of the backslashes must be harmless too: `..\x2d` would step out there.
    component.split('\\').find_map(|part| match part {
        "" => Some(PathRule::EmptyComponent),
        "." | ".." => Some(PathRule::DotComponent),
        _ if part.eq_ignore_ascii_case(".git") => Some(PathRule::GitFolder),
        _ => None,
    })
}

fn backslashes_are_systemd_escapes(component: &str) -> bool {
    component.split('\\').skip(1).all(|rest| {
        let rest = rest.as_bytes();
        rest.len() >= 3
            && rest[0] == b'x'
            && rest[1].is_ascii_hexdigit()
            && rest[2].is_ascii_hexdigit()
    })
}

/// A path that a [`RelPath`] cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathError {
    /// The path as it was given.
    pub path: String,
    /// The rule that it breaks.
    pub rule: PathRule,
}

/// What a [`RelPath`] must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathRule {
    /// Begins with `/`.
    Absolute,
    /// Is empty, ends in `/` or has `//` in it.
    EmptyComponent,
    /// Has a component `.` or `..`.
    DotComponent,
    /// Goes through a folder `.git`, where a file is a command that git runs.
    GitFolder,
    /// Holds a character that is not printable ASCII, such as NUL, a line break or a letter with two Unicode forms.
    NotPrintableAscii,
    /// Holds a backslash that is not systemd's `\xHH`.
    Backslash,
    /// Has a component of more than 255 bytes.
    ComponentTooLong,
    /// Is longer than 2048 bytes.
    PathTooLong,
}

impl fmt::Display for PathRule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Absolute => "is absolute",
            Self::EmptyComponent => "has an empty component",
            Self::DotComponent => "has a component `.` or `..`",
            Self::GitFolder => "goes through a folder `.git`",
            Self::NotPrintableAscii => "holds a character that is not printable ASCII",
            Self::Backslash => "holds a backslash that is not systemd's `\\xHH`",
            Self::ComponentTooLong => "has a component of more than 255 bytes",
            Self::PathTooLong => "is longer than 2048 bytes",
        })
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A hostile path must not reach the terminal as it is, nor fill it.
        let shown: String = self.path.chars().take(80).collect();
        write!(out, "the path `{}` {}", shown.escape_debug(), self.rule)
    }
}

impl std::error::Error for PathError {}

/// A file's permissions; written exactly so, whatever the umask is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// 0644: a configuration file.
    #[serde(rename = "0644")]
    Regular,
    /// 0755: a script.
    #[serde(rename = "0755")]
    Executable,
    /// 0600: a file with a secret in it, such as a password hash.
    #[serde(rename = "0600")]
    Private,
}

impl Mode {
    /// The permission bits, as chmod(2) takes them.
    pub fn bits(self) -> u32 {
        match self {
            Self::Regular => 0o644,
            Self::Executable => 0o755,
            Self::Private => 0o600,
        }
    }

    /// Whether a file with the permission bits `bits` will do.
    ///
    /// A checkout keeps only the executable bit and takes the rest from the user's umask, so a regular file may be 0664
    /// or 0600 without being out of date. But nobody else may write to what root will run, or read a secret.
    pub fn accepts(self, bits: u32) -> bool {
        let executable = bits & 0o100 != 0;
        let others_may_write = bits & 0o002 != 0;
        let owner_alone = bits | 0o700 == 0o700;
        match self {
            Self::Regular => !executable && !others_may_write,
            Self::Executable => executable && !others_may_write,
            Self::Private => !executable && owner_alone,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04o}", self.bits())
    }
}

/// One file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// Where it goes, below the output folder.
    pub path: RelPath,
    /// What stands in it.
    pub contents: Vec<u8>,
    /// Its permissions.
    pub mode: Mode,
    /// The target that emitted it, as the manifest names it.
    pub target: &'static str,
    /// Where the spec says what stands in it.
    pub places: Places,
}

impl OutputFile {
    /// A text file: UTF-8, line ends as LF, exactly one at the end. An empty text stays empty.
    ///
    /// A lone CR is left alone: it is no line end, and making it one could turn a value into a line of its own.
    pub fn text(path: RelPath, text: impl Into<String>, mode: Mode, target: &'static str) -> Self {
        let mut text = text.into();
        if text.contains("\r\n") {
            text = text.replace("\r\n", "\n");
        }
        let kept = text.trim_end_matches('\n').len();
        text.truncate(kept);
        if !text.is_empty() {
            text.reserve_exact(1);
            text.push('\n');
        }
        Self::bytes(path, text.into_bytes(), mode, target)
    }

    /// A file that is written as it is, such as Task Scheduler's UTF-16 XML.
    pub fn bytes(
        path: RelPath,
        contents: impl Into<Vec<u8>>,
        mode: Mode,
        target: &'static str,
    ) -> Self {
        let mut contents = contents.into();
        // A text grows by doubling, and all of a tree's are held until it is written.
        contents.shrink_to_fit();
        Self {
            path,
            contents,
            mode,
            target,
            places: Places::default(),
        }
    }

    /// The same file, with where the spec says what stands in it.
    #[must_use]
    pub fn with_places(mut self, places: Places) -> Self {
        self.places = places;
        self
    }
}

/// The files of one build, sorted by path.
#[derive(Debug, Clone, Default)]
pub struct FileSet {
    files: BTreeMap<RelPath, OutputFile>,
    /// Every file and every folder above one, as file systems without case see them.
    taken: HashMap<String, Taken>,
    /// Paths that are never taken in.
    left: BTreeSet<String>,
}

/// Who has a folded path.
#[derive(Debug, Clone)]
struct Taken {
    /// A file there, or one below it where it is a folder.
    file: RelPath,
    is_folder: bool,
}

impl Taken {
    /// The path as it is written, from the folded one that it is taken by: ASCII letters are as long in both cases.
    fn spelling(&self, folded: &str) -> &str {
        &self.file.as_str()[..folded.len()]
    }
}

impl FileSet {
    /// A set without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves out the files of these paths from now on: somebody else's stand in their place.
    pub fn leave(&mut self, paths: impl IntoIterator<Item = String>) {
        self.left.extend(paths);
    }

    /// Adds `file`, or says which file of the set it would hide.
    pub fn insert(&mut self, file: OutputFile) -> Result<(), Box<Clash>> {
        if self.left.contains(file.path.as_str()) {
            return Ok(());
        }
        let folded = file.path.folded();
        if let Some((kind, other)) = self.clash_of(&file.path, &folded) {
            let other_target = other
                .and_then(|path| self.files.get(path))
                .map(|other| other.target);
            return Err(Box::new(Clash {
                kind,
                other: other.cloned().unwrap_or_else(manifest::path),
                path: file.path,
                target: file.target,
                other_target,
            }));
        }
        for folder in file.path.folders() {
            let folder = &folded[..folder.len()];
            if !self.taken.contains_key(folder) {
                let taken = Taken {
                    file: file.path.clone(),
                    is_folder: true,
                };
                self.taken.insert(folder.to_owned(), taken);
            }
        }
        let taken = Taken {
            file: file.path.clone(),
            is_folder: false,
        };
        self.taken.insert(folded, taken);
        self.files.insert(file.path.clone(), file);
        Ok(())
    }

    /// Adds every file of `other`, which keeps its order.
    pub fn extend(&mut self, mut other: Self) -> Result<(), Box<Clash>> {
        let is_shared = |(folded, theirs): (&String, &Taken)| match self.taken.get(folded) {
            Some(ours) => {
                ours.is_folder
                    && theirs.is_folder
                    && ours.spelling(folded) == theirs.spelling(folded)
            }
            None => true,
        };
        // One by one where something is left out, or where the clash is to be told.
        if !self.left.is_empty() || !other.taken.iter().all(is_shared) {
            return other.into_iter().try_for_each(|file| self.insert(file));
        }
        self.files.append(&mut other.files);
        // A folder of both stays the one's whose files were there first.
        other.taken.extend(std::mem::take(&mut self.taken));
        self.taken = other.taken;
        Ok(())
    }

    /// What stands in the way of a file at `path`; no path with the kind is the manifest, which is in no set.
    fn clash_of(&self, path: &RelPath, folded: &str) -> Option<(ClashKind, Option<&RelPath>)> {
        let reserved = folded
            .strip_prefix(manifest::FILE_NAME)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if reserved {
            return Some((ClashKind::Manifest, None));
        }
        let folder_clash = path.folders().find_map(|folder| {
            let folded = &folded[..folder.len()];
            let taken = self.taken.get(folded)?;
            if !taken.is_folder {
                Some((ClashKind::FileAndFolder, Some(&taken.file)))
            } else if taken.spelling(folded) != folder {
                Some((ClashKind::CaseOnly, Some(&taken.file)))
            } else {
                None
            }
        });
        folder_clash.or_else(|| {
            let taken = self.taken.get(folded)?;
            let kind = if taken.is_folder {
                ClashKind::FileAndFolder
            } else if taken.file == *path {
                ClashKind::SamePath
            } else {
                ClashKind::CaseOnly
            };
            Some((kind, Some(&taken.file)))
        })
    }

    /// The file at `path`.
    pub fn get(&self, path: &str) -> Option<&OutputFile> {
        self.files.get(path)
    }

    /// Whether `path` is a folder that a file of the set lies in.
    pub fn has_folder(&self, path: &str) -> bool {
        let folded = path.to_ascii_lowercase();
        self.taken
            .get(&folded)
            .is_some_and(|taken| taken.is_folder && taken.spelling(&folded) == path)
    }

    /// The files, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = &OutputFile> {
        self.files.values()
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl IntoIterator for FileSet {
    type Item = OutputFile;
    type IntoIter = std::collections::btree_map::IntoValues<RelPath, OutputFile>;

    fn into_iter(self) -> Self::IntoIter {
        self.files.into_values()
    }
}

/// Two files that cannot stand in one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// How they clash.
    pub kind: ClashKind,
    /// The file that was to be added.
    pub path: RelPath,
    /// The target that emitted it.
    pub target: &'static str,
    /// The file that was there first.
    pub other: RelPath,
    /// The target that emitted that one; `None` for the manifest.
    pub other_target: Option<&'static str>,
}

/// How two files clash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClashKind {
    /// Both have the same path.
    SamePath,
    /// Their paths, or folders of them, differ in case alone: one file on Windows and macOS.
    CaseOnly,
    /// One is a folder of the other.
    FileAndFolder,
    /// The path belongs to the manifest.
    Manifest,
}

impl fmt::Display for Clash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, other, .. } = self;
        match self.kind {
            ClashKind::SamePath => write!(out, "two files are called `{path}`"),
            ClashKind::CaseOnly => write!(out, "`{path}` and `{other}` differ in case alone"),
            ClashKind::FileAndFolder => {
                write!(out, "`{path}` and `{other}`: one is a folder of the other")
            }
            ClashKind::Manifest => write!(out, "`{path}` takes the place of the manifest"),
        }
    }
}

impl std::error::Error for Clash {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(path: &str) -> Option<PathRule> {
        RelPath::new(path).err().map(|error| error.rule)
    }

    fn file(path: &str) -> OutputFile {
        OutputFile::text(
            RelPath::new(path).expect("a good path"),
            path,
            Mode::Regular,
            "test",
        )
    }

    fn set(paths: &[&str]) -> FileSet {
        let mut set = FileSet::new();
        for path in paths {
            set.insert(file(path)).expect("no clash");
        }
        set
    }

    fn clash(paths: &[&str], path: &str) -> Option<(ClashKind, String)> {
        let clash = set(paths).insert(file(path)).err()?;
        assert_eq!(clash.path.as_str(), path);
        Some((clash.kind, clash.other.to_string()))
    }

    #[test]
    fn takes_the_paths_that_targets_emit() {
        for path in [
            "README.md",
            "proxmox/etc/pve/qemu-server/100.conf",
            "proxmox/etc/systemd/system/mnt-my\\x2ddisk.mount",
            "proxmox/etc/systemd/system/zfs-scrub@.timer",
            "..x",
            "a/...",
            ".gitignore",
            &"a".repeat(255),
        ] {
            assert_eq!(rule(path), None, "{path}");
        }
    }

    #[test]
    fn refuses_paths_that_leave_the_folder_or_hide_something() {
        for (path, expected) in [
            ("", PathRule::EmptyComponent),
            ("/etc/passwd", PathRule::Absolute),
            ("//etc", PathRule::Absolute),
            ("a//b", PathRule::EmptyComponent),
            ("a/", PathRule::EmptyComponent),
            (".", PathRule::DotComponent),
            ("a/./b", PathRule::DotComponent),
            ("../a", PathRule::DotComponent),
            ("a/..", PathRule::DotComponent),
            ("a\\b", PathRule::Backslash),
            ("..\\a", PathRule::Backslash),
            ("a\\x2", PathRule::Backslash),
            ("a\\xg0", PathRule::Backslash),
            ("..\\x2da", PathRule::DotComponent),
            ("\\x2da", PathRule::EmptyComponent),
            ("a\0b", PathRule::NotPrintableAscii),
            ("a\nb", PathRule::NotPrintableAscii),
            ("a\u{7f}", PathRule::NotPrintableAscii),
            ("é", PathRule::NotPrintableAscii),
            (".git/hooks/pre-commit", PathRule::GitFolder),
            ("a/.GIT", PathRule::GitFolder),
            (&"a".repeat(256), PathRule::ComponentTooLong),
            (&"a/".repeat(1025), PathRule::PathTooLong),
        ] {
            assert_eq!(rule(path), Some(expected), "{path:?}");
        }
    }

    #[test]
    fn errors_show_a_hostile_path_on_one_short_line() {
        let error = RelPath::new(format!("\u{1b}[2J\n{}", "a".repeat(5000)))
            .expect_err("control characters");
        let text = error.to_string();
        assert!(
            text.len() < 250 && !text.contains(char::is_control),
            "{text:?}"
        );
    }

    #[test]
    fn names_every_folder_of_a_file() {
        let path = RelPath::new("a/b/c").expect("a good path");
        assert_eq!(path.folders().collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(path.split(), (Some("a/b"), "c"));
        assert_eq!(
            path.join("d/e").map(|path| path.to_string()),
            Ok("a/b/c/d/e".to_owned())
        );
        assert_eq!(RelPath::new("a").expect("a good path").split(), (None, "a"));
        assert!(path.join("../../../d").is_err());
    }

    #[test]
    fn a_set_holds_no_two_files_of_which_one_hides_the_other() {
        let same = |other: &str, kind| Some((kind, other.to_owned()));
        assert_eq!(clash(&["a/b"], "a/b"), same("a/b", ClashKind::SamePath));
        assert_eq!(clash(&["a/b"], "a/B"), same("a/b", ClashKind::CaseOnly));
        assert_eq!(clash(&["a/b"], "A/c"), same("a/b", ClashKind::CaseOnly));
        assert_eq!(
            clash(&["a/b/c"], "a"),
            same("a/b/c", ClashKind::FileAndFolder)
        );
        assert_eq!(clash(&["a/b/c"], "A/B"), same("a/b/c", ClashKind::CaseOnly));
        assert_eq!(clash(&["a"], "a/b/c"), same("a", ClashKind::FileAndFolder));
        assert_eq!(clash(&["A"], "a/b"), same("A", ClashKind::FileAndFolder));
        assert_eq!(
            clash(&[], "manifest.json"),
            same("manifest.json", ClashKind::Manifest)
        );
        assert_eq!(
            clash(&[], "Manifest.JSON"),
            same("manifest.json", ClashKind::Manifest)
        );
        assert_eq!(
            clash(&[], "manifest.json/x"),
            same("manifest.json", ClashKind::Manifest)
        );
        assert_eq!(clash(&["a/b", "a-b", "a.b"], "ab/b"), None);
        assert_eq!(clash(&[], "manifest.json5"), None);
        assert_eq!(clash(&[], "docs/manifest.json"), None);
    }

    #[test]
    fn a_clash_names_both_sides() {
        let mut set = FileSet::new();
        set.insert(file("a")).expect("no clash");
        let mut second = file("a");
        second.target = "other";
        let clash = set.insert(second).expect_err("the same path");
        assert_eq!((clash.target, clash.other_target), ("other", Some("test")));
    }

    #[test]
    fn text_ends_in_one_newline() {
        let text = |text: &str| {
            let path = RelPath::new("a").expect("a good path");
            String::from_utf8(OutputFile::text(path, text, Mode::Regular, "test").contents)
                .expect("UTF-8")
        };
        assert_eq!(text("a"), "a\n");
        assert_eq!(text("a\n\n\n"), "a\n");
        assert_eq!(text("a\r\nb\r\n\r\n"), "a\nb\n");
        assert_eq!(text("a\rb"), "a\rb\n");
        assert_eq!(text(""), "");
        assert_eq!(text("\n"), "");
    }

    #[test]
    fn a_mode_accepts_what_a_checkout_makes_of_it() {
        for umask in [0o022, 0o002, 0o077, 0o027] {
            assert!(Mode::Regular.accepts(0o666 & !umask), "{umask:o}");
            assert!(Mode::Executable.accepts(0o777 & !umask), "{umask:o}");
        }
        assert!(!Mode::Regular.accepts(0o755) && !Mode::Executable.accepts(0o644));
        assert!(!Mode::Regular.accepts(0o666) && !Mode::Executable.accepts(0o777));
        assert!(Mode::Private.accepts(0o600) && Mode::Private.accepts(0o400));
        assert!(!Mode::Private.accepts(0o644) && !Mode::Private.accepts(0o700));
        for mode in [Mode::Regular, Mode::Executable, Mode::Private] {
            assert!(mode.accepts(mode.bits()));
        }
    }

    proptest! {
        #[test]
        fn a_path_that_is_taken_stays_below_its_folder(path in "[a.x2/\\\\\\-\\PC]{0,12}") {
            if let Ok(path) = RelPath::new(path) {
                // The rules of Windows are the stricter ones: both separators count.
                let mut depth = 0;
                for part in path.as_str().split(['/', '\\']) {
                    prop_assert!(!part.is_empty() && part != "." && part != "..");
                    depth += 1;
                }
                prop_assert!(depth >= 1);
                prop_assert_eq!(RelPath::new(path.as_str()), Ok(path.clone()));
            }
        }

        #[test]
        fn a_set_never_depends_on_the_order(paths in proptest::collection::vec("[abAB](/[abAB]){0,2}", 0..6)) {
            let insert_all = |paths: Vec<&String>| {
                let mut set = FileSet::new();
                paths.iter().all(|path| set.insert(file(path)).is_ok())
            };
            prop_assert_eq!(insert_all(paths.iter().collect()), insert_all(paths.iter().rev().collect()));
        }

        #[test]
        fn two_sets_become_one_as_if_each_file_came_by_itself(
            one in proptest::collection::vec("[abAB](/[abAB]){0,2}", 0..5),
            other in proptest::collection::vec("[abAB](/[abAB]){0,2}", 0..5),
        ) {
            let set = |paths: &[String]| {
                let mut set = FileSet::new();
                for path in paths {
                    let _ = set.insert(file(path));
                }
                set
            };
            let (mut whole, mut each, other) = (set(&one), set(&one), set(&other));
            let clash = other.clone().into_iter().try_for_each(|file| each.insert(file));
            prop_assert_eq!(whole.extend(other), clash.clone());
            let paths = |set: &FileSet| set.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
            prop_assert_eq!(paths(&whole), paths(&each));
            // And it refuses what the other one refuses from now on, if with another file of the same folder.
            let kind = |clash: Box<Clash>| clash.kind;
            for path in ["a", "A", "a/b", "B/a/b", "b"] {
                let (one, other) = (whole.insert(file(path)), each.insert(file(path)));
                prop_assert_eq!(one.map_err(kind), other.map_err(kind));
            }
        }
    }
}
