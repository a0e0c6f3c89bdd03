//! Requests that were sent out: responses to them, retransmission, ACK and CANCEL (RFC 3261 §17.1, §9.1).

use std::sync::Arc;
use std::time::Duration;

use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::method::Method;
use signalbox_sip::transaction::{Actions, ClientTransaction, Ended, InviteClient, Send, Timer, Timers};

use super::allowance::{Allowance, Permission};
use super::branch::{BranchToken, Passage, Sender};
use super::table::{Client, ClientMachine, Due, InviteExtras, Owner};
use super::{ClientId, LocalOutcome};
use crate::error::Error;
use crate::transport::network::{MAX_UDP_REQUEST, listener_for};
use crate::transport::packet::Packet;
use crate::transport::{Failure, Flow, Protocol, SendError};
use crate::worker::Worker;

/// A request that is to be sent in a transaction.
pub(crate) struct Outgoing {
    /// Complete but for its Via.
    pub(crate) request: Message,
    pub(crate) flow: Flow,
    /// It must be this flow, whatever the request's size: nothing else leads through a NAT.
    pub(crate) dictated: bool,
    /// Limits the datagrams to the address while it is unproved.
    pub(crate) allowance: Option<Arc<Allowance>>,
    pub(crate) passage: Passage,
    /// See [`Target::proved`](crate::context::Target::proved).
    pub(crate) proved: bool,
    /// How long the request waits for an answer, if the script has set it.
    pub(crate) answered_within: Option<Duration>,
}

impl Worker {
    /// Sends a request in a new client transaction.
    pub(crate) fn start_client(&self, outgoing: Outgoing, owner: Owner) -> Result<ClientId, (Owner, Error)> {
        let Outgoing { mut request, flow, dictated, allowance, passage, proved, answered_within } = outgoing;
        let unproved = !proved && !self.is_proved(&flow);
        if unproved && !self.host().proofs().may_try(flow.remote.ip(), &request, self.now()) {
            self.counters().unproved.increment();
            return Err((owner, Error::Unanswered { remote: flow.remote }));
        }
        let own_timers;
        let timers = match answered_within {
            None => self.timers(),
            Some(_) => {
                own_timers = Timers { fr: answered_within, ..*self.timers() };
                &own_timers
            }
        };
        let allowance = allowance.filter(|allowance| !allowance.is_proved(flow.remote.ip()));
        let token = self.random_token();
        let Some(id) = self.table().next_client(token) else { return Err((owner, Error::Overloaded)) };
        let branch = BranchToken { worker: self.index(), sender: Sender::Client(id), passage };
        let invite = *request.method() == Method::Invite;
        request.prepend(HeaderName::Via, &self.via(&flow, &branch));
        self.print(&request);
        let stream = match &allowance {
            Some(allowance) => match self.permitted_flow(&flow, allowance) {
                Ok(stream) => stream,
                Err(error) => return Err((owner, error)),
            },
            None if dictated => None,
            None => self.flow_for_size(&flow),
        };
        let (flow, fallback) = match stream {
            Some(stream) => {
                request.replace_first_item(HeaderName::Via, &self.via(&stream, &branch));
                self.print(&request);
                // To an unproved address the request goes over a connection or not at all.
                (stream, Some(flow).filter(|_| allowance.is_none() && !unproved))
            }
            None => (flow, None),
        };
        // A request to an unproved address is not retransmitted, as over a reliable transport.
        let reliable = flow.protocol.is_reliable() || unproved;
        let (machine, actions) = if invite {
            let mut machine = InviteClient::new(reliable);
            let actions = machine.start(timers);
            (ClientMachine::Invite(machine), actions)
        } else {
            let mut machine = ClientTransaction::new(reliable);
            let actions = machine.start(timers);
            (ClientMachine::Other(machine), actions)
        };
        {
            let mut table = self.table();
            table.add_client(token, machine, flow, owner);
            // Invariant: `next_client` named the slot that `add_client` has just filled.
            if let Some(client) = table.client(id) {
                client.datagram_fallback = fallback;
                client.allowance = allowance;
                client.unproved = unproved;
                if invite || !reliable || fallback.is_some() {
                    client.request = Some(self.printed().clone());
                }
                client.extras = invite.then(Box::<InviteExtras>::default);
            }
        }
        self.counters().requests_sent.increment();
        let sent = self.transmit(&flow, self.printed().as_octets(), Some(id));
        self.apply_client(id, &Actions { send: None, ..actions });
        if let Err(error) = sent {
            self.client_failed(id, &error);
        }
        Ok(id)
    }

