//! Sending on: relaying statefully, forwarding without a transaction, and the routes armed for what follows.

use std::time::Duration;

use signalbox_sip::header::HeaderName;
use signalbox_sip::method::Method;

use super::{Context, Reply, Target, unsupported_tags};
use crate::error::Error;
use crate::forward;
use crate::module::Routes;
use crate::script::Route as ScriptRoute;
use crate::transactions::branch::{BranchToken, Sender};
use crate::worker::transmit::BranchWay;

impl Context {
    /// Makes the server transaction of the request, so that its repetitions are absorbed from now on.
    pub fn new_transaction(&self) -> Result<(), Error> {
        let result = self.worker().new_server(self.routing()).map(|_| ());
        self.routing().absorbing.set(false);
        self.note(result)
    }

    /// Relays the request to its targets, or to its Request-URI where there are none, and answers it with the best of
    /// their responses (RFC 3261 §16). In a failure route the targets are further ones. An ACK, and a CANCEL of an
    /// unknown request, go on without a transaction (§16.10, §16.11).
    pub fn relay(&self) -> Result<(), Error> {
        let result = self.try_relay();
        self.note(result)
    }

    fn try_relay(&self) -> Result<(), Error> {
        let stateless = matches!(self.routing().request.borrow().method(), Method::Ack | Method::Cancel);
        if stateless {
            return self.try_forward(None);
        }
        self.check_request()?;
        self.worker().relay(self.routing())
    }

    /// Relays the request to `uri` whatever its Request-URI is; the Request-URI stays.
    pub fn relay_to(&self, uri: &str) -> Result<(), Error> {
        let result = forward::next_hop_of(uri).and_then(|_| {
            let own = self.routing().request.borrow().request_uri().to_owned();
            let mut target = Target::new(own);
            target.path = format!("<{}>", loose(uri));
            self.targets().clear();
            self.targets().add(target)?;
            self.try_relay()
        });
        self.note(result)
    }

    /// Sends the request on without a transaction: to `uri`, or to where the request points.
    pub fn forward(&self, uri: Option<&str>) -> Result<(), Error> {
        let result = self.try_forward(uri);
        self.note(result)
    }

    fn try_forward(&self, uri: Option<&str>) -> Result<(), Error> {
        self.check_request()?;
        let routing = self.routing();
        let mut request = routing.request.borrow().clone();
        forward::note_port(&mut request, &routing.source);
        let target = routing.state.borrow().targets.iter().next().cloned();
        let target = target.unwrap_or_else(|| routing.own_target());
        forward::retarget(&mut request, &target.uri);
        if forward::is_sips(request.request_uri()) {
            return Err(Error::SipsRequired { uri: target.uri });
        }
        if !target.path.is_empty() {
            request.prepend(HeaderName::Route, &target.path);
        }
        let mut way = BranchWay::of(&target, &request);
        if !routing.max_forwards_done.get() {
            forward::count_hop(&mut request, super::routing::DEFAULT_MAX_FORWARDS)?;
        }
        if *request.method() != Method::Cancel {
            let breadth = forward::breadth(&request)?;
            forward::set_breadth(&mut request, breadth);
        }
        let strict = forward::adapt_to_strict_router(&mut request)?;
        let worker = self.worker();
        let passage = worker.passage(routing)?;
        let hop = match uri {
            Some(uri) => forward::next_hop_of(uri)?,
            None => forward::next_hop(&request, strict)?,
        };
        // §16.11: the same branch for each repetition of the request, another one for every other.
        let digest = worker.stateless_digest(&routing.request.borrow());
        // A connection belongs to one worker. A datagram may be retransmitted to any worker, and gets the same branch
        // there.
        let sender = match routing.source.protocol.is_reliable() {
            true => worker.index(),
            false => u16::try_from(digest % u32::from(worker.workers().count())).unwrap_or_default(),
        };
        let branch = BranchToken { worker: sender, sender: Sender::Stateless(digest), passage };
        if uri.is_some() {
            way.flow = None;
        }
        worker.send_stateless(request, hop, way, branch, routing.clone());
        Ok(())
    }

    /// §16.3: what every request that is sent on has to satisfy.
    fn check_request(&self) -> Result<(), Error> {
        let request = self.routing().request.borrow();
        // RFC 5630 §5.3: "when a proxy receives a request with a SIPS Request-URI, the proxy MUST only forward or retarget the request to a
        // SIPS Request-URI".
        if forward::is_sips(request.request_uri()) {
            return Err(Error::SipsNotAllowed);
        }
        let tags = unsupported_tags(&request, HeaderName::ProxyRequire, &[]);
        if tags.is_empty() || matches!(request.method(), Method::Ack | Method::Cancel) {
            return Ok(());
        }
        drop(request);
        // §16.3 step 5: "The proxy MUST include an Unsupported header field in the response".
        self.append_to_reply(&format!("Unsupported: {tags}"))?;
        Err(Error::BadExtension { tags })
    }

