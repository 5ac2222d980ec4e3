//! Machine types of QEMU: `q35`, `pc-i440fx-9.2+pve1`; what of a machine depends on its version.

use super::Release;

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
        Some("aarch64") if release < Release::new(9, 2) => ("cortex-a57", "virt"),
        Some("aarch64") => ("max", "virt"),
        _ => ("kvm64", "pc"),
    }
}

/// The version of QEMU that a machine type is of; none for one that is the newest there is.
pub fn machine_version(machine: &str) -> Option<(u32, u32)> {
    let kind = machine.split(',').next().unwrap_or_default();
    let (_, version) = kind.rsplit_once('-')?;
    let version = version.split('+').next().unwrap_or_default();
    let (major, minor) = version.split_once('.')?;
    // A third number is of QEMU 2.4 and older: `pc-i440fx-2.4.1`.
    let minor = minor.split('.').next().unwrap_or_default();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::machine_version;

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
}
