//! The queue of writes in front of a database. Callable from any thread; nothing here waits.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::batch::{Batch, Outcome};
use super::file::DatabaseFile;
use super::health::Health;
use super::{Fault, StorageError, Table, Value, Write};

/// So many waiting changes are worth a commit at once: they fill a statement, and more of them would make each hardly cheaper.
pub(super) const ENOUGH: usize = 64;

/// One row to be stored or deleted.
#[derive(Debug, Clone)]
pub struct Change {
    pub(super) table: &'static Table,
    /// All columns of a row to be stored, the key columns of one to be deleted.
    pub(super) values: Vec<Value>,
    pub(super) delete: bool,
}

impl Change {
    /// Stores a row, all columns in the table's order, in place of any with the same key.
    pub fn put(table: &'static Table, row: impl Into<Vec<Value>>) -> Self {
        Self { table, values: row.into(), delete: false }
    }

    /// Deletes the row with this key, if there is one.
    pub fn delete(table: &'static Table, key: impl Into<Vec<Value>>) -> Self {
        Self { table, values: key.into(), delete: true }
    }

    pub(super) fn key(&self) -> &[Value] {
        self.values.get(..self.table.key).unwrap_or(&self.values)
    }

    fn check(&self) -> Result<(), StorageError> {
        self.table.check(if self.delete { self.table.key_columns() } else { self.table.columns }, &self.values)
    }
}

/// Takes writes for one database. A cheap handle.
///
/// Writes that arrive while a commit runs share the next one; of several to one key only the last is made.
#[derive(Debug, Clone)]
pub struct Journal(pub(super) Arc<Shared>);

impl Journal {
    /// Stores a row: see [`Change::put`].
    pub fn put(&self, table: &'static Table, row: impl Into<Vec<Value>>) -> Write {
        self.write([Change::put(table, row)])
    }

    /// Deletes a row: see [`Change::delete`].
    pub fn delete(&self, table: &'static Table, key: impl Into<Vec<Value>>) -> Write {
        self.write([Change::delete(table, key)])
    }

    /// Makes all the changes or none of them.
    pub fn write(&self, changes: impl IntoIterator<Item = Change>) -> Write {
        self.0.enqueue(changes)
    }

    /// Writes queued or being committed. Zero only after the tasks that wait for them were woken.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Acquire)
    }

    /// Counts as one more write until it is dropped: for what follows from a commit and is still to be done.
    pub fn hold(&self) -> Hold {
        self.0.in_flight.fetch_add(1, Ordering::AcqRel);
        Hold(self.0.clone())
    }
}

/// What the journal's handles and its writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) database: Arc<str>,
    pub(super) health: Health,
    pub(super) fault: Option<Arc<Fault>>,
    /// Of a SQLite database.
    pub(super) file: Option<DatabaseFile>,
    /// Rings when there is something for the writer to do.
    pub(super) bell: Notify,
    queue: Mutex<Queue>,
    /// Changes that may wait.
    limit: usize,
    in_flight: AtomicUsize,
}

#[derive(Debug)]
struct Queue {
    gathered: VecDeque<Gathered>,
    /// Changes in all of `gathered`.
    waiting: usize,
    /// So many of them ring the bell.
    wanted: usize,
    closed: bool,
}

/// Writes for one commit.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) batch: Arc<Batch>,
    pub(super) changes: Vec<Change>,
    /// Where each write's changes end.
    ends: Vec<usize>,
}

impl Gathered {
    /// The changes of each write.
    pub(super) fn writes(&self) -> impl Iterator<Item = &[Change]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| self.changes.get(mem::replace(&mut start, end)..end).unwrap_or_default())
    }
}

impl Shared {
    pub(super) fn new(database: Arc<str>, limit: usize, fault: Option<Arc<Fault>>) -> Self {
        Self {
            health: Health::new(database.clone()),
            database,
            fault,
            file: None,
            bell: Notify::new(),
            queue: Mutex::new(Queue { gathered: VecDeque::new(), waiting: 0, wanted: 1, closed: false }),
            limit,
            in_flight: AtomicUsize::new(0),
        }
    }

