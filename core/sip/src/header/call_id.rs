//! Call-ID: what all messages of a call, or all registrations of a device, have in common (RFC 3261 §20.8).

use super::shapes::print_inner;
use super::{Header, HeaderError, HeaderName};
use crate::lex;

/// Compared byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId<'a>(pub &'a str);

impl<'a> Header<'a> for CallId<'a> {
    const NAME: HeaderName = HeaderName::CallId;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        call_id(Self::NAME, value).map(Self)
    }
}

print_inner!(CallId<'_>);

/// `word [ "@" word ]`. Which octets make a word is not looked at, as long as none is white space.
pub(super) fn call_id(name: HeaderName, value: &str) -> Result<&str, HeaderError> {
    let value = lex::trim(value);
    if value.is_empty() || value.bytes().any(|byte| lex::is_space(byte) || byte.is_ascii_control()) {
        return Err(HeaderError::new(name, "empty, or white space in it"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_phones_send_is_read() {
        for text in ["a84b4c76e66710@pc33.example.com", "f81d4fae-7dec-11d0", "<a>{b}@[::1]", "a@b@c"] {
            assert_eq!(CallId::parse(text), Ok(CallId(text)));
        }
        for text in ["", "a b", "a\r\n b"] {
            assert!(CallId::parse(text).is_err(), "{text}");
        }
    }
}
