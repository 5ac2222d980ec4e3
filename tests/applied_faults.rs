//! A run of `apply.sh` that goes wrong: at each of its commands by a failure, by a kill, by a terminal that closes; on a full
//! disk; with nobody who listens. The faults follow from the commands of a whole run, so that a new one cannot be forgotten.
//!
//! The ordinary run lets the first commands of a third of their kinds fail, and ends the run at a tenth of them in each way;
//! `MOXC_FAULTS=all` tries every fault at every command.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::applied::{INSTALLED, homelab, killed};
use crate::system::{FakeHost, fine};

/// Whether every fault is tried, and not one of each kind.
fn tries_all() -> bool {
    std::env::var("MOXC_FAULTS").is_ok_and(|which| which == "all")
}

/// Every so many-th of the changing commands of a whole run, from a place on; each of them where all are tried.
fn some_commands(whole: &FakeHost, every: usize, from: usize) -> Vec<String> {
    let commands = commands(whole).into_iter().enumerate();
    commands
        .filter(|(at, _)| tries_all() || at % every == from)
        .map(|(_, command)| command)
        .collect()
}

/// The changing commands of a whole run, as they begin: each of them, or the first of each kind.
fn commands(whole: &FakeHost) -> Vec<String> {
    let mut kinds = BTreeSet::new();
    let mut commands = Vec::new();
    for call in whole.changes() {
        // Folders of a test, and the times of a run, are others in the next.
        let call: Vec<&str> = call
            .split(' ')
            .take_while(|word| !word.contains("/tmp") && !word.contains("moxc-network-2"))
            .collect();
        let kind = call[..call.len().min(2)].join(" ");
        if kinds.insert(kind) || tries_all() {
            commands.push(call.join(" "));
        }
    }
    commands.sort();
    commands.dedup();
    assert!(commands.len() > 10, "{commands:#?}");
    commands
}

fn whole_run() -> FakeHost {
    let whole = homelab();
    fine(&whole.apply(&[], ""));
    whole
}

/// The network is the one that worked or the one that was confirmed.
fn has_a_network(host: &FakeHost, whole: &FakeHost, at: &str) {
    let now = host.read("root/etc/network/interfaces");
    assert!(
        now == INSTALLED || now == whole.read("root/etc/network/interfaces"),
        "{at}: {now}"
    );
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
fn goes_on(host: &FakeHost, whole: &FakeHost, at: &str) {
    fine(&host.apply(&[], ""));
    assert_eq!(host.files(), whole.files(), "{at}");
    fine(&host.apply(&[], ""));
    assert_eq!(host.changes(), [""; 0], "{at}");
    waits_for_nothing(host, at);
}

#[test]
fn a_command_that_fails_is_told_and_the_next_run_finishes() {
    let whole = whole_run();
    for fail in some_commands(&whole, 3, 0) {
        let host = homelab();
        let said = host.apply(&[], &fail);
        has_a_network(&host, &whole, &fail);
        waits_for_nothing(&host, &fail);
        // What only tidies up may fail.
        if said.status == Some(0) {
            assert_eq!(host.files(), whole.files(), "{fail}");
            continue;
        }
        assert_eq!(said.status, Some(1), "{fail}:\n{}\n{}", said.out, said.err);
        assert!(said.err.contains("run it again"), "{fail}:\n{}", said.err);
        assert!(!said.err.contains("{lock_fd}"), "{fail}:\n{}", said.err);
        let program = fail.split(' ').next().expect("a program");
        let told = [
            "the new network did not come up",
            "storage/create.sh",
            program,
        ];
        assert!(
            told.iter().any(|what| said.err.contains(what)),
            "{fail}:\n{}",
            said.err
        );
        goes_on(&host, &whole, &fail);
    }
}

#[test]
fn a_run_that_is_killed_goes_on_where_it_was() {
    let whole = whole_run();
    for at in some_commands(&whole, 10, 0) {
        let host = homelab();
        assert_eq!(killed(&host, "KILL", &at), Some(137), "{at}");
        outlives(&host);
        goes_on(&host, &whole, &at);
    }
}

#[test]
fn a_connection_that_is_lost_leaves_a_network_and_the_next_run_finishes() {
    let whole = whole_run();
    for at in some_commands(&whole, 10, 3) {
        let host = homelab();
        let status = killed(&host, "HUP", &at);
        assert_ne!(status, None, "{at}");
        has_a_network(&host, &whole, &at);
        waits_for_nothing(&host, &at);
        goes_on(&host, &whole, &at);
    }
}

/// Runs the script at a terminal of its own, which closes while the fake of a command is at it.
fn loses_its_terminal(host: &FakeHost, at: &str) {
    let path = format!(
        "{}:{}",
        host.path("bin").display(),
        std::env::var("PATH").unwrap_or_default()
    );
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
    let whole = whole_run();
    for at in some_commands(&whole, 10, 6) {
        let host = homelab();
        loses_its_terminal(&host, &at);
        has_a_network(&host, &whole, &at);
        waits_for_nothing(&host, &at);
        goes_on(&host, &whole, &at);
    }
}

/// Runs the script behind `before`, a line of bash.
fn run_behind(host: &FakeHost, before: &str) -> Option<i32> {
    let path = format!(
        "{}:{}",
        host.path("bin").display(),
        std::env::var("PATH").unwrap_or_default()
    );
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
    let whole = whole_run();
    let mut failed = 0;
    // A write beyond so many KiB fails, as it does where there is no room.
    let sizes: &[u32] = if tries_all() {
        &[0, 1, 2, 4, 8, 16, 32, 64]
    } else {
        &[0, 4, 32]
    };
    for most in sizes {
        let host = homelab();
        let status = run_behind(&host, &format!("trap '' XFSZ; ulimit -f {most}"));
        has_a_network(&host, &whole, &format!("{most} KiB"));
        failed += u32::from(status != Some(0));
        goes_on(&host, &whole, &format!("{most} KiB"));
    }
    assert!(failed > 1, "{failed}");
}

#[test]
fn nobody_who_listens_is_no_reason_to_leave_half_a_network() {
    let whole = whole_run();
    for nobody in [
        "exec >&-",
        "exec 2>&-",
        "exec > >(exec sleep 0)",
        "exec > >(head -n 20)",
    ] {
        let host = homelab();
        let _ = run_behind(&host, nobody);
        has_a_network(&host, &whole, nobody);
        waits_for_nothing(&host, nobody);
        goes_on(&host, &whole, nobody);
    }
}
