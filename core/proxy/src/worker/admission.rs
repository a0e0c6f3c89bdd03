//! How many requests may wait for their turn: as many as are likely to get it in time.
//!
//! What has waited for too long is refused, and by then it has cost memory and has made others wait. So a request is refused when it
//! comes in, if those before it will take too long. How long each takes is measured while others wait: the time from one turn to the
//! next, all that is done in it included, over the number of requests that had theirs. Then just the surplus is refused. To judge by how
//! long the first in the queue has waited, and by nothing else, would refuse everything for a while and then nothing.
//!
//! A burst is no overload: as long as nobody has waited for long, everybody may wait.

use std::time::{Duration, Instant};

/// Of `overload_delay`, how long requests may have to wait by this estimate: some take longer than others.
const SHARE: f64 = 0.75;
/// Of `overload_delay`, how long the first of the waiting must have waited before any other is refused.
const PATIENCE: f64 = 0.25;
/// How much of what was measured earlier counts on in each round. A round is less than a millisecond, so a tenth of a second is remembered.
const KEPT: f64 = 127.0 / 128.0;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Admission {
    limit: Duration,
    /// When this round began, if requests were waiting then.
    began: Option<Instant>,
    /// Requests that had their turn in this round.
    served: u32,
    /// Sums over the rounds, the older ones faded.
    seconds: f64,
    requests: f64,
    most: usize,
}

impl Admission {
    /// For requests that may wait for so long.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, began: None, served: 0, seconds: 0.0, requests: 0.0, most: usize::MAX }
    }

    /// A round begins, while so many requests wait.
    pub(super) fn begin_round(&mut self, now: Instant, waiting: usize) {
        if let Some(began) = self.began {
            // Where everything has stood still, that says nothing about requests.
            let took = now.saturating_duration_since(began).min(self.limit);
            self.seconds = self.seconds * KEPT + took.as_secs_f64();
            self.requests = self.requests * KEPT + f64::from(self.served);
            // A worker that has just begun is no measure.
            if self.seconds >= self.limit.as_secs_f64() && self.seconds > 0.0 {
                // A float beyond the range becomes the nearest number in it.
                self.most = (self.limit.as_secs_f64() * SHARE * self.requests / self.seconds) as usize;
            }
        }
        self.began = (waiting > 0).then_some(now);
        self.served = 0;
    }

    /// A request has its turn after so long. Those that come too late for it are refused, which takes no time and is no measure.
    pub(super) fn serve(&mut self, waited: Duration) {
        self.served += u32::from(waited <= self.limit);
    }

    /// Whether one more would have to wait for too long behind so many, the first of which has waited for so long.
    pub(super) fn is_full(&self, waiting: usize, first: Duration) -> bool {
        waiting >= self.most.max(1) && first >= self.limit.mul_f64(PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// After so many rounds of a millisecond in each of which so many requests had their turn, while some waited.
    fn after(rounds: u32, served: u32) -> (Admission, Instant) {
        let (mut admission, began) = (Admission::new(MILLISECOND * 40), Instant::now());
        for round in 0..rounds {
            admission.begin_round(began + MILLISECOND * round, 1);
            (0..served).for_each(|_| admission.serve(MILLISECOND));
        }
        let now = began + MILLISECOND * rounds;
        admission.begin_round(now, 1);
        (admission, now)
    }

    #[test]
    fn as_many_may_wait_as_get_their_turn_in_time() {
        let (admission, _) = after(50, 20);
        assert!(!admission.is_full(598, MILLISECOND * 30) && admission.is_full(601, MILLISECOND * 30));
        assert!(after(100, 0).0.is_full(1, MILLISECOND * 30) && !after(100, 0).0.is_full(0, MILLISECOND * 30));
    }

    #[test]
    fn a_burst_is_no_overload_and_neither_is_a_beginning() {
        let (admission, _) = after(50, 20);
        assert!(!admission.is_full(10_000, MILLISECOND * 9));
        let (admission, _) = after(39, 20);
        assert!(!admission.is_full(10_000, MILLISECOND * 30));
    }

    #[test]
    fn those_who_come_too_late_do_not_count() {
        let (mut admission, now) = after(50, 20);
        for round in 1..=1000 {
            (0..20).for_each(|n| admission.serve(MILLISECOND * (31 + n)));
            admission.begin_round(now + MILLISECOND * round, 1);
        }
        assert!(!admission.is_full(299, MILLISECOND * 30) && admission.is_full(302, MILLISECOND * 30));
    }

    #[test]
    fn requests_that_take_longer_than_before_are_fewer() {
        let (mut admission, now) = after(100, 20);
        for round in 1..=1000 {
            (0..5).for_each(|_| admission.serve(MILLISECOND));
            admission.begin_round(now + MILLISECOND * round, 1);
        }
        assert!(!admission.is_full(149, MILLISECOND * 30) && admission.is_full(152, MILLISECOND * 30));
    }

    #[test]
    fn a_worker_that_stood_still_or_had_nothing_to_do_is_not_slower() {
        let (mut admission, now) = after(1000, 20);
        admission.begin_round(now + MILLISECOND * 2000, 0);
        assert!(!admission.is_full(400, MILLISECOND * 30));
        admission.begin_round(now + MILLISECOND * 9000, 1);
        assert!(!admission.is_full(400, MILLISECOND * 30));
    }
}
