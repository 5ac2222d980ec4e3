//! `[vms.<name>]` and `[containers.<name>]`.

use super::reader::{
    Amount, FromNode, GatewayName, Int, List, Named, OneOf, OneOrMany, Raw, Reference, ShortOrLong,
};
use super::schema_keys::{
    AgentOptions, CardOptions, ContainerOptions, DriveOptions, ImageOptions, MountOptions,
    PassthroughOptions, RootfsOptions, VmOptions,
};
use super::table::table;
use crate::calendar::{Calendar, TimeSpan};
use crate::value::{
    AbsolutePath, AccountName, Balloon, Bus, ByteSize, CacheMode, CommandName, ComputerName,
    ContainerOs, CpuSet, DevicePath, DnsName, EfiType, EnvironmentName, EtherType,
    FirewallAddresses, FirewallAliasName, FirewallDirection, FirewallGroup, FirewallIcmpType,
    FirewallLog, FirewallMacro, FirewallMember, FirewallNetwork, FirewallPolicy, FirewallPorts,
    FirewallProtocol, FirewallQueues, FirewallSetName, Firmware, FullName, GuestAddress,
    GuestFileSystem, GuestPath, HugePages, ImageFormat, Line, Locale, MacAddress, ModulePath, Name,
    NixAttribute, OctalMode, Port, ReleaseTag, RemoteAccess, SecretName, SetupCheck, Tag, Text,
    TpmVersion, ValueError, VlanTag, VmId, VmOs, VolumeId, VolumeName, WindowsUser, WingetId,
};

