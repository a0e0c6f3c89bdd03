//! Runs one transaction machine through virtual time and writes down what it does when.

use std::time::Duration;

use signalbox_sip::transaction::{
    Actions, ClientTransaction, Ended, InviteClient, InviteServer, Send, ServerTransaction, Timer, Timers,
};

pub(crate) trait Machine {
    fn start(&mut self, timers: &Timers) -> Actions;
    fn on_timer(&mut self, timer: Timer, timers: &Timers) -> Actions;
}

impl Machine for InviteClient {
    fn start(&mut self, timers: &Timers) -> Actions {
        self.start(timers)
    }
    fn on_timer(&mut self, timer: Timer, timers: &Timers) -> Actions {
        self.on_timer(timer, timers)
    }
}

impl Machine for ClientTransaction {
    fn start(&mut self, timers: &Timers) -> Actions {
        self.start(timers)
    }
    fn on_timer(&mut self, timer: Timer, timers: &Timers) -> Actions {
        self.on_timer(timer, timers)
    }
}

impl Machine for InviteServer {
    fn start(&mut self, timers: &Timers) -> Actions {
        self.start(timers)
    }
    fn on_timer(&mut self, timer: Timer, timers: &Timers) -> Actions {
        self.on_timer(timer, timers)
    }
}

impl Machine for ServerTransaction {
    fn start(&mut self, timers: &Timers) -> Actions {
        self.start(timers)
    }
    fn on_timer(&mut self, timer: Timer, _timers: &Timers) -> Actions {
        self.on_timer(timer)
    }
}

/// A machine, its clock and its timers.
pub(crate) struct Timeline<M> {
    machine: M,
    timers: Timers,
    now: Duration,
    queue: Vec<(Duration, Timer)>,
    /// What was sent, by milliseconds since the start.
    pub(crate) sent: Vec<(u64, Send)>,
    /// When messages were passed to the transaction user.
    pub(crate) delivered: Vec<u64>,
    /// How and when it ended.
    pub(crate) ended: Option<(u64, Ended)>,
}

impl<M: Machine> Timeline<M> {
    /// Starts the machine at time zero.
    pub(crate) fn start(machine: M) -> Self {
        let mut timeline = Self {
            machine,
            timers: Timers::default(),
            now: Duration::ZERO,
            queue: Vec::new(),
            sent: Vec::new(),
            delivered: Vec::new(),
            ended: None,
        };
        timeline.event(Machine::start);
        timeline
    }

    /// Lets time pass up to this many milliseconds since the start.
    pub(crate) fn until(mut self, milliseconds: u64) -> Self {
        let end = Duration::from_millis(milliseconds);
        while let Some(next) = self.next().filter(|&next| self.queue[next].0 <= end) {
            self.fire(next);
        }
        self.now = end;
        self
    }

    /// Lets time pass until no timer is left.
    pub(crate) fn run_out(mut self) -> Self {
        while let Some(next) = self.next() {
            self.fire(next);
        }
        self
    }

    /// Something happens now.
    pub(crate) fn and(mut self, event: impl FnOnce(&mut M, &Timers) -> Actions) -> Self {
        self.event(event);
        self
    }

    /// When the original message was sent, for the first time and again.
    pub(crate) fn originals(&self) -> Vec<u64> {
        self.times(Send::Original)
    }

    pub(crate) fn times(&self, wanted: Send) -> Vec<u64> {
        self.sent.iter().filter(|(_, send)| *send == wanted).map(|(at, _)| *at).collect()
    }

    fn event(&mut self, event: impl FnOnce(&mut M, &Timers) -> Actions) {
        let actions = event(&mut self.machine, &self.timers);
        // Invariant: virtual times are short.
        let now = u64::try_from(self.now.as_millis()).unwrap();
        self.sent.extend(actions.send.map(|send| (now, send)));
        if actions.deliver {
            self.delivered.push(now);
        }
        self.queue.extend(actions.timers().map(|(timer, duration)| (self.now + duration, timer)));
        if let Some(ended) = actions.ended {
            assert_eq!(self.ended, None, "ended twice");
            self.ended = Some((now, ended));
        }
    }

    fn next(&self) -> Option<usize> {
        (0..self.queue.len()).min_by_key(|&index| self.queue[index])
    }

    fn fire(&mut self, index: usize) {
        let (at, timer) = self.queue.swap_remove(index);
        self.now = at;
        self.event(|machine, timers| machine.on_timer(timer, timers));
    }
}
