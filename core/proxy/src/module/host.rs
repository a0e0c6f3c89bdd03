//! What a module gets from the core.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::event::{EventName, EventSource, Events};
use crate::clock::Clock;
use crate::error::Error;
use crate::storage::Storage;
use crate::transactions::local::Outgoing;
use crate::transactions::proofs::Proofs;
use crate::transactions::{LocalOutcome, OutgoingRequest};
use crate::worker::Workers;

/// How often [`Host::tick`] is called in a running server.
pub const TICK: Duration = Duration::from_millis(200);

/// Most requests that modules may make before the workers start. Restoring from a database makes at most one per
/// subscription.
pub const MAX_EARLY_REQUESTS: usize = 1_000_000;

/// The core as modules see it: services, counters, the background runtime. Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    runtime: Handle,
    storage: Storage,
    clock: Clock,
    ticks: RwLock<Vec<Tick>>,
    services: RwLock<HashMap<TypeId, Box<dyn Any + Send + Sync>>>,
    counters: RwLock<BTreeMap<&'static str, Counter>>,
    workers: OnceLock<Workers>,
    /// Requests made before the workers have started.
    early: Mutex<Vec<Outgoing>>,
    events: Arc<Events>,
    proofs: Proofs,
}

type Tick = Arc<dyn Fn(Instant) + Send + Sync>;

