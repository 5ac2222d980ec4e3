//! `apply.sh` and `moxc apply` on a host of fakes with state: what it changes, what it leaves, how it fails, and how it is taken back.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use crate::program::Said;
use crate::system::{FakeHost, fine, specs};

/// What an installer leaves in `/etc/network/interfaces`.
pub(crate) const INSTALLED: &str = "auto lo\niface lo inet loopback\n\niface enp5s0 inet manual\n\nauto vmbr0\n\
    iface vmbr0 inet static\n\taddress 192.168.1.10/24\n\tgateway 192.168.1.1\n\tbridge-ports enp5s0\n\
    \tbridge-stp off\n\tbridge-fd 0\n\nsource /etc/network/interfaces.d/*\n";

pub(crate) fn homelab() -> FakeHost {
    let host = FakeHost::new(&specs()["homelab"]);
    host.write("root/etc/network/interfaces", INSTALLED);
    host
}

pub(crate) fn refused(said: &Said, why: &str) {
    assert_eq!(said.status, Some(3), "{}\n{}", said.out, said.err);
    assert!(said.err.contains(why), "{why}:\n{}", said.err);
}

pub(crate) fn failed(said: &Said, why: &str) {
    assert_eq!(said.status, Some(1), "{}\n{}", said.out, said.err);
    assert!(said.err.contains(why), "{why}:\n{}", said.err);
}

/// Takes the last run back.
pub(crate) fn undo(host: &FakeHost, args: &[&str]) -> Said {
    let mut all = vec!["--undo"];
    all.extend(args);
    host.apply(&all, "")
}

#[test]
fn a_run_is_taken_back_byte_for_byte_but_for_what_it_says() {
    let host = homelab();
    host.write("root/etc/vzdump.conf", "# mine\ntmpdir: /var/tmp\n");
    host.write(
        "root/etc/kernel/cmdline",
        "root=ZFS=rpool/ROOT/pve-1 boot=zfs quiet\n",
    );
    let before = host.files();
    fine(&host.apply(&[], ""));
    let after = host.files();
    assert_ne!(before, after);
    assert!(after["etc/vzdump.conf"].contains("tmpdir: /var/tmp\n"));
    assert!(
        after["etc/kernel/cmdline"].starts_with("root=ZFS=rpool/ROOT/pve-1 boot=zfs quiet"),
        "{}",
        after["etc/kernel/cmdline"]
    );
    let said = undo(&host, &["--dry-run"]);
    fine(&said);
    assert_eq!(host.files(), after);
    for what in ["guest 110 stays", "guest 120 stays", "zpool create"] {
        assert!(said.err.contains(what), "{what}:\n{}", said.err);
    }
    fine(&undo(&host, &[]));
    let mut back = host.files();
    back.retain(|path, _| !path.contains("qemu-server/") && !path.contains("lxc/"));
    assert_eq!(back, before);
    // What stayed is known: the next run goes on with it.
    fine(&host.apply(&[], ""));
    assert_eq!(host.files(), after);
}

#[test]
fn an_undo_never_overwrites_what_somebody_changed_since() {
    let host = homelab();
    fine(&host.apply(&[], ""));
    host.write(
        "root/etc/modprobe.d/zfs.conf",
        "options zfs zfs_arc_max=7\n",
    );
    let after = host.files();
    refused(
        &undo(&host, &[]),
        "/etc/modprobe.d/zfs.conf was changed since",
    );
    assert_eq!(host.files(), after);
}

#[test]
fn each_command_that_fails_is_named_with_its_object() {
    for (fail, said_of) in [
        ("zpool create", "pools and datasets: `bash"),
        (
            "update-initramfs",
            "`update-initramfs -u -k all` failed (255): update-initramfs: made to fail",
        ),
        (
            "systemctl enable -- moxc.target",
            "`systemctl enable -- moxc.target` failed",
        ),
        ("qm create 120", "guest 120 (windows): `qm create 120 "),
        (
            "pct create",
            "guest 110 (services): `pct create 110 local:vztmpl/",
        ),
        ("systemd-run", "`systemd-run` failed"),
        ("ifreload", "the new network did not come up"),
    ] {
        let host = homelab();
        let said = host.apply(&[], fail);
        failed(&said, said_of);
        assert!(said.err.contains("run it again"), "{fail}:\n{}", said.err);
        assert!(!said.err.contains("{lock_fd}"), "{fail}:\n{}", said.err);
        assert_eq!(
            host.read("root/etc/network/interfaces"),
            INSTALLED,
            "{fail}"
        );
        assert!(
            !host.path("root/var/lib/moxc/network-unconfirmed").exists(),
            "{fail}"
        );
    }
}

