//! The queue of one socket: who has the next turn, and who has none.
//!
//! Responses come before requests, for they end what has been begun: with them behind the requests each transaction would live longer by
//! twice the wait. Requests keep their order among each other.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hashbrown::{DefaultHashBuilder, HashMap};

use super::admission::Admission;

/// Datagrams that may wait in one worker; what comes on top stays in the kernel.
const MAX_WAITING: usize = 65_536;
/// Octets that may wait.
const MAX_OCTETS: usize = 64 * 1024 * 1024;
/// Buffers kept for the next datagrams.
const MAX_SPARE: usize = 1024;
/// Responses that may have their turn one after another while requests wait: more come only from strangers.
const MAX_IN_A_ROW: u32 = 15;

/// Datagrams of one round whose surplus requests are answered. So many at once have come in a pause of some milliseconds, and there may be
/// thousands more: while all requests among those were refused the kernel's buffer would run over, and lose responses too, so that
/// what has been begun would be done again.
const MAX_ANSWERED: usize = 512;

/// What becomes of a request that would have to wait for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surplus {
    Refused,
    /// Its sender repeats it.
    Dropped,
}

/// A datagram and when it was taken out of the kernel.
pub(super) struct Datagram {
    pub(super) since: Instant,
    pub(super) remote: SocketAddr,
    pub(super) octets: Vec<u8>,
}

/// See the [module](self).
pub(super) struct Waiting {
    responses: VecDeque<Datagram>,
    requests: VecDeque<Datagram>,
    octets: usize,
    /// Datagrams of this round so far.
    taken: usize,
    spare: Vec<Vec<u8>>,
    /// Responses that have had their turn since the last request.
    in_a_row: u32,
    admission: Admission,
    /// What waits, from the first refusal until no request waits any more.
    known: Option<Known>,
}

impl Waiting {
    /// For requests that may wait for so long.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            responses: VecDeque::new(),
            requests: VecDeque::new(),
            octets: 0,
            taken: 0,
            spare: Vec::new(),
            in_a_row: 0,
            admission: Admission::new(limit),
            known: None,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.responses.len() + self.requests.len() >= MAX_WAITING || self.octets >= MAX_OCTETS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.responses.is_empty() && self.requests.is_empty()
    }

    /// Some datagrams are going to be put in and some taken out.
    pub(super) fn begin_round(&mut self, now: Instant) {
        self.admission.begin_round(now, self.requests.len());
        self.taken = 0;
        if self.requests.is_empty() {
            self.known = None;
        }
    }

    /// A datagram waits from now on, unless it would have to wait for too long and can be turned away: `turn_away` says whether it has been.
    pub(super) fn put(
        &mut self,
        octets: &[u8],
        remote: SocketAddr,
        now: Instant,
        turn_away: impl FnOnce(Surplus) -> bool,
    ) {
        self.taken += 1;
        let is_response = octets.starts_with(b"SIP/2.0 ");
        let first = self.requests.front().map_or(Duration::ZERO, |first| now.saturating_duration_since(first.since));
        if !is_response && self.admission.is_full(self.requests.len(), first) {
            let surplus = if self.taken <= MAX_ANSWERED { Surplus::Refused } else { Surplus::Dropped };
            let Self { known, requests, .. } = &mut *self;
            let known = known.get_or_insert_with(|| Known::of(requests));
            // What comes twice, and waits, shares the fate of the first.
            if !known.has(remote, octets) && turn_away(surplus) {
                return;
            }
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(octets);
        self.octets += octets.len();
        let datagram = Datagram { since: now, remote, octets: buffer };
        if is_response {
            self.responses.push_back(datagram);
        } else {
            self.known.iter_mut().for_each(|known| known.add(&datagram));
            self.requests.push_back(datagram);
        }
    }

    /// Whose turn it is.
    pub(super) fn next(&mut self, now: Instant) -> Option<Datagram> {
        let is_requests_turn = self.in_a_row >= MAX_IN_A_ROW && !self.requests.is_empty();
        let response = if is_requests_turn { None } else { self.responses.pop_front() };
        let datagram = match response {
            Some(response) => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                response
            }
            None => {
                let request = self.requests.pop_front()?;
                self.in_a_row = 0;
                self.admission.serve(now.saturating_duration_since(request.since));
                self.known.iter_mut().for_each(|known| known.remove(&request));
                request
            }
        };
        self.octets -= datagram.octets.len();
        Some(datagram)
    }

    /// Takes the buffer of a datagram back.
    pub(super) fn recycle(&mut self, datagram: Datagram) {
        if self.spare.len() < MAX_SPARE && datagram.octets.capacity() <= 4096 {
            self.spare.push(datagram.octets);
        }
    }
}

/// Digests of the requests that wait, and how often each does.
#[derive(Default)]
struct Known {
    counts: HashMap<u64, u32>,
    hasher: DefaultHashBuilder,
}

impl Known {
    fn of(requests: &VecDeque<Datagram>) -> Self {
        let mut known = Self::default();
        requests.iter().for_each(|request| known.add(request));
        known
    }

