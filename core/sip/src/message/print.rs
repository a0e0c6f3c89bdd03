//! Printing a message.

use super::line::Span;
use super::{Message, octets};
use crate::header::HeaderName;

impl Message {
    /// Appends the message as it goes on the wire. Content-Length is right whatever the table says.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.text.len() + self.body.len() + 32);
        self.write_head(out);
        out.extend_from_slice(&self.body);
    }

    /// Appends the message without its body.
    pub fn write_head(&self, out: &mut Vec<u8>) {
        if self.carries_octets {
            let mut head = Vec::with_capacity(self.text.len() + 32);
            self.write_lines(&mut head);
            octets::restore(&String::from_utf8_lossy(&head), out);
        } else {
            self.write_lines(out);
        }
    }

    /// The message as it goes on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write_lines(&self, out: &mut Vec<u8>) {
        let keep_length = self.looks.content_length.is_some_and(|length| length as usize == self.body.len());
        // Lines that stand next to each other in the text, CR LF between them, are copied together.
        let mut run = Run { span: self.start, ends_clean: self.starts_clean() };
        for line in &self.lines {
            if line.name == HeaderName::ContentLength && !keep_length {
                continue;
            }
            if run.ends_clean && run.span.end + 2 == line.start {
                run = Run { span: Span { start: run.span.start, end: line.end }, ends_clean: line.ends_clean };
            } else {
                self.write_run(run, out);
                run = Run { span: line.line_span(), ends_clean: line.ends_clean };
            }
        }
        self.write_run(run, out);
        if !keep_length {
            out.extend_from_slice(b"Content-Length: ");
            write_decimal(self.body.len(), out);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    fn write_run(&self, run: Run, out: &mut Vec<u8>) {
        if run.ends_clean {
            let span = Span { start: run.span.start, end: run.span.end + 2 };
            out.extend_from_slice(self.text_of(span).as_bytes());
        } else {
            out.extend_from_slice(self.text_of(run.span).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    fn starts_clean(&self) -> bool {
        let end = self.start.end as usize;
        self.text.as_bytes().get(end..).is_some_and(|behind| behind.starts_with(b"\r\n"))
    }
}

#[derive(Clone, Copy)]
struct Run {
    span: Span,
    ends_clean: bool,
}

fn write_decimal(mut number: usize, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const HEAD: &str = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\nf: <sip:a@x>;tag=f\r\nTo: <sip:b@x>;tag=t\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\n";

    fn printed(text: &str) -> String {
        String::from_utf8(Message::parse(text.as_bytes()).unwrap().to_bytes()).unwrap()
    }

    #[test]
    fn an_untouched_message_prints_as_it_came() {
        let text = format!("{HEAD}Content-Length: 2\r\nX-Last :  a\r\n\r\nhi");
        assert_eq!(printed(&text), text);
    }

    #[test]
    fn line_ends_become_crlf_and_trailing_spaces_go() {
        let text = format!("{}Subject: x  \n\n", HEAD.replace("\r\n", "\n"));
        assert_eq!(printed(&text), format!("{HEAD}Subject: x\r\nContent-Length: 0\r\n\r\n"));
    }

    #[test]
    fn content_length_is_always_right() {
        let text = format!("{HEAD}Content-Length: 2\r\n\r\nhi");
        let mut message = Message::parse(text.as_bytes()).unwrap();
        message.set_body(None, Bytes::from_static(b"hello"));
        let expected = format!("{HEAD}Content-Length: 5\r\n\r\nhello");
        assert_eq!(String::from_utf8(message.to_bytes()).unwrap(), expected);
        message.set(HeaderName::ContentLength, "77");
        assert_eq!(String::from_utf8(message.to_bytes()).unwrap(), expected);
        assert_eq!(printed(&format!("{HEAD}l: 2\r\nl: 2\r\n\r\nhi!")), format!("{HEAD}Content-Length: 2\r\n\r\nhi"));
        assert_eq!(printed(&format!("{HEAD}\r\n0123456789")), format!("{HEAD}Content-Length: 10\r\n\r\n0123456789"));
    }
}
