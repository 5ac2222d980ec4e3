//! Each script with a hostile word at each place from which it reads, with each call failing in turn, and with calls that
//! hang, flood and write to a terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::program::{Said, tests};
use crate::recovery::{FakeHost, install_nixos};
use crate::tools::{HEALTHY, Host};

/// A script in a world of its own.
struct Scene {
    name: &'static str,
    /// What holds the world, and where it is.
    folder: tempfile::TempDir,
    script: &'static str,
    args: &'static [&'static str],
}

fn copy(from: &Path, to: &Path) {
    let said = Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .expect("cp starts");
    assert!(said.success());
}

/// A copy of a world, in which every program has the stand-in of `fakes/outside` before it.
fn behind(world: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&world.join("."), folder.path());
    let _ = fs::remove_file(folder.path().join("log"));
    let real = folder.path().join("real");
    fs::rename(folder.path().join("bin"), &real).expect("a folder");
    fs::create_dir(folder.path().join("bin")).expect("a folder");
    for entry in fs::read_dir(&real).expect("a folder") {
        let name = entry.expect("an entry").file_name();
        std::os::unix::fs::symlink(
            tests().join("fakes/outside"),
            folder.path().join("bin").join(name),
        )
        .expect("a link");
    }
    folder
}

/// A host with guests, backups and snapshots.
fn guests() -> tempfile::TempDir {
    let host = FakeHost::new("homelab");
    for vmid in [110, 111, 120] {
        host.back_up("archive", vmid, 10);
        host.back_up("nas", vmid, 20);
    }
    install_nixos(&host, 110);
    host.run_guest(110);
    host.change(|state| {
        state["snapshots"]["120"] = serde_json::json!([{"name": "before", "snaptime": 1_790_000_000, "description": "a note"}]);
        let zfs = state["zfs"].as_object_mut().expect("datasets");
        for (name, snapshots) in zfs.iter_mut() {
            if name.contains("vm-120") {
                *snapshots = serde_json::json!(["before"]);
            }
        }
    });
    behind(&host.path("."))
}

/// A host with pools, disks and packages.
fn machine() -> tempfile::TempDir {
    let host = Host::new();
    host.write(
        "snapshots",
        "tank/a@auto-2025-01-01T000000Z\t1735689600\t0\t\ntank/a@auto-2025-01-02T000000Z\t1735776000\t0\t\ntank/a@auto-2025-01-03T000000Z\t1735862400\t0\t\n",
    );
    host.write("smart-disk", HEALTHY);
    host.write("disk", "");
    host.write(
        "packages",
        "installed proxmox-kernel-6.8.4-2-pve-signed\ninstalled proxmox-kernel-6.8.12-4-pve-signed\ninstalled proxmox-kernel-6.8.12-9-pve-signed\ninstalled proxmox-kernel-6.8.12-10-pve-signed\n",
    );
    host.write("apt-simulated", "Inst bash [5.1] (5.2 Debian)\n");
    host.write(
        "pools-listed",
        "rpool\tONLINE\t40\t10\ntank\tONLINE\t50\t3\n",
    );
    behind(&host.path("."))
}

fn scenes() -> Vec<Scene> {
    let over: &[&str] = &["--yes", "--confirm", "windows"];
    let mut scenes = Vec::new();
    let mut add = |name, folder, script, args| {
        scenes.push(Scene {
            name,
            folder,
            script,
            args,
        });
    };
    add(
        "restore over a guest",
        guests(),
        "tree/restore/windows.sh",
        over,
    );
    add(
        "restore a container",
        guests(),
        "tree/restore/services.sh",
        &["--yes", "--vmid", "new"],
    );
    add(
        "list backups",
        guests(),
        "tree/restore/windows.sh",
        &["--list"],
    );
    add(
        "back to a snapshot",
        guests(),
        "tree/rollback/windows.sh",
        &["snapshot", "before", "--yes", "--confirm", "windows"],
    );
    add(
        "back to a snapshot of ZFS",
        guests(),
        "tree/rollback/windows.sh",
        &["zfs", "before", "--yes", "--confirm", "windows"],
    );
    add(
        "list snapshots",
        guests(),
        "tree/rollback/windows.sh",
        &["zfs"],
    );
    add(
        "list generations",
        guests(),
        "tree/rollback/services.sh",
        &["generation", "--list"],
    );
    add(
        "back to a generation",
        guests(),
        "tree/rollback/services.sh",
        &["generation", "--yes", "--confirm", "services"],
    );
    add(
        "rehearse a machine",
        guests(),
        "tree/proxmox/usr/local/sbin/backup-rehearsal",
        &["--guest", "120", "--timeout", "5"],
    );
    add(
        "rehearse a container",
        guests(),
        "tree/proxmox/usr/local/sbin/backup-rehearsal",
        &["--guest", "110", "--timeout", "5"],
    );
    add(
        "back up",
        guests(),
        "tree/proxmox/usr/local/sbin/vzdump-backup",
        &["--storage", "nas", "--keep", "last=1", "111"],
    );
    add(
        "take and prune snapshots",
        machine(),
        "tools/zfs-snapshot",
        &["--name", "auto", "--keep", "last=1", "tank/a"],
    );
    add("scrub", machine(), "tools/zfs-scrub", &["tank"]);
    add("trim", machine(), "tools/zfs-trim", &["tank"]);
    add(
        "maintain",
        machine(),
        "tools/proxmox-maintenance",
        &["--yes"],
    );
    add("update", machine(), "tools/proxmox-update", &["--yes"]);
    scenes
}

