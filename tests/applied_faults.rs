//! A run of `apply.sh` that goes wrong: at each of its commands by a failure, by a kill, by a terminal that closes; at any
//! place of the script itself; on a full disk; with nobody who listens. The faults follow from the commands of a whole run, so
//! that a new one cannot be forgotten.
//!
//! The ordinary run tries a few of each; `MOXC_FAULTS=all` tries every fault at every command, and says how many those were;
//! `MOXC_FAULTS='ip -o'` those of the commands that have this in them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::applied::{INSTALLED, killed};
use crate::program::Said;
use crate::system::{FakeHost, fine};

/// A host that has each kind of thing once.
const SPEC: &str = include_str!("applied/faults.toml");

/// Whether every fault is tried, and not a few of each.
pub(crate) fn tries_all() -> bool {
    std::env::var("MOXC_FAULTS").is_ok_and(|which| which == "all")
}

/// The network as the installer left it: the card has its old name.
fn installed() -> String {
    INSTALLED
        .replace("enp5s0", "eno1")
        .replace("192.168.1.", "192.168.7.")
}

/// The host before the run, and after a whole one.
struct Hosts {
    fresh: FakeHost,
    whole: FakeHost,
    state: BTreeMap<String, String>,
    commands: Vec<String>,
}

fn hosts() -> &'static Hosts {
    static HOSTS: OnceLock<Hosts> = OnceLock::new();
    HOSTS.get_or_init(|| {
        let fresh = FakeHost::new(SPEC);
        fresh.write("hostname", "edge\n");
        fresh.write("root/etc/network/interfaces", &installed());
        fresh.write("root/sys/class/net/eno1/address", "00:00:5e:00:53:41\n");
        fresh.write("root/sys/class/net/eno1/device/vendor", "");
        fresh.write("root/sys/class/net/eno1/operstate", "up\n");
        let whole = fresh.copied();
        fine(&whole.apply(&[], ""));
        let commands = commands(&whole);
        fine(&whole.apply(&[], ""));
        assert_eq!(whole.changes(), [""; 0]);
        let state = state(&whole);
        Hosts {
            fresh,
            whole,
            state,
            commands,
        }
    })
}

/// A host that nothing was done to.
pub(crate) fn fresh() -> FakeHost {
    hosts().fresh.copied()
}

/// The host after an undisturbed run.
pub(crate) fn whole() -> &'static FakeHost {
    &hosts().whole
}

/// The commands of a whole run, as they begin: those that change something, and those that are asked.
fn commands(whole: &FakeHost) -> Vec<String> {
    let mut commands = Vec::new();
    for call in whole.read("log").lines() {
        // Folders of a test, and the times of a run, are others in the next.
        let call: Vec<&str> = call
            .split(' ')
            .take_while(|word| !word.contains("/tmp") && !word.contains("moxc-network-2"))
            .collect();
        let call = call.join(" ");
        if !commands.contains(&call) {
            commands.push(call);
        }
    }
    assert!(commands.len() > 30, "{commands:#?}");
    commands
}

/// The places of a run at which a fault is tried: all of them, or one of `many` parts, from a place on.
fn places(many: usize, from: usize) -> Vec<&'static String> {
    let commands = hosts().commands.iter().enumerate();
    let every = hosts().commands.len() / many;
    let wanted = std::env::var("MOXC_FAULTS").ok();
    let is_wanted = |at: usize, command: &str| match wanted.as_deref() {
        None => at % every == from % every,
        Some("all") => true,
        Some(part) => command.contains(part),
    };
    commands
        .filter(|(at, command)| is_wanted(*at, command))
        .map(|(_, command)| command)
        .collect()
}

/// All that a later run could go by: every file with its mode, the fakes' own state included, but for what tells of the runs
/// that were.
pub(crate) fn state(host: &FakeHost) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    let mut folders = vec![host.path("root"), host.path(".")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let below = path.strip_prefix(host.path(".")).expect("below");
            let name = below.display().to_string();
            let told = ["tree", "bin", "root/var/lib/moxc/runs"];
            if told.contains(&name.as_str()) || name == "root" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if !["log", "pid", "timer", "ended"].contains(&name.as_str()) {
                let mode = fs::metadata(&path)
                    .expect("it is there")
                    .permissions()
                    .mode();
                let bytes = fs::read(&path).expect("a file");
                let mut lines: Vec<_> = String::from_utf8_lossy(&bytes)
                    .lines()
                    .map(str::to_owned)
                    .collect();
                if name == "datasets" || name == "pools" {
                    lines.sort();
                }
                state.insert(name, format!("{mode:o} {}", lines.join("\n")));
            }
        }
    }
    state
}

