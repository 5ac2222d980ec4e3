//! The output folder on a real disk: what a build does to it, refuses to do, and leaves when it is killed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use moxc::digest::Sha256;
use moxc::output::{
    ChangeKind, FileSet, Manifest, Mode, Obstacle, Options, OutputError, OutputFile, Provenance,
    RelPath, Report, Scope, compare, write,
};
use proptest::prelude::*;

/// Whether the folder already was what the build would write, and was not touched.
fn wrote_nothing(report: &Report) -> bool {
    [
        &report.created,
        &report.updated,
        &report.overwritten,
        &report.removed,
    ]
    .iter()
    .all(|paths| paths.is_empty())
}

const FORCE: Options = Options {
    force: true,
    scope: Scope::Everything,
    patience: Duration::from_secs(30),
};

fn provenance(spec: &str) -> Provenance {
    Provenance {
        compiler: "moxc".to_owned(),
        version: "1.0.0".to_owned(),
        spec_sha256: Sha256::of(spec.as_bytes()),
    }
}

fn path(path: &str) -> RelPath {
    RelPath::new(path).expect("a good path")
}

/// A set of files; names that end in `.sh` are scripts, in `.key` private.
fn set(files: &[(&str, &str)]) -> FileSet {
    let mut set = FileSet::new();
    for (name, text) in files {
        let mode = match name.rsplit_once('.') {
            Some((_, "sh")) => Mode::Executable,
            Some((_, "key")) => Mode::Private,
            _ => Mode::Regular,
        };
        set.insert(OutputFile::text(path(name), *text, mode, "test"))
            .expect("no clash");
    }
    set
}

fn build(root: &Path, files: &FileSet) -> Result<Report, OutputError> {
    write(root, files, &provenance("spec"), &Options::default())
}

fn force(root: &Path, files: &FileSet) -> Result<Report, OutputError> {
    write(root, files, &provenance("spec"), &FORCE)
}

fn kinds(root: &Path, files: &FileSet) -> BTreeMap<String, ChangeKind> {
    compare(root, files, &provenance("spec"), &Scope::Everything)
        .expect("a folder that can be compared")
        .changes()
        .iter()
        .map(|change| (change.path.to_string(), change.kind.clone()))
        .collect()
}

fn unified(root: &Path, files: &FileSet) -> String {
    compare(root, files, &provenance("spec"), &Scope::Everything)
        .expect("a folder that can be compared")
        .unified()
}

/// One entry of a tree on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File(String, u32),
    Folder(u32),
    Symlink(PathBuf),
    Fifo,
}

/// Everything below `root`, without the manifest's contents.
fn tree(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut entries = BTreeMap::new();
    collect(root, Path::new(""), &mut entries);
    entries
}

fn collect(root: &Path, below: &Path, entries: &mut BTreeMap<PathBuf, Entry>) {
    for entry in fs::read_dir(root.join(below)).expect("a folder") {
        let entry = entry.expect("an entry");
        let inner = below.join(entry.file_name());
        let metadata = entry.path().symlink_metadata().expect("metadata");
        let mode = metadata.permissions().mode() & 0o7777;
        let kind = metadata.file_type();
        let found = if kind.is_dir() {
            collect(root, &inner, entries);
            Entry::Folder(mode)
        } else if kind.is_symlink() {
            Entry::Symlink(fs::read_link(entry.path()).expect("a link"))
        } else if kind.is_fifo() {
            Entry::Fifo
        } else {
            let bytes = fs::read(entry.path()).expect("a file");
            Entry::File(String::from_utf8_lossy(&bytes).into_owned(), mode)
        };
        entries.insert(inner, found);
    }
}

/// The names beside the output folder: nothing of a build may be left there.
fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn put(root: &Path, name: &str, text: &str) {
    let file = root.join(name);
    fs::create_dir_all(file.parent().expect("a folder")).expect("made");
    fs::write(file, text).expect("written");
}

fn read(root: &Path, name: &str) -> String {
    fs::read_to_string(root.join(name)).expect("a text file")
}

fn chmod(file: &Path, bits: u32) {
    fs::set_permissions(file, Permissions::from_mode(bits)).expect("own file");
}

fn fifo(at: &Path) {
    let made = Command::new("mkfifo").arg(at).status().expect("coreutils");
    assert!(made.success());
}

/// A folder to build in: `<temporary>/generated/pve`.
struct Bench {
    folder: tempfile::TempDir,
    root: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("generated/pve");
        Self { folder, root }
    }

    /// With `files` built.
    fn with(files: &FileSet) -> Self {
        let bench = Self::new();
        build(&bench.root, files).expect("a first build");
        bench
    }

    fn assert_no_leftovers(&self) {
        assert_eq!(names_in(&self.folder.path().join("generated")), ["pve"]);
    }
}

