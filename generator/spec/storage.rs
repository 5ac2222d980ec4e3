//! `[storage]`.

use super::reader::{FromNode, Int, List, Named, OneOf, OneOrMany, Reader, Reference};
use super::schema_keys::{DatasetOptions, ExternalOptions, LocalOptions, LvmOptions};
use super::table::table;
use crate::value::{
    AbsolutePath, ByteSize, DatasetPath, DatasetUse, DevicePath, ExternalKind, HostAddress,
    ImageFormat, ImageSource, Line, LogLayout, MountPoint, Name, Node, PoolLayout, PoolName,
    SecretName, Sha256Sum, SpecString, StorageName, Value, ZfsAclType, ZfsBlock, ZfsCipher, ZfsKey,
    ZfsPropertyName, ZfsSync, ZfsXattr,
};

table! {
    /// `[storage]`: pools, datasets and stores elsewhere.
    StorageSpec {
        /// The most that the ZFS cache takes.
        "arc-max" arc_max: opt ByteSize;
        /// The least that the ZFS cache keeps.
        "arc-min" arc_min: opt ByteSize;
        /// ZFS pools by name.
        "pools" pools: opt Named<PoolName, PoolSpec>;
        /// Datasets by name; each is a storage of Proxmox VE.
        "datasets" datasets: opt Named<StorageName, DatasetSpec>;
        /// Volume groups and thin pools of LVM by name; each is a storage of Proxmox VE.
        "lvm" lvm: opt Named<StorageName, LvmSpec>;
        /// Stores elsewhere by name; each is a storage of Proxmox VE.
        "external" external: opt Named<StorageName, ExternalSpec>;
        /// Proxmox VE's own store `local`, below `/var/lib/vz`; left as it is without this table.
        "local" local: opt LocalSpec;
    }

    /// One of `[storage.pools]`.
    PoolSpec {
        /// How the disks stand together.
        "layout" layout: opt OneOf<PoolLayout>;
        /// Disks of `[hardware.disks]`. Where they and `layout` are left out the pool is there, and moxc makes nothing of it.
        "disks" disks: opt List<Reference>;
        /// Whether Proxmox VE is installed on it.
        "boot" boot: opt bool;
        /// The sector size as a power of two; 12 where left out.
        "ashift" ashift: opt Int<9, 16>;
        /// The compression; `zstd` where left out and the pool is made, as it is where it is there already.
        "compression" compression: opt ZfsCompression;
        /// Whether freed blocks are told to the disks; where left out, on for a pool of flash that is made, and as it is on
        /// one that is there already.
        "autotrim" autotrim: opt bool;
        /// A vdev for metadata and small blocks.
        "special" special: opt VdevSpec;
        /// A vdev for synchronous writes.
        "log" log: opt VdevSpec;
        /// Disks that cache reads.
        "cache" cache: opt VdevSpec;
        /// Disks that stand by.
        "spare" spare: opt VdevSpec;
    }

    /// A further vdev of a pool.
    VdevSpec {
        /// How its disks stand together: a mirror where it has several, for special and log vdevs.
        "layout" layout: opt OneOf<LogLayout>;
        /// Disks of `[hardware.disks]`.
        "disks" disks: req List<Reference>;
    }

    /// One of `[storage.datasets]`.
    DatasetSpec {
        /// Its pool.
        "pool" pool: req Reference;
        /// What it is for.
        "use" uses: req Uses;
        /// Its name below the pool; the table's key where left out. Empty, it is the pool itself.
        "path" path: opt DatasetBelow;
        /// The most that it takes.
        "quota" quota: opt ByteSize;
        /// What is kept free for it.
        "reservation" reservation: opt ByteSize;
        /// Where it is mounted; ZFS's own default where left out.
        "mountpoint" mountpoint: opt MountPoint;
        /// The largest block of a file.
        "recordsize" recordsize: opt ZfsBlock;
        /// The block of a zvol.
        "volblocksize" volblocksize: opt ZfsBlock;
        /// The compression; the pool's where left out.
        "compression" compression: opt ZfsCompression;
        /// Whether volumes take space only as they fill.
        "thin" thin: opt bool;
        /// Whether reading a file notes the time.
        "atime" atime: opt bool;
        /// When writes are on the disks.
        "sync" sync: opt OneOf<ZfsSync>;
        /// Which access lists it knows.
        "acltype" acltype: opt OneOf<ZfsAclType>;
        /// How extended attributes lie in it.
        "xattr" xattr: opt OneOf<ZfsXattr>;
        /// Its encryption, decided when it is made.
        "encryption" encryption: opt EncryptionSpec;
        /// Further properties of ZFS, and of your own (`module:name`).
        "properties" properties: opt Named<ZfsPropertyName, Line>;
        /// Whether Proxmox VE passes it over.
        "disabled" disabled: opt bool;
        ..DatasetOptions
    }

    /// `encryption` of a dataset.
    EncryptionSpec {
        /// Where the key is: a file of root's, `file:///PATH`, that holds 32 bytes; or `prompt`, a passphrase.
        "key" key: req ZfsKey;
        /// The cipher; ZFS's own choice, `aes-256-gcm`, where left out.
        "cipher" cipher: opt OneOf<ZfsCipher>;
    }

    /// One of `[storage.lvm]`.
    LvmSpec {
        /// The volume group.
        "group" group: req Name;
        /// The thin pool in the group; volumes are thick where left out.
        "thin-pool" thin_pool: opt Name;
        /// What it is for: `vm-disks`, `containers`.
        "use" uses: req Uses;
        /// Disks of `[hardware.disks]` that the group is made of; where left out it is there, and moxc makes nothing.
        "disks" disks: opt List<Reference>;
        /// How large the thin pool is, or what of the group is there for volumes; where left out, all of it.
        "size" size: opt ByteSize;
        /// Whether the installer made it. With `disks` on a NixOS host, disko makes it, and the root in it.
        "boot" boot: opt bool;
        /// How large the root is that disko makes in it; a quarter of the whole disks where left out, and at most 96 GiB;
        /// to be said where the group has partitions alone.
        "root-size" root_size: opt ByteSize;
        /// How large the swap is that disko makes in it; none where left out.
        "swap-size" swap_size: opt ByteSize;
        /// Whether Proxmox VE passes it over.
        "disabled" disabled: opt bool;
        ..LvmOptions
    }

    /// `[storage.local]`: Proxmox VE's own store `local`.
    LocalSpec {
        /// What it is for.
        "use" uses: req Uses;
        /// How many backups are kept of each guest, where the job does not say.
        "keep" keep: opt super::schedule::KeepSpec;
        /// Whether Proxmox VE passes it over.
        "disabled" disabled: opt bool;
        ..LocalOptions
    }

    /// `import` of a disk: an image that fills it when it is made.
    ImportSpec {
        /// The image: a path on the host, a URL, or a volume of a store.
        "from" from: req ImageSource;
        /// Its SHA-256 sum, which is checked before the image is used.
        "sha256" sha256: opt Sha256Sum;
        /// Its format; told from the file's name where left out.
        "format" format: opt OneOf<ImageFormat>;
    }

    /// One of `[storage.external]`.
    ExternalSpec {
        /// What it is.
        "kind" kind: req OneOf<ExternalKind>;
        /// The server: nfs, cifs, pbs, esxi.
        "server" server: opt HostAddress;
        /// The export of an NFS server.
        "export" export: opt AbsolutePath;
        /// Where it is mounted on the host; for `dir` and `btrfs`, the folder itself.
        "path" path: opt MountPoint;
        /// What is mounted at the folder of a `dir`.
        "device" device: opt DevicePath;
        /// The file system on that device.
        "fs" fs: opt Name;
        /// The share of an SMB server.
        "share" share: opt Line;
        /// The datastore of a Proxmox Backup Server.
        "datastore" datastore: opt Name;
        /// The namespace in that datastore.
        "namespace" namespace: opt Line;
        /// The user at the server: cifs, pbs, esxi.
        "username" username: opt Line;
        /// The certificate's fingerprint of a Proxmox Backup Server.
        "fingerprint" fingerprint: opt Fingerprint;
        /// What it is for; an empty list where only other stores lie on it.
        "use" uses: req Uses;
        /// Whether it is unplugged at times: its absence is no failure.
        "removable" removable: opt bool;
        /// How many backups are kept of each guest, where the job does not say.
        "keep" keep: opt super::schedule::KeepSpec;
        /// The name of the secret that holds the password.
        "secret" secret: opt SecretName;
        /// The mount options of NFS, SMB and `cephfs`, as `vers=4.2,soft`.
        "options" options: opt Line;
        /// The fingerprint of the key that encrypts backups to a Proxmox Backup Server, which lies in
        /// `/etc/pve/priv/storage/NAME.enc`.
        "encryption-key" encryption_key: opt Fingerprint;
        /// Whether Proxmox VE passes it over.
        "disabled" disabled: opt bool;
        ..ExternalOptions
    }
}