    fn has(&self, remote: SocketAddr, octets: &[u8]) -> bool {
        self.counts.contains_key(&self.digest(remote, octets))
    }

    fn add(&mut self, request: &Datagram) {
        *self.counts.entry(self.digest(request.remote, &request.octets)).or_default() += 1;
    }

    fn remove(&mut self, request: &Datagram) {
        let digest = self.digest(request.remote, &request.octets);
        if let Some(count) = self.counts.get_mut(&digest) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&digest);
            }
        }
    }

    fn digest(&self, remote: SocketAddr, octets: &[u8]) -> u64 {
        self.hasher.hash_one((remote, octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(40);

    /// What waits, and a clock.
    struct Queue {
        waiting: Waiting,
        now: Instant,
    }

    impl Queue {
        fn new() -> Self {
            Self { waiting: Waiting::new(LIMIT), now: Instant::now() }
        }

        /// One in which just two requests may wait by what was measured.
        fn slow() -> Self {
            let mut queue = Self::new();
            for _ in 0..100 {
                queue.put(&["x"]);
                queue.waiting.begin_round(queue.now);
                queue.waiting.next(queue.now);
                queue.now += LIMIT / 8;
            }
            queue.waiting.begin_round(queue.now);
            queue
        }

        /// Puts them in one after another and gives those that were refused.
        fn put<'a>(&mut self, texts: &[&'a str]) -> Vec<&'a str> {
            let mut refused = Vec::new();
            for text in texts {
                self.waiting.put(text.as_bytes(), remote(), self.now, |_| {
                    refused.push(*text);
                    true
                });
                self.now += LIMIT / 4;
            }
            refused
        }

        fn take(&mut self, count: usize) -> Vec<String> {
            let next = |_| self.waiting.next(self.now).map(|datagram| String::from_utf8(datagram.octets).unwrap());
            (0..count).map_while(next).collect()
        }
    }

    fn remote() -> SocketAddr {
        ([192, 0, 2, 1], 5060).into()
    }

    #[test]
    fn responses_come_first_and_each_kind_keeps_its_order() {
        let mut queue = Queue::new();
        queue.put(&["A", "SIP/2.0 200 a", "B", "SIP/2.0 200 b", "C"]);
        assert_eq!(queue.take(9), ["SIP/2.0 200 a", "SIP/2.0 200 b", "A", "B", "C"]);
        assert!(queue.waiting.is_empty() && queue.waiting.octets == 0);
    }

    #[test]
    fn a_flood_of_responses_does_not_keep_requests_from_their_turn() {
        let mut queue = Queue::new();
        queue.put(&["SIP/2.0 200 a"; 100]);
        queue.put(&["A"]);
        assert_eq!(queue.take(101).iter().position(|text| text == "A"), Some(15));
    }

    #[test]
    fn what_would_wait_for_too_long_is_refused_but_not_responses() {
        let mut queue = Queue::slow();
        assert_eq!(queue.put(&["A", "SIP/2.0 200 a", "B", "C", "SIP/2.0 200 b", "D"]), ["C", "D"]);
        assert_eq!(queue.take(9), ["SIP/2.0 200 a", "SIP/2.0 200 b", "A", "B"]);
        assert!(queue.put(&["E", "F"]).is_empty());
    }

    #[test]
    fn of_a_flood_that_comes_at_once_only_the_first_are_answered() {
        let mut queue = Queue::slow();
        queue.put(&["A", "B"]);
        let mut turned_away = Vec::new();
        let mut put = |waiting: &mut Waiting| {
            waiting.put(b"C", remote(), queue.now, |surplus| {
                turned_away.push(surplus);
                true
            });
        };
        (0..600).for_each(|_| put(&mut queue.waiting));
        queue.waiting.begin_round(queue.now);
        put(&mut queue.waiting);
        let answered = MAX_ANSWERED - 2;
        assert!(turned_away[..answered].iter().all(|surplus| *surplus == Surplus::Refused));
        assert!(turned_away[answered..600].iter().all(|surplus| *surplus == Surplus::Dropped));
        assert_eq!(turned_away[600], Surplus::Refused, "another round");
    }

    #[test]
    fn what_cannot_be_refused_waits_behind_the_others() {
        let mut queue = Queue::slow();
        queue.put(&["A", "B"]);
        queue.waiting.put(b"ACK", remote(), queue.now, |_| false);
        assert_eq!(queue.take(9), ["A", "B", "ACK"]);
    }

    #[test]
    fn a_copy_of_a_request_that_waits_is_not_refused_before_that_has_had_its_turn() {
        let mut queue = Queue::slow();
        assert_eq!(queue.put(&["A", "B", "C", "A"]), ["C"]);
        assert_eq!(queue.take(1), ["A"]);
        assert_eq!(queue.put(&["A", "B", "C"]), ["C"], "another one still waits");
        assert_eq!(queue.take(3), ["B", "A", "A"]);
        assert_eq!(queue.put(&["D", "A", "B"]), ["A"]);
        assert_eq!(queue.take(9), ["B", "D", "B"]);
        queue.waiting.begin_round(queue.now);
        assert!(queue.waiting.known.is_none());
    }
}
