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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TIMERS: Timers = Timers::RFC3261;
    const LIFETIME: Duration = Duration::from_secs(32);
    const AGAIN: Actions = Actions { send: Some(Send::Original), ..Actions::NONE };

    fn in_state(state: State) -> InviteServer {
        InviteServer { state, ..InviteServer::new(false) }
    }

    #[test]
    fn an_invite_is_delivered_once_and_answered_with_100_after_200_ms() {
        let mut machine = InviteServer::new(false);
        let start = machine.start(&TIMERS);
        assert_eq!(start, Actions::deliver().and_start(Timer::Trying, Duration::from_millis(200)));
        assert_eq!(machine.on_request(), Actions::NONE);
        assert_eq!(machine.on_timer(Timer::Trying, &TIMERS), Actions::send(Send::Trying));
        assert_eq!(machine.on_request(), AGAIN);
    }

    #[test]
    fn no_100_is_sent_when_the_user_was_quicker() {
        for status in [100, 180, 200, 404] {
            let mut machine = InviteServer::new(false);
            let _ = machine.respond(status, &TIMERS);
            assert_eq!(machine.on_timer(Timer::Trying, &TIMERS), Actions::NONE);
        }
    }

    #[test]
    fn responses_lead_where_figure_7_says() {
        use State::*;
        let completed = AGAIN.and_start(Timer::H, LIFETIME).and_start(Timer::G, TIMERS.t1);
        for (before, status, actions, after) in [
            (Proceeding, 180, AGAIN, Proceeding),
            (Proceeding, 200, AGAIN.and_start(Timer::L, LIFETIME), Accepted),
            (Proceeding, 300, completed, Completed),
            (Proceeding, 603, completed, Completed),
            (Completed, 180, Actions::NONE, Completed),
            (Completed, 200, Actions::NONE, Completed),
            (Completed, 404, Actions::NONE, Completed),
            (Confirmed, 200, Actions::NONE, Confirmed),
            (Accepted, 180, Actions::NONE, Accepted),
            (Accepted, 200, AGAIN, Accepted),
            (Accepted, 404, Actions::NONE, Accepted),
            (Terminated, 200, Actions::NONE, Terminated),
        ] {
            let mut machine = in_state(before);
            assert_eq!(machine.respond(status, &TIMERS), actions, "{status} in {before:?}");
            assert_eq!(machine.state(), after, "{status} in {before:?}");
        }
    }

    #[test]
    fn requests_and_acks_lead_where_figure_7_says() {
        use State::*;
        for (state, repeated) in [
            (Proceeding, Actions::NONE),
            (Completed, AGAIN),
            (Confirmed, Actions::NONE),
            (Accepted, Actions::NONE),
            (Terminated, Actions::NONE),
        ] {
            assert_eq!(in_state(state).on_request(), repeated, "{state:?}");
        }
        for (before, actions, after) in [
            (Proceeding, Actions::NONE, Proceeding),
            (Completed, Actions::NONE.and_start(Timer::I, TIMERS.t4), Confirmed),
            (Confirmed, Actions::NONE, Confirmed),
            (Accepted, Actions::deliver(), Accepted),
            (Terminated, Actions::NONE, Terminated),
        ] {
            let mut machine = in_state(before);
            assert_eq!(machine.on_ack(&TIMERS), actions, "{before:?}");
            assert_eq!(machine.state(), after, "{before:?}");
        }
    }

    #[test]
    fn timers_lead_where_figure_7_says_and_are_no_ops_elsewhere() {
        use State::*;
        let normal = Actions::ended(Ended::Normal);
        for (before, timer, actions, after) in [
            (Proceeding, Timer::G, Actions::NONE, Proceeding),
            (Proceeding, Timer::H, Actions::NONE, Proceeding),
            (Completed, Timer::G, AGAIN.and_start(Timer::G, 2 * TIMERS.t1), Completed),
            (Completed, Timer::H, Actions::ended(Ended::Timeout), Terminated),
            (Completed, Timer::Trying, Actions::NONE, Completed),
            (Confirmed, Timer::G, Actions::NONE, Confirmed),
            (Confirmed, Timer::H, Actions::NONE, Confirmed),
            (Confirmed, Timer::I, normal, Terminated),
            (Accepted, Timer::H, Actions::NONE, Accepted),
            (Accepted, Timer::L, normal, Terminated),
            (Terminated, Timer::G, Actions::NONE, Terminated),
        ] {
            let mut machine = in_state(before);
            assert_eq!(machine.on_timer(timer, &TIMERS), actions, "{timer:?} in {before:?}");
            assert_eq!(machine.state(), after, "{timer:?} in {before:?}");
        }
    }

    #[test]
    fn over_a_reliable_transport_nothing_is_repeated_and_the_ack_ends_it() {
        let mut machine = InviteServer::new(true);
        let actions = machine.respond(486, &TIMERS);
        assert_eq!(actions.timers().collect::<Vec<_>>(), [(Timer::H, LIFETIME)]);
        assert_eq!(machine.on_ack(&TIMERS), Actions::ended(Ended::Normal));
    }

    #[test]
    fn only_an_unanswered_invite_can_be_abandoned() {
        assert_eq!(in_state(State::Proceeding).abandon(), Actions::ended(Ended::Normal));
        assert_eq!(in_state(State::Completed).abandon(), Actions::NONE);
        assert_eq!(in_state(State::Accepted).abandon(), Actions::NONE);
    }
}
