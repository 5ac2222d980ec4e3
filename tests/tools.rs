//! The tools of a host, each run as the one file that it goes out as, against fakes of the programs that it calls.
//!
//! Needs bash, perl and flock (Debian: perl, util-linux) and for some tests shellcheck and systemd-analyze; `tests/run` has
//! them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use moxc::tools::{self, Tool};
use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::Value as Json;

use crate::program::{Said, tests};

/// Every program that a tool may call and that a test must not really call.
const FAKES: &[&str] = &[
    "apt-get",
    "date",
    "dpkg",
    "dpkg-query",
    "findmnt",
    "journalctl",
    "nix-collect-garbage",
    "pvesh",
    "sendmail",
    "sleep",
    "smartctl",
    "systemctl",
    "uname",
    "zfs",
    "zpool",
];

/// A host whose programs are fakes.
pub(crate) struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        let host = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        for folder in [
            "bin",
            "tools",
            "locks",
            "root/run",
            "root/boot",
            "root/etc/kernel",
        ] {
            fs::create_dir_all(host.path(folder)).expect("a folder");
        }
        for fake in FAKES {
            std::os::unix::fs::symlink(tests().join("fakes/tools"), host.path("bin").join(fake))
                .expect("a link");
        }
        for tool in tools::ALL {
            host.write(&format!("tools/{}", tool.name), &tool.script("Generated."));
        }
        host.write("pools", "rpool ONLINE\ntank ONLINE\n");
        host.write("now", "1767225600\n"); // 2026-01-01
        host.write("datasets", "tank\ntank/a\ntank/a/b\n");
        host.write("snapshots", "");
        host.write("running-kernel", "6.8.12-4-pve\n");
        host.write("components", "main\npve-no-subscription\n");
        host
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).expect("a file");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// Has calls that begin so fail.
    fn breaks(&self, call: &str, status: u8, message: &str) {
        let mut fail = self.read("fail");
        writeln!(fail, "{call}\t{status}\t{message}").expect("a string takes all text");
        self.write("fail", &fail);
    }

    fn command<T: AsRef<OsStr>>(&self, tool: &str, args: &[T]) -> Command {
        self.write("log", "");
        let path = crate::program::behind(&self.path("bin"));
        let mut command = Command::new("bash");
        command
            .arg(self.path("tools").join(tool))
            .args(args)
            .env("PATH", path)
            .env("FAKE", self.folder.path())
            .env("MOXC_LOCK_DIR", self.path("locks"))
            .env("MOXC_ROOT", self.path("root"))
            .env("TZ", "Europe/Berlin")
            .stdin(Stdio::null())
            // A run that is killed takes its fakes with it, and not the tests.
            .process_group(0);
        command
    }

    fn run(&self, tool: &str, args: &[&str]) -> Said {
        self.command(tool, args)
            .output()
            .expect("bash starts")
            .into()
    }

    /// A run that ends with this status.
    fn ends(&self, status: i32, tool: &str, args: &[&str]) -> Said {
        let said = self.run(tool, args);
        assert_eq!(
            said.status,
            Some(status),
            "{tool} {args:?}\n{}\n{}\n{}",
            said.out,
            said.err,
            self.read("log")
        );
        said
    }

    /// The calls of the last run that begin so.
    fn calls(&self, start: &str) -> Vec<String> {
        self.read("log")
            .lines()
            .filter(|line| line.starts_with(start))
            .map(str::to_owned)
            .collect()
    }
}

