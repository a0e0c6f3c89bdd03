//! Which nonce counts were used: RFC 7616 §3.4, "to allow the server to detect request replays".
//!
//! Only nonces that a right response came with are remembered, 41 bytes each, in two generations: the older one is
//! dropped when a lifetime has passed, since by then all its nonces have expired, or earlier when the limit is reached;
//! then nonces of which the counts may have been forgotten are refused, and their clients get a fresh one.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::nonce::{Replayed, ValidNonce};

/// The default limit of remembered nonces: about 40 MB if it is reached.
pub const DEFAULT_LIMIT: usize = 1 << 20;

/// Parts of the table with a lock each.
const SHARDS: usize = 16;

/// The table of nonce counts.
pub(crate) struct Counts {
    shards: [Mutex<Shard>; SHARDS],
    lifetime: Duration,
    /// Nonces in one generation of one shard.
    generation_limit: usize,
}

/// Two generations of nonces.
#[derive(Default)]
struct Shard {
    current: Table,
    previous: Table,
    /// When `current` was begun.
    begun: Duration,
    /// Nonces made before this may have been forgotten.
    forgotten_before: Duration,
}

type Table = HashMap<u64, Used, BuildHasherDefault<AlreadyRandom>>;

/// The counts used with one nonce.
#[derive(Clone, Copy)]
struct Used {
    highest: u32,
    /// Bit `i`: `highest - i` was used. Requests may overtake one another by this much.
    window: u32,
    /// The last uses, the newest first.
    recent: [Recent; RECENT],
}

/// A use that may be retransmitted.
#[derive(Clone, Copy, Default)]
struct Recent {
    count: u32,
    print: u32,
    /// Seconds.
    at: u32,
}

/// A use of a nonce.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    pub(crate) count: u32,
    /// A digest of the whole request.
    pub(crate) print: u32,
    pub(crate) now: Duration,
}

/// A request that comes again, octet for octet, may be a retransmission for 64·T1 (RFC 3261 §17.1.2.2), which is 32 s.
const RETRANSMISSIONS: u32 = 32;

/// Requests with one nonce that may all be retransmitted at the same time.
const RECENT: usize = 2;

impl Counts {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self::with_limit(lifetime, DEFAULT_LIMIT)
    }

    pub(crate) fn with_limit(lifetime: Duration, limit: usize) -> Self {
        Self { shards: Default::default(), lifetime, generation_limit: (limit / (2 * SHARDS)).max(1) }
    }

    /// Notes a use, or refuses it.
    pub(crate) fn note(&self, nonce: ValidNonce, used: Use) -> Result<(), Replayed> {
        // The low bits choose the bucket within a table, so others choose the shard.
        let index = (nonce.random >> 32) as usize % SHARDS;
        // A panic cannot leave a table half changed.
        let mut shard = self.shards[index].lock().unwrap_or_else(PoisonError::into_inner);
        shard.turn(used.now, self.lifetime, self.generation_limit);
        shard.note(nonce, used)
    }
}

impl Shard {
    /// Begins a new generation when it is time.
    fn turn(&mut self, now: Duration, lifetime: Duration, limit: usize) {
        let age = now.saturating_sub(self.begun);
        if age <= lifetime && self.current.len() < limit {
            return;
        }
        if age <= lifetime {
            // The nonces to be dropped were first used before `begun`, hence made before it.
            self.forgotten_before = self.begun;
        }
        self.previous = std::mem::take(&mut self.current);
        if age > lifetime.saturating_mul(2) {
            self.previous.clear();
        }
        self.begun = now;
    }

    fn note(&mut self, nonce: ValidNonce, present: Use) -> Result<(), Replayed> {
        if let Some(used) = self.current.get_mut(&nonce.random) {
            return used.note(present);
        }
        match self.previous.remove(&nonce.random) {
            Some(mut used) => {
                let outcome = used.note(present);
                self.current.insert(nonce.random, used);
                outcome
            }
            None if nonce.made < self.forgotten_before || present.count == 0 => Err(Replayed),
            None => {
                self.current.insert(nonce.random, Used::first(present));
                Ok(())
            }
        }
    }
}

impl Used {
    fn note(&mut self, Use { count, print, now }: Use) -> Result<(), Replayed> {
        // A retransmission gets the same answer (§17.2.2), even if its transaction is not kept.
        let present = Recent { count, print, at: seconds(now) };
        if self.recent.iter().any(|recent| recent.is_same(present)) {
            return Ok(());
        }
        if let Some(ahead) = count.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            self.window = self.window.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            self.remember(present);
            return Ok(());
        }
        let bit = 1u32.checked_shl(self.highest - count).unwrap_or(0);
        if count == 0 || bit == 0 || self.window & bit != 0 {
            return Err(Replayed);
        }
        self.window |= bit;
        self.remember(present);
        Ok(())
    }

    fn first(Use { count, print, now }: Use) -> Self {
        let mut used = Self { highest: count, window: 1, recent: Default::default() };
        used.remember(Recent { count, print, at: seconds(now) });
        used
    }

    fn remember(&mut self, present: Recent) {
        self.recent.rotate_right(1);
        self.recent[0] = present;
    }
}

