//! Requests that came in: repetitions, ACK and CANCEL, and the responses to them (RFC 3261 §17.2, §9.2).

use std::rc::Rc;

use signalbox_sip::message::Message;
use signalbox_sip::method::Method;
use signalbox_sip::transaction::{Actions, InviteServer, Send, ServerTransaction, Timer, TransactionKey};

use super::ServerId;
use super::table::{Due, Server, ServerMachine};
use crate::context::Routing;
use crate::error::Error;
use crate::forward;
use crate::transport::Flow;
use crate::worker::Worker;
use crate::worker::handover::Receiver;

/// A CANCEL for which this worker has no transaction.
struct Cancel {
    request: Message,
    source: Flow,
    reply_to: Flow,
    /// Its own key, and that of its INVITE.
    key: TransactionKey,
    invite: TransactionKey,
}

impl Worker {
    /// A request came in, whole and well-formed.
    pub(crate) fn receive_request(&self, request: Message, source: Flow) {
        if *request.method() == Method::Cancel && self.is_to_wait(&request) {
            return self.hand_request_over(self.index(), request, source);
        }
        match self.receiver_of(request.call_id()) {
            Receiver::Here => self.receive_request_here(request, source),
            _ if self.knows(&request) => self.receive_request_here(request, source),
            Receiver::Elsewhere(receiver) => self.hand_request_over(receiver, request, source),
            // Nothing comes again over a connection.
            Receiver::Full if source.protocol.is_reliable() => self.receive_request_here(request, source),
            // The request is dropped, as by a full socket. Its sender retransmits it.
            Receiver::Full => self.counters().overload_dropped.increment(),
        }
    }

    /// A request that this worker handles, unless another one has its transaction.
    pub(crate) fn receive_request_here(&self, mut request: Message, source: Flow) {
        // Before the Via is changed, which is part of the key where clients follow RFC 2543.
        let key = self.transaction_keys().of_request(&request);
        let invite = (*request.method() == Method::Cancel).then(|| self.transaction_keys().of_cancel(&request));
        let known = key.as_ref().ok().and_then(|key| self.table().server_by_key(key));
        if let (Ok(key), None, 2..) = (&key, known, self.workers().count()) {
            let invite = invite.as_ref().and_then(|invite| invite.as_ref().ok().copied());
            if let Some(holder) = self.holder(*request.method() == Method::Ack, *key, invite) {
                return self.hand_request_over(holder, request, source);
            }
        }
        let (key, reply_to) = match (key, forward::receive_via(&mut request, &source)) {
            (Ok(key), Ok(reply_to)) => (key, reply_to),
            (key, Err(error)) => {
                key.into_iter().for_each(|key| self.release(key));
                return self.refuse(&request, &source, error.status());
            }
            (Err(_), Ok(reply_to)) => return self.refuse(&request, &reply_to, (400, "Bad Request")),
        };
        match (request.method(), known) {
            (Method::Ack, Some(server)) => self.receive_ack(server, request, source, reply_to),
            (Method::Ack, None) if self.is_own_tag(&request) => self.counters().absorbed_acks.increment(),
            (_, Some(server)) => self.repeat(server, source, reply_to),
            (Method::Cancel, None) => {
                // Its own key could be made, and so could this.
                let invite = invite.and_then(Result::ok).unwrap_or(key);
                self.receive_cancel(Cancel { request, source, reply_to, key, invite });
            }
            _ => self.route_request(request, source, reply_to, key),
        }
    }

    /// Whether a transaction of this worker has to do with a request: its own, or the one that a CANCEL is for.
    pub(crate) fn knows(&self, request: &Message) -> bool {
        let keys = self.transaction_keys();
        let cancelled = (*request.method() == Method::Cancel).then(|| keys.of_cancel(request));
        let mut keys = [Some(keys.of_request(request)), cancelled].into_iter().flatten().flatten();
        keys.any(|key| self.table().server_by_key(&key).is_some())
    }

    /// Whether the INVITE of a CANCEL is still in this worker's mailbox: then the CANCEL must go there too.
    fn is_to_wait(&self, cancel: &Message) -> bool {
        let invite = self.transaction_keys().of_cancel(cancel);
        invite.is_ok_and(|invite| self.holds(invite) && self.table().server_by_key(&invite).is_none())
    }

