//! The percent-encoding of guest descriptions and job comments.

use std::fmt::Write as _;

use super::{Release, since};

/// Encodes one line of free text as Proxmox does: UTF-8, then `%XX` for control characters,
/// bytes from 0x7f on, `%` and `:` (`PVE::Tools::encode_text`).
///
/// Before 8.3 Proxmox left `%` alone, and so lost a `%41` in the text at its second rewrite. For
/// those releases only a `%` that would be misread is encoded.
///
/// ```
/// use moxc::pve::{Release, encode_text};
/// assert_eq!(encode_text(Release::new(9, 2), "a: 5 % ä"), "a%3A 5 %25 %C3%A4");
/// assert_eq!(encode_text(Release::new(8, 1), "5 % or %41"), "5 % or %2541");
/// ```
pub fn encode_text(release: Release, text: &str) -> String {
    let bytes = text.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let mut encoded = String::with_capacity(text.len());
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'%' if release < since::ENCODED_PERCENT && !(is_hex(at + 1) && is_hex(at + 2)) => {
                encoded.push('%');
            }
            b'%' | b':' | 0..0x20 | 0x7f.. => {
                write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail");
            }
            plain => encoded.push(char::from(*plain)),
        }
    }
    encoded
}

/// Undoes [`encode_text`]. A `%` without two hex digits stands for itself, and bytes that are no
/// UTF-8 become U+FFFD, as in `PVE::Tools::decode_text`.
pub fn decode_text(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16));
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).expect("two hex digits are a byte"));
                at += 3;
            }
            (plain, _, _) => {
                decoded.push(plain);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn encodes_what_proxmox_encodes() {
        assert_eq!(encode_text(Release::NEWEST, "a: b"), "a%3A b");
        assert_eq!(encode_text(Release::NEWEST, "100%"), "100%25");
        assert_eq!(encode_text(Release::NEWEST, "ä"), "%C3%A4");
        assert_eq!(encode_text(Release::NEWEST, "a\tb\r\u{7f}"), "a%09b%0D%7F");
        assert_eq!(
            encode_text(Release::NEWEST, "{{guestname}}, \"x\" #"),
            "{{guestname}}, \"x\" #"
        );
    }

    #[test]
    fn decodes_what_others_wrote() {
        assert_eq!(decode_text("100%, %zz, %4"), "100%, %zz, %4");
        assert_eq!(decode_text("%c3%a4"), "ä");
        assert_eq!(decode_text("%ff"), "\u{fffd}");
    }

    proptest! {
        #[test]
        fn round_trips(text in "\\PC*|[%:0-9A-F\n\t ]*", old: bool) {
            let release = if old { Release::new(8, 2) } else { Release::NEWEST };
            let encoded = encode_text(release, &text);
            prop_assert!(encoded.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b':'));
            prop_assert_eq!(decode_text(&encoded), text);
        }
    }
}
