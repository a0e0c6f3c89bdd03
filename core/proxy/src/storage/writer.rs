//! The task that commits: takes what was gathered, writes one statement per table and size, and recovers when the database was gone.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashSet;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::batch::Outcome;
use super::driver::{CONNECT_TIMEOUT, Driver, Tuples, answered, connect};
use super::error::Blame;
use super::fault::Fate;
use super::journal::{Change, ENOUGH, Gathered, Shared};
use super::session::Sessions;
use super::url::Target;
use super::{Engine, Options, StorageError, Table, Value, sql};

/// Up to so many rows are one statement, and so one round trip to the database; the text for each number of rows is prepared once and cached.
const EXACT: usize = 64;
/// Rows per statement beyond that.
const SIZES: [usize; 2] = [256, 128];
/// Bytes of values per statement, well under MariaDB's default `max_allowed_packet` of 16 MiB.
const MAX_STATEMENT: usize = 4 << 20;
/// How often a transaction that another one was in the way of is tried.
const ATTEMPTS: u32 = 3;

pub(super) struct Writer {
    shared: Arc<Shared>,
    target: Target,
    engine: Engine,
    connection: Option<Box<dyn Driver>>,
    sessions: Sessions,
    /// Resolves when the connection that was given up last has ended.
    ending: Option<JoinHandle<()>>,
    /// Statement texts by table name, whether they delete, and number of rows.
    texts: HashMap<(&'static str, bool, usize), Arc<str>>,
    /// Under load, commits start at least so far apart.
    gather: Duration,
    /// Pause between two attempts to reach a database that is gone.
    probe: Duration,
    /// Whether this server must be the only one that uses the database.
    exclusive: bool,
}

impl Writer {
    /// Connects. Call it on the background runtime. A server waits until the session of a killed server has ended.
    pub(super) async fn open(shared: Arc<Shared>, target: Target, options: &Options) -> sqlx::Result<Self> {
        let mut writer = Self {
            engine: target.engine(),
            shared,
            sessions: Sessions::new(target.engine()),
            target,
            connection: None,
            ending: None,
            texts: HashMap::new(),
            gather: options.gather,
            probe: options.probe,
            exclusive: options.exclusive,
        };
        writer.connect_now(true).await?;
        Ok(writer)
    }

    /// Runs until the journal is closed and empty.
    pub(super) async fn run(mut self) {
        let (mut started, mut last) = (Instant::now(), 0);
        loop {
            if self.shared.health.take_suspicion() {
                self.check().await;
            }
            if !self.shared.health.is_healthy() && !self.recover().await {
                return;
            }
            // A lone write is committed at once. When writes come in numbers, a pause makes each much cheaper.
            if last > 1 {
                self.await_company(last, started + self.gather).await;
            }
            match self.shared.take() {
                Some(gathered) => {
                    (started, last) = (Instant::now(), gathered.changes.len());
                    self.commit(gathered).await;
                }
                None if self.shared.closed() => return,
                None if !self.shared.ready(1) => self.shared.bell.notified().await,
                None => {}
            }
        }
    }

    /// Waits for the next change of each writer that the last commit, of `last` changes, has set free, besides those that have come
    /// meanwhile: once all are there nobody else is likely to come. Not longer than until `deadline`, and changes before that do not wake
    /// this task.
    async fn await_company(&self, last: usize, deadline: Instant) {
        let wanted = ENOUGH.min(last + self.shared.waiting());
        if Instant::now() < deadline && !self.shared.ready(wanted) {
            // A ring that was meant for something else only makes a smaller batch.
            let _ = timeout_at(deadline, self.shared.bell.notified()).await;
        }
    }

    async fn commit(&mut self, gathered: Gathered) {
        let fate = self.shared.fault.as_ref().map_or(Fate::Commit, |fault| fault.fate());
        match fate {
            Fate::Crash => return self.shared.forget(&gathered),
            Fate::Outage => {
                let error = self.shared.unavailable("an outage was asked for");
                return self.go_down(gathered, error);
            }
            Fate::Commit | Fate::CommitSilently => {}
        }
        let outcome = self.attempt(&gathered).await;
        if let (Some(fault), Outcome::Committed) = (&self.shared.fault, &outcome) {
            fault.count();
        }
        match outcome {
            Outcome::Failed(error @ StorageError::Unavailable { .. })
                if self.connection.is_none() || self.shared.check_file().is_err() =>
            {
                self.go_down(gathered, error)
            }
            _ if fate == Fate::CommitSilently => self.shared.forget(&gathered),
            outcome => self.shared.complete(&gathered, outcome),
        }
    }