/// Runs the script and has the fake of a command end it by a signal.
pub(crate) fn killed(host: &FakeHost, signal: &str, at: &str) -> Option<i32> {
    let path = crate::program::behind(&host.path("bin"));
    // A tester's shell may ignore some of the signals, and what is ignored stays so.
    let status = Command::new("env")
        .args(["--default-signal", "bash"])
        .args(["-c", r#"echo $$ >"$FAKE/pid"; exec bash "$0" "$@""#])
        .arg(host.path("tree/proxmox/apply.sh"))
        .arg("--root")
        .arg(host.path("root"))
        .arg("--yes")
        .env("PATH", path)
        .env("FAKE", host.path("."))
        .env("FAKE_KILL", at)
        .env("FAKE_SIGNAL", signal)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("bash starts");
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
}

/// What the host's timer would run.
pub(crate) fn fire(host: &FakeHost) -> Said {
    let words = host.read("timer");
    let mut words = words.lines();
    Command::new(words.next().expect("a program"))
        .args(words)
        .env("FAKE", host.path("."))
        .env("FAKE_FAIL", "")
        .stdin(Stdio::null())
        .output()
        .expect("it starts")
        .into()
}

#[test]
fn a_network_that_nobody_confirmed_goes_back_without_the_script() {
    let host = homelab();
    assert_eq!(killed(&host, "KILL", "ifreload"), Some(137));
    assert_ne!(host.read("root/etc/network/interfaces"), INSTALLED);
    assert!(
        host.path("root/etc/systemd/system/moxc-network-back.service")
            .exists()
    );
    fine(&fire(&host));
    assert_eq!(host.read("root/etc/network/interfaces"), INSTALLED);
    assert!(
        !host
            .path("root/etc/systemd/system/moxc-network-back.service")
            .exists()
    );
    assert!(!host.path("root/var/lib/moxc/network-unconfirmed").exists());
    // A timer that fires late, after a confirmed run, does nothing.
    fine(&host.apply(&[], ""));
    let confirmed = host.read("root/etc/network/interfaces");
    fine(&fire(&host));
    assert_eq!(host.read("root/etc/network/interfaces"), confirmed);
}

#[test]
fn a_signal_amid_the_network_goes_back_at_once() {
    for signal in ["INT", "TERM", "HUP", "PIPE"] {
        let host = homelab();
        assert_eq!(killed(&host, signal, "ifreload"), Some(1), "{signal}");
        assert_eq!(
            host.read("root/etc/network/interfaces"),
            INSTALLED,
            "{signal}"
        );
        assert!(
            !host.path("root/var/lib/moxc/network-unconfirmed").exists(),
            "{signal}"
        );
    }
}

#[test]
fn a_network_without_its_addresses_comes_back_as_it_was() {
    let host = homelab();
    host.write("no-addresses", "");
    let said = host.apply(&[], "");
    failed(&said, "missing addresses: 192.168.1.10/24 on vmbr0");
    assert!(
        said.err.contains("the network that worked before is back"),
        "{}",
        said.err
    );
    assert_eq!(host.read("root/etc/network/interfaces"), INSTALLED);
}

#[test]
fn a_new_name_of_a_card_is_there_before_it_is_used() {
    let host = FakeHost::new(&specs()["mini"]);
    let script = host.read("tree/proxmox/apply.sh");
    let cards = script
        .lines()
        .find(|line| line.trim_start().starts_with("network 'etc"))
        .expect("a network");
    assert!(cards.contains("enlan0="), "{cards}");
    let installed = INSTALLED.replace("enp5s0", "eno1");
    host.write("root/etc/network/interfaces", &installed);
    let said = host.apply(&[], "");
    fine(&said); // without /sys nothing is known of the cards
    let host = FakeHost::new(&specs()["mini"]);
    host.write("root/etc/network/interfaces", &installed);
    host.write("root/sys/class/net/eno1/address", "52:54:00:00:00:99\n");
    host.write("root/sys/class/net/eno1/device/vendor", "");
    refused(&host.apply(&[], ""), "no network card has the MAC address");
    host.write("root/sys/class/net/eno1/address", "00:00:5e:00:53:01\n");
    let said = host.apply(&[], "");
    fine(&said);
    assert!(
        said.out.contains("the card eno1 becomes enlan0 at once"),
        "{}",
        said.out
    );
    assert!(host.path("root/sys/class/net/enlan0").exists());
    let changes = host.changes();
    let at = |what: &str| {
        changes
            .iter()
            .position(|call| call.starts_with(what))
            .unwrap_or_else(|| panic!("{what}: {changes:#?}"))
    };
    assert!(at("ip link set dev eno1 name enlan0") < at("ifreload"));
    assert!(at("systemd-run") < at("ip link set dev eno1 name enlan0"));
    // Back: names, files and the initial RAM disk.
    fine(&undo(&host, &[]));
    assert!(host.path("root/sys/class/net/eno1").exists());
    assert!(
        !host
            .path("root/etc/systemd/network/10-enlan0.link")
            .exists()
    );
    assert_eq!(host.read("root/etc/network/interfaces"), installed);
}

#[test]
fn what_the_spec_and_somebody_set_alike_is_what_a_run_left() {
    let host = homelab();
    fine(&host.apply(&[], ""));
    let (quota, guest) = (
        "property-quota-rpool_windows",
        "root/etc/pve/qemu-server/111.conf",
    );
    let set = |bytes: &str, memory: &str| {
        host.write(quota, bytes);
        let config = host.read(guest);
        let own = config
            .lines()
            .find(|line| line.starts_with("memory: "))
            .expect("it has memory");
        host.write(guest, &config.replace(own, memory));
    };
    let changed = specs()["homelab"]
        .replace("quota = \"200 GiB\"", "quota = \"300 GiB\"")
        .replace("= \"16 GiB\"", "= \"12 GiB\"");
    set("322122547200\n", "memory: 12288");
    host.rebuild(&changed);
    fine(&host.apply(&["--only", "pools,vm/111"], ""));
    assert_eq!(host.changes(), [""; 0]);
    // So it is an edit by hand when somebody changes it again, and stays.
    set("1024\n", "memory: 4096");
    let said = host.apply(&["--only", "pools,vm/111"], "");
    fine(&said);
    assert_eq!(host.changes(), [""; 0]);
    assert_eq!(host.read(quota), "1024\n");
    for told in ["is 1024 by now: it stays", "memory is `4096` by hand"] {
        assert!(said.err.contains(told), "{told}:\n{}", said.err);
    }
}

#[test]
fn a_section_of_somebody_elses_of_the_same_name_is_refused() {
    let host = homelab();
    let jobs = host.read("tree/proxmox/etc/pve/jobs.cfg");
    let job = jobs
        .lines()
        .find_map(|line| line.strip_prefix("vzdump: "))
        .expect("a job");
    for (path, text, what) in [
        (
            "etc/pve/storage.cfg",
            "cifs: nas\n\tserver 10.0.0.9\n\tshare x\n".to_owned(),
            "nas on this host is another one (`cifs: nas`",
        ),
        (
            "etc/pve/jobs.cfg",
            format!("realmsync: {job}\n\trealm x\n"),
            "on this host is another one (`realmsync: ",
        ),
        (
            "etc/pve/jobs.cfg",
            format!("vzdump: {job}\n\tnode pve2\n"),
            "on this host is another one (`node pve2`",
        ),
    ] {
        let host = homelab();
        host.write(&format!("root/{path}"), &text);
        let before = host.files();
        refused(&host.apply(&[], ""), what);
        assert_eq!(host.files(), before);
    }
}

#[test]
fn a_host_in_use_is_refused_at_once() {
    for (path, text, what) in [
        (
            "etc/pve/qemu-server/103.conf",
            "name: winserver\n",
            "guest 103 (winserver)",
        ),
        (
            "etc/pve/lxc/110.conf",
            "hostname: other\n",
            "guest 110 (other)",
        ),
        (
            "etc/pve/storage.cfg",
            "dir: local\n\tpath /var/lib/vz\n\nnfs: old-nas\n\tserver 10.0.0.9\n\n",
            "storage old-nas",
        ),
        (
            "etc/network/interfaces",
            "auto vmbr7\niface vmbr7 inet static\n\taddress 10.7.0.1/24\n\tpost-up iptables -t nat -A POSTROUTING\n",
            "interface vmbr7",
        ),
    ] {
        let host = homelab();
        host.write(&format!("root/{path}"), text);
        let before = host.files();
        let said = host.apply(&[], "");
        refused(&said, what);
        assert!(said.err.contains("moxc plan SPEC --live"), "{}", said.err);
        assert_eq!(host.files(), before);
        assert_eq!(host.changes(), [""; 0]);
    }
}

#[test]
fn what_was_changed_by_hand_stays_until_the_spec_says_otherwise() {
    let spec = &specs()["homelab"];
    let host = homelab();
    fine(&host.apply(&[], ""));
    let path = "root/etc/pve/qemu-server/111.conf";
    let config = host.read(path);
    let drifted = config.replace("memory: 16384", "memory: 4096")
        + "scsi7: other:vm-111-disk-9,size=1G\nwatchdog: model=i6300esb\ntags: mine\n";
    assert_ne!(drifted, config);
    host.write(path, &drifted);
    let said = host.apply(&[], "");
    fine(&said);
    assert_eq!(host.changes(), [""; 0], "{}", said.out);
    assert!(
        said.err.contains("memory is `4096` by hand"),
        "{}",
        said.err
    );
    // The spec says otherwise.
    let changed = spec
        .replace("= \"16 GiB\"", "= \"12 GiB\"")
        .replace("size = \"64 GiB\"", "size = \"96 GiB\"");
    assert_ne!(*spec, changed);
    host.write(path, &config);
    host.rebuild(&changed);
    let said = host.apply(&["--only", "vm/111"], "");
    fine(&said);
    let changes = host.changes();
    assert_eq!(
        changes,
        ["qm set 111 --memory 12288", "qm disk resize 111 scsi0 96G"],
        "{}",
        said.out
    );
    assert!(
        said.err
            .contains("stays when this run is undone: the size of scsi0"),
        "{}",
        said.err
    );
    // Both differ.
    let host = homelab();
    fine(&host.apply(&[], ""));
    host.write(path, &drifted);
    host.rebuild(&changed);
    refused(
        &host.apply(&[], ""),
        "memory is `4096`, and the spec says `12288`",
    );
    // Two leave the spec, and somebody changed one of them.
    let host = homelab();
    fine(&host.apply(&[], ""));
    let config = host.read(path);
    let drifted = config.replace("startup: order=2", "startup: order=9");
    assert_ne!(drifted, config);
    host.write(path, &drifted);
    let changed = spec.replace("autostart   = { order = 2 }\n", "");
    assert_ne!(*spec, changed);
    host.rebuild(&changed);
    let said = host.apply(&["--only", "vm/111"], "");
    fine(&said);
    assert_eq!(host.changes(), ["qm set 111 --delete onboot"]);
    let told = "startup is no longer in the spec, but changed by hand since: it stays";
    assert!(said.err.contains(told), "{}", said.err);
}

#[test]
fn a_property_that_somebody_changed_stays_until_the_spec_says_otherwise() {
    let spec = &specs()["homelab"];
    let host = homelab();
    fine(&host.apply(&[], ""));
    let quota = "property-quota-rpool_windows";
    let planned = host.read(quota);
    assert_eq!(planned, "214748364800\n");
    host.write(quota, "1024\n");
    let said = host.apply(&[], "");
    fine(&said);
    assert_eq!(host.changes(), [""; 0], "{}", said.out);
    let told =
        "quota of rpool/windows was 214748364800 after the last run and is 1024 by now: it stays";
    assert!(said.err.contains(told), "{}", said.err);
    // The spec changes, too: somebody has to say which.
    let changed = spec.replace("quota = \"200 GiB\"", "quota = \"300 GiB\"");
    assert_ne!(*spec, changed);
    host.rebuild(&changed);
    refused(
        &host.apply(&[], ""),
        "is 1024 by hand, and the spec says 322122547200 now",
    );
    assert_eq!(host.read(quota), "1024\n");
    // What the last run left is the spec's to change, and an undo knows what was left before.
    host.write(quota, &planned);
    fine(&host.apply(&[], ""));
    assert_eq!(host.read(quota), "322122547200\n");
    fine(&undo(&host, &["--yes"]));
    assert_eq!(host.read(quota), planned);
    fine(&host.apply(&[], ""));
    assert_eq!(host.read(quota), "322122547200\n");
}

/// A property that the tree's `create.sh` set and somebody has set since is not set back.
#[test]
fn an_undo_leaves_a_property_that_somebody_changed_since() {
    let host = homelab();
    fine(&host.apply(&[], ""));
    let spec = specs()["homelab"].replace(
        "mountpoint = \"/mnt/windows\", quota = \"200 GiB\" }",
        "mountpoint = \"/mnt/windows\", quota = \"210 GiB\", properties = { \"a:note\" = \"it is mine\" } }",
    );
    assert_ne!(spec, specs()["homelab"]);
    let (quota, note) = (
        "property-quota-rpool_windows",
        "property-a:note-rpool_windows",
    );
    host.write(note, "it was mine\n");
    let before = host.read(quota);
    host.rebuild(&spec);
    fine(&host.apply(&["--skip", "network"], ""));
    assert_eq!(host.read(note), "it is mine\n");
    let ours = host.read(quota);
    assert_ne!(ours, before);
    host.write(quota, "7\n");
    refused(
        &undo(&host, &[]),
        "quota of rpool/windows was changed since: it is `7`",
    );
    assert_eq!(host.read(quota), "7\n");
    host.write(quota, &ours);
    fine(&undo(&host, &[]));
    assert_eq!(
        (host.read(quota), host.read(note)),
        (before, "it was mine\n".to_owned())
    );
}

#[test]
fn options_of_a_guest_come_back_byte_for_byte() {
    let host = homelab();
    fine(&host.apply(&[], ""));
    let before = host.files();
    host.rebuild(&specs()["homelab"].replace("= \"16 GiB\"", "= \"12 GiB\""));
    fine(&host.apply(&["--only", "guests"], ""));
    assert_ne!(host.files(), before);
    fine(&undo(&host, &[]));
    assert_eq!(host.files(), before);
}

#[test]
fn what_others_write_is_merged_item_by_item() {
    let host = homelab();
    host.write(
        "root/etc/pve/storage.cfg",
        "dir: local\n\tpath /var/lib/vz\n\tcontent import,vztmpl\n\tprune-backups keep-last=3\n\nlvmthin: local-lvm\n\tthinpool data\n\tvgname pve\n\tcontent rootdir,images\n\n",
    );
    host.write(
        "root/etc/pve/jobs.cfg",
        "vzdump: mine\n\tschedule 01:00\n\tall 1\n\n",
    );
    host.write("root/etc/pve/datacenter.cfg", "keyboard: de\n");
    fine(&host.apply(&[], ""));
    let storage = host.read("root/etc/pve/storage.cfg");
    assert!(storage.contains("\tcontent import,vztmpl,"), "{storage}");
    assert!(
        storage.contains("\tprune-backups keep-last=3\n\nlvmthin: local-lvm\n\tthinpool data\n"),
        "{storage}"
    );
    assert!(storage.contains("zfspool: vm-disks\n"), "{storage}");
    let jobs = host.read("root/etc/pve/jobs.cfg");
    assert!(
        jobs.starts_with("vzdump: mine\n\tschedule 01:00\n\tall 1\n\n"),
        "{jobs}"
    );
    assert_eq!(host.read("root/etc/pve/datacenter.cfg"), "keyboard: de\n");
    // What others put into `local` stays when the spec changes, too; what moxc put there goes.
    host.write(
        "root/etc/pve/storage.cfg",
        &storage.replace("\tcontent import,vztmpl", "\tcontent images,import,vztmpl"),
    );
    fine(&host.apply(&[], ""));
    assert!(
        host.read("root/etc/pve/storage.cfg")
            .contains("\tcontent images,import,vztmpl")
    );
    host.write("root/etc/pve/storage.cfg", &storage);
    // Proxmox VE writes lists in an order of its own: no difference.
    let shuffled = storage.replace("content import,vztmpl", "content vztmpl,import");
    host.write("root/etc/pve/storage.cfg", &shuffled);
    let said = host.apply(&[], "");
    fine(&said);
    assert_eq!(host.changes(), [""; 0], "{}", said.out);
    assert_eq!(host.read("root/etc/pve/storage.cfg"), shuffled);
}

#[test]
fn a_tree_that_is_not_whole_is_refused() {
    let cut = |host: &FakeHost, path: &str| {
        let text = host.read(path);
        host.write(path, &text[..text.len() / 2]);
    };
    let host = homelab();
    cut(&host, "tree/proxmox/usr/local/sbin/zfs-snapshot");
    fs::remove_file(host.path("tree/proxmox/etc/pve/jobs.cfg")).expect("it is there");
    let said = host.apply(&[], "");
    refused(&said, "proxmox/usr/local/sbin/zfs-snapshot is cut");
    assert!(
        said.err.contains("proxmox/etc/pve/jobs.cfg is missing"),
        "{}",
        said.err
    );
    assert_eq!(host.changes(), [""; 0]);
    let host = homelab();
    let edited = format!(
        "nameserver 192.0.2.1\n{}",
        host.read("tree/proxmox/etc/resolv.conf")
    );
    host.write("tree/proxmox/etc/resolv.conf", &edited);
    refused(
        &host.apply(&[], ""),
        "etc/resolv.conf is not as the manifest says",
    );
    fine(&host.apply(&["--as-it-is", "proxmox/etc/resolv.conf"], ""));
    assert_eq!(host.read("root/etc/resolv.conf"), edited);
    let host = homelab();
    fs::remove_file(host.path("tree/manifest.json")).expect("it is there");
    refused(&host.apply(&[], ""), "manifest");
}

#[test]
fn a_script_that_arrives_in_part_does_nothing_and_fails() {
    let host = homelab();
    let script = host.read("tree/proxmox/apply.sh");
    let begins = script.find("\n{").expect("a beginning") + 3;
    let before = host.files();
    let step = (script.len() - begins) / 37;
    for end in (begins..script.len() - 3)
        .step_by(step)
        .chain([script.len() - 3])
    {
        let mut child = Command::new("bash")
            .args(["-s", "--", "--yes", "--root"])
            .arg(host.path("root"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash starts");
        // bash may end before it has read everything.
        let _ = child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(&script.as_bytes()[..end]);
        assert_ne!(
            child.wait().expect("it ends").code(),
            Some(0),
            "cut at {end}"
        );
    }
    assert_eq!(host.files(), before);
}

#[test]
fn a_template_that_is_not_there_is_told_before_the_first_guest() {
    let host = homelab();
    fs::remove_dir_all(host.path("root/var/lib/vz/template/cache")).expect("it is there");
    let before = host.files();
    refused(&host.apply(&[], ""), "needs the template local:vztmpl/");
    assert_eq!(host.files(), before);
    let said = host.apply(&["--download"], "");
    fine(&said);
    assert!(
        host.changes()
            .iter()
            .any(|call| call.starts_with("pveam download local ")),
        "{}",
        said.out
    );
}

#[test]
fn guests_are_made_of_images_volumes_passwords_and_keys() {
    let host = FakeHost::new(&specs()["making"]);
    let said = host.apply(&[], "");
    fine(&said);
    let log = host.read("log");
    let call = |begin: &str| {
        let mut lines = log.lines().filter(|line| line.starts_with(begin));
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("no `{begin}`:\n{log}"));
        assert_eq!(lines.next(), None);
        line.to_owned()
    };
    let image = host.path("root/var/lib/moxc/images/138df20b3e6bdbde.raw");
    let router = call("qm create 115");
    let import = format!(
        "--scsi0 local-lvm:0,import-from={},discard=on,iothread=1",
        image.display()
    );
    assert!(router.contains(&import), "{router}");
    assert!(!image.exists());
    assert_eq!(call("qm disk resize 115"), "qm disk resize 115 scsi0 8G");
    let cloud = call("qm create 116");
    for part in [
        "--scsi0 local-lvm:0,import-from=local:import/debian-13.qcow2,",
        "--ide2 local-lvm:cloudinit,media=cdrom ",
    ] {
        assert!(cloud.contains(part), "{part}\n{cloud}");
    }
    assert!(cloud.ends_with(" --cipassword"), "{cloud}");
    assert_eq!(host.read("password-116"), "hunter2\n");
    let config = host.read("root/etc/pve/qemu-server/116.conf");
    let keys = "sshkeys: ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII%20admin%40desk\n";
    assert!(config.contains(keys), "{config}");
    let old = call("qm create 117");
    for part in [
        "--efidisk0 local-lvm:vm-117-disk-0,efitype=4m ",
        "--scsi0 local-lvm:vm-117-disk-1,",
        "--scsi1 local-lvm:4,",
    ] {
        assert!(old.contains(part), "{part}\n{old}");
    }
    assert!(call("pct create 120").ends_with(" --password"), "{log}");
    assert_eq!(host.read("password-120"), "hunter2\n");
    assert!(host.read("keys-120").starts_with("ssh-ed25519 "));
    // Nothing is unpacked over a file system that is there.
    assert!(!log.contains("pct create 121"), "{log}");
    assert_eq!(
        call("pct set 121"),
        "pct set 121 --mp0 local-lvm:2,mp=/srv/new,backup=1"
    );
    // No password is an argument, and none is in what the run leaves.
    assert!(!log.contains("hunter2"), "{log}");
    let runs = Command::new("grep")
        .args(["-rl", "hunter2"])
        .arg(host.path("root/var/lib/moxc"))
        .output()
        .expect("grep starts");
    assert_eq!(String::from_utf8_lossy(&runs.stdout), "");
    let said = host.apply(&[], "");
    fine(&said);
    assert_eq!(host.changes(), [""; 0], "{}", said.out);
}

#[test]
fn what_guests_are_made_of_is_proved_before_the_first_is_made() {
    let spec = &specs()["making"];
    let sum = "f031530c719b3729359bf9fdc75adc63c25bacfee4c5e295c1729d9b7700083c";
    let wrong = spec.replace(sum, &"1".repeat(64));
    assert_ne!(wrong, *spec);
    let host = FakeHost::new(&wrong);
    failed(&host.apply(&[], ""), "is not what the spec says");
    assert!(!host.read("log").contains("create"));
    assert_eq!(
        fs::read_dir(host.path("root/var/lib/moxc/images"))
            .expect("a folder")
            .count(),
        0
    );
    // A file of the host.
    let local = spec.replace(
        "https://images.example.org/router.img",
        "/srv/router.img.gz",
    );
    let host = FakeHost::new(&local);
    refused(
        &host.apply(&[], ""),
        "needs the image /srv/router.img.gz, which is not there",
    );
    host.write("root/srv/router.img.gz", "something else");
    refused(&host.apply(&[], ""), "has another SHA-256 sum");
    // A volume that is not there, where its storage is.
    host.write(
        "root/srv/router.img.gz",
        "image of https://images.example.org/router.img\n",
    );
    host.write(
        "root/etc/pve/storage.cfg",
        "lvmthin: local-lvm\n\tthinpool data\n\tvgname pve\n\tcontent rootdir,images\n\n",
    );
    let said = host.apply(&[], "");
    refused(&said, "guest 117 needs the volume local-lvm:vm-117-disk-1");
    host.write(
        "list-local-lvm",
        "local-lvm:vm-117-disk-0 raw images 4M 117\nlocal-lvm:vm-117-disk-1 raw images 8G 117\nlocal-lvm:vm-121-disk-0 raw rootdir 8G 121\n",
    );
    // It has the right sum and is no archive: the command that fails is named.
    failed(&host.apply(&[], ""), "gzip /");
    assert!(!host.read("log").contains("create"));
}

#[test]
fn steps_can_be_chosen_and_left_out() {
    let host = homelab();
    fine(&host.apply(&["--skip", "network,guests,storage"], ""));
    assert_eq!(host.read("root/etc/network/interfaces"), INSTALLED);
    assert!(!host.path("root/etc/pve/qemu-server").exists());
    assert!(host.path("root/etc/pve/storage.cfg").exists());
}

#[test]
fn guests_restart_only_where_asked() {
    let host = homelab();
    fine(&host.apply(&[], ""));
    host.write("running-111", "");
    fine(&host.apply(&[], ""));
    assert_eq!(host.changes(), [""; 0]);
    fine(&host.apply(&["--restart", "workstation"], ""));
    assert!(
        host.changes()
            .contains(&"qm reboot 111 --timeout 180".to_owned()),
        "{:?}",
        host.changes()
    );
}

#[test]
fn runs_are_kept_tidy_and_events_are_json() {
    let host = homelab();
    let said = host.apply(&["--json"], "");
    fine(&said);
    for line in said.out.lines() {
        let event: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(event["event"].is_string(), "{line}");
    }
    let applied: serde_json::Value =
        serde_json::from_str(&host.read("root/var/lib/moxc/applied.json")).expect("JSON");
    assert_eq!(applied["format"], 1);
    assert_eq!(
        applied["files"]["etc/pve/jobs.cfg"]["text"],
        host.read("tree/proxmox/etc/pve/jobs.cfg")
    );
    let runs = host.path("root/var/lib/moxc/runs");
    let mode = fs::metadata(&runs)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    for day in 1..=25 {
        fs::create_dir(runs.join(format!("202601{day:02}T000000Z"))).expect("a folder");
    }
    host.rebuild(&specs()["homelab"].replace("= \"16 GiB\"", "= \"12 GiB\""));
    fine(&host.apply(&["--only", "guests"], ""));
    assert_eq!(fs::read_dir(&runs).expect("it is there").count(), 20);
}

#[test]
fn the_initial_ram_disk_is_made_anew_only_where_its_files_changed() {
    let made = |host: &FakeHost| {
        host.changes()
            .iter()
            .any(|call| call.starts_with("update-initramfs"))
    };
    let host = homelab();
    fine(&host.apply(&[], ""));
    assert!(made(&host));
    host.rebuild(&specs()["homelab"].replace("= \"16 GiB\"\n", "= \"12 GiB\"\n"));
    // Cut off between the file and what it asks for: the next run still knows.
    failed(&host.apply(&[], "update-initramfs"), "update-initramfs");
    fine(&host.apply(&[], ""));
    assert!(made(&host));
    fine(&host.apply(&[], ""));
    assert!(!made(&host));
}

#[test]
fn what_left_the_spec_goes_unless_somebody_changed_it() {
    let spec = &specs()["homelab"];
    let host = homelab();
    fine(&host.apply(&[], ""));
    let less = spec.replace("arc-max = \"16 GiB\"", "");
    assert_ne!(*spec, less);
    host.rebuild(&less);
    fine(&host.apply(&[], ""));
    assert!(!host.path("root/etc/modprobe.d/zfs.conf").exists());
    let host = homelab();
    fine(&host.apply(&[], ""));
    host.write(
        "root/etc/modprobe.d/zfs.conf",
        "options zfs zfs_arc_max=5\n",
    );
    host.rebuild(&less);
    let said = host.apply(&[], "");
    fine(&said);
    assert!(
        said.err
            .contains("/etc/modprobe.d/zfs.conf is no longer wanted, but somebody has changed it"),
        "{}",
        said.err
    );
    assert!(host.path("root/etc/modprobe.d/zfs.conf").exists());
}

#[test]
fn the_hosts_file_keeps_what_is_the_users() {
    let host = homelab();
    host.write(
        "root/etc/hosts",
        "127.0.0.1 localhost\n10.0.0.9 pve1.home.arpa pve1 # old\n10.0.0.5 nas # mine\n",
    );
    fine(&host.apply(&[], ""));
    assert_eq!(
        host.read("root/etc/hosts"),
        "127.0.0.1 localhost\n192.168.1.10 pve1.home.arpa pve1\n10.0.0.5 nas # mine\n"
    );
}

#[test]
fn a_host_that_starts_from_another_root_is_refused() {
    let host = homelab();
    let other = "root=ZFS=other/ROOT/pve-1 boot=zfs\n";
    host.write("root/etc/kernel/cmdline", other);
    refused(
        &host.apply(&[], ""),
        "this host starts from `root=ZFS=other/ROOT/pve-1`",
    );
    assert_eq!(host.read("root/etc/kernel/cmdline"), other);
}

#[test]
fn somebody_elses_firewall_stays() {
    let cluster = "[OPTIONS]\npolicy_in: DROP\nenable: 1\n\n[IPSET lan]\n\n10.0.0.0/8\n\n[RULES]\n\nIN SSH(ACCEPT) -source +lan\n";
    let host = FakeHost::new(&specs()["bighost"]);
    let nodes = host.path("tree/proxmox/etc/pve/nodes");
    let node = fs::read_dir(nodes)
        .expect("the spec has a firewall")
        .next()
        .expect("a node")
        .expect("an entry")
        .file_name()
        .into_string()
        .expect("UTF-8");
    let own = format!("root/etc/pve/nodes/{node}/host.fw");
    host.write("root/etc/pve/firewall/cluster.fw", cluster);
    host.write(&own, "[OPTIONS]\n\nenable: 1\n");
    let said = host.apply(&["--only", "check,jobs"], "");
    fine(&said);
    assert_eq!(host.read("root/etc/pve/firewall/cluster.fw"), cluster);
    assert_eq!(host.read(&own), "[OPTIONS]\n\nenable: 1\n");
}

#[test]
#[ignore = "needs ifupdown2 and a network namespace; run by tests/run"]
fn a_real_network_changes_is_taken_back_and_survives_a_port_that_is_not_there() {
    let spec = "spec = 1\n[host]\nname = \"pve1\"\nrelease = \"9.1\"\ntimezone = \"Europe/Berlin\"\n\
        [hardware.nics]\nlan = { interface = \"enp1s0\" }\n[network.bridges.vmbr0]\nports = [\"lan\"]\n\
        address = \"192.0.2.11/24\"\ngateway = \"192.0.2.1\"\n";
    let host = FakeHost::new(spec);
    let old = INSTALLED
        .replace("enp5s0", "enp1s0")
        .replace("192.168.1.", "192.0.2.");
    host.write("root/etc/network/interfaces", &old);
    for real in ["ifreload", "ifquery", "ip", "ping"] {
        fs::remove_file(host.path("bin").join(real)).expect("it is there");
    }
    // The system's own Python, for which ifupdown2 is installed, and no other that a user has.
    let path = format!(
        "{}:/usr/sbin:/usr/bin:/sbin:/bin",
        host.path("bin").display()
    );
    let run = |more: &[&str]| -> Said {
        Command::new("bash")
            .arg(crate::program::tests().join("fakes/real-network"))
            .arg(host.path("root"))
            .args(["enp1s0", "bash"])
            .arg(host.path("tree/proxmox/apply.sh"))
            .arg("--root")
            .arg(host.path("root"))
            .arg("--yes")
            .args(more)
            .env("PATH", &path)
            .env("FAKE", host.path("."))
            .env("FAKE_FAIL", "")
            .stdin(Stdio::null())
            .output()
            .expect("bash starts")
            .into()
    };
    let has = |said: &Said, before: &str, after: &str, status: i32| {
        let parts: Vec<&str> = said.out.split("--- ").collect();
        let [_, was, is] = parts[..] else {
            panic!("{}\n{}", said.out, said.err)
        };
        assert!(was.contains(before), "{}\n{}", said.out, said.err);
        assert!(
            is.starts_with(&format!("after {status}\n")),
            "{is}\n{}",
            said.err
        );
        assert!(is.contains(after), "{}\n{}", said.out, said.err);
        assert!(
            is.contains("default via 192.0.2.1 "),
            "{}\n{}",
            said.out,
            said.err
        );
    };
    let said = run(&["--only", "check,network"]);
    if said.status == Some(77) {
        return;
    }
    has(&said, "192.0.2.10/24", "192.0.2.11/24", 0);
    let said = run(&["--undo"]);
    has(&said, "192.0.2.11/24", "192.0.2.10/24", 0);
    assert_eq!(host.read("root/etc/network/interfaces"), old);
    host.rebuild(&spec.replace("enp1s0", "enp9s0"));
    let said = run(&["--only", "check,network"]);
    has(&said, "192.0.2.10/24", "192.0.2.10/24", 1);
    assert!(
        said.err.contains("the network that worked before is back"),
        "{}",
        said.err
    );
    assert_eq!(host.read("root/etc/network/interfaces"), old);
}

// ---------------------------------------------------------------- moxc apply, by ssh

/// A host in use.
pub(crate) fn in_use() -> FakeHost {
    let host = reachable();
    host.write(
        "root/etc/pve/nodes/pve1/qemu-server/103.conf",
        "memory: 2048\nname: winserver\n",
    );
    host.write(
        "root/etc/pve/storage.cfg",
        "dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\nnfs: old-nas\n\tserver 10.0.0.9\n\texport /x\n\tcontent images\n\n",
    );
    host.write(
        "root/etc/network/interfaces",
        &format!("{INSTALLED}\nauto vmbr7\niface vmbr7 inet static\n\taddress 10.7.0.1/24\n\tbridge-ports none\n"),
    );
    host
}

/// A host as its installer left it, whose fake ssh runs what it is sent below its root.
pub(crate) fn reachable() -> FakeHost {
    let host = homelab();
    host.write("root/etc/hostname", "pve1\n");
    host.write("root/.moxc/pveversion", "pve-manager/9.1.2/abc\n");
    host.write("root/etc/pve/nodes/pve1/lxc/.keep", "");
    host.write("root/etc/pve/nodes/pve1/qemu-server/.keep", "");
    std::os::unix::fs::symlink(
        "nodes/pve1/qemu-server",
        host.path("root/etc/pve/qemu-server"),
    )
    .expect("a link");
    std::os::unix::fs::symlink("nodes/pve1/lxc", host.path("root/etc/pve/lxc")).expect("a link");
    let ssh = host.path("bin/ssh");
    fs::write(
        &ssh,
        r#"#!/bin/bash
command=${*: -1}
case $command in
  'sh -s') cat >/dev/null; exec tar -C "$FAKE/root" -cf - . ;;
  touch*) [[ ! -e $FAKE/no-second-connection ]] || exit 255 ;;
  *)
    # The connection goes after so many lines, or behind one with these words: the host's side learns of it by a pipe that
    # nobody reads, or is killed with it.
    if [[ -e $FAKE/cut-after ]]; then
      mkfifo "$FAKE/said"
      (
        MOXC_ROOT=$FAKE/root setsid bash -c "echo \$\$ >\"\$FAKE/session\"; $command" >"$FAKE/said"
        echo "$?" >"$FAKE/ended"
      ) <&0 2>/dev/null &
      most=$(<"$FAKE/cut-after")
      exec 7<"$FAKE/said"
      for ((at = 0; at < most; at++)); do
        IFS= read -r line <&7 || break
        printf '%s\n' "$line" | tee -a "$FAKE/heard"
        if [[ -e $FAKE/cut-at && $line == *"$(<"$FAKE/cut-at")"* ]]; then break; fi
      done
      if [[ -e $FAKE/cut-kills ]]; then kill -KILL -- "-$(<"$FAKE/session")"; fi
      exit 255
    fi
    ;;
esac
MOXC_ROOT=$FAKE/root exec bash -c "$command"
"#,
    )
    .expect("a file");
    fs::set_permissions(ssh, fs::Permissions::from_mode(0o755)).expect("a mode");
    host.write("host.toml", &specs()["homelab"]);
    host
}

