//! Addresses of record, in the one form under which bindings and presentities are kept.

use std::fmt;
use std::sync::Arc;

use super::escape::{escape_user, octets};
use super::{Scheme, Uri};

/// An address of record in canonical form (RFC 3261 §10.3 step 5): `sip:user@host`, or `tel:number`.
///
/// Parameters, headers and password are gone, escapes are resolved where they can be, the host is in lower
/// case, a port stands only where it is neither default. `sips:` becomes `sip:` (§19.1: the same
/// resource, reached securely), and so do `pres:` and `im:` (RFC 3856 §5, RFC 3428 §5).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Aor(Arc<str>);

/// Of `sip:` and `sips:`, which are the same here (§19.1.2).
const DEFAULT_PORTS: [u16; 2] = [5060, 5061];

impl Aor {
    /// `None` where the URI has neither host nor number, such as `urn:`.
    pub fn of(uri: &Uri<'_>) -> Option<Self> {
        let mut text = String::with_capacity(uri.raw.len() + 4);
        if uri.scheme == Scheme::Tel {
            text.push_str("tel:");
            push_number(uri.user?, &mut text);
            return (text != "tel:").then(|| Self(text.into()));
        }
        let host = uri.host?;
        text.push_str("sip:");
        if let Some(user) = uri.user {
            if user.bytes().any(|byte| byte == b'%' || !byte.is_ascii()) {
                let octets: Vec<u8> = octets(user).map(|octet| octet.byte).collect();
                escape_user(&octets, &mut text);
            } else {
                escape_user(user.as_bytes(), &mut text);
            }
            text.push('@');
        }
        host.host.push_canonical(&mut text);
        if let Some(port) = host.port.filter(|port| !DEFAULT_PORTS.contains(port)) {
            text.push(':');
            text.push_str(&port.to_string());
        }
        Some(Self(text.into()))
    }

    /// The address of record without its port: a domain has the same users whatever port a sender writes.
    pub fn without_port(&self) -> Self {
        let at = self.0.rfind('@').map_or(0, |at| at + 1);
        // An IPv6 address in brackets contains colons.
        let port = self.0[at..].rfind(':').filter(|_| self.0.starts_with("sip:")).map(|colon| at + colon);
        match port.filter(|&port| port > "sip".len() && !self.0.ends_with(']')) {
            Some(port) => Self(self.0[..port].into()),
            None => self.clone(),
        }
    }

    /// The number that a `sip:` URI of a telephone stands for (`user=phone`, §19.1.6), as `tel:`; `None` for all others.
    pub fn of_telephone(uri: &Uri<'_>) -> Option<Self> {
        let is_phone = uri.is_sip() && uri.params.value("user").is_some_and(|user| user.eq_ignore_ascii_case("phone"));
        let subscriber = uri.user.filter(|_| is_phone)?;
        let number = subscriber.split(';').next().unwrap_or_default();
        let mut text = String::from("tel:");
        push_number(number, &mut text);
        (text != "tel:").then(|| Self(text.into()))
    }

    /// Reads a URI in text form; `None` where it is none or has no address of record.
    pub fn parse(text: &str) -> Option<Self> {
        match Self::is_canonical(text) {
            true => Some(Self(text.into())),
            false => Self::of(&Uri::parse(text).ok()?),
        }
    }

