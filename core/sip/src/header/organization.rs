//! Organization: whose element it is (RFC 3261 §20.25).

use super::shapes::text_header;

text_header! {
    /// Text, perhaps empty.
    Organization
}
