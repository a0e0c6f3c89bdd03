//! The task that commits: takes what was gathered, writes one statement per table and size, and recovers when the database was gone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::batch::Outcome;
use super::driver::{Driver, Parameters, connect};
use super::error::Blame;
use super::fault::Fate;
use super::journal::{Change, ENOUGH, Gathered, Shared};
use super::url::Target;
use super::{Engine, StorageError, Table, Value, sql};

/// Rows per statement: few sizes, so that each statement's text is prepared once and cached.
const SIZES: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];
/// Bytes of values per statement, well under MariaDB's default `max_allowed_packet` of 16 MiB.
const MAX_STATEMENT: usize = 4 << 20;
/// How often a transaction that another one was in the way of is tried.
const ATTEMPTS: u32 = 3;
/// Pause between two attempts to reach a database that is gone.
const PROBE: Duration = Duration::from_millis(500);

pub(super) struct Writer {
    shared: Arc<Shared>,
    target: Target,
    engine: Engine,
    connection: Option<Box<dyn Driver>>,
    /// Statement texts by table name, whether they delete, and number of rows.
    texts: HashMap<(&'static str, bool, usize), Arc<str>>,
    /// Under load, commits start at least so far apart.
    gather: Duration,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, target: Target, connection: Box<dyn Driver>, gather: Duration) -> Self {
        Self { engine: target.engine(), shared, target, connection: Some(connection), texts: HashMap::new(), gather }
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
                self.gather_until(started + self.gather).await;
            }
            match self.shared.take() {
                Some(gathered) => {
                    (started, last) = (Instant::now(), gathered.changes.len());
                    self.commit(gathered).await;
                }
                None if self.shared.closed() => return,
                None => self.shared.bell.notified().await,
            }
        }
    }

    /// Waits while only few writes are there, until `deadline`.
    async fn gather_until(&self, deadline: Instant) {
        while (1..ENOUGH).contains(&self.shared.waiting()) && Instant::now() < deadline {
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
            Outcome::Failed(error @ StorageError::Unavailable { .. }) if self.connection.is_none() => {
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
                Blame::Conflict if attempt < ATTEMPTS => sleep(Duration::from_millis(10) * attempt).await,
                Blame::Conflict => return Outcome::Failed(self.shared.unavailable(&error.to_string())),
                // A connection that broke while it was idle says nothing about the database: a second one is tried.
                // Should the first COMMIT have been done after all, doing it again changes nothing.
                Blame::Database => {
                    self.connection = None;
                    if attempt > 1 {
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
                        self.connection = None;
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

    /// Makes the changes in one transaction.
    async fn transact(&mut self, changes: &[Change]) -> sqlx::Result<()> {
        let statements = self.statements(changes);
        let connection = match &mut self.connection {
            Some(connection) => connection,
            empty => empty.insert(connect(&self.target).await?),
        };
        // One statement is a transaction by itself.
        if let [_] = statements[..] {
            for (text, parameters) in statements {
                connection.execute(text, parameters).await?;
            }
            return Ok(());
        }
        let done = async {
            connection.run(sql::begin(self.engine).into()).await?;
            for (text, parameters) in statements {
                connection.execute(text, parameters).await?;
            }
            connection.run("COMMIT".into()).await
        }
        .await;
        if done.is_err() && connection.run("ROLLBACK".into()).await.is_err() {
            // Nobody knows what state it is in.
            self.connection = None;
        }
        done
    }

    /// As few statements as do it: per table one that stores and one that deletes, in pieces of [`SIZES`].
    fn statements<'a>(&mut self, changes: &'a [Change]) -> Vec<(Arc<str>, Parameters<'a>)> {
        let mut statements = Vec::new();
        for Group { table, delete, mut rows } in groups(changes) {
            let columns = if delete { table.key_columns() } else { table.columns };
            while !rows.is_empty() {
                let count = fitting(&rows, columns.len());
                let rest = rows.split_off(count);
                let parameters = rows.iter().flat_map(|values| sql::kinds(columns).zip(values.iter())).collect();
                statements.push((self.text(table, delete, count), parameters));
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
            sleep(PROBE).await;
        }
        self.shared.health.set_up();
        true
    }

    async fn probe(&mut self) -> sqlx::Result<()> {
        if self.shared.outage() {
            return Err(sqlx::Error::PoolTimedOut);
        }
        if let Some(connection) = &mut self.connection
            && connection.run("SELECT 1".into()).await.is_ok()
        {
            return Ok(());
        }
        let mut connection = connect(&self.target).await?;
        connection.run("SELECT 1".into()).await?;
        self.connection = Some(connection);
        Ok(())
    }
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
    SIZES.iter().find(fits).copied().unwrap_or(1)
}
