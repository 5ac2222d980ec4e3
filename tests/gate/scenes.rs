//! Every program that moxc puts on a host, each in a world of its own in which it does its work to the end.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::nixos_scripts::Machine;
use crate::program::{Said, tests};
use crate::recovery::{FakeHost, install_nixos};
use crate::tools::{HEALTHY, Host};
use crate::virtiofs_hook::Fake;
use crate::windows_setup::{Disc, Updates};

/// A script in a world of its own.
pub(super) struct Scene {
    pub(super) name: &'static str,
    /// The file that the script is made of, as [`super::programs`] names it.
    pub(super) of: &'static str,
    /// How it ends where nothing goes wrong.
    pub(super) ends: i32,
    world: tempfile::TempDir,
    script: &'static str,
    args: &'static [&'static str],
}

/// A copy of a folder. What links into the old one links into the new one then.
fn copy(from: &Path, to: &Path) {
    let said = Command::new("cp")
        .arg("-a")
        .arg(from.join("."))
        .arg(to)
        .status()
        .expect("cp starts");
    assert!(said.success());
    relink(from, to, to);
    // The hook script holds the place of its sockets.
    if let Ok(text) = fs::read_to_string(to.join("hook.sh")) {
        let [from, to_text] = [from, to].map(|path| path.display().to_string());
        fs::write(to.join("hook.sh"), text.replace(&from, &to_text)).expect("a script");
    }
}

fn relink(from: &Path, to: &Path, folder: &Path) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            if let Ok(below) = target.strip_prefix(from) {
                fs::remove_file(&path).expect("a link");
                symlink(to.join(below), &path).expect("a link");
            }
        } else if path.is_dir() {
            relink(from, to, &path);
        }
    }
}

