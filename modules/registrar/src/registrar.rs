//! The registrar as one value: the location services, their journal, and who hears of changes.

use std::sync::Arc;
use std::time::Instant;

use signalbox::clock::Clock;
use signalbox::module::host::Counter;
use signalbox::module::{Host, ModuleError, Settings};
use signalbox::services::bindings::{Binding, Bindings, Watcher};
use signalbox::storage::{Database, StorageError, Write, check_url};
use tokio::runtime::Handle;

use crate::announce::Audience;
use crate::location::Limits;
use crate::registration::{Lifetimes, Registration};
use crate::rejection::Rejection;
use crate::settling::Settling;
use crate::shard::{Changes, Records};
use crate::store;
use crate::tables::{Table, Tables};

/// The module's state. One for all workers.
pub struct Registrar(pub(crate) Arc<State>);

pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
    /// Where goes on what no request waits for any more.
    pub(crate) runtime: Handle,
    /// `None` when bindings are kept in memory only.
    database: Option<Database>,
    audience: Audience,
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
    /// Whether the parameters go together.
    pub(crate) fn check(settings: &Settings) -> Result<(), ModuleError> {
        if settings.duration("min_expires") > settings.duration("max_expires") {
            let problem = "is longer than max_expires".to_owned();
            return Err(ModuleError::Parameter { parameter: "min_expires", problem });
        }
        match settings.string("db_url") {
            url if settings.boolean("use_db") && !url.is_empty() => check_url(url)
                .map_err(|error| ModuleError::Parameter { parameter: "db_url", problem: error.to_string() }),
            _ => Ok(()),
        }
    }

    /// Reads the settings, opens the database and brings back its bindings.
    pub(crate) async fn start(host: &Host, settings: &Settings) -> Result<Arc<Self>, ModuleError> {
        Self::check(settings)?;
        let lifetimes = Lifetimes {
            default: settings.duration("default_expires"),
            minimum: settings.duration("min_expires"),
            maximum: settings.duration("max_expires"),
        };
        let limits = Limits {
            contacts: limit(settings, "max_contacts"),
            aors: limit(settings, "max_aors"),
            replaces_oldest: settings.string("when_full") == "replace",
            replaces_instance: settings.boolean("replace_instance"),
        };
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
            runtime: host.runtime().clone(),
            database,
            audience: Audience::new(host),
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

    /// Waits until the change is durable and then tells the watchers; or takes it back. One or the other happens also where nobody goes on
    /// with this.
    pub(crate) async fn settle(
        self: &Arc<Self>,
        table: &Arc<Table>,
        aor: &str,
        pending: &mut Pending,
    ) -> Result<(), Rejection> {
        let write = pending.write.take();
        Settling { state: self, table, aor, changes: &pending.changes, write }.settle().await
    }

    /// The change is durable, or not.
    pub(crate) fn settled(
        &self,
        table: &Table,
        aor: &str,
        changes: &Changes,
        result: Result<(), StorageError>,
    ) -> Result<(), Rejection> {
        if let Err(error) = result {
            tracing::warn!(aor, %error, "bindings not stored");
            table.location.take_back(aor, changes, self.clock.now());
            return Err(Rejection::NotStored { retry_after: error.retry_after() });
        }
        self.audience.tell(&table.name, aor, changes, &self.clock);
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
                    self.audience.tell(&table.name, aor, changes, &self.clock);
                }
            });
        }
    }

    fn write(&self, table: &Table, aor: &str, changes: &Changes) -> Option<Write> {
        let database = self.database.as_ref()?;
        (!changes.is_empty()).then(|| store::write(database.journal(), &self.clock, &table.name, aor, changes))
    }
}

