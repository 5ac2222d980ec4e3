//! Virtual machines and containers.

use std::net::IpAddr;

use super::{
    Bridge, Dataset, Disk, Host, Id, Item, Link, Machine, PciDevice, Placement, Segment, Setting,
    StoreRef, UsbDevice, VolumeSource,
};
use crate::calendar::{Calendar, TimeSpan};
use crate::pve::PveOption;
use crate::source::{Span, Spanned};
use crate::value::{
    AbsolutePath, Balloon, Bus, ByteSize, CacheMode, Cidr, ComputerName, ContainerOs, CpuSet,
    DevicePath, DnsName, EfiType, EtherType, FirewallAddresses, FirewallAliasName,
    FirewallDirection, FirewallGroup, FirewallIcmpType, FirewallLog, FirewallMacro, FirewallMatch,
    FirewallMember, FirewallNetwork, FirewallPolicy, FirewallPorts, FirewallProtocol,
    FirewallQueues, FirewallSetName, Firmware, FullName, GuestAddress, GuestFileSystem, GuestOs,
    GuestPath, HugePages, KeyboardLayout, Line, Locale, MacAddress, ModulePath, Name, NixAttribute,
    Node, Port, ReleaseTag, RemoteAccess, SecretName, SetupCheck, SshKey, Tag, Text, TimeZoneName,
    TpmVersion, UnheardRule, UsbId, VlanSet, VlanTag, VmId, VmOs, VolumeId, WindowsUser, WingetId,
};

/// A virtual machine or a container.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Its name in the spec.
    pub name: Spanned<String>,
    /// The name that Proxmox VE shows, a container's host name, where it is not the one in the spec.
    pub shown_as: Option<Spanned<DnsName>>,
    /// Where its table stands.
    pub span: Span,
    /// Whether all of its table was understood. What it lacks may be there where not: who tells of that asks first.
    pub understood: bool,
    /// Its number.
    pub vmid: Setting<VmId>,
    /// What it is for.
    pub description: Option<Spanned<Text>>,
    /// Tags, as written.
    pub tags: Vec<Spanned<Tag>>,
    /// The most memory it takes.
    pub memory: Setting<ByteSize>,
    /// The most processor time that it takes, in cores.
    pub cpu_limit: Option<Spanned<f64>>,
    /// Its weight against other guests.
    pub cpu_units: Option<Spanned<u32>>,
    /// Whether and when it starts with the host.
    pub autostart: Option<Autostart>,
    /// Whether Proxmox VE refuses to remove it.
    pub protection: Setting<bool>,
    /// Options of Proxmox VE that stay out of its file.
    pub unset: Vec<Spanned<Line>>,
    /// Guests that must run first.
    pub needs: Vec<Spanned<Id<Guest>>>,
    /// Guests that never run at the same time.
    pub exclusive_with: Vec<Spanned<Id<Guest>>>,
    /// Whether it is backed up.
    pub backup: Setting<bool>,
    /// Options of Proxmox VE that the language has no word of its own for, checked against the schema.
    pub options: Vec<PveOption>,
    /// Its network cards.
    pub network: Vec<GuestNic>,
    /// What the firewall lets through at its cards, where the spec says it.
    pub firewall: Option<GuestFirewall>,
    /// What it is.
    pub kind: GuestKind,
    /// What a NixOS guest is; also for one whose spec leaves the table out.
    pub nixos: Option<NixosGuest>,
}

/// What a guest is.
#[derive(Debug, Clone)]
pub enum GuestKind {
    /// A virtual machine.
    Vm(Box<Vm>),
    /// A container.
    Container(Box<Container>),
}

/// Whether and when a guest starts with the host.
#[derive(Debug, Clone)]
pub struct Autostart {
    /// Where it stands.
    pub span: Span,
    /// Whether it starts with the host; else this is its place among those that a person starts together.
    pub enabled: bool,
    /// Its place: lower starts earlier and stops later.
    pub order: Option<Spanned<u32>>,
    /// How long the next guest waits for it.
    pub up_delay: Option<Spanned<TimeSpan>>,
    /// How long the host waits for it to stop.
    pub down_delay: Option<Spanned<TimeSpan>>,
}

/// A way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gateway {
    /// By address.
    Address(IpAddr),
    /// A machine that is no guest.
    Machine(Id<Machine>),
    /// A guest, which routes.
    Guest(Id<Guest>),
}

