//! Hosts that run, adopted: what the spec says, that it changes nothing, and what is told besides.
//!
//! A host is a file of `tests/adopt`: each of its files behind a line `==== PATH`, a link as `==== PATH -> TARGET`.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::program::{Said, call, tests};

/// The plan of an adopted spec against the host that it was adopted from.
pub(crate) const PLAN: &[&str] = &[
    "plan",
    "host.toml",
    "--live",
    "live",
    "--message-format",
    "json",
];

/// Lays a host out as a folder.
fn lay_out(name: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let text =
        fs::read_to_string(tests().join("adopt").join(format!("{name}.host"))).expect("a host");
    for file in text.split("==== ").filter(|file| !file.is_empty()) {
        let (head, body) = file.split_once('\n').expect("a line with the path");
        let (path, target) = match head.split_once(" -> ") {
            Some((path, target)) => (path, Some(target)),
            None => (head, None),
        };
        let path = folder.path().join("live").join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        match target {
            Some(target) => std::os::unix::fs::symlink(target, path).expect("a link"),
            None => fs::write(path, body).expect("a file"),
        }
    }
    folder
}

fn adopt(folder: &Path, more: &[&str]) -> Said {
    let args: Vec<&str> = ["adopt", "live"].iter().chain(more).copied().collect();
    call(folder, &args)
}

/// Every host that has nothing that the compiler refuses: the spec, and that `plan` finds nothing to change.
#[test]
fn hosts_are_adopted_and_their_specs_change_nothing() {
    for name in ["lvm-thin", "zfs"] {
        let folder = lay_out(name);
        let said = adopt(folder.path(), &[]);
        assert_eq!(said.status, Some(0), "{name}: {}", said.err);
        insta::assert_snapshot!(format!("adopt_{name}"), said.out);
        insta::assert_snapshot!(format!("adopt_{name}_told"), said.err);
        assert_eq!(adopt(folder.path(), &[]).out, said.out, "{name}: twice");
        for more in [&[][..], &["--minimal"]] {
            let args: Vec<&str> = ["-o", "host.toml", "--force", "-q"]
                .iter()
                .chain(more)
                .copied()
                .collect();
            let written = adopt(folder.path(), &args);
            assert_eq!(written.status, Some(0), "{name}: {}", written.err);
            let planned = call(folder.path(), PLAN);
            assert_eq!(
                planned.status,
                Some(0),
                "{name}: {}{}",
                planned.out,
                planned.err
            );
            assert!(
                planned.out.contains("\"changes\":[]"),
                "{name}: {}",
                planned.out
            );
        }
    }
}

/// What moxc runs on a host is read back as the schedules that it came from.
#[test]
fn schedules_are_adopted_from_the_units_that_they_became() {
    const SCHEDULES: &str = r#"
[schedules.rehearse]
task = "backup-rehearsal"
on = "Mon 04:00"
guest = "media-box"
storage = "backups"

[schedules.scrub]
task = "zfs-scrub"
on = "monthly"
pools = ["rpool", "tank"]

[schedules.slow]
task = "zfs-trim"
on = "monthly"
pools = ["tank"]
timeout = "3d"

[schedules.snap]
task = "zfs-snapshot"
on = "hourly"
datasets = ["local-zfs", "tank"]
recursive = true
keep = { hourly = 24, daily = 7 }

[schedules.snap-tank]
task = "zfs-snapshot"
on = "daily"
persistent = false
datasets = ["tank"]
recursive = false

[schedules.test]
task = "smart-test"
on = "weekly"
disks = ["tank-1", "rpool-1"]
kind = "long"

[schedules.tidy]
task = "proxmox-maintenance"
on = "Sat 04:00"

[schedules.trim]
task = "zfs-trim"
on = "weekly"
pools = ["rpool"]

[schedules.update]
task = "proxmox-update"
on = "Sun 04:00"
random-delay = "10m"
reboot = "if-needed"
"#;
    let folder = lay_out("zfs");
    let spec = folder.path().join("host.toml");
    let said = adopt(folder.path(), &[]);
    let without_tools = said.out.find("tools = false").expect("the key");
    let (before, after) = said.out.split_at(without_tools);
    let after = after.split_once('\n').expect("a line").1;
    let email = "email = \"root@example.org\"\n";
    fs::write(&spec, format!("{before}{email}{after}{SCHEDULES}")).expect("a spec");
    let built = call(folder.path(), &["build", "host.toml", "-o", "out", "-q"]);
    assert_eq!(built.status, Some(0), "{}", built.err);
    for own in ["etc/systemd/system", "usr/local/sbin"] {
        let from = folder.path().join("out/zfs1/proxmox").join(own);
        let to = folder.path().join("live").join(own);
        fs::create_dir_all(&to).expect("a folder");
        for file in fs::read_dir(from).expect("a folder of the tree") {
            let file = file.expect("an entry");
            fs::copy(file.path(), to.join(file.file_name())).expect("a file");
        }
    }
    let args = ["-o", "host.toml", "--force", "-q"];
    let said = adopt(folder.path(), &args);
    assert_eq!(said.status, Some(0), "{}", said.err);
    let adopted = fs::read_to_string(&spec).expect("a spec");
    for schedule in SCHEDULES.split("\n\n") {
        let schedule = schedule.trim();
        assert!(adopted.contains(schedule), "{schedule}\n---\n{adopted}");
    }
    assert!(adopted.contains(email), "{adopted}");
    assert!(!adopted.contains("moxc-"), "{adopted}");
    let planned = call(folder.path(), PLAN);
    assert_eq!(planned.status, Some(0), "{}", planned.err);
    assert!(planned.out.contains("\"changes\":[]"), "{}", planned.out);
}

