//! The location services by name: `save("location")` writes to the one that `lookup("location")` reads.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use crate::location::{Limits, Location};

/// Location services that scripts may name.
pub(crate) const MAX_TABLES: usize = 64;

/// A location service and its name.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: Arc<str>,
    pub(crate) location: Location,
}

/// All location services of the process; nearly always one.
#[derive(Debug)]
pub(crate) struct Tables {
    tables: RwLock<Vec<Arc<Table>>>,
    limits: Limits,
    ids: Arc<AtomicU64>,
}

impl Tables {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { tables: RwLock::default(), limits, ids: Arc::new(AtomicU64::new(1)) }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Table>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.iter().find(|table| *table.name == *name).cloned()
    }

    /// The table of this name, made at first use. `None` when a script makes up ever new names.
    pub(crate) fn make(&self, name: &str) -> Option<Arc<Table>> {
        if let Some(table) = self.find(name) {
            return Some(table);
        }
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.iter().find(|table| *table.name == *name) {
            return Some(table.clone());
        }
        if tables.len() >= MAX_TABLES {
            return None;
        }
        let location = Location::new(self.limits, self.ids.clone());
        let table = Arc::new(Table { name: name.into(), location });
        tables.push(table.clone());
        Some(table)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Table>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether any table has something to expire at `now`.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.iter().any(|table| table.location.next_expiry().is_some_and(|at| at <= now))
    }
}
