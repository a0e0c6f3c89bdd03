//! What is wrong with a message that can't be taken, and what to answer.

use std::borrow::Cow;
use std::fmt;

use super::Message;
use crate::header::{HeaderError, HeaderName};
use crate::method::Method;
use crate::uri::{NameAddrError, UriError};

/// Octets that are no message, with as much of it as could be read.
#[derive(Clone, Debug)]
pub struct ParseError {
    pub problem: Problem,
    /// The message as far as it was read; `None` where not even the kind could be seen. Its header table holds all
    /// well-formed lines; nothing else about it has been checked.
    pub received: Option<Box<Message>>,
}

/// Why octets are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("nothing but line ends")]
    Empty,
    #[error("no empty line behind the headers")]
    Unfinished,
    #[error("the headers exceed {} octets", super::MAX_HEAD)]
    HeadTooLarge,
    #[error("more than {} header lines", super::MAX_HEADERS)]
    TooManyHeaders,
    #[error("the body exceeds {} octets", super::MAX_BODY)]
    BodyTooLarge,
    #[error("malformed request or status line")]
    StartLine,
    #[error("the version is not SIP/2.0")]
    Version,
    #[error("bad Request-URI: {0}")]
    RequestUri(UriError),
    #[error("the status code is not between 100 and 699")]
    Status,
    #[error("a header line without a name and a colon")]
    HeaderLine,
    #[error("a carriage return without a line feed")]
    LineEnd,
    #[error("missing {0} header field")]
    Missing(HeaderName),
    #[error("several values of {0}")]
    Repeated(HeaderName),
    #[error(transparent)]
    Header(HeaderError),
    #[error("bad {0}: {1}")]
    Address(HeaderName, NameAddrError),
    #[error("the CSeq method is not the request's")]
    CSeqMethod,
    #[error("Content-Length is not a number")]
    ContentLength,
    #[error("several Content-Length header fields that differ")]
    ContentLengthsDiffer,
    #[error("the body is shorter than Content-Length says")]
    BodyTooShort,
    /// §18.3: on a stream only Content-Length tells where the message ends.
    #[error("missing Content-Length header field")]
    NoContentLength,
}

impl Problem {
    /// The response code that tells the sender.
    pub fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::HeadTooLarge | Self::TooManyHeaders => 513,
            Self::BodyTooLarge => 413,
            _ => 400,
        }
    }

    /// The reason phrase for that response (§21.4.1: it should name the problem).
    pub fn reason(self) -> Cow<'static, str> {
        match self {
            Self::Version => Cow::Borrowed("Version Not Supported"),
            Self::BodyTooLarge => Cow::Borrowed("Request Entity Too Large"),
            Self::HeadTooLarge | Self::TooManyHeaders => Cow::Borrowed("Message Too Large"),
            problem => Cow::Owned(format!("Bad Request ({problem})")),
        }
    }
}

impl ParseError {
    pub(super) fn new(problem: Problem, received: Option<Message>) -> Self {
        Self { problem, received: received.map(Box::new) }
    }

    /// The response that tells the sender what is wrong, with as much of Via, From, To, Call-ID and CSeq as
    /// there was. `None` where nothing may be answered: a response or ACK came, or no Via says who asks.
    pub fn reply(&self) -> Option<Message> {
        let request = self.received.as_deref()?;
        if !request.is_request() || *request.method() == Method::Ack || request.value(HeaderName::Via).is_none() {
            return None;
        }
        let mut reply = request.reply(self.problem.status(), &self.problem.reason());
        // What stands there several times can't be copied: a response with two Call-IDs is none.
        for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
            if reply.values(name).count() > 1 {
                let first = reply.value(name).unwrap_or_default().to_owned();
                reply.set(name, &first);
            }
        }
        Some(reply)
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad message: {}", self.problem)
    }
}

impl std::error::Error for ParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply_to(message: &str) -> Option<Message> {
        Message::parse(message.as_bytes()).unwrap_err().reply()
    }

    #[test]
    fn the_answer_copies_what_was_there() {
        // RFC 4475 §3.3.1
        let reply = reply_to("INVITE sip:b@x SIP/2.0\r\nCSeq: 1 INVITE\r\nVia: SIP/2.0/UDP a;branch=z\r\nl: 0\r\n\r\n")
            .unwrap();
        assert_eq!((reply.status(), reply.reason()), (400, "Bad Request (missing From header field)"));
        let names: Vec<_> = reply.lines().map(|(name, _)| name).collect();
        assert_eq!(names, ["CSeq", "Via"]);
    }

    #[test]
    fn another_version_is_answered_with_505() {
        // RFC 4475 §3.1.2.16
        let reply = reply_to(
            "OPTIONS sip:b@x SIP/7.0\r\nVia: SIP/7.0/UDP c;branch=z\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n\
             Call-ID: i\r\nCSeq: 1 OPTIONS\r\n\r\n",
        );
        assert_eq!(reply.map(|reply| (reply.status(), reply.cseq())), Some((505, 1)));
    }

    #[test]
    fn of_repeated_headers_the_first_is_copied() {
        // RFC 4475 §3.3.8
        let reply = reply_to(
            "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP c\r\nCSeq: 5 INVITE\r\nCall-ID: 1\r\nCSeq: 59 INVITE\r\n\
             Call-ID: 2\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n\r\n",
        )
        .unwrap();
        assert_eq!(reply.values(HeaderName::CSeq).collect::<Vec<_>>(), ["5 INVITE"]);
        assert_eq!(reply.values(HeaderName::CallId).collect::<Vec<_>>(), ["1"]);
        assert!(Message::parse(&reply.to_bytes()).is_ok());
    }

    #[test]
    fn responses_acks_and_messages_without_via_are_not_answered() {
        assert!(reply_to("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP c\r\n\r\n").is_none());
        assert!(reply_to("ACK sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP c\r\n\r\n").is_none());
        assert!(reply_to("INVITE sip:b@x SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n").is_none());
        assert!(reply_to("\u{0}\u{1}\r\nVia: SIP/2.0/UDP c\r\n\r\n").is_none());
    }
}
