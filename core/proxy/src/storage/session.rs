//! What the writer is to a database server: one session at a time.
//!
//! A write that was given up may still be in the server, waiting for a row or for a disk, and may be made after a later one of the same row
//! that came over another connection. So a session writes only while it has a lock that stands for its writer: the session before has ended
//! then, and nothing of it is made any more.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::driver::{ANSWER_TIME, Driver, answered};
use super::{Engine, sql};

/// How long a session may take to end once it was told to.
const ENDING_TIME: Duration = Duration::from_secs(2);
/// How long a session may be at one statement before the server gives it up by itself. This is for sessions of servers that were killed:
/// while a server lives, it gives up first.
const STATEMENT_TIME: Duration = ANSWER_TIME.saturating_add(Duration::from_secs(1));
/// How long a server that starts waits for the session of one that was killed.
const CLAIM_TIME: Duration = STATEMENT_TIME.saturating_add(Duration::from_secs(2));
/// Pause between two questions for a lock.
const PAUSE: Duration = Duration::from_millis(50);

/// The sessions of one writer. SQLite has none: there the end of a connection can be waited for.
pub(super) struct Sessions {
    engine: Engine,
    /// Of the lock that stands for this writer. No other program can have chosen the same.
    key: u64,
}

impl Sessions {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, key: RandomState::new().hash_one(0) }
    }

    /// Makes `connection` the session of this writer, and ends any that it had before. An error if that does not end: it may have a write to
    /// make yet.
    pub(super) async fn take_over(&self, connection: &mut dyn Driver) -> sqlx::Result<()> {
        let Some(lock) = sql::writer_lock(self.engine, self.key) else { return Ok(()) };
        answered(connection.run(sql::time_limits(self.engine, STATEMENT_TIME).into())).await?;
        let (take, end): (Arc<str>, Arc<str>) = (lock.take.into(), lock.end.into());
        let deadline = Instant::now() + ENDING_TIME;
        while !answered(connection.ask(take.clone())).await? {
            if Instant::now() >= deadline {
                return Err(sqlx::Error::Io(io::Error::other("the session of a write that was given up does not end")));
            }
            match answered(connection.run(end.clone())).await {
                // It has ended meanwhile, or shows at the deadline.
                Ok(()) | Err(sqlx::Error::Database(_)) => sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether this server has the database for itself. The first time, the session of a server that was killed is waited for.
    pub(super) async fn claim(&self, connection: &mut dyn Driver, first: bool) -> sqlx::Result<bool> {
        let Some(claim) = sql::claim(self.engine) else { return Ok(true) };
        let deadline = Instant::now() + if first { CLAIM_TIME } else { ENDING_TIME };
        while !answered(connection.ask(claim.into())).await? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(PAUSE).await;
        }
        Ok(true)
    }
}