/// A network card of a guest.
#[derive(Debug, Clone)]
pub struct GuestNic {
    /// Where its table stands.
    pub span: Span,
    /// The bridge it is on.
    pub bridge: Spanned<Id<Bridge>>,
    /// Its IPv4 address.
    pub address: Option<Spanned<GuestAddress>>,
    /// Its IPv6 address.
    pub address6: Option<Spanned<GuestAddress>>,
    /// Its way out, IPv4.
    pub gateway: Option<Spanned<Gateway>>,
    /// Its way out, IPv6.
    pub gateway6: Option<Spanned<Gateway>>,
    /// Its MAC address; derived where the spec leaves it out.
    pub mac: Setting<MacAddress>,
    /// The VLAN it is in.
    pub vlan: Option<Spanned<VlanTag>>,
    /// The VLANs it may tag itself.
    pub trunks: Option<Spanned<VlanSet>>,
    /// Whether Proxmox VE's firewall filters it.
    pub firewall: Setting<bool>,
    /// The largest packet, in bytes.
    pub mtu: Option<Spanned<u32>>,
    /// The most that it sends, in MB/s.
    pub rate: Option<Spanned<f64>>,
    /// Its number: `net0`.
    pub slot: u32,
    /// What a virtual machine sees.
    pub model: Setting<String>,
    /// What a container calls it.
    pub interface: Setting<String>,
    /// What else is said of it.
    pub more: Vec<PveOption>,
}

impl GuestNic {
    /// The network that the card is in.
    pub fn segment(&self) -> Segment {
        Segment {
            link: Link::Bridge(self.bridge.value),
            vlan: self.vlan.map(|tag| tag.value),
        }
    }

    /// Its fixed address of one family.
    pub fn static_address(&self, v6: bool) -> Option<Cidr> {
        self.static_addresses()
            .find(|cidr| cidr.value.is_v6() == v6)
            .map(|cidr| cidr.value)
    }

    /// Its fixed addresses.
    pub fn static_addresses(&self) -> impl Iterator<Item = Spanned<Cidr>> + '_ {
        [self.address, self.address6]
            .into_iter()
            .flatten()
            .filter_map(|address| match address.value {
                GuestAddress::Static(cidr) => Some(Spanned::new(cidr, address.span)),
                GuestAddress::Dhcp | GuestAddress::Auto => None,
            })
    }
}

/// What is particular to a virtual machine.
#[derive(Debug, Clone)]
pub struct Vm {
    /// What runs in it.
    pub os: Setting<VmOs>,
    /// Cores of each socket.
    pub cores: Setting<u32>,
    /// Sockets.
    pub sockets: Setting<u32>,
    /// The processor model that the guest sees.
    pub cpu_model: Setting<String>,
    /// The host's threads that it runs on.
    pub affinity: Option<Spanned<CpuSet>>,
    /// Ballooning: the least that stays, or off.
    pub balloon: Option<Spanned<Balloon>>,
    /// The size of its memory pages.
    pub hugepages: Option<Spanned<HugePages>>,
    /// Whether the guest sees the host's NUMA nodes.
    pub numa: Setting<bool>,
    /// Its firmware.
    pub firmware: Setting<Firmware>,
    /// Its machine type: `q35`, `i440fx`, or a pinned one.
    pub machine: Setting<String>,
    /// Where the settings of OVMF lie; none with another firmware, and where the spec wants none.
    pub efi: Option<EfiDisk>,
    /// Whether it has a TPM.
    pub tpm: Setting<bool>,
    /// Where the state of its TPM lies; none without one, and where there is no store for it.
    pub tpm_state: Option<TpmState>,
    /// Whether its firmware brings the keys of Secure Boot.
    pub secure_boot: Setting<bool>,
    /// Whether the QEMU guest agent runs in it.
    pub agent: Setting<bool>,
    /// How the agent is used.
    pub agent_more: Vec<PveOption>,
    /// Its display.
    pub display: Option<Spanned<Line>>,
    /// Its disks, in order; the first is the one it boots from.
    pub disks: Vec<VmDisk>,
    /// Installation images and empty drives, in order.
    pub images: Vec<Image>,
    /// The drive of cloud-init.
    pub cloud_init: Option<CloudInit>,
    /// What it boots from by option (`scsi0`, `net0`), where the spec says it.
    pub boot: Option<Spanned<Vec<String>>>,
    /// The controller of the disks on the bus `scsi`.
    pub scsi_controller: Setting<String>,
    /// Serial ports by number.
    pub serial: Vec<(u32, Spanned<String>)>,
    /// PCI functions.
    pub passthrough: Vec<Passthrough>,
    /// USB devices, in order.
    pub usb: Vec<GuestUsb>,
    /// Whether it is there already.
    pub installed: Setting<bool>,
    /// Folders of the host.
    pub shares: Vec<Share>,
    /// What a Windows guest is; also for one whose spec leaves the table out.
    pub windows: Option<WindowsGuest>,
}

