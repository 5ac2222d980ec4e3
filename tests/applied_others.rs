//! What others write into the files that a host's apply changes, and what they changed since: it stays where it is theirs.

use std::fs;

use crate::applied::{LIVE, in_use, moxc, reachable, refused};
use crate::applied_plan::{applied, apply, by_hand, foreign, plan, say, shown};
use crate::system::{FakeHost, fine};

/// A spec with more at its end.
fn add(host: &FakeHost, more: &str) {
    let spec = host.read("host.toml");
    host.write("host.toml", &format!("{spec}\n{more}"));
}

const CLUSTER: &str = "root/etc/pve/firewall/cluster.fw";

#[test]
fn rules_stand_where_the_spec_has_them_and_name_what_was_said_above() {
    let host = in_use();
    host.write(
        CLUSTER,
        "[OPTIONS]\n\nenable: 1\n\n# the house\n[RULES]\n\nIN ACCEPT -p tcp -dport 1 # theirs\nIN ACCEPT -p tcp -dport 22\nIN DROP -p udp\n",
    );
    add(
        &host,
        r#"[keep."etc/pve/firewall/cluster.fw"]
text = """
[OPTIONS]

enable: 1

[ALIASES]

web 192.0.2.7

[IPSET lan]

192.0.2.0/24
192.0.2.128/25

[RULES]

IN ACCEPT -source +lan -p tcp -dport 443
IN ACCEPT -p tcp -dport 22
IN ACCEPT -source web
IN DROP -p udp
"""
"#,
    );
    fine(&apply(&host, &["--skip", "network"]));
    let first = "[OPTIONS]\n\nenable: 1\n\n[ALIASES]\n\nweb 192.0.2.7\n\n[IPSET lan]\n\n192.0.2.0/24\n192.0.2.128/25\n\n\
        # the house\n[RULES]\n\nIN ACCEPT -p tcp -dport 1 # theirs\nIN ACCEPT -source +lan -p tcp -dport 443\n\
        IN ACCEPT -p tcp -dport 22\nIN ACCEPT -source web\nIN DROP -p udp\n";
    assert_eq!(host.read(CLUSTER), first);
    assert_eq!(shown(&plan(&host, &[]), "firewall/cluster"), [""; 0]);
    // An alias has one address, a member and a rule go though others came before them, and rules change places.
    by_hand(
        &host,
        CLUSTER,
        "IN ACCEPT -p tcp -dport 22\n",
        "IN ACCEPT -p tcp -dport 2 # hand\nIN ACCEPT -p tcp -dport 22\n",
    );
    say(&host, "web 192.0.2.7", "web 192.0.2.8");
    say(&host, "192.0.2.128/25\n", "");
    say(
        &host,
        "IN ACCEPT -source web\nIN DROP -p udp\n",
        "IN DROP -p udp\n",
    );
    say(
        &host,
        "IN ACCEPT -source +lan -p tcp -dport 443\nIN ACCEPT -p tcp -dport 22\n",
        "IN ACCEPT -p tcp -dport 22\nIN ACCEPT -source +lan -p tcp -dport 443\n",
    );
    let edited = host.read(CLUSTER);
    fine(&apply(&host, &["--skip", "network"]));
    assert_eq!(
        host.read(CLUSTER),
        "[OPTIONS]\n\nenable: 1\n\n[ALIASES]\n\nweb 192.0.2.8\n\n[IPSET lan]\n\n192.0.2.0/24\n\n\
         # the house\n[RULES]\n\nIN ACCEPT -p tcp -dport 1 # theirs\nIN ACCEPT -p tcp -dport 2 # hand\n\
         IN ACCEPT -p tcp -dport 22\nIN ACCEPT -source +lan -p tcp -dport 443\nIN DROP -p udp\n"
    );
    assert_eq!(shown(&plan(&host, &[]), "firewall/cluster"), [""; 0]);
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    assert_eq!(host.read(CLUSTER), edited);
}

#[test]
fn the_order_that_somebody_gave_to_rules_stays_while_the_spec_has_its_own() {
    let host = in_use();
    add(
        &host,
        "[keep.\"etc/pve/firewall/cluster.fw\"]\ntext = \"\"\"\n[RULES]\n\nIN ACCEPT -p tcp -dport 1\nIN ACCEPT -p tcp -dport 2\n\"\"\"\n",
    );
    fine(&apply(&host, &["--skip", "network"]));
    let moved = "[RULES]\n\nIN ACCEPT -p tcp -dport 2\nIN ACCEPT -p tcp -dport 1\n";
    host.write(CLUSTER, moved);
    let said = apply(&host, &["--skip", "network"]);
    fine(&said);
    assert!(said.err.contains("by hand"), "{}", said.err);
    assert_eq!(host.read(CLUSTER), moved);
}

