//! `hostport` (RFC 3261 §25.1), with IPv6 literals as RFC 5118 reads them.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::UriError;
use crate::lex;

/// A domain name or address. Names compare without regard to case.
#[derive(Clone, Copy, Debug)]
pub enum Host<'a> {
    Name(&'a str),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// A name, an IPv4 address, or an IPv6 address in square brackets.
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        if let Some(bracketed) = text.strip_prefix('[') {
            let inner = bracketed.strip_suffix(']').ok_or(UriError::Host)?;
            return parse_v6(inner).map(Self::V6).ok_or(UriError::Host);
        }
        if lex::all(text, lex::HOST) { Self::of_host_octets(text) } else { Err(UriError::Host) }
    }

    /// A name or IPv4 address in a text of nothing but octets that hosts consist of.
    fn of_host_octets(text: &'a str) -> Result<Self, UriError> {
        match text.as_bytes() {
            [] | [b'.', ..] | [.., b'.', b'.'] => Err(UriError::Host),
            bytes @ [b'0'..=b'9', ..] => {
                // An address with a trailing dot is the same address.
                let address = bytes.strip_suffix(b".").unwrap_or(bytes);
                Ok(parse_v4(address).map_or(Self::Name(text), Self::V4))
            }
            _ => Ok(Self::Name(text)),
        }
    }

    /// Appends the one form of all spellings of this host: names in lower case without the final dot, addresses as
    /// numbers, an IPv4 address even where it is written as an IPv6 one (RFC 4291 §2.5.5.2).
    pub fn push_canonical(&self, out: &mut String) {
        match self {
            Self::Name(name) => {
                let start = out.len();
                out.push_str(without_root(name));
                out[start..].make_ascii_lowercase();
            }
            Self::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => Self::V4(address).push_to(out),
                None => self.push_to(out),
            },
            Self::V4(_) => self.push_to(out),
        }
    }

    /// The address, where the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        match *self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(address)),
            Self::V6(address) => Some(IpAddr::V6(address)),
        }
    }
}

/// Four decimal numbers below 256, without zeroes in front. Most hosts in messages are of this kind, and this takes a
/// fraction of what the general parser of addresses does.
fn parse_v4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut rest = text.iter().copied().peekable();
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            rest.next_if_eq(&b'.')?;
        }
        let mut number = u16::from(digit(rest.next()?)?);
        let leading_zero = number == 0;
        for _ in 0..2 {
            let Some(next) = rest.peek().and_then(|&byte| digit(byte)).filter(|_| !leading_zero) else { break };
            number = number * 10 + u16::from(next);
            rest.next();
        }
        *octet = u8::try_from(number).ok()?;
    }
    rest.next().is_none().then(|| Ipv4Addr::from(octets))
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

/// An IPv6 address without brackets. RFC 5118 §4.10: RFC 3261's grammar asks for a third colon between `::` and an IPv4
/// address, so some senders write one.
fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| {
        let (front, v4) = text.split_once(":::")?;
        let _: Ipv4Addr = v4.parse().ok()?;
        [front, "::", v4].concat().parse().ok()
    })
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            // A trailing dot makes a name absolute; it names the same host.
            (Self::Name(a), Self::Name(b)) => without_root(a).eq_ignore_ascii_case(without_root(b)),
            (Self::V4(a), Self::V4(b)) => a == b,
            (Self::V6(a), Self::V6(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Host<'_> {}

/// The canonical form of a domain; see [`Host::push_canonical`]. A text that is not a domain, as a realm may be, is
/// returned unchanged.
pub fn canonical_domain(text: &str) -> Cow<'_, str> {
    // Most are in that form already.
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    if text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(is_plain) && !text.ends_with('.')
    {
        return Cow::Borrowed(text);
    }
    let Ok(host) = Host::parse(text) else { return Cow::Borrowed(text) };
    let mut canonical = String::with_capacity(text.len());
    host.push_canonical(&mut canonical);
    Cow::Owned(canonical)
}

pub(super) fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

impl From<IpAddr> for Host<'_> {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(address),
        }
    }
}

impl Host<'_> {
    /// Appends what [`Display`](fmt::Display) writes, without the formatting machinery where that shows.
    pub fn push_to(&self, out: &mut String) {
        match self {
            Self::Name(name) => out.push_str(name),
            Self::V4(address) => {
                for (at, octet) in address.octets().into_iter().enumerate() {
                    if at > 0 {
                        out.push('.');
                    }
                    push_octet(octet, out);
                }
            }
            Self::V6(address) => out.push_str(&format!("[{address}]")),
        }
    }
}

