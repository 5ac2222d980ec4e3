//! The hook script that starts virtiofsd, run by bash with commands that only write down what they are told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use moxc::targets::Target;

use crate::in_memory::build;

/// A guest with a folder to write in and one to read, on a release without virtio-fs of its own.
const SPEC: &str = r#"
[host]
name = "pve1"
release = "8.1"
timezone = "UTC"

[hardware.disks]
nvme0 = { kind = "nvme", size = "1 TB", device = "/dev/disk/by-id/nvme-EXAMPLE_0001" }

[storage.pools.rpool]
layout = "stripe"
disks = ["nvme0"]
boot = true

[storage.datasets]
vm-disks = { pool = "rpool", use = "vm-disks" }
share = { pool = "rpool", use = "share", mountpoint = "/srv/its@shared" }
docs = { pool = "rpool", use = "share", mountpoint = "/srv/docs" }

[vms.web]
os = "windows11"
vmid = 100
memory = "8 GiB"

[vms.web.disks]
root = { dataset = "vm-disks", size = "64 GiB" }

[[vms.web.shares]]
dataset = "share"
mount = "S:"

[[vms.web.shares]]
dataset = "docs"
mount = "T:"
read-only = true
"#;

/// Stand-ins: each writes its name and its arguments into `log`. What is mounted and what runs is kept as files.
const FAKES: &[(&str, &str)] = &[
    (
        "mountpoint",
        r"[[ $2 = /srv/* || -e $FAKE/mounted${2//\//_} ]] && [[ ! -e $FAKE/unmounted ]]",
    ),
    (
        "mount",
        r#"log mount "$@"; if [[ $1 = --bind ]]; then : >"$FAKE/mounted${4//\//_}"; fi"#,
    ),
    ("umount", r#"log umount "$@"; rm "$FAKE/mounted${1//\//_}""#),
    (
        "systemd-run",
        r#"log systemd-run "$@"
for word; do
  case $word in
    --unit=*) : >"$FAKE/active-${word#--unit=}" ;;
    --socket-path=*) mv "$FAKE/ready-${word##*/}" "${word#--socket-path=}" ;;
  esac
done"#,
    ),
    (
        "systemctl",
        r#"case "$1 $2" in
  '--quiet is-active') [[ -e $FAKE/active-$3 ]] ;;
  stop\ *) log systemctl "$@"; rm "$FAKE/active-$2" ;;
esac"#,
    ),
];

fn script() -> String {
    let files = build("host.toml", SPEC, &[Target::Proxmox]);
    let path = "proxmox/var/lib/vz/snippets/virtiofs-100.sh";
    let file = files.get(path).expect("the guest has a hook script");
    String::from_utf8(file.contents.clone()).expect("a script is text")
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).expect("the folder is ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
}

/// A host of stand-ins, with the script on it.
pub(crate) struct Fake {
    pub(crate) dir: tempfile::TempDir,
}

impl Fake {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let root = dir.path();
        fs::create_dir(root.join("bin")).expect("the folder is ours");
        for (name, body) in FAKES {
            let head = "#!/bin/bash\nlog() { printf '%s\\n' \"$*\" >>\"$FAKE/log\"; }\n";
            executable(&root.join("bin").join(name), &format!("{head}{body}\n"));
        }
        executable(&root.join("virtiofsd"), "#!/bin/bash\n");
        let run = root.join("run").display().to_string();
        let virtiofsd = root.join("virtiofsd").display().to_string();
        let text = script()
            .replace("run_dir=/run/virtiofs-100", &format!("run_dir={run}"))
            .replace(
                "virtiofsd=/usr/libexec/virtiofsd",
                &format!("virtiofsd={virtiofsd}"),
            );
        executable(&root.join("hook.sh"), &text);
        Self { dir }
    }

    /// Runs the script; gives its exit status, what it said, and what was done, with the host's folder as `@`.
    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let root = self.dir.path();
        // The sockets that virtiofsd would open.
        let _sockets: Vec<_> = (0..2)
            .map(|n| root.join(format!("ready-{n}.sock")))
            .filter(|path| !path.exists())
            .map(|path| UnixListener::bind(path).expect("a socket"))
            .collect();
        let _ = fs::remove_file(root.join("log"));
        let output = Command::new("bash")
            .arg(root.join("hook.sh"))
            .args(args)
            .env("FAKE", root)
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", root.join("bin").display()),
            )
            .stdin(Stdio::null())
            .output()
            .expect("bash starts");
        let log = fs::read_to_string(root.join("log")).unwrap_or_default();
        let plain = |text: &str| text.replace(&root.display().to_string(), "@");
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            plain(&String::from_utf8_lossy(&said)),
            plain(&log),
        )
    }
}

