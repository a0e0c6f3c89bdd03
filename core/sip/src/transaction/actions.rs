//! What a transaction asks of its owner after an event.

use std::time::Duration;

use super::Timer;

/// The consequences of one event. The owner carries them out in the order of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Actions {
    /// What to hand to the transport.
    pub send: Option<Send>,
    /// Pass the message that caused the event up to the transaction user. Never set for a retransmission.
    pub deliver: bool,
    /// Timers to start, counted from the instant of the event. See also [`Actions::timers`].
    pub start: [Option<(Timer, Duration)>; 2],
    /// The transaction is over and can be dropped.
    pub ended: Option<Ended>,
}

/// What a transaction wants on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Send {
    /// The request (client) or the newest response (server), for the first time or again.
    Original,
    /// The ACK for the non-2xx final response that just came (§17.1.1.3). The owner keeps it for repetition.
    Ack,
    /// A CANCEL for this INVITE, as a transaction of its own (§9.1).
    Cancel,
    /// A 100 (Trying) made by the owner: the transaction user has not answered in time (§17.2.1, RFC 4320 §4.1).
    /// It becomes the newest response of the server transaction.
    Trying,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// It has run its course.
    Normal,
    /// No (final) response came in time, or (INVITE server) no ACK. The transaction user is to be told.
    Timeout,
    /// The request could not be sent. The transaction user is to be told (§17.1.4).
    TransportError,
}

impl Actions {
    /// Nothing is to be done.
    pub const NONE: Self = Self { send: None, deliver: false, start: [None; 2], ended: None };

    /// The timers to start.
    pub fn timers(&self) -> impl Iterator<Item = (Timer, Duration)> + use<> {
        self.start.into_iter().flatten()
    }

    pub(super) fn send(send: Send) -> Self {
        Self { send: Some(send), ..Self::NONE }
    }

    pub(super) fn deliver() -> Self {
        Self { deliver: true, ..Self::NONE }
    }

    pub(super) fn ended(ended: Ended) -> Self {
        Self { ended: Some(ended), ..Self::NONE }
    }

    pub(super) fn and_deliver(self) -> Self {
        Self { deliver: true, ..self }
    }

    pub(super) fn and_end(self, ended: Ended) -> Self {
        Self { ended: Some(ended), ..self }
    }

    pub(super) fn and_start(mut self, timer: Timer, duration: Duration) -> Self {
        // Invariant: no event starts more than two timers, so the second place is free when the first is taken.
        let place = usize::from(self.start[0].is_some());
        debug_assert!(self.start[place].is_none());
        self.start[place] = Some((timer, duration));
        self
    }
}
