//! Laws that hold for all four machines under any sequence of events.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Event {
    Request,
    Ack,
    Status(u16),
    Cancel,
    TransportError,
    /// Any timer at any time, started or not.
    Timer(Timer),
    Abandon,
}

#[derive(Clone, Copy, Debug)]
enum Machine {
    InviteClient(InviteClient),
    Client(ClientTransaction),
    InviteServer(InviteServer),
    Server(ServerTransaction),
}

impl Machine {
    fn start(&mut self, timers: &Timers) -> Actions {
        match self {
            Self::InviteClient(machine) => machine.start(timers),
            Self::Client(machine) => machine.start(timers),
            Self::InviteServer(machine) => machine.start(timers),
            Self::Server(machine) => machine.start(timers),
        }
    }

    /// What a machine has no method for does nothing.
    fn handle(&mut self, event: Event, timers: &Timers) -> Actions {
        match (self, event) {
            (Self::InviteClient(machine), Event::Status(status)) => machine.on_response(status, timers),
            (Self::InviteClient(machine), Event::Cancel) => machine.cancel(timers),
            (Self::InviteClient(machine), Event::TransportError) => machine.on_transport_error(),
            (Self::InviteClient(machine), Event::Timer(timer)) => machine.on_timer(timer, timers),
            (Self::InviteClient(machine), Event::Abandon) => machine.abandon(),
            (Self::Client(machine), Event::Status(status)) => machine.on_response(status, timers),
            (Self::Client(machine), Event::TransportError) => machine.on_transport_error(),
            (Self::Client(machine), Event::Timer(timer)) => machine.on_timer(timer, timers),
            (Self::InviteServer(machine), Event::Request) => machine.on_request(),
            (Self::InviteServer(machine), Event::Ack) => machine.on_ack(timers),
            (Self::InviteServer(machine), Event::Status(status)) => machine.respond(status, timers),
            (Self::InviteServer(machine), Event::Timer(timer)) => machine.on_timer(timer, timers),
            (Self::InviteServer(machine), Event::Abandon) => machine.abandon(),
            (Self::Server(machine), Event::Request) => machine.on_request(),
            (Self::Server(machine), Event::Status(status)) => machine.respond(status, timers),
            (Self::Server(machine), Event::Timer(timer)) => machine.on_timer(timer),
            (Self::Server(machine), Event::Abandon) => machine.abandon(),
            _ => Actions::NONE,
        }
    }
}

fn machines() -> impl Strategy<Value = Machine> {
    (0..4, any::<bool>()).prop_map(|(kind, reliable)| match kind {
        0 => Machine::InviteClient(InviteClient::new(reliable)),
        1 => Machine::Client(ClientTransaction::new(reliable)),
        2 => Machine::InviteServer(InviteServer::new(reliable)),
        _ => Machine::Server(ServerTransaction::new(reliable)),
    })
}

fn events() -> impl Strategy<Value = Event> {
    use Timer::*;
    let timers = vec![A, B, C, D, E, F, G, H, I, J, K, L, M, Trying, Cancelled];
    prop_oneof![
        Just(Event::Request),
        Just(Event::Ack),
        prop_oneof![Just(100), Just(180), Just(200), Just(404), Just(408), Just(603), any::<u16>()]
            .prop_map(Event::Status),
        Just(Event::Cancel),
        Just(Event::TransportError),
        prop::sample::select(timers).prop_map(Event::Timer),
        Just(Event::Abandon),
    ]
}

proptest! {
    #[test]
    fn an_ended_machine_asks_for_nothing(
        mut machine in machines(),
        events in prop::collection::vec(events(), 0..40),
    ) {
        let timers = Timers::default();
        let mut ended = machine.start(&timers).ended.is_some();
        for event in events {
            let actions = machine.handle(event, &timers);
            prop_assert!(!ended || actions == Actions::NONE, "{event:?} in {machine:?}: {actions:?}");
            ended |= actions.ended.is_some();
        }
    }

    /// Whatever happened, once the other side falls silent all timers run out. A client whose INVITE rings needs
    /// its owner's timer C for that, a server its transaction user's response or `abandon`.
    #[test]
    fn a_machine_left_alone_comes_to_rest(
        mut machine in machines(),
        events in prop::collection::vec((events(), 0..2000_u64), 0..20),
    ) {
        let timers = Timers::default();
        let mut now = Duration::ZERO;
        let mut queue = Vec::new();
        let mut ended = false;
        let mut note = |now: Duration, actions: Actions, queue: &mut Vec<(Duration, Timer)>| {
            for (timer, duration) in actions.timers() {
                assert!(duration <= timers.c.max(timers.lifetime()));
                queue.push((now + duration, timer));
            }
            ended |= actions.ended.is_some();
        };
        let start = machine.start(&timers);
        note(now, start, &mut queue);
        for (event, pause) in events {
            now += Duration::from_millis(pause);
            let actions = machine.handle(event, &timers);
            note(now, actions, &mut queue);
        }
        for _ in 0..1000 {
            let Some(next) = (0..queue.len()).min_by_key(|&index| queue[index]) else { break };
            let (at, timer) = queue.swap_remove(next);
            now = now.max(at);
            let actions = machine.handle(Event::Timer(timer), &timers);
            note(now, actions, &mut queue);
        }
        prop_assert!(queue.is_empty());
        let waits_for_its_owner = match machine {
            Machine::InviteClient(machine) => machine.state() == invite_client::State::Proceeding,
            Machine::Client(_) => false,
            Machine::InviteServer(machine) => machine.state() == invite_server::State::Proceeding,
            Machine::Server(machine) => machine.state() == server::State::Proceeding,
        };
        prop_assert!(ended || waits_for_its_owner, "{machine:?}");
    }
}