fn refusal(result: Result<Report, OutputError>) -> String {
    match result {
        Err(error @ OutputError::Refused { .. }) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

fn one_line(result: Result<Report, OutputError>) -> String {
    let text = result.expect_err("an error").to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

// ---------------------------------------------------------------- builds that go well

#[test]
fn the_first_build_makes_the_folder_with_the_modes_that_it_should_have() {
    let files = set(&[
        ("README.md", "read me"),
        ("etc/apply.sh", "#!/bin/sh"),
        ("etc/a.key", "secret"),
    ]);
    let bench = Bench::new();
    let report = build(&bench.root, &files).expect("a build");
    assert_eq!(report.created.len(), 4);
    assert!(report.notes.is_empty(), "{:?}", report.notes);
    let manifest = Manifest::of(&files, provenance("spec")).to_json();
    let expected = [
        ("README.md", Entry::File("read me\n".into(), 0o644)),
        ("etc", Entry::Folder(0o755)),
        ("etc/a.key", Entry::File("secret\n".into(), 0o600)),
        ("etc/apply.sh", Entry::File("#!/bin/sh\n".into(), 0o755)),
        ("manifest.json", Entry::File(manifest, 0o644)),
    ];
    let expected: BTreeMap<_, _> = expected
        .into_iter()
        .map(|(name, entry)| (PathBuf::from(name), entry))
        .collect();
    assert_eq!(tree(&bench.root), expected);
    assert_eq!(
        fs::metadata(&bench.root).expect("it").permissions().mode() & 0o7777,
        0o755
    );
    bench.assert_no_leftovers();
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    let bench = Bench::new();
    build(&bench.root, &variant(0)).expect("a build");
    let usual = tree(&bench.root);
    for umask in ["000", "027", "077"] {
        let other = bench.folder.path().join(umask);
        fs::create_dir(&other).expect("made");
        let status = Command::new("sh")
            .args(["-c", "umask $0; exec \"$@\"", umask])
            .arg(std::env::current_exe().expect("this test"))
            .args(CHILD_ARGS)
            .env(CHILD_FOLDER, other.join("pve"))
            .env(CHILD_BUILDS, "0")
            .stdout(Stdio::null())
            .status()
            .expect("sh");
        assert!(status.success(), "umask {umask}");
        assert_eq!(tree(&other.join("pve")), usual, "umask {umask}");
    }
}

#[test]
fn a_build_that_changes_nothing_touches_nothing() {
    let files = set(&[("a/b.conf", "text")]);
    let bench = Bench::with(&files);
    let stamp = |at: &Path| {
        let metadata = at.symlink_metadata().expect("it");
        (
            metadata.ino(),
            metadata.mtime_nsec(),
            metadata.ctime_nsec(),
            metadata.nlink(),
        )
    };
    let all = || {
        ["", "pve", "pve/a", "pve/a/b.conf", "pve/manifest.json"]
            .map(|name| stamp(&bench.folder.path().join("generated").join(name)))
    };
    let before = all();
    let report = build(&bench.root, &files).expect("a second build");
    assert!(
        wrote_nothing(&report) && report.unchanged == 2,
        "{report:?}"
    );
    assert_eq!(all(), before);
    let same = compare(&bench.root, &files, &provenance("spec"), &Scope::Everything)
        .expect("a comparison");
    assert!(same.is_current());
    assert_eq!(same.unified(), "");
    assert!(
        same.summary().ends_with("is up to date: 2 files"),
        "{}",
        same.summary()
    );
}

#[test]
fn an_update_writes_what_changed_and_removes_what_is_stale() {
    let bench = Bench::with(&set(&[
        ("a.conf", "1"),
        ("b.conf", "1"),
        ("old/c.conf", "1"),
        ("old/d/e.conf", "1"),
    ]));
    let inode = |name: &str| bench.root.join(name).metadata().expect("it").ino();
    let kept = inode("a.conf");
    let next = set(&[("a.conf", "1"), ("b.conf", "2"), ("new/f.conf", "1")]);
    let report = build(&bench.root, &next).expect("a build");
    assert_eq!(report.created, [path("new/f.conf")]);
    assert_eq!(report.updated, [path("b.conf"), path("manifest.json")]);
    assert_eq!(report.removed, [path("old/c.conf"), path("old/d/e.conf")]);
    assert_eq!(report.unchanged, 1);
    assert_eq!(
        names_in(&bench.root),
        ["a.conf", "b.conf", "manifest.json", "new"]
    );
    assert_eq!(
        (read(&bench.root, "b.conf"), inode("a.conf")),
        ("2\n".to_owned(), kept)
    );
    bench.assert_no_leftovers();
}

#[test]
fn a_new_spec_with_the_same_files_changes_the_manifest_alone() {
    let files = set(&[("a.conf", "1")]);
    let bench = Bench::with(&files);
    let other = provenance("another spec");
    let comparison =
        compare(&bench.root, &files, &other, &Scope::Everything).expect("a comparison");
    assert!(!comparison.is_current());
    let diff = comparison.unified();
    assert!(
        diff.contains("--- a/manifest.json\n+++ b/manifest.json\n"),
        "{diff}"
    );
    let report = write(&bench.root, &files, &other, &Options::default()).expect("a build");
    assert_eq!(
        (report.updated, report.unchanged),
        (vec![path("manifest.json")], 1)
    );
}

#[test]
fn a_file_gives_way_to_a_folder_and_a_folder_to_a_file() {
    let one = set(&[("x", "file"), ("y/z", "file"), ("y/w/v", "file")]);
    let other = set(&[("x/y", "file"), ("y", "file")]);
    let bench = Bench::with(&one);
    build(&bench.root, &other).expect("a build");
    assert_eq!(
        read(&bench.root, "x/y") + &read(&bench.root, "y"),
        "file\nfile\n"
    );
    build(&bench.root, &one).expect("and back");
    assert_eq!(read(&bench.root, "y/w/v"), "file\n");
    put(&bench.root, "y/mine", "foreign");
    assert_eq!(
        kinds(&bench.root, &other).remove("y"),
        Some(ChangeKind::NotAFile {
            at: path("y"),
            what: Obstacle::Folder
        })
    );
    refusal(force(&bench.root, &other));
    assert_eq!(read(&bench.root, "y/mine"), "foreign");
}

#[test]
fn whatever_else_lies_in_the_folder_is_carried_over() {
    let bench = Bench::with(&set(&[("a/b.conf", "1"), ("gone/c.conf", "1")]));
    let root = &bench.root;
    put(root, "a/mine.txt", "mine");
    put(root, "deep/er/.git/config", "git");
    put(root, "gone/mine.txt", "mine too");
    fs::create_dir(root.join("empty")).expect("made");
    fs::create_dir(root.join("closed")).expect("made");
    put(root, "closed/file", "x");
    symlink("/nowhere/at all", root.join("a/link")).expect("linked");
    symlink("a", root.join("link to folder")).expect("linked");
    fifo(&root.join("pipe"));
    fs::write(root.join(OsStr::from_bytes(b"not \xff UTF-8")), "bytes").expect("written");
    chmod(&root.join("a/mine.txt"), 0o4640);
    chmod(&root.join("closed"), 0o555);
    chmod(&root.join("empty"), 0o1777);
    chmod(root, 0o2750);
    let stamp = |name: &str| {
        let metadata = root.join(name).symlink_metadata().expect("it");
        (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
    };
    let files = [
        "a/mine.txt",
        "a/link",
        "pipe",
        "gone/mine.txt",
        "deep/er/.git/config",
    ];
    let before = (files.map(stamp), stamp("deep/er").1, stamp("deep/er").2);
    let mut expected = tree(root);
    let report = build(root, &set(&[("a/b.conf", "2"), ("a/n/ew.conf", "1")])).expect("a build");
    assert_eq!(
        (report.copied.len(), report.notes.len()),
        (0, 0),
        "{report:?}"
    );
    let after = tree(root);
    for change in ["a/b.conf", "a/n", "a/n/ew.conf", "manifest.json"] {
        expected.insert(change.into(), after[Path::new(change)].clone());
    }
    expected.remove(Path::new("gone/c.conf"));
    assert_eq!(after, expected);
    assert_eq!(
        (files.map(stamp), stamp("deep/er").1, stamp("deep/er").2),
        before
    );
    assert_eq!(
        root.metadata().expect("it").permissions().mode() & 0o7777,
        0o2750
    );
    chmod(&root.join("closed"), 0o755);
    bench.assert_no_leftovers();
}

#[test]
fn a_file_with_other_names_is_not_written_through() {
    let bench = Bench::with(&set(&[("a.conf", "1")]));
    let outside = bench.folder.path().join("outside");
    fs::hard_link(bench.root.join("a.conf"), &outside).expect("linked");
    build(&bench.root, &set(&[("a.conf", "2")])).expect("a build");
    assert_eq!(fs::read_to_string(outside).expect("it"), "1\n");
    assert_eq!(read(&bench.root, "a.conf"), "2\n");
}

#[test]
fn a_target_built_alone_leaves_the_others_as_they_are() {
    let target = |name: &'static str, files: &[(&str, &str)]| {
        let mut set = FileSet::new();
        for (file, text) in files {
            set.insert(OutputFile::text(path(file), *text, Mode::Regular, name))
                .expect("no clash");
        }
        set
    };
    let mut all = target("nixos", &[("nixos/a", "1"), ("nixos/b", "1")]);
    all.extend(target("proxmox", &[("proxmox/a", "1")]))
        .expect("no clash");
    let bench = Bench::with(&all);
    let options = Options {
        scope: Scope::Targets(["nixos".to_owned()].into()),
        ..Options::default()
    };
    let nixos = target("nixos", &[("nixos/a", "2")]);
    let report = write(&bench.root, &nixos, &provenance("new spec"), &options).expect("a build");
    assert_eq!(report.removed, [path("nixos/b")]);
    assert_eq!(read(&bench.root, "proxmox/a"), "1\n");
    let manifest =
        Manifest::from_json(read(&bench.root, "manifest.json").as_bytes()).expect("a manifest");
    assert_eq!(manifest.provenance, provenance("new spec"));
    assert_eq!(
        manifest.files["proxmox/a"].spec_sha256,
        Some(Sha256::of(b"spec"))
    );
    assert_eq!(manifest.files["nixos/a"].spec_sha256, None);
    assert!(wrote_nothing(
        &write(&bench.root, &nixos, &provenance("new spec"), &options).expect("again")
    ));
    // And the whole again, which knows all of them for its own.
    build(&bench.root, &all).expect("a build");
    let whole =
        Manifest::from_json(read(&bench.root, "manifest.json").as_bytes()).expect("a manifest");
    assert_eq!(whole, Manifest::of(&all, provenance("spec")));
}

#[test]
fn the_folder_may_be_named_from_the_folder_above_it() {
    // The current folder belongs to the whole process, so a child has to do it.
    let bench = Bench::new();
    let mut child = child(Path::new("pve"), "0 1 0");
    let output = child
        .current_dir(bench.folder.path())
        .output()
        .expect("this test");
    assert!(output.status.success(), "{output:?}");
    whole_variant(
        &bench.folder.path().join("pve"),
        &[(0, expected_tree(0))],
        &BTreeMap::new(),
    );
}

// ---------------------------------------------------------------- refusals

#[test]
fn a_file_that_was_edited_by_hand_is_not_overwritten_without_force() {
    let bench = Bench::with(&set(&[("a.conf", "1\n2\n3\n4\n"), ("b.conf", "1")]));
    put(&bench.root, "a.conf", "1\nmine\n3\n4\nmine\n");
    let before = tree(&bench.root);
    // Whether or not moxc would write something new.
    for next in ["1\n2\n3\n4\n", "1\n2\n3\n5\n"] {
        let next = set(&[("a.conf", next), ("b.conf", "2")]);
        let text = refusal(build(&bench.root, &next));
        assert!(text.contains("1 file stands in the way in "), "{text}");
        assert!(
            text.contains("\n  `a.conf` was edited by hand: line 2, line"),
            "{text}"
        );
        assert_eq!(tree(&bench.root), before);
    }
    bench.assert_no_leftovers();
    let report = force(&bench.root, &set(&[("a.conf", "new"), ("b.conf", "2")])).expect("force");
    assert_eq!(report.overwritten, [path("a.conf")]);
    assert_eq!(read(&bench.root, "a.conf"), "new\n");
}

#[test]
fn an_edit_that_says_what_moxc_would_say_is_none() {
    let bench = Bench::with(&set(&[("a.conf", "1")]));
    put(&bench.root, "a.conf", "2\n");
    let report = build(&bench.root, &set(&[("a.conf", "2")])).expect("a build");
    assert_eq!(
        (report.updated, report.unchanged),
        (vec![path("manifest.json")], 1)
    );
}

#[test]
fn a_file_that_moxc_never_wrote_is_not_overwritten_without_force() {
    let bench = Bench::new();
    put(&bench.root, "a.conf", "theirs\n");
    put(&bench.root, "same.conf", "same\n");
    let files = set(&[("a.conf", "ours"), ("same.conf", "same")]);
    let text = refusal(build(&bench.root, &files));
    assert!(
        text.ends_with("\n  `a.conf` was not written by moxc: line 1"),
        "{text}"
    );
    assert_eq!(names_in(&bench.root), ["a.conf", "same.conf"]);
    assert_eq!(
        force(&bench.root, &files).expect("force").overwritten,
        [path("a.conf")]
    );
    assert!(wrote_nothing(
        &build(&bench.root, &files).expect("now it is moxc's")
    ));
}

#[test]
fn a_stale_file_that_was_edited_is_not_removed_without_force() {
    let bench = Bench::with(&set(&[("a.conf", "1"), ("b/c.conf", "1")]));
    put(&bench.root, "b/c.conf", "mine");
    let next = set(&[("a.conf", "1")]);
    let text = refusal(build(&bench.root, &next));
    assert!(
        text.ends_with("`b/c.conf` was edited by hand and is no longer generated"),
        "{text}"
    );
    force(&bench.root, &next).expect("force");
    assert_eq!(names_in(&bench.root), ["a.conf", "manifest.json"]);
}

#[test]
fn symbolic_links_in_the_way_are_refused_even_with_force() {
    let outside = Bench::with(&set(&[("x", "1")]));
    let there = outside.root.clone();
    let before = tree(&there);
    let files = set(&[("a/b.conf", "2"), ("x", "2")]);
    for (link, target) in [
        ("x", there.join("x")),
        ("a", there.clone()),
        ("manifest.json", there.join("manifest.json")),
    ] {
        let bench = Bench::new();
        fs::create_dir_all(&bench.root).expect("made");
        symlink(target, bench.root.join(link)).expect("linked");
        for result in [build(&bench.root, &files), force(&bench.root, &files)] {
            let text = refusal(result);
            assert!(
                text.contains(&format!("cannot be written: `{link}` is a symbolic link")),
                "{text}"
            );
        }
        assert_eq!(names_in(&bench.root), [link]);
        assert_eq!(tree(&there), before);
    }
}

#[test]
fn a_link_in_place_of_a_stale_file_is_somebody_elses() {
    let outside = Bench::with(&set(&[("x", "1")]));
    let bench = Bench::with(&set(&[("a/x", "1"), ("b/x", "1")]));
    fs::remove_dir_all(bench.root.join("a")).expect("removed");
    symlink(&outside.root, bench.root.join("a")).expect("linked");
    fs::remove_file(bench.root.join("b/x")).expect("removed");
    symlink(outside.root.join("x"), bench.root.join("b/x")).expect("linked");
    build(&bench.root, &set(&[("c", "1")])).expect("a build");
    assert_eq!(read(&outside.root, "x"), "1\n");
    assert_eq!(names_in(&bench.root), ["a", "b", "c", "manifest.json"]);
    assert!(bench.root.join("b/x").is_symlink());
}

#[test]
fn an_output_folder_that_is_a_link_is_refused_and_a_link_above_it_is_not() {
    let bench = Bench::with(&set(&[("a", "1")]));
    let link = bench.folder.path().join("link");
    symlink(&bench.root, &link).expect("linked");
    let text = one_line(force(&link, &set(&[("a", "2")])));
    assert!(text.contains("is a symbolic link, not a folder"), "{text}");
    assert_eq!(read(&bench.root, "a"), "1\n");
    let above = bench.folder.path().join("above");
    symlink(bench.folder.path().join("generated"), &above).expect("linked");
    build(&above.join("pve"), &set(&[("a", "2")])).expect("the user's own choice");
    assert_eq!(read(&bench.root, "a"), "2\n");
}

#[test]
fn what_is_no_folder_or_no_file_is_refused_in_one_line() {
    let files = set(&[("a", "1")]);
    let bench = Bench::new();
    put(bench.folder.path(), "file", "x");
    fifo(&bench.folder.path().join("pipe"));
    for (name, expected) in [
        (
            "file",
            "is a file, not a folder that can be replaced; nothing was written",
        ),
        ("pipe", "is a FIFO, socket or device, not a folder"),
        (
            "file/below",
            "Not a directory (os error 20); the output folder is as it was",
        ),
        ("..", "cannot be an output folder"),
        ("file/../..", "cannot be an output folder"),
    ] {
        let text = one_line(build(&bench.folder.path().join(name), &files));
        assert!(text.contains(expected), "{text}");
    }
    for root in ["", ".", "/", "..", "./.."] {
        let text = one_line(build(Path::new(root), &files));
        assert!(text.contains("cannot be an output folder"), "{text}");
    }
    assert_eq!(names_in(bench.folder.path()), ["file", "pipe"]);

    fs::create_dir_all(&bench.root).expect("made");
    fifo(&bench.root.join("a"));
    let text = refusal(force(&bench.root, &files));
    assert!(text.contains("`a` is a FIFO, socket or device"), "{text}");
    let text = refusal(force(&bench.root, &set(&[("a/b", "1")])));
    assert!(
        text.contains("`a/b` cannot be written: `a` is a FIFO, socket or device"),
        "{text}"
    );
}

#[test]
fn a_foreign_file_where_a_folder_is_needed_stays() {
    let bench = Bench::new();
    put(&bench.root, "a", "theirs");
    let text = refusal(force(&bench.root, &set(&[("a/b", "1")])));
    assert!(
        text.contains("`a/b` cannot be written: `a` is a file"),
        "{text}"
    );
    assert_eq!(read(&bench.root, "a"), "theirs");
}

#[test]
fn a_broken_manifest_is_one_line_and_force_gets_over_it() {
    let files = set(&[("a", "1"), ("b", "1")]);
    let bench = Bench::with(&files);
    for broken in ["", "{", "[]", "{\"format\": 99}", "\u{0}\u{1}\u{1b}[2J"] {
        put(&bench.root, "manifest.json", broken);
        put(&bench.root, "b", "edited");
        let text = one_line(build(&bench.root, &files));
        assert!(
            text.starts_with("cannot use `") && text.ends_with("; nothing was written"),
            "{text}"
        );
        assert!(!text.contains(char::is_control), "{text:?}");
        assert_eq!(read(&bench.root, "manifest.json"), broken);
        let report = force(&bench.root, &files).expect("force");
        assert_eq!(
            report.overwritten,
            [path("b"), path("manifest.json")],
            "{broken}"
        );
        assert!(wrote_nothing(
            &build(&bench.root, &files).expect("a good manifest")
        ));
    }
}

#[test]
fn a_manifest_cannot_lead_out_of_the_folder() {
    let bench = Bench::with(&set(&[("a", "1")]));
    put(bench.folder.path(), "generated/victim", "1\n");
    let manifest = read(&bench.root, "manifest.json");
    for hostile in ["../victim", "/etc/hostname", "a/../../victim"] {
        put(
            &bench.root,
            "manifest.json",
            &manifest.replace("\"a\"", &format!("\"{hostile}\"")),
        );
        let text = one_line(build(&bench.root, &set(&[("b", "1")])));
        assert!(text.contains(&format!("the path `{hostile}`")), "{text}");
    }
    assert_eq!(read(bench.folder.path(), "generated/victim"), "1\n");
}

#[test]
fn a_second_build_waits_and_then_says_who_is_in_the_way() {
    let bench = Bench::with(&set(&[("a", "1")]));
    let parent = fs::File::open(bench.folder.path().join("generated")).expect("it");
    rustix::fs::flock(&parent, rustix::fs::FlockOperation::LockExclusive).expect("a lock");
    let hurry = Options {
        patience: Duration::from_millis(50),
        ..Options::default()
    };
    let next = set(&[("a", "2")]);
    let text = one_line(write(&bench.root, &next, &provenance("spec"), &hurry));
    assert!(text.starts_with("another moxc is writing `"), "{text}");
    let waiting = std::thread::spawn({
        let root = bench.root.clone();
        move || build(&root, &set(&[("a", "2")])).map(|report| report.updated.len())
    });
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(read(&bench.root, "a"), "1\n");
    drop(parent);
    assert_eq!(waiting.join().expect("no panic").expect("a build"), 2);
}

// ---------------------------------------------------------------- what --check shows

#[test]
fn a_diff_goes_from_the_folder_to_the_build() {
    let bench = Bench::with(&set(&[
        ("a.conf", "1\n2\n3"),
        ("gone.conf", "x"),
        ("run.sh", "x"),
        ("s.key", "old secret"),
    ]));
    put(&bench.root, "edited.conf", "never moxc's\n");
    chmod(&bench.root.join("run.sh"), 0o644);
    let next = set(&[
        ("a.conf", "1\nzwei\n3"),
        ("edited.conf", "moxc's"),
        ("new.conf", "n"),
        ("run.sh", "x"),
        ("s.key", "new secret"),
    ]);
    let expected = "\
--- a/a.conf
+++ b/a.conf
@@ -1,3 +1,3 @@
 1
-2
+zwei
 3
`edited.conf` was not written by moxc
--- a/edited.conf
+++ b/edited.conf
@@ -1 +1 @@
-never moxc's
+moxc's
`gone.conf` is no longer generated
--- a/gone.conf
+++ /dev/null
@@ -1 +0,0 @@
-x
`manifest.json` follows from the other files
--- /dev/null
+++ b/new.conf
@@ -0,0 +1 @@
+n
`run.sh` has the mode 0644, not 0755
`s.key` is private: its lines are not shown
";
    pretty_assertions::assert_eq!(unified(&bench.root, &next), expected);
    let comparison =
        compare(&bench.root, &next, &provenance("spec"), &Scope::Everything).expect("a comparison");
    assert!(
        comparison.summary().ends_with(
            "is out of date: 1 to create, 3 to update, 1 with another mode, 1 to remove, 1 not written by moxc"
        ),
        "{}",
        comparison.summary()
    );
}

#[test]
#[ignore = "needs git; run by tests/run"]
fn a_diff_is_what_patch_would_need() {
    let bench = Bench::with(&set(&[
        ("a.conf", "1\n2\n3"),
        ("d/gone.conf", "x"),
        ("b.conf", "no end"),
    ]));
    put(&bench.root, "b.conf", "no newline at the end");
    let next = set(&[
        ("a.conf", "1\nzwei\n3"),
        ("d/new.conf", "n"),
        ("b.conf", "2"),
    ]);
    let diff = unified(&bench.root, &next);
    let mut patch = Command::new("git")
        .args(["apply", "--unsafe-paths", "-p1", "-"])
        .current_dir(&bench.root)
        .stdin(Stdio::piped())
        .spawn()
        .expect("git");
    patch
        .stdin
        .take()
        .expect("a pipe")
        .write_all(diff.as_bytes())
        .expect("taken");
    assert!(patch.wait().expect("git").success(), "{diff}");
    for name in ["a.conf", "d/new.conf", "b.conf"] {
        assert_eq!(
            read(&bench.root, name).as_bytes(),
            next.get(name).expect("it").contents
        );
    }
    assert!(!bench.root.join("d/gone.conf").exists());
}

#[test]
fn a_missing_folder_is_one_line() {
    let bench = Bench::new();
    let files = set(&[("a", "1"), ("b", "1")]);
    assert!(unified(&bench.root, &files).ends_with("does not exist; it would get 3 files\n"));
    // Looking must not make it.
    assert!(names_in(bench.folder.path()).is_empty());
}

#[test]
fn line_ends_that_a_checkout_changed_are_said_and_repaired() {
    let files = set(&[("a.conf", "1\n2\n"), ("b.conf", "1\n2\n")]);
    let bench = Bench::with(&files);
    for name in ["a.conf", "b.conf", "manifest.json"] {
        let crlf = read(&bench.root, name).replace('\n', "\r\n");
        put(&bench.root, name, &crlf);
    }
    let diff = unified(&bench.root, &files);
    assert_eq!(
        diff,
        "`a.conf` differs only in its line endings\n`b.conf` differs only in its line endings\n\
         `manifest.json` differs only in its line endings\n"
    );
    // No edit, so an update may replace it.
    let next = set(&[("a.conf", "1\n2\n"), ("b.conf", "1\n3\n")]);
    assert!(matches!(
        kinds(&bench.root, &next)["b.conf"],
        ChangeKind::Update { .. }
    ));
    build(&bench.root, &next).expect("no refusal");
    assert_eq!(
        read(&bench.root, "a.conf") + &read(&bench.root, "b.conf"),
        "1\n2\n1\n3\n"
    );
}

#[test]
fn what_is_no_text_is_one_line() {
    let bench = Bench::new();
    let utf16 = |text: &str| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    };
    let files = |task: &str, binary: &[u8]| {
        let mut set = FileSet::new();
        for (name, bytes) in [("task.xml", utf16(task)), ("z.bin", binary.to_vec())] {
            set.insert(OutputFile::bytes(path(name), bytes, Mode::Regular, "test"))
                .expect("no clash");
        }
        set
    };
    build(&bench.root, &files("<a/>", b"\0")).expect("a build");
    assert_eq!(
        fs::read(bench.root.join("task.xml")).expect("it"),
        b"\xff\xfe<\0a\0/\0>\0"
    );
    let diff = unified(&bench.root, &files("<b/>", b"\x1b[2J"));
    assert_eq!(
        diff,
        "`manifest.json` follows from the other files\n`task.xml` differs, and is UTF-16\n\
         `z.bin` differs, and is not text that can be shown\n"
    );
}

#[test]
fn a_checkout_with_another_umask_is_up_to_date() {
    let files = set(&[("a.conf", "1"), ("run.sh", "1")]);
    let bench = Bench::with(&files);
    for (regular, executable) in [(0o664, 0o775), (0o600, 0o700), (0o640, 0o750)] {
        chmod(&bench.root.join("a.conf"), regular);
        chmod(&bench.root.join("manifest.json"), regular);
        chmod(&bench.root.join("run.sh"), executable);
        assert_eq!(unified(&bench.root, &files), "");
    }
    chmod(&bench.root.join("run.sh"), 0o777);
    assert_eq!(
        unified(&bench.root, &files),
        "`run.sh` has the mode 0777, not 0755\n"
    );
    build(&bench.root, &files).expect("a build");
    assert_eq!(
        bench.root.join("run.sh").metadata().expect("it").mode() & 0o7777,
        0o755
    );
}

// ---------------------------------------------------------------- any trees

/// What may lie at one of a few paths.
#[derive(Debug, Clone)]
struct Plot {
    old: Option<&'static str>,
    new: Option<&'static str>,
    /// What somebody puts there between the builds: an edit, a removal, a link.
    meddling: Option<&'static str>,
}

const PLOTS: [&str; 8] = ["a", "b/c", "b/d", "b/e/f", "g/h/i", "g/j", "k.sh", "l/m"];

fn plots() -> impl Strategy<Value = Vec<Plot>> {
    let text = || proptest::option::of(prop_oneof![Just("1\n"), Just("2\n")]);
    let meddling = proptest::option::weighted(
        0.3,
        prop_oneof![
            Just("1\n"),
            Just("2\n"),
            Just("mine\n"),
            Just("rm"),
            Just("link"),
            Just("dir"),
            Just("extra")
        ],
    );
    let plot =
        (text(), text(), meddling).prop_map(|(old, new, meddling)| Plot { old, new, meddling });
    proptest::collection::vec(plot, PLOTS.len())
}

fn meddle(root: &Path, name: &str, what: &str) {
    let at = root.join(name);
    fs::create_dir_all(at.parent().expect("a folder")).expect("made");
    match what {
        "extra" => fs::write(at.with_file_name("extra"), "extra").expect("written"),
        "rm" => drop(fs::remove_file(at)),
        "link" => {
            drop(fs::remove_file(&at));
            symlink("/etc/hostname", at).expect("linked");
        }
        "dir" => {
            drop(fs::remove_file(&at));
            fs::create_dir_all(at.join("inner")).expect("made");
        }
        text => fs::write(at, text).expect("written"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_build_loses_what_is_not_moxcs(plots in plots(), forced: bool) {
        let pick = |which: fn(&Plot) -> Option<&'static str>| {
            let files: Vec<_> = PLOTS.iter().zip(&plots).filter_map(|(name, plot)| Some((*name, which(plot)?))).collect();
            set(&files)
        };
        let (old, new) = (pick(|plot| plot.old), pick(|plot| plot.new));
        let bench = Bench::with(&old);
        for (name, plot) in PLOTS.iter().zip(&plots) {
            if let Some(what) = plot.meddling {
                meddle(&bench.root, name, what);
            }
        }
        let before = tree(&bench.root);
        let comparison = compare(&bench.root, &new, &provenance("spec"), &Scope::Everything).expect("a comparison");
        let conflicts: Vec<_> = comparison.conflicts(forced).into_iter().map(|conflict| conflict.change.path).collect();
        prop_assert_eq!(tree(&bench.root), before.clone(), "a comparison wrote something");

        let result = if forced { force(&bench.root, &new) } else { build(&bench.root, &new) };
        let after = tree(&bench.root);
        bench.assert_no_leftovers();
        if let Err(error) = result {
            let OutputError::Refused { conflicts: refused, .. } = error else { panic!("{error}") };
            let refused: Vec<_> = refused.into_iter().map(|conflict| conflict.change.path).collect();
            prop_assert!(!refused.is_empty());
            prop_assert_eq!(refused, conflicts);
            prop_assert_eq!(after, before, "a refused build wrote something");
            return Ok(());
        }
        prop_assert!(conflicts.is_empty());
        for file in new.iter() {
            let text = String::from_utf8_lossy(&file.contents).into_owned();
            prop_assert_eq!(&after[Path::new(file.path.as_str())], &Entry::File(text, file.mode.bits()));
        }
        for (at, entry) in &before {
            let name = at.to_str().expect("UTF-8");
            let was_moxcs = old.get(name).is_some_and(|file| match entry {
                Entry::File(text, _) => forced || text.as_bytes() == file.contents,
                _ => false,
            });
            let is_moxcs = name == "manifest.json" || new.get(name).is_some();
            let is_folder = matches!(entry, Entry::Folder(_));
            if !was_moxcs && !is_moxcs && !is_folder {
                prop_assert_eq!(after.get(at), Some(entry), "{} was lost", name);
            }
            if was_moxcs && !is_moxcs {
                prop_assert_eq!(after.get(at), None, "{} is stale", name);
            }
        }
        // No folder of moxc's is left empty, and none of the user's goes.
        for (at, entry) in &after {
            let empty = matches!(entry, Entry::Folder(_)) && !after.keys().any(|other| other.parent() == Some(at));
            if empty {
                let was_empty = before.contains_key(at) && !before.keys().any(|other| other.parent() == Some(at));
                prop_assert!(was_empty, "{at:?} is empty");
            }
        }
        let again = if forced { force(&bench.root, &new) } else { build(&bench.root, &new) };
        prop_assert!(wrote_nothing(&again.expect("a second build")));
        prop_assert_eq!(tree(&bench.root), after);
    }
}

// ---------------------------------------------------------------- killed builds

const CHILD_FOLDER: &str = "MOXC_TEST_OUTPUT_FOLDER";
const CHILD_BUILDS: &str = "MOXC_TEST_OUTPUT_BUILDS";
const CHILD_ARGS: [&str; 4] = [
    "--ignored",
    "--exact",
    "output::child_that_builds",
    "--nocapture",
];

/// One of several trees that differ in files, folders, contents and modes.
fn variant(number: u32) -> FileSet {
    let text =
        |name: &str| format!("{name} of variant {number}\n").repeat(1 + number as usize % 3 * 40);
    let mut files: Vec<(String, String)> = (0..12)
        .map(|n| format!("proxmox/etc/pve/qemu-server/{}.conf", 100 + n + number % 4))
        .map(|name| (name.clone(), text(&name)))
        .collect();
    files.push(("proxmox/apply.sh".into(), text("apply.sh")));
    files.push(("same/for/all.conf".into(), "the same".into()));
    files.push((format!("only/{number}/here.key"), text("here.key")));
    let (gives, way) = if number.is_multiple_of(2) {
        ("x", "y/z")
    } else {
        ("x/w", "y")
    };
    files.extend([(gives.into(), text(gives)), (way.into(), text(way))]);
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    set(&files)
}

/// What a folder with one of the trees, and nothing else, holds.
fn expected_tree(number: u32) -> BTreeMap<PathBuf, Entry> {
    let bench = Bench::with(&variant(number));
    tree(&bench.root)
}

/// Builds the variants in the environment variable, one after the other; for the tests below, which start and kill it.
#[test]
#[ignore = "the child process of other tests"]
fn child_that_builds() {
    let (Some(folder), Ok(builds)) = (std::env::var_os(CHILD_FOLDER), std::env::var(CHILD_BUILDS))
    else {
        panic!("this is only run by other tests, with {CHILD_FOLDER} and {CHILD_BUILDS} set");
    };
    say("READY\n");
    for number in builds.split(' ') {
        let number = number.parse().expect("a number");
        if let Err(error) = build(Path::new(&folder), &variant(number)) {
            say(&format!("ERROR: {error}"));
            std::process::exit(3);
        }
    }
}

/// Tells the parent something, past the test harness.
fn say(text: &str) {
    std::io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .expect("a parent");
}

fn child(folder: &Path, builds: &str) -> Command {
    let mut child = Command::new(std::env::current_exe().expect("this test"));
    child
        .args(CHILD_ARGS)
        .env(CHILD_FOLDER, folder)
        .env(CHILD_BUILDS, builds)
        .stdout(Stdio::null());
    child
}

/// The same under strace with `inject`.
fn traced_child(folder: &Path, builds: &str, inject: &[&str]) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qqq", "-o", "/dev/null", "-e", "trace=all"]);
    for inject in inject {
        traced.args(["-e", &format!("inject={inject}")]);
    }
    traced.arg(std::env::current_exe().expect("this test"));
    traced
        .args(CHILD_ARGS)
        .env(CHILD_FOLDER, folder)
        .env(CHILD_BUILDS, builds);
    traced
}

fn error_of(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = text.split("ERROR: ").nth(1).unwrap_or_default();
    error.trim_end().to_owned()
}

/// The user's files in the folder, of every kind.
fn add_foreign(root: &Path) {
    put(root, "mine/notes.txt", "mine");
    put(root, "same/mine.txt", "mine");
    fs::create_dir_all(root.join("mine/empty")).expect("made");
    symlink("notes.txt", root.join("mine/link")).expect("linked");
}

/// A tree without the folders that the variants alone need, and without what the user put there.
fn foreign_part(tree: &BTreeMap<PathBuf, Entry>) -> BTreeMap<PathBuf, Entry> {
    let mine = |at: &Path| at.starts_with("mine") || at == Path::new("same/mine.txt");
    tree.iter()
        .filter(|(at, _)| mine(at))
        .map(|(at, entry)| (at.clone(), entry.clone()))
        .collect()
}

/// Which of the variants the tree is, whole and with the user's files.
fn whole_variant(
    root: &Path,
    variants: &[(u32, BTreeMap<PathBuf, Entry>)],
    foreign: &BTreeMap<PathBuf, Entry>,
) -> u32 {
    let found = tree(root);
    let number = variants.iter().find_map(|(number, expected)| {
        let mut whole = expected.clone();
        whole.extend(foreign.clone());
        (whole == found).then_some(*number)
    });
    number.unwrap_or_else(|| {
        let names: Vec<_> = found.keys().collect();
        panic!("neither the old tree nor the new one: {names:?}")
    })
}

#[test]
fn a_build_killed_at_any_moment_leaves_the_old_tree_or_the_new_one() {
    let variants: Vec<_> = (0..4)
        .map(|number| (number, expected_tree(number)))
        .collect();
    let bench = Bench::with(&variant(0));
    add_foreign(&bench.root);
    let foreign = foreign_part(&tree(&bench.root));
    let builds = "1 2 3 0 ".repeat(500);
    let mut random = 0x9e37_79b9_u64;
    let mut seen = [0; 4];
    let mut leftovers = 0;
    for _ in 0..300 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mut building = child(&bench.root, builds.trim_end());
        let mut killed = building.stdout(Stdio::piped()).spawn().expect("this test");
        let mut lines = BufReader::new(killed.stdout.take().expect("a pipe")).lines();
        while lines.next().expect("a child that begins").expect("a pipe") != "READY" {}
        // A build takes a few milliseconds.
        std::thread::sleep(Duration::from_micros((random >> 33) % 15_000));
        killed.kill().expect("a child");
        killed.wait().expect("a child");
        let number = whole_variant(&bench.root, &variants, &foreign);
        seen[number as usize] += 1;
        leftovers += usize::from(names_in(&bench.folder.path().join("generated")).len() > 1);
        // The next build goes through, whatever was left.
        let next = (number + 1) % 4;
        let report = build(&bench.root, &variant(next)).expect("the next build");
        assert!(report.notes.is_empty(), "{:?}", report.notes);
        assert_eq!(whole_variant(&bench.root, &variants, &foreign), next);
        bench.assert_no_leftovers();
    }
    // Else it was never killed in the middle, and proved nothing.
    assert!(
        leftovers > 20 && seen.iter().all(|times| *times > 0),
        "{leftovers} leftovers, {seen:?}"
    );
}

/// Every system call by which a build changes the disk.
const CHANGING_CALLS: [&str; 12] = [
    "mkdirat",
    "openat",
    "openat2",
    "write",
    "fchmod",
    "linkat",
    "syncfs",
    "fsync",
    "renameat",
    "renameat2",
    "unlinkat",
    "flock",
];

/// Kills a build from one variant to the next at each of its system calls; `inject` bends other calls.
fn kill_at_every_call(inject: &[&str], may_be_missing: bool) -> (usize, usize) {
    let variants: Vec<_> = (0..2)
        .map(|number| (number, expected_tree(number)))
        .collect();
    let (mut kills, mut missing) = (0, 0);
    for call in CHANGING_CALLS {
        // strace takes one rule a call.
        if inject
            .iter()
            .any(|rule| rule.starts_with(&format!("{call}:")))
        {
            continue;
        }
        for nth in 1.. {
            let bench = Bench::with(&variant(0));
            add_foreign(&bench.root);
            let foreign = foreign_part(&tree(&bench.root));
            let kill = format!("{call}:signal=KILL:when={nth}");
            let mut inject = inject.to_vec();
            inject.push(&kill);
            let output = traced_child(&bench.root, "1", &inject)
                .output()
                .expect("strace");
            if output.status.success() {
                assert_eq!(whole_variant(&bench.root, &variants, &foreign), 1);
                bench.assert_no_leftovers();
                break;
            }
            assert_eq!(output.status.signal(), Some(9), "{output:?}");
            kills += 1;
            if bench.root.exists() {
                whole_variant(&bench.root, &variants, &foreign);
            } else {
                assert!(may_be_missing, "{kill}: the folder is gone");
                missing += 1;
            }
            let report = build(&bench.root, &variant(1)).expect("the next build");
            assert!(report.notes.is_empty(), "{kill}: {:?}", report.notes);
            assert_eq!(whole_variant(&bench.root, &variants, &foreign), 1, "{kill}");
            bench.assert_no_leftovers();
        }
    }
    (kills, missing)
}

#[test]
#[ignore = "needs strace; run by tests/run"]
fn a_build_killed_at_each_of_its_system_calls_leaves_the_old_tree_or_the_new_one() {
    let (kills, missing) = kill_at_every_call(&[], false);
    assert!(kills > 100 && missing == 0, "{kills} kills");
}

#[test]
#[ignore = "needs strace; run by tests/run"]
fn where_a_file_system_cannot_swap_the_next_build_recovers_the_old_tree() {
    let (kills, missing) = kill_at_every_call(&["renameat2:error=EINVAL"], true);
    // The window between the two renames is there, and was met.
    assert!(
        kills > 100 && missing > 0,
        "{kills} kills, {missing} without a folder"
    );
}

#[test]
#[ignore = "needs strace; run by tests/run"]
fn an_edit_during_a_build_is_not_lost() {
    for inject in [
        &["renameat2:delay_enter=600000"][..],
        &["renameat2:error=EINVAL", "syncfs:delay_exit=600000"],
    ] {
        for meddling in [
            "x",
            "same/for/new.txt",
            "mine/notes.txt",
            "proxmox/etc/new/folder/file",
        ] {
            let bench = Bench::with(&variant(0));
            add_foreign(&bench.root);
            let mut traced = traced_child(&bench.root, "1", inject);
            let building = traced.stdout(Stdio::piped()).spawn().expect("strace");
            let staging = bench
                .folder
                .path()
                .join("generated/.pve.moxc-staging-0/tree/manifest.json");
            while !staging.exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(200));
            // As an editor does it: a new file, renamed over the old one.
            put(&bench.root, "new~", "edited during the build");
            let edited = bench.root.join(meddling);
            fs::create_dir_all(edited.parent().expect("a folder")).expect("made");
            fs::rename(bench.root.join("new~"), &edited).expect("renamed");
            let before = tree(&bench.root);
            let output = building.wait_with_output().expect("strace");
            let error = error_of(&output);
            assert!(
                error.contains("changed during the build, so the folder was left as it was"),
                "{error}"
            );
            assert_eq!(tree(&bench.root), before, "{meddling}");
            bench.assert_no_leftovers();
        }
    }
}

