//! Values of ZFS's properties.

use std::fmt;

use super::{AbsolutePath, ByteSize, SpecString, ValueError, char_range, shown, spec_string};
use crate::diagnostics::Code;

/// Where the key of an encrypted dataset is: `keylocation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZfsKey {
    /// A file on the host.
    File(AbsolutePath),
    /// Somebody types it.
    Prompt,
}

impl fmt::Display for ZfsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file://{path}"),
            Self::Prompt => f.write_str("prompt"),
        }
    }
}

impl SpecString for ZfsKey {
    const CODE: Code = Code::MOX0021;
    const WHAT: &'static str = "where the key is, as `\"file:///root/tank.key\"` or `\"prompt\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        if text == "prompt" {
            return Ok(Self::Prompt);
        }
        if let Some(path) = text.strip_prefix("file://").filter(|p| p.starts_with('/')) {
            return AbsolutePath::parse(path)
                .map(Self::File)
                .map_err(|error| ValueError {
                    range: error.range.start + 7..error.range.end + 7,
                    ..error
                });
        }
        let error = ValueError::whole(
            text,
            format!("`{}` does not say where a key is", text.escape_debug()),
        );
        Err(if text.starts_with('/') {
            error
                .help(format!(
                    "write it as a URL: `\"file://{}\"`",
                    text.escape_debug()
                ))
                .meant(format!("file://{text}"))
        } else {
            error.help("a spec never holds the key itself: `\"file:///PATH\"` names a file of root's, `\"prompt\"` asks somebody")
        })
    }
}
spec_string!(ZfsKey, "ZfsKey");

/// A block of ZFS: a size, or ZFS's own spelling of one (`16K`, `1M`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZfsBlock(pub ByteSize);

impl SpecString for ZfsBlock {
    const CODE: Code = Code::MOX0006;
    const WHAT: &'static str = "a size with its unit, as `\"16 KiB\"`, or ZFS's own `\"16K\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        let factor = match text.chars().last() {
            Some('K' | 'k') => 1 << 10,
            Some('M' | 'm') => 1 << 20,
            _ => return ByteSize::parse(text).map(Self),
        };
        let digits = &text[..text.len() - 1];
        match digits.parse::<u32>() {
            Ok(number) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(Self(ByteSize::bytes(u64::from(number) * factor)))
            }
            Ok(_) | Err(_) => ByteSize::parse(text).map(Self),
        }
    }
}
spec_string!(ZfsBlock, "ZfsBlock");

/// The name of a property of ZFS's, or of the user's (`module:name`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ZfsPropertyName(String);

impl SpecString for ZfsPropertyName {
    const CODE: Code = Code::MOX0012;
    const WHAT: &'static str =
        "a property of ZFS, as `\"primarycache\"` or `\"com.sun:auto-snapshot\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        // zfsprops(7), "User Properties": lower-case letters, digits, and `:`, `-`, `.`, `_`.
        let odd = text.char_indices().find(|(_, c)| {
            !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, ':' | '-' | '.' | '_'))
        });
        if let Some((at, c)) = odd {
            return Err(ValueError::at(
                char_range(text, at),
                format!("a property of ZFS has no {}", shown(c)),
            )
            .help("lower-case letters, digits, `:`, `-`, `.` and `_`"));
        }
        if text.is_empty() || text.starts_with('-') || text.len() > 255 {
            return Err(ValueError::whole(
                text,
                format!("`{text}` is not a property of ZFS"),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn pattern() -> Option<&'static str> {
        Some("^[a-z0-9:._][a-z0-9:._-]*$")
    }
}
spec_string!(ZfsPropertyName, "ZfsPropertyName");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_files_or_typed() {
        assert_eq!("prompt".parse::<ZfsKey>().expect("a key"), ZfsKey::Prompt);
        let file: ZfsKey = "file:///root/k".parse().expect("a key");
        assert_eq!(file.to_string(), "file:///root/k");
        for bad in [
            "",
            "secret",
            "file://root/k",
            "/root/k",
            "https://x/k",
            "file:///a/../b",
        ] {
            assert!(bad.parse::<ZfsKey>().is_err(), "{bad}");
        }
        let error = "/root/k".parse::<ZfsKey>().expect_err("no URL");
        assert_eq!(error.meant.as_deref(), Some("file:///root/k"));
    }

    #[test]
    fn blocks_are_sizes_in_either_spelling() {
        for (text, bytes) in [("16K", 16 << 10), ("1M", 1 << 20), ("128 KiB", 128 << 10)] {
            let block: ZfsBlock = text.parse().expect("a block");
            assert_eq!(block.0.as_bytes(), bytes, "{text}");
        }
        for bad in ["K", "1.5K", "16", "16G", "+1K"] {
            assert!(bad.parse::<ZfsBlock>().is_err(), "{bad}");
        }
    }

    #[test]
    fn properties_are_of_zfs_or_of_the_user() {
        for good in ["primarycache", "com.sun:auto-snapshot", "org.me:x"] {
            assert!(good.parse::<ZfsPropertyName>().is_ok(), "{good}");
        }
        for bad in ["", "Atime", "a b", "a=b", "-x"] {
            assert!(bad.parse::<ZfsPropertyName>().is_err(), "{bad}");
        }
    }
}
