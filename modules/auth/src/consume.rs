//! `consume_credentials`: RFC 3261 §22.3.

use signalbox::context::Context;
use signalbox::module::{Arguments, Outcome, Value};
use signalbox_sip::digest::Credentials;
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;

use crate::Auth;
use crate::authenticator::is_realm;
use crate::authorize::REALM;

pub(crate) fn consume_credentials(_: &Auth, context: &Context, _: &Arguments) -> Outcome {
    let realm = context.avp().get(REALM).and_then(Value::as_str).map(str::to_owned);
    let Some(realm) = realm else { return Ok(Value::Boolean(false)) };
    let mut request = context.request_mut();
    let taken =
        [HeaderName::Authorization, HeaderName::ProxyAuthorization].map(|header| take(&mut request, header, &realm));
    Ok(Value::Boolean(taken.contains(&true)))
}

/// Removes the credentials for `realm`; those for others go on to whom they are meant for.
fn take(request: &mut Message, header: HeaderName, realm: &str) -> bool {
    let is_ours = |value: &str| Credentials::realm_of(value).is_ok_and(|theirs| is_realm(&theirs, realm));
    let all = request.values(header).count();
    let others: Vec<String> = request.values(header).filter(|value| !is_ours(value)).map(str::to_owned).collect();
    if others.len() == all {
        return false;
    }
    request.remove(header);
    for value in others {
        request.push(header, &value);
    }
    true
}

#[cfg(test)]
mod tests {
    use signalbox_sip::method::Method;

    use super::*;

    #[test]
    fn only_credentials_for_the_realm_are_taken() {
        let mut request = Message::request(&Method::Message, "sip:bob@example.com");
        for realm in ["a", "b", "a"] {
            let value =
                format!("Digest username=\"ann\", realm=\"{realm}\", nonce=\"n\", uri=\"sip:x\", response=\"00\"");
            request.push(HeaderName::ProxyAuthorization, &value);
        }
        assert!(take(&mut request, HeaderName::ProxyAuthorization, "a"));
        assert!(!take(&mut request, HeaderName::ProxyAuthorization, "a"), "nothing is left");
        let left: Vec<_> = request.values(HeaderName::ProxyAuthorization).collect();
        assert!(matches!(left[..], [value] if value.contains("realm=\"b\"")), "{left:?}");
    }
}
