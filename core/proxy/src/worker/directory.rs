//! Which worker has which server transaction, for servers with more than one worker.
//!
//! A request belongs to its transaction by branch, sent-by and method (RFC 3261 §17.2.3), whatever its source. A
//! retransmission may come from another port, such as after a NAT has dropped the old mapping, and the kernel then
//! gives it to another worker. So a worker claims each new request here before it handles it, and holds the claim while
//! it routes the request or has a transaction of it. A worker that does not know a request hands it over to the worker
//! that holds the claim. An INVITE that is handed over is claimed for its receiver at once.
//!
//! There are never more entries than requests being routed, INVITEs handed over, and transactions, which have limits of their own.

use std::hash::BuildHasherDefault;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use signalbox_sip::transaction::TransactionKey;

use crate::transactions::table::KeyHasher;

/// The number of parts. Each has its own lock, so that workers rarely wait for each other.
const SHARDS: usize = 256;

/// See the [module](self).
pub(super) struct Directory(Box<[Mutex<Shard>]>);

type Shard = HashMap<TransactionKey, u16, BuildHasherDefault<KeyHasher>>;

impl Directory {
    /// The directory of `workers` workers. For a single worker it stays empty.
    pub(super) fn new(workers: u16) -> Self {
        let shards = if workers > 1 { SHARDS } else { 0 };
        Self((0..shards).map(|_| Mutex::default()).collect())
    }

    /// The worker that holds the request of this key. If there is none, `worker` holds it from now on.
    pub(super) fn claim(&self, key: TransactionKey, worker: u16) -> u16 {
        self.shard(key).map_or(worker, |mut shard| *shard.entry(key).or_insert(worker))
    }

    /// The worker that holds the request of this key, if any.
    pub(super) fn find(&self, key: TransactionKey) -> Option<u16> {
        self.shard(key)?.get(&key).copied()
    }

    /// Ends the claim of `worker` to the request of this key.
    pub(super) fn release(&self, key: TransactionKey, worker: u16) {
        let Some(mut shard) = self.shard(key) else { return };
        if shard.get(&key) == Some(&worker) {
            shard.remove(&key);
        }
        if shard.is_empty() && shard.capacity() > 1024 {
            shard.shrink_to_fit();
        }
    }

    fn shard(&self, key: TransactionKey) -> Option<MutexGuard<'_, Shard>> {
        // The maps use the low bits.
        let part = usize::from((key.0 >> 112) as u16) % SHARDS;
        // A panic cannot leave a map half changed.
        self.0.get(part).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_worker_that_claims_a_request_holds_it_until_it_lets_go() {
        let (directory, key) = (Directory::new(3), TransactionKey(7));
        assert_eq!(directory.find(key), None);
        assert_eq!([directory.claim(key, 2), directory.claim(key, 1)], [2, 2]);
        directory.release(key, 1);
        assert_eq!(directory.find(key), Some(2), "another's claim is not let go");
        directory.release(key, 2);
        assert_eq!(directory.find(key), None);
    }

    #[test]
    fn a_worker_that_is_alone_keeps_no_directory() {
        let directory = Directory::new(1);
        assert_eq!(directory.claim(TransactionKey(7), 0), 0);
        assert_eq!(directory.find(TransactionKey(7)), None);
    }
}