const STARTED: &str = "\
systemd-run --quiet --collect --unit=virtiofsd-100-0.service --description=virtio-fs of guest 100 -- @/virtiofsd --socket-path=@/run/0.sock --shared-dir=/srv/its@shared --announce-submounts --cache=auto --inode-file-handles=prefer
mount --bind --make-private /srv/docs @/run/1
mount -o remount,bind,ro @/run/1
systemd-run --quiet --collect --unit=virtiofsd-100-1.service --description=virtio-fs of guest 100 -- @/virtiofsd --socket-path=@/run/1.sock --shared-dir=@/run/1 --announce-submounts --cache=auto --inode-file-handles=prefer
";
const STOPPED: &str = "\
systemctl stop virtiofsd-100-0.service
systemctl stop virtiofsd-100-1.service
umount @/run/1
";

#[test]
#[ignore = "needs bash; run by tests/run"]
fn starts_before_the_guest_and_leaves_nothing_behind_it() {
    let host = Fake::new();
    assert_eq!(
        host.run(&["100", "pre-start"]),
        (Some(0), String::new(), STARTED.to_owned())
    );
    assert_eq!(
        host.run(&["100", "post-start"]),
        (Some(0), String::new(), String::new())
    );
    assert_eq!(
        host.run(&["100", "pre-stop"]),
        (Some(0), String::new(), String::new())
    );
    assert_eq!(
        host.run(&["100", "post-stop"]),
        (Some(0), String::new(), STOPPED.to_owned())
    );
    assert!(!host.dir.path().join("run").exists());
    // Once more: there is nothing left to undo.
    assert_eq!(
        host.run(&["100", "post-stop"]),
        (Some(0), String::new(), String::new())
    );
    assert_eq!(host.run(&["100", "pre-start"]).2, STARTED);
}

#[test]
#[ignore = "needs bash; run by tests/run"]
fn starts_anew_what_an_earlier_run_left() {
    let host = Fake::new();
    assert_eq!(host.run(&["100", "pre-start"]).0, Some(0));
    let (status, said, log) = host.run(&["100", "pre-start"]);
    assert_eq!((status, said.as_str()), (Some(0), ""));
    for line in STOPPED.lines().chain(STARTED.lines()) {
        assert!(log.contains(line), "{line}\nis not in\n{log}");
    }
}

#[test]
#[ignore = "needs bash; run by tests/run"]
fn a_folder_that_is_not_mounted_keeps_the_guest_from_starting() {
    let host = Fake::new();
    fs::write(host.dir.path().join("unmounted"), "").expect("the folder is ours");
    let (status, said, log) = host.run(&["100", "pre-start"]);
    assert_eq!((status, log.as_str()), (Some(1), ""));
    assert_eq!(
        said,
        "hook.sh: /srv/its@shared is not mounted, so it is not shared\n"
    );
    assert!(
        !host.dir.path().join("run").exists(),
        "the failed start left its folder"
    );
}

#[test]
#[ignore = "needs bash; run by tests/run"]
fn serves_its_own_guest_alone_and_does_nothing_on_a_dry_run() {
    let host = Fake::new();
    let (status, said, log) = host.run(&["999", "pre-start"]);
    assert_eq!((status, log.as_str()), (Some(1), ""));
    assert!(said.contains("not of 999"), "{said}");
    let (status, said, log) = host.run(&["--dry-run", "100", "pre-start"]);
    assert_eq!((status, log.as_str()), (Some(0), ""));
    assert!(
        said.contains("  mount -o remount\\,bind\\,ro @/run/1\n"),
        "{said}"
    );
    assert!(!host.dir.path().join("run").exists());
    assert_eq!(host.run(&[]).0, Some(2));
    assert_eq!(host.run(&["--help"]).0, Some(0));
}

#[test]
#[ignore = "needs shellcheck; run by tests/run"]
fn shellcheck_has_nothing_to_say() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let path = dir.path().join("hook.sh");
    fs::write(&path, script()).expect("the folder is ours");
    let output = Command::new("shellcheck")
        .arg(&path)
        .output()
        .expect("shellcheck starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