/// A number that only grows. Keep the handle: looking it up by name takes a lock.
#[derive(Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Host {
    /// A host whose modules do their database and network work on `runtime`.
    pub fn new(runtime: Handle) -> Self {
        let storage = Storage::new(runtime.clone());
        Self::with_storage(runtime, storage, Clock::real())
    }

    /// As [`new`](Self::new), with databases opened in another way than usual, or another time.
    pub fn with_storage(runtime: Handle, storage: Storage, clock: Clock) -> Self {
        let lost = Counter::default();
        Self(Arc::new(Inner {
            runtime,
            storage,
            clock,
            ticks: RwLock::default(),
            services: RwLock::default(),
            counters: RwLock::new(BTreeMap::from([("events_lost", lost.clone())])),
            workers: OnceLock::new(),
            early: Mutex::default(),
            events: Arc::new(Events::new(lost)),
            proofs: Proofs::default(),
        }))
    }

    /// The time that all of the server goes by.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Has `tick` called with the present time several times a second, on the background runtime: for what expires in a
    /// module. It returns at once when nothing is due.
    pub fn on_tick(&self, tick: impl Fn(Instant) + Send + Sync + 'static) {
        self.0.ticks.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(tick));
    }

    /// Calls what [`on_tick`](Self::on_tick) was given. The server does so every [`TICK`]; a test does after it has moved time.
    pub fn tick(&self) {
        let ticks = self.0.ticks.read().unwrap_or_else(PoisonError::into_inner).clone();
        let now = self.0.clock.now();
        ticks.iter().for_each(|tick| tick(now));
    }

    /// The databases of the process, one per URL.
    pub fn storage(&self) -> &Storage {
        &self.0.storage
    }

    /// Offers a service to the other modules: `host.provide::<dyn Bindings>(bindings)`. A later one of the same trait replaces it.
    pub fn provide<T: ?Sized + Send + Sync + 'static>(&self, service: Arc<T>) {
        let mut services = self.0.services.write().unwrap_or_else(PoisonError::into_inner);
        services.insert(TypeId::of::<T>(), Box::new(service));
    }

    /// The service of this trait, if a module provides it. Look it up in [`Module::ready`](super::Module::ready) and keep it.
    pub fn service<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let services = self.0.services.read().unwrap_or_else(PoisonError::into_inner);
        services.get(&TypeId::of::<T>())?.downcast_ref::<Arc<T>>().cloned()
    }

    /// Which addresses are proved.
    pub fn proofs(&self) -> &Proofs {
        &self.0.proofs
    }

    /// The background runtime: database and HTTP work goes here, never onto a worker.
    pub fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// Sends a request of the server's own, from any thread. Requests of one dialog leave in the order of these calls.
    /// Requests made before the workers start are sent when they start. Beyond [`MAX_EARLY_REQUESTS`] they are not
    /// sent, and their callers are told so.
    pub fn request(&self, request: OutgoingRequest) {
        match self.0.workers.get() {
            Some(workers) => workers.request(request),
            None => self.request_early(request.into()),
        }
    }

    fn request_early(&self, request: Outgoing) {
        let mut early = self.0.early.lock().unwrap_or_else(PoisonError::into_inner);
        // The workers may have started just now. They do not look here again.
        if let Some(workers) = self.0.workers.get() {
            drop(early);
            return workers.send_own(request);
        }
        if early.len() < MAX_EARLY_REQUESTS {
            return early.push(request);
        }
        drop(early);
        tracing::warn!(
            call_id = request.message.call_id(),
            limit = MAX_EARLY_REQUESTS,
            "too many requests before the start: not sent"
        );
        self.counter("early_requests_lost").increment();
        request.caller.tell(LocalOutcome::NotSent(Error::Overloaded));
    }

    /// The workers, once they have started.
    pub fn workers(&self) -> Option<&Workers> {
        self.0.workers.get()
    }

    pub(crate) fn set_workers(&self, workers: Workers) {
        self.0.events.set_workers(workers.clone());
        // A host serves one server: the first one.
        if self.0.workers.set(workers.clone()).is_ok() {
            let early = std::mem::take(&mut *self.0.early.lock().unwrap_or_else(PoisonError::into_inner));
            early.into_iter().for_each(|request| workers.send_own(request));
        }
    }

    /// Where the event of this name, a row of the declaration of `module`, is raised.
    pub fn event(&self, module: &'static str, event: &'static str) -> EventSource {
        self.0.events.source(&EventName { module, event })
    }

    /// Names the events that the script has routes for from now on.
    pub(crate) fn want_events<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) {
        self.0.events.want(names);
    }

    /// The counter of this name, such as `registrar_rejected`; made at first use.
    pub fn counter(&self, name: &'static str) -> Counter {
        let mut counters = self.0.counters.write().unwrap_or_else(PoisonError::into_inner);
        counters.entry(name).or_default().clone()
    }

    /// All counters with their present values, by name.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        let counters = self.0.counters.read().unwrap_or_else(PoisonError::into_inner);
        counters.iter().map(|(name, counter)| (*name, counter.value())).collect()
    }
}

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The present value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use signalbox_sip::message::Message;
    use signalbox_sip::method::Method;

    use super::*;

    trait Greeter: Send + Sync {
        fn greet(&self) -> String;
    }

    struct English;

    impl Greeter for English {
        fn greet(&self) -> String {
            "hello".into()
        }
    }

    fn host() -> (tokio::runtime::Runtime, Host) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let host = Host::new(runtime.handle().clone());
        (runtime, host)
    }

    #[test]
    fn modules_meet_by_the_trait_they_share() {
        let (_runtime, host) = host();
        assert!(host.service::<dyn Greeter>().is_none());
        host.provide::<dyn Greeter>(Arc::new(English));
        assert_eq!(host.service::<dyn Greeter>().unwrap().greet(), "hello");
    }

    /// A request whose outcome is noted.
    fn request(told: &Arc<Mutex<Vec<u16>>>) -> OutgoingRequest {
        let told = told.clone();
        let on_final = Box::new(move |outcome: LocalOutcome| told.lock().unwrap().push(outcome.status()));
        OutgoingRequest {
            message: Message::request(&Method::Notify, "sip:bob@192.0.2.1"),
            flow: None,
            allowance: None,
            on_final,
        }
    }

    #[test]
    fn requests_made_before_the_workers_start_are_sent_when_they_start() {
        let ((_runtime, host), told) = (host(), Arc::default());
        host.request(request(&told));
        host.request(request(&told));
        let workers = Workers::alone(&host);
        host.request(request(&told));
        let mail = workers.take(0);
        assert_eq!((mail.len(), told.lock().unwrap().len()), (3, 0));
        drop(mail);
        assert_eq!(*told.lock().unwrap(), [503; 3], "each caller is told once");
    }

    #[test]
    fn callers_are_told_once_also_if_no_worker_ever_starts_or_the_worker_has_ended() {
        let ((_runtime, host), told) = (host(), Arc::default());
        host.request(request(&told));
        drop(host);
        assert_eq!(*told.lock().unwrap(), [503]);
        let (_runtime, host) = self::host();
        let workers = Workers::alone(&host);
        host.request(request(&told));
        workers.close(0);
        host.request(request(&told));
        assert_eq!(*told.lock().unwrap(), [503; 3]);
        assert!(workers.take(0).is_empty());
    }

    #[test]
    fn a_counter_is_one_number_however_often_it_is_looked_up() {
        let (_runtime, host) = host();
        host.counter("panics").increment();
        host.counter("panics").add(2);
        assert_eq!(host.counters(), [("events_lost", 0), ("panics", 3)]);
    }
}
