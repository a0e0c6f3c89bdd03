//! Messages in: from octets to the transaction or the script that they are for.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Instant;

use signalbox_sip::framing::FrameError;
use signalbox_sip::message::{Message, ParseError, Problem};
use signalbox_sip::method::Method;
use signalbox_sip::transaction::TransactionKey;

use super::mailbox::Mail;
use super::{Route, Worker};
use crate::context::Context;
use crate::forward;
use crate::transactions::branch::{BranchToken, Sender};
use crate::transport::packet::Octets;
use crate::transport::{Failure, Flow, SendError, Waiter};

impl Worker {
    /// A datagram came in.
    pub fn receive_datagram(&self, datagram: &[u8], flow: Flow) {
        match Message::parse(datagram) {
            Ok(message) => self.receive_message(message, flow),
            // Keep-alives of NAT bindings (RFC 5626 §3.5.1) are line ends or zeroes and want no answer.
            Err(error) if error.problem == Problem::Empty || datagram.iter().all(|byte| *byte == 0) => {}
            Err(error) => self.receive_bad(&error, flow),
        }
    }

    /// A message came in that cannot be taken.
    pub(crate) fn receive_bad(&self, error: &ParseError, flow: Flow) {
        self.counters().unparsable.increment();
        let call_id = error.received.as_ref().map_or("", |received| received.call_id());
        tracing::info!(%flow, %error, call_id, "refused");
        if let Some(reply) = error.reply() {
            self.answer_unparsable(reply, flow);
        }
    }

    /// A connection sent something after which the next message cannot be found.
    pub(crate) fn receive_broken(&self, error: &FrameError, flow: Flow) {
        self.counters().unparsable.increment();
        tracing::info!(%flow, %error, "connection given up");
        if let Some(reply) = error.reply() {
            self.answer_unparsable(reply, flow);
        }
    }

    fn answer_unparsable(&self, mut reply: Message, flow: Flow) {
        let reply_to = forward::receive_via(&mut reply, &flow).unwrap_or(flow);
        // The sender asks again if this is lost.
        let _ = self.send_response(&reply, &reply_to);
    }

    /// The network reports that a datagram to `remote`, which begins with `quoted`, cannot be delivered. If it was a
    /// request of a transaction, that fails at once (RFC 3261 §18.4). The branch proves that the report is real,
    /// because only a host that saw the request knows it.
    pub fn receive_undelivered(&self, quoted: &[u8], remote: SocketAddr, kind: ErrorKind) {
        let Some(BranchToken { worker, sender: Sender::Client(client), .. }) = BranchToken::quoted(quoted) else {
            return;
        };
        let failure = Failure { client, error: SendError::Undeliverable { remote, kind } };
        if worker == self.index() {
            self.sending_failed([failure]);
        } else if !self.workers().post_if_room(worker, Mail::SendingFailed(failure)) {
            self.counters().overload_dropped.increment();
        }
    }

    /// A whole message came in.
    pub fn receive_message(&self, message: Message, flow: Flow) {
        if message.is_request() {
            self.counters().requests_received.increment();
            self.receive_request(message, flow);
        } else {
            self.counters().responses_received.increment();
            self.receive_response(message, flow);
        }
    }

    /// A response that came in here belongs to another worker.
    pub(crate) fn hand_over(&self, worker: u16, response: Message, flow: Flow) {
        match self.workers().post_if_room(worker, Mail::Message(response, flow)) {
            true => self.counters().handed_over.increment(),
            false => self.counters().overload_dropped.increment(),
        }
    }

    /// A request that no transaction knows: the script decides.
    pub(crate) fn route_request(&self, request: Message, source: Flow, reply_to: Flow, key: TransactionKey) {
        let is_ack = *request.method() == Method::Ack;
        let is_new = !is_ack && request.to_tag().is_none();
        if (is_new && self.refuses_new_requests()) || (!is_ack && self.is_too_large_to_hold(request.octets())) {
            self.refuse_overload(&request, &reply_to);
            return self.release(key);
        }
        let context = Context::for_request(self, request, source, reply_to, key);
        context.routing().claimed.set(!is_ack);
        self.run_route(Route::Request, context, |_, context| context.end_of_route());
    }

    /// Events are going to be handled until [`Worker::end_of_batch`]: one reading of the clock is enough for them.
    pub(super) fn begin_batch(&self) {
        self.batch_began().set(Some(self.clock().now()));
    }

    /// The batch of events that is being handled is over: what was queued goes out.
    pub fn end_of_batch(&self) {
        self.batch_began().set(None);
        self.post_handed_over();
        self.network().flush();
        let failed = self.network().take_failed();
        if !failed.is_empty() {
            self.sending_failed(failed);
        }
    }

    /// [`Worker::end_of_batch`] once all tasks that can run now have had their turn: what those send that were woken together, as by a
    /// commit, leaves together.
    pub(super) fn end_batch_soon(&self) {
        if !self.batch_ends().replace(true) {
            let worker = self.clone();
            tokio::task::spawn_local(async move {
                worker.batch_ends().set(false);
                worker.end_of_batch();
            });
        }
    }

    /// Says since when the message that is handled next has waited for it, for overload control.
    pub(super) fn set_waited_since(&self, since: Option<Instant>) {
        self.waited_since().set(since);
    }

    /// Handles the mail that has come from other threads, and says how much it was.
    pub fn take_mail(&self) -> usize {
        let mail = self.workers().take(self.index());
        let count = mail.len();
        for mail in mail {
            self.guarded(|worker| worker.receive_mail(mail));
        }
        count
    }

    /// The worker ends: tells all callers that wait for an outcome of the server's own requests.
    pub fn abandon_own_requests(&self) {
        self.workers().close(self.index());
        let callers = self.table().take_callers();
        drop(callers);
    }

    /// Sends a message that another worker has passed on.
    fn send_for(&self, flow: &Flow, message: Octets<'_>, waiter: Option<Waiter>) {
        match (self.network().send_for(flow, message, waiter), waiter) {
            (Ok(()), _) => {}
            (Err(error), Some((worker, client))) => {
                self.workers().post(worker, Mail::SendingFailed(Failure { client, error }));
            }
            (Err(SendError::ConnectionGone { .. }), None) if message.is_response() => {
                if let Err(error) = self.send_over_new_connection(&message.to_vec()) {
                    self.lost(&error);
                }
            }
            (Err(error), None) => self.lost(&error),
        }
    }

    /// What another worker wanted to be sent could not be, and nothing sends it again.
    fn lost(&self, error: &SendError) {
        self.counters().messages_lost.increment();
        tracing::info!(%error, "a message could not be sent");
    }

    /// Handles mail of other threads.
    pub(crate) fn receive_mail(&self, mail: Mail) {
        match mail {
            Mail::Message(message, flow) => self.receive_message(message, flow),
            Mail::Requests(requests) => self.receive_handed_over(requests),
            Mail::Send(flow, message, waiter) => self.send_for(&flow, message.as_octets(), waiter),
            Mail::SendingFailed(failure) => self.sending_failed([failure]),
            Mail::Request(request) => self.send_own(request),
            Mail::Task(task) => task(self),
        }
    }
}
