//! `[storage]`.

use super::reader::{Int, List, Named, OneOf, OneOrMany, Reference, table};
use crate::value::{
    AbsolutePath, ByteSize, DatasetPath, DatasetUse, DevicePath, ExternalKind, HostAddress, Line,
    LogLayout, Name, PoolLayout, PoolName, SecretName, StorageName,
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
        /// Stores elsewhere by name; each is a storage of Proxmox VE.
        "external" external: opt Named<StorageName, ExternalSpec>;
    }

    /// One of `[storage.pools]`.
    PoolSpec {
        /// How the disks stand together.
        "layout" layout: req OneOf<PoolLayout>;
        /// Disks of `[hardware.disks]`.
        "disks" disks: req List<Reference>;
        /// Whether Proxmox VE is installed on it.
        "boot" boot: opt bool;
        /// The sector size as a power of two; 12 where left out.
        "ashift" ashift: opt Int<9, 16>;
        /// The compression; `zstd` where left out.
        "compression" compression: opt ZfsCompression;
        /// Whether freed blocks are told to the disks; on for flash where left out.
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
        "use" uses: req OneOrMany<OneOf<DatasetUse>>;
        /// Its name below the pool; the table's key where left out.
        "path" path: opt DatasetPath;
        /// The most that it takes.
        "quota" quota: opt ByteSize;
        /// What is kept free for it.
        "reservation" reservation: opt ByteSize;
        /// Where it is mounted; ZFS's own default where left out.
        "mountpoint" mountpoint: opt AbsolutePath;
        /// The largest block of a file.
        "recordsize" recordsize: opt ByteSize;
        /// The block of a zvol.
        "volblocksize" volblocksize: opt ByteSize;
        /// The compression; the pool's where left out.
        "compression" compression: opt ZfsCompression;
        /// Whether volumes take space only as they fill.
        "thin" thin: opt bool;
    }

    /// One of `[storage.external]`.
    ExternalSpec {
        /// What it is.
        "kind" kind: req OneOf<ExternalKind>;
        /// The server: nfs, cifs, pbs.
        "server" server: opt HostAddress;
        /// The export of an NFS server.
        "export" export: opt AbsolutePath;
        /// Where it is mounted on the host; for `dir`, the folder itself.
        "path" path: opt AbsolutePath;
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
        /// The user at the server: cifs, pbs.
        "username" username: opt Line;
        /// The certificate's fingerprint of a Proxmox Backup Server.
        "fingerprint" fingerprint: opt Fingerprint;
        /// What it is for.
        "use" uses: req OneOrMany<OneOf<DatasetUse>>;
        /// Whether it is unplugged at times: its absence is no failure.
        "removable" removable: opt bool;
        /// How many backups are kept of each guest, where the job does not say.
        "keep" keep: opt super::schedule::KeepSpec;
        /// The name of the secret that holds the password.
        "secret" secret: opt SecretName;
        /// The mount options of NFS and SMB, as `vers=4.2,soft`.
        "options" options: opt Line;
    }
}

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