/// The lines of a JSON log.
fn lines(said: &Said) -> Vec<Json> {
    said.out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

// ---------------------------------------------------------------- what is the same for all

#[test]
#[ignore = "needs shellcheck; run by tests/run"]
fn shellcheck_finds_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scripts = vec![tests().join("fakes/tools")];
    for tool in tools::ALL {
        let path = folder.path().join(tool.name);
        fs::write(&path, tool.script("Generated.")).expect("a file");
        scripts.push(path);
    }
    let said: Said = Command::new("shellcheck")
        .args(scripts)
        .output()
        .expect("shellcheck starts")
        .into();
    assert_eq!(said.out, "");
    assert_eq!(said.status, Some(0));
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn every_tool_explains_itself_and_refuses_what_it_does_not_know() {
    let host = Host::new();
    for Tool { name, .. } in tools::ALL {
        let said = host.ends(0, name, &["--help"]);
        assert!(said.out.starts_with(&format!("usage: {name}")), "{name}");
        for option in ["--dry-run", "--yes", "--json", "--confirm", "Exit status"] {
            assert!(said.out.contains(option), "{name}: {option}");
        }
        let said = host.ends(2, name, &["--frobnicate"]);
        assert_eq!(said.out, "");
        assert!(said.err.contains("unknown option --frobnicate"), "{name}");
        // Wrong usage is told in JSON, too, wherever the option stands.
        let said = host.ends(2, name, &["--frobnicate", "--json"]);
        assert_eq!(lines(&said)[0]["level"], "error", "{name}");
        // A look at the name of the host is all that may have come before.
        let log = host.read("log").replace("uname -n\n", "");
        assert_eq!(log, "", "{name} did something");
        for wrong in [
            &["--json=1"][..],
            &["--lock-timeout"],
            &["--lock-timeout=x"],
        ] {
            host.ends(2, name, wrong);
        }
    }
}

#[test]
fn the_page_about_automation_has_every_tool_and_every_status() {
    let page = fs::read_to_string(tests().join("../docs/automation.md")).expect("the page");
    for tool in tools::ALL {
        let row = format!("| `{}` | {} |", tool.name, tool.about);
        assert!(page.contains(&row), "{row}");
    }
    let library = Tool::named("zfs-scrub").expect("a tool").script("");
    let table: Vec<&str> = library
        .lines()
        .skip_while(|line| !line.contains("Exit status of every tool"))
        .skip(1)
        .take_while(|line| line.starts_with("#  "))
        .collect();
    assert_eq!(table.len(), 6);
    for line in table {
        let (status, meaning) = line[1..].trim().split_once("  ").expect("a status");
        let row = format!("| {status} | {meaning} |");
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_second_run_waits_and_then_gives_way() {
    let host = Host::new();
    let mut holder = Command::new("flock")
        .arg("--no-fork")
        .arg(host.path("locks/zfs-trim.lock"))
        .args(["sh", "-c", "echo held; exec sleep 60"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("flock starts");
    let mut held = [0; 5];
    std::io::Read::read_exact(holder.stdout.as_mut().expect("its output"), &mut held)
        .expect("it says so");
    let said = host.ends(4, "zfs-trim", &["--lock-timeout", "0", "tank"]);
    assert!(said.out.contains("another run holds"), "{}", said.out);
    assert!(said.err.contains("nothing was done"), "{}", said.err);
    assert_eq!(host.read("log"), "");
    // A trial asks for nothing and waits for nobody.
    host.ends(0, "zfs-trim", &["--dry-run", "tank"]);
    // A folder of locks that somebody has put there as a trap.
    fs::create_dir(host.path("trap")).expect("a folder");
    std::os::unix::fs::symlink(host.path("trap"), host.path("link")).expect("a link");
    let said: Said = host
        .command("zfs-trim", &["tank"])
        .env("MOXC_LOCK_DIR", host.path("link"))
        .output()
        .expect("bash starts")
        .into();
    assert_eq!(said.status, Some(1));
    assert!(said.err.contains("somebody else's"), "{}", said.err);
    assert_eq!(host.read("log"), "");
    holder.kill().expect("it ends");
    holder.wait().expect("it has ended");
    host.ends(0, "zfs-trim", &["tank"]);
}

/// A tool of a few lines, with the library in front.
fn small_tool(host: &Host, body: &str) {
    let read = |name: &str| {
        fs::read_to_string(tests().join("../nix/modules/scripts").join(name)).expect("a library")
    };
    let library = read("gate.sh") + &read("tool.sh");
    host.write(
        "tools/small",
        &format!(
            "#!/bin/bash\n{library}\nusage() {{ echo 'usage: small'; }}\noption() {{ return 1; }}\nbegin \"$@\"\n{body}\n"
        ),
    );
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn what_destroys_wants_its_name_typed() {
    let host = Host::new();
    small_tool(
        &host,
        "confirm 'web 1' 'web 1 is overwritten'; run touch \"$FAKE/gone\"",
    );
    let alone = |args: &[&str]| -> Said {
        let inner = host.command("small", args);
        // A session of its own has no terminal.
        Command::new("setsid")
            .arg("--wait")
            .arg(inner.get_program())
            .args(inner.get_args())
            .envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .stdin(Stdio::null())
            .output()
            .expect("setsid starts")
            .into()
    };
    for args in [
        &[][..],
        &["--yes"],
        &["--yes", "--confirm", "web"],
        &["--confirm=web 10"],
        &["--confirm="],
    ] {
        assert_eq!(alone(args).status, Some(3), "{args:?}");
        assert!(!host.path("gone").exists(), "{args:?}");
    }
    assert_eq!(alone(&["--dry-run"]).status, Some(0));
    assert!(!host.path("gone").exists());
    assert_eq!(alone(&["--confirm", "web 1"]).status, Some(0));
    assert!(host.path("gone").exists());
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn however_a_tool_ends_it_tidies_up_and_sums_up() {
    for (body, status, level, message) in [
        ("count 'things made' 2", 0, "info", "done: things made: 2"),
        (
            "run sh -c 'echo said; echo more >&2; exit 7'",
            1,
            "error",
            "failed: not finished, commands run: 1",
        ),
        (
            "failed one; found two",
            1,
            "error",
            "failed: nothing was done",
        ),
        (
            "found two; busy three",
            4,
            "warning",
            "busy: nothing was done",
        ),
        (
            "found two; count 'looked at'",
            5,
            "warning",
            "done, and wants a look: looked at: 1",
        ),
        ("refuse no", 3, "error", "needs a person: nothing was done"),
        ("sh -c 'exit 200'", 1, "error", "failed: nothing was done"),
        (
            "kill -TERM $$; sleep 9",
            143,
            "info",
            "ended by a signal: nothing was finished",
        ),
        (
            "run true; kill -TERM $$; sleep 9",
            143,
            "info",
            "ended by a signal: not finished, commands run: 1",
        ),
        (
            "run true; found two",
            5,
            "warning",
            "done, and wants a look: changes: 1",
        ),
    ] {
        let host = Host::new();
        small_tool(
            &host,
            &format!("tidy() {{ touch \"$FAKE/tidied\"; }}\nat_exit tidy\n{body}"),
        );
        let said = host.ends(status, "small", &["--json"]);
        assert!(host.path("tidied").exists(), "{body}");
        let logged = lines(&said);
        let summary = logged.last().expect("a summary");
        assert_eq!(summary["level"], "summary", "{body}");
        assert_eq!(summary["message"], message, "{body}");
        assert_eq!(summary["status"], status, "{body}");
        if level != "info" {
            assert!(
                logged.iter().any(|line| line["level"] == level),
                "{body}: {}",
                said.out
            );
        }
        if body.contains("said") {
            let output: Vec<&Json> = logged
                .iter()
                .filter(|line| line["level"] == "output")
                .collect();
            assert_eq!(output.len(), 2, "{}", said.out);
        }
        // The same in words: what is wrong goes to standard error.
        let said = host.ends(status, "small", &[]);
        let told = if status == 0 { &said.out } else { &said.err };
        assert!(told.ends_with(&format!("{message}\n")), "{body}: {told}");
    }
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn nobody_to_ask_is_no_yes() {
    let host = Host::new();
    host.write("apt-simulated", "Inst bash [5.1] (5.2 Debian)\n");
    let inner = host.command("proxmox-update", &[] as &[&str]);
    let said: Said = Command::new("setsid")
        .arg("--wait")
        .arg(inner.get_program())
        .args(inner.get_args())
        .envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .stdin(Stdio::null())
        .output()
        .expect("setsid starts")
        .into();
    assert_eq!(said.status, Some(3), "{}\n{}", said.out, said.err);
    assert!(said.err.contains("say --yes"), "{}", said.err);
    assert!(!host.read("log").contains("-y dist-upgrade"));
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_trial_changes_nothing() {
    let host = Host::new();
    host.write(
        "snapshots",
        "tank/a@auto-2025-01-01T000000Z\t1\t0\t\ntank/a@auto-2025-01-02T000000Z\t2\t0\t\n",
    );
    host.write("apt-simulated", "Inst bash [5.1] (5.2 Debian)\n");
    host.write("root/run/reboot-required", "");
    fs::write(host.path("disk"), "").expect("a file");
    host.write("smart-disk", HEALTHY);
    let disk = host.path("disk").display().to_string();
    for (tool, args) in [
        (
            "zfs-snapshot",
            &["--name", "auto", "--keep", "last=1", "tank/a"][..],
        ),
        ("zfs-scrub", &["--wait", "tank"]),
        ("zfs-trim", &["--wait", "tank"]),
        ("smart-test", &[&disk]),
        ("proxmox-update", &["--reboot", "if-needed"]),
        ("proxmox-maintenance", &[]),
        ("moxc-notify", &["--to", "a@b", "x.service"]),
    ] {
        let mut args = args.to_vec();
        args.push("--dry-run");
        let said = host.run(tool, &args);
        assert!(matches!(said.status, Some(0 | 5)), "{tool}: {}", said.err);
        for change in [
            "zfs snapshot",
            "zfs destroy",
            "zpool scrub",
            "zpool trim",
            "smartctl --test",
            "apt-get -q update",
            "-y dist-upgrade",
            "dpkg --force",
            "pvesh create",
            "systemctl reboot",
            "journalctl --vacuum",
            "nix-collect-garbage",
            "sendmail",
            "zpool wait",
            "clean",
        ] {
            assert!(
                !host.read("log").contains(change),
                "{tool}: {change}\n{}",
                host.read("log")
            );
        }
        assert!(
            said.out.contains("--dry-run") || said.err.contains("--dry-run"),
            "{tool}"
        );
    }
    let said = host.ends(
        0,
        "zfs-snapshot",
        &["--name", "auto", "--keep", "last=1", "tank/a", "--dry-run"],
    );
    // The one that would have been taken counts.
    assert!(
        said.out
            .contains("zfs destroy -- tank/a@auto-2025-01-02T000000Z"),
        "{}",
        said.out
    );
    assert!(host.read("snapshots").lines().count() == 2);
}

/// Arguments of any bytes but NUL.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[\\PC\\x01-\\x1f\\x7f\"\\\\$`']{0,12}".prop_map(String::into_bytes),
        prop::collection::vec(1..=255u8, 0..12),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    #[ignore = "needs perl and flock; run by tests/run"]
    fn a_json_log_is_json_whatever_a_name_holds(name in hostile()) {
        let host = Host::new();
        let mut dataset = b"tank/".to_vec();
        dataset.extend(&name);
        for (tool, args) in [
            ("zfs-snapshot", &["--json", "--name", "auto", "--keep", "last=1", "--recursive", "--"][..]),
            ("zfs-scrub", &["--json", "--"]),
            ("smart-test", &["--json", "--"]),
        ] {
            let mut all: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
            all.push(OsStr::from_bytes(&dataset));
            let output = host.command(tool, &all).output().expect("bash starts");
            let out = String::from_utf8(output.stdout).expect("UTF-8");
            let logged: Vec<Json> = out
                .lines()
                .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
                .collect();
            prop_assert_eq!(String::from_utf8_lossy(&output.stderr), "");
            for line in &logged {
                prop_assert_eq!(&line["tool"], tool);
                prop_assert!(line["time"].is_string() && line["level"].is_string() && line["message"].is_string());
            }
            let summary = logged.last().expect("a summary");
            prop_assert_eq!(&summary["level"], "summary");
            prop_assert_eq!(&summary["status"], output.status.code().expect("an end"));
            // What is text comes back as it was.
            if let (Ok(name), "zfs-scrub") = (std::str::from_utf8(&dataset), tool) {
                let told = logged.iter().any(|line| line["pool"] == name);
                prop_assert!(told, "{:?}: {}", name, out);
            }
        }
    }
}

// ---------------------------------------------------------------- snapshots

/// A pseudo-random sequence (splitmix64): the same on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Year, month and day of a count of days since 1970, by walking the calendar.
fn civil(mut day: i64) -> (i64, u32, i64) {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if day < length {
            break;
        }
        day -= length;
        year += 1;
    }
    let months = [
        31,
        if leap(year) { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    for (month, length) in (1..).zip(months) {
        if day < length {
            return (year, month, day + 1);
        }
        day -= length;
    }
    unreachable!("a year has twelve months")
}

fn stamp(seconds: i64) -> String {
    let (year, month, day) = civil(seconds / 86_400);
    let rest = seconds % 86_400;
    format!(
        "{year}-{month:02}-{day:02}T{:02}{:02}{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// A snapshot as the fake knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Snapshot {
    name: String,
    seconds: i64,
    holds: u64,
    clone: String,
}

const RULES: [&str; 6] = ["last", "hourly", "daily", "weekly", "monthly", "yearly"];

/// The period of a rule that a time lies in, as text of the calendar.
fn period(rule: &str, seconds: i64, index: usize) -> String {
    let day = seconds / 86_400;
    let (year, month, date) = civil(day);
    match rule {
        "last" => index.to_string(),
        "hourly" => format!("{year} {month} {date} {}", seconds % 86_400 / 3600),
        "daily" => format!("{year} {month} {date}"),
        // By the Monday that the week began with; 1970 began with a Thursday.
        "weekly" => format!("{:?}", civil(day - (day + 3) % 7)),
        "monthly" => format!("{year} {month}"),
        "yearly" => year.to_string(),
        other => panic!("{other}"),
    }
}

/// The policy, said another way: which of one dataset's snapshots stay.
fn stays(own: &str, all: &[Snapshot], rules: &[(&str, usize)]) -> Vec<Snapshot> {
    let is_own = |one: &Snapshot| {
        let (_, name) = one.name.split_once('@').expect("a snapshot");
        name.strip_prefix(own)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|rest| {
                let shape: String = rest
                    .chars()
                    .map(|c| if c.is_ascii_digit() { '9' } else { c })
                    .collect();
                shape == "9999-99-99T999999Z"
            })
    };
    let mine: Vec<&Snapshot> = all.iter().rev().filter(|one| is_own(one)).collect();
    let mut kept: BTreeSet<&str> = mine.iter().take(1).map(|one| one.name.as_str()).collect();
    for (rule, most) in rules {
        let mut periods: Vec<String> = Vec::new();
        for (index, one) in mine.iter().enumerate() {
            let this = period(rule, one.seconds, index);
            if periods.last() != Some(&this) {
                if periods.len() == *most {
                    break;
                }
                periods.push(this);
                kept.insert(&one.name);
            }
        }
    }
    all.iter()
        .filter(|one| {
            !is_own(one)
                || one.holds > 0
                || !one.clone.is_empty()
                || kept.contains(one.name.as_str())
        })
        .cloned()
        .collect()
}

fn written(snapshots: &[Snapshot]) -> String {
    let mut text = String::new();
    for one in snapshots {
        writeln!(
            text,
            "{}\t{}\t{}\t{}",
            one.name, one.seconds, one.holds, one.clone
        )
        .expect("a string takes all text");
    }
    text
}

fn read_back(text: &str) -> Vec<Snapshot> {
    text.lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            Snapshot {
                name: fields[0].to_owned(),
                seconds: fields[1].parse().expect("a time"),
                holds: fields[2].parse().expect("a number"),
                clone: fields[3].to_owned(),
            }
        })
        .collect()
}

/// A history of one dataset, oldest first, up to `now`.
fn history(random: &mut Random, dataset: &str, now: i64) -> Vec<Snapshot> {
    let mut all = Vec::new();
    let mut seconds = now - 1;
    for _ in 0..random.below(22) {
        // From minutes to months apart.
        let spans = [40, 700, 3_600, 20_000, 86_400, 400_000, 3_000_000];
        let span = spans[usize::try_from(random.below(7)).expect("small")];
        seconds -= 1 + i64::try_from(random.below(span)).expect("small");
        let name = match random.below(12) {
            0 => format!("auto-monthly-{}", stamp(seconds)),
            1 => "by hand ".to_owned() + &seconds.to_string(),
            2 => format!("autosnap_{seconds}_daily"),
            3 => format!("auto-{}x", stamp(seconds)),
            4 => format!("xauto-{}", stamp(seconds)),
            _ => format!("auto-{}", stamp(seconds)),
        };
        all.push(Snapshot {
            name: format!("{dataset}@{name}"),
            seconds,
            holds: if random.one_in(8) {
                1 + random.below(2)
            } else {
                0
            },
            clone: if random.one_in(10) {
                "tank/clone".to_owned()
            } else {
                String::new()
            },
        });
    }
    all.reverse();
    all
}

fn rules(random: &mut Random) -> Vec<(&'static str, usize)> {
    let mut rules = Vec::new();
    for rule in RULES {
        if random.one_in(2) {
            rules.push((rule, usize::try_from(random.below(6)).expect("small")));
        }
    }
    if rules.is_empty() {
        rules.push(("last", 0));
    }
    rules
}

fn keep_options(rules: &[(&str, usize)]) -> Vec<String> {
    rules
        .iter()
        .flat_map(|(rule, most)| ["--keep".to_owned(), format!("{rule}={most}")])
        .collect()
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn hundreds_of_histories_are_pruned_as_an_independent_model_says() {
    let mut random = Random(1);
    let host = Host::new();
    let (mut pruned, mut left) = (0, 0);
    for round in 0..250 {
        let now = 1_700_000_000 + i64::try_from(random.below(200_000_000)).expect("small");
        let recursive = random.one_in(2);
        let datasets: &[&str] = if recursive {
            &["tank/a", "tank/a/b"]
        } else {
            &["tank/a"]
        };
        let before: Vec<Vec<Snapshot>> = ["tank/a", "tank/a/b"]
            .iter()
            .map(|dataset| history(&mut random, dataset, now))
            .collect();
        let rules = rules(&mut random);
        let only = random.one_in(3);
        host.write("now", &format!("{now}\n"));
        host.write("snapshots", &written(&before.concat()));

        let options = keep_options(&rules);
        let mut args: Vec<&str> = vec!["--yes", "--name", "auto"];
        args.extend(options.iter().map(String::as_str));
        if recursive {
            args.push("--recursive");
        }
        if only {
            args.push("--prune-only");
        }
        args.extend(["--", "tank/a"]);
        host.ends(0, "zfs-snapshot", &args);

        let mut expected = Vec::new();
        for (dataset, mut all) in ["tank/a", "tank/a/b"].into_iter().zip(before.clone()) {
            if datasets.contains(&dataset) {
                if !only {
                    all.push(Snapshot {
                        name: format!("{dataset}@auto-{}", stamp(now + 1)),
                        seconds: now + 1,
                        holds: 0,
                        clone: String::new(),
                    });
                }
                let kept = stays("auto", &all, &rules);
                pruned += all.len() - kept.len();
                left += kept.len();
                expected.extend(kept);
            } else {
                expected.extend(all);
            }
        }
        let mut got = read_back(&host.read("snapshots"));
        got.sort();
        expected.sort();
        assert_eq!(got, expected, "round {round}: {rules:?}");
    }
    // A test that prunes nothing, or all, would prove nothing.
    assert!(pruned > 300 && left > 300, "{pruned} pruned, {left} left");
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_run_that_is_killed_at_any_call_is_finished_by_the_next_one() {
    let mut random = Random(7);
    let rules = [("hourly", 2), ("daily", 3)];
    let options = keep_options(&rules);
    let mut args: Vec<&str> = vec!["--name", "auto", "--recursive"];
    args.extend(options.iter().map(String::as_str));
    args.extend(["--", "tank/a"]);
    let now = 1_780_000_000;
    let before: Vec<Snapshot> = ["tank/a", "tank/a/b"]
        .iter()
        .flat_map(|dataset| history(&mut random, dataset, now))
        .collect();
    let host = Host::new();
    let mut killed = 0;
    for call in 1.. {
        host.write("now", &format!("{now}\n"));
        host.write("snapshots", &written(&before));
        host.write("kill", &call.to_string());
        let said = host.run("zfs-snapshot", &args);
        fs::remove_file(host.path("kill")).expect("it is there");
        if said.status.is_some() {
            assert_eq!(said.status, Some(0), "{}", said.err);
            break;
        }
        killed += 1;
        let after = read_back(&host.read("snapshots"));
        // Nothing went that the policy would have kept, were it finished.
        host.ends(0, "zfs-snapshot", &args);
        let end = read_back(&host.read("snapshots"));
        for dataset in ["tank/a@", "tank/a/b@"] {
            let mut all: Vec<Snapshot> = before
                .iter()
                .chain(after.iter().chain(&end).filter(|one| one.seconds >= now))
                .filter(|one| one.name.starts_with(dataset))
                .cloned()
                .collect();
            all.sort_by_key(|one| one.seconds);
            all.dedup();
            let mut expected = stays("auto", &all, &rules);
            let mut got: Vec<Snapshot> = end
                .iter()
                .filter(|one| one.name.starts_with(dataset))
                .cloned()
                .collect();
            expected.sort();
            got.sort();
            assert_eq!(got, expected, "killed at call {call}");
        }
    }
    assert!(killed > 8, "{killed}");
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn one_that_does_not_go_does_not_stop_the_others() {
    let host = Host::new();
    let mut listed = String::new();
    for day in 1..=6 {
        writeln!(
            listed,
            "tank/a@auto-2025-01-0{day}T000000Z\t{}\t0\t",
            1_735_689_600 + day * 86_400
        )
        .expect("a string takes all text");
    }
    let args = [
        "--name",
        "auto",
        "--keep",
        "last=2",
        "--prune-only",
        "tank/a",
        "tank/none",
        "gone/x",
    ];
    host.write("snapshots", &listed);
    host.breaks(
        "zfs destroy -- tank/a@auto-2025-01-02",
        1,
        "cannot destroy snapshot tank/a@auto-2025-01-02T000000Z: dataset is busy",
    );
    let said = host.ends(1, "zfs-snapshot", &args);
    assert!(said.err.contains("dataset is busy"), "{}", said.err);
    assert!(
        said.err.contains("tank/none: cannot open 'tank/none'"),
        "{}",
        said.err
    );
    assert!(said.err.contains("there is no pool gone"), "{}", said.err);
    assert!(
        said.err
            .contains("failed: destroyed: 3, left since in use: 1"),
        "{}",
        said.err
    );
    // Busy alone is no failure.
    host.write("snapshots", &listed);
    host.ends(0, "zfs-snapshot", &args[..6]);
    // Any other reason is.
    host.write("snapshots", &listed);
    host.write("fail", "");
    host.breaks(
        "zfs destroy -- tank/a@auto-2025-01-01",
        1,
        "cannot destroy: I/O error",
    );
    host.ends(1, "zfs-snapshot", &args[..6]);
    assert_eq!(host.calls("zfs destroy").len(), 4);
    // A pool that hangs is not touched.
    host.write("pools", "tank SUSPENDED\n");
    let said = host.ends(1, "zfs-snapshot", &args[..6]);
    assert!(said.err.contains("tank is SUSPENDED"), "{}", said.err);
    assert!(host.calls("zfs ").is_empty());
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_volume_without_room_does_not_keep_the_others_from_their_snapshots() {
    let host = Host::new();
    host.write("out-of-room", "tank/a/b\n");
    let said = host.ends(
        1,
        "zfs-snapshot",
        &[
            "--name",
            "auto",
            "--recursive",
            "--keep",
            "last=9",
            "tank/a",
        ],
    );
    assert!(
        said.err
            .contains("tank/a/b: no snapshot: cannot create snapshot"),
        "{}",
        said.err
    );
    assert!(said.err.contains("out of space"), "{}", said.err);
    let made = read_back(&host.read("snapshots"));
    assert_eq!(made.len(), 1);
    assert!(made[0].name.starts_with("tank/a@auto-"));
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn wrong_names_and_rules_are_refused_before_anything_is_done() {
    let host = Host::new();
    for name in ["", "-r", "a b", "a@b", "a/b", "*", "$(reboot)"] {
        host.ends(2, "zfs-snapshot", &["--name", name, "tank/a"]);
    }
    for rule in [
        "",
        "daily",
        "daily=",
        "daily=x",
        "sometimes=3",
        "daily=-1",
        "daily=01",
    ] {
        host.ends(
            2,
            "zfs-snapshot",
            &["--name", "auto", "--keep", rule, "tank/a"],
        );
    }
    host.ends(2, "zfs-snapshot", &["--name", "auto"]);
    assert_eq!(host.read("log"), "");
}

// ---------------------------------------------------------------- scrub, trim

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_scrub_or_trim_that_runs_already_is_fine_and_the_rest_is_told() {
    let host = Host::new();
    host.breaks(
        "zpool scrub -- rpool",
        1,
        "cannot scrub rpool: currently scrubbing; use 'zpool scrub -s' to cancel scrub",
    );
    let said = host.ends(0, "zfs-scrub", &["--wait", "rpool", "tank"]);
    assert!(
        said.out
            .contains("done: running already: 1, scrubs started: 1, without a fault: 2"),
        "{}",
        said.out
    );
    assert_eq!(
        host.calls("zpool wait"),
        [
            "zpool wait -t scrub -- rpool",
            "zpool wait -t scrub -- tank"
        ]
    );
    host.write("fail", "");
    host.breaks(
        "zpool scrub -- tank",
        1,
        "cannot scrub tank: currently resilvering",
    );
    let said = host.ends(4, "zfs-scrub", &["rpool", "tank"]);
    assert!(said.err.contains("tank: it resilvers"), "{}", said.err);
    assert_eq!(host.calls("zpool scrub").len(), 2);
    host.write("unhealthy-rpool", "  pool: rpool\n state: DEGRADED\nstatus: One or more devices. And more.\n  scan: x\nerrors: No known data errors\n");
    let said = host.ends(5, "zfs-scrub", &["--wait", "rpool"]);
    assert!(
        said.err
            .contains("rpool: state: DEGRADED; status: One or more devices"),
        "{}",
        said.err
    );
    host.ends(1, "zfs-scrub", &["nosuch", "rpool"]);
    host.write("pools", "rpool SUSPENDED\n");
    let said = host.ends(1, "zfs-scrub", &["rpool"]);
    assert!(
        said.err.contains("the pool rpool is SUSPENDED"),
        "{}",
        said.err
    );

    let host = Host::new();
    host.breaks(
        "zpool trim -- rpool",
        255,
        "cannot trim 'nvme-A-part1': currently trimming",
    );
    host.breaks(
        "zpool trim -- tank",
        255,
        "cannot trim: no devices in pool support trim operations",
    );
    let said = host.ends(0, "zfs-trim", &["rpool", "tank"]);
    assert!(
        said.out
            .contains("running already: 1, cannot be trimmed: 1"),
        "{}",
        said.out
    );
    host.write("fail", "");
    host.breaks("zpool trim", 255, "cannot trim: something else");
    let said = host.ends(1, "zfs-trim", &["rpool", "nosuch"]);
    assert!(
        said.err.contains("rpool: cannot trim: something else"),
        "{}",
        said.err
    );
    assert!(said.err.contains("there is no pool nosuch"), "{}", said.err);
}

// ---------------------------------------------------------------- disks

pub(crate) const HEALTHY: &str = r#"{"device":{"protocol":"ATA"},"smartctl":{"exit_status":0},"smart_status":{"passed":true},
"ata_smart_data":{"self_test":{"status":{"value":0,"passed":true}},"capabilities":{"self_tests_supported":true}},
"ata_smart_self_test_log":{"standard":{"table":[{"status":{"value":0,"string":"Completed without error","passed":true}}]}}}"#;

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_disk_says_how_it_is_before_it_tests_itself() {
    let host = Host::new();
    let nvme = r#"{"device":{"protocol":"NVMe"},"smartctl":{"exit_status":0},"smart_status":{"passed":true},
        "nvme_self_test_log":{"current_self_test_operation":{"value":0},"table":[{"self_test_result":{"value":VALUE,"string":"Completed: failed segments"}}]}}"#;
    for (answer, status, says, tests) in [
        (HEALTHY.to_owned(), 0, "short tests started: 1", true),
        (HEALTHY.replace("\"value\":0,\"passed\":true}},\"cap", "\"value\":249}},\"cap"), 0, "tests itself already", false),
        (HEALTHY.replace("{\"passed\":true},\n", "{\"passed\":false},\n"), 5, "failing", true),
        (HEALTHY.replace("Completed without error\",\"passed\":true", "Completed: read failure\",\"passed\":false"), 5, "its last test failed: Completed: read failure", true),
        (HEALTHY.replace("supported\":true", "supported\":false"), 0, "no self-tests", false),
        (nvme.replace("VALUE", "0"), 0, "tests started", true),
        (nvme.replace("VALUE", "7"), 5, "failed segments", true),
        (nvme.replace("VALUE", "1"), 0, "tests started", true),
        (nvme.replace("operation\":{\"value\":0", "operation\":{\"value\":2").replace("VALUE", "0"), 0, "tests itself already", false),
        (r#"{"device":{"protocol":"SCSI"},"scsi_self_test_0":{"result":{"value":3,"string":"Failed in segment"}}}"#.to_owned(), 5, "Failed in segment", true),
        (r#"{"smartctl":{"exit_status":2,"messages":[{"string":"Unable to detect device type"}]}}"#.to_owned(), 1, "Unable to detect device type", false),
        ("no JSON".to_owned(), 1, "no answer", false),
    ] {
        host.write("disk", "");
        host.write("smart-disk", &answer);
        let disk = host.path("disk").display().to_string();
        let said = host.ends(status, "smart-test", &["--kind", "short", "--", &disk]);
        assert!(said.out.contains(says) || said.err.contains(says), "{says}:\n{}\n{}", said.out, said.err);
        assert_eq!(!host.calls("smartctl --test=short").is_empty(), tests, "{says}");
    }
    // A SCSI disk says so only when it is asked to.
    host.write("smart-disk", r#"{"device":{"protocol":"SCSI"}}"#);
    host.breaks(
        "smartctl --test",
        4,
        "Short offline self test failed [unsupported scsi opcode]",
    );
    let disk = host.path("disk").display().to_string();
    let said = host.ends(0, "smart-test", &[&disk]);
    assert!(said.out.contains("without self-tests: 1"), "{}", said.out);
    let said = host.ends(1, "smart-test", &["/dev/disk/by-id/none"]);
    assert!(said.err.contains("there is no disk /dev/disk/by-id/none"));
    host.ends(2, "smart-test", &["--kind", "medium", "/dev/sda"]);
}

// ---------------------------------------------------------------- updates

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn an_update_looks_before_it_changes_anything() {
    let host = Host::new();
    host.write("apt-simulated", "Inst bash [5.1] (5.2 Debian)\nInst proxmox-kernel-6.8.12-5-pve (1 x)\nRemv libold [1]\nConf bash\n");
    let said = host.ends(0, "proxmox-update", &["--yes"]);
    assert!(
        said.out
            .contains("packages to upgrade or install: bash proxmox-kernel-6.8.12-5-pve"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("packages to remove: libold"),
        "{}",
        said.out
    );
    assert!(
        said.out
            .contains("done: packages upgraded or installed: 2, packages removed: 1"),
        "{}",
        said.out
    );
    let calls = host.calls("apt-get");
    for option in [
        "DPkg::Lock::Timeout=600",
        "--force-confdef",
        "--force-confold",
    ] {
        assert!(calls.iter().all(|call| call.contains(option)), "{calls:#?}");
    }
    assert!(
        calls[0].ends_with("-o APT::Update::Error-Mode=any update"),
        "{calls:#?}"
    );
    assert!(calls[2].ends_with(" -s dist-upgrade"), "{calls:#?}");
    assert!(calls[3].ends_with(" -y dist-upgrade"), "{calls:#?}");
    let said = host.ends(0, "proxmox-update", &["--yes"]);
    assert!(
        said.out.contains("every package is up to date"),
        "{}",
        said.out
    );
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn an_update_that_would_do_harm_is_refused() {
    let upgraded = |host: &Host| host.read("log").contains("-y dist-upgrade");
    // The network is down.
    let host = Host::new();
    host.breaks("apt-get -q -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o APT::Update::Error-Mode=any update", 100,
        "E: Failed to fetch http://download.proxmox.com/debian/pve  Could not resolve 'download.proxmox.com'");
    let said = host.ends(1, "proxmox-update", &["--yes"]);
    assert!(
        said.err
            .contains("Could not resolve 'download.proxmox.com'"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("the package lists cannot be read"),
        "{}",
        said.err
    );
    assert!(!upgraded(&host));
    // Somebody else is at it.
    let host = Host::new();
    host.breaks(
        "apt-get",
        100,
        "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 42 (apt)",
    );
    let said = host.ends(4, "proxmox-update", &["--yes", "--lock-timeout", "0"]);
    assert!(said.err.contains("held by process 42"), "{}", said.err);
    // No repository of Proxmox VE.
    let host = Host::new();
    host.write("components", "main\ncontrib\n");
    let said = host.ends(3, "proxmox-update", &["--yes"]);
    assert!(
        said.err.contains("no repository of Proxmox VE"),
        "{}",
        said.err
    );
    assert!(!upgraded(&host));
    // Proxmox VE would go.
    let host = Host::new();
    host.write(
        "apt-simulated",
        "Inst bash [5.1] (5.2 Debian)\nRemv proxmox-ve [8.0]\nRemv qemu-server [8.0]\n",
    );
    let said = host.ends(3, "proxmox-update", &["--yes"]);
    assert!(
        said.err.contains("would remove proxmox-ve qemu-server"),
        "{}",
        said.err
    );
    assert!(!upgraded(&host));
    // An upgrade that fails is told, and the next run goes on.
    let host = Host::new();
    host.write("apt-simulated", "Inst bash [5.1] (5.2 Debian)\n");
    host.write(
        "cut-off",
        "The following packages are only half configured\n",
    );
    let said = host.ends(0, "proxmox-update", &["--yes"]);
    assert!(said.out.contains("finished first"), "{}", said.out);
    let log = host.read("log");
    assert!(
        log.find("--configure -a").expect("it is finished")
            < log.find("-y dist-upgrade").expect("it upgrades"),
        "{log}"
    );
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn an_update_that_is_killed_at_any_call_is_finished_by_the_next_one() {
    let mut killed = 0;
    for call in 1.. {
        let host = Host::new();
        host.write("apt-simulated", "Inst bash [5.1] (5.2 Debian)\n");
        host.write("root/run/reboot-required", "");
        host.write(
            "guests-qemu",
            r#"[{"vmid":100,"name":"a","status":"running"}]"#,
        );
        host.write("kill", &call.to_string());
        let args = ["--yes", "--reboot", "if-needed"];
        let said = host.run("proxmox-update", &args);
        fs::remove_file(host.path("kill")).expect("it is there");
        if said.status.is_some() {
            break;
        }
        killed += 1;
        host.ends(0, "proxmox-update", &args);
        assert!(
            !host.path("apt-simulated").exists(),
            "killed at call {call}"
        );
        assert_eq!(
            host.calls("systemctl reboot").len(),
            1,
            "killed at call {call}"
        );
    }
    assert!(killed > 6, "{killed}");
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_host_restarts_only_where_it_is_due_allowed_and_every_guest_is_down() {
    let host = Host::new();
    for kernel in ["6.8.12-4-pve", "6.8.12-10-pve"] {
        host.write(&format!("root/boot/vmlinuz-{kernel}"), "");
    }
    host.write("guests-qemu", r#"[{"vmid":101,"name":"b","status":"running"},{"vmid":100,"name":"a","status":"stopped"}]"#);
    let said = host.ends(5, "proxmox-update", &["--yes"]);
    assert!(
        said.err.contains(
            "a restart is due: it runs the kernel 6.8.12-4-pve and would start 6.8.12-10-pve"
        ),
        "{}",
        said.err
    );
    assert!(host.calls("systemctl reboot").is_empty());

    let restart = ["--yes", "--reboot", "if-needed"];
    // One that does not stop keeps the host running, and the others come back.
    host.write("stubborn", "");
    let said = host.ends(1, "proxmox-update", &restart);
    assert!(
        said.err.contains("no restart: guest 101 (b) does not stop"),
        "{}",
        said.err
    );
    assert!(host.calls("systemctl reboot").is_empty());
    assert_eq!(
        host.calls("pvesh create"),
        [
            "pvesh create /nodes/pve1/stopall --force-stop 0 --timeout 180",
            "pvesh create /nodes/pve1/startall --force 1 --vms 101"
        ]
    );
    fs::remove_file(host.path("stubborn")).expect("it is there");
    // One that is backed up is left to it.
    let running = host.read("guests-qemu");
    host.write(
        "guests-lxc",
        r#"[{"vmid":110,"name":"c","status":"running","lock":"backup"}]"#,
    );
    let said = host.ends(4, "proxmox-update", &restart);
    assert!(
        said.err.contains("guest 110 (c) is in use (backup)"),
        "{}",
        said.err
    );
    assert!(host.calls("pvesh create").is_empty());
    fs::remove_file(host.path("guests-lxc")).expect("it is there");
    // A dead pvesh is no leave to restart.
    host.breaks("pvesh get", 255, "ipcc_send_rec failed: Connection refused");
    host.ends(1, "proxmox-update", &restart);
    assert!(host.calls("systemctl reboot").is_empty());
    host.write("fail", "");
    host.write("guests-qemu", &running);
    let said = host.ends(0, "proxmox-update", &restart);
    assert!(said.out.contains("restarts: 1"), "{}", said.out);
    let log = host.read("log");
    assert!(
        log.find("stopall").expect("guests stop")
            < log.find("systemctl reboot").expect("it restarts"),
        "{log}"
    );
    assert!(!log.contains("startall"), "{log}");
    // A pinned kernel is the one that starts.
    host.write("root/etc/kernel/proxmox-boot-pin", "6.8.12-4-pve\n");
    host.ends(0, "proxmox-update", &["--yes"]);
}

// ---------------------------------------------------------------- maintenance

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn old_kernels_go_and_the_running_the_newest_and_pinned_ones_stay() {
    let host = Host::new();
    host.write("packages", "installed proxmox-kernel-6.8\ninstalled proxmox-kernel-6.8.4-2-pve-signed\ninstalled proxmox-kernel-6.8.8-1-pve\n\
        installed proxmox-kernel-6.8.12-4-pve-signed\ninstalled proxmox-kernel-6.8.12-9-pve-signed\ninstalled proxmox-kernel-6.8.12-10-pve-signed\n\
        config-files pve-kernel-5.15.30-1-pve\ninstalled pve-kernel-5.15.74-1-pve\ninstalled proxmox-kernel-helper\n");
    host.write("root/etc/kernel/proxmox-boot-pin", "6.8.8-1-pve\n");
    let said = host.ends(0, "proxmox-maintenance", &["--yes"]);
    let removed = "remove -- proxmox-kernel-6.8.4-2-pve-signed pve-kernel-5.15.74-1-pve";
    assert!(
        host.read("log")
            .contains(&format!("-y -o DPkg::Lock::Timeout=600 {removed}")),
        "{}",
        host.read("log")
    );
    assert!(
        said.out.contains("kernel packages removed: 2"),
        "{}",
        said.out
    );
    // Where something else would go with them, they stay.
    host.write(
        "apt-remove-simulated",
        "Remv proxmox-kernel-6.8.4-2-pve-signed [1]\nRemv proxmox-ve [8]\n",
    );
    let said = host.ends(5, "proxmox-maintenance", &["--yes"]);
    assert!(
        said.err.contains("proxmox-ve would go with them"),
        "{}",
        said.err
    );
    assert!(
        !host.read("log").contains("-y -o DPkg"),
        "{}",
        host.read("log")
    );
    host.ends(0, "proxmox-maintenance", &["--yes", "--report-only"]);
    assert!(host.calls("apt-get").is_empty() && host.calls("journalctl").is_empty());
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn what_wants_a_look_is_told_and_has_a_status() {
    let host = Host::new();
    host.write(
        "pools-listed",
        "rpool\tONLINE\t40\t3\ntank\tDEGRADED\t91\t12\n",
    );
    host.write(
        "unhealthy-tank",
        "  pool: tank\n state: DEGRADED\nstatus: One or more devices is offline.\n",
    );
    host.write("smart-scan", r#"{"devices":[{"name":"/dev/sda","type":"sat"},{"name":"/dev/nvme0","type":"nvme"},{"name":"/dev/sdb","type":"sat"}]}"#);
    host.write("smart-sda", r#"{"smart_status":{"passed":true},"model_name":"X","ata_smart_attributes":{"table":[{"id":5,"raw":{"value":3}},{"id":197,"raw":{"value":1}}]}}"#);
    host.write("smart-nvme0", r#"{"smart_status":{"passed":true},"nvme_smart_health_information_log":{"percentage_used":95,"media_errors":0}}"#);
    host.write("smart-sdb", r#"{"smart_status":{"passed":false}}"#);
    host.write("mounted", r#"{"filesystems":[{"target":"/","fstype":"ext4","size":1000,"used":900},{"target":"/boot/efi","fstype":"vfat","size":1000,"used":10},{"target":"/tank","fstype":"zfs","size":10,"used":10}]}"#);
    host.write("root/run/reboot-required", "");
    let said = host.ends(5, "proxmox-maintenance", &["--report-only"]);
    for told in [
        "pool tank is DEGRADED",
        "pool tank is 91 % full",
        "pool tank: One or more devices is offline.",
        "disk /dev/sda: 4 bad sectors",
        "disk /dev/nvme0: 95 % of its life is used up",
        "disk /dev/sdb: it says itself that it is failing",
        "file system / is 90 % full",
        "a restart is due",
    ] {
        assert!(said.err.contains(told), "{told}:\n{}", said.err);
    }
    assert!(
        !said.err.contains("rpool") && !said.err.contains("/boot/efi"),
        "{}",
        said.err
    );
    // The same, for programs.
    let said = host.ends(5, "proxmox-maintenance", &["--report-only", "--json"]);
    let logged = lines(&said);
    let summary = logged.last().expect("a summary");
    assert_eq!(summary["problems"].as_array().map(Vec::len), Some(8));
    assert!(
        logged
            .iter()
            .any(|line| line["pool"] == "tank" && line["health"] == "DEGRADED")
    );
    // With zpool's own JSON (2.3), more is known.
    host.write("pools-listed", "tank\tONLINE\t10\t3\n");
    host.write("status-json", r#"{"pools":{"tank":{"name":"tank","error_count":2,"scan_stats":{"function":"SCRUB","end_time":1700000000},
        "vdevs":{"tank":{"name":"tank","vdevs":{"mirror-0":{"name":"mirror-0","vdevs":{"ata-A":{"name":"ata-A","read_errors":1,"write_errors":0,"checksum_errors":2},"ata-B":{"name":"ata-B"}}}}}}}}}"#);
    let said = host.ends(5, "proxmox-maintenance", &["--report-only"]);
    for told in [
        "pool tank: 2 files or blocks are damaged",
        "pool tank: ata-A had 3 errors",
    ] {
        assert!(said.err.contains(told), "{told}:\n{}", said.err);
    }
    // The script goes by the clock of the machine, and a day may end meanwhile.
    let since = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let days = since.elapsed().expect("it is past 2023").as_secs() / 86_400;
    let scrub = |days: u64| format!("pool tank: the last scrub was {days} days ago");
    assert!(
        [days - 1, days]
            .into_iter()
            .any(|days| said.err.contains(&scrub(days))),
        "{days}:\n{}",
        said.err
    );
}

// ---------------------------------------------------------------- mail

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_failure_is_mailed_and_a_missing_mail_program_is_none() {
    let host = Host::new();
    host.ends(
        0,
        "moxc-notify",
        &["--to", "admin@home.arpa", "moxc-scrub.service"],
    );
    let mail = host.read("mail");
    assert!(
        mail.starts_with("To: admin@home.arpa\nSubject: pve1: moxc-scrub.service failed\n"),
        "{mail}"
    );
    assert!(
        mail.contains("\n\npve1: moxc-scrub.service failed.\n")
            && mail.contains("what the journal says"),
        "{mail}"
    );
    // No header comes in by a name.
    host.ends(2, "moxc-notify", &["--to", "a@b\nBcc: c@d", "x.service"]);
    host.breaks("sendmail", 75, "sendmail: deferred");
    let said = host.ends(0, "moxc-notify", &["--to", "a@b", "x.service"]);
    assert!(said.err.contains("was not taken"), "{}", said.err);
    let said = host.ends(0, "moxc-notify", &["x.service"]);
    assert!(said.err.contains("nobody is to be told"), "{}", said.err);
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_failure_is_told_by_a_command_of_the_users() {
    let host = Host::new();
    let told = host.path("told");
    let command = host.path("tell");
    fs::write(
        &command,
        format!("#!/bin/sh\n{{ echo \"$1\"; cat; }} >{}\n", told.display()),
    )
    .expect("a file");
    fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).expect("a mode");
    let command = command.to_str().expect("UTF-8");
    host.ends(0, "moxc-notify", &["--command", command, "x.service"]);
    let text = fs::read_to_string(&told).expect("the message");
    assert!(
        text.starts_with("pve1: x.service failed\npve1: x.service failed.\n"),
        "{text}"
    );
    // What cannot be run is told, and is no failure of the unit.
    let said = host.ends(
        0,
        "moxc-notify",
        &["--command", "/nonexistent", "x.service"],
    );
    assert!(
        said.err.contains("did not take the message"),
        "{}",
        said.err
    );
}

// ---------------------------------------------------------------- units

/// The units of the reference host, with the tools beside them instead of in the system.
fn units() -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = fs::read_to_string(tests().join("../examples/homelab.toml")).expect("a spec")
        + "\n[schedules.trim]\ntask = \"zfs-trim\"\non = \"weekly\"\n";
    crate::system::tree(&spec, folder.path());
    let tools = folder
        .path()
        .join("proxmox/usr/local/sbin/")
        .display()
        .to_string();
    let mut units = Vec::new();
    for entry in fs::read_dir(folder.path().join("proxmox/etc/systemd/system")).expect("units") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a unit");
        fs::write(&path, text.replace("/usr/local/sbin/", &tools)).expect("a file");
        units.push(path);
    }
    units.sort();
    (folder, units)
}

#[test]
#[ignore = "needs systemd-analyze; run by tests/run"]
fn systemd_understands_every_unit() {
    let (_folder, units) = units();
    assert!(units.len() > 10);
    let said: Said = Command::new("systemd-analyze")
        .arg("verify")
        .args(&units)
        .output()
        .expect("it starts")
        .into();
    assert_eq!(said.err, "");
    assert_eq!(said.status, Some(0));
}

#[test]
#[ignore = "needs systemd-analyze; run by tests/run"]
fn services_are_locked_in_as_far_as_their_work_allows() {
    let (_folder, units) = units();
    let mut looked_at = 0;
    for unit in units
        .iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "service"))
    {
        let name = unit.file_name().expect("a name").to_string_lossy();
        // In tenths of the exposure; 100 is none at all. What upgrades packages or starts guests cannot be locked in:
        // what it starts would inherit the locks.
        let most = match name.as_ref() {
            "moxc-host-update.service"
            | "moxc-host-maintenance.service"
            | "moxc-rehearsal.service"
            | "moxc-windows-update.service"
            | "moxc-windows-update-check.service" => 100,
            "moxc-failure@.service" => 40,
            _ => 15,
        };
        let said: Said = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager"])
            .arg(format!("--threshold={most}"))
            .arg(unit)
            .output()
            .expect("it starts")
            .into();
        assert_eq!(said.status, Some(0), "{name}: {}\n{}", said.out, said.err);
        assert!(said.out.contains("Overall exposure level"), "{}", said.out);
        looked_at += 1;
    }
    assert!(looked_at >= 7, "{looked_at}");
}

#[test]
fn a_schedule_that_is_off_has_no_timer_and_no_schedule_no_units() {
    let spec = fs::read_to_string(tests().join("../examples/homelab.toml")).expect("a spec");
    let folder = tempfile::tempdir().expect("a folder");
    let off = spec.replace(
        "task  = \"zfs-scrub\"\n",
        "task  = \"zfs-scrub\"\nenabled = false\n",
    );
    assert_ne!(off, spec);
    crate::system::tree(&off, folder.path());
    let units = folder.path().join("proxmox/etc/systemd/system");
    assert!(units.join("moxc-scrub.service").exists());
    assert!(!units.join("moxc-scrub.timer").exists());
    assert!(units.join("moxc-snapshots.timer").exists());
    // A failure is told once: what tells it has nobody to tell of its own.
    let read = |name: &str| fs::read_to_string(units.join(name)).expect("a unit");
    assert!(read("moxc-scrub.service").contains("\nOnFailure=moxc-failure@%n.service\n"));
    assert!(!read("moxc-failure@.service").contains("OnFailure"));
    let mode = fs::metadata(folder.path().join("proxmox/usr/local/sbin/zfs-scrub"))
        .expect("a tool")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn a_step_in_which_systemd_gets_stuck_has_its_end_written() {
    let spec = fs::read_to_string(tests().join("../examples/homelab.toml"))
        .expect("a spec")
        .replace("on       = \"hourly\"", "on       = \"*:0/7\"");
    let folder = tempfile::tempdir().expect("a folder");
    crate::system::tree(&spec, folder.path());
    let timer = fs::read_to_string(
        folder
            .path()
            .join("proxmox/etc/systemd/system/moxc-snapshots.timer"),
    )
    .expect("a timer");
    assert!(
        timer.contains("\nOnCalendar=*-*-* *:00..56/7:00\n"),
        "{timer}"
    );
}
