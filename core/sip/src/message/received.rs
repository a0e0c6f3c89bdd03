//! Noting in a request where it came from (RFC 3261 §18.2.1, RFC 3581 §4).

use std::net::SocketAddr;

use super::Message;
use super::line::Span;
use super::view::TopVia;
use crate::header::{HeaderError, HeaderName, Via};
use crate::lex;
use crate::uri::Host;

impl Message {
    /// Gives the topmost Via a `received` and, where its sender asks for that, an `rport`, in place of those that it may have. What is known of that Via stays
    /// known: nobody has to read it again. An error where it can't be read.
    pub fn set_received(&mut self, source: SocketAddr) -> Result<(), HeaderError> {
        let via = self.top_via()?;
        let Noted { text, transport, name, params, branch } = Noted::of(&via, source);
        let top = TopVia {
            transport,
            name,
            address: via.sent_by.host.address(),
            port: via.sent_by.port,
            params: Span::new(params, text.len()),
            branch,
            present: via.present().with_received(),
        };
        self.replace_first_item(HeaderName::Via, &text);
        let line = self.lines.iter().find(|line| line.name == HeaderName::Via && line.value < line.end);
        self.looks.top_via = line.map(|line| top.moved(line.value));
        Ok(())
    }
}

/// A Via value in which the source of its request is noted, and where its parts stand in it.
pub(super) struct Noted {
    pub(super) text: String,
    transport: Span,
    /// Of a host that is a name.
    name: Span,
    /// Where the parameters begin.
    params: usize,
    branch: Span,
}

impl Noted {
    pub(super) fn of(via: &Via<'_>, source: SocketAddr) -> Self {
        let asks_for_port = via.present().rport();
        let mut text = String::with_capacity(via.params.as_str().len() + ROOM_BEFORE_AND_BEHIND);
        text.push_str("SIP/2.0/");
        let transport = push(via.transport, &mut text);
        text.push(' ');
        let name = match via.sent_by.host {
            Host::Name(name) => Span::new(text.len(), text.len() + name.len()),
            Host::V4(_) | Host::V6(_) => Span::NONE,
        };
        via.sent_by.push_to(&mut text);
        let params = text.len();
        let mut branch = Span::NONE;
        for (name, value) in via.params.iter() {
            if name.eq_ignore_ascii_case("received") || name.eq_ignore_ascii_case("rport") {
                continue;
            }
            text.push(';');
            text.push_str(name);
            if let Some(value) = value {
                text.push('=');
                let span = push(value, &mut text);
                if via.branch().is_some_and(|branch| std::ptr::eq(branch, value)) {
                    branch = span;
                }
            }
        }
        // RFC 3581 §4: with rport, received is given even where the host is right.
        text.push_str(";received=");
        match Host::from(source.ip()) {
            // In Via without brackets: `via-received` of RFC 3261 §25.1 is an `IPv6address`.
            Host::V6(address) => text.push_str(&address.to_string()),
            address => address.push_to(&mut text),
        }
        if asks_for_port {
            text.push_str(";rport=");
            lex::push_decimal(&mut text, source.port().into());
        }
        Self { text, transport, name, params, branch }
    }
}

/// Room for all but the parameters: protocol, a host of usual length, the address and port that are added, in octets.
const ROOM_BEFORE_AND_BEHIND: usize = 128;

fn push(piece: &str, text: &mut String) -> Span {
    let start = text.len();
    text.push_str(piece);
    Span::new(start, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(via: &str) -> Message {
        let text = format!(
            "MESSAGE sip:b@x SIP/2.0\r\nVia: {via}\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:b@x>\r\nCall-ID: i\r\n\
             CSeq: 7 MESSAGE\r\n\r\n"
        );
        Message::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn received_and_rport_take_the_place_of_those_that_were_there() {
        for (via, source, expected) in [
            ("SIP/2.0/UDP a;branch=z9hG4bK1", "192.0.2.1:9", "SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.1"),
            ("SIP/2.0/TCP a:5062;rport;branch=z", "[::1]:9", "SIP/2.0/TCP a:5062;branch=z;received=::1;rport=9"),
            (
                "SIP / 2.0/UDP  1.2.3.4 ; Received=x;Branch = y;RPORT=1;branch=z",
                "192.0.2.1:9",
                "SIP/2.0/UDP 1.2.3.4;Branch=y;branch=z;received=192.0.2.1;rport=9",
            ),
            ("SIP/2.0/UDP [2001:DB8::1], SIP/2.0/UDP b", "192.0.2.1:9", "SIP/2.0/UDP [2001:db8::1];received=192.0.2.1"),
        ] {
            let mut message = request(via);
            message.set_received(source.parse().unwrap()).unwrap();
            assert_eq!(message.items(HeaderName::Via).next(), Some(expected));
            assert_eq!(message.items(HeaderName::Via).count(), via.split(", ").count());
        }
    }

    #[test]
    fn what_is_known_of_the_via_is_what_stands_there() {
        for via in [
            "SIP/2.0/UDP a.b;rport;x=\"y\";branch=z9hG4bK1;maddr=c, SIP/2.0/UDP b",
            "SIP/2.0/UDP [::1]:5;branch",
            "SIP/2.0/UDP 1.2.3.4",
        ] {
            let mut message = request(via);
            message.set_received("192.0.2.1:9".parse().unwrap()).unwrap();
            assert!(message.looks.top_via.is_some());
            assert_eq!(message.top_via(), message.header().unwrap(), "{via}");
        }
    }
}
