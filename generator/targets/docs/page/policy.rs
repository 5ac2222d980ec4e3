//! Style, script, and what a browser is allowed because of them.

use std::sync::LazyLock;

use crate::digest::Sha256;
use crate::graph;

/// The script: search by keyboard, and nothing that the page needs.
pub(super) const SCRIPT: &str = include_str!("../../../../templates/docs/index.js");

/// The style of the page and of its pictures.
pub(super) static STYLE: LazyLock<String> = LazyLock::new(|| {
    let own = include_str!("../../../../templates/docs/index.css");
    format!("{own}{}\n", *graph::STYLE)
});

/// No source is allowed but this style and this script, by their hashes (CSP Level 3, "hash-source").
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| base64(&Sha256::of(text.as_bytes()).bytes());
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(&STYLE),
        hash(SCRIPT)
    )
});

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            if at <= three.len() {
                let letter = (bits >> (18 - 6 * at)) & 63;
                out.push(char::from(LETTERS[letter as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 4648, section 10.
    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, wanted) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), wanted);
        }
    }

    /// The script's element must end where we end it.
    #[test]
    fn nothing_ends_the_elements_early() {
        assert!(!SCRIPT.contains("</"));
        assert!(!STYLE.contains("</"));
    }
}