#[test]
fn the_hosts_own_firewall_is_somebodys_until_the_spec_keeps_it() {
    let host = in_use();
    let path = "root/etc/pve/nodes/pve1/host.fw";
    let theirs =
        "[OPTIONS]\n\nenable: 1\nnf_conntrack_max: 1\n\n[RULES]\n\nIN ACCEPT -p tcp -dport 22\n";
    host.write(path, theirs);
    say(
        &host,
        "[[vms.workstation.network]]\n",
        "[vms.workstation.firewall]\nrules = [{ action = \"accept\", protocol = \"tcp\", port = 22 }]\n\n[[vms.workstation.network]]\n",
    );
    assert_eq!(shown(&plan(&host, &[]), "firewall/host"), [""; 0]);
    fine(&apply(&host, &["--skip", "network"]));
    assert_eq!(host.read(path), theirs);
    add(
        &host,
        "[keep.\"etc/pve/nodes/pve1/host.fw\"]\ntext = \"\"\"\n[OPTIONS]\n\nnf_conntrack_max: 2\n\"\"\"\n",
    );
    fine(&apply(&host, &["--skip", "network"]));
    assert_eq!(host.read(path), theirs.replace("max: 1", "max: 2"));
    assert_eq!(shown(&plan(&host, &[]), "firewall/host"), [""; 0]);
}

#[test]
fn sections_that_the_web_interface_wrote_stay_beside_those_of_the_spec() {
    let host = in_use();
    let (ha, replication) = (
        "root/etc/pve/ha/resources.cfg",
        "root/etc/pve/replication.cfg",
    );
    add(
        &host,
        "[keep.\"etc/pve/ha/resources.cfg\"]\ntext = \"\"\"\nvm: 111\n\tmax_restart 2\n\tstate started\n\nvm: 200\n\tstate started\n\n\"\"\"\n\n\
         [keep.\"etc/pve/replication.cfg\"]\ntext = \"\"\"\nlocal: 111-0\n\ttarget pve2\n\tschedule */15\n\n\"\"\"\n",
    );
    fine(&apply(&host, &["--skip", "network"]));
    // Somebody has HA stop the guest of another node, and adds two of his own.
    by_hand(
        &host,
        ha,
        "vm: 200\n\tstate started\n",
        "vm: 200\n\tstate stopped\n\nct: 300\n\tstate started\n",
    );
    by_hand(
        &host,
        replication,
        "\ttarget pve2\n",
        "\ttarget pve2\n\trate 10\n",
    );
    say(&host, "max_restart 2", "max_restart 3");
    say(&host, "schedule */15", "schedule */30");
    let edited = [host.read(ha), host.read(replication)];
    let planned = plan(&host, &[]);
    assert_eq!(
        shown(&planned, "ha/resources/"),
        [
            "ha/resources/111 max_restart: 2 > 3 (spec)",
            "ha/resources/200 state: stopped > started (host)"
        ]
    );
    assert!(!foreign(&planned, "ha/resources/300").is_empty());
    let said = apply(&host, &["--skip", "network"]);
    fine(&said);
    assert!(
        said.err
            .contains("state of ha/resources/200 is `stopped` by hand, and not `started`"),
        "{}",
        said.err
    );
    assert_eq!(
        host.read(ha),
        edited[0].replace("max_restart 2", "max_restart 3")
    );
    assert_eq!(host.read(replication), edited[1].replace("*/15", "*/30"));
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    assert_eq!([host.read(ha), host.read(replication)], edited);
}

#[test]
fn an_undo_leaves_what_somebody_changed_of_a_guest_since() {
    let host = applied();
    let path = "root/etc/pve/nodes/pve1/lxc/110.conf";
    let memory = |host: &FakeHost| {
        let text = host.read(path);
        let line = text.lines().find(|line| line.starts_with("memory: "));
        line.expect("a line").to_owned()
    };
    let before = memory(&host);
    say(&host, "[\"nixos\", \"services\"]", "[\"one\"]");
    fine(&apply(&host, &["--only", "ct/110"]));
    // What the run set and somebody has set since is not overwritten.
    by_hand(&host, path, "tags: one", "tags: two");
    let after = host.read(path);
    refused(
        &moxc(&host, &["undo", LIVE, "--yes"]),
        "tags of guest 110 was changed since",
    );
    assert_eq!(host.read(path), after);
    // What the run did not touch stays as somebody left it.
    by_hand(&host, path, "tags: two", "tags: one");
    by_hand(
        &host,
        path,
        &before,
        "memory: 777\nmp9: vm-disks:vm-110-disk-9,mp=/hand,size=1G",
    );
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    let back = host.read(path);
    for kept in [
        "memory: 777\n",
        "mp9: vm-disks:vm-110-disk-9,mp=/hand,size=1G\n",
    ] {
        assert!(back.contains(kept), "{kept}:\n{back}");
    }
    assert!(back.contains("tags: nixos;services\n"), "{back}");
}

#[test]
fn a_run_with_a_later_one_is_not_taken_back_before_it() {
    let host = applied();
    let said = moxc(&host, &["undo", LIVE, "--list"]);
    let first = said.out.trim().to_owned();
    say(&host, "[\"nixos\", \"services\"]", "[\"one\"]");
    fine(&apply(&host, &["--only", "ct/110"]));
    let (files, record) = (host.files(), host.read("root/var/lib/moxc/applied.json"));
    refused(
        &moxc(&host, &["undo", LIVE, &first, "--yes"]),
        "came later: take it back first",
    );
    assert_eq!(host.files(), files);
    assert_eq!(host.read("root/var/lib/moxc/applied.json"), record);
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    fine(&moxc(&host, &["undo", LIVE, &first, "--yes"]));
}