    /// Whether a URI is already in canonical form. Most are. For some that are, this returns false.
    pub fn is_canonical(uri: &str) -> bool {
        let Some(address) = uri.as_bytes().strip_prefix(b"sip:") else { return false };
        let Some(at) = memchr::memchr(b'@', address).filter(|at| *at > 0) else { return false };
        let (user, host) = address.split_at(at);
        user.iter().all(|byte| PLAIN[usize::from(*byte)]) && is_plain_domain(&host[1..])
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The user as it stands in the canonical form, escapes and all; `None` where there is only a host. For
    /// `tel:` the number.
    pub fn user(&self) -> Option<&str> {
        match self.0.strip_prefix("sip:") {
            Some(address) => address.rsplit_once('@').map(|(user, _)| user),
            None => self.0.strip_prefix("tel:"),
        }
    }

    /// The host in lower case, with the port where it is no default. Empty for `tel:`.
    pub fn host(&self) -> &str {
        match self.0.strip_prefix("sip:") {
            Some(address) => address.rsplit_once('@').map_or(address, |(_, host)| host),
            None => "",
        }
    }
}

/// The most frequent octets that are not escaped in the user part of a canonical form.
const PLAIN: [bool; 256] = {
    let (mut plain, mut byte) = ([false; 256], 0_u8);
    loop {
        plain[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if byte == u8::MAX {
            break plain;
        }
        byte += 1;
    }
};

/// Whether this is a domain name in lower case whose last label begins and ends with a letter, so that it is no address.
fn is_plain_domain(host: &[u8]) -> bool {
    let (mut before, mut label) = (b'.', b'.');
    for &byte in host {
        let fits = match byte {
            b'a'..=b'z' | b'0'..=b'9' => true,
            b'-' | b'.' => before.is_ascii_alphanumeric(),
            _ => false,
        };
        if !fits {
            return false;
        }
        if before == b'.' {
            label = byte;
        }
        before = byte;
    }
    before.is_ascii_lowercase() && label.is_ascii_lowercase()
}

/// Appends a number without its visual separators, which are ignored (RFC 3966 §5).
fn push_number(number: &str, text: &mut String) {
    let mut digits = Vec::with_capacity(number.len());
    digits.extend(octets(number).map(|octet| octet.byte.to_ascii_lowercase()));
    digits.retain(|byte| !matches!(byte, b'-' | b'.' | b'(' | b')'));
    escape_user(&digits, text);
}

impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aor({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_that_is_canonical_stays_as_it_is(
            text in "(sip|sips|SIP|pres):([a-zA-Z0-9._%:;~-]{0,5}@)?[a-zA-Z0-9.-]{1,7}(:50[67]0|;x=1|\\?a=b|@b)?"
        ) {
            if Aor::is_canonical(&text) {
                let read = Aor::of(&Uri::parse(&text).expect("a canonical URI is one"));
                prop_assert_eq!(read.as_ref().map(Aor::as_str), Some(text.as_str()));
            }
        }

        #[test]
        fn plain_addresses_count_as_canonical(text in "sip:[a-zA-Z0-9._-]{1,5}@([a-z0-9]{1,4}[.]){0,2}[a-z]{2,4}") {
            prop_assert!(Aor::is_canonical(&text));
        }
    }

    #[test]
    fn addresses_of_record_have_one_form() {
        for (text, canonical) in [
            ("sip:alice@Example.COM;transport=tcp?x=y", "sip:alice@example.com"),
            ("SIPS:%61lice:secret@example.com:5061", "sip:alice@example.com"),
            ("sip:alice@example.com.:5060", "sip:alice@example.com"),
            ("sip:alice@example.com:5070", "sip:alice@example.com:5070"),
            ("sip:Alice@example.com", "sip:Alice@example.com"),
            ("pres:j%40s@example.com", "sip:j%40s@example.com"),
            ("im:alice@[2001:DB8:0::1]", "sip:alice@[2001:db8::1]"),
            ("sip:example.com", "sip:example.com"),
            ("sip:j\u{f6}rg@a", "sip:j%C3%B6rg@a"),
            ("sip:caf\u{10ffe9}@a", "sip:caf%E9@a"),
            ("sip:caf%e9@a", "sip:caf%E9@a"),
            ("tel:+1-(201)-555;x=y", "tel:+1201555"),
            ("tel:%2B1-20%31", "tel:+1201"),
            ("sip:alice@192.0.2.1.", "sip:alice@192.0.2.1"),
            ("sip:alice@[::FFFF:192.0.2.1]:5061", "sip:alice@192.0.2.1"),
        ] {
            assert_eq!(Aor::parse(text).unwrap().as_str(), canonical, "{text}");
        }
        assert_eq!(Aor::parse("urn:service:sos"), None);
    }

    #[test]
    fn an_address_is_known_without_its_port() {
        for (text, without) in [
            ("sip:alice@example.com:5070", "sip:alice@example.com"),
            ("sip:alice@[2001:db8::1]:5070", "sip:alice@[2001:db8::1]"),
            ("sip:alice@[2001:db8::1]", "sip:alice@[2001:db8::1]"),
            ("sip:example.com:5070", "sip:example.com"),
            ("sip:example.com", "sip:example.com"),
            ("tel:+12", "tel:+12"),
        ] {
            assert_eq!(Aor::parse(text).unwrap().without_port().as_str(), without, "{text}");
        }
    }

    #[test]
    fn a_sip_uri_of_a_telephone_has_its_number() {
        let number = |text| Aor::of_telephone(&Uri::parse(text).unwrap());
        assert_eq!(number("sip:+1-201;npdi=yes@example.com;user=phone"), Aor::parse("tel:+1201"));
        assert_eq!(number("sip:+1201@example.com"), None);
    }

    #[test]
    fn user_and_host_are_read_from_the_canonical_form() {
        let aor = Aor::parse("sip:a%40b@Example.com:5070").unwrap();
        assert_eq!((aor.user(), aor.host()), (Some("a%40b"), "example.com:5070"));
        let aor = Aor::parse("sip:example.com").unwrap();
        assert_eq!((aor.user(), aor.host()), (None, "example.com"));
        let aor = Aor::parse("tel:+12").unwrap();
        assert_eq!((aor.user(), aor.host()), (Some("+12"), ""));
    }
}
