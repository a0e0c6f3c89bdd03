//! The message being routed, and what may be done with it.
//!
//! A [`Context`] is what every exported function is called with. It is a handle: clones speak of the same message, and
//! one may be kept across an `await`. It lives on the thread of one worker.
//!
//! | file | what |
//! |---|---|
//! | [`target`] | where a request is to go: the targets that `append_branch` and `lookup` add |
//! | [`reply`] | answering: through the transaction where there is one, else without |
//! | [`relay`] | sending on: `t_relay`, `forward`, routes armed for branches, replies and failures |
//! | `redirect` | following a redirection: `append_redirects` |
//! | [`loose_route`] | whether a request belongs to a dialog that passes here |
//! | [`routing`] | Max-Forwards, Record-Route, `is_myself` |

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use signalbox_sip::message::Message;
use signalbox_sip::method::Method;
use signalbox_sip::transaction::TransactionKey;

use crate::forward;
use crate::module::{Host, Routes, Value};
use crate::route_token::Way;
use crate::transactions::ServerId;
use crate::transport::Flow;
use crate::worker::Worker;

pub mod loose_route;
mod redirect;
pub mod relay;
pub mod reply;
pub mod routing;
pub mod target;

pub use loose_route::Routed;
pub use reply::{Reply, unsupported_tags};
pub use target::{Target, TargetSet};

/// A handle to the message being routed; see the [module](self).
#[derive(Clone)]
pub struct Context {
    routing: Rc<Routing>,
    kind: Routes,
    /// What this route looks at other than the request: a response, or the branch's own copy of the request.
    message: Option<Rc<RefCell<Message>>>,
    /// The source of the response that this route handles; `None` if the response was made here.
    response_source: Option<Flow>,
}

/// All that is known of one request while it is routed. It lives until the last final response is sent.
pub(crate) struct Routing {
    pub(crate) worker: Worker,
    pub(crate) request: RefCell<Message>,
    /// The key of its server transaction, whether that exists or not (RFC 3261 §17.2.3).
    pub(crate) key: TransactionKey,
    pub(crate) source: Flow,
    /// Octets of the request as it came, which the worker counts while it is held.
    octets: usize,
    /// Where responses go (RFC 3261 §18.2.2, RFC 3581 §4).
    pub(crate) reply_to: Cell<Flow>,
    /// No copy of the request has arrived by another path before.
    pub(crate) unmerged: Cell<bool>,
    /// This worker has claimed the request, and no transaction holds the claim yet.
    pub(crate) claimed: Cell<bool>,
    /// The script has chosen to send responses to the source of the request, whatever its Via says.
    pub(crate) rport_forced: Cell<bool>,
    pub(crate) server: Cell<Option<ServerId>>,
    /// The transaction is there only to keep repetitions off while the script waits.
    pub(crate) absorbing: Cell<bool>,
    /// A response was sent without a transaction.
    pub(crate) answered: Cell<bool>,
    /// `mf_process_maxfwd_header` was called, so that relaying leaves Max-Forwards alone.
    pub(crate) max_forwards_done: Cell<bool>,
    /// See [`Routing::loop_hash`].
    loop_hash: Cell<Option<u32>>,
    pub(crate) state: RefCell<State>,
}

/// What a script arms and collects on the way.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) targets: TargetSet,
    pub(crate) avp: BTreeMap<String, Value>,
    /// Header lines for the next response made here, each ended by CRLF.
    pub(crate) reply_headers: String,
    /// `record_route` was called.
    pub(crate) record_route: Option<RecordRoute>,
    /// The flow to the next party of the dialog, if that is a user of ours.
    pub(crate) ahead: Option<Way>,
    /// The times that `t_set_fr` sets in place of timer C, and of timers B and F.
    pub(crate) final_within: Option<Duration>,
    pub(crate) answered_within: Option<Duration>,
    pub(crate) on_failure: Option<Rc<str>>,
    pub(crate) on_reply: Option<Rc<str>>,
    pub(crate) on_branch: Option<Rc<str>>,
    /// The contacts of the response of the failure route became targets, but for these (§16.7 step 4).
    pub(crate) redirected: Option<Vec<String>>,
    /// The answer of `sl_reply_error` after the last step that failed.
    pub(crate) last_error: Option<FailedStep>,
}

/// How a failed step is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FailedStep {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    /// See [`Error::warning`](crate::error::Error::warning).
    pub(crate) warning: Option<&'static str>,
}

/// The script's choices for the Record-Route.
#[derive(Default)]
pub(crate) struct RecordRoute {
    /// URI parameters to add, each with its semicolon.
    pub(crate) parameters: String,
    /// The sender has proved to be a user of ours: later requests in the dialog reach it over the flow that this
    /// request came by.
    pub(crate) caller_is_ours: bool,
}

impl Routing {
    /// The target of a request without targets: its Request-URI; within a dialog with a user of ours, over the flow to
    /// that user.
    pub(crate) fn own_target(&self) -> Target {
        let request = self.request.borrow();
        let mut target = Target::new(request.request_uri());
        if let Some(Way { flow, .. }) = self.state.borrow().ahead {
            target.is_ours = true;
            // If the Request-URI alone leads there, a large request may change to TCP.
            let is_plain = flow.connection.is_none()
                && forward::next_hop(&request, forward::Strict::No).is_ok_and(|hop| hop.leads_to(&flow));
            target.flow = (!is_plain).then_some(flow);
            target.flow_first = true;
        }
        target
    }

    /// The digest of what decides the route of the request as it came (RFC 5393 §4.2.1). It is computed when it is
    /// first used or before the request is first changed, because many requests are never forwarded.
    pub(crate) fn loop_hash(&self) -> u32 {
        self.loop_hash.get().unwrap_or_else(|| {
            let hash = self.worker.loop_hash(&self.request.borrow());
            self.loop_hash.set(Some(hash));
            hash
        })
    }
}

