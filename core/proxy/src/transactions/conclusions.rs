//! Relayed requests that have failed, and the stack on which that is dealt with.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use signalbox_sip::fork::Outcome;

use super::ServerId;

/// Relayed requests all of whose branches have failed. A failure route may relay further and fail at once: that waits here for the end of the
/// route, for there may be many such steps, and the stack has an end.
#[derive(Default)]
pub(crate) struct Conclusions {
    waiting: RefCell<VecDeque<(ServerId, Outcome)>>,
    under_way: Cell<bool>,
}

/// Somebody draws conclusions, as long as this lives.
pub(super) struct Concluding<'a>(&'a Conclusions);

impl Conclusions {
    /// Adds one. `None` when somebody further down the stack will come to it.
    pub(super) fn add(&self, id: ServerId, outcome: Outcome) -> Option<Concluding<'_>> {
        self.waiting.borrow_mut().push_back((id, outcome));
        (!self.under_way.replace(true)).then_some(Concluding(self))
    }
}

impl Concluding<'_> {
    pub(super) fn next(&self) -> Option<(ServerId, Outcome)> {
        self.0.waiting.borrow_mut().pop_front()
    }
}

impl Drop for Concluding<'_> {
    fn drop(&mut self) {
        self.0.under_way.set(false);
    }
}

#[cfg(test)]
mod tests {
    use signalbox_sip::transaction::{ServerTransaction, TransactionKey};

    use super::*;
    use crate::transactions::table::{ServerMachine, Table};
    use crate::transport::{Flow, Protocol};

    #[test]
    fn one_at_a_time_draws_conclusions_and_comes_to_all() {
        let (mut table, conclusions) = (Table::default(), Conclusions::default());
        let address = ([192, 0, 2, 1], 5060).into();
        let flow = Flow { protocol: Protocol::Udp, local: address, remote: address, connection: None };
        let machine = ServerMachine::Other(ServerTransaction::new(false));
        let id = table.add_server(TransactionKey(1), machine, flow, None).unwrap();
        let concluding = conclusions.add(id, Outcome::Own(408)).unwrap();
        assert!(concluding.next().is_some());
        assert!(conclusions.add(id, Outcome::Own(408)).is_none());
        assert!(concluding.next().is_some() && concluding.next().is_none());
        drop(concluding);
        assert!(conclusions.add(id, Outcome::Own(408)).is_some());
    }
}
