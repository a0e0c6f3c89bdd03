//! Handing new requests over to other workers.
//!
//! The kernel gives all datagrams of one address and port to one worker, so a single busy peer would keep one worker
//! busy and leave the others idle. If a worker has not rested for a while and another one has, it hands new requests
//! over by their Call-ID: a request, its retransmissions, its CANCEL and its ACK all go the same way.
//!
//! After that the transactions of handed-over requests stay with the other workers. The directory finds them, and also
//! the transaction of a retransmission from another port.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use signalbox_sip::message::Message;
use signalbox_sip::method::Method;
use signalbox_sip::transaction::TransactionKey;

use super::mailbox::Mail;
use super::{Worker, here};
use crate::transport::Flow;

/// A worker that is awake for so long without a rest has more to do than it can.
const SATURATED: Duration = Duration::from_millis(20);
/// A worker that has been saturated goes on to hand new requests over for so long, so that they do not go to and fro.
const HOLD: Duration = Duration::from_secs(5);
/// Requests handed over to one worker that may wait there, some tenths of a second of work.
const MAX_WAITING: usize = 16_384;
/// Octets that they may have.
const MAX_OCTETS: usize = 64 * 1024 * 1024;

/// Who is to handle a request of which nothing is known where it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiver {
    Here,
    /// Another worker.
    Elsewhere(u16),
    /// Another worker, which has no room for more.
    Full,
}

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
    octets: AtomicUsize,
}

/// The worker of this thread has nothing to do.
pub(super) fn falls_asleep() {
    set_awake_since(None);
}

/// The worker of this thread has something to do.
pub(super) fn wakes_up(now: Instant) {
    set_awake_since(Some(now));
}

fn set_awake_since(since: Option<Instant>) {
    if let Some(here) = here::worker() {
        here.workers().set_awake_since(here.index(), since);
    }
}

impl Load {
    pub(super) fn set_awake_since(&self, since: Option<Duration>) {
        let since = since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX).max(1));
        self.awake_since.store(since, Ordering::Relaxed);
    }

    fn add(&self, request: &Message) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.octets.fetch_add(request.octets(), Ordering::Relaxed);
    }

    fn remove(&self, request: &Message) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.octets.fetch_sub(request.octets(), Ordering::Relaxed);
    }

    fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < MAX_WAITING && self.octets.load(Ordering::Relaxed) < MAX_OCTETS
    }

    /// Both times after the common beginning.
    pub(super) fn is_saturated(&self, now: Duration) -> bool {
        let since = self.awake_since.load(Ordering::Relaxed);
        since != 0 && now.saturating_sub(Duration::from_micros(since)) > SATURATED
    }
}

impl Worker {
    /// Who handles a request of this Call-ID of which nothing is known here.
    pub(crate) fn receiver_of(&self, call_id: &str) -> Receiver {
        let workers = self.workers();
        if workers.count() == 1 {
            return Receiver::Here;
        }
        let (now, handover) = (self.now(), self.handover());
        if workers.should_hand_over(self.index(), now) {
            handover.until.set(Some(now + HOLD));
        }
        if handover.until.get().is_none_or(|until| now >= until) {
            return Receiver::Here;
        }
        let receiver = workers.by_call_id(call_id);
        if receiver == self.index() {
            return Receiver::Here;
        }
        if !workers.load(receiver).is_some_and(Load::has_room) {
            return Receiver::Full;
        }
        Receiver::Elsewhere(receiver)
    }

    /// The other worker that has the transaction of a request which this worker does not know. If there is none, this
    /// worker claims the request, unless it is an ACK. `invite` is the key of the INVITE of a CANCEL, which the CANCEL
    /// follows.
    pub(crate) fn holder(&self, is_ack: bool, key: TransactionKey, invite: Option<TransactionKey>) -> Option<u16> {
        let directory = self.workers().directory();
        let holder = match invite.and_then(|invite| directory.find(invite)) {
            Some(worker) => worker,
            None if is_ack => directory.find(key)?,
            None => directory.claim(key, self.index()),
        };
        (holder != self.index()).then_some(holder)
    }

    /// Whether any worker has the request of this key.
    pub(crate) fn is_held(&self, key: TransactionKey) -> bool {
        self.workers().directory().find(key).is_some()
    }

