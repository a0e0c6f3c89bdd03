//! Requests out: printing, Via, the flow to use, looking up hosts.

use std::rc::Rc;
use std::sync::Arc;

use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use std::net::SocketAddr;

use super::Worker;
use crate::context::{Routing, Target};
use crate::error::Error;
use crate::forward::{self, NextHop, NextHost, Strict};
use crate::route_token::{Party, RouteToken, Way};
use crate::transactions::branch::{BranchToken, Passage};
use crate::transactions::client::Outgoing;
use crate::transactions::table::Owner;
use crate::transactions::{Allowance, ClientId, LocalOutcome};
use crate::transport::network::listener_for;
use crate::transport::packet::{Octets, SHARED_BODY};
use crate::transport::resolve::ResolveError;
use crate::transport::{Flow, SendError, resolve};

/// What a request brings along on its way out.
pub(crate) struct Origin {
    /// Of the request that this one is a branch of.
    pub(crate) routing: Option<Rc<Routing>>,
    /// Limits the datagrams to the address; `None` if the address is proved.
    pub(crate) allowance: Option<Arc<Allowance>>,
    pub(crate) passage: Passage,
    /// See [`Target::proved`](crate::context::Target::proved).
    pub(crate) proved: bool,
    pub(crate) strict: Strict,
    pub(crate) callee: Callee,
}

/// Whether the target of a branch is a user of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callee {
    Foreign,
    /// A user of ours, possibly behind a proxy that its registration named in Path.
    Ours {
        has_proxy: bool,
    },
}

/// How a branch reaches its target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BranchWay {
    /// `None` for the next hop of the request.
    pub(crate) flow: Option<Flow>,
    pub(crate) callee: Callee,
    /// See [`Target::proved`].
    pub(crate) proved: bool,
}

impl BranchWay {
    /// The way of `request` to a target. The request already has the target's Path.
    pub(crate) fn of(target: &Target, request: &Message) -> Self {
        let callee = match target.is_ours {
            true => Callee::Ours { has_proxy: !target.path.is_empty() },
            false => Callee::Foreign,
        };
        // §16.6 step 7: a remaining Route decides the next hop, for contacts on a connection too.
        let flow = target.flow.filter(|_| target.flow_first || !request.has(HeaderName::Route));
        Self { flow, callee, proved: target.proved }
    }
}

impl Worker {
    /// Hands octets to the network, by way of the worker that holds the connection where it is another one.
    pub(crate) fn transmit(&self, flow: &Flow, octets: Octets<'_>, client: Option<ClientId>) -> Result<(), SendError> {
        match flow.connection {
            Some(connection) if connection.worker != self.index() => {
                let client = client.map(|client| (self.index(), client));
                self.workers().pass_on(connection.worker, flow, octets, client)
            }
            _ => self.network().send(flow, octets, client),
        }
    }

    /// Prints a message into the worker's buffer.
    pub(crate) fn print(&self, message: &Message) {
        let mut scratch = self.scratch();
        scratch.head.clear();
        // A response has only one receiver.
        if message.is_request() && message.body().len() >= SHARED_BODY {
            message.write_head(&mut scratch.head);
            scratch.body = Some(message.body().clone());
        } else {
            message.write(&mut scratch.head);
            scratch.body = None;
        }
    }

    /// Sends a request without a transaction (§16.11), on `flow` or to its next hop.
    pub(crate) fn send_stateless(
        &self,
        mut request: Message,
        hop: NextHop,
        way: BranchWay,
        branch: BranchToken,
        routing: Rc<Routing>,
    ) {
        let BranchWay { flow, callee, .. } = way;
        let known = flow.map(Ok).or_else(|| match &hop.host {
            NextHost::Address(address) => Some(self.flow_to(&hop, SocketAddr::new(*address, hop.port))),
            NextHost::Name(_) => None,
        });
        let mut send = move |worker: &Self, flow: Result<Flow, Error>| {
            let sent = flow.and_then(|flow| {
                worker.add_record_route(&mut request, &routing, (&flow, callee));
                request.prepend(HeaderName::Via, &worker.via(&flow, &branch));
                worker.print(&request);
                worker.counters().requests_sent.increment();
                Ok(worker.transmit(&flow, worker.printed().as_octets(), None)?)
            });
            if let Err(error) = sent {
                tracing::info!(%error, call_id = request.call_id(), "a request could not be forwarded");
            }
        };
        match known {
            Some(flow) => send(self, flow.map_err(Error::from)),
            None => {
                let worker = self.clone();
                tokio::task::spawn_local(async move {
                    let NextHost::Name(name) = &hop.host else { return };
                    let flow = worker.look_up(name, &hop).await;
                    send(&worker, flow);
                    worker.end_of_batch();
                });
            }
        }
    }

    /// Puts our tag on To where there is none.
    pub(crate) fn tag(&self, response: &mut Message, request: &Message) {
        if response.status() > 100 && request.to_tag().is_none() {
            response.set_to_tag(&self.local_tag(request));
        }
    }

    /// The Via of a request that leaves on `flow`.
    pub(crate) fn via(&self, flow: &Flow, branch: &BranchToken) -> String {
        let listener = listener_for(self.listeners(), flow.protocol, flow.remote, Some(flow.local));
        let sent_by = listener.map_or("localhost", |listener| self.sent_by(listener));
        forward::via_text(flow.protocol, sent_by, branch)
    }

    /// Sends a request of the server's own to where it points.
    pub(crate) fn send_towards(
        &self,
        request: Message,
        (flow, allowance): (Option<Flow>, Option<Arc<Allowance>>),
        owner: Owner,
    ) {
        // `allowance` limits what goes to addresses that have not proved themselves.
        let (passage, callee) = (Passage::OWN, Callee::Foreign);
        let origin = Origin { routing: None, allowance, passage, proved: true, strict: Strict::No, callee };
        self.send_along(request, flow, owner, origin);
    }