/// A disk of a virtual machine.
#[derive(Debug, Clone)]
pub struct VmDisk {
    /// Its name in the spec.
    pub name: Spanned<String>,
    /// What it is.
    pub source: DiskSource,
    /// Its bus.
    pub bus: Setting<Bus>,
    /// Whether the guest sees flash.
    pub ssd: Setting<bool>,
    /// Whether freed blocks are given back.
    pub discard: Setting<bool>,
    /// Whether it has a thread of its own.
    pub iothread: Setting<bool>,
    /// How QEMU caches it.
    pub cache: Option<Spanned<CacheMode>>,
    /// Whether backups hold it.
    pub backup: Setting<bool>,
    /// Where a NixOS guest mounts it, where the spec says it.
    pub mount: Option<Spanned<AbsolutePath>>,
    /// The file system that a NixOS guest makes on it.
    pub fs: Setting<GuestFileSystem>,
    /// The serial number that the guest sees.
    pub serial: Option<Spanned<Name>>,
    /// Its number on the bus.
    pub slot: u32,
    /// What else is said of it.
    pub more: Vec<PveOption>,
}

impl VmDisk {
    /// The option that it is: `scsi0`.
    pub fn key(&self) -> String {
        format!("{}{}", *self.bus, self.slot)
    }

    /// A name of it inside the guest that stays whatever else is plugged in: udev makes it of what QEMU says of the disk, a
    /// serial number or, on the bus `scsi`, the option's own name.
    pub fn stable_path(&self) -> Option<String> {
        let serial = self.serial.as_ref().map(|serial| serial.as_str());
        match (*self.bus, serial) {
            (Bus::Scsi, Some(serial)) => {
                Some(format!("/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{serial}"))
            }
            (Bus::Scsi, None) => Some(format!(
                "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-{}",
                self.key()
            )),
            (Bus::Virtio, Some(serial)) => Some(format!("/dev/disk/by-id/virtio-{serial}")),
            (Bus::Sata | Bus::Ide, Some(serial)) => {
                Some(format!("/dev/disk/by-id/ata-QEMU_HARDDISK_{serial}"))
            }
            (Bus::Virtio | Bus::Sata | Bus::Ide, None) => None,
        }
    }

    /// Whether the kernel counts it together with a disk on that bus: `vda`, `vdb`; `sda`, `sdb`.
    pub fn is_counted_with(&self, other: &Self) -> bool {
        let is_virtio = |bus: Bus| match bus {
            Bus::Virtio => true,
            Bus::Scsi | Bus::Sata | Bus::Ide => false,
        };
        is_virtio(*self.bus) == is_virtio(*other.bus)
    }

    /// Whether there is something on it before anything is installed.
    pub fn is_filled(&self) -> bool {
        match &self.source {
            DiskSource::Device(_) => true,
            DiskSource::Volume(placement) => match &placement.volume {
                VolumeSource::Existing { .. } => true,
                VolumeSource::New { import, .. } => import.is_some(),
            },
        }
    }
}

/// A drive for an image of a disc.
#[derive(Debug, Clone)]
pub struct Image {
    /// Where it stands.
    pub span: Span,
    /// What is in it; nothing at first where there is none.
    pub image: Option<Spanned<VolumeId>>,
    /// Its bus.
    pub bus: Bus,
    /// Its number on the bus.
    pub slot: u32,
    /// What else is said of it.
    pub more: Vec<PveOption>,
}

impl Image {
    /// The option that it is: `ide2`.
    pub fn key(&self) -> String {
        format!("{}{}", self.bus, self.slot)
    }
}

/// The drive of cloud-init, and what Proxmox VE writes to it.
#[derive(Debug, Clone)]
pub struct CloudInit {
    /// Where it stands.
    pub span: Span,
    /// The store that the drive lies in.
    pub store: Spanned<StoreRef>,
    /// Its bus.
    pub bus: Bus,
    /// Its number on the bus.
    pub slot: u32,
    /// What the language says of it; none for a drive that an option names, of which options say the rest.
    pub stated: Option<CloudInitStated>,
    /// What else is said of the drive.
    pub more: Vec<PveOption>,
}

/// What cloud-init sets up.
#[derive(Debug, Clone)]
pub struct CloudInitStated {
    /// The user who is made.
    pub user: Option<Spanned<Name>>,
    /// The secret that holds the user's password.
    pub password_secret: Option<Spanned<SecretName>>,
    /// Keys that may log in as the user.
    pub ssh_keys: Vec<Spanned<SshKey>>,
    /// Whether packages are brought up to date, where the spec says it.
    pub upgrade: Option<Spanned<bool>>,
    /// Name servers, where the spec says them.
    pub nameserver: Option<Spanned<String>>,
    /// Domains that names are looked up in, where the spec says them.
    pub searchdomain: Option<Spanned<String>>,
    /// Files of the user's own.
    pub custom: Option<Spanned<Line>>,
}