/// Tries a fault at each of the places, each on a host of its own, and says in the end which of them the host did not bear.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a long run says how far it is, and all how many there were"
)]
fn each<T: std::fmt::Display>(
    what: &str,
    places: impl IntoIterator<Item = T>,
    fault: impl Fn(&FakeHost, &str),
) {
    let mut tried = 0;
    let mut failed = Vec::new();
    for at in places {
        let at = at.to_string();
        let host = hosts().fresh.copied();
        let fault = std::panic::AssertUnwindSafe(|| fault(&host, &at));
        if std::panic::catch_unwind(fault).is_err() {
            failed.push(at);
        }
        tried += 1;
        if tries_all() {
            eprintln!("{what}: {tried} tried, {} not borne", failed.len());
        }
    }
    println!("{what}: {tried} tried");
    assert_eq!(failed, [""; 0], "{what}: {} of {tried}", failed.len());
    assert!(tried > 0, "{what}");
}

/// The network is the one that worked or the one that was confirmed.
fn has_a_network(host: &FakeHost, at: &str) {
    let now = host.read("root/etc/network/interfaces");
    let card = |name: &str| host.path(&format!("root/sys/class/net/{name}")).exists();
    let link = host
        .path("root/etc/systemd/network/10-enlan0.link")
        .exists();
    // The card's name, now and after a restart, is the one that the file uses.
    let is_old = now == installed() && card("eno1") && !link;
    let is_new = now == hosts().whole.read("root/etc/network/interfaces") && card("enlan0") && link;
    assert!(is_old || is_new, "{at}: {link} {now}");
    let name = if is_old { "eno1" } else { "enlan0" };
    let is = host.read(&format!("root/sys/class/net/{name}/operstate"));
    assert_eq!(is, "up\n", "{at}: {name}");
}

/// Nothing waits to take the network back.
fn waits_for_nothing(host: &FakeHost, at: &str) {
    for path in [
        "root/var/lib/moxc/network-unconfirmed",
        "root/etc/systemd/system/moxc-network-back.service",
    ] {
        assert!(!host.path(path).exists(), "{at}: {path}");
    }
}

