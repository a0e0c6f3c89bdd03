//! Watchers that are remembered for a user who was not there (`store_winfo`): one row for each watcher and package.

use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use signalbox::clock::Clock;
use signalbox::storage::{Change, Database, Row, StorageError, Write};
use signalbox_sip::message::readable;
use signalbox_sip::uri::{Aor, escape_octets};
use siphasher::sip::SipHasher13;

use super::tables::{MIGRATIONS, OFFLINE_WINFO};
use super::write::{key, unix};
use crate::functions::stored::{MAX_DISPLAY_NAME, MAX_URI};
use crate::packages::Remembered;
use crate::presentity::Domain;
use crate::token::Token;

/// Most watchers that are remembered for one user and package, and for all together. A stranger adds one with each
/// SUBSCRIBE.
const MAX_FOR_USER: usize = 1000;
const MAX_IN_ALL: usize = 100_000;
/// Rows deleted by one statement at the start.
const REMOVED_AT_ONCE: usize = 1000;
/// Most octets of the texts that are kept of one watcher.
const MAX_TEXTS: usize = MAX_URI + MAX_DISPLAY_NAME;

/// The table of remembered watchers.
pub struct OfflineWatchers {
    database: Database,
    clock: Clock,
    expiration: Duration,
    counted: Mutex<Counted>,
}

/// The number of rows, in total and per user.
#[derive(Debug, Default)]
struct Counted {
    watched: HashMap<Token, Token>,
    of_user: HashMap<Token, usize>,
}

impl Counted {
    /// Adds a row; false if there are too many.
    fn add(&mut self, id: Token, watched: Token) -> bool {
        if self.watched.contains_key(&id) {
            return true;
        }
        let of_user = self.of_user.get(&watched).copied().unwrap_or(0);
        if of_user >= MAX_FOR_USER || self.watched.len() >= MAX_IN_ALL {
            return false;
        }
        self.of_user.insert(watched, of_user + 1);
        self.watched.insert(id, watched);
        true
    }

    fn remove(&mut self, id: Token) {
        let Some(watched) = self.watched.remove(&id) else { return };
        if let Some(count) = self.of_user.get_mut(&watched) {
            *count -= 1;
            if *count == 0 {
                self.of_user.remove(&watched);
            }
        }
    }
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
        let (mut counted, mut over) = (Counted::default(), Vec::new());
        let look = |row: Row| {
            let id = Token(row.integer("id")?.cast_unsigned());
            let whose = hash(&[row.text("uid")?, row.text("domain")?, row.text("package")?]);
            if !fits(row.text("watcher")?, row.text("display_name")?) || !counted.add(id, whose) {
                over.push(id);
            }
            Ok(())
        };
        database.load(&OFFLINE_WINFO, look).await?;
        let watchers = Self { database, clock, expiration, counted: Mutex::new(counted) };
        if !over.is_empty() {
            tracing::warn!(
                rows = over.len(),
                "watchers of users who are away are over today's limits and were removed"
            );
        }
        // Before anybody reads them.
        for over in over.chunks(REMOVED_AT_ONCE) {
            let removals = over.iter().map(|id| Change::delete(&OFFLINE_WINFO, [key(id.0)]));
            watchers.database.journal().write(removals).await?;
        }
        Ok(watchers)
    }

    /// Remembers a watcher, or extends the time of one that is already remembered. Does nothing if there are too many,
    /// or if its texts are longer than those of a subscription may be.
    pub fn put(&self, watched: Watched<'_>, visitor: Visitor<'_>) -> Option<Write> {
        let whose = hash(&[watched.uid, watched.domain.as_str(), watched.package]);
        if !fits(visitor.uri, visitor.display_name) || !self.counted().add(id(watched, visitor.uri), whose) {
            return None;
        }
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
        Some(self.database.journal().put(&OFFLINE_WINFO, row))
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
            // One bad row does not hide the others.
            match row.integer("expires").and_then(|expires| Ok((expires, self.remembered(&row, now)?))) {
                Ok((expires, watcher)) if expires > self.unix(now) => found.push(watcher),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, uid = watched.uid, "a watcher in the database was left out"),
            }
        }
        Ok(found)
    }

    fn remembered(&self, row: &Row, now: Instant) -> Result<Remembered, StorageError> {
        let ago = u64::try_from(self.unix(now).saturating_sub(row.integer("created")?)).unwrap_or(0);
        Ok(Remembered {
            id: Token(row.integer("id")?.cast_unsigned()),
            // In today's spelling, whatever the program that wrote the row used.
            uri: escape_octets(row.text("watcher")?).into(),
            display_name: readable(row.text("display_name")?).into(),
            since: now.checked_sub(Duration::from_millis(ago)).unwrap_or(now),
        })
    }

    /// The user has been told. Nobody waits for this: who is still there is told once more.
    pub fn forget(&self, id: Token) {
        self.counted().remove(id);
        drop(self.database.journal().delete(&OFFLINE_WINFO, vec![key(id.0)]));
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        // A panic under the lock leaves a count that is wrong by one at most.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
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

fn fits(uri: &str, display_name: &str) -> bool {
    uri.len() + display_name.len() <= MAX_TEXTS
}

/// The row of a watcher and package. Watchers are told apart by address of record, however it is written.
fn id(watched: Watched<'_>, uri: &str) -> Token {
    let aor = Aor::parse(uri);
    let uri = aor.as_ref().map_or(uri, Aor::as_str);
    hash(&[watched.uid, watched.domain.as_str(), watched.package, uri])
}

fn hash(parts: &[&str]) -> Token {
    // Without a key: the same watcher must find its row after a restart.
    let mut hasher = SipHasher13::new();
    for part in parts {
        hasher.write(part.as_bytes());
        hasher.write_u8(0xff);
    }
    Token(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_watchers_are_remembered_for_a_user_and_again_when_some_were_told_of() {
        let (mut counted, alice, bob) = (Counted::default(), Token(1), Token(2));
        for number in 0..MAX_FOR_USER {
            assert!(counted.add(Token(number as u64), alice));
        }
        assert!(!counted.add(Token(9_999), alice));
        assert!(counted.add(Token(0), alice), "one that is known stays");
        assert!(counted.add(Token(9_999), bob));
        counted.remove(Token(5));
        assert!(counted.add(Token(10_000), alice));
    }
}