#[test]
fn a_spec_that_is_there_is_not_overwritten() {
    let folder = lay_out("lvm-thin");
    fs::write(folder.path().join("host.toml"), "mine\n").expect("a file");
    let said = adopt(folder.path(), &["-o", "host.toml"]);
    assert_eq!(said.status, Some(2));
    assert!(
        said.err.contains("`host.toml` is there already"),
        "{}",
        said.err
    );
    let text = fs::read_to_string(folder.path().join("host.toml")).expect("a file");
    assert_eq!(text, "mine\n");
}

#[test]
fn what_is_no_host_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = adopt(folder.path(), &[]);
    assert_eq!(said.status, Some(2));
    assert_eq!(said.out, "");
}

/// A fault of the host stands as a comment with its error, the rest is a spec that changes nothing.
#[test]
fn what_the_compiler_refuses_stands_as_a_comment() {
    let folder = lay_out("lvm-thin");
    let path = folder
        .path()
        .join("live/etc/pve/nodes/pve1/qemu-server/102.conf");
    fs::write(
        path,
        "cores: 1\nmemory: 1024\nname: twin\nnet0: virtio=BC:24:11:12:34:56,bridge=vmbr0\nostype: l26\nscsi0: \
         gone:vm-102-disk-0,size=8G\n",
    )
    .expect("a file");
    let said = adopt(folder.path(), &["-o", "host.toml"]);
    assert_eq!(said.status, Some(1), "{}", said.err);
    let text = fs::read_to_string(folder.path().join("host.toml")).expect("a file");
    assert!(text.contains("\n# MOX0106: "), "{text}");
    assert!(
        text.contains("\n# scsi0 = \"gone:vm-102-disk-0,size=8G\"\n"),
        "{text}"
    );
    assert!(
        said.err.contains("stands as a comment: guest 102"),
        "{}",
        said.err
    );
    let planned = call(folder.path(), &["plan", "host.toml", "--live", "live"]);
    assert_eq!(planned.status, Some(0), "{}{}", planned.out, planned.err);
}

/// An option is said by a key that means it, however the host spells it, and nothing stands as a comment.
#[test]
fn every_spelling_of_an_option_is_said() {
    const VM: &str = "boot: order=scsi0\ncores: 4\nmemory: 4096\nname: one\nnuma: 1\nostype: l26\nscsi0: local-lvm:vm-102-disk-0,size=32G\n";
    const CT: &str = "arch: amd64\nhostname: one\nmemory: 512\nostype: debian\nrootfs: local-lvm:vm-102-disk-0,size=8G\nswap: 512\nunprivileged: 1\n";
    for (folder, config, line, said) in [
        ("qemu-server", VM, "affinity: 0-1", "affinity = \"0-1\""),
        ("qemu-server", VM, "shares: 500", "shares = 500"),
        ("qemu-server", VM, "hugepages: any", "hugepages = \"any\""),
        (
            "qemu-server",
            VM,
            "net0: virtio,bridge=vmbr0",
            "bridge = \"vmbr0\"",
        ),
        (
            "qemu-server",
            VM,
            "tpmstate0: local-lvm:vm-102-disk-1,size=4M",
            "version = \"v1.2\"",
        ),
        (
            "qemu-server",
            VM,
            "efidisk0: local-lvm:vm-102-disk-1,efitype=4m,size=4M",
            "efi = {",
        ),
        (
            "qemu-server",
            VM,
            "hostpci0: 0000:00:02.0,mdev=i915-GVTg_V5_4",
            "mdev = \"i915-GVTg_V5_4\"",
        ),
        // Another architecture has a processor and a machine of its own where the file names none.
        ("qemu-server", VM, "arch: aarch64", "type = \"cortex-a57\""),
        ("lxc", CT, "template: 1", "template = true"),
        (
            "lxc",
            CT,
            "net0: name=eth0,bridge=vmbr0,type=veth",
            "bridge = \"vmbr0\"",
        ),
    ] {
        let host = lay_out("lvm-thin");
        let path = format!("live/etc/pve/nodes/pve1/{folder}/102.conf");
        fs::write(host.path().join(path), format!("{config}{line}\n")).expect("a file");
        let adopted = adopt(host.path(), &["-o", "host.toml"]);
        assert_eq!(adopted.status, Some(0), "{line}: {}", adopted.err);
        let text = fs::read_to_string(host.path().join("host.toml")).expect("a file");
        let at = text.find(".one]\n").expect("the guest");
        assert!(text[at..].contains(said), "{line}: {}", &text[at..]);
        assert!(!text[at..].contains("extra"), "{line}: {}", &text[at..]);
        let warned = adopted
            .err
            .contains("warning[MOX0024]: `efi` changes nothing here");
        assert_eq!(
            warned,
            line.starts_with("efidisk0"),
            "{line}: {}",
            adopted.err
        );
        let planned = call(host.path(), PLAN);
        assert_eq!(planned.status, Some(0), "{line}: {}", planned.out);
    }
}

