//! The deadline queue of a worker.
//!
//! Nearly all SIP deadlines are one of a dozen fixed durations from now (T1, 2·T1, 64·T1, T4 …). Deadlines of one
//! duration come due in the order in which they were set, so each duration has a lane, a plain queue, and both
//! setting and firing cost a push and a pop whatever the number of deadlines. There is no cancelling: what a fired
//! entry names is asked whether it still cares (a spurious timer is a no-op everywhere).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

/// Durations that get a lane of their own; rarer ones share a heap.
const MAX_LANES: usize = 32;

/// Entries of type `T` that come due one after another.
#[derive(Debug)]
pub struct Deadlines<T> {
    base: Instant,
    lanes: Vec<Lane<T>>,
    others: BinaryHeap<Reverse<Other<T>>>,
    serial: u64,
}

#[derive(Debug)]
struct Lane<T> {
    after: Duration,
    /// (nanoseconds since `base`, entry), in order.
    queue: VecDeque<(u64, T)>,
}

#[derive(Debug)]
struct Other<T> {
    at: u64,
    serial: u64,
    entry: T,
}

impl<T> Deadlines<T> {
    /// An empty queue. `base` is any instant not after the first `now`.
    pub fn new(base: Instant) -> Self {
        Self { base, lanes: Vec::new(), others: BinaryHeap::new(), serial: 0 }
    }

    /// Lets `entry` come due `after` from `now`. `now` never goes back from call to call.
    pub fn set(&mut self, now: Instant, after: Duration, entry: T) {
        let at = self.nanos(now).saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX));
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.after == after) {
            lane.queue.push_back((at, entry));
        } else if self.lanes.len() < MAX_LANES {
            self.lanes.push(Lane { after, queue: VecDeque::from([(at, entry)]) });
        } else {
            self.serial += 1;
            self.others.push(Reverse(Other { at, serial: self.serial, entry }));
        }
    }

    /// Takes one entry that is due at `now`.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        let now = self.nanos(now);
        let lane = self.lanes.iter_mut().filter(|lane| lane.queue.front().is_some_and(|(at, _)| *at <= now));
        let first = lane.min_by_key(|lane| lane.queue.front().map(|(at, _)| *at));
        let first_other = self.others.peek().map(|Reverse(other)| other.at).filter(|at| *at <= now);
        match (first, first_other) {
            (Some(lane), other) if other.is_none_or(|at| lane.queue.front().is_some_and(|(own, _)| *own <= at)) => {
                let entry = lane.queue.pop_front().map(|(_, entry)| entry);
                if lane.queue.len() * 4 < lane.queue.capacity() && lane.queue.capacity() > 4096 {
                    lane.queue.shrink_to(lane.queue.capacity() / 2);
                }
                entry
            }
            (_, Some(_)) => self.others.pop().map(|Reverse(other)| other.entry),
            _ => None,
        }
    }

    /// When the next entry comes due.
    pub fn next(&self) -> Option<Instant> {
        let lanes = self.lanes.iter().filter_map(|lane| lane.queue.front().map(|(at, _)| *at));
        let first = lanes.chain(self.others.peek().map(|Reverse(other)| other.at)).min()?;
        Some(self.base + Duration::from_nanos(first))
    }

    /// Entries waiting, stale ones included.
    pub fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.queue.len()).sum::<usize>() + self.others.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn nanos(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.base).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl<T> PartialEq for Other<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Other<T> {}

impl<T> PartialOrd for Other<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Other<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.serial).cmp(&(other.at, other.serial))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_due_in_order_of_their_deadline_across_lanes() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start);
        for n in 0..100u64 {
            // 40 distinct durations: more than there are lanes.
            let after = Duration::from_millis(7 * (n * 13 % 40) + 1);
            deadlines.set(
                start + Duration::from_millis(n),
                after,
                n * 1_000_000 + u64::from(after.subsec_millis()) + n,
            );
        }
        assert_eq!(deadlines.len(), 100);
        let mut last = None;
        while let Some(next) = deadlines.next() {
            assert!(deadlines.pop(next - Duration::from_nanos(1)).is_none(), "not due before its time");
            let entry = deadlines.pop(next).expect("due at the time that next() names");
            assert_eq!(start + Duration::from_millis(entry % 1_000_000), next);
            assert!(last.is_none_or(|last| last <= next));
            last = Some(next);
        }
        assert!(deadlines.is_empty());
    }
}
