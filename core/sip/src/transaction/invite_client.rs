//! The INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §7.2 figure 5), with CANCEL (RFC 3261 §9.1).

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TIMERS: Timers = Timers::RFC3261;
    const LIFETIME: Duration = Duration::from_secs(32);

    fn in_state(state: State) -> InviteClient {
        InviteClient { state, ..InviteClient::new(false) }
    }

    fn ends(ended: Ended) -> Actions {
        Actions::ended(ended)
    }

    #[test]
    fn starting_sends_and_arms_a_and_b_over_udp_but_only_b_over_tcp() {
        let actions = InviteClient::new(false).start(&TIMERS);
        assert_eq!(actions.send, Some(Send::Original));
        assert_eq!(actions.timers().collect::<Vec<_>>(), [(Timer::B, LIFETIME), (Timer::A, TIMERS.t1)]);
        let actions = InviteClient::new(true).start(&TIMERS);
        assert_eq!(actions.timers().collect::<Vec<_>>(), [(Timer::B, LIFETIME)]);
    }

    #[test]
    fn responses_lead_where_figure_5_says() {
        use State::*;
        let deliver = Actions::deliver();
        let ack = Actions::send(Send::Ack);
        let accepted = deliver.and_start(Timer::M, LIFETIME);
        let completed = ack.and_deliver().and_start(Timer::D, LIFETIME);
        for (before, status, actions, after) in [
            (Calling, 100, deliver, Proceeding),
            (Calling, 180, deliver, Proceeding),
            (Calling, 200, accepted, Accepted),
            (Calling, 302, completed, Completed),
            (Calling, 699, completed, Completed),
            (Proceeding, 183, deliver, Proceeding),
            (Proceeding, 299, accepted, Accepted),
            (Proceeding, 486, completed, Completed),
            (Completed, 180, Actions::NONE, Completed),
            (Completed, 200, Actions::NONE, Completed),
            (Completed, 486, ack, Completed),
            (Accepted, 180, Actions::NONE, Accepted),
            (Accepted, 200, deliver, Accepted),
            (Accepted, 486, Actions::NONE, Accepted),
            (Terminated, 200, Actions::NONE, Terminated),
        ] {
            let mut machine = in_state(before);
            assert_eq!(machine.on_response(status, &TIMERS), actions, "{status} in {before:?}");
            assert_eq!(machine.state(), after, "{status} in {before:?}");
        }
    }

    #[test]
    fn timers_lead_where_figure_5_says_and_are_no_ops_elsewhere() {
        use State::*;
        let again = Actions::send(Send::Original).and_start(Timer::A, 2 * TIMERS.t1);
        for (before, timer, actions, after) in [
            (Calling, Timer::A, again, Calling),
            (Calling, Timer::B, ends(Ended::Timeout), Terminated),
            (Calling, Timer::D, Actions::NONE, Calling),
            (Calling, Timer::Cancelled, Actions::NONE, Calling),
            (Proceeding, Timer::A, Actions::NONE, Proceeding),
            (Proceeding, Timer::B, Actions::NONE, Proceeding),
            (Proceeding, Timer::Cancelled, Actions::NONE, Proceeding),
            (Completed, Timer::A, Actions::NONE, Completed),
            (Completed, Timer::B, Actions::NONE, Completed),
            (Completed, Timer::D, ends(Ended::Normal), Terminated),
            (Accepted, Timer::B, Actions::NONE, Accepted),
            (Accepted, Timer::D, Actions::NONE, Accepted),
            (Accepted, Timer::M, ends(Ended::Normal), Terminated),
            (Terminated, Timer::A, Actions::NONE, Terminated),
        ] {
            let mut machine = in_state(before);
            assert_eq!(machine.on_timer(timer, &TIMERS), actions, "{timer:?} in {before:?}");
            assert_eq!(machine.state(), after, "{timer:?} in {before:?}");
        }
    }

    #[test]
    fn over_a_reliable_transport_a_failure_is_acknowledged_and_ends_the_transaction() {
        let mut machine = InviteClient::new(true);
        let expected = Actions::send(Send::Ack).and_deliver().and_end(Ended::Normal);
        assert_eq!(machine.on_response(404, &TIMERS), expected);
        assert_eq!(machine.on_response(404, &TIMERS), Actions::NONE);
    }

    #[test]
    fn cancel_waits_for_a_provisional_response() {
        let mut machine = InviteClient::new(false);
        assert_eq!(machine.cancel(&TIMERS), Actions::NONE);
        let expected = Actions::send(Send::Cancel).and_start(Timer::Cancelled, LIFETIME).and_deliver();
        assert_eq!(machine.on_response(100, &TIMERS), expected);
        assert_eq!(machine.on_response(180, &TIMERS), Actions::deliver());
    }

    #[test]
    fn cancel_is_sent_once_and_never_after_a_final_response() {
        let mut machine = in_state(State::Proceeding);
        assert_eq!(machine.cancel(&TIMERS).send, Some(Send::Cancel));
        assert_eq!(machine.cancel(&TIMERS), Actions::NONE);
        for state in [State::Completed, State::Accepted, State::Terminated] {
            assert_eq!(in_state(state).cancel(&TIMERS), Actions::NONE);
        }
        let mut machine = InviteClient::new(false);
        assert_eq!(machine.cancel(&TIMERS), Actions::NONE);
        assert_eq!(machine.on_response(200, &TIMERS).send, None);
    }

    #[test]
    fn a_cancelled_request_without_final_response_times_out() {
        let mut machine = in_state(State::Proceeding);
        let _ = machine.cancel(&TIMERS);
        assert_eq!(machine.on_timer(Timer::Cancelled, &TIMERS), ends(Ended::Timeout));
    }

    #[test]
    fn transport_errors_end_it_only_where_something_was_sent() {
        use State::*;
        for (state, expected) in [
            (Calling, ends(Ended::TransportError)),
            (Proceeding, Actions::NONE),
            (Completed, ends(Ended::TransportError)),
            (Accepted, Actions::NONE),
            (Terminated, Actions::NONE),
        ] {
            assert_eq!(in_state(state).on_transport_error(), expected, "{state:?}");
        }
    }

    #[test]
    fn abandoning_works_until_a_final_response_came() {
        assert_eq!(in_state(State::Calling).abandon(), ends(Ended::Timeout));
        assert_eq!(in_state(State::Proceeding).abandon(), ends(Ended::Timeout));
        assert_eq!(in_state(State::Accepted).abandon(), Actions::NONE);
    }
}
