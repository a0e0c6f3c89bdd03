//! Reason: why a request was sent, or why a response is what it is, one of a list (RFC 3326 §2).

use super::shapes::token_with_params_header;
use std::borrow::Cow;

use crate::lex;

token_with_params_header! {
    /// A cause in the terms of some protocol.
    Reason,
    /// `SIP`, `Q.850` or another.
    protocol
}

impl<'a> Reason<'a> {
    /// The protocol's number for it, such as a SIP status.
    pub fn cause(&self) -> Option<u32> {
        self.params.value("cause").and_then(lex::decimal)
    }

    /// For people.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        self.params.value("text").map(lex::unquote)
    }
}