#[test]
fn what_a_killed_build_leaves_is_removed_and_nothing_else() {
    let bench = Bench::with(&set(&[("a", "1")]));
    let generated = bench.folder.path().join("generated");
    let marker = "moxc builds a folder's next tree here. A build that was killed leaves this behind,\n\
        and the next build of the same folder removes it.\n";
    // Left by killed builds: before the marker, with half of it, with a half-built or half-removed tree.
    fs::create_dir(generated.join(".pve.moxc-staging-0")).expect("made");
    put(&generated, ".pve.moxc-staging-1/MOXC-STAGING", "");
    put(&generated, ".pve.moxc-staging-2/MOXC-STAGING", marker);
    put(&generated, ".pve.moxc-staging-2/tree/a/b", "half");
    chmod(&generated.join(".pve.moxc-staging-2/tree/a"), 0o500);
    symlink(&bench.root, generated.join(".pve.moxc-staging-2/tree/link")).expect("linked");
    // Somebody's own.
    let own = [
        ".pve.moxc-staging-",
        ".pve.moxc-staging-3",
        ".pve.moxc-staging-4",
        ".pve.moxc-staging-5",
        ".pve.moxc-staging-x",
        ".pve1.moxc-staging-0",
    ];
    put(&generated, ".pve.moxc-staging-/MOXC-STAGING", marker);
    put(&generated, ".pve.moxc-staging-3/mine", "no marker");
    put(
        &generated,
        ".pve.moxc-staging-4/MOXC-STAGING",
        "another text",
    );
    put(&generated, ".pve.moxc-staging-5/MOXC-STAGING", marker);
    put(&generated, ".pve.moxc-staging-5/mine", "beside the tree");
    put(&generated, ".pve.moxc-staging-x/MOXC-STAGING", marker);
    put(&generated, ".pve1.moxc-staging-0/MOXC-STAGING", marker);
    put(&generated, ".pve.moxc-staging-6", "a file");
    symlink(&bench.root, generated.join(".pve.moxc-staging-7")).expect("linked");
    build(&bench.root, &set(&[("a", "2")])).expect("a build");
    let mut expected: Vec<&str> = own.to_vec();
    expected.extend([".pve.moxc-staging-6", ".pve.moxc-staging-7", "pve"]);
    expected.sort_unstable();
    assert_eq!(names_in(&generated), expected);
    assert_eq!(read(&bench.root, "a"), "2\n");
}