/// Calls moxc where `ssh` is the fake.
pub(crate) fn moxc(host: &FakeHost, args: &[&str]) -> Said {
    let path = crate::program::behind(&host.path("bin"));
    let _ = fs::remove_file(host.path("log"));
    Command::new("setsid")
        .args(["--wait", env!("CARGO_BIN_EXE_moxc")])
        .args(args)
        .current_dir(host.path("."))
        .env("PATH", path)
        .env("FAKE", host.path("."))
        .stdin(Stdio::null())
        .output()
        .expect("setsid starts")
        .into()
}

pub(crate) const LIVE: &str = "ssh://root@pve1";

#[test]
fn a_host_in_use_gets_what_is_planned_and_keeps_what_is_its_own() {
    let host = in_use();
    let before = host.files();
    let said = moxc(&host, &["apply", "host.toml", "--live", LIVE]);
    assert_eq!(said.status, Some(3), "{}\n{}", said.out, said.err);
    assert!(said.err.contains("nobody to ask"), "{}", said.err);
    assert_eq!(host.files(), before);
    let said = moxc(&host, &["apply", "host.toml", "--live", LIVE, "--yes"]);
    fine(&said);
    assert!(
        said.err.contains("carries a second connection"),
        "{}",
        said.err
    );
    let after = host.files();
    let interfaces = &after["etc/network/interfaces"];
    assert!(
        interfaces.contains(
            "\nauto vmbr7\niface vmbr7 inet static\n\taddress 10.7.0.1/24\n\tbridge-ports none\n"
        ),
        "{interfaces}"
    );
    assert!(
        interfaces.contains("source /etc/network/interfaces.d/*"),
        "{interfaces}"
    );
    assert!(after["etc/pve/storage.cfg"].contains("nfs: old-nas\n\tserver 10.0.0.9\n"));
    assert_eq!(
        after["etc/pve/nodes/pve1/qemu-server/103.conf"],
        before["etc/pve/nodes/pve1/qemu-server/103.conf"]
    );
    assert!(after.contains_key("etc/pve/nodes/pve1/qemu-server/111.conf"));
    // A second run does nothing.
    let said = moxc(&host, &["apply", "host.toml", "--live", LIVE, "--yes"]);
    fine(&said);
    assert_eq!(host.changes(), [""; 0], "{}", said.out);
    assert_eq!(host.files(), after);
    // And back.
    let said = moxc(&host, &["undo", LIVE, "--yes"]);
    fine(&said);
    let mut back = host.files();
    back.retain(|path, _| !path.ends_with(".conf") || before.contains_key(path));
    assert_eq!(back, before);
}

