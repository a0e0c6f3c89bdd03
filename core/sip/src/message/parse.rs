//! Reading a message: first the lines and their names, then the start line and the five headers that no
//! message is without. All other headers stay as they are until somebody asks for them.

use bytes::Bytes;

use super::line::{HeaderLine, Span};
use super::reply::ROOM;
use super::view::{Kind, Looks, TopVia};
use super::{Message, ParseError, Problem, octets, once};
use crate::header::{Header, HeaderError, HeaderName, Via};
use crate::lex;
use crate::method::Method;
use crate::uri::{NameAddr, Uri, UriError};

/// How many octets the start line and headers may take together.
pub const MAX_HEAD: usize = 64 * 1024;

/// How many header lines a message may have, its Content-Length counted also where that is missing: printing adds it.
pub const MAX_HEADERS: usize = 256;

/// How many octets a body may have.
pub const MAX_BODY: usize = 512 * 1024;

/// §8.1.1.5: the sequence number must be less than 2^31.
pub(super) const MAX_CSEQ: u32 = (1 << 31) - 1;

impl Message {
    /// Reads a datagram (§18.3): what follows the body is dropped, a body that is shorter than Content-Length is an
    /// error, and without Content-Length the body reaches to the end. Line ends in front are skipped (§7.5).
    pub fn parse(datagram: &[u8]) -> Result<Self, ParseError> {
        let Head { mut message, length, content_length } = parse_head(datagram)?;
        let behind = datagram.get(length..).unwrap_or_default();
        let body = match content_length {
            None => behind,
            Some(length) => match behind.get(..length) {
                Some(body) => body,
                None => return Err(ParseError::new(Problem::BodyTooShort, Some(message))),
            },
        };
        if body.len() > MAX_BODY {
            return Err(ParseError::new(Problem::BodyTooLarge, Some(message)));
        }
        message.body = Bytes::copy_from_slice(body);
        Ok(message)
    }
}

/// A message without its body.
pub(crate) struct Head {
    pub(crate) message: Message,
    /// How many octets it took, line ends in front included.
    pub(crate) length: usize,
    pub(crate) content_length: Option<usize>,
}

/// Reads up to and including the empty line.
pub(crate) fn parse_head(input: &[u8]) -> Result<Head, ParseError> {
    let skipped = input.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(input.len());
    let bytes = &input[skipped..];
    if bytes.is_empty() {
        return Err(ParseError::new(Problem::Empty, None));
    }
    let scan = Scan::of(bytes);
    let length = skipped + scan.length;
    let head = &bytes[..scan.length];
    let (text, scan, carries_octets) = match str::from_utf8(head) {
        Ok(text) if !scan.folded && !octets::may_carry(text) => {
            let mut owned = String::with_capacity(text.len() + ROOM);
            owned.push_str(text);
            (owned, scan, false)
        }
        _ => {
            let text = octets::carry(&unfolded(head));
            let again = Scan::of(text.as_bytes());
            let carries_octets = octets::may_carry(&text);
            (text, again, carries_octets)
        }
    };
    let Scan { lines, start, problem, .. } = scan;
    let (start_line, start_problem) = StartLine::parse(start.in_text(&text).unwrap_or_default(), &text);
    let Some(StartLine { kind, method }) = start_line else {
        return Err(ParseError::new(start_problem.unwrap_or(Problem::StartLine), None));
    };
    let mut message =
        Message { text, lines, body: Bytes::new(), start, kind, method, looks: Looks::NONE, carries_octets };
    match start_problem.or(problem).map_or_else(|| check(&mut message), Err) {
        Ok(content_length) => Ok(Head { message, length, content_length }),
        Err(problem) => {
            for name in [HeaderName::From, HeaderName::To, HeaderName::CSeq] {
                message.refresh(name);
            }
            Err(ParseError::new(problem, Some(message)))
        }
    }
}

/// The lines of a head, found in one pass.
struct Scan {
    start: Span,
    lines: Vec<HeaderLine>,
    /// Up to and including the empty line.
    length: usize,
    /// Whether a line goes on in the next (§7.3.1). The table is of no use then.
    folded: bool,
    problem: Option<Problem>,
}

