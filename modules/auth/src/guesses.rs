//! Counts wrong passwords per account and source, and decides how long to wait before the next one.
//!
//! A wrong password counts for its account, for its source, and for the pair of both. The source is the address that
//! the nonce was sent to, so a forged source address counts against nobody else. A user that has proved the password is
//! remembered and does not wait because of others.
//!
//! The memory is limited: [`MAX_COUNTS`] counters in two generations, and [`PROVED`] places for proofs.

use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use signalbox_sip::digest::Origin;
use siphasher::sip::SipHasher13;

/// Most counters, about 4 MB. Beyond that the older half is forgotten.
const MAX_COUNTS: usize = 1 << 17;
/// Places for proofs, 8 octets each. A new proof takes the place of an older one.
const PROVED: usize = 1 << 16;
/// Wrong passwords are forgotten between one and two of these after the last one.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);
/// The first wait. Each wrong password after it doubles the wait.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const SHARDS: usize = 16;

/// How many wrong passwords cause no wait, and how long the wait can become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GuessLimits {
    /// From one source for one account.
    pub(crate) pair: u32,
    /// From one source for all accounts.
    pub(crate) source: u32,
    /// From all sources for one account. Beyond that each source may send one more, except sources that have proved the
    /// password, which are not limited.
    pub(crate) account: u32,
    pub(crate) longest_wait: Duration,
}

/// The counters.
pub(crate) struct Guesses {
    limits: GuessLimits,
    key: [u8; 16],
    /// Whether any wrong password was counted. Until then no look-up is needed.
    any: AtomicBool,
    shards: [Mutex<Shard>; SHARDS],
    /// Pairs of account and source, and of account and peer, that have proved the password.
    proved: Box<[AtomicU64]>,
}

/// The account whose password is tried, and the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    account: u64,
    source: u64,
    pair: u64,
    /// As `pair`, with the port: other users behind the same address are other peers.
    peer: u64,
}

#[derive(Default)]
struct Shard {
    current: HashMap<u64, Count>,
    previous: HashMap<u64, Count>,
    begun: Duration,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    failures: u32,
    /// No password is checked before this time, in milliseconds since 1970.
    until: u64,
}

impl Guesses {
    /// `key` prevents others from finding users that share a counter.
    pub(crate) fn new(limits: GuessLimits, key: [u8; 16]) -> Self {
        let proved = (0..PROVED).map(|_| AtomicU64::new(0)).collect();
        Self { limits, key, any: AtomicBool::new(false), shards: Default::default(), proved }
    }

    /// Accounts that do not exist are counted like those that do.
    pub(crate) fn attempt(&self, user: &str, realm: &str, origin: Origin) -> Attempt {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(realm.as_bytes());
        hasher.write_u8(0);
        hasher.write(user.as_bytes());
        let account = hasher.finish();
        let source = origin.network;
        Attempt {
            account,
            source,
            pair: mix(account, source),
            peer: mix(account, source ^ u64::from(origin.peer) << 16),
        }
    }

    /// How long to wait before this is tried; `None` for no wait.
    pub(crate) fn wait(&self, attempt: &Attempt, now: Duration) -> Option<Duration> {
        if !self.any.load(Ordering::Relaxed) || self.has_proved(attempt.peer) {
            return None;
        }
        let pair = self.until(attempt.pair, now);
        // Users that have proved the password from this address do not wait because of others behind it.
        let source = if self.has_proved(attempt.pair) { 0 } else { self.until(attempt.source, now) };
        let now = milliseconds(now);
        Some(pair.max(source)).filter(|until| *until > now).map(|until| Duration::from_millis(until - now))
    }

    /// Counts a wrong password.
    pub(crate) fn failed(&self, attempt: &Attempt, now: Duration) {
        self.any.store(true, Ordering::Relaxed);
        let GuessLimits { pair, source, account, .. } = self.limits;
        let of_account = self.count(attempt.account, now, |_| Duration::ZERO);
        let is_guessed = account > 0 && of_account > account && !self.has_proved(attempt.pair);
        self.count(attempt.pair, now, |failures| {
            if is_guessed { self.limits.longest_wait } else { self.back_off(failures, pair) }
        });
        self.count(attempt.source, now, |failures| self.back_off(failures, source));
    }

