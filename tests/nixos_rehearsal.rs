//! The whole run of an update, rehearsed: the unit as a machine of NixOS has it, started as systemd starts it, with the real
//! scripts, on a container, a virtual machine and a host of fakes that keep their state.
//!
//! Needs nix-instantiate, bash, perl, git and flock; `tests/run` has them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use pretty_assertions::assert_eq;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::nix::{config, written};
use crate::nixos::root;
use crate::nixos_scripts::tool;

/// Stands for the folder of the flake until the machine has one.
const OWN: &str = "/the/flake/of/this/machine";
const UNIT: &str = "moxc-flake.service";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Container,
    Virtual,
    Host,
}

const KINDS: [Kind; 3] = [Kind::Container, Kind::Virtual, Kind::Host];

/// Where the flake comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    /// Its own lock file, elsewhere.
    Lock,
    /// Its inputs, from a folder of the machine.
    Inputs,
}

/// The services of a machine of the example, with what a module adds. Each evaluation takes a second.
fn services_of(name: &str, with: &str) -> String {
    static KNOWN: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    let services = known.entry(format!("{name} {with}")).or_insert_with(|| {
        let (_tree, nixos) = written("example-host");
        let shown = config(&nixos.join(format!("{name}.nix")), with);
        shown["systemd"]["services"].to_string()
    });
    services.clone()
}

/// The version of the system that a link leads to.
fn version(link: &Path) -> String {
    let system = fs::canonicalize(link).unwrap();
    let name = system.file_name().unwrap().to_str().unwrap().to_owned();
    name.rsplit('-').next().unwrap().to_owned()
}

struct Machine {
    folder: TempDir,
    services: Json,
}

