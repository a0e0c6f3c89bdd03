//! The worker itself.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use signalbox_sip::header::Via;
use signalbox_sip::lex;
use signalbox_sip::message::Message;
use signalbox_sip::transaction::{Timers, TransactionKey, TransactionKeys};
use tokio::sync::Notify;

use super::handover::Handover;
use super::{Counters, Options, Workers};
use crate::clock::Clock;
use crate::context::Routing;
use crate::error::Error;
use crate::forward;
use crate::module::Host;
use crate::route_token::RouteKeys;
use crate::script::ScriptEngine;
use crate::timers::Deadlines;
use crate::transactions::branch::Passage;
use crate::transactions::conclusions::Conclusions;
use crate::transactions::table::{Due, Table};
use crate::transport::packet::Packet;
use crate::transport::{Listener, Network};

/// Octets of the requests that one worker holds until each has its final response. A request that nobody answers is held for
/// 32 seconds (timer F), a ringing INVITE until timer C fires.
pub const MAX_HELD: usize = 64 * 1024 * 1024;
/// A request of at most this many octets is accepted even then.
const SMALL_REQUEST: usize = 4096;

/// A handle to everything that lives on one worker's thread. Clones are the same worker.
#[derive(Clone)]
pub struct Worker(Rc<Inner>);

/// A handle that does not keep the worker.
#[derive(Clone)]
pub struct WeakWorker(Weak<Inner>);

/// What a worker is made of.
pub struct Parts {
    pub index: u16,
    pub options: Arc<Options>,
    pub host: Host,
    pub clock: Clock,
    pub workers: Workers,
    pub network: Network,
    pub secrets: Secrets,
}

/// Keys of a server's digests and identifiers. Those of one server are shared by its workers, so that each knows the
/// others' tags and branches again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secrets {
    pub transaction: (u64, u64),
    pub branch: (u64, u64),
    pub tag: (u64, u64),
    /// The key of the Record-Route token, unless the settings name one.
    pub route: (u64, u64),
}

struct Inner {
    index: u16,
    options: Arc<Options>,
    host: Host,
    clock: Clock,
    workers: Workers,
    network: Network,
    secrets: Secrets,
    counters: Counters,
    keys: TransactionKeys,
    route_keys: RouteKeys,
    tokens: Cell<u64>,
    table: RefCell<Table>,
    conclusions: Conclusions,
    deadlines: RefCell<Deadlines<Due>>,
    /// When the timer task is going to wake up; it is told of earlier deadlines.
    armed: Cell<Option<Instant>>,
    earlier_deadline: Notify,
    scratch: RefCell<Packet>,
    engine: RefCell<Option<Rc<ScriptEngine>>>,
    /// A reloaded script that takes over once all workers have one.
    prepared: RefCell<Option<Rc<ScriptEngine>>>,
    /// `host:port` of each listener as others are told it, in the order of the listeners.
    sent_by: Vec<String>,
    /// What the clock said when the batch of events that is being handled began.
    batch_began: Cell<Option<Instant>>,
    /// Whether a task is going to end the batch.
    batch_ends: Cell<bool>,
    pub(super) waited_since: Cell<Option<Instant>>,
    pub(super) draining: Cell<bool>,
    /// Octets of requests that are being routed or wait for a final response.
    held: Cell<usize>,
    handover: Handover,
}

impl Worker {
    pub fn new(parts: Parts) -> Self {
        let Parts { index, options, host, clock, workers, network, secrets } = parts;
        let counters = Counters::of(&host);
        let sent_by = options.listeners.iter().map(Listener::sent_by).collect();
        let deadlines = RefCell::new(Deadlines::new(clock.now()));
        let route_keys =
            RouteKeys { own: options.route_keys.own.or(Some(secrets.route)), ..options.route_keys.clone() };
        Self(Rc::new(Inner {
            index,
            options,
            host,
            workers,
            network,
            secrets,
            counters,
            keys: TransactionKeys::new(secrets.transaction),
            route_keys,
            tokens: Cell::new(u64::from(index) << 48),
            table: RefCell::default(),
            conclusions: Conclusions::default(),
            deadlines,
            armed: Cell::new(None),
            earlier_deadline: Notify::new(),
            scratch: RefCell::new(Packet { head: Vec::with_capacity(4096), body: None }),
            engine: RefCell::new(None),
            prepared: RefCell::new(None),
            sent_by,
            batch_began: Cell::new(None),
            batch_ends: Cell::new(false),
            waited_since: Cell::new(None),
            draining: Cell::new(false),
            held: Cell::new(0),
            handover: Handover::default(),
            clock,
        }))
    }

    pub fn downgrade(&self) -> WeakWorker {
        WeakWorker(Rc::downgrade(&self.0))
    }

    /// Which of the server's workers this is, from 0.
    pub fn index(&self) -> u16 {
        self.0.index
    }

    pub fn host(&self) -> &Host {
        &self.0.host
    }

    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The time, as it was at the beginning of a batch of events while that is being handled.
    pub fn now(&self) -> Instant {
        self.0.batch_began.get().unwrap_or_else(|| self.0.clock.now())
    }

    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// The addresses that the server listens on.
    pub fn listeners(&self) -> &[Listener] {
        &self.0.options.listeners
    }

