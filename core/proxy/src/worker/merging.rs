//! Merged requests (RFC 3261 §8.2.2.2): copies of one request that a fork upstream sent to this server by several
//! paths. The first copy is served. The others are refused with 482, whichever workers receive them.
//!
//! This concerns only requests that are served here. A relayed request may pass here several times, by different paths
//! (§16.3 step 4).

use std::hash::BuildHasherDefault;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use signalbox_sip::transaction::TransactionKey;

use crate::transactions::table::KeyHasher;

/// The number of parts. Each has its own lock.
const SHARDS: usize = 64;

/// Requests that are remembered in one half of one part; beyond that the oldest are forgotten. All parts together take
/// some 130 MB.
const MAX_REMEMBERED: usize = 32_768;

/// The requests that have been served lately.
#[derive(Default)]
pub(super) struct Served(Vec<Mutex<Shard>>);

#[derive(Default)]
struct Shard {
    current: Half,
    previous: Half,
    /// When `current` was begun.
    begun: Option<Instant>,
}

/// Keys are keyed digests. Their upper bits choose the part.
type Half = HashMap<u64, First, BuildHasherDefault<KeyHasher>>;

/// The first copy of a request.
#[derive(Clone, Copy)]
struct First {
    key: TransactionKey,
    at: Instant,
}

impl Served {
    pub(super) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    /// Notes that the request with this digest of From tag, Call-ID, CSeq and method is served in the transaction
    /// `key`. False if another transaction that may still exist, for `lifetime`, serves it.
    pub(super) fn is_first(&self, digest: u64, key: TransactionKey, now: Instant, lifetime: Duration) -> bool {
        let part = usize::from((digest >> 48) as u16) % SHARDS;
        let Some(shard) = self.0.get(part) else { return true };
        // A panic cannot leave a map half changed.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.turn(now, lifetime);
        let known = shard.current.get(&digest).or_else(|| shard.previous.get(&digest));
        match known.filter(|first| now.saturating_duration_since(first.at) <= lifetime) {
            Some(first) => first.key == key,
            None => {
                shard.current.insert(digest, First { key, at: now });
                true
            }
        }
    }
}

impl Shard {
    fn turn(&mut self, now: Instant, lifetime: Duration) {
        let age = now.saturating_duration_since(*self.begun.get_or_insert(now));
        if age <= lifetime && self.current.len() < MAX_REMEMBERED {
            return;
        }
        self.previous = std::mem::take(&mut self.current);
        if age > lifetime * 2 {
            self.previous = Half::default();
        }
        self.begun = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(32);

    #[test]
    fn a_request_is_served_in_its_first_transaction_for_as_long_as_that_may_be_there() {
        let (served, start) = (Served::new(), Instant::now());
        let is_first = |digest, key, seconds| {
            served.is_first(digest, TransactionKey(key), start + Duration::from_secs(seconds), LIFETIME)
        };
        assert_eq!([is_first(1, 1, 0), is_first(1, 2, 1), is_first(1, 1, 2)], [true, false, true]);
        assert!(is_first(2, 2, 2), "another request");
        assert_eq!([is_first(1, 2, 32), is_first(1, 2, 33), is_first(1, 1, 34)], [false, true, false]);
    }

    #[test]
    fn the_number_of_remembered_requests_is_limited() {
        let (served, now) = (Served::new(), Instant::now());
        for digest in 0..3 * MAX_REMEMBERED as u64 {
            assert!(served.is_first(digest, TransactionKey(1), now, LIFETIME));
        }
        let shard = served.0[0].lock().unwrap();
        assert!(shard.current.len() + shard.previous.len() <= 2 * MAX_REMEMBERED);
    }
}