/// A mapping that Proxmox VE drops as it reads the file stays there and is told: it was written into the spec, and the build
/// refused its own file.
#[test]
fn a_mapping_that_proxmox_does_not_read_is_left_to_the_host() {
    let host = lay_out("lvm-thin");
    let folder = host.path().join("live/etc/pve/mapping");
    fs::create_dir_all(&folder).expect("a folder");
    let text = "lxc.cap.drop:\n\nstick\n\nother\n\tmap id=0781:5581,node=pve1\n";
    fs::write(folder.join("usb.cfg"), text).expect("a file");
    let adopted = adopt(host.path(), &["-o", "host.toml"]);
    assert_eq!(adopted.status, Some(0), "{}", adopted.err);
    for said in [
        "etc/pve/mapping/usb.cfg: lxc.cap.drop:: Proxmox VE does not read it",
        "etc/pve/mapping/usb.cfg: stick: Proxmox VE does not read it",
    ] {
        assert!(adopted.err.contains(said), "{}", adopted.err);
    }
    let text = fs::read_to_string(host.path().join("host.toml")).expect("a file");
    assert!(text.contains("map id=0781:5581,node=pve1"), "{text}");
    assert!(!text.contains("stick"), "{text}");
}

/// Two guests that have one port of the host and of which at most one runs: the spec says that they exclude each other.
#[test]
fn guests_with_one_port_exclude_each_other() {
    let host = lay_out("lvm-thin");
    for vmid in [102, 103] {
        let path = format!("live/etc/pve/nodes/pve1/qemu-server/{vmid}.conf");
        let text =
            format!("memory: 1024\nname: with-port-{vmid}\nostype: l26\nserial0: /dev/ttyS0\n");
        fs::write(host.path().join(path), text).expect("a file");
    }
    let adopted = adopt(host.path(), &["-o", "host.toml"]);
    assert_eq!(adopted.status, Some(0), "{}", adopted.err);
    let text = fs::read_to_string(host.path().join("host.toml")).expect("a file");
    assert!(
        text.contains("exclusive-with = [\"with-port-102\"]"),
        "{text}"
    );
}

/// An option of a release that is newer than moxc is no fault: it stands as a comment, and the host keeps it.
#[test]
fn what_moxc_does_not_know_stays_and_is_said() {
    let host = lay_out("lvm-thin");
    for (path, text) in [
        (
            "live/etc/pve/nodes/pve1/qemu-server/102.conf",
            "memory: 1024\nname: one\nostype: l26\nquantum: 3\n",
        ),
        (
            "live/etc/pve/nodes/pve1/lxc/103.conf",
            "arch: amd64\nhostname: two\nmemory: 512\nostype: debian\nquantum: 3\nrootfs: local-lvm:vm-103-disk-0,size=8G\nswap: 0\n",
        ),
    ] {
        fs::write(host.path().join(path), text).expect("a file");
    }
    let adopted = adopt(host.path(), &["-o", "host.toml"]);
    assert_eq!(adopted.status, Some(0), "{}", adopted.err);
    for guest in [102, 103] {
        let said = format!("\n  guest {guest} `quantum`: MOX0108: ");
        assert_eq!(adopted.err.matches(&said).count(), 1, "{}", adopted.err);
    }
    assert!(
        !adopted.err.contains("stands as a comment"),
        "{}",
        adopted.err
    );
    let planned = call(host.path(), PLAN);
    assert_eq!(planned.status, Some(0), "{}", planned.out);
    assert_eq!(
        planned.out.matches("\"option\":\"quantum\"").count(),
        2,
        "{}",
        planned.out
    );
}

/// What stands as a comment is the guest as moxc says it: uncommented and mended it is held by the plan again.
#[test]
fn a_guest_that_stands_as_a_comment_is_mended_there() {
    let folder = lay_out("lvm-thin");
    let path = folder
        .path()
        .join("live/etc/pve/nodes/pve1/qemu-server/102.conf");
    fs::write(
        path,
        "cores: 2\ncpu: kvm32\nbios: ovmf\nmemory: 1024\nname: twin\nnet0: virtio=BC:24:11:12:34:99,bridge=vmbr0\nostype: l26\n",
    )
    .expect("a file");
    let said = adopt(folder.path(), &["-o", "host.toml"]);
    assert_eq!(said.status, Some(1), "{}", said.err);
    let why = "MOX0661: `twin` cannot start: `kvm32` is a processor of 32 bits";
    let told = format!("stands as a comment: guest 102: {why}\n");
    assert!(said.err.contains(&told), "{}", said.err);
    let path = folder.path().join("host.toml");
    let text = fs::read_to_string(&path).expect("a file");
    let (before, from) = text
        .split_once(&format!("# {why}\n# [vms.twin]\n"))
        .expect("the guest");
    let mended: Vec<&str> = from
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .filter(|line| *line != why)
        .collect();
    let mended = format!("{before}[vms.twin]\n{}\n", mended.join("\n"));
    fs::write(&path, mended.replace("\"kvm32\"", "\"kvm64\"")).expect("a file");
    let planned = call(folder.path(), PLAN);
    assert_eq!(planned.status, Some(3), "{}{}", planned.out, planned.err);
    assert_eq!(
        planned.out.matches("\"object\"").count(),
        1,
        "{}",
        planned.out
    );
    assert!(
        planned.out.contains("\"option\":\"cpu.cputype\""),
        "{}",
        planned.out
    );
}

