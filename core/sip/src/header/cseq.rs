//! CSeq: which request of the dialog this is (RFC 3261 §20.16).

use std::fmt;

use super::{Header, HeaderError, HeaderName};
use crate::lex;

/// A number that grows with each new request, and the request's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    pub number: u32,
    /// As written; methods are compared with regard to case.
    pub method: &'a str,
}

impl<'a> Header<'a> for CSeq<'a> {
    const NAME: HeaderName = HeaderName::CSeq;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let bad = |problem| HeaderError::new(Self::NAME, problem);
        let value = lex::trim(value);
        let end = value.bytes().position(lex::is_space).ok_or_else(|| bad("no method behind the number"))?;
        let (number, method) = value.split_at(end);
        // §8.1.1.5 asks senders for less than 2^31; all that fits into 32 bits is understood.
        let number = lex::decimal(number).ok_or_else(|| bad("the sequence number is not a number below 2^32"))?;
        let method = lex::trim(method);
        if lex::is_token(method) { Ok(Self { number, method }) } else { Err(bad("the method is not a token")) }
    }
}

impl fmt::Display for CSeq<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_leading_zeros_and_folds_but_32_bits_at_most() {
        assert_eq!(CSeq::parse("0009\r\n  INVITE"), Ok(CSeq { number: 9, method: "INVITE" }));
        for text in ["", "1", "INVITE", "1INVITE", "4294967296 INVITE", "-1 INVITE", "1 IN VITE", "1 "] {
            assert!(CSeq::parse(text).is_err(), "{text}");
        }
    }
}
