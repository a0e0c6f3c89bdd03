//! A short look at a datagram: who cannot be served gets its refusal at a fraction of what reading the request would cost.
//!
//! Only what is written in the usual way is seen: a request outside of any dialog with each line ended by CR LF, no folding, ASCII only,
//! and one value in the topmost Via line. [`Message::parse`](super::Message::parse) is for all else. Where both read a request they agree; a
//! glance does not notice what is wrong in the headers that it has no use for.

use std::net::SocketAddr;

use smallvec::SmallVec;

use super::parse;
use super::received::Noted;
use crate::header::{Header, HeaderName, Via};
use crate::lex;
use crate::uri::NameAddr;

/// Lines that are copied into a response, at the most; requests have five and one for each proxy on their way.
const MAX_COPIED: usize = 24;

/// A request that may start a transaction, outside of any dialog; neither ACK nor CANCEL.
#[derive(Debug)]
pub struct Glance<'a> {
    pub method: &'a str,
    pub top_via: Via<'a>,
    pub call_id: &'a str,
    pub from_tag: Option<&'a str>,
    /// The number in CSeq.
    pub cseq: u32,
    /// What §8.2.6.2 wants copied into a response.
    copied: SmallVec<[Line<'a>; 8]>,
}

#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    name: HeaderName,
    /// Name and value, without the line end.
    text: &'a str,
    value: &'a str,
}

impl<'a> Glance<'a> {
    /// `None` where it is no such request, or one that wants a closer look.
    pub fn at(datagram: &'a [u8]) -> Option<Self> {
        let head = &datagram[..datagram.len().min(parse::MAX_HEAD)];
        let mut ends = memchr::memchr_iter(b'\n', head);
        let start_end = ends.next()?;
        let method = method(head.get(..start_end)?)?;
        let mut copied = SmallVec::new();
        let mut start = start_end + 1;
        loop {
            let end = ends.next()?;
            let line = head.get(start..end)?.strip_suffix(b"\r")?;
            start = end + 1;
            match line.first() {
                None => break,
                Some(b' ' | b'\t') => return None,
                // Via, From, To and Timestamp, Call-ID and CSeq, and the compact forms of these.
                Some(b'V' | b'v' | b'F' | b'f' | b'T' | b't' | b'C' | b'c' | b'I' | b'i') => {
                    let line = Line::parse(line)?;
                    if line.is_copied() {
                        if copied.len() == MAX_COPIED {
                            return None;
                        }
                        copied.push(line);
                    }
                }
                Some(_) => {}
            }
        }
        Self::of_lines(method, copied)
    }

    fn of_lines(method: &'a str, copied: SmallVec<[Line<'a>; 8]>) -> Option<Self> {
        let (mut via, mut from, mut to, mut call_id, mut cseq) = (None, None, None, None, None);
        for line in &copied {
            let slot = match line.name {
                HeaderName::Via => {
                    via.get_or_insert(line.value);
                    continue;
                }
                HeaderName::From => &mut from,
                HeaderName::To => &mut to,
                HeaderName::CallId => &mut call_id,
                _ => &mut cseq,
            };
            if slot.replace(line.value).is_some() {
                return None;
            }
        }
        // In quotes a comma would separate nothing, but who quotes in a Via?
        let via = via.filter(|via| !via.bytes().any(|byte| matches!(byte, b',' | b'"')))?;
        if NameAddr::parse(to?).ok()?.tag().is_some() {
            return None;
        }
        let call_id = call_id.filter(|id| !id.is_empty() && !id.bytes().any(lex::is_space))?;
        let (cseq, cseq_method) = cseq?.split_once(' ')?;
        if cseq_method != method {
            return None;
        }
        Some(Self {
            method,
            top_via: Via::parse(via).ok()?,
            call_id,
            from_tag: NameAddr::parse(from?).ok()?.tag(),
            cseq: lex::decimal(cseq).filter(|number| *number <= parse::MAX_CSEQ)?,
            copied,
        })
    }

    /// Appends the response with this status line (`503 Service Unavailable`) and these header lines, each with its line end, behind those
    /// that §8.2.6.2 wants copied. The source is noted in the topmost Via if it is given; To gets the tag.
    pub fn write_reply(
        &self,
        out: &mut Vec<u8>,
        status: &str,
        (source, to_tag): (Option<SocketAddr>, &str),
        more: &str,
    ) {
        out.extend_from_slice(b"SIP/2.0 ");
        push_line(out, &[status]);
        let mut source = source;
        for line in &self.copied {
            match (line.name, source) {
                (HeaderName::Via, Some(address)) => {
                    push_line(out, &["Via: ", &Noted::of(&self.top_via, address).text]);
                    source = None;
                }
                (HeaderName::To, _) => push_line(out, &["To: ", line.value, ";tag=", to_tag]),
                _ => push_line(out, &[line.text]),
            }
        }
        out.extend_from_slice(more.as_bytes());
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    }
}

