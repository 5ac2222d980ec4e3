//! The steps of a run by themselves: chosen, left out, only looked at; and a run that a person sits before.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use crate::applied::{LIVE, moxc, reachable};
use crate::applied_faults::{fresh, state, tries_all, whole};
use crate::program::Said;
use crate::system::{FakeHost, fine};

/// The names of the steps of a host's script, groups first, as it tells them.
fn steps(host: &FakeHost) -> Vec<String> {
    let said = host.apply(&["--dry-run", "--only", "nothing-of-that-name"], "");
    assert_eq!(said.status, Some(2), "{}\n{}", said.out, said.err);
    let (_, names) = said
        .err
        .trim_end()
        .trim_end_matches("(see --help)")
        .split_once("the steps here are: ")
        .unwrap_or_else(|| panic!("{}", said.err));
    names.split_whitespace().map(str::to_owned).collect()
}

/// So that one of them is looked at: what the host has, and what its fakes know.
fn everything(host: &FakeHost) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    (host.files(), state(host))
}

#[test]
fn a_look_at_any_of_the_steps_writes_nothing() {
    let host = fresh();
    let before = everything(&host);
    let names = steps(&host);
    assert!(names.len() > 5, "{names:?}");
    for choice in ["--only", "--skip"] {
        for name in names
            .iter()
            .filter(|name| tries_all() || !name.contains('/'))
        {
            let said = host.apply(&["--dry-run", choice, name], "");
            assert!(
                matches!(said.status, Some(0 | 3)),
                "{choice} {name}: {}\n{}",
                said.out,
                said.err
            );
            assert_eq!(host.changes(), [""; 0], "{choice} {name}");
            assert_eq!(everything(&host), before, "{choice} {name}");
            assert!(
                !host.path("root/var/lib/moxc/runs").exists(),
                "{choice} {name}"
            );
        }
    }
    let said = host.apply(&["--dry-run", "--only", "guests", "--skip", "guests"], "");
    fine(&said);
    assert!(said.out.contains("nothing to change"), "{}", said.out);
}

#[test]
fn step_by_step_comes_to_the_same_as_all_at_once() {
    let host = fresh();
    // A step that is no part of another: `guests`, and not `vm/117`.
    let names = steps(&host);
    let mut changed = 0;
    for name in names.iter().filter(|name| !name.contains('/')) {
        let said = host.apply(&["--only", name], "");
        fine(&said);
        changed += usize::from(!host.changes().is_empty());
        let said = host.apply(&["--only", name], "");
        fine(&said);
        assert_eq!(host.changes(), [""; 0], "{name} a second time");
    }
    assert!(changed > 3, "{names:?}");
    let said = host.apply(&[], "");
    fine(&said);
    assert_eq!(host.changes(), [""; 0], "{}", said.out);
    assert_eq!(host.files(), whole().files());
}

#[test]
fn what_was_left_out_comes_with_the_next_run() {
    for name in ["storage", "network", "guests"] {
        let host = fresh();
        let said = host.apply(&["--skip", name], "");
        assert!(
            matches!(said.status, Some(0 | 1 | 3)),
            "{name}: {}\n{}",
            said.out,
            said.err
        );
        fine(&host.apply(&[], ""));
        assert_eq!(host.files(), whole().files(), "{name}");
        fine(&host.apply(&[], ""));
        assert_eq!(host.changes(), [""; 0], "{name}");
    }
}

/// Calls moxc at a terminal of its own where `ssh` is the fake, with what a person types; both streams together.
fn at_a_terminal(host: &FakeHost, call: &str, typed: &str) -> Said {
    let path = crate::program::behind(&host.path("bin"));
    let _ = fs::remove_file(host.path("log"));
    let moxc = env!("CARGO_BIN_EXE_moxc");
    let mut child = Command::new("script")
        .args(["-qec", &format!("{moxc} {call}"), "/dev/null"])
        .current_dir(host.path("."))
        .env("PATH", path)
        .env("FAKE", host.path("."))
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("script starts");
    let mut input = child.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut input, typed.as_bytes()).expect("it listens");
    // The end of what is typed comes when all is over: a terminal that is left early is another test.
    let said = child.wait_with_output().expect("it ends").into();
    drop(input);
    said
}

#[test]
#[ignore = "needs script (Debian: bsdutils); run by tests/run"]
fn at_a_terminal_each_step_is_a_line_with_its_time_and_a_no_is_a_no() {
    let host = reachable();
    let before = host.files();
    let call = format!("apply host.toml --live {LIVE}");
    let said = at_a_terminal(&host, &call, "n\n");
    assert_eq!(said.status, Some(3), "{}", said.out);
    assert_eq!(host.files(), before, "{}", said.out);
    let said = at_a_terminal(&host, &call, "y\ny\n");
    assert_eq!(said.status, Some(0), "{}", said.out);
    let done: Vec<_> = said
        .out
        .lines()
        .filter(|line| line.contains("done: "))
        .collect();
    assert!(done.len() > 3, "{}", said.out);
    for line in done {
        assert!(line.trim_end().ends_with(" s)"), "{line:?}");
    }
    let said = at_a_terminal(&host, &call, "");
    assert_eq!(said.status, Some(0), "{}", said.out);
    assert_eq!(host.changes(), [""; 0], "{}", said.out);
}

#[test]
fn a_guest_of_a_host_far_away_restarts_where_asked_and_only_there() {
    let host = reachable();
    let args = ["apply", "host.toml", "--live", LIVE, "--yes"];
    fine(&moxc(&host, &args));
    host.write("running-111", "");
    let spec = host.read("host.toml");
    let changed = spec.replace("= \"16 GiB\"", "= \"12 GiB\"");
    assert_ne!(spec, changed);
    host.write("host.toml", &changed);
    let said = moxc(&host, &args);
    fine(&said);
    assert!(said.err.contains("--restart 111"), "{}", said.err);
    let restarts = |host: &FakeHost| -> Vec<String> {
        let changes = host.changes().into_iter();
        changes.filter(|call| call.contains("reboot")).collect()
    };
    assert_eq!(restarts(&host), [""; 0]);
    let said = moxc(&host, &[&args[..], &["--restart", "workstation"]].concat());
    fine(&said);
    assert_eq!(
        restarts(&host),
        ["qm reboot 111 --timeout 180"],
        "{}",
        said.err
    );
    let said = moxc(&host, &[&args[..], &["--restart", "nobody"]].concat());
    assert_eq!(said.status, Some(2), "{}\n{}", said.out, said.err);
    assert!(said.err.contains("nobody"), "{}", said.err);
    assert_eq!(restarts(&host), [""; 0]);
    let look = [
        "apply",
        "host.toml",
        "--live",
        LIVE,
        "--dry-run",
        "--restart",
        "111",
    ];
    fine(&moxc(&host, &look));
    assert_eq!(restarts(&host), [""; 0]);
    // What is asked for by name needs no other word.
    let alone = [&args[..], &["--only", "vm/111", "--restart", "111"]].concat();
    fine(&moxc(&host, &alone));
    assert_eq!(restarts(&host), ["qm reboot 111 --timeout 180"]);
}