impl Recent {
    fn is_same(&self, other: Self) -> bool {
        // A count of zero was never used.
        let same = (self.count, self.print) == (other.count, other.print) && self.count != 0;
        same && other.at.saturating_sub(self.at) <= RETRANSMISSIONS
    }
}

/// Enough until 2106.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// The key is the nonce's random part, which nobody outside can choose.
#[derive(Default)]
struct AlreadyRandom(u64);

impl Hasher for AlreadyRandom {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::digest::nonce::Origin;

    const LIFETIME: Duration = Duration::from_secs(100);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn nonce(random: u64, made: u64) -> ValidNonce {
        ValidNonce { random, made: at(made), origin: Origin::default() }
    }

    /// Each call is another request.
    fn another(count: u32, now: Duration) -> Use {
        static PRINT: AtomicU32 = AtomicU32::new(0);
        Use { count, print: PRINT.fetch_add(1, Ordering::Relaxed), now }
    }

    #[test]
    fn the_last_requests_may_come_again_while_they_can_be_retransmissions() {
        let counts = Counts::new(LIFETIME);
        let used = |count: u32, now| counts.note(nonce(9, 0), Use { count, print: count, now: at(now) });
        assert_eq!([used(1, 1), used(1, 2), used(2, 3), used(1, 4), used(2, 5)], [Ok(()); 5]);
        assert_eq!(counts.note(nonce(9, 0), Use { count: 2, print: 7, now: at(5) }), Err(Replayed), "another request");
        assert_eq!([used(1, 33), used(1, 34), used(2, 34)], [Ok(()), Err(Replayed), Ok(())], "too late");
        assert_eq!([used(3, 35), used(4, 35), used(2, 35)], [Ok(()), Ok(()), Err(Replayed)], "others came since");
    }

    #[test]
    fn each_count_is_taken_once() {
        let counts = Counts::new(LIFETIME);
        for count in [1, 2, 5, 4, 3, 100, 69, 0xffff_ffff] {
            assert_eq!(counts.note(nonce(9, 0), another(count, at(1))), Ok(()), "{count}");
            assert_eq!(counts.note(nonce(9, 0), another(count, at(1))), Err(Replayed), "{count} again");
        }
        assert_eq!(counts.note(nonce(9, 0), another(7, at(1))), Err(Replayed), "too far behind to tell");
        assert_eq!(counts.note(nonce(9, 0), another(0, at(1))), Err(Replayed));
        assert_eq!(counts.note(nonce(10, 0), another(0, at(1))), Err(Replayed), "counts begin at 1");
        assert_eq!(counts.note(nonce(10, 0), another(1, at(1))), Ok(()), "other nonces have their own counts");
    }

    #[test]
    fn counts_are_remembered_as_long_as_their_nonce_lives() {
        let counts = Counts::new(LIFETIME);
        assert_eq!(counts.note(nonce(1, 1000), another(1, at(1000))), Ok(()));
        assert_eq!(counts.note(nonce(2, 1099), another(1, at(1099))), Ok(()));
        for now in [1101, 1150, 1199] {
            assert_eq!(counts.note(nonce(2, 1099), another(1, at(now))), Err(Replayed), "{now}");
        }
    }

    #[test]
    fn memory_is_given_back_when_nonces_have_expired() {
        let counts = Counts::new(LIFETIME);
        for random in 0..1000 {
            counts.note(nonce(random, 0), another(1, at(0))).unwrap();
        }
        for now in [101, 202] {
            counts.note(nonce(5000 + now, now), another(1, at(now))).unwrap();
        }
        let shard = counts.shards[0].lock().unwrap();
        assert_eq!(shard.current.len() + shard.previous.len(), 2);
    }

    #[test]
    fn at_the_limit_old_nonces_are_refused_rather_than_taken_twice() {
        let counts = Counts::with_limit(LIFETIME, 2 * SHARDS * 10);
        // All in one shard: ten in each generation.
        for random in 0..35 {
            counts.note(nonce(random, random), another(1, at(random))).unwrap();
        }
        for random in 0..35 {
            assert_eq!(counts.note(nonce(random, random), another(1, at(35))), Err(Replayed), "{random}");
        }
        let shard = counts.shards[0].lock().unwrap();
        assert!(shard.current.len() <= 10 && shard.previous.len() <= 10);
        assert!(shard.forgotten_before > Duration::ZERO);
    }
}
