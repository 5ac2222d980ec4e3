//! Images of disks: where they come from, and their checksum.

use std::fmt;

use super::{AbsolutePath, ImageFormat, SpecString, ValueError, VolumeId, spec_string};
use crate::diagnostics::Code;

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// A file of the host.
    Path(AbsolutePath),
    /// A file that is fetched.
    Url(String),
    /// A file that a store of Proxmox VE holds: `local:import/haos.qcow2`.
    Volume(VolumeId),
}

impl ImageSource {
    /// The name of the file, without what stands before it.
    pub fn file_name(&self) -> &str {
        let text = match self {
            Self::Path(path) => path.as_str(),
            Self::Url(url) => url.split(['?', '#']).next().unwrap_or(url),
            Self::Volume(volume) => volume.as_str(),
        };
        text.rsplit('/').next().unwrap_or(text)
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Url(url) => f.write_str(url),
            Self::Volume(volume) => volume.fmt(f),
        }
    }
}

impl SpecString for ImageSource {
    const CODE: Code = Code::MOX0021;
    const WHAT: &'static str =
        "an image, as `\"/var/lib/vz/images/haos.qcow2\"` or `\"https://example.org/haos.qcow2\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        if text.starts_with('/') {
            return AbsolutePath::parse(text).map(Self::Path);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let wrong = |message: String, help: &str| {
                Err(ValueError::whole(text, message).help(help.to_owned()))
            };
            if !matches!(scheme, "https" | "http") {
                return wrong(
                    format!("an image is not fetched by `{}`", scheme.escape_debug()),
                    "`https://…`, or the path of a file on the host",
                );
            }
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            // What a URL is made of (RFC 3986); the rest is percent-encoded in it.
            let fits = !host.is_empty()
                && !host.contains('@')
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b));
            return if fits {
                Ok(Self::Url(text.to_owned()))
            } else {
                wrong(
                    format!("`{}` is not a URL", text.escape_debug()),
                    "`https://`, a host and a path; other characters than those of URLs as `%20`; no user and no password",
                )
            };
        }
        VolumeId::parse(text).map(Self::Volume).map_err(|_| {
            ValueError::whole(text, format!("`{}` is not an image", text.escape_debug())).help(
                "write its path from `/`, a URL, or a volume as `\"local:import/haos.qcow2\"`",
            )
        })
    }
}
spec_string!(ImageSource, "ImageSource");

impl ImageFormat {
    /// The format that a file's name tells, packed or not.
    pub fn of_file(file: &str) -> Option<Self> {
        let mut name = file;
        for packed in [".xz", ".gz", ".zst", ".bz2"] {
            name = name.strip_suffix(packed).unwrap_or(name);
        }
        match name.rsplit('.').next().unwrap_or_default() {
            "raw" | "img" | "iso" => Some(Self::Raw),
            "qcow2" => Some(Self::Qcow2),
            "vmdk" => Some(Self::Vmdk),
            _ => None,
        }
    }
}

/// A SHA-256 sum, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sha256Sum(String);

impl Sha256Sum {
    /// The sum.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SpecString for Sha256Sum {
    const CODE: Code = Code::MOX0021;
    const WHAT: &'static str = "a SHA-256 sum: 64 hexadecimal digits";

    fn parse(text: &str) -> Result<Self, ValueError> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(ValueError::whole(text, "this is not a SHA-256 sum")
            .help("`sha256sum FILE` prints it: 64 hexadecimal digits"))
    }

    fn pattern() -> Option<&'static str> {
        Some("^[0-9A-Fa-f]{64}$")
    }
}
spec_string!(Sha256Sum, "Sha256Sum");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_paths_urls_and_volumes() {
        for good in [
            "/root/haos.qcow2",
            "https://dl.example.org/haos_ova-16.3.qcow2",
            "http://192.0.2.1:8080/a%20b.img?x=1",
            "local:import/haos.qcow2",
        ] {
            assert!(good.parse::<ImageSource>().is_ok(), "{good}");
        }
        for bad in [
            "haos.qcow2",
            "ftp://example.org/x",
            "https://",
            "https://u:p@example.org/x",
            "https://example.org/a b",
            "/a/../b",
            "",
        ] {
            assert!(bad.parse::<ImageSource>().is_err(), "{bad}");
        }
        let url: ImageSource = "https://example.org/d/x.qcow2?v=1".parse().expect("a URL");
        assert_eq!(url.file_name(), "x.qcow2");
    }

    #[test]
    fn sums_are_of_sixty_four_digits() {
        assert!("a".repeat(64).parse::<Sha256Sum>().is_ok());
        assert!("a".repeat(63).parse::<Sha256Sum>().is_err());
        assert!("g".repeat(64).parse::<Sha256Sum>().is_err());
    }
}
