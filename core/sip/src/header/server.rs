//! Server: the program that answers (RFC 3261 §20.35).

use super::shapes::text_header;

text_header! {
    /// Products and comments.
    Server
}
