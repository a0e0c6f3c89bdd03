//! Messages out of a byte stream (RFC 3261 §18.3), and the keep-alives between them (RFC 5626 §4.4.1).

use bytes::Bytes;

use crate::message::{MAX_BODY, MAX_HEAD, Message, ParseError, Problem, parse_head};

/// What a stream carries.
#[derive(Clone, Debug)]
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