#[test]
fn an_interface_of_another_file_is_changed_there_by_hand() {
    let host = in_use();
    host.write(
        "root/etc/network/interfaces.d/lab",
        "auto vmbr8\niface vmbr8 inet static\n\taddress 10.8.0.1/24\n\tbridge-ports none\n",
    );
    add(
        &host,
        "[network.bridges.vmbr8]\nports = []\naddress = \"10.8.0.2/24\"\n",
    );
    let before = host.files();
    refused(
        &apply(&host, &[]),
        "interface/vmbr8 stands in /etc/network/interfaces.d/lab, which moxc leaves alone",
    );
    assert_eq!(host.files(), before);
    say(&host, "10.8.0.2/24", "10.8.0.1/24");
    assert_eq!(shown(&plan(&host, &[]), "interface/vmbr8"), [""; 0]);
    fine(&apply(&host, &["--skip", "network"]));
}

#[test]
fn a_port_that_is_no_longer_forwarded_is_not() {
    let host = applied();
    let nat = "[network.bridges.vmbr5]\nports = []\naddress = \"10.5.0.1/24\"\nnat = \"vmbr0\"\n";
    let forward = |to: &str| format!("forward = [{{ port = 8443, to = \"{to}\" }}]\n");
    add(&host, &format!("{nat}{}", forward("10.5.0.2")));
    fine(&apply(&host, &[]));
    let rules = |host: &FakeHost| -> Vec<String> {
        let calls = host.changes().into_iter();
        calls.filter(|call| call.starts_with("iptables ")).collect()
    };
    assert_eq!(rules(&host), [""; 0]);
    say(&host, "10.5.0.2", "10.5.0.3");
    fine(&apply(&host, &[]));
    let gone = rules(&host);
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert!(
        gone[0].starts_with("iptables -t nat -D PREROUTING ")
            && gone[0].ends_with("--dport 8443 -j DNAT --to-destination 10.5.0.2:8443"),
        "{gone:?}"
    );
    // The undo takes the new one away.
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    let gone = rules(&host);
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert!(
        gone[0].ends_with("--to-destination 10.5.0.3:8443"),
        "{gone:?}"
    );
}

/// A file that is all moxc's goes with its edit only where its owner says so by its name.
#[test]
fn an_edit_of_an_own_file_goes_by_its_name() {
    let host = applied();
    let path = "etc/modprobe.d/zfs.conf";
    let (root, name) = (format!("root/{path}"), format!("file/{path}"));
    let edited = format!(
        "{}# mine\noptions zfs zfs_txg_timeout=9\n",
        host.read(&root)
    );
    host.write(&root, &edited);
    let cache = "root/sys/module/zfs/parameters/zfs_arc_max";
    host.write(cache, "17179869184\n");
    // The spec says what it said: the edit stays.
    let said = apply(&host, &["--skip", "network"]);
    fine(&said);
    assert!(
        said.err.contains("changed by hand and stays"),
        "{}",
        said.err
    );
    assert_eq!(host.read(&root), edited);
    // It changes something of the file.
    say(&host, "arc-max = \"16 GiB\"", "arc-max = \"3 GiB\"");
    let before = host.files();
    refused(
        &apply(&host, &["--skip", "network"]),
        &format!("/{path} was changed by hand, and is written anew: the edit goes"),
    );
    assert_eq!(host.files(), before);
    fine(&apply(&host, &["--skip", "network", "--confirm", &name]));
    assert!(host.read(&root).contains("zfs_arc_max=3221225472"));
    assert!(!host.read(&root).contains("mine"));
    // The running cache follows, there and back.
    assert_eq!(host.read(cache), "3221225472");
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    assert_eq!(host.read(&root), edited);
    assert_eq!(host.read(cache), "17179869184");
}

/// What a spec says of a store is what the host's own word becomes.
#[test]
fn a_store_is_no_longer_disabled_where_the_spec_says_so() {
    let host = in_use();
    let path = "root/etc/pve/storage.cfg";
    let nas = "nfs: nas\n\tdisable\n\texport /volume1/pve\n\tpath /mnt/pve/nas\n\tserver 192.168.1.5\n\tcontent backup\n\n";
    host.write(path, &format!("{}\n{nas}", host.read(path)));
    assert_eq!(shown(&plan(&host, &[]), "storage/nas"), [""; 0]);
    say(
        &host,
        "nas = { kind = \"nfs\",",
        "nas = { kind = \"nfs\", disabled = false,",
    );
    fine(&apply(&host, &["--skip", "network"]));
    assert!(!host.read(path).contains("disable"), "{}", host.read(path));
    assert_eq!(shown(&plan(&host, &[]), "storage/nas"), [""; 0]);
}

/// A raw line of a container may have no value.
#[test]
fn a_raw_line_without_a_value_is_a_line_like_others() {
    let host = applied();
    let path = "root/etc/pve/nodes/pve1/lxc/110.conf";
    say(
        &host,
        "[containers.services]\n",
        "[containers.services]\nlxc = [\"lxc.cap.drop:\"]\n",
    );
    fine(&apply(&host, &["--only", "ct/110"]));
    assert!(
        host.read(path).contains("\nlxc.cap.drop: \n"),
        "{}",
        host.read(path)
    );
    say(
        &host,
        "lxc = [\"lxc.cap.drop:\"]",
        "lxc = [\"lxc.cap.drop:\", \"lxc.cap.keep: chown\"]",
    );
    fine(&apply(&host, &["--only", "ct/110"]));
    assert!(
        host.read(path)
            .contains("lxc.cap.drop: \nlxc.cap.keep: chown\n")
    );
    assert_eq!(shown(&plan(&host, &[]), "ct/110"), [""; 0]);
}