    /// Whether this worker has the request of this key.
    pub(crate) fn holds(&self, key: TransactionKey) -> bool {
        self.workers().directory().find(key) == Some(self.index())
    }

    /// Ends this worker's claim to the request of this key.
    pub(crate) fn release(&self, key: TransactionKey) {
        self.workers().directory().release(key, self.index());
    }

    /// Hands a request over to another worker when this batch ends.
    pub(crate) fn hand_request_over(&self, receiver: u16, request: Message, source: Flow) {
        if !self.workers().load(receiver).is_some_and(Load::has_room) {
            // The request is dropped, as by a full socket. Its sender retransmits it.
            return self.counters().overload_dropped.increment();
        }
        // Its CANCEL may arrive at any worker while the INVITE waits, and must find it (§9.2). A caller that waits for
        // a provisional response first (§9.1) is not that fast, but not all callers wait. Nothing else follows a
        // request so soon.
        if *request.method() == Method::Invite
            && let Ok(key) = self.transaction_keys().of_request(&request)
        {
            self.workers().directory().claim(key, receiver);
        }
        // A request from a connection begins to wait only now.
        let since = self.waited_since().get().or_else(|| Some(self.now()));
        self.counters().requests_handed_over.increment();
        self.queue_handed(receiver, Handed { request, source, since });
    }

