//! Handing new requests over to other workers.
//!
//! The kernel gives all that comes from one address and port to one worker, so a single busy peer would have one worker do all the work. A
//! worker that has not come to rest for a while, when another one has, hands the requests that nothing is known of here over, by their
//! Call-ID: a request, its repetitions, its CANCEL and its ACK all go the same way. That goes on until no transaction is left for
//! which it matters.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use signalbox_sip::message::Message;

use super::Worker;
use super::mailbox::{Mail, Workers};
use crate::transport::Flow;

/// A worker that is awake for so long without a rest has more to do than it can.
const SATURATED: Duration = Duration::from_millis(20);
/// Requests handed over to one worker that may wait there. What comes on top stays where it came in, and is refused there if it has waited
/// for too long.
const MAX_WAITING: usize = 16_384;

/// A request that came in at another worker.
pub(crate) struct Handed {
    request: Message,
    source: Flow,
    /// Since when it has waited, see [`Worker::set_waited_since`].
    since: Option<Instant>,
}

/// What one worker hands over.
#[derive(Default)]
pub(super) struct Handover {
    /// New requests are handed over until then.
    until: Cell<Option<Instant>>,
    /// Those of the present batch, with the worker that each goes to.
    ready: RefCell<Vec<(u16, Handed)>>,
}

/// How busy a worker is, as the others see it.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Since when it is awake, in microseconds after a common beginning; 0 while it rests.
    awake_since: AtomicU64,
    /// Requests handed over to it that it has not handled yet.
    waiting: AtomicUsize,
}

thread_local! {
    /// The worker whose thread this is, and where its load is.
    static HERE: OnceCell<(Workers, u16)> = const { OnceCell::new() };
}

/// This thread is that of a worker from now on.
pub(super) fn enter(worker: &Worker) {
    HERE.with(|here| {
        // A thread has one worker for its life.
        let _ = here.set((worker.workers().clone(), worker.index()));
    });
}

/// The worker of this thread has nothing to do.
pub(super) fn falls_asleep() {
    HERE.with(|here| {
        if let Some((workers, index)) = here.get() {
            workers.set_awake_since(*index, None);
        }
    });
}

/// The worker of this thread has something to do.
pub(super) fn wakes_up() {
    HERE.with(|here| {
        if let Some((workers, index)) = here.get() {
            workers.set_awake_since(*index, Some(Instant::now()));
        }
    });
}

impl Load {
    pub(super) fn set_awake_since(&self, since: Option<Duration>) {
        let since = since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX).max(1));
        self.awake_since.store(since, Ordering::Relaxed);
    }

    /// Both times after the common beginning.
    pub(super) fn is_saturated(&self, now: Duration) -> bool {
        let since = self.awake_since.load(Ordering::Relaxed);
        since != 0 && now.saturating_sub(Duration::from_micros(since)) > SATURATED
    }
}

impl Worker {
    /// The worker that a request is to be handed over to, of which nothing is known here.
    pub(crate) fn elsewhere(&self, request: &Message) -> Option<u16> {
        let (workers, handover) = (self.workers(), self.handover());
        if workers.count() == 1 {
            return None;
        }
        let now = self.now();
        if workers.should_hand_over(self.index(), now) {
            let timers = self.timers();
            // Repetitions come for 64·T1, and a CANCEL as long as an INVITE may be under way.
            handover.until.set(Some(now + timers.c + timers.lifetime()));
        }
        handover.until.get().filter(|until| *until > now)?;
        let receiver = workers.by_call_id(request.call_id());
        (receiver != self.index() && workers.load(receiver)?.waiting.load(Ordering::Relaxed) < MAX_WAITING)
            .then_some(receiver)
    }

    /// Hands a request over to another worker when this batch ends.
    pub(crate) fn hand_request_over(&self, receiver: u16, request: Message, source: Flow) {
        let since = self.waited_since().get();
        self.counters().requests_handed_over.increment();
        if let Some(load) = self.workers().load(receiver) {
            load.waiting.fetch_add(1, Ordering::Relaxed);
        }
        self.handover().ready.borrow_mut().push((receiver, Handed { request, source, since }));
    }

    /// The batch is over: what is to be handed over goes to its receivers, one piece of mail to each.
    pub(super) fn post_handed_over(&self) {
        let mut ready = self.handover().ready.borrow_mut();
        if ready.is_empty() {
            return;
        }
        for receiver in 0..self.workers().count() {
            let requests: Vec<Handed> =
                ready.extract_if(.., |(to, _)| *to == receiver).map(|(_, request)| request).collect();
            if !requests.is_empty() {
                self.workers().post_to(receiver, Mail::Requests(requests));
            }
        }
    }

    /// Handles requests that came in at another worker.
    pub(super) fn receive_handed_over(&self, requests: Vec<Handed>) {
        for Handed { request, source, since } in requests {
            if let Some(load) = self.workers().load(self.index()) {
                load.waiting.fetch_sub(1, Ordering::Relaxed);
            }
            self.set_waited_since(since);
            self.guarded(|worker| worker.receive_request(request, source));
        }
        self.set_waited_since(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_worker_is_saturated_when_it_has_not_rested_for_a_while() {
        let load = Load::default();
        assert!(!load.is_saturated(SECOND));
        load.set_awake_since(Some(SECOND));
        assert!(!load.is_saturated(SECOND + SATURATED));
        assert!(load.is_saturated(SECOND + SATURATED * 2));
        load.set_awake_since(None);
        assert!(!load.is_saturated(SECOND * 2));
    }

    #[test]
    fn requests_are_handed_over_only_by_who_has_too_much_to_one_who_has_not() {
        let workers = Workers::new(3);
        let (began, later) = (Instant::now(), Instant::now() + SATURATED * 3);
        assert!(!workers.should_hand_over(0, later));
        workers.set_awake_since(0, Some(began + SATURATED));
        assert!(workers.should_hand_over(0, later));
        assert!(!workers.should_hand_over(1, later));
        workers.set_awake_since(1, Some(began + SATURATED));
        assert!(workers.should_hand_over(0, later));
        workers.set_awake_since(2, Some(began + SATURATED));
        assert!(!workers.should_hand_over(0, later), "the others have enough to do");
    }

    #[test]
    fn one_call_goes_to_one_worker() {
        let workers = Workers::new(4);
        let receivers: Vec<u16> = (0..100).map(|n| workers.by_call_id(&format!("call {n}"))).collect();
        assert!((0..4).all(|worker| receivers.contains(&worker)), "{receivers:?}");
        assert!((0..100).all(|n| workers.by_call_id(&format!("call {n}")) == receivers[n]));
    }
}