    /// Tries until the batch is in, or it is clear that it cannot be.
    async fn attempt(&mut self, gathered: &Gathered) -> Outcome {
        let mut attempt = 1;
        loop {
            let error = match self.transact(&gathered.changes).await {
                Ok(()) => return Outcome::Committed,
                Err(error) => error,
            };
            match Blame::of(&error) {
                Blame::Statement => return self.attempt_each(gathered, &error).await,
                // SQLite has waited for its file already, as long as it is worth: whoever holds it may go on holding it.
                Blame::Conflict if self.engine == Engine::Sqlite => {
                    self.give_up();
                    return Outcome::Failed(self.shared.unavailable(&error.to_string()));
                }
                Blame::Conflict if attempt < ATTEMPTS => sleep(Duration::from_millis(10) * attempt).await,
                Blame::Conflict => return Outcome::Failed(self.shared.unavailable(&error.to_string())),
                // The connection stays open: the file may be restored, and closing would remove the files that belong
                // to it.
                Blame::Database if is_file_gone(&error) => {
                    return Outcome::Failed(self.shared.unavailable(&error.to_string()));
                }
                // A connection that broke while it was idle says nothing about the database: a second one is tried.
                // Should the first COMMIT have been done after all, doing it again changes nothing.
                Blame::Database => {
                    self.give_up();
                    // A database that gave no answer is not asked the same again.
                    if attempt > 1 || is_late(&error) {
                        return Outcome::Failed(self.shared.unavailable(&error.to_string()));
                    }
                }
            }
            attempt += 1;
        }
    }

    /// Some value or statement of a batch was refused: makes each write by itself, so that only the guilty one fails.
    async fn attempt_each(&mut self, gathered: &Gathered, error: &sqlx::Error) -> Outcome {
        let database = self.shared.database.clone();
        let refused = |error: &sqlx::Error| StorageError::Refused {
            database: database.clone(),
            reason: error.to_string().into(),
        };
        let mut failed = HashMap::new();
        let writes: Vec<_> = gathered.writes().collect();
        if let [_] = writes[..] {
            failed.insert(0, refused(error));
        } else {
            for (index, changes) in writes.into_iter().enumerate() {
                let Err(error) = self.transact(changes).await else { continue };
                match Blame::of(&error) {
                    Blame::Statement => _ = failed.insert(index, refused(&error)),
                    Blame::Conflict => _ = failed.insert(index, self.shared.unavailable(&error.to_string())),
                    Blame::Database => {
                        self.give_up();
                        return Outcome::Failed(self.shared.unavailable(&error.to_string()));
                    }
                }
            }
        }
        for error in failed.values() {
            tracing::error!(%error, "a write was refused");
        }
        Outcome::CommittedExcept(failed)
    }

    /// Makes the changes in one transaction, or gives up if the database does not answer in time.
    async fn transact(&mut self, changes: &[Change]) -> sqlx::Result<()> {
        self.shared.check_file()?;
        self.connect().await?;
        let done = answered(self.transact_now(changes)).await;
        if let (Ok(()), Some(file)) = (&done, &self.shared.file) {
            file.note_log();
        }
        if done.as_ref().is_err_and(is_late) {
            self.give_up();
        }
        done
    }

    async fn transact_now(&mut self, changes: &[Change]) -> sqlx::Result<()> {
        let statements = self.statements(changes);
        // Invariant: `transact` has connected.
        let Some(connection) = &mut self.connection else { return Err(sqlx::Error::PoolClosed) };
        // One statement is a transaction by itself.
        if let [_] = statements[..] {
            for (text, tuples) in statements {
                connection.execute(text, tuples).await?;
            }
            return Ok(());
        }
        let done = async {
            connection.run(sql::begin(self.engine).into()).await?;
            for (text, tuples) in statements {
                connection.execute(text, tuples).await?;
            }
            connection.run("COMMIT".into()).await
        }
        .await;
        if done.is_err() && connection.run("ROLLBACK".into()).await.is_err() {
            // Nobody knows what state it is in.
            self.give_up();
        }
        done
    }

