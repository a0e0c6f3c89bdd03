//! All databases of a process: one per URL, shared by its modules.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::url::canonical;
use super::{Database, Fault, StorageError};

/// Changes that may wait for a commit before writes are refused: half a minute's worth for a slow disk.
const QUEUE: usize = 50_000;
/// Under load, how long writes are gathered for one commit.
const GATHER: Duration = Duration::from_millis(3);

/// Pause between two attempts to reach a database that is gone.
const PROBE: Duration = Duration::from_millis(500);

/// How databases are opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Under load, commits start so far apart, or as soon as those whose writes were committed last have all written again, or when enough
    /// writes wait; a lone write is committed at once.
    pub gather: Duration,
    /// Changes that may wait; over it, writes are refused with [`StorageError::Overloaded`].
    pub queue: usize,
    /// Pause between two attempts to reach a database that is gone.
    pub probe: Duration,
    /// Whether the database is for one server only. A second server is refused (SQLite) or logs an error (PostgreSQL,
    /// MySQL). Commands that run beside the server leave this off.
    pub exclusive: bool,
    /// For tests.
    pub fault: Option<Arc<Fault>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { gather: GATHER, queue: QUEUE, probe: PROBE, exclusive: false, fault: None }
    }
}

/// Opens databases on the background runtime and keeps them.
#[derive(Debug)]
pub struct Storage {
    background: Handle,
    options: Options,
    open: Mutex<HashMap<String, Database>>,
}

impl Storage {
    pub fn new(background: Handle) -> Self {
        Self::with(background, Options::default())
    }

    pub fn with(background: Handle, options: Options) -> Self {
        Self { background, options, open: Mutex::default() }
    }

    /// The database at `url`, opened when nobody has done so before.
    ///
    /// `sqlite:path` (relative to the working folder, missing folders are created), `postgres://user:password@host/name`, `mysql://…`, `mariadb://…`.
    pub async fn open(&self, url: &str) -> Result<Database, StorageError> {
        let mut open = self.open.lock().await;
        let key = canonical(url);
        if let Some(database) = open.get(&key) {
            return Ok(database.clone());
        }
        let (owned, background, options) = (url.to_owned(), self.background.clone(), self.options.clone());
        let opening = self.background.spawn(async move { Database::open(&owned, &background, &options).await });
        let database = opening.await.unwrap_or_else(|_| Err(StorageError::Closed { database: key.as_str().into() }))?;
        open.insert(key, database.clone());
        Ok(database)
    }

    /// Writes and queries under way in all databases; see [`Database::in_flight`]. While one is being opened, that counts as well.
    pub fn in_flight(&self) -> usize {
        self.open.try_lock().map_or(1, |open| open.values().map(Database::in_flight).sum())
    }

    /// Whether all databases answer.
    pub fn healthy(&self) -> bool {
        self.open.try_lock().map_or(true, |open| open.values().all(Database::healthy))
    }

    /// Commits what waits and closes all connections, at the end of the program.
    pub async fn close(&self) {
        for (_, database) in self.open.lock().await.drain() {
            database.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_spellings_of_a_url_lead_to_one_database() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(Handle::current());
        let path = folder.path().display();
        let first = storage.open(&format!("sqlite:{path}/new/a.db")).await.unwrap();
        let second = storage.open(&format!("sqlite://{path}/new/./a.db")).await.unwrap();
        assert!(first.is_same(&second));
        assert!(!first.is_same(&storage.open(&format!("sqlite:{path}/b.db")).await.unwrap()));
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_opened_says_which_and_why() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(Handle::current());
        let error = storage.open(&format!("sqlite:{}", folder.path().display())).await.unwrap_err();
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    }

    #[tokio::test]
    async fn a_closed_database_has_everything_and_takes_nothing_more() {
        static T: crate::storage::Table =
            crate::storage::Table { name: "t", columns: &[crate::storage::Column::integer("id")], key: 1 };
        static CREATE: [crate::storage::Migration; 1] = [crate::storage::Migration {
            version: 1,
            name: "t",
            sql: crate::storage::Sql::All("CREATE TABLE t (id {integer} PRIMARY KEY)"),
        }];
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/a.db", folder.path().display());
        let storage = Storage::new(Handle::current());
        let database = storage.open(&url).await.unwrap();
        database.migrate("t", &CREATE).await.unwrap();
        let writes: Vec<_> = (0..100i64).map(|id| database.journal().put(&T, [id.into()])).collect();
        storage.close().await;
        for write in writes {
            write.await.unwrap();
        }
        let late = database.journal().put(&T, [7i64.into()]).await;
        assert!(matches!(late, Err(StorageError::Closed { .. })), "{late:?}");
        let again = storage.open(&url).await.unwrap();
        assert_eq!(again.find(&T, &[]).await.unwrap().len(), 100);
    }
}