impl Machine {
    fn new(kind: Kind, follows: Follows, reboot: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = match kind {
            Kind::Container => "web",
            Kind::Virtual => "dev",
            Kind::Host => "nix1",
        };
        let (flake, inputs) = match follows {
            Follows::Lock => ("github:example/home".to_owned(), "false"),
            Follows::Inputs => (OWN.to_owned(), "true"),
        };
        // What the spec does not say of it, and the host's own schedule.
        let with = format!(
            "{{ lib, ... }}: {{ services.moxc.update.schedules.flake = {{ flake = lib.mkForce \"{flake}\"; \
             updateInputs = lib.mkForce {inputs}; onCalendar = lib.mkDefault \"daily\"; \
             health = lib.mkForce [ \"sshd.service\" \"moxc.target\" ]; healthTimeout = 1; \
             reboot = lib.mkForce \"{reboot}\"; }}; }}"
        );
        let own = folder.path().join("own").display().to_string();
        let services = services_of(name, &with).replace(OWN, &own);
        let machine = Self {
            folder,
            services: serde_json::from_str(&services).unwrap(),
        };
        for folder in [
            "bin", "tools", "root/run", "locks", "state", "unit", "remote", "own",
        ] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        let fake = root().join("tests/fakes/nixos-machine");
        for program in [
            "nix",
            "nixos-rebuild",
            "nix-env",
            "systemctl",
            "journalctl",
            "sendmail",
            "uname",
            "zfs-snapshot",
        ] {
            symlink(&fake, machine.path("bin").join(program)).unwrap();
        }
        for name in ["nixos-flake-update", "moxc-notify"] {
            // An activation that hangs is ended after an hour: here after two seconds, and the others have all their time.
            let text = tool(name).replace(
                r"*/switch-to-configuration\ *) printf 3600",
                r#"never) printf 3600 ;; */switch-to-configuration\ *)
      local of && of=$(cd -- "${1%/bin/*}" && pwd -P)
      if grep -qs hangs "$M/behaviour-${of##*-}"; then printf 2; else printf 3600; fi"#,
            );
            let path = machine.path("tools").join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        machine.write("name", name);
        machine.write("units", "sshd.service\nmoxc.target\nweb.service\n");
        machine.write("journal", "11:11:11 the update said this\n");
        if kind != Kind::Container {
            machine.write("has-kernel", "");
        }
        // It runs what the first version of the flake gives.
        machine.write("upstream", "1");
        for folder in ["remote", "own"] {
            machine.write(&format!("{folder}/flake.lock"), "1");
        }
        let first = format!(
            "cd \"$M\"; nixos-rebuild build --flake \"$M/own#{name}\"; nix-env --profile \
             \"$M/root/nix/var/nix/profiles/system\" --set \"$(readlink result)\"; \
             result/bin/switch-to-configuration switch; readlink result >boots; systemctl reboot"
        );
        machine.shell(&first);
        machine.write("log", "");
        machine.moves_on("2");
        machine
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// The flake has another version by now, whoever is followed.
    fn moves_on(&self, version: &str) {
        self.write("upstream", version);
        self.write("remote/flake.lock", version);
    }

    fn fares(&self, version: &str, how: &str) {
        self.write(&format!("behaviour-{version}"), how);
    }

    /// Runs a script as the machine's: its exit status, and the last of what it said.
    fn shell(&self, script: &str) -> (Option<i32>, String) {
        let path = format!(
            "{}:{}",
            self.path("bin").display(),
            std::env::var("PATH").unwrap()
        );
        // A group of its own, as a unit is: what kills it does not reach the test.
        let output = Command::new("setsid")
            .args(["--wait", "bash", "-c", script])
            .env("M", self.folder.path())
            .env("FAKES", root().join("tests/fakes"))
            .env("MOXC_ROOT", self.path("root"))
            .env("MOXC_LOCK_DIR", self.path("locks"))
            .env("PATH", path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    }

    /// A unit's script, with the tools and the folders of this machine.
    fn script_of(&self, unit: &str, more: &str) -> String {
        let script = self.services[unit]["script"].as_str().unwrap();
        let (before, rest) = script.split_once("/fake/").unwrap();
        let (name, rest) = rest.split_once('/').unwrap();
        let (_, arguments) = rest.split_once(' ').unwrap();
        let before = before.trim_end_matches('\'');
        format!("{before}\"$M/tools/{name}\" {more} {arguments}")
    }

    /// The update, as systemd runs it: what it ended with, and where it failed, the unit that is named for that.
    fn update(&self) -> Option<i32> {
        self.run(
            "moxc-flake",
            &self.script_of("moxc-flake", "--state \"$M/state\""),
        )
    }

    /// What looks at the system after a restart that an update has made.
    fn after_restart(&self) -> Option<i32> {
        const UNIT: &str = "moxc-update-after-restart";
        self.run(UNIT, &self.script_of(UNIT, "--state \"$M/state\""))
    }

    fn run(&self, unit: &str, script: &str) -> Option<i32> {
        let service = &self.services[unit];
        assert_eq!(service["serviceConfig"]["Type"], "oneshot");
        let (status, said) = self.shell(script);
        self.write("said", &said);
        if status != Some(0) {
            let ended = status.map_or_else(|| "9".to_owned(), |status| status.to_string());
            self.write("unit/ExecMainStatus", &ended);
            let result = if status.is_some() {
                "exit-code"
            } else {
                "signal"
            };
            self.write("unit/Result", result);
            assert_eq!(
                service["onFailure"],
                serde_json::json!(["moxc-failure@%n.service"])
            );
            let tell = self.script_of("moxc-failure@", "");
            let (told, said) = self.shell(&format!("set -- {UNIT}; {tell}"));
            assert_eq!(told, Some(0), "{said}");
        }
        status
    }

    /// The versions that run, that would boot and that the newest generation is.
    fn versions(&self) -> [String; 3] {
        let boots = PathBuf::from(self.read("boots").trim());
        [
            version(&self.path("root/run/current-system")),
            version(&boots),
            version(&self.path("root/nix/var/nix/profiles/system")),
        ]
    }

    /// What an update that has gone back leaves: everything as it was, and somebody who knows.
    fn is_as_before(&self, what: &str) {
        assert_eq!(self.versions(), ["1"; 3], "{what}: {}", self.read("said"));
        assert_eq!(self.read("own/flake.lock"), "1", "{what}");
        let active = self.read("active");
        assert!(active.starts_with("sshd.service\n"), "{what}: {active}");
        let left = fs::read_dir(self.path("state")).unwrap();
        for entry in left {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.contains("before"), "{what}: {name}");
        }
        self.is_told(what, "failed");
    }

    /// An update that ends with this status.
    fn ends(&self, status: Option<i32>, what: &str) {
        assert_eq!(self.update(), status, "{what}: {}", self.read("said"));
    }

    fn is_told(&self, what: &str, words: &str) {
        let mails = self.read("mails");
        let name = self.read("name");
        let subject = format!("Subject: {name}: {UNIT} {words}\n");
        for part in [
            "To: admin@home.arpa\n",
            &subject,
            "the update said this",
            "systemctl start moxc-flake.service",
        ] {
            assert!(mails.contains(part), "{what}: {part}\n{mails}");
        }
    }
}

fn each(test: impl Fn(Kind, Follows, &str)) {
    for kind in KINDS {
        for follows in [Follows::Lock, Follows::Inputs] {
            test(kind, follows, &format!("{kind:?}, {follows:?}"));
        }
    }
}

#[test]
#[ignore = "needs nix-instantiate, perl and flock; run by tests/run"]
fn an_update_reaches_every_kind_of_machine_and_nobody_is_bothered() {
    each(|kind, follows, what| {
        let machine = Machine::new(kind, follows, "if-needed");
        machine.ends(Some(0), what);
        assert_eq!(machine.versions(), ["2"; 3], "{what}");
        assert_eq!(machine.read("mails"), "", "{what}");
        let log = machine.read("log");
        // The lock of the flake is followed, or it is moved and stays so.
        match follows {
            Follows::Lock => {
                assert!(!log.contains("flake update"), "{what}: {log}");
                assert_eq!(machine.read("own/flake.lock"), "1", "{what}");
            }
            Follows::Inputs => {
                assert!(log.contains("flake update"), "{what}: {log}");
                assert_eq!(machine.read("own/flake.lock"), "2", "{what}");
            }
        }
        // A container has no kernel that could be another one.
        let restarts = log.contains("systemctl reboot");
        assert_eq!(restarts, kind != Kind::Container, "{what}: {log}");
        // A host's data goes back with it.
        let snapshot = log
            .find("zfs-snapshot --yes")
            .filter(|at| *at < log.find("nixos-rebuild").unwrap());
        assert_eq!(snapshot.is_some(), kind == Kind::Host, "{what}: {log}");
        // The next night finds nothing new.
        machine.ends(Some(0), what);
        let again = machine.read("log")[log.len()..].to_owned();
        assert!(!again.contains(" test\n"), "{what}: {again}");
        assert_eq!(machine.versions(), ["2"; 3], "{what}");
    });
}

#[test]
#[ignore = "needs nix-instantiate, perl and flock; run by tests/run"]
fn what_fails_goes_back_and_somebody_is_told() {
    each(|kind, follows, what| {
        for how in ["build", "unhealthy", "fails", "hangs"] {
            let what = format!("{what}, {how}");
            let machine = Machine::new(kind, follows, "if-needed");
            machine.fares("2", how);
            machine.ends(Some(1), &what);
            machine.is_as_before(&what);
            assert!(!machine.read("log").contains("systemctl reboot"), "{what}");
            // Once the flake is mended, the machine follows.
            machine.moves_on("3");
            machine.ends(Some(0), &what);
            assert_eq!(machine.versions(), ["3"; 3], "{what}");
        }
    });
}

#[test]
#[ignore = "needs nix-instantiate, perl and flock; run by tests/run"]
fn without_a_network_nothing_is_touched() {
    each(|kind, follows, what| {
        let machine = Machine::new(kind, follows, "never");
        machine.write("offline", "");
        machine.ends(Some(1), what);
        machine.is_as_before(what);
        let log = machine.read("log");
        assert!(!log.contains(" test\n"), "{what}: {log}");
        fs::remove_file(machine.path("offline")).unwrap();
        machine.ends(Some(0), what);
        assert_eq!(machine.versions(), ["2"; 3], "{what}");
    });
}

#[test]
#[ignore = "needs nix-instantiate, perl and flock; run by tests/run"]
fn a_machine_that_dies_of_a_trial_comes_back_as_it_was() {
    each(|kind, follows, what| {
        let machine = Machine::new(kind, follows, "never");
        machine.fares("2", "dies");
        machine.ends(None, what);
        // Somebody switches it off and on.
        machine.shell("systemctl reboot");
        assert_eq!(machine.versions(), ["1"; 3], "{what}");
        // And the system that failed is still no system to go back to.
        machine.fares("2", "unhealthy");
        machine.ends(Some(1), what);
        machine.is_as_before(what);
        machine.moves_on("3");
        machine.ends(Some(0), what);
        assert_eq!(machine.versions(), ["3"; 3], "{what}");
    });
}

#[test]
#[ignore = "needs nix-instantiate, perl and flock; run by tests/run"]
fn a_way_back_that_is_closed_wants_a_person() {
    each(|kind, follows, what| {
        let machine = Machine::new(kind, follows, "never");
        machine.fares("2", "unhealthy");
        machine.fares("1", "fails");
        machine.ends(Some(3), what);
        machine.is_told(what, "needs a person");
        // What boots is the system from before all the same.
        assert_eq!(machine.versions()[1..], ["1", "1"], "{what}");
    });
}

#[test]
#[ignore = "needs nix-instantiate, perl and flock; run by tests/run"]
fn a_flake_that_moves_on_meanwhile_brings_no_system_that_nobody_has_looked_at() {
    each(|kind, follows, what| {
        let machine = Machine::new(kind, follows, "never");
        machine.fares("2", "moves");
        machine.fares("9", "unhealthy");
        machine.ends(Some(0), what);
        assert_eq!(machine.versions(), ["2"; 3], "{what}");
    });
}

#[test]
#[ignore = "needs nix-instantiate, perl and flock; run by tests/run"]
fn a_system_that_is_not_well_once_it_was_booted_goes_back_once() {
    for kind in [Kind::Virtual, Kind::Host] {
        let what = format!("{kind:?}");
        let machine = Machine::new(kind, Follows::Lock, "if-needed");
        machine.fares("2", "boots-ill");
        machine.ends(Some(0), &what);
        assert_eq!(machine.versions(), ["2"; 3], "{what}");
        // It restarts into the one from before, and only the run after that tells that this is well.
        assert_eq!(machine.after_restart(), Some(1), "{}", machine.read("said"));
        assert_eq!(machine.versions(), ["1"; 3], "{}", machine.read("said"));
        let restarts = machine.read("log").matches("systemctl reboot").count();
        assert_eq!(restarts, 2, "{what}");
        assert_eq!(machine.after_restart(), Some(1), "{what}");
        assert!(
            machine.read("said").contains("it is back at"),
            "{}",
            machine.read("said")
        );
        machine.is_told(&what, "failed");
        // Nothing waits any more.
        assert_eq!(machine.after_restart(), Some(0), "{what}");
        machine.moves_on("3");
        machine.ends(Some(0), &what);
        assert_eq!(machine.after_restart(), Some(0), "{}", machine.read("said"));
        assert_eq!(machine.versions(), ["3"; 3], "{what}");

        // The one from before is no better: nobody restarts for ever.
        let machine = Machine::new(kind, Follows::Lock, "if-needed");
        machine.fares("2", "boots-ill");
        machine.fares("1", "boots-ill");
        machine.ends(Some(0), &what);
        assert_eq!(machine.after_restart(), Some(1), "{what}");
        assert_eq!(machine.after_restart(), Some(3), "{}", machine.read("said"));
        assert_eq!(machine.after_restart(), Some(0), "{what}");

        // Where nothing is to go back it is told, and stays.
        let machine = Machine::new(kind, Follows::Lock, "if-needed");
        machine.fares("2", "boots-ill");
        let script = machine.script_of("moxc-flake", "--state \"$M/state\" --no-rollback");
        assert_eq!(
            machine.run("moxc-flake", &script),
            Some(0),
            "{}",
            machine.read("said")
        );
        assert_eq!(machine.after_restart(), Some(1), "{what}");
        assert_eq!(machine.versions(), ["2"; 3], "{what}");
        machine.is_told(&what, "failed");
    }
}

#[test]
#[ignore = "needs nix-instantiate, perl and flock; run by tests/run"]
fn another_system_than_the_one_that_was_to_boot_is_told() {
    let machine = Machine::new(Kind::Virtual, Follows::Lock, "if-needed");
    machine.ends(Some(0), "");
    // Somebody took the older one in the menu of the boot loader, since the new one hung.
    machine.shell(
        "sed s/-2$/-1/ \"$M/boots\" >\"$M/old\"; mv \"$M/old\" \"$M/boots\"; systemctl reboot",
    );
    assert_eq!(machine.after_restart(), Some(1));
    let said = machine.read("said");
    assert!(
        said.contains("was to restart into") && said.contains("has come up"),
        "{said}"
    );
    machine.is_told("another system", "failed");
    // The next start, after a loss of power, is into what has come up.
    assert_eq!(machine.versions(), ["1"; 3], "{said}");
    // The one that hung waits for a person, a newer one does not.
    machine.ends(Some(1), "");
    assert_eq!(machine.versions(), ["1"; 3], "{}", machine.read("said"));
    machine.moves_on("3");
    machine.ends(Some(0), "");
    assert_eq!(machine.after_restart(), Some(0), "{}", machine.read("said"));
    assert_eq!(machine.versions(), ["3"; 3]);

    // Where nothing is to go back, it is told and no more.
    let machine = Machine::new(Kind::Virtual, Follows::Lock, "if-needed");
    let script = machine.script_of("moxc-flake", "--state \"$M/state\" --no-rollback");
    assert_eq!(machine.run("moxc-flake", &script), Some(0));
    machine.shell(
        "sed s/-2$/-1/ \"$M/boots\" >\"$M/old\"; mv \"$M/old\" \"$M/boots\"; systemctl reboot",
    );
    assert_eq!(machine.after_restart(), Some(1));
    assert_eq!(machine.versions(), ["1", "1", "2"]);
}

#[test]
#[ignore = "needs nix-instantiate, perl and flock; run by tests/run"]
fn a_kernel_that_waits_since_an_earlier_update_is_restarted_for_once_that_is_allowed() {
    for kind in KINDS {
        let what = format!("{kind:?}");
        let machine = Machine::new(kind, Follows::Lock, "never");
        machine.ends(Some(0), &what);
        assert!(!machine.read("log").contains("systemctl reboot"), "{what}");
        let update = machine.script_of("moxc-flake", "--state \"$M/state\"");
        let allowed = update.replace("'--reboot' 'never'", "'--reboot' 'if-needed'");
        assert_ne!(update, allowed);
        // What waits is not well: the way back leads to what was booted, since nothing else was.
        machine.fares("2", "boots-ill");
        let (status, said) = machine.shell(&allowed);
        assert_eq!(status, Some(0), "{said}");
        let restarts = machine.read("log").contains("systemctl reboot");
        assert_eq!(restarts, kind != Kind::Container, "{what}");
        if kind == Kind::Container {
            continue;
        }
        let look = update_script(&machine);
        assert_eq!(machine.shell(&look).0, Some(1), "{what}");
        assert_eq!(machine.versions(), ["1"; 3], "{what}");
        machine.fares("2", "");
        assert_eq!(machine.shell(&look).0, Some(1), "{what}");
        // It is not tried again by itself: that would be two restarts a night.
        let log = machine.read("log");
        let (status, said) = machine.shell(&allowed);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("remove") && said.contains("unfit"), "{said}");
        let since = machine.read("log").replacen(&log, "", 1);
        assert!(!since.contains("switch-to-configuration"), "{since}");
        assert!(!since.contains("systemctl reboot"), "{since}");
        // And once it is fixed, it stays.
        fs::remove_file(machine.path("state/unfit")).unwrap();
        assert_eq!(machine.shell(&allowed).0, Some(0), "{what}");
        assert_eq!(machine.shell(&look).0, Some(0), "{what}");
        assert_eq!(machine.versions(), ["2"; 3], "{what}");
    }
}

/// What looks after a restart, of a machine whose own schedules never restart it.
fn update_script(machine: &Machine) -> String {
    let update = machine.script_of("moxc-flake", "--state \"$M/state\"");
    let (tool, _) = update.split_once(" '--").unwrap();
    format!("{tool} --yes --after-restart")
}

#[test]
#[ignore = "needs nix-instantiate, perl and flock; run by tests/run"]
fn nobody_restarts_what_nobody_could_look_at() {
    let machine = Machine::new(Kind::Virtual, Follows::Lock, "if-needed");
    // As on a full disk: the word that is left for the next start cannot be written.
    fs::create_dir(machine.path("state/restarting.new")).unwrap();
    machine.ends(Some(1), "");
    assert!(!machine.read("log").contains("systemctl reboot"));
    assert!(
        machine.read("said").contains("not restarted"),
        "{}",
        machine.read("said")
    );
    fs::remove_dir(machine.path("state/restarting.new")).unwrap();
    machine.ends(Some(0), "");
    assert!(machine.read("log").contains("systemctl reboot"));
    assert_eq!(machine.after_restart(), Some(0));

    // Two at once: the second one waits, and leaves everything to the first.
    machine.moves_on("3");
    let update = machine.script_of("moxc-flake", "--state \"$M/state\" --lock-timeout 1");
    let both = format!("exec 8>>\"$M/locks/nixos-flake-update.lock\"; flock 8; ( {update} )");
    let (status, said) = machine.shell(&both);
    assert_eq!(status, Some(4), "{said}");
    assert_eq!(machine.versions(), ["2"; 3], "{said}");
}