table! {
    /// One of `[vms]`.
    VmSpec {
        /// What runs in it.
        "os" os: req OneOf<VmOs>;
        /// The name that Proxmox VE shows; the table's own where left out.
        "name" name: opt DnsName;
        /// Its number, unique on the host.
        "vmid" vmid: req VmId;
        /// What it is for; Proxmox VE shows it as the guest's notes.
        "description" description: opt Text;
        /// Tags.
        "tags" tags: opt List<Tag>;
        /// The processor.
        "cpu" cpu: opt VmCpuSpec;
        /// The memory: a size, or a table with `balloon`, `hugepages`, `numa` and `shares`.
        "memory" memory: req ShortOrLong<ByteSize, VmMemorySpec>;
        /// The least memory that ballooning leaves; beside `memory` as a size.
        "balloon" balloon: opt Balloon;
        /// The size of its memory pages; beside `memory` as a size.
        "hugepages" hugepages: opt HugePages;
        /// Whether the guest sees the host's NUMA nodes; beside `memory` as a size.
        "numa" numa: opt bool;
        /// Whether and when it starts with the host.
        "autostart" autostart: opt ShortOrLong<bool, AutostartSpec>;
        /// Whether Proxmox VE refuses to remove it.
        "protection" protection: opt bool;
        /// Guests that must run first.
        "needs" needs: opt List<Reference>;
        /// Guests that never run at the same time.
        "exclusive-with" exclusive_with: opt List<Reference>;
        /// Whether it is backed up.
        "backup" backup: opt bool;
        /// Raw options of Proxmox VE.
        "extra" extra: opt Raw;
        /// Options of Proxmox VE that moxc would write by itself and that stay out, as `smbios1` or `name`.
        "unset" unset: opt List<Line>;
        /// Its network cards, in order.
        "network" network: opt List<GuestNicSpec>;
        /// What the firewall of Proxmox VE lets through at cards with `firewall = true`.
        "firewall" firewall: opt GuestFirewallSpec;
        /// Its firmware; `ovmf` for Windows 11 and Server 2025, `seabios` otherwise.
        "firmware" firmware: opt OneOf<Firmware>;
        /// Its machine type; `q35` where left out, of one version for a new Windows guest.
        "machine" machine: opt Line;
        /// Where the settings of OVMF lie; beside the first disk where left out. `false`: nowhere, they are lost at each stop.
        "efi" efi: opt ShortOrLong<bool, EfiSpec>;
        /// Whether it has a TPM, and where its state lies; on, as 2.0, for Windows 11 and Server 2025.
        "tpm" tpm: opt ShortOrLong<bool, TpmSpec>;
        /// Whether its firmware brings the keys of Secure Boot; on for Windows with OVMF.
        "secure-boot" secure_boot: opt bool;
        /// Whether the QEMU guest agent runs in it, or a table of how; on where left out.
        "agent" agent: opt ShortOrLong<bool, AgentSpec>;
        /// Its display, as Proxmox VE's `vga`.
        "display" display: opt Line;
        /// Its disks, in order; the first is the one it boots from.
        "disks" disks: opt Named<Name, VmDiskSpec>;
        /// Installation images and empty drives.
        "iso" iso: opt OneOrMany<ShortOrLong<VolumeId, ImageSpec>>;
        /// What it boots from, in order: names of its disks, `iso` for the images, `net0` for a network card; empty for
        /// nothing at all. Its first disk and then its images where left out.
        "boot" boot: opt List<Line>;
        /// The controller of its disks on the bus `scsi`, as Proxmox VE's `scsihw`; `virtio-scsi-single` where left out.
        "scsi-controller" scsi_controller: opt Line;
        /// Serial ports, `socket` or a device of the host; a NixOS guest has one where left out.
        "serial" serial: opt List<Line>;
        /// PCI functions of `[hardware.pci]`; those of one card go together.
        "passthrough" passthrough: opt List<ShortOrLong<Reference, PassthroughSpec>>;
        /// USB devices of `[hardware.usb]`.
        "usb" usb: opt List<ShortOrLong<Reference, GuestUsbSpec>>;
        /// What cloud-init sets up in it at its first start.
        "cloud-init" cloud_init: opt CloudInitSpec;
        /// Whether it is there already: rules of a new installation become warnings.
        "installed" installed: opt bool;
        /// Folders of the host, by virtio-fs.
        "shares" shares: opt List<ShareSpec>;
        /// What a NixOS guest is.
        "nixos" nixos: opt NixosSpec;
        /// What a Windows guest is.
        "windows" windows: opt WindowsSpec;
        ..VmOptions
    }

    /// One of `[containers]`.
    ContainerSpec {
        /// What runs in it.
        "os" os: req OneOf<ContainerOs>;
        /// Its host name, which Proxmox VE shows; the table's own where left out.
        "name" name: opt DnsName;
        /// Its number, unique on the host.
        "vmid" vmid: req VmId;
        /// What it is for; Proxmox VE shows it as the guest's notes.
        "description" description: opt Text;
        /// Tags.
        "tags" tags: opt List<Tag>;
        /// The processor.
        "cpu" cpu: opt ContainerCpuSpec;
        /// The most memory it takes.
        "memory" memory: req ByteSize;
        /// The most swap it takes; Proxmox VE's own 512 MiB where left out, `"0"` for none.
        "swap" swap: opt ByteSize;
        /// Whether and when it starts with the host.
        "autostart" autostart: opt ShortOrLong<bool, AutostartSpec>;
        /// Whether Proxmox VE refuses to remove it.
        "protection" protection: opt bool;
        /// Guests that must run first.
        "needs" needs: opt List<Reference>;
        /// Guests that never run at the same time.
        "exclusive-with" exclusive_with: opt List<Reference>;
        /// Whether it is backed up.
        "backup" backup: opt bool;
        /// Raw options of Proxmox VE.
        "extra" extra: opt Raw;
        /// Options of Proxmox VE that moxc would write by itself and that stay out, as `smbios1` or `name`.
        "unset" unset: opt List<Line>;
        /// Its network cards, in order.
        "network" network: opt List<GuestNicSpec>;
        /// What the firewall of Proxmox VE lets through at cards with `firewall = true`.
        "firewall" firewall: opt GuestFirewallSpec;
        /// What it is made from; may be left out beside `rootfs.volume`, of a container that is there already. Such a one may
        /// be a template itself: `true`.
        "template" template: opt TemplateSpec;
        /// Whether its root is an ordinary user of the host; on where left out.
        "unprivileged" unprivileged: opt bool;
        /// Features: `nesting`, `keyctl`, `fuse`, `mknod`, `force_rw_sys`, `mount=nfs;cifs`.
        "features" features: opt List<Line>;
        /// Its root file system.
        "rootfs" rootfs: req RootfsSpec;
        /// Further file systems by name.
        "mounts" mounts: opt Named<Name, MountSpec>;
        /// Devices of the host.
        "devices" devices: opt List<ShortOrLong<DevicePath, ContainerDeviceSpec>>;
        /// Its time zone: one of the IANA database, or `host` for the host's own.
        "timezone" timezone: opt Line;
        /// Its name servers; the host's where left out.
        "nameserver" nameserver: opt OneOrMany<Line>;
        /// The domains that it looks names up in; the host's where left out.
        "searchdomain" searchdomain: opt OneOrMany<Line>;
        /// What is on its console: `tty`, `console` or `shell`.
        "console-mode" console_mode: opt Line;
        /// Raw lines of LXC, in their order: `"lxc.cgroup2.devices.allow: c 226:0 rwm"`. Nothing after the `:` clears a list.
        "lxc" lxc: opt List<Line>;
        /// The name of the secret that holds root's password, which it is made with.
        "password-secret" password_secret: opt SecretName;
        /// Keys that may log in as root, which it is made with.
        "ssh-keys" ssh_keys: opt List<crate::value::SshKey>;
        /// What a NixOS guest is.
        "nixos" nixos: opt NixosSpec;
        ..ContainerOptions
    }

    /// `cpu` of a virtual machine.
    VmCpuSpec {
        /// Cores of each socket.
        "cores" cores: opt Int<1, 8192>;
        /// Sockets; 1 where left out.
        "sockets" sockets: opt Int<1, 64>;
        /// The model that the guest sees; `host` for Windows and `x86-64-v2-AES` for others where left out.
        "type" model: opt Line;
        /// The host's threads that it runs on.
        "affinity" affinity: opt CpuAffinity;
        /// The most that it takes, in cores.
        "limit" limit: opt Amount;
        /// Its weight against other guests.
        "units" units: opt Int<1, 262_144>;
    }

    /// `cpu` of a container.
    ContainerCpuSpec {
        /// Cores that it sees; all where left out.
        "cores" cores: opt Int<1, 8192>;
        /// The most that it takes, in cores.
        "limit" limit: opt Amount;
        /// Its weight against other guests.
        "units" units: opt Int<0, 500_000>;
    }

    /// `memory` of a virtual machine, in full.
    VmMemorySpec {
        /// The most memory it takes.
        "size" size: req ByteSize;
        /// The least that ballooning leaves; `false` switches ballooning off.
        "balloon" balloon: opt Balloon;
        /// The size of its memory pages: `2 MiB` or `1 GiB`, or `any` for what the host has at its start.
        "hugepages" hugepages: opt HugePages;
        /// Whether the guest sees the host's NUMA nodes.
        "numa" numa: opt bool;
        /// How much of the memory that is left it gets beside the others, while it balloons; 1000 where left out, 0 for no part.
        "shares" shares: opt Int<0, 50_000>;
    }

    /// `autostart` in full.
    AutostartSpec {
        /// Its place: lower starts earlier and stops later.
        "order" order: opt Int<0, 9999>;
        /// How long the next guest waits for it.
        "up-delay" up_delay: opt crate::calendar::TimeSpan;
        /// How long the host waits for it to stop.
        "down-delay" down_delay: opt crate::calendar::TimeSpan;
        /// Whether it starts with the host; on where left out.
        "enabled" enabled: opt bool;
    }

    /// An installation image of a virtual machine, or a drive without one.
    ImageSpec {
        /// The image.
        "image" image: opt VolumeId;
        /// Whether nothing is in the drive.
        "empty" empty: opt bool;
        /// Its bus; `ide` where left out, and `sata` where other images fill that; four disks on `ide` leave it no place.
        "bus" bus: opt OneOf<Bus>;
        /// Its number on the bus; a free one where left out.
        "slot" slot: opt Int<0, 30>;
        ..ImageOptions
    }

    /// `cloud-init` of a virtual machine: a small drive with what Proxmox VE makes of these keys and of the cards' addresses.
    CloudInitSpec {
        /// The dataset that the drive lies in; that of the first disk where left out.
        "dataset" dataset: opt Reference;
        /// The store that the drive lies in, where it is no dataset.
        "store" store: opt Reference;
        /// The user who is made; the image's own where left out.
        "user" user: opt Name;
        /// The name of the secret that holds the user's password.
        "password-secret" password_secret: opt SecretName;
        /// Keys that may log in as the user; the host's `ssh-keys` where left out.
        "ssh-keys" ssh_keys: opt List<crate::value::SshKey>;
        /// Whether packages are brought up to date at the first start; on where left out, as Proxmox VE does.
        "upgrade" upgrade: opt bool;
        /// Its name servers; the host's where left out.
        "nameserver" nameserver: opt OneOrMany<Line>;
        /// The domains that it looks names up in; the host's where left out.
        "searchdomain" searchdomain: opt OneOrMany<Line>;
        /// Files of your own in the place of those that Proxmox VE makes, as its `cicustom`: `"user=local:snippets/web.yaml"`.
        "custom" custom: opt Line;
        /// Its bus; `ide` where left out, and `sata` where other images fill that; four disks on `ide` leave it no place.
        "bus" bus: opt OneOf<Bus>;
        /// Its number on the bus; a free one where left out.
        "slot" slot: opt Int<0, 30>;
    }

    /// A PCI function or card of a virtual machine.
    PassthroughSpec {
        /// The function: a name of `[hardware.pci]`.
        "device" device: req Reference;
        /// Its number among the guest's devices, as in `hostpci0`; a free one where left out.
        "slot" slot: opt Int<0, 15>;
        /// Whether it is a PCI Express device; on with `q35` where left out.
        "pcie" pcie: opt bool;
        /// Whether it is the guest's display; the first graphics card of a Windows guest where left out.
        "x-vga" x_vga: opt bool;
        /// The file of its option ROM, in `/usr/share/kvm`.
        "rom-file" rom_file: opt Line;
        ..PassthroughOptions
    }

    /// A USB device of a virtual machine.
    GuestUsbSpec {
        /// The device: a name of `[hardware.usb]`.
        "device" device: req Reference;
        /// Whether it is on a USB 3 controller.
        "usb3" usb3: opt bool;
        /// Its number among the guest's devices, as in `usb0`; a free one where left out.
        "slot" slot: opt Int<0, 13>;
    }

    /// `agent` in full.
    AgentSpec {
        /// Whether the agent runs in the guest; on where left out.
        "enabled" enabled: opt bool;
        ..AgentOptions
    }

    /// `[….firewall]`: what is let through at a guest's cards.
    GuestFirewallSpec {
        /// Whether it filters; on where left out.
        "enabled" enabled: opt bool;
        /// What happens to what comes in and no rule names; `drop` where left out.
        "in" policy_in: opt OneOf<FirewallPolicy>;
        /// What happens to what goes out and no rule names; `accept` where left out.
        "out" policy_out: opt OneOf<FirewallPolicy>;
        /// Rules, of which the first that fits decides.
        "rules" rules: opt List<FirewallRuleSpec>;
        /// Names for addresses and networks, which rules and sets can say in their place.
        "aliases" aliases: opt Named<FirewallAliasName, ShortOrLong<FirewallNetwork, FirewallAliasSpec>>;
        /// Sets of addresses and networks, which rules name as `+NAME`. What stands in `ipfilter-net0` is all that the card
        /// `net0` may send from.
        "sets" sets: opt Named<FirewallSetName, ShortOrLong<List<FirewallMember>, FirewallSetSpec>>;
        /// Whether its requests for an address are let through; where a card takes its address so where left out.
        "dhcp" dhcp: opt bool;
        /// Whether IPv6's search for neighbours is let through; on where left out.
        "ndp" ndp: opt bool;
        /// Whether it may send router advertisements.
        "radv" radv: opt bool;
        /// Whether it may send from its own MAC addresses alone; on where left out.
        "macfilter" macfilter: opt bool;
        /// Whether each card may send from its own addresses alone.
        "ipfilter" ipfilter: opt bool;
        /// How loud what no rule names is logged as it comes in; not at all where left out.
        "log-level-in" log_in: opt OneOf<FirewallLog>;
        /// How loud what no rule names is logged as it goes out; not at all where left out.
        "log-level-out" log_out: opt OneOf<FirewallLog>;
        /// Whether what comes in and is let through goes by Suricata first, which the host has to have.
        "ips" ips: opt bool;
        /// Suricata's queues, where it does not listen on the first alone.
        "ips-queues" ips_queues: opt FirewallQueues;
        /// The protocols of Ethernet that it may send, by name or number; all where left out. Without `ARP` it finds nobody.
        "layer2-protocols" layer2_protocols: opt List<EtherType>;
    }

    /// An alias with a remark.
    FirewallAliasSpec {
        /// What it stands for.
        "address" address: req FirewallNetwork;
        /// What it is.
        "comment" comment: opt Line;
    }

    /// A set with remarks.
    FirewallSetSpec {
        /// What is in it.
        "members" members: req List<ShortOrLong<FirewallMember, FirewallMemberSpec>>;
        /// What it is.
        "comment" comment: opt Line;
    }

    /// A member of a set with a remark.
    FirewallMemberSpec {
        /// What is in the set.
        "address" address: req FirewallMember;
        /// What it is.
        "comment" comment: opt Line;
    }

    /// One rule of a firewall.
    FirewallRuleSpec {
        /// What happens.
        "action" action: opt OneOf<FirewallPolicy>;
        /// In place of an action: the security group of the datacenter whose rules stand here.
        "group" group: opt FirewallGroup;
        /// Which way it goes; `in` where left out.
        "direction" direction: opt OneOf<FirewallDirection>;
        /// The card that it is for, as `net0`; all where left out.
        "card" card: opt Line;
        /// The service that it is for, by the name that Proxmox VE has for its protocols and ports: `SSH`, `HTTPS`, `Ping`.
        "macro" service: opt FirewallMacro;
        /// The protocol, as `tcp`; a rule with ports needs one.
        "protocol" protocol: opt FirewallProtocol;
        /// The ports that it is for: `22`, `"80,443"`, `"137:138"`; of `icmp` its types, as `"echo-request"`.
        "port" port: opt FirewallPorts;
        /// The ports that it comes from.
        "from-port" from_port: opt FirewallPorts;
        /// The type of `icmp` or `icmpv6`, as `"echo-request"`.
        "icmp-type" icmp_type: opt FirewallIcmpType;
        /// Where it comes from: an address, a network, a list of them, a range, a set (`"+lan"`), an alias.
        "from" from: opt FirewallAddresses;
        /// Where it goes.
        "to" to: opt FirewallAddresses;
        /// How loud it is logged; not at all where left out.
        "log" log: opt OneOf<FirewallLog>;
        /// What it is for.
        "comment" comment: opt Line;
        /// Whether it applies; on where left out.
        "enabled" enabled: opt bool;
    }

    /// One network card of a guest.
    GuestNicSpec {
        /// The bridge it is on.
        "bridge" bridge: req Reference;
        /// Its IPv4 address, or `dhcp`.
        "address" address: opt GuestAddress;
        /// Its IPv6 address, `dhcp` or `auto`.
        "address6" address6: opt GuestAddress;
        /// Its way out, IPv4.
        "gateway" gateway: opt GatewayName;
        /// Its way out, IPv6.
        "gateway6" gateway6: opt GatewayName;
        /// Its MAC address; derived where left out.
        "mac" mac: opt MacAddress;
        /// The VLAN it is in.
        "vlan" vlan: opt VlanTag;
        /// The VLANs it may tag itself.
        "trunks" trunks: opt super::network::VlanIds;
        /// Whether it goes through Proxmox VE's firewall. What that lets through stands in `[….firewall]`; without it, of a
        /// NixOS guest the ports that the spec opens are, and of any other nothing is filtered.
        "firewall" firewall: opt bool;
        /// The largest packet, in bytes.
        "mtu" mtu: opt Int<576, 65520>;
        /// The most that it sends, in MB/s.
        "rate" rate: opt Amount;
        /// What a virtual machine sees: `virtio` where left out, `e1000`, `vmxnet3` ….
        "model" model: opt Line;
        /// What a container calls it; `eth0`, `eth1` … by its number where left out.
        "name" name: opt Line;
        /// Its number among the guest's cards, as in `net0`; a free one where left out.
        "slot" slot: opt Int<0, 31>;
        ..CardOptions
    }

    /// `efi` of a virtual machine.
    EfiSpec {
        /// The dataset that it lies in; that of the first disk where left out.
        "dataset" dataset: opt Reference;
        /// The store that it lies in, where it is no dataset.
        "store" store: opt Reference;
        /// The volume, where it is there already.
        "volume" volume: opt VolumeName;
        /// The size of a volume that is there already.
        "size" size: opt ByteSize;
        /// The format of its image, on a store of files.
        "format" format: opt OneOf<ImageFormat>;
        /// How much flash OVMF sees; `4m` where left out.
        "type" kind: opt OneOf<EfiType>;
        /// Whether the keys of Secure Boot are in it; as `secure-boot` where left out.
        "pre-enrolled-keys" pre_enrolled_keys: opt bool;
    }

    /// `tpm` of a virtual machine.
    TpmSpec {
        /// The dataset that its state lies in; that of the first disk where left out.
        "dataset" dataset: opt Reference;
        /// The store that its state lies in, where it is no dataset.
        "store" store: opt Reference;
        /// The volume, where it is there already.
        "volume" volume: opt VolumeName;
        /// The size of a volume that is there already.
        "size" size: opt ByteSize;
        /// The version; `v2.0` where left out.
        "version" version: opt OneOf<TpmVersion>;
    }

    /// One disk of a virtual machine.
    VmDiskSpec {
        /// The dataset that it lies in.
        "dataset" dataset: opt Reference;
        /// The store that it lies in, where it is no dataset: of `[storage.lvm]`, of `[storage.external]`, or `local`.
        "store" store: opt Reference;
        /// The volume, where it is there already: then nothing is made.
        "volume" volume: opt VolumeName;
        /// A disk of `[hardware.disks]` that is handed over whole, instead of a volume.
        "device" device: opt Reference;
        /// Its size; may be left out beside `volume` and `device`.
        "size" size: opt ByteSize;
        /// The format of its image, on a store of files.
        "format" format: opt OneOf<ImageFormat>;
        /// An image that fills it when it is made.
        "import" import: opt super::storage::ImportSpec;
        /// Its bus; `scsi` where left out.
        "bus" bus: opt OneOf<Bus>;
        /// Whether the guest sees flash; as the pool's disks where left out.
        "ssd" ssd: opt bool;
        /// Whether freed blocks are given back; on where left out.
        "discard" discard: opt bool;
        /// Whether it has a thread of its own; on for `scsi` and `virtio` where left out.
        "iothread" iothread: opt bool;
        /// How QEMU caches it.
        "cache" cache: opt OneOf<CacheMode>;
        /// Whether backups hold it.
        "backup" backup: opt bool;
        /// Where a NixOS guest mounts it; its first disk holds the root, and no other is mounted where left out.
        "mount" mount: opt AbsolutePath;
        /// The file system that a NixOS guest makes on it where it holds none; `ext4` where left out.
        "fs" fs: opt OneOf<GuestFileSystem>;
        /// The serial number that the guest sees.
        "serial" serial: opt Name;
        /// Its number on the bus, as in `scsi0`. Where left out, a disk called `scsi3` is that, and others take a free one.
        "slot" slot: opt Int<0, 30>;
        ..DriveOptions
    }

    /// A folder of the host inside a virtual machine.
    ShareSpec {
        /// The dataset.
        "dataset" dataset: req Reference;
        /// Where the guest mounts it: a path, or a drive letter.
        "mount" mount: req GuestPath;
        /// Whether the guest only reads.
        "read-only" read_only: opt bool;
    }

    /// The root file system of a container.
    RootfsSpec {
        /// The dataset that it lies in.
        "dataset" dataset: opt Reference;
        /// The store that it lies in, where it is no dataset: of `[storage.lvm]`, of `[storage.external]`, or `local`.
        "store" store: opt Reference;
        /// The volume, where it is there already: then nothing is made.
        "volume" volume: opt VolumeName;
        /// Its size; may be left out beside `volume`.
        "size" size: opt ByteSize;
        ..RootfsOptions
    }

    /// A further file system of a container: a volume of a store, or a folder of the host.
    MountSpec {
        /// The dataset that the volume lies in, or the shared dataset that is mounted as it is.
        "dataset" dataset: opt Reference;
        /// The store that the volume lies in, where it is no dataset: of `[storage.lvm]`, of `[storage.external]`, or `local`.
        "store" store: opt Reference;
        /// The volume, where it is there already: then nothing is made.
        "volume" volume: opt VolumeName;
        /// The folder of the host.
        "host-path" host_path: opt AbsolutePath;
        /// Where the container mounts it.
        "path" path: req AbsolutePath;
        /// The size of a volume.
        "size" size: opt ByteSize;
        /// Whether the container only reads.
        "read-only" read_only: opt bool;
        /// Whether backups hold it.
        "backup" backup: opt bool;
        /// Its number among the container's mounts, as in `mp0`. Where left out, a mount called `mp3` is that, and others take
        /// a free one.
        "slot" slot: opt Int<0, 255>;
        ..MountOptions
    }

    /// A device of the host inside a container.
    ContainerDeviceSpec {
        /// The device.
        "path" path: req DevicePath;
        /// The user that owns it inside.
        "uid" uid: opt Int<0, 4_294_967_295>;
        /// The group that owns it inside.
        "gid" gid: opt Int<0, 4_294_967_295>;
        /// Its permissions inside, in octal: `0660`.
        "mode" mode: opt OctalMode;
        /// Whether the container only reads.
        "read-only" read_only: opt bool;
        /// Its number among the container's devices, as in `dev0`; a free one where left out.
        "slot" slot: opt Int<0, 255>;
    }

    /// `[….nixos]`: what a NixOS guest is.
    NixosSpec {
        /// The release that its state is kept for (`system.stateVersion`).
        "state-version" state_version: req ReleaseTag;
        /// Whether users, passwords and `/etc` are only what the configuration says.
        "immutable" immutable: opt bool;
        /// The user's own modules, relative to the spec.
        "modules" modules: opt List<ModulePath>;
        /// Packages of nixpkgs.
        "packages" packages: opt List<NixAttribute>;
        /// TCP ports that the guest's firewall opens; `"53/udp"` for UDP.
        "ports" ports: opt List<Port>;
        /// Services to enable (`services.<name>.enable`).
        "services" services: opt List<NixAttribute>;
        /// User services to enable.
        "user-services" user_services: opt List<NixAttribute>;
        /// Users by name.
        "users" users: opt Named<AccountName, NixosUserSpec>;
        /// The user's own scripts, installed as commands of their name.
        "scripts" scripts: opt Named<CommandName, NixosScriptSpec>;
        /// Raw options of NixOS: dotted path = value.
        "settings" settings: opt Raw;
    }

    /// One of `[….nixos.users]`.
    NixosUserSpec {
        /// What the user is called.
        "description" description: opt FullName;
        /// Further groups.
        "groups" groups: opt List<Name>;
        /// Public keys that may log in.
        "ssh-keys" ssh_keys: opt List<crate::value::SshKey>;
        /// Whether the user may become root.
        "admin" admin: opt bool;
    }

    /// One of `[….nixos.scripts]`.
    NixosScriptSpec {
        /// The script, for bash, relative to the spec.
        "source" source: req ModulePath;
        /// Packages whose programs it calls.
        "packages" packages: opt List<NixAttribute>;
        /// Users who may run it as root without a password.
        "operators" operators: opt List<Name>;
        /// When it runs by itself; never where left out.
        "on" on: opt Calendar;
        /// How long it may take then.
        "timeout" timeout: opt TimeSpan;
        /// What it is called with then.
        "arguments" arguments: opt List<Line>;
        /// Whether it runs in the session of every user who is logged in, instead of as a service of the guest.
        "session" session: opt bool;
        /// What it may write to as a service of the guest.
        "writable" writable: opt List<AbsolutePath>;
    }

    /// `[….windows]`: what a Windows guest is.
    WindowsSpec {
        /// Language and region; `en-US` where left out.
        "locale" locale: opt Locale;
        /// The user that the setup makes; `user` where left out.
        "user" user: opt WindowsUser;
        /// The keyboard; the host's where the spec names that, else the one that Windows has for the language.
        "keyboard" keyboard: opt crate::value::KeyboardLayout;
        /// The machine's name in Windows; the guest's where left out.
        "computer-name" computer_name: opt ComputerName;
        /// The edition that is installed: `Pro`, or the whole name of an image of the medium. `Pro` where left out; of a server, `SERVERSTANDARD`. Beside `product-key-secret` an edition alone says which one that key is of.
        "edition" edition: opt Line;
        /// The image of the medium by its number, where its name does not tell: `dism /Get-WimInfo` lists them.
        "image-index" image_index: opt Int<1, 99>;
        /// The language of menus, which the medium must have; the one nearest to `locale` where left out.
        "display-language" display_language: opt Locale;
        /// The name of the secret that holds the product key.
        "product-key-secret" product_key_secret: opt SecretName;
        /// The name of the secret that holds the user's first password.
        "password-secret" password_secret: opt SecretName;
        /// The time zone; the host's where left out.
        "timezone" timezone: opt crate::value::TimeZoneName;
        /// Whether optional updates are installed, too; off where left out.
        "optional-updates" optional_updates: opt bool;
        /// How people reach it over the network: `rdp` or `ssh`. Not at all where left out.
        "remote-access" remote_access: opt OneOf<RemoteAccess>;
        /// Whether Windows may encrypt its disk by itself, once somebody logs on with an account of Microsoft; off where left out.
        "device-encryption" device_encryption: opt bool;
        /// What Windows 11's Setup is not to look for in this machine: `tpm`, `secure-boot`, `cpu`, `memory`, `disk`.
        "bypass" bypass: opt List<OneOf<SetupCheck>>;
        /// Further accounts of this machine, by name.
        "users" users: opt Named<WindowsUser, WindowsAccountSpec>;
        /// The domain of Active Directory that it joins.
        "domain" domain: opt WindowsDomainSpec;
        /// Packages of winget, by id.
        "winget" winget: opt List<WingetId>;
        /// Steam and its games.
        "steam" steam: opt SteamSpec;
        /// The Rust toolchain.
        "rust" rust: opt RustSpec;
    }

    /// One of `[….windows.users]`.
    WindowsAccountSpec {
        /// The person's name; the account's where left out.
        "full-name" full_name: opt Line;
        /// Whether it may change the machine; off where left out.
        "administrator" administrator: opt bool;
        /// The name of the secret that holds its first password.
        "password-secret" password_secret: req SecretName;
    }

    /// `[….windows.domain]`.
    WindowsDomainSpec {
        /// The domain: `ad.example.org`.
        "name" name: req DnsName;
        /// The name of the secret that holds name and password of an account that may join machines to it, a line each.
        "login-secret" login_secret: req SecretName;
        /// The organizational unit that the machine is put into; the domain's own choice where left out.
        "ou" ou: opt Line;
    }

    /// `[….windows.steam]`.
    SteamSpec {
        /// Where Steam is installed.
        "install-dir" install_dir: opt GuestPath;
        /// The name of the secret that holds the account's name and password, a line each: then Valve's steamcmd installs the games.
        "login-secret" login_secret: opt SecretName;
        /// Folders that hold games.
        "libraries" libraries: opt List<GuestPath>;
        /// Games.
        "games" games: opt List<GameSpec>;
    }

    /// One game.
    GameSpec {
        /// Its number at Steam.
        "app-id" app_id: req Int<1, 4_294_967_295>;
        /// Its name.
        "name" name: opt Line;
    }

    /// `[….windows.rust]`.
    RustSpec {
        /// The toolchain; `stable` where left out.
        "toolchain" toolchain: opt Name;
        /// The host triple; `x86_64-pc-windows-msvc` where left out.
        "host" host: opt Name;
        /// Components.
        "components" components: opt List<Name>;
        /// Further targets.
        "targets" targets: opt List<Name>;
        /// Environment variables of the user.
        "environment" environment: opt Named<EnvironmentName, Line>;
        /// Projects.
        "projects" projects: opt List<ProjectSpec>;
    }

    /// One project.
    ProjectSpec {
        /// Its name.
        "name" name: req Name;
        /// Where it lies.
        "path" path: req GuestPath;
        /// What it is cloned from; created where left out.
        "git" git: opt Line;
    }
}

