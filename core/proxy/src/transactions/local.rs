//! Requests that the server itself makes: a NOTIFY of the presence agent, a MESSAGE of a gateway.

use std::sync::Arc;

use signalbox_sip::message::Message;

use super::Allowance;
use super::table::Owner;
use crate::error::Error;
use crate::transport::Flow;
use crate::worker::Worker;

/// A request to be sent by the server.
pub struct OutgoingRequest {
    /// Complete but for Via; Max-Forwards is added where there is none. It goes where its topmost Route or its
    /// Request-URI points.
    pub message: Message,
    /// The flow to send it on, where it must be that one: the connection that a subscription came in on.
    pub flow: Option<Flow>,
    /// Limits the datagrams to the address; `None` if the address is proved.
    pub allowance: Option<Arc<Allowance>>,
    /// Called exactly once with the outcome of the request: on a worker's thread or, if the request never reaches a
    /// worker, on the thread of the caller or the one that drops it. It must be quick.
    pub on_final: OnFinal,
}

/// See [`OutgoingRequest::on_final`].
pub type OnFinal = Box<dyn FnOnce(LocalOutcome) + Send>;

/// The caller that waits for the outcome of a request. It is told exactly once. If this is dropped before that, the
/// outcome is that the server stops.
pub(crate) struct Caller(Option<OnFinal>);

/// A request of the server's own on its way to the worker that sends it.
pub(crate) struct Outgoing {
    pub(crate) message: Message,
    pub(crate) flow: Option<Flow>,
    pub(crate) allowance: Option<Arc<Allowance>>,
    pub(crate) caller: Caller,
}

impl Caller {
    pub(crate) fn tell(mut self, outcome: LocalOutcome) {
        if let Some(on_final) = self.0.take() {
            on_final(outcome);
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(on_final) = self.0.take() {
            on_final(LocalOutcome::NotSent(Error::Stopping));
        }
    }
}

impl From<OutgoingRequest> for Outgoing {
    fn from(OutgoingRequest { message, flow, allowance, on_final }: OutgoingRequest) -> Self {
        Self { message, flow, allowance, caller: Caller(Some(on_final)) }
    }
}

/// How a request of the server ended.
#[derive(Debug)]
pub enum LocalOutcome {
    /// A final response came.
    Response(Box<Message>),
    /// None came in 64·T1 (RFC 3261 §17.1.2.2): counts as a 408.
    Timeout,
    /// The request could not be sent, which counts as a 503 (§8.1.3.1). [`Error::Stopping`] if the server stopped
    /// before an answer came; the request may have been carried out.
    NotSent(Error),
}

impl LocalOutcome {
    /// The status of the response, or the one that its absence counts as.
    pub fn status(&self) -> u16 {
        match self {
            Self::Response(response) => response.status(),
            Self::Timeout => 408,
            Self::NotSent(_) => 503,
        }
    }
}

impl Worker {
    /// Sends a request of the server's own, in a client transaction of this worker.
    pub fn send_request(&self, request: OutgoingRequest) {
        self.send_own(request.into());
    }

    pub(crate) fn send_own(&self, Outgoing { mut message, flow, allowance, caller }: Outgoing) {
        if message.value(signalbox_sip::header::HeaderName::MaxForwards).is_none() {
            message.push(signalbox_sip::header::HeaderName::MaxForwards, "70");
        }
        self.send_towards(message, (flow, allowance), Owner::Local(caller));
    }
}
