//! The sessions of the writer on a database server: one at a time.
//!
//! A write that was given up may still wait in the database server, for a row or for the disk. It could be executed
//! after a later write of the same row over another connection. So a session writes only while it holds the lock of its
//! writer. The previous session has ended then, and none of its writes is executed any more.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::driver::{ANSWER_TIME, Driver, answered};
use super::{Engine, sql};

/// How long a session may take to end once it was told to.
const ENDING_TIME: Duration = Duration::from_secs(2);
/// How long one statement may run before the database ends it. This is for sessions of killed servers: a living server
/// gives up earlier.
const STATEMENT_TIME: Duration = ANSWER_TIME.saturating_add(Duration::from_secs(1));
/// How long a server that starts waits for the session of one that was killed.
const CLAIM_TIME: Duration = STATEMENT_TIME.saturating_add(Duration::from_secs(2));
/// Pause between two attempts to take a lock.
const PAUSE: Duration = Duration::from_millis(50);

/// The sessions of one writer. SQLite has none: there the end of a connection can be waited for.
pub(super) struct Sessions {
    engine: Engine,
    /// The key of this writer's lock. It is random, so no other program uses the same.
    key: u64,
}

impl Sessions {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, key: RandomState::new().hash_one(0) }
    }

    /// Makes `connection` the session of this writer and ends the previous one. Fails if that does not end, because it
    /// may still execute a write.
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
                // The session has ended meanwhile; if not, the deadline applies.
                Ok(()) | Err(sqlx::Error::Database(_)) => sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether this server is the only one that uses the database. The first call waits for the session of a killed
    /// server to end.
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