/// What a store is for: one word or a list, which may be empty.
#[derive(Debug, Clone)]
pub struct Uses(pub List<OneOf<DatasetUse>>);

impl FromNode for Uses {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Array(items) if items.is_empty() => Some(Self(Vec::new())),
            Value::Array(_)
            | Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Table(_) => {
                let uses = OneOrMany::from_node(node, reader)?;
                // With one that was misread nothing is known of what the others leave out.
                let written = match &node.value {
                    Value::Array(items) => items.len(),
                    Value::String(_)
                    | Value::Integer(_)
                    | Value::Float(_)
                    | Value::Boolean(_)
                    | Value::TooLarge(_)
                    | Value::Datetime(_)
                    | Value::Table(_) => 1,
                };
                (uses.0.len() == written).then_some(Self(uses.0))
            }
        }
    }
}

impl schemars::JsonSchema for Uses {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Uses".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        OneOrMany::<OneOf<DatasetUse>>::json_schema(generator)
    }
}

/// The name of a dataset below its pool; empty for the pool itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetBelow(pub Option<DatasetPath>);

impl SpecString for DatasetBelow {
    const CODE: crate::diagnostics::Code = DatasetPath::CODE;
    const WHAT: &'static str = DatasetPath::WHAT;

    fn parse(text: &str) -> Result<Self, crate::value::ValueError> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        DatasetPath::parse(text)
            .map(|path| Self(Some(path)))
            .map_err(|error| match text {
                "." | "/" => error.help("the pool itself is `path = \"\"`").meant(""),
                _ => error,
            })
    }
}
crate::value::spec_string!(DatasetBelow, "DatasetBelow");

