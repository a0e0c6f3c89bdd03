//! The registrar as one value: the location services, their journal, and who wants to know of changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use signalbox::clock::Clock;
use signalbox::module::host::Counter;
use signalbox::module::{Host, ModuleError, Settings};
use signalbox::services::bindings::{Binding, BindingEvent, Bindings, Watcher};
use signalbox::storage::{Database, Write};

use crate::location::{Changes, Limits, Records};
use crate::registration::{Lifetimes, Registration};
use crate::rejection::Rejection;
use crate::store;
use crate::tables::{Table, Tables};

/// The module's state. One for all workers.
pub struct Registrar(pub(crate) Arc<State>);

pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
    /// `None` when bindings are kept in memory only.
    database: Option<Database>,
    watchers: RwLock<Vec<Watcher>>,
    watched: AtomicBool,
}

pub(crate) struct Counters {
    pub(crate) accepted: Counter,
    pub(crate) rejected: Counter,
    expired: Counter,
}

/// A change of bindings that is visible, but announced and promised to nobody before it is durable.
pub(crate) struct Pending {
    pub(crate) changes: Changes,
    /// The bindings after the change.
    pub(crate) records: Records,
    /// `None` when there is nothing to wait for.
    pub(crate) write: Option<Write>,
}

impl State {
    /// Reads the settings, opens the database and brings back its bindings.
    pub(crate) async fn start(host: &Host, settings: &Settings) -> Result<Arc<Self>, ModuleError> {
        let lifetimes = Lifetimes {
            default: settings.duration("default_expires"),
            minimum: settings.duration("min_expires"),
            maximum: settings.duration("max_expires"),
        };
        if lifetimes.minimum > lifetimes.maximum {
            let problem = "is longer than max_expires".to_owned();
            return Err(ModuleError::Parameter { parameter: "min_expires", problem });
        }
        let limits = Limits { contacts: limit(settings, "max_contacts"), aors: limit(settings, "max_aors") };
        let tables = Tables::new(limits);
        let url = settings.string("db_url");
        let database = if settings.boolean("use_db") && !url.is_empty() {
            let database = host.storage().open(url).await.map_err(ModuleError::failed)?;
            let restored = store::reload(&database, &tables, host.clock()).await.map_err(ModuleError::failed)?;
            tracing::info!(database = database.name(), bindings = restored, "bindings reloaded");
            Some(database)
        } else {
            None
        };
        let counters = Counters {
            accepted: host.counter("registrar_accepted"),
            rejected: host.counter("registrar_rejected"),
            expired: host.counter("registrar_expired"),
        };
        Ok(Arc::new(Self {
            tables,
            lifetimes,
            clock: host.clock().clone(),
            counters,
            database,
            watchers: RwLock::default(),
            watched: AtomicBool::new(false),
        }))
    }

    /// Carries out a REGISTER, up to the point where its commit must be waited for.
    pub(crate) fn register(
        &self,
        table: &Table,
        aor: &str,
        registration: &Registration<'_>,
        now: Instant,
    ) -> Result<Pending, Rejection> {
        let mut write = None;
        let submit = |changes: &Changes| write = self.write(table, aor, changes);
        let (changes, records) = table.location.register(aor, registration, now, submit)?;
        Ok(Pending { changes, records, write })
    }

    /// Removes one contact of `aor`, or all.
    pub(crate) fn remove(&self, table: &Table, aor: &str, contact: Option<&str>) -> Pending {
        let mut write = None;
        let submit = |changes: &Changes| write = self.write(table, aor, changes);
        let now = self.clock.now();
        let changes = table.location.remove(aor, contact, now, submit);
        Pending { changes, records: Records::new(), write }
    }

    /// Waits until the change is durable and then tells the watchers; or takes it back.
    pub(crate) async fn settle(&self, table: &Table, aor: &str, pending: &mut Pending) -> Result<(), Rejection> {
        if let Some(write) = pending.write.take()
            && let Err(error) = write.await
        {
            tracing::warn!(aor, %error, "bindings not stored");
            table.location.take_back(aor, &pending.changes, self.clock.now());
            return Err(Rejection::NotStored { retry_after: error.retry_after() });
        }
        self.announce(aor, &pending.changes);
        Ok(())
    }

    /// Removes what has expired. Called several times a second; returns at once when nothing has.
    pub(crate) fn expire(&self, now: Instant) {
        if !self.tables.is_due(now) {
            return;
        }
        for table in self.tables.all() {
            table.location.expire(now, |expired| {
                if let Some(database) = &self.database {
                    store::forget(database.journal(), &expired);
                }
                for (aor, changes) in &expired {
                    self.counters.expired.add(changes.len() as u64);
                    self.announce(aor, changes);
                }
            });
        }
    }

    fn write(&self, table: &Table, aor: &str, changes: &Changes) -> Option<Write> {
        let database = self.database.as_ref()?;
        (!changes.is_empty()).then(|| store::write(database.journal(), &self.clock, &table.name, aor, changes))
    }

    fn announce(&self, aor: &str, changes: &Changes) {
        if !self.watched.load(Ordering::Relaxed) {
            return;
        }
        let watchers = self.watchers.read().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            let Some(record) = change.record() else { continue };
            let event = BindingEvent { aor, change: change.kind, binding: record.view() };
            watchers.iter().for_each(|watcher| watcher(&event));
        }
    }
}

impl Bindings for State {
    fn visit(&self, aor: &str, now: Instant, visit: &mut dyn FnMut(&Binding<'_>)) {
        for table in self.tables.all() {
            table.location.records(aor, now).iter().for_each(|record| visit(&record.view()));
        }
    }

    fn watch(&self, watcher: Watcher) {
        self.watchers.write().unwrap_or_else(PoisonError::into_inner).push(watcher);
        self.watched.store(true, Ordering::Relaxed);
    }
}

/// A limit, where 0 stands for none.
fn limit(settings: &Settings, name: &str) -> usize {
    match usize::try_from(settings.integer(name)) {
        Ok(limit) if limit > 0 => limit,
        _ => usize::MAX,
    }
}
