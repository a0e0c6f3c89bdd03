//! Contact: where to reach the sender directly, one of a list (RFC 3261 §20.10), with the parameters of RFC 5626 and RFC 5627.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::shapes::{name_addr, seconds};
use super::{Header, HeaderError, HeaderName, qvalue};
use crate::lex::{self, Params};
use crate::uri::NameAddr;

/// A contact address, or `*` in a REGISTER that removes all bindings (§10.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact<'a>(pub NameAddr<'a>);

impl<'a> Contact<'a> {
    /// Whether this is `*`, which no URI is.
    pub fn is_wildcard(&self) -> bool {
        self.0.uri == "*"
    }

    /// How much it is preferred, in thousandths; `None` where it is not said, or not as a number up to 1.
    pub fn q(&self) -> Option<u16> {
        self.0.params.value("q").and_then(qvalue::parse)
    }

    /// How long the binding is to hold. §20.10: "Malformed values SHOULD be treated as equivalent to 3600."
    pub fn expires(&self) -> Option<Duration> {
        let value = self.0.params.get("expires")?;
        Some(seconds(value).unwrap_or(Duration::from_secs(3600)))
    }

    /// `+sip.instance`: which device this is, whatever its address; a URN, without quotes and angle brackets
    /// (RFC 5626 §4.1).
    pub fn instance(&self) -> Option<Cow<'a, str>> {
        let value = lex::unquote(self.0.params.value("+sip.instance")?);
        let urn = match value {
            Cow::Borrowed(text) => Cow::Borrowed(without_brackets(text)),
            Cow::Owned(text) => Cow::Owned(without_brackets(&text).to_owned()),
        };
        Some(urn).filter(|urn| !urn.is_empty())
    }

    /// `reg-id`: which of the device's flows this is, from 1 (RFC 5626 §4.2).
    pub fn reg_id(&self) -> Option<u32> {
        self.0.params.value("reg-id").and_then(lex::decimal).filter(|number| *number > 0)
    }

    /// `pub-gruu`, in a REGISTER's response (RFC 5627 §5.3).
    pub fn pub_gruu(&self) -> Option<Cow<'a, str>> {
        self.0.params.value("pub-gruu").map(lex::unquote)
    }

    /// `temp-gruu`, in a REGISTER's response (RFC 5627 §5.3).
    pub fn temp_gruu(&self) -> Option<Cow<'a, str>> {
        self.0.params.value("temp-gruu").map(lex::unquote)
    }

    /// Whether the URI has `ob`: requests of the dialog go over the flow they came by (RFC 5626 §4.3).
    pub fn is_outbound(&self) -> bool {
        self.0.uri().is_ok_and(|uri| uri.params.flag("ob"))
    }

    /// Whether the URI is a GRUU: it has `gr` (RFC 5627 §3.1).
    pub fn is_gruu(&self) -> bool {
        self.0.uri().is_ok_and(|uri| uri.params.flag("gr"))
    }
}

fn without_brackets(text: &str) -> &str {
    let text = lex::trim(text);
    text.strip_prefix('<').and_then(|inner| inner.strip_suffix('>')).unwrap_or(text)
}

impl<'a> Header<'a> for Contact<'a> {
    const NAME: HeaderName = HeaderName::Contact;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let value = lex::trim(value);
        if let Some(behind) = value.strip_prefix('*') {
            // The grammar has no parameters here. A list in which `*` stands beside others is the registrar's to refuse.
            return if lex::trim(behind).is_empty() {
                Ok(Self(NameAddr { display: None, uri: "*", params: Params::default() }))
            } else {
                Err(HeaderError::new(Self::NAME, "something follows the *"))
            };
        }
        let address = name_addr(Self::NAME, value)?;
        // §25.1: `*` is written without angle brackets. In brackets it would have to be a URI, which it is not.
        if address.uri == "*" { Err(HeaderError::new(Self::NAME, "a * in angle brackets")) } else { Ok(Self(address)) }
    }
}

impl fmt::Display for Contact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_wildcard() { f.write_str("*") } else { self.0.fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_of_outbound_has_its_parameters() {
        let contact = Contact::parse(
            "<sip:line1@192.0.2.2;transport=tcp;ob>; reg-id=1;\r\n \
             +sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";q=0.7;expires=600",
        )
        .unwrap();
        assert_eq!(contact.instance().unwrap(), "urn:uuid:00000000-0000-1000-8000-000A95A0E128");
        assert_eq!((contact.reg_id(), contact.q()), (Some(1), Some(700)));
        assert_eq!(contact.expires(), Some(Duration::from_secs(600)));
        assert!(contact.is_outbound() && !contact.is_gruu() && !contact.is_wildcard());
    }

    #[test]
    fn a_contact_with_gruus_has_them_unquoted() {
        let contact = Contact::parse(
            "<sip:callee@192.0.2.1;gr=x>;pub-gruu=\"sip:callee@example.com;gr=urn:uuid:1\";\
             temp-gruu=\"sip:tgruu.7hs@example.com;gr\"",
        )
        .unwrap();
        assert_eq!(contact.pub_gruu().unwrap(), "sip:callee@example.com;gr=urn:uuid:1");
        assert_eq!(contact.temp_gruu().unwrap(), "sip:tgruu.7hs@example.com;gr");
        assert!(contact.is_gruu());
    }

    #[test]
    fn a_star_stands_alone() {
        let contact = Contact::parse(" * ").unwrap();
        assert!(contact.is_wildcard());
        assert_eq!(contact.to_string(), "*");
        assert!(Contact::parse("*;expires=0").is_err());
        for text in ["<*>", "< * >", "<*>;expires=0", "\"all\" <*>", "* ;q=1", "**", "*x"] {
            assert!(Contact::parse(text).is_err(), "{text}");
        }
        assert!(!Contact::parse("<sip:*@example.com>").unwrap().is_wildcard());
    }

    #[test]
    fn malformed_expires_count_as_an_hour() {
        for value in ["x", "-1", "99999999999", "\"5\""] {
            let text = format!("<sip:a@b>;expires={value}");
            assert_eq!(Contact::parse(&text).unwrap().expires(), Some(Duration::from_secs(3600)), "{value}");
        }
        assert_eq!(Contact::parse("<sip:a@b>").unwrap().expires(), None);
        assert_eq!(Contact::parse("<sip:a@b>;q=7").unwrap().q(), None);
    }
}
