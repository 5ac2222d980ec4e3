//! Values that are one of a few words.

/// A value that a spec writes as one of a few words.
pub trait Choice: Sized + Copy + 'static {
    /// What it is: `a pool layout`.
    const WHAT: &'static str;
    /// Every choice, with its word.
    const ALL: &'static [(Self, &'static str)];

    /// The choice of a word.
    fn of(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, w)| *w == word)
            .map(|(choice, _)| *choice)
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $type:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$vdoc])* $variant,)* }

        impl Choice for $type {
            const WHAT: &'static str = $what;
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $word)),*];
        }

        impl $type {
            /// The word that a spec writes.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $what, "enum": [$($word),*] })
            }
        }
    )*};
}

choices! {
    /// What runs on the metal.
    Platform, "a platform" {
        /// Debian-based Proxmox VE: plain files.
        Proxmox = "proxmox",
        /// A NixOS host that runs Proxmox VE: a NixOS module.
        Nixos = "nixos",
    }
    /// Who made the processor.
    CpuVendor, "a processor's vendor" {
        /// AMD.
        Amd = "amd",
        /// Intel.
        Intel = "intel",
    }
    /// A kind of disk.
    DiskKind, "a kind of disk" {
        /// Flash on PCI Express.
        Nvme = "nvme",
        /// Flash on SATA or SAS.
        Ssd = "ssd",
        /// Rotating.
        Hdd = "hdd",
    }
    /// What a PCI function is.
    PciClass, "a class of PCI device" {
        /// Graphics.
        Gpu = "gpu",
        /// Sound, as the second function of a graphics card.
        Audio = "audio",
        /// A USB controller.
        Usb = "usb",
        /// A network card.
        Nic = "nic",
        /// A disk controller or an NVMe disk.
        Storage = "storage",
        /// Anything else.
        Other = "other",
    }
    /// What a firewall does with a packet.
    FirewallPolicy, "what a firewall does" {
        /// It lets it through.
        Accept = "accept",
        /// It throws it away without a word.
        Drop = "drop",
        /// It throws it away and says so.
        Reject = "reject",
    }
    /// Which way a packet goes, as the guest sees it.
    FirewallDirection, "a direction" {
        /// To the guest.
        In = "in",
        /// From the guest.
        Out = "out",
    }
    /// How loud a firewall logs what a rule fits, as syslog names it.
    FirewallLog, "a level of a firewall's log" {
        /// The host is unusable.
        Emerg = "emerg",
        /// Something must be done.
        Alert = "alert",
        /// A grave fault.
        Crit = "crit",
        /// A fault.
        Err = "err",
        /// A warning.
        Warning = "warning",
        /// Worth a look.
        Notice = "notice",
        /// For the record.
        Info = "info",
        /// For those who look for a fault.
        Debug = "debug",
        /// Not at all.
        Nolog = "nolog",
    }
    /// What makes a bridge.
    BridgeKind, "a kind of bridge" {
        /// The kernel's own.
        Linux = "linux",
        /// Open vSwitch.
        Ovs = "ovs",
    }
    /// How often LACP's partner is asked to answer.
    LacpRate, "a rate of LACP" {
        /// Every 30 seconds.
        Slow = "slow",
        /// Every second.
        Fast = "fast",
    }
    /// What a forwarded port is of.
    Protocol, "a protocol with ports" {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// Both.
        Both = "tcp+udp",
    }
    /// How a bond spreads its traffic.
    BondMode, "a bond's mode" {
        /// One port works, the others wait.
        ActiveBackup = "active-backup",
        /// LACP.
        Lacp = "802.3ad",
        /// By a hash of the addresses.
        BalanceXor = "balance-xor",
        /// In turn.
        BalanceRr = "balance-rr",
        /// On all ports.
        Broadcast = "broadcast",
        /// By load, outgoing.
        BalanceTlb = "balance-tlb",
        /// By load, both ways.
        BalanceAlb = "balance-alb",
    }
    /// What a bond hashes.
    HashPolicy, "a bond's hash policy" {
        /// MAC addresses.
        Layer2 = "layer2",
        /// MAC and IP addresses.
        Layer23 = "layer2+3",
        /// IP addresses and ports.
        Layer34 = "layer3+4",
    }
    /// How the disks of a pool stand together.
    PoolLayout, "a pool's layout" {
        /// No redundancy.
        Stripe = "stripe",
        /// Every disk holds everything.
        Mirror = "mirror",
        /// A stripe of mirrors of two.
        Raid10 = "raid10",
        /// One disk may fail.
        Raidz1 = "raidz1",
        /// Two disks may fail.
        Raidz2 = "raidz2",
        /// Three disks may fail.
        Raidz3 = "raidz3",
    }
    /// How the disks of a log or special vdev stand together.
    LogLayout, "a vdev's layout" {
        /// No redundancy.
        Stripe = "stripe",
        /// Every disk holds everything.
        Mirror = "mirror",
        /// A stripe of mirrors of two.
        Raid10 = "raid10",
    }
    /// What a dataset or an external store is for.
    DatasetUse, "a use" {
        /// Disks of virtual machines: zvols.
        VmDisks = "vm-disks",
        /// Root file systems and volumes of containers.
        Containers = "containers",
        /// Backups of guests.
        Backups = "backups",
        /// A folder that guests share.
        Share = "share",
        /// Installation images.
        Iso = "iso",
        /// Container templates.
        Templates = "templates",
        /// Hook scripts and cloud-init's own files.
        Snippets = "snippets",
        /// Images of disks, from which new disks are filled.
        Import = "import",
    }
    /// A kind of external store.
    ExternalKind, "a kind of store" {
        /// An NFS export.
        Nfs = "nfs",
        /// An SMB share.
        Cifs = "cifs",
        /// A Proxmox Backup Server.
        Pbs = "pbs",
        /// A folder of the host, as on a USB disk.
        Dir = "dir",
        /// A folder of the host on btrfs, whose volumes are subvolumes.
        Btrfs = "btrfs",
        /// Ceph's block devices.
        Rbd = "rbd",
        /// Ceph's file system.
        Cephfs = "cephfs",
        /// The disks of an iSCSI target.
        Iscsi = "iscsi",
        /// An `ESXi` host, from which virtual machines are imported.
        Esxi = "esxi",
    }
    /// The format of an image on a file store.
    ImageFormat, "an image's format" {
        /// The bytes of the disk.
        Raw = "raw",
        /// The one of QEMU: thin, with snapshots.
        Qcow2 = "qcow2",
        /// The one of `VMware`.
        Vmdk = "vmdk",
    }
    /// How much flash OVMF sees.
    EfiType, "a size of OVMF's flash" {
        /// 2 MB: Proxmox VE's own default, without room for Secure Boot.
        Small = "2m",
        /// 4 MB.
        Large = "4m",
    }
    /// The version of a TPM.
    TpmVersion, "a version of the TPM" {
        /// TPM 1.2.
        V12 = "v1.2",
        /// TPM 2.0.
        V20 = "v2.0",
    }
    /// When writes are on the disks, for ZFS.
    ZfsSync, "a value of ZFS's `sync`" {
        /// As the program asks.
        Standard = "standard",
        /// Always at once.
        Always = "always",
        /// Never at once: what was written in the last seconds is lost when the host fails.
        Disabled = "disabled",
    }
    /// Which access lists a dataset knows.
    ZfsAclType, "a value of ZFS's `acltype`" {
        /// None.
        Off = "off",
        /// Those of POSIX.
        Posix = "posix",
        /// Those of POSIX, by their older name.
        PosixAcl = "posixacl",
    }
    /// The cipher of an encrypted dataset.
    ZfsCipher, "a cipher of ZFS" {
        /// ZFS's own choice.
        On = "on",
        /// AES with 128 bits, CCM.
        Aes128Ccm = "aes-128-ccm",
        /// AES with 192 bits, CCM.
        Aes192Ccm = "aes-192-ccm",
        /// AES with 256 bits, CCM.
        Aes256Ccm = "aes-256-ccm",
        /// AES with 128 bits, GCM.
        Aes128Gcm = "aes-128-gcm",
        /// AES with 192 bits, GCM.
        Aes192Gcm = "aes-192-gcm",
        /// AES with 256 bits, GCM: ZFS's own choice.
        Aes256Gcm = "aes-256-gcm",
    }
    /// How extended attributes lie in a dataset.
    ZfsXattr, "a value of ZFS's `xattr`" {
        /// As folders of their own, by the older name.
        On = "on",
        /// Not at all.
        Off = "off",
        /// Beside the file: faster.
        Sa = "sa",
        /// As folders of their own.
        Dir = "dir",
    }
    /// The operating system of a virtual machine.
    VmOs, "a virtual machine's operating system" {
        /// NixOS.
        Nixos = "nixos",
        /// Windows 11.
        Windows11 = "windows11",
        /// Windows 10.
        Windows10 = "windows10",
        /// Windows Server 2022.
        WindowsServer2022 = "windows-server-2022",
        /// Windows Server 2025.
        WindowsServer2025 = "windows-server-2025",
        /// Another Linux.
        Linux = "linux",
        /// Anything else.
        Other = "other",
    }
    /// The operating system of a container.
    ContainerOs, "a container's operating system" {
        /// NixOS.
        Nixos = "nixos",
        /// Debian.
        Debian = "debian",
        /// Ubuntu.
        Ubuntu = "ubuntu",
        /// Alpine.
        Alpine = "alpine",
        /// Arch Linux.
        Archlinux = "archlinux",
        /// Fedora.
        Fedora = "fedora",
        /// Anything else: Proxmox VE leaves it alone (`unmanaged`).
        Other = "other",
    }
    /// The firmware of a virtual machine.
    Firmware, "a firmware" {
        /// BIOS.
        Seabios = "seabios",
        /// UEFI.
        Ovmf = "ovmf",
    }
    /// The bus of a virtual disk.
    Bus, "a disk's bus" {
        /// VirtIO SCSI.
        Scsi = "scsi",
        /// VirtIO block.
        Virtio = "virtio",
        /// SATA.
        Sata = "sata",
        /// IDE.
        Ide = "ide",
    }
    /// How QEMU caches a disk.
    CacheMode, "a cache mode" {
        /// Not in the host's page cache.
        None = "none",
        /// Written through.
        Writethrough = "writethrough",
        /// Written back at the guest's flush.
        Writeback = "writeback",
        /// Flushes are ignored: data is lost when the host fails.
        Unsafe = "unsafe",
        /// Not cached, each write flushed.
        Directsync = "directsync",
    }
    /// The file system of a NixOS guest's disk.
    GuestFileSystem, "a file system" {
        /// ext4.
        Ext4 = "ext4",
        /// XFS.
        Xfs = "xfs",
        /// Btrfs.
        Btrfs = "btrfs",
    }
    /// When a task restarts its machine.
    Reboot, "a reboot policy" {
        /// Never.
        Never = "never",
        /// Where the update asks for it.
        IfNeeded = "if-needed",
    }
    /// A SMART self-test.
    SmartKind, "a kind of SMART test" {
        /// Minutes.
        Short = "short",
        /// Hours.
        Long = "long",
    }
    /// What Windows 11's Setup looks for in a machine, and need not.
    SetupCheck, "a check of Windows Setup" {
        /// A TPM of version 2.0.
        Tpm = "tpm",
        /// Firmware with Secure Boot.
        SecureBoot = "secure-boot",
        /// A processor of Microsoft's list.
        Cpu = "cpu",
        /// 4 GiB of memory.
        Memory = "memory",
        /// A disk of 64 GiB.
        Disk = "disk",
    }
    /// How people reach a Windows guest over the network.
    RemoteAccess, "a remote access" {
        /// Windows' own remote desktop.
        Rdp = "rdp",
        /// OpenSSH's server.
        Ssh = "ssh",
    }
    /// How a guest is caught for a backup.
    BackupMode, "a backup mode" {
        /// While it runs.
        Snapshot = "snapshot",
        /// Paused for a moment.
        Suspend = "suspend",
        /// Shut down and started again.
        Stop = "stop",
    }
    /// How a backup is compressed.
    Compress, "a compression" {
        /// Zstandard.
        Zstd = "zstd",
        /// gzip.
        Gzip = "gzip",
        /// LZO.
        Lzo = "lzo",
        /// Not at all.
        None = "none",
    }
    /// What a schedule runs.
    TaskKind, "a task" {
        /// Updates the host.
        ProxmoxUpdate = "proxmox-update",
        /// Tidies the host.
        ProxmoxMaintenance = "proxmox-maintenance",
        /// Backs up guests.
        VzdumpBackup = "vzdump-backup",
        /// Restores a backup to try it.
        BackupRehearsal = "backup-rehearsal",
        /// Takes and prunes snapshots.
        ZfsSnapshot = "zfs-snapshot",
        /// Reads every block of a pool.
        ZfsScrub = "zfs-scrub",
        /// Tells flash what is free.
        ZfsTrim = "zfs-trim",
        /// Runs a disk's self-test.
        SmartTest = "smart-test",
        /// Updates a NixOS guest.
        NixosFlakeUpdate = "nixos-flake-update",
        /// Updates a Windows guest.
        WindowsUpdate = "windows-update",
        /// Tidies a Windows guest.
        WindowsMaintenance = "windows-maintenance",
    }
    /// The level of a warning.
    LintChoice, "a level" {
        /// Not told.
        Allow = "allow",
        /// Told.
        Warn = "warn",
        /// An error.
        Deny = "deny",
    }
}

