//! Addresses of record, in the one form under which bindings and presentities are kept.

use std::fmt;
use std::sync::Arc;

use super::escape::{escape_user, octets};
use super::host::without_root;
use super::{Host, Scheme, Uri};

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
            // RFC 3966 §5: visual separators don't count.
            let digits = uri.user?.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')'));
            text.extend(digits.map(|c| c.to_ascii_lowercase()));
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
        push_host(&host.host, &mut text);
        if let Some(port) = host.port.filter(|port| !DEFAULT_PORTS.contains(port)) {
            text.push(':');
            text.push_str(&port.to_string());
        }
        Some(Self(text.into()))
    }

    /// Reads a URI in text form; `None` where it is none or has no address of record.
    pub fn parse(text: &str) -> Option<Self> {
        Self::of(&Uri::parse(text).ok()?)
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

fn push_host(host: &Host<'_>, text: &mut String) {
    match host {
        Host::Name(name) => {
            let start = text.len();
            text.push_str(without_root(name));
            text[start..].make_ascii_lowercase();
        }
        address => address.push_to(text),
    }
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
    use super::*;

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
            ("tel:+1-(201)-555;x=y", "tel:+1201555"),
        ] {
            assert_eq!(Aor::parse(text).unwrap().as_str(), canonical, "{text}");
        }
        assert_eq!(Aor::parse("urn:service:sos"), None);
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
