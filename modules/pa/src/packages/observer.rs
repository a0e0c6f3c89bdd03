//! The hook of packages that tell of the subscriptions of another package (RFC 6665 §7.1: templates), such as `presence.winfo`
//! (RFC 3857).
//!
//! Such a package names the observed one in [`Terms::observes`](super::Terms::observes). The [`Teller`](super::Teller)
//! of each of its presentities is an [`Observer`]. The agent shows the observer every subscription to the same
//! presentity under the observed package, when it begins and whenever its state changes. If the observer reports a
//! change, the agent tells the package's own watchers.
//!
//! A presentity of the observing package comes about when somebody subscribes to it (the observer is then shown all
//! subscriptions that there are), or when a subscription ends for which nobody has decided: the observer may have to remember it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use signalbox_sip::dialog::subscription::{Reason, State};

use crate::agent::quota::Charge;
use crate::subscription::Status;
use crate::token::Token;

/// Watches over the subscriptions to one presentity under another package. All of it runs under the lock of the presentity's shard.
pub trait Observer {
    /// A subscription of the observed package changed. True when the watchers of this package are to be told.
    fn observe(&mut self, change: &Change<'_>, now: Instant) -> bool;

    /// Takes in watchers that the database remembers. The watchers of this package are told after it.
    fn remember(&mut self, _watchers: &[Remembered], _now: Instant) {}

    /// Somebody decided about watchers whose subscriptions are over: those whom `is_chosen` names, by id and URI. Gives their ids. The
    /// watchers of this package are told after it.
    fn decide(&mut self, _is_chosen: &dyn Fn(Token, &str) -> bool, _cause: Cause, _now: Instant) -> Vec<Token> {
        Vec::new()
    }

    /// A NOTIFY arrived whose document left the mark `seen`. Gives what the database need not remember any more.
    fn delivered(&mut self, _seen: u64) -> Vec<Token> {
        Vec::new()
    }
}

/// A subscription after something happened to it.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// The same for all changes of one subscription, and after a restart.
    pub id: Token,
    /// The watcher's URI (From of its SUBSCRIBE).
    pub watcher: &'a str,
    /// The display name beside it; empty without.
    pub display_name: Cow<'a, str>,
    pub state: State,
    /// What the presentity's user has decided, also for a subscription that has ended.
    pub status: Status,
    /// The charge of the subscription, held as long as it is remembered.
    pub charge: Option<Arc<Charge>>,
    pub cause: Cause,
    /// When it began.
    pub since: Instant,
    /// When it ends, or ended.
    pub expires: Instant,
}

/// A watcher whose subscription is over, for whom nobody has decided, and whom the database remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Names it in the database and in documents.
    pub id: Token,
    pub uri: Box<str>,
    pub display_name: Box<str>,
    /// When it subscribed.
    pub since: Instant,
}

/// What happened to a subscription: the events of RFC 3857 §4.7.1, and a refresh, which is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    Subscribe,
    /// Its time to live changed, nothing else.
    Refresh,
    Approved,
    Deactivated,
    Probation,
    Rejected,
    Timeout,
    GiveUp,
    NoResource,
}

impl Cause {
    /// Why a subscription came from one state to another; `None` as the old state: it is new.
    pub fn of(old: Option<State>, new: State) -> Self {
        match (old, new) {
            (Some(State::Pending), State::Active) => Self::Approved,
            (_, State::Pending | State::Active) => Self::Subscribe,
            (_, State::Terminated(reason)) => match reason {
                Reason::Deactivated => Self::Deactivated,
                Reason::Probation => Self::Probation,
                Reason::Rejected => Self::Rejected,
                Reason::Timeout => Self::Timeout,
                Reason::GiveUp => Self::GiveUp,
                Reason::NoResource | Reason::Invariant => Self::NoResource,
            },
        }
    }

    /// The value of the attribute `event` (RFC 3858 §3). A refresh leaves it at what it was, which is most often this.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe | Self::Refresh => "subscribe",
            Self::Approved => "approved",
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::GiveUp => "giveup",
            Self::NoResource => "noresource",
        }
    }
}
