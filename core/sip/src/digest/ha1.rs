//! H(A1), the hash of user, realm and password: RFC 7616 §3.4.2.

use std::fmt;

use super::algorithm::{Algorithm, Hash, Hex};
use crate::message::octets_of;

/// What an account keeps for one realm and one hash function. It is as good as the password for digest
/// authentication in that realm, so it prints itself only when asked to.
#[derive(Clone, Copy)]
pub struct Ha1 {
    algorithm: Algorithm,
    hash: Hash,
}

impl Ha1 {
    /// From a password in clear. The `-sess` forms share the value of their base.
    pub fn of(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> Self {
        Self { algorithm: algorithm.base(), hash: algorithm.hash(&[user, realm, password].map(str::as_bytes)) }
    }

    /// From stored hexadecimal digits of either case; `None` if they are not a hash of `algorithm`.
    pub fn from_hex(algorithm: Algorithm, digits: &str) -> Option<Self> {
        Some(Self { algorithm: algorithm.base(), hash: Hash::from_hex(algorithm, digits)? })
    }

    /// The digits to store.
    pub fn hex(&self) -> Hex {
        self.hash.hex()
    }

    /// The hash function it was made with, never a `-sess` form.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ha1({}, hidden)", self.algorithm)
    }
}

impl PartialEq for Ha1 {
    /// In constant time: these are secrets.
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.algorithm == other.algorithm && bool::from(self.hash.as_bytes().ct_eq(other.hash.as_bytes()))
    }
}

impl Eq for Ha1 {}

/// The values that go into a response beside the account's secret, as they stand between the quotes on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ingredients<'a> {
    /// As given in the credentials: a `-sess` form changes H(A1).
    pub(crate) algorithm: Algorithm,
    pub(crate) nonce: &'a str,
    /// `nc`, `cnonce` and `qop`; without them the response is RFC 2069's.
    pub(crate) counted: Option<Counted<'a>>,
    pub(crate) uri: &'a str,
}

/// What `qop` brings along.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a> {
    pub(crate) nc: &'a str,
    pub(crate) cnonce: &'a str,
    pub(crate) qop: &'a str,
}

impl Ingredients<'_> {
    /// `request-digest` (RFC 7616 §3.4.1). An empty `method` gives `rspauth`'s value instead (§3.5).
    pub(crate) fn response(&self, ha1: &Ha1, method: &str) -> Hash {
        let algorithm = self.algorithm;
        // The octets on the wire are hashed.
        let (nonce, uri) = (&*octets_of(self.nonce), &*octets_of(self.uri));
        let cnonce = &*octets_of(self.counted.map_or("", |counted| counted.cnonce));
        let mut secret = ha1.hex();
        if algorithm.is_session() {
            secret = algorithm.hash(&[secret.as_str().as_bytes(), nonce, cnonce]).hex();
        }
        let secret = secret.as_str().as_bytes();
        let a2 = algorithm.hash(&[method.as_bytes(), uri]).hex();
        let a2 = a2.as_str().as_bytes();
        match self.counted {
            Some(Counted { nc, qop, .. }) => {
                algorithm.hash(&[secret, nonce, nc.as_bytes(), cnonce, qop.as_bytes(), a2])
            }
            None => algorithm.hash(&[secret, nonce, a2]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_what_it_prints() {
        for algorithm in Algorithm::STRONGEST_FIRST {
            let ha1 = Ha1::of(algorithm, "alice", "example.com", "secret");
            assert_eq!(Ha1::from_hex(algorithm, ha1.hex().as_str()), Some(ha1));
        }
    }

    #[test]
    fn it_does_not_show_itself_in_logs() {
        let ha1 = Ha1::of(Algorithm::Md5, "alice", "example.com", "secret");
        assert!(!format!("{ha1:?}").contains(ha1.hex().as_str()));
    }

    #[test]
    fn octets_of_the_wire_are_hashed_as_they_are() {
        let ha1 = Ha1::of(Algorithm::Md5, "alice", "example.com", "secret");
        let counted = Some(Counted { nc: "00000001", cnonce: "c\u{10ffe9}", qop: "auth" });
        let uri = "sip:caf\u{10ffe9}@example.com";
        let response = Ingredients { algorithm: Algorithm::Md5, nonce: "n", counted, uri }.response(&ha1, "MESSAGE");
        let a2 = Algorithm::Md5.hash(&[b"MESSAGE", b"sip:caf\xe9@example.com"]).hex();
        let (ha1, a2) = (ha1.hex(), a2.as_str().as_bytes());
        let right = Algorithm::Md5.hash(&[ha1.as_str().as_bytes(), b"n", b"00000001", b"c\xe9", b"auth", a2]);
        assert_eq!(response.hex().as_str(), right.hex().as_str());
    }

    #[test]
    fn another_hash_function_is_another_value() {
        let md5 = Ha1::of(Algorithm::Md5, "alice", "example.com", "secret");
        let sha256 = Ha1::of(Algorithm::Sha256, "alice", "example.com", "secret");
        assert_ne!(md5, sha256);
    }
}
