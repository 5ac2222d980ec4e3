//! Disks in disko's words, whatever is made on them.

use crate::facts::root::ESP;
use crate::nix::{Attrs, BuildError};

/// A disk with a table of one partition `NAME` for `content`, behind the one that the firmware reads where there is one. A partition
/// that is there becomes a member as it is, and the table that it stands in is somebody else's.
pub(super) fn disk(
    device: &str,
    name: &str,
    content: Attrs,
    partitioned: bool,
    esp: Option<Attrs>,
) -> Result<Attrs, BuildError> {
    let mut disk = Attrs::new();
    disk.set("type", "disk")?;
    disk.set("device", device)?;
    if partitioned {
        disk.set("content", content)?;
        return Ok(disk);
    }
    disk.set("content.type", "gpt")?;
    disk.set(["content", "partitions", name, "size"], "100%")?;
    disk.set(["content", "partitions", name, "content"], content)?;
    if let Some(esp) = esp {
        disk.set("content.partitions.ESP", esp)?;
    }
    Ok(disk)
}

/// The partition that the firmware reads, on each disk that the host starts from; the first one is mounted.
pub(super) fn esp(mounted: bool) -> Result<Attrs, BuildError> {
    let mut esp = Attrs::new();
    esp.set("type", "EF00")?;
    esp.set("size", format!("{}G", ESP.as_bytes() >> 30))?;
    esp.set("content.type", "filesystem")?;
    esp.set("content.format", "vfat")?;
    if mounted {
        esp.set("content.mountpoint", "/boot")?;
        esp.set("content.mountOptions", ["umask=0077"])?;
    }
    Ok(esp)
}