impl super::reader::FromNode for FirewallPorts {
    fn from_node(
        node: &crate::value::Node,
        reader: &mut super::reader::Reader<'_>,
    ) -> Option<Self> {
        let crate::value::Value::String(text) = &node.value else {
            let port = Int::<1, 65535>::from_node(node, reader)?;
            return u16::try_from(port.0).ok().map(Self::one);
        };
        let read = Self::parse(text);
        read.map_err(|wrong| {
            reader.report_value(crate::diagnostics::Code::MOX0021, node.span, text, wrong);
        })
        .ok()
    }
}

/// The host's threads that a guest runs on: a string, or a list of numbers.
#[derive(Debug, Clone)]
pub struct CpuAffinity(pub CpuSet);

impl super::reader::FromNode for CpuAffinity {
    fn from_node(
        node: &crate::value::Node,
        reader: &mut super::reader::Reader<'_>,
    ) -> Option<Self> {
        use crate::value::Value;
        if let Value::Array(items) = &node.value {
            let threads: List<Int<0, 8191>> = FromNode::from_node(node, reader)?;
            // What is wrong with one has been told.
            if threads.len() < items.len() {
                return None;
            }
            let text = threads
                .iter()
                .map(|thread| thread.value.0.to_string())
                .collect::<Vec<_>>()
                .join(",");
            return crate::value::SpecString::parse(&text)
                .map(Self)
                .map_err(|error| {
                    reader.report_value(crate::diagnostics::Code::MOX0021, node.span, &text, error);
                })
                .ok();
        }
        CpuSet::from_node(node, reader).map(Self)
    }
}