/// The tree's own script knows no names: it leaves to a plan what somebody has edited, of the installer's files, too.
#[test]
fn the_trees_script_leaves_an_edit_to_a_plan() {
    let host = reachable();
    fine(&host.apply(&[], ""));
    let path = "root/etc/modprobe.d/zfs.conf";
    let edited = format!("{}# mine\n", host.read(path));
    host.write(path, &edited);
    say(&host, "arc-max = \"16 GiB\"", "arc-max = \"3 GiB\"");
    host.rebuild(&host.read("host.toml"));
    refused(
        &host.apply(&["--skip", "network"], ""),
        "/etc/modprobe.d/zfs.conf is not as expected",
    );
    assert_eq!(host.read(path), edited);
}

const SERVICES: &str = "root/etc/pve/nodes/pve1/lxc/110.conf";

/// The container becomes one that no run has left. Gives what the record had of it.
fn forget_services(host: &FakeHost) -> serde_json::Value {
    const RECORD: &str = "root/var/lib/moxc/applied.json";
    let mut record: serde_json::Value = serde_json::from_str(&host.read(RECORD)).expect("JSON");
    let files = record["files"].as_object_mut().expect("files");
    let text = files.remove("etc/pve/lxc/110.conf").expect("a record");
    host.write(RECORD, &record.to_string());
    text
}

/// The raw lines of a container that a spec has.
fn say_lines(host: &FakeHost, from: &str, lines: &[&str]) -> String {
    let to = format!("[containers.services]\nlxc = {lines:?}\n");
    say(host, from, &to);
    to
}

fn raw_lines(host: &FakeHost) -> Vec<String> {
    let text = host.read(SERVICES);
    let lines = text.lines().filter(|line| line.starts_with("lxc."));
    lines.map(str::to_owned).collect()
}

/// Each raw line of a container is a thing of its own.
#[test]
fn a_raw_line_by_hand_stays_beside_those_of_the_spec() {
    let host = applied();
    let (a, b, c) = (
        "lxc.mount.entry: /a a none bind",
        "lxc.mount.entry: /b b none bind",
        "lxc.tty.max: 2",
    );
    let said = say_lines(&host, "[containers.services]\n", &[a, b, c]);
    fine(&apply(&host, &["--only", "ct/110"]));
    assert_eq!(raw_lines(&host), [a, b, c]);
    // Somebody adds a line, takes one away, and changes a third.
    let theirs = "lxc.mount.entry: /mine mine none bind";
    by_hand(&host, SERVICES, &format!("{b}\n"), "");
    by_hand(
        &host,
        SERVICES,
        &format!("{a}\n"),
        &format!("{a}\n{theirs}\n"),
    );
    by_hand(&host, SERVICES, c, "lxc.tty.max: 3");
    let edited = host.read(SERVICES);
    let new = "lxc.mount.entry: /new new none bind";
    say_lines(&host, &said, &[new, b, c]);
    let planned = plan(&host, &[]);
    assert_eq!(
        shown(&planned, "ct/110"),
        [
            format!("ct/110 lxc: {a} > - (spec)"),
            format!("ct/110 lxc: - > {new} (spec)"),
            format!("ct/110 lxc: - > {b} (host)"),
            format!("ct/110 lxc: lxc.tty.max: 3 > {c} (host)"),
        ]
    );
    assert!(
        foreign(&planned, "ct/110")
            .iter()
            .any(|own| own.contains(theirs)),
        "{planned}"
    );
    let said = apply(&host, &["--only", "ct/110"]);
    fine(&said);
    assert!(
        said.err
            .contains(&format!("lxc is nothing by hand, and not `{b}`")),
        "{}",
        said.err
    );
    let mut now = raw_lines(&host);
    now.sort();
    assert_eq!(now, [theirs, new, "lxc.tty.max: 3"]);
    // What comes after the run stays at its undo, too.
    by_hand(
        &host,
        SERVICES,
        "lxc.tty.max: 3\n",
        "lxc.tty.max: 3\nlxc.hook.start: /late\n",
    );
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    let mut back = raw_lines(&host);
    back.retain(|line| line != "lxc.hook.start: /late");
    let before: Vec<&str> = edited
        .lines()
        .filter(|line| line.starts_with("lxc."))
        .collect();
    back.sort();
    let mut before = before;
    before.sort_unstable();
    assert_eq!(back, before);
}

/// The tree's own script goes by the same rules, and a run that nobody touched since comes back byte for byte.
#[test]
fn the_trees_script_leaves_a_raw_line_by_hand() {
    let host = reachable();
    let said = say_lines(
        &host,
        "[containers.services]\n",
        &["lxc.mount.entry: /a a none bind", "lxc.tty.max: 2"],
    );
    host.rebuild(&host.read("host.toml"));
    fine(&host.apply(&[], ""));
    let theirs = "lxc.mount.entry: /mine mine none bind";
    by_hand(
        &host,
        SERVICES,
        "lxc.tty.max: 2",
        &format!("{theirs}\nlxc.tty.max: 2"),
    );
    let edited = host.read(SERVICES);
    say_lines(
        &host,
        &said,
        &["lxc.mount.entry: /b b none bind", "lxc.tty.max: 3"],
    );
    host.rebuild(&host.read("host.toml"));
    fine(&host.apply(&["--skip", "network"], ""));
    assert_eq!(
        raw_lines(&host),
        [theirs, "lxc.mount.entry: /b b none bind", "lxc.tty.max: 3"]
    );
    by_hand(&host, SERVICES, "lxc.tty.max: 3", "lxc.tty.max: 5");
    refused(
        &crate::applied::undo(&host, &[]),
        "lxc.tty.max was changed since",
    );
    by_hand(&host, SERVICES, "lxc.tty.max: 5", "lxc.tty.max: 3");
    fine(&crate::applied::undo(&host, &[]));
    assert_eq!(host.read(SERVICES), edited);
    // One key has one line: another value by hand is in the way of another one of the spec.
    by_hand(&host, SERVICES, "lxc.tty.max: 2", "lxc.tty.max: 9");
    refused(
        &host.apply(&["--skip", "network"], ""),
        "lxc.tty.max is `lxc.tty.max: 9`, and the spec says `lxc.tty.max: 3`",
    );
}

