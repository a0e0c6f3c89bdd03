//! The message and what can be read from it.

use std::net::IpAddr;

use bytes::Bytes;

use super::line::{HeaderLine, Span};
use super::reply::{ROOM, SPARE_LINES};
use crate::header::{Header, HeaderError, HeaderName, KnownParams, Present, Via};
use crate::lex::{self, List, Params};
use crate::method::Method;
use crate::uri::{Host, HostPort};

/// A request or a response. A clone costs two copies of memory and a reference to the body.
#[derive(Debug)]
pub struct Message {
    /// The head as it came, edits appended behind it.
    pub(super) text: String,
    /// The header lines, in the order in which they are printed.
    pub(super) lines: Vec<HeaderLine>,
    pub(super) body: Bytes,
    /// The start line, without its line end.
    pub(super) start: Span,
    pub(super) kind: Kind,
    /// A response's is its CSeq's.
    pub(super) method: Method,
    pub(super) looks: Looks,
    /// Set when the text may carry octets that are not UTF-8.
    pub(super) carries_octets: bool,
}

impl Clone for Message {
    /// With room for the edits that copies are mostly made for.
    fn clone(&self) -> Self {
        let mut text = String::with_capacity(self.text.len() + ROOM);
        text.push_str(&self.text);
        let mut lines = Vec::with_capacity(self.lines.len() + SPARE_LINES);
        lines.extend_from_slice(&self.lines);
        Self { text, lines, body: self.body.clone(), method: self.method.clone(), ..*self }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Request { uri: Span },
    Response { status: u16, reason: Span },
}

/// What everybody asks for, kept from parsing on and refreshed by edits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    pub(super) cseq: u32,
    pub(super) from_tag: Span,
    pub(super) to_tag: Span,
    /// The value of the only Content-Length line; `None` where there is no such line or several.
    pub(super) content_length: Option<u32>,
    /// `None` when it has to be read again.
    pub(super) top_via: Option<TopVia>,
}

impl Looks {
    pub(super) const NONE: Self =
        Self { cseq: 0, from_tag: Span::NONE, to_tag: Span::NONE, content_length: None, top_via: None };
}

/// The topmost Via as it was read: three parts of the server ask for it with each message.
#[derive(Clone, Copy, Debug)]
pub(super) struct TopVia {
    pub(super) transport: Span,
    /// Of a host that is a name.
    pub(super) name: Span,
    pub(super) address: Option<IpAddr>,
    pub(super) port: Option<u16>,
    pub(super) params: Span,
    pub(super) branch: Span,
    pub(super) present: Present,
}

impl TopVia {
    pub(super) fn of(via: &Via<'_>, text: &str) -> Self {
        Self {
            transport: Span::of(via.transport, text),
            name: match via.sent_by.host {
                Host::Name(name) => Span::of(name, text),
                Host::V4(_) | Host::V6(_) => Span::NONE,
            },
            address: via.sent_by.host.address(),
            port: via.sent_by.port,
            params: Span::of(via.params.as_str(), text),
            branch: via.branch().map_or(Span::NONE, |branch| Span::of(branch, text)),
            present: via.present(),
        }
    }

    /// The same where all of it stands that many octets further on.
    pub(super) fn moved(self, by: u32) -> Self {
        Self {
            transport: self.transport.moved(by),
            name: self.name.moved(by),
            params: self.params.moved(by),
            branch: self.branch.moved(by),
            ..self
        }
    }

    /// Whether nothing follows it in the line that ends there.
    pub(super) fn ends_at(self, end: u32) -> bool {
        self.params.end == end
    }

    fn in_text(self, text: &str) -> Option<Via<'_>> {
        let host = match self.address {
            Some(address) => address.into(),
            None => Host::Name(self.name.in_text(text)?),
        };
        let sent_by = HostPort { host, port: self.port };
        let known = KnownParams { branch: self.branch.in_text(text), present: self.present };
        Some(Via::new(self.transport.in_text(text)?, sent_by, Params::new(self.params.in_text(text)?), known))
    }
}

