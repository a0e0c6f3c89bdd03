//! The client transaction of every request but INVITE and ACK (RFC 3261 §17.1.2, figure 6).

use super::{Actions, Ended, Send, Timer, Timers};

/// Sends a request until a final response comes or 64·T1 are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTransaction {
    state: State,
    reliable: bool,
    /// How often timer E has fired.
    repetitions: u8,
}

/// The states of figure 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Sent, nothing heard.
    Trying,
    /// A provisional response came.
    Proceeding,
    /// A final response came; its repetitions are absorbed.
    Completed,
    /// Over.
    Terminated,
}

impl ClientTransaction {
    /// `reliable`: the transport repeats lost data by itself (TCP, TLS, WebSocket).
    pub fn new(reliable: bool) -> Self {
        Self { state: State::Trying, reliable, repetitions: 0 }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Sends the request for the first time. To be called once.
    pub fn start(&mut self, timers: &Timers) -> Actions {
        let actions = Actions::send(Send::Original).and_start(Timer::F, timers.duration(Timer::F, 0));
        if self.reliable { actions } else { actions.and_start(Timer::E, timers.duration(Timer::E, 0)) }
    }

    /// A response that matches the transaction (§17.1.3) came.
    pub fn on_response(&mut self, status: u16, timers: &Timers) -> Actions {
        match (self.state, status) {
            (State::Trying | State::Proceeding, ..200) => {
                self.state = State::Proceeding;
                Actions::deliver()
            }
            (State::Trying | State::Proceeding, _) if self.reliable => {
                // §17.1.2.2: timer K is zero over reliable transports.
                self.end(Ended::Normal).and_deliver()
            }
            (State::Trying | State::Proceeding, _) => {
                self.state = State::Completed;
                Actions::deliver().and_start(Timer::K, timers.duration(Timer::K, 0))
            }
            (State::Completed | State::Terminated, _) => Actions::NONE,
        }
    }

    pub fn on_timer(&mut self, timer: Timer, timers: &Timers) -> Actions {
        match (self.state, timer) {
            (State::Trying, Timer::E) if !self.reliable => {
                self.repetitions = self.repetitions.saturating_add(1);
                Actions::send(Send::Original).and_start(Timer::E, timers.duration(Timer::E, self.repetitions))
            }
            // §17.1.2.2: in the Proceeding state the interval is always T2.
            (State::Proceeding, Timer::E) if !self.reliable => {
                Actions::send(Send::Original).and_start(Timer::E, timers.t2)
            }
            (State::Trying | State::Proceeding, Timer::F) => self.end(Ended::Timeout),
            (State::Completed, Timer::K) => self.end(Ended::Normal),
            _ => Actions::NONE,
        }
    }

    /// The request could not be sent (§17.1.4).
    pub fn on_transport_error(&mut self) -> Actions {
        match self.state {
            State::Trying | State::Proceeding => self.end(Ended::TransportError),
            State::Completed | State::Terminated => Actions::NONE,
        }
    }

    fn end(&mut self, ended: Ended) -> Actions {
        self.state = State::Terminated;
        Actions::ended(ended)
    }
}