#[test]
fn a_guest_of_somebody_else_is_refused_until_adopted() {
    let host = in_use();
    host.write(
        "root/etc/pve/nodes/pve1/qemu-server/111.conf",
        "agent: 1\nefidisk0: vm-disks:vm-111-disk-1,efitype=4m,size=1G\nmemory: 2048\nname: old\nscsi0: vm-disks:vm-111-disk-0,size=64G\nwatchdog: model=i6300esb\n",
    );
    let before = host.files();
    let args = [
        "apply",
        "host.toml",
        "--live",
        LIVE,
        "--yes",
        "--only",
        "vm/111",
    ];
    let said = moxc(&host, &args);
    assert_eq!(said.status, Some(3), "{}\n{}", said.out, said.err);
    assert!(
        said.err.contains("guest 111 (old) was not made by moxc"),
        "{}",
        said.err
    );
    assert_eq!(host.files(), before);
    let mut adopted = args.to_vec();
    adopted.extend(["--adopt", "111"]);
    let said = moxc(&host, &adopted);
    fine(&said);
    let config = host.read("root/etc/pve/nodes/pve1/qemu-server/111.conf");
    assert!(config.contains("memory: 16384\n"), "{config}");
    assert!(config.contains("name: workstation\n"), "{config}");
    // An option that moxc never set is not its own.
    assert!(config.contains("watchdog: model=i6300esb\n"), "{config}");
    let said = moxc(&host, &["undo", LIVE, "--yes"]);
    fine(&said);
    assert_eq!(host.files(), before);
}