/// The start line.
impl Message {
    /// Gives back the room for edits, of a message that is kept for long.
    pub fn shrink_to_fit(&mut self) {
        self.text.shrink_to_fit();
        self.lines.shrink_to_fit();
    }

    pub fn is_request(&self) -> bool {
        matches!(self.kind, Kind::Request { .. })
    }

    /// A response has the method of its CSeq.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Empty for a response.
    pub fn request_uri(&self) -> &str {
        match self.kind {
            Kind::Request { uri } => self.text_of(uri),
            Kind::Response { .. } => "",
        }
    }

    /// Zero for a request.
    pub fn status(&self) -> u16 {
        match self.kind {
            Kind::Request { .. } => 0,
            Kind::Response { status, .. } => status,
        }
    }

    /// Empty for a request.
    pub fn reason(&self) -> &str {
        match self.kind {
            Kind::Request { .. } => "",
            Kind::Response { reason, .. } => self.text_of(reason),
        }
    }
}

/// The headers.
impl Message {
    /// The value of each line of this name, trimmed. Nothing for [`HeaderName::Other`]: see [`Message::values_of`].
    pub fn values(&self, name: HeaderName) -> Values<'_> {
        Values { message: self, lines: self.lines.iter(), wanted: Wanted::Known(name) }
    }

    /// The same by any name, full or compact, known or not.
    pub fn values_of<'a>(&'a self, name: &'a str) -> Values<'a> {
        Values { message: self, lines: self.lines.iter(), wanted: Wanted::named(name) }
    }

    /// The value of the first line of this name.
    pub fn value(&self, name: HeaderName) -> Option<&str> {
        // Names are compared alone: this is the most frequent look of all.
        let line = self.lines.iter().find(|line| line.name == name && name != HeaderName::Other)?;
        Some(self.text_of(line.value_span()))
    }

    /// The same by any name.
    pub fn value_of<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values_of(name).next()
    }

    /// Each item of the comma-separated lists in all lines of this name. Not for headers in which commas
    /// mean something else ([`HeaderName::is_list`]).
    pub fn items(&self, name: HeaderName) -> Items<'_> {
        Items { values: self.values(name), list: lex::split_list("") }
    }

    /// The same by any name.
    pub fn items_of<'a>(&'a self, name: &'a str) -> Items<'a> {
        Items { values: self.values_of(name), list: lex::split_list("") }
    }

    /// The first value as a typed header; `None` where there is none.
    pub fn header<'a, H: Header<'a>>(&'a self) -> Option<Result<H, HeaderError>> {
        self.headers().next()
    }

    /// All values as typed headers: each item where the header is a list, else each line.
    pub fn headers<'a, H: Header<'a>>(&'a self) -> impl Iterator<Item = Result<H, HeaderError>> + use<'a, H> {
        let (values, items) =
            if H::NAME.is_list() { (None, Some(self.items(H::NAME))) } else { (Some(self.values(H::NAME)), None) };
        values.into_iter().flatten().chain(items.into_iter().flatten()).map(H::parse)
    }

    /// Name (as written) and value of every line, in order.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|line| (self.text_of(line.name_span()), self.text_of(line.value_span())))
    }

    /// Whether there is a line of this name.
    pub fn has(&self, name: HeaderName) -> bool {
        self.value(name).is_some()
    }
}

/// What is asked for with every message.
impl Message {
    pub fn call_id(&self) -> &str {
        self.value(HeaderName::CallId).unwrap_or_default()
    }

    /// The number in CSeq; its method is [`Message::method`].
    pub fn cseq(&self) -> u32 {
        self.looks.cseq
    }

    pub fn from_tag(&self) -> Option<&str> {
        self.looks.from_tag.in_text(&self.text)
    }

    pub fn to_tag(&self) -> Option<&str> {
        self.looks.to_tag.in_text(&self.text)
    }