    /// Whether the remote end of a flow is proved without sending anything to it.
    fn is_proved(&self, flow: &Flow) -> bool {
        flow.connection.is_some()
            || self.host().proofs().is_proved(flow.remote, self.now())
            || self.listeners().iter().any(|listener| listener.address == flow.remote)
    }

    /// The first response from an unproved address came. From now on the transaction retransmits as usual.
    fn prove(&self, client: &mut Client) {
        client.unproved = false;
        self.host().proofs().note_response(client.flow.remote, self.now());
        if !client.flow.protocol.is_reliable() {
            client.machine = match client.machine {
                ClientMachine::Invite(_) => ClientMachine::Invite(InviteClient::new(false)),
                ClientMachine::Other(_) => ClientMachine::Other(ClientTransaction::new(false)),
            };
        }
    }

    /// §18.1.1: a request that is too large for a datagram goes over a stream, if there is one to use.
    fn flow_for_size(&self, flow: &Flow) -> Option<Flow> {
        if flow.protocol != Protocol::Udp || self.printed().as_octets().len() <= MAX_UDP_REQUEST {
            return None;
        }
        self.stream_to(flow)
    }

    fn stream_to(&self, flow: &Flow) -> Option<Flow> {
        let listener = listener_for(self.listeners(), Protocol::Tcp, flow.remote, None).ok()?;
        Some(Flow { protocol: Protocol::Tcp, local: listener.address, connection: None, ..*flow })
    }

    /// The connection to use for a request to an unproved address; `None` if it may be sent as a datagram.
    fn permitted_flow(&self, flow: &Flow, allowance: &Allowance) -> Result<Option<Flow>, Error> {
        let octets = self.printed().as_octets().len();
        if flow.protocol.is_reliable() {
            return Ok(None);
        }
        let permission = if octets > MAX_UDP_REQUEST { allowance.refuse() } else { allowance.take(octets) };
        let refused = || {
            self.counters().unproved.increment();
            Error::Unproved { remote: flow.remote, octets }
        };
        match permission {
            Permission::Datagram => Ok(None),
            Permission::Connection => self.stream_to(flow).map(Some).ok_or_else(refused),
            Permission::Nothing => Err(refused()),
        }
    }

