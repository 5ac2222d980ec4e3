//! The files that tell the kernel of a Debian host what its start needs ([`Kernel`]).
//!
//! Comes in: what the kernel is told. Goes out: files of `/etc/modprobe.d`, `/etc/modules-load.d`, `/etc/kernel/cmdline`
//! and `/etc/default/grub.d` (pve-admin-guide, "Editing the Kernel Commandline").
//!
//! All of it takes effect with the next start, and most of it only once the initial RAM disk has been made anew: the
//! script that applies the tree sees to that.

use crate::facts::kernel::Kernel;
use crate::output::Mode;
use crate::source::Span;
use crate::targets::about::About;

use super::{Tree, push};

/// Says which files this host has no reason for.
pub(super) fn about(kernel: &Kernel, about: &mut About) {
    if kernel.modules().is_empty() {
        about.lacks(
            "proxmox/etc/modprobe.d/vfio.conf, etc/modules-load.d/vfio.conf",
            if kernel.passes {
                "no guest gets a whole PCI device: of a part the host's own driver has the rest"
            } else {
                "no guest gets a PCI device"
            },
        );
    }
    if kernel.zfs().is_empty() {
        about.lacks(
            "proxmox/etc/modprobe.d/zfs.conf",
            "the spec leaves the bounds of the ZFS cache to ZFS",
        );
    }
    if kernel.parameters.is_empty() {
        about.lacks(
            "proxmox/etc/kernel/cmdline",
            "the kernel needs no parameter",
        );
    } else if kernel.root_pool.is_none() {
        about.lacks(
            "proxmox/etc/kernel/cmdline",
            "the spec has no ZFS pool that the host starts from; GRUB takes etc/default/grub.d/",
        );
    }
}

/// Writes the files down.
pub(super) fn emit(kernel: &Kernel, span: Span, tree: &mut Tree<'_>) {
    let header = tree.header();
    let mut add = |path: &str, body: String, mode: Mode| {
        tree.add(path, &format!("# {header}\n{body}"), mode, span);
    };
    if !kernel.ids.is_empty() || !kernel.by_address.is_empty() {
        add(
            "etc/modules-load.d/vfio.conf",
            format!("{}\n", kernel.modules().join("\n")),
            Mode::Regular,
        );
        add("etc/modprobe.d/vfio.conf", kernel.vfio(), Mode::Regular);
    }
    if !kernel.blacklist.is_empty() {
        let mut body = "# The host has no card of its own for these drivers.\n".to_owned();
        for module in &kernel.blacklist {
            push(&mut body, format_args!("blacklist {module}\n"));
        }
        add("etc/modprobe.d/blacklist-gpu.conf", body, Mode::Regular);
    }
    if !kernel.modules.is_empty() {
        add(
            "etc/modules-load.d/moxc.conf",
            format!("{}\n", kernel.modules.join("\n")),
            Mode::Regular,
        );
    }
    if !kernel.options.is_empty() || !kernel.kept_out.is_empty() {
        let mut body = String::new();
        for line in &kernel.options {
            push(&mut body, format_args!("{line}\n"));
        }
        for module in &kernel.kept_out {
            push(&mut body, format_args!("blacklist {module}\n"));
        }
        add("etc/modprobe.d/moxc.conf", body, Mode::Regular);
    }
    if kernel.arc_max.is_some() || kernel.arc_min.is_some() {
        let body = format!("# The ZFS cache, in bytes.\n{}", kernel.zfs());
        add("etc/modprobe.d/zfs.conf", body, Mode::Regular);
    }
    if !kernel.by_address.is_empty() {
        add(
            "etc/udev/rules.d/10-vfio.rules",
            kernel.rules(),
            Mode::Regular,
        );
    }
    if !kernel.parameters.is_empty() {
        add("etc/default/grub.d/moxc.cfg", grub(kernel), Mode::Regular);
    }
    if !kernel.by_address.is_empty() {
        let hook = format!("#!/bin/sh\n# {header}\n{HOOK}");
        tree.add(
            "etc/initramfs-tools/hooks/vfio",
            &hook,
            Mode::Executable,
            span,
        );
    }
    if let (Some(pool), false) = (&kernel.root_pool, kernel.parameters.is_empty()) {
        // The one file without a comment: the boot loader is handed all of it (proxmox-boot-tool reads one line).
        let line = format!(
            "root=ZFS={pool}/ROOT/pve-1 boot=zfs {}\n",
            kernel.parameters.join(" ")
        );
        tree.add("etc/kernel/cmdline", &line, Mode::Regular, span);
    }
}

/// GRUB sources the files of grub.d after its own, as shell.
fn grub(kernel: &Kernel) -> String {
    let mut body = format!(
        "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT {}\"\n",
        kernel.parameters.join(" ")
    );
    if kernel.serial {
        body.push_str("GRUB_TERMINAL=\"console serial\"\nGRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200\"\n");
    }
    body
}

/// Takes the rule into the initial RAM disk: the drivers there would be faster otherwise (initramfs-tools(7)).
const HOOK: &str = r#"case "$1" in prereqs) exit 0 ;; esac
. /usr/share/initramfs-tools/hook-functions
copy_file rule /etc/udev/rules.d/10-vfio.rules
manual_add_modules vfio_pci
"#;
