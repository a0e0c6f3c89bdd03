//! Via (RFC 3261 §20.42), with `rport` (RFC 3581) and IPv6 as RFC 5118 reads it.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use super::{Header, HeaderError, HeaderName};
use crate::lex::{self, Params};
use crate::uri::HostPort;

/// What every branch starts with whose sender keeps to RFC 3261 (§8.1.1.7).
const MAGIC_COOKIE: &str = "z9hG4bK";

/// One hop: how the message was sent there and where its responses go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// As written, such as `UDP`; compare without regard to case.
    pub transport: &'a str,
    pub sent_by: HostPort<'a>,
    pub params: Params<'a>,
    known: KnownParams<'a>,
}

/// What reading the parameters has shown, so that nobody goes through them again for what is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownParams<'a> {
    pub(crate) branch: Option<&'a str>,
    pub(crate) present: Present,
}

/// Which parameters there are, with or without a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Present {
    branch: bool,
    received: bool,
    rport: bool,
    maddr: bool,
}

impl Present {
    pub(crate) fn rport(self) -> bool {
        self.rport
    }

    pub(crate) fn with_received(self) -> Self {
        Self { received: true, ..self }
    }
}

impl<'a> Via<'a> {
    pub(crate) fn new(transport: &'a str, sent_by: HostPort<'a>, params: Params<'a>, known: KnownParams<'a>) -> Self {
        Self { transport, sent_by, params, known }
    }

    pub(crate) fn present(&self) -> Present {
        self.known.present
    }

    pub fn branch(&self) -> Option<&'a str> {
        self.known.branch
    }

    /// Whether the branch starts with the magic cookie, so that it alone identifies the transaction (§17.2.3). Where nothing
    /// follows (RFC 4475 §3.2.1) it identifies none.
    pub fn has_magic_cookie(&self) -> bool {
        self.branch().is_some_and(is_magic)
    }

    /// The `received` address. RFC 5118 §4.5: an IPv6 address may stand in brackets or without them.
    pub fn received(&self) -> Option<IpAddr> {
        address(self.value(self.known.present.received, "received")?)
    }

    /// `Some(None)` as a client asks for it, `Some(Some(port))` as a server fills it in (RFC 3581 §3 and §4).
    pub fn rport(&self) -> Option<Option<u16>> {
        if !self.known.present.rport {
            return None;
        }
        let value = self.params.value("rport");
        Some(value.and_then(lex::decimal).and_then(|port| u16::try_from(port).ok()))
    }

    /// The `maddr` host, as written.
    pub fn maddr(&self) -> Option<&'a str> {
        self.value(self.known.present.maddr, "maddr")
    }

    fn value(&self, is_present: bool, name: &str) -> Option<&'a str> {
        if is_present { self.params.value(name) } else { None }
    }

    pub fn ttl(&self) -> Option<u8> {
        self.params.value("ttl").and_then(lex::decimal).and_then(|ttl| u8::try_from(ttl).ok())
    }
}

/// Whether a branch starts with the magic cookie, and goes on.
pub(crate) fn is_magic(branch: &str) -> bool {
    let parts = branch.split_at_checked(MAGIC_COOKIE.len());
    parts.is_some_and(|(start, rest)| start.eq_ignore_ascii_case(MAGIC_COOKIE) && !rest.is_empty())
}

fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok()
}