    /// A response came in.
    pub(crate) fn receive_response(&self, mut response: Message, source: Flow) {
        let via = response.top_via().ok();
        let branch = via.as_ref().and_then(|via| via.branch()).and_then(BranchToken::parse);
        // §18.1.2: what answers nobody here is dropped. The branch of a transaction proves itself by its token.
        let proven = |branch: &BranchToken| matches!(branch.sender, Sender::Client(_));
        let branch = branch.filter(|branch| proven(branch) || via.is_some_and(|via| self.is_own_via(&via)));
        let Some(branch) = branch else { return self.counters().stray_responses.increment() };
        if branch.worker != self.index() {
            return self.hand_over(branch.worker, response, source);
        }
        let id = match branch.sender {
            Sender::Client(id) => id,
            Sender::Stateless(digest) => {
                response.remove_first_item(HeaderName::Via);
                // Anybody could have any response sent anywhere otherwise.
                if self.stateless_digest(&response) != digest {
                    return self.counters().stray_responses.increment();
                }
                return self.forward_statelessly(response);
            }
        };
        let status = response.status();
        let cancelled = *response.method() == Method::Cancel;
        let actions = {
            let mut table = self.table();
            let Some(client) = table.client(id) else {
                drop(table);
                return self.counters().stray_responses.increment();
            };
            if client.unproved {
                self.prove(client);
            }
            match (&mut client.machine, cancelled) {
                (ClientMachine::Invite(_), true) => {
                    let cancel = client.extras.as_mut().and_then(|extras| extras.cancel.as_mut());
                    if let Some((machine, _)) = cancel {
                        let actions = machine.on_response(status, self.timers());
                        drop(table);
                        self.apply_cancel(id, &actions);
                    }
                    return;
                }
                (ClientMachine::Invite(machine), false) if *response.method() == Method::Invite => {
                    machine.on_response(status, self.timers())
                }
                (ClientMachine::Other(machine), false) if *response.method() != Method::Invite => {
                    machine.on_response(status, self.timers())
                }
                _ => {
                    drop(table);
                    return self.counters().stray_responses.increment();
                }
            }
        };
        if actions.send == Some(Send::Ack) {
            self.acknowledge(id, &response);
        }
        let owner = if actions.deliver { self.owner_for(id, status) } else { Owner::Nobody };
        self.apply_client(id, &Actions { send: actions.send.filter(|send| *send != Send::Ack), ..actions });
        match owner {
            Owner::Branch(server, index) => {
                response.remove_first_item(HeaderName::Via);
                if response.has(HeaderName::Via) {
                    self.branch_responded(server, index, response, source);
                } else {
                    // §16.7 step 3: without another Via it was not meant to be passed on; it counts as never come.
                    self.counters().stray_responses.increment();
                    self.branch_timed_out(server, index);
                }
            }
            Owner::Local(caller) => caller.tell(LocalOutcome::Response(Box::new(response))),
            Owner::Nobody => {}
        }
    }

    /// Who is told of a response: local owners only of the final one. What only retransmission needed is freed.
    fn owner_for(&self, id: ClientId, status: u16) -> Owner {
        let mut table = self.table();
        let Some(client) = table.client(id) else { return Owner::Nobody };
        // A failure response proves nothing: any SIP host sends one, whether it wants more requests or not.
        if let Some(allowance) = client.allowance.take_if(|_| (200..300).contains(&status)) {
            allowance.prove(client.flow.remote.ip());
        }
        if status >= 200 && client.extras.is_none() {
            client.request = None;
        }
        match &client.owner {
            Owner::Branch(server, index) => Owner::Branch(*server, *index),
            Owner::Local(_) if status >= 200 => std::mem::replace(&mut client.owner, Owner::Nobody),
            Owner::Local(_) | Owner::Nobody => Owner::Nobody,
        }
    }

    /// The network reports that requests could not be sent.
    pub(crate) fn sending_failed(&self, failures: impl IntoIterator<Item = Failure>) {
        for Failure { client, error } in failures {
            let is_of_it = match (&error, self.table().client(client).map(|client| client.flow)) {
                // When the report arrives, the request may already be going over another flow.
                (SendError::Undeliverable { remote, .. }, Some(flow)) => {
                    flow.protocol == Protocol::Udp && flow.remote == *remote
                }
                (_, known) => known.is_some(),
            };
            if is_of_it {
                self.client_failed(client, &error);
            }
        }
        self.end_of_batch();
    }

    fn client_failed(&self, id: ClientId, error: &SendError) {
        // A peer that is there and reads too slowly does not read more by datagrams.
        if !matches!(error, SendError::Backlog { .. }) && self.fall_back_to_datagram(id) {
            return;
        }
        let actions = {
            let mut table = self.table();
            let Some(client) = table.client(id) else { return };
            match &mut client.machine {
                ClientMachine::Invite(machine) => machine.on_transport_error(),
                ClientMachine::Other(machine) => machine.on_transport_error(),
            }
        };
        if let Some(ended) = actions.ended {
            self.end_client(id, ended, Some(error.clone()));
        }
    }

