//! Subject: what the call is about (RFC 3261 §20.36).

use super::shapes::text_header;

text_header! {
    /// Text, perhaps empty.
    Subject
}