#[test]
fn a_tree_that_was_set_aside_comes_back() {
    let aside = |with_tree: bool| {
        let bench = Bench::with(&set(&[("a", "1")]));
        put(&bench.root, "mine", "mine");
        let generated = bench.folder.path().join("generated");
        put(&generated, ".pve.moxc-staging-0/MOXC-STAGING", "");
        if with_tree {
            put(&generated, ".pve.moxc-staging-0/tree/a", "half");
        }
        fs::rename(&bench.root, generated.join(".pve.moxc-staging-0/former")).expect("renamed");
        (bench, generated)
    };
    let (bench, _) = aside(true);
    let report = build(&bench.root, &set(&[("a", "2")])).expect("a build");
    assert_eq!(report.updated, [path("a"), path("manifest.json")]);
    assert_eq!(
        read(&bench.root, "a") + &read(&bench.root, "mine"),
        "2\nmine"
    );
    bench.assert_no_leftovers();

    // The second rename was made, so there is nothing to bring back.
    let (bench, _) = aside(false);
    put(&bench.root, "new", "x");
    build(&bench.root, &set(&[("a", "2")])).expect("a build");
    assert_eq!(names_in(&bench.root), ["a", "manifest.json", "new"]);
    bench.assert_no_leftovers();

    // Somebody made a new folder meanwhile: which of the two is right is not ours to say.
    let (bench, generated) = aside(true);
    put(&bench.root, "new", "x");
    let text = one_line(build(&bench.root, &set(&[("a", "2")])));
    assert!(
        text.contains("a build that was killed left the former"),
        "{text}"
    );
    assert_eq!(read(&generated, ".pve.moxc-staging-0/former/mine"), "mine");
}

