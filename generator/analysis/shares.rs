//! Folders of the host inside virtual machines: how many, where they are mounted, by which tag, and with which lists.

use std::collections::BTreeMap;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::shares;
use crate::model::{Guest, Host, Share, Vm};
use crate::source::Span;
use crate::value::{GuestPath, VmOs};

pub(super) fn check(host: &Host, sink: &mut Sink) {
    for (_, guest, vm) in host.vms() {
        too_many(guest, vm, sink);
        places(guest, vm, sink);
        tags(host, guest, vm, sink);
        raw(guest, vm, sink);
    }
}

/// Proxmox VE numbers the shares of a guest `virtiofs0` to `virtiofs9`.
const MOST_SHARES: usize = 10;

fn too_many(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    if let Some(share) = vm.shares.get(MOST_SHARES) {
        sink.push(
            Diagnostic::new(
                Code::MOX0602,
                share.span,
                format!(
                    "`{}` has {} shares: Proxmox VE has room for {MOST_SHARES}",
                    guest.name.value,
                    vm.shares.len()
                ),
            )
            .help("share a folder that holds several of them"),
        );
    }
}

/// Places that the guest's system does not have, or has once alone.
fn places(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let mut places: BTreeMap<String, Span> = BTreeMap::new();
    for share in vm.shares.iter().filter(|share| !share.mount.is_missing()) {
        path_of_another(guest, vm, share, sink);
        if let Some(first) = places.insert(share.mount.to_string(), share.mount.span) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0604,
                    share.mount.span,
                    format!("two shares are mounted at `{}`", share.mount.value),
                )
                .also(first, "the first")
                .help("give each share a place of its own"),
            );
        }
    }
}

/// A path of Windows in a guest of Unix, or the other way round.
fn path_of_another(guest: &Guest, vm: &Vm, share: &Share, sink: &mut Sink) {
    let windows_path = match *share.mount {
        GuestPath::Unix(_) => false,
        GuestPath::Drive(_) | GuestPath::Windows(_) => true,
    };
    // Of `other` nobody knows which paths it has.
    let wrong = match *vm.os {
        VmOs::Windows10 | VmOs::Windows11 | VmOs::WindowsServer2022 | VmOs::WindowsServer2025 => {
            !windows_path
        }
        VmOs::Nixos | VmOs::Linux => windows_path,
        VmOs::Other => false,
    };
    if !wrong {
        return;
    }
    let (kind, example) = if windows_path {
        ("a Windows", "`mount = \"/mnt/data\"`")
    } else {
        ("a Unix", "`mount = \"Z:\"`")
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0603,
            share.mount.span,
            format!("`{}` is {kind} path", share.mount.value),
        )
        .also(
            vm.os.span,
            format!("`{}` runs `{}`", guest.name.value, vm.os.value),
        )
        .help(format!("write {example}")),
    );
}

/// Tags that two shares have, or that virtio-fs cannot carry.
fn tags(host: &Host, guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let mut tags: Vec<(&str, Span)> = Vec::new();
    for share in &vm.shares {
        let tag = shares::tag(host, share);
        if let Some((_, first)) = tags.iter().find(|(known, _)| *known == tag) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    share.dataset.span,
                    format!("`{}` gets `{tag}` twice", guest.name.value),
                )
                .also(*first, "here too")
                .help("a guest mounts a shared folder by its dataset's name: share it once"),
            );
        }
        if tag.len() > shares::LONGEST_TAG {
            sink.push(
                Diagnostic::new(
                    Code::MOX0012,
                    share.dataset.span,
                    format!("`{tag}` is too long for a shared folder"),
                )
                .help("a virtio-fs tag has 36 bytes at most: shorten the dataset's name"),
            );
        }
        tags.push((tag, share.dataset.span));
    }
}

/// Access control lists of Unix on a share of a Windows guest, by a raw option (`PVE::QemuServer::Virtiofs`).
fn raw(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let lists = guest.options.iter().find(|option| {
        option.key.starts_with("virtiofs")
            && option
                .value
                .split(',')
                .any(|part| matches!(part, "expose-acl=1" | "expose-acl=on" | "expose-acl=yes"))
    });
    if let Some(option) = lists.filter(|_| vm.os.is_windows()) {
        let parts = option.value.split(',');
        let rest: Vec<&str> = parts
            .filter(|part| !part.starts_with("expose-acl="))
            .collect();
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                option.value.span,
                format!("`expose-acl` for the Windows guest `{}`", guest.name.value),
            )
            .also(vm.os.span, "its system")
            .note("Proxmox VE refuses to start the guest: with these lists Windows cannot mount the folder")
            .help("leave `expose-acl` out")
            .replace("leave `expose-acl` out", option.value.span, format!("\"{}\"", rest.join(","))),
        );
    }
}