impl schemars::JsonSchema for CpuAffinity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CpuAffinity".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let set = generator.subschema_for::<CpuSet>();
        schemars::json_schema!({ "anyOf": [set, { "type": "array", "items": { "type": "integer", "minimum": 0 } }] })
    }
}

impl super::reader::FromNode for Balloon {
    fn from_node(
        node: &crate::value::Node,
        reader: &mut super::reader::Reader<'_>,
    ) -> Option<Self> {
        use crate::value::Value;
        match &node.value {
            Value::Boolean(false) | Value::Integer(0) => Some(Self::Off),
            Value::Boolean(true)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_) => {
                reader.wrong_type(node, "a size with its unit, or false");
                None
            }
            Value::String(_) => ByteSize::from_node(node, reader).map(Self::Least),
        }
    }
}

impl super::reader::FromNode for HugePages {
    fn from_node(
        node: &crate::value::Node,
        reader: &mut super::reader::Reader<'_>,
    ) -> Option<Self> {
        match &node.value {
            crate::value::Value::String(word) if word == "any" => Some(Self::Any),
            _ => ByteSize::from_node(node, reader).map(Self::Of),
        }
    }
}

/// `template` of a container.
#[derive(Debug, Clone)]
pub enum TemplateSpec {
    /// What it is made from.
    From(VolumeId),
    /// Whether it is one itself, which is only cloned.
    Itself(bool),
}

