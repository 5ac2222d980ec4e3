//! A run of `apply.sh` that goes wrong for want of room.

use std::process::{Command, Stdio};

use crate::applied::{INSTALLED, homelab};
use crate::system::{FakeHost, fine};

/// The network is the one that worked or the one that was confirmed, and nothing waits to go back.
fn has_a_network(host: &FakeHost, whole: &FakeHost, at: &str) {
    let now = host.read("root/etc/network/interfaces");
    assert!(
        now == INSTALLED || now == whole.read("root/etc/network/interfaces"),
        "{at}: {now}"
    );
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
    let whole = homelab();
    fine(&whole.apply(&[], ""));
    let mut failed = 0;
    // A write beyond so many KiB fails, as it does where there is no room.
    for most in [0, 1, 2, 4, 8, 16, 32, 64] {
        let host = homelab();
        let status = run_behind(&host, &format!("trap '' XFSZ; ulimit -f {most}"));
        has_a_network(&host, &whole, &format!("{most} KiB"));
        failed += u32::from(status != Some(0));
        fine(&host.apply(&[], ""));
        assert_eq!(host.files(), whole.files(), "{most} KiB");
    }
    assert!(failed > 3, "{failed}");
}
