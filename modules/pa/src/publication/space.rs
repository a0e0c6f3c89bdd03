//! How much published state is kept, in octets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::rejection::Rejection;

/// The limit for all publications together, and their present size. Clones share one space.
#[derive(Debug, Clone)]
pub struct Space {
    limit: usize,
    taken: Arc<AtomicUsize>,
}

/// The octets of one content. They are given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    octets: usize,
    taken: Arc<AtomicUsize>,
}

impl Space {
    /// `limit` is in octets.
    pub fn new(limit: usize) -> Self {
        Self { limit, taken: Arc::default() }
    }

    /// Takes room for a content; [`Rejection::Full`] if all publications together would exceed the limit.
    pub fn take(&self, octets: usize) -> Result<Room, Rejection> {
        let after = |taken: usize| taken.checked_add(octets).filter(|after| *after <= self.limit);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after);
        taken.map(|_| Room { octets, taken: self.taken.clone() }).map_err(|_| Rejection::Full)
    }

    /// Octets of all publications.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Room {
    pub fn octets(&self) -> usize {
        self.octets
    }
}

/// The room does not affect whether two contents are equal.
impl PartialEq for Room {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Room {}

impl Drop for Room {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_up_to_the_limit_and_given_back() {
        let space = Space::new(10);
        let six = space.take(6).unwrap();
        let four = space.take(4).unwrap();
        assert_eq!((space.take(1).unwrap_err(), space.taken()), (Rejection::Full, 10));
        drop(six);
        assert_eq!(space.take(usize::MAX).unwrap_err(), Rejection::Full);
        let again = space.take(6).unwrap();
        drop((four, again));
        assert_eq!(space.taken(), 0);
    }
}