/// A value with parts: what somebody changed of them stays, where the spec changes another one.
#[test]
fn an_edit_in_a_value_of_parts_stays_beside_a_change_of_the_spec() {
    let host = in_use();
    let (mapping, jobs, datacenter) = (
        "root/etc/pve/mapping/pci.cfg",
        "root/etc/pve/jobs.cfg",
        "root/etc/pve/datacenter.cfg",
    );
    add(
        &host,
        "[keep.\"etc/pve/datacenter.cfg\"]\ntext = \"\"\"\nmigration: network=10.20.0.0/24,type=secure\n\"\"\"\n",
    );
    fine(&apply(&host, &["--skip", "network"]));
    by_hand(&host, mapping, "path=0000:03:00.0", "path=0000:04:00.0");
    by_hand(&host, jobs, "keep-daily=7,", "keep-daily=9,");
    by_hand(&host, datacenter, "10.20.0.0/24", "10.30.0.0/24");
    let edited = [mapping, jobs, datacenter].map(|path| host.read(path));
    say(&host, "id = \"1022:149c\"", "id = \"1022:149d\"");
    say(&host, "weekly = 4, monthly = 6", "weekly = 5, monthly = 6");
    say(&host, "type=secure", "type=insecure");
    let planned = plan(&host, &[]);
    for (object, part) in [
        (
            "mapping/pci/usb",
            "map.path: 0000:04:00.0 > 0000:03:00.0 (host)",
        ),
        (
            "job/nightly-backup",
            "prune-backups.keep-daily: 9 > 7 (host)",
        ),
        (
            "file/etc/pve/datacenter.cfg",
            "migration.network: 10.30.0.0/24 > 10.20.0.0/24 (host)",
        ),
    ] {
        let all = shown(&planned, object);
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all.contains(&format!("{object} {part}")), "{all:?}");
        assert!(all.iter().any(|one| one.ends_with("(spec)")), "{all:?}");
    }
    let said = apply(&host, &["--skip", "network"]);
    fine(&said);
    assert!(
        said.err.contains(
            "map.path of mapping/pci/usb is `0000:04:00.0` by hand, and not `0000:03:00.0`"
        ),
        "{}",
        said.err
    );
    let now = [mapping, jobs, datacenter].map(|path| host.read(path));
    assert_eq!(
        now,
        [
            edited[0].replace("id=1022:149c", "id=1022:149d"),
            edited[1].replace("keep-weekly=4", "keep-weekly=5"),
            edited[2].replace("type=secure", "type=insecure"),
        ]
    );
    let planned = plan(&host, &["--skip", "network"]);
    for object in [
        "mapping/pci/usb",
        "job/nightly-backup",
        "file/etc/pve/datacenter.cfg",
    ] {
        let all = shown(&planned, object);
        assert!(all.len() == 1 && all[0].ends_with("(host)"), "{all:?}");
    }
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    assert_eq!(
        [mapping, jobs, datacenter].map(|path| host.read(path)),
        edited
    );
    // A device that somebody added to the node's is no business of a change of another one.
    by_hand(
        &host,
        mapping,
        "path=0000:04:00.0\n",
        "path=0000:03:00.0\n\tmap id=1022:149c,iommugroup=22,node=pve1,path=0000:05:00.0\n",
    );
    fine(&apply(&host, &["--only", "file/etc/pve/mapping/pci.cfg"]));
    let now = host.read(mapping);
    for line in [
        "id=1022:149c,iommugroup=22,node=pve1,path=0000:05:00.0",
        "id=1022:149d,",
    ] {
        assert!(now.contains(line), "{now}");
    }
}

/// What a run made and its undo leaves is known as it was left: the next run goes on with it.
#[test]
fn a_guest_that_stays_at_an_undo_is_known_afterwards() {
    let host = in_use();
    fine(&apply(&host, &["--skip", "network"]));
    let record = |host: &FakeHost| -> serde_json::Value {
        serde_json::from_str(&host.read("root/var/lib/moxc/applied.json")).expect("JSON")
    };
    let path = "etc/pve/lxc/110.conf";
    let before = record(&host)["files"][path].clone();
    assert!(before["text"].is_string(), "{before}");
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    let known = record(&host);
    assert_eq!(known["files"][path], before);
    assert!(known["files"]["etc/pve/jobs.cfg"].is_null(), "{known}");
    // What leaves the spec goes by it, as of a guest that no undo has seen.
    say(&host, "tags        = [\"nixos\", \"services\"]\n", "");
    assert_eq!(
        shown(&plan(&host, &[]), "ct/110"),
        ["ct/110 tags: nixos;services > - (spec)"]
    );
    fine(&apply(&host, &["--skip", "network"]));
    assert!(
        !host.read(SERVICES).contains("tags:"),
        "{}",
        host.read(SERVICES)
    );
    assert_eq!(shown(&plan(&host, &[]), "ct/110"), [""; 0]);
}

