//! In-Reply-To: a call that this one answers, one of a list (RFC 3261 §20.21).

use super::call_id::call_id;
use super::shapes::print_inner;
use super::{Header, HeaderError, HeaderName};

/// A Call-ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InReplyTo<'a>(pub &'a str);

impl<'a> Header<'a> for InReplyTo<'a> {
    const NAME: HeaderName = HeaderName::InReplyTo;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        call_id(Self::NAME, value).map(Self)
    }
}

print_inner!(InReplyTo<'_>);