    /// Answers a request that cannot be routed at all.
    pub(crate) fn refuse(&self, request: &Message, reply_to: &Flow, (status, reason): (u16, &str)) {
        if *request.method() == Method::Ack {
            return;
        }
        let mut response = request.reply(status, reason);
        self.tag(&mut response, request);
        // A response that cannot be sent is asked for again by a repeated request.
        let _ = self.send_response(&response, reply_to);
    }

    /// A retransmission came. Its answer goes to its source, which is another port after a NAT has dropped the old
    /// mapping. Later responses go there too, unless it is another host.
    fn repeat(&self, id: ServerId, source: Flow, mut reply_to: Flow) {
        let (actions, before) = {
            let mut table = self.table();
            let Some(server) = table.server(id) else { return };
            if server.rport_forced {
                reply_to.remote = source.remote;
            }
            let before = std::mem::replace(&mut server.reply_to, reply_to);
            let actions = match &mut server.machine {
                ServerMachine::Invite(machine) => machine.on_request(),
                ServerMachine::Other(machine) => machine.on_request(),
            };
            (actions, before)
        };
        self.counters().repeated_requests.increment();
        self.apply_server(id, &actions);
        if before.remote.ip() != reply_to.remote.ip()
            && let Some(server) = self.table().server(id)
        {
            server.reply_to = before;
        }
    }

    fn receive_ack(&self, id: ServerId, request: Message, source: Flow, reply_to: Flow) {
        let (actions, key) = {
            let mut table = self.table();
            let Some(server) = table.server(id) else { return };
            match &mut server.machine {
                ServerMachine::Invite(machine) => (machine.on_ack(self.timers()), server.key),
                ServerMachine::Other(_) => return,
            }
        };
        self.apply_server(id, &actions);
        if actions.deliver {
            // RFC 6026 §7.1: the ACK of a 2xx is nothing of this transaction; it is routed like any request.
            self.route_request(request, source, reply_to, key);
        }
    }

    fn receive_cancel(&self, cancel: Cancel) {
        let Cancel { request, source, reply_to, key, invite } = cancel;
        let known = self.table().server_by_key(&invite);
        let Some(id) = known else {
            // §16.10: nothing is known of the request, so the CANCEL goes where the script sends it.
            return self.route_request(request, source, reply_to, key);
        };
        // §9.2: whatever becomes of the request, the CANCEL itself gets 200, each time it comes.
        self.refuse(&request, &reply_to, (200, "OK"));
        let routing = {
            let mut table = self.table();
            let Some(server) = table.server(id) else { return };
            if !matches!(server.machine, ServerMachine::Invite(_)) {
                return;
            }
            if server.proxying.is_some() { None } else { server.routing.clone() }
        };
        match routing {
            None => self.cancel_branches(id),
            Some(routing) => {
                let mut response = routing.request.borrow().reply(487, "Request Terminated");
                self.tag(&mut response, &routing.request.borrow());
                // It may have been answered in between, which is as good.
                let _ = self.respond(id, &response);
            }
        }
    }

    /// Makes the server transaction of a request, so that its repetitions are absorbed from now on.
    pub(crate) fn new_server(&self, routing: &Rc<Routing>) -> Result<ServerId, Error> {
        if let Some(id) = routing.server.get() {
            return Ok(id);
        }
        if routing.answered.get() {
            return Err(Error::AlreadyAnswered);
        }
        let reliable = routing.source.protocol.is_reliable();
        let (machine, actions) = match routing.request.borrow().method() {
            Method::Ack => return Err(Error::AckNotAnswered),
            Method::Invite => {
                let mut machine = InviteServer::new(reliable);
                let actions = machine.start(self.timers());
                (ServerMachine::Invite(machine), actions)
            }
            _ => {
                let mut machine = ServerTransaction::new(reliable);
                let actions = machine.start(self.timers());
                (ServerMachine::Other(machine), actions)
            }
        };
        let added = self.table().add_server(routing.key, machine, routing.reply_to.get(), Some(routing.clone()));
        let id = added.ok_or(Error::Overloaded)?;
        routing.server.set(Some(id));
        // The transaction holds the claim from now on.
        routing.claimed.set(false);
        self.apply_server(id, &actions);
        Ok(id)
    }