    /// As few statements as do it: per table one that stores and one that deletes, in pieces of [`SIZES`] and a rest of up to [`EXACT`] rows.
    fn statements<'a>(&mut self, changes: &'a [Change]) -> Vec<(Arc<str>, Tuples<'a>)> {
        let mut statements = Vec::new();
        for Group { table, delete, mut rows } in groups(changes) {
            let columns = if delete { table.key_columns() } else { table.columns };
            while !rows.is_empty() {
                let count = fitting(&rows, columns.len());
                let rest = rows.split_off(count);
                statements.push((self.text(table, delete, count), Tuples { columns, rows }));
                rows = rest;
            }
        }
        statements
    }

    fn text(&mut self, table: &'static Table, delete: bool, rows: usize) -> Arc<str> {
        let engine = self.engine;
        let text = self.texts.entry((table.name, delete, rows));
        text.or_insert_with(|| {
            if delete { sql::delete(engine, table, rows) } else { sql::upsert(engine, table, rows) }.into()
        })
        .clone()
    }

    /// Fails what waits, at once; what comes meanwhile is refused by the queue.
    fn go_down(&mut self, gathered: Gathered, error: StorageError) {
        self.shared.health.set_down(error.clone());
        self.shared.complete(&gathered, Outcome::Failed(error.clone()));
        self.fail_waiting(&error);
    }

    fn fail_waiting(&self, error: &StorageError) {
        while let Some(gathered) = self.shared.take() {
            self.shared.complete(&gathered, Outcome::Failed(error.clone()));
        }
    }

    /// A reader found its connection broken: is the database gone?
    async fn check(&mut self) {
        if let Err(error) = self.probe().await {
            let error = self.shared.unavailable(&error.to_string());
            self.shared.health.set_down(error.clone());
            self.fail_waiting(&error);
        }
    }

    /// Tries to reach the database until it answers; false when the journal was closed meanwhile.
    async fn recover(&mut self) -> bool {
        while self.probe().await.is_err() {
            if self.shared.closed() {
                return false;
            }
            sleep(self.probe).await;
        }
        self.shared.health.set_up();
        true
    }

    async fn probe(&mut self) -> sqlx::Result<()> {
        if self.shared.outage() {
            return Err(sqlx::Error::PoolTimedOut);
        }
        self.shared.check_file()?;
        let question: Arc<str> = sql::probe(self.engine).into();
        if let Some(connection) = &mut self.connection
            && answered(connection.run(question.clone())).await.is_ok()
        {
            return Ok(());
        }
        self.give_up();
        self.connect().await?;
        match &mut self.connection {
            Some(connection) => answered(connection.run(question)).await,
            None => Ok(()),
        }
    }

