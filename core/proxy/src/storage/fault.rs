//! A crash or an outage on request, for tests of what survives.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Given at [`Storage::with`](super::Storage::with): decides about each write whether the database still lives.
///
/// With a fault, each write is committed by itself and in order, so that "after the n-th write" means the same in each run.
#[derive(Debug)]
pub struct Fault {
    /// How many writes are committed before the crash.
    limit: u64,
    /// Whether whoever made the last of them still learns of it.
    confirm_last: bool,
    committed: AtomicU64,
    crashed: AtomicBool,
    outage: AtomicBool,
}

/// What is to happen to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Commit,
    /// The process dies between the commit and the confirmation.
    CommitSilently,
    /// The process is dead: nothing is written, nobody hears anything.
    Crash,
    /// The database does not answer.
    Outage,
}

impl Fault {
    /// No crash; for [`set_outage`](Self::set_outage) and for counting writes.
    pub fn none() -> Self {
        Self::crash_after(u64::MAX)
    }

    /// `writes` writes are committed and confirmed; of all later ones nothing is stored and their futures are never ready.
    pub fn crash_after(writes: u64) -> Self {
        Self {
            limit: writes,
            confirm_last: true,
            committed: AtomicU64::new(0),
            crashed: AtomicBool::new(writes == 0),
            outage: AtomicBool::new(false),
        }
    }

    /// As [`crash_after`](Self::crash_after), but the last of the writes is not confirmed either.
    pub fn crash_before_confirming(writes: u64) -> Self {
        Self { confirm_last: false, ..Self::crash_after(writes) }
    }

    /// Makes the database unreachable for reads and writes, or reachable again.
    pub fn set_outage(&self, outage: bool) {
        self.outage.store(outage, Ordering::SeqCst);
    }

    /// Whether the crash has come.
    pub fn crashed(&self) -> bool {
        self.crashed.load(Ordering::SeqCst)
    }

    /// Writes committed so far.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::SeqCst)
    }

    pub(super) fn outage(&self) -> bool {
        self.outage.load(Ordering::SeqCst)
    }

    /// Asked by the writer before each write.
    pub(super) fn fate(&self) -> Fate {
        if self.crashed() {
            Fate::Crash
        } else if self.outage() {
            Fate::Outage
        } else if self.committed() + 1 == self.limit && !self.confirm_last {
            Fate::CommitSilently
        } else {
            Fate::Commit
        }
    }

    /// Told by the writer after each commit.
    pub(super) fn count(&self) {
        if self.committed.fetch_add(1, Ordering::SeqCst) + 1 >= self.limit {
            self.crashed.store(true, Ordering::SeqCst);
        }
    }
}