    /// Sends a response through a server transaction.
    pub(crate) fn respond(&self, id: ServerId, response: &Message) -> Result<(), Error> {
        let status = response.status();
        let (finished, sent) = {
            let mut table = self.table();
            let server = table.server(id).ok_or(Error::AlreadyAnswered)?;
            let actions = match &mut server.machine {
                ServerMachine::Invite(machine) => machine.respond(status, self.timers()),
                ServerMachine::Other(machine) => machine.respond(status, self.timers()),
            };
            let finished = match (&server.machine, status) {
                (_, ..200) => (None, None),
                // More 2xx responses may follow to an INVITE.
                (ServerMachine::Invite(_), _) => (server.routing.take(), None),
                (ServerMachine::Other(_), _) => (server.routing.take(), server.proxying.take()),
            };
            if actions.send.is_none() && actions.ended.is_none() {
                // RFC 4320 §4.1 forbids most provisional responses to non-INVITE requests: they are just not sent.
                return if status >= 200 { Err(Error::AlreadyAnswered) } else { Ok(()) };
            }
            let reply_to = server.reply_to;
            let sent = if actions.send.is_some() { self.send_response(response, &reply_to) } else { Ok(()) };
            if actions.ended.is_none() {
                server.response = Some(self.printed().head.as_slice().into());
            }
            drop(table);
            self.apply_server(id, &Actions { send: None, ..actions });
            if let Err(error) = &sent {
                tracing::info!(%error, call_id = response.call_id(), "a response could not be sent");
            }
            (finished, sent)
        };
        // Dropped outside the borrow of the table: what the script kept may end transactions of its own.
        drop(finished);
        // RFC 6026 §8.8: the transaction user is told, and the transaction stays in its state.
        Ok(sent?)
    }

    /// Lets the transaction go that only kept repetitions off a request while it waited: it is answered without one.
    pub(crate) fn forget_absorbed(&self, routing: &Routing) {
        if !routing.absorbing.replace(false) || !self.is_undecided(routing) {
            return;
        }
        let removed = routing.server.take().and_then(|id| self.remove_server(id));
        drop(removed);
    }

    /// Lets a server transaction go without any answer (RFC 4320 §4.2).
    pub(crate) fn abandon_server(&self, id: ServerId) {
        let actions = {
            let mut table = self.table();
            let Some(server) = table.server(id) else { return };
            match &mut server.machine {
                ServerMachine::Invite(machine) => machine.abandon(),
                ServerMachine::Other(machine) => machine.abandon(),
            }
        };
        self.apply_server(id, &actions);
    }

    pub(crate) fn server_timer(&self, id: ServerId, timer: Timer) {
        let actions = {
            let mut table = self.table();
            let Some(server) = table.server(id) else { return };
            match &mut server.machine {
                ServerMachine::Invite(machine) => machine.on_timer(timer, self.timers()),
                ServerMachine::Other(machine) => machine.on_timer(timer),
            }
        };
        self.apply_server(id, &actions);
    }

    fn apply_server(&self, id: ServerId, actions: &Actions) {
        match actions.send {
            Some(Send::Trying) => self.send_trying(id),
            Some(_) => {
                let mut table = self.table();
                if let Some(server) = table.server(id)
                    && let Some(response) = &server.response
                {
                    // Lost like any other packet: the next repetition asks again.
                    let _ = self.send_printed_response(&server.reply_to, response);
                }
            }
            None => {}
        }
        for (timer, after) in actions.timers() {
            self.set_timer(after, Due::Server(id, timer));
        }
        if actions.ended.is_some() {
            let removed = self.remove_server(id);
            drop(removed);
        }
    }

    /// Removes a transaction. Drop it while the table is not held.
    fn remove_server(&self, id: ServerId) -> Option<Server> {
        let removed = self.table().remove_server(id)?;
        self.release(removed.key);
        Some(removed)
    }

    fn send_trying(&self, id: ServerId) {
        let routing = self.table().server(id).and_then(|server| server.routing.clone());
        if let Some(routing) = routing {
            let response = routing.request.borrow().reply(100, "Trying");
            // The machine has put itself into Proceeding and allows this response.
            let _ = self.respond(id, &response);
        }
    }
}