impl Scene {
    /// Runs it in a copy of its world; what it said, and where it was.
    fn run(&self, more: &[(&str, &str)]) -> (Said, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        copy(&self.folder.path().join("."), folder.path());
        let path = |name: &str| folder.path().join(name);
        let search = format!(
            "{}:{}",
            path("bin").display(),
            std::env::var("PATH").unwrap_or_default()
        );
        // Whatever hangs for good ends the test, and not the machine.
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", "240", "bash"])
            .arg(path(self.script))
            .args(self.args);
        command
            .env("PATH", search)
            .env("TZ", "UTC")
            .env("FAKE", folder.path())
            .env("OUTSIDE_REAL", path("real"))
            .env("MOXC_ROOT", path("root"))
            .env("MOXC_PVE_DIR", path("root/etc/pve"))
            .env("MOXC_STATE_DIR", path("moxc"))
            .env("MOXC_LOCK_DIR", path("locks"))
            .env("MOXC_VZDUMP_CONF", path("tree/proxmox/etc/vzdump.conf"))
            .env("MOXC_MEMINFO", path("meminfo"))
            .env("MOXC_POLL", "0")
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .process_group(0);
        let said: Said = command.output().expect("bash starts").into();
        (said, folder)
    }
}

fn lines(path: PathBuf) -> Vec<String> {
    let text = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// What nothing that a script says may hold.
fn looks_wrong(said: &Said) -> Option<&'static str> {
    let all = format!("{}{}", said.out, said.err);
    if all
        .chars()
        .any(|c| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}'))
    {
        return Some("a control");
    }
    let complaints = [
        "syntax error",
        "unbound variable",
        "bad array subscript",
        "value too great",
        "not a valid identifier",
        "command not found",
        " at -e line",
        "integer expression",
        "division by 0",
        "ignored null byte",
    ];
    complaints
        .into_iter()
        .find(|complaint| all.contains(complaint))
}

/// Words of many spellings. `HIT` becomes a path that exists where a command of theirs has run.
const WORDS: &[&str] = &[
    "UID[$(touch HIT)]",
    "2+UID[$(touch HIT)]",
    "x[`touch HIT`]",
    "$(touch HIT)",
    "'\"`touch HIT`$(touch HIT);touch HIT\n\r",
    "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}",
    "--help",
    "-1",
    "99999999999999999999999999",
    "",
    "../../etc/passwd",
    "@",
];

/// How many of the words are tried at each place; the rest are tried at others of the same script. More of them by
/// `MOXC_WORDS`.
fn each() -> usize {
    let set = std::env::var("MOXC_WORDS").ok();
    set.map_or(1, |text| text.parse().expect("a number"))
}

/// The scenes whose name holds `MOXC_SCENE`; else all.
fn chosen() -> Vec<Scene> {
    let part = std::env::var("MOXC_SCENE").unwrap_or_default();
    let mut scenes = scenes();
    scenes.retain(|scene| scene.name.contains(&part));
    assert!(!scenes.is_empty(), "no scene holds {part}");
    scenes
}