#[test]
fn what_a_plan_shows_of_a_guest_is_what_is_run() {
    let host = in_use();
    fine(&moxc(
        &host,
        &["apply", "host.toml", "--live", LIVE, "--yes"],
    ));
    let path = "root/etc/pve/nodes/pve1/qemu-server/111.conf";
    // What somebody added is nobody else's.
    let config = host.read(path) + "watchdog: model=i6300esb\n";
    host.write(path, &config);
    let before = host.files();
    let changed = specs()["homelab"]
        .replace("= \"16 GiB\"", "= \"12 GiB\"")
        .replace("size = \"64 GiB\"", "size = \"96 GiB\"");
    host.write("host.toml", &changed);
    let args = ["--live", LIVE, "--only", "vm/111"];
    let plan = moxc(
        &host,
        &[
            &["--message-format", "json", "plan", "host.toml"],
            &args[..],
        ]
        .concat(),
    );
    assert_eq!(plan.status, Some(3), "{}\n{}", plan.out, plan.err);
    let plan: serde_json::Value = serde_json::from_str(&plan.out).expect("JSON");
    let mut shown: Vec<&str> = plan["changes"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|change| change["object"] == "vm/111")
        .flat_map(|change| change["commands"].as_array().expect("a list"))
        .map(|command| command.as_str().expect("a text"))
        .collect();
    shown.sort_unstable();
    let said = moxc(
        &host,
        &[&["apply", "host.toml", "--yes"], &args[..]].concat(),
    );
    fine(&said);
    assert!(
        said.err
            .contains("in force when the guest is restarted (--restart 111): memory"),
        "{}",
        said.err
    );
    let mut run = host.changes();
    run.sort();
    assert_eq!(run, shown);
    assert_eq!(
        run,
        ["qm disk resize 111 scsi0 96G", "qm set 111 --memory 12288"]
    );
    assert!(host.read(path).contains("watchdog: model=i6300esb\n"));
    let said = moxc(&host, &["undo", LIVE, "--yes"]);
    fine(&said);
    assert!(said.err.contains("the size of scsi0 stays"), "{}", said.err);
    let grown = before["etc/pve/nodes/pve1/qemu-server/111.conf"].replace("size=64G", "size=96G");
    assert_eq!(host.read(path), grown);
}

