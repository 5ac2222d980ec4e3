//! `[vms.<name>]` and `[containers.<name>]`.

use super::reader::{
    Amount, FromNode, GatewayName, Int, List, Named, OneOf, OneOrMany, Raw, Reference, ShortOrLong,
    table,
};
use crate::calendar::{Calendar, TimeSpan};
use crate::value::{
    AbsolutePath, Balloon, Bus, ByteSize, CacheMode, CommandName, ComputerName, ContainerOs,
    CpuSet, DevicePath, EnvironmentName, Firmware, GuestAddress, GuestPath, Line, Locale,
    MacAddress, ModulePath, Name, NixAttribute, OctalMode, Port, ReleaseTag, SecretName, Tag, Text,
    ValueError, VlanTag, VmId, VmOs, VolumeId, WindowsUser, WingetId,
};

table! {
    /// One of `[vms]`.
    VmSpec {
        /// What runs in it.
        "os" os: req OneOf<VmOs>;
        /// Its number, unique on the host.
        "vmid" vmid: req VmId;
        /// What it is for; Proxmox VE shows it as the guest's notes.
        "description" description: opt Text;
        /// Tags.
        "tags" tags: opt List<Tag>;
        /// The processor.
        "cpu" cpu: opt VmCpuSpec;
        /// The memory: a size, or a table with `balloon`, `hugepages` and `numa`.
        "memory" memory: req ShortOrLong<ByteSize, VmMemorySpec>;
        /// The least memory that ballooning leaves; beside `memory` as a size.
        "balloon" balloon: opt Balloon;
        /// The size of its memory pages; beside `memory` as a size.
        "hugepages" hugepages: opt ByteSize;
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
        /// Its network cards, in order.
        "network" network: opt List<GuestNicSpec>;
        /// Its firmware; `ovmf` for Windows 11 and Server 2025, `seabios` otherwise.
        "firmware" firmware: opt OneOf<Firmware>;
        /// Its machine type; `q35` where left out.
        "machine" machine: opt Line;
        /// Whether it has a TPM 2.0; on for Windows 11 and Server 2025.
        "tpm" tpm: opt bool;
        /// Whether its firmware brings the keys of Secure Boot; on for Windows with OVMF.
        "secure-boot" secure_boot: opt bool;
        /// Whether the QEMU guest agent runs in it; on where left out.
        "agent" agent: opt bool;
        /// Its display, as Proxmox VE's `vga`.
        "display" display: opt Line;
        /// Its disks, in order; the first is the one it boots from.
        "disks" disks: opt Named<Name, VmDiskSpec>;
        /// Installation images.
        "iso" iso: opt OneOrMany<VolumeId>;
        /// PCI functions of `[hardware.pci]`; those of one card go together.
        "passthrough" passthrough: opt List<Reference>;
        /// Folders of the host, by virtio-fs.
        "shares" shares: opt List<ShareSpec>;
        /// What a NixOS guest is.
        "nixos" nixos: opt NixosSpec;
        /// What a Windows guest is.
        "windows" windows: opt WindowsSpec;
    }

    /// One of `[containers]`.
    ContainerSpec {
        /// What runs in it.
        "os" os: req OneOf<ContainerOs>;
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
        /// The most swap it takes; none where left out.
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
        /// Its network cards, in order.
        "network" network: opt List<GuestNicSpec>;
        /// What it is made from.
        "template" template: req VolumeId;
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
        /// What a NixOS guest is.
        "nixos" nixos: opt NixosSpec;
    }

    /// `cpu` of a virtual machine.
    VmCpuSpec {
        /// Cores of each socket.
        "cores" cores: opt Int<1, 8192>;
        /// Sockets; 1 where left out.
        "sockets" sockets: opt Int<1, 64>;
        /// The model that the guest sees; `x86-64-v2-AES` where left out.
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
        /// The size of its memory pages: `2 MiB` or `1 GiB`.
        "hugepages" hugepages: opt ByteSize;
        /// Whether the guest sees the host's NUMA nodes.
        "numa" numa: opt bool;
    }

    /// `autostart` in full.
    AutostartSpec {
        /// Its place: lower starts earlier and stops later.
        "order" order: opt Int<0, 9999>;
        /// How long the next guest waits for it.
        "up-delay" up_delay: opt crate::calendar::TimeSpan;
        /// How long the host waits for it to stop.
        "down-delay" down_delay: opt crate::calendar::TimeSpan;
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
        /// Whether Proxmox VE's firewall filters it.
        "firewall" firewall: opt bool;
        /// The largest packet, in bytes.
        "mtu" mtu: opt Int<576, 65520>;
        /// The most that it sends, in MB/s.
        "rate" rate: opt Amount;
    }

    /// One disk of a virtual machine.
    VmDiskSpec {
        /// The dataset that it lies in.
        "dataset" dataset: req Reference;
        /// Its size.
        "size" size: req ByteSize;
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
        /// The serial number that the guest sees.
        "serial" serial: opt Name;
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
        "dataset" dataset: req Reference;
        /// Its size.
        "size" size: req ByteSize;
    }

    /// A further file system of a container: a volume of a dataset, or a folder of the host.
    MountSpec {
        /// The dataset that the volume lies in, or the shared dataset that is mounted as it is.
        "dataset" dataset: opt Reference;
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
        "users" users: opt Named<Name, NixosUserSpec>;
        /// The user's own scripts, installed as commands of their name.
        "scripts" scripts: opt Named<CommandName, NixosScriptSpec>;
        /// Raw options of NixOS: dotted path = value.
        "settings" settings: opt Raw;
    }

    /// One of `[….nixos.users]`.
    NixosUserSpec {
        /// What the user is called.
        "description" description: opt Line;
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
        /// The edition that is installed: `Pro`, or the whole name of an image of the medium. `Pro` where left out; of a server, `SERVERSTANDARD`.
        "edition" edition: opt Line;
        /// The name of the secret that holds the product key.
        "product-key-secret" product_key_secret: opt SecretName;
        /// The name of the secret that holds the user's first password.
        "password-secret" password_secret: opt SecretName;
        /// The time zone; the host's where left out.
        "timezone" timezone: opt crate::value::TimeZoneName;
        /// Packages of winget, by id.
        "winget" winget: opt List<WingetId>;
        /// Steam and its games.
        "steam" steam: opt SteamSpec;
        /// The Rust toolchain.
        "rust" rust: opt RustSpec;
    }

    /// `[….windows.steam]`.
    SteamSpec {
        /// Where Steam is installed.
        "install-dir" install_dir: opt GuestPath;
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

/// The host's threads that a guest runs on: a string, or a list of numbers.
#[derive(Debug, Clone)]
pub struct CpuAffinity(pub CpuSet);

impl super::reader::FromNode for CpuAffinity {
    fn from_node(
        node: &crate::value::Node,
        reader: &mut super::reader::Reader<'_>,
    ) -> Option<Self> {
        use crate::value::Value;
        if let Value::Array(_) = &node.value {
            let threads: List<Int<0, 8191>> = FromNode::from_node(node, reader)?;
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