impl Bindings for State {
    fn visit(&self, aor: &str, now: Instant, visit: &mut dyn FnMut(&Binding<'_>)) {
        for table in self.tables.all() {
            table.location.records(aor, now).iter().for_each(|record| visit(&record.view()));
        }
    }

    fn watch(&self, watcher: Watcher) {
        self.audience.add(watcher);
    }
}

/// A limit, where 0 stands for none.
fn limit(settings: &Settings, name: &str) -> usize {
    match usize::try_from(settings.integer(name)) {
        Ok(limit) if limit > 0 => limit,
        _ => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::sync::Mutex;
    use std::time::{Duration, SystemTime};

    use signalbox::module::{Value, export};
    use signalbox::services::bindings::BindingChange;
    use signalbox::storage::{Fault, Options, Storage};

    use crate::registration::{ContactUpdate, Contacts};

    const AOR: &str = "sip:alice@example.com";

    /// The moment of a first life; a second one begins an hour later.
    const NOON: Duration = Duration::from_secs(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    struct Life {
        host: Host,
        state: Arc<State>,
        table: Arc<Table>,
        seen: Arc<Mutex<Vec<(BindingChange, String)>>>,
    }

    async fn live(folder: &Path, begins: Duration, fault: Option<Arc<Fault>>) -> Life {
        let options = Options { fault, ..Options::default() };
        let clock = Clock::manual(SystemTime::UNIX_EPOCH + begins);
        let host = Host::with_storage(Handle::current(), Storage::with(Handle::current(), options), clock);
        let parameters = export::entry::<Registrar>().tables().parameters;
        let mut settings = Settings::defaults(&parameters);
        let url = Value::from(format!("sqlite:{}", folder.join("test.db").display()));
        settings.set(&parameters, "db_url", &url).unwrap();
        let state = State::start(&host, &settings).await.unwrap();
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let list = seen.clone();
        state.watch(Box::new(move |event| {
            list.lock().unwrap().push((event.change, event.binding.contact.to_owned()));
        }));
        let table = state.tables.make("location").unwrap();
        Life { host, state, table, seen }
    }

    impl Life {
        async fn register(&self, cseq: u32, contact: &str, lifetime: Duration) -> Result<(), Rejection> {
            let update = ContactUpdate {
                uri: contact.into(),
                q: 700,
                lifetime,
                // One device for each user of a contact.
                instance: contact.split('@').next().unwrap_or_default().into(),
                reg_id: Some(1),
                methods: "".into(),
                flow: None,
                proved: true,
            };
            let contacts = Contacts::Each(vec![update]);
            let path = "<sip:edge.example.com;lr>".into();
            let registration = Registration { call_id: "c".into(), cseq, path, user_agent: "Phone".into(), contacts };
            let mut pending = self.state.register(&self.table, AOR, &registration, self.state.clock.now())?;
            self.state.settle(&self.table, AOR, &mut pending).await
        }

        /// As [`Life::register`], by somebody who does not wait for the commit.
        async fn register_and_leave(&self, cseq: u32, contact: &str) {
            tokio::select! {
                biased;
                _ = self.register(cseq, contact, HOUR) => {}
                () = std::future::ready(()) => {}
            }
        }

        fn contacts(&self) -> Vec<String> {
            let mut contacts = Vec::new();
            self.state.visit(AOR, self.state.clock.now(), &mut |binding| contacts.push(binding.contact.to_owned()));
            contacts
        }

        fn seen(&self) -> Vec<(BindingChange, String)> {
            std::mem::take(&mut self.seen.lock().unwrap())
        }

        async fn end(self) {
            self.host.storage().close().await;
        }
    }

    /// Waits for what another thread does.
    async fn until(done: impl Fn() -> bool) {
        let waiting = async {
            while !done() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap();
    }

    fn event(change: BindingChange, contact: &str) -> (BindingChange, String) {
        (change, contact.to_owned())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_restart_brings_back_what_has_not_expired_with_all_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let first = live(folder.path(), NOON, None).await;
        first.register(1, "sip:short@h", HOUR / 2).await.unwrap();
        first.register(2, "sip:long@h", 2 * HOUR).await.unwrap();
        first.end().await;

        let second = live(folder.path(), NOON + HOUR, None).await;
        assert_eq!(second.contacts(), ["sip:long@h"]);
        let record = second.table.location.records(AOR, second.state.clock.now())[0].clone();
        assert_eq!((record.cseq, record.q, record.reg_id), (2, 700, Some(1)));
        assert_eq!((record.call_id(), record.instance(), record.user_agent()), ("c", "sip:long", "Phone"));
        assert_eq!(record.path(), "<sip:edge.example.com;lr>");
        assert_eq!(record.expires_at, second.state.clock.now() + HOUR);
        let late = second.register(1, "sip:long@h", HOUR).await;
        assert_eq!(late, Err(Rejection::OutOfOrder { cseq: 1, stored: 2 }), "the order outlives a restart");
        second.register(3, "sip:long@h", HOUR).await.unwrap();
        assert_eq!(second.seen(), [event(BindingChange::Refreshed, "sip:long@h")]);
        second.end().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_the_database_does_not_take_is_neither_kept_nor_announced() {
        let folder = tempfile::tempdir().unwrap();
        let fault = Arc::new(Fault::none());
        let life = live(folder.path(), NOON, Some(fault.clone())).await;
        life.register(1, "sip:a@h", HOUR).await.unwrap();
        assert_eq!(life.seen(), [event(BindingChange::Added, "sip:a@h")]);

        fault.set_outage(true);
        let refused = life.register(2, "sip:b@h", HOUR).await;
        assert!(matches!(refused, Err(Rejection::NotStored { retry_after: Some(_) })), "{refused:?}");
        assert_eq!((life.contacts(), life.seen()), (vec!["sip:a@h".to_owned()], Vec::new()));
        life.end().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_nobody_waits_for_is_announced_or_taken_back_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let fault = Arc::new(Fault::none());
        let life = live(folder.path(), NOON, Some(fault.clone())).await;
        life.register_and_leave(1, "sip:a@h").await;
        until(|| !life.seen.lock().unwrap().is_empty()).await;
        assert_eq!(life.seen(), [event(BindingChange::Added, "sip:a@h")]);
        fault.set_outage(true);
        life.register_and_leave(2, "sip:b@h").await;
        until(|| life.contacts() == ["sip:a@h"]).await;
        life.end().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_replaced_contact_is_announced_and_stays_away_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let life = live(folder.path(), NOON, None).await;
        life.register(1, "sip:a@old", HOUR).await.unwrap();
        life.seen();
        life.register(2, "sip:a@new", HOUR).await.unwrap();
        let changes = [event(BindingChange::Added, "sip:a@new"), event(BindingChange::Removed, "sip:a@old")];
        assert_eq!(life.seen(), changes);
        assert_eq!(life.contacts(), ["sip:a@new"]);
        life.end().await;
        let again = live(folder.path(), NOON, None).await;
        assert_eq!(again.contacts(), ["sip:a@new"]);
        again.end().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn watchers_hear_of_expiry_and_removal() {
        let folder = tempfile::tempdir().unwrap();
        let life = live(folder.path(), NOON, None).await;
        life.register(1, "sip:a@h", HOUR).await.unwrap();
        life.register(2, "sip:b@h", 2 * HOUR).await.unwrap();
        life.seen();
        life.state.clock.advance(HOUR);
        life.state.expire(life.state.clock.now());
        assert_eq!(life.seen(), [event(BindingChange::Expired, "sip:a@h")]);
        let mut pending = life.state.remove(&life.table, AOR, None);
        life.state.settle(&life.table, AOR, &mut pending).await.unwrap();
        assert_eq!(life.seen(), [event(BindingChange::Removed, "sip:b@h")]);
        life.end().await;
        let again = live(folder.path(), NOON + HOUR, None).await;
        assert_eq!(again.contacts(), [""; 0]);
        again.end().await;
    }
}
