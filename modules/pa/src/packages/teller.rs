//! Packages that tell each watcher what has changed since its last document, such as `presence.winfo` (RFC 3858) and `dialog` (RFC 4235).
//!
//! Such a package gives each of its presentities a [`Teller`], which makes the document of each NOTIFY. The agent keeps a mark for each
//! watcher: up to where it knows the state.

use std::fmt::Debug;
use std::time::Instant;

use super::observer::Observer;
use crate::documents::Body;
use crate::publication::Publications;

/// Makes the documents of one presentity. All of it runs under the lock of the presentity's shard.
pub trait Teller: Send + Debug {
    /// The document for one watcher.
    fn body(&self, told: Told<'_>, now: Instant) -> Body;

    /// What is published about the presentity may be another than before. True when the watchers are to be told.
    fn published(&mut self, _publications: &Publications, _now: Instant) -> bool {
        true
    }

    /// It as the observer of another package's subscriptions, if it is one.
    fn observer(&mut self) -> Option<&mut dyn Observer> {
        None
    }

    /// When [`Self::tick`] has something to do, if nothing happens before.
    fn next_deadline(&self) -> Option<Instant>;

    /// Does what is due. True when the watchers are to be told.
    fn tick(&mut self, now: Instant) -> bool;

    /// Nothing has to be remembered.
    fn is_idle(&self) -> bool;
}

/// Which NOTIFY a document is made for.
#[derive(Debug)]
pub struct Told<'a> {
    /// The presentity's address of record.
    pub aor: &'a str,
    /// Counts the documents of this subscription, from 0 on. After a restart it goes on with a higher number, and there may be a gap.
    pub version: u32,
    /// A mark of the teller's own: up to where this watcher knows the state. None when it must be told all of it: after each SUBSCRIBE,
    /// and when a NOTIFY did not get there.
    pub seen: &'a mut Option<u64>,
}