/// Of a guest that is taken over, a key of its raw lines becomes what the spec says of it: no container starts with half of
/// another table of IDs.
#[test]
fn a_raw_key_of_a_guest_that_is_taken_over_is_the_specs() {
    let host = applied();
    forget_services(&host);
    let (old, theirs) = (
        "lxc.cap.drop: sys_time",
        "lxc.mount.entry: /mine mine none bind",
    );
    let there = format!("{}{old}\n{theirs}\n", host.read(SERVICES));
    host.write(SERVICES, &there);
    let new = ["lxc.cap.drop: sys_boot", "lxc.cap.drop: sys_nice"];
    say(
        &host,
        "[containers.services]\n",
        &format!("[containers.services]\nlxc = {new:?}\n"),
    );
    fine(&apply(&host, &["--skip", "network", "--adopt", "110"]));
    let text = host.read(SERVICES);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("lxc."))
        .collect();
    assert_eq!(lines, [theirs, new[0], new[1]]);
    fine(&apply(&host, &["--skip", "network"]));
    assert_eq!(host.read(SERVICES), text);
}

/// A guest that is locked keeps all that it has: what the spec says is a change of the spec's in the next plan, too, and
/// comes once the lock is gone.
#[test]
fn what_is_refused_of_a_locked_guest_comes_once_the_lock_is_gone() {
    for adopts in [true, false] {
        let host = applied();
        let theirs = "lxc.tty.max: 3";
        let free = format!("{}{theirs}\n", host.read(SERVICES));
        if adopts {
            forget_services(&host);
        }
        host.write(SERVICES, &format!("{free}lock: backup\n"));
        say(&host, "= \"8 GiB\"", "= \"6 GiB\"");
        let mine = "lxc.mount.entry: /new new none bind";
        say_lines(&host, "[containers.services]\n", &[mine]);
        let args: &[&str] = if adopts { &["--adopt", "110"] } else { &[] };
        for _ in 0..2 {
            let said = apply(&host, args);
            fine(&said);
            for told in [
                "memory is `8192` and stays until the guest is shut down, unlocked or unprotected: Proxmox VE refuses `6144` as it is".to_owned(),
                format!("lxc stays unset until the guest is shut down, unlocked or unprotected: Proxmox VE refuses `{mine}` as it is"),
            ] {
                assert!(said.err.contains(&told), "{told}: {}", said.err);
            }
            assert_eq!(host.read(SERVICES), format!("{free}lock: backup\n"));
        }
        host.write(SERVICES, &free);
        let cause = |change: &str| format!("ct/110 {change} (spec)");
        assert_eq!(
            shown(&plan(&host, &[]), "ct/110"),
            [
                cause(&format!("lxc: - > {mine}")),
                cause("memory: 8192 > 6144")
            ],
            "{adopts}"
        );
        fine(&apply(&host, &[]));
        assert_eq!(raw_lines(&host), [theirs, mine], "{adopts}");
        assert!(host.read(SERVICES).contains("memory: 6144\n"));
        assert_eq!(shown(&plan(&host, &[]), "ct/110"), [""; 0]);
    }
}

/// What a run has made stays at its undo; what it only began to make may be there or not.
#[test]
fn what_was_only_begun_is_not_said_to_stay() {
    let host = applied();
    let spec = host.read("host.toml");
    let more = "[storage.datasets.more]\npool = \"rpool\"\nuse = \"vm-disks\"\n";
    host.write("host.toml", &format!("{spec}\n{more}"));
    host.write("fail", "zfs create");
    let said = apply(&host, &["--only", "pools"]);
    assert_eq!(said.status, Some(1), "{}\n{}", said.out, said.err);
    let told = |end: &str| {
        let said = moxc(&host, &["undo", LIVE, "--dry-run"]);
        fine(&said);
        let lines = said.err.lines();
        let about: Vec<&str> = lines
            .filter(|line| line.starts_with("what `zfs create "))
            .collect();
        assert_eq!(about.len(), 1, "{}", said.err);
        assert!(about[0].ends_with(end), "{}", about[0]);
    };
    told("` makes may be there: the run ended before that was done");
    fs::remove_file(host.path("fail")).expect("it is there");
    fine(&apply(&host, &["--only", "pools"]));
    told("rpool/more` makes stays");
}

/// Proxmox VE's Perl writes a letter up to `ÿ` as one byte where nothing else encodes it.
#[test]
fn a_letter_that_proxmox_ve_wrote_as_one_byte_is_that_letter() {
    let host = applied();
    let vm = "root/etc/pve/nodes/pve1/qemu-server/111.conf";
    let extra = |user: &str| format!("[vms.workstation.extra]\nciuser = \"{user}\"\n");
    let spec = host.read("host.toml");
    host.write("host.toml", &format!("{spec}\n{}", extra("jörg")));
    fine(&apply(&host, &["--only", "vm/111"]));
    assert!(host.read(vm).contains("ciuser: jörg\n"));
    let mut bytes = host.read(vm).into_bytes();
    let at = bytes.windows(2).position(|two| two == "ö".as_bytes());
    let at = at.expect("it is there");
    bytes.splice(at..at + 2, [0xf6]);
    fs::write(host.path(vm), &bytes).expect("a file");
    assert_eq!(shown(&plan(&host, &[]), "vm/111"), [""; 0]);
    fine(&apply(&host, &["--only", "vm/111"]));
    assert_eq!(fs::read(host.path(vm)).expect("a file"), bytes);
    say(&host, "jörg", "jürgen");
    let changes = shown(&plan(&host, &[]), "vm/111");
    assert_eq!(changes, ["vm/111 ciuser: jörg > jürgen (spec)"]);
    fine(&apply(&host, &["--only", "vm/111"]));
    assert!(host.read(vm).contains("ciuser: jürgen\n"));
}

