//! Answering a request.

use std::borrow::Cow;

use bytes::Bytes;
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::method::Method;
use signalbox_sip::status;

use super::{Context, FailedStep};
use crate::error::Error;

/// A response to be sent by [`Context::send_reply`].
#[derive(Clone, Debug)]
pub struct Reply<'a> {
    status: u16,
    reason: Cow<'a, str>,
    to_tag: Option<Cow<'a, str>>,
    headers: Vec<(HeaderName, Cow<'a, str>)>,
    record_route: bool,
    repeatable: bool,
    body: Option<(Cow<'a, str>, Bytes)>,
}

impl<'a> Reply<'a> {
    /// A response with the standard's reason phrase for its status, 100 to 699.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            reason: Cow::Borrowed(status::reason(status)),
            to_tag: None,
            headers: Vec::new(),
            record_route: false,
            repeatable: false,
            body: None,
        }
    }

    /// Another reason phrase.
    pub fn reason(mut self, reason: impl Into<Cow<'a, str>>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The tag that names our side of a dialog; without this call a tag is made up where To has none.
    pub fn to_tag(mut self, tag: impl Into<Cow<'a, str>>) -> Self {
        self.to_tag = Some(tag.into());
        self
    }

    /// Adds a header line.
    pub fn header(mut self, name: HeaderName, value: impl Into<Cow<'a, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Copies the Record-Route lines of the request, as a response that makes a dialog must (RFC 3261 §12.1.1).
    pub fn with_record_route(mut self) -> Self {
        self.record_route = true;
        self
    }

    pub fn body(mut self, content_type: impl Into<Cow<'a, str>>, body: impl Into<Bytes>) -> Self {
        self.body = Some((content_type.into(), body.into()));
        self
    }

    /// Handling the request once more does no harm and leads to the same answer, so that nothing is kept of it for repetitions that come later,
    /// unless the script has made a transaction itself.
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    fn message(&self, request: &Message, default_tag: impl FnOnce() -> String) -> Message {
        let mut response = request.reply(self.status, &self.reason);
        if self.status > 100 && request.to_tag().is_none() {
            let tag = self.to_tag.as_deref().map_or_else(|| Cow::Owned(default_tag()), Cow::Borrowed);
            response.set_to_tag(&tag);
        }
        if self.record_route {
            for value in request.values(HeaderName::RecordRoute) {
                response.push(HeaderName::RecordRoute, value);
            }
        }
        for (name, value) in &self.headers {
            response.push(*name, value);
        }
        if let Some((content_type, body)) = &self.body {
            response.set_body(Some(content_type), body.clone());
        }
        response
    }
}

/// The most octets of an Unsupported header, unless its first tag alone is longer.
const MAX_UNSUPPORTED: usize = 512;

/// The option tags that a Require or Proxy-Require names and that are not `supported`, each once, as the value of
/// Unsupported (RFC 3261 §20.40). Empty if there are none. Of an absurd number of tags only the first are listed, so that
/// the answer is no larger than the request.
pub fn unsupported_tags(request: &Message, name: HeaderName, supported: &[&str]) -> String {
    let mut tags: Vec<&str> = Vec::new();
    let mut octets = 0;
    for tag in request.items(name) {
        let is_in = |known: &[&str]| known.iter().any(|known| known.eq_ignore_ascii_case(tag));
        if is_in(supported) {
            continue;
        }
        octets += tag.len() + 2;
        if octets > MAX_UNSUPPORTED && !tags.is_empty() {
            break;
        }
        if !is_in(&tags) {
            tags.push(tag);
        }
    }
    tags.join(", ")
}

impl Context {
    /// Refuses a request that is served here if a copy has arrived by another path before: "the UAS core SHOULD
    /// generate a 482 (Loop Detected) response" (RFC 3261 §8.2.2.2). Call it before anything is done for the request.
    ///
    /// # Errors
    /// [`Error::LoopDetected`] if a copy has arrived; the caller answers it.
    pub fn check_merged(&self) -> Result<(), Error> {
        let routing = self.routing();
        if routing.unmerged.get() {
            return Ok(());
        }
        if routing.worker.is_merged(&routing.request.borrow(), routing.key) {
            routing.worker.counters().merged_requests.increment();
            return self.note(Err(Error::LoopDetected));
        }
        routing.unmerged.set(true);
        Ok(())
    }

    /// Answers the request: through its transaction where there is one, else without (RFC 3261 §16.11).
    pub fn send_reply(&self, reply: &Reply<'_>) -> Result<(), Error> {
        let result = self.try_send_reply(reply);
        self.note(result)
    }

    fn try_send_reply(&self, reply: &Reply<'_>) -> Result<(), Error> {
        if !(100..700).contains(&reply.status) {
            return Err(Error::BadStatus { status: reply.status });
        }
        let routing = self.routing();
        let mut response = {
            let request = routing.request.borrow();
            if *request.method() == Method::Ack {
                return Err(Error::AckNotAnswered);
            }
            reply.message(&request, || routing.worker.local_tag(&request))
        };
        self.take_reply_headers(&mut response);
        if reply.repeatable && reply.status >= 200 {
            routing.worker.forget_absorbed(routing);
        }
        match routing.server.get() {
            Some(server) => {
                // §8.2.2.2: a request that the script accepts itself, such as a MESSAGE, is accepted once.
                if (200..300).contains(&reply.status) && self.check_merged().is_err() {
                    let request = routing.request.borrow();
                    let (status, reason) = Error::LoopDetected.status();
                    response = request.reply(status, reason);
                    routing.worker.tag(&mut response, &request);
                }
                routing.worker.respond(server, &response)
            }
            None if routing.answered.get() => Err(Error::AlreadyAnswered),
            None => {
                routing.answered.set(reply.status >= 200);
                Ok(routing.worker.send_response(&response, &routing.reply_to.get())?)
            }
        }
    }

    fn take_reply_headers(&self, response: &mut Message) {
        let mut state = self.routing().state.borrow_mut();
        if state.reply_headers.is_empty() {
            return;
        }
        for line in state.reply_headers.lines() {
            // Checked by `append_to_reply`, which takes only lines with a colon.
            if let Some((name, value)) = line.split_once(':') {
                let _ = response.push_of(name.trim_end(), value.trim());
            }
        }
        state.reply_headers.clear();
    }

    /// Adds header lines to the next response that is made here. Fails for a line that is not `Name: value`.
    pub fn append_to_reply(&self, lines: &str) -> Result<(), Error> {
        let mut state = self.routing().state.borrow_mut();
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            if !line.split_once(':').is_some_and(|(name, _)| signalbox_sip::lex::is_token(name.trim_end())) {
                let problem = format!("{line:?} is not of the form Name: value");
                return Err(Error::BadHeader { header: "the header to append", problem });
            }
            state.reply_headers.push_str(line.trim());
            state.reply_headers.push_str("\r\n");
        }
        Ok(())
    }

    /// An answer by the script. A 2xx becomes 420 if the request has a Require, because scripts are not expected to
    /// support extensions (RFC 3261 §8.2.2.3). A script that supports them removes the Require first.
    pub(crate) fn send_script_reply(&self, reply: Reply<'_>) -> Result<(), Error> {
        if !(200..300).contains(&reply.status) {
            return self.send_reply(&reply);
        }
        let required = {
            let request = self.routing().request.borrow();
            match request.method() {
                Method::Ack | Method::Cancel => String::new(),
                _ => unsupported_tags(&request, HeaderName::Require, &[]),
            }
        };
        if required.is_empty() {
            return self.send_reply(&reply);
        }
        self.routing().state.borrow_mut().reply_headers.clear();
        self.send_reply(&Reply::new(420).header(HeaderName::Unsupported, required))
    }

    /// Answers with the status of the step that failed last, or 500, and with its Warning.
    pub fn reply_error(&self) -> Result<(), Error> {
        let error = self.routing().state.borrow().last_error;
        let Some(FailedStep { status, reason, warning }) = error else { return self.send_reply(&Reply::new(500)) };
        let reply = Reply::new(status).reason(reason);
        self.send_reply(&match warning {
            Some(warning) => reply.header(HeaderName::Warning, warning),
            None => reply,
        })
    }
}