impl super::reader::FromNode for TemplateSpec {
    fn from_node(
        node: &crate::value::Node,
        reader: &mut super::reader::Reader<'_>,
    ) -> Option<Self> {
        match &node.value {
            crate::value::Value::Boolean(itself) => Some(Self::Itself(*itself)),
            _ => VolumeId::from_node(node, reader).map(Self::From),
        }
    }
}

impl schemars::JsonSchema for TemplateSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TemplateSpec".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let volume = generator.subschema_for::<VolumeId>();
        schemars::json_schema!({ "anyOf": [volume, { "type": "boolean" }] })
    }
}

impl super::reader::FromNode for Port {
    fn from_node(
        node: &crate::value::Node,
        reader: &mut super::reader::Reader<'_>,
    ) -> Option<Self> {
        use crate::value::Value;
        if let Value::String(text) = &node.value {
            let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            let number = number.parse::<u16>().ok().filter(|n| *n > 0);
            if let (Some(number), "tcp" | "udp") = (number, protocol) {
                return Some(Self {
                    number,
                    udp: protocol == "udp",
                });
            }
            let error = ValueError::whole(text, format!("`{}` is not a port", text.escape_debug()))
                .help("write `443`, `\"53/udp\"` or `\"443/tcp\"`");
            reader.report_value(crate::diagnostics::Code::MOX0021, node.span, text, error);
            return None;
        }
        Int::<1, 65535>::from_node(node, reader).map(|port| Self {
            number: u16::try_from(port.0).unwrap_or(u16::MAX),
            udp: false,
        })
    }
}
