//! Packages that tell each watcher what has changed since its last document, such as `presence.winfo` (RFC 3858) and `dialog` (RFC 4235).
//!
//! Such a package gives each of its presentities a [`Teller`], which makes the document of each NOTIFY. The agent keeps
//! a mark for each watcher: the last change that the watcher has been told.

use std::fmt::Debug;
use std::time::Instant;

use super::observer::Observer;
use crate::documents::Body;
use crate::publication::Publications;

/// Makes the documents of one presentity. All methods run under the lock of the presentity's shard.
pub trait Teller: Send + Debug {
    /// The document for one watcher.
    fn body(&self, told: Told<'_>, now: Instant) -> Body;

    /// The publications of the presentity may have changed. True if the watchers must be told.
    fn published(&mut self, _publications: &Publications, _now: Instant) -> bool {
        true
    }

    /// The teller as the observer of another package's subscriptions, if it is one.
    fn observer(&mut self) -> Option<&mut dyn Observer> {
        None
    }

    /// When [`Self::tick`] is next due, if nothing happens before.
    fn next_deadline(&self) -> Option<Instant>;

    /// Does the work that is due. True if the watchers must be told.
    fn tick(&mut self, now: Instant) -> bool;

    /// Whether the teller has no state to keep.
    fn is_idle(&self) -> bool;
}

/// The NOTIFY that a document is made for.
#[derive(Debug)]
pub struct Told<'a> {
    /// The presentity's address of record.
    pub aor: &'a str,
    /// Counts the documents of this subscription, from 0. After a restart it continues with a higher number, possibly
    /// with a gap.
    pub version: u32,
    /// The teller's mark of the last change that this watcher has been told. `None` if it must get the full state:
    /// after each SUBSCRIBE, and after a NOTIFY that did not arrive.
    pub seen: &'a mut Option<u64>,
}
