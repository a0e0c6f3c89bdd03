//! What is to be done outside of the locks after the state changed.

use crate::subscription::Notify;
use crate::token::Token;

/// What has to be done after the state changed, outside of the lock.
#[derive(Debug)]
pub struct Effects<W> {
    pub notifies: Vec<Notify<W>>,
    pub records: Vec<Record>,
}

/// A change that the database is to learn of without anybody waiting for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    SubscriptionGone(Token),
    PublicationGone(u64),
    /// The presentity's user has been told of a watcher that the database remembers.
    WatcherTold(Token),
    /// The status of a subscription is another than what was written last.
    Decided(Token),
    /// The address of a subscription's NOTIFYs is proved.
    Proved(Token),
    /// CSeq numbers up to `mark` are wanted: see [`crate::agent::Agent::reserved`].
    Reserve {
        id: Token,
        mark: u32,
    },
}

impl<W> Default for Effects<W> {
    fn default() -> Self {
        Self { notifies: Vec::new(), records: Vec::new() }
    }
}