/// A guest that a run made and could not note is its own, though there is nothing to change of it.
#[test]
fn a_guest_that_a_run_made_and_did_not_note_is_noted_by_the_next() {
    let host = applied();
    let path = "etc/pve/lxc/110.conf";
    let text = Some(forget_services(&host));
    let noted = |by: &str| {
        host.write("root/var/lib/moxc/making/110.conf", by);
        fine(&apply(
            &host,
            &["--restart", "services", "--skip", "network"],
        ));
        let now: serde_json::Value =
            serde_json::from_str(&host.read("root/var/lib/moxc/applied.json")).expect("JSON");
        now["files"].get(path).cloned()
    };
    // Somebody else has the number by now.
    assert_eq!(noted("another"), None);
    assert_eq!(noted("services"), text);
    assert!(!host.path("root/var/lib/moxc/making/110.conf").exists());
}

/// A device that is not there is found before the first step, and an undo tells what was made and no more.
#[test]
fn a_device_that_is_not_there_is_told_before_anything_is_done() {
    let host = in_use();
    say(&host, "release  = \"8.1\"", "release  = \"9.1\"");
    fine(&apply(&host, &["--skip", "network"]));
    say(
        &host,
        "[containers.services]\n",
        "[containers.services]\ndevices = [\"/dev/ttyUSB0\"]\n",
    );
    say(&host, "{ cores = 4 }", "{ cores = 3 }");
    let before = host.files();
    refused(
        &apply(&host, &[]),
        "guest 110 is given /dev/ttyUSB0 (dev0), which is not there",
    );
    assert_eq!(host.files(), before);
    host.write("root/dev/ttyUSB0", "");
    fine(&apply(&host, &[]));
    assert!(
        host.read(SERVICES).contains("dev0: "),
        "{}",
        host.read(SERVICES)
    );
}

