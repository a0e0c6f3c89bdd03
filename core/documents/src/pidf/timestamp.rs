//! A moment (RFC 3863 §4.1.7).

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::xml::push_text_element;

/// A moment in the notation of RFC 3339, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp(Box<str>);

impl Timestamp {
    /// Reads a date and time with an offset (§4.1.7: with capital `T` and `Z`).
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'T' | b'Z' | b':' | b'-' | b'+' | b'.'));
        (is_plain && OffsetDateTime::parse(text, &Rfc3339).is_ok()).then(|| Self(text.into()))
    }

    /// In UTC with whole seconds.
    pub fn new(at: OffsetDateTime) -> Self {
        let at = at.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
        Self(at.format(&Rfc3339).unwrap_or_default().into())
    }

    /// Appends the element of that name.
    pub(crate) fn write_as(&self, name: &str, out: &mut String) {
        push_text_element(out, name, &self.0);
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn at(&self) -> OffsetDateTime {
        OffsetDateTime::parse(&self.0, &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