#[test]
fn an_edit_by_hand_stays_and_an_adopted_card_keeps_its_address() {
    let host = in_use();
    host.write(
        "root/etc/pve/nodes/pve1/qemu-server/111.conf",
        "agent: 1\nefidisk0: vm-disks:vm-111-disk-1,efitype=4m,size=1G\nmemory: 2048\nname: old\nnet0: virtio=BC:24:11:AA:BB:CC,bridge=vmbr0\nscsi0: vm-disks:vm-111-disk-0,size=64G\n",
    );
    let args = [
        "apply",
        "host.toml",
        "--live",
        LIVE,
        "--yes",
        "--only",
        "vm/111",
    ];
    fine(&moxc(&host, &[&args[..], &["--adopt", "111"]].concat()));
    let path = "root/etc/pve/nodes/pve1/qemu-server/111.conf";
    let config = host.read(path);
    assert!(config.contains("virtio=BC:24:11:AA:BB:CC"), "{config}");
    assert!(config.contains("memory: 16384\n"), "{config}");
    let edited = config.replace("memory: 16384", "memory: 8192");
    host.write(path, &edited);
    let said = moxc(&host, &args);
    fine(&said);
    assert!(
        said.err.contains("memory is `8192` by hand"),
        "{}",
        said.err
    );
    assert_eq!(host.read(path), edited);
}

