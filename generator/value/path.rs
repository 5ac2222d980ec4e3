//! Paths on the host and inside guests. They end up in property strings of Proxmox VE, unit files and scripts.

use std::fmt;

use super::{SpecString, ValueError, char_range, shown, spec_string};
use crate::diagnostics::Code;
use crate::unseen::is_unnamed;

/// An absolute path on the host, in canonical form: no `.`, `..` or empty component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AbsolutePath(String);

impl AbsolutePath {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `other` or lies below it.
    pub fn is_below(&self, other: &str) -> bool {
        self.0
            .strip_prefix(other.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// This path with one more component.
    #[must_use]
    pub fn join(&self, component: &str) -> Self {
        Self(format!("{}/{component}", self.0.trim_end_matches('/')))
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn absolute(text: &str) -> Result<String, ValueError> {
    if !text.starts_with('/') {
        return Err(ValueError::whole(
            text,
            format!("`{}` is not an absolute path", text.escape_debug()),
        )
        .help("write it from `/`"));
    }
    if let Some((at, c)) = text.char_indices().find(|(_, c)| is_unnamed(*c)) {
        return Err(ValueError::at(
            char_range(text, at),
            format!("a path has no {}", shown(c)),
        ));
    }
    let mut at = 1;
    let trimmed = text.trim_end_matches('/');
    for part in trimmed.split('/').skip(1) {
        if matches!(part, "" | "." | "..") {
            return Err(ValueError::at(
                at.min(text.len())..(at + part.len()).min(text.len()),
                format!("the path `{text}` is not in its plain form"),
            )
            .help("leave out `.`, `..` and double `/`"));
        }
        at += part.len() + 1;
    }
    Ok(if trimmed.is_empty() {
        "/".to_owned()
    } else {
        trimmed.to_owned()
    })
}

impl SpecString for AbsolutePath {
    const CODE: Code = Code::MOX0020;
    const WHAT: &'static str = "an absolute path, as `\"/mnt/data\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        absolute(text).map(Self)
    }

    fn pattern() -> Option<&'static str> {
        Some("^/")
    }
}
spec_string!(AbsolutePath, "AbsolutePath");

/// A folder of the host where something of the spec's may be mounted: none that belongs to the system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MountPoint(AbsolutePath);

/// Folders of a host's system, with all that lies below them.
const SYSTEM_TREES: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/dpkg",
    "/var/lib/lxc",
    "/var/lib/lxcfs",
    "/var/lib/moxc",
    "/var/lib/pve-cluster",
    "/var/lib/pve-manager",
    "/var/lib/systemd",
];

/// Those of [`MountPoint::FOLDERS`] in which a fresh host has nothing.
const EMPTY_FOLDERS: &[&str] = &["/home", "/media", "/mnt", "/opt", "/srv"];

impl AbsolutePath {
    /// Whether it is a folder that the system of a host lives by, or lies in one.
    pub fn is_of_the_system(&self) -> bool {
        SYSTEM_TREES.iter().any(|tree| self.is_below(tree))
    }

    /// Whether what is mounted there would hide something that the system lives by. A fresh host has nothing in
    /// [`EMPTY_FOLDERS`], so a pool may be called `media`.
    pub fn hides_the_system(&self) -> bool {
        let path = self.as_str();
        self.is_of_the_system()
            || MountPoint::FOLDERS.contains(&path) && !EMPTY_FOLDERS.contains(&path)
    }
}

impl MountPoint {
    /// Folders of the system that others may stand below.
    const FOLDERS: &'static [&'static str] = &[
        "/",
        "/home",
        "/media",
        "/mnt",
        "/opt",
        "/root",
        "/srv",
        "/tmp",
        "/var",
        "/var/cache",
        "/var/lib",
        "/var/lib/vz",
        "/var/log",
        "/var/spool",
        "/var/tmp",
    ];

    /// The path.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl From<MountPoint> for AbsolutePath {
    fn from(place: MountPoint) -> Self {
        place.0
    }
}

impl fmt::Display for MountPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SpecString for MountPoint {
    const CODE: Code = Code::MOX0020;
    const WHAT: &'static str = "a folder of the host, as `\"/mnt/data\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let path = AbsolutePath::parse(text)?;
        let taken = Self::FOLDERS.contains(&path.as_str()) || path.is_of_the_system();
        if taken {
            return Err(
                ValueError::whole(text, format!("`{path}` belongs to the system"))
                    .help("take a folder of its own, as `/srv/data` or `/mnt/data`: what is mounted over one of the system's hides what lies in it"),
            );
        }
        Ok(Self(path))
    }

    fn pattern() -> Option<&'static str> {
        Some("^/")
    }
}
spec_string!(MountPoint, "MountPoint");

/// A device node on the host: a path below `/dev`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DevicePath(String);

