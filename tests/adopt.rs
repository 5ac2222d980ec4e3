//! Hosts that run, adopted: what the spec says, that it changes nothing, and what is told besides.
//!
//! A host is a file of `tests/adopt`: each of its files behind a line `==== PATH`, a link as `==== PATH -> TARGET`.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::program::{Said, call, tests};

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
            let args = [
                "plan",
                "host.toml",
                "--live",
                "live",
                "--message-format",
                "json",
            ];
            let planned = call(folder.path(), &args);
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
    let said = adopt(folder.path(), &["-o", "host.toml"]);
    for words in [
        "ifupdown2 ignores `bridg-vlan-aware`: did you mean `bridge-vlan-aware`?",
        "volume tank:vm-100-disk-1: the guests 100, 102 have it",
        "kernel parameter pcie_aspm=off: the kernel that runs was started without it",
        "192.0.2.20/24 is written down, and it has 192.0.2.99/24 now",
    ] {
        assert!(said.err.contains(words), "{words}\n{}", said.err);
    }
}