impl CloudInit {
    /// The option that it is: `ide2`.
    pub fn key(&self) -> String {
        format!("{}{}", self.bus, self.slot)
    }
}

/// What a virtual machine takes of the host's PCI devices, as one entry of the spec says it.
#[derive(Debug, Clone)]
pub struct Passthrough {
    /// Where it stands.
    pub span: Span,
    /// What it takes.
    pub device: PassedDevice,
    /// Its number, where the spec says it: `hostpci0`.
    pub slot: Option<Spanned<u32>>,
    /// Whether it is a PCI Express device, where the spec says it.
    pub pcie: Option<Spanned<bool>>,
    /// Whether it is the guest's display, where the spec says it.
    pub x_vga: Option<Spanned<bool>>,
    /// What else is said of it.
    pub more: Vec<PveOption>,
}

/// A PCI device that a virtual machine takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassedDevice {
    /// A row of the hardware table.
    Known(Spanned<Id<PciDevice>>),
    /// Addresses or a mapping as Proxmox VE's file has them, and the rows of the hardware table that they are.
    Raw {
        /// Whether it is the name of a mapping.
        mapping: bool,
        /// As it is written.
        name: Spanned<String>,
        /// What of it the hardware table has.
        known: Vec<Id<PciDevice>>,
    },
}

/// A USB device of a virtual machine.
#[derive(Debug, Clone)]
pub struct GuestUsb {
    /// Where it stands.
    pub span: Span,
    /// What it takes.
    pub device: UsbSource,
    /// Whether it is on a USB 3 controller, where the spec says it.
    pub usb3: Option<Spanned<bool>>,
    /// Its number: `usb0`.
    pub slot: u32,
    /// What else is said of it.
    pub more: Vec<PveOption>,
}

/// What a USB entry of a virtual machine takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsbSource {
    /// A row of the hardware table.
    Known(Spanned<Id<UsbDevice>>),
    /// The name of a mapping that the hardware table does not have.
    Mapping(Spanned<String>),
    /// A socket or a make as Proxmox VE's file has it, or `spice`.
    Host(Spanned<String>),
}

impl UsbSource {
    /// What of the host it is, the same for every way of saying it; nothing for what is no device of the host.
    pub fn identity(&self, host: &Host) -> Option<String> {
        match self {
            Self::Known(id) => {
                let device = &host.hardware.usb[id.value];
                let port = device.port.as_ref().map(|port| port.value.to_string());
                port.or_else(|| device.id.map(|id| id.value.to_string()))
            }
            Self::Mapping(name) => Some(format!("mapping {}", name.value)),
            Self::Host(place) if place.value.eq_ignore_ascii_case("spice") => None,
            Self::Host(place) => {
                // `0x10c4:0xea60` is another spelling.
                let plain = place.value.replace("0x", "").to_ascii_lowercase();
                let id = plain.parse::<UsbId>();
                Some(id.map_or(plain, |id| id.to_string()))
            }
        }
    }

    /// Where it is said.
    pub fn span(&self) -> Span {
        match self {
            Self::Known(id) => id.span,
            Self::Mapping(name) | Self::Host(name) => name.span,
        }
    }
}

/// What the firewall lets through at a guest's cards.
#[derive(Debug, Clone)]
pub struct GuestFirewall {
    /// Where it stands.
    pub span: Span,
    /// Whether it filters.
    pub enabled: Setting<bool>,
    /// What happens to what comes in and no rule names.
    pub policy_in: Setting<FirewallPolicy>,
    /// What happens to what goes out and no rule names.
    pub policy_out: Setting<FirewallPolicy>,
    /// Further options that the spec says.
    pub options: FirewallOptions,
    /// Names for addresses, in the order written.
    pub aliases: Vec<FirewallAlias>,
    /// Sets of addresses, in the order written.
    pub sets: Vec<FirewallSet>,
    /// Rules, in order.
    pub rules: Vec<FirewallRule>,
}

/// Options of a guest's firewall that Proxmox VE has a default for.
#[derive(Debug, Clone, Default)]
pub struct FirewallOptions {
    /// Whether requests for an address are let through.
    pub dhcp: Option<Spanned<bool>>,
    /// Whether the search for neighbours is let through.
    pub ndp: Option<Spanned<bool>>,
    /// Whether router advertisements may be sent.
    pub radv: Option<Spanned<bool>>,
    /// Whether other MAC addresses are stopped.
    pub macfilter: Option<Spanned<bool>>,
    /// Whether other addresses are stopped.
    pub ipfilter: Option<Spanned<bool>>,
    /// How loud what comes in is logged.
    pub log_in: Option<Spanned<FirewallLog>>,
    /// How loud what goes out is logged.
    pub log_out: Option<Spanned<FirewallLog>>,
    /// Whether what comes in goes by Suricata.
    pub ips: Option<Spanned<bool>>,
    /// Suricata's queues.
    pub ips_queues: Option<Spanned<FirewallQueues>>,
    /// The protocols of Ethernet that may be sent; all where it is empty.
    pub layer2_protocols: Vec<Spanned<EtherType>>,
}