    /// §18.1.1: "If an element sends a request over TCP because of these message size constraints, and that request
    /// would have otherwise been sent over UDP, if the attempt to establish the connection generates either an ICMP
    /// Protocol Not Supported, or results in a TCP reset, the element SHOULD retry the request, using UDP."
    fn fall_back_to_datagram(&self, id: ClientId) -> bool {
        let (datagram, mut request) = {
            let mut table = self.table();
            let Some(client) = table.client(id) else { return false };
            let (Some(datagram), Some(request)) = (client.datagram_fallback.take(), client.message()) else {
                return false;
            };
            (datagram, request)
        };
        let Some(branch) = request.top_via().ok().and_then(|via| via.branch().and_then(BranchToken::parse)) else {
            return false;
        };
        request.replace_first_item(HeaderName::Via, &self.via(&datagram, &branch));
        self.print(&request);
        let actions = {
            let mut table = self.table();
            let Some(client) = table.client(id) else { return false };
            client.flow = datagram;
            client.request = Some(self.printed().clone());
            match &mut client.machine {
                ClientMachine::Invite(machine) => {
                    *machine = InviteClient::new(false);
                    machine.start(self.timers())
                }
                ClientMachine::Other(machine) => {
                    *machine = ClientTransaction::new(false);
                    machine.start(self.timers())
                }
            }
        };
        self.apply_client(id, &actions);
        true
    }

    /// Withdraws an INVITE branch (§9.1).
    pub(crate) fn cancel_client(&self, id: ClientId) {
        let actions = {
            let mut table = self.table();
            match table.client(id).map(|client| &mut client.machine) {
                Some(ClientMachine::Invite(machine)) => machine.cancel(self.timers()),
                _ => return,
            }
        };
        self.apply_client(id, &actions);
    }

    /// Gives a client transaction up: timer C fired and nothing was heard (§16.8).
    pub(crate) fn abandon_client(&self, id: ClientId) {
        let mut table = self.table();
        if let Some(client) = table.client(id) {
            client.owner = Owner::Nobody;
        }
        let removed = table.remove_client(id);
        drop(table);
        drop(removed);
    }

    pub(crate) fn client_timer(&self, id: ClientId, timer: Timer) {
        if timer == Timer::C {
            return self.timer_c(id);
        }
        let actions = {
            let mut table = self.table();
            let Some(client) = table.client(id) else { return };
            match &mut client.machine {
                ClientMachine::Invite(machine) => machine.on_timer(timer, self.timers()),
                ClientMachine::Other(machine) => machine.on_timer(timer, self.timers()),
            }
        };
        self.apply_client(id, &actions);
    }

    /// Does what a client transaction asks for, except to acknowledge a response that has just come.
    fn apply_client(&self, id: ClientId, actions: &Actions) {
        match actions.send {
            Some(Send::Original) => {
                let sent = {
                    let mut table = self.table();
                    let Some(client) = table.client(id) else { return };
                    let request = client.request.as_ref().map(Packet::as_octets);
                    match (request, &client.allowance) {
                        (None, _) => Ok(()),
                        (Some(request), Some(allowance)) if !allowance.take_again(request.len()) => Ok(()),
                        (Some(request), _) => {
                            self.counters().retransmissions.increment();
                            self.transmit(&client.flow, request, Some(id))
                        }
                    }
                };
                if let Err(error) = sent {
                    return self.client_failed(id, &error);
                }
            }
            Some(Send::Ack) => {
                let mut table = self.table();
                let Some(client) = table.client(id) else { return };
                if let Some(ack) = client.extras.as_ref().and_then(|extras| extras.ack.as_deref()) {
                    let _ = self.transmit(&client.flow, ack.into(), None);
                }
            }
            Some(Send::Cancel) => self.send_cancel(id),
            Some(Send::Trying) | None => {}
        }
        for (timer, after) in actions.timers() {
            self.set_timer(after, Due::Client(id, timer));
        }
        if let Some(ended) = actions.ended {
            self.end_client(id, ended, None);
        }
    }

