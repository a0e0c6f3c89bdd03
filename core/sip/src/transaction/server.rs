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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TIMERS: Timers = Timers::RFC3261;
    const AGAIN: Actions = Actions { send: Some(Send::Original), ..Actions::NONE };

    fn in_state(state: State) -> ServerTransaction {
        ServerTransaction { state, ..ServerTransaction::new(false) }
    }

    #[test]
    fn responses_lead_where_figure_8_and_rfc_4320_say() {
        use State::*;
        let completed = AGAIN.and_start(Timer::J, Duration::from_secs(32));
        let silence = Actions::ended(Ended::Normal);
        for (before, status, actions, after) in [
            (Trying, 100, Actions::NONE, Trying),
            (Trying, 180, Actions::NONE, Trying),
            (Trying, 200, completed, Completed),
            (Trying, 408, silence, Terminated),
            (Trying, 500, completed, Completed),
            (Proceeding, 100, AGAIN, Proceeding),
            (Proceeding, 183, Actions::NONE, Proceeding),
            (Proceeding, 200, completed, Completed),
            (Proceeding, 408, silence, Terminated),
            (Completed, 100, Actions::NONE, Completed),
            (Completed, 200, Actions::NONE, Completed),
            (Completed, 408, Actions::NONE, Completed),
            (Terminated, 200, Actions::NONE, Terminated),
        ] {
            let mut machine = in_state(before);
            assert_eq!(machine.respond(status, &TIMERS), actions, "{status} in {before:?}");
            assert_eq!(machine.state(), after, "{status} in {before:?}");
        }
    }

    #[test]
    fn repeated_requests_get_the_newest_response() {
        use State::*;
        for (state, actions) in
            [(Trying, Actions::NONE), (Proceeding, AGAIN), (Completed, AGAIN), (Terminated, Actions::NONE)]
        {
            assert_eq!(in_state(state).on_request(), actions, "{state:?}");
        }
    }

    #[test]
    fn a_100_goes_out_when_timer_e_of_the_client_has_reached_t2() {
        let mut machine = ServerTransaction::new(false);
        let expected = Actions::deliver().and_start(Timer::Trying, Duration::from_millis(3500));
        assert_eq!(machine.start(&TIMERS), expected);
        assert_eq!(machine.on_timer(Timer::Trying), Actions::send(Send::Trying));
        assert_eq!(machine.state(), State::Proceeding);
        assert_eq!(machine.on_timer(Timer::Trying), Actions::NONE);
    }

    #[test]
    fn no_100_follows_a_final_response() {
        let mut machine = ServerTransaction::new(false);
        let _ = machine.respond(200, &TIMERS);
        assert_eq!(machine.on_timer(Timer::Trying), Actions::NONE);
    }

    #[test]
    fn over_a_reliable_transport_100_is_allowed_and_a_final_response_ends_it() {
        let mut machine = ServerTransaction::new(true);
        assert_eq!(machine.respond(100, &TIMERS), AGAIN);
        assert_eq!(machine.respond(200, &TIMERS), AGAIN.and_end(Ended::Normal));
        assert_eq!(machine.respond(200, &TIMERS), Actions::NONE);
    }

    #[test]
    fn timer_j_ends_it() {
        assert_eq!(in_state(State::Completed).on_timer(Timer::J), Actions::ended(Ended::Normal));
        assert_eq!(in_state(State::Trying).on_timer(Timer::J), Actions::NONE);
    }

    #[test]
    fn only_an_unanswered_request_can_be_abandoned() {
        assert_eq!(in_state(State::Trying).abandon(), Actions::ended(Ended::Normal));
        assert_eq!(in_state(State::Proceeding).abandon(), Actions::ended(Ended::Normal));
        assert_eq!(in_state(State::Completed).abandon(), Actions::NONE);
    }
}
