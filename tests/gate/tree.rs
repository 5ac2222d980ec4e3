//! A tree proves itself before a script of it does anything.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program::Said;
use crate::system::{specs, tree};

struct Copied {
    folder: tempfile::TempDir,
}

impl Copied {
    fn new() -> Self {
        let copied = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        tree(&specs()["homelab"], &copied.path("tree"));
        copied
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn file(&self, path: &str) -> PathBuf {
        self.path("tree").join(path)
    }

    /// Runs a script where no program is that it could change anything by.
    fn run(&self, script: &str, args: &[&str]) -> Said {
        Command::new("bash")
            .arg(self.file(script))
            .args(args)
            .env("MOXC_LOCK_DIR", self.path("lock"))
            .env("MOXC_STATE_DIR", self.path("state"))
            .env("PATH", format!("{}:/usr/bin:/bin", self.fakes().display()))
            .stdin(Stdio::null())
            .output()
            .expect("bash starts")
            .into()
    }

    /// Programs that only say that they were called.
    fn fakes(&self) -> PathBuf {
        let folder = self.path("bin");
        if !folder.exists() {
            fs::create_dir(&folder).expect("a folder");
            for name in [
                "pvesh",
                "pvesm",
                "qm",
                "pct",
                "qmrestore",
                "zfs",
                "zpool",
                "wipefs",
            ] {
                let path = folder.join(name);
                let log = self.path("called");
                fs::write(
                    &path,
                    format!("#!/bin/sh\necho \"$0 $*\" >>{}\nexit 1\n", log.display()),
                )
                .expect("a program");
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                fs::set_permissions(&path, mode).expect("a mode");
            }
        }
        folder
    }

    fn nothing_was_called(&self) {
        let called = fs::read_to_string(self.path("called")).unwrap_or_default();
        assert_eq!(called, "");
    }
}

/// The scripts of a tree, each with what makes it do something.
const SCRIPTS: &[(&str, &[&str])] = &[
    ("restore/windows.sh", &["--list"]),
    ("rollback/windows.sh", &["--list", "zfs"]),
    ("proxmox/storage/create.sh", &["--dry-run"]),
];

/// The files that a script of the tree is made of.
fn parts(script: &str) -> Vec<&str> {
    match script {
        "restore/windows.sh" => vec![
            script,
            "restore/lib/restore.sh",
            "proxmox/etc/pve/qemu-server/120.conf",
        ],
        "rollback/windows.sh" => vec![script, "rollback/lib/rollback.sh"],
        _ => vec![script],
    }
}

fn cut(path: &Path, at: usize) {
    let text = fs::read(path).expect("a file");
    fs::write(path, &text[..at]).expect("a file");
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_whole_tree_is_taken() {
    let copied = Copied::new();
    for (script, args) in SCRIPTS {
        let said = copied.run(script, args);
        // There is no Proxmox VE to ask, but it was asked.
        assert!(
            !said.err.contains("not the whole of one build"),
            "{script}: {}",
            said.err
        );
        let called = fs::read_to_string(copied.path("called")).unwrap_or_default();
        assert_ne!(called, "", "{script}: {}", said.err);
        fs::remove_file(copied.path("called")).expect("a log");
    }
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_script_that_was_cut_anywhere_does_nothing_but_fail() {
    for (script, args) in SCRIPTS {
        for part in parts(script)
            .into_iter()
            .filter(|part| part.ends_with(".sh"))
        {
            let whole = fs::read_to_string(Copied::new().file(part)).expect("a script");
            let lines: Vec<usize> = whole.match_indices('\n').map(|(at, _)| at + 1).collect();
            // At the end of a line, in the middle of one; before the last line at the latest.
            let last = lines[lines.len() - 2];
            for at in [
                0,
                1,
                lines[3],
                lines[lines.len() / 3],
                lines[lines.len() / 2] + 3,
                last - 1,
                last,
            ] {
                let copied = Copied::new();
                cut(&copied.file(part), at);
                let said = copied.run(script, args);
                copied.nothing_was_called();
                if at > lines[8.min(lines.len() - 2)] || part != *script {
                    assert_ne!(said.status, Some(0), "{part} cut at {at}: {}", said.out);
                }
            }
        }
    }
}

/// The programs in shell below a folder: those that name an interpreter.
fn shell_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            shell_below(&path, found);
        } else if fs::read(&path)
            .expect("a file")
            .starts_with(b"#!/bin/bash\n")
        {
            found.push(path);
        }
    }
}