#[test]
fn builds_and_comparisons_at_once_see_whole_trees() {
    let bench = Bench::with(&variant(0));
    add_foreign(&bench.root);
    let foreign = foreign_part(&tree(&bench.root));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let root = &bench.root;
            scope.spawn(move || {
                for _ in 0..10 {
                    build(root, &variant(number)).expect("a build");
                    let whole = (0..4).filter(|other| {
                        let files = variant(*other);
                        let comparison =
                            compare(root, &files, &provenance("spec"), &Scope::Everything);
                        comparison
                            .expect("a comparison")
                            .conflicts(false)
                            .is_empty()
                    });
                    assert_eq!(whole.count(), 4, "somebody saw half a tree");
                }
            });
        }
    });
    let variants: Vec<_> = (0..4)
        .map(|number| (number, expected_tree(number)))
        .collect();
    whole_variant(&bench.root, &variants, &foreign);
    bench.assert_no_leftovers();
}

// ---------------------------------------------------------------- what the system refuses

/// A child that builds as nobody, who is not root even where these tests run as root.
fn child_of_nobody(bench: &Bench, builds: &str) -> Output {
    let mut nobody = child(&bench.root, builds);
    if bench.folder.path().metadata().expect("it").uid() == 0 {
        // Where the tests themselves lie, nobody may have no way to.
        let copy = bench.folder.path().join("tests");
        fs::copy(std::env::current_exe().expect("this test"), &copy).expect("copied");
        chmod(bench.folder.path(), 0o755);
        let mut other = Command::new(copy);
        other
            .args(CHILD_ARGS)
            .env(CHILD_FOLDER, &bench.root)
            .env(CHILD_BUILDS, builds);
        other.uid(65534).gid(65534);
        nobody = other;
    }
    nobody.stdout(Stdio::piped()).output().expect("this test")
}

