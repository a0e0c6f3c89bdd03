//! RAck: which reliable provisional response a PRACK acknowledges (RFC 3262 §7.2).

use std::fmt;

use super::{CSeq, Header, HeaderError, HeaderName};
use crate::lex;

/// The response's RSeq, and the CSeq of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck<'a> {
    pub rseq: u32,
    pub cseq: CSeq<'a>,
}

impl<'a> Header<'a> for RAck<'a> {
    const NAME: HeaderName = HeaderName::RAck;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let bad = |problem| HeaderError::new(Self::NAME, problem);
        let value = lex::trim(value);
        let end = value.bytes().position(lex::is_space).ok_or_else(|| bad("no CSeq behind the RSeq"))?;
        let (rseq, cseq) = value.split_at(end);
        let rseq = lex::decimal(rseq).ok_or_else(|| bad("the RSeq is not a number below 2^32"))?;
        let cseq = CSeq::parse(cseq).map_err(|error| bad(error.problem))?;
        Ok(Self { rseq, cseq })
    }
}

impl fmt::Display for RAck<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_3262_is_read_and_printed() {
        let rack = RAck::parse("776656  1 INVITE").unwrap();
        assert_eq!((rack.rseq, rack.cseq), (776_656, CSeq { number: 1, method: "INVITE" }));
        assert_eq!(rack.to_string(), "776656 1 INVITE");
        for text in ["", "1", "1 INVITE", "1 1", "x 1 INVITE"] {
            assert!(RAck::parse(text).is_err(), "{text}");
        }
    }
}
