//! Messages out of a byte stream (RFC 3261 §18.3), and the keep-alives between them (RFC 5626 §4.4.1).

use bytes::Bytes;

use crate::header::HeaderName;
use crate::lex;
use crate::message::{MAX_BODY, MAX_HEAD, MAX_HEADERS, Message, ParseError, Problem, parse_head};

/// What a stream carries.
#[derive(Clone, Debug)]
pub enum Frame {
    Message(Message),
    /// A message that is refused. Its end is certain, so the stream goes on after it.
    Bad(ParseError),
    /// A double CRLF: the peer wants a CRLF back.
    Ping,
    /// A single CRLF: the answer to our double CRLF, the first half of the peer's, or just a line end in front
    /// of a message (§7.5).
    Pong,
}

/// Why a stream can't be read on. It is to be closed, after the answer where there is one.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct FrameError(pub ParseError);

impl FrameError {
    /// The response that tells the sender, see [`ParseError::reply`].
    pub fn reply(&self) -> Option<Message> {
        self.0.reply()
    }
}

/// Most octets of the body of a refused message that are read and dropped. After a longer body the stream is closed.
pub const MAX_SKIPPED: usize = 16 * 1024 * 1024;

/// How much of an empty buffer is kept for the next reads, in octets.
const KEPT_BUFFER: usize = 16 * 1024;

/// Cuts a stream into frames, however it was cut into reads.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where in the buffer the next frame starts; what is before is used up.
    used: usize,
    /// Where in the buffer to go on looking for the empty line.
    scanned: usize,
    /// A message that waits for the rest of its body, and the body's length.
    waiting: Option<(Message, usize)>,
    /// Octets of a refused message's body that are still to be dropped.
    skip: usize,
    /// Whether the last frame was a single CRLF.
    after_crlf: bool,
    failed: bool,
}

impl Framer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was read. After an error nothing is taken any more.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed {
            return;
        }
        if self.used > 0 {
            self.buffer.drain(..self.used);
            self.scanned = self.scanned.saturating_sub(self.used);
            self.used = 0;
        }
        // One large body must not cost its memory for as long as the connection stands.
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BUFFER {
            self.buffer = Vec::new();
        }
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.buffer.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
    }

    /// Octets that wait for the rest of their frame. The head of a message that waits for its body is not counted.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.used
    }

    /// Octets held for an incomplete message.
    pub fn held(&self) -> usize {
        self.pending() + self.waiting.as_ref().map_or(0, |(head, _)| head.octets())
    }

    /// Whether a message is incomplete, or the rest of a refused one is still to come.
    pub fn is_within_message(&self) -> bool {
        self.held() > 0 || self.skip > 0
    }

    /// The next frame; `None` until more is read. After an error there are no more.
    #[allow(clippy::should_implement_trait)] // Not an iterator: after `None` there may be more.
    pub fn next(&mut self) -> Option<Result<Frame, FrameError>> {
        if self.failed {
            return None;
        }
        let frame = if self.waiting.is_some() {
            self.body()
        } else if let Some(frame) = self.line_end() {
            Some(Ok(frame))
        } else {
            self.head()
        };
        if matches!(frame, Some(Err(_))) {
            self.failed = true;
            self.buffer = Vec::new();
            self.used = 0;
        }
        frame
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.used..).unwrap_or_default()
    }

    fn line_end(&mut self) -> Option<Frame> {
        let length = match self.unread() {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            _ => return None,
        };
        self.used += length;
        self.after_crlf = !self.after_crlf;
        Some(if self.after_crlf { Frame::Pong } else { Frame::Ping })
    }

    fn head(&mut self) -> Option<Result<Frame, FrameError>> {
        if matches!(self.unread(), [] | [b'\r']) {
            return None;
        }
        self.after_crlf = false;
        let Some(end) = self.head_end() else {
            return (self.pending() > MAX_HEAD).then(|| Err(self.parse_failure()));
        };
        let octets = &self.buffer[self.used..end];
        let head = match parse_head(octets) {
            Ok(head) => head,
            Err(error) => {
                let length = certain_length(octets, &error);
                self.used = end;
                return Some(self.refuse(error, length));
            }
        };
        self.used = end;
        let (problem, length) = match head.content_length {
            None => (Problem::NoContentLength, None),
            Some(length) if length > MAX_BODY => (Problem::BodyTooLarge, Some(length)),
            Some(length) => {
                self.waiting = Some((head.message, length));
                return self.body();
            }
        };
        Some(self.refuse(ParseError { problem, received: Some(Box::new(head.message)) }, length))
    }

    /// Drops the body of a refused message, if its length is certain.
    fn refuse(&mut self, error: ParseError, length: Option<usize>) -> Result<Frame, FrameError> {
        let Some(length) = length.filter(|length| *length <= MAX_SKIPPED) else { return Err(FrameError(error)) };
        let here = length.min(self.pending());
        self.used += here;
        self.skip = length - here;
        Ok(Frame::Bad(error))
    }

    /// What the parser says about a head that exceeds the limit.
    fn parse_failure(&self) -> FrameError {
        FrameError(match parse_head(self.unread()) {
            Ok(head) => ParseError { problem: Problem::HeadTooLarge, received: Some(Box::new(head.message)) },
            Err(error) => error,
        })
    }

    /// Where the empty line ends.
    fn head_end(&mut self) -> Option<usize> {
        let from = self.scanned.max(self.used);
        for at in memchr::memchr_iter(b'\n', self.buffer.get(from..).unwrap_or_default()).map(|at| from + at) {
            match &self.buffer[at + 1..] {
                [b'\r', b'\n', ..] => return Some(at + 3),
                [b'\n', ..] => return Some(at + 2),
                // Can't be told yet: look here again.
                [] | [b'\r'] => {
                    self.scanned = at;
                    return None;
                }
                _ => {}
            }
        }
        self.scanned = self.buffer.len();
        None
    }

    fn body(&mut self) -> Option<Result<Frame, FrameError>> {
        let &(_, length) = self.waiting.as_ref()?;
        let body = Bytes::copy_from_slice(self.unread().get(..length)?);
        let (message, _) = self.waiting.take()?;
        self.used += length;
        Some(Ok(Frame::Message(message.with_body(body))))
    }
}

