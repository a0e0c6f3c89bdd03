//! Which user an address of record belongs to, where the script set `avp.uid` to something else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::HashMap;

/// Addresses of record with another uid that are remembered. Beyond that, registrations of further ones don't
/// change presence until somebody subscribes anew.
const MAX_ALIASES: usize = 1_000_000;

/// Addresses of record and their uids.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    used: AtomicBool,
    uids: RwLock<HashMap<Box<str>, Arc<str>>>,
}

impl Aliases {
    pub(crate) fn uid_of(&self, aor: &str) -> Option<Arc<str>> {
        if !self.used.load(Ordering::Relaxed) {
            return None;
        }
        self.uids.read().unwrap_or_else(PoisonError::into_inner).get(aor).cloned()
    }

    pub(crate) fn add(&self, aor: &str, uid: &str) {
        let mut uids = self.uids.write().unwrap_or_else(PoisonError::into_inner);
        if uids.len() < MAX_ALIASES || uids.contains_key(aor) {
            uids.insert(aor.into(), uid.into());
            self.used.store(true, Ordering::Relaxed);
        }
    }
}
