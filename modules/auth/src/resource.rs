//! Whether the `uri` of credentials names the resource of the request (RFC 7616 §3.4.6, RFC 8760 §2.6 item 6).

use std::borrow::Cow;

use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::method::Method;
use signalbox_sip::uri::{Aor, NameAddr, Uri};

/// Whether credentials for `uri` belong to `request`. `is_ours` tells whether a URI has a host of this server.
///
/// Phones write the Request-URI differently: with another scheme, parameters or port, or with another name or address
/// of this server. So only user and host are compared; for a REGISTER, which is about a domain, only the host. Some
/// phones name this server without a user, because they send every request to it. If a proxy on the way may have
/// changed the Request-URI, the address in To is accepted too.
pub(crate) fn is_of(uri: &str, request: &Message, is_ours: &dyn Fn(&str) -> bool) -> bool {
    let target = request.request_uri();
    if uri == target {
        return true;
    }
    let (Some(named), Some(wanted)) = (Resource::read(uri), Resource::read(target)) else { return false };
    if named.is_same_number(&wanted) {
        return true;
    }
    let names_us = |resource: &Resource<'_>| is_ours(&resource.text) || is_ours(resource.address.as_str());
    if named.address.user().is_none() && names_us(&named) {
        return true;
    }
    let same_host = || named.host() == wanted.host() || names_us(&named) && names_us(&wanted);
    let same_user = *request.method() == Method::Register || named.address.user() == wanted.address.user();
    same_user && same_host() || is_forwarded(request) && to(request).is_some_and(|to| to == named.address)
}

/// A URI, reduced to the parts that identify a resource.
struct Resource<'a> {
    text: Cow<'a, str>,
    /// Without port.
    address: Aor,
    /// If it is a telephone's.
    number: Option<Aor>,
}

impl<'a> Resource<'a> {
    fn read(text: &'a str) -> Option<Self> {
        // Some phones leave out the scheme.
        let text = if Uri::parse(text).is_ok() { Cow::Borrowed(text) } else { ["sip:", text].concat().into() };
        let uri = Uri::parse(&text).ok()?;
        let (address, number) = (Aor::of(&uri)?.without_port(), Aor::of_telephone(&uri));
        Some(Self { text, address, number })
    }

    fn host(&self) -> &str {
        self.address.host()
    }

    fn is_same_number(&self, other: &Resource<'_>) -> bool {
        let number = |of: &Resource<'_>| of.number.clone().or_else(|| of.host().is_empty().then(|| of.address.clone()));
        number(self).is_some_and(|number_of_self| Some(number_of_self) == number(other))
            && (self.host().is_empty() || other.host().is_empty() || self.host() == other.host())
    }
}

/// Whether another proxy has had the request before.
fn is_forwarded(request: &Message) -> bool {
    request.items(HeaderName::Via).nth(1).is_some()
}

fn to(request: &Message) -> Option<Aor> {
    let to = NameAddr::parse(request.value(HeaderName::To)?).ok()?;
    Some(Aor::of(&to.uri().ok()?)?.without_port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ours(uri: &str) -> bool {
        ["example.com", "192.0.2.10"].iter().any(|own| uri.contains(own))
    }

    fn request(method: Method, uri: &str) -> Message {
        let mut request = Message::request(&method, uri);
        request.push(HeaderName::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1");
        request.push(HeaderName::To, "<sip:bob@example.com>");
        request
    }

    #[test]
    fn a_registration_may_name_the_server_in_any_way() {
        let register = request(Method::Register, "sip:example.com");
        for uri in [
            "sip:example.com",
            "SIPS:Example.COM.:5061;transport=tls",
            "sip:192.0.2.10:5070",
            "sip:alice@example.com",
            "example.com",
        ] {
            assert!(is_of(uri, &register, &is_ours), "{uri}");
        }
        for uri in ["sip:other.example", "", "/index.html", "*", "urn:x", "sip:example.com.other.example\u{e9}"] {
            assert!(!is_of(uri, &register, &is_ours), "{uri}");
        }
    }

    #[test]
    fn a_request_for_a_user_names_that_user() {
        let message = request(Method::Message, "sip:bob@example.com;transport=udp");
        for uri in [
            "sip:bob@example.com",
            "sips:%62ob@EXAMPLE.com:5061",
            "sip:bob@192.0.2.10",
            "im:bob@example.com",
            "sip:192.0.2.10:5060",
        ] {
            assert!(is_of(uri, &message, &is_ours), "{uri}");
        }
        for uri in ["sip:carol@example.com", "sip:other.example", "sip:bob@other.example", "sip:Bob@example.com"] {
            assert!(!is_of(uri, &message, &is_ours), "{uri}");
        }
        let abroad = request(Method::Message, "sip:bob@other.example:5070");
        assert!(is_of("sip:bob@other.example", &abroad, &is_ours));
        assert!(!is_of("sip:bob@example.com", &abroad, &is_ours));
    }

    #[test]
    fn a_proxy_on_the_way_may_have_changed_the_request_uri() {
        let mut message = request(Method::Message, "sip:robert@example.com");
        assert!(!is_of("sip:bob@example.com", &message, &is_ours));
        message.push(HeaderName::Via, "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK2");
        assert!(is_of("sip:bob@example.com", &message, &is_ours));
        assert!(!is_of("sip:carol@example.com", &message, &is_ours));
    }

    #[test]
    fn a_telephone_number_is_the_same_in_both_schemes() {
        let call = request(Method::Invite, "sip:+1-201@example.com;user=phone");
        assert!(is_of("tel:+1201", &call, &is_ours));
        assert!(!is_of("tel:+1202", &call, &is_ours));
        let call = request(Method::Invite, "tel:+1201");
        assert!(is_of("sip:+1201@example.com;user=phone", &call, &is_ours));
        assert!(!is_of("sip:+1201@example.com", &call, &is_ours));
    }
}
