//! The register of diagnostic codes.
//!
//! One line a code: number, severity, title. The explanation is `docs/errors/<code>.md`, built into the program. A
//! retired number is never given again. Ranges: 00xx syntax and shape of the file, 01xx identity and references, 02xx
//! network, 03xx storage, 04xx processor and memory, 05xx passthrough, 06xx guests, 07xx schedules, backup and update,
//! 08xx generated output, user templates and the output folder, 09xx a live host.

use std::fmt;
use std::str::FromStr;

/// Whether a problem stops the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is built.
    Error,
    /// Built all the same; its level can be set in `[lints]`.
    Warning,
}

macro_rules! codes {
    ($($code:ident $severity:ident $title:literal;)*) => {
        /// The code of a diagnostic.
        #[allow(missing_docs, reason = "the title in the register is the documentation")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $title] $code,)* }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$code),*];

            /// `MOX0106`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)* }
            }

            /// Error or warning.
            pub fn severity(self) -> Severity {
                match self { $(Self::$code => Severity::$severity,)* }
            }

            /// Whether a spec's `[lints]` can set its level: it is a warning, at least of what is there already.
            pub fn has_level(self) -> bool {
                self.severity() == Severity::Warning || matches!(self, Self::MOX0110 | Self::MOX0601)
            }

            /// What kind of problem it is, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)* }
            }

            /// The whole explanation, in Markdown.
            pub fn explain(self) -> &'static str {
                match self { $(Self::$code => include_str!(concat!("../../docs/errors/", stringify!($code), ".md")),)* }
            }
        }
    };
}