    /// The password was right: clears the wrong passwords of this account and source.
    pub(crate) fn succeeded(&self, attempt: &Attempt) {
        for proof in [attempt.pair, attempt.peer] {
            let place = self.place(proof);
            if place.load(Ordering::Relaxed) != proof {
                place.store(proof, Ordering::Relaxed);
            }
        }
        if self.any.load(Ordering::Relaxed) {
            let mut shard = self.shard(attempt.pair);
            shard.current.remove(&attempt.pair);
            shard.previous.remove(&attempt.pair);
        }
    }

    /// The wait after `failures` wrong passwords, of which the first ones cause none.
    fn back_off(&self, failures: u32, free: u32) -> Duration {
        match failures.checked_sub(free) {
            Some(over) if free > 0 => FIRST_WAIT.saturating_mul(1 << over.min(20)).min(self.limits.longest_wait),
            _ => Duration::ZERO,
        }
    }

    fn count(&self, key: u64, now: Duration, wait: impl FnOnce(u32) -> Duration) -> u32 {
        let mut shard = self.shard(key);
        shard.turn(now);
        let mut count = shard.find(key).unwrap_or_default();
        count.failures = count.failures.saturating_add(1);
        count.until = count.until.max(milliseconds(now + wait(count.failures)));
        shard.previous.remove(&key);
        shard.current.insert(key, count);
        count.failures
    }

    fn until(&self, key: u64, now: Duration) -> u64 {
        let mut shard = self.shard(key);
        shard.turn(now);
        shard.find(key).map_or(0, |count| count.until)
    }

    fn has_proved(&self, proof: u64) -> bool {
        self.place(proof).load(Ordering::Relaxed) == proof
    }

    fn place(&self, proof: u64) -> &AtomicU64 {
        &self.proved[proof as usize % PROVED]
    }