    /// Gives up the connection. The database may still execute its last statement.
    fn give_up(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.ending = Some(tokio::spawn(connection.end()));
        }
    }

    /// Connects if there is no connection.
    async fn connect(&mut self) -> sqlx::Result<()> {
        if self.connection.is_some() { Ok(()) } else { self.connect_now(false).await }
    }

    /// Connects after no statement of an earlier connection can be executed any more.
    async fn connect_now(&mut self, first: bool) -> sqlx::Result<()> {
        if let Some(ending) = &mut self.ending {
            if timeout(CONNECT_TIMEOUT, ending).await.is_err() {
                return Err(io::Error::other("a write that was given up does not end").into());
            }
            self.ending = None;
        }
        if let Some(file) = &self.shared.file {
            file.forget_log();
        }
        let mut connection = connect(&self.target).await?;
        self.sessions.take_over(&mut *connection).await?;
        if self.exclusive {
            self.claim(&mut *connection, first).await;
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Logs an error if another server uses the database. It does not refuse to start: after a server's machine has
    /// died, the database may not notice for hours.
    async fn claim(&self, connection: &mut dyn Driver, first: bool) {
        let database = &self.shared.database;
        match self.sessions.claim(connection, first).await {
            Ok(true) => {}
            Ok(false) => tracing::error!(
                %database,
                "another server uses this database, and each overwrites the other's state: stop one of them"
            ),
            Err(error) => tracing::warn!(%database, %error, "cannot tell whether another server uses the database"),
        }
    }
}

/// Whether the database file was deleted or replaced ([`Shared::check_file`]).
fn is_file_gone(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Whether a database gave no answer in time.
fn is_late(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// Rows of one table that are all stored or all deleted.
struct Group<'a> {
    table: &'static Table,
    delete: bool,
    rows: Vec<&'a [Value]>,
}

/// The changes by table and kind, in order of appearance, of each key only the last. Since no key is in two groups of a table, their order is free.
fn groups(changes: &[Change]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut seen = HashSet::with_capacity(if changes.len() > 1 { changes.len() } else { 0 });
    for change in changes.iter().rev() {
        if changes.len() > 1 && !seen.insert((change.table.name, change.key())) {
            continue;
        }
        let known =
            groups.iter_mut().find(|group| group.table.name == change.table.name && group.delete == change.delete);
        match known {
            Some(group) => group.rows.push(&change.values),
            None => groups.push(Group { table: change.table, delete: change.delete, rows: vec![&change.values] }),
        }
    }
    groups
}

/// How many of `rows` the next statement takes.
fn fitting(rows: &[&[Value]], columns: usize) -> usize {
    let most = sql::MAX_PARAMETERS / columns.max(1);
    let size = |rows: &[&[Value]]| rows.iter().flat_map(|values| values.iter()).map(Value::size).sum::<usize>();
    let fits = |&&count: &&usize| count <= rows.len() && count <= most && size(&rows[..count]) <= MAX_STATEMENT;
    SIZES.into_iter().chain((1..=EXACT.min(rows.len())).rev()).find(|count| fits(&count)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use tokio::runtime::Handle;
    use tokio::sync::{Notify, mpsc};

    use super::*;
    use crate::storage::driver::{Parameters, Rows};
    use crate::storage::{Column, Database, Fault, Journal, Migration, Sql, Storage};

    static T: Table =
        Table { name: "t", columns: &[Column::text("a"), Column::integer("b"), Column::text("c")], key: 2 };

    static CREATE: [Migration; 1] = [Migration {
        version: 1,
        name: "table t",
        sql: Sql::All("CREATE TABLE t (a {key} NOT NULL, b {integer} NOT NULL, c {text} NOT NULL, PRIMARY KEY (a, b))"),
    }];

    fn row(a: &str, b: i64, c: &str) -> [Value; 3] {
        [a.into(), b.into(), c.into()]
    }

    async fn open(folder: &tempfile::TempDir, options: Options) -> Database {
        let storage = Storage::with(Handle::current(), options);
        let database = storage.open(&format!("sqlite:{}/a.db", folder.path().display())).await.unwrap();
        database.migrate("t", &CREATE).await.unwrap();
        database
    }

    async fn contents(database: &Database) -> Vec<String> {
        let mut rows = Vec::new();
        let collect = |row: crate::storage::Row| {
            rows.push(format!("{}{}={}", row.text("a")?, row.integer("b")?, row.text("c")?));
            Ok(())
        };
        database.load(&T, collect).await.unwrap();
        rows.sort();
        rows
    }

    #[test]
    fn of_several_changes_to_a_row_only_the_last_is_made() {
        let changes = [
            Change::put(&T, row("x", 1, "old")),
            Change::put(&T, row("y", 1, "kept")),
            Change::delete(&T, [Value::from("x"), 2i64.into()]),
            Change::put(&T, row("x", 1, "new")),
            Change::put(&T, row("x", 2, "back")),
            Change::delete(&T, [Value::from("z"), 1i64.into()]),
        ];
        let mut made: Vec<_> = groups(&changes)
            .iter()
            .flat_map(|group| group.rows.iter().map(|row| (group.delete, row.last().cloned().unwrap())))
            .collect();
        made.sort_by_key(|change| format!("{change:?}"));
        assert_eq!(made, [(false, "back".into()), (false, "kept".into()), (false, "new".into()), (true, 1i64.into())]);
    }

    #[test]
    fn statements_have_few_sizes_and_bounded_length() {
        let narrow = row("x", 1, "c");
        let rows = vec![&narrow[..]; 1000];
        assert_eq!(fitting(&rows, 3), 256);
        assert_eq!(fitting(&rows[..200], 3), 128);
        assert_eq!(fitting(&rows[..100], 3), 64);
        assert_eq!(fitting(&rows[..47], 3), 47);
        assert_eq!(fitting(&rows[..1], 3), 1);
        assert_eq!(fitting(&rows, 300), 64, "parameters are limited");
        let wide = row("x", 1, &"c".repeat(1 << 20));
        assert_eq!(fitting(&[&wide[..]; 100], 3), 3, "bytes are limited");
        let huge = row("x", 1, &"c".repeat(MAX_STATEMENT + 1));
        assert_eq!(fitting(&[&huge[..]; 2], 3), 1, "a row that is too long goes alone");
    }

    #[tokio::test]
    async fn what_was_confirmed_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder, Options::default()).await;
        let journal = database.journal();
        journal.put(&T, row("x", 1, "first")).await.unwrap();
        let writes = [
            journal.put(&T, row("x", 1, "second")),
            journal.put(&T, row("x", 2, "gone")),
            journal.delete(&T, [Value::from("x"), 2i64.into()]),
            journal.write([Change::put(&T, row("y", 1, "a")), Change::put(&T, row("y", 2, "b"))]),
            journal.write([]),
        ];
        for write in writes {
            write.await.unwrap();
        }
        assert_eq!(journal.in_flight(), 0);
        assert_eq!(contents(&database).await, ["x1=second", "y1=a", "y2=b"]);
    }

    #[tokio::test]
    async fn thousands_of_writes_from_several_threads_are_all_confirmed() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder, Options::default()).await;
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let journal = database.journal().clone();
                tokio::task::spawn_blocking(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async {
                        let name = format!("t{thread}");
                        let writes: Vec<_> = (0..1000).map(|b| journal.put(&T, row(&name, b, "v"))).collect();
                        for write in writes {
                            write.await.unwrap();
                        }
                    });
                })
            })
            .collect();
        for thread in threads {
            thread.await.unwrap();
        }
        assert_eq!(contents(&database).await.len(), 4000);
    }

    #[tokio::test]
    async fn a_write_that_the_database_refuses_harms_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder, Options::default()).await;
        let journal = database.journal();
        let good = journal.put(&T, row("good", 1, "v"));
        let bad = journal.write([
            Change::put(&T, row("half", 1, "v")),
            Change::put(&T, [Value::from("bad"), 1i64.into(), Value::Null]),
        ]);
        let other = journal.put(&T, row("other", 1, "v"));
        assert!(matches!(bad.await, Err(StorageError::Refused { .. })));
        good.await.unwrap();
        other.await.unwrap();
        assert_eq!(contents(&database).await, ["good1=v", "other1=v"], "a write is made wholly or not at all");
        assert!(database.healthy());
    }

    #[tokio::test]
    async fn a_row_of_the_wrong_shape_is_refused_before_it_is_queued() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder, Options::default()).await;
        let wrong = database.journal().put(&T, [Value::from("x"), "not a number".into(), "v".into()]);
        assert_eq!(database.in_flight(), 0);
        assert!(matches!(wrong.await, Err(StorageError::Shape { table: "t" })));
        assert!(contents(&database).await.is_empty());
    }

    #[tokio::test]
    async fn over_the_limit_writes_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder, Options { queue: 10, ..Options::default() }).await;
        // This thread runs the writer as well, so nothing is taken from the queue before the first await.
        let writes: Vec<_> = (0..12).map(|b| database.journal().put(&T, row("x", b, "v"))).collect();
        let mut results = Vec::new();
        for write in writes {
            results.push(write.await);
        }
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 10);
        assert!(matches!(results.last(), Some(Err(StorageError::Overloaded { waiting: 10, .. }))));
        database.journal().put(&T, row("y", 1, "v")).await.unwrap();
    }

    #[tokio::test]
    async fn an_outage_fails_what_waits_refuses_what_comes_and_ends_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let fault = Arc::new(Fault::none());
        let probe = Duration::from_millis(1);
        let database = open(&folder, Options { fault: Some(fault.clone()), probe, ..Options::default() }).await;
        let (sender, mut states) = mpsc::unbounded_channel();
        database.on_state_change(move |healthy| sender.send(healthy).unwrap());
        let journal = database.journal();
        fault.set_outage(true);
        let waiting = [journal.put(&T, row("x", 1, "v")), journal.put(&T, row("x", 2, "v"))];
        for write in waiting {
            assert!(matches!(write.await, Err(StorageError::Unavailable { .. })));
        }
        assert_eq!(states.recv().await, Some(false));
        assert!(!database.healthy());
        let late = journal.put(&T, row("x", 3, "v"));
        assert_eq!(journal.in_flight(), 0, "refused, not queued");
        assert!(late.await.unwrap_err().retry_after().is_some());
        fault.set_outage(false);
        assert_eq!(states.recv().await, Some(true));
        journal.put(&T, row("x", 4, "v")).await.unwrap();
        assert_eq!(contents(&database).await, ["x4=v"]);
    }

    #[tokio::test]
    async fn a_failed_query_makes_the_writer_look_after_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let fault = Arc::new(Fault::none());
        let probe = Duration::from_millis(1);
        let database = open(&folder, Options { fault: Some(fault.clone()), probe, ..Options::default() }).await;
        let (sender, mut states) = mpsc::unbounded_channel();
        database.on_state_change(move |healthy| sender.send(healthy).unwrap());
        fault.set_outage(true);
        assert!(matches!(database.find(&T, &[]).await, Err(StorageError::Unavailable { .. })));
        assert_eq!(states.recv().await, Some(false));
        fault.set_outage(false);
        assert_eq!(states.recv().await, Some(true));
        assert!(database.find(&T, &[]).await.unwrap().is_empty());
    }

    /// A connection that gets no answers. Its statements are executed nevertheless, when the disk is back.
    struct Frozen {
        connection: Box<dyn Driver>,
        thaw: Arc<Notify>,
    }

    fn no_answer<T: Send + 'static>() -> BoxFuture<'static, sqlx::Result<T>> {
        ready(Err(io::Error::from(io::ErrorKind::TimedOut).into())).boxed()
    }

    impl Driver for Frozen {
        fn execute<'a>(&'a mut self, _: Arc<str>, _: Tuples<'a>) -> BoxFuture<'a, sqlx::Result<()>> {
            no_answer()
        }

        fn run<'a>(&'a mut self, _: Arc<str>) -> BoxFuture<'a, sqlx::Result<()>> {
            no_answer()
        }

        fn ask<'a>(&'a mut self, _: Arc<str>) -> BoxFuture<'a, sqlx::Result<bool>> {
            no_answer()
        }

        fn fetch<'a>(
            &'a mut self,
            _: Arc<str>,
            _: Parameters<'a>,
            _: &'static Table,
            _: Rows,
        ) -> BoxFuture<'a, sqlx::Result<()>> {
            no_answer()
        }

        fn end(mut self: Box<Self>) -> BoxFuture<'static, ()> {
            async move {
                self.thaw.notified().await;
                self.connection.run("UPDATE t SET c = 'given up'".into()).await.unwrap();
                self.connection.end().await;
            }
            .boxed()
        }
    }

    #[tokio::test]
    async fn while_a_write_that_was_given_up_may_still_be_made_later_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder, Options::default()).await;
        database.journal().put(&T, row("x", 1, "first")).await.unwrap();
        let target = Target::parse(&format!("sqlite:{}/a.db", folder.path().display())).unwrap();
        let shared = Arc::new(Shared::new("a".into(), 100, None));
        let options = Options { probe: Duration::from_millis(1), ..Options::default() };
        let mut writer = Writer::open(shared.clone(), target, &options).await.unwrap();
        let thaw = Arc::new(Notify::new());
        let connection = writer.connection.take().unwrap();
        writer.connection = Some(Box::new(Frozen { connection, thaw: thaw.clone() }));
        tokio::spawn(writer.run());
        let journal = Journal(shared);
        for note in ["given up", "too early", "too early"] {
            let refused = journal.put(&T, row("x", 1, note)).await;
            assert!(matches!(refused, Err(StorageError::Unavailable { .. })), "{refused:?}");
            sleep(Duration::from_millis(50)).await;
        }
        thaw.notify_one();
        while journal.put(&T, row("x", 1, "promised")).await.is_err() {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(contents(&database).await, ["x1=promised"]);
    }

    #[tokio::test]
    async fn after_a_crash_exactly_what_was_committed_is_there() {
        for crash in 0..6u64 {
            for confirmed in [true, false] {
                let folder = tempfile::tempdir().unwrap();
                let fault = if confirmed { Fault::crash_after(crash) } else { Fault::crash_before_confirming(crash) };
                let fault = Arc::new(fault);
                let database = open(&folder, Options { fault: Some(fault.clone()), ..Options::default() }).await;
                let writes: Vec<_> = (0..5).map(|b| database.journal().put(&T, row("x", b, "v"))).collect();
                let (sender, mut told) = mpsc::unbounded_channel();
                for write in writes {
                    let sender = sender.clone();
                    tokio::spawn(async move { sender.send(write.await).unwrap() });
                }
                while database.in_flight() > 0 {
                    tokio::task::yield_now().await;
                }
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(fault.crashed(), crash <= 5);
                let mut answers = 0;
                while let Ok(result) = told.try_recv() {
                    result.unwrap();
                    answers += 1;
                }
                let silent = u64::from(!confirmed && (1..=5).contains(&crash));
                assert_eq!(answers, crash.min(5) - silent, "crash after {crash}, confirmed {confirmed}");
                let survivor = open(&folder, Options::default()).await;
                assert_eq!(contents(&survivor).await.len() as u64, crash.min(5));
            }
        }
    }
}
