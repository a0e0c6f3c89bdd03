//! The start: settings, database, what the database brings back, and the registrar to follow.

use std::sync::{Arc, Mutex};

use signalbox::module::{Host, ModuleError};
use signalbox::services::bindings::Bindings;
use signalbox::services::presence::Presence;

use crate::agent::{Agent, Effects};
use crate::packages::Packages;
use crate::query::Queries;
use crate::settings::{OfflineWinfo, Settings};
use crate::state::{Counters, State};
use crate::store::{OfflineWatchers, Store};

pub(crate) async fn start(host: &Host, settings: &signalbox::module::Settings) -> Result<Arc<State>, ModuleError> {
    let read = Settings::read(settings)?;
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(ModuleError::failed)?;
    let packages = Packages::of(&read);
    let agent = Agent::new(read, packages, key);
    let mut effects = Effects::default();
    let mut store = None;
    if agent.settings.durable {
        let url = settings.string("db_url");
        let database = host.storage().open(url).await.map_err(ModuleError::failed)?;
        let opened = Store::open(database, host.clock().clone()).await.map_err(ModuleError::failed)?;
        let (publications, subscriptions) = opened.reload(&agent, &mut effects).await.map_err(ModuleError::failed)?;
        tracing::info!(publications, subscriptions, "presence reloaded");
        if !opened.take_stop().await.map_err(ModuleError::failed)? {
            agent.tell_everybody_again(host.clock().now());
        }
        store = Some(opened);
    }
    let mut offline = None;
    if let Some(OfflineWinfo { expiration, .. }) = agent.settings.offline_winfo {
        let database = host.storage().open(settings.string("db_url")).await.map_err(ModuleError::failed)?;
        let opened = OfflineWatchers::open(database, host.clock().clone(), expiration).await;
        offline = Some(opened.map_err(ModuleError::failed)?);
    }
    let clock = host.clock().clone();
    let next_cleanup = Mutex::new(clock.now());
    let state = State { agent, store, offline, next_cleanup, host: host.clone(), clock, counters: Counters::of(host) };
    let state = Arc::new(state);
    // What expired while the server was down is told after CSeq numbers are reserved for it.
    state.carry_out(effects);
    if state.agent.settings.accept_internal_subscriptions {
        host.provide::<dyn Presence>(Arc::new(Queries(Arc::downgrade(&state))));
    }
    let ticking = Arc::downgrade(&state);
    host.on_tick(move |now| {
        if let Some(state) = ticking.upgrade() {
            state.tick(now);
        }
    });
    Ok(state)
}

/// The last commit: unless watchers are still to be told something, which the next start does then.
pub(crate) async fn stop(state: &Arc<State>) {
    let Some(store) = state.store.as_ref().filter(|_| state.agent.has_told_everybody()) else { return };
    if let Err(error) = store.put_stop().await {
        tracing::info!(%error, "every watcher will be told the state again at the next start");
    }
}

pub(crate) fn ready(state: &Arc<State>, host: &Host) -> Result<(), ModuleError> {
    if !state.agent.settings.use_callbacks {
        return Ok(());
    }
    match host.service::<dyn Bindings>() {
        Some(bindings) => state.follow(&bindings),
        None => tracing::warn!(
            "no module offers registrations: presence is what is published; loadmodule \"registrar\" offers them"
        ),
    }
    Ok(())
}
