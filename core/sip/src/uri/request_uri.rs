//! What of a URI may stand in a Request-URI.

use std::borrow::Cow;

use super::Uri;

impl<'a> Uri<'a> {
    /// The URI without what §19.1.1 table 1 forbids in a Request-URI: the method parameter and the headers.
    pub fn as_request_uri(&self) -> Cow<'a, str> {
        if self.headers.is_empty() && self.params.get("method").is_none() {
            return self.raw.into();
        }
        self.with_params(self.before_params(), &["method"]).into()
    }

    /// The URI without its maddr, transport and any other port than 5060, for the server that all of these name (§16.4).
    pub fn without_maddr(&self) -> String {
        let before = self.before_params();
        let port = self.host.as_ref().and_then(|host| host.port).filter(|port| *port != 5060);
        let before = port.and_then(|_| before.rsplit_once(':')).map_or(before, |(host, _)| host);
        self.with_params(before, &["maddr", "transport", "method"])
    }

    fn before_params(&self) -> &'a str {
        let headers = if self.headers.is_empty() { 0 } else { self.headers.len() + 1 };
        let end = self.raw.len().saturating_sub(self.params.as_str().len() + headers);
        self.raw.get(..end).unwrap_or(self.raw)
    }

    fn with_params(&self, before: &str, without: &[&str]) -> String {
        let mut text = String::with_capacity(self.raw.len());
        text.push_str(before);
        for (name, value) in self.params.iter() {
            if without.iter().any(|without| name.eq_ignore_ascii_case(without)) {
                continue;
            }
            text.push(';');
            text.push_str(name);
            if let Some(value) = value {
                text.push('=');
                text.push_str(value);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_request_uri(uri: &str) -> String {
        Uri::parse(uri).unwrap().as_request_uri().into_owned()
    }

    #[test]
    fn method_and_headers_have_no_place_in_a_request_uri() {
        let kept = "sip:a;x=y@example.com:5070;lr;transport=tcp";
        assert_eq!(as_request_uri(kept), kept);
        assert_eq!(as_request_uri("sip:a@example.com?Route=%3Csip:b%3E"), "sip:a@example.com");
        assert_eq!(as_request_uri("sip:a@example.com;Method=INVITE;lr;q=1?a=b"), "sip:a@example.com;lr;q=1");
        assert_eq!(as_request_uri("tel:+1;method=x"), "tel:+1");
    }

    #[test]
    fn what_names_the_server_itself_is_taken_off() {
        let without = |uri| Uri::parse(uri).unwrap().without_maddr();
        assert_eq!(without("sip:a@example.com;maddr=192.0.2.1"), "sip:a@example.com");
        assert_eq!(without("sip:a:b@[2001:db8::1]:5070;x;maddr=[::1];transport=tcp"), "sip:a:b@[2001:db8::1];x");
        assert_eq!(without("sip:example.com:5060;maddr=192.0.2.1"), "sip:example.com:5060");
    }
}
