//! `hostport` (RFC 3261 §25.1), with IPv6 literals as RFC 5118 reads them.

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
        let bytes = text.as_bytes();
        match bytes.first() {
            Some(b'[') => {
                let inner = text[1..].strip_suffix(']').ok_or(UriError::Host)?;
                return parse_v6(inner).map(Self::V6).ok_or(UriError::Host);
            }
            Some(b'0'..=b'9') => {
                if let Some(address) = parse_v4(bytes) {
                    return Ok(Self::V4(address));
                }
            }
            _ => {}
        }
        let empty_label = matches!(bytes, [] | [b'.', ..]) || bytes.ends_with(b"..");
        if empty_label || !lex::all(text, lex::HOST) {
            return Err(UriError::Host);
        }
        Ok(Self::Name(text))
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
    let mut parts = text.split(|&byte| byte == b'.');
    for octet in &mut octets {
        let digits = parts.next().filter(|digits| matches!(digits, [_] | [b'1'..=b'9', _] | [b'1'..=b'9', _, _]))?;
        let number = digits
            .iter()
            .try_fold(0u16, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u16::from(digit - b'0')));
        *octet = u8::try_from(number?).ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
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
                    lex::push_decimal(out, octet.into());
                }
            }
            Self::V6(address) => out.push_str(&format!("[{address}]")),
        }
    }
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
        let text = lex::trim(text);
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
