//! An open database: a journal for writing, a pool for reading, and its health.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::driver::{ANSWER_TIME, Pool, connect};
use super::error::Blame;
use super::file::DatabaseFile;
use super::journal::Shared;
use super::migrate::Plan;
use super::url::{Target, shown};
use super::writer::Writer;
use super::{Engine, Journal, Kind, Migration, Options, Row, StorageError, Table, Value, sql};

/// Chunks of rows read ahead of whoever loads them.
const READ_AHEAD: usize = 4;

/// An open database. A cheap handle; opened by [`Storage::open`](super::Storage::open). Its methods may be called from any thread and runtime.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    engine: Engine,
    target: Target,
    journal: Journal,
    pool: Pool,
    /// Taken by whoever closes.
    writer: Mutex<Option<JoinHandle<()>>>,
    background: Handle,
}

impl Database {
    /// Connects, to be called on the background runtime.
    pub(super) async fn open(url: &str, background: &Handle, options: &Options) -> Result<Self, StorageError> {
        let target = Target::parse(url)?;
        target.create_folder()?;
        let mut shared = Shared::new(shown(url).into(), options.queue, options.fault.clone());
        shared.file = target.file(url).map(|path| DatabaseFile::open(path, options.exclusive)).transpose()?;
        let shared = Arc::new(shared);
        let writer = Writer::open(shared.clone(), target.clone(), options).await;
        let writer = background.spawn(writer.map_err(|error| shared.unavailable(&error.to_string()))?.run());
        Ok(Self(Arc::new(Inner {
            engine: target.engine(),
            pool: Pool::new(&target),
            target,
            journal: Journal(shared),
            writer: Mutex::new(Some(writer)),
            background: background.clone(),
        })))
    }

    /// Takes writes; see [`Journal`].
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    pub fn engine(&self) -> Engine {
        self.0.engine
    }

    /// The URL without the password.
    pub fn name(&self) -> &str {
        &self.shared().database
    }

    /// Brings a module's tables to the newest of `migrations`, numbered 1, 2, 3 …, and returns how many were needed.
    /// [`StorageError::Newer`] when a newer program was here before.
    pub async fn migrate(&self, module: &str, migrations: &'static [Migration]) -> Result<usize, StorageError> {
        let (inner, module) = (self.0.clone(), module.to_owned());
        self.on_background(async move {
            let shared = &inner.journal.0;
            // A connection that may hold locks when it fails is not one to give back.
            let mut connection =
                connect(&inner.target).await.map_err(|error| shared.unavailable(&error.to_string()))?;
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            let plan = Plan {
                database: shared.database.clone(),
                engine: inner.engine,
                module: &module,
                migrations,
                now: i64::try_from(now).unwrap_or(i64::MAX),
            };
            plan.apply(&mut *connection).await
        })
        .await
    }

    /// Reads a whole table, row by row. A row that cannot be read, here or by `each`, is left out with a line in the
    /// log, because one bad row must not prevent a start. The first other error of `each` ends the reading.
    pub async fn load(
        &self,
        table: &'static Table,
        mut each: impl FnMut(Row) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let tolerant = |row| match each(row) {
            Err(error) if error.is_of_row() => {
                tracing::warn!(%error, "a row in the database was left out");
                Ok(())
            }
            done => done,
        };
        self.select(table, &[], tolerant).await
    }

    /// The rows of which each of the given columns holds the given value.
    pub async fn find(&self, table: &'static Table, filter: &[(&str, Value)]) -> Result<Vec<Row>, StorageError> {
        let mut found = Vec::new();
        self.select(table, filter, |row| {
            found.push(row);
            Ok(())
        })
        .await?;
        Ok(found)
    }

    async fn select(
        &self,
        table: &'static Table,
        filter: &[(&str, Value)],
        mut each: impl FnMut(Row) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let _counted = self.shared().count_read();
        if let Some(error) = self.shared().health.error() {
            return Err(error);
        }
        let names: Vec<_> = filter.iter().map(|(name, _)| *name).collect();
        let text = sql::select(self.0.engine, table, &names).into();
        let parameters =
            filter.iter().map(|(name, value)| Ok((table.columns[table.position(name)?].kind, value.clone())));
        let parameters = parameters.collect::<Result<Vec<_>, StorageError>>()?;
        let (rows, mut received) = mpsc::channel(READ_AHEAD);
        let inner = self.0.clone();
        let reading = self.0.background.spawn(async move { inner.read(text, parameters, table, rows).await });
        while let Some(chunk) = received.recv().await {
            for row in chunk {
                each(row)?;
            }
        }
        reading.await.unwrap_or_else(|_| Err(StorageError::Closed { database: self.shared().database.clone() }))
    }

