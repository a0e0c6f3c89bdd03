//! The hash functions of digest authentication: RFC 7616 §3.3 and §6.1, RFC 8760 §2.1.

use std::fmt;

use md5::{Digest, Md5};
use sha2::{Sha256, Sha512_256};

/// The `algorithm` parameter. Ordered by strength: the greater, the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Algorithm {
    /// What an absent `algorithm` parameter means (RFC 7616 §3.3).
    #[default]
    Md5,
    /// MD5 with an H(A1) that is tied to the first nonce and cnonce of a session.
    Md5Session,
    Sha256,
    Sha256Session,
    Sha512_256,
    Sha512_256Session,
}

/// The longest hash, in bytes.
pub(crate) const LONGEST: usize = 32;

impl Algorithm {
    /// All that can be offered and answered, the strongest first: the order of a server's challenges (RFC 8760 §2.3).
    pub const STRONGEST_FIRST: [Self; 6] =
        [Self::Sha512_256Session, Self::Sha512_256, Self::Sha256Session, Self::Sha256, Self::Md5Session, Self::Md5];

    /// The algorithm of that name in any case, quoted or not; `None` for one that is not known here.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim_matches('"');
        Self::STRONGEST_FIRST.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    /// The name as RFC 7616 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Session => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Session => "SHA-256-sess",
            Self::Sha512_256 => "SHA-512-256",
            Self::Sha512_256Session => "SHA-512-256-sess",
        }
    }

    /// Whether this is a `-sess` form.
    pub fn is_session(self) -> bool {
        self != self.base()
    }

    /// The same hash function without `-sess`: what stored H(A1) values are kept under.
    pub fn base(self) -> Self {
        match self {
            Self::Md5 | Self::Md5Session => Self::Md5,
            Self::Sha256 | Self::Sha256Session => Self::Sha256,
            Self::Sha512_256 | Self::Sha512_256Session => Self::Sha512_256,
        }
    }

    /// Length of a hash in bytes; its text has twice as many digits.
    pub fn hash_len(self) -> usize {
        match self.base() {
            Self::Md5 => 16,
            _ => 32,
        }
    }

    /// The hash of `parts` joined by colons, the way all values of digest authentication are made.
    pub(crate) fn hash(self, parts: &[&[u8]]) -> Hash {
        match self.base() {
            Self::Md5 => Hash::of::<Md5>(parts),
            Self::Sha256 => Hash::of::<Sha256>(parts),
            _ => Hash::of::<Sha512_256>(parts),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A hash of up to [`LONGEST`] bytes.
#[derive(Clone, Copy)]
pub(crate) struct Hash {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Hash {
    fn of<D: Digest>(parts: &[&[u8]]) -> Self {
        let mut digest = D::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                digest.update(b":");
            }
            digest.update(part);
        }
        Self::from_bytes(&digest.finalize())
    }

    /// The first [`LONGEST`] bytes of `source`.
    pub(crate) fn from_bytes(source: &[u8]) -> Self {
        let mut bytes = [0; LONGEST];
        let len = source.len().min(LONGEST);
        bytes[..len].copy_from_slice(&source[..len]);
        Self { bytes, len }
    }

    /// Reads hexadecimal digits of either case; `None` unless there are exactly as many as `algorithm` makes.
    pub(crate) fn from_hex(algorithm: Algorithm, digits: &str) -> Option<Self> {
        let mut bytes = [0; LONGEST];
        let len = algorithm.hash_len();
        hex::decode_to_slice(digits, &mut bytes[..len]).ok()?;
        Some(Self { bytes, len })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn hex(&self) -> Hex {
        let mut text = [0; 2 * LONGEST];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.as_bytes()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Hex { text, len: 2 * self.len }
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A hash as lower-case hexadecimal digits (`LHEX`), kept inline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hex {
    text: [u8; 2 * LONGEST],
    len: usize,
}

impl Hex {
    pub fn as_str(&self) -> &str {
        // Invariant: only hexadecimal digits are ever stored.
        std::str::from_utf8(&self.text[..self.len]).expect("hexadecimal digits are ASCII")
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_quoted() {
        assert_eq!(Algorithm::parse("md5"), Some(Algorithm::Md5));
        assert_eq!(Algorithm::parse("\"MD5\""), Some(Algorithm::Md5));
        assert_eq!(Algorithm::parse("sha-512-256-SESS"), Some(Algorithm::Sha512_256Session));
        assert_eq!(Algorithm::parse("AKAv1-MD5"), None);
    }

    #[test]
    fn every_name_reads_back() {
        for algorithm in Algorithm::STRONGEST_FIRST {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
        }
    }

    #[test]
    fn the_list_goes_from_strong_to_weak() {
        assert!(Algorithm::STRONGEST_FIRST.is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn parts_are_joined_by_colons() {
        // RFC 8760 §2.6 item 7 gives the hash of nothing.
        assert_eq!(
            Algorithm::Sha256.hash(&[b""]).hex().as_str(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(Algorithm::Md5.hash(&[b"a", b"b"]).as_bytes(), Algorithm::Md5.hash(&[b"a:b"]).as_bytes());
    }

    #[test]
    fn hex_of_the_wrong_length_is_refused() {
        assert!(Hash::from_hex(Algorithm::Md5, "00").is_none());
        assert!(Hash::from_hex(Algorithm::Sha256, "d41d8cd98f00b204e9800998ecf8427e").is_none());
        assert!(Hash::from_hex(Algorithm::Md5, "D41D8CD98F00B204E9800998ECF8427E").is_some());
    }
}