impl Scan {
    fn of(input: &[u8]) -> Self {
        let bytes = &input[..input.len().min(MAX_HEAD)];
        let mut scan =
            Self { start: Span::NONE, lines: Vec::with_capacity(24), length: usize::MAX, folded: false, problem: None };
        let mut line_start = 0;
        let mut lone_return = false;
        let mut from = 0;
        while let Some(found) = memchr::memchr2(b'\r', b'\n', &bytes[from..]) {
            let end = from + found;
            let next = match &bytes[end..] {
                [b'\r', b'\n', ..] => end + 2,
                [b'\n', ..] => end + 1,
                _ => {
                    lone_return = true;
                    from = end + 1;
                    continue;
                }
            };
            if end == line_start {
                scan.length = next;
                break;
            }
            scan.line(&bytes[..end], line_start, next);
            (line_start, from) = (next, next);
        }
        if scan.length == usize::MAX {
            scan.length = bytes.len();
            scan.note(if input.len() > MAX_HEAD { Problem::HeadTooLarge } else { Problem::Unfinished });
        }
        // A carriage return alone is a line end to some: what they would take for a header must not pass here.
        if lone_return {
            scan.note(Problem::LineEnd);
        }
        scan
    }

    fn note(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }

    /// Takes the line that ends where the octets end, the next at `next`.
    fn line(&mut self, bytes: &[u8], start: usize, next: usize) {
        let end = bytes.len();
        if self.start == Span::NONE {
            self.start = Span::new(start, end);
            return;
        }
        let name_end = lex::skip_short(bytes, start, lex::TOKEN);
        if name_end == start && matches!(bytes[start], b' ' | b'\t') {
            self.folded = true;
            return;
        }
        let colon = skip_blanks(bytes, name_end);
        let Ok(name_length) = u16::try_from(name_end - start) else { return self.note(Problem::HeaderLine) };
        if name_length == 0 || bytes.get(colon) != Some(&b':') {
            return self.note(Problem::HeaderLine);
        }
        let value = skip_blanks(bytes, colon + 1);
        let mut trimmed = end;
        while trimmed > value && matches!(bytes[trimmed - 1], b' ' | b'\t') {
            trimmed -= 1;
        }
        if self.lines.len() == MAX_HEADERS {
            return self.note(Problem::TooManyHeaders);
        }
        self.lines.push(HeaderLine {
            name: HeaderName::of(&bytes[start..name_end]),
            ends_clean: trimmed == end && next == end + 2,
            name_length,
            start: start as u32,
            value: value as u32,
            end: trimmed as u32,
        });
    }
}