#[test]
#[ignore = "needs perl and flock; takes long; run by `tests/run gate::outside`"]
fn a_hostile_word_at_any_place_runs_nothing_and_reaches_no_terminal() {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for scene in chosen() {
        let (said, folder) = scene.run(&[]);
        assert_eq!(
            looks_wrong(&said),
            None,
            "{}: {}\n{}",
            scene.name,
            said.out,
            said.err
        );
        let places: BTreeSet<String> = lines(folder.path().join("places")).into_iter().collect();
        assert!(
            places.len() > 1,
            "{}: {}\n{}",
            scene.name,
            said.out,
            said.err
        );
        for (at, place) in places.iter().enumerate() {
            for step in 0..each() {
                let word = WORDS[(at + step * 5) % WORDS.len()];
                let hit = tempfile::tempdir().expect("a folder");
                let hit = hit.path().join("hit");
                fs::create_dir_all(hit.parent().expect("a folder")).expect("a folder");
                let word = word.replace("HIT", &hit.display().to_string());
                let start = Instant::now();
                let (said, _folder) =
                    scene.run(&[("OUTSIDE_PLACE", place), ("OUTSIDE_WORD", &word)]);
                tried += 1;
                let slow = start.elapsed() > Duration::from_secs(200);
                if hit.exists() || slow || looks_wrong(&said).is_some() {
                    wrong.push(format!(
                        "{} {place} {word:?}: ran {} slow {slow} {:?}\n{}{}",
                        scene.name,
                        hit.exists(),
                        looks_wrong(&said),
                        said.out,
                        said.err
                    ));
                }
                let _ = fs::remove_dir_all(hit.parent().expect("a folder"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What destroys something that was there before.
const DESTROYS: &[&str] = &[
    "pvesm prune-backups",
    "qmrestore",
    "pct restore",
    "zfs destroy",
    "zfs rollback",
    "qm rollback",
    "pct rollback",
];

/// The calls that change something.
fn changes(calls: &[String]) -> Vec<String> {
    let reads = [
        "pvesh get",
        "pvesm extractconfig",
        "pvesm path",
        "zfs list",
        "zfs get",
        "zstd ",
        "qm guest cmd",
        "pct exec",
        "qm guest exec",
        "zpool list",
        "zpool status",
        "date",
        "uname",
        "findmnt",
        "smartctl",
        "sleep",
        "dpkg-query",
        "apt-get -s",
        "dpkg --audit",
        "apt-get -q -o",
        "qm config",
        "qm status",
        "systemctl is-active",
        "journalctl --no",
    ];
    calls
        .iter()
        .filter(|call| !reads.iter().any(|read| call.starts_with(read)))
        .cloned()
        .collect()
}

#[test]
#[ignore = "needs perl and flock; takes long; run by `tests/run gate::outside`"]
fn whichever_call_fails_nothing_untrue_is_said_and_nothing_goes_after_a_failed_listing() {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for scene in chosen() {
        let (fine, folder) = scene.run(&[]);
        let calls = lines(folder.path().join("calls"));
        let done = changes(&lines(folder.path().join("log")));
        for number in 1..=calls.len() {
            let (said, folder) = scene.run(&[("OUTSIDE_FAIL", &number.to_string())]);
            tried += 1;
            let now = lines(folder.path().join("calls"));
            let made = changes(&lines(folder.path().join("log")));
            let failing = &calls[number - 1];
            let mut why = Vec::new();
            if said.status == fine.status && made != done && made.len() < done.len() {
                why.push("it says that all is done, and it is not".to_owned());
            }
            if said.status != Some(0) && said.err.is_empty() {
                why.push("it fails without a word".to_owned());
            }
            if let Some(complaint) = looks_wrong(&said) {
                why.push(complaint.to_owned());
            }
            let listing = failing.contains("/content ")
                || failing.starts_with("zfs list")
                || failing.contains("/snapshot ");
            if listing
                && let Some(call) = now
                    .iter()
                    .skip(number)
                    .find(|call| DESTROYS.iter().any(|one| call.starts_with(one)))
            {
                why.push(format!("after a failed listing: {call}"));
            }
            if !why.is_empty() {
                wrong.push(format!(
                    "{} #{number} {failing}: {}\nstatus {:?}\n{}{}",
                    scene.name,
                    why.join("; "),
                    said.status,
                    said.out,
                    said.err
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
#[ignore = "needs perl and flock; takes long; run by `tests/run gate::outside`"]
fn a_call_that_floods_or_writes_to_the_terminal_is_cut_short() {
    // One of each kind of call is enough: all go through one place.
    let mut kinds = BTreeMap::new();
    for scene in scenes() {
        let (_, folder) = scene.run(&[]);
        for (at, call) in lines(folder.path().join("calls")).iter().enumerate() {
            let kind: Vec<&str> = call.split(' ').take(2).collect();
            kinds.entry(kind.join(" ")).or_insert((scene.name, at + 1));
        }
    }
    let scenes = scenes();
    let mut wrong = Vec::new();
    for (kind, (name, at)) in kinds {
        let scene = scenes
            .iter()
            .find(|scene| scene.name == name)
            .expect("it is one of them");
        for how in ["flood", "noise"] {
            let (said, _folder) =
                scene.run(&[("OUTSIDE_AT", &at.to_string()), ("OUTSIDE_HOW", how)]);
            let length = said.out.len() + said.err.len();
            if looks_wrong(&said).is_some() || length > 12_000_000 || said.status == Some(124) {
                wrong.push(format!(
                    "{name} {kind} {how}: {:?} {length}",
                    looks_wrong(&said)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What hangs is waited for as long as was said.
    let scene = scenes
        .iter()
        .find(|scene| scene.name == "rehearse a container")
        .expect("it is one of them");
    let (_, folder) = scene.run(&[]);
    let calls = lines(folder.path().join("calls"));
    let at = 1 + calls
        .iter()
        .position(|call| call.starts_with("pct exec"))
        .expect("the container is asked");
    let start = Instant::now();
    let (said, folder) = scene.run(&[("OUTSIDE_AT", &at.to_string()), ("OUTSIDE_HOW", "hang")]);
    assert!(
        start.elapsed() < Duration::from_secs(100),
        "{:?}",
        start.elapsed()
    );
    assert_ne!(said.status, Some(124));
    let removed = lines(folder.path().join("log"));
    assert!(
        removed.iter().any(|call| call.starts_with("pct destroy")),
        "{}\n{}",
        said.out,
        said.err
    );
    let mode = fs::metadata(folder.path())
        .expect("a folder")
        .permissions()
        .mode();
    assert_ne!(mode, 0);
}
