//! `[hardware]`: what is in the machine.

use super::reader::{Int, List, Named, OneOf, Reference};
use super::schema_keys::PciMappingOptions;
use super::table::table;
use crate::value::{
    ByteSize, CpuVendor, DevicePath, DiskKind, InterfaceName, Line, LinkSpeed, MacAddress, Name,
    PciAddress, PciClass, PciId, PciPlace, UsbId, UsbPort,
};

table! {
    /// `[hardware]`: what is in the machine.
    HardwareSpec {
        /// The processor.
        "cpu" cpu: opt CpuSpec;
        /// The memory.
        "memory" memory: opt MemorySpec;
        /// Disks by name.
        "disks" disks: opt Named<Name, DiskSpec>;
        /// Network cards by name.
        "nics" nics: opt Named<Name, NicSpec>;
        /// PCI functions and whole cards by name.
        "pci" pci: opt Named<Name, PciSpec>;
        /// USB devices by name.
        "usb" usb: opt Named<Name, UsbSpec>;
    }

    /// `[hardware.cpu]`.
    CpuSpec {
        /// What it is called.
        "model" model: opt Line;
        /// Who made it.
        "vendor" vendor: opt OneOf<CpuVendor>;
        /// Cores of all sockets together.
        "cores" cores: opt Int<1, 8192>;
        /// Threads of all sockets together.
        "threads" threads: opt Int<1, 8192>;
        /// Sockets; 1 where left out.
        "sockets" sockets: opt Int<1, 64>;
    }

    /// `[hardware.memory]`.
    MemorySpec {
        /// How much.
        "size" size: req ByteSize;
        /// As `DDR4`.
        "kind" kind: opt Line;
        /// Whether it corrects errors.
        "ecc" ecc: opt bool;
    }

    /// One of `[hardware.disks]`.
    DiskSpec {
        /// Flash or rotating.
        "kind" kind: req OneOf<DiskKind>;
        /// Its size, as sold: `2 TB`; with `partition`, too, that of the disk.
        "size" size: req ByteSize;
        /// A path that stays when disks are moved: below `/dev/disk/by-id`.
        "device" device: req DevicePath;
        /// The number of the partition that pools and groups take of it; the whole disk where left out.
        "partition" partition: opt Int<1, 128>;
        /// What it is called.
        "model" model: opt Line;
        /// Its serial number.
        "serial" serial: opt Line;
        /// The physical sector in bytes, 512 or 4096.
        "sector" sector: opt Int<512, 65536>;
        /// The PCI function that it hangs on: a name of `[hardware.pci]`.
        "controller" controller: opt Reference;
    }

    /// One of `[hardware.nics]`.
    NicSpec {
        /// The kernel's name.
        "interface" interface: req InterfaceName;
        /// Its address; with it, the name is pinned.
        "mac" mac: opt MacAddress;
        /// What it is called.
        "model" model: opt Line;
        /// How fast its link is.
        "speed" speed: opt LinkSpeed;
        /// The PCI function that it is: a name of `[hardware.pci]`.
        "pci" pci: opt Reference;
    }

    /// One of `[hardware.pci]`.
    PciSpec {
        /// Where it sits; without the function (`0b:00`) every function of the card.
        "address" address: req PciPlace;
        /// Vendor and device; with them the function becomes a mapping of Proxmox VE.
        "id" id: opt PciId;
        /// Whether it becomes one. Where left out, it does when a guest takes it; `true`: also when none does; `false`: guests name it by its address, whatever sits there.
        "mapping" mapping: opt bool;
        /// Vendor and device of the card's maker.
        "subsystem" subsystem: opt PciId;
        /// What it is.
        "class" class: opt OneOf<PciClass>;
        /// What it is called.
        "model" model: opt Line;
        /// The number of its IOMMU group.
        "iommu-group" iommu_group: opt Int<0, 65535>;
        /// Other functions or bridges of the same group that stay on the host and are harmless there.
        "group-members" group_members: opt List<PciAddress>;
        ..PciMappingOptions
    }

    /// One of `[hardware.usb]`: what is plugged in, known by its make, by its socket, or by both.
    UsbSpec {
        /// Vendor and product; with it the device becomes a mapping of Proxmox VE.
        "id" id: opt UsbId;
        /// Whether it becomes one; on where left out. `false`: guests name it by its id, wherever that is plugged in.
        "mapping" mapping: opt bool;
        /// The socket that it is plugged into, where that matters: for one of several alike, or whatever is plugged in there.
        "port" port: opt UsbPort;
        /// What it is called.
        "model" model: opt Line;
        /// Its serial number.
        "serial" serial: opt Line;
    }
}
