//! SHA-256 as a value: compared by the diff, printed in the manifest; and what addresses and names are derived from that a
//! spec leaves out.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use sha2::Digest;

/// A SHA-256 hash; prints as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Its bytes.
    pub fn bytes(self) -> [u8; 32] {
        self.0
    }

    /// Its digits, made at once and nowhere kept: a manifest has two hashes a file.
    fn digits(self) -> [u8; 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        digits
    }

    /// The hash of several pieces as if they were one text.
    pub fn of_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = sha2::Sha256::new();
        for piece in pieces {
            hasher.update(piece);
        }
        Self(hasher.finalize().into())
    }

    /// How many bytes `source` still has, and their hash: of what is too much to hold.
    pub fn of_rest(source: &mut impl Read) -> io::Result<(u64, Self)> {
        let mut hasher = sha2::Sha256::new();
        let size = io::copy(source, &mut hasher)?;
        Ok((size, Self(hasher.finalize().into())))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(std::str::from_utf8(&self.digits()).expect("hex digits are ASCII"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Sha256({self})")
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.digits();
        serializer.serialize_str(std::str::from_utf8(&digits).expect("hex digits are ASCII"))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = NotAHash;

    fn try_from(text: String) -> Result<Self, NotAHash> {
        text.parse()
    }
}

impl FromStr for Sha256 {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(NotAHash);
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Ok(Self(hash))
    }
}

/// Upper case is refused, so that one hash has one spelling.
fn hex_digit(digit: u8) -> Result<u8, NotAHash> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NotAHash),
    }
}

/// A text that is not 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAHash;

impl fmt::Display for NotAHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a SHA-256 hash is 64 lower-case hex digits")
    }
}

impl std::error::Error for NotAHash {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_hash_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            Sha256::of(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Sha256::of_pieces([&b"a"[..], b"bc"]), Sha256::of(b"abc"));
    }

    #[test]
    fn reads_back_what_it_prints_and_nothing_else() {
        let hash = Sha256::of(b"text");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for bad in [
            "",
            "ab",
            &"g".repeat(64),
            &"A".repeat(64),
            &"a".repeat(65),
            &"é".repeat(32),
        ] {
            assert_eq!(bad.parse::<Sha256>(), Err(NotAHash), "{bad}");
        }
    }
}