/// A copy of a world, in which every program has the stand-in of `fakes/outside` before it.
fn behind(world: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    copy(world, folder.path());
    let _ = fs::remove_file(folder.path().join("log"));
    let real = folder.path().join("real");
    fs::rename(folder.path().join("bin"), &real).expect("a folder");
    fs::create_dir(folder.path().join("bin")).expect("a folder");
    for entry in fs::read_dir(&real).expect("a folder") {
        let name = entry.expect("an entry").file_name();
        symlink(
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
    // A copy of the container is one of NixOS, too.
    host.guest_program(990_000, "systemctl", "echo running");
    host.change(|state| {
        // Each is asked; some are enough.
        let stores = state["stores"].as_array_mut().expect("stores");
        stores.retain(|store| !matches!(store["storage"].as_str(), Some("backups" | "local")));
        state["snapshots"]["120"] =
            serde_json::json!({"before": {"snaptime": 1_790_000_000, "description": "a note"}});
        for (name, snapshots) in state["zfs"].as_object_mut().expect("datasets") {
            if name.contains("vm-120") {
                *snapshots = serde_json::json!([
                    {"name": "before", "creation": 1_790_000_000},
                    {"name": "auto-2026-09-22", "creation": 1_790_000_100},
                ]);
            }
        }
    });
    behind(&host.path("."))
}

/// One whose newest snapshot is the one to go back to.
fn one_snapshot() -> tempfile::TempDir {
    let world = guests();
    let path = world.path().join("state.json");
    let text = fs::read_to_string(&path).expect("a state");
    let mut state: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for (_, snapshots) in state["zfs"].as_object_mut().expect("datasets") {
        snapshots.as_array_mut().expect("a list").truncate(1);
    }
    fs::write(path, state.to_string()).expect("a state");
    world
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

/// A NixOS machine with a flake, and one stray file in its `/etc`.
fn nixos() -> tempfile::TempDir {
    let host = Machine::new();
    let etc = host.path("root/etc");
    fs::create_dir_all(&etc).expect("a folder");
    fs::write(etc.join("stray"), "").expect("a file");
    fs::write(host.path("known"), "hosts\n").expect("a file");
    behind(&host.path("."))
}

/// A host before `apply.sh` and `create.sh`.
fn fresh() -> tempfile::TempDir {
    let host = crate::system::FakeHost::new(&crate::system::specs()["homelab"]);
    host.write(
        "root/etc/network/interfaces",
        "auto lo\niface lo inet loopback\n",
    );
    behind(&host.path("."))
}

/// A host with a Windows guest in which updates wait.
fn windows() -> tempfile::TempDir {
    behind(Updates::new().dir.path())
}

/// A host with a Windows guest that is to be installed.
fn disc() -> tempfile::TempDir {
    behind(Disc::with_secret().dir.path())
}

/// A host with a guest's hook script.
fn hook() -> tempfile::TempDir {
    let host = Fake::new();
    // What virtiofsd would open.
    for number in 0..2 {
        let socket = host.dir.path().join(format!("ready-{number}.sock"));
        std::os::unix::net::UnixListener::bind(socket).expect("a socket");
    }
    behind(host.dir.path())
}

/// A repository with a spec.
fn repository() -> tempfile::TempDir {
    let world = tempfile::tempdir().expect("a folder");
    let path = |name: &str| world.path().join(name);
    fs::create_dir(path("bin")).expect("a folder");
    for name in ["moxc", "git"] {
        let text = format!("#!/bin/sh\necho \"{name} $*\" >>\"$FAKE/log\"\necho said\n");
        fs::write(path("bin").join(name), text).expect("a program");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path("bin").join(name), mode).expect("a mode");
    }
    let hook = super::root().join("nix/hooks/moxc-regenerate");
    fs::copy(hook, path("moxc-regenerate")).expect("a hook");
    behind(world.path())
}

/// All of them. `@` in an argument is the folder of the world.
pub(super) fn scenes() -> Vec<Scene> {
    type World = fn() -> tempfile::TempDir;
    /// Its name, the script, its world, its status, what it says, and its arguments.
    type Row = (
        &'static str,
        &'static str,
        World,
        i32,
        &'static str,
        &'static [&'static str],
    );
    let table: &[Row] = &[
        (
            "restore over a guest",
            "recovery/lib/restore.sh",
            guests,
            0,
            "tree/restore/windows.sh",
            &["--yes", "--confirm", "windows"],
        ),
        (
            "restore a container",
            "recovery/lib/restore.sh",
            guests,
            0,
            "tree/restore/services.sh",
            &["--yes", "--vmid", "new"],
        ),
        (
            "list backups",
            "recovery/lib/restore.sh",
            guests,
            0,
            "tree/restore/windows.sh",
            &["--list"],
        ),
        (
            "back to a snapshot",
            "recovery/lib/rollback.sh",
            one_snapshot,
            0,
            "tree/rollback/windows.sh",
            &["snapshot", "before", "--yes", "--confirm", "windows"],
        ),
        (
            "back to a snapshot of ZFS",
            "recovery/lib/rollback.sh",
            guests,
            0,
            "tree/rollback/windows.sh",
            &[
                "zfs",
                "before",
                "--destroy-newer",
                "--yes",
                "--confirm",
                "windows",
            ],
        ),
        (
            "list snapshots",
            "recovery/lib/rollback.sh",
            guests,
            0,
            "tree/rollback/windows.sh",
            &["zfs", "--list"],
        ),
        (
            "list generations",
            "recovery/lib/rollback.sh",
            guests,
            0,
            "tree/rollback/services.sh",
            &["generation", "--list"],
        ),
        (
            "back to a generation",
            "recovery/lib/rollback.sh",
            guests,
            0,
            "tree/rollback/services.sh",
            &["generation", "--yes", "--confirm", "services"],
        ),
        (
            "rehearse a machine",
            "backup-rehearsal.sh",
            guests,
            0,
            "tree/proxmox/usr/local/sbin/backup-rehearsal",
            &["--guest", "120", "--timeout", "5"],
        ),
        (
            "rehearse a container",
            "backup-rehearsal.sh",
            guests,
            0,
            "tree/proxmox/usr/local/sbin/backup-rehearsal",
            &["--guest", "110", "--timeout", "5"],
        ),
        (
            "back up",
            "vzdump-backup.sh",
            guests,
            5,
            "tree/proxmox/usr/local/sbin/vzdump-backup",
            &["--storage", "nas", "--keep", "last=1", "111"],
        ),
        (
            "take and prune snapshots",
            "zfs-snapshot.sh",
            machine,
            0,
            "tools/zfs-snapshot",
            &["--name", "auto", "--keep", "last=1", "tank/a"],
        ),
        (
            "scrub",
            "zfs-scrub.sh",
            machine,
            0,
            "tools/zfs-scrub",
            &["tank"],
        ),
        (
            "trim",
            "zfs-trim.sh",
            machine,
            0,
            "tools/zfs-trim",
            &["tank"],
        ),
        (
            "test a disk",
            "smart-test.sh",
            machine,
            0,
            "tools/smart-test",
            &["@/disk"],
        ),
        (
            "tell of a failure",
            "moxc-notify.sh",
            machine,
            0,
            "tools/moxc-notify",
            &["--to", "admin@home.arpa", "moxc-scrub.service"],
        ),
        (
            "maintain",
            "proxmox-maintenance.sh",
            machine,
            0,
            "tools/proxmox-maintenance",
            &["--yes"],
        ),
        (
            "update",
            "proxmox-update.sh",
            machine,
            0,
            "tools/proxmox-update",
            &["--yes"],
        ),
        (
            "update a flake",
            "nixos-flake-update.sh",
            nixos,
            0,
            "nixos-flake-update",
            &[
                "--yes",
                "--attribute",
                "web",
                "--health-timeout",
                "1",
                "--state",
                "@/state",
                "--flake",
                "@/flake",
                "--snapshot",
                "tank/root",
            ],
        ),
        (
            "update a flake from elsewhere",
            "nixos-flake-update.sh",
            nixos,
            0,
            "nixos-flake-update",
            &[
                "--yes",
                "--attribute",
                "web",
                "--health-timeout",
                "1",
                "--state",
                "@/state",
                "--flake",
                "github:us/them?dir=nix",
            ],
        ),
        (
            "look at a machine's files",
            "etc-check.sh",
            nixos,
            0,
            "etc-check",
            &["--root", "@/root", "@/known"],
        ),
        (
            "update Windows",
            "windows-update.sh",
            windows,
            0,
            "windows-update",
            &[
                "--wait",
                "1",
                "--snapshot",
                "--restart",
                "--rollback-on-failure",
                "120",
            ],
        ),
        (
            "make a disc",
            "windows/host/build-iso.sh",
            disc,
            0,
            "windows/desk/build-iso.sh",
            &["--secrets", "@/secrets"],
        ),
        (
            "install Windows",
            "windows/host/build-iso.sh",
            disc,
            0,
            "windows/desk/build-iso.sh",
            &[
                "--secrets",
                "@/secrets",
                "--wait",
                "20",
                "--install",
                "--yes",
            ],
        ),
        (
            "share folders",
            "proxmox/virtiofs.sh",
            hook,
            0,
            "hook.sh",
            &["100", "pre-start"],
        ),
        (
            "make pools",
            "proxmox/storage/create.sh",
            fresh,
            0,
            "tree/proxmox/storage/create.sh",
            &["--yes"],
        ),
        (
            "apply",
            "proxmox/apply.sh",
            fresh,
            0,
            "tree/proxmox/apply.sh",
            &["--root", "@/root", "--yes"],
        ),
        (
            "generate anew",
            "moxc-regenerate",
            repository,
            0,
            "moxc-regenerate",
            &["host.toml"],
        ),
    ];
    table
        .iter()
        .map(|&(name, of, world, ends, script, args)| Scene {
            name,
            of,
            ends,
            world: world(),
            script,
            args,
        })
        .collect()
}

impl Scene {
    /// Its script, as the host has it.
    pub(super) fn text(&self) -> String {
        fs::read_to_string(self.world.path().join(self.script)).expect("a script")
    }

    /// Runs it in a copy of its world; what it said, and where it was.
    pub(super) fn run(&self, more: &[(&str, &str)]) -> (Said, tempfile::TempDir) {
        let folder = self.copied();
        (self.run_in(&folder, more), folder)
    }

    /// Runs another text in the place of its script.
    pub(super) fn run_text(&self, text: &str) -> Said {
        let folder = self.copied();
        fs::write(folder.path().join(self.script), text).expect("a script");
        self.run_in(&folder, &[])
    }

    fn copied(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        copy(self.world.path(), folder.path());
        folder
    }

    fn run_in(&self, folder: &tempfile::TempDir, more: &[(&str, &str)]) -> Said {
        let path = |name: &str| folder.path().join(name);
        let search = format!(
            "{}:{}",
            path("bin").display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let here = folder.path().display().to_string();
        // Whatever hangs for good ends the test, and not the machine.
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", "240", "bash"])
            .arg(path(self.script))
            .args(
                self.args
                    .iter()
                    .map(|arg| arg.replace("@/", &format!("{here}/"))),
            );
        command
            .env("PATH", search)
            .env("TZ", "UTC")
            .env("FAKE", folder.path())
            .env("M", folder.path())
            .env("OUTSIDE_REAL", path("real"))
            .env("MOXC_ROOT", path("root"))
            .env("MOXC_PVE_DIR", path("root/etc/pve"))
            .env("MOXC_STATE_DIR", path("moxc"))
            .env("MOXC_LOCK_DIR", path("locks"))
            .env("MOXC_CACHE_DIR", path("cache"))
            .env("MOXC_VZDUMP_CONF", path("tree/proxmox/etc/vzdump.conf"))
            .env("MOXC_MEMINFO", path("meminfo"))
            .env("MOXC_POLL", "0")
            .env("MOXC_PATIENCE", "5")
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .process_group(0);
        let output = command.output().expect("bash starts");
        // What no UTF-8 is, is a control by itself.
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes).unwrap_or_else(|wrong| {
                format!("\u{1b}{}", String::from_utf8_lossy(wrong.as_bytes()))
            })
        };
        Said {
            status: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// Every program has its scene, and does its work there.
#[test]
fn every_script_that_goes_to_a_host_has_a_scene() {
    let scenes: Vec<&str> = scenes().iter().map(|scene| scene.of).collect();
    let mut missing = Vec::new();
    for (name, text) in super::programs() {
        // Parts of `apply.sh`, and the data in front of the libraries of the way back.
        let part = name.starts_with("proxmox/apply/")
            || matches!(&*name, "recovery/restore.sh" | "recovery/rollback.sh");
        assert!(!text.is_empty());
        let name = name
            .rsplit_once("nix/hooks/")
            .map_or(&*name, |(_, hook)| hook);
        if !part && !scenes.contains(&name) {
            missing.push(name.to_owned());
        }
    }
    assert!(missing.is_empty(), "without a scene: {missing:?}");
}
