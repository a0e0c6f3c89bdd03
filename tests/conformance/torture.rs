//! Torture messages: files with the exact bytes of a message, and what is to become of it.
//!
//! Each row of a table says what the parser makes of the file, which is checked here, and what a server does with it that is
//! the registrar of `example.com` and else a proxy, which [`server`] checks. A third outcome of either kind needs its check:
//! both are matched without a rest.

pub(crate) mod server;

use std::collections::BTreeSet;
use std::path::PathBuf;

use signalbox_sip::header::{self, Header, HeaderName};
use signalbox_sip::message::{Message, ParseError};

/// One message and its fate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// Of the RFC.
    pub(crate) section: &'static str,
    /// Without `.dat`.
    pub(crate) file: &'static str,
    pub(crate) parser: Parser,
    pub(crate) server: Server,
}

/// What the parser makes of a datagram.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Parser {
    /// A message, all headers of which can be read.
    Reads,
    /// A message; these headers cannot be read, and that shows only when they are used.
    ReadsBut(&'static [HeaderName]),
    /// No message; the sender gets this status.
    Refuses(u16),
    /// No message, and nothing to answer.
    Drops,
}

/// What a server makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// Forwards it as it would any other message, to this host or address, and the response to it back.
    Forwards(&'static str),
    /// Answers with this status.
    Answers(u16),
    /// Neither answers nor forwards.
    Drops,
}

/// What a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The registrar of `example.com`, and the proxy of everything else.
    Registrar,
    /// A proxy and nothing else.
    Proxy,
    /// A proxy that keeps no transactions (RFC 3261 §16.11).
    Stateless,
}

pub(crate) use Parser::{Drops, Reads, ReadsBut, Refuses};
pub(crate) use Server::{Answers, Forwards};

/// A row of a table.
pub(crate) const fn case(section: &'static str, file: &'static str, parser: Parser, server: Server) -> Case {
    Case { section, file, parser, server }
}

/// The bytes of a file.
pub(crate) fn bytes(rfc: &str, file: &str) -> Vec<u8> {
    let path = folder(rfc).join(file).with_extension("dat");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The message in a file that can be read.
pub(crate) fn message(rfc: &str, file: &str) -> Message {
    Message::parse(&bytes(rfc, file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn folder(rfc: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "conformance/torture", rfc].iter().collect()
}

/// Runs all rows through the parser.
pub(crate) fn check_parser(rfc: &str, cases: &[Case]) {
    let mut failures = Vec::new();
    for case in cases {
        if let Err(failure) = check(case, Message::parse(&bytes(rfc, case.file))) {
            failures.push(format!("§{} {}: {failure}", case.section, case.file));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(case: &Case, outcome: Result<Message, ParseError>) -> Result<(), String> {
    match (case.parser, outcome) {
        (Reads, Ok(message)) => check_headers(&message, &[]),
        (ReadsBut(names), Ok(message)) => check_headers(&message, names),
        (Reads | ReadsBut(_), Err(error)) => Err(format!("refused: {error}")),
        (Refuses(status), Err(error)) => match error.reply() {
            Some(reply) if reply.status() == status => Ok(()),
            Some(reply) => Err(format!("answered with {}", reply.status())),
            None => Err(format!("refused without an answer: {error}")),
        },
        (Drops, Err(error)) => error.reply().map_or(Ok(()), |reply| Err(format!("answered with {}", reply.status()))),
        (Refuses(_) | Drops, Ok(_)) => Err("read".to_owned()),
    }
}

fn check_headers(message: &Message, expected: &[HeaderName]) -> Result<(), String> {
    let unreadable = unreadable(message);
    if unreadable != expected.iter().copied().collect() {
        return Err(format!("unreadable headers: {unreadable:?}"));
    }
    // What is printed must be the same message again.
    let printed = message.to_bytes();
    let again = Message::parse(&printed).map_err(|error| format!("printed so that it is refused: {error}"))?;
    if again.lines().filter(is_not_length).ne(message.lines().filter(is_not_length)) || again.body() != message.body() {
        return Err("printed as another message".to_owned());
    }
    Ok(())
}

/// Content-Length is set right by printing.
fn is_not_length((name, _): &(&str, &str)) -> bool {
    HeaderName::parse(name) != HeaderName::ContentLength
}

/// The headers of which some value is not what the RFCs say.
fn unreadable(message: &Message) -> BTreeSet<HeaderName> {
    macro_rules! check_each {
        ($($type:ident)*) => {
            [$((header::$type::NAME, message.headers::<header::$type<'_>>().any(|header| header.is_err()))),*]
        };
    }
    macro_rules! check_each_plain {
        ($($type:ident)*) => {
            [$((header::$type::NAME, message.headers::<header::$type>().any(|header| header.is_err()))),*]
        };
    }
    let borrowing = check_each! {
        Accept AcceptEncoding AcceptLanguage AlertInfo Allow AllowEvents AuthenticationInfo Authorization CallId CallInfo
        Contact ContentDisposition ContentEncoding ContentLanguage ContentType CSeq ErrorInfo Event From InReplyTo
        Organization Path Priority ProxyAuthenticate ProxyAuthorization ProxyRequire RAck Reason RecordRoute ReferTo ReplyTo
        Require RetryAfter Route Server SipEtag SipIfMatch Subject SubscriptionState Supported SuppressIfMatch Timestamp To
        Unsupported UserAgent Via Warning WwwAuthenticate
    };
    let plain = check_each_plain! {
        ContentLength Date Expires FlowTimer MaxBreadth MaxForwards MimeVersion MinExpires RSeq
    };
    borrowing.into_iter().chain(plain).filter(|(_, bad)| *bad).map(|(name, _)| name).collect()
}

/// Each file of the folder has its row, each row its own file, and what the parser refuses no server forwards.
pub(crate) fn check_table(rfc: &str, cases: &[Case]) {
    let files: BTreeSet<String> = std::fs::read_dir(folder(rfc))
        .expect("the folder of messages can be read")
        .map(|entry| entry.expect("its entries can be read").path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let rows: BTreeSet<String> = cases.iter().map(|case| case.file.to_owned()).collect();
    assert_eq!(files, rows);
    assert_eq!(rows.len(), cases.len(), "a file has two rows");
    for case in cases {
        match case.parser {
            Refuses(status) => assert_eq!(case.server, Answers(status), "{}", case.file),
            Drops => assert_eq!(case.server, Server::Drops, "{}", case.file),
            Reads | ReadsBut(_) => {}
        }
    }
}