/// A value of ZFS's `compression` property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZfsCompression(pub String);

impl crate::value::SpecString for ZfsCompression {
    const CODE: crate::diagnostics::Code = crate::diagnostics::Code::MOX0005;
    const WHAT: &'static str = "a compression of ZFS, as `\"zstd\"` or `\"lz4\"`";

    fn parse(text: &str) -> Result<Self, crate::value::ValueError> {
        let number = |text: &str, most: u32| {
            text.parse::<u32>()
                .is_ok_and(|n| (1..=most).contains(&n) && !text.starts_with(['+', '0']))
        };
        // zfsprops(7): compression.
        let known = matches!(
            text,
            "on" | "off" | "lz4" | "lzjb" | "gzip" | "zle" | "zstd" | "zstd-fast"
        ) || text
            .strip_prefix("gzip-")
            .is_some_and(|level| number(level, 9))
            || text
                .strip_prefix("zstd-fast-")
                .is_some_and(|level| number(level, 1000))
            || text
                .strip_prefix("zstd-")
                .is_some_and(|level| number(level, 19));
        if known {
            return Ok(Self(text.to_owned()));
        }
        let error = crate::value::ValueError::whole(
            text,
            format!("no compression `{}` in ZFS", text.escape_debug()),
        );
        Err(error.help(
            "on, off, lz4, zstd, zstd-1 … zstd-19, zstd-fast, gzip, gzip-1 … gzip-9, zle, lzjb",
        ))
    }

    fn examples() -> &'static [&'static str] {
        &["zstd", "lz4", "off"]
    }
}
crate::value::spec_string!(ZfsCompression, "ZfsCompression");

/// The SHA-256 fingerprint of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(pub String);

impl crate::value::SpecString for Fingerprint {
    const CODE: crate::diagnostics::Code = crate::diagnostics::Code::MOX0021;
    const WHAT: &'static str = "a SHA-256 fingerprint: 32 bytes in hexadecimal with `:` between";

    fn parse(text: &str) -> Result<Self, crate::value::ValueError> {
        let bytes: Vec<&str> = text.split(':').collect();
        if bytes.len() == 32
            && bytes
                .iter()
                .all(|b| b.len() == 2 && b.bytes().all(|c| c.is_ascii_hexdigit()))
        {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(crate::value::ValueError::whole(text, "this is not a SHA-256 fingerprint")
            .help("`proxmox-backup-manager cert info` prints it: 32 bytes in hexadecimal with `:` between"))
    }
}
crate::value::spec_string!(Fingerprint, "Fingerprint");
