//! What is asked of clients: algorithms, quality of protection, and the nonces.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use signalbox::module::{ModuleError, Settings};
use signalbox_sip::digest::{Algorithm, Nonce, Nonces, Origin, WithoutQop};
use signalbox_sip::message::Message;
use siphasher::sip::SipHasher13;

/// What the parameters say.
#[derive(Debug)]
pub(crate) struct Policy {
    /// The most preferred first.
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) qop: QopPolicy,
    /// Hashes in place of user names are offered and accepted.
    pub(crate) userhash: bool,
    pub(crate) nonces: Nonces,
    /// Random parts of nonces: a counter, ciphered.
    serial: AtomicU64,
    cipher: SipHasher13,
    /// Hashes addresses. Servers that share a secret compute the same hashes.
    places: SipHasher13,
    key: [u8; 16],
    /// Hashes requests.
    print: SipHasher13,
}

/// The parameter `qop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QopPolicy {
    Required,
    Optional,
    Absent,
}

impl Policy {
    pub(crate) fn new(settings: &Settings) -> Result<Self, ModuleError> {
        let random = || getrandom::u64().map_err(ModuleError::failed);
        let key = match settings.string("secret") {
            "" => (u128::from(random()?) << 64 | u128::from(random()?)).to_be_bytes(),
            secret => key_of(secret),
        };
        Ok(Self {
            algorithms: algorithms(settings.string("algorithms"))?,
            qop: match settings.string("qop") {
                "optional" => QopPolicy::Optional,
                "none" => QopPolicy::Absent,
                _ => QopPolicy::Required,
            },
            userhash: settings.boolean("userhash"),
            nonces: Nonces::new(key, settings.duration("nonce_expire")),
            // Servers that share a secret must not share their nonces' random parts.
            serial: AtomicU64::new(random()?),
            cipher: SipHasher13::new_with_keys(random()?, random()?),
            places: SipHasher13::new_with_key(&key),
            key,
            print: SipHasher13::new_with_keys(random()?, random()?),
        })
    }

    /// A nonce that was never given out before. `now` is the time since 1970, `origin` where it is sent.
    pub(crate) fn nonce(&self, realm: &str, now: Duration, origin: Origin) -> Nonce {
        let mut cipher = self.cipher;
        cipher.write_u64(self.serial.fetch_add(1, Ordering::Relaxed));
        self.nonces.make(realm, now, cipher.finish(), origin)
    }

    /// Whether a challenge asks for this algorithm. It never does for a `-sess` form.
    pub(crate) fn offers(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// The part of a nonce about the address that it is sent to. An IPv6 network of 64 bits counts as one address,
    /// because a host has all of it.
    pub(crate) fn origin(&self, peer: SocketAddr) -> Origin {
        let mut hasher = self.places;
        match peer.ip().to_canonical() {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write(&address.octets()[..8]),
        }
        let network = hasher.finish();
        if let IpAddr::V6(address) = peer.ip().to_canonical() {
            hasher.write(&address.octets()[8..]);
        }
        hasher.write_u16(peer.port());
        Origin { network, peer: (hasher.finish() >> 32) as u32 }
    }

    /// For the counters of wrong passwords.
    pub(crate) fn key(&self) -> [u8; 16] {
        self.key
    }

    /// A digest that recognises a retransmission: of everything that the sender wrote, without what servers on the way
    /// write into Via.
    pub(crate) fn print(&self, request: &Message) -> u32 {
        let mut hasher = self.print;
        request.method().as_str().hash(&mut hasher);
        request.request_uri().hash(&mut hasher);
        let via = request.top_via().ok();
        via.and_then(|via| via.branch()).hash(&mut hasher);
        for (name, value) in request.lines().filter(|(name, _)| !name.eq_ignore_ascii_case("via") && *name != "v") {
            name.hash(&mut hasher);
            value.hash(&mut hasher);
        }
        hasher.write(request.body());
        (hasher.finish() >> 32) as u32
    }
}

impl QopPolicy {
    pub(crate) fn without(self) -> WithoutQop {
        if self == Self::Required { WithoutQop::Refuse } else { WithoutQop::Accept }
    }
}

fn key_of(secret: &str) -> [u8; 16] {
    let hash = Sha256::digest(secret.as_bytes());
    let mut key = [0; 16];
    key.iter_mut().zip(hash).for_each(|(key, hash)| *key = hash);
    key
}

pub(crate) fn algorithms(text: &str) -> Result<Vec<Algorithm>, ModuleError> {
    let wrong = |problem: String| ModuleError::Parameter { parameter: "algorithms", problem };
    let mut algorithms = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        // The -sess forms tie a password to a session that a proxy does not keep.
        match Algorithm::parse(name).filter(|algorithm| !algorithm.is_session()) {
            Some(algorithm) if algorithms.contains(&algorithm) => {}
            Some(algorithm) => algorithms.push(algorithm),
            None => return Err(wrong(format!("{name:?} is none of SHA-512-256, SHA-256 and MD5"))),
        }
    }
    if algorithms.is_empty() { Err(wrong("at least one is needed".to_owned())) } else { Ok(algorithms) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_keep_their_order() {
        assert_eq!(algorithms("SHA-512-256, md5").unwrap(), [Algorithm::Sha512_256, Algorithm::Md5]);
        assert_eq!(algorithms("MD5,sha-256,MD5").unwrap(), [Algorithm::Md5, Algorithm::Sha256]);
        for text in ["", " , ", "SHA-1", "MD5-sess"] {
            assert!(algorithms(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_network_of_64_bits_is_one_source() {
        let parameters = crate::tests::parameters();
        let policy = Policy::new(&Settings::defaults(&parameters)).unwrap();
        let origin = |peer: &str| policy.origin(peer.parse().unwrap());
        assert_eq!(origin("[2001:db8::1]:5060").network, origin("[2001:db8::ffff:1]:7").network);
        assert_ne!(origin("[2001:db8::1]:5060").peer, origin("[2001:db8::2]:5060").peer);
        assert_ne!(origin("[2001:db8::1]:5060").network, origin("[2001:db8:0:1::1]:5060").network);
        assert_eq!(origin("192.0.2.1:5060"), origin("[::ffff:192.0.2.1]:5060"));
        assert_eq!(origin("192.0.2.1:5060").network, origin("192.0.2.1:5061").network);
        assert_ne!(origin("192.0.2.1:5060").network, origin("192.0.2.2:5060").network);
        assert_ne!(origin("192.0.2.1:5060").peer, origin("192.0.2.1:5061").peer);
    }

    #[test]
    fn a_secret_makes_the_same_key_each_time() {
        assert_eq!(key_of("s"), key_of("s"));
        assert_ne!(key_of("s"), key_of("t"));
    }
}