/// Waits for what a killed run had started: it goes on by itself, and nobody starts the next run amid it.
fn outlives(host: &FakeHost) {
    let of_host = format!("FAKE={}", host.path(".").display());
    let is_at_work = || {
        let processes = std::fs::read_dir("/proc").expect("it is there").flatten();
        processes
            .filter_map(|process| std::fs::read(process.path().join("environ")).ok())
            .any(|words| {
                words
                    .split(|byte| *byte == 0)
                    .any(|word| word == of_host.as_bytes())
            })
    };
    for _ in 0..200 {
        if !is_at_work() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// The next run brings the host to where an undisturbed one had brought it, and one more has nothing to do.
fn goes_on(host: &FakeHost, at: &str) {
    let whole = &hosts().whole;
    let said = host.apply(&[], "");
    assert_eq!(said.status, Some(0), "{at}:\n{}\n{}", said.out, said.err);
    assert_eq!(host.files(), whole.files(), "{at}");
    waits_for_nothing(host, at);
    // Where nothing at all differs, the next run is the one that the undisturbed host has seen.
    if state(host) != hosts().state {
        let said = host.apply(&[], "");
        assert_eq!(said.status, Some(0), "{at}:\n{}\n{}", said.out, said.err);
        assert_eq!(host.changes(), [""; 0], "{at}");
    }
}

/// A fault before the first change: nothing was done, and the program is named.
fn says_what_was_asked(said: &Said, fail: &str) {
    let program = fail.split(' ').next().expect("a program");
    assert!(
        said.err.contains(&format!("`{program}` failed")),
        "{fail}:\n{}",
        said.err
    );
}

/// A fault without which the run would have done something else ends it with a word of what failed.
fn says_what_failed(said: &Said, fail: &str) {
    assert_eq!(said.status, Some(1), "{fail}:\n{}\n{}", said.out, said.err);
    assert!(said.err.contains("run it again"), "{fail}:\n{}", said.err);
    assert!(!said.err.contains("{lock_fd}"), "{fail}:\n{}", said.err);
    let program = fail.split(' ').next().expect("a program");
    let told = [
        "the new network did not come up",
        "storage/create.sh",
        program,
    ];
    let is_told = told.iter().any(|what| said.err.contains(what));
    assert!(is_told, "{fail}:\n{}", said.err);
}

#[test]
fn a_command_that_fails_is_told_and_the_next_run_finishes() {
    each("commands that fail", places(3, 3), |host, fail| {
        let before = host.files();
        let said = host.apply(&[], fail);
        has_a_network(host, fail);
        waits_for_nothing(host, fail);
        match said.status {
            // What only tidies up may fail, and what is asked may be answered by a no.
            Some(0) => assert_eq!(host.files(), hosts().whole.files(), "{fail}"),
            // What is asked before the first change.
            Some(3) => assert_eq!(host.files(), before, "{fail}"),
            Some(1)
                if host.files() == before
                    && !host.path("root/var/lib/moxc/unfinished").exists() =>
            {
                says_what_was_asked(&said, fail);
            }
            _ => says_what_failed(&said, fail),
        }
        goes_on(host, fail);
    });
}

#[test]
fn a_run_that_is_killed_goes_on_where_it_was() {
    each("kills at a command", places(2, 5), |host, at| {
        assert_eq!(killed(host, "KILL", at), Some(137), "{at}");
        outlives(host);
        goes_on(host, at);
    });
}

#[test]
fn a_run_that_is_killed_at_any_place_of_the_script_goes_on() {
    // The script is killed at so many-th of its own simple commands.
    let (first, every) = if tries_all() { (50, 97) } else { (1999, 4000) };
    each(
        "kills amid the script",
        (first..SIMPLE_COMMANDS).step_by(every),
        |host, at| {
            host.write("at", KILL_AT);
            let status = run_behind(
                host,
                &format!("export BASH_ENV=\"$FAKE/at\" MOXC_KILL_AT={at}"),
            );
            outlives(host);
            fs::remove_file(host.path("at")).expect("it is there");
            assert_eq!(status, None, "{at}: not killed");
            goes_on(host, at);
        },
    );
}

/// So many simple commands a whole run has, at least.
const SIMPLE_COMMANDS: usize = 8500;

/// Read by bash before a script: it counts the script's simple commands, and kills it at one.
const KILL_AT: &str = r"unset BASH_ENV
set -T
moxc_at=0
trap 'if ((BASH_SUBSHELL == 0 && ++moxc_at == MOXC_KILL_AT)); then kill -KILL $$; fi' DEBUG
";

#[test]
fn a_connection_that_is_lost_leaves_a_network_and_the_next_run_finishes() {
    each("lost connections", places(2, 9), |host, at| {
        assert_ne!(killed(host, "HUP", at), None, "{at}");
        has_a_network(host, at);
        waits_for_nothing(host, at);
        goes_on(host, at);
    });
}

/// Runs the script at a terminal of its own, which closes while the fake of a command is at it.
fn loses_its_terminal(host: &FakeHost, at: &str) {
    let path = crate::program::behind(&host.path("bin"));
    let script = host.path("tree/proxmox/apply.sh").display().to_string();
    let root = host.path("root").display().to_string();
    let ended = host.path("ended").display().to_string();
    // `script` holds the terminal's other end: it is what the fake kills.
    let inside = format!(
        "trap '' HUP; (trap - HUP; exec bash '{script}' --root '{root}' --yes); echo $? >'{ended}'"
    );
    let _ = Command::new("env")
        .args(["--default-signal", "bash"])
        .args([
            "-c",
            r#"echo $$ >"$FAKE/pid"; exec script -qec "$0" /dev/null"#,
        ])
        .arg(inside)
        .env("PATH", path)
        .env("FAKE", host.path("."))
        .env("FAKE_KILL", at)
        .env("FAKE_SIGNAL", "KILL")
        .env("SHELL", "/bin/bash")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("bash starts");
    for _ in 0..600 {
        if std::fs::read_to_string(&ended).is_ok_and(|text| text.ends_with('\n')) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{at}: the run does not end");
}

#[test]
fn a_terminal_that_closes_leaves_a_network_and_the_next_run_finishes() {
    each("closed terminals", places(1, 21), |host, at| {
        loses_its_terminal(host, at);
        has_a_network(host, at);
        waits_for_nothing(host, at);
        goes_on(host, at);
    });
}

/// Runs the script behind `before`, a line of bash.
fn run_behind(host: &FakeHost, before: &str) -> Option<i32> {
    let path = crate::program::behind(&host.path("bin"));
    Command::new("env")
        .args(["--default-signal", "bash", "-c"])
        .arg(format!("{before}\nexec bash \"$0\" --root \"$1\" --yes"))
        .arg(host.path("tree/proxmox/apply.sh"))
        .arg(host.path("root"))
        .env("PATH", path)
        .env("FAKE", host.path("."))
        .env("FAKE_FAIL", "")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("bash starts")
        .code()
}

#[test]
fn a_disk_that_is_full_leaves_a_host_that_the_next_run_finishes() {
    // A write beyond so many KiB fails, as it does where there is no room.
    let sizes: Vec<u32> = if tries_all() {
        (0..=20).chain([24, 28, 32, 40, 48, 64, 96]).collect()
    } else {
        vec![1, 24]
    };
    each("full disks", sizes, |host, most| {
        let status = run_behind(host, &format!("trap '' XFSZ; ulimit -f {most}"));
        assert!(
            status != Some(0) || host.files() == hosts().whole.files(),
            "{most}"
        );
        has_a_network(host, most);
        waits_for_nothing(host, most);
        goes_on(host, most);
    });
}

#[test]
fn nobody_who_listens_is_no_reason_to_leave_half_a_network() {
    let ways = [
        "exec > >(head -n 20)",
        "exec 2>&-",
        "exec >&-",
        "exec > >(exec sleep 0)",
    ];
    let many = if tries_all() { ways.len() } else { 1 };
    each("runs without a listener", &ways[..many], |host, nobody| {
        let _ = run_behind(host, nobody);
        has_a_network(host, nobody);
        waits_for_nothing(host, nobody);
        goes_on(host, nobody);
    });
}
