//! The images of NixOS guests, which their flake builds, on their way into a run.

use std::fs;

use crate::applied::{LIVE, homelab, moxc, reachable, refused};
use crate::program::Said;
use crate::system::{FakeHost, fine};

const TEMPLATE: &str = "root/var/lib/vz/template/cache/nixos-lxc.tar.xz";

fn apply(host: &FakeHost, more: &[&str]) -> Said {
    let args = ["apply", "host.toml", "--live", LIVE, "--skip", "network"];
    moxc(host, &[&args[..], more].concat())
}

/// A host without the template, and what `nix build` has left beside the spec.
fn with_images() -> FakeHost {
    let host = reachable();
    fs::remove_file(host.path(TEMPLATE)).expect("it is there");
    host.write("result-services/nixos-lxc.tar.xz", "a whole system\n");
    host.write("result/workstation.qcow2", "a whole disk\n");
    host
}

fn call<'a>(log: &'a str, begin: &str) -> &'a str {
    log.lines()
        .find(|line| line.starts_with(begin))
        .unwrap_or_else(|| panic!("no `{begin}`:\n{log}"))
}

fn left_on_the_way(host: &FakeHost) -> usize {
    fs::read_dir(host.path("root/var/lib/moxc/images")).map_or(0, Iterator::count)
}

#[test]
fn what_builds_an_image_is_told_by_name() {
    let host = with_images();
    let said = apply(&host, &["--yes"]);
    refused(
        &said,
        "guest 110 needs the template local:vztmpl/nixos-lxc.tar.xz, which is not there: \
         `nix build .#services-image` in its flake builds it, and --image services=FILE brings it",
    );
    for line in [
        "guest 110 (services) is made of its image: `nix build .#services-image`",
        "guest 111 (workstation) is made of its image: `nix build .#workstation-image`",
        "its disk scsi0 is made empty: `nix build .#workstation-image`",
    ] {
        assert!(said.err.contains(line), "{line}\n{}", said.err);
    }
    let plan = moxc(&host, &["plan", "host.toml", "--live", LIVE]);
    assert!(
        plan.err.contains("`nix build .#services-image`"),
        "{}",
        plan.err
    );
}

#[test]
fn images_are_sent_and_guests_made_of_them() {
    let host = with_images();
    let images = [
        "--image",
        "services=result-services",
        "--image",
        "111=result/workstation.qcow2",
    ];
    let dry = apply(&host, &[&images[..], &["--dry-run"]].concat());
    fine(&dry);
    assert!(!host.path(TEMPLATE).exists());
    assert_eq!(left_on_the_way(&host), 0);
    let said = apply(&host, &[&images[..], &["--yes"]].concat());
    fine(&said);
    assert_eq!(host.read(TEMPLATE), "a whole system\n");
    let log = host.read("log");
    let made = call(&log, "qm create 111");
    let import = format!(
        ":0,import-from={},",
        host.path("root/var/lib/moxc/images/given-111-scsi0.qcow2")
            .display()
    );
    assert!(made.contains(&import), "{made}");
    // It grows from the image's size to the spec's.
    call(&log, "qm disk resize 111 scsi0 64G");
    call(&log, "pct create 110 local:vztmpl/nixos-lxc.tar.xz");
    assert!(!said.err.contains("nix build"), "{}", said.err);
    assert_eq!(left_on_the_way(&host), 0);
    let again = apply(&host, &[&images[..], &["--yes"]].concat());
    fine(&again);
    assert!(
        again
            .err
            .contains("guest 110 (services) is there, and its image is not sent"),
        "{}",
        again.err
    );
}

#[test]
fn an_image_that_is_none_is_refused_before_anything_is_sent() {
    let host = with_images();
    host.write("result/other.qcow2", "x");
    host.write("empty/readme", "x");
    for (image, why) in [
        ("web=result", "`web` is not a NixOS guest of the spec"),
        ("services=result", "holds no `nixos-lxc.tar.xz`"),
        (
            "services=result/workstation.qcow2",
            "does not end in `.tar.xz`",
        ),
        (
            "workstation=result",
            "is named like none of the guest's disks: root",
        ),
        ("workstation=empty", "holds no image of a disk"),
        ("workstation=gone.qcow2", "cannot read"),
        ("workstation", "invalid value"),
    ] {
        let said = apply(&host, &["--yes", "--image", image]);
        assert_eq!(said.status, Some(2), "{image}: {}", said.err);
        assert!(said.err.contains(why), "{image}: {}", said.err);
    }
    let twice = ["--image", "workstation=result/other.qcow2"];
    let said = apply(&host, &[&twice[..], &twice[..], &["--yes"]].concat());
    assert!(said.err.contains("two images"), "{}", said.err);
    assert!(!host.path("root/var/lib/moxc").exists());
}

#[test]
fn a_template_that_is_there_is_neither_sent_nor_replaced() {
    let host = reachable();
    host.write(TEMPLATE, "the first one\n");
    host.write("services.tar.xz", "another one\n");
    let said = apply(&host, &["--yes", "--image", "services=services.tar.xz"]);
    fine(&said);
    assert_eq!(host.read(TEMPLATE), "the first one\n");
    assert!(said.err.contains("is there, and stays"), "{}", said.err);
    assert!(!said.err.contains("sending"), "{}", said.err);
}

#[test]
fn a_host_without_room_keeps_nothing() {
    let host = with_images();
    host.write("bin/df", "#!/bin/sh\necho Avail; echo 1024\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(host.path("bin/df"), mode).expect("a mode");
    let said = apply(&host, &["--yes", "--image", "services=result-services"]);
    assert_eq!(said.status, Some(2), "{}", said.err);
    assert!(said.err.contains("has no room"), "{}", said.err);
    assert_eq!(left_on_the_way(&host), 0);
    assert!(!host.path("log").exists() || !host.read("log").contains("create"));
}

#[test]
fn the_trees_own_script_takes_images_that_lie_on_the_host() {
    let host = homelab();
    fs::remove_file(host.path(TEMPLATE)).expect("it is there");
    host.write("root/root/services.tar.xz", "a whole system\n");
    host.write("root/root/dev.raw", "a whole disk\n");
    refused(
        &host.apply(&["--image", "services=/root/gone.tar.xz"], ""),
        "the image /root/gone.tar.xz is not there",
    );
    refused(
        &host.apply(&["--image", "workstation=/root/services.tar.xz"], ""),
        "does not end in one of: .qcow2 .raw .vmdk",
    );
    let said = host.apply(&["--image", "workstatoin=/root/dev.raw"], "");
    assert_eq!(said.status, Some(2), "{}", said.err);
    assert!(said.err.contains("no NixOS guest `workstatoin`"));
    let said = host.apply(&["--image", "workstation=/root/a,b.raw"], "");
    assert_eq!(said.status, Some(2), "{}", said.err);
    let images = [
        "--image",
        "services=/root/services.tar.xz",
        "--image",
        "workstation/scsi0=/root/dev.raw",
    ];
    fine(&host.apply(&images, ""));
    assert_eq!(host.read(TEMPLATE), "a whole system\n");
    let log = host.read("log");
    let import = format!(
        ":0,import-from={},",
        host.path("root/root/dev.raw").display()
    );
    assert!(call(&log, "qm create 111").contains(&import), "{log}");
    // What lies elsewhere on the host is the user's.
    assert!(host.path("root/root/dev.raw").exists());
    let said = host.apply(&images, "");
    fine(&said);
    assert!(said.err.contains("its image is not used"), "{}", said.err);
}