/// Where the tests run as root, makes all of `at` nobody's.
fn give_to_nobody(bench: &Bench, at: &Path) {
    if bench.folder.path().metadata().expect("it").uid() == 0 {
        std::os::unix::fs::chown(at, Some(65534), Some(65534)).expect("root");
        for entry in fs::read_dir(at).expect("a folder") {
            let entry = entry.expect("an entry").path();
            if entry.is_dir() {
                give_to_nobody(bench, &entry);
            } else {
                std::os::unix::fs::lchown(&entry, Some(65534), Some(65534)).expect("root");
            }
        }
    }
}

#[test]
fn a_missing_permission_is_one_line_and_changes_nothing() {
    for (closed, bits, expected) in [
        ("generated", 0o555, "cannot create `"),
        ("generated", 0o000, "cannot open `"),
        ("generated/pve", 0o000, "cannot open `"),
        ("generated/pve", 0o555, "cannot replace `"),
        ("generated/pve/proxmox/apply.sh", 0o000, "cannot read `"),
        ("generated/pve/proxmox", 0o000, "cannot look at `"),
    ] {
        let bench = Bench::with(&variant(0));
        give_to_nobody(&bench, &bench.folder.path().join("generated"));
        let before = tree(&bench.root);
        let at = bench.folder.path().join(closed);
        let bits_before = at.metadata().expect("it").mode();
        chmod(&at, bits);
        let output = child_of_nobody(&bench, "1");
        chmod(&at, bits_before);
        let error = error_of(&output);
        assert_eq!(output.status.code(), Some(3), "{closed}: {output:?}");
        assert!(error.starts_with(expected), "{closed}: {error}");
        assert!(
            error.ends_with("Permission denied (os error 13); the output folder is as it was"),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
        assert_eq!(tree(&bench.root), before);
        bench.assert_no_leftovers();
    }
}

#[test]
#[ignore = "needs root to make files of two users; run by tests/run"]
fn another_users_file_is_carried_over_and_another_users_folder_refused() {
    let bench = Bench::with(&variant(0));
    give_to_nobody(&bench, &bench.folder.path().join("generated"));
    put(&bench.root, "mine/roots.txt", "root's");
    give_to_nobody(&bench, &bench.root);
    std::os::unix::fs::chown(bench.root.join("mine/roots.txt"), Some(0), Some(0)).expect("root");
    let output = child_of_nobody(&bench, "1");
    assert!(output.status.success(), "{}", error_of(&output));
    assert_eq!(read(&bench.root, "mine/roots.txt"), "root's");
    bench.assert_no_leftovers();

    put(&bench.root, "roots/file", "root's");
    let before = tree(&bench.root);
    let output = child_of_nobody(&bench, "0");
    let error = error_of(&output);
    assert!(
        error.starts_with("cannot carry over `") && error.contains("/roots`: Permission denied"),
        "{error}"
    );
    assert_eq!(tree(&bench.root), before);
    bench.assert_no_leftovers();
}

/// A small file system of its own in memory, gone when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: &Path, options: &str) -> Self {
        fs::create_dir_all(at).expect("made");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(at));
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run(Command::new("umount").arg(&self.0));
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("a program of the base system");
    assert!(output.status.success(), "{command:?}: {output:?}");
}

