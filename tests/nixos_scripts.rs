//! The scripts of the NixOS modules, run against fakes of the programs that they call.
//!
//! Needs bash, perl, git, flock and shellcheck (Debian: perl, git, util-linux, shellcheck); `tests/run` has them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pretty_assertions::assert_eq;
use tempfile::TempDir;

use crate::nixos::root;

fn script(name: &str) -> PathBuf {
    root().join("nix/modules/scripts").join(name)
}

/// A tool as Nix puts it together: the library in front.
pub(crate) fn tool(name: &str) -> String {
    let read = |name: &str| fs::read_to_string(script(name)).unwrap();
    format!(
        "#!/bin/bash\n{}{}{}",
        read("gate.sh"),
        read("tool.sh"),
        read(&format!("{name}.sh"))
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A machine of fakes: each call is written to a log, and a file below `wrong` makes a step fail.
pub(crate) struct Machine {
    folder: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for folder in [
            "bin",
            "wrong",
            "root/run",
            "old/bin",
            "new/bin",
            "flake",
            "remote/nix",
            "state",
            "locks",
        ] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        for (folder, kernel) in [("old", "6.6"), ("new", "6.12")] {
            fs::write(machine.path(folder).join("kernel"), kernel).unwrap();
        }
        for link in ["current-system", "booted-system"] {
            symlink(machine.path("old"), machine.path("root/run").join(link)).unwrap();
        }
        fs::write(machine.path("flake/flake.lock"), "old lock\n").unwrap();
        fs::write(machine.path("remote/nix/flake.lock"), "their lock\n").unwrap();
        machine.fake(
            "bin/nix",
            r#"case "$*" in
  *"flake update") [ ! -e "$M/wrong/lock" ] || { rm flake.lock; mkdir flake.lock; exit 1; }
    [ ! -e "$M/wrong/update" ] || exit 1; echo "new lock" > flake.lock ;;
  *"flake metadata"*) echo "{\"path\": \"$M/remote\", \"locked\": {\"dir\": \"nix\"}}" ;;
esac"#,
        );
        machine.fake(
            "bin/nixos-rebuild",
            r#"[ ! -e "$M/wrong/$1" ] || exit 1
case $1 in
  build) if [ -e "$M/same" ]; then ln -sfn "$M/old" result; else ln -sfn "$M/new" result; fi ;;
esac"#,
        );
        machine.fake(
            "bin/systemctl",
            r#"case "$*" in
  is-active*) [ ! -e "$M/wrong/health" ] || [ "$(readlink "$M/root/run/current-system")" = "$M/old" ] ;;