    fn queue_handed(&self, receiver: u16, handed: Handed) {
        if let Some(load) = self.workers().load(receiver) {
            load.add(&handed.request);
        }
        self.handover().ready.borrow_mut().push((receiver, handed));
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

    /// Handles requests that came in at another worker, or that this one gets back.
    pub(super) fn receive_handed_over(&self, requests: Vec<Handed>) {
        for handed in requests {
            if let Some(load) = self.workers().load(self.index()) {
                load.remove(&handed.request);
            }
            self.set_waited_since(handed.since);
            self.guarded(|worker| worker.receive_request_here(handed.request, handed.source));
        }
        self.set_waited_since(None);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::clock::Clock;
    use crate::functions;
    use crate::module::Host;
    use crate::module::export::Exports;
    use crate::script::{Limits, ScriptEngine, ScriptSource};
    use crate::transport::network::Outbox;
    use crate::transport::{Network, Protocol};
    use crate::worker::Workers;
    use crate::worker::state::{Parts, Secrets};

    /// Two workers, of which the first has too much to do at the beginning. Each answers what it routes.
    struct Pair {
        clock: Clock,
        workers: [Worker; 2],
        _runtime: tokio::runtime::Runtime,
    }

    impl Pair {
        fn new() -> Self {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (host, clock) = (Host::new(runtime.handle().clone()), Clock::manual(SystemTime::UNIX_EPOCH));
            let mailboxes = Workers::new(2);
            mailboxes.set_awake_since(0, Some(clock.now()));
            clock.advance(SATURATED * 2);
            let workers = [0, 1].map(|index| {
                let worker = Worker::new(Parts {
                    index,
                    options: Arc::default(),
                    host: host.clone(),
                    clock: clock.clone(),
                    workers: mailboxes.clone(),
                    network: Network::Virtual(Outbox::default()),
                    secrets: Secrets::seeded(1),
                });
                let script = ScriptSource::new("r.lua", "function route(msg) t_reply(200, 'OK') end");
                let exports = Exports { functions: functions::exports(), events: Vec::new() };
                let engine = ScriptEngine::new(&script, &exports, Limits::default(), &host.counter("panics"));
                worker.set_engine(Rc::new(engine.unwrap()));
                worker
            });
            Self { clock, workers, _runtime: runtime }
        }

        /// The first worker rests, and time passes.
        fn rest(&self, time: Duration) {
            self.workers[0].workers().set_awake_since(0, None);
            self.clock.advance(time);
        }

        /// A request of the second worker's comes in at the first, and goes where it goes.
        fn receive(&self, method: &str, call: &str, protocol: Protocol) {
            self.come_in(method, call, protocol);
            // There, back, and nowhere else.
            for worker in [1, 0, 1] {
                self.workers[worker].take_mail();
                self.workers[worker].end_of_batch();
            }
        }

        fn come_in(&self, method: &str, call: &str, protocol: Protocol) {
            let mailboxes = self.workers[0].workers();
            let call = (0..).map(|n| format!("{call}{n}")).find(|call| mailboxes.by_call_id(call) == 1).unwrap();
            let text = format!(
                "{method} sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{call}\r\nMax-Forwards: 70\r\n\
                 From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\r\n"
            );
            let (local, remote) = (([192, 0, 2, 9], 5060).into(), ([192, 0, 2, 1], 5060).into());
            let flow = Flow { protocol, local, remote, connection: None };
            self.workers[0].receive_message(Message::parse(text.as_bytes()).unwrap(), flow);
            self.workers[0].end_of_batch();
        }

        /// Server transactions of each worker, and repetitions that met theirs.
        fn transactions(&self) -> ([usize; 2], u64) {
            let [first, second] = &self.workers;
            let repeated = first.counters().repeated_requests.value();
            ([first.transactions().0, second.transactions().0], repeated)
        }
    }

    #[test]
    fn what_comes_again_meets_its_transaction_also_when_no_more_is_handed_over() {
        let pair = Pair::new();
        pair.receive("OPTIONS", "a", Protocol::Udp);
        assert_eq!(pair.transactions(), ([0, 1], 0));
        pair.rest(Duration::ZERO);
        pair.receive("OPTIONS", "b", Protocol::Udp);
        assert_eq!(pair.transactions(), ([0, 2], 0), "it goes on for a while");
        pair.rest(HOLD);
        pair.receive("OPTIONS", "a", Protocol::Udp);
        assert_eq!(pair.transactions(), ([0, 2], 1));
        pair.receive("OPTIONS", "c", Protocol::Udp);
        pair.receive("OPTIONS", "c", Protocol::Udp);
        assert_eq!(pair.transactions(), ([1, 2], 2), "what is new is served where it came in");
    }

    #[test]
    fn requests_stay_where_they_came_in_when_their_transaction_elsewhere_is_over() {
        let pair = Pair::new();
        pair.receive("OPTIONS", "a", Protocol::Udp);
        let (timers, handed_over) = (pair.workers[0].timers(), &pair.workers[0].counters().requests_handed_over);
        pair.rest(timers.lifetime());
        while !pair.workers[1].fire_timers(100) {}
        pair.receive("OPTIONS", "a", Protocol::Udp);
        assert_eq!((handed_over.value(), pair.transactions().0), (1, [1, 0]));
    }

    #[test]
    fn there_is_room_for_so_many_requests_and_so_many_octets() {
        let mut request = Message::request(&Method::Message, "sip:a@b");
        let load = Load::default();
        (0..MAX_WAITING).for_each(|_| load.add(&request));
        assert!(!load.has_room());
        load.remove(&request);
        assert!(load.has_room());
        let load = Load::default();
        request.set_body(None, vec![b'x'; MAX_OCTETS].into());
        load.add(&request);
        assert!(!load.has_room());
        load.remove(&request);
        assert!(load.has_room());
    }

    #[test]
    fn a_worker_without_room_gets_nothing_and_what_will_come_again_waits_for_that() {
        let pair = Pair::new();
        let load = pair.workers[0].workers().load(1).unwrap();
        load.waiting.store(MAX_WAITING, Ordering::Relaxed);
        pair.receive("OPTIONS", "a", Protocol::Udp);
        assert_eq!(pair.transactions(), ([0, 0], 0));
        assert_eq!(pair.workers[0].counters().overload_dropped.value(), 1);
        pair.receive("OPTIONS", "b", Protocol::Tcp);
        let answered = pair.workers[0].counters().responses_sent.value();
        assert_eq!(answered, 1, "over a connection nothing comes again");
    }

    #[test]
    fn a_request_that_came_over_a_connection_is_refused_after_waiting_elsewhere_for_too_long() {
        let pair = Pair::new();
        pair.come_in("OPTIONS", "a", Protocol::Tcp);
        pair.clock.advance(pair.workers[1].options().overload_delay * 2);
        pair.workers[1].take_mail();
        assert_eq!(pair.workers[1].counters().overload_refused.value(), 1);
    }

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