/// Appends at most three digits, for which the general way takes several times as long.
fn push_octet(octet: u8, out: &mut String) {
    if octet >= 100 {
        out.push(char::from(b'0' + octet / 100));
    }
    if octet >= 10 {
        out.push(char::from(b'0' + octet / 10 % 10));
    }
    out.push(char::from(b'0' + octet % 10));
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// A host and the port, where one is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPort<'a> {
    pub host: Host<'a>,
    pub port: Option<u16>,
}

impl<'a> HostPort<'a> {
    /// `host [ COLON port ]`; white space may stand around the colon, as it may in a Via.
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        let bytes = text.as_bytes();
        // Nearly all are a name or an IPv4 address, and no white space is in them.
        let host_end = lex::skip_short(bytes, 0, lex::HOST);
        match bytes.get(host_end) {
            None => Ok(Self { host: Host::of_host_octets(text)?, port: None }),
            Some(b':') => {
                let host = Host::of_host_octets(&text[..host_end])?;
                Ok(Self { host, port: Some(parse_port(lex::trim(&text[host_end + 1..]))?) })
            }
            Some(_) => Self::parse_any(lex::trim(text)),
        }
    }

    fn parse_any(text: &'a str) -> Result<Self, UriError> {
        let host_end = match text.as_bytes().first() {
            Some(b'[') => lex::find(text, b']').ok_or(UriError::Host)? + 1,
            _ => lex::find(text, b':').unwrap_or(text.len()),
        };
        let host = Host::parse(lex::trim(&text[..host_end]))?;
        let behind = lex::trim_start(&text[host_end..]);
        let port = match behind.strip_prefix(':') {
            None if behind.is_empty() => None,
            None => return Err(UriError::Host),
            Some(port) => Some(parse_port(lex::trim_start(port))?),
        };
        Ok(Self { host, port })
    }
}

fn parse_port(text: &str) -> Result<u16, UriError> {
    lex::decimal(text).and_then(|port| u16::try_from(port).ok()).ok_or(UriError::Port)
}

impl HostPort<'_> {
    /// As [`Host::push_to`].
    pub fn push_to(&self, out: &mut String) {
        self.host.push_to(out);
        if let Some(port) = self.port {
            out.push(':');
            lex::push_decimal(out, port.into());
        }
    }
}

impl fmt::Display for HostPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => write!(f, "{}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        assert_eq!(Host::parse("Example.COM"), Ok(Host::Name("example.com")));
        assert_eq!(Host::parse("example.com."), Ok(Host::Name("example.com")));
        assert_eq!(Host::parse("192.0.2.4"), Ok(Host::V4(Ipv4Addr::new(192, 0, 2, 4))));
        assert_eq!(Host::parse("1.2.3.4.example.com"), Ok(Host::Name("1.2.3.4.example.com")));
        assert_eq!(Host::parse("[2001:DB8::10]").unwrap().to_string(), "[2001:db8::10]");
        for bad in ["", "[::1", "[]", "2001:db8::10", "a b", "[::1]x", "ex@mple", "\u{e9}.com", "[1.2.3.4]", ".", "a.."]
        {
            assert_eq!(Host::parse(bad), Err(UriError::Host), "{bad}");
        }
    }

    #[test]
    fn a_domain_has_one_form_and_other_texts_are_left_alone() {
        for (text, canonical) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com.", "example.com"),
            ("192.0.2.4.", "192.0.2.4"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
            ("[::ffff:192.0.2.4]", "192.0.2.4"),
            ("The Realm", "The Realm"),
            ("", ""),
            ("a..", "a.."),
        ] {
            assert_eq!(canonical_domain(text), canonical, "{text}");
        }
    }

    #[test]
    fn addresses_are_read_as_the_standard_library_reads_them() {
        let numbers =
            ["", "0", "00", "01", "7", "10", "99", "100", "199", "255", "256", "999", "1000", "1a", "-1", "+1"];
        for first in numbers {
            for last in numbers {
                for text in
                    [format!("{first}.0.2.{last}"), format!("1.{first}.{last}"), format!("{first}.1.1.1.{last}")]
                {
                    assert_eq!(parse_v4(text.as_bytes()), text.parse().ok(), "{text}");
                }
            }
        }
    }

    #[test]
    fn ports_are_numbers_below_65536() {
        assert_eq!(HostPort::parse("a : 5060").unwrap().port, Some(5060));
        assert_eq!(HostPort::parse("[::1]:5061").unwrap().to_string(), "[::1]:5061");
        assert_eq!(HostPort::parse("[::1]").unwrap().port, None);
        for bad in ["a:", "a:x", "a:65536", "a:-1", "[::1]:"] {
            assert_eq!(HostPort::parse(bad), Err(UriError::Port), "{bad}");
        }
        // RFC 5118 §4.4: without brackets the port could not be told from the address.
        assert!(HostPort::parse("2001:db8::10:5070").is_err());
    }
}