/// A name for an address or a network.
#[derive(Debug, Clone)]
pub struct FirewallAlias {
    /// Its name.
    pub name: Spanned<FirewallAliasName>,
    /// What it stands for.
    pub address: FirewallNetwork,
    /// What it is.
    pub comment: Option<Spanned<Line>>,
}

/// A set of addresses and networks.
#[derive(Debug, Clone)]
pub struct FirewallSet {
    /// Its name.
    pub name: Spanned<FirewallSetName>,
    /// What is in it, and the remark of each.
    pub members: Vec<(Spanned<FirewallMember>, Option<Spanned<Line>>)>,
    /// What it is.
    pub comment: Option<Spanned<Line>>,
}

/// What a rule does.
#[derive(Debug, Clone)]
pub enum FirewallAction {
    /// What happens to what fits.
    Policy(Setting<FirewallPolicy>),
    /// The rules of a group of the datacenter stand in its place.
    Group(Spanned<FirewallGroup>),
}

/// One rule of a firewall.
#[derive(Debug, Clone)]
pub struct FirewallRule {
    /// Where it stands.
    pub span: Span,
    /// What it does.
    pub action: FirewallAction,
    /// Which way it goes.
    pub direction: Setting<FirewallDirection>,
    /// The number of the card that it is for.
    pub card: Option<Spanned<u32>>,
    /// The macro that says its protocols and ports.
    pub service: Option<Spanned<FirewallMacro>>,
    /// The protocol.
    pub protocol: Option<Spanned<FirewallProtocol>>,
    /// The ports.
    pub port: Option<Spanned<FirewallPorts>>,
    /// The ports that it comes from.
    pub from_port: Option<Spanned<FirewallPorts>>,
    /// The type of ICMP.
    pub icmp_type: Option<Spanned<FirewallIcmpType>>,
    /// Where it comes from.
    pub from: Option<Spanned<FirewallAddresses>>,
    /// Where it goes.
    pub to: Option<Spanned<FirewallAddresses>>,
    /// How loud it is logged.
    pub log: Setting<FirewallLog>,
    /// What it is for.
    pub comment: Option<Spanned<Line>>,
    /// Whether it applies.
    pub enabled: Setting<bool>,
}

impl FirewallRule {
    /// Why Proxmox VE would leave it out.
    pub fn unheard(&self) -> Option<UnheardRule> {
        if let FirewallAction::Group(_) = self.action {
            return None;
        }
        let compared = FirewallMatch {
            service: self.service.map(|service| service.value),
            from_port: self.from_port.as_ref().map(|port| &port.value),
            icmp_type: self.icmp_type.as_ref().map(|kind| &kind.value),
            protocol: self.protocol.as_ref().map(|protocol| &protocol.value),
            port: self.port.as_ref().map(|port| &port.value),
            from: self.from.as_ref().map(|from| &from.value),
            to: self.to.as_ref().map(|to| &to.value),
        };
        compared.unheard()
    }
}

/// What a disk of a virtual machine is.
#[derive(Debug, Clone)]
pub enum DiskSource {
    /// A volume of a store.
    Volume(Placement),
    /// A disk of the host, handed over whole.
    Device(Spanned<Id<Disk>>),
}

impl VmDisk {
    /// Where its volume lies; none for a disk of the host.
    pub fn placement(&self) -> Option<&Placement> {
        match &self.source {
            DiskSource::Volume(placement) => Some(placement),
            DiskSource::Device(_) => None,
        }
    }

    /// The dataset that it lies in, where it lies in one.
    pub fn dataset(&self) -> Option<Id<Dataset>> {
        self.placement().and_then(Placement::dataset)
    }

    /// Its size, where the spec tells.
    pub fn size(&self) -> Option<Spanned<ByteSize>> {
        self.placement().and_then(Placement::size)
    }
}

/// Where the settings of OVMF lie.
#[derive(Debug, Clone)]
pub struct EfiDisk {
    /// Where the spec says it; the firmware's place otherwise.
    pub span: Span,
    /// The volume.
    pub placement: Placement,
    /// How much flash OVMF sees.
    pub kind: Setting<EfiType>,
    /// Whether Microsoft's and the distributions' keys of Secure Boot are in it.
    pub pre_enrolled_keys: Setting<bool>,
}