#[test]
fn a_host_that_changed_since_the_plan_is_refused() {
    let host = in_use();
    let script = host.path("plan.sh").display().to_string();
    let said = moxc(
        &host,
        &["plan", "host.toml", "--live", LIVE, "--script", &script],
    );
    assert_eq!(said.status, Some(3), "{}\n{}", said.out, said.err);
    host.write(
        "root/etc/pve/storage.cfg",
        "dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\ndir: newer\n\tpath /mnt/newer\n\n",
    );
    let before = host.files();
    let said = host.run(
        "../../plan.sh",
        &["--yes", "--root", &host.path("root").display().to_string()],
        "",
    );
    refused(
        &said,
        "/etc/pve/storage.cfg is not what it was when this was planned",
    );
    assert_eq!(host.files(), before);
}

#[test]
fn a_network_without_a_second_connection_goes_back() {
    let host = in_use();
    host.write("no-second-connection", "");
    let before = host.read("root/etc/network/interfaces");
    // The whole wait would be long: the timer is what counts, and here the script's own end.
    let script = host.path("plan.sh").display().to_string();
    moxc(
        &host,
        &["plan", "host.toml", "--live", LIVE, "--script", &script],
    );
    let root = host.path("root").display().to_string();
    let said = host.run(
        "../../plan.sh",
        &[
            "--yes",
            "--json",
            "--await",
            "--network-timeout",
            "20",
            "--root",
            &root,
        ],
        "",
    );
    assert_eq!(said.status, Some(1), "{}", said.out);
    assert_eq!(host.read("root/etc/network/interfaces"), before);
    let events: Vec<serde_json::Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event"))
        .collect();
    let at = |is: &dyn Fn(&serde_json::Value) -> bool, what: &str| {
        let place = events.iter().position(is);
        place.unwrap_or_else(|| panic!("{what}:\n{}", said.out))
    };
    let says = |text: &'static str| {
        move |event: &serde_json::Value| {
            event["event"] == "failed"
                && event["text"].as_str().is_some_and(|own| own.contains(text))
        }
    };
    // What is left of the guard's time is told, then that it is over, then what became of the network.
    let confirm = at(&|event| event["event"] == "confirm", "confirm");
    let seconds = events[confirm]["seconds"].as_u64().expect("seconds");
    assert!(seconds <= 10, "{seconds}");
    let over = at(&says("nobody confirmed the new network in time"), "over");
    let back = at(&says("the network that worked before is back"), "back");
    assert!(confirm < over && over < back, "{}", said.out);
}

