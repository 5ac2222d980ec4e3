//! Machine types of QEMU: `q35`, `pc-i440fx-9.2+pve1`; what of a machine depends on its version.

use super::{GuestConfig, PropertyString, Release, since};

/// From which version on a machine has a USB controller of today: with more than five sockets, and devices that come
/// while it runs (`PVE::QemuServer::USB`); only systems that know it are given it.
pub const USB_CONTROLLER: (u32, u32) = (7, 1);

/// The systems that know it, as Proxmox VE names them: Linux from 2.6 on, Windows after 7.
pub fn is_modern_system(ostype: &str) -> bool {
    matches!(ostype, "l26" | "win8" | "win10" | "win11")
}

/// The processor (`cputype` of `cpu`) and the machine (`type` of `machine`) of a guest that names none, by its architecture, on a
/// host that is a PC (`get_default_cpu_type` and `default_machine_for_arch` of qemu-server).
pub fn default_processor_and_machine(
    arch: Option<&str>,
    release: Release,
) -> (&'static str, &'static str) {
    match arch {
        Some("aarch64") if release < since::MAX_OF_ARM => ("cortex-a57", "virt"),
        Some("aarch64") => ("max", "virt"),
        _ => ("kvm64", "pc"),
    }
}

/// The version of QEMU that a machine type is of; none for one that is the newest there is.
pub fn machine_version(machine: &str) -> Option<(u32, u32)> {
    let kind = machine.split(',').next().unwrap_or_default();
    let (_, version) = kind.rsplit_once('-')?;
    qemu_version(version.split('+').next().unwrap_or_default())
}

/// The first two numbers of `9.2.0`. Machines up to QEMU 2.4 have a third, too: `pc-i440fx-2.4.1`.
fn qemu_version(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    let minor = minor.split('.').next().unwrap_or_default();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The version of a virtual machine's machine, as Proxmox VE asks for it: QEMU's, and its own revision of that (`+pve1`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MachineVersion {
    qemu: (u32, u32),
    revision: u32,
}

impl MachineVersion {
    /// The first of which tunnels of a virtio card are off unless the card says otherwise.
    const WITHOUT_TUNNELS: Self = Self {
        qemu: (11, 0),
        revision: 1,
    };
    /// The first that knows of them.
    const WITH_TUNNELS: Self = Self {
        qemu: (10, 2),
        revision: 0,
    };

    /// That of a start with these options on a release (`PVE::QemuServer::Machine::get_vm_machine`).
    pub fn at_start(config: &GuestConfig, release: Release) -> Self {
        let machine = config.get("machine").unwrap_or_default();
        if let Some(qemu) = machine_version(machine) {
            let revision = machine
                .split(',')
                .next()
                .and_then(|kind| kind.split_once("+pve"));
            let revision =
                revision.and_then(|(_, number)| number.trim_end_matches(".pxe").parse().ok());
            let revision = revision.unwrap_or(0);
            return Self { qemu, revision };
        }
        if !config.get("ostype").is_some_and(is_windows) {
            // The highest revision of the newest QEMU.
            return Self {
                qemu: release.newest_qemu().unwrap_or((u32::MAX, 0)),
                revision: u32::MAX,
            };
        }
        // A Windows guest keeps the machine that it was set up on, where that is known.
        let meta = config
            .get("meta")
            .and_then(|meta| PropertyString::parse(meta).ok());
        let made = meta.and_then(|meta| qemu_version(meta.get("creation-qemu")?));
        Self {
            qemu: made.filter(|made| *made >= (9, 1)).unwrap_or((5, 1)),
            revision: 0,
        }
    }

    /// Whether the machine has [`USB_CONTROLLER`].
    pub fn has_usb_controller(self) -> bool {
        self.qemu >= USB_CONTROLLER
    }

    /// Whether QEMU is told to leave tunnels to the guest, for a virtio card that says this of `host-tunnel`
    /// (`print_netdevice_full`).
    pub fn turns_tunnels_off(self, host_tunnel: Option<bool>) -> bool {
        if self >= Self::WITHOUT_TUNNELS {
            host_tunnel != Some(true)
        } else {
            self >= Self::WITH_TUNNELS && host_tunnel == Some(false)
        }
    }
}

/// The systems of Windows, as Proxmox VE names them (`windows_version`).
fn is_windows(ostype: &str) -> bool {
    matches!(ostype, "wxp" | "w2k3" | "w2k" | "w2k8" | "wvista") || ostype.starts_with("win")
}

#[cfg(test)]
mod tests {
    use super::{MachineVersion, machine_version};
    use crate::pve::{GuestConfig, GuestKind, Release};

    #[test]
    fn versions_are_read() {
        for (machine, version) in [
            ("pc-q35-8.1", Some((8, 1))),
            ("pc-i440fx-10.0+pve1,viommu=virtio", Some((10, 0))),
            ("type=pc-q35-6.2", Some((6, 2))),
            ("q35", None),
            ("pc", None),
            ("pc-q35-", None),
        ] {
            assert_eq!(machine_version(machine), version, "{machine}");
        }
    }

    /// As `get_vm_machine` of qemu-server and `print_netdevice_full` have it.
    #[test]
    fn tunnels_are_turned_off_by_the_machine_of_the_start() {
        let new = Release::new(9, 2);
        for (config, silent, on, off) in [
            ("ostype: l26\n", true, false, true),
            ("machine: q35\nostype: l26\n", true, false, true),
            ("machine: pc-q35-11.0+pve1\n", true, false, true),
            ("machine: pc-q35-11.0+pve1.pxe\n", true, false, true),
            ("machine: pc-q35-11.0\n", false, false, true),
            (
                "machine: pc-i440fx-10.2,viommu=virtio\n",
                false,
                false,
                true,
            ),
            ("machine: pc-i440fx-10.1\n", false, false, false),
            ("ostype: win11\n", false, false, false),
            (
                "ostype: win11\nmeta: creation-qemu=10.2.1,ctime=1\n",
                false,
                false,
                true,
            ),
            (
                "ostype: win11\nmeta: creation-qemu=8.1.5,ctime=1\n",
                false,
                false,
                false,
            ),
        ] {
            let (guest, _) = GuestConfig::parse(GuestKind::Qm, config);
            let machine = MachineVersion::at_start(&guest, new);
            let told = [None, Some(true), Some(false)].map(|said| machine.turns_tunnels_off(said));
            assert_eq!(told, [silent, on, off], "{config}");
        }
    }
}