/// Where the state of a TPM lies.
#[derive(Debug, Clone)]
pub struct TpmState {
    /// Where the spec says it; the guest's table otherwise.
    pub span: Span,
    /// The volume.
    pub placement: Placement,
    /// The TPM's version.
    pub version: Setting<TpmVersion>,
}

/// A folder of the host inside a virtual machine.
#[derive(Debug, Clone)]
pub struct Share {
    /// Where its table stands.
    pub span: Span,
    /// The dataset.
    pub dataset: Spanned<Id<Dataset>>,
    /// Where the guest mounts it.
    pub mount: Setting<GuestPath>,
    /// Whether the guest only reads.
    pub read_only: Setting<bool>,
}

/// What is particular to a container.
#[derive(Debug, Clone)]
pub struct Container {
    /// What runs in it.
    pub os: Setting<ContainerOs>,
    /// Cores that it sees; all where the spec says none.
    pub cores: Option<Spanned<u32>>,
    /// The most swap it takes.
    pub swap: Setting<ByteSize>,
    /// What it is made from.
    pub template: Setting<VolumeId>,
    /// Whether its root is an ordinary user of the host.
    pub unprivileged: Setting<bool>,
    /// Features of Proxmox VE.
    pub features: Vec<Spanned<Line>>,
    /// Its root file system.
    pub rootfs: Placement,
    /// What else is said of its root file system.
    pub rootfs_more: Vec<PveOption>,
    /// Further file systems, in order.
    pub mounts: Vec<ContainerMount>,
    /// Devices of the host.
    pub devices: Vec<ContainerDevice>,
    /// Raw lines of LXC, in order: key and value, which may be empty.
    pub lxc: Vec<PveOption>,
    /// The secret that holds root's password, which it is made with.
    pub password_secret: Option<Spanned<SecretName>>,
    /// Keys that may log in as root, which it is made with.
    pub ssh_keys: Vec<Spanned<SshKey>>,
}

/// A further file system of a container.
#[derive(Debug, Clone)]
pub struct ContainerMount {
    /// Its name in the spec.
    pub name: Spanned<String>,
    /// What is mounted.
    pub source: MountSource,
    /// Where.
    pub path: Setting<AbsolutePath>,
    /// Whether the container only reads.
    pub read_only: Setting<bool>,
    /// Whether backups hold it.
    pub backup: Setting<bool>,
    /// Its number: `mp0`.
    pub slot: u32,
    /// What else is said of it.
    pub more: Vec<PveOption>,
}

/// What a container mounts.
#[derive(Debug, Clone)]
pub enum MountSource {
    /// A volume of a store.
    Volume(Placement),
    /// A shared dataset, as it is.
    Share(Spanned<Id<Dataset>>),
    /// A folder of the host.
    HostPath(Spanned<AbsolutePath>),
}

/// A device of the host inside a container.
#[derive(Debug, Clone)]
pub struct ContainerDevice {
    /// The device.
    pub path: Setting<DevicePath>,
    /// The user that owns it inside.
    pub uid: Option<Spanned<u32>>,
    /// The group that owns it inside.
    pub gid: Option<Spanned<u32>>,
    /// Its permissions inside, in octal.
    pub mode: Option<Spanned<String>>,
    /// Whether the container only reads.
    pub read_only: Setting<bool>,
    /// Its number: `dev0`.
    pub slot: u32,
    /// What else is said of it.
    pub more: Vec<PveOption>,
}

/// What a NixOS guest is.
#[derive(Debug, Clone)]
pub struct NixosGuest {
    /// Where it stands; the guest's own table where the spec leaves it out.
    pub span: Span,
    /// The release that its state is kept for.
    pub state_version: Option<Spanned<ReleaseTag>>,
    /// Whether nothing but the configuration decides.
    pub immutable: Setting<bool>,
    /// The user's own modules.
    pub modules: Vec<Spanned<ModulePath>>,
    /// Packages of nixpkgs.
    pub packages: Vec<Spanned<NixAttribute>>,
    /// Ports that the firewall opens.
    pub ports: Vec<Spanned<Port>>,
    /// Services to enable.
    pub services: Vec<Spanned<NixAttribute>>,
    /// User services to enable.
    pub user_services: Vec<Spanned<NixAttribute>>,
    /// Users.
    pub users: Vec<NixosUser>,
    /// The user's own scripts.
    pub scripts: Vec<NixosScript>,
    /// Raw options: dotted path and value.
    pub settings: Vec<(Spanned<String>, Node)>,
}

/// A user of a NixOS guest.
#[derive(Debug, Clone)]
pub struct NixosUser {
    /// The account.
    pub name: Spanned<String>,
    /// What the user is called.
    pub description: Option<Spanned<FullName>>,
    /// Further groups.
    pub groups: Vec<Spanned<Name>>,
    /// Keys that may log in.
    pub ssh_keys: Vec<Spanned<SshKey>>,
    /// Whether the user may become root.
    pub admin: Setting<bool>,
}

