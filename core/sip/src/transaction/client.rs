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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TIMERS: Timers = Timers::RFC3261;

    fn in_state(state: State) -> ClientTransaction {
        ClientTransaction { state, ..ClientTransaction::new(false) }
    }

    #[test]
    fn starting_sends_and_arms_e_and_f_over_udp_but_only_f_over_tcp() {
        let f = (Timer::F, Duration::from_secs(32));
        let actions = ClientTransaction::new(false).start(&TIMERS);
        assert_eq!(actions.send, Some(Send::Original));
        assert_eq!(actions.timers().collect::<Vec<_>>(), [f, (Timer::E, TIMERS.t1)]);
        assert_eq!(ClientTransaction::new(true).start(&TIMERS).timers().collect::<Vec<_>>(), [f]);
    }

    #[test]
    fn events_lead_where_figure_6_says() {
        use State::*;
        let deliver = Actions::deliver();
        let completed = deliver.and_start(Timer::K, TIMERS.t4);
        for (before, status, actions, after) in [
            (Trying, 100, deliver, Proceeding),
            (Trying, 200, completed, Completed),
            (Trying, 503, completed, Completed),
            (Proceeding, 100, deliver, Proceeding),
            (Proceeding, 404, completed, Completed),
            (Completed, 100, Actions::NONE, Completed),
            (Completed, 200, Actions::NONE, Completed),
            (Terminated, 200, Actions::NONE, Terminated),
        ] {
            let mut machine = in_state(before);
            assert_eq!(machine.on_response(status, &TIMERS), actions, "{status} in {before:?}");
            assert_eq!(machine.state(), after, "{status} in {before:?}");
        }
        let again = Actions::send(Send::Original);
        for (before, timer, actions, after) in [
            (Trying, Timer::E, again.and_start(Timer::E, 2 * TIMERS.t1), Trying),
            (Trying, Timer::F, Actions::ended(Ended::Timeout), Terminated),
            (Trying, Timer::K, Actions::NONE, Trying),
            (Proceeding, Timer::E, again.and_start(Timer::E, TIMERS.t2), Proceeding),
            (Proceeding, Timer::F, Actions::ended(Ended::Timeout), Terminated),
            (Completed, Timer::E, Actions::NONE, Completed),
            (Completed, Timer::F, Actions::NONE, Completed),
            (Completed, Timer::K, Actions::ended(Ended::Normal), Terminated),
            (Terminated, Timer::F, Actions::NONE, Terminated),
        ] {
            let mut machine = in_state(before);
            assert_eq!(machine.on_timer(timer, &TIMERS), actions, "{timer:?} in {before:?}");
            assert_eq!(machine.state(), after, "{timer:?} in {before:?}");
        }
    }

    #[test]
    fn over_a_reliable_transport_a_final_response_ends_it() {
        let mut machine = ClientTransaction::new(true);
        assert_eq!(machine.on_timer(Timer::E, &TIMERS), Actions::NONE);
        assert_eq!(machine.on_response(200, &TIMERS), Actions::deliver().and_end(Ended::Normal));
        assert_eq!(machine.on_response(200, &TIMERS), Actions::NONE);
    }

    #[test]
    fn transport_errors_end_it_until_a_final_response_came() {
        for (state, ended) in [
            (State::Trying, Some(Ended::TransportError)),
            (State::Proceeding, Some(Ended::TransportError)),
            (State::Completed, None),
            (State::Terminated, None),
        ] {
            assert_eq!(in_state(state).on_transport_error().ended, ended, "{state:?}");
        }
    }
}
