//! Messages that start here: empty requests and responses, and responses to a request.

use bytes::Bytes;

use super::Message;
use super::line::{HeaderLine, Span};
use super::view::{Kind, Looks};
use crate::header::HeaderName;
use crate::method::Method;

/// Room that is kept behind the text for the first edits.
pub(super) const ROOM: usize = 256;

/// Room that is kept behind the lines for the first that are added.
pub(super) const SPARE_LINES: usize = 4;

impl Message {
    /// A request without headers.
    pub fn request(method: &Method, uri: &str) -> Self {
        let mut message = Self::empty(method.clone(), Kind::Request { uri: Span::NONE }, ROOM);
        message.set_request_uri(uri);
        message
    }

    /// A response without headers. Its method is that of the CSeq that it will be given.
    pub fn response(status: u16, reason: &str) -> Self {
        let mut message = Self::empty(Method::Other("".into()), Kind::Response { status, reason: Span::NONE }, ROOM);
        message.set_status(status, reason);
        message
    }

    /// The response to this request with what §8.2.6 wants copied: all Via values, From, To, Call-ID and
    /// CSeq, and for a 100 the Timestamp. The To tag is the caller's, see [`Message::set_to_tag`].
    pub fn reply(&self, status: u16, reason: &str) -> Self {
        let copied = |line: &&HeaderLine| match line.name {
            HeaderName::Via | HeaderName::From | HeaderName::To | HeaderName::CallId | HeaderName::CSeq => true,
            HeaderName::Timestamp => status == 100,
            _ => false,
        };
        // One copy of all the text costs less than one for each line, and what is known of the lines stays true.
        let mut text = String::with_capacity(self.text.len() + reason.len() + ROOM);
        text.push_str(&self.text);
        let mut lines = Vec::with_capacity(self.lines.len() + SPARE_LINES);
        lines.extend(self.lines.iter().filter(copied));
        let mut reply = Self {
            text,
            lines,
            body: Bytes::new(),
            start: Span::NONE,
            kind: Kind::Response { status, reason: Span::NONE },
            // The CSeq of a request that could not be parsed may name another method, or none.
            method: self.method.clone(),
            looks: Looks { content_length: None, ..self.looks },
            carries_octets: self.carries_octets,
        };
        reply.set_status(status, reason);
        reply
    }

    pub(super) fn empty(method: Method, kind: Kind, room: usize) -> Self {
        Self {
            text: String::with_capacity(room),
            lines: Vec::with_capacity(8),
            body: Bytes::new(),
            start: Span::NONE,
            kind,
            method,
            looks: Looks::NONE,
            carries_octets: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP a\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:b@x>\r\nTimestamp: 54\r\n\
        Call-ID: i\r\nContact: <sip:a@a>\r\nCSeq: 1 INVITE\r\nv: SIP/2.0/UDP b\r\nContent-Length: 2\r\n\r\nhi";

    #[test]
    fn a_reply_carries_what_identifies_the_request() {
        let mut reply = Message::parse(REQUEST.as_bytes()).unwrap().reply(404, "Not Found");
        reply.set_to_tag("t");
        let expected = "SIP/2.0 404 Not Found\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:b@x>;tag=t\r\nCall-ID: i\r\n\
            CSeq: 1 INVITE\r\nv: SIP/2.0/UDP b\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(String::from_utf8(reply.to_bytes()).unwrap(), expected);
        assert_eq!((reply.method(), reply.cseq(), reply.from_tag()), (&Method::Invite, 1, Some("f")));
    }

    #[test]
    fn a_trying_carries_the_timestamp_too() {
        let reply = Message::parse(REQUEST.as_bytes()).unwrap().reply(100, "Trying");
        assert_eq!(reply.value(HeaderName::Timestamp), Some("54"));
    }

    #[test]
    fn a_new_request_prints_with_what_was_added() {
        let mut request = Message::request(&Method::Options, "sip:b@x");
        request.push(HeaderName::MaxForwards, "70");
        let expected = "OPTIONS sip:b@x SIP/2.0\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(String::from_utf8(request.to_bytes()).unwrap(), expected);
    }
}
