//! Nonces that prove their own age: RFC 7616 §3.3 leaves their making to the server.
//!
//! A nonce holds the time it was made, eight random bytes, the address it was sent to, and a keyed digest of these and
//! of the realm. Nothing is remembered when one is given out, so asking for many costs a server nothing.

use std::fmt;
use std::hash::Hasher;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip128::{Hasher128, SipHasher24};
use subtle::ConstantTimeEq;

use super::replay::{Counts, Use};

/// Bytes of the time, in milliseconds: enough for 8,900 years.
const TIME_LEN: usize = 6;
const RANDOM_LEN: usize = 8;
const NETWORK_LEN: usize = 8;
const PEER_LEN: usize = 4;
const SIGNED_LEN: usize = TIME_LEN + RANDOM_LEN + NETWORK_LEN + PEER_LEN;
const SIGNATURE_LEN: usize = 16;
const LEN: usize = SIGNED_LEN + SIGNATURE_LEN;
/// 42 bytes are 56 characters of base64, without padding.
const TEXT_LEN: usize = 56;

/// How far the clocks of two threads may differ. A nonce from further in the future was made before a clock was set back.
const CLOCK_SKEW: Duration = Duration::from_millis(100);

/// Makes and judges nonces. Shared by all threads that serve the same realms.
pub struct Nonces {
    key: [u8; 16],
    lifetime: Duration,
    counts: Counts,
}

/// A fresh nonce, kept inline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; TEXT_LEN]);

/// The address that a challenge was sent to, as keyed hashes. Only the host at that address receives the nonce. So uses
/// of a nonce can be attributed to that host, even if the source address of a request that uses it is forged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// Of the address, without its port.
    pub network: u64,
    /// Of the address and the port.
    pub peer: u32,
}

/// What became of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Made here, for this realm, and not too old.
    Valid(ValidNonce),
    /// Made here, but too old: challenge again with `stale=true`.
    Stale,
    /// Not made here, or by an earlier process: challenge again, also with `stale=true` if the response is right.
    Unknown,
}

/// Proof that a nonce was judged valid, to be counted once the response has proved right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidNonce {
    pub(crate) random: u64,
    /// When it was made.
    pub(crate) made: Duration,
    /// Where it was sent.
    pub origin: Origin,
}

/// The same nonce count twice, or so late that it cannot be told: challenge again with `stale=true`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nonce count used before")]
pub struct Replayed;

impl Nonces {
    /// `key` is random and secret; nonces of another key are unknown.
    pub fn new(key: [u8; 16], lifetime: Duration) -> Self {
        Self { key, lifetime, counts: Counts::new(lifetime) }
    }

    /// As [`new`](Self::new), remembering at most `limit` nonces that are in use.
    pub fn with_limit(key: [u8; 16], lifetime: Duration, limit: usize) -> Self {
        Self { key, lifetime, counts: Counts::with_limit(lifetime, limit) }
    }