    /// Adds a target: `uri` with this preference, 0 to 1000; without a URI the present Request-URI.
    pub fn append_branch(&self, uri: Option<&str>, q: u16) -> Result<(), Error> {
        let uri = uri.map_or_else(|| self.request().request_uri().to_owned(), str::to_owned);
        let result = forward::next_hop_of(&uri).and_then(|_| {
            let mut target = Target::new(uri);
            target.q = q;
            self.targets().add(target)
        });
        self.note(result)
    }

    /// Sets how long branches sent from now on wait. `ringing` is for the final response to an INVITE that rings, like
    /// timer C (§16.8). `answer` is for the first response to an INVITE and the final one to other requests, like
    /// timers B and F. `None` keeps the earlier value.
    pub fn set_final_response_times(&self, ringing: Option<Duration>, answer: Option<Duration>) {
        let mut state = self.routing().state.borrow_mut();
        state.final_within = ringing.or(state.final_within);
        state.answered_within = answer.or(state.answered_within);
    }

    /// Has `failure_route.name` run when all branches have failed. `None` disarms it.
    pub fn on_failure(&self, name: Option<&str>) -> Result<(), Error> {
        let name = self.armed(Routes::FAILURE, name)?;
        self.routing().state.borrow_mut().on_failure = name;
        Ok(())
    }

    /// Has `reply_route.name` run for each response. `None` disarms it.
    pub fn on_reply(&self, name: Option<&str>) -> Result<(), Error> {
        let name = self.armed(Routes::REPLY, name)?;
        self.routing().state.borrow_mut().on_reply = name;
        Ok(())
    }

    /// Has `branch_route.name` run for each branch before it is sent. `None` disarms it.
    pub fn on_branch(&self, name: Option<&str>) -> Result<(), Error> {
        let name = self.armed(Routes::BRANCH, name)?;
        self.routing().state.borrow_mut().on_branch = name;
        Ok(())
    }

    fn armed(&self, kind: Routes, name: Option<&str>) -> Result<Option<std::rc::Rc<str>>, Error> {
        let Some(name) = name else { return Ok(None) };
        let (route, kind) = match kind {
            Routes::FAILURE => (ScriptRoute::Failure(name), "failure_route"),
            Routes::REPLY => (ScriptRoute::Reply(name), "reply_route"),
            _ => (ScriptRoute::Branch(name), "branch_route"),
        };
        if self.worker().script_has(route) {
            return Ok(Some(name.into()));
        }
        Err(Error::NoSuchRoute { kind, name: name.to_owned() })
    }

    /// Whether the request belongs to a transaction that is known: for a CANCEL that of its INVITE.
    pub fn check_transaction(&self) -> bool {
        let worker = self.worker();
        let request = self.routing().request.borrow();
        let keys = worker.transaction_keys();
        let key = match request.method() {
            Method::Cancel => keys.of_cancel(&request),
            _ => keys.of_request(&request),
        };
        let known = key.ok().and_then(|key| worker.table().server_by_key(&key));
        known.is_some()
    }

    /// The script waits for something: from now on repetitions of the request are absorbed.
    pub(crate) fn absorb_repetitions(&self) {
        let wanted = self.kind() == Routes::REQUEST && !self.routing().answered.get();
        let ack = *self.routing().request.borrow().method() == Method::Ack;
        if !wanted || ack || self.has_transaction() {
            return;
        }
        match self.worker().new_server(self.routing()) {
            Ok(_) => self.routing().absorbing.set(true),
            Err(_) => {
                tracing::warn!(
                    call_id = self.request().call_id(),
                    "too many transactions: repetitions are not absorbed"
                );
            }
        }
    }

    /// The script failed: the request is answered 500, if it has no answer yet and waits for none.
    pub(crate) fn answer_script_error(&self) {
        if self.kind() != Routes::REQUEST && self.kind() != Routes::FAILURE {
            return;
        }
        if !self.worker().is_relayed(self.routing()) {
            // An answer that the script had given already stays.
            let _ = self.send_reply(&Reply::new(500).reason("Server Internal Error"));
        }
    }

    /// The request route is over: a transaction that nobody will ever answer is answered here.
    pub(crate) fn end_of_route(&self) {
        let routing = self.routing();
        if self.worker().is_undecided(routing) {
            self.worker().counters().unanswered.increment();
            tracing::warn!(
                call_id = routing.request.borrow().call_id(),
                "the script made a transaction but neither answered nor relayed: answering 500"
            );
            let _ = self.send_reply(&Reply::new(500).reason("Script Gave No Answer"));
        }
    }
}

/// A URI that, as a Route, is followed without becoming the Request-URI.
fn loose(uri: &str) -> String {
    if uri.contains(";lr") { uri.to_owned() } else { format!("{uri};lr") }
}
