//! What others write into the files that a host's apply changes, and what they changed since: it stays where it is theirs.

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
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    assert_eq!(host.read(&root), edited);
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
