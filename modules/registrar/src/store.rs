//! The `location` table: bindings as they outlive the process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use signalbox::clock::Clock;
use signalbox::services::bindings::BindingChange;
use signalbox::storage::{self, Column, Database, Journal, Migration, Row, Sql, StorageError, Table, Value, Write};
use signalbox::transport::{Flow, Protocol};
use signalbox_sip::message::readable;
use signalbox_sip::uri::{Aor, escape_octets};

use crate::binding::{Numbers, Record, Texts};
use crate::rejection::Rejection;
use crate::shard::{Change, Changes};
use crate::tables::Tables;

static LOCATION: Table = Table {
    name: "location",
    columns: &[
        Column::integer("id"),
        Column::text("location"),
        Column::text("aor"),
        Column::text("contact"),
        Column::integer("q"),
        Column::integer("expires"),
        Column::text("call_id"),
        Column::integer("cseq"),
        Column::text("path"),
        Column::text("instance"),
        Column::integer("reg_id"),
        Column::text("methods"),
        Column::text("user_agent"),
        Column::text("flow"),
    ],
    key: 1,
};

static MIGRATIONS: [Migration; 1] =
    [Migration { version: 1, name: "table location", sql: Sql::All(include_str!("../migrations/1_location.sql")) }];

/// Opens the table and brings back what has not expired. Returns how many bindings that were.
pub(crate) async fn reload(database: &Database, tables: &Tables, clock: &Clock) -> Result<usize, StorageError> {
    database.migrate("registrar", &MIGRATIONS).await?;
    let now = unix(clock.unix(clock.now()));
    let mut restored = 0;
    let mut expired = Vec::new();
    database
        .load(&LOCATION, |row| {
            if row.integer("expires")? <= now {
                expired.push(storage::Change::delete(&LOCATION, [row.value("id")?.clone()]));
            } else {
                restored += usize::from(restore(&row, tables, clock)?);
            }
            Ok(())
        })
        .await?;
    for chunk in expired.chunks(EXPIRED_AT_ONCE) {
        database.journal().write(chunk.to_vec()).await?;
    }
    Ok(restored)
}

/// Rows deleted by one statement when the table is cleaned at start.
const EXPIRED_AT_ONCE: usize = 1000;

/// Queues what changed in the bindings of `aor`, all of it or nothing.
pub(crate) fn write(journal: &Journal, clock: &Clock, location: &Arc<str>, aor: &str, changes: &Changes) -> Write {
    journal.write(changes.iter().filter_map(|change| {
        Some(match &change.after {
            Some(after) => storage::Change::put(&LOCATION, row(clock, location, aor, after)),
            None => delete(change)?,
        })
    }))
}

/// Queues the deletion of bindings that have expired. Nobody waits for it: what is still there after a crash is dropped at start.
pub(crate) fn forget(journal: &Journal, expired: &[(Box<str>, Changes)]) {
    let changes = expired.iter().flat_map(|(_, changes)| changes);
    drop(journal.write(changes.filter(|change| change.kind == BindingChange::Expired).filter_map(delete)));
}

fn delete(change: &Change) -> Option<storage::Change> {
    let before = change.before.as_ref()?;
    Some(storage::Change::delete(&LOCATION, [Value::Integer(before.id.cast_signed())]))
}

fn row(clock: &Clock, location: &Arc<str>, aor: &str, record: &Record) -> Vec<Value> {
    vec![
        Value::Integer(record.id.cast_signed()),
        location.clone().into(),
        aor.into(),
        record.contact().into(),
        i64::from(record.q).into(),
        unix(clock.unix(record.expires_at)).into(),
        record.call_id().into(),
        record.cseq.into(),
        optional(record.path()),
        optional(record.instance()),
        record.reg_id.map_or(Value::Null, Value::from),
        optional(record.methods()),
        optional(record.user_agent()),
        match (&record.flow, record.proved) {
            (Some(flow), _) => flow_text(flow).into(),
            (None, true) => DIRECT.into(),
            (None, false) => Value::Null,
        },
    ]
}

fn optional(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

/// Whether the row made sense and was taken.
fn restore(row: &Row, tables: &Tables, clock: &Clock) -> Result<bool, StorageError> {
    let stored = row.text("aor")?;
    // It may have been stored by a version with another canonical form.
    let canonical = Aor::parse(stored);
    let aor = canonical.as_ref().map_or(stored, Aor::as_str);
    let flow = row.optional_text("flow")?;
    let numbers = Numbers {
        id: row.integer("id")?.cast_unsigned(),
        expires_at: clock.instant(SystemTime::UNIX_EPOCH + Duration::from_secs(positive(row.integer("expires")?))),
        cseq: u32::try_from(row.integer("cseq")?).unwrap_or(0),
        reg_id: row.optional_integer("reg_id")?.and_then(|id| u32::try_from(id).ok()),
        q: u16::try_from(row.integer("q")?).unwrap_or(1000).min(1000),
        flow: flow.and_then(read_flow).map(Box::new),
        proved: flow.is_some_and(|flow| flow == DIRECT || row.optional_text("path").is_ok_and(|path| path.is_none())),
    };
    // Escaped already, unless another program wrote the row.
    let text = |name| Ok::<_, StorageError>(escape_octets(row.optional_text(name)?.unwrap_or_default()));
    let texts = Texts {
        contact: &escape_octets(row.text("contact")?),
        call_id: &escape_octets(row.text("call_id")?),
        path: &text("path")?,
        instance: &text("instance")?,
        methods: &text("methods")?,
        user_agent: &readable(row.optional_text("user_agent")?.unwrap_or_default()),
    };
    let restored = match tables.make(row.text("location")?) {
        Some(table) => table.location.restore(aor, numbers, &texts),
        None => Err(Rejection::TooManyTables),
    };
    if let Err(rejection) = &restored {
        tracing::warn!(aor, contact = texts.contact, %rejection, "binding in the database left out");
    }
    Ok(restored.is_ok())
}

/// Seconds since 1970, rounded up: a binding never ends before its time.
fn unix(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs() + u64::from(since.subsec_nanos() > 0)).unwrap_or(i64::MAX)
}

fn positive(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0)
}

/// `udp local remote` Stored in place of a flow if the contact needs none, because it is at the address that its
/// REGISTER came from.
const DIRECT: &str = "direct";

fn flow_text(flow: &Flow) -> String {
    format!("{} {} {}", flow.protocol.parameter(), flow.local, flow.remote)
}

/// A NAT's hole stays open while the server restarts; a connection does not.
fn read_flow(text: &str) -> Option<Flow> {
    let mut parts = text.split(' ');
    let protocol = Protocol::parse(parts.next()?).filter(|protocol| !protocol.is_reliable())?;
    let mut address = || parts.next()?.parse::<SocketAddr>().ok();
    Some(Flow { protocol, local: address()?, remote: address()?, connection: None })
}
