//! A part of the map of a location service, under one lock; and the changes that come of it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashTable;
use signalbox::services::bindings::BindingChange;
use smallvec::SmallVec;

use crate::binding::Record;
use crate::undo::Undone;

/// Stale deadlines a shard may hold before they are swept out, beside one for each address of record.
pub(crate) const STALE_DEADLINES: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Shard {
    pub(crate) entries: HashTable<Entry>,
    /// Deadline and hash of the address of record. An entry is never later than its first expiry; it may be earlier, since a
    /// refresh leaves it where it is: a refresh costs the queue nothing.
    pub(crate) deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    /// What was taken back from under later changes.
    pub(crate) undone: Undone,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) hash: u64,
    pub(crate) aor: Box<str>,
    /// The deadline that counts for this entry; others with its hash are stale.
    pub(crate) queued: Instant,
    /// Never empty.
    pub(crate) records: Records,
}

/// One change of one binding.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) kind: BindingChange,
    pub(crate) before: Option<Arc<Record>>,
    pub(crate) after: Option<Arc<Record>>,
}

/// Changes of one address of record, nearly always one.
pub(crate) type Changes = SmallVec<[Change; 1]>;
/// Bindings of one address of record.
pub(crate) type Records = SmallVec<[Arc<Record>; 1]>;

impl Shard {
    /// The bindings of `aor` without those that have expired; these go to `changes`.
    pub(crate) fn valid(&self, hash: u64, aor: &str, now: Instant, changes: &mut Changes) -> Records {
        let Some(entry) = self.entries.find(hash, |entry| *entry.aor == *aor) else { return Records::new() };
        let mut records = entry.records.clone();
        records.retain(|record| {
            let valid = record.expires_at > now;
            if !valid {
                changes.push(Change::removed(BindingChange::Expired, record.clone()));
            }
            valid
        });
        records
    }

    /// Lets [`Self::expire`] look at the addresses of record with this hash at that time.
    pub(crate) fn queue(&mut self, at: Instant, hash: u64) {
        if self.deadlines.len() > 2 * self.entries.len() + STALE_DEADLINES {
            let mut queue = std::mem::take(&mut self.deadlines).into_vec();
            queue.retain(|Reverse((at, hash))| self.entries.find(*hash, |entry| entry.queued == *at).is_some());
            queue.sort_unstable();
            queue.dedup();
            self.deadlines = queue.into();
        }
        self.deadlines.push(Reverse((at, hash)));
    }

    /// Removes what has expired at `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(Box<str>, Changes)> {
        let mut expired = Vec::new();
        while let Some(Reverse((at, hash))) = self.deadlines.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.deadlines.pop();
            let Ok(mut found) = self.entries.find_entry(hash, |entry| entry.hash == hash && entry.queued == at) else {
                continue;
            };
            let entry = found.get_mut();
            let mut changes = Changes::new();
            entry.records.retain(|record| {
                let valid = record.expires_at > now;
                if !valid {
                    changes.push(Change::removed(BindingChange::Expired, record.clone()));
                }
                valid
            });
            match entry.records.iter().map(|record| record.expires_at).min() {
                Some(first) => {
                    entry.queued = first;
                    if !changes.is_empty() {
                        expired.push((entry.aor.clone(), changes));
                    }
                    self.deadlines.push(Reverse((first, hash)));
                }
                None => {
                    let (entry, _) = found.remove();
                    expired.push((entry.aor, changes));
                }
            }
        }
        expired
    }
}

impl Change {
    pub(crate) fn removed(kind: BindingChange, record: Arc<Record>) -> Self {
        Self { kind, before: Some(record), after: None }
    }

    /// The binding after the change, or as it last was.
    pub(crate) fn record(&self) -> Option<&Arc<Record>> {
        self.after.as_ref().or(self.before.as_ref())
    }
}
