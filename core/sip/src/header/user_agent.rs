//! User-Agent: the program of the sender of a request (RFC 3261 §20.41).

use super::shapes::text_header;

text_header! {
    /// Products and comments.
    UserAgent
}