    /// The topmost Via value.
    pub fn top_via(&self) -> Result<Via<'_>, HeaderError> {
        if let Some(via) = self.looks.top_via.and_then(|via| via.in_text(&self.text)) {
            return Ok(via);
        }
        self.header().unwrap_or(Err(HeaderError::new(HeaderName::Via, "it is missing")))
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// How many octets it holds in memory: head, edits and body.
    pub fn octets(&self) -> usize {
        self.text.len() + self.body.len()
    }
}

impl Message {
    pub(super) fn text_of(&self, span: Span) -> &str {
        span.in_text(&self.text).unwrap_or_default()
    }
}

/// Which lines are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'a> {
    Known(HeaderName),
    Unknown(&'a str),
}

impl<'a> Wanted<'a> {
    pub(super) fn named(name: &'a str) -> Self {
        match HeaderName::parse(name) {
            HeaderName::Other => Self::Unknown(name),
            known => Self::Known(known),
        }
    }

    /// [`HeaderName::Other`] where it is not known.
    pub(super) fn known(self) -> HeaderName {
        match self {
            Self::Known(name) => name,
            Self::Unknown(_) => HeaderName::Other,
        }
    }

    pub(super) fn is(self, line: &HeaderLine, text: &str) -> bool {
        match self {
            Self::Known(name) => line.name == name && name != HeaderName::Other,
            Self::Unknown(name) => {
                line.name == HeaderName::Other
                    && line.name_span().in_text(text).is_some_and(|written| written.eq_ignore_ascii_case(name))
            }
        }
    }
}

/// See [`Message::values`].
#[derive(Clone, Debug)]
pub struct Values<'a> {
    message: &'a Message,
    lines: std::slice::Iter<'a, HeaderLine>,
    wanted: Wanted<'a>,
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (message, wanted) = (self.message, self.wanted);
        let line = self.lines.find(|line| wanted.is(line, &message.text))?;
        Some(message.text_of(line.value_span()))
    }
}

/// See [`Message::items`].
#[derive(Clone, Debug)]
pub struct Items<'a> {
    values: Values<'a>,
    list: List<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            if let Some(item) = self.list.next() {
                return Some(item);
            }
            self.list = lex::split_list(self.values.next()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "SUBSCRIBE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP a, SIP/2.0/UDP b;;\r\nf: <sip:a@x>;tag=f\r\nTo: <sip:b@x>\r\n\
        Call-ID: i\r\nCSeq: 1 SUBSCRIBE\r\nX-A: 1, 2\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT\r\nv: SIP/2.0/TCP c\r\nx-a: 3\r\n\r\n";

    #[test]
    fn lists_are_read_over_all_lines_item_by_item() {
        let message = Message::parse(TEXT.as_bytes()).unwrap();
        let transports: Vec<_> = message.headers::<Via<'_>>().map(|via| via.map(|via| via.transport)).collect();
        assert_eq!(transports.len(), 3);
        assert_eq!((transports[0], transports[2]), (Ok("UDP"), Ok("TCP")));
        assert!(transports[1].is_err());
        assert_eq!(message.values(HeaderName::Via).count(), 2);
    }

    #[test]
    fn headers_are_found_by_any_name() {
        let message = Message::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(message.items_of("X-a").collect::<Vec<_>>(), ["1", "2", "3"]);
        assert_eq!(message.values_of("X-A").collect::<Vec<_>>(), ["1, 2", "3"]);
        assert_eq!(message.value_of("F"), message.value(HeaderName::From));
        assert_eq!(message.value(HeaderName::Date), Some("Sat, 13 Nov 2010 23:29:00 GMT"));
        assert_eq!((message.value(HeaderName::Other), message.values(HeaderName::Other).count()), (None, 0));
        assert_eq!(message.lines().nth(1), Some(("f", "<sip:a@x>;tag=f")));
        assert!(message.has(HeaderName::Via) && !message.has(HeaderName::Route));
    }
}