#[test]
#[ignore = "needs root for a tmpfs mount; run by tests/run"]
fn a_full_disk_is_one_line_and_changes_nothing() {
    for (options, large) in [("size=256k", true), ("size=4m,nr_inodes=40", false)] {
        let bench = Bench::new();
        let _mounted = Mounted::tmpfs(&bench.folder.path().join("generated"), options);
        build(&bench.root, &set(&[("a.conf", "1"), ("old.conf", "1")])).expect("a small build");
        put(&bench.root, "mine", "mine");
        let before = tree(&bench.root);
        let text = "x".repeat(if large { 300_000 } else { 10 });
        let names: Vec<String> = (0..if large { 1 } else { 60 })
            .map(|n| format!("d/{n}.conf"))
            .collect();
        let files: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), text.as_str()))
            .collect();
        let error = one_line(build(&bench.root, &set(&files)));
        assert!(error.starts_with("cannot "), "{error}");
        assert!(
            error
                .ends_with("No space left on device (os error 28); the output folder is as it was"),
            "{error}"
        );
        assert_eq!(tree(&bench.root), before);
        bench.assert_no_leftovers();
        build(&bench.root, &set(&[("a.conf", "2")])).expect("a small build again");

        // A first build that fails leaves nothing at all.
        let other = bench.folder.path().join("generated/other/deep/pve");
        one_line(build(&other, &set(&files)));
        bench.assert_no_leftovers();
    }
}

