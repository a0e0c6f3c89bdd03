//! Events: what happens inside a module and the routing script may hear of, by `event_route.module.event`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::Value;
use super::host::Counter;
use crate::worker::{Route, Workers};

/// Events whose routes have not ended yet; what is raised on top is lost, and counted as `events_lost`.
pub const MAX_WAITING_EVENTS: usize = 10_000;

/// A row: an event of a module, and what the script is told of it.
#[derive(Debug, Clone)]
pub struct Event {
    /// Within its module: `expired`.
    pub name: &'static str,
    pub doc: &'static str,
    /// Name, type as an editor is told it, and doc of each field.
    pub fields: Vec<(&'static str, &'static str, &'static str)>,
}

/// An event of a loaded module, as scripts name it: `event_route.module.event`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventName {
    pub module: &'static str,
    pub event: &'static str,
}

/// An event that has happened, on its way to the script.
#[derive(Debug)]
pub struct Occurrence {
    /// `registrar.expired`
    pub(crate) name: Arc<str>,
    pub(crate) fields: Vec<(String, Value)>,
}

/// Where a module raises one event. Keep it: making one takes a lock.
#[derive(Clone)]
pub struct EventSource {
    name: Arc<str>,
    wanted: Arc<AtomicBool>,
    events: Arc<Events>,
}

/// The events of a server: which of them its script has a route for, and how many are on their way to it.
pub(crate) struct Events {
    wanted: RwLock<BTreeMap<Arc<str>, Arc<AtomicBool>>>,
    waiting: AtomicUsize,
    workers: OnceLock<Workers>,
    lost: Counter,
}

/// Holds the place of an event that is on its way, until its route has ended.
struct Place(Arc<Events>);

impl Event {
    pub fn new(name: &'static str, doc: &'static str) -> Self {
        Self { name, doc, fields: Vec::new() }
    }

    /// Adds a field of the route's argument; `kind` is a type of Lua's: `string`, `integer`, `number`, `boolean`, `table`.
    pub fn field(mut self, name: &'static str, kind: &'static str, doc: &'static str) -> Self {
        self.fields.push((name, kind, doc));
        self
    }
}

impl std::fmt::Display for EventName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.module, self.event)
    }
}

impl EventSource {
    /// Whether the present script has a route for the event.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Has the script's route for the event run, with `fields` in its argument; from any thread, and at no cost where the script has
    /// none. `subject` is what the event is about: events of one subject reach one worker, in the order of these calls.
    pub fn raise(&self, subject: &str, fields: impl FnOnce() -> Vec<(String, Value)>) {
        if self.is_wanted() {
            self.post(subject, fields());
        }
    }

    /// Not generic: what it uses must be compiled in the core, as a module is not linked with Lua.
    fn post(&self, subject: &str, fields: Vec<(String, Value)>) {
        // Nothing can be wanted before the workers have started.
        let Some(workers) = self.events.workers.get() else { return };
        let Some(place) = self.events.take_place() else {
            return self.events.lost.increment();
        };
        let worker = workers.by_subject(subject);
        let occurrence = Arc::new(Occurrence { name: self.name.clone(), fields });
        workers.run(worker, move |worker| {
            worker.run_without_request(Route::Event(occurrence), move || drop(place));
        });
    }
}

impl Events {
    pub(crate) fn new(lost: Counter) -> Self {
        Self { wanted: RwLock::default(), waiting: AtomicUsize::new(0), workers: OnceLock::new(), lost }
    }

    pub(crate) fn source(self: &Arc<Self>, name: &EventName) -> EventSource {
        let name: Arc<str> = name.to_string().into();
        let mut wanted = self.wanted.write().unwrap_or_else(PoisonError::into_inner);
        let wanted = wanted.entry(name.clone()).or_default().clone();
        EventSource { name, wanted, events: self.clone() }
    }

    /// Names the events that the script has routes for from now on.
    pub(crate) fn want<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) {
        let mut wanted = self.wanted.write().unwrap_or_else(PoisonError::into_inner);
        for name in names.clone() {
            if !wanted.contains_key(name) {
                wanted.insert(name.into(), Arc::default());
            }
        }
        for (name, wanted) in wanted.iter() {
            wanted.store(names.clone().any(|one| one == &**name), Ordering::Relaxed);
        }
    }

    pub(crate) fn set_workers(&self, workers: Workers) {
        // The first ones stay, as in the host.
        let _ = self.workers.set(workers);
    }

    fn take_place(self: &Arc<Self>) -> Option<Place> {
        let place = Place(self.clone());
        (self.waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING_EVENTS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRED: EventName = EventName { module: "registrar", event: "expired" };

    fn events() -> (Arc<Events>, Workers) {
        let (events, workers) = (Arc::new(Events::new(Counter::default())), Workers::new(2));
        events.set_workers(workers.clone());
        (events, workers)
    }

    fn posted(workers: &Workers) -> [usize; 2] {
        [workers.take(0).len(), workers.take(1).len()]
    }

    #[test]
    fn an_event_without_a_route_costs_nothing() {
        let (events, workers) = events();
        let source = events.source(&EXPIRED);
        events.want(["registrar.added"].into_iter());
        source.raise("sip:a@b", || panic!("nobody asks for its fields"));
        assert_eq!(posted(&workers), [0, 0]);
    }

    #[test]
    fn events_of_one_subject_reach_one_worker() {
        let (events, workers) = events();
        let source = events.source(&EXPIRED);
        events.want(["registrar.expired"].into_iter());
        (0..10).for_each(|_| source.raise("sip:a@b", Vec::new));
        let mut posted = posted(&workers);
        posted.sort_unstable();
        assert_eq!(posted, [0, 10]);
    }

    #[test]
    fn a_script_without_the_route_ends_the_wish_of_the_one_before() {
        let (events, _workers) = events();
        events.want(["registrar.expired"].into_iter());
        let source = events.source(&EXPIRED);
        assert!(source.is_wanted());
        events.want([].into_iter());
        assert!(!source.is_wanted());
    }

    #[test]
    fn events_over_the_limit_are_lost_and_counted_until_others_have_ended() {
        let (events, workers) = events();
        let source = events.source(&EXPIRED);
        events.want(["registrar.expired"].into_iter());
        (0..=MAX_WAITING_EVENTS).for_each(|_| source.raise("sip:a@b", Vec::new));
        assert_eq!(events.lost.value(), 1);
        // Mail that is dropped frees its places as mail that is done does.
        assert_eq!(posted(&workers).iter().sum::<usize>(), MAX_WAITING_EVENTS);
        source.raise("sip:a@b", Vec::new);
        assert_eq!(events.lost.value(), 1);
    }
}
