//! Whether a database answers, and who wants to know.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::StorageError;

type Listener = Box<dyn Fn(bool) + Send + Sync>;

pub(super) struct Health {
    database: Arc<str>,
    /// The error of the time it went down, while it is.
    down: Mutex<Option<StorageError>>,
    healthy: AtomicBool,
    /// A reader met a broken connection: the writer is to see whether its own still works.
    suspected: AtomicBool,
    listeners: Mutex<Vec<Listener>>,
}

impl Health {
    pub(super) fn new(database: Arc<str>) -> Self {
        Self {
            database,
            down: Mutex::new(None),
            healthy: AtomicBool::new(true),
            suspected: AtomicBool::new(false),
            listeners: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Acquire)
    }

    /// The reason why it is down; `None` when it is not.
    pub(super) fn error(&self) -> Option<StorageError> {
        if self.is_healthy() {
            return None;
        }
        self.down.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn listen(&self, listener: Listener) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    pub(super) fn suspect(&self) {
        self.suspected.store(true, Ordering::Release);
    }

    pub(super) fn take_suspicion(&self) -> bool {
        self.suspected.swap(false, Ordering::AcqRel)
    }

    pub(super) fn set_down(&self, error: StorageError) {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        if self.healthy.swap(false, Ordering::AcqRel) {
            tracing::error!(database = %self.database, %error, "what needs the database is refused until it is back");
            self.tell(false);
        }
    }

    pub(super) fn set_up(&self) {
        if !self.healthy.swap(true, Ordering::AcqRel) {
            tracing::info!(database = %self.database, "the database is back");
            self.tell(true);
        }
    }

    fn tell(&self, healthy: bool) {
        for listener in self.listeners.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(healthy);
        }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("database", &self.database)
            .field("healthy", &self.is_healthy())
            .finish_non_exhaustive()
    }
}
