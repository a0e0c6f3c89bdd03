//! Messages out of a byte stream (RFC 3261 §18.3), and the keep-alives between them (RFC 5626 §4.4.1).

use bytes::Bytes;

use crate::message::{MAX_BODY, MAX_HEAD, Message, ParseError, Problem, parse_head};

/// What a stream carries.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every frame is a message, and is handed on at once")]
pub enum Frame {
    Message(Message),
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
        self.buffer.extend_from_slice(bytes);
    }

    /// How many octets wait for the rest of their frame.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.used
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
        let head = match parse_head(&self.buffer[self.used..end]) {
            Ok(head) => head,
            Err(error) => return Some(Err(FrameError(error))),
        };
        self.used = end;
        let problem = match head.content_length {
            None => Problem::NoContentLength,
            Some(length) if length > MAX_BODY => Problem::BodyTooLarge,
            Some(length) => {
                self.waiting = Some((head.message, length));
                return self.body();
            }
        };
        Some(Err(FrameError(ParseError { problem, received: Some(Box::new(head.message)) })))
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
        assert_eq!(frames(large.as_bytes()), ["BodyTooLarge"]);
        let fits = format!("{HEAD}l: {MAX_BODY}\r\n\r\n{}", "z".repeat(MAX_BODY));
        assert_eq!(frames(fits.as_bytes())[0].len(), MAX_BODY);
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
