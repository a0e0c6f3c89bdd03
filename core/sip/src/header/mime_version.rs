//! MIME-Version (RFC 3261 §20.24).

use std::fmt;

use super::{Header, HeaderError, HeaderName};
use crate::lex;

/// `1.0` in all messages there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MimeVersion {
    pub major: u32,
    pub minor: u32,
}

impl<'a> Header<'a> for MimeVersion {
    const NAME: HeaderName = HeaderName::MimeVersion;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        lex::trim(value)
            .split_once('.')
            .and_then(|(major, minor)| Some(Self { major: lex::decimal(major)?, minor: lex::decimal(minor)? }))
            .ok_or_else(|| HeaderError::new(Self::NAME, "not two numbers with a point between"))
    }
}

impl fmt::Display for MimeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_are_read() {
        assert_eq!(MimeVersion::parse("1.0"), Ok(MimeVersion { major: 1, minor: 0 }));
        for text in ["", "1", "1.", "1.x", "1.0.0"] {
            assert!(MimeVersion::parse(text).is_err(), "{text}");
        }
    }
}