impl Drop for Routing {
    fn drop(&mut self) {
        self.worker.let_go(self.octets);
        if self.claimed.get() {
            self.worker.release(self.key);
        }
    }
}

impl Context {
    /// A request that has just come in.
    pub(crate) fn for_request(
        worker: &Worker,
        request: Message,
        source: Flow,
        reply_to: Flow,
        key: TransactionKey,
    ) -> Self {
        let octets = request.octets();
        worker.hold(octets);
        let routing = Routing {
            worker: worker.clone(),
            octets,
            request: RefCell::new(request),
            key,
            source,
            reply_to: Cell::new(reply_to),
            unmerged: Cell::new(false),
            claimed: Cell::new(false),
            rport_forced: Cell::new(false),
            server: Cell::new(None),
            absorbing: Cell::new(false),
            answered: Cell::new(false),
            max_forwards_done: Cell::new(false),
            loop_hash: Cell::new(None),
            state: RefCell::default(),
        };
        Self { routing: Rc::new(routing), kind: Routes::REQUEST, message: None, response_source: None }
    }

    /// A route that has no request: a timer, an event, the start. Functions that need a request are not allowed there.
    pub fn without_request(worker: &Worker, kind: Routes, local: Flow) -> Self {
        let none = Message::request(&Method::Options, "sip:localhost");
        let mut context = Self::for_request(worker, none, local, local, TransactionKey(0));
        context.kind = kind;
        context
    }

    /// The same request in another kind of route, with the response or branch that the route looks at.
    pub(crate) fn in_route(routing: &Rc<Routing>, kind: Routes, message: Option<Rc<RefCell<Message>>>) -> Self {
        Self { routing: routing.clone(), kind, message, response_source: None }
    }

    /// Sets the source of the response that the route handles.
    pub(crate) fn with_response_source(mut self, source: Option<Flow>) -> Self {
        self.response_source = source;
        self
    }

    pub(crate) fn routing(&self) -> &Rc<Routing> {
        &self.routing
    }

    /// The kind of route that runs.
    pub fn kind(&self) -> Routes {
        self.kind
    }

    /// The request: in a branch route the copy that this branch is about to send.
    pub fn request(&self) -> Ref<'_, Message> {
        match &self.message {
            Some(branch) if self.kind == Routes::BRANCH => branch.borrow(),
            _ => self.routing.request.borrow(),
        }
    }

    /// The request, to be changed: what is sent on carries the changes.
    pub fn request_mut(&self) -> RefMut<'_, Message> {
        match &self.message {
            Some(branch) if self.kind == Routes::BRANCH => branch.borrow_mut(),
            _ => {
                self.routing.loop_hash();
                self.routing.request.borrow_mut()
            }
        }
    }

    /// In a reply route the response that came, in a failure route the best one.
    pub fn response(&self) -> Option<Ref<'_, Message>> {
        self.message.as_ref().filter(|_| self.kind != Routes::BRANCH).map(|message| message.borrow())
    }

    /// The response, to be changed before it is passed on.
    pub fn response_mut(&self) -> Option<RefMut<'_, Message>> {
        self.message.as_ref().filter(|_| self.kind != Routes::BRANCH).map(|message| message.borrow_mut())
    }

    /// The message that the route looks at: the response in a reply route, else the request.
    pub fn message(&self) -> Ref<'_, Message> {
        match &self.message {
            Some(message) if self.kind != Routes::FAILURE => message.borrow(),
            _ => self.routing.request.borrow(),
        }
    }

    /// See [`Context::message`].
    pub fn message_mut(&self) -> RefMut<'_, Message> {
        match &self.message {
            Some(message) if self.kind != Routes::FAILURE => message.borrow_mut(),
            _ => {
                self.routing.loop_hash();
                self.routing.request.borrow_mut()
            }
        }
    }

    /// The way that the request came.
    pub fn source(&self) -> &Flow {
        &self.routing.source
    }

    /// The flow by which the response of a reply or failure route came; `None` if it was made here, such as after a
    /// timeout.
    pub fn response_source(&self) -> Option<&Flow> {
        self.response_source.as_ref()
    }

    /// The targets that were added to the request's own URI.
    pub fn targets(&self) -> RefMut<'_, TargetSet> {
        RefMut::map(self.routing.state.borrow_mut(), |state| &mut state.targets)
    }

    /// Values that the script and functions leave for each other, by name; they live as long as the request.
    pub fn avp(&self) -> RefMut<'_, BTreeMap<String, Value>> {
        RefMut::map(self.routing.state.borrow_mut(), |state| &mut state.avp)
    }

    /// The worker that routes the request.
    pub fn worker(&self) -> &Worker {
        &self.routing.worker
    }

    /// What modules get from the core.
    pub fn host(&self) -> &Host {
        self.routing.worker.host()
    }

    pub fn now(&self) -> Instant {
        self.routing.worker.now()
    }

    /// Whether a server transaction exists for the request.
    pub fn has_transaction(&self) -> bool {
        self.routing.server.get().is_some()
    }

    /// Keeps the response of a failed step for `sl_reply_error`.
    pub(crate) fn note<T>(&self, result: Result<T, crate::error::Error>) -> Result<T, crate::error::Error> {
        if let Err(error) = &result {
            let ((status, reason), warning) = (error.status(), error.warning());
            if warning.is_some() {
                tracing::info!(%error, call_id = self.routing.request.borrow().call_id(), "a request could not be sent on");
            }
            self.routing.state.borrow_mut().last_error = Some(FailedStep { status, reason, warning });
        }
        result
    }
}