    fn enqueue(&self, changes: impl IntoIterator<Item = Change>) -> Write {
        if self.crashed() {
            return Write::never();
        }
        let mut queue = self.lock();
        if let Some(error) = self.refusal(&queue) {
            return Write::settled(Err(error));
        }
        let before = queue.waiting;
        // With a fault, writes are counted one by one; else all that wait share a commit.
        if queue.gathered.is_empty() || self.fault.is_some() {
            queue.gathered.push_back(Gathered::default());
        }
        let Some(gathered) = queue.gathered.back_mut() else { return Write::settled(Ok(())) };
        let start = gathered.changes.len();
        gathered.changes.extend(changes);
        let added = gathered.changes.len() - start;
        let wrong = gathered.changes.iter().skip(start).find_map(|change| change.check().err());
        if added == 0 || wrong.is_some() {
            gathered.changes.truncate(start);
            if gathered.changes.is_empty() {
                queue.gathered.pop_back();
            }
            return Write::settled(wrong.map_or(Ok(()), Err));
        }
        let write = Write::waiting(gathered.batch.clone(), gathered.ends.len());
        gathered.ends.push(gathered.changes.len());
        queue.waiting += added;
        let (after, wanted) = (queue.waiting, queue.wanted);
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        drop(queue);
        if before < wanted && after >= wanted {
            self.bell.notify_one();
        }
        write
    }

    fn refusal(&self, queue: &Queue) -> Option<StorageError> {
        if queue.closed {
            return Some(StorageError::Closed { database: self.database.clone() });
        }
        if queue.waiting >= self.limit {
            return Some(StorageError::Overloaded { database: self.database.clone(), waiting: queue.waiting });
        }
        self.health.error()
    }

    /// What is to be committed next.
    pub(super) fn take(&self) -> Option<Gathered> {
        let mut queue = self.lock();
        let gathered = queue.gathered.pop_front()?;
        queue.waiting -= gathered.changes.len();
        Some(gathered)
    }

    /// Changes that wait for a commit.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Whether so many changes wait, or no more will come. If not, the bell rings once they do.
    pub(super) fn ready(&self, wanted: usize) -> bool {
        let mut queue = self.lock();
        queue.wanted = wanted;
        queue.closed || queue.waiting >= wanted
    }

    /// Tells a batch's writes what became of them.
    pub(super) fn complete(&self, gathered: &Gathered, outcome: Outcome) {
        gathered.batch.complete(outcome);
        self.forget(gathered);
    }

    /// Stops counting a batch's writes: they are done, or will never be.
    pub(super) fn forget(&self, gathered: &Gathered) {
        self.in_flight.fetch_sub(gathered.ends.len(), Ordering::AcqRel);
    }

    pub(super) fn count_read(&self) -> Reading<'_> {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Reading(self)
    }

    /// Fails if the database file was deleted or replaced since it was opened.
    pub(super) fn check_file(&self) -> sqlx::Result<()> {
        let problem = self.file.as_ref().and_then(DatabaseFile::problem);
        problem.map_or(Ok(()), |problem| Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::NotFound, problem))))
    }

    pub(super) fn unavailable(&self, reason: &str) -> StorageError {
        StorageError::Unavailable { database: self.database.clone(), reason: reason.into() }
    }

    /// Takes no more writes; the writer ends when the queue is empty.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_one();
    }

    pub(super) fn closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn crashed(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.crashed())
    }

    pub(super) fn outage(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.outage())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Journal::hold`].
#[derive(Debug)]
pub struct Hold(Arc<Shared>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Counts a query as in flight until whoever asked has its answer.
#[derive(Debug)]
pub(super) struct Reading<'a>(&'a Shared);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
