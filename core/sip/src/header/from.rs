//! From: who sent it (RFC 3261 §20.20).

use super::shapes::name_addr_header;

name_addr_header! {
    /// The logical sender. Not to be confused with `std::convert::From`: name it by its module, `header::From`.
    From
}

impl<'a> From<'a> {
    /// The sender's half of the dialog's identity. Absent only in RFC 2543.
    pub fn tag(&self) -> Option<&'a str> {
        self.0.tag()
    }
}