codes! {
    MOX0001 Error   "syntax error";
    MOX0002 Error   "unknown key";
    MOX0003 Error   "wrong type";
    MOX0004 Error   "missing key";
    MOX0005 Error   "not one of the choices";
    MOX0006 Error   "not a size";
    MOX0007 Error   "not a duration";
    MOX0008 Error   "not a calendar expression";
    MOX0009 Error   "not an address";
    MOX0010 Error   "not a PCI or USB address or id";
    MOX0011 Error   "not a unicast MAC address";
    MOX0012 Error   "not a name of its kind";
    MOX0013 Error   "number out of range";
    MOX0014 Error   "unknown version of the language";
    MOX0015 Error   "a character that no output can carry";
    MOX0016 Error   "keys that do not go together";
    MOX0017 Error   "not a warning that `[lints]` can set";
    MOX0018 Error   "not a Proxmox VE release";
    MOX0019 Error   "unknown time zone";
    MOX0020 Error   "not a path";
    MOX0021 Error   "a value in a wrong form";
    MOX0022 Error   "a secret in the spec";
    MOX0023 Error   "a fleet that names no host";
    MOX0024 Warning "a key that changes nothing";
    MOX0029 Error   "something kept that moxc writes itself";
    MOX0040 Error   "a character that nobody sees";
    MOX0101 Error   "VMID used twice";
    MOX0102 Error   "VMID out of range";
    MOX0103 Error   "name used twice";
    MOX0104 Error   "MAC address used twice";
    MOX0105 Error   "address used on two hosts";
    MOX0106 Error   "unknown reference";
    MOX0107 Error   "newer than the host's release";
    MOX0108 Error   "option that Proxmox VE refuses";
    MOX0109 Error   "an option that a key says, too";
    MOX0110 Error   "a name of the wrong kind";
    MOX0111 Warning "a release without security updates";
    MOX0112 Warning "one place, two storages";
    MOX0115 Error   "one USB device, two rows";
    MOX0116 Warning "an SSH key that is nobody's";
    MOX0117 Error   "one name with two meanings in a cluster";
    MOX0118 Warning "a guest with the name of its host";
    MOX0201 Error   "a port with two masters";
    MOX0202 Warning "two cables in one bridge without a spanning tree";
    MOX0203 Error   "a gateway that cannot be reached";
    MOX0204 Error   "an address used twice";
    MOX0205 Warning "a fixed address that DHCP hands out";
    MOX0206 Error   "two default gateways";
    MOX0207 Error   "networks that overlap";
    MOX0208 Error   "trunks on a bridge that is not VLAN-aware";
    MOX0209 Warning "a VLAN that the bridge does not carry";
    MOX0210 Error   "an interface name that is too long";
    MOX0211 Error   "packets larger than the way takes";
    MOX0212 Warning "no way to the Internet";
    MOX0213 Error   "a host that nobody reaches";
    MOX0214 Warning "a network card named by its slot";
    MOX0215 Warning "a bond of fewer than two ports";
    MOX0216 Warning "a bond of cards of different speeds";
    MOX0217 Error   "a VLAN on a bridge without a port";
    MOX0218 Error   "a VLAN that another bridge takes";
    MOX0219 Warning "a shared way out that is not there";
    MOX0220 Error   "a forwarded port that leads nowhere";
    MOX0221 Error   "a port forwarded twice";
    MOX0222 Warning "a forwarded port that the host itself needs";
    MOX0223 Error   "something that Open vSwitch does not take";
    MOX0224 Error   "one interface, two stanzas";
    MOX0225 Warning "a bond mode that harms guests";
    MOX0226 Error   "a raw line that no stanza can hold";
    MOX0227 Error   "an address without an interface of its own";
    MOX0228 Error   "raw lines of ifupdown2 on a NixOS host";
    MOX0229 Warning "VLANs of a bridge that tells none apart";
    MOX0230 Error   "a VXLAN that Proxmox VE does not write";
    MOX0231 Warning "an option that ifupdown2 passes over";
    MOX0301 Error   "too few disks for the layout";
    MOX0302 Error   "a disk used twice";
    MOX0303 Error   "a disk of a pool used elsewhere";
    MOX0304 Warning "a disk named by the order in which disks are found";
    MOX0305 Warning "disks of one vdev that differ in size";
    MOX0306 Warning "sectors larger than the pool's pieces";
    MOX0310 Error   "more space kept than there is";
    MOX0311 Warning "snapshots of thick volumes that do not fit";
    MOX0312 Warning "volumes that can outgrow their pool";
    MOX0313 Warning "a pool planned nearly full";
    MOX0314 Error   "a reservation above the quota";
    MOX0315 Error   "a special vdev weaker than the data";
    MOX0316 Warning "a log without redundancy";
    MOX0317 Warning "backups on the pool of the guests";
    MOX0318 Warning "no backup leaves the machine";
    MOX0320 Error   "a bound of the ZFS cache that ZFS ignores";
    MOX0321 Warning "a small ZFS cache";
    MOX0322 Warning "a ZFS cache of half the memory";
    MOX0323 Warning "a pool that is not scrubbed";
    MOX0324 Warning "single parity over large disks";
    MOX0325 Warning "raidz1 of two disks";
    MOX0326 Warning "guests that start from a USB disk";
    MOX0327 Warning "a dataset that the installer made a storage of";
    MOX0328 Warning "backups into a guest of the same host";
    MOX0329 Warning "a folder that hides the datasets below it";
    MOX0330 Error   "a folder that no storage can be";
    MOX0331 Warning "a share that belongs to root in an unprivileged container";
    MOX0332 Error   "a store that is not on this host";
    MOX0333 Warning "a node that is not a host of the fleet";
    MOX0334 Error   "two settings of one dataset";
    MOX0335 Warning "a store that is switched off and in use";
    MOX0341 Warning "small blocks on raidz";
    MOX0401 Error   "more memory taken than there is";
    MOX0402 Warning "more memory promised than there is";
    MOX0403 Error   "a balloon larger than the memory";
    MOX0404 Warning "a balloon that gives nothing back";
    MOX0405 Error   "huge pages without NUMA";
    MOX0406 Error   "memory that is not a whole number of huge pages";
    MOX0407 Error   "NUMA nodes that Proxmox VE refuses";
    MOX0408 Error   "memory hotplug that cannot work";
    MOX0409 Warning "fewer huge pages than the guests take";
    MOX0421 Error   "more processors than the host has threads";
    MOX0422 Error   "a pin to a thread that is not there";
    MOX0423 Warning "two guests pinned to the same threads";
    MOX0424 Warning "two guests pinned to the same cores";
    MOX0425 Warning "no thread left for the host";
    MOX0426 Warning "many virtual processors on few threads";
    MOX0501 Error   "a PCI function given twice";
    MOX0502 Error   "two devices with one PCI address";
    MOX0503 Error   "a part of an IOMMU group";
    MOX0504 Error   "a part of a card";
    MOX0505 Error   "too many PCI functions for one guest";
    MOX0506 Warning "a graphics card without q35 and OVMF";
    MOX0507 Error   "a card that the host needs";
    MOX0508 Warning "the host loses its console";
    MOX0509 Warning "the host loses its keyboard";
    MOX0510 Warning "a PCI function past the hardware table";
    MOX0511 Error   "a USB device or a port given twice";
    MOX0513 Warning "a graphics card that does not reset";
    MOX0514 Warning "a virtual function that nothing makes";
    MOX0551 Warning "a device passed through by its address";
    MOX0601 Error   "Windows 11 on a machine that its setup refuses";
    MOX0602 Error   "too many shares for one guest";
    MOX0603 Error   "a path of another system";
    MOX0604 Error   "two mounts at one place";
    MOX0605 Error   "too many disks on one bus";
    MOX0606 Error   "a folder of the host's system in a container";
    MOX0607 Warning "data of a container in no backup";
    MOX0608 Warning "keyctl in a NixOS container";
    MOX0609 Warning "a NixOS container without nesting";
    MOX0610 Error   "guests that exclude and need each other";
    MOX0611 Error   "guests that exclude each other start together";
    MOX0612 Error   "a guest that is needed does not start";
    MOX0613 Error   "a guest starts before one that it needs";
    MOX0614 Error   "guests that need each other in a circle";
    MOX0615 Error   "a task needs the guest agent";
    MOX0616 Error   "an address that is nobody's";
    MOX0617 Warning "a guest with two ways out";
    MOX0618 Warning "an address in a network of its own";
    MOX0620 Error   "a project that cargo refuses";
    MOX0621 Warning "packages for an edition of Windows without winget";
    MOX0622 Error   "a variable that belongs to Windows";
    MOX0623 Error   "a Rust toolchain that does not run in the guest";
    MOX0624 Error   "two projects in one folder";
    MOX0625 Error   "a drive where a folder is needed";
    MOX0626 Error   "a path that Windows or an installer cannot take";
    MOX0627 Warning "asked for twice";
    MOX0628 Warning "a drive that the guest does not have";
    MOX0630 Error   "a schedule that a Windows task cannot have";
    MOX0631 Error   "a time zone that Windows does not know";
    MOX0632 Error   "a name that Windows cannot have";
    MOX0633 Warning "a Windows setup that asks for the disk";
    MOX0634 Warning "a Windows guest without its discs";
    MOX0635 Warning "more than a BIOS reaches";
    MOX0636 Warning "an image by a name that the medium may not have";
    MOX0637 Error   "remote desktop where Windows has none";
    MOX0639 Error   "a language that Windows is not displayed in";
    MOX0640 Error   "user numbers mapped twice";
    MOX0641 Warning "user numbers that the host does not hand out";
    MOX0642 Error   "users mapped on a file system that cannot";
    MOX0643 Error   "a processor of another maker";
    MOX0644 Warning "a service without the instructions that it needs";
    MOX0645 Warning "systemd in a container without nesting";
    MOX0646 Warning "a network file system that a container cannot mount";
    MOX0647 Error   "users or groups that nothing maps";
    MOX0648 Warning "a firewall that filters nothing";
    MOX0649 Warning "a service without the device that it needs";
    MOX0650 Warning "a device that only root may use";
    MOX0651 Warning "a guest with nothing to start from";
    MOX0653 Warning "firmware that refuses the boot loader";
    MOX0654 Error   "two devices with one number";
    MOX0655 Warning "a folder of a guest that starts later";
    MOX0656 Error   "nothing to boot from by that name";
    MOX0657 Warning "a volume of another guest";
    MOX0658 Warning "firmware whose settings are lost";
    MOX0659 Warning "Secure Boot without its firmware";
    MOX0660 Warning "a profile by hand in place of a container's features";
    MOX0661 Error   "a guest that cannot start";
    MOX0662 Error   "a firewall rule that is left out";
    MOX0663 Warning "ports that open behind a closed firewall";
    MOX0670 Error   "an account by a name that Windows has already";
    MOX0671 Error   "a domain that the guest cannot join";
    MOX0672 Warning "a check left out that Setup does not make";
    MOX0686 Warning "an operator who is not a user of the guest";
    MOX0687 Warning "a health unit that a guest does not have";
    MOX0688 Warning "a template that NixOS does not make";
    MOX0689 Warning "a NixOS host without the release of its state";
    MOX0690 Error   "an immutable guest that nobody can log into";
    MOX0691 Error   "updates that a container cannot build";
    MOX0692 Warning "updates whose failure nobody is told of";
    MOX0693 Warning "a NixOS guest that nobody can log into";
    MOX0694 Warning "a NixOS host that nobody can log into";
    MOX0695 Warning "one template for two NixOS containers";
    MOX0696 Warning "something that Proxmox VE on NixOS cannot do yet";
    MOX0697 Error   "a disk that cannot be mounted as asked";
    MOX0698 Warning "a disk that nothing mounts";
    MOX0699 Warning "a setting against a key of the spec";
    MOX0701 Error   "a schedule that never runs";
    MOX0702 Error   "a timer that fails";
    MOX0703 Warning "a run in the hour that the clock changes in";
    MOX0704 Warning "backups that start together";
    MOX0705 Warning "a restart while guests are backed up";
    MOX0706 Warning "a guest updated while it is backed up";
    MOX0707 Warning "a guest in no backup";
    MOX0708 Warning "copies that nothing removes";
    MOX0709 Warning "a hole in what is kept";
    MOX0710 Warning "backups that do not fit";
    MOX0711 Warning "a rehearsal without a backup";
    MOX0712 Warning "a restart while guests are updated";
    MOX0713 Warning "a run that the host sleeps through";
    MOX0714 Warning "hosts that back up to one server together";
    MOX0715 Error   "a backup of a guest that wants none";
    MOX0720 Error   "a schedule that a backup job cannot have";
    MOX0721 Warning "snapshots that bar an update's way back";
    MOX0722 Warning "a job that this host does not run";
    MOX0730 Warning "a trim with nothing to trim";
    MOX0731 Warning "nobody is told that a schedule failed";
    MOX0740 Warning "a backup without a disk";
    MOX0741 Warning "a rehearsal that nothing answers";
    MOX0742 Warning "a backup without the disk that the guest starts from";
    MOX0743 Warning "a schedule about nothing";
    MOX0744 Warning "snapshots without the volumes";
    MOX0801 Error   "output that Proxmox VE refuses";
    MOX0821 Error   "a template that replaces nothing";
    MOX0822 Error   "a template that cannot be read";
    MOX0823 Error   "a template that cannot be filled in";
    MOX0824 Error   "a template whose output cannot be used";
    MOX0825 Error   "output that no file can hold";
    MOX0840 Error   "a NixOS setting that Nix cannot hold";
    MOX0841 Error   "an option that NixOS does not have";
    MOX0842 Error   "a value that a NixOS option does not take";
    MOX0843 Warning "a NixOS option by an old or a doubtful name";
    MOX0844 Error   "generated Nix with a fault in it";
    MOX0845 Error   "a fault in a Nix file";
    MOX0846 Warning "a doubtful place in a Nix file";
    MOX0847 Error   "a module or script of your own that cannot be read";
    MOX0848 Error   "a module of your own that takes in too much";
    MOX0849 Error   "a module of your own that is not Nix";
    MOX0901 Warning "a key that ifupdown2 ignores";
    MOX0902 Warning "one volume in several guests";
    MOX0903 Warning "a kernel parameter that does not hold yet";
    MOX0904 Warning "an address that an interface does not have";
    MOX0905 Warning "a change that waits for the next start";
    MOX0906 Warning "a line that Proxmox VE skips";
    MOX0907 Warning "a pool that is not whole";
    MOX0908 Warning "a way out that is lost at the start";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = ();

    /// Takes `MOX0106`, in any case.
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str().eq_ignore_ascii_case(text))
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_unique() {
        assert!(
            Code::ALL
                .windows(2)
                .all(|pair| pair[0].as_str() < pair[1].as_str())
        );
    }

    #[test]
    fn every_code_is_explained_in_four_parts() {
        for code in Code::ALL {
            let text = code.explain();
            assert!(
                text.starts_with(&format!("# {code}: {}\n", code.title())),
                "{code}: the page's heading is not its title"
            );
            for part in ["## What", "## Why", "## Wrong", "## Right"] {
                assert!(text.contains(part), "{code}: `{part}` is missing");
            }
        }
    }
}