esac"#,
        );
        machine.fake("bin/zfs-snapshot", r#"[ ! -e "$M/wrong/snapshot" ]"#);
        machine.fake("bin/nix-env", "");
        fs::write(
            machine.path("nixos-flake-update"),
            tool("nixos-flake-update"),
        )
        .unwrap();
        fs::copy(script("etc-check.sh"), machine.path("etc-check")).unwrap();
        machine.fake(
            "new/bin/switch-to-configuration",
            r#"[ ! -e "$M/wrong/$1" ] || exit 1
ln -sfn "$M/new" "$M/root/run/current-system""#,
        );
        machine.fake(
            "old/bin/switch-to-configuration",
            r#"[ ! -e "$M/wrong/back" ] || exit 1
ln -sfn "$M/old" "$M/root/run/current-system""#,
        );
        machine
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn fake(&self, path: &str, body: &str) {
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        let path = self.path(path);
        fs::write(
            &path,
            format!("#!/bin/sh\necho \"{name} $*\" >> \"$M/log\"\n{body}\n"),
        )
        .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn breaks(&self, step: &str) {
        fs::write(self.path("wrong").join(step), "").unwrap();
    }

    fn update(&self, arguments: &[&str]) -> Output {
        Command::new("bash")
            .arg(self.path("nixos-flake-update"))
            .args(["--yes", "--attribute", "web", "--health-timeout", "1"])
            .env("MOXC_ROOT", self.path("root"))
            .env("MOXC_LOCK_DIR", self.path("locks"))
            .arg("--state")
            .arg(self.path("state"))
            .args(arguments)
            .env("M", self.folder.path())
            .env(
                "PATH",
                format!(
                    "{}:{}",
                    self.path("bin").display(),
                    std::env::var("PATH").unwrap()
                ),
            )
            .output()
            .unwrap()
    }

    /// Updates from the folder of this machine.
    fn update_here(&self, arguments: &[&str]) -> Output {
        let flake = self.path("flake").display().to_string();
        let mut all = vec!["--flake", flake.as_str()];
        all.extend(arguments);
        self.update(&all)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log"))
            .unwrap_or_default()
            .replace(&self.folder.path().display().to_string(), "M")
    }

    fn lock(&self) -> String {
        fs::read_to_string(self.path("flake/flake.lock")).unwrap()
    }

    fn runs(&self, system: &str) -> bool {
        fs::read_link(self.path("root/run/current-system")).unwrap() == self.path(system)
    }
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn an_update_builds_tries_looks_and_only_then_switches() {
    let machine = Machine::new();
    let output = machine.update_here(&["--health", "web.service"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        machine.log(),
        "nix --extra-experimental-features nix-command flakes flake update\n\
         nixos-rebuild build --flake M/flake#web\n\
         switch-to-configuration test\n\
         systemctl is-active --quiet -- web.service\n\
         nix-env --profile M/root/nix/var/nix/profiles/system --set M/new\n\
         switch-to-configuration switch\n"
    );
    assert_eq!(machine.lock(), "new lock\n");
    assert!(machine.runs("new"));
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_failed_step_puts_lock_and_system_back() {
    for (step, went_back) in [
        ("update", false),
        ("build", false),
        ("test", true),
        ("health", true),
        ("switch", true),
    ] {
        let machine = Machine::new();
        machine.breaks(step);
        let output = machine.update_here(&["--health", "web.service"]);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{step}: {}",
            text(&output.stderr)
        );
        assert_eq!(machine.lock(), "old lock\n", "{step}");
        assert!(machine.runs("old"), "{step}");
        let log = machine.log();
        assert_eq!(
            log.matches("switch-to-configuration").count() > 1,
            went_back,
            "{step}: {log}"
        );
        // Nothing that failed its test was made the system that boots.
        if matches!(step, "test" | "health") {
            assert!(!log.contains("configuration switch"), "{step}: {log}");
            assert!(!log.contains("nix-env"), "{step}: {log}");
        }
        let left: Vec<_> = fs::read_dir(machine.path("state"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .filter(|name| name.to_str().unwrap().contains("before"))
            .collect();
        assert!(left.is_empty(), "{step}: {left:?}");
    }
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn without_rollback_the_new_system_stays_and_the_failure_is_told() {
    let machine = Machine::new();
    machine.breaks("health");
    let output = machine.update_here(&["--health", "web.service", "--no-rollback"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(machine.runs("new"));
    assert!(text(&output.stderr).contains("web.service is not active"));
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_way_back_that_is_closed_has_a_status_of_its_own() {
    let machine = Machine::new();
    machine.breaks("health");
    machine.breaks("back");
    let output = machine.update_here(&["--health", "web.service"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn nothing_new_is_no_switch() {
    let machine = Machine::new();
    fs::write(machine.path("same"), "").unwrap();
    let output = machine.update_here(&[]);
    assert!(output.status.success());
    assert!(!machine.log().contains("switch-to-configuration"));
    assert_eq!(machine.lock(), "new lock\n");
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_flake_elsewhere_is_updated_in_a_copy() {
    let machine = Machine::new();
    let output = machine.update(&["--flake", "github:example/homelab?dir=nix"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let log = machine.log();
    assert!(
        log.contains("flake metadata --refresh --json github:example/homelab?dir=nix\n"),
        "{log}"
    );
    assert!(
        log.contains("nixos-rebuild build --flake path:M/state/source?dir=nix#web\n"),
        "{log}"
    );
    let read = |path: &str| fs::read_to_string(machine.path(path)).unwrap();
    assert_eq!(read("remote/nix/flake.lock"), "their lock\n");
    assert_eq!(read("state/source/nix/flake.lock"), "new lock\n");
    assert_eq!(read("state/flake.lock"), "new lock\n");

    // Or its own lock file is followed, and nothing is copied.
    let machine = Machine::new();
    let output = machine.update(&["--flake", "github:example/homelab", "--keep-inputs"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        machine
            .log()
            .starts_with("nixos-rebuild build --flake github:example/homelab#web --refresh\n")
    );
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_lock_file_that_a_killed_run_left_changed_is_put_back_first() {
    let machine = Machine::new();
    let lock = machine.path("flake/flake.lock");
    fs::write(&lock, "half a lock").unwrap();
    fs::write(machine.path("state/flake.lock.before"), "old lock\n").unwrap();
    fs::write(
        machine.path("state/flake.lock.before.of"),
        lock.display().to_string(),
    )
    .unwrap();
    machine.breaks("build");
    assert_eq!(machine.update_here(&[]).status.code(), Some(1));
    assert_eq!(machine.lock(), "old lock\n");
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn the_copy_of_a_lock_file_that_cannot_be_put_back_stays_until_it_can() {
    // A folder in its place takes the file as little as a full disk does.
    let machine = Machine::new();
    machine.breaks("lock");
    let copy = || fs::read_to_string(machine.path("state/flake.lock.before")).unwrap();
    for said in ["its copy stays at", "make room"] {
        let output = machine.update_here(&[]);
        assert_eq!(output.status.code(), Some(1));
        let told = text(&output.stderr);
        assert!(told.contains(said), "{told}");
        assert_eq!(copy(), "old lock\n");
    }
    fs::remove_dir(machine.path("flake/flake.lock")).unwrap();
    fs::remove_file(machine.path("wrong/lock")).unwrap();
    machine.breaks("build");
    assert_eq!(machine.update_here(&[]).status.code(), Some(1));
    assert_eq!(machine.lock(), "old lock\n");
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_snapshot_comes_first_and_without_it_there_is_no_update() {
    let machine = Machine::new();
    let arguments = ["--snapshot", "rpool/root", "--snapshot", "rpool/var"];
    assert!(machine.update_here(&arguments).status.success());
    let log = machine.log();
    let snapshot = log
        .find("zfs-snapshot --yes --name before-update --keep last=3 -- rpool/root rpool/var")
        .expect(&log);
    assert!(snapshot < log.find("nixos-rebuild build").unwrap(), "{log}");

    let machine = Machine::new();
    machine.breaks("snapshot");
    assert_eq!(machine.update_here(&arguments).status.code(), Some(1));
    assert!(!machine.log().contains("nixos-rebuild"));
    assert_eq!(machine.lock(), "old lock\n");
}

#[test]
#[ignore = "needs perl, git and flock; run by tests/run"]
fn a_folder_with_unfinished_work_is_left_alone() {
    let machine = Machine::new();
    let flake = machine.path("flake");
    let git = |arguments: &[&str]| {
        let done = Command::new("git")
            .arg("-C")
            .arg(&flake)
            .args(["-c", "user.name=a", "-c", "user.email=a@b"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", text(&done.stderr));
    };
    fs::write(flake.join("flake.nix"), "{ }\n").unwrap();
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "first"]);
    // The lock file is the update's own to change.
    fs::write(flake.join("flake.lock"), "older lock\n").unwrap();
    assert!(machine.update_here(&[]).status.success());

    fs::write(flake.join("flake.nix"), "{ unfinished = 1; }\n").unwrap();
    let output = machine.update_here(&[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("nobody has committed"));
    assert!(machine.update_here(&["--allow-changes"]).status.success());
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_system_whose_trial_was_cut_off_is_not_taken_for_the_one_from_before() {
    let machine = Machine::new();
    // Killed while the new system was tried: it runs, and nobody has looked at it.
    machine.fake(
        "new/bin/switch-to-configuration",
        r#"ln -sfn "$M/new" "$M/root/run/current-system"; kill -KILL "$(ps -o ppid= "$PPID" | tr -d " ")" $PPID"#,
    );
    assert_eq!(machine.update_here(&[]).status.code(), None);
    assert!(machine.runs("new"));
    machine.fake(
        "new/bin/switch-to-configuration",
        r#"ln -sfn "$M/new" "$M/root/run/current-system""#,
    );
    machine.breaks("health");
    let output = machine.update_here(&["--health", "web.service"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(machine.runs("old"));
    assert_eq!(machine.lock(), "old lock\n");
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_new_kernel_restarts_the_machine_only_where_asked() {
    for (arguments, restarts) in [
        (&["--reboot", "if-needed"][..], true),
        (&["--reboot", "never"], false),
    ] {
        let machine = Machine::new();
        assert!(machine.update_here(arguments).status.success());
        assert_eq!(machine.log().contains("systemctl reboot"), restarts);
    }
    // A container has none.
    let machine = Machine::new();
    fs::remove_file(machine.path("old/kernel")).unwrap();
    assert!(
        machine
            .update_here(&["--reboot", "if-needed"])
            .status
            .success()
    );
    assert!(!machine.log().contains("systemctl reboot"));
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_trial_changes_nothing_and_wrong_usage_is_told() {
    let machine = Machine::new();
    let output = machine.update_here(&["--dry-run", "--health", "web.service"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("would build web"));
    assert_eq!(machine.log(), "");
    assert_eq!(machine.lock(), "old lock\n");
    for wrong in [
        &["--reboot", "always"][..],
        &["--health-timeout", "soon"],
        &["--what"],
        &["--flake"],
    ] {
        assert_eq!(
            machine.update_here(wrong).status.code(),
            Some(2),
            "{wrong:?}"
        );
    }
    assert!(
        text(&machine.update_here(&["--help"]).stdout).starts_with("usage: nixos-flake-update")
    );
    // As JSON, one object a line.
    let output = machine.update_here(&["--dry-run", "--json"]);
    for line in text(&output.stdout).lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["message"].is_string(), "{line}");
    }
}

#[test]
#[ignore = "needs findutils; run by tests/run"]
fn strays_in_etc_are_told_and_moved_only_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let etc = folder.path().join("etc");
    fs::create_dir_all(etc.join("ssh")).unwrap();
    fs::create_dir_all(etc.join("cron.d")).unwrap();
    symlink("/etc/static/hosts", etc.join("hosts")).unwrap();
    symlink("/nix/store/x", etc.join("os-release")).unwrap();
    for file in ["passwd", "ssh/key", "cron.d/by hand", "stray"] {
        fs::write(etc.join(file), "").unwrap();
    }
    let known = folder.path().join("known");
    fs::write(&known, "passwd\nssh/\n").unwrap();
    let check = |arguments: &[&str]| {
        Command::new("bash")
            .arg(script("etc-check.sh"))
            .arg("--root")
            .arg(folder.path())
            .args(arguments)
            .arg(&known)
            .output()
            .unwrap()
    };
    let output = check(&[]);
    let said = text(&output.stdout);
    assert!(output.status.success());
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(
        said.contains("by\\ hand") && said.contains("stray"),
        "{said}"
    );
    assert_eq!(check(&["--strict"]).status.code(), Some(1));

    let moved = folder.path().join("moved");
    let to = moved.to_str().unwrap();
    assert!(check(&["--move-to", to, "--dry-run"]).status.success());
    assert!(etc.join("stray").exists());
    assert!(check(&["--move-to", to, "--yes"]).status.success());
    assert!(moved.join("stray").exists() && moved.join("cron.d/by hand").exists());
    assert!(etc.join("passwd").exists() && etc.join("ssh/key").exists());
    assert!(fs::symlink_metadata(etc.join("hosts")).is_ok());
    assert!(check(&["--strict"]).status.success());
}

/// The program `<host>-images` as `mkHost` puts it together, for a container and two virtual machines.
fn images() -> String {
    let machines = [
        "container web 120 local:vztmpl/web.tar.xz",
        "vm dev 110 -",
        "vm data 111 -",
    ];
    let quoted = machines.map(|machine| format!("'{machine}'")).join(" ");
    format!(
        "#!/bin/bash\nset -euo pipefail\nhost=pve1\nmachines=({quoted})\n{}",
        fs::read_to_string(root().join("nix/images.sh")).unwrap()
    )
}

#[test]
#[ignore = "needs bash; run by tests/run"]
fn first_images_reach_the_host_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    for name in ["bin", "image", "host"] {
        fs::create_dir(at(name)).unwrap();
    }
    let fake = |name: &str, body: &str| {
        let path = at("bin").join(name);
        fs::write(&path, format!("#!/bin/bash\n{body}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let root = folder.path().display().to_string();
    fake(
        "nix",
        &format!("echo \"nix $*\" >>{root}/log; echo {root}/image"),
    );
    // What SSH gives the other side's shell: the words after `--`, joined.
    fake(
        "ssh",
        "while [ \"$1\" != -- ]; do shift; done; shift; bash -c \"$*\"",
    );
    fake(
        "scp",
        &format!("[ \"$1\" = -q ] && shift; cp \"$1\" \"{root}/host/$(basename \"$2\")\""),
    );
    fake(
        "mv",
        &format!("/bin/mv \"{root}/host/$(basename \"$1\")\" \"{root}/host/$(basename \"$2\")\""),
    );
    fake("rm", "true");
    fake(
        "pvesm",
        &format!(
            "case $2 in local:vztmpl/*) echo {root}/host/web.tar.xz;; *) echo {root}/host/\"${{2##*:}}\";; esac"
        ),
    );
    fake(
        "qm",
        "case $1 in config) printf 'boot: order=scsi0;net0\\nscsi0: vms:vm-%s-disk-0,size=32G\\n' \"$2\";; status) echo 'status: stopped';; esac",
    );
    fake(
        "qemu-img",
        &format!(
            "echo \"qemu-img $*\" >>{root}/log; cp \"{root}/host/$(basename \"${{@: -2:1}}\")\" \"${{@: -1}}\""
        ),
    );
    for file in ["web.tar.xz", "dev.qcow2", "data.qcow2"] {
        fs::write(at("image").join(file), file).unwrap();
    }
    fs::write(at("host/vm-110-disk-0"), [0_u8; 4096]).unwrap();
    fs::write(at("host/vm-111-disk-0"), b"somebody's data").unwrap();
    fs::write(at("images"), images()).unwrap();
    let call = |arguments: &[&str]| {
        let output = Command::new("bash")
            .arg(at("images"))
            .args(arguments)
            .env("PATH", format!("{root}/bin:/usr/bin:/bin"))
            .output()
            .unwrap();
        (
            output.status.code(),
            text(&output.stdout) + &text(&output.stderr),
        )
    };

    let (status, said) = call(&[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("web: would build its image and copy it to"),
        "{said}"
    );
    assert!(
        said.contains("dev: would build its image and write it to vms:vm-110-disk-0"),
        "{said}"
    );
    assert!(
        !at("log").exists(),
        "nothing is built where nothing is asked for"
    );

    let (status, said) = call(&["--yes"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(
        fs::read_to_string(at("host/web.tar.xz")).unwrap(),
        "web.tar.xz"
    );
    assert_eq!(
        fs::read_to_string(at("host/vm-110-disk-0")).unwrap(),
        "dev.qcow2"
    );
    assert!(
        said.contains("data: vms:vm-111-disk-0 holds data, and is left alone"),
        "{said}"
    );
    assert_eq!(
        fs::read(at("host/vm-111-disk-0")).unwrap(),
        b"somebody's data"
    );

    // A second run finds everything in place.
    fs::remove_file(at("log")).unwrap();
    let (status, said) = call(&["--yes"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(!at("log").exists(), "{said}");
    let (status, said) = call(&["nobody"]);
    assert_eq!(status, Some(2), "{said}");
}

#[test]
#[ignore = "needs shellcheck; run by tests/run"]
fn shellcheck_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut scripts = vec![
        root().join("nix/hooks/moxc-regenerate"),
        script("etc-check.sh"),
    ];
    let path = folder.path().join("nixos-flake-update");
    fs::write(&path, tool("nixos-flake-update")).unwrap();
    scripts.push(path);
    let path = folder.path().join("images");
    fs::write(&path, images()).unwrap();
    scripts.push(path);
    let output = Command::new("shellcheck").args(scripts).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stdout));
}
