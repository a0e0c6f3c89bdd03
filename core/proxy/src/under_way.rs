//! How much of something is under way at a time, so that it can have a limit.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts one thing for as long as it lives.
pub(crate) struct Counted<'a> {
    under_way: &'a AtomicUsize,
    /// How many there were before it.
    pub(crate) place: usize,
}

impl<'a> Counted<'a> {
    pub(crate) fn new(under_way: &'a AtomicUsize) -> Self {
        Self { under_way, place: under_way.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
