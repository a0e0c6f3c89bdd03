//! Timestamp: the sender's clock, to be sent back (RFC 3261 §20.38, §8.2.6.1).

use std::fmt;

use super::{Header, HeaderError, HeaderName};
use crate::lex;

/// Decimal fractions of seconds, as written: they are the sender's own business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp<'a> {
    pub sent: &'a str,
    /// How long the answering side took before it sent this 100.
    pub delay: Option<&'a str>,
}

impl<'a> Header<'a> for Timestamp<'a> {
    const NAME: HeaderName = HeaderName::Timestamp;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let mut numbers = value.split_ascii_whitespace();
        let (sent, delay, rest) = (numbers.next(), numbers.next(), numbers.next());
        match sent {
            Some(sent) if rest.is_none() && [Some(sent), delay].into_iter().flatten().all(is_decimal) => {
                Ok(Self { sent, delay })
            }
            _ => Err(HeaderError::new(Self::NAME, "not one or two decimal numbers")),
        }
    }
}

/// `*(DIGIT) [ "." *(DIGIT) ]`, not empty.
fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    !lex::trim(text).is_empty() && text != "." && digits(whole) && digits(fraction)
}

impl fmt::Display for Timestamp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sent)?;
        self.delay.map_or(Ok(()), |delay| write!(f, " {delay}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_two_decimals_are_read() {
        assert_eq!(Timestamp::parse("54.21 0.3"), Ok(Timestamp { sent: "54.21", delay: Some("0.3") }));
        assert_eq!(Timestamp::parse("54"), Ok(Timestamp { sent: "54", delay: None }));
        for text in ["", ".", "x", "1 2 3", "-1", "1.2.3"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }
}
