//! What can go wrong with a database, and who is at fault.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;

/// How long a client should wait before it asks again for something that needs the database (Retry-After of a 503).
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An error of the storage. Cheap to clone: a failed commit gives it to every write that was part of it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The database cannot be reached or cannot write. What was written may or may not be there; writing it again is safe.
    #[error("database {database} is not available: {reason}")]
    Unavailable { database: Arc<str>, reason: Arc<str> },
    /// More writes are waiting than the queue holds.
    #[error("database {database} is overloaded: {waiting} writes are waiting")]
    Overloaded { database: Arc<str>, waiting: usize },
    /// The database looked at this write or query and said no.
    #[error("database {database} refused a statement: {reason}")]
    Refused { database: Arc<str>, reason: Arc<str> },
    /// The database was closed because the program stops.
    #[error("database {database} is closed")]
    Closed { database: Arc<str> },
    #[error(
        "{url:?} is not a database URL: {problem}; right would be sqlite:var/signalbox.db, postgres://user:password@host/name or mysql://user:password@host/name"
    )]
    Url { url: Box<str>, problem: Arc<str> },
    #[error("cannot create the folder {folder} for the database: {reason}")]
    Folder { folder: Box<str>, reason: Arc<str> },
    /// Another server uses the database. Two servers would overwrite each other's state.
    #[error(
        "database {database} is used by another server, which holds {lock}; stop that server, or give this one another database"
    )]
    InUse { database: Arc<str>, lock: Box<str> },
    /// Tables were written by a newer program.
    #[error(
        "tables of {module} in database {database} are of version {found}, newer than this program knows ({known}); start the newer program, or give this one another database"
    )]
    Newer { database: Arc<str>, module: Box<str>, found: i64, known: i64 },
    #[error("migration {version} ({name}) of {module} failed on {engine} database {database}: {reason}")]
    Migration {
        database: Arc<str>,
        engine: Engine,
        module: Box<str>,
        version: i64,
        name: &'static str,
        reason: Arc<str>,
    },
    #[error("migrations of {module} are not numbered 1, 2, 3 …: found {found} where {expected} belongs")]
    Numbering { module: Box<str>, expected: i64, found: i64 },
    /// A row or key has other values than the table's columns hold.
    #[error("values do not fit the columns of table {table}")]
    Shape { table: &'static str },
    #[error("table {table} has no column {column}")]
    NoColumn { table: &'static str, column: Box<str> },
    #[error("column {column} of table {table} is NULL")]
    Null { table: &'static str, column: Box<str> },
    #[error("column {column} of table {table} holds another kind of value")]
    Kind { table: &'static str, column: Box<str> },
}

impl StorageError {
    /// Whether a row has other values than its reader expects.
    pub(super) fn is_of_row(&self) -> bool {
        matches!(self, Self::Null { .. } | Self::Kind { .. })
    }

    /// For a 503: how long to wait before asking again. `None` when asking again would not help.
    pub fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Unavailable { .. } | Self::Overloaded { .. } | Self::Closed { .. }).then_some(RETRY_AFTER)
    }
}

/// What a failed statement says about the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The connection or the whole database: nothing else would have worked either.
    Database,
    /// Another transaction was in the way; the same again may work.
    Conflict,
    /// These values or this statement.
    Statement,
}

impl Blame {
    pub(super) fn of(error: &sqlx::Error) -> Self {
        let sqlx::Error::Database(error) = error else {
            return match error {
                sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => Self::Statement,
                _ => Self::Database,
            };
        };
        let code = error.code().unwrap_or_default();
        if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
            return Self::of_sqlite(code.parse().unwrap_or(0));
        }
        // MySQL tells some faults of values by number only: no default value, incorrect string value.
        match error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().map(sqlx::mysql::MySqlDatabaseError::number) {
            Some(1364 | 1366) => Self::Statement,
            _ => Self::of_sqlstate(&code),
        }
    }

    /// By SQLite's result code (the low byte of an extended one).
    fn of_sqlite(code: u32) -> Self {
        match code & 0xff {
            // SQLITE_ERROR, TOOBIG, CONSTRAINT, MISMATCH, RANGE
            1 | 18 | 19 | 20 | 25 => Self::Statement,
            // BUSY, LOCKED
            5 | 6 => Self::Conflict,
            // FULL, IOERR, CANTOPEN, READONLY, CORRUPT and the like
            _ => Self::Database,
        }
    }

    /// By SQLSTATE's class: the first two characters.
    fn of_sqlstate(code: &str) -> Self {
        match code.get(..2) {
            // data exception, integrity constraint, syntax or access rule, feature, cardinality
            Some("22" | "23" | "42" | "0A" | "21") => Self::Statement,
            // serialization failure, deadlock
            Some("40") => Self::Conflict,
            _ => Self::Database,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blame_follows_the_code() {
        assert_eq!(Blame::of_sqlite(1555), Blame::Statement, "SQLITE_CONSTRAINT_PRIMARYKEY");
        assert_eq!(Blame::of_sqlite(13), Blame::Database, "SQLITE_FULL");
        assert_eq!(Blame::of_sqlite(517), Blame::Conflict, "SQLITE_BUSY_SNAPSHOT");
        assert_eq!(Blame::of_sqlstate("22001"), Blame::Statement, "string too long");
        assert_eq!(Blame::of_sqlstate("40P01"), Blame::Conflict, "deadlock");
        assert_eq!(Blame::of_sqlstate("57P01"), Blame::Database, "admin shutdown");
    }

    #[test]
    fn only_what_may_pass_by_itself_asks_to_retry() {
        let database: Arc<str> = "sqlite:x".into();
        assert!(StorageError::Overloaded { database: database.clone(), waiting: 1 }.retry_after().is_some());
        assert!(StorageError::Refused { database, reason: "no".into() }.retry_after().is_none());
    }
}
