//! Watchers that are remembered for a user who was not there (`store_winfo`): one row for each watcher and package.

use std::hash::Hasher;
use std::time::{Duration, Instant};

use signalbox::clock::Clock;
use signalbox::storage::{Database, Row, StorageError, Write};
use signalbox_sip::uri::Aor;
use siphasher::sip::SipHasher13;

use super::tables::{MIGRATIONS, OFFLINE_WINFO};
use super::write::{key, unix};
use crate::packages::Remembered;
use crate::presentity::Domain;
use crate::token::Token;

/// The table of remembered watchers.
pub struct OfflineWatchers {
    database: Database,
    clock: Clock,
    expiration: Duration,
}

/// Who is watched.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    pub uid: &'a str,
    pub domain: Domain,
    pub package: &'a str,
}

/// Who watches.
#[derive(Debug, Clone, Copy)]
pub struct Visitor<'a> {
    pub uri: &'a str,
    pub display_name: &'a str,
    /// What `handle_subscription` said of the subscription.
    pub status: &'a str,
}

impl OfflineWatchers {
    /// Brings the table about where it is missing. Rows are kept for `expiration`.
    pub async fn open(database: Database, clock: Clock, expiration: Duration) -> Result<Self, StorageError> {
        database.migrate("pa", &MIGRATIONS).await?;
        Ok(Self { database, clock, expiration })
    }

    /// Remembers a watcher; one that is remembered already is remembered for longer.
    pub fn put(&self, watched: Watched<'_>, visitor: Visitor<'_>) -> Write {
        let now = self.clock.now();
        let row = vec![
            key(id(watched, visitor.uri).0),
            watched.uid.into(),
            watched.domain.as_str().into(),
            watched.package.into(),
            visitor.uri.into(),
            visitor.display_name.into(),
            visitor.status.into(),
            self.unix(now).into(),
            self.unix(now + self.expiration).into(),
        ];
        self.database.journal().put(&OFFLINE_WINFO, row)
    }

    /// Those who are remembered for a user and a package.
    pub async fn find(&self, watched: Watched<'_>) -> Result<Vec<Remembered>, StorageError> {
        let filter = [
            ("uid", watched.uid.into()),
            ("domain", watched.domain.as_str().into()),
            ("package", watched.package.into()),
        ];
        let rows = self.database.find(&OFFLINE_WINFO, &filter).await?;
        let now = self.clock.now();
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            if row.integer("expires")? > self.unix(now) {
                found.push(self.remembered(&row, now)?);
            }
        }
        Ok(found)
    }

    fn remembered(&self, row: &Row, now: Instant) -> Result<Remembered, StorageError> {
        let ago = u64::try_from(self.unix(now).saturating_sub(row.integer("created")?)).unwrap_or(0);
        Ok(Remembered {
            id: Token(row.integer("id")?.cast_unsigned()),
            uri: row.text("watcher")?.into(),
            display_name: row.text("display_name")?.into(),
            since: now.checked_sub(Duration::from_millis(ago)).unwrap_or(now),
        })
    }

    /// The user has been told. Nobody waits for this: who is still there is told once more.
    pub fn forget(&self, id: Token) {
        drop(self.database.journal().delete(&OFFLINE_WINFO, vec![key(id.0)]));
    }

    /// Removes those whose time is over, and says how many those were.
    pub async fn clean(&self) -> Result<usize, StorageError> {
        let (now, mut over) = (self.unix(self.clock.now()), Vec::new());
        let look = |row: Row| {
            if row.integer("expires")? <= now {
                over.push(Token(row.integer("id")?.cast_unsigned()));
            }
            Ok(())
        };
        self.database.load(&OFFLINE_WINFO, look).await?;
        over.iter().for_each(|id| self.forget(*id));
        Ok(over.len())
    }

    fn unix(&self, at: Instant) -> i64 {
        unix(&self.clock, at)
    }
}

/// The row of a watcher and package. Watchers are told apart by address of record, however it is written.
fn id(watched: Watched<'_>, uri: &str) -> Token {
    let aor = Aor::parse(uri);
    let uri = aor.as_ref().map_or(uri, Aor::as_str);
    // Without a key: the same watcher must find its row after a restart.
    let mut hasher = SipHasher13::new();
    for part in [watched.uid, watched.domain.as_str(), watched.package, uri] {
        hasher.write(part.as_bytes());
        hasher.write_u8(0xff);
    }
    Token(hasher.finish())
}