    /// Sends a request on `flow`, or to its next hop (§16.6 step 7).
    pub(crate) fn send_along(&self, request: Message, flow: Option<Flow>, owner: Owner, origin: Origin) {
        if forward::is_sips(request.request_uri()) {
            let error = Error::SipsRequired { uri: request.request_uri().to_owned() };
            return self.not_sent(&request, owner, error);
        }
        if let Some(flow) = flow {
            return self.dispatch(request, (flow, true), owner, origin);
        }
        let hop = match forward::next_hop(&request, origin.strict) {
            Ok(hop) => hop,
            Err(error) => return self.not_sent(&request, owner, error),
        };
        match &hop.host {
            NextHost::Address(address) => {
                let remote = SocketAddr::new(*address, hop.port);
                match self.flow_to(&hop, remote) {
                    Ok(flow) => self.dispatch(request, (flow, false), owner, origin),
                    Err(error) => self.not_sent(&request, owner, error.into()),
                }
            }
            NextHost::Name(name) => {
                let (worker, name) = (self.clone(), name.clone());
                tokio::task::spawn_local(async move {
                    match worker.look_up(&name, &hop).await {
                        Ok(flow) => worker.dispatch(request, (flow, false), owner, origin),
                        Err(error) => worker.not_sent(&request, owner, error),
                    }
                    worker.end_of_batch();
                });
            }
        }
    }

    async fn look_up(&self, name: &str, hop: &NextHop) -> Result<Flow, Error> {
        let unresolvable = || Error::Unresolvable { host: name.to_owned() };
        let addresses = self.network().resolve(name).await.map_err(|error| match error {
            ResolveError::NoAddress => unresolvable(),
            ResolveError::Overloaded => Error::Overloaded,
        })?;
        let of_family = |v4: bool| {
            self.listeners().iter().any(|known| known.protocol == hop.protocol && known.address.is_ipv4() == v4)
        };
        let remote = resolve::first_reachable(&addresses, hop.port, of_family(true), of_family(false));
        Ok(self.flow_to(hop, remote.ok_or_else(unresolvable)?)?)
    }

    fn flow_to(&self, hop: &NextHop, remote: SocketAddr) -> Result<Flow, SendError> {
        let listener = listener_for(self.listeners(), hop.protocol, remote, None)?;
        Ok(Flow { protocol: hop.protocol, local: listener.address, remote, connection: None })
    }

    fn dispatch(&self, mut request: Message, (flow, dictated): (Flow, bool), owner: Owner, origin: Origin) {
        let Origin { routing, allowance, passage, proved, callee, .. } = origin;
        if let Some(routing) = &routing {
            self.add_record_route(&mut request, routing, (&flow, callee));
        }
        let branch = match &owner {
            Owner::Branch(server, branch) => Some((*server, *branch)),
            Owner::Local(_) | Owner::Nobody => None,
        };
        let answered_within = routing.as_ref().and_then(|routing| routing.state.borrow().answered_within);
        let outgoing = Outgoing { request, flow, dictated, allowance, passage, proved, answered_within };
        match self.start_client(outgoing, owner) {
            Ok(client) => {
                if let Some((server, branch)) = branch {
                    self.branch_started(server, branch, client);
                }
            }
            Err((owner, error)) => match (owner, &routing) {
                (Owner::Branch(server, branch), Some(routing)) => {
                    self.branch_refused(server, branch, &routing.request.borrow(), &error);
                }
                (Owner::Local(caller), _) => caller.tell(LocalOutcome::NotSent(error)),
                _ => {}
            },
        }
    }

    fn not_sent(&self, request: &Message, owner: Owner, error: Error) {
        match owner {
            Owner::Branch(server, branch) => self.branch_refused(server, branch, request, &error),
            Owner::Local(caller) => caller.tell(LocalOutcome::NotSent(error)),
            Owner::Nobody => {}
        }
    }

    /// §16.6 step 4: the Record-Route that the script asked for, as it must read for this branch.
    fn add_record_route(&self, request: &mut Message, routing: &Routing, (outgoing, callee): (&Flow, Callee)) {
        let state = routing.state.borrow();
        let Some(wanted) = &state.record_route else { return };
        let caller = wanted.caller_is_ours.then(|| {
            let has_proxy = routing.request.borrow().items(HeaderName::Via).nth(1).is_some();
            Way { flow: routing.source, has_proxy }
        });
        let callee = match callee {
            Callee::Foreign => None,
            Callee::Ours { has_proxy } => Some(Way { flow: *outgoing, has_proxy }),
        };
        let token = RouteToken {
            life: self.life(),
            caller: Party::new(request, HeaderName::From, caller),
            callee: Party::new(request, HeaderName::To, callee),
        };
        let token = token.sign(request, self.route_keys().own.unwrap_or_default());
        let parameters = (&*token, &*wanted.parameters);
        let sent_by = |flow: &Flow| {
            let listener = listener_for(self.listeners(), flow.protocol, flow.remote, Some(flow.local));
            listener.map_or("localhost", |listener| self.sent_by(listener))
        };
        let incoming = (sent_by(&routing.source), routing.source.protocol);
        let (top, second) = forward::record_route_values(incoming, (sent_by(outgoing), outgoing.protocol), parameters);
        if let Some(second) = second {
            request.prepend(HeaderName::RecordRoute, &second);
        }
        request.prepend(HeaderName::RecordRoute, &top);
    }
}
