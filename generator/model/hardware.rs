//! What is in the machine.

use super::{Arena, Id, Item, Setting};
use crate::pve::PveOption;
use crate::source::{Span, Spanned};
use crate::value::{
    ByteSize, CpuVendor, DevicePath, DiskKind, InterfaceName, Line, LinkSpeed, MacAddress,
    PciAddress, PciClass, PciId, PciPlace, UsbId, UsbPort,
};

/// What is in the machine.
#[derive(Debug, Clone, Default)]
pub struct Hardware {
    /// The processor, where the spec tells.
    pub cpu: Option<Cpu>,
    /// The memory, where the spec tells.
    pub memory: Option<Memory>,
    /// Disks.
    pub disks: Arena<Disk>,
    /// Network cards.
    pub nics: Arena<Nic>,
    /// PCI functions.
    pub pci: Arena<PciDevice>,
    /// USB devices.
    pub usb: Arena<UsbDevice>,
}

/// The processor.
#[derive(Debug, Clone)]
pub struct Cpu {
    /// Where it stands.
    pub span: Span,
    /// What it is called.
    pub model: Option<Spanned<Line>>,
    /// Who made it.
    pub vendor: Option<Spanned<CpuVendor>>,
    /// Cores of all sockets together.
    pub cores: Option<Spanned<u32>>,
    /// Threads of all sockets together; the cores where the spec says those alone.
    pub threads: Option<Setting<u32>>,
    /// Sockets.
    pub sockets: Setting<u32>,
}

/// The memory.
#[derive(Debug, Clone)]
pub struct Memory {
    /// How much.
    pub size: Setting<ByteSize>,
    /// As `DDR4`.
    pub kind: Option<Spanned<Line>>,
    /// Whether it corrects errors.
    pub ecc: Option<Spanned<bool>>,
}

/// A disk.
#[derive(Debug, Clone)]
pub struct Disk {
    /// Its name in the spec.
    pub name: Spanned<String>,
    /// Flash or rotating.
    pub kind: Setting<DiskKind>,
    /// Its size.
    pub size: Setting<ByteSize>,
    /// A stable path.
    pub device: Setting<DevicePath>,
    /// The one partition of it that is meant, where it is not the whole disk.
    pub partition: Option<Spanned<u32>>,
    /// What it is called.
    pub model: Option<Spanned<Line>>,
    /// Its serial number.
    pub serial: Option<Spanned<Line>>,
    /// The physical sector in bytes.
    pub sector: Option<Spanned<u32>>,
    /// The PCI function that it hangs on, where the spec tells.
    pub controller: Option<Spanned<Id<PciDevice>>>,
}

/// A network card.
#[derive(Debug, Clone)]
pub struct Nic {
    /// Its name in the spec.
    pub name: Spanned<String>,
    /// The kernel's name.
    pub interface: Setting<InterfaceName>,
    /// Its address; with it, the name is pinned.
    pub mac: Option<Spanned<MacAddress>>,
    /// What it is called.
    pub model: Option<Spanned<Line>>,
    /// How fast its link is.
    pub speed: Option<Spanned<LinkSpeed>>,
    /// The PCI function that it is, where the spec tells.
    pub pci: Option<Spanned<Id<PciDevice>>>,
    /// Whether it is no card, but one of `[network.links]`.
    pub is_link: bool,
}

/// A PCI function, or all functions of a card.
#[derive(Debug, Clone)]
pub struct PciDevice {
    /// Its name in the spec.
    pub name: Spanned<String>,
    /// Where it sits; of a whole card function 0.
    pub address: Setting<PciAddress>,
    /// Whether it is every function of the card.
    pub all_functions: bool,
    /// Vendor and device.
    pub id: Option<Spanned<PciId>>,
    /// Whether it becomes a mapping, where the spec says so; else what has an id and is taken does.
    pub mapping: Option<Spanned<bool>>,
    /// Vendor and device of the card's maker.
    pub subsystem: Option<Spanned<PciId>>,
    /// What it is.
    pub class: Setting<PciClass>,
    /// What it is called.
    pub model: Option<Spanned<Line>>,
    /// The number of its IOMMU group.
    pub iommu_group: Option<Spanned<u32>>,
    /// Other functions of the group that stay on the host.
    pub group_members: Vec<Spanned<PciAddress>>,
    /// Options of its mapping, by Proxmox VE's own names.
    pub schema: Vec<PveOption>,
}

/// A USB device.
#[derive(Debug, Clone)]
pub struct UsbDevice {
    /// Its name in the spec.
    pub name: Spanned<String>,
    /// Vendor and product. Without them it is whatever sits in the socket, and no mapping.
    pub id: Option<Spanned<UsbId>>,
    /// Whether it becomes a mapping, where the spec says so; else what has an id does.
    pub mapping: Option<Spanned<bool>>,
    /// The socket, where it matters.
    pub port: Option<Spanned<UsbPort>>,
    /// What it is called.
    pub model: Option<Spanned<Line>>,
    /// Its serial number.
    pub serial: Option<Spanned<Line>>,
}

impl PciDevice {
    /// Whether it becomes a mapping where a guest takes it; guests name it by the address else.
    pub fn may_be_mapped(&self) -> bool {
        self.mapping.is_none_or(|mapping| mapping.value)
    }

    /// Whether the spec wants a mapping, whoever takes it.
    pub fn is_mapping_wished(&self) -> bool {
        self.mapping
            .map_or(!self.schema.is_empty(), |mapping| mapping.value)
    }
}

impl UsbDevice {
    /// Whether it becomes a mapping; guests name it by the id else.
    pub fn may_be_mapped(&self) -> bool {
        self.mapping.is_none_or(|mapping| mapping.value)
    }

    /// What a guest's `usb` option says of it: `mapping=NAME`, or `host=PORT` for a socket alone. None where the spec says
    /// neither, which has been reported.
    pub fn option(&self) -> Option<(&'static str, String)> {
        match (&self.id, &self.port) {
            (Some(id), _) if !self.may_be_mapped() => Some(("host", id.value.to_string())),
            (Some(_), _) => Some(("mapping", self.name.value.clone())),
            (None, Some(port)) => Some(("host", port.to_string())),
            (None, None) => None,
        }
    }
}

impl PciDevice {
    /// Its place as Proxmox VE names it: `0000:01:00.0`, and `0000:01:00` for a whole card.
    pub fn path(&self) -> String {
        self.place().path()
    }

    /// Its place.
    pub fn place(&self) -> PciPlace {
        PciPlace {
            address: *self.address,
            all_functions: self.all_functions,
        }
    }
}

impl Disk {
    /// The path of what is meant: the disk, or its partition. Links below `/dev/disk` end in `-part3`, names that end in a
    /// digit take a `p` (`/dev/nvme0n1p3`), others the number alone.
    pub fn path(&self) -> String {
        let device = self.device.as_str();
        match self.partition.map(|number| number.value) {
            None => device.to_owned(),
            Some(number) if device.starts_with("/dev/disk/") => format!("{device}-part{number}"),
            Some(number) if device.ends_with(|c: char| c.is_ascii_digit()) => {
                format!("{device}p{number}")
            }
            Some(number) => format!("{device}{number}"),
        }
    }
}

impl Item for Disk {
    fn name(&self) -> &str {
        &self.name
    }
}
impl Item for Nic {
    fn name(&self) -> &str {
        &self.name
    }
}
impl Item for PciDevice {
    fn name(&self) -> &str {
        &self.name
    }
}
impl Item for UsbDevice {
    fn name(&self) -> &str {
        &self.name
    }
}
