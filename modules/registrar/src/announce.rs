//! Who hears of changed bindings: modules that watch them, and the routes of the script.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use signalbox::clock::Clock;
use signalbox::module::{Event, EventSource, Host, Value};
use signalbox::services::bindings::{BindingChange, BindingEvent, Watcher};

use crate::binding::Record;
use crate::shard::Changes;

/// What a script is told of a change, besides its name.
const FIELDS: [(&str, &str, &str); 7] = [
    ("table", "string", "The location service: `location`."),
    ("aor", "string", "The address of record: `sip:alice@example.com`."),
    ("contact", "string", "The contact's URI."),
    ("expires", "integer", "Seconds that the binding has left, 0 when it is gone."),
    ("q", "number", "The contact's preference, 0 to 1."),
    ("call_id", "string", "Call-ID of the REGISTER that last wrote the binding."),
    ("user_agent", "string", "User-Agent of that REGISTER; empty without."),
];

/// Watchers, and the events of the script.
pub(crate) struct Audience {
    watchers: RwLock<Vec<Watcher>>,
    watched: AtomicBool,
    added: EventSource,
    refreshed: EventSource,
    expired: EventSource,
    removed: EventSource,
}

/// The rows of the events.
pub(crate) fn events() -> [Event; 4] {
    [
        ("added", "An address of record has a contact that it did not have."),
        ("refreshed", "A contact was registered again: its expiry or anything else of it may differ."),
        ("expired", "The time of a contact ran out."),
        (
            "removed",
            "A contact was taken away by its user agent, the script or an administrator, or replaced by another one.",
        ),
    ]
    .map(|(name, doc)| FIELDS.iter().fold(Event::new(name, doc), |row, (name, kind, doc)| row.field(name, kind, doc)))
}

impl Audience {
    pub(crate) fn new(host: &Host) -> Self {
        let source = |event| host.event("registrar", event);
        Self {
            watchers: RwLock::default(),
            watched: AtomicBool::new(false),
            added: source("added"),
            refreshed: source("refreshed"),
            expired: source("expired"),
            removed: source("removed"),
        }
    }

    pub(crate) fn add(&self, watcher: Watcher) {
        self.watchers.write().unwrap_or_else(PoisonError::into_inner).push(watcher);
        self.watched.store(true, Ordering::Relaxed);
    }

    /// Tells of changes that are durable.
    pub(crate) fn tell(&self, table: &str, aor: &str, changes: &Changes, clock: &Clock) {
        let watched = self.watched.load(Ordering::Relaxed);
        let watchers = watched.then(|| self.watchers.read().unwrap_or_else(PoisonError::into_inner));
        for change in changes {
            let Some(record) = change.record() else { continue };
            if let Some(watchers) = &watchers {
                let event = BindingEvent { aor, change: change.kind, binding: record.view() };
                watchers.iter().for_each(|watcher| watcher(&event));
            }
            let (source, gone) = match change.kind {
                BindingChange::Added => (&self.added, false),
                BindingChange::Refreshed => (&self.refreshed, false),
                BindingChange::Expired => (&self.expired, true),
                BindingChange::Removed => (&self.removed, true),
            };
            source.raise(aor, || {
                let left = if gone { 0 } else { record.expires_at.saturating_duration_since(clock.now()).as_secs() };
                fields(table, aor, record, left)
            });
        }
    }
}

/// As [`FIELDS`] says.
fn fields(table: &str, aor: &str, record: &Record, left: u64) -> Vec<(String, Value)> {
    let values: [Value; FIELDS.len()] = [
        table.into(),
        aor.into(),
        record.contact().into(),
        i64::try_from(left).unwrap_or(i64::MAX).into(),
        Value::Number(f64::from(record.q) / 1000.0),
        record.call_id().into(),
        record.user_agent().into(),
    ];
    FIELDS.iter().map(|(name, ..)| (*name).to_owned()).zip(values).collect()
}
