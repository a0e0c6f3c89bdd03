//! Content-Length: the body's size in bytes (RFC 3261 §20.14).

use super::shapes::number_header;

number_header! {
    /// Where the next message starts on a stream.
    ContentLength(u32)
}
