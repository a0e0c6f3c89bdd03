//! Media types and ranges, as Content-Type and Accept have them (RFC 3261 §25.1, `media-type` and `media-range`).

use std::fmt;

use super::shapes::before_params;
use super::{HeaderError, HeaderName};
use crate::lex::{self, Params};

/// `type/subtype;parameters`. In a range either half may be `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType<'a> {
    pub kind: &'a str,
    pub subtype: &'a str,
    pub params: Params<'a>,
}

impl<'a> MediaType<'a> {
    pub(super) fn parse(name: HeaderName, value: &'a str) -> Result<Self, HeaderError> {
        let (text, params) = before_params(name, value)?;
        let (kind, subtype) =
            text.split_once('/').ok_or_else(|| HeaderError::new(name, "no slash in the media type"))?;
        let (kind, subtype) = (lex::trim(kind), lex::trim(subtype));
        if lex::is_token(kind) && lex::is_token(subtype) {
            Ok(Self { kind, subtype, params })
        } else {
            Err(HeaderError::new(name, "the media type is not two tokens"))
        }
    }

    /// Whether it is `essence`, such as `application/pidf+xml`, whatever the parameters and the case.
    pub fn is(&self, essence: &str) -> bool {
        essence.split_once('/').is_some_and(|(kind, subtype)| {
            self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
        })
    }

    /// As a range: how closely `essence` is meant. `None`: not at all; 0: as `*/*`; 1: as `type/*`; 2: by name.
    pub(super) fn closeness(&self, essence: &str) -> Option<u8> {
        let (kind, _) = essence.split_once('/')?;
        match (self.kind, self.subtype) {
            ("*", "*") => Some(0),
            (range, "*") => range.eq_ignore_ascii_case(kind).then_some(1),
            _ => self.is(essence).then_some(2),
        }
    }
}

impl fmt::Display for MediaType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.kind, self.subtype, self.params.as_str())
    }
}
