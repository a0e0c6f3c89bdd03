//! Messages that start here: empty requests and responses, and responses to a request.

use bytes::Bytes;

use super::line::{HeaderLine, Span};
use super::view::{Kind, Looks};
use super::{Message, octets};
use crate::header::HeaderName;
use crate::method::Method;

/// Room that is kept behind the text for the first edits.
pub(super) const ROOM: usize = 256;

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
        let length: u32 = self.lines.iter().filter(copied).map(|line| line.end - line.start + 2).sum();
        let room = length as usize + reason.len() + ROOM;
        let mut reply = Self::empty(self.method.clone(), Kind::Response { status, reason: Span::NONE }, room);
        reply.set_status(status, reason);
        for line in self.lines.iter().filter(copied) {
            let at = reply.text.len();
            reply.text.push_str(self.text_of(line.line_span()));
            reply.text.push_str("\r\n");
            reply.lines.push(HeaderLine { ends_clean: true, ..line.moved_to(at) });
        }
        reply.carries_octets = self.carries_octets || octets::may_carry(reason);
        for name in [HeaderName::From, HeaderName::To, HeaderName::CSeq] {
            reply.refresh(name);
        }
        // The CSeq of a request that could not be parsed may name another method, or none.
        reply.method = self.method.clone();
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