/// The length of the body after the head of a refused message. `None` if another reader could find another end: the
/// head is not SIP of any version, a line may count as one or two, or Content-Length is missing, malformed, or present
/// with two values.
fn certain_length(head: &[u8], error: &ParseError) -> Option<usize> {
    let message = error.received.as_deref()?;
    let start_line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if message.is_request() && !start_line.windows(5).any(|part| part.eq_ignore_ascii_case(b" SIP/")) {
        return None;
    }
    let is_lone = |at: usize| head.get(at + 1) != Some(&b'\n');
    if memchr::memchr_iter(b'\r', head).any(is_lone) || message.lines().count() >= MAX_HEADERS {
        return None;
    }
    let mut lengths = message.values(HeaderName::ContentLength).map(|value| lex::decimal(value)?.try_into().ok());
    let first: Option<usize> = lengths.next()?;
    first.filter(|_| lengths.all(|length| length == first))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Problem;

    const HEAD: &str = "MESSAGE sip:b@x SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:b@x>\r\nCall-ID: i\r\n\
        CSeq: 1 MESSAGE\r\n";

    fn message(body: &str) -> String {
        format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len())
    }

    /// What the frames are, in short.
    fn drain(framer: &mut Framer) -> Vec<String> {
        std::iter::from_fn(|| framer.next())
            .map(|frame| match frame {
                Ok(Frame::Message(message)) => String::from_utf8(message.body().to_vec()).unwrap(),
                Ok(Frame::Bad(error)) => format!("refused {:?}", error.problem),
                Ok(Frame::Ping) => "ping".to_owned(),
                Ok(Frame::Pong) => "pong".to_owned(),
                Err(error) => format!("{:?}", error.0.problem),
            })
            .collect()
    }

    fn frames(stream: &[u8]) -> Vec<String> {
        let mut framer = Framer::new();
        framer.push(stream);
        drain(&mut framer)
    }

    #[test]
    fn messages_and_keep_alives_come_one_by_one() {
        let stream =
            [&message("one"), "\r\n\r\n", &message("\r\n\r\ntwo"), "\r\n", &message(""), "\r\n\r\n\r\n"].concat();
        let expected = ["one", "pong", "ping", "\r\n\r\ntwo", "pong", "", "pong", "ping", "pong"];
        assert_eq!(frames(stream.as_bytes()), expected);
    }

    #[test]
    fn after_an_error_nothing_more_is_read() {
        let stream = format!("{HEAD}\r\n{}", message("lost"));
        let mut framer = Framer::new();
        framer.push(stream.as_bytes());
        let error = framer.next().unwrap().unwrap_err();
        assert_eq!(error.0.problem, Problem::NoContentLength);
        assert_eq!(error.reply().map(|reply| reply.status()), Some(400));
        framer.push(message("lost too").as_bytes());
        assert!(framer.next().is_none() && framer.pending() == 0);
    }

    #[test]
    fn limits_hold_before_the_whole_has_come() {
        let endless = format!("{HEAD}X: {}", "y".repeat(MAX_HEAD));
        assert_eq!(frames(endless.as_bytes()), ["HeadTooLarge"]);
        assert_eq!(frames("z".repeat(MAX_HEAD + 1).as_bytes()), ["StartLine"]);
        let large = format!("{HEAD}l: {}\r\n\r\n", MAX_BODY + 1);
        assert_eq!(frames(large.as_bytes()), ["refused BodyTooLarge"]);
        let too_large = format!("{HEAD}l: {}\r\n\r\n", MAX_SKIPPED + 1);
        assert_eq!(frames(too_large.as_bytes()), ["BodyTooLarge"]);
        let fits = format!("{HEAD}l: {MAX_BODY}\r\n\r\n{}", "z".repeat(MAX_BODY));
        assert_eq!(frames(fits.as_bytes())[0].len(), MAX_BODY);
    }

    #[test]
    fn a_bad_message_whose_end_is_certain_does_not_end_the_stream() {
        let good = message("good");
        for (from, to, problem) in [
            ("SIP/2.0\r\nVia", "SIP/7.0\r\nVia", "Version"),
            ("sip:b@x SIP", "sip:b@x?a=b SIP", "RequestUri(Headers)"),
            ("MESSAGE sip", "MESSAGE  sip", "StartLine"),
            ("Call-ID: i\r\n", "", "Missing(CallId)"),
            ("Call-ID: i", "Call-ID: i\r\nCall-ID: j", "Repeated(CallId)"),
            ("1 MESSAGE", "1 INVITE", "CSeqMethod"),
            ("Call-ID: i", "Call-ID: i\r\nno colon", "HeaderLine"),
        ] {
            let bad = message("bad\r\n\r\nbody").replacen(from, to, 1);
            let expected = [format!("refused {problem}"), "good".to_owned()];
            assert_eq!(frames(format!("{bad}{good}").as_bytes()), expected, "{problem}");
        }
        let large = format!("{HEAD}l: {}\r\n\r\n{}{good}", MAX_BODY + 7, "z".repeat(MAX_BODY + 7));
        assert_eq!(frames(large.as_bytes()), ["refused BodyTooLarge", "good"]);
    }

    #[test]
    fn a_bad_message_whose_end_is_not_certain_ends_the_stream() {
        let bad = message("bad").replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia");
        for (from, to) in [
            ("Content-Length: 3", "Content-Length: 3\r\nl: 5"),
            ("Content-Length: 3", "Content-Length: x"),
            ("Content-Length: 3", "Content-Length: 3, 3"),
            ("Content-Length: 3\r\n", ""),
            ("Call-ID: i", "Call-ID: i\rContent-Length: 9"),
        ] {
            let got = frames(format!("{}{}", bad.replacen(from, to, 1), message("good")).as_bytes());
            assert_eq!(got, ["Version"], "{to}");
        }
        let many = bad.replace("Call-ID", &format!("{}Call-ID", "X: y\r\n".repeat(MAX_HEADERS)));
        assert_eq!(frames(format!("{many}{}", message("good")).as_bytes()).len(), 1);
        assert_eq!(frames(format!("GET / HTTP/1.1\r\nl: 0\r\n\r\n{}", message("good")).as_bytes()).len(), 1);
    }

    #[test]
    fn a_message_is_held_until_it_is_complete() {
        let mut framer = Framer::new();
        framer.push(format!("{HEAD}l: 4\r\n\r\nab").as_bytes());
        assert!(framer.next().is_none());
        assert!(framer.is_within_message() && framer.held() > HEAD.len() && framer.pending() == 2);
        framer.push(b"cd\r\n\r\n");
        assert_eq!(drain(&mut framer), ["abcd", "pong", "ping"]);
        assert!(!framer.is_within_message() && framer.held() == 0);
    }

    #[test]
    fn the_memory_of_a_large_body_is_given_back() {
        let mut framer = Framer::new();
        framer.push(message(&"z".repeat(MAX_BODY)).as_bytes());
        drain(&mut framer);
        framer.push(b"M");
        assert!(framer.buffer.capacity() <= KEPT_BUFFER);
    }

    #[test]
    fn garbage_is_an_error() {
        assert_eq!(frames(b"\x00\x01\x02\r\n\r\n"), ["StartLine"]);
        assert_eq!(frames(b"\rx\r\n\r\n"), ["StartLine"]);
    }

    proptest! {
        #[test]
        fn the_cut_of_the_reads_makes_no_difference(
            parts in prop::collection::vec(prop_oneof![
                "[a-z\r\n]{0,20}".prop_map(|body| message(&body)),
                Just("\r\n".to_owned()),
                Just("\r\n\r\n".to_owned()),
                Just(message("x").replace("\r\n", "\n")),
                Just("\r\r\n\n".to_owned()),
                Just(message("a bad one").replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia")),
            ], 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let stream = parts.concat().into_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let mut framer = Framer::new();
            let mut got = Vec::new();
            for pair in cuts.windows(2) {
                framer.push(&stream[pair[0]..pair[1]]);
                got.extend(drain(&mut framer));
            }
            prop_assert_eq!(got, frames(&stream));
        }
    }
}
