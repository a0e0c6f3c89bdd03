//! Call-Info: more about the caller or callee, one of a list (RFC 3261 §20.9).

use super::shapes::name_addr_header;

name_addr_header! {
    /// Any URI in angle brackets, with parameters.
    CallInfo
}

impl<'a> CallInfo<'a> {
    /// `icon`, `info`, `card` or another.
    pub fn purpose(&self) -> Option<&'a str> {
        self.0.params.value("purpose")
    }
}