fn skip_blanks(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while matches!(bytes.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

/// The head with the line ends of folded lines turned into spaces, which mean the same (§7.3.1).
fn unfolded(head: &[u8]) -> Vec<u8> {
    let mut out = head.to_vec();
    for at in memchr::memchr_iter(b'\n', head) {
        if matches!(head.get(at + 1), Some(b' ' | b'\t')) {
            out[at] = b' ';
            if at > 0 && head[at - 1] == b'\r' {
                out[at - 1] = b' ';
            }
        }
    }
    out
}

struct StartLine {
    kind: Kind,
    method: Method,
}

impl StartLine {
    /// `None` where the line is neither a request's nor a response's. With a problem the parts are what could
    /// be made of it.
    fn parse(line: &str, text: &str) -> (Option<Self>, Option<Problem>) {
        if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
            Self::parse_status(line, text)
        } else {
            Self::parse_request(line, text)
        }
    }

    /// `Method SP Request-URI SP SIP-Version`: one space each, none elsewhere (§7.1).
    fn parse_request(line: &str, text: &str) -> (Option<Self>, Option<Problem>) {
        let Some((method, rest)) = lex::split_at_byte(line, b' ') else { return (None, Some(Problem::StartLine)) };
        let Some(method) = Method::parse(method) else { return (None, Some(Problem::StartLine)) };
        let request = |uri: &str, problem| {
            (Some(Self { kind: Kind::Request { uri: Span::of(uri, text) }, method: method.clone() }), problem)
        };
        let uri = match rest.strip_suffix(" SIP/2.0") {
            Some(uri) => uri,
            None => {
                let Some((uri, version)) = rest.rsplit_once(' ') else {
                    return request(lex::trim(rest), Some(Problem::StartLine));
                };
                if !version.eq_ignore_ascii_case("SIP/2.0") {
                    let problem = if is_version(version) { Problem::Version } else { Problem::StartLine };
                    return request(lex::trim(uri), Some(problem));
                }
                uri
            }
        };
        let problem = match Uri::parse(uri) {
            Err(_) if uri.is_empty() || uri.bytes().any(lex::is_space) => {
                return request(lex::trim(uri), Some(Problem::StartLine));
            }
            Err(error) => Some(Problem::RequestUri(error)),
            // §19.1.1, table 1: headers have no place in a Request-URI. RFC 4475 §3.1.2.11: they must never go further.
            Ok(uri) if !uri.headers.is_empty() => Some(Problem::RequestUri(UriError::Headers)),
            Ok(_) => None,
        };
        request(uri, problem)
    }

    /// `SIP-Version SP Status-Code SP Reason-Phrase` (§7.2). The second space may be missing when there is no
    /// reason.
    fn parse_status(line: &str, text: &str) -> (Option<Self>, Option<Problem>) {
        let (version, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let status = lex::decimal(code).filter(|_| code.len() == 3).filter(|status| (100..700).contains(status));
        let problem = match status {
            _ if !version.eq_ignore_ascii_case("SIP/2.0") => Some(Problem::Version),
            None => Some(Problem::Status),
            Some(_) => None,
        };
        let kind = Kind::Response { status: status.unwrap_or_default() as u16, reason: Span::of(reason, text) };
        (Some(Self { kind, method: Method::Other("".into()) }), problem)
    }
}

/// `"SIP" "/" 1*DIGIT "." 1*DIGIT`
fn is_version(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = text.get(4..).filter(|_| text.is_char_boundary(4) && text[..4].eq_ignore_ascii_case("SIP/"));
    numbers
        .and_then(|numbers| numbers.split_once('.'))
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

/// Checks the five headers that every message must have (§8.1.1), keeps what everybody asks for, and gives the
/// Content-Length.
fn check(message: &mut Message) -> Result<Option<usize>, Problem> {
    let mut looks = Looks::NONE;
    let (mut via, mut from, mut to, mut call_id, mut cseq_value) = (None, None, None, None, None);
    let mut lengths = None;
    for line in &message.lines {
        let slot = match line.name {
            HeaderName::Via => {
                via.get_or_insert(line);
                continue;
            }
            HeaderName::ContentLength => {
                let length = lex::decimal(message.text_of(line.value_span())).ok_or(Problem::ContentLength)?;
                if lengths.is_some_and(|(earlier, _)| earlier != length) {
                    return Err(Problem::ContentLengthsDiffer);
                }
                lengths = Some((length, lengths.is_none()));
                continue;
            }
            HeaderName::From => &mut from,
            HeaderName::To => &mut to,
            HeaderName::CallId => &mut call_id,
            HeaderName::CSeq => &mut cseq_value,
            _ => continue,
        };
        // §7.3.1: only headers whose value is a list may be repeated.
        if slot.replace(line).is_some() {
            return Err(Problem::Repeated(line.name));
        }
    }
    if lengths.is_none() && message.lines.len() == MAX_HEADERS {
        return Err(Problem::TooManyHeaders);
    }
    let value = |line: Option<&HeaderLine>, name| {
        line.map(|line| message.text_of(line.value_span())).ok_or(Problem::Missing(name))
    };
    let first_via = lex::split_list(value(via, HeaderName::Via)?).next().unwrap_or_default();
    let top_via = Via::parse(first_via).map_err(Problem::Header)?;
    looks.top_via = Some(TopVia::of(&top_via, &message.text));
    let address = |line, name| NameAddr::parse(value(line, name)?).map_err(|error| Problem::Address(name, error));
    let tag = |address: NameAddr<'_>| address.tag().map_or(Span::NONE, |tag| Span::of(tag, &message.text));
    looks.from_tag = tag(address(from, HeaderName::From)?);
    looks.to_tag = tag(address(to, HeaderName::To)?);
    let call_id = value(call_id, HeaderName::CallId)?;
    if call_id.is_empty() || !lex::all(call_id, lex::VISIBLE) {
        return Err(Problem::Header(HeaderError::new(HeaderName::CallId, "it is empty or has spaces in it")));
    }
    let (number, method) = cseq(value(cseq_value, HeaderName::CSeq)?)
        .ok_or(Problem::Header(HeaderError::new(HeaderName::CSeq, "it is not a number below 2^31 and a method")))?;
    looks.cseq = number;
    looks.content_length = lengths.filter(|(_, only)| *only).map(|(length, _)| length);
    // §8.1.1.5: the method must match that of the request.
    if message.is_request() && message.method != method {
        return Err(Problem::CSeqMethod);
    }
    message.method = method;
    message.looks = looks;
    // Responses are not checked, because a refusal would have no recipient.
    if message.is_request()
        && let Some(name) = once::repeated(message)
    {
        return Err(Problem::Repeated(name));
    }
    Ok(lengths.map(|(length, _)| length as usize))
}

/// Number and method of a CSeq value.
pub(super) fn cseq(value: &str) -> Option<(u32, Method)> {
    let (number, method) = value.split_at(lex::skip_short(value.as_bytes(), 0, lex::VISIBLE));
    let number = lex::decimal(number).filter(|number| *number <= MAX_CSEQ)?;
    Some((number, Method::parse(lex::trim(method))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "MESSAGE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP a:5062;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=f\r\n\
        To: <sip:b@x>\r\nCall-ID: i@a\r\nCSeq: 7 MESSAGE\r\n";

    fn parse(extra: &str, body: &str) -> Result<Message, ParseError> {
        Message::parse(format!("{HEAD}{extra}\r\n{body}").as_bytes())
    }

    fn problem(message: &str) -> Problem {
        Message::parse(message.as_bytes()).unwrap_err().problem
    }

    #[test]
    fn a_request_is_read() {
        let message = parse("Content-Length: 2\r\n", "hi").unwrap();
        assert_eq!((message.method(), message.request_uri(), message.status()), (&Method::Message, "sip:b@x", 0));
        assert_eq!((message.call_id(), message.cseq()), ("i@a", 7));
        assert_eq!((message.from_tag(), message.to_tag()), (Some("f"), None));
        assert_eq!(message.top_via().unwrap().branch(), Some("z9hG4bK1"));
        assert_eq!(&message.body()[..], b"hi");
    }

    #[test]
    fn a_response_has_the_method_of_its_cseq() {
        let text = HEAD.replace("MESSAGE sip:b@x SIP/2.0", "SIP/2.0 200 All is well");
        let message = Message::parse(format!("{text}\r\n").as_bytes()).unwrap();
        assert_eq!((message.status(), message.reason(), message.method()), (200, "All is well", &Method::Message));
        for line in ["SIP/2.0 200 ", "SIP/2.0 200"] {
            let text = HEAD.replace("MESSAGE sip:b@x SIP/2.0", line);
            assert_eq!(Message::parse(format!("{text}\r\n").as_bytes()).unwrap().reason(), "");
        }
    }

    #[test]
    fn folds_compact_names_bare_line_feeds_and_spaces_before_colons_are_understood() {
        let text = "\r\n\r\nMESSAGE sip:b@x SIP/2.0\nv:  SIP/2.0/UDP\r\n  a;branch=z9hG4bK1 , SIP/2.0/TCP b\r\n\
            f :<sip:a@x>\r\n\t;tag=f\nt: <sip:b@x>\ni:i\nCSEQ\t: 007\r\n  MESSAGE\r\nl: 0\r\n\r\n";
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(message.from_tag(), Some("f"));
        assert_eq!((message.cseq(), message.call_id()), (7, "i"));
        assert_eq!(message.items(HeaderName::Via).count(), 2);
        assert_eq!(message.items(HeaderName::Via).nth(1), Some("SIP/2.0/TCP b"));
    }

    #[test]
    fn octets_that_are_not_utf8_come_out_as_they_came_in() {
        let mut bytes = format!("{HEAD}Subject: ").into_bytes();
        bytes.extend_from_slice(b"\xe9t\xe9 \xf4\x8f\xbf\xbf\r\nContent-Length: 1\r\n\r\n\xff");
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.to_bytes(), bytes);
        let reply = message.reply(200, "OK");
        assert_eq!(Message::parse(&reply.to_bytes()).unwrap().call_id(), "i@a");
    }

    #[test]
    fn a_datagram_ends_where_content_length_says() {
        assert_eq!(&parse("Content-Length: 2\r\n", "hi and more").unwrap().body()[..], b"hi");
        assert_eq!(&parse("", "all of it").unwrap().body()[..], b"all of it");
        assert_eq!(parse("Content-Length: 3\r\n", "hi").unwrap_err().problem, Problem::BodyTooShort);
        let twice = parse("l: 2\r\nContent-Length: 2\r\n", "hi").unwrap_err().problem;
        assert_eq!(twice, Problem::Repeated(HeaderName::ContentLength));
        assert_eq!(parse("l: 2\r\nContent-Length: 1\r\n", "hi").unwrap_err().problem, Problem::ContentLengthsDiffer);
        for bad in ["-1", "x", "1 2", "", "99999999999"] {
            assert_eq!(parse(&format!("l: {bad}\r\n"), "hi").unwrap_err().problem, Problem::ContentLength, "{bad}");
        }
    }

    #[test]
    fn start_lines_are_checked() {
        for (line, expected) in [
            // RFC 4475 §3.1.2.7 to §3.1.2.10, §3.1.2.16
            ("MESSAGE <sip:b@x> SIP/2.0", Problem::RequestUri(UriError::Scheme)),
            ("MESSAGE sip:b@x; lr SIP/2.0", Problem::StartLine),
            ("MESSAGE  sip:b@x  SIP/2.0", Problem::StartLine),
            ("MESSAGE sip:b@x SIP/2.0  ", Problem::StartLine),
            ("MESSAGE sip:b@x SIP/7.0", Problem::Version),
            ("MESSAGE sip:b@x HTTP/1.1", Problem::StartLine),
            ("MESSAGE sip:b@x", Problem::StartLine),
            ("MESSAGE", Problem::StartLine),
            ("MESS/AGE sip:b@x SIP/2.0", Problem::StartLine),
            ("SIP/2.0 4294967301 better not", Problem::Status),
            ("SIP/2.0 099 x", Problem::Status),
            ("SIP/2.0 +20 x", Problem::Status),
            ("SIP/3.0 200 OK", Problem::Version),
        ] {
            let text = HEAD.replace("MESSAGE sip:b@x SIP/2.0", line);
            assert_eq!(problem(&format!("{text}\r\n")), expected, "{line}");
        }
    }

    #[test]
    fn the_five_base_headers_must_be_there_once_and_well_formed() {
        for (name, broken) in [
            (HeaderName::Via, "Via: SIP/2.0/UDP a;;"),
            (HeaderName::From, "From: Bell, A <sip:a@x>"),
            (HeaderName::To, "To: \"open <sip:b@x>"),
            (HeaderName::CallId, "Call-ID: a b"),
            (HeaderName::CSeq, "CSeq: 36893488147419103232 MESSAGE"),
        ] {
            let line = HEAD.lines().find(|line| line.starts_with(name.as_str())).unwrap();
            assert_eq!(problem(&format!("{}\r\n", HEAD.replace(&format!("{line}\r\n"), ""))), Problem::Missing(name));
            let error = problem(&format!("{}\r\n", HEAD.replace(line, broken)));
            assert!(
                matches!(error, Problem::Header(HeaderError { name: n, .. }) | Problem::Address(n, _) if n == name)
            );
            if name != HeaderName::Via {
                assert_eq!(problem(&format!("{HEAD}{line}\r\n\r\n")), Problem::Repeated(name));
            }
        }
        assert_eq!(problem(&format!("{}\r\n", HEAD.replace("7 MESSAGE", "7 INVITE"))), Problem::CSeqMethod);
    }

    #[test]
    fn other_headers_may_be_broken() {
        let message = parse("Date: whenever\r\nContact: ;;,\r\nMax-Forwards: x\r\nX:\r\n", "").unwrap();
        assert_eq!(message.value(HeaderName::Date), Some("whenever"));
        assert_eq!(message.value_of("x"), Some(""));
    }

    #[test]
    fn as_many_headers_as_may_come_can_be_read_again_when_printed() {
        let with = |length: &str| {
            let lines = MAX_HEADERS - HEAD.lines().count() + 1 - length.lines().count();
            parse(&format!("{}{length}", "Z: y\r\n".repeat(lines)), "")
        };
        let message = with("Content-Length: 0\r\n").unwrap();
        assert_eq!(message.lines().count(), MAX_HEADERS);
        assert!(Message::parse(&message.to_bytes()).is_ok());
        assert_eq!(with("").unwrap_err().problem, Problem::TooManyHeaders);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert_eq!(problem("\r\n\r\n"), Problem::Empty);
        assert_eq!(problem(""), Problem::Empty);
        assert_eq!(problem(HEAD), Problem::Unfinished);
        assert_eq!(problem(&format!("{HEAD}no colon\r\n\r\n")), Problem::HeaderLine);
        assert_eq!(problem(&format!("{HEAD}: no name\r\n\r\n")), Problem::HeaderLine);
        assert_eq!(problem(&format!("{HEAD}Subject: a\rVia: b\r\n\r\n")), Problem::LineEnd);
        assert_eq!(problem(&format!("{HEAD}{}\r\n", "X: y\r\n".repeat(MAX_HEADERS))), Problem::TooManyHeaders);
        assert_eq!(problem(&format!("{HEAD}X: {}\r\n\r\n", "y".repeat(MAX_HEAD))), Problem::HeadTooLarge);
        assert_eq!(parse("", &"y".repeat(MAX_BODY + 1)).unwrap_err().problem, Problem::BodyTooLarge);
    }

    #[test]
    fn unknown_methods_and_schemes_are_taken() {
        let text = HEAD.replace("MESSAGE sip:b@x", "NEW%45 urn:service:sos").replace("7 MESSAGE", "7 NEW%45");
        let message = Message::parse(format!("{text}\r\n").as_bytes()).unwrap();
        assert_eq!((message.method().as_str(), message.request_uri()), ("NEW%45", "urn:service:sos"));
    }
}