/// A script of the user's that is installed in a NixOS guest.
#[derive(Debug, Clone)]
pub struct NixosScript {
    /// The command.
    pub name: Spanned<String>,
    /// The file, relative to the spec.
    pub source: Option<Spanned<ModulePath>>,
    /// Packages whose programs it calls.
    pub packages: Vec<Spanned<NixAttribute>>,
    /// Users who may run it as root.
    pub operators: Vec<Spanned<Name>>,
    /// When it runs by itself.
    pub on: Option<Spanned<Calendar>>,
    /// How long it may take then.
    pub timeout: Option<Spanned<TimeSpan>>,
    /// What it is called with then.
    pub arguments: Vec<Spanned<Line>>,
    /// Whether it runs in the users' sessions.
    pub session: Setting<bool>,
    /// What it may write to.
    pub writable: Vec<Spanned<AbsolutePath>>,
}

/// What a Windows guest is.
#[derive(Debug, Clone)]
pub struct WindowsGuest {
    /// Where it stands; the guest's own table where the spec leaves it out.
    pub span: Span,
    /// Language and region.
    pub locale: Setting<Locale>,
    /// The user that the setup makes.
    pub user: Setting<WindowsUser>,
    /// The keyboard, where the spec names one.
    pub keyboard: Option<Spanned<KeyboardLayout>>,
    /// The machine's name in Windows, where it is not the guest's.
    pub computer_name: Option<Spanned<ComputerName>>,
    /// The edition that is installed.
    pub edition: Option<Spanned<Line>>,
    /// The image of the medium by its number.
    pub image_index: Option<Spanned<u32>>,
    /// The language of menus, where the spec names one.
    pub display_language: Option<Spanned<Locale>>,
    /// The secret that holds the product key.
    pub product_key_secret: Option<Spanned<SecretName>>,
    /// The secret that holds the user's first password.
    pub password_secret: Option<Spanned<SecretName>>,
    /// The time zone.
    pub timezone: Setting<TimeZoneName>,
    /// Whether optional updates are installed, too.
    pub optional_updates: Setting<bool>,
    /// How people reach it over the network.
    pub remote_access: Option<Spanned<RemoteAccess>>,
    /// Whether Windows may encrypt its disk by itself.
    pub device_encryption: Setting<bool>,
    /// What Setup is not to look for.
    pub bypass: Vec<Spanned<SetupCheck>>,
    /// Further accounts.
    pub users: Vec<WindowsAccount>,
    /// The domain that it joins.
    pub domain: Option<WindowsDomain>,
    /// Packages of winget.
    pub winget: Vec<Spanned<WingetId>>,
    /// Steam.
    pub steam: Option<Steam>,
    /// The Rust toolchain.
    pub rust: Option<RustSetup>,
}

/// A further account of a Windows guest.
#[derive(Debug, Clone)]
pub struct WindowsAccount {
    /// Its name.
    pub name: Spanned<String>,
    /// The person's name, where it is not the account's.
    pub full_name: Option<Spanned<Line>>,
    /// Whether it may change the machine.
    pub administrator: Setting<bool>,
    /// The secret that holds its first password.
    pub password_secret: Setting<SecretName>,
}

/// The domain that a Windows guest joins.
#[derive(Debug, Clone)]
pub struct WindowsDomain {
    /// Where its table stands.
    pub span: Span,
    /// Its name.
    pub name: Setting<DnsName>,
    /// The secret that holds an account that may join machines.
    pub login_secret: Setting<SecretName>,
    /// The organizational unit, where the spec names one.
    pub ou: Option<Spanned<Line>>,
}

impl WindowsGuest {
    /// Whether Setup looks for this in the machine.
    pub fn looks_for(&self, check: SetupCheck) -> bool {
        self.bypass.iter().all(|one| one.value != check)
    }
}

/// Steam and its games.
#[derive(Debug, Clone)]
pub struct Steam {
    /// Where its table stands.
    pub span: Span,
    /// Where Steam is installed, where the spec tells.
    pub install_dir: Option<Spanned<GuestPath>>,
    /// The secret that holds the account's name and password.
    pub login_secret: Option<Spanned<SecretName>>,
    /// Folders that hold games.
    pub libraries: Vec<Spanned<GuestPath>>,
    /// Games: number and name.
    pub games: Vec<(Spanned<u32>, Option<Spanned<Line>>)>,
}