#[test]
#[ignore = "needs root for a tmpfs mount; run by tests/run"]
fn a_read_only_file_system_is_one_line() {
    let bench = Bench::new();
    let mounted = Mounted::tmpfs(&bench.folder.path().join("generated"), "size=1m");
    let files = set(&[("a.conf", "1")]);
    build(&bench.root, &files).expect("a build");
    run(Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(&mounted.0));
    assert_eq!(unified(&bench.root, &files), "");
    assert!(wrote_nothing(
        &build(&bench.root, &files).expect("nothing to do")
    ));
    let error = one_line(build(&bench.root, &set(&[("a.conf", "2")])));
    assert!(
        error.ends_with("Read-only file system (os error 30); the output folder is as it was"),
        "{error}"
    );
    assert_eq!(read(&bench.root, "a.conf"), "1\n");
    let error = one_line(build(
        &bench.folder.path().join("generated/new/pve"),
        &files,
    ));
    assert!(
        error.starts_with("cannot create `") && error.contains("Read-only file system"),
        "{error}"
    );
}

#[test]
#[ignore = "needs root to make files of two users; run by tests/run"]
fn a_name_that_would_drive_a_terminal_is_shown_harmless() {
    let bench = Bench::with(&variant(0));
    give_to_nobody(&bench, &bench.folder.path().join("generated"));
    put(&bench.root, "\u{1b}[2J\n/file", "root's");
    let error = error_of(&child_of_nobody(&bench, "1"));
    assert!(
        error.contains("/pve/\\u{1b}[2J\\u{a}`: Permission denied"),
        "{error:?}"
    );
}

#[test]
#[ignore = "needs root for a tmpfs mount; run by tests/run"]
fn what_is_mounted_in_the_folder_is_never_entered() {
    let bench = Bench::with(&set(&[("a/b.conf", "1")]));
    let elsewhere = bench.folder.path().join("elsewhere");
    put(&elsewhere, "precious", "1\n");
    // The same file system, so that its device number tells nothing.
    fs::create_dir(bench.root.join("mnt")).expect("made");
    run(Command::new("mount")
        .arg("--bind")
        .arg(&elsewhere)
        .arg(bench.root.join("mnt")));
    let mounted = Mounted(bench.root.join("mnt"));
    let error = one_line(force(&bench.root, &set(&[("a/b.conf", "2")])));
    assert!(
        error.contains("/mnt`: something is mounted there; the output folder is as it was"),
        "{error}"
    );
    let text = refusal(force(&bench.root, &set(&[("mnt/precious", "2")])));
    assert!(text.contains("`mnt` is a mount point"), "{text}");
    assert_eq!(read(&elsewhere, "precious"), "1\n");
    drop(mounted);

    // A file can be mounted over as well.
    put(&bench.root, "file", "below");
    run(Command::new("mount")
        .arg("--bind")
        .arg(elsewhere.join("precious"))
        .arg(bench.root.join("file")));
    let mounted = Mounted(bench.root.join("file"));
    let error = one_line(force(&bench.root, &set(&[("a/b.conf", "2")])));
    assert!(
        error.contains("/file`: something is mounted there"),
        "{error}"
    );
    drop(mounted);
    build(&bench.root, &set(&[("a/b.conf", "2")])).expect("a build");

    let _mounted = Mounted::tmpfs(&bench.root, "size=1m");
    let error = one_line(force(&bench.root, &set(&[("a", "1")])));
    assert!(
        error.contains("is a mount point, not a folder that can be replaced"),
        "{error}"
    );
}