impl<'a> Header<'a> for Via<'a> {
    const NAME: HeaderName = HeaderName::Via;

    /// `SIP/2.0/UDP host:port;params`; white space may stand around the slashes.
    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let bad = |problem| HeaderError::new(Self::NAME, problem);
        let value = lex::trim(value);
        let rest = match value.strip_prefix("SIP/2.0/") {
            Some(rest) => rest,
            None => after_protocol(value).ok_or_else(|| bad("the protocol is not SIP/2.0"))?,
        };
        let (transport, rest) = lex::split_token(lex::trim_start(rest)).ok_or_else(|| bad("no transport"))?;
        let sent_by = lex::trim_start(rest);
        if sent_by.len() == rest.len() {
            return Err(bad("no sent-by behind the transport"));
        }
        let semicolon = lex::find(sent_by, b';').unwrap_or(sent_by.len());
        let (sent_by, params) = sent_by.split_at(semicolon);
        let sent_by = HostPort::parse(sent_by).map_err(|_| bad("the sent-by is no host and port"))?;
        let params = Params::new(params);
        let mut known = KnownParams::default();
        if !params.each_valid(|name, value| known.note(name, value, params)) {
            return Err(bad("broken parameters"));
        }
        Ok(Self { transport, sent_by, params, known })
    }
}

impl<'a> KnownParams<'a> {
    /// Of several of one name the first counts.
    fn note(&mut self, name: &[u8], value: Option<Range<usize>>, params: Params<'a>) {
        let is = |known: &[u8]| lex::is_same_name(name, known);
        let present = &mut self.present;
        match name.len() {
            6 if is(b"branch") => {
                if !present.branch {
                    self.branch = value.and_then(|value| params.as_str().get(value));
                }
                present.branch = true;
            }
            5 => {
                present.rport |= is(b"rport");
                present.maddr |= is(b"maddr");
            }
            8 => present.received |= is(b"received"),
            _ => {}
        }
    }
}

/// What follows `SIP / 2.0 /` when white space or lower case is in it.
fn after_protocol(text: &str) -> Option<&str> {
    let mut rest = text;
    for expected in ["sip", "2.0"] {
        let (token, behind) = lex::split_token(lex::trim_start(rest))?;
        if !token.eq_ignore_ascii_case(expected) {
            return None;
        }
        rest = lex::trim_start(behind).strip_prefix('/')?;
    }
    Some(rest)
}

impl fmt::Display for Via<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}{}", self.transport, self.sent_by, self.params.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_of_a_via_are_found() {
        let via = Via::parse(
            "SIP/2.0/UDP pc33.example.com:5066;branch=z9hG4bK1;rport;received=192.0.2.1;ttl=16;maddr=224.2.0.1",
        )
        .unwrap();
        assert_eq!((via.transport, via.sent_by.port), ("UDP", Some(5066)));
        assert_eq!((via.branch(), via.has_magic_cookie()), (Some("z9hG4bK1"), true));
        assert_eq!((via.rport(), via.received()), (Some(None), "192.0.2.1".parse().ok()));
        assert_eq!((via.ttl(), via.maddr()), (Some(16), Some("224.2.0.1")));
        assert_eq!(Via::parse(&via.to_string()), Ok(via));
    }

    #[test]
    fn white_space_may_stand_between_all_parts() {
        // RFC 4475 §3.1.1.1
        let via =
            Via::parse("SIP  / 2.0\r\n / TCP     spindle.example.com : 5060  ;\r\n branch  =   z9hG4bK9ikj8").unwrap();
        assert_eq!((via.transport, via.sent_by.port, via.branch()), ("TCP", Some(5060), Some("z9hG4bK9ikj8")));
    }

    #[test]
    fn received_may_be_ipv6_with_and_without_brackets() {
        // RFC 5118 §4.5
        for text in ["SIP/2.0/UDP [::1];received=[2001:db8::9:255]", "SIP/2.0/UDP [::1];received=2001:db8::9:255"] {
            assert_eq!(Via::parse(text).unwrap().received(), "2001:db8::9:255".parse().ok());
        }
    }

    #[test]
    fn broken_vias_are_refused() {
        for text in [
            "",
            "SIP/2.0",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/1.0/UDP a",
            "HTTP/2.0/UDP a",
            "SIP/2.0/UDPa:5060",
            "SIP/2.0/UDP a:b",
            "SIP/2.0/UDP a;;branch=1",
            "SIP/2.0/UDP 192.0.2.15;;",
        ] {
            assert!(Via::parse(text).is_err(), "{text}");
        }
    }
}