    fn end_client(&self, id: ClientId, ended: Ended, failed_by: Option<SendError>) {
        let Some(client) = self.table().remove_client(id) else { return };
        match (client.owner, ended) {
            (_, Ended::Normal) | (Owner::Nobody, _) => {}
            (Owner::Branch(server, index), Ended::Timeout) => self.branch_timed_out(server, index),
            (Owner::Branch(server, index), Ended::TransportError) => {
                let error = failed_by.unwrap_or(SendError::ConnectionGone { remote: client.flow.remote });
                self.branch_failed(server, index, error);
            }
            (Owner::Local(caller), Ended::Timeout) => caller.tell(LocalOutcome::Timeout),
            (Owner::Local(caller), Ended::TransportError) => {
                let error = failed_by.unwrap_or(SendError::ConnectionGone { remote: client.flow.remote });
                caller.tell(LocalOutcome::NotSent(error.into()));
            }
        }
    }

    /// §17.1.1.3: the ACK for a failure has the INVITE's Request-URI, topmost Via, From, Call-ID, CSeq number and
    /// Route, and the response's To.
    fn acknowledge(&self, id: ClientId, response: &Message) {
        let Some(mut ack) = self.derived_request(id, &Method::Ack) else { return };
        if let Some(to) = response.value(HeaderName::To) {
            ack.set(HeaderName::To, to);
        }
        self.print(&ack);
        let mut table = self.table();
        let Some(client) = table.client(id) else { return };
        // A lost ACK is asked for again by a repeated response.
        let _ = self.transmit(&client.flow, self.printed().as_octets(), None);
        if let Some(extras) = &mut client.extras {
            extras.ack = Some(self.printed().head.as_slice().into());
        }
    }

    fn send_cancel(&self, id: ClientId) {
        let Some(cancel) = self.derived_request(id, &Method::Cancel) else { return };
        self.print(&cancel);
        let (machine, actions) = {
            let mut table = self.table();
            let Some(client) = table.client(id) else { return };
            let mut machine = ClientTransaction::new(client.flow.protocol.is_reliable());
            let actions = machine.start(self.timers());
            (machine, actions)
        };
        if let Some(extras) = self.table().client(id).and_then(|client| client.extras.as_mut()) {
            extras.cancel = Some((machine, self.printed().head.as_slice().into()));
        }
        self.apply_cancel(id, &actions);
    }

    /// A request built from an INVITE that was sent: its ACK or CANCEL (§9.1, §17.1.1.3).
    fn derived_request(&self, id: ClientId, method: &Method) -> Option<Message> {
        let invite = self.table().client(id)?.message()?;
        let mut request = Message::request(method, invite.request_uri());
        request.push(HeaderName::Via, invite.items(HeaderName::Via).next()?);
        request.push(HeaderName::MaxForwards, "70");
        for name in [HeaderName::Route, HeaderName::From, HeaderName::To, HeaderName::CallId] {
            for value in invite.values(name) {
                request.push(name, value);
            }
        }
        request.push(HeaderName::CSeq, &format!("{} {method}", invite.cseq()));
        Some(request)
    }

    pub(crate) fn cancel_timer(&self, id: ClientId, timer: Timer) {
        let actions = {
            let mut table = self.table();
            let cancel = table.client(id).and_then(|client| client.extras.as_mut()?.cancel.as_mut());
            let Some((machine, _)) = cancel else { return };
            machine.on_timer(timer, self.timers())
        };
        self.apply_cancel(id, &actions);
    }

    fn apply_cancel(&self, id: ClientId, actions: &Actions) {
        let mut table = self.table();
        let Some(client) = table.client(id) else { return };
        let flow = client.flow;
        let Some(extras) = &mut client.extras else { return };
        if let (Some(Send::Original), Some((_, bytes))) = (actions.send, &extras.cancel) {
            let _ = self.transmit(&flow, (&**bytes).into(), None);
        }
        if actions.ended.is_some() {
            extras.cancel = None;
        }
        drop(table);
        for (timer, after) in actions.timers() {
            self.set_timer(after, Due::Cancel(id, timer));
        }
    }
}
