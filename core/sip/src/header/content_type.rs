//! Content-Type: what the body is (RFC 3261 §20.15).

use std::borrow::Cow;

use super::media_type::MediaType;
use super::shapes::print_inner;
use super::{Header, HeaderError, HeaderName};
use crate::lex;

/// The body's media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentType<'a>(pub MediaType<'a>);

impl<'a> ContentType<'a> {
    /// Whether it is `essence`, such as `application/pidf+xml`, whatever the parameters and the case.
    pub fn is(&self, essence: &str) -> bool {
        self.0.is(essence)
    }

    /// What separates the parts of a multipart body (RFC 2046 §5.1.1).
    pub fn boundary(&self) -> Option<Cow<'a, str>> {
        self.0.params.value("boundary").map(lex::unquote)
    }

    /// The character set, as written.
    pub fn charset(&self) -> Option<Cow<'a, str>> {
        self.0.params.value("charset").map(lex::unquote)
    }
}

impl<'a> Header<'a> for ContentType<'a> {
    const NAME: HeaderName = HeaderName::ContentType;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        MediaType::parse(Self::NAME, value).map(Self)
    }
}

print_inner!(ContentType<'_>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_parameters_are_read() {
        let value = ContentType::parse("Multipart / Mixed ;boundary=\"a b\"; charset=utf-8").unwrap();
        assert!(value.is("multipart/mixed"));
        assert!(!value.is("multipart") && !value.is("multipart/related"));
        assert_eq!((value.boundary().unwrap(), value.charset().unwrap()), ("a b".into(), "utf-8".into()));
    }

    #[test]
    fn half_a_type_is_refused() {
        for text in ["", "text", "text/", "/plain", "text/pl ain", "text/plain;", "text/plain charset=x"] {
            assert!(ContentType::parse(text).is_err(), "{text}");
        }
    }
}