    fn shard(&self, key: u64) -> std::sync::MutexGuard<'_, Shard> {
        // A panic cannot leave a map half changed.
        self.shards[(key >> 56) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn find(&self, key: u64) -> Option<Count> {
        self.current.get(&key).or_else(|| self.previous.get(&key)).copied()
    }

    /// Begins a new generation when the current one is full or old.
    fn turn(&mut self, now: Duration) {
        let age = now.saturating_sub(self.begun);
        if age < FORGOTTEN_AFTER && self.current.len() < MAX_COUNTS / (2 * SHARDS) {
            return;
        }
        self.previous = std::mem::take(&mut self.current);
        if age >= FORGOTTEN_AFTER.saturating_mul(2) {
            self.previous.clear();
        }
        self.begun = now;
    }
}

/// Both are already keyed hashes.
fn mix(one: u64, other: u64) -> u64 {
    (one ^ other.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ other
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: &str = "example.com";
    const LIMITS: GuessLimits = GuessLimits { pair: 3, source: 10, account: 20, longest_wait: Duration::from_secs(60) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_700_000_000 + seconds)
    }

    fn guesses() -> Guesses {
        Guesses::new(LIMITS, [7; 16])
    }

    fn origin(address: u64, port: u32) -> Origin {
        Origin { network: (address + 1).wrapping_mul(0x2545_f491_4f6c_dd1d), peer: port.wrapping_mul(0x9e37_79b9) }
    }

    fn seconds(wait: Option<Duration>) -> u64 {
        wait.map_or(0, |wait| wait.as_secs())
    }

    #[test]
    fn the_wait_doubles_with_each_wrong_password_up_to_the_longest() {
        let guesses = guesses();
        let attempt = guesses.attempt("alice", REALM, origin(1, 5060));
        let mut waits = Vec::new();
        for _ in 0..10 {
            guesses.failed(&attempt, at(0));
            waits.push(seconds(guesses.wait(&attempt, at(0))));
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(guesses.wait(&attempt, at(60)), None, "the wait ends");
        guesses.failed(&attempt, at(60));
        assert_eq!(seconds(guesses.wait(&attempt, at(60))), 60, "and one wrong password more begins it again");
        assert_eq!(guesses.wait(&attempt, at(60 + 3 * 3600)), None);
        guesses.failed(&attempt, at(60 + 3 * 3600));
        assert_eq!(guesses.wait(&attempt, at(60 + 3 * 3600)), None, "forgotten");
    }

    #[test]
    fn a_user_at_another_source_does_not_wait() {
        let guesses = guesses();
        let attacker = guesses.attempt("alice", REALM, origin(1, 5060));
        (0..1000).for_each(|_| guesses.failed(&attacker, at(0)));
        let alice = guesses.attempt("alice", REALM, origin(2, 5060));
        assert_eq!(guesses.wait(&alice, at(0)), None);
        let elsewhere = guesses.attempt("alice", "example.org", origin(3, 5060));
        assert_eq!(guesses.wait(&elsewhere, at(0)), None);
    }

    #[test]
    fn many_accounts_from_one_source_have_to_wait_but_not_those_who_were_there() {
        let guesses = guesses();
        let neighbour = guesses.attempt("bob", REALM, origin(1, 4000));
        guesses.succeeded(&neighbour);
        for account in 0..10 {
            guesses.failed(&guesses.attempt(&format!("user{account}"), REALM, origin(1, 5060)), at(0));
        }
        assert_eq!(seconds(guesses.wait(&guesses.attempt("new", REALM, origin(1, 5060)), at(0))), 1);
        assert_eq!(guesses.wait(&neighbour, at(0)), None);
        assert_eq!(guesses.wait(&guesses.attempt("bob", REALM, origin(1, 4001)), at(0)), None, "from another port");
        assert_eq!(guesses.wait(&guesses.attempt("new", REALM, origin(2, 5060)), at(0)), None);
    }

    #[test]
    fn a_phone_that_proved_itself_does_not_wait_for_a_neighbour_who_guesses_its_password() {
        let guesses = guesses();
        let alice = guesses.attempt("alice", REALM, origin(1, 4000));
        guesses.succeeded(&alice);
        let neighbour = guesses.attempt("alice", REALM, origin(1, 6666));
        (0..10).for_each(|_| guesses.failed(&neighbour, at(0)));
        assert!(guesses.wait(&neighbour, at(0)).is_some());
        assert_eq!(guesses.wait(&alice, at(0)), None);
    }

    #[test]
    fn an_account_that_many_sources_guess_gives_each_one_try() {
        let guesses = guesses();
        for source in 0..21 {
            guesses.failed(&guesses.attempt("alice", REALM, origin(source, 5060)), at(0));
        }
        let fresh = guesses.attempt("alice", REALM, origin(100, 5060));
        assert_eq!(guesses.wait(&fresh, at(0)), None, "alice from a new place is let in at once");
        guesses.failed(&fresh, at(0));
        assert_eq!(seconds(guesses.wait(&fresh, at(0))), 60);
        let known = guesses.attempt("alice", REALM, origin(101, 5060));
        guesses.succeeded(&known);
        guesses.failed(&known, at(0));
        assert_eq!(guesses.wait(&known, at(0)), None);
    }

    #[test]
    fn the_right_password_ends_the_counting() {
        let guesses = guesses();
        let attempt = guesses.attempt("alice", REALM, origin(1, 5060));
        guesses.failed(&attempt, at(0));
        guesses.failed(&attempt, at(0));
        guesses.succeeded(&attempt);
        // From another port, which has not proved anything.
        let other = guesses.attempt("alice", REALM, origin(1, 5061));
        guesses.failed(&other, at(0));
        guesses.failed(&other, at(0));
        assert_eq!(guesses.wait(&other, at(0)), None);
    }

    #[test]
    fn a_limit_of_zero_is_none() {
        let none = GuessLimits { pair: 0, source: 0, account: 0, ..LIMITS };
        let guesses = Guesses::new(none, [7; 16]);
        let attempt = guesses.attempt("alice", REALM, origin(1, 5060));
        (0..100).for_each(|_| guesses.failed(&attempt, at(0)));
        assert_eq!(guesses.wait(&attempt, at(0)), None);
    }

    #[test]
    fn memory_is_bounded_however_many_are_counted() {
        let guesses = guesses();
        for source in 0..200_000 {
            guesses.failed(&guesses.attempt("alice", REALM, origin(source, 5060)), at(0));
        }
        let kept: usize = guesses
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap())
            .map(|shard| shard.current.len() + shard.previous.len())
            .sum();
        assert!((1000..=MAX_COUNTS).contains(&kept), "{kept}");
    }
}
