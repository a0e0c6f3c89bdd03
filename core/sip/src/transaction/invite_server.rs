//! The INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §7.1 figure 7).
//!
//! A response that can't be sent changes nothing here (RFC 6026 §7.1: the machine "MUST remain in its current
//! state", so that repeated INVITEs stay absorbed); therefore there is no event for it.

use super::{Actions, Ended, Send, Timer, Timers};

/// Answers an INVITE: repeats what was said last, waits for the ACK of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InviteServer {
    state: State,
    reliable: bool,
    /// A provisional response was sent, so that there is something to repeat.
    answered: bool,
    /// How often timer G has fired.
    repetitions: u8,
}

/// The states of figure 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// No final response yet.
    Proceeding,
    /// A 3xx to 6xx was sent; no ACK yet.
    Completed,
    /// The ACK came; its repetitions are absorbed.
    Confirmed,
    /// A 2xx was sent; repeated INVITEs are absorbed, ACKs and further 2xx responses pass.
    Accepted,
    /// Over.
    Terminated,
}

impl InviteServer {
    /// `reliable`: the transport repeats lost data by itself (TCP, TLS, WebSocket).
    pub fn new(reliable: bool) -> Self {
        Self { state: State::Proceeding, reliable, answered: false, repetitions: 0 }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Delivers the INVITE to the transaction user. To be called once.
    pub fn start(&mut self, timers: &Timers) -> Actions {
        Actions::deliver().and_start(Timer::Trying, timers.invite_trying())
    }

    /// The INVITE came again.
    pub fn on_request(&mut self) -> Actions {
        match self.state {
            State::Proceeding if self.answered => Actions::send(Send::Original),
            State::Completed => Actions::send(Send::Original),
            State::Proceeding | State::Confirmed | State::Accepted | State::Terminated => Actions::NONE,
        }
    }

    /// The transaction user responds. Without `send` in the result the response came too late and is to be
    /// dropped (§17.2.1, RFC 6026 §8.3).
    pub fn respond(&mut self, status: u16, timers: &Timers) -> Actions {
        match (self.state, status) {
            (State::Proceeding, ..200) => {
                self.answered = true;
                Actions::send(Send::Original)
            }
            (State::Proceeding, 200..300) => {
                self.state = State::Accepted;
                Actions::send(Send::Original).and_start(Timer::L, timers.duration(Timer::L, 0))
            }
            (State::Proceeding, _) => {
                self.state = State::Completed;
                let actions = Actions::send(Send::Original).and_start(Timer::H, timers.duration(Timer::H, 0));
                if self.reliable { actions } else { actions.and_start(Timer::G, timers.duration(Timer::G, 0)) }
            }
            // Repeated by the transaction user, or from another branch of a fork.
            (State::Accepted, 200..300) => Actions::send(Send::Original),
            (State::Completed | State::Confirmed | State::Accepted | State::Terminated, _) => Actions::NONE,
        }
    }

    /// An ACK that matches the transaction (§17.2.3) came. With `deliver` it is for the transaction user: it has
    /// the branch of an INVITE that a 2xx was sent to.
    pub fn on_ack(&mut self, timers: &Timers) -> Actions {
        match self.state {
            // §17.2.1: timer I is zero over reliable transports.
            State::Completed if self.reliable => self.end(Ended::Normal),
            State::Completed => {
                self.state = State::Confirmed;
                Actions::NONE.and_start(Timer::I, timers.duration(Timer::I, 0))
            }
            State::Accepted => Actions::deliver(),
            State::Proceeding | State::Confirmed | State::Terminated => Actions::NONE,
        }
    }

    pub fn on_timer(&mut self, timer: Timer, timers: &Timers) -> Actions {
        match (self.state, timer) {
            (State::Proceeding, Timer::Trying) if !self.answered => {
                self.answered = true;
                Actions::send(Send::Trying)
            }
            (State::Completed, Timer::G) if !self.reliable => {
                self.repetitions = self.repetitions.saturating_add(1);
                Actions::send(Send::Original).and_start(Timer::G, timers.duration(Timer::G, self.repetitions))
            }
            (State::Completed, Timer::H) => self.end(Ended::Timeout),
            (State::Confirmed, Timer::I) | (State::Accepted, Timer::L) => self.end(Ended::Normal),
            _ => Actions::NONE,
        }
    }

    /// The transaction user will never respond. Only for one that has not sent a final response.
    pub fn abandon(&mut self) -> Actions {
        match self.state {
            State::Proceeding => self.end(Ended::Normal),
            _ => Actions::NONE,
        }
    }

    fn end(&mut self, ended: Ended) -> Actions {
        self.state = State::Terminated;
        Actions::ended(ended)
    }
}
