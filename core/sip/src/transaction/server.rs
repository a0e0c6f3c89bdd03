//! The server transaction of every request but INVITE and ACK (RFC 3261 §17.2.2 figure 8, RFC 4320).
//!
//! A response that can't be sent changes nothing here (§17.2.4 as changed by RFC 6026 §8.8: the transaction "MUST
//! remain in the current state"); therefore there is no event for it.

use super::{Actions, Ended, Send, Timer, Timers};

/// Answers a request once and repeats that answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTransaction {
    state: State,
    reliable: bool,
}

/// The states of figure 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing was sent.
    Trying,
    /// A 100 was sent.
    Proceeding,
    /// A final response was sent and is repeated on demand.
    Completed,
    /// Over.
    Terminated,
}

impl ServerTransaction {
    /// `reliable`: the transport repeats lost data by itself (TCP, TLS, WebSocket).
    pub fn new(reliable: bool) -> Self {
        Self { state: State::Trying, reliable }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Delivers the request to the transaction user. To be called once.
    pub fn start(&mut self, timers: &Timers) -> Actions {
        Actions::deliver().and_start(Timer::Trying, timers.duration(Timer::Trying, 0))
    }

    /// The request came again.
    pub fn on_request(&mut self) -> Actions {
        match self.state {
            State::Proceeding | State::Completed => Actions::send(Send::Original),
            State::Trying | State::Terminated => Actions::NONE,
        }
    }

    /// The transaction user responds. Without `send` in the result the response is not allowed and is to be
    /// dropped: a second final response, a provisional one that RFC 4320 §4.1 forbids (any but 100; 100 over an
    /// unreliable transport before [`Timer::Trying`]), or a 408 (RFC 4320 §4.2), which ends the transaction in
    /// silence.
    pub fn respond(&mut self, status: u16, timers: &Timers) -> Actions {
        match (self.state, status) {
            (State::Completed | State::Terminated, _) => Actions::NONE,
            (State::Trying, 100) if self.reliable => {
                self.state = State::Proceeding;
                Actions::send(Send::Original)
            }
            (State::Proceeding, 100) => Actions::send(Send::Original),
            (_, ..200) => Actions::NONE,
            (_, 408) => self.end(Ended::Normal),
            _ if self.reliable => {
                // §17.2.2: timer J is zero over reliable transports.
                self.state = State::Terminated;
                Actions::send(Send::Original).and_end(Ended::Normal)
            }
            _ => {
                self.state = State::Completed;
                Actions::send(Send::Original).and_start(Timer::J, timers.duration(Timer::J, 0))
            }
        }
    }

    pub fn on_timer(&mut self, timer: Timer) -> Actions {
        match (self.state, timer) {
            (State::Trying, Timer::Trying) => {
                self.state = State::Proceeding;
                Actions::send(Send::Trying)
            }
            (State::Completed, Timer::J) => self.end(Ended::Normal),
            _ => Actions::NONE,
        }
    }

    /// The transaction user will never respond (RFC 4320 §4.2: instead of a 408). Only for one that has not sent
    /// a final response.
    pub fn abandon(&mut self) -> Actions {
        match self.state {
            State::Trying | State::Proceeding => self.end(Ended::Normal),
            State::Completed | State::Terminated => Actions::NONE,
        }
    }

    fn end(&mut self, ended: Ended) -> Actions {
        self.state = State::Terminated;
        Actions::ended(ended)
    }
}