/// The tables of the machine, and what has changed of it since: a card that sits elsewhere has moved.
#[test]
fn hardware_is_known_by_what_it_is() {
    let folder = lay_out("zfs");
    let said = call(folder.path(), &["hardware", "live"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    insta::assert_snapshot!("hardware_zfs", said.out);
    let written = adopt(folder.path(), &["-o", "host.toml", "-q"]);
    assert_eq!(written.status, Some(0), "{}", written.err);
    let compare = |more: &[&str]| {
        let args: Vec<&str> = ["hardware", "live", "host.toml"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        call(folder.path(), &args)
    };
    let same = compare(&[]);
    assert_eq!(same.status, Some(0), "{}{}", same.out, same.err);
    let replace = |path: &str, from: &str, to: &str| {
        let path = folder.path().join("live").join(path);
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replace(from, to)).expect("a file");
    };
    replace(".moxc/lspci", "0000:05:00.0", "0000:06:00.0");
    replace(".moxc/lspci", "IOMMUGroup:\t20", "IOMMUGroup:\t21");
    replace(".moxc/iommu", "20 0000:0c:00.0", "21 0000:0c:00.0");
    replace(".moxc/lsblk.json", "H0002", "H0009");
    replace(
        ".moxc/by-id",
        "ata-EXAMPLE_HDD_4TB_H0002 ",
        "ata-EXAMPLE_HDD_4TB_H0009 ",
    );
    replace(".moxc/lsusb", "10c4:ea60", "10c4:ea61");
    replace(".moxc/meminfo", "65010412", "32505206");
    let differs = compare(&[]);
    assert_eq!(differs.status, Some(3), "{}", differs.err);
    insta::assert_snapshot!("hardware_zfs_changed", differs.out);
    let json = compare(&["--message-format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(value["same"], false);
    let moved = value["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|one| one["what"] == "moved");
    let moved = moved.expect("a card that has moved");
    assert_eq!(moved["before"], "0000:05:00.0");
    assert_eq!(moved["after"], "0000:06:00.0");
    assert!(moved["spec"]["line"].is_number());
}

/// Of two equal cards the address of each says which is which, wherever they sit now.
#[test]
fn equal_cards_are_told_apart_by_their_own_addresses() {
    let folder = tempfile::tempdir().expect("a folder");
    let lay = |places: [&str; 2], names: [&str; 2]| {
        let card = |place: &str| {
            format!(
                "Slot:\t{place}\nClass:\tEthernet controller [0200]\nVendor:\tIntel [8086]\nDevice:\tI225-V [15f3]\n"
            )
        };
        let link = |place: &str, name: &str, mac: &str| {
            format!(
                "{{\"ifname\":\"{name}\",\"address\":\"{mac}\",\"link_type\":\"ether\",\"parentdev\":\"{place}\"}}"
            )
        };
        let moxc = folder.path().join("live/.moxc");
        fs::create_dir_all(&moxc).expect("a folder");
        let [one, two] = [0, 1].map(|at| card(places[at]));
        fs::write(moxc.join("lspci"), format!("{one}\n{two}")).expect("a file");
        let one = link(places[0], names[0], "00:00:5e:00:53:01");
        let two = link(places[1], names[1], "00:00:5e:00:53:02");
        fs::write(moxc.join("ip-link.json"), format!("[{one},{two}]")).expect("a file");
    };
    lay(["0000:05:00.0", "0000:06:00.0"], ["enp5s0", "enp6s0"]);
    let tables = call(folder.path(), &["hardware", "live"]);
    let tables = tables.out.replace("# mac = ", "mac = ");
    let head = "[host]\nname = \"pve\"\nrelease = \"9.1\"\ntimezone = \"UTC\"\n\n";
    fs::write(folder.path().join("host.toml"), format!("{head}{tables}")).expect("a file");
    lay(["0000:06:00.0", "0000:07:00.0"], ["enp6s0", "enp7s0"]);
    let said = call(folder.path(), &["hardware", "live", "host.toml"]);
    assert_eq!(said.status, Some(3), "{}{}", said.out, said.err);
    for line in [
        "pci nic-1 moved: address 0000:05:00.0 → 0000:06:00.0",
        "pci nic-2 moved: address 0000:06:00.0 → 0000:07:00.0",
    ] {
        assert!(said.out.contains(line), "{line}\n{}", said.out);
    }
}

/// What only the host itself shows: a misspelt key of an interface, a volume in two guests, what does not hold yet.
#[test]
fn risks_of_a_host_are_told() {
    let folder = lay_out("zfs");
    let replace = |path: &str, from: &str, to: &str| {
        let path = folder.path().join("live").join(path);
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replace(from, to)).expect("a file");
    };
    replace(
        "etc/network/interfaces",
        "\tbridge-vlan-aware yes\n",
        "\tbridg-vlan-aware yes\n",
    );
    replace(".moxc/ip-addr.json", "192.0.2.20", "192.0.2.99");
    replace(
        "etc/kernel/cmdline",
        "amd_iommu=on",
        "amd_iommu=on pcie_aspm=off",
    );
    let guest = |vmid: u32| format!("etc/pve/nodes/zfs1/qemu-server/{vmid}.conf");
    replace(
        &guest(102),
        "scsi0: local-zfs:vm-102-disk-0,size=8G",
        "scsi0: tank:vm-100-disk-1,size=1T",
    );
    replace(".moxc/zpool-status", "state: ONLINE", "state: DEGRADED");
    let path = guest(101);
    replace(&path, "ostype: win11", "ostype: win11\nonboot = 1");
    let said = adopt(
        folder.path(),
        &["-o", "host.toml", "--message-format", "short"],
    );
    let text = fs::read_to_string(folder.path().join("host.toml")).expect("a spec");
    let lines: Vec<&str> = text.lines().collect();
    for (code, words, line) in [
        (
            "MOX0901",
            "ifupdown2 ignores `bridg-vlan-aware` of `vmbr0`",
            "vmbr0",
        ),
        (
            "MOX0902",
            "the volume tank:vm-100-disk-1 is in guest 102 and in 100",
            "vm-100-disk-1",
        ),
        (
            "MOX0903",
            "the kernel that runs was started without `pcie_aspm=off`",
            "kernel-params",
        ),
        (
            "MOX0904",
            "`vmbr0` does not have its address 192.0.2.20/24",
            "",
        ),
        (
            "MOX0905",
            "changes of guest 100 wait for its next start",
            "",
        ),
        ("MOX0906", "Proxmox VE skips line", "[vms.gaming-pc]"),
        ("MOX0907", "is DEGRADED", "[storage.pools."),
    ] {
        let mark = format!("warning[{code}]: ");
        let told = said
            .err
            .lines()
            .find(|told| told.contains(&mark) && told.contains(words));
        let told = told.unwrap_or_else(|| panic!("{code} {words}\n{}", said.err));
        let number = told
            .split(':')
            .nth(1)
            .and_then(|number| number.parse::<usize>().ok());
        let at = lines[number.expect("a line") - 1];
        assert!(at.contains(line), "{told}\n{at}");
    }
}

/// A VLAN with the way out, before the bridge that takes the interface below it: at the start it is down, and takes no route.
#[test]
fn a_way_out_that_hangs_on_the_order_is_told() {
    let vlan =
        "auto eno1.10\niface eno1.10 inet static\n\taddress 192.0.2.10/24\n\tgateway 192.0.2.1\n\n";
    let bridge = "auto vmbr0\niface vmbr0 inet manual\n\tbridge-ports eno1\n\tbridge-stp off\n\tbridge-fd 0\n\n";
    for (order, is_told) in [([vlan, bridge], true), ([bridge, vlan], false)] {
        let folder = lay_out("lvm-thin");
        let text = format!(
            "auto lo\niface lo inet loopback\n\niface eno1 inet manual\n\n{}",
            order.concat()
        );
        fs::write(folder.path().join("live/etc/network/interfaces"), text).expect("a file");
        let said = adopt(
            folder.path(),
            &["-o", "host.toml", "--message-format", "short"],
        );
        let told = said
            .err
            .contains("warning[MOX0908]: the way out by `eno1.10` is lost");
        assert_eq!(told, is_told, "{}", said.err);
    }
}

/// The disks of a pool are known by what they are, whatever they are called, and what stands together in another way is told.
#[test]
fn pools_are_compared_by_their_disks() {
    let folder = lay_out("zfs");
    let written = adopt(folder.path(), &["-o", "host.toml", "-q"]);
    assert_eq!(written.status, Some(0), "{}", written.err);
    let spec = fs::read_to_string(folder.path().join("host.toml")).expect("a spec");
    let third = "\n[hardware.disks.new]\nkind = \"hdd\"\nsize = \"4 TB\"\ndevice = \"/dev/disk/by-id/ata-NEW\"\n";
    let old = "/dev/disk/by-id/ata-EXAMPLE_HDD_4TB_H000";
    let both = "disks = [\"tank-1\", \"tank-2\"]";
    for (from, to, option, commands, undo) in [
        (
            "ata-EXAMPLE_HDD_4TB_H0002\"",
            "wwn-0x500000000000000b\"",
            None,
            String::new(),
            String::new(),
        ),
        (
            "ata-EXAMPLE_HDD_4TB_H0002\"",
            "ata-OTHER\"",
            Some("disks"),
            format!("zpool replace tank {old}2-part1 /dev/disk/by-id/ata-OTHER"),
            format!("zpool replace tank /dev/disk/by-id/ata-OTHER {old}2-part1"),
        ),
        (
            both,
            "disks = [\"tank-1\", \"tank-2\", \"new\"]",
            Some("disks"),
            format!("zpool attach tank {old}1-part1 /dev/disk/by-id/ata-NEW"),
            "zpool detach tank /dev/disk/by-id/ata-NEW".to_owned(),
        ),
        (
            both,
            "disks = [\"tank-1\", \"tank-2\"]\nlog = { disks = [\"new\"] }",
            Some("log.disks"),
            "zpool add tank log /dev/disk/by-id/ata-NEW".to_owned(),
            "zpool remove tank /dev/disk/by-id/ata-NEW".to_owned(),
        ),
        (
            "layout = \"mirror\"\ndisks = [\"tank-1\"",
            "layout = \"stripe\"\ndisks = [\"tank-1\"",
            Some("layout"),
            String::new(),
            String::new(),
        ),
    ] {
        assert!(spec.contains(from), "{from}");
        fs::write(
            folder.path().join("new.toml"),
            spec.replace(from, to) + third,
        )
        .expect("a file");
        let args = [
            "plan",
            "new.toml",
            "--live",
            "live",
            "--message-format",
            "json",
        ];
        let planned = call(folder.path(), &args);
        let plan: serde_json::Value = serde_json::from_str(&planned.out).expect("JSON");
        let changes = plan["changes"].as_array().expect("a list");
        let Some(option) = option else {
            assert!(changes.is_empty(), "{to}: {}", planned.out);
            continue;
        };
        let [change] = &changes[..] else {
            panic!("{to}: {}", planned.out);
        };
        assert_eq!(change["object"], "pool/tank", "{to}");
        assert_eq!(change["option"], option, "{to}");
        assert_eq!(
            change["commands"][0].as_str().unwrap_or(""),
            commands,
            "{to}"
        );
        assert_eq!(change["undo"][0].as_str().unwrap_or(""), undo, "{to}");
    }
}

/// What few hosts have, and is right all the same: a node with capitals, a device as a mount point, options that bear words of the
/// language, a TPM of the old version, a serial number in percent signs.
#[test]
fn an_odd_host_is_adopted_whole() {
    let folder = lay_out("odd");
    for more in [&[][..], &["--minimal"]] {
        let args = [&["-o", "host.toml", "--force", "-q"], more].concat();
        let written = adopt(folder.path(), &args);
        assert_eq!(written.status, Some(0), "{}", written.err);
        let planned = call(folder.path(), PLAN);
        assert!(planned.out.contains("\"changes\":[]"), "{}", planned.out);
    }
    // A key that only a later release knows is a comment, and the guests of the storage stay.
    let storage = folder.path().join("live/etc/pve/storage.cfg");
    let text = fs::read_to_string(&storage).expect("a file");
    let text = text.replace("\tnodes", "\tkey-of-tomorrow 1\n\tnodes");
    fs::write(&storage, text).expect("a file");
    let written = adopt(folder.path(), &["-o", "host.toml", "--force"]);
    assert_eq!(written.status, Some(0), "{}", written.err);
    let spec = fs::read_to_string(folder.path().join("host.toml")).expect("a spec");
    assert!(spec.contains("\n# key-of-tomorrow = \"1\"\n"), "{spec}");
    assert!(spec.contains("\n[vms.odd]\n"), "{spec}");
    assert!(spec.contains("\n[containers.nas]\n"), "{spec}");
    assert!(spec.contains("\nmp2 = { store = \"disks\""), "{spec}");
}

/// What a sound host is not told.
#[test]
fn a_sound_host_has_no_risks() {
    let folder = lay_out("lvm-thin");
    let said = adopt(folder.path(), &["-o", "host.toml"]);
    assert!(!said.err.contains("[MOX09"), "{}", said.err);
}

/// The nodes of a cluster: a spec of each, of which none changes its node, and what the language has no word for is kept once.
#[test]
fn every_node_of_a_cluster_is_adopted() {
    let folder = lay_out("cluster");
    let said = adopt(folder.path(), &["-o", "fleet"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    let read = |path: &str| fs::read_to_string(folder.path().join(path)).expect("a spec");
    insta::assert_snapshot!("adopt_cluster_fleet", read("fleet/fleet.toml"));
    for node in ["north", "south"] {
        let spec = format!("fleet/hosts/{node}.toml");
        insta::assert_snapshot!(format!("adopt_cluster_{node}"), read(&spec));
        let args = ["plan", &spec, "--live", "live", "--message-format", "json"];
        let planned = call(folder.path(), &args);
        assert_eq!(planned.status, Some(0), "{}{}", planned.out, planned.err);
        assert!(planned.out.contains("\"changes\":[]"), "{}", planned.out);
    }
    // Without a folder, or a copy that says so, nobody knows which node is meant.
    let whole = ["plan", "fleet/fleet.toml", "--live", "live"];
    for args in [&whole[..], &["adopt", "live"]] {
        let said = call(folder.path(), args);
        assert_eq!(said.status, Some(2), "{}", said.err);
    }
}

/// A storage in a pool that only another node has is no part of this one's spec.
#[test]
fn a_pool_of_another_node_is_left_to_its_spec() {
    let folder = lay_out("zfs");
    let pve = folder.path().join("live/etc/pve");
    fs::create_dir_all(pve.join("nodes/other/qemu-server")).expect("a folder");
    let storage = fs::read_to_string(pve.join("storage.cfg")).expect("storages");
    let other = "\nzfspool: fast\n\tpool fast/guests\n\tcontent images,rootdir\n\tnodes other\n\n";
    fs::write(pve.join("storage.cfg"), storage + other).expect("a file");
    let said = adopt(folder.path(), &["-o", "host.toml"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    let told = "etc/pve/storage.cfg: fast: another node's, which has a spec of its own";
    assert!(said.err.contains(told), "{}", said.err);
    let spec = fs::read_to_string(folder.path().join("host.toml")).expect("a spec");
    assert!(!spec.contains("fast"), "{spec}");
    let planned = call(folder.path(), PLAN);
    assert!(planned.out.contains("\"changes\":[]"), "{}", planned.out);
}

/// The specs of a cluster's nodes together are the cluster: their one backup job is of no node.
#[test]
fn the_fleet_of_a_cluster_changes_nothing_there() {
    for node in ["north", "south"] {
        let folder = lay_out("cluster");
        let etc = folder.path().join("live/etc");
        fs::write(etc.join("hostname"), format!("{node}\n")).expect("a name");
        let said = adopt(folder.path(), &["-o", "fleet"]);
        assert_eq!(said.status, Some(0), "{}", said.err);
        let args = [
            "plan",
            "fleet/fleet.toml",
            "--live",
            "live",
            "--message-format",
            "json",
        ];
        let planned = call(folder.path(), &args);
        assert_eq!(planned.status, Some(0), "{}{}", planned.out, planned.err);
        assert!(planned.out.contains("\"changes\":[]"), "{}", planned.out);
        let jobs = fs::read_to_string(folder.path().join("fleet/hosts/south.toml"));
        assert!(jobs.expect("a spec").contains("[schedules.nightly]"));
    }
}

/// A word stands in every place where a host has a secret: nothing that is written or printed holds it.
#[test]
fn no_secret_of_a_host_is_seen() {
    const MARK: &str = "hunter2-never-seen";
    let folder = lay_out("zfs");
    let live = folder.path().join("live");
    let add = |path: &str, text: String| {
        let path = live.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, before + &text).expect("a file");
    };
    let guest = "etc/pve/nodes/zfs1/lxc/110.conf";
    for (path, text) in [
        (guest, format!("lxc.environment: DB_PASSWORD={MARK}\n")),
        (
            "etc/pve/storage.cfg",
            format!("\ncifs: nas\n\tserver nas\n\tshare x\n\tusername a\n\tpassword {MARK}\n\n"),
        ),
        (
            "etc/network/interfaces",
            format!("\niface wlp2s0 inet dhcp\n\twpa-ssid home\n\twpa-psk {MARK}\n"),
        ),
        (
            "etc/systemd/network/wg.netdev",
            format!("[WireGuard]\nPrivateKey={MARK}\n"),
        ),
        (
            "etc/systemd/system/backup.service",
            format!("[Service]\nEnvironment=RESTIC_PASSWORD={MARK}\n"),
        ),
        (
            "etc/apt/sources.list.d/mine.list",
            format!("deb https://me:{MARK}@repo.example/x y\n"),
        ),
        (
            "etc/fstab",
            format!("//nas/x /x cifs username=a,password={MARK} 0 0\n"),
        ),
        (
            "etc/pve/status.cfg",
            format!("influxdb: x\n\tserver x\n\ttoken {MARK}\n"),
        ),
        (
            "etc/pve/notifications.cfg",
            format!("gotify: x\n\tserver x\n\ttoken {MARK}\n"),
        ),
        (
            "etc/pve/domains.cfg",
            format!("ldap: x\n\tbind_dn a\n\tpassword {MARK}\n"),
        ),
        (
            "etc/pve/jobs.cfg",
            format!("\nvzdump: odd\n\tschedule 1:00\n\tall 1\n\tpassword {MARK}\n"),
        ),
        ("etc/pve/priv/token.cfg", MARK.to_owned()),
        ("etc/pve/priv/storage/nas.pw", MARK.to_owned()),
        ("etc/pve/priv/notifications.cfg", MARK.to_owned()),
        ("etc/pve/nodes/zfs1/pve-ssl.key", MARK.to_owned()),
        ("etc/pve/pve-www.key", MARK.to_owned()),
        ("etc/pve/authkey.pub", MARK.to_owned()),
        ("etc/shadow", MARK.to_owned()),
        ("etc/moxc/secrets/nas", MARK.to_owned()),
        (
            "var/lib/moxc/applied.json",
            format!("{{\"password\": \"{MARK}\"}}"),
        ),
    ] {
        add(path, text);
    }
    let seen = |what: &str, text: &str| assert!(!text.contains(MARK), "{what}:\n{text}");
    let adopted = adopt(folder.path(), &["-o", "host.toml"]);
    let spec = fs::read_to_string(folder.path().join("host.toml")).expect("a spec");
    seen("the spec", &spec);
    assert!(!spec.contains("<secret>"), "{spec}");
    seen("what adopt says", &adopted.err);
    for args in [
        &["plan", "host.toml", "--live", "live", "-v"][..],
        PLAN,
        &[
            "plan",
            "host.toml",
            "--live",
            "live",
            "--message-format",
            "sarif",
        ],
        &["plan", "host.toml", "--live", "live", "--markdown"],
        &[
            "plan",
            "host.toml",
            "--live",
            "live",
            "--script",
            "apply.sh",
        ],
        &["hardware", "live"],
        &["hardware", "live", "host.toml"],
        &["graph", "host.toml", "--format", "json"],
        &["build", "host.toml", "-o", "tree"],
    ] {
        let said = call(folder.path(), args);
        seen(&format!("{args:?}"), &said.out);
        seen(&format!("{args:?}"), &said.err);
    }
    let mut open = vec![folder.path().join("tree"), folder.path().join("apply.sh")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let below = fs::read_dir(&path).expect("a folder");
            open.extend(below.map(|entry| entry.expect("an entry").path()));
        } else if let Ok(text) = fs::read(&path) {
            seen(&path.display().to_string(), &String::from_utf8_lossy(&text));
        }
    }
}

/// What people write into `/etc/network/interfaces`, in the language's own words: nothing is kept as text, nothing changes.
#[test]
fn interfaces_of_real_hosts_are_said_in_keys() {
    let files = [
        // Wi-Fi that nobody uses, lines of a port, masks, a policy of its own.
        "iface eno1 inet manual\n\tpost-up /usr/sbin/ethtool -s eno1 wol g\n\niface wlp3s0 inet manual\n\nauto vmbr0\n\
         iface vmbr0 inet static\n\taddress 192.0.2.10\n\tnetmask 255.255.255.0\n\tgateway 192.0.2.1\n\tbridge_ports eno1\n\
         \tbridge_stp off\n\tbridge_fd 0\n\tpost-up ip rule add from 198.51.100.0/24 table 100\n\n\
         iface vmbr0 inet6 static\n\taddress 2001:db8::10\n\tnetmask 64\n\tgateway fe80::1\n",
        // A VLAN by its other name, one as a port with a stanza and one without.
        "iface eno1 inet manual\n\nauto vlan50\niface vlan50 inet static\n\taddress 192.0.2.10/24\n\tgateway 192.0.2.1\n\
         \tvlan-raw-device eno1\n\nauto eno1.60\niface eno1.60 inet manual\n\nauto vmbr60\niface vmbr60 inet manual\n\
         \tbridge-ports eno1.60\n\tbridge-stp off\n\tbridge-fd 0\n#VLAN 60\n\nauto vmbr70\niface vmbr70 inet manual\n\
         \tbridge-ports eno1.70\n\tbridge-stp off\n\tbridge-fd 0\n",
        // A bond by numbers, and a switch that listens.
        "iface eno1 inet manual\n\niface eno2 inet manual\n\niface eno3 inet manual\n\niface eno4 inet manual\n\nauto bond0\n\
         iface bond0 inet manual\n\tbond-slaves eno1 eno2\n\tbond-miimon 100\n\tbond-mode 4\n\tbond-lacp-rate 1\n\
         \tbond-xmit-hash-policy layer3+4\n\nauto vmbr0\niface vmbr0 inet static\n\taddress 192.0.2.10/24\n\tgateway 192.0.2.1\n\
         \tbridge-ports bond0\n\tbridge-stp off\n\tbridge-fd 0\n\nauto vmbr1\niface vmbr1 inet manual\n\tbridge-ports eno3 eno4\n\
         \tbridge-stp on\n\tbridge-fd 4\n\tbridge-ageing 600\n",
    ];
    for text in files {
        let folder = lay_out("lvm-thin");
        let path = folder.path().join("live/etc/network/interfaces");
        let text = format!(
            "auto lo\niface lo inet loopback\n\n{text}\nsource /etc/network/interfaces.d/*\n"
        );
        fs::write(path, &text).expect("a file");
        let args = ["-o", "host.toml", "--minimal"];
        let said = adopt(folder.path(), &args);
        assert!(said.status.is_some(), "{}", said.err);
        let spec = fs::read_to_string(folder.path().join("host.toml")).expect("a spec");
        let (_, network) = spec.split_once("[network]").expect("a network");
        let (network, _) = network.split_once("\n[storage").expect("a storage");
        assert!(
            !network.contains("extra = \"\"\"") && !network.contains("extra = \"iface"),
            "{text}\n{network}"
        );
        let told: Vec<&str> = said
            .err
            .lines()
            .filter(|line| line.contains("interface "))
            .collect();
        assert_eq!(told, [] as [&str; 0], "{text}\n{network}");
        let plan = call(folder.path(), &["plan", "host.toml", "--live", "live"]);
        assert!(
            !plan.out.contains("interface/"),
            "{text}\n{network}\n{}",
            plan.out
        );
    }
}

/// Networks of the kinds that people have, in keys: no raw line, and a plan that leaves every interface as it is.
#[test]
fn networks_are_adopted_in_keys() {
    let text = fs::read_to_string(tests().join("adopt/networks.txt")).expect("networks");
    let mut raw = Vec::new();
    let mut count = 0;
    for network in text.split("==== ").filter(|network| !network.is_empty()) {
        let (name, body) = network.split_once('\n').expect("a line with the name");
        let folder = lay_out("lvm-thin");
        let live = folder.path().join("live");
        for kind in ["lxc", "qemu-server"] {
            fs::remove_dir_all(live.join("etc/pve/nodes/pve1").join(kind)).expect("guests");
        }
        fs::remove_file(live.join("etc/pve/jobs.cfg")).expect("jobs");
        fs::write(live.join("etc/network/interfaces"), body).expect("a file");
        let said = adopt(folder.path(), &["-o", "host.toml", "-q"]);
        assert_eq!(said.status, Some(0), "{name}: {}", said.err);
        let spec = fs::read_to_string(folder.path().join("host.toml")).expect("a spec");
        assert!(!spec.contains("\n# MOX"), "{name}: {spec}");
        count += 1;
        if spec.lines().any(|line| line.starts_with("extra = ")) {
            raw.push(name.to_owned());
        }
        // The line of the host in /etc/hosts is of another address: it stays.
        let planned = call(folder.path(), PLAN);
        assert_eq!(planned.status, Some(0), "{name}: {}", planned.out);
    }
    assert!(count >= 50, "{count}");
    // A VLAN of a bridge as the port of another.
    assert_eq!(raw, ["bridge-on-bridge-vlan"]);
}