impl DevicePath {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DevicePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SpecString for DevicePath {
    const CODE: Code = Code::MOX0020;
    const WHAT: &'static str = "a device, as `\"/dev/disk/by-id/nvme-MODEL_SERIAL\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let path = absolute(text).map_err(|error| {
            if text.starts_with('/') {
                error
            } else {
                error.help("devices are below `/dev`: `/dev/disk/by-id/…`")
            }
        })?;
        if !path.starts_with("/dev/") {
            return Err(ValueError::whole(text, format!("`{text}` is not a device"))
                .help("devices are below `/dev`: `/dev/disk/by-id/…`"));
        }
        Ok(Self(path))
    }

    fn examples() -> &'static [&'static str] {
        &["/dev/disk/by-id/nvme-MODEL_SERIAL"]
    }

    fn pattern() -> Option<&'static str> {
        Some("^/dev/")
    }
}
spec_string!(DevicePath, "DevicePath");

/// A path inside a guest: absolute on Linux, a drive letter (`Z:`) or `D:\dir` on Windows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuestPath {
    /// `/mnt/data`.
    Unix(String),
    /// `Z:`, the letter in upper case.
    Drive(char),
    /// `D:\src`.
    Windows(String),
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) | Self::Windows(path) => f.write_str(path),
            Self::Drive(letter) => write!(f, "{letter}:"),
        }
    }
}

impl SpecString for GuestPath {
    const CODE: Code = Code::MOX0020;
    const WHAT: &'static str =
        "a path inside the guest, as `\"/mnt/data\"`, `\"Z:\"` or `'D:\\src'`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        if text.starts_with('/') {
            return absolute(text).map(Self::Unix);
        }
        let wrong = |range, message: String| {
            ValueError::at(range, message)
                .help("write `\"/mnt/data\"` for Linux, `\"Z:\"` or `'D:\\src'` for Windows")
        };
        let mut chars = text.chars();
        let (letter, colon) = (chars.next(), chars.next());
        let Some(letter) = letter.filter(|l| l.is_ascii_alphabetic() && colon == Some(':')) else {
            return Err(wrong(
                0..text.len(),
                format!("`{}` is not a path inside a guest", text.escape_debug()),
            ));
        };
        let rest = chars.as_str();
        if rest.is_empty() || rest == "\\" {
            return Ok(Self::Drive(letter.to_ascii_uppercase()));
        }
        if !rest.starts_with(['\\', '/']) {
            return Err(wrong(
                0..text.len(),
                format!("`{}` is not an absolute path", text.escape_debug()),
            ));
        }
        // What Windows allows in no file name.
        if let Some((at, c)) = rest
            .char_indices()
            .find(|(_, c)| c.is_control() || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*'))
        {
            return Err(wrong(
                2 + at..2 + at + c.len_utf8(),
                format!("a Windows path has no {}", shown(c)),
            ));
        }
        Ok(Self::Windows(format!(
            "{}:{}",
            letter.to_ascii_uppercase(),
            rest.replace('/', "\\").trim_end_matches('\\')
        )))
    }

    fn examples() -> &'static [&'static str] {
        &["/mnt/data", "Z:", "D:\\src"]
    }
}
spec_string!(GuestPath, "GuestPath");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_plain() {
        assert_eq!(
            "/mnt/data/".parse::<AbsolutePath>().unwrap().as_str(),
            "/mnt/data"
        );
        assert_eq!("/".parse::<AbsolutePath>().unwrap().as_str(), "/");
        for bad in ["", "mnt", "/a/../b", "/a//b", "/./a", "/a\nb", "/a\0"] {
            assert!(bad.parse::<AbsolutePath>().is_err(), "{bad:?}");
        }
        assert!(
            "/mnt/data"
                .parse::<AbsolutePath>()
                .unwrap()
                .is_below("/mnt")
        );
        assert!(!"/mnt2".parse::<AbsolutePath>().unwrap().is_below("/mnt"));
    }

    #[test]
    fn nothing_is_mounted_over_the_system() {
        for good in [
            "/srv/data",
            "/mnt/usb",
            "/tank",
            "/var/lib/vz/dump",
            "/etcetera",
            "/home/x",
        ] {
            assert!(good.parse::<MountPoint>().is_ok(), "{good}");
        }
        for bad in [
            "/",
            "/etc",
            "/etc/",
            "/etc/pve",
            "/usr/local",
            "/boot/efi",
            "/var",
            "/var/lib/vz",
            "/var/lib/moxc/x",
            "/mnt",
            "/nix/store",
            "/proc/1",
            "/run/lock",
        ] {
            let error = bad.parse::<MountPoint>().expect_err(bad);
            assert!(error.message.contains("belongs to the system"), "{bad}");
        }
    }

    #[test]
    fn devices_lie_below_dev() {
        assert!("/dev/sda".parse::<DevicePath>().is_ok());
        assert!("/dev".parse::<DevicePath>().is_err());
        assert!("/tmp/x".parse::<DevicePath>().is_err());
    }

    #[test]
    fn guest_paths_of_both_worlds() {
        assert_eq!("z:".parse(), Ok(GuestPath::Drive('Z')));
        assert_eq!("D:/src".parse(), Ok(GuestPath::Windows("D:\\src".into())));
        assert_eq!("/mnt".parse(), Ok(GuestPath::Unix("/mnt".into())));
        for bad in ["", "mnt", "Z", "D:src", "D:\\a|b", "ZZ:"] {
            assert!(bad.parse::<GuestPath>().is_err(), "{bad}");
        }
    }
}