/// The operating system of any guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuestOs {
    /// Of a virtual machine.
    Vm(VmOs),
    /// Of a container.
    Container(ContainerOs),
}

impl std::fmt::Display for GuestOs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Vm(os) => os.fmt(f),
            Self::Container(os) => os.fmt(f),
        }
    }
}

impl GuestOs {
    /// Whether it is NixOS.
    pub fn is_nixos(self) -> bool {
        matches!(
            self,
            Self::Vm(VmOs::Nixos) | Self::Container(ContainerOs::Nixos)
        )
    }

    /// Whether it is an edition of Windows.
    pub fn is_windows(self) -> bool {
        match self {
            Self::Vm(os) => os.is_windows(),
            Self::Container(_) => false,
        }
    }

    /// The word of the spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vm(os) => os.as_str(),
            Self::Container(os) => os.as_str(),
        }
    }
}

impl VmOs {
    /// Whether it is an edition of Windows.
    pub fn is_windows(self) -> bool {
        match self {
            Self::Windows10
            | Self::Windows11
            | Self::WindowsServer2022
            | Self::WindowsServer2025 => true,
            Self::Nixos | Self::Linux | Self::Other => false,
        }
    }

    /// Whether it is a Windows Server.
    pub fn is_windows_server(self) -> bool {
        match self {
            Self::WindowsServer2022 | Self::WindowsServer2025 => true,
            Self::Windows10 | Self::Windows11 | Self::Nixos | Self::Linux | Self::Other => false,
        }
    }

    /// Whether it brings winget: Microsoft's documentation names Windows 10, 11 and Server 2025.
    pub fn brings_winget(self) -> bool {
        match self {
            Self::Windows10 | Self::Windows11 | Self::WindowsServer2025 => true,
            Self::WindowsServer2022 | Self::Nixos | Self::Linux | Self::Other => false,
        }
    }
}

impl DiskKind {
    /// Whether it is flash.
    pub fn is_flash(self) -> bool {
        match self {
            Self::Nvme | Self::Ssd => true,
            Self::Hdd => false,
        }
    }
}