    /// All workers of the server.
    pub fn workers(&self) -> &Workers {
        &self.0.workers
    }

    pub(crate) fn network(&self) -> &Network {
        &self.0.network
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.0.options.timers
    }

    pub(crate) fn transaction_keys(&self) -> &TransactionKeys {
        &self.0.keys
    }

    pub(crate) fn route_keys(&self) -> &RouteKeys {
        &self.0.route_keys
    }

    /// A number for this run of the server. It distinguishes its connections from those of an earlier run.
    pub(crate) fn life(&self) -> u32 {
        (self.0.secrets.tag.0 >> 32) as u32 ^ self.0.secrets.tag.1 as u32
    }

    pub(crate) fn conclusions(&self) -> &Conclusions {
        &self.0.conclusions
    }

    /// Invariant: nobody holds the table while running anything that may want it: the script, another transaction.
    pub(crate) fn table(&self) -> RefMut<'_, Table> {
        self.0.table.borrow_mut()
    }

    pub(crate) fn sent_by(&self, listener: &Listener) -> &str {
        let position = self.0.options.listeners.iter().position(|known| known == listener);
        position.and_then(|position| self.0.sent_by.get(position)).map_or("localhost", String::as_str)
    }

    /// What was printed last.
    pub(crate) fn printed(&self) -> Ref<'_, Packet> {
        self.0.scratch.borrow()
    }

    pub(super) fn scratch(&self) -> RefMut<'_, Packet> {
        self.0.scratch.borrow_mut()
    }

    pub(super) fn handover(&self) -> &Handover {
        &self.0.handover
    }

    pub(super) fn draining(&self) -> &Cell<bool> {
        &self.0.draining
    }

    pub(super) fn batch_began(&self) -> &Cell<Option<Instant>> {
        &self.0.batch_began
    }

    pub(super) fn batch_ends(&self) -> &Cell<bool> {
        &self.0.batch_ends
    }

    pub(super) fn waited_since(&self) -> &Cell<Option<Instant>> {
        &self.0.waited_since
    }

    pub(super) fn engine(&self) -> Option<Rc<ScriptEngine>> {
        self.0.engine.borrow().clone()
    }

    /// Routes by another script from now on; what is suspended in the old one ends there.
    pub fn set_engine(&self, engine: Rc<ScriptEngine>) {
        self.host().want_events(engine.events());
        *self.0.engine.borrow_mut() = Some(engine);
    }

    pub(super) fn prepare_engine(&self, engine: ScriptEngine) {
        *self.0.prepared.borrow_mut() = Some(Rc::new(engine));
    }

    pub(super) fn switch_engine(&self) {
        if let Some(engine) = self.0.prepared.borrow_mut().take() {
            self.set_engine(engine);
        }
    }

    /// Whether the script defines a route.
    pub(crate) fn script_has(&self, route: crate::script::Route<'_>) -> bool {
        self.engine().is_some_and(|engine| engine.has(route))
    }

    /// Adds a request to the octets that this worker holds.
    pub(crate) fn hold(&self, octets: usize) {
        self.0.held.set(self.0.held.get().saturating_add(octets));
    }

    /// Subtracts a request from the octets that this worker holds.
    pub(crate) fn let_go(&self, octets: usize) {
        self.0.held.set(self.0.held.get().saturating_sub(octets));
    }

    /// Whether a request would exceed [`MAX_HELD`]. A small request never does, because the number of transactions has its
    /// own limit.
    pub(super) fn is_too_large_to_hold(&self, octets: usize) -> bool {
        octets > SMALL_REQUEST && self.0.held.get().saturating_add(octets) > MAX_HELD
    }

    /// Requests that came in and have no final response yet.
    pub fn pending(&self) -> usize {
        self.0.table.borrow().pending()
    }

    /// Transactions of this worker, server and client sides.
    pub fn transactions(&self) -> (usize, usize) {
        self.0.table.borrow().len()
    }

    /// A number that cannot be guessed and does not come again soon.
    pub(crate) fn random_token(&self) -> u32 {
        let count = self.0.tokens.get().wrapping_add(1);
        self.0.tokens.set(count);
        let (a, b) = self.0.secrets.branch;
        let digest = keyed_digest((b, a), [&count.to_le_bytes()[..]]);
        u32::try_from(digest >> 32).unwrap_or_default()
    }

    /// The tag that we put on To where we answer a request ourselves: the same for each repetition of it.
    pub fn local_tag(&self, request: &Message) -> String {
        self.local_tag_of(request.call_id(), request.from_tag(), request.cseq())
    }

    /// The same by what makes it.
    pub(super) fn local_tag_of(&self, call_id: &str, from_tag: Option<&str>, cseq: u32) -> String {
        let number = cseq.to_le_bytes();
        let parts = [call_id.as_bytes(), from_tag.unwrap_or_default().as_bytes(), &number];
        let digest = keyed_digest(self.0.secrets.tag, parts);
        let mut tag = String::with_capacity(16);
        lex::push_hex(&mut tag, (digest >> 32) as u32);
        lex::push_hex(&mut tag, digest as u32);
        tag
    }

    /// Whether the To tag of an ACK is one that [`Worker::local_tag`] made: it acknowledges an answer of ours.
    pub(crate) fn is_own_tag(&self, ack: &Message) -> bool {
        ack.to_tag().is_some_and(|tag| tag == self.local_tag(ack))
    }

    /// Whether a request that is served here is a copy that came by another path (§8.2.2.2). The caller answers it 482.
    pub(crate) fn is_merged(&self, request: &Message, key: TransactionKey) -> bool {
        if request.to_tag().is_some() {
            return false;
        }
        let number = request.cseq().to_le_bytes();
        let tag = request.from_tag().unwrap_or_default();
        let parts = [request.call_id().as_bytes(), tag.as_bytes(), &number, request.method().as_str().as_bytes()];
        let digest = keyed_digest(self.0.secrets.tag, parts);
        !self.workers().served().is_first(digest, key, self.now(), self.timers().lifetime())
    }

    /// The digest in the branch of a request that is forwarded without a transaction (§16.11): the same for its
    /// repetitions, its ACK and its CANCEL. Its response has the same as well, and so proves that it answers one.
    pub(crate) fn stateless_digest(&self, message: &Message) -> u32 {
        let number = message.cseq().to_le_bytes();
        let via = message.top_via().ok();
        let sent_by = via.as_ref().map(|via| via.sent_by.to_string()).unwrap_or_default();
        let branch = via.as_ref().and_then(|via| via.branch()).unwrap_or_default();
        let tag = message.from_tag().unwrap_or_default();
        let parts = [sent_by.as_bytes(), branch.as_bytes(), message.call_id().as_bytes(), tag.as_bytes(), &number];
        (keyed_digest(self.0.secrets.branch, parts) >> 32) as u32
    }

    pub(crate) fn loop_hash(&self, request: &Message) -> u32 {
        forward::loop_hash(request, self.0.secrets.branch)
    }

    /// The passage of a received request for its forwarded copies, see [`forward::allowed_spread`].
    pub(crate) fn passage(&self, routing: &Routing) -> Result<Passage, Error> {
        let loop_hash = routing.loop_hash();
        let spread = forward::allowed_spread(&routing.request.borrow(), |via| self.is_own_via(via), loop_hash);
        if matches!(spread, Err(Error::LoopDetected)) {
            self.counters().loops_detected.increment();
            tracing::info!(call_id = routing.request.borrow().call_id(), "a request has come back: it is in a loop");
        }
        Ok(Passage { loop_hash, spread: spread? })
    }

    pub(crate) fn is_own_via(&self, via: &Via<'_>) -> bool {
        let sent_by = via.sent_by.to_string();
        self.0.sent_by.iter().any(|own| own.eq_ignore_ascii_case(&sent_by))
    }

    pub(crate) fn set_timer(&self, after: Duration, due: Due) {
        let now = self.now();
        self.0.deadlines.borrow_mut().set(now, after, due);
        if self.0.armed.get().is_some_and(|armed| now + after < armed) {
            self.0.earlier_deadline.notify_one();
        }
    }

    /// When [`Worker::fire_timers`] next has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.0.deadlines.borrow().next()
    }

    /// Does what is due now. At most `limit` timers, so that messages are not kept waiting; false when more are due.
    pub fn fire_timers(&self, limit: usize) -> bool {
        let now = self.now();
        for _ in 0..limit {
            let due = self.0.deadlines.borrow_mut().pop(now);
            match due {
                None => return true,
                Some(Due::Server(id, timer)) => self.server_timer(id, timer),
                Some(Due::Client(id, timer)) => self.client_timer(id, timer),
                Some(Due::Cancel(id, timer)) => self.cancel_timer(id, timer),
            }
        }
        false
    }

    pub(super) fn arm(&self, at: Option<Instant>) {
        self.0.armed.set(at);
    }

    pub(super) async fn earlier_deadline(&self) {
        self.0.earlier_deadline.notified().await;
    }
}

impl std::fmt::Debug for WeakWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WeakWorker")
    }
}

impl WeakWorker {
    pub fn upgrade(&self) -> Option<Worker> {
        self.0.upgrade().map(Worker)
    }
}

impl Secrets {
    /// New ones from the operating system.
    pub fn random() -> Result<Self, getrandom::Error> {
        let pair = || Ok((getrandom::u64()?, getrandom::u64()?));
        Ok(Self { transaction: pair()?, branch: pair()?, tag: pair()?, route: pair()? })
    }

    /// The same ones for the same seed: for tests that replay a run.
    pub fn seeded(seed: u64) -> Self {
        let pair = |n: u64| (seed ^ n, seed.rotate_left(17).wrapping_add(n));
        Self { transaction: pair(1), branch: pair(2), tag: pair(3), route: pair(4) }
    }
}

fn keyed_digest<'a>((a, b): (u64, u64), parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    use std::hash::Hasher;
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(a, b);
    for part in parts {
        hasher.write(part);
        hasher.write_u8(0);
    }
    hasher.finish()
}