    /// A nonce for `realm`. `now` is the time since any point that stays the same while the key does (such as 1970);
    /// `random` differs for each call. `origin` is the address that the nonce is sent to.
    pub fn make(&self, realm: &str, now: Duration, random: u64, origin: Origin) -> Nonce {
        let mut bytes = [0; LEN];
        let parts: [&[u8]; 4] = [
            &milliseconds(now).to_be_bytes()[8 - TIME_LEN..],
            &random.to_be_bytes(),
            &origin.network.to_be_bytes(),
            &origin.peer.to_be_bytes(),
        ];
        let mut at = 0;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        let signature = self.signature(realm, &bytes[..SIGNED_LEN]);
        bytes[SIGNED_LEN..].copy_from_slice(&signature);
        let mut text = [0; TEXT_LEN];
        // Invariant: TEXT_LEN is the base64 length of LEN bytes.
        URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).expect("the text has room for the bytes");
        Nonce(text)
    }

    /// Whether `nonce`, as between the quotes of the credentials, is one of ours for `realm` and young enough.
    pub fn judge(&self, nonce: &str, realm: &str, now: Duration) -> Judgement {
        let mut bytes = [0; LEN];
        if URL_SAFE_NO_PAD.decode_slice(nonce, &mut bytes) != Ok(LEN) {
            return Judgement::Unknown;
        }
        let (signed, signature) = bytes.split_at(SIGNED_LEN);
        if !bool::from(self.signature(realm, signed).ct_eq(signature)) {
            return Judgement::Unknown;
        }
        let made = Duration::from_millis(number(&signed[..TIME_LEN]));
        if made > now + CLOCK_SKEW || now.saturating_sub(made) > self.lifetime {
            return Judgement::Stale;
        }
        let (random, origin) = signed[TIME_LEN..].split_at(RANDOM_LEN);
        let (network, peer) = origin.split_at(NETWORK_LEN);
        let origin = Origin { network: number(network), peer: number(peer) as u32 };
        Judgement::Valid(ValidNonce { random: number(random), made, origin })
    }

    /// Notes that `count` was used with `nonce`, or says that it was used before. Call this last, when the response has
    /// proved right. `print` is a digest of the whole request: the last request may come again.
    pub fn count(&self, nonce: ValidNonce, count: u32, print: u32, now: Duration) -> Result<(), Replayed> {
        self.counts.note(nonce, Use { count, print, now })
    }

    fn signature(&self, realm: &str, signed: &[u8]) -> [u8; SIGNATURE_LEN] {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(signed);
        hasher.write(realm.as_bytes());
        hasher.finish128().as_bytes()
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

impl Nonce {
    pub fn as_str(&self) -> &str {
        // Invariant: only base64 characters are ever stored.
        std::str::from_utf8(&self.0).expect("base64 is ASCII")
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Up to eight bytes, big-endian.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(300);
    const NOW: Duration = Duration::from_millis(1_700_000_000_123);

    const ORIGIN: Origin = Origin { network: 0x0123_4567_89ab_cdef, peer: 0xfedc_ba98 };

    fn nonces() -> Nonces {
        Nonces::new([7; 16], LIFETIME)
    }

    #[test]
    fn a_nonce_is_valid_until_it_is_too_old() {
        let nonces = nonces();
        let nonce = nonces.make("example.com", NOW, 42, ORIGIN);
        let Judgement::Valid(valid) = nonces.judge(nonce.as_str(), "example.com", NOW) else { panic!("a fresh nonce") };
        assert_eq!(valid.origin, ORIGIN);
        assert!(matches!(nonces.judge(nonce.as_str(), "example.com", NOW + LIFETIME), Judgement::Valid(_)));
        let late = NOW + LIFETIME + Duration::from_millis(1);
        assert_eq!(nonces.judge(nonce.as_str(), "example.com", late), Judgement::Stale);
    }

    #[test]
    fn a_nonce_with_a_fraction_of_a_millisecond_is_valid_at_once() {
        let now = NOW + Duration::from_micros(999);
        let nonce = nonces().make("r", now, 1, ORIGIN);
        assert!(matches!(nonces().judge(nonce.as_str(), "r", now), Judgement::Valid(_)));
    }

    #[test]
    fn a_nonce_of_another_key_realm_or_text_is_unknown() {
        let nonce = nonces().make("example.com", NOW, 42, ORIGIN);
        let other = Nonces::new([8; 16], LIFETIME);
        assert_eq!(other.judge(nonce.as_str(), "example.com", NOW), Judgement::Unknown);
        assert_eq!(nonces().judge(nonce.as_str(), "example.org", NOW), Judgement::Unknown);
        let long = format!("{nonce}AAAA");
        for text in ["", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "\u{e4}", &nonce.as_str()[..55], &long] {
            assert_eq!(nonces().judge(text, "example.com", NOW), Judgement::Unknown, "{text}");
        }
    }

    #[test]
    fn no_character_of_a_nonce_can_be_changed() {
        let nonces = nonces();
        let nonce = nonces.make("example.com", NOW, 42, ORIGIN);
        for index in 0..TEXT_LEN {
            let mut changed = nonce.0;
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = std::str::from_utf8(&changed).unwrap();
            assert_eq!(nonces.judge(changed, "example.com", NOW), Judgement::Unknown, "{index}");
        }
    }

    #[test]
    fn a_nonce_from_the_future_is_stale() {
        let nonce = nonces().make("r", NOW, 1, ORIGIN);
        let before = NOW - Duration::from_secs(1);
        assert_eq!(nonces().judge(nonce.as_str(), "r", before), Judgement::Stale);
    }
}