fn push_line(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    out.extend_from_slice(b"\r\n");
}

/// The method in a request line.
fn method(line: &[u8]) -> Option<&str> {
    let line = ascii(line.strip_suffix(b" SIP/2.0\r")?)?;
    let (method, uri) = line.split_once(' ')?;
    let is_new = lex::is_token(method) && !matches!(method, "ACK" | "CANCEL");
    (is_new && !uri.is_empty()).then_some(method)
}

/// The text where nothing in it is the end of a line to anybody.
fn ascii(octets: &[u8]) -> Option<&str> {
    let is_plain = octets.is_ascii() && memchr::memchr(b'\r', octets).is_none();
    if is_plain { str::from_utf8(octets).ok() } else { None }
}

impl<'a> Line<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let colon = line.iter().position(|&byte| !lex::is_token_byte(byte)).filter(|&at| line[at] == b':')?;
        let name = HeaderName::of(&line[..colon]);
        if !Self::is_name_copied(name) {
            return Some(Self { name, text: "", value: "" });
        }
        let text = ascii(line)?;
        let value = lex::trim_start(&text[colon + 1..]);
        (!value.ends_with([' ', '\t'])).then_some(Self { name, text, value })
    }

    fn is_copied(&self) -> bool {
        Self::is_name_copied(self.name)
    }

    fn is_name_copied(name: HeaderName) -> bool {
        use HeaderName::{CSeq, CallId, From, To, Via};
        matches!(name, Via | From | To | CallId | CSeq)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Message;

    const REQUEST: &str = "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nv: SIP/2.0/UDP b, SIP/2.0/UDP c\r\n\
        Max-Forwards: 70\r\nf: \"A\" <sip:a@x>;tag=f\r\nTo: <sip:b@x>\r\nContact: <sip:a@a>\r\nCall-ID: i@a\r\nCSeq: 7 INVITE\r\n\
        Content-Length: 4\r\n\r\nTo: ";

    fn reply(request: &str) -> Option<String> {
        let mut out = Vec::new();
        let via = ("192.0.2.1:9".parse().ok(), "t");
        Glance::at(request.as_bytes())?.write_reply(&mut out, "503 Service Unavailable", via, "Retry-After: 5\r\n");
        String::from_utf8(out).ok()
    }

    #[test]
    fn what_identifies_a_request_is_seen_and_copied_into_its_refusal() {
        let glance = Glance::at(REQUEST.as_bytes()).unwrap();
        assert_eq!((glance.method, glance.call_id, glance.from_tag), ("INVITE", "i@a", Some("f")));
        assert_eq!((glance.top_via.branch(), glance.cseq), (Some("z9hG4bK1"), 7));
        let expected = "SIP/2.0 503 Service Unavailable\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.1\r\nv: SIP/2.0/UDP b, SIP/2.0/UDP c\r\n\
            f: \"A\" <sip:a@x>;tag=f\r\nTo: <sip:b@x>;tag=t\r\nCall-ID: i@a\r\nCSeq: 7 INVITE\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(reply(REQUEST).unwrap(), expected);
    }

    #[test]
    fn what_is_not_written_in_the_usual_way_wants_a_closer_look() {
        let changes = [
            ("INVITE sip:b@x SIP/2.0\r\n", "INVITE sip:b@x SIP/3.0\r\n"),
            ("INVITE sip:b@x SIP/2.0\r\n", "SIP/2.0 200 OK\r\n"),
            ("INVITE sip:b@x SIP/2.0\r\n", "\r\nINVITE sip:b@x SIP/2.0\r\n"),
            ("z9hG4bK1\r\n", "z9hG4bK1, SIP/2.0/UDP d\r\n"),
            ("z9hG4bK1\r\n", "z9hG4bK1;x=\"y\"\r\n"),
            ("z9hG4bK1\r\n", "z9hG4bK1\r\n ;rport\r\n"),
            ("z9hG4bK1\r\n", "z9hG4bK1;;\r\n"),
            ("z9hG4bK1\r\n", "z9hG4bK1 \r\n"),
            ("z9hG4bK1\r\n", "z9hG4bK1\n"),
            ("Via: ", "Via : "),
            ("To: <sip:b@x>", "To: <sip:b@x>;tag=t"),
            ("To: <sip:b@x>", "To: <sip:b\rVia: @x>"),
            ("To: <sip:b@x>", "To: <sip:b@\u{e4}>"),
            ("To: <sip:b@x>\r\n", ""),
            ("Max-Forwards: 70\r\n", "t: <sip:b@x>\r\n"),
            ("i@a", "i a"),
            ("7 INVITE", "7 MESSAGE"),
            ("7 INVITE", "2147483648 INVITE"),
            ("Content-Length: 4\r\n\r\n", ""),
        ];
        for (usual, unusual) in changes {
            assert!(REQUEST.contains(usual));
            assert!(reply(&REQUEST.replacen(usual, unusual, 1)).is_none(), "{unusual}");
        }
        assert!(reply(&REQUEST.replace("INVITE", "MESSAGE")).is_some());
        assert!(reply(&REQUEST.replace("INVITE", "ACK")).is_none());
        assert!(reply(&REQUEST.replace("INVITE", "CANCEL")).is_none());
        let vias = "Via: SIP/2.0/UDP a\r\n".repeat(MAX_COPIED);
        assert!(reply(&REQUEST.replacen("Via: ", &(vias + "Via: "), 1)).is_none());
    }

    /// Lines as they may stand in a request, most of them of the headers that are looked at.
    fn line() -> impl Strategy<Value = String> {
        let names = prop_oneof![
            Just("Via"),
            Just("v"),
            Just("VIA"),
            Just("From"),
            Just("To"),
            Just("t"),
            Just("Call-ID"),
            Just("I"),
            Just("CSeq"),
            Just("Content-Length"),
            Just("Timestamp"),
            Just("Vi"),
            Just("X-To"),
        ];
        let values = prop_oneof![
            Just("SIP/2.0/UDP a;branch=z9hG4bK1;rport"),
            Just("SIP/2.0/TCP [::1]:5070"),
            Just("<sip:a@x>;tag=1"),
            Just("sip:b@x"),
            Just("\"a;tag=2\" <sip:b@x>"),
            Just("<sip:b@x>;x=<>;tag=>"),
            Just("7 MESSAGE"),
            Just("0"),
            Just("i@a"),
            Just(""),
        ];
        let colons = prop_oneof![8 => Just(": "), 1 => Just(":"), 1 => Just(" : "), 1 => Just("\t:")];
        let ends = prop_oneof![8 => Just("\r\n"), 1 => Just("\n"), 1 => Just(" \r\n"), 1 => Just("\r\r\n")];
        (names, colons, values, ends).prop_map(|(name, colon, value, end)| [name, colon, value, end].concat())
    }

    /// A request that may have lost a line and got others.
    fn request() -> impl Strategy<Value = Vec<u8>> {
        let usual = [
            "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n",
            "From: <sip:a@x>;tag=f\r\n",
            "To: <sip:b@x>\r\n",
            "Call-ID: i\r\n",
            "CSeq: 7 MESSAGE\r\n",
        ];
        (
            prop::sample::subsequence(usual.to_vec(), 4..=5),
            prop::collection::vec((line(), any::<prop::sample::Index>()), 0..4),
        )
            .prop_map(|(usual, more)| {
                let mut lines: Vec<_> = usual.into_iter().map(str::to_owned).collect();
                for (line, at) in more {
                    lines.insert(at.index(lines.len() + 1), line);
                }
                format!("MESSAGE sip:b@x SIP/2.0\r\n{}\r\n", lines.concat()).into_bytes()
            })
    }

    proptest! {
        #[test]
        fn a_glance_and_a_close_look_see_the_same(
            mut datagram in request(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)
        ) {
            for (at, octet) in changes {
                let at = at.index(datagram.len());
                datagram[at] = octet;
            }
            if let Some(difference) = difference(&datagram) {
                prop_assert!(false, "{difference}");
            }
        }
    }

    /// How a glance at a request differs from what the request says, where it can be read.
    fn difference(datagram: &[u8]) -> Option<String> {
        let (glance, message) = (Glance::at(datagram)?, Message::parse(datagram).ok()?);
        let seen = (glance.method, glance.call_id, glance.from_tag, glance.cseq, glance.top_via);
        let read =
            (message.method().as_str(), message.call_id(), message.from_tag(), message.cseq(), message.top_via().ok()?);
        if seen != read || message.to_tag().is_some() {
            return Some(format!("{seen:?}\n{read:?}"));
        }
        let (mut short, mut long) = (Vec::new(), message.reply(503, "Service Unavailable"));
        glance.write_reply(&mut short, "503 Service Unavailable", (None, "t"), "Retry-After: 5\r\n");
        long.set_to_tag("t");
        long.push(HeaderName::RetryAfter, "5");
        let (short, long) = (String::from_utf8_lossy(&short), String::from_utf8_lossy(&long.to_bytes()).into_owned());
        (short != long).then(|| format!("{short}\n{long}"))
    }
}
