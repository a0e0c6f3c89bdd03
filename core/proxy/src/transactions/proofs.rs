//! Which addresses are proved, that is, have shown that they want requests. A Contact can name any address. Without
//! this a small request could cause much traffic to a third party, by a binding or a subscription that leads there.
//!
//! An address is proved if the caller knows it (it is the source of the request, or the flow of a binding), or by a
//! response from there, because the branch in it cannot be guessed. Any other address gets one datagram, or one attempt
//! to connect, per request. The datagram is not retransmitted, and a request too large for a datagram goes over a
//! connection or not at all.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use signalbox_sip::message::Message;

/// How long an address counts as proved after a response came from there.
pub const PROVED_TIME: Duration = Duration::from_secs(3600);
/// How long an unproved address gets nothing more for the same request: longer than all its branches take one after
/// another.
pub const TRIED_TIME: Duration = Duration::from_secs(1800);
/// Proved addresses that are remembered, some 100 octets each; the least recently used are forgotten first.
const MAX_PROVED: u64 = 100_000;
/// Pairs of request and unproved address that are remembered, some 80 octets each; the oldest are forgotten first.
const MAX_TRIED: u64 = 200_000;

/// See the [module](self). Shared by all workers; only requests to unproved addresses look here.
pub struct Proofs {
    proved: Cache<SocketAddr, Instant>,
    tried: Cache<u64, Instant>,
    hashing: RandomState,
}

impl Default for Proofs {
    fn default() -> Self {
        let lru = EvictionPolicy::lru;
        Self {
            proved: Cache::builder().max_capacity(MAX_PROVED).eviction_policy(lru()).build(),
            tried: Cache::builder().max_capacity(MAX_TRIED).eviction_policy(lru()).build(),
            hashing: RandomState::new(),
        }
    }
}

impl Proofs {
    /// Whether a response has come from this address lately.
    pub fn is_proved(&self, remote: SocketAddr, now: Instant) -> bool {
        is_recent(self.proved.get(&remote), now, PROVED_TIME)
    }

    /// A response came to a request that was sent to this address.
    pub fn note_response(&self, remote: SocketAddr, now: Instant) {
        self.proved.insert(remote, now);
    }

    /// Whether this request may be sent to an unproved address. True once per host, whatever the port. All branches of
    /// a forked request share Call-ID, From tag and CSeq.
    pub fn may_try(&self, host: IpAddr, request: &Message, now: Instant) -> bool {
        let key = self.hashing.hash_one((host, request.call_id(), request.from_tag(), request.cseq()));
        let entry = self.tried.entry(key).or_insert(now);
        if entry.is_fresh() {
            return true;
        }
        let again = !is_recent(Some(*entry.value()), now, TRIED_TIME);
        if again {
            self.tried.insert(key, now);
        }
        again
    }
}

fn is_recent(then: Option<Instant>, now: Instant, time: Duration) -> bool {
    then.is_some_and(|then| now.saturating_duration_since(then) < time)
}

#[cfg(test)]
mod tests {
    use signalbox_sip::header::HeaderName;
    use signalbox_sip::method::Method;

    use super::*;

    fn request(cseq: u32) -> Message {
        let mut request = Message::request(&Method::Message, "sip:bob@192.0.2.9");
        request.push(HeaderName::From, "<sip:alice@example.com>;tag=a");
        request.push(HeaderName::CallId, "call");
        request.push(HeaderName::CSeq, &format!("{cseq} MESSAGE"));
        request
    }

    #[test]
    fn an_unproved_host_gets_each_request_once_whatever_the_port() {
        let (proofs, now) = (Proofs::default(), Instant::now());
        let [one, other] = ["192.0.2.9", "192.0.2.10"].map(|host| host.parse().unwrap());
        assert!(proofs.may_try(one, &request(1), now));
        assert!(!proofs.may_try(one, &request(1), now + TRIED_TIME / 2));
        assert!(proofs.may_try(other, &request(1), now));
        assert!(proofs.may_try(one, &request(2), now));
        assert!(proofs.may_try(one, &request(1), now + TRIED_TIME));
        assert!(!proofs.may_try(one, &request(1), now + TRIED_TIME));
    }

    #[test]
    fn a_response_proves_one_address_for_an_hour() {
        let (proofs, now) = (Proofs::default(), Instant::now());
        let [remote, other] = ["192.0.2.9:5060", "192.0.2.9:5061"].map(|address| address.parse().unwrap());
        assert!(!proofs.is_proved(remote, now));
        proofs.note_response(remote, now);
        assert!(proofs.is_proved(remote, now + PROVED_TIME / 2));
        assert!(!proofs.is_proved(other, now));
        assert!(!proofs.is_proved(remote, now + PROVED_TIME));
    }
}
