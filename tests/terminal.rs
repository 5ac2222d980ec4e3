//! What a person sees at a terminal, and a pipe does not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// What a call prints at a terminal of its own, both streams together.
fn at_a_terminal(folder: &Path, call: &str) -> String {
    let moxc = Path::new(env!("CARGO_BIN_EXE_moxc"));
    let path = format!(
        "{}:{}:/usr/bin:/bin",
        folder.join("bin").display(),
        moxc.parent().expect("a folder").display()
    );
    let done = Command::new("script")
        .args(["-qec", call, "/dev/null"])
        .current_dir(folder)
        .env("PATH", path)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .output()
        .expect("script starts");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = include_str!("../examples/mini.toml");
    fs::write(folder.path().join("host.toml"), spec).expect("a spec");
    folder
}

#[test]
#[ignore = "needs script (Debian: bsdutils); run by tests/run"]
fn the_next_step_is_told_at_a_terminal_and_in_no_pipe() {
    let folder = folder();
    for (call, next) in [
        ("moxc check host.toml", "next: `moxc build host.toml`"),
        ("moxc graph host.toml", "next: `--format html`"),
        ("moxc explain --list", "next: `moxc explain CODE`"),
        ("moxc schema", "next: save it"),
    ] {
        let seen = at_a_terminal(folder.path(), call);
        assert!(seen.contains(next), "{call}: {seen}");
        let quiet = at_a_terminal(folder.path(), &format!("{call} -q"));
        assert!(!quiet.contains("next:"), "{call}: {quiet}");
        let piped = at_a_terminal(folder.path(), &format!("{call} 2>&1 | cat"));
        assert!(!piped.contains("next:"), "{call}: {piped}");
    }
}

#[test]
#[ignore = "needs script (Debian: bsdutils); run by tests/run"]
fn what_takes_longer_than_a_second_says_so() {
    let folder = folder();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).expect("a folder");
    let ssh = bin.join("ssh");
    fs::write(&ssh, "#!/bin/sh\nsleep 2.5\nexit 255\n").expect("a program");
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).expect("it may run");
    let call = "moxc plan host.toml --live ssh://root@pve1";
    let seen = at_a_terminal(folder.path(), call);
    assert!(seen.contains("reading `ssh://root@pve1` … 1 s"), "{seen}");
    let quiet = at_a_terminal(folder.path(), &format!("{call} -q"));
    assert!(!quiet.contains(" … 1 s"), "{quiet}");
}

#[test]
#[ignore = "needs script (Debian: bsdutils); run by tests/run"]
fn colours_are_for_terminals_that_want_them() {
    let folder = folder();
    let spec = fs::read_to_string(folder.path().join("host.toml")).expect("the spec");
    fs::write(
        folder.path().join("host.toml"),
        spec.replace("spec = 1", "spec = 2"),
    )
    .expect("a spec");
    // Select Graphic Rendition (ECMA-48, 8.3.117): the progress line has other sequences, and no `m` behind a number.
    let coloured = |call: &str| {
        let seen = at_a_terminal(folder.path(), call);
        seen.contains("\u{1b}[1m") || seen.contains("\u{1b}[1;") || seen.contains("\u{1b}[9")
    };
    assert!(coloured("moxc check host.toml"));
    for call in [
        "NO_COLOR=1 moxc check host.toml",
        "moxc --color never check host.toml",
        "moxc check host.toml 2>&1 | cat",
    ] {
        assert!(!coloured(call), "{call}");
    }
}

/// A file of somebody else may have any name, and a message may hold any word of it.
#[test]
fn what_a_file_is_called_reaches_no_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "a\u{1b}[2J\u{202e}b.toml";
    std::fs::write(folder.path().join(name), "x").expect("a file");
    let calls: &[&[&str]] = &[
        &["check", name, "--color", "always"],
        &["check", name, "--message-format", "short"],
        &["plan", name, "--live", name, "--color", "always"],
        &["adopt", "no\u{1b}[2Jthing", "--color", "always"],
        &["hardware", name, "--color", "always"],
    ];
    for args in calls {
        let said = crate::program::call(folder.path(), args);
        let all = said.out + &said.err;
        assert!(!all.contains("\u{1b}[2J"), "{args:?}: {all:?}");
        assert!(!all.contains('\u{202e}'), "{args:?}: {all:?}");
    }
}