    /// Whether the database answered last. While it does not, writes and reads are refused at once with [`StorageError::Unavailable`].
    pub fn healthy(&self) -> bool {
        self.shared().health.is_healthy()
    }

    /// Calls `listener` with false when the database is gone and with true when it is back; on the background runtime, so it must not block.
    pub fn on_state_change(&self, listener: impl Fn(bool) + Send + Sync + 'static) {
        self.shared().health.listen(Box::new(listener));
    }

    /// Writes and queries under way. With virtual time nothing is pending when this is 0, then all tasks ran until idle, and it is still 0:
    /// it becomes 0 only after the tasks that wait were woken.
    pub fn in_flight(&self) -> usize {
        self.0.journal.in_flight()
    }

    /// Takes no more writes, commits those that wait and closes all connections.
    pub async fn close(&self) {
        self.shared().close();
        let inner = self.0.clone();
        let closing = async move {
            let writer = inner.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(writer) = writer {
                let _ = writer.await;
            }
            // Closing does not wait for a database that does not answer.
            let _ = timeout(ANSWER_TIME, inner.pool.close()).await;
            Ok(())
        };
        // The only error is that the runtime has ended, and all connections with it.
        let _ = self.on_background(closing).await;
    }

    /// Whether both are handles of one database.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn shared(&self) -> &Shared {
        &self.0.journal.0
    }

    /// Runs on the background runtime, whose driver the connections belong to.
    async fn on_background<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StorageError>> + Send + 'static,
    ) -> Result<T, StorageError> {
        let closed = || StorageError::Closed { database: self.shared().database.clone() };
        self.0.background.spawn(work).await.unwrap_or_else(|_| Err(closed()))
    }
}

impl Inner {
    async fn read(
        &self,
        text: Arc<str>,
        parameters: Vec<(Kind, Value)>,
        table: &'static Table,
        rows: mpsc::Sender<Vec<Row>>,
    ) -> Result<(), StorageError> {
        let shared = &self.journal.0;
        let parameters = parameters.iter().map(|(kind, value)| (*kind, value)).collect();
        let read = async {
            if shared.outage() {
                return Err(sqlx::Error::PoolTimedOut);
            }
            shared.check_file()?;
            self.pool.lend().await?.driver().fetch(text, parameters, table, rows).await
        };
        let Err(error) = read.await else { return Ok(()) };
        if Blame::of(&error) == Blame::Statement {
            return Err(StorageError::Refused { database: shared.database.clone(), reason: error.to_string().into() });
        }
        shared.health.suspect();
        shared.bell.notify_one();
        Err(shared.unavailable(&error.to_string()))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.journal.0.close();
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("name", &self.name()).field("engine", &self.0.engine).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Column, Sql, Storage};

    static NOTES: Table =
        Table { name: "notes", columns: &[Column::text("id"), Column::integer("size"), Column::blob("body")], key: 1 };

    static FIRST: [Migration; 1] = [Migration {
        version: 1,
        name: "table notes",
        sql: Sql::All("CREATE TABLE notes (id {key} PRIMARY KEY, size {integer}, body {blob})"),
    }];

    static SECOND: [Migration; 2] = [
        Migration { version: 1, name: "table notes", sql: Sql::All("not run again") },
        Migration {
            version: 2,
            name: "index on size",
            sql: Sql::Each { sqlite: "CREATE INDEX notes_size ON notes (size)", postgres: "unused", mysql: "unused" },
        },
    ];

    static BROKEN: [Migration; 2] = [
        Migration { version: 1, name: "table other", sql: Sql::All("CREATE TABLE other (id {key})") },
        Migration { version: 2, name: "mistake", sql: Sql::All("CREATE TABEL another (id {key})") },
    ];

    static GAP: [Migration; 1] = [Migration { version: 3, name: "third", sql: Sql::All("unused") }];

    async fn open(folder: &tempfile::TempDir) -> Database {
        let storage = Storage::new(Handle::current());
        storage.open(&format!("sqlite:{}/a.db", folder.path().display())).await.unwrap()
    }