/// What a person is asked at a terminal, and told when the answer is no, or there is none in time.
#[test]
#[ignore = "needs script (Debian: bsdutils); run by tests/run"]
fn a_person_is_told_how_long_the_network_waits_and_what_became_of_it() {
    for (answer, told) in [
        ("y\n", "the new network was not confirmed"),
        ("y\nn\n", "the new network was not confirmed"),
        ("y\ny\n", ""),
    ] {
        let host = homelab();
        let before = host.read("root/etc/network/interfaces");
        let call = format!(
            "bash {} --root {} --network-timeout 25",
            host.path("tree/proxmox/apply.sh").display(),
            host.path("root").display()
        );
        let typed = host.path("typed");
        fs::write(&typed, answer).expect("a file");
        let said = Command::new("bash")
            .args([
                "-c",
                r#"exec script -qec "$0" /dev/null < <(cat "$1"; exec sleep 40 >/dev/null 2>&1)"#,
            ])
            .arg(call)
            .arg(&typed)
            .env("PATH", crate::program::behind(&host.path("bin")))
            .env("FAKE", host.path("."))
            .env("SHELL", "/bin/bash")
            .output()
            .expect("bash starts");
        let out = String::from_utf8_lossy(&said.stdout).into_owned();
        let asked = "Keep it? Without an answer it goes back in ";
        let rest = out.split(asked).nth(1).unwrap_or_else(|| panic!("{out}"));
        let seconds: u32 = rest
            .split(' ')
            .next()
            .and_then(|word| word.parse().ok())
            .expect("seconds");
        assert!((1..=15).contains(&seconds), "{seconds}");
        let is_new = host.read("root/etc/network/interfaces") != before;
        assert_eq!(is_new, told.is_empty(), "{out}");
        if told.is_empty() {
            assert!(!out.contains("is back"), "{out}");
        } else {
            let at = |text: &str| out.find(text).unwrap_or_else(|| panic!("{text}:\n{out}"));
            assert!(
                at(told) < at("the network that worked before is back"),
                "{out}"
            );
        }
        assert!(!host.path("root/var/lib/moxc/network-unconfirmed").exists());
    }
}

/// While a run waits for its confirmation no other one does anything, nor takes its network back.
#[test]
fn a_second_run_waits_for_the_first_and_then_does_nothing() {
    let host = in_use();
    let script = host.path("plan.sh").display().to_string();
    let plan = ["plan", "host.toml", "--live", LIVE, "--script", &script];
    moxc(&host, &plan);
    let first = Command::new("setsid")
        .args([
            "--wait",
            "bash",
            &script,
            "--yes",
            "--await",
            "--network-timeout",
            "120",
        ])
        .arg("--root")
        .arg(host.path("root"))
        .env("PATH", crate::program::behind(&host.path("bin")))
        .env("FAKE", host.path("."))
        .env("FAKE_FAIL", "")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("setsid starts");
    let mark = host.path("root/var/lib/moxc/network-unconfirmed");
    for _ in 0..1200 {
        let run = fs::read_to_string(&mark).unwrap_or_default();
        if run.ends_with('\n') && host.read("root/etc/network/interfaces").contains("vmbr1") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let run = fs::read_to_string(&mark).expect("the first run waits");
    let before = host.files();
    for args in [
        &["apply", "host.toml", "--live", LIVE, "--yes"][..],
        &["undo", LIVE, "--yes"],
    ] {
        refused(&moxc(&host, args), "another run is at it: nothing was done");
        assert_eq!(host.files(), before);
        assert_eq!(fs::read_to_string(&mark).expect("it waits"), run);
    }
    fs::write(format!("{}/confirmed", run.trim_end()), "").expect("a file");
    let said: Said = first.wait_with_output().expect("it ends").into();
    fine(&said);
    assert!(!mark.exists());
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
}

#[test]
fn a_new_cd_leaves_the_boot_order_as_it_is_wanted() {
    let spec = &specs()["homelab"].replace(
        "tpm         = true\n",
        "tpm         = true\nboot        = [\"system\"]\n",
    );
    let one = spec.replace(
        "[\"local:iso/win11.iso\", \"local:iso/virtio-win.iso\"]",
        "[\"local:iso/win11.iso\"]",
    );
    assert_ne!(*spec, one);
    let host = homelab();
    host.rebuild(&one);
    fine(&host.apply(&["--skip", "network"], ""));
    let path = "root/etc/pve/qemu-server/120.conf";
    let boot = |host: &FakeHost| {
        let config = host.read(path);
        let boot = config.lines().find(|line| line.starts_with("boot: "));
        boot.expect("an order").to_owned()
    };
    let before = boot(&host);
    host.rebuild(spec);
    fine(&host.apply(&["--only", "vm/120"], ""));
    assert!(
        host.read(path).contains("virtio-win.iso"),
        "{}",
        host.read(path)
    );
    assert_eq!(boot(&host), before);
    let changes = host.changes();
    assert!(
        changes
            .iter()
            .any(|call| call.starts_with("qm set 120 --boot order=")),
        "{changes:?}"
    );
    fine(&host.apply(&["--only", "vm/120"], ""));
    assert_eq!(host.changes(), [""; 0]);
}

#[test]
fn the_guard_of_the_network_is_a_service_that_sleeps() {
    let host = homelab();
    fine(&host.apply(&["--network-timeout", "90"], ""));
    let changes = host.changes();
    let guard = changes.iter().find(|call| call.starts_with("systemd-run "));
    let guard = guard.expect("a guard");
    assert!(
        guard.contains("ExecStartPre=/bin/sleep 90 --property TimeoutStartSec=infinity"),
        "{guard}"
    );
    let stopped = changes
        .iter()
        .any(|call| call.starts_with("systemctl stop moxc-network-") && call.ends_with(".service"));
    assert!(stopped, "{changes:#?}");
}
