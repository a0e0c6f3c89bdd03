//! The INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §7.2 figure 5), with CANCEL (§9.1).

use super::{Actions, Ended, Send, Timer, Timers};

/// Sends an INVITE until something answers, acknowledges failures, passes every 2xx up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InviteClient {
    state: State,
    reliable: bool,
    /// How often timer A has fired.
    repetitions: u8,
    cancel: Cancel,
}

/// The states of figure 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Sent, nothing heard.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// A 3xx to 6xx came; its repetitions are acknowledged.
    Completed,
    /// A 2xx came; more are passed up.
    Accepted,
    /// Over.
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    No,
    /// Asked for before any provisional response came: to be sent with the first one.
    Wanted,
    Sent,
}

impl InviteClient {
    /// `reliable`: the transport repeats lost data by itself (TCP, TLS, WebSocket).
    pub fn new(reliable: bool) -> Self {
        Self { state: State::Calling, reliable, repetitions: 0, cancel: Cancel::No }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Sends the request for the first time. To be called once.
    pub fn start(&mut self, timers: &Timers) -> Actions {
        let actions = Actions::send(Send::Original).and_start(Timer::B, timers.duration(Timer::B, 0));
        if self.reliable { actions } else { actions.and_start(Timer::A, timers.duration(Timer::A, 0)) }
    }

    /// A response that matches the transaction (§17.1.3) came.
    pub fn on_response(&mut self, status: u16, timers: &Timers) -> Actions {
        match (self.state, status) {
            (State::Calling | State::Proceeding, ..200) => self.on_provisional(timers),
            (State::Calling | State::Proceeding, 200..300) => {
                self.state = State::Accepted;
                Actions::deliver().and_start(Timer::M, timers.duration(Timer::M, 0))
            }
            (State::Accepted, 200..300) => Actions::deliver(),
            (State::Calling | State::Proceeding, _) => {
                let actions = Actions::send(Send::Ack).and_deliver();
                if self.reliable {
                    // §17.1.1.2: timer D is zero over reliable transports.
                    self.state = State::Terminated;
                    return actions.and_end(Ended::Normal);
                }
                self.state = State::Completed;
                actions.and_start(Timer::D, timers.duration(Timer::D, 0))
            }
            (State::Completed, 300..) => Actions::send(Send::Ack),
            (State::Completed | State::Accepted | State::Terminated, _) => Actions::NONE,
        }
    }

    /// The transaction user wants the request withdrawn. The CANCEL goes out now or, as §9.1 demands, with the
    /// first provisional response; not at all when a final response was first.
    pub fn cancel(&mut self, timers: &Timers) -> Actions {
        match (self.state, self.cancel) {
            (State::Calling, Cancel::No) => {
                self.cancel = Cancel::Wanted;
                Actions::NONE
            }
            (State::Proceeding, Cancel::No) => self.send_cancel(timers),
            _ => Actions::NONE,
        }
    }

    pub fn on_timer(&mut self, timer: Timer, timers: &Timers) -> Actions {
        match (self.state, timer) {
            (State::Calling, Timer::A) if !self.reliable => {
                self.repetitions = self.repetitions.saturating_add(1);
                Actions::send(Send::Original).and_start(Timer::A, timers.duration(Timer::A, self.repetitions))
            }
            (State::Calling, Timer::B) => self.end(Ended::Timeout),
            // §9.1: without a final response 64·T1 after the CANCEL, the request counts as cancelled.
            (State::Proceeding, Timer::Cancelled) if self.cancel == Cancel::Sent => self.end(Ended::Timeout),
            (State::Completed, Timer::D) | (State::Accepted, Timer::M) => self.end(Ended::Normal),
            _ => Actions::NONE,
        }
    }

    /// The request or an ACK could not be sent (§17.1.4).
    pub fn on_transport_error(&mut self) -> Actions {
        match self.state {
            State::Calling | State::Completed => self.end(Ended::TransportError),
            // Nothing of this transaction is on its way then; the response may still come on another connection.
            State::Proceeding | State::Accepted | State::Terminated => Actions::NONE,
        }
    }

    /// Gives the transaction up without waiting any longer: timer C fired before any response (§16.8).
    pub fn abandon(&mut self) -> Actions {
        match self.state {
            State::Calling | State::Proceeding => self.end(Ended::Timeout),
            State::Completed | State::Accepted | State::Terminated => Actions::NONE,
        }
    }

    fn on_provisional(&mut self, timers: &Timers) -> Actions {
        self.state = State::Proceeding;
        match self.cancel {
            Cancel::Wanted => self.send_cancel(timers).and_deliver(),
            Cancel::No | Cancel::Sent => Actions::deliver(),
        }
    }

    fn send_cancel(&mut self, timers: &Timers) -> Actions {
        self.cancel = Cancel::Sent;
        Actions::send(Send::Cancel).and_start(Timer::Cancelled, timers.duration(Timer::Cancelled, 0))
    }

    fn end(&mut self, ended: Ended) -> Actions {
        self.state = State::Terminated;
        Actions::ended(ended)
    }
}
