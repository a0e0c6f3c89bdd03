//! The module's tables, as they are written.

use std::time::{Duration, Instant, SystemTime};

use signalbox::clock::Clock;
use signalbox::storage::{Change, Database, Hold, StorageError, Value, Write};

use super::tables::{MIGRATIONS, PUBLICATION, RESERVATION, STOP, SUBSCRIPTION};
use crate::agent::Target;
use crate::notify::Way;
use crate::publication::Published;
use crate::rejection::Rejection;
use crate::subscription::Accepted;
use crate::token::Token;

/// The module's tables.
pub struct Store {
    pub(super) database: Database,
    pub(super) clock: Clock,
}

impl Store {
    /// Brings the tables about where they are missing.
    pub async fn open(database: Database, clock: Clock) -> Result<Self, StorageError> {
        database.migrate("pa", &MIGRATIONS).await?;
        Ok(Self { database, clock })
    }

    /// Writes a subscription as it is after a SUBSCRIBE; one that has ended is deleted.
    pub fn put_subscription(&self, target: &Target<'_>, package: &str, accepted: &Accepted, way: &Way) -> Write {
        if accepted.expires.is_zero() {
            return self.remove_subscription(accepted.id);
        }
        let now = self.clock.now();
        let row = vec![
            key(accepted.id.0),
            target.uid.into(),
            target.aor.into(),
            target.domain.as_str().into(),
            package.into(),
            accepted.status.as_str().into(),
            accepted.wishes.form.text().into(),
            accepted.cseq.into(),
            accepted.mark.into(),
            self.unix(accepted.since).into(),
            self.unix(now + accepted.expires).into(),
            way.notify_text().into(),
            way.flow_text().into(),
            accepted.wishes.condition.map(|condition| condition.to_string()).into(),
            (!accepted.wishes.rates.is_empty()).then(|| accepted.wishes.rates.to_string()).into(),
        ];
        self.database.journal().put(&SUBSCRIPTION, row)
    }

    /// Notes that the module stops with every watcher told.
    pub fn put_stop(&self) -> Write {
        self.database.journal().put(&STOP, vec![STOPPED])
    }

    pub fn remove_subscription(&self, id: Token) -> Write {
        let id = [key(id.0)];
        self.database.journal().write([Change::delete(&SUBSCRIPTION, id.clone()), Change::delete(&RESERVATION, id)])
    }

    /// Has the database count as busy while what follows from a commit is still to be done.
    pub fn hold(&self) -> Hold {
        self.database.journal().hold()
    }

    pub fn reserve(&self, id: Token, mark: u32) -> Write {
        self.database.journal().put(&RESERVATION, vec![key(id.0), mark.into()])
    }

    /// Writes a publication as it is after a PUBLISH; one that was removed is deleted.
    pub fn put_publication(&self, target: &Target<'_>, package: &str, published: &Published) -> Write {
        let Some(content) = &published.content else {
            return self.remove_publication(published.id);
        };
        let row = vec![
            key(published.id),
            target.uid.into(),
            target.aor.into(),
            target.domain.as_str().into(),
            package.into(),
            key(published.entity_tag.0),
            self.unix(published.modified).into(),
            self.unix(self.clock.now() + published.expires).into(),
            (&*content.content_type).into(),
            content.body.clone().into(),
        ];
        self.database.journal().put(&PUBLICATION, row)
    }

    pub fn remove_publication(&self, id: u64) -> Write {
        self.database.journal().delete(&PUBLICATION, vec![key(id)])
    }

    fn unix(&self, at: Instant) -> i64 {
        unix(&self.clock, at)
    }

    /// The moment that [`unix`] wrote; now where that lies before anything that this process can name.
    pub(super) fn instant(&self, unix: i64) -> Instant {
        let now = self.clock.now();
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(unix).unwrap_or(0));
        match self.clock.unix(now).duration_since(at) {
            Ok(ago) => now.checked_sub(ago).unwrap_or(now),
            Err(_) => now,
        }
    }

    /// What is left until then.
    pub(super) fn left(&self, unix: i64) -> Duration {
        let end = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(unix).unwrap_or(0));
        end.duration_since(self.clock.unix(self.clock.now())).unwrap_or_default()
    }
}

/// The only row of its table.
pub(super) const STOPPED: Value = Value::Integer(1);

pub(super) fn left_out(uid: &str) -> bool {
    tracing::warn!(uid, "a row in the database makes no sense and was left out");
    false
}

/// Logs a publication that the program which wrote it accepted and this one refuses.
pub(super) fn left_out_because(uid: &str, rejection: &Rejection) -> bool {
    tracing::warn!(uid, %rejection, "a publication in the database was left out");
    false
}

/// Milliseconds since 1970.
pub(super) fn unix(clock: &Clock, at: Instant) -> i64 {
    let since = clock.unix(at).duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

/// Databases count from the middle.
pub(super) fn key(number: u64) -> Value {
    Value::Integer(number.cast_signed())
}

pub(super) fn number(stored: i64) -> u32 {
    u32::try_from(stored).unwrap_or(0)
}
