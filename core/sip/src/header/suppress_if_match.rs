//! Suppress-If-Match: no NOTIFY body is needed if nothing changed since this entity tag (RFC 5839 §7.1).

use super::shapes::token_header;

token_header! {
    /// An entity tag, or `*` for whatever it is.
    SuppressIfMatch
}