    #[tokio::test]
    async fn each_migration_is_applied_once() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder).await;
        assert_eq!(database.migrate("notes", &FIRST).await.unwrap(), 1);
        assert_eq!(database.migrate("notes", &FIRST).await.unwrap(), 0);
        assert_eq!(database.migrate("notes", &SECOND).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn tables_of_a_newer_program_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder).await;
        database.migrate("notes", &FIRST).await.unwrap();
        database.migrate("notes", &SECOND).await.unwrap();
        let error = database.migrate("notes", &FIRST).await.unwrap_err();
        assert!(matches!(error, StorageError::Newer { found: 2, known: 1, .. }), "{error}");
    }

    #[tokio::test]
    async fn a_migration_that_fails_is_named_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder).await;
        let error = database.migrate("broken", &BROKEN).await.unwrap_err();
        assert!(error.to_string().contains("migration 2 (mistake) of broken failed"), "{error}");
        let applied = database.migrate("broken", &BROKEN[..1]).await.unwrap();
        assert_eq!(applied, 1, "the first one was rolled back with the second");
    }

    #[tokio::test]
    async fn migrations_must_be_numbered_without_gaps() {
        let folder = tempfile::tempdir().unwrap();
        let error = open(&folder).await.migrate("gap", &GAP).await.unwrap_err();
        assert!(matches!(error, StorageError::Numbering { expected: 1, found: 3, .. }), "{error}");
    }

    static SPOILT: [Migration; 2] = [
        Migration { version: 1, name: "table notes", sql: Sql::All("not run again") },
        Migration {
            version: 2,
            name: "rows that another program left",
            sql: Sql::All(
                "INSERT INTO notes VALUES ('number', 'none', x'00'), (CAST(x'ff' AS TEXT), 1, x'00'), ('null', NULL, x'00'), ('good', 2, x'00')",
            ),
        },
    ];

    #[tokio::test]
    async fn a_row_that_cannot_be_read_is_left_out_and_the_others_are_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder).await;
        database.migrate("spoilt", &FIRST).await.unwrap();
        database.migrate("spoilt", &SPOILT).await.unwrap();
        let mut sizes = Vec::new();
        let each = |row: Row| {
            sizes.push((row.text("id")?.to_owned(), row.integer("size")?));
            Ok(())
        };
        database.load(&NOTES, each).await.unwrap();
        assert_eq!(sizes, [("good".to_owned(), 2)]);
        assert!(database.load(&NOTES, |row| row.text("nonsense").map(drop)).await.is_err(), "a mistake of the program");
    }

    #[tokio::test]
    async fn a_table_is_loaded_row_by_row() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder).await;
        database.migrate("notes", &FIRST).await.unwrap();
        let row = |size: i64| [format!("n{size}").into(), size.into(), vec![7; size as usize].into()];
        database.journal().write((0..1000).map(|size| crate::storage::Change::put(&NOTES, row(size)))).await.unwrap();
        let mut sum = 0;
        let add = |row: Row| {
            assert_eq!(row.blob("body")?.len() as i64, row.integer("size")?);
            sum += row.integer("size")?;
            Ok(())
        };
        database.load(&NOTES, add).await.unwrap();
        assert_eq!(sum, 499_500);
        let found = database.find(&NOTES, &[("id", "n77".into())]).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].integer("size").unwrap(), 77);
        assert!(database.find(&NOTES, &[("id", "none".into())]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_database_in_memory_is_one_for_all_its_connections() {
        let database = Storage::new(Handle::current()).open("sqlite::memory:").await.unwrap();
        database.migrate("notes", &FIRST).await.unwrap();
        let writes: Vec<_> = (0..500i64)
            .map(|size| database.journal().put(&NOTES, [format!("n{size}").into(), size.into(), Value::Null]))
            .collect();
        let found = database.find(&NOTES, &[("id", "n1".into())]).await;
        assert!(found.is_ok(), "reading beside the writer: {found:?}");
        for write in writes {
            write.await.unwrap();
        }
        assert_eq!(database.find(&NOTES, &[]).await.unwrap().len(), 500);
    }

    #[tokio::test]
    async fn loading_ends_at_the_first_error_that_is_not_of_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder).await;
        database.migrate("notes", &FIRST).await.unwrap();
        let rows = (0..2000i64).map(|size| [format!("n{size}").into(), size.into(), Value::Null]);
        database.journal().write(rows.map(|row| crate::storage::Change::put(&NOTES, row))).await.unwrap();
        let mut seen = 0;
        let error = database.load(&NOTES, |row| {
            seen += 1;
            row.blob("nonsense").map(drop)
        });
        assert!(matches!(error.await, Err(StorageError::NoColumn { .. })));
        assert_eq!(seen, 1);
        assert_eq!(
            database.find(&NOTES, &[("size", 5i64.into())]).await.unwrap().len(),
            1,
            "the connection is still good"
        );
    }

    #[tokio::test]
    async fn a_query_for_a_missing_table_is_refused_and_the_database_stays_healthy() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder).await;
        let error = database.find(&NOTES, &[]).await.unwrap_err();
        assert!(matches!(error, StorageError::Refused { .. }), "{error}");
        assert!(database.healthy() && database.in_flight() == 0);
    }
}