/// What a guest is given and the host does not have now is told beforehand: the rest of the run needs none of it.
#[test]
fn a_folder_or_a_card_that_is_not_there_is_told_beforehand() {
    let host = in_use();
    host.write("root/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
    say(
        &host,
        "[[containers.services.network]]\n",
        "[containers.services.mounts]\nmedia = { host-path = \"/srv/media\", path = \"/media\" }\n\n\
         [[containers.services.network]]\n",
    );
    let notes = || {
        let said = moxc(
            &host,
            &[
                "apply",
                "host.toml",
                "--live",
                LIVE,
                "--dry-run",
                "--skip",
                "network",
            ],
        );
        fine(&said);
        let told = |line: &&str| line.contains("is not there now");
        said.err
            .lines()
            .filter(told)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        notes(),
        [
            "/etc/pve/mapping/pci.cfg: the device 0000:03:00.0 is not there now: a guest that gets it does not start",
            "guest 110 (services): mp0 is the folder /srv/media, which is not there now: without it the guest is not made, and \
             does not start",
        ]
    );
    fs::create_dir_all(host.path("root/srv/media")).expect("a folder");
    host.write("root/sys/bus/pci/devices/0000:03:00.0/vendor", "0x1022\n");
    assert_eq!(notes(), Vec::<String>::new());
}

/// What Proxmox VE holds a mapping to, and the spec does not say, is taken from the device.
#[test]
fn a_mapping_holds_the_group_and_the_subsystem_of_its_device() {
    let host = in_use();
    say(&host, "release  = \"8.1\"", "release  = \"9.1\"");
    say(&host, ", iommu-group = 21 }", " }");
    let devices = "root/sys/bus/pci/devices";
    for (device, group) in [("0000:01:00.0", 15), ("0000:03:00.0", 23)] {
        host.write(&format!("{devices}/{device}/subsystem_vendor"), "0x1462\n");
        host.write(&format!("{devices}/{device}/subsystem_device"), "0x7c34\n");
        std::os::unix::fs::symlink(
            format!("../../../../kernel/iommu_groups/{group}"),
            host.path(&format!("{devices}/{device}/iommu_group")),
        )
        .expect("a link");
    }
    fine(&apply(&host, &["--skip", "network"]));
    let mappings = host.read("root/etc/pve/mapping/pci.cfg");
    assert!(
        mappings.contains("path=0000:03:00.0,iommugroup=23,subsystem-id=1462:7c34\n"),
        "{mappings}"
    );
    assert!(mappings.contains(",subsystem-id=1462:7c34\n"), "{mappings}");
    assert_eq!(shown(&plan(&host, &[]), "mapping/"), Vec::<String>::new());
    // What was filled in is no edit by hand: the mapping goes with the device.
    say(
        &host,
        "[\"gpu\", \"gpu-audio\", \"usb\"]",
        "[\"gpu\", \"gpu-audio\"]",
    );
    fine(&apply(&host, &["--skip", "network"]));
    let mappings = host.read("root/etc/pve/mapping/pci.cfg");
    assert!(!mappings.contains("03:00.0"), "{mappings}");
}

/// A job that was there before moxc does not say what is so anyway: that is no edit of it.
#[test]
fn a_default_that_a_section_leaves_out_is_no_edit() {
    let host = in_use();
    fine(&apply(&host, &["--skip", "network"]));
    let jobs = "root/etc/pve/jobs.cfg";
    let short = host.read(jobs).replace("\tenabled 1\n", "");
    host.write(jobs, &short);
    assert_eq!(shown(&plan(&host, &[]), "job/"), Vec::<String>::new());
    say(
        &host,
        "on      = \"Sun 12:00\"\n",
        "on      = \"Sun 13:00\"\n",
    );
    let spec = host.read("host.toml");
    let (before, rest) = spec
        .split_once("[schedules.local-backup]")
        .expect("it has one");
    let (_, behind) = rest.split_once("\n\n").expect("others follow");
    host.write("host.toml", &format!("{before}{behind}"));
    let changes = plan(&host, &[]);
    let gone = shown(&changes, "job/local-backup");
    assert!(gone.len() == 1 && gone[0].ends_with("(spec)"), "{gone:?}");
    let changed = shown(&changes, "job/offsite-backup");
    assert_eq!(
        changed,
        ["job/offsite-backup schedule: sun 12:00 > sun 13:00 (spec)"]
    );
    fine(&apply(&host, &["--skip", "network"]));
    assert!(
        !host.read(jobs).contains("local-backup"),
        "{}",
        host.read(jobs)
    );
}

/// The beginning of the spec of a new host.
const NEW_HOST: &str = r#"
spec = 1
[host]
name = "pve1"
domain = "home.arpa"
platform = "proxmox"
release = "9.1"
timezone = "UTC"
"#;

/// The way out may stand in raw lines alone: the node's name stands for its address, and it has to be up after a change.
#[test]
fn the_address_of_a_raw_stanza_is_the_hosts_own() {
    let spec = NEW_HOST.to_owned()
        + r#"[network]
extra = """
auto vmbr0
iface vmbr0 inet static
	address 192.0.2.10
	netmask 255.255.255.0
	gateway 192.0.2.1
	bridge-ports none
"""
[network.bridges.vmbr1]
address = "10.0.0.1/24"
"#;
    let files = crate::system::emit("host.toml", &spec, &[]);
    let script = crate::system::text(&files, "proxmox/apply.sh");
    let mut lines = script.lines().map(str::trim_start);
    let mut line = |verb: &str| lines.find(|line| line.starts_with(verb));
    assert_eq!(
        line("hosts_line '"),
        Some("hosts_line '192.0.2.10 pve1.home.arpa pve1' '10.0.0.1 192.0.2.10'")
    );
    let network = line("network etc").expect("a step");
    for word in ["vmbr1=10.0.0.1/24 vmbr0=192.0.2.10/24", " 192.0.2.1 "] {
        assert!(network.contains(word), "{network}");
    }
    // Where a server gives the address, only the host knows it.
    let given = spec.replace(
        "inet static\n\taddress 192.0.2.10\n\tnetmask 255.255.255.0\n\tgateway 192.0.2.1",
        "inet dhcp",
    );
    assert_ne!(given, spec);
    let files = crate::system::emit("host.toml", &given, &[]);
    let script = crate::system::text(&files, "proxmox/apply.sh");
    assert!(
        !script.lines().any(|line| line.starts_with("hosts_line ")),
        "{script}"
    );
}

/// What another node alone has is not made here.
#[test]
fn a_store_of_another_node_is_not_made() {
    let spec = NEW_HOST.to_owned()
        + r#"[hardware.disks]
ssd0 = { kind = "ssd", size = "1 TB", device = "/dev/disk/by-id/ata-EXAMPLE_1TB_0001" }
ssd1 = { kind = "ssd", size = "1 TB", device = "/dev/disk/by-id/ata-EXAMPLE_1TB_0002" }
[storage.pools.tank]
layout = "stripe"
disks = ["ssd0"]
[storage.datasets]
here = { pool = "tank", use = "vm-disks", nodes = "PVE1,pve2" }
there = { pool = "tank", use = "containers", nodes = "pve2" }
[storage.lvm]
bulk = { group = "bulk", disks = ["ssd1"], use = "vm-disks", nodes = "pve2" }
[storage.external]
usb = { kind = "dir", path = "/mnt/usb", device = "/dev/disk/by-label/usb", fs = "ext4", use = ["backups"], nodes = "pve2" }
"#;
    let files = crate::system::emit("host.toml", &spec, &[]);
    let script = crate::system::text(&files, "proxmox/storage/create.sh");
    let calls: Vec<&str> = script
        .lines()
        .filter(|line| line.starts_with("make_dataset ") || line.starts_with("make_group "))
        .collect();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert!(calls[0].starts_with("make_dataset tank/here"), "{calls:?}");
    assert!(
        !files
            .iter()
            .any(|file| file.path.as_str().ends_with(".mount")),
        "a mount"
    );
    // Proxmox VE is told of them all: they are the other node's there.
    let stores = crate::system::text(&files, "proxmox/etc/pve/storage.cfg");
    for name in ["zfspool: here", "zfspool: there", "lvm: bulk", "dir: usb"] {
        assert!(stores.contains(name), "{stores}");
    }
}