/// The Rust toolchain.
#[derive(Debug, Clone)]
pub struct RustSetup {
    /// Where its table stands.
    pub span: Span,
    /// The toolchain.
    pub toolchain: Setting<String>,
    /// The host triple.
    pub host: Setting<String>,
    /// Components.
    pub components: Vec<Spanned<Name>>,
    /// Further targets.
    pub targets: Vec<Spanned<Name>>,
    /// Environment variables of the user.
    pub environment: Vec<(Spanned<String>, Spanned<Line>)>,
    /// Projects: name, path, and what it is cloned from.
    pub projects: Vec<RustProject>,
}

/// A project.
#[derive(Debug, Clone)]
pub struct RustProject {
    /// Its name.
    pub name: Setting<String>,
    /// Where it lies.
    pub path: Setting<GuestPath>,
    /// What it is cloned from.
    pub git: Option<Spanned<Line>>,
}

impl Vm {
    /// The one SCSI controller that gives each disk a thread of its own.
    pub const SINGLE_CONTROLLER: &'static str = "virtio-scsi-single";

    /// The processor's model without what is said behind it: `host,hidden=1` is `host`.
    pub fn cpu_model_name(&self) -> &str {
        let model = self.cpu_model.split(',').next().unwrap_or_default();
        model.strip_prefix("cputype=").unwrap_or(model)
    }

    /// The disk that it boots from: the first that its order names, else the first of all.
    pub fn boot_disk(&self) -> Option<&VmDisk> {
        let mut order = self.boot.iter().flat_map(|order| &order.value);
        order
            .find_map(|option| self.disks.iter().find(|disk| disk.key() == *option))
            .or_else(|| self.disks.first())
    }

    /// The rows of the hardware table that it takes for itself, in the order of the spec, and where it says so.
    pub fn passed(&self) -> impl Iterator<Item = Spanned<Id<PciDevice>>> + '_ {
        self.passthrough
            .iter()
            .filter(|entry| !entry.is_mediated())
            .flat_map(Passthrough::rows)
    }
}

impl Passthrough {
    /// Whether it is a device that the host's driver makes of a part of the card (`mdev`): the card stays with the host, and
    /// guests share it.
    pub fn is_mediated(&self) -> bool {
        PveOption::find(&self.more, "mdev").is_some()
    }

    /// The rows of the hardware table that it is, or is a part of, and where the spec says so.
    pub fn rows(&self) -> Vec<Spanned<Id<PciDevice>>> {
        match &self.device {
            PassedDevice::Known(id) => vec![*id],
            PassedDevice::Raw { name, known, .. } => known
                .iter()
                .map(|id| Spanned::new(*id, name.span))
                .collect(),
        }
    }
}

impl Guest {
    /// The name that Proxmox VE shows, and where the spec says it.
    pub fn shown_name(&self) -> Spanned<&str> {
        match &self.shown_as {
            Some(name) => Spanned::new(name.as_str(), name.span),
            None => Spanned::new(self.name.as_str(), self.name.span),
        }
    }

    /// Whether its system's network is told from outside. A virtual machine without cloud-init has all of it of its own
    /// system; Proxmox VE sets up a container's, moxc a NixOS guest's.
    pub fn is_told_its_network(&self) -> bool {
        self.nixos.is_some() || self.vm().is_none_or(|vm| vm.cloud_init.is_some())
    }

    /// Its place among the guests that start with the host; none where it does not.
    pub fn starts(&self) -> Option<&Autostart> {
        self.autostart
            .as_ref()
            .filter(|autostart| autostart.enabled)
    }

    /// An option that has no word of its own in the language.
    pub fn option(&self, key: &str) -> Option<&PveOption> {
        PveOption::find(&self.options, key)
    }

    /// Whether it is only cloned: Proxmox VE starts no template.
    pub fn is_template(&self) -> bool {
        self.option("template")
            .is_some_and(|option| option.value.as_str() == "1")
    }

    /// What runs in it.
    pub fn os(&self) -> GuestOs {
        match &self.kind {
            GuestKind::Vm(vm) => GuestOs::Vm(vm.os.value),
            GuestKind::Container(container) => GuestOs::Container(container.os.value),
        }
    }

    /// Its Windows half.
    pub fn windows(&self) -> Option<&WindowsGuest> {
        match &self.kind {
            GuestKind::Vm(vm) => vm.windows.as_ref(),
            GuestKind::Container(_) => None,
        }
    }

    /// Its virtual machine.
    pub fn vm(&self) -> Option<&Vm> {
        match &self.kind {
            GuestKind::Vm(vm) => Some(vm),
            GuestKind::Container(_) => None,
        }
    }

    /// Its container.
    pub fn container(&self) -> Option<&Container> {
        match &self.kind {
            GuestKind::Container(container) => Some(container),
            GuestKind::Vm(_) => None,
        }
    }
}

impl Item for Guest {
    fn name(&self) -> &str {
        &self.name
    }
}