/// What bash has read to its last line before it does anything, and ends there, is harmless when it is cut or replaced while
/// it runs.
fn is_read_whole_before_it_runs(text: &str) -> bool {
    let mut code = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .skip_while(|line| *line == "false");
    let is_library = !text.contains("\nexit\n}\n");
    code.next().is_some_and(|line| line.starts_with('{'))
        && text.ends_with(if is_library {
            "\n}\n}\n"
        } else {
            "\nexit\n}\n"
        })
}

#[test]
fn every_program_of_a_tree_is_read_to_its_end_before_it_runs() {
    let mut seen = BTreeSet::new();
    for (name, spec) in specs() {
        let folder = tempfile::tempdir().expect("a folder");
        tree(&spec, folder.path());
        let mut found = Vec::new();
        shell_below(folder.path(), &mut found);
        for path in found {
            let text = fs::read_to_string(&path).expect("a program");
            let place = path.strip_prefix(folder.path()).expect("below");
            assert!(
                is_read_whole_before_it_runs(&text),
                "{name}: {}",
                place.display()
            );
            seen.extend(
                path.file_name()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    for known in ["apply.sh", "create.sh", "build-iso.sh", "zfs-snapshot"] {
        assert!(seen.contains(known), "{known} of {seen:?}");
    }
    assert!(
        seen.iter().any(|name| name.starts_with("virtiofs-")),
        "{seen:?}"
    );
    for bad in ["#!/bin/bash\nrun\nexit\n", "#!/bin/bash\n{\nrun\n}\nexit\n"] {
        assert!(!is_read_whole_before_it_runs(bad), "{bad}");
    }
}

/// What stands behind a program when it has begun does not run: of each scene's own run.
#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn what_replaces_a_program_while_it_runs_is_not_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let hit = folder.path().join("hit");
    for scene in super::scenes::scenes() {
        if !matches!(
            scene.name,
            "scrub" | "trim" | "tell of a failure" | "share folders"
        ) {
            continue;
        }
        let replaced = scene.text() + &format!("touch {}\n", hit.display());
        let said = scene.run_text(&replaced);
        assert_eq!(
            said.status,
            Some(scene.ends),
            "{}: {}",
            scene.name,
            said.err
        );
        assert!(!hit.exists(), "{}", scene.name);
    }
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn what_is_missing_or_different_is_named_before_anything_is_asked() {
    for (script, args) in SCRIPTS {
        for part in parts(script) {
            let is_code = part.ends_with(".sh");
            // A line more at the right place: bash reads it all the same.
            let copied = Copied::new();
            let path = copied.file(part);
            let text = fs::read_to_string(&path).expect("a file");
            let changed = text.replacen("\n#\n", "\n# by hand\n#\n", 1);
            let changed = if changed == text {
                format!("{text}# by hand\n")
            } else {
                changed
            };
            fs::write(&path, changed).expect("a file");
            let said = copied.run(script, args);
            copied.nothing_was_called();
            assert_eq!(said.status, Some(3), "{part}: {}", said.err);
            assert!(
                said.err
                    .contains(&format!("{part} is not as the manifest says")),
                "{}",
                said.err
            );
            // It is taken where it is named, and no other is.
            let said = copied.run(script, &[&["--as-it-is", part][..], args].concat());
            assert!(
                said.err
                    .contains(&format!("{part} was changed, and is taken as it is")),
                "{}",
                said.err
            );
            assert!(
                !said.err.contains("not the whole of one build"),
                "{}",
                said.err
            );
            let _ = fs::remove_file(copied.path("called"));
            let said = copied.run(script, &[&["--as-it-is", "another"][..], args].concat());
            assert_eq!(said.status, Some(3), "{}", said.err);
            copied.nothing_was_called();

            // One of another spec.
            let copied = Copied::new();
            let other = Copied::new();
            let spec = specs()["homelab"].replace("vmid        = 120", "vmid        = 121");
            tree(&spec, &other.path("tree"));
            let manifest = other.file("manifest.json");
            fs::copy(&manifest, copied.file("manifest.json")).expect("a copy");
            if script.starts_with("restore/") {
                let said = copied.run(script, args);
                copied.nothing_was_called();
                assert_eq!(said.status, Some(3), "{}", said.err);
            }

            if !is_code {
                for (damage, told) in [
                    (
                        &(|path: &Path| fs::remove_file(path).expect("it goes")) as &dyn Fn(&Path),
                        "is missing",
                    ),
                    (&|path: &Path| cut(path, 40), "is cut"),
                    (&|path: &Path| cut(path, 0), "is cut"),
                    (
                        &|path: &Path| {
                            fs::remove_file(path).expect("it goes");
                            std::os::unix::fs::symlink("/etc/passwd", path).expect("a link");
                        },
                        "is missing",
                    ),
                ] {
                    let copied = Copied::new();
                    damage(&copied.file(part));
                    for more in [&[][..], &["--as-it-is", part]] {
                        let said = copied.run(script, &[more, args].concat());
                        copied.nothing_was_called();
                        assert_eq!(said.status, Some(3), "{}", said.err);
                        assert!(said.err.contains(&format!("{part} {told}")), "{}", said.err);
                    }
                }
            }
        }
        for damage in [
            &(|path: &Path| fs::remove_file(path).expect("it goes")) as &dyn Fn(&Path),
            &|path: &Path| cut(path, 100),
            &|path: &Path| {
                fs::write(path, "{\"format\":1,\"spec\":{},\"files\":[{\"path\":\"../../etc/passwd\",\"sha256\":\"x\"}]}").expect("a file");
            },
            &|path: &Path| fs::write(path, "[".repeat(200_000)).expect("a file"),
        ] {
            let copied = Copied::new();
            damage(&copied.file("manifest.json"));
            let said = copied.run(script, args);
            copied.nothing_was_called();
            assert_eq!(said.status, Some(3), "{}", said.err);
            assert!(said.err.contains("manifest.json"), "{}", said.err);
        }
    }
}

/// What `prove_tree` gives to who uses whole folders of a tree.
#[test]
#[ignore = "needs perl; run by tests/run"]
fn what_is_proved_is_copied_and_what_came_from_elsewhere_is_named() {
    let copied = Copied::new();
    let prove = |more: &str| -> Said {
        let read = |name: &str| fs::read_to_string(super::scripts().join(name)).expect("a library");
        let script = copied.path("prove");
        let text = format!(
            "{}{}{more}\nprove_tree {} {} proxmox/etc/ README.md\n",
            read("gate.sh"),
            read("tool.sh"),
            copied.path("tree").display(),
            copied.path("proved").display(),
        );
        fs::write(&script, text).expect("a script");
        fs::create_dir_all(copied.path("proved")).expect("a folder");
        Command::new("bash")
            .arg(script)
            .stdin(Stdio::null())
            .output()
            .expect("bash starts")
            .into()
    };
    let said = prove("");
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""));
    let there = fs::read(copied.file("proxmox/etc/pve/storage.cfg")).expect("a file");
    assert_eq!(
        fs::read(copied.path("proved/proxmox/etc/pve/storage.cfg")).expect("a copy"),
        there
    );
    assert!(copied.path("proved/README.md").exists());
    assert!(!copied.path("proved/restore").exists());
    // Hidden files and editors' copies are nobody else's concern.
    fs::write(copied.file("proxmox/etc/.swp"), "x").expect("a file");
    fs::write(copied.file("proxmox/etc/x~"), "x").expect("a file");
    assert_eq!(prove("").status, Some(0));
    fs::write(copied.file("proxmox/etc/added"), "x\n").expect("a file");
    let said = prove("");
    assert_eq!(said.status, Some(3));
    assert!(
        said.err.contains("proxmox/etc/added is not of this build"),
        "{}",
        said.err
    );
    let said = prove("as_it_is=(proxmox/etc/added)\nMOXC_PROVED=/elsewhere");
    assert_eq!(said.status, Some(0), "{}", said.err);
    assert_eq!(
        fs::read(copied.path("proved/proxmox/etc/added")).expect("a copy"),
        b"x\n"
    );
}
