//! The module as one value: the agent, its journal, and the doing of what the agent says.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use signalbox::clock::Clock;
use signalbox::module::Host;
use signalbox::module::host::Counter;
use signalbox::services::bindings::Bindings;
use signalbox::storage::StorageError;

use crate::agent::{AcceptedPublish, Agent, Effects, Record, Target};
use crate::notify::{self, Destination};
use crate::settings::OfflineWinfo;
use crate::settling::Settling;
use crate::store::{OfflineWatchers, Store};
use crate::token::Token;

/// The module's state. One for all workers.
pub struct PresenceAgent(pub(crate) Arc<State>);

pub(crate) struct State {
    pub(crate) agent: Agent<Destination>,
    /// Nothing where all is in memory only.
    pub(crate) store: Option<Store>,
    /// Nothing unless watchers are remembered for users who are not there.
    pub(crate) offline: Option<OfflineWatchers>,
    /// When the watchers that were remembered for too long are next removed.
    pub(crate) next_cleanup: Mutex<Instant>,
    pub(crate) host: Host,
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
}

pub(crate) struct Counters {
    pub(crate) subscribes: Counter,
    pub(crate) publishes: Counter,
    pub(crate) rejected: Counter,
    /// Requests and database rows that exceeded a limit on kept state.
    pub(crate) over_limit: Counter,
    pub(crate) notifies: Counter,
}

impl Counters {
    pub(crate) fn of(host: &Host) -> Self {
        Self {
            subscribes: host.counter("pa_subscribes"),
            publishes: host.counter("pa_publishes"),
            rejected: host.counter("pa_rejected"),
            over_limit: host.counter("pa_over_limit"),
            notifies: host.counter("pa_notifies"),
        }
    }
}

impl State {
    /// Lets something happen to the agent and does what follows from it.
    pub(crate) fn perform<T>(
        self: &Arc<Self>,
        happening: impl FnOnce(&Agent<Destination>, Instant, &mut Effects<Destination>) -> T,
    ) -> T {
        let mut effects = Effects::default();
        let result = happening(&self.agent, self.clock.now(), &mut effects);
        self.carry_out(effects);
        result
    }

    pub(crate) fn carry_out(self: &Arc<Self>, effects: Effects<Destination>) {
        for notify in effects.notifies {
            notify::send(self, notify);
        }
        for record in effects.records {
            self.record(record);
        }
    }

    /// Writes a subscription as it stands.
    pub(crate) fn rewrite(&self, id: Token) -> impl Future<Output = Result<(), StorageError>> + use<> {
        let now = self.clock.now();
        let write = self.agent.look_at(id, |subscription, presentity| {
            let (store, way) = (self.store.as_ref()?, subscription.way.way()?);
            let target = presentity.target();
            let package = self.agent.packages().name(target.package);
            let live = !subscription.state().is_terminated();
            live.then(|| store.put_subscription(&target, package, &subscription.standing(now), way))
        });
        async move {
            match write.flatten() {
                Some(write) => write.await,
                None => Ok(()),
            }
        }
    }

    /// Begins to store a publication: watchers hear of it once it is committed, and it is taken back where it can't be.
    pub(crate) fn store_publication(
        self: &Arc<Self>,
        target: &Target<'_>,
        accepted: AcceptedPublish,
    ) -> Settling<AcceptedPublish> {
        let published = &accepted.published;
        let stored = published.content.is_some() || published.previous.is_some();
        let package = self.agent.packages().name(target.package);
        let store = self.store.as_ref().filter(|_| stored);
        let write = store.map(|store| store.put_publication(target, package, published));
        Settling::new(self, accepted, write, |state, accepted, committed| {
            state.perform(|agent, now, effects| match committed {
                true => agent.confirm_publish(&accepted, now, effects),
                false => agent.withdraw_publish(accepted, now, effects),
            });
        })
    }

    fn record(self: &Arc<Self>, record: Record) {
        match (record, &self.store) {
            (Record::WatcherTold(id), _) => self.offline.iter().for_each(|offline| offline.forget(id)),
            // Nobody waits for these: what is still there after a crash has expired and ends when it is read.
            (Record::SubscriptionGone(id), Some(store)) => drop(store.remove_subscription(id)),
            (Record::Decided(id) | Record::Proved(id), Some(_)) => drop(self.rewrite(id)),
            (Record::PublicationGone(id), Some(store)) => drop(store.remove_publication(id)),
            (Record::Reserve { id, mark }, Some(store)) => {
                let (write, state, hold) = (store.reserve(id, mark), self.clone(), store.hold());
                self.host.runtime().spawn(async move {
                    let mark = match write.await {
                        Ok(()) => Some(mark),
                        Err(error) => {
                            tracing::warn!(%error, subscription = %id, "CSeq numbers could not be reserved");
                            None
                        }
                    };
                    state.perform(|agent, now, effects| agent.reserved(id, mark, now, effects));
                    drop(hold);
                });
            }
            (_, None) => {}
        }
    }

    /// Follows the registrar.
    pub(crate) fn follow(self: &Arc<Self>, bindings: &Arc<dyn Bindings>) {
        self.agent.follow(bindings.clone(), self.clock.now());
        let state = Arc::downgrade(self);
        bindings.watch(Box::new(move |event| {
            if let Some(state) = state.upgrade() {
                state.perform(|agent, now, effects| agent.binding_changed(event, now, effects));
            }
        }));
    }

    /// Does what is due. Called several times a second.
    pub(crate) fn tick(self: &Arc<Self>, now: Instant) {
        if self.agent.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.perform(|agent, now, effects| agent.tick(now, effects));
        }
        self.clean(now);
    }

    /// Removes watchers that were remembered for too long, when it is time.
    fn clean(self: &Arc<Self>, now: Instant) {
        let Some(OfflineWinfo { cleanup, .. }) = self.agent.settings.offline_winfo else {
            return;
        };
        let mut next = self.next_cleanup.lock().unwrap_or_else(PoisonError::into_inner);
        if now < *next {
            return;
        }
        *next = now + cleanup;
        let state = self.clone();
        self.host.runtime().spawn(async move {
            let Some(offline) = &state.offline else { return };
            match offline.clean().await {
                Ok(count) => tracing::debug!(count, "watchers had been remembered for too long"),
                Err(error) => tracing::warn!(%error, "watchers that were remembered for too long could not be removed"),
            }
        });
    }
}
